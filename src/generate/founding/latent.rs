//! The generator of a founding family that a face drives: the photo's numbers plus the change of the driver's, painted.

use std::sync::Arc;

use super::network::Network;
use crate::error::{Error, ErrorKind, Result};
use crate::generate::canvas::{Canvas, planes_of};
use crate::generate::family::{Family, values_of};
use crate::generate::plan::{TensorView, TensorViewMut};
use crate::generate::reader::{DriverReader, Reads};
use crate::generate::{Generator, Portrait};
use crate::identity::Identity;
use crate::signal::{Composition, DrivingSignal, N_NUMBERS};

/// What a family reads off pictures.
struct Encoder {
    network: Network,
    size_px: usize,
    /// How many numbers it reads.
    n: usize,
    /// The logarithm of each number's variance, which an autoencoder answers beside; nobody asks for it.
    log_variance: Vec<f32>,
}

impl Encoder {
    fn new(family: &Family) -> Result<Self> {
        let network = Network::of(family, family.reader())?;
        let [n, n_beside] = [0, 1].map(|i| network.lengths().get(i).copied().unwrap_or_default());
        Ok(Self { network, size_px: family.size_px(), n, log_variance: vec![0.0; n_beside] })
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
        let mut outputs = [TensorViewMut::F32(&mut numbers[..self.n]), TensorViewMut::F32(&mut self.log_variance)];
        let n_outputs = self.network.lengths().len();
        self.network.run(&[TensorView::F32(planes)], &mut outputs[..n_outputs])
    }
}

/// Plays a family: pictures of 64 or 128 pixels, enlarged.
pub(super) struct LatentGenerator {
    family: Family,
    encoder: Encoder,
    /// What says who somebody is, for a family whose painter has weights of each person's own.
    identity: Option<Network>,
    painter: Network,
    shown: Option<Arc<Identity>>,
    /// The photo's numbers.
    own: [f32; N_NUMBERS],
    latent: Vec<f32>,
    planes: Vec<f32>,
    canvas: Canvas,
}

impl LatentGenerator {
    /// Makes a generator of square pictures of `size_px` pixels.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when ONNX Runtime is missing.
    ///
    /// # Panics
    /// For a family that nobody drives.
    pub(super) fn new(family: Family, size_px: usize) -> Result<Self> {
        let px = family.size_px();
        let encoder = Encoder::new(&family)?;
        let identity = family.identity().map(|plan| Network::of(&family, plan)).transpose()?;
        let painter = match identity {
            Some(_) => Network::new(family.painter())?,
            None => Network::of(&family, family.painter())?,
        };
        Ok(Self {
            latent: vec![0.0; encoder.n],
            encoder,
            identity,
            painter,
            family,
            shown: None,
            own: [0.0; N_NUMBERS],
            planes: vec![0.0; 3 * px * px],
            canvas: Canvas::new(px, size_px),
        })
    }

    /// Gives the painter the weights of a person: of the mean of what all views of it say.
    fn take_after(&mut self, identity: &Identity) -> Result<()> {
        let Some(network) = &mut self.identity else { return Ok(()) };
        let px = self.family.size_px();
        let mut vector = network.answer(&planes_of(&identity.portrait, px)?)?.swap_remove(0);
        for view in &identity.views {
            let other = network.answer(&planes_of(&view.identity().portrait, px)?)?.swap_remove(0);
            vector.iter_mut().zip(other).for_each(|(sum, value)| *sum += value);
        }
        let n_views = 1 + identity.views.len();
        vector.iter_mut().for_each(|value| *value /= n_views as f32);
        if let Some(tensors) = self.family.painter_of(&vector)? {
            self.painter.adopt(values_of(&tensors, &self.family.painter())?)?;
        }
        Ok(())
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
        // Until all of it is there, nobody is.
        self.shown = None;
        self.encoder.read(&planes_of(&identity.portrait, self.family.size_px())?, &mut self.own)?;
        if self.own.iter().any(|value| !value.is_finite()) {
            return Err(Error::new(ErrorKind::Model, "the encoder's latent is not finite: the weights are torn"));
        }
        self.take_after(&identity)?;
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
        self.painter.run(&[TensorView::F32(&self.latent)], &mut [TensorViewMut::F32(&mut self.planes)])?;
        self.canvas.paint(&self.planes, portrait)
    }
}
