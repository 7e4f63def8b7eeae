//! What `--sink` says.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

use crate::motion_link::MotionSinkSpec;

use super::SequenceSink;
use super::camera::SIDES_PX;
use super::http::DEFAULT_ADDRESS;
use super::recorder::CONTAINERS;

/// Sinks that can be named.
const HERE: &str = "window, http[:ADDRESS], vcam[:DEVICE], pipewire, null, file:OUT.mp4 (.mkv, .mov, .avi), file:FOLDER/, \
                    file:NAME_%04d.png, vmc:HOST:PORT, ifm:HOST:PORT or motion:FILE.jsonl (.csv)";

/// Where the picture goes: `window`, `http[:ADDRESS]`, `vcam[:DEVICE][@WIDTHxHEIGHT]`, `pipewire[@WIDTHxHEIGHT]`,
/// `null` or `file:PATH`; or the motion: `vmc:HOST:PORT`, `ifm:HOST:PORT`, `motion:FILE.jsonl`.
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
    /// A v4l2loopback device (Linux).
    Vcam {
        /// Its node; `None` takes the first that is free.
        device: Option<PathBuf>,
        /// The camera's (width, height); `None` is the picture's own size.
        size_px: Option<(usize, usize)>,
    },
    /// A PipeWire camera (Linux, feature `pipewire`).
    Pipewire {
        /// The camera's (width, height) unless a program asks for another; `None` is the picture's own size.
        size_px: Option<(usize, usize)>,
    },
    /// The driver's motion as numbers, without a picture.
    Motion(MotionSinkSpec),
}

impl SinkSpec {
    /// Whether it shows the newest picture only and cannot take every one.
    pub fn is_live_only(&self) -> bool {
        matches!(
            self,
            Self::Window
                | Self::Http(_)
                | Self::Vcam { .. }
                | Self::Pipewire { .. }
                | Self::Motion(MotionSinkSpec::Udp(..))
        )
    }

    /// What presenting a frame is for it, in words: the last stage that counts for the age that a run reports.
    pub fn presenting(&self) -> &'static str {
        match self {
            Self::Window => "scaling the picture and sending it to the display",
            Self::Motion(_) => "sending or writing the numbers",
            Self::Null => "nothing, or for a bench reading the code there",
            Self::Http(_) => "making the JPEG and leaving it for the server's thread",
            Self::Video(_) | Self::Sequence(_) => "encoding the picture and writing it to the file",
            Self::Vcam { .. } | Self::Pipewire { .. } => {
                "copying the picture for the camera's own thread, which packs and writes it after that"
            }
        }
    }
}

impl FromStr for SinkSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(motion) = MotionSinkSpec::parse(text) {
            return motion.map(Self::Motion);
        }
        let name = text.split([':', '@']).next().unwrap_or_default();
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
            Some(("file", path)) => parse_path(path.as_ref()),
            _ if name == "vcam" => parse_vcam(&text[name.len()..]),
            _ if name == "pipewire" => parse_pipewire(&text[name.len()..]),
            _ if is_like_path(text) => Err(config(format!("no sink {text:?}; for a file write `--sink file:{text}`"))),
            _ => Err(config(format!("no sink {text:?}"))),
        }
    }
}

impl TryFrom<&OsStr> for SinkSpec {
    type Error = Error;

    /// Takes a name whose path need not be Unicode.
    fn try_from(name: &OsStr) -> Result<Self> {
        match (name.to_str(), crate::files::split_once(name, b':')) {
            (Some(text), _) => text.parse(),
            (None, Some((word, path))) if word == "file" => parse_path(path),
            (None, _) => Err(config(format!("no sink {name:?}"))),
        }
    }
}

/// Whether what was given is the path of a file that could be written.
fn is_like_path(text: &str) -> bool {
    text.ends_with(std::path::is_separator) || CONTAINERS.contains(&&*extension(Path::new(text)))
}

/// What a name ends in, in lower case.
fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

