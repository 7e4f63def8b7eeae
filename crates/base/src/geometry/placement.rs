//! Where a head is in a picture.

use glam::{Quat, Vec2, Vec3};

use super::FaceShape;

/// Where a head is in a picture, by weak perspective: `p_px = centre_px + width_px * (rotation * p).xy`.
///
/// `p` is in head space, in face widths: see [`FaceShape`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadPlacement {
    /// The head's centre in the picture, in pixels.
    pub centre_px: Vec2,
    /// Face width in pixels.
    pub width_px: f32,
    /// Rotation from head space to the camera's.
    pub rotation: Quat,
}

impl HeadPlacement {
    /// The head as in the portrait, in a picture `output_per_portrait` times as large.
    pub fn at_rest(shape: &FaceShape, output_per_portrait: f32) -> Self {
        Self {
            centre_px: shape.centre_px * output_per_portrait,
            width_px: shape.width_px * output_per_portrait,
            rotation: shape.rotation,
        }
    }

    /// Where a point of head space is: x and y in pixels of the picture, z away from the camera in the same unit.
    pub fn project(&self, point: Vec3) -> Vec3 {
        self.centre_px.extend(0.0) + self.rotation * point * self.width_px
    }

    /// The point of head space at `at_px` of the picture whose z in head space is `head_depth` face widths.
    pub fn unproject(&self, at_px: Vec2, head_depth: f32) -> Vec3 {
        let right = self.rotation * Vec3::X;
        let down = self.rotation * Vec3::Y;
        let away = self.rotation * Vec3::Z;
        let rest = (at_px - self.centre_px) / self.width_px - away.truncate() * head_depth;
        let determinant = right.x * down.y - down.x * right.y;
        // A head seen from the side has no such point; enrolment refuses it long before.
        let scale = 1.0 / if determinant.abs() < 0.1 { 0.1 } else { determinant };
        Vec3::new(
            (rest.x * down.y - rest.y * down.x) * scale,
            (rest.y * right.x - rest.x * right.y) * scale,
            head_depth,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unproject_undoes_project() {
        let placement = HeadPlacement {
            centre_px: Vec2::new(250.0, 230.0),
            width_px: 140.0,
            rotation: Quat::from_rotation_y(0.4) * Quat::from_rotation_z(-0.2),
        };
        let point = Vec3::new(0.6, -0.8, 0.3);
        let back = placement.unproject(placement.project(point).truncate(), 0.3);
        assert!(back.distance(point) < 1e-4, "{point} became {back}");
    }
}
