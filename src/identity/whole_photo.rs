//! The whole photo at its own resolution, of which the portrait is a square.

use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, resize};

use crate::error::{Error, ErrorKind, Result};
use crate::face::Matter;
use crate::frame::{Grey, Picture, Rgb};
use crate::jpeg;

/// Quality of the JPEG that a file keeps: no loss that an eye finds.
const JPEG_QUALITY: i32 = 95;
/// The longest side of the matte, in pixels; the network that makes it sees 256.
const MATTE_PX: usize = 512;
/// The smallest square that a portrait is cut from, in pixels of the kept photo.
const LEAST_CROP_PX: f32 = 8.0;

/// Where the portrait is in the photo: a square, which may reach over the photo's border.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhotoCrop {
    /// Its left edge, in pixels of the photo.
    pub left_px: f32,
    /// Its upper edge, in pixels of the photo.
    pub top_px: f32,
    /// Its side, in pixels of the photo.
    pub side_px: f32,
}

impl PhotoCrop {
    pub(super) fn to_array(self) -> [f32; 3] {
        [self.left_px, self.top_px, self.side_px]
    }

    fn scaled(self, by: f32) -> Self {
        let [left_px, top_px, side_px] = self.to_array().map(|v| v * by);
        Self { left_px, top_px, side_px }
    }
}

/// The photo, who is person in it, and where the portrait is.
///
/// Its file keeps it as JPEG; what is here is what that decodes to, so that it is the same after every reading.
#[derive(Clone, Debug)]
pub struct WholePhoto {
    /// The photo, (h, w, 3), no side longer than [`Self::MAX_SIDE_PX`].
    pub picture: Rgb,
    /// Person and background, in the photo's shape and smaller: 255 is person. It takes in everybody.
    pub matte: Grey,
    /// The portrait's square.
    pub crop: PhotoCrop,
    jpeg: Vec<u8>,
}

impl WholePhoto {
    /// The longest side that is kept, in pixels (4K); larger photos are shrunk.
    pub const MAX_SIDE_PX: usize = 3840;

    /// Keeps `photo`, whose portrait is `crop`.
    ///
    /// # Errors
    /// When a picture operation or the network fails.
    pub(super) fn new(photo: &Rgb, crop: PhotoCrop, matter: &mut Matter) -> Result<Self> {
        let kept = shrunk(photo, Self::MAX_SIDE_PX)?;
        let crop = crop.scaled(kept.width_px() as f32 / photo.width_px() as f32);
        let matte = matter.matte(&shrunk(&kept, MATTE_PX)?)?;
        let jpeg = jpeg::Encoder::with_full_colours(JPEG_QUALITY)?.encode(&kept)?.to_vec();
        Self::from_jpeg(jpeg, matte, crop)
    }

    /// Takes a photo as a file keeps it.
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] when the JPEG is torn or too large, or the square is nowhere near the photo.
    pub fn from_jpeg(jpeg: Vec<u8>, matte: Grey, crop: PhotoCrop) -> Result<Self> {
        let refused = |reason: &'static str| Err(Error::new(ErrorKind::Identity, reason));
        let mut picture = Rgb::default();
        if !jpeg::decode_rgb_within(&jpeg, Self::MAX_SIDE_PX, &mut picture) || picture.data().is_empty() {
            return refused("the photo in the file is no JPEG of at most 3840 pixels a side");
        }
        let (width, height) = (picture.width_px() as f32, picture.height_px() as f32);
        let meets = |low: f32, length: f32| low < length && low + crop.side_px > 0.0;
        // The square is at most so large that a face fits into the photo.
        let is_sane = (LEAST_CROP_PX..=4.0 * width.max(height)).contains(&crop.side_px);
        if !is_sane || !meets(crop.left_px, width) || !meets(crop.top_px, height) {
            return refused("the portrait's place in the photo is outside the photo");
        }
        Ok(Self { picture, matte, crop, jpeg })
    }

    /// The photo as its file keeps it.
    pub(super) fn jpeg(&self) -> &[u8] {
        &self.jpeg
    }

    /// Whether a matte may have this size.
    pub(super) fn is_matte_size(width_px: usize, height_px: usize) -> bool {
        (1..=MATTE_PX).contains(&width_px) && (1..=MATTE_PX).contains(&height_px)
    }
}

/// The picture with no side longer than `max_side_px`.
fn shrunk<const C: usize>(picture: &Picture<C>, max_side_px: usize) -> Result<Picture<C>> {
    let (width, height) = (picture.width_px(), picture.height_px());
    let longest = width.max(height);
    if longest <= max_side_px {
        return Ok(picture.clone());
    }
    let side = |side: usize| (side * max_side_px).div_ceil(longest).max(1);
    let mut small = Picture::new(side(width), side(height));
    let size = Size::new(small.width_px() as i32, small.height_px() as i32);
    resize(&picture.as_mat()?, &mut small.as_mat_mut()?, size, 0.0, 0.0, INTER_AREA)?;
    Ok(small)
}
