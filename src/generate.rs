//! Makes the portrait move: a [`Generator`] turns an identity and a driving signal into a picture.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::frame::Rgba;
use crate::identity::Identity;
use crate::signal::DrivingSignal;
use crate::trace::Away;

pub use effigy_network::{cards, choose, cpu, family, network, plan, roofline, twin, weights};

mod canvas;
pub mod founding;
mod mouth;
pub mod neural;
pub mod pack;
mod reader;
mod shade;
pub mod views;
pub mod warp;

pub(crate) use canvas::into_planes;
pub use reader::DriverReader;

/// The generated person without background: colour, and alpha where the person is.
///
/// (size, size, 4), sRGB, alpha not multiplied in.
#[derive(Clone, Debug, Default)]
pub struct Portrait {
    /// The picture.
    pub picture: Rgba,
}

/// Makes pictures of one identity at a time.
pub trait Generator: Send {
    /// What it is, for the user and the report: `warp`, `small`, `large`, the name of a founding family, or
    /// what a pack calls itself.
    fn name(&self) -> &str;

    /// What it runs on, for the user and the report: `cpu`, `cuda`, `wgpu`.
    fn backend(&self) -> &str;

    /// Whether it makes something of [`DrivingSignal::dense`], so that measuring it is worth the time.
    fn is_dense(&self) -> bool {
        false
    }

    /// Whether the body goes along with the head, as far as the foot of the neck does; otherwise it stays where it is.
    fn moves_body(&self) -> bool {
        false
    }

    /// Opens what reads the driver's picture for it, where numbers of that drive it: the signal has to have
    /// [`DrivingSignal::latent`] then.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    fn reader(&self) -> Result<Option<DriverReader>> {
        Ok(None)
    }

    /// Makes `identity` the one shown. Slow: not for the frame path.
    ///
    /// # Errors
    /// When the identity does not fit this generator or its device has no room for it.
    fn adopt(&mut self, identity: Arc<Identity>) -> Result<()>;

    /// Makes ready, in the background, what adopting `identity` will need; says whether adopting it is now a swap.
    ///
    /// To be called again until it is. Allocates nothing once it is.
    ///
    /// # Errors
    /// As [`Generator::adopt`].
    fn prepare(&mut self, identity: &Arc<Identity>) -> Result<bool> {
        let _ = identity;
        Ok(true)
    }

    /// Lets go of what was made ready for other identities than the one shown, where the device has no room for another.
    fn make_room(&mut self) {}

    /// Says when the next picture is of: a change from one view of the identity to another takes time. Where nobody says it,
    /// pictures are a thirtieth of a second apart.
    fn set_time(&mut self, now: Timestamp) {
        let _ = now;
    }

    /// Draws the adopted identity doing what `signal` says, at the size the generator was made for.
    ///
    /// # Errors
    /// When the device fails, or no identity was adopted.
    fn generate(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()>;

    /// What another machine had of the last picture; `None` when it was made here.
    fn away(&self) -> Option<Away> {
        None
    }
}
