//! From samples to what the mouth does.

use super::{HOP_SECS, LOOK_AHEAD, MelBands, Mouth, N_MOUTH, SpeechNetwork, SpeechState, compressed};
use effigy_base::error::Result;

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
    /// [`effigy_base::error::ErrorKind::Model`] when the program was built from a torn file.
    pub fn new(rate_hz: u32) -> Result<Self> {
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
