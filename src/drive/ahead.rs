//! Where the driver's face will be in a moment, so that the picture is as old as it looks and not as it is.
//!
//! The head's pose, the coefficients and all points go on by the gains of one small network
//! ([`Forecaster`](crate::motion::Forecaster)); what is looked ahead is the driver's face as it was seen, before rest,
//! strengths and limits, which then hold as they do without.

use crate::motion::{Forecast, Forecaster, History, MAX_AHEAD_SECS, MotionSample, Part};
use glam::Vec3;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::geometry::{FaceObservation, FaceShape, N_COEFFICIENTS, N_LANDMARKS};

/// The farthest that can be asked for, in milliseconds.
pub const MAX_PREDICT_MS: f32 = 1e3 * MAX_AHEAD_SECS;
/// Points from here on are irises.
const FIRST_IRIS: usize = 468;
/// A head that has become larger or smaller by so much, as a factor, is measured in its own size again.
const MAX_GROWTH: f32 = 1.25;

type Points = [Vec3; N_LANDMARKS];

/// Keeps what the driver did and says what comes next.
pub(super) struct LookAhead {
    model: &'static Forecaster,
    ahead_ms: f32,
    history: History,
    forecast: Forecast,
    /// The points of the history's samples, by slot.
    points: Vec<Points>,
    weights: Box<[[f32; History::CAPACITY]; 4]>,
    /// The face width that places are counted in, in pixels.
    unit_px: f32,
    /// The face a moment ahead.
    shape: Box<FaceShape>,
    coefficients: [f32; N_COEFFICIENTS],
}

/// Parts that points belong to, in the order of the weights.
const POINT_PARTS: [Part; 4] = [Part::Brows, Part::Lids, Part::Mouth, Part::Gaze];

impl LookAhead {
    /// Looks so many milliseconds ahead, kept within 0..[`MAX_PREDICT_MS`]; 0 is not at all.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Model`] when the program was built from a torn file.
    pub(super) fn new(ahead_ms: f32) -> Result<Self> {
        let mut new = Self {
            model: Forecaster::built_in()?,
            ahead_ms: 0.0,
            history: History::default(),
            forecast: Forecast::default(),
            points: vec![[Vec3::ZERO; N_LANDMARKS]; History::CAPACITY],
            weights: Box::new([[0.0; History::CAPACITY]; 4]),
            unit_px: 1.0,
            shape: Box::new(FaceShape {
                centre_px: glam::Vec2::ZERO,
                width_px: 1.0,
                rotation: glam::Quat::IDENTITY,
                points: [Vec3::ZERO; N_LANDMARKS],
            }),
            coefficients: [0.0; N_COEFFICIENTS],
        };
        new.set_ahead_ms(ahead_ms);
        Ok(new)
    }

    /// Looks so far ahead from now on, in milliseconds.
    pub(super) fn set_ahead_ms(&mut self, ahead_ms: f32) {
        self.ahead_ms = if ahead_ms.is_finite() { ahead_ms.clamp(0.0, MAX_PREDICT_MS) } else { 0.0 };
        if self.ahead_ms <= 0.0 {
            self.history.clear();
        }
    }

    /// How far it looks, in milliseconds.
    pub(super) fn ahead_ms(&self) -> f32 {
        self.ahead_ms
    }

    /// Forgets what was seen: somebody else drives.
    pub(super) fn reset(&mut self) {
        self.history.clear();
    }

    /// Takes what a frame shows and gives the face, and its coefficients, as they will be; `None` where that cannot be said
    /// or was not asked for. Allocates nothing.
    pub(super) fn look(
        &mut self,
        shape: &FaceShape,
        seen: &FaceObservation,
        now: Timestamp,
    ) -> Option<(&FaceShape, &[f32; N_COEFFICIENTS])> {
        if self.ahead_ms <= 0.0 {
            return None;
        }
        let growth = shape.width_px / self.unit_px;
        if self.history.is_empty() {
            self.unit_px = shape.width_px;
        } else if growth.is_finite() && !(1.0 / MAX_GROWTH..=MAX_GROWTH).contains(&growth) {
            self.history.scale_places(1.0 / growth);
            self.unit_px = shape.width_px;
        }
        let mut sample = MotionSample {
            secs: now.as_secs_f64(),
            turn: shape.rotation,
            place: (shape.centre_px / self.unit_px).extend(shape.width_px.max(1e-3).ln()),
            coefficients: seen.coefficients,
        };
        if !sample.is_finite() || !shape.points.iter().all(|point| point.is_finite()) {
            self.history.clear();
            return None;
        }
        let slot = self.history.push(&sample);
        self.points[slot] = shape.points;
        if !self.model.look_ahead(&self.history, 1e-3 * self.ahead_ms, &mut self.forecast) {
            return None;
        }
        self.forecast.apply(&mut sample);
        self.coefficients = sample.coefficients;
        self.shape.rotation = sample.turn;
        self.shape.centre_px = sample.place.truncate() * self.unit_px;
        self.shape.width_px = sample.place.z.exp();
        for (part, weights) in POINT_PARTS.into_iter().zip(self.weights.iter_mut()) {
            self.forecast.sample_weights(part, weights);
        }
        self.move_points(&shape.points);
        Some((&self.shape, &self.coefficients))
    }

