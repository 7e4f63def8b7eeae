//! From the source to a reader at the far end, against what the pipeline says of itself.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::reader::{self, Arrival, Reader, ReaderSpec};
use super::samples::{Sample, SamplingSink};
use super::scenario::{Engine, Length, open_pattern};
use super::stage::{BlankSource, NoTracker};
use super::watch::Watch;
use super::way::WayFigures;
use crate::capture::Source;
use crate::clock::{Clock, MonotonicClock, Timestamp};
use crate::composite::{CompositeOptions, Compositor, OutFrame};
use crate::drive::DriveOptions;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::face::{FaceTracker, Tracker, TrackerOptions};
use crate::frame::Grey;
use crate::latency;
use crate::pipeline::{self, Control, Stages};
use crate::report::{LiveFigures, Report};
use crate::sink::{Delivery, Sink};

/// How long the far end is tried until it can be read: a device has pictures only when the first was written.
const MAX_OPEN_WAIT: Duration = Duration::from_secs(10);

/// How long the first picture is waited for: networks are loaded before it.
const MAX_FIRST_WAIT: Duration = Duration::from_secs(60);

/// Where pictures leave.
pub enum Exit {
    /// A sink with a thread of its own.
    Background(Box<dyn Sink + Send>),
    /// One that must stay on this thread: the window.
    Foreground(Box<dyn Sink>),
    /// Nowhere: the picture is read where it would be shown.
    Nowhere,
}

/// Where they are looked at.
#[derive(Clone, Debug)]
pub enum FarEnd {
    /// While the run goes on.
    Live(ReaderSpec),
    /// In the file, when the run has ended.
    File(PathBuf),
    /// In the sink itself.
    Here,
}

/// The trivial far end: reads the code in the sink.
struct ReadingSink {
    watch: Watch,
    watched: Arc<Mutex<Watch>>,
    clock: Arc<dyn Clock>,
}

impl Sink for ReadingSink {
    fn name(&self) -> &str {
        "nowhere"
    }

    fn delivery(&self) -> Delivery {
        Delivery::Latest
    }

