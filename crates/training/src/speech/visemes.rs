//! What a mouth does for each sound of speech: a plain table from phonemes to shapes.
//!
//! Sounds that look alike share a shape (visemes; Fisher 1968). A sound insists on some numbers and leaves others to its
//! neighbours: lips must meet for a p, whatever the tongue does; for a k nobody sees more than an open mouth (dominance; Löfqvist
//! 1990, Cohen and Massaro 1993). Strengths are those that trackers report of people who speak clearly, not of acted faces: an
//! "ah" opens the jaw by half. The engine lets lips touch where `jawOpen` is below 0.08, so only sounds that shut the lips ask
//! for less.

use effigy_network::speech::{Mouth, N_MOUTH};

/// A shape of the mouth, how strongly each of its numbers is insisted on, and how long it takes to come and go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viseme {
    /// What the mouth does.
    pub mouth: Mouth,
    /// How much each number counts against those of neighbours.
    pub dominance: Mouth,
    /// How far it reaches over its neighbours, in seconds.
    pub reach_secs: f32,
    /// What kind of sound it is, for figures.
    pub kind: Kind,
}

/// Kinds of sounds that figures tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nobody speaks.
    Pause,
    /// p, b, m: the lips meet.
    Shut,
    /// Vowels that open the jaw wide.
    Open,
    /// Vowels that round the lips.
    Round,
    /// All others.
    Other,
}

/// Of lips that meet: less than that the engine shows as a gap.
pub const SHUT_JAW: f32 = 0.08;

/// Where the jaw's opening and the pressing of the lips stand in a [`Mouth`].
pub const JAW: usize = 0;
/// See [`JAW`].
pub const PRESS: usize = 7;

/// The shapes: jawOpen, funnel, pucker, stretch, smile, lowerDown, upperUp, press, rollLower, rollUpper.
const REST: Mouth = [0.0; N_MOUTH];
/// p, b, m: shut, lips pressed and a little rolled in.
const BILABIAL: Mouth = [0.0, 0.0, 0.05, 0.0, 0.0, 0.0, 0.0, 0.35, 0.20, 0.15];
/// f, v: the lower lip under the upper teeth, which show.
const LABIODENTAL: Mouth = [0.10, 0.0, 0.0, 0.05, 0.0, 0.05, 0.25, 0.05, 0.35, 0.0];
/// th: the tongue between teeth that are a little open.
const DENTAL: Mouth = [0.16, 0.0, 0.0, 0.05, 0.0, 0.20, 0.12, 0.0, 0.0, 0.0];
/// t, d, n, l, r: the jaw nearly shut for the tongue's tip.
const ALVEOLAR: Mouth = [0.14, 0.0, 0.0, 0.08, 0.05, 0.20, 0.10, 0.0, 0.0, 0.0];
/// s, z, ts: teeth together, lips apart.
const SIBILANT: Mouth = [0.10, 0.0, 0.0, 0.18, 0.10, 0.28, 0.14, 0.0, 0.0, 0.0];
/// sh, zh, ch: teeth together behind lips pushed forward.
const POSTALVEOLAR: Mouth = [0.12, 0.40, 0.30, 0.0, 0.0, 0.22, 0.20, 0.0, 0.0, 0.0];
/// k, g, ng, and what is made further back: nothing of it is seen but an open mouth.
const VELAR: Mouth = [0.18, 0.0, 0.0, 0.05, 0.0, 0.16, 0.08, 0.0, 0.0, 0.0];
/// English r: rounded a little.
const APPROXIMANT: Mouth = [0.14, 0.25, 0.35, 0.0, 0.0, 0.12, 0.08, 0.0, 0.0, 0.0];
/// w: lips nearly shut and pushed forward.
const LABIOVELAR: Mouth = [0.10, 0.30, 0.75, 0.0, 0.0, 0.02, 0.0, 0.0, 0.0, 0.0];
/// a: wide open.
const A: Mouth = [0.52, 0.0, 0.0, 0.05, 0.05, 0.42, 0.20, 0.0, 0.0, 0.0];
/// The a of father and lot: wide open, further back, a little round.
const A_BACK: Mouth = [0.50, 0.12, 0.05, 0.0, 0.0, 0.32, 0.14, 0.0, 0.0, 0.0];
/// The a of cat: wide open and wide.
const AE: Mouth = [0.44, 0.0, 0.0, 0.18, 0.14, 0.45, 0.24, 0.0, 0.0, 0.0];
/// The e of bed, and of café.
const E_OPEN: Mouth = [0.34, 0.0, 0.0, 0.16, 0.16, 0.38, 0.20, 0.0, 0.0, 0.0];
const E: Mouth = [0.26, 0.0, 0.0, 0.20, 0.24, 0.35, 0.18, 0.0, 0.0, 0.0];
/// The vowel of unstressed syllables, and that of but.
const SCHWA: Mouth = [0.24, 0.05, 0.05, 0.0, 0.0, 0.24, 0.12, 0.0, 0.0, 0.0];
const BUT: Mouth = [0.36, 0.0, 0.0, 0.05, 0.05, 0.30, 0.14, 0.0, 0.0, 0.0];
/// i: nearly shut, wide.
const I: Mouth = [0.15, 0.0, 0.0, 0.25, 0.34, 0.30, 0.16, 0.0, 0.0, 0.0];
const I_LAX: Mouth = [0.20, 0.0, 0.0, 0.16, 0.20, 0.28, 0.14, 0.0, 0.0, 0.0];
/// i and e with round lips, as in French and German.
const Y: Mouth = [0.12, 0.35, 0.70, 0.0, 0.0, 0.10, 0.06, 0.0, 0.0, 0.0];
const OE: Mouth = [0.25, 0.42, 0.45, 0.0, 0.0, 0.20, 0.10, 0.0, 0.0, 0.0];
/// u; o of no, o of law.
const U: Mouth = [0.13, 0.35, 0.80, 0.0, 0.0, 0.08, 0.02, 0.0, 0.0, 0.0];
const U_LAX: Mouth = [0.17, 0.30, 0.50, 0.0, 0.0, 0.12, 0.05, 0.0, 0.0, 0.0];
const O: Mouth = [0.30, 0.45, 0.50, 0.0, 0.0, 0.16, 0.06, 0.0, 0.0, 0.0];
const O_OPEN: Mouth = [0.40, 0.38, 0.28, 0.0, 0.0, 0.22, 0.10, 0.0, 0.0, 0.0];

