//! The whole way of a frame, on all its threads, takes no memory from the allocator once it has warmed up.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "common/allocator.rs"]
mod allocator;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use allocator::Noting;
use crossbeam_channel::{Receiver, Sender, bounded};
use effigy::capture::{MAX_READ_WAIT, Read};
use effigy::clock::{Clock, MonotonicClock};
use effigy::composite::{CompositeOptions, Compositor};
use effigy::drive::DriveOptions;
use effigy::face::{FaceTracker, TrackerOptions};
use effigy::generate::warp::WarpGenerator;
use effigy::identity::{Basis, EnrollOptions, Enroller, Framing};
use effigy::pipeline::{self, Stages, run};
use effigy::report::LiveFigures;
use effigy::sink::{Delivery, NullSink};
use effigy::{DrivingSignal, Generator, Identity, OutFrame, Portrait, RawFrame, Result, Rgb, Sink, Source};

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static N_ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
/// The size of the last one, which tells what it was.
static LAST_BYTES: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Noting = Noting(|n_bytes| {
    if n_bytes > 0 && IS_COUNTING.load(Ordering::Relaxed) {
        N_ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LAST_BYTES.store(n_bytes.unsigned_abs(), Ordering::Relaxed);
    }
});

/// Frames before the count begins, and frames that are counted.
const N_FRAMES: u64 = 60;
/// Size of the camera's picture, as most cameras have it.
const CAMERA_PX: (usize, usize) = (640, 480);
/// Frames of every 60 in which nobody is there: the face is lost and found again.
const ABSENT: std::ops::Range<u64> = 30..34;

/// A camera before which someone moves; the next frame comes when the last one was shown.
struct Mover {
    pictures: Vec<Rgb>,
    nobody: Rgb,
    n_delivered: u64,
    shown: Receiver<()>,
}

impl Source for Mover {
    fn name(&self) -> &str {
        "someone who moves"
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        if self.n_delivered > 0 && self.shown.recv_timeout(MAX_READ_WAIT).is_err() {
            return Ok(Read::Idle);
        }
        // The sink's own bookkeeping of the last frame belongs to the window.
        std::thread::sleep(Duration::from_millis(2));
        match self.n_delivered {
            N_FRAMES => IS_COUNTING.store(true, Ordering::SeqCst),
            n if n == 2 * N_FRAMES => {
                IS_COUNTING.store(false, Ordering::SeqCst);
                return Ok(Read::Ended);
            }
            _ => {}
        }
        let index = self.n_delivered % N_FRAMES;
        let picture = if ABSENT.contains(&index) { &self.nobody } else { &self.pictures[index as usize] };
        frame.set_picture(picture);
        frame.set_captured(clock.now());
        self.n_delivered += 1;
        Ok(Read::Fresh)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        None
    }
}

/// The mesh warp, for which what moves beside the mesh is measured, as for a network.
struct Beside(WarpGenerator);

impl Generator for Beside {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn backend(&self) -> &str {
        self.0.backend()
    }

    fn is_dense(&self) -> bool {
        true
    }

    fn adopt(&mut self, identity: Arc<Identity>) -> Result<()> {
        self.0.adopt(identity)
    }

    fn generate(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        self.0.generate(signal, portrait)
    }
}

/// The null sink, which says of every frame of the camera that it was shown.
struct Watched {
    sink: NullSink,
    last_id: u64,
    shown: Sender<()>,
    n_with_face: Arc<AtomicU64>,
}

impl Sink for Watched {
    fn name(&self) -> &str {
        self.sink.name()
    }

    fn delivery(&self) -> Delivery {
        self.sink.delivery()
    }

    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        let outcome = self.sink.present(frame)?;
        // While the camera is slow the portrait moves on by itself; those pictures have no number.
        if frame.trace.frame_id > self.last_id {
            self.last_id = frame.trace.frame_id;
            if IS_COUNTING.load(Ordering::Relaxed) && frame.driver_landmarks.is_some() {
                self.n_with_face.fetch_add(1, Ordering::Relaxed);
            }
            let _ = self.shown.try_send(());
        }
        Ok(outcome)
    }

    fn finish(&mut self) -> Result<()> {
        self.sink.finish()
    }
}

