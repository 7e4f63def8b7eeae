//! The loop that teaches the network.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::module::conv1d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData, activation};

use super::augment::{augment, noise_alone};
use super::figures::{Figures, figures};
use super::{Part, Utterance};
use crate::checkpoint::{load_networks, replace, save_networks};
use crate::leaves::{Leaves, StepOptions};
use effigy_base::error::{Error, ErrorKind, Result};
use effigy_base::random::Rng;
use effigy_network::motion::weights::{self, Row};
use effigy_network::speech::{
    DILATIONS, LEAK, LOOK_AHEAD, N_BANDS, N_FIRST_TAPS, N_MOUTH, N_TAPS, REACH, SpeechNetwork, compressed, shapes,
};

/// Answers of a window: a second and a half.
const WINDOW: usize = 150;
/// Windows of a step.
const BATCH: usize = 16;
/// Share of windows in which nobody speaks.
const SILENT: f32 = 0.08;
/// How much more an error counts where lips must meet.
const SHUT: f32 = 3.0;
/// How much changes from row to row count beside the numbers themselves.
const CHANGES: f32 = 4.0;
/// How much each number counts: small ones move less and are seen as well.
const IMPORTANCE: [f32; N_MOUTH] = [3.0, 1.5, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0];

/// The name of the file that the program reads.
pub const FILE_NAME: &str = "speech.safetensors";
/// What a killed training goes on from.
pub(super) const CHECKPOINT: &str = "checkpoint.safetensors";
/// What the checkpoint says that it is of.
const OF: &str = "speech";

/// How the network is trained.
#[derive(Clone, Debug)]
pub struct SpeechOptions {
    /// The folder that gets `speech.safetensors`; a checkpoint that is there goes on.
    pub output: PathBuf,
    /// Steps in all, with those of earlier runs.
    pub n_steps: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Steps between checkpoints, and between lines of the report.
    pub checkpoint_every: usize,
    /// See [`Self::checkpoint_every`].
    pub report_every: usize,
}

/// Trains the network on utterances, writes it, and measures it with those that nothing was learned from; `report` gets a line
/// now and then. What was learned until `stop` is kept.
///
/// # Errors
/// [`ErrorKind::Config`] when there is nothing to learn from; [`ErrorKind::Io`] when a file cannot be written;
/// [`ErrorKind::Model`] when the checkpoint is another network's.
pub fn teach(
    options: &SpeechOptions,
    utterances: &[Utterance],
    device: &Device,
    stop: &AtomicBool,
    report: impl Fn(&str),
) -> Result<Vec<(Part, Figures)>> {
    let voices: Vec<Voice> =
        utterances.iter().filter(|utterance| utterance.part == Part::Train).filter_map(Voice::new).collect();
    if voices.is_empty() {
        return Err(Error::new(ErrorKind::Config, "no utterance to learn from: expected some of the part \"train\""));
    }
    let mut leaves = Leaves::new(first_weights(options.seed).into_iter(), &device.clone().autodiff());
    let checkpoint = options.output.join(CHECKPOINT);
    let mut done = 0;
    if checkpoint.exists() {
        done = load_networks(&checkpoint, OF, &mut [("", &mut leaves)])?;
        report(&format!("goes on after step {done}"));
    }
    let mut mean = 0.0_f32;
    let begun = done;
    while done < options.n_steps && !stop.load(Ordering::Relaxed) {
        let batch = Batch::draw(&voices, &mut Rng::new(options.seed, 1 + done as u64), leaves.device());
        let loss = loss(&leaves, &batch);
        let progress = done as f64 / options.n_steps as f64;
        let rise = ((done + 1) as f64 / 50.0).min(1.0);
        let rate = options.rate * rise * (0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()));
        let averaging = (1.0 - 1.0 / (1.0 + done as f32 / 10.0)).min(0.99);
        let norm = leaves.step(loss.backward(), &StepOptions { rate, max_norm: 1.0, averaging });
        done += 1;
        let share = 0.02_f32.max(1.0 / (done - begun) as f32);
        mean += (loss.into_scalar::<f32>() - mean) * share;
        let is_last = done == options.n_steps;
        if done.is_multiple_of(options.report_every.max(1)) || is_last {
            report(&format!("step {done}: loss {mean:.5}, gradient {norm:.3}"));
        }
        if done.is_multiple_of(options.checkpoint_every.max(1)) {
            save_networks(&checkpoint, OF, &[("", &leaves)], done)?;
        }
    }
    if done > begun {
        save_networks(&checkpoint, OF, &[("", &leaves)], done)?;
    }
    let bytes = weights::to_bytes(&rows(&leaves))?;
    replace(&options.output.join(FILE_NAME), &bytes)?;
    let network = SpeechNetwork::from_bytes(&bytes)?;
    Ok([Part::Voices, Part::Language].into_iter().filter_map(|part| figures(&network, utterances, part)).collect())
}

/// The moving averages as rows of the file.
pub(super) fn rows(leaves: &Leaves) -> Vec<Row> {
    let shapes = shapes();
    let shape = |name: &str| shapes.iter().find(|(known, _)| known == name).map_or_else(Vec::new, |(_, s)| s.clone());
    leaves.means().map(|(name, values)| (format!("speech.{name}"), shape(name), values)).collect()
}

