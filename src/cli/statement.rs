//! The spoken statement at enrolment: where it comes from, what is said about it, where it is kept.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use effigy::error::OrError as _;
use effigy::identity::{Opener, Seal, now_unix_secs, sha256};
use effigy::microphone::MicrophoneSpec;
use effigy::statement::{self, MAX_LISTENING, Recording};
use effigy::{Error, ErrorKind, Result, files};

use super::outputs::cannot_write;

/// Where a spoken statement comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AudioSpec {
    /// A recording.
    File(PathBuf),
    /// A microphone, now.
    Microphone(MicrophoneSpec),
}

impl TryFrom<&OsStr> for AudioSpec {
    type Error = Error;

    fn try_from(name: &OsStr) -> Result<Self> {
        let text = name.to_str().unwrap_or_default();
        Ok(match text.strip_prefix("microphone") {
            Some("") => Self::Microphone(MicrophoneSpec::First),
            Some(rest) if rest.starts_with(':') => Self::Microphone(rest[1..].parse()?),
            _ => Self::File(name.into()),
        })
    }
}

/// A statement on its way into an identity and beside it.
pub(crate) struct Statement {
    pub(crate) recording: Recording,
    place: PathBuf,
    /// The recording is there already, in the plain, as it shall be.
    is_there: bool,
}

/// The sentence that was typed, or the one that is said where none was.
pub(crate) fn sentence(typed: Option<&str>, audio: Option<&AudioSpec>, by: &str) -> Option<String> {
    typed.map(str::to_owned).or_else(|| audio.map(|_| statement::sentence(by, now_unix_secs())))
}

/// Reads a recording that was named, before the work of seconds; of a microphone it is checked only where it will be kept.
pub(crate) fn read(
    audio: Option<&AudioSpec>,
    identity: &Path,
    sentence: &str,
    is_sealed: bool,
) -> Result<Option<Statement>> {
    match audio {
        None => Ok(None),
        Some(AudioSpec::Microphone(_)) => {
            let place = place(identity, "wav", is_sealed);
            if place.exists() {
                return Err(taken(&place));
            }
            Ok(None)
        }
        Some(AudioSpec::File(path)) => {
            let recording = statement::read(path, &Opener::default())?;
            log::info!("what should be heard in {}: {sentence}", path.display());
            log::warn!("that it is said there, and by whom, is not checked: listen to it");
            let place = place(identity, &recording.extension, is_sealed);
            let there = files::read(&place, statement::MAX_BYTES).ok();
            let is_there = there.is_some_and(|bytes| sha256(&bytes) == recording.spoken.sha256);
            if place.exists() && !is_there {
                return Err(taken(&place));
            }
            Ok(Some(Statement { recording, place, is_there }))
        }
    }
}

/// Records a microphone: the sentence is shown, and Enter ends it.
pub(crate) fn record(
    microphone: &MicrophoneSpec,
    identity: &Path,
    sentence: &str,
    is_sealed: bool,
) -> Result<Statement> {
    log::info!(
        "recording: read this aloud, then press Enter (at most {} s):\n\n  {sentence}\n",
        MAX_LISTENING.as_secs()
    );
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let wait = move || {
        // The end of the input ends it as well.
        let _ = std::io::stdin().read_line(&mut String::new());
        over.store(true, Ordering::Relaxed);
    };
    std::thread::Builder::new()
        .name("enter".to_owned())
        .spawn(wait)
        .or_error(ErrorKind::Internal, || "cannot wait for Enter".to_owned())?;
    let recording = statement::record(microphone, |_| is_over.load(Ordering::Relaxed))?;
    log::info!("recorded: {:.1} s", recording.spoken.duration_millis as f64 / 1e3);
    let place = place(identity, &recording.extension, is_sealed);
    Ok(Statement { recording, place, is_there: false })
}

impl Statement {
    /// Keeps the recording beside the identity, sealed as that is; says where.
    pub(crate) fn keep(&self, seal: Option<&Seal>) -> Result<&Path> {
        if !self.is_there {
            let bytes = seal.map(|seal| seal.apply(&self.recording.bytes)).transpose()?;
            let bytes = bytes.as_ref().unwrap_or(&self.recording.bytes);
            files::write(&self.place, bytes).map_err(|error| cannot_write(&self.place, error))?;
        }
        Ok(&self.place)
    }
}

/// Beside the identity: NAME.statement.wav, and .age behind it where that is sealed.
fn place(identity: &Path, extension: &str, is_sealed: bool) -> PathBuf {
    identity.with_extension(format!("statement.{extension}{}", if is_sealed { ".age" } else { "" }))
}

fn taken(place: &Path) -> Error {
    let message = format!("another recording is where this one would be kept; move it away: {}", place.display());
    Error::new(ErrorKind::Config, message)
}
