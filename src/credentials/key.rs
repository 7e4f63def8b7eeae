//! The key that signs recordings, with a certificate chain that nobody but this machine vouches for.
//!
//! C2PA wants a chain: a certificate that signs, and one above it. Both are made here, by the profile of the specification's
//! section "Certificate Profiles". The upper one's key signs once and is thrown away.

use std::path::{Path, PathBuf};

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::der::pem::encode_string;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use sha2::{Digest as _, Sha256};
use x509_parser::pem::Pem;

use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::files;
use crate::identity::{now_unix_secs, sha256, utc};
use crate::settings::{data_dir, write_atomically};

/// The key that is in use.
const FILE_NAME: &str = "recordings.pem";
/// What a key's file begins with; those that were replaced have more behind it.
const FILE_STEM: &str = "recordings";
/// The largest file that can be one.
const MAX_BYTES: u64 = 64 << 10;
/// How long a new one can sign.
const YEARS: i32 = 10;
/// C2PA's purpose of signing claims.
const SIGNS_CLAIMS: [u64; 9] = [1, 3, 6, 1, 4, 1, 62558, 2, 1];
/// RFC 9336's purpose of signing documents, which validators of C2PA 1 know.
const SIGNS_DOCUMENTS: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 3, 36];
/// The most characters of a certificate's name, by X.520.
const MAX_NAME_CHARS: usize = 64;

/// The key of this machine's recordings: ECDSA over P-256, with its certificates.
///
/// The certificate says a name only where the user gave one. All that is signed with one key can be told to come from one
/// maker.
pub struct RecordingKey {
    name: String,
    fingerprint: String,
    until_unix_secs: u64,
    certificates: String,
    secret: String,
}

impl std::fmt::Debug for RecordingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecordingKey({}, {})", self.name, self.fingerprint)
    }
}

impl RecordingKey {
    /// Where the key lies: `keys/recordings.pem` in the user's data folder.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the environment names no folder.
    pub fn path() -> Result<PathBuf> {
        Ok(data_dir()?.join("keys").join(FILE_NAME))
    }

    /// Opens the user's key; `None` when there is none.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`], [`ErrorKind::Io`], [`ErrorKind::Config`]: it cannot be read, or is no such key.
    pub fn open() -> Result<Option<Self>> {
        Self::open_at(&Self::path()?)
    }

    /// Opens the user's key, or makes one when there is none.
    ///
    /// # Errors
    /// When the file can neither be read nor made, or is not a key.
    pub fn open_or_create() -> Result<Self> {
        match Self::open()? {
            Some(key) => Ok(key),
            None => Self::create(None),
        }
    }

    /// Makes a key, which its owner alone can read, with `name` in its certificate. One that was there is kept under another
    /// name, so that what it signed is known as one's own.
    ///
    /// # Errors
    /// [`ErrorKind::Config`]: the name is empty or too long; [`ErrorKind::Io`]: it cannot be written.
    pub fn create(name: Option<&str>) -> Result<Self> {
        Self::create_at(&Self::path()?, name)
    }

    /// The certificate's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the signing certificate, hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The last second at which it can sign, in seconds since 1970-01-01 UTC.
    pub fn until_unix_secs(&self) -> u64 {
        self.until_unix_secs
    }

    /// The certificates, the signing one first, as PEM: what others may have.
    pub fn certificates(&self) -> &str {
        &self.certificates
    }

    /// The secret key, PKCS #8 as PEM.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// Opens the key at `path`; `None` when there is none.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_at(path: &Path) -> Result<Option<Self>> {
        let about = || format!("cannot read the key of recordings {}", path.display());
        let text = match files::read_text(path, MAX_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let is_denied = error.kind() == std::io::ErrorKind::PermissionDenied;
                let kind = if is_denied { ErrorKind::PermissionDenied } else { ErrorKind::Io };
                return Err(Error::new(kind, about()).because(error));
            }
        };
        warn_if_others_can_read(path);
        Self::from_pem(&text).map(Some).map_err(|error| {
            let advice = "move the file away, or `effigy keys make --replace`, to have a new one made";
            Error::new(ErrorKind::Config, format!("{} is no key of recordings; {advice}", path.display()))
                .because(error)
        })
    }

    fn create_at(path: &Path, name: Option<&str>) -> Result<Self> {
        let about = || format!("cannot make the key of recordings {}", path.display());
        let text = new_chain(name)?;
        let key = Self::from_pem(&text)?;
        if let Ok(Some(before)) = Self::open_at(path) {
            let kept = path.with_file_name(format!("{FILE_STEM}-{}.pem", &before.fingerprint[..8]));
            std::fs::rename(path, kept).or_error(ErrorKind::Io, about)?;
        } else if path.exists() {
            // What cannot be read as a key may be one that matters to somebody.
            let kept = path.with_file_name(format!("{FILE_STEM}-unreadable-{}.txt", now_unix_secs()));
            std::fs::rename(path, kept).or_error(ErrorKind::Io, about)?;
        }
        write_atomically(path, text.as_bytes()).map_err(|error| Error::new(error.kind(), about()).because(error))?;
        Ok(key)
    }

    fn from_pem(text: &str) -> Result<Self> {
        let wrong = |what: &'static str| Error::new(ErrorKind::Config, what);
        let blocks = Pem::iter_from_buffer(text.as_bytes()).collect::<std::result::Result<Vec<_>, _>>();
        let blocks = blocks.map_err(|_| wrong("it is no PEM text"))?;
        let secret = blocks.iter().find(|block| block.label == "PRIVATE KEY");
        let secret = secret.and_then(|block| SigningKey::from_pkcs8_der(&block.contents).ok());
        let secret = secret.ok_or_else(|| wrong("it holds no P-256 key as PKCS #8"))?;
        let chain: Vec<_> = blocks.iter().filter(|block| block.label == "CERTIFICATE").collect();
        let [first, ..] = &chain[..] else { return Err(wrong("it holds no certificate")) };
        let certificate = first.parse_x509().map_err(|_| wrong("its certificate cannot be read"))?;
        let public = secret.verifying_key().to_encoded_point(false);
        if certificate.public_key().subject_public_key.data.as_ref() != public.as_bytes() {
            return Err(wrong("its certificate is another key's"));
        }
        let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let certificates: Vec<_> =
            chain.iter().map(|block| pem("CERTIFICATE", &block.contents)).collect::<Result<_>>()?;
        Ok(Self {
            name: name.unwrap_or("without a name").to_owned(),
            fingerprint: sha256(&first.contents),
            until_unix_secs: certificate.validity().not_after.timestamp().try_into().unwrap_or(0),
            certificates: certificates.concat(),
            secret: secret.to_pkcs8_pem(LineEnding::LF).map_err(|_| wrong("its key cannot be read"))?.to_string(),
        })
    }
}

