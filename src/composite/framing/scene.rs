//! What a frame shows of an identity, before its size is known: the photo, who is in it, and how it goes on beyond its border.
//!
//! Beyond the border the photo is mirrored, without the person, ever softer and a little darker: as what a lens does not
//! hold in focus. It is small, since it is soft, and made once.

use glam::Vec2;
use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, resize};

use super::axis::{Tap, smoothstep};
use super::crown::Crown;
use super::layout::Subject;
use crate::error::Result;
use crate::frame::{Grey, Picture, Rgb};
use crate::geometry::HeadPlacement;
use crate::identity::{Identity, plate};

/// Longest side of the photo in what is soft, in pixels.
const SOFT_PX: usize = 320;
/// How far it goes on beyond the photo, as a part of its longest side; further out its last pixels are repeated.
const REACH: f32 = 0.8;
/// Distances from the border, and standard deviations of the blur there, as parts of the photo's longest side.
const BLURS: [(f32, f32); 4] = [(0.0, 0.008), (0.05, 0.025), (0.16, 0.06), (0.4, 0.12)];
/// Within this distance the person's mirrored shoulder fades, as a part of the photo's longest side.
const PERSON_FADE: f32 = 0.06;
/// Blurs of hair that goes on above the border, and of its outline, as parts of the photo's longest side.
const CROWN_BLURS: (f32, f32) = (0.004, 0.005);
/// How much darker it is far out.
const DARKER: f32 = 0.3;
/// Blur of a background that is asked to be blurred, as a part of the photo's longest side.
const BACKGROUND_BLUR: f32 = 0.035;

/// A small soft picture in the photo's space.
#[derive(Clone, Debug)]
pub(super) struct Soft {
    pixels: Vec<[f32; 3]>,
    width: usize,
    height: usize,
    /// Its pixels for one of the photo's.
    scale: f32,
    /// The photo's upper left corner in it.
    origin: Vec2,
}

impl Soft {
    /// Where a place along one axis of the photo is read: 0 is x, 1 is y.
    pub(super) fn tap(&self, axis: usize, place_in_photo: f32) -> Tap {
        Tap::at(place_in_photo * self.scale + self.origin[axis], [self.width, self.height][axis])
    }

    pub(super) fn read(&self, x: Tap, y: Tap) -> [f32; 3] {
        let row = |row: u32, c: usize| {
            let at = |column: u32| self.pixels[row as usize * self.width + column as usize][c];
            at(x.first) + (at(x.second) - at(x.first)) * x.weight as f32 / 256.0
        };
        std::array::from_fn(|c| {
            let (upper, lower) = (row(y.first, c), row(y.second, c));
            upper + (lower - upper) * y.weight as f32 / 256.0
        })
    }
}

/// Everything of one identity that framing needs. Made slowly, once.
pub(super) struct Scene {
    pub(super) subject: Subject,
    /// The photo, then ever halved.
    pub(super) levels: Vec<Rgb>,
    /// Everybody in the photo, in its shape.
    pub(super) everybody: Grey,
    /// The person in the portrait's square.
    pub(super) person: Grey,
    /// The portrait's square without the person.
    pub(super) background: Rgb,
    /// Where that is made up: 255 is.
    pub(super) made_up: Grey,
    /// The photo and how it goes on.
    pub(super) around: Soft,
    /// The photo without anybody, softly, and how that goes on.
    pub(super) bare: Soft,
    /// The head at rest in the portrait, as a part of its side.
    pub(super) rest: HeadPlacement,
}

impl Scene {
    /// Makes the scene of an identity; without its photo the portrait is the photo.
    pub(super) fn new(identity: &Identity) -> Result<Self> {
        let (photo, everybody) = match &identity.photo {
            Some(photo) => (&photo.picture, &photo.matte),
            None => (&identity.portrait, &identity.matte),
        };
        let small = shrunk_to(photo, SOFT_PX)?;
        let matte = resized(everybody, small.width_px(), small.height_px())?;
        let empty = plate::fill_background(&small, &matte);
        let scale = small.width_px() as f32 / photo.width_px() as f32;
        let mut levels = vec![photo.clone()];
        while levels[levels.len() - 1].width_px().min(levels[levels.len() - 1].height_px()) >= 128 {
            let last = &levels[levels.len() - 1];
            levels.push(resized(last, last.width_px().div_ceil(2), last.height_px().div_ceil(2))?);
        }
        Ok(Self {
            subject: Subject::of(identity),
            levels,
            everybody: everybody.clone(),
            person: identity.matte.clone(),
            made_up: difference(&identity.portrait, &identity.background),
            background: identity.background.clone(),
            around: around(&small, &matte, &empty, scale),
            bare: bare(&empty, scale),
            rest: HeadPlacement::at_rest(&identity.shape, 1.0 / identity.size_px() as f32),
        })
    }

