//! What a killed training goes on from.

use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::adversary::Adversary;
use super::parameters::Parameters;
use effigy_base::error::{Error, ErrorKind, OrError as _, Result};

/// Before the names of the adversary's rows.
const ADVERSARY: &str = "adversary/";

/// Writes the state of a training after `n_steps`. A file that was there is replaced when all is written.
///
/// # Errors
/// [`ErrorKind::Io`] when the file cannot be written.
pub fn save(path: &Path, parameters: &Parameters, adversary: Option<&Adversary>, n_steps: usize) -> Result<()> {
    let about = || format!("cannot write the checkpoint {}", path.display());
    let of_adversary = adversary.map(|adversary| adversary.leaves().state()).unwrap_or_default();
    let of_adversary = of_adversary.into_iter().map(|(name, values)| (format!("{ADVERSARY}{name}"), values));
    let rows: Vec<(String, Vec<u8>)> = parameters
        .leaves()
        .state()
        .into_iter()
        .chain(of_adversary)
        .map(|(name, values)| (name, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = rows
        .iter()
        .map(|(name, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .or_error(ErrorKind::Internal, about)?;
    let header = [("size".to_owned(), parameters.size().name().to_owned()), ("steps".to_owned(), n_steps.to_string())];
    let bytes =
        safetensors::serialize(views, Some(header.into_iter().collect())).or_error(ErrorKind::Internal, about)?;
    replace(path, &bytes)
}

/// Goes on from a file of [`save`]; answers after how many steps it was written. An adversary that the file does not
/// know begins anew.
///
/// # Errors
/// [`ErrorKind::Model`] when it is torn or of another network.
pub fn load(path: &Path, parameters: &mut Parameters, adversary: Option<&mut Adversary>) -> Result<usize> {
    let about = || format!("cannot go on from the checkpoint {}", path.display());
    let bytes = std::fs::read(path).or_error(ErrorKind::Io, about)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).or_error(ErrorKind::Model, about)?;
    let entry = |key: &str| header.metadata().as_ref().and_then(|m| m.get(key)).cloned().unwrap_or_default();
    let (size, steps) = (entry("size"), entry("steps"));
    if size != parameters.size().name() {
        let expected = parameters.size().name();
        let message = format!("{}: expected a network `{expected}`, found \"{size}\"", about());
        return Err(Error::new(ErrorKind::Model, message));
    }
    let n_steps = steps.parse().or_error(ErrorKind::Model, about)?;
    let file = SafeTensors::deserialize(&bytes).or_error(ErrorKind::Model, about)?;
    let row = |name: &str| {
        let tensor = file.tensor(name).ok().filter(|tensor| tensor.dtype() == Dtype::F32)?;
        Some(tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    };
    parameters.leaves_mut().restore(row, n_steps)?;
    if let Some(adversary) = adversary.filter(|_| file.names().iter().any(|name| name.starts_with(ADVERSARY))) {
        adversary.leaves_mut().restore(|name| row(&format!("{ADVERSARY}{name}")), n_steps)?;
    }
    Ok(n_steps)
}

/// Puts a file in the place of another in one move.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    std::fs::write(&unfinished, bytes)
        .and_then(|()| std::fs::rename(&unfinished, path))
        .or_error(ErrorKind::Io, || format!("cannot write {}", path.display()))
}
