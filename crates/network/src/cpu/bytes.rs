//! Convolutions in 8 bits: weights signed with a scale for each channel, activations unsigned with one for each tensor.
//!
//! Where a processor multiplies bytes (VNNI), a convolution takes a third of the time. The scales of activations come
//! from what examples showed ([`Ranges`]). The models run on channels-last bytes with ONNX Runtime's own operators;
//! what goes in and out stays f32, and so do layers whose answer is a place, a colour or a trust, and what a [`super::Rung`]
//! keeps.

use std::collections::BTreeSet;

use super::lower::{Form, Lowering, declare};
use super::ranges::{Ranges, Scale};
use super::segment::{Segment, name, parts, residual};
use crate::onnx::writer::{Attribute, ModelWriter};
use crate::plan::{Conv2d, Op, Plan, TensorId, UpConv2d};
use effigy_base::error::Result;

/// From (1, c, h, w) to (1, h, w, c), and back.
const CHANNELS_LAST: [(&str, Attribute); 1] = [("perm", Attribute::Ints(&[0, 2, 3, 1]))];
const CHANNELS_FIRST: [(&str, Attribute); 1] = [("perm", Attribute::Ints(&[0, 3, 1, 2]))];

/// Writes the model of a segment in 8 bits from folded weights.
///
/// # Errors
/// As [`super::lower::lower`].
pub(super) fn lower(plan: &Plan, segment: &Segment, params: &[&[f32]], ranges: &Ranges) -> Result<Vec<u8>> {
    let exact = Lowering { plan, form: Form::Folded(params), model: ModelWriter::default(), segment };
    let in_floats = segment.inputs.iter().copied().collect();
    let mut lowering = InBytes { exact, params, ranges, in_bytes: BTreeSet::new(), in_floats };
    declare(&mut lowering.exact);
    for &step in &segment.steps {
        lowering.step(step)?;
    }
    for &id in &segment.outputs {
        lowering.floats(id);
    }
    Ok(lowering.exact.model.finish(plan.name()))
}

struct InBytes<'a> {
    exact: Lowering<'a>,
    params: &'a [&'a [f32]],
    ranges: &'a Ranges,
    /// Tensors that the model has in bytes by now, and in f32.
    in_bytes: BTreeSet<TensorId>,
    in_floats: BTreeSet<TensorId>,
}

