//! The lag of motion: what filters and holds add that no time stamp shows, and how much of each expression arrives.
//!
//! The driver's frames go through tracker, driver, generator and compositor one by one, on the clip's own time; a
//! second tracker looks at what came out. The two see the same motion, one later and weaker than the other: where
//! their signals fit best is the lag, and the slope there is the amplitude. What moves beside the mesh is not followed: a
//! tracker sees the mesh alone.

use std::sync::Arc;

use glam::Vec3;

use super::compare::Random;
use super::scenario::Engine;
use crate::capture::{RawFrame, Read, Source};
use crate::clock::ManualClock;
use crate::composite::{CompositeOptions, Compositor, OutFrame};
use crate::drive::{DriveOptions, Driver, DrivingSignal, Motion};
use crate::error::{Error, ErrorKind, Result};
use crate::face::{COEFFICIENT_NAMES, FaceObservation, FaceTracker, N_COEFFICIENTS, TrackerOptions};
use crate::frame::Rgb;
use crate::generate::Portrait;
use crate::trace::Trace;

/// Lags that are looked at, in frames.
const LAGS: std::ops::RangeInclusive<isize> = -6..=15;
/// Draws for the interval of a lag.
const N_DRAWS: usize = 400;
/// Fewer frames than this say nothing.
const LEAST_FRAMES: usize = 60;
/// The first frames find the neutral.
const N_SETTLING: usize = 30;
/// Motion below this standard deviation is noise: of a coefficient.
const LEAST_MOTION: f64 = 0.02;

/// Signals that the lag is read from.
const SIGNALS: [&str; 6] = ["mouth", "left eye", "right eye", "yaw", "pitch", "roll"];

/// The lag of one signal, or of all together.
#[derive(Clone, Debug, PartialEq)]
pub struct Lag {
    /// The signal's name.
    pub name: &'static str,
    /// How much later the output moves, in milliseconds.
    pub lag_ms: f64,
    /// The interval that holds 95 % of the draws of a moving-block bootstrap.
    pub interval_ms: (f64, f64),
    /// Correlation at that lag, -1 to 1.
    pub correlation: f64,
}

/// How much of an expression arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct Amplitude {
    /// The expression's name.
    pub name: &'static str,
    /// Standard deviation in the driver.
    pub driver: f64,
    /// Slope of the output over the driver: 1 is all of it.
    pub ratio: f64,
    /// Correlation, -1 to 1.
    pub correlation: f64,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct LagFigures {
    /// Frames in which both trackers saw a face, after the neutral was found.
    pub n_frames: usize,
    /// Frames a second.
    pub rate_hz: f64,
    /// All signals together.
    pub overall: Lag,
    /// Each signal that moved.
    pub signals: Vec<Lag>,
    /// Expressions that moved, the strongest first.
    pub amplitudes: Vec<Amplitude>,
}

impl LagFigures {
    /// The figures in words.
    pub fn text(&self) -> String {
        let lag = |lag: &Lag| {
            let (low, high) = lag.interval_ms;
            format!(
                "{:<22} {:>6.1} ms  95 % [{low:.1}, {high:.1}]  correlation {:.3}\n",
                lag.name, lag.lag_ms, lag.correlation
            )
        };
        let mut text = format!("motion lag, {} frames at {:.2} a second\n", self.n_frames, self.rate_hz);
        text += &lag(&self.overall);
        text.extend(self.signals.iter().map(lag));
        text += "\namplitude of the output over the driver's, expressions that moved\n";
        for a in &self.amplitudes {
            text += &format!(
                "{:<22} {:>6.2}     moved {:.3}  correlation {:.3}\n",
                a.name, a.ratio, a.driver, a.correlation
            );
        }
        text
    }
}

/// What one tracker saw, frame by frame.
#[derive(Default)]
struct Seen {
    signals: Vec<[f64; SIGNALS.len()]>,
    coefficients: Vec<[f64; N_COEFFICIENTS]>,
}

