//! `effigy keys`: what signs on this machine, and making it.

use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};
use effigy::credentials::{Credentials, RecordingKey, Signing, Statement};
use effigy::files;
use effigy::identity::{Signer, utc};
use effigy::mark::Message;
use effigy::{Error, ErrorKind, Result};

use super::terminal;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy keys                              both keys: their fingerprints, files, and until when they hold
  effigy keys make --name 'Ann Example'    a key that says who you are
  effigy keys certificate > ann.pem        what to give to those who shall know your recordings

One key signs identities, the other one recordings and stills (C2PA). Each is made when it is first needed. Who can
read a key's file can sign in your name. Recordings that one key signed can be told to come from one maker.")]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show both keys
    Show,
    /// Make the key of recordings
    Make {
        /// The name in its certificate, for everybody to read; without it the certificate says no name
        #[arg(long)]
        name: Option<String>,
        /// Make another one where one is there, which is kept beside it
        #[arg(long)]
        replace: bool,
    },
    /// Print the file of the key of recordings
    Path,
    /// Print the certificates of the key of recordings as PEM; they hold no secret
    Certificate,
}

pub(crate) fn run(args: &KeysArgs) -> Result<()> {
    match args.what.as_ref().unwrap_or(&What::Show) {
        What::Show => show(),
        What::Make { name, replace } => make(name.as_deref(), *replace),
        What::Path => terminal::print(format!("{}\n", RecordingKey::path()?.display()).as_bytes()),
        What::Certificate => terminal::print(existing()?.certificates().as_bytes()),
    }
}

fn existing() -> Result<RecordingKey> {
    RecordingKey::open()?
        .ok_or_else(|| Error::new(ErrorKind::Config, "there is no key of recordings yet; type `effigy keys make`"))
}

fn show() -> Result<()> {
    let identities = match Signer::open()? {
        Some(signer) => format!("key {}\n{:<12} {}\n", signer.public_key(), "", Signer::path()?.display()),
        None => "none yet; `effigy enroll` makes it\n".to_owned(),
    };
    let recordings = match RecordingKey::open() {
        Ok(Some(key)) => about(&key, &RecordingKey::path()?),
        Ok(None) => "none yet; the first recording makes it, or `effigy keys make`\n".to_owned(),
        Err(error) => format!("{error}\n"),
    };
    terminal::print(format!("{:<12} {identities}{:<12} {recordings}", "identities", "recordings").as_bytes())
}

fn about(key: &RecordingKey, path: &Path) -> String {
    let (name, fingerprint, until) = (key.name(), key.fingerprint(), utc(key.until_unix_secs()));
    format!("\"{name}\", until {until}\n{0:<12} fingerprint {fingerprint}\n{0:<12} {1}\n", "", path.display())
}

fn make(name: Option<&str>, replace: bool) -> Result<()> {
    let path = RecordingKey::path()?;
    if path.exists() && !replace {
        let message = format!(
            "there is a key of recordings, {}; --replace makes another and keeps this one beside it",
            files::typed(&path)
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    let key = RecordingKey::create(name)?;
    terminal::print(format!("{:<12} {}", "recordings", about(&key, &path)).as_bytes())
}

/// How the files of a run with this mark are signed; `None`, and a word, where they cannot be: a recording is worth more
/// than its manifest.
pub(super) fn signing(mark: Message) -> Option<Signing> {
    let opened = RecordingKey::open_or_create().and_then(|key| {
        log::info!("signature: by \"{}\"; `effigy keys` shows the key", key.name());
        Credentials::new(&key)
    });
    match opened {
        Ok(credentials) => Some(Signing { credentials: Arc::new(credentials), mark }),
        Err(error) if error.kind() == ErrorKind::BackendUnavailable => {
            log::info!("signature: none; {error}");
            None
        }
        Err(error) => {
            log::warn!("files will not be signed: {error}");
            None
        }
    }
}

/// Signs a picture that was put together of pictures of a run, where that is possible.
pub(super) fn sign_still(path: &Path, statement: &Statement) {
    let signed = RecordingKey::open_or_create().and_then(|key| Credentials::new(&key)?.sign_file(path, statement));
    match signed {
        Err(error) if error.kind() != ErrorKind::BackendUnavailable => {
            log::warn!("{} is complete and not signed: {error}", path.display());
        }
        // The recording beside it has said what this build lacks.
        _ => {}
    }
}
