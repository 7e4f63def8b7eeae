//! Frozen features: what a network that was trained to name things sees in a picture.
//!
//! [`FrozenFeatures`] is the first part of MobileNetV2 (Sandler et al. 2018) with torchvision's ImageNet weights.
//! A perceptual loss or distance compares its activations instead of pixels. It is not LPIPS, whose networks and
//! human judgements are others: what is measured by it names it, and compares with itself only. [`Classifier`] is the rest.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData, activation::relu6};
use sha2::{Digest as _, Sha256};

use self::state_dict::Array;
use effigy_base::error::{Error, ErrorKind, OrError as _, Result};
use effigy_base::hex::hex;

pub use self::classifier::{Classifier, N_CLASSES};

mod classifier;
mod state_dict;

/// The weights' file: torchvision's `MobileNet_V2_Weights.IMAGENET1K_V1`.
pub const FILE_NAME: &str = "mobilenet_v2-b0353104.pth";
/// SHA-256 of the weights' file.
pub const SHA256: &str = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889";

/// Where activations are taken: after the stem (block 0) and after these bottlenecks.
pub const TAPS: [usize; 5] = [0, 1, 3, 6, 13];
/// Channels of the activations at each tap.
pub const TAP_CHANNELS: [usize; 5] = [32, 16, 24, 32, 96];
/// How many pixels of the picture one place of each tap stands for, along each axis.
pub const TAP_STRIDES: [usize; 5] = [2, 2, 4, 8, 16];

/// Mean and deviation of each channel that the weights were trained with, of pictures in 0..1.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
/// What batch normalisation adds to a variance.
const EPSILON: f32 = 1e-5;
/// Stride of each bottleneck up to the last tap.
const STRIDES: [usize; 13] = [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1];

/// The trunk of MobileNetV2 up to stride 16, its batch normalisation folded into the convolutions. Nothing here learns.
pub struct FrozenFeatures {
    /// Takes a picture in −1..1 to what the weights were trained on.
    scale: Tensor<4>,
    shift: Tensor<4>,
    stem: Convolution,
    bottlenecks: Vec<Bottleneck>,
}

/// A convolution with its batch normalisation folded in, and the unit behind it.
struct Convolution {
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: usize,
    padding: usize,
    groups: usize,
    is_clamped: bool,
}

/// Expansion (but in the first), depthwise convolution, projection; with the way around where extents allow it.
struct Bottleneck {
    layers: Vec<Convolution>,
    has_shortcut: bool,
}

/// The tensors of the weights' file.
fn state_of(path: &Path) -> Result<BTreeMap<String, Array>> {
    let about =
        || format!("cannot read the frozen features {}; give the path of torchvision's {FILE_NAME}", path.display());
    let bytes = effigy_base::files::read(path, 1 << 30).or_error(ErrorKind::Model, about)?;
    let found = hex(&Sha256::digest(&bytes));
    // Checked before the file is looked into: what is read then is known.
    if found != SHA256 {
        let problem =
            format!("expected SHA-256 {SHA256}, found {found} over {} bytes: torn, or another file", bytes.len());
        return Err(Error::new(ErrorKind::Model, about()).because(problem));
    }
    state_dict::read(&bytes).map_err(|error| Error::new(ErrorKind::Model, about()).because(error))
}

impl FrozenFeatures {
    /// Reads the weights onto a device. Autodiff of the device does not matter: the weights are constants.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the file is missing or is not the one expected ([`SHA256`]); the message says how
    /// to get it.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        Self::from_state(&state_of(path)?, device)
    }

    /// Activations at [`TAPS`] of pictures `[n, 3, h, w]` in −1..1, RGB: tensors of `[n, TAP_CHANNELS, h / stride,
    /// w / stride]`, rounded up.
    ///
    /// They are differentiable with respect to the pictures where those are part of an autodiff graph. The first is
    /// in 0..6, the others are linear and unbounded.
    pub fn features(&self, rgb: Tensor<4>) -> Vec<Tensor<4>> {
        let mut x = self.stem.forward(rgb * self.scale.clone() + self.shift.clone());
        let mut taps = vec![x.clone()];
        for (i, bottleneck) in self.bottlenecks.iter().enumerate() {
            x = bottleneck.forward(x);
            if TAPS.contains(&(i + 1)) {
                taps.push(x.clone());
            }
        }
        taps
    }

    fn from_state(state: &BTreeMap<String, Array>, device: &Device) -> Result<Self> {
        // Weights that belong to no autodiff graph are constants in any.
        let device = &device.clone().without_autodiff();
        let channels = |values: [f32; 3]| Tensor::<1>::from_floats(values, device).reshape([1, 3, 1, 1]);
        let blocks = STRIDES.iter().zip(1..);
        let bottlenecks = blocks.map(|(&stride, i)| Bottleneck::from_state(state, i, stride, device));
        Ok(Self {
            scale: channels(std::array::from_fn(|c| 0.5 / DEVIATION[c])),
            shift: channels(std::array::from_fn(|c| (0.5 - MEAN[c]) / DEVIATION[c])),
            stem: Convolution::fold(state, "features.0.0", "features.0.1", 2, true, device)?,
            bottlenecks: bottlenecks.collect::<Result<_>>()?,
        })
    }
}