    /// The level whose pixels are not much smaller than those of a frame at `scale`, and its pixels for one of the photo's.
    pub(super) fn level(&self, scale: f32) -> (&Rgb, f32) {
        // Read bilinearly, a source may have up to 1.4 pixels for one.
        let n_halvings = (1.0 / scale).log2().round().max(0.0) as usize;
        let level = &self.levels[n_halvings.min(self.levels.len() - 1)];
        (level, level.width_px() as f32 / self.levels[0].width_px() as f32)
    }
}

/// The photo, mirrored beyond its border without the person, and ever softer; hair that it cuts goes on.
fn around(small: &Rgb, matte: &Grey, empty: &Rgb, scale: f32) -> Soft {
    let longest = small.width_px().max(small.height_px()) as f32;
    let margin = (REACH * longest) as usize;
    let (width, height) = (small.width_px() + 2 * margin, small.height_px() + 2 * margin);
    // How far a pixel is beyond the border.
    let beyond = |i: usize, length: usize| margin.saturating_sub(i).max((i + 1).saturating_sub(margin + length)) as f32;
    let distance =
        |x: usize, y: usize| Vec2::new(beyond(x, small.width_px()), beyond(y, small.height_px())).length() / longest;
    let crown = Crown::of(matte);
    let sharp: Vec<[f32; 3]> = (0..width * height)
        .map(|i| {
            let (x, y) = (i % width, i / width);
            let from = (mirrored(x, margin, small.width_px()), mirrored(y, margin, small.height_px()));
            // Above hair that is cut it would be seen widening again.
            let is_above = crown.is_some() && y < margin;
            let fade = if is_above { 1.0 } else { smoothstep(0.0, PERSON_FADE, distance(x, y)) };
            let (seen, bare) = (small.pixel(from.0, from.1), empty.pixel(from.0, from.1));
            std::array::from_fn(|c| f32::from(seen[c]) * (1.0 - fade) + f32::from(bare[c]) * fade)
        })
        .collect();
    let blurs = BLURS.map(|(_, sigma)| blurred(&sharp, width, height, sigma * longest));
    let pixels = (0..width * height).map(|i| {
        let at = distance(i % width, i / width);
        let next = BLURS.iter().position(|(from, _)| *from > at).unwrap_or(BLURS.len() - 1).max(1);
        let share = smoothstep(BLURS[next - 1].0, BLURS[next].0, at);
        let light = 1.0 - DARKER * smoothstep(0.0, REACH, at);
        std::array::from_fn(|c| (blurs[next - 1][i][c] * (1.0 - share) + blurs[next][i][c] * share) * light)
    });
    let mut pixels: Vec<[f32; 3]> = pixels.collect();
    if let Some(crown) = crown {
        let place = |i: usize| {
            let (x, y) = (i % width, i / width);
            (x, y, mirrored(x, margin, small.width_px()), mirrored(y, margin, small.height_px()))
        };
        let hair = (0..width * height).map(|i| {
            let (_, _, x, y) = place(i);
            small.pixel(x, y).map(f32::from)
        });
        let hair = blurred(&hair.collect::<Vec<_>>(), width, height, CROWN_BLURS.0 * longest);
        let share = (0..width * height).map(|i| match place(i) {
            (x, y, ..) if y < margin => [crown.share(x as f32 + 0.5 - margin as f32, (margin - y) as f32 - 0.5); 3],
            // Beside the photo there is nobody: what is mirrored there is the place without the person.
            (x, ..) if !(margin..margin + small.width_px()).contains(&x) => [0.0; 3],
            (.., x, y) => [f32::from(matte.pixel(x, y)[0]) / 255.0; 3],
        });
        let share = blurred(&share.collect::<Vec<_>>(), width, height, CROWN_BLURS.1 * longest);
        // In the photo itself it matters only as far as that melts into this.
        for ((pixel, hair), [share, ..]) in
            pixels.iter_mut().zip(&hair).zip(&share).take(width * (margin + small.height_px()))
        {
            *pixel = std::array::from_fn(|c| pixel[c] * (1.0 - share) + hair[c] * share);
        }
    }
    Soft { pixels, width, height, scale, origin: Vec2::splat(margin as f32) }
}

