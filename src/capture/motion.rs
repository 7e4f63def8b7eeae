//! Motion of another program, a phone or a recording, in place of a camera.

use super::{Source, SourceOptions};
use crate::error::Result;
use crate::motion_link::MotionSourceSpec;

pub use file::{MotionFileSource, recorded};
pub use network::MotionSource;

mod file;
mod network;

/// Opens a source of motion.
///
/// # Errors
/// When the port cannot be had, or the file is missing or no motion.
pub(super) fn open(spec: &MotionSourceSpec, options: &SourceOptions) -> Result<Box<dyn Source>> {
    Ok(match spec {
        MotionSourceSpec::Udp(protocol, address) => Box::new(MotionSource::open(*protocol, *address)?),
        MotionSourceSpec::File(path) => Box::new(MotionFileSource::open(path, options)?),
    })
}
