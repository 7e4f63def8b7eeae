//! Live changes, whoever asks for them: keys, the control page, a test.

use crate::composite::Background;

/// A change to a running pipeline. All go through one bounded channel.
#[derive(Clone, Debug)]
pub enum Control {
    /// Shows another identity, counted from 0; one that is not there is ignored.
    Identity(usize),
    /// Takes the next frame as the driver's neutral.
    Calibrate,
    /// Mirrors the picture or stops doing so.
    ToggleMirror,
    /// Goes on to the next of the built-in backgrounds.
    NextBackground,
    /// Puts the portrait over this background.
    Background(Background),
    /// Shows the placeholder card instead of the portrait, or stops doing so.
    ToggleCard,
    /// Carries motion over more or less strongly: 0..2, 1 is as it is.
    Strength(f32),
    /// Ends the run.
    Quit,
}
