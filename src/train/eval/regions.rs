//! Which part of the picture a pixel belongs to: mouth, eyes, hair, the rest.

use glam::Vec2;
use opencv::core::{Point, Scalar, Vector};
use opencv::imgproc::{LINE_8, convex_hull, fill_convex_poly};

use crate::error::Result;
use crate::frame::{Grey, Rgb};
use crate::geometry::{FaceObservation, N_MESH_POINTS};
use crate::studio::landmarks::{EYE_LOWER, EYE_UPPER, LIPS_OUTER};

/// A part of the picture that is measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Region {
    /// Lips, what is between them, and a margin of an eighth of the mouth's width.
    Mouth,
    /// Both eyes with a margin of a quarter of their width, which holds lids and lashes.
    Eyes,
    /// The person outside the face's outline and above the chin: hair, ears, hats.
    Hair,
    /// Everything else: skin, neck, clothes, background.
    Rest,
}

impl Region {
    /// All regions, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Mouth, Self::Eyes, Self::Hair, Self::Rest];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mouth => "mouth",
            Self::Eyes => "eyes",
            Self::Hair => "hair",
            Self::Rest => "rest",
        }
    }
}

/// What a pixel is labelled with that no metric looks at.
const IGNORED: u8 = 255;
/// Index of the chin's lowest point.
const CHIN: usize = 152;

/// The region of each pixel of a square picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    side_px: usize,
    data: Vec<u8>,
}

impl Labels {
    /// One region everywhere.
    pub fn all(side_px: usize, region: Region) -> Self {
        Self { side_px, data: vec![region as u8; side_px * side_px] }
    }

    /// Regions of a face, by its points and the person's matte of the same size; without a face all is the rest.
    ///
    /// # Errors
    /// When a picture operation fails.
    pub fn of_face(side_px: usize, face: Option<&FaceObservation>, matte: &Grey) -> Result<Self> {
        let mut labels = Self::all(side_px, Region::Rest);
        let Some(face) = face else { return Ok(labels) };
        let points: Vec<Vec2> = face.landmarks_px[..N_MESH_POINTS].iter().map(|p| p.truncate()).collect();
        let outline = filled(side_px, &points)?;
        let chin = points[CHIN].y;
        for (i, label) in labels.data.iter_mut().enumerate() {
            let is_above_chin = ((i / side_px) as f32) < chin;
            if is_above_chin && matte.data()[i] >= 128 && outline.data()[i] == 0 {
                *label = Region::Hair as u8;
            }
        }
        for eye in 0..2 {
            let lids: Vec<Vec2> = EYE_UPPER[eye].iter().chain(&EYE_LOWER[eye]).map(|&i| points[i]).collect();
            labels.paint(Region::Eyes, &grown(&lids, 0.25))?;
        }
        let lips: Vec<Vec2> = LIPS_OUTER.iter().map(|&i| points[i]).collect();
        labels.paint(Region::Mouth, &grown(&lips, 0.125))?;
        Ok(labels)
    }

    /// Leaves a rectangle out: left, top, width, height, in 0..1 of the picture.
    pub fn ignore(&mut self, [left, top, width, height]: [f32; 4]) {
        let side = self.side_px as f32;
        let range = |from: f32, extent: f32| {
            let place = |at: f32| (at * side).clamp(0.0, side);
            place(from).floor() as usize..place(from + extent).ceil() as usize
        };
        for y in range(top, height) {
            for x in range(left, width) {
                self.data[y * self.side_px + x] = IGNORED;
            }
        }
    }

    /// Makes the made picture equal to the true one where nothing counts, so that no metric sees a difference there
    /// through its window or its network.
    pub fn restore(&self, truth: &Rgb, made: &mut Rgb) {
        let pixels = truth.data().as_chunks::<3>().0.iter().zip(made.data_mut().as_chunks_mut::<3>().0);
        for ((truth, made), _) in pixels.zip(&self.data).filter(|(_, label)| **label == IGNORED) {
            *made = *truth;
        }
    }

