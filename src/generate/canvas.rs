//! From a network's small square of the whole portrait to the picture of the person: enlarged, with alpha.

use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, INTER_CUBIC, INTER_LINEAR, blur_def, resize};

use super::Portrait;
use crate::error::Result;
use crate::frame::{Grey, Picture, Rgb};
use crate::identity::Identity;

/// How far the edge of the person is softened, in sides of the picture: what moves stays within.
const SOFT: f32 = 0.06;

/// What a small picture is painted on.
pub(super) struct Canvas {
    small: Rgb,
    large: Rgb,
    /// Where the person is.
    alpha: Grey,
}

impl Canvas {
    /// From pictures of `small_px` to such of `size_px`.
    pub(super) fn new(small_px: usize, size_px: usize) -> Self {
        Self {
            small: Picture::new(small_px, small_px),
            large: Picture::new(size_px, size_px),
            alpha: Picture::new(size_px, size_px),
        }
    }

    /// Takes over where the person of an identity is.
    pub(super) fn adopt(&mut self, identity: &Identity) -> Result<()> {
        let size_px = self.alpha.width_px();
        let mut matte = Grey::new(size_px, size_px);
        fit(&identity.matte, &mut matte, INTER_LINEAR)?;
        let reach = ((SOFT * size_px as f32) as i32) | 1;
        blur_def(&matte.as_mat()?, &mut self.alpha.as_mat_mut()?, Size::new(reach, reach))?;
        // What is half seen at the softened edge is the network's whole: it moves there.
        for alpha in self.alpha.data_mut() {
            *alpha = alpha.saturating_mul(2);
        }
        Ok(())
    }

    /// Paints a picture in planes, 0..1, of the small size.
    pub(super) fn paint(&mut self, planes: &[f32], portrait: &mut Portrait) -> Result<()> {
        let n = planes.len() / 3;
        for (i, pixel) in self.small.data_mut().as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = std::array::from_fn(|c| (planes[c * n + i].clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
        }
        let is_smaller = self.large.width_px() < self.small.width_px();
        fit(&self.small, &mut self.large, if is_smaller { INTER_AREA } else { INTER_CUBIC })?;
        portrait.picture.reshape(self.large.width_px(), self.large.height_px());
        let pixels = portrait.picture.data_mut().as_chunks_mut::<4>().0.iter_mut();
        for ((to, [red, green, blue]), alpha) in pixels.zip(self.large.data().as_chunks::<3>().0).zip(self.alpha.data())
        {
            *to = [*red, *green, *blue, *alpha];
        }
        Ok(())
    }
}

/// A portrait as planes of 0..1, `size_px` wide and high.
pub(super) fn planes_of(portrait: &Rgb, size_px: usize) -> Result<Vec<f32>> {
    let mut small = Rgb::new(size_px, size_px);
    fit(portrait, &mut small, INTER_AREA)?;
    let mut planes = vec![0.0; 3 * size_px * size_px];
    into_planes(&small, &mut planes);
    Ok(planes)
}

/// Resamples a picture to the size of another.
fn fit<const C: usize>(from: &Picture<C>, to: &mut Picture<C>, method: i32) -> Result<()> {
    let size = Size::new(to.width_px() as i32, to.height_px() as i32);
    resize(&from.as_mat()?, &mut to.as_mat_mut()?, size, 0.0, 0.0, method)?;
    Ok(())
}

/// Writes a picture in planes, 0..1.
pub(crate) fn into_planes(picture: &Rgb, planes: &mut [f32]) {
    let n = planes.len() / 3;
    for (i, rgb) in picture.data().as_chunks::<3>().0.iter().take(n).enumerate() {
        for (c, &sample) in rgb.iter().enumerate() {
            planes[c * n + i] = f32::from(sample) / 255.0;
        }
    }
}
