//! Named tensors in a safetensors file: written in 16 bits, read by somebody who trusts nothing.

use std::collections::BTreeMap;

use half::f16;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::plan::Param;
use effigy_base::error::{Error, ErrorKind, OrError as _, Result};

/// Extents and values by name.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Takes every tensor of `expected` out of a file, in f16 or f32, finite, and no other; `whose` says what they belong to.
///
/// # Errors
/// [`ErrorKind::Model`] with the tensor, what was expected and what was found.
pub fn read(file: &SafeTensors, expected: &[Param], whose: &str) -> Result<Tensors> {
    let model = |message: String| Error::new(ErrorKind::Model, message);
    let mut tensors = BTreeMap::new();
    for Param { name, dims } in expected {
        let tensor = file.tensor(name).map_err(|_| misfit(name, dims, "nothing"))?;
        if tensor.shape() != dims {
            return Err(misfit(name, dims, &format!("{:?}", tensor.shape())));
        }
        let values = numbers(&tensor)
            .ok_or_else(|| model(format!("{name}: expected f16 or f32, found {:?}", tensor.dtype())))?;
        if let Some(bad) = values.iter().find(|value| !value.is_finite()) {
            return Err(model(format!("{name} holds {bad}: the file is torn or the training diverged")));
        }
        tensors.insert(name.clone(), (dims.clone(), values));
    }
    if let Some(foreign) = file.names().into_iter().find(|name| !tensors.contains_key(*name)) {
        return Err(model(format!("{foreign} is no tensor of {whose}")));
    }
    Ok(tensors)
}

/// Writes tensors in f16 as the bytes of a file, with what its header shall say.
///
/// # Errors
/// [`ErrorKind::Internal`] only.
pub fn write<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a [usize], &'a [f32])>,
    header: &[(&str, &str)],
) -> Result<Vec<u8>> {
    let data: Vec<(&str, &[usize], Vec<u8>)> = tensors
        .map(|(name, dims, values)| {
            (name, dims, values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect())
        })
        .collect();
    let about = || "cannot write the weights".to_owned();
    let views = data
        .iter()
        .map(|(name, dims, bytes)| Ok((*name, TensorView::new(Dtype::F16, dims.to_vec(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .or_error(ErrorKind::Internal, about)?;
    let header = header.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    safetensors::serialize(views, Some(header)).or_error(ErrorKind::Internal, about)
}

/// A tensor that is missing or another one than expected.
pub(crate) fn misfit(name: &str, expected: &[usize], found: &str) -> Error {
    Error::new(ErrorKind::Model, format!("weights: expected {name} as {expected:?}, found {found}"))
}

fn numbers(tensor: &TensorView) -> Option<Vec<f32>> {
    match tensor.dtype() {
        Dtype::F16 => Some(tensor.data().as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect()),
        Dtype::F32 => Some(tensor.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()),
        _ => None,
    }
}
