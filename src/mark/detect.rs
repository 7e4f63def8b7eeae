//! Looks for the mark: how large and how turned by the power of its waves, then where by their phases.

use std::ops::Range;

use super::carriers::{Carrier, Key, MOST_PERIODS, N_CARRIERS, N_DATA, N_SYNC, carriers};
use super::certainty;
use super::fft::{Complex, Fft, LANES, Lanes, conj, mul};
use super::message::Message;
use super::normal::{NormalMap, Normaliser, SIDE_PX};
use super::spectrum::Spectrum;

/// Sides of a tile that are tried, in pixels of the map: a picture that fills a third of the other's shorter side, to one that is
/// cut to two thirds.
const TILE_PX: (f32, f32) = (27.0, 100.0);
/// Step from one side to the next, and from one angle to the next in radians: a quarter of a period at the picture's edge.
const STEP: f32 = 0.012;
/// Angles go so many steps to each side: 6.2 degrees.
const N_ANGLES: i32 = 9;
/// More power than this at one frequency counts as this.
const MOST_POWER: f32 = 6.0;
/// More of a value than this counts as this.
const MOST_VALUE: f32 = 1.6;
/// So many sizes and angles have their phases looked at, roughly, and so many of those exactly.
const N_ROUGH: usize = 48;
const N_FINE: usize = 3;
/// Places tried along each side of a tile.
const ROUGH_SHIFTS: usize = 32;
const FINE_SHIFTS: usize = 64;
/// Blocks of [`LANES`] rows that hold all waves.
const ROW_BLOCKS: usize = (MOST_PERIODS as usize + 1).div_ceil(LANES);

/// How the pattern lies in the picture.
#[derive(Clone, Copy, Debug)]
struct Lie {
    tile_px: f32,
    angle_rads: f32,
    is_mirrored: bool,
    /// In tiles.
    shift: (f32, f32),
    score: f32,
}

/// The best place for a mark in a picture, whether it is one or not.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// How well the phases agree, in standard deviations of chance: see [`false_alarm_probability`](super::false_alarm_probability).
    pub score: f32,
    /// The marked picture's side as a part of the shorter side of the one looked at.
    pub side_share: f32,
    /// How far it is turned.
    pub angle_rads: f32,
    /// Whether it is mirrored.
    pub is_mirrored: bool,
    /// What it says, where its check holds.
    pub message: Option<Message>,
}

impl Finding {
    /// Whether the score reaches the threshold, which is meant to be chance's once in a million pictures.
    pub fn is_marked(&self) -> bool {
        self.score >= certainty::THRESHOLD
    }
}

/// Looks for marks of one key; keeps its memory from one picture to the next.
pub struct Detector {
    carriers: Vec<Carrier>,
    normaliser: Normaliser,
    spectrum: Spectrum,
    rough: Fft,
    fine: Fft,
    /// Waves by their place, and what is made of them, [`LANES`] side by side.
    rows: Vec<Lanes>,
    columns: Vec<Lanes>,
    values: Vec<Complex>,
    /// The waves' frequencies at one angle, in periods a tile, and where they lie in the spectrum.
    right: Vec<f32>,
    down: Vec<f32>,
    places: Vec<u32>,
    /// Power, tile's side, angle.
    tried: Vec<(f32, f32, f32)>,
}

impl Detector {
    /// Prepares to look for marks of `key`.
    pub fn new(key: Key) -> Self {
        Self {
            carriers: carriers(key),
            normaliser: Normaliser::default(),
            spectrum: Spectrum::default(),
            rough: Fft::new(ROUGH_SHIFTS),
            fine: Fft::new(FINE_SHIFTS),
            rows: Vec::new(),
            columns: Vec::new(),
            values: Vec::new(),
            right: Vec::new(),
            down: Vec::new(),
            places: Vec::new(),
            tried: Vec::new(),
        }
    }

    /// Makes a picture's map into `map`, by its brightness, (height, width) row by row.
    ///
    /// Maps of pictures that follow each other can be added: what moves then hides less of the mark. False when the
    /// picture has no area or not that many samples.
    pub fn map(&mut self, luma: &[u8], size_px: (usize, usize), map: &mut NormalMap) -> bool {
        self.normaliser.normalise(luma, size_px, map)
    }

