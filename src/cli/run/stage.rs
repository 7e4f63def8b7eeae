//! The stages of a run: what is left to open is opened, and they are played.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use effigy::clock::MonotonicClock;
use effigy::composite::{CompositeOptions, Compositor};
use effigy::demand::CameraKind;
use effigy::drive::{DriveOptions, MotionTracker};
use effigy::error::OrError as _;
use effigy::face::{FaceTracker, Tracker, TrackerOptions};
use effigy::generate::Generator;
use effigy::mark::Message;
use effigy::microphone::{self, Listening, Microphone, MicrophoneSpec};
use effigy::motion_link::{self, MotionSink};
use effigy::pipeline::{self, Beside, Control, Stages};
use effigy::report::{LiveFigures, MicrophoneUse, Report};
use effigy::settings::Library;
use effigy::sink::{About, Codec, HttpOptions, SinkOptions, SinkSpec};
use effigy::{ErrorKind, Identity, Result, Sink};

use super::consent::ConsentWatch;
use super::sinks::Opened;
use crate::cli::steering::{Listeners, SteeringArgs};
use crate::cli::{keys, live_window, terminal, user};

/// How many changes may wait to be carried out: more than hands can type in one frame.
const MAX_PENDING_CONTROLS: usize = 64;

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
    /// What the run is for, where consents ask it.
    pub(crate) purpose: Option<String>,
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
        let sound = self.listen(&*source, sink_specs)?;
        let mark = Message::of_run(run_id);
        let options = SinkOptions {
            size_px: frame_px,
            rate_hz: self.frame_rate_hz,
            every_frame: self.every_frame,
            codec: self.codec.clone(),
            sound: source.sound(),
            microphone: sound.recorded.clone(),
            signing: None,
        };
        let is_signed = !self.unsigned;
        let signing = move || if is_signed { keys::signing(mark) } else { None };
        let mut sinks = Opened::files(sink_specs, &options, signing)?;
        let (motion, listeners) = self.open_links(sink_specs, &control_tx)?;
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
        if let Some(server) = server {
            sinks.serve(server, self.opens_page)?;
            if !self.every_frame {
                sinks.offer_cameras(sink_specs, &options, &self.cameras);
            }
        }
        if let Some(folder) = &self.record_to {
            sinks.offer_recordings(folder, options, Box::new(signing));
        }
        // Offline nothing depends on the time of day.
        let consents = (!self.every_frame)
            .then(|| {
                let (purpose, figures) = (self.purpose.clone(), Arc::clone(&figures));
                ConsentWatch::begin(identities.clone(), purpose, figures, control_tx.clone())
            })
            .transpose()?;
        quit_on_interrupt(control_tx.clone());
        if let Some(duration) = self.duration {
            quit_after(duration, control_tx.clone())?;
        }
        let mut foreground: Option<Box<dyn Sink>> = None;
        if sink_specs.contains(&SinkSpec::Window) {
            let names = identities.iter().map(|identity| identity.manifest.name.clone()).collect();
            let backend = format!("{} on {}", generator.name(), generator.backend());
            foreground = Some(live_window::open(frame_px, names, backend, control_tx, Arc::clone(&figures))?);
        }
        for name in sinks.names().chain(motion.iter().map(|sink| sink.name())) {
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
            sinks: sinks.take(),
            foreground,
            motion,
            every_frame: self.every_frame,
            figures,
        };
        let report = match progress {
            Some(bar) => {
                with_progress(&bar, &Arc::clone(&stages.figures), || pipeline::run(stages, &sound.clock, control_rx))
            }
            None => pipeline::run(stages, &sound.clock, control_rx),
        };
        // All listen as long as there is something to steer and to record.
        drop(listeners);
        sound.end();
        consents.map_or(Ok(()), ConsentWatch::end).and(report)
    }

    /// Opens the microphone that is recorded, unless it drives and is open already.
    fn listen(&self, source: &dyn effigy::Source, specs: &[SinkSpec]) -> Result<Sound> {
        let driver = source.microphone().map(|(microphone, clock)| (microphone.clone(), clock));
        let clock = driver.as_ref().map_or_else(MonotonicClock::new, |(_, clock)| *clock);
        let driver = driver.map(|(microphone, _)| microphone);
        let wanted = self.microphone.as_ref().filter(|_| !self.shares_microphone);
        let listening = wanted.map(|spec| microphone::listen(spec, clock)).transpose()?;
        let shared = driver.as_ref().filter(|_| self.shares_microphone);
        let recorded = shared.or(listening.as_ref().map(Listening::microphone)).cloned();
        if recorded.is_some() {
            log::info!("microphone: it is heard in what is recorded; silent while the card is asked for");
        }
        let has_file = specs.iter().any(|spec| matches!(spec, SinkSpec::Video(_)));
        let usage = match recorded {
            Some(_) if has_file => MicrophoneUse::Recorded,
            Some(_) => MicrophoneUse::OnDemand,
            None => MicrophoneUse::Drives,
        };
        if let Some(heard) = recorded.clone().or(driver) {
            self.figures.set_microphone(heard, usage);
        }
        Ok(Sound { clock, recorded, listening })
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
}

/// What a run hears.
struct Sound {
    /// The clock of the pictures, by which the sound is timed too.
    clock: MonotonicClock,
    /// What is heard in recordings.
    recorded: Option<Microphone>,
    /// Keeps the microphone open that was opened for that.
    listening: Option<Listening>,
}

impl Sound {
    fn end(self) {
        if let Some(microphone) = &self.recorded {
            let lost = if microphone.n_lost() > 0 { "; parts were lost" } else { "" };
            log::info!("microphone: {} is off{lost}", microphone.name());
        }
        drop(self.listening);
    }
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
