//! What the generate thread and the link thread share.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::error::Result;
use crate::frame::Rgba;
use crate::generate::neural::{FrameInputs, Introduction};
use crate::trace::Away;

/// How the server is used.
#[derive(Clone, Default)]
pub struct Options {
    /// What lets us in: sent with every request.
    pub token: Option<String>,
    /// A file with certificates (PEM) to trust beside the system's.
    pub authority: Option<PathBuf>,
    /// Waits for every picture, however long it takes, and for every identity to be known there: for runs that render every
    /// frame. Only a server that is gone is not waited for.
    pub waits: bool,
    /// What takes over, for the user.
    pub substitute: String,
}

/// Without the token, which would stand readable in whatever it is written to.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("has_token", &self.token.is_some())
            .field("authority", &self.authority)
            .field("waits", &self.waits)
            .field("substitute", &self.substitute)
            .finish()
    }
}

/// What both threads know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The identity that the server shows: the address of its [`Introduction`], which the link holds; 0 while it shows none.
    shown: AtomicUsize,
    /// How long an answer is waited for, in microseconds.
    patience_micros: AtomicU64,
}

impl Shared {
    pub(super) fn patience(&self) -> Duration {
        Duration::from_micros(self.patience_micros.load(Ordering::Relaxed))
    }

    pub(super) fn set_patience(&self, patience: Duration) {
        self.patience_micros.store(u64::try_from(patience.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Says whom the server shows; `None`: nobody.
    pub(super) fn show(&self, whom: Option<&Arc<Introduction>>) {
        self.shown.store(whom.map_or(0, address_of), Ordering::Release);
    }

    pub(super) fn shows(&self, whom: &Arc<Introduction>) -> bool {
        self.shown.load(Ordering::Acquire) == address_of(whom)
    }
}

fn address_of(whom: &Arc<Introduction>) -> usize {
    Arc::as_ptr(whom) as usize
}

/// A frame on its way to the link.
#[derive(Default)]
pub(super) struct Job {
    pub(super) number: u64,
    /// Made when the first frame comes: its size is not known before.
    pub(super) frame: Option<FrameInputs>,
    pub(super) asked: Option<Instant>,
}

/// What became of it.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) number: u64,
    /// `None`: no picture came.
    pub(super) away: Option<Away>,
    pub(super) picture: Rgba,
}

/// An identity on its way to the link, and where to say what became of that.
pub(super) type Told = (Arc<Introduction>, Sender<Result<()>>);
