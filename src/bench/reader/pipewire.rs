//! A camera in PipeWire, read as other programs read it.
//!
//! All of PipeWire's objects live on one thread, which copies each picture and notes when it came.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::packing::Layout;
use super::{Arrival, Legs, Look, MAX_READ_WAIT, Reader, on_clock};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Grey;
use crate::sink::pipewire::silent;

mod consumer;
mod formats;

/// The longest the daemon may take to tell what cameras there are, and then a camera to deliver its first picture.
const MAX_STEP_WAIT: Duration = Duration::from_secs(5);
/// Pictures that may wait to be read; one that finds no place is missed.
const MAX_WAITING: usize = 16;

/// A consumer of a PipeWire camera, which takes the camera's own size and rate.
///
/// A picture's moment is when PipeWire gave the consumer its turn.
pub struct PipewireReader {
    name: String,
    pictures: Receiver<Picture>,
    /// Why there will be no more.
    end: Receiver<Error>,
    stop: pipewire::channel::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

/// A picture as it came.
struct Picture {
    layout: Layout,
    bytes: Vec<u8>,
    /// When the graph's round began that brought it, on the system's monotonic clock; `None` where the camera that
    /// drives the graph does not say.
    round: Option<Timestamp>,
    at: Instant,
}

/// Where the consumer's thread puts what it has.
struct Outlet {
    /// Taken when the first picture has come.
    opened: Option<Sender<Result<String>>>,
    pictures: Sender<Picture>,
}

impl PipewireReader {
    /// Connects to the camera whose node has the name or description `node`, and waits for its first picture.
    ///
    /// # Errors
    /// - [`ErrorKind::NoDevice`]: no daemon runs for this user, or it has no such camera; the message names those it has.
    /// - [`ErrorKind::DeviceLost`]: the daemon does not answer, or the camera delivers nothing.
    pub fn open(node: &str) -> Result<Self> {
        let (stop, stopped) = pipewire::channel::channel();
        let (opened_tx, opened) = bounded(1);
        let (pictures_tx, pictures) = bounded(MAX_WAITING);
        let (end_tx, end) = bounded(1);
        let wanted = node.to_owned();
        let thread = std::thread::Builder::new()
            .name("PipeWire reader".to_owned())
            .spawn(move || {
                let outlet = Outlet { opened: Some(opened_tx.clone()), pictures: pictures_tx };
                if let Err(error) = consumer::run(&wanted, outlet, stopped) {
                    // Whoever still waits for the opening hears it there, everyone else when reading.
                    if let Err(unheard) = opened_tx.try_send(Err(error))
                        && let Err(error) = unheard.into_inner()
                    {
                        let _ = end_tx.try_send(error);
                    }
                }
            })
            .or_error(ErrorKind::Internal, || "cannot start the thread that reads PipeWire".to_owned())?;
        let mut reader = Self { name: String::new(), pictures, end, stop, thread: Some(thread) };
        reader.name = opened.recv_timeout(3 * MAX_STEP_WAIT).unwrap_or_else(|_| Err(silent()))?;
        Ok(reader)
    }
}

impl Drop for PipewireReader {
    fn drop(&mut self) {
        // A loop that has ended needs no waking.
        let _ = self.stop.send(());
        // The loop wakes up by itself; a daemon that hangs may keep its thread, which then goes with the program.
        let since = Instant::now();
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) && since.elapsed() < MAX_STEP_WAIT {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Reader for PipewireReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, picture: &mut Grey, clock: &dyn Clock) -> Result<Look> {
        let came = match self.pictures.recv_timeout(MAX_READ_WAIT) {
            Ok(came) => came,
            Err(RecvTimeoutError::Timeout) => return Ok(Look::Idle),
            Err(RecvTimeoutError::Disconnected) => {
                let gone = || Error::new(ErrorKind::DeviceLost, format!("{} is gone", self.name));
                return Err(self.end.recv_timeout(MAX_READ_WAIT).unwrap_or_else(|_| gone()));
            }
        };
        let at = on_clock(came.at, clock);
        if !came.layout.unpack(&came.bytes, picture)? {
            picture.reshape(0, 0);
        }
        Ok(Look::At(Arrival { since: came.round.filter(|round| *round <= at), at }))
    }

    fn legs(&self) -> Option<Legs> {
        Some(Legs {
            first: "until the camera's thread took it up when it was due",
            last: "until it was packed and had gone through PipeWire's graph to the reader's turn",
        })
    }
}
