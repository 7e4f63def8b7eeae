//! ONNX Runtime: loaded when the first model is opened, and run without taking memory.

use effigy_base::error::Result;

pub use batch::{BatchSession, Input, Values};
pub use session::{Provider, Session};

mod batch;
mod heap;
mod runtime;
mod session;
pub mod writer;

/// Checks that ONNX Runtime can be loaded, and says where it was found.
///
/// # Errors
/// [`effigy_base::error::ErrorKind::Model`] when it cannot; the message says what to type.
pub fn runtime_path() -> Result<String> {
    runtime::environment().map(|(_, path)| path)
}
