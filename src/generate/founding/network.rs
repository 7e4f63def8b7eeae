//! A network of a founding family on the processor.

use crate::error::{Error, ErrorKind, Result};
use crate::generate::cpu::CpuExecutor;
use crate::generate::family::Family;
use crate::generate::plan::{Adoption, Executor, Plan, Role, TensorView, TensorViewMut};

/// A network of a family, on the processor: in ONNX Runtime.
pub(super) struct Network {
    executor: Box<dyn Executor>,
    /// Numbers of each of its outputs.
    lengths: Vec<usize>,
}

impl Network {
    /// Opens a plan; it has no weights yet.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when ONNX Runtime is missing.
    pub(super) fn new(plan: Plan) -> Result<Self> {
        let lengths = plan.of_role(Role::Output).map(|id| plan.tensor(id).shape.len()).collect();
        Ok(Self { executor: Box::new(CpuExecutor::new(plan, 1)?.in_f32()), lengths })
    }

    /// The same with the weights that a family has for it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn of(family: &Family, plan: Plan) -> Result<Self> {
        let params = family.params(&plan)?;
        let mut network = Self::new(plan)?;
        network.adopt(params)?;
        Ok(network)
    }

    /// How many numbers each of its outputs has.
    pub(super) fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Takes weights over, in the plan's order.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub(super) fn adopt(&mut self, params: Vec<&[f32]>) -> Result<()> {
        self.executor.adopt(&Adoption { params, constants: Vec::new() })
    }

    /// Runs it once.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub(super) fn run(&mut self, inputs: &[TensorView], outputs: &mut [TensorViewMut]) -> Result<()> {
        self.executor.run(inputs, outputs)
    }

    /// Runs it once on one input; gives all outputs.
    ///
    /// # Errors
    /// When ONNX Runtime fails; [`ErrorKind::Model`] when an answer is not finite.
    pub(super) fn answer(&mut self, input: &[f32]) -> Result<Vec<Vec<f32>>> {
        let mut outputs: Vec<Vec<f32>> = self.lengths.iter().map(|&n| vec![0.0; n]).collect();
        let mut views: Vec<_> = outputs.iter_mut().map(|output| TensorViewMut::F32(output)).collect();
        self.run(&[TensorView::F32(input)], &mut views)?;
        if outputs.iter().flatten().any(|value| !value.is_finite()) {
            return Err(Error::new(ErrorKind::Model, "what the network answers is not finite: the weights are torn"));
        }
        Ok(outputs)
    }
}
