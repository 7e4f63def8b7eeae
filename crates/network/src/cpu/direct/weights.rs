//! Weights in bytes, in the order in which the inner loops read them.

use super::tile::{EXACT_LANES, GROUP, LANES, Line, SECOND_STEPS};
use crate::cpu::ranges::Scale;

/// The weights of one phase of a convolution, and what turns their sums into numbers.
#[derive(Debug)]
pub(super) struct Packed {
    /// `[block][tap][group][vector]`: a block is as many channels as a tile makes at once.
    pub(super) lines: Vec<Line>,
    /// By output channel, up to whole vectors: a sum counts this much.
    pub(super) multipliers: Vec<f32>,
    /// What is added then: the bias, less what the input's zero brings into the sum.
    pub(super) offsets: Vec<f32>,
}

/// Weights `[c_out, c_in, taps]` as they come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    pub(super) weight: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) c_in: usize,
    pub(super) n_taps: usize,
    /// Of the input.
    pub(super) scale: Scale,
}

impl Given<'_> {
    fn n_groups(&self) -> usize {
        self.c_in.div_ceil(GROUP)
    }

    /// The weights of an output channel, and how much one step of theirs is.
    fn channels(&self) -> impl Iterator<Item = (usize, &[f32], f32, f32)> {
        let taps = self.weight.chunks_exact(self.c_in * self.n_taps).zip(self.bias).enumerate();
        taps.map(|(o, (taps, &bias))| (o, taps, bias, self.scale.step_of_taps(taps, bias)))
    }

    /// One byte a weight, `n_vectors` vectors a block.
    pub(super) fn packed(&self, n_vectors: usize) -> Packed {
        let n_blocks = self.bias.len().div_ceil(n_vectors * LANES);
        let n_lines = self.n_taps * self.n_groups() * n_vectors;
        let mut packed = Packed::new(n_blocks * n_lines, n_blocks * n_vectors * LANES);
        for (o, taps, bias, step) in self.channels() {
            let (block, lane) = (o / (n_vectors * LANES), o % (n_vectors * LANES));
            let mut sum = 0;
            for (i, tap) in taps.iter().enumerate() {
                let byte = (tap / step).round() as i8;
                sum += i32::from(byte);
                packed.put(block * n_lines + self.line(i, n_vectors) + lane / LANES, lane % LANES, self.byte(i), byte);
            }
            packed.multipliers[o] = step * self.scale.step;
            packed.offsets[o] = bias - packed.multipliers[o] * f32::from(self.scale.zero) * sum as f32;
        }
        packed
    }

    /// Two bytes a weight, in the lower and the upper lanes of one vector: at most [`EXACT_LANES`] output channels.
    pub(super) fn packed_exactly(&self) -> Packed {
        let mut packed = Packed::new(self.n_taps * self.n_groups(), LANES);
        for (o, taps, bias, step) in self.channels() {
            let mut sum = 0.0;
            for (i, tap) in taps.iter().enumerate() {
                let first = (tap / step).round();
                let second = ((tap / step - first) * SECOND_STEPS).round();
                sum += first + second / SECOND_STEPS;
                packed.put(self.line(i, 1), o, self.byte(i), first as i8);
                packed.put(self.line(i, 1), o + EXACT_LANES, self.byte(i), second as i8);
            }
            packed.multipliers[o] = step * self.scale.step;
            packed.offsets[o] = bias - packed.multipliers[o] * f32::from(self.scale.zero) * sum;
        }
        packed
    }

    /// The first line of weight `i` of an output channel, `[c_in, taps]`.
    fn line(&self, i: usize, n_vectors: usize) -> usize {
        let (channel, tap) = (i / self.n_taps, i % self.n_taps);
        (tap * self.n_groups() + channel / GROUP) * n_vectors
    }

    /// Its place among the channels of its group.
    fn byte(&self, i: usize) -> usize {
        i / self.n_taps % GROUP
    }
}

impl Packed {
    fn new(n_lines: usize, n_lanes: usize) -> Self {
        Self { lines: vec![Line([0; 64]); n_lines], multipliers: vec![0.0; n_lanes], offsets: vec![0.0; n_lanes] }
    }

    fn put(&mut self, line: usize, lane: usize, byte: usize, value: i8) {
        self.lines[line].0[lane * GROUP + byte] = value;
    }
}
