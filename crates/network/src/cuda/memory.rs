//! Where everything lies on the card.

use super::{of_role, pack, values};
use crate::plan::{Adoption, Element, Layout, Op, Plan, Role, Shape, Tensor, TensorId, UpConv2d};

/// All places begin at a multiple of this many bytes, as fast copies want it.
const ALIGNMENT: usize = 256;

/// Places of a plan's tensors in the arena and of weights and constants in the adopted block, in bytes.
#[derive(Debug)]
pub(super) struct Memory {
    layout: Layout,
    arena_bytes: usize,
    bytes: Vec<usize>,
    /// Constants, by tensor.
    constants: Vec<usize>,
    /// By parameter.
    params: Vec<usize>,
    /// Segments of drawings, by step.
    segments: Vec<usize>,
    fixed: Vec<u8>,
    fixed_offset: usize,
    inputs: Vec<(TensorId, usize)>,
    outputs: Vec<(TensorId, usize)>,
}

/// Bytes of a tensor as the kernels want it: channels of a pixel padded to a multiple of 8.
fn bytes_of(tensor: &Tensor) -> usize {
    let Shape { c, h, w } = tensor.shape;
    match tensor.element {
        Element::Half => 2 * c.next_multiple_of(8) * h * w,
        Element::Exact | Element::Word => 4 * c * h * w,
    }
}

/// Takes `n` bytes at the end of a block.
fn place(end: &mut usize, n: usize) -> usize {
    let at = end.next_multiple_of(ALIGNMENT);
    *end = at + n;
    at
}

impl Memory {
    pub(super) fn new(plan: &Plan) -> Self {
        let bytes: Vec<_> = plan.tensors().iter().map(bytes_of).collect();
        let layout = Layout::sized(plan, bytes_of);
        let mut end = 0;
        let mut constants = vec![0; bytes.len()];
        for id in plan.of_role(Role::Constant) {
            constants[id.index()] = place(&mut end, bytes[id.index()]);
        }
        let mut params = vec![0; plan.params().len()];
        for (_, op) in plan.steps() {
            let Some([weight, bias]) = op.params() else { continue };
            let dims = &plan.params()[weight.index()].dims;
            params[weight.index()] = place(&mut end, 2 * pack::packed_len(dims));
            params[bias.index()] = place(&mut end, 4 * plan.params()[bias.index()].dims[0]);
        }
        let fixed_offset = end.next_multiple_of(ALIGNMENT);
        let mut fixed = Vec::new();
        let mut segments = vec![0; plan.steps().len()];
        for (step, (_, op)) in plan.steps().iter().enumerate() {
            let Op::Raster(raster) = op else { continue };
            fixed.resize(fixed.len().next_multiple_of(ALIGNMENT), 0);
            segments[step] = fixed_offset + fixed.len();
            // The kernel stores a channel when the next one begins.
            let mut sorted = raster.drawing.segments.to_vec();
            sorted.sort_by_key(|segment| segment[2]);
            fixed.extend(sorted.iter().flatten().flat_map(|&number| u32::from(number).to_le_bytes()));
        }
        let staged = |role| {
            let mut end = 0;
            of_role(plan, role).into_iter().map(|id| (id, place(&mut end, bytes[id.index()]))).collect()
        };
        let (inputs, outputs) = (staged(Role::Input), staged(Role::Output));
        let arena_bytes = layout.total_bytes();
        Self { layout, arena_bytes, bytes, constants, params, segments, fixed, fixed_offset, inputs, outputs }
    }

    /// Size of the memory that a frame works in.
    pub(super) fn arena_bytes(&self) -> usize {
        self.arena_bytes
    }

    /// Size of what is adopted, and of what never changes behind it.
    pub(super) fn adopted_bytes(&self) -> usize {
        self.fixed_offset + self.fixed.len().max(ALIGNMENT)
    }

    /// What never changes, and where it begins in the adopted block.
    pub(super) fn fixed(&self) -> &[u8] {
        &self.fixed
    }

    pub(super) fn fixed_offset(&self) -> usize {
        self.fixed_offset
    }

