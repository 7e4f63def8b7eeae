//! Reading a stamp: at its place, or wherever in a picture it is.

use super::stamp::Stamp;
use super::{BARS, DATA_COLUMN, DATA_ROW, N_BYTES, N_COLUMNS, N_DATA_ROWS, N_ROWS};
use crate::frame::Picture;

/// Dark and light must differ by so much, of 255.
const LEAST_CONTRAST: f32 = 24.0;
/// Places tried in one picture before it counts as one without a code.
const MAX_TRIES: usize = 48;
/// The smallest cell looked for, in pixels.
const LEAST_CELL_PX: f32 = 2.0;

/// Where the strip is in a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Its left edge; in a mirrored picture, counted from the right.
    pub left_px: f32,
    /// Its upper edge.
    pub top_px: f32,
    /// Width and height of a cell.
    pub cell_px: (f32, f32),
    /// Whether left and right are exchanged.
    pub is_mirrored: bool,
}

impl Place {
    /// The place of a strip over the whole width of a picture.
    pub fn whole(width_px: usize) -> Self {
        let cell_px = width_px as f32 / N_COLUMNS as f32;
        Self { left_px: 0.0, top_px: 0.0, cell_px: (cell_px, cell_px), is_mirrored: false }
    }
}

/// A picture's brightness, mirrored or not.
struct View<'a, const C: usize> {
    picture: &'a Picture<C>,
    is_mirrored: bool,
}

impl<const C: usize> View<'_, C> {
    /// Brightness at a pixel, 0..255; that of the nearest one outside the picture.
    fn luma(&self, x: isize, y: isize) -> u32 {
        let (width, height) = (self.picture.width_px(), self.picture.height_px());
        let x = x.clamp(0, width as isize - 1) as usize;
        let x = if self.is_mirrored { width - 1 - x } else { x };
        let at = (y.clamp(0, height as isize - 1) as usize * width + x) * C;
        let data = self.picture.data();
        if C < 3 {
            u32::from(data[at])
        } else {
            (77 * u32::from(data[at]) + 150 * u32::from(data[at + 1]) + 29 * u32::from(data[at + 2])) >> 8
        }
    }

    /// Mean brightness in the middle of a cell.
    fn cell(&self, place: &Place, column: usize, row: usize) -> f32 {
        let mut sum = 0;
        for dy in [0.34, 0.5, 0.66] {
            let y = (place.top_px + (row as f32 + dy) * place.cell_px.1) as isize;
            for dx in [0.34, 0.5, 0.66] {
                let x = (place.left_px + (column as f32 + dx) * place.cell_px.0) as isize;
                sum += self.luma(x, y);
            }
        }
        sum as f32 / 9.0
    }

    /// Mean brightness of columns in all rows of data.
    fn columns(&self, place: &Place, columns: [usize; 2]) -> f32 {
        let rows = DATA_ROW..DATA_ROW + N_DATA_ROWS;
        let sum: f32 = rows.map(|row| columns.iter().map(|&column| self.cell(place, column, row)).sum::<f32>()).sum();
        sum / (2 * N_DATA_ROWS) as f32
    }
}

/// Reads the stamp at a known place; also how many bytes of 24 had to be mended. Allocates nothing.
pub fn read_at<const C: usize>(picture: &Picture<C>, place: &Place) -> Option<(Stamp, usize)> {
    Stamp::decode(word_at(picture, place)?)
}

/// How many of the code's 192 bits at a place are not those of `stamp`; `None` where there are no bars.
pub(crate) fn wrong_bits<const C: usize>(picture: &Picture<C>, place: &Place, stamp: &Stamp) -> Option<u32> {
    let (read, drawn) = (word_at(picture, place)?, stamp.encode());
    Some(read.iter().zip(drawn).map(|(read, drawn)| (read ^ drawn).count_ones()).sum())
}

/// Reads the cells, dark for 1.
fn word_at<const C: usize>(picture: &Picture<C>, place: &Place) -> Option<[u8; N_BYTES]> {
    if picture.width_px() == 0 || picture.height_px() == 0 {
        return None;
    }
    let view = View { picture, is_mirrored: place.is_mirrored };
    // What dark and light are here, at the left and at the right.
    let (dark_left, light_left) = (view.columns(place, [3, 4]), view.columns(place, [6, 7]));
    let (dark_right, light_right) = (view.columns(place, [60, 61]), view.columns(place, [58, 59]));
    if light_left - dark_left < LEAST_CONTRAST || light_right - dark_right < LEAST_CONTRAST {
        return None;
    }
    let (left, right) = ((dark_left + light_left) / 2.0, (dark_right + light_right) / 2.0);
    let mut word = [0; N_BYTES];
    for (i, byte) in word.iter_mut().enumerate() {
        for bit in 0..8 {
            let column = DATA_COLUMN + 2 * i + bit / N_DATA_ROWS;
            let threshold = left + (right - left) * (column as f32 / N_COLUMNS as f32);
            let is_dark = view.cell(place, column, DATA_ROW + bit % N_DATA_ROWS) < threshold;
            *byte |= u8::from(is_dark) << bit;
        }
    }
    Some(word)
}

/// Reads the stamp of a picture that is shown whole, at any scale. Allocates nothing.
pub fn read_whole<const C: usize>(picture: &Picture<C>) -> Option<Stamp> {
    read_at(picture, &Place::whole(picture.width_px())).map(|(stamp, _)| stamp)
}

