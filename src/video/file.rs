//! The file that a muxer writes into: it knows why a write failed, and can be cut back to what is whole.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the muxer's side of the file tells.
#[derive(Debug, Default)]
pub(super) struct FileState {
    n_bytes: AtomicU64,
    is_closed: AtomicBool,
    failure: Mutex<Option<io::Error>>,
}

impl FileState {
    /// Bytes that the system has taken.
    pub(super) fn n_bytes(&self) -> u64 {
        self.n_bytes.load(Ordering::Relaxed)
    }

    /// Why a write failed, once.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Lets nothing more be written.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}

/// The file, as the muxer sees it.
pub(super) struct MuxedFile {
    file: File,
    at: u64,
    state: Arc<FileState>,
}

impl MuxedFile {
    pub(super) fn new(file: File) -> (Self, Arc<FileState>) {
        let state = Arc::<FileState>::default();
        (Self { file, at: 0, state: Arc::clone(&state) }, state)
    }
}

impl Write for MuxedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.state.is_closed.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // Whole or not at all: half a write would be taken for a success here.
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.at += bytes.len() as u64;
                self.state.n_bytes.fetch_max(self.at, Ordering::Relaxed);
                Ok(bytes.len())
            }
            Err(error) => {
                self.state.close();
                let kind = error.kind();
                self.state.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for MuxedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}
