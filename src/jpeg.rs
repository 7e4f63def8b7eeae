//! JPEG on the way: pictures for streams and recordings, and those of cameras and streams.
//!
//! Photos are read by `photo`, which knows their colours and orientation.

use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::{Grey, Picture, Rgb};

/// The largest side that is decoded, in pixels.
const MAX_SIDE_PX: usize = 16_384;

/// Makes JPEGs of one quality, in memory that is used again.
pub(crate) struct Encoder {
    compressor: Compressor,
    bytes: Vec<u8>,
}

impl Encoder {
    /// `quality` is 1 to 100; colours have half the resolution.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the library has no memory.
    pub(crate) fn new(quality: i32) -> Result<Self> {
        let mut compressor =
            Compressor::new().or_error(ErrorKind::Internal, || "libjpeg-turbo cannot be started".to_owned())?;
        compressor.set_quality(quality.clamp(1, 100));
        compressor.set_subsamp(Subsamp::Sub2x2);
        Ok(Self { compressor, bytes: Vec::new() })
    }

    /// One that keeps the colours' resolution, for pictures that are kept.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn with_full_colours(quality: i32) -> Result<Self> {
        let mut encoder = Self::new(quality)?;
        encoder.compressor.set_subsamp(Subsamp::None);
        Ok(encoder)
    }

    /// The JPEG of a picture, until the next one.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for an empty picture.
    pub(crate) fn encode(&mut self, picture: &Rgb) -> Result<&[u8]> {
        let image = Image {
            pixels: picture.data(),
            width: picture.width_px(),
            pitch: picture.width_px() * 3,
            height: picture.height_px(),
            format: PixelFormat::RGB,
        };
        if image.width == 0 || image.height == 0 {
            return Err(Error::new(ErrorKind::Internal, "an empty picture cannot be encoded as JPEG"));
        }
        let about = || "a picture cannot be encoded as JPEG".to_owned();
        let longest = self.compressor.buf_len(image.width, image.height).or_error(ErrorKind::Internal, about)?;
        self.bytes.resize(longest.max(self.bytes.len()), 0);
        let length = self.compressor.compress_to_slice(image, &mut self.bytes).or_error(ErrorKind::Internal, about)?;
        Ok(&self.bytes[..length])
    }
}

/// Decodes a JPEG into a picture, which takes its size; false when it is torn. Tables that MJPEG leaves out are known.
pub(crate) fn decode_rgb(jpeg: &[u8], picture: &mut Rgb) -> bool {
    decode(jpeg, ColorSpace::RGB, MAX_SIDE_PX, picture)
}

/// As [`decode_rgb`]; also false when a side is longer than `max_side_px`, found before any memory is taken.
pub(crate) fn decode_rgb_within(jpeg: &[u8], max_side_px: usize, picture: &mut Rgb) -> bool {
    decode(jpeg, ColorSpace::RGB, max_side_px, picture)
}

/// Decodes the brightness of a JPEG; false when it is torn.
pub(crate) fn decode_grey(jpeg: &[u8], picture: &mut Grey) -> bool {
    decode(jpeg, ColorSpace::Luma, MAX_SIDE_PX, picture)
}

fn decode<const C: usize>(jpeg: &[u8], colours: ColorSpace, max_side_px: usize, picture: &mut Picture<C>) -> bool {
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(max_side_px)
        .set_max_height(max_side_px)
        .jpeg_set_out_colorspace(colours);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    if decoder.decode_headers().is_err() {
        return false;
    }
    let Some((width, height)) = decoder.dimensions() else { return false };
    if width.max(height) > max_side_px {
        return false;
    }
    if decoder.output_buffer_size() != Some(width * height * C) {
        return false;
    }
    picture.reshape(width, height);
    decoder.decode_into(picture.data_mut()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A soft slope of colours.
    fn slope(width: usize, height: usize) -> Rgb {
        let pixel = |i: usize| [(i % width * 200 / width.max(64)) as u8, (i / width * 200 / height.max(64)) as u8, 90];
        Rgb::from_data(width, height, (0..width * height).flat_map(pixel).collect()).unwrap()
    }

    #[test]
    fn what_is_encoded_is_decoded_at_any_size() {
        let mut encoder = Encoder::new(92).unwrap();
        let mut back = Rgb::default();
        for (width, height) in [(1, 1), (7, 5), (64, 48), (513, 3)] {
            let picture = slope(width, height);
            assert!(decode_rgb(encoder.encode(&picture).unwrap(), &mut back));
            assert_eq!((back.width_px(), back.height_px()), (width, height));
            let apart = picture.data().iter().zip(back.data()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(apart <= Some(40), "{width}x{height}: {apart:?}");
            let mean = picture.data().iter().zip(back.data()).map(|(a, b)| f32::from(a.abs_diff(*b))).sum::<f32>();
            assert!(mean / (picture.data().len() as f32) < 6.0, "{width}x{height}: {mean}");
        }
        let other = encoder.encode(&slope(64, 48)).unwrap().to_vec();
        let mut grey = Grey::default();
        assert!(decode_grey(&other, &mut grey));
        assert_eq!((grey.width_px(), grey.height_px()), (64, 48));
    }

    #[test]
    fn what_is_torn_is_no_picture_and_no_panic() {
        let whole = Encoder::new(80).unwrap().encode(&slope(64, 48)).unwrap().to_vec();
        let mut picture = Rgb::default();
        for end in 0..whole.len() / 3 {
            decode_rgb(&whole[..end], &mut picture);
        }
        for at in 0..whole.len() {
            let mut torn = whole.clone();
            torn[at] ^= 0x5a;
            decode_rgb(&torn, &mut picture);
        }
        for nothing in [&[][..], b"no picture", &[0xff, 0xd8, 0xff, 0xe0, 0]] {
            assert!(!decode_rgb(nothing, &mut picture));
        }
        assert!(Encoder::new(80).unwrap().encode(&Rgb::default()).is_err(), "nothing to encode");
    }
}