/// The photo without anybody, blurred all over, and its border repeated.
fn bare(empty: &Rgb, scale: f32) -> Soft {
    let (width, height) = (empty.width_px(), empty.height_px());
    let pixels: Vec<_> = empty.data().as_chunks::<3>().0.iter().map(|rgb| rgb.map(f32::from)).collect();
    let pixels = blurred(&pixels, width, height, BACKGROUND_BLUR * width.max(height) as f32);
    Soft { pixels, width, height, scale, origin: Vec2::ZERO }
}

/// Where column `i` behind a margin is in a picture that is mirrored at its borders.
fn mirrored(i: usize, margin: usize, length: usize) -> usize {
    let at = (i as i64 - margin as i64).rem_euclid(2 * length as i64) as usize;
    at.min(2 * length - 1 - at)
}

/// A Gaussian blur by three means, each as wide as makes their variances add up.
fn blurred(pixels: &[[f32; 3]], width: usize, height: usize, sigma: f32) -> Vec<[f32; 3]> {
    const N_MEANS: usize = 3;
    let radius = ((sigma * sigma * 12.0 / N_MEANS as f32 + 1.0).sqrt() / 2.0 - 0.5).round() as usize;
    let mut out = pixels.to_vec();
    if radius == 0 {
        return out;
    }
    let mut line = Vec::with_capacity(width.max(height));
    for _ in 0..N_MEANS {
        for y in 0..height {
            mean_line(&mut out, y * width, 1, width, radius, &mut line);
        }
        for x in 0..width {
            mean_line(&mut out, x, width, height, radius, &mut line);
        }
    }
    out
}

/// The running mean of `n` pixels from `first` on, `step` apart; the last ones are repeated beyond the ends.
fn mean_line(pixels: &mut [[f32; 3]], first: usize, step: usize, n: usize, radius: usize, line: &mut Vec<[f32; 3]>) {
    line.clear();
    line.extend((0..n).map(|i| pixels[first + i * step]));
    let at = |i: i64| line[i.clamp(0, n as i64 - 1) as usize];
    let (radius, n_mean) = (radius as i64, (2 * radius + 1) as f64);
    let mut sum = [0.0f64; 3];
    for i in -radius..=radius {
        (0..3).for_each(|c| sum[c] += f64::from(at(i)[c]));
    }
    for i in 0..n as i64 {
        pixels[first + i as usize * step] = sum.map(|sum| (sum / n_mean) as f32);
        let (enters, leaves) = (at(i + radius + 1), at(i - radius));
        (0..3).for_each(|c| sum[c] += f64::from(enters[c]) - f64::from(leaves[c]));
    }
}

/// Where two pictures differ, and a little around.
fn difference(a: &Rgb, b: &Rgb) -> Grey {
    let (width, height) = (a.width_px(), a.height_px());
    let reach = width / 128;
    let mut line = Vec::new();
    let differs = a.data().as_chunks::<3>().0.iter().zip(b.data().as_chunks::<3>().0);
    let mut soft: Vec<[f32; 3]> = differs.map(|(a, b)| [if a == b { 0.0 } else { 1.0 }; 3]).collect();
    for y in 0..height {
        mean_line(&mut soft, y * width, 1, width, reach, &mut line);
    }
    for x in 0..width {
        mean_line(&mut soft, x, width, height, reach, &mut line);
    }
    let mut grown = Grey::new(width, height);
    for (out, share) in grown.data_mut().iter_mut().zip(&soft) {
        // Certain within the place itself, which ends half way up the slope.
        *out = (smoothstep(0.05, 0.5, share[0]) * 255.0).round() as u8;
    }
    grown
}