    /// Inputs and where each is staged on the host.
    pub(super) fn inputs(&self) -> impl Iterator<Item = (TensorId, usize)> {
        self.inputs.iter().copied()
    }

    /// Outputs and where each is staged on the host.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (TensorId, usize)> {
        self.outputs.iter().copied()
    }

    pub(super) fn input_bytes(&self) -> usize {
        self.inputs.last().map_or(ALIGNMENT, |&(id, at)| at + self.bytes(id))
    }

    pub(super) fn output_bytes(&self) -> usize {
        self.outputs.last().map_or(ALIGNMENT, |&(id, at)| at + self.bytes(id))
    }

    /// Bytes of a tensor that has memory of its own.
    pub(super) fn bytes(&self, id: TensorId) -> usize {
        self.bytes[id.index()]
    }

    /// Where a tensor that has memory of its own begins in the arena.
    pub(super) fn offset(&self, id: TensorId) -> u64 {
        self.layout.offset_bytes(id).unwrap_or(0) as u64
    }

    /// Channels from one pixel of a tensor to the next, in elements: those of the concatenation that it is a part of.
    pub(super) fn pitch(&self, plan: &Plan, id: TensorId) -> u32 {
        let (home, _) = plan.home(id);
        plan.tensor(home).shape.c.next_multiple_of(8) as u32
    }

    /// Where the first element of a tensor is.
    pub(super) fn address(&self, plan: &Plan, id: TensorId, arena: u64, adopted: u64) -> u64 {
        let tensor = plan.tensor(id);
        if tensor.role == Role::Constant {
            return adopted + self.constants[id.index()] as u64;
        }
        let (home, first) = plan.home(id);
        let Shape { h, w, .. } = tensor.shape;
        let inside = match tensor.element {
            Element::Half => 2 * (first / (h * w)),
            Element::Exact | Element::Word => 4 * first,
        };
        arena + self.offset(home) + inside as u64
    }

    /// Where a convolution's weights and biases are.
    pub(super) fn param(&self, id: crate::plan::ParamId, adopted: u64) -> u64 {
        adopted + self.params[id.index()] as u64
    }

    /// Where the segments are that a step draws.
    pub(super) fn segments(&self, step: usize, adopted: u64) -> u64 {
        adopted + self.segments[step] as u64
    }

    /// Whether 16-byte copies can read a convolution's input. A part of a concatenation may begin anywhere.
    pub(super) fn is_whole(&self, plan: &Plan, id: TensorId) -> bool {
        let Shape { h, w, .. } = plan.tensor(id).shape;
        (plan.home(id).1 / (h * w)).is_multiple_of(8)
    }

    /// Everything that one identity brings, as the card wants it.
    pub(super) fn pack(&self, plan: &Plan, adoption: &Adoption) -> Vec<u8> {
        let mut packed = vec![0; self.fixed_offset];
        for (id, values) in plan.of_role(Role::Constant).zip(&adoption.constants) {
            let to = &mut packed[self.constants[id.index()]..][..self.bytes(id)];
            values::encode(plan.tensor(id), self.pitch(plan, id), *values, to);
        }
        for (_, op) in plan.steps() {
            let Some([weight, bias]) = op.params() else { continue };
            let x = match *op {
                Op::Conv2d(conv) => conv.x,
                Op::UpConv2d(UpConv2d { x, .. }) => x,
                Op::Linear(_) | Op::Warp(_) | Op::Motion(_) | Op::Raster(_) | Op::Finish(_) => continue,
            };
            let dims = &plan.params()[weight.index()].dims;
            let to = &mut packed[self.params[weight.index()]..][..2 * pack::packed_len(dims)];
            pack::pack(dims, adoption.params[weight.index()], self.is_whole(plan, x), to);
            let to = &mut packed[self.params[bias.index()]..];
            for (to, value) in to.chunks_exact_mut(4).zip(adoption.params[bias.index()]) {
                to.copy_from_slice(&value.to_le_bytes());
            }
        }
        packed
    }
}
