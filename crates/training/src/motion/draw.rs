//! What a forecast learns from: a moment of a track as a camera would see it, and what comes after it.

use effigy_base::geometry::N_COEFFICIENTS;
use effigy_base::random::Rng;
use effigy_network::motion::{Differences, History, MAX_AHEAD_SECS, MotionSample, N_INPUTS, N_STEPS, Part};
use glam::{Quat, Vec3};

use super::Track;

/// The most numbers that a part has.
pub const MAX_NUMBERS: usize = 28;
/// Rates of cameras, in frames a second.
const RATES_HZ: (f32, f32) = (15.0, 60.0);
/// What is seen before the moment, in seconds.
const SEEN_SECS: f32 = 0.62;

/// Two frames that follow each other, and where the face is a little after each.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Which part of the face it is.
    pub part: Part,
    /// What the network takes.
    pub inputs: [[f32; N_INPUTS]; 2],
    /// (step, number): how the part moved, step by step, without what is beyond its numbers.
    pub steps: [Vec<Vec<f32>>; 2],
    /// From the newest sample to where the part will be.
    pub ahead: [Vec<f32>; 2],
}

/// Draws a part as often as it counts: heads are what moves far.
fn draw_part(rng: &mut Rng) -> Part {
    match rng.unit() {
        x if x < 0.40 => Part::Turn,
        x if x < 0.60 => Part::Place,
        x if x < 0.68 => Part::Brows,
        x if x < 0.78 => Part::Lids,
        x if x < 0.86 => Part::Gaze,
        _ => Part::Mouth,
    }
}

/// Turns and shifts that no clip has: from here to there on the smoothest way, and perhaps back.
struct Swing {
    way: Vec3,
    begin_secs: f32,
    length_secs: f32,
    back_after_secs: Option<f32>,
}

impl Swing {
    fn draw(part: Part, rng: &mut Rng) -> Self {
        let way = Vec3::new(rng.normal(), rng.normal(), rng.normal()).normalize_or(Vec3::Y);
        let reach = if part == Part::Turn { rng.range(0.05, 0.7) } else { rng.range(0.03, 0.4) };
        Self {
            way: way * reach,
            begin_secs: rng.range(-0.3, 0.7),
            length_secs: rng.range(0.15, 0.7),
            back_after_secs: rng.chance(0.3).then(|| rng.range(0.0, 0.3)),
        }
    }

    fn at(&self, secs: f32) -> Vec3 {
        let smooth = |x: f32| {
            let x = x.clamp(0.0, 1.0);
            x * x * x * (10.0 + x * (6.0 * x - 15.0))
        };
        let there = smooth((secs - self.begin_secs) / self.length_secs);
        let back = self
            .back_after_secs
            .map_or(0.0, |after| smooth((secs - self.begin_secs - self.length_secs - after) / self.length_secs));
        self.way * (there - back)
    }
}

/// Draws a moment of a track; `noise` is the tracker's noise in each part.
pub fn draw(tracks: &[Track], noise: &[f32; Part::N], rng: &mut Rng) -> Option<Drawn> {
    let part = draw_part(rng);
    let track = &tracks[rng.below(tracks.len())];
    let is_head = matches!(part, Part::Turn | Part::Place);
    let log_range = |rng: &mut Rng, low: f32, high: f32| rng.range(low.ln(), high.ln()).exp();
    let (speed, strength) =
        if is_head { (log_range(rng, 0.8, 1.6), log_range(rng, 0.5, 3.0)) } else { (log_range(rng, 0.85, 1.2), 1.0) };
    let rate_hz = log_range(rng, RATES_HZ.0, RATES_HZ.1);
    // The clips' own rate is what is known best.
    let rate_hz = if !is_head && rng.chance(0.4) { track.rate_hz() * speed } else { rate_hz };
    let ahead_secs = rng.range(0.0, MAX_AHEAD_SECS);
    let from_secs = rng.range(0.0, (track.secs() / speed - SEEN_SECS - MAX_AHEAD_SECS).max(0.01));
    let swing = (is_head && rng.chance(0.6)).then(|| Swing::draw(part, rng));
    let noise_strength = rng.range(0.6, 1.5);
    let is_short = rng.chance(0.1);
    let n = (SEEN_SECS * rate_hz) as usize + 2;
    let mut times: Vec<f32> = (0..n).map(|i| (i as f32 + 0.05 * rng.normal()) / rate_hz).collect();
    // Frames that are dropped, and a face that was just found.
    let first = if is_short { rng.below(n - 2) } else { 0 };
    let mut i = 0;
    times.retain(|_| {
        i += 1;
        i > first && (i + 2 > n || !rng.chance(0.05))
    });
    let truth = |secs: f32| -> Vec<f32> {
        let mut numbers = track.motion(part, (from_secs + secs) * speed);
        numbers.iter_mut().for_each(|number| *number *= strength);
        if let Some(swing) = &swing {
            numbers.iter_mut().zip(swing.at(secs).to_array()).for_each(|(number, more)| *number += more);
        }
        numbers
    };
    let (mut history, mut differences) = (History::default(), Differences::default());
    let (mut inputs, mut steps, mut ahead) = (Vec::new(), Vec::new(), Vec::new());
    let n = times.len();
    for (i, &secs) in times.iter().enumerate() {
        let mut numbers = truth(secs);
        let added = track.noise(part, (from_secs + secs) * speed);
        numbers.iter_mut().zip(added).for_each(|(number, added)| *number += noise_strength * added);
        let sample = sample(part, f64::from(secs), &numbers);
        history.push(&sample);
        if i + 2 < n {
            continue;
        }
        if !differences.look(&history) {
            return None;
        }
        let mut taken = [0.0; N_INPUTS];
        differences.inputs(part, ahead_secs, noise[part.index()], &mut taken);
        inputs.push(taken);
        steps.push(differences.rows(part));
        let comes = truth(secs + ahead_secs);
        ahead.push(match part {
            Part::Turn => {
                let turn = Quat::from_scaled_axis(Vec3::from_slice(&comes)) * sample.turn.inverse();
                let near = if turn.w < 0.0 { -turn } else { turn };
                near.to_scaled_axis().to_array().to_vec()
            }
            _ => comes.iter().zip(&numbers).map(|(comes, is)| comes - is).collect(),
        });
    }
    Some(Drawn { part, inputs: inputs.try_into().ok()?, steps: steps.try_into().ok()?, ahead: ahead.try_into().ok()? })
}

/// A sample that shows one part.
fn sample(part: Part, secs: f64, numbers: &[f32]) -> MotionSample {
    let mut sample = MotionSample { secs, ..MotionSample::default() };
    match part {
        Part::Turn => sample.turn = Quat::from_scaled_axis(Vec3::from_slice(numbers)),
        Part::Place => sample.place = Vec3::from_slice(numbers),
        _ => {
            let of_part = (1..N_COEFFICIENTS).filter(|&c| Part::of_coefficient(c) == part);
            of_part.zip(numbers).for_each(|(c, number)| sample.coefficients[c] = *number);
        }
    }
    sample
}

/// How far a part moved in the steps and will move, squared; `n_steps` are counted.
pub(super) fn energy(drawn: &Drawn, n_steps: usize) -> f32 {
    let square = |row: &Vec<f32>| row.iter().map(|x| x * x).sum::<f32>();
    drawn.steps[0].iter().take(n_steps).map(square).sum::<f32>() * if n_steps == N_STEPS { 0.25 } else { 1.0 }
        + square(&drawn.ahead[0])
}
