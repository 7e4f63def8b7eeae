//! The one clock of the pipeline.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A moment on the pipeline's clock, in nanoseconds since that clock's origin.
///
/// | clock | origin | source |
/// |---|---|---|
/// | [`MonotonicClock`] | boot (Linux), process start elsewhere | `CLOCK_MONOTONIC`, which V4L2 drivers stamp buffers with |
/// | [`ManualClock`] | 0 | the test that moves it |
/// | an unpaced clip or picture | its first picture | its pictures, by their rate |
///
/// Two moments may be compared only when they come from the same clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Makes the moment `nanos` nanoseconds after the clock's origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the clock's origin.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 * 1e-9
    }

    /// The time from `earlier` to this moment; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A source of time; real, or moved by hand in tests.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// Waits until `moment`, at most `bound` of real time; says whether the moment has come.
    fn wait_until(&self, moment: Timestamp, bound: Duration) -> bool;
}

/// The system's monotonic clock; copies share their origin.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    origin: Instant,
    origin_nanos: u64,
}

impl MonotonicClock {
    /// Starts from the system's own origin where that can be read.
    pub fn new() -> Self {
        // `Instant` hides its origin, and a driver's buffer time means nothing without it.
        #[cfg(unix)]
        let origin_nanos = {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
        };
        #[cfg(not(unix))]
        let origin_nanos = 0;
        Self { origin: Instant::now(), origin_nanos }
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.origin_nanos) + self.origin.elapsed()
    }

    fn wait_until(&self, moment: Timestamp, bound: Duration) -> bool {
        let wait = moment.since(self.now());
        std::thread::sleep(wait.min(bound));
        wait <= bound
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: Mutex<Timestamp>,
    moved: Condvar,
}

impl ManualClock {
    /// Starts at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock on by `time` and wakes who waits for it.
    pub fn advance(&self, time: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = *now + time;
        self.moved.notify_all();
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, moment: Timestamp, bound: Duration) -> bool {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.moved.wait_timeout_while(now, bound, |now| *now < moment);
        let (now, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *now >= moment
    }
}
