//! Makes a latent of the driver's face: the encoder of a founding family, or a pack's, looks at the camera's picture.
//!
//! Runs on the face thread, beside the tracker. Only a [`DriverLatent`] leaves this place, of which nothing but changes
//! can be had.

use glam::{Vec2, Vec3};
use opencv::core::{BORDER_REPLICATE, CV_64FC1, Mat, Scalar, Size};
use opencv::imgproc::{INTER_AREA, resize};

use crate::capture::RawFrame;
use crate::error::Result;
use crate::face::resample;
use crate::frame::{Picture, Rgb};
use crate::generate::{DriverReader, Generator, into_planes};
use crate::geometry::FaceObservation;
use crate::signal::{Composition, DriverLatent, N_NUMBERS};

/// Side of the square in face sizes, as at enrolment and in the data that families learn from.
const SIDE_PER_FACE: f32 = 2.2;
/// A square picture is taken whole when it is so many face sizes wide: it was framed by somebody.
const WHOLE_SIDE_PER_FACE: std::ops::RangeInclusive<f32> = 1.3..=3.2;
/// A square holds as long as the face's middle is within this part of its side from where it was, and its size within this
/// factor: beyond that the head is hardly in the picture.
const MAX_SHIFT: f32 = 0.3;
const MAX_ZOOM: f32 = 1.5;
/// The square is cut at this size, as the data are stored, and then made small.
const CUT_PX: usize = 256;

/// A square of the camera's picture, and the face it was put around.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Square {
    top_left: Vec2,
    side_px: f32,
    face_middle: Vec2,
    face_px: f32,
}

/// The encoder of a generator that is driven by latents.
pub struct LatentEncoder {
    reader: DriverReader,
    square: Option<Square>,
    /// How many squares there were.
    reference: u32,
    matrix: Mat,
    cut: Rgb,
    small: Rgb,
    planes: Vec<f32>,
    numbers: [f32; N_NUMBERS],
}

impl LatentEncoder {
    /// Opens that of a generator, if it has one.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BackendUnavailable`] when ONNX Runtime is missing.
    pub fn of(generator: &dyn Generator) -> Result<Option<Self>> {
        let Some(reader) = generator.reader()? else { return Ok(None) };
        let px = reader.size_px();
        Ok(Some(Self {
            reader,
            square: None,
            reference: 0,
            matrix: Mat::new_rows_cols_with_default(2, 3, CV_64FC1, Scalar::default())?,
            cut: Picture::new(CUT_PX, CUT_PX),
            small: Picture::new(px, px),
            planes: vec![0.0; 3 * px * px],
            numbers: [0.0; N_NUMBERS],
        }))
    }

    /// Forgets who was seen: the next latent is of another square.
    pub fn reset(&mut self) {
        self.square = None;
    }

    /// Writes the latent of the face that the tracker has found in `frame`, that of nobody where nothing can be read off it;
    /// leaves it as it is where there is no face.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn encode(
        &mut self,
        frame: &RawFrame,
        face: Option<&FaceObservation>,
        latent: &mut DriverLatent,
    ) -> Result<()> {
        let picture = frame.picture();
        let (Some(face), true) = (face, picture.width_px().min(picture.height_px()) > 1) else { return Ok(()) };
        let Some(square) = self.follow(face) else {
            // What is there may be of any frame before.
            *latent = DriverLatent::NONE;
            return Ok(());
        };
        let scale = square.side_px / CUT_PX as f32;
        let start = square.top_left + Vec2::splat(0.5 * scale - 0.5);
        let rows = [[scale, 0.0, start.x], [0.0, scale, start.y]];
        resample(picture, rows, &mut self.matrix, BORDER_REPLICATE, &mut self.cut)?;
        shrink(&self.cut, &mut self.small)?;
        into_planes(&self.small, &mut self.planes);
        self.reader.read(&self.planes, &mut self.numbers)?;
        take(latent, self.reference, self.reader.composition(), &self.numbers);
        Ok(())
    }

    /// The square that shows a face: the one before as long as the face is in it.
    fn follow(&mut self, face: &FaceObservation) -> Option<Square> {
        let (low, high) = bounds(&face.landmarks_px);
        let (middle, size) = ((low + high) * 0.5, (high - low).max_element());
        if !(middle.is_finite() && size.is_finite() && size > 1.0) {
            return None;
        }
        let holds = |square: &Square| {
            let zoom = size / square.face_px;
            square.face_middle.distance(middle) < MAX_SHIFT * square.side_px && zoom < MAX_ZOOM && zoom > 1.0 / MAX_ZOOM
        };
        if let Some(square) = self.square.filter(holds) {
            return Some(square);
        }
        let (width, height) = (face.frame_size_px.0 as f32, face.frame_size_px.1 as f32);
        let is_whole = width == height && WHOLE_SIDE_PER_FACE.contains(&(width / size));
        let (top_left, side_px) = if is_whole {
            (Vec2::ZERO, width)
        } else {
            let side = SIDE_PER_FACE * size;
            // Hair needs less room than neck and shoulders.
            (middle + Vec2::new(0.0, 0.04 * side) - 0.5 * side, side)
        };
        self.reference = self.reference.wrapping_add(1).max(1);
        self.square = Some(Square { top_left, side_px, face_middle: middle, face_px: size });
        self.square
    }
}

