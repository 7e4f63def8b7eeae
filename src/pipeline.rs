//! The whole way of a frame: threads, slots, control. The only place that knows all stages.
//!
//! ```text
//! capture ─▶ slot ─▶ face ─▶ slot ─▶ generate ─▶ a slot for each sink ─▶ sinks
//! thread             thread          thread: drive, generate, composite   own threads; the window
//!                                                                         on the caller's
//! ```
//!
//! Every slot holds the newest frame ([`crate::latest`]); what is late is replaced and counted.
//! When an end closes, its neighbours see it and end too, so that a run shuts down from either end.

use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::capture::{RawFrame, Read, Source};
use crate::clock::Clock;
use crate::composite::{Compositor, OutFrame};
use crate::demand::{CameraDemand, Demand};
use crate::drive::{DenseMotion, DriveOptions, DriverLatent};
use crate::error::{Error, ErrorKind, Result};
use crate::face::{FaceObservation, Tracker};
use crate::generate::Generator;
use crate::identity::Identity;
use crate::latents::LatentEncoder;
use crate::latest::{Keep, Published, Publisher, Received, Subscriber, channel};
use crate::motion_link::{MotionFrame, MotionSink};
use crate::report::{DropCounts, LiveFigures, LiveMeter, Report, RunFacts, SinkMeter};
use crate::sink::{Delivery, Sink};
use crate::trace::{Stage, Trace};

pub use crate::control::{Control, MAX_IDENTITIES};

mod person;
mod portray;
mod watch;

use portray::{Portrayer, Whom};
use watch::{WatchOptions, Watcher};

/// No thread waits longer than this before it looks whether the run has ended.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// Everything a run is made of.
pub struct Stages {
    /// Where the driver's frames come from.
    pub source: Box<dyn Source>,
    /// What finds the face in them.
    pub tracker: Box<dyn Tracker>,
    /// How motion is carried over.
    pub drive: DriveOptions,
    /// What makes the pictures.
    pub generator: Box<dyn Generator>,
    /// What puts them over a background.
    pub compositor: Compositor,
    /// Who can be shown.
    pub identities: Vec<Arc<Identity>>,
    /// Who is shown first, counted from 0.
    pub first: usize,
    /// A second person beside the first, driven by a second face.
    pub beside: Option<Beside>,
    /// Where the pictures go. The report's figures are those of the first sink, or of `foreground`.
    pub sinks: Vec<Box<dyn Sink + Send>>,
    /// A sink that must live on the caller's thread: the window.
    pub foreground: Option<Box<dyn Sink>>,
    /// Where the driver's motion goes, as numbers.
    pub motion: Vec<Box<dyn MotionSink>>,
    /// Whether every frame is rendered and none dropped, instead of the newest. Such a run has no clock: its pictures
    /// follow from the frames and their own times alone, one for each, however long a stage takes.
    pub every_frame: bool,
    /// Figures for overlays.
    pub figures: Arc<LiveFigures>,
}

/// Who is shown beside the first identity.
pub struct Beside {
    /// Who, counted from 0.
    pub identity: usize,
    /// What makes the pictures of them.
    pub generator: Box<dyn Generator>,
}

/// A frame on its way from capture to face.
#[derive(Default)]
struct Captured {
    frame: RawFrame,
    trace: Trace,
}

/// A face on its way from face to generate.
#[derive(Clone, Default)]
struct Seen {
    /// Whether it was seen; what `face` says counts only then.
    is_seen: bool,
    face: Box<FaceObservation>,
    /// What moves beside its mesh, where that is measured.
    dense: Option<Box<DenseMotion>>,
}

impl Seen {
    fn face(&self) -> Option<&FaceObservation> {
        self.is_seen.then_some(&*self.face)
    }
}

