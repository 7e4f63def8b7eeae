//! Renders one clip into a file beside its place and moves it there when it is whole.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use effigy::capture::{self, LimitedSource, SourceOptions, SourceSpec};
use effigy::clock::MonotonicClock;
use effigy::composite::{Background, CompositeOptions, Compositor};
use effigy::credentials;
use effigy::drive::DriveOptions;
use effigy::error::OrError as _;
use effigy::face::{FaceTracker, TrackerOptions};
use effigy::identity::{EnrollOptions, Enroller, Opener};
use effigy::mark::Message;
use effigy::pipeline::{self, Control, Stages};
use effigy::rehearse::Rehearsal;
use effigy::report::{LiveFigures, Report};
use effigy::shard::Shard;
use effigy::sink::{self, SinkOptions, SinkSpec};
use effigy::{Error, ErrorKind, Identity, Result, photo};

use super::job::{Job, Whom};
use super::results::{Rendered, hash_of};
use crate::cli::outputs::cannot_write;
use crate::cli::run::{check_badge, following_run_id, generator_of, generator_of_others};
use crate::cli::{keys, parse_background};

/// Renders a clip; after `stop` what it returns means nothing, and no file appears.
pub(super) fn render(
    job: &Job,
    shard: Shard,
    opener: &Opener,
    controls: Receiver<Control>,
    stop: &AtomicBool,
) -> Result<Rendered> {
    let begun = Instant::now();
    if let Some(folder) = job.output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .or_error(ErrorKind::Io, || format!("cannot make the folder {}", folder.display()))?;
    }
    let part = part_path(&job.output, shard);
    let played = play(job, &part, opener, controls).and_then(|report| {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Internal, "stopped"));
        }
        if report.frames.presented == 0 {
            return Err(Error::new(ErrorKind::Io, format!("{} has no pictures", job.clip.display())));
        }
        Ok(report)
    });
    let report = match played {
        Ok(report) => report,
        Err(error) => {
            // It may not have come so far that there is one.
            let _ = std::fs::remove_file(&part);
            let _ = std::fs::remove_file(credentials::sidecar(&part));
            return Err(error);
        }
    };
    let about = |error| cannot_write(&job.output, error);
    let (bytes, sha256) = (std::fs::metadata(&part).map_err(about)?.len(), hash_of(&part).map_err(about)?);
    // First: a clip that is there under its name is taken for done.
    let beside = credentials::sidecar(&part);
    if beside.exists() {
        std::fs::rename(beside, credentials::sidecar(&job.output)).map_err(about)?;
    }
    std::fs::rename(&part, &job.output).map_err(about)?;
    Ok(Rendered {
        frames: report.frames.presented,
        no_face: report.frames.no_face,
        secs: (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        generator: report.generator,
        backend: report.backend,
        badge: report.badge,
        bytes,
        sha256,
    })
}

/// Where a clip is while it is not whole: beside its place, hidden, with its ending, the same each time for one part.
fn part_path(output: &Path, shard: Shard) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(output.file_stem().unwrap_or_default());
    name.push(format!(".part-{}-of-{}.", shard.index(), shard.count()));
    name.push(output.extension().unwrap_or_default());
    output.with_file_name(name)
}

fn play(job: &Job, part: &Path, opener: &Opener, controls: Receiver<Control>) -> Result<Report> {
    let identity = Arc::new(identity(&job.whom, opener)?);
    identity.check_consent(job.purpose.as_deref(), effigy::identity::now_unix_secs())?;
    check_badge(job.no_badge, std::slice::from_ref(&identity))?;
    let background = job.background.as_deref().map_or(Ok(Background::Own), |text| background(text, &job.folder))?;
    let options = SourceOptions { looped: false, paced: false, ..SourceOptions::default() };
    let mut source = capture::open(&SourceSpec::File(job.clip.clone()), &options)?;
    if let Some(secs) = job.duration_secs {
        source = Box::new(LimitedSource::new(source, Duration::from_secs_f64(secs)));
    }
    let weights = job.weights.as_deref();
    let of_others = generator_of_others(&job.model, job.backend, weights, job.size_px)?;
    let mut generator = match of_others {
        Some(generator) => generator,
        None => generator_of(job.backend, weights, job.size_px)?.0,
    };
    let composite = CompositeOptions {
        size_px: job.size_px,
        background,
        mirror: job.mirror,
        badge: !job.no_badge,
        badge_place: job.badge_place,
        badge_language: job.badge_language,
        run_id: following_run_id(std::slice::from_ref(&identity), &job.clip.to_string_lossy()),
        ..CompositeOptions::default()
    };
    let tracker = Box::new(FaceTracker::new(TrackerOptions::default())?);
    let mark = Message::of_run(composite.run_id);
    let compositor = Compositor::new(composite)?;
    generator.adopt(Arc::clone(&identity))?;
    let sink_options = SinkOptions {
        size_px: (job.size_px, job.size_px),
        rate_hz: source.frame_rate_hz().unwrap_or(30.0),
        every_frame: true,
        codec: job.codec.clone(),
        sound: source.sound(),
        microphone: None,
        signing: if job.unsigned { None } else { keys::signing(mark) },
    };
    let sink = sink::open(&SinkSpec::Video(part.to_owned()), &sink_options)?;
    let drive = DriveOptions {
        motion: job.motion,
        strengths: job.strengths,
        keep_expression: job.keep_expression,
        eye_contact: job.eye_contact,
        predict_ms: job.predict_ms,
        may_change: true,
        is_always_shown: false,
        is_filtered: false,
        is_dense: job.is_dense,
    };
    let stages = Stages {
        source,
        tracker,
        drive,
        generator,
        compositor,
        identities: vec![identity],
        first: 0,
        motion: Vec::new(),
        sinks: vec![sink],
        foreground: None,
        beside: None,
        every_frame: true,
        figures: Arc::new(LiveFigures::default()),
    };
    pipeline::run(stages, &MonotonicClock::new(), controls)
}

fn identity(whom: &Whom, opener: &Opener) -> Result<Identity> {
    match whom {
        Whom::Identity(path) => opener.identity(path),
        Whom::Photo { path, consent, consent_by, framing, face } => {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().chars().take(64).collect();
            let options =
                EnrollOptions { name, basis: *consent, consent_by: consent_by.clone(), framing: *framing, face: *face };
            let about =
                |error: Error| Error::new(error.kind(), format!("cannot enroll {}", path.display())).because(error);
            let mut identity = Enroller::new()?.enroll(&photo::read_bytes(path)?, &options).map_err(about)?;
            Rehearsal::new()?.rehearse(&mut identity)?;
            Ok(identity)
        }
    }
}

fn background(text: &str, folder: &Path) -> Result<Background> {
    let is_word = matches!(text, "own" | "blur" | "none") || text.starts_with('#');
    let name = if is_word { PathBuf::from(text) } else { folder.join(text) };
    parse_background(name.as_os_str())
        .map_err(|message| Error::new(ErrorKind::Config, format!("background: {message}")))
}
