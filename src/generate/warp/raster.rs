//! Draws triangles into a map from output to source, nearest first.

use std::ops::Range;

use glam::{Vec2, Vec3};

use crate::generate::cpu::SecondThread;

/// What a pixel of the map shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    /// Skin, hair, clothes, background.
    Surface,
    /// Between the inner lips.
    Mouth,
    /// Between the lids of the eye on the picture's left.
    RightEye,
    /// Between the lids of the eye on the picture's right.
    LeftEye,
}

/// For each output pixel: where in the source it comes from, how far away it is, what it shows.
pub(crate) struct Canvas {
    size_px: usize,
    /// Position in the source, in pixels.
    pub(super) source_from_output: Vec<Vec2>,
    /// What the pixel shows.
    pub(super) part: Vec<Part>,
    depth: Vec<f32>,
    /// Triangles that wait to be drawn.
    triangles: Vec<Triangle>,
    second: SecondThread,
}

/// Room for the triangles of a face and of the sheet around it.
const MAX_TRIANGLES: usize = 4096;
/// Parts of the canvas that threads take one after another.
const N_BANDS: usize = 8;

/// A triangle that waits to be drawn.
#[derive(Clone, Copy, Debug)]
struct Triangle {
    corners: [Corner; 3],
    push: f32,
    part: Part,
}

/// Rows of a canvas.
struct Band<'a> {
    rows: Range<usize>,
    size_px: usize,
    source_from_output: &'a mut [Vec2],
    part: &'a mut [Part],
    depth: &'a mut [f32],
}

/// A corner of a triangle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Corner {
    /// Place in the output in pixels, z away from the camera.
    pub(super) at_px: Vec3,
    /// Place in the source, in pixels.
    pub(super) source_px: Vec2,
}

impl Canvas {
    /// A canvas that the caller's thread draws alone, or with a second one.
    pub(super) fn new(size_px: usize, is_shared: bool) -> Self {
        let n = size_px * size_px;
        Self {
            triangles: Vec::with_capacity(MAX_TRIANGLES),
            second: SecondThread::new(is_shared),
            size_px,
            source_from_output: vec![Vec2::ZERO; n],
            part: vec![Part::Surface; n],
            depth: vec![f32::MAX; n],
        }
    }

    pub(crate) fn size_px(&self) -> usize {
        self.size_px
    }

    /// The thread that shares the drawing.
    pub(crate) fn second(&self) -> &SecondThread {
        &self.second
    }

    /// Makes everything infinitely far.
    pub(super) fn clear(&mut self) {
        self.triangles.clear();
    }

    /// Whether some pixel of row `y` was left out between two that were drawn, or may have been.
    pub(crate) fn has_holes(&self, y: usize) -> bool {
        let (size, first) = (self.size_px, y * self.size_px);
        if y == 0 || y + 1 == size {
            return true;
        }
        let row = |first: usize| &self.depth[first..first + size];
        let beside = row(first - 1).iter().zip(row(first + 1));
        let above = row(first - size).iter().zip(row(first + size));
        let is_drawn = |depth: &f32| *depth < f32::MAX;
        let is_hole = |depth: &f32, a: (&f32, &f32), b: (&f32, &f32)| {
            !is_drawn(depth) & (is_drawn(a.0) & is_drawn(a.1) | is_drawn(b.0) & is_drawn(b.1))
        };
        let all = row(first).iter().zip(beside).zip(above);
        all.fold(false, |found, ((depth, beside), above)| found | is_hole(depth, beside, above))
    }

    /// What fills the gap at pixel `x` of row `y`, if it is one.
    pub(crate) fn hole(&self, y: usize, x: usize) -> Option<Vec2> {
        let i = y * self.size_px + x;
        (self.depth[i] == f32::MAX).then(|| self.place(i)).flatten()
    }

    /// Where each pixel of row `y` comes from; `None` where nothing was drawn.
    pub(crate) fn row(&self, y: usize) -> impl Iterator<Item = Option<Vec2>> {
        let from = y * self.size_px;
        (from..from + self.size_px).map(|i| self.place(i))
    }

