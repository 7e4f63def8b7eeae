//! Whether two pictures show the same person, by a recognition network given as a file.

use std::path::Path;

use glam::{Mat2, Vec2};

use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Rgb;
use crate::geometry::FaceObservation;
use crate::onnx::Session;

/// Width and height of the network's picture.
const SIDE_PX: usize = 150;
/// Numbers that say who it is.
const N_NUMBERS: usize = 128;
/// The mesh's points that the crop is laid by: outer and inner corners of both eyes, the nose's base.
const POINTS: [usize; 5] = [33, 133, 263, 362, 2];
/// Where dlib's crop has them: its mean face with a margin of a quarter, in 0..1.
const PLACES: [Vec2; 5] = [
    Vec2::new(0.247, 0.309),
    Vec2::new(0.389, 0.319),
    Vec2::new(0.740, 0.309),
    Vec2::new(0.597, 0.319),
    Vec2::new(0.493, 0.585),
];

/// dlib's face recognition network as ONNX: 1×150×150×3 RGB in 0..255 → 128 numbers.
pub(super) struct Recognizer {
    session: Session,
}

/// Who is seen: 128 numbers.
pub(super) type Descriptor = [f32; N_NUMBERS];

impl Recognizer {
    /// Opens the network.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the file is missing or another network.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let about = || format!("cannot use the recognition network {}; give dlib's 128-d one as ONNX", path.display());
        let bytes = crate::files::read(path, 1 << 30).or_error(ErrorKind::Model, about)?;
        let mut session = Session::open(&path.display().to_string(), &bytes, 2)
            .map_err(|error| Error::new(ErrorKind::Model, about()).because(error))?;
        let n_inputs = session.n_inputs();
        let n_in = if n_inputs == 1 { session.input_mut(0).len() } else { 0 };
        if (n_in, session.output(0).len()) != (SIDE_PX * SIDE_PX * 3, N_NUMBERS) {
            let message = format!(
                "expected one input of 1×{SIDE_PX}×{SIDE_PX}×3 and an output of {N_NUMBERS} numbers, found {n_inputs} \
                 inputs, the first of {n_in} numbers, and an output of {}",
                session.output(0).len()
            );
            return Err(Error::new(ErrorKind::Model, about()).because(message));
        }
        Ok(Self { session })
    }

    /// Describes the face in a picture.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the network fails.
    pub(super) fn describe(&mut self, picture: &Rgb, face: &FaceObservation) -> Result<Descriptor> {
        let points = POINTS.map(|i| face.landmarks_px[i].truncate());
        let (turn, shift) = similarity(&PLACES.map(|place| place * SIDE_PX as f32), &points);
        for (i, out) in self.session.input_mut(0).as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let at = turn * Vec2::new((i % SIDE_PX) as f32, (i / SIDE_PX) as f32) + shift;
            *out = picture.between(at + 0.5);
        }
        self.session.run()?;
        let mut descriptor = [0.0; N_NUMBERS];
        descriptor.copy_from_slice(self.session.output(0));
        Ok(descriptor)
    }
}

/// The cosine of the angle between two descriptors: 1 is the same.
pub(super) fn similarity_of(a: &Descriptor, b: &Descriptor) -> f64 {
    let dot = |x: &Descriptor, y: &Descriptor| x.iter().zip(y).map(|(x, y)| f64::from(x * y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-12)
}

/// The turn, scale and shift that take `from` to `to` with the least squared error.
fn similarity<const N: usize>(from: &[Vec2; N], to: &[Vec2; N]) -> (Mat2, Vec2) {
    let mean = |points: &[Vec2; N]| points.iter().sum::<Vec2>() / N as f32;
    let (from_mean, to_mean) = (mean(from), mean(to));
    let (mut along, mut across, mut size) = (0.0, 0.0, 0.0);
    for (a, b) in from.iter().zip(to) {
        let (a, b) = (*a - from_mean, *b - to_mean);
        along += a.dot(b);
        across += a.perp_dot(b);
        size += a.length_squared();
    }
    let (c, s) = (along / size.max(1e-9), across / size.max(1e-9));
    let turn = Mat2::from_cols(Vec2::new(c, s), Vec2::new(-s, c));
    (turn, to_mean - turn * from_mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similarity_is_found_again_and_a_descriptor_is_like_itself() {
        let from = [Vec2::new(1.0, 2.0), Vec2::new(5.0, -1.0), Vec2::new(0.0, 7.0)];
        let turn = 3.0 * Mat2::from_angle(0.7);
        let to = from.map(|p| turn * p + Vec2::new(4.0, -9.0));
        let (found, shift) = similarity(&from, &to);
        assert!(found.abs_diff_eq(turn, 1e-5) && shift.abs_diff_eq(Vec2::new(4.0, -9.0), 1e-4));
        let mut a = [0.0; N_NUMBERS];
        (a[0], a[1]) = (3.0, 4.0);
        let mut b = [0.0; N_NUMBERS];
        b[1] = 2.0;
        assert!((similarity_of(&a, &b) - 0.8).abs() < 1e-9 && (similarity_of(&a, &a) - 1.0).abs() < 1e-9);
    }
}
