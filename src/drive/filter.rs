//! Takes the jitter out of a signal without making it late.

use glam::{Quat, Vec3, Vec4};

use super::DrivingSignal;
use crate::clock::Timestamp;
use crate::face::N_LANDMARKS;

/// Cut-off at rest, in hertz.
///
/// A One-Euro filter lags by 1 / (2 pi f): 40 ms at 4 Hz, at rest, where nothing moves that could
/// be late. In motion the cut-off rises with speed.
const MIN_CUTOFF_HZ: f32 = 4.0;
/// Rise of the cut-off with the points' speed: hertz for each face width a second.
/// A mouth opens at about 2 face widths a second: 64 Hz, a lag of 2.5 ms.
const POINT_BETA: f32 = 30.0;
/// Rise of the cut-off with the head's speed: hertz for each unit (face width, radian / 2) a second.
const POSE_BETA: f32 = 40.0;
/// Cut-off of the speed itself, in hertz.
const SPEED_CUTOFF_HZ: f32 = 8.0;

/// One-Euro filters (Casiez et al. 2012, section 3) over all of a signal that jitters.
pub(super) struct SignalFilter {
    last: Option<Timestamp>,
    rotation: Track<Vec4>,
    place: Track<Vec3>,
    points: Box<[Track<Vec3>; N_LANDMARKS]>,
}

impl Default for SignalFilter {
    fn default() -> Self {
        Self {
            last: None,
            rotation: Track { value: Vec4::W, speed: Vec4::ZERO },
            place: Track { value: Vec3::ZERO, speed: Vec3::ZERO },
            points: Box::new([Track { value: Vec3::ZERO, speed: Vec3::ZERO }; N_LANDMARKS]),
        }
    }
}

impl SignalFilter {
    /// Replaces the signal by its smoothed self. The first one passes as it is.
    pub(super) fn smooth(&mut self, signal: &mut DrivingSignal, now: Timestamp) {
        let elapsed_secs = self.last.map(|last| now.since(last).as_secs_f32());
        self.last = Some(now);
        // Two quaternions are one rotation: keep to the near one.
        let near = if self.rotation.value.dot(Vec4::from(signal.rotation)) < 0.0 { -1.0 } else { 1.0 };
        let rotation = self.rotation.filter(Vec4::from(signal.rotation) * near, elapsed_secs, POSE_BETA);
        signal.rotation = Quat::from_vec4(rotation).normalize();
        let place = self.place.filter(signal.translation.extend(signal.scale), elapsed_secs, POSE_BETA);
        (signal.translation, signal.scale) = (place.truncate(), place.z);
        for (track, point) in self.points.iter_mut().zip(&mut signal.displacement) {
            *point = track.filter(*point, elapsed_secs, POINT_BETA);
        }
    }
}

/// What a filter must do with a value.
trait Value: Copy + std::ops::Sub<Output = Self> + std::ops::Add<Output = Self> + std::ops::Mul<f32, Output = Self> {
    fn length(self) -> f32;
}

impl Value for Vec3 {
    fn length(self) -> f32 {
        Self::length(self)
    }
}

impl Value for Vec4 {
    fn length(self) -> f32 {
        Self::length(self)
    }
}

/// One filtered value and its smoothed speed.
#[derive(Clone, Copy, Debug)]
struct Track<V> {
    value: V,
    speed: V,
}

impl<V: Value> Track<V> {
    fn filter(&mut self, value: V, elapsed_secs: Option<f32>, beta: f32) -> V {
        let Some(elapsed_secs) = elapsed_secs else {
            self.value = value;
            return value;
        };
        if elapsed_secs <= 0.0 {
            return self.value;
        }
        let gain = |cutoff_hz: f32| {
            let r = std::f32::consts::TAU * cutoff_hz * elapsed_secs;
            r / (r + 1.0)
        };
        let speed = (value - self.value) * (1.0 / elapsed_secs);
        self.speed = self.speed + (speed - self.speed) * gain(SPEED_CUTOFF_HZ);
        self.value = self.value + (value - self.value) * gain(MIN_CUTOFF_HZ + beta * self.speed.length());
        self.value
    }
}
