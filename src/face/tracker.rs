//! One face, followed from frame to frame; all faces of a photo.

use glam::Vec2;

use crate::capture::RawFrame;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::frame::Rgb;

use super::crop::{Crop, bounds};
use super::detector::{Detection, Detector, overlap};
use super::expression::Expression;
use super::hidden::{Hidden, Sight};
use super::landmarker::Landmarker;
use super::mouth::read_mouth;
use super::occlusion::{Cover, OcclusionReader};
use super::smooth::OneEuro;
use super::{FaceObservation, N_LANDMARKS, head_pose};

/// The middle of the upper lip's inner edge, and of both irises.
const LIPS: usize = 13;
const IRISES: [usize; 2] = [468, 473];

/// How a [`FaceTracker`] works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackerOptions {
    /// Threads of the networks, the caller's among them; at least 1.
    pub n_threads: usize,
    /// Below this presence (0..1) there is no face.
    pub min_presence: f32,
    /// Whether what something covers stays where it was last seen.
    pub holds_covered: bool,
}

impl Default for TrackerOptions {
    fn default() -> Self {
        Self { n_threads: 1, min_presence: 0.5, holds_covered: false }
    }
}

/// Finds a face, then follows it: the points of one frame say where to look in the next.
///
/// One face is followed: the largest at first, then the same one. When it is lost and found again within
/// [`FaceTracker::MEMORY_SECS`], the face nearest to where it was counts as the same.
#[derive(Debug)]
pub struct FaceTracker {
    pub(super) options: TrackerOptions,
    pub(super) detector: Detector,
    pub(super) landmarker: Landmarker,
    pub(super) expression: Expression,
    /// None where what is covered is not held.
    pub(super) occlusion: Option<OcclusionReader>,
    /// How much of each point of the face at hand is covered.
    cover: Box<Cover>,
    /// The face that is followed, and the one beside it where there are two.
    pub(super) followed: [Followed; 2],
    /// When a second face was last looked for.
    pub(super) searched: Option<Timestamp>,
}

/// A face that is followed from frame to frame.
#[derive(Debug)]
pub(super) struct Followed {
    /// Where to look next; none when the face is lost.
    crop: Option<Crop>,
    smoother: CropSmoother,
    /// Where the face was last seen, and when.
    last_seen: Option<([f32; 4], Timestamp)>,
    /// What it was like, should something come before it.
    hidden: Hidden,
}

impl Followed {
    fn nobody() -> Self {
        Self { crop: None, smoother: CropSmoother::new(), last_seen: None, hidden: Hidden::new() }
    }

    /// Where to look in this frame: once, until the face was seen there.
    pub(super) fn take_crop(&mut self) -> Option<Crop> {
        self.crop.take()
    }

    /// Goes on from where the face was seen.
    pub(super) fn see(&mut self, seen: &FaceObservation) {
        let crop = Crop::around_landmarks(&seen.landmarks_px);
        self.crop = Some(self.smoother.smooth(crop, seen.captured.as_secs_f64()));
        self.last_seen = Some((box_px(seen), seen.captured));
    }

    /// Stops looking where the face was; where that is is remembered.
    pub(super) fn lose(&mut self) {
        self.crop = None;
        self.smoother.reset();
    }

    /// Where the face was, unless that is too long ago.
    pub(super) fn place(&self, now: Timestamp) -> Option<[f32; 4]> {
        let (place, seen) = self.last_seen?;
        (now.since(seen).as_secs_f64() <= FaceTracker::MEMORY_SECS).then_some(place)
    }

    /// Forgets what the face was like: it was another one's.
    pub(super) fn forget_face(&mut self) {
        self.hidden.forget();
    }

    /// Forgets what the face was like where another one may have come: a face was found that is not where that one was.
    pub(super) fn meet(&mut self, found: &[f32; 4], now: Timestamp) {
        if self.place(now).is_none_or(|was| overlap(&was, found) <= 0.0) {
            self.hidden.forget();
        }
    }
}

impl FaceTracker {
    /// How long a lost face is remembered.
    pub const MEMORY_SECS: f64 = 2.0;

    /// How many of the faces found are looked at before the frame counts as empty.
    pub(super) const MAX_TRIES: usize = 3;

