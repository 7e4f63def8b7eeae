//! Live changes, whoever asks for them: keys, the control page, a test.

use std::sync::Arc;

use crate::capture::{CameraFormat, SourceSpec};
use crate::composite::{Background, BadgeLanguage, BadgePlace, Framing};
use crate::demand::CameraKind;
use crate::drive::StrengthPart;
use crate::identity::Identity;

/// Identities that one run can hold; one more is ignored.
pub const MAX_IDENTITIES: usize = 64;

/// A change to a running pipeline. All go through one bounded channel.
#[derive(Clone, Debug)]
pub enum Control {
    /// Shows another identity, counted from 0; one that is not there is ignored.
    Identity(usize),
    /// Adds an identity behind the others, up to [`MAX_IDENTITIES`], without showing it. Without the visible mark,
    /// only one of the user or of a synthetic person is taken.
    Add(Arc<Identity>),
    /// Takes the next frame as the driver's neutral.
    Calibrate,
    /// Mirrors the picture or stops doing so.
    ToggleMirror,
    /// Mirrors the picture, or not.
    Mirror(bool),
    /// Goes on to the next of the built-in backgrounds.
    NextBackground,
    /// Puts the portrait over this background.
    Background(Background),
    /// Wants the visible mark in another corner.
    BadgePlace(BadgePlace),
    /// Lets the visible mark speak another language.
    BadgeLanguage(BadgeLanguage),
    /// Puts the head into the frame in another way. The whole photo is shown of those only whose identity has it.
    Framing(Framing),
    /// Zooms a filled frame, 0.5..4; 1 is as a camera would have it.
    Zoom(f32),
    /// Moves the head in a filled frame, to the right and down, in frames: -1..1 each.
    Offset(f32, f32),
    /// Shows the placeholder card instead of the portrait, or stops doing so.
    ToggleCard,
    /// Shows the placeholder card, or the portrait. Asked twice it stays as it is, as in a panic.
    Card(bool),
    /// Carries a part of the motion over more or less strongly: 0..2, 1 is as it is.
    Strength(StrengthPart, f32),
    /// Keeps this share of the photo's own expression at rest, 0..1.
    KeepExpression(f32),
    /// Draws the gaze to the viewer by this share, 0..1.
    EyeContact(f32),
    /// Shows the portrait so many milliseconds ahead of the driver's frame, 0..[`crate::drive::MAX_PREDICT_MS`].
    Predict(f32),
    /// Lets another camera, or the test pattern, drive.
    Source(SourceSpec),
    /// Asks the camera for this format; `None` for what the run began with.
    CameraFormat(Option<CameraFormat>),
    /// Gives other programs a camera of this kind, or takes it away.
    Camera(CameraKind, bool),
    /// Begins a recording, or ends it.
    Record(bool),
    /// Begins a recording, or ends the one that goes on.
    ToggleRecord,
    /// Writes the next picture to a file of its own.
    TakePicture,
    /// Ends the run.
    Quit,
}
