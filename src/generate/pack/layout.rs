//! The layouts of packs: which networks there are, what goes in and out, and how the driver's motion is put on the photo.
//!
//! Facts of the two layouts are from the papers: "First Order Motion Model for Image Animation" (Siarohin and others 2019) and
//! "LivePortrait: Efficient Portrait Animation with Stitching and Retargeting Control" (Guo and others 2024).

use glam::{Mat2, Mat3, Quat, Vec3};
use serde::Deserialize;

use crate::signal::{Composition, N_NUMBERS, jacobian, rotation};

/// The most points that a pack may have.
pub(super) const N_POINTS_MAX: usize = 33;
/// Angles that are told by how likely each of 66 intervals of three degrees is: the first begins here, in degrees.
const N_BINS: usize = 66;
const FIRST_BIN_DEGS: f32 = -97.5;
const BIN_DEGS: f32 = 3.0;

/// How a pack's networks belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Layout {
    /// Points of a picture and the Jacobians there; a network warps the photo by both. Without Jacobians too.
    FirstOrder,
    /// A head's rotation, translation, scale and the displacement of its points; what the photo looks like is computed once.
    LivePortrait,
}

/// A tensor that a network has to have.
pub(super) struct Role {
    pub(super) name: &'static str,
    /// Numbers in it; nothing where any will do.
    pub(super) len: Option<usize>,
    /// Whether it may be missing.
    pub(super) is_optional: bool,
}

const fn role(name: &'static str, len: usize) -> Role {
    Role { name, len: Some(len), is_optional: false }
}

const fn of_any_size(name: &'static str) -> Role {
    Role { name, len: None, is_optional: false }
}

impl Layout {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FirstOrder => "first-order",
            Self::LivePortrait => "live-portrait",
        }
    }

    /// Whether something of the photo is computed once by a network of its own.
    pub(super) fn has_once(self) -> bool {
        self == Self::LivePortrait
    }

    /// What the network `motion` answers.
    pub(super) fn motion(self, n_points: usize) -> Vec<Role> {
        match self {
            Self::FirstOrder => {
                let jacobians = Role { is_optional: true, ..role("jacobians", 4 * n_points) };
                vec![role("points", 2 * n_points), jacobians]
            }
            Self::LivePortrait => vec![
                of_any_size("pitch"),
                of_any_size("yaw"),
                of_any_size("roll"),
                role("translation", 3),
                role("scale", 1),
                role("displacements", 3 * n_points),
                role("points", 3 * n_points),
            ],
        }
    }

    /// What the network `frame` is given, besides the photo or its features.
    pub(super) fn frame(self, n_points: usize) -> Vec<Role> {
        match self {
            Self::FirstOrder => {
                let jacobians = |name| Role { is_optional: true, ..role(name, 4 * n_points) };
                vec![
                    role("photo_points", 2 * n_points),
                    jacobians("photo_jacobians"),
                    role("points", 2 * n_points),
                    jacobians("jacobians"),
                ]
            }
            Self::LivePortrait => vec![role("photo_points", 3 * n_points), role("points", 3 * n_points)],
        }
    }

    /// How the numbers change that [`Layout::numbers`] makes.
    pub(super) fn composition(self, n_points: usize, has_jacobians: bool) -> Composition {
        match self {
            Self::FirstOrder => Composition::FirstOrder { n_points, has_jacobians },
            Self::LivePortrait => Composition::Head,
        }
    }

    /// Puts into numbers what the network `motion` answered for each role of [`Layout::motion`].
    pub(super) fn numbers<'a>(self, answer: impl Fn(usize) -> &'a [f32], numbers: &mut [f32; N_NUMBERS]) {
        let mut put = |at: usize, values: &[f32]| {
            for (to, value) in numbers[at.min(N_NUMBERS)..].iter_mut().zip(values) {
                *to = *value;
            }
        };
        match self {
            Self::FirstOrder => {
                put(0, answer(0));
                put(answer(0).len(), answer(1));
            }
            Self::LivePortrait => {
                let [pitch, yaw, roll] = [0, 1, 2].map(|role| angle_degs(answer(role)).to_radians());
                let turn = Mat3::from_rotation_z(roll) * Mat3::from_rotation_y(yaw) * Mat3::from_rotation_x(pitch);
                // Points are rows, and are multiplied from the left: the transpose, row by row.
                put(0, &turn.to_cols_array());
                put(Composition::TRANSLATION, answer(3));
                put(Composition::SCALE, answer(4));
                put(Composition::DISPLACEMENTS, answer(5));
            }
        }
    }

    /// Where the photo's points are when the photo shows `own` and the driver has moved by `change`; `rest` are the points
    /// that the network `motion` named last (of a head that looks ahead, in the layout of LivePortrait). Writes points and,
    /// where there are any, Jacobians.
    pub(super) fn points(self, own: &[f32; N_NUMBERS], change: &[f32; N_NUMBERS], rest: &[f32], to: Placed) {
        let Placed { points, jacobians } = to;
        match self {
            Self::FirstOrder => {
                for (i, point) in points.iter_mut().enumerate() {
                    *point = own[i] + change[i];
                }
                for (i, four) in jacobians.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    let at = points.len() + 4 * i;
                    *four = ((Mat2::IDENTITY + jacobian(change, at)) * jacobian(own, at)).transpose().to_cols_array();
                }
            }
            Self::LivePortrait => {
                let turn = Quat::from_mat3(&(Mat3::IDENTITY + rotation(change))).normalize();
                let turn = Mat3::from_quat(turn) * rotation(own);
                let scale = own[Composition::SCALE] * (1.0 + change[Composition::SCALE]);
                let at = Composition::TRANSLATION;
                let slide = Vec3::new(own[at] + change[at], own[at + 1] + change[at + 1], 0.0);
                for (i, (point, rest)) in
                    points.as_chunks_mut::<3>().0.iter_mut().zip(rest.as_chunks::<3>().0).enumerate()
                {
                    let at = Composition::DISPLACEMENTS + 3 * i;
                    let moved = Vec3::new(own[at], own[at + 1], own[at + 2])
                        + Vec3::new(change[at], change[at + 1], change[at + 2]);
                    let placed = scale * (turn.transpose() * Vec3::from(*rest) + moved) + slide;
                    *point = placed.to_array();
                }
            }
        }
    }
}

