//! Recordings and pictures that are asked for while a run goes on: what was asked, and what is being written.
//!
//! Whoever steers asks, the pipeline hands frames on while they are wanted, and [`crate::sink::OnDemand`] writes.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What was asked of a run's recorder. All of it is atomic: nobody waits for anybody.
#[derive(Debug, Default)]
pub struct Demand {
    is_recording_asked: AtomicBool,
    /// A file is open.
    is_recording: AtomicBool,
    is_picture_asked: AtomicBool,
    /// Frames that the recorder was too slow for.
    n_lost: AtomicU32,
}

impl Demand {
    /// Asks for a recording to begin, or to end; asked twice it stays as it is.
    pub fn record(&self, on: bool) {
        self.is_recording_asked.store(on, Ordering::Relaxed);
    }

    /// Asks for the opposite of what was asked for last.
    pub fn toggle_recording(&self) {
        self.is_recording_asked.fetch_xor(true, Ordering::Relaxed);
    }

    /// Asks for the next picture that is made as a file of its own; asked again before it is made, it is one picture still.
    pub fn take_picture(&self) {
        self.is_picture_asked.store(true, Ordering::Relaxed);
    }

    /// Whether a recording was asked for and has not been ended.
    pub fn is_recording_asked(&self) -> bool {
        self.is_recording_asked.load(Ordering::Relaxed)
    }

    /// Whether a file is being written.
    pub fn is_recording(&self) -> bool {
        self.is_recording.load(Ordering::Relaxed)
    }

    /// Whether the next frame is wanted: also the one after the end of a recording, by which its file is completed.
    pub fn wants_frames(&self) -> bool {
        self.is_recording_asked() || self.is_recording() || self.is_picture_asked.load(Ordering::Relaxed)
    }

    /// Whether the frame that is handed on now is the picture that was asked for.
    pub(crate) fn claim_picture(&self) -> bool {
        self.is_picture_asked.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn set_recording(&self, is_open: bool) {
        self.is_recording.store(is_open, Ordering::Relaxed);
    }

    pub(crate) fn count_loss(&self) {
        self.n_lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Frames that were lost since this was asked last.
    pub(crate) fn take_losses(&self) -> u32 {
        self.n_lost.swap(0, Ordering::Relaxed)
    }
}