/// A frame on its way from face to generate: its picture stays behind.
#[derive(Clone, Default)]
struct Observed {
    first: Seen,
    /// The second face, where two are followed.
    beside: Option<Seen>,
    /// What an encoder makes of the first, where the generator is driven by that.
    latent: Option<Box<DriverLatent>>,
    /// Which of the run's cameras saw it.
    camera: u32,
    trace: Trace,
}

/// A way to a sink.
struct Outlet {
    frames: Publisher<OutFrame>,
    /// What says whether the sink takes frames at the moment, where it does not take all.
    demand: Option<Arc<Demand>>,
    camera_demand: Option<Arc<CameraDemand>>,
}

impl Outlet {
    fn wants_frames(&self) -> bool {
        self.demand.as_ref().is_none_or(|demand| demand.wants_frames())
            && self.camera_demand.as_ref().is_none_or(|demand| demand.wants_frames())
    }
}

/// What ends a run: a request, or the first error.
struct Ending {
    is_asked: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Ending {
    fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    fn ask(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }

    /// Ends the run; the first error is the one that is reported.
    fn fail(&self, error: Error) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.ask();
    }
}

/// Runs until the source ends, a sink is closed, [`Control::Quit`] comes, or a stage fails.
///
/// Sinks are finished in every case: what was written is kept.
///
/// # Errors
/// The first error of any stage. A panic in a stage is an [`ErrorKind::Internal`] error.
pub fn run(stages: Stages, clock: &dyn Clock, control: Receiver<Control>) -> Result<Report> {
    let first = stages.first.min(stages.identities.len().saturating_sub(1));
    if stages.identities.is_empty() {
        return Err(Error::new(ErrorKind::Config, "no identity to show; enroll a photo first"));
    }
    let is_live = !stages.every_frame;
    if let Some(switch) = stages.source.switch() {
        stages.figures.set_switch(switch);
    }
    let sinks = || stages.sinks.iter();
    let cameras = sinks().filter_map(|sink| sink.camera_demand()).collect();
    stages.figures.set_demands(sinks().find_map(|sink| sink.demand()), cameras);
    let keep = if is_live { Keep::Newest } else { Keep::Every };
    let ending = Ending { is_asked: AtomicBool::new(false), error: Mutex::new(None) };
    let ending = &ending;
    let figures = &*stages.figures;
    let mut facts = RunFacts {
        backend: stages.generator.backend().to_owned(),
        generator: stages.generator.name().to_owned(),
        source: stages.source.name().to_owned(),
        ..RunFacts::default()
    };

    let (captured_tx, captured_rx) = channel(vec![Captured::default()], keep);
    let (observed_tx, observed_rx) = channel(vec![Observed::default()], keep);
    let (mut outlets, mut inlets) = (Vec::new(), Vec::new());
    let foreground = stages.foreground.iter().map(|sink| &**sink);
    for sink in foreground.chain(stages.sinks.iter().map(|sink| &**sink as &dyn Sink)) {
        let n_spares = match sink.delivery() {
            Delivery::Latest => 1,
            Delivery::Every(n) => n.max(1),
        };
        let (width_px, height_px) = stages.compositor.frame_px();
        let blank = || OutFrame::blank(width_px, height_px);
        let (frames, inlet) = channel((0..n_spares).map(|_| blank()).collect(), keep);
        outlets.push(Outlet { frames, demand: sink.demand(), camera_demand: sink.camera_demand() });
        inlets.push(inlet);
    }
    let mut inlets = inlets.into_iter();
    let (motion_outlets, motion_inlets): (Vec<_>, Vec<_>) =
        stages.motion.iter().map(|_| channel(vec![MotionFrame::default()], keep)).unzip();

    let is_dense = stages.drive.is_dense && stages.generator.is_dense();
    let (has_second, reads_stamps) = (stages.beside.is_some(), stages.compositor.has_stamp());
    let watch = WatchOptions { is_dense, is_live, has_second, reads_stamps };
    let encoder = LatentEncoder::of(&*stages.generator)?;
    let watcher = Watcher::new(stages.tracker, encoder, watch)?;
    let whom = Whom { identities: stages.identities, first, beside: stages.beside };
    let portrayer = Portrayer::new(stages.generator, whom, stages.drive, stages.compositor, control, is_live)?;
    // What the first identity was given may be another form than what was opened.
    portrayer.backend().clone_into(&mut facts.backend);

    let (captured, face_drops, portrayed, meters) = std::thread::scope(|scope| {
        let (mut source, mut watcher, mut portrayer) = (stages.source, watcher, portrayer);
        let capture = spawn(scope, "capture", ending, move || {
            capture_loop(&mut *source, captured_tx, clock, ending, is_live, figures)
        })?;
        let face = spawn(scope, "face", ending, move || watcher.run(captured_rx, observed_tx, clock, ending, figures))?;
        let foreground_inlet = stages.foreground.is_some().then(|| inlets.next()).flatten();
        let mut sinks = Vec::new();
        for (i, (mut sink, inlet)) in stages.sinks.into_iter().zip(inlets).enumerate() {
            let is_first = i == 0 && foreground_inlet.is_none();
            let figures = is_first.then_some(figures);
            // What is written now and then is none of the places that the run is for.
            let is_counted = sink.demand().is_none() && sink.camera_demand().is_none();
            sinks.push(spawn(scope, "sink", ending, move || {
                let meter = sink_loop(&mut *sink, inlet, clock, ending, is_live, figures)?;
                Ok(is_counted.then_some(meter))
            })?);
        }
        let mut senders = Vec::new();
        for (sink, inlet) in stages.motion.into_iter().zip(motion_inlets) {
            senders.push(spawn(scope, "motion", ending, move || motion_loop(sink, inlet))?);
        }
        let portray = spawn(scope, "generate", ending, move || {
            let outcome = portrayer.run(observed_rx, outlets, motion_outlets, clock, ending, figures);
            outcome.map(|drops| (drops, portrayer.identity_names(), portrayer.was_badged()))
        })?;

        let mut meters = Vec::new();
        if let (Some(mut sink), Some(inlet)) = (stages.foreground, foreground_inlet) {
            meters.extend(guarded("window", ending, || {
                sink_loop(&mut *sink, inlet, clock, ending, is_live, Some(figures))
            }));
        }
        let captured = join(capture);
        let face_drops = join(face);
        let portrayed = join(portray);
        meters.extend(sinks.into_iter().filter_map(join).flatten());
        for sender in senders {
            let _ = join(sender);
        }
        Ok::<_, Error>((captured, face_drops, portrayed, meters))
    })?;

    if let Some(error) = ending.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    let captured = captured.unwrap_or_default();
    (facts.captured, facts.source_rate_hz) = (captured.n_captured, captured.rate_hz);
    let (present_drops, identity_name, was_badged) = portrayed.unwrap_or_default();
    facts.drops =
        DropCounts { face: captured.n_dropped, generate: face_drops.unwrap_or_default(), present: present_drops };
    (facts.identity, facts.badge) = (identity_name, was_badged);
    Ok(Report::new(facts, &meters))
}

