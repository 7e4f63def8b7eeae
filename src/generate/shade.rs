//! Light and shade of the driver's expression, laid over the network's picture.
//!
//! Folds beside the mouth, a lid's crease, a cheek that rises: a network that has seen one photo draws them too weakly. What
//! was measured of the driver ([`crate::signal::DenseMotion::light`]) is a ratio, so it fits any skin: every pixel of the face
//! is multiplied by it (Liu, Shan and Zhang 2001, "Expressive Expression Mapping with Ratio Images"), whatever executor or
//! server made the picture.

use std::ops::Range;
use std::sync::LazyLock;

use glam::{Vec2, Vec3};

use crate::frame::Rgba;
use crate::geometry::{FINE_MESH, Landmarks, N_FINE_POINTS};

/// Pixels between two places at which the ratio is worked out, each way, in a picture of 512.
const CELL_PX_AT_512: f32 = 4.0;
/// The largest logarithm of a ratio that is shown: half as bright again.
const MOST: f32 = 0.4;
/// A weaker light nowhere in the face is not worth the time: half a level.
const LEAST: f32 = 0.004;
/// Fixed point of the ratios.
const ONE: u32 = 1 << 8;

/// The layer for pictures of one size.
pub(super) struct ShadeLayer {
    size_px: usize,
    cell_px: usize,
    /// Nodes of the grid, each way: at every corner of a cell.
    n: usize,
    /// At each node, the logarithm of the ratio, and how far away what it is of is.
    light: Vec<f32>,
    depth: Vec<f32>,
    /// The same as ratios, in fixed point.
    ratios: Vec<u32>,
}

impl ShadeLayer {
    /// Makes room for pictures of `size_px`.
    pub(super) fn new(size_px: usize) -> Self {
        let cell_px = ((size_px as f32 / 512.0 * CELL_PX_AT_512).round() as usize).max(1);
        let n = size_px.div_ceil(cell_px) + 1;
        // Made here and not while a picture is.
        LazyLock::force(&FINE_MESH);
        Self { size_px, cell_px, n, light: vec![0.0; n * n], depth: vec![0.0; n * n], ratios: vec![ONE; n * n] }
    }

    /// Multiplies the face, whose points are at `target` in pixels, by `share` (0..1) of `light`.
    pub(super) fn paint(&mut self, light: &[f32; N_FINE_POINTS], share: f32, target: &Landmarks, picture: &mut Rgba) {
        if share <= 0.0 || light.iter().all(|light| light.abs() * share < LEAST) {
            return;
        }
        let Some([columns, rows]) = self.window(target) else { return };
        self.clear(&columns, &rows);
        for triangle in &FINE_MESH.triangles {
            let corners = triangle.map(usize::from);
            let values = corners.map(|i| (light[i] * share).clamp(-MOST, MOST));
            self.draw(corners.map(|i| FINE_MESH.between(i, target) / self.cell_px as f32), values);
        }
        for row in rows.clone() {
            let nodes = row * self.n + columns.start..row * self.n + columns.end;
            for (ratio, light) in self.ratios[nodes.clone()].iter_mut().zip(&self.light[nodes]) {
                *ratio = (light.exp() * ONE as f32 + 0.5) as u32;
            }
        }
        self.multiply(columns, rows, picture);
    }

    /// The columns and rows of nodes around the face; `None` where the picture shows nothing of it.
    fn window(&self, target: &Landmarks) -> Option<[Range<usize>; 2]> {
        let points = target.iter().map(|point| point.truncate());
        let (low, high) = points.fold((Vec2::MAX, Vec2::MIN), |(low, high), point| (low.min(point), high.max(point)));
        let range = |low: f32, high: f32| {
            let node = |at_px: f32| (at_px / self.cell_px as f32).clamp(0.0, (self.n - 1) as f32);
            let (first, last) = (node(low).floor() as usize, node(high).ceil() as usize);
            (last > first).then_some(first..last + 1)
        };
        Some([range(low.x, high.x)?, range(low.y, high.y)?])
    }

    fn clear(&mut self, columns: &Range<usize>, rows: &Range<usize>) {
        for row in rows.clone() {
            let nodes = row * self.n + columns.start..row * self.n + columns.end;
            self.light[nodes.clone()].fill(0.0);
            self.depth[nodes].fill(f32::MAX);
        }
    }

    /// Draws a triangle, its corners in cells, if it faces us: what lies before others stays.
    fn draw(&mut self, corners: [Vec3; 3], values: [f32; 3]) {
        let [a, b, c] = corners.map(Vec3::truncate);
        let area = (b - a).perp_dot(c - a);
        // A point that is not a number draws nothing.
        if area.is_nan() || area >= -1e-6 {
            return;
        }
        let (low, high) = (a.min(b).min(c), a.max(b).max(c));
        let nodes = |low: f32, high: f32| {
            low.ceil().clamp(0.0, self.n as f32) as usize..(high.floor() + 1.0).clamp(0.0, self.n as f32) as usize
        };
        for y in nodes(low.y, high.y) {
            for x in nodes(low.x, high.x) {
                let at = Vec2::new(x as f32, y as f32);
                let of_b = (at - a).perp_dot(c - a) / area;
                let of_c = (b - a).perp_dot(at - a) / area;
                let of_a = 1.0 - of_b - of_c;
                if of_a.min(of_b).min(of_c) < -1e-4 {
                    continue;
                }
                let depth = of_a * corners[0].z + of_b * corners[1].z + of_c * corners[2].z;
                let node = y * self.n + x;
                if depth < self.depth[node] {
                    self.depth[node] = depth;
                    self.light[node] = of_a * values[0] + of_b * values[1] + of_c * values[2];
                }
            }
        }
    }

