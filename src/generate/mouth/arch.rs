//! Where the teeth stand: two arches in head space.

use glam::{Mat2, Vec2, Vec3};

use crate::geometry::{HeadPlacement, N_LANDMARKS};

/// How strongly the arches are bent: depth = bend · x², in face widths. By eye; so is [`BELOW_LIP`]. The other numbers are
/// ICT-FaceKit's mean head's.
const BEND: f32 = 2.2;
/// From the bridge of the nose (168) down to its foot (2).
const NOSE: f32 = 0.554;
/// From the foot of the nose down to the edge of the upper teeth, and from it back to their front.
const UPPER: [f32; 2] = [0.261, 0.087];
/// The lower teeth stand behind the upper ones.
const OVERJET: f32 = 0.024;
/// How far the edge of the lower teeth is below the lower lip's inner edge while both rest.
const BELOW_LIP: f32 = 0.022;

/// The foot of the nose, the bridge, the chin, the middle of the lower lip's inner edge.
const FOOT: usize = 2;
const BRIDGE: usize = 168;
const CHIN: usize = 152;
const LOWER_MIDDLE: usize = 14;

/// One row of teeth: a vertical sheet that is bent away from the camera at both sides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arch {
    /// The middle of the teeth's edge, at their front, in head space.
    pub(super) edge: Vec3,
}

impl Arch {
    /// The upper teeth of a face: they stand still in the head. `shift` is how far their edge is below that of an average
    /// person with such a nose.
    pub(super) fn upper(points: &[Vec3; N_LANDMARKS], shift: f32) -> Self {
        Self { edge: points[FOOT] + Vec3::new(0.0, UPPER[0] * scale(points) + shift, UPPER[1]) }
    }

    /// The lower teeth: they go where the chin goes, from which their edge is `from_chin` down.
    pub(super) fn lower(points: &[Vec3; N_LANDMARKS], from_chin: f32) -> Self {
        let chin = points[CHIN];
        Self { edge: Vec3::new(chin.x, chin.y + from_chin, points[FOOT].z + UPPER[1] + OVERJET) }
    }

    /// From the chin to the edge of the lower teeth of somebody whose lower lip rests.
    pub(super) fn lower_from_chin(points: &[Vec3; N_LANDMARKS]) -> f32 {
        points[LOWER_MIDDLE].y + BELOW_LIP * scale(points) - points[CHIN].y
    }

    /// The point of head space at a place of the arch: x from its middle, y from its edge.
    pub(super) fn point(&self, at: Vec2) -> Vec3 {
        self.edge + Vec3::new(at.x, at.y, BEND * at.x * at.x)
    }
}

/// How long the face is in relation to the mean head's.
pub(super) fn scale(points: &[Vec3; N_LANDMARKS]) -> f32 {
    ((points[FOOT].y - points[BRIDGE].y) / NOSE).clamp(0.7, 1.4)
}

/// From the picture back to head space, for one placement of the head.
pub(super) struct Unprojection {
    centre_px: Vec2,
    /// From pixels to x and y of head space at depth 0.
    head_from_px: Mat2,
    /// What a face width of depth adds to these.
    by_depth: Vec2,
}

impl Unprojection {
    pub(super) fn of(placement: &HeadPlacement) -> Self {
        let [right, down, away] = [Vec3::X, Vec3::Y, Vec3::Z].map(|axis| (placement.rotation * axis).truncate());
        let determinant = right.perp_dot(down);
        // A head seen from the side shows no teeth.
        let determinant = if determinant.abs() < 0.1 { 0.1 } else { determinant };
        let adjugate = Mat2::from_cols(Vec2::new(down.y, -right.y), Vec2::new(-down.x, right.x));
        let inverse = adjugate * (1.0 / determinant);
        Self {
            centre_px: placement.centre_px,
            head_from_px: inverse * (1.0 / placement.width_px),
            by_depth: inverse * away,
        }
    }

    /// The place of an arch that a pixel shows: x from its middle, y from its edge.
    #[inline]
    pub(super) fn meet(&self, arch: &Arch, at_px: Vec2) -> Vec2 {
        let flat = self.head_from_px * (at_px - self.centre_px) - arch.edge.truncate() - self.by_depth * arch.edge.z;
        // x = flat.x - by_depth.x BEND x², its root near 0; where a turned sheet is not met at all, where it is nearest.
        let bend = self.by_depth.x * BEND;
        let x = 2.0 * flat.x / (1.0 + (1.0 + 4.0 * bend * flat.x).max(0.0).sqrt());
        Vec2::new(x, flat.y - self.by_depth.y * BEND * x * x)
    }
}

#[cfg(test)]
mod tests {
    use glam::Quat;

    use super::*;

    #[test]
    fn a_place_of_the_arch_is_met_where_it_is_projected_to() {
        let placement = HeadPlacement {
            centre_px: Vec2::new(250.0, 230.0),
            width_px: 140.0,
            rotation: Quat::from_rotation_y(0.35) * Quat::from_rotation_x(0.2) * Quat::from_rotation_z(-0.2),
        };
        let arch = Arch { edge: Vec3::new(0.01, 0.5, -0.3) };
        let unprojection = Unprojection::of(&placement);
        for at in [Vec2::ZERO, Vec2::new(0.1, -0.05), Vec2::new(-0.12, 0.02)] {
            let met = unprojection.meet(&arch, placement.project(arch.point(at)).truncate());
            assert!(met.distance(at) < 1e-4, "{at} became {met}");
        }
    }
}
