//! The network as data: a [`Plan`] is recorded once and replayed by every backend.
//!
//! A [`Recorder`] takes operations one by one and checks their shapes; what it makes is a list of
//! [`Op`]s over `Copy` ids. A backend is an [`Executor`]: it answers each kind of op with one
//! kernel, whose plain twin in `kernels/` says what is right.
//!
//! Everything is (c, h, w), batch one, rows from top to bottom. Places in a picture are in *picture
//! units*: 0 is the left or upper border, 1 the right or lower one; the centre of column `j` of `w`
//! is at `(j + 0.5) / w`. So that one map serves all resolutions.

pub use self::executor::{Adoption, Executor, TensorView, TensorViewMut};
pub use self::layout::Layout;
pub use self::ops::{
    Activation, Conv2d, Drawing, Finish, Flow, Linear, Motion, Op, PLACES_PER_PX, PictureFormat, Raster, UNDRAWN,
    UpConv2d, Warp,
};
pub use self::photo_levels::PhotoLevels;
pub use self::recorder::{ConvSpec, Recorder};

mod executor;
mod layout;
mod ops;
mod photo_levels;
mod recorder;
mod scalars;
mod text;

/// A tensor of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub(super) usize);

impl TensorId {
    /// The tensor at this place in [`Plan::tensors`].
    pub(super) fn at(index: usize) -> Self {
        Self(index)
    }

    /// Its place in [`Plan::tensors`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// A weight or bias of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParamId(pub(super) usize);

impl ParamId {
    /// Its place in [`Plan::params`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// Channels, rows, columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Shape {
    /// Makes a shape.
    pub const fn new(c: usize, h: usize, w: usize) -> Self {
        Self { c, h, w }
    }

    /// How many elements it has.
    pub const fn len(self) -> usize {
        self.c * self.h * self.w
    }

    /// Whether it has no elements. Recorded shapes always have some.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// What a tensor is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// A number that may be stored in 16 bits (f16) on a device; f32 in the twins and on the CPU.
    Half,
    /// A number that stays f32 everywhere: places in a picture need more than 11 bits.
    Exact,
    /// 32 bits that are no number: a pixel (red in the lowest byte, alpha in the highest), a packed place.
    Word,
}

/// Who writes a tensor and who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Written by the host before each run.
    Input,
    /// Written by the host once for each identity; outside the arena.
    Constant,
    /// Written and read by ops only.
    Inner,
    /// Written by ops, read by the host after each run.
    Output,
}

/// One tensor.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// What messages call it; unique in the plan.
    pub name: String,
    /// Its extent.
    pub shape: Shape,
    /// What it is made of.
    pub element: Element,
    /// Who writes and reads it.
    pub role: Role,
    /// The concatenation it is a part of, and the first of its channels there. It has no memory of its own then.
    pub parent: Option<(TensorId, usize)>,
}

/// One weight or bias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Layer and what it is, such as `decoder.up64.weight`; unique in the plan.
    pub name: String,
    /// Extents: `[c_out, c_in, k, k]` for a convolution, `[4, c_out, c_in, 2, 2]` for an upsampling one,
    /// `[n_out, n_in]` for a linear layer, `[c_out]` for a bias.
    pub dims: Vec<usize>,
}

/// A recorded network: checked, and ready to be replayed any number of times.
#[derive(Clone, Debug)]
pub struct Plan {
    name: String,
    tensors: Vec<Tensor>,
    params: Vec<Param>,
    steps: Vec<(String, Op)>,
}

impl Plan {
    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All tensors, in the order they were recorded.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// One tensor.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// Weights and biases, in the order they were recorded.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The layers' names and ops, in the order to run them.
    pub fn steps(&self) -> &[(String, Op)] {
        &self.steps
    }

    /// The first step that only the processor has a kernel for: a linear layer.
    pub fn linear_layer(&self) -> Option<&str> {
        self.steps.iter().find(|(_, op)| matches!(op, Op::Linear(_))).map(|(layer, _)| layer.as_str())
    }

    /// The tensors of one role, in the order that [`Executor`] wants their values.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = TensorId> {
        self.tensors.iter().enumerate().filter(move |(_, t)| t.role == role).map(|(i, _)| TensorId(i))
    }

    /// The tensor that holds the memory of `id`, and the first element of `id` in it.
    pub fn home(&self, id: TensorId) -> (TensorId, usize) {
        let tensor = self.tensor(id);
        tensor.parent.map_or((id, 0), |(parent, channel)| (parent, channel * tensor.shape.h * tensor.shape.w))
    }
}
