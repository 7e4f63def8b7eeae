//! The rest of MobileNetV2: from the last tap to what the picture is taken for.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};

use super::state_dict::Array;
use super::{Bottleneck, Convolution, state_of};
use effigy_base::error::{Error, ErrorKind, Result};

/// ImageNet's classes.
pub const N_CLASSES: usize = 1000;

/// Stride of each bottleneck behind the last tap, the first of which is the network's 14th.
const STRIDES: [usize; 4] = [2, 1, 1, 1];
/// Channels before the linear layer.
const N_WIDE: usize = 1280;

/// Bottlenecks, a convolution, the mean over places, a linear layer. Nothing here learns.
pub struct Classifier {
    bottlenecks: Vec<Bottleneck>,
    wide: Convolution,
    /// `[1280, 1000]`.
    weight: Tensor<2>,
    bias: Tensor<2>,
}

impl Classifier {
    /// Reads the weights onto a device, from the file that [`super::FrozenFeatures::load`] reads.
    ///
    /// # Errors
    /// As there.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        Self::from_state(&state_of(path)?, device)
    }

    /// The probability of each of ImageNet's classes, `[n, 1000]`, by the activations at the last of
    /// [`super::TAPS`]. The weights were trained on pictures of 224 pixels; of others the mean over places takes care.
    pub fn probabilities(&self, last_tap: Tensor<4>) -> Tensor<2> {
        let x = self.bottlenecks.iter().fold(last_tap, |x, bottleneck| bottleneck.forward(x));
        let x = self.wide.forward(x);
        let [n, channels, height, width] = x.dims();
        let mean = x.reshape([n, channels, height * width]).mean_dim(2).reshape([n, channels]);
        softmax(mean.matmul(self.weight.clone()) + self.bias.clone(), 1)
    }

    pub(super) fn from_state(state: &BTreeMap<String, Array>, device: &Device) -> Result<Self> {
        let device = &device.clone().without_autodiff();
        let blocks = STRIDES.iter().zip(14..);
        let bottlenecks = blocks.map(|(&stride, i)| Bottleneck::from_state(state, i, stride, device));
        let numbers = |name: &str, dims: &[usize]| {
            let found = state.get(name).filter(|array| array.dims == dims);
            let found = found.map(|array| TensorData::new::<f32, _>(array.values.clone(), dims.to_vec()));
            found.ok_or_else(|| {
                let message = format!("frozen features: expected MobileNetV2, found no {name} of {dims:?} numbers");
                Error::new(ErrorKind::Model, message)
            })
        };
        let weight = numbers("classifier.1.weight", &[N_CLASSES, N_WIDE])?;
        let bias = numbers("classifier.1.bias", &[N_CLASSES])?;
        Ok(Self {
            bottlenecks: bottlenecks.collect::<Result<_>>()?,
            wide: Convolution::fold(state, "features.18.0", "features.18.1", 1, true, device)?,
            weight: Tensor::<2>::from_data(weight, device).transpose(),
            bias: Tensor::<1>::from_data(bias, device).reshape([1, N_CLASSES]),
        })
    }
}
