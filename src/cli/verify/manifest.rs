//! What `effigy verify` says of a signed manifest (C2PA).

use effigy::credentials::{ManifestFinding, ManifestState, SOURCE_TYPE};
use effigy::identity::{DisclosedConsent, utc};
use effigy::verify::{Evidence, ManifestLook};
use serde_json::json;

/// Lines of the manifest, as name and value.
pub(super) fn rows(evidence: &Evidence) -> Vec<(&'static str, String)> {
    let found = match &evidence.manifest {
        ManifestLook::None => return vec![("manifest", "none".to_owned())],
        ManifestLook::NotLooked(why) => return vec![("manifest", format!("not looked for: {why}"))],
        ManifestLook::Found(found) => found,
    };
    let place = if found.is_sidecar { ", in the .c2pa file beside it" } else { "" };
    let state = match &found.state {
        ManifestState::Intact => format!("intact{place}: nothing in the file was changed since it was signed"),
        ManifestState::Broken(reasons) => format!("DOES NOT HOLD{place}: {}", reasons.join("; ")),
        ManifestState::Unreadable(why) => format!("CANNOT BE READ{place}: {why}"),
    };
    let mut rows = vec![("manifest", state)];
    if let Some(signer) = &found.signer {
        let trust = match (signer.is_own, found.is_intact()) {
            (true, _) => "a key of this machine",
            (false, true) => "nobody here vouches for that name: compare the fingerprint with the signer's",
            (false, false) => "as it says",
        };
        rows.push(("signed by", format!("\"{}\" ({}); {trust}", signer.name, signer.organisation)));
        rows.push(("fingerprint", signer.fingerprint.clone()));
    }
    // What a manifest says that does not hold may be anybody's words.
    if !found.is_intact() {
        return rows;
    }
    rows.push(("stated by", found.generator.clone().unwrap_or_else(|| "no program".to_owned())));
    rows.push(("states", source_text(found)));
    if let Some(stated) = found.mark {
        rows.push(("marked as", mark_text(evidence, stated.id)));
    }
    rows.extend(found.consents.iter().map(|consent| ("consent", consent_text(consent))));
    rows
}

fn source_text(found: &ManifestFinding) -> String {
    match found.source_type.as_deref() {
        Some(SOURCE_TYPE) => "a composite, in which trained networks made what is seen".to_owned(),
        Some(other) => format!("source type {other}"),
        None => "no source type".to_owned(),
    }
}

/// Whether the invisible mark says what the manifest says of it: another one's manifest may have been put on.
fn mark_text(evidence: &Evidence, stated: u16) -> String {
    match evidence.message().map(|message| message.id) {
        Some(read) if read == stated => format!("number {stated:04x}, as the mark in the pictures says"),
        Some(read) => {
            format!("number {stated:04x}, BUT the mark in the pictures says {read:04x}: it is of other pictures")
        }
        None => format!("number {stated:04x}; the mark in the pictures cannot be read"),
    }
}

fn consent_text(consent: &DisclosedConsent) -> String {
    let until = consent.until_unix_secs.map(|until| format!(", until {}", utc(until)));
    let purpose = consent.purpose.as_ref().map(|purpose| format!(", for \"{purpose}\" only"));
    let record = consent.record_sha256.get(..16).unwrap_or(&consent.record_sha256);
    format!("{}{}{} (record {record}…)", consent.basis.name(), until.unwrap_or_default(), purpose.unwrap_or_default())
}

/// The same for programs: `null` without one.
pub(super) fn json(look: &ManifestLook) -> serde_json::Value {
    match look {
        ManifestLook::None => serde_json::Value::Null,
        ManifestLook::NotLooked(why) => json!({"state": "not-looked", "reasons": why}),
        ManifestLook::Found(found) => json!(found),
    }
}
