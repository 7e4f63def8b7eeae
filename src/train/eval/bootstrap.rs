//! How sure a figure is: what it would be if other clips of the same kind had been measured.
//!
//! Frames of one clip say nearly the same, so clips are drawn, not frames (Efron 1979): as many as there are, each as likely
//! as the other, some twice and some never, many times over. Nineteen of twenty figures of such draws lie in the interval.

use std::collections::BTreeMap;

use effigy_base::random::Rng;

/// The draws begin here, in every evaluation.
const SEED: u64 = 20_061;
/// Draws for means.
pub(super) const N_DRAWS: usize = 1000;
/// Draws for distances between sets, which take a thousand times as long.
pub(super) const N_SET_DRAWS: usize = 200;
/// Fewer clips say nothing of other clips.
pub(super) const MIN_CASES: usize = 2;

/// How often each case was drawn, and how often such a draw came.
pub(super) type Draws = BTreeMap<Vec<u32>, usize>;

/// `n_draws` draws of as many cases as there are; of few cases many draws are alike. Fewer draws are the first of more.
pub(super) fn draws(n_cases: usize, n_draws: usize) -> Draws {
    let mut rng = Rng::new(SEED, n_cases as u64);
    let mut draws = Draws::new();
    for _ in 0..n_draws {
        let mut counts = vec![0; n_cases];
        (0..n_cases).for_each(|_| counts[rng.below(n_cases)] += 1);
        *draws.entry(counts).or_default() += 1;
    }
    draws
}

/// The interval that holds the middle 95 % of values, each of which came so often; `None` of none.
pub(super) fn interval_95(mut values: Vec<(f64, usize)>) -> Option<[f64; 2]> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n: usize = values.iter().map(|(_, times)| times).sum();
    let quantile = |share: f64| {
        let mut below = 0;
        let is_there = |(_, times): &&(f64, usize)| {
            below += times;
            below as f64 >= share * n as f64
        };
        values.iter().find(is_there).map(|(value, _)| *value)
    };
    Some([quantile(0.025)?, quantile(0.975)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_the_same_every_time_and_each_case_is_as_likely() {
        let found = draws(5, N_DRAWS);
        assert_eq!(found, draws(5, N_DRAWS));
        assert!(found.keys().all(|counts| counts.iter().sum::<u32>() == 5));
        assert_eq!(found.values().sum::<usize>(), N_DRAWS);
        // Five cases can be drawn in 126 ways.
        assert!(found.len() <= 126, "{}", found.len());
        for i in 0..5 {
            let n: usize = found.iter().map(|(counts, times)| counts[i] as usize * times).sum();
            assert!(n.abs_diff(N_DRAWS) < 120, "case {i} came {n} times");
        }
        assert_eq!(draws(1, 10), Draws::from([(vec![1], 10)]));
    }

    #[test]
    fn the_interval_of_a_mean_is_as_wide_as_its_standard_error_says() {
        // 40 cases of a normal distribution with deviation 2: the mean is sure to ± 1.96 × 2 / √40 = 0.62.
        let mut rng = Rng::new(9, 0);
        let cases: Vec<f64> = (0..40).map(|_| 7.0 + 2.0 * f64::from(rng.normal())).collect();
        let mean = |counts: &[u32]| cases.iter().zip(counts).map(|(x, n)| x * f64::from(*n)).sum::<f64>() / 40.0;
        let values = draws(40, N_DRAWS).iter().map(|(counts, times)| (mean(counts), *times)).collect();
        let [low, high] = interval_95(values).unwrap();
        assert!(low < 7.0 && 7.0 < high && (high - low - 1.24).abs() < 0.35, "{low} {high}");
    }

    #[test]
    fn the_middle_95_of_100_leaves_out_the_ends() {
        let all = (1..=100).rev().map(|i| (f64::from(i), 1)).collect();
        assert_eq!(interval_95(all), Some([3.0, 98.0]));
        assert_eq!(interval_95(vec![(1.0, 99), (2.0, 1)]), Some([1.0, 1.0]));
        assert_eq!(interval_95(Vec::new()), None);
    }
}
