//! Turns the convolutions of a plan into an ONNX model.

use super::onnx::{Attribute, ModelWriter};
use super::segment::{Segment, Watched, dims, is_in_bytes, name, parts, watched};
use crate::error::Result;
use crate::generate::network::EMBEDDING;
use crate::generate::network::weights::Weights;
use crate::generate::plan::{Activation, Conv2d, Op, Plan, TensorId, UpConv2d};

/// Where the weights come from and how much of the work is left to the frame path.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// Folded weights, values of [`Plan::params`]: plain convolutions.
    Folded(&'a [&'a [f32]]),
    /// The same, and all that a model in 8 bits has to hold is an output too: see `Ranges`.
    Watched(&'a [&'a [f32]]),
    /// The network as it is trained: the embedding is an input of the model, enlarging and convolving are two steps. For
    /// comparison.
    Unfolded(&'a Weights),
}

/// What the input of an unfolded model that takes the embedding is called; it is the last one.
pub(super) const EMBEDDING_INPUT: &str = "embedding";

/// Writes the model of a segment.
///
/// # Errors
/// When unfolded weights lack a layer.
pub(super) fn lower(plan: &Plan, segment: &Segment, form: Form) -> Result<Vec<u8>> {
    let mut lowering = Lowering { plan, form, model: ModelWriter::default(), segment };
    declare(&mut lowering);
    if matches!(form, Form::Watched(_)) {
        for (watched, id) in watched(plan, segment) {
            lowering.model.output(&watched.name(id), &dims(plan.tensor(id).shape));
        }
    }
    let is_modulated = |step: &usize| plan.steps()[*step].0.starts_with("decoder.");
    if matches!(form, Form::Unfolded(_)) && segment.steps.iter().any(is_modulated) {
        lowering.model.input(EMBEDDING_INPUT, &[EMBEDDING, 1]);
    }
    lowering.concatenations();
    for &step in &segment.steps {
        let (layer, op) = &plan.steps()[step];
        match op {
            Op::Conv2d(op) => lowering.conv2d(layer, op)?,
            Op::UpConv2d(op) => lowering.up_conv2d(layer, op)?,
            _ => {}
        }
    }
    Ok(lowering.model.finish(plan.name()))
}

/// Declares what goes in and out of the segment's model, in f32.
pub(super) fn declare(lowering: &mut Lowering) {
    let Lowering { plan, form, model, segment } = lowering;
    for &id in &segment.inputs {
        model.input(&name(id), &dims(plan.tensor(id).shape));
    }
    for (&id, &in_phases) in segment.outputs.iter().zip(&segment.in_phases) {
        let [n, c, h, w] = dims(plan.tensor(id).shape);
        let in_phases = in_phases && !matches!(form, Form::Unfolded(_));
        let extents = if in_phases { [n, 4 * c, h / 2 + 1, w / 2 + 1] } else { [n, c, h, w] };
        model.output(&name(id), &extents);
    }
}

/// A model while it is written.
pub(super) struct Lowering<'a> {
    pub(super) plan: &'a Plan,
    pub(super) form: Form<'a>,
    pub(super) model: ModelWriter,
    pub(super) segment: &'a Segment,
}

