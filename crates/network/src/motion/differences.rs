//! A history on one grid of times: how each part moved from step to step, and the numbers that say so whatever the direction.

use effigy_base::geometry::N_COEFFICIENTS;
use glam::{Quat, Vec3};

use super::{History, Part, parts_of_coefficients};

/// Steps of the grid back from the newest sample.
pub const N_STEPS: usize = 14;
/// A step, in seconds: 14 of them are 0.47 s.
const STEP_SECS: f64 = 1.0 / 30.0;
/// Steps that are also taken together: from, and up to.
const BLOCKS: [(usize, usize); 4] = [(0, 2), (2, 5), (5, 10), (10, N_STEPS)];
/// Numbers that the network takes of one part: lengths of the steps, their directions against the newest one, the products of
/// the blocks, energy, how far ahead, the time between samples, and which part it is.
pub const N_INPUTS: usize = N_STEPS + (N_STEPS - 1) + 10 + 3 + Part::N;
/// No input is larger, either way.
const MAX_INPUT: f32 = 8.0;

/// How a history moved, step by step of the grid. Takes no memory after it was made.
#[derive(Clone, Debug)]
pub struct Differences {
    /// Where each time of the grid lies: the younger sample's age, and how far on to the older one.
    brackets: [(usize, f32); N_STEPS + 1],
    /// For each step, what it adds: rotation, then place, then coefficients.
    turn: [Vec3; N_STEPS],
    place: [Vec3; N_STEPS],
    coefficients: [[f32; N_COEFFICIENTS]; N_STEPS],
    sample_secs: f32,
    parts: [Part; N_COEFFICIENTS],
}

impl Differences {
    /// Looks at a history; `false` when there is nothing to see: less than two samples.
    pub fn look(&mut self, history: &History) -> bool {
        let (Some(newest), n) = (history.at(0), history.len()) else { return false };
        if n < 2 {
            return false;
        }
        self.sample_secs = (history.span_secs() / (n - 1) as f64).min(0.2) as f32;
        let mut age = 0;
        for (k, bracket) in self.brackets.iter_mut().enumerate() {
            let wanted_secs = newest.secs - k as f64 * STEP_SECS;
            while history.at(age + 1).is_some_and(|older| older.secs > wanted_secs) {
                age += 1;
            }
            let share = match (history.at(age), history.at(age + 1)) {
                (Some(younger), Some(older)) => {
                    ((younger.secs - wanted_secs) / (younger.secs - older.secs).max(1e-6)).clamp(0.0, 1.0)
                }
                // Before the oldest sample all was as it is there.
                _ => 0.0,
            };
            *bracket = (age, share as f32);
        }
        let to_newest = newest.turn.inverse();
        let turned = |age: usize| history.at(age).map_or(Vec3::ZERO, |sample| logarithm(sample.turn * to_newest));
        let placed = |age: usize| history.at(age).map_or(Vec3::ZERO, |sample| sample.place - newest.place);
        let between = |of: &dyn Fn(usize) -> Vec3, (age, share): (usize, f32)| {
            let younger = of(age);
            if share > 0.0 { younger.lerp(of(age + 1), share) } else { younger }
        };
        let none = [0.0; N_COEFFICIENTS];
        let of = |age: usize| history.at(age).map_or(&none, |sample| &sample.coefficients);
        for k in 0..N_STEPS {
            let (near, far) = (self.brackets[k], self.brackets[k + 1]);
            self.turn[k] = between(&turned, near) - between(&turned, far);
            self.place[k] = between(&placed, near) - between(&placed, far);
            let at = |(age, share): (usize, f32), c: usize| {
                let younger = of(age)[c];
                if share > 0.0 { younger + (of(age + 1)[c] - younger) * share } else { younger }
            };
            self.coefficients[k] = std::array::from_fn(|c| at(near, c) - at(far, c));
        }
        true
    }

    /// How the rotation goes on from the newest sample's, by so much of each step.
    pub fn turned(&self, gains: &[f32; N_STEPS]) -> Quat {
        Quat::from_scaled_axis(weighted(&self.turn, gains))
    }

