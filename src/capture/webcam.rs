//! A live camera, which may hang, vanish and come back.
//!
//! The driver is asked for pictures on a thread of its own, since it may block without limit; the
//! newest picture is handed over undecoded, so that only those that are looked at are decoded.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded};
use nokhwa::Buffer;

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::latest::{self, Keep, Published, Publisher, Received, Subscriber};

use super::decode::decode;
use super::format::Wanted;
use super::{CameraChoice, CameraFormat, CameraState, MAX_READ_WAIT, RawFrame, Read, Source, SourceOptions};

use device::OpenCamera;
pub use device::cameras;
use rate::RateMeter;

mod device;
mod rate;

/// The longest a camera may take to open and to deliver its first picture.
const MAX_OPEN_WAIT: Duration = Duration::from_secs(8);
/// The longest the end of a camera's thread is waited for; a driver that hangs keeps it.
const MAX_CLOSE_WAIT: Duration = Duration::from_secs(1);
/// A camera silent for so long is mentioned.
const SILENCE: Duration = Duration::from_secs(5);
/// The pause before a lost camera is looked for the first time, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// A picture older than this on arrival has a wrong time stamp.
const MAX_ARRIVAL_AGE: Duration = Duration::from_secs(2);

/// A picture as the driver delivered it, and when it was taken.
#[derive(Default)]
struct Packet {
    buffer: Option<Buffer>,
    taken: Option<Instant>,
}

/// What a camera turned out to be once it was open.
#[derive(Clone)]
struct Description {
    index: u32,
    name: String,
    format: CameraFormat,
    /// What it offers, the largest pictures first.
    formats: Vec<CameraFormat>,
}

impl Description {
    fn state(&self) -> CameraState {
        CameraState { index: self.index, format: self.format, formats: self.formats.clone() }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "camera {} \"{}\", {}", self.index, self.name, self.format)
    }
}

/// A camera, through nokhwa.
pub struct WebcamSource {
    name: String,
    state: CameraState,
    packets: Subscriber<Packet>,
    packet: Packet,
    reopened: Receiver<Description>,
    measured_millihertz: Arc<AtomicU32>,
    last_arrival: Instant,
    silence_mentioned: bool,
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    /// Disconnected by the thread's end.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl WebcamSource {
    /// Opens a camera and waits for its first picture, at most some seconds.
    ///
    /// # Errors
    /// - [`ErrorKind::NoDevice`]: there is no such camera; the message lists what there is.
    /// - [`ErrorKind::DeviceBusy`]: another program uses it.
    /// - [`ErrorKind::PermissionDenied`]: this user may not use it; the message says how to allow it.
    /// - [`ErrorKind::DeviceLost`]: it does not deliver a picture.
    pub fn open(choice: &CameraChoice, options: &SourceOptions) -> Result<Self> {
        let wanted = Wanted { size_px: options.size_px, rate_hz: options.rate_hz, preference: options.format };
        let choice = choice.clone();
        let (publisher, packets) = latest::channel(vec![Packet::default()], Keep::Newest);
        let (opened_tx, opened_rx) = bounded(1);
        let (reopened_tx, reopened) = bounded(1);
        let (stop, stopped) = bounded(0);
        let (ended_tx, ended) = bounded(0);
        let measured_millihertz = Arc::new(AtomicU32::new(0));
        let mut worker = Worker {
            publisher,
            stopped,
            reopened: reopened_tx,
            measured_millihertz: measured_millihertz.clone(),
            wanted,
        };
        let thread = std::thread::Builder::new()
            .name("camera".into())
            .spawn(move || {
                let _ended: Sender<()> = ended_tx;
                match OpenCamera::open(&choice, &wanted) {
                    Ok(camera) => worker.run(camera, &opened_tx),
                    // Nobody waits any more only if the caller has given up.
                    Err(error) => drop(opened_tx.try_send(Err(error))),
                }
            })
            .or_error(ErrorKind::Internal, || "cannot start the camera's thread".into())?;
        let opened: Result<Description> = opened_rx.recv_timeout(MAX_OPEN_WAIT).unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::DeviceLost,
                "the camera delivers no picture; unplug it and plug it in again, or choose another with \
                 `--source camera:N` (`effigy devices` lists them)",
            ))
        });
        let description = opened?;
        Ok(Self {
            name: description.to_string(),
            state: description.state(),
            packets,
            packet: Packet::default(),
            reopened,
            measured_millihertz,
            last_arrival: Instant::now(),
            silence_mentioned: false,
            stop: Some(stop),
            ended,
            thread: Some(thread),
        })
    }

    /// Mentions a camera that has stopped without saying so, once each time.
    fn mention_silence(&mut self) {
        if !self.silence_mentioned && self.last_arrival.elapsed() > SILENCE {
            self.silence_mentioned = true;
            log::warn!("{} has been silent for {} s", self.name, SILENCE.as_secs());
        }
    }
}

