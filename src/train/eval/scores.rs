//! Which metrics there are, and their means over frames.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::classes::Classes;
use super::frechet::FeatureSet;

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Better {
    /// Larger is better.
    Higher,
    /// Smaller is better.
    Lower,
    /// Nearer to this is better.
    Near(f64),
    /// No value is better than another: it is of the clips, or says what pictures are taken for.
    Neither,
}

impl Better {
    /// A number that is less where the value is better; `None` where none is.
    pub(super) fn rank(self, value: f64) -> Option<f64> {
        match self {
            Self::Higher => Some(-value),
            Self::Lower => Some(value),
            Self::Near(aim) => Some((value - aim).abs()),
            Self::Neither => None,
        }
    }

    /// How tables say it.
    pub(super) fn sign(self) -> String {
        match self {
            Self::Higher => "↑".to_owned(),
            Self::Lower => "↓".to_owned(),
            Self::Near(aim) => format!("→ {aim}"),
            Self::Neither => String::new(),
        }
    }
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

use Better::{Higher, Lower, Near, Neither};

/// Every metric, in the order of tables.
pub const METRICS: [Metric; 28] = [
    metric("l1", "L1 (0..1)", Lower, 4),
    metric("psnr_db", "PSNR (dB)", Higher, 2),
    metric("ssim", "SSIM", Higher, 4),
    metric("vif", "VIF (pixel domain)", Higher, 4),
    metric("fine_detail", "fine detail (share of the truth's)", Near(1.0), 3),
    metric("mouth_psnr_db", "mouth PSNR (dB)", Higher, 2),
    metric("mouth_l1", "mouth L1", Lower, 4),
    metric("eyes_psnr_db", "eyes PSNR (dB)", Higher, 2),
    metric("eyes_l1", "eyes L1", Lower, 4),
    metric("hair_psnr_db", "hair PSNR (dB)", Higher, 2),
    metric("hair_l1", "hair L1", Lower, 4),
    metric("rest_psnr_db", "rest PSNR (dB)", Higher, 2),
    metric("rest_l1", "rest L1", Lower, 4),
    metric("mobilenet_distance", "LPIPS-like distance (MobileNetV2, unlearned)", Lower, 4),
    metric("frechet", "Fréchet distance (MobileNetV2, 96 features)", Lower, 3),
    metric("fvd_like", "FVD-like distance (MobileNetV2, 16 frames)", Lower, 4),
    metric("class_score", "Inception-score-like (MobileNetV2's classes)", Neither, 2),
    metric("class_score_truth", "the same of the truth", Neither, 2),
    metric("akd_px", "AKD (px of 256)", Lower, 3),
    metric("expression", "expression distance (52 coefficients)", Lower, 4),
    metric("smile", "smile, result less truth (0..1)", Near(0.0), 3),
    metric("smile_truth", "smile of the truth (0..1)", Neither, 3),
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
    /// How many frames have this number: not each has a face, or one before it. Of distances between sets, how many pictures
    /// or windows each set has.
    pub n: u64,
    /// Where the number would lie in 95 of 100 cases if other clips of the kind had been measured: by bootstrap over clips.
    /// None of one clip, or of one clip's own figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_95: Option<[f64; 2]>,
}

/// Means of everything that was measured, by key.
pub type Figures = BTreeMap<&'static str, Figure>;

/// Sums up what one generator did in one case, or in all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "StoredTally", into = "StoredTally")]
pub(super) struct Tally {
    pub(super) sums: BTreeMap<&'static str, (f64, u64)>,
    /// Of each picture: of the truth, of what was made.
    pub(super) features: [FeatureSet; 2],
    /// Of each window, likewise.
    pub(super) windows: [FeatureSet; 2],
    pub(super) classes: [Classes; 2],
}

/// A tally in a file: sums as their bits, so that none is lost on the way through text.
#[derive(Serialize, Deserialize)]
struct StoredTally {
    sums: BTreeMap<String, (u64, u64)>,
    features: [FeatureSet; 2],
    windows: [FeatureSet; 2],
    classes: [Classes; 2],
}

impl From<Tally> for StoredTally {
    fn from(tally: Tally) -> Self {
        let sums = tally.sums.into_iter().map(|(key, (sum, n))| (key.to_owned(), (sum.to_bits(), n)));
        Self { sums: sums.collect(), features: tally.features, windows: tally.windows, classes: tally.classes }
    }
}

impl From<StoredTally> for Tally {
    fn from(stored: StoredTally) -> Self {
        let sums = stored.sums.into_iter();
        let known = sums.filter_map(|(key, (sum, n))| Some((metric_of(&key)?.key, (f64::from_bits(sum), n))));
        Self { sums: known.collect(), features: stored.features, windows: stored.windows, classes: stored.classes }
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

    /// Features of the truth and of what was made, for the Fréchet distance.
    pub(super) fn add_features(&mut self, truth: &[f32], made: &[f32]) {
        self.features[0].push(truth);
        self.features[1].push(made);
    }

    /// The same of a window of frames, for the FVD-like distance.
    pub(super) fn add_window(&mut self, truth: &[f32], made: &[f32]) {
        self.windows[0].push(truth);
        self.windows[1].push(made);
    }

    /// The probabilities of classes in the truth and in what was made.
    pub(super) fn add_classes(&mut self, truth: &[f32], made: &[f32]) {
        self.classes[0].push(truth);
        self.classes[1].push(made);
    }
}
