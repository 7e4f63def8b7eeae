//! The disk that a file is written to: whether there is space, and why it cannot be written.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Refuses a disk with less than `reserve_bytes` left.
pub(super) fn check_space(path: &Path, reserve_bytes: u64, free_bytes: fn(&Path) -> Option<u64>) -> Result<()> {
    match free_bytes(path) {
        Some(free) if free < reserve_bytes => Err(Error::new(
            ErrorKind::Io,
            format!(
                "the disk of {} has {} MiB left, {} MiB are kept free; make space or choose another disk",
                path.display(),
                free >> 20,
                reserve_bytes >> 20
            ),
        )),
        _ => Ok(()),
    }
}

/// Bytes left on the disk of a path, where that can be told.
#[cfg(unix)]
pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Not told here.
#[cfg(not(unix))]
pub(super) fn free_bytes(_: &Path) -> Option<u64> {
    None
}

/// A file or folder that cannot be written, with the kind that says why.
pub(in crate::sink) fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (kind, advice) = match error.kind() {
        _ if path.is_dir() && error.kind() == std::io::ErrorKind::IsADirectory => {
            (ErrorKind::Io, "; it is a folder: name a file in it".to_owned())
        }
        std::io::ErrorKind::NotFound => {
            (ErrorKind::Io, format!("; make its folder first with `mkdir -p {}`", folder.display()))
        }
        std::io::ErrorKind::PermissionDenied => {
            (ErrorKind::PermissionDenied, format!("; choose another folder, or allow writing to {}", folder.display()))
        }
        std::io::ErrorKind::StorageFull => (ErrorKind::Io, "; make space or choose another disk".to_owned()),
        _ => (ErrorKind::Io, String::new()),
    };
    Error::new(kind, format!("cannot write {}{advice}", path.display())).because(error)
}
