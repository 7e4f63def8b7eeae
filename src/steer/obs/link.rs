//! A thread that keeps a connection to OBS, switches its scene when the picture's moment changes, and hears its switches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use futures_util::StreamExt as _;
use obws::client::{ConnectConfig, DangerousConnectConfig};
use obws::events::Event;
use obws::requests::EventSubscription;
use obws::requests::scenes::SceneId;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{ObsSpec, Program, SceneRule, controls_for, scene_for};
use crate::control::Control;
use crate::error::{ErrorKind, OrError as _, Result};
use crate::report::LiveFigures;

/// How often it is looked whether the moment has changed, and whether the run has ended.
const TICK: Duration = Duration::from_millis(50);
/// OBS answers within this time, or is not there.
const PATIENCE: Duration = Duration::from_secs(3);
/// Without OBS it is looked for so often at first, then more and more seldom.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// The most that is told of what OBS says, in characters.
const MAX_SAID: usize = 200;

/// A connection that lasts until it is dropped. OBS may come and go.
pub struct ObsLink {
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread knows.
struct Work {
    spec: ObsSpec,
    rules: Vec<SceneRule>,
    password: Option<String>,
    control: Sender<Control>,
    figures: Arc<LiveFigures>,
    is_ending: Arc<AtomicBool>,
}

impl ObsLink {
    /// Begins to look for OBS; whether it is there is said in messages.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the system gives no thread.
    pub fn open(
        spec: ObsSpec,
        rules: Vec<SceneRule>,
        password: Option<String>,
        control: Sender<Control>,
        figures: Arc<LiveFigures>,
    ) -> Result<Self> {
        let about = || "cannot start the link to OBS".to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .or_error(ErrorKind::Internal, about)?;
        let is_ending = Arc::new(AtomicBool::new(false));
        let work = Work { spec, rules, password, control, figures, is_ending: Arc::clone(&is_ending) };
        let thread = std::thread::Builder::new()
            .name("obs".to_owned())
            .spawn(move || {
                runtime.block_on(work.keep());
                // A look-up of OBS's name may hang in the system: nobody waits for it.
                runtime.shutdown_background();
            })
            .or_error(ErrorKind::Internal, about)?;
        Ok(Self { is_ending, thread: Some(thread) })
    }
}

impl Drop for ObsLink {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Relaxed);
        // A thread that panicked has told its own error.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Work {
    fn is_over(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// Waits until the run has ended.
    async fn end(&self) {
        while !self.is_over() {
            tokio::time::sleep(TICK).await;
        }
    }

    /// Connects, serves, and connects again.
    async fn keep(&self) {
        let mut pause = RETRY.0;
        // What was told last of why there is no connection: it may be another reason next time.
        let mut told = None;
        while !self.is_over() {
            let connected = tokio::select! {
                connected = self.connect() => connected,
                () = self.end() => return,
            };
            match connected {
                Ok(client) => {
                    log::info!("OBS: connected at {}", self.spec);
                    pause = RETRY.0;
                    told = None;
                    self.serve(&client).await;
                    if !self.is_over() {
                        log::warn!("OBS has gone; it is looked for again");
                    }
                }
                Err(error) => {
                    let advice = Some(self.advice(&error)).filter(|advice| told.as_ref() != Some(advice));
                    if let Some(advice) = advice {
                        log::warn!("OBS: {advice}");
                        told = Some(advice);
                    }
                }
            }
            let mut left = pause;
            while !self.is_over() && !left.is_zero() {
                let nap = left.min(TICK);
                tokio::time::sleep(nap).await;
                left -= nap;
            }
            pause = (pause * 2).min(RETRY.1);
        }
    }

    async fn connect(&self) -> std::result::Result<obws::Client, obws::error::Error> {
        let config = ConnectConfig {
            host: self.spec.host.as_str(),
            port: self.spec.port,
            // The requests and events that are used are as old as the protocol, which obs-websocket speaks since OBS 28.
            dangerous: Some(DangerousConnectConfig {
                skip_studio_version_check: true,
                skip_websocket_version_check: true,
            }),
            password: self.password.as_deref(),
            event_subscriptions: Some(EventSubscription::SCENES),
            broadcast_capacity: 64,
            connect_timeout: PATIENCE,
        };
        match timeout(2 * PATIENCE, obws::Client::connect_with_config(config)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(obws::error::Error::Timeout),
        }
    }

    /// What stands in the way, and what to do.
    fn advice(&self, error: &obws::error::Error) -> String {
        use obws::error::Error as E;
        match error {
            E::Handshake(_) => {
                "it refuses the password; set EFFIGY_OBS_PASSWORD to the one under Tools, WebSocket Server \
                                Settings, Show Connect Info"
                    .to_owned()
            }
            E::Connect(_) | E::Timeout => format!(
                "nobody answers at {}; start OBS and tick Tools, WebSocket Server Settings, Enable WebSocket server. It is \
                 looked for again",
                self.spec
            ),
            error => format!(
                "{}; the protocol of obs-websocket 5 is expected, which OBS 28 and newer speak",
                plain(&error.to_string())
            ),
        }
    }

    /// Follows both sides until one of them ends.
    async fn serve(&self, client: &obws::Client) {
        let Ok(mut events) = client.events() else { return };
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was asked of OBS last: a scene that somebody else chose since stays until the moment changes.
        let mut asked: Option<&str> = None;
        let shown = timeout(PATIENCE, client.scenes().current_program_scene()).await;
        let mut program = Program::new(shown.ok().and_then(std::result::Result::ok).map(|shown| shown.id.name));
        while !self.is_over() {
            tokio::select! {
                _ = tick.tick() => {
                    let scene = self.figures.shown().and_then(|shown| scene_for(&self.rules, &shown));
                    if let Some(scene) = scene.filter(|scene| asked != Some(scene) && program.needs(scene, Instant::now()))
                        && !self.switch(client, scene, &mut program).await
                    {
                        return;
                    }
                    asked = scene.or(asked);
                }
                event = events.next() => match event {
                    Some(Event::CurrentProgramSceneChanged { id }) => {
                        if !program.is_echo(&id.name, Instant::now()) {
                            self.follow(&id.name);
                        }
                    }
                    Some(Event::ServerStopping | Event::ServerStopped) | None => return,
                    Some(_) => {}
                },
            }
        }
    }

    /// Shows a scene in OBS; `false` when OBS has gone.
    async fn switch(&self, client: &obws::Client, scene: &str, program: &mut Program) -> bool {
        program.asked(scene, Instant::now());
        match timeout(PATIENCE, client.scenes().set_current_program_scene(SceneId::Name(scene))).await {
            Ok(Ok(())) => true,
            Ok(Err(obws::error::Error::Api { message, .. })) => {
                program.forget(scene);
                let why = plain(&message.unwrap_or_default());
                log::warn!("OBS: it does not show the scene {scene:?} ({why}); its scenes are named under Scenes");
                true
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Does what a scene that OBS was switched to asks for.
    fn follow(&self, scene: &str) {
        let Some(shown) = self.figures.shown() else { return };
        for change in controls_for(&self.rules, scene, &shown) {
            // A full channel means that the pipeline is busy: the change is lost, as a key's is.
            let _ = self.control.try_send(change);
        }
    }
}

/// What another program says, fit for a terminal and a line.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_SAID).collect()
}
