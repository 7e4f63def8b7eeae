//! Teaches what a face does by itself: an adversary tells made motion from people's, and the model learns to pass.
//!
//! No clip of the data shows people who only rest: they speak. So the mouth is left out, and of their windows the calmer ones
//! are learned from.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::module::conv1d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData, activation};

use super::{MotionOptions, Row, Track, rows};
use crate::leaves::{Leaves, StepOptions};
use effigy_base::error::{Error, ErrorKind, Result};
use effigy_base::geometry::{COEFFICIENT_NAMES, N_COEFFICIENTS};
use effigy_base::random::Rng;
use effigy_network::motion::Part;
use effigy_network::motion::living::{DILATIONS, LEAK, N_CHANNELS, N_NOISE, RATE_HZ, REACH, SHAPES, noise};

/// Moments of a window: two seconds and a half.
const WINDOW: usize = 64;
/// Windows of a step.
const BATCH: usize = 24;
/// Units of the adversary's layers.
const N_JUDGES: usize = 32;
/// Its learning rate over the model's.
const ADVERSARY_RATE: f64 = 0.2;
/// How much the means of what the adversary sees inside count.
const MATCHING: f32 = 10.0;
/// Windows whose head moves more than in this share of all are not learned from.
const CALMER: f32 = 0.6;

/// Channels of the head: turn, place and size.
const N_HEAD: usize = 6;

/// One window of motion from its rest: rows of moments, one for each channel.
pub type Window = Vec<f32>;

/// The channels of a track at a time, from its rest.
fn channels(track: &Track, secs: f32) -> [f32; N_CHANNELS] {
    let (turn, place) = (track.motion(Part::Turn, secs), track.motion(Part::Place, secs));
    let value = |name: &str| {
        let Some(c) = COEFFICIENT_NAMES.iter().position(|known| *known == name) else { return 0.0 };
        let part = Part::of_coefficient(c);
        let place =
            (1..N_COEFFICIENTS).filter(|&other| Part::of_coefficient(other) == part).position(|other| other == c);
        place.map_or(0.0, |place| track.motion(part, secs)[place])
    };
    let blink = 0.5 * (value("eyeBlinkLeft") + value("eyeBlinkRight"));
    let right = value("eyeLookInLeft") + value("eyeLookOutRight") - value("eyeLookOutLeft") - value("eyeLookInRight");
    let up = value("eyeLookUpLeft") + value("eyeLookUpRight") - value("eyeLookDownLeft") - value("eyeLookDownRight");
    let brows = value("browInnerUp") + value("browOuterUpLeft") + value("browOuterUpRight");
    [turn[0], turn[1], turn[2], place[0], place[1], place[2], blink, 0.5 * right, 0.5 * up, brows / 3.0]
}

/// All windows of a track of `length` moments, `step` moments apart, each channel from the track's median.
pub fn windows(track: &Track, length: usize, step: usize) -> Vec<Window> {
    let n = (f64::from(track.secs()) * RATE_HZ) as usize + 1;
    let mut all: Vec<[f32; N_CHANNELS]> = (0..n).map(|i| channels(track, (i as f64 / RATE_HZ) as f32)).collect();
    calm_head(&mut all);
    for channel in 0..N_CHANNELS {
        let mut sorted: Vec<f32> = all.iter().map(|row| row[channel]).collect();
        sorted.sort_by(f32::total_cmp);
        let median = sorted[n / 2];
        all.iter_mut().for_each(|row| row[channel] -= median);
    }
    (0..(n + 1).saturating_sub(length))
        .step_by(step.max(1))
        .map(|from| {
            (0..N_CHANNELS).flat_map(|channel| all[from..from + length].iter().map(move |row| row[channel])).collect()
        })
        .collect()
}

