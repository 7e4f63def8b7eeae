//! The Fréchet distance between two sets of feature vectors, each taken for a Gaussian.
//!
//! A Gaussian is kept as [`Moments`], which are merged without the vectors that they are of.

/// Feature vectors of one set, one after the other.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct FeatureSet {
    n_features: usize,
    values: Vec<f32>,
}

impl FeatureSet {
    /// Adds a vector; all must be of one length.
    pub fn push(&mut self, vector: &[f32]) {
        debug_assert!(self.values.is_empty() || self.n_features == vector.len(), "vectors of one length");
        self.n_features = vector.len();
        self.values.extend_from_slice(vector);
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.n_features.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers in each vector.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Mean and spread of its vectors.
    pub fn moments(&self) -> Moments {
        let (d, n) = (self.n_features, self.len() as f64);
        let mut moments = Moments { n, mean: vec![0.0; d], spread: Matrix::zero(d) };
        if self.is_empty() {
            return moments;
        }
        for row in self.values.chunks_exact(d) {
            moments.mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += f64::from(*value) / n);
        }
        for row in self.values.chunks_exact(d) {
            let off: Vec<f64> = row.iter().zip(&moments.mean).map(|(value, mean)| f64::from(*value) - mean).collect();
            moments.spread.add_square(&off, 1.0);
        }
        moments
    }
}

/// How many vectors a set has, their mean, and the sum of squares and products of their distances from it.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    n: f64,
    mean: Vec<f64>,
    spread: Matrix,
}

impl Moments {
    /// Adds all vectors of another set, each so many times (Chan, Golub and LeVeque 1979).
    pub fn add(&mut self, other: &Self, times: f64) {
        let n_other = other.n * times;
        if n_other == 0.0 {
            return;
        }
        if self.n == 0.0 {
            *self = Self { n: 0.0, mean: other.mean.clone(), spread: Matrix::zero(other.mean.len()) };
        }
        debug_assert!(self.mean.len() == other.mean.len(), "vectors of one length");
        let n = self.n + n_other;
        let between: Vec<f64> = other.mean.iter().zip(&self.mean).map(|(other, own)| other - own).collect();
        self.spread.0.iter_mut().zip(&other.spread.0).for_each(|(own, other)| *own += other * times);
        self.spread.add_square(&between, self.n * n_other / n);
        self.mean.iter_mut().zip(&between).for_each(|(mean, off)| *mean += off * n_other / n);
        self.n = n;
    }

    /// How many vectors there are.
    pub fn n(&self) -> f64 {
        self.n
    }

    /// Numbers in each vector.
    pub fn n_features(&self) -> usize {
        self.mean.len()
    }

    /// The covariance. With `n_prior` vectors more that have these variances and no correlation: few vectors know the
    /// variances of many features, but not how these go together.
    fn covariance(&self, n_prior: f64) -> Matrix {
        let (d, kept) = (self.mean.len(), self.n / (self.n + n_prior));
        let mut covariance = Matrix(self.spread.0.iter().map(|sum| kept * sum / (self.n - 1.0)).collect());
        for i in (0..d).map(|i| i * d + i) {
            covariance.0[i] = self.spread.0[i] / (self.n - 1.0);
        }
        covariance
    }
}

/// The squared Fréchet distance of two Gaussians with the sets' means and covariances (Heusel et al. 2017):
/// |m₁ − m₂|² + tr(C₁ + C₂ − 2 (C₁^½ C₂ C₁^½)^½).
///
/// `None` of sets with fewer than two vectors. With fewer vectors than features the covariances have no full rank
/// and the number is too small; compare it only among sets of the same size.
pub fn frechet_distance(a: &FeatureSet, b: &FeatureSet) -> Option<f64> {
    frechet_of(&a.moments(), &b.moments(), 0.0)
}