impl Convolution {
    fn fold(
        state: &BTreeMap<String, Array>,
        convolution: &str,
        norm: &str,
        stride: usize,
        is_clamped: bool,
        device: &Device,
    ) -> Result<Self> {
        let get = |name: String| {
            state.get(&name).ok_or_else(|| {
                Error::new(ErrorKind::Model, format!("frozen features: expected MobileNetV2, found no {name}"))
            })
        };
        let weight = get(format!("{convolution}.weight"))?;
        let &[n_out, n_in, side, _] = weight.dims.as_slice() else {
            return Err(Error::new(ErrorKind::Model, format!("{convolution}: expected 4 extents: {:?}", weight.dims)));
        };
        let (gain, offset) = (get(format!("{norm}.weight"))?, get(format!("{norm}.bias"))?);
        let (mean, variance) = (get(format!("{norm}.running_mean"))?, get(format!("{norm}.running_var"))?);
        if [gain, offset, mean, variance].iter().any(|array| array.values.len() != n_out) {
            return Err(Error::new(ErrorKind::Model, format!("{norm}: expected {n_out} numbers of each kind")));
        }
        let factors: Vec<f32> =
            gain.values.iter().zip(&variance.values).map(|(gain, var)| gain / (var + EPSILON).sqrt()).collect();
        let n_each = weight.values.len() / n_out.max(1);
        let folded = weight.values.iter().enumerate().map(|(i, value)| value * factors[i / n_each]).collect();
        let bias = (0..n_out).map(|c| offset.values[c] - mean.values[c] * factors[c]).collect();
        Ok(Self {
            weight: Tensor::from_data(TensorData::new::<f32, _>(folded, weight.dims.clone()), device),
            bias: Tensor::from_data(TensorData::new::<f32, _>(bias, [n_out]), device),
            stride,
            padding: (side - 1) / 2,
            // A 3×3 convolution with one channel in is a depthwise one in this network.
            groups: if n_in == 1 { n_out } else { 1 },
            is_clamped,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new([self.stride; 2], [self.padding; 2], [1, 1], self.groups);
        let y = conv2d(x, self.weight.clone(), Some(self.bias.clone()), options);
        if self.is_clamped { relu6(y) } else { y }
    }
}

impl Bottleneck {
    /// The network's `i`th one, counted from 1.
    fn from_state(state: &BTreeMap<String, Array>, i: usize, stride: usize, device: &Device) -> Result<Self> {
        let layer = |n: &str, norm: &str, stride, is_clamped| {
            let names = [n, norm].map(|part| format!("features.{i}.conv.{part}"));
            Convolution::fold(state, &names[0], &names[1], stride, is_clamped, device)
        };
        let layers = match i {
            // The first one does not expand.
            1 => vec![layer("0.0", "0.1", stride, true)?, layer("1", "2", 1, false)?],
            _ => vec![layer("0.0", "0.1", 1, true)?, layer("1.0", "1.1", stride, true)?, layer("2", "3", 1, false)?],
        };
        let n_in = layers[0].weight.dims()[if i == 1 { 0 } else { 1 }];
        let n_out = layers[layers.len() - 1].weight.dims()[0];
        Ok(Self { layers, has_shortcut: stride == 1 && n_in == n_out })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.layers.iter().fold(x.clone(), |x, layer| layer.forward(x));
        if self.has_shortcut { y + x } else { y }
    }
}

#[cfg(test)]
mod tests;
