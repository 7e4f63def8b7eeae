//! Motion as numbers: out to other programs as a tracker, in from them instead of a camera.
//!
//! A [`MotionFrame`] is what a frame's face did: coefficients and the head's pose, no picture. [`MotionSink`]s are fed from
//! slots of their own behind the generate thread; sources of motion stand among the others in `capture`.

use glam::{Quat, Vec3};

use crate::error::Result;
use crate::geometry::{FaceObservation, N_COEFFICIENTS, rotation_from_frontal};
use crate::motion::MotionSample;

pub use file::MotionFileSink;
pub(crate) use file::parse_line;
pub use protocol::Protocol;
pub use spec::{Heard, MotionSinkSpec, MotionSourceSpec};
pub use udp::UdpMotionSink;

mod file;
mod ifacialmocap;
mod names;
mod protocol;
mod spec;
mod udp;
mod vmc;

/// No head is farther from its camera than this, in centimetres.
const MAX_DISTANCE_CM: f32 = 1000.0;
/// How far an eye turns at a coefficient of 1, in radians: what phones take it for.
const GAZE_RADS: f32 = 0.5;

/// What a face does in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct MotionFrame {
    /// Seconds since the sender's start.
    pub secs: f64,
    /// Whether a face is seen; the rest counts only then.
    pub is_seen: bool,
    /// Strength of each expression, 0..1, in the order of [`crate::geometry::COEFFICIENT_NAMES`].
    pub coefficients: [f32; N_COEFFICIENTS],
    /// The head's rotation from looking into the camera, in camera space: x right, y down, z away.
    pub head_rotation: Quat,
    /// Where the head is, in camera space, in centimetres.
    pub head_cm: Vec3,
}

impl Default for MotionFrame {
    /// A face at rest, half a metre before the camera, that is not seen.
    fn default() -> Self {
        Self {
            secs: 0.0,
            is_seen: false,
            coefficients: [0.0; N_COEFFICIENTS],
            head_rotation: Quat::IDENTITY,
            head_cm: Vec3::new(0.0, 0.0, 50.0),
        }
    }
}

impl MotionFrame {
    /// Takes what was observed; `None` is a face that is not seen. Allocates nothing.
    pub fn observe(&mut self, face: Option<&FaceObservation>, secs: f64) {
        self.secs = secs;
        self.is_seen = face.is_some();
        if let Some(face) = face {
            self.coefficients = face.coefficients;
            self.head_rotation = rotation_from_frontal(&face.pose);
            self.head_cm = face.pose.translation_cm;
            self.mend();
        }
    }

    /// Where the right and the left eye look, as (yaw to the picture's right, pitch up), in radians.
    pub fn gaze_rads(&self) -> [[f32; 2]; 2] {
        ["Right", "Left"].map(|side| {
            let at = |way: &str| names::index(&format!("eyeLook{way}{side}")).map_or(0.0, |c| self.coefficients[c]);
            // The right eye's outer corner is at the picture's left.
            let outward = if side == "Right" { -1.0 } else { 1.0 };
            [GAZE_RADS * outward * (at("Out") - at("In")), GAZE_RADS * (at("Up") - at("Down"))]
        })
    }

    /// The same as a sample of a motion, as models of motion take it; places count in the mean of faces' widths.
    pub fn sample(&self) -> MotionSample {
        /// The mean distance of the outer eye corners.
        const FACE_WIDTH_CM: f32 = 9.0;
        let place = self.head_cm.truncate() / FACE_WIDTH_CM;
        MotionSample {
            secs: self.secs,
            turn: self.head_rotation,
            place: place.extend(-self.head_cm.z.max(1.0).ln()),
            coefficients: self.coefficients,
        }
    }

    /// Sets a coefficient; what is no number is left as it was.
    fn set(&mut self, index: usize, value: f32) {
        if value.is_finite() {
            self.coefficients[index] = value.clamp(0.0, 1.0);
        }
    }

    /// Sets the head's rotation; what is none is left as it was.
    fn set_rotation(&mut self, rotation: Quat) {
        let length = rotation.length();
        if length.is_finite() && length > 1e-3 {
            self.head_rotation = rotation / length;
        }
    }

    /// Sets where the head is; what cannot be is left as it was.
    fn set_place(&mut self, place_cm: Vec3) {
        if place_cm.is_finite() && place_cm.length() < MAX_DISTANCE_CM {
            self.head_cm = place_cm;
        }
    }

    /// Replaces what is no number.
    fn mend(&mut self) {
        let rest = Self::default();
        for value in &mut self.coefficients {
            *value = if value.is_finite() { value.clamp(0.0, 1.0) } else { 0.0 };
        }
        if !(self.head_rotation.is_finite() && self.head_rotation.is_normalized()) {
            self.head_rotation = rest.head_rotation;
        }
        if !(self.head_cm.is_finite() && self.head_cm.length() < MAX_DISTANCE_CM) {
            self.head_cm = rest.head_cm;
        }
    }
}

/// Where motion goes, one owner, one thread.
pub trait MotionSink: Send {
    /// What it is, for the user.
    fn name(&self) -> &str;

    /// Sends or writes one frame.
    ///
    /// # Errors
    /// When it cannot go on. That nobody listens is none.
    fn send(&mut self, frame: &MotionFrame) -> Result<()>;

    /// Completes what was begun. Called once, also after an error elsewhere.
    ///
    /// # Errors
    /// When completing fails.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Opens a sink of motion.
///
/// # Errors
/// When there is no such host, or the file cannot be written.
pub fn open_sink(spec: &MotionSinkSpec) -> Result<Box<dyn MotionSink>> {
    Ok(match spec {
        MotionSinkSpec::Udp(protocol, address) => Box::new(UdpMotionSink::open(*protocol, address)?),
        MotionSinkSpec::File(path) => Box::new(MotionFileSink::create(path)?),
    })
}

/// What takes datagrams apart.
pub(crate) trait Reader: Send {
    /// Takes one datagram; `true` when a frame is whole, which then stands in `frame`.
    fn take(&mut self, datagram: &[u8], frame: &mut MotionFrame) -> bool;

    /// Another sender begins.
    fn reset(&mut self);
}

/// A frame that differs in every number, for tests.
#[cfg(test)]
pub(crate) fn lively(step: usize) -> MotionFrame {
    let t = step as f32;
    let mut coefficients: [f32; N_COEFFICIENTS] =
        std::array::from_fn(|c| 0.5 + 0.5 * (t * 0.31 + c as f32 * 0.77).sin());
    coefficients[0] = 0.0;
    MotionFrame {
        secs: f64::from(t) / 30.0,
        is_seen: true,
        coefficients,
        head_rotation: Quat::from_euler(glam::EulerRot::YXZ, 0.5 * (t * 0.1).sin(), 0.3 * (t * 0.17).cos(), 0.2),
        head_cm: Vec3::new(4.0 * (t * 0.2).sin(), -3.0, 55.0 + 5.0 * (t * 0.05).cos()),
    }
}

/// How far two frames are apart, for tests: the largest share of each number's range.
#[cfg(test)]
pub(crate) fn apart(a: &MotionFrame, b: &MotionFrame) -> f32 {
    let coefficient = a.coefficients.iter().zip(&b.coefficients).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let turn = a.head_rotation.angle_between(b.head_rotation) / std::f32::consts::PI;
    let place = a.head_cm.distance(b.head_cm) / a.head_cm.length();
    coefficient.max(turn).max(place)
}