/// Takes away what heads that nobody shakes do not do, and trackers do: motion of more than about three waves a second.
fn calm_head(rows: &mut [[f32; N_CHANNELS]]) {
    const SPREAD: f32 = 1.2;
    const SIDE: isize = 4;
    let weights: Vec<f32> = (-SIDE..=SIDE).map(|x| (-0.5 * (x as f32 / SPREAD).powi(2)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    let raw = rows.to_vec();
    let last = raw.len() as isize - 1;
    for (i, row) in rows.iter_mut().enumerate() {
        for (channel, value) in row.iter_mut().take(N_HEAD).enumerate() {
            let at = |x: isize| raw[(i as isize + x).clamp(0, last) as usize][channel];
            *value = (-SIDE..=SIDE).zip(&weights).map(|(x, weight)| weight * at(x)).sum::<f32>() / sum;
        }
    }
}

/// Windows of a track as [`windows`], but of those moments alone in which the mouth rests: whoever speaks does not only live.
pub fn quiet_windows(track: &Track, length: usize, step: usize) -> Vec<Window> {
    /// Deviation of `jawOpen` over a window.
    const QUIET: f32 = 0.03;
    let jaw = COEFFICIENT_NAMES.iter().position(|name| *name == "jawOpen").unwrap_or_default();
    let place = (1..jaw).filter(|&c| Part::of_coefficient(c) == Part::Mouth).count();
    let is_quiet = |from: usize| {
        let at = |i: usize| track.motion(Part::Mouth, ((from + i) as f64 / RATE_HZ) as f32)[place];
        let mean = (0..length).map(at).sum::<f32>() / length as f32;
        ((0..length).map(|i| (at(i) - mean).powi(2)).sum::<f32>() / length as f32).sqrt() < QUIET
    };
    windows(track, length, step)
        .into_iter()
        .enumerate()
        .filter(|(i, _)| is_quiet(i * step))
        .map(|(_, window)| window)
        .collect()
}

/// How much the head turns in a window.
fn unrest(window: &Window) -> f32 {
    let length = window.len() / N_CHANNELS;
    let deviation = |row: &[f32]| {
        let mean = row.iter().sum::<f32>() / length as f32;
        row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / length as f32
    };
    window.chunks_exact(length).take(3).map(deviation).sum::<f32>()
}

/// Teaches, and gives the weights as rows of the file; `None` where it was stopped before the first step.
///
/// # Errors
/// [`ErrorKind::Config`] when no track is as long as a window.
pub fn teach(
    options: &MotionOptions,
    tracks: &[Track],
    device: &Device,
    stop: &AtomicBool,
    report: &impl Fn(&str),
) -> Result<Option<Vec<Row>>> {
    // Many clips of one person shall not drown the others: each clip gives as many windows.
    let mut all: Vec<Window> = tracks
        .iter()
        .flat_map(|track| {
            let step = ((f64::from(track.secs()) * RATE_HZ) as usize / 24).max(1);
            windows(track, WINDOW, step)
        })
        .collect();
    all.sort_by(|a, b| unrest(a).total_cmp(&unrest(b)));
    all.truncate((all.len() as f32 * CALMER).ceil() as usize);
    if all.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "no recording is long enough to learn from how people rest; three seconds are the least",
        ));
    }
    let range = range(&all);
    let device = device.clone().autodiff();
    let mut model = Leaves::new(first_weights(&shapes(), options.seed).into_iter(), &device);
    let mut judge = Leaves::new(first_weights(&judge_shapes(), options.seed + 1).into_iter(), &device);
    let mut rng = Rng::new(options.seed, 2);
    let (mut fooled, mut apart) = (0.0_f32, 0.0_f32);
    let mut n_done = 0;
    for step in 0..options.n_steps {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let noise = noise_batch(&mut rng, &device);
        let seen = seen_batch(&all, &range, &mut rng, &device);
        let made = make(&model, noise);
        let rate = options.rate * (1.0 - 0.9 * step as f64 / options.n_steps as f64);
        let step_options = |rate: f64| StepOptions {
            rate,
            max_norm: 1.0,
            averaging: (1.0 - 1.0 / (1.0 + step as f32 / 10.0)).min(0.995),
        };
        // The adversary first: what was seen above 1, what was made below -1.
        let of_made = look(&judge, made.clone().detach());
        let of_seen = look(&judge, seen.clone());
        let wrong =
            activation::relu(-of_seen.verdict.clone() + 1.0).mean() + activation::relu(of_made.verdict + 1.0).mean();
        judge.step(wrong.backward(), &step_options(ADVERSARY_RATE * rate));
        let of_made = look(&judge, made.clone());
        let of_seen = look(&judge, seen.clone());
        let matching = moments(&of_made.inside, &of_seen.inside) + moments(&[steps_of(made)], &[steps_of(seen)]) * 2.0;
        let found_out = -of_made.verdict.mean();
        let loss = found_out.clone() + matching.clone() * MATCHING;
        model.step(loss.backward(), &step_options(rate));
        let share = 0.02_f32.max(1.0 / (step + 1) as f32);
        fooled += (found_out.into_scalar::<f32>() - fooled) * share;
        apart += (matching.into_scalar::<f32>() - apart) * share;
        n_done = step + 1;
        if n_done.is_multiple_of(200) || n_done == options.n_steps {
            report(&format!("idle step {n_done}: found out {fooled:.3}, moments apart {apart:.4}"));
        }
    }
    if n_done == 0 {
        return Ok(None);
    }
    let mut rows = rows(&model, "living.", |name| {
        shapes().into_iter().find(|(known, _)| known == name).map_or_else(Vec::new, |(_, shape)| shape)
    });
    rows.push(("living.range".to_owned(), vec![N_CHANNELS], range.to_vec()));
    Ok(Some(rows))
}

