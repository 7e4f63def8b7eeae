//! finish: out[i, j] = store(badge over (blend(photo at flow(i, j), decoded(i, j)) over background))
//!
//! (x, y) = ((j + 0.5) / size, (i + 0.5) / size); mesh = (map - margin) / size, or (x, y) where map is u32::MAX;
//! (u, v), m = warp's mixed flow; at (u, v) * size + margin, within the photo's outermost centres: w, f, c = whole, fine and
//! coarse photo, rgb and alpha / 255; p_a = w_a, where map is u32::MAX times 1 - m3;
//! s = how closely the photo's pixels lie here, 1 as at rest: the longer of the steps that this place makes from the upper
//! left of each 2 × 2 pixels to the right and down; bands b0 = clamp(2 - s / 1.5, 0, 1) (w - f) and
//! b1 = clamp(2 - s / 1.5 fine / side, 0, 1) (f - c), so that nothing is shown finer than a pixel; p = c + b1 + b0;
//! e = decoded at (x, y), t = e4, g = gates at (x, y); d = e + g0 b0 + g1 b1: the decoder's colour with the photo's two bands;
//! alpha = (1 - t) p_a + t e3; rgb = ((1 - t) p_a p + t e3 d) / max(alpha, 1/512);
//! over background: rgb = background + alpha (rgb - background), alpha = 1; badge the same, with its own alpha.
//! decoded (5, h, w), gates (2, h_gates, w_gates) f16 · mix (7, h_mix, w_mix), pose (4, 3) f32 · map (size, size) u32: x + y << 16 in 1/32 px ·
//! photo (2 side + fine, 2 side), side = size + 2 margin: the whole photo, twice as fine as the picture; below it on the
//! left fine² and to the right of that coarse² · background (size, size), badge (h_badge, w_badge) u32: red in the lowest
//! byte · out u32.
//! Formats: 0 RGBA 8 bits, alpha not multiplied in · 1 NV12 · 2 YUYV; both BT.601 limited range, chroma of the mean.
//! Mapping: one thread makes 4 × 2 pixels, so that every format is written in whole words; neighbours in j.
//! In f32. Tolerance 2 of 255, 3 where places are rounded to 1/256 px (CPU); colour counts by its opacity. Memory-bound: at 512² 1 MB of map, 7 MB of photo, 0.9 MB of decoded, 1 MB of output.

use super::sample::{bilinear, taps, with_mix};

/// Scalars of [`finish`], as every device gets them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishShape {
    /// Width and height of the picture.
    pub size: u32,
    /// Width of the photo's margin in the picture's pixels.
    pub margin: u32,
    /// Width and height of the photo without its finest band.
    pub fine: u32,
    /// Width and height of the photo without both bands.
    pub coarse: u32,
    /// Rows of `decoded`.
    pub h: u32,
    /// Columns of `decoded`.
    pub w: u32,
    /// Rows of `gates`.
    pub h_gates: u32,
    /// Columns of `gates`.
    pub w_gates: u32,
    /// Rows of `mix`.
    pub h_mix: u32,
    /// Columns of `mix`.
    pub w_mix: u32,
    /// 1 when there is a background.
    pub has_background: u32,
    /// Rows of the badge; 0 without one.
    pub h_badge: u32,
    /// Columns of the badge; 0 without one.
    pub w_badge: u32,
    /// 0 RGBA, 1 NV12, 2 YUYV.
    pub format: u32,
}

/// What [`finish`] reads; see the head of this file.
#[derive(Clone, Copy, Debug)]
pub struct FinishInputs<'a> {
    /// (5, h, w).
    pub decoded: &'a [f32],
    /// (2, h_gates, w_gates).
    pub gates: &'a [f32],
    /// (7, h_mix, w_mix).
    pub mix: &'a [f32],
    /// (size, size).
    pub map: &'a [u32],
    /// (4, 3): the body's motion, then the head's.
    pub pose: &'a [f32],
    /// (2 (size + 2 margin) + fine, 2 (size + 2 margin)).
    pub photo: &'a [u32],
    /// (size, size), or empty.
    pub background: &'a [u32],
    /// (h_badge, w_badge), or empty.
    pub badge: &'a [u32],
}

/// A packed pixel as four numbers, 0..1.
pub fn unpack(word: u32) -> [f32; 4] {
    word.to_le_bytes().map(|byte| f32::from(byte) / 255.0)
}

/// 0..1 as a byte, rounded.
pub fn byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

