//! What a training writes down: one JSON object a line.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use effigy_base::error::{ErrorKind, OrError as _, Result};

/// The log of a training, which one that goes on adds to.
pub(crate) struct Log {
    path: PathBuf,
    file: std::fs::File,
}

impl Log {
    /// Opens log.jsonl in a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("log.jsonl");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .or_error(ErrorKind::Io, || format!("cannot write {}", path.display()))?;
        Ok(Self { path, file })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line.
    pub(crate) fn write(&mut self, line: &serde_json::Value) -> Result<()> {
        writeln!(self.file, "{line}").or_error(ErrorKind::Io, || format!("cannot write {}", self.path.display()))
    }
}
