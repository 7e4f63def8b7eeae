//! Who made an identity file: Ed25519 with a key that is made on first use.

use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::error::{Error, ErrorKind, OrError as _, Result};
use effigy_base::hex::{hex, unhex};

/// The user's signing key.
#[derive(Debug)]
pub struct Signer {
    key: SigningKey,
}

impl Signer {
    /// Where the user's key lies: `effigy/signing.key` in the user's configuration folder.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the environment names no folder.
    pub fn path() -> Result<PathBuf> {
        Ok(config_dir()?.join("signing.key"))
    }

    /// Opens the user's key; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a key.
    pub fn open() -> Result<Option<Self>> {
        Self::open_at(&Self::path()?)
    }

    /// Opens the user's key, or makes one when there is none, readable by the user only.
    ///
    /// # Errors
    /// When the file can neither be read nor made, or is not a key.
    pub fn open_or_create() -> Result<Self> {
        Self::open_or_create_at(&Self::path()?)
    }

    /// Opens the key at `path`, or makes one there.
    ///
    /// # Errors
    /// When the file can neither be read nor made, or is not a key.
    pub fn open_or_create_at(path: &Path) -> Result<Self> {
        match Self::open_at(path)? {
            Some(signer) => Ok(signer),
            None => Self::create_at(path),
        }
    }

    fn open_at(path: &Path) -> Result<Option<Self>> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let secret = unhex::<32>(text.trim()).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Config,
                        format!(
                            "expected a signing key of 64 hexadecimal digits; move the file away to have a new one made: {}",
                            path.display()
                        ),
                    )
                })?;
                Ok(Some(Self { key: SigningKey::from_bytes(&secret) }))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(Error::new(ErrorKind::PermissionDenied, format!("cannot read the signing key {}", path.display()))
                    .because(error))
            }
        }
    }

    fn create_at(path: &Path) -> Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| {
            Error::new(ErrorKind::Io, format!("the system gave no random numbers for a key: {error}"))
        })?;
        let about = || format!("cannot make the signing key {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).or_error(ErrorKind::Io, about)?;
        }
        let part = path.with_extension(format!("key.{}.part", std::process::id()));
        let outcome = publish(&part, path, hex(&secret).as_bytes());
        let _ = std::fs::remove_file(&part);
        match outcome {
            // Another process was faster: its key is this user's.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Self::open_at(path)?.ok_or_else(|| Error::new(ErrorKind::Io, about()).because(error))
            }
            outcome => outcome.or_error(ErrorKind::Io, about).map(|()| Self { key: SigningKey::from_bytes(&secret) }),
        }
    }

    /// The public half of the key, hexadecimal: it names the maker.
    pub fn public_key(&self) -> String {
        hex(self.key.verifying_key().as_bytes())
    }

    /// Signs `message`; the signature is hexadecimal.
    pub fn sign(&self, message: &[u8]) -> String {
        hex(&self.key.sign(message).to_bytes())
    }
}

/// Writes a file that only its owner can read and gives it its name, whole, unless there is one of that name.
fn publish(part: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(part)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    match std::fs::hard_link(part, path) {
        // A file system without links.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists && !path.exists() => {
            std::fs::rename(part, path)
        }
        outcome => outcome,
    }
}

/// Checks that `signature` over `message` was made with the secret half of `public_key`.
///
/// # Errors
/// [`ErrorKind::Identity`] when it was not.
pub(super) fn verify(message: &[u8], public_key: &str, signature: &str) -> Result<()> {
    let bad = |what: &str| Error::new(ErrorKind::Identity, format!("the signature does not hold: {what}"));
    let key = unhex::<32>(public_key).ok_or_else(|| bad("the public key is not 64 hexadecimal digits"))?;
    let key = VerifyingKey::from_bytes(&key).map_err(|_| bad("the public key is not one"))?;
    let signature = unhex::<64>(signature).ok_or_else(|| bad("it is not 128 hexadecimal digits"))?;
    key.verify_strict(message, &Signature::from_bytes(&signature))
        .map_err(|_| bad("the manifest was changed after signing, or signed by someone else"))
}

/// The folder of the user's settings for this program.
pub(super) fn config_dir() -> Result<PathBuf> {
    // Set to nothing is not set: the key must not land in whatever folder the user stands in.
    let folder = |variable| std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    let base = folder("XDG_CONFIG_HOME")
        .or_else(|| folder("APPDATA"))
        .or_else(|| folder("HOME").map(|home| home.join(".config")));
    base.map(|base| base.join("effigy")).ok_or_else(|| {
        Error::new(ErrorKind::Config, "no folder for settings: set HOME, or XDG_CONFIG_HOME to a folder of yours")
    })
}
