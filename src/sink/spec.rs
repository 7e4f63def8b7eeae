//! What `--sink` says, and opening it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

use super::http::DEFAULT_ADDRESS;
use super::recorder::CONTAINERS;
use super::{Delivery, NullSink, RateMode, Recorder, RecorderOptions, SequenceSink, Sink};

/// Sinks that the command line names and this build has not.
const NOT_HERE: [&str; 2] = ["vcam", "pipewire"];
/// Sinks that can be named.
const HERE: &str = "window, null, http[:ADDRESS], file:OUT.mp4 (.mkv, .avi), file:FOLDER/ or file:NAME_%04d.png";

/// Where the picture goes: `window`, `null`, `http[:ADDRESS]` or `file:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkSpec {
    /// A window on the caller's thread.
    Window,
    /// Nowhere.
    Null,
    /// Browsers, players and OBS, with the control page; port 0 is any free one.
    Http(SocketAddr),
    /// A video file.
    Video(PathBuf),
    /// A picture for each frame: the path holds one `%0Nd` for its number.
    Sequence(PathBuf),
}

impl FromStr for SinkSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let name = text.split(':').next().unwrap_or_default();
        match text.split_once(':') {
            _ if text == "window" && cfg!(feature = "window") => Ok(Self::Window),
            _ if text == "window" => Err(Error::new(
                ErrorKind::BackendUnavailable,
                "the window is not in this build; build it with `--features window`, or write a file: \
                 `--sink file:OUT.mp4`",
            )),
            _ if text == "null" => Ok(Self::Null),
            None if text == "http" => Ok(Self::Http(DEFAULT_ADDRESS)),
            Some(("http", address)) => parse_address(address).map(Self::Http),
            Some(("file", path)) => parse_path(path),
            _ if NOT_HERE.contains(&name) => Err(Error::new(
                ErrorKind::BackendUnavailable,
                format!("the sink {name} is not in this build; it has {HERE}"),
            )),
            _ => Err(config(format!("no sink {text:?}"))),
        }
    }
}

fn parse_path(path: &str) -> Result<SinkSpec> {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        _ if path.is_empty() => Err(config("`file:` lacks a path".into())),
        // A folder is meant by the slash alone, so that a forgotten extension does not make one.
        _ if path.ends_with('/') => Ok(SinkSpec::Sequence(PathBuf::from(format!("{path}%06d.png")))),
        "png" if SequenceSink::is_pattern(path) => Ok(SinkSpec::Sequence(path.into())),
        "png" => Err(config(format!("{path} lacks the place for the frame's number, such as %04d"))),
        extension if CONTAINERS.contains(&extension) => Ok(SinkSpec::Video(path.into())),
        _ => Err(config(format!("{path} ends in none of .mp4, .mkv, .avi, .png and /"))),
    }
}

/// An address, a port, or both.
fn parse_address(text: &str) -> Result<SocketAddr> {
    let numeric = match text.strip_prefix("localhost") {
        Some(rest) => format!("{}{rest}", Ipv4Addr::LOCALHOST),
        None => text.to_owned(),
    };
    let bare = numeric.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&numeric);
    let whole = numeric.parse::<SocketAddr>().ok();
    let alone = || bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, DEFAULT_ADDRESS.port()));
    let port = || numeric.parse::<u16>().ok().map(|port| SocketAddr::new(DEFAULT_ADDRESS.ip(), port));
    whole.or_else(alone).or_else(port).ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            format!("no address {text:?}; `--sink http:` takes a port (8080), an address (127.0.0.1) or both"),
        )
    })
}

fn config(what: String) -> Error {
    Error::new(ErrorKind::Config, format!("{what}; `--sink` takes {HERE}"))
}

impl fmt::Display for SinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window => f.write_str("window"),
            Self::Null => f.write_str("null"),
            Self::Http(address) => write!(f, "http:{address}"),
            Self::Video(path) | Self::Sequence(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// What a sink must know before the first frame.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// The size of all frames, (width, height).
    pub size_px: (usize, usize),
    /// The rate of a video file, in frames a second.
    pub rate_hz: f64,
    /// Takes every frame and keeps one for one, as when a clip is rendered to a file.
    pub every_frame: bool,
}

