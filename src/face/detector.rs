//! Faces in a picture: a box and six points each.

use glam::Vec2;

use crate::error::Result;
use crate::frame::Rgb;
use crate::models::Model;
use crate::onnx::Session;

use super::crop::{Crop, Cropper};

/// Width and height of the network's picture.
const SIZE_PX: usize = 128;
/// Cells a side and anchors a cell, coarse to fine in the order of the network's rows.
const GRIDS: [(usize, usize); 2] = [(16, 2), (8, 6)];
const N_ANCHORS: usize = 896;
/// Centre, size and six points.
const N_VALUES: usize = 16;
/// A face is what the network is at least so sure of.
const MIN_SCORE: f32 = 0.5;
/// Boxes that share at least so much of their union are the same face.
const MIN_OVERLAP: f32 = 0.3;

/// A face found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Detection {
    /// How sure the network is, 0..1.
    pub(super) score: f32,
    /// Left, top, right, bottom, in pixels of the picture.
    pub(super) box_px: [f32; 4],
    /// Right eye, left eye (of the person), nose tip, mouth, right ear, left ear, in pixels of the picture.
    pub(super) points_px: [Vec2; 6],
}

impl Detection {
    /// The square that the landmark network looks at.
    pub(super) fn crop(&self) -> Crop {
        let [left, top, right, bottom] = self.box_px;
        Crop::around(Vec2::new(left, top), Vec2::new(right, bottom), self.points_px[0], self.points_px[1])
    }
}

/// The detector: sees faces from about a tenth of the picture's longer side on.
#[derive(Debug)]
pub(super) struct Detector {
    session: Session,
    cropper: Cropper,
    candidates: Vec<Detection>,
    found: Vec<Detection>,
}

impl Detector {
    pub(super) fn new(n_threads: usize) -> Result<Self> {
        Ok(Self {
            session: Model::FaceDetector.open(n_threads)?,
            cropper: Cropper::new(SIZE_PX)?,
            candidates: Vec::with_capacity(N_ANCHORS),
            found: Vec::with_capacity(N_ANCHORS),
        })
    }

    /// Finds the faces in the picture, the surest first.
    pub(super) fn detect(&mut self, picture: &Rgb) -> Result<&[Detection]> {
        let size = Vec2::new(picture.width_px() as f32, picture.height_px() as f32);
        self.detect_in(picture, &Crop { centre_px: size * 0.5, side_px: size.max_element(), angle_rads: 0.0 })
    }

    /// Finds the faces in an upright square of the picture, the surest first.
    pub(super) fn detect_in(&mut self, picture: &Rgb, square: &Crop) -> Result<&[Detection]> {
        if !square.is_usable() || picture.data().is_empty() {
            return Ok(&[]);
        }
        self.cropper.cut(picture, square, 1.0 / 127.5, -1.0, self.session.input_mut(0))?;
        self.session.run()?;
        decode(self.session.output(0), self.session.output(1), square, &mut self.candidates);
        merge(&mut self.candidates, &mut self.found);
        Ok(&self.found)
    }
}

/// Turns the network's rows into faces of the picture, all those that are sure enough.
fn decode(rows: &[f32], scores: &[f32], square: &Crop, out: &mut Vec<Detection>) {
    out.clear();
    let anchors = GRIDS.iter().flat_map(|&(n, each)| {
        (0..n * n * each).map(move |i| {
            let cell = i / each;
            Vec2::new((cell % n) as f32 + 0.5, (cell / n) as f32 + 0.5) / n as f32
        })
    });
    for ((row, &score), anchor) in rows.chunks_exact(N_VALUES).zip(scores).zip(anchors) {
        let score = 1.0 / (1.0 + (-score).exp());
        if score.is_nan() || score < MIN_SCORE {
            continue;
        }
        let at = |k: usize| square.frame_from_crop(anchor + Vec2::new(row[k], row[k + 1]) / SIZE_PX as f32);
        let (centre, half) = (at(0), Vec2::new(row[2], row[3]) * (0.5 * square.side_px / SIZE_PX as f32));
        out.push(Detection {
            score,
            box_px: [centre.x - half.x, centre.y - half.y, centre.x + half.x, centre.y + half.y],
            points_px: std::array::from_fn(|k| at(4 + 2 * k)),
        });
    }
}

