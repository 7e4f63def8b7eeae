//! From a decoded picture's planes to RGB, by its own matrix and range.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::{Context as Scaler, Flags};
use ffmpeg_next::{Error, frame};

use super::colour::{Colour, SHIFT, ToRgb, Transfer};
use super::tone::ToneMap;
use crate::frame::Rgb;

/// How samples lie in a format that is read here without a detour.
#[derive(Clone, Copy)]
struct Packing {
    /// Of a sample.
    bits: u32,
    /// Bits below a sample's own.
    padding: u32,
    /// Chroma is stored for 2^x columns and rows together.
    log2_chroma: (u32, u32),
    chroma: Chroma,
    /// Whether the format means full range where the file says nothing.
    is_full: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chroma {
    None,
    Planes,
    /// Both in one plane, in turn.
    Pairs,
}

fn packing(format: Pixel) -> Option<Packing> {
    let (bits, padding, log2_chroma, chroma, is_full) = match format {
        Pixel::YUV420P | Pixel::YUVA420P => (8, 0, (1, 1), Chroma::Planes, false),
        Pixel::YUVJ420P => (8, 0, (1, 1), Chroma::Planes, true),
        Pixel::YUV422P | Pixel::YUVA422P => (8, 0, (1, 0), Chroma::Planes, false),
        Pixel::YUVJ422P => (8, 0, (1, 0), Chroma::Planes, true),
        Pixel::YUV444P | Pixel::YUVA444P => (8, 0, (0, 0), Chroma::Planes, false),
        Pixel::YUVJ444P => (8, 0, (0, 0), Chroma::Planes, true),
        Pixel::YUV420P10LE => (10, 0, (1, 1), Chroma::Planes, false),
        Pixel::YUV422P10LE | Pixel::YUVA422P10LE => (10, 0, (1, 0), Chroma::Planes, false),
        Pixel::YUV444P10LE | Pixel::YUVA444P10LE => (10, 0, (0, 0), Chroma::Planes, false),
        Pixel::YUV420P12LE => (12, 0, (1, 1), Chroma::Planes, false),
        Pixel::YUV422P12LE | Pixel::YUVA422P12LE => (12, 0, (1, 0), Chroma::Planes, false),
        Pixel::YUV444P12LE | Pixel::YUVA444P12LE => (12, 0, (0, 0), Chroma::Planes, false),
        Pixel::NV12 => (8, 0, (1, 1), Chroma::Pairs, false),
        Pixel::P010LE => (10, 6, (1, 1), Chroma::Pairs, false),
        Pixel::GRAY8 => (8, 0, (0, 0), Chroma::None, true),
        _ => return None,
    };
    Some(Packing { bits, padding, log2_chroma, chroma, is_full })
}

/// Turns decoded pictures of one stream into RGB, in buffers that are used again.
pub(super) struct Unpacker {
    /// Of the picture before; what follows from them is made once.
    colour: Option<Colour>,
    tone: Option<ToneMap>,
}

impl Unpacker {
    pub(super) fn new() -> Self {
        Self { colour: None, tone: None }
    }

    /// Writes the picture into `rgb`, which takes its size. What had to be changed for the screen is said once.
    ///
    /// # Errors
    /// When FFmpeg cannot convert the format.
    pub(super) fn unpack(&mut self, frame: &frame::Video, rgb: &mut Rgb, shown: &str) -> Result<(), Error> {
        // Files that are stored bottom up have negative strides.
        let is_upright = (0..frame.planes()).all(|plane| (frame.stride(plane) as isize) > 0);
        match packing(frame.format()).filter(|_| is_upright) {
            Some(packing) => {
                self.follow(Colour::of(frame, packing.is_full), shown);
                self.convert(frame, &packing, rgb);
            }
            None => self.detour(frame, rgb, shown)?,
        }
        Ok(())
    }

    fn follow(&mut self, colour: Colour, shown: &str) {
        if self.colour == Some(colour) {
            return;
        }
        self.colour = Some(colour);
        self.tone = ToneMap::new(&colour);
        if let Some(kind) = match colour.transfer {
            Transfer::Standard => None,
            Transfer::Pq => Some("PQ"),
            Transfer::Hlg => Some("HLG"),
        } {
            log::warn!(
                "{shown} has a high dynamic range ({kind}); its highlights are drawn together for the standard range"
            );
        }
    }