pub(super) fn first_weights(seed: u64) -> Vec<Row> {
    let mut rng = Rng::new(seed, 0);
    let row = |(name, shape): (String, Vec<usize>)| {
        let n = shape.iter().product();
        let n_inputs: usize = shape[1..].iter().product();
        // The last layer begins by saying that the mouth is nearly shut, and layers that add by adding little.
        let spread = match name.as_str() {
            "out.weight" => 0.1,
            "first.weight" => 1.0,
            _ => 0.5,
        };
        let values = match shape.len() {
            1 if name == "out.bias" => vec![-2.0; n],
            1 => vec![0.0; n],
            _ => (0..n).map(|_| spread * (2.0 / n_inputs as f32).sqrt() * rng.normal()).collect(),
        };
        (name, shape, values)
    };
    shapes().into_iter().map(row).collect()
}

/// An utterance to learn from, and how loud it is.
struct Voice<'a> {
    utterance: &'a Utterance,
    /// Mean power where somebody speaks.
    loud: f32,
}

impl<'a> Voice<'a> {
    fn new(utterance: &'a Utterance) -> Option<Self> {
        let mut powers: Vec<f32> = utterance.powers.iter().map(|row| row.iter().sum()).collect();
        powers.sort_by(f32::total_cmp);
        let upper = &powers[powers.len() / 2..];
        let loud = upper.iter().sum::<f32>() / upper.len() as f32;
        (loud > 1e-9).then_some(Self { utterance, loud })
    }
}

/// What a step learns from.
struct Batch {
    /// (window, band, row).
    heard: Tensor<3>,
    /// (window, number, row): what the mouth does, and how much it counts.
    mouths: Tensor<3>,
    weights: Tensor<3>,
}

impl Batch {
    fn draw(voices: &[Voice<'_>], rng: &mut Rng, device: &Device) -> Self {
        let n_rows = WINDOW + REACH - 1;
        let (mut heard, mut mouths, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..BATCH {
            let Voice { utterance, loud } = &voices[rng.below(voices.len())];
            let n = utterance.powers.len();
            // From before its begin to beyond its end: nobody speaks there.
            let from = rng.below(n + 100) as isize - n_rows as isize + 50;
            let at = |row: isize| usize::try_from(row).ok().filter(|row| *row < n);
            let row = |i: usize| at(from + i as isize).map_or([0.0; N_BANDS], |row| utterance.powers[row]);
            let mut powers: Vec<[f32; N_BANDS]> = (0..n_rows).map(row).collect();
            let is_silent = rng.chance(SILENT);
            if is_silent {
                noise_alone(&mut powers, rng);
            } else {
                augment(&mut powers, *loud, rng);
            }
            let rows: Vec<[f32; N_BANDS]> = powers.iter().map(compressed).collect();
            heard.extend((0..N_BANDS).flat_map(|band| rows.iter().map(move |row| row[band])));
            let said: Vec<[f32; N_MOUTH]> = (0..WINDOW)
                .map(|i| {
                    let row = from + (i + REACH - 1) as isize - LOOK_AHEAD as isize;
                    at(row).filter(|_| !is_silent).map_or([0.0; N_MOUTH], |row| utterance.mouths[row])
                })
                .collect();
            // Pressed lips are those that must meet.
            let press = super::visemes::PRESS;
            let shut = |mouth: &[f32; N_MOUTH]| 1.0 + SHUT * (mouth[press] / 0.35).min(1.0);
            mouths.extend((0..N_MOUTH).flat_map(|i| said.iter().map(move |mouth| mouth[i])));
            weights.extend((0..N_MOUTH).flat_map(|i| said.iter().map(move |mouth| IMPORTANCE[i] * shut(mouth))));
        }
        let tensor = |values: Vec<f32>, dims: [usize; 3]| Tensor::from_data(TensorData::new(values, dims), device);
        Self {
            heard: tensor(heard, [BATCH, N_BANDS, n_rows]),
            mouths: tensor(mouths, [BATCH, N_MOUTH, WINDOW]),
            weights: tensor(weights, [BATCH, N_MOUTH, WINDOW]),
        }
    }
}

/// What the network says of rows (window, band, row): (window, number, row), for those rows that have enough before them.
pub(super) fn said(leaves: &Leaves, heard: Tensor<3>) -> Tensor<3> {
    let layer = |x: Tensor<3>, name: &str, dilation: usize| {
        let weight: Tensor<3> = leaves.get(&format!("{name}.weight"));
        let bias: Tensor<1> = leaves.get(&format!("{name}.bias"));
        conv1d(x, weight, Some(bias), ConvOptions::new([1], [0], [dilation], 1))
    };
    let leak = |x: Tensor<3>| activation::leaky_relu(x, f64::from(LEAK));
    debug_assert_eq!(REACH, N_FIRST_TAPS + (N_TAPS - 1) * DILATIONS.iter().sum::<usize>());
    let mut units = leak(layer(heard, "first", 1));
    for (i, &dilation) in DILATIONS.iter().enumerate() {
        let added = leak(layer(units.clone(), &i.to_string(), dilation));
        let n = added.dims()[2];
        let skipped = units.dims()[2] - n;
        units = units.narrow(2, skipped, n) + added;
    }
    activation::sigmoid(layer(units, "out", 1))
}

fn loss(leaves: &Leaves, batch: &Batch) -> Tensor<1> {
    let error = said(leaves, batch.heard.clone()) - batch.mouths.clone();
    let n = error.dims()[2] - 1;
    let changes = error.clone().narrow(2, 1, n) - error.clone().narrow(2, 0, n);
    let squares = error.square() * batch.weights.clone();
    let changes = changes.square() * batch.weights.clone().narrow(2, 1, n);
    squares.mean() + changes.mean() * CHANGES
}
