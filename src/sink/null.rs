//! Nowhere: counts frames and forgets them. For benches and tests.

use std::ops::ControlFlow;

use crate::composite::OutFrame;
use crate::error::Result;

use super::{Delivery, Sink};

/// Counts frames.
#[derive(Debug)]
pub struct NullSink {
    delivery: Delivery,
    n_presented: u64,
}

impl NullSink {
    /// Takes frames as `delivery` says.
    pub fn new(delivery: Delivery) -> Self {
        Self { delivery, n_presented: 0 }
    }

    /// Frames taken so far.
    pub fn n_presented(&self) -> u64 {
        self.n_presented
    }
}

impl Default for NullSink {
    /// Takes the newest frame.
    fn default() -> Self {
        Self::new(Delivery::Latest)
    }
}

impl Sink for NullSink {
    fn name(&self) -> &str {
        "null"
    }

    fn delivery(&self) -> Delivery {
        self.delivery
    }

    fn present(&mut self, _: &OutFrame) -> Result<ControlFlow<()>> {
        self.n_presented += 1;
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
