//! The pipeline with stages that follow a script: order, drops, shutdown, failures, and that the
//! camera's picture never leaves.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common;
use crossbeam_channel::{Receiver, Sender, bounded};
use effigy::capture::{MAX_READ_WAIT, Read};
use effigy::clock::{Clock, ManualClock, MonotonicClock};
use effigy::composite::{CompositeOptions, Compositor};
use effigy::demand::Demand;
use effigy::drive::DriveOptions;
use effigy::face::Tracker;
use effigy::generate::family::{Family, Kind};
use effigy::generate::founding;
use effigy::generate::warp::WarpGenerator;
use effigy::identity::Basis;
use effigy::pipeline::{Control, Stages, run};
use effigy::report::LiveFigures;
use effigy::sink::Delivery;
use effigy::{
    DrivingSignal, Error, ErrorKind, FaceObservation, Generator, Identity, OutFrame, Portrait, RawFrame, Result, Sink,
    Source,
};

/// A source that plays a list of steps.
struct Script {
    steps: std::vec::IntoIter<Step>,
    camera: u32,
}

#[derive(Clone, Copy)]
enum Step {
    Frame,
    /// Another camera from here on.
    Change,
    Stall,
    Wait(Duration),
    Fail,
    Panic,
}

impl Source for Script {
    fn name(&self) -> &str {
        "script"
    }
    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        match self.steps.next() {
            None => Ok(Read::Ended),
            Some(Step::Frame) => {
                frame.set_picture(&common::camera_picture());
                frame.set_captured(clock.now());
                frame.set_camera(self.camera);
                Ok(Read::Fresh)
            }
            Some(Step::Change) => {
                self.camera += 1;
                Ok(Read::Idle)
            }
            Some(Step::Stall) => {
                std::thread::sleep(MAX_READ_WAIT);
                Ok(Read::Idle)
            }
            Some(Step::Wait(time)) => {
                std::thread::sleep(time);
                Ok(Read::Idle)
            }
            Some(Step::Fail) => Err(Error::new(ErrorKind::DeviceLost, "the script's camera is gone")),
            Some(Step::Panic) => panic!("the script's source panics"),
        }
    }
    fn frame_rate_hz(&self) -> Option<f64> {
        None
    }
}

/// Sees a face in every frame for which `sees` holds, counted from 1.
struct Eyes {
    n_frames: usize,
    sees: fn(usize) -> Result<bool>,
}

impl Tracker for Eyes {
    fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool> {
        self.n_frames += 1;
        *face = common::observation(frame.captured());
        if frame.camera() > 0 {
            // Three times as many pixels, and the face elsewhere in them.
            face.frame_size_px = (192, 192);
            face.landmarks_px.iter_mut().for_each(|point| *point = *point * 3.0 + 20.0);
        }
        (self.sees)(self.n_frames)
    }
}

/// The real warp, slowed down or failing.
struct Painter {
    warp: WarpGenerator,
    delay: Duration,
    fails_at: usize,
    n_frames: usize,
    is_dense: bool,
    /// The reference of each signal's motion beside the mesh.
    references: Arc<Mutex<Vec<u32>>>,
    /// Each signal's size of the head, and how far it is from its place.
    places: Arc<Mutex<Vec<(f32, f32)>>>,
}

impl Generator for Painter {
    fn name(&self) -> &str {
        self.warp.name()
    }
    fn backend(&self) -> &str {
        self.warp.backend()
    }
    fn is_dense(&self) -> bool {
        self.is_dense
    }
    fn adopt(&mut self, identity: Arc<Identity>) -> Result<()> {
        self.warp.adopt(identity)
    }
    fn generate(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        self.n_frames += 1;
        self.references.lock().unwrap().push(signal.dense.reference);
        self.places.lock().unwrap().push((signal.scale, signal.translation.length()));
        if self.n_frames == self.fails_at {
            return Err(Error::new(ErrorKind::BackendUnavailable, "the script's card is gone"));
        }
        std::thread::sleep(self.delay);
        self.warp.generate(signal, portrait)
    }
}

