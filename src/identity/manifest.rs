//! What an identity file says of itself: name, consent, origin, and the hashes of its contents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use effigy_base::hex::hex;

/// On what basis a face may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// It is the user's own face.
    #[value(name = "self")]
    #[serde(rename = "self")]
    Own,
    /// The person shown has agreed.
    Subject,
    /// The person does not exist.
    Synthetic,
    /// The portrait is in the public domain.
    PublicDomain,
}

impl Basis {
    /// The word used on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::Subject => "subject",
            Self::Synthetic => "synthetic",
            Self::PublicDomain => "public-domain",
        }
    }

    /// Whether the visible mark may be left out: only where nobody can be wronged.
    pub fn may_go_unmarked(self) -> bool {
        matches!(self, Self::Own | Self::Synthetic)
    }
}

/// Who says that the face may be shown, on what basis, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// On what basis.
    pub basis: Basis,
    /// Who says so.
    pub by: String,
    /// When, in seconds since 1970-01-01 UTC.
    pub at_unix_secs: u64,
    /// The last second at which it holds; `None` without an end.
    #[serde(default, rename = "until", skip_serializing_if = "Option::is_none")]
    pub until_unix_secs: Option<u64>,
    /// What it was given for, where it was limited to that.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// SHA-256 of the sentence with which it was given, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_sha256: Option<String>,
    /// The recording in which it was spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spoken: Option<SpokenStatement>,
}

/// What is kept of the recording in which a person agreed: the recording itself stays beside the identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpokenStatement {
    /// SHA-256 of the recording's file, hexadecimal.
    pub sha256: String,
    /// Its length, in bytes.
    pub n_bytes: u64,
    /// Its length, in milliseconds.
    pub duration_millis: u64,
}

/// How the portrait was cut out of the photo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// A square around the face with room for hair and shoulders.
    #[default]
    Face,
    /// The photo's own frame, made square by its shorter side.
    Keep,
}

/// Where one more view of the person comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewOrigin {
    /// SHA-256 of the photo's or clip's file, hexadecimal.
    pub file_sha256: String,
    /// When in the clip, in milliseconds; `None` for a photo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_millis: Option<u64>,
}

/// The signed part of an identity file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the file format.
    pub format: u32,
    /// The identity's name, shown to the user.
    pub name: String,
    /// The consent record.
    pub consent: Consent,
    /// When the file was made, in seconds since 1970-01-01 UTC.
    pub created_unix_secs: u64,
    /// How the portrait was cut out.
    pub framing: Framing,
    /// SHA-256 of the photo's file, hexadecimal.
    pub photo_sha256: String,
    /// Where the further views come from, in their order; the consent covers them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<ViewOrigin>,
    /// SHA-256 of every model whose output is in the file, by model name.
    pub models: BTreeMap<String, String>,
    /// SHA-256 over type, shape and data of every tensor, by tensor name.
    pub tensors: BTreeMap<String, String>,
}

impl Manifest {
    /// SHA-256 of all that it says but the name, which the library may change; hexadecimal.
    pub fn record_sha256(&self) -> String {
        let nameless = Self { name: String::new(), ..self.clone() };
        // Strings, numbers and tables with text as keys: writing them as JSON cannot fail.
        hex(&Sha256::digest(serde_json::to_vec(&nameless).unwrap_or_default()))
    }
}

/// A date and time in UTC, as ISO 8601 writes it.
///
/// Source: Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
pub fn utc(unix_secs: u64) -> String {
    let (days, secs) = (unix_secs / 86_400 + 719_468, unix_secs % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", secs / 3600, secs / 60 % 60, secs % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn seconds_become_dates() {
        assert_eq!(super::utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(super::utc(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(super::utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(super::utc(1_735_689_599), "2024-12-31T23:59:59Z");
    }
}