/// Starts a named thread whose errors and panics end the run.
fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    name: &'static str,
    ending: &'scope Ending,
    work: impl FnOnce() -> Result<T> + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, Option<T>>> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn_scoped(scope, move || guarded(name, ending, work)).map_err(|error| {
        ending.ask();
        Error::new(ErrorKind::Internal, format!("cannot start the {name} thread")).because(error)
    })
}

/// Does a thread's work; an error or a panic ends the run and gives `None`.
fn guarded<T>(name: &str, ending: &Ending, work: impl FnOnce() -> Result<T>) -> Option<T> {
    // Nothing of a stage that panicked is used afterwards.
    match std::panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            ending.fail(error);
            None
        }
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            ending.fail(Error::new(
                ErrorKind::Internal,
                format!("the {name} stage broke down, which is a defect of this program; please report it: {text}"),
            ));
            None
        }
    }
}

fn join<T>(thread: ScopedJoinHandle<'_, Option<T>>) -> Option<T> {
    // Panics were caught inside.
    thread.join().ok().flatten()
}

/// What the capture thread counted.
#[derive(Default)]
struct CaptureCounts {
    n_captured: u64,
    n_dropped: u64,
    /// Frames a second by their own times; drivers promise what they do not keep.
    rate_hz: f64,
}

