//! The generator with a network: explicit motion, features and folded weights made once, a small network a frame.
//!
//! Everything that belongs to one view of an identity (executor, maps, weights) is a `Player`, all of one identity's an
//! `Ensemble`, made slowly and apart from the frame path. Adopting an identity that has one is a swap;
//! [`Generator::prepare`] makes one in the background.

use std::sync::Arc;
use std::time::Duration;

use super::choose::{OpenExecutor, open_on_cpu};
use super::network::weights::Weights;
use super::network::{self, EMBEDDING, Encoded, FrameOptions};
use super::{Generator, Portrait};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::signal::DrivingSignal;
use crate::trace::Away;

use self::ensemble::Ensemble;
use self::pending::Pending;

mod elsewhere;
mod ensemble;
pub(crate) mod maps;
mod pending;
mod player;
#[cfg(test)]
mod tests;
mod typical;

pub use self::elsewhere::Elsewhere;
#[cfg(feature = "train")]
pub(crate) use self::player::planes;
pub use self::player::{FrameInputs, IdentityTensors, Introduction, encode, typical};

/// Identities that stay ready: as many as there are keys to switch between them.
pub(crate) const MAX_KEPT: usize = 9;

/// Views of all kept identities together: each has an executor of its own. Those kept longest go first; the newest stays,
/// however many it has.
pub(crate) const MAX_KEPT_VIEWS: usize = 16;

/// A view takes a second or so to prepare. One that takes longer than this hangs in a driver.
const PATIENCE_PER_VIEW: Duration = Duration::from_secs(20);
/// Longer than this no identity is waited for, however many views it has.
const MOST_PATIENCE: Duration = Duration::from_secs(60);

/// What all identities share.
pub(super) struct Network {
    pub(super) weights: Arc<Weights>,
    pub(super) options: FrameOptions,
    pub(super) open: OpenExecutor,
    /// What another machine that makes the pictures is called; it is told of each identity.
    pub(super) elsewhere: Option<String>,
}

/// The generator with a network, on any backend.
pub struct NeuralGenerator {
    network: Arc<Network>,
    backend: String,
    /// The machine that makes pictures as long as it does.
    elsewhere: Option<Box<dyn Elsewhere>>,
    /// What it had of the last picture.
    away: Option<Away>,
    shown: Option<Box<Ensemble>>,
    kept: Vec<Box<Ensemble>>,
    /// The ensemble that is being made, and whose.
    pending: Option<(Arc<Identity>, Pending<Box<Ensemble>>)>,
    /// Identities that could not be made ready, and why, until they are asked for.
    failed: Vec<(Arc<Identity>, Error)>,
    /// Whether a card was lost, and the processor took its place.
    has_left_card: bool,
}

impl NeuralGenerator {
    /// Makes a generator of square pictures of `output_px` (512 or 1024) and tries the backend.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when the backend cannot run here.
    pub fn new(weights: Weights, output_px: usize, open: OpenExecutor) -> Result<Self> {
        Self::over(None, weights, output_px, open)
    }

