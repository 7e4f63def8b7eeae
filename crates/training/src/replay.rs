//! Replays a recorded plan with gradients, for any number of frames of one portrait at once.
//!
//! The plan says which layers there are and how they hang together; the sizes come from what is put in, so that the
//! network can be trained on smaller pictures than it will make. What does not depend on weights (drawings, candidate
//! warps of the portrait) is given from outside, as the twins compute it.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData, activation};

use super::parameters::Parameters;
use super::warping::{mixed_flow, warped};
use effigy_network::network::{EMBEDDING, fold_upsampling};
use effigy_network::plan::{Activation, Conv2d, Flow, Op, Plan, Role, TensorId, UpConv2d};

/// Keeps the ratio of two norms finite; as in [`effigy_network::network::modulate`].
const EPSILON: f32 = 1e-8;

/// One run of a plan: the values of its tensors, (n, c, h, w) each.
pub struct Replay<'a> {
    plan: &'a Plan,
    parameters: &'a Parameters,
    /// (1, [`EMBEDDING`]) for plans whose layers are modulated.
    embedding: Option<Tensor<2>>,
    values: Vec<Option<Tensor<4>>>,
    /// (n, 12), of [`Flow::Body`].
    pose: Option<Tensor<2>>,
}

impl<'a> Replay<'a> {
    /// Starts with nothing given.
    pub fn new(plan: &'a Plan, parameters: &'a Parameters) -> Self {
        let values = plan.tensors().iter().map(|_| None).collect();
        Self { plan, parameters, embedding: None, values, pose: None }
    }

    /// Sets who it is.
    #[must_use]
    pub fn embedding(mut self, embedding: Tensor<2>) -> Self {
        self.embedding = Some(embedding);
        self
    }

    /// Sets the body's and the head's motion.
    #[must_use]
    pub fn pose(mut self, pose: Tensor<2>) -> Self {
        self.pose = Some(pose);
        self
    }

    /// Gives a tensor its values: an input, a constant, or what a step would have computed.
    ///
    /// # Panics
    /// When the plan has no tensor of that name.
    #[must_use]
    pub fn give(mut self, name: &str, values: Tensor<4>) -> Self {
        let at = self.plan.tensors().iter().position(|tensor| tensor.name == name);
        let Some(at) = at else { panic!("{} has no tensor {name}", self.plan.name()) };
        self.values[at] = Some(values);
        self
    }

    /// Runs all steps but the last of a frame, [`Op::Finish`], which training has in its own form.
    #[must_use]
    pub fn run(mut self) -> Self {
        for (layer, op) in self.plan.steps() {
            let to = op.writes().index();
            if self.values[to].is_some() {
                continue;
            }
            let value = match op {
                Op::Conv2d(op) => self.conv2d(layer, op),
                Op::UpConv2d(op) => self.up_conv2d(layer, op),
                Op::Linear(_) => panic!("{layer}: a family's plan is replayed by `families::layers`"),
                Op::Motion(op) => motion(self.value(op.x)),
                Op::Warp(op) => match op.flow {
                    Flow::Mixed { mix, map, .. } => {
                        let Some(pose) = &self.pose else { panic!("{layer}: no pose was given") };
                        let flow = mixed_flow(self.value(mix), &self.value(map), pose);
                        warped(self.value(op.x), &flow) * flow.mix.narrow(1, 6, 1)
                    }
                    _ => panic!("{layer}: a candidate warp is to be given"),
                },
                Op::Raster(_) => panic!("{layer}: a drawing is to be given"),
                Op::Finish(_) => continue,
            };
            self.values[to] = Some(value);
        }
        self
    }

    /// The values of a tensor by name.
    ///
    /// # Panics
    /// When there is none of that name, or nothing has written it.
    pub fn named(&self, name: &str) -> Tensor<4> {
        let at = self.plan.tensors().iter().position(|tensor| tensor.name == name);
        match at.and_then(|at| self.values[at].clone()) {
            Some(values) => values,
            None => panic!("{} has no values of {name}", self.plan.name()),
        }
    }

    /// The outputs in order.
    pub fn outputs(&self) -> Vec<Tensor<4>> {
        self.plan.of_role(Role::Output).map(|id| self.value(id)).collect()
    }

    /// The values of a tensor, put together from its parts where it is a concatenation.
    fn value(&self, id: TensorId) -> Tensor<4> {
        if let Some(values) = &self.values[id.index()] {
            return values.clone();
        }
        let tensors = self.plan.tensors().iter().zip(&self.values);
        let mut parts: Vec<_> = tensors
            .filter_map(|(tensor, values)| match (tensor.parent, values) {
                (Some((parent, channel)), Some(values)) if parent == id => Some((channel, values.clone())),
                _ => None,
            })
            .collect();
        parts.sort_by_key(|(channel, _)| *channel);
        assert!(!parts.is_empty(), "{} is read before it was written", self.plan.tensor(id).name);
        Tensor::cat(parts.into_iter().map(|(_, values)| values).collect(), 1)
    }