/// What a sink has seen.
#[derive(Default)]
struct Seen {
    ids: Mutex<Vec<u64>>,
    n_camera_pixels: AtomicUsize,
    n_pictures_asked: AtomicUsize,
    is_finished: AtomicBool,
}

/// Keeps what it sees, and plays its part in the script.
struct Witness {
    seen: Arc<Seen>,
    delivery: Delivery,
    delay: Duration,
    act: fn(usize) -> Result<ControlFlow<()>>,
    demand: Option<Arc<Demand>>,
}

impl Sink for Witness {
    fn name(&self) -> &str {
        "witness"
    }
    fn delivery(&self) -> Delivery {
        self.delivery
    }
    fn demand(&self) -> Option<Arc<Demand>> {
        self.demand.clone()
    }
    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        std::thread::sleep(self.delay);
        let like_camera = |p: &[u8]| p[0] > 180 && p[1] < 60 && p[2] > 180;
        let n_camera = frame.picture().data().chunks_exact(4).filter(|p| like_camera(p)).count();
        self.seen.n_camera_pixels.fetch_add(n_camera, Ordering::Relaxed);
        self.seen.n_pictures_asked.fetch_add(usize::from(frame.is_picture_asked), Ordering::Relaxed);
        let mut ids = self.seen.ids.lock().unwrap();
        ids.push(frame.trace.frame_id);
        (self.act)(ids.len())
    }
    fn finish(&mut self) -> Result<()> {
        self.seen.is_finished.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// One run: what is set here differs from a plain one of 30 frames.
struct Play {
    steps: Vec<Step>,
    sees: fn(usize) -> Result<bool>,
    generate_delay: Duration,
    generate_fails_at: usize,
    act: fn(usize) -> Result<ControlFlow<()>>,
    present_delay: Duration,
    delivery: Delivery,
    every_frame: bool,
    drive: DriveOptions,
    is_dense: bool,
    references: Arc<Mutex<Vec<u32>>>,
    places: Arc<Mutex<Vec<(f32, f32)>>>,
    /// In place of the warp.
    family: Option<Family>,
    /// What the sink is asked by, where it does not take all frames.
    demand: Option<Arc<Demand>>,
}

impl Default for Play {
    fn default() -> Self {
        Self {
            steps: vec![Step::Frame; 30],
            sees: |_| Ok(true),
            generate_delay: Duration::ZERO,
            generate_fails_at: usize::MAX,
            act: |_| Ok(ControlFlow::Continue(())),
            present_delay: Duration::ZERO,
            delivery: Delivery::Latest,
            every_frame: false,
            drive: DriveOptions::default(),
            is_dense: false,
            references: Arc::default(),
            places: Arc::default(),
            family: None,
            demand: None,
        }
    }
}

impl Play {
    fn play(self, clock: &dyn Clock) -> (Result<effigy::report::Report>, Arc<Seen>) {
        let (_keep, control) = bounded(8);
        self.play_with(clock, control)
    }

    fn play_with(self, clock: &dyn Clock, control: Receiver<Control>) -> (Result<effigy::report::Report>, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        let witness = Witness {
            seen: Arc::clone(&seen),
            delivery: self.delivery,
            delay: self.present_delay,
            act: self.act,
            demand: self.demand,
        };
        let stages = Stages {
            first: 0,
            motion: Vec::new(),
            source: Box::new(Script { steps: self.steps.into_iter(), camera: 0 }),
            tracker: Box::new(Eyes { n_frames: 0, sees: self.sees }),
            drive: self.drive,
            generator: match self.family {
                Some(family) => founding::open(family, 512).unwrap(),
                None => Box::new(Painter {
                    warp: WarpGenerator::new(512),
                    delay: self.generate_delay,
                    fails_at: self.generate_fails_at,
                    n_frames: 0,
                    is_dense: self.is_dense,
                    references: self.references,
                    places: self.places,
                }),
            },
            compositor: Compositor::new(CompositeOptions::default()).unwrap(),
            identities: vec![common::identity_on(Basis::Synthetic)],
            sinks: vec![Box::new(witness)],
            foreground: None,
            beside: None,
            every_frame: self.every_frame,
            figures: Arc::new(LiveFigures::default()),
        };
        (run(stages, clock, control), seen)
    }
}

fn ids(seen: &Seen) -> Vec<u64> {
    seen.ids.lock().unwrap().clone()
}

#[test]
fn every_frame_arrives_in_order_when_asked() {
    let play = Play { every_frame: true, generate_delay: Duration::from_millis(1), ..Play::default() };
    let (report, seen) = play.play(&ManualClock::new());
    let report = report.unwrap();
    assert_eq!(ids(&seen), (1..=30).collect::<Vec<_>>());
    assert_eq!((report.frames.captured, report.frames.presented, report.frames.dropped), (30, 30, 0));
}

#[test]
fn what_moves_beside_the_mesh_comes_at_once_or_a_frame_late_but_live_no_frame_waits_for_it() {
    let references = |every_frame: bool, asked: bool, is_dense: bool| {
        let references = Arc::default();
        let steps = [Step::Frame, Step::Wait(Duration::from_millis(150))].repeat(3);
        let drive = DriveOptions { is_dense: asked, ..DriveOptions::default() };
        let play = Play { steps, every_frame, drive, is_dense, references: Arc::clone(&references), ..Play::default() };
        play.play(&MonotonicClock::new()).0.unwrap();
        let references = references.lock().unwrap();
        references.clone()
    };
    let every = references(true, true, true);
    assert!(every.len() >= 3 && every.iter().all(|&reference| reference == 1), "{every:?}");
    let live = references(false, true, true);
    assert_eq!((live[0], live.last()), (0, Some(&1)), "{live:?}");
    assert!(references(false, false, true).iter().all(|&reference| reference == 0), "not asked for");
    assert!(references(false, true, false).iter().all(|&reference| reference == 0), "of no use to the generator");
}

#[test]
fn another_camera_is_met_anew_and_the_portrait_stays_where_it_is() {
    let places = Arc::default();
    let mut steps = vec![Step::Frame; 12];
    steps.insert(6, Step::Change);
    let play = Play { steps, every_frame: true, places: Arc::clone(&places), ..Play::default() };
    play.play(&MonotonicClock::new()).0.unwrap();
    let places = places.lock().unwrap();
    assert_eq!(places.len(), 12);
    for (i, (scale, shift)) in places.iter().enumerate() {
        assert!((scale - 1.0).abs() < 0.02 && *shift < 0.02, "frame {i}: {scale} as large, {shift} away");
    }
}

#[test]
fn a_slow_generator_drops_frames_and_keeps_their_order() {
    let steps = [Step::Frame, Step::Wait(Duration::from_millis(2))].repeat(40);
    let play = Play { steps, generate_delay: Duration::from_millis(15), ..Play::default() };
    let (report, seen) = play.play(&MonotonicClock::new());
    let frames = report.unwrap().frames;
    let ids = ids(&seen);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "out of order: {ids:?}");
    assert_eq!(frames.captured, 40);
    assert!(frames.dropped > 10, "nothing was dropped, so it queued: {frames:?}");
    // At the end of a source the newest frames may still be in the slots between the stages.
    assert!(frames.captured - frames.presented - frames.dropped <= 3, "frames went uncounted: {frames:?}");
}