    /// Looks for the mark in a map, or a sum of maps.
    pub fn look(&mut self, map: &NormalMap) -> Finding {
        let nothing = Finding { score: 0.0, side_share: 0.0, angle_rads: 0.0, is_mirrored: false, message: None };
        if map.values.is_empty() {
            return nothing;
        }
        self.spectrum.take(map, MOST_POWER);
        self.weigh();
        let mut lies: Vec<Lie> = Vec::with_capacity(2 * N_ROUGH);
        for i in 0..N_ROUGH.min(self.tried.len()) {
            let (_, tile_px, angle_rads) = self.tried[i];
            for is_mirrored in [false, true] {
                lies.push(self.place(tile_px, angle_rads, is_mirrored, ROUGH_SHIFTS));
            }
        }
        lies.sort_by(|a, b| b.score.total_cmp(&a.score));
        lies.truncate(N_FINE);
        let fine: Vec<Lie> = lies.into_iter().map(|lie| self.settle(lie)).collect();
        let Some(best) = fine.into_iter().max_by(|a, b| a.score.total_cmp(&b.score)) else { return nothing };
        Finding {
            score: best.score,
            side_share: best.tile_px * super::carriers::TILES as f32 / SIDE_PX as f32,
            angle_rads: best.angle_rads,
            is_mirrored: best.is_mirrored,
            message: self.read(&best),
        }
    }

    /// Sorts sizes and angles by the power at the waves' frequencies, the best [`N_ROUGH`] first.
    fn weigh(&mut self) {
        self.tried.clear();
        let n_sizes = ((TILE_PX.1 / TILE_PX.0).ln() / STEP) as i32;
        for turn in -N_ANGLES..=N_ANGLES {
            let angle = turn as f32 * STEP;
            let (sin, cos) = angle.sin_cos();
            self.right.clear();
            self.down.clear();
            for carrier in &self.carriers {
                let (u, v) = (carrier.periods.0 as f32, carrier.periods.1 as f32);
                let (right, down) = (cos * u - sin * v, sin * u + cos * v);
                // A wave and its opposite have the same power; those to the right are kept.
                self.right.push(right.abs());
                self.down.push(if right < 0.0 { -down } else { down });
            }
            for size in 0..=n_sizes {
                let tile_px = TILE_PX.0 * (size as f32 * STEP).exp();
                let power = self.spectrum.power(&self.right, &self.down, tile_px.recip(), &mut self.places);
                self.tried.push((power, tile_px, angle));
            }
        }
        let falling = |a: &(f32, f32, f32), b: &(f32, f32, f32)| b.0.total_cmp(&a.0);
        self.tried.select_nth_unstable_by(N_ROUGH, falling);
    }

    /// Reads the values of `waves` for a size and angle, their own phases taken off.
    fn values(&mut self, waves: Range<usize>, tile_px: f32, angle_rads: f32, is_mirrored: bool) {
        let (sin, cos) = angle_rads.sin_cos();
        let (sin, cos) = (sin / tile_px, cos / tile_px);
        let spectrum = &self.spectrum;
        self.values.clear();
        self.values.extend(self.carriers[waves].iter().map(|carrier| {
            let (u, v) = (carrier.periods.0 as f32, carrier.periods.1 as f32);
            let u = if is_mirrored { -u } else { u };
            let value = spectrum.value(cos * u - sin * v, sin * u + cos * v);
            let squared = value.0 * value.0 + value.1 * value.1;
            let limit = if squared > MOST_VALUE * MOST_VALUE { MOST_VALUE / squared.sqrt() } else { 1.0 };
            mul((value.0 * limit, value.1 * limit), conj(carrier.phase))
        }));
    }

