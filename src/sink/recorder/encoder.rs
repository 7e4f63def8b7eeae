//! Video files through OpenCV: H.264 where this machine can encode it.

use std::path::Path;

use opencv::core::Size;
use opencv::prelude::{VideoCaptureTraitConst as _, VideoWriterTrait as _, VideoWriterTraitConst as _};
use opencv::videoio::{self, VideoCapture, VideoWriter};

use super::{RecorderOptions, cannot_write};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Rgb;

/// A file that holds fewer than this share of what was written to it lost some.
const WHOLE_SHARE: f64 = 0.9;
/// The name of each encoding and its four letters, the best first.
const ENCODINGS: [(&str, &[u8; 4]); 3] = [("H.264", b"avc1"), ("MPEG-4", b"mp4v"), ("MJPEG", b"MJPG")];

/// A file of constant rate.
pub(super) struct EncodedVideo {
    writer: VideoWriter,
    pub(super) encoding: &'static str,
}

impl EncodedVideo {
    /// Opens the file with the best encoding that works.
    pub(super) fn open(path: &Path, size_px: (usize, usize), options: &RecorderOptions) -> Result<Self> {
        let (writer, encoding) = open_writer(path, size_px, options)?;
        Ok(Self { writer, encoding })
    }

    pub(super) fn write(&mut self, bgr: &Rgb, path: &Path) -> Result<()> {
        self.writer.write(&bgr.as_mat()?).or_error(ErrorKind::Io, || format!("cannot write to {}", path.display()))
    }

    /// Completes the file and looks whether it holds what was written to it.
    pub(super) fn finish(&mut self, path: &Path, n_written: u64) -> Result<()> {
        let shown = path.display();
        self.writer.release().or_error(ErrorKind::Io, || format!("cannot complete {shown}"))?;
        // The writer does not say when a write failed: the file is asked.
        let n_found = if n_written == 0 { 0 } else { n_frames_in(path).unwrap_or_default() };
        if (n_found as f64) < n_written as f64 * WHOLE_SHARE {
            let message = format!("{shown} holds {n_found} of {n_written} pictures; the disk is full or failing");
            return Err(Error::new(ErrorKind::Io, message));
        }
        Ok(())
    }
}

/// Opens the writer with the best encoding that works; its name.
fn open_writer(
    path: &Path,
    (width_px, height_px): (usize, usize),
    options: &RecorderOptions,
) -> Result<(VideoWriter, &'static str)> {
    let size = Size::new(width_px as i32, height_px as i32);
    for (name, [a, b, c, d]) in ENCODINGS {
        let fourcc = VideoWriter::fourcc((*a).into(), (*b).into(), (*c).into(), (*d).into())?;
        // An absolute path cannot be taken for a network address or a pattern of numbered pictures.
        let absolute = std::fs::canonicalize(path).map_err(|error| cannot_write(path, error))?;
        let writer = VideoWriter::new(absolute, fourcc, options.rate_hz, size, true)?;
        if writer.is_opened()? {
            return Ok((writer, name));
        }
    }
    let tried = ENCODINGS.map(|(name, _)| name).join(", ");
    Err(Error::new(
        ErrorKind::BackendUnavailable,
        format!("OpenCV can write none of {tried} to {}; use `--sink file:FOLDER/` for pictures", path.display()),
    ))
}

/// The number of pictures that the file's index states.
fn n_frames_in(path: &Path) -> Option<u64> {
    let capture = VideoCapture::from_file_def(std::fs::canonicalize(path).ok()?).ok()?;
    let count = capture.get(videoio::CAP_PROP_FRAME_COUNT).ok()?;
    (capture.is_opened().ok()? && count.is_finite() && count > 0.0).then_some(count as u64)
}
