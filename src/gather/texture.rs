//! What a face looks like, freed from its shape, its light and its size: to tell one person's from another's.

use glam::Vec3;
use opencv::core::{CV_32F, Mat, MatTraitConst as _, Size, extract_channel, multiply_def, subtract_def};
use opencv::imgproc::{COLOR_RGB2Lab, INTER_AREA, INTER_LINEAR, cvt_color_def, gaussian_blur_def, resize};

use crate::error::Result;
use crate::frame::Rgb;
use crate::geometry::{FaceShape, Landmarks, MESH_TRIANGLES, N_MESH_TRIANGLES};

/// The eyes' outer corners are so far apart in the picture that is compared, in pixels.
const EYES_PX: f32 = 60.0;
/// What is finer than the first (noise, a codec) and coarser than the second (light) does not count, in its pixels.
const FINE: f64 = 1.5;
const COARSE: f64 = 12.0;
/// A place counts where it looks at the camera so much (cosine) in both pictures.
const LEAST_FACING: f32 = 0.35;
/// Fewer places that both show tell nothing.
const LEAST_PLACES: usize = 100;
/// Contrast that is noise, in levels of lightness.
const NOISE: f32 = 2.0;

/// A face by the triangles of its mesh: light against its surroundings, and whether it is seen.
pub(super) struct Texture {
    values: Vec<f32>,
    facing: Vec<f32>,
}

impl Texture {
    /// Reads the face whose points are in pixels of `picture`.
    ///
    /// # Errors
    /// When a picture operation fails.
    pub(super) fn new(picture: &Rgb, landmarks_px: &Landmarks, shape: &FaceShape) -> Result<Self> {
        let apart_px = landmarks_px[33].truncate().distance(landmarks_px[263].truncate()).max(1.0);
        let scale = EYES_PX / apart_px;
        let side = |px: usize| ((px as f32 * scale).round() as i32).clamp(16, 8192);
        let (mut lab, mut lightness, mut small, mut exact) =
            (Mat::default(), Mat::default(), Mat::default(), Mat::default());
        cvt_color_def(&picture.as_mat()?, &mut lab, COLOR_RGB2Lab)?;
        extract_channel(&lab, &mut lightness, 0)?;
        let method = if scale < 1.0 { INTER_AREA } else { INTER_LINEAR };
        let size = Size::new(side(picture.width_px()), side(picture.height_px()));
        resize(&lightness, &mut small, size, 0.0, 0.0, method)?;
        small.convert_to(&mut exact, CV_32F, 1.0, 0.0)?;
        let blurred = |from: &Mat, sigma: f64| -> Result<Mat> {
            let mut to = Mat::default();
            gaussian_blur_def(from, &mut to, Size::default(), sigma)?;
            Ok(to)
        };
        let (mut detail, mut square) = (Mat::default(), Mat::default());
        subtract_def(&blurred(&exact, FINE)?, &blurred(&exact, COARSE)?, &mut detail)?;
        multiply_def(&detail, &detail, &mut square)?;
        let energy = blurred(&square, COARSE)?;
        let values = MESH_TRIANGLES.iter().map(|triangle| {
            let middle = triangle.map(|i| landmarks_px[usize::from(i)]).iter().sum::<Vec3>() / 3.0 * scale;
            let (x, y) = ((middle.x as i32).clamp(0, size.width - 1), (middle.y as i32).clamp(0, size.height - 1));
            let detail = *detail.at_2d::<f32>(y, x)?;
            Ok(detail / (energy.at_2d::<f32>(y, x)?.max(0.0).sqrt() + NOISE))
        });
        Ok(Self { values: values.collect::<Result<_>>()?, facing: facing(shape) })
    }

    /// How alike two faces look, -1..1: the correlation over what both show; `None` where that is too little.
    pub(super) fn likeness(&self, other: &Self) -> Option<f32> {
        let seen: Vec<usize> =
            (0..N_MESH_TRIANGLES).filter(|&i| self.facing[i].min(other.facing[i]) > LEAST_FACING).collect();
        if seen.len() < LEAST_PLACES {
            return None;
        }
        let mean = |values: &[f32]| seen.iter().map(|&i| values[i]).sum::<f32>() / seen.len() as f32;
        let (mean_a, mean_b) = (mean(&self.values), mean(&other.values));
        let (mut both, mut own, mut others) = (0.0, 0.0, 0.0);
        for &i in &seen {
            let (a, b) = (self.values[i] - mean_a, other.values[i] - mean_b);
            both += a * b;
            own += a * a;
            others += b * b;
        }
        Some(both / (own * others).sqrt().max(1e-9))
    }
}

/// For each triangle, how much it looks at the camera: cosine.
fn facing(shape: &FaceShape) -> Vec<f32> {
    /// In the middle of the forehead, which looks at the camera whenever a face is seen.
    const FOREHEAD: [u16; 2] = [9, 151];
    let normals: Vec<f32> = MESH_TRIANGLES
        .iter()
        .map(|triangle| {
            let [a, b, c] = triangle.map(|i| shape.rotation * shape.points[usize::from(i)]);
            (b - a).cross(c - a).normalize_or_zero().z
        })
        .collect();
    let of_forehead = MESH_TRIANGLES.iter().zip(&normals).filter(|(t, _)| FOREHEAD.iter().any(|i| t.contains(i)));
    let sign = of_forehead.map(|(_, z)| z).sum::<f32>().signum();
    normals.into_iter().map(|z| z * sign).collect()
}
