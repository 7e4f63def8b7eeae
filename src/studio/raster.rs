//! A fixed-function rasteriser: triangles and thin ribbons into a depth and id buffer.
//!
//! Rows are cut into bands that threads draw independently; within a band primitives keep their order, so the picture does not depend on the number of threads.

use rayon::prelude::*;

/// A projected vertex: picture position in samples and inverse depth (1/cm, larger is nearer).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Projected {
    pub x: f32,
    pub y: f32,
    pub inv_depth: f32,
}

/// Id of a sample that nothing covers.
pub(super) const NOTHING: u32 = u32::MAX;
/// Ids from here on are hair segments.
pub(super) const HAIR_BASE: u32 = 1 << 24;

/// Depth and primitive id of each sample.
#[derive(Default)]
pub(super) struct Visibility {
    pub width: usize,
    pub height: usize,
    pub inv_depth: Vec<f32>,
    pub id: Vec<u32>,
}

/// A thin ribbon between two projected ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ribbon {
    pub a: Projected,
    pub b: Projected,
    pub width: f32,
    pub id: u32,
}

const BAND_ROWS: usize = 32;
/// Ratio of inverse depths beyond which a ribbon counts as hidden: 5 mm at 125 cm.
const HIDDEN: f32 = 1.004;

struct Band<'a> {
    y0: usize,
    y1: usize,
    width: usize,
    inv_depth: &'a mut [f32],
    id: &'a mut [u32],
}

impl Visibility {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, inv_depth: vec![0.0; width * height], id: vec![NOTHING; width * height] }
    }

    /// Clears the buffer and draws: triangle `i` gets id `i`, ribbons carry theirs.
    /// Triangles that turn away (clockwise on screen) are left out unless `two_sided(i)`.
    pub(super) fn draw(
        &mut self,
        vertices: &[Projected],
        triangles: &[[u32; 3]],
        two_sided: impl Fn(usize) -> bool + Sync,
        ribbons: &[Ribbon],
    ) {
        let n_bands = self.height.div_ceil(BAND_ROWS);
        let height = self.height as f32;
        let bands_of = |lo: f32, hi: f32| {
            if hi < 0.0 || lo >= height || (hi - lo).is_nan() {
                return 0..0;
            }
            (lo.max(0.0) as usize / BAND_ROWS)..(hi.min(height - 1.0) as usize / BAND_ROWS + 1)
        };
        let mut triangle_bins = vec![Vec::new(); n_bands];
        for (i, t) in triangles.iter().enumerate() {
            let [a, b, c] = t.map(|v| vertices[v as usize]);
            let area = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
            // Picture y points down, so a counter-clockwise triangle has a negative area here.
            if area >= 0.0 && !two_sided(i) || area == 0.0 || a.inv_depth.min(b.inv_depth).min(c.inv_depth) <= 0.0 {
                continue;
            }
            for bin in bands_of(a.y.min(b.y).min(c.y), a.y.max(b.y).max(c.y)) {
                triangle_bins[bin].push(i as u32);
            }
        }
        let mut ribbon_bins = vec![Vec::new(); n_bands];
        for (i, r) in ribbons.iter().enumerate() {
            if r.a.inv_depth.min(r.b.inv_depth) <= 0.0 {
                continue;
            }
            let w = 0.5 * r.width + 1.0;
            for bin in bands_of(r.a.y.min(r.b.y) - w, r.a.y.max(r.b.y) + w) {
                ribbon_bins[bin].push(i as u32);
            }
        }
        let width = self.width;
        self.inv_depth
            .par_chunks_mut(BAND_ROWS * width)
            .zip(self.id.par_chunks_mut(BAND_ROWS * width))
            .enumerate()
            .for_each(|(k, (inv_depth, id))| {
                inv_depth.fill(0.0);
                id.fill(NOTHING);
                let y0 = k * BAND_ROWS;
                let mut band = Band { y0, y1: y0 + id.len() / width, width, inv_depth, id };
                for &i in &triangle_bins[k] {
                    band.triangle(triangles[i as usize].map(|v| vertices[v as usize]), i);
                }
                for &i in &ribbon_bins[k] {
                    band.ribbon(&ribbons[i as usize]);
                }
            });
    }
}

