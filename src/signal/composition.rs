//! How numbers that were read off the driver's picture change from the driver at rest to the driver now.

use effigy_network::family::N_LATENT;
use glam::{Mat2, Mat3};

/// How many numbers there are at most.
pub const N_NUMBERS: usize = N_LATENT;

/// What the numbers are, and so what their change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Composition {
    /// Any: the change is the difference.
    Differences,
    /// Points (x, y), then for each its Jacobian, row by row: points change by the difference, Jacobians by J J₀⁻¹ (Siarohin
    /// and others 2019, "First Order Motion Model for Image Animation", equation 12).
    FirstOrder {
        /// How many points.
        n_points: usize,
        /// Whether Jacobians follow.
        has_jacobians: bool,
    },
    /// A rotation R row by row (9), a translation (3), a scale, displacements: R changes by R R₀ᵀ, the scale by a factor, the
    /// others by the difference (Guo and others 2024, "LivePortrait").
    Head,
}

impl Composition {
    /// Where the translation begins, in [`Composition::Head`].
    pub const TRANSLATION: usize = 9;
    /// Where the scale is.
    pub const SCALE: usize = 12;
    /// Where displacements begin.
    pub const DISPLACEMENTS: usize = 13;

    /// The change from `rest` to `now`, `strength` times. All zeros where nothing moved: factors are told less 1, rotations and
    /// Jacobians less the identity.
    pub(super) fn change(self, rest: &[f32; N_NUMBERS], now: &[f32; N_NUMBERS], strength: f32) -> [f32; N_NUMBERS] {
        let mut change: [f32; N_NUMBERS] = std::array::from_fn(|i| now[i] - rest[i]);
        match self {
            Self::Differences => {}
            Self::FirstOrder { n_points, has_jacobians } => {
                for at in (0..if has_jacobians { n_points } else { 0 }).map(|point| 2 * n_points + 4 * point) {
                    let turned = jacobian(now, at) * jacobian(rest, at).inverse() - Mat2::IDENTITY;
                    let turned = if turned.is_finite() { turned } else { Mat2::ZERO };
                    change[at..at + 4].copy_from_slice(&turned.transpose().to_cols_array());
                }
            }
            Self::Head => {
                let turned = rotation(now) * rotation(rest).transpose() - Mat3::IDENTITY;
                change[..Self::TRANSLATION].copy_from_slice(&turned.transpose().to_cols_array());
                let zoom = now[Self::SCALE] / rest[Self::SCALE] - 1.0;
                change[Self::SCALE] = if zoom.is_finite() { zoom } else { 0.0 };
            }
        }
        change.map(|value| value * strength)
    }
}

/// The 2 × 2 numbers from `at`, row by row.
pub fn jacobian(numbers: &[f32], at: usize) -> Mat2 {
    Mat2::from_cols_array(&std::array::from_fn(|i| numbers[at + i])).transpose()
}

/// The first 3 × 3 numbers, row by row.
pub fn rotation(numbers: &[f32]) -> Mat3 {
    Mat3::from_cols_array(&std::array::from_fn(|i| numbers[i])).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(of: &[f32]) -> [f32; N_NUMBERS] {
        std::array::from_fn(|i| of.get(i).copied().unwrap_or(0.0))
    }

    #[test]
    fn nothing_that_moves_is_all_zeros_and_a_singular_rest_harms_nothing() {
        let rest = numbers(&[0.1, -0.2, 0.0, 0.0, 0.0, 0.0, 0.3]);
        let first_order = Composition::FirstOrder { n_points: 1, has_jacobians: true };
        for composition in [Composition::Differences, first_order, Composition::Head] {
            let change = composition.change(&rest, &rest, 1.0);
            assert!(change.iter().skip(9).all(|&value| value == 0.0), "{composition:?}: {change:?}");
            assert!(change.iter().all(|value| value.is_finite()));
        }
    }

    #[test]
    fn jacobians_and_rotations_change_by_what_brings_one_to_the_other() {
        let first_order = Composition::FirstOrder { n_points: 1, has_jacobians: true };
        let (rest, now) = (numbers(&[0.1, 0.2, 1.0, 0.5, 0.0, 2.0]), numbers(&[0.3, 0.1, 0.0, 1.0, 3.0, 1.0]));
        let change = first_order.change(&rest, &now, 1.0);
        assert!((change[0] - 0.2).abs() < 1e-6 && (change[1] + 0.1).abs() < 1e-6);
        let back = (jacobian(&change, 2) + Mat2::IDENTITY) * jacobian(&rest, 2);
        assert!(back.abs_diff_eq(jacobian(&now, 2), 1e-5), "{back:?}");

        let put = |turn: Mat3, scale: f32| {
            let mut all = numbers(&turn.transpose().to_cols_array());
            all[Composition::SCALE] = scale;
            all
        };
        let (a, b) = (Mat3::from_rotation_y(0.3), Mat3::from_rotation_x(0.2) * Mat3::from_rotation_y(-0.1));
        let change = Composition::Head.change(&put(a, 2.0), &put(b, 3.0), 1.0);
        let back = (rotation(&change) + Mat3::IDENTITY) * a;
        assert!(back.abs_diff_eq(b, 1e-5), "{back:?}");
        assert!((change[Composition::SCALE] - 0.5).abs() < 1e-6);
    }
}
