//! What a killed training goes on from.

use std::path::Path;

use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};

use super::adversary::Adversary;
use super::leaves::Leaves;
use super::parameters::Parameters;
use effigy_base::error::{Error, ErrorKind, OrError as _, Result};

/// Before the names of the adversary's rows.
const ADVERSARY: &str = "adversary/";

/// Writes the state of a training after `n_steps`. A file that was there is replaced when all is written.
///
/// # Errors
/// [`ErrorKind::Io`] when the file cannot be written.
pub fn save(path: &Path, parameters: &Parameters, adversary: Option<&Adversary>, n_steps: usize) -> Result<()> {
    let networks = [("", parameters.leaves())].into_iter();
    let networks = networks.chain(adversary.map(|adversary| (ADVERSARY, adversary.leaves())));
    save_networks(path, parameters.size().name(), &networks.collect::<Vec<_>>(), n_steps)
}

/// The same for any networks, each with what its rows' names begin with; `of` says what is trained.
///
/// # Errors
/// As [`save`].
pub fn save_networks(path: &Path, of: &str, networks: &[(&str, &Leaves)], n_steps: usize) -> Result<()> {
    let about = || format!("cannot write the checkpoint {}", path.display());
    let rows: Vec<(String, Vec<u8>)> = networks
        .iter()
        .flat_map(|(prefix, leaves)| leaves.state().into_iter().map(move |(name, values)| (prefix, name, values)))
        .map(|(prefix, name, values)| {
            (format!("{prefix}{name}"), values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = rows
        .iter()
        .map(|(name, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .or_error(ErrorKind::Internal, about)?;
    let header = [("size".to_owned(), of.to_owned()), ("steps".to_owned(), n_steps.to_string())];
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
    let of = parameters.size().name();
    let networks = [("", parameters.leaves_mut())].into_iter();
    let networks = networks.chain(adversary.map(|adversary| (ADVERSARY, adversary.leaves_mut())));
    load_networks(path, of, &mut networks.collect::<Vec<_>>())
}

/// The same for a file of [`save_networks`]. A network that the file does not know begins anew, but for the first.
///
/// # Errors
/// As [`load`].
pub fn load_networks(path: &Path, of: &str, networks: &mut [(&str, &mut Leaves)]) -> Result<usize> {
    let about = || format!("cannot go on from the checkpoint {}", path.display());
    let bytes = std::fs::read(path).or_error(ErrorKind::Io, about)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).or_error(ErrorKind::Model, about)?;
    let (found, steps) = (entry(&header, "size"), entry(&header, "steps"));
    if found != of {
        let message = format!("{}: expected a network `{of}`, found \"{found}\"", about());
        return Err(Error::new(ErrorKind::Model, message));
    }
    let n_steps = steps.parse().or_error(ErrorKind::Model, about)?;
    let file = SafeTensors::deserialize(&bytes).or_error(ErrorKind::Model, about)?;
    let row = |name: &str| {
        let tensor = file.tensor(name).ok().filter(|tensor| tensor.dtype() == Dtype::F32)?;
        Some(tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    };
    for (i, (prefix, leaves)) in networks.iter_mut().enumerate() {
        if i == 0 || file.names().iter().any(|name| name.starts_with(*prefix)) {
            leaves.restore(|name| row(&format!("{prefix}{name}")), n_steps)?;
        }
    }
    Ok(n_steps)
}

/// After how many steps a file of [`save`] was written.
///
/// # Errors
/// [`ErrorKind::Model`] when it is torn.
pub fn n_steps(path: &Path) -> Result<usize> {
    let about = || format!("cannot go on from the checkpoint {}", path.display());
    let bytes = std::fs::read(path).or_error(ErrorKind::Io, about)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).or_error(ErrorKind::Model, about)?;
    entry(&header, "steps").parse().or_error(ErrorKind::Model, about)
}

/// What a file's header says of `key`.
fn entry(header: &Metadata, key: &str) -> String {
    header.metadata().as_ref().and_then(|entries| entries.get(key)).cloned().unwrap_or_default()
}

/// Puts a file in the place of another in one move; where that fails nothing is left beside it.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let written = std::fs::write(&unfinished, bytes).and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        // It may not be there: what failed says enough.
        let _ = std::fs::remove_file(&unfinished);
    }
    written.or_error(ErrorKind::Io, || format!("cannot write {}", path.display()))
}