/// Where [`Layout::points`] writes.
pub(super) struct Placed<'a> {
    pub(super) points: &'a mut [f32],
    /// Empty where there are none.
    pub(super) jacobians: &'a mut [f32],
}

/// An angle, told as one number or by how likely each interval is.
fn angle_degs(answer: &[f32]) -> f32 {
    if answer.len() != N_BINS {
        return answer.first().copied().unwrap_or_default();
    }
    let most = answer.iter().copied().fold(f32::MIN, f32::max);
    let weights = answer.iter().map(|value| (value - most).exp());
    let (sum, mean) = weights.enumerate().fold((0.0, 0.0), |(sum, mean), (i, w)| (sum + w, mean + w * i as f32));
    mean / sum * BIN_DEGS + FIRST_BIN_DEGS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_angle_is_the_mean_of_its_intervals() {
        let mut bins = [-50.0; N_BINS];
        bins[40] = 3.0;
        assert!((angle_degs(&bins) - 22.5).abs() < 1e-3);
        bins[42] = 3.0;
        assert!((angle_degs(&bins) - 25.5).abs() < 1e-3);
        assert_eq!(angle_degs(&[7.0]), 7.0);
    }

    #[test]
    fn a_driver_at_rest_leaves_the_photo_where_it_is() {
        let at = [0.2, 0.1, -0.3, 0.5];
        let (pitch, yaw, roll) = ([10.0], [-20.0], [5.0]);
        let answers: [&[f32]; 6] = [&pitch, &yaw, &roll, &[0.1, 0.2, 9.0], &[1.5], &[0.01, 0.02, 0.03]];
        let mut own = [0.0; N_NUMBERS];
        Layout::LivePortrait.numbers(|role| answers[role], &mut own);
        let mut points = [0.0; 3];
        let rest = [0.0, 0.0, 1.0];
        Layout::LivePortrait.points(&own, &[0.0; N_NUMBERS], &rest, Placed { points: &mut points, jacobians: &mut [] });
        // x = s (c R + d) + t, points as rows: what points ahead is turned into R's last row.
        let turn = rotation(&own);
        let expected = 1.5 * (turn.row(2) + Vec3::new(0.01, 0.02, 0.03)) + Vec3::new(0.1, 0.2, 0.0);
        assert!(Vec3::from(points).abs_diff_eq(expected, 1e-5), "{points:?} {expected:?}");

        let mut own = [0.0; N_NUMBERS];
        let answers: [&[f32]; 2] = [&at[..2], &[1.0, 2.0, 3.0, 4.0]];
        Layout::FirstOrder.numbers(|role| answers[role], &mut own);
        let (mut points, mut jacobians) = ([0.0; 2], [0.0; 4]);
        let placed = Placed { points: &mut points, jacobians: &mut jacobians };
        Layout::FirstOrder.points(&own, &[0.0; N_NUMBERS], &[], placed);
        assert_eq!((points, jacobians), ([0.2, 0.1], [1.0, 2.0, 3.0, 4.0]));
    }
}
