//! What driver and result say of each other: gain, correlation, error, lag, jitter, lips that meet and eyes that blink.

use serde::Serialize;

use crate::bench::lag;
use crate::geometry::{COEFFICIENT_NAMES, FaceObservation, FaceShape, N_COEFFICIENTS, eye_openness, mouth_openness};

/// Coefficients that count: those that drivers move most.
pub(super) const N_TOP: usize = 20;
/// One of so many frames is compared for gain, correlation and error: what neighbours say is the same.
pub(super) const STRIDE: usize = 4;
/// A coefficient that the driver moves by less, as a standard deviation, has no lag.
const LEAST_MOTION: f64 = 0.02;
/// Frames of one piece of the velocity's spectrum.
const PIECE: usize = 48;
/// A driver's power below this, in units a second squared over all that is high, is no motion to compare with.
const LEAST_POWER: f64 = 1e-3;
/// Lips that are this near touch, in face widths: a little more than a tracker's resolution.
const LIPS_SHUT: f32 = 0.015;
/// Between two contacts lips are at least this far apart.
const LIPS_OPEN: f32 = 0.03;
/// An eye that is open by no more than this share of its usual opening is shut.
const LIDS_SHUT: f32 = 0.5;
/// Between two blinks it is open by at least this share.
const LIDS_OPEN: f32 = 0.7;
/// What happens so many frames earlier or later is the same event.
const NEAR: usize = 2;

/// What a tracker saw of one frame.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) coefficients: [f32; N_COEFFICIENTS],
    /// Opening between the inner lips, in face widths.
    lips: f32,
    /// Mean opening of both eyes, in face widths.
    lids: f32,
}

impl Seen {
    pub(super) fn of(face: &FaceObservation) -> Self {
        let points = FaceShape::new(&face.landmarks_px, &face.pose).points;
        let [right, left] = eye_openness(&points);
        Self { coefficients: face.coefficients, lips: mouth_openness(&points), lids: 0.5 * (right + left) }
    }

    /// Mean distance of the coefficients.
    pub(super) fn distance(&self, other: &Self) -> f64 {
        let apart = |(a, b): (&f32, &f32)| f64::from((a - b).abs());
        self.coefficients.iter().zip(&other.coefficients).map(apart).sum::<f64>() / N_COEFFICIENTS as f64
    }
}

/// A frame in which both faces were seen: its number, the driver, the result, and what the points express that the result
/// was asked to have.
pub(super) type Both = (usize, Seen, Seen, [f32; N_COEFFICIENTS]);

/// How one coefficient arrives.
#[derive(Clone, Debug, Serialize)]
pub struct Arrival {
    /// Its name.
    pub name: &'static str,
    /// Slope of the result over the driver: 1 is as far.
    pub gain: f64,
    /// Correlation: 1 is in step.
    pub correlation: f64,
    /// Power of fast change in the result over that in the driver; none where the driver has none.
    pub jitter: Option<f64>,
    /// The same of what was asked of the result.
    pub jitter_asked: Option<f64>,
}

/// Events of the driver that came, those that did not, and those that the driver did not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Events {
    /// The driver's, and the result's at the same time.
    pub hits: usize,
    /// The driver's alone.
    pub misses: usize,
    /// The result's alone.
    pub extra: usize,
}

impl Events {
    pub(super) fn plus(self, other: Self) -> Self {
        Self { hits: self.hits + other.hits, misses: self.misses + other.misses, extra: self.extra + other.extra }
    }
}

/// Figures of one pair, or of all.
#[derive(Clone, Debug, Serialize)]
pub struct AcrossFigures {
    /// Mean slope of the result over the driver.
    pub gain: f64,
    /// The least of any coefficient.
    pub gain_min: f64,
    /// Mean correlation.
    pub correlation: f64,
    /// The least of any coefficient.
    pub correlation_min: f64,
    /// Mean distance of all 52 coefficients, offset included.
    pub error: f64,
    /// How much later the result moves, in frames; over all pairs their mean.
    pub lag_frames: Option<f64>,
    /// The same in milliseconds.
    pub lag_ms: Option<f64>,
    /// Power of fast change in the result over that in the driver, over the coefficients that count.
    pub jitter: Option<f64>,
    /// The same of what was asked of the result: what is more comes from the picture, and from looking at it.
    pub jitter_asked: Option<f64>,
    /// Lips that meet.
    pub lip_contacts: Events,
    /// Eyes that blink.
    pub blinks: Events,
    /// How much the driver and the result smile in the mean, in 0..1.
    pub smile: Option<[f64; 2]>,
    /// How like the result is to the photo and to the driver: the cosine of 128-d descriptors, 1 is the same. None without a
    /// recognition network.
    pub likeness: Option<[f64; 2]>,
    /// The coefficients that count, the most moved first.
    pub coefficients: Vec<Arrival>,
}

