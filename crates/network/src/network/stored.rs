//! What is stored of a network: its weights before any folding.

use super::EMBEDDING;
use crate::plan::{Op, Param, Plan};

/// Whether the embedding modulates a layer.
pub(super) fn is_modulated(layer: &str) -> bool {
    layer.starts_with("decoder.")
}

/// The tensors that a plan's weights are stored as, before any folding: 3×3 for upsampling layers, and for modulated
/// ones `LAYER.style` `[c_in, EMBEDDING]` (S above) and `LAYER.shift` `[c_out, EMBEDDING]` (T above). With an encoder
/// among the plans also `embedding.weight` `[EMBEDDING, c]` and `embedding.bias` `[EMBEDDING]`.
pub fn stored(plans: &[&Plan]) -> Vec<Param> {
    let mut params = Vec::new();
    for (plan, (layer, op)) in plans.iter().flat_map(|plan| plan.steps().iter().map(move |step| (plan, step))) {
        let Some([weight, bias]) = op.params() else { continue };
        let weight = &plan.params()[weight.index()];
        let (c_out, c_in, kernel) = match op {
            Op::UpConv2d(_) => (weight.dims[1], weight.dims[2], 3),
            _ => (weight.dims[0], weight.dims[1], weight.dims[2]),
        };
        params.push(Param { name: weight.name.clone(), dims: vec![c_out, c_in, kernel, kernel] });
        params.push(plan.params()[bias.index()].clone());
        if is_modulated(layer) {
            params.push(Param { name: format!("{layer}.style"), dims: vec![c_in, EMBEDDING] });
            params.push(Param { name: format!("{layer}.shift"), dims: vec![c_out, EMBEDDING] });
        }
        if layer == "encoder.down16" {
            params.push(Param { name: "embedding.weight".to_owned(), dims: vec![EMBEDDING, c_out] });
            params.push(Param { name: "embedding.bias".to_owned(), dims: vec![EMBEDDING] });
        }
    }
    params
}
