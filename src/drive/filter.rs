//! Takes the jitter out of a signal without making it late.

use glam::{Quat, Vec2, Vec3, Vec4};

use super::{DenseMotion, DrivingSignal};
use crate::clock::Timestamp;
use crate::face::{OneEuro, filter_all};
use crate::geometry::{MouthContents, N_FINE_POINTS, N_LANDMARKS};

/// Cut-off at rest, in hertz: a lag of 1 / (2 pi f) = 40 ms, where nothing moves that could be late.
const MIN_CUTOFF_HZ: f32 = 4.0;
/// Rise of a point's cut-off with its speed: hertz for each face width a second.
/// A mouth that opens at 2 face widths a second is late by under 5 ms.
const POINT_BETA: f32 = 60.0;
/// Rise of the pose's cut-off with the head's speed: hertz for each half radian or face width a second.
const POSE_BETA: f32 = 80.0;

/// How long what a mouth shows takes to follow: it has the noise of a few pixels.
const MOUTH_SECS: f32 = 0.03;
/// How long light and shade take to follow: lamps flicker, which a camera sees as bands that come and go ten times a second.
const LIGHT_SECS: f32 = 0.06;
/// After a gap of so long both are taken as they are.
const MAX_STEP_SECS: f64 = 1.0;

/// The filter of a rotation.
pub(crate) const fn pose_filter() -> OneEuro<Vec4> {
    OneEuro::new(MIN_CUTOFF_HZ, POSE_BETA)
}

/// One-Euro filters over all of a signal that jitters.
pub(super) struct SignalFilter {
    rotation: OneEuro<Vec4>,
    place: OneEuro<Vec3>,
    points: Box<[OneEuro<Vec3>; N_LANDMARKS]>,
    dense_points: Box<[OneEuro<Vec2>; N_LANDMARKS]>,
    dense_around: Vec<OneEuro<Vec2>>,
    last_rotation: Quat,
    mouth: MouthContents,
    light: Box<[f32; N_FINE_POINTS]>,
    last_secs: Option<f64>,
}

impl Default for SignalFilter {
    fn default() -> Self {
        Self {
            rotation: pose_filter(),
            place: OneEuro::new(MIN_CUTOFF_HZ, POSE_BETA),
            points: Box::new([OneEuro::new(MIN_CUTOFF_HZ, POINT_BETA); N_LANDMARKS]),
            dense_points: Box::new([OneEuro::new(MIN_CUTOFF_HZ, POINT_BETA); N_LANDMARKS]),
            dense_around: vec![OneEuro::new(MIN_CUTOFF_HZ, POINT_BETA); DenseMotion::N * DenseMotion::N],
            last_rotation: Quat::IDENTITY,
            mouth: MouthContents::UNKNOWN,
            light: Box::new([0.0; N_FINE_POINTS]),
            last_secs: None,
        }
    }
}

impl SignalFilter {
    /// Replaces the signal by its smoothed self. The first one passes as it is. What moves beside the mesh is smoothed where it
    /// is followed.
    pub(super) fn smooth(&mut self, signal: &mut DrivingSignal, is_dense: bool, now: Timestamp) {
        let now_secs = now.as_secs_f64();
        // Two quaternions are one rotation: keep to the near one.
        let near = if self.last_rotation.dot(signal.rotation) < 0.0 { -1.0 } else { 1.0 };
        let rotation = self.rotation.filter(Vec4::from(signal.rotation) * near, now_secs);
        signal.rotation = Quat::from_vec4(rotation).normalize();
        self.last_rotation = signal.rotation;
        let place = self.place.filter(signal.translation.extend(signal.scale), now_secs);
        (signal.translation, signal.scale) = (place.truncate(), place.z);
        filter_all(&mut *self.points, &mut signal.displacement, now_secs);
        let step_secs = self.last_secs.map(|last| now_secs - last).filter(|step| (0.0..MAX_STEP_SECS).contains(step));
        let share = |follow_secs: f32| step_secs.map_or(1.0, |step| 1.0 - (-step as f32 / follow_secs).exp());
        self.mouth = self.mouth.lerp(&signal.mouth, share(MOUTH_SECS));
        signal.mouth = MouthContents { whites: signal.mouth.whites, ..self.mouth };
        self.last_secs = Some(now_secs);
        if is_dense {
            filter_all(&mut *self.dense_points, &mut signal.dense.points, now_secs);
            filter_all(&mut self.dense_around, &mut signal.dense.around, now_secs);
            let share = share(LIGHT_SECS);
            for (kept, light) in self.light.iter_mut().zip(&mut signal.dense.light) {
                *kept += (*light - *kept) * share;
                *light = *kept;
            }
        }
    }
}