/// Powers of fast change of each coefficient, in driver, result, and what was asked of the result.
pub(super) type Powers = [[f64; 3]; N_COEFFICIENTS];

/// What the figures over all pairs are made from, and of what each pair is measured.
#[derive(Default)]
pub(super) struct Rows {
    /// Driver and result, each without its mean of the pair.
    centred: Vec<[[f64; N_COEFFICIENTS]; 2]>,
}

impl Rows {
    /// Driver and result of the frames of one pair.
    pub(super) fn of(compared: &[[Seen; 2]]) -> Self {
        let n = compared.len().max(1) as f64;
        let mean = |of: usize| -> [f64; N_COEFFICIENTS] {
            std::array::from_fn(|c| compared.iter().map(|both| f64::from(both[of].coefficients[c])).sum::<f64>() / n)
        };
        let means = [mean(0), mean(1)];
        let centred = |both: &[Seen; 2]| {
            [0, 1].map(|of| std::array::from_fn(|c| f64::from(both[of].coefficients[c]) - means[of][c]))
        };
        Self { centred: compared.iter().map(centred).collect() }
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.centred.extend_from_slice(&other.centred);
    }

    pub(super) fn len(&self) -> usize {
        self.centred.len()
    }

    /// How each of the coefficients that the driver moves most arrives.
    pub(super) fn arrivals(&self, powers: &Powers) -> Vec<Arrival> {
        let sum = |f: &dyn Fn(&[[f64; N_COEFFICIENTS]; 2]) -> f64| self.centred.iter().map(f).sum::<f64>();
        let n = self.centred.len().max(1) as f64;
        let deviation = |c: usize, of: usize| {
            let mean = sum(&|row| row[of][c]) / n;
            (sum(&|row| (row[of][c] - mean).powi(2)) / n).sqrt()
        };
        let mut order: Vec<(usize, f64)> = (0..N_COEFFICIENTS).map(|c| (c, deviation(c, 0))).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let arrival = |&(c, moved): &(usize, f64)| {
            let both = sum(&|row| row[0][c] * row[1][c]);
            let spread = moved * deviation(c, 1) * n;
            let [driver, result, asked] = powers[c];
            Arrival {
                name: COEFFICIENT_NAMES[c],
                gain: if moved > 0.0 { both / sum(&|row| row[0][c].powi(2)) } else { 0.0 },
                correlation: if spread > 0.0 { both / spread } else { 0.0 },
                jitter: (driver > LEAST_POWER).then(|| result / driver),
                jitter_asked: (driver > LEAST_POWER).then(|| asked / driver),
            }
        };
        order[..N_TOP].iter().map(arrival).collect()
    }
}

/// Mean distance of all coefficients.
pub(super) fn error(compared: &[[Seen; 2]]) -> f64 {
    compared.iter().map(|[driver, result]| driver.distance(result)).sum::<f64>() / compared.len().max(1) as f64
}

/// How much driver and result smile in the mean: both corners' coefficients.
pub(super) fn smile(compared: &[[Seen; 2]]) -> Option<[f64; 2]> {
    let [left, right] = ["mouthSmileLeft", "mouthSmileRight"]
        .map(|name| COEFFICIENT_NAMES.iter().position(|other| *other == name).unwrap_or(0));
    let of = |seen: &Seen| f64::from(seen.coefficients[left] + seen.coefficients[right]) / 2.0;
    let mean = |i: usize| compared.iter().map(|both| of(&both[i])).sum::<f64>() / compared.len() as f64;
    (!compared.is_empty()).then(|| [mean(0), mean(1)])
}

