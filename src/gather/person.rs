//! Whether two pictures show one person, as far as the shape of the face and its look tell.
//!
//! Both tell little by themselves, and neither is a network for recognition, which this program does not carry: it is there to
//! notice a wrong file, not to prove who somebody is.

use std::path::Path;

use super::texture::Texture;
use super::turned_rads;
use crate::drive::PersonShape;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rgb;
use crate::generate::views::turn_rads;
use crate::geometry::{FaceObservation, FaceShape, Landmarks};

/// Faces whose shapes at rest are farther apart than this, in face widths, are two people's.
const OTHER_SHAPE: f32 = 0.055;
/// A head that is turned by a radian may be so much farther from itself: the tracker guesses the side that it does not see.
const PER_TURN: f32 = 0.11;
/// Faces that are less alike than this are two people's.
const OTHER_LOOK: f32 = 0.65;
/// Heads that are turned from each other by a radian are less alike by so much.
const LOOK_PER_TURN: f32 = 0.35;

/// All that is compared of a face in a picture: the picture itself need not be held.
pub(super) struct Sight {
    pub(super) shape: FaceShape,
    texture: Texture,
}

impl Sight {
    /// Looks at a face whose points are in pixels of `picture`.
    ///
    /// # Errors
    /// When a picture operation fails.
    pub(super) fn new(picture: &Rgb, face: &FaceObservation) -> Result<Self> {
        let shape = FaceShape::new(&face.landmarks_px, &face.pose);
        Ok(Self { texture: Texture::new(picture, &face.landmarks_px, &shape)?, shape })
    }
}

/// One face to compare others with.
pub(super) struct Person {
    shape: PersonShape,
    rotation: glam::Quat,
    texture: Texture,
}

impl Person {
    /// Takes the face whose points are in pixels of `picture`.
    ///
    /// # Errors
    /// When a picture operation fails, or the program was built from a torn expression space.
    pub(super) fn new(picture: &Rgb, landmarks_px: &Landmarks, shape: &FaceShape) -> Result<Self> {
        let texture = Texture::new(picture, landmarks_px, shape)?;
        Ok(Self { shape: PersonShape::new(shape)?, rotation: shape.rotation, texture })
    }

    /// Whether another face looks like this one: not somebody else's, and with nothing before it.
    pub(super) fn looks_like(&self, other: &Sight) -> bool {
        let turn = turn_rads(self.rotation, other.shape.rotation);
        let likeness = self.texture.likeness(&other.texture);
        likeness.is_none_or(|likeness| likeness + LOOK_PER_TURN * turn >= OTHER_LOOK)
    }

    /// Refuses another face, of `file`, if it seems to be somebody else's than that of `main`.
    ///
    /// # Errors
    /// [`ErrorKind::Photo`] when it does.
    pub(super) fn check(&self, other: &Sight, (file, main): (&Path, &Path)) -> Result<()> {
        let apart = self.shape.distance(&other.shape)? - PER_TURN * turned_rads(other.shape.rotation);
        if apart <= OTHER_SHAPE && self.looks_like(other) {
            return Ok(());
        }
        let message = format!(
            "{} and {} seem to show two people; leave one of them out, or enroll each by itself; if it is one person, take the \
             photo in even light, without hands or hair in front of the face",
            main.display(),
            file.display(),
        );
        Err(Error::new(ErrorKind::Photo, message))
    }
}
