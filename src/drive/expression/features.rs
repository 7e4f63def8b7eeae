//! Distances within a face that its coefficients do not say well: how far lids and lips are apart, where the eyes look.

use glam::Vec3;

use super::Points;

/// How many there are.
pub(in crate::drive) const N: usize = 9;

/// Opening of the right and the left eye.
pub(in crate::drive) const LIDS: [usize; 2] = [0, 1];
/// Opening between the inner lips: at the picture's left, in the middle, at the right.
pub(in crate::drive) const LIPS: [usize; 3] = [2, 3, 4];
/// Place of the iris between the corners of the right and the left eye: sideways, and down.
pub(in crate::drive) const GAZE: [[usize; 2]; 2] = [[5, 6], [7, 8]];

/// Sums of coordinates: (point, factors of x, y and z).
pub(in crate::drive) const FEATURES: [&[(usize, [f32; 3])]; N] = {
    const T: f32 = 1.0 / 3.0;
    [
        &[
            (144, [0.0, T, 0.0]),
            (145, [0.0, T, 0.0]),
            (153, [0.0, T, 0.0]),
            (160, [0.0, -T, 0.0]),
            (159, [0.0, -T, 0.0]),
            (158, [0.0, -T, 0.0]),
        ],
        &[
            (373, [0.0, T, 0.0]),
            (374, [0.0, T, 0.0]),
            (380, [0.0, T, 0.0]),
            (387, [0.0, -T, 0.0]),
            (386, [0.0, -T, 0.0]),
            (385, [0.0, -T, 0.0]),
        ],
        &[(88, [0.0, 0.5, 0.0]), (178, [0.0, 0.5, 0.0]), (80, [0.0, -0.5, 0.0]), (81, [0.0, -0.5, 0.0])],
        &[
            (87, [0.0, T, 0.0]),
            (14, [0.0, T, 0.0]),
            (317, [0.0, T, 0.0]),
            (82, [0.0, -T, 0.0]),
            (13, [0.0, -T, 0.0]),
            (312, [0.0, -T, 0.0]),
        ],
        &[(402, [0.0, 0.5, 0.0]), (318, [0.0, 0.5, 0.0]), (311, [0.0, -0.5, 0.0]), (310, [0.0, -0.5, 0.0])],
        &[(468, [1.0, 0.0, 0.0]), (33, [-0.5, 0.0, 0.0]), (133, [-0.5, 0.0, 0.0])],
        &[(468, [0.0, 1.0, 0.0]), (33, [0.0, -0.5, 0.0]), (133, [0.0, -0.5, 0.0])],
        &[(473, [1.0, 0.0, 0.0]), (362, [-0.5, 0.0, 0.0]), (263, [-0.5, 0.0, 0.0])],
        &[(473, [0.0, 1.0, 0.0]), (362, [0.0, -0.5, 0.0]), (263, [0.0, -0.5, 0.0])],
    ]
};

/// Measures a feature of points in head space, in face widths.
pub(in crate::drive) fn measure(feature: usize, points: &Points) -> f32 {
    FEATURES[feature].iter().map(|&(i, factors)| points[i].dot(Vec3::from_array(factors))).sum()
}

/// Widths of the right and the left eye, between their corners.
pub(in crate::drive) fn eye_widths(points: &Points) -> [f32; 2] {
    [[33, 133], [362, 263]].map(|[a, b]| points[a].distance(points[b]).max(1e-3))
}

/// Width of the mouth at rest is its corners' distance.
pub(in crate::drive) fn mouth_width(points: &Points) -> f32 {
    points[61].distance(points[291]).max(1e-3)
}
