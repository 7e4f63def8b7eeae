//! Motion of another program, a phone, a recording or of who is heard, in place of a camera.

use super::{Source, SourceOptions};
use crate::error::Result;
use crate::motion_link::{Heard, MotionSourceSpec};

pub use file::{MotionFileSource, recorded};
pub use microphone::MicrophoneSource;
pub use network::MotionSource;
pub use sound::SoundSource;

mod file;
mod microphone;
mod network;
mod sound;
mod talker;

/// Frames a second of a face that is heard.
const SPOKEN_RATE_HZ: f64 = 30.0;

/// Opens a source of motion.
///
/// # Errors
/// When the port cannot be had, the file is missing or of another kind, or the microphone cannot be heard.
pub(super) fn open(spec: &MotionSourceSpec, options: &SourceOptions) -> Result<Box<dyn Source>> {
    Ok(match spec {
        MotionSourceSpec::Udp(protocol, address) => Box::new(MotionSource::open(*protocol, *address)?),
        MotionSourceSpec::File(path) => Box::new(MotionFileSource::open(path, options)?),
        MotionSourceSpec::Sound(Heard::File(path)) => Box::new(SoundSource::open(path, options)?),
        MotionSourceSpec::Sound(Heard::Microphone(microphone)) => Box::new(MicrophoneSource::open(microphone)?),
    })
}
