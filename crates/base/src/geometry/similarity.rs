//! A turn, a size and a place that lay some points over others.

use glam::{DMat3, DQuat, DVec3};

/// `p_to = scale * rotation * p_from + translation`
#[derive(Clone, Copy, Debug)]
pub struct Similarity {
    /// Length there over length here.
    pub scale: f64,
    /// A rotation.
    pub rotation: DMat3,
    /// Where the origin goes.
    pub translation: DVec3,
}

impl Similarity {
    /// Fits pairs of points, each (from, to, weight), by least squares
    /// (Horn: Closed-form solution of absolute orientation using unit quaternions, 1987).
    ///
    /// `None` when the points do not span a space: all in one place, or not numbers.
    pub fn fit(pairs: impl Iterator<Item = (DVec3, DVec3, f64)> + Clone) -> Option<Self> {
        let total: f64 = pairs.clone().map(|(_, _, weight)| weight).sum();
        let sums = pairs.clone().fold([DVec3::ZERO; 2], |[a, b], (from, to, w)| [a + from * w, b + to * w]);
        let [from_mean, to_mean] = sums.map(|sum| sum / total);
        let mut spread = 0.0;
        let mut m = DMat3::ZERO;
        for (from, to, w) in pairs {
            let (a, b) = (from - from_mean, to - to_mean);
            spread += w * a.length_squared();
            // Column k is `a * b[k]`: rows are the axes here, columns those there.
            m += DMat3::from_cols(a * b.x, a * b.y, a * b.z) * w;
        }
        let s = |row: usize, column: usize| m.col(column)[row];
        let (dx, dy, dz) = (s(1, 2) - s(2, 1), s(2, 0) - s(0, 2), s(0, 1) - s(1, 0));
        let (xy, yz, zx) = (s(0, 1) + s(1, 0), s(1, 2) + s(2, 1), s(2, 0) + s(0, 2));
        let (xx, yy, zz) = (s(0, 0), s(1, 1), s(2, 2));
        let (gain, [w, x, y, z]) = largest_eigenvector([
            [xx + yy + zz, dx, dy, dz],
            [dx, xx - yy - zz, xy, zx],
            [dy, xy, yy - xx - zz, yz],
            [dz, zx, yz, zz - xx - yy],
        ]);
        let rotation = DMat3::from_quat(DQuat::from_xyzw(x, y, z, w).normalize());
        let scale = gain / spread;
        let fit = Self { scale, rotation, translation: to_mean - scale * (rotation * from_mean) };
        // Also refuses what is not a number.
        (scale > 1e-9 && fit.translation.is_finite() && rotation.is_finite()).then_some(fit)
    }

    /// Where a point goes.
    pub fn apply(&self, p: DVec3) -> DVec3 {
        self.scale * (self.rotation * p) + self.translation
    }
}

/// The largest eigenvalue of a symmetric matrix and its vector, by Jacobi's rotations.
fn largest_eigenvector(mut a: [[f64; 4]; 4]) -> (f64, [f64; 4]) {
    let mut vectors: [[f64; 4]; 4] = std::array::from_fn(|i| std::array::from_fn(|k| f64::from(i == k)));
    // Converges quadratically: 4×4 matrices take five sweeps.
    for _ in 0..12 {
        for p in 0..3 {
            for q in p + 1..4 {
                if a[p][q].abs() < 1e-300 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let cos = 1.0 / (t * t + 1.0).sqrt();
                let sin = t * cos;
                for row in &mut a {
                    (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
                }
                let (row_p, row_q) = (a[p], a[q]);
                a[p] = std::array::from_fn(|k| cos * row_p[k] - sin * row_q[k]);
                a[q] = std::array::from_fn(|k| sin * row_p[k] + cos * row_q[k]);
                for row in &mut vectors {
                    (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
                }
            }
        }
    }
    let mut best = 0;
    for i in 1..4 {
        if a[i][i] > a[best][best] {
            best = i;
        }
    }
    (a[best][best], vectors.map(|row| row[best]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_laid_somewhere_is_found_there_and_what_weighs_nothing_does_not_matter() {
        let put = Similarity {
            scale: 3.0,
            rotation: DMat3::from_rotation_y(0.7) * DMat3::from_rotation_x(-0.3),
            translation: DVec3::new(5.0, -2.0, 9.0),
        };
        let pair = |i: i32| {
            let t = f64::from(i);
            let from = DVec3::new(t.sin(), (2.0 * t).cos(), (0.7 * t).sin());
            let (to, weight) = if i % 5 == 0 { (DVec3::splat(1e3), 0.0) } else { (put.apply(from), 1.0) };
            (from, to, weight)
        };
        let found = Similarity::fit((0..40).map(pair)).expect("points that span a space");
        assert!((found.scale - put.scale).abs() < 1e-9 && found.translation.distance(put.translation) < 1e-9);
        assert!(Similarity::fit((0..40).map(|_| (DVec3::ONE, DVec3::ONE, 1.0))).is_none());
    }
}
