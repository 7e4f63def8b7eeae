//! The test pattern: a clip that the program carries with it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, OrError as _, Result};

use super::{ClipSource, RawFrame, Read, Source, SourceOptions};

/// A clip that is held in memory, played without end unless it is read as fast as it goes.
pub struct PatternSource {
    clip: ClipSource,
    name: String,
    // After the clip, so that the file is closed before it is removed.
    _file: TemporaryFile,
}

impl PatternSource {
    /// Plays the video file whose content is `mp4`.
    ///
    /// # Errors
    /// - [`ErrorKind::NoDevice`]: `mp4` is empty, as in a build without a test pattern.
    /// - [`ErrorKind::Io`]: the temporary file cannot be written, or is no video.
    pub fn open(mp4: &[u8], options: &SourceOptions) -> Result<Self> {
        if mp4.is_empty() {
            return Err(Error::new(
                ErrorKind::NoDevice,
                "this build carries no test pattern; give a clip instead: `--source FILE`",
            ));
        }
        // OpenCV reads videos from a path only.
        let file = TemporaryFile::new(mp4)?;
        let looped = options.looped || options.paced;
        let clip = ClipSource::open(&file.path, &SourceOptions { looped, ..options.clone() })?;
        let rate_hz = clip.frame_rate_hz().unwrap_or_default();
        Ok(Self { name: format!("test pattern, {rate_hz}/s"), clip, _file: file })
    }
}

impl Source for PatternSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        self.clip.read(frame, clock)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        self.clip.frame_rate_hz()
    }
}

/// A file that is removed when it is dropped.
struct TemporaryFile {
    path: PathBuf,
}

impl TemporaryFile {
    fn new(content: &[u8]) -> Result<Self> {
        static N_MADE: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = N_MADE.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("effigy-{}-{number}.mp4", std::process::id()));
            // `create_new` follows no link that another user may have put there.
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                opened => {
                    let context = || format!("cannot write the test pattern to {}", path.display());
                    let mut file = opened.or_error(ErrorKind::Io, context)?;
                    let temporary = Self { path: path.clone() };
                    file.write_all(content).or_error(ErrorKind::Io, context)?;
                    return Ok(temporary);
                }
            }
        }
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            log::warn!("{} is left behind: {error}", self.path.display());
        }
    }
}
