//! Weights of motion models in their file: rows of 16-bit numbers, read without trust.

use std::sync::OnceLock;

use half::f16;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use effigy_base::error::{Error, ErrorKind, OrError as _, Result};

/// The file that belongs to the program.
pub const BUILT_IN: &[u8] = include_bytes!("../../../../models/motion.safetensors");

/// The model of the program's own file, read when it is first asked for.
///
/// # Errors
/// [`ErrorKind::Model`] when the program was built from a torn file.
pub(super) fn built_in<T>(model: &'static OnceLock<T>, read: fn(&[u8]) -> Result<T>) -> Result<&'static T> {
    if let Some(model) = model.get() {
        return Ok(model);
    }
    let read = read(BUILT_IN)?;
    Ok(model.get_or_init(|| read))
}

/// Reads a row of the given extents.
///
/// # Errors
/// [`ErrorKind::Model`] when it is missing, of another shape, or holds what is no number.
pub fn read(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let torn = |why: String| {
        Error::new(ErrorKind::Model, format!("the motion model is torn ({why}); install the program anew"))
    };
    let tensor = file.tensor(name).map_err(|error| torn(error.to_string()))?;
    if tensor.shape() != shape || tensor.dtype() != Dtype::F16 {
        return Err(torn(format!(
            "expected {name} of {shape:?} in f16, found {:?} in {:?}",
            tensor.shape(),
            tensor.dtype()
        )));
    }
    let values: Vec<f32> =
        tensor.data().as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect();
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(torn(format!("{name} holds no numbers")))
    }
}

/// Opens a file's bytes.
///
/// # Errors
/// [`ErrorKind::Model`] when they are no such file.
pub fn open(bytes: &[u8]) -> Result<SafeTensors<'_>> {
    SafeTensors::deserialize(bytes)
        .or_error(ErrorKind::Model, || "the motion model is torn; install the program anew".to_owned())
}

/// A weight: name, extents, values.
pub type Row = (String, Vec<usize>, Vec<f32>);

/// Reads all rows, as (name, extents, values), in the order of their names.
///
/// # Errors
/// As [`read`].
pub fn rows(bytes: &[u8]) -> Result<Vec<Row>> {
    let file = open(bytes)?;
    let mut names = file.names();
    names.sort_unstable();
    let row = |name: &str| {
        let shape = file.tensor(name).map(|tensor| tensor.shape().to_vec()).unwrap_or_default();
        let values = read(&file, name, &shape)?;
        Ok((name.to_owned(), shape, values))
    };
    names.into_iter().map(row).collect()
}

/// Writes rows, as (name, extents, values), into a file's bytes.
///
/// # Errors
/// [`ErrorKind::Internal`] when extents and values do not fit.
pub fn to_bytes(rows: &[Row]) -> Result<Vec<u8>> {
    let about = || "cannot write the motion model".to_owned();
    let halves: Vec<(&str, &[usize], Vec<u8>)> = rows
        .iter()
        .map(|(name, shape, values)| {
            let bytes = values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
            (name.as_str(), shape.as_slice(), bytes)
        })
        .collect();
    let views = halves
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F16, shape.to_vec(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .or_error(ErrorKind::Internal, about)?;
    safetensors::serialize(views, None).or_error(ErrorKind::Internal, about)
}
