//! A file without a name, for libraries that read from a path only.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// An empty file for this user alone that goes with the program, however that ends: on Linux it has no name from the start
/// and is reached through the open file; elsewhere it is removed when it is dropped.
pub(super) struct TemporaryFile {
    path: PathBuf,
    file: File,
    is_named: bool,
}

impl TemporaryFile {
    /// Makes the file in the system's folder for such.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it cannot be made.
    pub(super) fn new() -> Result<Self> {
        static N_MADE: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = N_MADE.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("effigy-{}-{number}.tmp", std::process::id()));
            let mut options = OpenOptions::new();
            // `create_new` follows no link that another user may have put there.
            options.read(true).write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let message = format!("cannot make the temporary file {}; TMPDIR names its folder", path.display());
                    return Err(Error::new(ErrorKind::Io, message).because(error));
                }
                Ok(file) => return Ok(Self::unnamed(path, file)),
            }
        }
    }

    /// Takes the name away where the file can be reached without.
    fn unnamed(path: PathBuf, file: File) -> Self {
        #[cfg(target_os = "linux")]
        {
            let reached = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)));
            if reached.exists() && std::fs::remove_file(&path).is_ok() {
                return Self { path: reached, file, is_named: false };
            }
        }
        Self { path, file, is_named: true }
    }

    /// Where the file can be opened once more, as long as this is held.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, to write into.
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if self.is_named
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            log::warn!("{} is left behind: {error}", self.path.display());
        }
    }
}
