//! A second thread that shares loops with the caller's.
#![expect(unsafe_code, reason = "a thread that lives longer than a call is lent what the call borrows")]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Work that both threads do at once: the caller as 0, the second thread as 1. They share out its parts themselves.
type Work<'a> = dyn Fn(usize) + Sync + 'a;

/// What the second thread is at.
#[derive(Default)]
enum State {
    #[default]
    Idle,
    /// Work that it has not begun.
    Posted(&'static Work<'static>),
    Running,
    /// It panicked with this.
    Failed(Box<dyn Any + Send>),
    Closed,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    posted: Condvar,
    ended: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that waits for work to share; ends when this is dropped. Sharing takes no memory.
pub struct SecondThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl SecondThread {
    /// Starts the thread. Without it (`is_wanted` is false, or the system has none to give) all work is the caller's.
    pub fn new(is_wanted: bool) -> Self {
        let shared = Arc::<Shared>::default();
        let start = || {
            let shared = shared.clone();
            std::thread::Builder::new().name("generate 2".to_owned()).spawn(move || serve(&shared))
        };
        let thread = is_wanted.then(start).and_then(|started| {
            started
                .inspect_err(|error| log::warn!("no second thread for the generator ({error}): one does it all"))
                .ok()
        });
        Self { shared, thread }
    }

    /// Lets both threads work, and returns when both have ended. A second thread that found no processor by then is
    /// not waited for: the caller's has done everything, since what both take their parts from is empty.
    ///
    /// # Panics
    /// As `work` does on either thread.
    pub fn share(&self, work: &Work) {
        if self.thread.is_none() {
            work(0);
            return;
        }
        // SAFETY: `Recall` takes the work back, or waits for its end, before this call returns or unwinds, so nothing
        // of it is used after what it borrows.
        let lent = unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) };
        *self.shared.state() = State::Posted(lent);
        let recall = Recall(&self.shared);
        self.shared.posted.notify_one();
        work(0);
        drop(recall);
        let mut state = self.shared.state();
        if let State::Failed(payload) = std::mem::take(&mut *state) {
            drop(state);
            resume_unwind(payload);
        }
    }

    /// Lets both threads take parts until none is left; `work` is told which thread it is on, 0 or 1.
    ///
    /// # Panics
    /// As [`Self::share`].
    pub fn share_parts<T>(&self, parts: impl Iterator<Item = T> + Send, work: impl Fn(usize, T) + Sync) {
        let parts = Mutex::new(parts);
        let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        self.share(&|who| {
            while let Some(part) = next() {
                work(who, part);
            }
        });
    }
}

impl Drop for SecondThread {
    fn drop(&mut self) {
        *self.shared.state() = State::Closed;
        self.shared.posted.notify_one();
        if let Some(thread) = self.thread.take() {
            // It never panics outside of `work`, which is caught.
            let _ = thread.join();
        }
    }
}

/// Takes lent work back when it is dropped.
struct Recall<'a>(&'a Shared);

impl Drop for Recall<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if let State::Posted(_) = *state {
            *state = State::Idle;
        }
        while let State::Running = *state {
            state = self.0.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The second thread's life.
fn serve(shared: &Shared) {
    let mut state = shared.state();
    loop {
        match *state {
            State::Posted(work) => {
                *state = State::Running;
                drop(state);
                let outcome = catch_unwind(AssertUnwindSafe(|| work(1)));
                state = shared.state();
                *state = outcome.map_or_else(State::Failed, |()| State::Idle);
                shared.ended.notify_one();
            }
            State::Closed => return,
            State::Idle | State::Running | State::Failed(_) => {
                state = shared.posted.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_threads_take_parts_and_all_are_done() {
        let second = SecondThread::new(true);
        // Each waits until the other has begun: this ends only if both work at once.
        let begun = std::sync::Barrier::new(2);
        let done = AtomicUsize::new(0);
        second.share(&|who| {
            begun.wait();
            done.fetch_add(1 + who, Ordering::SeqCst);
        });
        assert_eq!(done.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn without_a_second_thread_the_caller_does_it() {
        let mut parts = vec![0; 5];
        SecondThread::new(false).share_parts(parts.iter_mut(), |who, part| *part += 1 + who);
        assert_eq!(parts, [1; 5]);
    }

    #[test]
    fn every_part_is_worked_on_once_whichever_thread_takes_it() {
        let second = SecondThread::new(true);
        let mut parts = vec![0; 1000];
        for round in 1..=20 {
            second.share_parts(parts.iter_mut(), |who, part| *part += usize::from(who < 2));
            assert!(parts.iter().all(|part| *part == round));
        }
    }

    #[test]
    fn a_panic_on_the_second_thread_reaches_the_caller_who_can_go_on() {
        let second = SecondThread::new(true);
        let (begin, begun) = mpsc::sync_channel(1);
        let begun = Mutex::new(begun);
        let shared = catch_unwind(AssertUnwindSafe(|| {
            second.share(&|who| match who {
                // Its end is waited for only once it has begun.
                0 => begun.lock().unwrap().recv_timeout(Duration::from_secs(60)).unwrap(),
                _ => {
                    begin.send(()).unwrap();
                    panic!("torn");
                }
            });
        }));
        assert_eq!(shared.unwrap_err().downcast_ref::<&str>(), Some(&"torn"));
        let done = AtomicUsize::new(0);
        second.share(&|who| _ = done.fetch_add(usize::from(who == 0), Ordering::SeqCst));
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }
}
