//! What a backend promises.

use super::{Element, Plan, Role, Tensor};
use effigy_base::error::Result;

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

    /// The device it runs on, in words for the user.
    fn device(&self) -> String {
        self.backend().to_owned()
    }

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

    /// Whether it wants to see typical inputs once, after [`Executor::adopt`]: see [`Executor::settle`].
    fn wants_examples(&self) -> bool {
        false
    }

    /// Sees typical inputs of what was adopted, so that it can choose the formats of its numbers by them. Each example
    /// is what a run would be given. Slow: not for the frame path.
    ///
    /// # Errors
    /// When the device fails. What was adopted stays then.
    ///
    /// # Panics
    /// When a value has not the plan's length.
    fn settle(&mut self, _adoption: &Adoption, _examples: &[Vec<TensorView>]) -> Result<()> {
        Ok(())
    }

    /// Runs all steps. Values are in the order of [`Plan::of_role`]; shapes were checked when the plan was recorded.
    ///
    /// # Errors
    /// When the device fails, or nothing was adopted.
    ///
    /// # Panics
    /// When a value has not the plan's length.
    fn run(&mut self, inputs: &[TensorView], outputs: &mut [TensorViewMut]) -> Result<()>;
}

impl Adoption<'_> {
    /// Checks that all values fit `plan`.
    ///
    /// # Panics
    /// When one does not.
    pub fn check(&self, plan: &Plan) {
        assert_eq!(self.params.len(), plan.params().len(), "{}: parameters", plan.name());
        for (values, param) in self.params.iter().zip(plan.params()) {
            assert_eq!(values.len(), param.dims.iter().product::<usize>(), "values of {}", param.name);
        }
        check_all(plan, Role::Constant, &self.constants);
    }
}

impl Plan {
    /// Checks that what a run is given fits.
    ///
    /// # Panics
    /// When something does not.
    pub fn check_run(&self, inputs: &[TensorView], outputs: &[TensorViewMut]) {
        check_all(self, Role::Input, inputs);
        assert_eq!(outputs.len(), self.of_role(Role::Output).count(), "{}: outputs", self.name());
        for (id, out) in self.of_role(Role::Output).zip(outputs) {
            let tensor = self.tensor(id);
            let fits = match out {
                TensorViewMut::F32(out) => tensor.element != Element::Word && out.len() == tensor.shape.len(),
                TensorViewMut::Bytes(out) => tensor.element == Element::Word && out.len() == 4 * tensor.shape.len(),
            };
            assert!(fits, "{}: what was given does not fit {:?} {:?}", tensor.name, tensor.element, tensor.shape);
        }
    }
}

fn check_all(plan: &Plan, role: Role, values: &[TensorView]) {
    assert_eq!(values.len(), plan.of_role(role).count(), "{}: values of {role:?}", plan.name());
    for (id, values) in plan.of_role(role).zip(values) {
        let tensor: &Tensor = plan.tensor(id);
        let fits = match values {
            TensorView::F32(values) => tensor.element != Element::Word && values.len() == tensor.shape.len(),
            TensorView::Words(values) => tensor.element == Element::Word && values.len() == tensor.shape.len(),
        };
        assert!(fits, "{}: what was given does not fit {:?} {:?}", tensor.name, tensor.element, tensor.shape);
    }
}
