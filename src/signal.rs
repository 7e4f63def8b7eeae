//! What moves, not who moves: the one thing that goes from the driver to the portrait.

use glam::{Quat, Vec2, Vec3};

use crate::geometry::{
    FaceShape, HeadPlacement, Landmarks, MouthContents, N_COEFFICIENTS, N_LANDMARKS, eye_openness, mouth_openness,
};

pub use composition::{Composition, N_NUMBERS, jacobian, rotation};
pub use dense::DenseMotion;
pub use latent::{DriverLatent, LatentMotion};

mod composition;
mod dense;
mod latent;

/// What the portrait shall do in one frame. Carries no picture.
///
/// Head space is the identity's own: x to the picture's right, y down, z away from the camera
/// when the head looks into the camera; lengths are in face widths (the distance of the outer
/// eye corners, seen frontally).
#[derive(Clone, Debug, PartialEq)]
pub struct DrivingSignal {
    /// Rotation of the head. Relative motion: from its pose in the portrait. Absolute: from frontal.
    pub rotation: Quat,
    /// Position of the head. Relative: shift from its place in the portrait, in face widths.
    /// Absolute: its centre in the picture, 0..1.
    pub translation: Vec2,
    /// Size of the head. Relative: ratio to the portrait. Absolute: face width / picture width.
    pub scale: f32,
    /// Whether rotation, translation and scale are relative to the portrait.
    pub is_relative: bool,
    /// How far each point is displaced in head space from the portrait's own shape, in face widths.
    pub displacement: [Vec3; N_LANDMARKS],
    /// Opening of the right and left eye, ratio to the portrait's: 0 shut, 1 as on the portrait.
    pub eye_openness: [f32; 2],
    /// Opening of the mouth between the inner lips, in face widths.
    pub mouth_openness: f32,
    /// Strength of each expression of the driver, 0..1.
    pub coefficients: [f32; N_COEFFICIENTS],
    /// What the driver's open mouth shows.
    pub mouth: MouthContents,
    /// What moves beside the mesh.
    pub dense: DenseMotion,
    /// How the latent of the driver's pictures changes, for generators that are driven by it.
    pub latent: LatentMotion,
}

impl DrivingSignal {
    /// The signal that shows the portrait as it was taken.
    pub fn rest(identity: &FaceShape, size_px: usize, motion: Motion) -> Self {
        let size_px = size_px as f32;
        let (rotation, translation, scale) = match motion {
            Motion::Relative => (Quat::IDENTITY, Vec2::ZERO, 1.0),
            Motion::Absolute => (identity.rotation, identity.centre_px / size_px, identity.width_px / size_px),
        };
        Self {
            rotation,
            translation,
            scale,
            is_relative: motion == Motion::Relative,
            displacement: [Vec3::ZERO; N_LANDMARKS],
            eye_openness: [1.0; 2],
            mouth_openness: mouth_openness(&identity.points),
            coefficients: [0.0; N_COEFFICIENTS],
            mouth: MouthContents::UNKNOWN,
            dense: DenseMotion::NONE,
            latent: LatentMotion::NONE,
        }
    }

    /// The signal that takes the driver's pose and geometry as they are. `shape` is the driver's, seen in a frame of the
    /// given (width, height).
    pub fn absolute(
        identity: &FaceShape,
        shape: &FaceShape,
        frame_size_px: (usize, usize),
        coefficients: &[f32; N_COEFFICIENTS],
    ) -> Self {
        let (width, height) = (frame_size_px.0.max(1) as f32, frame_size_px.1.max(1) as f32);
        // A frame that is not square is cut to the square in its middle, as enrolment does.
        let side = width.min(height);
        let margin = (Vec2::new(width, height) - side) / 2.0;
        let open = eye_openness(&shape.points);
        let own = eye_openness(&identity.points);
        Self {
            rotation: shape.rotation,
            translation: (shape.centre_px - margin.floor()) / side,
            scale: shape.width_px / side,
            is_relative: false,
            displacement: std::array::from_fn(|i| shape.points[i] - identity.points[i]),
            eye_openness: std::array::from_fn(|eye| (open[eye] / own[eye].max(1e-3)).clamp(0.0, 1.6)),
            mouth_openness: mouth_openness(&shape.points),
            coefficients: *coefficients,
            mouth: MouthContents::UNKNOWN,
            dense: DenseMotion::NONE,
            latent: LatentMotion::NONE,
        }
    }

