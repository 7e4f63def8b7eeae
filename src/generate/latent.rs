//! The generator of a founding family (`vae`, `vae-gan`): the photo's latent plus the change of the driver's, decoded.

use std::sync::Arc;

use super::canvas::{Canvas, planes_of};
use super::cpu::CpuExecutor;
use super::family::{self, Family, N_LATENT};
use super::plan::{Adoption, Executor, Plan, TensorView, TensorViewMut};
use super::reader::{DriverReader, Reads};
use super::{Generator, Portrait};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::signal::{Composition, DrivingSignal, N_NUMBERS};

/// A network of a family with its weights, on the processor.
struct Network {
    executor: Box<dyn Executor>,
}

impl Network {
    /// Opens a plan of the family: in ONNX Runtime.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when that is missing.
    fn new(family: &Family, plan: Plan) -> Result<Self> {
        let params = family.params(&plan)?;
        let mut executor = Box::new(CpuExecutor::new(plan, 1)?.in_f32());
        executor.adopt(&Adoption { params, constants: Vec::new() })?;
        Ok(Self { executor })
    }

    /// Runs it once.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    fn run(&mut self, inputs: &[TensorView], outputs: &mut [TensorViewMut]) -> Result<()> {
        self.executor.run(inputs, outputs)
    }
}

/// A family's encoder.
struct Encoder {
    network: Network,
    size_px: usize,
    log_variance: Vec<f32>,
}

impl Encoder {
    fn new(family: &Family) -> Result<Self> {
        let size_px = family.size_px();
        let network = Network::new(family, family::encoder(size_px))?;
        Ok(Self { network, size_px, log_variance: vec![0.0; N_LATENT] })
    }
}

impl Reads for Encoder {
    fn size_px(&self) -> usize {
        self.size_px
    }

    fn composition(&self) -> Composition {
        Composition::Differences
    }

    fn read(&mut self, planes: &[f32], numbers: &mut [f32; N_NUMBERS]) -> Result<()> {
        let mut outputs = [TensorViewMut::F32(numbers), TensorViewMut::F32(&mut self.log_variance)];
        self.network.run(&[TensorView::F32(planes)], &mut outputs)
    }
}

/// Plays a family: pictures of 64 or 128 pixels, enlarged.
pub struct LatentGenerator {
    family: Family,
    encoder: Encoder,
    decoder: Network,
    shown: Option<Arc<Identity>>,
    /// The photo's latent.
    own: [f32; N_LATENT],
    latent: Vec<f32>,
    planes: Vec<f32>,
    canvas: Canvas,
}

impl LatentGenerator {
    /// Makes a generator of square pictures of `size_px` pixels.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when ONNX Runtime is missing.
    pub fn new(family: Family, size_px: usize) -> Result<Self> {
        let px = family.size_px();
        Ok(Self {
            encoder: Encoder::new(&family)?,
            decoder: Network::new(&family, family::decoder(px))?,
            family,
            shown: None,
            own: [0.0; N_LATENT],
            latent: vec![0.0; N_LATENT],
            planes: vec![0.0; 3 * px * px],
            canvas: Canvas::new(px, size_px),
        })
    }
}

impl Generator for LatentGenerator {
    fn name(&self) -> &str {
        self.family.kind().name()
    }

    fn backend(&self) -> &str {
        "cpu"
    }

    fn reader(&self) -> Result<Option<DriverReader>> {
        Ok(Some(DriverReader::new(Encoder::new(&self.family)?)))
    }

    fn adopt(&mut self, identity: Arc<Identity>) -> Result<()> {
        if self.shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, &identity)) {
            return Ok(());
        }
        self.encoder.read(&planes_of(&identity, self.family.size_px())?, &mut self.own)?;
        if self.own.iter().any(|value| !value.is_finite()) {
            return Err(Error::new(ErrorKind::Model, "the encoder's latent is not finite: the weights are torn"));
        }
        self.canvas.adopt(&identity)?;
        self.shown = Some(identity);
        Ok(())
    }

    fn generate(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        if self.shown.is_none() {
            return Err(Error::new(ErrorKind::Internal, "asked for a picture before an identity was adopted"));
        }
        for ((to, own), moved) in self.latent.iter_mut().zip(&self.own).zip(signal.latent.values()) {
            *to = own + moved;
        }
        self.decoder.run(&[TensorView::F32(&self.latent)], &mut [TensorViewMut::F32(&mut self.planes)])?;
        self.canvas.paint(&self.planes, portrait)
    }
}
