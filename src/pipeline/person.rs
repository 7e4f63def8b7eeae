//! One person of a picture: whose face it is, what drives it, what makes it.

use std::sync::Arc;

use super::Seen;
use crate::clock::Timestamp;
use crate::composite::{Compositor, OutFrame};
use crate::drive::{DriveOptions, Driver, DrivingSignal, Motion, Presence};
use crate::error::Result;
use crate::frame::Rgba;
use crate::generate::neural::{MAX_KEPT, MAX_KEPT_VIEWS};
use crate::generate::{Generator, Portrait};
use crate::identity::Identity;
use crate::trace::Trace;

/// Turns what one face does into pictures of one identity.
pub(super) struct Person {
    pub(super) driver: Driver,
    pub(super) generator: Box<dyn Generator>,
    pub(super) compositor: Compositor,
    /// Who is shown, counted from 0, and who was asked for and is not ready yet.
    pub(super) shown: usize,
    pub(super) wanted: Option<usize>,
    /// What the compositor made last: the frame, or where two are shown a panel of it.
    pub(super) out: OutFrame,
    signal: Box<DrivingSignal>,
    portrait: Portrait,
}

impl Person {
    pub(super) fn new(
        mut generator: Box<dyn Generator>,
        mut compositor: Compositor,
        drive: DriveOptions,
        identities: &[Arc<Identity>],
        shown: usize,
    ) -> Result<Self> {
        let identity = &identities[shown];
        generator.adopt(Arc::clone(identity))?;
        compositor.adopt(identity)?;
        let (width_px, height_px) = compositor.frame_px();
        let size_px = compositor.options().size_px;
        Ok(Self {
            driver: Driver::new(drive, Arc::clone(identity))?,
            generator,
            shown,
            wanted: None,
            out: OutFrame::blank(width_px, height_px),
            signal: Box::new(DrivingSignal::rest(&identity.shape, identity.size_px(), Motion::Relative)),
            portrait: Portrait { picture: Rgba::new(size_px, size_px) },
            compositor,
        })
    }

    /// Carries over what was seen in the frame of `now`; says how sure the driver is of the face.
    pub(super) fn drive(&mut self, seen: &Seen, now: Timestamp) -> Presence {
        self.driver.drive(seen.face(), seen.dense.as_deref(), now, &mut self.signal)
    }

    /// Makes the portrait of what was carried over.
    pub(super) fn generate(&mut self, now: Timestamp) -> Result<()> {
        self.generator.set_time(now);
        self.generator.generate(&self.signal, &mut self.portrait)
    }

    /// Makes the frame, or the panel, of the portrait.
    pub(super) fn compose(&mut self, trace: Trace) -> Result<()> {
        if self.generator.moves_body() {
            self.compositor.follow(&self.signal);
        }
        self.compositor.watch(&self.signal);
        self.compositor.compose(&self.portrait, trace, &mut self.out)
    }

    /// Makes ready whoever was asked for, and otherwise all others; says whether showing who was asked for is now a matter of
    /// one frame, or nobody was.
    pub(super) fn prepare(&mut self, identities: &[Arc<Identity>]) -> Result<bool> {
        if let Some(index) = self.wanted {
            let identity = &identities[index];
            return Ok(self.generator.prepare(identity)? & self.compositor.prepare(identity)?);
        }
        // No more than are kept: one that makes another one go would be made without end.
        let (mut n, mut n_views) = (0, 0);
        for (index, identity) in identities.iter().enumerate() {
            if index != self.shown {
                (n, n_views) = (n + 1, n_views + identity.n_views());
            }
            if n > MAX_KEPT || n_views > MAX_KEPT_VIEWS || !self.generator.prepare(identity)? {
                break;
            }
        }
        Ok(true)
    }

    /// Shows whoever was asked for from now on. Slow where they were not prepared.
    pub(super) fn switch(&mut self, identities: &[Arc<Identity>]) -> Result<()> {
        let Some(index) = self.wanted.take() else { return Ok(()) };
        let identity = &identities[index];
        self.generator.adopt(Arc::clone(identity))?;
        self.compositor.adopt(identity)?;
        self.driver.adopt(Arc::clone(identity))?;
        self.shown = index;
        Ok(())
    }
}
