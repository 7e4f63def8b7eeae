//! Where a face will be in a moment: a small network that weighs the steps of the last half second.
//!
//! It does not answer with a place but with gains: how much of each step of the past the next moment adds. What is weighted
//! with them goes on as the part does, be it three numbers of a rotation or hundreds of points, and what stands still stays.

use std::sync::OnceLock;

use super::{Differences, History, MotionSample, N_INPUTS, N_STEPS, Part, weights};
use effigy_base::error::Result;
use effigy_base::geometry::N_COEFFICIENTS;

/// Units of either hidden layer.
pub const N_HIDDEN: usize = 32;
/// It was taught to look so far ahead, in seconds.
pub const MAX_AHEAD_SECS: f32 = 0.12;
/// What is known for a shorter time than this is looked ahead from in proportion, in seconds: a face that was just found, or
/// somebody else's.
const EASE_SECS: f64 = 0.25;
/// No step counts more, either way.
const MAX_GAIN: f32 = 8.0;

/// The network's weights.
#[derive(Clone, Debug)]
pub struct Forecaster {
    /// (hidden, input), (hidden, hidden), (step, hidden); rows one after the other.
    in_weight: Vec<f32>,
    in_bias: Vec<f32>,
    hidden_weight: Vec<f32>,
    hidden_bias: Vec<f32>,
    out_weight: Vec<f32>,
    out_bias: Vec<f32>,
    /// The tracker's noise in each part.
    noise: [f32; Part::N],
}

/// What the network says of a moment ahead.
#[derive(Clone, Debug)]
pub struct Forecast {
    differences: Differences,
    /// For each part, how much each step of the past adds.
    gains: [[f32; N_STEPS]; Part::N],
}

impl Default for Forecast {
    fn default() -> Self {
        Self { differences: Differences::default(), gains: [[0.0; N_STEPS]; Part::N] }
    }
}

