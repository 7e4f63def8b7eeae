//! Figures of a run: age of the picture, rate, drops, time of every stage.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::composite::Shown;
use crate::conditions::{Conditions, Trouble};
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
    parts_micros: [AtomicU64; N_PARTS],
    conditions: AtomicU32,
    is_late: AtomicBool,
    shown: Mutex<Option<Shown>>,
}

/// What the age of a picture is made of: the stages' own work, then waiting of any kind.
const N_PARTS: usize = Stage::ALL.len() + 1;

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

    /// Median age of the picture in the last second, in milliseconds.
    pub fn age_ms(&self) -> f64 {
        self.age_micros.load(Ordering::Relaxed) as f64 / 1e3
    }

    /// By how much sound must be delayed to meet the picture, in milliseconds: the median age since the start, which
    /// does not move about like that of one second. Zero until it is known.
    pub fn audio_delay_ms(&self) -> f64 {
        self.audio_delay_micros.load(Ordering::Relaxed) as f64 / 1e3
    }

    /// What the age is made of, in the mean over the last second: each stage by its name, then `waiting`, in
    /// milliseconds.
    pub fn age_parts_ms(&self) -> [(&'static str, f64); N_PARTS] {
        std::array::from_fn(|i| {
            let name = Stage::ALL.get(i).map_or("waiting", |stage| stage.name());
            (name, self.parts_micros[i].load(Ordering::Relaxed) as f64 / 1e3)
        })
    }

    /// How well the driver is seen, and what is wrong, load included.
    pub fn conditions(&self) -> Conditions {
        let seen = Conditions::from_bits(self.conditions.load(Ordering::Relaxed));
        let troubles = seen.troubles.with(Trouble::Load, self.is_late.load(Ordering::Relaxed));
        Conditions { troubles, ..seen }
    }

    /// Keeps how well the driver is seen.
    pub(crate) fn set_conditions(&self, conditions: Conditions) {
        self.conditions.store(conditions.to_bits(), Ordering::Relaxed);
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
    /// Sums over the frames in `age`.
    parts: [Duration; N_PARTS],
    n_dropped: u64,
    load: Load,
}

impl LiveMeter {
    pub(crate) fn record(&mut self, trace: &Trace, is_live: bool, now: Timestamp, figures: &LiveFigures) {
        let since = *self.since.get_or_insert(now);
        self.frames += 1;
        figures.presented.fetch_add(1, Ordering::Relaxed);
        if trace.frame_id != 0 && is_live {
            self.age.record(trace.age(now));
            self.age_of_all.record(trace.age(now));
            let mut waiting = trace.age(now);
            for (sum, stage) in self.parts.iter_mut().zip(Stage::ALL) {
                let work = trace.span(stage).duration();
                *sum += work;
                waiting = waiting.saturating_sub(work);
            }
            self.parts[N_PARTS - 1] += waiting;
        }
        let elapsed_secs = now.since(since).as_secs_f64();
        if elapsed_secs >= 1.0 {
            let rate_hz = self.frames as f64 / elapsed_secs;
            figures.rate_millihertz.store((rate_hz * 1e3) as u64, Ordering::Relaxed);
            figures.age_micros.store((self.age.quantile_ms(0.5) * 1e3) as u64, Ordering::Relaxed);
            figures.audio_delay_micros.store((self.age_of_all.quantile_ms(0.5) * 1e3) as u64, Ordering::Relaxed);
            let n_aged = self.age.count().max(1);
            for (kept, sum) in figures.parts_micros.iter().zip(&mut self.parts) {
                kept.store(sum.as_micros() as u64 / n_aged, Ordering::Relaxed);
                *sum = Duration::ZERO;
            }
            let n_dropped = figures.dropped();
            let dropped_hz = n_dropped.saturating_sub(self.n_dropped) as f64 / elapsed_secs;
            self.n_dropped = n_dropped;
            let is_late = self.load.is_late(rate_hz, dropped_hz, self.age.quantile_ms(0.5));
            figures.is_late.store(is_live && is_late, Ordering::Relaxed);
            self.frames = 0;
            self.age.micros.reset();
            self.since = Some(now);
        }
    }
}

/// Whether the machine keeps up, from second to second.
#[derive(Debug, Default)]
struct Load {
    is_late: bool,
    /// Seconds in a row that said the other thing.
    n_against: u32,
}

impl Load {
    /// A call feels an older picture as delay (ITU-T G.114 asks for 150 ms one way, the network's included).
    const MAX_AGE_MS: f64 = 120.0;
    /// Fewer pictures a second are seen as jerks; a faster camera may drop down to it.
    const MIN_RATE_HZ: f64 = 20.0;
    /// So many seconds in a row must say the same.
    const N_SECS: u32 = 3;

    /// Takes in a second: frames shown and dropped in it, and the median age.
    fn is_late(&mut self, rate_hz: f64, dropped_hz: f64, age_ms: f64) -> bool {
        let is_short = rate_hz < Self::MIN_RATE_HZ && dropped_hz > 0.2 * rate_hz;
        let now = is_short || age_ms > Self::MAX_AGE_MS;
        self.n_against = if now == self.is_late { 0 } else { self.n_against + 1 };
        if self.n_against >= Self::N_SECS {
            self.is_late = now;
            self.n_against = 0;
        }
        self.is_late
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_told_after_three_bad_seconds_and_withdrawn_after_three_good_ones() {
        let mut load = Load::default();
        let mut seconds = |n: u32, rate_hz, dropped_hz, age_ms| {
            (0..n).map(|_| load.is_late(rate_hz, dropped_hz, age_ms)).last().unwrap()
        };
        assert!(!seconds(10, 30.0, 0.0, 20.0));
        // A fast camera of which every second frame is shown is no trouble, nor is a slow camera.
        assert!(!seconds(10, 30.0, 30.0, 40.0));
        assert!(!seconds(10, 12.0, 0.0, 40.0));
        assert!(!seconds(2, 9.0, 21.0, 100.0));
        assert!(seconds(1, 9.0, 21.0, 100.0));
        assert!(seconds(2, 30.0, 0.0, 20.0));
        assert!(!seconds(1, 30.0, 0.0, 20.0));
        assert!(seconds(3, 30.0, 0.0, 300.0));
    }

    #[test]
    fn the_parts_of_the_age_add_up_to_it() {
        let at = |ms: u64| Timestamp::from_nanos(ms * 1_000_000);
        let (figures, mut meter) = (LiveFigures::default(), LiveMeter::default());
        for frame in 0..=40_u64 {
            let begin = 1000 + frame * 33;
            let mut trace = Trace::new(frame + 1, at(begin));
            // Taken, waited for 2 ms, decoded in 3; the face in 5 after 1; the picture in 10; shown in 4 after 2.
            trace.record(Stage::Capture, at(begin + 2), at(begin + 5));
            trace.record(Stage::Face, at(begin + 6), at(begin + 11));
            trace.record(Stage::Generate, at(begin + 11), at(begin + 21));
            trace.record(Stage::Present, at(begin + 23), at(begin + 27));
            meter.record(&trace, true, at(begin + 27), &figures);
        }
        let parts = figures.age_parts_ms();
        let part = |name| parts.iter().find(|(n, _)| *n == name).unwrap().1;
        assert_eq!(
            ["capture", "face", "drive", "generate", "composite", "present", "waiting"].map(part),
            [3.0, 5.0, 0.0, 10.0, 0.0, 4.0, 5.0]
        );
        assert!((figures.age_ms() - 27.0).abs() < 0.1);
        assert!(!figures.conditions().troubles.has(Trouble::Load));
    }
}
