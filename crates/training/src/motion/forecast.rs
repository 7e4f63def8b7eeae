//! Teaches the network that looks ahead.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Tensor, TensorData};

use super::draw::{self, Drawn, MAX_NUMBERS};
use super::{MotionOptions, Row, Track, rows};
use crate::leaves::{Leaves, StepOptions};
use effigy_base::error::Result;
use effigy_base::random::Rng;
use effigy_network::motion::{N_HIDDEN, N_INPUTS, N_STEPS, Part};

/// Moments of a step.
const BATCH: usize = 512;
/// How much it counts that a face at rest does not tremble more than it does: of the head, and of the face.
const CALM: (f32, f32) = (4.0, 0.08);
/// How much it costs to say that a face goes on, against being wrong: what people's expressions do next differs from one to the
/// next, and clips are of few people. Heads obey mechanics.
const CAUTION: f32 = 1.0;

/// Teaches, and gives the weights as rows of the file; `None` where it was stopped before the first step.
///
/// # Errors
/// None of its own.
pub fn teach(
    options: &MotionOptions,
    tracks: &[Track],
    device: &Device,
    stop: &AtomicBool,
    report: &impl Fn(&str),
) -> Result<Option<Vec<Row>>> {
    let noise = Part::ALL.map(|part| {
        let mut sizes: Vec<f32> = tracks.iter().map(|track| track.noise_size(part)).collect();
        sizes.sort_by(f32::total_cmp);
        sizes[sizes.len() / 2].max(1e-5)
    });
    let mut leaves = Leaves::new(first_weights(options.seed).into_iter(), &device.clone().autodiff());
    let mut rng = Rng::new(options.seed, 1);
    let (mut mean_loss, mut mean_still) = (0.0_f32, 0.0_f32);
    let mut n_done = 0;
    for step in 0..options.n_steps {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let batch = Batch::draw(tracks, &noise, &mut rng, leaves.device());
        let (loss, still) = losses(&leaves, &batch);
        let progress = step as f64 / options.n_steps as f64;
        let rise = ((step + 1) as f64 / 100.0).min(1.0);
        let rate = options.rate * rise * (0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()));
        let averaging = (1.0 - 1.0 / (1.0 + step as f32 / 10.0)).min(0.998);
        let total = loss.clone() + still.clone();
        let norm = leaves.step(total.backward(), &StepOptions { rate, max_norm: 3.0, averaging });
        let share = 0.02_f32.max(1.0 / (step + 1) as f32);
        mean_loss += (loss.into_scalar::<f32>() / batch.as_it_is - mean_loss) * share;
        mean_still += (still.into_scalar::<f32>() - mean_still) * share;
        n_done = step + 1;
        if n_done.is_multiple_of(500) || n_done == options.n_steps {
            report(&format!(
                "step {n_done}: error {mean_loss:.4} of standing still, unrest {mean_still:.4}, gradient {norm:.2}"
            ));
        }
    }
    if n_done == 0 {
        return Ok(None);
    }
    let mut rows = rows(&leaves, "forecast.", shape);
    rows.push(("forecast.noise".to_owned(), vec![Part::N], noise.to_vec()));
    Ok(Some(rows))
}

/// Extents of the network's weights.
const SHAPES: [(&str, &[usize]); 6] = [
    ("in.weight", &[N_HIDDEN, N_INPUTS]),
    ("in.bias", &[N_HIDDEN]),
    ("hidden.weight", &[N_HIDDEN, N_HIDDEN]),
    ("hidden.bias", &[N_HIDDEN]),
    ("out.weight", &[N_STEPS, N_HIDDEN]),
    ("out.bias", &[N_STEPS]),
];

fn shape(name: &str) -> Vec<usize> {
    SHAPES.iter().find(|(known, _)| *known == name).map_or_else(Vec::new, |(_, shape)| shape.to_vec())
}

