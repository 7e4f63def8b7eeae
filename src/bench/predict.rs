//! Looking ahead, measured on numbers alone: how much lag each way of it takes away, and what that costs.
//!
//! The same motion goes through every method and then through the filter of a live run. On fast turns of the head whose truth
//! is known, [`turns`] measures lag, trembling while the head rests, and how far it shoots past its end. On recordings of
//! motion, [`recordings`] compares what was said with what came.

use glam::{Quat, Vec4};

use super::compare::Random;
use crate::drive::pose_filter;
use crate::error::Result;
use crate::geometry::N_COEFFICIENTS;
use crate::motion::{Forecaster, MotionSample, Part};

pub use methods::Method;

mod methods;

/// Turns that are measured at each rate, and how long each lasts, in seconds.
const N_TURNS: usize = 48;
const TURN_SECS: (f32, f32) = (0.2, 0.5);
/// The head rests before the next, in seconds, and is taken for resting from so long after a turn on.
const REST_SECS: (f32, f32) = (0.5, 1.2);
const CALM_SECS: f32 = 0.25;
/// Where turns end, in radians either way.
const REACH_RADS: (f32, f32) = (0.25, 0.6);
/// The first seconds of a recording are not counted: nothing is known yet.
const SETTLING_SECS: f64 = 0.6;

/// What looking ahead makes of fast turns.
#[derive(Clone, Debug)]
pub struct TurnFigures {
    /// The method.
    pub method: Method,
    /// How much later than the truth the head moves, in milliseconds; less than 0 is earlier.
    pub lag_ms: f64,
    /// How much the head trembles at rest: root of the mean square of its second difference, in degrees a frame.
    pub jitter_deg: f64,
    /// How far it shoots past where a turn ends, in the mean, as a share of the turn.
    pub overshoot: f64,
}

/// Where looking ahead is wrong about what came.
#[derive(Clone, Debug)]
pub struct FutureFigures {
    /// The method.
    pub method: Method,
    /// Root of the mean square over each part's numbers: radians, face widths, coefficients.
    pub errors: [f64; Part::N],
}

/// A fast turn: begin and length in seconds, angles in radians.
#[derive(Clone, Copy)]
struct Turn {
    begin_secs: f32,
    length_secs: f32,
    from_rads: f32,
    to_rads: f32,
}

/// Measures all methods on synthetic turns with the tracker's noise, at so many frames a second.
///
/// # Errors
/// [`crate::ErrorKind::Model`] when the program was built from a torn file.
pub fn turns(ahead_ms: f32, rate_hz: f64) -> Result<Vec<TurnFigures>> {
    let model = Forecaster::built_in()?;
    let (turns, samples) = swinging(rate_hz, model.noise(Part::Turn));
    Method::ALL.into_iter().map(|method| turn_figures(method, ahead_ms, rate_hz, &turns, &samples)).collect()
}

/// The turns, and what a camera sees of them.
fn swinging(rate_hz: f64, noise: f32) -> (Vec<Turn>, Vec<MotionSample>) {
    let mut random = Random(7);
    let mut unit = |(low, high): (f32, f32)| low + (high - low) * (random.below(1 << 20) as f32 / (1 << 20) as f32);
    let (mut turns, mut begin_secs, mut from_rads) = (Vec::new(), 1.0, 0.0);
    for i in 0..N_TURNS {
        let to_rads = unit(REACH_RADS) * if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let length_secs = unit(TURN_SECS);
        turns.push(Turn { begin_secs, length_secs, from_rads, to_rads });
        begin_secs += length_secs + unit(REST_SECS);
        from_rads = to_rads;
    }
    let n = (f64::from(begin_secs) * rate_hz) as usize;
    let mut random = Random(8);
    let each = noise / 3.0_f32.sqrt();
    let sample = |i: usize| {
        let secs = i as f64 / rate_hz;
        let mut noise = || each * random.normal();
        let seen = glam::Vec3::new(noise(), yaw(&turns, secs as f32) + noise(), noise());
        MotionSample { secs, turn: Quat::from_scaled_axis(seen), ..MotionSample::default() }
    };
    let samples = (0..n).map(sample).collect();
    (turns, samples)
}

/// The true angle of turns at a time, in radians: between rests on the way that jerks least.
fn yaw(turns: &[Turn], secs: f32) -> f32 {
    let mut angle = 0.0;
    for turn in turns {
        let x = ((secs - turn.begin_secs) / turn.length_secs).clamp(0.0, 1.0);
        angle += (turn.to_rads - turn.from_rads) * x * x * x * (10.0 + x * (6.0 * x - 15.0));
    }
    angle
}

