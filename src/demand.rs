//! What is asked for while a run goes on: recordings, pictures, cameras for other programs; and what is open of it.
//!
//! Whoever steers asks, the pipeline hands frames on while they are wanted, and [`crate::sink::OnDemand`] and
//! [`crate::sink::SwitchedCamera`] do it.

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

/// A camera for other programs, by the way in which they get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameraKind {
    /// A v4l2loopback device, which every program takes.
    Vcam,
    /// A PipeWire node, which needs no kernel module.
    Pipewire,
}

impl CameraKind {
    /// What `--sink` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vcam => "vcam",
            Self::Pipewire => "pipewire",
        }
    }
}

/// What was asked of one such camera. All of it is atomic: nobody waits for anybody.
#[derive(Debug)]
pub struct CameraDemand {
    kind: CameraKind,
    is_asked: AtomicBool,
    is_open: AtomicBool,
}

impl CameraDemand {
    /// Nothing is asked for yet.
    pub fn new(kind: CameraKind) -> Self {
        Self { kind, is_asked: AtomicBool::new(false), is_open: AtomicBool::new(false) }
    }

    /// Which one it is.
    pub fn kind(&self) -> CameraKind {
        self.kind
    }

    /// Asks for it to be there, or to go; asked twice it stays as it is.
    pub fn ask(&self, on: bool) {
        self.is_asked.store(on, Ordering::Relaxed);
    }

    /// Whether it was asked for.
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    /// Whether other programs can choose it.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Whether the next frame is wanted: also the one by which it is closed.
    pub fn wants_frames(&self) -> bool {
        self.is_asked() || self.is_open()
    }

    pub(crate) fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
    }
}
