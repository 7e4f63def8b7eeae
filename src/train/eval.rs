//! How good a generator is: measured on clips that drive themselves, and on synthetic people against the truth.
//!
//! *Self-reenactment*: one frame of a clip is enrolled with its own framing, the others drive it with absolute motion,
//! every frame, unfiltered, as `effigy run --motion absolute --every-frame` does; the answer is the clip itself. What moves
//! beside the mesh counts from the portrait's own frame, or, as live, from a reference that the tracker chooses.
//! *Cross-identity*: a rendered person's portrait is driven by another's clip; the answer is the first person doing
//! the same in the same scene, which only a renderer can know.
//!
//! [`evaluate`] plays all cases with all generators at once, so that each sees the same signals and the same truth.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::generate::Generator;
use crate::signal::Motion;

pub use self::footage::{ClipCase, PairCase, clips, pairs};
pub use self::instruments::{Instruments, LeftOut};
pub use self::part::{Part, evaluate_part};
pub use self::reel::Row;
pub use self::scores::{Better, Figure, Figures, METRICS, Metric, metric_of};

pub mod across;
pub mod frechet;
pub mod metrics;
pub mod regions;
pub mod report;
pub mod vif;

mod blur;
mod bootstrap;
mod case;
mod classes;
mod eye;
mod footage;
mod instruments;
mod part;
mod perceptual;
mod play;
mod recognition;
mod record;
mod reel;
mod scores;
mod summary;
mod windows;

/// Generators make pictures of this many pixels a side, whatever they are measured at.
pub const OUTPUT_PX: usize = 512;

/// Version of [`Evaluation`]'s format.
const SCHEMA: u32 = 1;

/// What is measured, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvalOptions {
    /// Width and height at which pictures are compared, in pixels.
    pub size_px: usize,
    /// One of so many frames is measured, in runs of two, so that flicker is that of neighbours.
    pub every: u64,
    /// Whether motion comes as it does live: filtered, and what moves beside the mesh a frame late and from a reference that the
    /// tracker chooses.
    pub is_live: bool,
}

impl Default for EvalOptions {
    fn default() -> Self {
        Self { size_px: 256, every: 1, is_live: false }
    }
}

/// A generator under test.
pub struct Contender {
    /// What reports call it; each another.
    pub label: String,
    /// What makes the pictures, of [`OUTPUT_PX`].
    pub generator: Box<dyn Generator>,
}

/// A set of cases that are measured together.
#[derive(Clone, Debug, PartialEq)]
pub enum Suite {
    /// Clips that drive a portrait of their own.
    SelfReenactment(Vec<ClipCase>),
    /// Pairs of rendered people, with this motion.
    CrossIdentity(Vec<PairCase>, Motion),
}

impl Suite {
    /// What it is called in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SelfReenactment(_) => "self-reenactment",
            Self::CrossIdentity(_, Motion::Relative) => "cross-identity, relative motion",
            Self::CrossIdentity(_, Motion::Absolute) => "cross-identity, absolute motion",
        }
    }

    /// How many cases it has.
    pub fn n_cases(&self) -> usize {
        match self {
            Self::SelfReenactment(cases) => cases.len(),
            Self::CrossIdentity(cases, _) => cases.len(),
        }
    }
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Version of this format.
    pub schema: u32,
    /// How it was measured.
    pub options: EvalOptions,
    /// Metrics that were not measured, and why.
    pub left_out: Vec<LeftOut>,
    /// Whether the user stopped it: the figures are of what was played by then.
    pub is_cut_short: bool,
    /// One for each [`Suite`].
    pub suites: Vec<SuiteReport>,
}

/// What came out of a suite.
#[derive(Clone, Debug, Serialize)]
pub struct SuiteReport {
    /// Its name.
    pub name: &'static str,
    /// What to know when reading the figures.
    pub notes: Vec<String>,
    /// Cases that were played, in order.
    pub cases: Vec<CaseReport>,
    /// Cases that could not be played, and why.
    pub skipped: Vec<Skipped>,
    /// Frames that were compared.
    pub n_frames: u64,
    /// Frames that were left out because the driver's face was not found.
    pub n_driver_lost: u64,
    /// One for each contender.
    pub generators: Vec<GeneratorReport>,
    /// What the pictures of each row show.
    #[serde(skip)]
    pub cell_titles: Vec<String>,
    /// The frames to look at.
    #[serde(skip)]
    pub rows: Vec<Row>,
}

/// A case that was played.
#[derive(Clone, Debug, Serialize)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// The frame that was enrolled as the portrait; it is not measured.
    pub portrait_frame: u64,
}

/// A case that could not be played.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Skipped {
    /// Its name.
    pub case: String,
    /// Why.
    pub reason: String,
}

/// What one contender did in a suite.
#[derive(Clone, Debug, Serialize)]
pub struct GeneratorReport {
    /// What it is called.
    pub label: String,
    /// The generator's own name: `warp`, `small`, `large`.
    pub generator: String,
    /// What it ran on.
    pub backend: String,
    /// Means over all frames.
    pub figures: Figures,
    /// Means over the frames of each case, in the order of [`SuiteReport::cases`].
    pub cases: Vec<Figures>,
}

/// How far the work is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The suite.
    pub suite: &'static str,
    /// The case.
    pub case: String,
    /// Cases before this one, in all suites.
    pub n_cases_done: usize,
    /// Cases in all suites.
    pub n_cases: usize,
    /// Frames of this case that were read.
    pub n_frames_read: u64,
    /// Frames of this case, where known.
    pub n_frames: Option<u64>,
}

/// Files that some metrics need.
#[derive(Clone, Debug, Default)]
pub struct MetricFiles {
    /// MobileNetV2's weights ([`crate::train::features::FILE_NAME`]).
    pub features: Option<PathBuf>,
    /// dlib's recognition network as ONNX: 1×150×150×3 RGB in 0..255 → 128 numbers.
    pub recognition: Option<PathBuf>,
}

/// Plays every case of every suite with every contender; `progress` may stop the work by returning `false`.
///
/// A case that cannot be enrolled is skipped and listed with the reason.
///
/// # Errors
/// When a file cannot be read or a generator or network fails.
pub fn evaluate(
    suites: &[Suite],
    contenders: &mut [Contender],
    instruments: &mut Instruments,
    options: EvalOptions,
    progress: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Evaluation> {
    let n_cases = suites.iter().map(Suite::n_cases).sum();
    let mut evaluation = Evaluation {
        schema: SCHEMA,
        options,
        left_out: instruments.left_out().to_vec(),
        is_cut_short: false,
        suites: Vec::new(),
    };
    let mut n_cases_done = 0;
    for suite in suites {
        if evaluation.is_cut_short {
            break;
        }
        let mut stage = play::Stage::new(contenders, instruments, options, suite)?;
        for i in 0..suite.n_cases() {
            let mut report = |case: &str, n_frames_read, n_frames| {
                let case = case.to_owned();
                progress(&Progress { suite: suite.name(), case, n_cases_done, n_cases, n_frames_read, n_frames })
            };
            if stage.play(suite, i, &mut report)?.is_break() {
                evaluation.is_cut_short = true;
                break;
            }
            n_cases_done += 1;
        }
        evaluation.suites.push(stage.finish(suite));
    }
    Ok(evaluation)
}

#[cfg(test)]
mod tests;
