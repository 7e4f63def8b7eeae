//! The first look at a clip: what the tracker sees in each picture, and how the pictures differ.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, resize};

use super::collect::Origin;
use crate::capture::{ClipSource, RawFrame, Read, Source as _, SourceOptions};
use crate::clock::{ManualClock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::face::{FaceTracker, FoundFace, is_other_face};
use crate::frame::{Grey, Rgb};
use crate::geometry::FaceObservation;
use crate::photo;

/// Side of the small picture in which pictures are compared, and of the blocks in it.
const SMALL_PX: usize = 128;
const BLOCK_PX: usize = 8;
/// A second face counts from this share of the first one's height: small ones are bystanders far behind.
const MIN_OTHER_SHARE: f32 = 0.4;
/// The longest clip, in pictures: an hour at 60 a second.
const MAX_FRAMES: usize = 216_000;

/// A clip as it is in its file.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// `None` for a photo.
    pub(super) rate_hz: Option<f64>,
    pub(super) looks: Vec<Look>,
}

/// What was seen in one picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// Width and height of the picture: some files change theirs midway.
    pub(super) size_px: (usize, usize),
    pub(super) face: Option<Box<FaceObservation>>,
    /// Faces beside that one.
    pub(super) n_others: usize,
    /// The brightest twentieth of the face starts here, 0..255.
    pub(super) highlight: u8,
    /// Mean difference from the picture before, 0..255.
    pub(super) change: f32,
    /// The same for the block that changed most.
    pub(super) most_change: f32,
}

/// Calls `visit` with each picture of a file until it returns false; gives the file's rate.
pub(super) fn for_each_picture(
    origin: &Origin,
    mut visit: impl FnMut(usize, &mut RawFrame) -> Result<bool>,
) -> Result<Option<f64>> {
    let path = match origin {
        Origin::Video(path) => path,
        Origin::Photo(path) => {
            visit(0, &mut RawFrame::new(photo::read(path)?, Timestamp::default()))?;
            return Ok(None);
        }
        Origin::Rendered(path) => return Err(not_a_file(path)),
    };
    let mut source = ClipSource::open(path, &SourceOptions { paced: false, ..SourceOptions::default() })?;
    let rate_hz = source.frame_rate_hz();
    let clock = ManualClock::new();
    let mut frame = RawFrame::default();
    for n in 0..MAX_FRAMES {
        match source.read(&mut frame, &clock)? {
            Read::Fresh if !visit(n, &mut frame)? => break,
            Read::Fresh => {}
            Read::Ended | Read::Idle => break,
        }
    }
    Ok(rate_hz)
}

fn not_a_file(path: &Path) -> Error {
    Error::new(ErrorKind::Internal, format!("{} is not one file", path.display()))
}

/// Looks at every picture; `None` when it was stopped.
pub(super) fn measure(tracker: &mut FaceTracker, origin: &Origin, stop: &AtomicBool) -> Result<Option<Measured>> {
    tracker.reset();
    let mut measured = Measured::default();
    let mut before: Option<Grey> = None;
    let mut seen = FaceObservation::default();
    measured.rate_hz = for_each_picture(origin, |_, frame| {
        let picture = frame.picture();
        let mut look = Look { size_px: (picture.width_px(), picture.height_px()), ..Look::default() };
        if let Origin::Photo(_) = origin {
            let mut faces = tracker.find_faces(picture)?;
            if !faces.is_empty() {
                let face = faces.swap_remove(0);
                let is_other = |other: &FoundFace| is_other_face(&face.box_px, &other.box_px, MIN_OTHER_SHARE);
                look.n_others = faces.iter().filter(|other| is_other(other)).count();
                look.face = Some(Box::new(face.observation));
            }
        } else if tracker.observe(frame, &mut seen)? {
            look.n_others = tracker.other_faces(picture, &seen, MIN_OTHER_SHARE)?;
            look.face = Some(Box::new(seen.clone()));
        }
        if let Some(face) = &look.face {
            look.highlight = highlight(picture, face);
        }
        let small = small(picture)?;
        if let Some(before) = &before {
            (look.change, look.most_change) = change(before, &small);
        }
        before = Some(small);
        log::debug!("picture {}: change {:.2}, at most {:.2}", measured.looks.len(), look.change, look.most_change);
        measured.looks.push(look);
        Ok(!stop.load(Ordering::Relaxed))
    })?;
    Ok((!stop.load(Ordering::Relaxed)).then_some(measured))
}

/// The green channel in small: enough to compare pictures.
fn small(picture: &Rgb) -> Result<Grey> {
    let mut small = Rgb::new(SMALL_PX, SMALL_PX);
    let size = Size::new(SMALL_PX as i32, SMALL_PX as i32);
    resize(&picture.as_mat()?, &mut small.as_mat_mut()?, size, 0.0, 0.0, INTER_AREA)?;
    Grey::from_data(SMALL_PX, SMALL_PX, small.data().as_chunks::<3>().0.iter().map(|pixel| pixel[1]).collect())
}

/// Mean difference of two small pictures, and that of the block that differs most.
fn change(before: &Grey, after: &Grey) -> (f32, f32) {
    let n = SMALL_PX / BLOCK_PX;
    let mut sums = vec![0_u32; n * n];
    for y in 0..SMALL_PX {
        for (x, (a, b)) in before.row(y).iter().zip(after.row(y)).enumerate() {
            sums[y / BLOCK_PX * n + x / BLOCK_PX] += u32::from(a.abs_diff(*b));
        }
    }
    let of_block = |sum: u32| sum as f32 / (BLOCK_PX * BLOCK_PX) as f32;
    let mean = sums.iter().map(|sum| of_block(*sum)).sum::<f32>() / sums.len() as f32;
    (mean, of_block(sums.into_iter().max().unwrap_or(0)))
}

/// The brightness that a twentieth of the face exceeds.
fn highlight(picture: &Rgb, face: &FaceObservation) -> u8 {
    let [left, top, right, bottom] = face_box_px(face);
    let range = |low: f32, high: f32, end: usize| low.max(0.0) as usize..(high.max(0.0) as usize).min(end);
    let (xs, ys) = (range(left, right, picture.width_px()), range(top, bottom, picture.height_px()));
    let mut counts = [0_usize; 256];
    let mut n = 0;
    for y in ys {
        for x in xs.clone() {
            let [r, g, b] = picture.pixel(x, y).map(u32::from);
            counts[((r * 77 + g * 150 + b * 29) >> 8) as usize] += 1;
            n += 1;
        }
    }
    let mut above = 0;
    for (level, count) in counts.iter().enumerate().rev() {
        above += count;
        if above * 20 >= n.max(1) {
            return level as u8;
        }
    }
    0
}

/// The box around a face's points: left, top, right, bottom.
pub(super) fn face_box_px(face: &FaceObservation) -> [f32; 4] {
    let start = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
    face.landmarks_px
        .iter()
        .fold(start, |[left, top, right, bottom], p| [left.min(p.x), top.min(p.y), right.max(p.x), bottom.max(p.y)])
}

/// The longer side of that box.
pub(super) fn face_px(face: &FaceObservation) -> f32 {
    let [left, top, right, bottom] = face_box_px(face);
    (right - left).max(bottom - top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_in_one_place_is_seen_beside_a_still_rest() {
        let still = small(&Rgb::new(500, 300)).unwrap();
        let mut blink = still.clone();
        for y in 40..48 {
            blink.data_mut()[y * SMALL_PX + 64..][..8].fill(64);
        }
        assert_eq!(change(&still, &still), (0.0, 0.0));
        assert_eq!(change(&still, &blink), (0.25, 64.0));
    }
}