    fn present(&mut self, frame: &OutFrame) -> Result<std::ops::ControlFlow<()>> {
        let at = self.clock.now();
        if frame.trace.frame_id != 0 {
            let stamp = latency::read_whole(frame.picture());
            self.watch.see(stamp, Arrival { since: None, at }, self.clock.now().since(at));
        }
        Ok(std::ops::ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = std::mem::take(&mut self.watch);
        Ok(())
    }
}

/// A reader that has nothing more to read, for figures of a watch that was kept elsewhere.
struct Kept(&'static str);

impl Reader for Kept {
    fn name(&self) -> &str {
        self.0
    }

    fn read(&mut self, _: &mut Grey, _: &dyn Clock) -> Result<reader::Look> {
        Ok(reader::Look::Ended)
    }
}

/// What a way is, beside its two ends.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Its name.
    pub way: &'a str,
    /// What presenting a frame is for its sink, in words.
    pub presenting: &'a str,
    /// Whether the test pattern's face is followed. Otherwise a blank camera of ten frames a second leads to the card:
    /// that says nothing about the engine and as much about the way behind it, also where decoding a clip and following
    /// a face take seconds.
    pub follows_face: bool,
}

/// Plays the pattern through the engine to `exit` and watches it at `far_end`.
///
/// # Errors
/// As [`pipeline::run`] and [`reader::open`]; [`ErrorKind::DeviceLost`] when nothing arrived that has a code.
pub fn measure(
    about: About<'_>,
    exit: Exit,
    far_end: &FarEnd,
    engine: &Engine<'_>,
    length: Length,
) -> Result<WayFigures> {
    let About { way, presenting, follows_face } = about;
    let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
    let watched = Arc::new(Mutex::new(Watch::default()));
    let mut sinks: Vec<Box<dyn Sink + Send>> = Vec::new();
    let mut foreground: Option<Box<dyn Sink>> = None;
    let samples = match exit {
        Exit::Foreground(window) => {
            let (sink, samples) = SamplingSink::new(window, Arc::clone(&clock));
            foreground = Some(Box::new(sink));
            samples
        }
        exit => {
            let inner = match exit {
                Exit::Background(sink) => sink,
                _ => Box::new(ReadingSink {
                    watch: Watch::default(),
                    watched: Arc::clone(&watched),
                    clock: Arc::clone(&clock),
                }),
            };
            let (sink, samples) = SamplingSink::new(inner, Arc::clone(&clock));
            sinks.push(Box::new(sink));
            samples
        }
    };
    let (source, tracker): (Box<dyn Source>, Box<dyn Tracker>) = if follows_face {
        (open_pattern()?, Box::new(FaceTracker::new(TrackerOptions::default())?))
    } else {
        (Box::new(BlankSource::new()), Box::new(NoTracker))
    };
    let mut compositor = Compositor::new(CompositeOptions { size_px: engine.size_px, ..CompositeOptions::default() })?;
    compositor.set_stamp(true);
    let stages = Stages {
        first: 0,
        motion: Vec::new(),
        source,
        tracker,
        drive: DriveOptions::default(),
        generator: (engine.generator)()?,
        compositor,
        identities: engine.identities.clone(),
        sinks,
        foreground,
        beside: None,
        every_frame: false,
        figures: Arc::new(LiveFigures::default()),
    };
    let live = match far_end {
        FarEnd::Live(spec) => Some(spec),
        _ => None,
    };
    let far = run_watched(stages, live, &clock, length)?;
    let samples = samples.take();
    // Stamps keep whole microseconds.
    let whole = |moment: Timestamp| Timestamp::from_nanos(moment.as_nanos() / 1000 * 1000);
    let Some(begin) = samples.first().map(|sample| whole(sample.trace.captured + length.warm_up)) else {
        return Err(Error::new(ErrorKind::DeviceLost, format!("{way}: the sink showed nothing")));
    };
    let (mut watch, reader): (Watch, Box<dyn Reader>) = match (far, far_end) {
        (Some((watch, reader)), _) => (watch, reader),
        (None, FarEnd::File(path)) => {
            let mut reader = reader::open(&ReaderSpec::Clip(path.clone()))?;
            let (mut watch, mut picture) = (Watch::default(), Grey::default());
            while watch.look(&mut *reader, &mut picture, &*clock)? {}
            (watch, reader)
        }
        (None, _) => {
            (std::mem::take(&mut watched.lock().unwrap_or_else(PoisonError::into_inner)), Box::new(Kept("nowhere")))
        }
    };
    watch.sightings.retain(|sighting| sighting.stamp.time >= begin);
    if watch.sightings.is_empty() {
        let message = format!("{way}: no code arrived at {}; is it covered, cut off or too small?", reader.name());
        return Err(Error::new(ErrorKind::DeviceLost, message));
    }
    let shown: Vec<Sample> = samples.into_iter().filter(|sample| whole(sample.trace.captured) >= begin).collect();
    Ok(WayFigures::new(way, presenting, &shown, &watch, &*reader))
}

type Far = Option<(Watch, Box<dyn Reader>)>;

/// Runs the pipeline on this thread and the reader on another.
fn run_watched(stages: Stages, far: Option<&ReaderSpec>, clock: &Arc<dyn Clock>, length: Length) -> Result<Far> {
    let (control, control_rx) = bounded(4);
    let is_over = AtomicBool::new(false);
    let is_over = &is_over;
    std::thread::scope(|scope| {
        let spawn_error = || "cannot start a thread of the bench".to_owned();
        let quit = control.clone();
        let (over_tx, over_rx) = bounded::<()>(0);
        let time = length.warm_up + length.measured;
        let figures = Arc::clone(&stages.figures);
        let timer = move || {
            // What a slow machine takes to begin is not taken from what is measured.
            let started = Instant::now();
            while figures.presented() == 0 && started.elapsed() < MAX_FIRST_WAIT {
                if over_rx.recv_timeout(Duration::from_millis(10)).is_err_and(|error| error.is_disconnected()) {
                    return;
                }
            }
            if over_rx.recv_timeout(time).is_err_and(|error| error.is_timeout()) {
                let _ = quit.send_timeout(Control::Quit, Duration::from_secs(1));
            }
        };
        std::thread::Builder::new()
            .name("timer".to_owned())
            .spawn_scoped(scope, timer)
            .or_error(ErrorKind::Internal, spawn_error)?;
        let reader = match far {
            None => None,
            Some(spec) => {
                let watch = move || {
                    let outcome = watch_live(spec, &**clock, is_over);
                    if outcome.is_err() {
                        // Nothing more can be measured.
                        let _ = control.send_timeout(Control::Quit, Duration::from_secs(1));
                    }
                    outcome
                };
                let thread = std::thread::Builder::new().name("far end".to_owned()).spawn_scoped(scope, watch);
                Some(thread.or_error(ErrorKind::Internal, spawn_error)?)
            }
        };
        let report = pipeline::run(stages, &**clock, control_rx);
        is_over.store(true, Ordering::Relaxed);
        drop(over_tx);
        let far = match reader.map(|thread| thread.join()) {
            None => None,
            Some(Ok(outcome)) => Some(outcome),
            Some(Err(_)) => Some(Err(Error::new(ErrorKind::Internal, "the reader at the far end broke down"))),
        };
        // The pipeline's own error explains the reader's.
        let _: Report = report?;
        far.transpose()
    })
}

/// Opens the far end as soon as it can be, and watches until the run is over.
fn watch_live(spec: &ReaderSpec, clock: &dyn Clock, is_over: &AtomicBool) -> Result<(Watch, Box<dyn Reader>)> {
    let started = Instant::now();
    let mut reader = loop {
        match reader::open(spec) {
            Ok(reader) => break reader,
            Err(error) if started.elapsed() > MAX_OPEN_WAIT || is_over.load(Ordering::Relaxed) => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    };
    let (mut watch, mut picture) = (Watch::default(), Grey::default());
    while !is_over.load(Ordering::Relaxed) {
        match watch.look(&mut *reader, &mut picture, clock) {
            Ok(true) => {}
            Ok(false) => break,
            // The run has ended in this very moment, and its stream with it.
            Err(_) if is_over.load(Ordering::Relaxed) => break,
            Err(error) => {
                // The sink closes a little before the pipeline says so.
                std::thread::sleep(Duration::from_millis(300));
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                return Err(error);
            }
        }
    }
    Ok((watch, reader))
}
