//! From the driver's head to the identity's: pose, and the limits of what a portrait can carry.

use glam::{Quat, Vec2, Vec3};

use super::expression::Driven;
use super::neutral::RestingPose;
use super::{DenseMotion, DrivingSignal, LatentMotion};
use crate::frame::Grey;
use crate::geometry::{FaceShape, MouthContents, N_COEFFICIENTS, N_LANDMARKS, mouth_openness};

/// How far a portrait's head may turn from frontal, in radians: beyond, a photo has nothing to show.
const MAX_YAW_RADS: f32 = 0.70;
/// How far it may nod.
const MAX_PITCH_RADS: f32 = 0.50;
/// How far it may tilt from its own tilt.
const MAX_ROLL_RADS: f32 = 0.60;
/// How much larger the head may become: beyond, a portrait of 512 pixels looks soft.
const MAX_SCALE: f32 = 1.5;
/// How far a point may be displaced, in face widths: an open jaw moves the chin by 0.5.
const MAX_DISPLACEMENT: f32 = 0.7;

/// How far a portrait's head can go without tearing itself off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Room {
    /// To either side, in face widths.
    sideways: f32,
    /// Up and down, in face widths.
    up: f32,
    down: f32,
    /// The smallest ratio of sizes.
    min_scale: f32,
}

impl Room {
    /// The room of a head that a neck joins to shoulders at rest.
    pub(super) fn of(matte: &Grey) -> Self {
        let top = matte.row(0);
        let n_person = top.iter().filter(|alpha| **alpha > 127).count();
        // Hair that the picture's border cuts off must stay there: beyond it there is nothing to show.
        let is_cut_off = n_person * 50 > top.len();
        let (down, min_scale) = if is_cut_off { (0.04, 0.97) } else { (0.30, 0.75) };
        Self { sideways: 0.45, up: 0.25, down, min_scale }
    }

    /// Keeps a shift of the head, in face widths, where there is something to show.
    pub(super) fn keep(&self, shift: Vec2) -> Vec2 {
        let vertical = if shift.y < 0.0 { self.up } else { self.down };
        Vec2::new(soft_limit(shift.x, self.sideways), soft_limit(shift.y, vertical))
    }

    /// Keeps a ratio of sizes where there is something to show.
    pub(super) fn keep_scale(&self, scale: f32) -> f32 {
        scale.clamp(self.min_scale, MAX_SCALE)
    }
}

/// The head's motion from the driver's rest, carried over to the identity; the face is left as it is in the portrait.
pub(super) fn relative(
    identity: &FaceShape,
    room: Room,
    rest: &RestingPose,
    shape: &FaceShape,
    coefficients: &[f32; N_COEFFICIENTS],
    strength: f32,
) -> DrivingSignal {
    let turn = shape.rotation * rest.rotation.inverse();
    let turn = Quat::IDENTITY.slerp(turn, strength.min(1.0)) * Quat::IDENTITY.slerp(turn, (strength - 1.0).max(0.0));
    let rotation = clamp_rotation(turn * identity.rotation) * identity.rotation.inverse();
    // Beyond 1 turns are strengthened, but a head does not leave its place any further.
    let shift = (shape.centre_px - rest.centre_px) / rest.width_px * strength.min(1.0);
    let scale = 1.0 + (shape.width_px / rest.width_px - 1.0) * strength.min(1.0);
    DrivingSignal {
        rotation: rotation.normalize(),
        translation: room.keep(shift),
        scale: room.keep_scale(scale),
        is_relative: true,
        displacement: [Vec3::ZERO; N_LANDMARKS],
        eye_openness: [1.0; 2],
        mouth_openness: 0.0,
        coefficients: *coefficients,
        mouth: MouthContents::UNKNOWN,
        dense: DenseMotion::NONE,
        latent: LatentMotion::NONE,
    }
}

/// Lets the identity's points in head space be where `driven` has them.
pub(super) fn express(identity: &FaceShape, driven: &Driven, signal: &mut DrivingSignal) {
    for (i, shift) in signal.displacement.iter_mut().enumerate() {
        *shift = driven.points[i] - identity.points[i];
    }
    signal.eye_openness = driven.eye_openness;
    signal.mouth_openness = mouth_openness(&driven.points);
    limit(signal);
}

/// Keeps what a portrait cannot carry away from it.
fn limit(signal: &mut DrivingSignal) {
    for point in &mut signal.displacement {
        // A point that is not a number must not reach the warp.
        *point = if point.is_finite() { point.clamp_length_max(MAX_DISPLACEMENT) } else { Vec3::ZERO };
    }
}

/// Bends a rotation back into what a portrait can show, softly, so that nothing stops with a jolt.
fn clamp_rotation(rotation: Quat) -> Quat {
    let (yaw, pitch, roll) = rotation.to_euler(glam::EulerRot::YXZ);
    Quat::from_euler(
        glam::EulerRot::YXZ,
        soft_limit(yaw, MAX_YAW_RADS),
        soft_limit(pitch, MAX_PITCH_RADS),
        soft_limit(roll, MAX_ROLL_RADS),
    )
}

/// Equal to `x` up to three quarters of `limit`, and never beyond `limit`.
fn soft_limit(x: f32, limit: f32) -> f32 {
    let knee = 0.75 * limit;
    let room = limit - knee;
    let beyond = x.abs() - knee;
    if beyond <= 0.0 { x } else { x.signum() * (knee + room * (beyond / room).tanh()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_stays_on_its_shoulders_and_cut_hair_at_the_border() {
        let cut_off = Grey::from_data(8, 8, vec![255; 64]).unwrap();
        for (matte, down) in [(Grey::new(8, 8), 0.30), (cut_off, 0.04)] {
            let room = Room::of(&matte);
            for shift in [Vec2::new(3.0, 3.0), Vec2::new(-3.0, -3.0)] {
                let kept = room.keep(shift);
                assert!(kept.x.abs() <= 0.45 && kept.y <= down && kept.y >= -0.25, "{kept}");
            }
            assert_eq!(room.keep(Vec2::new(0.1, 0.02)), Vec2::new(0.1, 0.02), "small motion is as it is");
        }
    }

    #[test]
    fn limits_are_soft_and_hold() {
        assert_eq!(soft_limit(0.3, 0.7), 0.3);
        assert!(soft_limit(2.0, 0.7) <= 0.7 && soft_limit(-2.0, 0.7) >= -0.7);
        assert!((soft_limit(0.526, 0.7) - 0.526).abs() < 1e-3, "no step at the knee");
    }
}
