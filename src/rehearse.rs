//! A portrait tries its expressions at a mirror, once, when it is enrolled.
//!
//! A photo does not show all that is asked of it: lips that were shut in it pucker less than others, eyes that squint in it
//! look aside less. Expressions of many people are played on the portrait, the pictures are read by the tracker that reads
//! drivers, and what arrives too weakly is asked for more strongly from then on ([`Identity::emphasis`]).

use std::sync::Arc;

use crate::capture::RawFrame;
use crate::clock::Timestamp;
use crate::composite::{CompositeOptions, Compositor, OutFrame};
use crate::drive::{Actor, default_emphasis};
use crate::error::Result;
use crate::face::{FaceTracker, TrackerOptions};
use crate::generate::choose::open_on_cpu;
use crate::generate::neural::NeuralGenerator;
use crate::generate::weights::Weights;
use crate::generate::{Generator as _, Portrait};
use crate::geometry::{FaceObservation, N_COEFFICIENTS};
use crate::identity::Identity;
use crate::signal::{DrivingSignal, Motion};
use crate::trace::Trace;

/// Width and height of the pictures, in pixels.
const SIZE_PX: usize = 512;
/// How often all expressions are played: each time with what the time before taught.
const N_ROUNDS: usize = 2;
/// A coefficient that no expression moves as far as this, in the mean of squares, is left as it was.
const LEAST_MOVED: f32 = 0.02;
/// What is known beforehand counts as much as expressions that move a coefficient by this, in the mean of squares.
const PRIOR_MOVED: f32 = 0.06;
/// How far a picture shall follow what was asked, as a share.
const WANTED: f32 = 0.95;
/// A picture that follows less than this is not asked for more in one round.
const LEAST_SHARE: f32 = 0.3;
/// How many times the emphasis of most portraits a portrait can have: beyond, points are asked for where no face can be.
const MAX_MORE: f32 = 1.5;

/// Plays portraits to find their emphasis. Opens its models once.
pub struct Rehearsal {
    generator: NeuralGenerator,
    compositor: Compositor,
    tracker: FaceTracker,
    frame: RawFrame,
    face: Box<FaceObservation>,
    portrait: Portrait,
    out: OutFrame,
    now_millis: u64,
}

impl Rehearsal {
    /// Opens the models.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Model`] when a model or the runtime is missing or torn.
    pub fn new() -> Result<Self> {
        let composite = CompositeOptions { size_px: SIZE_PX, badge: false, ..CompositeOptions::default() };
        Ok(Self {
            generator: NeuralGenerator::new(Weights::built_in()?, SIZE_PX, open_on_cpu)?,
            compositor: Compositor::new(composite)?,
            tracker: FaceTracker::new(TrackerOptions { n_threads: 2, ..TrackerOptions::default() })?,
            frame: RawFrame::default(),
            face: Box::default(),
            portrait: Portrait::default(),
            out: OutFrame::blank(SIZE_PX, SIZE_PX),
            now_millis: 0,
        })
    }

