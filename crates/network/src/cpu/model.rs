//! What runs a segment: a model of ONNX Runtime's, or loops of our own.

use super::direct::DirectModel;
use super::second::SecondThread;
use crate::onnx::Session;
use effigy_base::error::Result;

/// The model of a segment, with buffers of its own for what goes in and out.
pub(super) enum Model {
    Onnx(Box<Session>),
    Direct(DirectModel),
}

impl Model {
    pub(super) fn onnx(session: Session) -> Self {
        Self::Onnx(Box::new(session))
    }

    /// As [`Session::input_mut`].
    pub(super) fn input_mut(&mut self, index: usize) -> &mut [f32] {
        match self {
            Self::Onnx(session) => session.input_mut(index),
            Self::Direct(model) => model.input_mut(index),
        }
    }

    /// As [`Session::output`].
    pub(super) fn output(&self, index: usize) -> &[f32] {
        match self {
            Self::Onnx(session) => session.output(index),
            Self::Direct(model) => model.output(index),
        }
    }

    /// Runs it from its inputs into its outputs.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub(super) fn run(&mut self, second: &SecondThread) -> Result<()> {
        match self {
            Self::Onnx(session) => session.run(),
            Self::Direct(model) => {
                model.run(second);
                Ok(())
            }
        }
    }
}
