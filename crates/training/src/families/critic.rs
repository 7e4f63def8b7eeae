//! The discriminator of the families: four convolutions and three linear layers answer whether a picture is a photo.

use burn::tensor::{Device, Gradients, Tensor, activation};

use super::layers::replay;
use super::rows;
use crate::leaves::{AdamOptions, Leaves, StepOptions};
use effigy_network::family;
use effigy_network::plan::{Activation, ConvSpec, Element, Plan, Recorder, Shape};

/// A discriminator with its weights.
pub struct Critic {
    plan: Plan,
    leaves: Leaves,
}

impl Critic {
    /// Starts with random weights on a device that records gradients; for pictures of `size_px`.
    pub fn new(size_px: usize, adam: AdamOptions, seed: u64, device: &Device) -> Self {
        let plan = plan(size_px);
        Self { leaves: Leaves::with_optimizer(rows(family::random(&[&plan], seed)), adam, device), plan }
    }

    /// How surely pictures (n, 3, s, s) are photos, (n, 1): above 0 is photo, below is made. Its weights are constants
    /// unless it `learns`.
    pub fn scores(&self, pictures: Tensor<4>, learns: bool) -> Tensor<2> {
        let n = pictures.dims()[0];
        let answers = replay(&self.plan, &self.leaves, pictures * 2.0 - 1.0, learns).into_iter().next();
        answers.map_or_else(|| Tensor::zeros([n, 1], self.leaves.device()), |scores| scores.reshape([n, 1]))
    }

    /// Follows the gradients by one step.
    pub fn step(&mut self, gradients: Gradients, rate: f64) {
        self.leaves.step(gradients, &StepOptions { rate, max_norm: 5.0, averaging: 0.0 });
    }

    /// What a checkpoint keeps.
    pub fn leaves(&self) -> &Leaves {
        &self.leaves
    }

    /// What a checkpoint restores.
    pub fn leaves_mut(&mut self) -> &mut Leaves {
        &mut self.leaves
    }
}

/// −log of the probability that scores stand for, meaned.
pub fn surprise(scores: Tensor<2>) -> Tensor<1> {
    activation::softplus(-scores, 1.0).mean()
}

fn plan(size_px: usize) -> Plan {
    let mut r = Recorder::new(format!("critic {size_px}"));
    let mut x = r.input("picture", Shape::new(3, size_px, size_px), Element::Half);
    for (i, c) in [24, 48, 64, 64].into_iter().enumerate() {
        x = r.conv2d(&format!("critic.conv{}", i + 1), x, ConvSpec::new(c).stride(2));
    }
    for (i, c) in [128, 32].into_iter().enumerate() {
        x = r.linear(&format!("critic.linear{}", i + 1), x, Shape::new(c, 1, 1), Activation::Leaky);
    }
    let y = r.linear("critic.linear3", x, Shape::new(1, 1, 1), Activation::None);
    r.output(y);
    r.end()
}
