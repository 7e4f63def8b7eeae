//! How the work on one clip ends.

use crate::error::{Error, ErrorKind};

/// What became of a clip.
pub(super) enum Outcome {
    Stored,
    Rejected(String),
    Stopped,
}

/// What went wrong.
pub(super) enum Fault {
    /// The file is unreadable.
    Source(Error),
    /// Writing, or a network.
    Work(Error),
}

impl Fault {
    /// Sorts an error that came while reading a file.
    pub(super) fn of_source(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Io | ErrorKind::Photo | ErrorKind::PermissionDenied => Self::Source(error),
            _ => Self::Work(error),
        }
    }
}
