//! Two rows of teeth as pictures: an average person's, in the face's light; the upper ones the person's own where a view shows
//! them.

use std::sync::Arc;

use glam::Vec2;

use super::arch::{Arch, scale};
use super::seen::Line;
use super::{LOWER_LIP, N, UPPER_LIP, smoothstep};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::geometry::HeadPlacement;
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
    /// Whether they are the person's own.
    is_own: bool,
}

impl Teeth {
    /// Those of the view that shows most of them.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the program was built from a torn picture.
    pub(super) fn of(views: &[Arc<Identity>]) -> Result<Self> {
        let average = average()?;
        let main = Photo::of(&views[0]);
        let best = views
            .iter()
            .map(Photo::of)
            .filter_map(|photo| photo.bite().map(|bite| (photo, bite)))
            .max_by(|(_, a), (_, b)| a.shown.total_cmp(&b.shown));
        let gain = main.teeth_colour();
        let mut teeth = Self {
            rows: average
                .map(|row| row.iter().map(|[r, g, b, a]| [r * gain[0], g * gain[1], b * gain[2], *a]).collect()),
            upper_shift: 0.0,
            lower_from_chin: Arch::lower_from_chin(&views[0].shape.points),
            flesh: Flesh { lips: main.lips_colour(), skin: main.skin_colour() },
            colour: [0.0; 3],
            luma: 0.0,
            is_own: best.is_some(),
        };
        if let Some((photo, bite)) = best {
            teeth.upper_shift = bite.upper_shift;
            teeth.take(&photo, &bite);
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

    /// Puts a photo's own teeth where it shows them; the others take their colour.
    fn take(&mut self, photo: &Photo, bite: &Bite) {
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
        if n > 30.0 {
            let gain: [f32; 3] = std::array::from_fn(|c| (sum[c] / average[c].max(1.0)).clamp(0.3, 3.0));
            for texel in self.rows.iter_mut().flatten() {
                for c in 0..3 {
                    texel[c] *= gain[c];
                }
            }
        }
        for (texel, own) in self.rows[0].iter_mut().zip(own) {
            let Some((rgb, inside)) = own else { continue };
            for c in 0..3 {
                texel[c] += (rgb[c] - texel[c]) * inside;
            }
            texel[3] += (1.0 - texel[3]) * inside;
        }
    }
}

/// The place on its arch that a texel of a row shows.
fn place(row: Row, texel: usize) -> Vec2 {
    let (x, y) = ((texel % WIDE) as f32 + 0.5, (texel / WIDE) as f32 + 0.5);
    Vec2::new(x - WIDE as f32 / 2.0, y - row.edge_px()) / PER_FACE
}

fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
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

/// How the teeth of a photo stand.
struct Bite {
    /// How far the edge of the upper ones is below where an average person has it, in face widths.
    upper_shift: f32,
    /// How much of them is seen, in squared face widths.
    shown: f32,
    /// The brightest of them, 0..255.
    bright: f32,
}

/// A photo, read at the mouth.
struct Photo<'a> {
    identity: &'a Identity,
    placement: HeadPlacement,
    /// The lips' inner edges, a closed line, in pixels.
    outline_px: [Vec2; 2 * N],
}

impl<'a> Photo<'a> {
    fn of(identity: &'a Arc<Identity>) -> Self {
        let placement = HeadPlacement::at_rest(&identity.shape, 1.0);
        let outline_px = std::array::from_fn(|i| {
            let point = if i < N { UPPER_LIP[i] } else { LOWER_LIP[2 * N - 1 - i] };
            identity.landmarks_px[point].truncate()
        });
        Self { identity, placement, outline_px }
    }

    fn colour(&self, at_px: Vec2) -> [f32; 3] {
        self.identity.portrait.between(at_px)
    }

    fn colour_of(&self, point: usize) -> [f32; 3] {
        self.colour(self.identity.landmarks_px[point].truncate())
    }

    /// How far a place is inside the opening between the lips, in face widths; at most 0 outside.
    fn inside(&self, at_px: Vec2) -> f32 {
        let (mut is_inside, mut nearest) = (false, f32::MAX);
        for i in 0..2 * N {
            let (a, b) = (self.outline_px[i], self.outline_px[(i + 1) % (2 * N)]);
            if (a.y <= at_px.y) != (b.y <= at_px.y) && at_px.x < a.x + (b.x - a.x) * (at_px.y - a.y) / (b.y - a.y) {
                is_inside = !is_inside;
            }
            let along = ((at_px - a).dot(b - a) / (b - a).length_squared().max(1e-6)).clamp(0.0, 1.0);
            nearest = nearest.min(at_px.distance(a + (b - a) * along));
        }
        if is_inside { nearest / self.placement.width_px } else { 0.0 }
    }

