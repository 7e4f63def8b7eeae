//! The canonical face: 468 points of an average head and the triangles between them.
//!
//! From MediaPipe's `canonical_face_model.obj` (Apache-2.0); see models/README.md.

use glam::Vec3;

use super::N_MESH_POINTS;

/// Triangles of the mesh.
pub const N_MESH_TRIANGLES: usize = 898;

/// 468 × 3 `f32`, then 898 × 3 `u16`, little-endian.
static BYTES: &[u8; N_MESH_POINTS * 12 + N_MESH_TRIANGLES * 6] =
    include_bytes!("../../../../models/canonical_mesh.bin");

/// The points in head space: x to the head's left, y up, z out of the face, in centimetres.
pub static MESH_POINTS_CM: [Vec3; N_MESH_POINTS] = points();

/// Three points each, as indices below [`N_MESH_POINTS`]; counter-clockwise seen from outside (y up).
pub static MESH_TRIANGLES: [[u16; 3]; N_MESH_TRIANGLES] = triangles();

const fn points() -> [Vec3; N_MESH_POINTS] {
    let mut points = [Vec3::ZERO; N_MESH_POINTS];
    let mut i = 0;
    while i < N_MESH_POINTS {
        points[i] = Vec3::new(float(i * 12), float(i * 12 + 4), float(i * 12 + 8));
        i += 1;
    }
    points
}

const fn triangles() -> [[u16; 3]; N_MESH_TRIANGLES] {
    let mut triangles = [[0; 3]; N_MESH_TRIANGLES];
    let mut i = 0;
    while i < N_MESH_TRIANGLES * 3 {
        let at = N_MESH_POINTS * 12 + i * 2;
        triangles[i / 3][i % 3] = u16::from_le_bytes([BYTES[at], BYTES[at + 1]]);
        i += 1;
    }
    triangles
}

const fn float(at: usize) -> f32 {
    f32::from_le_bytes([BYTES[at], BYTES[at + 1], BYTES[at + 2], BYTES[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mesh_faces_along_z_and_its_indices_are_points() {
        assert!(MESH_POINTS_CM[4].z > MESH_POINTS_CM[234].z, "the nose is in front of the ear");
        assert!(MESH_POINTS_CM[10].y > MESH_POINTS_CM[152].y, "the forehead is above the chin");
        assert!(MESH_POINTS_CM[263].x > MESH_POINTS_CM[33].x, "the left eye is on the left");
        assert!(MESH_TRIANGLES.iter().flatten().all(|&i| usize::from(i) < N_MESH_POINTS));
        let normal_z = |t: &[u16; 3]| {
            let [a, b, c] = t.map(|i| MESH_POINTS_CM[usize::from(i)]);
            (b - a).cross(c - a).z
        };
        let n_front = MESH_TRIANGLES.iter().filter(|t| normal_z(t) > 0.0).count();
        assert!(n_front > 800, "{n_front} triangles look forward");
    }
}