    /// The signal between two others: `t` = 0 is `self`, 1 is `other`.
    #[must_use]
    pub fn lerp(&self, other: &Self, t: f32) -> Self {
        let mix = |a: f32, b: f32| a + (b - a) * t;
        Self {
            rotation: self.rotation.slerp(other.rotation, t),
            translation: self.translation.lerp(other.translation, t),
            scale: mix(self.scale, other.scale),
            is_relative: other.is_relative,
            displacement: std::array::from_fn(|i| self.displacement[i].lerp(other.displacement[i], t)),
            eye_openness: std::array::from_fn(|i| mix(self.eye_openness[i], other.eye_openness[i])),
            mouth_openness: mix(self.mouth_openness, other.mouth_openness),
            coefficients: std::array::from_fn(|i| mix(self.coefficients[i], other.coefficients[i])),
            mouth: self.mouth.lerp(&other.mouth, t),
            dense: self.dense.lerp(&other.dense, t),
            latent: self.latent.lerp(&other.latent, t),
        }
    }

    /// Where the head goes in a square picture of `size_px`; `rest` is where it is at rest in that picture.
    pub fn placement(&self, rest: &HeadPlacement, size_px: usize) -> HeadPlacement {
        if self.is_relative {
            HeadPlacement {
                centre_px: rest.centre_px + self.translation * rest.width_px,
                width_px: rest.width_px * self.scale,
                rotation: self.rotation * rest.rotation,
            }
        } else {
            HeadPlacement {
                centre_px: self.translation * size_px as f32,
                width_px: size_px as f32 * self.scale,
                rotation: self.rotation,
            }
        }
    }

    /// Writes where all points go: pixels of the picture that `placement` is in, z away from the camera.
    pub fn landmarks_px(&self, shape: &FaceShape, placement: &HeadPlacement, landmarks: &mut Landmarks) {
        for ((to, &point), &shift) in landmarks.iter_mut().zip(&shape.points).zip(&self.displacement) {
            *to = placement.project(point + shift);
        }
    }
}

/// Whether the driver's pose is taken as it is or from where the driver began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Motion {
    /// The portrait moves from its own pose as the driver moves from neutral.
    #[default]
    Relative,
    /// The portrait takes the driver's pose and geometry as they are: for the same person, or to measure.
    Absolute,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(width_px: f32, spread: f32) -> FaceShape {
        let points = std::array::from_fn(|i| Vec3::new((i as f32 * 0.7).sin(), (i as f32 * 1.3).cos(), 0.1) * spread);
        FaceShape { centre_px: Vec2::new(320.0, 240.0), width_px, rotation: Quat::IDENTITY, points }
    }

    #[test]
    fn absolute_motion_gives_the_drivers_points() {
        let (identity, driver) = (face(90.0, 0.5), face(100.0, 0.6));
        let signal = DrivingSignal::absolute(&identity, &driver, (640, 480), &[0.0; N_COEFFICIENTS]);
        for i in 0..N_LANDMARKS {
            assert!((identity.points[i] + signal.displacement[i]).distance(driver.points[i]) < 1e-5);
        }
        assert_eq!(signal.translation, Vec2::new((320.0 - 80.0) / 480.0, 0.5));
        let placement = signal.placement(&HeadPlacement::at_rest(&identity, 1.0), 480);
        assert_eq!(placement.centre_px, Vec2::new(240.0, 240.0), "in the middle square of the frame");
        assert!((placement.width_px - 100.0).abs() < 1e-4);
    }
}
