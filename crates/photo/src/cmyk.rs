//! Pictures in printing inks, as the file has them: the usual decoders turn them into colours before a profile could.

use std::io::Cursor;

use tiff::decoder::{Decoder, DecodingResult, Limits};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::{MAX_DECODED_BYTES, MAX_SIDE_PX};

/// Inks in picture order: cyan, magenta, yellow, black; 255 is all of an ink.
pub(super) struct Inks {
    pub(super) width_px: u32,
    pub(super) height_px: u32,
    pub(super) cmyk: Vec<u8>,
}

/// The inks of a JPEG; none where it has none, or is torn.
pub(super) fn from_jpeg(bytes: &[u8]) -> Option<Inks> {
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(MAX_SIDE_PX as usize)
        .set_max_height(MAX_SIDE_PX as usize);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().ok()?;
    let kind = decoder.input_colorspace().filter(|kind| matches!(kind, ColorSpace::CMYK | ColorSpace::YCCK))?;
    let (width, height) = decoder.dimensions()?;
    if width.checked_mul(height)?.checked_mul(4)? as u64 > MAX_DECODED_BYTES {
        return None;
    }
    // Nothing is converted on the way: both sides are of the same kind.
    decoder.set_options(options.jpeg_set_out_colorspace(kind));
    let mut cmyk = decoder.decode().ok()?;
    for pixel in cmyk.as_chunks_mut::<4>().0 {
        if kind == ColorSpace::YCCK {
            let [y, blue, red] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
            let (blue, red) = (blue - 128.0, red - 128.0);
            let rgb = [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue];
            // The colours stand for the inks that are there.
            for (ink, value) in pixel.iter_mut().zip(rgb) {
                *ink = value.round().clamp(0.0, 255.0) as u8;
            }
        } else {
            // JPEGs of this kind come from one maker's programs, which write the paper that is left.
            (pixel[0], pixel[1], pixel[2]) = (255 - pixel[0], 255 - pixel[1], 255 - pixel[2]);
        }
        pixel[3] = 255 - pixel[3];
    }
    Some(Inks { width_px: width as u32, height_px: height as u32, cmyk })
}

/// The inks of a TIFF; none where it has none, has them in planes, or is torn.
pub(super) fn from_tiff(bytes: &[u8]) -> Option<Inks> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_DECODED_BYTES as usize;
    limits.intermediate_buffer_size = MAX_DECODED_BYTES as usize;
    let mut decoder = Decoder::new(Cursor::new(bytes)).ok()?.with_limits(limits);
    let (width_px, height_px) = decoder.dimensions().ok()?;
    if !matches!(decoder.colortype().ok()?, tiff::ColorType::CMYK(8 | 16)) || width_px.max(height_px) > MAX_SIDE_PX {
        return None;
    }
    let cmyk = match decoder.read_image().ok()? {
        DecodingResult::U8(samples) => samples,
        DecodingResult::U16(samples) => samples.into_iter().map(|value| (value >> 8) as u8).collect(),
        _ => return None,
    };
    (cmyk.len() == width_px as usize * height_px as usize * 4).then_some(Inks { width_px, height_px, cmyk })
}
