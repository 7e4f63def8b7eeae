//! `effigy run`: an identity, driven live.

use std::sync::Arc;
use std::time::Duration;

use effigy::capture::{self, LimitedSource, SourceOptions, SourceSpec, SwitchedSource};
use effigy::composite::{Background, CompositeOptions};
use effigy::drive::DriveOptions;
use effigy::face::TrackerOptions;
use effigy::microphone;
use effigy::motion_link::{Heard, MotionSourceSpec};
use effigy::pipeline::Beside;
use effigy::report::LiveFigures;
use effigy::settings::Library;
use effigy::{Error, ErrorKind, Result};

use super::outputs::check_writable;
use super::{RunArgs, opener, people, remember, terminal};

pub(super) use checks::check_badge;
use checks::{
    check_every_frame, check_faces, check_model, check_remote, check_sinks, first_of, is_typed, keep_permitted,
    microphone_asked, record_to, shows_pictures,
};
pub(crate) use generator::{generator_of, generator_of_others, open_generator};
pub(super) use run_id::following_run_id;
use run_id::run_id;
pub(crate) use stage::{Makers, Stage};
pub(super) use summary::{summarize, write_report};

mod checks;
mod consent;
mod generator;
mod run_id;
mod sinks;
mod stage;
mod summary;

/// Drives identities until the source ends, the window is closed, or the user stops it.
pub(crate) fn run(args: &RunArgs) -> Result<()> {
    if args.dry_run {
        return terminal::print(args.held.table().as_bytes());
    }
    let outcome = drive(args);
    if outcome.is_err() && args.held.uses_last_run() {
        log::info!("some of this is from the last run: `effigy run --dry-run` shows it, --no-settings leaves it out");
    }
    outcome
}

