//! Numbers that learn, by name: their values, what the optimizer remembers, their moving average.

use std::collections::BTreeMap;

use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer as _};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use effigy_base::error::{Error, ErrorKind, Result};

/// One weight: its values in a row, and what the optimizer remembers of it.
struct Leaf {
    dims: Vec<usize>,
    values: Tensor<1>,
    state: Option<AdamWState<1>>,
    /// The moving average of the values.
    mean: Vec<f32>,
    learns: bool,
}

/// All weights of one network.
pub struct Leaves {
    leaves: BTreeMap<String, Leaf>,
    optimizer: AdamW,
    device: Device,
}

/// How far one step goes.
#[derive(Clone, Copy, Debug)]
pub struct StepOptions {
    /// Learning rate.
    pub rate: f64,
    /// Gradients of a larger norm, over all weights, are scaled down to this one.
    pub max_norm: f32,
    /// How much of the moving average stays in each step, 0..1.
    pub averaging: f32,
}

/// How the optimizer remembers (Kingma and Ba 2015; Loshchilov and Hutter 2019).
#[derive(Clone, Copy, Debug)]
pub struct AdamOptions {
    /// How much of the mean gradient stays in each step.
    pub beta_1: f32,
    /// How much of the mean square stays.
    pub beta_2: f32,
    /// By how much of itself times the learning rate each weight shrinks; 0 is plain Adam.
    pub decay: f32,
}

impl Default for AdamOptions {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.99, decay: 1e-4 }
    }
}

impl Leaves {
    /// Puts weights, as (name, extents, values), on a device that records gradients.
    pub fn new(rows: impl Iterator<Item = (String, Vec<usize>, Vec<f32>)>, device: &Device) -> Self {
        Self::with_optimizer(rows, AdamOptions::default(), device)
    }

    /// The same with another memory of the optimizer.
    pub fn with_optimizer(
        rows: impl Iterator<Item = (String, Vec<usize>, Vec<f32>)>,
        adam: AdamOptions,
        device: &Device,
    ) -> Self {
        let leaves = rows.map(|(name, dims, values)| {
            let leaf = Leaf { dims, values: leaf(values.clone(), device), state: None, mean: values, learns: true };
            (name, leaf)
        });
        let optimizer = AdamWConfig::new()
            .with_beta_1(adam.beta_1)
            .with_beta_2(adam.beta_2)
            .with_epsilon(1e-8)
            .with_weight_decay(adam.decay)
            .build();
        Self { leaves: leaves.collect(), optimizer, device: device.clone() }
    }

    /// Where they are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// One weight in its own extents.
    ///
    /// # Panics
    /// When the network has no such weight: plans and weights are of one making.
    pub fn get<const D: usize>(&self, name: &str) -> Tensor<D> {
        let Some(leaf) = self.leaves.get(name) else { panic!("the network has no weight {name}") };
        let dims: [usize; D] = std::array::from_fn(|i| leaf.dims[i]);
        leaf.values.clone().reshape(dims)
    }

    /// One weight in a row, as it learns: its gradient is found by it.
    #[cfg(test)]
    pub(crate) fn whole(&self, name: &str) -> Tensor<1> {
        self.leaves[name].values.clone()
    }

    /// Lets only weights learn whose names begin with one of `prefixes`; answers how many.
    pub fn learn_only(&mut self, prefixes: &[String]) -> usize {
        for (name, leaf) in &mut self.leaves {
            leaf.learns = prefixes.iter().any(|prefix| name.starts_with(prefix));
            if !leaf.learns && self.device.is_autodiff() {
                leaf.values = Tensor::from_inner(leaf.values.clone().inner());
            }
        }
        self.leaves.values().filter(|leaf| leaf.learns).count()
    }

