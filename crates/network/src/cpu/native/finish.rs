//! The finished picture, row by row, on two threads.

use std::sync::{Mutex, PoisonError};

use pulp::{Arch, Simd, WithSimd};

use super::rows::Expander;
use super::whole;
use crate::cpu::second::SecondThread;
use crate::kernels::finish::{self, FinishInputs, FinishShape};
use crate::plan::{Op, PLACES_PER_PX, Plan, UNDRAWN};
use effigy_base::pixel::mix;

/// Rows that one of the threads takes at a time: few enough that neither waits long for the other's last.
const BLOCK_ROWS: usize = 16;

/// The last step, with room for a pair of rows on each thread.
#[derive(Debug)]
pub(in crate::cpu) struct FinishLoop {
    threads: [Mutex<Room>; 2],
}

/// What one thread makes a pair of rows in.
#[derive(Debug)]
struct Room {
    mix: Expander,
    decoded: Expander,
    gates: Expander,
    /// Two rows, since how far the photo is pressed together shows between them.
    places: [Places; 2],
    /// How much of the finest and of the finer band shows in each pair of columns of both rows.
    shown: [Vec<f32>; 2],
    corners: Corners,
    /// What was read there: the whole photo, without its finest band, without both.
    read: [Vec<u32>; 3],
}

impl FinishLoop {
    /// Makes room for a plan's picture, if it has one.
    pub(in crate::cpu) fn new(plan: &Plan) -> Self {
        let finishes = plan.steps().iter().filter_map(|(_, op)| match op {
            Op::Finish(op) => Some(plan.finish_shape(op).size as usize),
            _ => None,
        });
        let size = finishes.max().unwrap_or(0);
        Self { threads: [0; 2].map(|_| Mutex::new(Room::new(size))) }
    }

    /// As the twin, within a few steps of 255. Other formats than RGBA, backgrounds and badges are the twin's: on the
    /// processor the compositor adds them.
    pub(in crate::cpu) fn run(&self, second: &SecondThread, s: &FinishShape, inputs: &FinishInputs, out: &mut [u8]) {
        let size = s.size as usize;
        let stride = 2 * (size + 2 * s.margin as usize);
        let [whole, fine, coarse] = [stride, s.fine as usize, s.coarse as usize].map(|px| Level::of(px, stride));
        let (Some(whole), Some(fine), Some(coarse), 0, 0, 0) =
            (whole, fine, coarse, s.format, s.has_background, s.h_badge)
        else {
            finish::finish(s, inputs, out);
            return;
        };
        let (photo, levels) = inputs.photo.split_at(stride * stride);
        let levels = [(whole, photo), (fine, levels), (coarse, &levels[s.fine as usize..])];
        second.share_parts(out.chunks_mut(BLOCK_ROWS * 4 * size).enumerate(), |who, (block, out)| {
            let room = &mut *self.threads[who].lock().unwrap_or_else(PoisonError::into_inner);
            Arch::new().dispatch(Rows { room, s, inputs, levels, first: block * BLOCK_ROWS, out });
        });
    }
}

impl Room {
    /// Makes room for a picture `size` pixels wide.
    fn new(size: usize) -> Self {
        Self {
            mix: Expander::new(7, size),
            decoded: Expander::new(5, size),
            gates: Expander::new(2, size),
            places: [0; 2].map(|_| Places::new(size)),
            shown: [0; 2].map(|_| vec![0.0; size]),
            corners: Corners::new(size),
            read: [0; 3].map(|_| vec![0; size]),
        }
    }

    /// Where each pixel of one of two rows is in the photo.
    #[inline(always)]
    fn places(&mut self, which: usize, s: &FinishShape, map: &[u32], pose: &[f32], below: f32) {
        let n = s.size as usize;
        let to = &mut self.places[which];
        let (margin, scale) = (s.margin as f32, n as f32);
        let limit = ((2 * (n + 2 * s.margin as usize) - 1) * 256) as f32;
        let row = |k: usize| &self.mix.row(k)[..n];
        let (stay, with_body, with_head, with_mesh, du, dv) = (row(0), row(1), row(2), row(3), row(4), row(5));
        to.with_mesh[..n].copy_from_slice(with_mesh);
        let (xs, ys, map) = (&mut to.x[..n], &mut to.y[..n], &map[..n]);
        let from_packed = 1.0 / PLACES_PER_PX;
        let stay_y = below * scale + margin;
        // The body's and the head's motion in pixels of the picture, counted from the margin's border, along this row:
        // beginning and slope.
        let axis = |k: usize| ((pose[3 * k + 1] * below + pose[3 * k + 2]) * scale + margin, pose[3 * k]);
        let [body_x, body_y, head_x, head_y] = [axis(0), axis(1), axis(2), axis(3)];
        let fixed = |at: f32| whole(((2.0 * at - 0.5) * 256.0).clamp(0.0, limit));
        for j in 0..n {
            let along = j as i32 as f32 + 0.5;
            let stay_x = along + margin;
            let is_drawn = map[j] != UNDRAWN;
            let mesh_x = if is_drawn { (map[j] & 0xffff) as i32 as f32 * from_packed } else { stay_x };
            let mesh_y = if is_drawn { (map[j] >> 16) as i32 as f32 * from_packed } else { stay_y };
            let on = |(beginning, slope): (f32, f32)| beginning + slope * along;
            let x = stay[j] * stay_x + with_body[j] * on(body_x) + with_head[j] * on(head_x) + with_mesh[j] * mesh_x;
            let y = stay[j] * stay_y + with_body[j] * on(body_y) + with_head[j] * on(head_y) + with_mesh[j] * mesh_y;
            xs[j] = fixed(x + du[j] * scale);
            ys[j] = fixed(y + dv[j] * scale);
        }
    }

