//! Another machine that makes the pictures.

use std::sync::Arc;

use super::player::{FrameInputs, Introduction};
use crate::error::Result;
use crate::frame::Rgba;
use crate::trace::Away;

/// Makes pictures on another machine, as long as it does.
///
/// It is given an identity's tensors and driving numbers, and nothing else: no type of this trait holds a picture of
/// the driver.
pub trait Elsewhere: Send {
    /// Where that is, for the user and the report.
    fn name(&self) -> &str;

    /// Tells it whom it will be asked for. Slow for the first; others are told in the background.
    ///
    /// # Errors
    /// When the machine answers, and what it makes cannot be used: another model, other weights, no permission. That it
    /// cannot be reached is no error.
    fn introduce(&mut self, whom: &Arc<Introduction>) -> Result<()>;

    /// Asks for the picture of `frame` and waits a bounded time for it; `None` when it has to be made here.
    ///
    /// Allocates nothing.
    fn picture(&mut self, whom: &Arc<Introduction>, frame: &FrameInputs, picture: &mut Rgba) -> Option<Away>;
}
