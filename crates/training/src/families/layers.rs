//! Replays the plan of a family with gradients, for any number of pictures at once.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, activation};

use crate::leaves::Leaves;
use crate::replay::convolve_phases;
use effigy_network::plan::{Activation, Op, Plan, Role, Shape, TensorId};

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
        let (mut y, unit) = sums(plan, layer, op, leaves, x, learns);
        if let Some(residual) = residual(op) {
            let Some(residual) = values[residual.index()].clone() else { panic!("{layer} adds what was not written") };
            y = y + residual;
        }
        values[op.writes().index()] = Some(activate(y, unit));
    }
    plan.of_role(Role::Output).filter_map(|id| values[id.index()].take()).collect()
}

/// What a layer answers before its unit, and the unit.
///
/// # Panics
/// As [`replay`].
pub(super) fn sums(
    plan: &Plan,
    layer: &str,
    op: &Op,
    leaves: &Leaves,
    x: Tensor<4>,
    learns: bool,
) -> (Tensor<4>, Activation) {
    let bias: Tensor<1> = held(leaves.get(&format!("{layer}.bias")), learns);
    let weight = format!("{layer}.weight");
    match op {
        Op::Conv2d(op) => {
            let options = ConvOptions::new([op.stride; 2], [op.kernel / 2; 2], [1; 2], 1);
            (conv2d(x, held(leaves.get(&weight), learns), Some(bias), options), op.activation)
        }
        Op::UpConv2d(op) => (convolve_phases(x, held(leaves.get(&weight), learns), bias), op.activation),
        Op::Linear(op) => (linear(x, held(leaves.get(&weight), learns), bias, plan.tensor(op.y).shape), op.activation),
        _ => panic!("{layer}: families have convolutions and linear layers"),
    }
}

/// What is added to a layer's answer before its unit.
fn residual(op: &Op) -> Option<TensorId> {
    match op {
        Op::Conv2d(op) => op.residual,
        Op::UpConv2d(op) => op.residual,
        _ => None,
    }
}

/// A linear layer over all that a picture has, its answer shaped as `to`.
fn linear(x: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>, to: Shape) -> Tensor<4> {
    let n = x.dims()[0];
    let [n_out, n_in] = weight.dims();
    let row: Tensor<2> = x.reshape([n, n_in]);
    let y = row.matmul(weight.transpose()) + bias.reshape([1, n_out]);
    y.reshape([n, to.c, to.h, to.w])
}

/// What a layer's unit answers.
pub(super) fn activate<const D: usize>(y: Tensor<D>, unit: Activation) -> Tensor<D> {
    match unit {
        Activation::None => y,
        Activation::Relu => activation::relu(y),
        Activation::Leaky => activation::leaky_relu(y, 0.2),
        Activation::Sigmoid => activation::sigmoid(y),
    }
}

/// A weight, as a constant unless it `learns`.
pub(super) fn held<const D: usize>(weight: Tensor<D>, learns: bool) -> Tensor<D> {
    if learns { weight } else { weight.detach() }
}
