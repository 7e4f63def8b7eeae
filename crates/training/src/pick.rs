//! Which portrait and which frames the next step learns from.

use super::dataset::{Clip, Dataset, Kind, Split};
use effigy_base::random::Rng;

/// How often each kind of clip is drawn, where there are any.
const SHARES: [(Kind, f32); 3] = [(Kind::Filmed, 0.5), (Kind::Synthetic, 0.45), (Kind::Portrait, 0.05)];
/// A portrait looks into the camera, within these angles.
const MAX_PORTRAIT_YAW_RADS: f32 = 0.4;
const MAX_PORTRAIT_PITCH_RADS: f32 = 0.35;

/// A portrait and frames, by their numbers in the clip.
#[derive(Clone, Debug)]
pub struct Pick<'a> {
    /// Whose.
    pub clip: &'a Clip,
    /// The frame that is the portrait.
    pub portrait: usize,
    /// The frames to make of it.
    pub frames: Vec<usize>,
}

/// Draws picks: people of a kind evenly, their portraits and frames by weight.
pub struct Picker<'a> {
    /// Share, then people, then clips of the person with their possible portraits.
    kinds: Vec<(f32, Vec<Vec<Candidate<'a>>>)>,
}

/// A clip, and what to draw from it.
struct Candidate<'a> {
    clip: &'a Clip,
    /// The frames that can be its portrait: those with shut eyes or an open mouth, which are few, as often as other
    /// rare frames.
    portraits: Draw,
    frames: Draw,
}

/// Some frames of a clip by number, each with the sum of the weights up to its own.
struct Draw(Vec<(usize, f32)>);

impl<'a> Picker<'a> {
    /// Sorts the clips of one split.
    pub fn new(dataset: &'a Dataset, split: Split) -> Self {
        let kinds = SHARES.map(|(kind, share)| {
            let mut people = std::collections::BTreeMap::<&str, Vec<Candidate>>::new();
            // One photo tells nothing about motion: there is nothing to measure.
            let is_wanted = |clip: &&Clip| clip.kind == kind && (split == Split::Train || kind != Kind::Portrait);
            for clip in dataset.split(split).filter(is_wanted) {
                if let Some(candidate) = Candidate::new(clip) {
                    people.entry(&clip.person).or_default().push(candidate);
                }
            }
            (share, people.into_values().collect::<Vec<_>>())
        });
        Self { kinds: kinds.into_iter().filter(|(_, people)| !people.is_empty()).collect() }
    }

    /// Whether there is nothing to draw from.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Draws somebody's portrait: each person as often as any other, so that most are of photos.
    pub fn portrait(&self, rng: &mut Rng) -> (&'a Clip, usize) {
        let n_people = self.kinds.iter().map(|(_, people)| people.len()).sum();
        let mut at = rng.below(n_people);
        for (_, people) in &self.kinds {
            if let Some(clips) = people.get(at) {
                let candidate = &clips[rng.below(clips.len())];
                return (candidate.clip, candidate.portraits.one(rng));
            }
            at -= people.len();
        }
        unreachable!("a picker has people")
    }

    /// Draws a portrait and `n_frames` frames of the same clip, in half of the cases following each other.
    pub fn pick(&self, n_frames: usize, rng: &mut Rng) -> Pick<'a> {
        let total: f32 = self.kinds.iter().map(|(share, _)| share).sum();
        let mut at = rng.range(0.0, total);
        let mut people = &self.kinds[0].1;
        for (share, of_kind) in &self.kinds {
            people = of_kind;
            at -= share;
            if at < 0.0 {
                break;
            }
        }
        let clips = &people[rng.below(people.len())];
        let candidate = &clips[rng.below(clips.len())];
        let n = candidate.clip.frames.len();
        let portrait = candidate.portraits.one(rng);
        let frames = if candidate.clip.fps > 0.0 && n > n_frames && rng.chance(0.5) {
            let first = candidate.frames.one(rng).min(n - n_frames);
            (first..first + n_frames).collect()
        } else {
            (0..n_frames).map(|_| candidate.frames.one(rng)).collect()
        };
        Pick { clip: candidate.clip, portrait, frames }
    }
}

impl<'a> Candidate<'a> {
    fn new(clip: &'a Clip) -> Option<Self> {
        let looks_at_us = |&i: &usize| {
            let [yaw, pitch, _] = clip.frames[i].pose.yaw_pitch_roll_rads();
            yaw.abs() < MAX_PORTRAIT_YAW_RADS && pitch.abs() < MAX_PORTRAIT_PITCH_RADS
        };
        let all = 0..clip.frames.len();
        let portraits = Draw::new(clip, all.clone().filter(looks_at_us));
        (!portraits.0.is_empty()).then(|| Self { clip, portraits, frames: Draw::new(clip, all) })
    }
}

impl Draw {
    fn new(clip: &Clip, frames: impl Iterator<Item = usize>) -> Self {
        let summed = frames.scan(0.0, |sum, frame| {
            *sum += clip.frames[frame].weight;
            Some((frame, *sum))
        });
        Self(summed.collect())
    }

    /// One of the frames; there must be one.
    fn one(&self, rng: &mut Rng) -> usize {
        let last = self.0.len() - 1;
        let at = rng.range(0.0, self.0[last].1);
        self.0[self.0.partition_point(|(_, sum)| *sum <= at).min(last)].0
    }
}
