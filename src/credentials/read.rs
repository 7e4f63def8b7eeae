//! Reading a manifest: whether it holds, who signed it, what it says. Everything in it may be made by an attacker.

use std::fs::File;
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use c2pa::assertions::SoftBinding;
use c2pa::validation_status as code;
use c2pa::{Context, Manifest, Reader, ValidationState};
use serde::Deserialize;
use serde_json::json;
use x509_parser::pem::Pem;

use super::key::own_fingerprints;
use super::{CONSENT_LABEL, ManifestFinding, ManifestSigner, ManifestState, embedding_format, mark_of, sidecar};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::files;
use crate::identity::{DisclosedConsent, sha256};

/// The largest manifest beside a file that is read.
const MAX_SIDECAR_BYTES: u64 = 16 << 20;
/// How a manifest names itself, by the specification's section on JUMBF: the box type of a C2PA manifest store.
const STORE_TYPE: [u8; 16] = *b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71";
/// What is searched for a manifest in a file that cannot be taken apart.
const MAX_SEARCHED_BYTES: u64 = 64 << 20;
/// The most characters of a text out of a manifest that are shown.
const MAX_TEXT_CHARS: usize = 120;

/// What a consent assertion holds.
#[derive(Deserialize)]
struct Consents {
    people: Vec<DisclosedConsent>,
}

/// Looks for a manifest in the file at `path`, and with `looks_beside` beside it, and checks it; `None` without one.
///
/// # Errors
/// [`ErrorKind::Io`]: the file or the manifest beside it cannot be read. A manifest that is torn or false is no error.
pub fn read(path: &Path, looks_beside: bool) -> Result<Option<ManifestFinding>> {
    let about = || format!("cannot look for a manifest in {}", path.display());
    let file = || File::open(path).or_error(ErrorKind::Io, about);
    let hint = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default().to_ascii_lowercase();
    let mut within = file()?;
    let found = guarded(|| Reader::from_context(context()?).with_stream(&hint, &mut within));
    let why = match found {
        Ok(Ok(reader)) => return Ok(Some(finding(&reader, false))),
        Ok(Err(c2pa::Error::JumbfNotFound | c2pa::Error::UnsupportedType)) => None,
        // A clip may be torn in other places than its manifest, or have none.
        Ok(Err(error)) => holds_store(file()?).or_error(ErrorKind::Io, about)?.then(|| error.to_string()),
        Err(error) => holds_store(file()?).or_error(ErrorKind::Io, about)?.then(|| error.to_string()),
    };
    if let Some(why) = why {
        return Ok(Some(ManifestFinding::unreadable(plain(&why), false)));
    }
    let beside = sidecar(path);
    if !looks_beside || beside == path || !beside.is_file() {
        return Ok(None);
    }
    let about = || format!("cannot read the manifest {}", beside.display());
    let manifest = files::read(&beside, MAX_SIDECAR_BYTES).or_error(ErrorKind::Io, about)?;
    let mut whole = file()?;
    let found =
        guarded(|| Reader::from_context(context()?).with_manifest_data_and_stream(&manifest, &hint, &mut whole));
    let found = match found {
        Ok(Ok(reader)) => finding(&reader, true),
        Ok(Err(error)) => ManifestFinding::unreadable(plain(&error.to_string()), true),
        Err(error) => ManifestFinding::unreadable(plain(&error.to_string()), true),
    };
    // Of a file that would hold its own, what lies beside it and does not fit is that of another one of this name.
    Ok(Some(found).filter(|found| found.is_intact() || embedding_format(path).is_none()))
}

/// Nothing is fetched, and no list says whom to trust: that is for whoever verifies to judge.
fn context() -> c2pa::Result<Context> {
    Context::new().with_settings(json!({
        "core": {"decode_identity_assertions": false},
        "verify": {"verify_trust": false, "remote_manifest_fetch": false, "ocsp_fetch": false},
    }))
}

/// Does what the C2PA library may panic at: its input is anybody's.
///
/// # Errors
/// [`ErrorKind::Internal`]: it panicked.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| Error::new(ErrorKind::Internal, "the C2PA library stumbled over this file"))
}

