//! Makes a data set of clips, photos and rendered people: decode, track, check, crop, store.
//!
//! A clip is looked at twice. First the tracker follows the face through the file as it is, and every picture is
//! measured; then it is decided what to keep and which square to cut; then that is decoded again and stored.
//! Whatever is left out is counted with its reason. A clip that is there already is not made again, and never gives way to
//! another of its name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::dataset::ClipInfo;
use super::dataset::{Kind, put, put_json};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::shard::Shard;

pub use collect::{Job, Origin};
pub use manifest::Manifest;
pub use merge::merge;

mod checks;
mod collect;
mod flow;
mod framing;
mod manifest;
mod measure;
mod merge;
mod outcome;
mod plots;
mod rendered;
mod statistics;
mod work;

#[cfg(test)]
mod tests;

/// Number of the format; other numbers are refused.
const FORMAT: u32 = 1;
/// How the reason begins why nothing was taken of a file that cannot be read.
const UNREADABLE: &str = "unreadable";

/// How to prepare.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who is seen and with which rights, by file.
    pub manifest: Option<PathBuf>,
    /// Take clips of these classes only; empty takes all. Rendered people are taken in any case.
    pub rights: Vec<String>,
    /// What is measured and refused.
    pub checks: Checks,
    /// How many clips to work on at once, at least 1.
    pub n_jobs: usize,
    /// Which part of the clips to work on. Of several parts none writes statistics: [`merge`] does.
    pub shard: Shard,
}

/// What is refused. Written into the data set: all of it is made with the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checks {
    /// The smallest face, in pixels of the file (longer side of the box around the points).
    pub min_face_px: f32,
    /// The smallest number of frames that makes a clip; photos need one.
    pub min_frames: usize,
    /// The brightest twentieth of the face must reach this, 0..255. Skin of every tone has highlights.
    pub min_highlight: u8,
    /// The lowest rate of pictures that differ, frames a second.
    pub min_rate_hz: f64,
    /// Whether to store optical flow.
    pub has_flow: bool,
}

impl Default for Checks {
    fn default() -> Self {
        Self { min_face_px: 96.0, min_frames: 10, min_highlight: 60, min_rate_hz: 8.0, has_flow: false }
    }
}

/// `dataset.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    format: u32,
    checks: Checks,
}

/// What is told while it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Clips that are done or were there.
    pub n_done: usize,
    /// Clips in all.
    pub n_clips: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Clips in the data set that came from these inputs.
    pub n_clips: u64,
    /// Frames of those clips.
    pub n_frames: u64,
    /// Clips that were there before.
    pub n_resumed: u64,
    /// Clips of which nothing was taken, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Frames left out of the clips that were taken, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Clips that were not looked at, since they have other rights than asked for.
    pub n_other_rights: u64,
    /// Whether it was stopped before all were done.
    pub is_stopped: bool,
}