/// Reads frames and hands them on; counts frames and those replaced unseen.
fn capture_loop(
    source: &mut dyn Source,
    mut out: Publisher<Captured>,
    clock: &dyn Clock,
    ending: &Ending,
    is_live: bool,
    figures: &LiveFigures,
) -> Result<CaptureCounts> {
    let mut captured = Captured::default();
    let mut counts = CaptureCounts::default();
    let mut first = None;
    while !ending.is_asked() {
        let begin = clock.now();
        match source.read(&mut captured.frame, clock)? {
            Read::Idle => continue,
            Read::Ended => break,
            Read::Fresh => {}
        }
        counts.n_captured += 1;
        let taken = captured.frame.captured();
        let elapsed_secs = taken.since(*first.get_or_insert(taken)).as_secs_f64();
        if elapsed_secs > 0.0 {
            counts.rate_hz = (counts.n_captured - 1) as f64 / elapsed_secs;
        }
        captured.trace = Trace::new(counts.n_captured, taken);
        // Before a live picture was taken the source only waited; a clip's own time says nothing about that.
        let begin = if is_live { begin.max(taken) } else { begin };
        captured.trace.record(Stage::Capture, begin, clock.now());
        match out.publish(&mut captured) {
            Published::InTime => {}
            Published::Dropped => {
                counts.n_dropped += 1;
                figures.count_drop();
            }
            Published::Closed => break,
        }
    }
    Ok(counts)
}

/// Sends motion on until there is no more, then finishes the sink.
fn motion_loop(mut sink: Box<dyn MotionSink>, mut frames: Subscriber<MotionFrame>) -> Result<()> {
    let mut frame = MotionFrame::default();
    let sent = loop {
        match frames.receive(&mut frame, MAX_WAIT) {
            Received::Fresh => {}
            Received::Idle => continue,
            Received::Closed => break Ok(()),
        }
        if let Err(error) = sink.send(&frame) {
            break Err(error);
        }
    };
    let finished = sink.finish();
    sent.and(finished)
}

/// Shows what comes until there is no more, then finishes the sink.
fn sink_loop(
    sink: &mut dyn Sink,
    mut frames: Subscriber<OutFrame>,
    clock: &dyn Clock,
    ending: &Ending,
    is_live: bool,
    figures: Option<&LiveFigures>,
) -> Result<SinkMeter> {
    let mut meter = SinkMeter::new(sink.name());
    let mut live = LiveMeter::default();
    let mut frame = OutFrame::blank(1, 1);
    let shown = loop {
        match frames.receive(&mut frame, MAX_WAIT) {
            Received::Fresh => {}
            Received::Idle => continue,
            // The generate stage ends when the run does, and what it made last is still shown.
            Received::Closed => break Ok(()),
        }
        let begin = clock.now();
        let outcome = sink.present(&frame);
        let end = clock.now();
        frame.trace.record(Stage::Present, begin, end);
        match outcome {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => {
                ending.ask();
                break Ok(());
            }
            Err(error) => break Err(error),
        }
        meter.record(&frame.trace, frame.driver_landmarks.is_some(), is_live, end);
        if let Some(figures) = figures {
            live.record(&frame.trace, is_live, end, figures);
        }
    };
    // A file is completed also after an error; the first error is the one that counts.
    let finished = sink.finish();
    shown.and(finished).map(|()| meter)
}
