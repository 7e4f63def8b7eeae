//! Two faces in one frame, each of which stays the same one.

use super::FaceObservation;
use super::crop::Crop;
use super::detector::{Detection, overlap};
use super::tracker::{FaceTracker, Followed, best_first, box_px};
use crate::capture::RawFrame;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::frame::Rgb;

/// Boxes that share so much are of one face: of what both cover.
const SAME_SHARE: f32 = 0.3;
/// A second face has at least this share of the first one's height: what is smaller is behind, or on a poster.
const LEAST_SHARE: f32 = 0.4;
/// Who was lost a moment ago is not further from where they were than so many of their heights.
const NEAR_HEIGHTS: f32 = 1.5;
/// While one face is seen, so long passes between two looks for the other: a look takes a third of the tracker's time.
const SEARCH_SECS: f64 = 0.15;

impl FaceTracker {
    /// Looks at the next frame for two faces and writes what they do into `faces`; says which of them are there.
    ///
    /// Who is followed stays in its place. Two who come at once take them from left to right, one who comes alone the first
    /// that is free; who was lost for less than [`FaceTracker::MEMORY_SECS`] takes the place that it had. What is written of
    /// a face that is not there is unspecified. Takes no memory.
    ///
    /// # Errors
    /// When a network or a picture operation fails.
    pub fn observe_two(&mut self, frame: &RawFrame, mut faces: [&mut FaceObservation; 2]) -> Result<[bool; 2]> {
        let (picture, now) = (frame.picture(), frame.captured());
        let mut is_seen = [false; 2];
        for (i, face) in faces.iter_mut().enumerate() {
            face.captured = now;
            if let Some(crop) = self.followed[i].take_crop() {
                is_seen[i] = self.look(picture, &crop, face)? && self.uncover(i, face)?;
            }
        }
        if is_seen == [true; 2] && is_same(&box_px(faces[0]), &box_px(faces[1])) {
            // One covers the other: who was nearer to it stays.
            let share = |i: usize| self.followed[i].place(now).map_or(0.0, |was| overlap(&was, &box_px(faces[i])));
            let lost = usize::from(share(0) >= share(1));
            is_seen[lost] = false;
            // What was noted of it in this frame is the other's.
            self.followed[lost].forget_face();
        }
        for (i, followed) in self.followed.iter_mut().enumerate() {
            if is_seen[i] { followed.see(faces[i]) } else { followed.lose() }
        }
        if is_seen == [true; 2] || (is_seen != [false; 2] && !self.is_time_to_search(now)) {
            return Ok(is_seen);
        }
        self.searched = Some(now);
        self.find_missing(frame, faces, is_seen)
    }

    fn is_time_to_search(&self, now: Timestamp) -> bool {
        // A clip that begins again goes back in time.
        self.searched.is_none_or(|at| now < at || now.since(at).as_secs_f64() >= SEARCH_SECS)
    }

    /// Looks everywhere for those who are missing.
    fn find_missing(
        &mut self,
        frame: &RawFrame,
        faces: [&mut FaceObservation; 2],
        mut is_seen: [bool; 2],
    ) -> Result<[bool; 2]> {
        let (picture, now) = (frame.picture(), frame.captured());
        let [first, second] = faces;
        let there = if is_seen[0] { Some(box_px(first)) } else { is_seen[1].then(|| box_px(second)) };
        // A third face does not take the place of one who is away for a moment.
        let place = there.and_then(|_| self.followed[usize::from(is_seen[0])].place(now));
        let mut tried = [None; Self::MAX_TRIES];
        let found = self.detector.detect(picture)?;
        let fits = |face: &&Detection| {
            there.is_none_or(|there| is_other(&there, face)) && place.is_none_or(|place| is_near(&place, &face.box_px))
        };
        best_first(found.iter().filter(fits), place, &mut tried);
        // The largest comes first; a second one is measured by it.
        let mut boxes = [there, None];
        for detection in tried.into_iter().flatten() {
            if boxes[0].is_some_and(|first| !is_other(&first, &detection)) {
                continue;
            }
            let free = usize::from(is_seen[0]);
            let face = if free == 0 { &mut *first } else { &mut *second };
            if !self.look(picture, &detection.crop(), face)? {
                continue;
            }
            self.settle(picture, face)?;
            let place = box_px(face);
            // From beside a face the points may have gone to that one.
            if boxes[0].is_some_and(|first| is_same(&first, &place)) {
                continue;
            }
            // Whose place it takes is known only where the other one is there.
            if there.is_some() {
                self.followed[free].meet(&place, now);
                if !self.uncover(free, face)? {
                    continue;
                }
            }
            is_seen[free] = true;
            if boxes[0].is_none() {
                boxes[0] = Some(place);
            } else {
                boxes[1] = Some(place);
                break;
            }
        }
        if there.is_none() && boxes[0].is_some() {
            if self.belongs_crosswise(boxes, now) {
                std::mem::swap(first, second);
                is_seen.swap(0, 1);
            }
            self.uncover_new(picture, [&mut *first, &mut *second], &mut is_seen)?;
        }
        for (followed, (is_seen, face)) in self.followed.iter_mut().zip(is_seen.into_iter().zip([&*first, &*second])) {
            if is_seen {
                followed.see(face);
            }
        }
        Ok(is_seen)
    }

