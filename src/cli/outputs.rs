//! Files that commands write: whether they can be, and would replace nothing that is read.

use std::path::{Path, PathBuf};

use effigy::files::{self, Kind, STANDARD_INPUT};
use effigy::{Error, ErrorKind, Result};

/// Whether both paths lead to one file that is there, whatever they look like.
pub(super) fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Whether both paths lead to one place, also where no file is there yet.
pub(super) fn is_same_place(a: &Path, b: &Path) -> bool {
    a == b || matches!((place(a), place(b)), (Some(a), Some(b)) if a == b)
}

/// Whether a path is one of the numbered files of a pattern such as `folder/a_%04d.png`.
pub(super) fn is_numbered(path: &Path, pattern: &Path) -> bool {
    let (Some(path), Some(pattern)) = (place(path), place(pattern)) else { return false };
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let (Some(name), Some(pattern_name)) = (name(&path), name(&pattern)) else { return false };
    let split = || {
        let (before, rest) = pattern_name.split_once('%')?;
        let (digits, after) = rest.split_once('d')?;
        let number = name.strip_prefix(before)?.strip_suffix(after)?;
        let digits: usize = if digits.is_empty() { 1 } else { digits.parse().ok()? };
        let value: u64 = number.parse().ok()?;
        Some(value > 0 && number == format!("{value:0digits$}"))
    };
    path.parent() == pattern.parent() && split().unwrap_or(false)
}

/// Where a path leads, without links on the way. What is not there yet has a folder that is, or that will be made.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(place) = path.canonicalize() {
        return Some(place);
    }
    let name = path.file_name()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(place(folder)?.join(name))
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
        // A run that fails leaves no empty report behind. Where the name is a link it stays, and what it leads to goes.
        let _ = path.canonicalize().and_then(std::fs::remove_file);
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// An empty folder.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("effigy-outputs-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn names_of_one_place_are_known_before_a_file_is_there() {
        let folder = folder("places");
        symlink(&folder, folder.join("link")).unwrap();
        let at = |name: &str| folder.join(name);
        for (a, b, is_same) in [
            ("a.mp4", "./a.mp4", true),
            ("a.mp4", "link/a.mp4", true),
            ("new/a.mp4", "link/new/a.mp4", true),
            ("a.mp4", "b.mp4", false),
            ("a.mp4", "new/a.mp4", false),
        ] {
            assert_eq!(is_same_place(&at(a), &at(b)), is_same, "{a} {b}");
        }
        assert!(is_same_place(Path::new("effigy-none/a.mp4"), Path::new("./effigy-none/a.mp4")));
        for (name, pattern, is_one) in [
            ("frames/000001.png", "frames/%06d.png", true),
            ("frames/000001.png", "link/frames/%06d.png", true),
            ("frames/1234567.png", "frames/%06d.png", true),
            ("a_7.png", "a_%d.png", true),
            ("frames/1.png", "frames/%06d.png", false),
            ("frames/000000.png", "frames/%06d.png", false),
            ("frames/00000a.png", "frames/%06d.png", false),
            ("000001.png", "frames/%06d.png", false),
            ("a_7.jpg", "a_%d.png", false),
        ] {
            assert_eq!(is_numbered(&at(name), &at(pattern)), is_one, "{name} {pattern}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn trying_whether_a_report_can_be_written_changes_nothing() {
        let folder = folder("writable");
        let (link, target, old) = (folder.join("link.json"), folder.join("target.json"), folder.join("old.json"));
        symlink("target.json", &link).unwrap();
        check_writable(&link).unwrap();
        assert!(link.is_symlink(), "the link is gone");
        assert!(!target.exists(), "an empty report is left");
        check_writable(&target).unwrap();
        assert!(!target.exists(), "an empty report is left");
        std::fs::write(&old, "of before").unwrap();
        check_writable(&old).unwrap();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "of before");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
