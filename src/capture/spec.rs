//! What `--source` says, and opening it.

use std::ffi::OsStr;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

use crate::files::STANDARD_INPUT;
use crate::motion_link::MotionSourceSpec;

use super::clip::has_extension;
use super::clip_file::ClipFile;
use super::stream::Address;
use super::{
    CameraChoice, ClipSource, PatternSource, Source, SourceOptions, StillSource, StreamSource, WebcamSource, motion,
};
use crate::video::deadline::Deadline;

/// What can be given.
const TAKES: &str = "`--source` takes camera, camera:N, camera:NAME, pattern, a clip or picture file, an address such as \
                     rtsp://HOST/PATH, - for standard input, vmc:PORT, ifm:PORT, motion:FILE.jsonl, audio:FILE or \
                     audio:microphone";

/// Where the driver's picture comes from: `camera`, `camera:N`, `camera:NAME`, `pattern`, `-`, an address or a file; or the
/// driver's motion: `vmc:PORT`, `ifm:PORT`, `motion:FILE.jsonl`, `audio:FILE`, `audio:microphone`.
///
/// The words win: a file that happens to be called `camera`, `pattern`, `vmc:1` or `-` is meant by `./camera`. What begins
/// with a scheme and `://` is an address. Every other name is a file's, whatever it begins with and whatever colons it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// A webcam.
    Camera(CameraChoice),
    /// The clip that the program carries with it.
    Pattern,
    /// A clip or a still that is piped into the program; read to its end before it is played.
    StandardInput,
    /// An address that FFmpeg reads (http, https, rtsp, srt and more): a clip, or a live stream.
    Url(String),
    /// Numbers of motion instead of pictures.
    Motion(MotionSourceSpec),
    /// A clip or a still; its content says which.
    File(PathBuf),
}

impl SourceSpec {
    /// Whether it shows what happens now.
    pub fn is_live(&self) -> bool {
        match self {
            Self::Camera(_) => true,
            Self::Motion(motion) => motion.is_live(),
            Self::Url(url) => Address::new(url).is_live(),
            Self::Pattern | Self::StandardInput | Self::File(_) => false,
        }
    }
}

impl FromStr for SourceSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(motion) = MotionSourceSpec::parse(text) {
            return motion.map(Self::Motion);
        }
        match text.split_once(':') {
            _ if text.is_empty() => Err(config("the source is empty")),
            _ if text == STANDARD_INPUT => Ok(Self::StandardInput),
            _ if text == "camera" => Ok(Self::Camera(CameraChoice::First)),
            _ if text == "pattern" => Ok(Self::Pattern),
            Some(("camera", "")) => Err(config("`camera:` lacks the camera's number or a part of its name")),
            Some(("camera", which)) => Ok(Self::Camera(match which.parse() {
                Ok(index) => CameraChoice::Index(index),
                Err(_) => CameraChoice::Name(which.to_owned()),
            })),
            // Where it is known which file is read, no sink can be given the same.
            _ if let Some(path) = text.strip_prefix("file://") => {
                Ok(Self::File(PathBuf::from(path.strip_prefix("localhost").unwrap_or(path))))
            }
            _ if is_address(text) => Ok(Self::Url(text.to_owned())),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

/// Whether it begins with a scheme and `://`.
fn is_address(text: &str) -> bool {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && !text.contains('\0')
}

impl TryFrom<&OsStr> for SourceSpec {
    type Error = Error;

    /// Takes a name that need not be Unicode.
    fn try_from(name: &OsStr) -> Result<Self> {
        match name.to_str() {
            Some(text) => text.parse(),
            None if crate::files::split_once(name, b':').is_some_and(|(word, _)| word == "camera") => {
                Err(config("the camera's name is not Unicode; give its number or another part of its name"))
            }
            None => Ok(Self::File(name.into())),
        }
    }
}

fn config(what: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{what}; {TAKES}"))
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Camera(CameraChoice::First) => f.write_str("camera"),
            Self::Camera(CameraChoice::Index(index)) => write!(f, "camera:{index}"),
            Self::Camera(CameraChoice::Name(name)) => write!(f, "camera:{name}"),
            Self::Pattern => f.write_str("pattern"),
            Self::StandardInput => f.write_str(STANDARD_INPUT),
            Self::Url(url) => f.write_str(url),
            Self::Motion(motion) => motion.fmt(f),
            Self::File(path) => {
                let text = path.to_string_lossy();
                let is_other = !matches!(text.parse(), Ok(Self::File(_)));
                write!(f, "{}{text}", if is_other { "./" } else { "" })
            }
        }
    }
}

/// Opens the source, so far that a wrong name, a torn file or a camera in use is found here.
///
/// # Errors
/// - [`ErrorKind::NoDevice`]: no such camera; the message lists what there is.
/// - [`ErrorKind::DeviceBusy`], [`ErrorKind::PermissionDenied`]: the camera may not be used now, or by this user.
/// - [`ErrorKind::BackendUnavailable`]: this build has no cameras.
/// - [`ErrorKind::Io`]: the file is missing, torn, or neither a clip nor a picture.
pub fn open(spec: &SourceSpec, options: &SourceOptions) -> Result<Box<dyn Source>> {
    let word = spec.to_string();
    if !matches!(spec, SourceSpec::File(_) | SourceSpec::Url(_)) && Path::new(&word).is_file() {
        log::warn!("`{word}` is no file's name for --source; the file that is called so is meant by ./{word}");
    }
    Ok(match spec {
        SourceSpec::Camera(choice) => Box::new(WebcamSource::open(choice, options)?),
        SourceSpec::Pattern => Box::new(PatternSource::open(crate::demo::DRIVER_MP4, options)?),
        SourceSpec::StandardInput => open_file(ClipFile::standard_input()?, options)?,
        SourceSpec::Motion(spec) => motion::open(spec, options)?,
        SourceSpec::Url(url) => open_address(Address::new(url), options)?,
        SourceSpec::File(path) => open_file(find(path)?, options)?,
    })
}

