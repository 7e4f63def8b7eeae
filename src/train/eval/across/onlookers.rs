//! Those who look at driver and result now and then, apart from the tracker that drives.

use super::figures::Seen;
use crate::error::Result;
use crate::face::{FaceTracker, TrackerOptions};
use crate::frame::Rgb;
use crate::geometry::FaceObservation;
use crate::train::eval::recognition::{Descriptor, Recognizer, similarity_of};

/// They look from where the face was in the glance before: the judge of how far and how truly expression arrives, and of whom
/// the result looks like.
pub(super) struct Onlookers {
    tracker: FaceTracker,
    before: Option<[Box<FaceObservation>; 2]>,
    recognizer: Option<Recognizer>,
    /// Who the photo shows.
    portrait: Option<Descriptor>,
    /// How like the result is to the photo and to the driver, in each glance.
    likeness: Vec<[f64; 2]>,
}

impl Onlookers {
    /// With a network that tells people apart, or without.
    pub(super) fn new(recognizer: Option<Recognizer>) -> Result<Self> {
        // A hand before the face makes no difference to who was following it.
        let options = TrackerOptions { n_threads: 2, min_presence: 0.0, ..TrackerOptions::default() };
        let tracker = FaceTracker::new(options)?;
        Ok(Self { tracker, before: None, recognizer, portrait: None, likeness: Vec::new() })
    }

    /// Begins a pair, by its photo.
    pub(super) fn meet(&mut self, portrait: &Rgb) -> Result<()> {
        self.before = None;
        self.portrait = None;
        self.likeness.clear();
        let Some(recognizer) = &mut self.recognizer else { return Ok(()) };
        let mut face = FaceObservation::default();
        if self.tracker.glance(portrait, None, &mut face)? {
            self.portrait = Some(recognizer.describe(portrait, &face)?);
        }
        Ok(())
    }

    /// Looks at the driver and at the result; `None` where either shows no face.
    pub(super) fn glance(&mut self, pictures: [&Rgb; 2]) -> Result<Option<[Seen; 2]>> {
        let before = self.before.take();
        let mut now = [Box::<FaceObservation>::default(), Box::default()];
        for (i, (picture, face)) in pictures.into_iter().zip(&mut now).enumerate() {
            if !self.tracker.glance(picture, before.as_ref().map(|before| &*before[i]), face)? {
                self.before = before;
                return Ok(None);
            }
        }
        if let (Some(recognizer), Some(portrait)) = (&mut self.recognizer, &self.portrait) {
            let driver = recognizer.describe(pictures[0], &now[0])?;
            let result = recognizer.describe(pictures[1], &now[1])?;
            self.likeness.push([portrait, &driver].map(|other| similarity_of(other, &result)));
        }
        let seen = [Seen::of(&now[0]), Seen::of(&now[1])];
        self.before = Some(now);
        Ok(Some(seen))
    }

    /// How like the result was to the photo and to the driver, in the mean; `None` where nobody could tell.
    pub(super) fn likeness(&self) -> Option<[f64; 2]> {
        let n = self.likeness.len() as f64;
        let mean = |i: usize| self.likeness.iter().map(|both| both[i]).sum::<f64>() / n;
        (n > 0.0).then(|| [mean(0), mean(1)])
    }
}