/// As [`frechet_distance`], with covariances drawn towards their diagonals as by `n_prior` vectors more without any
/// correlation: the rank is full, and variances stay as they are.
pub fn frechet_of(a: &Moments, b: &Moments, n_prior: f64) -> Option<f64> {
    let d = a.n_features();
    if a.n < 2.0 || b.n < 2.0 || d != b.n_features() {
        return None;
    }
    let (cov_a, cov_b) = (a.covariance(n_prior), b.covariance(n_prior));
    let between: f64 = a.mean.iter().zip(&b.mean).map(|(a, b)| (a - b).powi(2)).sum();
    let root = cov_a.root(d);
    let middle = root.times(&cov_b, d).times(&root, d);
    let (eigenvalues, _) = middle.eigen(d);
    let overlap: f64 = eigenvalues.iter().map(|value| value.max(0.0).sqrt()).sum();
    // Rounding may leave a distance of equal sets just below zero.
    Some((between + cov_a.trace(d) + cov_b.trace(d) - 2.0 * overlap).max(0.0))
}

/// A square matrix, row by row.
#[derive(Clone, Debug, Default)]
struct Matrix(Vec<f64>);

impl Matrix {
    fn zero(d: usize) -> Self {
        Self(vec![0.0; d * d])
    }

    /// Adds a vector times itself, so many times.
    fn add_square(&mut self, vector: &[f64], times: f64) {
        for (row, factor) in self.0.chunks_exact_mut(vector.len().max(1)).zip(vector) {
            row.iter_mut().zip(vector).for_each(|(sum, value)| *sum += times * factor * value);
        }
    }

    fn trace(&self, d: usize) -> f64 {
        (0..d).map(|i| self.0[i * d + i]).sum()
    }

    fn times(&self, other: &Self, d: usize) -> Self {
        let mut out = Self::zero(d);
        for i in 0..d {
            for k in 0..d {
                let factor = self.0[i * d + k];
                for j in 0..d {
                    out.0[i * d + j] += factor * other.0[k * d + j];
                }
            }
        }
        out
    }

    /// The symmetric root of a symmetric matrix without negative eigenvalues; those of rounding count as zero.
    fn root(&self, d: usize) -> Self {
        let (values, vectors) = self.eigen(d);
        let mut out = Self::zero(d);
        for (k, value) in values.iter().enumerate() {
            let root = value.max(0.0).sqrt();
            for i in 0..d {
                for j in 0..d {
                    out.0[i * d + j] += root * vectors.0[i * d + k] * vectors.0[j * d + k];
                }
            }
        }
        out
    }

