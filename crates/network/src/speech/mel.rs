//! What is heard, as powers of bands that are as wide as the ear's (mel scale; Stevens, Volkmann and Newman 1937).
//!
//! Windows are cut and transformed at the sound's own rate, and bands are counted in hertz: so nothing is resampled, and sound
//! of 16, 44.1 or 48 kHz gives the same rows. Bands above half the rate are silent.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// Bands of a row.
pub const N_BANDS: usize = 32;
/// From one row to the next, in seconds.
pub const HOP_SECS: f64 = 0.01;
/// Length of a row's window, in seconds.
pub const WINDOW_SECS: f64 = 0.025;
/// Lower end of the lowest band and upper end of the highest, in hertz.
const RANGE_HZ: [f64; 2] = [80.0, 7600.0];
/// Power that counts as silence: 90 dB below a full square wave.
const FLOOR: f32 = 1e-9;
/// No sample counts for more: what is far outside of -1..1 is nonsense, whose power would be no number.
const MAX_SAMPLE: f32 = 8.0;
/// Rates that sound can have, in samples a second.
pub(super) const RATES_HZ: (u32, u32) = (4_000, 768_000);

/// Band powers in the form that a network hears: a logarithm, about -2 in silence and 2 at full strength.
pub fn compressed(powers: &[f32; N_BANDS]) -> [f32; N_BANDS] {
    powers.map(|power| ((power + FLOOR).log10() + 5.0) / 2.0)
}

/// Makes rows of band powers out of samples.
pub struct MelBands {
    rate_hz: u32,
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    /// For each band, the first bin that it holds, and how much of each.
    bands: Vec<(usize, Vec<f32>)>,
    /// Samples not looked at yet; a row's window begins at its own place among all samples.
    samples: Vec<f32>,
    /// The place of the first of them among all samples.
    first: i64,
    n_rows: u64,
    cut: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl MelBands {
    /// For sound of this many samples a second, from 4,000 to 768,000; others are taken for the nearest.
    pub fn new(rate_hz: u32) -> Self {
        let rate_hz = rate_hz.clamp(RATES_HZ.0, RATES_HZ.1);
        let n_window = (f64::from(rate_hz) * WINDOW_SECS).round() as usize;
        let n_fft = n_window.next_power_of_two();
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(n_fft);
        let window: Vec<f32> = (0..n_window)
            .map(|i| (0.5 - 0.5 * (std::f64::consts::TAU * (i as f64 + 0.5) / n_window as f64).cos()) as f32)
            .collect();
        let energy: f32 = window.iter().map(|w| w * w).sum();
        // The power of a band does not depend on the rate.
        let scale = 2.0 / (n_fft as f32 * energy);
        let bands = bands(f64::from(rate_hz) / n_fft as f64, n_fft / 2 + 1, scale);
        let half = (n_window / 2) as i64;
        Self {
            rate_hz,
            window,
            bands,
            // The first row's window lies half before the first sample.
            samples: vec![0.0; half as usize],
            first: -half,
            n_rows: 0,
            cut: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
        }
    }

    /// Samples a second.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Takes samples (-1..1) and hands on each row that is whole: row `n` is heard around `n` hops after the first sample.
    /// Allocates only until it has once seen as many samples at a time.
    pub fn push(&mut self, samples: &[f32], mut row: impl FnMut(&[f32; N_BANDS])) {
        let sane = |x: &f32| if x.is_finite() { x.clamp(-MAX_SAMPLE, MAX_SAMPLE) } else { 0.0 };
        self.samples.extend(samples.iter().map(sane));
        let half = (self.window.len() / 2) as i64;
        loop {
            let centre = (self.n_rows as f64 * HOP_SECS * f64::from(self.rate_hz)).round() as i64;
            let from = (centre - half - self.first) as usize;
            let Some(within) = self.samples.get(from..from + self.window.len()) else {
                let n_over = from.min(self.samples.len());
                self.samples.copy_within(n_over.., 0);
                self.samples.truncate(self.samples.len() - n_over);
                self.first += n_over as i64;
                return;
            };
            self.cut.fill(0.0);
            self.cut.iter_mut().zip(within).zip(&self.window).for_each(|((cut, x), w)| *cut = x * w);
            // Lengths fit: all three are the plan's own.
            let _ = self.fft.process_with_scratch(&mut self.cut, &mut self.spectrum, &mut self.scratch);
            let powers = std::array::from_fn(|band| {
                let (first, weights) = &self.bands[band];
                self.spectrum[*first..].iter().zip(weights).map(|(bin, weight)| bin.norm_sqr() * weight).sum()
            });
            row(&powers);
            self.n_rows += 1;
        }
    }
}

fn mel(hz: f64) -> f64 {
    2595.0 * (1.0 + hz / 700.0).log10()
}

/// Triangles, each from the middle of the one before to that of the next, over bins that are `bin_hz` apart.
fn bands(bin_hz: f64, n_bins: usize, scale: f32) -> Vec<(usize, Vec<f32>)> {
    /// Of each bin so many places are looked at: the lowest bands are hardly wider than one.
    const N_PLACES: usize = 16;
    let [low, high] = RANGE_HZ.map(mel);
    let at = |i: usize| 700.0 * (10_f64.powf((low + (high - low) * i as f64 / (N_BANDS + 1) as f64) / 2595.0) - 1.0);
    let band = |band: usize| {
        let (from, middle, to) = (at(band), at(band + 1), at(band + 2));
        let triangle = |hz: f64| ((hz - from) / (middle - from)).min((to - hz) / (to - middle)).max(0.0);
        let first = ((from / bin_hz - 0.5).floor().max(0.0) as usize).min(n_bins);
        let end = ((to / bin_hz + 0.5).ceil() as usize + 1).min(n_bins);
        let weight = |bin: usize| {
            let place = |i: usize| (bin as f64 - 0.5 + (i as f64 + 0.5) / N_PLACES as f64) * bin_hz;
            scale * ((0..N_PLACES).map(|i| triangle(place(i))).sum::<f64>() / N_PLACES as f64) as f32
        };
        (first, (first..end).map(weight).collect())
    };
    (0..N_BANDS).map(band).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rate_hz: u32, n_at_once: usize) -> Vec<[f32; N_BANDS]> {
        let sample = |i: u32| {
            let t = f64::from(i) / f64::from(rate_hz);
            let wave = |hz: f64, size: f64| size * (std::f64::consts::TAU * hz * t).sin();
            (wave(150.0, 0.1) + wave(700.0, 0.2) + wave(1200.0 + 800.0 * t, 0.05) + wave(3100.0, 0.02)) as f32
        };
        let samples: Vec<f32> = (0..rate_hz).map(sample).collect();
        let (mut bands, mut rows) = (MelBands::new(rate_hz), Vec::new());
        samples.chunks(n_at_once).for_each(|chunk| bands.push(chunk, |row| rows.push(compressed(row))));
        rows
    }

