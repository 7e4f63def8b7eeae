//! Files that commands write: whether they can be, and would replace nothing that is read.

use std::path::Path;

use effigy::files::{self, Kind, STANDARD_INPUT};
use effigy::{Error, ErrorKind, Result};

/// Whether both paths lead to one file that is there, whatever they look like.
pub(super) fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// A report that cannot be written must fail before the run, not after it.
pub(super) fn check_writable(path: &Path) -> Result<()> {
    // What is opened and closed is over for who reads a pipe.
    let kind = std::fs::metadata(path).map(|meta| Kind::of(&meta));
    if path.as_os_str() == STANDARD_INPUT {
        files::check_regular(path).map_err(|error| cannot_write(path, error))?;
    }
    if matches!(kind, Ok(Kind::Pipe)) {
        return Ok(());
    }
    let is_new = !path.exists();
    std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(|error| cannot_write(path, error))?;
    if is_new {
        // A run that fails leaves no empty report behind.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// A file that cannot be written, with what to do about it.
pub(super) fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let advice = match folder {
        Some(folder) if !folder.exists() => format!("; make its folder first with `mkdir -p {}`", folder.display()),
        _ if path.is_dir() => "; it is a folder: name a file in it".to_owned(),
        _ => String::new(),
    };
    let kind = match error.kind() {
        std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("cannot write {}{advice}", path.display())).because(error)
}
