//! What is behind the person.

use opencv::core::{Mat, Rect, Size};
use opencv::imgproc::{INTER_AREA, INTER_LINEAR, gaussian_blur_def, resize};
use pulp::Arch;

use crate::error::{Error, ErrorKind, Result};
use crate::frame::{Rgb, Rgba};

/// What is behind the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Background {
    /// The portrait's own, with the person filled in.
    Own,
    /// The portrait's own, strongly blurred.
    Blur,
    /// One colour: red, green, blue.
    Colour([u8; 3]),
    /// A picture, cut to cover the whole output. It is not mirrored.
    Picture(Rgb),
    /// Nothing: the output keeps the person's alpha.
    None,
}

impl Background {
    /// The built-in background after this one: own, blurred, chroma green, transparent, own.
    #[must_use]
    pub const fn next(&self) -> Self {
        match self {
            Self::Own => Self::Blur,
            Self::Blur => Self::Colour([0, 177, 64]),
            Self::Colour(_) | Self::Picture(_) => Self::None,
            Self::None => Self::Own,
        }
    }
}

/// Blur of [`Background::Blur`], standard deviation as a part of the picture's width.
const BLUR: f64 = 0.045;
/// What is shown where an identity's background is wanted and there is no identity: dark and neutral.
const NO_IDENTITY: [u8; 3] = [32, 34, 38];

/// A background, ready at the output's size.
pub(super) struct Plate {
    /// `None`: transparent.
    picture: Option<Rgb>,
    /// Its pixels, alpha 0.
    words: Vec<u32>,
    /// Whether it belongs to the portrait and is mirrored with it.
    is_own: bool,
}

impl Plate {
    /// Prepares `background`; `own` is the identity's.
    pub(super) fn new(background: &Background, own: Option<&Rgb>, size_px: usize) -> Result<Self> {
        let is_own = matches!(background, Background::Own | Background::Blur);
        let picture = match (background, own) {
            (Background::None, _) => None,
            (Background::Colour(colour), _) => Some(filled(*colour, size_px)),
            (Background::Picture(picture), _) => Some(cover(picture, (size_px, size_px))?),
            (Background::Own | Background::Blur, None) => Some(filled(NO_IDENTITY, size_px)),
            (Background::Own, Some(own)) => Some(cover(own, (size_px, size_px))?),
            (Background::Blur, Some(own)) => Some(blurred(&cover(own, (size_px, size_px))?)?),
        };
        let words = picture.as_ref().map_or_else(Vec::new, words);
        Ok(Self { picture, words, is_own })
    }

    /// Its picture; `None` is transparent.
    pub(super) fn picture(&self) -> Option<&Rgb> {
        self.picture.as_ref()
    }

    /// Writes `person` over this plate into `out`, all of one size.
    pub(super) fn under(&self, person: &Rgba, mirror: bool, out: &mut Rgba) {
        let width = person.width_px();
        // On the processor's widest vectors; the loops are plain.
        Arch::new().dispatch(|| {
            for y in 0..person.height_px() {
                let from = person.row(y).as_chunks::<4>().0;
                let to = &mut out.data_mut()[y * width * 4..][..width * 4];
                let to = to.as_chunks_mut::<4>().0;
                if self.picture.is_none() {
                    copy_row(from, mirror, to);
                    continue;
                }
                let plate = &self.words[y * width..][..width];
                match (mirror, self.is_own) {
                    (false, _) => blend_row(from.iter(), plate.iter(), to),
                    (true, true) => blend_row(from.iter().rev(), plate.iter().rev(), to),
                    (true, false) => blend_row(from.iter().rev(), plate.iter(), to),
                }
            }
        });
    }
}

fn copy_row(from: &[[u8; 4]], mirror: bool, to: &mut [[u8; 4]]) {
    to.copy_from_slice(from);
    if mirror {
        to.reverse();
    }
}

#[inline(always)]
fn blend_row<'a>(person: impl Iterator<Item = &'a [u8; 4]>, plate: impl Iterator<Item = &'a u32>, to: &mut [[u8; 4]]) {
    for ((to, from), &under) in to.iter_mut().zip(person).zip(plate) {
        *to = blend(u32::from_le_bytes(*from), under).to_le_bytes();
    }
}

/// `person` over `under` by the person's alpha; opaque. Two channels at a time, each in 16 bits.
#[inline(always)]
fn blend(person: u32, under: u32) -> u32 {
    const EVEN: u32 = 0x00ff_00ff;
    let alpha = person >> 24;
    let mix = |person: u32, under: u32| {
        let sum = (person & EVEN) * alpha + (under & EVEN) * (255 - alpha) + 0x0080_0080;
        // Exact division by 255 for sums below 65536.
        ((sum + (sum >> 8 & EVEN)) >> 8) & EVEN
    };
    mix(person, under) | mix(person >> 8, under >> 8) << 8 | 0xff00_0000
}

