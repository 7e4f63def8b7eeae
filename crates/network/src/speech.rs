//! A mouth that moves as it is heard: from sound to the strengths of the mouth's expressions, by a small network.
//!
//! [`MelBands`] hears: one row of band powers every ten milliseconds, from sound of any rate. [`SpeechNetwork`] says what the mouth
//! does, [`LOOK_AHEAD`] rows later than it is heard; [`SpeechListener`] does both, sample by sample. Training uses the same bands.

use effigy_base::geometry::{COEFFICIENT_NAMES, N_COEFFICIENTS};

pub use listener::SpeechListener;
pub use mel::{HOP_SECS, MelBands, N_BANDS, WINDOW_SECS, compressed};
pub use network::{
    BUILT_IN, DILATIONS, LEAK, LOOK_AHEAD, N_FIRST_TAPS, N_TAPS, N_UNITS, REACH, SpeechNetwork, SpeechState, shapes,
};

mod listener;
mod mel;
mod network;

/// Numbers that say what a mouth does.
pub const N_MOUTH: usize = 10;

/// What the mouth does at one moment, each 0..1 in the order of [`MOUTH_NAMES`].
pub type Mouth = [f32; N_MOUTH];

/// What the numbers are called; those with two sides are the same on both.
pub const MOUTH_NAMES: [&str; N_MOUTH] = [
    "jawOpen",
    "mouthFunnel",
    "mouthPucker",
    "mouthStretch",
    "mouthSmile",
    "mouthLowerDown",
    "mouthUpperUp",
    "mouthPress",
    "mouthRollLower",
    "mouthRollUpper",
];

/// How much of each number is shown. The network says the mean of all that a sound might be, so jaw and round lips are too weak;
/// teeth that show as in clear speech look like a grin. Set by eye, on people's recorded speech.
const SHOWN: Mouth = [1.5, 1.2, 1.2, 0.7, 0.5, 0.55, 0.3, 1.0, 1.0, 1.0];
/// A jaw that is said to be open by less is shut: the network's doubt, not a gap between lips.
const LEAST_JAW: f32 = 0.03;

/// Where the numbers of a mouth stand among a face's coefficients.
#[derive(Clone, Debug)]
pub struct MouthPlaces {
    /// (place among the coefficients, place in [`Mouth`]).
    pairs: Vec<(usize, usize)>,
}

impl Default for MouthPlaces {
    fn default() -> Self {
        let of = |name: &str| {
            let base = name.strip_suffix("Left").or(name.strip_suffix("Right")).unwrap_or(name);
            MOUTH_NAMES.iter().position(|known| *known == base)
        };
        Self { pairs: COEFFICIENT_NAMES.iter().enumerate().filter_map(|(c, name)| Some((c, of(name)?))).collect() }
    }
}

impl MouthPlaces {
    /// Writes a mouth into a face's coefficients, as it shall be shown; the others stay as they are.
    pub fn write(&self, mouth: &Mouth, coefficients: &mut [f32; N_COEFFICIENTS]) {
        for &(coefficient, place) in &self.pairs {
            let doubt = if place == 0 { LEAST_JAW } else { 0.0 };
            coefficients[coefficient] = ((mouth[place] - doubt) * SHOWN[place]).clamp(0.0, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_coefficients() {
        let places = MouthPlaces::default();
        assert_eq!(places.pairs.len(), 5 + 2 * 5);
        let mut coefficients = [0.0; N_COEFFICIENTS];
        places.write(&std::array::from_fn(|i| 0.1 * i as f32), &mut coefficients);
        let at = |name: &str| coefficients[COEFFICIENT_NAMES.iter().position(|known| *known == name).unwrap()];
        assert!((at("mouthPucker") - 0.24).abs() < 1e-6 && (at("mouthPressLeft") - 0.7).abs() < 1e-6);
        assert_eq!((at("jawOpen"), at("mouthPressRight")), (0.0, at("mouthPressLeft")));
    }
}
