//! From high dynamic range and wide colours to what an sRGB screen can show, by a table.

use super::colour::{Colour, SHIFT, Transfer};

/// Places of the table along each channel; between them it is interpolated.
const N: usize = 33;
/// The brightness that a diffuse white has in HDR (BT.2408), in candela per square metre.
const WHITE_NITS: f64 = 203.0;
/// The brightest that is told apart.
const PEAK_NITS: f64 = 1000.0;
/// Up to this share of white nothing is changed; beyond, highlights are drawn together.
const KNEE: f64 = 0.6;

/// sRGB for red, green and blue as they are coded.
pub(super) struct ToneMap {
    table: Vec<[f32; 3]>,
}

impl ToneMap {
    /// For pictures of these colours; `None` where nothing is to be done.
    pub(super) fn new(colour: &Colour) -> Option<Self> {
        if colour.transfer == Transfer::Standard && !colour.is_wide {
            return None;
        }
        let level = |i: usize| i as f64 / (N - 1) as f64;
        let mut table = Vec::with_capacity(N * N * N);
        for r in 0..N {
            for g in 0..N {
                for b in 0..N {
                    let light = light([level(r), level(g), level(b)], colour.transfer);
                    let light = if colour.is_wide { bt709_from_bt2020(light) } else { light };
                    let shown = if colour.transfer == Transfer::Standard { light } else { compressed(light) };
                    table.push(shown.map(|x| (255.0 * srgb_from_light(x)) as f32));
                }
            }
        }
        Some(Self { table })
    }

    /// One pixel; the channels have [`SHIFT`] bits of fraction.
    pub(super) fn map(&self, rgb: [i32; 3]) -> [u8; 3] {
        let scale = (N - 1) as f32 / (255.0 * (1 << SHIFT) as f32);
        let places = rgb.map(|x| (x as f32 * scale).clamp(0.0, (N - 1) as f32));
        let low = places.map(|x| (x as usize).min(N - 2));
        // From corner to corner of the cell, along the channel that is farthest first: grey stays on the grey diagonal.
        let mut order = [0, 1, 2].map(|c| (places[c] - low[c] as f32, [N * N, N, 1][c]));
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut at = (low[0] * N + low[1]) * N + low[2];
        let mut sum = self.table[at].map(|x| x * (1.0 - order[0].0));
        for (index, (share, step)) in order.into_iter().enumerate() {
            at += step;
            let weight = share - order.get(index + 1).map_or(0.0, |next| next.0);
            for (sum, value) in sum.iter_mut().zip(self.table[at]) {
                *sum += weight * value;
            }
        }
        sum.map(|x| (x + 0.5) as u8)
    }
}

/// Light of each channel, 1 being diffuse white.
fn light(coded: [f64; 3], transfer: Transfer) -> [f64; 3] {
    match transfer {
        Transfer::Standard => coded.map(light_from_srgb),
        Transfer::Pq => coded.map(|x| {
            let (m1, m2) = (2610.0 / 16384.0, 2523.0 / 32.0);
            let (c1, c2, c3) = (3424.0 / 4096.0, 2413.0 / 128.0, 2392.0 / 128.0);
            let power = x.powf(1.0 / m2);
            10_000.0 / WHITE_NITS * ((power - c1).max(0.0) / (c2 - c3 * power)).powf(1.0 / m1)
        }),
        Transfer::Hlg => {
            let (a, b, c) = (0.178_832_77, 0.284_668_92, 0.559_910_73);
            let scene = coded.map(|x| if x <= 0.5 { x * x / 3.0 } else { (((x - c) / a).exp() + b) / 12.0 });
            let luma = 0.2627 * scene[0] + 0.678 * scene[1] + 0.0593 * scene[2];
            scene.map(|x| PEAK_NITS / WHITE_NITS * x * luma.max(1e-9).powf(0.2))
        }
    }
}

/// Draws highlights together, the three channels by one factor so that the hue stays.
fn compressed(light: [f64; 3]) -> [f64; 3] {
    let most = light.into_iter().fold(0.0, f64::max);
    if most <= KNEE {
        return light;
    }
    let peak = (PEAK_NITS / WHITE_NITS - KNEE) / (1.0 - KNEE);
    let over = (most - KNEE) / (1.0 - KNEE);
    let shown = KNEE + (1.0 - KNEE) * (over * (1.0 + over / (peak * peak)) / (1.0 + over)).min(1.0);
    light.map(|x| x * shown / most)
}

fn bt709_from_bt2020([r, g, b]: [f64; 3]) -> [f64; 3] {
    [
        1.660_491 * r - 0.587_641 * g - 0.072_850 * b,
        -0.124_550 * r + 1.132_900 * g - 0.008_349 * b,
        -0.018_151 * r - 0.100_579 * g + 1.118_730 * b,
    ]
}

fn srgb_from_light(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    if x <= 0.003_130_8 { 12.92 * x } else { 1.055 * x.powf(1.0 / 2.4) - 0.055 }
}

fn light_from_srgb(x: f64) -> f64 {
    if x <= 0.040_45 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) }
}

#[cfg(test)]
mod tests {
    use super::super::colour::Matrix;
    use super::*;

    fn map(transfer: Transfer, is_wide: bool) -> Option<ToneMap> {
        ToneMap::new(&Colour { matrix: Matrix::Bt2020, is_full: false, transfer, is_wide })
    }

    fn grey(map: &ToneMap, level: f64) -> u8 {
        let x = (level * 255.0 * f64::from(1 << SHIFT)) as i32;
        let [r, g, b] = map.map([x; 3]);
        assert!(r.abs_diff(g) <= 1 && b.abs_diff(g) <= 1, "grey stays grey: {r} {g} {b}");
        g
    }

    #[test]
    fn brightness_is_what_the_standards_say() {
        // PQ codes 100 cd/m² as 0.508 and 203 as 0.581; HLG's diffuse white is 0.75.
        let pq = map(Transfer::Pq, true).unwrap();
        let hundred = 255.0 * srgb_from_light(100.0 / 203.0);
        assert!((f64::from(grey(&pq, 0.508)) - hundred).abs() < 4.0, "{} for {hundred}", grey(&pq, 0.508));
        assert!((215..=240).contains(&grey(&pq, 0.581)), "white is near white: {}", grey(&pq, 0.581));
        assert_eq!((grey(&pq, 0.0), grey(&pq, 1.0)), (0, 255));
        let hlg = map(Transfer::Hlg, true).unwrap();
        assert!((215..=240).contains(&grey(&hlg, 0.75)), "white is near white: {}", grey(&hlg, 0.75));
        let levels: Vec<_> = (0..=40).map(|i| grey(&hlg, f64::from(i) / 40.0)).collect();
        assert!(levels.is_sorted() && levels[0] == 0 && levels[40] == 255, "{levels:?}");
    }

    #[test]
    fn the_standard_range_is_left_alone() {
        assert!(map(Transfer::Standard, false).is_none());
        let wide = map(Transfer::Standard, true).unwrap();
        assert!(grey(&wide, 0.5).abs_diff(128) <= 1);
    }
}
