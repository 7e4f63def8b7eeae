//! `effigy run`: an identity, driven live.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use effigy::capture::{self, ClipSound, LimitedSource, SourceOptions, SourceSpec, SwitchedSource};
use effigy::clock::MonotonicClock;
use effigy::composite::{Background, CompositeOptions, Compositor};
use effigy::demand::{CameraDemand, CameraKind, Demand};
use effigy::drive::{DriveOptions, MotionTracker};
use effigy::error::OrError as _;
use effigy::face::{FaceTracker, Tracker, TrackerOptions};
use effigy::files;
use effigy::generate::Generator;
use effigy::mark::Message;
use effigy::microphone::{self, Listening, Microphone, MicrophoneSpec};
use effigy::motion_link::{self, Heard, MotionSink, MotionSourceSpec};
use effigy::pipeline::{self, Beside, Control, Stages};
use effigy::report::{LiveFigures, MicrophoneUse, Report};
use effigy::settings::Library;
use effigy::sink::{self, About, Codec, HttpOptions, HttpSink, OnDemand, SinkOptions, SinkSpec, SwitchedCamera};
use effigy::{Error, ErrorKind, Identity, Result, Sink};

use super::outputs::{cannot_write, check_writable};
use super::steering::{Listeners, SteeringArgs};
use super::{RunArgs, browser, keys, live_window, opener, people, remember, terminal, user};

pub(super) use checks::check_badge;
use checks::{
    check_every_frame, check_faces, check_model, check_remote, check_sinks, keep_permitted, microphone_asked,
    record_to, shows_pictures,
};
pub(crate) use generator::{generator_of, generator_of_others, open_generator};
pub(super) use run_id::following_run_id;
use run_id::run_id;

mod checks;
mod generator;
mod run_id;

/// How many changes may wait to be carried out: more than hands can type in one frame.
const MAX_PENDING_CONTROLS: usize = 64;

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
    args.steering.check()?;
    let files = remember::identity_files(args)?;
    let mut identities = opener::open_all(&files, &args.keys.opener()?, !args.identity.is_empty())?;
    keep_permitted(args, &mut identities)?;
    check_badge(args.no_badge, &identities)?;
    if identities.is_empty() {
        // Where nobody is shown, and for a first look, the program's own people will do.
        if !args.opens_page && shows_pictures(sinks) {
            return Err(Error::new(
                ErrorKind::Config,
                "no identity to show: make one with `effigy enroll PHOTO -o NAME.effigy` and give --identity NAME.effigy, or \
                 keep it with `effigy identities add NAME.effigy`",
            ));
        }
        identities = people::enroll()?;
    }
    check_faces(args, &identities)?;
    let first = (args.first - 1).min(identities.len() - 1);
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
    let memory =
        args.held.is_remembered.then(|| remember::Memory::begin(args, &files, Arc::clone(&figures))).transpose()?;
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
    // Without waiting, a clip is read faster or slower than it was taken: its pictures have no age.
    summarize(&report, !args.every_frame);
    args.report.as_deref().map_or(Ok(()), |path| write_report(&report, path))
}

/// Opens what drives; a camera, and the pattern in its place, so that they can be changed while the run goes on.
fn open_source(args: &RunArgs, options: &SourceOptions) -> Result<Box<dyn effigy::Source>> {
    Ok(match &args.source {
        SourceSpec::Camera(_) | SourceSpec::Pattern => Box::new(SwitchedSource::open(&args.source, options)?),
        other => capture::open(other, options)?,
    })
}

/// Ways for numbers: out of the run, and into its control.
type Links = (Vec<Box<dyn MotionSink>>, Listeners);

/// What makes the pictures of who is shown first, and of who is beside.
pub(crate) struct Makers {
    pub(crate) generator: Box<dyn Generator>,
    pub(crate) beside: Option<Beside>,
}

