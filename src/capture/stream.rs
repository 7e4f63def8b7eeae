//! A live stream as the driver: an address that FFmpeg reads. The newest picture wins; what is gone is looked for again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ffmpeg_next::Dictionary;

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Rgb;
use crate::latest::{Keep, Published, Publisher, Received, Subscriber, channel};
use crate::video::deadline::Deadline;
use crate::video::reader::VideoReader;

use super::{MAX_READ_WAIT, RawFrame, Read, Source};

/// Ways that carry live pictures only.
const LIVE: [&str; 10] = ["rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "tcp", "rist", "whep"];
/// Pauses between attempts to find a stream again.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// How long is waited for a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For its first picture.
    pub(crate) opening: Duration,
    /// For the next picture, before the connection is given up and made anew.
    pub(crate) silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { opening: Duration::from_secs(15), silence: Duration::from_secs(5) }
    }
}

/// Where pictures are sent from.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    url: String,
    /// As it may be shown: without a password and without what stands behind a question mark.
    shown: String,
    pub(crate) patience: Patience,
}

impl Address {
    pub(crate) fn new(url: &str) -> Self {
        let bare = url.split(['?', '#']).next().unwrap_or_default();
        let shown = match bare.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or_default())
            }
            None => bare.to_owned(),
        };
        Self { url: url.to_owned(), shown, patience: Patience::default() }
    }

    /// For messages.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether the scheme says that there is no end.
    pub(crate) fn is_live(&self) -> bool {
        let scheme = self.url.split("://").next().unwrap_or_default().to_ascii_lowercase();
        LIVE.contains(&&*scheme)
    }

    /// Connects; every wait is bounded by `deadline`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`], with what to do.
    pub(crate) fn open(&self, deadline: &Deadline) -> Result<VideoReader> {
        let mut options = Dictionary::new();
        options.set("rtsp_transport", "tcp");
        if self.is_live() {
            // What is not known by then is learned on the way.
            options.set("analyzeduration", "1000000");
            options.set("fflags", "nobuffer");
        } else {
            options.set("reconnect", "1");
        }
        deadline.set(self.patience.opening);
        VideoReader::open_url(&self.url, &self.shown, options, deadline, self.patience.silence).map_err(|reason| {
            let message = format!(
                "cannot read {}: {reason}; check the address, or pipe what is there, as in `curl … | effigy run --source -`",
                self.shown
            );
            Error::new(ErrorKind::Io, message)
        })
    }
}

/// A picture and when it came.
#[derive(Default)]
struct Arrived {
    picture: Rgb,
    at: Option<Instant>,
}

/// Plays a stream as it comes. A stream that stops or breaks off is looked for again, with growing pauses.
pub struct StreamSource {
    name: String,
    rate_hz: f64,
    pictures: Subscriber<Arrived>,
    newest: Arrived,
    is_ending: Arc<AtomicBool>,
    deadline: Deadline,
    thread: Option<JoinHandle<()>>,
}

impl StreamSource {
    /// Plays on what was opened with `deadline`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when no thread can be made.
    pub(super) fn play(address: Address, reader: VideoReader, deadline: Deadline) -> Result<Self> {
        let (width_px, height_px) = reader.size_px();
        let rate_hz = reader.rate_hz();
        let name = format!("{}, {width_px}x{height_px} {}/s, live", address.shown, (rate_hz * 100.0).round() / 100.0);
        let (publisher, pictures) = channel(vec![Arrived::default()], Keep::Newest);
        let is_ending = Arc::new(AtomicBool::new(false));
        let (ending, bound) = (Arc::clone(&is_ending), deadline.clone());
        let thread = std::thread::Builder::new()
            .name("stream".to_owned())
            .spawn(move || follow(&address, reader, publisher, &ending, &bound))
            .or_error(ErrorKind::Internal, || "no thread for the stream".to_owned())?;
        Ok(Self { name, rate_hz, pictures, newest: Arrived::default(), is_ending, deadline, thread: Some(thread) })
    }
}

/// Decodes pictures as they come, and connects again, until it is told to end.
fn follow(
    address: &Address,
    reader: VideoReader,
    mut publisher: Publisher<Arrived>,
    is_ending: &AtomicBool,
    deadline: &Deadline,
) {
    let mut arrived = Arrived::default();
    let mut reader = Some(reader);
    let mut n_attempts = 0;
    while !is_ending.load(Ordering::Relaxed) {
        let Some(stream) = &mut reader else {
            let pause = Instant::now() + PAUSES[n_attempts.min(PAUSES.len() - 1)];
            while Instant::now() < pause && !is_ending.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            n_attempts += 1;
            match address.open(deadline) {
                Ok(stream) => reader = Some(stream),
                Err(error) => log::debug!("{error}"),
            }
            continue;
        };
        let outcome = stream.grab().and_then(|is_there| {
            if is_there { stream.retrieve(&mut arrived.picture).map(|()| true) } else { Ok(false) }
        });
        match outcome {
            Ok(true) => {
                if n_attempts > 0 {
                    log::warn!("{} is back", address.shown);
                    n_attempts = 0;
                }
                arrived.at = Some(Instant::now());
                if publisher.publish(&mut arrived) == Published::Closed {
                    return;
                }
            }
            _ if is_ending.load(Ordering::Relaxed) => return,
            outcome => {
                if n_attempts == 0 {
                    let why = outcome.err().map_or_else(|| "it ended".to_owned(), |error| format!("{error:#}"));
                    log::warn!("{} sends nothing more ({why}); it is looked for again", address.shown);
                }
                n_attempts = n_attempts.max(1);
                reader = None;
            }
        }
    }
}

impl Source for StreamSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        match self.pictures.receive(&mut self.newest, MAX_READ_WAIT) {
            Received::Fresh => {}
            Received::Idle => return Ok(Read::Idle),
            Received::Closed => {
                return Err(Error::new(ErrorKind::DeviceLost, format!("{} cannot be followed", self.name)));
            }
        }
        let age = self.newest.at.map_or(Duration::ZERO, |at| at.elapsed()).as_nanos() as u64;
        std::mem::swap(frame.picture_mut(), &mut self.newest.picture);
        frame.set_captured(Timestamp::from_nanos(clock.now().as_nanos().saturating_sub(age)));
        Ok(Read::Fresh)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        Some(self.rate_hz)
    }
}

impl Drop for StreamSource {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Relaxed);
        self.deadline.end();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by its closed slot.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_tokens_are_not_shown() {
        let table = [
            ("rtsp://ann:secret@10.0.0.2:554/a?key=1", "rtsp://10.0.0.2:554/a", true),
            ("http://127.0.0.1:8080/stream?token=abc", "http://127.0.0.1:8080/stream", false),
            ("srt://host:9000", "srt://host:9000", true),
            ("HTTPS://a.example/b@c.mp4#t=1", "HTTPS://a.example/b@c.mp4", false),
        ];
        for (url, shown, is_live) in table {
            let address = Address::new(url);
            assert_eq!((address.shown(), address.is_live()), (shown, is_live), "{url}");
        }
    }
}
