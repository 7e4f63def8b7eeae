//! What the face expresses: 52 coefficients from 146 of its points.

use crate::error::Result;
use crate::models::Model;
use crate::onnx::Session;

use super::{Landmarks, N_COEFFICIENTS};

/// The points that the network takes, in its order: contours of brows, eyes, lips, nose and face, and irises.
#[rustfmt::skip]
pub(crate) const EXPRESSION_POINTS: [usize; 146] = [
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251,
    263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318,
    321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
];

/// The expression network.
#[derive(Debug)]
pub(crate) struct Expression {
    session: Session,
}

impl Expression {
    pub(crate) fn new() -> Result<Self> {
        // So small that a second thread costs more than it brings.
        Ok(Self { session: Model::FaceExpression.open(1)? })
    }

    /// Reads the strength of each expression, 0..1, from the points in pixels of the frame.
    pub(crate) fn read(&mut self, landmarks_px: &Landmarks, out: &mut [f32; N_COEFFICIENTS]) -> Result<()> {
        for (pair, &i) in self.session.input_mut(0).chunks_exact_mut(2).zip(&EXPRESSION_POINTS) {
            pair.copy_from_slice(&[landmarks_px[i].x, landmarks_px[i].y]);
        }
        self.session.run()?;
        for (out, &value) in out.iter_mut().zip(self.session.output(0)) {
            *out = if value.is_finite() { value.clamp(0.0, 1.0) } else { 0.0 };
        }
        Ok(())
    }
}

/// What the network reads from points, for tests of what stands in for it.
#[cfg(test)]
pub(crate) fn read_expression(landmarks_px: &Landmarks) -> Result<[f32; N_COEFFICIENTS]> {
    let mut out = [0.0; N_COEFFICIENTS];
    Expression::new()?.read(landmarks_px, &mut out)?;
    Ok(out)
}
