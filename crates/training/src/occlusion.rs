//! Training of the network that sees what covers a face: hands, things and cloth are painted before the faces of a data set.
//!
//! [`Occlusion`] learns in the loop that the founding families share; [`Covered`] makes what it learns from.
//! [`effigy_network::occlusion`] is the network.

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::dataset::{Dataset, Split};
use crate::families::layers::replay;
use crate::families::pictures::{Frames, Pictures};
use crate::families::{Batch, Learner, Parts, averaged, averaging, number, only, rows};
use crate::leaves::{AdamOptions, Leaves, StepOptions};
use crate::pick::Picker;
use effigy_base::error::{Error, ErrorKind, Result};
use effigy_base::random::Rng;
use effigy_network::family::random_of;
use effigy_network::occlusion::{N_CELLS, SIZE_PX, plan, write};
use effigy_network::plan::Plan;

use sample::{Sample, sample};

mod painter;
mod sample;

/// The name of the file that the program reads.
pub const FILE_NAME: &str = "occlusion.safetensors";
/// How often something is before the face.
const IS_COVERED: f32 = 0.7;
/// Probabilities keep so far from 0 and 1: a logarithm must stay finite.
const MARGIN: f64 = 1e-4;
/// A cell counts as covered from here on.
const HALF: f32 = 0.5;

/// Faces of a data set, with something before most of them.
///
/// A "frame" of it is two pictures of three planes: what is seen; then how much of each place is covered, how much the place
/// counts, and nothing.
pub struct Covered {
    dataset: Dataset,
}

impl Covered {
    /// Takes a data set.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it has nobody to train on.
    pub fn new(dataset: Dataset) -> Result<Self> {
        if Picker::new(&dataset, Split::Train).is_empty() {
            let message = format!("{} has nobody to train on; add clips with `effigy prepare`", dataset.dir.display());
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(Self { dataset })
    }

    fn draw(&self, split: Split, n: usize, rng: &mut Rng) -> Result<Vec<f32>> {
        let picker = Picker::new(&self.dataset, split);
        let draws: Vec<_> = (0..n)
            .map(|_| {
                let mut pick = || match split {
                    Split::Train if rng.chance(0.5) => picker.portrait(rng),
                    _ => {
                        let pick = picker.pick(1, rng);
                        (pick.clip, pick.frames[0])
                    }
                };
                (pick(), pick(), rng.next_u64())
            })
            .collect();
        let samples = draws.into_par_iter().map(|((clip, frame), (other, pattern), seed)| {
            let mut rng = Rng::new(seed, 0);
            let is_covered = rng.chance(IS_COVERED);
            sample(clip, frame, &other.picture(pattern)?, is_covered, &mut rng)
        });
        Ok(samples.collect::<Result<Vec<_>>>()?.iter().flat_map(planes).collect())
    }
}

/// The six planes of a sample.
fn planes(sample: &Sample) -> Vec<f32> {
    let cell = SIZE_PX / N_CELLS;
    let spread = |cells: &[f32]| -> Vec<f32> {
        (0..SIZE_PX * SIZE_PX).map(|i| cells[i / SIZE_PX / cell * N_CELLS + i % SIZE_PX / cell]).collect()
    };
    let nothing = vec![0.0; SIZE_PX * SIZE_PX];
    [sample.picture.clone(), spread(&sample.covered), spread(&sample.counts), nothing].concat()
}

impl Pictures for Covered {
    fn about(&self) -> String {
        format!("{} clips", self.dataset.clips.len())
    }

    fn batch(&self, n: usize, _: Frames, _: usize, rng: &mut Rng) -> Result<Vec<f32>> {
        self.draw(Split::Train, n, rng)
    }

    fn validation(&self, n: usize, _: Frames, _: usize) -> Result<Option<Vec<f32>>> {
        if Picker::new(&self.dataset, Split::Validation).is_empty() {
            return Ok(None);
        }
        self.draw(Split::Validation, 8 * n, &mut Rng::new(7, 0)).map(Some)
    }
}

/// The network that learns.
pub struct Occlusion {
    plan: Plan,
    leaves: Leaves,
}

impl Occlusion {
    /// Starts with random weights on a device that records gradients.
    pub fn new(seed: u64, device: &Device) -> Self {
        let plan = plan();
        let adam = AdamOptions { beta_1: 0.9, beta_2: 0.999, decay: 1e-4 };
        let leaves = Leaves::with_optimizer(rows(random_of(plan.params(), seed)), adam, device);
        Self { plan, leaves }
    }

