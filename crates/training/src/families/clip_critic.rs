//! The discriminator of clips: four convolutions over space and time and a linear layer answer whether a clip was filmed.

use burn::tensor::{Device, Gradients, Tensor};

use super::layers::held;
use super::rows;
use super::volumes::Volumes;
use crate::leaves::{AdamOptions, Leaves, StepOptions};
use effigy_network::family::random_of;
use effigy_network::family::spacetime::{DOWN_TAPS, Spacetime};
use effigy_network::plan::Param;

/// Channels of its layers.
const WIDTHS: [usize; 4] = [16, 32, 64, 64];

/// A discriminator of clips with its weights.
pub struct ClipCritic {
    leaves: Leaves,
}

/// What it says of clips.
pub struct Verdict {
    /// Above 0 is filmed, below is made: (n, 1).
    pub scores: Tensor<2>,
    /// What its layers answered, (n, frames, c, h, w) each.
    pub features: Vec<Tensor<5>>,
}

impl ClipCritic {
    /// Starts with random weights on a device that records gradients; for clips of `n_frames` frames of `size_px`.
    pub fn new(n_frames: usize, size_px: usize, adam: AdamOptions, seed: u64, device: &Device) -> Self {
        let params = params(n_frames, size_px);
        Self { leaves: Leaves::with_optimizer(rows(random_of(&params, seed)), adam, device) }
    }

    /// Looks at clips (n, frames, 3, s, s) of 0..1. Its weights are constants unless it `learns`.
    pub fn look(&self, clips: Tensor<5>, learns: bool) -> Verdict {
        let n = clips.dims()[0];
        let mut volumes = Volumes::new(&self.leaves, learns);
        let mut features: Vec<Tensor<5>> = Vec::new();
        let mut x = clips * 2.0 - 1.0;
        for (i, c) in WIDTHS.into_iter().enumerate() {
            x = volumes.down(&layer(i), &x, c);
            features.push(x.clone());
        }
        let n_features = x.dims()[1..].iter().product::<usize>();
        let weight: Tensor<2> = held(self.leaves.get(&format!("{LINEAR}.weight")), learns);
        let bias: Tensor<1> = held(self.leaves.get(&format!("{LINEAR}.bias")), learns);
        let scores = x.reshape([n, n_features]).matmul(weight.transpose()) + bias.reshape([1, 1]);
        Verdict { scores, features }
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

const LINEAR: &str = "critic.linear";

fn layer(i: usize) -> String {
    format!("critic.down{}", i + 1)
}

fn params(n_frames: usize, size_px: usize) -> Vec<Param> {
    let param = |layer: &str, what: &str, dims| Param { name: format!("{layer}.{what}"), dims };
    let mut params = Vec::new();
    let mut c_in = 3;
    for (i, c) in WIDTHS.into_iter().enumerate() {
        params.push(param(&layer(i), "weight", vec![c, DOWN_TAPS * c_in, 3, 3]));
        params.push(param(&layer(i), "bias", vec![c]));
        c_in = c;
    }
    let shrink = 1 << WIDTHS.len();
    let n = (n_frames / shrink).max(1) * c_in * (size_px / shrink).pow(2);
    params.push(param(LINEAR, "weight", vec![1, n]));
    params.push(param(LINEAR, "bias", vec![1]));
    params
}