#[test]
fn the_age_of_a_picture_is_what_the_clock_says() {
    struct SlowEyes(Arc<ManualClock>);
    impl Tracker for SlowEyes {
        fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool> {
            self.0.advance(Duration::from_millis(7));
            *face = common::observation(frame.captured());
            Ok(true)
        }
    }
    let clock = Arc::new(ManualClock::new());
    let (_keep, control) = bounded(1);
    let seen = Arc::new(Seen::default());
    let act = |_| Ok(ControlFlow::Continue(()));
    let stages = Stages {
        first: 0,
        motion: Vec::new(),
        source: Box::new(Script { steps: vec![Step::Frame; 1].into_iter(), camera: 0 }),
        tracker: Box::new(SlowEyes(Arc::clone(&clock))),
        drive: DriveOptions::default(),
        generator: Box::new(WarpGenerator::new(512)),
        compositor: Compositor::new(CompositeOptions::default()).unwrap(),
        identities: vec![common::identity_on(Basis::Synthetic)],
        sinks: vec![Box::new(Witness { seen, delivery: Delivery::Latest, delay: Duration::ZERO, act, demand: None })],
        foreground: None,
        beside: None,
        every_frame: false,
        figures: Arc::new(LiveFigures::default()),
    };
    let report = run(stages, &*clock, control).unwrap();
    assert!((report.age_ms.max - 7.0).abs() < 0.05, "{:?}", report.age_ms);
    assert!((report.stages["face"].p50_ms - 7.0).abs() < 0.05, "{:?}", report.stages);
    assert_eq!(report.stages["generate"].p50_ms, 0.0, "the clock stood still");
}