    /// What the network says of pictures, what is true, and how much each cell counts: (n, 1, 16, 16) each.
    fn say(&self, leaves: &Leaves, given: Tensor<4>, learns: bool) -> [Tensor<4>; 3] {
        let [n, ..] = given.dims();
        let cell = SIZE_PX / N_CELLS;
        let cells = |plane: usize| {
            let all: Tensor<6> = given.clone().narrow(1, plane, 1).reshape([n, 1, N_CELLS, cell, N_CELLS, cell]);
            let one: Tensor<6> = all.narrow(3, 0, 1).narrow(5, 0, 1);
            one.reshape([n, 1, N_CELLS, N_CELLS])
        };
        let (covered, counts) = (cells(3), cells(4));
        [only(replay(&self.plan, leaves, given.narrow(1, 0, 3), learns)), covered, counts]
    }
}

/// Binary cross-entropy, each cell as it counts.
fn surprise([said, covered, counts]: [Tensor<4>; 3]) -> Tensor<1> {
    let p = said * (1.0 - 2.0 * MARGIN) + MARGIN;
    let log = covered.clone() * p.clone().log() + (-covered + 1.0) * (-p + 1.0).log();
    -(log * counts.clone()).sum() / counts.sum()
}

impl Learner for Occlusion {
    fn name(&self) -> String {
        "occlusion".to_owned()
    }

    fn size_px(&self) -> usize {
        SIZE_PX
    }

    fn frames(&self) -> Frames {
        Frames::InRow(2)
    }

    fn networks(&self) -> Vec<(&'static str, &Leaves)> {
        vec![("", &self.leaves)]
    }

    fn networks_mut(&mut self) -> Vec<(&'static str, &mut Leaves)> {
        vec![("", &mut self.leaves)]
    }

    fn step(&mut self, batch: Batch) -> Parts {
        let loss = surprise(self.say(&self.leaves, batch.pictures, true));
        let options = StepOptions { rate: batch.rate, max_norm: 1.0, averaging: averaging(batch.step) };
        self.leaves.step(loss.clone().backward(), &options);
        vec![("loss", number(loss))]
    }

    fn validate(&self, pictures: Tensor<4>) -> (Parts, Vec<Vec<Vec<f32>>>) {
        let leaves =
            Leaves::new(rows(averaged(&self.leaves, self.plan.params())), &self.leaves.device().clone().inner());
        let pictures = Tensor::from_data(pictures.into_data(), leaves.device());
        let said = self.say(&leaves, pictures.clone(), false);
        let [values, covered, counts] =
            said.clone().map(|cells| cells.into_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default());
        let per_picture = N_CELLS * N_CELLS;
        let (mut hit, mut missed, mut wrong, mut n_clean, mut n_alarms) = (0.0_f32, 0.0, 0.0, 0.0_f32, 0.0);
        for i in 0..values.len() {
            let (is_said, is_so) = (values[i] > HALF, covered[i] > HALF);
            if counts[i] >= 1.0 {
                hit += f32::from(is_said && is_so);
                missed += f32::from(!is_said && is_so);
                wrong += f32::from(is_said && !is_so);
            }
        }
        for picture in 0..values.len() / per_picture {
            let all = picture * per_picture..(picture + 1) * per_picture;
            if covered[all.clone()].iter().all(|&x| x == 0.0) {
                n_clean += 1.0;
                let is_alarm = all.clone().filter(|&i| counts[i] >= 1.0 && values[i] > HALF).count() >= 3;
                n_alarms += f32::from(is_alarm);
            }
        }
        let figures = vec![
            ("loss", number(surprise(said))),
            ("recall", hit / (hit + missed).max(1.0)),
            ("precision", hit / (hit + wrong).max(1.0)),
            ("alarms_of_clean", n_alarms / n_clean.max(1.0)),
        ];
        let seen = pictures.into_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default();
        let area = SIZE_PX * SIZE_PX;
        let row = |picture: usize| {
            let given = &seen[6 * area * picture..][..6 * area];
            let cells = &values[per_picture * picture..][..per_picture];
            let grey = |at: &dyn Fn(usize) -> f32| (0..3 * area).map(|i| at(i % area)).collect::<Vec<f32>>();
            let cell = SIZE_PX / N_CELLS;
            let said = grey(&|i| cells[i / SIZE_PX / cell * N_CELLS + i % SIZE_PX / cell]);
            vec![given[..3 * area].to_vec(), grey(&|i| given[3 * area + i]), said]
        };
        (figures, (0..values.len() / per_picture).map(row).collect())
    }

    fn weights(&self) -> Result<(String, Vec<u8>)> {
        Ok((FILE_NAME.to_owned(), write(&averaged(&self.leaves, self.plan.params()))?))
    }

    fn plots(&self) -> Vec<(&'static str, &'static [&'static str])> {
        vec![("nats a cell", &["loss"])]
    }
}

#[cfg(test)]
mod tests;
