//! A source that ends early, by its own time.

use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::error::Result;

use super::{RawFrame, Read, Source};

/// Another source's frames, up to so long after the first.
///
/// It counts the frames' own times, so that as many come however long the reader takes for each.
pub struct LimitedSource {
    inner: Box<dyn Source>,
    length: Duration,
    first: Option<Timestamp>,
    is_over: bool,
}

impl LimitedSource {
    /// Ends `inner` before the first frame that was taken `length` or more after the first.
    pub fn new(inner: Box<dyn Source>, length: Duration) -> Self {
        Self { inner, length, first: None, is_over: false }
    }
}

impl Source for LimitedSource {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        if self.is_over {
            return Ok(Read::Ended);
        }
        let read = self.inner.read(frame, clock)?;
        if read == Read::Fresh {
            let first = *self.first.get_or_insert(frame.captured());
            self.is_over = frame.captured().since(first) >= self.length;
        }
        Ok(if self.is_over { Read::Ended } else { read })
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        self.inner.frame_rate_hz()
    }

    fn sound(&self) -> Option<super::ClipSound> {
        self.inner.sound()
    }

    fn n_frames(&self) -> Option<u64> {
        let whole = self.inner.n_frames()?;
        let within = self.frame_rate_hz().map_or(whole, |rate_hz| (self.length.as_secs_f64() * rate_hz).ceil() as u64);
        Some(whole.min(within))
    }
}
