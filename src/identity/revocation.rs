//! Whether an identity may still be shown: limits of its consent, and what was revoked on this machine.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::signing::config_dir;
use super::{Identity, utc};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use effigy_base::hex::hex;

impl Identity {
    /// Checks that the consent still holds at `now_unix_secs`, for `purpose`, and was not revoked on this machine.
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] with the reason: it ended, it was given for something else, or it was revoked.
    pub fn check_consent(&self, purpose: Option<&str>, now_unix_secs: u64) -> Result<()> {
        let (name, consent) = (&self.manifest.name, &self.manifest.consent);
        let refused = |why: String| Err(Error::new(ErrorKind::Identity, format!("{name} may not be shown: {why}")));
        if let Some(until) = consent.until_unix_secs.filter(|until| now_unix_secs > *until) {
            return refused(format!("the consent ended at {}; ask {} and enroll again", utc(until), consent.by));
        }
        if let Some(given) = consent.purpose.as_deref().filter(|given| purpose != Some(*given)) {
            return refused(format!(
                "the consent is for \"{given}\" only; if that is what this is, say --purpose '{}', or \"purpose\" in a job",
                given.replace('\'', "'\\''")
            ));
        }
        let record = self.revocation()?;
        match std::fs::read_to_string(&record) {
            Ok(when) => refused(format!("the consent was revoked on this machine at {}", when.trim())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            // What cannot be read may be a revocation.
            Err(error) => {
                Err(Error::new(ErrorKind::PermissionDenied, format!("cannot read {}", record.display())).because(error))
            }
        }
    }

    /// Notes on this machine that the consent was taken back: the identity does not run here any more, nor a copy of it.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn revoke(&self) -> Result<PathBuf> {
        let record = self.revocation()?;
        let about = || format!("cannot write the revocation {}", record.display());
        if let Some(folder) = record.parent() {
            std::fs::create_dir_all(folder).or_error(ErrorKind::Io, about)?;
        }
        std::fs::write(&record, utc(now_unix_secs()) + "\n").or_error(ErrorKind::Io, about)?;
        Ok(record)
    }

    /// Where a revocation of this identity is noted: by what was signed but its name, which the library may change.
    fn revocation(&self) -> Result<PathBuf> {
        Ok(config_dir()?.join("revoked").join(self.manifest.record_sha256()))
    }
}

/// Seconds since 1970-01-01 UTC.
pub fn now_unix_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// SHA-256 of `bytes`, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
