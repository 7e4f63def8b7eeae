//! What an identity file says of itself: name, consent, origin, and the hashes of its contents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// SHA-256 of every model whose output is in the file, by model name.
    pub models: BTreeMap<String, String>,
    /// SHA-256 over type, shape and data of every tensor, by tensor name.
    pub tensors: BTreeMap<String, String>,
}
