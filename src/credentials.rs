//! Content Credentials (C2PA): a signed statement in recordings and stills, of what made them and with whose consent.
//!
//! Such a statement is called a manifest. It lies in the file itself, or beside it (`NAME.c2pa`) where the file's kind has no
//! place for one, as Matroska has none. It is bound to the file's bytes: whatever is changed later is found. Signing happens
//! when a file is complete, never on the way of a frame, and needs no network: the key is this machine's own.
//!
//! Source: C2PA Technical Specification 2.2.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::composite::OutFrame;
use crate::identity::DisclosedConsent;
use crate::mark::Message;

mod finding;
#[cfg(feature = "c2pa")]
mod key;
#[cfg(feature = "c2pa")]
mod read;
#[cfg(feature = "c2pa")]
mod sign;

#[cfg(not(feature = "c2pa"))]
#[path = "credentials/absent.rs"]
mod key;
#[cfg(not(feature = "c2pa"))]
use key as read;
#[cfg(not(feature = "c2pa"))]
use key as sign;

pub use finding::{ManifestFinding, ManifestSigner, ManifestState};
pub use key::RecordingKey;
pub use read::read;
pub use sign::Credentials;

/// The source of what this program makes, in IPTC's words: a camera's motion and a photo, put together by trained networks.
pub const SOURCE_TYPE: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";
/// The assertion that says with whose consent.
pub const CONSENT_LABEL: &str = "effigy.consent";
/// The invisible mark's name as a soft binding, before its version.
const MARK_ALGORITHM: &str = "effigy.mark.";

/// How the files of a run are signed.
#[derive(Clone, Debug)]
pub struct Signing {
    /// By whom.
    pub credentials: Arc<Credentials>,
    /// What the invisible mark says in the run's pictures.
    pub mark: Message,
}

/// What is stated of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// What the invisible mark says in its pictures; `None` where they cannot be taken for marked.
    pub mark: Option<Message>,
    /// The consents of all who are shown.
    pub consents: Vec<DisclosedConsent>,
}

impl Statement {
    /// One of pictures with this mark, and of nobody yet.
    pub fn of_run(mark: Message) -> Self {
        Self { mark: Some(mark), consents: Vec::new() }
    }

    /// Adds who is shown in a frame, once.
    pub fn add(&mut self, frame: &OutFrame) {
        for consent in frame.consents.iter().flatten() {
            if !self.consents.contains(consent) {
                self.consents.push(DisclosedConsent::clone(consent));
            }
        }
    }
}

/// The mark as a soft binding has it: the name of the method, and what the mark says.
#[cfg_attr(not(feature = "c2pa"), expect(dead_code, reason = "a build without C2PA states nothing"))]
fn binding_of(mark: Message) -> (String, String) {
    (format!("{MARK_ALGORITHM}{}", mark.version), format!("{:04x}", mark.id))
}

/// The mark that a soft binding names; `None` where it is another program's.
#[cfg_attr(not(feature = "c2pa"), expect(dead_code, reason = "a build without C2PA states nothing"))]
fn mark_of(algorithm: &str, value: &str) -> Option<Message> {
    let version = algorithm.strip_prefix(MARK_ALGORITHM)?.parse().ok().filter(|version| *version < 16)?;
    Some(Message { version, id: u16::from_str_radix(value, 16).ok()? })
}

/// The kind of file as C2PA knows it; `None` where it has no place for a manifest.
#[cfg(feature = "c2pa")]
fn embedding_format(path: &Path) -> Option<&'static str> {
    Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "avi" => "video/avi",
        "png" => "image/png",
        _ => return None,
    })
}

/// Where the manifest of a file lies that has no place for one.
pub fn sidecar(path: &Path) -> PathBuf {
    path.with_extension("c2pa")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_goes_through_a_soft_binding() {
        for mark in [Message { version: 1, id: 0 }, Message { version: 15, id: 0xfa1e }] {
            let (algorithm, value) = binding_of(mark);
            assert_eq!(mark_of(&algorithm, &value), Some(mark));
        }
        for (algorithm, value) in [("com.example.1", "0001"), ("effigy.mark.16", "0001"), ("effigy.mark.1", "12345")] {
            assert_eq!(mark_of(algorithm, value), None, "{algorithm} {value}");
        }
    }
}
