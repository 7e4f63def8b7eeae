//! Where the driver's picture comes from: a webcam, a clip, a still, the test pattern.
//!
//! A [`Source`] fills a [`RawFrame`]. What it saw can be read by the face stage and by nobody
//! else: there is no way from a raw frame to a sink.
//!
//! ```compile_fail,E0277
//! fn leak(frame: effigy::RawFrame) -> effigy::OutFrame {
//!     frame.into()
//! }
//! ```
//! ```compile_fail,E0308
//! fn leak(sink: &mut dyn effigy::Sink, frame: &effigy::RawFrame) {
//!     let _ = sink.present(frame);
//! }
//! ```
//! ```compile_fail,E0624
//! fn leak(frame: &effigy::RawFrame) -> &effigy::Rgb {
//!     frame.picture()
//! }
//! ```

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, MonotonicClock, Timestamp};
use crate::error::Result;
use crate::frame::Rgb;
use crate::microphone::Microphone;
use crate::motion_link::MotionFrame;

pub use crate::video::sound::ClipSound;
pub use choice::CameraChoice;
pub use clip::ClipSource;
pub use format::{
    CameraEntry, CameraFormat, CameraState, FormatPreference, PixelFormat, RATES_HZ as CAMERA_RATES_HZ,
    SIDES_PX as CAMERA_SIDES_PX,
};
pub use limited::LimitedSource;
pub use motion::{MicrophoneSource, MotionFileSource, MotionSource, SoundSource, recorded};
pub use options::SourceOptions;
pub use pattern::{PatternPlayer, PatternSource};
pub use spec::{SourceSpec, open};
pub use still::StillSource;
pub use stream::StreamSource;
pub use switch::{Driving, SourceSwitch, SwitchedSource};
pub use webcam::{WebcamSource, cameras};

pub(crate) use spec::open_file;

mod choice;
mod clip;
pub(crate) mod clip_file;
mod decode;
mod format;
mod limited;
mod motion;
mod options;
mod pace;
mod pattern;
mod spec;
mod still;
mod stream;
mod switch;
mod temporary;
#[cfg(feature = "webcam")]
mod webcam;
#[cfg(not(feature = "webcam"))]
#[path = "capture/webcam_absent.rs"]
mod webcam;

/// What the camera saw. It never leaves the program.
#[derive(Clone, Debug, Default)]
pub struct RawFrame {
    picture: Rgb,
    captured: Timestamp,
    /// What was sent instead of a picture.
    motion: Option<MotionFrame>,
    camera: u32,
}

impl RawFrame {
    /// Makes a frame from a picture, taken at `captured`.
    pub fn new(picture: Rgb, captured: Timestamp) -> Self {
        Self { picture, captured, motion: None, camera: 0 }
    }

    /// When the picture was taken.
    pub fn captured(&self) -> Timestamp {
        self.captured
    }

    /// Says when the picture was taken.
    pub fn set_captured(&mut self, captured: Timestamp) {
        self.captured = captured;
    }

    /// Makes the frame show `picture`.
    pub fn set_picture(&mut self, picture: &Rgb) {
        self.picture.copy_from(picture);
    }

    /// Makes the frame hold motion instead of a picture.
    pub fn set_motion(&mut self, motion: &MotionFrame) {
        self.motion.get_or_insert_default().clone_from(motion);
    }

    /// What was sent instead of a picture.
    pub fn motion(&self) -> Option<&MotionFrame> {
        self.motion.as_ref()
    }

    /// Which of the run's cameras took it, counted from 0: nothing that was measured in the pictures of another, or in those
    /// of the same with another format, holds in this one.
    pub fn camera(&self) -> u32 {
        self.camera
    }

    /// Says which of the run's cameras took it.
    pub fn set_camera(&mut self, camera: u32) {
        self.camera = camera;
    }

    /// The picture, for a source to write into.
    pub(crate) fn picture_mut(&mut self) -> &mut Rgb {
        &mut self.picture
    }

    /// The picture, for the face thread to look at.
    pub(crate) fn picture(&self) -> &Rgb {
        &self.picture
    }
}

/// What a [`Source::read`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Read {
    /// A new frame.
    Fresh,
    /// Nothing yet. The source has waited a while ([`MAX_READ_WAIT`] at most).
    Idle,
    /// There will be no more frames.
    Ended,
}

/// The longest a [`Source::read`] may wait for a frame.
pub const MAX_READ_WAIT: Duration = Duration::from_millis(100);

/// Something that delivers frames, one owner, one thread.
pub trait Source: Send {
    /// What it is, for the user: a camera's name and format, a file's name.
    fn name(&self) -> &str;

    /// Waits for the next frame, at most [`MAX_READ_WAIT`], and writes it into `frame`.
    ///
    /// A camera that vanished is not an error: the source reads [`Read::Idle`] and looks for it
    /// again, with growing pauses.
    ///
    /// # Errors
    /// When the source cannot go on for good, such as a file that turns out to be torn.
    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read>;

    /// Frames a second that the source says it delivers, where it says so.
    fn frame_rate_hz(&self) -> Option<f64>;

    /// Frames a second that it was seen to deliver lately; `None` until that is known, and for a
    /// source whose rate is certain. Drivers state rates that they do not keep.
    fn measured_rate_hz(&self) -> Option<f64> {
        None
    }

    /// The sound that belongs to its pictures, for a recorder to copy; a camera has none.
    fn sound(&self) -> Option<ClipSound> {
        None
    }

    /// The microphone that it listens to, and the clock that its sound has its times by; a camera hears nothing.
    fn microphone(&self) -> Option<(&Microphone, MonotonicClock)> {
        None
    }

    /// How many frames it will deliver in all, where it says so.
    fn n_frames(&self) -> Option<u64> {
        None
    }

    /// The camera that it is, and what that offers; `None` for what is no camera.
    fn camera(&self) -> Option<CameraState> {
        None
    }

    /// What asks it to change over to another camera, where it can.
    fn switch(&self) -> Option<Arc<SourceSwitch>> {
        None
    }
}

#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod video_tests;
