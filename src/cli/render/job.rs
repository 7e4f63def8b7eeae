//! One clip to render, as a line says it.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use effigy::composite::{BadgeLanguage, BadgePlace};
use effigy::error::OrError as _;
use effigy::identity::{Basis, Framing};
use effigy::sink::Codec;
use effigy::{Error, ErrorKind, Result};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::cli::{Backend, Model};
use effigy::drive::{Motion, Strengths};

/// The largest file of jobs accepted, in bytes: about a million lines.
const MAX_FILE_BYTES: u64 = 1 << 28;
/// Endings of files that can be written.
const ENDINGS: [&str; 4] = ["mp4", "mkv", "mov", "avi"];

/// What a line holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    identity: Option<PathBuf>,
    photo: Option<PathBuf>,
    consent: Option<Basis>,
    consent_by: Option<String>,
    framing: Option<String>,
    face: Option<usize>,
    clip: PathBuf,
    output: PathBuf,
    #[serde(default = "default_size")]
    size: usize,
    backend: Option<String>,
    model: Option<String>,
    weights: Option<PathBuf>,
    codec: Option<String>,
    motion: Option<String>,
    #[serde(default = "one")]
    strength: f32,
    #[serde(default = "one")]
    head: f32,
    #[serde(default = "one")]
    gaze: f32,
    #[serde(default = "one")]
    lids: f32,
    #[serde(default = "one")]
    brows: f32,
    #[serde(default = "one")]
    mouth: f32,
    #[serde(default)]
    keep_expression: f32,
    #[serde(default)]
    eye_contact: f32,
    #[serde(default)]
    predict: f32,
    #[serde(default)]
    mesh_only: bool,
    background: Option<String>,
    #[serde(default)]
    mirror: bool,
    purpose: Option<String>,
    #[serde(default)]
    no_badge: bool,
    badge_place: Option<String>,
    badge_language: Option<String>,
    #[serde(default)]
    unsigned: bool,
    duration: Option<f64>,
}

fn default_size() -> usize {
    512
}

fn one() -> f32 {
    1.0
}

/// Who is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Whom {
    /// An identity file.
    Identity(PathBuf),
    /// A photo, enrolled for this clip alone.
    Photo { path: PathBuf, consent: Basis, consent_by: String, framing: Framing, face: Option<usize> },
}

/// One clip to render.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Its line, from 1.
    pub(super) line: usize,
    /// SHA-256 of what the line says: another line is another job.
    pub(super) hash: String,
    pub(super) whom: Whom,
    pub(super) clip: PathBuf,
    pub(super) output: PathBuf,
    pub(super) size_px: usize,
    pub(super) backend: Backend,
    pub(super) model: Model,
    pub(super) weights: Option<PathBuf>,
    pub(super) codec: Codec,
    pub(super) motion: Motion,
    pub(super) strengths: Strengths,
    pub(super) keep_expression: f32,
    pub(super) eye_contact: f32,
    pub(super) predict_ms: f32,
    pub(super) is_dense: bool,
    /// As `--background`; a file's name counts from the jobs' folder.
    pub(super) background: Option<String>,
    pub(super) folder: PathBuf,
    pub(super) mirror: bool,
    pub(super) purpose: Option<String>,
    pub(super) no_badge: bool,
    pub(super) badge_place: BadgePlace,
    pub(super) badge_language: BadgeLanguage,
    pub(super) unsigned: bool,
    pub(super) duration_secs: Option<f64>,
}

impl Job {
    /// The files that it reads.
    pub(super) fn reads(&self) -> impl Iterator<Item = &Path> {
        let (Whom::Identity(whom) | Whom::Photo { path: whom, .. }) = &self.whom;
        [whom.as_path(), self.clip.as_path()].into_iter().chain(self.weights.as_deref())
    }
}

/// Reads all lines; empty ones are passed over.
pub(super) fn read(path: &Path) -> Result<Vec<Job>> {
    let about = || format!("cannot read the jobs {}", path.display());
    let text = effigy::files::read_text(path, MAX_FILE_BYTES).or_error(ErrorKind::Io, about)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let lines = text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty());
    let jobs: Vec<Job> = lines
        .map(|(i, text)| {
            job(i + 1, text, folder).map_err(|message| {
                Error::new(ErrorKind::Config, format!("{}, line {}: {message}", path.display(), i + 1))
            })
        })
        .collect::<Result<_>>()?;
    if jobs.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("{} has no line; expected one JSON object a clip", path.display()),
        ));
    }
    Ok(jobs)
}

