//! A build without microphones.

use super::{Microphone, MicrophoneSpec};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// Never there.
#[derive(Debug)]
pub struct Listening {
    microphone: Microphone,
}

impl Listening {
    /// What is heard.
    pub fn microphone(&self) -> &Microphone {
        &self.microphone
    }
}

/// Says that this build has no microphones.
///
/// # Errors
/// [`ErrorKind::BackendUnavailable`], always.
pub fn listen(_: &MicrophoneSpec, _: impl Clock + 'static) -> Result<Listening> {
    Err(absent())
}

/// Says that this build has no microphones.
///
/// # Errors
/// [`ErrorKind::BackendUnavailable`], always.
pub fn microphones() -> Result<Vec<String>> {
    Err(absent())
}

/// Whether two mean the same device; here there is none.
pub fn is_same(_: &MicrophoneSpec, _: &MicrophoneSpec) -> bool {
    false
}

fn absent() -> Error {
    Error::new(ErrorKind::BackendUnavailable, "this build has no microphones; build it with `--features microphone`")
}
