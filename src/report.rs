//! Figures of a run: age of the picture, rate, drops, time of every stage.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::composite::Shown;
use crate::microphone::Microphone;
use crate::trace::{Stage, Trace};

/// Version of the report's keys. It rises when a key changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// The longest time a histogram tells apart, in microseconds.
const MAX_MICROS: u64 = 120_000_000;

/// A picture that comes later after the one before than so many of the source's intervals is a stutter.
const STUTTER: f64 = 1.5;

/// Times, kept so that any percentile can be asked for, within 0.1 %.
#[derive(Clone, Debug)]
pub struct Times {
    micros: Histogram<u64>,
}

impl Default for Times {
    fn default() -> Self {
        // Cannot fail with these constants; a histogram that grows by itself is as good.
        let micros = Histogram::new_with_max(MAX_MICROS, 3).or_else(|_| Histogram::new(3));
        Self { micros: micros.unwrap_or_else(|_| unreachable!("three digits are allowed")) }
    }
}

impl Times {
    /// Adds one time. Allocates nothing.
    pub fn record(&mut self, time: Duration) {
        self.micros.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(MAX_MICROS));
    }

    /// How many times were added.
    pub fn count(&self) -> u64 {
        self.micros.len()
    }

    /// The time that a share `quantile` (0..1) of all stays below, in milliseconds.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.micros.value_at_quantile(quantile) as f64 / 1e3
    }

    /// The longest time, in milliseconds.
    pub fn max_ms(&self) -> f64 {
        self.micros.max() as f64 / 1e3
    }
}

/// What one sink showed.
#[derive(Clone, Debug)]
pub struct SinkMeter {
    name: String,
    presented: u64,
    fresh: u64,
    no_face: u64,
    first: Option<Timestamp>,
    last: Timestamp,
    age: Times,
    jitter: Times,
    stages: [Times; Stage::ALL.len()],
    waits: [Times; Stage::ALL.len()],
    /// The first and the last frame shown, and when the last was.
    ends: Option<(Trace, Trace, Timestamp)>,
    n_stutters: u64,
    n_duplicates: u64,
}

impl SinkMeter {
    /// Starts counting.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            presented: 0,
            fresh: 0,
            no_face: 0,
            first: None,
            last: Timestamp::default(),
            age: Times::default(),
            jitter: Times::default(),
            stages: Default::default(),
            waits: Default::default(),
            ends: None,
            n_stutters: 0,
            n_duplicates: 0,
        }
    }

    /// Counts a frame that was shown at `now`; its age counts in a live run only. Allocates nothing.
    pub fn record(&mut self, trace: &Trace, has_face: bool, is_live: bool, now: Timestamp) {
        self.presented += 1;
        self.first.get_or_insert(now);
        self.last = now;
        // A picture that no frame was behind has no age.
        if trace.frame_id == 0 {
            return;
        }
        self.fresh += 1;
        self.no_face += u64::from(!has_face);
        // A frame that waits for its turn is as old as the queue is long.
        if is_live {
            self.age.record(trace.age(now));
            self.follow(trace, now);
        }
        for (stage, (work, wait)) in Stage::ALL.into_iter().zip(self.stages.iter_mut().zip(&mut self.waits)) {
            work.record(trace.span(stage).duration());
            wait.record(trace.wait(stage));
        }
    }

    /// Compares the frame with the one before.
    fn follow(&mut self, trace: &Trace, now: Timestamp) {
        let (first, last, last_shown) = *self.ends.get_or_insert((*trace, *trace, now));
        self.ends = Some((first, *trace, now));
        if trace.frame_id == last.frame_id {
            // Only the very first frame is its own predecessor.
            self.n_duplicates += u64::from(self.age.count() > 1);
            return;
        }
        self.jitter.record(trace.age(now).abs_diff(last.age(last_shown)));
        let n_intervals = trace.frame_id.saturating_sub(first.frame_id).max(1);
        let interval_secs = trace.captured.since(first.captured).as_secs_f64() / n_intervals as f64;
        self.n_stutters += u64::from(now.since(last_shown).as_secs_f64() > STUTTER * interval_secs);
    }

    /// Frames shown a second, from first to last.
    fn rate_hz(&self) -> f64 {
        let secs = self.first.map_or(0.0, |first| self.last.since(first).as_secs_f64());
        if secs > 0.0 { (self.presented - 1) as f64 / secs } else { 0.0 }
    }
}

