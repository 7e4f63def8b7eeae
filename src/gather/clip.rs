//! What a clip shows of a face, looked through once; single pictures of it.

use std::io::Read as _;
use std::path::Path;

use opencv::core::{CV_32F, Mat, Rect, Scalar, Size, mean_std_dev, no_array};
use opencv::imgproc::{COLOR_RGB2GRAY, INTER_AREA, cvt_color_def, laplacian_def, resize};
use sha2::{Digest as _, Sha256};

use super::turned_rads;
use crate::capture::{ClipSource, RawFrame, Read, Source as _, SourceOptions};
use crate::clock::ManualClock;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::face::FaceTracker;
use crate::frame::Rgb;
use crate::geometry::{FaceObservation, FaceShape, eye_openness, mouth_openness};
use effigy_base::hex::hex;

/// So many pictures of a clip are kept, at even distances: what a person shows lasts longer.
const MAX_LOOKS: u64 = 600;
/// Below this presence a face is guessed.
const LEAST_PRESENCE: f32 = 0.8;
/// A smaller face is no view, in pixels from forehead to chin.
const LEAST_FACE_PX: f32 = 96.0;
/// Crispness is measured on a face of this width, in pixels.
const CRISP_PX: i32 = 160;

/// One picture of a clip with a face.
pub(super) struct Seen {
    /// Counted from 0.
    pub(super) index: u64,
    pub(super) at_secs: f64,
    pub(super) shape: FaceShape,
    pub(super) crispness: f32,
}

/// All that was seen of a face in a clip.
pub(super) struct Survey {
    pub(super) seen: Vec<Seen>,
    /// Of the file, hexadecimal.
    pub(super) sha256: String,
}

impl Survey {
    /// The picture that makes the best portrait: it looks into the camera, eyes open, mouth shut, and is crisp.
    pub(super) fn calmest(&self) -> u64 {
        let median = |value: &dyn Fn(&Seen) -> f32| {
            let mut values: Vec<f32> = self.seen.iter().map(value).collect();
            values.sort_by(f32::total_cmp);
            values[values.len() / 2].max(1e-4)
        };
        let eyes = |seen: &Seen| eye_openness(&seen.shape.points).iter().sum::<f32>();
        let (usual_eyes, usual_crispness) = (median(&eyes), median(&|seen: &Seen| seen.crispness));
        let unrest = |seen: &Seen| {
            let shut = (1.0 - eyes(seen) / usual_eyes).max(0.0);
            let soft = (1.0 - seen.crispness / usual_crispness).max(0.0);
            turned_rads(seen.shape.rotation) / 0.17
                + mouth_openness(&seen.shape.points) / 0.05
                + 4.0 * shut
                + 2.0 * soft
        };
        let calmest = self.seen.iter().min_by(|a, b| unrest(a).total_cmp(&unrest(b)));
        calmest.map_or(0, |seen| seen.index)
    }
}

/// Which pictures of a clip are looked at: every so-manyth one. What a file says of its length saves looks and need not
/// be true.
struct Looks {
    step: u64,
}

impl Looks {
    fn new(n_stated: Option<u64>) -> Self {
        Self { step: n_stated.map_or(1, |n| n.div_ceil(MAX_LOOKS)).max(1) }
    }

    /// Whether to look at this picture, the next of the clip. When [`MAX_LOOKS`] were, every second of them is forgotten.
    fn wants<T>(&mut self, index: u64, seen: &mut Vec<T>, index_of: impl Fn(&T) -> u64) -> bool {
        if index / self.step >= MAX_LOOKS {
            self.step *= 2;
            seen.retain(|seen| index_of(seen).is_multiple_of(self.step));
        }
        index.is_multiple_of(self.step)
    }
}

/// Looks through a clip.
///
/// # Errors
/// [`ErrorKind::Io`] when it cannot be read.
pub(super) fn survey(path: &Path, tracker: &mut FaceTracker) -> Result<Survey> {
    let sha256 = hash_of(path)?;
    let mut clip = open(path)?;
    let mut looks = Looks::new(clip.n_frames_stated());
    tracker.reset();
    let (mut frame, mut face) = (RawFrame::default(), FaceObservation::default());
    let mut seen: Vec<Seen> = Vec::new();
    let mut index = 0;
    while next(&mut clip, &mut frame)? {
        let is_wanted = looks.wants(index, &mut seen, |seen| seen.index);
        if is_wanted && tracker.observe(&frame, &mut face)? && face.presence >= LEAST_PRESENCE {
            let shape = FaceShape::new(&face.landmarks_px, &face.pose);
            let is_sane = shape.points.iter().all(|point| point.is_finite());
            if is_sane && face_px(&face) >= LEAST_FACE_PX {
                let crispness = crispness(frame.picture(), &face)?;
                seen.push(Seen { index, at_secs: frame.captured().as_secs_f64(), shape, crispness });
            }
        }
        index += 1;
    }
    Ok(Survey { seen, sha256 })
}

