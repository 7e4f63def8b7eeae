//! A bound on what FFmpeg waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When a wait of FFmpeg's for a network ends; shared with what it asks while it waits.
#[derive(Clone)]
pub(crate) struct Deadline {
    origin: Instant,
    /// Milliseconds from the origin; 0 for good.
    at_ms: Arc<AtomicU64>,
}

impl Deadline {
    /// Without a bound so far.
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), at_ms: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// Lets what waits from now on end after `bound`.
    pub(crate) fn set(&self, bound: Duration) {
        let at = (self.origin.elapsed() + bound).as_millis() as u64 + 1;
        // What was ended stays so.
        let _ = self.at_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |was| (was > 0).then_some(at));
    }

    /// Ends every wait at once, and those to come.
    pub(crate) fn end(&self) {
        self.at_ms.store(0, Ordering::Relaxed);
    }

    /// Whether waiting has to end.
    pub(crate) fn is_over(&self) -> bool {
        self.origin.elapsed().as_millis() as u64 + 1 >= self.at_ms.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_ends_what_waits() {
        let deadline = Deadline::new();
        assert!(!deadline.is_over());
        deadline.set(Duration::from_secs(3600));
        assert!(!deadline.is_over());
        deadline.set(Duration::ZERO);
        assert!(deadline.is_over());
        deadline.set(Duration::from_secs(3600));
        deadline.end();
        deadline.set(Duration::from_secs(3600));
        assert!(deadline.is_over());
    }
}
