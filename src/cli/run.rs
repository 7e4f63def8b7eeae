//! `effigy run`: an identity, driven live.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use effigy::capture::{self, SourceOptions, SourceSpec};
use effigy::clock::MonotonicClock;
use effigy::composite::{CompositeOptions, Compositor};
use effigy::drive::DriveOptions;
use effigy::error::OrError as _;
use effigy::face::{FaceTracker, TrackerOptions};
use effigy::generate::Generator;
use effigy::generate::network::Size;
use effigy::generate::neural::{self, NeuralGenerator};
use effigy::generate::warp::WarpGenerator;
use effigy::generate::weights::Weights;
use effigy::identity::Basis;
use effigy::pipeline::{self, Control, Stages};
use effigy::report::{LiveFigures, Report};
use effigy::sink::{self, SinkOptions, SinkSpec};
use effigy::{Error, ErrorKind, Identity, Result, Sink};

use super::{Backend, RunArgs, live_window, terminal};

/// How many changes may wait to be carried out: more than hands can type in one frame.
const MAX_PENDING_CONTROLS: usize = 64;

/// Drives identities until the source ends, the window is closed, or the user stops it.
pub(crate) fn run(args: &RunArgs) -> Result<()> {
    let identities: Vec<_> =
        args.identity.iter().map(|path| Identity::load(path).map(Arc::new)).collect::<Result<_>>()?;
    check_badge(args.no_badge, &identities)?;
    check_every_frame(args)?;
    if let Some(path) = &args.report {
        check_writable(path)?;
    }
    let options = SourceOptions {
        looped: args.looped,
        paced: !args.every_frame,
        format: args.camera_format,
        size_px: args.camera_size,
        ..SourceOptions::default()
    };
    let source = capture::open(&args.source, &options)?;
    log::info!("source: {}", source.name());
    let generator = open_generator(args.backend, args.size)?;
    let frame_rate_hz = source.frame_rate_hz().unwrap_or(30.0);
    let stage = Stage {
        size_px: args.size,
        every_frame: args.every_frame,
        frame_rate_hz,
        duration: args.duration.map(Duration::from_secs_f64),
    };
    let drive = DriveOptions { motion: args.motion, strength: args.strength, is_filtered: !args.every_frame };
    let composite = CompositeOptions {
        size_px: args.size,
        background: args.background.clone(),
        mirror: args.mirror,
        badge: !args.no_badge,
    };
    let sinks = if args.sink.is_empty() { &[SinkSpec::Window][..] } else { &args.sink };
    let report = stage.play(source, generator, drive, composite, identities, sinks)?;
    summarize(&report);
    args.report.as_deref().map_or(Ok(()), |path| write_report(&report, path))
}

/// What a run needs to know beside its stages.
pub(crate) struct Stage {
    pub(crate) size_px: usize,
    pub(crate) every_frame: bool,
    pub(crate) frame_rate_hz: f64,
    pub(crate) duration: Option<Duration>,
}