impl Lowering<'_> {
    /// A concatenation that some step here writes a part of is made here from its parts.
    fn concatenations(&mut self) {
        let tensors = self.plan.tensors();
        let reads: Vec<TensorId> =
            self.segment.steps.iter().flat_map(|&step| self.plan.steps()[step].1.reads()).collect();
        for (i, tensor) in tensors.iter().enumerate() {
            let parts = parts(self.plan, TensorId::at(i));
            let is_given = self.segment.inputs.iter().any(|input| input.index() == i);
            if parts.is_empty() || is_given || !reads.iter().any(|id| id.index() == i) {
                continue;
            }
            let names: Vec<String> = parts.iter().map(|&part| name(part)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            debug_assert_eq!(parts.iter().map(|&part| self.plan.tensor(part).shape.c).sum::<usize>(), tensor.shape.c);
            self.model.node_to("Concat", &names, &[("axis", Attribute::Int(1))], &format!("t{i}"));
        }
    }

    pub(super) fn conv2d(&mut self, layer: &str, op: &Conv2d) -> Result<()> {
        let (c_in, c_out) = (self.plan.tensor(op.x).shape.c, self.plan.tensor(op.y).shape.c);
        let pads = [(op.kernel / 2) as i64; 4];
        let strides = [op.stride as i64; 2];
        let attributes = [("pads", Attribute::Ints(&pads)), ("strides", Attribute::Ints(&strides))];
        let sum = match self.form {
            Form::Folded(params) | Form::Watched(params) => {
                let weight = self.model.floats(&[c_out, c_in, op.kernel, op.kernel], params[op.weight.index()]);
                let bias = self.model.floats(&[c_out], params[op.bias.index()]);
                self.model.node("Conv", &[&name(op.x), &weight, &bias], &attributes)
            }
            Form::Unfolded(weights) => {
                self.unfolded(layer, weights, &name(op.x), [c_out, c_in, op.kernel], &attributes)?
            }
        };
        self.finish(sum, op.residual, op.activation, op.y);
        Ok(())
    }

    pub(super) fn up_conv2d(&mut self, layer: &str, op: &UpConv2d) -> Result<()> {
        let (c_in, c_out) = (self.plan.tensor(op.x).shape.c, self.plan.tensor(op.y).shape.c);
        let sum = match self.form {
            Form::Folded(params) | Form::Watched(params) => {
                let (weight, bias) = (params[op.weight.index()], params[op.bias.index()]);
                self.phases(op, weight, bias, c_in, c_out)
            }
            Form::Unfolded(weights) => {
                let scales = self.model.floats(&[4], &[1.0, 1.0, 2.0, 2.0]);
                let attributes = [
                    ("mode", Attribute::Text("nearest")),
                    ("nearest_mode", Attribute::Text("floor")),
                    ("coordinate_transformation_mode", Attribute::Text("asymmetric")),
                ];
                let large = self.model.node("Resize", &[&name(op.x), "", &scales], &attributes);
                let attributes = [("pads", Attribute::Ints(&[1; 4]))];
                self.unfolded(layer, weights, &large, [c_out, c_in, 3], &attributes)?
            }
        };
        self.finish(sum, op.residual, op.activation, op.y);
        Ok(())
    }

    /// Four 2×2 convolutions, interleaved; or all in one, if the executor interleaves.
    fn phases(&mut self, op: &UpConv2d, weight: &[f32], bias: &[f32], c_in: usize, c_out: usize) -> String {
        let is_output = self.segment.outputs.iter().position(|&output| output == op.y);
        if is_output.is_some_and(|i| self.segment.in_phases[i]) {
            let weight = self.model.floats(&[4 * c_out, c_in, 2, 2], weight);
            let bias = self.model.floats(&[4 * c_out], &bias.repeat(4));
            return self.model.node("Conv", &[&name(op.x), &weight, &bias], &[("pads", Attribute::Ints(&[1; 4]))]);
        }
        let bias = self.model.floats(&[c_out], bias);
        let mut phases = Vec::new();
        for (phase, weight) in weight.chunks_exact(c_out * c_in * 4).enumerate() {
            let (a, b) = ((phase / 2) as i64, (phase % 2) as i64);
            let weight = self.model.floats(&[c_out, c_in, 2, 2], weight);
            let pads = [1 - a, 1 - b, a, b];
            let attributes = [("pads", Attribute::Ints(&pads))];
            phases.push(self.model.node("Conv", &[&name(op.x), &weight, &bias], &attributes));
        }
        let phases: Vec<&str> = phases.iter().map(String::as_str).collect();
        let stacked = self.model.node("Concat", &phases, &[("axis", Attribute::Int(1))]);
        self.model.node(
            "DepthToSpace",
            &[&stacked],
            &[("blocksize", Attribute::Int(2)), ("mode", Attribute::Text("DCR"))],
        )
    }

    /// A convolution with its modulation computed in the model.
    fn unfolded(
        &mut self,
        layer: &str,
        weights: &Weights,
        x: &str,
        [c_out, c_in, kernel]: [usize; 3],
        attributes: &[(&str, Attribute)],
    ) -> Result<String> {
        let raw = weights.get(&format!("{layer}.weight"), &[c_out, c_in, kernel, kernel])?;
        let bias = weights.get(&format!("{layer}.bias"), &[c_out])?;
        let weight = self.model.floats(&[c_out, c_in, kernel, kernel], raw);
        if !layer.starts_with("decoder.") {
            let bias = self.model.floats(&[c_out], bias);
            return Ok(self.model.node("Conv", &[x, &weight, &bias], attributes));
        }
        let style = weights.get(&format!("{layer}.style"), &[c_in, EMBEDDING])?;
        let shift = weights.get(&format!("{layer}.shift"), &[c_out, EMBEDDING])?;
        let m = &mut self.model;
        let matrix = m.floats(&[c_in, EMBEDDING], style);
        let one = m.floats(&[1, 1], &[1.0]);
        let product = m.node("MatMul", &[&matrix, EMBEDDING_INPUT], &[]);
        let scale = m.node("Add", &[&product, &one], &[]);
        // Squared taps, summed for each pair of channels: |s w|² is one product of a matrix with s².
        let squares: Vec<f32> = raw.chunks_exact(kernel * kernel).map(|t| t.iter().map(|w| w * w).sum()).collect();
        let own: Vec<f32> = squares.chunks_exact(c_in).map(|row| row.iter().sum::<f32>() + 1e-8).collect();
        let (squares, own) = (m.floats(&[c_out, c_in], &squares), m.floats(&[c_out, 1], &own));
        let epsilon = m.floats(&[1, 1], &[1e-8]);
        let scale2 = m.node("Mul", &[&scale, &scale], &[]);
        let scaled = m.node("MatMul", &[&squares, &scale2], &[]);
        let scaled = m.node("Add", &[&scaled, &epsilon], &[]);
        let ratio = m.node("Div", &[&own, &scaled], &[]);
        let demodulation = m.node("Sqrt", &[&ratio], &[]);
        let matrix = m.floats(&[c_out, EMBEDDING], shift);
        let product = m.node("MatMul", &[&matrix, EMBEDDING_INPUT], &[]);
        let bias = m.floats(&[c_out, 1], bias);
        let offset = m.node("Add", &[&product, &bias], &[]);
        let extents = m.ints(&[1, -1, 1, 1]);
        let [scale, demodulation, offset] =
            [scale, demodulation, offset].map(|v| m.node("Reshape", &[&v, &extents], &[]));
        let x = m.node("Mul", &[x, &scale], &[]);
        let y = m.node("Conv", &[&x, &weight], attributes);
        let y = m.node("Mul", &[&y, &demodulation], &[]);
        Ok(m.node("Add", &[&y, &offset], &[]))
    }

    fn finish(&mut self, sum: String, residual: Option<TensorId>, activation: Activation, y: TensorId) {
        let is_watched = matches!(self.form, Form::Watched(_)) && is_in_bytes(self.plan, self.segment, y);
        let (watched_sum, watched_total) = (Watched::Sum.name(y), Watched::Total.name(y));
        let y = name(y);
        if is_watched {
            self.model.node_to("Identity", &[&sum], &[], &watched_sum);
        }
        let sum = match residual {
            Some(residual) => self.model.node("Add", &[&sum, &name(residual)], &[]),
            None => sum,
        };
        if is_watched && residual.is_some() {
            self.model.node_to("Identity", &[&sum], &[], &watched_total);
        }
        match activation {
            Activation::None => self.model.node_to("Identity", &[&sum], &[], &y),
            Activation::Relu => self.model.node_to("Relu", &[&sum], &[], &y),
            Activation::Leaky => self.model.node_to("LeakyRelu", &[&sum], &[("alpha", Attribute::Float(0.2))], &y),
            Activation::Sigmoid => self.model.node_to("Sigmoid", &[&sum], &[], &y),
        }
    }
}
