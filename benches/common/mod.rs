//! What benches of the whole pipeline share: who is shown, and the record of a run.

use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use effigy::Identity;
use effigy::identity::{Basis, EnrollOptions, Enroller, Framing};

/// What a bench ends with.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The first portrait of the demo, enrolled.
pub(crate) fn identity() -> effigy::Result<Arc<Identity>> {
    let options = EnrollOptions {
        name: "bench".to_owned(),
        basis: Basis::Synthetic,
        consent_by: "a bench".to_owned(),
        framing: Framing::Keep,
        face: None,
    };
    Enroller::new()?.enroll(effigy::demo::PORTRAITS[0].1, &options).map(Arc::new)
}

/// A whole number that the environment sets, else `default`.
pub(crate) fn number(name: &str, default: u64) -> Outcome<u64> {
    Ok(std::env::var(name).map_or(Ok(default), |text| text.parse())?)
}

/// Writes what a bench found, with commit and load, to `EFFIGY_RECORD` if that is set.
pub(crate) fn record(bench: &str, load_before: Option<f64>, found: serde_json::Value) -> Outcome<()> {
    let Some(path) = std::env::var_os("EFFIGY_RECORD") else { return Ok(()) };
    let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output()?;
    let mut record = serde_json::json!({
        "bench": bench,
        "unix_secs": SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        "commit": String::from_utf8_lossy(&commit.stdout).trim(),
        "load_before": load_before,
        "load_after": load(),
    });
    if let (Some(record), serde_json::Value::Object(mut found)) = (record.as_object_mut(), found) {
        record.append(&mut found);
    }
    std::fs::write(path, serde_json::to_string_pretty(&record)? + "\n")?;
    Ok(())
}

/// The system's load over the last minute, where it tells.
pub(crate) fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
