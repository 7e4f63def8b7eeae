//! The generated head drawn into a frame at rest.
//!
//! Towards the square's borders the moving picture turns into the still one, and the body's motion comes to rest, so that
//! there is no seam.

use std::slice::ChunksExactMut;
use std::sync::{Mutex, PoisonError};

use glam::Vec2;
use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, resize};
use pulp::Arch;

use super::Shift;
use super::axis::{Tap, mix, over, premultiplied, straight};
use super::still::Still;
use super::wish::{BOTTOM_BAND, SIDE_BAND};
use crate::error::Result;
use crate::frame::Rgba;
use crate::generate::cpu::SecondThread;

const OPAQUE: u32 = 0xff00_0000;

/// The generated person on its way into the frame. Takes memory with the first picture only.
pub(super) struct Head {
    /// Alpha multiplied in, mirrored where the frame is.
    person: Rgba,
    shrunk: Rgba,
    /// A row of it, for each thread.
    lines: [Mutex<Vec<u32>>; 2],
    second: SecondThread,
}

/// Rows that a thread takes at a time.
const BAND: usize = 32;

impl Head {
    pub(super) fn new() -> Self {
        let is_shared = std::thread::available_parallelism().is_ok_and(|n| n.get() > 1);
        let (person, shrunk) = (Rgba::default(), Rgba::default());
        Self { person, shrunk, lines: Default::default(), second: SecondThread::new(is_shared) }
    }

    /// Draws the person into the still picture's area of `out`, which has the frame's size.
    pub(super) fn draw(&mut self, generated: &Rgba, still: &Still, shift: Shift, out: &mut Rgba) -> Result<()> {
        let Self { person, shrunk, lines, second } = self;
        let size = generated.width_px();
        person.reshape(size, size);
        // On the processor's widest vectors; the loops are plain.
        let arch = Arch::new();
        let rows = person.data_mut().chunks_mut(BAND * size * 4).zip(generated.data().chunks(BAND * size * 4));
        second.share_parts(rows, |_, (to, from)| {
            arch.dispatch(|| premultiply(to, from, size, still.is_mirrored));
        });
        let source = if still.source_px < size {
            shrunk.reshape(still.source_px, still.source_px);
            let side = Size::new(still.source_px as i32, still.source_px as i32);
            resize(&person.as_mat()?, &mut shrunk.as_mat_mut()?, side, 0.0, 0.0, INTER_AREA)?;
            &*shrunk
        } else {
            &*person
        };
        for line in &mut *lines {
            line.get_mut().unwrap_or_else(PoisonError::into_inner).resize(still.source_px, 0);
        }
        let shift = shift.in_pixels(still);
        let (area, stride) = (still.area, out.width_px() * 4);
        let rows = &mut out.data_mut()[area.y * stride..][..area.height * stride];
        let lines = &*lines;
        second.share_parts(rows.chunks_mut(BAND * stride).enumerate(), |who, (band, rows)| {
            let mut line = lines[who].lock().unwrap_or_else(PoisonError::into_inner);
            arch.dispatch(|| draw_rows(source, still, &shift, band * BAND, rows.chunks_exact_mut(stride), &mut line));
        });
        Ok(())
    }
}

/// Multiplies alpha into rows of `size` pixels.
#[inline(always)]
fn premultiply(to: &mut [u8], from: &[u8], size: usize, is_mirrored: bool) {
    for (to, from) in to.chunks_exact_mut(size * 4).zip(from.chunks_exact(size * 4)) {
        let (to, from) = (to.as_chunks_mut::<4>().0.iter_mut(), from.as_chunks::<4>().0.iter());
        if is_mirrored {
            to.zip(from.rev()).for_each(|(to, from)| *to = premultiplied(*from).to_le_bytes());
        } else {
            to.zip(from).for_each(|(to, from)| *to = premultiplied(*from).to_le_bytes());
        }
    }
}

