//! What rooms, microphones and lines do to speech, in its band powers.
//!
//! Powers of independent sounds add up, a room lets power die away at one rate, and a line scales each band. So all of it is done
//! to the rows that a network hears, anew each time, and nothing is transformed again.

use effigy_base::random::Rng;
use effigy_network::speech::N_BANDS;

/// Rows of band powers.
pub type Powers = Vec<[f32; N_BANDS]>;

/// Changes rows of speech whose mean power where somebody speaks is `loud`.
pub fn augment(powers: &mut Powers, loud: f32, rng: &mut Rng) {
    if rng.chance(0.5) {
        reverberate(powers, rng);
    }
    colour(powers, rng);
    // From a whisper far away to a voice at the microphone.
    let gain = decibels(rng.range(-30.0, 8.0));
    powers.iter_mut().flatten().for_each(|power| *power *= gain);
    if rng.chance(0.75) {
        add_noise(powers, loud * gain * decibels(-rng.range(6.0, 45.0)), rng);
    }
    if rng.chance(0.25) {
        add_knocks(powers, loud * gain, rng);
    }
}

/// Noise alone, as a microphone hears where nobody speaks, from inaudible to as loud as a voice far away.
pub fn noise_alone(powers: &mut Powers, rng: &mut Rng) {
    powers.iter_mut().for_each(|row| row.fill(0.0));
    let power = decibels(rng.range(-85.0, -35.0));
    add_noise(powers, power, rng);
    if rng.chance(0.5) {
        add_knocks(powers, 100.0 * power, rng);
    }
}

fn decibels(level: f32) -> f32 {
    10_f32.powf(0.1 * level)
}

/// A room: of each row a part stays and dies away, in a fifth of a second to more than half of one.
fn reverberate(powers: &mut Powers, rng: &mut Rng) {
    let secs = rng.range(0.2, 0.7);
    // By 60 dB in that time.
    let keep = decibels(-60.0 * 0.01 / secs);
    let share = rng.range(0.02, 0.35) * (1.0 - keep) / keep;
    let mut tail = [0.0; N_BANDS];
    for row in powers {
        for (power, tail) in row.iter_mut().zip(&mut tail) {
            let dry = *power;
            *power += *tail;
            *tail = *tail * keep + dry * share;
        }
    }
}

/// A microphone and a line: a tilt, a hill or valley, and ends that nothing comes through.
fn colour(powers: &mut Powers, rng: &mut Rng) {
    let (tilt, middle, hill) = (rng.range(-9.0, 9.0), rng.range(0.0, 1.0), rng.range(-9.0, 9.0));
    let (low, high) = match rng.below(10) {
        // A telephone; a band as wide as a call's.
        0 => (4, 24),
        1 => (2, N_BANDS - 2),
        2 => (rng.below(5), N_BANDS - rng.below(8)),
        _ => (0, N_BANDS),
    };
    let scale: [f32; N_BANDS] = std::array::from_fn(|band| {
        let place = band as f32 / (N_BANDS - 1) as f32;
        let level = tilt * (place - 0.5) + hill * (-((place - middle) / 0.2).powi(2)).exp();
        decibels(if band < low || band >= high { -50.0 } else { level })
    });
    for row in powers {
        row.iter_mut().zip(scale).for_each(|(power, scale)| *power *= scale);
    }
}

/// Noise of this power in all: of any colour, and steady or swelling.
fn add_noise(powers: &mut Powers, power: f32, rng: &mut Rng) {
    let (tilt, wave, phase) = (rng.range(-30.0, 10.0), rng.range(0.0, 6.0), rng.range(0.0, 6.3));
    let shape: [f32; N_BANDS] = std::array::from_fn(|band| {
        let place = band as f32 / (N_BANDS - 1) as f32;
        decibels(tilt * place + wave * (6.3 * place + phase).sin())
    });
    let scale = power / shape.iter().sum::<f32>().max(1e-12);
    let swell = if rng.chance(0.3) { rng.range(0.0, 6.0) } else { 0.0 };
    let pace = rng.range(0.01, 0.3);
    for (i, row) in powers.iter_mut().enumerate() {
        let level = scale * decibels(swell * (i as f32 * pace + phase).sin());
        for (band, power) in row.iter_mut().enumerate() {
            // Wide bands hold more that is independent.
            let trembling = if band < 12 { 1.0 } else { 0.5 };
            *power += level * shape[band] * (trembling * (rng.normal() - 0.5 * trembling)).exp();
        }
    }
}

/// Keys, chairs, cups: short, of all bands.
fn add_knocks(powers: &mut Powers, loud: f32, rng: &mut Rng) {
    for _ in 0..rng.below(4) + 1 {
        let at = rng.below(powers.len());
        let (level, tilt) = (loud * decibels(rng.range(-20.0, 3.0)) / N_BANDS as f32, rng.range(-15.0, 15.0));
        let keep = rng.range(0.1, 0.6);
        for (after, row) in powers[at..].iter_mut().take(8).enumerate() {
            for (band, power) in row.iter_mut().enumerate() {
                let place = band as f32 / (N_BANDS - 1) as f32;
                *power += level * keep.powi(after as i32) * decibels(tilt * place) * (rng.normal()).exp();
            }
        }
    }
}