/// Random weights that say at first: all stays where it is.
fn first_weights(seed: u64) -> Vec<Row> {
    let mut rng = Rng::new(seed, 0);
    SHAPES
        .iter()
        .map(|(name, shape)| {
            let n = shape.iter().product();
            let spread = match *name {
                "in.weight" => (1.0 / N_INPUTS as f32).sqrt(),
                "hidden.weight" => (1.0 / N_HIDDEN as f32).sqrt(),
                _ => 0.0,
            };
            ((*name).to_owned(), shape.to_vec(), (0..n).map(|_| spread * rng.normal()).collect())
        })
        .collect()
}

/// What a step learns from.
struct Batch {
    /// (2 n, input).
    inputs: Tensor<2>,
    /// (2 n, step, number) and (2 n, 1, number): how parts moved, and will.
    steps: Tensor<3>,
    ahead: Tensor<3>,
    /// (n, 1, 1): how much an error counts, and how much that it changes.
    weights: Tensor<3>,
    calm: Tensor<3>,
    caution: Tensor<3>,
    /// The error of who says that all stays where it is.
    as_it_is: f32,
}

impl Batch {
    fn draw(tracks: &[Track], noise: &[f32; Part::N], rng: &mut Rng, device: &Device) -> Self {
        let mut drawn = Vec::with_capacity(BATCH);
        while drawn.len() < BATCH {
            drawn.extend(draw::draw(tracks, noise, rng));
        }
        Self::of(&drawn, noise, device)
    }

    fn of(drawn: &[Drawn], noise: &[f32; Part::N], device: &Device) -> Self {
        let n = drawn.len();
        let padded =
            |row: &[f32]| row.iter().copied().chain(std::iter::repeat(0.0)).take(MAX_NUMBERS).collect::<Vec<_>>();
        let (mut inputs, mut steps, mut ahead) = (Vec::new(), Vec::new(), Vec::new());
        // All first frames, then all second ones.
        for frame in 0..2 {
            for one in drawn {
                inputs.extend_from_slice(&one.inputs[frame]);
                steps.extend(one.steps[frame].iter().flat_map(|row| padded(row)));
                ahead.extend(padded(&one.ahead[frame]));
            }
        }
        let (mut weights, mut calm, mut caution, mut as_it_is) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
        for one in drawn {
            let noise = noise[one.part.index()];
            let is_head = matches!(one.part, Part::Turn | Part::Place);
            let weight = if is_head {
                1.0 / (draw::energy(one, N_STEPS) + (2.0 * noise).powi(2))
            } else {
                1.0 / (0.5 * draw::energy(one, N_STEPS) + (8.0 * noise).powi(2))
            };
            let still = (3.0 * noise).powi(2);
            let count = if is_head { CALM.0 } else { CALM.1 };
            weights.push(weight);
            caution.push(if is_head { 0.0 } else { CAUTION * weight });
            calm.push(count * still / (draw::energy(one, 4) + still).powi(2));
            as_it_is += weight * one.ahead.iter().flatten().map(|x| x * x).sum::<f32>() / (2 * n) as f32;
        }
        let tensor = |values: Vec<f32>, dims: [usize; 3]| Tensor::<3>::from_data(TensorData::new(values, dims), device);
        Self {
            inputs: Tensor::from_data(TensorData::new(inputs, [2 * n, N_INPUTS]), device),
            steps: tensor(steps, [2 * n, N_STEPS, MAX_NUMBERS]),
            ahead: tensor(ahead, [2 * n, 1, MAX_NUMBERS]),
            weights: tensor(weights, [n, 1, 1]),
            calm: tensor(calm, [n, 1, 1]),
            caution: tensor(caution, [n, 1, 1]),
            as_it_is: as_it_is.max(1e-9),
        }
    }
}

/// The gains that the network gives for inputs (n, input): (n, step).
fn gains(leaves: &Leaves, inputs: Tensor<2>) -> Tensor<2> {
    let layer = |x: Tensor<2>, name: &str| {
        let weight: Tensor<2> = leaves.get(&format!("{name}.weight"));
        let bias: Tensor<1> = leaves.get(&format!("{name}.bias"));
        x.matmul(weight.transpose()) + bias.unsqueeze()
    };
    let first = layer(inputs, "in").tanh();
    let second = layer(first, "hidden").tanh();
    layer(second, "out")
}

