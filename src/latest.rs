//! The slot between two threads: the newest value wins, nothing queues, nothing is allocated.
//!
//! A fixed number of values circulates: one with the publisher, one with the subscriber, the
//! spares in the slot. Publishing and receiving swap them, so that a frame changes hands without
//! being copied. With one spare the slot holds the newest value; with more it is a bounded queue
//! for a subscriber that asked for every value.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded};

/// What became of a published value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a drop must be counted, a closed slot ends the stage"]
pub enum Published {
    /// No value was lost.
    InTime,
    /// An older value had not been read and is lost.
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

/// Makes a slot around its `spares`, at least one.
///
/// # Panics
/// Without a spare.
pub fn channel<T>(spares: Vec<T>, keep: Keep) -> (Publisher<T>, Subscriber<T>) {
    assert!(!spares.is_empty(), "a slot needs a spare value");
    let (full_tx, full_rx) = bounded(spares.len());
    let (spare_tx, spare_rx) = bounded(spares.len());
    for spare in spares {
        // Cannot fail: there is room for all, and both ends are alive.
        let _ = spare_tx.try_send(spare);
    }
    (
        Publisher { full: full_tx, unread: full_rx.clone(), spare: spare_rx, keep },
        Subscriber { full: full_rx, spare: spare_tx },
    )
}

impl<T> Publisher<T> {
    /// Puts `value` into the slot and leaves in its place an older one to write the next into.
    ///
    /// With [`Keep::Every`] this waits for the subscriber to read when the slot is full.
    pub fn publish(&mut self, value: &mut T) -> Published {
        self.publish_with(|spare| std::mem::swap(spare, value))
    }

    /// Lets `write` write over an older value and puts that into the slot.
    ///
    /// With [`Keep::Every`] this waits for the subscriber to read when the slot is full.
    pub fn publish_with(&mut self, write: impl FnOnce(&mut T)) -> Published {
        let (spare, outcome) = match (self.spare.try_recv(), self.keep) {
            (Ok(spare), _) => (Ok(spare), Published::InTime),
            (Err(TryRecvError::Disconnected), _) => return Published::Closed,
            (Err(TryRecvError::Empty), Keep::Every) => (self.spare.recv(), Published::InTime),
            (Err(TryRecvError::Empty), Keep::Newest) => match self.unread.try_recv() {
                Ok(unread) => (Ok(unread), Published::Dropped),
                // The subscriber took the last one and gives its old one back within a few instructions.
                Err(_) => (self.spare.recv(), Published::InTime),
            },
        };
        let Ok(mut spare) = spare else { return Published::Closed };
        write(&mut spare);
        match self.full.try_send(spare) {
            Ok(()) => outcome,
            // Cannot be full: the value sent came out of this very circle.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Published::Closed,
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
                // Cannot be full: one of the circulating values is in the publisher's hand.
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
        let (mut publisher, mut subscriber) = channel(vec![0], Keep::Newest);
        assert_eq!(publisher.publish(&mut 1), Published::InTime);
        assert_eq!(publisher.publish(&mut 2), Published::Dropped);
        let mut seen = 0;
        assert_eq!(subscriber.receive(&mut seen, NOW), Received::Fresh);
        assert_eq!(seen, 2);
        assert_eq!(subscriber.receive(&mut seen, NOW), Received::Idle);
    }

    #[test]
    fn values_circulate_instead_of_being_made() {
        let (mut publisher, mut subscriber) = channel(vec!["c"], Keep::Newest);
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
        let (mut publisher, subscriber) = channel(vec![0], Keep::Newest);
        assert_eq!(publisher.publish(&mut 1), Published::InTime);
        drop(subscriber);
        assert_eq!(publisher.publish(&mut 2), Published::Closed, "with an unread value in the slot");
        let (mut publisher, subscriber) = channel(vec![0], Keep::Every);
        assert_eq!(publisher.publish(&mut 1), Published::InTime);
        drop(subscriber);
        assert_eq!(publisher.publish(&mut 2), Published::Closed, "instead of waiting for ever");
        let (publisher, mut subscriber) = channel(vec![0], Keep::Newest);
        drop(publisher);
        assert_eq!(subscriber.receive(&mut 0, NOW), Received::Closed);
    }

    #[test]
    fn a_queue_holds_as_many_as_it_has_spares_and_then_loses_the_oldest() {
        let (mut publisher, mut subscriber) = channel(vec![0; 3], Keep::Newest);
        for i in 1..=3 {
            assert_eq!(publisher.publish(&mut { i }), Published::InTime);
        }
        assert_eq!(publisher.publish(&mut 4), Published::Dropped);
        let mut value = 0;
        for expected in 2..=4 {
            assert_eq!(subscriber.receive(&mut value, NOW), Received::Fresh);
            assert_eq!(value, expected);
        }
    }

    #[test]
    fn every_value_arrives_in_order_when_asked() {
        let (mut publisher, mut subscriber) = channel(vec![0], Keep::Every);
        let writer = std::thread::Builder::new().spawn(move || {
            for i in 1..=1000 {
                assert_eq!(publisher.publish(&mut { i }), Published::InTime);
            }
        });
        let mut value = 0;
        for i in 1..=1000 {
            assert_eq!(subscriber.receive(&mut value, Duration::from_secs(10)), Received::Fresh);
            assert_eq!(value, i);
        }
        writer.unwrap().join().unwrap();
        assert_eq!(subscriber.receive(&mut value, NOW), Received::Closed);
    }

    #[test]
    fn a_fast_writer_and_a_slow_reader_never_see_a_value_twice_or_out_of_order() {
        let (mut publisher, mut subscriber) = channel(vec![0_u32], Keep::Newest);
        let writer = std::thread::Builder::new().spawn(move || {
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
        assert_eq!(writer.unwrap().join().unwrap() + seen, 100_000, "each value is either read or counted as dropped");
    }
}