/// Merges boxes of the same face: the mean of those that overlap the surest, weighted by score.
fn merge(candidates: &mut Vec<Detection>, out: &mut Vec<Detection>) {
    out.clear();
    candidates.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
    while let Some(&best) = candidates.first() {
        let mut sum = Detection { score: 0.0, box_px: [0.0; 4], points_px: [Vec2::ZERO; 6] };
        let mut is_best = true;
        candidates.retain(|other| {
            // The first is the best itself; its overlap is no number when its box is not.
            if !std::mem::take(&mut is_best) && overlap(&best.box_px, &other.box_px) <= MIN_OVERLAP {
                return true;
            }
            sum.score += other.score;
            for (sum, value) in sum.box_px.iter_mut().zip(other.box_px) {
                *sum += value * other.score;
            }
            for (sum, value) in sum.points_px.iter_mut().zip(other.points_px) {
                *sum += value * other.score;
            }
            false
        });
        out.push(Detection {
            score: best.score,
            box_px: sum.box_px.map(|value| value / sum.score),
            points_px: sum.points_px.map(|value| value / sum.score),
        });
    }
}

/// Area shared by two boxes (left, top, right, bottom) over the area of both together, 0..1.
pub(super) fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |r: &[f32; 4]| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let shared = area(&[a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let all = area(a) + area(b) - shared;
    if all > 0.0 { shared / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(score: f32, x: f32) -> Detection {
        Detection { score, box_px: [x, 0.0, x + 10.0, 10.0], points_px: [Vec2::new(x, 0.0); 6] }
    }

    #[test]
    fn boxes_of_one_face_merge_and_others_stay() {
        let mut candidates = vec![detection(0.6, 2.0), detection(0.9, 0.0), detection(0.7, 50.0)];
        let mut found = Vec::new();
        merge(&mut candidates, &mut found);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].score, 0.9);
        assert!((found[0].box_px[0] - 0.8).abs() < 1e-6, "(0.6 * 2 + 0.9 * 0) / 1.5");
        assert_eq!(found[1].box_px[0], 50.0);
    }

    #[test]
    fn a_box_that_is_not_a_number_ends_the_merge_too() {
        let mut candidates = vec![detection(0.9, f32::NAN), detection(0.8, 0.0)];
        let mut found = Vec::new();
        merge(&mut candidates, &mut found);
        assert!(candidates.is_empty());
    }

    #[test]
    fn every_anchor_has_a_row() {
        assert_eq!(GRIDS.iter().map(|(n, each)| n * n * each).sum::<usize>(), N_ANCHORS);
        let square = Crop { centre_px: Vec2::splat(64.0), side_px: 128.0, angle_rads: 0.0 };
        let (rows, mut scores) = (vec![0.0; N_ANCHORS * N_VALUES], vec![-9.0; N_ANCHORS]);
        (scores[0], scores[N_ANCHORS - 1]) = (9.0, 9.0);
        let mut out = Vec::new();
        decode(&rows, &scores, &square, &mut out);
        assert_eq!(out[0].points_px[0], Vec2::splat(4.0));
        assert_eq!(out[1].points_px[0], Vec2::splat(120.0));
    }

    #[test]
    fn nothing_is_found_on_a_wall_or_without_a_picture() {
        let data = (0..64 * 48).flat_map(|i| [(i % 64 * 3) as u8, (i / 64 * 4) as u8, 90]).collect();
        let mut detector = Detector::new(1).unwrap();
        assert_eq!(detector.detect(&Rgb::from_data(64, 48, data).unwrap()).unwrap(), []);
        assert_eq!(detector.detect(&Rgb::new(0, 48)).unwrap(), []);
    }
}
