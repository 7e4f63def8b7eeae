//! One model, opened: buffers bound once, then run without taking memory.
#![expect(unsafe_code, reason = "the safe call for bound buffers allocates on every run")]

use std::ffi::CStr;

use ort::AsPointer;
use ort::ep::CUDA;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{IoBinding, Session as OrtSession};
use ort::value::{Outlet, Tensor, ValueType};

use effigy_base::error::{Error, ErrorKind, OrError, Result};

use super::runtime;

/// No input or output has more numbers: a gigabyte of them. What a file states is taken as memory when it is opened.
const MAX_NUMBERS: i64 = 1 << 28;

/// Which of ONNX Runtime's providers runs a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA card: needs an ONNX Runtime that was built for it.
    Cuda,
}

/// An opened model with fixed shapes and its own `f32` buffers for inputs and outputs.
///
/// Fill [`Session::input_mut`], call [`Session::run`], read [`Session::output`]. A run on the processor takes no memory
/// from Rust's allocator; ONNX Runtime keeps its own.
pub struct Session {
    name: String,
    binding: IoBinding,
    session: OrtSession,
    inputs: Vec<Tensor<f32>>,
    outputs: Vec<Tensor<f32>>,
    /// Whether each run binds the inputs: where they are not in the processor's memory, binding is what copies them there.
    binds_each_run: bool,
}

impl Session {
    /// Opens the ONNX model in `bytes`, to run on `n_threads` threads (the caller's is one of them; at least 1).
    ///
    /// `name` is what messages call it.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when ONNX Runtime is missing, refuses the model, or an input or output is not a
    /// tensor of `f32` with a fixed shape, but for its first extent, or has more than 268 million numbers.
    pub fn open(name: &str, bytes: &[u8], n_threads: usize) -> Result<Self> {
        Self::open_on(Provider::Cpu, name, bytes, n_threads)
    }

    /// The same on a provider of the caller's choice; buffers stay in the processor's memory.
    ///
    /// # Errors
    /// As [`Session::open`]; [`ErrorKind::BackendUnavailable`] when this ONNX Runtime has no such provider, or the provider
    /// finds no card.
    pub fn open_on(provider: Provider, name: &str, bytes: &[u8], n_threads: usize) -> Result<Self> {
        let (environment, _) = runtime::environment()?;
        let mut builder = OrtSession::builder(&environment)
            .or_error(ErrorKind::Model, || format!("ONNX Runtime has no room for the model {name}"))?;
        if provider == Provider::Cuda {
            let card = CUDA::default().build().error_on_failure();
            builder = builder.with_execution_providers([card]).map_err(ort::Error::<()>::from).or_error(
                ErrorKind::BackendUnavailable,
                || {
                    "ONNX Runtime cannot use an NVIDIA card; name the libonnxruntime.so of an onnxruntime-gpu in \
                 EFFIGY_ONNXRUNTIME, or give --backend cpu"
                        .to_owned()
                },
            )?;
        }
        let session = (|| -> ort::Result<OrtSession> {
            let builder: SessionBuilder = builder
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(n_threads.max(1))?
                .with_inter_threads(1)?
                // A thread that spins between frames takes a core from the other stages.
                .with_intra_op_spinning(false)?
                // Values near zero would be computed by microcode, a hundred times slower.
                .with_config_entry("session.set_denormal_as_zero", "1")?;
            { builder }.commit_from_memory(bytes)
        })()
        .or_error(ErrorKind::Model, || format!("ONNX Runtime refuses the model {name}"))?;

        let input_shapes = shapes(name, session.inputs())?;
        let output_shapes = shapes(name, session.outputs())?;
        let mut new = Self::bind(name, session, &input_shapes, &output_shapes)
            .or_error(ErrorKind::Model, || format!("ONNX Runtime cannot bind the buffers of the model {name}"))?;
        new.binds_each_run = provider == Provider::Cuda;
        Ok(new)
    }

    fn bind(name: &str, session: OrtSession, inputs: &[Vec<i64>], outputs: &[Vec<i64>]) -> ort::Result<Self> {
        let mut binding = session.create_binding()?;
        let mut this_inputs = Vec::new();
        for (outlet, shape) in session.inputs().iter().zip(inputs) {
            // Memory that the tensor owns: a tensor over borrowed memory would be bound as a copy.
            let n = shape.iter().product::<i64>() as usize;
            let tensor = Tensor::from_array((shape.clone(), vec![0.0_f32; n]))?;
            binding.bind_input(outlet.name(), &tensor)?;
            this_inputs.push(tensor);
        }
        let mut this_outputs = Vec::new();
        for (outlet, shape) in session.outputs().iter().zip(outputs) {
            let mut tensor = Tensor::<f32>::new(session.allocator(), shape.clone())?;
            binding.bind_output(outlet.name(), &mut tensor)?;
            this_outputs.push(tensor);
        }
        Ok(Self {
            name: name.to_owned(),
            binding,
            session,
            inputs: this_inputs,
            outputs: this_outputs,
            binds_each_run: false,
        })
    }

    /// Hands the inputs over as they are.
    fn bind_inputs(&mut self) -> ort::Result<()> {
        for (outlet, tensor) in self.session.inputs().iter().zip(&self.inputs) {
            self.binding.bind_input(outlet.name(), tensor)?;
        }
        Ok(())
    }

