//! The sentence with which a person agrees to be shown, spoken: what is to be said, how it is recorded, what is kept of it.

use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use crate::clock::MonotonicClock;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::{Opener, SpokenStatement, sha256, utc};
use crate::microphone::{self, Microphone, MicrophoneSpec};
use crate::video::heard::sound_secs;

/// The largest recording that is kept, in bytes.
pub const MAX_BYTES: u64 = 64 << 20;
/// No sentence is shorter, in seconds, and no recording longer.
const LENGTHS_SECS: std::ops::RangeInclusive<f64> = 1.0..=600.0;
/// How long a microphone is listened to at most.
pub const MAX_LISTENING: Duration = Duration::from_secs(60);
/// A recording whose loudest sample is below this holds no voice.
const SILENT: f32 = 0.003;
/// How soon it notices that enough was heard.
const MAX_WAIT: Duration = Duration::from_millis(50);

/// A recording of the sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The file.
    pub bytes: Vec<u8>,
    /// What such a file's name ends in, without the dot.
    pub extension: String,
    /// What an identity keeps of it.
    pub spoken: SpokenStatement,
}

/// What is to be said where nobody has written another sentence. It names who speaks, and the day.
pub fn sentence(by: &str, now_unix_secs: u64) -> String {
    let now = utc(now_unix_secs);
    let day = now.get(..10).unwrap_or_default();
    format!("My name is {by}. On {day} I agree that my face is shown with movements that are not mine.")
}

/// Reads a recording, sealed or not, and checks that there is sound in it.
///
/// # Errors
/// [`ErrorKind::Io`] when it cannot be read; [`ErrorKind::Config`] when it is no sound, too short, too long or too large.
pub fn read(path: &Path, opener: &Opener) -> Result<Recording> {
    let about =
        |error: Error| Error::new(error.kind(), format!("cannot use the recording {}", path.display())).because(error);
    let bytes = crate::files::read(path, MAX_BYTES + (1 << 20)).map_err(|error| {
        let is_large = error.kind() == std::io::ErrorKind::FileTooLarge;
        let kind = if is_large { ErrorKind::Config } else { ErrorKind::Io };
        Error::new(kind, format!("cannot read the recording {}", path.display())).because(error)
    })?;
    let bytes = opener.open(path, bytes, MAX_BYTES).map_err(about)?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("audio").to_ascii_lowercase();
    Recording::of(bytes, extension).map_err(about)
}

/// Listens to a microphone until `is_enough`, or for [`MAX_LISTENING`]; it is told how loud it is, 0 to 1.
///
/// # Errors
/// Those of [`microphone::listen`]; [`ErrorKind::Config`] when nothing or too little was heard.
pub fn record(spec: &MicrophoneSpec, is_enough: impl FnMut(f32) -> bool) -> Result<Recording> {
    let listening = microphone::listen(spec, MonotonicClock::new())?;
    record_from(listening.microphone(), is_enough)
}

fn record_from(microphone: &Microphone, mut is_enough: impl FnMut(f32) -> bool) -> Result<Recording> {
    let feed = microphone.feed();
    let (begin, mut rate_hz, mut peak) = (Instant::now(), 0, 0.0_f32);
    let mut samples: Vec<i16> = Vec::new();
    let mut is_over = false;
    loop {
        is_over = is_over || begin.elapsed() >= MAX_LISTENING || is_enough(microphone.level());
        // At the end what was heard already is still taken.
        let wait = if is_over { Duration::ZERO } else { MAX_WAIT };
        let block = match feed.recv_timeout(wait) {
            Ok(block) => block,
            Err(RecvTimeoutError::Timeout) if !is_over => continue,
            Err(_) => break,
        };
        if rate_hz != 0 && rate_hz != block.rate_hz {
            return Err(Error::new(ErrorKind::DeviceLost, "the microphone changed while it was recorded; try again"));
        }
        rate_hz = block.rate_hz;
        for [left, right] in block.frames() {
            let sample = (left + right) / 2.0;
            peak = peak.max(sample.abs());
            samples.push((sample * f32::from(i16::MAX)).round() as i16);
        }
    }
    if microphone.n_lost() > 0 {
        return Err(Error::new(ErrorKind::Io, "parts of the recording were lost: the machine is too busy; try again"));
    }
    if peak < SILENT {
        let message =
            format!("nothing was heard from {}: is it muted? `effigy devices` lists others", microphone.name());
        return Err(Error::new(ErrorKind::Config, message));
    }
    Recording::of(wav(&samples, rate_hz), "wav".to_owned())
}