/// What a run needs to know beside its stages.
pub(crate) struct Stage {
    /// Width and height of the generated square, in pixels.
    pub(crate) size_px: usize,
    pub(crate) every_frame: bool,
    pub(crate) frame_rate_hz: f64,
    /// When to end, by the clock; a run of every frame has none.
    pub(crate) duration: Option<Duration>,
    /// Whether pictures carry number and time of the driver's frame.
    pub(crate) stamp: bool,
    pub(crate) allow_remote: bool,
    pub(crate) codec: Codec,
    /// What is heard in recordings.
    pub(crate) microphone: Option<MicrophoneSpec>,
    /// Whether that is the one that moves the mouth, which is open already.
    pub(crate) shares_microphone: bool,
    /// Where recordings go that are begun while the run goes on; `None` where none can be.
    pub(crate) record_to: Option<PathBuf>,
    /// Whether the control page is opened in a browser.
    pub(crate) opens_page: bool,
    /// Whether the user has enrolled nobody yet.
    pub(crate) is_first_use: bool,
    /// Where what is enrolled on the page can be kept.
    pub(crate) library: Option<Library>,
    /// Cameras for other programs that were on the page when the last run ended: they are begun, and the page can end them.
    pub(crate) cameras: Vec<CameraKind>,
    /// What steers beside window and page.
    pub(crate) steering: SteeringArgs,
    /// Who is shown first, counted from 0.
    pub(crate) first: usize,
    /// Whether numbers drive instead of pictures.
    pub(crate) is_motion: bool,
    /// How the driver's face is followed.
    pub(crate) tracking: TrackerOptions,
    pub(crate) figures: Arc<LiveFigures>,
    /// Whether files get no signed manifest.
    pub(crate) unsigned: bool,
}

