//! What one contender did, summed up so that cases can be merged, each as often as it is told.

use std::collections::BTreeMap;

use super::bootstrap::{self, MIN_CASES, N_DRAWS, N_SET_DRAWS};
use super::classes::Classes;
use super::frechet::{Moments, frechet_of};
use super::scores::{Figure, Figures, Tally};

/// Sums of a case, or of several.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    /// By key: the sum over frames, and over how many.
    sums: BTreeMap<&'static str, (f64, f64)>,
    /// Of pictures and of windows: the truth's, and those of what was made.
    pictures: [Moments; 2],
    windows: [Moments; 2],
    classes: [Classes; 2],
}

impl Summary {
    /// That of one case.
    pub(super) fn of(tally: &Tally) -> Self {
        let sums = tally.sums.iter().map(|(key, (sum, n))| (*key, (*sum, *n as f64)));
        Self {
            sums: sums.collect(),
            pictures: tally.features.each_ref().map(|set| set.moments()),
            windows: tally.windows.each_ref().map(|set| set.moments()),
            classes: tally.classes.clone(),
        }
    }

    /// All of several cases together.
    pub(super) fn of_all(cases: &[Self]) -> Self {
        drawn(cases, &vec![1; cases.len()], true)
    }

    /// Adds another, as if it had been measured so many times; with what is compared as sets, or without.
    fn add(&mut self, other: &Self, times: f64, with_sets: bool) {
        for (key, (sum, n)) in &other.sums {
            let own = self.sums.entry(key).or_default();
            own.0 += sum * times;
            own.1 += n * times;
        }
        if with_sets {
            for i in 0..2 {
                self.pictures[i].add(&other.pictures[i], times);
                self.windows[i].add(&other.windows[i], times);
                self.classes[i].add(&other.classes[i], times);
            }
        }
    }

    /// How many frames have this number.
    pub(super) fn n_of(&self, key: &str) -> u64 {
        self.sums.get(key).map_or(0, |(_, n)| *n as u64)
    }

    /// Pictures and windows that are compared as sets, each with the features of one.
    pub(super) fn set_sizes(&self) -> [(f64, usize); 2] {
        [&self.pictures[0], &self.windows[0]].map(|set| (set.n(), set.n_features()))
    }

    /// The means.
    pub(super) fn means(&self) -> Figures {
        let mean = |(sum, n): &(f64, f64)| Figure { mean: sum / n, n: *n as u64, interval_95: None };
        self.sums.iter().filter(|(_, (_, n))| *n > 0.0).map(|(key, sum)| (*key, mean(sum))).collect()
    }

    /// What is compared as sets: distances, and the spread of classes.
    pub(super) fn of_sets(&self) -> Figures {
        let [pictures, windows] = [&self.pictures, &self.windows];
        // As many windows more as there are features: both are few.
        let n_prior = windows[0].n_features() as f64;
        let found = [
            ("frechet", frechet_of(&pictures[0], &pictures[1], 0.0), pictures[0].n()),
            ("fvd_like", frechet_of(&windows[0], &windows[1], n_prior), windows[0].n()),
            ("class_score", self.classes[1].score(), self.classes[1].n()),
            ("class_score_truth", self.classes[0].score(), self.classes[0].n()),
        ];
        let figure =
            |(key, mean, n): (_, Option<f64>, f64)| Some((key, Figure { mean: mean?, n: n as u64, interval_95: None }));
        found.into_iter().filter_map(figure).collect()
    }
}

fn drawn(cases: &[Summary], counts: &[u32], with_sets: bool) -> Summary {
    let mut summary = Summary::default();
    for (case, times) in cases.iter().zip(counts).filter(|(_, times)| **times > 0) {
        summary.add(case, f64::from(*times), with_sets);
    }
    summary
}