    /// Through FFmpeg's own conversion: to 4:4:4 with the same matrix, or to RGB.
    fn detour(&mut self, frame: &frame::Video, rgb: &mut Rgb, shown: &str) -> Result<(), Error> {
        let name = frame.format().descriptor().map_or("", |descriptor| descriptor.name());
        let is_luma = ["yuv", "nv", "p0", "p2", "p4", "uyv", "yvy", "xv", "ayuv", "vuy", "y2"]
            .iter()
            .any(|begin| name.starts_with(begin));
        let to = if is_luma { Pixel::YUV444P12LE } else { Pixel::RGB24 };
        let (width, height) = (frame.width(), frame.height());
        // Made for each picture: it may not change threads, and few files have such formats.
        let flags = Flags::POINT | Flags::ACCURATE_RND;
        let mut scaler = Scaler::get(frame.format(), width, height, to, width, height, flags)?;
        let mut scaled = frame::Video::empty();
        scaler.run(frame, &mut scaled)?;
        if let Some(packing) = packing(to) {
            self.follow(Colour::of(frame, false), shown);
            self.convert(&scaled, &packing, rgb);
        } else {
            rgb.reshape(width as usize, height as usize);
            let (stride, n_bytes) = (scaled.stride(0), width as usize * 3);
            for (to, from) in rgb.data_mut().chunks_exact_mut(n_bytes).zip(scaled.data(0).chunks(stride)) {
                to.copy_from_slice(&from[..n_bytes]);
            }
        }
        Ok(())
    }

    fn convert(&self, frame: &frame::Video, packing: &Packing, rgb: &mut Rgb) {
        let Some(colour) = &self.colour else { return };
        let to_rgb = ToRgb::new(colour, packing.bits);
        let plain = |rgb: [i32; 3]| rgb.map(|x| ((x + (1 << (SHIFT - 1))) >> SHIFT).clamp(0, 255) as u8);
        match (&self.tone, packing.bits) {
            (None, 8) => convert::<1>(frame, packing, &to_rgb, plain, rgb),
            (None, _) => convert::<2>(frame, packing, &to_rgb, plain, rgb),
            (Some(tone), 8) => convert::<1>(frame, packing, &to_rgb, |rgb| tone.map(rgb), rgb),
            (Some(tone), _) => convert::<2>(frame, packing, &to_rgb, |rgb| tone.map(rgb), rgb),
        }
    }
}

/// The loop over a picture whose samples take `BYTES` bytes.
fn convert<const BYTES: usize>(
    frame: &frame::Video,
    packing: &Packing,
    to_rgb: &ToRgb,
    finish: impl Fn([i32; 3]) -> [u8; 3],
    rgb: &mut Rgb,
) {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    rgb.reshape(width, height);
    let (log2_w, log2_h) = packing.log2_chroma;
    let n_chroma_rows = height.div_ceil(1 << log2_h);
    let n_chroma = width.div_ceil(1 << log2_w);
    let sample = |bytes: [u8; BYTES]| {
        let mut wide = [0; 4];
        wide[..BYTES].copy_from_slice(&bytes);
        i32::from_le_bytes(wide) >> packing.padding
    };
    let (luma, luma_stride) = (frame.data(0), frame.stride(0));
    // In pictures of two fields the chroma has fields of its own.
    let has_fields = frame.is_interlaced() && log2_h == 1;
    for (y, pixels) in rgb.data_mut().chunks_exact_mut(width * 3).enumerate() {
        let luma = luma[y * luma_stride..][..width * BYTES].as_chunks::<BYTES>().0;
        let row = if has_fields { (y >> 2 << 1 | y & 1).min(n_chroma_rows - 1) } else { y >> log2_h };
        let chroma = |plane: usize, n_bytes: usize| &frame.data(plane)[row * frame.stride(plane)..][..n_bytes];
        let groups = pixels.chunks_mut(3 << log2_w).zip(luma.chunks(1 << log2_w));
        let group = |(pixels, luma): (&mut [u8], &[[u8; BYTES]]), cb: i32, cr: i32| {
            let (cb, cr) = (cb - to_rgb.c_middle, cr - to_rgb.c_middle);
            let tint = [to_rgb.r_from_cr * cr, to_rgb.g_from_cb * cb + to_rgb.g_from_cr * cr, to_rgb.b_from_cb * cb];
            for (pixel, luma) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(luma) {
                let light = (sample(*luma) - to_rgb.y_black) * to_rgb.y_gain;
                *pixel = finish(tint.map(|tint| light + tint));
            }
        };
        match packing.chroma {
            Chroma::Planes => {
                let (cb, cr) = (chroma(1, n_chroma * BYTES), chroma(2, n_chroma * BYTES));
                let samples = cb.as_chunks::<BYTES>().0.iter().zip(cr.as_chunks::<BYTES>().0);
                groups.zip(samples).for_each(|(pixels, (cb, cr))| group(pixels, sample(*cb), sample(*cr)));
            }
            Chroma::Pairs => {
                let pairs = chroma(1, n_chroma * 2 * BYTES).as_chunks::<BYTES>().0.as_chunks::<2>().0;
                groups.zip(pairs).for_each(|(pixels, [cb, cr])| group(pixels, sample(*cb), sample(*cr)));
            }
            Chroma::None => groups.for_each(|pixels| group(pixels, to_rgb.c_middle, to_rgb.c_middle)),
        }
    }
}