    /// How much of each band shows: what the motion presses together until it is finer than a pixel would be noise.
    #[inline(always)]
    fn show_bands(&mut self, finer_scale: f32) {
        /// At rest a pixel is two of the whole photo's wide.
        const TO_FADES_FROM: f32 = 1.0 / (finish::FADES_FROM * 512.0);
        let [upper, lower] = &self.places;
        let n = upper.x.len();
        let [finest, finer] = self.shown.each_mut().map(|row| &mut row.as_chunks_mut::<2>().0[..n / 2]);
        let [x0, y0, x1, y1] = [&upper.x, &upper.y, &lower.x, &lower.y].map(|row| &row.as_chunks::<2>().0[..n / 2]);
        for j in 0..n / 2 {
            let along = |from: u32, to: u32| (to as i32 - from as i32) as f32;
            let across = [along(x0[j][0], x0[j][1]), along(y0[j][0], y0[j][1])];
            let down = [along(x0[j][0], x1[j][0]), along(y0[j][0], y1[j][0])];
            let longest = (across[0] * across[0] + across[1] * across[1]).max(down[0] * down[0] + down[1] * down[1]);
            let pressed = longest.sqrt() * TO_FADES_FROM;
            finest[j] = [(2.0 - pressed).clamp(0.0, 1.0); 2];
            finer[j] = [(2.0 - finer_scale * pressed).clamp(0.0, 1.0); 2];
        }
    }

    /// Mixes the photo's pixels with the decoder's.
    #[inline(always)]
    fn blend(&self, which: usize, map: &[u32], out: &mut [u8]) {
        let n = map.len();
        let row = |k: usize| &self.decoded.row(k)[..n];
        let (red, green, blue, alpha, trust) = (row(0), row(1), row(2), row(3), row(4));
        let [finest, finer] = [0, 1].map(|k| &self.gates.row(k)[..n]);
        let with_mesh = &self.places[which].with_mesh[..n];
        let [finest_shown, finer_shown] = self.shown.each_ref().map(|row| &row[..n]);
        let [photo, fine, coarse] = self.read.each_ref().map(|row| &row[..n]);
        let out = &mut out.as_chunks_mut::<4>().0[..n];
        let map = &map[..n];
        for j in 0..n {
            let seen = if map[j] == UNDRAWN { 1.0 - with_mesh[j] } else { 1.0 };
            let of_photo = (1.0 - trust[j]) * channel(photo[j], 24) * seen;
            let of_decoder = trust[j] * alpha[j] * 255.0;
            let opacity = of_photo + of_decoder;
            let scale = 1.0 / opacity.max(255.0 / 512.0);
            let (photo_part, decoder_part) = (of_photo * scale, of_decoder * scale);
            let mut pixel = whole(opacity.min(255.0)) << 24;
            for (shift, decoded) in [(0, red[j]), (8, green[j]), (16, blue[j])] {
                let (p, f, c) = (channel(photo[j], shift), channel(fine[j], shift), channel(coarse[j], shift));
                let (finest_band, finer_band) = (finest_shown[j] * (p - f), finer_shown[j] * (f - c));
                let painted = decoded * 255.0 + finest[j] * finest_band + finer[j] * finer_band;
                let p = c + finer_band + finest_band;
                pixel |= whole((photo_part * p + decoder_part * painted).clamp(0.0, 255.0)) << shift;
            }
            out[j] = pixel.to_le_bytes();
        }
    }
}

/// Where a row of pixels is in the photo.
#[derive(Debug)]
struct Places {
    /// In the whole photo, in 1/256 of its pixels.
    x: Vec<u32>,
    y: Vec<u32>,
    /// How much of the motion is the mesh's.
    with_mesh: Vec<f32>,
}

