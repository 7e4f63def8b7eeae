//! A part of a plan that becomes one ONNX model: its steps, and what its tensors are called.

use crate::plan::{Activation, Conv2d, Op, Plan, Shape, TensorId, UpConv2d};

/// One model: some steps of a plan, and what goes in and out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Steps of the plan, convolutions and linear layers all.
    pub steps: Vec<usize>,
    /// What others write and this reads.
    pub inputs: Vec<TensorId>,
    /// What this writes and others read.
    pub outputs: Vec<TensorId>,
    /// Which of the outputs are left in phases: see `is_left_in_phases`.
    pub in_phases: Vec<bool>,
}

/// Whether an upsampling convolution that ends a segment is left as its four phases, (4 c, h + 1, w + 1): one 2×2
/// convolution of the padded picture makes them all, and who copies the output can interleave them on the way.
pub(super) fn is_left_in_phases(plan: &Plan, steps: &[usize], y: TensorId) -> bool {
    let reads_it = |&step: &usize| plan.steps()[step].1.reads().any(|id| id == y || plan.home(y).0 == id);
    let is_bare = steps
        .iter()
        .any(|&step| matches!(plan.steps()[step].1, Op::UpConv2d(UpConv2d { residual: None, y: up, .. }) if up == y));
    is_bare && !steps.iter().any(reads_it)
}

/// The parts of a concatenation, in the order of their channels, which need not be that in which they are made; none for
/// any other tensor.
pub fn parts(plan: &Plan, id: TensorId) -> Vec<TensorId> {
    let tensors = plan.tensors().iter().enumerate();
    let of_it = tensors.filter_map(|(i, tensor)| tensor.parent.filter(|(whole, _)| *whole == id).map(|at| (at.1, i)));
    let mut parts: Vec<(usize, usize)> = of_it.collect();
    parts.sort_unstable();
    parts.into_iter().map(|(_, i)| TensorId::at(i)).collect()
}

/// What models call a tensor.
pub fn name(id: TensorId) -> String {
    format!("t{}", id.index())
}

/// A tensor's extents as ONNX counts them: picture, channels, rows, columns.
pub fn dims(shape: Shape) -> [usize; 4] {
    [1, shape.c, shape.h, shape.w]
}

/// Whether the step of a segment that writes `y` runs in 8 bits: all leaky ones, but for one whose phases the executor
/// interleaves. The others are the last of their network, few and exact.
pub(super) fn is_in_bytes(plan: &Plan, segment: &Segment, y: TensorId) -> bool {
    let is_in_phases = segment.outputs.iter().zip(&segment.in_phases).any(|(&output, &is)| output == y && is);
    let is_leaky = |step: &usize| match plan.steps()[*step].1 {
        Op::Conv2d(Conv2d { y: writes, activation, .. }) | Op::UpConv2d(UpConv2d { y: writes, activation, .. }) => {
            writes == y && activation == Activation::Leaky
        }
        _ => false,
    };
    !is_in_phases && segment.steps.iter().any(is_leaky)
}

/// What a convolution adds to its sum.
pub(super) fn residual(op: &Op) -> Option<TensorId> {
    match op {
        Op::Conv2d(op) => op.residual,
        Op::UpConv2d(op) => op.residual,
        _ => None,
    }
}

/// What of a step is watched besides the model's outputs, by the tensor that the step writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// The convolution's sum.
    Sum,
    /// The sum with the residual.
    Total,
    /// What the step writes.
    Tensor,
}

impl Watched {
    /// What it is called in the model.
    pub(super) fn name(self, id: TensorId) -> String {
        match self {
            Self::Sum => format!("sum{}", id.index()),
            Self::Total => format!("total{}", id.index()),
            Self::Tensor => name(id),
        }
    }
}

/// What the model of a segment shows in `Form::Watched`, in order, after its outputs.
pub(super) fn watched(plan: &Plan, segment: &Segment) -> Vec<(Watched, TensorId)> {
    let mut all = Vec::new();
    for &step in &segment.steps {
        let op = &plan.steps()[step].1;
        let y = op.writes();
        if is_in_bytes(plan, segment, y) {
            all.push((Watched::Sum, y));
            if residual(op).is_some() {
                all.push((Watched::Total, y));
            }
        }
        if !segment.outputs.contains(&y) {
            all.push((Watched::Tensor, y));
        }
    }
    all
}
