//! The spectrum of a map, in units of what is usual around each of its places.

use super::fft::{Complex, Fft, LANES, Lanes, conj};
use super::normal::NormalMap;
use super::sums::Windows;

/// Half the width of the square over which the usual power is measured.
const REACH: usize = 12;
/// Its width.
const WINDOW: usize = 2 * REACH + 1;
/// Added to a number of less than 2^22, it leaves the nearest whole number in the lowest bits.
const ROUNDING: f32 = 12_582_912.0;

/// Half of the spectrum of real samples; the other half is its mirror.
#[derive(Default)]
pub(super) struct Spectrum {
    /// Columns of frequencies, 0 to half a period a sample, in blocks of [`LANES`] of them; in each block rows: frequencies down,
    /// 0 first, then negative ones from the end.
    values: Vec<Lanes>,
    /// Power of each in multiples of the usual, row by row, cut off at what the caller said.
    power: Vec<f32>,
    /// Samples that the transform was taken over, powers of two.
    width: usize,
    height: usize,
    across: Option<(usize, Fft)>,
    down: Option<(usize, Fft)>,
    rows: Vec<Lanes>,
    windows: Windows,
    wide: Vec<f32>,
    sums: Vec<f32>,
    /// Sums of power down each column, row by row.
    column_sums: Vec<f32>,
}

impl Spectrum {
    fn columns(&self) -> usize {
        self.width / 2 + 1
    }

    /// Columns with those that fill the last block, which mean nothing.
    fn stride(&self) -> usize {
        self.columns().next_multiple_of(LANES)
    }

    /// Takes the spectrum of `map`, its middle as the origin of phases. Of power, more than `most` counts as that.
    pub(super) fn take(&mut self, map: &NormalMap, most: f32) {
        // Room around the map, so that what lies between two frequencies can be read by a straight line; and for the window
        // of the usual power on both sides.
        let padded = |side: usize| (side * 3 / 2).next_power_of_two().max(2 * WINDOW.next_power_of_two());
        self.width = padded(map.width);
        self.height = padded(map.height);
        let (width, height, columns) = (self.width, self.height, self.columns());
        let across = prepared(&mut self.across, width);
        self.values.clear();
        self.values.resize(columns.div_ceil(LANES) * height, Lanes::ZERO);
        let row_of = |y: usize| (y + height - map.height / 2) % height;
        // Two rows of real samples are one of complex ones, and so many of these go side by side.
        for (group, rows) in map.values.chunks(2 * LANES * map.width).enumerate() {
            self.rows.clear();
            self.rows.resize(width, Lanes::ZERO);
            for (lane, pair) in rows.chunks(2 * map.width).enumerate() {
                let (first, second) = pair.split_at(map.width);
                for (x, &value) in first.iter().enumerate() {
                    let at = (x + width - map.width / 2) % width;
                    self.rows[at].set(lane, (value, second.get(x).copied().unwrap_or(0.0)));
                }
            }
            across.forward(&mut self.rows);
            for k in 0..columns {
                let (a, b) = (&self.rows[k], &self.rows[(width - k) % width]);
                let block = &mut self.values[k / LANES * height..][..height];
                for lane in 0..LANES {
                    let y = 2 * (group * LANES + lane);
                    let (a, b) = (a.get(lane), conj(b.get(lane)));
                    if y < map.height {
                        block[row_of(y)].set(k % LANES, ((a.0 + b.0) * 0.5, (a.1 + b.1) * 0.5));
                    }
                    if y + 1 < map.height {
                        block[row_of(y + 1)].set(k % LANES, ((a.1 - b.1) * 0.5, (b.0 - a.0) * 0.5));
                    }
                }
            }
        }
        let down = prepared(&mut self.down, height);
        for block in self.values.chunks_exact_mut(height) {
            down.forward(block);
        }
        self.whiten(most);
    }

