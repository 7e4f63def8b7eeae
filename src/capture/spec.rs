//! What `--source` says, and opening it.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

use super::clip::has_extension;
use super::{ClipSource, FormatPreference, PatternSource, Source, StillSource, WebcamSource};

/// Which camera.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CameraChoice {
    /// The first that works.
    #[default]
    First,
    /// The one with this number: on Linux that of `/dev/videoN`.
    Index(u32),
    /// The first whose name contains this, whatever the case.
    Name(String),
}

/// Where the driver's picture comes from: `camera`, `camera:N`, `camera:NAME`, `pattern` or a file.
///
/// A file that happens to be called `camera` or `pattern` is meant by `./camera`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// A webcam.
    Camera(CameraChoice),
    /// The clip that the program carries with it.
    Pattern,
    /// A clip or a still; its content says which.
    File(PathBuf),
}

impl FromStr for SourceSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            _ if text.is_empty() => Err(config("the source is empty")),
            _ if text == "camera" => Ok(Self::Camera(CameraChoice::First)),
            _ if text == "pattern" => Ok(Self::Pattern),
            Some(("camera", "")) => Err(config("`camera:` lacks the camera's number or a part of its name")),
            Some(("camera", which)) => Ok(Self::Camera(match which.parse() {
                Ok(index) => CameraChoice::Index(index),
                Err(_) => CameraChoice::Name(which.to_owned()),
            })),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

fn config(what: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("{what}; `--source` takes camera, camera:N, camera:NAME, pattern, or a clip or picture file"),
    )
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Camera(CameraChoice::First) => f.write_str("camera"),
            Self::Camera(CameraChoice::Index(index)) => write!(f, "camera:{index}"),
            Self::Camera(CameraChoice::Name(name)) => write!(f, "camera:{name}"),
            Self::Pattern => f.write_str("pattern"),
            Self::File(path) => {
                let text = path.to_string_lossy();
                let is_other = !matches!(text.parse(), Ok(Self::File(_)));
                write!(f, "{}{text}", if is_other { "./" } else { "" })
            }
        }
    }
}

/// How a source is to deliver.
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// Begins a clip again at its end. The test pattern always does while it is paced.
    pub looped: bool,
    /// Delivers a clip at its own rate, like a camera, instead of as fast as it is read.
    pub paced: bool,
    /// The camera's pixel format.
    pub format: FormatPreference,
    /// The size to ask a camera for, (width, height); it takes the nearest it has.
    pub size_px: (usize, usize),
    /// The rate to ask a camera for, in frames a second.
    pub rate_hz: f64,
}

impl Default for SourceOptions {
    /// A camera at 640 x 480, 30 frames a second, any format; a clip paced, once.
    fn default() -> Self {
        Self { looped: false, paced: true, format: FormatPreference::Auto, size_px: (640, 480), rate_hz: 30.0 }
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
    Ok(match spec {
        SourceSpec::Camera(choice) => Box::new(WebcamSource::open(choice, options)?),
        SourceSpec::Pattern => Box::new(PatternSource::open(crate::demo::DRIVER_MP4, options)?),
        SourceSpec::File(path) if is_still(path) => Box::new(StillSource::open(path, options)?),
        SourceSpec::File(path) => Box::new(ClipSource::open(path, options)?),
    })
}

/// Whether the file is a picture, by its first bytes, else by its name.
fn is_still(path: &Path) -> bool {
    let mut head = Vec::new();
    // What cannot be read is reported by the source that is opened.
    let read = std::fs::File::open(path).and_then(|file| file.take(12).read_to_end(&mut head));
    let is_webp = head.starts_with(b"RIFF") && head.ends_with(b"WEBP");
    if is_webp || head.starts_with(b"\x89PNG") || head.starts_with(&[0xff, 0xd8, 0xff]) {
        return true;
    }
    read.is_ok() && has_extension(path, &["png", "jpg", "jpeg", "webp"])
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
        ];
        for (text, spec) in table {
            assert_eq!(text.parse::<SourceSpec>().unwrap(), spec, "{text}");
            assert_eq!(spec.to_string(), text);
        }
        assert_eq!(SourceSpec::File("camera:2".into()).to_string(), "./camera:2");
    }

    #[test]
    fn wrong_sources_say_what_can_be_typed() {
        let list = "`--source` takes camera, camera:N, camera:NAME, pattern, or a clip or picture file";
        let table =
            [("", "the source is empty"), ("camera:", "`camera:` lacks the camera's number or a part of its name")];
        for (text, message) in table {
            let error = text.parse::<SourceSpec>().unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Config, format!("{message}; {list}")));
        }
    }
}
