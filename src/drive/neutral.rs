//! The driver's neutral face: what relative motion is measured from.

use glam::Vec3;

use super::{DenseMotion, retarget};
use crate::clock::Timestamp;
use crate::face::{COEFFICIENT_NAMES, FaceObservation, FaceShape, N_COEFFICIENTS};

/// How long the calmest frame is looked for.
const SEARCH_SECS: f64 = 4.0;
/// How fast the neutral in use follows a better one, so that the portrait does not jump.
const FOLLOW_SECS: f64 = 0.2;
/// A frame must be calmer by this factor to be worth a change.
const MIN_GAIN: f32 = 0.85;

/// A driver's face at rest.
#[derive(Clone, Debug)]
pub struct Neutral {
    /// Pose and shape at rest.
    pub shape: FaceShape,
    /// Frame width at the time, in pixels.
    pub frame_width_px: f32,
    /// Opening of the right and left eye, in face widths.
    pub eye_openness: [f32; 2],
    /// What was seen beside the mesh.
    pub dense: DenseMotion,
}

impl Neutral {
    /// Takes what is seen as the face at rest.
    pub fn new(shape: &FaceShape, seen: &FaceObservation, dense: Option<&DenseMotion>) -> Self {
        Self {
            shape: shape.clone(),
            frame_width_px: seen.frame_size_px.0 as f32,
            eye_openness: retarget::eye_openness(&shape.points),
            dense: dense.unwrap_or(&DenseMotion::NONE).clone(),
        }
    }

    fn follow(&mut self, other: &Self, t: f32) {
        self.shape.centre_px = self.shape.centre_px.lerp(other.shape.centre_px, t);
        self.shape.width_px += (other.shape.width_px - self.shape.width_px) * t;
        self.shape.rotation = self.shape.rotation.slerp(other.shape.rotation, t);
        for (p, q) in self.shape.points.iter_mut().zip(&other.shape.points) {
            *p = p.lerp(*q, t);
        }
        for (a, b) in self.eye_openness.iter_mut().zip(other.eye_openness) {
            *a += (b - *a) * t;
        }
        self.dense.follow(&other.dense, t);
        self.frame_width_px = other.frame_width_px;
    }
}

/// Finds the neutral by itself: the calmest frontal frame of the first seconds.
#[derive(Debug, Default)]
pub(super) struct AutoNeutral {
    in_use: Option<Box<Neutral>>,
    best: Option<Box<Neutral>>,
    best_unrest: f32,
    started: Option<Timestamp>,
    last: Timestamp,
    previous_points: Option<Box<[Vec3; 6]>>,
    is_asked: bool,
}

/// Points whose speed tells whether the face is still: nose tip, chin, mouth corners, upper lids.
const STILLNESS_POINTS: [usize; 6] = [1, 152, 61, 291, 159, 386];

impl AutoNeutral {
    /// Takes the next frame as it is.
    pub(super) fn calibrate(&mut self) {
        self.is_asked = true;
    }

    /// Looks at a frame and gives the neutral to measure from.
    pub(super) fn update(
        &mut self,
        shape: &FaceShape,
        seen: &FaceObservation,
        dense: Option<&DenseMotion>,
        now: Timestamp,
    ) -> &Neutral {
        let started = *self.started.get_or_insert(now);
        let elapsed = now.since(self.last).as_secs_f64().min(1.0);
        self.last = now;
        let unrest = self.unrest(shape, seen, elapsed);
        let is_searching = now.since(started).as_secs_f64() < SEARCH_SECS;
        if self.is_asked || self.best.is_none() || (is_searching && unrest < self.best_unrest * MIN_GAIN) {
            match &mut self.best {
                Some(best) => **best = Neutral::new(shape, seen, dense),
                None => self.best = Some(Box::new(Neutral::new(shape, seen, dense))),
            }
            self.best_unrest = unrest;
            if std::mem::take(&mut self.is_asked) {
                // What the user chose is not searched over.
                self.best_unrest = 0.0;
            }
        }
        let in_use = self.in_use.get_or_insert_with(|| Box::new(Neutral::new(shape, seen, dense)));
        if let Some(best) = &self.best {
            in_use.follow(best, 1.0 - (-elapsed / FOLLOW_SECS).exp() as f32);
        }
        in_use
    }

    /// What was seen beside the mesh at rest; nothing before a neutral.
    pub(super) fn dense(&self) -> &DenseMotion {
        self.in_use.as_deref().map_or(&DenseMotion::NONE, |neutral| &neutral.dense)
    }

    /// How far a frame is from a calm, frontal, neutral face; 0 is perfect.
    fn unrest(&mut self, shape: &FaceShape, seen: &FaceObservation, elapsed: f64) -> f32 {
        let expression: f32 =
            (0..N_COEFFICIENTS).filter(|&i| is_expressive(COEFFICIENT_NAMES[i])).map(|i| seen.coefficients[i]).sum();
        let [yaw, pitch, roll] = seen.pose.yaw_pitch_roll_rads();
        let turned = yaw.abs() + pitch.abs() + 0.5 * roll.abs();
        let points = STILLNESS_POINTS.map(|i| shape.points[i]);
        let speed = match &mut self.previous_points {
            Some(previous) => {
                let moved: f32 = points.iter().zip(previous.iter()).map(|(a, b)| a.distance(*b)).sum();
                **previous = points;
                moved / points.len() as f32 / elapsed.max(1e-3) as f32
            }
            None => {
                self.previous_points = Some(Box::new(points));
                1.0
            }
        };
        expression + 2.0 * turned + 0.5 * speed.min(2.0) + 0.01
    }
}

/// Expressions that a face at rest does not have. Eyes may look anywhere, and brows differ by person.
fn is_expressive(name: &str) -> bool {
    ["jaw", "mouth", "cheekPuff", "eyeBlink", "noseSneer"].iter().any(|prefix| name.starts_with(prefix))
}
