//! Two rows of teeth as pictures: an average person's, in the face's light; the upper ones the person's own where a view shows
//! them.

use std::sync::Arc;

use glam::Vec2;

use super::arch::Arch;
use super::photo::{Bite, Photo};
use super::seen::Line;
use super::{luma, smoothstep};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::geometry::MouthContents;
use crate::identity::Identity;

/// An average person's teeth; see models/README.md.
const AVERAGE: &[u8] = include_bytes!("../../../models/teeth.png");
/// Width and height of one row.
const WIDE: usize = 192;
const HIGH: usize = 64;
/// Pixels of a row per face width.
const PER_FACE: f32 = 256.0;
/// From the teeth's edge to the border of the picture that is near it, in pixels.
const MARGIN: f32 = 8.0;

/// A view shows teeth with more lines of them than this, of [`crate::geometry::N_MOUTH_LINES`].
const MIN_LINES: f32 = 2.0;
/// The colour of own teeth is told by so many pixels of a row or more.
const MIN_TEXELS: f32 = 30.0;

/// Which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Upper,
    Lower,
}

impl Row {
    /// The teeth's edge in the row's picture.
    fn edge_px(self) -> f32 {
        match self {
            Self::Upper => HIGH as f32 - MARGIN,
            Self::Lower => MARGIN,
        }
    }
}

/// Colours of lips and tongue, for what lies behind the teeth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flesh {
    lips: [f32; 3],
    skin: [f32; 3],
}

impl Flesh {
    /// The colour, 0..255, behind a place of the lower arch, in `light` 0..1: the tongue lies behind the lower teeth.
    pub(super) fn behind(&self, at: Vec2, light: f32) -> [f32; 3] {
        const DARK: [f32; 3] = [0.26, 0.16, 0.16];
        const TONGUE: [f32; 3] = [0.74, 0.62, 0.62];
        let top = -0.075 * (1.0 - (at.x / 0.21).powi(2)).max(0.0);
        let tongue = smoothstep(-0.02, 0.045, at.y - top) * (1.0 - smoothstep(0.12, 0.22, at.x.abs()));
        std::array::from_fn(|c| self.lips[c] * (DARK[c] + (TONGUE[c] * light - DARK[c]).max(0.0) * tongue))
    }

    /// The colour, 0..255, that is to this skin as a driver's `line` is to theirs; `aside` of its light is left.
    pub(super) fn like(&self, line: Line, aside: f32) -> [f32; 3] {
        // What is paler than skin has still more blue; flesh, which has less green, has nearly a skin's blue.
        let blue = if line.paleness > 1.0 { line.paleness.powf(1.5) } else { line.paleness.sqrt() };
        let tint = [1.0, line.paleness, blue];
        let tinted: [f32; 3] = std::array::from_fn(|c| self.skin[c] * tint[c]);
        let gain = line.light * aside * luma(self.skin) / luma(tinted).max(1.0);
        tinted.map(|value| (value * gain).min(245.0))
    }
}

/// The teeth of one identity.
pub(super) struct Teeth {
    rows: [Vec<[f32; 4]>; 2],
    /// How far the edge of the upper ones is below where an average person has it, in face widths.
    pub(super) upper_shift: f32,
    /// From the chin to the edge of the lower ones, in face widths.
    pub(super) lower_from_chin: f32,
    pub(super) flesh: Flesh,
    /// Their mean colour where light falls on them, 0..255, and how bright that is.
    colour: [f32; 3],
    pub(super) luma: f32,
    /// Whether the upper ones are the person's own.
    is_own: bool,
}

impl Teeth {
    /// Those of the view that shows most of them, with what each view `shows` between its lips.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the program was built from a torn picture.
    pub(super) fn of(views: &[Arc<Identity>], shows: &[MouthContents]) -> Result<Self> {
        let average = average()?;
        let main = Photo::of(&views[0]);
        // The last of equals is taken: the main portrait.
        let best = views
            .iter()
            .zip(shows)
            .rev()
            .filter(|(_, shown)| shown.certainty * shown.teeth.iter().sum::<f32>() > MIN_LINES)
            .map(|(view, _)| Photo::of(view))
            .filter_map(|photo| photo.bite().map(|bite| (photo, bite)))
            .max_by_key(|(_, bite)| bite.n_shown);
        let gain = main.teeth_gain();
        let mut teeth = Self {
            rows: average
                .map(|row| row.iter().map(|[r, g, b, a]| [r * gain[0], g * gain[1], b * gain[2], *a]).collect()),
            upper_shift: 0.0,
            lower_from_chin: Arch::lower_from_chin(&views[0].shape.points),
            flesh: Flesh { lips: main.lips_colour(), skin: main.skin_colour() },
            colour: [0.0; 3],
            luma: 0.0,
            is_own: false,
        };
        if let Some((photo, bite)) = best {
            teeth.upper_shift = bite.upper_shift;
            teeth.is_own = teeth.take(&photo, &bite);
        }
        // The front teeth, near their edge: no gums are there.
        let front = |texel: &usize| {
            let at = place(Row::Upper, *texel);
            at.x.abs() < 0.12 && (-0.08..-0.01).contains(&at.y)
        };
        let (mut sum, mut n) = ([0.0; 3], 0.0_f32);
        for texel in (0..WIDE * HIGH).filter(front) {
            let [rgb @ .., alpha] = teeth.rows[0][texel];
            if alpha > 0.9 {
                sum = std::array::from_fn(|c| sum[c] + rgb[c]);
                n += 1.0;
            }
        }
        teeth.colour = sum.map(|value| (value / n.max(1.0)).max(8.0));
        teeth.luma = luma(teeth.colour);
        Ok(teeth)
    }