impl Source for WebcamSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        if let Ok(description) = self.reopened.try_recv() {
            self.name = description.to_string();
            self.state = description.state();
        }
        match self.packets.receive(&mut self.packet, MAX_READ_WAIT) {
            Received::Fresh => {}
            Received::Idle => {
                self.mention_silence();
                return Ok(Read::Idle);
            }
            Received::Closed => {
                let message = format!("the driver of {} failed; unplug it, plug it in and start again", self.name);
                return Err(Error::new(ErrorKind::DeviceLost, message));
            }
        }
        self.last_arrival = Instant::now();
        self.silence_mentioned = false;
        let (Some(buffer), Some(taken)) = (&self.packet.buffer, self.packet.taken) else { return Ok(Read::Idle) };
        let age = u64::try_from(taken.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let captured = Timestamp::from_nanos(clock.now().as_nanos().saturating_sub(age));
        let Some(pixels) = device::pixel_format(buffer.source_frame_format()) else { return Ok(Read::Idle) };
        let size_px = (buffer.resolution().width() as usize, buffer.resolution().height() as usize);
        if !decode(pixels, size_px, buffer.buffer(), frame.picture_mut())? {
            return Ok(Read::Idle);
        }
        frame.set_captured(captured);
        Ok(Read::Fresh)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        Some(f64::from(self.state.format.rate_hz))
    }

    fn measured_rate_hz(&self) -> Option<f64> {
        let millihertz = self.measured_millihertz.load(Ordering::Relaxed);
        (millihertz > 0).then(|| f64::from(millihertz) * 1e-3)
    }

    fn camera(&self) -> Option<CameraState> {
        Some(self.state.clone())
    }
}

impl Drop for WebcamSource {
    fn drop(&mut self) {
        self.stop = None;
        // Disconnected is the only answer: nothing is ever sent.
        let has_ended =
            self.ended.recv_timeout(MAX_CLOSE_WAIT) == Err(crossbeam_channel::RecvTimeoutError::Disconnected);
        match self.thread.take() {
            Some(thread) if has_ended => drop(thread.join()),
            _ => log::warn!("the driver of {} does not answer; its thread is left behind", self.name),
        }
    }
}

/// What the camera's thread has.
struct Worker {
    publisher: Publisher<Packet>,
    stopped: Receiver<()>,
    reopened: Sender<Description>,
    measured_millihertz: Arc<AtomicU32>,
    wanted: Wanted,
}

impl Worker {
    /// Hands pictures over until the source is dropped or the user gives up.
    fn run(&mut self, mut camera: OpenCamera, opened: &Sender<Result<Description>>) {
        let mut packet = Packet::default();
        let mut rate = RateMeter::default();
        let mut is_first = true;
        while !self.is_stopped() {
            match camera.frame() {
                Ok(buffer) => {
                    if is_first {
                        is_first = false;
                        let _ = opened.try_send(Ok(camera.description.clone()));
                    }
                    let taken = taken(&buffer);
                    if let Some(rate_hz) = rate.measure(taken) {
                        self.measured_millihertz.store((rate_hz * 1e3) as u32, Ordering::Relaxed);
                    }
                    packet.taken = Some(taken);
                    packet.buffer = Some(buffer);
                    if self.publisher.publish(&mut packet) == Published::Closed {
                        return;
                    }
                }
                // In use by another program shows here at the latest.
                Err(error) if is_first => return drop(opened.try_send(Err(error))),
                Err(error) => {
                    log::warn!("{} is lost: {error}", camera.description);
                    let last = camera.description.clone();
                    // The crate below panics when a stream cannot be stopped.
                    let _ = catch_unwind(AssertUnwindSafe(|| drop(camera)));
                    self.measured_millihertz.store(0, Ordering::Relaxed);
                    rate = RateMeter::default();
                    match self.find_again(&last) {
                        Some(found) => camera = found,
                        None => return,
                    }
                    log::warn!("{} is back", camera.description);
                    let _ = self.reopened.try_send(camera.description.clone());
                }
            }
        }
        let _ = catch_unwind(AssertUnwindSafe(|| drop(camera)));
    }

    /// Looks for the lost camera until it is there; `None` when the source was dropped meanwhile.
    fn find_again(&self, last: &Description) -> Option<OpenCamera> {
        for pause in pauses() {
            match self.stopped.recv_timeout(pause) {
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
                _ => return None,
            }
            match OpenCamera::open_again(last.index, &last.name, &self.wanted) {
                Ok(camera) => return Some(camera),
                Err(error) => log::debug!("{} is still lost: {error}", last.name),
            }
        }
        None
    }

    fn is_stopped(&self) -> bool {
        self.stopped.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected)
    }
}

/// The pauses between attempts to find a lost camera, without end.
fn pauses() -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(FIRST_PAUSE), |pause| Some((*pause * 2).min(LONGEST_PAUSE)))
}

/// When the picture was taken: by the driver's stamp where it has a believable one, else now.
fn taken(buffer: &Buffer) -> Instant {
    // The stamp comes as wall-clock time, converted a moment ago from the driver's monotonic one;
    // its age leads back before the wall clock can be set.
    let now = Instant::now();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let age = buffer.capture_timestamp().and_then(|stamp| wall.checked_sub(stamp));
    age.filter(|age| *age <= MAX_ARRIVAL_AGE).and_then(|age| now.checked_sub(age)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nokhwa::utils::{FrameFormat, Resolution};

    #[test]
    fn pauses_double_up_to_four_seconds() {
        let millis: Vec<_> = pauses().take(7).map(|pause| pause.as_millis()).collect();
        assert_eq!(millis, [250, 500, 1000, 2000, 4000, 4000, 4000]);
    }

    #[test]
    fn the_drivers_stamp_is_used_where_it_is_believable() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let second = Duration::from_secs(1);
        let table =
            [(None, 0), (Some(wall - second / 10), 100), (Some(wall + second), 0), (Some(wall - second * 60), 0)];
        for (stamp, expected_millis) in table {
            let buffer = Buffer::with_timestamp(Resolution::new(1, 1), &[], FrameFormat::MJPEG, stamp);
            let millis = taken(&buffer).elapsed().as_millis();
            assert!(millis >= expected_millis && millis < expected_millis + 90, "{stamp:?}: {millis}");
        }
    }
}
