//! The whole way of a frame, from the paced test pattern to a sink that shows nothing: age of the picture.
//!
//! `cargo bench --bench pipeline` prints a table; with `EFFIGY_RECORD=FILE.json` it also writes what it found,
//! with machine, commit and load, for `benches/runs`. `EFFIGY_BENCH_SECS` sets the length of each run.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::Outcome;
use crossbeam_channel::bounded;
use effigy::capture::{self, SourceOptions, SourceSpec};
use effigy::clock::MonotonicClock;
use effigy::composite::{CompositeOptions, Compositor};
use effigy::drive::DriveOptions;
use effigy::face::{FaceTracker, TrackerOptions};
use effigy::generate::warp::WarpGenerator;
use effigy::pipeline::{self, Control, Stages};
use effigy::report::{LiveFigures, Report};
use effigy::sink::NullSink;
use effigy::{Identity, Result};

fn main() -> Outcome<()> {
    let duration = Duration::from_secs(common::number("EFFIGY_BENCH_SECS", 20)?);
    let load_before = common::load();
    let identity = common::identity()?;
    println!(
        "{:<6} {:>6} {:>8} {:>8} {:>8} {:>8} {:>10} {:>8}",
        "size", "fps", "age p50", "p90", "p99", "max", "p50/frame", "dropped"
    );
    let mut runs = Vec::new();
    for size_px in [512, 1024] {
        let report = run(&identity, size_px, duration)?;
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
    common::record("pipeline", load_before, serde_json::json!({ "runs": runs }))
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
            first: 0,
            motion: Vec::new(),
            source,
            tracker: Box::new(FaceTracker::new(TrackerOptions::default())?),
            drive: DriveOptions::default(),
            generator: Box::new(WarpGenerator::new(size_px)),
            compositor: Compositor::new(CompositeOptions { size_px, ..CompositeOptions::default() })?,
            identities: vec![Arc::clone(identity)],
            sinks: vec![Box::new(NullSink::default())],
            foreground: None,
            beside: None,
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