fn job(line: usize, text: &str, folder: &Path) -> std::result::Result<Job, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| format!("expected JSON: {error}"))?;
    // The same whatever the order of keys and the blanks between them.
    let hash = Sha256::digest(value.to_string().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let line_of: Line = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let at = |path: &Path| folder.join(path);
    let whom = whom(&line_of, folder)?;
    let ending = line_of.output.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    if !ENDINGS.contains(&ending.as_str()) {
        return Err(format!("expected an output that ends in .{}", ENDINGS.join(", .")));
    }
    if ![512, 1024].contains(&line_of.size) {
        return Err(format!("expected size 512 or 1024, found {}", line_of.size));
    }
    let Line { strength: whole, head, gaze, lids, brows, mouth, keep_expression, eye_contact, predict, .. } = line_of;
    for (key, value, most) in [
        ("strength", whole, 2.0),
        ("head", head, 2.0),
        ("gaze", gaze, 2.0),
        ("lids", lids, 2.0),
        ("brows", brows, 2.0),
        ("mouth", mouth, 2.0),
        ("keep_expression", keep_expression, 1.0),
        ("eye_contact", eye_contact, 1.0),
        ("predict", predict, effigy::drive::MAX_PREDICT_MS),
    ] {
        if !(0.0..=most).contains(&value) {
            return Err(format!("expected {key} from 0 to {most}, found {value}"));
        }
    }
    if let Some(secs) = line_of.duration
        && !(secs > 0.0 && secs < 1e9)
    {
        return Err(format!("expected duration in seconds above 0, found {secs}"));
    }
    let backend: Backend = word("backend", line_of.backend.as_deref())?;
    let model = match line_of.model.as_deref().map_or(Ok(Model::Own), Model::named)? {
        Model::Pack(_) if line_of.weights.is_some() => {
            return Err("a pack has its weights in its folder: leave weights out".to_owned());
        }
        Model::Pack(folder) => Model::Pack(at(&folder)),
        model => model,
    };
    if model != Model::Own {
        model.provider(backend).map_err(|error| error.to_string())?;
    }
    Ok(Job {
        line,
        hash,
        whom,
        clip: at(&line_of.clip),
        output: at(&line_of.output),
        size_px: line_of.size,
        backend,
        model,
        weights: line_of.weights.as_deref().map(at),
        codec: line_of.codec.as_deref().unwrap_or("auto").parse().map_err(|error: Error| format!("codec: {error}"))?,
        motion: word("motion", line_of.motion.as_deref())?,
        strengths: Strengths { whole, head, gaze, lids, brows, mouth },
        keep_expression,
        eye_contact,
        predict_ms: predict,
        is_dense: !line_of.mesh_only,
        background: line_of.background,
        folder: folder.to_owned(),
        mirror: line_of.mirror,
        purpose: line_of.purpose,
        no_badge: line_of.no_badge,
        badge_place: word("badge_place", line_of.badge_place.as_deref())?,
        badge_language: word("badge_language", line_of.badge_language.as_deref())?,
        unsigned: line_of.unsigned,
        duration_secs: line_of.duration,
    })
}

fn whom(line: &Line, folder: &Path) -> std::result::Result<Whom, String> {
    match (&line.identity, &line.photo) {
        (Some(identity), None) => {
            let is_bare =
                line.consent.is_none() && line.consent_by.is_none() && line.framing.is_none() && line.face.is_none();
            if !is_bare {
                return Err(
                    "consent, consent_by, framing and face belong to a photo; an identity has its own".to_owned()
                );
            }
            Ok(Whom::Identity(folder.join(identity)))
        }
        (None, Some(photo)) => {
            let advice = "a photo needs consent: self, subject, synthetic or public-domain";
            let consent = line.consent.ok_or(advice)?;
            let consent_by = match (&line.consent_by, consent) {
                (Some(by), _) if !by.trim().is_empty() && by.len() <= 200 => by.clone(),
                (Some(_), _) => return Err("consent_by must be a name".to_owned()),
                (None, Basis::Subject) => {
                    return Err("consent subject needs the name of who agreed: consent_by".to_owned());
                }
                (None, _) => crate::cli::user::name(),
            };
            let framing = word("framing", line.framing.as_deref())?;
            if line.face == Some(0) {
                return Err("faces are counted from 1".to_owned());
            }
            Ok(Whom::Photo { path: folder.join(photo), consent, consent_by, framing, face: line.face })
        }
        _ => Err("expected either identity or photo".to_owned()),
    }
}

/// One of the words that the command line knows, or its default.
fn word<T: ValueEnum + Default>(key: &str, text: Option<&str>) -> std::result::Result<T, String> {
    let Some(text) = text else { return Ok(T::default()) };
    T::from_str(text, false).map_err(|_| {
        let words: Vec<String> =
            T::value_variants().iter().filter_map(|v| Some(v.to_possible_value()?.get_name().to_owned())).collect();
        format!("expected {key} of {}, found {text}", words.join(", "))
    })
}