    /// How the place goes on.
    pub fn moved(&self, gains: &[f32; N_STEPS]) -> Vec3 {
        weighted(&self.place, gains)
    }

    /// How a coefficient goes on.
    pub fn expressed(&self, coefficient: usize, gains: &[f32; N_STEPS]) -> f32 {
        self.coefficients.iter().zip(gains).map(|(step, gain)| step[coefficient] * gain).sum()
    }

    /// The steps of a part as rows of numbers, for training: (numbers, step by step).
    pub fn rows(&self, part: Part) -> Vec<Vec<f32>> {
        match part {
            Part::Turn => self.turn.iter().map(|step| step.to_array().to_vec()).collect(),
            Part::Place => self.place.iter().map(|step| step.to_array().to_vec()).collect(),
            _ => {
                let of_part = |step: &[f32; N_COEFFICIENTS]| {
                    (0..N_COEFFICIENTS).filter(|&c| self.parts[c] == part && c > 0).map(|c| step[c]).collect()
                };
                self.coefficients.iter().map(of_part).collect()
            }
        }
    }

    /// Gains of steps as weights of the history's samples, by age: what is weighted with them goes on as the steps do.
    /// They add up to 1. Those beyond the history's length are 0.
    pub fn sample_weights(&self, gains: &[f32; N_STEPS], weights: &mut [f32; History::CAPACITY]) {
        weights.fill(0.0);
        weights[0] = 1.0;
        let mut add = |(age, share): (usize, f32), gain: f32| {
            weights[age] += gain * (1.0 - share);
            if share > 0.0 {
                weights[age + 1] += gain * share;
            }
        };
        for (k, &gain) in gains.iter().enumerate() {
            add(self.brackets[k], gain);
            add(self.brackets[k + 1], -gain);
        }
    }

    /// What the network takes of a part; `noise` is the size of the tracker's noise there, in the part's unit.
    pub fn inputs(&self, part: Part, ahead_secs: f32, noise: f32, inputs: &mut [f32; N_INPUTS]) {
        // Products of steps and of blocks of steps, over all numbers of the part.
        let mut squares = [0.0_f32; N_STEPS];
        let mut with_newest = [0.0_f32; N_STEPS];
        let mut products = [0.0_f32; 10];
        let mut take = |steps: &dyn Fn(usize) -> f32| {
            let newest = steps(0);
            for k in 0..N_STEPS {
                let step = steps(k);
                squares[k] += step * step;
                with_newest[k] += step * newest;
            }
            let blocks = BLOCKS.map(|(from, to)| (from..to).map(steps).sum::<f32>());
            let mut at = 0;
            for i in 0..BLOCKS.len() {
                for j in i..BLOCKS.len() {
                    products[at] += blocks[i] * blocks[j];
                    at += 1;
                }
            }
        };
        match part {
            Part::Turn => (0..3).for_each(|axis| take(&|k| self.turn[k][axis])),
            Part::Place => (0..3).for_each(|axis| take(&|k| self.place[k][axis])),
            _ => {
                for c in (1..N_COEFFICIENTS).filter(|&c| self.parts[c] == part) {
                    take(&|k| self.coefficients[k][c]);
                }
            }
        }
        let noise_square = noise * noise;
        let energy = squares.iter().sum::<f32>() / N_STEPS as f32 + 0.1 * noise_square;
        let of_part = Part::ALL.map(|other| f32::from(other == part));
        let values = squares
            .iter()
            .map(|square| square / energy)
            .chain(with_newest[1..].iter().map(|product| product / energy))
            .chain(products.iter().map(|product| 0.25 * product / energy))
            .chain([(energy / noise_square).ln(), 10.0 * ahead_secs, 20.0 * self.sample_secs])
            .chain(of_part);
        for (input, value) in inputs.iter_mut().zip(values) {
            *input = value.clamp(-MAX_INPUT, MAX_INPUT);
        }
    }
}

impl Default for Differences {
    fn default() -> Self {
        Self {
            brackets: [(0, 0.0); N_STEPS + 1],
            turn: [Vec3::ZERO; N_STEPS],
            place: [Vec3::ZERO; N_STEPS],
            coefficients: [[0.0; N_COEFFICIENTS]; N_STEPS],
            sample_secs: 0.0,
            parts: parts_of_coefficients(),
        }
    }
}

