//! Is one recording really faster than another?
//!
//! Frames that follow each other resemble each other, so that a test which takes them as independent finds
//! differences everywhere. Here whole seconds are drawn again and again (moving-block bootstrap; Künsch, "The
//! Jackknife and the Bootstrap for General Stationary Observations", 1989), and, where there are at least three
//! rounds, first whole rounds and then seconds within them. Few rounds differ less among themselves than many would:
//! the interval that holds 95 % of the draws is widened by as much as Student's t asks for. A difference counts when
//! zero lies outside of it. Runs of the same program differ too, and how much is known from rounds only: with fewer
//! than three of each there is no verdict.

use std::collections::BTreeSet;
use std::fmt;

use super::record::{Recording, RunRecord};

/// Draws.
const N_DRAWS: usize = 2000;
/// The length of a block, in milliseconds.
const BLOCK_MS: f32 = 1000.0;
/// Rounds from which on rounds are drawn, too, and a difference can be told from chance.
pub const LEAST_ROUNDS: usize = 3;
/// Between minus and plus so many standard deviations lie 95 % of a normal distribution.
const NORMAL: f64 = 1.96;
/// The same of Student's t, from so many degrees of freedom on (NIST/SEMATECH e-Handbook of Statistical Methods,
/// 1.3.6.7.2).
const STUDENT_T: [(usize, f64); 19] = [
    (4, 2.776),
    (5, 2.571),
    (6, 2.447),
    (7, 2.365),
    (8, 2.306),
    (9, 2.262),
    (10, 2.228),
    (12, 2.179),
    (14, 2.145),
    (16, 2.120),
    (18, 2.101),
    (20, 2.086),
    (24, 2.064),
    (30, 2.042),
    (40, 2.021),
    (60, 2.000),
    (80, 1.990),
    (100, 1.984),
    (1000, NORMAL),
];

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
    /// Whether there are rounds enough to know how much one run differs from the next. Without them the interval tells
    /// only how much seconds of a run differ.
    pub has_rounds: bool,
}

impl Difference {
    /// Whether zero lies outside an interval that holds what differs from run to run.
    pub fn is_significant(&self) -> bool {
        self.has_rounds && (self.low > 0.0 || self.high < 0.0)
    }

    /// What it says of B, in words.
    pub fn verdict(&self) -> &'static str {
        match self.is_significant() {
            _ if !self.has_rounds => "too few rounds to tell",
            false => "no difference shown",
            true if self.b < self.a => "B is younger",
            true => "B is older",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (difference, verdict) = (self.b - self.a, self.verdict());
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

/// One scenario's runs of A and of B.
struct Pair<'a> {
    scenario: &'a str,
    a: Vec<&'a RunRecord>,
    b: Vec<&'a RunRecord>,
}

/// Compares what both recordings have, scenario by scenario; of `b` its variant B where it has one.
pub fn recordings(a: &Recording, b: &Recording) -> Vec<Comparison> {
    pairs(a, b).iter().map(compare).collect()
}

/// What else differs between A and B, a line each: a difference of the ages may come from that.
pub fn unlike(a: &Recording, b: &Recording) -> Vec<String> {
    let mut lines = Vec::new();
    let mut note = |what: &str, of_a: String, of_b: String| {
        let line = format!("{what}: {of_a} (A), {of_b} (B)");
        if of_a != of_b && !lines.contains(&line) {
            lines.push(line);
        }
    };
    note("the machine", a.circumstances.machine.to_string(), b.circumstances.machine.to_string());
    for Pair { a, b, .. } in pairs(a, b) {
        let size = |run: &RunRecord| run.size_px.to_string();
        note("the size in pixels", all_of(&a, size), all_of(&b, size));
        let settings = |run: &RunRecord| run.settings.clone();
        note("the settings", all_of(&a, settings), all_of(&b, settings));
    }
    lines
}

/// What runs have, each once.
fn all_of(runs: &[&RunRecord], what: impl Fn(&RunRecord) -> String) -> String {
    let different: BTreeSet<String> = runs.iter().copied().map(what).collect();
    different.into_iter().collect::<Vec<_>>().join(", ")
}

/// The scenarios that both recordings have.
fn pairs<'a>(a: &'a Recording, b: &'a Recording) -> Vec<Pair<'a>> {
    let mut names: Vec<&str> = Vec::new();
    for run in &a.runs {
        if !names.contains(&run.scenario.as_str()) {
            names.push(&run.scenario);
        }
    }
    let pairs =
        names.into_iter().map(|scenario| Pair { scenario, a: runs_of(a, "A", scenario), b: runs_of(b, "B", scenario) });
    pairs.filter(|pair| !pair.a.is_empty() && !pair.b.is_empty()).collect()
}

/// A scenario's runs: those of the variant where the recording has it, otherwise all.
fn runs_of<'a>(recording: &'a Recording, variant: &str, scenario: &str) -> Vec<&'a RunRecord> {
    let has_variant = recording.runs.iter().any(|run| run.variant == variant);
    let is_wanted = |run: &&RunRecord| run.scenario == scenario && (!has_variant || run.variant == variant);
    recording.runs.iter().filter(is_wanted).collect()
}