    /// Makes a generator whose pictures another machine makes, and this one's backend where that does not.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_elsewhere(
        elsewhere: Box<dyn Elsewhere>,
        weights: Weights,
        output_px: usize,
        open: OpenExecutor,
    ) -> Result<Self> {
        Self::over(Some(elsewhere), weights, output_px, open)
    }

    fn over(
        elsewhere: Option<Box<dyn Elsewhere>>,
        weights: Weights,
        output_px: usize,
        open: OpenExecutor,
    ) -> Result<Self> {
        let options = FrameOptions::new(weights.size(), output_px);
        let backend = open(network::frame(&options))?.backend().to_owned();
        let name = elsewhere.as_ref().map(|elsewhere| elsewhere.name().to_owned());
        let network = Arc::new(Network { weights: Arc::new(weights), options, open, elsewhere: name });
        let kept = Vec::with_capacity(MAX_KEPT);
        Ok(Self {
            network,
            backend,
            elsewhere,
            away: None,
            shown: None,
            kept,
            pending: None,
            failed: Vec::new(),
            has_left_card: false,
        })
    }

    /// Starts to make everything for `identity` on a thread of its own.
    fn start(&self, identity: &Arc<Identity>) -> Result<Pending<Box<Ensemble>>> {
        let what = format!("preparing {} on {}", identity.manifest.name, self.backend());
        let patience = (PATIENCE_PER_VIEW * identity.n_views() as u32).min(MOST_PATIENCE);
        let (network, whom) = (Arc::clone(&self.network), Arc::clone(identity));
        Pending::start(what, patience, move || Ensemble::new(&network, whom).map(Box::new))
    }

    /// Takes over the ensemble that was being made when it is done, or gives it up when it takes too long: whoever else
    /// is asked for must not wait for a thread that hangs.
    fn collect(&mut self) {
        if let Some((whom, making)) = self.pending.take_if(|(_, making)| making.is_settled()) {
            match making.join() {
                Ok(ensemble) => self.keep(ensemble),
                Err(error) => {
                    self.failed.truncate(MAX_KEPT);
                    self.failed.push((whom, error));
                }
            }
        }
    }

    /// Goes on with the processor when the card was lost; `error` says how.
    ///
    /// # Errors
    /// `error`, where the processor made the pictures already or cannot make them.
    fn leave_card(&mut self, error: Error) -> Result<()> {
        let Some(shown) = self.shown.take().filter(|_| !self.has_left_card) else { return Err(error) };
        log::warn!("{error}; the processor goes on");
        let whom = Arc::clone(shown.identity());
        self.network = Arc::new(Network {
            weights: Arc::clone(&self.network.weights),
            options: self.network.options,
            open: open_on_cpu,
            elsewhere: self.network.elsewhere.clone(),
        });
        // What is being made is made on that card: its thread ends by itself.
        (self.has_left_card, self.pending) = (true, None);
        self.kept.clear();
        self.failed.clear();
        drop(shown);
        self.adopt(whom).map_err(|_| error)
    }

    fn keep(&mut self, ensemble: Box<Ensemble>) {
        let n_views = |kept: &[Box<Ensemble>]| kept.iter().map(|kept| kept.n_views()).sum::<usize>();
        while self.kept.len() == MAX_KEPT
            || (!self.kept.is_empty() && n_views(&self.kept) + ensemble.n_views() > MAX_KEPT_VIEWS)
        {
            self.kept.remove(0);
        }
        self.kept.push(ensemble);
    }

    fn draw(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        let ensemble = self
            .shown
            .as_mut()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "asked for a picture before an identity was adopted"))?;
        self.away = ensemble.draw(signal, self.elsewhere.as_deref_mut(), portrait)?;
        Ok(())
    }

    /// Whether adopting `identity` is a swap.
    fn is_ready(&self, identity: &Arc<Identity>) -> bool {
        self.shown.iter().chain(&self.kept).any(|ensemble| ensemble.is_of(identity))
    }

    /// The ensemble of `identity`: one that was kept, the one being made, or a new one. Where another one is being
    /// made, which may hang, so may this: it is made on a thread too, and waited for no longer than it may take.
    fn ensemble(&mut self, identity: Arc<Identity>) -> Result<Box<Ensemble>> {
        if let Some(at) = self.kept.iter().position(|ensemble| ensemble.is_of(&identity)) {
            return Ok(self.kept.remove(at));
        }
        if let Some((_, making)) = self.pending.take_if(|(whom, _)| Arc::ptr_eq(whom, &identity)) {
            return making.join();
        }
        if self.pending.is_some() {
            return self.start(&identity)?.join();
        }
        Ensemble::new(&self.network, identity).map(Box::new)
    }
}

impl Drop for NeuralGenerator {
    /// Waits for the identity that is being made, a second or so: ONNX Runtime must not compute while the program ends.
    /// A driver that never answers is not waited for longer than a minute.
    fn drop(&mut self) {
        if let Some((_, making)) = self.pending.take()
            && let Err(error) = making.end()
        {
            log::warn!("{error}");
        }
    }
}

impl Generator for NeuralGenerator {
    fn name(&self) -> &str {
        self.network.options.size.name()
    }

    fn backend(&self) -> &str {
        self.shown.as_ref().map_or(&self.backend, |ensemble| ensemble.backend())
    }

    fn is_dense(&self) -> bool {
        true
    }

    fn moves_body(&self) -> bool {
        true
    }

    fn adopt(&mut self, identity: Arc<Identity>) -> Result<()> {
        if self.shown.as_ref().is_some_and(|ensemble| ensemble.is_of(&identity)) {
            return Ok(());
        }
        let mut ensemble = self.ensemble(identity)?;
        if let Some(elsewhere) = &mut self.elsewhere {
            ensemble.introduce(&mut **elsewhere)?;
        }
        if let Some(before) = self.shown.replace(ensemble) {
            self.keep(before);
        }
        Ok(())
    }

    fn prepare(&mut self, identity: &Arc<Identity>) -> Result<bool> {
        self.collect();
        // Told once: asked for again, it is tried again.
        if let Some(at) = self.failed.iter().position(|(whom, _)| Arc::ptr_eq(whom, identity)) {
            return Err(self.failed.remove(at).1);
        }
        let is_ready = self.is_ready(identity);
        if !is_ready && self.pending.is_none() {
            self.pending = Some((Arc::clone(identity), self.start(identity)?));
        }
        Ok(is_ready)
    }

    fn make_room(&mut self) {
        self.kept.clear();
    }

    fn set_time(&mut self, now: Timestamp) {
        if let Some(ensemble) = &mut self.shown {
            ensemble.set_time(now);
        }
    }

    fn generate(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        match self.draw(signal, portrait) {
            Err(error) if error.kind() == ErrorKind::DeviceLost => {
                self.leave_card(error)?;
                self.draw(signal, portrait)
            }
            drawn => drawn,
        }
    }

    fn away(&self) -> Option<Away> {
        self.away
    }
}

/// Checks what [`encode`] made.
fn check_embedding(encoded: &Encoded) -> Result<()> {
    let is_sane = encoded.embedding.len() == EMBEDDING && encoded.embedding.iter().all(|value| value.is_finite());
    if is_sane {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Model, "the encoder's embedding is not finite: the weights are torn"))
    }
}
