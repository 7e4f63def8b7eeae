//! Pictures in files: decoding with limits, since they come from outside; writing PNG.

use std::io::Cursor;
use std::path::Path;

use image::{
    DynamicImage, ExtendedColorType, ImageDecoder as _, ImageEncoder as _, ImageError, ImageFormat, ImageReader, Limits,
};

use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::files;
use crate::frame::{Picture, Rgb};

/// The largest picture accepted, in pixels a side.
pub const MAX_SIDE_PX: u32 = 16_384;
/// The largest file accepted, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// What decoding may take, in bytes.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// Reads a JPEG, PNG or WebP file and turns it the right way up (EXIF orientation).
///
/// # Errors
/// [`ErrorKind::Photo`] when there is no such file, it is too large, or it is not such a picture.
pub fn read(path: &Path) -> Result<Rgb> {
    decode(&read_bytes(path)?).map_err(|error| {
        Error::new(ErrorKind::Photo, format!("cannot use the picture {}", path.display())).because(error)
    })
}

/// Reads a picture file's bytes, at most [`MAX_FILE_BYTES`]; `-` is standard input.
///
/// # Errors
/// [`ErrorKind::Photo`] when there is no such file or it is too large.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let about = || format!("cannot read the picture {}", path.display());
    files::read(path, MAX_FILE_BYTES).or_error(ErrorKind::Photo, about)
}

/// Decodes a JPEG, PNG or WebP picture and turns it the right way up (EXIF orientation).
///
/// # Errors
/// [`ErrorKind::Photo`] when it is not such a picture, is torn, or would take too much memory.
pub fn decode(bytes: &[u8]) -> Result<Rgb> {
    let about = || "expected a JPEG, PNG or WebP picture".to_owned();
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().or_error(ErrorKind::Photo, about)?;
    if reader.format().is_none() {
        return Err(Error::new(ErrorKind::Photo, "expected a JPEG, PNG or WebP picture, found another kind of file"));
    }
    if reader.format() == Some(ImageFormat::Jpeg) && !is_whole_jpeg(bytes) {
        return Err(Error::new(ErrorKind::Photo, "the picture is torn: its end is missing; copy it again"));
    }
    let mut decoder = reader.into_decoder().map_err(|error| match error {
        ImageError::Limits(_) => too_large().because(error),
        _ => Error::new(ErrorKind::Photo, about()).because(error),
    })?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PX);
    limits.max_image_height = Some(MAX_SIDE_PX);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    decoder.set_limits(limits).map_err(|error| too_large().because(error))?;
    let orientation = decoder.orientation().or_error(ErrorKind::Photo, about)?;
    let mut picture =
        DynamicImage::from_decoder(decoder).or_error(ErrorKind::Photo, || "the picture is torn".to_owned())?;
    picture.apply_orientation(orientation);
    let rgb = picture.into_rgb8();
    let (width_px, height_px) = (rgb.width() as usize, rgb.height() as usize);
    Rgb::from_data(width_px, height_px, rgb.into_raw())
}

fn too_large() -> Error {
    Error::new(ErrorKind::Photo, format!("the picture is too large; at most {MAX_SIDE_PX} pixels a side are read"))
}

/// Whether a JPEG goes on to its end marker. The decoder paints what is missing grey and says nothing.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    // Coded pixels lie between the markers; in them 0xff is followed by zero, a restart's number, or more 0xff.
    while let Some(skip) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0xff)) {
        at += skip + 1;
        match bytes.get(at) {
            Some(0xd9) => return true,
            Some(0x00 | 0x01 | 0xd0..=0xd7) => at += 1,
            Some(0xff) | None => {}
            // A segment with its length, in which anything may stand, such as a small JPEG of its own.
            Some(_) => match bytes.get(at + 1..at + 3) {
                Some(length) => at += 1 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
        }
    }
    false
}

/// Writes a picture as PNG.
///
/// # Errors
/// [`ErrorKind::Io`] when the file cannot be written.
pub fn write_png<const C: usize>(path: &Path, picture: &Picture<C>) -> Result<()> {
    let about = || format!("cannot write the picture {}", path.display());
    let mut bytes = Vec::new();
    let colour = match C {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => ExtendedColorType::Rgba8,
    };
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(picture.data(), picture.width_px() as u32, picture.height_px() as u32, colour)
        .or_error(ErrorKind::Io, about)?;
    std::fs::write(path, bytes).or_error(ErrorKind::Io, about)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_picture_is_refused_with_a_reason() {
        for (bytes, reason) in [
            (&b""[..], "another kind of file"),
            (b"GIF89a not wanted", "JPEG, PNG or WebP"),
            (b"\x89PNG\r\n\x1a\n torn", "JPEG, PNG or WebP"),
        ] {
            let error = decode(bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Photo);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn a_jpeg_is_whole_up_to_its_own_end_marker() {
        let thumbnail = [0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9];
        let pixels = [0xff, 0xda, 0, 3, 1, 7, 0xff, 0, 0xff, 0xd3, 9];
        let torn = [&[0xff, 0xd8][..], &thumbnail, &pixels].concat();
        assert!(!is_whole_jpeg(&torn));
        assert!(is_whole_jpeg(&[&torn[..], &[0xff, 0xff, 0xd9, 1, 2]].concat()));
        assert!(!is_whole_jpeg(&[&torn[..], &[0xff]].concat()));
        assert!(!is_whole_jpeg(&[0xff, 0xd8, 0xff, 0xe0]));
        assert!(!is_whole_jpeg(&[]));
    }
}
