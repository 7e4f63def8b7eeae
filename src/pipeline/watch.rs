//! The face thread: the face of each frame, what moves beside its mesh, and the in-band code.

use super::{Captured, Ending, MAX_WAIT, Observed, Seen};
use crate::capture::RawFrame;
use crate::clock::{Clock, Timestamp};
use crate::conditions::Judge;
use crate::drive::DenseMotion;
use crate::error::Result;
use crate::face::{FaceObservation, Tracker};
use crate::flow::DenseTracker;
use crate::latency;
use crate::latents::LatentEncoder;
use crate::latest::{Published, Publisher, Received, Subscriber};
use crate::report::LiveFigures;
use crate::trace::Stage;

/// With more of the face covered than this, its picture says nothing of what moves beside the mesh.
const MAX_COVERED: f32 = 0.03;

/// What the face thread shall do.
#[derive(Clone, Copy)]
pub(super) struct WatchOptions {
    /// Whether what moves beside the mesh is measured.
    pub(super) is_dense: bool,
    /// Whether no frame may wait for its own.
    pub(super) is_live: bool,
    /// Whether two faces are followed.
    pub(super) has_second: bool,
    /// Whether an in-band code is looked for.
    pub(super) reads_stamps: bool,
}

/// Turns frames into observations.
pub(super) struct Watcher {
    tracker: Box<dyn Tracker>,
    first: Watched,
    beside: Option<Watched>,
    /// What makes a latent of the driver's face, where the generator is driven by one.
    encoder: Option<LatentEncoder>,
    options: WatchOptions,
    restraint: Restraint,
    /// How well the driver is seen.
    judge: Judge,
    /// Which camera the last frame was of.
    camera: u32,
}

/// A face that is watched.
#[derive(Default)]
struct Watched {
    /// The face of the last frame, and whether one was seen there.
    face: Box<FaceObservation>,
    is_seen: bool,
    dense: Option<DenseTracker>,
    /// What moved beside its mesh.
    motion: Box<DenseMotion>,
}

impl Watched {
    fn new(is_dense: bool) -> Result<Self> {
        Ok(Self { dense: is_dense.then(DenseTracker::new).transpose()?, ..Self::default() })
    }

    fn face(&self) -> Option<&FaceObservation> {
        self.is_seen.then_some(&*self.face)
    }

    /// Writes down what was seen in the frame of `now`.
    fn note(&mut self, now: Timestamp, seen: &mut Seen) {
        seen.face.clone_from(&self.face);
        seen.is_seen = self.is_seen;
        if let Some(dense) = &mut self.dense {
            dense.forget_who_left(now, &mut self.motion);
            seen.dense.get_or_insert_default().clone_from(&self.motion);
        }
    }

    /// Measures what moves beside the mesh of the face that was just seen.
    fn measure_beside(&mut self, frame: &RawFrame) -> Result<()> {
        let face = self.is_seen.then_some(&*self.face);
        if let (Some(dense), Some(_)) = (&mut self.dense, face.filter(|face| face.covered > MAX_COVERED)) {
            // What moves there is the hand: what was measured last stays.
            dense.skip(frame.captured());
            return Ok(());
        }
        self.dense.as_mut().map_or(Ok(()), |dense| dense.observe(frame, face, &mut self.motion))
    }

    /// Goes on without what moves beside the mesh, for want of time.
    fn skip_beside(&mut self, now: Timestamp) {
        if let Some(dense) = self.dense.as_mut().filter(|_| self.is_seen) {
            dense.skip(now);
        }
        (*self.motion).clone_from(&DenseMotion::NONE);
    }
}

/// Leaves off what a picture can do without while frames are dropped.
#[derive(Default)]
struct Restraint {
    /// How long the next pause is, and what is left of this one, in frames.
    pause: u32,
    left: u32,
    n_allowed: u32,
}

impl Restraint {
    /// A first drop pauses for so many frames, each further one for twice as many, up to the second.
    const PAUSES: (u32, u32) = (8, 256);
    /// After so many frames without a drop a pause is half as long again.
    const CALM: u32 = 60;

    /// Whether there is time for it, after a frame that was in time or dropped.
    fn allows(&mut self, is_late: bool) -> bool {
        if is_late {
            let (shortest, longest) = Self::PAUSES;
            self.pause = (2 * self.pause).clamp(shortest, longest);
            (self.left, self.n_allowed) = (self.pause, 0);
        }
        if self.left > 0 {
            self.left -= 1;
            return false;
        }
        self.n_allowed += 1;
        if self.n_allowed.is_multiple_of(Self::CALM) {
            self.pause /= 2;
        }
        true
    }
}

