//! The processor's executor: convolutions in ONNX Runtime or, in 8 bits, in loops of our own, which do everything else, too.
//!
//! Neighbouring convolutions of a plan become one ONNX model, made in memory (`lower`); its
//! buffers are bound once. Warps, drawings and the finished picture are memory-bound, and ONNX
//! has no good words for them: they run between the models (`native`) and write straight into
//! the next model's input.
//!
//! Where the processor multiplies bytes, an executor that is shown examples runs most convolutions in
//! 8 bits (with scales from `ranges`): as many as leave its pictures of the examples close to those in f32 (`settle`,
//! which climbs the `ladder`). Where it has VNNI loops of our own do that (`direct`), else ONNX Runtime (`bytes`).

use super::plan::{Adoption, Element, Executor, Plan, Role, TensorView, TensorViewMut};
use crate::onnx::Session;
use effigy_base::error::{Error, ErrorKind, Result};

pub use self::ladder::Rung;
pub use self::lower::Form;
pub use self::ranges::Ranges;
pub use self::second::SecondThread;

use self::model::Model;
use self::native::{FinishLoop, WarpLoop};
use self::segment::Segment;

mod bytes;
#[cfg(target_arch = "x86_64")]
mod direct;
#[cfg(not(target_arch = "x86_64"))]
#[path = "cpu/elsewhere.rs"]
mod direct;
mod ladder;
pub mod lower;
mod model;
pub mod native;
mod ranges;
mod replay;
mod second;
pub mod segment;
mod segments;
pub mod settle;

/// One thing to do.
#[derive(Debug)]
enum Stage {
    /// Runs the model of this number.
    Model(usize),
    /// Runs one step of the plan in a loop of our own.
    Native(usize),
}

/// Where a tensor's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In memory of the executor's own.
    Own,
    /// In a model's input: (model, input).
    Input(usize, usize),
}

/// Replays a plan on the processor.
pub struct CpuExecutor {
    plan: Plan,
    n_threads: usize,
    stages: Vec<Stage>,
    segments: Vec<Segment>,
    models: Vec<Model>,
    /// Whether 8 bits may be tried, in loops of our own, and how much of `models` runs in them.
    may_use_bytes: bool,
    may_use_loops: bool,
    rung: Option<Rung>,
    places: Vec<Place>,
    /// By tensor; empty for what lives elsewhere.
    values: Vec<Vec<f32>>,
    constants: Vec<Vec<f32>>,
    constant_words: Vec<Vec<u32>>,
    /// By tensor: its place among the inputs or outputs of a run.
    ordinals: Vec<usize>,
    warp_loop: WarpLoop,
    finish_loop: FinishLoop,
    /// Shares the long loops.
    second: SecondThread,
}

impl CpuExecutor {
    /// Takes memory for a plan, to run on `n_threads` threads (the caller's is one of them).
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when ONNX Runtime is missing.
    pub fn new(plan: Plan, n_threads: usize) -> Result<Self> {
        crate::onnx::runtime_path().map_err(|error| {
            Error::new(ErrorKind::BackendUnavailable, "the backend cpu needs ONNX Runtime").because(error)
        })?;
        let (stages, segments) = segments::cut(&plan);
        let places = segments::places(&plan, &stages, &segments);
        let n = plan.tensors().len();
        let mut values = vec![Vec::new(); n];
        for (i, tensor) in plan.tensors().iter().enumerate() {
            let is_number = tensor.element != Element::Word;
            let is_own = places[i] == Place::Own && tensor.parent.is_none();
            if is_number && is_own && matches!(tensor.role, Role::Inner | Role::Output) {
                values[i] = vec![0.0; tensor.shape.len()];
            }
        }
        let mut ordinals = vec![0; n];
        for role in [Role::Input, Role::Constant, Role::Output] {
            for (k, id) in plan.of_role(role).enumerate() {
                ordinals[id.index()] = k;
            }
        }
        let n_constants = plan.of_role(Role::Constant).count();
        Ok(Self {
            n_threads,
            stages,
            segments,
            models: Vec::new(),
            may_use_bytes: settle::multiplies_bytes(),
            may_use_loops: true,
            rung: None,
            places,
            values,
            constants: vec![Vec::new(); n_constants],
            constant_words: vec![Vec::new(); n_constants],
            ordinals,
            warp_loop: WarpLoop::new(&plan),
            finish_loop: FinishLoop::new(&plan),
            second: SecondThread::new(n_threads > 1),
            plan,
        })
    }

