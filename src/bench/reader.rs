//! The far end: something that shows pictures, looked at from outside.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Grey;
use crate::latency::Place;

pub use clip::ClipReader;
#[cfg(target_os = "linux")]
pub use device::DeviceReader;
pub use http::HttpReader;
#[cfg(all(target_os = "linux", feature = "pipewire"))]
pub use pipewire::PipewireReader;
#[cfg(all(target_os = "linux", feature = "window"))]
pub use screen::ScreenReader;

mod clip;
#[cfg(target_os = "linux")]
mod device;
mod http;
#[cfg(target_os = "linux")]
mod packing;
#[cfg(all(target_os = "linux", feature = "pipewire"))]
mod pipewire;
#[cfg(all(target_os = "linux", feature = "window"))]
mod screen;

/// The longest a [`Reader::read`] may wait.
pub const MAX_READ_WAIT: Duration = Duration::from_millis(100);

/// When a picture was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When the last leg of its way began, where the reader knows: see [`Legs`].
    pub since: Option<Timestamp>,
    /// When all of it was there: before it was decoded or searched for a code.
    pub at: Timestamp,
}

/// The two legs of the way from a sink to a reader, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legs {
    /// From the sink's end of work to [`Arrival::since`].
    pub first: &'static str,
    /// From there to [`Arrival::at`].
    pub last: &'static str,
}

/// What a [`Reader::read`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Look {
    /// A picture.
    At(Arrival),
    /// Nothing new yet.
    Idle,
    /// There will be no more.
    Ended,
}

/// Something at the far end of a sink, one owner, one thread.
pub trait Reader: Send {
    /// What it is, for the user.
    fn name(&self) -> &str;

    /// Waits for the next picture, at most [`MAX_READ_WAIT`], and writes its brightness into `picture`.
    ///
    /// # Errors
    /// When nothing more can come: the device or the other side is gone.
    fn read(&mut self, picture: &mut Grey, clock: &dyn Clock) -> Result<Look>;

    /// Whether the same picture is looked at again and again, so that seeing it twice says nothing.
    fn is_polled(&self) -> bool {
        false
    }

    /// Whether the moment of reading says how old the picture is; not for files.
    fn is_live(&self) -> bool {
        true
    }

    /// What [`Arrival::since`] divides the way into; `None` where the reader cannot tell.
    fn legs(&self) -> Option<Legs> {
        None
    }

    /// Tells where the code was found, or that it was not: a reader that can may then read only that part.
    fn focus(&mut self, place: Option<&Place>) {
        let _ = place;
    }
}

/// The camera that `pipewire` means without a name: this program's own.
const OWN_NODE: &str = "effigy";

/// What can be watched: `/dev/videoN`, `http://…`, `pipewire[:NODE]`, `window:TITLE`, `screen`, or a video file.
///
/// The words win: a file that is called `screen` is meant by `./screen`, and `-` is standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderSpec {
    /// A video device (Linux).
    Device(PathBuf),
    /// A stream of JPEG pictures.
    Http(String),
    /// The PipeWire camera whose node has this name or description (Linux, feature `pipewire`).
    Pipewire(String),
    /// The window whose title contains this, whatever the case (X11).
    Window(String),
    /// The whole screen (X11).
    Screen,
    /// A video file.
    Clip(PathBuf),
}

impl FromStr for ReaderSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            _ if text.is_empty() => Err(config("nothing to watch")),
            _ if text == "screen" => Ok(Self::Screen),
            _ if text == "pipewire" || text.starts_with("pipewire:") => parse_pipewire(text),
            Some(("window", "")) => Err(config("`window:` lacks a part of the window's title")),
            Some(("window", title)) => Ok(Self::Window(title.to_owned())),
            Some(("http", rest)) if rest.starts_with("//") => Ok(Self::Http(text.to_owned())),
            Some(("https", rest)) if rest.starts_with("//") => Err(config("only plain http:// can be read")),
            // A shell's names for pipes are no devices.
            _ if text.starts_with("/dev/") && !text.starts_with("/dev/fd/") && text != "/dev/stdin" => {
                Ok(Self::Device(text.into()))
            }
            _ => Ok(Self::Clip(text.into())),
        }
    }
}

impl TryFrom<&OsStr> for ReaderSpec {
    type Error = Error;

    /// Takes a name that need not be Unicode.
    fn try_from(name: &OsStr) -> Result<Self> {
        name.to_str().map_or_else(|| Ok(Self::Clip(name.into())), str::parse)
    }
}

fn parse_pipewire(text: &str) -> Result<ReaderSpec> {
    if !cfg!(all(target_os = "linux", feature = "pipewire")) {
        let how = if cfg!(target_os = "linux") {
            "install libpipewire-0.3-dev and build with `--features pipewire`"
        } else {
            "PipeWire is a part of Linux"
        };
        let message = format!("reading PipeWire's cameras is not in this build: {how}");
        return Err(Error::new(ErrorKind::BackendUnavailable, message));
    }
    match text.split_once(':') {
        None => Ok(ReaderSpec::Pipewire(OWN_NODE.to_owned())),
        Some((_, "")) => Err(config("`pipewire:` lacks the name of a camera's node")),
        Some((_, node)) => Ok(ReaderSpec::Pipewire(node.to_owned())),
    }
}

