//! What a run says when it has ended.

use std::path::Path;

use effigy::error::OrError as _;
use effigy::files;
use effigy::report::Report;
use effigy::{ErrorKind, Result};

use crate::cli::outputs::cannot_write;

/// Writes a report as JSON.
pub(in crate::cli) fn write_report(report: &Report, path: &Path) -> Result<()> {
    let text =
        serde_json::to_string_pretty(report).or_error(ErrorKind::Internal, || "cannot write the report".to_owned())?;
    files::write(path, (text + "\n").as_bytes()).map_err(|error| cannot_write(path, error))
}

/// Says how the run went, age first where it was a live one.
pub(in crate::cli) fn summarize(report: &Report, is_live: bool) {
    let (age, frames) = (&report.age_ms, &report.frames);
    if is_live {
        log::info!(
            "age of the picture: p50 {:.1} ms, p90 {:.1}, p99 {:.1}, max {:.1}",
            age.p50,
            age.p90,
            age.p99,
            age.max
        );
        log::info!("audio delay: {:.0} ms bring the sound to the picture (README.md, \"How late is it?\")", age.p50);
    }
    log::info!(
        "{:.1} pictures a second; {} captured, {} shown, {} dropped, {} without a face",
        report.fps,
        frames.captured,
        frames.presented,
        frames.dropped,
        frames.no_face
    );
    let stages: Vec<_> = ["face", "drive", "generate", "composite", "present"]
        .into_iter()
        .filter_map(|name| report.stages.get(name).map(|stage| format!("{name} {:.1}", stage.p50_ms)))
        .collect();
    log::info!("median of each stage in ms: {}; {} on {}", stages.join(", "), report.generator, report.backend);
    if let Some(remote) = &report.remote {
        log::info!(
            "another machine made {} of {} pictures; of each the network had {:.1} ms (p99 {:.1}), its work {:.1} ms",
            remote.pictures,
            frames.presented,
            remote.network.p50_ms,
            remote.network.p99_ms,
            remote.work.p50_ms
        );
    }
    if !report.badge {
        log::info!("the visible AI mark was off");
    }
}
