//! A face as the tracker cuts it out, with something before it or nothing.

use glam::Vec2;

use super::painter::{Before, Colour, Occluder};
use crate::dataset::{Clip, SIZE_PX as STORED_PX};
use effigy_base::error::Result;
use effigy_base::frame::Rgb;
use effigy_base::geometry::{FACE_OVAL, Landmarks};
use effigy_base::random::Rng;
use effigy_network::occlusion::{N_CELLS, SIZE_PX};

/// Pictures are painted twice as large as the network sees them.
const PAINTED_PX: usize = 2 * SIZE_PX;
/// How much larger the square is than the face, as the tracker's is.
const MARGIN: f32 = 1.5;
/// Skin in the face's light: cheeks and forehead.
const SKIN: [usize; 3] = [50, 280, 151];
/// What is covered: mouth, nose, chin, cheeks, eyes, forehead, temples.
const TARGETS: [usize; 12] = [13, 13, 4, 152, 50, 280, 33, 263, 10, 127, 356, 17];
/// What happens beyond the face counts so much.
const BEYOND: f32 = 0.15;

/// What the network learns from one picture.
pub(super) struct Sample {
    /// (3, 64, 64), 0..1.
    pub(super) picture: Vec<f32>,
    /// (16, 16): how much of each cell is covered.
    pub(super) covered: Vec<f32>,
    /// (16, 16): how much a cell counts.
    pub(super) counts: Vec<f32>,
}

/// A square of a stored frame.
struct Cut {
    centre: Vec2,
    /// The direction of its x axis, as long as the square is wide; its y axis, likewise.
    across: Vec2,
    down: Vec2,
}

impl Cut {
    /// The square in which the tracker looks for a face, or one near it.
    fn around(points: &Landmarks, rng: &mut Rng) -> Self {
        let start = (Vec2::INFINITY, Vec2::NEG_INFINITY);
        let (min, max) = points.iter().map(|p| p.truncate()).fold(start, |(lo, hi), p| (lo.min(p), hi.max(p)));
        let side = (max - min).max_element() * MARGIN * rng.range(0.88, 1.14);
        let eyes = (points[263] - points[33]).truncate();
        let angle = eyes.y.atan2(eyes.x) + rng.range(-0.14, 0.14);
        let across = Vec2::from_angle(angle) * side;
        let shift = Vec2::new(rng.range(-0.06, 0.06), rng.range(-0.06, 0.06)) * side;
        let mirror = if rng.chance(0.5) { -1.0 } else { 1.0 };
        Self { centre: (min + max) / 2.0 + shift, across: across * mirror, down: across.perp() }
    }

    /// From a place in the square, 0..1, to the stored frame.
    fn frame_from_cut(&self, p: Vec2) -> Vec2 {
        self.centre + self.across * (p.x - 0.5) + self.down * (p.y - 0.5)
    }

    fn cut_from_frame(&self, p: Vec2) -> Vec2 {
        let from = p - self.centre;
        let squared = self.across.length_squared();
        Vec2::new(from.dot(self.across), from.dot(self.down)) / squared + 0.5
    }

    /// The square's picture, (3, n, n) of 0..1; black beyond the frame.
    fn picture(&self, frame: &Rgb) -> Vec<f32> {
        let n = PAINTED_PX;
        let mut planes = vec![0.0; 3 * n * n];
        for i in 0..n * n {
            let at = self.frame_from_cut(Vec2::new((i % n) as f32 + 0.5, (i / n) as f32 + 0.5) / n as f32);
            if at.min_element() >= 0.0 && at.max_element() <= STORED_PX as f32 {
                let colour = frame.between(at);
                (0..3).for_each(|c| planes[c * n * n + i] = colour[c] / 255.0);
            }
        }
        planes
    }
}

