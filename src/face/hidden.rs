//! Points of a face that lie behind something keep their last plausible place.
//!
//! The landmark network always says where each point is; where a hand is before the mouth it guesses, and the mouth flies
//! open. What is seen says where the head is; what is not seen stays on it as it was, and slowly comes to rest.

use std::sync::OnceLock;

use glam::Vec3;

use super::occlusion::Cover;
use super::{FaceObservation, FaceShape, Landmarks, MESH_POINTS_CM, N_LANDMARKS, N_MESH_POINTS};
use crate::clock::Timestamp;
use crate::geometry::Similarity;

/// What is before a face is what came before it: as much more than was there as lies between where nothing counts and where
/// all does. A beard that the network takes for a thing was there before.
const CAME: [f32; 2] = [0.3, 0.55];
/// What stays is taken for a part of the face within about this time, and no longer when it has been gone for this time.
const STAYS_SECS: f32 = 15.0;
const GONE_SECS: f32 = 4.0;
/// So many points of 478 must be covered before any counts: some cells may be wrong, at a mouth that is torn open.
const LEAST_COVERED: f32 = 24.0;
/// With less of the face in sight than this nothing says where the head is.
const LEAST_SEEN: f32 = 0.2;
/// From which share of a feature on the rest of it is believed less, and not at all: lips that are seen half say nothing.
const PARTLY: [f32; 2] = [0.15, 0.45];
/// What was covered is believed again over this time.
const RELEASE_SECS: f32 = 0.12;
/// What is covered stays as it was so long before: a hand that comes near is blurred and casts a shadow, and the network
/// guesses before it is found.
const BEFORE_SECS: f32 = 0.12;
/// Frames of that time that are kept: of more than 60 a second, the oldest that there is.
const N_RECENT: usize = 8;
/// What is covered stays as it was for so long, then comes to rest over this time.
const HOLD_SECS: f32 = 0.5;
const REST_SECS: f32 = 0.7;
/// How a face is at rest is the mean over about this time of what was seen of it.
const USUAL_SECS: f32 = 4.0;
/// Longer between two frames than this: somebody else may sit there.
const MAX_GAP_SECS: f64 = 2.0;

/// Points of a feature that cannot be told apart when a part of it is covered.
struct Part {
    /// What must be seen.
    features: &'static [usize],
    /// What moves with it.
    members: Vec<usize>,
}

/// What is remembered of a face.
#[derive(Debug)]
pub(super) struct Hidden {
    /// The points on the head as they were in the last frames, each with its time; in face widths. The newest is at
    /// `newest`.
    recent: Vec<(Timestamp, Landmarks)>,
    newest: usize,
    /// The points on the head where covered ones stay, and as they mostly are.
    held: Box<Landmarks>,
    usual: Box<Landmarks>,
    /// How much each point is covered, going back slowly.
    cover: Box<Cover>,
    /// How much the network has taken each point for covered all along.
    always: Box<Cover>,
    /// Seconds since each point was seen.
    unseen_secs: Box<[f32; N_LANDMARKS]>,
    /// When the face was noted last, and when it was last asked what covers it: where nothing is seen it is not noted.
    seen_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

/// What came of looking behind what covers a face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sight {
    /// All is seen; nothing was changed.
    Whole,
    /// This share of the face is covered; its points were put where they should be.
    Partly(f32),
    /// Too little is seen.
    Nothing,
}

impl Hidden {
    pub(super) fn new() -> Self {
        // Made now: the frame path takes no memory.
        parts();
        Self {
            recent: vec![(Timestamp::default(), [Vec3::ZERO; N_LANDMARKS]); N_RECENT],
            newest: 0,
            held: Box::new([Vec3::ZERO; N_LANDMARKS]),
            usual: Box::new([Vec3::ZERO; N_LANDMARKS]),
            cover: Box::new([0.0; N_LANDMARKS]),
            always: Box::new([0.0; N_LANDMARKS]),
            unseen_secs: Box::new([0.0; N_LANDMARKS]),
            seen_at: None,
            asked_at: None,
        }
    }

    /// Forgets whom this was of: the next face is taken as it is.
    pub(super) fn forget(&mut self) {
        self.seen_at = None;
    }