/// Reads the stamp wherever it is: in a part of the picture, mirrored, with its sides stretched unequally; not turned.
///
/// `place` is where to look first, and is set to where the stamp was found.
pub fn read<const C: usize>(picture: &Picture<C>, place: &mut Option<Place>) -> Option<Stamp> {
    let known = place.iter().copied().chain([Place::whole(picture.width_px())]);
    for known in known {
        if let Some((stamp, _)) = read_at(picture, &known) {
            *place = Some(known);
            return Some(stamp);
        }
    }
    for is_mirrored in [false, true] {
        if let Some((stamp, found)) = search(&View { picture, is_mirrored }) {
            *place = Some(found);
            return Some(stamp);
        }
    }
    None
}

/// Looks for the two bars in rows of the picture.
fn search<const C: usize>(view: &View<'_, C>) -> Option<(Stamp, Place)> {
    let (width, height) = (view.picture.width_px() as isize, view.picture.height_px() as isize);
    if (width as f32) < LEAST_CELL_PX * N_COLUMNS as f32 || (height as f32) < LEAST_CELL_PX * N_ROWS as f32 {
        return None;
    }
    // The bars are four cells high.
    let step = ((LEAST_CELL_PX * 3.0) as usize).max(height as usize / 200);
    let mut n_tries = 0;
    for y in (0..height).step_by(step) {
        let (mut darkest, mut lightest) = (255, 0);
        for x in 0..width {
            let luma = view.luma(x, y);
            (darkest, lightest) = (luma.min(darkest), luma.max(lightest));
        }
        if ((lightest - darkest.min(lightest)) as f32) < LEAST_CONTRAST {
            continue;
        }
        let threshold = (darkest + lightest) / 2;
        let is_dark = |x: isize| view.luma(x, y) < threshold;
        let run_end = |from: isize, limit: isize| {
            let kind = is_dark(from);
            (from..limit.min(width)).find(|&x| is_dark(x) != kind).unwrap_or(limit.min(width))
        };
        let mut x = run_end(0, width);
        while x < width {
            let end = run_end(x, width);
            if !is_dark(x) {
                x = end;
                continue;
            }
            let (bar_from, bar_to) = (x, end);
            x = end;
            let bar = (bar_to - bar_from) as f32;
            if bar < 4.0 * LEAST_CELL_PX - 1.0 || bar_to >= width {
                continue;
            }
            let gap = (run_end(bar_to, width) - bar_to) as f32;
            if !(0.3..=0.75).contains(&(gap / bar)) {
                continue;
            }
            let Some(place) = confirm(view, threshold, y, bar_from, (bar + gap) / 6.0) else { continue };
            n_tries += 1;
            if let Some((stamp, _)) = read_at(view.picture, &place) {
                return Some((stamp, place));
            }
            if n_tries >= MAX_TRIES {
                return None;
            }
        }
    }
    None
}

/// From the left bar in row `y`: finds the right one and the height of the bars.
fn confirm<const C: usize>(
    view: &View<'_, C>,
    threshold: u32,
    y: isize,
    bar_from: isize,
    cell_px: f32,
) -> Option<Place> {
    let width = view.picture.width_px() as isize;
    let is_dark = |x: isize, y: isize| view.luma(x, y) < threshold;
    let n_cells = (BARS.1 - BARS.0) as f32;
    // The outer edge of the right bar, where the left one's width lets it be expected.
    let expected = bar_from as f32 + n_cells * cell_px;
    let slack = 5.0 * cell_px;
    let mut best: Option<(isize, f32)> = None;
    for x in (expected - slack) as isize..=((expected + slack) as isize).min(width) {
        if x < 3 || !is_dark(x - 1, y) || (x < width && is_dark(x, y)) {
            continue;
        }
        let cell = (x - bar_from) as f32 / n_cells;
        // Gap, bar, quiet: light, dark, light.
        let at = |cells: f32| is_dark((x as f32 - cells * cell) as isize, y);
        if at(0.5) && at(1.5) && !at(2.5) && !at(3.5) && at(4.5) {
            let off = (x as f32 - expected).abs();
            if best.is_none_or(|(_, least)| off < least) {
                best = Some((x, off));
            }
        }
    }
    let (bar_to, _) = best?;
    let cell_px = (bar_to - bar_from) as f32 / n_cells;
    if cell_px < LEAST_CELL_PX - 0.1 {
        return None;
    }
    let middle = (bar_from as f32 + 2.0 * cell_px) as isize;
    let limit = (cell_px * 10.0) as isize;
    let up = (0..limit).take_while(|dy| y - dy >= 0 && is_dark(middle, y - dy)).count() as isize;
    let height = view.picture.height_px() as isize;
    let down = (0..limit).take_while(|dy| y + dy < height && is_dark(middle, y + dy)).count() as isize;
    let (top, bottom) = ((y - up + 1) as f32, (y + down) as f32);
    let cell_height_px = (bottom - top) / N_DATA_ROWS as f32;
    if !(0.4..=2.5).contains(&(cell_height_px / cell_px)) {
        return None;
    }
    Some(Place {
        left_px: bar_from as f32 - BARS.0 as f32 * cell_px,
        top_px: top - DATA_ROW as f32 * cell_height_px,
        cell_px: (cell_px, cell_height_px),
        is_mirrored: view.is_mirrored,
    })
}
