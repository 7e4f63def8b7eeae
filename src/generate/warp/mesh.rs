//! The topology of the face mesh: triangles, oval, lips and lids, by landmark number.

use super::raster::Part;
use crate::geometry::MESH_TRIANGLES;

/// The lips' inner edges, from the picture's left corner to its right one; the ends are shared.
pub(in crate::generate) const UPPER_LIP: [usize; 11] = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308];
/// See [`UPPER_LIP`].
pub(in crate::generate) const LOWER_LIP: [usize; 11] = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308];

/// The points around one eye.
pub(super) struct Eye {
    /// What the rasteriser calls it.
    pub(super) part: Part,
    /// Edge of the upper lid, from the outer to the inner corner; the ends are shared.
    pub(super) upper: [usize; 9],
    /// Edge of the lower lid, likewise.
    pub(super) lower: [usize; 9],
    /// Middle of the iris.
    pub(super) iris: usize,
}

/// The right eye (on the picture's left), then the left one.
pub(super) const EYES: [Eye; 2] = [
    Eye {
        part: Part::RightEye,
        upper: [33, 246, 161, 160, 159, 158, 157, 173, 133],
        lower: [33, 7, 163, 144, 145, 153, 154, 155, 133],
        iris: 468,
    },
    Eye {
        part: Part::LeftEye,
        upper: [263, 466, 388, 387, 386, 385, 384, 398, 362],
        lower: [263, 249, 390, 373, 374, 380, 381, 382, 362],
        iris: 473,
    },
];

/// One triangle and what it shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Triangle {
    pub(super) points: [usize; 3],
    pub(super) part: Part,
}

/// All triangles of the mesh.
pub(super) fn triangles() -> Vec<Triangle> {
    let part_of = |points: &[usize; 3]| {
        let all_in = |edges: [&[usize]; 2]| points.iter().all(|p| edges.iter().any(|edge| edge.contains(p)));
        if all_in([&UPPER_LIP, &LOWER_LIP]) {
            return Part::Mouth;
        }
        let eye = EYES.iter().find(|eye| all_in([&eye.upper, &eye.lower]));
        eye.map_or(Part::Surface, |eye| eye.part)
    };
    MESH_TRIANGLES
        .iter()
        .map(|triangle| {
            let points = triangle.map(usize::from);
            Triangle { points, part: part_of(&points) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::geometry::FACE_OVAL;

    #[test]
    fn the_mesh_has_one_outline_and_three_openings() {
        let triangles = triangles();
        let mut edges = BTreeMap::new();
        for [a, b, c] in triangles.iter().map(|t| t.points) {
            for (i, j) in [(a, b), (b, c), (c, a)] {
                *edges.entry((i.min(j), i.max(j))).or_insert(0) += 1;
            }
        }
        let mut outline: Vec<_> = edges.into_iter().filter(|&(_, n)| n == 1).map(|(edge, _)| edge).collect();
        let mut oval: Vec<_> =
            (0..36).map(|i| (FACE_OVAL[i], FACE_OVAL[(i + 1) % 36])).map(|(i, j)| (i.min(j), i.max(j))).collect();
        outline.sort_unstable();
        oval.sort_unstable();
        assert_eq!(outline, oval);
        let count = |part| triangles.iter().filter(|t| t.part == part).count();
        assert_eq!([Part::Mouth, Part::RightEye, Part::LeftEye].map(count), [18, 14, 14]);
    }
}