    /// Multiplies the pixels between the nodes of a window.
    fn multiply(&self, columns: Range<usize>, rows: Range<usize>, picture: &mut Rgba) {
        let (size, cell) = (self.size_px, self.cell_px);
        let left = columns.start * cell;
        let right = ((columns.end - 1) * cell).min(size);
        let data = picture.data_mut();
        for y in rows.start * cell..((rows.end - 1) * cell).min(size) {
            let (row, down) = (y / cell, (y % cell) as u32);
            let node = |x: usize| {
                let [above, below] = [row, row + 1].map(|row| self.ratios[row * self.n + x]);
                (above * (cell as u32 - down) + below * down) / cell as u32
            };
            let mut next = node(columns.start);
            let pixels = data[(y * size + left) * 4..(y * size + right) * 4].as_chunks_mut::<4>().0;
            for (x, block) in pixels.chunks_mut(cell).enumerate() {
                let first = std::mem::replace(&mut next, node(columns.start + x + 1));
                if first == ONE && next == ONE {
                    continue;
                }
                for (along, pixel) in block.iter_mut().enumerate() {
                    let ratio = (first * (cell - along) as u32 + next * along as u32) / cell as u32;
                    for sample in &mut pixel[..3] {
                        *sample = ((u32::from(*sample) * ratio + ONE / 2) / ONE).min(255) as u8;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{MESH_POINTS_CM, N_LANDMARKS};

    const SIZE_PX: usize = 256;

    /// A face that looks at us, and the middle of its forehead.
    fn face() -> (Box<Landmarks>, usize) {
        let mut target = Box::new([Vec3::new(128.0, 128.0, 0.0); N_LANDMARKS]);
        for (to, point) in target.iter_mut().zip(&MESH_POINTS_CM) {
            *to = Vec3::new(point.x, -point.y, -point.z) * 10.0 + Vec3::new(128.0, 128.0, 0.0);
        }
        (target, 151)
    }

    fn painted(light: &[f32; N_FINE_POINTS], share: f32) -> Rgba {
        let mut picture = Rgba::new(SIZE_PX, SIZE_PX);
        picture.data_mut().fill(100);
        ShadeLayer::new(SIZE_PX).paint(light, share, &face().0, &mut picture);
        picture
    }

    fn level(picture: &Rgba, at: Vec3) -> u8 {
        picture.data()[(at.y as usize * SIZE_PX + at.x as usize) * 4]
    }

    #[test]
    fn a_lit_place_is_brighter_by_its_ratio_and_what_is_far_stays() {
        let (target, forehead) = face();
        let mut light = [0.0; N_FINE_POINTS];
        for (i, light) in light.iter_mut().enumerate() {
            let far_cm = FINE_MESH.between(i, &MESH_POINTS_CM).distance(MESH_POINTS_CM[forehead]);
            *light = if far_cm < 3.0 { 0.2 } else { 0.0 };
        }
        let whole = painted(&light, 1.0);
        assert!((120..=123).contains(&level(&whole, target[forehead])), "{}", level(&whole, target[forehead]));
        assert!((109..=112).contains(&level(&painted(&light, 0.5), target[forehead])));
        let stays = [target[152], target[17], Vec3::new(3.0, 3.0, 0.0)];
        assert!(stays.iter().all(|&at| level(&whole, at) == 100));
        assert!(whole.data().as_chunks::<4>().0.iter().all(|pixel| pixel[3] == 100), "alpha is left alone");
        assert_eq!(painted(&light, 0.0), painted(&[0.0; N_FINE_POINTS], 1.0));
    }

    #[test]
    fn a_ratio_is_bounded_and_a_face_beyond_the_picture_or_of_no_numbers_does_no_harm() {
        let dark = painted(&[-9.0; N_FINE_POINTS], 1.0);
        assert!(dark.data().as_chunks::<4>().0.iter().all(|pixel| pixel[0] >= 66));
        let mut layer = ShadeLayer::new(SIZE_PX);
        let mut picture = Rgba::new(SIZE_PX, SIZE_PX);
        for shift in [Vec3::splat(f32::NAN), Vec3::new(-200.0, 90.0, 0.0), Vec3::new(1e9, -1e9, 0.0)] {
            let target = Box::new(face().0.map(|point| point + shift));
            layer.paint(&[0.3; N_FINE_POINTS], 1.0, &target, &mut picture);
        }
    }
}
