//! What a generator that is driven by a latent is told of the driver.

use crate::capture::RawFrame;
use crate::error::Result;
use crate::generate::Generator;
use crate::geometry::FaceObservation;
use crate::latents::LatentEncoder;
use crate::signal::{DriverLatent, DrivingSignal, LatentMotion};

/// The encoder of one contender, and what it saw where the portrait is from.
pub(super) struct Eye {
    encoder: LatentEncoder,
    rest: DriverLatent,
    now: DriverLatent,
}

impl Eye {
    /// That of a generator, if it is driven by a latent.
    pub(super) fn of(generator: &dyn Generator) -> Result<Option<Self>> {
        let encoder = LatentEncoder::of(generator)?;
        Ok(encoder.map(|encoder| Self { encoder, rest: DriverLatent::NONE, now: DriverLatent::NONE }))
    }

    /// Takes the driver of the moment that the portrait shows for the driver at rest.
    pub(super) fn rest(&mut self, frame: &RawFrame, face: &FaceObservation) -> Result<()> {
        self.encoder.reset();
        self.encoder.encode(frame, Some(face), &mut self.rest)
    }

    /// Adds how far the driver is from rest to a signal.
    pub(super) fn see(
        &mut self,
        frame: &RawFrame,
        face: Option<&FaceObservation>,
        signal: &mut DrivingSignal,
    ) -> Result<()> {
        self.encoder.encode(frame, face, &mut self.now)?;
        signal.latent = LatentMotion::between(&self.rest, &self.now, 1.0);
        Ok(())
    }
}
