//! Numbers of a portrait: light, sharpness, pose, expression, and what is cut off or covered.

use glam::{Vec2, Vec3};
use opencv::core::{CV_32F, Mat, Point, Scalar, Size, Vector};
use opencv::imgproc::{
    COLOR_RGB2GRAY, INTER_AREA, INTER_LINEAR, LINE_8, cvt_color_def, fill_poly, gaussian_blur_def, resize,
};
use opencv::prelude::*;

use super::framing::Crop;
use crate::error::Result;
use crate::frame::{Grey, Rgb};
use crate::geometry::{FACE_OVAL, FaceObservation};

/// Places that are skin on every face, to the left and to the right: brow, temple, cheeks, jaw.
const SKIN_PAIRS: [[usize; 2]; 7] = [[108, 337], [69, 299], [117, 346], [50, 280], [205, 425], [187, 411], [207, 427]];
/// The same in the middle: forehead, nose, chin.
const SKIN_MIDDLE: [usize; 5] = [151, 9, 5, 4, 199];
/// Radius of such a place, in face heights.
const PLACE_RADIUS: f32 = 0.025;
/// Sharpness is measured on a face of this height, in pixels.
const SHARPNESS_FACE_PX: f32 = 200.0;

/// What was measured of a photo's face.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct PhotoMeasures {
    /// Height of the face from forehead to chin, in pixels of the photo.
    pub face_px: f32,
    /// How far the head is turned to the side, to the picture's right, in degrees.
    pub yaw_degrees: f32,
    /// How far it looks up, in degrees.
    pub pitch_degrees: f32,
    /// How far it is tilted, clockwise in the picture, in degrees.
    pub roll_degrees: f32,
    /// The gap between the lips, in widths of the mouth.
    pub mouth_opening: f32,
    /// Height of the narrower eye, in widths of the eye.
    pub eye_opening: f32,
    /// Of the pixels of the face a tenth are brighter, 0..255.
    pub brightness: f32,
    /// Share of the face's pixels that are burnt out, 0..1.
    pub burnt_share: f32,
    /// Share of the face's detail that is fine, by energy.
    pub sharpness: f32,
    /// How much brighter one side of the face is than the other, in stops (doublings of light).
    pub side_light_stops: f32,
    /// Share of the photo's upper border above the face that is person, 0..1: hair that is cut off.
    pub hair_cut_share: f32,
    /// Room between the face and the photo's nearest border, in face heights; negative when the face is cut.
    pub room: f32,
    /// How much the face differs from itself in the mirror, in face heights: what is guessed because it is covered.
    pub mirror_error: f32,
    /// How far the skin of one place differs in colour from that of the others.
    pub skin_difference: f32,
    /// Share of the face that does not belong to the person, 0..1: something held in front of it.
    pub foreign_share: f32,
}