impl Forecaster {
    /// The one that belongs to the program.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Model`] when the program was built from a torn file.
    pub fn built_in() -> Result<&'static Self> {
        static MODEL: OnceLock<Forecaster> = OnceLock::new();
        weights::built_in(&MODEL, Self::from_bytes)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Model`] when they are torn or another model's.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let file = weights::open(bytes)?;
        let read = |name: &str, shape: &[usize]| weights::read(&file, &format!("forecast.{name}"), shape);
        let noise = read("noise", &[Part::N])?;
        Ok(Self {
            in_weight: read("in.weight", &[N_HIDDEN, N_INPUTS])?,
            in_bias: read("in.bias", &[N_HIDDEN])?,
            hidden_weight: read("hidden.weight", &[N_HIDDEN, N_HIDDEN])?,
            hidden_bias: read("hidden.bias", &[N_HIDDEN])?,
            out_weight: read("out.weight", &[N_STEPS, N_HIDDEN])?,
            out_bias: read("out.bias", &[N_STEPS])?,
            noise: std::array::from_fn(|part| noise[part].max(1e-6)),
        })
    }

    /// The tracker's noise in a part, in the part's unit.
    pub fn noise(&self, part: Part) -> f32 {
        self.noise[part.index()]
    }

    /// Looks `ahead_secs` (0..[`MAX_AHEAD_SECS`]) ahead of a history's newest sample; `false` when nothing can be said yet.
    /// Allocates nothing.
    pub fn look_ahead(&self, history: &History, ahead_secs: f32, forecast: &mut Forecast) -> bool {
        let known = (history.span_secs() / EASE_SECS).min(1.0) as f32;
        let ahead_secs = ahead_secs.clamp(0.0, MAX_AHEAD_SECS) * known;
        if ahead_secs <= 0.0 || !forecast.differences.look(history) {
            return false;
        }
        let mut inputs = [0.0; N_INPUTS];
        for part in Part::ALL {
            forecast.differences.inputs(part, ahead_secs, self.noise(part), &mut inputs);
            self.gains(&inputs, &mut forecast.gains[part.index()]);
        }
        true
    }

    /// What the network says of one part's inputs.
    pub fn gains(&self, inputs: &[f32; N_INPUTS], gains: &mut [f32; N_STEPS]) {
        let (mut first, mut second) = ([0.0; N_HIDDEN], [0.0; N_HIDDEN]);
        layer(&self.in_weight, &self.in_bias, inputs, &mut first);
        first.iter_mut().for_each(|unit| *unit = unit.tanh());
        layer(&self.hidden_weight, &self.hidden_bias, &first, &mut second);
        second.iter_mut().for_each(|unit| *unit = unit.tanh());
        layer(&self.out_weight, &self.out_bias, &second, gains);
        gains.iter_mut().for_each(|gain| *gain = gain.clamp(-MAX_GAIN, MAX_GAIN));
    }
}

impl Forecast {
    /// Moves a sample, the history's newest, on to the moment ahead. Its time stays.
    pub fn apply(&self, sample: &mut MotionSample) {
        let gains = |part: Part| &self.gains[part.index()];
        sample.turn = (self.differences.turned(gains(Part::Turn)) * sample.turn).normalize();
        sample.place += self.differences.moved(gains(Part::Place));
        for c in 1..N_COEFFICIENTS {
            let ahead = self.differences.expressed(c, gains(Part::of_coefficient(c)));
            sample.coefficients[c] = (sample.coefficients[c] + ahead).clamp(0.0, 1.0);
        }
    }

    /// Weights of the history's samples, by age, for whatever else moves with a part. They add up to 1.
    pub fn sample_weights(&self, part: Part, weights: &mut [f32; History::CAPACITY]) {
        self.differences.sample_weights(&self.gains[part.index()], weights);
    }
}

/// What a layer makes of its inputs: one row of weights for each output.
fn layer<const I: usize, const O: usize>(weight: &[f32], bias: &[f32], inputs: &[f32; I], outputs: &mut [f32; O]) {
    for ((output, row), bias) in outputs.iter_mut().zip(weight.chunks_exact(I)).zip(bias) {
        *output = bias + row.iter().zip(inputs).map(|(weight, input)| weight * input).sum::<f32>();
    }
}

#[cfg(test)]
mod tests {
    use glam::Quat;

    use super::*;

    /// Someone who turns by so much a second from `from_secs` on.
    fn turning(rate_hz: f64, n: u32, speed: f32, from_secs: f32) -> History {
        let mut history = History::default();
        for i in 0..n {
            let secs = f64::from(i) / rate_hz;
            let angle = speed * (secs as f32 - from_secs).max(0.0);
            history.push(&MotionSample { secs, turn: Quat::from_rotation_y(angle), ..MotionSample::default() });
        }
        history
    }

    fn ahead(history: &History, secs: f32) -> MotionSample {
        let (model, mut forecast) = (Forecaster::built_in().unwrap(), Forecast::default());
        let mut sample = *history.at(0).unwrap();
        if model.look_ahead(history, secs, &mut forecast) {
            forecast.apply(&mut sample);
        }
        sample
    }

    #[test]
    fn who_turns_goes_on_turning_and_who_rests_stays_at_any_rate() {
        for rate_hz in [15.0, 25.0, 30.0, 60.0] {
            let n = (0.8 * rate_hz) as u32;
            let turning = turning(rate_hz, n, 2.0, 0.35);
            let gained = turning.at(0).unwrap().turn.angle_between(ahead(&turning, 0.066).turn);
            assert!((0.03..0.2).contains(&gained), "{rate_hz} frames a second: {gained} of {}", 2.0 * 0.066);
            let resting = self::turning(rate_hz, n, 0.0, 0.0);
            assert!(resting.at(0).unwrap().turn.angle_between(ahead(&resting, 0.1).turn) < 1e-3);
        }
    }

    #[test]
    fn a_face_that_was_just_found_is_looked_ahead_from_little_by_little() {
        let short = turning(30.0, 1, 2.0, 0.0);
        assert_eq!(ahead(&short, 0.1), *short.at(0).unwrap(), "one sample says nothing");
        let of = |n: u32| {
            let history = turning(30.0, n, 2.0, 0.0);
            history.at(0).unwrap().turn.angle_between(ahead(&history, 0.066).turn)
        };
        assert!(of(3) < of(9), "{} {}", of(3), of(9));
        let still = turning(30.0, 20, 2.0, 0.0);
        assert_eq!(ahead(&still, 0.0), *still.at(0).unwrap(), "no time ahead is now");
    }

    #[test]
    fn points_that_move_with_a_part_go_where_the_part_goes() {
        let mut history = History::default();
        for i in 0..25 {
            let mut sample = MotionSample { secs: f64::from(i) * 0.033, ..MotionSample::default() };
            sample.coefficients[25] = (0.02 * i as f32).min(1.0);
            history.push(&sample);
        }
        let (model, mut forecast) = (Forecaster::built_in().unwrap(), Forecast::default());
        assert!(model.look_ahead(&history, 0.08, &mut forecast));
        let mut sample = *history.at(0).unwrap();
        forecast.apply(&mut sample);
        let mut weights = [0.0; History::CAPACITY];
        forecast.sample_weights(Part::of_coefficient(25), &mut weights);
        let weighted: f32 =
            (0..history.len()).map(|age| weights[age] * history.at(age).unwrap().coefficients[25]).sum();
        assert!((weighted - sample.coefficients[25]).abs() < 1e-4, "{weighted} {}", sample.coefficients[25]);
    }

    #[test]
    fn a_torn_model_is_refused() {
        let bytes = weights::BUILT_IN;
        assert!(
            Forecaster::from_bytes(&bytes[..bytes.len() - 2])
                .unwrap_err()
                .to_string()
                .contains("install the program anew")
        );
        assert!(Forecaster::from_bytes(b"nothing").is_err());
        let other = weights::to_bytes(&[("forecast.noise".to_owned(), vec![2], vec![0.1, 0.2])]).unwrap();
        assert!(Forecaster::from_bytes(&other).unwrap_err().to_string().contains("forecast.noise"));
    }
}
