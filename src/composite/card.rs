//! The placeholder: a card that says why there is no portrait.

use glam::Vec2;

use super::text::{centred_line, coverage, rounded_box};
use crate::error::Result;
use crate::frame::Rgba;

/// Why there is no portrait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardReason {
    /// The user paused the output.
    Paused,
    /// There is a picture, but no face in it.
    LookingForFace,
    /// The camera or clip delivers nothing.
    NoSignal,
}

impl CardReason {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::Paused, Self::LookingForFace, Self::NoSignal];

    /// What the card says.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Paused => "Paused",
            Self::LookingForFace => "Looking for a face",
            Self::NoSignal => "No signal",
        }
    }
}

const ABOVE: [f32; 3] = [46.0, 50.0, 58.0];
const BELOW: [f32; 3] = [26.0, 28.0, 33.0];
const FIGURE: [f32; 3] = [116.0, 122.0, 133.0];
const TEXT: [f32; 3] = [222.0, 226.0, 232.0];

/// The cards of one frame size.
pub(super) struct Cards([Rgba; CardReason::ALL.len()]);

impl Cards {
    /// Draws all cards for frames of this (width, height): a square in the middle, and its ground beside it.
    pub(super) fn new((width, height): (usize, usize)) -> Result<Self> {
        let blank = figure(width, height);
        let side = width.min(height);
        let (left, top) = ((width - side) / 2, (height - side) / 2);
        let mut cards = std::array::from_fn(|_| blank.clone());
        for (card, reason) in cards.iter_mut().zip(CardReason::ALL) {
            let ink = centred_line(reason.text(), side, 0.83, 0.034)?;
            let rows = card.data_mut().chunks_exact_mut(width * 4).skip(top);
            for (row, ink) in rows.zip(ink.data().chunks_exact(side)) {
                for (pixel, &cover) in row.as_chunks_mut::<4>().0[left..].iter_mut().zip(ink) {
                    over(pixel, TEXT, f32::from(cover) / 255.0);
                }
            }
        }
        Ok(Self(cards))
    }

    /// The card for `reason`.
    pub(super) fn get(&self, reason: CardReason) -> &Rgba {
        &self.0[reason as usize]
    }
}

/// Head and shoulders in a disc, on a dark ground.
fn figure(width: usize, height: usize) -> Rgba {
    let mut picture = Rgba::new(width, height);
    let size = width.min(height) as f32;
    let (left, top) = (((width - width.min(height)) / 2) as f32, ((height - width.min(height)) / 2) as f32);
    for (i, pixel) in picture.data_mut().as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let at = Vec2::new((i % width) as f32 + 0.5 - left, (i / width) as f32 + 0.5 - top) / size;
        let depth = ((i / width) as f32 + 0.5) / height as f32;
        // Half a step of noise hides the bands of a dark gradient.
        let noise = ((i.wrapping_mul(2_654_435_761) >> 7) & 255) as f32 / 255.0 - 0.5;
        let ground: [f32; 3] = std::array::from_fn(|c| ABOVE[c] + (BELOW[c] - ABOVE[c]) * depth + noise);
        *pixel = [ground[0].round() as u8, ground[1].round() as u8, ground[2].round() as u8, 255];
        let p = at - Vec2::new(0.5, 0.42);
        let disc = p.length() - 0.25;
        over(pixel, [62.0, 67.0, 76.0], coverage(disc * size));
        let head = (p - Vec2::new(0.0, -0.055)).length() - 0.082;
        let shoulders = rounded_box(p - Vec2::new(0.0, 0.21), Vec2::new(0.155, 0.145), 0.115);
        let shape = head.min(shoulders).max(disc);
        over(pixel, FIGURE, coverage(shape * size));
    }
    picture
}

fn over(pixel: &mut [u8; 4], colour: [f32; 3], cover: f32) {
    for (sample, ink) in pixel.iter_mut().zip(colour) {
        *sample = (f32::from(*sample) + (ink - f32::from(*sample)) * cover).round() as u8;
    }
}
