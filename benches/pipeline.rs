//! The whole way of a frame, from the paced test pattern to a sink that shows nothing: age of the picture.
//!
//! `cargo bench --bench pipeline` prints a table; with `EFFIGY_RECORD=FILE.json` it also writes what it found,
//! with machine, commit and load, for `benches/runs`. `EFFIGY_BENCH_SECS` sets the length of each run.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::bounded;
use effigy::capture::{self, SourceOptions, SourceSpec};
use effigy::clock::MonotonicClock;
use effigy::composite::{CompositeOptions, Compositor};
use effigy::drive::DriveOptions;
use effigy::face::{FaceTracker, TrackerOptions};
use effigy::generate::warp::WarpGenerator;
use effigy::identity::{Basis, EnrollOptions, Enroller, Framing};
use effigy::pipeline::{self, Control, Stages};
use effigy::report::{LiveFigures, Report};
use effigy::sink::NullSink;
use effigy::{Identity, Result};

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let secs = std::env::var("EFFIGY_BENCH_SECS").map_or(Ok(20), |secs| secs.parse())?;
    let load_before = load();
    let options = EnrollOptions {
        name: "bench".to_owned(),
        basis: Basis::Synthetic,
        consent_by: "a bench".to_owned(),
        framing: Framing::Keep,
        face: None,
    };
    let identity = Arc::new(Enroller::new()?.enroll(effigy::demo::PORTRAITS[0].1, &options)?);
    println!(
        "{:<6} {:>6} {:>8} {:>8} {:>8} {:>8} {:>10} {:>8}",
        "size", "fps", "age p50", "p90", "p99", "max", "p50/frame", "dropped"
    );
    let mut runs = Vec::new();
    for size_px in [512, 1024] {
        let report = run(&identity, size_px, Duration::from_secs(secs))?;
        let age = &report.age_ms;
        println!(
            "{size_px:<6} {:>6.1} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>10.2} {:>8}",
            report.fps,
            age.p50,
            age.p90,
            age.p99,
            age.max,
            age.p50 * report.source_fps / 1e3,
            report.frames.dropped
        );
        runs.push(serde_json::json!({ "size_px": size_px, "report": report }));
    }
    if let Some(path) = std::env::var_os("EFFIGY_RECORD") {
        let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output()?;
        let record = serde_json::json!({
            "bench": "pipeline",
            "unix_secs": SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
            "commit": String::from_utf8_lossy(&commit.stdout).trim(),
            "load_before": load_before,
            "load_after": load(),
            "runs": runs,
        });
        std::fs::write(path, serde_json::to_string_pretty(&record)? + "\n")?;
    }
    Ok(())
}

fn run(identity: &Arc<Identity>, size_px: usize, duration: Duration) -> Result<Report> {
    let (control_tx, control_rx) = bounded(1);
    let timer = std::thread::Builder::new().name("timer".to_owned()).spawn(move || {
        std::thread::sleep(duration);
        let _ = control_tx.send(Control::Quit);
    });
    let source = capture::open(&SourceSpec::Pattern, &SourceOptions { looped: true, ..SourceOptions::default() })?;
    let report = pipeline::run(
        Stages {
            source,
            tracker: Box::new(FaceTracker::new(TrackerOptions::default())?),
            drive: DriveOptions::default(),
            generator: Box::new(WarpGenerator::new(size_px)),
            compositor: Compositor::new(CompositeOptions { size_px, ..CompositeOptions::default() })?,
            identities: vec![Arc::clone(identity)],
            sinks: vec![Box::new(NullSink::default())],
            foreground: None,
            size_px,
            every_frame: false,
            figures: Arc::new(LiveFigures::default()),
        },
        &MonotonicClock::new(),
        control_rx,
    );
    // It has done its work, or the run has failed on its own.
    drop(timer);
    report
}

/// The system's load over the last minute, where it tells.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
