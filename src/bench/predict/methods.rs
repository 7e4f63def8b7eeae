//! Ways of looking ahead: none, three of the textbook, and the one that was learned.

use glam::{Quat, Vec3};

use crate::error::Result;
use crate::geometry::N_COEFFICIENTS;
use crate::motion::{Forecast, Forecaster, History, MotionSample, Part};

/// Numbers of a sample: rotation as an axis, place, coefficients but the first.
const N: usize = 6 + N_COEFFICIENTS - 1;
/// A parabola is laid through samples of so long, in seconds.
const FIT_SECS: f64 = 0.14;
/// How fast acceleration changes in the mean, in sizes of the noise a second three times over.
const JERK: f32 = 18_000.0;

/// A way of looking ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// What was seen last.
    None,
    /// On with the speed between the last two samples.
    Velocity,
    /// On a parabola through the last samples.
    LeastSquares,
    /// By a Kalman filter for constant acceleration.
    Kalman,
    /// By the network of `effigy run --predict`.
    Learned,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Velocity, Self::LeastSquares, Self::Kalman, Self::Learned];

    /// What tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Velocity => "constant velocity",
            Self::LeastSquares => "parabola, 0.14 s",
            Self::Kalman => "Kalman, acceleration",
            Self::Learned => "learned",
        }
    }

    /// Begins to look so many seconds ahead.
    pub(super) fn open(self, ahead_secs: f32) -> Result<Predictor> {
        let model = Forecaster::built_in()?;
        Ok(Predictor {
            method: self,
            ahead_secs,
            model,
            history: History::default(),
            forecast: Forecast::default(),
            kalman: None,
        })
    }
}

/// A method at work on one motion.
pub(super) struct Predictor {
    method: Method,
    ahead_secs: f32,
    model: &'static Forecaster,
    history: History,
    forecast: Forecast,
    kalman: Option<Box<[Kalman; N]>>,
}

impl Predictor {
    /// Takes a sample and gives the one that is expected.
    pub(super) fn next(&mut self, sample: &MotionSample) -> MotionSample {
        let before = self.history.at(0).copied();
        self.history.push(sample);
        match self.method {
            Method::None => *sample,
            Method::Velocity => before.map_or(*sample, |before| {
                let (a, b) = (numbers(&before), numbers(sample));
                let share = self.ahead_secs / (sample.secs - before.secs).max(1e-3) as f32;
                with_numbers(sample, |i| b[i] + (b[i] - a[i]) * share)
            }),
            Method::LeastSquares => self.parabola(sample),
            Method::Kalman => self.kalman(sample, before.map(|before| (sample.secs - before.secs) as f32)),
            Method::Learned => {
                let mut said = *sample;
                if self.model.look_ahead(&self.history, self.ahead_secs, &mut self.forecast) {
                    self.forecast.apply(&mut said);
                }
                said
            }
        }
    }

    fn parabola(&self, sample: &MotionSample) -> MotionSample {
        let past: Vec<&MotionSample> = (0..self.history.len())
            .filter_map(|age| self.history.at(age))
            .take_while(|past| sample.secs - past.secs <= FIT_SECS)
            .collect();
        if past.len() < 3 {
            return *sample;
        }
        // Normal equations of a + b t + c t², t counted from now.
        let mut sums = [0.0_f64; 5];
        for past in &past {
            let t = past.secs - sample.secs;
            let mut power = 1.0;
            sums.iter_mut().for_each(|sum| {
                *sum += power;
                power *= t;
            });
        }
        let [s0, s1, s2, s3, s4] = sums;
        let matrix = glam::DMat3::from_cols_array(&[s0, s1, s2, s1, s2, s3, s2, s3, s4]);
        let h = f64::from(self.ahead_secs);
        let weights = matrix.inverse() * glam::DVec3::new(1.0, h, h * h);
        let rows: Vec<([f32; N], f64)> = past
            .iter()
            .map(|past| {
                let t = past.secs - sample.secs;
                (numbers(past), weights.dot(glam::DVec3::new(1.0, t, t * t)))
            })
            .collect();
        with_numbers(sample, |i| rows.iter().map(|(row, weight)| f64::from(row[i]) * weight).sum::<f64>() as f32)
    }

