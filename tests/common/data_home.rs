//! Where the program keeps what is its user's, while it is tested.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::{Path, PathBuf};

/// A place for the program's keys that is not the user's own, with the runtime where it is looked for.
pub(crate) fn data_home() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("data-home");
    std::fs::create_dir_all(home.join("effigy")).unwrap();
    #[cfg(unix)]
    if let Ok(runtime) = effigy::onnx::runtime_path()
        && let Some(folder) = Path::new(&runtime).parent().filter(|folder| folder.is_absolute())
    {
        // There is one already, of a test before this.
        let _ = std::os::unix::fs::symlink(folder, home.join("effigy/lib"));
    }
    home
}
