//! Left and right exchanged.

use std::sync::LazyLock;

use glam::Vec3;

use super::{COEFFICIENT_NAMES, MESH_POINTS_CM, N_COEFFICIENTS, N_LANDMARKS, N_MESH_POINTS};

/// For each point of the face, the one on the other side.
pub static MIRRORED_POINTS: LazyLock<[usize; N_LANDMARKS]> = LazyLock::new(|| {
    std::array::from_fn(|i| {
        if i < N_MESH_POINTS {
            // The canonical mesh is its own mirror image.
            let wanted = MESH_POINTS_CM[i] * Vec3::new(-1.0, 1.0, 1.0);
            let distance = |j: &usize| MESH_POINTS_CM[*j].distance_squared(wanted);
            return (0..N_MESH_POINTS).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(i);
        }
        // Irises: centre, then the rim to the picture's right, up, left, down.
        let (eye, part) = ((i - N_MESH_POINTS) / 5, (i - N_MESH_POINTS) % 5);
        N_MESH_POINTS + (1 - eye) * 5 + [0, 3, 2, 1, 4][part]
    })
});

/// For each coefficient, the one on the other side.
pub static MIRRORED_COEFFICIENTS: LazyLock<[usize; N_COEFFICIENTS]> = LazyLock::new(|| {
    std::array::from_fn(|i| {
        let name = COEFFICIENT_NAMES[i];
        let other = match (name.strip_suffix("Left"), name.strip_suffix("Right")) {
            (Some(stem), _) => format!("{stem}Right"),
            (_, Some(stem)) => format!("{stem}Left"),
            _ => return i,
        };
        COEFFICIENT_NAMES.iter().position(|name| *name == other).unwrap_or(i)
    })
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirroring_twice_changes_nothing() {
        for (i, j) in MIRRORED_POINTS.iter().enumerate() {
            assert_eq!(MIRRORED_POINTS[*j], i);
        }
        // Both eyes' outer corners, mouth corners, iris centres; the nose is its own.
        for (i, j) in [(33, 263), (61, 291), (468, 473), (469, 476), (470, 475), (4, 4), (13, 13)] {
            assert_eq!(MIRRORED_POINTS[i], j);
        }
        let n_swapped = MIRRORED_COEFFICIENTS.iter().enumerate().filter(|(i, j)| i != *j).count();
        assert_eq!(n_swapped, 2 * COEFFICIENT_NAMES.iter().filter(|name| name.ends_with("Left")).count());
        assert!(MIRRORED_COEFFICIENTS.iter().enumerate().all(|(i, j)| MIRRORED_COEFFICIENTS[*j] == i));
    }
}
