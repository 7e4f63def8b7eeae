//! What the badge says in each language, as shapes by their distance: the letters drawn here, three characters out of a picture.

use glam::Vec2;

use crate::composite::text::capsule;

/// The language of the badge's word, of those that the control page speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum BadgeLanguage {
    /// AI
    #[default]
    En,
    /// KI
    De,
    /// IA
    Es,
    /// AI合成, in simplified Chinese: made with AI
    Zh,
    /// AI生成, in Japanese: made with AI
    Ja,
    /// ИИ
    Ru,
}

impl BadgeLanguage {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::En, Self::De, Self::Es, Self::Zh, Self::Ja, Self::Ru];
    /// What they are called, in the same order.
    pub const NAMES: [&str; 6] = ["en", "de", "es", "zh", "ja", "ru"];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The one that is called so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.name() == name)
    }

    /// What the badge says.
    pub const fn word(self) -> &'static str {
        match self {
            Self::En => "AI",
            Self::De => "KI",
            Self::Es => "IA",
            Self::Zh => "AI合成",
            Self::Ja => "AI生成",
            Self::Ru => "ИИ",
        }
    }
}

/// Characters as distances; `glyphs.txt` beside it says where they come from, `scripts/badge_glyphs.py` makes them.
const GLYPHS: &[u8] = include_bytes!("glyphs.pgm");
/// Bytes of [`GLYPHS`] before its pixels.
const GLYPHS_HEAD: usize = b"P5\n96 288\n255\n".len();
/// The characters in [`GLYPHS`], from above.
const GLYPH_ORDER: [char; 3] = ['合', '生', '成'];
/// Pixels a side of one of them.
const GLYPH_SIDE: usize = 96;
/// How far from its edge a pixel tells the distance, as a part of the side.
const GLYPH_SPREAD: f32 = 0.125;
const _: () = assert!(GLYPHS.len() == GLYPHS_HEAD + GLYPH_ORDER.len() * GLYPH_SIDE * GLYPH_SIDE);

/// Half the thickness of a letter's strokes, for its height.
const STROKE: f32 = 0.085;
/// Half the height of a letter's middle lines.
const TOP: f32 = 0.42;
/// Between the middle lines of two letters.
const GAP: f32 = 0.32;
/// Side of a character's square, for a letter's height: as large as letters look beside it.
const BODY: f32 = 1.2;
/// Between a letter or character and a character.
const BODY_GAP: f32 = 0.16;

/// A stroke from one point to another.
type Stroke = [[f32; 2]; 2];

/// One letter or character.
#[derive(Clone, Copy)]
enum Glyph {
    /// Strokes around the letter's middle, and half its width.
    Letter(&'static [Stroke], f32),
    /// Its place in [`GLYPH_ORDER`].
    Character(usize),
}

impl Glyph {
    fn of(letter: char) -> Self {
        const A: &[Stroke] = &[[[-0.36, TOP], [0.0, -TOP]], [[0.36, TOP], [0.0, -TOP]], [[-0.22, 0.14], [0.22, 0.14]]];
        const K: &[Stroke] =
            &[[[-0.27, TOP], [-0.27, -TOP]], [[-0.27, 0.1], [0.26, -TOP]], [[-0.05, -0.1], [0.29, TOP]]];
        const RUSSIAN_I: &[Stroke] =
            &[[[-0.3, TOP], [-0.3, -TOP]], [[-0.3, TOP], [0.3, -TOP]], [[0.3, TOP], [0.3, -TOP]]];
        const I: &[Stroke] = &[[[0.0, TOP], [0.0, -TOP]]];
        match letter {
            'A' => Self::Letter(A, 0.36),
            'K' => Self::Letter(K, 0.28),
            'И' => Self::Letter(RUSSIAN_I, 0.3),
            other => GLYPH_ORDER.iter().position(|known| *known == other).map_or(Self::Letter(I, 0.0), Self::Character),
        }
    }

