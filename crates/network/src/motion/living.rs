//! What a face does by itself: a small convolution that turns noise into breathing, blinks and glances.
//!
//! The noise of each moment follows from a seed and the time alone, and so does the motion: it can be asked for at any time,
//! in any order, and it never drifts. It was taught by an adversary to move as people do.

use std::sync::OnceLock;

use glam::Vec3;

use super::weights;
use effigy_base::error::Result;
use effigy_base::geometry::{COEFFICIENT_NAMES, N_COEFFICIENTS};
use effigy_base::random::Rng;

/// Numbers of a moment: turn, place and size, blink, gaze, brows.
pub const N_CHANNELS: usize = 10;
/// Numbers of noise of a moment.
pub const N_NOISE: usize = 8;
/// Channels of the hidden layers.
pub const N_UNITS: usize = 24;
/// Taps of a layer.
pub const N_TAPS: usize = 5;
/// Steps between the taps of each layer.
pub const DILATIONS: [usize; 3] = [1, 4, 14];
/// Moments of noise behind one moment of motion.
pub const REACH: usize = (N_TAPS - 1) * (DILATIONS[0] + DILATIONS[1] + DILATIONS[2]) + 1;
/// Moments a second.
pub const RATE_HZ: f64 = 25.0;
/// Slope of the hidden layers below zero.
pub const LEAK: f32 = 0.2;
/// Of the noise, how long the slow numbers take from one value to the next, in moments; the others change with every moment.
const SLOW: [i64; 4] = [10, 25, 60, 150];
/// Sets moments apart before the generator begins. Odd, and neither of the generator's own two factors: moments that are
/// those apart would draw the same numbers, one place further.
const APART: u64 = 0xda94_2042_e4dd_58b5;

/// What a face does by itself at one moment, from its rest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Idle {
    /// Rotation of the head: an axis as long as the angle, in radians.
    pub turn: Vec3,
    /// Shift of the head to the right and down in face widths, and the logarithm of its growth.
    pub place: Vec3,
    /// How far the lids shut, 0..1.
    pub blink: f32,
    /// Where the eyes look: to the picture's right, and up; -1..1 as coefficients.
    pub gaze: [f32; 2],
    /// How far brows rise, as coefficients; less than 0 falls.
    pub brows: f32,
}

impl Idle {
    /// From the model's numbers.
    pub fn from_channels(x: &[f32; N_CHANNELS]) -> Self {
        Self {
            turn: Vec3::new(x[0], x[1], x[2]),
            place: Vec3::new(x[3], x[4], x[5]),
            blink: x[6].clamp(0.0, 1.0),
            gaze: [x[7].clamp(-1.0, 1.0), x[8].clamp(-1.0, 1.0)],
            brows: x[9].clamp(-1.0, 1.0),
        }
    }
}

impl Idle {
    /// Slow small turns that never repeat visibly, by a formula: what learned motion is compared with.
    pub fn swaying(secs: f64) -> Self {
        let t = (secs % 3600.0) as f32;
        let sway = |period_secs: f32| (std::f32::consts::TAU * t / period_secs).sin();
        let turn = Vec3::new(0.012 * sway(5.9), 0.020 * sway(7.3) + 0.012 * sway(3.1), 0.008 * sway(9.7));
        Self { turn, ..Self::default() }
    }

    /// The model's numbers again.
    pub fn channels(&self) -> [f32; N_CHANNELS] {
        let ([a, b, c], [d, e, f]) = (self.turn.to_array(), self.place.to_array());
        [a, b, c, d, e, f, self.blink, self.gaze[0], self.gaze[1], self.brows]
    }
}

/// Where the numbers of lids, gaze and brows stand among a face's coefficients.
#[derive(Clone, Copy, Debug)]
pub struct IdlePlaces {
    /// Of the right eye and the left.
    pub blinks: [usize; 2],
    /// Of each eye, what turns it to the picture's right and left.
    right: [usize; 2],
    left: [usize; 2],
    up: [usize; 2],
    down: [usize; 2],
    brows: [usize; 3],
}

impl Default for IdlePlaces {
    fn default() -> Self {
        let at = |name: &str| COEFFICIENT_NAMES.iter().position(|known| *known == name).unwrap_or_default();
        Self {
            blinks: [at("eyeBlinkRight"), at("eyeBlinkLeft")],
            right: [at("eyeLookInLeft"), at("eyeLookOutRight")],
            left: [at("eyeLookOutLeft"), at("eyeLookInRight")],
            up: [at("eyeLookUpLeft"), at("eyeLookUpRight")],
            down: [at("eyeLookDownLeft"), at("eyeLookDownRight")],
            brows: [at("browInnerUp"), at("browOuterUpLeft"), at("browOuterUpRight")],
        }
    }
}

