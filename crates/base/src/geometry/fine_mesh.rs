//! The canonical face with twice as many points along every line: its own, and the middle of each edge.

use std::collections::BTreeMap;
use std::ops::{Add, Mul};
use std::sync::LazyLock;

use glam::Vec3;

use super::{MESH_POINTS_CM, MESH_TRIANGLES, N_MESH_POINTS, N_MESH_TRIANGLES};

/// Points of the fine mesh: those of the mesh, and one for each of its 1365 edges.
pub const N_FINE_POINTS: usize = N_MESH_POINTS + N_MESH_TRIANGLES + N_MESH_POINTS - 1;

/// The face mesh, each of its triangles cut into four.
pub struct FineMesh {
    /// The two points of the mesh that a point lies between; twice the same for the mesh's own, which come first.
    parents: [[u16; 2]; N_FINE_POINTS],
    /// Three points each, in the order of the mesh's.
    pub triangles: Vec<[u16; 3]>,
}

/// The one fine mesh there is.
pub static FINE_MESH: LazyLock<FineMesh> = LazyLock::new(FineMesh::new);

/// For each point of the fine mesh, the one on the other side.
pub static MIRRORED_FINE_POINTS: LazyLock<[usize; N_FINE_POINTS]> = LazyLock::new(|| {
    let points: [Vec3; N_FINE_POINTS] = std::array::from_fn(|i| FINE_MESH.between(i, &MESH_POINTS_CM));
    std::array::from_fn(|i| {
        let wanted = points[i] * Vec3::new(-1.0, 1.0, 1.0);
        let distance = |j: &usize| points[*j].distance_squared(wanted);
        (0..N_FINE_POINTS).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(i)
    })
});

impl FineMesh {
    fn new() -> Self {
        let mut parents = [[0; 2]; N_FINE_POINTS];
        for (i, parents) in (0..).zip(&mut parents[..N_MESH_POINTS]) {
            *parents = [i, i];
        }
        let mut middles = BTreeMap::new();
        let mut middle = |a: u16, b: u16| {
            let next = (N_MESH_POINTS + middles.len()) as u16;
            *middles.entry([a.min(b), a.max(b)]).or_insert(next)
        };
        let cut = |&[a, b, c]: &[u16; 3]| {
            let [ab, bc, ca] = [middle(a, b), middle(b, c), middle(c, a)];
            [[a, ab, ca], [b, bc, ab], [c, ca, bc], [ab, bc, ca]]
        };
        let triangles = MESH_TRIANGLES.iter().flat_map(cut).collect();
        for (edge, i) in middles {
            parents[usize::from(i)] = edge;
        }
        Self { parents, triangles }
    }

    /// What `points` of the mesh have at a point of the fine one.
    pub fn between<T: Copy + Add<Output = T> + Mul<f32, Output = T>>(&self, point: usize, points: &[T]) -> T {
        let [a, b] = self.parents[point].map(|i| points[usize::from(i)]);
        (a + b) * 0.5
    }

    /// Whether a point is one of these, or lies between two of them.
    pub fn is_of(&self, point: usize, points: &[usize]) -> bool {
        self.parents[point].iter().all(|&parent| points.contains(&usize::from(parent)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_triangle_is_cut_into_four_that_share_their_edges() {
        assert_eq!(FINE_MESH.triangles.len(), 4 * N_MESH_TRIANGLES);
        let used: std::collections::BTreeSet<_> = FINE_MESH.triangles.iter().flatten().copied().collect();
        assert_eq!((used.len(), used.last().copied()), (N_FINE_POINTS, Some(N_FINE_POINTS as u16 - 1)));
        let area = |[a, b, c]: [Vec3; 3]| (b - a).cross(c - a).length();
        let whole: f32 = MESH_TRIANGLES.iter().map(|t| area(t.map(|i| MESH_POINTS_CM[usize::from(i)]))).sum();
        let at = |i: u16| FINE_MESH.between(usize::from(i), &MESH_POINTS_CM);
        let parts: f32 = FINE_MESH.triangles.iter().map(|t| area(t.map(at))).sum();
        assert!((parts / whole - 1.0).abs() < 1e-4, "{parts} {whole}");
    }

    #[test]
    fn mirroring_twice_changes_nothing() {
        assert!(MIRRORED_FINE_POINTS.iter().enumerate().all(|(i, &j)| MIRRORED_FINE_POINTS[j] == i));
    }
}
