//! What opens sealed identities: passphrases and keys, from files, the environment and the terminal.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use effigy::identity::{Ask, Opener, Seal};
use effigy::{Error, ErrorKind, Identity, Result, files};

/// The variable that holds a passphrase.
const VARIABLE: &str = "EFFIGY_PASSPHRASE";
/// The largest file of a passphrase or key, in bytes.
const MAX_BYTES: u64 = 64 << 10;

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct KeyArgs {
    /// Open sealed identities with the passphrases in this file, one a line. Without it EFFIGY_PASSPHRASE is taken, for
    /// services and batch jobs that nobody sits before, or the terminal asks. No option takes the passphrase itself: others
    /// on the machine can read a command line, and the shell remembers it
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Open sealed identities with the secret key in this file (AGE-SECRET-KEY-1…), as `effigy seal --new-key` or `age-keygen`
    /// writes it
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) key: Option<PathBuf>,
}

impl KeyArgs {
    /// What these open; a terminal is asked for a passphrase where none is given.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when a file holds no passphrase or key, [`ErrorKind::Io`] when it cannot be read.
    pub(crate) fn opener(&self) -> Result<Opener> {
        let mut opener = self.silent_opener()?;
        if let Some(ask) = asker().filter(|_| !opener.has_passphrases()) {
            opener.ask_with(ask);
        }
        Ok(opener)
    }

    /// What these open without asking.
    ///
    /// # Errors
    /// As [`Self::opener`].
    pub(crate) fn silent_opener(&self) -> Result<Opener> {
        let mut opener = Opener::default();
        for passphrase in self.passphrases()? {
            opener.add_passphrase(passphrase).map_err(|error| self.about(error))?;
        }
        if let Some(path) = &self.key {
            let text = read(path, "key")?;
            let about = |error: Error| {
                Error::new(error.kind(), format!("cannot use the key {}", path.display())).because(error)
            };
            opener.add_keys(&text).map_err(about)?;
        }
        Ok(opener)
    }

    /// The passphrase to seal with; a terminal asks for it twice.
    ///
    /// # Errors
    /// As [`Self::opener`]; [`ErrorKind::Config`] when there is none, or it was typed in two ways.
    pub(crate) fn new_passphrase(&self) -> Result<Seal> {
        if let Some(passphrase) = self.passphrases()?.into_iter().next() {
            return Seal::to_passphrase(passphrase).map_err(|error| self.about(error));
        }
        if !std::io::stdin().is_terminal() {
            let message = format!(
                "no terminal to ask for a passphrase: give a file that holds it with --passphrase-file FILE, or set {VARIABLE}"
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        let passphrase = prompt("New passphrase, which nobody can find again: ")?;
        if prompt("Once more: ")? != passphrase {
            return Err(Error::new(ErrorKind::Config, "the two passphrases differ; nothing was written"));
        }
        Seal::to_passphrase(passphrase)
    }

    /// Those of the file, or of the environment.
    fn passphrases(&self) -> Result<Vec<String>> {
        let Some(path) = &self.passphrase_file else {
            let set = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
            let text = set.map(|value| {
                value.into_string().map_err(|_| Error::new(ErrorKind::Config, format!("{VARIABLE} is no UTF-8 text")))
            });
            return text.into_iter().collect();
        };
        let text = read(path, "passphrase")?;
        let lines: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        if lines.is_empty() {
            let message = format!("{} holds no passphrase; expected one in its first line", path.display());
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(lines)
    }

    fn about(&self, error: Error) -> Error {
        let from = self.passphrase_file.as_ref().map_or_else(|| VARIABLE.to_owned(), |path| path.display().to_string());
        Error::new(error.kind(), format!("cannot use the passphrases of {from}")).because(error)
    }
}

fn read(path: &Path, what: &str) -> Result<String> {
    let text = files::read_text(path, MAX_BYTES);
    text.map_err(|error| Error::new(ErrorKind::Io, format!("cannot read the {what} {}", path.display())).because(error))
}

fn prompt(text: &str) -> Result<String> {
    rpassword::prompt_password(text)
        .map_err(|error| Error::new(ErrorKind::Config, "no passphrase was typed").because(error))
}

/// Asks at the terminal, where there is one.
fn asker() -> Option<Ask> {
    std::io::stdin().is_terminal().then(|| {
        Box::new(|path: &Path, is_first: bool| {
            let again = if is_first { "" } else { "That does not open it. " };
            prompt(&format!("{again}Passphrase of {}: ", path.display())).map(Some)
        }) as Ask
    })
}

/// Opens all identities of a run, each with its number among `paths`, from 1. Of a library, where none was named, those that
/// are sealed and cannot be opened are left out.
///
/// # Errors
/// That of the first identity that was named and cannot be opened, or that is damaged.
pub(crate) fn open_all(paths: &[PathBuf], opener: &Opener, is_named: bool) -> Result<Vec<(usize, Arc<Identity>)>> {
    let mut identities = Vec::new();
    for (number, path) in (1..).zip(paths) {
        match opener.identity(path) {
            Ok(identity) => identities.push((number, Arc::new(identity))),
            Err(error) if !is_named && is_sealed_file(path) => log::warn!(
                "{error}; it is left out, and cannot be opened while the program runs: end it and start it again with what opens \
                 it"
            ),
            Err(error) => return Err(error),
        }
    }
    Ok(identities)
}

/// Whether a file is sealed; what cannot be read is not.
pub(crate) fn is_sealed_file(path: &Path) -> bool {
    use std::io::Read as _;
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(64).read_to_end(&mut head));
    read.is_ok() && effigy::identity::is_sealed(&head)
}