fn turn_figures(
    method: Method,
    ahead_ms: f32,
    rate_hz: f64,
    turns: &[Turn],
    samples: &[MotionSample],
) -> Result<TurnFigures> {
    let shown = shown(method, ahead_ms, samples)?;
    let angle = |i: usize| shown[i].to_scaled_axis().y;
    let lag_ms = lag_ms(
        &|secs| f64::from(yaw(turns, secs as f32)),
        &(0..shown.len()).map(|i| f64::from(angle(i))).collect::<Vec<_>>(),
        rate_hz,
    );
    let (mut trembling, mut n, mut overshoot) = (0.0_f64, 0_usize, 0.0_f64);
    for (i, turn) in turns.iter().enumerate() {
        let end_secs = turn.begin_secs + turn.length_secs;
        let until_secs = turns.get(i + 1).map_or(end_secs + REST_SECS.0, |next| next.begin_secs);
        let frames = |from: f32, to: f32| {
            (f64::from(from) * rate_hz).ceil() as usize..((f64::from(to) * rate_hz) as usize).min(shown.len())
        };
        for frame in frames(end_secs + CALM_SECS, until_secs - 0.05).skip(2) {
            let (a, b, c) = (shown[frame - 2], shown[frame - 1], shown[frame]);
            let bend = (c * b.inverse()).to_scaled_axis() - (b * a.inverse()).to_scaled_axis();
            trembling += f64::from(bend.length_squared());
            n += 1;
        }
        let way = (turn.to_rads - turn.from_rads).signum();
        let past = frames(turn.begin_secs, end_secs + CALM_SECS).map(|frame| (angle(frame) - turn.to_rads) * way);
        overshoot += f64::from(past.fold(0.0, f32::max) / (turn.to_rads - turn.from_rads).abs()) / turns.len() as f64;
    }
    Ok(TurnFigures { method, lag_ms, jitter_deg: (trembling / n.max(1) as f64).sqrt().to_degrees(), overshoot })
}

/// The rotations that a live run shows.
fn shown(method: Method, ahead_ms: f32, samples: &[MotionSample]) -> Result<Vec<Quat>> {
    let mut predictor = method.open(1e-3 * ahead_ms)?;
    let mut filter = pose_filter();
    let mut last = Quat::IDENTITY;
    let shown = samples.iter().map(|sample| {
        let turn = predictor.next(sample).turn;
        let near = if last.dot(turn) < 0.0 { -1.0 } else { 1.0 };
        last = Quat::from_vec4(filter.filter(Vec4::from(turn) * near, sample.secs)).normalize();
        last
    });
    Ok(shown.collect())
}

/// How much later `seen`, at so many a second, moves than the truth: where both fit best, to a millisecond.
fn lag_ms(truth: &dyn Fn(f64) -> f64, seen: &[f64], rate_hz: f64) -> f64 {
    let fit = |lag_ms: i32| {
        let (mut n, mut sums) = (0.0, [0.0; 5]);
        for (i, &y) in seen.iter().enumerate().skip(rate_hz as usize / 2) {
            let x = truth(i as f64 / rate_hz - 1e-3 * f64::from(lag_ms));
            n += 1.0;
            for (sum, term) in sums.iter_mut().zip([x, y, x * x, y * y, x * y]) {
                *sum += term;
            }
        }
        let [x, y, xx, yy, xy] = sums;
        (n * xy - x * y) / ((n * xx - x * x) * (n * yy - y * y)).max(1e-18).sqrt()
    };
    f64::from((-150..=150).max_by(|&a, &b| fit(a).total_cmp(&fit(b))).unwrap_or(0))
}

/// Compares what each method says of recordings, each one face without gaps, with what came, unfiltered.
///
/// # Errors
/// [`crate::ErrorKind::Model`] when the program was built from a torn file.
pub fn recordings(recordings: &[Vec<MotionSample>], ahead_ms: f32) -> Result<Vec<FutureFigures>> {
    let ahead_secs = f64::from(1e-3 * ahead_ms);
    let figures = Method::ALL.into_iter().map(|method| {
        let (mut squares, mut n) = ([0.0_f64; Part::N], 0.0);
        for samples in recordings {
            let mut predictor = method.open(1e-3 * ahead_ms)?;
            for sample in samples {
                let said = predictor.next(sample);
                let is_settled = sample.secs - samples[0].secs >= SETTLING_SECS;
                let Some(comes) = future(samples, sample.secs + ahead_secs).filter(|_| is_settled) else { continue };
                n += 1.0;
                squares[Part::Turn.index()] += f64::from(said.turn.angle_between(comes.turn)).powi(2);
                squares[Part::Place.index()] += f64::from((said.place - comes.place).length_squared());
                for c in 1..N_COEFFICIENTS {
                    let error = f64::from(said.coefficients[c] - comes.coefficients[c]);
                    squares[Part::of_coefficient(c).index()] += error * error;
                }
            }
        }
        Ok(FutureFigures { method, errors: squares.map(|square| (square / f64::max(n, 1.0)).sqrt()) })
    });
    figures.collect()
}

