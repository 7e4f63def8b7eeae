//! One more view of the person: another photo, another turn of the head, another expression.

use std::sync::Arc;

use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, INTER_LINEAR, resize};

use super::{Identity, Manifest};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::{Grey, Picture, Rgb};
use crate::geometry::{FaceShape, HeadPose, Landmarks, N_COEFFICIENTS};
use crate::jpeg;

/// Quality of the JPEG that a file keeps: no loss that an eye finds.
const JPEG_QUALITY: i32 = 95;

/// A portrait beside the identity's own, with all that a generator reads of it.
///
/// Its file keeps the picture as JPEG; what is here is what that decodes to, so that it is the same after every reading.
#[derive(Clone, Debug)]
pub struct SideView {
    /// Without background, photo, emphasis and further views.
    identity: Arc<Identity>,
    matte: Grey,
    jpeg: Vec<u8>,
}

impl SideView {
    /// Sides of the matte that a file keeps, in pixels; the network that makes it sees 256.
    pub(super) const MATTE_PX: usize = 512;

    /// Takes a portrait of (s, s, 3), s one of [`Identity::SIZES_PX`], and its matte of the same size.
    ///
    /// # Errors
    /// When a picture operation fails.
    pub(super) fn new(
        portrait: &Rgb,
        matte: &Grey,
        read: (HeadPose, [f32; N_COEFFICIENTS]),
        landmarks_px: Landmarks,
        manifest: &Manifest,
    ) -> Result<Self> {
        let jpeg = jpeg::Encoder::with_full_colours(JPEG_QUALITY)?.encode(portrait)?.to_vec();
        Self::from_jpeg(jpeg, resized(matte, Self::MATTE_PX)?, read, |_| Ok(landmarks_px), manifest)
    }

    /// Takes a view as a file keeps it; `landmarks_px` is told the portrait's size.
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] when the JPEG is torn or of another size.
    pub(super) fn from_jpeg(
        jpeg: Vec<u8>,
        matte: Grey,
        (pose, coefficients): (HeadPose, [f32; N_COEFFICIENTS]),
        landmarks_px: impl FnOnce(usize) -> Result<Landmarks>,
        manifest: &Manifest,
    ) -> Result<Self> {
        let mut portrait = Rgb::default();
        let most_px = Identity::SIZES_PX[Identity::SIZES_PX.len() - 1];
        let is_read = jpeg::decode_rgb_within(&jpeg, most_px, &mut portrait);
        let size = portrait.width_px();
        if !is_read || size != portrait.height_px() || !Identity::SIZES_PX.contains(&size) {
            let message = format!("a view is no square JPEG of {:?} pixels", Identity::SIZES_PX);
            return Err(Error::new(ErrorKind::Identity, message));
        }
        let landmarks_px = landmarks_px(size)?;
        let identity = Identity {
            manifest: manifest.clone(),
            maker: None,
            portrait,
            matte: resized(&matte, size)?,
            background: Rgb::default(),
            shape: FaceShape::new(&landmarks_px, &pose),
            landmarks_px,
            coefficients,
            pose,
            emphasis: None,
            photo: None,
            views: Vec::new(),
        };
        Ok(Self { identity: Arc::new(identity), matte, jpeg })
    }

    /// What a generator adopts to show this view: portrait, matte, points, pose, expression and shape; its background is
    /// empty.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    pub(super) fn matte(&self) -> &Grey {
        &self.matte
    }

    pub(super) fn jpeg(&self) -> &[u8] {
        &self.jpeg
    }
}

fn resized(matte: &Grey, px: usize) -> Result<Grey> {
    if matte.width_px() == px {
        return Ok(matte.clone());
    }
    let mut to = Picture::new(px, px);
    let method = if matte.width_px() > px { INTER_AREA } else { INTER_LINEAR };
    resize(&matte.as_mat()?, &mut to.as_mat_mut()?, Size::new(px as i32, px as i32), 0.0, 0.0, method)?;
    Ok(to)
}