#[test]
fn a_sink_that_waits_to_be_asked_gets_frames_only_then_and_is_not_counted() {
    let played = |asked: &[Control]| {
        let (control_tx, control_rx) = bounded(8);
        asked.iter().for_each(|control| control_tx.send(control.clone()).unwrap());
        let play = Play { every_frame: true, demand: Some(Arc::default()), ..Play::default() };
        let (report, seen) = play.play_with(&ManualClock::new(), control_rx);
        assert_eq!(report.unwrap().frames.presented, 0);
        (ids(&seen), seen.n_pictures_asked.load(Ordering::Relaxed))
    };
    assert_eq!(played(&[]), (vec![], 0));
    // Asked for twice before it is made, it is one picture.
    assert_eq!(played(&[Control::TakePicture, Control::TakePicture]), (vec![1], 1));
    assert_eq!(played(&[Control::Record(true)]), ((1..=30).collect(), 0));
    assert_eq!(played(&[Control::ToggleRecord, Control::TakePicture]), ((1..=30).collect(), 1));
    assert_eq!(played(&[Control::Record(true), Control::Record(false)]), (vec![], 0));
}

#[test]
fn a_failing_stage_ends_the_run_with_its_error_and_the_sinks_are_finished() {
    let cases: [(&str, Play, ErrorKind); 6] = [
        (
            "source",
            Play { steps: vec![Step::Frame, Step::Frame, Step::Fail], ..Play::default() },
            ErrorKind::DeviceLost,
        ),
        ("source panic", Play { steps: vec![Step::Frame, Step::Panic], ..Play::default() }, ErrorKind::Internal),
        (
            "face",
            Play {
                sees: |n| if n == 5 { Err(Error::new(ErrorKind::Model, "x")) } else { Ok(true) },
                ..Play::default()
            },
            ErrorKind::Model,
        ),
        (
            "face panic",
            Play { sees: |n| if n == 5 { panic!("the script's tracker panics") } else { Ok(true) }, ..Play::default() },
            ErrorKind::Internal,
        ),
        ("generate", Play { generate_fails_at: 3, ..Play::default() }, ErrorKind::BackendUnavailable),
        (
            "sink",
            Play {
                act: |n| {
                    if n == 5 { Err(Error::new(ErrorKind::Io, "disk full")) } else { Ok(ControlFlow::Continue(())) }
                },
                ..Play::default()
            },
            ErrorKind::Io,
        ),
    ];
    for (stage, play, kind) in cases {
        let play = Play { every_frame: true, ..play };
        let (report, seen) = play.play(&MonotonicClock::new());
        let error = report.expect_err(stage);
        assert_eq!(error.kind(), kind, "{stage}: {error}");
        assert!(seen.is_finished.load(Ordering::Relaxed), "{stage}: the sink was not finished");
    }
}