    /// What to multiply the teeth's colour by where a driver's are seen in the light that the portrait would show as `known`,
    /// 0..255: the portrait's own keep theirs. `certainty` 0..1 is how far that goes.
    #[inline]
    pub(super) fn tint(&self, known: [f32; 3], certainty: f32) -> [f32; 3] {
        let share = certainty * if self.is_own { 0.15 } else { 0.7 };
        std::array::from_fn(|c| {
            let wanted = known[c] / luma(known).max(8.0) / (self.colour[c] / self.luma);
            1.0 + (wanted.clamp(0.4, 1.6) - 1.0) * share
        })
    }

    /// How bright the face's skin is, 0..255.
    pub(super) fn skin_luma(&self) -> f32 {
        luma(self.flesh.skin)
    }

    /// The colour (0..255) and alpha (0..1) at a place of an arch: x from its middle, y from its edge, in face widths.
    #[inline]
    pub(super) fn read(&self, row: Row, at: Vec2) -> [f32; 4] {
        let x = at.x * PER_FACE + WIDE as f32 / 2.0 - 0.5;
        let y = at.y * PER_FACE + row.edge_px() - 0.5;
        if !(x >= 0.0 && y >= 0.0 && x < (WIDE - 1) as f32 && y < (HIGH - 1) as f32) {
            return [0.0; 4];
        }
        let (column, line) = (x as usize, y as usize);
        let (fx, fy) = (x - column as f32, y - line as f32);
        let texels = &self.rows[row as usize];
        let from = line * WIDE + column;
        let [a, b, c, d] = [texels[from], texels[from + 1], texels[from + WIDE], texels[from + WIDE + 1]];
        std::array::from_fn(|i| {
            let (upper, lower) = (a[i] + (b[i] - a[i]) * fx, c[i] + (d[i] - c[i]) * fx);
            upper + (lower - upper) * fy
        })
    }

    /// Puts a photo's own teeth where it shows them; the others take their colour. Says whether it shows enough of them.
    fn take(&mut self, photo: &Photo, bite: &Bite) -> bool {
        let points = &photo.identity.shape.points;
        let upper = Arch::upper(points, bite.upper_shift);
        let mut own: Vec<Option<([f32; 3], f32)>> = Vec::with_capacity(WIDE * HIGH);
        let (mut sum, mut average, mut n) = ([0.0; 3], [0.0; 3], 0.0_f32);
        for texel in 0..WIDE * HIGH {
            let at = place(Row::Upper, texel);
            let at_px = photo.placement.project(upper.point(at)).truncate();
            let inside = smoothstep(0.003, 0.014, photo.inside(at_px)) * smoothstep(0.004, -0.004, at.y);
            let rgb = photo.colour(at_px);
            let [.., alpha] = self.rows[0][texel];
            if inside > 0.9 && alpha > 0.9 && luma(rgb) > 0.6 * bite.bright {
                for c in 0..3 {
                    sum[c] += rgb[c];
                    average[c] += self.rows[0][texel][c];
                }
                n += 1.0;
            }
            own.push((inside > 0.0).then_some((rgb, inside)));
        }
        if n < MIN_TEXELS {
            return false;
        }
        let gain: [f32; 3] = std::array::from_fn(|c| (sum[c] / average[c].max(1.0)).clamp(0.3, 3.0));
        for texel in self.rows.iter_mut().flatten() {
            for c in 0..3 {
                texel[c] *= gain[c];
            }
        }
        for (texel, own) in self.rows[0].iter_mut().zip(own) {
            let Some((rgb, inside)) = own else { continue };
            for c in 0..3 {
                texel[c] += (rgb[c] - texel[c]) * inside;
            }
            texel[3] += (1.0 - texel[3]) * inside;
        }
        true
    }
}

/// The place on its arch that a texel of a row shows.
fn place(row: Row, texel: usize) -> Vec2 {
    let (x, y) = ((texel % WIDE) as f32 + 0.5, (texel / WIDE) as f32 + 0.5);
    Vec2::new(x - WIDE as f32 / 2.0, y - row.edge_px()) / PER_FACE
}

fn average() -> Result<[Vec<[f32; 4]>; 2]> {
    let torn = || "the built-in picture of teeth is torn; build the program again".to_owned();
    let picture = image::load_from_memory_with_format(AVERAGE, image::ImageFormat::Png)
        .or_error(ErrorKind::Model, torn)?
        .to_rgba8();
    if picture.dimensions() != (WIDE as u32, 2 * HIGH as u32) {
        return Err(Error::new(ErrorKind::Model, torn()));
    }
    let texels: Vec<[f32; 4]> = picture
        .pixels()
        .map(|p| [f32::from(p[0]), f32::from(p[1]), f32::from(p[2]), f32::from(p[3]) / 255.0])
        .collect();
    let (upper, lower) = texels.split_at(WIDE * HIGH);
    Ok([upper.to_vec(), lower.to_vec()])
}