    /// Follows the gradients by one step; gives their norm. A step whose gradients are not finite is left out.
    pub fn step(&mut self, mut gradients: Gradients, options: &StepOptions) -> f32 {
        let mut found = Vec::with_capacity(self.leaves.len());
        let mut square = 0.0_f32;
        for leaf in self.leaves.values() {
            let gradient = leaf.learns.then(|| leaf.values.grad_remove(&mut gradients)).flatten();
            if let Some(gradient) = &gradient {
                square += gradient.clone().square().sum().into_scalar::<f32>();
            }
            found.push(gradient);
        }
        let norm = square.sqrt();
        if !norm.is_finite() {
            return norm;
        }
        let scale = (options.max_norm / norm.max(1e-12)).min(1.0);
        for (leaf, gradient) in self.leaves.values_mut().zip(found) {
            let Some(gradient) = gradient else { continue };
            let values = leaf.values.clone().inner();
            let (values, state) = self.optimizer.step(options.rate, values, gradient * scale, leaf.state.take());
            leaf.state = state;
            for (mean, now) in leaf.mean.iter_mut().zip(read(&values)) {
                *mean += (now - *mean) * (1.0 - options.averaging);
            }
            leaf.values = Tensor::from_inner(values).require_grad();
        }
        norm
    }

    /// Names and values as they are.
    pub fn values(&self) -> impl Iterator<Item = (&str, Vec<f32>)> {
        self.leaves.iter().map(|(name, leaf)| (name.as_str(), read(&leaf.values.clone().inner())))
    }

    /// Names and the moving average of the values.
    pub fn means(&self) -> impl Iterator<Item = (&str, Vec<f32>)> {
        self.leaves.iter().map(|(name, leaf)| (name.as_str(), leaf.mean.clone()))
    }

    /// What must be kept to go on: for each weight its values, their moving average and the two moments, by name.
    pub fn state(&self) -> Vec<(String, Vec<f32>)> {
        let mut rows = Vec::with_capacity(4 * self.leaves.len());
        for (name, leaf) in &self.leaves {
            rows.push((format!("{name}/values"), read(&leaf.values.clone().inner())));
            rows.push((format!("{name}/mean"), leaf.mean.clone()));
            if let Some(state) = &leaf.state {
                rows.push((format!("{name}/moment1"), read(&state.momentum.moment_1)));
                rows.push((format!("{name}/moment2"), read(&state.momentum.moment_2)));
            }
        }
        rows
    }

    /// Goes on from what [`Self::state`] gave after `n_steps` steps.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when a row is missing or of another length.
    pub fn restore(&mut self, mut row: impl FnMut(&str) -> Option<Vec<f32>>, n_steps: usize) -> Result<()> {
        let inner = self.device.clone().inner();
        for (name, leaf) in &mut self.leaves {
            let len = leaf.mean.len();
            let mut get = |what: &str| {
                let key = format!("{name}/{what}");
                match row(&key) {
                    Some(values) if values.len() == len => Ok(Some(values)),
                    Some(values) => Err(Error::new(
                        ErrorKind::Model,
                        format!("checkpoint: expected {len} numbers in {key}, found {}", values.len()),
                    )),
                    None => Ok(None),
                }
            };
            let missing = || Error::new(ErrorKind::Model, format!("checkpoint: {name} is missing"));
            let values = get("values")?.ok_or_else(missing)?;
            leaf.values = if leaf.learns {
                self::leaf(values, &self.device)
            } else {
                Tensor::from_data(TensorData::new(values, [len]), &self.device)
            };
            leaf.mean = get("mean")?.ok_or_else(missing)?;
            leaf.state = match (get("moment1")?, get("moment2")?) {
                (Some(first), Some(second)) => Some(AdamWState {
                    momentum: AdaptiveMomentumState {
                        time: n_steps,
                        moment_1: tensor(first, &inner),
                        moment_2: tensor(second, &inner),
                        max_moment_2: None,
                    },
                }),
                _ => None,
            };
        }
        Ok(())
    }
}

fn tensor(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

/// Learns where the device records gradients.
fn leaf(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let values = tensor(values, device);
    if device.is_autodiff() { values.require_grad() } else { values }
}

fn read(values: &Tensor<1>) -> Vec<f32> {
    values.try_to_vec_as().unwrap_or_default()
}