/// Prepares all clips in `inputs` that the data set in `output` does not hold yet.
///
/// An input is a video, a photo, a folder that `effigy synth data` wrote, or a folder with any of these.
/// Without inputs, all that the manifest names. `stop` ends it soon; what is done by then is whole.
///
/// # Errors
/// - [`ErrorKind::Config`]: an input does not exist, two have the same name, the data set was made otherwise or holds
///   another clip of the same name.
/// - [`ErrorKind::Io`]: the data set cannot be written. A clip that cannot be read is no error but counted.
/// - [`ErrorKind::Model`]: the tracker's networks cannot be opened.
pub fn prepare(
    inputs: &[PathBuf],
    output: &Path,
    options: &Options,
    stop: &AtomicBool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Summary> {
    let manifest = options.manifest.as_deref().map(Manifest::read).transpose()?.unwrap_or_default();
    let mut jobs = collect::collect(inputs, &manifest)?;
    check_settings(output, options.checks)?;
    let n_all = jobs.len();
    let known: BTreeSet<String> = jobs.iter().map(|job| job.rights.clone()).collect();
    jobs.retain(|job| {
        options.rights.is_empty() || job.kind() == Kind::Synthetic || options.rights.contains(&job.rights)
    });
    if jobs.is_empty() {
        let (asked, known) = (options.rights.join(", "), known.into_iter().collect::<Vec<_>>().join(", "));
        let message = format!("no input has the rights {asked}; the manifest gives these inputs: {known}");
        return Err(Error::new(ErrorKind::Config, message));
    }
    let mut summary = Summary { n_other_rights: (n_all - jobs.len()) as u64, ..Summary::default() };
    let clips = output.join("clips");
    // All are looked for before the first is made: who brings another clip of a name learns it at once.
    let jobs: Vec<(Job, Option<ClipInfo>)> = jobs
        .into_iter()
        .enumerate()
        .filter(|(i, _)| options.shard.has(*i))
        .map(|(_, job)| found(&clips.join(&job.name), &job).map(|info| (job, info)))
        .collect::<Result<_>>()?;

    let done = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let n_done = AtomicUsize::new(0);
    let has_failed = AtomicBool::new(false);
    let worker = || -> Result<()> {
        let mut workshop = None;
        while !stop.load(Ordering::Relaxed) && !has_failed.load(Ordering::Relaxed) {
            let Some((job, found)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let outcome = match found {
                Some(info) => Some((info.clone(), true)),
                None => {
                    let workshop = match &mut workshop {
                        Some(workshop) => workshop,
                        none => none.insert(work::Workshop::new()?),
                    };
                    workshop.make(job, &clips.join(&job.name), &options.checks, stop)?.map(|info| (info, false))
                }
            };
            // None: it was stopped.
            if let Some(outcome) = outcome {
                done.lock().map_err(|_| broken())?.push(outcome);
                progress(Progress { n_done: n_done.fetch_add(1, Ordering::Relaxed) + 1, n_clips: jobs.len() });
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<()> {
        let start = |i: usize| {
            std::thread::Builder::new().name(format!("prepare-{i}")).spawn_scoped(scope, || {
                let outcome = worker();
                if outcome.is_err() {
                    has_failed.store(true, Ordering::Relaxed);
                }
                outcome
            })
        };
        let threads: Vec<_> = (0..options.n_jobs.max(1)).map(start).collect();
        let mut outcome = Ok(());
        for thread in threads {
            let thread = thread.or_error(ErrorKind::Internal, || "cannot start a thread".to_owned())?;
            outcome = outcome.and(thread.join().unwrap_or_else(|_| Err(broken())));
        }
        outcome
    })?;
    let done = done.into_inner().map_err(|_| broken())?;
    summary.is_stopped = stop.load(Ordering::Relaxed);
    for (info, is_resumed) in &done {
        summary.add(info, *is_resumed);
    }
    if options.shard == Shard::WHOLE {
        write_statistics(output)?;
    }
    Ok(summary)
}

/// Writes what is in the data set, and what was left out and why.
fn write_statistics(output: &Path) -> Result<()> {
    let statistics = statistics::write(output)?;
    put(&output.join("statistics.svg"), plots::draw(&statistics).as_bytes())
}

impl Summary {
    fn add(&mut self, info: &ClipInfo, is_resumed: bool) {
        self.n_resumed += u64::from(is_resumed);
        if let Some(reason) = &info.rejected {
            // What follows the colon tells about this clip alone.
            let reason = reason.split(':').next().unwrap_or(reason);
            *self.rejected.entry(reason.to_owned()).or_default() += 1;
            return;
        }
        self.n_clips += 1;
        self.n_frames += info.n_frames;
        for drop in &info.dropped {
            *self.dropped.entry(drop.reason.clone()).or_default() += drop.count;
        }
    }
}

/// The clip as it was made before, if it was and still is as the manifest has it.
///
/// # Errors
/// [`ErrorKind::Config`] when the clip there was made of another file.
fn found(dir: &Path, job: &Job) -> Result<Option<ClipInfo>> {
    let Some(info) = ClipInfo::read(dir).ok().filter(|info| is_whole(dir, info)) else { return Ok(None) };
    let is_same_source = match (&info.source, job.origin.digest()) {
        (Some(there), Some(here)) => *there == here,
        _ => info.file == job.file && info.kind == job.kind(),
    };
    if is_same_source {
        // Who it is, and where, may have been corrected in the manifest since.
        let ignore_px = info
            .crop_px
            .zip(job.ignore_rect)
            .and_then(|([left, top, side], rect)| framing::Square { left, top, side }.rect(rect));
        let is_as_asked = info.person == job.person && info.rights == job.rights && info.ignore_px == ignore_px;
        return Ok(is_as_asked.then_some(info));
    }
    if info.rejected.as_deref().is_some_and(|reason| reason.starts_with(UNREADABLE)) {
        return Ok(None);
    }
    let message = format!(
        "the data set holds another clip called {} (from {}); rename one or use another folder; if this one shall replace \
         it, delete {}",
        info.name,
        info.file,
        dir.display()
    );
    Err(Error::new(ErrorKind::Config, message))
}

/// Whether a clip's folder holds all that its `clip.json` tells of.
fn is_whole(dir: &Path, info: &ClipInfo) -> bool {
    info.rejected.is_some() || dir.join("frames.jsonl").is_file()
}

fn check_settings(output: &Path, checks: Checks) -> Result<()> {
    let path = output.join("dataset.json");
    let settings = Settings { format: FORMAT, checks };
    if !path.exists() {
        let folder = output.join("clips");
        std::fs::create_dir_all(&folder).or_error(ErrorKind::Io, || format!("cannot make {}", folder.display()))?;
        return put_json(&path, &settings);
    }
    let text = std::fs::read_to_string(&path).or_error(ErrorKind::Io, || format!("cannot read {}", path.display()))?;
    let found: Settings = serde_json::from_str(&text)
        .or_error(ErrorKind::Config, || format!("{} is no data set's; choose another folder", path.display()))?;
    if found == settings {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!(
            "the data set in {} was made with other settings (see its dataset.json); use those, or another folder",
            output.display()
        ),
    ))
}

fn broken() -> Error {
    Error::new(ErrorKind::Internal, "preparing a clip broke down")
}
