//! What a manifest was found to say.

use serde::Serialize;

use crate::identity::DisclosedConsent;
use crate::mark::Message;

/// Whether a manifest holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "reasons")]
pub enum ManifestState {
    /// The signature holds and the file is as it was when it was signed.
    Intact,
    /// It does not hold, for these reasons: the file or the statement was changed, or the signature is not one.
    Broken(Vec<String>),
    /// There is one, and it cannot be read.
    Unreadable(String),
}

/// Who signed a manifest, in the certificate's own words; nobody vouches for them unless the fingerprint is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ManifestSigner {
    /// The certificate's name.
    pub name: String,
    /// The organisation that it names.
    pub organisation: String,
    /// SHA-256 of the certificate, hexadecimal.
    pub fingerprint: String,
    /// Whether it is a key of this machine.
    pub is_own: bool,
}

/// A manifest in a file or beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ManifestFinding {
    /// Whether it holds.
    #[serde(flatten)]
    pub state: ManifestState,
    /// Whether it lies beside the file.
    pub is_sidecar: bool,
    /// Who signed it.
    pub signer: Option<ManifestSigner>,
    /// The program that made the statement, and its version.
    pub generator: Option<String>,
    /// What the file is made of, one of IPTC's digital source types.
    pub source_type: Option<String>,
    /// What the invisible mark says in the pictures that it was made for.
    #[serde(serialize_with = "as_number")]
    pub mark: Option<Message>,
    /// With whose consent people are shown.
    pub consents: Vec<DisclosedConsent>,
}

impl ManifestFinding {
    /// One of which nothing can be read.
    #[cfg_attr(not(feature = "c2pa"), expect(dead_code, reason = "a build without C2PA reads none"))]
    pub(super) fn unreadable(why: String, is_sidecar: bool) -> Self {
        Self {
            state: ManifestState::Unreadable(why),
            is_sidecar,
            signer: None,
            generator: None,
            source_type: None,
            mark: None,
            consents: Vec::new(),
        }
    }

    /// Whether the signature holds and the file is as it was.
    pub fn is_intact(&self) -> bool {
        self.state == ManifestState::Intact
    }
}

fn as_number<S: serde::Serializer>(mark: &Option<Message>, serializer: S) -> Result<S::Ok, S::Error> {
    mark.map(|mark| mark.id).serialize(serializer)
}
