//! One sender's newest motion, in place of a camera.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::capture::{MAX_READ_WAIT, RawFrame, Read, Source};
use crate::clock::Clock;
use crate::error::{ErrorKind, OrError as _, Result};
use crate::motion_link::{MotionFrame, Protocol, Reader};

/// A sender that is silent for so long gives way to another.
const SENDER_PATIENCE: Duration = Duration::from_secs(2);
/// Datagrams that are taken between two frames; what else came is dropped by the system.
const MAX_DATAGRAMS: usize = 256;
/// Frames come at most so often.
const MIN_INTERVAL: Duration = Duration::from_millis(7);
/// The rate that senders are expected to have, in frames a second.
const RATE_HZ: f64 = 60.0;

/// Motion that another program or a phone sends, in place of a camera.
pub struct MotionSource {
    name: String,
    socket: UdpSocket,
    reader: Box<dyn Reader>,
    buffer: Vec<u8>,
    max_bytes: usize,
    /// Who is listened to, and when they were heard last.
    sender: Option<(SocketAddr, Instant)>,
    has_told_of_other: bool,
    newest: MotionFrame,
    last_frame: Option<Instant>,
}

impl MotionSource {
    /// Listens at an address.
    ///
    /// # Errors
    /// [`ErrorKind::DeviceBusy`] when the port cannot be had.
    pub fn open(protocol: Protocol, address: SocketAddr) -> Result<Self> {
        let about = || {
            format!("cannot listen for motion at {address}; another program may have the port: end it or give another")
        };
        let socket = UdpSocket::bind(address).or_error(ErrorKind::DeviceBusy, about)?;
        let address = socket.local_addr().or_error(ErrorKind::Io, about)?;
        let (reader, max_bytes) = protocol.reader();
        Ok(Self {
            name: format!("{} at {address}", protocol.title()),
            socket,
            reader,
            buffer: vec![0; max_bytes + 1],
            max_bytes,
            sender: None,
            has_told_of_other: false,
            newest: MotionFrame::default(),
            last_frame: None,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        self.socket.local_addr().or_error(ErrorKind::Io, || "cannot tell where motion is listened for".to_owned())
    }

    /// Takes one datagram within `wait`; `None` when none came, else whether it completed a frame.
    fn take(&mut self, wait: Duration) -> Option<bool> {
        // A time-out of zero would wait for ever.
        self.socket.set_read_timeout(Some(wait.max(Duration::from_micros(1)))).ok()?;
        let (n_bytes, from) = self.socket.recv_from(&mut self.buffer).ok()?;
        let now = Instant::now();
        match self.sender {
            Some((known, last)) if known != from && now.duration_since(last) < SENDER_PATIENCE => {
                if !std::mem::replace(&mut self.has_told_of_other, true) {
                    log::warn!("motion comes from {from} too; {known} was first and is listened to while it sends");
                }
                return Some(false);
            }
            Some((known, _)) if known == from => {}
            _ => self.reader.reset(),
        }
        self.sender = Some((from, now));
        Some(n_bytes <= self.max_bytes && self.reader.take(&self.buffer[..n_bytes], &mut self.newest))
    }
}

impl Source for MotionSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        let begin = Instant::now();
        let mut is_fresh = false;
        for _ in 0..MAX_DATAGRAMS {
            let due = self.last_frame.map_or(Duration::ZERO, |last| MIN_INTERVAL.saturating_sub(last.elapsed()));
            // After a whole frame only what is there already is looked at: the newest counts.
            let wait = if is_fresh { due } else { MAX_READ_WAIT.saturating_sub(begin.elapsed()) };
            match self.take(wait) {
                Some(is_whole) => is_fresh |= is_whole,
                None => break,
            }
            if !is_fresh && begin.elapsed() >= MAX_READ_WAIT {
                break;
            }
        }
        if let Some(last) = self.last_frame.filter(|_| is_fresh) {
            // A flood filled the loop before the next frame was due.
            std::thread::sleep(MIN_INTERVAL.saturating_sub(last.elapsed()));
        }
        if !is_fresh {
            // Datagrams that make no frame must not keep a core busy.
            std::thread::sleep(MIN_INTERVAL.saturating_sub(begin.elapsed()));
            return Ok(Read::Idle);
        }
        self.last_frame = Some(Instant::now());
        frame.set_captured(clock.now());
        frame.set_motion(&self.newest);
        Ok(Read::Fresh)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        Some(RATE_HZ)
    }
}