fn weighted(steps: &[Vec3; N_STEPS], gains: &[f32; N_STEPS]) -> Vec3 {
    steps.iter().zip(gains).map(|(step, gain)| *step * *gain).sum()
}

/// A rotation as an axis as long as its angle, the shorter way round.
fn logarithm(rotation: Quat) -> Vec3 {
    let near = if rotation.w < 0.0 { -rotation } else { rotation };
    near.to_scaled_axis()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::motion::MotionSample;

    /// Someone who turns, moves and opens the mouth at constant speeds, seen at these times.
    fn steady(times: &[f64]) -> History {
        let mut history = History::default();
        for &secs in times {
            let t = secs as f32;
            let mut coefficients = [0.1; N_COEFFICIENTS];
            coefficients[25] = 0.3 * t;
            history.push(&MotionSample {
                secs,
                turn: Quat::from_rotation_y(0.5 * t),
                place: Vec3::new(0.2 * t, 0.0, 0.0),
                coefficients,
            });
        }
        history
    }

    #[test]
    fn steps_are_the_same_at_any_rate_and_with_frames_missing() {
        let all: Vec<f64> = (0..40).map(|i| f64::from(i) / 60.0).collect();
        let every_fourth: Vec<f64> = all.iter().rev().step_by(4).rev().copied().collect();
        let holes: Vec<f64> = all.iter().copied().filter(|secs| !(0.3..0.45).contains(secs)).collect();
        let mut gains = [0.0; N_STEPS];
        gains[0] = 2.0;
        for times in [all, every_fourth, holes] {
            let mut differences = Differences::default();
            assert!(differences.look(&steady(&times)));
            let turned = differences.turned(&gains).to_scaled_axis();
            assert!((turned.y - 0.5 * 2.0 / 30.0).abs() < 1e-4, "{turned}");
            assert!((differences.moved(&gains).x - 0.2 * 2.0 / 30.0).abs() < 1e-4);
            assert!((differences.expressed(25, &gains) - 0.3 * 2.0 / 30.0).abs() < 1e-4);
        }
    }

    #[test]
    fn sample_weights_say_the_same_as_gains_and_add_up_to_one() {
        let times: Vec<f64> = (0..23).map(|i| f64::from(i) * 0.031 + if i % 3 == 0 { 0.004 } else { 0.0 }).collect();
        let history = steady(&times);
        let mut differences = Differences::default();
        assert!(differences.look(&history));
        let gains: [f32; N_STEPS] = std::array::from_fn(|k| 0.7 - 0.13 * k as f32);
        let mut weights = [0.0; History::CAPACITY];
        differences.sample_weights(&gains, &mut weights);
        assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let sum: f32 = (0..history.len()).map(|age| weights[age] * history.at(age).unwrap().place.x).sum();
        let said = history.at(0).unwrap().place.x + differences.moved(&gains).x;
        assert!((sum - said).abs() < 1e-5, "{sum} {said}");
    }

    #[test]
    fn inputs_do_not_know_the_direction_and_nothing_is_seen_in_one_sample() {
        let mut differences = Differences::default();
        assert!(!differences.look(&steady(&[0.0])));
        let (mut there, mut back) = ([0.0; N_INPUTS], [0.0; N_INPUTS]);
        let times: Vec<f64> = (0..20).map(|i| f64::from(i) / 30.0).collect();
        assert!(differences.look(&steady(&times)));
        differences.inputs(Part::Turn, 0.06, 0.003, &mut there);
        let mut mirrored = History::default();
        for &secs in &times {
            mirrored.push(&MotionSample {
                secs,
                turn: Quat::from_rotation_x(-0.5 * secs as f32),
                ..MotionSample::default()
            });
        }
        assert!(differences.look(&mirrored));
        differences.inputs(Part::Turn, 0.06, 0.003, &mut back);
        assert!(there.iter().zip(&back).all(|(a, b)| (a - b).abs() < 2e-2), "{there:?}\n{back:?}");
        assert!(there.iter().all(|input| input.is_finite()));
    }
}
