//! Whatever stage is slow, the picture stays young and memory stays flat. Time is virtual: the clock moves on when no
//! stage has anything left to do, so that the figures are exact, however busy the machine is.
//!
//! One test alone in its process, since it counts all of its memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "common/allocator.rs"]
mod allocator;
mod common;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use allocator::Noting;
use crossbeam_channel::bounded;
use effigy::capture::Read;
use effigy::clock::{Clock, Timestamp};
use effigy::composite::{CompositeOptions, Compositor};
use effigy::drive::DriveOptions;
use effigy::face::Tracker;
use effigy::identity::Basis;
use effigy::pipeline::{Stages, run};
use effigy::report::{LiveFigures, Report};
use effigy::sink::Delivery;
use effigy::{
    DrivingSignal, FaceObservation, Generator, Identity, OutFrame, Portrait, RawFrame, Result, Rgb, Sink, Source,
};

static LIVE_BYTES: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static ALLOCATOR: Noting = Noting(|n_bytes| {
    LIVE_BYTES.fetch_add(n_bytes, Ordering::Relaxed);
});

/// Frames of a run, and those after which memory must not grow any more.
const N_FRAMES: u64 = 150;
const N_WARM_UP: u64 = 40;
/// Time between two frames.
const INTERVAL: Duration = Duration::from_millis(33);
/// What each stage takes when all is well: delivering a frame, face, generate, present.
///
/// No two sums of these are equal, so that no two things happen at one moment.
const USUAL: [Duration; 4] = [
    Duration::from_nanos(1_000_013),
    Duration::from_nanos(6_000_017),
    Duration::from_nanos(7_000_019),
    Duration::from_nanos(4_000_023),
];
const PLACES: [&str; 4] = ["capture", "face", "generate", "present"];
const SLOW: u32 = 10;

/// What the four stages do.
#[derive(Default)]
struct State {
    now: Timestamp,
    /// Until when each stage works.
    until: [Timestamp; 4],
    /// The frame that each stage took up last, and the one that it finished last.
    taken: [u64; 4],
    finished: [u64; 4],
    has_source_ended: bool,
    /// Where the system tells what the thread of the face stage does: nothing else tells that what it found has been
    /// handed on.
    face_thread: Option<PathBuf>,
}

/// Whether a thread waits for something.
fn is_asleep(thread: &Path) -> bool {
    let stat = std::fs::read_to_string(thread.join("stat")).unwrap_or_default();
    // The state follows the name, which is in brackets. A thread that has ended is as quiet.
    stat.rsplit(") ").next().is_none_or(|rest| !rest.starts_with('R'))
}

impl State {
    /// Whether nothing can happen in a stage before time goes on: it works, or it has seen what there is to see.
    fn is_quiet(&self, stage: usize) -> bool {
        let is_working = self.until[stage] > self.now;
        let has_seen_all = match stage {
            0 => self.has_source_ended,
            _ => self.taken[stage] == self.finished[stage] && self.taken[stage] == self.finished[stage - 1],
        };
        is_working || has_seen_all
    }
}

/// A clock that moves on to the next moment that someone waits for, once nothing is left to do before.
#[derive(Default)]
struct VirtualClock {
    state: Mutex<State>,
    moved: Condvar,
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.state.lock().unwrap().now
    }

    fn wait_until(&self, _: Timestamp, _: Duration) -> bool {
        unreachable!("only the stages of this test wait")
    }
}

impl VirtualClock {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// Moves on to the next moment that someone waits for, if nothing is left to do before.
    fn advance(&self) {
        let mut state = self.state.lock().unwrap();
        if (0..4).all(|stage| state.is_quiet(stage)) && state.face_thread.as_deref().is_none_or(is_asleep) {
            let now = state.now;
            if let Some(next) = state.until.into_iter().filter(|until| *until > now).min() {
                state.now = next;
                self.moved.notify_all();
            }
        }
    }

    /// Lets a stage work, as `begin` says until when.
    fn wait(&self, stage: usize, begin: impl FnOnce(&mut State) -> Timestamp) {
        self.change(|state| state.until[stage] = begin(state));
        let state = self.state.lock().unwrap();
        let is_busy = |state: &mut State| state.now < state.until[stage];
        let (state, timeout) = self.moved.wait_timeout_while(state, Duration::from_secs(60), is_busy).unwrap();
        assert!(!timeout.timed_out(), "time stands still: {:?} {:?} {:?}", state.until, state.taken, state.finished);
    }

