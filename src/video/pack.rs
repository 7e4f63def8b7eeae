//! From RGB to the planes that encoders take: BT.709 in video range.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame;

use super::colour::Matrix;

/// Fraction bits of the coefficients.
const SHIFT: u32 = 16;

/// How an encoder's planes lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes {
    bits: u32,
    /// Chroma is stored for so many columns and rows together.
    chroma: (usize, usize),
    pub(super) has_alpha: bool,
}

impl Planes {
    /// Of the formats that are written.
    pub(super) fn of(format: Pixel) -> Option<Self> {
        let (bits, chroma, has_alpha) = match format {
            Pixel::YUV420P => (8, (2, 2), false),
            Pixel::YUV444P => (8, (1, 1), false),
            Pixel::YUVA444P => (8, (1, 1), true),
            Pixel::YUV420P10LE => (10, (2, 2), false),
            Pixel::YUV422P10LE => (10, (2, 1), false),
            Pixel::YUVA444P10LE => (10, (1, 1), true),
            _ => return None,
        };
        Some(Self { bits, chroma, has_alpha })
    }

    /// The size of a file for pictures of `size_px`: no smaller, and whole in chroma.
    pub(super) fn file_size_px(&self, (width_px, height_px): (usize, usize)) -> (usize, usize) {
        (width_px.next_multiple_of(self.chroma.0), height_px.next_multiple_of(self.chroma.1))
    }
}

/// Shares of red, green and blue, with [`SHIFT`] bits of fraction, and what black is.
struct Row {
    shares: [i32; 3],
    offset: i32,
}

impl Row {
    fn of(&self, rgb: [i32; 3], shift: u32) -> i32 {
        let sum: i32 = self.shares.iter().zip(rgb).map(|(share, x)| share * x).sum();
        ((sum + (1 << (shift - 1))) >> shift) + self.offset
    }
}

/// Writes pictures into an encoder's frame, in memory that is used again.
pub(super) struct Packer {
    planes: Planes,
    luma: Row,
    cb: Row,
    cr: Row,
    /// Sums of the colours that share a sample of chroma.
    sums: Vec<[i32; 3]>,
    row: Vec<[u8; 4]>,
}

impl Packer {
    pub(super) fn new(planes: Planes) -> Self {
        let (red, blue) = Matrix::Bt709.shares();
        let shares = [red, 1.0 - red - blue, blue];
        let step = f64::from(1_u32 << (planes.bits - 8));
        let fixed = |gains: [f64; 3]| gains.map(|gain| (gain * step / 255.0 * f64::from(1 << SHIFT)).round() as i32);
        let chroma = |which: usize, share: f64| {
            let of = |c: usize| 224.0 * (f64::from(u8::from(c == which)) - shares[c]) / (2.0 * (1.0 - share));
            Row { shares: fixed([of(0), of(1), of(2)]), offset: 128 << (planes.bits - 8) }
        };
        Self {
            planes,
            luma: Row { shares: fixed(shares.map(|share| 219.0 * share)), offset: 16 << (planes.bits - 8) },
            cb: chroma(2, blue),
            cr: chroma(0, red),
            sums: Vec::new(),
            row: Vec::new(),
        }
    }

    /// Fills `frame`; `read` writes row `y` of the picture as it is in the file, in RGBA.
    pub(super) fn pack(&mut self, frame: &mut frame::Video, read: impl Fn(usize, &mut [[u8; 4]])) {
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let (step_x, step_y) = self.planes.chroma;
        self.row.resize(width, [0; 4]);
        self.sums.resize(width.div_ceil(step_x), [0; 3]);
        let shift = SHIFT + step_x.ilog2() + step_y.ilog2();
        for y in 0..height {
            read(y, &mut self.row);
            if y % step_y == 0 {
                self.sums.fill([0; 3]);
            }
            for (sum, pixels) in self.sums.iter_mut().zip(self.row.chunks(step_x)) {
                for [r, g, b, _] in pixels {
                    *sum = [sum[0] + i32::from(*r), sum[1] + i32::from(*g), sum[2] + i32::from(*b)];
                }
            }
            let luma = |[r, g, b, _]: &[u8; 4]| self.luma.of([(*r).into(), (*g).into(), (*b).into()], SHIFT);
            put(frame, 0, y, self.planes.bits, self.row.iter().map(luma));
            if self.planes.has_alpha {
                // Alpha is full range: 255 is the most that the bits hold.
                let most = (1 << self.planes.bits) - 1;
                let alpha = |pixel: &[u8; 4]| (i32::from(pixel[3]) * most + 127) / 255;
                put(frame, 3, y, self.planes.bits, self.row.iter().map(alpha));
            }
            if y % step_y == step_y - 1 {
                put(frame, 1, y / step_y, self.planes.bits, self.sums.iter().map(|sum| self.cb.of(*sum, shift)));
                put(frame, 2, y / step_y, self.planes.bits, self.sums.iter().map(|sum| self.cr.of(*sum, shift)));
            }
        }
    }
}

/// Writes a row of samples.
fn put(frame: &mut frame::Video, plane: usize, y: usize, bits: u32, samples: impl Iterator<Item = i32>) {
    let stride = frame.stride(plane);
    let row = &mut frame.data_mut(plane)[y * stride..][..stride];
    if bits == 8 {
        row.iter_mut().zip(samples).for_each(|(to, sample)| *to = sample as u8);
    } else {
        let to = row.as_chunks_mut::<2>().0;
        to.iter_mut().zip(samples).for_each(|(to, sample)| *to = (sample as u16).to_le_bytes());
    }
}