impl Seen {
    fn push(&mut self, face: &FaceObservation) {
        let p = &face.landmarks_px;
        let gap = |a: usize, b: usize, c: usize, d: usize| {
            let length = |v: Vec3| f64::from(v.length()).max(1e-6);
            length(p[a] - p[b]) / length(p[c] - p[d])
        };
        let [yaw, pitch, roll] = face.pose.yaw_pitch_roll_rads().map(f64::from);
        // Openings over the distance of the outer eye corners and over each eye's own width.
        self.signals.push([gap(13, 14, 33, 263), gap(386, 374, 263, 362), gap(159, 145, 33, 133), yaw, pitch, roll]);
        self.coefficients.push(face.coefficients.map(f64::from));
    }
}

/// Plays `source`, which must not wait, through the engine and measures how late and how strongly motion arrives.
///
/// # Errors
/// [`ErrorKind::Config`] when the clip is too short or shows no moving face; else as the stages.
pub fn measure(source: &mut dyn Source, engine: &Engine<'_>, drive: DriveOptions) -> Result<LagFigures> {
    let rate_hz = source.frame_rate_hz().unwrap_or(30.0);
    let Some(identity) = engine.identities.first() else {
        return Err(Error::new(ErrorKind::Config, "no identity to show; enroll a photo first"));
    };
    let (mut eyes, mut far_eyes) =
        (FaceTracker::new(TrackerOptions::default())?, FaceTracker::new(TrackerOptions::default())?);
    let mut driver = Driver::new(drive, Arc::clone(identity))?;
    let mut generator = (engine.generator)()?;
    generator.adopt(Arc::clone(identity))?;
    let options = CompositeOptions { size_px: engine.size_px, ..CompositeOptions::default() };
    let mut compositor = Compositor::new(options)?;
    compositor.adopt(identity)?;
    let mut signal = Box::new(DrivingSignal::rest(&identity.shape, identity.size_px(), Motion::Relative));
    let (mut portrait, mut out) = (Portrait::default(), OutFrame::blank(engine.size_px, engine.size_px));
    let (mut frame, mut far_frame, mut far_picture) = (RawFrame::default(), RawFrame::default(), Rgb::default());
    let (mut face, mut far_face) = (Box::<FaceObservation>::default(), Box::<FaceObservation>::default());
    let (mut near, mut far) = (Seen::default(), Seen::default());
    // An unpaced source keeps the clip's own time.
    let clock = ManualClock::new();
    loop {
        match source.read(&mut frame, &clock)? {
            Read::Fresh => {}
            Read::Idle => continue,
            Read::Ended => break,
        }
        let has_face = eyes.observe(&frame, &mut face)?;
        driver.drive(has_face.then_some(&*face), None, frame.captured(), &mut signal);
        generator.generate(&signal, &mut portrait)?;
        compositor.compose(&portrait, Trace::default(), &mut out)?;
        let picture = out.picture();
        far_picture.reshape(picture.width_px(), picture.height_px());
        let pixels = picture.data().as_chunks::<4>().0;
        for (to, from) in far_picture.data_mut().as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
            *to = [from[0], from[1], from[2]];
        }
        far_frame.set_picture(&far_picture);
        far_frame.set_captured(frame.captured());
        if has_face && far_eyes.observe(&far_frame, &mut far_face)? {
            near.push(&face);
            far.push(&far_face);
        }
    }
    analyse(&near, &far, rate_hz)
}

