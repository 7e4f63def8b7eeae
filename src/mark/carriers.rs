//! Which waves the pattern is made of, and their phases: all of it follows from a key.

use std::f64::consts::TAU;

/// Tiles along each side of the picture.
pub(super) const TILES: usize = 4;
/// The longest wave has so many periods in a tile: 43 pixels of a picture of 512.
const LEAST_PERIODS: i32 = 3;
/// The shortest wave: 10.7 pixels of a picture of 512. Codecs drop what is shorter, and eyes see it better.
pub(super) const MOST_PERIODS: i32 = 12;
/// Waves of known phase.
pub(super) const N_SYNC: usize = 120;
/// Waves whose phase carries two bits each.
pub(super) const N_DATA: usize = 64;
/// All waves.
pub(super) const N_CARRIERS: usize = N_SYNC + N_DATA;

/// What the waves follow from. Whoever knows it can find the mark, and make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub u64);

impl Key {
    /// The key that everyone knows, so that everyone can verify.
    pub const PUBLIC: Self = Self(0x6566_6669_6779_0001);
}

/// One wave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carrier {
    /// Periods in a tile to the right and down.
    pub(super) periods: (i32, i32),
    /// Its phase at the tile's corner, as a complex number (real, imaginary).
    pub(super) phase: (f32, f32),
}

/// The waves of `key`: first those of known phase, then those that carry the message.
pub(super) fn carriers(key: Key) -> Vec<Carrier> {
    let mut lattice = Vec::new();
    for v in 0..=MOST_PERIODS {
        for u in -MOST_PERIODS..=MOST_PERIODS {
            let squared = u * u + v * v;
            // Half the plane: a wave and its opposite are one.
            if (v > 0 || u > 0) && (LEAST_PERIODS.pow(2)..=MOST_PERIODS.pow(2)).contains(&squared) {
                lattice.push((u, v));
            }
        }
    }
    let mut random = SplitMix(key.0);
    for i in (1..lattice.len()).rev() {
        lattice.swap(i, (random.next() % (i as u64 + 1)) as usize);
    }
    let carrier = |&periods: &(i32, i32)| {
        let angle = TAU * (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
        Carrier { periods, phase: (angle.cos() as f32, angle.sin() as f32) }
    };
    lattice.iter().take(N_CARRIERS).map(carrier).collect()
}

/// Random numbers that are the same everywhere. Source: Steele et al., "Fast splittable pseudorandom number generators", 2014.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
