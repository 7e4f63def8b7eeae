//! The one error type: a kind that says how to react, a message that says what to do.

use std::borrow::Cow;
use std::fmt;

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another program holds the device. Trying again after a delay may succeed.
    DeviceBusy,
    /// The device is gone. The stage that uses it must be opened again.
    DeviceLost,
    /// There is no such device. Choose another one; the message lists what there is.
    NoDevice,
    /// The user may not use the device or file. The message says where to allow it.
    PermissionDenied,
    /// This backend cannot run here. The next one in order of preference may.
    BackendUnavailable,
    /// A model file or the runtime that executes it is missing, torn or foreign.
    Model,
    /// An identity file is torn, foreign, or not signed as it says.
    Identity,
    /// The picture cannot be enrolled: the message says why and what would do.
    Photo,
    /// A file or stream could not be read or written.
    Io,
    /// The command line or a setting is wrong.
    Config,
    /// A stage panicked or broke a promise. A defect of this program.
    Internal,
}

/// An error: its kind, a message (what was expected, what was found, what to do), and its cause.
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Makes an error without a cause.
    ///
    /// The message is a lower-case clause without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds the error that led to this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut said = self.message.to_string();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = match &self.source {
            Some(source) => Some(&**source),
            None => None,
        };
        while let Some(error) = cause {
            // Some errors below print their cause themselves.
            let text = error.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            // An `Error` below already prints its own chain.
            cause = if error.is::<Self>() { None } else { error.source() };
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The chain is part of `Display`, so that a message is whole wherever it is printed.
        None
    }
}

/// Gives a foreign error a kind and a message of ours.
pub trait OrError<T> {
    /// Wraps the error: `message` says what was being done, the error below why it failed.
    fn or_error(self, kind: ErrorKind, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> OrError<T> for std::result::Result<T, E> {
    fn or_error(self, kind: ErrorKind, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::new(kind, message()).because(error))
    }
}

#[cfg(feature = "opencv")]
impl From<opencv::Error> for Error {
    fn from(error: opencv::Error) -> Self {
        Self::new(ErrorKind::Internal, "a picture operation failed").because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_carries_its_causes_once() {
        let inner = Error::new(ErrorKind::Io, "cannot read a.png").because(std::io::Error::other("disk on fire"));
        let outer = Error::new(ErrorKind::Photo, "no photo").because(inner);
        assert_eq!(outer.to_string(), "no photo: cannot read a.png: disk on fire");

        #[derive(Debug)]
        struct Chatty(std::io::Error);
        impl fmt::Display for Chatty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "no PNG: {}", self.0)
            }
        }
        impl std::error::Error for Chatty {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let chatty = Error::new(ErrorKind::Photo, "torn").because(Chatty(std::io::Error::other("too short")));
        assert_eq!(chatty.to_string(), "torn: no PNG: too short");
    }
}
