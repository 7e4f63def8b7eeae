//! The finished picture, row by row.

use super::rows::Expander;
use crate::generate::plan::{Op, PLACES_PER_PX, Plan, UNDRAWN};
use crate::kernels::finish::{self, FinishInputs, FinishShape};

/// The last step, with room for one row.
#[derive(Debug)]
pub(in crate::generate::cpu) struct FinishLoop {
    mix: Expander,
    decoded: Expander,
    /// Places in the photo, in 1/256 of its pixels.
    x: Vec<i32>,
    y: Vec<i32>,
    pixels: Vec<[u8; 4]>,
}

impl FinishLoop {
    /// Makes room for a plan's picture, if it has one.
    pub(in crate::generate::cpu) fn new(plan: &Plan) -> Self {
        let finishes = plan.steps().iter().filter_map(|(_, op)| match op {
            Op::Finish(op) => Some(plan.finish_shape(op).size as usize),
            _ => None,
        });
        let size = finishes.max().unwrap_or(0);
        Self {
            mix: Expander::new(6, size),
            decoded: Expander::new(5, size),
            x: vec![0; size],
            y: vec![0; size],
            pixels: vec![[0; 4]; size],
        }
    }

    /// As the twin, within a few steps of 255. Other formats than RGBA, backgrounds and badges are the twin's: on the
    /// processor the compositor adds them.
    pub(in crate::generate::cpu) fn run(&mut self, s: &FinishShape, inputs: &FinishInputs, out: &mut [u8]) {
        if s.format != 0 || s.has_background == 1 || s.h_badge > 0 {
            finish::finish(s, inputs, out);
            return;
        }
        let size = s.size as usize;
        let side = size + 2 * s.margin as usize;
        for i in 0..size {
            let below = (i as f32 + 0.5) / size as f32;
            self.mix.rows(inputs.mix, (s.h_mix as usize, s.w_mix as usize), below, size);
            self.decoded.rows(inputs.decoded, (s.h as usize, s.w as usize), below, size);
            let map = &inputs.map[i * size..][..size];
            self.places(s, map, inputs.pose, below);
            read(inputs.photo, side, &self.x, &self.y, &mut self.pixels);
            self.blend(map, &mut out[i * size * 4..][..size * 4]);
        }
    }

    /// Where each pixel of a row is in the photo.
    fn places(&mut self, s: &FinishShape, map: &[u32], pose: &[f32], below: f32) {
        let size = s.size as usize;
        let margin = s.margin as f32;
        let scale = size as f32;
        let limit = ((size + 2 * s.margin as usize - 1) * 256) as f32;
        let [stay, with_head, with_mesh, du, dv] = [0, 1, 2, 3, 4].map(|k| &self.mix.row(k)[..size]);
        let from_packed = 1.0 / PLACES_PER_PX;
        let stay_y = below * scale + margin;
        for j in 0..size {
            let aside = (j as f32 + 0.5) / scale;
            let packed = map[j];
            let stay_x = aside * scale + margin;
            let is_drawn = packed != UNDRAWN;
            let mesh_x = if is_drawn { (packed & 0xffff) as f32 * from_packed } else { stay_x };
            let mesh_y = if is_drawn { (packed >> 16) as f32 * from_packed } else { stay_y };
            let head_x = (pose[0] * aside + pose[1] * below + pose[2]) * scale + margin;
            let head_y = (pose[3] * aside + pose[4] * below + pose[5]) * scale + margin;
            let x = stay[j] * stay_x + with_head[j] * head_x + with_mesh[j] * mesh_x + du[j] * scale;
            let y = stay[j] * stay_y + with_head[j] * head_y + with_mesh[j] * mesh_y + dv[j] * scale;
            self.x[j] = ((x - 0.5) * 256.0 + 0.5).clamp(0.0, limit) as i32;
            self.y[j] = ((y - 0.5) * 256.0 + 0.5).clamp(0.0, limit) as i32;
        }
    }

    /// Mixes the photo's pixels with the decoder's.
    fn blend(&self, map: &[u32], out: &mut [u8]) {
        let n = map.len();
        let [red, green, blue, alpha, trust] = [0, 1, 2, 3, 4].map(|k| &self.decoded.row(k)[..n]);
        let with_mesh = &self.mix.row(2)[..n];
        let photo = &self.pixels[..n];
        for (j, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let p = photo[j].map(f32::from);
            let seen = if map[j] == UNDRAWN { 1.0 - with_mesh[j] } else { 1.0 };
            let of_photo = (1.0 - trust[j]) * p[3] * seen;
            let of_decoder = trust[j] * alpha[j] * 255.0;
            let whole = of_photo + of_decoder;
            let scale = 1.0 / whole.max(255.0 / 512.0);
            let photo_part = of_photo * scale;
            let decoder_part = of_decoder * scale * 255.0;
            *out = [
                byte(photo_part * p[0] + decoder_part * red[j]),
                byte(photo_part * p[1] + decoder_part * green[j]),
                byte(photo_part * p[2] + decoder_part * blue[j]),
                byte(whole),
            ];
        }
    }
}

/// 0..255 as a byte, rounded.
#[inline]
fn byte(value: f32) -> u8 {
    // A number that is none of these saturates: the same as clamping, and one instruction less.
    (value + 0.5) as u8
}

/// Reads pixels at places of 1/256, bilinear, the last row and column repeated.
fn read(photo: &[u32], side: usize, x: &[i32], y: &[i32], pixels: &mut [[u8; 4]]) {
    let last = side - 2;
    for ((pixel, &x), &y) in pixels.iter_mut().zip(x).zip(y) {
        let axis = |at: i32| {
            let first = ((at >> 8) as usize).min(last);
            (first, (at as u32 - ((first as u32) << 8)).min(256))
        };
        let ((x, fx), (y, fy)) = (axis(x), axis(y));
        let first = y * side + x;
        let (upper, lower) = (&photo[first..first + 2], &photo[first + side..first + side + 2]);
        *pixel = mix(mix(upper[0], upper[1], fx), mix(lower[0], lower[1], fx), fy).to_le_bytes();
    }
}

/// Mixes two pixels, all four channels at once: `part` of 256 of the second.
#[inline]
fn mix(a: u32, b: u32, part: u32) -> u32 {
    const EVEN: u32 = 0x00ff_00ff;
    const HALF: u32 = 0x0080_0080;
    let rest = 256 - part;
    let even = (((a & EVEN) * rest + (b & EVEN) * part + HALF) >> 8) & EVEN;
    let odd = (((a >> 8) & EVEN) * rest + ((b >> 8) & EVEN) * part + HALF) & !EVEN;
    even | odd
}
