//! Which of many views are worth their memory.

use super::Candidate;
use crate::generate::views::Wish;

/// A view that is nearer than this to one that was chosen shows nothing new, in the units of [`Wish::distance`].
pub(super) const LEAST_NEWS: f32 = 0.6;
/// What is farther from all views than this counts as if it were so far: a tracker's error is no reason for a view.
const MOST_FAR: f32 = 4.0;
/// Of a clip, frames whose faces are less crisp than this share of the median's are no views.
const LEAST_CRISP: f32 = 0.75;
/// What covers a face does so for longer than this.
const NEAR_SECS: f64 = 0.4;

/// Chooses among candidates, each time the one after which all that was seen is nearest to some view, by the sum of squares.
#[derive(Clone)]
pub(super) struct Picker<'a> {
    candidates: &'a [Candidate],
    /// For each candidate, how far it is from the nearest view.
    nearest: Vec<f32>,
    /// Which may become a view.
    is_fit: Vec<bool>,
}

impl<'a> Picker<'a> {
    /// Starts with the main view alone.
    pub(super) fn new(main: Wish, candidates: &'a [Candidate]) -> Self {
        let nearest = candidates.iter().map(|candidate| main.distance(&candidate.wish)).collect();
        Self { candidates, nearest, is_fit: crisp(candidates) }
    }

    /// The candidate that adds most, the first of equals, so that the same files give the same views; none where nothing adds
    /// anything.
    pub(super) fn best(&self) -> Option<usize> {
        let far = |distance: f32| distance.min(MOST_FAR).powi(2);
        let gain = |view: usize| -> f32 {
            let others = self.candidates.iter().zip(&self.nearest);
            let view = &self.candidates[view].wish;
            others.map(|(other, &now)| (far(now) - far(view.distance(&other.wish))).max(0.0)).sum()
        };
        let fit = (0..self.candidates.len()).filter(|&i| self.is_fit[i] && self.nearest[i] >= LEAST_NEWS);
        let best = fit.map(|i| (i, gain(i))).fold(None, |best: Option<(usize, f32)>, (i, gain)| match best {
            Some((_, most)) if most >= gain => best,
            _ => Some((i, gain)),
        });
        best.map(|(best, _)| best)
    }

    /// The next views, no more than `most`, should every one of them do.
    pub(super) fn outlook(&self, most: usize) -> Vec<usize> {
        let mut then = self.clone();
        let mut next = Vec::new();
        while next.len() < most
            && let Some(best) = then.best()
        {
            then.accept(best);
            next.push(best);
        }
        next
    }

    /// Makes a candidate a view.
    pub(super) fn accept(&mut self, index: usize) {
        self.is_fit[index] = false;
        for (now, other) in self.nearest.iter_mut().zip(self.candidates) {
            *now = now.min(self.candidates[index].wish.distance(&other.wish));
        }
    }

    /// Takes a candidate out, and of a clip what is near to it in time, which will not do either.
    pub(super) fn reject(&mut self, index: usize) {
        let out = &self.candidates[index];
        for (is_fit, other) in self.is_fit.iter_mut().zip(self.candidates) {
            let is_near = match (out.frame, other.frame) {
                (Some((_, a)), Some((_, b))) => other.file == out.file && (a - b).abs() < NEAR_SECS,
                _ => false,
            };
            *is_fit &= !is_near;
        }
        self.is_fit[index] = false;
    }

    /// For each candidate, how far it is from the nearest view.
    pub(super) fn nearest(&self) -> &[f32] {
        &self.nearest
    }
}

/// Which candidates are about as crisp as the others of their clip.
fn crisp(candidates: &[Candidate]) -> Vec<bool> {
    let median = |file: usize| {
        let mut values: Vec<f32> = candidates.iter().filter(|c| c.file == file).map(|c| c.crispness).collect();
        values.sort_by(f32::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let mut medians = std::collections::BTreeMap::new();
    for candidate in candidates {
        medians.entry(candidate.file).or_insert_with(|| median(candidate.file));
    }
    candidates.iter().map(|c| medians.get(&c.file).is_none_or(|&median| c.crispness >= LEAST_CRISP * median)).collect()
}

#[cfg(test)]
mod tests {
    use glam::Quat;

    use super::*;

    fn candidate(yaw: f32, mouth: f32) -> Candidate {
        let wish = Wish { rotation: Quat::from_rotation_y(yaw), mouth, eyes: 1.0 };
        Candidate { file: 0, frame: None, wish, crispness: 1.0 }
    }

    fn chosen(candidates: &[Candidate], most: usize) -> Vec<usize> {
        let mut picker = Picker::new(candidate(0.0, 0.0).wish, candidates);
        let outlook = picker.outlook(most);
        let mut chosen = Vec::new();
        while let Some(best) = picker.best().filter(|_| chosen.len() < most) {
            picker.accept(best);
            chosen.push(best);
        }
        assert_eq!(chosen, outlook, "what was foreseen is not what came");
        chosen
    }

    #[test]
    fn what_adds_something_is_chosen_and_near_duplicates_are_not() {
        let all = [
            candidate(0.01, 0.0),
            candidate(0.6, 0.0),
            candidate(0.62, 0.0),
            candidate(-0.5, 0.0),
            candidate(0.0, 0.3),
        ];
        let mut found = chosen(&all, 7);
        found.sort_unstable();
        assert!(found == [1, 3, 4] || found == [2, 3, 4], "{found:?}");
        assert_eq!(chosen(&all, 1).len(), 1);
        assert!(chosen(&all[..1], 7).is_empty(), "the main view again");
    }

    #[test]
    fn what_a_clip_often_shows_counts_more_than_one_stray_frame() {
        let mut all: Vec<Candidate> = (0..40).map(|i| candidate(0.35 + 0.001 * i as f32, 0.0)).collect();
        all.push(candidate(-1.4, 0.0));
        assert!(chosen(&all, 1)[0] < 40);
    }

    #[test]
    fn what_is_rejected_takes_its_moment_with_it() {
        let mut all: Vec<Candidate> = (0..10).map(|i| candidate(0.5 + 0.01 * i as f32, 0.0)).collect();
        for (i, one) in all.iter_mut().enumerate() {
            one.frame = Some((i as u64, 0.1 * i as f64));
        }
        let mut picker = Picker::new(candidate(0.0, 0.0).wish, &all);
        let best = picker.best().unwrap();
        picker.reject(best);
        let next = picker.best().unwrap();
        assert!(next.abs_diff(best) >= 4, "{best} then {next}");
    }

    #[test]
    fn a_blurred_frame_is_no_view() {
        let mut all: Vec<Candidate> = (0..5).map(|i| candidate(0.5 + 0.001 * i as f32, 0.0)).collect();
        all[2].crispness = 0.2;
        all.push(Candidate { crispness: 0.1, ..candidate(-0.6, 0.0) });
        let found = chosen(&all, 7);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0] != 2 && found[0] != 5);
    }
}