impl Stage {
    /// Opens what is left to open and runs the pipeline on this thread.
    pub(crate) fn play(
        &self,
        source: Box<dyn effigy::Source>,
        Makers { mut generator, mut beside }: Makers,
        drive: DriveOptions,
        composite: CompositeOptions,
        identities: Vec<Arc<Identity>>,
        sink_specs: &[SinkSpec],
    ) -> Result<Report> {
        let (control_tx, control_rx) = bounded(MAX_PENDING_CONTROLS);
        let figures = Arc::clone(&self.figures);
        let first = self.first.min(identities.len().saturating_sub(1));
        let tracker: Box<dyn Tracker> = match identities.get(first) {
            Some(identity) if self.is_motion => Box::new(MotionTracker::new(identity)?),
            _ => Box::new(FaceTracker::new(self.tracking)?),
        };
        let run_id = composite.run_id;
        let mut compositor = Compositor::new(composite)?;
        compositor.set_stamp(self.stamp);
        let frame_px = compositor.frame_px();
        // Slow, so before the source runs and the time counts; the pipeline finds it done.
        if let Some(identity) = identities.get(first) {
            generator.adopt(Arc::clone(identity))?;
        }
        if let Some(Beside { identity, generator }) = &mut beside {
            generator.adopt(Arc::clone(&identities[*identity]))?;
        }
        let driver = source.microphone().map(|(microphone, clock)| (microphone.clone(), clock));
        let clock = driver.as_ref().map_or_else(MonotonicClock::new, |(_, clock)| *clock);
        let driver = driver.map(|(microphone, _)| microphone);
        let (shared, wanted) =
            if self.shares_microphone { (driver.as_ref(), None) } else { (None, self.microphone.as_ref()) };
        let listening = wanted.map(|spec| microphone::listen(spec, clock)).transpose()?;
        let microphone = shared.or(listening.as_ref().map(Listening::microphone));
        if microphone.is_some() {
            log::info!("microphone: it is heard in what is recorded; silent while the card is asked for");
        }
        let has_file = sink_specs.iter().any(|spec| matches!(spec, SinkSpec::Video(_)));
        let usage = match microphone {
            Some(_) if has_file => MicrophoneUse::Recorded,
            Some(_) => MicrophoneUse::OnDemand,
            None => MicrophoneUse::Drives,
        };
        if let Some(heard) = microphone.or(driver.as_ref()) {
            figures.set_microphone(heard.clone(), usage);
        }
        let recorded = microphone.cloned();
        let mark = Message::of_run(run_id);
        let options = self.file_options(frame_px, source.sound(), microphone);
        let mut sinks = self.open_files(sink_specs, &options, mark)?;
        let (motion, listeners) = match self.open_links(sink_specs, &control_tx) {
            Ok(links) => links,
            Err(error) => return Err(undone(sinks, error)),
        };
        let server = sink_specs.iter().find_map(|spec| match spec {
            SinkSpec::Http(address) => Some(HttpOptions {
                address: *address,
                allow_remote: self.allow_remote,
                token: std::env::var("EFFIGY_HTTP_TOKEN").ok().filter(|token| !token.is_empty()),
                control: control_tx.clone(),
                figures: Arc::clone(&figures),
                identities: identities.clone(),
                about: About {
                    source: source.name().to_owned(),
                    generator: generator.name().to_owned(),
                    backend: generator.backend().to_owned(),
                    size_px: self.size_px,
                    frame_px,
                    is_first_use: self.is_first_use,
                },
                messages: terminal::messages(),
                consent_by: user::name(),
                library: self.library.clone(),
            }),
            _ => None,
        });
        if let Some(options) = server {
            match HttpSink::open(options) {
                Ok(server) => {
                    announce(&server);
                    if self.opens_page {
                        browser::open(&server.url("/"));
                    }
                    sinks.push(Box::new(server));
                }
                Err(error) => return Err(undone(sinks, error)),
            }
        }
        if !self.every_frame && sink_specs.iter().any(|spec| matches!(spec, SinkSpec::Http(_))) {
            sinks.extend(cameras_on_demand(sink_specs, &options, &self.cameras));
        }
        if let Some(folder) = &self.record_to {
            let demand = Arc::new(Demand::default());
            let is_signed = !self.unsigned;
            let signing = Box::new(move || if is_signed { keys::signing(mark) } else { None });
            sinks.push(Box::new(OnDemand::new(folder, options, signing, demand)));
        }
        quit_on_interrupt(control_tx.clone());
        if let Some(duration) = self.duration {
            quit_after(duration, control_tx.clone())?;
        }
        let mut foreground: Option<Box<dyn Sink>> = None;
        if sink_specs.contains(&SinkSpec::Window) {
            let names = identities.iter().map(|identity| identity.manifest.name.clone()).collect();
            let backend = format!("{} on {}", generator.name(), generator.backend());
            match live_window::open(frame_px, names, backend, control_tx, Arc::clone(&figures)) {
                Ok(window) => foreground = Some(window),
                Err(error) => return Err(undone(sinks, error)),
            }
        }
        for name in sinks.iter().map(|sink| sink.name()).chain(motion.iter().map(|sink| sink.name())) {
            log::info!("sink: {name}");
        }
        log::info!("mark: pictures say that they are of run {run_id:04x}; `effigy verify` reads it");
        let n_frames = source.n_frames().filter(|_| self.every_frame);
        let progress = n_frames.map(|n_frames| terminal::bar(n_frames, "frames"));
        let stages = Stages {
            source,
            tracker,
            drive,
            generator,
            compositor,
            identities,
            first,
            beside,
            sinks,
            foreground,
            motion,
            every_frame: self.every_frame,
            figures,
        };
        let report = match progress {
            Some(bar) => {
                with_progress(&bar, &Arc::clone(&stages.figures), || pipeline::run(stages, &clock, control_rx))
            }
            None => pipeline::run(stages, &clock, control_rx),
        };
        // All listen as long as there is something to steer and to record.
        drop(listeners);
        if let Some(microphone) = recorded {
            let n_lost = microphone.n_lost();
            log::info!("microphone: {} is off{}", microphone.name(), if n_lost > 0 { "; parts were lost" } else { "" });
        }
        drop(listening);
        report
    }

    /// Opens what sends motion, and what steers.
    fn open_links(&self, specs: &[SinkSpec], control: &Sender<Control>) -> Result<Links> {
        let motion = specs.iter().filter_map(|spec| match spec {
            SinkSpec::Motion(motion) => Some(motion_link::open_sink(motion)),
            _ => None,
        });
        let motion = motion.collect::<Result<_>>()?;
        Ok((motion, self.steering.open(control, &self.figures)?))
    }

    /// What files are told of the run.
    fn file_options(
        &self,
        size_px: (usize, usize),
        sound: Option<ClipSound>,
        microphone: Option<&Microphone>,
    ) -> SinkOptions {
        SinkOptions {
            size_px,
            rate_hz: self.frame_rate_hz,
            every_frame: self.every_frame,
            codec: self.codec.clone(),
            sound,
            microphone: microphone.cloned(),
            signing: None,
        }
    }

