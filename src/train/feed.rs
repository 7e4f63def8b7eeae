//! Groups drawn from a data set.

use std::path::Path;

use crossbeam_channel::Sender;

use super::augment::{Augmentation, Ranges};
use super::dataset::{Dataset, Split};
use super::group::Group;
use super::pick::Picker;
use super::sample::{GroupOptions, Sampler};
use super::teach::Feed;
use crate::drive::{N_MODES, rehearsed};
use crate::error::{Error, ErrorKind, Result};
use effigy_base::random::Rng;

/// How often the portrait is another part of its frame than the pictures are of theirs, so that the head is far from
/// where the portrait has it: the people in the data sit still.
const MOVED: f32 = 0.4;
/// How much closer such a portrait may be, as what is added to 1.
const MOVED_ZOOM: f32 = 0.35;
/// How often the signal knows nothing beside the mesh, as before a driver was seen from the front.
const NO_DENSE: f32 = 0.15;
/// How often a portrait is asked for expressions that nobody was seen to have: there are more faces in the data than faces
/// that move.
const ASKED: f32 = 0.35;
/// How far such an expression may go beyond those of the data.
const MAX_ASKED: f32 = 1.25;
/// How many portraits are validated with, and frames of each.
const N_VALIDATION_GROUPS: usize = 16;
const N_VALIDATION_FRAMES: usize = 4;

/// A data set of `effigy prepare`, from which groups of one kind are drawn.
pub struct DatasetFeed {
    dataset: Dataset,
    picture_px: usize,
    decoded_px: usize,
    n_frames: usize,
}

impl DatasetFeed {
    /// Opens a data set, to draw `n_frames` frames of each portrait, square pictures of `picture_px`, of which the decoder
    /// paints `decoded_px` (256 where the network plays); multiples of 32.
    ///
    /// # Errors
    /// When the data set is torn or has nobody to train on.
    pub fn open(folder: &Path, picture_px: usize, decoded_px: usize, n_frames: usize) -> Result<Self> {
        let dataset = Dataset::open(folder)?;
        if Picker::new(&dataset, Split::Train).is_empty() {
            let message = format!("{} has nobody to train on; add clips with `effigy prepare`", folder.display());
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(Self { dataset, picture_px, decoded_px, n_frames })
    }
}

impl Feed for DatasetFeed {
    fn about(&self) -> String {
        format!("{} clips", self.dataset.clips.len())
    }

    fn validation(&self) -> Result<Vec<Group>> {
        let picker = Picker::new(&self.dataset, Split::Validation);
        if picker.is_empty() {
            return Ok(Vec::new());
        }
        let mut rng = Rng::new(7, 0);
        let wanted = GroupOptions { with_warp: true, with_dense: true };
        let mut sampler = Sampler::new(self.picture_px, self.decoded_px)?;
        let pick = |_| {
            let pick = picker.pick(N_VALIDATION_FRAMES, &mut rng);
            sampler.group(pick.clip, pick.portrait, &pick.frames, [&Augmentation::NONE; 2], wanted)
        };
        (0..N_VALIDATION_GROUPS).map(pick).collect()
    }

    fn draw(&self, seed: u64, first_step: usize, to: &Sender<Result<Group>>) {
        let picker = Picker::new(&self.dataset, Split::Train);
        let mut rng = Rng::new(seed, first_step as u64 + 1);
        let mut sampler = match Sampler::new(self.picture_px, self.decoded_px) {
            Ok(sampler) => sampler,
            Err(error) => {
                // Who would take it may have gone.
                let _ = to.send(Err(error));
                return;
            }
        };
        let expressions = match rehearsed() {
            Ok(expressions) => expressions,
            Err(error) => {
                let _ = to.send(Err(error));
                return;
            }
        };
        loop {
            if rng.chance(ASKED) {
                let (clip, portrait) = picker.portrait(&mut rng);
                let asked: Vec<_> = (0..self.n_frames).map(|_| between(&expressions, &mut rng)).collect();
                let change = Augmentation::sample(rng.next_u64(), &Ranges::default());
                if to.send(sampler.asked(clip, portrait, &asked, &change)).is_err() {
                    return;
                }
                continue;
            }
            let pick = picker.pick(self.n_frames, &mut rng);
            let change = Augmentation::sample(rng.next_u64(), &Ranges::default());
            let other = if rng.chance(MOVED) { change.elsewhere(MOVED_ZOOM, &mut rng) } else { change };
            let wanted = GroupOptions { with_warp: false, with_dense: !rng.chance(NO_DENSE) };
            let group = sampler.group(pick.clip, pick.portrait, &pick.frames, [&other, &change], wanted);
            if to.send(group).is_err() {
                return;
            }
        }
    }
}

/// Somewhere between two of the expressions, or beyond them.
fn between(expressions: &[[f32; N_MODES]], rng: &mut Rng) -> [f32; N_MODES] {
    let (a, b) = (&expressions[rng.below(expressions.len())], &expressions[rng.below(expressions.len())]);
    let (strength, share) = (rng.range(0.3, MAX_ASKED), rng.unit() * rng.unit());
    std::array::from_fn(|k| strength * (a[k] + share * (b[k] - a[k])))
}
