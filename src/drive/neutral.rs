//! The driver's pose at rest: what relative motion of the head is measured from.

use glam::{Quat, Vec2};

use crate::clock::Timestamp;
use crate::geometry::FaceShape;

/// Before anything was seen, a head that looks into the camera counts as if it had been seen for so long.
const PRIOR_SECS: f32 = 2.0;
/// What was seen longer ago than this is forgotten.
const MEMORY_SECS: f32 = 60.0;
/// A head turned so far counts half, in radians.
const HALF_TURN_RADS: f32 = 0.12;

/// An estimate over all that was seen of where the driver's head is at rest.
#[derive(Clone, Debug)]
pub(super) struct RestingPose {
    /// Rotation from looking into the camera.
    pub(super) rotation: Quat,
    /// Middle of the head in the frame, in pixels.
    pub(super) centre_px: Vec2,
    /// Face width in pixels.
    pub(super) width_px: f32,
    rotation_secs: f32,
    place_secs: f32,
    last: Option<Timestamp>,
    is_asked: bool,
}

impl Default for RestingPose {
    fn default() -> Self {
        Self {
            rotation: Quat::IDENTITY,
            centre_px: Vec2::ZERO,
            width_px: 1.0,
            rotation_secs: PRIOR_SECS,
            place_secs: 0.0,
            last: None,
            is_asked: false,
        }
    }
}

impl RestingPose {
    /// Takes the next frame's pose as it is.
    pub(super) fn calibrate(&mut self) {
        self.is_asked = true;
    }

    /// Begins anew, with somebody else.
    pub(super) fn reset(&mut self) {
        *self = Self { is_asked: self.is_asked, ..Self::default() };
    }

    /// Looks at a frame; `calm` is how near its expression is to rest, 0..1.
    pub(super) fn update(&mut self, shape: &FaceShape, calm: f32, now: Timestamp) {
        if !(shape.centre_px.is_finite() && shape.width_px.is_finite() && shape.rotation.is_finite()) {
            return;
        }
        let elapsed_secs = self.last.map_or(0.04, |last| now.since(last).as_secs_f32().min(0.2));
        self.last = Some(now);
        if std::mem::take(&mut self.is_asked) {
            (self.rotation, self.centre_px, self.width_px) = (shape.rotation, shape.centre_px, shape.width_px);
            (self.rotation_secs, self.place_secs) = (MEMORY_SECS, MEMORY_SECS);
            return;
        }
        let turned = Quat::IDENTITY.angle_between(shape.rotation) / HALF_TURN_RADS;
        let count = elapsed_secs * calm / (1.0 + turned * turned);
        let share = |secs: &mut f32| {
            *secs = (*secs + count).min(MEMORY_SECS);
            (count / secs.max(1e-6)).min(1.0)
        };
        self.rotation = self.rotation.slerp(shape.rotation, share(&mut self.rotation_secs)).normalize();
        let place = share(&mut self.place_secs);
        self.centre_px = self.centre_px.lerp(shape.centre_px, place);
        self.width_px += (shape.width_px - self.width_px) * place;
    }
}

#[cfg(test)]
mod tests {
    use glam::Vec3;

    use super::*;
    use crate::geometry::N_LANDMARKS;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    fn turned(yaw_rads: f32) -> FaceShape {
        FaceShape {
            centre_px: Vec2::new(320.0, 240.0),
            width_px: 100.0,
            rotation: Quat::from_rotation_y(yaw_rads),
            points: [Vec3::ZERO; N_LANDMARKS],
        }
    }

    #[test]
    fn a_driver_who_begins_turned_is_seen_as_turned() {
        let mut rest = RestingPose::default();
        rest.update(&turned(0.5), 1.0, at(0));
        assert!(rest.rotation.angle_between(Quat::IDENTITY) < 0.05);
        assert_eq!((rest.centre_px, rest.width_px), (Vec2::new(320.0, 240.0), 100.0));
    }

    #[test]
    fn a_pose_that_lasts_becomes_the_rest_and_a_glance_aside_does_not() {
        let mut rest = RestingPose::default();
        for i in 0..600 {
            let yaw = if i % 60 < 10 { 0.6 } else { 0.1 };
            rest.update(&turned(yaw), 1.0, at(i * 40));
        }
        let found = rest.rotation.angle_between(Quat::IDENTITY);
        assert!((found - 0.1).abs() < 0.04, "{found}");
    }

    #[test]
    fn what_the_user_chooses_holds_at_once() {
        let mut rest = RestingPose::default();
        rest.update(&turned(0.0), 1.0, at(0));
        rest.calibrate();
        rest.update(&turned(0.4), 0.1, at(40));
        assert!(rest.rotation.angle_between(Quat::from_rotation_y(0.4)) < 1e-3);
    }
}