    /// Opens every sink but the window and the server; none is left half made when one fails.
    fn open_files(
        &self,
        specs: &[SinkSpec],
        options: &SinkOptions,
        mark: Message,
    ) -> Result<Vec<Box<dyn Sink + Send>>> {
        let has_files = specs.iter().any(|spec| matches!(spec, SinkSpec::Video(_) | SinkSpec::Sequence(_)));
        let signing = if has_files && !self.unsigned { keys::signing(mark) } else { None };
        let options = SinkOptions { signing, ..options.clone() };
        let mut sinks = Vec::new();
        for spec in
            specs.iter().filter(|spec| !matches!(spec, SinkSpec::Window | SinkSpec::Http(_) | SinkSpec::Motion(_)))
        {
            match sink::open(spec, &options) {
                Ok(sink) => sinks.push(sink),
                Err(error) => return Err(undone(sinks, error)),
            }
        }
        Ok(sinks)
    }
}

/// The cameras for other programs that this build has and the run was not begun with: the page begins and ends them.
///
/// Those of `asked` are begun at once.
fn cameras_on_demand(specs: &[SinkSpec], options: &SinkOptions, asked: &[CameraKind]) -> Vec<Box<dyn Sink + Send>> {
    let is_here = |kind: &CameraKind| match kind {
        CameraKind::Vcam => {
            cfg!(target_os = "linux") && !specs.iter().any(|spec| matches!(spec, SinkSpec::Vcam { .. }))
        }
        CameraKind::Pipewire => {
            cfg!(all(target_os = "linux", feature = "pipewire"))
                && !specs.iter().any(|spec| matches!(spec, SinkSpec::Pipewire { .. }))
        }
    };
    let sink = |kind| -> Box<dyn Sink + Send> {
        let demand = CameraDemand::new(kind);
        demand.ask(asked.contains(&kind));
        Box::new(SwitchedCamera::new(options.clone(), Arc::new(demand)))
    };
    [CameraKind::Vcam, CameraKind::Pipewire].into_iter().filter(is_here).map(sink).collect()
}

/// Says how to reach the page, and what it means when others can.
fn announce(server: &HttpSink) {
    log::info!("control page: {}", server.url("/"));
    log::info!("for OBS, as a browser source: {}", server.view_url());
    if !server.address().ip().is_loopback() {
        log::warn!(
            "other machines can reach the control page; everyone who learns its address and token can watch, steer \
             and have recordings written, and nothing is encrypted"
        );
    }
}

/// Lets sinks that were opened in vain clear away their empty files.
fn undone(sinks: Vec<Box<dyn Sink + Send>>, error: Error) -> Error {
    for mut sink in sinks {
        // The error that led here is the one to report.
        let _ = sink.finish();
    }
    error
}

/// Shows how far the work is while it is done.
fn with_progress<T>(bar: &indicatif::ProgressBar, figures: &LiveFigures, work: impl FnOnce() -> T) -> T {
    let (done_tx, done_rx) = bounded::<()>(0);
    std::thread::scope(|scope| {
        let show = || {
            // Ends when the work has dropped its end.
            while done_rx.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                bar.set_position(figures.presented());
            }
        };
        let shown = std::thread::Builder::new().name("progress".to_owned()).spawn_scoped(scope, show);
        let outcome = work();
        drop(done_tx);
        // Without the thread the work was done all the same.
        let _ = shown.map(|thread| thread.join());
        bar.finish_and_clear();
        outcome
    })
}

fn quit_on_interrupt(control: Sender<Control>) {
    terminal::on_interrupt(move || {
        // A full channel is emptied within a frame; a second Ctrl-C ends at once.
        let _ = control.send_timeout(Control::Quit, Duration::from_secs(1));
    });
}

fn quit_after(duration: Duration, control: Sender<Control>) -> Result<()> {
    std::thread::Builder::new()
        .name("timer".to_owned())
        .spawn(move || {
            std::thread::sleep(duration);
            let _ = control.send_timeout(Control::Quit, Duration::from_secs(1));
        })
        .map(|_| ())
        .or_error(ErrorKind::Internal, || "cannot start the timer for --duration".to_owned())
}

pub(crate) fn write_report(report: &Report, path: &Path) -> Result<()> {
    let text =
        serde_json::to_string_pretty(report).or_error(ErrorKind::Internal, || "cannot write the report".to_owned())?;
    files::write(path, (text + "\n").as_bytes()).map_err(|error| cannot_write(path, error))
}

/// Says how the run went, age first where it was a live one.
pub(crate) fn summarize(report: &Report, is_live: bool) {
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