/// One picture of a clip, counted from 0.
///
/// # Errors
/// [`ErrorKind::Io`] when the clip has changed and ends before.
pub(super) fn picture(path: &Path, index: u64) -> Result<Rgb> {
    let mut clip = open(path)?;
    let mut frame = RawFrame::default();
    for _ in 0..=index {
        if !next(&mut clip, &mut frame)? {
            let message = format!("{} ended before picture {index}; has it been changed meanwhile?", path.display());
            return Err(Error::new(ErrorKind::Io, message));
        }
    }
    Ok(frame.picture().clone())
}

fn open(path: &Path) -> Result<ClipSource> {
    ClipSource::open(path, &SourceOptions { paced: false, looped: false, ..SourceOptions::default() })
}

fn next(clip: &mut ClipSource, frame: &mut RawFrame) -> Result<bool> {
    // Unpaced, the source never waits for the clock.
    let clock = ManualClock::new();
    loop {
        match clip.read(frame, &clock)? {
            Read::Fresh => return Ok(true),
            Read::Idle => {}
            Read::Ended => return Ok(false),
        }
    }
}

fn face_px(face: &FaceObservation) -> f32 {
    let span = |value: fn(&glam::Vec3) -> f32| {
        let values = face.landmarks_px.iter().map(value);
        let (low, high) = values.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)));
        high - low
    };
    span(|p| p.x).max(span(|p| p.y))
}

/// How much fine detail the face has: the deviation of its Laplacian at a fixed size.
fn crispness(picture: &Rgb, face: &FaceObservation) -> Result<f32> {
    let (mut low, mut high) = (glam::Vec3::MAX, glam::Vec3::MIN);
    for point in &face.landmarks_px {
        (low, high) = (low.min(*point), high.max(*point));
    }
    let limit = |v: f32, most: usize| (v.max(0.0) as i32).min(most as i32);
    let (x, y) = (limit(low.x, picture.width_px()), limit(low.y, picture.height_px()));
    let (width, height) = (limit(high.x, picture.width_px()) - x, limit(high.y, picture.height_px()) - y);
    if width < 8 || height < 8 {
        return Ok(0.0);
    }
    let cut = Mat::roi(&picture.as_mat()?, Rect::new(x, y, width, height))?.clone_pointee();
    let (mut grey, mut small, mut edges) = (Mat::default(), Mat::default(), Mat::default());
    cvt_color_def(&cut, &mut grey, COLOR_RGB2GRAY)?;
    resize(&grey, &mut small, Size::new(CRISP_PX, (CRISP_PX * height / width).max(8)), 0.0, 0.0, INTER_AREA)?;
    laplacian_def(&small, &mut edges, CV_32F)?;
    let (mut mean, mut deviation) = (Scalar::default(), Scalar::default());
    mean_std_dev(&edges, &mut mean, &mut deviation, &no_array())?;
    Ok(deviation[0] as f32)
}

fn hash_of(path: &Path) -> Result<String> {
    let about = || format!("cannot read {}", path.display());
    let mut file = std::fs::File::open(path).or_error(ErrorKind::Io, about)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).or_error(ErrorKind::Io, about)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_so_many_and_no_more_and_evenly_apart_whatever_a_clip_says_of_its_length() {
        for n_stated in [None, Some(0), Some(100), Some(10_000)] {
            let (mut looks, mut seen) = (Looks::new(n_stated), Vec::<u64>::new());
            for index in 0..10_000 {
                if looks.wants(index, &mut seen, |index| *index) {
                    seen.push(index);
                }
                assert!(seen.len() as u64 <= MAX_LOOKS, "{n_stated:?}: {} at {index}", seen.len());
            }
            assert!(seen.len() as u64 > MAX_LOOKS / 2, "{n_stated:?}: {}", seen.len());
            assert!(seen.iter().zip(0..).all(|(index, n)| *index == n * looks.step), "{n_stated:?}: {seen:?}");
        }
    }
}
