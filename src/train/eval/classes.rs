//! What a classifier of ImageNet takes pictures for: the sums that an Inception-score-like figure needs.

use serde::{Deserialize, Serialize};

/// Sums of the probabilities of classes over pictures, and of each picture's negative entropy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct Classes {
    n: f64,
    /// Of p ln p over classes, in nats.
    negative_entropy: f64,
    probabilities: Vec<f64>,
}

/// In a file: numbers as their bits, so that none is lost on the way through text.
#[derive(Serialize, Deserialize)]
struct Stored(u64, u64, Vec<u64>);

impl From<Classes> for Stored {
    fn from(classes: Classes) -> Self {
        let probabilities = classes.probabilities.into_iter().map(f64::to_bits);
        Self(classes.n.to_bits(), classes.negative_entropy.to_bits(), probabilities.collect())
    }
}

impl From<Stored> for Classes {
    fn from(Stored(n, negative_entropy, probabilities): Stored) -> Self {
        let probabilities = probabilities.into_iter().map(f64::from_bits).collect();
        Self { n: f64::from_bits(n), negative_entropy: f64::from_bits(negative_entropy), probabilities }
    }
}

impl Classes {
    /// Adds a picture, by the probability of each class.
    pub(super) fn push(&mut self, probabilities: &[f32]) {
        let probabilities: Vec<f64> = probabilities.iter().map(|p| f64::from(*p)).collect();
        let negative_entropy = negative_entropy(&probabilities);
        self.add(&Self { n: 1.0, negative_entropy, probabilities }, 1.0);
    }

    /// Adds all pictures of another, each so many times.
    pub(super) fn add(&mut self, other: &Self, times: f64) {
        if self.probabilities.is_empty() {
            self.probabilities = vec![0.0; other.probabilities.len()];
        }
        self.n += times * other.n;
        self.negative_entropy += times * other.negative_entropy;
        self.probabilities.iter_mut().zip(&other.probabilities).for_each(|(own, other)| *own += times * other);
    }

    /// How many pictures there are.
    pub(super) fn n(&self) -> f64 {
        self.n
    }

    /// The exponential of the mean Kullback–Leibler divergence of a picture's classes from those of all pictures (Salimans et
    /// al. 2016): 1 where all pictures are taken for the same, at most the number of classes. `None` of no pictures.
    pub(super) fn score(&self) -> Option<f64> {
        let of_all: Vec<f64> = self.probabilities.iter().map(|sum| sum / self.n).collect();
        // Rounding may leave equal pictures just below 1.
        (self.n > 0.0).then(|| (self.negative_entropy / self.n - negative_entropy(&of_all)).exp().max(1.0))
    }
}

fn negative_entropy(probabilities: &[f64]) -> f64 {
    probabilities.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pictures: &[[f32; 4]]) -> Classes {
        let mut classes = Classes::default();
        pictures.iter().for_each(|picture| classes.push(picture));
        classes
    }

    #[test]
    fn the_score_is_how_many_classes_are_told_apart() {
        assert_eq!(Classes::default().score(), None);
        let near = |pictures: &[[f32; 4]], expected: f64| {
            let found = of(pictures).score().unwrap();
            assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
        };
        near(&[[0.25; 4]; 3], 1.0);
        near(&[[1.0, 0.0, 0.0, 0.0]; 5], 1.0);
        let sure = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        near(&sure, 4.0);
        near(&sure[..2], 2.0);
        // Two pictures that are three to one for either class: exp(¾ ln(¾ / ½) + ¼ ln(¼ / ½)).
        near(&[[0.75, 0.25, 0.0, 0.0], [0.25, 0.75, 0.0, 0.0]], (0.75 * 1.5_f64.ln() + 0.25 * 0.5_f64.ln()).exp());
    }

    #[test]
    fn pictures_count_as_often_as_they_are_told_and_survive_a_file() {
        let (a, b) = ([0.7, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4]);
        let mut merged = of(&[a]);
        merged.add(&of(&[b]), 2.0);
        assert!((merged.score().unwrap() - of(&[a, b, b]).score().unwrap()).abs() < 1e-12);
        let text = serde_json::to_string(&merged).unwrap();
        assert_eq!(serde_json::from_str::<Classes>(&text).unwrap(), merged);
    }
}