    #[test]
    fn the_same_sound_is_the_same_at_any_rate_and_in_any_pieces() {
        let at_16k = rows(16_000, 160);
        assert_eq!(at_16k.len(), 99, "one second, but for half a window at its end");
        assert_eq!(at_16k, rows(16_000, 7));
        for rate_hz in [8_000, 11_025, 22_050, 44_100, 48_000, 96_000] {
            let others = rows(rate_hz, 1000);
            for (row, other) in at_16k.iter().zip(&others).skip(2) {
                for (band, (a, b)) in row.iter().zip(other).enumerate() {
                    // What is far below the loudest is what windows spread.
                    let is_heard = a.max(*b) > -0.5;
                    let is_there = f64::from(rate_hz) > 2.2 * 3_100.0;
                    assert!(!is_heard || !is_there || (a - b).abs() < 0.12, "{rate_hz} Hz, band {band}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn a_tone_is_heard_in_its_band_with_its_power() {
        for (hz, band) in [(250.0, 2), (1000.0, 11), (7000.0, 30)] {
            let samples: Vec<f32> =
                (0..16_000).map(|i| 0.5 * (std::f32::consts::TAU * hz * i as f32 / 16_000.0).sin()).collect();
            let mut last = [0.0; N_BANDS];
            MelBands::new(16_000).push(&samples, |row| last = *row);
            let loudest = (0..N_BANDS).max_by(|a, b| last[*a].total_cmp(&last[*b])).unwrap();
            assert!(loudest.abs_diff(band) <= 1, "{hz}: {loudest}");
            let power: f32 = last.iter().sum();
            assert!((0.08..0.14).contains(&power), "a sine of 0.5 has a power of 0.125, found {power} at {hz}");
        }
    }

    #[test]
    fn nonsense_is_silence_and_what_is_absurdly_loud_has_a_power() {
        let mut bands = MelBands::new(0);
        let mut n = 0;
        bands.push(&[f32::NAN, f32::INFINITY, -f32::INFINITY].repeat(400), |row| {
            n += 1;
            assert!(compressed(row).iter().all(|x| (x + 2.0).abs() < 1e-3));
        });
        assert!(n > 20);
        let (mut bands, mut n) = (MelBands::new(16_000), 0);
        bands.push(&[1e30, -1e30].repeat(4_000), |row| {
            n += 1;
            assert!(row.iter().chain(&compressed(row)).all(|x| x.is_finite()), "{row:?}");
        });
        assert!(n > 20);
    }
}
