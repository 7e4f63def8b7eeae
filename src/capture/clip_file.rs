//! A clip where it can be opened more than once: a file, or what came through a pipe, kept in a temporary file.

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use super::stream::Address;
use super::temporary::TemporaryFile;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::files::{Input, Kind, STANDARD_INPUT};
use crate::video::deadline::Deadline;
use crate::video::reader::VideoReader;

/// The most that is taken from a pipe.
const MAX_PIPED_BYTES: u64 = 4 << 30;

/// A file that is there and can be read, whatever is in it.
pub(crate) struct ClipFile {
    /// As it was named.
    shown: PathBuf,
    /// Absolute.
    path: PathBuf,
    /// What came through a pipe.
    piped: Option<TemporaryFile>,
    /// Read in place of the path.
    address: Option<Address>,
}

impl ClipFile {
    /// Finds the file. A pipe is read to its end first, since a clip's index may stand there; `-` is standard input.
    ///
    /// # Errors
    /// - [`ErrorKind::Io`]: it does not exist, is a folder or a device; a pipe is silent or has no end.
    /// - [`ErrorKind::PermissionDenied`]: it may not be read.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path.as_os_str() == STANDARD_INPUT {
            return Self::standard_input();
        }
        let meta = std::fs::metadata(path).map_err(|error| cannot_read(path, error))?;
        match Kind::of(&meta) {
            Kind::File => {}
            Kind::Folder => {
                let message = format!("{} is a folder, not a clip or picture; name a file in it", path.display());
                return Err(Error::new(ErrorKind::Io, message));
            }
            Kind::Device => return Err(device(path)),
            Kind::Pipe => {
                let input = Input::open(path).map_err(|error| cannot_read(path, error))?;
                return Self::of_pipe(path.to_owned(), input);
            }
        }
        let absolute = std::fs::canonicalize(path).map_err(|error| cannot_read(path, error))?;
        // Opened only to see whether it may be.
        std::fs::File::open(&absolute).map_err(|error| cannot_read(path, error))?;
        Ok(Self { shown: path.to_owned(), path: absolute, piped: None, address: None })
    }

    /// Takes what is piped into this program.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when nothing is piped, nothing comes for long, or too much.
    pub(crate) fn standard_input() -> Result<Self> {
        let shown = PathBuf::from("standard input");
        let input = Input::standard().map_err(|error| cannot_read(&shown, error))?;
        Self::of_pipe(shown, input)
    }

    /// A clip behind an address.
    pub(super) fn of_address(address: Address) -> Self {
        Self { shown: address.shown().into(), path: PathBuf::new(), piped: None, address: Some(address) }
    }

    /// Whether it lies where its user keeps it, beside other files of theirs.
    pub(crate) fn is_users(&self) -> bool {
        self.piped.is_none() && self.address.is_none()
    }

    /// Whether it can be opened by its path.
    pub(super) fn is_local(&self) -> bool {
        self.address.is_none()
    }

    /// Keeps `bytes` as a file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when they cannot be written.
    pub(super) fn of_bytes(shown: &str, bytes: &[u8]) -> Result<Self> {
        Self::of_pipe(shown.into(), bytes)
    }

    fn of_pipe(shown: PathBuf, input: impl Read) -> Result<Self> {
        let kept = TemporaryFile::new()?;
        let about = || format!("cannot keep what came from {} in the system's temporary folder", shown.display());
        let mut file = kept.file();
        let n_bytes = copy(&mut input.take(MAX_PIPED_BYTES + 1), &mut file)
            .map_err(|failure| match failure {
                Failure::Reading(error) => cannot_read(&shown, error),
                Failure::Writing(error) => Error::new(ErrorKind::Io, about()).because(error),
            })
            .and_then(|n_bytes| file.flush().or_error(ErrorKind::Io, about).map(|()| n_bytes))?;
        if n_bytes > MAX_PIPED_BYTES {
            let most = MAX_PIPED_BYTES >> 30;
            let message = format!(
                "{} holds more than {most} GiB, the most that is taken from a pipe; write it to a file and name that",
                shown.display()
            );
            return Err(Error::new(ErrorKind::Io, message));
        }
        Ok(Self { shown, path: kept.path().to_owned(), piped: Some(kept), address: None })
    }

    /// The name to show to the user.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// The path to read from, as long as this is held.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file as a video.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it is empty, or none that FFmpeg can decode.
    pub(crate) fn open_reader(&self) -> Result<VideoReader> {
        if let Some(address) = &self.address {
            return address.open(&Deadline::new());
        }
        let file = std::fs::File::open(&self.path).map_err(|error| cannot_read(&self.shown, error))?;
        if file.metadata().is_ok_and(|meta| meta.len() == 0) {
            return Err(no_video(&self.shown, "it is empty"));
        }
        let shown = self.shown.display().to_string();
        VideoReader::open_file(file, &shown).map_err(|reason| no_video(&self.shown, &reason))
    }
}

/// Which side of a copy failed.
enum Failure {
    Reading(std::io::Error),
    Writing(std::io::Error),
}

fn copy(from: &mut impl Read, to: &mut impl std::io::Write) -> std::result::Result<u64, Failure> {
    let mut buffer = vec![0; 1 << 16];
    let mut n_bytes = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(n_bytes),
            Ok(n) => {
                to.write_all(&buffer[..n]).map_err(Failure::Writing)?;
                n_bytes += n as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::Reading(error)),
        }
    }
}

/// A device that was named as if it were a file.
fn device(path: &Path) -> Error {
    let number = path.to_str().and_then(|text| text.strip_prefix("/dev/video")?.parse::<u32>().ok());
    let message = match number {
        Some(number) => format!("{} is a camera; name it camera:{number}", path.display()),
        None => format!("{} is a device, not a clip or picture; name a file or pipe", path.display()),
    };
    Error::new(ErrorKind::Io, message)
}

/// A file that cannot be opened or read, with the kind that says why.
fn cannot_read(path: &Path, error: std::io::Error) -> Error {
    let (kind, advice) = match error.kind() {
        std::io::ErrorKind::PermissionDenied => (ErrorKind::PermissionDenied, "; allow it with `chmod u+r`"),
        _ => (ErrorKind::Io, ""),
    };
    Error::new(kind, format!("cannot read {}{advice}", path.display())).because(error)
}

/// What cannot be played, and why.
pub(super) fn no_video(path: &Path, reason: &str) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("{} is no video that can be played: {reason}; give an MP4, MKV, WebM, AVI or MOV", path.display()),
    )
}