/// The finished picture, `out` in bytes.
pub fn finish(s: &FinishShape, inputs: &FinishInputs, out: &mut [u8]) {
    let size = s.size as usize;
    for i in (0..size).step_by(2) {
        for j in (0..size).step_by(4) {
            let block: [[[f32; 4]; 4]; 2] =
                std::array::from_fn(|a| std::array::from_fn(|b| pixel(s, inputs, i + a, j + b)));
            match s.format {
                0 => store_rgba(size, &block, i, j, out),
                1 => store_nv12(size, &block, i, j, out),
                _ => store_yuyv(size, &block, i, j, out),
            }
        }
    }
}

/// Where a pixel is in the photo.
struct Place {
    /// In the picture's pixels, counted from the margin's border.
    at_px: [f32; 2],
    /// How much of its motion is the mesh's.
    with_mesh: f32,
    is_drawn: bool,
}

impl Place {
    fn of(s: &FinishShape, inputs: &FinishInputs, i: usize, j: usize) -> Self {
        let size = s.size as usize;
        let margin = s.margin as f32;
        let (x, y) = ((j as f32 + 0.5) / size as f32, (i as f32 + 0.5) / size as f32);
        let packed = inputs.map[i * size + j];
        let is_drawn = packed != u32::MAX;
        let place = |packed: u32| (packed as f32 / 32.0 - margin) / size as f32;
        let mesh = if is_drawn { (place(packed & 0xffff), place(packed >> 16)) } else { (x, y) };
        let (u, v, m) = with_mix(inputs.mix, (s.h_mix as usize, s.w_mix as usize), mesh, inputs.pose, x, y);
        let side = size as f32 + 2.0 * margin;
        let at_px = [u, v].map(|at| (at * size as f32 + margin).clamp(OUTERMOST_PX, side - OUTERMOST_PX));
        Self { at_px, with_mesh: m[3], is_drawn }
    }
}

/// Centre of the first pixel of the whole photo, which is twice as fine as the picture.
const OUTERMOST_PX: f32 = 0.25;

/// How closely the photo's pixels lie for one of the picture's where a band begins to fade; at twice that it is gone.
pub const FADES_FROM: f32 = 1.5;

/// How much of the finest and of the finer band shows in the 2 × 2 pixels that begin at an even row and column.
fn shown_bands(s: &FinishShape, [first, right, lower]: [&Place; 3]) -> [f32; 2] {
    let step = |to: &Place| (to.at_px[0] - first.at_px[0]).hypot(to.at_px[1] - first.at_px[1]);
    let pressed = step(right).max(step(lower));
    let finer = s.fine as f32 / (s.size + 2 * s.margin) as f32;
    [pressed, pressed * finer].map(|pressed| (2.0 - pressed / FADES_FROM).clamp(0.0, 1.0))
}

fn pixel(s: &FinishShape, inputs: &FinishInputs, i: usize, j: usize) -> [f32; 4] {
    let size = s.size as usize;
    let (x, y) = ((j as f32 + 0.5) / size as f32, (i as f32 + 0.5) / size as f32);
    let place = Place::of(s, inputs, i, j);
    let (upper, left) = (i & !1, j & !1);
    let block = [(upper, left), (upper, left + 1), (upper + 1, left)].map(|(i, j)| Place::of(s, inputs, i, j));
    let shown = shown_bands(s, block.each_ref());

    let side = size + 2 * s.margin as usize;
    let at = place.at_px.map(|at| at / side as f32);
    let (fine_px, coarse_px) = (s.fine as usize, s.coarse as usize);
    let photo = level(inputs.photo, 2 * side, 0, 2 * side, at);
    let fine = level(inputs.photo, 2 * side, 4 * side * side, fine_px, at);
    let coarse = level(inputs.photo, 2 * side, 4 * side * side + fine_px, coarse_px, at);
    let bands: [[f32; 2]; 3] =
        std::array::from_fn(|c| [shown[0] * (photo[c] - fine[c]), shown[1] * (fine[c] - coarse[c])]);

    let (h, w) = (s.h as usize, s.w as usize);
    let mut decoded: [f32; 5] = std::array::from_fn(|c| bilinear(&inputs.decoded[c * h * w..][..h * w], h, w, x, y));
    let trust = decoded[4];
    let (h, w) = (s.h_gates as usize, s.w_gates as usize);
    let [finest, finer] = [0, 1].map(|c| bilinear(&inputs.gates[c * h * w..][..h * w], h, w, x, y));
    for (decoded, bands) in decoded.iter_mut().zip(bands) {
        *decoded += finest * bands[0] + finer * bands[1];
    }
    let of_photo = (1.0 - trust) * photo[3] * if place.is_drawn { 1.0 } else { 1.0 - place.with_mesh };
    let of_decoder = trust * decoded[3];
    let mut alpha = of_photo + of_decoder;
    let mut rgb: [f32; 3] = std::array::from_fn(|c| {
        let photo = coarse[c] + bands[c][1] + bands[c][0];
        (of_photo * photo + of_decoder * decoded[c]) / alpha.max(1.0 / 512.0)
    });
    if s.has_background == 1 {
        let background = unpack(inputs.background[i * size + j]);
        rgb = std::array::from_fn(|c| background[c] + alpha * (rgb[c] - background[c]));
        alpha = 1.0;
    }
    let (above, before) = (size - s.h_badge as usize, size - s.w_badge as usize);
    if i >= above && j >= before {
        let badge = unpack(inputs.badge[(i - above) * s.w_badge as usize + j - before]);
        rgb = std::array::from_fn(|c| rgb[c] + badge[3] * (badge[c] - rgb[c]));
        alpha += badge[3] * (1.0 - alpha);
    }
    [rgb[0], rgb[1], rgb[2], alpha]
}

