//! The lines that a face is drawn with in the window and on the control page, as indices of the 478-point mesh.

use crate::geometry::FACE_OVAL;

/// A line through points, closed or not.
pub(super) struct Contour {
    pub(super) points: &'static [usize],
    pub(super) is_closed: bool,
}

const fn closed(points: &'static [usize]) -> Contour {
    Contour { points, is_closed: true }
}

const fn open(points: &'static [usize]) -> Contour {
    Contour { points, is_closed: false }
}

/// Oval, eyes, brows, lips and irises. Left and right are the driver's.
pub(super) const CONTOURS: [Contour; 11] = [
    closed(&FACE_OVAL),
    // Eyes: left, right.
    closed(&[263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]),
    closed(&[33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]),
    // Brows: left, right, each with its lower and upper edge.
    open(&[276, 283, 282, 295, 285]),
    open(&[300, 293, 334, 296, 336]),
    open(&[46, 53, 52, 65, 55]),
    open(&[70, 63, 105, 66, 107]),
    // Lips: outer, inner edge.
    closed(&[61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]),
    closed(&[78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]),
    // Irises: left, right.
    closed(&[474, 475, 476, 477]),
    closed(&[469, 470, 471, 472]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::N_LANDMARKS;

    #[test]
    fn every_index_is_a_point_and_none_is_used_twice() {
        let mut points: Vec<_> = CONTOURS.iter().flat_map(|contour| contour.points).collect();
        let n_points = points.len();
        points.sort();
        points.dedup();
        assert_eq!(points.len(), n_points);
        assert!(points.iter().all(|point| **point < N_LANDMARKS));
    }
}