#[test]
fn a_closed_sink_ends_the_run_without_an_error() {
    let close = |n| Ok(if n == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
    // A camera that does not end before the sink does, however slow the machine is.
    let steps = [Step::Frame, Step::Wait(Duration::from_millis(5))].repeat(20_000);
    let (report, seen) = Play { steps, act: close, ..Play::default() }.play(&MonotonicClock::new());
    assert_eq!(report.unwrap().frames.presented, 3, "the fourth found the sink closed");
    assert!(seen.is_finished.load(Ordering::Relaxed));
}

#[test]
fn quit_ends_the_run_even_when_the_camera_is_stalled() {
    let (control_tx, control_rx): (Sender<Control>, _) = bounded(1);
    let quit = std::thread::Builder::new().spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        control_tx.send(Control::Quit).unwrap();
    });
    let play = Play { steps: vec![Step::Stall; 100_000], ..Play::default() };
    let (report, _) = play.play_with(&MonotonicClock::new(), control_rx);
    quit.unwrap().join().unwrap();
    assert_eq!(report.unwrap().frames.captured, 0);
}

#[test]
fn a_stalled_camera_leaves_the_portrait_moving_by_itself() {
    let mut steps = vec![Step::Frame; 3];
    // However long the machine takes for a picture: until there are nine, at most three of them of the frames.
    steps.extend(vec![Step::Stall; 600]);
    let act = |n| Ok(if n == 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
    let (report, seen) = Play { steps, act, ..Play::default() }.play(&MonotonicClock::new());
    let ids = ids(&seen);
    let n_idle = ids.iter().filter(|id| **id == 0).count();
    assert!(n_idle > 5, "the picture froze: {ids:?}");
    assert_eq!(report.unwrap().frames.captured, 3);
}

#[test]
fn the_cameras_picture_never_leaves() {
    let faces: [fn(usize) -> Result<bool>; 3] = [|_| Ok(true), |_| Ok(false), |n| Ok(n % 3 == 0)];
    for (sees, is_dense) in faces.into_iter().flat_map(|sees| [(sees, false), (sees, true)]) {
        let references = Arc::default();
        let play = Play { sees, is_dense, every_frame: true, references: Arc::clone(&references), ..Play::default() };
        let (report, seen) = play.play(&MonotonicClock::new());
        assert_eq!(report.unwrap().frames.presented, 30);
        assert_eq!(seen.n_camera_pixels.load(Ordering::Relaxed), 0);
        let keeps_one = references.lock().unwrap().contains(&1);
        assert_eq!(keeps_one, is_dense && sees(3).unwrap(), "whether a frame of the camera is kept");
    }
}

#[test]
fn a_family_looks_at_the_cameras_picture_and_shows_nothing_of_it() {
    for kind in Kind::ALL {
        let family = Some(Family::built_in(kind).unwrap());
        let (report, seen) = Play { family, every_frame: true, ..Play::default() }.play(&MonotonicClock::new());
        assert_eq!(report.unwrap().frames.presented, 30);
        assert_eq!(seen.n_camera_pixels.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn a_slow_sink_does_not_slow_the_others() {
    // The queue of the first sink is full at once; what it misses is counted as dropped.
    let steps = [Step::Frame, Step::Wait(Duration::from_millis(5))].repeat(60);
    let play =
        Play { steps, present_delay: Duration::from_millis(40), delivery: Delivery::Every(2), ..Play::default() };
    let (report, seen) = play.play(&MonotonicClock::new());
    let frames = report.unwrap().frames;
    let ids = ids(&seen);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "out of order: {ids:?}");
    assert!(frames.dropped > 20, "{frames:?}");
}