/// How far each channel goes: half again the distance that 99 of 100 moments keep to.
fn range(windows: &[Window]) -> [f32; N_CHANNELS] {
    std::array::from_fn(|channel| {
        let mut sizes: Vec<f32> = windows
            .iter()
            .flat_map(|window| window.chunks_exact(WINDOW).nth(channel).unwrap_or_default().iter().map(|x| x.abs()))
            .collect();
        sizes.sort_by(f32::total_cmp);
        1.5 * sizes[sizes.len() * 99 / 100].max(1e-4)
    })
}

fn shapes() -> Vec<(String, Vec<usize>)> {
    let of = |(layer, shape): (usize, &[usize; 3])| {
        [(format!("{layer}.weight"), shape.to_vec()), (format!("{layer}.bias"), vec![shape[0]])]
    };
    SHAPES.iter().enumerate().flat_map(of).collect()
}

fn judge_shapes() -> Vec<(String, Vec<usize>)> {
    let n = N_JUDGES;
    let layers = [("0", 2 * N_CHANNELS, n), ("1", n, n), ("2", n, n), ("out", n, 1)];
    let of = |(name, c_in, c_out): (&str, usize, usize)| {
        let taps = if name == "out" { 3 } else { 5 };
        [(format!("{name}.weight"), vec![c_out, c_in, taps]), (format!("{name}.bias"), vec![c_out])]
    };
    layers.into_iter().flat_map(of).collect()
}

fn first_weights(shapes: &[(String, Vec<usize>)], seed: u64) -> Vec<Row> {
    let mut rng = Rng::new(seed, 3);
    shapes
        .iter()
        .map(|(name, shape)| {
            let reach =
                shape.get(1..).map_or(0.0, |inner| (1.5 / inner.iter().product::<usize>().max(1) as f32).sqrt());
            let spread = if shape.len() > 1 { reach } else { 0.0 };
            (name.clone(), shape.clone(), (0..shape.iter().product()).map(|_| spread * rng.normal()).collect())
        })
        .collect()
}

fn noise_batch(rng: &mut Rng, device: &Device) -> Tensor<3> {
    let n = WINDOW + REACH - 1;
    let mut values = vec![0.0; BATCH * N_NOISE * n];
    for one in values.chunks_exact_mut(N_NOISE * n) {
        noise(rng.next_u64(), (rng.next_u64() >> 40) as i64, n, one);
    }
    Tensor::from_data(TensorData::new(values, [BATCH, N_NOISE, n]), device)
}

/// Windows that people made, in thirds of the range, some of them mirrored.
fn seen_batch(all: &[Window], range: &[f32; N_CHANNELS], rng: &mut Rng, device: &Device) -> Tensor<3> {
    let mut values = Vec::with_capacity(BATCH * N_CHANNELS * WINDOW);
    for _ in 0..BATCH {
        let window = &all[rng.below(all.len())];
        let mirror = rng.chance(0.5);
        for (channel, row) in window.chunks_exact(WINDOW).enumerate() {
            // Yaw and roll, the shift to the right, and the gaze to the right change sides.
            let side = if mirror && matches!(channel, 1 | 2 | 3 | 7) { -1.0 } else { 1.0 };
            values.extend(row.iter().map(|x| 3.0 * side * x / range[channel]));
        }
    }
    Tensor::from_data(TensorData::new(values, [BATCH, N_CHANNELS, WINDOW]), device)
}

/// What the model makes of noise (n, 8, window + reach - 1), in thirds of the range: (n, 10, window).
fn make(model: &Leaves, noise: Tensor<3>) -> Tensor<3> {
    let layer = |x: Tensor<3>, layer: usize| {
        let weight: Tensor<3> = model.get(&format!("{layer}.weight"));
        let bias: Tensor<1> = model.get(&format!("{layer}.bias"));
        conv1d(x, weight, Some(bias), ConvOptions::new([1], [0], [DILATIONS[layer]], 1))
    };
    let first = activation::leaky_relu(layer(noise, 0), f64::from(LEAK));
    let second = activation::leaky_relu(layer(first, 1), f64::from(LEAK));
    layer(second, 2).tanh() * 3.0
}

/// What the adversary sees inside, and what it says: above 0 is "seen".
struct Look {
    inside: Vec<Tensor<3>>,
    verdict: Tensor<3>,
}

/// The steps from one moment to the next, larger.
fn steps_of(x: Tensor<3>) -> Tensor<3> {
    let [_, _, n] = x.dims();
    (x.clone().narrow(2, 1, n - 1) - x.narrow(2, 0, n - 1)) * 3.0
}

