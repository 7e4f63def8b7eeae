//! What a generator that is driven by a latent is told of the driver.

use crate::capture::RawFrame;
use crate::error::Result;
use crate::generate::Generator;
use crate::geometry::FaceObservation;
use crate::latents::LatentEncoder;
use crate::signal::{DriverLatent, DrivingSignal, LatentMotion};

/// The encoder of one contender, and what it saw where the portrait is from, or since the head left the square of that moment.
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
        // What was seen before says nothing of this moment, should no face be found in it.
        (self.rest, self.now) = (DriverLatent::NONE, DriverLatent::NONE);
        self.encoder.encode(frame, Some(face), &mut self.rest)
    }

    /// Adds how far the driver is from rest to a signal. Latents of another square cannot be compared with those before: the
    /// first of it is at rest, as in a run.
    pub(super) fn see(
        &mut self,
        frame: &RawFrame,
        face: Option<&FaceObservation>,
        signal: &mut DrivingSignal,
    ) -> Result<()> {
        self.encoder.encode(frame, face, &mut self.now)?;
        if self.now.is_some() && !self.rest.is_like(&self.now) {
            self.rest.clone_from(&self.now);
        }
        signal.latent = LatentMotion::between(&self.rest, &self.now, 1.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use glam::Vec3;

    use super::*;
    use crate::clock::Timestamp;
    use crate::frame::Rgb;
    use crate::generate::family::{self, Family, Kind, random};
    use crate::generate::founding;
    use crate::geometry::FaceShape;
    use crate::signal::Motion;

    fn face(x: f32) -> FaceObservation {
        let mut face = FaceObservation { frame_size_px: (640, 480), ..FaceObservation::default() };
        for (i, p) in face.landmarks_px.iter_mut().enumerate() {
            let angle = i as f32;
            *p = Vec3::new(x + 50.0 * angle.cos(), 240.0 + 50.0 * angle.sin(), 0.0);
        }
        face
    }

    fn frame(grey: u8) -> RawFrame {
        let mut picture = Rgb::new(640, 480);
        picture.data_mut()[240 * 1920..].fill(grey);
        RawFrame::new(picture, Timestamp::default())
    }

    #[test]
    fn a_head_that_leaves_its_square_moves_on_in_the_next() {
        let tensors = random(&[&family::encoder(64), &family::decoder(64)], 3);
        let generator = founding::open(Family::new(Kind::Vae, 64, tensors).unwrap(), 64).unwrap();
        let mut eye = Eye::of(&*generator).unwrap().unwrap();
        let (here, there) = (face(300.0), face(500.0));
        let shape = FaceShape::new(&here.landmarks_px, &here.pose);
        let mut signal = DrivingSignal::rest(&shape, 64, Motion::Relative);
        let mut moves = |eye: &mut Eye, grey: u8, face: Option<&FaceObservation>| {
            eye.see(&frame(grey), face, &mut signal).unwrap();
            signal.latent != LatentMotion::NONE
        };
        eye.rest(&frame(10), &here).unwrap();
        assert!(!moves(&mut eye, 10, Some(&here)) && moves(&mut eye, 200, Some(&here)));
        assert!(!moves(&mut eye, 200, Some(&there)), "the first of another square rests");
        assert!(moves(&mut eye, 10, Some(&there)), "frozen since the head left its square");
        // Another moment to count from, and nobody in the first frame after it.
        eye.rest(&frame(10), &here).unwrap();
        assert!(!moves(&mut eye, 200, None) && moves(&mut eye, 200, Some(&here)));
    }
}