fn config(what: &str) -> Error {
    let list = "/dev/videoN, http://HOST:PORT/PATH, pipewire[:NODE], window:TITLE, screen, or a video file";
    Error::new(ErrorKind::Config, format!("{what}; what can be watched is {list}"))
}

impl fmt::Display for ReaderSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(f, "{}", path.display()),
            Self::Clip(path) => {
                let text = path.to_string_lossy();
                let is_other = !matches!(text.parse(), Ok(Self::Clip(_)));
                write!(f, "{}{text}", if is_other { "./" } else { "" })
            }
            Self::Http(url) => f.write_str(url),
            Self::Pipewire(node) if node == OWN_NODE => f.write_str("pipewire"),
            Self::Pipewire(node) => write!(f, "pipewire:{node}"),
            Self::Window(title) => write!(f, "window:{title}"),
            Self::Screen => f.write_str("screen"),
        }
    }
}

/// Opens what is to be watched.
///
/// # Errors
/// - [`ErrorKind::NoDevice`]: there is no such device or window.
/// - [`ErrorKind::BackendUnavailable`]: this build or system cannot read it.
/// - [`ErrorKind::Io`]: the other side does not answer, or answers something else.
pub fn open(spec: &ReaderSpec) -> Result<Box<dyn Reader>> {
    let word = spec.to_string();
    if !matches!(spec, ReaderSpec::Clip(_) | ReaderSpec::Device(_)) && Path::new(&word).is_file() {
        log::warn!("`{word}` is no file's name here; the file that is called so is meant by ./{word}");
    }
    match spec {
        ReaderSpec::Http(url) => Ok(Box::new(HttpReader::open(url)?)),
        ReaderSpec::Clip(path) => Ok(Box::new(ClipReader::open(path)?)),
        #[cfg(target_os = "linux")]
        ReaderSpec::Device(path) => Ok(Box::new(DeviceReader::open(path)?)),
        #[cfg(all(target_os = "linux", feature = "pipewire"))]
        ReaderSpec::Pipewire(node) => Ok(Box::new(PipewireReader::open(node)?)),
        #[cfg(all(target_os = "linux", feature = "window"))]
        ReaderSpec::Window(title) => Ok(Box::new(ScreenReader::window(title)?)),
        #[cfg(all(target_os = "linux", feature = "window"))]
        ReaderSpec::Screen => Ok(Box::new(ScreenReader::screen()?)),
        #[cfg(not(all(target_os = "linux", feature = "window", feature = "pipewire")))]
        _ => Err(Error::new(
            ErrorKind::BackendUnavailable,
            format!(
                "this build cannot watch {spec}; it needs Linux, for windows the feature `window`, for PipeWire's \
                 cameras the feature `pipewire`"
            ),
        )),
    }
}

/// `moment` on `clock`.
fn on_clock(moment: Instant, clock: &dyn Clock) -> Timestamp {
    let elapsed = u64::try_from(moment.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Timestamp::from_nanos(clock.now().as_nanos().saturating_sub(elapsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_is_read_from_text_and_written_back() {
        let table = [
            ("/dev/video3", ReaderSpec::Device("/dev/video3".into())),
            (
                "http://127.0.0.1:8080/stream?token=a:b",
                ReaderSpec::Http("http://127.0.0.1:8080/stream?token=a:b".into()),
            ),
            ("window:Cam: 1", ReaderSpec::Window("Cam: 1".into())),
            ("screen", ReaderSpec::Screen),
            ("out.mp4", ReaderSpec::Clip("out.mp4".into())),
            ("C:\\a b\\out.mp4", ReaderSpec::Clip("C:\\a b\\out.mp4".into())),
            ("-dash.mp4", ReaderSpec::Clip("-dash.mp4".into())),
            ("-", ReaderSpec::Clip("-".into())),
            ("./screen", ReaderSpec::Clip("./screen".into())),
            ("https:talk.mp4", ReaderSpec::Clip("https:talk.mp4".into())),
            ("http:talk.mp4", ReaderSpec::Clip("http:talk.mp4".into())),
            ("/dev/stdin", ReaderSpec::Clip("/dev/stdin".into())),
        ];
        for (text, spec) in table {
            assert_eq!(text.parse::<ReaderSpec>().unwrap(), spec);
            assert_eq!(spec.to_string(), text);
        }
        #[cfg(all(target_os = "linux", feature = "pipewire"))]
        for (text, node) in [("pipewire", "effigy"), ("pipewire:Cam: 1", "Cam: 1")] {
            let spec: ReaderSpec = text.parse().unwrap();
            assert_eq!((spec.to_string(), spec), (text.to_owned(), ReaderSpec::Pipewire(node.to_owned())));
        }
        #[cfg(all(target_os = "linux", feature = "pipewire"))]
        assert!("pipewire:".parse::<ReaderSpec>().unwrap_err().to_string().contains("lacks the name"));
        #[cfg(not(feature = "pipewire"))]
        for text in ["pipewire", "pipewire:", "pipewire:Cam"] {
            let error = text.parse::<ReaderSpec>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BackendUnavailable);
            assert!(error.to_string().contains("not in this build"), "{error}");
        }
        for (text, says) in [("", "nothing to watch"), ("window:", "lacks a part"), ("https://a/b", "only plain http")]
        {
            let error = text.parse::<ReaderSpec>().unwrap_err();
            assert!(error.to_string().contains(says) && error.to_string().contains("/dev/videoN"), "{error}");
        }
    }
}
