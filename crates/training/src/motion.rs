//! Training of the motion models: from recordings of faces' motion to the weights of `models/motion.safetensors`.
//!
//! A [`Track`] is what one clip's face did; [`draw`] makes of tracks what a step learns from, [`forecast`] is the network that
//! looks ahead, [`living`] the one that moves a face which nobody drives ([`effigy_network::motion`] runs them).

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;

use super::checkpoint::replace;
use super::leaves::Leaves;
use effigy_base::error::{Error, ErrorKind, Result};
use effigy_network::motion::weights::{self, Row};

pub use track::Track;

pub mod draw;
pub mod forecast;
pub mod living;
mod track;

/// How motion models are trained.
#[derive(Clone, Debug)]
pub struct MotionOptions {
    /// The folder that gets `motion.safetensors`.
    pub output: PathBuf,
    /// Steps of each model.
    pub n_steps: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Models that learn, by the beginnings of their weights' names (`forecast`, `living`); the others stay as the program has
    /// them. Empty is all.
    pub only: Vec<String>,
}

/// Models, as the names of their weights begin.
const FORECAST: &str = "forecast";
const LIVING: &str = "living";

/// The name of the file that the program reads.
pub const FILE_NAME: &str = "motion.safetensors";

/// Trains the models on tracks and writes them; `report` gets a line now and then. What was learned until `stop` is kept.
///
/// # Errors
/// [`ErrorKind::Config`] when there are too few tracks; [`ErrorKind::Io`] when the file cannot be written.
pub fn teach(
    options: &MotionOptions,
    tracks: &[Track],
    device: &Device,
    stop: &AtomicBool,
    report: impl Fn(&str),
) -> Result<PathBuf> {
    if tracks.is_empty() {
        return Err(Error::new(ErrorKind::Config, "no recording of motion is long enough; two seconds are the least"));
    }
    let learns =
        |model: &str| options.only.is_empty() || options.only.iter().any(|only| model.starts_with(only.as_str()));
    if !learns(FORECAST) && !learns(LIVING) {
        let found = options.only.join(", ");
        return Err(Error::new(
            ErrorKind::Config,
            format!("expected --only {FORECAST} or --only {LIVING}, found {found}"),
        ));
    }
    let mut rows = Vec::new();
    let kept = |model: &str| -> Result<Vec<Row>> {
        let rows = weights::rows(weights::BUILT_IN)?;
        Ok(rows.into_iter().filter(|(name, _, _)| name.starts_with(model)).collect())
    };
    rows.extend(if learns(FORECAST) {
        forecast::teach(options, tracks, device, stop, &report)?
    } else {
        kept(FORECAST)?
    });
    rows.extend(if learns(LIVING) { living::teach(options, tracks, device, stop, &report)? } else { kept(LIVING)? });
    let path = options.output.join(FILE_NAME);
    write(&path, &rows)?;
    Ok(path)
}

fn write(path: &Path, rows: &[Row]) -> Result<()> {
    replace(path, &weights::to_bytes(rows)?)
}

/// The moving averages of leaves as rows of a file, their names behind `prefix`.
fn rows(leaves: &Leaves, prefix: &str, shape: impl Fn(&str) -> Vec<usize>) -> Vec<Row> {
    leaves.means().map(|(name, values)| (format!("{prefix}{name}"), shape(name), values)).collect()
}