/// Figures of the last second, for overlays: written by the pipeline, read by whoever shows them.
#[derive(Debug, Default)]
pub struct LiveFigures {
    age_micros: AtomicU64,
    audio_delay_micros: AtomicU64,
    rate_millihertz: AtomicU64,
    dropped: AtomicU64,
    presented: AtomicU64,
    shown: Mutex<Option<Shown>>,
    microphone: OnceLock<Microphone>,
}

impl LiveFigures {
    /// What the newest picture shows; `None` before the first.
    pub fn shown(&self) -> Option<Shown> {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a picture shows, unless somebody reads that right now: the next picture says it again.
    pub(crate) fn remember(&self, shown: Shown) {
        if let Ok(mut kept) = self.shown.try_lock() {
            *kept = Some(shown);
        }
    }

    /// The microphone that is recorded, where one is.
    pub fn microphone(&self) -> Option<&Microphone> {
        self.microphone.get()
    }

    /// Says which microphone is recorded; once a run.
    pub fn set_microphone(&self, microphone: Microphone) {
        // A second one is not asked for.
        let _ = self.microphone.set(microphone);
    }

    /// Median age of the picture in the last second, in milliseconds.
    pub fn age_ms(&self) -> f64 {
        self.age_micros.load(Ordering::Relaxed) as f64 / 1e3
    }

    /// By how much sound must be delayed to meet the picture, in milliseconds: the median age since the start, which
    /// does not move about like that of one second. Zero until it is known.
    pub fn audio_delay_ms(&self) -> f64 {
        self.audio_delay_micros.load(Ordering::Relaxed) as f64 / 1e3
    }

    /// Frames shown in the last second.
    pub fn rate_hz(&self) -> f64 {
        self.rate_millihertz.load(Ordering::Relaxed) as f64 / 1e3
    }

    /// Frames shown since the start.
    pub fn presented(&self) -> u64 {
        self.presented.load(Ordering::Relaxed)
    }

    /// Frames dropped since the start, anywhere.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts a dropped frame.
    pub(crate) fn count_drop(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Renews [`LiveFigures`] once a second from the frames of one sink.
#[derive(Debug, Default)]
pub(crate) struct LiveMeter {
    since: Option<Timestamp>,
    frames: u64,
    age: Times,
    age_of_all: Times,
}

impl LiveMeter {
    pub(crate) fn record(&mut self, trace: &Trace, is_live: bool, now: Timestamp, figures: &LiveFigures) {
        let since = *self.since.get_or_insert(now);
        self.frames += 1;
        figures.presented.fetch_add(1, Ordering::Relaxed);
        if trace.frame_id != 0 && is_live {
            self.age.record(trace.age(now));
            self.age_of_all.record(trace.age(now));
        }
        let elapsed_secs = now.since(since).as_secs_f64();
        if elapsed_secs >= 1.0 {
            figures.rate_millihertz.store((self.frames as f64 / elapsed_secs * 1e3) as u64, Ordering::Relaxed);
            figures.age_micros.store((self.age.quantile_ms(0.5) * 1e3) as u64, Ordering::Relaxed);
            figures.audio_delay_micros.store((self.age_of_all.quantile_ms(0.5) * 1e3) as u64, Ordering::Relaxed);
            self.frames = 0;
            self.age.micros.reset();
            self.since = Some(now);
        }
    }
}

/// Counts of frames.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct FrameCounts {
    /// Frames that the source delivered.
    pub captured: u64,
    /// Pictures that the first sink showed.
    pub presented: u64,
    /// Frames replaced by newer ones before the first sink had shown them.
    pub dropped: u64,
    /// Frames shown in which no face was found.
    pub no_face: u64,
}

/// Where frames were dropped.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct DropCounts {
    /// Before the face stage.
    pub face: u64,
    /// Before the generator.
    pub generate: u64,
    /// Before the first sink.
    pub present: u64,
}

/// Percentiles of the picture's age when it was shown, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct AgeFigures {
    /// Median.
    pub p50: f64,
    /// 9 of 10 are younger.
    pub p90: f64,
    /// 99 of 100 are younger.
    pub p99: f64,
    /// 999 of 1000 are younger.
    pub p999: f64,
    /// The oldest.
    pub max: f64,
}

impl From<&Times> for AgeFigures {
    fn from(times: &Times) -> Self {
        Self {
            p50: times.quantile_ms(0.5),
            p90: times.quantile_ms(0.9),
            p99: times.quantile_ms(0.99),
            p999: times.quantile_ms(0.999),
            max: times.max_ms(),
        }
    }
}

