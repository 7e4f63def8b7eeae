//! Networks over space and time with gradients, for any number of clips at once.

use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use super::layers::{activate, held};
use crate::leaves::Leaves;
use crate::replay::convolve_phases;
use effigy_network::family::spacetime::{DOWN_TAPS, Spacetime, UP_TAPS};
use effigy_network::plan::Activation;

/// Weights that stand in the layers of a network over space and time.
pub struct Volumes<'a> {
    leaves: &'a Leaves,
    learns: bool,
}

impl<'a> Volumes<'a> {
    /// Takes the weights; they are constants unless they `learn`.
    pub fn new(leaves: &'a Leaves, learns: bool) -> Self {
        Self { leaves, learns }
    }
}

impl Spacetime for Volumes<'_> {
    /// (n, frames, c, h, w).
    type Clip = Tensor<5>;

    fn down(&mut self, layer: &str, x: &Tensor<5>, _: usize) -> Tensor<5> {
        let [n, n_frames, ..] = x.dims();
        // Frame t reads 2 t − 1, 2 t and 2 t + 1: as channels of one picture.
        let x = neighbours(padded(x), DOWN_TAPS, 2, n_frames / 2);
        let bias = held(self.leaves.get(&format!("{layer}.bias")), self.learns);
        let weight = held(self.leaves.get(&format!("{layer}.weight")), self.learns);
        let y = conv2d(x, weight, Some(bias), ConvOptions::new([2; 2], [1; 2], [1; 2], 1));
        clips(activate(y, Activation::Leaky), n)
    }

    fn up(&mut self, layer: &str, x: &Tensor<5>, _: usize, activation: Activation) -> Tensor<5> {
        let [n, n_frames, ..] = x.dims();
        let weight: Tensor<5> = held(self.leaves.get(&format!("{layer}.weight")), self.learns);
        let bias: Tensor<1> = held(self.leaves.get(&format!("{layer}.bias")), self.learns);
        // With a frame of zeros on each side: an even frame reads t − 1 and t, an odd one t and t + 1.
        let padded = padded(x);
        let halves = [0, 1].map(|odd| {
            let x = padded.clone().narrow(1, odd, n_frames + 1);
            let x = neighbours(x, UP_TAPS, 1, n_frames);
            let y = convolve_phases(x, weight.clone().narrow(0, 4 * odd, 4), bias.clone());
            let [_, c, h, w] = y.dims();
            y.reshape([n, n_frames, 1, c * h, w])
        });
        let [even, odd] = halves;
        let both: Tensor<5> = Tensor::cat(vec![even, odd], 2);
        let [_, _, _, _, w] = both.dims();
        let [c_out, h] = [bias.dims()[0], 2 * x.dims()[3]];
        activate(both.reshape([n, 2 * n_frames, c_out, h, w]), activation)
    }

    fn join(&mut self, _: &str, first: &Tensor<5>, second: &Tensor<5>) -> Tensor<5> {
        Tensor::cat(vec![first.clone(), second.clone()], 2)
    }
}

/// Clips with a frame of zeros on both sides.
fn padded(x: &Tensor<5>) -> Tensor<5> {
    let [n, _, c, h, w] = x.dims();
    let nothing = Tensor::zeros([n, 1, c, h, w], &x.device());
    Tensor::cat(vec![nothing.clone(), x.clone(), nothing], 1)
}

/// Of each `stride`-th frame, `n_taps` that follow each other as the channels of one picture: (n · `n_frames`, taps · c, h, w).
fn neighbours(x: Tensor<5>, n_taps: usize, stride: usize, n_frames: usize) -> Tensor<4> {
    let [n, _, c, h, w] = x.dims();
    let tap = |tap: usize| {
        // Where the last group of frames is not whole, what is beyond is not read.
        let all: Tensor<5> = x.clone().narrow(1, tap, stride * (n_frames - 1) + 1);
        match stride {
            1 => all,
            _ => {
                let frames = (0..n_frames).map(|t| all.clone().narrow(1, stride * t, 1)).collect();
                Tensor::cat(frames, 1)
            }
        }
    };
    let together: Tensor<5> = Tensor::cat((0..n_taps).map(tap).collect(), 2);
    together.reshape([n * n_frames, n_taps * c, h, w])
}

/// Pictures of `n` clips, (n · frames, c, h, w), as clips.
pub fn clips(pictures: Tensor<4>, n: usize) -> Tensor<5> {
    let [all, c, h, w] = pictures.dims();
    pictures.reshape([n, all / n.max(1), c, h, w])
}

/// Clips whose frames' channels lie behind each other, (n, frames · c, h, w).
pub fn folded(clips: Tensor<5>) -> Tensor<4> {
    let [n, n_frames, c, h, w] = clips.dims();
    clips.reshape([n, n_frames * c, h, w])
}

/// The other way round: colours of clips whose frames lie behind each other.
pub fn unfolded(pictures: Tensor<4>) -> Tensor<5> {
    let [n, channels, h, w] = pictures.dims();
    pictures.reshape([n, channels / 3, 3, h, w])
}