    /// How many inputs it has.
    pub fn n_inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Inputs in order: name and extents.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &[i64])> {
        self.session.inputs().iter().map(Outlet::name).zip(self.inputs.iter().map(|tensor| &**tensor.shape()))
    }

    /// Outputs in order: name and extents.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &[i64])> {
        self.session.outputs().iter().map(Outlet::name).zip(self.outputs.iter().map(|tensor| &**tensor.shape()))
    }

    /// The buffer of input `index` (0 is the first), to be filled before a run; it keeps its values after.
    ///
    /// # Panics
    /// When there is no such input.
    pub fn input_mut(&mut self, index: usize) -> &mut [f32] {
        self.inputs[index].extract_tensor_mut().1
    }

    /// The buffer of output `index` (0 is the first), as the last run left it.
    ///
    /// # Panics
    /// When there is no such output.
    pub fn output(&self, index: usize) -> &[f32] {
        self.outputs[index].extract_tensor().1
    }

    /// Runs the model from the input buffers into the output buffers.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when ONNX Runtime fails.
    pub fn run(&mut self) -> Result<()> {
        if self.binds_each_run {
            self.bind_inputs().or_error(ErrorKind::Model, || {
                format!("ONNX Runtime cannot take the inputs of the model {}", self.name)
            })?;
        }
        let api = ort::api();
        // SAFETY: session and binding are alive and belong together; the bound tensors live in `self.inputs` and
        // `self.outputs`, and no slice of theirs can exist while `self` is borrowed mutably. The API says that
        // the options may be null.
        let status =
            unsafe { (api.RunWithBinding)(self.session.ptr().cast_mut(), std::ptr::null(), self.binding.ptr()) };
        if status.0.is_null() {
            return Ok(());
        }
        // SAFETY: the status is not null, so that it carries a message that ends with a zero and lives until the
        // status is released, which happens here and only here.
        let message = unsafe {
            let message = CStr::from_ptr((api.GetErrorMessage)(status.0)).to_string_lossy().into_owned();
            (api.ReleaseStatus)(status.0);
            message
        };
        Err(Error::new(ErrorKind::Model, format!("the model {} failed to run: {message}", self.name)))
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("name", &self.name).finish_non_exhaustive()
    }
}

fn shapes(name: &str, outlets: &[Outlet]) -> Result<Vec<Vec<i64>>> {
    outlets
        .iter()
        .map(|outlet| match outlet.dtype() {
            ValueType::Tensor { ty: ort::value::TensorElementType::Float32, shape, .. }
                if shape.iter().skip(1).all(|&extent| extent > 0) =>
            {
                // A first extent that is left open is the number of pictures: one.
                let shape: Vec<i64> = shape.iter().map(|&extent| extent.max(1)).collect();
                let n_numbers = shape.iter().try_fold(1_i64, |n, &extent| n.checked_mul(extent));
                if n_numbers.is_some_and(|n| n <= MAX_NUMBERS) {
                    return Ok(shape);
                }
                Err(Error::new(
                    ErrorKind::Model,
                    format!(
                        "the model {name} has {} as {shape:?}; expected at most 268 million numbers: convert it again",
                        outlet.name()
                    ),
                ))
            }
            other => Err(Error::new(
                ErrorKind::Model,
                format!(
                    "the model {name} has {} as {other}; expected a tensor of f32 with a fixed shape: convert it again",
                    outlet.name()
                ),
            )),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Model;
    use crate::onnx::writer::ModelWriter;

    #[test]
    fn a_run_sees_what_was_written_and_a_torn_model_is_refused() {
        let mut session = Model::FaceDetector.open(1).unwrap();
        session.run().unwrap();
        let grey = session.output(1).to_vec();
        for (i, value) in session.input_mut(0).iter_mut().enumerate() {
            *value = if i % 7 == 0 { 0.5 } else { -0.5 };
        }
        session.run().unwrap();
        assert_eq!(session.output(1).len(), 896);
        assert_ne!(session.output(1), grey, "the bound input is a copy of ours");
        // As on a card, whose inputs are copies.
        let striped = session.output(1).to_vec();
        session.binds_each_run = true;
        session.input_mut(0).fill(0.0);
        session.run().unwrap();
        assert_eq!(session.output(1), grey, "bound anew");
        for (i, value) in session.input_mut(0).iter_mut().enumerate() {
            *value = if i % 7 == 0 { 0.5 } else { -0.5 };
        }
        session.run().unwrap();
        assert_eq!(session.output(1), striped, "bound anew");

        let bytes = Model::FaceDetector.read().unwrap();
        let error = Session::open("torn", &bytes[..bytes.len() / 2], 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.to_string().contains("refuses the model torn"), "{error}");
    }

    #[test]
    fn extents_beyond_any_memory_are_refused_with_the_inputs_name() {
        for extents in [[1_usize, 3, 1_000_000, 1_000_000], [1, 3, 1 << 31, 1 << 31], [3, 1 << 62, 4, 1]] {
            let mut model = ModelWriter::default();
            model.input("picture", &extents);
            model.node_to("Relu", &["picture"], &[], "same");
            model.output("same", &extents);
            let error = Session::open("vast", &model.finish("vast"), 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model, "{error}");
            let expected = format!("the model vast has picture as {extents:?}; expected at most 268 million numbers");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }
}
