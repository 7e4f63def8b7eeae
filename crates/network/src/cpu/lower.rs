//! Turns the convolutions of a plan into an ONNX model.

use super::ranges::Ranges;
use super::segment::{Segment, Watched, dims, is_in_bytes, name, parts, watched};
use crate::network::weights::Weights;
use crate::network::{EMBEDDING, fold_upsampling};
use crate::onnx::writer::{Attribute, ModelWriter};
use crate::plan::{Activation, Conv2d, Linear, Op, Plan, TensorId, UpConv2d};
use effigy_base::error::Result;

mod modulation;
mod rounding;

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
    /// The embedding is an input, one for each picture; enlarging and convolving are one step. For models that leave the
    /// program.
    Modulated(&'a Weights),
    /// Folded weights, and what is in 8 bits on the processor rounded to them, in the standard's own words
    /// (`QuantizeLinear`, `DequantizeLinear`). For models that leave the program.
    Rounded(&'a [&'a [f32]], &'a Ranges),
}

/// What the input of a model that takes the embedding is called; it is the last one.
pub const EMBEDDING_INPUT: &str = "embedding";

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
        lowering.model.input(EMBEDDING_INPUT, &[1, EMBEDDING]);
    }
    lowering.concatenations();
    for &step in &segment.steps {
        let (layer, op) = &plan.steps()[step];
        match op {
            Op::Conv2d(op) => lowering.conv2d(layer, op)?,
            Op::UpConv2d(op) => lowering.up_conv2d(layer, op)?,
            Op::Linear(op) => lowering.linear(layer, op)?,
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
pub struct Lowering<'a> {
    /// What is written.
    pub plan: &'a Plan,
    /// How its weights are written.
    pub form: Form<'a>,
    /// The model so far.
    pub model: ModelWriter,
    /// The steps that this model has.
    pub segment: &'a Segment,
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

    /// Writes a convolution with what follows it.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Model`] when weights that are not folded lack this layer.
    pub fn conv2d(&mut self, layer: &str, op: &Conv2d) -> Result<()> {
        let (c_in, c_out) = (self.plan.tensor(op.x).shape.c, self.plan.tensor(op.y).shape.c);
        let pads = [(op.kernel / 2) as i64; 4];
        let strides = [op.stride as i64; 2];
        let attributes = [("pads", Attribute::Ints(&pads)), ("strides", Attribute::Ints(&strides))];
        let dims = [c_out, c_in, op.kernel, op.kernel];
        let sum = match self.form {
            Form::Folded(params) | Form::Watched(params) => {
                let weight = self.model.floats(&dims, params[op.weight.index()]);
                let bias = self.model.floats(&[c_out], params[op.bias.index()]);
                self.model.node("Conv", &[&name(op.x), &weight, &bias], &attributes)
            }
            Form::Rounded(params, ranges) => {
                let (weight, bias) = (params[op.weight.index()], params[op.bias.index()]);
                self.rounded((op.x, op.y), ranges, &dims, (weight, bias), &attributes)
            }
            Form::Modulated(weights) if layer.starts_with("decoder.") => {
                let raw = weights.get(&format!("{layer}.weight"), &dims)?;
                let factors = self.modulation(layer, weights, raw, [c_out, c_in])?;
                let x = self.model.node("Mul", &[&name(op.x), &factors.scale], &[]);
                let weight = self.model.floats(&dims, raw);
                let y = self.model.node("Conv", &[&x, &weight], &attributes);
                self.demodulated(&y, &factors)
            }
            Form::Unfolded(weights) | Form::Modulated(weights) => {
                self.unfolded(layer, weights, &name(op.x), [c_out, c_in, op.kernel], &attributes)?
            }
        };
        self.finish(sum, op.residual, op.activation, op.y);
        Ok(())
    }

    /// The same for one that doubles the resolution.
    ///
    /// # Errors
    /// As [`Lowering::conv2d`].
    pub fn up_conv2d(&mut self, layer: &str, op: &UpConv2d) -> Result<()> {
        let (c_in, c_out) = (self.plan.tensor(op.x).shape.c, self.plan.tensor(op.y).shape.c);
        let x = name(op.x);
        let sum = match self.form {
            Form::Folded(params) | Form::Watched(params) => {
                let (weight, bias) = (params[op.weight.index()], params[op.bias.index()]);
                self.phases(op, weight, bias, c_in, c_out)
            }
            Form::Rounded(params, ranges) => {
                let (weight, bias) = (params[op.weight.index()], params[op.bias.index()]);
                self.each_phase(weight, [c_out, c_in], |lowering, dims, weight, attributes| {
                    lowering.rounded((op.x, op.y), ranges, dims, (weight, bias), attributes)
                })
            }
            Form::Modulated(weights) => {
                let raw = weights.get(&format!("{layer}.weight"), &[c_out, c_in, 3, 3])?;
                let folded = fold_upsampling(raw, c_out, c_in);
                let is_modulated = layer.starts_with("decoder.");
                let factors =
                    if is_modulated { Some(self.modulation(layer, weights, raw, [c_out, c_in])?) } else { None };
                let x = match &factors {
                    Some(factors) => self.model.node("Mul", &[&x, &factors.scale], &[]),
                    None => x,
                };
                let bias = weights.get(&format!("{layer}.bias"), &[c_out])?;
                let bias = factors.is_none().then(|| self.model.floats(&[c_out], bias));
                let y = self.each_phase(&folded, [c_out, c_in], |lowering, dims, weight, attributes| {
                    let weight = lowering.model.floats(dims, weight);
                    let inputs: Vec<&str> = [&x, &weight].into_iter().chain(&bias).map(String::as_str).collect();
                    lowering.model.node("Conv", &inputs, attributes)
                });
                match factors {
                    Some(factors) => self.demodulated(&y, &factors),
                    None => y,
                }
            }
            Form::Unfolded(weights) => {
                let scales = self.model.floats(&[4], &[1.0, 1.0, 2.0, 2.0]);
                let attributes = [
                    ("mode", Attribute::Text("nearest")),
                    ("nearest_mode", Attribute::Text("floor")),
                    ("coordinate_transformation_mode", Attribute::Text("asymmetric")),
                ];
                let large = self.model.node("Resize", &[&x, "", &scales], &attributes);
                let attributes = [("pads", Attribute::Ints(&[1; 4]))];
                self.unfolded(layer, weights, &large, [c_out, c_in, 3], &attributes)?
            }
        };
        self.finish(sum, op.residual, op.activation, op.y);
        Ok(())
    }

    /// Writes a linear layer: a product with a row of numbers, shaped as the plan has it.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Model`] when weights that are not folded lack this layer.
    pub fn linear(&mut self, layer: &str, op: &Linear) -> Result<()> {
        let (n_in, y) = (self.plan.tensor(op.x).shape.len(), self.plan.tensor(op.y).shape);
        let (weight, bias) = match self.form {
            Form::Folded(params) | Form::Watched(params) | Form::Rounded(params, _) => {
                (params[op.weight.index()], params[op.bias.index()])
            }
            Form::Unfolded(weights) | Form::Modulated(weights) => (
                weights.get(&format!("{layer}.weight"), &[y.len(), n_in])?,
                weights.get(&format!("{layer}.bias"), &[y.len()])?,
            ),
        };
        let weight = self.model.floats(&[y.len(), n_in], weight);
        let bias = self.model.floats(&[y.len()], bias);
        let row = self.model.node("Flatten", &[&name(op.x)], &[]);
        let sum = self.model.node("Gemm", &[&row, &weight, &bias], &[("transB", Attribute::Int(1))]);
        let extents = self.model.ints(&[-1, y.c as i64, y.h as i64, y.w as i64]);
        let sum = self.model.node("Reshape", &[&sum, &extents], &[]);
        self.finish(sum, None, op.activation, op.y);
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
        self.each_phase(weight, [c_out, c_in], |lowering, dims, weight, attributes| {
            let weight = lowering.model.floats(dims, weight);
            lowering.model.node("Conv", &[&name(op.x), &weight, &bias], attributes)
        })
    }

    /// Calls `convolve` with the extents, the weights and the attributes of each phase, and interleaves what it makes.
    fn each_phase(
        &mut self,
        weight: &[f32],
        [c_out, c_in]: [usize; 2],
        mut convolve: impl FnMut(&mut Self, &[usize; 4], &[f32], &[(&str, Attribute)]) -> String,
    ) -> String {
        let mut phases = Vec::new();
        for (phase, weight) in weight.chunks_exact(c_out * c_in * 4).enumerate() {
            let (a, b) = ((phase / 2) as i64, (phase % 2) as i64);
            let pads = [1 - a, 1 - b, a, b];
            phases.push(convolve(self, &[c_out, c_in, 2, 2], weight, &[("pads", Attribute::Ints(&pads))]));
        }
        let phases: Vec<&str> = phases.iter().map(String::as_str).collect();
        let stacked = self.model.node("Concat", &phases, &[("axis", Attribute::Int(1))]);
        self.model.node(
            "DepthToSpace",
            &[&stacked],
            &[("blocksize", Attribute::Int(2)), ("mode", Attribute::Text("DCR"))],
        )
    }

    fn finish(&mut self, sum: String, residual: Option<TensorId>, activation: Activation, y: TensorId) {
        let is_in_bytes = is_in_bytes(self.plan, self.segment, y);
        let is_watched = matches!(self.form, Form::Watched(_)) && is_in_bytes;
        let rounded_by = match self.form {
            Form::Rounded(_, ranges) if ranges.is_in_bytes(self.plan, self.segment, y) => Some(ranges),
            _ => None,
        };
        let (watched_sum, watched_total) = (Watched::Sum.name(y), Watched::Total.name(y));
        let scale = rounded_by.map(|ranges| ranges.tensor(self.plan, y));
        let id = y;
        let y = name(y);
        if is_watched {
            self.model.node_to("Identity", &[&sum], &[], &watched_sum);
        }
        let mut sum = match residual {
            Some(residual) => self.model.node("Add", &[&sum, &name(residual)], &[]),
            None => sum,
        };
        if is_watched && residual.is_some() {
            self.model.node_to("Identity", &[&sum], &[], &watched_total);
        }
        if let (Some(ranges), true) = (rounded_by, residual.is_some()) {
            sum = self.round(&sum, ranges.total(id));
        }
        let (kind, attributes) = match activation {
            Activation::None => ("Identity", &[][..]),
            Activation::Relu => ("Relu", &[][..]),
            Activation::Leaky => ("LeakyRelu", &[("alpha", Attribute::Float(0.2))][..]),
            Activation::Sigmoid => ("Sigmoid", &[][..]),
        };
        match scale {
            Some(scale) => {
                let made = self.model.node(kind, &[&sum], attributes);
                let rounded = self.round(&made, scale);
                self.model.node_to("Identity", &[&rounded], &[], &y);
            }
            None => self.model.node_to(kind, &[&sum], attributes, &y),
        }
    }
}