/// How far it is beside what comes, and how much what it adds trembles from one frame to the next.
fn losses(leaves: &Leaves, batch: &Batch) -> (Tensor<1>, Tensor<1>) {
    let n = batch.weights.dims()[0];
    let gains = gains(leaves, batch.inputs.clone());
    let said = gains.reshape([2 * n, 1, N_STEPS]).matmul(batch.steps.clone());
    let (said_first, said_second) = (said.clone().narrow(0, 0, n), said.clone().narrow(0, n, n));
    let error = said - batch.ahead.clone();
    let (first, second) = (error.clone().narrow(0, 0, n), error.narrow(0, n, n));
    let squares = first.clone().square() + second.clone().square();
    let bold = (said_first.square() + said_second.square()) * batch.caution.clone();
    let loss = (squares * batch.weights.clone() + bold).sum() / (2 * n) as f32;
    let still = ((second - first).square() * batch.calm.clone()).sum() / n as f32;
    (loss, still)
}

#[cfg(test)]
mod tests {
    use effigy_network::motion::{Forecaster, MotionSample, weights};
    use glam::Quat;

    use super::*;

    /// Somebody who turns the head from side to side.
    fn turning() -> Track {
        // And a tracker that trembles.
        let noise = |i: usize| ((i * 7919 % 13) as f32 - 6.0) / 6.0;
        let sample = |i: usize| MotionSample {
            secs: i as f64 * 0.04,
            turn: Quat::from_rotation_y(0.3 * (i as f32 * 0.2).sin() + 0.003 * noise(i)),
            place: glam::Vec3::X * 0.002 * noise(i + 3),
            coefficients: std::array::from_fn(|c| {
                0.5 + 0.4 * (i as f32 * 0.3 + c as f32).sin() + 0.02 * noise(i + 5 * c)
            }),
        };
        Track::new(&(0..100).map(sample).collect::<Vec<_>>()).unwrap()
    }

    fn options(n_steps: usize) -> MotionOptions {
        MotionOptions { output: std::env::temp_dir(), n_steps, rate: 2e-3, seed: 3, only: Vec::new() }
    }

    #[test]
    fn the_error_falls_and_the_same_seed_gives_the_same_weights() {
        let (device, stop) = (Device::flex(), AtomicBool::new(false));
        let train = || {
            let lines = std::cell::RefCell::new(Vec::new());
            let report = |line: &str| lines.borrow_mut().push(line.to_owned());
            (teach(&options(500), &[turning()], &device, &stop, &report).unwrap().unwrap(), lines.into_inner())
        };
        let (rows, lines) = train();
        let error: f32 = lines[0].split("error ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(error < 0.95, "no better than standing still: {lines:?}");
        assert_eq!(rows, train().0);
    }

    #[test]
    fn the_program_says_what_was_taught() {
        let (device, stop) = (Device::flex(), AtomicBool::new(false));
        let rows = teach(&options(20), &[turning()], &device, &stop, &|_: &str| {}).unwrap().unwrap();
        let model = Forecaster::from_bytes(&weights::to_bytes(&rows).unwrap()).unwrap();
        let mut leaves = Leaves::new(first_weights(3).into_iter(), &device);
        let state: std::collections::BTreeMap<String, Vec<f32>> = rows
            .iter()
            .flat_map(|(name, _, values)| {
                let name = name.trim_start_matches("forecast.").to_owned();
                [(format!("{name}/values"), values.clone()), (format!("{name}/mean"), values.clone())]
            })
            .collect();
        leaves.restore(|name| state.get(name).cloned(), 0).unwrap();
        let inputs: [f32; N_INPUTS] = std::array::from_fn(|i| (i as f32 * 0.7).sin());
        let taught = gains(&leaves, Tensor::from_data(TensorData::new(inputs.to_vec(), [1, N_INPUTS]), &device));
        let taught: Vec<f32> = taught.try_to_vec_as().unwrap();
        let mut said = [0.0; N_STEPS];
        model.gains(&inputs, &mut said);
        for (taught, said) in taught.iter().zip(said) {
            assert!((taught - said).abs() < 2e-3, "{taught} {said}");
        }
    }
}