/// Takes over what was read; that of nobody where a part of it is no number, which nothing could be counted from.
fn take(latent: &mut DriverLatent, reference: u32, composition: Composition, numbers: &[f32; N_NUMBERS]) {
    if numbers.iter().all(|number| number.is_finite()) {
        latent.set(reference, composition, numbers);
    } else {
        *latent = DriverLatent::NONE;
    }
}

/// Makes a picture small: each pixel the mean of those it covers.
fn shrink(from: &Rgb, to: &mut Rgb) -> Result<()> {
    let size = Size::new(to.width_px() as i32, to.height_px() as i32);
    resize(&from.as_mat()?, &mut to.as_mat_mut()?, size, 0.0, 0.0, INTER_AREA)?;
    Ok(())
}

fn bounds(points: &[Vec3]) -> (Vec2, Vec2) {
    let start = (Vec2::splat(f32::MAX), Vec2::splat(f32::MIN));
    points.iter().map(|p| p.truncate()).fold(start, |(low, high), p| (low.min(p), high.max(p)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::generate::family::{self, Family, Kind, random};
    use crate::generate::founding;
    use crate::signal::LatentMotion;

    fn face(x: f32, y: f32, radius: f32) -> FaceObservation {
        let mut face = FaceObservation { frame_size_px: (640, 480), ..FaceObservation::default() };
        for (i, p) in face.landmarks_px.iter_mut().enumerate() {
            let angle = i as f32;
            *p = Vec3::new(x + radius * angle.cos(), y + radius * angle.sin(), 0.0);
        }
        face
    }

    #[test]
    fn what_the_driver_does_changes_the_latent_and_another_square_begins_anew() {
        let tensors = random(&[&family::encoder(64), &family::decoder(64)], 3);
        let generator = founding::open(Family::new(Kind::Vae, 64, tensors).unwrap(), 64).unwrap();
        let mut encoder = LatentEncoder::of(&*generator).unwrap().unwrap();
        let frame = |grey: u8| {
            let mut picture = Rgb::new(640, 480);
            for (i, sample) in picture.data_mut().iter_mut().enumerate() {
                *sample = if i / 1920 > 240 { grey } else { 90 };
            }
            RawFrame::new(picture, Timestamp::default())
        };
        let mut latents = Vec::new();
        for (grey, face) in [
            (10, Some(face(300.0, 240.0, 50.0))),
            (10, Some(face(310.0, 244.0, 52.0))),
            (200, Some(face(310.0, 244.0, 52.0))),
            (200, None),
            (200, Some(face(500.0, 240.0, 50.0))),
        ] {
            let mut latent = latents.last().cloned().unwrap_or(DriverLatent::NONE);
            encoder.encode(&frame(grey), face.as_ref(), &mut latent).unwrap();
            latents.push(latent);
        }
        let moved = |a: usize, b: usize| LatentMotion::between(&latents[a], &latents[b], 1.0);
        let length = |motion: LatentMotion| motion.values().iter().map(|v| v * v).sum::<f32>().sqrt();
        assert_eq!(length(moved(0, 1)), 0.0, "the square stands still, whatever the tracker says");
        assert!(length(moved(1, 2)) > 0.01);
        assert_eq!(latents[2], latents[3], "nobody was seen");
        assert!(!latents[3].is_like(&latents[4]), "the face left the square");
        // Points that are no face's say nothing, and what an older frame said does not stand for them.
        let (mut torn, mut latent) = (face(500.0, 240.0, 50.0), latents[4].clone());
        torn.landmarks_px[3].x = f32::INFINITY;
        encoder.encode(&frame(200), Some(&torn), &mut latent).unwrap();
        assert!(!latent.is_some());
    }

    #[test]
    fn what_is_no_number_is_of_nobody_and_motion_counts_from_what_is() {
        let mut latent = DriverLatent::NONE;
        let read = |values: [f32; 2]| {
            let mut numbers = [0.0; N_NUMBERS];
            numbers[..2].copy_from_slice(&values);
            take(&mut latent, 1, Composition::Differences, &numbers);
            latent.clone()
        };
        let [torn, first, second, infinite] = [[0.1, f32::NAN], [0.1, 0.2], [0.4, 0.2], [0.1, f32::INFINITY]].map(read);
        assert!(!torn.is_some() && !infinite.is_some(), "an older frame's does not stand for it");
        assert!(first.is_some() && first.is_like(&second));
        let motion = LatentMotion::between(&first, &second, 1.0);
        assert!((motion.values()[0] - 0.3).abs() < 1e-6 && motion.values().iter().all(|value| value.is_finite()));
    }
}
