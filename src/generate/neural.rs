//! The generator with a network: explicit motion, features and folded weights made once, a small network a frame.
//!
//! Everything that belongs to one identity (executor, maps, weights) is a `Player`, made slowly and apart from the frame
//! path. Adopting an identity that has one is a swap; [`Generator::prepare`] makes one in the background.

use std::sync::Arc;
use std::time::Duration;

use super::cpu::CpuExecutor;
use super::network::weights::Weights;
use super::network::{self, EMBEDDING, Encoded, FrameOptions};
use super::plan::{Executor, Plan};
use super::{Generator, Portrait};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::signal::DrivingSignal;

use self::pending::Pending;
use self::player::Player;

pub(crate) mod maps;
mod pending;
mod player;
mod typical;

#[cfg(feature = "train")]
pub(crate) use self::player::planes;
pub use self::player::{FrameInputs, IdentityTensors, encode, typical};

/// Identities that stay ready: as many as there are keys to switch between them.
const MAX_KEPT: usize = 9;

/// An identity that takes longer to prepare hangs in a driver.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens a backend for a plan.
pub type OpenExecutor = fn(Plan) -> Result<Box<dyn Executor>>;

/// What all identities share.
pub(super) struct Network {
    pub(super) weights: Weights,
    pub(super) options: FrameOptions,
    pub(super) open: OpenExecutor,
}

/// The generator with a network, on any backend.
pub struct NeuralGenerator {
    network: Arc<Network>,
    backend: String,
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
        let options = FrameOptions::new(weights.size(), output_px);
        let backend = open(network::frame(&options))?.backend().to_owned();
        let network = Arc::new(Network { weights, options, open });
        Ok(Self { network, backend, shown: None, kept: Vec::with_capacity(MAX_KEPT), pending: None })
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
        player.play(signal, portrait)
    }
}

/// `EFFIGY_CPU_F32=1` keeps the processor's executor from 8 bits, for comparison.
pub const CPU_F32_VARIABLE: &str = "EFFIGY_CPU_F32";

/// Opens the processor for a plan, on at most four threads: the layers are too small for more. See [`CPU_F32_VARIABLE`].
///
/// # Errors
/// [`ErrorKind::BackendUnavailable`] when ONNX Runtime is missing.
pub fn open_on_cpu(plan: Plan) -> Result<Box<dyn Executor>> {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let executor = CpuExecutor::new(plan, n_cores.min(4))?;
    let is_f32 = std::env::var_os(CPU_F32_VARIABLE).is_some_and(|value| value == "1");
    Ok(Box::new(if is_f32 { executor.in_f32() } else { executor }))
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
