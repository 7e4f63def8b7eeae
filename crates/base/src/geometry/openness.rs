//! How far eyes and mouth are open, in face widths.

use glam::Vec3;

use super::N_LANDMARKS;

/// The middle of the lids' rims, (upper, lower): of the right eye, then of the left, as the person has them.
const LIDS: [[[usize; 2]; 3]; 2] = [[[160, 144], [159, 145], [158, 153]], [[387, 373], [386, 374], [385, 380]]];
/// The middle of the lips' inner rims, (upper, lower).
const LIPS: [[usize; 2]; 3] = [[82, 87], [13, 14], [312, 317]];

/// Mean opening of the right and left eye, for points in head space.
pub fn eye_openness(points: &[Vec3; N_LANDMARKS]) -> [f32; 2] {
    LIDS.map(|lids| mean_gap(points, lids))
}

/// Opening between the inner lips at the middle, for points in head space.
pub fn mouth_openness(points: &[Vec3; N_LANDMARKS]) -> f32 {
    mean_gap(points, LIPS)
}

fn mean_gap(points: &[Vec3; N_LANDMARKS], pairs: [[usize; 2]; 3]) -> f32 {
    pairs.map(|[up, low]| (points[low].y - points[up].y).max(0.0)).iter().sum::<f32>() / 3.0
}