    /// Puts the points of `face` that are covered where they should be; `cover` is what the network says of each in this frame,
    /// and becomes how much of it was put elsewhere. [`Self::note`] must be given the face after it.
    pub(super) fn mend(&mut self, face: &mut FaceObservation, cover: &mut Cover) -> Sight {
        let elapsed_secs = self.elapsed_secs(face.captured);
        // What counts frame by frame counts the time since the frame before, whether the face was noted in that or not.
        let step_secs =
            elapsed_secs.map(|secs| self.asked_at.map_or(secs, |at| secs.min(face.captured.since(at).as_secs_f32())));
        self.asked_at = Some(face.captured);
        for (now, always) in cover.iter_mut().zip(self.always.iter_mut()) {
            // Who comes with a hand before the face is taken as they are: nothing better is known.
            let Some(secs) = step_secs else {
                *always = std::mem::take(now);
                continue;
            };
            let came = *now - *always;
            let over_secs = if came > 0.0 { STAYS_SECS } else { GONE_SECS };
            *always += came * (1.0 - (-secs / over_secs).exp());
            *now = ((came - CAME[0]) / (CAME[1] - CAME[0])).clamp(0.0, 1.0);
        }
        if cover.iter().sum::<f32>() < LEAST_COVERED {
            cover.fill(0.0);
        } else {
            spread_over_parts(cover);
        }
        let kept = step_secs.map_or(0.0, |secs| (-secs / RELEASE_SECS).exp());
        for (now, before) in cover.iter_mut().zip(self.cover.iter_mut()) {
            let faded = *before * kept;
            *now = now.max(if faded < 0.02 { 0.0 } else { faded });
            *before = *now;
        }
        let share = cover.iter().sum::<f32>() / N_LANDMARKS as f32;
        if 1.0 - share < LEAST_SEEN {
            return Sight::Nothing;
        }
        let Some(elapsed_secs) = elapsed_secs.filter(|_| share > 0.0) else { return Sight::Whole };
        let ((_, last), points) = (&self.recent[self.newest], &face.landmarks_px);
        let pairs = (0..N_LANDMARKS)
            .map(|i| (last[i].as_dvec3(), points[i].as_dvec3(), f64::from(1.0 - cover[i]).powi(2)))
            .filter(|(_, _, weight)| *weight > 0.0);
        let Some(place) = Similarity::fit(pairs) else { return Sight::Nothing };
        let rest = 1.0 - (-elapsed_secs / REST_SECS).exp();
        for (i, point) in face.landmarks_px.iter_mut().enumerate().filter(|(i, _)| cover[*i] > 0.0) {
            if self.unseen_secs[i] > HOLD_SECS {
                self.held[i] = self.held[i].lerp(self.usual[i], rest);
            }
            *point = point.lerp(place.apply(self.held[i].as_dvec3()).as_vec3(), cover[i]);
        }
        Sight::Partly(share)
    }

    /// Notes the face as it is now, seen or mended; its pose must be that of its points.
    pub(super) fn note(&mut self, face: &FaceObservation) {
        let shape = FaceShape::new(&face.landmarks_px, &face.pose);
        let elapsed_secs = self.elapsed_secs(face.captured);
        self.seen_at = Some(face.captured);
        let Some(elapsed_secs) = elapsed_secs else {
            self.recent.fill((face.captured, shape.points));
            *self.held = shape.points;
            *self.usual = shape.points;
            self.unseen_secs.fill(0.0);
            return;
        };
        self.newest = (self.newest + 1) % N_RECENT;
        self.recent[self.newest] = (face.captured, shape.points);
        let before = self.before();
        let share = 1.0 - (-elapsed_secs / USUAL_SECS).exp();
        for i in 0..N_LANDMARKS {
            let seen = 1.0 - self.cover[i];
            if seen >= 1.0 {
                self.held[i] = self.recent[before].1[i];
            }
            self.usual[i] = self.usual[i].lerp(shape.points[i], share * seen);
            self.unseen_secs[i] = if seen > 0.5 { 0.0 } else { self.unseen_secs[i] + elapsed_secs };
        }
    }

    /// Which of the last frames was taken [`BEFORE_SECS`] before the newest, or as long before it as is known.
    fn before(&self) -> usize {
        let newest = self.recent[self.newest].0.as_secs_f64();
        let back = |n: usize| (self.newest + N_RECENT - n) % N_RECENT;
        let is_before = |&i: &usize| newest - self.recent[i].0.as_secs_f64() >= f64::from(BEFORE_SECS) - 1e-3;
        (1..N_RECENT).map(back).find(is_before).unwrap_or(back(N_RECENT - 1))
    }

    /// Seconds since the face was noted, unless that is too long ago, or a clip began again.
    fn elapsed_secs(&self, now: Timestamp) -> Option<f32> {
        let secs = now.as_secs_f64() - self.seen_at?.as_secs_f64();
        (0.0..MAX_GAP_SECS).contains(&secs).then_some(secs as f32)
    }
}

