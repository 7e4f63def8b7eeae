//! Whether memory stays where it was: while identities change, while runs begin and end, and in a long run.
//!
//! What counts is the memory that the process has in use (resident), since that is what another program misses; most of it
//! is not Rust's: sessions of ONNX Runtime, FFmpeg's and OpenCV's pictures, stacks, and what the C library keeps of what it
//! was given back.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::never;

use super::record::memory_mib;
use super::scenario::Engine;
use crate::capture::{self, SourceOptions, SourceSpec};
use crate::clock::MonotonicClock;
use crate::composite::{CompositeOptions, Compositor, OutFrame};
use crate::drive::{DriveOptions, DrivingSignal, Motion};
use crate::error::{Error, ErrorKind, Result};
use crate::face::{FaceTracker, TrackerOptions};
use crate::generate::Portrait;
use crate::identity::Identity;
use crate::pipeline::{self, Stages};
use crate::report::LiveFigures;
use crate::sink::{Delivery, Sink};

/// Frames of each of many runs: enough for every stage to have worked.
const FRAMES_OF_A_RUN: u64 = 20;
/// Pictures after each change of the identity.
const PICTURES_OF_A_SWITCH: usize = 2;
/// How often memory is read after the warm-up.
const N_READINGS: u64 = 20;

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strain {
    /// The identity changes, each time to one that was never shown, with pictures after it.
    Switches,
    /// A run begins and ends, with all its stages.
    Runs,
    /// A frame passes through one run, offline: as fast as it goes.
    Frames,
}

impl Strain {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Switches, Self::Runs, Self::Frames];

    /// The word for what is counted.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Switches => "switches",
            Self::Runs => "runs",
            Self::Frames => "frames",
        }
    }
}

/// How often it is done before memory counts, and how often in all.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// Times after which memory should have settled.
    pub n_warm_up: u64,
    /// Times in all; more than `n_warm_up`.
    pub n: u64,
}

/// The memory in use during one course, in MiB.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Growth {
    /// After the warm-up.
    pub settled_mib: f64,
    /// The most that was read after that.
    pub most_mib: f64,
    /// At the end.
    pub end_mib: f64,
}

impl Growth {
    /// How much more is in use at the end than after the warm-up, as a share: 0.05 is 5 %.
    pub fn share(&self) -> f64 {
        self.end_mib / self.settled_mib.max(1.0) - 1.0
    }
}

/// Reads the memory at the right times.
#[derive(Clone)]
struct Readings {
    course: Course,
    growth: Arc<Mutex<Growth>>,
}

impl Readings {
    /// Takes note that it was done `n` times; whether that was the last.
    fn done(&self, n: u64) -> ControlFlow<()> {
        let Course { n_warm_up, n: n_all } = self.course;
        let every = ((n_all - n_warm_up) / N_READINGS).max(1);
        if n == n_warm_up || n >= n_all || (n > n_warm_up && (n - n_warm_up).is_multiple_of(every)) {
            let now_mib = memory_mib();
            let mut growth = self.growth.lock().unwrap_or_else(PoisonError::into_inner);
            if n == n_warm_up {
                growth.settled_mib = now_mib;
            }
            growth.most_mib = growth.most_mib.max(now_mib);
            growth.end_mib = now_mib;
        }
        if n >= n_all { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Does it as often as `course` says and reads the memory meanwhile.
///
/// # Errors
/// [`ErrorKind::Config`] when the course is too short, the system does not tell how much memory is in use, or there is no
/// identity; else as [`pipeline::run`].
pub fn measure(strain: Strain, engine: &Engine<'_>, course: Course) -> Result<Growth> {
    let Some(identity) = engine.identities.first() else {
        return Err(Error::new(ErrorKind::Config, "no identity to show; enroll a photo first"));
    };
    if course.n_warm_up == 0 || course.n <= course.n_warm_up {
        let message = format!("{} {} leave nothing after a warm-up of {}", course.n, strain.name(), course.n_warm_up);
        return Err(Error::new(ErrorKind::Config, message));
    }
    if memory_mib() == 0.0 {
        return Err(Error::new(ErrorKind::Config, "this system does not tell how much memory is in use; Linux does"));
    }
    let readings = Readings { course, growth: Arc::default() };
    match strain {
        Strain::Switches => switch(engine, identity, &readings)?,
        Strain::Runs => {
            let mut n = 0;
            loop {
                play(engine, identity, Counter { n: 0, at: At::Run(FRAMES_OF_A_RUN) })?;
                n += 1;
                if readings.done(n).is_break() {
                    break;
                }
            }
        }
        Strain::Frames => play(engine, identity, Counter { n: 0, at: At::Frames(readings.clone()) })?,
    }
    let growth = readings.growth.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(growth.clone())
}

/// Shows one identity after another, each of which is new to the generator.
fn switch(engine: &Engine<'_>, identity: &Arc<Identity>, readings: &Readings) -> Result<()> {
    let mut generator = (engine.generator)()?;
    let options = CompositeOptions { size_px: engine.size_px, ..CompositeOptions::default() };
    let mut compositor = Compositor::new(options)?;
    let signal = DrivingSignal::rest(&identity.shape, identity.size_px(), Motion::Relative);
    let mut portrait = Portrait::default();
    let mut n = 0;
    loop {
        let other = &engine.identities[n as usize % engine.identities.len()];
        let other = Arc::new((**other).clone());
        compositor.adopt(&other)?;
        generator.adopt(other)?;
        for _ in 0..PICTURES_OF_A_SWITCH {
            generator.generate(&signal, &mut portrait)?;
        }
        n += 1;
        if readings.done(n).is_break() {
            return Ok(());
        }
    }
}

/// One run with every stage, offline, over the program's own clip again and again, until the counter ends it.
fn play(engine: &Engine<'_>, identity: &Arc<Identity>, counter: Counter) -> Result<()> {
    let options = SourceOptions { paced: false, looped: true, ..SourceOptions::default() };
    let composite = CompositeOptions { size_px: engine.size_px, ..CompositeOptions::default() };
    let stages = Stages {
        source: capture::open(&SourceSpec::Pattern, &options)?,
        tracker: Box::new(FaceTracker::new(TrackerOptions::default())?),
        drive: DriveOptions::default(),
        generator: (engine.generator)()?,
        compositor: Compositor::new(composite)?,
        identities: vec![Arc::clone(identity)],
        first: 0,
        motion: Vec::new(),
        sinks: vec![Box::new(counter)],
        foreground: None,
        beside: None,
        every_frame: true,
        figures: Arc::new(LiveFigures::default()),
    };
    pipeline::run(stages, &MonotonicClock::new(), never()).map(drop)
}

/// What a counted frame means.
enum At {
    /// One of so many of a run.
    Run(u64),
    /// One of the course.
    Frames(Readings),
}

/// A sink that ends the run after so many frames.
struct Counter {
    n: u64,
    at: At,
}

impl Sink for Counter {
    fn name(&self) -> &str {
        "counter"
    }

    fn delivery(&self) -> Delivery {
        Delivery::Every(2)
    }

    fn present(&mut self, _: &OutFrame) -> Result<ControlFlow<()>> {
        self.n += 1;
        Ok(match &self.at {
            At::Run(n) if self.n < *n => ControlFlow::Continue(()),
            At::Run(_) => ControlFlow::Break(()),
            At::Frames(readings) => readings.done(self.n),
        })
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
