//! The spectrum of a map, in units of what is usual around each of its places.

use super::fft::{Complex, Fft, conj};
use super::normal::NormalMap;

/// Half the width of the square over which the usual power is measured.
const REACH: usize = 12;

/// Half of the spectrum of real samples; the other half is its mirror.
#[derive(Default)]
pub(super) struct Spectrum {
    /// Rows: frequencies down, 0 first, then negative ones from the end; columns: 0 to half a period a sample.
    values: Vec<Complex>,
    /// Power of each in multiples of the usual.
    power: Vec<f32>,
    /// Samples that the transform was taken over.
    width: usize,
    height: usize,
    across: Option<(usize, Fft)>,
    down: Option<(usize, Fft)>,
    line: Vec<Complex>,
    wide: Vec<f32>,
    sums: Vec<f32>,
}

impl Spectrum {
    fn columns(&self) -> usize {
        self.width / 2 + 1
    }

    /// Takes the spectrum of `map`, its middle as the origin of phases.
    pub(super) fn take(&mut self, map: &NormalMap) {
        // Room around the map, so that what lies between two frequencies can be read by a straight line.
        let padded = |side: usize| (side * 3 / 2).next_power_of_two().max(4);
        self.width = padded(map.width);
        self.height = padded(map.height);
        let (width, height, columns) = (self.width, self.height, self.columns());
        let across = prepared(&mut self.across, width);
        self.values.clear();
        self.values.resize(columns * height, (0.0, 0.0));
        let row_of = |y: usize| (y + height - map.height / 2) % height;
        for (pair, rows) in map.values.chunks(2 * map.width).enumerate() {
            // Two rows of real samples are one of complex ones.
            self.line.clear();
            self.line.resize(width, (0.0, 0.0));
            let (first, second) = rows.split_at(map.width);
            for (x, &value) in first.iter().enumerate() {
                let at = (x + width - map.width / 2) % width;
                self.line[at] = (value, second.get(x).copied().unwrap_or(0.0));
            }
            across.forward(&mut self.line);
            let (upper, lower) = (row_of(2 * pair) * columns, row_of(2 * pair + 1) * columns);
            for k in 0..columns {
                let (a, b) = (self.line[k], conj(self.line[(width - k) % width]));
                self.values[upper + k] = ((a.0 + b.0) * 0.5, (a.1 + b.1) * 0.5);
                if !second.is_empty() {
                    self.values[lower + k] = ((a.1 - b.1) * 0.5, (b.0 - a.0) * 0.5);
                }
            }
        }
        let down = prepared(&mut self.down, height);
        for k in 0..columns {
            self.line.clear();
            self.line.extend(self.values[k..].iter().step_by(columns));
            down.forward(&mut self.line);
            for (value, &line) in self.values[k..].iter_mut().step_by(columns).zip(&self.line) {
                *value = line;
            }
        }
        self.whiten();
    }

    /// Divides everything by what is usual around it.
    fn whiten(&mut self) {
        let (height, columns) = (self.height, self.columns());
        self.power.clear();
        self.power.extend(self.values.iter().map(|v| v.0 * v.0 + v.1 * v.1));
        self.sums.clear();
        let reach = REACH.min(columns - 1);
        for y in 0..height {
            let (row, opposite) = (&self.power[y * columns..][..columns], (height - y) % height * columns);
            let opposite = &self.power[opposite..][..columns];
            self.wide.clear();
            self.wide.extend(opposite[1..=reach].iter().rev());
            self.wide.extend(row);
            self.wide.extend(opposite[columns - 1 - reach..columns - 1].iter().rev());
            let mut sum: f32 = self.wide[..2 * reach].iter().sum();
            for k in 0..columns {
                sum += self.wide[k + 2 * reach];
                self.sums.push(sum);
                sum -= self.wide[k];
            }
        }
        let n = ((2 * reach + 1) * (2 * REACH + 1)) as f32;
        let row = |y: usize| (y % height) * columns..(y % height + 1) * columns;
        self.wide.clear();
        self.wide.resize(columns, 0.0);
        for y in height - REACH..height + REACH {
            self.wide.iter_mut().zip(&self.sums[row(y)]).for_each(|(sum, value)| *sum += value);
        }
        for y in 0..height {
            self.wide.iter_mut().zip(&self.sums[row(y + REACH)]).for_each(|(sum, value)| *sum += value);
            for (k, &sum) in self.wide.iter().enumerate() {
                let usual = (sum / n).max(1e-9);
                self.power[y * columns + k] /= usual;
                let scale = usual.sqrt().recip();
                let value = &mut self.values[y * columns + k];
                *value = (value.0 * scale, value.1 * scale);
            }
            self.wide.iter_mut().zip(&self.sums[row(y + height - REACH)]).for_each(|(sum, value)| *sum -= value);
        }
    }

    /// The value at a frequency in periods a sample, to the right and down, between -0.5 and 0.5.
    pub(super) fn value(&self, right: f32, down: f32) -> Complex {
        if right < 0.0 {
            return conj(self.value(-right, -down));
        }
        let (x, y) = (right * self.width as f32, down * self.height as f32);
        let (column, row) = ((x as usize).min(self.columns() - 2), y.floor());
        let (part_x, part_y) = (x - column as f32, y - row);
        let line = |row: i32| {
            let at = row.rem_euclid(self.height as i32) as usize * self.columns() + column;
            let (a, b) = (self.values[at], self.values[at + 1]);
            (a.0 + (b.0 - a.0) * part_x, a.1 + (b.1 - a.1) * part_x)
        };
        let (a, b) = (line(row as i32), line(row as i32 + 1));
        (a.0 + (b.0 - a.0) * part_y, a.1 + (b.1 - a.1) * part_y)
    }

    /// The power nearest to a frequency, in multiples of the usual.
    pub(super) fn power(&self, right: f32, down: f32) -> f32 {
        let (right, down) = if right < 0.0 { (-right, -down) } else { (right, down) };
        let column = ((right * self.width as f32 + 0.5) as usize).min(self.columns() - 1);
        // All sides are powers of two, so that the mask wraps negative rows, too.
        let row = (down * self.height as f32).round() as i32 as usize & (self.height - 1);
        self.power[row * self.columns() + column]
    }
}

fn prepared(slot: &mut Option<(usize, Fft)>, n: usize) -> &Fft {
    if !matches!(slot, Some((of, _)) if *of == n) {
        *slot = None;
    }
    &slot.get_or_insert_with(|| (n, Fft::new(n))).1
}
