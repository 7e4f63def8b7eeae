//! Where things are kept, by the XDG base directory specification, and writing that never tears a file.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, OrError as _, Result};

/// The folder of the user's settings for this program.
///
/// # Errors
/// [`ErrorKind::Config`] when the environment names no folder.
pub fn config_dir() -> Result<PathBuf> {
    folder("XDG_CONFIG_HOME", "APPDATA", ".config", "settings")
}

/// The folder of how the last run was left.
///
/// # Errors
/// [`ErrorKind::Config`] when the environment names no folder.
pub fn state_dir() -> Result<PathBuf> {
    folder("XDG_STATE_HOME", "LOCALAPPDATA", ".local/state", "what is remembered")
}

/// The folder of the library of identities.
///
/// # Errors
/// [`ErrorKind::Config`] when the environment names no folder.
pub fn data_dir() -> Result<PathBuf> {
    folder("XDG_DATA_HOME", "APPDATA", ".local/share", "identities")
}

/// The folder of what can be made again at any time.
///
/// # Errors
/// [`ErrorKind::Config`] when the environment names no folder.
pub fn cache_dir() -> Result<PathBuf> {
    folder("XDG_CACHE_HOME", "LOCALAPPDATA", ".cache", "thumbnails")
}

fn folder(xdg: &str, windows: &str, in_home: &str, what: &str) -> Result<PathBuf> {
    // Set to nothing is not set: files must not land in whatever folder the user stands in.
    let given = |variable| std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    let base = given(xdg).or_else(|| given(windows)).or_else(|| given("HOME").map(|home| home.join(in_home)));
    base.map(|base| base.join("effigy")).ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("no folder for {what}: set HOME, or {xdg} to a folder of yours"))
    })
}

/// Writes a whole file so that it is either the old one or the new one, whenever the machine stops.
///
/// Its folder is made where it is missing. Where the name is a link, what it points to is replaced. Who may read a file that
/// is there stays as it is; a new one is its owner's alone: addresses may hold passwords, identities are faces.
///
/// # Errors
/// [`ErrorKind::Io`] when it cannot be written; the old file is then as it was.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let about = || format!("cannot write {}", path.display());
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).or_error(ErrorKind::Io, about)?;
    }
    let mut unfinished = target.as_os_str().to_owned();
    unfinished.push(format!(".{}.part", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&unfinished)?;
        if let Ok(meta) = std::fs::metadata(&target) {
            file.set_permissions(meta.permissions())?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &target)
    };
    let written = write();
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written.or_error(ErrorKind::Io, about)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_left_as_it_was() {
        let folder = std::env::temp_dir().join(format!("effigy-atomic-{}", std::process::id()));
        let path = folder.join("a/b.toml");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let names: Vec<_> =
            path.parent().unwrap().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["b.toml"], "nothing half written is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(), 0o600, "a new file is its owner's alone");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            write_atomically(&path, b"two").unwrap();
            assert_eq!(mode(), 0o640, "who may read it stays");
        }
        let error = write_atomically(&path.join("c"), b"three").unwrap_err();
        assert!(error.to_string().contains("cannot write"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