/// What a recording shows at a time, between its samples in proportion; `None` beyond its end.
fn future(samples: &[MotionSample], secs: f64) -> Option<MotionSample> {
    let after = samples.partition_point(|sample| sample.secs < secs - 1e-6);
    let (before, after) = (samples.get(after.checked_sub(1)?)?, samples.get(after)?);
    let share = ((secs - before.secs) / (after.secs - before.secs).max(1e-6)).clamp(0.0, 1.0) as f32;
    Some(MotionSample {
        secs,
        turn: before.turn.slerp(after.turn, share),
        place: before.place.lerp(after.place, share),
        coefficients: std::array::from_fn(|c| {
            before.coefficients[c] + (after.coefficients[c] - before.coefficients[c]) * share
        }),
    })
}

/// Figures of turns as a table.
pub fn turns_text(ahead_ms: f32, rate_hz: f64, figures: &[TurnFigures]) -> String {
    let mut text = format!(
        "{N_TURNS} turns of the head at {rate_hz} frames a second, {ahead_ms} ms ahead, filtered as a live run\n{:<22}{:>9}{:>14}{:>12}\n",
        "method", "lag", "trembling", "overshoot"
    );
    for row in figures {
        text += &format!(
            "{:<22}{:>6.0} ms{:>10.3} deg{:>10.1} %\n",
            row.method.name(),
            row.lag_ms,
            row.jitter_deg,
            100.0 * row.overshoot
        );
    }
    text
}

/// Errors on recordings as a table.
pub fn recordings_text(ahead_ms: f32, figures: &[FutureFigures]) -> String {
    let mut text = format!("error {ahead_ms} ms ahead of recordings, root of the mean square\n{:<22}", "method");
    text.extend(Part::ALL.map(|part| format!("{:>9}", part.name())));
    text += "\n";
    for row in figures {
        text += &format!("{:<22}", row.method.name());
        text.extend(row.errors.map(|error| format!("{error:>9.4}")));
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_lag_is_found() {
        let turns = swinging(30.0, 0.0).0;
        for late_ms in [-60.0, 0.0, 33.0] {
            let seen: Vec<f64> =
                (0..1500).map(|i| f64::from(yaw(&turns, (f64::from(i) / 30.0 - 1e-3 * late_ms) as f32))).collect();
            let lag = lag_ms(&|secs| f64::from(yaw(&turns, secs as f32)), &seen, 30.0);
            assert!((lag - late_ms).abs() <= 1.0, "{lag} {late_ms}");
        }
    }

    /// What the option promises: at least 30 ms less lag on fast turns, at no more trembling and overshoot than a tenth.
    #[test]
    fn looking_ahead_takes_thirty_milliseconds_of_lag_and_trembles_no_more() {
        for rate_hz in [25.0, 30.0, 60.0] {
            let figures = turns(66.0, rate_hz).unwrap();
            let of = |method: Method| figures.iter().find(|row| row.method == method).unwrap();
            let (none, learned) = (of(Method::None), of(Method::Learned));
            assert!(none.lag_ms - learned.lag_ms >= 30.0, "{rate_hz}: {none:?} {learned:?}");
            assert!(learned.jitter_deg <= 1.1 * none.jitter_deg, "{rate_hz}: {none:?} {learned:?}");
            assert!(learned.overshoot <= 0.1, "{rate_hz}: {learned:?}");
            let velocity = of(Method::Velocity);
            assert!(learned.jitter_deg < 0.5 * velocity.jitter_deg && learned.overshoot < velocity.overshoot);
        }
    }

    #[test]
    fn what_comes_is_read_between_samples_and_not_beyond() {
        let samples: Vec<MotionSample> = (0..50)
            .map(|i| MotionSample {
                secs: f64::from(i) * 0.04,
                place: glam::Vec3::X * i as f32,
                ..MotionSample::default()
            })
            .collect();
        assert!((future(&samples, 0.06).unwrap().place.x - 1.5).abs() < 1e-4);
        assert!(future(&samples, 1.97).is_none());
        let figures = recordings(&[samples], 40.0).unwrap();
        let place =
            |method: Method| figures.iter().find(|row| row.method == method).unwrap().errors[Part::Place.index()];
        assert!((place(Method::None) - 1.0).abs() < 1e-3 && place(Method::Velocity) < 1e-3);
    }
}
