//! Files sealed to a passphrase or a key, and what opens them: the one place through which identities come in.
//!
//! A sealed identity is the signed file inside an age file (<https://c2sp.org/age>, by the crate `age`). It is opened into
//! memory alone. Opening reads no more than an identity may have, and works no harder than [`MAX_WORK_FACTOR`] allows.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use age::secrecy::{ExposeSecret as _, SecretString};
use age::{DecryptError, Decryptor, Encryptor};

use super::{Identity, container};
use crate::error::{Error, ErrorKind, OrError as _, Result};

/// What a sealed file begins with.
const MAGIC: &[u8] = b"age-encryption.org/v1\n";
/// Where its header ends: the line with the header's own check.
const HEADER_END: &[u8] = b"\n--- ";
/// The longest header accepted, in bytes: each recipient in it takes some 150, and time to be tried.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// What sealing adds to a file, at most, in bytes: header, and 16 for each 64 KiB.
const MAX_ADDED_BYTES: u64 = 1 << 20;
/// Passphrases are stretched by scrypt with 2 to the power of this: 256 MiB and about a second, as the reference has it.
const WORK_FACTOR: u8 = 18;
/// The most that a file may ask for: 1 GiB and some seconds.
const MAX_WORK_FACTOR: u8 = 20;
/// How often a passphrase is asked for.
const N_ATTEMPTS: usize = 3;
/// Passphrases and keys that are tried, at most: each passphrase takes a second.
const MAX_SECRETS: usize = 16;

/// To what a file is sealed.
pub enum Seal {
    /// To a passphrase.
    Passphrase(SecretString),
    /// To public keys of age (`age1…`); one secret key of them opens it.
    Keys(Vec<age::x25519::Recipient>),
}

impl Seal {
    /// To a passphrase.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it is empty.
    pub fn to_passphrase(passphrase: String) -> Result<Self> {
        if passphrase.is_empty() {
            return Err(Error::new(ErrorKind::Config, "an empty passphrase seals nothing; give one of some words"));
        }
        Ok(Self::Passphrase(passphrase.into()))
    }

    /// To public keys, as `age-keygen` prints them.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when one is none, or there is none at all.
    pub fn to_keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let key = |text: &str| {
            text.parse().map_err(|why| {
                let message =
                    format!("expected a public key of age (age1…, 62 letters and digits), found {text:?}: {why}");
                Error::new(ErrorKind::Config, message)
            })
        };
        let keys: Vec<_> = keys.into_iter().map(key).collect::<Result<_>>()?;
        if keys.is_empty() {
            return Err(Error::new(ErrorKind::Config, "no key to seal to; give one (age1…)"));
        }
        Ok(Self::Keys(keys))
    }

    /// Seals a file's bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] only.
    pub fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let about = || "cannot seal".to_owned();
        let encryptor = match self {
            Self::Passphrase(passphrase) => {
                let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(WORK_FACTOR);
                Encryptor::with_recipients(std::iter::once(&recipient as _))
            }
            Self::Keys(keys) => Encryptor::with_recipients(keys.iter().map(|key| key as _)),
        };
        let mut sealed = Vec::with_capacity(bytes.len() + 1024);
        encryptor
            .or_error(ErrorKind::Internal, about)?
            .wrap_output(&mut sealed)
            .and_then(|mut writer| writer.write_all(bytes).and_then(|()| writer.finish()))
            .or_error(ErrorKind::Internal, about)?;
        Ok(sealed)
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase",
            Self::Keys(_) => "Keys",
        })
    }
}

/// Whether a file that begins so is sealed.
pub fn is_sealed(head: &[u8]) -> bool {
    // What verifies files looks at their first bytes only.
    head.len() >= 16 && MAGIC.starts_with(&head[..head.len().min(MAGIC.len())])
}

/// A new key: the secret half as the lines of a key file, and the public half.
pub fn new_key() -> (String, String) {
    let key = age::x25519::Identity::generate();
    let public = key.to_public().to_string();
    let text = format!("# public key: {public}\n{}\n", key.to_string().expose_secret());
    (text, public)
}

/// Asks for the passphrase of a file; whether for the first time. `None` where nobody can be asked.
pub type Ask = Box<dyn Fn(&Path, bool) -> Result<Option<String>> + Send + Sync>;

