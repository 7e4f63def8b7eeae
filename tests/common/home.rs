//! A user with a home of their own, in which the program runs.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use effigy::Identity;
use effigy::identity::Signer;

/// The folder that is the user's home.
pub(crate) struct Home(pub(crate) PathBuf);

impl Home {
    /// An empty home in `folder`/`name`, but for the user's key and identities of these names, who look like `model`.
    pub(crate) fn new(folder: &str, name: &str, identities: &[&str], model: &Identity) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder).join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let home = Self(folder);
        let signer = Signer::open_or_create_at(&home.0.join(".config/effigy/signing.key")).unwrap();
        for name in identities {
            let mut identity = model.clone();
            (*name).clone_into(&mut identity.manifest.name);
            // Several people: what one takes back says nothing of the others.
            (*name).clone_into(&mut identity.manifest.consent.by);
            identity.save(&home.0.join(format!("{name}.effigy")), &signer).unwrap();
        }
        home
    }

    /// The program with these arguments, which no setting of whoever tests reaches.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_effigy"));
        command.args(line.split_whitespace()).current_dir(&self.0).stdin(Stdio::null()).env_remove("XDG_RUNTIME_DIR");
        // What the program runs on is found from the real home.
        command.env("EFFIGY_ONNXRUNTIME", effigy::onnx::runtime_path().unwrap());
        for (name, folder) in
            [("CONFIG", ".config"), ("STATE", ".local/state"), ("DATA", ".local/share"), ("CACHE", ".cache")]
        {
            command.env(format!("XDG_{name}_HOME"), self.0.join(folder));
        }
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "EDITOR", "VISUAL", "EFFIGY_LOG", "EFFIGY_PASSPHRASE"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command to its end; gives what it printed.
    pub(crate) fn said(&self, command: &mut Command, code: i32) -> String {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert_eq!(status.code(), Some(code), "{command:?}\n{text}");
        text
    }

    /// Runs the program with these arguments to its end; gives what it printed.
    pub(crate) fn says(&self, line: &str, code: i32) -> String {
        self.said(&mut self.command(line), code)
    }
}
