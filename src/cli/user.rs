//! Who sits before the machine, and where they keep things.

use std::path::{Path, PathBuf};

/// Who stands for a consent when nobody else is named.
pub(super) fn name() -> String {
    ["USER", "USERNAME", "LOGNAME"]
        .into_iter()
        .find_map(|key| std::env::var(key).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "the user of this machine".to_owned())
}

/// Where recordings go that are asked for while a run goes on: `effigy` in the user's folder for videos; without a home, here.
///
/// Source: xdg-user-dirs, `user-dirs.dirs(5)`.
pub(super) fn recordings() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let Some(home) = folder("HOME").or_else(|| folder("USERPROFILE")) else { return PathBuf::from("effigy") };
    let settings = folder("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")).join("user-dirs.dirs");
    let named = std::fs::read_to_string(settings).ok().and_then(|text| videos(&text, &home));
    let plain = home.join(if cfg!(target_os = "macos") { "Movies" } else { "Videos" });
    named.unwrap_or(plain).join("effigy")
}

/// The folder for videos that the desktop's file of folders names.
fn videos(text: &str, home: &Path) -> Option<PathBuf> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("XDG_VIDEOS_DIR="))?;
    let path = line.trim().trim_matches('"');
    Some(match path.strip_prefix("$HOME") {
        Some(rest) => home.join(rest.trim_start_matches('/')),
        None => PathBuf::from(path),
    })
    .filter(|path| path.is_absolute())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_folder_for_videos_is_the_desktops() {
        let home = Path::new("/home/ann");
        let named = |line: &str| videos(&format!("# folders\nXDG_MUSIC_DIR=\"$HOME/M\"\n{line}\n"), home);
        assert_eq!(named("XDG_VIDEOS_DIR=\"$HOME/Filme\""), Some("/home/ann/Filme".into()));
        assert_eq!(named("XDG_VIDEOS_DIR=\"/mnt/films\""), Some("/mnt/films".into()));
        assert_eq!(named("XDG_VIDEOS_DIR=\"$HOME/\""), Some("/home/ann/".into()));
        for wrong in ["", "XDG_VIDEOS_DIR=", "XDG_VIDEOS_DIR=films"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }
}