impl Watcher {
    pub(super) fn new(
        tracker: Box<dyn Tracker>,
        encoder: Option<LatentEncoder>,
        options: WatchOptions,
    ) -> Result<Self> {
        Ok(Self {
            tracker,
            first: Watched::new(options.is_dense)?,
            beside: options.has_second.then(|| Watched::new(options.is_dense)).transpose()?,
            encoder,
            options,
            restraint: Restraint::default(),
            judge: Judge::default(),
            camera: 0,
        })
    }

    /// Observes every frame that it has time for; counts those replaced unseen after it.
    pub(super) fn run(
        &mut self,
        mut frames: Subscriber<Captured>,
        mut out: Publisher<Observed>,
        clock: &dyn Clock,
        ending: &Ending,
        figures: &LiveFigures,
    ) -> Result<u64> {
        let (mut captured, mut observed) = (Captured::default(), Observed::default());
        let mut n_dropped = 0;
        while !ending.is_asked() {
            match frames.receive(&mut captured, MAX_WAIT) {
                Received::Fresh => {}
                Received::Idle => continue,
                Received::Closed => break,
            }
            self.watch(&captured, &mut observed, clock)?;
            let is_late = match out.publish(&mut observed) {
                Published::InTime => false,
                Published::Dropped => {
                    n_dropped += 1;
                    figures.count_drop();
                    true
                }
                Published::Closed => break,
            };
            let now = captured.frame.captured();
            let face = self.first.face().or_else(|| self.beside.as_ref()?.face());
            figures.set_conditions(self.judge.judge(captured.frame.picture(), face, now));
            if self.options.is_live {
                // It takes as long as finding the face and changes slowly, so live a frame goes on with that of the frame
                // before, and this is done while the picture is made.
                let is_allowed = self.restraint.allows(is_late);
                for watched in self.watched() {
                    if is_allowed {
                        watched.measure_beside(&captured.frame)?;
                    } else {
                        watched.skip_beside(now);
                    }
                }
            }
        }
        Ok(n_dropped)
    }

    /// Forgets everything that was measured in another camera's pixels.
    fn look_anew(&mut self) {
        self.tracker.reset();
        if let Some(encoder) = &mut self.encoder {
            encoder.reset();
        }
        for watched in self.watched() {
            watched.is_seen = false;
            (*watched.motion).clone_from(&DenseMotion::NONE);
            if let Some(dense) = &mut watched.dense {
                dense.reset();
            }
        }
    }

    fn watched(&mut self) -> impl Iterator<Item = &mut Watched> {
        std::iter::once(&mut self.first).chain(&mut self.beside)
    }

    fn watch(&mut self, captured: &Captured, observed: &mut Observed, clock: &dyn Clock) -> Result<()> {
        let begin = clock.now();
        observed.camera = captured.frame.camera();
        if self.camera != observed.camera {
            self.camera = observed.camera;
            self.look_anew();
        }
        let Self { tracker, first, beside, .. } = self;
        match beside {
            None => first.is_seen = tracker.observe(&captured.frame, &mut first.face)?,
            Some(second) => {
                let faces = [&mut *first.face, &mut *second.face];
                [first.is_seen, second.is_seen] = tracker.observe_two(&captured.frame, faces)?;
            }
        }
        if !self.options.is_live {
            for watched in self.watched() {
                watched.measure_beside(&captured.frame)?;
            }
        }
        let now = captured.frame.captured();
        self.first.note(now, &mut observed.first);
        if let Some(second) = &mut self.beside {
            second.note(now, observed.beside.get_or_insert_default());
        }
        if let Some(encoder) = &mut self.encoder {
            encoder.encode(&captured.frame, self.first.face(), observed.latent.get_or_insert_default())?;
        }
        observed.trace = captured.trace;
        if self.options.reads_stamps {
            observed.trace.stamp = latency::read_whole(captured.frame.picture());
        }
        observed.trace.record(Stage::Face, begin, clock.now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Restraint;

    #[test]
    fn drops_pause_for_longer_and_longer_and_calm_makes_good_again() {
        let mut restraint = Restraint::default();
        assert!(restraint.allows(false));
        // Frames until it is allowed again, after a drop.
        let pause = |restraint: &mut Restraint| (0..).find(|i| restraint.allows(*i == 0)).unwrap();
        let pauses: Vec<u32> = (0..8).map(|_| pause(&mut restraint)).collect();
        assert_eq!(pauses, [8, 16, 32, 64, 128, 256, 256, 256]);
        assert!((0..10 * Restraint::CALM).all(|_| restraint.allows(false)));
        assert_eq!(pause(&mut restraint), 8);
    }
}
