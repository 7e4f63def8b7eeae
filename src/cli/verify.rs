//! `effigy verify`: where a picture, clip, stream or identity comes from.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use effigy::identity::{now_unix_secs, utc};
use effigy::mark::{Finding, Message, THRESHOLD};
use effigy::statement::{self, Recording};
use effigy::verify::{Evidence, Subject, VerifyOptions, VerifySpec, examine};
use effigy::{Error, ErrorKind, Identity};
use serde_json::json;

use super::{opener, parse_secs, terminal};

mod manifest;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy verify talk.mp4
  effigy verify picture.png --json
  effigy verify me.effigy
  effigy verify ann.effigy --statement-audio ann.statement.wav
  effigy verify http://127.0.0.1:8080/stream
  curl -L https://a.example/talk.mp4 | effigy verify -

Exit codes: 0 marked, or an identity whose signature holds (and whose recording it is); 1 no mark found, or another
recording; 2 cannot be read.
A mark that is found says that effigy made the pictures. None found says nothing.")]
pub(crate) struct VerifyArgs {
    /// A picture, clip or identity file, the address of a clip or stream, or - for standard input
    #[arg(value_name = "FILE|URL")]
    pub(crate) what: PathBuf,
    /// Print all that was found as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Look at every picture of a clip by itself, too, not only at whole seconds
    #[arg(long)]
    pub(crate) each_picture: bool,
    /// How long to watch a live stream
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = parse_secs)]
    pub(crate) secs: f64,
    /// Check that this is the recording in which the person of an identity agreed
    #[arg(long, value_name = "FILE")]
    pub(crate) statement_audio: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: opener::KeyArgs,
}

/// What a shell is told: no mark was found.
const NOT_FOUND: u8 = 1;
/// What a shell is told: the thing cannot be read.
const UNREADABLE: u8 = 2;

/// Says what is there; the exit code says it, too.
pub(crate) fn run(args: &VerifyArgs) -> Result<ExitCode, (Error, ExitCode)> {
    let failed = |error| (error, ExitCode::from(UNREADABLE));
    let options = VerifyOptions {
        each_picture: args.each_picture,
        stream: Duration::from_secs_f64(args.secs),
        ..VerifyOptions::default()
    };
    let spec = VerifySpec::from(args.what.as_os_str());
    let opener = args.keys.opener().map_err(failed)?;
    let recording = args.statement_audio.as_deref();
    let recording = recording.map(|path| statement::read(path, &opener)).transpose().map_err(failed)?;
    let (text, code) = match examine(&spec, &options, &opener).map_err(failed)? {
        Subject::Identity(identity) => {
            let heard = recording.as_ref().map(|recording| Heard::of(&identity, recording));
            let text = if args.json { identity_json(&identity, heard) } else { identity_text(&identity, heard) };
            let is_other = heard.is_some_and(|heard| heard != Heard::Same);
            (text, if is_other { ExitCode::from(NOT_FOUND) } else { ExitCode::SUCCESS })
        }
        Subject::Pictures(_) if recording.is_some() => {
            let message = "--statement-audio belongs to an identity, and this is a picture or clip";
            return Err(failed(Error::new(ErrorKind::Config, message)));
        }
        Subject::Pictures(evidence) => {
            let is_marked = evidence.best().is_some_and(Finding::is_marked);
            let text = if args.json { evidence_json(&evidence) } else { evidence_text(&evidence) };
            (text, if is_marked { ExitCode::SUCCESS } else { ExitCode::from(NOT_FOUND) })
        }
    };
    terminal::print(text.as_bytes()).map_err(failed)?;
    Ok(code)
}

/// What a recording is to an identity.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Heard {
    /// The one whose hash it holds.
    Same,
    Another,
    /// The identity speaks of none.
    NoneKept,
}

impl Heard {
    fn of(identity: &Identity, recording: &Recording) -> Self {
        match &identity.manifest.consent.spoken {
            None => Self::NoneKept,
            Some(kept) if kept.sha256 == recording.spoken.sha256 => Self::Same,
            Some(_) => Self::Another,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Same => "yes: this is the recording whose hash was signed",
            Self::Another => "no: this is another recording",
            Self::NoneKept => "no: the identity speaks of no recording",
        }
    }
}

fn rows_text(rows: &[(&str, String)]) -> String {
    rows.iter().map(|(name, value)| format!("{name:<12} {value}\n")).collect()
}

