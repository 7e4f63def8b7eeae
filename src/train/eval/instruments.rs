//! What measures: networks that look at faces, and those that are given as files.

use serde::Serialize;

use super::MetricFiles;
use super::perceptual::Perceptual;
use super::recognition::Recognizer;
use crate::capture::RawFrame;
use crate::error::Result;
use crate::face::{FaceTracker, Matter, TrackerOptions};
use crate::flow::DenseTracker;
use crate::frame::Rgb;
use crate::geometry::FaceObservation;
use crate::identity::Enroller;
use crate::train::features;

/// Metrics that were not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Their keys.
    pub metrics: Vec<&'static str>,
    /// Why, and what to do about it.
    pub why: String,
}

/// Opened once, used for all cases.
pub struct Instruments {
    pub(super) enroller: Enroller,
    /// Follows the driver.
    pub(super) follower: FaceTracker,
    /// Follows what the mesh does not know of the driver.
    pub(super) dense: DenseTracker,
    /// Looks at single pictures.
    finder: FaceTracker,
    pub(super) matter: Matter,
    pub(super) perceptual: Option<Perceptual>,
    pub(super) recognizer: Option<Recognizer>,
    left_out: Vec<LeftOut>,
    frame: RawFrame,
}

impl Instruments {
    /// Opens the networks; what `files` does not name is left out.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Model`] when a network or ONNX Runtime is missing, or a named file is another one.
    pub fn open(files: &MetricFiles) -> Result<Self> {
        let tracker = || FaceTracker::new(TrackerOptions { n_threads: 2, ..TrackerOptions::default() });
        let mut left_out = Vec::new();
        if files.features.is_none() {
            let why = format!(
                "needs MobileNetV2's ImageNet weights: download torchvision's {} and name it with --features FILE",
                features::FILE_NAME
            );
            left_out.push(LeftOut {
                metrics: vec!["mobilenet_distance", "frechet", "fvd_like", "class_score", "class_score_truth"],
                why,
            });
        }
        if files.recognition.is_none() {
            let why = "needs dlib's 128-d face recognition network as ONNX (150×150 RGB in 0..255, as \
                       @vladmandic/face-api 1.7 ships it, converted): name it with --recognition FILE"
                .to_owned();
            left_out.push(LeftOut { metrics: vec!["identity"], why });
        }
        Ok(Self {
            perceptual: files.features.as_deref().map(Perceptual::load).transpose()?,
            recognizer: files.recognition.as_deref().map(Recognizer::open).transpose()?,
            enroller: Enroller::new()?,
            follower: tracker()?,
            dense: DenseTracker::new()?,
            finder: tracker()?,
            matter: Matter::new(2)?,
            left_out,
            frame: RawFrame::default(),
        })
    }

    /// Metrics that will not be measured.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Finds the face of one picture by itself: what came before plays no part, so that equal pictures have equal
    /// faces.
    pub(super) fn find_face(&mut self, picture: &Rgb) -> Result<Option<FaceObservation>> {
        self.frame.set_picture(picture);
        let mut face = FaceObservation::default();
        self.finder.reset();
        Ok(self.finder.observe(&self.frame, &mut face)?.then_some(face))
    }
}