/// The rounds of a variant, each in seconds, each of these in ages.
type Rounds = [Vec<Vec<f32>>];

/// Compares the runs of one scenario.
fn compare(pair: &Pair<'_>) -> Comparison {
    let blocks_of = |runs: &[&RunRecord]| -> Vec<_> { runs.iter().copied().map(blocks).collect() };
    let (a, b) = (blocks_of(&pair.a), blocks_of(&pair.b));
    let mut random = Random(0x5eed);
    Comparison {
        scenario: pair.scenario.to_owned(),
        p50: difference(&a, &b, 0.5, N_DRAWS, &mut random),
        p99: difference(&a, &b, 0.99, N_DRAWS, &mut random),
        n_rounds: (a.len(), b.len()),
    }
}

/// The difference of a quantile, with the interval that `n_draws` draws give.
fn difference(a: &Rounds, b: &Rounds, quantile: f64, n_draws: usize, random: &mut Random) -> Difference {
    let all = |rounds: &Rounds| rounds.iter().flatten().flatten().copied().collect::<Vec<f32>>();
    let (of_a, of_b) = (at_quantile(all(a), quantile), at_quantile(all(b), quantile));
    let mut draws: Vec<f64> =
        (0..n_draws).map(|_| at_quantile(draw(b, random), quantile) - at_quantile(draw(a, random), quantile)).collect();
    draws.sort_by(f64::total_cmp);
    let has_rounds = a.len().min(b.len()) >= LEAST_ROUNDS;
    let (middle, width) = (of_b - of_a, if has_rounds { widening(a.len(), b.len()) } else { 1.0 });
    let at = |share: f64| middle + width * (draws[((n_draws - 1) as f64 * share).round() as usize] - middle);
    Difference { a: of_a, b: of_b, low: at(0.025), high: at(0.975), has_rounds }
}

/// How much wider the interval is than that of the draws, for so many rounds of A and of B. Drawn with replacement, n
/// rounds differ by the share (n - 1) / n of what they stand for, and what that is they tell within Student's t.
fn widening(n_a: usize, n_b: usize) -> f64 {
    let least = n_a.min(n_b) as f64;
    let known = STUDENT_T.into_iter().rfind(|(freedom, _)| freedom + 2 <= n_a + n_b);
    known.unwrap_or(STUDENT_T[0]).1 / NORMAL * (least / (least - 1.0)).sqrt()
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
fn draw(rounds: &Rounds, random: &mut Random) -> Vec<f32> {
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

    /// Rounds of 20 seconds, each round and each second with a mean of its own, as real runs have it.
    fn rounds(mean: f32, n: usize, seed: u64) -> Vec<Vec<Vec<f32>>> {
        let mut random = Random(seed);
        let round = |random: &mut Random| {
            let offset = 0.5 * random.normal();
            (0..20)
                .map(|_| {
                    let drift = 0.3 * random.normal();
                    (0..30).map(|_| mean + offset + drift + 0.5 * random.normal()).collect()
                })
                .collect()
        };
        (0..n).map(|_| round(&mut random)).collect()
    }

    #[test]
    fn a_real_difference_is_found_and_chance_is_not() {
        let (mut n_found, mut n_false) = (0, 0);
        for seed in 0..40 {
            let (a, mut random) = (rounds(20.0, 3, seed), Random(seed));
            let chance = difference(&a, &rounds(20.0, 3, seed + 1000), 0.5, 400, &mut random);
            n_false += u32::from(chance.is_significant());
            let real = difference(&a, &rounds(23.0, 3, seed + 2000), 0.5, 400, &mut random);
            n_found += u32::from(real.verdict() == "B is older");
            assert!(real.high > 0.0);
        }
        // With the draws' own interval there are 7, and with frames taken as independent more than half.
        assert!(n_false <= 5, "{n_false} of 40 differences found where there is none");
        assert!(n_found >= 38, "{n_found} of 40 found");
    }

    #[test]
    fn too_few_rounds_on_either_side_get_no_verdict() {
        for (n_a, n_b) in [(1, 1), (2, 2), (1, 3), (3, 2)] {
            let told = difference(&rounds(20.0, n_a, 1), &rounds(40.0, n_b, 2), 0.5, 100, &mut Random(3));
            assert!(told.low > 0.0 && !told.is_significant(), "{n_a} and {n_b}: {told}");
            assert!(told.to_string().ends_with("too few rounds to tell"), "{told}");
        }
    }

    #[test]
    fn intervals_of_few_rounds_are_wider() {
        let expected = [((3, 3), 2.776 / 1.96 * 1.5_f64.sqrt()), ((3, 5), 2.447 / 1.96 * 1.5_f64.sqrt())];
        for ((n_a, n_b), width) in expected {
            assert!((widening(n_a, n_b) - width).abs() < 1e-9, "{n_a} and {n_b}: {}", widening(n_a, n_b));
        }
        assert!((1.0..1.001).contains(&widening(1000, 1000)));
    }
}