/// The portrait in a camera's picture, moved by (x, y) pixels; `n` of it beside each other.
fn seen(portrait: &Rgb, n: usize, x: f32, y: f32) -> Rgb {
    let (width, height) = CAMERA_PX;
    let mut picture = Rgb::from_data(width, height, vec![90; width * height * 3]).unwrap();
    let scale = portrait.height_px() as f32 / height as f32 * n as f32;
    let part = width / n;
    let left = 0.5 * (part as f32 - portrait.width_px() as f32 / scale);
    for row in 0..height {
        for column in 0..part * n {
            let (from_x, from_y) = (((column % part) as f32 - left - x) * scale, (row as f32 - y) * scale);
            let is_inside = from_x >= 0.0
                && from_y >= 0.0
                && from_x < portrait.width_px() as f32
                && from_y < portrait.height_px() as f32;
            if is_inside {
                let pixel = portrait.pixel(from_x as usize, from_y as usize);
                let at = (row * width + column) * 3;
                picture.data_mut()[at..at + 3].copy_from_slice(&pixel);
            }
        }
    }
    picture
}

#[test]
fn a_run_allocates_nothing_once_it_has_warmed_up() {
    let file = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/portrait_a.png")).unwrap();
    let portrait = effigy::photo::decode(&file).unwrap();
    let options = EnrollOptions {
        name: "mover".into(),
        basis: Basis::Synthetic,
        consent_by: "tests".into(),
        framing: Framing::Face,
        face: None,
    };
    let identity = Arc::new(Enroller::new().unwrap().enroll(&file, &options).unwrap());
    IS_COUNTING.store(true, Ordering::SeqCst);
    drop(std::hint::black_box(vec![0_u8; 7]));
    IS_COUNTING.store(false, Ordering::SeqCst);
    assert!(N_ALLOCATIONS.swap(0, Ordering::SeqCst) > 0, "the allocator does not count");
    for n_people in [1, 2] {
        play(&portrait, &identity, n_people);
    }
}

fn play(portrait: &Rgb, identity: &Arc<Identity>, n_people: usize) {
    let pictures = (0..N_FRAMES).map(|i| {
        let phase = i as f32 * 0.3;
        seen(portrait, n_people, 12.0 * phase.sin(), 8.0 * (0.7 * phase).cos())
    });
    let nobody = Rgb::from_data(CAMERA_PX.0, CAMERA_PX.1, vec![90; CAMERA_PX.0 * CAMERA_PX.1 * 3]).unwrap();
    let (shown_tx, shown_rx) = bounded(1);
    let n_with_face = Arc::new(AtomicU64::new(0));
    let mut compositor = Compositor::new(CompositeOptions::default()).unwrap();
    compositor.set_stamp(true);
    let stages = Stages {
        first: 0,
        motion: Vec::new(),
        source: Box::new(Mover { pictures: pictures.collect(), nobody, n_delivered: 0, shown: shown_rx }),
        tracker: Box::new(FaceTracker::new(TrackerOptions::default()).unwrap()),
        drive: DriveOptions { predict_ms: 66.0, ..DriveOptions::default() },
        generator: Box::new(Beside(WarpGenerator::new(512))),
        compositor,
        identities: vec![Arc::clone(identity); 2],
        sinks: vec![Box::new(Watched {
            sink: NullSink::new(Delivery::Latest),
            last_id: 0,
            shown: shown_tx,
            n_with_face: Arc::clone(&n_with_face),
        })],
        foreground: None,
        beside: (n_people == 2)
            .then(|| pipeline::Beside { identity: 1, generator: Box::new(Beside(WarpGenerator::new(512))) }),
        every_frame: false,
        figures: Arc::new(LiveFigures::default()),
    };
    let (_control, commands) = bounded(4);
    let report = run(stages, &MonotonicClock::new(), commands).unwrap();
    assert_eq!((report.frames.captured, report.frames.dropped), (2 * N_FRAMES, 0));
    let n_absent = ABSENT.end - ABSENT.start;
    assert_eq!(n_with_face.load(Ordering::Relaxed), N_FRAMES - n_absent, "frames with a face while counting");
    let (n, bytes) = (N_ALLOCATIONS.load(Ordering::Relaxed), LAST_BYTES.load(Ordering::Relaxed));
    assert_eq!(n, 0, "{n_people}: {N_FRAMES} frames allocated {n} times, {bytes} bytes the last time");
}
