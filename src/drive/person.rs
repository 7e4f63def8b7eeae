//! What a face is at rest, to tell one person's from another's.

use glam::Vec3;

use super::expression::{Points, RestingPortrait};
use crate::error::Result;
use crate::geometry::{FaceShape, N_LANDMARKS};

/// A person's face without its expression.
pub(crate) struct PersonShape {
    neutral: Box<Points>,
}

impl PersonShape {
    /// Takes the expression off a face.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Model`] when the program was built from a torn expression space.
    pub(crate) fn new(shape: &FaceShape) -> Result<Self> {
        Ok(Self { neutral: neutral(shape)? })
    }

    /// How far another face at rest is from this one: the root of the mean square of its points, in face widths, depth left
    /// aside, which the tracker guesses.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn distance(&self, shape: &FaceShape) -> Result<f32> {
        let square = |(a, b): (&Vec3, &Vec3)| (*a - *b).truncate().length_squared();
        let other = neutral(shape)?;
        Ok((self.neutral.iter().zip(other.iter()).map(square).sum::<f32>() / N_LANDMARKS as f32).sqrt())
    }
}

fn neutral(shape: &FaceShape) -> Result<Box<Points>> {
    Ok(Box::new(*RestingPortrait::new(&shape.points, None, 0.0)?.base()))
}
