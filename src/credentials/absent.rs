//! A build without C2PA: it has no key, signs nothing and reads no manifest.

use std::path::{Path, PathBuf};

use super::{ManifestFinding, Statement};
use crate::error::{Error, ErrorKind, Result};

/// Never there.
#[derive(Debug)]
pub struct RecordingKey {
    never: std::convert::Infallible,
}

impl RecordingKey {
    /// Says that this build has no C2PA.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`], always.
    pub fn path() -> Result<PathBuf> {
        Err(absent())
    }

    /// Says that this build has no C2PA.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`], always.
    pub fn open() -> Result<Option<Self>> {
        Err(absent())
    }

    /// Says that this build has no C2PA.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`], always.
    pub fn open_or_create() -> Result<Self> {
        Err(absent())
    }

    /// Says that this build has no C2PA.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`], always.
    pub fn create(_: Option<&str>) -> Result<Self> {
        Err(absent())
    }

    /// The certificate's name.
    pub fn name(&self) -> &str {
        match self.never {}
    }

    /// SHA-256 of the certificate, hexadecimal.
    pub fn fingerprint(&self) -> &str {
        match self.never {}
    }

    /// The last second at which it can sign, in seconds since 1970-01-01 UTC.
    pub fn until_unix_secs(&self) -> u64 {
        match self.never {}
    }

    /// The certificates, the signing one first, as PEM.
    pub fn certificates(&self) -> &str {
        match self.never {}
    }
}

/// Never there.
#[derive(Debug)]
pub struct Credentials {
    never: std::convert::Infallible,
}

impl Credentials {
    /// Takes a key, of which there is none.
    ///
    /// # Errors
    /// None: there is no key to call it with.
    pub fn new(key: &RecordingKey) -> Result<Self> {
        match key.never {}
    }

    /// Signs nothing.
    ///
    /// # Errors
    /// None: there is nothing to call it on.
    pub fn sign_file(&self, _: &Path, _: &Statement) -> Result<()> {
        match self.never {}
    }

    /// Signs nothing.
    ///
    /// # Errors
    /// None: there is nothing to call it on.
    pub fn sign_png(&self, _: &[u8], _: &Statement) -> Result<Vec<u8>> {
        match self.never {}
    }
}

/// Says that this build has no C2PA.
///
/// # Errors
/// [`ErrorKind::BackendUnavailable`], always.
pub fn read(_: &Path, _: bool) -> Result<Option<ManifestFinding>> {
    Err(absent())
}

fn absent() -> Error {
    Error::new(ErrorKind::BackendUnavailable, "this build has no C2PA; build it with `--features c2pa`")
}