/// How much a sound counts where it does not say otherwise.
const VOWEL: f32 = 1.0;
const CONSONANT: f32 = 0.6;
const FAINT: f32 = 0.25;
/// What a sound cannot be made without.
const NEEDED: f32 = 10.0;

/// How far sounds reach, in seconds: lips that meet do so shortly.
const SLOW_SECS: f32 = 0.07;
const QUICK_SECS: f32 = 0.035;

const fn even(dominance: f32) -> Mouth {
    [dominance; N_MOUTH]
}

const fn viseme(mouth: Mouth, dominance: Mouth, reach_secs: f32, kind: Kind) -> Viseme {
    Viseme { mouth, dominance, reach_secs, kind }
}

impl Viseme {
    /// A pause of so many seconds: short ones leave the mouth to the sounds beside them.
    pub fn pause(secs: f32) -> Self {
        let dominance = if secs > 0.2 { 2.0 } else { 0.4 };
        viseme(REST, even(dominance), SLOW_SECS, Kind::Pause)
    }

    /// The shapes of a phoneme in IPA, one after the other: a diphthong has two. Empty where it is none: marks of length, tone
    /// and stress have no shape of their own.
    pub fn of_phoneme(ipa: &str) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (i, letter) in ipa.chars().enumerate() {
            // Breath after a stop is no sound of its own.
            if letter == 'h' && i > 0 {
                continue;
            }
            // Lips that are pushed forward a little: the Japanese u.
            if letter == 'ᵝ' {
                if let Some(last) = all.last_mut() {
                    last.mouth[2] = last.mouth[2].max(0.3);
                }
                continue;
            }
            let Some(next) = Self::of_letter(letter) else { continue };
            if all.last() != Some(&next) {
                all.push(next);
            }
        }
        all
    }

    fn of_letter(letter: char) -> Option<Self> {
        use Kind::{Open, Other, Round, Shut};
        let vowel = |mouth, kind| viseme(mouth, even(VOWEL), SLOW_SECS, kind);
        let tongue = |mouth, dominance| viseme(mouth, even(dominance), SLOW_SECS, Other);
        Some(match letter {
            'p' | 'b' | 'm' => {
                let n = NEEDED;
                viseme(BILABIAL, [n, 0.3, 0.3, 0.3, 0.3, n, n, n, n, n], QUICK_SECS, Shut)
            }
            'f' | 'v' | 'ʋ' | 'ɱ' => {
                let n = NEEDED / 2.0;
                viseme(LABIODENTAL, [n, 0.5, 0.5, 0.5, 0.3, n, n, 1.0, n, n], QUICK_SECS, Other)
            }
            'θ' | 'ð' => tongue(DENTAL, CONSONANT),
            't' | 'd' | 'n' | 'l' | 'ɫ' | 'ɭ' | 'ʎ' | 'ɲ' | 'ɟ' | 'c' | 'r' | 'ɾ' | 'ɽ' | 'ʈ' | 'ɖ' | 'ɳ' => {
                tongue(ALVEOLAR, CONSONANT)
            }
            's' | 'z' => viseme(SIBILANT, [3.0, 1.0, 1.0, 1.0, 1.0, 1.5, 1.5, 1.0, 1.0, 1.0], QUICK_SECS, Other),
            'ʃ' | 'ʒ' | 'ʂ' | 'ʐ' | 'ɕ' | 'ʑ' => {
                viseme(POSTALVEOLAR, [3.0, 2.0, 1.5, 1.0, 1.0, 1.5, 1.5, 1.0, 1.0, 1.0], QUICK_SECS, Other)
            }
            'k' | 'g' | 'ɡ' | 'ŋ' | 'x' | 'ɣ' | 'χ' | 'ʁ' | 'ç' | 'q' => tongue(VELAR, FAINT),
            'h' | 'ɦ' | 'ʔ' => tongue(SCHWA, 0.1),
            'ɹ' | 'ɻ' => tongue(APPROXIMANT, CONSONANT),
            'w' | 'ɥ' => viseme(LABIOVELAR, [1.5, 2.0, 3.0, 1.0, 1.0, 1.5, 1.5, 1.0, 1.0, 1.0], SLOW_SECS, Other),
            // Lips come together, and let the breath through.
            'β' | 'ɸ' => viseme(LABIOVELAR.map(|x| 0.5 * x), even(1.5), QUICK_SECS, Other),
            'j' => tongue(I, CONSONANT),
            'a' | 'ä' | 'ɐ' => vowel(A, Open),
            'ɑ' | 'ɒ' => vowel(A_BACK, Open),
            'æ' => vowel(AE, Open),
            'ɛ' => vowel(E_OPEN, Other),
            'e' => vowel(E, Other),
            'ə' | 'ɵ' | 'ɚ' => viseme(SCHWA, even(0.7), SLOW_SECS, Other),
            'ʌ' | 'ɜ' | 'ɝ' => vowel(BUT, Other),
            'i' => vowel(I, Other),
            'ɪ' | 'ɨ' | 'ᵻ' | 'ɯ' => vowel(I_LAX, Other),
            'y' | 'ʏ' | 'ʉ' => vowel(Y, Round),
            'ø' | 'œ' => vowel(OE, Round),
            'u' => vowel(U, Round),
            'ʊ' => vowel(U_LAX, Round),
            'o' => vowel(O, Round),
            'ɔ' => vowel(O_OPEN, Round),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phonemes_have_the_shapes_of_their_letters() {
        let kinds = |ipa: &str| Viseme::of_phoneme(ipa).iter().map(|viseme| viseme.kind).collect::<Vec<_>>();
        assert_eq!(kinds("m"), [Kind::Shut]);
        assert_eq!(kinds("ph"), [Kind::Shut], "its breath is no h");
        assert_eq!(kinds("aʊ"), [Kind::Open, Kind::Round]);
        assert_eq!(kinds("iː"), [Kind::Other]);
        assert_eq!(kinds("h"), [Kind::Other]);
        assert!(kinds("ː").is_empty() && kinds("").is_empty() && kinds("ʲ").is_empty());
        assert!(Viseme::of_phoneme("ɯᵝ")[0].mouth[2] > Viseme::of_phoneme("ɯ")[0].mouth[2]);
    }

    #[test]
    fn only_p_b_and_m_shut_the_lips() {
        for letter in 'a'..='ʯ' {
            if let Some(viseme) = Viseme::of_letter(letter) {
                assert_eq!(
                    viseme.mouth[0] < SHUT_JAW,
                    viseme.kind == Kind::Shut || letter == 'β' || letter == 'ɸ',
                    "{letter}"
                );
            }
        }
    }
}