/// Percentiles of a stage's work on one frame, or of a frame's waiting for it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct StageFigures {
    /// Median, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 are faster, in milliseconds.
    pub p99_ms: f64,
}

/// What one sink showed.
#[derive(Clone, Debug, Serialize)]
pub struct SinkFigures {
    /// The sink's name.
    pub name: String,
    /// Pictures shown.
    pub presented: u64,
    /// Frames a second.
    pub fps: f64,
    /// Age of the picture when it was shown, in milliseconds.
    pub age_ms: AgeFigures,
}

/// The machine a run was made on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Processors that this program may use.
    pub cores: usize,
    /// The operating system.
    pub os: &'static str,
    /// The processor's architecture.
    pub arch: &'static str,
}

impl Machine {
    /// Describes this machine.
    pub fn describe() -> Self {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            line.split(':').nth(1).map(|name| name.trim().to_owned())
        });
        Self {
            cpu: cpu.unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
        }
    }
}

/// The figures of a run. The keys are stable; [`SCHEMA`] is their version.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of the keys.
    pub schema: u32,
    /// Version of the program.
    pub version: &'static str,
    /// Pictures a second at the first sink.
    pub fps: f64,
    /// Counts of frames.
    pub frames: FrameCounts,
    /// Where frames were dropped.
    pub drops: DropCounts,
    /// Age of the picture when the first sink had shown it, in milliseconds.
    pub age_ms: AgeFigures,
    /// How much the age differs from one picture to the next (RFC 3550, section 6.4.1: D), in milliseconds.
    pub jitter_ms: AgeFigures,
    /// Pictures that came later than 1.5 of the source's intervals after the one before.
    pub stutters: u64,
    /// Frames that were shown twice.
    pub duplicates: u64,
    /// Time of every stage's own work, by name.
    pub stages: BTreeMap<&'static str, StageFigures>,
    /// Time that frames waited for each stage, by name.
    pub waits: BTreeMap<&'static str, StageFigures>,
    /// All sinks.
    pub sinks: Vec<SinkFigures>,
    /// What the generator ran on.
    pub backend: String,
    /// The generator.
    pub generator: String,
    /// The identity shown last.
    pub identity: String,
    /// Where the driver's frames came from.
    pub source: String,
    /// Frames a second that it delivered.
    pub source_fps: f64,
    /// Whether the visible mark was on all the time.
    pub badge: bool,
    /// The machine.
    pub machine: Machine,
}

/// What the pipeline knows of itself, for the report.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunFacts {
    pub(crate) captured: u64,
    pub(crate) drops: DropCounts,
    pub(crate) backend: String,
    pub(crate) generator: String,
    pub(crate) identity: String,
    pub(crate) source: String,
    pub(crate) source_rate_hz: f64,
    pub(crate) badge: bool,
}

fn by_stage(times: &[Times]) -> BTreeMap<&'static str, StageFigures> {
    let figures = |times: &Times| StageFigures { p50_ms: times.quantile_ms(0.5), p99_ms: times.quantile_ms(0.99) };
    Stage::ALL.into_iter().zip(times).map(|(stage, times)| (stage.name(), figures(times))).collect()
}

impl Report {
    pub(crate) fn new(facts: RunFacts, sinks: &[SinkMeter]) -> Self {
        let nothing = SinkMeter::new("none");
        let first = sinks.first().unwrap_or(&nothing);
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            fps: first.rate_hz(),
            frames: FrameCounts {
                captured: facts.captured,
                presented: first.presented,
                dropped: facts.drops.face + facts.drops.generate + facts.drops.present,
                no_face: first.no_face,
            },
            drops: facts.drops,
            age_ms: AgeFigures::from(&first.age),
            jitter_ms: AgeFigures::from(&first.jitter),
            stutters: first.n_stutters,
            duplicates: first.n_duplicates,
            stages: by_stage(&first.stages),
            waits: by_stage(&first.waits),
            sinks: sinks
                .iter()
                .map(|sink| SinkFigures {
                    name: sink.name.clone(),
                    presented: sink.presented,
                    fps: sink.rate_hz(),
                    age_ms: AgeFigures::from(&sink.age),
                })
                .collect(),
            backend: facts.backend,
            generator: facts.generator,
            identity: facts.identity,
            source: facts.source,
            source_fps: facts.source_rate_hz,
            badge: facts.badge,
            machine: Machine::describe(),
        }
    }
}
