//! Convolutions whose weights follow an embedding that the model is given, as the network is trained.

use crate::network::EMBEDDING;
use crate::network::weights::Weights;
use crate::onnx::writer::{Attribute, FLOAT16};
use effigy_base::error::Result;

use super::{EMBEDDING_INPUT, Lowering};

/// The factors of a modulated layer in a model: (n, c, 1, 1) each.
pub(super) struct Modulation {
    pub(super) scale: String,
    demodulation: String,
    offset: String,
}

impl Lowering<'_> {
    /// A convolution with its modulation computed in the model.
    pub(super) fn unfolded(
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
        let factors = self.modulation(layer, weights, raw, [c_out, c_in])?;
        let x = self.model.node("Mul", &[x, &factors.scale], &[]);
        let y = self.model.node("Conv", &[&x, &weight], attributes);
        Ok(self.demodulated(&y, &factors))
    }

    /// Computes the factors of a modulated layer from the embedding, in f32, for each picture of a batch.
    pub(super) fn modulation(
        &mut self,
        layer: &str,
        weights: &Weights,
        raw: &[f32],
        [c_out, c_in]: [usize; 2],
    ) -> Result<Modulation> {
        let style = weights.get(&format!("{layer}.style"), &[c_in, EMBEDDING])?;
        let shift = weights.get(&format!("{layer}.shift"), &[c_out, EMBEDDING])?;
        let bias = weights.get(&format!("{layer}.bias"), &[c_out])?;
        let m = &mut self.model;
        let is_half = m.set_half(false);
        // A x Bᵀ + c, with a row of A for each picture.
        let product = [("transB", Attribute::Int(1))];
        let (matrix, ones) = (m.floats(&[c_in, EMBEDDING], style), m.floats(&[1], &[1.0]));
        let scale = m.node("Gemm", &[EMBEDDING_INPUT, &matrix, &ones], &product);
        // Squared taps, summed for each pair of channels: |s w|² is one product of a matrix with s².
        let n_taps = raw.len() / (c_out * c_in);
        let squares: Vec<f32> = raw.chunks_exact(n_taps).map(|t| t.iter().map(|w| w * w).sum()).collect();
        let own: Vec<f32> = squares.chunks_exact(c_in).map(|row| row.iter().sum::<f32>() + 1e-8).collect();
        let (squares, own) = (m.floats(&[c_out, c_in], &squares), m.floats(&[1, c_out], &own));
        let epsilon = m.floats(&[1], &[1e-8]);
        let scale2 = m.node("Mul", &[&scale, &scale], &[]);
        let scaled = m.node("Gemm", &[&scale2, &squares, &epsilon], &product);
        let ratio = m.node("Div", &[&own, &scaled], &[]);
        let demodulation = m.node("Sqrt", &[&ratio], &[]);
        let (matrix, bias) = (m.floats(&[c_out, EMBEDDING], shift), m.floats(&[c_out], bias));
        let offset = m.node("Gemm", &[EMBEDDING_INPUT, &matrix, &bias], &product);
        let extents = m.ints(&[0, -1, 1, 1]);
        m.set_half(is_half);
        let [scale, demodulation, offset] = [scale, demodulation, offset].map(|factors| {
            let factors = m.node("Reshape", &[&factors, &extents], &[]);
            let half = [("to", Attribute::Int(FLOAT16 as i64))];
            if is_half { m.node("Cast", &[&factors], &half) } else { factors }
        });
        Ok(Modulation { scale, demodulation, offset })
    }

    pub(super) fn demodulated(&mut self, y: &str, factors: &Modulation) -> String {
        let y = self.model.node("Mul", &[y, &factors.demodulation], &[]);
        self.model.node("Add", &[&y, &factors.offset], &[])
    }
}
