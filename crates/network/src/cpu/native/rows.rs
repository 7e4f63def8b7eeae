//! Enlarges planes row by row: bilinear, border repeated.

use crate::kernels::sample::taps;

/// Rows of some planes, enlarged to a width.
#[derive(Debug)]
pub(super) struct Expander {
    n_planes: usize,
    width: usize,
    rows: Vec<f32>,
    narrow: Vec<f32>,
}

impl Expander {
    /// Makes room for rows of `width` from planes that are not wider.
    pub(super) fn new(n_planes: usize, width: usize) -> Self {
        Self { n_planes, width, rows: vec![0.0; n_planes * width], narrow: vec![0.0; width] }
    }

    /// Reads all planes (n, h, w) at height `y` (0..1) in `width` columns.
    #[inline(always)]
    pub(super) fn rows(&mut self, planes: &[f32], (h, w): (usize, usize), y: f32, width: usize) {
        if self.narrow.len() < w {
            // Only a plan that shrinks its mix gets here, and only on its first run.
            self.narrow.resize(w, 0.0);
        }
        let (first, second, part) = taps(y * h as f32 - 0.5, h);
        for (plane, row) in planes.chunks_exact(h * w).zip(self.rows.chunks_exact_mut(self.width)) {
            let (upper, lower) = (&plane[first * w..][..w], &plane[second * w..][..w]);
            let narrow = &mut self.narrow[..w];
            for ((narrow, upper), lower) in narrow.iter_mut().zip(upper).zip(lower) {
                *narrow = upper * (1.0 - part) + lower * part;
            }
            expand(narrow, &mut row[..width]);
        }
    }

    /// The row of one plane.
    #[inline(always)]
    pub(super) fn row(&self, plane: usize) -> &[f32] {
        debug_assert!(plane < self.n_planes);
        &self.rows[plane * self.width..][..self.width]
    }
}

/// Enlarges one row.
#[inline(always)]
fn expand(narrow: &[f32], wide: &mut [f32]) {
    let (n, width) = (narrow.len(), wide.len());
    let factor = width / n;
    match factor {
        1 if width == n => wide.copy_from_slice(narrow),
        2 if width == 2 * n => by_factor::<2>(narrow, wide),
        4 if width == 4 * n => by_factor::<4>(narrow, wide),
        8 if width == 8 * n => by_factor::<8>(narrow, wide),
        16 if width == 16 * n => by_factor::<16>(narrow, wide),
        _ => {
            for (j, wide) in wide.iter_mut().enumerate() {
                let (first, second, part) = taps((j as f32 + 0.5) / width as f32 * n as f32 - 0.5, n);
                *wide = narrow[first] * (1.0 - part) + narrow[second] * part;
            }
        }
    }
}

#[inline(always)]
fn by_factor<const K: usize>(narrow: &[f32], wide: &mut [f32]) {
    let parts: [f32; K] = std::array::from_fn(|t| (t as f32 + 0.5) / K as f32);
    let last = wide.len() - K / 2;
    wide[..K / 2].fill(narrow[0]);
    wide[last..].fill(narrow[narrow.len() - 1]);
    let (blocks, _) = wide[K / 2..last].as_chunks_mut::<K>();
    for (block, pair) in blocks.iter_mut().zip(narrow.windows(2)) {
        let step = pair[1] - pair[0];
        for (wide, part) in block.iter_mut().zip(parts) {
            *wide = pair[0] + step * part;
        }
    }
}
