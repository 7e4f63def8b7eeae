//! Where everything of a plan lies in the device's buffers.

use super::kernels::Precision;
use super::pack::Packing;
use super::values;
use crate::plan::{Adoption, Element, Layout, Op, ParamId, Plan, Role, TensorId};

/// Tensors begin at multiples of this many bytes in buffers that are copied to and from.
const ALIGNMENT: usize = 256;

/// Which buffer holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// Tensors of [`Element::Half`].
    Halves,
    /// Tensors of [`Element::Exact`] and [`Element::Word`].
    Words,
    /// Weights of all layers.
    Weights,
    /// Biases of all layers.
    Biases,
}

/// Everything that one identity brings, as the device wants it.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub(super) bytes: Vec<u8>,
    pub(super) parts: Vec<PackedPart>,
}

/// A piece of [`Packed`] and where it goes, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedPart {
    pub(super) from: usize,
    pub(super) len: usize,
    pub(super) to: Store,
    pub(super) offset: usize,
}

/// The places of one plan.
///
/// Tensors share memory as [`Layout`] says, in two buffers with the same offsets: a device may not see one buffer as
/// halves and as words while it writes to it. Behind the arena follow the constants, and what is drawn, as words.
#[derive(Debug)]
pub(super) struct Memory {
    precision: Precision,
    stores: Vec<Store>,
    offsets_bytes: Vec<usize>,
    packings: Vec<Packing>,
    /// Segments of each step, in words, and where they lie.
    drawings: Vec<(usize, Vec<u32>)>,
    halves_bytes: usize,
    words_bytes: usize,
    weights_bytes: usize,
    biases_bytes: usize,
}

impl Memory {
    pub(super) fn new(plan: &Plan, precision: Precision) -> Self {
        let layout = Layout::new(plan, precision.bytes());
        let stores: Vec<_> = plan
            .tensors()
            .iter()
            .map(|tensor| if tensor.element == Element::Half { Store::Halves } else { Store::Words })
            .collect();
        let mut memory = Self {
            precision,
            stores,
            offsets_bytes: Vec::new(),
            packings: Vec::new(),
            drawings: Vec::new(),
            halves_bytes: ALIGNMENT,
            words_bytes: ALIGNMENT,
            weights_bytes: 0,
            biases_bytes: 0,
        };
        // Each buffer ends with its last tensor of the arena, then come the constants.
        memory.offsets_bytes = ids(plan).map(|id| layout.offset_bytes(id).unwrap_or(0)).collect();
        for id in ids(plan).filter(|&id| plan.tensor(id).role != Role::Constant) {
            let end = memory.offset_bytes(id) + memory.padded_bytes(plan, id);
            let total = memory.total_mut(memory.store(id));
            *total = (*total).max(end.next_multiple_of(ALIGNMENT));
        }
        for id in plan.of_role(Role::Constant) {
            let bytes = memory.padded_bytes(plan, id).next_multiple_of(ALIGNMENT);
            let total = memory.total_mut(memory.store(id));
            let offset = *total;
            *total += bytes;
            memory.offsets_bytes[id.index()] = offset;
        }
        for (_, op) in plan.steps() {
            let mut segments = Vec::new();
            if let Op::Raster(op) = op {
                let mut sorted = op.drawing.segments.to_vec();
                // The kernel wants them by channel.
                sorted.sort_by_key(|&[_, _, channel]| channel);
                segments = sorted.into_iter().flatten().map(u32::from).collect();
            }
            let offset = memory.words_bytes;
            memory.words_bytes += (4 * segments.len()).next_multiple_of(ALIGNMENT);
            memory.drawings.push((offset, segments));
        }
        memory.place_params(plan);
        memory
    }

