//! Is one recording really faster than another?
//!
//! Frames that follow each other resemble each other, so that a test which takes them as independent finds
//! differences everywhere. Here whole seconds are drawn again and again (moving-block bootstrap; Künsch, "The
//! Jackknife and the Bootstrap for General Stationary Observations", 1989), and, where there are at least three
//! rounds, first whole rounds and then seconds within them. A difference counts when zero lies outside the interval
//! that holds 95 % of the draws. What wanders more slowly than a second is noticed only where there are rounds.

use std::fmt;

use super::record::{Recording, RunRecord};

/// Draws.
const N_DRAWS: usize = 2000;
/// The length of a block, in milliseconds.
const BLOCK_MS: f32 = 1000.0;
/// Rounds from which on rounds are drawn, too.
const LEAST_ROUNDS: usize = 3;

/// A difference B − A with its 95 % interval, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// A's value.
    pub a: f64,
    /// B's value.
    pub b: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl Difference {
    /// Whether zero lies outside the interval.
    pub fn is_significant(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.is_significant() {
            false => "no difference shown",
            true if self.b < self.a => "B is younger",
            true => "B is older",
        };
        let difference = self.b - self.a;
        write!(f, "{:>7.2} {:>7.2} {difference:>+8.2} [{:+.2}, {:+.2}]  {verdict}", self.a, self.b, self.low, self.high)
    }
}

/// One scenario of both recordings.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The scenario's name.
    pub scenario: String,
    /// Median age.
    pub p50: Difference,
    /// 99th percentile of the age.
    pub p99: Difference,
    /// Rounds of A and of B.
    pub n_rounds: (usize, usize),
}

/// Compares what both recordings have, scenario by scenario; of `b` its variant B where it has one.
pub fn recordings(a: &Recording, b: &Recording) -> Vec<Comparison> {
    let of = |recording: &Recording, variant: &str, scenario: &str| -> Vec<RunRecord> {
        let has_variant = recording.runs.iter().any(|run| run.variant == variant);
        let is_wanted = |run: &&RunRecord| run.scenario == scenario && (!has_variant || run.variant == variant);
        recording.runs.iter().filter(is_wanted).cloned().collect()
    };
    let mut names: Vec<&str> = Vec::new();
    for run in &a.runs {
        if !names.contains(&run.scenario.as_str()) {
            names.push(&run.scenario);
        }
    }
    let pairs = names.into_iter().map(|name| (name, of(a, "A", name), of(b, "B", name)));
    pairs.filter(|(_, a, b)| !a.is_empty() && !b.is_empty()).map(|(name, a, b)| compare(name, &a, &b)).collect()
}

/// Compares the runs of one scenario.
fn compare(scenario: &str, a: &[RunRecord], b: &[RunRecord]) -> Comparison {
    let (a, b): (Vec<_>, Vec<_>) = (a.iter().map(blocks).collect(), b.iter().map(blocks).collect());
    let mut random = Random(0x5eed);
    let difference = |random: &mut Random, quantile: f64| {
        let all = |rounds: &[Vec<Vec<f32>>]| rounds.iter().flatten().flatten().copied().collect::<Vec<f32>>();
        let (of_a, of_b) = (at_quantile(all(&a), quantile), at_quantile(all(&b), quantile));
        let mut draws: Vec<f64> = (0..N_DRAWS)
            .map(|_| at_quantile(draw(&b, random), quantile) - at_quantile(draw(&a, random), quantile))
            .collect();
        draws.sort_by(f64::total_cmp);
        let at = |share: f64| draws[((N_DRAWS - 1) as f64 * share).round() as usize];
        Difference { a: of_a, b: of_b, low: at(0.025), high: at(0.975) }
    };
    Comparison {
        scenario: scenario.to_owned(),
        p50: difference(&mut random, 0.5),
        p99: difference(&mut random, 0.99),
        n_rounds: (a.len(), b.len()),
    }
}

/// The ages of a run, second by second.
fn blocks(run: &RunRecord) -> Vec<Vec<f32>> {
    let mut blocks: Vec<Vec<f32>> = Vec::new();
    let mut block = -1;
    for (&at, &age) in run.frames.at_ms.iter().zip(&run.frames.age_ms) {
        let of = (at / BLOCK_MS) as i64;
        if of != block || blocks.is_empty() {
            blocks.push(Vec::new());
            block = of;
        }
        if let Some(last) = blocks.last_mut() {
            last.push(age);
        }
    }
    blocks
}

/// Draws as many blocks as there are, with replacement.
fn draw(rounds: &[Vec<Vec<f32>>], random: &mut Random) -> Vec<f32> {
    let mut drawn = Vec::new();
    for i in 0..rounds.len() {
        let round = if rounds.len() >= LEAST_ROUNDS { &rounds[random.below(rounds.len())] } else { &rounds[i] };
        for _ in 0..round.len() {
            drawn.extend_from_slice(&round[random.below(round.len())]);
        }
    }
    drawn
}

fn at_quantile(mut values: Vec<f32>, quantile: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let index = ((values.len() - 1) as f64 * quantile).round() as usize;
    f64::from(*values.select_nth_unstable_by(index, f32::total_cmp).1)
}

/// Random numbers that are the same every time (Steele, Lea, Flood: SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// A sample of the standard normal distribution (Box and Muller).
    pub(super) fn normal(&mut self) -> f32 {
        let uniform = |bits: u64| ((bits >> 40) as f32 + 0.5) / (1 << 24) as f32;
        let (u, v) = (uniform(self.next()), uniform(self.next()));
        (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of 20 seconds, each second with a mean of its own, as real runs have it.
    fn rounds(mean: f32, n: usize, seed: u64) -> Vec<Vec<Vec<f32>>> {
        let mut random = Random(seed);
        let round = |random: &mut Random| {
            (0..20)
                .map(|_| {
                    let drift = 0.3 * random.normal();
                    (0..30).map(|_| mean + drift + 0.5 * random.normal()).collect()
                })
                .collect()
        };
        (0..n).map(|_| round(&mut random)).collect()
    }

    fn interval(a: &[Vec<Vec<f32>>], b: &[Vec<Vec<f32>>], seed: u64) -> (f64, f64) {
        let mut random = Random(seed);
        let mut draws: Vec<f64> =
            (0..400).map(|_| at_quantile(draw(b, &mut random), 0.5) - at_quantile(draw(a, &mut random), 0.5)).collect();
        draws.sort_by(f64::total_cmp);
        (draws[10], draws[389])
    }

    #[test]
    fn a_real_difference_is_found_and_chance_is_not() {
        let (mut n_found, mut n_false) = (0, 0);
        for seed in 0..40 {
            let a = rounds(20.0, 2, seed);
            let (low, high) = interval(&a, &rounds(20.0, 2, seed + 1000), seed);
            n_false += u32::from(low > 0.0 || high < 0.0);
            let (low, high) = interval(&a, &rounds(21.0, 2, seed + 2000), seed);
            n_found += u32::from(low > 0.0);
            assert!(high > 0.0);
        }
        // With frames taken as independent, more than half would be false.
        assert!(n_false <= 7, "{n_false} of 40 differences found where there is none");
        assert!(n_found >= 38, "{n_found} of 40 found");
    }
}