/// Makes a sample of a frame: with something before the face, or with nothing; `pattern` is what things may look like.
///
/// # Errors
/// When the frame cannot be read.
pub(super) fn sample(clip: &Clip, frame: usize, pattern: &Rgb, is_covered: bool, rng: &mut Rng) -> Result<Sample> {
    let stored = clip.picture(frame)?;
    let points = &clip.frames[frame].landmarks_px;
    let cut = Cut::around(points, rng);
    let mut picture = cut.picture(&stored);
    shade(&mut picture, rng);
    let n = PAINTED_PX;
    let mut covered = vec![0.0; n * n];
    if is_covered {
        let pattern: Vec<f32> = {
            let data = pattern.data();
            let px = |x: usize| x * pattern.width_px() / n;
            let at = |i: usize, c: usize| data[3 * (px(i / n) * pattern.width_px() + px(i % n)) + c];
            (0..3).flat_map(|c| (0..n * n).map(move |i| f32::from(at(i, c)) / 255.0)).collect()
        };
        let skin: [Colour; 3] = SKIN.map(|i| stored.between(points[i].truncate()).map(|value| value / 255.0));
        let place = |i: usize| cut.cut_from_frame(points[i].truncate());
        let near = Vec2::new(rng.normal(), rng.normal()) * 0.05;
        let before = Before {
            target: place(TARGETS[rng.below(TARGETS.len())]) + near,
            skin: std::array::from_fn(|c| skin.iter().map(|colour| colour[c]).fold(0.0, f32::max)),
            face: (place(10) - place(152)).length(),
        };
        covered = Occluder::draw(&before, rng).paint(&mut picture, n, &pattern);
    }
    let mut picture = halved(&picture);
    camera(&mut picture, rng);
    let cell = n / N_CELLS;
    let mean = |x: usize, y: usize| {
        let sum: f32 = (0..cell * cell).map(|i| covered[(y * cell + i / cell) * n + x * cell + i % cell]).sum();
        sum / (cell * cell) as f32
    };
    let oval = FACE_OVAL.map(|i| cut.cut_from_frame(points[i].truncate()));
    let cells = || (0..N_CELLS * N_CELLS).map(|i| (i % N_CELLS, i / N_CELLS));
    let counts = |(x, y)| {
        let middle = Vec2::new(x as f32 + 0.5, y as f32 + 0.5) / N_CELLS as f32;
        if is_within(middle, &oval) { 1.0 } else { BEYOND }
    };
    Ok(Sample { picture, covered: cells().map(|(x, y)| mean(x, y)).collect(), counts: cells().map(counts).collect() })
}

/// Whether a point lies within a closed line.
fn is_within(p: Vec2, line: &[Vec2]) -> bool {
    let mut is_inside = false;
    for (i, a) in line.iter().enumerate() {
        let b = line[(i + 1) % line.len()];
        if (a.y > p.y) != (b.y > p.y) && p.x < a.x + (p.y - a.y) / (b.y - a.y) * (b.x - a.x) {
            is_inside = !is_inside;
        }
    }
    is_inside
}

/// Light from one side, and shadows: they cover nothing.
fn shade(picture: &mut [f32], rng: &mut Rng) {
    let n = PAINTED_PX;
    let (slope, along) = (rng.range(0.0, 0.5), Vec2::from_angle(rng.range(-3.1, 3.1)));
    let has_edge = rng.chance(0.3);
    let (dark, soft, at) = (rng.range(0.3, 0.9), rng.range(0.02, 0.2), rng.range(-0.35, 0.35));
    let across = Vec2::from_angle(rng.range(-3.1, 3.1));
    for i in 0..n * n {
        let p = Vec2::new((i % n) as f32, (i / n) as f32) / n as f32 - 0.5;
        let mut gain = 1.0 + slope * p.dot(along);
        if has_edge {
            gain *= 1.0 - (1.0 - dark) * ((p.dot(across) - at) / soft + 0.5).clamp(0.0, 1.0);
        }
        (0..3).for_each(|c| picture[c * n * n + i] *= gain);
    }
}

/// Each pixel the mean of four.
fn halved(picture: &[f32]) -> Vec<f32> {
    let (n, half) = (PAINTED_PX, SIZE_PX);
    let at = |c: usize, x: usize, y: usize| picture[c * n * n + y * n + x];
    let pixel = |i: usize| {
        let (c, x, y) = (i / (half * half), 2 * (i % half), 2 * (i / half % half));
        (at(c, x, y) + at(c, x + 1, y) + at(c, x, y + 1) + at(c, x + 1, y + 1)) / 4.0
    };
    (0..3 * half * half).map(pixel).collect()
}

/// What a camera makes of it: colour, contrast, blur, noise.
fn camera(picture: &mut Vec<f32>, rng: &mut Rng) {
    let n = SIZE_PX;
    for _ in 0..rng.below(3) {
        let blurred = (0..3 * n * n).map(|i| {
            let (c, x, y) = (i / (n * n), i % n, i / n % n);
            let at = |x: usize, y: usize| picture[c * n * n + y.min(n - 1) * n + x.min(n - 1)];
            (2.0 * at(x, y) + at(x.saturating_sub(1), y) + at(x + 1, y) + at(x, y.saturating_sub(1)) + at(x, y + 1))
                / 6.0
        });
        *picture = blurred.collect();
    }
    let gains: [f32; 3] = {
        let gain = rng.range(0.6, 1.35);
        std::array::from_fn(|_| gain * rng.range(0.88, 1.12))
    };
    let (gamma, noise, grey) = (rng.range(0.75, 1.35), rng.unit() * rng.unit() * 0.06, rng.chance(0.08));
    for i in 0..n * n {
        let colour: [f32; 3] = std::array::from_fn(|c| picture[c * n * n + i] * gains[c]);
        let mean = colour.iter().sum::<f32>() / 3.0;
        for (c, value) in colour.into_iter().enumerate() {
            let value = if grey { mean } else { value };
            picture[c * n * n + i] = (value.max(0.0).powf(gamma) + noise * rng.normal()).clamp(0.0, 1.0);
        }
    }
}