/// How many frames later the result moves, where anything moves.
pub(super) fn lag_frames(frames: &[Both]) -> Option<f64> {
    let column = |of: fn(&Both) -> &Seen, c: usize| -> Vec<f64> {
        frames.iter().map(|both| f64::from(of(both).coefficients[c])).collect()
    };
    let moving: Vec<(&'static str, Vec<f64>, Vec<f64>)> = (1..N_COEFFICIENTS)
        .map(|c| (COEFFICIENT_NAMES[c], column(|both| &both.1, c), column(|both| &both.2, c)))
        .filter(|(_, driver, result)| lag::deviation(driver) > LEAST_MOTION && lag::deviation(result) > LEAST_MOTION)
        .collect();
    let all: Vec<usize> = (0..moving.len()).collect();
    (frames.len() > PIECE && !moving.is_empty()).then(|| lag::peak(&moving, &all, None).0)
}

/// Power of the velocity of each coefficient above a quarter of the frame rate, in driver and result: what is faster
/// than faces move is jitter.
///
/// Pieces of [`PIECE`] frames without a gap, half over each other, each under a Hann window.
pub(super) fn powers(frames: &[Both], rate_hz: f64) -> Powers {
    let mut powers: Powers = [[0.0; 3]; N_COEFFICIENTS];
    let mut n_pieces = 0;
    let window: Vec<f64> =
        (0..PIECE).map(|i| (std::f64::consts::PI * (i as f64 + 0.5) / PIECE as f64).sin().powi(2)).collect();
    // Cosine and sine of every high frequency, once.
    let waves: Vec<Vec<(f64, f64)>> = (PIECE / 4..=PIECE / 2)
        .map(|k| {
            let angle = |i: usize| std::f64::consts::TAU * (k * i) as f64 / PIECE as f64;
            (0..PIECE).map(|i| (window[i] * angle(i).cos(), window[i] * angle(i).sin())).collect()
        })
        .collect();
    let mut from = 0;
    while from + PIECE < frames.len() {
        let piece = &frames[from..=from + PIECE];
        if piece[PIECE].0 - piece[0].0 != PIECE {
            from += 1;
            continue;
        }
        n_pieces += 1;
        for (c, power) in powers.iter_mut().enumerate() {
            let value = |i: usize| {
                let (_, driver, result, asked) = &piece[i];
                [driver.coefficients[c], result.coefficients[c], asked[c]].map(f64::from)
            };
            let steps: Vec<[f64; 3]> = (0..PIECE)
                .map(|i| {
                    let (now, next) = (value(i), value(i + 1));
                    [0, 1, 2].map(|of| (next[of] - now[of]) * rate_hz)
                })
                .collect();
            for wave in &waves {
                for (of, sum) in power.iter_mut().enumerate() {
                    let (re, im) = wave
                        .iter()
                        .zip(&steps)
                        .fold((0.0, 0.0), |(re, im), ((cos, sin), step)| (re + cos * step[of], im + sin * step[of]));
                    *sum += (re * re + im * im) / (PIECE * PIECE) as f64;
                }
            }
        }
        from += PIECE / 2;
    }
    powers.iter_mut().flatten().for_each(|power| *power /= f64::from(n_pieces.max(1)));
    powers
}

/// Power of fast change in the result, and in what was asked of it, over that in the driver, over the coefficients of these
/// arrivals.
pub(super) fn jitter(powers: &Powers, arrivals: &[Arrival]) -> [Option<f64>; 2] {
    let chosen = (0..N_COEFFICIENTS).filter(|&c| arrivals.iter().any(|arrival| arrival.name == COEFFICIENT_NAMES[c]));
    let sum = |sum: [f64; 3], c: usize| std::array::from_fn(|of| sum[of] + powers[c][of]);
    let [driver, result, asked] = chosen.fold([0.0; 3], sum);
    [result, asked].map(|power| (driver > LEAST_POWER).then(|| power / driver))
}

/// Lips of the driver that meet, and whether those of the result do.
pub(super) fn lip_contacts(frames: &[Both]) -> Events {
    let column = |of: fn(&Both) -> &Seen| frames.iter().map(|both| of(both).lips).collect::<Vec<_>>();
    events(&column(|both| &both.1), &column(|both| &both.2), LIPS_SHUT, LIPS_OPEN)
}

/// Blinks of the driver, and whether the result blinks.
pub(super) fn blinks(frames: &[Both]) -> Events {
    let column = |of: fn(&Both) -> &Seen| {
        let lids: Vec<f32> = frames.iter().map(|both| of(both).lids).collect();
        let mut sorted = lids.clone();
        sorted.sort_by(f32::total_cmp);
        let usual = sorted.get(lids.len() * 3 / 4).copied().unwrap_or(1.0).max(1e-3);
        lids.into_iter().map(|lids| lids / usual).collect::<Vec<_>>()
    };
    events(&column(|both| &both.1), &column(|both| &both.2), LIDS_SHUT, LIDS_OPEN)
}

/// Stretches in which an opening is below `shut` after it was above `open`, and whether both have them.
fn events(driver: &[f32], result: &[f32], shut: f32, open: f32) -> Events {
    let closings = |openings: &[f32]| {
        let (mut found, mut is_open) = (Vec::new(), false);
        for (i, &opening) in openings.iter().enumerate() {
            if is_open && opening < shut {
                let length = openings[i..].iter().take_while(|opening| **opening < shut).count();
                found.push((i, i + length));
                is_open = false;
            }
            is_open |= opening > open;
        }
        found
    };
    // The other need not have been as far open before; in between of both limits it counts for either.
    let near = |openings: &[f32], (from, to): (usize, usize), limit: f32| {
        openings[from.saturating_sub(NEAR)..(to + NEAR).min(openings.len())].iter().any(|opening| *opening < limit)
    };
    let between = 0.5 * (shut + open);
    let of_driver = closings(driver);
    let hits = of_driver.iter().filter(|&&at| near(result, at, between)).count();
    let extra = closings(result).into_iter().filter(|&at| !near(driver, at, between)).count();
    Events { hits, misses: of_driver.len() - hits, extra }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JAW: usize = 25;

    fn seen(jaw: f32, lips: f32, lids: f32) -> Seen {
        let mut coefficients = [0.0; N_COEFFICIENTS];
        coefficients[JAW] = jaw;
        Seen { coefficients, lips, lids }
    }

    /// Someone who speaks, and a result that moves 0.7 as far, two frames later, with a tremble of its own.
    fn speech(tremble: f32) -> Vec<Both> {
        let wave = |t: f32| 0.4 + 0.3 * (t * 0.35).sin() + 0.05 * (t * 2.2).sin();
        (0..300)
            .map(|i| {
                let t = i as f32;
                let shake = if i % 2 == 0 { tremble } else { -tremble };
                (i, seen(wave(t), 0.1, 0.2), seen(0.7 * wave(t - 2.0) + 0.1 + shake, 0.1, 0.2), [0.0; N_COEFFICIENTS])
            })
            .collect()
    }

    #[test]
    fn a_known_gain_lag_and_offset_are_found() {
        let frames = speech(0.0);
        assert!((lag_frames(&frames).unwrap() - 2.0).abs() < 0.1);
        // The same without the lag: all that the slope sees.
        let ahead: Vec<Both> = frames
            .windows(3)
            .map(|three| (three[0].0, three[0].1.clone(), three[2].2.clone(), [0.0; N_COEFFICIENTS]))
            .collect();
        let compared: Vec<[Seen; 2]> =
            ahead.iter().map(|(_, driver, result, _)| [driver.clone(), result.clone()]).collect();
        let arrival = &Rows::of(&compared).arrivals(&powers(&ahead, 25.0))[0];
        assert_eq!(arrival.name, "jawOpen");
        assert!((arrival.gain - 0.7).abs() < 1e-3 && arrival.correlation > 0.999, "{arrival:?}");
        assert!((arrival.jitter.unwrap() - 0.49).abs() < 0.02, "{arrival:?}");
        let apart = ahead.iter().map(|(_, a, b, _)| f64::from((a.coefficients[JAW] - b.coefficients[JAW]).abs()));
        let mean = apart.sum::<f64>() / 298.0 / N_COEFFICIENTS as f64;
        assert!((error(&compared) - mean).abs() < 1e-4, "{} {mean}", error(&compared));
    }

    #[test]
    fn a_tremble_of_the_results_own_is_jitter() {
        let ratio = |tremble| {
            let frames = speech(tremble);
            let powers = powers(&frames, 25.0);
            let compared: Vec<[Seen; 2]> =
                frames.iter().map(|(_, driver, result, _)| [driver.clone(), result.clone()]).collect();
            jitter(&powers, &Rows::of(&compared).arrivals(&powers))[0].unwrap()
        };
        assert!(ratio(0.0) < 0.6 && ratio(0.03) > 1.05, "{} {}", ratio(0.0), ratio(0.03));
    }

    #[test]
    fn lips_and_lids_that_shut_are_hit_missed_or_too_many() {
        let at = |i: usize, closings: &[usize]| closings.iter().any(|from| (*from..from + 3).contains(&i));
        let frames: Vec<Both> = (0..200)
            .map(|i| {
                let lips = |closings: &[usize]| if at(i, closings) { 0.005 } else { 0.08 };
                let lids = |closings: &[usize]| if at(i, closings) { 0.03 } else { 0.2 };
                (
                    i,
                    seen(0.0, lips(&[20, 60, 100]), lids(&[50])),
                    seen(0.0, lips(&[21, 140]), lids(&[52, 150])),
                    [0.0; N_COEFFICIENTS],
                )
            })
            .collect();
        assert_eq!(lip_contacts(&frames), Events { hits: 1, misses: 2, extra: 1 });
        assert_eq!(blinks(&frames), Events { hits: 1, misses: 0, extra: 1 });
    }
}
