//! Training of the mouth that moves as it is heard: from utterances with their phonemes to the weights of
//! `models/speech.safetensors`.
//!
//! An [`Utterance`] is what was heard, as band powers, and when each phoneme was said. [`visemes`] says what a mouth does for
//! each, [`targets`] how one runs into the next, [`augment`] changes what is heard; [`teach`] is the loop, [`figures`] what was
//! learned. [`effigy_network::speech`] runs the network, and makes the band powers here as there.

use effigy_base::error::{Error, ErrorKind, Result};
use effigy_network::speech::{Mouth, N_BANDS};

pub use figures::{Figures, figures};
pub use targets::{Phoneme, Sound};
pub use teach::{FILE_NAME, SpeechOptions, teach};

pub mod augment;
mod figures;
pub mod targets;
mod teach;
pub mod visemes;

/// What an utterance is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// To learn from.
    Train,
    /// To measure with: a voice that nothing was learned from.
    Voices,
    /// To measure with: a language that nothing was learned from.
    Language,
}

impl Part {
    /// As it is written in a data set.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for another word.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "train" => Ok(Self::Train),
            "voices" => Ok(Self::Voices),
            "language" => Ok(Self::Language),
            _ => Err(Error::new(
                ErrorKind::Config,
                format!("expected the part train, voices or language, found \"{name}\""),
            )),
        }
    }
}

/// What somebody said.
#[derive(Clone, Debug)]
pub struct Utterance {
    /// What it is for.
    pub part: Part,
    /// Band powers, a row every ten milliseconds.
    pub powers: Vec<[f32; N_BANDS]>,
    /// Its sounds.
    pub sounds: Vec<Sound>,
    /// What the mouth does at each row.
    pub mouths: Vec<Mouth>,
}

impl Utterance {
    /// Puts together what was heard and when its phonemes were said.
    pub fn new(part: Part, powers: Vec<[f32; N_BANDS]>, phonemes: &[Phoneme]) -> Self {
        let secs = (powers.len() as f64 * effigy_network::speech::HOP_SECS) as f32;
        let sounds = targets::sounds(phonemes, secs);
        let mouths = targets::mouths(&sounds, powers.len());
        Self { part, powers, sounds, mouths }
    }
}

#[cfg(test)]
mod tests;
