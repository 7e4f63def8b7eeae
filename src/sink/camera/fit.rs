//! Puts the square picture into a camera's frame of another shape.

use opencv::core::{Rect, Size};
use opencv::imgproc;

use crate::error::Result;
use crate::frame::Rgba;

/// What is beside the picture where the frame is wider or higher: the dark of the placeholder card.
const BESIDE: [u8; 4] = [26, 28, 33, 255];

/// Brings pictures to one size: scaled as a whole, centred, the rest dark.
pub(in crate::sink) struct Fitter {
    size_px: (usize, usize),
    scaler: Scaler,
    scaled: Rgba,
    fitted: Rgba,
}

/// Brings pictures to other sizes.
#[derive(Default)]
pub(in crate::sink) struct Scaler {
    premultiplied: Rgba,
}

impl Scaler {
    /// Scales `picture` to the size that `scaled` has. What is clear has no colour, so it brings none into its neighbours.
    ///
    /// # Errors
    /// When OpenCV cannot scale it.
    pub(in crate::sink) fn scale(&mut self, picture: &Rgba, scaled: &mut Rgba) -> Result<()> {
        let (from_px, to_px) = (picture.width_px(), scaled.width_px());
        // The mean of what is covered keeps fine lines when shrinking.
        let how = if to_px < from_px { imgproc::INTER_AREA } else { imgproc::INTER_LINEAR };
        let size = Size::new(to_px as i32, scaled.height_px() as i32);
        let is_opaque = picture.data().chunks_exact(4).all(|pixel| pixel[3] == u8::MAX);
        if is_opaque {
            return Ok(imgproc::resize(&picture.as_mat()?, &mut scaled.as_mat_mut()?, size, 0.0, 0.0, how)?);
        }
        self.premultiplied.copy_from(picture);
        for pixel in self.premultiplied.data_mut().as_chunks_mut::<4>().0 {
            let alpha = u16::from(pixel[3]);
            pixel[..3].iter_mut().for_each(|sample| *sample = ((u16::from(*sample) * alpha + 127) / 255) as u8);
        }
        imgproc::resize(&self.premultiplied.as_mat()?, &mut scaled.as_mat_mut()?, size, 0.0, 0.0, how)?;
        for pixel in scaled.data_mut().as_chunks_mut::<4>().0 {
            let alpha = u16::from(pixel[3]).max(1);
            pixel[..3]
                .iter_mut()
                .for_each(|sample| *sample = ((u16::from(*sample) * 255 + alpha / 2) / alpha).min(255) as u8);
        }
        Ok(())
    }
}

impl Fitter {
    /// For frames of `size_px`, (width, height).
    pub(in crate::sink) fn new(size_px: (usize, usize)) -> Self {
        Self { size_px, scaler: Scaler::default(), scaled: Rgba::default(), fitted: beside(size_px) }
    }

    /// The picture at the frame's size: itself where it has that already.
    ///
    /// # Errors
    /// When OpenCV cannot scale it.
    pub(in crate::sink) fn fit<'a>(&'a mut self, picture: &'a Rgba) -> Result<&'a Rgba> {
        let from_px = (picture.width_px(), picture.height_px());
        if from_px == self.size_px || from_px.0 == 0 || from_px.1 == 0 {
            return Ok(if from_px == self.size_px { picture } else { &self.fitted });
        }
        let place = place(from_px, self.size_px);
        self.scaled.reshape(place.width as usize, place.height as usize);
        self.scaler.scale(picture, &mut self.scaled)?;
        let (stride, row_bytes) = (self.size_px.0 * 4, place.width as usize * 4);
        let first = place.y as usize * stride + place.x as usize * 4;
        for (y, row) in self.scaled.data().chunks_exact(row_bytes).enumerate() {
            self.fitted.data_mut()[first + y * stride..][..row_bytes].copy_from_slice(row);
        }
        Ok(&self.fitted)
    }
}

/// A frame without a picture.
pub(in crate::sink) fn beside((width_px, height_px): (usize, usize)) -> Rgba {
    let mut frame = Rgba::new(width_px, height_px);
    frame.data_mut().as_chunks_mut::<4>().0.fill(BESIDE);
    frame
}

/// The largest centred rectangle of the picture's shape.
fn place(from_px: (usize, usize), to_px: (usize, usize)) -> Rect {
    let scale = (to_px.0 as f64 / from_px.0 as f64).min(to_px.1 as f64 / from_px.1 as f64);
    let side = |from: usize, to: usize| ((from as f64 * scale).round() as usize).clamp(1, to);
    let (width, height) = (side(from_px.0, to_px.0), side(from_px.1, to_px.1));
    let at = |to: usize, length: usize| ((to - length) / 2) as i32;
    Rect::new(at(to_px.0, width), at(to_px.1, height), width as i32, height as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_as_large_as_fits_and_in_the_middle() {
        assert_eq!(place((512, 512), (640, 480)), Rect::new(80, 0, 480, 480));
        assert_eq!(place((512, 512), (1280, 720)), Rect::new(280, 0, 720, 720));
        assert_eq!(place((512, 512), (480, 640)), Rect::new(0, 80, 480, 480));
        assert_eq!(place((1024, 1024), (64, 64)), Rect::new(0, 0, 64, 64));
    }

    #[test]
    fn beside_the_picture_it_is_dark_and_the_picture_keeps_its_colours() {
        let picture = Rgba::from_data(4, 4, [200, 100, 50, 255].repeat(16)).unwrap();
        let mut fitter = Fitter::new((12, 8));
        let fitted = fitter.fit(&picture).unwrap();
        assert_eq!((fitted.width_px(), fitted.height_px()), (12, 8));
        for y in 0..8 {
            for x in 0..12 {
                let expected = if (2..10).contains(&x) { [200, 100, 50, 255] } else { BESIDE };
                assert_eq!(fitted.pixel(x, y), expected, "{x}, {y}");
            }
        }
    }

    #[test]
    fn what_is_clear_darkens_no_edge() {
        let row: Vec<u8> = (0..12).flat_map(|x| if x < 5 { [200, 0, 0, 255] } else { [0; 4] }).collect();
        let picture = Rgba::from_data(12, 12, row.repeat(12)).unwrap();
        for size_px in [7, 31] {
            let mut fitter = Fitter::new((size_px, size_px));
            let seen = fitter.fit(&picture).unwrap().data().chunks_exact(4).filter(|pixel| pixel[3] > 60);
            assert!(seen.clone().count() > 10 && seen.clone().any(|pixel| pixel[3] < 250));
            assert!(seen.into_iter().all(|pixel| (195..=205).contains(&pixel[0])), "{size_px}");
        }
    }

    #[test]
    fn a_picture_of_the_right_size_is_not_touched() {
        let picture = Rgba::from_data(2, 2, (0..16).collect()).unwrap();
        assert!(std::ptr::eq(Fitter::new((2, 2)).fit(&picture).unwrap(), &picture));
    }
}
