//! Training of the motion models: from recordings of faces' motion to the weights of `models/motion.safetensors`.
//!
//! A [`Track`] is what one clip's face did; [`draw`] makes of tracks what a step learns from, [`forecast`] is the network that
//! looks ahead, [`living`] the one that moves a face which nobody drives ([`effigy_network::motion`] runs them).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;

use super::checkpoint::replace;
use super::leaves::Leaves;
use effigy_base::error::{Error, ErrorKind, OrError as _, Result};
use effigy_network::motion::weights::{self, Row};

pub use track::Track;

pub mod draw;
pub mod forecast;
pub mod living;
mod track;

/// How motion models are trained.
#[derive(Clone, Debug)]
pub struct MotionOptions {
    /// The folder that gets `motion.safetensors`; models that learn begin anew.
    pub output: PathBuf,
    /// Steps of each model.
    pub n_steps: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Models that learn, by the beginnings of their weights' names (`forecast`, `living`); the others stay as the file in the
    /// output has them, or the program where there is none. Empty is all.
    pub only: Vec<String>,
}

/// Models, as the names of their weights begin.
const FORECAST: &str = "forecast";
const LIVING: &str = "living";

/// The name of the file that the program reads.
pub const FILE_NAME: &str = "motion.safetensors";

/// Trains the models on tracks and writes them; `report` gets a line now and then. What was learned until `stop` is kept, and a
/// model that not a step was made of stays as it was.
///
/// # Errors
/// [`ErrorKind::Config`] when there are too few tracks; [`ErrorKind::Io`] when the file cannot be read or written;
/// [`ErrorKind::Model`] when the one that is there is torn.
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
    let path = options.output.join(FILE_NAME);
    let mut rows = Vec::new();
    for model in [FORECAST, LIVING] {
        let is_over = options.n_steps == 0 || stop.load(Ordering::Relaxed);
        let learned = match learns(model) && !is_over {
            false => None,
            true if model == FORECAST => forecast::teach(options, tracks, device, stop, &report)?,
            true => living::teach(options, tracks, device, stop, &report)?,
        };
        if learns(model) && learned.is_none() {
            report(&format!("{model} was not reached and stays as it was"));
        }
        match learned {
            Some(learned) => rows.extend(learned),
            None => rows.extend(kept(model, &path)?),
        }
    }
    write(&path, &rows)?;
    Ok(path)
}

/// A model as the file at `path` has it, or the program where that file is not there or knows no such model.
fn kept(model: &str, path: &Path) -> Result<Vec<Row>> {
    let of_model = |rows: Vec<Row>| -> Vec<Row> {
        rows.into_iter().filter(|(name, _, _)| name.split('.').next() == Some(model)).collect()
    };
    if path.exists() {
        let bytes = std::fs::read(path).or_error(ErrorKind::Io, || format!("cannot read {}", path.display()))?;
        let torn = |_| {
            let message = format!("{} is torn, and {model} would be kept of it; delete it", path.display());
            Error::new(ErrorKind::Model, message)
        };
        let rows = of_model(weights::rows(&bytes).map_err(torn)?);
        if !rows.is_empty() {
            return Ok(rows);
        }
    }
    Ok(of_model(weights::rows(weights::BUILT_IN)?))
}

fn write(path: &Path, rows: &[Row]) -> Result<()> {
    replace(path, &weights::to_bytes(rows)?)
}

/// The moving averages of leaves as rows of a file, their names behind `prefix`.
fn rows(leaves: &Leaves, prefix: &str, shape: impl Fn(&str) -> Vec<usize>) -> Vec<Row> {
    leaves.means().map(|(name, values)| (format!("{prefix}{name}"), shape(name), values)).collect()
}

#[cfg(test)]
mod tests {
    use effigy_network::motion::MotionSample;
    use glam::{Quat, Vec3};

    use super::*;

    /// Somebody who nods and talks, before a tracker that trembles.
    fn nodding() -> Track {
        let noise = |i: usize| ((i * 7919 % 13) as f32 - 6.0) / 6.0;
        let sample = |i: usize| MotionSample {
            secs: i as f64 * 0.04,
            turn: Quat::from_rotation_x(0.2 * (i as f32 * 0.2).sin() + 0.003 * noise(i)),
            place: Vec3::X * 0.002 * noise(i + 3),
            coefficients: std::array::from_fn(|c| {
                0.5 + 0.4 * (i as f32 * 0.3 + c as f32).sin() + 0.02 * noise(i + 5 * c)
            }),
        };
        Track::new(&(0..120).map(sample).collect::<Vec<_>>()).unwrap()
    }

    fn of(model: &str, bytes: &[u8]) -> Vec<Row> {
        weights::rows(bytes).unwrap().into_iter().filter(|(name, _, _)| name.starts_with(model)).collect()
    }

    #[test]
    fn a_model_that_was_not_reached_stays_as_it_was() {
        let output = std::env::temp_dir().join(format!("effigy-motion-{}", std::process::id()));
        std::fs::create_dir_all(&output).unwrap();
        let train = |only: &[&str], n_steps: usize, is_stopped: bool| {
            let only = only.iter().map(|only| (*only).to_owned()).collect();
            let options = MotionOptions { output: output.clone(), n_steps, rate: 1e-3, seed: 5, only };
            let (stop, lines) = (AtomicBool::new(false), std::cell::RefCell::new(String::new()));
            let report = |line: &str| {
                stop.store(is_stopped, Ordering::Relaxed);
                lines.borrow_mut().push_str(line);
            };
            let path = teach(&options, &[nodding()], &Device::flex(), &stop, report).unwrap();
            (std::fs::read(path).unwrap(), lines.into_inner())
        };
        // The line of the first model's last step comes before the second begins.
        let (first, lines) = train(&[], 2, true);
        assert!(lines.contains("living was not reached and stays as it was"), "{lines}");
        assert_eq!(of(LIVING, &first), of(LIVING, weights::BUILT_IN));
        assert_ne!(of(FORECAST, &first), of(FORECAST, weights::BUILT_IN));
        // Of two trainings into one folder the second keeps what the first wrote.
        let (second, lines) = train(&[LIVING], 2, false);
        assert!(!lines.contains("not reached"), "{lines}");
        assert_eq!(of(FORECAST, &second), of(FORECAST, &first));
        assert_ne!(of(LIVING, &second), of(LIVING, weights::BUILT_IN));
        let (third, lines) = train(&[], 0, false);
        assert_eq!(lines.matches("not reached").count(), 2, "{lines}");
        assert_eq!(third, second);
        std::fs::write(output.join(FILE_NAME), b"torn").unwrap();
        let error = kept(LIVING, &output.join(FILE_NAME)).unwrap_err().to_string();
        assert!(error.contains("motion.safetensors is torn"), "{error}");
        std::fs::remove_dir_all(output).unwrap();
    }
}
