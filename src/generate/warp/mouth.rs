//! The inside of the mouth: the portrait's teeth where it shows some, a dark cavity where it does not.

use glam::{Vec2, Vec3};

use super::mesh::{LOWER_LIP, UPPER_LIP};
use super::raster::{Canvas, Part, scan};
use super::source::Source;
use super::surround::smoothstep;
use crate::frame::Rgba;
use crate::geometry::HeadPlacement;
use crate::geometry::{FaceShape, Landmarks};
use crate::signal::DrivingSignal;

/// Points along each lip.
const N: usize = UPPER_LIP.len();

/// The mouth of one identity, and what it shows in the current frame.
pub(super) struct Mouth {
    /// From the upper to the lower lip in the portrait, in head space.
    gaps: [Vec3; N],
    upper_source_px: [Vec2; N],
    lower_source_px: [Vec2; N],
    /// How bright the face is, 0..1: a cavity in a dim face is darker.
    brightness: f32,
    /// How much cavity a pixel shows, 0..1, in `window`; a second one to blur into.
    cavity: Vec<f32>,
    scratch: Vec<f32>,
    window: Window,
}

/// A part of the output, in pixels: left, top, width, height.
#[derive(Clone, Copy, Default)]
struct Window {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Mouth {
    /// Takes the mouth from the portrait. `source_points` are in pixels of `source`.
    pub(super) fn new(shape: &FaceShape, source_points: &[Vec2], source: &Source, size_px: usize) -> Self {
        // Cheeks and forehead say how the face is lit.
        let skin = [50, 280, 151, 205, 425];
        let luma = |i: usize| {
            let [r, g, b, _] = source.sample(source_points[i]);
            (0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)) / 255.0
        };
        Self {
            gaps: std::array::from_fn(|i| shape.points[LOWER_LIP[i]] - shape.points[UPPER_LIP[i]]),
            upper_source_px: UPPER_LIP.map(|i| source_points[i]),
            lower_source_px: LOWER_LIP.map(|i| source_points[i]),
            brightness: skin.iter().map(|&i| luma(i)).sum::<f32>() / skin.len() as f32,
            cavity: vec![0.0; size_px * size_px],
            scratch: vec![0.0; size_px * size_px],
            window: Window::default(),
        }
    }

    /// How far from their place the lips' inner edges read when the lips close: (landmark, source pixels).
    ///
    /// Landmarks lie up to a few pixels inside a smile; lips drawn from there would show teeth that
    /// the closed mouth hides. `source_rest` is the head at rest in source pixels.
    pub(super) fn lip_shifts(
        &self,
        signal: &DrivingSignal,
        source_rest: &HeadPlacement,
    ) -> impl Iterator<Item = (usize, Vec2)> {
        /// In face widths, for lips that open widely in the portrait and are shut now.
        const UPPER: f32 = 0.018;
        const LOWER: f32 = 0.035;
        let down = (source_rest.rotation * Vec3::Y).truncate() * source_rest.width_px;
        (1..N - 1).flat_map(move |i| {
            let gap = self.gaps[i];
            let now = gap + signal.displacement[LOWER_LIP[i]] - signal.displacement[UPPER_LIP[i]];
            let closed = (1.0 - now.dot(gap) / gap.length_squared().max(1e-6)).clamp(0.0, 1.0);
            let amount = closed * smoothstep(0.01, 0.05, gap.length());
            [(UPPER_LIP[i], down * (-UPPER * amount)), (LOWER_LIP[i], down * (LOWER * amount))]
        })
    }

