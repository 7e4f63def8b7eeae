//! What is being made on a thread of its own, and a bounded wait for that thread's end.

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::error::{Error, ErrorKind, OrError as _, Result};

/// What one identity needs, being made.
pub(super) struct Pending<T> {
    thread: JoinHandle<Result<T>>,
    /// Nothing is sent: its other end is dropped when the thread has done its work, or has panicked.
    over: Receiver<()>,
}

impl<T: Send + 'static> Pending<T> {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the system has no thread left.
    pub(super) fn start(make: impl FnOnce() -> Result<T> + Send + 'static) -> Result<Self> {
        let (working, over) = bounded(0);
        let thread = std::thread::Builder::new()
            .name("adopt".to_owned())
            .spawn(move || {
                let _working = working;
                make()
            })
            .or_error(ErrorKind::Internal, || "cannot start the thread that prepares an identity".to_owned())?;
        Ok(Self { thread, over })
    }

    /// Whether [`Self::join`] would not wait.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for what is made.
    ///
    /// # Errors
    /// As the making, and [`ErrorKind::Internal`] when it panicked.
    pub(super) fn join(self) -> Result<T> {
        self.thread
            .join()
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "preparing an identity panicked; adopt it again")))
    }

    /// Waits for the thread's end at most so long; says whether it came. Otherwise the thread is left behind.
    pub(super) fn end_within(self, patience: Duration) -> bool {
        let is_over = self.over.recv_timeout(patience) != Err(RecvTimeoutError::Timeout);
        if is_over {
            // What it made or why it failed matters to nobody any more.
            let _ = self.thread.join();
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_comes_is_waited_for() {
        let long = Duration::from_secs(60);
        assert_eq!(Pending::start(|| Ok(7)).unwrap().join().unwrap(), 7);
        assert!(Pending::start(|| Ok(7)).unwrap().end_within(long));
        assert!(Pending::start(|| -> Result<u32> { panic!("on purpose") }).unwrap().end_within(long));
    }

    #[test]
    fn an_end_that_does_not_come_is_not_waited_for() {
        let (release, released) = bounded::<()>(0);
        let pending = Pending::start(move || Ok(released.recv().is_err())).unwrap();
        assert!(!pending.end_within(Duration::from_millis(20)));
        drop(release);
    }
}