fn shrunk_to<const C: usize>(picture: &Picture<C>, longest_px: usize) -> Result<Picture<C>> {
    let (width, height) = (picture.width_px(), picture.height_px());
    let longest = width.max(height).max(longest_px);
    resized(picture, (width * longest_px).div_ceil(longest).max(1), (height * longest_px).div_ceil(longest).max(1))
}

pub(super) fn resized<const C: usize>(picture: &Picture<C>, width: usize, height: usize) -> Result<Picture<C>> {
    let mut out = Picture::new(width, height);
    let size = Size::new(width as i32, height as i32);
    resize(&picture.as_mat()?, &mut out.as_mat_mut()?, size, 0.0, 0.0, INTER_AREA)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_border_is_mirrored_without_a_jump_or_a_gap() {
        let at: Vec<_> = (0..12).map(|i| mirrored(i, 4, 4)).collect();
        assert_eq!(at, [3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0]);
    }

    #[test]
    fn a_blur_has_the_width_that_was_asked_for_and_keeps_the_sum() {
        let mut line = vec![[0.0; 3]; 201];
        line[100] = [100.0; 3];
        let soft = blurred(&line, 201, 1, 9.0);
        let sum: f32 = soft.iter().map(|p| p[0]).sum();
        let variance: f32 = soft.iter().enumerate().map(|(i, p)| (i as f32 - 100.0).powi(2) * p[0]).sum::<f32>() / sum;
        assert!((sum - 100.0).abs() < 0.1, "{sum}");
        assert!((variance.sqrt() - 9.0).abs() < 0.6, "{}", variance.sqrt());
    }

    #[test]
    fn what_goes_on_is_the_photo_at_its_border_and_has_no_person_far_out() {
        let (width, height) = (60, 80);
        let mut photo = Rgb::new(width, height);
        photo.data_mut().fill(100);
        let empty = photo.clone();
        for y in 30..80 {
            photo.data_mut()[(y * width + 20) * 3..][..60].fill(255);
        }
        let soft = around(&photo, &Grey::new(width, height), &empty, 1.0);
        let read = |x: f32, y: f32| soft.read(soft.tap(0, x), soft.tap(1, y))[0];
        assert!((read(30.0, 55.0) - 255.0).abs() < 12.0, "{}", read(30.0, 55.0));
        for x in [-30.0, -20.0, 80.0, 95.0] {
            assert!(
                read(x, 55.0) < 104.0 && read(x, 55.0) > 60.0,
                "the person is seen twice at {x}: {}",
                read(x, 55.0)
            );
        }
        assert!((read(-0.5, 10.0) - read(0.5, 10.0)).abs() < 2.0, "a jump at the border");
        assert!(read(-60.0, 10.0) < read(-1.0, 10.0), "it gets darker");
    }

    #[test]
    fn hair_that_the_border_cuts_goes_on_round_and_does_not_widen_again() {
        let (width, height) = (100, 120);
        let (mut photo, mut matte) = (Rgb::new(width, height), Grey::new(width, height));
        photo.data_mut().fill(200);
        let empty = photo.clone();
        for y in 0..height {
            for x in 0..width {
                if (x as f32 + 0.5 - 50.0).hypot(y as f32 + 0.5 - 22.0) < 30.0 {
                    photo.data_mut()[(y * width + x) * 3..][..3].fill(20);
                    matte.data_mut()[y * width + x] = 255;
                }
            }
        }
        let soft = around(&photo, &matte, &empty, 1.0);
        let read = |x: f32, y: f32| soft.read(soft.tap(0, x), soft.tap(1, y))[0];
        for y in [1.0, 0.0, -1.0, -3.0] {
            assert!(read(50.0, y) < 40.0, "no seam and no gap at {y}: {}", read(50.0, y));
        }
        assert!(read(50.0, -14.0) > 150.0, "above it is the ground: {}", read(50.0, -14.0));
        for x in [26.0, 74.0] {
            assert!(read(x, -4.0) > 150.0, "beside it at {x}: {}", read(x, -4.0));
        }
        // Where the mirrored head would be.
        for (x, y) in [(-50.0, 22.0), (-40.0, 5.0), (150.0, 22.0), (140.0, 40.0)] {
            assert!(read(x, y) > 140.0, "the head is seen twice at {x}, {y}: {}", read(x, y));
        }
    }
}