    /// The best place of the pattern at a size and angle, of `n_shifts` along each side.
    ///
    /// How well the phases agree at a place is the real part of the sum of all waves turned by as much as the place asks
    /// for: a Fourier transform along the rows, then along the columns. Of the columns' only the real part is wanted, which is
    /// the transform of their even part, so that two of them go as one complex series.
    fn place(&mut self, tile_px: f32, angle_rads: f32, is_mirrored: bool, n_shifts: usize) -> Lie {
        self.values(0..N_SYNC, tile_px, angle_rads, is_mirrored);
        let n = n_shifts;
        let fft = if n == ROUGH_SHIFTS { &self.rough } else { &self.fine };
        // Rows of waves side by side: waves have 0 to 12 periods down, and the rest of the rows is empty.
        self.rows.clear();
        self.rows.resize(ROW_BLOCKS * n, Lanes::ZERO);
        let mut energy = 0.0;
        for (carrier, value) in self.carriers.iter().zip(&self.values) {
            let (u, v) = (carrier.periods.0.rem_euclid(n as i32) as usize, carrier.periods.1 as usize);
            self.rows[v / LANES * n + u].set(v % LANES, *value);
            energy += value.0 * value.0 + value.1 * value.1;
        }
        self.rows.chunks_exact_mut(n).for_each(|block| fft.forward(block));
        let mut best = (f32::MIN, 0, 0);
        for from in (0..n).step_by(2 * LANES) {
            self.columns.clear();
            self.columns.resize(n, Lanes::ZERO);
            for v in 0..=MOST_PERIODS as usize {
                let rows = &self.rows[v / LANES * n + from..][..2 * LANES];
                // Column x as the real, column x + LANES as the imaginary series: half of each number, and half of its
                // conjugate at the opposite frequency.
                let (mut there, mut opposite) = (Lanes::ZERO, Lanes::ZERO);
                for lane in 0..LANES {
                    let (a, b) = (rows[lane].get(v % LANES), rows[lane + LANES].get(v % LANES));
                    there.set(lane, (0.5 * (a.0 - b.1), 0.5 * (a.1 + b.0)));
                    opposite.set(lane, (0.5 * (a.0 + b.1), 0.5 * (b.0 - a.1)));
                }
                if v == 0 {
                    for lane in 0..LANES {
                        there.re[lane] += opposite.re[lane];
                        there.im[lane] += opposite.im[lane];
                    }
                } else {
                    self.columns[n - v] = opposite;
                }
                self.columns[v] = there;
            }
            fft.forward(&mut self.columns);
            for (y, lanes) in self.columns.iter().enumerate() {
                for (half, sums) in [&lanes.re, &lanes.im].into_iter().enumerate() {
                    for (lane, &sum) in sums.iter().enumerate() {
                        if sum > best.0 {
                            best = (sum, from + half * LANES + lane, y);
                        }
                    }
                }
            }
        }
        let score = best.0 / (energy / 2.0).sqrt().max(1e-9);
        let shift = (best.1 as f32 / n as f32, best.2 as f32 / n as f32);
        Lie { tile_px, angle_rads, is_mirrored, shift, score }
    }

    /// Moves to the best size and angle nearby.
    fn settle(&mut self, from: Lie) -> Lie {
        let mut best = self.place(from.tile_px, from.angle_rads, from.is_mirrored, FINE_SHIFTS);
        for step in [STEP / 2.0, STEP / 4.0] {
            let middle = best;
            for (larger, further) in
                [(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (-1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (1.0, -1.0)]
            {
                let tile_px = middle.tile_px * (1.0 + step * larger);
                let lie = self.place(tile_px, middle.angle_rads + step * further, middle.is_mirrored, FINE_SHIFTS);
                if lie.score > best.score {
                    best = lie;
                }
            }
        }
        best
    }

    /// What the waves that carry the message say.
    fn read(&mut self, lie: &Lie) -> Option<Message> {
        self.values(N_SYNC..N_CARRIERS, lie.tile_px, lie.angle_rads, lie.is_mirrored);
        let mut received = [0.0; 2 * N_DATA];
        let data = self.carriers[N_SYNC..].iter().zip(&self.values);
        for ((carrier, &value), bits) in data.zip(received.chunks_exact_mut(2)) {
            let (u, v) = (carrier.periods.0 as f32, carrier.periods.1 as f32);
            let angle = -std::f32::consts::TAU * (u * lie.shift.0 + v * lie.shift.1);
            let turned = mul(value, (angle.cos(), angle.sin()));
            bits.copy_from_slice(&[turned.0, turned.1]);
        }
        Message::decode(&received)
    }
}
