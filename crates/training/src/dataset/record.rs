//! What stands in a clip's files.

use std::path::Path;

use glam::{Mat3, Vec3};
use serde::{Deserialize, Serialize};

use super::{Frame, Kind, Truth};
use effigy_base::error::{ErrorKind, OrError as _, Result};
use effigy_base::geometry::{FaceObservation, HeadPose, Landmarks, N_LANDMARKS};

/// `clip.json`: everything about a clip that is not about one frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipInfo {
    /// Unique in the data set.
    pub name: String,
    /// Who is seen.
    pub person: String,
    /// Class of rights.
    pub rights: String,
    /// What it is.
    pub kind: Kind,
    /// Unit of the frames' index, frames a second; 0 where they are instants without order.
    pub fps: f32,
    /// Where it came from: the manifest's name of it, or the file's name.
    pub file: String,
    /// A digest of what it was made of: another file of the same name is told apart by it. `None` where that could not be
    /// read, or nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Rate that the file states; `None` for photos and rendered instants.
    pub source_rate_hz: Option<f64>,
    /// Pictures that the file holds.
    pub n_source_frames: u64,
    /// Pictures that were kept.
    pub n_frames: u64,
    /// The square that was cut out: left, top, side in pixels of the file.
    pub crop_px: Option<[f32; 3]>,
    /// A part that is not the person's: left, top, width, height in stored pixels.
    pub ignore_px: Option<[u32; 4]>,
    /// What a rendered clip was made from.
    pub seeds: Option<Seeds>,
    /// Pictures that were left out, and why.
    pub dropped: Vec<DropCount>,
    /// Why nothing of the clip was taken; `None` when it was.
    pub rejected: Option<String>,
}

/// Pictures that were left out for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DropCount {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// Which: first and last, counted from 0 in the file.
    pub ranges: Vec<[u64; 2]>,
}

/// What a rendered clip was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeds {
    /// Seed of the person.
    pub person: u64,
    /// Seed of light, background, camera, clothes.
    pub scene: u64,
    /// Seed of what the face does.
    pub motion: u64,
}

/// One line of `frames.jsonl`; lengths in stored pixels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrameRecord {
    /// Time in units of the clip's rate.
    pub index: u64,
    /// Number of the picture in the file it came from.
    pub source_frame: u64,
    /// Offset and length in `pictures.bin`.
    pub picture: [u64; 2],
    /// Offset and length in `mattes.bin`.
    pub matte: [u64; 2],
    /// Offset and length in `flow.bin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<[u64; 2]>,
    /// How sure the tracker is, 0..1.
    pub presence: f32,
    /// Rotation from head to camera by columns.
    pub camera_from_head: [f32; 9],
    /// The head's place in the camera's axes.
    pub translation_cm: [f32; 3],
    /// 52 coefficients.
    pub coefficients: Vec<f32>,
    /// x, y, z of 478 points, one after the other.
    pub landmarks_px: Vec<f32>,
    /// What is true; of rendered frames only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<TruthRecord>,
}

/// What is true of a rendered frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TruthRecord {
    /// Rotation from head to camera by columns.
    pub camera_from_head: [f32; 9],
    /// The head's place in the camera's axes.
    pub translation_cm: [f32; 3],
    /// 52 coefficients.
    pub coefficients: Vec<f32>,
    /// x, y, z of 478 points, one after the other.
    pub landmarks_px: Vec<f32>,
}

impl ClipInfo {
    /// Reads a clip's `clip.json`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it is missing or torn.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("clip.json");
        let about = || format!("cannot read {}; delete its folder and prepare again", path.display());
        let text = std::fs::read_to_string(&path).or_error(ErrorKind::Io, about)?;
        serde_json::from_str(&text).or_error(ErrorKind::Io, about)
    }
}

impl FrameRecord {
    /// The line of what the tracker saw; where its pictures lie is filled in by the writer.
    pub fn new(index: u64, source_frame: u64, seen: &FaceObservation) -> Self {
        Self {
            index,
            source_frame,
            picture: [0; 2],
            matte: [0; 2],
            flow: None,
            presence: round(seen.presence, 1e4),
            camera_from_head: seen.pose.camera_from_head.to_cols_array(),
            translation_cm: seen.pose.translation_cm.to_array().map(|v| round(v, 1e4)),
            coefficients: seen.coefficients.iter().map(|v| round(*v, 1e4)).collect(),
            landmarks_px: flat(&seen.landmarks_px),
            truth: None,
        }
    }

    /// The frame that the line tells of; `None` when it does not have as many numbers as it should.
    pub(super) fn into_frame(self) -> Option<Frame> {
        let truth = match self.truth {
            None => None,
            Some(truth) => Some(Box::new(Truth {
                landmarks_px: *points(&truth.landmarks_px)?,
                coefficients: truth.coefficients.try_into().ok()?,
                pose: pose(&truth.camera_from_head, truth.translation_cm),
            })),
        };
        Some(Frame {
            index: self.index,
            landmarks_px: points(&self.landmarks_px)?,
            pose: pose(&self.camera_from_head, self.translation_cm),
            coefficients: self.coefficients.try_into().ok()?,
            presence: self.presence,
            weight: 1.0,
            truth,
            picture: self.picture,
            matte: self.matte,
            flow: self.flow,
        })
    }
}

/// Points as numbers, to a hundredth of a pixel.
pub(super) fn flat(landmarks_px: &Landmarks) -> Vec<f32> {
    landmarks_px.iter().flat_map(|p| p.to_array()).map(|v| round(v, 100.0)).collect()
}

fn round(value: f32, steps: f32) -> f32 {
    (value * steps).round() / steps
}

fn points(flat: &[f32]) -> Option<Box<Landmarks>> {
    let (points, rest) = flat.as_chunks::<3>();
    if points.len() != N_LANDMARKS || !rest.is_empty() {
        return None;
    }
    Some(Box::new(std::array::from_fn(|i| Vec3::from_array(points[i]))))
}

fn pose(camera_from_head: &[f32; 9], translation_cm: [f32; 3]) -> HeadPose {
    HeadPose {
        camera_from_head: Mat3::from_cols_array(camera_from_head),
        translation_cm: Vec3::from_array(translation_cm),
    }
}

impl TruthRecord {
    /// The line of a truth.
    pub fn new(truth: &Truth) -> Self {
        Self {
            camera_from_head: truth.pose.camera_from_head.to_cols_array(),
            translation_cm: truth.pose.translation_cm.to_array(),
            coefficients: truth.coefficients.to_vec(),
            landmarks_px: flat(&truth.landmarks_px),
        }
    }
}
