//! Convolutions in 8 bits in the standard's own words: every number that bytes shall hold is rounded to what they can.

use crate::cpu::ranges::{Ranges, Scale};
use crate::cpu::segment::name;
use crate::onnx::writer::Attribute;
use crate::plan::TensorId;

use super::Lowering;

impl Lowering<'_> {
    /// A convolution of what the step that writes `y` reads in bytes, if that step is in bytes; otherwise a plain one.
    pub(super) fn rounded(
        &mut self,
        (x, y): (TensorId, TensorId),
        ranges: &Ranges,
        dims: &[usize; 4],
        (weight, bias): (&[f32], &[f32]),
        attributes: &[(&str, Attribute)],
    ) -> String {
        if !ranges.is_in_bytes(self.plan, self.segment, y) {
            let (weight, bias) = (self.model.floats(dims, weight), self.model.floats(&[dims[0]], bias));
            return self.model.node("Conv", &[&name(x), &weight, &bias], attributes);
        }
        let scale_x = ranges.tensor(self.plan, x);
        let x = self.round(&name(x), scale_x);
        let channels = weight.chunks_exact(dims[1..].iter().product()).zip(bias);
        let (mut weights, mut steps, mut offsets) = (Vec::with_capacity(weight.len()), Vec::new(), Vec::new());
        for (taps, &bias) in channels {
            let step = scale_x.step_of_taps(taps, bias);
            weights.extend(taps.iter().map(|tap| (tap / step).round() as i8));
            offsets.push((bias / (step * scale_x.step)).round() as i32);
            steps.push(step);
        }
        let of_products: Vec<f32> = steps.iter().map(|step| step * scale_x.step).collect();
        let c_out = steps.len();
        let m = &mut self.model;
        let axis = [("axis", Attribute::Int(0))];
        let (weights, steps) = (m.signed_bytes(dims, &weights), m.floats(&[c_out], &steps));
        let zeros = m.signed_bytes(&[c_out], &vec![0; c_out]);
        let weight = m.node("DequantizeLinear", &[&weights, &steps, &zeros], &axis);
        let (offsets, of_products) = (m.short_ints(&offsets), m.floats(&[c_out], &of_products));
        let bias = m.node("DequantizeLinear", &[&offsets, &of_products], &axis);
        let sum = m.node("Conv", &[&x, &weight, &bias], attributes);
        self.round(&sum, ranges.sum(y))
    }

    /// A value as bytes can hold it.
    pub(super) fn round(&mut self, value: &str, scale: Scale) -> String {
        let (step, zero) = (self.model.floats(&[], &[scale.step]), self.model.byte(scale.zero));
        let bytes = self.model.node("QuantizeLinear", &[value, &step, &zero], &[]);
        self.model.node("DequantizeLinear", &[&bytes, &step, &zero], &[])
    }
}