    /// Puts what is covered of faces that were just found, each in its place, where it should be.
    fn uncover_new(&mut self, picture: &Rgb, faces: [&mut FaceObservation; 2], is_seen: &mut [bool; 2]) -> Result<()> {
        if self.occlusion.is_none() {
            return Ok(());
        }
        for (i, (is_seen, face)) in is_seen.iter_mut().zip(faces).enumerate() {
            if *is_seen {
                self.followed[i].meet(&box_px(face), face.captured);
                // What covers a face is read where it was looked at last.
                let crop = Crop::around_landmarks(&face.landmarks_px);
                *is_seen = self.look(picture, &crop, face)? && self.uncover(i, face)?;
            }
        }
        Ok(())
    }

    /// Whether the first of the faces found belongs to the second place, and the second one to the first: by where both were,
    /// or else from left to right.
    fn belongs_crosswise(&self, found: [Option<[f32; 4]>; 2], now: Timestamp) -> bool {
        let was = self.followed.each_ref().map(|followed: &Followed| followed.place(now));
        let distance = |i: usize, j: usize| {
            let (found, was) = (found[i]?, was[j]?);
            Some((found[0] + found[2] - was[0] - was[2]).abs() + (found[1] + found[3] - was[1] - was[3]).abs())
        };
        let sum = |pairs: [(usize, usize); 2]| {
            let distances = pairs.map(|(i, j)| distance(i, j));
            distances.iter().any(Option::is_some).then(|| distances.into_iter().flatten().sum::<f32>())
        };
        match (sum([(0, 0), (1, 1)]), sum([(0, 1), (1, 0)])) {
            (Some(straight), Some(crosswise)) => crosswise < straight,
            // One was seen before, in the place that only one way of putting them gives it.
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (None, None) => matches!(found, [Some(first), Some(second)] if second[0] < first[0]),
        }
    }
}

fn is_same(a: &[f32; 4], b: &[f32; 4]) -> bool {
    overlap(a, b) > SAME_SHARE
}

/// Whether a face (left, top, right, bottom) can be the one that was at `place` a moment ago.
fn is_near(place: &[f32; 4], face: &[f32; 4]) -> bool {
    let away = |low: usize, high: usize| (0.5 * (face[low] + face[high] - place[low] - place[high])).abs();
    away(0, 2).max(away(1, 3)) <= NEAR_HEIGHTS * (place[3] - place[1])
}

/// Whether what was detected can be a second face beside the one at `there`: another one, and not much smaller.
fn is_other(there: &[f32; 4], detection: &Detection) -> bool {
    let [left, top, right, bottom] = detection.box_px;
    let (x, y) = (0.5 * (left + right), 0.5 * (top + bottom));
    // What has its middle in a face is a part of it.
    let is_inside = (there[0]..=there[2]).contains(&x) && (there[1]..=there[3]).contains(&y);
    !is_inside && !is_same(there, &detection.box_px) && bottom - top >= LEAST_SHARE * (there[3] - there[1])
}