    fn half_width(self) -> f32 {
        match self {
            Self::Letter(_, half) => half,
            Self::Character(_) => BODY / 2.0,
        }
    }

    fn distance(self, p: Vec2) -> f32 {
        match self {
            Self::Letter(strokes, _) => {
                let stroke = |[a, b]: &Stroke| capsule(p, Vec2::from(*a), Vec2::from(*b), STROKE);
                strokes.iter().map(stroke).fold(f32::INFINITY, f32::min)
            }
            Self::Character(which) => character(which, p),
        }
    }
}

/// Distance of `p`, counted from a character's middle, from its outside.
fn character(which: usize, p: Vec2) -> f32 {
    let side = GLYPH_SIDE as f32;
    // The middle of the first pixel is at (0.5, 0.5); beyond the picture its border goes on.
    let at = ((p / BODY + 0.5) * side - 0.5).clamp(Vec2::ZERO, Vec2::splat(side - 1.001));
    let (x, y, part) = (at.x as usize, at.y as usize, at.fract());
    let first = GLYPHS_HEAD + which * GLYPH_SIDE * GLYPH_SIDE;
    let value = |x: usize, y: usize| f32::from(GLYPHS[first + y * GLYPH_SIDE + x]);
    let across = |y: usize| value(x, y) + (value(x + 1, y) - value(x, y)) * part.x;
    let value = across(y) + (across(y + 1) - across(y)) * part.y;
    (128.0 - value) / 127.0 * GLYPH_SPREAD * BODY
}

/// A word as shapes: one unit is a letter's height, the origin its middle.
pub(super) struct Word {
    /// Each glyph, and where its middle is.
    glyphs: Vec<(Glyph, f32)>,
    width: f32,
}

impl Word {
    pub(super) fn of(language: BadgeLanguage) -> Self {
        let mut glyphs: Vec<(Glyph, f32)> = Vec::new();
        let mut end = 0.0;
        for glyph in language.word().chars().map(Glyph::of) {
            end += match (glyphs.last(), glyph) {
                (None, _) => 0.0,
                (Some((Glyph::Letter(..), _)), Glyph::Letter(..)) => GAP,
                (Some((Glyph::Letter(..), _)), Glyph::Character(_)) => BODY_GAP + STROKE,
                // A character's square has room of its own.
                (Some(_), _) => 0.04,
            };
            glyphs.push((glyph, end + glyph.half_width()));
            end += 2.0 * glyph.half_width();
        }
        for (_, middle) in &mut glyphs {
            *middle -= end / 2.0;
        }
        Self { glyphs, width: end + 2.0 * STROKE }
    }

    /// From the first stroke's edge to the last one's.
    pub(super) fn width(&self) -> f32 {
        self.width
    }

    /// Distance of `p` from the outside of the letters; negative inside.
    pub(super) fn distance(&self, p: Vec2) -> f32 {
        let one = |&(glyph, middle): &(Glyph, f32)| glyph.distance(p - Vec2::new(middle, 0.0));
        self.glyphs.iter().map(one).fold(f32::INFINITY, f32::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_own_ink_within_its_width() {
        let mut drawn = std::collections::HashSet::new();
        for language in BadgeLanguage::ALL {
            let word = Word::of(language);
            let mut ink = String::new();
            for y in -20..=20 {
                for x in -60..=60 {
                    let p = Vec2::new(x as f32, y as f32) * 0.04;
                    let is_inside = word.distance(p) < 0.0;
                    assert!(!is_inside || (p.x.abs() <= word.width() / 2.0 && p.y.abs() < 0.62), "{language:?}: {p}");
                    ink.push(if is_inside { '#' } else { '.' });
                }
            }
            assert!(ink.matches('#').count() > 60, "{language:?}");
            assert!(drawn.insert(ink), "{language:?} looks as another");
            assert_eq!(BadgeLanguage::named(language.name()), Some(language));
        }
    }
}