    /// A layer's weight and bias, modulated where the layer is.
    fn layer(&self, layer: &str) -> (Tensor<4>, Tensor<1>) {
        let weight: Tensor<4> = self.parameters.get(&format!("{layer}.weight"));
        let bias: Tensor<1> = self.parameters.get(&format!("{layer}.bias"));
        let Some(embedding) = self.embedding.clone().filter(|_| layer.starts_with("decoder.")) else {
            return (weight, bias);
        };
        let style: Tensor<2> = self.parameters.get(&format!("{layer}.style"));
        let shift: Tensor<2> = self.parameters.get(&format!("{layer}.shift"));
        let [c_out, c_in, _, _] = weight.dims();
        let scale = embedding.clone().matmul(style.transpose()) + 1.0;
        let scaled = weight.clone() * scale.reshape([1, c_in, 1, 1]);
        let square = |w: Tensor<4>| w.square().sum_dims(&[1, 2, 3]).reshape([c_out, 1, 1, 1]) + EPSILON;
        let demodulation = (square(weight) / square(scaled.clone())).sqrt();
        let shift = embedding.matmul(shift.transpose()).reshape([c_out]);
        (scaled * demodulation, bias + shift)
    }

    fn conv2d(&self, layer: &str, op: &Conv2d) -> Tensor<4> {
        let (weight, bias) = self.layer(layer);
        let options = ConvOptions::new([op.stride; 2], [op.kernel / 2; 2], [1; 2], 1);
        let y = conv2d(self.value(op.x), weight, Some(bias), options);
        self.end(y, op.residual, op.activation)
    }

    fn up_conv2d(&self, layer: &str, op: &UpConv2d) -> Tensor<4> {
        let (weight, bias) = self.layer(layer);
        let [c_out, c_in, _, _] = weight.dims();
        let phases = weight.reshape([c_out * c_in, 9]).matmul(folding(&self.parameters.device().clone().inner()));
        let phases = phases.reshape([c_out, c_in, 4, 4]).permute([2, 0, 1, 3]).reshape([4, c_out, c_in, 2, 2]);
        let y = convolve_phases(self.value(op.x), phases, bias);
        self.end(y, op.residual, op.activation)
    }

    fn end(&self, mut y: Tensor<4>, residual: Option<TensorId>, activation: Activation) -> Tensor<4> {
        if let Some(residual) = residual {
            y = y + self.value(residual);
        }
        match activation {
            Activation::None => y,
            Activation::Relu => activation::relu(y),
            Activation::Leaky => activation::leaky_relu(y, 0.2),
            Activation::Sigmoid => activation::sigmoid(y),
        }
    }
}

/// Who it is, from the encoder's last output (1, c, h, w): (1, [`EMBEDDING`]).
pub fn pooled_embedding(parameters: &Parameters, last: Tensor<4>) -> Tensor<2> {
    let [_, c, _, _] = last.dims();
    let weight: Tensor<2> = parameters.get("embedding.weight");
    let bias: Tensor<1> = parameters.get("embedding.bias");
    let means: Tensor<2> = last.mean_dims(&[2, 3]).reshape([1, c]);
    means.matmul(weight.transpose()) + bias.reshape([1, EMBEDDING])
}

fn motion(x: Tensor<4>) -> Tensor<4> {
    let masks = activation::softmax(x.clone().narrow(1, 0, 4), 1);
    let residual = x.clone().narrow(1, 4, 2) / 64.0;
    Tensor::cat(vec![masks, residual, activation::sigmoid(x.narrow(1, 6, 1))], 1)
}

/// An upsampling convolution whose weight `[4, c_out, c_in, 2, 2]` holds the taps of each phase: one convolution makes all
/// phases, and they are interleaved. A transposed convolution of kernel 4, stride 2 and padding 1 is of this form.
pub fn convolve_phases(x: Tensor<4>, weight: Tensor<5>, bias: Tensor<1>) -> Tensor<4> {
    let [_, c_out, c_in, _, _] = weight.dims();
    let phases = weight.reshape([4 * c_out, c_in, 2, 2]);
    let y = conv2d(x, phases, None, ConvOptions::new([1; 2], [1; 2], [1; 2], 1));
    let [n, _, h, w] = y.dims();
    let (h, w) = (h - 1, w - 1);
    let phase =
        |p: usize| -> Tensor<4> { y.clone().narrow(1, p * c_out, c_out).narrow(2, p / 2, h).narrow(3, p % 2, w) };
    // (n, c, h, w) four times, to (n, c, h, 2, w, 2).
    let rows = [0, 2].map(|p| Tensor::stack::<5>(vec![phase(p), phase(p + 1)], 4).reshape([n, c_out, h, 2 * w]));
    let y: Tensor<5> = Tensor::stack(rows.to_vec(), 3);
    y.reshape([n, c_out, 2 * h, 2 * w]) + bias.reshape([1, c_out, 1, 1])
}

/// (9, 16): which taps of a 3×3 kernel go into which of four 2×2 kernels.
fn folding(device: &Device) -> Tensor<2> {
    let mut values = Vec::with_capacity(9 * 16);
    for tap in 0..9 {
        let mut kernel = [0.0; 9];
        kernel[tap] = 1.0;
        values.extend(fold_upsampling(&kernel, 1, 1));
    }
    Tensor::from_data(TensorData::new(values, [9, 16]), device)
}
