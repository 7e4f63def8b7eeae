//! Colour: from what a file says that its numbers mean to sRGB, which is all that the program knows.

use image::{ColorType, DynamicImage, RgbImage};
use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, CmsError, ColorPrimaries, ColorProfile, DataColorSpace, Layout,
    MatrixCoefficients, ToneReprCurve, TransferCharacteristics, TransformExecutor, TransformOptions,
};

/// What is wrong with a profile, a clause.
pub(super) type Trouble = String;

/// Pixels are converted in rows of so many, so that no second picture is needed.
const ROW_PIXELS: usize = 4096;

/// Reads an ICC profile.
pub(super) fn from_icc(bytes: &[u8]) -> Result<ColorProfile, Trouble> {
    ColorProfile::new_from_slice(bytes).map_err(|error| broken(&error))
}

/// Whether an ICC profile is for printing inks, read from its head alone.
pub(super) fn is_cmyk(icc: &[u8]) -> bool {
    icc.get(16..20) == Some(b"CMYK")
}

/// The colours of coded points (ITU-T H.273: primaries, transfer); none where they are those of sRGB or unknown.
pub(super) fn from_cicp(primaries: u8, transfer: u8) -> Result<Option<ColorProfile>, Trouble> {
    use TransferCharacteristics as Curve;
    let primaries = CicpColorPrimaries::try_from(primaries).unwrap_or(CicpColorPrimaries::Reserved);
    let curve = match Curve::try_from(transfer).unwrap_or(Curve::Reserved) {
        // A picture with the curve of video is shown as video is, on displays that are nearly sRGB's.
        Curve::Bt709 | Curve::Bt601 | Curve::Bt202010bit | Curve::Bt202012bit | Curve::Srgb | Curve::Unspecified => {
            Curve::Srgb
        }
        curve @ (Curve::Linear | Curve::Bt470M | Curve::Bt470Bg) => curve,
        Curve::Smpte2084 | Curve::Hlg => return Err("it is in high dynamic range".to_owned()),
        _ => return Err(format!("its transfer characteristic {transfer} is not known here")),
    };
    match primaries {
        CicpColorPrimaries::Unspecified | CicpColorPrimaries::Reserved => return Ok(None),
        CicpColorPrimaries::Bt709 if curve == Curve::Srgb => return Ok(None),
        _ => {}
    }
    let profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries: primaries,
        transfer_characteristics: curve,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    if profile.red_trc.is_none() { Err("its primaries are not known here".to_owned()) } else { Ok(Some(profile)) }
}

/// The colours of given primaries and white (x, y each: white, red, green, blue) and a pure power as curve: light is
/// the number to the power of `exponent`. What is not given is sRGB's.
pub(super) fn from_primaries(xy: Option<[[f32; 2]; 4]>, exponent: Option<f32>) -> Result<ColorProfile, Trouble> {
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    if let Some([white, red, green, blue]) = xy {
        let is_colour = |[x, y]: [f32; 2]| x.is_finite() && y.is_finite() && x >= 0.0 && y > 0.0 && x + y <= 1.0;
        if ![white, red, green, blue].into_iter().all(is_colour) {
            return Err("its primaries are no colours".to_owned());
        }
        let [white, red, green, blue] = [white, red, green, blue].map(|[x, y]| Chromaticity { x, y });
        profile.update_rgb_colorimetry(white.to_xyyb(), ColorPrimaries { red, green, blue });
    }
    if let Some(exponent) = exponent {
        if !(0.2..=5.0).contains(&exponent) {
            return Err(format!("its exponent is {exponent}"));
        }
        let curve = ToneReprCurve::Parametric(vec![exponent]);
        (profile.red_trc, profile.green_trc, profile.blue_trc) =
            (Some(curve.clone()), Some(curve.clone()), Some(curve));
    }
    Ok(profile)
}

/// Turns a picture into sRGB. On trouble with its profile it is given as if it were sRGB, and the trouble said.
pub(super) fn to_srgb(picture: DynamicImage, profile: &ColorProfile) -> (RgbImage, Option<Trouble>) {
    let is_grey = matches!(picture.color(), ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16);
    let is_deep = matches!(picture.color(), ColorType::Rgb16 | ColorType::Rgba16);
    let converted = match profile.color_space {
        DataColorSpace::Gray if is_grey => grey_to_srgb(&picture, profile),
        DataColorSpace::Rgb if is_deep => deep_to_srgb(&picture, profile),
        DataColorSpace::Rgb => {
            let mut rgb = picture.into_rgb8();
            let trouble = rgb_to_srgb(&mut rgb, profile).err();
            return (rgb, trouble);
        }
        other => Err(format!("it is for {other:?}, which the picture is not in")),
    };
    match converted {
        Ok(rgb) => (rgb, None),
        Err(trouble) => (picture.into_rgb8(), Some(trouble)),
    }
}

