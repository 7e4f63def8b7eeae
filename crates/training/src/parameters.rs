//! The generator's weights as tensors that learn.

use burn::tensor::{Device, Gradients, Tensor};

use super::leaves::Leaves;
use effigy_base::error::Result;
use effigy_network::network::Size;
use effigy_network::network::weights::Weights;

pub use super::leaves::StepOptions;

/// All weights of a generator.
pub struct Parameters {
    size: Size,
    leaves: Leaves,
}

impl Parameters {
    /// Puts weights on a device that records gradients.
    pub fn new(weights: &Weights, device: &Device) -> Self {
        let rows = weights.iter().map(|(name, dims, values)| (name.to_owned(), dims.to_vec(), values.to_vec()));
        Self { size: weights.size(), leaves: Leaves::new(rows, device) }
    }

    /// Size of the network they belong to.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Where they are.
    pub fn device(&self) -> &Device {
        self.leaves.device()
    }

    /// One weight in its own extents.
    ///
    /// # Panics
    /// As [`Leaves::get`].
    pub fn get<const D: usize>(&self, name: &str) -> Tensor<D> {
        self.leaves.get(name)
    }

    /// Lets only weights learn whose names begin with one of `prefixes`; answers how many.
    pub fn learn_only(&mut self, prefixes: &[String]) -> usize {
        self.leaves.learn_only(prefixes)
    }

    /// Follows the gradients by one step; see [`Leaves::step`].
    pub fn step(&mut self, gradients: Gradients, options: &StepOptions) -> f32 {
        self.leaves.step(gradients, options)
    }

    /// The weights as they are.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Internal`] only.
    pub fn weights(&self) -> Result<Weights> {
        self.with_values(self.leaves.values())
    }

    /// The moving average of the weights: what is worth keeping.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Internal`] only.
    pub fn averaged(&self) -> Result<Weights> {
        self.with_values(self.leaves.means())
    }

    /// What a checkpoint keeps.
    pub(super) fn leaves(&self) -> &Leaves {
        &self.leaves
    }

    /// What a checkpoint restores.
    pub(super) fn leaves_mut(&mut self) -> &mut Leaves {
        &mut self.leaves
    }

    fn with_values<'a>(&self, values: impl Iterator<Item = (&'a str, Vec<f32>)>) -> Result<Weights> {
        let mut weights = Weights::random(self.size, 0);
        for (name, values) in values {
            weights.set(name, &values)?;
        }
        Ok(weights)
    }
}