/// A feature of which a good part is covered is covered.
fn spread_over_parts(cover: &mut Cover) {
    for part in parts() {
        let share = part.features.iter().map(|&i| cover[i]).sum::<f32>() / part.features.len() as f32;
        let least = ((share - PARTLY[0]) / (PARTLY[1] - PARTLY[0])).clamp(0.0, 1.0);
        part.members.iter().for_each(|&i| cover[i] = cover[i].max(least));
    }
}

/// Mouth with chin and jaw, right eye and left eye with their brows.
fn parts() -> &'static [Part; 3] {
    static PARTS: OnceLock<[Part; 3]> = OnceLock::new();
    const LIPS: [usize; 22] =
        [61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 80, 13, 310, 308, 318, 14, 88, 82, 312];
    const RIGHT: [usize; 16] = [33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7];
    const LEFT: [usize; 16] = [263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249];
    PARTS.get_or_init(|| {
        let among = |is_member: &dyn Fn(Vec3) -> bool| -> Vec<usize> {
            (0..N_MESH_POINTS).filter(|&i| is_member(MESH_POINTS_CM[i])).collect()
        };
        let below_nose_cm = MESH_POINTS_CM[164].y;
        let mouth = among(&|p| p.y < below_nose_cm);
        let [low_cm, high_cm] = [119, 105].map(|i| MESH_POINTS_CM[i].y);
        // Right is towards smaller x; the nose's bridge belongs to neither.
        let eye = |side: f32, irises: std::ops::Range<usize>| {
            let is_member = |p: Vec3| (low_cm..high_cm + 0.8).contains(&p.y) && (1.2..6.5).contains(&(side * p.x));
            among(&is_member).into_iter().chain(irises).collect()
        };
        [
            Part { features: &LIPS, members: mouth },
            Part { features: &RIGHT, members: eye(-1.0, 468..473) },
            Part { features: &LEFT, members: eye(1.0, 473..478) },
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::geometry::head_pose;

    /// The canonical face, its mouth open by this much, moved and turned.
    fn face(secs: f64, open_cm: f32, turn_rads: f32) -> FaceObservation {
        let turn = glam::Quat::from_rotation_y(turn_rads);
        let landmarks_px = std::array::from_fn(|i| {
            let mut p = MESH_POINTS_CM[i % N_MESH_POINTS];
            if i < N_MESH_POINTS && p.y < MESH_POINTS_CM[14].y + 0.01 {
                p.y -= open_cm;
            }
            turn * (p * Vec3::new(12.0, -12.0, -12.0)) + Vec3::new(320.0 + 60.0 * turn_rads, 240.0, 0.0)
        });
        let frame_size_px = (640, 480);
        let pose = head_pose(&landmarks_px, frame_size_px).unwrap_or_default();
        FaceObservation {
            captured: Timestamp::from_nanos((secs * 1e9) as u64),
            frame_size_px,
            landmarks_px,
            pose,
            ..FaceObservation::default()
        }
    }

    fn over_the_mouth() -> Cover {
        std::array::from_fn(|i| f32::from(i < N_MESH_POINTS && MESH_POINTS_CM[i].y < MESH_POINTS_CM[2].y))
    }

    fn gap_px(face: &FaceObservation) -> f32 {
        face.landmarks_px[13].distance(face.landmarks_px[14])
    }

    #[test]
    fn what_is_covered_moves_with_the_head_and_not_as_it_is_guessed() {
        let mut hidden = Hidden::new();
        let mut last = 0.0;
        for i in 0..40 {
            let secs = 10.0 + f64::from(i) * 0.04;
            let is_covered = (20..32).contains(&i);
            let turn = 0.3 * (f64::from(i) * 0.1).sin() as f32;
            let truth = face(secs, 0.4, turn);
            // Behind the hand the network sees a mouth wide open.
            let mut seen = face(secs, if is_covered { 3.0 } else { 0.4 }, turn);
            let mut cover = if is_covered { over_the_mouth() } else { [0.0; N_LANDMARKS] };
            let sight = hidden.mend(&mut seen, &mut cover);
            assert_eq!(sight == Sight::Whole, !(20..40).contains(&i), "frame {i}: {sight:?}");
            seen.pose = head_pose(&seen.landmarks_px, seen.frame_size_px).unwrap();
            hidden.note(&seen);
            let off = (0..N_LANDMARKS)
                .map(|k| seen.landmarks_px[k].truncate().distance(truth.landmarks_px[k].truncate()))
                .fold(0.0, f32::max);
            // The guess is 30 off.
            assert!(off < 2.5, "frame {i}: a point is {off} px off");
            last = gap_px(&seen);
        }
        assert!((last - gap_px(&face(0.0, 0.4, 0.0))).abs() < 1.0);
    }

    #[test]
    fn what_is_covered_for_long_comes_to_rest_and_a_speck_is_nothing() {
        let mut hidden = Hidden::new();
        let mut gaps = Vec::new();
        for i in 0..200 {
            let secs = f64::from(i) * 0.04;
            let is_covered = i >= 110;
            // At rest for four seconds, then the mouth opens and is covered.
            let mut seen = face(secs, if i < 100 { 0.2 } else { 2.0 }, 0.0);
            let mut cover = if is_covered { over_the_mouth() } else { [0.0; N_LANDMARKS] };
            if i < 50 {
                cover[13] = 1.0;
            }
            let sight = hidden.mend(&mut seen, &mut cover);
            assert_eq!(sight != Sight::Whole, is_covered);
            seen.pose = head_pose(&seen.landmarks_px, seen.frame_size_px).unwrap();
            hidden.note(&seen);
            gaps.push(gap_px(&seen));
        }
        assert!(gaps[120] > 20.0, "still open: {}", gaps[120]);
        assert!(gaps[199] < 0.6 * gaps[120], "at rest: {} after {}", gaps[199], gaps[120]);
    }

    #[test]
    fn what_was_there_from_the_beginning_or_stays_belongs_to_the_face() {
        let mut hidden = Hidden::new();
        for i in 0..740 {
            // A beard from the first frame on; a bandage over the forehead from the tenth second on.
            let mut cover = over_the_mouth().map(|value| 0.9 * value);
            if i >= 250 {
                (0..N_MESH_POINTS).filter(|&k| MESH_POINTS_CM[k].y > 3.0).for_each(|k| cover[k] = 0.9);
            }
            let mut seen = face(f64::from(i) * 0.04, 0.2, 0.0);
            let sight = hidden.mend(&mut seen, &mut cover);
            hidden.note(&seen);
            match i {
                0..250 | 720.. => assert_eq!(sight, Sight::Whole, "frame {i}"),
                255..300 => assert_ne!(sight, Sight::Whole, "frame {i}"),
                _ => {}
            }
        }
    }

    #[test]
    fn a_face_of_which_hardly_anything_is_seen_is_not_seen() {
        let mut hidden = Hidden::new();
        let mut seen = face(0.0, 0.2, 0.0);
        assert_eq!(hidden.mend(&mut seen, &mut [0.0; N_LANDMARKS]), Sight::Whole);
        hidden.note(&seen);
        let mut seen = face(0.04, 0.2, 0.0);
        assert_eq!(hidden.mend(&mut seen, &mut [1.0; N_LANDMARKS]), Sight::Nothing);
    }

    #[test]
    fn what_covers_all_of_a_face_is_not_soon_taken_for_a_part_of_it_at_any_rate() {
        for rate_hz in [10, 30, 60] {
            let mut hidden = Hidden::new();
            for i in 0..=5 * rate_hz / 2 {
                let mut seen = face(f64::from(i) / f64::from(rate_hz), 0.2, 0.0);
                let is_covered = i > rate_hz;
                let sight = hidden.mend(&mut seen, &mut [if is_covered { 0.9 } else { 0.0 }; N_LANDMARKS]);
                let expected = if is_covered { Sight::Nothing } else { Sight::Whole };
                assert_eq!(sight, expected, "{rate_hz} frames a second, frame {i}");
                if !is_covered {
                    hidden.note(&seen);
                }
            }
        }
    }

    #[test]
    fn of_a_face_that_was_forgotten_nothing_is_put_on_the_next_one() {
        for is_forgotten in [false, true] {
            let mut hidden = Hidden::new();
            let mut seen = face(0.0, 0.2, 0.0);
            hidden.mend(&mut seen, &mut [0.0; N_LANDMARKS]);
            hidden.note(&seen);
            if is_forgotten {
                hidden.forget();
            }
            let other = face(0.04, 2.0, 0.0);
            let mut seen = other.clone();
            let sight = hidden.mend(&mut seen, &mut over_the_mouth());
            assert_eq!(sight == Sight::Whole, is_forgotten, "{sight:?}");
            assert_eq!(seen.landmarks_px == other.landmarks_px, is_forgotten);
            // What it came with belongs to it from then on.
            hidden.note(&seen);
            let mut next = face(0.08, 2.0, 0.0);
            assert_eq!(hidden.mend(&mut next, &mut over_the_mouth()) == Sight::Whole, is_forgotten);
        }
    }
}