fn parse_path(name: &OsStr) -> Result<SinkSpec> {
    let path = Path::new(name);
    let shown = path.display();
    match &*extension(path) {
        _ if name.is_empty() => Err(config("`file:` lacks a path".into())),
        // A folder is meant by the slash alone, so that a forgotten extension does not make one.
        _ if name.to_string_lossy().ends_with(std::path::is_separator) => {
            let mut pattern = OsString::from(name);
            pattern.push("%06d.png");
            Ok(SinkSpec::Sequence(pattern.into()))
        }
        "png" if SequenceSink::is_pattern(path) => Ok(SinkSpec::Sequence(path.into())),
        "png" if path.file_name().is_some_and(|name| name.to_str().is_none()) => {
            Err(config(format!("{shown}: the name of numbered pictures must be Unicode; its folder need not be")))
        }
        "png" => Err(config(format!("{shown} lacks the place for the frame's number, such as %04d"))),
        extension if CONTAINERS.contains(&extension) => Ok(SinkSpec::Video(path.into())),
        _ => Err(config(format!("{shown} ends in none of .mp4, .mkv, .mov, .avi, .png and /"))),
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

/// What follows `vcam`: a device, a size.
pub(super) fn parse_vcam(rest: &str) -> Result<SinkSpec> {
    if !cfg!(target_os = "linux") {
        return Err(Error::new(
            ErrorKind::BackendUnavailable,
            "v4l2loopback is a part of Linux; on this system show the window in OBS and start OBS's virtual camera, \
             or write a file: `--sink file:OUT.mp4`",
        ));
    }
    let (device, size_px) = split_size(rest)?;
    let device = match device.strip_prefix(':') {
        None if device.is_empty() => None,
        Some(number) if number.parse::<u32>().is_ok() => Some(format!("/dev/video{number}").into()),
        Some(path) if path.starts_with('/') => Some(path.into()),
        _ => {
            let expected = "expected is one such as :/dev/video10 or :10, and a size behind @, as in vcam:10@1280x720";
            return Err(config(format!("no virtual camera {device:?}, {expected}")));
        }
    };
    Ok(SinkSpec::Vcam { device, size_px })
}

/// What follows `pipewire`: a size.
pub(super) fn parse_pipewire(rest: &str) -> Result<SinkSpec> {
    if !cfg!(all(target_os = "linux", feature = "pipewire")) {
        let how = if cfg!(target_os = "linux") {
            "install libpipewire-0.3-dev and build with `--features pipewire`, or use `--sink vcam`"
        } else {
            "PipeWire is a part of Linux; on this system use the window, or write a file: `--sink file:OUT.mp4`"
        };
        let message = format!("the sink pipewire is not in this build: {how}");
        return Err(Error::new(ErrorKind::BackendUnavailable, message));
    }
    match split_size(rest)? {
        ("", size_px) => Ok(SinkSpec::Pipewire { size_px }),
        (extra, _) => Err(config(format!("`pipewire` takes a size only, as in pipewire@1280x720, not {extra:?}"))),
    }
}

/// Splits `REST@WIDTHxHEIGHT`.
fn split_size(text: &str) -> Result<(&str, Option<(usize, usize)>)> {
    let Some((rest, size)) = text.split_once('@') else { return Ok((text, None)) };
    let sides = size.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    match sides {
        Some(sides) if [sides.0, sides.1].iter().all(|side| side % 2 == 0 && SIDES_PX.contains(side)) => {
            Ok((rest, Some(sides)))
        }
        _ => Err(config(format!(
            "no size {size:?} for a camera; give WIDTHxHEIGHT with even sides from 64 to 4096 pixels, such as 1280x720"
        ))),
    }
}

fn config(what: String) -> Error {
    Error::new(ErrorKind::Config, format!("{what}; `--sink` takes {HERE}"))
}

impl fmt::Display for SinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window => f.write_str("window"),
            Self::Null => f.write_str("null"),
            Self::Motion(motion) => motion.fmt(f),
            Self::Http(address) => write!(f, "http:{address}"),
            Self::Video(path) | Self::Sequence(path) => write!(f, "file:{}", path.display()),
            Self::Vcam { device, size_px } => {
                f.write_str("vcam")?;
                device.as_ref().map_or(Ok(()), |path| write!(f, ":{}", path.display()))?;
                write_size(f, *size_px)
            }
            Self::Pipewire { size_px } => {
                f.write_str("pipewire")?;
                write_size(f, *size_px)
            }
        }
    }
}