    /// Lets a stage take up `frame`, work on it and finish it; when that was.
    ///
    /// Read here, since time may go on as soon as the frame counts as finished.
    ///
    /// The generator's frames count as finished when they have been handed on, see [`Painter::prepare`].
    fn work(&self, stage: usize, frame: u64, time: Duration) -> Timestamp {
        self.wait(stage, |state| {
            state.taken[stage] = frame;
            state.now + time
        });
        let done = self.now();
        if stage != 2 {
            self.change(|state| state.finished[stage] = frame);
        }
        done
    }

    /// The frame that the stage before has finished last: what a stage that was idle takes up.
    fn newest(&self, stage: usize) -> u64 {
        self.state.lock().unwrap().finished[stage - 1]
    }
}

/// The number of the frame that was taken at this moment.
fn number(captured: Timestamp) -> u64 {
    captured.as_nanos() / INTERVAL.as_nanos() as u64
}

/// A camera that takes a picture every 33 ms, whether anyone is ready for it or not, and keeps only the newest.
struct Camera {
    clock: Arc<VirtualClock>,
    work: Duration,
    n_taken: u64,
    picture: Rgb,
    live_bytes: Arc<Mutex<[isize; 2]>>,
}

impl Source for Camera {
    fn name(&self) -> &str {
        "camera"
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        // The last frame has been handed on.
        self.clock.change(|state| state.finished[0] = self.n_taken);
        let next = Timestamp::default() + INTERVAL * (self.n_taken as u32 + 1);
        self.clock.wait(0, |state| next.max(state.now + Duration::from_nanos(1)));
        // The newest that is due; those before it are lost in the driver.
        let taken = number(clock.now());
        self.clock.wait(0, |state| state.now + self.work);
        for (limit, kept) in [N_WARM_UP, N_FRAMES].into_iter().zip(self.live_bytes.lock().unwrap().iter_mut()) {
            if self.n_taken < limit && taken >= limit {
                *kept = LIVE_BYTES.load(Ordering::Relaxed);
            }
        }
        self.n_taken = taken;
        if taken > N_FRAMES {
            self.clock.change(|state| state.has_source_ended = true);
            return Ok(Read::Ended);
        }
        frame.set_picture(&self.picture);
        frame.set_captured(Timestamp::default() + INTERVAL * taken as u32);
        Ok(Read::Fresh)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        None
    }
}

struct Eyes {
    clock: Arc<VirtualClock>,
    work: Duration,
    face: FaceObservation,
    n_seen: u64,
}

impl Tracker for Eyes {
    fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool> {
        if self.n_seen == 0 {
            let thread = Path::new("/proc").join(std::fs::read_link("/proc/thread-self").unwrap());
            self.clock.change(|state| state.face_thread = Some(thread));
        }
        self.n_seen += 1;
        self.clock.work(1, number(frame.captured()), self.work);
        face.clone_from(&self.face);
        face.captured = frame.captured();
        Ok(true)
    }
}

struct Painter(Arc<VirtualClock>, Duration);

impl Generator for Painter {
    fn name(&self) -> &str {
        "painter"
    }
    fn backend(&self) -> &str {
        "time"
    }
    fn adopt(&mut self, _: Arc<Identity>) -> Result<()> {
        Ok(())
    }
    /// Asked again and again between two frames: whatever was made has then been handed on.
    fn prepare(&mut self, _: &Arc<Identity>) -> Result<bool> {
        self.0.change(|state| state.finished[2] = state.taken[2]);
        Ok(true)
    }
    fn generate(&mut self, _: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        self.0.work(2, self.0.newest(2), self.1);
        portrait.picture.reshape(512, 512);
        Ok(())
    }
}

struct Screen {
    clock: Arc<VirtualClock>,
    work: Duration,
    oldest: Arc<Mutex<Duration>>,
}

