//! Where everything of a plan lies in the device's buffers, and how values get into that form.

use half::f16;

use super::kernels::Precision;
use crate::generate::plan::{Element, Layout, Op, ParamId, Plan, Role, TensorId};

/// Tensors begin at multiples of this many bytes in buffers that are copied to and from.
const ALIGNMENT: usize = 256;

/// Which buffer holds a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// Of [`Element::Half`].
    Halves,
    /// Of [`Element::Exact`] and [`Element::Word`].
    Words,
}

/// How a parameter is laid out on the device.
#[derive(Clone, Copy, Debug)]
enum Packing {
    /// `[groups, c_out, taps]` as `[groups, taps, c_out padded to 4]` halves, from this multiple of four on.
    Weight { first_four: usize, groups: usize, c_out: usize, taps: usize },
    /// As it is, from this element on.
    Bias { first: usize },
}

/// The places of one plan.
///
/// Tensors share memory as [`Layout`] says, in two buffers with the same offsets: a device may not see one buffer as
/// halves and as words while it writes to it. Behind the arena follow the constants, and what is drawn, as words.
#[derive(Debug)]
pub(super) struct Places {
    precision: Precision,
    stores: Vec<Store>,
    offsets_bytes: Vec<usize>,
    packings: Vec<Packing>,
    /// Segments of each step, in words, and where they lie.
    drawings: Vec<(usize, Vec<u32>)>,
    pub(super) halves_bytes: usize,
    pub(super) words_bytes: usize,
    pub(super) weights_bytes: usize,
    pub(super) biases_bytes: usize,
}

impl Places {
    pub(super) fn new(plan: &Plan, precision: Precision) -> Self {
        let layout = Layout::new(plan, precision.bytes());
        let stores: Vec<_> = plan
            .tensors()
            .iter()
            .map(|tensor| if tensor.element == Element::Half { Store::Halves } else { Store::Words })
            .collect();
        let mut places = Self {
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
        places.offsets_bytes = ids(plan).map(|id| layout.offset_bytes(id).unwrap_or(0)).collect();
        for id in ids(plan).filter(|&id| plan.tensor(id).role != Role::Constant) {
            let end = places.offset_bytes(id) + places.padded_bytes(plan, id);
            let total = places.total_mut(places.store(id));
            *total = (*total).max(end.next_multiple_of(ALIGNMENT));
        }
        for id in plan.of_role(Role::Constant) {
            let bytes = places.padded_bytes(plan, id).next_multiple_of(ALIGNMENT);
            let total = places.total_mut(places.store(id));
            let offset = *total;
            *total += bytes;
            places.offsets_bytes[id.index()] = offset;
        }
        for (_, op) in plan.steps() {
            let mut segments = Vec::new();
            if let Op::Raster(op) = op {
                let mut sorted = op.drawing.segments.to_vec();
                // The kernel wants them by channel.
                sorted.sort_by_key(|&[_, _, channel]| channel);
                segments = sorted.into_iter().flatten().map(u32::from).collect();
            }
            let offset = places.words_bytes;
            places.words_bytes += (4 * segments.len()).next_multiple_of(ALIGNMENT);
            places.drawings.push((offset, segments));
        }
        places.pack(plan);
        places
    }

    fn pack(&mut self, plan: &Plan) {
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

    /// Where the weights of a layer begin, in fours.
    pub(super) fn weight(&self, id: ParamId) -> u32 {
        match self.packings[id.index()] {
            Packing::Weight { first_four, .. } => first_four as u32,
            Packing::Bias { first } => first as u32,
        }
    }

    /// Where the bias of a layer begins.
    pub(super) fn bias(&self, id: ParamId) -> u32 {
        self.weight(id)
    }

    /// The segments that a step draws, in words, and where they lie in the buffer of words, in bytes.
    pub(super) fn drawing(&self, step: usize) -> (usize, &[u32]) {
        let (offset, segments) = &self.drawings[step];
        (*offset, segments)
    }

    /// Bytes of one element of a tensor.
    pub(super) fn element_bytes(&self, id: TensorId) -> usize {
        match self.store(id) {
            Store::Halves => self.precision.bytes(),
            Store::Words => 4,
        }
    }

    /// Bytes of a tensor, as copies want them: whole words. What is beyond belongs to no other.
    pub(super) fn padded_bytes(&self, plan: &Plan, id: TensorId) -> usize {
        (plan.tensor(id).shape.len() * self.element_bytes(id)).next_multiple_of(4)
    }

    /// Appends a parameter in the device's form; answers whether it is a bias and where it lies, in bytes.
    pub(super) fn encode_param(&self, id: usize, values: &[f32], bytes: &mut Vec<u8>) -> (bool, usize) {
        match self.packings[id] {
            Packing::Bias { first } => {
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                (true, 4 * first)
            }
            Packing::Weight { first_four, groups, c_out, taps } => {
                for group in 0..groups {
                    let values = &values[group * c_out * taps..][..c_out * taps];
                    for tap in 0..taps {
                        for o in 0..c_out.next_multiple_of(4) {
                            let value = if o < c_out { values[o * taps + tap] } else { 0.0 };
                            match self.precision {
                                Precision::F16 => bytes.extend(f16::from_f32(value).to_le_bytes()),
                                Precision::F32 => bytes.extend(value.to_le_bytes()),
                            }
                        }
                    }
                }
                (false, first_four * 4 * self.precision.bytes())
            }
        }
    }
}

fn ids(plan: &Plan) -> impl Iterator<Item = TensorId> {
    (0..plan.tensors().len()).map(TensorId)
}

/// Writes numbers behind each other with `write(offset, bytes)`, a few at a time; allocates nothing. What is missing of
/// the last word is zero.
pub(super) fn encode<T: Copy, const N: usize>(
    values: &[T],
    each: impl Fn(T) -> [u8; N],
    mut write: impl FnMut(usize, &[u8]),
) {
    let mut block = [0_u8; 2048];
    let per_block = block.len() / N;
    for (i, values) in values.chunks(per_block).enumerate() {
        for (bytes, &value) in block.chunks_exact_mut(N).zip(values) {
            bytes.copy_from_slice(&each(value));
        }
        let filled = values.len() * N;
        let end = filled.next_multiple_of(4);
        block[filled..end].fill(0);
        write(i * per_block * N, &block[..end]);
    }
}

/// The inverse: reads numbers of `N` bytes.
pub(super) fn decode<const N: usize>(bytes: &[u8], each: impl Fn([u8; N]) -> f32, values: &mut [f32]) {
    let (chunks, _) = bytes.as_chunks::<N>();
    for (value, bytes) in values.iter_mut().zip(chunks) {
        *value = each(*bytes);
    }
}
