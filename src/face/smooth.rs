//! The One-Euro filter: calm when the value is calm, quick when it moves.
//!
//! Géry Casiez, Nicolas Roussel, Daniel Vogel: 1€ Filter, CHI 2012.

use std::f32::consts::TAU;
use std::ops::{Add, Mul, Sub};

use glam::{Vec2, Vec3, Vec4};

/// What can be filtered: a number, or a vector that is filtered as a whole.
pub trait Smoothable: Copy + Default + Add<Output = Self> + Sub<Output = Self> + Mul<f32, Output = Self> {
    /// How large a change is, whatever its direction; not finite when a part of it is not.
    fn magnitude(self) -> f32;
}

impl Smoothable for f32 {
    fn magnitude(self) -> f32 {
        self.abs()
    }
}

impl Smoothable for Vec2 {
    fn magnitude(self) -> f32 {
        self.length()
    }
}

impl Smoothable for Vec3 {
    fn magnitude(self) -> f32 {
        self.length()
    }
}

impl Smoothable for Vec4 {
    fn magnitude(self) -> f32 {
        self.length()
    }
}

/// A low-pass filter of first order whose cut-off rises with the speed of what it filters.
///
/// The cut-off is `min_cutoff_hz + beta * speed`; a value that moves lags by about `1 / (2π cut-off)`.
/// A vector has one cut-off for all its parts, so that its direction of motion is kept.
#[derive(Clone, Copy, Debug)]
pub struct OneEuro<T = f32> {
    min_cutoff_hz: f32,
    beta: f32,
    last: Option<Sample<T>>,
}

#[derive(Clone, Copy, Debug)]
struct Sample<T> {
    time_secs: f64,
    raw: T,
    value: T,
    speed: T,
}

/// Cut-off of the speed's own filter: the paper's value.
const SPEED_CUTOFF_HZ: f32 = 1.0;

/// After such a gap the past says nothing about the present.
const MAX_GAP_SECS: f64 = 1.0;

impl<T: Smoothable> OneEuro<T> {
    /// Makes a filter: `min_cutoff_hz` above 0 sets the calm, `beta` (Hz per unit a second, 0 or more) the haste.
    pub const fn new(min_cutoff_hz: f32, beta: f32) -> Self {
        Self { min_cutoff_hz, beta, last: None }
    }

    /// Filters the value at `time_secs` (any origin).
    ///
    /// The first value passes as it is, and so does one after a second's gap or after a step back in time.
    /// At the same time again, or for a value that is not finite, the last result is repeated.
    pub fn filter(&mut self, value: T, time_secs: f64) -> T {
        self.filter_scaled(value, time_secs, 1.0)
    }

    /// The same with speeds measured in `unit` a second: the size of a face, where values are pixels.
    pub fn filter_scaled(&mut self, value: T, time_secs: f64, unit: f32) -> T {
        let finite = value.magnitude().is_finite();
        let Some(last) = self.last else {
            return if finite { self.restart(value, time_secs) } else { T::default() };
        };
        let step_secs = time_secs - last.time_secs;
        if step_secs == 0.0 || !finite {
            return last.value;
        }
        if !(0.0..=MAX_GAP_SECS).contains(&step_secs) {
            return self.restart(value, time_secs);
        }
        let step_secs = step_secs as f32;
        let raw_speed = (value - last.raw) * (1.0 / step_secs);
        let speed = mix(last.speed, raw_speed, weight(SPEED_CUTOFF_HZ, step_secs));
        let cutoff_hz = self.min_cutoff_hz + self.beta * speed.magnitude() / unit.max(f32::MIN_POSITIVE);
        let filtered = mix(last.value, value, weight(cutoff_hz, step_secs));
        self.last = Some(Sample { time_secs, raw: value, value: filtered, speed });
        filtered
    }

    /// Forgets the past: the next value passes as it is.
    pub fn reset(&mut self) {
        self.last = None;
    }

    fn restart(&mut self, value: T, time_secs: f64) -> T {
        self.last = Some(Sample { time_secs, raw: value, value, speed: T::default() });
        value
    }
}

/// Filters each of `values` with its own filter, in place. Those without a partner stay as they are.
pub fn filter_all<T: Smoothable>(filters: &mut [OneEuro<T>], values: &mut [T], time_secs: f64) {
    for (filter, value) in filters.iter_mut().zip(values) {
        *value = filter.filter(*value, time_secs);
    }
}

/// The share of the new value in the result, 0..1.
fn weight(cutoff_hz: f32, step_secs: f32) -> f32 {
    let turn = TAU * cutoff_hz * step_secs;
    // An infinite speed would make this not a number.
    if turn.is_finite() { turn / (turn + 1.0) } else { 1.0 }
}

fn mix<T: Smoothable>(from: T, to: T, share: f32) -> T {
    from + (to - from) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise of ±1 that repeats from run to run.
    fn noise(i: u32) -> f32 {
        (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0
    }

    #[test]
    fn noise_shrinks_and_motion_is_followed() {
        let mut filter = OneEuro::new(1.0, 1.0);
        let worst = (0..300).map(|i| filter.filter(0.02 * noise(i), f64::from(i) / 30.0).abs()).skip(30);
        assert!(worst.fold(0.0, f32::max) < 0.012, "jitter is not halved");

        let mut filter = OneEuro::new(1.0, 10.0);
        let lag = (0..60).map(|i| i as f32 / 30.0 - filter.filter(i as f32 / 30.0, f64::from(i) / 30.0)).last();
        assert!(lag.unwrap() < 0.02, "one unit a second lags by {lag:?}");
    }

    #[test]
    fn a_gap_a_step_back_and_the_same_time_do_no_harm() {
        let mut filter = OneEuro::new(1.0, 0.0);
        assert_eq!(filter.filter(1.0, 10.0), 1.0);
        assert_eq!(filter.filter(5.0, 10.0), 1.0, "the same moment");
        assert_eq!(filter.filter(5.0, 12.0), 5.0, "a gap of two seconds");
        assert_eq!(filter.filter(7.0, 3.0), 7.0, "a clip that starts again");
        assert_eq!(filter.filter(f32::NAN, 3.1), 7.0);
        assert!(filter.filter(8.0, 3.2) < 8.0);
        filter.reset();
        assert_eq!(filter.filter(9.0, 3.3), 9.0);
    }

    #[test]
    fn a_vector_keeps_its_direction_and_units_scale() {
        let mut filters = [OneEuro::<Vec3>::new(1.0, 0.5); 2];
        let mut values = [Vec3::ZERO, Vec3::ONE];
        filter_all(&mut filters, &mut values, 0.0);
        let mut values = [Vec3::new(3.0, 4.0, 0.0), Vec3::ONE];
        filter_all(&mut filters, &mut values, 0.033);
        assert!((values[0].x * 4.0 - values[0].y * 3.0).abs() < 1e-6 && values[1] == Vec3::ONE);

        let (mut small, mut large) = (OneEuro::new(1.0, 5.0), OneEuro::new(1.0, 5.0));
        for i in 0..10 {
            let (value, time) = ((i as f32).sin(), f64::from(i) / 30.0);
            let difference = small.filter(value, time) * 100.0 - large.filter_scaled(value * 100.0, time, 100.0);
            assert!(difference.abs() < 1e-3);
        }
    }
}
