//! Who is person and who is background, for enrolment.

use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, INTER_CUBIC, resize};

use crate::error::{Error, ErrorKind, Result};
use crate::frame::{Grey, Rgb};
use crate::models::Model;
use crate::onnx::Session;

/// Width and height of the network's picture.
const SIZE_PX: usize = 256;

/// The network that tells a person from the background.
#[derive(Debug)]
pub struct Matter {
    session: Session,
    small: Rgb,
    small_matte: Grey,
}

impl Matter {
    /// Opens the network, to run on `n_threads` threads.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the model or ONNX Runtime is missing or torn.
    pub fn new(n_threads: usize) -> Result<Self> {
        Ok(Self {
            session: Model::PersonMatte.open(n_threads)?,
            small: Rgb::new(SIZE_PX, SIZE_PX),
            small_matte: Grey::new(SIZE_PX, SIZE_PX),
        })
    }

    /// Makes the matte of a picture, in its size: 255 is person, 0 is background, soft between.
    ///
    /// The network sees 256×256 pixels: in larger pictures the edge is as soft as that.
    ///
    /// # Errors
    /// [`ErrorKind::Photo`] when the picture is empty.
    pub fn matte(&mut self, picture: &Rgb) -> Result<Grey> {
        let (width_px, height_px) = (picture.width_px(), picture.height_px());
        if picture.data().is_empty() {
            return Err(Error::new(ErrorKind::Photo, format!("a {width_px}x{height_px} picture shows nobody")));
        }
        let size = Size::new(SIZE_PX as i32, SIZE_PX as i32);
        resize(&picture.as_mat()?, &mut self.small.as_mat_mut()?, size, 0.0, 0.0, INTER_AREA)?;
        for (input, &sample) in self.session.input_mut(0).iter_mut().zip(self.small.data()) {
            *input = f32::from(sample) / 255.0;
        }
        self.session.run()?;
        for (out, &value) in self.small_matte.data_mut().iter_mut().zip(self.session.output(0)) {
            *out = (value * 255.0).round() as u8;
        }
        let mut matte = Grey::new(width_px, height_px);
        let size = Size::new(width_px as i32, height_px as i32);
        resize(&self.small_matte.as_mat()?, &mut matte.as_mat_mut()?, size, 0.0, 0.0, INTER_CUBIC)?;
        Ok(matte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matte_has_the_pictures_size_and_nobody_is_in_a_plain_wall() {
        let mut matter = Matter::new(1).unwrap();
        let wall = Rgb::from_data(300, 200, vec![180; 300 * 200 * 3]).unwrap();
        let matte = matter.matte(&wall).unwrap();
        assert_eq!((matte.width_px(), matte.height_px()), (300, 200));
        let mean = matte.data().iter().map(|&v| u64::from(v)).sum::<u64>() / (300 * 200);
        assert!(mean < 64, "a plain wall is person by {mean} of 255");
        assert_eq!(matter.matte(&Rgb::new(0, 5)).unwrap_err().kind(), ErrorKind::Photo);
    }
}
