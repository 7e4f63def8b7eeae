//! All faces of a photo, small ones in a large photo too.

use glam::Vec2;
use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, resize};

use crate::error::Result;
use crate::frame::Rgb;

use super::crop::Crop;
use super::detector::{Detection, overlap};
use super::tracker::{FaceTracker, box_px};
use super::{FaceObservation, landmarker};

/// A face in a photo.
#[derive(Clone, Debug)]
pub struct FoundFace {
    /// Its points, expression and pose, in pixels of the photo.
    pub observation: FaceObservation,
    /// How sure the detector is, 0..1.
    pub score: f32,
    /// The box around its points: left, top, right, bottom, in pixels of the photo. It may reach beyond the edge.
    pub box_px: [f32; 4],
}

/// Smallest tile worth a look: its network sees faces from a tenth of it on.
const MIN_TILE_PX: f32 = 192.0;
/// How much larger than its network's picture a tile may be; beyond that, samples between are never seen.
const MAX_SHRINK: f32 = 6.0;
/// The same for the crop of one face.
const MAX_FACE_SHRINK: f32 = 3.0;
/// Boxes that share so much of their union are one face.
const SAME_OVERLAP: f32 = 0.3;
/// A box is a part of another when it has its middle there and so much of its own area.
const SAME_INSIDE: f32 = 0.5;

impl FaceTracker {
    /// Finds all faces of a photo, the largest first, each once. The face that is followed is not touched.
    ///
    /// The photo is looked at as a whole, then in overlapping tiles of half its size, and when there is still no
    /// face, in tiles of a quarter and from twice as far: the detector does not see a face that fills its picture.
    ///
    /// # Errors
    /// When a network or a picture operation fails. A photo without faces is an empty list.
    pub fn find_faces(&mut self, photo: &Rgb) -> Result<Vec<FoundFace>> {
        let levels = Levels::new(photo)?;
        let size = Vec2::new(photo.width_px() as f32, photo.height_px() as f32);
        let mut seen: Vec<Detection> = Vec::new();
        let mut faces: Vec<FoundFace> = Vec::new();
        for divisor in [1.0, 2.0, 4.0, 0.5] {
            let side_px = size.max_element() / divisor;
            let is_needed = match divisor {
                1.0 => true,
                2.0 => side_px >= MIN_TILE_PX,
                0.5 => faces.is_empty(),
                _ => side_px >= MIN_TILE_PX && faces.is_empty(),
            };
            if !is_needed {
                continue;
            }
            for square in tiles(size, side_px) {
                let (picture, in_level) = levels.choose(&square, MAX_SHRINK * 128.0);
                let found: Vec<Detection> = self.detector.detect_in(picture, &in_level.crop)?.to_vec();
                for detection in found.into_iter().map(|d| in_level.detection_in_photo(d)) {
                    if seen.iter().any(|other| overlap(&other.box_px, &detection.box_px) > SAME_OVERLAP) {
                        continue;
                    }
                    seen.push(detection);
                    if let Some(face) = self.look_closer(&levels, &detection)? {
                        add(&mut faces, face);
                    }
                }
            }
        }
        faces.sort_by(|a, b| area(&b.box_px).total_cmp(&area(&a.box_px)));
        Ok(faces)
    }

    fn look_closer(&mut self, levels: &Levels<'_>, detection: &Detection) -> Result<Option<FoundFace>> {
        let (picture, in_level) = levels.choose(&detection.crop(), MAX_FACE_SHRINK * landmarker::SIZE_PX as f32);
        let mut observation = FaceObservation::default();
        if !self.look(picture, &in_level.crop, &mut observation)? {
            return Ok(None);
        }
        if in_level.scale != 1.0 {
            for point in &mut observation.landmarks_px {
                *point *= in_level.scale;
            }
            observation.frame_size_px = (levels.photo.width_px(), levels.photo.height_px());
        }
        Ok(Some(FoundFace { box_px: box_px(&observation), score: detection.score, observation }))
    }
}

