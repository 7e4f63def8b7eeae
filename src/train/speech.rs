//! Utterances of a data set become what the mouth that moves as it is heard learns from.

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::speech::MelBands;
use crate::video::hear::SoundReader;

pub use effigy_training::speech::{FILE_NAME, Figures, Part, SpeechOptions, Utterance, teach};

/// The file that lists a data set's utterances.
const LIST: &str = "utterances.jsonl";

/// A line of the list.
#[derive(Deserialize)]
struct Line {
    file: String,
    part: String,
    phonemes: Vec<(f32, String)>,
}

/// Reads the utterances that `scripts/speech_data.py` made, or others in its form: sound files of any kind beside a list of their
/// phonemes.
///
/// # Errors
/// [`ErrorKind::Io`] when the list or a file of it cannot be read; [`ErrorKind::Config`] when a line says what is none.
pub fn utterances(folder: &Path) -> Result<Vec<Utterance>> {
    let path = folder.join(LIST);
    let text = std::fs::read_to_string(&path).or_error(ErrorKind::Io, || {
        format!("cannot read {}; make a data set with scripts/speech_data.py -o {}", path.display(), folder.display())
    })?;
    let read = |(i, line): (usize, &str)| {
        let about = || format!("{}, line {}", path.display(), i + 1);
        let expected = || {
            let form = "{\"file\": \"a.wav\", \"part\": \"train\", \"phonemes\": [[0.0, \"\"], [0.3, \"m\"]]}";
            format!("{}: expected an utterance such as {form}", about())
        };
        let line: Line = serde_json::from_str(line).or_error(ErrorKind::Config, expected)?;
        let part =
            Part::named(&line.part).map_err(|error| Error::new(error.kind(), format!("{}: {error}", about())))?;
        let mut reader = SoundReader::open(&folder.join(&line.file), Path::new(&line.file))?;
        let mut bands = MelBands::new(reader.rate_hz());
        let (mut samples, mut powers) = (Vec::new(), Vec::new());
        while reader.read(&mut samples)? {
            bands.push(&samples, |row| powers.push(*row));
        }
        Ok(Utterance::new(part, powers, &line.phonemes))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(read).collect()
}
