//! The generator with a network: explicit motion, features and folded weights made once, a small network a frame.
//!
//! Everything that belongs to one identity (executor, maps, weights) is a `Player`, made slowly and apart from the frame
//! path. Adopting an identity that has one is a swap; [`Generator::prepare`] makes one in the background.

use std::sync::Arc;
use std::time::Duration;

use super::choose::OpenExecutor;
use super::network::weights::Weights;
use super::network::{self, EMBEDDING, Encoded, FrameOptions};
use super::{Generator, Portrait};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::signal::DrivingSignal;
use crate::trace::Away;

use self::pending::Pending;
use self::player::Player;

mod elsewhere;
pub(crate) mod maps;
mod pending;
mod player;
mod typical;

pub use self::elsewhere::Elsewhere;
#[cfg(feature = "train")]
pub(crate) use self::player::planes;
pub use self::player::{FrameInputs, IdentityTensors, Introduction, encode, typical};

/// Identities that stay ready: as many as there are keys to switch between them.
const MAX_KEPT: usize = 9;

/// An identity that takes longer to prepare hangs in a driver.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all identities share.
pub(super) struct Network {
    pub(super) weights: Weights,
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
    shown: Option<Box<Player>>,
    kept: Vec<Box<Player>>,
    /// The player that is being made, and whose.
    pending: Option<(Arc<Identity>, Pending<Box<Player>>)>,
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
        let network = Arc::new(Network { weights, options, open, elsewhere: name });
        let kept = Vec::with_capacity(MAX_KEPT);
        Ok(Self { network, backend, elsewhere, away: None, shown: None, kept, pending: None })
    }

    /// Starts to make everything for `identity` on a thread of its own. One at a time.
    fn start(&mut self, identity: &Arc<Identity>) -> Result<()> {
        let (network, whom) = (Arc::clone(&self.network), Arc::clone(identity));
        let player = Pending::start(move || Player::new(&network, whom).map(Box::new))?;
        self.pending = Some((Arc::clone(identity), player));
        Ok(())
    }

    /// Takes over the player that was being made, when it is done.
    fn collect(&mut self) -> Result<()> {
        if self.pending.as_ref().is_some_and(|(_, player)| player.is_finished())
            && let Some((_, player)) = self.pending.take()
        {
            let player = player.join()?;
            self.keep(player);
        }
        Ok(())
    }

    fn keep(&mut self, player: Box<Player>) {
        if self.kept.len() == MAX_KEPT {
            self.kept.remove(0);
        }
        self.kept.push(player);
    }

    /// Whether adopting `identity` is a swap.
    fn is_ready(&self, identity: &Arc<Identity>) -> bool {
        self.shown.iter().chain(&self.kept).any(|player| player.is_of(identity))
    }

    /// The player of `identity`: one that was kept, the one being made, or a new one.
    fn player(&mut self, identity: Arc<Identity>) -> Result<Box<Player>> {
        if let Some(at) = self.kept.iter().position(|player| player.is_of(&identity)) {
            return Ok(self.kept.remove(at));
        }
        if let Some((whom, player)) = self.pending.take() {
            if Arc::ptr_eq(&whom, &identity) {
                return player.join();
            }
            self.pending = Some((whom, player));
        }
        Player::new(&self.network, identity).map(Box::new)
    }
}

impl Drop for NeuralGenerator {
    /// Waits for the identity that is being made, a second or so: ONNX Runtime must not compute while the program ends.
    /// A driver that never answers is not waited for longer than a minute.
    fn drop(&mut self) {
        if let Some((whom, player)) = self.pending.take()
            && !player.end_within(PATIENCE)
        {
            log::warn!("preparing {} does not end; its thread is left behind", whom.manifest.name);
        }
    }
}

impl Generator for NeuralGenerator {
    fn name(&self) -> &str {
        self.network.options.size.name()
    }

    fn backend(&self) -> &str {
        self.shown.as_ref().map_or(&self.backend, |player| player.backend())
    }

    fn is_dense(&self) -> bool {
        true
    }

    fn moves_body(&self) -> bool {
        true
    }

    fn adopt(&mut self, identity: Arc<Identity>) -> Result<()> {
        if self.shown.as_ref().is_some_and(|player| player.is_of(&identity)) {
            return Ok(());
        }
        let player = self.player(identity)?;
        if let (Some(elsewhere), Some(introduction)) = (&mut self.elsewhere, player.introduction()) {
            elsewhere.introduce(introduction)?;
        }
        if let Some(before) = self.shown.replace(player) {
            self.keep(before);
        }
        Ok(())
    }

    fn prepare(&mut self, identity: &Arc<Identity>) -> Result<bool> {
        self.collect()?;
        let is_ready = self.is_ready(identity);
        if !is_ready && self.pending.is_none() {
            self.start(identity)?;
        }
        Ok(is_ready)
    }

    fn generate(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        let player = self
            .shown
            .as_mut()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "asked for a picture before an identity was adopted"))?;
        player.follow(signal)?;
        self.away = match (&mut self.elsewhere, player.introduction()) {
            (Some(elsewhere), Some(whom)) => elsewhere.picture(whom, player.inputs(), &mut portrait.picture),
            _ => None,
        };
        if self.away.is_some() { Ok(()) } else { player.play(portrait) }
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
