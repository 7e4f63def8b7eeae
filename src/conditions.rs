//! What makes a live picture bad, in words: light, distance, angle, load; and how far the motion can be trusted.
//!
//! The limits were measured on a clip that was darkened, burnt out and made smaller step by step: see
//! docs/decisions/conditions.md.

use crate::clock::Timestamp;
use crate::frame::Rgb;
use crate::geometry::FaceObservation;

mod light;

use light::Light;

/// Something that the user can mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Trouble {
    /// Too little light on the face, or in the whole picture where no face is found.
    Dark,
    /// Too much light on the face.
    Glare,
    /// The face has few pixels.
    Far,
    /// The face leaves the camera's picture.
    CutOff,
    /// The head is turned far to the side.
    Turned,
    /// The head looks far up or down.
    Nodding,
    /// The face is hard to make out: a hand or a thing is before it.
    Covered,
    /// The machine does not keep up.
    Load,
}

impl Trouble {
    /// All of them, the ones to mend first in front.
    pub const ALL: [Self; 8] =
        [Self::Load, Self::Dark, Self::Glare, Self::Far, Self::CutOff, Self::Turned, Self::Nodding, Self::Covered];

    /// A word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Glare => "glare",
            Self::Far => "far",
            Self::CutOff => "cut-off",
            Self::Turned => "turned",
            Self::Nodding => "nodding",
            Self::Covered => "covered",
            Self::Load => "load",
        }
    }

    /// What is wrong and what to do, a lower-case clause without a full stop.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Dark => "it is dark: turn a lamp on",
            Self::Glare => "your face is too bright: dim the light, or turn away from it",
            Self::Far => "you are far away: come nearer",
            Self::CutOff => "your face leaves the camera's picture: move to its middle, or further back",
            Self::Turned => "you look far to the side: turn to the camera, or move it in front of you",
            Self::Nodding => "the camera sees you from above or below: bring it to the height of your eyes",
            Self::Covered => "your face is hard to make out: is a hand or a microphone before it?",
            Self::Load => "the computer does not keep up: close other programs, or choose a smaller size",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// What is wrong right now, any number of [`Trouble`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Troubles(u16);

impl Troubles {
    /// Whether this one is among them.
    pub const fn has(self, trouble: Trouble) -> bool {
        self.0 & trouble.bit() != 0
    }

    /// These and one more, or these without it.
    #[must_use]
    pub const fn with(self, trouble: Trouble, is_so: bool) -> Self {
        if is_so { Self(self.0 | trouble.bit()) } else { Self(self.0 & !trouble.bit()) }
    }

    /// Those that there are, the ones to mend first in front.
    pub fn iter(self) -> impl Iterator<Item = Trouble> {
        Trouble::ALL.into_iter().filter(move |trouble| self.has(*trouble))
    }
}

/// How well the driver is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Conditions {
    /// How far the motion can be trusted, 0..1; 0 without a face.
    ///
    /// It is the presence that the landmark network states, lessened by the worst of light, distance and angle.
    pub confidence: f32,
    /// What is wrong.
    pub troubles: Troubles,
}

impl Conditions {
    /// In one word for [`crate::report::LiveFigures`].
    pub(crate) fn to_bits(self) -> u32 {
        let thousandths = (self.confidence.clamp(0.0, 1.0) * 1000.0) as u32;
        u32::from(self.troubles.0) << 16 | thousandths
    }

    pub(crate) fn from_bits(bits: u32) -> Self {
        let thousandths = (bits & 0xffff) as f32;
        Self { confidence: thousandths / 1000.0, troubles: Troubles((bits >> 16) as u16) }
    }
}

/// From which value on a measure is bad, and from which on it is of no harm at all.
///
/// Between the two the confidence falls. A trouble is told beyond `bad`, and withdrawn a third of the way back.
#[derive(Clone, Copy)]
struct Ramp {
    bad: f32,
    fine: f32,
}

impl Ramp {
    /// 0 at `bad` and beyond, 1 at `fine` and beyond.
    fn share(self, value: f32) -> f32 {
        ((value - self.bad) / (self.fine - self.bad)).clamp(0.0, 1.0)
    }
}

/// Brightness that a tenth of the face exceeds, 0..255: bright on dark skin too.
const BRIGHTNESS: Ramp = Ramp { bad: 40.0, fine: 80.0 };
/// Share of the face that is white.
const BURNT: Ramp = Ramp { bad: 0.5, fine: 0.2 };
/// Height of the face in the camera's picture, in the least that will do: 60 pixels, or a ninth of the picture.
const SIZE: Ramp = Ramp { bad: 1.0, fine: 1.6 };
/// The landmark network needs so many pixels of a face's height, and the detector this share of the picture's longer side.
const MIN_HEIGHT_PX: f32 = 60.0;
const MIN_HEIGHT_SHARE: f32 = 0.11;
/// Room between the face and the picture's border, in face heights.
const ROOM: Ramp = Ramp { bad: -0.08, fine: 0.0 };
const YAW_DEGREES: Ramp = Ramp { bad: 45.0, fine: 30.0 };
const PITCH_DEGREES: Ramp = Ramp { bad: 35.0, fine: 22.0 };
/// The landmark network says 0.9 and more of a face that it sees, and the tracker gives it up at 0.5. Likewise the share of
/// the face that nothing covers.
const PRESENCE: Ramp = Ramp { bad: 0.7, fine: 0.9 };