impl InBytes<'_> {
    fn step(&mut self, step: usize) -> Result<()> {
        let plan = self.exact.plan;
        let (layer, op) = &plan.steps()[step];
        let y = op.writes();
        if self.ranges.is_in_bytes(plan, self.exact.segment, y) {
            let sum = match op {
                Op::Conv2d(op) => self.conv2d(op),
                Op::UpConv2d(op) => self.up_conv2d(op),
                _ => return Ok(()),
            };
            self.finish(sum, residual(op), y);
            self.in_bytes.insert(y);
            return Ok(());
        }
        for id in op.reads() {
            self.floats(id);
        }
        match op {
            Op::Conv2d(op) => self.exact.conv2d(layer, op)?,
            Op::UpConv2d(op) => self.exact.up_conv2d(layer, op)?,
            Op::Linear(op) => self.exact.linear(layer, op)?,
            _ => {}
        }
        self.in_floats.insert(y);
        Ok(())
    }

    fn scale(&self, id: TensorId) -> Scale {
        self.ranges.tensor(self.exact.plan, id)
    }

    /// The two constants of a scale.
    fn constants(&mut self, scale: Scale) -> [String; 2] {
        [self.exact.model.floats(&[], &[scale.step]), self.exact.model.byte(scale.zero)]
    }

    /// A tensor in bytes, channels last; made from the one in f32, or from its parts, when nothing made it yet.
    fn bytes(&mut self, id: TensorId) -> String {
        let bytes = format!("bytes{}", id.index());
        if !self.in_bytes.insert(id) {
            return bytes;
        }
        if self.in_floats.contains(&id) {
            let [step, zero] = self.constants(self.scale(id));
            let rounded = self.exact.model.node("QuantizeLinear", &[&name(id), &step, &zero], &[]);
            self.exact.model.node_to("Transpose", &[&rounded], &CHANNELS_LAST, &bytes);
        } else {
            let parts = parts(self.exact.plan, id);
            let parts: Vec<String> = parts.into_iter().map(|part| self.bytes(part)).collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            self.exact.model.node_to("Concat", &parts, &[("axis", Attribute::Int(3))], &bytes);
        }
        bytes
    }

    /// Sees to it that a tensor is there in f32.
    fn floats(&mut self, id: TensorId) {
        if self.in_floats.contains(&id) {
            return;
        }
        let bytes = self.bytes(id);
        let [step, zero] = self.constants(self.scale(id));
        let first = self.exact.model.node("Transpose", &[&bytes], &CHANNELS_FIRST);
        self.exact.model.node_to("DequantizeLinear", &[&first, &step, &zero], &[], &name(id));
        self.in_floats.insert(id);
    }

    fn conv2d(&mut self, op: &Conv2d) -> String {
        let (pads, strides) = ([(op.kernel / 2) as i64; 4], [op.stride as i64; 2]);
        let (weight, bias) = (self.params[op.weight.index()], self.params[op.bias.index()]);
        self.convolution((op.x, op.y), weight, bias, (op.kernel, &pads, &strides))
    }

    /// Four 2×2 convolutions. Channels last, interleaving columns and then rows is joining along the last axis.
    fn up_conv2d(&mut self, op: &UpConv2d) -> String {
        let (weight, bias) = (self.params[op.weight.index()], self.params[op.bias.index()]);
        let shape = self.exact.plan.tensor(op.y).shape;
        let mut phases = Vec::new();
        for (phase, weight) in weight.chunks_exact(weight.len() / 4).enumerate() {
            let (a, b) = ((phase / 2) as i64, (phase % 2) as i64);
            phases.push(self.convolution((op.x, op.y), weight, bias, (2, &[1 - a, 1 - b, a, b], &[1, 1])));
        }
        let m = &mut self.exact.model;
        let join = |m: &mut ModelWriter, parts: [&str; 2], axis| m.node("Concat", &parts, &[("axis", axis)]);
        let row = m.ints(&[1, (shape.h / 2) as i64, (shape.w * shape.c) as i64]);
        let rows: Vec<String> = phases
            .chunks_exact(2)
            .map(|pair| {
                let columns = join(m, [&pair[0], &pair[1]], Attribute::Int(3));
                m.node("Reshape", &[&columns, &row], &[])
            })
            .collect();
        let joined = join(m, [&rows[0], &rows[1]], Attribute::Int(2));
        let extents = m.ints(&[1, shape.h as i64, shape.w as i64, shape.c as i64]);
        m.node("Reshape", &[&joined, &extents], &[])
    }

    /// A convolution in bytes: from the tensor `x` to the sum of the step that writes `y`.
    fn convolution(
        &mut self,
        (x, y): (TensorId, TensorId),
        weight: &[f32],
        bias: &[f32],
        (kernel, pads, strides): (usize, &[i64; 4], &[i64; 2]),
    ) -> String {
        let c_in = self.exact.plan.tensor(x).shape.c;
        let scale_x = self.scale(x);
        let (mut weights, mut steps, mut offsets) = (Vec::with_capacity(weight.len()), Vec::new(), Vec::new());
        for (taps, &bias) in weight.chunks_exact(c_in * kernel * kernel).zip(bias) {
            let step = scale_x.step_of_taps(taps, bias);
            weights.extend(taps.iter().map(|tap| (tap / step).round() as i8));
            offsets.push((bias / (step * scale_x.step)).round() as i32);
            steps.push(step);
        }
        let c_out = steps.len();
        let x = self.bytes(x);
        let [step_x, zero_x] = self.constants(scale_x);
        let [step_y, zero_y] = self.constants(self.ranges.sum(y));
        let m = &mut self.exact.model;
        let weights = m.signed_bytes(&[c_out, c_in, kernel, kernel], &weights);
        let zeros = m.signed_bytes(&[c_out], &vec![0; c_out]);
        let (steps, offsets) = (m.floats(&[c_out], &steps), m.short_ints(&offsets));
        let attributes = [
            ("channels_last", Attribute::Int(1)),
            ("pads", Attribute::Ints(pads)),
            ("strides", Attribute::Ints(strides)),
        ];
        let inputs = [&x, &step_x, &zero_x, &weights, &steps, &zeros, &step_y, &zero_y, &offsets];
        m.node("com.microsoft.QLinearConv", &inputs.map(String::as_str), &attributes)
    }

    fn finish(&mut self, sum: String, residual: Option<TensorId>, y: TensorId) {
        let mut scale = self.ranges.sum(y);
        let mut sum = sum;
        if let Some(residual) = residual {
            let total = self.ranges.total(y);
            let other = self.bytes(residual);
            let [[a, b], [c, d], [e, f]] = [scale, self.scale(residual), total].map(|scale| self.constants(scale));
            let inputs = [&sum, &a, &b, &other, &c, &d, &e, &f].map(String::as_str);
            sum = self.exact.model.node("com.microsoft.QLinearAdd", &inputs, &[]);
            scale = total;
        }
        let [[a, b], [c, d]] = [scale, self.scale(y)].map(|scale| self.constants(scale));
        let inputs = [&sum, &a, &b, &c, &d].map(String::as_str);
        let alpha = [("alpha", Attribute::Float(0.2))];
        let bytes = format!("bytes{}", y.index());
        self.exact.model.node_to("com.microsoft.QLinearLeakyRelu", &inputs, &alpha, &bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::ladder::Rung;
    use crate::cpu::segment;
    use crate::cpu::segments::cut;
    use crate::network::weights::Weights as NetworkWeights;
    use crate::network::{EMBEDDING, FrameOptions, Size, fold, frame};

    #[test]
    fn what_a_rung_keeps_stays_in_f32() {
        let plan = frame(&FrameOptions::new(Size::Small, 512));
        let params = fold(&plan, &NetworkWeights::random(Size::Small, 3), &[0.1; EMBEDDING]).unwrap();
        let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
        let mut n_in_bytes = Vec::new();
        for rung in Rung::LADDER {
            let mut ranges = Ranges::new(&plan);
            ranges.keep(rung, &plan);
            n_in_bytes.push(0);
            for segment in cut(&plan).1 {
                let model = lower(&plan, &segment, &params, &ranges).unwrap();
                for &step in &segment.steps {
                    let (layer, op) = &plan.steps()[step];
                    let weight = match op {
                        Op::Conv2d(op) => op.weight,
                        Op::UpConv2d(op) => op.weight,
                        _ => continue,
                    };
                    // Weights in f32 are in the model as they are; those in bytes are not.
                    let begin: Vec<u8> =
                        params[weight.index()][..16].iter().flat_map(|tap| tap.to_le_bytes()).collect();
                    let has_floats = model.windows(begin.len()).any(|window| window == begin);
                    let may_be_in_bytes = segment::is_in_bytes(&plan, &segment, op.writes());
                    assert_eq!(has_floats, !may_be_in_bytes || rung.keeps(layer), "{layer} on {rung:?}");
                    *n_in_bytes.last_mut().unwrap() += usize::from(!has_floats);
                }
            }
        }
        assert!(n_in_bytes[0] > n_in_bytes[1] && n_in_bytes[1] > n_in_bytes[2] && n_in_bytes[2] > 0, "{n_in_bytes:?}");
    }
}
