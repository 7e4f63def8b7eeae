//! A view of the person, read at the mouth: colours, and how the teeth stand that it shows.

use std::sync::Arc;

use glam::Vec2;

use super::arch::{Arch, scale};
use super::{N, luma, outline};
use crate::geometry::HeadPlacement;
use crate::identity::Identity;

/// How bright the average person's teeth are where they are brightest, 0..255.
const AVERAGE_LUMA: f32 = 218.0;

/// How the teeth of a photo stand.
pub(super) struct Bite {
    /// How far the edge of the upper ones is below where an average person has it, in face widths.
    pub(super) upper_shift: f32,
    /// At how many of the places that are looked at there are some.
    pub(super) n_shown: usize,
    /// How bright they are where they are brightest, 0..255.
    pub(super) bright: f32,
}

/// A photo, read at the mouth.
pub(super) struct Photo<'a> {
    pub(super) identity: &'a Identity,
    /// Where the head is, in pixels of the photo.
    pub(super) placement: HeadPlacement,
    /// The lips' inner edges, a closed line, in pixels.
    outline_px: [Vec2; 2 * N],
}

impl<'a> Photo<'a> {
    pub(super) fn of(identity: &'a Arc<Identity>) -> Self {
        let placement = HeadPlacement::at_rest(&identity.shape, 1.0);
        Self { identity, placement, outline_px: outline(&identity.landmarks_px) }
    }

    /// The colour at a place, 0..255.
    pub(super) fn colour(&self, at_px: Vec2) -> [f32; 3] {
        self.identity.portrait.between(at_px)
    }

    fn colour_of(&self, point: usize) -> [f32; 3] {
        self.colour(self.identity.landmarks_px[point].truncate())
    }

    /// How far a place is inside the opening between the lips, in face widths; at most 0 outside.
    pub(super) fn inside(&self, at_px: Vec2) -> f32 {
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
    pub(super) fn lips_colour(&self) -> [f32; 3] {
        let places = [[14, 17], [13, 0], [87, 84], [317, 314]].map(|[a, b]| {
            let [a, b] = [a, b].map(|i| self.identity.landmarks_px[i].truncate());
            self.colour((a + b) / 2.0)
        });
        std::array::from_fn(|c| places.iter().map(|p| p[c]).sum::<f32>() / 4.0)
    }

    /// The colour of the skin, 0..255: cheeks and forehead.
    pub(super) fn skin_colour(&self) -> [f32; 3] {
        let skin = [50, 280, 151, 205, 425].map(|i| self.colour_of(i));
        std::array::from_fn(|c| skin.iter().map(|s| s[c]).sum::<f32>() / 5.0)
    }

    /// What the colour of an average person's teeth is multiplied by where the photo shows none: by the face's light, as the whites of
    /// the eyes and the skin tell it.
    pub(super) fn teeth_gain(&self) -> [f32; 3] {
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
            bright / AVERAGE_LUMA * (0.5 + 0.5 * tint)
        })
    }

    /// How its teeth stand, where it shows enough of them.
    pub(super) fn bite(&self) -> Option<Bite> {
        /// Heights of the front teeth that are looked at, and places of each.
        const LINES: usize = 80;
        const PLACES: usize = 17;
        let arch = Arch::upper(&self.identity.shape.points, 0.0);
        let scale = scale(&self.identity.shape.points);
        let skin = luma(self.skin_colour());
        // Means over the front teeth, line by line from above to below the expected edge.
        let depth = |line: usize| (line as f32 / LINES as f32 * 0.30 - 0.18) * scale;
        let mut profile = [None; LINES];
        let mut all = Vec::new();
        for (line, mean) in profile.iter_mut().enumerate() {
            let (mut sum, mut n) = (0.0, 0);
            for i in 0..PLACES {
                let at = Vec2::new((i as f32 - 8.0) * 0.0125, depth(line));
                let at_px = self.placement.project(arch.point(at)).truncate();
                if self.inside(at_px) > 0.004 {
                    let value = luma(self.colour(at_px));
                    all.push(value);
                    sum += value;
                    n += 1;
                }
            }
            if n > PLACES / 2 {
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
        let n_shown = all.iter().filter(|value| **value > 0.6 * bright).count();
        let share = n_shown as f32 / all.len() as f32;
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
        Some(Bite { upper_shift: shift.clamp(-0.06, 0.06), n_shown, bright })
    }
}
