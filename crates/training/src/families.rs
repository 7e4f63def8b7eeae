//! The founding families: networks of texts on generating video of people, trained as their authors meant them.
//!
//! A [`Learner`] is one family: its networks, and what one step makes of a batch. [`train`] is the loop that all share. The
//! networks are plans, as the generator's is; [`layers`] replays them with gradients. What a step draws follows from the
//! seed and the step's number alone, so that a training that was stopped goes on with the same numbers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::{Tensor, TensorData};
use serde_json::json;

use self::pictures::{Frames, Pictures};
use super::leaves::Leaves;
use super::log::Log;
use super::{checkpoint, curves, sheet};
use effigy_base::error::{ErrorKind, OrError as _, Result};
use effigy_base::random::Rng;
use effigy_network::plan::Param;
use effigy_network::tensors::Tensors;

pub mod clip_critic;
pub mod critic;
pub mod dcgan;
pub mod identity_driving;
pub mod layers;
pub mod md_gan;
pub mod pictures;
pub mod vae;
pub mod video_gan;
pub mod volumes;

#[cfg(test)]
mod tests;

/// How a family is trained.
#[derive(Clone, Debug)]
pub struct FamilyOptions {
    /// Where weights, checkpoint, log and pictures go; a training that is there goes on.
    pub output: PathBuf,
    /// Pictures, or clips, of one step.
    pub n_batch: usize,
    /// Steps from the beginning, with those of earlier runs.
    pub n_steps: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// Steps between validations, each with its sheet of pictures.
    pub validate_every: usize,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

/// What a learner is shown in one step.
pub struct Batch {
    /// (n, 3 frames, s, s), 0..1; a picture is a clip of one frame.
    pub pictures: Tensor<4>,
    /// Steps done before this one.
    pub step: usize,
    /// Learning rate.
    pub rate: f64,
    /// For what the step draws itself.
    pub rng: Rng,
}

/// Parts of a loss by name; the first is what falls.
pub type Parts = Vec<(&'static str, f32)>;

/// A family that learns.
pub trait Learner {
    /// Family and size, such as `vae 64`: a checkpoint of another is refused.
    fn name(&self) -> String;

    /// Width and height of its pictures.
    fn size_px(&self) -> usize;

    /// Which frames it learns from.
    fn frames(&self) -> Frames;

    /// Its networks, each with what its rows' names begin with in a checkpoint.
    fn networks(&self) -> Vec<(&'static str, &Leaves)>;

    /// The same, to go on from a checkpoint.
    fn networks_mut(&mut self) -> Vec<(&'static str, &mut Leaves)>;

    /// Follows the gradients of one batch.
    fn step(&mut self, batch: Batch) -> Parts;

    /// What the averaged weights make of pictures that nobody learned from, (n, 3 frames, s, s): figures, and rows of
    /// pictures (3, s, s) to look at.
    fn validate(&self, pictures: Tensor<4>) -> (Parts, Vec<Vec<Vec<f32>>>);

    /// The averaged weights as a file: its name, its bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] only.
    fn weights(&self) -> Result<(String, Vec<u8>)>;

    /// What is plotted: what is on the axis, and which parts of the loss.
    fn plots(&self) -> Vec<(&'static str, &'static [&'static str])>;
}

/// Steps over which the learning rate rises.
const WARM_UP: usize = 50;
/// Steps between lines of the log.
const LOG_EVERY: usize = 10;
/// Pictures or clips to validate with.
const N_VALIDATION: usize = 48;
/// Rows of a sheet.
const N_ROWS: usize = 12;

/// Trains until all steps are done or `stop` is set; then writes a checkpoint, the weights and the curves.
///
/// `report` gets a line from time to time.
///
/// # Errors
/// When the data are torn, the checkpoint is of another family, or nothing can be written.
pub fn train(
    learner: &mut dyn Learner,
    options: &FamilyOptions,
    source: &dyn Pictures,
    stop: &AtomicBool,
    report: &dyn Fn(&str),
) -> Result<()> {
    std::fs::create_dir_all(&options.output)
        .or_error(ErrorKind::Io, || format!("cannot make the folder {}", options.output.display()))?;
    let path = options.output.join("checkpoint.safetensors");
    let name = learner.name();
    let mut step = match path.exists() {
        true => checkpoint::load_networks(&path, &name, &mut learner.networks_mut())?,
        false => 0,
    };
    let (size_px, frames) = (learner.size_px(), learner.frames());
    let held_out = source.validation(N_VALIDATION, frames, size_px)?;
    let mut log = Log::open(&options.output)?;
    report(&format!("{name}: {}; from step {step} of {}", source.about(), options.n_steps));
    let begun = Instant::now();
    let first = step;
    while step < options.n_steps && !stop.load(Ordering::Relaxed) {
        let mut rng = Rng::new(options.seed, step as u64 + 1);
        let pictures = source.batch(options.n_batch, frames, size_px, &mut rng)?;
        let rate = rate(options, step);
        let pictures = tensor(pictures, frames.n(), size_px, &*learner);
        let parts = learner.step(Batch { pictures, step, rate, rng });
        step += 1;
        if step.is_multiple_of(LOG_EVERY) || step == options.n_steps {
            let samples_hz = ((step - first) * options.n_batch) as f64 / begun.elapsed().as_secs_f64();
            let line = json!({ "step": step, "parts": object(&parts), "rate": rate, "samples_hz": samples_hz });
            log.write(&line)?;
            report(&format!("step {step}: {line}"));
        }
        if step.is_multiple_of(options.checkpoint_every) {
            keep(learner, options, step, &path)?;
        }
        if step.is_multiple_of(options.validate_every) || step == options.n_steps {
            if let Some(pictures) = &held_out {
                let pictures = tensor(pictures.clone(), frames.n(), size_px, &*learner);
                let (figures, mut rows) = learner.validate(pictures);
                rows.truncate(N_ROWS);
                sheet::write(&options.output.join(format!("sheet-{step:06}.png")), &rows, size_px)?;
                let line = json!({ "step": step, "validation": object(&figures) });
                log.write(&line)?;
                report(&format!("step {step}: {}", words(&figures)));
            }
            curves::draw_parts(log.path(), &options.output.join("curves.svg"), &learner.plots())?;
        }
    }
    keep(learner, options, step, &path)?;
    curves::draw_parts(log.path(), &options.output.join("curves.svg"), &learner.plots())
}

/// Writes what to go on from, and the averaged weights.
fn keep(learner: &dyn Learner, options: &FamilyOptions, step: usize, path: &Path) -> Result<()> {
    checkpoint::save_networks(path, &learner.name(), &learner.networks(), step)?;
    let (name, bytes) = learner.weights()?;
    checkpoint::replace(&options.output.join(name), &bytes)
}

/// Values (n, 3 frames, s, s) where the learner's weights are, without gradients.
fn tensor(values: Vec<f32>, n_frames: usize, size_px: usize, learner: &dyn Learner) -> Tensor<4> {
    let dims = [values.len() / (3 * n_frames * size_px * size_px), 3 * n_frames, size_px, size_px];
    let device = learner.networks().first().map(|(_, leaves)| leaves.device().clone()).unwrap_or_default();
    Tensor::from_data(TensorData::new(values, dims), &device)
}

/// Rises over the first steps, then falls as a cosine to a twentieth.
fn rate(options: &FamilyOptions, step: usize) -> f64 {
    let rise = ((step + 1) as f64 / WARM_UP as f64).min(1.0);
    let progress = step as f64 / options.n_steps.max(1) as f64;
    options.rate * rise * (0.05 + 0.95 * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()))
}

/// How much of the moving average of the weights stays in a step: little at first.
pub(crate) fn averaging(step: usize) -> f32 {
    (1.0 - 1.0 / (1.0 + step as f32 / 10.0)).min(0.995)
}

fn object(parts: &Parts) -> serde_json::Map<String, serde_json::Value> {
    parts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
}

fn words(parts: &Parts) -> String {
    parts.iter().map(|(name, value)| format!("{name} {value:.4}")).collect::<Vec<_>>().join(", ")
}

/// The averaged weights of a network with these parameters, as a file holds them.
pub(crate) fn averaged(leaves: &Leaves, params: &[Param]) -> Tensors {
    let dims: BTreeMap<_, _> = params.iter().map(|param| (param.name.as_str(), &param.dims)).collect();
    let means = leaves.means();
    means.filter_map(|(name, values)| Some((name.to_owned(), ((*dims.get(name)?).clone(), values)))).collect()
}

/// Rows as [`Leaves`] take them.
pub(crate) fn rows(tensors: Tensors) -> impl Iterator<Item = (String, Vec<usize>, Vec<f32>)> {
    tensors.into_iter().map(|(name, (dims, values))| (name, dims, values))
}

/// The one output of a plan that has one.
pub(crate) fn only(outputs: Vec<Tensor<4>>) -> Tensor<4> {
    let Some(output) = outputs.into_iter().next() else { panic!("a plan has an output") };
    output
}

/// Decibels of the mean square between pictures in 0..1.
fn psnr_db(made: Tensor<4>, truth: Tensor<4>) -> f32 {
    -10.0 * number((made - truth).square().mean()).max(1e-12).log10()
}

/// The one number of a tensor.
pub(crate) fn number(x: Tensor<1>) -> f32 {
    x.into_scalar::<f32>()
}

/// Pictures (n, c, s, s) as rows of numbers.
fn rows_of(x: &Tensor<4>) -> Vec<Vec<f32>> {
    let n = x.dims()[0].max(1);
    let values: Vec<f32> = x.clone().try_into_vec_as().unwrap_or_default();
    let each = (values.len() / n).max(1);
    values.chunks(each).map(<[f32]>::to_vec).collect()
}