/// Opens identities, sealed or not, with the passphrases and keys that it was given.
#[derive(Default)]
pub struct Opener {
    /// Those that were given, and those that were typed and opened something.
    passphrases: Mutex<Vec<SecretString>>,
    keys: Vec<age::x25519::Identity>,
    ask: Option<Ask>,
    /// Held while somebody is asked: two questions at one time are none.
    asking: Mutex<()>,
}

impl Opener {
    /// Takes a passphrase to try.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it is empty, or there are too many.
    pub fn add_passphrase(&mut self, passphrase: String) -> Result<()> {
        let known = self.passphrases.get_mut().unwrap_or_else(PoisonError::into_inner);
        if passphrase.is_empty() || known.len() == MAX_SECRETS {
            let message = format!("expected 1 to {MAX_SECRETS} passphrases, none of them empty");
            return Err(Error::new(ErrorKind::Config, message));
        }
        known.push(passphrase.into());
        Ok(())
    }

    /// Takes the secret keys of a key file: `AGE-SECRET-KEY-1…` a line, with comments after `#`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is none, or a line is something else; the line itself is not repeated.
    pub fn add_keys(&mut self, text: &str) -> Result<()> {
        let config = |message: String| Error::new(ErrorKind::Config, message);
        let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim()));
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let advice = if line.starts_with("age1") { " (age1… is the public half)" } else { "" };
            let expected = || config(format!("line {number}: expected a secret key of age, AGE-SECRET-KEY-1…{advice}"));
            self.keys.push(line.parse().map_err(|_| expected())?);
        }
        if self.keys.is_empty() || self.keys.len() > MAX_SECRETS {
            return Err(config(format!("expected 1 to {MAX_SECRETS} secret keys, found {}", self.keys.len())));
        }
        Ok(())
    }

    /// Asks for passphrases that are not known.
    pub fn ask_with(&mut self, ask: Ask) {
        self.ask = Some(ask);
    }

    /// Whether it was given a passphrase, so that nobody need be asked.
    pub fn has_passphrases(&self) -> bool {
        !self.known().is_empty()
    }

    /// Whether it was given anything that could open a file without asking.
    pub fn has_secrets(&self) -> bool {
        !self.keys.is_empty() || self.has_passphrases()
    }

    /// Reads an identity file, opens it where it is sealed, and checks all of it: see [`Identity::load`].
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it is sealed and what opens it was not given; [`ErrorKind::Identity`] with the reason why it
    /// is refused: a wrong passphrase or key, a torn or changed file, too much work; [`ErrorKind::Io`] when it cannot be read.
    pub fn identity(&self, path: &Path) -> Result<Identity> {
        self.identity_of(path, Self::read(path)?)
    }

    /// The bytes of an identity's file, sealed or not.
    pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
        let about = || {
            let is_there = path.exists();
            let advice =
                if is_there { "" } else { "; make one with `effigy enroll PHOTO -o NAME.effigy --consent self`" };
            format!("cannot read the identity {}{advice}", path.display())
        };
        crate::files::read(path, container::MAX_FILE_BYTES + MAX_ADDED_BYTES).map_err(|error| {
            let is_large = error.kind() == std::io::ErrorKind::FileTooLarge;
            Error::new(if is_large { ErrorKind::Identity } else { ErrorKind::Io }, about()).because(error)
        })
    }

    /// The identity in the bytes of a file, which `path` names.
    pub(crate) fn identity_of(&self, path: &Path, bytes: Vec<u8>) -> Result<Identity> {
        self.open(path, bytes, container::MAX_FILE_BYTES)
            .and_then(|bytes| Identity::from_bytes(&bytes))
            .map_err(|error| Error::new(error.kind(), format!("cannot use {}", path.display())).because(error))
    }

    /// The bytes of a file that may be sealed, at most `max_bytes` of them; `path` names it when somebody is asked.
    ///
    /// # Errors
    /// As [`Self::identity`].
    pub fn open(&self, path: &Path, bytes: Vec<u8>, max_bytes: u64) -> Result<Vec<u8>> {
        if !is_sealed(&bytes) {
            let is_fit = bytes.len() as u64 <= max_bytes;
            return is_fit.then_some(bytes).ok_or_else(|| too_large(max_bytes));
        }
        let head = &bytes[..bytes.len().min(MAX_HEADER_BYTES)];
        if !head.windows(HEADER_END.len()).any(|window| window == HEADER_END) {
            return Err(refused("the sealed file is torn, or for more keys than are accepted"));
        }
        if !decryptor(&bytes)?.is_scrypt() {
            let none = "it is sealed to a key: give the file of the secret key with --key FILE";
            let keys = self.keys.iter().map(|key| key as &dyn age::Identity);
            return match decryptor(&bytes)?.decrypt(keys) {
                Ok(reader) => read_out(reader, max_bytes),
                Err(DecryptError::NoMatchingKeys) if self.keys.is_empty() => Err(Error::new(ErrorKind::Config, none)),
                Err(DecryptError::NoMatchingKeys) => {
                    Err(refused("the key does not open it: it is sealed to another one"))
                }
                Err(error) => Err(damaged(&error)),
            };
        }
        let known = self.known();
        for passphrase in &known {
            if let Some(opened) = try_passphrase(&bytes, passphrase, max_bytes)? {
                return Ok(opened);
            }
        }
        let _one_at_a_time = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // What was typed for another file meanwhile may open this one.
        for passphrase in self.known().iter().skip(known.len()) {
            if let Some(opened) = try_passphrase(&bytes, passphrase, max_bytes)? {
                return Ok(opened);
            }
        }
        for attempt in 0..N_ATTEMPTS {
            let Some(typed) = self.ask.as_ref().map_or(Ok(None), |ask| ask(path, attempt == 0))? else { break };
            let passphrase = SecretString::from(typed);
            if let Some(opened) = try_passphrase(&bytes, &passphrase, max_bytes)? {
                self.passphrases.lock().unwrap_or_else(PoisonError::into_inner).push(passphrase);
                return Ok(opened);
            }
        }
        if known.is_empty() && self.ask.is_none() {
            let message = "it is sealed to a passphrase, and there is no terminal to ask for it: give a file that holds it \
                           with --passphrase-file FILE, or set EFFIGY_PASSPHRASE";
            return Err(Error::new(ErrorKind::Config, message));
        }
        Err(refused("the passphrase does not open it"))
    }

    fn known(&self) -> Vec<SecretString> {
        self.passphrases.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener")
            .field("keys", &self.keys.len())
            .field("asks", &self.ask.is_some())
            .finish_non_exhaustive()
    }
}

