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
    pictures(path, &[index])?.pop().ok_or_else(|| ended_before(path, index))
}

/// Pictures of a clip, counted from 0 and in that order, in one pass.
///
/// # Errors
/// [`ErrorKind::Io`] when the clip has changed and ends before the last of them.
fn pictures(path: &Path, indices: &[u64]) -> Result<Vec<Rgb>> {
    let mut clip = open(path)?;
    let (mut frame, mut n_read) = (RawFrame::default(), 0);
    let mut pictures = Vec::with_capacity(indices.len());
    for &index in indices {
        while n_read <= index {
            if !next(&mut clip, &mut frame)? {
                return Err(ended_before(path, index));
            }
            n_read += 1;
        }
        pictures.push(frame.picture().clone());
    }
    Ok(pictures)
}

fn ended_before(path: &Path, index: u64) -> Error {
    let message = format!("{} ended before picture {index}; has it been changed meanwhile?", path.display());
    Error::new(ErrorKind::Io, message)
}

/// A picture of one of several clips: which clip, and which picture, both counted from 0.
pub(super) type Place = (usize, u64);

/// Pictures that will be asked for soon, decoded along with one that was: a clip can be read from its beginning alone.
#[derive(Default)]
pub(super) struct Ahead {
    pictures: Vec<(Place, Rgb)>,
}

impl Ahead {
    /// So many pictures are held: one of a clip in 4K takes 25 MB.
    pub(super) const MAX_PICTURES: usize = 4;

    /// The picture at a place in the clip at `path`. Where it is not held, it is decoded along with those of its clip
    /// in `soon`, the places that will be asked for next, this one among them; what is held beside these is let go.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the clip has changed and ends before one of them.
    pub(super) fn take(&mut self, path: &Path, place: Place, soon: impl FnOnce() -> Vec<Place>) -> Result<Rgb> {
        if !self.has(place) {
            let soon = soon();
            self.pictures.retain(|(held, _)| soon.contains(held));
            let missing = soon.into_iter().filter(|other| other.0 == place.0 && !self.has(*other));
            let mut indices: Vec<u64> = missing.chain([place]).map(|(_, index)| index).collect();
            indices.sort_unstable();
            indices.dedup();
            let pictures = pictures(path, &indices)?;
            self.pictures.extend(indices.into_iter().map(|index| (place.0, index)).zip(pictures));
        }
        let at = self.pictures.iter().position(|(held, _)| *held == place);
        at.map(|at| self.pictures.swap_remove(at).1).ok_or_else(|| ended_before(path, place.1))
    }

    fn has(&self, place: Place) -> bool {
        self.pictures.iter().any(|(held, _)| *held == place)
    }
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

    #[test]
    fn pictures_that_are_foreseen_are_decoded_in_one_pass_and_are_those_of_the_clip() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/driver.mp4");
        let expected = pictures(&path, &[2, 20, 41]).unwrap();
        for (index, expected) in [2, 20, 41].into_iter().zip(&expected) {
            assert!(picture(&path, index).unwrap() == *expected, "{index}");
        }
        assert!(expected[0] != expected[1] && expected[1] != expected[2], "the clip stands still");
        let mut ahead = Ahead::default();
        let soon = || vec![(0, 41), (0, 2), (1, 5), (0, 20)];
        assert!(ahead.take(&path, (0, 41), soon).unwrap() == expected[2]);
        // What is there needs no file.
        let gone = Path::new("gone.mp4");
        for (index, expected) in [(2, &expected[0]), (20, &expected[1])] {
            assert!(ahead.take(gone, (0, index), || panic!("not foreseen")).unwrap() == *expected, "{index}");
        }
        ahead.take(&path, (0, 4), || vec![(0, 4), (0, 6)]).unwrap();
        ahead.take(&path, (0, 5), || vec![(0, 5), (1, 6)]).unwrap();
        assert!(ahead.pictures.is_empty(), "what nobody will ask for is held");
        let error = ahead.take(&path, (0, 1_000_000), Vec::new).unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.to_string().contains("ended before"), "{error}");
    }
}