fn write_size(f: &mut fmt::Formatter<'_>, size_px: Option<(usize, usize)>) -> fmt::Result {
    size_px.map_or(Ok(()), |(width_px, height_px)| write!(f, "@{width_px}x{height_px}"))
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
            ("file:-dash.mp4", SinkSpec::Video("-dash.mp4".into()), "file:-dash.mp4"),
            ("file:12:30@home.mp4", SinkSpec::Video("12:30@home.mp4".into()), "file:12:30@home.mp4"),
            ("file:100%/", SinkSpec::Sequence("100%/%06d.png".into()), "file:100%/%06d.png"),
            ("file:100%/%03d.png", SinkSpec::Sequence("100%/%03d.png".into()), "file:100%/%03d.png"),
            ("file:a.mp4/", SinkSpec::Sequence("a.mp4/%06d.png".into()), "file:a.mp4/%06d.png"),
            ("file:window.mkv", SinkSpec::Video("window.mkv".into()), "file:window.mkv"),
            ("file:Zoë — Übung.avi", SinkSpec::Video("Zoë — Übung.avi".into()), "file:Zoë — Übung.avi"),
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
            (
                "file:out.gif",
                ErrorKind::Config,
                "out.gif ends in none of .mp4, .mkv, .mov, .avi, .png and /; `--sink` takes",
            ),
            ("file:a.png", ErrorKind::Config, "a.png lacks the place for the frame's number, such as %04d; `--sink`"),
            ("https", ErrorKind::Config, "no sink \"https\"; `--sink` takes"),
            (
                "out.mp4",
                ErrorKind::Config,
                "no sink \"out.mp4\"; for a file write `--sink file:out.mp4`; `--sink` takes",
            ),
            (
                "frames/",
                ErrorKind::Config,
                "no sink \"frames/\"; for a file write `--sink file:frames/`; `--sink` takes",
            ),
            ("-x.mkv", ErrorKind::Config, "no sink \"-x.mkv\"; for a file write `--sink file:-x.mkv`; `--sink` takes"),
            ("file:-", ErrorKind::Config, "- ends in none of .mp4, .mkv, .mov, .avi, .png and /; `--sink` takes"),
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

    #[cfg(unix)]
    #[test]
    fn paths_need_not_be_unicode() {
        use std::os::unix::ffi::OsStrExt as _;
        let spec = |name: &'static [u8]| SinkSpec::try_from(OsStr::from_bytes(name));
        let path = |name: &'static [u8]| PathBuf::from(OsStr::from_bytes(name));
        assert_eq!(spec(b"file:caf\xe9.mp4").unwrap(), SinkSpec::Video(path(b"caf\xe9.mp4")));
        assert_eq!(spec(b"file:caf\xe9/").unwrap(), SinkSpec::Sequence(path(b"caf\xe9/%06d.png")));
        assert_eq!(spec(b"null").unwrap(), SinkSpec::Null);
        for wrong in [&b"caf\xe9.mp4"[..], b"file:caf\xe9_%04d.png"] {
            let error = spec(wrong).unwrap_err();
            assert!(error.to_string().contains("`--sink` takes"), "{error}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn virtual_cameras_are_read_from_text_and_written_back() {
        let vcam = |device: Option<&str>, size_px| SinkSpec::Vcam { device: device.map(PathBuf::from), size_px };
        let table = [
            ("vcam", vcam(None, None), "vcam"),
            ("vcam:/dev/video10", vcam(Some("/dev/video10"), None), "vcam:/dev/video10"),
            ("vcam:10", vcam(Some("/dev/video10"), None), "vcam:/dev/video10"),
            ("vcam@1280x720", vcam(None, Some((1280, 720))), "vcam@1280x720"),
            ("vcam:10@640x480", vcam(Some("/dev/video10"), Some((640, 480))), "vcam:/dev/video10@640x480"),
            ("pipewire", SinkSpec::Pipewire { size_px: None }, "pipewire"),
            ("pipewire@640x480", SinkSpec::Pipewire { size_px: Some((640, 480)) }, "pipewire@640x480"),
        ];
        for (text, spec, written) in table {
            if text.starts_with("pipewire") && !cfg!(feature = "pipewire") {
                let error = text.parse::<SinkSpec>().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::BackendUnavailable, "{error}");
                assert!(error.to_string().contains("`--features pipewire`"), "{error}");
                continue;
            }
            assert_eq!(text.parse::<SinkSpec>().unwrap(), spec, "{text}");
            assert_eq!(spec.to_string(), written);
        }
        for text in ["vcam:", "vcam:video1", "vcam@", "vcam@641x480", "vcam@640", "vcam@32x32", "vcam10", "pipewired"] {
            let error = text.parse::<SinkSpec>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}: {error}");
        }
        let cameras: &[&str] = if cfg!(feature = "pipewire") { &["vcam", "vcam:10", "pipewire"] } else { &["vcam"] };
        for camera in cameras {
            for size in [
                "",
                "700",
                "0x0",
                "abc",
                "62x64",
                "641x480",
                "4098x64",
                "640x",
                "x480",
                "640*480",
                "640x480x2",
                "-64x64",
            ] {
                let error = format!("{camera}@{size}").parse::<SinkSpec>().unwrap_err().to_string();
                assert!(error.contains(&format!("no size {size:?} for a camera")), "{camera}@{size}: {error}");
                assert!(
                    error.contains("WIDTHxHEIGHT with even sides from 64 to 4096 pixels, such as 1280x720"),
                    "{error}"
                );
            }
        }
        let error = "vcam:1280x720".parse::<SinkSpec>().unwrap_err().to_string();
        assert!(error.contains("as in vcam:10@1280x720"), "{error}");
        #[cfg(feature = "pipewire")]
        assert!("pipewire:1280x720".parse::<SinkSpec>().unwrap_err().to_string().contains("as in pipewire@1280x720"));
    }
}
