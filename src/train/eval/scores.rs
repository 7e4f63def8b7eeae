//! Which metrics there are, and their means over frames.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::frechet::{FeatureSet, frechet_distance};

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Larger is better.
    Higher,
    /// Smaller is better.
    Lower,
}

/// A number that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its key in the JSON report.
    pub key: &'static str,
    /// Its name in tables, with the unit.
    pub title: &'static str,
    /// Which way it gets better.
    pub better: Better,
    /// Digits behind the point in tables.
    pub n_digits: usize,
}

const fn metric(key: &'static str, title: &'static str, better: Better, n_digits: usize) -> Metric {
    Metric { key, title, better, n_digits }
}

use Better::{Higher, Lower};

/// Every metric, in the order of tables.
pub const METRICS: [Metric; 21] = [
    metric("l1", "L1 (0..1)", Lower, 4),
    metric("psnr_db", "PSNR (dB)", Higher, 2),
    metric("ssim", "SSIM", Higher, 4),
    metric("mouth_psnr_db", "mouth PSNR (dB)", Higher, 2),
    metric("mouth_l1", "mouth L1", Lower, 4),
    metric("eyes_psnr_db", "eyes PSNR (dB)", Higher, 2),
    metric("eyes_l1", "eyes L1", Lower, 4),
    metric("hair_psnr_db", "hair PSNR (dB)", Higher, 2),
    metric("hair_l1", "hair L1", Lower, 4),
    metric("rest_psnr_db", "rest PSNR (dB)", Higher, 2),
    metric("rest_l1", "rest L1", Lower, 4),
    metric("mobilenet_distance", "MobileNetV2 feature distance", Lower, 4),
    metric("frechet", "Fréchet distance (MobileNetV2, 96 features)", Lower, 3),
    metric("akd_px", "AKD (px of 256)", Lower, 3),
    metric("expression", "expression distance (52 coefficients)", Lower, 4),
    metric("pose_degs", "pose error (degrees)", Lower, 2),
    metric("gaze_degs", "gaze error (degrees)", Lower, 2),
    metric("identity", "identity similarity (128-d cosine)", Higher, 4),
    metric("flicker", "flicker (0..1)", Lower, 4),
    metric("face_lost", "frames without a face (share)", Lower, 4),
    metric("frame_ms", "generation (ms a frame)", Lower, 1),
];

/// The metric of this key.
pub fn metric_of(key: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.key == key)
}

/// Numbers of one frame, by key.
pub(super) type FrameScores = Vec<(&'static str, f64)>;

/// A mean and over how many frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figure {
    /// The mean over frames.
    pub mean: f64,
    /// How many frames have this number: not each has a face, or one before it.
    pub n: u64,
}

/// Means of everything that was measured, by key.
pub type Figures = BTreeMap<&'static str, Figure>;

/// Sums up what one generator did in one case, or in all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "StoredTally", into = "StoredTally")]
pub(super) struct Tally {
    sums: BTreeMap<&'static str, (f64, u64)>,
    features: [FeatureSet; 2],
}

/// A tally in a file: sums as their bits, so that none is lost on the way through text.
#[derive(Serialize, Deserialize)]
struct StoredTally {
    sums: BTreeMap<String, (u64, u64)>,
    features: [FeatureSet; 2],
}

impl From<Tally> for StoredTally {
    fn from(tally: Tally) -> Self {
        let sums = tally.sums.into_iter().map(|(key, (sum, n))| (key.to_owned(), (sum.to_bits(), n)));
        Self { sums: sums.collect(), features: tally.features }
    }
}

impl From<StoredTally> for Tally {
    fn from(stored: StoredTally) -> Self {
        let sums = stored.sums.into_iter();
        let known = sums.filter_map(|(key, (sum, n))| Some((metric_of(&key)?.key, (f64::from_bits(sum), n))));
        Self { sums: known.collect(), features: stored.features }
    }
}

impl Tally {
    pub(super) fn add(&mut self, scores: &[(&'static str, f64)]) {
        for (key, value) in scores {
            let (sum, n) = self.sums.entry(key).or_default();
            *sum += value;
            *n += 1;
        }
    }

    /// Adds what another summed up.
    pub(super) fn merge(&mut self, other: &Self) {
        for (key, (sum, n)) in &other.sums {
            let own = self.sums.entry(key).or_default();
            own.0 += sum;
            own.1 += n;
        }
        for (own, others) in self.features.iter_mut().zip(&other.features) {
            own.append(others);
        }
    }

    /// How many frames have this number.
    pub(super) fn n_of(&self, key: &str) -> u64 {
        self.sums.get(key).map_or(0, |(_, n)| *n)
    }

    /// Features of the truth and of what was made, for the Fréchet distance.
    pub(super) fn add_features(&mut self, truth: &[f32], made: &[f32]) {
        self.features[0].push(truth);
        self.features[1].push(made);
    }

    /// How many feature vectors there are, and of how many numbers.
    pub(super) fn feature_counts(&self) -> (usize, usize) {
        (self.features[0].len(), self.features[0].n_features())
    }

    /// The means; the Fréchet distance where it was asked for.
    pub(super) fn figures(&self, with_frechet: bool) -> Figures {
        let mean = |&(sum, n): &(f64, u64)| Figure { mean: sum / n as f64, n };
        let mut figures: Figures = self.sums.iter().map(|(key, sum)| (*key, mean(sum))).collect();
        if with_frechet && let Some(mean) = frechet_distance(&self.features[0], &self.features[1]) {
            figures.insert("frechet", Figure { mean, n: self.features[0].len() as u64 });
        }
        figures
    }
}
