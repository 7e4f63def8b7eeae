//! The founding families as generators: those that a face drives, and those that make a clip of the photo.

use super::Generator;
use super::family::{Family, Kind};
use crate::error::Result;

mod foretold;
mod latent;
mod network;

/// Opens what plays a family, for square pictures of `size_px` pixels.
///
/// # Errors
/// [`crate::ErrorKind::BackendUnavailable`] when ONNX Runtime is missing.
pub fn open(family: Family, size_px: usize) -> Result<Box<dyn Generator>> {
    Ok(match family.kind() {
        Kind::VideoGan | Kind::MdGan => Box::new(foretold::ForetoldGenerator::new(&family, size_px)?),
        Kind::Vae | Kind::VaeGan | Kind::IdentityDriving => Box::new(latent::LatentGenerator::new(family, size_px)?),
    })
}