impl Places {
    fn new(n: usize) -> Self {
        Self { x: vec![0; n], y: vec![0; n], with_mesh: vec![0.0; n] }
    }
}

/// Some rows of a picture, as work for the widest vectors that the processor has; what it calls is part of it.
struct Rows<'a> {
    room: &'a mut Room,
    s: &'a FinishShape,
    inputs: &'a FinishInputs<'a>,
    levels: [(Level, &'a [u32]); 3],
    /// The first row of `out` in the picture, an even one.
    first: usize,
    out: &'a mut [u8],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { room, s, inputs, levels, first, out } = self;
        let size = s.size as usize;
        let stride = levels[0].0.px;
        let finer_scale = s.fine as f32 / (s.size + 2 * s.margin) as f32;
        let height = |i: usize| (i as f32 + 0.5) / size as f32;
        for (pair, out) in out.chunks_exact_mut(2 * 4 * size).enumerate() {
            let map = |row: usize| &inputs.map[(first + 2 * pair + row) * size..][..size];
            for row in 0..2 {
                let below = height(first + 2 * pair + row);
                room.mix.rows(inputs.mix, (s.h_mix as usize, s.w_mix as usize), below, size);
                room.places(row, s, map(row), inputs.pose, below);
            }
            room.show_bands(finer_scale);
            for (row, out) in out.chunks_exact_mut(4 * size).enumerate() {
                let below = height(first + 2 * pair + row);
                room.decoded.rows(inputs.decoded, (s.h as usize, s.w as usize), below, size);
                room.gates.rows(inputs.gates, (s.h_gates as usize, s.w_gates as usize), below, size);
                let places = &room.places[row];
                for ((level, pixels), to) in levels.iter().zip(&mut room.read) {
                    level.corners(pixels, stride, &places.x, &places.y, &mut room.corners);
                    room.corners.mix(to);
                }
                room.blend(row, map(row), out);
            }
        }
    }
}

/// One channel of a packed pixel.
#[inline(always)]
fn channel(pixel: u32, shift: u32) -> f32 {
    (pixel >> shift & 0xff) as i32 as f32
}

/// A level of the photo that has a power of two fewer pixels than the whole.
#[derive(Clone, Copy)]
struct Level {
    px: usize,
    shift: u32,
}

impl Level {
    fn of(px: usize, whole_px: usize) -> Option<Self> {
        let factor = whole_px / px;
        (factor * px == whole_px && factor.is_power_of_two()).then(|| Self { px, shift: factor.trailing_zeros() })
    }

    /// Collects what is around places in the whole photo in the level that begins at the first of `pixels`, the last row
    /// and column repeated.
    #[inline(always)]
    fn corners(self, pixels: &[u32], stride: usize, x: &[u32], y: &[u32], to: &mut Corners) {
        /// From a pixel's border to its centre.
        const HALF: u32 = 128;
        let last = self.px - 2;
        let axis = |at: u32| {
            let at = ((at + HALF) >> self.shift).saturating_sub(HALF);
            let first = ((at >> 8) as usize).min(last);
            (first, (at - ((first as u32) << 8)).min(256))
        };
        let n = x.len();
        let [upper_left, upper_right, lower_left, lower_right] = to.pixels.each_mut().map(|row| &mut row[..n]);
        let (right, lower) = (&mut to.right[..n], &mut to.lower[..n]);
        for (j, (&x, &y)) in x.iter().zip(&y[..n]).enumerate() {
            let ((x, fx), (y, fy)) = (axis(x), axis(y));
            let at = &pixels[y * stride + x..][..stride + 2];
            (upper_left[j], upper_right[j]) = (at[0], at[1]);
            (lower_left[j], lower_right[j]) = (at[stride], at[stride + 1]);
            (right[j], lower[j]) = (fx, fy);
        }
    }
}

/// The four pixels around each place of a row, and how much of 256 the right and the lower ones count.
#[derive(Debug)]
struct Corners {
    pixels: [Vec<u32>; 4],
    right: Vec<u32>,
    lower: Vec<u32>,
}

impl Corners {
    fn new(n: usize) -> Self {
        Self { pixels: [0; 4].map(|_| vec![0; n]), right: vec![0; n], lower: vec![0; n] }
    }

    #[inline(always)]
    fn mix(&self, to: &mut [u32]) {
        let n = to.len();
        let [a, b, c, d] = self.pixels.each_ref().map(|row| &row[..n]);
        let (right, lower) = (&self.right[..n], &self.lower[..n]);
        for j in 0..n {
            to[j] = mix(mix(a[j], b[j], right[j]), mix(c[j], d[j], right[j]), lower[j]);
        }
    }
}
