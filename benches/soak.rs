//! A day in virtual time: the whole pipeline with the real drive, compositor and server, while the camera is unplugged and
//! plugged in, the identity changes, and the control page is opened again and again.
//!
//! The clock moves on by what each stage takes and no further, so that the age of a picture is exact; what is measured is
//! whether age, memory and threads at the end of the day are those of its beginning, and that no camera pixel leaves.
//! `cargo bench --bench soak` prints a line for each hour; `EFFIGY_SOAK_HOURS` (24, at least 3) and
//! `EFFIGY_SOAK_HZ` (10, at most 58) set the length.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![cfg_attr(not(unix), allow(dead_code, unused_imports, reason = "memory is read from /proc"))]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::Outcome;
use crossbeam_channel::{Receiver, Sender, bounded};
use effigy::capture::Read;
use effigy::clock::{Clock, ManualClock};
use effigy::composite::{CompositeOptions, Compositor};
use effigy::drive::DriveOptions;
use effigy::face::{FaceTracker, Tracker, TrackerOptions};
use effigy::pipeline::{self, Control, Stages};
use effigy::report::{LiveFigures, Times};
use effigy::sink::http::{About, HttpOptions, HttpSink, MessageLog};
use effigy::sink::{Delivery, Sink};
use effigy::{
    DrivingSignal, FaceObservation, Generator, Identity, OutFrame, Portrait, RawFrame, Result, Rgb, Source, photo,
};

/// What the stages take: capture, face, generate, present.
const WORK: [Duration; 4] =
    [Duration::from_millis(1), Duration::from_millis(6), Duration::from_millis(9), Duration::from_millis(1)];
/// What happens in a day, evenly spread.
const N_UNPLUGGED: u64 = 100;
const N_SWITCHES: u64 = 1000;
const N_RELOADS: u64 = 500;
/// A frame is shown within this time, in real time, or the pipeline hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the camera sees outside the face, and nothing that leaves may show.
const CAMERA_COLOUR: [u8; 3] = [255, 0, 255];
const SIZE_PX: usize = 64;
const TOO_SHORT: &str = "too short to compare; give EFFIGY_SOAK_HOURS of 3 or more";
/// Frames a second that leave the stages their time.
const RATES_HZ: std::ops::RangeInclusive<u64> = 1..=58;
const NO_SUCH_RATE: &str = "the stages take 17 ms a frame; give EFFIGY_SOAK_HZ of 1 to 58";
const TOKEN: &str = "soak-0123456789abcdef";

fn main() -> Outcome<()> {
    let (hours, rate_hz) = (common::number("EFFIGY_SOAK_HOURS", 24)?, common::number("EFFIGY_SOAK_HZ", 10)?);
    // The second hour is compared with the last: the first warms up.
    if hours < 3 {
        return Err(TOO_SHORT.into());
    }
    if !RATES_HZ.contains(&rate_hz) {
        return Err(NO_SUCH_RATE.into());
    }
    let identities = vec![common::identity()?, common::identity()?, common::identity()?];
    let clock = Arc::new(ManualClock::new());
    let (shown, was_shown) = bounded(1);
    let (control, controls) = bounded(64);
    let figures = Arc::new(LiveFigures::default());
    let page = HttpSink::open(HttpOptions {
        address: effigy::sink::http::DEFAULT_ADDRESS,
        allow_remote: false,
        token: Some(TOKEN.to_owned()),
        control: control.clone(),
        figures: Arc::clone(&figures),
        identities: identities.clone(),
        about: About::default(),
        messages: Arc::new(MessageLog::default()),
        consent_by: "a bench".to_owned(),
        library: None,
    })?;
    let seen = Arc::new(Seen::default());
    let n_frames = hours * 3600 * rate_hz;
    let camera = Camera {
        clock: Arc::clone(&clock),
        interval: Duration::from_secs(1) / u32::try_from(rate_hz)?,
        n_frames,
        n_taken: 0,
        n_asked: 0,
        n_idle: 0,
        picture: picture()?,
        was_shown,
        control,
        address: page.address(),
        seen: Arc::clone(&seen),
        frames_an_hour: 3600 * rate_hz,
    };
    println!("{:>5} {:>9} {:>9} {:>8} {:>9} {:>8}", "hour", "age p50", "p99 ms", "MiB", "threads", "shown");
    let face = Once::new()?;
    let stages = Stages {
        source: Box::new(camera),
        tracker: Box::new(Eyes { clock: Arc::clone(&clock), face }),
        drive: DriveOptions { is_dense: false, ..DriveOptions::default() },
        generator: Box::new(Painter { clock: Arc::clone(&clock) }),
        compositor: Compositor::new(CompositeOptions { size_px: SIZE_PX, ..CompositeOptions::default() })?,
        identities,
        first: 0,
        sinks: vec![Box::new(Witness { clock: Arc::clone(&clock), shown, seen: Arc::clone(&seen) }), Box::new(page)],
        foreground: None,
        motion: Vec::new(),
        beside: None,
        every_frame: false,
        figures,
    };
    let report = pipeline::run(stages, &*clock, controls)?;
    let hours_seen = seen.hours.lock().unwrap_or_else(PoisonError::into_inner);
    let (Some(first), Some(last)) = (hours_seen.get(1), hours_seen.last()) else { return Err(TOO_SHORT.into()) };
    let growth = last.memory_mib / first.memory_mib - 1.0;
    println!(
        "{} frames, {} dropped, {} identities switched, {} times unplugged ({} pictures meanwhile), {} pages loaded ({} failed), \
         {} camera pixels out",
        report.frames.captured,
        report.frames.dropped,
        seen.n_switches.load(Ordering::Relaxed),
        seen.n_unplugged.load(Ordering::Relaxed),
        seen.n_idle.load(Ordering::Relaxed),
        seen.n_reloads.load(Ordering::Relaxed),
        seen.n_failed.load(Ordering::Relaxed),
        seen.n_camera_pixels.load(Ordering::Relaxed),
    );
    println!(
        "memory after the first hour {:.1} MiB, at the end {:.1} ({:+.1} %)",
        first.memory_mib,
        last.memory_mib,
        growth * 100.0
    );
    let is_good = growth < 0.05
        && last.p99_ms <= first.p99_ms * 1.01
        && report.frames.dropped == 0
        && last.n_threads <= first.n_threads
        && seen.n_failed.load(Ordering::Relaxed) == 0
        && seen.n_camera_pixels.load(Ordering::Relaxed) == 0
        // Nothing of what shall do no harm may have stayed away.
        && seen.n_idle.load(Ordering::Relaxed) > 0
        && [(&seen.n_switches, N_SWITCHES), (&seen.n_unplugged, N_UNPLUGGED), (&seen.n_reloads, N_RELOADS)]
            .iter()
            .all(|(n, of_day)| n.load(Ordering::Relaxed) == *of_day);
    common::record("soak", common::load(), serde_json::json!({ "is_good": is_good, "growth": growth }))?;
    if is_good { Ok(()) } else { Err("the end of the day is not as its beginning".into()) }
}

