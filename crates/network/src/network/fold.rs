//! Two exact identities that take work out of the frame path.
//!
//! *Identity.* A decoder layer computes `y = d ⊙ conv(s ⊙ x, w) + b + t` with `s = 1 + S e` for each input channel,
//! `t = T e` for each output channel, and `d = |w| / |s w|` for each output channel's taps; `e` is the embedding. While
//! `e` stands still, `w' = d w s` and `b' = b + t` give the same with a plain convolution.
//!
//! *Upsampling.* A 3×3 convolution of a picture enlarged twice (nearest) reads each small pixel up to four times; the
//! taps that read the same pixel are summed beforehand: one 2×2 convolution for each of four phases.

use super::EMBEDDING;
use super::stored::is_modulated;
use super::weights::Weights;
use crate::plan::{Op, Plan};
use effigy_base::error::Result;

/// Keeps the ratio of two norms finite.
const EPSILON: f32 = 1e-8;

/// The embedding from the encoder's last output (c, n, n): its mean over the pixels, then one linear layer.
///
/// # Errors
/// When the weights lack the layer.
pub fn pooled_embedding(weights: &Weights, last: &[f32], c: usize) -> Result<Vec<f32>> {
    let weight = weights.get("embedding.weight", &[EMBEDDING, c])?;
    let bias = weights.get("embedding.bias", &[EMBEDDING])?;
    let n = last.len() / c;
    let means: Vec<f32> = last.chunks_exact(n).map(|plane| plane.iter().sum::<f32>() / n as f32).collect();
    Ok(weight.chunks_exact(c).zip(bias).map(|(row, bias)| bias + dot(row, &means)).collect())
}

/// Values of a plan's parameters, in its order, for one identity.
///
/// # Errors
/// When the weights lack a layer or have it in another shape.
pub fn fold(plan: &Plan, weights: &Weights, embedding: &[f32]) -> Result<Vec<Vec<f32>>> {
    let mut values = Vec::with_capacity(plan.params().len());
    for (layer, op) in plan.steps() {
        let Some([weight, bias]) = op.params() else { continue };
        let dims = &plan.params()[weight.index()].dims;
        let is_upsampling = matches!(op, Op::UpConv2d(_));
        let (c_out, c_in, kernel) = if is_upsampling { (dims[1], dims[2], 3) } else { (dims[0], dims[1], dims[2]) };
        let mut w = weights.get(&plan.params()[weight.index()].name, &[c_out, c_in, kernel, kernel])?.to_vec();
        let mut b = weights.get(&plan.params()[bias.index()].name, &[c_out])?.to_vec();
        if is_modulated(layer) {
            let style = weights.get(&format!("{layer}.style"), &[c_in, EMBEDDING])?;
            let shift = weights.get(&format!("{layer}.shift"), &[c_out, EMBEDDING])?;
            let (scale, demodulation) = modulate(&w, style, embedding, c_out);
            for (o, taps) in w.chunks_exact_mut(c_in * kernel * kernel).enumerate() {
                for (c, taps) in taps.chunks_exact_mut(kernel * kernel).enumerate() {
                    taps.iter_mut().for_each(|tap| *tap *= scale[c] * demodulation[o]);
                }
            }
            for (b, row) in b.iter_mut().zip(shift.chunks_exact(EMBEDDING)) {
                *b += dot(row, embedding);
            }
        }
        values.push(if is_upsampling { fold_upsampling(&w, c_out, c_in) } else { w });
        values.push(b);
    }
    Ok(values)
}

/// The factors of a modulated layer: one for each input channel (s), one for each output channel (d).
///
/// `weight` is `[c_out, c_in, k, k]`, `style` `[c_in, EMBEDDING]`.
pub fn modulate(weight: &[f32], style: &[f32], embedding: &[f32], c_out: usize) -> (Vec<f32>, Vec<f32>) {
    let scale: Vec<f32> = style.chunks_exact(EMBEDDING).map(|row| 1.0 + dot(row, embedding)).collect();
    let n_taps = weight.len() / (c_out * scale.len());
    let demodulation = weight.chunks_exact(scale.len() * n_taps).map(|taps| {
        let (mut own, mut scaled) = (EPSILON, EPSILON);
        for (taps, scale) in taps.chunks_exact(n_taps).zip(&scale) {
            let square = dot(taps, taps);
            own += square;
            scaled += square * scale * scale;
        }
        (own / scaled).sqrt()
    });
    let demodulation = demodulation.collect();
    (scale, demodulation)
}

/// Four 2×2 kernels `[4, c_out, c_in, 2, 2]` that do on the small picture what `weight` `[c_out, c_in, 3, 3]` does on
/// the one enlarged twice.
pub fn fold_upsampling(weight: &[f32], c_out: usize, c_in: usize) -> Vec<f32> {
    let n = c_out * c_in;
    let mut folded = vec![0.0; 4 * n * 4];
    for (k, taps) in weight.chunks_exact(9).enumerate() {
        for phase in 0..4 {
            for (tap, value) in taps.iter().enumerate() {
                // Even phase: tap 0 reads the pixel before, 1 and 2 its own; odd: 0 and 1 its own, 2 the next.
                let place = |tap: usize, is_odd: bool| if is_odd { tap / 2 } else { tap.div_ceil(2) };
                let (p, q) = (place(tap / 3, phase / 2 == 1), place(tap % 3, phase % 2 == 1));
                folded[(phase * n + k) * 4 + 2 * p + q] += value;
            }
        }
    }
    folded
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
