//! From linear light to the camera's eight bits: exposure, tone, noise and compression.

use rayon::prelude::*;

use super::{math::V3, noise::hash_unit, scene::Scene};

/// Develops a picture.
pub(super) fn expose(linear: &[V3], side: usize, scene: &Scene, frame_idx: u64) -> Vec<u8> {
    let mut rgb = vec![0u8; linear.len() * 3];
    let seed = (scene.seed ^ frame_idx.wrapping_mul(0x9e37_79b9)) as u32;
    rgb.par_chunks_mut(3 * side).with_min_len(16).enumerate().for_each(|(y, row)| {
        for (x, out) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let c = linear[y * side + x] * scene.exposure;
            for (k, value) in [c.x, c.y, c.z].into_iter().enumerate() {
                let mut v = tone(value.max(0.0));
                // A print's gentle S-curve.
                v += 0.22 * v * (1.0 - v) * (2.0 * v - 0.92);
                // Two uniforms make the noise nearly normal; a little dither hides steps.
                let h = |i: i32| hash_unit(x as i32, y as i32, k as i32 + 3 * i, seed);
                let grain = h(0) + h(1) - 1.0;
                v += grain * (2.4 * scene.noise_sigma * (1.15 - 0.6 * v) + 0.002);
                out[k] = (v * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
            }
        }
    });
    match scene.jpeg_quality {
        Some(quality) => round_trip(rgb, side, quality),
        None => rgb,
    }
}

/// Soft limit of highlights, then the sRGB curve.
#[inline]
fn tone(c: f32) -> f32 {
    let c = if c < 0.30 { c } else { 0.30 + 0.70 * (1.0 - (-(c - 0.30) / 0.70).exp()) };
    if c <= 0.003_130_8 { 12.92 * c } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 }
}

/// Codes and decodes a picture as JPEG; a coder's failure leaves it as it is.
fn round_trip(rgb: Vec<u8>, side: usize, quality: u8) -> Vec<u8> {
    let mut coded = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut coded, quality);
    let n = side as u32;
    if image::ImageEncoder::write_image(encoder, &rgb, n, n, image::ExtendedColorType::Rgb8).is_err() {
        return rgb;
    }
    match image::load_from_memory_with_format(&coded, image::ImageFormat::Jpeg) {
        Ok(picture) => picture.into_rgb8().into_raw(),
        Err(_) => rgb,
    }
}
