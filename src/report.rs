//! Figures of a run: age of the picture, rate, drops, time of every stage.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::capture::SourceSwitch;
use crate::clock::Timestamp;
use crate::composite::Shown;
use crate::conditions::{Conditions, Trouble};
use crate::demand::{CameraDemand, Demand};
use crate::microphone::Microphone;
use crate::trace::{Stage, Trace};

pub(crate) use figures::RunFacts;
pub use figures::{
    AgeFigures, DropCounts, FrameCounts, Machine, RemoteFigures, Report, SCHEMA, SinkFigures, StageFigures,
};
use load::Load;

mod figures;
mod load;

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
    /// Of pictures that another machine made: the network's share, and its own work.
    network: Times,
    remote_work: Times,
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
            network: Times::default(),
            remote_work: Times::default(),
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
        if let Some(away) = trace.away {
            self.network.record(away.network());
            self.remote_work.record(away.worked);
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
    microphone: OnceLock<(Microphone, MicrophoneUse)>,
    demand: OnceLock<Arc<Demand>>,
    switch: OnceLock<Arc<SourceSwitch>>,
    cameras: OnceLock<Vec<Arc<CameraDemand>>>,
}

/// What a microphone is heard for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MicrophoneUse {
    /// It is recorded.
    Recorded,
    /// It is recorded when a recording begins; it may move the mouth.
    OnDemand,
    /// It moves the mouth and is recorded nowhere.
    Drives,
}

impl MicrophoneUse {
    /// What a page calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::OnDemand => "listening",
            Self::Drives => "drives",
        }
    }
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

    /// The microphone that is heard, where one is, and what for at this moment.
    pub fn microphone(&self) -> Option<(&Microphone, MicrophoneUse)> {
        let (microphone, usage) = self.microphone.get()?;
        let is_recording = self.demand().is_some_and(Demand::is_recording);
        let usage = if *usage == MicrophoneUse::OnDemand && is_recording { MicrophoneUse::Recorded } else { *usage };
        Some((microphone, usage))
    }

    /// Says which microphone is heard, and what for; once a run, and of two the one that is recorded.
    pub fn set_microphone(&self, microphone: Microphone, usage: MicrophoneUse) {
        // A second one is not asked for.
        let _ = self.microphone.set((microphone, usage));
    }

    /// What recordings are asked of, where the run can make some.
    pub fn demand(&self) -> Option<&Demand> {
        self.demand.get().map(|demand| &**demand)
    }

    /// What cameras for other programs are asked of, where the run can open some.
    pub fn cameras(&self) -> impl Iterator<Item = &CameraDemand> {
        self.cameras.get().into_iter().flatten().map(|camera| &**camera)
    }

    /// Says what the sinks of a run are asked of; once a run.
    pub(crate) fn set_demands(&self, recorder: Option<Arc<Demand>>, cameras: Vec<Arc<CameraDemand>>) {
        // Asked a second time it stays as it is.
        if let Some(demand) = recorder {
            let _ = self.demand.set(demand);
        }
        let _ = self.cameras.set(cameras);
    }

    /// What another camera is asked of, where the run can change it.
    pub fn switch(&self) -> Option<&SourceSwitch> {
        self.switch.get().map(|switch| &**switch)
    }

    /// Says what another camera is asked of; once a run.
    pub fn set_switch(&self, switch: Arc<SourceSwitch>) {
        // A run has one source.
        let _ = self.switch.set(switch);
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

#[cfg(test)]
mod tests {
    use super::*;

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
