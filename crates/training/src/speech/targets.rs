//! What a mouth does over an utterance: shapes that run into each other.

use effigy_network::speech::{HOP_SECS, Mouth, N_MOUTH};

use super::visemes::{Kind, Viseme};

/// A phoneme, from when on it is heard; the next one ends it.
pub type Phoneme = (f32, String);

/// A sound with its shape, from and to when it is heard, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sound {
    /// Begin and end, in seconds.
    pub secs: [f32; 2],
    /// Its shape.
    pub viseme: Viseme,
}

/// How much lips and jaw round off what they are told, as a standard deviation in rows.
const SPREAD: f32 = 1.5;
/// Sounds further away than so many times their reach are not felt.
const FAR: f32 = 3.0;

/// The sounds of an utterance. A phoneme of two shapes has each for half its time.
pub fn sounds(phonemes: &[Phoneme], end_secs: f32) -> Vec<Sound> {
    let mut sounds: Vec<Sound> = Vec::new();
    for (i, (from, ipa)) in phonemes.iter().enumerate() {
        let to = phonemes.get(i + 1).map_or(end_secs, |(next, _)| *next).min(end_secs);
        let secs = to - from;
        if secs <= 0.0 {
            continue;
        }
        let shapes = if ipa.is_empty() { vec![Viseme::pause(secs)] } else { Viseme::of_phoneme(ipa) };
        if shapes.is_empty() {
            // What has no shape lengthens what was before.
            if let Some(last) = sounds.last_mut() {
                last.secs[1] = to;
            }
            continue;
        }
        let share = secs / shapes.len() as f32;
        for (part, viseme) in shapes.into_iter().enumerate() {
            let begin = from + share * part as f32;
            match sounds.last_mut() {
                // Two pauses in a row are one.
                Some(last) if last.viseme.kind == Kind::Pause && viseme.kind == Kind::Pause => {
                    last.secs[1] = begin + share;
                    last.viseme = Viseme::pause(last.secs[1] - last.secs[0]);
                }
                _ => sounds.push(Sound { secs: [begin, begin + share], viseme }),
            }
        }
    }
    sounds
}

/// What the mouth does at each of `n` rows: the mean of all shapes, each with its dominance, which fades with the distance from
/// the middle of its sound.
pub fn mouths(sounds: &[Sound], n: usize) -> Vec<Mouth> {
    let mut rough = Vec::with_capacity(n);
    for row in 0..n {
        let secs = (row as f64 * HOP_SECS) as f32;
        let (mut sum, mut weight) = ([0.0; N_MOUTH], [1e-6; N_MOUTH]);
        for sound in sounds {
            let Viseme { mouth, dominance, reach_secs, .. } = &sound.viseme;
            let [begin, end] = sound.secs;
            // The shape is reached a little after its begin, and left a little before its end.
            let edge = 0.25 * (end - begin).min(0.12);
            let away = ((begin + edge - secs).max(secs - (end - edge)).max(0.0)) / reach_secs;
            if away > FAR {
                continue;
            }
            let near = (-away * away).exp();
            for i in 0..N_MOUTH {
                sum[i] += near * dominance[i] * mouth[i];
                weight[i] += near * dominance[i];
            }
        }
        rough.push(std::array::from_fn(|i| sum[i] / weight[i]));
    }
    smoothed(&rough)
}

fn smoothed(rows: &[Mouth]) -> Vec<Mouth> {
    const SIDE: isize = 4;
    let weights: Vec<f32> = (-SIDE..=SIDE).map(|x| (-0.5 * (x as f32 / SPREAD).powi(2)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    let last = rows.len() as isize - 1;
    let at = |row: isize, i: usize| {
        let near = |x: isize| rows[(row + x).clamp(0, last) as usize][i];
        (-SIDE..=SIDE).zip(&weights).map(|(x, weight)| weight * near(x)).sum::<f32>() / sum
    };
    (0..=last).map(|row| std::array::from_fn(|i| at(row, i))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::visemes::SHUT_JAW;
    use super::*;

    fn said(phonemes: &[(f32, &str)], end_secs: f32) -> Vec<Mouth> {
        let phonemes: Vec<Phoneme> = phonemes.iter().map(|(secs, ipa)| (*secs, (*ipa).to_owned())).collect();
        mouths(&sounds(&phonemes, end_secs), (f64::from(end_secs) / HOP_SECS) as usize)
    }

    #[test]
    fn lips_meet_between_open_vowels_and_rest_in_pauses() {
        let mouths = said(&[(0.0, ""), (0.4, "m"), (0.48, "a"), (0.62, "p"), (0.69, "aː"), (0.85, ""), (0.9, "")], 1.5);
        let jaw = |secs: f32| mouths[(secs * 100.0) as usize][0];
        assert!(jaw(0.1) < 0.01 && jaw(1.3) < 0.01);
        assert!(jaw(0.44) < SHUT_JAW && jaw(0.65) < SHUT_JAW, "{} {}", jaw(0.44), jaw(0.65));
        assert!(jaw(0.55) > 0.3 && jaw(0.77) > 0.3, "{} {}", jaw(0.55), jaw(0.77));
        let jump = mouths.windows(2).map(|pair| (pair[1][0] - pair[0][0]).abs()).fold(0.0, f32::max);
        assert!(jump < 0.12, "{jump} in ten milliseconds");
    }

    #[test]
    fn a_consonant_of_the_tongue_takes_its_lips_from_the_vowels_beside_it() {
        let pucker = |vowel: &str| said(&[(0.0, vowel), (0.15, "k"), (0.22, vowel)], 0.4)[18][2];
        assert!(pucker("u") > 0.5 && pucker("i") < 0.1, "{} {}", pucker("u"), pucker("i"));
    }

    #[test]
    fn what_has_no_shape_of_its_own_adds_nothing() {
        let all = sounds(&[(0.0, "t".into()), (0.1, "ʲ".into()), (0.2, "aɪ".into()), (0.4, String::new())], 1.0);
        let secs: Vec<[f32; 2]> = all.iter().map(|sound| sound.secs).collect();
        assert_eq!(secs, [[0.0, 0.2], [0.2, 0.3], [0.3, 0.4], [0.4, 1.0]]);
    }
}
