//! What a window's keys mean and what its overlay shows, whether this build has a window or not.

use crate::conditions::Conditions;
use crate::microphone::Microphone;

/// A key that the user pressed in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowEvent {
    /// 1–9: take this identity, counted from 0.
    Identity(usize),
    /// C: take the driver's present expression as neutral.
    Calibrate,
    /// M: mirror the driver, or not.
    Mirror,
    /// B: the next kind of background.
    Background,
    /// L: the driver's landmarks are shown or hidden; the window has already done so.
    Landmarks,
    /// F: the figures are shown or hidden; the window has already done so.
    Figures,
    /// V: the head's square, the whole photo, a filled frame.
    Framing,
    /// + and -: a filled frame shows the head larger, or smaller.
    Zoom {
        /// Whether it gets larger.
        is_in: bool,
    },
    /// The arrow keys: the head goes this many steps to the right and down in a filled frame.
    Offset(i8, i8),
    /// 0: zoomed and moved no longer.
    PlainView,
    /// R: a recording begins, or ends.
    Record,
    /// S: the next picture is written to a file.
    TakePicture,
    /// P: the placeholder card at once, or the portrait again.
    Panic,
    /// Q, Escape or the window's close button: end the run.
    Quit,
}

/// The figures of the overlay, and what its title warns of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures<'a> {
    /// Age of the picture when it is shown, in milliseconds.
    pub age_millis: f64,
    /// What the age is made of, by name, in milliseconds.
    pub parts_ms: &'a [(&'static str, f64)],
    /// How well the driver is seen, and what is wrong.
    pub conditions: Conditions,
    /// Pictures a second.
    pub rate_hz: f64,
    /// Frames dropped since the start.
    pub n_dropped: u64,
    /// The generator's backend.
    pub backend: &'a str,
    /// The microphone that is heard, and whether what is recorded of it is silenced.
    pub microphone: Option<(&'a Microphone, bool)>,
    /// Whether a recording that was asked for goes on.
    pub is_recording: bool,
}