/// A clip where there is an end, else a live stream.
pub(super) fn open_address(address: Address, options: &SourceOptions) -> Result<Box<dyn Source>> {
    let deadline = Deadline::new();
    let reader = address.open(&deadline)?;
    if reader.has_end() && !address.is_live() {
        return Ok(Box::new(ClipSource::of_reader(ClipFile::of_address(address), reader, options)?));
    }
    if !options.paced {
        let message =
            format!("{} is live, with no end that could be waited for; leave out --every-frame", address.shown());
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(Box::new(StreamSource::play(address, reader, deadline)?))
}

/// Finds a file, or says what else can be given.
fn find(path: &Path) -> Result<ClipFile> {
    if matches!(path.try_exists(), Ok(false)) {
        let why = format!("cannot read {}: there is no such file; {TAKES}", path.display());
        return Err(Error::new(ErrorKind::Io, why));
    }
    // A file of this name, which is not standard input here.
    if path.as_os_str() == STANDARD_INPUT {
        return ClipFile::open(&Path::new(".").join(path));
    }
    ClipFile::open(path)
}

/// Opens a clip or still that was found.
pub(crate) fn open_file(file: ClipFile, options: &SourceOptions) -> Result<Box<dyn Source>> {
    let is_still = is_still(file.path()) || has_extension(file.shown(), STILL_EXTENSIONS);
    Ok(if is_still {
        Box::new(StillSource::of_file(&file, options)?)
    } else {
        Box::new(ClipSource::of_file(file, options)?)
    })
}

/// What a picture's name may end in.
const STILL_EXTENSIONS: &[&str] = &["png", "jpg", "jpeg", "webp"];

/// Whether the file is a picture, by its first bytes.
fn is_still(path: &Path) -> bool {
    let mut head = Vec::new();
    // What cannot be read is reported by the source that is opened.
    let _ = std::fs::File::open(path).and_then(|file| file.take(12).read_to_end(&mut head));
    let is_webp = head.starts_with(b"RIFF") && head.ends_with(b"WEBP");
    is_webp || head.starts_with(b"\x89PNG") || head.starts_with(&[0xff, 0xd8, 0xff])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_from_text_and_written_back() {
        use CameraChoice::{First, Index, Name};
        let table = [
            ("camera", SourceSpec::Camera(First)),
            ("camera:2", SourceSpec::Camera(Index(2))),
            ("camera:Logi: HD", SourceSpec::Camera(Name("Logi: HD".into()))),
            ("pattern", SourceSpec::Pattern),
            ("./pattern", SourceSpec::File("./pattern".into())),
            ("C:\\clips\\a.mp4", SourceSpec::File("C:\\clips\\a.mp4".into())),
            ("Camera", SourceSpec::File("Camera".into())),
            ("C:a.mp4", SourceSpec::File("C:a.mp4".into())),
            ("-dash.mp4", SourceSpec::File("-dash.mp4".into())),
            ("--dash.mp4", SourceSpec::File("--dash.mp4".into())),
            ("12:30 talk.mp4", SourceSpec::File("12:30 talk.mp4".into())),
            ("Zoë — Übung.mp4", SourceSpec::File("Zoë — Übung.mp4".into())),
            ("cameras", SourceSpec::File("cameras".into())),
            ("pattern:2", SourceSpec::File("pattern:2".into())),
            ("/dev/stdin", SourceSpec::File("/dev/stdin".into())),
            ("-", SourceSpec::StandardInput),
            ("./-", SourceSpec::File("./-".into())),
            ("rtsp://10.0.0.2/a", SourceSpec::Url("rtsp://10.0.0.2/a".into())),
            ("https://a.example/a.mp4?b=c", SourceSpec::Url("https://a.example/a.mp4?b=c".into())),
            ("./http://a", SourceSpec::File("./http://a".into())),
            ("a b://c.mp4", SourceSpec::File("a b://c.mp4".into())),
        ];
        for (text, spec) in table {
            assert_eq!(text.parse::<SourceSpec>().unwrap(), spec, "{text}");
            assert_eq!(spec.to_string(), text);
        }
        for text in ["file:///a/b c.mp4", "file://localhost/a/b c.mp4"] {
            assert_eq!(text.parse::<SourceSpec>().unwrap(), SourceSpec::File("/a/b c.mp4".into()), "{text}");
        }
        for name in ["camera:2", "camera", "pattern", "-"] {
            assert_eq!(SourceSpec::File(name.into()).to_string(), format!("./{name}"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_need_not_be_unicode() {
        use std::os::unix::ffi::OsStrExt as _;
        let name = OsStr::from_bytes(b"caf\xe9.mp4");
        assert_eq!(SourceSpec::try_from(name).unwrap(), SourceSpec::File(name.into()));
        assert_eq!(SourceSpec::try_from(OsStr::new("pattern")).unwrap(), SourceSpec::Pattern);
        let error = SourceSpec::try_from(OsStr::from_bytes(b"camera:caf\xe9")).unwrap_err();
        assert!(error.to_string().contains("not Unicode; give its number"), "{error}");
    }

    #[test]
    fn wrong_sources_say_what_can_be_typed() {
        let table =
            [("", "the source is empty"), ("camera:", "`camera:` lacks the camera's number or a part of its name")];
        for (text, message) in table {
            let error = text.parse::<SourceSpec>().unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Config, format!("{message}; {TAKES}")));
        }
    }
}