    /// Finds the emphasis of an identity and writes it there: none where the tracker finds no face in its pictures.
    /// Takes some seconds.
    ///
    /// # Errors
    /// When a network fails.
    pub fn rehearse(&mut self, identity: &mut Identity) -> Result<()> {
        let whom = Arc::new(identity.clone());
        self.generator.adopt(Arc::clone(&whom))?;
        self.compositor.adopt(&whom)?;
        self.tracker.reset();
        let mut actor = Actor::new(&whom)?;
        let mut signal = DrivingSignal::rest(&whom.shape, whom.size_px(), Motion::Relative);
        let prior = default_emphasis();
        let mut emphasis = prior;
        for _ in 0..N_ROUNDS {
            actor.set_emphasis(&emphasis);
            actor.act(None, &mut signal)?;
            let Some(rest) = self.seen(&signal)? else { return Ok(()) };
            // Sums over the expressions: what was wanted, squared; wanted by seen.
            let (mut wanted_2, mut both) = ([0.0; N_COEFFICIENTS], [0.0; N_COEFFICIENTS]);
            let mut n = 0;
            for expression in 0..actor.n_expressions() {
                let wanted = actor.act(Some(expression), &mut signal)?;
                let Some(seen) = self.seen(&signal)? else { continue };
                n += 1;
                for c in 0..N_COEFFICIENTS {
                    wanted_2[c] += wanted[c] * wanted[c];
                    both[c] += wanted[c] * (seen[c] - rest[c]);
                }
            }
            for c in 0..N_COEFFICIENTS {
                let prior_2 = n as f32 * PRIOR_MOVED * PRIOR_MOVED;
                if wanted_2[c] > n as f32 * LEAST_MOVED * LEAST_MOVED {
                    let share = (both[c] + WANTED * prior_2) / (wanted_2[c] + prior_2);
                    // Never less than the driver does: strong expressions arrive more weakly than these.
                    let (least, most) = (prior[c].min(1.0), (MAX_MORE * prior[c]).min(Identity::EMPHASIS[1]));
                    emphasis[c] = (emphasis[c] * WANTED / share.max(LEAST_SHARE)).clamp(least, most);
                }
            }
        }
        identity.emphasis = Some(Box::new(emphasis));
        Ok(())
    }

    /// The coefficients that the tracker reads from the picture of a signal; none where it finds no face.
    fn seen(&mut self, signal: &DrivingSignal) -> Result<Option<[f32; N_COEFFICIENTS]>> {
        self.generator.generate(signal, &mut self.portrait)?;
        self.compositor.compose(&self.portrait, Trace::default(), &mut self.out)?;
        self.frame.set_picture(&self.out.picture().opaque());
        self.now_millis += 40;
        self.frame.set_captured(Timestamp::from_nanos(self.now_millis * 1_000_000));
        Ok(self.tracker.observe(&self.frame, &mut self.face)?.then_some(self.face.coefficients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::PORTRAITS;
    use crate::identity::{Basis, EnrollOptions, Enroller, Framing, Signer};

    #[test]
    fn a_rehearsal_asks_for_more_and_its_outcome_is_kept_in_the_file() {
        let (name, photo) = PORTRAITS[0];
        let options = EnrollOptions {
            name: name.to_owned(),
            basis: Basis::Synthetic,
            consent_by: "a test".to_owned(),
            framing: Framing::Keep,
            face: None,
        };
        let mut identity = Enroller::new().unwrap().enroll(photo, &options).unwrap();
        assert!(identity.emphasis.is_none());
        let signer_file = std::env::temp_dir().join(format!("effigy-rehearsal-{}", std::process::id()));
        let signer = Signer::open_or_create_at(&signer_file).unwrap();
        let without = Identity::from_bytes(&identity.to_bytes(&signer).unwrap()).unwrap();
        assert!(without.emphasis.is_none(), "files of programs that knew no rehearsal are read");

        Rehearsal::new().unwrap().rehearse(&mut identity).unwrap();
        let (found, prior) = (identity.emphasis.clone().unwrap(), default_emphasis());
        let more = found.iter().zip(&prior).filter(|(found, prior)| *found > *prior).count();
        assert!(more > 5, "only {more} of 52 are asked for more strongly");
        let is_within = |(found, prior): (&f32, &f32)| *found >= prior.min(1.0) && *found <= MAX_MORE * prior + 1e-5;
        assert!(found.iter().zip(&prior).all(is_within), "{found:?}");
        let read = Identity::from_bytes(&identity.to_bytes(&signer).unwrap()).unwrap();
        assert_eq!(read.emphasis.as_deref(), Some(&*found));
        identity.emphasis.as_mut().unwrap()[3] = 9.0;
        let error = Identity::from_bytes(&identity.to_bytes(&signer).unwrap()).unwrap_err();
        assert!(error.to_string().contains("emphasis"), "{error}");
        let _ = std::fs::remove_file(signer_file);
    }
}