/// Fingerprints of all keys that this machine has or had.
pub(super) fn own_fingerprints() -> Vec<String> {
    let Ok(path) = RecordingKey::path() else { return Vec::new() };
    let Some(folder) = path.parent().and_then(|folder| folder.read_dir().ok()) else { return Vec::new() };
    let is_key = |name: &str| name.starts_with(FILE_STEM) && name.ends_with(".pem");
    let keys = folder.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_key));
    keys.filter_map(|entry| RecordingKey::open_at(&entry.path()).ok().flatten()).map(|key| key.fingerprint).collect()
}

/// A new key and its chain, as PEM.
fn new_chain(name: Option<&str>) -> Result<String> {
    let key = Secret::new()?;
    let short = &sha256(&key.public)[..8];
    let name = match name {
        None => format!("effigy on one machine, key {short}"),
        Some(name) if name.chars().any(char::is_control) || !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) => {
            let message = format!("expected a name of 1 to {MAX_NAME_CHARS} characters for the certificate");
            return Err(Error::new(ErrorKind::Config, message));
        }
        Some(name) => name.to_owned(),
    };
    let failed = |error: rcgen::Error| Error::new(ErrorKind::Internal, "cannot make a certificate").because(error);

    let above = Secret::new()?;
    let mut root = certificate(&format!("effigy on one machine, root of {short}"), &above)?;
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root_certificate = root.self_signed(&above).map_err(failed)?;

    let mut leaf = certificate(&name, &key)?;
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // The first is the one purpose that readers without a list of purposes take.
    leaf.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::EmailProtection,
        ExtendedKeyUsagePurpose::Other(SIGNS_CLAIMS.to_vec()),
        ExtendedKeyUsagePurpose::Other(SIGNS_DOCUMENTS.to_vec()),
    ];
    leaf.use_authority_key_identifier_extension = true;
    let certificate = leaf.signed_by(&key, &Issuer::new(root, above)).map_err(failed)?;

    let secret = key.key.to_pkcs8_pem(LineEnding::LF);
    let secret = secret.map_err(|_| Error::new(ErrorKind::Internal, "cannot write a key"))?;
    let (signing, above) = (pem("CERTIFICATE", certificate.der())?, pem("CERTIFICATE", root_certificate.der())?);
    Ok([secret.as_str(), &signing, &above].concat())
}

/// What both certificates have in common.
fn certificate(name: &str, key: &Secret) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "effigy, self-made certificate");
    params.distinguished_name.push(DnType::CommonName, name);
    // Whole days: the hour says when somebody was at the machine. The 29th of February is not in every year.
    let today = utc(now_unix_secs());
    let number = |range: std::ops::Range<usize>| today.get(range).and_then(|text| text.parse::<u8>().ok()).unwrap_or(1);
    let year = today.get(..4).and_then(|text| text.parse::<i32>().ok()).unwrap_or(2026);
    let (month, day) = (number(5..7), number(8..10).min(28));
    params.not_before = date_time_ymd(year, month, day);
    params.not_after = date_time_ymd(year + YEARS, month, day);
    // Positive, as RFC 5280 asks, and not 0.
    let mut serial = random()?;
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial[..16]));
    params.key_identifier_method = KeyIdMethod::PreSpecified(Sha256::digest(&key.public)[..20].to_vec());
    Ok(params)
}

/// A secret key as `rcgen` asks for one: by itself it would bring another library of cryptography.
struct Secret {
    key: SigningKey,
    /// An uncompressed point.
    public: Vec<u8>,
}

impl Secret {
    fn new() -> Result<Self> {
        loop {
            // One in 2^32 is above the curve's order.
            if let Ok(key) = SigningKey::from_slice(&random()?) {
                let public = key.verifying_key().to_encoded_point(false).as_bytes().to_vec();
                return Ok(Self { key, public });
            }
        }
    }
}

impl PublicKeyData for Secret {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Secret {
    fn sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, rcgen::Error> {
        let signature: Signature = self.key.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(ErrorKind::Io, format!("the system gave no random numbers for a key: {error}")))?;
    Ok(bytes)
}

fn pem(label: &'static str, der: &[u8]) -> Result<String> {
    encode_string(label, LineEnding::LF, der)
        .map_err(|_| Error::new(ErrorKind::Internal, "cannot write a certificate as PEM"))
}

#[cfg(unix)]
fn warn_if_others_can_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    if mode & 0o077 != 0 {
        log::warn!("others can read the key of recordings; type `chmod 600 {}`", files::typed(path));
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_: &Path) {}
