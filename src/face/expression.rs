//! What the face expresses: 52 coefficients from 146 of its points.

use crate::error::Result;
use crate::models::Model;
use crate::onnx::Session;

use super::{Landmarks, N_COEFFICIENTS};
use crate::geometry::EXPRESSION_POINTS;

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