fn refused(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Identity, reason.into())
}

fn too_large(max_bytes: u64) -> Error {
    refused(format!("it holds more than the {} MB that are accepted", max_bytes >> 20))
}

fn damaged(error: &DecryptError) -> Error {
    refused(match error {
        DecryptError::ExcessiveWork { required, .. } => format!(
            "its passphrase is stretched with scrypt's work factor {required}, which takes {} GiB of memory; at most \
             {MAX_WORK_FACTOR} is accepted. `age -d` opens such a file",
            1_u128 << u32::from(required.saturating_sub(20)).min(100)
        ),
        DecryptError::UnknownFormat => "it is sealed in a version of the age format that is not known here".to_owned(),
        _ => "the sealed file is torn, or was changed".to_owned(),
    })
}

fn decryptor(bytes: &[u8]) -> Result<Decryptor<&[u8]>> {
    Decryptor::new_buffered(bytes).map_err(|error| damaged(&error))
}

/// What the file holds; `None` when the passphrase is not its own.
fn try_passphrase(bytes: &[u8], passphrase: &SecretString, max_bytes: u64) -> Result<Option<Vec<u8>>> {
    let mut identity = age::scrypt::Identity::new(passphrase.clone());
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    match decryptor(bytes)?.decrypt(std::iter::once(&identity as _)) {
        Ok(reader) => read_out(reader, max_bytes).map(Some),
        Err(DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed) => Ok(None),
        Err(error) => Err(damaged(&error)),
    }
}

