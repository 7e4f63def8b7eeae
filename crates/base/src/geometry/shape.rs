//! A face's shape freed from where the head is: the common ground of driver and identity.

use glam::{Mat3, Quat, Vec2, Vec3};

use super::{HeadPose, Landmarks, N_LANDMARKS};

/// Points that move with the skull and not with the expression: eye corners, bridge and sides of
/// the nose, temples, upper forehead.
const RIGID_POINTS: [usize; 16] = [33, 133, 362, 263, 168, 6, 197, 195, 127, 356, 234, 454, 10, 151, 109, 338];

/// Root mean square distance of the [`RIGID_POINTS`] from their mean, in face widths, on the
/// canonical mesh (face width: distance of the outer eye corners 33 and 263).
const RIGID_RADIUS: f32 = 0.6639;

/// A face as weak perspective sees it: `p_px = centre_px + width_px * (rotation * p).xy`.
///
/// Head space here is x to the picture's right, y down, z away from the camera for a frontal
/// head; the unit is the face width (outer eye corner to outer eye corner, seen frontally).
/// The decomposition is exact: [`FaceShape::landmarks_px`] gives back what it was made from, with depths
/// relative to the mean of the points that do not move with the expression.
#[derive(Clone, Debug)]
pub struct FaceShape {
    /// Mean of the points that do not move with the expression, in pixels.
    pub centre_px: Vec2,
    /// Face width in pixels.
    pub width_px: f32,
    /// Rotation from head space to the camera's.
    pub rotation: Quat,
    /// The points in head space, in face widths.
    pub points: [Vec3; N_LANDMARKS],
}

impl FaceShape {
    /// Takes a face apart.
    pub fn new(landmarks_px: &Landmarks, pose: &HeadPose) -> Self {
        let centre = RIGID_POINTS.iter().map(|&i| landmarks_px[i]).sum::<Vec3>() / RIGID_POINTS.len() as f32;
        let mean_square = RIGID_POINTS.iter().map(|&i| landmarks_px[i].distance_squared(centre)).sum::<f32>()
            / RIGID_POINTS.len() as f32;
        // A face of no size would make every later division meaningless.
        let width_px = (mean_square.sqrt() / RIGID_RADIUS).max(1e-3);
        let rotation = rotation_from_frontal(pose);
        let to_head = rotation.inverse();
        Self {
            centre_px: centre.truncate(),
            width_px,
            rotation,
            points: std::array::from_fn(|i| to_head * (landmarks_px[i] - centre) / width_px),
        }
    }

    /// Puts the face together again.
    pub fn landmarks_px(&self) -> Landmarks {
        let centre = self.centre_px.extend(0.0);
        std::array::from_fn(|i| centre + self.rotation * self.points[i] * self.width_px)
    }
}

/// The head's rotation away from looking straight into the camera, in camera space.
pub fn rotation_from_frontal(pose: &HeadPose) -> Quat {
    let flip = Mat3::from_diagonal(Vec3::new(1.0, -1.0, -1.0));
    Quat::from_mat3(&(pose.camera_from_head * flip)).normalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_apart_and_putting_together_gives_the_same_points() {
        let landmarks: Landmarks = std::array::from_fn(|i| {
            let t = i as f32;
            Vec3::new(200.0 + 80.0 * (t * 0.7).sin(), 220.0 + 90.0 * (t * 1.3).cos(), 30.0 * (t * 0.3).sin())
        });
        let pose = HeadPose {
            camera_from_head: Mat3::from_rotation_y(0.4)
                * Mat3::from_rotation_x(0.2)
                * HeadPose::default().camera_from_head,
            ..HeadPose::default()
        };
        let mean_z = RIGID_POINTS.iter().map(|&i| landmarks[i].z).sum::<f32>() / RIGID_POINTS.len() as f32;
        for (a, b) in landmarks.iter().zip(FaceShape::new(&landmarks, &pose).landmarks_px()) {
            let b = b + Vec3::Z * mean_z;
            assert!(a.distance(b) < 1e-3, "{a} became {b}");
        }
    }
}