/// How profiles are applied: exactly rather than fast, a photo is read once.
fn options() -> TransformOptions {
    TransformOptions { prefer_fixed_point: false, ..TransformOptions::default() }
}

/// Turns inks (cyan, magenta, yellow, black; 255 is all of an ink) into sRGB.
pub(super) fn cmyk_to_srgb(cmyk: &[u8], profile: &ColorProfile) -> Result<Vec<u8>, Trouble> {
    if profile.color_space != DataColorSpace::Cmyk {
        return Err(format!("it is for {:?}, which the picture is not in", profile.color_space));
    }
    let transform = profile
        .create_transform_8bit(Layout::Rgba, &ColorProfile::new_srgb(), Layout::Rgb, options())
        .map_err(|error| broken(&error))?;
    let mut rgb = vec![0; cmyk.len() / 4 * 3];
    transform.transform(&cmyk[..cmyk.len() / 4 * 4], &mut rgb).map_err(|error| broken(&error))?;
    Ok(rgb)
}

fn rgb_to_srgb(rgb: &mut RgbImage, profile: &ColorProfile) -> Result<(), Trouble> {
    let transform = profile
        .create_transform_8bit(Layout::Rgb, &ColorProfile::new_srgb(), Layout::Rgb, options())
        .map_err(|error| broken(&error))?;
    if changes_nothing(&*transform)? {
        return Ok(());
    }
    let mut row = vec![0; 3 * ROW_PIXELS];
    for pixels in rgb.chunks_mut(3 * ROW_PIXELS) {
        let row = &mut row[..pixels.len()];
        row.copy_from_slice(pixels);
        transform.transform(row, pixels).map_err(|error| broken(&error))?;
    }
    Ok(())
}

fn deep_to_srgb(picture: &DynamicImage, profile: &ColorProfile) -> Result<RgbImage, Trouble> {
    let transform = profile
        .create_transform_16bit(Layout::Rgb, &ColorProfile::new_srgb(), Layout::Rgb, options())
        .map_err(|error| broken(&error))?;
    let deep = picture.to_rgb16();
    let mut rgb = RgbImage::new(deep.width(), deep.height());
    let mut row = vec![0; 3 * ROW_PIXELS];
    for (out, pixels) in rgb.chunks_mut(3 * ROW_PIXELS).zip(deep.chunks(3 * ROW_PIXELS)) {
        let row = &mut row[..pixels.len()];
        transform.transform(pixels, row).map_err(|error| broken(&error))?;
        out.iter_mut().zip(row).for_each(|(out, value)| *out = eight_bits(*value));
    }
    Ok(rgb)
}

fn grey_to_srgb(picture: &DynamicImage, profile: &ColorProfile) -> Result<RgbImage, Trouble> {
    let transform = profile
        .create_transform_16bit(Layout::Gray, &ColorProfile::new_srgb(), Layout::Rgb, options())
        .map_err(|error| broken(&error))?;
    let grey = picture.to_luma16();
    let mut rgb = RgbImage::new(grey.width(), grey.height());
    let mut row = vec![0; 3 * ROW_PIXELS];
    for (out, pixels) in rgb.chunks_mut(3 * ROW_PIXELS).zip(grey.chunks(ROW_PIXELS)) {
        let row = &mut row[..3 * pixels.len()];
        transform.transform(pixels, row).map_err(|error| broken(&error))?;
        out.iter_mut().zip(row).for_each(|(out, value)| *out = eight_bits(*value));
    }
    Ok(rgb)
}

fn eight_bits(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

/// Whether a profile is sRGB under another name: such a picture stays as it is, to the last bit.
fn changes_nothing(transform: &dyn TransformExecutor<u8>) -> Result<bool, Trouble> {
    let steps = || (0..=255_u8).step_by(17);
    let probe: Vec<u8> =
        steps().flat_map(|r| steps().flat_map(move |g| steps().flat_map(move |b| [r, g, b]))).collect();
    let mut seen = vec![0; probe.len()];
    transform.transform(&probe, &mut seen).map_err(|error| broken(&error))?;
    Ok(probe.iter().zip(&seen).all(|(a, b)| a.abs_diff(*b) <= 1))
}

fn broken(error: &CmsError) -> Trouble {
    format!("it cannot be read: {error:?}")
}
