//! What examples showed of a plan's activations, and the scales of bytes that follow from it.

use std::collections::BTreeSet;

use super::ladder::Rung;
use super::segment::{self, Segment, Watched, watched};
use crate::plan::{Plan, TensorId};

/// The least and the largest of all values seen, and zero, which every padding holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Range {
    least: f32,
    most: f32,
}

impl Range {
    fn see(&mut self, values: &[f32]) {
        for &value in values {
            self.least = self.least.min(value);
            self.most = self.most.max(value);
        }
    }

    fn scale(self) -> Scale {
        // What never moved from zero still needs a step.
        let step = ((self.most - self.least) / 255.0).max(1e-9);
        Scale { step, zero: (-self.least / step).round() as u8 }
    }
}

/// All that a watched model shows, in the order of its outputs.
pub(super) fn shown(plan: &Plan, segment: &Segment) -> impl Iterator<Item = (Watched, TensorId)> {
    segment.outputs.iter().map(|&id| (Watched::Tensor, id)).chain(watched(plan, segment))
}

/// How bytes stand for numbers: `number = step * (byte - zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub step: f32,
    pub zero: u8,
}

impl Scale {
    /// How bytes stand for the weights of one output channel that reads numbers of this scale.
    pub fn step_of_taps(self, taps: &[f32], bias: f32) -> f32 {
        let largest = taps.iter().fold(0.0_f32, |largest, tap| largest.max(tap.abs()));
        // The bias counts in steps of the product; a channel of nearly no weight must not overflow it.
        (largest / 127.0).max(bias.abs() / (self.step * 1e9)).max(1e-12)
    }
}

/// The ranges of a plan's activations, and which of its steps run in bytes.
#[derive(Clone, Debug)]
pub struct Ranges {
    /// By tensor; a concatenation and its parts share one, so that joining them moves bytes only.
    tensors: Vec<Range>,
    /// By the tensor that the step writes.
    sums: Vec<Range>,
    totals: Vec<Range>,
    /// What the steps that stay in f32 write.
    kept: BTreeSet<TensorId>,
}

impl Ranges {
    /// Nothing seen yet, and all in bytes that can be.
    pub(super) fn new(plan: &Plan) -> Self {
        let none = vec![Range::default(); plan.tensors().len()];
        Self { tensors: none.clone(), sums: none.clone(), totals: none, kept: BTreeSet::new() }
    }

    /// Sets what was seen of a tensor.
    #[cfg(test)]
    pub(super) fn set(&mut self, id: TensorId, (least, most): (f32, f32)) {
        self.tensors[id.index()] = Range { least, most };
    }

    /// Takes in what a watched model read of a tensor.
    pub(super) fn see_input(&mut self, plan: &Plan, id: TensorId, values: &[f32]) {
        self.tensors[plan.home(id).0.index()].see(values);
    }

    /// Takes in what a run of a watched model left in one of its [`shown`].
    pub(super) fn see_output(&mut self, plan: &Plan, (what, id): (Watched, TensorId), values: &[f32]) {
        let range = match what {
            Watched::Sum => &mut self.sums[id.index()],
            Watched::Total => &mut self.totals[id.index()],
            Watched::Tensor => &mut self.tensors[plan.home(id).0.index()],
        };
        range.see(values);
    }

    /// Keeps in f32 what `rung` says.
    pub(super) fn keep(&mut self, rung: Rung, plan: &Plan) {
        let kept = plan.steps().iter().filter(|(layer, _)| rung.keeps(layer));
        self.kept = kept.map(|(_, op)| op.writes()).collect();
    }

    /// Whether the step of a segment that writes `y` runs in bytes.
    pub(super) fn is_in_bytes(&self, plan: &Plan, segment: &Segment, y: TensorId) -> bool {
        !self.kept.contains(&y) && segment::is_in_bytes(plan, segment, y)
    }

    /// How bytes stand for the numbers of a tensor.
    pub fn tensor(&self, plan: &Plan, id: TensorId) -> Scale {
        self.tensors[plan.home(id).0.index()].scale()
    }

    /// The same for the sum of the step that writes `y`.
    pub fn sum(&self, y: TensorId) -> Scale {
        self.sums[y.index()].scale()
    }

    /// The same for its sum with the residual.
    pub fn total(&self, y: TensorId) -> Scale {
        self.totals[y.index()].scale()
    }
}