/// Reads a square of `px` pixels that begins at `first` of a picture whose rows have `stride`, at a place in parts of its
/// width; bilinear, border repeated.
fn level(pixels: &[u32], stride: usize, first: usize, px: usize, [x, y]: [f32; 2]) -> [f32; 4] {
    let (x0, x1, fx) = taps(x * px as f32 - 0.5, px);
    let (y0, y1, fy) = taps(y * px as f32 - 0.5, px);
    let read = |y: usize, x: usize| unpack(pixels[first + y * stride + x]);
    let (p00, p01, p10, p11) = (read(y0, x0), read(y0, x1), read(y1, x0), read(y1, x1));
    std::array::from_fn(|c| {
        let upper = p00[c] * (1.0 - fx) + p01[c] * fx;
        let lower = p10[c] * (1.0 - fx) + p11[c] * fx;
        upper * (1.0 - fy) + lower * fy
    })
}

fn store_rgba(size: usize, block: &[[[f32; 4]; 4]; 2], i: usize, j: usize, out: &mut [u8]) {
    for a in 0..2 {
        for b in 0..4 {
            let at = ((i + a) * size + j + b) * 4;
            out[at..at + 4].copy_from_slice(&block[a][b].map(byte));
        }
    }
}

/// Luma of a pixel, BT.601 limited range, as a byte.
pub fn luma(pixel: [f32; 4]) -> u8 {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(|v| v.clamp(0.0, 1.0));
    (16.0 + 65.481 * r + 128.553 * g + 24.966 * b + 0.5) as u8
}

/// Cb and Cr of some pixels' mean, BT.601 limited range, as bytes.
pub fn chroma(pixels: &[[f32; 4]]) -> [u8; 2] {
    let n = pixels.len() as f32;
    let [r, g, b] = [0, 1, 2].map(|c| pixels.iter().map(|p| p[c].clamp(0.0, 1.0)).sum::<f32>() / n);
    let cb = 128.0 - 37.797 * r - 74.203 * g + 112.0 * b;
    let cr = 128.0 + 112.0 * r - 93.786 * g - 18.214 * b;
    [(cb + 0.5) as u8, (cr + 0.5) as u8]
}

fn store_nv12(size: usize, block: &[[[f32; 4]; 4]; 2], i: usize, j: usize, out: &mut [u8]) {
    for a in 0..2 {
        let at = (i + a) * size + j;
        out[at..at + 4].copy_from_slice(&block[a].map(luma));
    }
    for b in [0, 2] {
        let at = size * size + i / 2 * size + j + b;
        let four = [block[0][b], block[0][b + 1], block[1][b], block[1][b + 1]];
        out[at..at + 2].copy_from_slice(&chroma(&four));
    }
}

fn store_yuyv(size: usize, block: &[[[f32; 4]; 4]; 2], i: usize, j: usize, out: &mut [u8]) {
    for a in 0..2 {
        for b in [0, 2] {
            let two = [block[a][b], block[a][b + 1]];
            let [cb, cr] = chroma(&two);
            let at = ((i + a) * size + j + b) * 2;
            out[at..at + 4].copy_from_slice(&[luma(two[0]), cb, luma(two[1]), cr]);
        }
    }
}