    /// Row `y` as it was drawn: where pixels come from, and how far they are, `f32::MAX` where nothing was drawn.
    pub(crate) fn drawn_row(&self, y: usize) -> (&[Vec2], &[f32]) {
        let row = y * self.size_px..(y + 1) * self.size_px;
        (&self.source_from_output[row.clone()], &self.depth[row])
    }

    /// Where pixel `i` comes from, counted along the rows.
    fn place(&self, i: usize) -> Option<Vec2> {
        if self.depth[i] < f32::MAX {
            return Some(self.source_from_output[i]);
        }
        // A gap of one pixel is a rounding error between two triangles, not background.
        let drawn = |i: usize| self.depth.get(i).is_some_and(|&depth| depth < f32::MAX);
        let before = |by: usize| i.checked_sub(by).filter(|&i| drawn(i) && drawn(i + 2 * by));
        before(1).or_else(|| before(self.size_px)).map(|i| self.source_from_output[i])
    }

    /// Notes a triangle, to be drawn where it is nearer than what is there; `push` is added to its depth.
    pub(super) fn draw(&mut self, corners: [Corner; 3], push: f32, part: Part) {
        self.triangles.push(Triangle { corners, push, part });
    }

    /// Draws all triangles noted since [`Self::clear`].
    pub(super) fn finish(&mut self) {
        let Self { size_px, source_from_output, part, depth, triangles, second } = self;
        let size_px = *size_px;
        let n_rows = size_px.div_ceil(N_BANDS);
        let parts = source_from_output.chunks_mut(n_rows * size_px).zip(part.chunks_mut(n_rows * size_px));
        let bands = parts.zip(depth.chunks_mut(n_rows * size_px)).enumerate();
        second.share_parts(bands, |_, (i, ((source_from_output, part), depth))| {
            let rows = i * n_rows..((i + 1) * n_rows).min(size_px);
            let mut band = Band { rows, size_px, source_from_output, part, depth };
            band.depth.fill(f32::MAX);
            for triangle in &*triangles {
                band.draw(triangle);
            }
        });
    }
}

impl Band<'_> {
    fn draw(&mut self, triangle: &Triangle) {
        let [a, b, c] = triangle.corners.map(|corner| {
            (corner.at_px.truncate(), [corner.source_px.x, corner.source_px.y, corner.at_px.z + triangle.push])
        });
        let (first_row, size) = (self.rows.start, self.size_px);
        scan((size, self.rows.clone()), [a.0, b.0, c.0], [a.1, b.1, c.1], |y, x, n, [u, v, z], [du, dv, dz]| {
            let row = (y - first_row) * size + x;
            let depths = &mut self.depth[row..row + n];
            let sources = &mut self.source_from_output[row..row + n];
            let parts = &mut self.part[row..row + n];
            for (i, ((depth, source), at)) in depths.iter_mut().zip(sources).zip(parts).enumerate() {
                let i = i as f32;
                let here = z + dz * i;
                if here < *depth {
                    *depth = here;
                    *source = Vec2::new(u + du * i, v + dv * i);
                    *at = triangle.part;
                }
            }
        });
    }
}

