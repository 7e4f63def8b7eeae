//! A segment in 8 bits by loops of our own, where the processor has VNNI: direct convolutions, each with its residual,
//! activation and rounding at once.
//!
//! The arithmetic is that of [`super::bytes`], but a sum is rounded once, after residual and activation, and the last layers'
//! weights have two bytes, so that they differ from f32 by what their inputs do. Both threads go through all layers and meet
//! after each; no tensor is in f32 but what goes in and out.

use std::collections::BTreeMap;

use super::ranges::{Ranges, Scale};
use super::second::SecondThread;
use super::segment::{Segment, parts};
use crate::plan::{Activation, Op, ParamId, Plan, Shape, TensorId};

use self::loops::Loops;
use self::schedule::{Part, Progress};
use self::tensor::{Memory, Tensor};
use self::tile::{EXACT_LANES, GROUP};
use self::weights::{Given, Packed};

mod avx512;
mod avx_vnni;
mod loops;
mod run;
mod schedule;
mod tensor;
#[cfg(test)]
mod tests;
mod tile;
mod weights;

/// What `max(x, slope x)` leaks.
const LEAKY_SLOPE: f32 = 0.2;

/// Some channels of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Channels {
    tensor: usize,
    first_group: usize,
    n: usize,
}

impl Channels {
    fn n_groups(self) -> usize {
        self.n.div_ceil(GROUP)
    }
}

/// One thing to do, row by row.
#[derive(Debug)]
enum Layer {
    /// Numbers that come in are rounded to bytes.
    Round { input: usize, y: Channels, shape: Shape },
    /// A convolution.
    Convolve(Convolution),
}

#[derive(Debug)]
struct Convolution {
    x: Channels,
    stride: usize,
    /// Of an output row of one phase.
    n_columns: usize,
    n_rows: usize,
    /// One, or four whose outputs lie between each other.
    phases: Vec<Phase>,
    target: Target,
}

#[derive(Debug)]
struct Phase {
    /// From a pixel to those under the kernel, in bytes.
    taps: Vec<isize>,
    packed: Packed,
}

#[derive(Debug)]
enum Target {
    /// In bytes, after `max(v, 0.2 v)`; `n_vectors` vectors of channels at once.
    Bytes { y: Channels, n_vectors: usize, residual: Option<Channels> },
    /// As numbers, few channels.
    Floats { output: usize, n_channels: usize, is_sigmoid: bool },
}

/// The model of a segment.
#[derive(Debug)]
pub(super) struct DirectModel {
    loops: Loops,
    inputs: Vec<Memory<f32>>,
    outputs: Vec<Memory<f32>>,
    tensors: Vec<Tensor>,
    layers: Vec<Layer>,
    parts: Vec<Part>,
}

impl DirectModel {
    /// Makes the model of a segment; `None` where this processor or this module cannot run it: ONNX Runtime can.
    pub(super) fn new(plan: &Plan, segment: &Segment, params: &[&[f32]], ranges: &Ranges) -> Option<Self> {
        let loops = Loops::ALL.into_iter().find(|loops| loops.is_available())?;
        Self::with_loops(loops, plan, segment, params, ranges)
    }

    /// The same with loops that this processor runs.
    fn with_loops(loops: Loops, plan: &Plan, segment: &Segment, params: &[&[f32]], ranges: &Ranges) -> Option<Self> {
        let mut builder = Builder { loops, plan, segment, ranges, params, homes: BTreeMap::new(), written: Vec::new() };
        let mut model = Self {
            loops,
            inputs: segment.inputs.iter().map(|&id| Memory::new(0.0, plan.tensor(id).shape.len())).collect(),
            outputs: segment.outputs.iter().map(|&id| Memory::new(0.0, plan.tensor(id).shape.len())).collect(),
            tensors: Vec::new(),
            layers: Vec::new(),
            parts: Vec::new(),
        };
        for (input, &id) in segment.inputs.iter().enumerate() {
            let shape = plan.tensor(id).shape;
            let y = builder.channels(&mut model.tensors, id)?;
            builder.written.push(id);
            model.layers.push(Layer::Round { input, y, shape });
        }
        for &step in &segment.steps {
            let layer = builder.layer(&mut model.tensors, &plan.steps()[step].1)?;
            model.layers.push(Layer::Convolve(layer));
        }
        // What comes in can be rounded all at once.
        let stages = model.layers.iter().enumerate().map(|(i, layer)| match layer {
            Layer::Round { shape, .. } => (shape.h, 0),
            Layer::Convolve(layer) => (layer.n_rows, i + 1),
        });
        model.parts = schedule::parts(&stages.collect::<Vec<_>>());
        Some(model)
    }

    /// As [`crate::onnx::Session::input_mut`].
    pub(super) fn input_mut(&mut self, index: usize) -> &mut [f32] {
        self.inputs[index].values_mut()
    }