    /// Hangs the portrait's teeth from the upper lip and marks the rest between the lips as cavity.
    pub(super) fn open(&mut self, placement: &HeadPlacement, target: &Landmarks, canvas: &mut Canvas) {
        let size = canvas.size_px();
        let softest_px = size as f32 * 0.008;
        self.window = Window::around(UPPER_LIP.iter().chain(&LOWER_LIP).map(|&i| target[i].truncate()), size);
        let window = self.window;
        for y in 0..window.height {
            let from = (window.y + y) * size + window.x;
            let parts = &canvas.part[from..from + window.width];
            for (cavity, part) in self.cavity[y * window.width..][..window.width].iter_mut().zip(parts) {
                *cavity = f32::from(*part == Part::Mouth);
            }
        }
        let upper = UPPER_LIP.map(|i| target[i].truncate());
        let lower = LOWER_LIP.map(|i| target[i].truncate());
        // Where the portrait's lower lip would be had the mouth not opened further.
        let edge: [Vec2; N] =
            std::array::from_fn(|i| upper[i] + (placement.rotation * self.gaps[i] * placement.width_px).truncate());
        let down = (placement.rotation * Vec3::Y).truncate().normalize_or(Vec2::Y);
        let excess: [f32; N] = std::array::from_fn(|i| (lower[i] - edge[i]).dot(down));
        let height: [f32; N] = std::array::from_fn(|i| edge[i].distance(upper[i]));
        let (cavity, map, part) = (&mut self.cavity, &mut canvas.source_from_output, &canvas.part);
        // Values: place in the source, distance to the teeth's end, how far the mouth opened beyond it.
        let top = |i: usize| [self.upper_source_px[i].x, self.upper_source_px[i].y, height[i], excess[i]];
        let end = |i: usize| [self.lower_source_px[i].x, self.lower_source_px[i].y, 0.0, excess[i]];
        for i in 0..N - 1 {
            let j = i + 1;
            for (at, values) in [
                ([upper[i], upper[j], edge[i]], [top(i), top(j), end(i)]),
                ([upper[j], edge[j], edge[i]], [top(j), end(j), end(i)]),
            ] {
                scan((size, 0..size), at, values, |y, x, n, first, step| {
                    for k in 0..n {
                        let index = y * size + x + k;
                        if part[index] != Part::Mouth {
                            continue;
                        }
                        let Some(at) = window.index(x + k, y) else { continue };
                        let [u, v, left, beyond] = std::array::from_fn(|c| first[c] + step[c] * k as f32);
                        map[index] = Vec2::new(u, v);
                        let soft = beyond.clamp(0.05, softest_px);
                        cavity[at] = if beyond <= 0.0 { 0.0 } else { 1.0 - (left / soft).clamp(0.0, 1.0) };
                    }
                });
            }
        }
        // What opened by less than a pixel shows lips, not a dark line.
        let widest = excess.iter().fold(0.0_f32, |a, &b| a.max(b));
        let shown = smoothstep(0.002, 0.012, widest / size as f32);
        for value in &mut self.cavity[..window.width * window.height] {
            *value *= shown;
        }
        let radius = (size / 512).max(1);
        for _ in 0..2 {
            window.blur_rows(&self.cavity, &mut self.scratch, radius);
            window.blur_columns(&self.scratch, &mut self.cavity, radius);
        }
    }

    /// Paints the cavity over the finished picture.
    pub(super) fn paint(&self, target: &Landmarks, picture: &mut Rgba) {
        let size = picture.width_px();
        let [upper, lower] = [13, 14].map(|i| target[i].truncate());
        let [left, right] = [78, 308].map(|i| target[i].truncate());
        let across = lower - upper;
        let wide = (right - left).length().max(1.0);
        let depth = across.length().max(1.0);
        let down = across / depth;
        let aside = Vec2::new(down.y, -down.x);
        for y in 0..self.window.height {
            for x in 0..self.window.width {
                let cover = self.cavity[y * self.window.width + x];
                if cover < 0.004 {
                    continue;
                }
                let at = Vec2::new((self.window.x + x) as f32, (self.window.y + y) as f32) + 0.5 - upper;
                let t = (at.dot(down) / depth).clamp(0.0, 1.0);
                let s = (at.dot(aside) / wide).abs() * 2.0;
                // Light falls in from the front and reaches the tongue, not the throat.
                let tongue = smoothstep(0.45, 1.0, t) * (1.0 - smoothstep(0.35, 0.95, s));
                let light = self.brightness * (0.35 + 0.65 * tongue) * (1.0 - 0.4 * s.min(1.0));
                let cavity = [26.0 + 104.0 * light, 10.0 + 38.0 * light, 10.0 + 32.0 * light];
                let i = ((self.window.y + y) * size + self.window.x + x) * 4;
                for (sample, dark) in picture.data_mut()[i..i + 3].iter_mut().zip(cavity) {
                    *sample = (f32::from(*sample) + (dark - f32::from(*sample)) * cover) as u8;
                }
            }
        }
    }
}

impl Window {
    /// The part of a square picture that holds all points and a few pixels more.
    fn around(points: impl Iterator<Item = Vec2>, size: usize) -> Self {
        let (low, high) = points.fold((Vec2::MAX, Vec2::MIN), |(low, high), p| (low.min(p), high.max(p)));
        let margin = 4.0 + size as f32 / 128.0;
        let clip = |v: f32| v.clamp(0.0, size as f32) as usize;
        let (x, y) = (clip(low.x - margin), clip(low.y - margin));
        let (right, bottom) = (clip(high.x + margin), clip(high.y + margin));
        Self { x, y, width: right.saturating_sub(x), height: bottom.saturating_sub(y) }
    }

    fn index(&self, x: usize, y: usize) -> Option<usize> {
        let (x, y) = (x.checked_sub(self.x)?, y.checked_sub(self.y)?);
        (x < self.width && y < self.height).then_some(y * self.width + x)
    }

    fn blur_rows(&self, from: &[f32], to: &mut [f32], radius: usize) {
        for y in 0..self.height {
            let row = &from[y * self.width..][..self.width];
            for x in 0..self.width {
                let part = &row[x.saturating_sub(radius)..(x + radius + 1).min(self.width)];
                to[y * self.width + x] = part.iter().sum::<f32>() / part.len() as f32;
            }
        }
    }

    fn blur_columns(&self, from: &[f32], to: &mut [f32], radius: usize) {
        for y in 0..self.height {
            let rows = y.saturating_sub(radius)..(y + radius + 1).min(self.height);
            let count = rows.len() as f32;
            for x in 0..self.width {
                to[y * self.width + x] = rows.clone().map(|y| from[y * self.width + x]).sum::<f32>() / count;
            }
        }
    }
}