impl Stage {
    /// Opens what is left to open and runs the pipeline on this thread.
    pub(crate) fn play(
        &self,
        source: Box<dyn effigy::Source>,
        generator: Box<dyn Generator>,
        drive: DriveOptions,
        composite: CompositeOptions,
        identities: Vec<Arc<Identity>>,
        sink_specs: &[SinkSpec],
    ) -> Result<Report> {
        let (control_tx, control_rx) = bounded(MAX_PENDING_CONTROLS);
        let figures = Arc::new(LiveFigures::default());
        let options = SinkOptions {
            size_px: (self.size_px, self.size_px),
            rate_hz: self.frame_rate_hz,
            every_frame: self.every_frame,
        };
        let mut sinks: Vec<Box<dyn Sink + Send>> = Vec::new();
        let mut foreground: Option<Box<dyn Sink>> = None;
        for spec in sink_specs {
            match spec {
                SinkSpec::Window if foreground.is_some() => {
                    return Err(Error::new(ErrorKind::Config, "one window is enough: give --sink window once"));
                }
                SinkSpec::Window => {
                    let names = identities.iter().map(|identity| identity.manifest.name.clone()).collect();
                    let backend = format!("{} on {}", generator.name(), generator.backend());
                    let control = control_tx.clone();
                    foreground = Some(live_window::open(self.size_px, names, backend, control, Arc::clone(&figures))?);
                }
                _ => sinks.push(sink::open(spec, &options)?),
            }
        }
        for sink in &sinks {
            log::info!("sink: {}", sink.name());
        }
        quit_on_interrupt(control_tx.clone());
        if let Some(duration) = self.duration {
            quit_after(duration, control_tx)?;
        }
        let stages = Stages {
            source,
            tracker: Box::new(FaceTracker::new(TrackerOptions::default())?),
            drive,
            generator,
            compositor: Compositor::new(composite)?,
            identities,
            sinks,
            foreground,
            size_px: self.size_px,
            every_frame: self.every_frame,
            figures,
        };
        pipeline::run(stages, &MonotonicClock::new(), control_rx)
    }
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

/// Opens what makes the picture and says which and why.
pub(crate) fn open_generator(backend: Backend, size_px: usize) -> Result<Box<dyn Generator>> {
    let weights = neural::weights_path(Size::Small);
    let reason = match backend {
        Backend::Warp => "as asked",
        Backend::Auto if !weights.is_file() => "there are no trained weights; the mesh warp runs everywhere",
        Backend::Auto => match open_on_cpu(&weights, size_px) {
            Ok(generator) => return Ok(generator),
            Err(error) => {
                log::warn!("the network cannot run here, so the mesh warp does: {error}");
                "the network cannot run here"
            }
        },
        Backend::Cpu => return open_on_cpu(&weights, size_px),
        Backend::Cuda | Backend::Wgpu => {
            return Err(Error::new(
                ErrorKind::BackendUnavailable,
                "this version has no kernels for cuda and wgpu; use --backend cpu, warp or auto",
            ));
        }
    };
    log::info!("generator: warp on cpu ({reason})");
    Ok(Box::new(WarpGenerator::new(size_px)))
}

/// Opens the network on the processor.
fn open_on_cpu(weights: &Path, size_px: usize) -> Result<Box<dyn Generator>> {
    if !weights.is_file() {
        return Err(Error::new(
            ErrorKind::BackendUnavailable,
            format!(
                "the network needs trained weights, and there are none at {}; put them there, or use --backend warp",
                weights.display()
            ),
        ));
    }
    let generator = NeuralGenerator::new(Weights::load(weights)?, size_px, neural::open_on_cpu)?;
    log::info!("generator: {} on {} (weights {})", generator.name(), generator.backend(), weights.display());
    Ok(Box::new(generator))
}

/// The visible mark may go only where nobody can be wronged.
fn check_badge(no_badge: bool, identities: &[Arc<Identity>]) -> Result<()> {
    let bound =
        identities.iter().find(|identity| !matches!(identity.manifest.consent.basis, Basis::Own | Basis::Synthetic));
    match bound {
        Some(identity) if no_badge => Err(Error::new(
            ErrorKind::Config,
            format!(
                "--no-badge needs identities of oneself or of synthetic people; \"{}\" was enrolled with consent {}",
                identity.manifest.name,
                identity.manifest.consent.basis.name()
            ),
        )),
        _ => Ok(()),
    }
}

/// Rendering every frame makes sense from a clip to files.
fn check_every_frame(args: &RunArgs) -> Result<()> {
    if !args.every_frame {
        return Ok(());
    }
    let why = if !matches!(args.source, SourceSpec::File(_)) {
        "--every-frame needs a clip: --source FILE"
    } else if args.looped {
        "--every-frame with --loop would never end"
    } else if args.sink.is_empty() || args.sink.contains(&SinkSpec::Window) {
        "--every-frame needs a sink that waits for it, such as --sink file:out.mp4"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Config, why))
}

/// A report that cannot be written must fail before the run, not after it.
fn check_writable(path: &Path) -> Result<()> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map(|_| ())
        .or_error(ErrorKind::Io, || format!("cannot write the report {}", path.display()))
}

pub(crate) fn write_report(report: &Report, path: &Path) -> Result<()> {
    let text =
        serde_json::to_string_pretty(report).or_error(ErrorKind::Internal, || "cannot write the report".to_owned())?;
    std::fs::write(path, text + "\n").or_error(ErrorKind::Io, || format!("cannot write the report {}", path.display()))
}

/// Says how the run went, age first.
pub(crate) fn summarize(report: &Report) {
    let (age, frames) = (&report.age_ms, &report.frames);
    log::info!("age of the picture: p50 {:.1} ms, p90 {:.1}, p99 {:.1}, max {:.1}", age.p50, age.p90, age.p99, age.max);
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
    if !report.badge {
        log::info!("the visible AI mark was off");
    }
}