    /// Divides everything by what is usual around it.
    fn whiten(&mut self, most: f32) {
        let (height, columns, stride) = (self.height, self.columns(), self.stride());
        self.power.clear();
        self.power.resize(height * stride, 0.0);
        self.column_sums.clear();
        self.column_sums.resize(height * stride, 0.0);
        // Sums down each column first; frequencies go round, so that the last rows come before the first.
        for (block, values) in self.values.chunks_exact(height).enumerate() {
            self.wide.clear();
            for lanes in values[height - REACH..].iter().chain(values).chain(&values[..REACH]) {
                self.wide.extend(lanes.re.iter().zip(&lanes.im).map(|(re, im)| re * re + im * im));
            }
            self.windows.sums(&self.wide, WINDOW, LANES, &mut self.sums);
            let powers = self.wide[REACH * LANES..].chunks_exact(LANES);
            for ((y, power), sums) in (0..height).zip(powers).zip(self.sums.chunks_exact(LANES)) {
                let at = y * stride + block * LANES;
                self.power[at..at + LANES].copy_from_slice(power);
                self.column_sums[at..at + LANES].copy_from_slice(sums);
            }
        }
        // Then along the rows. Left of the first column lies the mirror of what is right of it, upside down.
        let n = (WINDOW * WINDOW) as f32;
        for y in 0..height {
            let opposite = (height - y) % height;
            let row_of = |y: usize| &self.column_sums[y * stride..][..columns];
            let (row, other) = (row_of(y), row_of(opposite));
            self.wide.clear();
            self.wide.extend(other[1..=REACH].iter().rev());
            self.wide.extend(row);
            self.wide.extend(other[columns - 1 - REACH..columns - 1].iter().rev());
            self.windows.sums(&self.wide, WINDOW, 1, &mut self.sums);
            let power = &mut self.power[y * stride..][..columns];
            for (power, sum) in power.iter_mut().zip(&mut self.sums) {
                let usual = (*sum / n).max(1e-9);
                *power = (*power / usual).min(most);
                *sum = usual.sqrt().recip();
            }
            let values = self.values[y..].iter_mut().step_by(height);
            for (values, scale) in values.zip(self.sums.chunks(LANES)) {
                for ((re, im), scale) in values.re.iter_mut().zip(&mut values.im).zip(scale) {
                    *re *= scale;
                    *im *= scale;
                }
            }
        }
    }

    /// The value at a frequency in periods a sample, to the right and down, between -0.5 and 0.5.
    pub(super) fn value(&self, right: f32, down: f32) -> Complex {
        if right < 0.0 {
            return conj(self.value(-right, -down));
        }
        // All sides are powers of two, so that a mask goes round.
        let (x, y) = (right * self.width as f32, (down + 1.0) * self.height as f32);
        let (column, row) = ((x as usize).min(self.columns() - 2), y as usize);
        let (part_x, part_y) = (x - column as f32, y - row as f32);
        let at = |column: usize, row: usize| {
            self.values[column / LANES * self.height + (row & (self.height - 1))].get(column % LANES)
        };
        let line = |row: usize| {
            let (a, b) = (at(column, row), at(column + 1, row));
            (a.0 + (b.0 - a.0) * part_x, a.1 + (b.1 - a.1) * part_x)
        };
        let (a, b) = (line(row), line(row + 1));
        (a.0 + (b.0 - a.0) * part_y, a.1 + (b.1 - a.1) * part_y)
    }

    /// The sum of the power nearest to frequencies, in multiples of the usual.
    ///
    /// Each is (right, down) times `scale` in periods a sample, between -0.5 and 0.5, `right` not below 0.
    pub(super) fn power(&self, right: &[f32], down: &[f32], scale: f32, places: &mut Vec<u32>) -> f32 {
        let (across, along) = (scale * self.width as f32, scale * self.height as f32);
        let (height, stride) = (self.height as f32, self.stride() as f32);
        places.clear();
        // In whole numbers that a float holds exactly: processors without newer instructions do this for four at once.
        places.extend(right.iter().zip(down).map(|(right, down)| {
            let column = right * across + ROUNDING - ROUNDING;
            let row = down * along + ROUNDING - ROUNDING;
            let row = if row < 0.0 { row + height } else { row };
            (row * stride + column + ROUNDING).to_bits() & 0x003f_ffff
        }));
        let mut sums = [0.0; 4];
        for places in places.chunks(4) {
            for (sum, &place) in sums.iter_mut().zip(places) {
                *sum += self.power.get(place as usize).copied().unwrap_or(0.0);
            }
        }
        sums.iter().sum()
    }
}

fn prepared(slot: &mut Option<(usize, Fft)>, n: usize) -> &Fft {
    if !matches!(slot, Some((of, _)) if *of == n) {
        *slot = None;
    }
    &slot.get_or_insert_with(|| (n, Fft::new(n))).1
}