    /// Opens the networks.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Model`] when a model or ONNX Runtime is missing or torn; the message says what to do.
    pub fn new(options: TrackerOptions) -> Result<Self> {
        Ok(Self {
            options,
            detector: Detector::new(options.n_threads)?,
            landmarker: Landmarker::new(options.n_threads)?,
            expression: Expression::new()?,
            occlusion: options.holds_covered.then(|| OcclusionReader::new(options.n_threads)).transpose()?,
            cover: Box::new([0.0; N_LANDMARKS]),
            followed: std::array::from_fn(|_| Followed::nobody()),
            searched: None,
        })
    }

    /// Looks at the next frame and writes what the face does into `out`; says whether there is a face.
    ///
    /// Without one, `out` is unspecified. Takes no memory. Frames must come in order of
    /// [`RawFrame::captured`]; a clip that starts again is fine.
    ///
    /// # Errors
    /// When a network or a picture operation fails.
    pub fn observe(&mut self, frame: &RawFrame, out: &mut FaceObservation) -> Result<bool> {
        let picture = frame.picture();
        out.captured = frame.captured();
        if let Some(crop) = self.followed[0].take_crop()
            && self.look(picture, &crop, out)?
            && self.uncover(0, out)?
        {
            self.followed[0].see(out);
            return Ok(true);
        }
        self.followed[0].lose();
        let place = self.followed[0].place(out.captured);
        let mut tried = [None; Self::MAX_TRIES];
        let found = self.detector.detect(picture)?;
        best_first(found, place, &mut tried);
        for detection in tried.into_iter().flatten() {
            if self.look(picture, &detection.crop(), out)? {
                self.settle(picture, out)?;
                self.followed[0].meet(&box_px(out), out.captured);
                if self.uncover(0, out)? {
                    self.followed[0].see(out);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Looks again at a face of a picture, each time from where its points were found, so that it is seen as a face that
    /// is followed is seen. The face that is followed is not touched.
    ///
    /// What the network says depends on where its crop lies: from the detector's the points are a hundredth of the face
    /// off in the mean, after these looks less than a thousandth.
    ///
    /// # Errors
    /// When a network or a picture operation fails.
    pub fn settle(&mut self, picture: &Rgb, face: &mut FaceObservation) -> Result<()> {
        const LOOKS: usize = 3;
        let mut again = face.clone();
        for _ in 0..LOOKS {
            let crop = Crop::around_landmarks(&again.landmarks_px);
            if !self.look(picture, &crop, &mut again)? {
                return Ok(());
            }
            face.clone_from(&again);
        }
        Ok(())
    }

    /// Looks at a picture as somebody who glances: from where the face's points were in the glance before, or else where the
    /// detector has it. What is followed is not touched.
    ///
    /// # Errors
    /// When a network or a picture operation fails.
    #[cfg(feature = "train")]
    pub(crate) fn glance(
        &mut self,
        picture: &Rgb,
        before: Option<&FaceObservation>,
        out: &mut FaceObservation,
    ) -> Result<bool> {
        if let Some(before) = before
            && self.look(picture, &Crop::around_landmarks(&before.landmarks_px), out)?
        {
            return Ok(true);
        }
        let mut best = [None; 1];
        best_first(self.detector.detect(picture)?, None, &mut best);
        let Some(detection) = best[0] else { return Ok(false) };
        if !self.look(picture, &detection.crop(), out)? {
            return Ok(false);
        }
        let crop = Crop::around_landmarks(&out.landmarks_px);
        self.look(picture, &crop, out)
    }

    /// Counts the faces beside the one that was seen: those at least `min_share` of its height. What is followed is
    /// not touched.
    ///
    /// # Errors
    /// When a network or a picture operation fails.
    #[cfg(feature = "train")]
    pub(crate) fn other_faces(&mut self, picture: &Rgb, seen: &FaceObservation, min_share: f32) -> Result<usize> {
        let place = box_px(seen);
        let is_other = |d: &&Detection| is_other_face(&place, &d.box_px, min_share);
        let candidates: Vec<Detection> = self.detector.detect(picture)?.iter().filter(is_other).copied().collect();
        let mut other = FaceObservation::default();
        let mut n = 0;
        for candidate in candidates {
            // The detector is content with less than a face.
            n += usize::from(self.look(picture, &candidate.crop(), &mut other)?);
        }
        Ok(n)
    }

    /// Forgets the face, as if no frame had been seen.
    pub fn reset(&mut self) {
        self.followed = std::array::from_fn(|_| Followed::nobody());
        self.searched = None;
    }

    /// Puts what is covered of the face that was just looked at where it should be: `face` is that of [`Self::followed`] of
    /// this number. Says whether enough of it is seen.
    pub(super) fn uncover(&mut self, number: usize, face: &mut FaceObservation) -> Result<bool> {
        let Some(occlusion) = &mut self.occlusion else { return Ok(true) };
        let (seen, crop) = self.landmarker.seen();
        occlusion.read(seen, &crop, &face.landmarks_px, &mut self.cover)?;
        let hidden = &mut self.followed[number].hidden;
        match hidden.mend(face, &mut self.cover) {
            Sight::Nothing => return Ok(false),
            Sight::Whole => {}
            Sight::Partly(share) => {
                face.covered = share;
                let Some(pose) = head_pose(&face.landmarks_px, face.frame_size_px) else { return Ok(false) };
                face.pose = pose;
                self.expression.read(&face.landmarks_px, &mut face.coefficients)?;
                face.mouth.certainty *= 1.0 - self.cover[LIPS];
                if IRISES.iter().any(|&i| self.cover[i] > 0.5) {
                    face.mouth.whites = 0.0;
                }
            }
        }
        hidden.note(face);
        Ok(true)
    }

    /// Looks for the face in `crop` and fills `out`, except for its time.
    pub(super) fn look(&mut self, picture: &Rgb, crop: &Crop, out: &mut FaceObservation) -> Result<bool> {
        out.frame_size_px = (picture.width_px(), picture.height_px());
        out.presence = self.landmarker.find(picture, crop, &mut out.landmarks_px)?;
        if out.presence < self.options.min_presence {
            return Ok(false);
        }
        let Some(pose) = head_pose(&out.landmarks_px, out.frame_size_px) else { return Ok(false) };
        out.pose = pose;
        out.covered = 0.0;
        self.expression.read(&out.landmarks_px, &mut out.coefficients)?;
        out.mouth = read_mouth(picture, &out.landmarks_px);
        Ok(true)
    }
}

/// The box around the points: left, top, right, bottom.
pub(super) fn box_px(seen: &FaceObservation) -> [f32; 4] {
    let (min, max) = bounds(&seen.landmarks_px);
    [min.x, min.y, max.x, max.y]
}

/// Whether a box (left, top, right, bottom) is of another face than the one at `place`, and at least `min_share` of its
/// height. What has its middle in `place` is a part of that face.
#[cfg(feature = "train")]
pub(crate) fn is_other_face(place: &[f32; 4], other: &[f32; 4], min_share: f32) -> bool {
    let (x, y) = (0.5 * (other[0] + other[2]), 0.5 * (other[1] + other[3]));
    let is_inside = (place[0]..=place[2]).contains(&x) && (place[1]..=place[3]).contains(&y);
    !is_inside && other[3] - other[1] >= min_share * (place[3] - place[1])
}

/// Chooses the faces to try: those that overlap `place` most, then the largest.
pub(super) fn best_first<'a, const N: usize>(
    found: impl IntoIterator<Item = &'a Detection>,
    place: Option<[f32; 4]>,
    out: &mut [Option<Detection>; N],
) {
    let rank = |d: &Detection| {
        let [left, top, right, bottom] = d.box_px;
        (place.map_or(0.0, |place| overlap(&place, &d.box_px)), (right - left) * (bottom - top))
    };
    for detection in found {
        let mut next = Some(*detection);
        for slot in out.iter_mut() {
            let better = match (&next, &*slot) {
                (Some(next), Some(held)) => rank(next) > rank(held),
                (next, _) => next.is_some(),
            };
            if better {
                std::mem::swap(slot, &mut next);
            }
        }
    }
}

/// Keeps the crop still while the face is: a crop that trembles makes the points tremble.
#[derive(Debug)]
struct CropSmoother {
    centre: OneEuro<Vec2>,
    /// Direction of the crop's x axis, a unit vector: an angle would jump at half a turn.
    direction: OneEuro<Vec2>,
    held_log_side: Option<f32>,
}

impl CropSmoother {
    /// The side changes only by what it goes beyond this band, as a natural logarithm: 3 %.
    const SIDE_BAND: f32 = 0.03;

    const fn new() -> Self {
        // A still face has noise of a thousandth of the crop; a nod moves half a crop a second, and must not
        // lag by more than a hundredth of it: the face fills two thirds of the crop.
        Self { centre: OneEuro::new(2.0, 30.0), direction: OneEuro::new(2.0, 15.0), held_log_side: None }
    }

    fn reset(&mut self) {
        *self = Self::new();
    }

    fn smooth(&mut self, crop: Crop, time_secs: f64) -> Crop {
        if !crop.is_usable() {
            return crop;
        }
        let log_side = crop.side_px.ln();
        let held = self.held_log_side.unwrap_or(log_side);
        let held = held.clamp(log_side - Self::SIDE_BAND, log_side + Self::SIDE_BAND);
        self.held_log_side = Some(held);
        let direction = self.direction.filter(Vec2::from_angle(crop.angle_rads), time_secs);
        Crop {
            centre_px: self.centre.filter_scaled(crop.centre_px, time_secs, crop.side_px),
            side_px: held.exp(),
            angle_rads: direction.to_angle(),
        }
    }
}

#[cfg(test)]
mod tests {
    use glam::Vec3;

    use super::*;
    use crate::face::{MESH_POINTS_CM, N_MESH_POINTS};

    fn detection(left: f32, side: f32) -> Detection {
        Detection { score: 0.9, box_px: [left, 0.0, left + side, side], points_px: [Vec2::ZERO; 6] }
    }

    #[test]
    fn the_largest_face_is_chosen_first_and_the_same_one_after() {
        let found = [detection(0.0, 10.0), detection(100.0, 30.0), detection(300.0, 20.0), detection(500.0, 5.0)];
        let mut out = [None; 3];
        best_first(&found, None, &mut out);
        assert_eq!(out.map(|d| d.unwrap().box_px[0]), [100.0, 300.0, 0.0]);
        let mut out = [None; 3];
        best_first(&found, Some([2.0, 0.0, 12.0, 10.0]), &mut out);
        assert_eq!(out.map(|d| d.unwrap().box_px[0]), [0.0, 100.0, 300.0]);
    }

    #[test]
    fn a_still_crop_stays_still_and_a_moving_one_follows() {
        let mut smoother = CropSmoother::new();
        let mut moved = 0.0_f32;
        for i in 0..90 {
            let tremble = (i * 7919 % 13) as f32 / 6.0 - 1.0;
            let crop = Crop {
                centre_px: Vec2::new(320.0 + 0.2 * tremble, 240.0),
                side_px: 300.0 * (1.0 + 0.01 * tremble),
                angle_rads: 0.0,
            };
            let smooth = smoother.smooth(crop, f64::from(i) / 30.0);
            if i > 30 {
                moved = moved.max((smooth.centre_px.x - 320.0).abs());
                assert!((smooth.side_px / 300.0 - 1.0).abs() < 0.025);
            }
        }
        assert!(moved < 0.15, "0.2 px of tremble leave {moved} px");

        smoother.reset();
        let mut lag = 0.0;
        for i in 0..30 {
            let x = 100.0 + 5.0 * i as f32;
            let crop = Crop { centre_px: Vec2::new(x, 240.0), side_px: 300.0, angle_rads: 0.0 };
            lag = x - smoother.smooth(crop, f64::from(i) / 30.0).centre_px.x;
        }
        assert!(lag < 3.0, "half a crop a second lags by {lag} px of 300");
    }

    #[test]
    fn what_a_face_was_like_is_forgotten_where_another_one_may_have_come() {
        let face = |millis: u64, x_px: f32| {
            let place_px = Vec3::new(x_px, 240.0, 0.0);
            let landmarks_px =
                std::array::from_fn(|i| MESH_POINTS_CM[i % N_MESH_POINTS] * Vec3::new(12.0, -12.0, -12.0) + place_px);
            let captured = Timestamp::from_nanos(millis * 1_000_000);
            let pose = head_pose(&landmarks_px, (640, 480)).unwrap();
            FaceObservation { captured, frame_size_px: (640, 480), landmarks_px, pose, ..FaceObservation::default() }
        };
        let over_the_forehead = || -> Cover {
            std::array::from_fn(|i| f32::from(i < N_MESH_POINTS && MESH_POINTS_CM[i % N_MESH_POINTS].y > 3.0))
        };
        for (x_px, is_known) in [(200.0, true), (250.0, true), (480.0, false)] {
            let mut followed = Followed::nobody();
            let mut seen = face(0, 200.0);
            followed.hidden.mend(&mut seen, &mut [0.0; N_LANDMARKS]);
            followed.hidden.note(&seen);
            followed.see(&seen);
            followed.lose();
            let mut next = face(40, x_px);
            followed.meet(&box_px(&next), next.captured);
            let sight = followed.hidden.mend(&mut next, &mut over_the_forehead());
            assert_eq!(sight != Sight::Whole, is_known, "{x_px}: {sight:?}");
        }
    }

    #[test]
    fn a_tracker_can_be_given_to_a_thread() {
        fn give<T: Send>() {}
        give::<FaceTracker>();
    }
}
