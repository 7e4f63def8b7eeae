//! The slot between two threads: the newest value wins, nothing queues, nothing is allocated.
//!
//! Three values circulate: one with the publisher, one in the slot, one with the subscriber.
//! Publishing and receiving swap them, so that a frame changes hands without being copied.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded};

/// What became of a published value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a drop must be counted, a closed slot ends the stage"]
pub enum Published {
    /// The value before it had been read.
    InTime,
    /// The value before it had not been read and is lost.
    Dropped,
    /// There is no subscriber any more.
    Closed,
}

/// What a subscriber got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Received {
    /// A value that was not seen before.
    Fresh,
    /// Nothing new within the time given.
    Idle,
    /// There is no publisher any more, and its last value has been read.
    Closed,
}

/// What a publisher does when its last value has not been read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Replaces it: a live picture must be new.
    Newest,
    /// Waits until it is read: a rendered file must be whole.
    Every,
}

/// The writing end of a slot. Dropping it closes the slot.
#[derive(Debug)]
pub struct Publisher<T> {
    full: Sender<T>,
    unread: Receiver<T>,
    spare: Receiver<T>,
    keep: Keep,
}

/// The reading end of a slot. Dropping it closes the slot.
#[derive(Debug)]
pub struct Subscriber<T> {
    full: Receiver<T>,
    spare: Sender<T>,
}

/// Makes a slot around one `spare` value.
pub fn channel<T>(spare: T, keep: Keep) -> (Publisher<T>, Subscriber<T>) {
    let (full_tx, full_rx) = bounded(1);
    let (spare_tx, spare_rx) = bounded(1);
    // Cannot fail: the channel is empty and both ends are alive.
    let _ = spare_tx.try_send(spare);
    (
        Publisher { full: full_tx, unread: full_rx.clone(), spare: spare_rx, keep },
        Subscriber { full: full_rx, spare: spare_tx },
    )
}

impl<T> Publisher<T> {
    /// Puts `value` into the slot and leaves in its place an older one to write the next into.
    ///
    /// With [`Keep::Every`] this waits for the subscriber to read the value before.
    pub fn publish(&mut self, value: &mut T) -> Published {
        let (spare, outcome) = match self.keep {
            Keep::Newest => match self.unread.try_recv() {
                // The subscriber's own value is the third: none is spare unless its end is gone.
                Ok(_) if matches!(self.spare.try_recv(), Err(TryRecvError::Disconnected)) => return Published::Closed,
                Ok(unread) => (Ok(unread), Published::Dropped),
                // The subscriber took the value and gives its old one back within a few instructions.
                Err(_) => (self.spare.recv(), Published::InTime),
            },
            Keep::Every => (self.spare.recv(), Published::InTime),
        };
        let Ok(spare) = spare else { return Published::Closed };
        match self.full.try_send(std::mem::replace(value, spare)) {
            Ok(()) => outcome,
            Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                *value = back;
                Published::Closed
            }
        }
    }
}

impl<T> Subscriber<T> {
    /// Waits at most `bound` for a new value and swaps it into `value`.
    pub fn receive(&mut self, value: &mut T, bound: Duration) -> Received {
        let fresh = match self.full.try_recv() {
            Err(TryRecvError::Empty) => self.full.recv_timeout(bound),
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
            Ok(fresh) => Ok(fresh),
        };
        match fresh {
            Ok(fresh) => {
                // Cannot be full: three values circulate and two of them are in hand.
                let _ = self.spare.try_send(std::mem::replace(value, fresh));
                Received::Fresh
            }
            Err(RecvTimeoutError::Timeout) => Received::Idle,
            Err(RecvTimeoutError::Disconnected) => Received::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn the_newest_value_wins_and_the_drop_is_counted() {
        let (mut publisher, mut subscriber) = channel(0, Keep::Newest);
        assert_eq!(publisher.publish(&mut 1), Published::InTime);
        assert_eq!(publisher.publish(&mut 2), Published::Dropped);
        let mut seen = 0;
        assert_eq!(subscriber.receive(&mut seen, NOW), Received::Fresh);
        assert_eq!(seen, 2);
        assert_eq!(subscriber.receive(&mut seen, NOW), Received::Idle);
    }

    #[test]
    fn values_circulate_instead_of_being_made() {
        let (mut publisher, mut subscriber) = channel("c", Keep::Newest);
        let (mut written, mut read) = ("a", "b");
        for round in 0..100 {
            let _ = publisher.publish(&mut written);
            if round % 3 == 0 {
                let _ = publisher.publish(&mut written);
            }
            assert_eq!(subscriber.receive(&mut read, NOW), Received::Fresh);
            assert_ne!(written, read, "one value is in two hands");
            assert!(["a", "b", "c"].contains(&written) && ["a", "b", "c"].contains(&read));
        }
    }

    #[test]
    fn either_end_closes_the_slot() {
        let (mut publisher, subscriber) = channel(0, Keep::Newest);
        assert_eq!(publisher.publish(&mut 1), Published::InTime);
        drop(subscriber);
        assert_eq!(publisher.publish(&mut 2), Published::Closed, "with an unread value in the slot");
        let (publisher, mut subscriber) = channel(0, Keep::Newest);
        drop(publisher);
        assert_eq!(subscriber.receive(&mut 0, NOW), Received::Closed);
    }

    #[test]
    fn every_value_arrives_in_order_when_asked() {
        let (mut publisher, mut subscriber) = channel(0, Keep::Every);
        let writer = std::thread::spawn(move || {
            for i in 1..=1000 {
                assert_eq!(publisher.publish(&mut { i }), Published::InTime);
            }
        });
        let mut value = 0;
        for i in 1..=1000 {
            assert_eq!(subscriber.receive(&mut value, Duration::from_secs(10)), Received::Fresh);
            assert_eq!(value, i);
        }
        writer.join().unwrap();
        assert_eq!(subscriber.receive(&mut value, NOW), Received::Closed);
    }

    #[test]
    fn a_fast_writer_and_a_slow_reader_never_see_a_value_twice_or_out_of_order() {
        let (mut publisher, mut subscriber) = channel(0_u32, Keep::Newest);
        let writer = std::thread::spawn(move || {
            let mut dropped = 0;
            for i in 1..=100_000 {
                dropped += u32::from(publisher.publish(&mut { i }) == Published::Dropped);
            }
            dropped
        });
        let (mut last, mut value, mut seen) = (0, 0, 0);
        while subscriber.receive(&mut value, Duration::from_secs(10)) == Received::Fresh {
            assert!(value > last, "{value} came after {last}");
            last = value;
            seen += 1;
        }
        assert_eq!(last, 100_000);
        assert_eq!(writer.join().unwrap() + seen, 100_000, "each value is either read or counted as dropped");
    }
}