impl Recording {
    fn of(bytes: Vec<u8>, extension: String) -> Result<Self> {
        let config = |message: String| Err(Error::new(ErrorKind::Config, message));
        let Some(secs) = sound_secs(bytes.clone()) else {
            return config(
                "expected a recording of a voice (WAV, FLAC, MP3, M4A, Ogg …), found no sound in it".to_owned(),
            );
        };
        if !LENGTHS_SECS.contains(&secs) {
            let (least, most) = (LENGTHS_SECS.start(), LENGTHS_SECS.end());
            return config(format!("it is {secs:.1} s long; a sentence takes from {least} to {most} s"));
        }
        // Letters and digits alone: it becomes part of a file's name.
        let is_plain = (1..=8).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let spoken = SpokenStatement {
            sha256: sha256(&bytes),
            n_bytes: bytes.len() as u64,
            duration_millis: (secs * 1e3).round() as u64,
        };
        Ok(Self { bytes, extension: if is_plain { extension } else { "audio".to_owned() }, spoken })
    }
}

/// One channel of 16 bits as a WAV file.
fn wav(samples: &[i16], rate_hz: u32) -> Vec<u8> {
    let n_bytes = samples.len() as u32 * 2;
    let mut file = Vec::with_capacity(44 + n_bytes as usize);
    file.extend(b"RIFF");
    file.extend((36 + n_bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    // Of the format: its length, PCM, one channel.
    file.extend([16, 0, 0, 0, 1, 0, 1, 0]);
    file.extend(rate_hz.to_le_bytes());
    file.extend((rate_hz * 2).to_le_bytes());
    // Bytes of a moment, bits of a sample.
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend(n_bytes.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    /// Listens while a voice of `secs` is heard.
    fn heard(secs: f64, loudness: f32) -> Result<Recording> {
        let (microphone, mut inlet) = Microphone::new("test".to_owned());
        let mut n_pushed = 0_u64;
        record_from(&microphone, |_| {
            let is_enough = n_pushed as f64 >= secs * 8000.0;
            let begin = n_pushed;
            let voice = (0..800).map(|i| [(f64::from(i + begin as u32) * 0.3).sin() as f32 * loudness; 2]);
            inlet.push(Timestamp::from_nanos(n_pushed * 125_000), 8000, voice);
            n_pushed += 800;
            is_enough
        })
    }

    #[test]
    fn what_a_microphone_hears_becomes_a_file_that_others_read() {
        let recording = heard(2.0, 0.5).unwrap();
        assert_eq!((&*recording.extension, &recording.bytes[..4]), ("wav", &b"RIFF"[..]));
        let spoken = &recording.spoken;
        assert!((1500..=2200).contains(&spoken.duration_millis), "{spoken:?}");
        assert_eq!((spoken.n_bytes, &spoken.sha256), (recording.bytes.len() as u64, &sha256(&recording.bytes)));
        let path = std::env::temp_dir().join(format!("effigy-statement-{}.wav", std::process::id()));
        std::fs::write(&path, &recording.bytes).unwrap();
        assert_eq!(read(&path, &Opener::default()).unwrap(), recording);
        std::fs::write(&path, b"no sound at all, but some text of a length").unwrap();
        let error = read(&path, &Opener::default()).unwrap_err();
        assert!(error.to_string().contains("found no sound"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn silence_and_a_word_alone_are_no_statement() {
        assert!(heard(2.0, 0.0).unwrap_err().to_string().contains("nothing was heard from test"));
        assert!(heard(0.3, 0.5).unwrap_err().to_string().contains("a sentence takes from 1 to 600 s"));
    }

    #[test]
    fn the_sentence_names_who_and_when() {
        assert_eq!(
            sentence("Ann Example", 1_735_689_599),
            "My name is Ann Example. On 2024-12-31 I agree that my face is shown with movements that are not mine."
        );
    }
}