/// Draws the person into rows of the frame, from row `first` of the still picture's area on; `line` has room for a row of the
/// source.
#[inline(always)]
fn draw_rows(
    source: &Rgba,
    still: &Still,
    shift: &PixelShift,
    first: usize,
    rows: ChunksExactMut<u8>,
    line: &mut [u32],
) {
    let area = still.area;
    // Columns that move as they were generated lie between the first and the last of them.
    let whole = |share: &u32| *share == 256;
    let begin = still.across.iter().position(whole).unwrap_or(area.width);
    let end = still.across.iter().rposition(whole).map_or(begin, |last| last + 1);
    let places = still.down.iter().zip(still.rows.taps()).enumerate().skip(first);
    for (frame_row, (y, (&down, &row))) in rows.zip(places) {
        let at = y * area.width;
        let (behind, at_rest) = (&still.behind[at..][..area.width], &still.at_rest[at..][..area.width]);
        let to = frame_row[area.x * 4..][..area.width * 4].as_chunks_mut::<4>().0;
        let mut fade = |columns: std::ops::Range<usize>| {
            for x in columns {
                let share = still.across[x] * down / 256;
                to[x] = still.finished(match share {
                    0 => at_rest[x],
                    _ => mix(at_rest[x], over(shift.read(source, still, x, y, share), behind[x]), share),
                });
            }
        };
        if down < 256 {
            fade(0..area.width);
            continue;
        }
        fade(0..begin);
        fade(end..area.width);
        if begin == end {
            continue;
        }
        let taps = &still.columns.taps()[begin..end];
        let columns = taps[0].first as usize..taps[taps.len() - 1].second as usize + 1;
        let upper = &source.row(row.first as usize).as_chunks::<4>().0[columns.clone()];
        let lower = &source.row(row.second as usize).as_chunks::<4>().0[columns.clone()];
        for ((line, upper), lower) in line[columns].iter_mut().zip(upper).zip(lower) {
            *line = mix(u32::from_le_bytes(*upper), u32::from_le_bytes(*lower), row.weight);
        }
        for ((to, tap), behind) in to[begin..end].iter_mut().zip(taps).zip(&behind[begin..end]) {
            let person = mix(line[tap.first as usize], line[tap.second as usize], tap.weight);
            *to = still.finished(over(person, *behind));
        }
    }
}

impl Still {
    /// A pixel as it leaves.
    #[inline(always)]
    fn finished(&self, pixel: u32) -> [u8; 4] {
        if self.is_opaque { (pixel | OPAQUE).to_le_bytes() } else { straight(pixel) }
    }
}

/// How far the generated body is from its place in the photo, in pixels of the frame: growth and a step.
struct PixelShift {
    growth: f32,
    step: Vec2,
    longest: Vec2,
    /// Pixels of the source for one of the frame's.
    per_pixel: f32,
    corner: Vec2,
}

impl Shift {
    fn in_pixels(self, still: &Still) -> PixelShift {
        let side = still.square.side as f32;
        let x = if still.is_mirrored { -self.step.x - self.growth } else { self.step.x };
        PixelShift {
            growth: self.growth,
            step: Vec2::new(x, self.step.y) * side,
            // No more than the bands take up without folding.
            longest: Vec2::new(SIDE_BAND, BOTTOM_BAND) * 0.6 * side,
            per_pixel: still.source_px as f32 / side,
            corner: Vec2::new(still.square.left as f32, still.square.top as f32),
        }
    }
}

impl PixelShift {
    /// The generated pixel that belongs to a place of the area where `share` of the motion is left.
    #[inline(always)]
    fn read(&self, source: &Rgba, still: &Still, x: usize, y: usize, share: u32) -> u32 {
        let at = Vec2::new((still.area.x + x) as f32 + 0.5, (still.area.y + y) as f32 + 0.5) - self.corner;
        let away = (at * self.growth + self.step).clamp(-self.longest, self.longest);
        let from = (at + away * (1.0 - share as f32 / 256.0)) * self.per_pixel;
        let (x, y) = (Tap::at(from.x, still.source_px), Tap::at(from.y, still.source_px));
        let at = |x: u32, y: u32| u32::from_le_bytes(source.pixel(x as usize, y as usize));
        let upper = mix(at(x.first, y.first), at(x.second, y.first), x.weight);
        mix(upper, mix(at(x.first, y.second), at(x.second, y.second), x.weight), y.weight)
    }
}