impl Band<'_> {
    /// Whether an end or the middle of a ribbon lies in the band, so that its depth there can be judged.
    fn reaches(&self, r: &Ribbon) -> bool {
        let inside = |y: f32| y >= self.y0 as f32 && y < self.y1 as f32;
        inside(r.a.y) || inside(r.b.y) || inside(0.5 * (r.a.y + r.b.y))
    }

    #[inline]
    fn put(&mut self, at: usize, inv_depth: f32, id: u32) {
        if inv_depth > self.inv_depth[at] {
            self.inv_depth[at] = inv_depth;
            self.id[at] = id;
        }
    }

    fn triangle(&mut self, [a, b, c]: [Projected; 3], id: u32) {
        let area = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
        let (b, c, area) = if area < 0.0 { (c, b, -area) } else { (b, c, area) };
        let x_lo = (a.x.min(b.x).min(c.x) - 0.5).ceil().max(0.0) as usize;
        let x_hi = (a.x.max(b.x).max(c.x) - 0.5).floor().min(self.width as f32 - 1.0);
        let y_lo = ((a.y.min(b.y).min(c.y) - 0.5).ceil().max(0.0) as usize).max(self.y0);
        let y_hi = (a.y.max(b.y).max(c.y) - 0.5).floor().min(self.y1 as f32 - 1.0);
        if x_hi < x_lo as f32 || y_hi < y_lo as f32 {
            return;
        }
        let (x_hi, y_hi) = (x_hi as usize, y_hi as usize);
        let inv_area = 1.0 / area;
        // Edge functions, positive inside, as w = base + dx·x + dy·y.
        let edge = |p: Projected, q: Projected| (p.y - q.y, q.x - p.x);
        let (ux, uy) = edge(b, c);
        let (vx, vy) = edge(c, a);
        for y in y_lo..=y_hi {
            let py = y as f32 + 0.5;
            let px = x_lo as f32 + 0.5;
            let mut u = (ux * (px - b.x) + uy * (py - b.y)) * inv_area;
            let mut v = (vx * (px - c.x) + vy * (py - c.y)) * inv_area;
            let row = (y - self.y0) * self.width;
            for x in x_lo..=x_hi {
                let w = 1.0 - u - v;
                if u >= 0.0 && v >= 0.0 && w >= 0.0 {
                    self.put(row + x, u * a.inv_depth + v * b.inv_depth + w * c.inv_depth, id);
                }
                u += ux * inv_area;
                v += vx * inv_area;
            }
        }
    }

    /// Whether what is drawn already lies clearly before a point; unknown outside the band.
    fn is_behind(&self, p: Projected) -> bool {
        let (x, y) = (p.x as isize, p.y as isize);
        if x < 0 || x >= self.width as isize || y < self.y0 as isize || y >= self.y1 as isize {
            return true;
        }
        self.inv_depth[(y as usize - self.y0) * self.width + x as usize] > p.inv_depth * HIDDEN
    }

    /// Steps along the longer axis and fills `width` samples across the other.
    fn ribbon(&mut self, r: &Ribbon) {
        let mid = |a: f32, b: f32| 0.5 * (a + b);
        let middle =
            Projected { x: mid(r.a.x, r.b.x), y: mid(r.a.y, r.b.y), inv_depth: mid(r.a.inv_depth, r.b.inv_depth) };
        // Most hair lies behind the head or deep in its own coat: three looks save its drawing.
        if self.is_behind(r.a) && self.is_behind(r.b) && self.is_behind(middle) && self.reaches(r) {
            return;
        }
        let (dx, dy) = (r.b.x - r.a.x, r.b.y - r.a.y);
        let (adx, ady) = (dx.abs(), dy.abs());
        let along = adx.max(ady);
        let slant = (dx * dx + dy * dy).sqrt() / along.max(1e-6);
        let half = 0.5 * r.width * slant.min(1.42);
        if ady >= adx {
            let (lo, hi) = if dy >= 0.0 { (r.a, r.b) } else { (r.b, r.a) };
            let inv = 1.0 / (hi.y - lo.y).max(1e-6);
            let first = ((lo.y - 0.5).ceil().max(self.y0 as f32)) as usize;
            let mut y = first;
            while (y as f32) + 0.5 < hi.y && y < self.y1 {
                let t = (y as f32 + 0.5 - lo.y) * inv;
                let x = lo.x + (hi.x - lo.x) * t;
                let d = lo.inv_depth + (hi.inv_depth - lo.inv_depth) * t;
                self.span(y, x - half, x + half, d, r.id);
                y += 1;
            }
        } else {
            let (lo, hi) = if dx >= 0.0 { (r.a, r.b) } else { (r.b, r.a) };
            let inv = 1.0 / (hi.x - lo.x).max(1e-6);
            let first = (lo.x - 0.5).ceil().max(0.0) as usize;
            let mut x = first;
            while (x as f32) + 0.5 < hi.x && x < self.width {
                let t = (x as f32 + 0.5 - lo.x) * inv;
                let y = lo.y + (hi.y - lo.y) * t;
                let d = lo.inv_depth + (hi.inv_depth - lo.inv_depth) * t;
                let y_lo = (y - half - 0.5).ceil().max(self.y0 as f32) as usize;
                let mut row = y_lo;
                while (row as f32) + 0.5 < y + half && row < self.y1 {
                    self.put((row - self.y0) * self.width + x, d, r.id);
                    row += 1;
                }
                x += 1;
            }
        }
    }

    #[inline]
    fn span(&mut self, y: usize, lo: f32, hi: f32, inv_depth: f32, id: u32) {
        let row = (y - self.y0) * self.width;
        let mut x = (lo - 0.5).ceil().max(0.0) as usize;
        while (x as f32) + 0.5 < hi && x < self.width {
            self.put(row + x, inv_depth, id);
            x += 1;
        }
    }
}
