//! Replays the plan of a family with gradients, for any number of pictures at once.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, activation};

use crate::leaves::Leaves;
use effigy_network::plan::{Activation, Op, Plan, Role, Shape};

/// What the plan makes of its one input, (n, c, h, w): its outputs in order. The weights are constants unless the plan
/// `learns`.
///
/// # Panics
/// When the plan has an op that families have not, or the leaves lack a layer: both are of one making.
pub fn replay(plan: &Plan, leaves: &Leaves, input: Tensor<4>, learns: bool) -> Vec<Tensor<4>> {
    let mut values: Vec<Option<Tensor<4>>> = plan.tensors().iter().map(|_| None).collect();
    if let Some(id) = plan.of_role(Role::Input).next() {
        values[id.index()] = Some(input);
    }
    for (layer, op) in plan.steps() {
        let read = op.reads().next().and_then(|id| values[id.index()].clone());
        let Some(x) = read else { panic!("{layer} reads what was not written") };
        let bias: Tensor<1> = held(leaves.get(&format!("{layer}.bias")), learns);
        let weight = format!("{layer}.weight");
        let (y, unit) = match op {
            Op::Conv2d(op) => {
                let options = ConvOptions::new([op.stride; 2], [op.kernel / 2; 2], [1; 2], 1);
                (conv2d(x, held(leaves.get(&weight), learns), Some(bias), options), op.activation)
            }
            Op::UpConv2d(op) => (transposed(x, held(leaves.get(&weight), learns), bias), op.activation),
            Op::Linear(op) => {
                (linear(x, held(leaves.get(&weight), learns), bias, plan.tensor(op.y).shape), op.activation)
            }
            _ => panic!("{layer}: families have convolutions and linear layers"),
        };
        let y = match unit {
            Activation::None => y,
            Activation::Relu => activation::relu(y),
            Activation::Leaky => activation::leaky_relu(y, 0.2),
            Activation::Sigmoid => activation::sigmoid(y),
        };
        values[op.writes().index()] = Some(y);
    }
    plan.of_role(Role::Output).filter_map(|id| values[id.index()].take()).collect()
}

/// A transposed convolution of kernel 4, stride 2 and padding 1, whose weight `[4, c_out, c_in, 2, 2]` holds the taps of
/// each phase: one convolution makes all phases, and they are interleaved.
pub fn transposed(x: Tensor<4>, weight: Tensor<5>, bias: Tensor<1>) -> Tensor<4> {
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

/// A linear layer over all that a picture has, its answer shaped as `to`.
fn linear(x: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>, to: Shape) -> Tensor<4> {
    let n = x.dims()[0];
    let [n_out, n_in] = weight.dims();
    let row: Tensor<2> = x.reshape([n, n_in]);
    let y = row.matmul(weight.transpose()) + bias.reshape([1, n_out]);
    y.reshape([n, to.c, to.h, to.w])
}

fn held<const D: usize>(weight: Tensor<D>, learns: bool) -> Tensor<D> {
    if learns { weight } else { weight.detach() }
}
