//! A model with an open number of pictures and inputs of several kinds, run as a server would run it.

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session as OrtSession, SessionInputValue};
use ort::value::Tensor;

use super::runtime;
use effigy_base::error::{ErrorKind, OrError, Result};

/// Values of an input.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers.
    F32(Vec<f32>),
    /// Unsigned bytes.
    Bytes(Vec<u8>),
}

/// An input by its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// What the model calls it.
    pub name: String,
    /// Its extents; the first counts pictures.
    pub dims: Vec<usize>,
    /// Row by row.
    pub values: Values,
}

/// An opened model whose runs may have any number of pictures. It takes memory on every run: not for the frame path.
pub struct BatchSession {
    name: String,
    session: OrtSession,
}

impl BatchSession {
    /// Opens the ONNX model in `bytes`, to run on `n_threads` threads; `name` is what messages call it.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when ONNX Runtime is missing or refuses the model.
    pub fn open(name: &str, bytes: &[u8], n_threads: usize) -> Result<Self> {
        let (environment, _) = runtime::environment()?;
        let session = (|| -> ort::Result<OrtSession> {
            let builder = OrtSession::builder(&environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(n_threads.max(1))?;
            { builder }.commit_from_memory(bytes)
        })()
        .or_error(ErrorKind::Model, || format!("ONNX Runtime refuses the model {name}"))?;
        Ok(Self { name: name.to_owned(), session })
    }

    /// Runs the model and returns its first output, which has to be of bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when an input is missing or has other extents, or ONNX Runtime fails.
    pub fn run(&mut self, inputs: Vec<Input>) -> Result<Vec<u8>> {
        let name = &self.name;
        (|| -> ort::Result<Vec<u8>> {
            let mut values: Vec<(String, SessionInputValue)> = Vec::with_capacity(inputs.len());
            for input in inputs {
                let value: SessionInputValue = match input.values {
                    Values::F32(values) => Tensor::from_array((input.dims, values))?.into(),
                    Values::Bytes(values) => Tensor::from_array((input.dims, values))?.into(),
                };
                values.push((input.name, value));
            }
            let outputs = self.session.run(values)?;
            let (_, bytes) = outputs[0].try_extract_tensor::<u8>()?;
            Ok(bytes.to_vec())
        })()
        .or_error(ErrorKind::Model, || format!("the model {name} failed to run"))
    }
}

impl std::fmt::Debug for BatchSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchSession").field("name", &self.name).finish_non_exhaustive()
    }
}
