//! A camera in PipeWire: no kernel module, for programs and browsers that take PipeWire's cameras.
//!
//! All of PipeWire's objects live on one thread. It sleeps in PipeWire's own loop, which a new picture wakes.
//! A daemon that ends is looked for again while the rest of the run goes on.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use pipewire::channel::Receiver as Wakened;
use pipewire::loop_::Timeout;
use pipewire::main_loop::MainLoopRc;

use crate::composite::OutFrame;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Rgba;
use crate::latest::{Received, Subscriber};

use super::camera::{CameraOptions, Pacer, Worker};
use super::{Delivery, Sink};
pub(crate) use params::{one_of, pod, serialize};
use session::{Session, Shared};

mod params;
mod session;

/// What is said when there is no daemon.
pub(crate) const NO_DAEMON: &str =
    "PipeWire does not run for this user; start it with `systemctl --user start pipewire wireplumber`";
/// The longest the daemon may take to accept the camera.
const MAX_OPEN_WAIT: Duration = Duration::from_secs(5);
/// The pause before a lost daemon is looked for the first time, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// A node of the class Video/Source, called effigy.
///
/// It offers YUYV, NV12, RGBA and BGRx in the usual sizes; the first consumer chooses, more can join. The driver's
/// rate is kept, a consumer may ask for a lower one. [`Sink::present`] hands the picture over and returns.
pub struct PipewireSink {
    name: String,
    worker: Worker,
    waker: pipewire::channel::Sender<()>,
}

impl PipewireSink {
    /// Makes the node and waits until the daemon has accepted it.
    ///
    /// # Errors
    /// - [`ErrorKind::NoDevice`]: no daemon runs for this user; the message says how to start it.
    /// - [`ErrorKind::DeviceLost`]: it does not answer.
    pub fn open(options: &CameraOptions) -> Result<Self> {
        let (waker, wakened) = pipewire::channel::channel();
        let (opened_tx, opened) = bounded(1);
        let options = *options;
        let worker = Worker::start("PipeWire camera", move |pictures| {
            if let Err(error) = run(pictures, wakened, &opened_tx, options) {
                // Nobody waits any more only if the daemon was there once; then the run shall know.
                if let Err(unheard) = opened_tx.try_send(Err(error)) {
                    log::warn!("the PipeWire camera ends: {:?}", unheard.into_inner().err());
                }
            }
        })?;
        opened.recv_timeout(MAX_OPEN_WAIT).unwrap_or_else(|_| Err(silent()))?;
        let (width_px, height_px) = options.size_px;
        Ok(Self {
            name: format!("PipeWire camera effigy, {width_px}x{height_px} {}/s", options.rate_hz),
            worker,
            waker,
        })
    }

    /// Whether a daemon runs for this user.
    ///
    /// # Errors
    /// [`ErrorKind::NoDevice`], [`ErrorKind::DeviceLost`] as for [`Self::open`].
    pub fn probe() -> Result<()> {
        Self::open(&CameraOptions { size_px: (64, 64), rate_hz: 1.0 }).map(drop)
    }
}

impl Sink for PipewireSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn delivery(&self) -> Delivery {
        Delivery::Latest
    }

    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        if self.worker.show(frame.picture()) {
            // A loop that has ended needs no waking.
            let _ = self.waker.send(());
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        if !self.worker.stop() {
            log::warn!("PipeWire does not answer; the camera's thread is left behind");
        }
        Ok(())
    }
}

/// What is said when there is one that does not answer.
pub(crate) fn silent() -> Error {
    Error::new(
        ErrorKind::DeviceLost,
        "PipeWire does not answer; restart it with `systemctl --user restart pipewire wireplumber`",
    )
}

/// Delivers pictures until the slot closes.
fn run(
    mut pictures: Subscriber<Rgba>,
    wakened: Wakened<()>,
    opened: &Sender<Result<()>>,
    options: CameraOptions,
) -> Result<()> {
    pipewire::init();
    let main_loop =
        MainLoopRc::new(None).or_error(ErrorKind::Internal, || "cannot make a loop for PipeWire".to_owned())?;
    let _attached = wakened.attach(main_loop.loop_(), |()| {});
    let shared = Rc::new(RefCell::new(Shared::new(&options)));
    let mut session = Some(Session::connect(&main_loop, &shared, &options)?);
    let mut is_announced = false;
    let mut pacer = Pacer::new(options.rate_hz);
    let (mut pause, mut retry) = (FIRST_PAUSE, Instant::now());
    let mut picture = Rgba::default();
    loop {
        let now = Instant::now();
        // While it is lost there is nothing to do until it is looked for; a picture wakes the loop, and so does the end.
        let wait = if session.is_some() { pacer.wait(now) } else { retry.saturating_duration_since(now) };
        let wait = wait.max(Duration::from_millis(1));
        main_loop.loop_().iterate(Timeout::Finite(wait));
        match pictures.receive(&mut picture, Duration::ZERO) {
            Received::Fresh => {
                std::mem::swap(&mut shared.borrow_mut().picture, &mut picture);
                pacer.offer();
            }
            Received::Idle => {}
            Received::Closed => return Ok(()),
        }
        let (lost, rate_hz) = shared.borrow_mut().news();
        if let Some(rate_hz) = rate_hz {
            pacer = Pacer::new(rate_hz.min(options.rate_hz));
        }
        if let (Some(why), true) = (&lost, session.is_some()) {
            session = None;
            if !is_announced {
                return Err(Error::new(ErrorKind::DeviceLost, format!("PipeWire refuses the camera: {why}")));
            }
            log::warn!("PipeWire is lost: {why}; it is looked for again while the rest goes on");
            (pause, retry) = (FIRST_PAUSE, Instant::now() + FIRST_PAUSE);
        }
        match &session {
            Some(session) => {
                let is_ready = shared.borrow().is_ready;
                if is_ready && !is_announced {
                    is_announced = true;
                    let _ = opened.try_send(Ok(()));
                }
                if pacer.take(Instant::now()).is_some() && shared.borrow().is_streaming {
                    session.deliver();
                }
            }
            None if Instant::now() >= retry => match Session::connect(&main_loop, &shared, &options) {
                Ok(found) => {
                    log::warn!("PipeWire is back");
                    session = Some(found);
                }
                Err(error) => {
                    log::debug!("PipeWire is still lost: {error}");
                    retry = Instant::now() + pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            },
            None => {}
        }
    }
}
