//! What is being made on a thread of its own, and bounded waits for that thread's end.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::error::{Error, ErrorKind, OrError as _, Result};

/// What one identity needs, being made.
pub(super) struct Pending<T> {
    thread: JoinHandle<Result<T>>,
    /// Nothing is sent: its other end is dropped when the thread has done its work, or has panicked.
    over: Receiver<()>,
    /// What the thread does, and for whom: what was waited for, should it not end.
    what: String,
    begun: Instant,
    /// So long after its beginning nobody waits for it any more.
    patience: Duration,
}

impl<T: Send + 'static> Pending<T> {
    /// Starts the thread. `what` it does is a clause such as "preparing ann".
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the system has no thread left.
    pub(super) fn start(
        what: String,
        patience: Duration,
        make: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<Self> {
        let (working, over) = bounded(0);
        let thread = std::thread::Builder::new()
            .name("adopt".to_owned())
            .spawn(move || {
                let _working = working;
                make()
            })
            .or_error(ErrorKind::Internal, || "cannot start the thread that prepares an identity".to_owned())?;
        Ok(Self { thread, over, what, begun: Instant::now(), patience })
    }

    /// Whether [`Self::join`] would not wait: the thread has ended, or its time is over.
    pub(super) fn is_settled(&self) -> bool {
        self.thread.is_finished() || self.begun.elapsed() >= self.patience
    }

    /// Waits for what is made as long as its time is not over. A thread that takes longer is left behind.
    ///
    /// # Errors
    /// As the making; [`ErrorKind::Internal`] when it panicked; [`ErrorKind::DeviceBusy`] when it did not end in time.
    pub(super) fn join(self) -> Result<T> {
        self.wait()?;
        self.thread
            .join()
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "preparing an identity panicked; adopt it again")))
    }

    /// Waits for the thread's end as [`Self::join`] does. What it made or why it failed matters to nobody any more.
    ///
    /// # Errors
    /// [`ErrorKind::DeviceBusy`] when it did not end in time.
    pub(super) fn end(self) -> Result<()> {
        self.wait()?;
        let _ = self.thread.join();
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        let left = self.patience.saturating_sub(self.begun.elapsed());
        if self.over.recv_timeout(left) != Err(RecvTimeoutError::Timeout) {
            return Ok(());
        }
        let message = format!(
            "{} was waited for {} s and does not end: a driver may hang; its thread is left behind; try again, or \
             start the program anew",
            self.what,
            self.patience.as_secs()
        );
        Err(Error::new(ErrorKind::DeviceBusy, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn pending(patience: Duration, make: impl FnOnce() -> Result<u32> + Send + 'static) -> Pending<u32> {
        Pending::start("preparing ann".to_owned(), patience, make).unwrap()
    }

    #[test]
    fn an_end_that_comes_is_waited_for() {
        assert_eq!(pending(LONG, || Ok(7)).join().unwrap(), 7);
        pending(LONG, || Ok(7)).end().unwrap();
        pending(LONG, || panic!("on purpose")).end().unwrap();
        assert_eq!(pending(LONG, || panic!("on purpose")).join().unwrap_err().kind(), ErrorKind::Internal);
    }

    #[test]
    fn an_end_that_does_not_come_is_not_waited_for_and_told_by_name() {
        let hang = |patience| {
            let (release, released) = bounded::<()>(0);
            (release, pending(patience, move || Ok(u32::from(released.recv().is_err()))))
        };
        let (release, still_in_time) = hang(LONG);
        assert!(!still_in_time.is_settled());
        drop(release);
        assert_eq!(still_in_time.join().unwrap(), 1);
        let short = Duration::from_millis(20);
        let (_release, joined) = hang(short);
        let error = joined.join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeviceBusy);
        assert!(error.to_string().contains("preparing ann was waited for"), "{error}");
        let (_release_too, ended) = hang(short);
        assert_eq!(ended.end().unwrap_err().kind(), ErrorKind::DeviceBusy);
        let (_release_last, over) = hang(Duration::ZERO);
        assert!(over.is_settled());
    }

    #[test]
    fn what_ended_is_taken_although_nobody_asked_in_time() {
        let late = pending(Duration::ZERO, || Ok(7));
        while !late.thread.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(late.join().unwrap(), 7);
    }
}
