//! A virtual camera through v4l2loopback: what is written to its device, any program reads as a camera's picture.
//!
//! Writing happens on a thread of its own, since a driver may block. The last picture stays up while nothing
//! new comes; a device that vanishes is looked for again while the rest of the run goes on.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::composite::OutFrame;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rgba;
use crate::latest::{Received, Subscriber};

use super::camera::{CameraOptions, Due, Fitter, Pacer, Worker, beside};
use super::{Delivery, Sink};
use device::Loopback;
pub use find::{LoopbackEntry, loopbacks};

mod device;
mod find;

/// The pause before a lost device is looked for the first time, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Writes to a v4l2loopback device.
///
/// [`Sink::present`] hands the picture over and returns; packing and writing follow on another thread and are not
/// part of the picture's age.
pub struct VcamSink {
    name: String,
    path: PathBuf,
    worker: Worker,
}

impl VcamSink {
    /// Opens the loopback device at `path`, or the first one that is free, and puts a dark picture up, by which
    /// it becomes a camera for others.
    ///
    /// # Errors
    /// - [`ErrorKind::NoDevice`]: there is none; the message says how to load the module.
    /// - [`ErrorKind::DeviceBusy`]: another program writes to it.
    /// - [`ErrorKind::PermissionDenied`]: this user may not use it; the message says how to allow it.
    /// - [`ErrorKind::Config`]: it takes neither YUYV nor NV12 at a usable size.
    pub fn open(path: Option<&Path>, options: &CameraOptions) -> Result<Self> {
        let device = Loopback::open(path, options)?;
        let (name, opened) = (device.to_string(), device.path().to_owned());
        let mut writer = Writer::new(device, path.map(Path::to_owned), *options);
        writer.deliver(&beside(options.size_px))?;
        writer.device.as_ref().map(Loopback::advise);
        let worker = Worker::start("virtual camera", move |pictures| writer.run(pictures))?;
        Ok(Self { name, path: opened, worker })
    }

    /// The node of the device that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Sink for VcamSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn delivery(&self) -> Delivery {
        Delivery::Latest
    }

    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        // A thread that broke down has said so; the other sinks go on.
        let _ = self.worker.show(frame.picture());
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        if !self.worker.stop() {
            log::warn!("the driver of {} does not answer; its thread is left behind", self.name);
        }
        Ok(())
    }
}

/// What the thread has.
struct Writer {
    /// `None` while it is lost.
    device: Option<Loopback>,
    /// The node asked for, if any.
    path: Option<PathBuf>,
    /// The device's name, by which programs that look at it know it.
    card: String,
    options: CameraOptions,
    fitter: Fitter,
    packed: Vec<u8>,
    pause: Duration,
    /// When a lost device is looked for next.
    retry: Instant,
}

impl Writer {
    fn new(device: Loopback, path: Option<PathBuf>, options: CameraOptions) -> Self {
        let fitter = Fitter::new(device.size_px());
        let card = device.card().to_owned();
        let (pause, retry) = (FIRST_PAUSE, Instant::now());
        Self { device: Some(device), path, card, options, fitter, packed: Vec::new(), pause, retry }
    }

    fn run(&mut self, mut pictures: Subscriber<Rgba>) {
        let mut pacer = Pacer::new(self.options.rate_hz);
        let mut picture = beside(self.options.size_px);
        loop {
            let now = Instant::now();
            // While it is lost there is nothing to do until it is looked for.
            let wait = match self.device {
                Some(_) => pacer.wait(now),
                None => self.retry.saturating_duration_since(now),
            };
            match pictures.receive(&mut picture, wait) {
                Received::Fresh => pacer.offer(),
                Received::Idle => {}
                Received::Closed => return,
            }
            if self.device.is_none() && !self.find_again() {
                continue;
            }
            let delivered = match pacer.take(Instant::now()) {
                Some(Due::Fresh) => self.deliver(&picture),
                Some(Due::Repeat) => self.write(),
                None => Ok(()),
            };
            if let Err(error) = delivered {
                log::warn!("{error}; it is looked for again while the rest goes on");
                self.device = None;
                (self.pause, self.retry) = (FIRST_PAUSE, Instant::now() + FIRST_PAUSE);
            }
        }
    }

    /// Packs a picture and writes it.
    fn deliver(&mut self, picture: &Rgba) -> Result<()> {
        let Some(device) = &self.device else { return Ok(()) };
        let packing = device.packing();
        self.packed.resize(packing.n_bytes(device.size_px()), 0);
        packing.pack(self.fitter.fit(picture)?, &mut self.packed);
        self.write()
    }

    /// Writes what was packed last.
    fn write(&mut self) -> Result<()> {
        match &mut self.device {
            Some(device) => device.write(&self.packed),
            None => Ok(()),
        }
    }

    /// Looks for a lost device when it is time to; says whether it is back.
    fn find_again(&mut self) -> bool {
        if Instant::now() < self.retry {
            return false;
        }
        // The crate below panics on what a dying driver says.
        let opened = catch_unwind(AssertUnwindSafe(|| match &self.path {
            Some(path) => Loopback::open(Some(path), &self.options),
            None => Loopback::open_again(&self.card, &self.options),
        }));
        match opened.unwrap_or_else(|_| Err(Error::new(ErrorKind::DeviceLost, "its driver broke down"))) {
            Ok(device) => {
                log::warn!("{device} is back");
                self.fitter = Fitter::new(device.size_px());
                // The picture in hand may not have the format that the device has now.
                self.packed = vec![0; device.packing().n_bytes(device.size_px())];
                device.packing().pack(&beside(device.size_px()), &mut self.packed);
                self.device = Some(device);
                true
            }
            Err(error) => {
                log::debug!("the virtual camera is still lost: {error}");
                self.retry = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                false
            }
        }
    }
}
