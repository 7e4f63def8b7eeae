//! Fixed scenes: what a day with a camera brings, each the same every time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::record::{Label, RunRecord, memory_mib};
use super::samples::SamplingSink;
use super::stage::{Mood, MoodySource, SlowGenerator, SlowSink, SlowTracker};
use crate::capture::{self, Source, SourceOptions, SourceSpec};
use crate::clock::{Clock, MonotonicClock};
use crate::composite::{CompositeOptions, Compositor};
use crate::drive::DriveOptions;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::face::{FaceTracker, Tracker, TrackerOptions};
use crate::generate::Generator;
use crate::identity::Identity;
use crate::pipeline::{self, Control, Stages};
use crate::report::LiveFigures;
use crate::sink::{NullSink, Sink};

/// How much slower a stage becomes in an overload.
const SLOW: u32 = 10;
/// How often the identity changes, the face goes, the camera is pulled out.
const PERIOD: Duration = Duration::from_secs(3);
/// How long face or camera are gone.
const ABSENCE: Duration = Duration::from_secs(1);

/// A scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing happens.
    Steady,
    /// The source delivers four frames at once.
    Bursty,
    /// The generator needs twice as long.
    SlowGenerator,
    /// Every processor is kept busy by others.
    CpuLoad,
    /// Another identity every three seconds.
    Switches,
    /// The face is gone for one of every three seconds.
    FaceLost,
    /// The camera is gone for one of every three seconds.
    Replug,
    /// Delivering a frame takes ten times as long.
    OverloadCapture,
    /// The face stage takes ten times as long.
    OverloadFace,
    /// The generator takes ten times as long.
    OverloadGenerate,
    /// The sink takes 30 ms instead of 3.
    OverloadSink,
}

impl Scenario {
    /// All scenes, in order.
    pub const ALL: [Self; 11] = [
        Self::Steady,
        Self::Bursty,
        Self::SlowGenerator,
        Self::CpuLoad,
        Self::Switches,
        Self::FaceLost,
        Self::Replug,
        Self::OverloadCapture,
        Self::OverloadFace,
        Self::OverloadGenerate,
        Self::OverloadSink,
    ];

    /// The name that is typed and written down.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Bursty => "bursty",
            Self::SlowGenerator => "slow-generator",
            Self::CpuLoad => "cpu-load",
            Self::Switches => "switches",
            Self::FaceLost => "face-lost",
            Self::Replug => "replug",
            Self::OverloadCapture => "overload-capture",
            Self::OverloadFace => "overload-face",
            Self::OverloadGenerate => "overload-generate",
            Self::OverloadSink => "overload-sink",
        }
    }

    /// What happens in it.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Steady => "the test pattern at its own pace",
            Self::Bursty => "the source holds frames back and delivers four at once",
            Self::SlowGenerator => "the generator takes twice as long",
            Self::CpuLoad => "every processor is kept busy by other threads",
            Self::Switches => "another identity every three seconds",
            Self::FaceLost => "nobody is in the picture for one of every three seconds",
            Self::Replug => {
                "the source delivers nothing for one of every three seconds; a stand-in for a camera pulled out, \
                 without the driver's own time to open"
            }
            Self::OverloadCapture => "delivering a frame takes ten times as long",
            Self::OverloadFace => "the face stage takes ten times as long",
            Self::OverloadGenerate => "the generator takes ten times as long",
            Self::OverloadSink => "the sink takes 30 ms instead of 3 ms",
        }
    }
}

impl std::str::FromStr for Scenario {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|scenario| scenario.name()).collect();
            Error::new(ErrorKind::Config, format!("no scenario {text:?}; there are {}", names.join(", ")))
        })
    }
}

/// What a scene is played with.
pub struct Engine<'a> {
    /// Who is shown; the first at first.
    pub identities: Vec<Arc<Identity>>,
    /// Makes a generator for each run.
    pub generator: &'a dyn Fn() -> Result<Box<dyn Generator>>,
    /// Size of the picture, in pixels a side.
    pub size_px: usize,
}

/// How long a scene is played.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// What is measured.
    pub measured: Duration,
    /// What is played before, and not measured.
    pub warm_up: Duration,
}

/// Opens the test pattern as a camera.
pub(super) fn open_pattern() -> Result<Box<dyn Source>> {
    capture::open(&SourceSpec::Pattern, &SourceOptions { looped: true, ..SourceOptions::default() })
}