/// The pixels of a plate, alpha 0.
fn words(picture: &Rgb) -> Vec<u32> {
    picture.data().as_chunks::<3>().0.iter().map(|&[r, g, b]| u32::from_le_bytes([r, g, b, 0])).collect()
}

fn filled(colour: [u8; 3], size_px: usize) -> Rgb {
    let mut picture = Rgb::new(size_px, size_px);
    picture.data_mut().as_chunks_mut::<3>().0.fill(colour);
    picture
}

/// The middle of `picture`, cut to the shape of `size_px` (width, height) and brought to it.
pub(super) fn cover(picture: &Rgb, size_px: (usize, usize)) -> Result<Rgb> {
    let (width, height) = (picture.width_px(), picture.height_px());
    if width == 0 || height == 0 {
        return Err(Error::new(ErrorKind::Config, "the background picture is empty"));
    }
    if (width, height) == size_px {
        return Ok(picture.clone());
    }
    let is_wider = width * size_px.1 > height * size_px.0;
    let cut_width = if is_wider { (height * size_px.0 / size_px.1).max(1) } else { width };
    let cut_height = if is_wider { height } else { (width * size_px.1 / size_px.0).max(1) };
    let (left, top) = ((width - cut_width) / 2, (height - cut_height) / 2);
    let middle = Rect::new(left as i32, top as i32, cut_width as i32, cut_height as i32);
    let mat = picture.as_mat()?;
    let cut = Mat::roi(&mat, middle)?;
    let mut covered = Rgb::new(size_px.0, size_px.1);
    let method = if cut_width > size_px.0 { INTER_AREA } else { INTER_LINEAR };
    let size = Size::new(size_px.0 as i32, size_px.1 as i32);
    resize(&cut, &mut covered.as_mat_mut()?, size, 0.0, 0.0, method)?;
    Ok(covered)
}

fn blurred(picture: &Rgb) -> Result<Rgb> {
    let mut soft = Rgb::new(picture.width_px(), picture.height_px());
    let sigma = picture.width_px() as f64 * BLUR;
    // The short form: the long one has another signature in each version of OpenCV.
    gaussian_blur_def(&picture.as_mat()?, &mut soft.as_mat_mut()?, Size::default(), sigma)?;
    Ok(soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blending_rounds_to_the_nearest_level() {
        for alpha in 0..=255_u32 {
            for (a, b) in [(0, 255), (255, 0), (255, 255), (1, 254), (100, 37), (128, 127)] {
                let blended = blend(u32::from_le_bytes([a, b, a, alpha as u8]), u32::from_le_bytes([b, a, b, 0]));
                let expected = |person: u8, under: u8| {
                    let sum = u32::from(person) * alpha + u32::from(under) * (255 - alpha);
                    (f64::from(sum) / 255.0).round() as u8
                };
                assert_eq!(blended.to_le_bytes(), [expected(a, b), expected(b, a), expected(a, b), 255], "{alpha}");
            }
        }
    }

    #[test]
    fn a_mirror_turns_the_person_and_what_is_the_portraits_own() {
        let (width, height) = (7, 3);
        let person = (0..width * height * 4).map(|i| (i * 89 % 256) as u8).collect();
        let person = Rgba::from_data(width, height, person).unwrap();
        let plate = (0..width * height * 3).map(|i| (i * 57 % 256) as u8).collect();
        let plate = Rgb::from_data(width, height, plate).unwrap();
        let over = |plate: &Plate, mirror: bool| {
            let mut out = Rgba::new(width, height);
            plate.under(&person, mirror, &mut out);
            out
        };
        let flipped = |mut picture: Rgba| {
            picture.data_mut().chunks_exact_mut(width * 4).for_each(|row| row.as_chunks_mut::<4>().0.reverse());
            picture
        };
        let plate_of = |picture: Rgb, is_own| Plate { words: words(&picture), picture: Some(picture), is_own };
        let none = Plate { picture: None, words: Vec::new(), is_own: false };
        assert_eq!(over(&none, true), flipped(over(&none, false)));
        let own = plate_of(plate, true);
        assert_eq!(over(&own, true), flipped(over(&own, false)));
        // A picture that was put behind is nobody's mirror image; turned by hand, it stands as before.
        let mut turned = own.picture.clone().unwrap();
        turned.data_mut().chunks_exact_mut(width * 3).for_each(|row| row.as_chunks_mut::<3>().0.reverse());
        let other = plate_of(turned, false);
        assert_eq!(over(&other, true), flipped(over(&own, false)));
    }
}