impl IdlePlaces {
    /// Adds what lids, eyes and brows do to the coefficients of a face at rest.
    pub fn add(&self, idle: &Idle, coefficients: &mut [f32; N_COEFFICIENTS]) {
        let mut add = |places: &[usize], much: f32| {
            places.iter().for_each(|&place| coefficients[place] = (coefficients[place] + much).clamp(0.0, 1.0));
        };
        add(&self.blinks, idle.blink);
        let [aside, above] = idle.gaze;
        add(&self.right, aside.max(0.0));
        add(&self.left, (-aside).max(0.0));
        add(&self.up, above.max(0.0));
        add(&self.down, (-above).max(0.0));
        add(&self.brows, idle.brows);
    }
}

/// The model's weights.
#[derive(Clone, Debug)]
pub struct Living {
    /// (unit, noise or unit, tap) each, and (channel, unit, tap) the last; rows one after the other.
    weights: [Vec<f32>; 3],
    biases: [Vec<f32>; 3],
    /// No number goes further from rest than this.
    range: [f32; N_CHANNELS],
}

/// What one moment needs; kept, so that a frame allocates nothing.
#[derive(Clone, Debug)]
pub struct Breath {
    noise: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Default for Breath {
    fn default() -> Self {
        let lengths = lengths(REACH + 1);
        Self {
            noise: vec![0.0; N_NOISE * (REACH + 1)],
            first: vec![0.0; N_UNITS * lengths[0]],
            second: vec![0.0; N_UNITS * lengths[1]],
        }
    }
}

/// How many moments are left after each of the hidden layers.
fn lengths(n: usize) -> [usize; 2] {
    let first = n - (N_TAPS - 1) * DILATIONS[0];
    [first, first - (N_TAPS - 1) * DILATIONS[1]]
}

/// Extents of the layers' weights: outputs, inputs, taps.
pub const SHAPES: [[usize; 3]; 3] =
    [[N_UNITS, N_NOISE, N_TAPS], [N_UNITS, N_UNITS, N_TAPS], [N_CHANNELS, N_UNITS, N_TAPS]];

impl Living {
    /// The one that belongs to the program.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Model`] when the program was built from a torn file.
    pub fn built_in() -> Result<&'static Self> {
        static MODEL: OnceLock<Living> = OnceLock::new();
        weights::built_in(&MODEL, Self::from_bytes)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Model`] when they are torn or another model's.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let file = weights::open(bytes)?;
        let read = |name: &str, shape: &[usize]| weights::read(&file, &format!("living.{name}"), shape);
        let range = read("range", &[N_CHANNELS])?;
        let weight = |layer: usize| read(&format!("{layer}.weight"), &SHAPES[layer]);
        let bias = |layer: usize| read(&format!("{layer}.bias"), &SHAPES[layer][..1]);
        Ok(Self {
            weights: [weight(0)?, weight(1)?, weight(2)?],
            biases: [bias(0)?, bias(1)?, bias(2)?],
            range: std::array::from_fn(|channel| range[channel].abs()),
        })
    }

    /// No number goes further from rest than this.
    pub fn range(&self) -> &[f32; N_CHANNELS] {
        &self.range
    }

    /// What a face does `secs` seconds after any origin. Allocates nothing.
    pub fn at(&self, seed: u64, secs: f64, breath: &mut Breath) -> Idle {
        let moment = secs * RATE_HZ;
        let first = moment.floor();
        let share = (moment - first) as f32;
        noise(seed, first as i64 + 1 - REACH as i64, REACH + 1, &mut breath.noise);
        let n = lengths(REACH + 1);
        layer(&self.weights[0], &self.biases[0], DILATIONS[0], &breath.noise, REACH + 1, &mut breath.first, n[0]);
        breath.first.iter_mut().for_each(leak);
        layer(&self.weights[1], &self.biases[1], DILATIONS[1], &breath.first, n[0], &mut breath.second, n[1]);
        breath.second.iter_mut().for_each(leak);
        let mut out = [0.0; 2 * N_CHANNELS];
        layer(&self.weights[2], &self.biases[2], DILATIONS[2], &breath.second, n[1], &mut out, 2);
        let channels = std::array::from_fn(|channel| {
            let [now, next] = [out[2 * channel], out[2 * channel + 1]].map(f32::tanh);
            (now + (next - now) * share) * self.range[channel]
        });
        Idle::from_channels(&channels)
    }
}

fn leak(x: &mut f32) {
    *x = if *x < 0.0 { LEAK * *x } else { *x };
}

/// One layer over `n_in` moments: inputs and outputs are rows of moments, one for each channel.
fn layer(weight: &[f32], bias: &[f32], dilation: usize, input: &[f32], n_in: usize, output: &mut [f32], n_out: usize) {
    let n_inputs = input.len() / n_in;
    for (o, (row, bias)) in output.chunks_exact_mut(n_out).zip(bias).enumerate() {
        row.fill(*bias);
        for i in 0..n_inputs {
            for tap in 0..N_TAPS {
                let factor = weight[(o * n_inputs + i) * N_TAPS + tap];
                let from = &input[i * n_in + tap * dilation..];
                row.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
            }
        }
    }
}

/// Writes the noise of `n` moments from `first` on: rows of moments, one for each of its numbers.
pub fn noise(seed: u64, first: i64, n: usize, noise: &mut [f32]) {
    let at = |stream: usize, place: i64| Rng::new(seed ^ (place as u64).wrapping_mul(APART), stream as u64).normal();
    for (stream, row) in noise.chunks_exact_mut(n).enumerate() {
        let slow = stream.checked_sub(N_NOISE - SLOW.len()).map(|slow| SLOW[slow]);
        for (i, value) in row.iter_mut().enumerate() {
            let moment = first + i as i64;
            *value = match slow {
                None => at(stream, moment),
                Some(length) => {
                    let (place, within) = (moment.div_euclid(length), moment.rem_euclid(length) as f32 / length as f32);
                    let smooth = within * within * (3.0 - 2.0 * within);
                    let (from, to) = (at(stream, place), at(stream, place + 1));
                    from + (to - from) * smooth
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_for_a_seed_in_any_order_and_another_for_another_seed() {
        let model = Living::built_in().unwrap();
        let (mut one, mut other) = (Breath::default(), Breath::default());
        let there: Vec<Idle> = (0..50).map(|i| model.at(1, f64::from(i) * 0.033, &mut one)).collect();
        let back: Vec<Idle> = (0..50).rev().map(|i| model.at(1, f64::from(i) * 0.033, &mut other)).collect();
        assert!(there.iter().eq(back.iter().rev()));
        assert_ne!(there[20], model.at(2, 20.0 * 0.033, &mut one));
    }

    #[test]
    fn it_moves_without_jumps_and_stays_in_its_range_for_days() {
        let model = Living::built_in().unwrap();
        let mut breath = Breath::default();
        let mut means = [Vec3::ZERO; 2];
        for (half, mean) in means.iter_mut().enumerate() {
            for i in 0..2000 {
                let secs = f64::from(i) * 43.7 + 90_000.0 * half as f64;
                let idle = model.at(1, secs, &mut breath);
                let range = model.range();
                assert!(idle.turn.to_array().iter().zip(range).all(|(x, range)| x.abs() <= range + 1e-6));
                assert!((0.0..=1.0).contains(&idle.blink) && idle.turn.is_finite() && idle.place.is_finite());
                let next = model.at(1, secs + 0.01, &mut breath);
                assert!(idle.turn.distance(next.turn) < 0.02, "{secs}: {idle:?} {next:?}");
                *mean += idle.turn / 2000.0;
            }
        }
        assert!(means[0].distance(means[1]) < 0.01, "{means:?}");
        assert!(means[0].length() < 0.05, "{means:?}");
    }

    #[test]
    fn neighbouring_moments_have_nothing_in_common() {
        const N: usize = 4000;
        let mut rows = vec![0.0; N_NOISE * N];
        for seed in 0..=8 {
            noise(seed, 0, N, &mut rows);
            for (stream, row) in rows.chunks_exact(N).take(N_NOISE - SLOW.len()).enumerate() {
                let product = |lag: usize| row.iter().zip(&row[lag..]).map(|(a, b)| a * b).sum::<f32>();
                for lag in 1..=4 {
                    let share = product(lag) / product(0);
                    assert!(share.abs() < 0.1, "seed {seed}, stream {stream}, {lag} apart: {share}");
                }
            }
        }
    }

    #[test]
    fn eyes_shut_now_and_then_and_open_again() {
        let model = Living::built_in().unwrap();
        let mut breath = Breath::default();
        let mut n_blinks = 0;
        let mut is_shut = false;
        for i in 0..60 * 25 {
            let blink = model.at(1, f64::from(i) / 25.0, &mut breath).blink;
            n_blinks += u32::from(blink > 0.35 && !is_shut);
            is_shut = if is_shut { blink > 0.15 } else { blink > 0.35 };
        }
        assert!((3..=60).contains(&n_blinks), "{n_blinks} blinks in a minute");
    }
}