/// Walks over the pixels of a triangle, row by row, with linearly interpolated values.
///
/// A pixel belongs to the triangle when its centre does; triangles that share an edge share no
/// pixel and leave none between them. `row` gets y, x, the number of pixels, the values at the
/// first one and their steps. Of the rows only `rows` are walked over.
pub(super) fn scan<const N: usize>(
    (size_px, rows): (usize, Range<usize>),
    at_px: [Vec2; 3],
    values: [[f32; N]; 3],
    mut row: impl FnMut(usize, usize, usize, [f32; N], [f32; N]),
) {
    let mut order = [0, 1, 2];
    // Ties are broken by x, so that an edge is computed alike for both of its triangles.
    order.sort_unstable_by(|&i, &j| at_px[i].y.total_cmp(&at_px[j].y).then(at_px[i].x.total_cmp(&at_px[j].x)));
    let [p, q, r] = order.map(|i| at_px[i]);
    let [vp, vq, vr] = order.map(|i| values[i]);
    let (pq, pr) = (q - p, r - p);
    let area = pq.perp_dot(pr);
    let top = (p.y - 0.5).ceil().max(rows.start as f32);
    let bottom = (r.y - 0.5).ceil().min(rows.end as f32);
    if area == 0.0 || !area.is_finite() || top >= bottom {
        return;
    }
    let inverse = 1.0 / area;
    let mut step_x = [0.0; N];
    let mut step_y = [0.0; N];
    let (mut low, mut high) = ([0.0; N], [0.0; N]);
    for i in 0..N {
        let (dq, dr) = (vq[i] - vp[i], vr[i] - vp[i]);
        step_x[i] = (dq * pr.y - dr * pq.y) * inverse;
        step_y[i] = (dr * pq.x - dq * pr.x) * inverse;
        low[i] = vp[i].min(vq[i]).min(vr[i]);
        high[i] = vp[i].max(vq[i]).max(vr[i]);
    }
    let slope = |a: Vec2, b: Vec2| (a, (b.x - a.x) / (b.y - a.y));
    let edge = |(a, slope): (Vec2, f32), y: f32| a.x + (y - a.y) * slope;
    let (whole, upper, lower) = (slope(p, r), slope(p, q), slope(q, r));
    for y in top as usize..bottom as usize {
        let middle = y as f32 + 0.5;
        let long = edge(whole, middle);
        let short = edge(if middle < q.y { upper } else { lower }, middle);
        let begin = (long.min(short) - 0.5).ceil().max(0.0);
        let end = (long.max(short) - 0.5).ceil().min(size_px as f32);
        // False for NaN as well.
        if begin < end {
            let n = (end - begin) as usize;
            let (dx, dy) = (begin + 0.5 - p.x, middle - p.y);
            let last = (n - 1) as f32;
            let mut first = [0.0; N];
            let mut step = [0.0; N];
            for i in 0..N {
                // A sliver's slopes are steep enough to leave its corners' range between two pixel centres.
                first[i] = (vp[i] + step_x[i] * dx + step_y[i] * dy).clamp(low[i], high[i]);
                let final_value = (vp[i] + step_x[i] * (dx + last) + step_y[i] * dy).clamp(low[i], high[i]);
                step[i] = if n > 1 { (final_value - first[i]) / last } else { 0.0 };
            }
            row(y, begin as usize, n, first, step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triangles_that_share_edges_cover_each_pixel_once() {
        let corners = [Vec2::ZERO, Vec2::new(64.0, 0.0), Vec2::new(64.0, 64.0), Vec2::new(0.0, 64.0)];
        let middle = Vec2::new(23.7, 41.3);
        let mut count = vec![0; 64 * 64];
        for i in 0..4 {
            let triangle = [corners[i], corners[(i + 1) % 4], middle];
            scan((64, 0..64), triangle, triangle.map(|p| [p.x, p.y]), |y, x, n, [u, v], [du, _]| {
                for i in 0..n {
                    count[y * 64 + x + i] += 1;
                    assert!((u + du * i as f32 - (x + i) as f32 - 0.5).abs() < 0.01);
                    assert!((v - y as f32 - 0.5).abs() < 0.01);
                }
            });
        }
        assert!(count.iter().all(|&n| n == 1));
    }

    #[test]
    fn points_that_are_not_numbers_draw_nothing() {
        for bad in [f32::NAN, f32::INFINITY, 1e30] {
            let triangle = [Vec2::new(bad, 3.0), Vec2::new(4.0, bad), Vec2::new(bad, bad)];
            scan((16, 0..16), triangle, [[0.0]; 3], |_, x, n, _, _| assert!(x + n <= 16));
        }
    }
}
