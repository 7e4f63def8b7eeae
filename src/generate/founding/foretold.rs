//! The generator of a founding family that nobody drives: it makes a clip of the photo, which plays there and back.

use std::sync::Arc;

use super::network::Network;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::generate::canvas::{Canvas, planes_of};
use crate::generate::family::foretelling::{self, RATE_HZ};
use crate::generate::family::{Family, Kind, values_of};
use crate::generate::{Generator, Portrait};
use crate::identity::Identity;
use crate::signal::DrivingSignal;

/// Seconds between pictures where nobody says when they are of.
const STEP_SECS: f64 = 1.0 / 30.0;

/// Plays a clip of the adopted photo.
pub(super) struct ForetoldGenerator {
    kind: Kind,
    size_px: usize,
    stages: Vec<Network>,
    shown: Option<Arc<Identity>>,
    /// The clip, frame after frame in planes.
    clip: Vec<f32>,
    /// When the clip began, and now.
    begun: Option<Timestamp>,
    since_secs: f64,
    is_timed: bool,
    canvas: Canvas,
}

impl ForetoldGenerator {
    /// Makes a generator of square pictures of `size_px` pixels.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when ONNX Runtime is missing.
    pub(super) fn new(family: &Family, size_px: usize) -> Result<Self> {
        let mut stages = Vec::new();
        for (plan, tensors) in family.stages()? {
            let mut network = Network::new(plan.clone())?;
            network.adopt(values_of(&tensors, &plan)?)?;
            stages.push(network);
        }
        Ok(Self {
            kind: family.kind(),
            size_px: family.size_px(),
            stages,
            shown: None,
            clip: Vec::new(),
            begun: None,
            since_secs: 0.0,
            is_timed: false,
            canvas: Canvas::new(family.size_px(), size_px),
        })
    }

    /// Which frame is shown: to the last one and back again.
    fn frame(&self) -> usize {
        let last = foretelling::n_frames(self.kind) - 1;
        let at = (self.since_secs * RATE_HZ).round() as usize % (2 * last);
        at.min(2 * last - at)
    }
}

impl Generator for ForetoldGenerator {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn backend(&self) -> &str {
        "cpu"
    }

    fn adopt(&mut self, identity: Arc<Identity>) -> Result<()> {
        if self.shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, &identity)) {
            return Ok(());
        }
        let mut outputs = vec![planes_of(&identity.portrait, self.size_px)?];
        for stage in &mut self.stages {
            outputs = stage.answer(&outputs[0])?;
        }
        self.clip = foretelling::clip(self.kind, &outputs);
        (self.begun, self.since_secs, self.is_timed) = (None, 0.0, false);
        self.canvas.adopt(&identity)?;
        self.shown = Some(identity);
        Ok(())
    }

    fn set_time(&mut self, now: Timestamp) {
        let begun = *self.begun.get_or_insert(now);
        (self.since_secs, self.is_timed) = (now.since(begun).as_secs_f64(), true);
    }

    fn generate(&mut self, _: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        let each = 3 * self.size_px * self.size_px;
        let Some(frame) = self.clip.chunks_exact(each).nth(self.frame()) else {
            return Err(Error::new(ErrorKind::Internal, "asked for a picture before an identity was adopted"));
        };
        self.canvas.paint(frame, portrait)?;
        if !self.is_timed {
            self.since_secs += STEP_SECS;
        }
        Ok(())
    }
}
