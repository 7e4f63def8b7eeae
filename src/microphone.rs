//! A microphone: what it hears, and when, for recordings. Nothing listens unless a run was asked to.
//!
//! Each block of samples carries the moment on the pipeline's clock at which it was heard, as each picture carries the one
//! at which it was taken, so that voice and lips meet in a file however old the pictures are when they are made.
#![cfg_attr(
    not(any(test, feature = "microphone")),
    expect(dead_code, reason = "a build without devices hears nothing")
)]

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::clock::Timestamp;
use crate::error::{Error, Result};

#[cfg(feature = "microphone")]
mod device;
#[cfg(not(feature = "microphone"))]
#[path = "microphone/absent.rs"]
mod device;
mod timeline;

pub use device::{Listening, is_same, listen, microphones};
pub(crate) use timeline::SoundTimeline;

/// Samples of both channels, -1 to 1; a microphone of one channel is heard in both.
pub(crate) type Stereo = [f32; 2];

/// The most that one block holds.
const BLOCK_FRAMES: usize = 256;
/// Blocks that may wait for a recording: 2.7 s at 48 kHz.
const QUEUE: usize = 512;
/// How fast the shown level falls, for each block.
const LEVEL_FALL: f32 = 0.96;

/// Which microphone: the system's own choice, or the first whose name or identifier holds a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MicrophoneSpec {
    /// The one that the system prefers.
    #[default]
    First,
    /// The first whose name holds this, in any case of letters.
    Name(String),
}

impl FromStr for MicrophoneSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(if text.is_empty() { Self::First } else { Self::Name(text.to_owned()) })
    }
}

impl fmt::Display for MicrophoneSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => Ok(()),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// One block of sound.
#[derive(Clone, Copy)]
pub(crate) struct SoundBlock {
    /// When its first sample was heard.
    pub(crate) heard: Timestamp,
    pub(crate) rate_hz: u32,
    n_frames: usize,
    frames: [Stereo; BLOCK_FRAMES],
}

impl SoundBlock {
    pub(crate) fn frames(&self) -> &[Stereo] {
        &self.frames[..self.n_frames]
    }
}

/// Sound on its way into one recording.
pub(crate) struct SoundFeed {
    blocks: Receiver<SoundBlock>,
    /// Tells the microphone for how long somebody takes the sound: its own receiver keeps the channel open.
    _owner: Arc<()>,
}

impl Deref for SoundFeed {
    type Target = Receiver<SoundBlock>;

    fn deref(&self) -> &Self::Target {
        &self.blocks
    }
}

/// A microphone's end of a feed.
#[derive(Debug)]
struct FeedEnd {
    newest: Sender<SoundBlock>,
    /// Takes the oldest out where there is no room for the newest.
    oldest: Receiver<SoundBlock>,
    owner: Weak<()>,
}

impl FeedEnd {
    fn is_taken(&self) -> bool {
        self.owner.strong_count() > 0
    }

    /// Adds a block; `false` when another was lost for it.
    fn push(&self, block: SoundBlock) -> bool {
        let Err(TrySendError::Full(block)) = self.newest.try_send(block) else { return true };
        // What is old is heard beside no picture any more. Nobody else sends, so there is room then.
        let _ = self.oldest.try_recv();
        let _ = self.newest.try_send(block);
        false
    }
}

/// A microphone that recordings can listen to, and what is shown of it.
#[derive(Clone, Debug)]
pub struct Microphone {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    feeds: Mutex<Vec<FeedEnd>>,
    is_heard: AtomicBool,
    /// Bits of the level, 0 to 1.
    level: AtomicU32,
    n_lost: AtomicU32,
}

impl Microphone {
    /// One that nothing is heard of yet, and the way for its sound.
    pub(crate) fn new(name: String) -> (Self, SoundInlet) {
        let inner = Inner {
            name,
            feeds: Mutex::default(),
            is_heard: AtomicBool::new(true),
            level: AtomicU32::new(0),
            n_lost: AtomicU32::new(0),
        };
        let microphone = Self { inner: Arc::new(inner) };
        (microphone.clone(), SoundInlet { microphone, level: 0.0 })
    }

    /// What the system calls it.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Whether it is there; one that was unplugged is looked for again.
    pub fn is_heard(&self) -> bool {
        self.inner.is_heard.load(Ordering::Relaxed)
    }

    /// How loud it is: the highest sample of late, 0 to 1.
    pub fn level(&self) -> f32 {
        f32::from_bits(self.inner.level.load(Ordering::Relaxed))
    }

    /// Blocks that a recording was too slow for.
    pub fn n_lost(&self) -> u32 {
        self.inner.n_lost.load(Ordering::Relaxed)
    }