fn look(judge: &Leaves, motion: Tensor<3>) -> Look {
    let [_, _, n] = motion.dims();
    let mut x = Tensor::cat(vec![motion.clone().narrow(2, 1, n - 1), steps_of(motion)], 1);
    let mut inside = Vec::new();
    let layer = |x: Tensor<3>, name: &str, stride: usize| {
        let weight: Tensor<3> = judge.get(&format!("{name}.weight"));
        let bias: Tensor<1> = judge.get(&format!("{name}.bias"));
        conv1d(x, weight, Some(bias), ConvOptions::new([stride], [0], [1], 1))
    };
    for (name, stride) in [("0", 1), ("1", 2), ("2", 2)] {
        x = activation::leaky_relu(layer(x, name, stride), f64::from(LEAK));
        inside.push(x.clone());
    }
    Look { inside, verdict: layer(x, "out", 1) }
}

/// How far the means and spreads of two sets of channels are apart, in spreads of what was seen.
fn moments(made: &[Tensor<3>], seen: &[Tensor<3>]) -> Tensor<1> {
    let mean = |x: &Tensor<3>| x.clone().mean_dim(2).mean_dim(0);
    let spread = |x: &Tensor<3>| ((x.clone() - mean(x)).square().mean_dim(2).mean_dim(0) + 1e-6).sqrt();
    let of = |(made, seen): (&Tensor<3>, &Tensor<3>)| {
        let unit = spread(seen).detach() + 1e-2;
        ((mean(made) - mean(seen)).abs() / unit.clone()).mean() + ((spread(made) - spread(seen)).abs() / unit).mean()
    };
    let parts: Vec<Tensor<1>> = made.iter().zip(seen).map(of).collect();
    let n = parts.len() as f32;
    Tensor::stack::<2>(parts, 0).sum() / n
}

#[cfg(test)]
mod tests {
    use effigy_network::motion::living::{Breath, Living};
    use effigy_network::motion::{MotionSample, weights};
    use glam::Quat;

    use super::*;

    fn track() -> Track {
        let sample = |i: usize| {
            let t = i as f32 * 0.04;
            let mut coefficients = [0.0; N_COEFFICIENTS];
            coefficients[9] = if i % 50 < 4 { 0.8 } else { 0.05 };
            coefficients[10] = coefficients[9];
            MotionSample {
                secs: f64::from(t),
                turn: Quat::from_rotation_y(0.05 * (1.3 * t).sin()),
                coefficients,
                ..MotionSample::default()
            }
        };
        Track::new(&(0..200).map(sample).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn windows_count_from_rest_and_see_blinks() {
        let windows = windows(&track(), WINDOW, 1);
        assert_eq!(windows.len(), 200 - WINDOW + 1);
        let blink = &windows[0][6 * WINDOW..7 * WINDOW];
        assert!(blink[20].abs() < 0.01 && blink.iter().copied().fold(0.0, f32::max) > 0.5, "{blink:?}");
    }

    #[test]
    fn the_same_seed_teaches_the_same_and_the_program_plays_it() {
        let options = MotionOptions { output: std::env::temp_dir(), n_steps: 4, rate: 1e-3, seed: 5, only: Vec::new() };
        let (device, stop) = (Device::flex(), AtomicBool::new(false));
        let rows = teach(&options, &[track()], &device, &stop, &|_: &str| {}).unwrap().unwrap();
        assert_eq!(rows, teach(&options, &[track()], &device, &stop, &|_: &str| {}).unwrap().unwrap());
        let model = Living::from_bytes(&weights::to_bytes(&rows).unwrap()).unwrap();
        // The engine's loops against Burn's, on the same noise.
        let mut leaves = Leaves::new(first_weights(&shapes(), 5).into_iter(), &device);
        let of =
            |name: &str| rows.iter().find(|(known, _, _)| known == &format!("living.{name}")).map(|row| row.2.clone());
        leaves
            .restore(|key| of(key.split('/').next().unwrap_or_default()).filter(|_| !key.contains("moment")), 0)
            .unwrap();
        let n = WINDOW + REACH - 1;
        let mut values = vec![0.0; N_NOISE * n];
        noise(9, 1000 + 1 - REACH as i64, n, &mut values);
        let taught = make(&leaves, Tensor::from_data(TensorData::new(values, [1, N_NOISE, n]), &device));
        let taught: Vec<f32> = taught.try_to_vec_as().unwrap();
        let mut breath = Breath::default();
        for moment in [0, 1, 17, WINDOW - 1] {
            let idle = model.at(9, (1000 + moment) as f64 / RATE_HZ, &mut breath);
            let expected = taught[WINDOW + moment] / 3.0 * model.range()[1];
            assert!((idle.turn.y - expected).abs() < 2e-3 * model.range()[1], "{moment}: {} {expected}", idle.turn.y);
        }
    }
}