fn analyse(near: &Seen, far: &Seen, rate_hz: f64) -> Result<LagFigures> {
    let n_frames = near.signals.len().saturating_sub(N_SETTLING);
    if n_frames < LEAST_FRAMES {
        let message = format!(
            "a face was seen in {n_frames} frames after the first second; give a clip with more than {LEAST_FRAMES}"
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    let column = |seen: &Seen, i: usize| seen.signals[N_SETTLING..].iter().map(|row| row[i]).collect::<Vec<_>>();
    // A signal that does not move has no lag: one part in a hundred of an opening, a third of a degree.
    let least = [0.004, 0.01, 0.01, 0.006, 0.006, 0.006];
    let pairs: Vec<(&'static str, Vec<f64>, Vec<f64>)> = SIGNALS
        .into_iter()
        .enumerate()
        .map(|(i, name)| (name, column(near, i), column(far, i)))
        .zip(least)
        .filter(|((_, near, _), least)| deviation(near) > *least)
        .map(|(pair, _)| pair)
        .collect();
    if pairs.is_empty() {
        return Err(Error::new(ErrorKind::Config, "nothing moves in the clip; give one in which someone speaks"));
    }
    let all: Vec<usize> = (0..pairs.len()).collect();
    let mut random = Random(11);
    let overall = lag("all together", &pairs, &all, rate_hz, &mut random);
    let signals = all.iter().map(|&i| lag(pairs[i].0, &pairs, &[i], rate_hz, &mut random)).collect();
    let shift = (overall.lag_ms * rate_hz / 1e3).round() as isize;
    let mut amplitudes: Vec<Amplitude> = (1..N_COEFFICIENTS)
        .filter_map(|i| {
            let column = |seen: &Seen| seen.coefficients[N_SETTLING..].iter().map(|row| row[i]).collect::<Vec<_>>();
            let (near, far) = (column(near), column(far));
            let (x, y) = shifted(&near, &far, shift);
            let driver = deviation(x);
            let correlation = correlation(x, y, None);
            (driver > LEAST_MOTION).then(|| Amplitude {
                name: COEFFICIENT_NAMES[i],
                driver,
                ratio: correlation * deviation(y) / driver,
                correlation,
            })
        })
        .collect();
    amplitudes.sort_by(|a, b| b.driver.total_cmp(&a.driver));
    Ok(LagFigures { n_frames, rate_hz, overall, signals, amplitudes })
}

/// The lag at which the chosen signals fit best, with its interval.
fn lag(
    name: &'static str,
    pairs: &[(&'static str, Vec<f64>, Vec<f64>)],
    chosen: &[usize],
    rate_hz: f64,
    random: &mut Random,
) -> Lag {
    let n = pairs[0].1.len();
    let (at, correlation) = peak(pairs, chosen, None);
    let block = (rate_hz as usize).clamp(1, n);
    let mut weights = vec![0.0; n];
    let mut draws: Vec<f64> = (0..N_DRAWS)
        .map(|_| {
            weights.fill(0.0);
            for _ in 0..n.div_ceil(block) {
                let from = random.below(n - block + 1);
                weights[from..from + block].iter_mut().for_each(|weight| *weight += 1.0);
            }
            peak(pairs, chosen, Some(&weights)).0
        })
        .collect();
    draws.sort_by(f64::total_cmp);
    let to_ms = 1e3 / rate_hz;
    let draw = |share: f64| draws[((N_DRAWS - 1) as f64 * share).round() as usize] * to_ms;
    Lag { name, lag_ms: at * to_ms, interval_ms: (draw(0.025), draw(0.975)), correlation }
}

/// The lag in frames where the mean correlation is highest, between frames by a parabola; and that correlation.
pub(crate) fn peak(
    pairs: &[(&'static str, Vec<f64>, Vec<f64>)],
    chosen: &[usize],
    weights: Option<&[f64]>,
) -> (f64, f64) {
    let at_lag = |lag: isize| {
        let of = |&i: &usize| {
            let (x, y) = shifted(&pairs[i].1, &pairs[i].2, lag);
            let weights = weights.map(|weights| shifted(weights, weights, lag).0);
            correlation(x, y, weights)
        };
        chosen.iter().map(of).sum::<f64>() / chosen.len() as f64
    };
    let curve: Vec<f64> = LAGS.map(at_lag).collect();
    let best = (0..curve.len()).max_by(|&a, &b| curve[a].total_cmp(&curve[b])).unwrap_or(0);
    let lag = (*LAGS.start() + best as isize) as f64;
    if best == 0 || best + 1 == curve.len() {
        return (lag, curve[best]);
    }
    let (before, here, after) = (curve[best - 1], curve[best], curve[best + 1]);
    let bend = before - 2.0 * here + after;
    let shift = if bend < 0.0 { 0.5 * (before - after) / bend } else { 0.0 };
    (lag + shift, here - 0.25 * (before - after) * shift)
}

/// The parts of two signals that meet when the second is `lag` frames late.
fn shifted<'a>(x: &'a [f64], y: &'a [f64], lag: isize) -> (&'a [f64], &'a [f64]) {
    let (n, by) = (x.len().min(y.len()), lag.unsigned_abs());
    if lag >= 0 { (&x[..n - by], &y[by..n]) } else { (&x[by..n], &y[..n - by]) }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len().max(1) as f64
}

pub(crate) fn deviation(x: &[f64]) -> f64 {
    let mean = mean(x);
    (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len().max(1) as f64).sqrt()
}

/// Pearson's correlation, weighted where weights are given.
fn correlation(x: &[f64], y: &[f64], weights: Option<&[f64]>) -> f64 {
    let weight = |i: usize| weights.map_or(1.0, |weights| weights[i]);
    let mut sums = [0.0; 6];
    for (i, (&x, &y)) in x.iter().zip(y).enumerate() {
        let w = weight(i);
        for (sum, term) in sums.iter_mut().zip([1.0, x, y, x * x, y * y, x * y]) {
            *sum += w * term;
        }
    }
    let [w, x, y, xx, yy, xy] = sums;
    let spread = (w * xx - x * x) * (w * yy - y * y);
    if spread > 1e-18 { (w * xy - x * y) / spread.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Someone who moves, and the same 2.4 frames later at 0.7 of the strength, with noise.
    #[test]
    fn a_known_lag_and_a_known_amplitude_are_found() {
        let wave = |t: f64, i: usize| (t * 0.11 + i as f64).sin() + 0.6 * (t * 0.37 + 2.0 * i as f64).sin();
        let mut random = Random(3);
        let (mut near, mut far) = (Seen::default(), Seen::default());
        for frame in 0..400 {
            let t = f64::from(frame);
            let mut noise = || 0.05 * f64::from(random.normal());
            near.signals.push(std::array::from_fn(|i| wave(t, i) + noise()));
            far.signals.push(std::array::from_fn(|i| 0.7 * wave(t - 2.4, i) + noise()));
            near.coefficients.push(std::array::from_fn(|i| if i == 25 { wave(t, i) } else { 0.0 }));
            far.coefficients.push(std::array::from_fn(|i| if i == 25 { 0.7 * wave(t - 2.0, i) } else { 0.3 }));
        }
        let figures = analyse(&near, &far, 25.0).unwrap();
        let overall = &figures.overall;
        assert!((overall.lag_ms - 96.0).abs() < 2.0, "{overall:?}");
        assert!(
            overall.interval_ms.0 < 96.0 && overall.interval_ms.1 > 95.0 && overall.correlation > 0.95,
            "{overall:?}"
        );
        assert!(overall.interval_ms.1 - overall.interval_ms.0 < 12.0, "{overall:?}");
        assert_eq!(figures.signals.len(), 6);
        let [amplitude] = &figures.amplitudes[..] else { panic!("{:?}", figures.amplitudes) };
        assert_eq!(amplitude.name, "jawOpen");
        assert!((amplitude.ratio - 0.7).abs() < 0.01 && amplitude.correlation > 0.99, "{amplitude:?}");
    }

    #[test]
    fn a_clip_in_which_nothing_moves_has_no_lag() {
        let seen = || Seen { signals: vec![[0.1; 6]; 200], coefficients: vec![[0.0; N_COEFFICIENTS]; 200] };
        assert!(analyse(&seen(), &seen(), 25.0).unwrap_err().to_string().contains("nothing moves"));
        let short = Seen { signals: vec![[0.1; 6]; 50], coefficients: vec![[0.0; N_COEFFICIENTS]; 50] };
        assert!(analyse(&short, &short, 25.0).unwrap_err().to_string().contains("more than 60"));
    }
}