    /// Moves every point as the parts of the face go on that it belongs to.
    fn move_points(&mut self, newest: &Points) {
        self.shape.points = [Vec3::ZERO; N_LANDMARKS];
        for age in 0..self.history.len() {
            let [brows, lids, mouth, gaze] = std::array::from_fn(|part| self.weights[part][age]);
            let past = &self.points[self.history.slot(age)];
            let all = self.shape.points.iter_mut().zip(past).zip(newest);
            for (i, ((to, &point), place)) in all.enumerate() {
                let weight = if i >= FIRST_IRIS {
                    gaze
                } else {
                    // As strengths have it: brows above the eyes, lids around them, the mouth below.
                    let ramp = |from: f32, to: f32| ((place.y - from) / (to - from)).clamp(0.0, 1.0);
                    let upper = brows + (lids - brows) * ramp(-0.24, -0.16);
                    upper + (mouth - upper) * ramp(0.02, 0.14)
                };
                *to += point * weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use glam::{Quat, Vec2};

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    /// A head that moves to the right by a face width a second.
    fn moving(millis: u64) -> FaceShape {
        FaceShape {
            centre_px: Vec2::new(200.0 + 0.1 * millis as f32, 240.0),
            width_px: 100.0,
            rotation: Quat::IDENTITY,
            points: std::array::from_fn(|i| Vec3::new((i as f32).sin(), (i as f32 * 0.7).cos(), 0.1) * 0.5),
        }
    }

    /// Half a second of it, 33 ms apart; the next frame is at 495 ms.
    fn warm() -> LookAhead {
        let mut ahead = LookAhead::new(66.0).unwrap();
        for i in 0..15 {
            let _ = ahead.look(&moving(33 * i), &FaceObservation::default(), at(33 * i));
        }
        ahead
    }

    #[test]
    fn who_moves_goes_on_and_a_face_keeps_its_form() {
        let mut ahead = warm();
        let seen = moving(495);
        let (shape, _) = ahead.look(&seen, &FaceObservation::default(), at(495)).unwrap();
        let gained_px = shape.centre_px.x - seen.centre_px.x;
        assert!((2.0..10.0).contains(&gained_px), "{gained_px} of 6.6 pixels");
        assert!((shape.width_px - 100.0).abs() < 0.5);
        for (i, (point, seen)) in shape.points.iter().zip(&seen.points).enumerate() {
            assert!(point.distance(*seen) < 1e-4, "{i}: {point} {seen}");
        }
    }

    #[test]
    fn who_comes_near_or_leans_back_is_looked_ahead_of_all_the_way() {
        for growth in [1.01_f32, 0.99] {
            let mut ahead = LookAhead::new(66.0).unwrap();
            for i in 0..80 {
                let grown = growth.powi(i);
                let seen = FaceShape { width_px: 100.0 * grown, centre_px: Vec2::new(240.0, 200.0), ..moving(0) };
                let now = at(33 * i as u64);
                let Some((shape, _)) = ahead.look(&seen, &FaceObservation::default(), now) else {
                    assert!(i < 15, "frame {i}: nothing is known");
                    continue;
                };
                // It grows by a fiftieth within that time, and stays where it is.
                let gained = shape.width_px / seen.width_px;
                assert!((0.96..1.04).contains(&gained), "frame {i}: {gained} times as large");
                let moved_px = shape.centre_px.distance(seen.centre_px);
                assert!(moved_px < 0.02 * seen.width_px, "frame {i}: moved by {moved_px}");
            }
        }
    }

    #[test]
    fn after_a_cut_a_gap_another_driver_or_another_size_nothing_is_known() {
        let none = FaceObservation::default();
        let cut = FaceShape { centre_px: Vec2::new(400.0, 100.0), ..moving(495) };
        let grown = FaceShape { width_px: 140.0, ..moving(495) };
        assert!(warm().look(&cut, &none, at(495)).is_none(), "a cut");
        assert!(warm().look(&grown, &none, at(495)).is_none(), "another size");
        assert!(warm().look(&moving(800), &none, at(800)).is_none(), "a face that was lost");
        assert!(warm().look(&moving(495), &none, at(10)).is_none(), "a clip that begins anew");
        let mut other = warm();
        other.reset();
        assert!(other.look(&moving(495), &none, at(495)).is_none(), "another driver");
        let mut torn = moving(495);
        torn.points[7].x = f32::NAN;
        assert!(warm().look(&torn, &none, at(495)).is_none(), "what is no number");
        let mut off = warm();
        off.set_ahead_ms(0.0);
        assert!(off.look(&moving(495), &none, at(495)).is_none(), "switched off");
        // Three frames that were dropped are no gap.
        assert!(warm().look(&moving(594), &none, at(594)).is_some());
    }
}