    /// Runs the model from its inputs into its outputs.
    pub(super) fn run(&mut self, second: &SecondThread) {
        let progress = Progress::default();
        let model = &*self;
        second.share(&|_| progress.work(&model.parts, |part| model.run_part(part)));
    }
}

/// What is known of a segment while its model is made.
struct Builder<'a> {
    loops: Loops,
    plan: &'a Plan,
    segment: &'a Segment,
    ranges: &'a Ranges,
    params: &'a [&'a [f32]],
    /// The tensor of each home.
    homes: BTreeMap<TensorId, usize>,
    /// What is in bytes by now.
    written: Vec<TensorId>,
}

impl Builder<'_> {
    /// Where a tensor's channels are; `None` when they begin within a group.
    fn channels(&mut self, tensors: &mut Vec<Tensor>, id: TensorId) -> Option<Channels> {
        let (home, first) = self.plan.home(id);
        let shape = self.plan.tensor(id).shape;
        let first = first / (shape.h * shape.w);
        let (plan, ranges) = (self.plan, self.ranges);
        let tensor = *self.homes.entry(home).or_insert_with(|| {
            tensors.push(Tensor::new(plan.tensor(home).shape, ranges.tensor(plan, home)));
            tensors.len() - 1
        });
        first.is_multiple_of(GROUP).then_some(Channels { tensor, first_group: first / GROUP, n: shape.c })
    }

    /// The same for what is read: it has to be there in bytes, itself or all parts of it.
    fn read(&mut self, tensors: &mut Vec<Tensor>, id: TensorId) -> Option<Channels> {
        let parts = parts(self.plan, id);
        let is_joined = !parts.is_empty() && parts.iter().all(|part| self.written.contains(part));
        (self.written.contains(&id) || is_joined).then(|| self.channels(tensors, id))?
    }

    fn layer(&mut self, tensors: &mut Vec<Tensor>, op: &Op) -> Option<Convolution> {
        let (x, y, weight, bias, residual, activation) = match op {
            Op::Conv2d(op) => (op.x, op.y, op.weight, op.bias, op.residual, op.activation),
            Op::UpConv2d(op) => (op.x, op.y, op.weight, op.bias, op.residual, op.activation),
            _ => return None,
        };
        let (shape, c_in) = (self.plan.tensor(y).shape, self.plan.tensor(x).shape.c);
        let x = self.read(tensors, x)?;
        let output = self.segment.outputs.iter().position(|&output| output == y);
        let n_vectors = self.loops.n_vectors(shape.c);
        let target = match output {
            None if self.ranges.is_in_bytes(self.plan, self.segment, y) && shape.c.is_multiple_of(GROUP) => {
                let residual = match residual {
                    Some(residual) => Some(self.read(tensors, residual)?),
                    None => None,
                };
                self.written.push(y);
                Target::Bytes { y: self.channels(tensors, y)?, n_vectors, residual }
            }
            Some(output)
                if residual.is_none()
                    && shape.c <= EXACT_LANES
                    && matches!(activation, Activation::None | Activation::Sigmoid) =>
            {
                Target::Floats { output, n_channels: shape.c, is_sigmoid: activation == Activation::Sigmoid }
            }
            _ => return None,
        };
        let tensor = &tensors[x.tensor];
        let (pitch, scale) = (tensor.pitch, tensor.scale);
        let (weight, bias) = (self.param(weight), self.param(bias));
        let pack = |weight, n_taps| {
            let given = Given { weight, bias, c_in, n_taps, scale };
            match target {
                Target::Bytes { .. } => given.packed(n_vectors),
                Target::Floats { .. } => given.packed_exactly(),
            }
        };
        let offset = |row: isize, column: isize| row * pitch as isize + column * GROUP as isize;
        let (stride, n_rows, n_columns, phases) = match op {
            Op::Conv2d(op) => {
                let (n, middle) = (op.kernel as isize, (op.kernel / 2) as isize);
                let taps = (0..n * n).map(|tap| offset(tap / n - middle, tap % n - middle)).collect();
                let packed = pack(weight, op.kernel * op.kernel);
                (op.stride, shape.h, shape.w, vec![Phase { taps, packed }])
            }
            _ => {
                let phases = weight.chunks_exact(weight.len() / 4).enumerate().map(|(phase, weight)| {
                    let (a, b) = ((phase / 2) as isize, (phase % 2) as isize);
                    let taps = (0..4).map(|tap| offset(tap / 2 - 1 + a, tap % 2 - 1 + b)).collect();
                    Phase { taps, packed: pack(weight, 4) }
                });
                (1, shape.h / 2, shape.w / 2, phases.collect())
            }
        };
        matches!(stride, 1 | 2).then_some(Convolution { x, stride, n_columns, n_rows, phases, target })
    }

    fn param(&self, id: ParamId) -> &[f32] {
        self.params[id.index()]
    }
}

/// Steps in one, for a scale.
fn per_one(scale: Scale) -> f32 {
    1.0 / scale.step
}
