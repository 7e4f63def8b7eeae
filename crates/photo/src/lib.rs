//! Pictures in files: decoding with limits, since they come from outside; writing PNG.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder as _, ImageError, ImageFormat, ImageReader, Limits,
    RgbImage,
};

use effigy_base::error::{Error, ErrorKind, OrError as _, Result};
use effigy_base::files;
use effigy_base::frame::{Picture, Rgb};

mod cmyk;
mod colour;
#[cfg(feature = "heif")]
mod heif;
mod png_colour;
#[cfg(test)]
mod tests;

/// The largest picture accepted, in pixels a side.
pub const MAX_SIDE_PX: u32 = 16_384;
/// The largest file accepted, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// What decoding may take, in bytes.
const MAX_DECODED_BYTES: u64 = 512 << 20;
/// What looking at a picture's head may take, in bytes.
const MAX_HEAD_BYTES: u64 = 1 << 20;
/// What is read.
const KINDS: &str = "expected a photo: JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF";

/// A picture as it is used: in sRGB, the right way up.
#[derive(Clone, Debug)]
pub struct DecodedPhoto {
    /// The picture.
    pub picture: Rgb,
    /// Why its colours may be off: what is wrong with the colour profile in the file, which was then ignored.
    pub colour_trouble: Option<String>,
}

/// Reads a picture file, see [`decode`].
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

/// Decodes a picture, turns it the right way up (as EXIF or the format itself says) and its colours into sRGB (ICC
/// profile, coded points, in a PNG also gAMA and cHRM). A profile that is broken is ignored with a warning.
///
/// JPEG, PNG, WebP, TIFF, BMP and GIF (of several pictures the first); HEIC and AVIF with the feature `heif` where libheif
/// is installed.
///
/// # Errors
/// [`ErrorKind::Photo`] when it is not such a picture, is torn, or would take too much memory.
pub fn decode(bytes: &[u8]) -> Result<Rgb> {
    let decoded = decode_with_remarks(bytes)?;
    if let Some(trouble) = decoded.colour_trouble {
        log::warn!("{trouble}");
    }
    Ok(decoded.picture)
}

/// Decodes a picture as [`decode`] does, and says what was wrong with its colours instead of warning.
///
/// # Errors
/// As [`decode`].
pub fn decode_with_remarks(bytes: &[u8]) -> Result<DecodedPhoto> {
    let format = match kind(bytes)? {
        Kind::Heif => return decode_heif(bytes),
        Kind::Other(format) => format,
    };
    if format == ImageFormat::Jpeg && !is_whole_jpeg(bytes) {
        return Err(Error::new(ErrorKind::Photo, "the picture is torn: its end is missing; copy it again"));
    }
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(|error| unreadable(format, error))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PX);
    limits.max_image_height = Some(MAX_SIDE_PX);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    decoder.set_limits(limits).map_err(|error| too_large().because(error))?;
    let orientation = decoder.orientation().map_err(|error| unreadable(format, error))?;
    // A profile that cannot even be taken out of the file is a broken one, no reason to refuse the picture.
    let icc = match format {
        // image takes none here that is larger than the pixels.
        ImageFormat::Tiff => Ok(tiff_profile(bytes)),
        _ => decoder.icc_profile(),
    };
    let (rgb, trouble) = match icc {
        Ok(Some(icc)) if colour::is_cmyk(&icc) => from_inks(bytes, format, decoder, &icc)?,
        Ok(icc) => from_colours(bytes, format, decoder, icc.as_deref())?,
        Err(error) => (decoded(decoder)?.into_rgb8(), Some(error.to_string())),
    };
    finish(rgb, orientation, trouble)
}

/// The kinds of picture files.
enum Kind {
    Other(ImageFormat),
    /// HEIC and AVIF.
    Heif,
}

fn kind(bytes: &[u8]) -> Result<Kind> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | WebP | Tiff | Bmp | Gif)) => Ok(Kind::Other(format)),
        _ if is_heif(bytes) => Ok(Kind::Heif),
        _ => Err(Error::new(ErrorKind::Photo, format!("{KINDS}, found another kind of file"))),
    }
}

/// Whether these are the first bytes of a HEIC or AVIF photo, and not of a clip in the same container.
fn is_heif(bytes: &[u8]) -> bool {
    let is_brand = |brand: &[u8]| {
        matches!(
            brand,
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"mif2" | b"msf1" | b"avif" | b"avis"
        )
    };
    bytes.get(4..8) == Some(b"ftyp") && bytes.get(8..12).is_some_and(is_brand)
}

/// Width and height of a picture as its head says, in pixels; nothing is decoded.
///
/// # Errors
/// [`ErrorKind::Photo`] when it is no picture that [`decode`] takes.
pub fn size_px(bytes: &[u8]) -> Result<(u32, u32)> {
    match kind(bytes)? {
        Kind::Heif => heif_size(bytes),
        Kind::Other(format) => {
            let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
            let mut limits = Limits::default();
            limits.max_alloc = Some(MAX_HEAD_BYTES);
            reader.limits(limits);
            reader.into_dimensions().map_err(|error| unreadable(format, error))
        }
    }
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Gif => "GIF",
        _ => "picture",
    }
}

/// What a decoder says, in words for users.
fn unreadable(format: ImageFormat, error: ImageError) -> Error {
    match error {
        ImageError::Limits(_) => too_large().because(error),
        ImageError::Unsupported(_) => Error::new(
            ErrorKind::Photo,
            format!("this sort of {} is not read; save the picture as JPEG or PNG", name(format)),
        )
        .because(error),
        _ => Error::new(ErrorKind::Photo, format!("{KINDS}, found a torn {}", name(format))).because(error),
    }
}