/// The figures over all cases, with their intervals where there are enough cases.
pub(super) fn figures(cases: &[Summary]) -> Figures {
    let total = Summary::of_all(cases);
    let mut figures = total.means();
    figures.extend(total.of_sets());
    if cases.len() < MIN_CASES {
        return figures;
    }
    let mut drawn_values: BTreeMap<&str, Vec<(f64, usize)>> = BTreeMap::new();
    let mut keep = |figures: Figures, times: usize| {
        for (key, figure) in figures {
            drawn_values.entry(key).or_default().push((figure.mean, times));
        }
    };
    for (counts, times) in bootstrap::draws(cases.len(), N_DRAWS) {
        keep(drawn(cases, &counts, false).means(), times);
    }
    if total.set_sizes()[0].0 > 0.0 {
        for (counts, times) in bootstrap::draws(cases.len(), N_SET_DRAWS) {
            keep(drawn(cases, &counts, true).of_sets(), times);
        }
    }
    for (key, values) in drawn_values {
        if let Some(figure) = figures.get_mut(key) {
            figure.interval_95 = bootstrap::interval_95(values);
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A case of so many frames, each with these numbers.
    fn case(l1: f64, n: usize, flicker: Option<f64>) -> Summary {
        let mut tally = Tally::default();
        for i in 0..n {
            tally.add(&[("l1", l1)]);
            tally.add_features(&[i as f32, 1.0], &[i as f32, 1.0 + l1 as f32]);
        }
        tally.add(&flicker.map(|flicker| ("flicker", flicker)).into_iter().collect::<Vec<_>>());
        Summary::of(&tally)
    }

    #[test]
    fn figures_are_means_over_frames_and_intervals_those_of_cases() {
        let cases = [case(1.0, 10, None), case(2.0, 30, Some(5.0)), case(4.0, 10, None)];
        let found = figures(&cases);
        let l1 = found["l1"];
        assert_eq!((l1.mean, l1.n), ((10.0 + 60.0 + 40.0) / 50.0, 50));
        let [low, high] = l1.interval_95.unwrap();
        assert!(low < l1.mean && l1.mean < high, "{l1:?}");
        // Of two cases one is drawn alone, twice, in a quarter of all draws: the interval reaches from one to the other.
        assert_eq!(figures(&cases[..2])["l1"].interval_95, Some([1.0, 2.0]));
        assert_eq!((found["flicker"].n, found["flicker"].interval_95), (1, Some([5.0, 5.0])));
        let frechet = found["frechet"];
        let [low, high] = frechet.interval_95.unwrap();
        assert!(low < frechet.mean && frechet.mean < high && low > 0.5, "{frechet:?}");
        assert!(!found.contains_key("fvd_like") && !found.contains_key("class_score"));
        assert!(figures(&cases[..1])["l1"].interval_95.is_none(), "one clip says nothing of others");
        assert_eq!(figures(&cases), found, "the draws are the same every time");
    }

    #[test]
    fn the_distance_of_windows_grows_with_noise_and_with_a_shift() {
        let window = |i: usize, noise: f32, shift: f32| -> Vec<f32> {
            (0..8).map(|c| ((i * (c + 3)) % 7) as f32 + shift + noise * ((i * (2 * c + 1)) % 5) as f32).collect()
        };
        let distance = |noise: f32, shift: f32| {
            let mut tally = Tally::default();
            (0..12).for_each(|i| tally.add_window(&window(i, 0.0, 0.0), &window(i, noise, shift)));
            Summary::of(&tally).of_sets()["fvd_like"].mean
        };
        assert!(distance(0.0, 0.0) < 1e-6);
        // Eight features that are off by 3.
        assert!((distance(0.0, 3.0) - 72.0).abs() < 1e-6, "{}", distance(0.0, 3.0));
        let by_noise: Vec<f64> = [0.0, 0.5, 1.0, 2.0].iter().map(|noise| distance(*noise, 0.0)).collect();
        assert!(by_noise.is_sorted_by(|a, b| a < b), "{by_noise:?}");
    }
}
