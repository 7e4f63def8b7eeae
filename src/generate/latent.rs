//! The generator of a founding family (`vae`, `vae-gan`): the photo's latent plus the change of the driver's, decoded.

use std::sync::Arc;

use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, INTER_CUBIC, INTER_LINEAR, blur_def, resize};

use super::cpu::CpuExecutor;
use super::family::{self, Family, N_LATENT};
use super::plan::{Adoption, Executor, Plan, TensorView, TensorViewMut};
use super::{Generator, Portrait};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::{Grey, Picture, Rgb};
use crate::identity::Identity;
use crate::signal::DrivingSignal;

/// How far the edge of the person is softened, in sides of the picture: what moves stays within.
const SOFT: f32 = 0.06;

/// A network of a family with its weights, on the processor.
pub(crate) struct Network {
    executor: Box<dyn Executor>,
}

impl Network {
    /// Opens a plan of the family: in ONNX Runtime.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when that is missing.
    pub(crate) fn new(family: &Family, plan: Plan) -> Result<Self> {
        let params = family.params(&plan)?;
        let mut executor = Box::new(CpuExecutor::new(plan, 1)?.in_f32());
        executor.adopt(&Adoption { params, constants: Vec::new() })?;
        Ok(Self { executor })
    }

    /// Runs it once.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub(crate) fn run(&mut self, inputs: &[TensorView], outputs: &mut [TensorViewMut]) -> Result<()> {
        self.executor.run(inputs, outputs)
    }
}

/// Plays a family: pictures of 64 or 128 pixels, enlarged.
pub struct LatentGenerator {
    family: Arc<Family>,
    encoder: Network,
    decoder: Network,
    size_px: usize,
    shown: Option<Arc<Identity>>,
    /// The photo's latent.
    own: Vec<f32>,
    latent: Vec<f32>,
    planes: Vec<f32>,
    small: Rgb,
    large: Rgb,
    /// Where the person is.
    alpha: Grey,
}

impl LatentGenerator {
    /// Makes a generator of square pictures of `size_px` pixels.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when ONNX Runtime is missing.
    pub fn new(family: Family, size_px: usize) -> Result<Self> {
        let px = family.size_px();
        Ok(Self {
            encoder: Network::new(&family, family::encoder(px))?,
            decoder: Network::new(&family, family::decoder(px))?,
            family: Arc::new(family),
            size_px,
            shown: None,
            own: vec![0.0; N_LATENT],
            latent: vec![0.0; N_LATENT],
            planes: vec![0.0; 3 * px * px],
            small: Picture::new(px, px),
            large: Picture::new(size_px, size_px),
            alpha: Picture::new(size_px, size_px),
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

    fn family(&self) -> Option<&Arc<Family>> {
        Some(&self.family)
    }

    fn adopt(&mut self, identity: Arc<Identity>) -> Result<()> {
        if self.shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, &identity)) {
            return Ok(());
        }
        fit(&identity.portrait, &mut self.small, INTER_AREA)?;
        into_planes(&self.small, &mut self.planes);
        let mut log_variance = [0.0; N_LATENT];
        let mut outputs = [TensorViewMut::F32(&mut self.own), TensorViewMut::F32(&mut log_variance)];
        self.encoder.run(&[TensorView::F32(&self.planes)], &mut outputs)?;
        if self.own.iter().any(|value| !value.is_finite()) {
            return Err(Error::new(ErrorKind::Model, "the encoder's latent is not finite: the weights are torn"));
        }
        let mut matte = Grey::new(self.size_px, self.size_px);
        fit(&identity.matte, &mut matte, INTER_LINEAR)?;
        let reach = ((SOFT * self.size_px as f32) as i32) | 1;
        blur_def(&matte.as_mat()?, &mut self.alpha.as_mat_mut()?, Size::new(reach, reach))?;
        // What is half seen at the softened edge is the family's whole: it moves there.
        for alpha in self.alpha.data_mut() {
            *alpha = alpha.saturating_mul(2);
        }
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
        let n = self.planes.len() / 3;
        for (i, pixel) in self.small.data_mut().as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = std::array::from_fn(|c| (self.planes[c * n + i].clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
        }
        fit(&self.small, &mut self.large, INTER_CUBIC)?;
        portrait.picture.reshape(self.size_px, self.size_px);
        let pixels = portrait.picture.data_mut().as_chunks_mut::<4>().0.iter_mut();
        for ((to, [red, green, blue]), alpha) in pixels.zip(self.large.data().as_chunks::<3>().0).zip(self.alpha.data())
        {
            *to = [*red, *green, *blue, *alpha];
        }
        Ok(())
    }
}

/// Resamples a picture to the size of another.
fn fit<const C: usize>(from: &Picture<C>, to: &mut Picture<C>, method: i32) -> Result<()> {
    let size = Size::new(to.width_px() as i32, to.height_px() as i32);
    resize(&from.as_mat()?, &mut to.as_mat_mut()?, size, 0.0, 0.0, method)?;
    Ok(())
}

/// Writes a picture in planes, 0..1.
pub(crate) fn into_planes(picture: &Rgb, planes: &mut [f32]) {
    let n = planes.len() / 3;
    for (i, rgb) in picture.data().as_chunks::<3>().0.iter().take(n).enumerate() {
        for (c, &sample) in rgb.iter().enumerate() {
            planes[c * n + i] = f32::from(sample) / 255.0;
        }
    }
}
