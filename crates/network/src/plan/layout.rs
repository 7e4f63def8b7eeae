//! Where each tensor lives: one arena, shared by tensors that are never needed at the same time.

use super::{Element, Plan, Role, Tensor, TensorId};

/// Offsets are multiples of this many bytes, as graphics interfaces want it.
const ALIGNMENT: usize = 256;

/// Places of a plan's tensors in one arena.
#[derive(Clone, Debug)]
pub struct Layout {
    offsets: Vec<Option<usize>>,
    total_bytes: usize,
    unshared_bytes: usize,
}

impl Layout {
    /// Places all tensors of a plan but its constants, where a number that may be [`Element::Half`] takes `half_bytes`.
    ///
    /// The largest are placed first, each as low as those that live at the same time allow.
    pub fn new(plan: &Plan, half_bytes: usize) -> Self {
        let each = |tensor: &Tensor| if tensor.element == Element::Half { half_bytes } else { 4 };
        let mut layout = Self::sized(plan, |tensor| tensor.shape.len() * each(tensor));
        for (i, tensor) in plan.tensors().iter().enumerate() {
            if let Some((parent, channel)) = tensor.parent {
                let first = channel * tensor.shape.h * tensor.shape.w * each(tensor);
                layout.offsets[i] = layout.offsets[parent.0].map(|offset| offset + first);
            }
        }
        layout
    }

    /// The same for a device that lays tensors out its own way: `bytes_of` says what each takes. The parts of a
    /// concatenation have no place then: only the device knows where they begin.
    pub fn sized(plan: &Plan, bytes_of: impl Fn(&Tensor) -> usize) -> Self {
        let tensors = plan.tensors();
        let bytes = |id: TensorId| bytes_of(plan.tensor(id)).next_multiple_of(ALIGNMENT);
        let lives = lives(plan);
        let mut homes: Vec<TensorId> = (0..tensors.len())
            .map(TensorId)
            .filter(|&id| plan.tensor(id).parent.is_none() && plan.tensor(id).role != Role::Constant)
            .collect();
        homes.sort_by_key(|&id| (std::cmp::Reverse(bytes(id)), id));
        let mut offsets: Vec<Option<usize>> = vec![None; tensors.len()];
        let mut total_bytes = 0;
        for (n_placed, &id) in homes.iter().enumerate() {
            let (from, to) = lives[id.0];
            let mut taken: Vec<(usize, usize)> = homes[..n_placed]
                .iter()
                .filter(|other| lives[other.0].0 <= to && from <= lives[other.0].1)
                .filter_map(|&other| offsets[other.0].map(|offset| (offset, offset + bytes(other))))
                .collect();
            taken.sort_unstable();
            let mut offset = 0;
            for (begin, end) in taken {
                if offset + bytes(id) <= begin {
                    break;
                }
                offset = offset.max(end);
            }
            offsets[id.0] = Some(offset);
            total_bytes = total_bytes.max(offset + bytes(id));
        }
        let unshared_bytes = homes.iter().map(|&id| bytes(id)).sum();
        Self { offsets, total_bytes, unshared_bytes }
    }

    /// Where a tensor begins in the arena, in bytes; `None` for a constant. The parts of a concatenation begin where
    /// their channels do, at any multiple of their element.
    pub fn offset_bytes(&self, id: TensorId) -> Option<usize> {
        self.offsets[id.0]
    }

    /// Size of the arena: the most memory that tensors take at any time.
    pub fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    /// What all tensors would take if none shared memory with another.
    pub fn unshared_bytes(&self) -> usize {
        self.unshared_bytes
    }
}

/// First and last step at which each tensor's memory holds something. Inputs are there from the start, outputs stay to
/// the end; a concatenation lives from its first part to its last reader.
fn lives(plan: &Plan) -> Vec<(usize, usize)> {
    let end = plan.steps().len();
    let mut lives = vec![(usize::MAX, 0); plan.tensors().len()];
    for (step, (_, op)) in plan.steps().iter().enumerate() {
        for id in op.reads().chain([op.writes()]) {
            for id in [id, plan.home(id).0] {
                lives[id.0] = (lives[id.0].0.min(step), lives[id.0].1.max(step));
            }
        }
    }
    for (life, tensor) in lives.iter_mut().zip(plan.tensors()) {
        match tensor.role {
            Role::Input => life.0 = 0,
            Role::Output => life.1 = end,
            Role::Constant | Role::Inner => {}
        }
    }
    lives
}