/// Measures a portrait.
///
/// # Shapes
/// portrait (s, s, 3); matte (s, s, 1): 255 is person.
pub(super) fn measure(
    portrait: &Rgb,
    matte: &Grey,
    face: &FaceObservation,
    face_px: f32,
    crop: Crop,
    photo: &Rgb,
) -> Result<PhotoMeasures> {
    let points = &face.landmarks_px;
    let (min, max) = points.iter().fold((Vec2::INFINITY, Vec2::NEG_INFINITY), |(min, max), p: &Vec3| {
        (min.min(p.truncate()), max.max(p.truncate()))
    });
    let height = (max.y - min.y).max(1.0);
    let [yaw, pitch, roll] = face.pose.yaw_pitch_roll_rads().map(f32::to_degrees);
    let distance = |a: usize, b: usize| points[a].truncate().distance(points[b].truncate()).max(1e-3);
    let eyes =
        [[159, 145, 33, 133], [386, 374, 362, 263]].map(|[top, bottom, a, b]| distance(top, bottom) / distance(a, b));

    let outline = outline_mask(portrait, points)?;
    let mut lumas: Vec<f32> = Vec::new();
    let (mut n_face, mut n_burnt, mut n_foreign) = (0_u32, 0_u32, 0_u32);
    for ((pixel, person), _) in portrait
        .data()
        .as_chunks::<3>()
        .0
        .iter()
        .zip(matte.data())
        .zip(outline.data())
        .filter(|(_, inside)| **inside > 0)
    {
        lumas.push(luma(pixel.map(f32::from)));
        n_face += 1;
        n_burnt += u32::from(pixel.iter().all(|value| *value >= 250));
        n_foreign += u32::from(*person < 128);
    }
    let share = |n: u32| n as f32 / n_face.max(1) as f32;
    let place = |i: usize| place_colour(portrait, points[i].truncate(), PLACE_RADIUS * height);

    let photo_size = Vec2::new(photo.width_px() as f32, photo.height_px() as f32);
    let size = portrait.width_px();
    let (photo_min, photo_max) = (crop.to_portrait(Vec2::ZERO, size), crop.to_portrait(photo_size, size));
    let room = (photo_max.y - max.y).min(min.x - photo_min.x).min(photo_max.x - max.x).min(min.y - photo_min.y);
    Ok(PhotoMeasures {
        face_px,
        yaw_degrees: yaw,
        pitch_degrees: pitch,
        roll_degrees: roll,
        mouth_opening: distance(13, 14) / distance(61, 291),
        eye_opening: eyes[0].min(eyes[1]),
        brightness: percentile(&mut lumas, 0.9),
        burnt_share: share(n_burnt),
        sharpness: sharpness(portrait, min, max)?,
        side_light_stops: side_light(place),
        hair_cut_share: hair_cut(matte, photo_min.y, min.x, max.x),
        room: room / height,
        mirror_error: 0.0,
        skin_difference: skin_difference(place),
        foreign_share: share(n_foreign),
    })
}

/// Makes a face person in a matte that takes it for background, as happens where a photo shows little else.
pub(super) fn keep_face(portrait: &Rgb, matte: &mut Grey, face: &FaceObservation) -> Result<()> {
    let hard = outline_mask(portrait, &face.landmarks_px)?;
    let mut soft = Grey::new(hard.width_px(), hard.height_px());
    let sigma = hard.width_px() as f64 / 128.0;
    gaussian_blur_def(&hard.as_mat()?, &mut soft.as_mat_mut()?, Size::default(), sigma)?;
    for (person, face) in matte.data_mut().iter_mut().zip(soft.data()) {
        *person = (*person).max(*face);
    }
    Ok(())
}

/// How bright a colour looks, in its own unit.
fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

