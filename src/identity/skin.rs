//! One light for all views: a view's colours are brought to the portrait's by the skin that both show.

use glam::{Vec2, Vec3};

use crate::frame::Rgb;
use crate::geometry::{FaceShape, Landmarks, MESH_TRIANGLES, N_MESH_POINTS};

/// A place of the face counts where its skin looks at the camera at least so much (cosine) in both pictures.
const LEAST_FACING: f32 = 0.45;
/// Fewer places say nothing.
const LEAST_PLACES: usize = 40;
/// The most that a channel of linear light is multiplied or divided by.
const MOST_GAIN: f32 = 2.5;
/// Below it a gain is no more than the noise of two frames of one clip.
const LEAST_GAIN: f32 = 1.015;
/// Half of the square that is read at each place, in face widths.
const REACH: f32 = 0.03;
/// Lips, lids and irises are moved and differ: places nearer to them than this, in face widths, do not count.
const KEEP_OFF: f32 = 0.16;
const EYES_AND_MOUTH: [usize; 12] = [33, 133, 159, 145, 263, 362, 386, 374, 61, 291, 13, 14];

/// A picture and the face in it.
pub(super) struct Face<'a> {
    pub(super) picture: &'a Rgb,
    pub(super) landmarks_px: &'a Landmarks,
    pub(super) shape: &'a FaceShape,
}

/// How much brighter each channel of `view` must become, in linear light, for its skin to be that of `portrait`: the median
/// over places that both show. 1 where too few are shown, or nothing differs.
///
/// A gain and no spread: how far light and shadow are apart is the light's direction, which no gain undoes.
pub(super) fn gains(portrait: &Face, view: &Face) -> [f32; 3] {
    let facing = [facing(portrait.shape), facing(view.shape)];
    let features = EYES_AND_MOUTH.map(|i| portrait.shape.points[i]);
    let is_skin = |i: usize| features.iter().all(|f| f.distance(portrait.shape.points[i]) > KEEP_OFF);
    let mut ratios: [Vec<f32>; 3] = Default::default();
    for i in 0..N_MESH_POINTS {
        if facing.iter().any(|facing| facing[i] < LEAST_FACING) || !is_skin(i) {
            continue;
        }
        let (Some(wanted), Some(found)) = (colour_at(portrait, i), colour_at(view, i)) else { continue };
        for c in 0..3 {
            ratios[c].push((wanted[c].max(1e-3) / found[c].max(1e-3)).ln());
        }
    }
    if ratios[0].len() < LEAST_PLACES {
        return [1.0; 3];
    }
    let gains = ratios.map(|mut ratios| {
        let middle = ratios.len() / 2;
        let (_, median, _) = ratios.select_nth_unstable_by(middle, f32::total_cmp);
        median.exp().clamp(1.0 / MOST_GAIN, MOST_GAIN)
    });
    if gains.iter().all(|gain| gain.max(1.0 / gain) < LEAST_GAIN) { [1.0; 3] } else { gains }
}

/// Multiplies the linear light of each channel.
pub(super) fn apply(picture: &mut Rgb, gains: [f32; 3]) {
    if gains == [1.0; 3] {
        return;
    }
    let tables: [[u8; 256]; 3] = gains
        .map(|gain| std::array::from_fn(|v| (255.0 * encoded(gain * linear(v as u8))).round().clamp(0.0, 255.0) as u8));
    for pixel in picture.data_mut().as_chunks_mut::<3>().0 {
        for (sample, table) in pixel.iter_mut().zip(&tables) {
            *sample = table[usize::from(*sample)];
        }
    }
}

/// For each point, how much the skin around it looks at the camera: cosine, 1 straight.
fn facing(shape: &FaceShape) -> [f32; N_MESH_POINTS] {
    let mut normals = [Vec3::ZERO; N_MESH_POINTS];
    for triangle in MESH_TRIANGLES {
        let [a, b, c] = triangle.map(|i| shape.rotation * shape.points[usize::from(i)]);
        let normal = (b - a).cross(c - a);
        for i in triangle {
            normals[usize::from(i)] += normal;
        }
    }
    // Whichever way the triangles wind: the forehead of a face in view looks at the camera.
    let forehead = normals[9].z + normals[151].z;
    normals.map(|normal| normal.normalize_or_zero().z * forehead.signum())
}

/// Mean linear light around a point; `None` outside the picture.
fn colour_at(face: &Face, point: usize) -> Option<[f32; 3]> {
    let at: Vec2 = face.landmarks_px[point].truncate();
    let reach = (REACH * face.shape.width_px).max(1.0);
    let (low, high) = (at - reach, at + reach);
    let (width, height) = (face.picture.width_px(), face.picture.height_px());
    if low.min_element() < 0.0 || high.x >= width as f32 || high.y >= height as f32 {
        return None;
    }
    let mut sum = [0.0; 3];
    let mut n = 0.0;
    for y in low.y as usize..=high.y as usize {
        for x in low.x as usize..=high.x as usize {
            let pixel = face.picture.pixel(x, y);
            for c in 0..3 {
                sum[c] += linear(pixel[c]);
            }
            n += 1.0;
        }
    }
    Some(sum.map(|sum| sum / n))
}

/// sRGB to linear light, 0..1.
fn linear(sample: u8) -> f32 {
    let v = f32::from(sample) / 255.0;
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

/// Linear light to sRGB, 0..1.
fn encoded(v: f32) -> f32 {
    if v <= 0.003_130_8 { 12.92 * v } else { 1.055 * v.min(1.0).powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_that_is_doubled_and_halved_is_the_same() {
        let mut picture = Rgb::new(16, 16);
        for (i, sample) in picture.data_mut().iter_mut().enumerate() {
            *sample = (i % 120) as u8 + 20;
        }
        let before = picture.clone();
        apply(&mut picture, [1.6, 0.8, 1.0]);
        assert!(picture.pixel(3, 0)[0] > before.pixel(3, 0)[0] && picture.pixel(3, 0)[1] < before.pixel(3, 0)[1]);
        apply(&mut picture, [1.0 / 1.6, 1.25, 1.0]);
        for (a, b) in picture.data().iter().zip(before.data()) {
            assert!(a.abs_diff(*b) <= 2, "{b} became {a}");
        }
    }
}
