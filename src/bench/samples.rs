//! A sink that keeps the trace of every frame.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::{Clock, Timestamp};
use crate::composite::OutFrame;
use crate::error::Result;
use crate::sink::{Delivery, Sink};
use crate::trace::{Stage, Trace};

/// Frames that are kept: half an hour at 60 a second. Later ones are not.
const MAX_SAMPLES: u32 = 108_000;
/// The longest run of which all frames are kept, in seconds: the test pattern has 30 a second.
pub const MAX_SECS: u32 = MAX_SAMPLES / 30;

/// A frame that was shown: its trace, complete, and when it had been shown.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Its way.
    pub trace: Trace,
    /// When it had been shown.
    pub shown: Timestamp,
}

/// Where the samples of a run are found when it has ended.
#[derive(Clone, Debug, Default)]
pub struct Samples(Arc<Mutex<Vec<Sample>>>);

impl Samples {
    /// Takes what was kept.
    pub fn take(&self) -> Vec<Sample> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Hands frames on to another sink and keeps their traces. Allocates nothing while it does.
pub struct SamplingSink<S: ?Sized> {
    kept: Vec<Sample>,
    samples: Samples,
    clock: Arc<dyn Clock>,
    inner: Box<S>,
}

impl<S: Sink + ?Sized> SamplingSink<S> {
    /// Wraps `inner`; the samples are handed over when the sink is finished.
    pub fn new(inner: Box<S>, clock: Arc<dyn Clock>) -> (Self, Samples) {
        let samples = Samples::default();
        (Self { kept: Vec::with_capacity(MAX_SAMPLES as usize), samples: samples.clone(), clock, inner }, samples)
    }
}

impl<S: Sink + ?Sized> Sink for SamplingSink<S> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn delivery(&self) -> Delivery {
        self.inner.delivery()
    }

    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        let begin = self.clock.now();
        let outcome = self.inner.present(frame)?;
        let shown = self.clock.now();
        if self.kept.len() < MAX_SAMPLES as usize {
            let mut trace = frame.trace;
            trace.record(Stage::Present, begin, shown);
            self.kept.push(Sample { trace, shown });
        }
        Ok(outcome)
    }

    fn finish(&mut self) -> Result<()> {
        let kept = std::mem::take(&mut self.kept);
        *self.samples.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        self.inner.finish()
    }
}