    /// All that is heard from now on.
    pub(crate) fn feed(&self) -> SoundFeed {
        let (newest, blocks) = bounded(QUEUE);
        let owner = Arc::new(());
        let end = FeedEnd { newest, oldest: blocks.clone(), owner: Arc::downgrade(&owner) };
        let mut feeds = self.inner.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of recordings that have ended are dropped here, where time is not short.
        feeds.retain(FeedEnd::is_taken);
        feeds.push(end);
        SoundFeed { blocks, _owner: owner }
    }

    fn set_heard(&self, is_heard: bool) {
        self.inner.is_heard.store(is_heard, Ordering::Relaxed);
        if !is_heard {
            self.inner.level.store(0, Ordering::Relaxed);
        }
    }
}

/// Where a device puts what it hears.
pub(crate) struct SoundInlet {
    microphone: Microphone,
    level: f32,
}

impl SoundInlet {
    /// Hands samples on that follow each other, the first of them heard at `heard`. Allocates nothing and waits for nobody:
    /// a recording that does not keep up loses the oldest.
    pub(crate) fn push(&mut self, heard: Timestamp, rate_hz: u32, mut frames: impl Iterator<Item = Stereo>) {
        let mut block = SoundBlock { heard, rate_hz, n_frames: 0, frames: [[0.0; 2]; BLOCK_FRAMES] };
        let mut n_before = 0_u64;
        loop {
            block.n_frames = 0;
            let mut peak = 0.0_f32;
            for (to, frame) in block.frames.iter_mut().zip(frames.by_ref()) {
                // What is no number is silence.
                *to = frame.map(|sample| if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 });
                peak = peak.max(to[0].abs()).max(to[1].abs());
                block.n_frames += 1;
            }
            if block.n_frames == 0 {
                return;
            }
            block.heard =
                Timestamp::from_nanos(heard.as_nanos() + n_before * 1_000_000_000 / u64::from(rate_hz.max(1)));
            n_before += block.n_frames as u64;
            let inner = &self.microphone.inner;
            self.level = peak.max(self.level * LEVEL_FALL);
            inner.level.store(self.level.to_bits(), Ordering::Relaxed);
            // Held by others only while a recording begins.
            if let Ok(feeds) = inner.feeds.try_lock() {
                for feed in feeds.iter().filter(|feed| feed.is_taken()) {
                    if !feed.push(block) {
                        inner.n_lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_comes_in_blocks_with_their_own_times_and_a_level() {
        let (microphone, mut inlet) = Microphone::new("test".to_owned());
        let (first, second) = (microphone.feed(), microphone.feed());
        let samples = (0..600).map(|i| if i == 300 { [0.5, f32::NAN] } else { [0.0, -0.25] });
        inlet.push(Timestamp::from_nanos(1_000_000_000), 48_000, samples);
        let blocks: Vec<_> = first.try_iter().collect();
        assert_eq!(blocks.iter().map(|block| block.frames().len()).collect::<Vec<_>>(), [256, 256, 88]);
        assert_eq!(blocks[1].heard.as_nanos(), 1_000_000_000 + 256 * 1_000_000_000 / 48_000);
        assert_eq!(blocks[1].frames()[44], [0.5, 0.0]);
        assert!((0.25..0.5).contains(&microphone.level()), "{}", microphone.level());
        assert_eq!(second.len(), 3);
        // A recording that takes nothing costs itself, and nobody else: it loses the oldest.
        for i in 0..QUEUE {
            inlet.push(Timestamp::from_nanos(i as u64), 48_000, std::iter::once([0.0; 2]));
        }
        assert_eq!((second.len(), microphone.n_lost()), (QUEUE, 3));
        assert_eq!(first.len(), QUEUE);
        let times: Vec<_> = second.try_iter().map(|block| block.heard.as_nanos()).collect();
        assert_eq!((times[0], times[QUEUE - 1]), (0, QUEUE as u64 - 1));
        // One that has ended gets nothing more, and makes room when another begins.
        drop(first);
        inlet.push(Timestamp::default(), 48_000, std::iter::once([0.0; 2]));
        assert_eq!((second.len(), microphone.n_lost()), (1, 3));
        let _third = microphone.feed();
        assert_eq!(microphone.inner.feeds.lock().unwrap().len(), 2);
        microphone.set_heard(false);
        assert_eq!((microphone.level(), microphone.is_heard()), (0.0, false));
    }

    #[test]
    fn microphones_are_named_as_typed() {
        for text in ["", "USB", "hw:1,0"] {
            assert_eq!(text.parse::<MicrophoneSpec>().unwrap().to_string(), text);
        }
    }
}
