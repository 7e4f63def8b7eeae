//! An adversary: it learns to tell what the network made from what was seen, and the network learns to pass.
//!
//! It looks at frozen features instead of pixels (Projected GANs, Sauer et al. 2021), which costs little beside the
//! perceptual loss that needs them anyway, and learns fast from few samples. At each of four sizes two convolutions
//! answer for every place; the loss is the hinge loss (Lim and Ye 2017), and the distance of what it sees inside is a
//! loss of its own, feature matching (pix2pixHD, Wang et al. 2018).

use burn::tensor::module::{adaptive_avg_pool2d, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Gradients, Tensor, activation};

use super::features::TAP_CHANNELS;
use super::leaves::{Leaves, StepOptions};
use effigy_base::random::Rng;

/// The first of the frozen features that is looked at, the bottleneck before the second halving.
const FIRST_TAP: usize = 1;
/// Channels between the two convolutions.
const HIDDEN: usize = 32;
/// Learning rate.
const RATE: f64 = 4e-4;

/// The adversary and its weights.
pub struct Adversary {
    leaves: Leaves,
}

/// What it says of pictures, at each size.
struct Answers {
    /// (n, [`HIDDEN`], h, w).
    hidden: Vec<Tensor<4>>,
    /// (n, 1, h, w): above 0 is "seen", below is "made".
    verdicts: Vec<Tensor<4>>,
}

/// Frozen features of the same places in both kinds of picture, and how much each counts.
pub struct Evidence {
    /// Of what the network made, with gradients.
    pub made: Vec<Tensor<4>>,
    /// Of what was seen.
    pub seen: Vec<Tensor<4>>,
    /// (n, 1, s, s).
    pub counts: Tensor<4>,
}

impl Adversary {
    /// Starts with random weights on a device that records gradients.
    pub fn new(seed: u64, device: &Device) -> Self {
        let mut rng = Rng::new(seed, 0);
        let mut rows = Vec::new();
        for (tap, &channels) in TAP_CHANNELS.iter().enumerate().skip(FIRST_TAP) {
            for (layer, c_out, c_in) in [("in", HIDDEN, channels), ("out", 1, HIDDEN)] {
                let reach = (3.0 / (9 * c_in) as f32).sqrt();
                let weight = (0..c_out * c_in * 9).map(|_| rng.range(-reach, reach)).collect();
                rows.push((format!("{tap}.{layer}.weight"), vec![c_out, c_in, 3, 3], weight));
                rows.push((format!("{tap}.{layer}.bias"), vec![c_out], vec![0.0; c_out]));
            }
        }
        Self { leaves: Leaves::new(rows.into_iter(), device) }
    }

    /// What the network shall make small: (how surely its pictures are found out, feature matching).
    pub fn judge(&self, evidence: &Evidence) -> (Tensor<1>, Tensor<1>) {
        let (made, seen) = (self.answer(evidence, &evidence.made, false), self.answer(evidence, &evidence.seen, false));
        let found_out = made.verdicts.iter().map(|verdict| -counted(verdict.clone(), &evidence.counts));
        let apart = made.hidden.iter().zip(&seen.hidden);
        let apart = apart.map(|(a, b)| counted((a.clone() - b.clone()).abs(), &evidence.counts));
        (mean(found_out), mean(apart))
    }

    /// What the adversary itself makes small: the hinge loss of both kinds of picture.
    pub fn loss(&self, evidence: &Evidence) -> Tensor<1> {
        let made: Vec<_> = evidence.made.iter().map(|x| x.clone().detach()).collect();
        let (made, seen) = (self.answer(evidence, &made, true), self.answer(evidence, &evidence.seen, true));
        let hinge = |verdict: Tensor<4>| counted(activation::relu(verdict + 1.0), &evidence.counts);
        mean(made.verdicts.into_iter().zip(seen.verdicts).map(|(made, seen)| hinge(made) + hinge(-seen)))
    }

    /// Follows the gradients of [`Self::loss`] by one step.
    pub fn step(&mut self, gradients: Gradients) {
        self.leaves.step(gradients, &StepOptions { rate: RATE, max_norm: 1.0, averaging: 0.0 });
    }

    /// What a checkpoint keeps.
    pub(super) fn leaves(&self) -> &Leaves {
        &self.leaves
    }

    /// What a checkpoint restores.
    pub(super) fn leaves_mut(&mut self) -> &mut Leaves {
        &mut self.leaves
    }

    /// Answers for features of one kind of picture. Its weights are constants unless it `learns`.
    fn answer(&self, evidence: &Evidence, features: &[Tensor<4>], learns: bool) -> Answers {
        let mut answers = Answers { hidden: Vec::new(), verdicts: Vec::new() };
        for (tap, (x, seen)) in features.iter().zip(&evidence.seen).enumerate().skip(FIRST_TAP) {
            // Frozen features are unbounded and of another size at each tap.
            let size = seen.clone().square().mean().sqrt().detach().reshape([1, 1, 1, 1]) + 1e-6;
            let layer = |x: Tensor<4>, name: &str| {
                let (weight, bias) = (format!("{tap}.{name}.weight"), format!("{tap}.{name}.bias"));
                let (weight, bias): (Tensor<4>, Tensor<1>) = (self.leaves.get(&weight), self.leaves.get(&bias));
                let (weight, bias) = if learns { (weight, bias) } else { (weight.detach(), bias.detach()) };
                conv2d(x, weight, Some(bias), ConvOptions::new([1; 2], [1; 2], [1; 2], 1))
            };
            let hidden = activation::leaky_relu(layer(x.clone() / size, "in"), 0.2);
            answers.verdicts.push(layer(hidden.clone(), "out"));
            answers.hidden.push(hidden);
        }
        answers
    }
}

/// The mean over places, counted by (n, 1, s, s) of another size.
fn counted(x: Tensor<4>, counts: &Tensor<4>) -> Tensor<1> {
    let [_, c, h, w] = x.dims();
    let counts = adaptive_avg_pool2d(counts.clone(), [h, w]);
    (x * counts.clone()).sum() / (counts.sum() * c as f32 + 1e-6)
}

/// The mean over the sizes.
fn mean(parts: impl Iterator<Item = Tensor<1>>) -> Tensor<1> {
    let parts: Vec<_> = parts.collect();
    let n = parts.len();
    Tensor::cat(parts, 0).sum() / n as f32
}