/// Plays one scene and says how it went.
///
/// Ages count from when a frame was due to be taken, whatever the pipeline was busy with then: a stall that keeps
/// frames from being taken is not left out of the figures.
///
/// # Errors
/// As [`pipeline::run`]; [`ErrorKind::Config`] when nothing was shown after the warm-up.
pub fn play(scenario: Scenario, engine: &Engine<'_>, length: Length, label: Label) -> Result<RunRecord> {
    let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
    let mut source = open_pattern()?;
    let rate_hz = source.frame_rate_hz().unwrap_or(30.0);
    let mood = match scenario {
        Scenario::Bursty => Some(Mood::Bursts),
        Scenario::FaceLost => Some(Mood::Absence { period: PERIOD, absence: ABSENCE }),
        Scenario::Replug => Some(Mood::Unplugged { period: PERIOD, absence: ABSENCE }),
        Scenario::OverloadCapture => Some(Mood::Slow(SLOW)),
        _ => None,
    };
    if let Some(mood) = mood {
        source = Box::new(MoodySource::new(source, mood));
    }
    let mut tracker: Box<dyn Tracker> = Box::new(FaceTracker::new(TrackerOptions::default())?);
    if scenario == Scenario::OverloadFace {
        tracker = Box::new(SlowTracker { inner: tracker, times: SLOW, clock: Arc::clone(&clock) });
    }
    let mut generator = (engine.generator)()?;
    // Slow, and slower where another machine is told of it: before the time counts.
    if let Some(first) = engine.identities.first() {
        generator.adopt(Arc::clone(first))?;
    }
    let times = match scenario {
        Scenario::SlowGenerator => 2,
        Scenario::OverloadGenerate => SLOW,
        _ => 1,
    };
    if times > 1 {
        generator = Box::new(SlowGenerator { inner: generator, times, clock: Arc::clone(&clock) });
    }
    let inner: Box<dyn Sink + Send> = match scenario {
        Scenario::OverloadSink => Box::new(SlowSink { times: SLOW, clock: Arc::clone(&clock) }),
        _ => Box::new(NullSink::default()),
    };
    let (sink, samples) = SamplingSink::new(inner, Arc::clone(&clock));
    let compositor = Compositor::new(CompositeOptions { size_px: engine.size_px, ..CompositeOptions::default() })?;
    let stages = Stages {
        first: 0,
        motion: Vec::new(),
        source,
        tracker,
        drive: DriveOptions::default(),
        generator,
        compositor,
        identities: engine.identities.clone(),
        sinks: vec![Box::new(sink)],
        foreground: None,
        beside: None,
        every_frame: false,
        figures: Arc::new(LiveFigures::default()),
    };
    let (control_tx, control_rx) = bounded(8);
    let memory = Arc::new(Mutex::new([0.0; 2]));
    let (over_tx, over_rx) = bounded::<()>(0);
    let is_over = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let failed = || "cannot start a thread of the bench".to_owned();
        let n_identities = engine.identities.len();
        let kept = Arc::clone(&memory);
        let director = std::thread::Builder::new()
            .name("director".to_owned())
            .spawn_scoped(scope, move || {
                let switches = (scenario == Scenario::Switches).then_some(n_identities);
                direct(&control_tx, &over_rx, length, switches, &kept);
            })
            .or_error(ErrorKind::Internal, failed)?;
        let n_busy = match scenario {
            Scenario::CpuLoad => std::thread::available_parallelism().map_or(1, usize::from),
            _ => 0,
        };
        for _ in 0..n_busy {
            let spin = || {
                let mut x = 1_u64;
                while !is_over.load(Ordering::Relaxed) {
                    x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                }
            };
            std::thread::Builder::new()
                .name("load".to_owned())
                .spawn_scoped(scope, spin)
                .or_error(ErrorKind::Internal, failed)?;
        }
        let report = pipeline::run(stages, &*clock, control_rx);
        is_over.store(true, Ordering::Relaxed);
        drop(over_tx);
        drop(director.join());
        report
    })?;
    let mut record = RunRecord::new(label, &report, &samples.take(), engine.size_px, rate_hz, length.warm_up)?;
    record.memory_mib = *memory.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(record)
}

/// Does what happens by the clock: reads the memory, switches identities, ends the run.
fn direct(
    control: &Sender<Control>,
    over: &crossbeam_channel::Receiver<()>,
    length: Length,
    n_identities: Option<usize>,
    memory: &Mutex<[f64; 2]>,
) {
    // The run may fail earlier.
    let wait = |time: Duration| over.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
    if !wait(length.warm_up) {
        return;
    }
    let before = memory_mib();
    let mut left = length.measured;
    let mut shown = 0;
    while let Some(n) = n_identities.filter(|n| *n > 0 && left > PERIOD) {
        if !wait(PERIOD) {
            return;
        }
        left -= PERIOD;
        shown = (shown + 1) % n;
        let _ = control.try_send(Control::Identity(shown));
    }
    if wait(left) {
        *memory.lock().unwrap_or_else(PoisonError::into_inner) = [before, memory_mib()];
        let _ = control.send_timeout(Control::Quit, Duration::from_secs(1));
    }
}
