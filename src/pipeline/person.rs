//! One person of a picture: whose face it is, what drives it, what makes it.

use std::sync::Arc;

use super::Seen;
use crate::clock::Timestamp;
use crate::composite::{Compositor, OutFrame};
use crate::drive::{DriveOptions, Driver, DrivingSignal, Motion, Presence};
use crate::error::{Error, ErrorKind, Result};
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
    /// Who could not be made ready for later, until they are asked for.
    refused: Vec<usize>,
    /// Whether the device has no room for identities that nobody asked for.
    is_cramped: bool,
    /// For whom those were let go.
    has_room: Option<usize>,
}

/// Whether who was asked for can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// From the next frame on; or nobody was asked for.
    Ready,
    /// Not yet.
    Preparing,
    /// Not at all: whoever is shown stays.
    Refused,
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
            refused: Vec::new(),
            is_cramped: false,
            has_room: None,
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

    /// Makes ready whoever was asked for, and otherwise all others.
    ///
    /// # Errors
    /// When the device is lost. An identity that cannot be made ready, whether it was asked for or not, ends no run.
    pub(super) fn prepare(&mut self, identities: &[Arc<Identity>]) -> Result<Readiness> {
        let Some(index) = self.wanted else {
            self.prepare_others(identities)?;
            return Ok(Readiness::Ready);
        };
        let identity = &identities[index];
        let generator = self.generator.prepare(identity);
        match generator.and_then(|is_ready| Ok(is_ready & self.compositor.prepare(identity)?)) {
            Ok(true) => Ok(Readiness::Ready),
            Ok(false) => Ok(Readiness::Preparing),
            // Those who were made ready for later may have the room.
            Err(error) if error.kind() == ErrorKind::BackendUnavailable && self.has_room != Some(index) => {
                (self.is_cramped, self.has_room) = (true, Some(index));
                self.generator.make_room();
                Ok(Readiness::Preparing)
            }
            Err(error) => self.refuse(index, identities, error),
        }
    }

    /// Makes ready those whom nobody asked for, no more than are kept: one that makes another one go would be made without
    /// end.
    fn prepare_others(&mut self, identities: &[Arc<Identity>]) -> Result<()> {
        let (mut n, mut n_views) = (0, 0);
        for (index, identity) in identities.iter().enumerate() {
            if index != self.shown {
                (n, n_views) = (n + 1, n_views + identity.n_views());
            }
            if self.is_cramped || n > MAX_KEPT || n_views > MAX_KEPT_VIEWS {
                break;
            }
            if self.refused.contains(&index) {
                continue;
            }
            match self.generator.prepare(identity) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.kind() == ErrorKind::DeviceLost => return Err(error),
                Err(error) if error.kind() == ErrorKind::BackendUnavailable => self.is_cramped = true,
                Err(_) => self.refused.push(index),
            }
        }
        Ok(())
    }

    /// Goes on with who is shown.
    fn refuse(&mut self, index: usize, identities: &[Arc<Identity>], error: Error) -> Result<Readiness> {
        if error.kind() == ErrorKind::DeviceLost {
            return Err(error);
        }
        let name = |index: usize| &identities[index].manifest.name;
        log::warn!("{} cannot be shown, {} stays: {error}", name(index), name(self.shown));
        (self.wanted, self.has_room) = (None, None);
        if !self.refused.contains(&index) {
            self.refused.push(index);
        }
        Ok(Readiness::Refused)
    }

    /// Shows whoever was asked for from now on, slow where they were not prepared; whether that could be done.
    ///
    /// # Errors
    /// When neither they nor who was shown can be.
    pub(super) fn switch(&mut self, identities: &[Arc<Identity>]) -> Result<bool> {
        let Some(index) = self.wanted.take() else { return Ok(true) };
        if let Err(error) = self.adopt(&identities[index]) {
            self.refuse(index, identities, error)?;
            self.adopt(&identities[self.shown])?;
            return Ok(false);
        }
        (self.shown, self.has_room) = (index, None);
        self.refused.retain(|other| *other != index);
        Ok(true)
    }

    fn adopt(&mut self, identity: &Arc<Identity>) -> Result<()> {
        self.generator.adopt(Arc::clone(identity))?;
        self.compositor.adopt(identity)?;
        self.driver.adopt(Arc::clone(identity))
    }
}