/// Adds a face, unless it is one of those already there; of two sights of one face the surer stays.
fn add(faces: &mut Vec<FoundFace>, face: FoundFace) {
    let is_surer = |other: &FoundFace| face.observation.presence > other.observation.presence;
    if faces.iter().all(|other| !is_same(&other.box_px, &face.box_px) || is_surer(other)) {
        faces.retain(|other| !is_same(&other.box_px, &face.box_px));
        faces.push(face);
    }
}

/// Whether two boxes (left, top, right, bottom) are of one face: they cover each other, or one is a part of the other.
///
/// The share of the union alone says nothing of a box of eyes and mouth inside that of the whole face.
fn is_same(a: &[f32; 4], b: &[f32; 4]) -> bool {
    let (small, large) = if area(a) < area(b) { (a, b) } else { (b, a) };
    let shared = [small[0].max(large[0]), small[1].max(large[1]), small[2].min(large[2]), small[3].min(large[3])];
    let (x, y) = (0.5 * (small[0] + small[2]), 0.5 * (small[1] + small[3]));
    let has_middle = (large[0]..=large[2]).contains(&x) && (large[1]..=large[3]).contains(&y);
    overlap(a, b) > SAME_OVERLAP || (has_middle && area(&shared) >= SAME_INSIDE * area(small))
}

/// Area of a box: left, top, right, bottom.
fn area(r: &[f32; 4]) -> f32 {
    (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0)
}

/// Squares of the given side that cover a picture and overlap by half.
fn tiles(size_px: Vec2, side_px: f32) -> Vec<Crop> {
    let starts = |extent: f32| -> Vec<f32> {
        let n = ((extent - side_px) / (0.5 * side_px)).ceil().max(0.0);
        // A side shorter than the tile has it in its middle.
        if n == 0.0 {
            return vec![0.5 * (extent - side_px)];
        }
        (0..=n as usize).map(|i| (extent - side_px) * i as f32 / n).collect()
    };
    let columns = starts(size_px.x);
    let square = |x: f32, y: f32| Crop { centre_px: Vec2::new(x, y) + 0.5 * side_px, side_px, angle_rads: 0.0 };
    starts(size_px.y).into_iter().flat_map(|y| columns.iter().map(move |&x| square(x, y))).collect()
}

/// A photo at full, half, quarter … size.
struct Levels<'a> {
    photo: &'a Rgb,
    smaller: Vec<Rgb>,
}

/// A crop in a smaller copy of the photo.
struct InLevel {
    crop: Crop,
    /// Pixels of the photo in one of the copy.
    scale: f32,
}

impl InLevel {
    /// Where a point of a crop or of the detector is, which count from the middle of the first pixel.
    fn point_in_photo(&self, point_px: Vec2) -> Vec2 {
        (point_px + 0.5) * self.scale - 0.5
    }

    fn detection_in_photo(&self, detection: Detection) -> Detection {
        let [left, top, right, bottom] = detection.box_px;
        let (min, max) = (self.point_in_photo(Vec2::new(left, top)), self.point_in_photo(Vec2::new(right, bottom)));
        Detection {
            box_px: [min.x, min.y, max.x, max.y],
            points_px: detection.points_px.map(|point| self.point_in_photo(point)),
            ..detection
        }
    }
}

impl<'a> Levels<'a> {
    fn new(photo: &'a Rgb) -> Result<Self> {
        let mut smaller: Vec<Rgb> = Vec::new();
        loop {
            let last = smaller.last().unwrap_or(photo);
            let (width_px, height_px) = (last.width_px() / 2, last.height_px() / 2);
            if width_px.max(height_px) < 256 || width_px.min(height_px) == 0 {
                return Ok(Self { photo, smaller });
            }
            let mut half = Rgb::new(width_px, height_px);
            let size = Size::new(width_px as i32, height_px as i32);
            resize(&last.as_mat()?, &mut half.as_mat_mut()?, size, 0.0, 0.0, INTER_AREA)?;
            smaller.push(half);
        }
    }

