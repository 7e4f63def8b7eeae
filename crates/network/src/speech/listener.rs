//! From samples to what the mouth does.

use super::mel::RATES_HZ;
use super::{HOP_SECS, LOOK_AHEAD, MelBands, Mouth, N_MOUTH, SpeechNetwork, SpeechState, compressed};
use effigy_base::error::{Error, ErrorKind, Result};

/// Answers that are kept: a third of a second.
const N_KEPT: usize = 32;

/// Listens to speech and says what the mouth does, in the sound's own time.
pub struct SpeechListener {
    network: &'static SpeechNetwork,
    bands: MelBands,
    state: SpeechState,
    /// What the mouth does at each of the last rows, in a ring: row `n` at `n % N_KEPT`.
    mouths: [Mouth; N_KEPT],
    n_rows: u64,
}

impl SpeechListener {
    /// For sound of this many samples a second.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when they are fewer than 4,000 or more than 768,000; [`ErrorKind::Model`] when the program was built
    /// from a torn file.
    pub fn new(rate_hz: u32) -> Result<Self> {
        let (least, most) = RATES_HZ;
        if !(least..=most).contains(&rate_hz) {
            let message = format!(
                "sound of {rate_hz} samples a second; a mouth is heard from {least} to {most}: convert it first"
            );
            return Err(Error::new(ErrorKind::Io, message));
        }
        let network = SpeechNetwork::built_in()?;
        let state = network.silence();
        Ok(Self { network, bands: MelBands::new(rate_hz), state, mouths: [[0.0; N_MOUTH]; N_KEPT], n_rows: 0 })
    }

    /// Samples a second.
    pub fn rate_hz(&self) -> u32 {
        self.bands.rate_hz()
    }

    /// Hears samples (-1..1).
    pub fn hear(&mut self, samples: &[f32]) {
        let Self { network, bands, state, mouths, n_rows } = self;
        bands.push(samples, |row| {
            let mouth = network.hear(&compressed(row), state);
            if let Some(of) = n_rows.checked_sub(LOOK_AHEAD as u64) {
                mouths[(of % N_KEPT as u64) as usize] = mouth;
            }
            *n_rows += 1;
        });
    }

    /// Until when it is known what the mouth does, in seconds from the first sample; `None` at the very beginning.
    pub fn known_secs(&self) -> Option<f64> {
        let last = self.n_rows.checked_sub(LOOK_AHEAD as u64 + 1)?;
        Some(last as f64 * HOP_SECS)
    }

    /// What the mouth does `secs` seconds after the first sample: between rows by a straight line, and no later than is known.
    /// What is longer ago than a quarter of a second is forgotten.
    pub fn mouth(&self, secs: f64) -> Mouth {
        let Some(last) = self.n_rows.checked_sub(LOOK_AHEAD as u64 + 1) else { return [0.0; N_MOUTH] };
        let first = last.saturating_sub(N_KEPT as u64 - 1);
        let place = (secs / HOP_SECS).clamp(first as f64, last as f64);
        let before = place.floor() as u64;
        let share = (place - before as f64) as f32;
        let at = |row: u64| &self.mouths[(row.min(last) % N_KEPT as u64) as usize];
        let (a, b) = (at(before), at(before + 1));
        std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_that_would_be_taken_for_faster_or_slower_is_refused_with_its_rate() {
        for rate_hz in [0, 3_999, 768_001, u32::MAX] {
            let Err(error) = SpeechListener::new(rate_hz) else { panic!("{rate_hz} is taken") };
            let expected = format!("sound of {rate_hz} samples a second; a mouth is heard from 4000 to 768000");
            assert_eq!(error.kind(), ErrorKind::Io);
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
        for rate_hz in [4_000, 16_000, 768_000] {
            assert_eq!(SpeechListener::new(rate_hz).unwrap().rate_hz(), rate_hz);
        }
    }
}