    fn kalman(&mut self, sample: &MotionSample, step_secs: Option<f32>) -> MotionSample {
        let seen = numbers(sample);
        let model = self.model;
        let noise = |i: usize| {
            let part = match i {
                0..3 => Part::Turn,
                3..6 => Part::Place,
                _ => Part::of_coefficient(i - 5),
            };
            let n = if i < 6 { 3.0_f32 } else { 10.0 };
            model.noise(part) / n.sqrt()
        };
        let filters =
            self.kalman.get_or_insert_with(|| Box::new(std::array::from_fn(|i| Kalman::new(seen[i], noise(i)))));
        if let Some(step_secs) = step_secs.filter(|secs| *secs > 0.0) {
            filters.iter_mut().zip(seen).for_each(|(filter, seen)| filter.take(seen, step_secs));
        }
        let h = self.ahead_secs;
        with_numbers(sample, |i| {
            let [place, speed, rise] = filters[i].state;
            place + h * (speed + 0.5 * h * rise)
        })
    }
}

/// Place, speed and acceleration of one number.
struct Kalman {
    state: [f32; 3],
    covariance: glam::Mat3,
    noise: f32,
}

impl Kalman {
    fn new(seen: f32, noise: f32) -> Self {
        let covariance = glam::Mat3::from_diagonal(Vec3::new(noise * noise, 1.0, 100.0));
        Self { state: [seen, 0.0, 0.0], covariance, noise }
    }

    fn take(&mut self, seen: f32, dt: f32) {
        let on = glam::Mat3::from_cols_array(&[1.0, 0.0, 0.0, dt, 1.0, 0.0, 0.5 * dt * dt, dt, 1.0]);
        let push = Vec3::new(dt * dt * dt / 6.0, 0.5 * dt * dt, dt) * (JERK * self.noise);
        let spread = glam::Mat3::from_cols(push * push.x, push * push.y, push * push.z);
        let state = on * Vec3::from(self.state);
        let covariance = on * self.covariance * on.transpose() + spread;
        let gain = covariance.x_axis / (covariance.x_axis.x + self.noise * self.noise);
        self.state = (state + gain * (seen - state.x)).to_array();
        let row = covariance.transpose().x_axis;
        self.covariance = covariance - glam::Mat3::from_cols(gain * row.x, gain * row.y, gain * row.z);
    }
}

fn numbers(sample: &MotionSample) -> [f32; N] {
    let turn = if sample.turn.w < 0.0 { -sample.turn } else { sample.turn }.to_scaled_axis();
    std::array::from_fn(|i| match i {
        0..3 => turn[i],
        3..6 => sample.place[i - 3],
        _ => sample.coefficients[i - 5],
    })
}

fn with_numbers(sample: &MotionSample, at: impl Fn(usize) -> f32) -> MotionSample {
    let mut coefficients = sample.coefficients;
    (1..N_COEFFICIENTS).for_each(|c| coefficients[c] = at(c + 5).clamp(0.0, 1.0));
    MotionSample {
        secs: sample.secs,
        turn: Quat::from_scaled_axis(Vec3::new(at(0), at(1), at(2))),
        place: Vec3::new(at(3), at(4), at(5)),
        coefficients,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_goes_on_with_a_steady_turn() {
        for method in Method::ALL {
            let mut predictor = method.open(0.066).unwrap();
            let mut said = MotionSample::default();
            for i in 0..60 {
                let secs = f64::from(i) / 30.0;
                said = predictor.next(&MotionSample {
                    secs,
                    turn: Quat::from_rotation_y(0.4 * secs as f32),
                    ..MotionSample::default()
                });
            }
            let ahead = said.turn.to_scaled_axis().y - 0.4 * 59.0 / 30.0;
            let wanted = if method == Method::None { 0.0 } else { 0.4 * 0.066 };
            let play = if method == Method::Learned { 0.02 } else { 1e-3 };
            assert!((ahead - wanted).abs() < play, "{method:?}: {ahead} of {wanted}");
        }
    }
}