impl Sink for Screen {
    fn name(&self) -> &str {
        "screen"
    }
    fn delivery(&self) -> Delivery {
        Delivery::Latest
    }
    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        let shown = self.clock.work(3, number(frame.trace.captured), self.work);
        // The very last frame waits for a stage without a newer one taking its place.
        if number(frame.trace.captured) < N_FRAMES {
            let mut oldest = self.oldest.lock().unwrap();
            *oldest = oldest.max(frame.trace.age(shown));
        }
        Ok(ControlFlow::Continue(()))
    }
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Runs with these times; the report, the oldest age, and the growth of memory after the warm-up.
fn play(works: [Duration; 4]) -> (Report, Duration, isize) {
    let clock = Arc::new(VirtualClock::default());
    let live_bytes = Arc::new(Mutex::new([0; 2]));
    let oldest = Arc::new(Mutex::new(Duration::ZERO));
    let screen = Screen { clock: Arc::clone(&clock), work: works[3], oldest: Arc::clone(&oldest) };
    let stages = Stages {
        first: 0,
        motion: Vec::new(),
        source: Box::new(Camera {
            clock: Arc::clone(&clock),
            work: works[0],
            n_taken: 0,
            picture: common::camera_picture(),
            live_bytes: Arc::clone(&live_bytes),
        }),
        tracker: Box::new(Eyes {
            clock: Arc::clone(&clock),
            work: works[1],
            face: common::observation(Timestamp::default()),
            n_seen: 0,
        }),
        drive: DriveOptions::default(),
        generator: Box::new(Painter(Arc::clone(&clock), works[2])),
        compositor: Compositor::new(CompositeOptions::default()).unwrap(),
        identities: vec![common::identity_on(Basis::Synthetic)],
        sinks: vec![Box::new(screen)],
        foreground: None,
        beside: None,
        every_frame: false,
        figures: Arc::new(LiveFigures::default()),
    };
    let (_keep, control) = bounded(1);
    let is_over = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let moves = || {
            while !is_over.load(Ordering::Relaxed) {
                clock.advance();
                std::thread::sleep(Duration::from_micros(20));
            }
        };
        std::thread::Builder::new().name("time".to_owned()).spawn_scoped(scope, moves).unwrap();
        let report = run(stages, &*clock, control);
        is_over.store(true, Ordering::Relaxed);
        report
    });
    let oldest = *oldest.lock().unwrap();
    let [before, after] = *live_bytes.lock().unwrap();
    assert!(before != 0 && after != 0, "the run was too short");
    (report.unwrap(), oldest, after - before)
}

#[test]
fn whichever_stage_is_slow_the_picture_stays_young_and_memory_flat() {
    for slow in [None, Some(0), Some(1), Some(2), Some(3)] {
        let mut works = USUAL;
        if let Some(stage) = slow {
            works[stage] *= SLOW;
        }
        let name = slow.map_or("none", |stage| PLACES[stage]);
        let (report, oldest, growth) = play(works);
        let frames = report.frames;
        // One frame may wait for the slow stage as long as it takes for the next to come; everything else is work.
        let slowest = works.into_iter().max().unwrap();
        let rest: Duration = works.into_iter().sum::<Duration>() - slowest;
        let bound = slowest + INTERVAL + rest;
        assert!(oldest <= bound, "{name} slow: {oldest:?} old, expected at most {bound:?}; {frames:?}");
        // Not by showing nothing: as many frames as the slowest stage has time for, all but a few.
        let possible = (INTERVAL * N_FRAMES as u32).as_secs_f64() / slowest.max(INTERVAL).as_secs_f64();
        assert!(frames.presented as f64 > 0.9 * possible - 5.0, "{name} slow: {frames:?} of {possible} possible");
        let place = [0, report.drops.face, report.drops.generate, report.drops.present];
        for (stage, dropped) in place.into_iter().enumerate() {
            let must_drop = slow == Some(stage) && stage > 0 && works[stage] > INTERVAL;
            assert_eq!(dropped > 0, must_drop, "{name} slow, before {}: {:?}", PLACES[stage], report.drops);
        }
        assert!(
            growth.abs() < 64 * 1024,
            "{name} slow: memory grew by {growth} bytes in {} frames",
            N_FRAMES - N_WARM_UP
        );
    }
}