    /// Eigenvalues, and eigenvectors as columns, of a symmetric matrix: Jacobi's rotations, sweep by sweep.
    fn eigen(&self, d: usize) -> (Vec<f64>, Self) {
        const MAX_SWEEPS: usize = 30;
        let mut m = self.0.clone();
        let mut v = Self::zero(d);
        (0..d).for_each(|i| v.0[i * d + i] = 1.0);
        let size: f64 = m.iter().map(|x| x * x).sum();
        for _ in 0..MAX_SWEEPS {
            let off: f64 = (0..d).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| m[i * d + j].powi(2)).sum();
            if off <= 1e-26 * size {
                break;
            }
            for p in 0..d {
                for q in p + 1..d {
                    if m[p * d + q] == 0.0 {
                        continue;
                    }
                    let theta = (m[q * d + q] - m[p * d + p]) / (2.0 * m[p * d + q]);
                    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                    let c = 1.0 / (t * t + 1.0).sqrt();
                    let s = t * c;
                    for k in 0..d {
                        let (x, y) = (m[k * d + p], m[k * d + q]);
                        (m[k * d + p], m[k * d + q]) = (c * x - s * y, s * x + c * y);
                    }
                    for k in 0..d {
                        let (x, y) = (m[p * d + k], m[q * d + k]);
                        (m[p * d + k], m[q * d + k]) = (c * x - s * y, s * x + c * y);
                        let (x, y) = (v.0[k * d + p], v.0[k * d + q]);
                        (v.0[k * d + p], v.0[k * d + q]) = (c * x - s * y, s * x + c * y);
                    }
                }
            }
        }
        ((0..d).map(|i| m[i * d + i]).collect(), v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(rows: &[&[f32]]) -> FeatureSet {
        let mut set = FeatureSet::default();
        rows.iter().for_each(|row| set.push(row));
        set
    }

    #[test]
    fn one_dimension_is_the_textbook_formula() {
        // Means 2 and 7, deviations 1 and 3: (2 − 7)² + (1 − 3)².
        let a = set(&[&[1.0], &[2.0], &[3.0]]);
        let b = set(&[&[4.0], &[7.0], &[10.0]]);
        let found = frechet_distance(&a, &b).unwrap();
        assert!((found - 29.0).abs() < 1e-9, "{found}");
        assert!(frechet_distance(&a, &a).unwrap() < 1e-9);
        assert_eq!(frechet_distance(&a, &set(&[&[1.0]])), None);
    }

    #[test]
    fn covariances_that_do_not_commute_give_the_root_of_their_product() {
        // C₁ = diag(4, 1); C₂ = [[2, 1], [1, 2]]: tr √(C₁C₂) = √(tr + 2 √det) = √(10 + 2 √12) in two dimensions.
        let half = 0.5_f32.sqrt();
        let wide = 1.5_f32.sqrt();
        let a = set(&[&[6.0_f32.sqrt(), 0.0], &[-(6.0_f32.sqrt()), 0.0], &[0.0, wide], &[0.0, -wide]]);
        // Along (1, 1) and (1, −1) with variances 3 and 1.
        let (long, short) = (4.5_f32.sqrt() * half, 1.5_f32.sqrt() * half);
        let b = set(&[&[long, long], &[-long, -long], &[short, -short], &[-short, short]]);
        let found = frechet_distance(&a, &b).unwrap();
        let expected = 5.0 + 4.0 - 2.0 * (10.0 + 2.0 * 12.0_f64.sqrt()).sqrt();
        assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
    }

    #[test]
    fn a_large_root_squares_to_its_matrix() {
        let d = 40;
        let mut set = FeatureSet::default();
        let mut seed = 3_u32;
        for _ in 0..90 {
            let row: Vec<f32> = (0..d)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 8) as f32 / (1 << 24) as f32
                })
                .collect();
            set.push(&row);
        }
        let covariance = set.moments().covariance(0.0);
        let root = covariance.root(d);
        let again = root.times(&root, d);
        let worst = again.0.iter().zip(&covariance.0).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-12, "{worst}");
    }

    #[test]
    fn merged_moments_are_those_of_all_vectors_and_count_as_often_as_they_are_told() {
        let rows: [&[f32]; 5] = [&[1.0, 5.0], &[2.0, -3.0], &[4.0, 0.5], &[9.0, 2.0], &[-6.0, 1.0]];
        let whole = set(&[rows[0], rows[1], rows[2], rows[3], rows[4], rows[3], rows[4]]).moments();
        let mut merged = Moments::default();
        merged.add(&set(&rows[..3]).moments(), 1.0);
        merged.add(&set(&rows[3..]).moments(), 2.0);
        merged.add(&set(&rows[..1]).moments(), 0.0);
        merged.add(&FeatureSet::default().moments(), 3.0);
        assert_eq!((merged.n(), merged.n_features()), (7.0, 2));
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(near(&merged.mean, &whole.mean) && near(&merged.spread.0, &whole.spread.0), "{merged:?} {whole:?}");
    }

    #[test]
    fn a_prior_keeps_variances_and_halves_correlations_at_as_many_vectors() {
        let a = set(&[&[0.0, 0.0], &[2.0, 2.0], &[4.0, 4.0]]).moments();
        let covariance = a.covariance(3.0);
        assert_eq!(covariance.0, [4.0, 2.0, 2.0, 4.0]);
        // Along another line: without a prior nothing overlaps, with a large one the variances are all that counts.
        let b = set(&[&[0.0, 4.0], &[2.0, 2.0], &[4.0, 0.0]]).moments();
        let found = [0.0, 1e9].map(|n_prior| frechet_of(&a, &b, n_prior).unwrap());
        assert!((found[0] - 16.0).abs() < 1e-5 && found[1] < 1e-5, "{found:?}");
    }
}