fn read_out(reader: impl std::io::Read, max_bytes: u64) -> Result<Vec<u8>> {
    let mut opened = Vec::new();
    reader
        .take(max_bytes + 1)
        .read_to_end(&mut opened)
        .map_err(|_| refused("the sealed file is torn, or was changed"))?;
    if opened.len() as u64 > max_bytes {
        return Err(too_large(max_bytes));
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that seals fast, and its opener.
    fn pair() -> (Seal, Opener) {
        let (secret, public) = new_key();
        let mut opener = Opener::default();
        opener.add_keys(&secret).unwrap();
        (Seal::to_keys([&*public]).unwrap(), opener)
    }

    fn open(opener: &Opener, bytes: &[u8], max_bytes: u64) -> Result<Vec<u8>> {
        opener.open(Path::new("x.effigy"), bytes.to_vec(), max_bytes)
    }

    #[test]
    fn what_is_sealed_is_opened_within_its_bounds() {
        let (seal, opener) = pair();
        for n_bytes in [0, 1, 65_535, 65_536, 65_537, 200_000] {
            let plain: Vec<u8> = (0..n_bytes).map(|i| (i % 251) as u8).collect();
            let sealed = seal.apply(&plain).unwrap();
            assert!(is_sealed(&sealed) && !is_sealed(&plain));
            assert_eq!(open(&opener, &sealed, n_bytes).unwrap(), plain);
            if n_bytes > 0 {
                let error = open(&opener, &sealed, n_bytes - 1).unwrap_err();
                assert!(error.to_string().contains("more than"), "{error}");
            }
        }
        // The reference's own: sealed by the other crate's ways, opened by a list of keys.
        let error = open(&pair().1, &seal.apply(b"x").unwrap(), 9).unwrap_err();
        assert!(error.to_string().contains("sealed to another one"), "{error}");
        let error = open(&Opener::default(), &seal.apply(b"x").unwrap(), 9).unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("--key FILE")), (ErrorKind::Config, true), "{error}");
    }

    #[test]
    fn torn_and_changed_files_are_refused_and_a_million_keys_are_not_tried() {
        let (seal, opener) = pair();
        let sealed = seal.apply(&[7; 3000]).unwrap();
        for length in (16..sealed.len()).step_by(7) {
            let error = open(&opener, &sealed[..length], 9000).unwrap_err();
            assert!(error.to_string().contains("torn"), "{length}: {error}");
        }
        for at in (MAGIC.len()..sealed.len()).step_by(5) {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&opener, &changed, 9000).is_err(), "byte {at}");
        }
        let text = String::from_utf8_lossy(&sealed[..400]).into_owned();
        let stanza: Vec<&str> = text.lines().skip(1).take(2).collect();
        let many = format!("age-encryption.org/v1\n{}--- x\n", format!("{}\n", stanza.join("\n")).repeat(1000));
        let error = open(&opener, many.as_bytes(), 9000).unwrap_err();
        assert!(error.to_string().contains("more keys than are accepted"), "{error}");
    }

    #[test]
    fn a_passphrase_that_is_stretched_too_far_is_not_tried() {
        let mut opener = Opener::default();
        opener.add_passphrase("x".to_owned()).unwrap();
        for (factor, memory) in [(21, "2 GiB"), (40, "1048576 GiB"), (63, "8796093022208 GiB")] {
            // Sixteen bytes of salt, thirty-two of key.
            let (salt, key) = ("A".repeat(22), "A".repeat(43));
            let check = "A".repeat(43);
            let file =
                format!("age-encryption.org/v1\n-> scrypt {salt} {factor}\n{key}\n--- {check}\n{}", "x".repeat(64));
            let error = open(&opener, file.as_bytes(), 9000).unwrap_err().to_string();
            assert!(error.contains(&format!("work factor {factor}")) && error.contains(memory), "{error}");
        }
    }

    #[test]
    fn keys_and_passphrases_that_are_none_are_refused() {
        let mut opener = Opener::default();
        let (_, public) = new_key();
        for (text, says) in [
            ("", "found 0"),
            ("# a comment\n\n", "found 0"),
            ("AGE-SECRET-KEY-1XYZ", "line 1"),
            (&*public, "the public half"),
        ] {
            let error = opener.add_keys(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(opener.add_passphrase(String::new()).is_err() && Seal::to_passphrase(String::new()).is_err());
        assert!(Seal::to_keys(["age1xyz"]).unwrap_err().to_string().contains("public key of age"));
        assert!(Seal::to_keys([]).is_err());
    }
}