    /// The same, but never in 8 bits.
    #[must_use]
    pub fn in_f32(mut self) -> Self {
        self.may_use_bytes = false;
        self
    }

    /// The same, with 8 bits by ONNX Runtime where loops of our own would run them: for benches.
    #[must_use]
    pub fn in_onnx(mut self) -> Self {
        self.may_use_loops = false;
        self
    }

    /// How many parts of the network ONNX Runtime runs, and how many loops of our own.
    pub fn n_models(&self) -> (usize, usize) {
        let n_onnx = self.models.iter().filter(|model| matches!(model, Model::Onnx(_))).count();
        (n_onnx, self.models.len() - n_onnx)
    }

    /// How much runs in 8 bits; nothing in f32.
    pub fn rung(&self) -> Option<Rung> {
        self.rung
    }

    /// Takes constants, and weights in a form of the caller's choice: for comparing forms.
    ///
    /// # Errors
    /// As [`Executor::adopt`].
    pub fn adopt_form(&mut self, form: Form, embedding: &[f32], constants: &[TensorView]) -> Result<()> {
        let mut sessions = self.open(|segment| lower::lower(&self.plan, segment, form))?;
        for (session, segment) in sessions.iter_mut().zip(&self.segments) {
            if session.n_inputs() > segment.inputs.len() {
                session.input_mut(segment.inputs.len()).copy_from_slice(embedding);
            }
        }
        for (k, values) in constants.iter().enumerate() {
            match values {
                TensorView::F32(values) => self.constants[k] = values.to_vec(),
                TensorView::Words(values) => self.constant_words[k] = values.to_vec(),
            }
        }
        self.take(sessions.into_iter().map(Model::onnx).collect());
        self.rung = None;
        Ok(())
    }

    /// Opens a model for each segment.
    fn open(&self, lower: impl Fn(&Segment) -> Result<Vec<u8>>) -> Result<Vec<Session>> {
        self.segments.iter().enumerate().map(|(i, segment)| self.open_one(i, &lower(segment)?)).collect()
    }

    /// Opens the model of segment `i`.
    fn open_one(&self, i: usize, model: &[u8]) -> Result<Session> {
        Session::open(&format!("{} part {}", self.plan.name(), i + 1), model, self.n_threads)
    }

    /// Runs on these models from now on; returns those before.
    fn take(&mut self, models: Vec<Model>) -> Vec<Model> {
        let before = std::mem::replace(&mut self.models, models);
        // A constant that a model reads is copied into its input now and never again.
        for id in self.plan.of_role(Role::Constant) {
            for (model, segment) in self.segments.iter().enumerate() {
                if let Some(input) = segment.inputs.iter().position(|&read| read == id) {
                    self.models[model].input_mut(input).copy_from_slice(&self.constants[self.ordinals[id.index()]]);
                }
            }
        }
        before
    }

    /// Runs the convolutions on what their inputs hold: for benches.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_models(&mut self) -> Result<()> {
        self.models.iter_mut().try_for_each(|model| model.run(&self.second))
    }
}

impl Executor for CpuExecutor {
    fn backend(&self) -> &str {
        if self.rung.is_some() { "cpu int8" } else { "cpu" }
    }

    fn device(&self) -> String {
        let bytes = if self.may_use_bytes { " (in 8 bits for a portrait that allows it)" } else { "" };
        format!("cpu{bytes}")
    }

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<()> {
        adoption.check(&self.plan);
        self.adopt_form(Form::Folded(&adoption.params), &[], &adoption.constants)
    }

    fn wants_examples(&self) -> bool {
        self.may_use_bytes
    }

    fn settle(&mut self, adoption: &Adoption, examples: &[Vec<TensorView>]) -> Result<()> {
        adoption.check(&self.plan);
        self.settle_on(&adoption.params, examples)
    }

    fn run(&mut self, inputs: &[TensorView], outputs: &mut [TensorViewMut]) -> Result<()> {
        if self.models.len() != self.segments.len() {
            return Err(Error::new(ErrorKind::Internal, "asked to run a network before anything was adopted"));
        }
        self.plan.check_run(inputs, outputs);
        for stage in 0..self.stages.len() {
            match self.stages[stage] {
                Stage::Model(model) => self.run_model(model, inputs)?,
                Stage::Native(step) => self.run_native(step, inputs, outputs),
            }
        }
        for (id, out) in self.plan.of_role(Role::Output).zip(outputs) {
            if let TensorViewMut::F32(out) = out {
                out.copy_from_slice(&self.values[id.index()]);
            }
        }
        Ok(())
    }
}