/// One hour.
#[derive(Clone, Copy)]
struct Hour {
    p99_ms: f64,
    memory_mib: f64,
    n_threads: usize,
}

/// What was seen of the pictures.
#[derive(Default)]
struct Seen {
    ages: Mutex<Times>,
    hours: Mutex<Vec<Hour>>,
    n_shown: AtomicU64,
    /// Who was shown last.
    identity: AtomicUsize,
    n_switches: AtomicU64,
    n_unplugged: AtomicU64,
    /// Pictures that no frame was behind, while the camera was away.
    n_idle: AtomicU64,
    n_reloads: AtomicU64,
    n_failed: AtomicU64,
    n_camera_pixels: AtomicUsize,
}

impl Seen {
    /// Closes an hour and prints it.
    fn close_hour(&self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        let ages = std::mem::take(&mut *self.ages.lock().unwrap_or_else(PoisonError::into_inner));
        let hour = Hour {
            p99_ms: ages.quantile_ms(0.99),
            memory_mib: field("VmRSS:").unwrap_or_default() / 1024.0,
            n_threads: field("Threads:").unwrap_or_default() as usize,
        };
        let mut hours = self.hours.lock().unwrap_or_else(PoisonError::into_inner);
        hours.push(hour);
        println!(
            "{:>5} {:>9.1} {:>9.1} {:>8.1} {:>9} {:>8}",
            hours.len(),
            ages.quantile_ms(0.5),
            hour.p99_ms,
            hour.memory_mib,
            hour.n_threads,
            self.n_shown.swap(0, Ordering::Relaxed)
        );
    }
}

/// A camera that takes its next picture when the last one was shown, and is unplugged now and then.
struct Camera {
    clock: Arc<ManualClock>,
    interval: Duration,
    n_frames: u64,
    n_taken: u64,
    /// How many times another identity was asked for.
    n_asked: usize,
    /// Looks for the camera that are left before it is plugged in again.
    n_idle: u32,
    picture: Rgb,
    was_shown: Receiver<()>,
    control: Sender<Control>,
    address: SocketAddr,
    seen: Arc<Seen>,
    frames_an_hour: u64,
}

impl Camera {
    /// Whether the next of `n` things of the day is due with this frame.
    fn is_due(&self, n: u64) -> bool {
        (self.n_taken * n / self.n_frames) != ((self.n_taken + 1) * n / self.n_frames)
    }
}

