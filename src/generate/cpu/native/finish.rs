//! The finished picture, row by row.

use super::rows::Expander;
use crate::generate::plan::{Op, PLACES_PER_PX, Plan, UNDRAWN};
use crate::kernels::finish::{self, FinishInputs, FinishShape};
use crate::pixel::mix;

/// The last step, with room for one row.
#[derive(Debug)]
pub(in crate::generate::cpu) struct FinishLoop {
    mix: Expander,
    decoded: Expander,
    /// Places in the photo, in 1/256 of its pixels.
    x: Vec<u32>,
    y: Vec<u32>,
    pixels: Vec<u32>,
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
            mix: Expander::new(7, size),
            decoded: Expander::new(5, size),
            x: vec![0; size],
            y: vec![0; size],
            pixels: vec![0; size],
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
        let n = s.size as usize;
        let (margin, scale) = (s.margin as f32, n as f32);
        let limit = ((n + 2 * s.margin as usize - 1) * 256) as f32;
        let row = |k: usize| &self.mix.row(k)[..n];
        let (stay, with_body, with_head, with_mesh, du, dv) = (row(0), row(1), row(2), row(3), row(4), row(5));
        let (xs, ys, map) = (&mut self.x[..n], &mut self.y[..n], &map[..n]);
        let from_packed = 1.0 / PLACES_PER_PX;
        let stay_y = below * scale + margin;
        // The body's and the head's motion in pixels of the photo, along this row: beginning and slope.
        let axis = |k: usize| ((pose[3 * k + 1] * below + pose[3 * k + 2]) * scale + margin, pose[3 * k]);
        let [body_x, body_y, head_x, head_y] = [axis(0), axis(1), axis(2), axis(3)];
        let fixed = |at: f32| whole(((at - 0.5) * 256.0).clamp(0.0, limit));
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

    /// Mixes the photo's pixels with the decoder's.
    fn blend(&self, map: &[u32], out: &mut [u8]) {
        let n = map.len();
        let row = |k: usize| &self.decoded.row(k)[..n];
        let (red, green, blue, alpha, trust) = (row(0), row(1), row(2), row(3), row(4));
        let (with_mesh, photo) = (&self.mix.row(3)[..n], &self.pixels[..n]);
        let out = &mut out.as_chunks_mut::<4>().0[..n];
        let map = &map[..n];
        for j in 0..n {
            let channel = |shift: u32| (photo[j] >> shift & 0xff) as i32 as f32;
            let seen = if map[j] == UNDRAWN { 1.0 - with_mesh[j] } else { 1.0 };
            let of_photo = (1.0 - trust[j]) * channel(24) * seen;
            let of_decoder = trust[j] * alpha[j] * 255.0;
            let opacity = of_photo + of_decoder;
            let scale = 1.0 / opacity.max(255.0 / 512.0);
            let (photo_part, decoder_part) = (of_photo * scale, of_decoder * scale * 255.0);
            // Weights and samples are not negative and the weights' sum is at most one.
            let mixed = |shift: u32, decoded: f32| {
                whole((photo_part * channel(shift) + decoder_part * decoded).min(255.0)) << shift
            };
            let pixel = mixed(0, red[j]) | mixed(8, green[j]) | mixed(16, blue[j]) | whole(opacity.min(255.0)) << 24;
            out[j] = pixel.to_le_bytes();
        }
    }
}

/// A number from 0 to 2^22, rounded. Its digits end up in a float's lowest bits when 2^23 is added; a cast would have to
/// look for what does not fit, and would not run four at a time.
#[inline]
fn whole(value: f32) -> u32 {
    const TWO_TO_23: f32 = 8_388_608.0;
    (value + TWO_TO_23).to_bits() & 0x007f_ffff
}

/// Reads pixels at places of 1/256, bilinear, the last row and column repeated.
fn read(photo: &[u32], side: usize, x: &[u32], y: &[u32], pixels: &mut [u32]) {
    let last = side - 2;
    for ((pixel, &x), &y) in pixels.iter_mut().zip(x).zip(y) {
        let axis = |at: u32| {
            let first = ((at >> 8) as usize).min(last);
            (first, at - ((first as u32) << 8))
        };
        let ((x, fx), (y, fy)) = (axis(x), axis(y));
        let first = y * side + x;
        let (upper, lower) = (&photo[first..first + 2], &photo[first + side..first + side + 2]);
        *pixel = mix(mix(upper[0], upper[1], fx), mix(lower[0], lower[1], fx), fy);
    }
}