/// Whether a manifest begins somewhere in the file.
fn holds_store(file: File) -> std::io::Result<bool> {
    let mut bytes = Vec::new();
    file.take(MAX_SEARCHED_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes.windows(STORE_TYPE.len()).any(|window| window == STORE_TYPE))
}

fn finding(reader: &Reader, is_sidecar: bool) -> ManifestFinding {
    let Some(manifest) = reader.active_manifest() else {
        return ManifestFinding::unreadable("it has no claim".to_owned(), is_sidecar);
    };
    let binding = manifest.find_assertion::<SoftBinding>(SoftBinding::LABEL).ok();
    let mark = binding.and_then(|binding| mark_of(&binding.alg?, &binding.blocks.first()?.value));
    let consents = manifest.find_assertion::<Consents>(CONSENT_LABEL).map_or_else(|_| Vec::new(), |found| found.people);
    let generator = manifest.claim_generator_info.iter().flatten().next();
    ManifestFinding {
        state: state(reader),
        is_sidecar,
        signer: signer(manifest),
        generator: generator.map(|info| match &info.version {
            Some(version) => plain(&format!("{}/{version}", info.name)),
            None => plain(&info.name),
        }),
        source_type: source_type(manifest).map(|text| plain(&text)),
        mark,
        consents: consents
            .into_iter()
            .map(|consent| DisclosedConsent {
                purpose: consent.purpose.as_deref().map(plain),
                record_sha256: plain(&consent.record_sha256),
                ..consent
            })
            .collect(),
    }
}

fn state(reader: &Reader) -> ManifestState {
    if matches!(reader.validation_state(), ValidationState::Valid | ValidationState::Trusted) {
        return ManifestState::Intact;
    }
    let results = reader.validation_results();
    let active = results.and_then(|results| results.active_manifest());
    let failures = active.into_iter().flat_map(|statuses| statuses.failure());
    let mut reasons: Vec<String> = Vec::new();
    for reason in failures
        .filter(|failure| failure.code() != code::SIGNING_CREDENTIAL_UNTRUSTED)
        .map(|failure| reason(failure.code()))
    {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    if reasons.is_empty() {
        reasons.push("the signature could not be checked".to_owned());
    }
    ManifestState::Broken(reasons)
}

/// What a code of the specification's section "Standard Status Codes" means for whoever verifies.
fn reason(status: &str) -> String {
    match status {
        code::ASSERTION_DATAHASH_MISMATCH | code::ASSERTION_BMFFHASH_MISMATCH | code::ASSERTION_BOXHASH_MISMATCH => {
            "the file was changed after it was signed".to_owned()
        }
        code::ASSERTION_HASHEDURI_MISMATCH => "the statement was changed after it was signed".to_owned(),
        code::CLAIM_SIGNATURE_MISMATCH => "the signature is not of this statement".to_owned(),
        code::SIGNING_CREDENTIAL_EXPIRED => "the certificate has expired".to_owned(),
        code::SIGNING_CREDENTIAL_INVALID => "the certificate may not sign such statements".to_owned(),
        other => plain(other),
    }
}

fn signer(manifest: &Manifest) -> Option<ManifestSigner> {
    let info = manifest.signature_info()?;
    let first = Pem::iter_from_buffer(info.cert_chain().as_bytes()).next()?.ok()?;
    let fingerprint = sha256(&first.contents);
    Some(ManifestSigner {
        name: plain(info.common_name.as_deref().unwrap_or("without a name")),
        organisation: plain(info.issuer.as_deref().unwrap_or("none named")),
        is_own: own_fingerprints().contains(&fingerprint),
        fingerprint,
    })
}

/// The digital source type of the first action that has one.
fn source_type(manifest: &Manifest) -> Option<String> {
    let lists = manifest.assertions().iter().filter(|assertion| assertion.label().starts_with("c2pa.actions"));
    lists.filter_map(|list| list.value().ok()).find_map(|list| {
        list["actions"].as_array()?.iter().find_map(|action| Some(action["digitalSourceType"].as_str()?.to_owned()))
    })
}

/// A text of somebody's, without what could play tricks in a terminal, and short.
fn plain(text: &str) -> String {
    let turns =
        |letter: &char| matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|letter| !letter.is_control() && !turns(letter)).take(MAX_TEXT_CHARS).collect()
}