fn percentile(values: &mut [f32], share: f32) -> f32 {
    values.sort_unstable_by(f32::total_cmp);
    let at = (values.len() as f32 * share) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

/// 255 inside the face's outline.
fn outline_mask(portrait: &Rgb, points: &crate::geometry::Landmarks) -> Result<Grey> {
    let mut mask = Grey::new(portrait.width_px(), portrait.height_px());
    let polygon: Vector<Point> =
        FACE_OVAL.iter().map(|&i| Point::new(points[i].x as i32, points[i].y as i32)).collect();
    let polygons = Vector::<Vector<Point>>::from_iter([polygon]);
    fill_poly(&mut mask.as_mat_mut()?, &polygons, Scalar::all(255.0), LINE_8, 0, Point::default())?;
    Ok(mask)
}

/// The mean colour of a round place; none beyond the picture.
fn place_colour(picture: &Rgb, centre: Vec2, radius: f32) -> Option<[f32; 3]> {
    let radius = radius.max(1.0);
    let (mut sum, mut n) = ([0.0; 3], 0.0);
    let span = |middle: f32, length: usize| {
        let low = (middle - radius).floor().max(0.0) as usize;
        low..((middle + radius).ceil().max(0.0) as usize).min(length)
    };
    for y in span(centre.y, picture.height_px()) {
        for x in span(centre.x, picture.width_px()) {
            if Vec2::new(x as f32 + 0.5, y as f32 + 0.5).distance(centre) <= radius {
                sum = std::array::from_fn(|c| sum[c] + f32::from(picture.pixel(x, y)[c]));
                n += 1.0;
            }
        }
    }
    (n > 0.0).then(|| sum.map(|value| value / n))
}

/// How much brighter one side of the face is, in stops.
fn side_light(place: impl Fn(usize) -> Option<[f32; 3]>) -> f32 {
    // Light adds up and numbers do not: they follow the curve of displays, about a square.
    let light = |colour: [f32; 3]| luma(colour.map(|value| (value / 255.0).powf(2.2)));
    let mut sums = [0.0; 2];
    for pair in SKIN_PAIRS {
        if let [Some(left), Some(right)] = pair.map(&place) {
            sums = [sums[0] + light(left), sums[1] + light(right)];
        }
    }
    // Black is never quite black.
    ((sums[0] + 0.01) / (sums[1] + 0.01)).log2().abs()
}

/// How far the worst place of skin is from the middle of all, in colour without brightness: shares of red and green.
fn skin_difference(place: impl Fn(usize) -> Option<[f32; 3]>) -> f32 {
    let colours: Vec<Vec2> = SKIN_PAIRS
        .into_iter()
        .flatten()
        .chain(SKIN_MIDDLE)
        .filter_map(place)
        .map(|[r, g, b]| Vec2::new(r + 4.0, g + 4.0) / (r + g + b + 12.0))
        .collect();
    let median = |of: fn(&Vec2) -> f32| percentile(&mut colours.iter().map(of).collect::<Vec<_>>(), 0.5);
    let middle = Vec2::new(median(|c| c.x), median(|c| c.y));
    colours.iter().map(|colour| colour.distance(middle)).fold(0.0, f32::max)
}

/// Share of the photo's upper border above the face that is person.
fn hair_cut(matte: &Grey, border_y: f32, left: f32, right: f32) -> f32 {
    let (width, height) = (matte.width_px(), matte.height_px());
    // The portrait ends before the photo does.
    if border_y < -1.0 {
        return 0.0;
    }
    // A little below the border: the matte's edge is soft.
    let y = (border_y.max(0.0) as usize + height / 128).min(height - 1);
    let columns = (left.max(0.0) as usize).min(width)..(right.max(0.0) as usize).min(width);
    let n = columns.len().max(1);
    matte.row(y)[columns].iter().filter(|value| **value >= 128).count() as f32 / n as f32
}

/// Fine detail of a face over all detail: energy of what a blur of one pixel takes over that of what one of six takes.
fn sharpness(portrait: &Rgb, min: Vec2, max: Vec2) -> Result<f32> {
    let scale = SHARPNESS_FACE_PX / (max.y - min.y).max(1.0);
    let side = (portrait.width_px() as f32 * scale).round().max(8.0) as i32;
    let (mut small, mut grey, mut real) = (Mat::default(), Mat::default(), Mat::default());
    let method = if scale < 1.0 { INTER_AREA } else { INTER_LINEAR };
    resize(&portrait.as_mat()?, &mut small, Size::new(side, side), 0.0, 0.0, method)?;
    cvt_color_def(&small, &mut grey, COLOR_RGB2GRAY)?;
    grey.convert_to(&mut real, CV_32F, 1.0, 0.0)?;
    let blurred = |sigma: f64| -> Result<Mat> {
        let mut out = Mat::default();
        gaussian_blur_def(&real, &mut out, Size::default(), sigma)?;
        Ok(out)
    };
    let (fine, coarse) = (blurred(1.0)?, blurred(6.0)?);
    let span = |low: f32, high: f32| ((low * scale).max(0.0) as i32)..((high * scale) as i32).min(side);
    let (mut fine_energy, mut coarse_energy) = (0.0_f64, 0.0_f64);
    for y in span(min.y, max.y) {
        for x in span(min.x, max.x) {
            let at = |mat: &Mat| mat.at_2d::<f32>(y, x).map(|value| f64::from(*value));
            let (real, fine, coarse) = (at(&real)?, at(&fine)?, at(&coarse)?);
            fine_energy += (real - fine).powi(2);
            coarse_energy += (real - coarse).powi(2);
        }
    }
    Ok((fine_energy / coarse_energy.max(1.0)) as f32)
}