#[cfg(feature = "heif")]
fn heif_size(bytes: &[u8]) -> Result<(u32, u32)> {
    heif::size(bytes)
}

#[cfg(feature = "heif")]
fn decode_heif(bytes: &[u8]) -> Result<DecodedPhoto> {
    let (rgb, colours) = heif::decode(bytes)?;
    let profile = match colours {
        heif::Colours::Unsaid => Ok(None),
        heif::Colours::Icc(icc) => colour::from_icc(&icc).map(Some),
        heif::Colours::Coded(primaries, transfer) => colour::from_cicp(primaries, transfer),
    };
    let picture = DynamicImage::from(rgb);
    let (rgb, trouble) = match profile {
        Ok(Some(profile)) => colour::to_srgb(picture, &profile),
        Ok(None) => (picture.into_rgb8(), None),
        Err(trouble) => (picture.into_rgb8(), Some(trouble)),
    };
    // The library has turned it already.
    finish(rgb, Orientation::NoTransforms, trouble)
}

#[cfg(not(feature = "heif"))]
fn heif_size(_bytes: &[u8]) -> Result<(u32, u32)> {
    Err(no_heif())
}

#[cfg(not(feature = "heif"))]
fn decode_heif(_bytes: &[u8]) -> Result<DecodedPhoto> {
    Err(no_heif())
}

#[cfg(not(feature = "heif"))]
fn no_heif() -> Error {
    Error::new(
        ErrorKind::Photo,
        "the picture is HEIC or AVIF, which this build does not read; build with the feature heif, or save it as JPEG",
    )
}

/// A picture whose numbers are colours.
fn from_colours(
    bytes: &[u8],
    format: ImageFormat,
    decoder: impl ImageDecoder,
    icc: Option<&[u8]>,
) -> Result<(RgbImage, Option<String>)> {
    let by_icc = || icc.map(colour::from_icc).transpose();
    let profile = match format {
        ImageFormat::Png => png_colour::coded(bytes)
            .unwrap_or_else(|| if icc.is_some() { by_icc() } else { png_colour::by_primaries(bytes) }),
        _ => by_icc(),
    };
    let picture = decoded(decoder)?;
    Ok(match profile {
        Ok(Some(profile)) => colour::to_srgb(picture, &profile),
        Ok(None) => (picture.into_rgb8(), None),
        Err(trouble) => (picture.into_rgb8(), Some(trouble)),
    })
}

/// A picture with a profile for printing inks.
fn from_inks(
    bytes: &[u8],
    format: ImageFormat,
    decoder: impl ImageDecoder,
    icc: &[u8],
) -> Result<(RgbImage, Option<String>)> {
    let inks = match format {
        ImageFormat::Jpeg => cmyk::from_jpeg(bytes),
        ImageFormat::Tiff => cmyk::from_tiff(bytes),
        _ => None,
    };
    let converted = match inks {
        None => Err("it is for printing inks, which the picture is not in".to_owned()),
        Some(inks) => colour::from_icc(icc)
            .and_then(|profile| colour::cmyk_to_srgb(&inks.cmyk, &profile))
            .and_then(|rgb| RgbImage::from_raw(inks.width_px, inks.height_px, rgb).ok_or("it is torn".to_owned())),
    };
    Ok(match converted {
        Ok(rgb) => (rgb, None),
        Err(trouble) => (decoded(decoder)?.into_rgb8(), Some(trouble)),
    })
}

/// The ICC profile of a TIFF.
fn tiff_profile(bytes: &[u8]) -> Option<Vec<u8>> {
    tiff::decoder::Decoder::new(Cursor::new(bytes)).ok()?.get_tag_u8_vec(tiff::tags::Tag::IccProfile).ok()
}

fn decoded(decoder: impl ImageDecoder) -> Result<DynamicImage> {
    DynamicImage::from_decoder(decoder).map_err(|error| match error {
        ImageError::Limits(_) => too_large().because(error),
        _ => Error::new(ErrorKind::Photo, "the picture is torn").because(error),
    })
}

/// Turns a picture the right way up.
fn finish(rgb: RgbImage, orientation: Orientation, trouble: Option<String>) -> Result<DecodedPhoto> {
    let mut picture = DynamicImage::from(rgb);
    picture.apply_orientation(orientation);
    let rgb = picture.into_rgb8();
    let (width_px, height_px) = (rgb.width() as usize, rgb.height() as usize);
    let colour_trouble = trouble.map(|trouble| {
        format!(
            "the picture's colour profile is ignored, {trouble}; colours may be off, save the picture as sRGB to be sure"
        )
    });
    Ok(DecodedPhoto { picture: Rgb::from_data(width_px, height_px, rgb.into_raw())?, colour_trouble })
}

/// Refuses a picture that would take too much memory.
#[cfg(feature = "heif")]
fn check_size(width_px: u32, height_px: u32) -> Result<()> {
    let n_bytes = 3 * u64::from(width_px) * u64::from(height_px);
    if width_px.max(height_px) > MAX_SIDE_PX || n_bytes > MAX_DECODED_BYTES { Err(too_large()) } else { Ok(()) }
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

/// A picture as a JPEG file.
///
/// # Errors
/// [`ErrorKind::Internal`] when it cannot be coded.
pub fn jpeg(picture: &Rgb) -> Result<Vec<u8>> {
    const QUALITY: u8 = 88;
    let (width, height) = (picture.width_px() as u32, picture.height_px() as u32);
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(picture.data(), width, height, ExtendedColorType::Rgb8)
        .or_error(ErrorKind::Internal, || "cannot code a picture as JPEG".to_owned())?;
    Ok(bytes)
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
