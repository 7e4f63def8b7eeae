//! What a view shows, and what a frame shall show, in the few numbers by which a view is chosen.

use glam::Quat;

use crate::geometry::{FaceShape, eye_openness, mouth_openness};
use crate::signal::DrivingSignal;

/// A turn of the head that counts as much as one unit of anything else.
const TURN_RADS: f32 = 0.17;
/// An opening of the mouth more or less than the view's that does, in face widths: lips that part show teeth that the view
/// has not, and lips that shut are drawn best where they were shut.
const MOUTH: f32 = 0.10;
/// A share of the open eye beyond the view's that does: an eye that is shut in the view cannot be opened.
const EYES_OPEN: f32 = 0.3;
/// The same for eyes that shut: a blink is short, and lids are drawn well.
const EYES_SHUT: f32 = 1.4;

/// Turn of the head, opening of mouth and eyes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Wish {
    pub(crate) rotation: Quat,
    /// In face widths.
    pub(crate) mouth: f32,
    /// Of both eyes together, 1 as in the main portrait.
    pub(crate) eyes: f32,
}

impl Wish {
    /// What a view shows.
    pub(crate) fn of_view(shape: &FaceShape, main: &FaceShape) -> Self {
        let (own, main) = (eye_openness(&shape.points), eye_openness(&main.points));
        Self {
            rotation: shape.rotation,
            mouth: mouth_openness(&shape.points),
            eyes: (own[0] + own[1]) / (main[0] + main[1]).max(1e-3),
        }
    }

    /// What a frame shall show of the main portrait, which rests at `rest`.
    pub(crate) fn of_frame(signal: &DrivingSignal, main: &FaceShape, rest: Quat) -> Self {
        let rotation = if signal.is_relative { signal.rotation * rest } else { signal.rotation };
        let mut points = main.points;
        for (point, shift) in points.iter_mut().zip(&signal.displacement) {
            *point += *shift;
        }
        Self { rotation, ..Self::of_view(&FaceShape { rotation, points, ..*main }, main) }
    }

    /// How far a view that shows this is from what is wished: 1 is a turn of ten degrees, or lips that part. A tilt in the
    /// picture's plane counts for nothing: any view can be tilted.
    pub(crate) fn distance(&self, wish: &Self) -> f32 {
        let turn = turn_rads(self.rotation, wish.rotation) / TURN_RADS;
        let mouth = (wish.mouth - self.mouth) / MOUTH;
        let opened = wish.eyes - self.eyes;
        let eyes = if opened > 0.0 { opened / EYES_OPEN } else { opened / EYES_SHUT };
        (turn * turn + mouth * mouth + eyes * eyes).sqrt()
    }
}

/// The angle between the directions that two heads look in, each seen from the camera with its tilt undone.
pub(crate) fn turn_rads(a: Quat, b: Quat) -> f32 {
    let look = |rotation: Quat| rotation.inverse() * glam::Vec3::Z;
    look(a).angle_between(look(b))
}