    /// The colour of the lips, 0..255: the mean of both in their middle.
    fn lips_colour(&self) -> [f32; 3] {
        let places = [[14, 17], [13, 0], [87, 84], [317, 314]].map(|[a, b]| {
            let [a, b] = [a, b].map(|i| self.identity.landmarks_px[i].truncate());
            self.colour((a + b) / 2.0)
        });
        std::array::from_fn(|c| places.iter().map(|p| p[c]).sum::<f32>() / 4.0)
    }

    /// The colour of the skin, 0..255: cheeks and forehead.
    fn skin_colour(&self) -> [f32; 3] {
        let skin = [50, 280, 151, 205, 425].map(|i| self.colour_of(i));
        std::array::from_fn(|c| skin.iter().map(|s| s[c]).sum::<f32>() / 5.0)
    }

    /// What an average person's teeth are multiplied by where the photo shows none: by the face's light, as the whites of
    /// the eyes and the skin tell it.
    fn teeth_colour(&self) -> [f32; 3] {
        let whites: [[f32; 3]; 4] = [[33, 468], [133, 468], [263, 473], [362, 473]].map(|[corner, iris]| {
            let [corner, iris] = [corner, iris].map(|i| self.identity.landmarks_px[i].truncate());
            self.colour(iris + (corner - iris) * 0.62)
        });
        let brightest = whites.into_iter().fold([0.0; 3], |a, b| if luma(b) > luma(a) { b } else { a });
        let mean = self.skin_colour();
        let bright = (0.5 * luma(brightest) + 0.5 * (1.1 * luma(mean))).clamp(70.0, 215.0);
        // The tint of the light, halved: whites of eyes are small and skin has a colour of its own.
        std::array::from_fn(|c| {
            let tint = (brightest[c] / luma(brightest).max(1.0)).clamp(0.6, 1.5);
            bright / 218.0 * (0.5 + 0.5 * tint)
        })
    }

    /// How its teeth stand, where it shows enough of them.
    fn bite(&self) -> Option<Bite> {
        let arch = Arch::upper(&self.identity.shape.points, 0.0);
        let scale = scale(&self.identity.shape.points);
        let skin = luma(self.skin_colour());
        // Means over the front teeth, line by line from above to below the expected edge.
        const LINES: usize = 80;
        let depth = |line: usize| (line as f32 / LINES as f32 * 0.30 - 0.18) * scale;
        let mut profile = [None; LINES];
        let mut all = Vec::new();
        for (line, mean) in profile.iter_mut().enumerate() {
            let (mut sum, mut n) = (0.0, 0);
            for i in 0..17 {
                let at = Vec2::new((i as f32 - 8.0) * 0.0125, depth(line));
                let at_px = self.placement.project(arch.point(at)).truncate();
                if self.inside(at_px) > 0.004 {
                    let value = luma(self.colour(at_px));
                    all.push(value);
                    sum += value;
                    n += 1;
                }
            }
            if n >= 9 {
                *mean = Some(sum / n as f32);
            }
        }
        if all.len() < 60 {
            return None;
        }
        all.sort_unstable_by(f32::total_cmp);
        let bright = all[all.len() * 9 / 10];
        let seen: Vec<(f32, f32)> =
            profile.iter().enumerate().filter_map(|(i, mean)| mean.map(|mean| (depth(i), mean))).collect();
        let (first, last) = (seen.first()?.0, seen.last()?.0);
        let share = all.iter().filter(|value| **value > 0.6 * bright).count() as f32 / all.len() as f32;
        if bright < 0.75 * skin || last - first < 0.02 || share < 0.35 {
            return None;
        }
        // The edge: the darkest line near where it is expected, if it is clearly darker than the teeth above it.
        let darkest = seen
            .iter()
            .filter(|(y, _)| y.abs() < 0.05 && *y > first + 0.015)
            .min_by(|a, b| (a.1 / bright + 4.0 * a.0.abs()).total_cmp(&(b.1 / bright + 4.0 * b.0.abs())));
        let above = |y: f32| {
            let values: Vec<f32> = seen.iter().filter(|(at, _)| *at < y - 0.01).map(|(_, value)| *value).collect();
            values.iter().sum::<f32>() / values.len().max(1) as f32
        };
        let shift = match darkest {
            Some(&(y, value)) if value < 0.8 * above(y) => y,
            _ if last < 0.05 => last + 0.004,
            _ => 0.0,
        };
        Some(Bite { upper_shift: shift.clamp(-0.06, 0.06), shown: all.len() as f32, bright })
    }
}
