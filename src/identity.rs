//! Who is shown: a portrait and everything that can be computed from it once.

use crate::face::{FaceShape, HeadPose, Landmarks, N_COEFFICIENTS};
use crate::frame::{Grey, Rgb};

pub use manifest::{Basis, Consent, Framing, Manifest};

mod manifest;

/// An enrolled portrait with all that does not depend on the driver.
///
/// All pictures are square and of one size, [`Identity::SIZES_PX`]. Holds no device memory.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Where it comes from and who may be shown: see [`Manifest`].
    pub manifest: Manifest,
    /// The portrait.
    pub portrait: Rgb,
    /// Who is the person and who is background: 255 is person.
    pub matte: Grey,
    /// The background with the person filled in.
    pub background: Rgb,
    /// The face's points in pixels of the portrait.
    pub landmarks_px: Landmarks,
    /// Strength of each expression on the portrait.
    pub coefficients: [f32; N_COEFFICIENTS],
    /// The head's pose on the portrait.
    pub pose: HeadPose,
    /// The face of the portrait, taken apart into pose and shape.
    pub shape: FaceShape,
}

impl Identity {
    /// Sizes of the pictures: the photo decides which one is worth its memory.
    pub const SIZES_PX: [usize; 2] = [512, 1024];

    /// Width and height of all pictures, in pixels.
    pub fn size_px(&self) -> usize {
        self.portrait.width_px()
    }
}