fn identity_text(identity: &Identity, heard: Option<Heard>) -> String {
    let manifest = &identity.manifest;
    let consent = &manifest.consent;
    let size = identity.size_px();
    let limits = match (consent.until_unix_secs, consent.purpose.as_deref()) {
        (None, None) => "none".to_owned(),
        (until, purpose) => {
            let until = until.map(|until| format!("until {}", utc(until)));
            let purpose = purpose.map(|purpose| format!("for \"{purpose}\" only"));
            until.into_iter().chain(purpose).collect::<Vec<_>>().join(", ")
        }
    };
    let holds = identity.check_consent(consent.purpose.as_deref(), now_unix_secs());
    let spoken = consent.spoken.as_ref().map(|spoken| {
        let secs = spoken.duration_millis as f64 / 1e3;
        format!("{secs:.1} s, {} bytes, SHA-256 {}", spoken.n_bytes, spoken.sha256)
    });
    let mut rows = vec![
        ("identity", manifest.name.clone()),
        ("signature", "holds: nothing in the file was changed since it was signed".to_owned()),
        ("signed by", format!("key {}", identity.maker.as_deref().unwrap_or("unknown"))),
        ("consent", format!("{} (said by {}, {})", consent.basis.name(), consent.by, utc(consent.at_unix_secs))),
        ("limits", limits),
        (
            "statement",
            consent.statement_sha256.as_ref().map_or_else(|| "none kept".to_owned(), |hash| format!("SHA-256 {hash}")),
        ),
        ("spoken", spoken.unwrap_or_else(|| "no recording".to_owned())),
        ("may run", holds.map_or_else(|error| format!("no: {error}"), |()| "yes".to_owned())),
        ("made", utc(manifest.created_unix_secs)),
        ("portrait", format!("{size}x{size} pixels, photo with SHA-256 {}", manifest.photo_sha256)),
        ("views", identity.n_views().to_string()),
    ];
    rows.extend(heard.map(|heard| ("recording", heard.text().to_owned())));
    rows_text(&rows)
}

fn identity_json(identity: &Identity, heard: Option<Heard>) -> String {
    let answer = json!({
        "kind": "identity",
        "signature": "holds",
        "signed_by": identity.maker,
        "size_px": identity.size_px(),
        "n_views": identity.n_views(),
        "recording_matches": heard.map(|heard| heard == Heard::Same),
        "manifest": identity.manifest,
    });
    format!("{answer:#}\n")
}

fn evidence_text(evidence: &Evidence) -> String {
    let mut rows = mark_rows(evidence);
    rows.extend(manifest::rows(evidence));
    rows_text(&rows)
}

fn mark_rows(evidence: &Evidence) -> Vec<(&'static str, String)> {
    let Some(best) = evidence.best() else { return vec![("mark", "none: there is no picture".to_owned())] };
    let (width, height) = evidence.size_px;
    let n = evidence.n_pictures;
    let pictures = format!("{n} of {width}x{height} pixels");
    if !best.is_marked() {
        let score = format!("none found: the best score is {:.1}, a mark counts from {THRESHOLD:.1}", best.score);
        let advice = "a mark may have been removed, or the picture come from another program".to_owned();
        return vec![("pictures", pictures), ("mark", score), ("meaning", advice)];
    }
    let chance = evidence.false_alarm_probability();
    let mut rows = vec![
        ("pictures", pictures),
        ("mark", format!("found: score {:.1}, chance makes that at most {chance:.0e} of the time", best.score)),
        ("made by", "effigy: the person in the picture is computed".to_owned()),
        ("run", evidence.message().map_or_else(|| "not readable".to_owned(), run_text)),
        ("lies", lie_text(best)),
    ];
    if evidence.seconds.len() > 1 {
        rows.push(("seconds", format!("{} of {} are marked", evidence.n_marked_seconds(), evidence.seconds.len())));
    }
    rows
}

fn run_text(message: Message) -> String {
    match message.id {
        0 => format!("not told (mark version {})", message.version),
        id => format!("number {id:04x} (mark version {})", message.version),
    }
}

fn lie_text(finding: &Finding) -> String {
    let mirrored = if finding.is_mirrored { ", mirrored" } else { "" };
    let (percent, degrees) = (finding.side_share * 100.0, finding.angle_rads.to_degrees());
    format!("{percent:.0} % of the shorter side, turned by {degrees:.1} degrees{mirrored}")
}

fn finding_json(finding: &Finding) -> serde_json::Value {
    json!({
        "score": finding.score,
        "marked": finding.is_marked(),
        "false_alarm_probability": effigy::mark::false_alarm_probability(finding.score),
        "run": finding.message.map(|message| message.id),
        "version": finding.message.map(|message| message.version),
        "side_share": finding.side_share,
        "angle_degrees": finding.angle_rads.to_degrees(),
        "mirrored": finding.is_mirrored,
    })
}

fn evidence_json(evidence: &Evidence) -> String {
    let all = |findings: &[Finding]| findings.iter().map(finding_json).collect::<Vec<_>>();
    let answer = json!({
        "kind": "pictures",
        "pictures": evidence.n_pictures,
        "size_px": [evidence.size_px.0, evidence.size_px.1],
        "marked": evidence.best().is_some_and(Finding::is_marked),
        "score": evidence.best().map(|best| best.score),
        "threshold": THRESHOLD,
        "false_alarm_probability": evidence.false_alarm_probability(),
        "run": evidence.message().map(|message| message.id),
        "version": evidence.message().map(|message| message.version),
        "whole": evidence.whole.as_ref().map(finding_json),
        "seconds": all(&evidence.seconds),
        "each_picture": all(&evidence.pictures),
        "manifest": manifest::json(&evidence.manifest),
    });
    format!("{answer:#}\n")
}