fn drive(args: &RunArgs) -> Result<()> {
    // What was typed wrongly is said before anything is opened or written.
    let (sinks, cameras) = remember::begun(args);
    let sinks = &sinks[..];
    check_sinks(args, sinks)?;
    check_every_frame(args, sinks)?;
    check_remote(args)?;
    check_model(args)?;
    let microphone = microphone_asked(args, sinks)?.cloned();
    let record_to = record_to(args, sinks)?;
    // Asked before the source opens it: afterwards it may be busy.
    let shares_microphone = microphone.as_ref().is_some_and(|recorded| match &args.source {
        SourceSpec::Motion(MotionSourceSpec::Sound(Heard::Microphone(heard))) => microphone::is_same(heard, recorded),
        _ => false,
    });
    args.steering.check(is_typed(args, "obs"))?;
    let files = remember::identity_files(args)?;
    let opened = opener::open_all(&files, &args.keys.opener()?, !args.identity.is_empty())?;
    let (mut numbers, mut identities): (Vec<_>, Vec<_>) = keep_permitted(args, opened)?.into_iter().unzip();
    check_badge(args.no_badge, &identities)?;
    if identities.is_empty() {
        // Where nobody is shown, and for a first look, the program's own people will do.
        if !args.opens_page && shows_pictures(sinks) {
            return Err(Error::new(
                ErrorKind::Config,
                "no identity to show: make one with `effigy enroll PHOTO -o NAME.effigy --consent self` and give \
                 --identity NAME.effigy, or keep it with `effigy identities add NAME.effigy`",
            ));
        }
        identities = people::enroll()?;
        numbers = (files.len() + 1..).take(identities.len()).collect();
    }
    check_faces(args, &identities)?;
    let first = first_of(args, files.len(), &numbers, &identities)?;
    let beside = (args.faces == 2).then_some(usize::from(first == 0));
    let shown: Vec<_> = std::iter::once(first).chain(beside).map(|i| &*identities[i]).collect();
    // Cameras that were begun on the page of the last run count as if they had been asked for.
    let frame = args.frame.frame(if cameras.is_empty() { sinks } else { &args.sink }, &identities, &shown)?;
    if let Some(path) = &args.report {
        check_writable(path)?;
    }
    let options = SourceOptions {
        looped: args.looped,
        paced: !args.every_frame,
        format: args.camera_format,
        size_px: args.camera_size,
        rate_hz: args.camera_rate,
    };
    let mut source = open_source(args, &options)?;
    log::info!("source: {}", source.name());
    let duration = args.duration.map(Duration::from_secs_f64);
    if let Some(length) = duration.filter(|_| args.every_frame) {
        source = Box::new(LimitedSource::new(source, length));
    }
    let weights = args.weights.as_deref();
    let of_others = generator_of_others(&args.model, args.backend.here(), weights, frame.generated_px)?;
    let generator = match of_others {
        Some(generator) => generator,
        None => open_generator(&args.backend, weights, frame.generated_px, args.every_frame)?,
    };
    let open_another = || generator::open_quietly(&args.backend, weights, frame.generated_px, args.every_frame);
    let beside =
        beside.map(|identity| open_another().map(|(generator, _)| Beside { identity, generator })).transpose()?;
    let frame_rate_hz = source.frame_rate_hz().unwrap_or(30.0);
    let figures = Arc::new(LiveFigures::default());
    let is_motion = matches!(args.source, SourceSpec::Motion(_));
    let memory = args
        .held
        .is_remembered
        .then(|| remember::Memory::begin(args, &files, numbers, Arc::clone(&figures)))
        .transpose()?;
    let stage = Stage {
        size_px: frame.generated_px,
        every_frame: args.every_frame,
        frame_rate_hz,
        duration: duration.filter(|_| !args.every_frame),
        stamp: args.stamp,
        allow_remote: args.allow_remote,
        codec: args.codec.clone(),
        microphone,
        shares_microphone,
        record_to,
        opens_page: args.opens_page,
        is_first_use: args.opens_page && files.is_empty(),
        cameras,
        library: Library::of_user().ok().filter(|_| !args.no_settings),
        steering: args.steering.clone(),
        first,
        purpose: args.purpose.clone(),
        is_motion,
        tracking: TrackerOptions { holds_covered: args.hold_covered, ..TrackerOptions::default() },
        figures,
        unsigned: args.unsigned,
    };
    let drive = DriveOptions {
        motion: args.motion,
        strengths: args.strengths.strengths(),
        keep_expression: args.strengths.keep_expression,
        eye_contact: args.strengths.eye_contact,
        predict_ms: args.strengths.predict,
        may_change: true,
        is_always_shown: false,
        is_filtered: !args.every_frame,
        // Numbers have no picture to measure in.
        is_dense: !args.mesh_only && !is_motion,
    };
    let composite = CompositeOptions {
        size_px: frame.generated_px,
        frame_px: Some(frame.frame_px),
        framing: frame.framing,
        view: frame.view,
        background: args.background.clone().unwrap_or(Background::Own),
        mirror: args.mirror,
        badge: !args.no_badge,
        badge_place: args.badge_place,
        badge_language: args.badge_language,
        run_id: run_id(args, &identities)?,
    };
    let makers = Makers { generator, beside };
    let report = stage.play(source, makers, drive, composite, identities, sinks)?;
    drop(memory);
    let written = args.report.as_deref().map_or(Ok(()), |path| write_report(&report, path));
    // Without waiting, a clip is read faster or slower than it was taken: its pictures have no age.
    summarize(&report, !args.every_frame);
    written
}

/// Opens what drives; a camera, and the pattern in its place, so that they can be changed while the run goes on.
fn open_source(args: &RunArgs, options: &SourceOptions) -> Result<Box<dyn effigy::Source>> {
    Ok(match &args.source {
        SourceSpec::Camera(_) | SourceSpec::Pattern => Box::new(SwitchedSource::open(&args.source, options)?),
        other => capture::open(other, options)?,
    })
}
