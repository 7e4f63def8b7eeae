//! What a recording says of the consent of those who are shown in it.

use serde::{Deserialize, Serialize};

use super::{Basis, Identity};

/// The part of a consent record that leaves with a recording: what binds whoever shows it, and no name.
///
/// Who gave the consent and in which words stays in the identity file. [`Self::record_sha256`] names that record: whoever holds
/// the file can show that it is the one, and nobody can guess it from the hash, for it covers the hash of a photo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisclosedConsent {
    /// On what basis the face is shown.
    pub basis: Basis,
    /// The last second at which it may be shown, in seconds since 1970-01-01 UTC; `None` without an end.
    #[serde(default, rename = "until", skip_serializing_if = "Option::is_none")]
    pub until_unix_secs: Option<u64>,
    /// What it may be shown for, where that is limited.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// SHA-256 of the identity's record without its name, hexadecimal.
    pub record_sha256: String,
}

impl DisclosedConsent {
    /// What a recording says of `identity`.
    pub fn of(identity: &Identity) -> Self {
        let consent = &identity.manifest.consent;
        Self {
            basis: consent.basis,
            until_unix_secs: consent.until_unix_secs,
            purpose: consent.purpose.clone(),
            record_sha256: identity.manifest.record_sha256(),
        }
    }
}
