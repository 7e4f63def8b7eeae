//! Values of a model's inputs.

use std::collections::BTreeMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView as FileView;

use super::graph::planes;
use super::{Exported, Port};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::generate::cpu::lower::EMBEDDING_INPUT;
use crate::generate::neural::{FrameInputs, IdentityTensors};
use crate::generate::plan::TensorView;
use crate::onnx::{Input, Values};

/// Names of the driving numbers and of an identity's tensors, in the plan's order.
const DRIVING: [&str; 9] =
    ["landmarks", "pose", "map32", "map64", "map128", "deformation32", "deformation64", "deformation128", "map"];
const IDENTITY: [&str; 5] = ["portrait64", "features32", "features64", "features128", "photo"];

/// Inputs of a general model that belong to an identity, not to a frame.
pub const IDENTITY_INPUTS: [&str; 6] =
    ["portrait64", "features32", "features64", "features128", "photo", EMBEDDING_INPUT];

/// Values of a model's inputs for some pictures of one identity.
///
/// # Errors
/// [`ErrorKind::Internal`] when the model has an input that nothing is known of.
pub fn inputs(exported: &Exported, tensors: &IdentityTensors, frames: &[FrameInputs]) -> Result<Vec<Input>> {
    let mut all: BTreeMap<&str, Values> = BTreeMap::new();
    for frame in frames {
        for (name, view) in DRIVING.into_iter().zip(frame.views()) {
            let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
            append(&mut all, name, values(view, bytes));
        }
        for (name, view) in IDENTITY.into_iter().zip(tensors.constants()) {
            append(&mut all, name, values(view, planes));
        }
        append(&mut all, EMBEDDING_INPUT, Values::F32(tensors.encoded.embedding.clone()));
    }
    let input = |port: &Port| {
        let unknown = || Error::new(ErrorKind::Internal, format!("no values for the input {}", port.name));
        let values = all.remove(port.name.as_str()).ok_or_else(unknown)?;
        let dims = std::iter::once(frames.len()).chain(port.dims.iter().copied()).collect();
        Ok(Input { name: port.name.clone(), dims, values })
    };
    exported.inputs.iter().map(input).collect()
}

fn values(view: TensorView, bytes: impl Fn(&[u32]) -> Vec<u8>) -> Values {
    match view {
        TensorView::F32(values) => Values::F32(values.to_vec()),
        TensorView::Words(words) => Values::Bytes(bytes(words)),
    }
}

fn append<'a>(all: &mut BTreeMap<&'a str, Values>, name: &'a str, more: Values) {
    match (all.get_mut(name), more) {
        (Some(Values::F32(values)), Values::F32(more)) => values.extend(more),
        (Some(Values::Bytes(values)), Values::Bytes(more)) => values.extend(more),
        (_, more) => {
            all.insert(name, more);
        }
    }
}

/// Values as the bytes of a safetensors file.
///
/// # Errors
/// [`ErrorKind::Internal`] only.
pub fn safetensors_of(values: &[Input]) -> Result<Vec<u8>> {
    let about = || "cannot write the tensors".to_owned();
    let data: Vec<(&str, Dtype, &[usize], Vec<u8>)> = values
        .iter()
        .map(|input| match &input.values {
            Values::F32(values) => {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                (input.name.as_str(), Dtype::F32, input.dims.as_slice(), bytes)
            }
            Values::Bytes(bytes) => (input.name.as_str(), Dtype::U8, input.dims.as_slice(), bytes.clone()),
        })
        .collect();
    let views = data
        .iter()
        .map(|(name, kind, dims, bytes)| Ok((*name, FileView::new(*kind, dims.to_vec(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .or_error(ErrorKind::Internal, about)?;
    safetensors::serialize(views, None).or_error(ErrorKind::Internal, about)
}