    /// Sets one pixel's region; `None` leaves it out.
    pub fn set(&mut self, x: usize, y: usize, region: Option<Region>) {
        self.data[y * self.side_px + x] = region.map_or(IGNORED, |region| region as u8);
    }

    /// The regions' numbers, row by row; other numbers count nowhere.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Width and height, in pixels.
    pub fn side_px(&self) -> usize {
        self.side_px
    }

    /// Whether the pixel that holds this place of the picture (0..1) counts.
    pub(super) fn counts(&self, x: f32, y: f32) -> bool {
        let place = |at: f32| ((at * self.side_px as f32) as usize).min(self.side_px - 1);
        self.data[place(y) * self.side_px + place(x)] != IGNORED
    }

    fn paint(&mut self, region: Region, points: &[Vec2]) -> Result<()> {
        let shape = filled(self.side_px, points)?;
        for (label, inside) in self.data.iter_mut().zip(shape.data()) {
            if *inside != 0 {
                *label = region as u8;
            }
        }
        Ok(())
    }
}

/// The points with a margin around each, `share` of their extent from left to right.
fn grown(points: &[Vec2], share: f32) -> Vec<Vec2> {
    let xs = points.iter().map(|p| p.x);
    let width = xs.clone().fold(f32::MIN, f32::max) - xs.fold(f32::MAX, f32::min);
    let around = (0..12).map(|i| Vec2::from_angle(i as f32 * std::f32::consts::TAU / 12.0) * share * width);
    points.iter().flat_map(|&p| around.clone().map(move |d| p + d)).collect()
}

/// The convex hull of the points, 255 inside.
fn filled(side_px: usize, points: &[Vec2]) -> Result<Grey> {
    let place = |p: &Vec2| Point::new(p.x.round() as i32, p.y.round() as i32);
    let points: Vector<Point> = points.iter().map(place).collect();
    let mut hull: Vector<Point> = Vector::new();
    convex_hull(&points, &mut hull, false, true)?;
    let mut picture = Grey::new(side_px, side_px);
    fill_convex_poly(&mut picture.as_mat_mut()?, &hull, Scalar::all(255.0), LINE_8, 0)?;
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::Vec3;

    use crate::geometry::MESH_POINTS_CM;

    #[test]
    fn regions_lie_where_the_face_has_them() {
        let side = 100;
        let mut face = FaceObservation { frame_size_px: (side, side), ..FaceObservation::default() };
        // The canonical face, 4 pixels a centimetre, in the picture's middle.
        for (point, cm) in face.landmarks_px.iter_mut().zip(MESH_POINTS_CM) {
            *point = Vec3::new(50.0 + 4.0 * cm.x, 50.0 - 4.0 * cm.y, 0.0);
        }
        let matte = Grey::from_data(side, side, vec![255; side * side]).unwrap();
        let mut labels = Labels::of_face(side, Some(&face), &matte).unwrap();
        let at = |labels: &Labels, p: Vec3| labels.data()[p.y as usize * side + p.x as usize];
        let points = &face.landmarks_px;
        for (point, region) in [
            (points[13], Region::Mouth),
            (points[61], Region::Mouth),
            (points[145], Region::Eyes),
            (points[386], Region::Eyes),
            (points[4], Region::Rest),
            (points[151], Region::Rest),
            (Vec3::new(50.0, 5.0, 0.0), Region::Hair),
            (Vec3::new(5.0, 30.0, 0.0), Region::Hair),
            (Vec3::new(5.0, 98.0, 0.0), Region::Rest),
        ] {
            assert_eq!(at(&labels, point), region as u8, "{point} is no {}", region.name());
        }
        labels.ignore([0.0, 0.75, 0.25, 0.25]);
        assert_eq!(at(&labels, Vec3::new(5.0, 98.0, 0.0)), IGNORED);
        assert!(!labels.counts(0.05, 0.98) && labels.counts(0.35, 0.98));
        assert_eq!(labels.data().iter().filter(|&&l| l == IGNORED).count(), 625);

        let nobody = Labels::of_face(side, None, &matte).unwrap();
        assert_eq!(nobody, Labels::all(side, Region::Rest));
    }
}
