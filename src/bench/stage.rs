//! Stages of the pipeline that misbehave on purpose, around real ones.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::{MAX_READ_WAIT, RawFrame, Read, Source};
use crate::clock::{Clock, Timestamp};
use crate::composite::OutFrame;
use crate::drive::DrivingSignal;
use crate::error::Result;
use crate::face::{FaceObservation, Tracker};
use crate::frame::Rgb;
use crate::generate::{Generator, Portrait};
use crate::identity::Identity;
use crate::sink::{Delivery, Sink};
use crate::trace::Away;

/// Frames that a bursty source delivers at once.
const BURST: usize = 4;

/// What a source does beside delivering.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    /// Holds frames back and delivers four at once; they keep the times at which they were taken.
    Bursts,
    /// Shows nobody in one of every `period`, for `absence` (both counted from the first frame).
    Absence { period: Duration, absence: Duration },
    /// Delivers nothing in one of every `period`, for `absence`, as a camera that was pulled out.
    Unplugged { period: Duration, absence: Duration },
    /// Takes so many times as long as it does to read a frame.
    Slow(u32),
}

/// A source in a mood.
pub(super) struct MoodySource {
    inner: Box<dyn Source>,
    mood: Mood,
    first: Option<Timestamp>,
    nobody: Rgb,
    held: Vec<RawFrame>,
    n_held: usize,
    n_given: usize,
}

impl MoodySource {
    pub(super) fn new(inner: Box<dyn Source>, mood: Mood) -> Self {
        let held = (0..BURST).map(|_| RawFrame::default()).collect();
        Self { inner, mood, first: None, nobody: Rgb::default(), held, n_held: 0, n_given: 0 }
    }

    /// Whether `now` is in the last `absence` of a period.
    fn is_absent(&mut self, now: Timestamp, period: Duration, absence: Duration) -> bool {
        let since = now.since(*self.first.get_or_insert(now));
        since.as_nanos() % period.as_nanos().max(1) >= (period - absence).as_nanos()
    }

    fn read_burst(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        if self.n_given == self.n_held {
            (self.n_held, self.n_given) = (0, 0);
        }
        // Each is read when it is due; only then all are given.
        while self.n_given == 0 && self.n_held < BURST {
            match self.inner.read(&mut self.held[self.n_held], clock)? {
                Read::Fresh => self.n_held += 1,
                Read::Idle => return Ok(Read::Idle),
                Read::Ended => return Ok(Read::Ended),
            }
        }
        std::mem::swap(frame, &mut self.held[self.n_given]);
        self.n_given += 1;
        Ok(Read::Fresh)
    }
}

impl Source for MoodySource {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        match self.mood {
            Mood::Bursts => self.read_burst(frame, clock),
            Mood::Slow(times) => {
                let read = self.inner.read(frame, clock)?;
                // A slow driver: the picture was taken long before it is there.
                if read == Read::Fresh {
                    let worked = clock.now().since(frame.captured()).max(Duration::from_millis(1));
                    let until = clock.now() + worked * (times - 1);
                    clock.wait_until(until, MAX_READ_WAIT);
                }
                Ok(read)
            }
            Mood::Absence { period, absence } => {
                let read = self.inner.read(frame, clock)?;
                if read == Read::Fresh && self.is_absent(frame.captured(), period, absence) {
                    let (width, height) = (frame.picture_mut().width_px(), frame.picture_mut().height_px());
                    self.nobody.reshape(width, height);
                    self.nobody.data_mut().fill(96);
                    frame.set_picture(&self.nobody);
                }
                Ok(read)
            }
            Mood::Unplugged { period, absence } => {
                let read = self.inner.read(frame, clock)?;
                let is_absent = self.is_absent(clock.now(), period, absence);
                Ok(if read == Read::Fresh && is_absent { Read::Idle } else { read })
            }
        }
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        self.inner.frame_rate_hz()
    }
}

/// Waits `times` - 1 times as long as the work between took, at least a millisecond of it.
fn drag(begin: Timestamp, times: u32, clock: &dyn Clock) {
    let worked = clock.now().since(begin).max(Duration::from_millis(1));
    let until = clock.now() + worked * (times - 1);
    // A bound on the bound: a stage of a second is slow enough.
    clock.wait_until(until, Duration::from_secs(2));
}

/// A tracker that takes `times` as long.
pub(super) struct SlowTracker {
    pub(super) inner: Box<dyn Tracker>,
    pub(super) times: u32,
    pub(super) clock: Arc<dyn Clock>,
}

impl Tracker for SlowTracker {
    fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool> {
        let begin = self.clock.now();
        let found = self.inner.observe(frame, face);
        drag(begin, self.times, &*self.clock);
        found
    }
}

/// A camera in front of which nobody is: costs next to nothing.
pub(super) struct BlankSource {
    picture: Rgb,
    due: Option<Timestamp>,
}

impl BlankSource {
    /// The time between two frames.
    const INTERVAL: Duration = Duration::from_millis(100);

    pub(super) fn new() -> Self {
        let mut picture = Rgb::new(64, 64);
        picture.data_mut().fill(96);
        Self { picture, due: None }
    }
}

impl Source for BlankSource {
    fn name(&self) -> &str {
        "blank camera"
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        let due = *self.due.get_or_insert(clock.now());
        if !clock.wait_until(due, MAX_READ_WAIT) {
            return Ok(Read::Idle);
        }
        frame.set_picture(&self.picture);
        frame.set_captured(due);
        // As a camera, it does not make up for frames that nobody had time for.
        let mut next = due + Self::INTERVAL;
        while next + Self::INTERVAL < clock.now() {
            next = next + Self::INTERVAL;
        }
        self.due = Some(next);
        Ok(Read::Fresh)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        Some(1.0 / Self::INTERVAL.as_secs_f64())
    }
}

/// Finds no face, at once.
pub(super) struct NoTracker;

impl Tracker for NoTracker {
    fn observe(&mut self, _: &RawFrame, _: &mut FaceObservation) -> Result<bool> {
        Ok(false)
    }
}

/// A generator that takes `times` as long.
pub(super) struct SlowGenerator {
    pub(super) inner: Box<dyn Generator>,
    pub(super) times: u32,
    pub(super) clock: Arc<dyn Clock>,
}

impl Generator for SlowGenerator {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn backend(&self) -> &str {
        self.inner.backend()
    }

    fn is_dense(&self) -> bool {
        self.inner.is_dense()
    }

    fn adopt(&mut self, identity: Arc<Identity>) -> Result<()> {
        self.inner.adopt(identity)
    }

    fn prepare(&mut self, identity: &Arc<Identity>) -> Result<bool> {
        self.inner.prepare(identity)
    }

    fn set_time(&mut self, now: Timestamp) {
        self.inner.set_time(now);
    }

    fn generate(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        let begin = self.clock.now();
        let outcome = self.inner.generate(signal, portrait);
        drag(begin, self.times, &*self.clock);
        outcome
    }

    fn away(&self) -> Option<Away> {
        self.inner.away()
    }
}

/// A sink that takes `times` as long as three milliseconds, which is what a fast one takes.
pub(super) struct SlowSink {
    pub(super) times: u32,
    pub(super) clock: Arc<dyn Clock>,
}

impl Sink for SlowSink {
    fn name(&self) -> &str {
        "slow"
    }

    fn delivery(&self) -> Delivery {
        Delivery::Latest
    }

    fn present(&mut self, _: &OutFrame) -> Result<ControlFlow<()>> {
        let until = self.clock.now() + Duration::from_millis(3) * self.times;
        self.clock.wait_until(until, Duration::from_secs(2));
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
