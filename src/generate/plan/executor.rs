//! What a backend promises.

use super::Plan;
use crate::error::Result;

/// The values of a tensor, to read.
#[derive(Clone, Copy, Debug)]
pub enum TensorView<'a> {
    /// Of a tensor of [`super::Element::Half`] or [`super::Element::Exact`].
    F32(&'a [f32]),
    /// Of a tensor of [`super::Element::Word`].
    Words(&'a [u32]),
}

/// The values of a tensor, to write.
#[derive(Debug)]
pub enum TensorViewMut<'a> {
    /// Of a tensor of [`super::Element::Half`] or [`super::Element::Exact`].
    F32(&'a mut [f32]),
    /// Of a tensor of [`super::Element::Word`]: four bytes each, the lowest first.
    Bytes(&'a mut [u8]),
}

/// Everything that stays while one identity is shown.
#[derive(Clone, Debug)]
pub struct Adoption<'a> {
    /// Values of [`Plan::params`], in that order.
    pub params: Vec<&'a [f32]>,
    /// Values of the plan's constants, in the order of [`Plan::of_role`].
    pub constants: Vec<TensorView<'a>>,
}

/// Replays one plan on one device.
pub trait Executor: Send {
    /// What it runs on, for the user and the report: `cpu`, `cuda`, `wgpu`, `twin`.
    fn backend(&self) -> &str;

    /// The plan it replays.
    fn plan(&self) -> &Plan;

    /// Takes weights and constants. Slow: not for the frame path.
    ///
    /// # Errors
    /// When the device fails or has no room. What was adopted before stays then.
    ///
    /// # Panics
    /// When a value has not the plan's length.
    fn adopt(&mut self, adoption: &Adoption) -> Result<()>;

    /// Runs all steps. Values are in the order of [`Plan::of_role`]; shapes were checked when the plan was recorded.
    ///
    /// # Errors
    /// When the device fails, or nothing was adopted.
    ///
    /// # Panics
    /// When a value has not the plan's length.
    fn run(&mut self, inputs: &[TensorView], outputs: &mut [TensorViewMut]) -> Result<()>;
}
