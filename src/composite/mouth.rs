//! Where the mouth is in the picture, so that nothing is drawn over it.

use glam::Vec2;

use super::badge::Bounds;
use crate::geometry::{FaceShape, HeadPlacement};
use crate::identity::Identity;
use crate::signal::DrivingSignal;

/// The points around the lips.
const LIPS: [usize; 20] = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185];
/// What generators draw beside the points, and the lips' own edge, for the mouth's width.
const MARGIN: f32 = 0.12;

/// The mouth of who is shown, as the last signal moved it.
pub(super) struct Mouth {
    shape: Box<FaceShape>,
    /// The head at rest in the generated square, as a part of its side.
    rest: HeadPlacement,
    /// In 0..1 of the generated square.
    bounds: Bounds,
}

impl Mouth {
    /// The mouth as the portrait has it.
    pub(super) fn of(identity: &Identity) -> Self {
        let rest = HeadPlacement::at_rest(&identity.shape, 1.0 / identity.size_px() as f32);
        let points = LIPS.map(|i| rest.project(identity.shape.points[i]).truncate());
        Self { shape: Box::new(identity.shape.clone()), rest, bounds: around(points) }
    }

    /// Learns where the next portrait has it.
    pub(super) fn follow(&mut self, signal: &DrivingSignal) {
        let placement = signal.placement(&self.rest, 1);
        let point = |i: usize| placement.project(self.shape.points[i] + signal.displacement[i]).truncate();
        let bounds = around(LIPS.map(point));
        // What is no place moves nothing.
        if bounds.least.is_finite() && bounds.most.is_finite() {
            self.bounds = bounds;
        }
    }

    /// Where it is in a frame that shows the square from `corner_px` on, `side_px` large, mirrored or not.
    pub(super) fn in_frame(&self, corner_px: Vec2, side_px: f32, is_mirrored: bool) -> Bounds {
        let Bounds { least, most } = self.bounds;
        let (left, right) = if is_mirrored { (1.0 - most.x, 1.0 - least.x) } else { (least.x, most.x) };
        Bounds {
            least: corner_px + Vec2::new(left, least.y) * side_px,
            most: corner_px + Vec2::new(right, most.y) * side_px,
        }
    }
}

fn around(points: [Vec2; LIPS.len()]) -> Bounds {
    let (least, most) = points.iter().fold((points[0], points[0]), |(least, most), p| (least.min(*p), most.max(*p)));
    let margin = Vec2::splat((most.x - least.x) * MARGIN);
    Bounds { least: least - margin, most: most + margin }
}
