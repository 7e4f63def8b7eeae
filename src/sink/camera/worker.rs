//! A thread of its own for a device that may block, and the slot that leads to it.

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::error::{ErrorKind, OrError as _, Result};
use crate::frame::Rgba;
use crate::latest::{self, Keep, Published, Publisher, Subscriber};

/// The longest the end of the thread is waited for; a driver that hangs keeps it.
const MAX_CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Hands pictures to a thread; only the newest one waits.
pub(in crate::sink) struct Worker {
    /// Dropped to end the thread.
    pictures: Option<Publisher<Rgba>>,
    /// Disconnected by the thread's end.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread; `work` ends when its slot closes.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`]: the system starts no more threads.
    pub(in crate::sink) fn start(name: &str, work: impl FnOnce(Subscriber<Rgba>) + Send + 'static) -> Result<Self> {
        let (publisher, pictures) = latest::channel(vec![Rgba::default()], Keep::Newest);
        let (ended_tx, ended) = bounded::<()>(0);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _ended: Sender<()> = ended_tx;
                work(pictures);
            })
            .or_error(ErrorKind::Internal, || format!("cannot start the thread of the {name}"))?;
        Ok(Self { pictures: Some(publisher), ended, thread: Some(thread) })
    }

    /// Makes `picture` the newest; `false` when the thread has ended.
    pub(in crate::sink) fn show(&mut self, picture: &Rgba) -> bool {
        let published = self.pictures.as_mut().map(|slot| slot.publish_with(|spare| spare.copy_from(picture)));
        // A picture that the device had no time for is not lost to anybody else.
        matches!(published, Some(Published::InTime | Published::Dropped))
    }

    /// Ends the thread after its last picture; `false` when it hangs and was left behind.
    pub(in crate::sink) fn stop(&mut self) -> bool {
        self.pictures = None;
        let Some(thread) = self.thread.take() else { return true };
        // Disconnected is the only answer: nothing is ever sent.
        let has_ended = self.ended.recv_timeout(MAX_CLOSE_WAIT) == Err(RecvTimeoutError::Disconnected);
        has_ended && thread.join().is_ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latest::Received;

    #[test]
    fn the_thread_sees_the_last_picture_and_ends() {
        let (seen_tx, seen) = bounded(10);
        let mut worker = Worker::start("test", move |mut pictures| {
            let mut picture = Rgba::default();
            while pictures.receive(&mut picture, Duration::from_secs(10)) == Received::Fresh {
                let _ = seen_tx.try_send(picture.data()[0]);
            }
        })
        .unwrap();
        for value in [1, 2, 3] {
            assert!(worker.show(&Rgba::from_data(1, 1, vec![value; 4]).unwrap()));
        }
        assert!(worker.stop());
        assert_eq!(seen.iter().last(), Some(3));
        assert!(!worker.show(&Rgba::default()), "after the end");
    }

    #[test]
    fn a_thread_that_hangs_is_left_behind() {
        let (_release, released) = bounded::<()>(0);
        let mut worker = Worker::start("test", move |_| {
            let _ = released.recv();
        })
        .unwrap();
        assert!(worker.show(&Rgba::default()));
        let begin = std::time::Instant::now();
        assert!(!worker.stop());
        assert!(begin.elapsed() < MAX_CLOSE_WAIT * 2);
    }
}