    /// The largest copy in which the crop is at most `max_side_px` wide (or else the smallest), and the crop there.
    fn choose(&self, crop: &Crop, max_side_px: f32) -> (&Rgb, InLevel) {
        let (mut picture, mut scale) = (self.photo, 1.0);
        for smaller in &self.smaller {
            if crop.side_px <= max_side_px * scale {
                break;
            }
            (picture, scale) = (smaller, scale * 2.0);
        }
        let centre_px = (crop.centre_px + 0.5) / scale - 0.5;
        (picture, InLevel { crop: Crop { centre_px, side_px: crop.side_px / scale, ..*crop }, scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_picture() {
        let whole = tiles(Vec2::new(400.0, 300.0), 400.0);
        assert_eq!(whole.len(), 1);
        assert_eq!(whole[0].centre_px, Vec2::new(200.0, 150.0));
        let halves = tiles(Vec2::new(400.0, 300.0), 200.0);
        assert_eq!(halves.len(), 3 * 2);
        assert_eq!(halves[0].centre_px, Vec2::new(100.0, 100.0));
        assert_eq!(halves[5].centre_px, Vec2::new(300.0, 200.0));
    }

    #[test]
    fn a_crop_in_a_smaller_copy_is_the_same_place() {
        let photo = Rgb::new(2000, 1000);
        let levels = Levels::new(&photo).unwrap();
        let crop = Crop { centre_px: Vec2::new(700.0, 300.0), side_px: 1600.0, angle_rads: 0.3 };
        let (picture, in_level) = levels.choose(&crop, 500.0);
        assert_eq!((picture.width_px(), in_level.scale, in_level.crop.side_px), (500, 4.0, 400.0));
        assert_eq!(in_level.point_in_photo(in_level.crop.centre_px), crop.centre_px);
        let (picture, in_level) = levels.choose(&crop, 1600.0);
        assert_eq!((picture.width_px(), in_level.scale), (2000, 1.0));
    }

    #[test]
    fn a_part_of_a_face_is_that_face_and_a_neighbour_is_not() {
        let whole = [100.0, 100.0, 300.0, 340.0];
        for part in [whole, [110.0, 90.0, 310.0, 330.0], [160.0, 180.0, 240.0, 260.0], [80.0, 200.0, 190.0, 330.0]] {
            assert!(is_same(&whole, &part) && is_same(&part, &whole), "{part:?}");
        }
        // Cheek to cheek; a small one at the shoulder.
        for other in [[270.0, 120.0, 470.0, 350.0], [280.0, 320.0, 330.0, 380.0]] {
            assert!(!is_same(&whole, &other) && !is_same(&other, &whole), "{other:?}");
        }
    }

    #[test]
    fn of_two_sights_of_one_face_the_surer_stays() {
        let face = |box_px, presence| FoundFace {
            observation: FaceObservation { presence, ..FaceObservation::default() },
            score: 0.9,
            box_px,
        };
        let (whole, part, other) = ([0.0, 0.0, 200.0, 240.0], [60.0, 60.0, 140.0, 160.0], [400.0, 0.0, 600.0, 240.0]);
        for sights in [[face(whole, 0.99), face(part, 0.7)], [face(part, 0.7), face(whole, 0.99)]] {
            let mut faces = vec![face(other, 0.8)];
            sights.into_iter().for_each(|sight| add(&mut faces, sight));
            assert_eq!(faces.iter().map(|face| face.box_px).collect::<Vec<_>>(), [other, whole]);
        }
    }

    #[test]
    fn an_empty_photo_has_no_faces() {
        let mut tracker = FaceTracker::new(Default::default()).unwrap();
        assert!(tracker.find_faces(&Rgb::new(0, 0)).unwrap().is_empty());
        assert!(tracker.find_faces(&Rgb::new(1, 700)).unwrap().is_empty());
    }
}