    fn place_params(&mut self, plan: &Plan) {
        let mut n_fours = 0;
        let mut n_biases = 0;
        self.packings = vec![Packing::Bias { first: 0 }; plan.params().len()];
        for (_, op) in plan.steps() {
            let Some([weight, bias]) = op.params() else { continue };
            let dims = &plan.params()[weight.index()].dims;
            let (groups, dims) = if matches!(op, Op::UpConv2d(_)) { (dims[0], &dims[1..]) } else { (1, &dims[..]) };
            let (c_out, taps) = (dims[0], dims[1..].iter().product());
            self.packings[weight.index()] = Packing::Weight { first_four: n_fours, groups, c_out, taps };
            n_fours += groups * taps * c_out.div_ceil(4);
            self.packings[bias.index()] = Packing::Bias { first: n_biases };
            n_biases += c_out;
        }
        self.weights_bytes = (n_fours * 4 * self.precision.bytes()).max(ALIGNMENT);
        self.biases_bytes = (n_biases * 4).max(ALIGNMENT);
    }

    fn total_mut(&mut self, store: Store) -> &mut usize {
        match store {
            Store::Halves => &mut self.halves_bytes,
            Store::Words => &mut self.words_bytes,
            Store::Weights => &mut self.weights_bytes,
            Store::Biases => &mut self.biases_bytes,
        }
    }

    /// Size of a buffer.
    pub(super) fn total_bytes(&self, store: Store) -> usize {
        match store {
            Store::Halves => self.halves_bytes,
            Store::Words => self.words_bytes,
            Store::Weights => self.weights_bytes,
            Store::Biases => self.biases_bytes,
        }
    }

    /// The buffer of a tensor.
    pub(super) fn store(&self, id: TensorId) -> Store {
        self.stores[id.index()]
    }

    /// Where a tensor begins in its buffer.
    pub(super) fn offset_bytes(&self, id: TensorId) -> usize {
        self.offsets_bytes[id.index()]
    }

    /// The first element of a tensor in its buffer, as kernels count.
    pub(super) fn first(&self, id: TensorId) -> u32 {
        (self.offset_bytes(id) / self.element_bytes(id)) as u32
    }

    /// Where the weights of a layer begin, in fours, or its bias, in elements.
    pub(super) fn param(&self, id: ParamId) -> u32 {
        self.packings[id.index()].first() as u32
    }

    /// The segments that a step draws, in words, and where they lie in the buffer of words, in bytes.
    pub(super) fn drawing(&self, step: usize) -> (usize, &[u32]) {
        let (offset, segments) = &self.drawings[step];
        (*offset, segments)
    }

    /// Bytes of one element of a tensor.
    pub(super) fn element_bytes(&self, id: TensorId) -> usize {
        if self.store(id) == Store::Halves { self.precision.bytes() } else { 4 }
    }

    /// Bytes of a tensor, as copies want them: whole words. What is beyond belongs to no other.
    pub(super) fn padded_bytes(&self, plan: &Plan, id: TensorId) -> usize {
        (plan.tensor(id).shape.len() * self.element_bytes(id)).next_multiple_of(4)
    }

    /// Packs everything that one identity brings.
    pub(super) fn pack(&self, plan: &Plan, adoption: &Adoption) -> Packed {
        let mut packed = Packed::default();
        for (packing, values) in self.packings.iter().zip(&adoption.params) {
            let from = packed.bytes.len();
            packing.encode(values, self.precision, &mut packed.bytes);
            let (to, offset) = match packing {
                Packing::Weight { first_four, .. } => (Store::Weights, first_four * 4 * self.precision.bytes()),
                Packing::Bias { first } => (Store::Biases, 4 * first),
            };
            packed.parts.push(PackedPart { from, len: packed.bytes.len() - from, to, offset });
        }
        for (id, values) in plan.of_role(Role::Constant).zip(&adoption.constants) {
            let from = packed.bytes.len();
            values::encode(*values, self.element_bytes(id), |_, block| packed.bytes.extend_from_slice(block));
            let (to, offset) = (self.store(id), self.offset_bytes(id));
            packed.parts.push(PackedPart { from, len: packed.bytes.len() - from, to, offset });
        }
        packed
    }
}

fn ids(plan: &Plan) -> impl Iterator<Item = TensorId> {
    (0..plan.tensors().len()).map(TensorId)
}