/// Opens any sink but the window and the server, so far that a wrong path is found here.
///
/// # Errors
/// - [`ErrorKind::Config`]: the window, which is opened by `WindowSink::open` on the thread that polls its keys, and
///   the server, which [`super::HttpSink::open`] opens with the run's controls.
/// - [`ErrorKind::Io`], [`ErrorKind::PermissionDenied`]: the file cannot be written.
/// - [`ErrorKind::BackendUnavailable`]: OpenCV can encode none of the formats tried.
pub fn open(spec: &SinkSpec, options: &SinkOptions) -> Result<Box<dyn Sink + Send>> {
    Ok(match spec {
        SinkSpec::Window => {
            return Err(Error::new(ErrorKind::Config, "the window is opened by the thread that polls its keys"));
        }
        SinkSpec::Http(_) => {
            return Err(Error::new(ErrorKind::Config, "the server is opened with the run's controls"));
        }
        SinkSpec::Null if options.every_frame => Box::new(NullSink::new(Delivery::Every(8))),
        SinkSpec::Null => Box::new(NullSink::default()),
        SinkSpec::Video(path) => {
            let mode = if options.every_frame { RateMode::OneForOne } else { RateMode::Constant };
            Box::new(Recorder::open(
                path,
                &RecorderOptions { mode, ..RecorderOptions::new(options.size_px, options.rate_hz) },
            )?)
        }
        SinkSpec::Sequence(pattern) => Box::new(SequenceSink::open(pattern)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_are_read_from_text_and_written_back() {
        let table = [
            ("window", SinkSpec::Window, "window"),
            ("null", SinkSpec::Null, "null"),
            ("http", SinkSpec::Http(([127, 0, 0, 1], 0).into()), "http:127.0.0.1:0"),
            ("http:8080", SinkSpec::Http(([127, 0, 0, 1], 8080).into()), "http:127.0.0.1:8080"),
            ("http:localhost:8080", SinkSpec::Http(([127, 0, 0, 1], 8080).into()), "http:127.0.0.1:8080"),
            ("http:0.0.0.0", SinkSpec::Http(([0, 0, 0, 0], 0).into()), "http:0.0.0.0:0"),
            ("http:[::1]:81", SinkSpec::Http("[::1]:81".parse().unwrap()), "http:[::1]:81"),
            ("http:[::1]", SinkSpec::Http("[::1]:0".parse().unwrap()), "http:[::1]:0"),
            ("file:out.mp4", SinkSpec::Video("out.mp4".into()), "file:out.mp4"),
            ("file:C:\\a b\\OUT.MKV", SinkSpec::Video("C:\\a b\\OUT.MKV".into()), "file:C:\\a b\\OUT.MKV"),
            ("file:frames/", SinkSpec::Sequence("frames/%06d.png".into()), "file:frames/%06d.png"),
            ("file:a_%04d.png", SinkSpec::Sequence("a_%04d.png".into()), "file:a_%04d.png"),
        ];
        for (text, spec, written) in table {
            if spec == SinkSpec::Window && !cfg!(feature = "window") {
                let error = text.parse::<SinkSpec>().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::BackendUnavailable, "{error}");
                continue;
            }
            assert_eq!(text.parse::<SinkSpec>().unwrap(), spec, "{text}");
            assert_eq!(spec.to_string(), written);
            assert_eq!(written.parse::<SinkSpec>().unwrap(), spec, "{written}");
        }
    }

    #[test]
    fn wrong_sinks_say_what_can_be_typed() {
        let table = [
            ("", ErrorKind::Config, "no sink \"\"; `--sink` takes"),
            ("screen", ErrorKind::Config, "no sink \"screen\"; `--sink` takes"),
            ("window:2", ErrorKind::Config, "no sink \"window:2\"; `--sink` takes"),
            ("file:", ErrorKind::Config, "`file:` lacks a path; `--sink` takes"),
            ("file:out.gif", ErrorKind::Config, "out.gif ends in none of .mp4, .mkv, .avi, .png and /; `--sink` takes"),
            ("file:a.png", ErrorKind::Config, "a.png lacks the place for the frame's number, such as %04d; `--sink`"),
            (
                "vcam:/dev/video9",
                ErrorKind::BackendUnavailable,
                "the sink vcam is not in this build; it has window, null",
            ),
            ("https", ErrorKind::Config, "no sink \"https\"; `--sink` takes"),
            ("pipewire", ErrorKind::BackendUnavailable, "the sink pipewire is not in this build; it has window"),
        ];
        for (text, kind, message) in table {
            let error = text.parse::<SinkSpec>().unwrap_err();
            assert_eq!(error.kind(), kind, "{text}");
            assert!(error.to_string().starts_with(message) && error.to_string().contains("file:OUT.mp4"), "{error}");
        }
        for wrong in ["http:", "http:99999", "http:example.org:80", "http:-1", "http:1.2.3", "http:127.0.0.1:x"] {
            let error = wrong.parse::<SinkSpec>().unwrap_err();
            assert!(error.to_string().contains("takes a port (8080)"), "{wrong}: {error}");
        }
    }
}