/// What a trouble takes from the confidence at most: the face is followed all the same.
const MAX_LOSS: f32 = 0.8;
/// Measures are smoothed over so long.
const SMOOTH_SECS: f64 = 0.5;
/// A trouble is told when it has lasted so long, and withdrawn when it has been gone so long.
const HOLD_SECS: f64 = 1.5;
/// A longer gap between two frames begins anew.
const MAX_GAP_SECS: f64 = 2.0;

/// What is measured of a frame, each with the ramp that judges it.
const MEASURES: [(Trouble, Ramp); 7] = [
    (Trouble::Dark, BRIGHTNESS),
    (Trouble::Glare, BURNT),
    (Trouble::Far, SIZE),
    (Trouble::CutOff, ROOM),
    (Trouble::Turned, YAW_DEGREES),
    (Trouble::Nodding, PITCH_DEGREES),
    (Trouble::Covered, PRESENCE),
];

/// One measure over time.
#[derive(Clone, Copy, Debug, Default)]
struct Gauge {
    /// Smoothed; `None` before the first value.
    value: Option<f32>,
    is_told: bool,
    /// Seconds for which it has been the other way round.
    against_secs: f64,
}

impl Gauge {
    /// Takes a value in, or none where nothing is measured, and gives the share of [`Ramp::share`].
    fn follow(&mut self, value: Option<f32>, ramp: Ramp, elapsed_secs: f64) -> f32 {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            *self = Self::default();
            return 1.0;
        };
        let weight = (elapsed_secs / SMOOTH_SECS).clamp(0.0, 1.0) as f32;
        let smooth = self.value.map_or(value, |before| before + (value - before) * weight);
        self.value = Some(smooth);
        let share = ramp.share(smooth);
        let is_against = if self.is_told { share > 1.0 / 3.0 } else { share <= 0.0 };
        self.against_secs = if is_against { self.against_secs + elapsed_secs } else { 0.0 };
        if self.against_secs >= HOLD_SECS {
            self.is_told = !self.is_told;
            self.against_secs = 0.0;
        }
        share
    }
}

/// Judges frame after frame. Takes no memory.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    gauges: [Gauge; MEASURES.len()],
    last: Option<Timestamp>,
}

impl Judge {
    /// Judges the frame that was taken at `captured`; an empty picture, as motion without a camera has, is not judged.
    pub(crate) fn judge(&mut self, picture: &Rgb, face: Option<&FaceObservation>, captured: Timestamp) -> Conditions {
        let confidence = face.map_or(0.0, |face| face.presence.clamp(0.0, 1.0));
        if picture.data().is_empty() {
            return Conditions { confidence, troubles: Troubles::default() };
        }
        let elapsed_secs = self.last.map_or(0.0, |last| captured.since(last).as_secs_f64());
        if elapsed_secs > MAX_GAP_SECS {
            *self = Self::default();
        }
        self.last = Some(captured);
        let values = match face {
            Some(face) => measure(picture, face),
            // Where nobody is seen, darkness may be why.
            None => [Some(Light::of_picture(picture).brightness), None, None, None, None, None, None],
        };
        let mut conditions = Conditions { confidence, troubles: Troubles::default() };
        let mut worst = 1.0_f32;
        for ((gauge, value), (trouble, ramp)) in self.gauges.iter_mut().zip(values).zip(MEASURES) {
            let share = gauge.follow(value, ramp, elapsed_secs);
            // Presence counts already.
            if trouble != Trouble::Covered {
                worst = worst.min(share);
            }
            conditions.troubles = conditions.troubles.with(trouble, gauge.is_told);
        }
        conditions.confidence *= 1.0 - MAX_LOSS * (1.0 - worst);
        conditions
    }
}

/// The values of [`MEASURES`] for a face.
fn measure(picture: &Rgb, face: &FaceObservation) -> [Option<f32>; MEASURES.len()] {
    let (mut min, mut max) = (glam::Vec2::INFINITY, glam::Vec2::NEG_INFINITY);
    for point in &face.landmarks_px {
        (min, max) = (min.min(point.truncate()), max.max(point.truncate()));
    }
    let size = glam::Vec2::new(picture.width_px() as f32, picture.height_px() as f32);
    let height = (max.y - min.y).max(1.0);
    let size_share = (height / MIN_HEIGHT_PX).min(height / (size.max_element() * MIN_HEIGHT_SHARE));
    let room = min.min(size - max).min_element() / height;
    let light = Light::of_face(picture, min, max);
    let [yaw, pitch, _] = face.pose.yaw_pitch_roll_rads().map(|rads| rads.to_degrees().abs());
    let in_sight = face.presence.min(1.0 - face.covered);
    [light.brightness, light.burnt_share, size_share, room, yaw, pitch, in_sight].map(Some)
}

#[cfg(test)]
mod tests;