impl Source for Camera {
    fn name(&self) -> &str {
        "a camera that is unplugged now and then"
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        if self.n_idle > 0 {
            // Long enough in real time for pictures without a frame behind them.
            std::thread::sleep(Duration::from_millis(40));
            self.clock.advance(Duration::from_millis(500));
            self.n_idle -= 1;
            return Ok(Read::Idle);
        }
        if self.n_taken > 0 && self.was_shown.recv_timeout(PATIENCE).is_err() {
            return Err(effigy::Error::new(effigy::ErrorKind::Internal, "a frame was never shown"));
        }
        if self.n_taken > 0 && self.n_taken.is_multiple_of(self.frames_an_hour) {
            self.seen.close_hour();
        }
        if self.n_taken == self.n_frames {
            return Ok(Read::Ended);
        }
        if self.is_due(N_SWITCHES) {
            self.n_asked += 1;
            let _ = self.control.try_send(Control::Identity(self.n_asked % 3));
        }
        if self.is_due(N_RELOADS) {
            let outcome = load_page(self.address);
            self.seen.n_reloads.fetch_add(u64::from(outcome.is_ok()), Ordering::Relaxed);
            self.seen.n_failed.fetch_add(u64::from(outcome.is_err()), Ordering::Relaxed);
        }
        if self.is_due(N_UNPLUGGED) {
            self.n_idle = 8;
            self.seen.n_unplugged.fetch_add(1, Ordering::Relaxed);
        }
        self.n_taken += 1;
        let spent: Duration = WORK.iter().sum();
        self.clock.advance(self.interval - spent);
        frame.set_picture(&self.picture);
        frame.set_captured(clock.now());
        self.clock.advance(WORK[0]);
        Ok(Read::Fresh)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        Some(1.0 / self.interval.as_secs_f64())
    }
}

/// Loads the page, its program, and the first picture of its stream, as a browser does that is then closed.
fn load_page(address: SocketAddr) -> std::io::Result<()> {
    for path in ["/", "/app.js", "/words.tsv", "/thumbnail/0"] {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        // So many thumbnails in a moment are told to slow down: a day's work is done in minutes here.
        let is_busy = path == "/thumbnail/0" && answer.starts_with(b"HTTP/1.1 429");
        if !answer.starts_with(b"HTTP/1.1 200") && !is_busy {
            return Err(std::io::Error::other(format!("{path} is not there")));
        }
    }
    // The stream is left in its middle.
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /stream HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n")?;
    Ok(())
}

/// The demo's portrait in a sea of the camera's colour.
fn picture() -> Result<Rgb> {
    let portrait = photo::decode(effigy::demo::PORTRAITS[0].1)?;
    let (width_px, height_px) = (portrait.width_px(), portrait.height_px());
    let data = (0..width_px * height_px).flat_map(|i| {
        let (x, y) = (i % width_px, i / width_px);
        if y < height_px / 20 { CAMERA_COLOUR } else { portrait.pixel(x, y) }
    });
    Rgb::from_data(width_px, height_px, data.collect())
}

/// The face of that picture, found once by the real tracker.
struct Once(Box<FaceObservation>);

impl Once {
    fn new() -> Result<Self> {
        let mut face = Box::new(FaceObservation::default());
        let frame = RawFrame::new(picture()?, effigy::clock::Timestamp::default());
        FaceTracker::new(TrackerOptions::default())?.observe(&frame, &mut face)?;
        Ok(Self(face))
    }
}

/// Sees that face in every frame, nodding.
struct Eyes {
    clock: Arc<ManualClock>,
    face: Once,
}

impl Tracker for Eyes {
    fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool> {
        face.clone_from(&self.face.0);
        face.captured = frame.captured();
        let nod_px = 3.0 * (frame.captured().as_secs_f64() * 2.0).sin() as f32;
        face.landmarks_px.iter_mut().for_each(|point| point.y += nod_px);
        self.clock.advance(WORK[1]);
        Ok(true)
    }
}

/// Paints one colour in the time that the network takes.
struct Painter {
    clock: Arc<ManualClock>,
}

impl Generator for Painter {
    fn name(&self) -> &str {
        "painter"
    }

    fn backend(&self) -> &str {
        "bench"
    }

    fn adopt(&mut self, _: Arc<Identity>) -> Result<()> {
        Ok(())
    }

    fn generate(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        let shade = (128.0 + 40.0 * signal.rotation.x).clamp(0.0, 255.0) as u8;
        portrait.picture.data_mut().as_chunks_mut::<4>().0.fill([shade, 160, 120, 255]);
        self.clock.advance(WORK[2]);
        Ok(())
    }
}

/// Notes the age of each picture and looks for the camera's colour in it.
struct Witness {
    clock: Arc<ManualClock>,
    shown: Sender<()>,
    seen: Arc<Seen>,
}

impl Sink for Witness {
    fn name(&self) -> &str {
        "witness"
    }

    fn delivery(&self) -> Delivery {
        Delivery::Latest
    }

    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        let n_camera =
            frame.picture().data().as_chunks::<4>().0.iter().filter(|pixel| pixel[..3] == CAMERA_COLOUR).count();
        self.seen.n_camera_pixels.fetch_add(n_camera, Ordering::Relaxed);
        let before = self.seen.identity.swap(frame.shown.identity, Ordering::Relaxed);
        self.seen.n_switches.fetch_add(u64::from(before != frame.shown.identity), Ordering::Relaxed);
        self.seen.n_idle.fetch_add(u64::from(frame.trace.frame_id == 0), Ordering::Relaxed);
        if frame.trace.frame_id != 0 {
            self.clock.advance(WORK[3]);
            self.seen.n_shown.fetch_add(1, Ordering::Relaxed);
            self.seen.ages.lock().unwrap_or_else(PoisonError::into_inner).record(frame.trace.age(self.clock.now()));
            let _ = self.shown.send(());
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
