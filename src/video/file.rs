//! The file that a muxer writes into: it shows whole fragments only, and knows why a write failed.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The head of a fragment, which says what it is.
const N_HEAD_BYTES: usize = 8;

/// The file and what waits to be a part of it.
#[derive(Debug)]
struct Inner {
    file: File,
    /// Where the muxer writes next.
    at: u64,
    /// Bytes that are in the file.
    n_bytes: u64,
    /// What is behind them.
    pending: Vec<u8>,
    failure: Option<io::Error>,
    /// Whether what was there before has been replaced.
    is_begun: bool,
    is_closed: bool,
}

impl Inner {
    fn end(&self) -> u64 {
        self.n_bytes + self.pending.len() as u64
    }

    /// Replaces what was there before.
    fn begin(&mut self) -> io::Result<()> {
        if !self.is_begun {
            self.file.set_len(0)?;
            self.is_begun = true;
        }
        Ok(())
    }

    fn write_at(&mut self, at: u64, range: std::ops::Range<usize>) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(&self.pending[range])
    }

    /// Its head goes in last: until then players see zeros, which they take for the end.
    fn commit(&mut self) -> io::Result<bool> {
        let n_bytes = self.pending.len();
        if n_bytes == 0 || self.is_closed {
            return Ok(false);
        }
        let n_head = N_HEAD_BYTES.min(n_bytes);
        let outcome = self
            .begin()
            .and_then(|()| self.write_at(self.n_bytes + n_head as u64, n_head..n_bytes))
            .and_then(|()| self.write_at(self.n_bytes, 0..n_head));
        self.note(outcome)?;
        self.n_bytes += n_bytes as u64;
        self.pending.clear();
        Ok(true)
    }

    /// After a failure nothing more is written, and the file is cut back to what is whole.
    fn note(&mut self, outcome: io::Result<()>) -> io::Result<()> {
        let Err(error) = outcome else { return Ok(()) };
        let kind = error.kind();
        self.failure.get_or_insert(error);
        self.close();
        Err(kind.into())
    }

    fn close(&mut self) {
        self.is_closed = true;
        if self.is_begun {
            // The first failure is the one that counts.
            let _ = self.file.set_len(self.n_bytes);
        }
    }
}

/// The file as its writer sees it, and, by [`Write`], as the muxer does.
#[derive(Clone, Debug)]
pub(super) struct MuxedFile(Arc<Mutex<Inner>>);

impl MuxedFile {
    /// Opens the file. What is there is replaced when something is whole, and not before: the run may still fail to start.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        let (pending, failure) = (Vec::new(), None);
        let inner = Inner { file, at: 0, n_bytes: 0, pending, failure, is_begun: false, is_closed: false };
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands to the system what the muxer has completed; whether there was something.
    ///
    /// # Errors
    /// When the system does not take it; the file is then as it was.
    pub(super) fn commit(&self) -> io::Result<bool> {
        self.inner().commit()
    }

    /// Lets nothing more be written; what is not whole is not in the file.
    pub(super) fn close(&self) {
        self.inner().close();
    }

    /// Why a write failed, once.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.inner().failure.take()
    }
}

impl Write for MuxedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.inner();
        if inner.is_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if inner.at == inner.end() {
            inner.pending.extend_from_slice(bytes);
        } else if inner.at >= inner.n_bytes && inner.at + bytes.len() as u64 <= inner.end() {
            // A length in what waits still.
            let begin = (inner.at - inner.n_bytes) as usize;
            inner.pending[begin..begin + bytes.len()].copy_from_slice(bytes);
        } else {
            // A length that is known at the end.
            inner.commit()?;
            let at = inner.at;
            let outcome = inner.begin().and_then(|()| inner.file.seek(SeekFrom::Start(at)));
            let outcome = outcome.and_then(|_| inner.file.write_all(bytes));
            inner.note(outcome)?;
            inner.n_bytes = inner.n_bytes.max(at + bytes.len() as u64);
        }
        inner.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for MuxedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut inner = self.inner();
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(by) => (inner.end(), by),
            SeekFrom::Current(by) => (inner.at, by),
        };
        inner.at = from.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(inner.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_is_not_in_the_file_and_until_then_it_is_as_it_was() {
        let path = std::env::temp_dir().join(format!("effigy-muxed-{}", std::process::id()));
        let content = || std::fs::read(&path).unwrap();
        std::fs::write(&path, "a recording of before").unwrap();
        let begin = || MuxedFile::create(&path).unwrap();
        begin().write_all(b"header").unwrap();
        begin().close();
        let mut file = begin();
        file.write_all(b"haeder").unwrap();
        file.seek(SeekFrom::Start(1)).unwrap();
        file.write_all(b"ea").unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        assert_eq!(content(), b"a recording of before");
        assert!(file.commit().unwrap() && !file.commit().unwrap());
        file.write_all(b"fragment, first").unwrap();
        file.write_all(b" and second half").unwrap();
        assert_eq!(content(), b"header");
        assert!(file.commit().unwrap());
        assert_eq!(content(), b"headerfragment, first and second half");
        // A length is mended, and writing goes on at the end.
        file.seek(SeekFrom::Start(2)).unwrap();
        file.write_all(b"AD").unwrap();
        assert_eq!(file.seek(SeekFrom::End(0)).unwrap(), 37);
        file.write_all(b"torn").unwrap();
        file.close();
        assert!(file.write_all(b"more").is_err() && !file.commit().unwrap());
        assert_eq!(content(), b"heADerfragment, first and second half");
        std::fs::remove_file(path).unwrap();
    }
}
