//! From the camera's packing to RGB, in buffers that are used again.
#![cfg_attr(not(feature = "webcam"), allow(dead_code, reason = "only cameras pack their pixels"))]

use opencv::core::{Mat, Vec2b};
use opencv::imgproc;

use crate::error::Result;
use crate::frame::Rgb;
use crate::jpeg;

use super::format::PixelFormat;

/// Decodes one picture into `rgb`, which takes its size; false when the data are torn.
///
/// A camera on a busy cable delivers a torn picture now and then: the caller waits for the
/// next. For MJPEG the size is the JPEG's own.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when OpenCV refuses the operation.
pub(super) fn decode(
    pixels: PixelFormat,
    (width_px, height_px): (usize, usize),
    data: &[u8],
    rgb: &mut Rgb,
) -> Result<bool> {
    match pixels {
        PixelFormat::Mjpeg => return Ok(jpeg::decode_rgb(data, rgb)),
        PixelFormat::Yuyv => {
            let Some(data) = data.get(..width_px * height_px * 2) else { return Ok(false) };
            if !width_px.is_multiple_of(2) {
                return Ok(false);
            }
            let packed = Mat::new_rows_cols_with_bytes::<Vec2b>(height_px as i32, width_px as i32, data)?;
            rgb.reshape(width_px, height_px);
            imgproc::cvt_color_def(&packed, &mut rgb.as_mat_mut()?, imgproc::COLOR_YUV2RGB_YUY2)?;
        }
        PixelFormat::Nv12 => {
            let rows = height_px * 3 / 2;
            let Some(data) = data.get(..width_px * rows) else { return Ok(false) };
            if !width_px.is_multiple_of(2) || !height_px.is_multiple_of(2) {
                return Ok(false);
            }
            let packed = Mat::new_rows_cols_with_bytes::<u8>(rows as i32, width_px as i32, data)?;
            rgb.reshape(width_px, height_px);
            imgproc::cvt_color_def(&packed, &mut rgb.as_mat_mut()?, imgproc::COLOR_YUV2RGB_NV12)?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pixels: PixelFormat, size: (usize, usize), data: &[u8]) -> Option<Rgb> {
        let mut rgb = Rgb::default();
        super::decode(pixels, size, data, &mut rgb).unwrap().then_some(rgb)
    }

    #[test]
    fn all_packings_show_the_same_colour() {
        // BT.601, video range: a strong orange.
        let (y, u, v) = (150, 60, 190);
        let yuyv = [y, u, y, v].repeat(4 * 6 / 2);
        let nv12: Vec<u8> = [y].repeat(24).into_iter().chain([u, v].repeat(6)).collect();
        let from_yuyv = decode(PixelFormat::Yuyv, (4, 6), &yuyv).unwrap();
        let mut encoder = jpeg::Encoder::new(95).unwrap();
        let jpeg = encoder.encode(&from_yuyv).unwrap();
        let from_nv12 = decode(PixelFormat::Nv12, (4, 6), &nv12).unwrap();
        let from_jpeg = decode(PixelFormat::Mjpeg, (4, 6), jpeg).unwrap();
        for picture in [&from_yuyv, &from_nv12, &from_jpeg] {
            assert_eq!((picture.width_px(), picture.height_px()), (4, 6));
            let [r, g, b] = picture.pixel(2, 3).map(i32::from);
            assert!((r - 255).abs() < 6 && (g - 133).abs() < 6 && (b - 19).abs() < 8, "{r} {g} {b}");
        }
    }

    #[test]
    fn torn_pictures_are_passed_over() {
        assert_eq!(decode(PixelFormat::Yuyv, (4, 6), &[0; 47]), None);
        assert_eq!(decode(PixelFormat::Yuyv, (3, 6), &[0; 64]), None);
        assert_eq!(decode(PixelFormat::Nv12, (4, 6), &[0; 35]), None);
        assert_eq!(decode(PixelFormat::Mjpeg, (4, 6), b""), None);
        assert_eq!(decode(PixelFormat::Mjpeg, (4, 6), b"no picture"), None);
        assert_eq!(decode(PixelFormat::Mjpeg, (4, 6), &[0xff, 0xd8, 0xff, 0xe0, 0]), None);
    }
}
