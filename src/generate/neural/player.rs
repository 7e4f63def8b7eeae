//! One identity, ready to be played.

use std::sync::Arc;

use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, INTER_LINEAR, resize};

use super::maps::{Maps, pose};
use super::typical::typical_signals;
use super::{Network, check_embedding};
use crate::error::Result;
use crate::frame::{Picture, Rgba};
use crate::generate::Portrait;
use crate::generate::cpu::CpuExecutor;
use crate::generate::network::weights::Weights;
use crate::generate::network::{self, ENCODER_PX, Encoded, FEATURES_PX, MOTION_PX};
use crate::generate::plan::{Adoption, Executor, Role, TensorView, TensorViewMut};
use crate::generate::twin::TwinExecutor;
use crate::generate::warp::WarpGenerator;
use crate::geometry::HeadPlacement;
use crate::geometry::{Landmarks, N_LANDMARKS};
use crate::identity::Identity;
use crate::signal::DrivingSignal;

/// What the network is given of one identity, once.
#[derive(Clone, Debug, PartialEq)]
pub struct IdentityTensors {
    /// (4, 64, 64): colour -1..1 and matte 0..1.
    pub portrait: Vec<f32>,
    /// Features and embedding.
    pub encoded: Encoded,
    /// Words, as [`network::photo_levels`] lays them out.
    pub photo: Vec<u32>,
}

impl IdentityTensors {
    /// Encodes an identity that `mapper` has adopted, for pictures of `output_px`. Slow.
    fn new(weights: &Weights, identity: &Identity, mapper: &WarpGenerator, output_px: usize) -> Result<Self> {
        let encoded = encode(weights, identity)?;
        check_embedding(&encoded)?;
        let portrait = planes(identity, MOTION_PX)?;
        let photo = network::photo_levels(output_px).lay_out(mapper.source_pixels());
        Ok(Self { portrait, encoded, photo })
    }

    /// Values of the constants of [`network::frame`], but for background and badge.
    pub fn constants(&self) -> Vec<TensorView<'_>> {
        let [features32, features64, features128] = &self.encoded.features;
        let numbers = [&self.portrait, features32, features64, features128];
        let words = TensorView::Words(&self.photo);
        numbers.into_iter().map(|values| TensorView::F32(values)).chain([words]).collect()
    }
}

/// What the network is given of an identity for pictures of `output_px`, and driving numbers of typical motions, each in
/// the order of the inputs of [`network::frame`]. Slow.
///
/// # Errors
/// [`crate::ErrorKind::Model`] when the weights lack a layer or ONNX Runtime fails.
pub fn typical(
    weights: &Weights,
    identity: &Arc<Identity>,
    output_px: usize,
) -> Result<(IdentityTensors, Vec<FrameInputs>)> {
    let mut mapper = WarpGenerator::for_network(output_px);
    mapper.take(&identity.shape, &identity.portrait, &identity.matte)?;
    let tensors = IdentityTensors::new(weights, identity, &mapper, output_px)?;
    let rest = HeadPlacement::at_rest(&identity.shape, output_px as f32 / identity.size_px() as f32);
    let mut inputs = FrameInputs::new(output_px);
    let mut frames = Vec::new();
    for signal in typical_signals(&identity.shape, identity.size_px()) {
        inputs.follow(&signal, &rest, &mut mapper)?;
        frames.push(inputs.clone());
    }
    Ok((tensors, frames))
}

/// What the plan of a frame reads anew for each.
#[derive(Clone)]
pub struct FrameInputs {
    /// (478, 2) in picture units.
    landmarks: Vec<f32>,
    pose: [f32; 12],
    maps: Maps,
    output_px: usize,
}

impl FrameInputs {
    /// Those of no face, for pictures of `output_px`.
    pub fn new(output_px: usize) -> Self {
        Self {
            landmarks: vec![0.0; 2 * N_LANDMARKS],
            pose: [0.0; 12],
            maps: Maps::new(output_px, FEATURES_PX),
            output_px,
        }
    }

    /// Takes the motion of `signal` for a head that rests at `rest`.
    fn follow(&mut self, signal: &DrivingSignal, rest: &HeadPlacement, mapper: &mut WarpGenerator) -> Result<()> {
        let size = self.output_px;
        mapper.follow(signal)?;
        self.pose = pose(rest, &signal.placement(rest, size), size);
        self.maps.take(mapper, &self.pose);
        for (to, point) in self.landmarks.as_chunks_mut::<2>().0.iter_mut().zip(mapper.landmarks_px()) {
            *to = [point.x / size as f32, point.y / size as f32];
        }
        Ok(())
    }

    /// Takes over the numbers of others, made for pictures of the same size. Allocates nothing.
    pub fn copy_from(&mut self, other: &Self) {
        self.landmarks.clone_from(&other.landmarks);
        self.pose = other.pose;
        self.maps.copy_from(&other.maps);
        self.output_px = other.output_px;
    }

    /// Values of the inputs of [`network::frame`], in its order.
    pub fn views(&self) -> [TensorView<'_>; 9] {
        let [map32, map64, map128] = &self.maps.coarse;
        let [deformation32, deformation64, deformation128] = &self.maps.deformation;
        [
            TensorView::F32(&self.landmarks),
            TensorView::F32(&self.pose),
            TensorView::F32(map32),
            TensorView::F32(map64),
            TensorView::F32(map128),
            TensorView::F32(deformation32),
            TensorView::F32(deformation64),
            TensorView::F32(deformation128),
            TensorView::Words(&self.maps.full),
        ]
    }
}

/// What another machine has to know of an identity before it can show it.
pub struct Introduction {
    /// What the network is given of it.
    pub tensors: IdentityTensors,
    /// Driving numbers of the face at rest.
    pub example: FrameInputs,
    /// The picture that this machine makes of them, to tell the other's pictures by.
    pub picture: Rgba,
}

/// Everything that the frames of one view of an identity need.
pub(super) struct Player {
    identity: Arc<Identity>,
    output_px: usize,
    rest: HeadPlacement,
    mapper: WarpGenerator,
    inputs: FrameInputs,
    executor: Box<dyn Executor>,
    /// What another machine has to know, where there is one.
    introduction: Option<Arc<Introduction>>,
    backend: String,
}

impl Player {
    /// Encodes the portrait, folds the weights and hands both to an executor. Slow.
    pub(super) fn new(network: &Network, identity: Arc<Identity>) -> Result<Self> {
        let output_px = network.options.output_px;
        let mut mapper = WarpGenerator::for_network(output_px);
        mapper.take(&identity.shape, &identity.portrait, &identity.matte)?;
        let tensors = IdentityTensors::new(&network.weights, &identity, &mapper, output_px)?;
        let mut executor = (network.open)(network::frame(&network.options))?;
        let params = network::fold(executor.plan(), &network.weights, &tensors.encoded.embedding)?;
        let rest = HeadPlacement::at_rest(&identity.shape, output_px as f32 / identity.size_px() as f32);
        let mut inputs = FrameInputs::new(output_px);
        let mut examples = Vec::new();
        if executor.wants_examples() {
            for signal in typical_signals(&identity.shape, identity.size_px()) {
                inputs.follow(&signal, &rest, &mut mapper)?;
                examples.push(inputs.clone());
            }
        }
        let adoption = Adoption { params: params.iter().map(Vec::as_slice).collect(), constants: tensors.constants() };
        executor.adopt(&adoption)?;
        if !examples.is_empty() {
            let examples: Vec<Vec<TensorView>> = examples.iter().map(|example| example.views().to_vec()).collect();
            executor.settle(&adoption, &examples)?;
        }
        let backend = match &network.elsewhere {
            Some(elsewhere) => format!("{elsewhere}, else {}", executor.backend()),
            None => executor.backend().to_owned(),
        };
        let mut player = Self { rest, inputs, identity, output_px, mapper, executor, introduction: None, backend };
        if network.elsewhere.is_some() {
            player.introduction = Some(Arc::new(player.introduced(tensors)?));
        }
        Ok(player)
    }

    /// Makes what another machine has to know, with the picture at rest to tell its pictures by.
    fn introduced(&mut self, tensors: IdentityTensors) -> Result<Introduction> {
        let signals = typical_signals(&self.identity.shape, self.identity.size_px());
        if let Some(rest) = signals.first() {
            self.follow(rest)?;
        }
        let mut picture = Rgba::new(self.output_px, self.output_px);
        let inputs = self.inputs.views();
        self.executor.run(&inputs, &mut [TensorViewMut::Bytes(picture.data_mut())])?;
        Ok(Introduction { tensors, example: self.inputs.clone(), picture })
    }

    /// What its frames run on, in the form that this identity got.
    pub(super) fn backend(&self) -> &str {
        &self.backend
    }

    /// What another machine has to know of the identity.
    pub(super) fn introduction(&self) -> Option<&Arc<Introduction>> {
        self.introduction.as_ref()
    }

    /// The driving numbers of the signal that was followed last.
    pub(super) fn inputs(&self) -> &FrameInputs {
        &self.inputs
    }

    /// Where the face's points are in the picture of the signal that was followed last, in pixels.
    pub(super) fn landmarks_px(&self) -> &Landmarks {
        self.mapper.landmarks_px()
    }

    /// Takes the motion of a signal.
    pub(super) fn follow(&mut self, signal: &DrivingSignal) -> Result<()> {
        self.inputs.follow(signal, &self.rest, &mut self.mapper)
    }

    /// Makes the picture of the signal that was followed last.
    pub(super) fn play(&mut self, portrait: &mut Portrait) -> Result<()> {
        let size = self.output_px;
        portrait.picture.reshape(size, size);
        let inputs = self.inputs.views();
        self.executor.run(&inputs, &mut [TensorViewMut::Bytes(portrait.picture.data_mut())])
    }
}

/// Runs the encoder over an identity's portrait: in ONNX Runtime where there is one, else on the twins.
///
/// # Errors
/// [`crate::ErrorKind::Model`] when the weights lack a layer.
pub fn encode(weights: &Weights, identity: &Identity) -> Result<Encoded> {
    let plan = network::encoder(weights.size());
    let params = network::fold(&plan, weights, &[])?;
    let mut executor: Box<dyn Executor> = match CpuExecutor::new(plan.clone(), 1) {
        Ok(executor) => Box::new(executor),
        Err(_) => Box::new(TwinExecutor::new(plan.clone())),
    };
    executor.adopt(&Adoption { params: params.iter().map(Vec::as_slice).collect(), constants: Vec::new() })?;
    let portrait = planes(identity, ENCODER_PX)?;
    let size = identity.size_px() as f32;
    let landmarks: Vec<f32> = identity.landmarks_px.iter().flat_map(|point| [point.x / size, point.y / size]).collect();
    let mut outputs: Vec<Vec<f32>> =
        plan.of_role(Role::Output).map(|id| vec![0.0; plan.tensor(id).shape.len()]).collect();
    let mut views: Vec<TensorViewMut> = outputs.iter_mut().map(|values| TensorViewMut::F32(values)).collect();
    executor.run(&[TensorView::F32(&portrait), TensorView::F32(&landmarks)], &mut views)?;
    let deepest = weights.size().widths().decoder[0];
    let mut outputs = outputs.into_iter();
    let mut next = || outputs.next().unwrap_or_default();
    let [features128, features64, features32, last] = [next(), next(), next(), next()];
    let embedding = network::pooled_embedding(weights, &last, deepest)?;
    Ok(Encoded { features: [features32, features64, features128], embedding })
}

/// The portrait as a network sees it: colour -1..1 and matte 0..1, (4, `px`, `px`).
pub(crate) fn planes(identity: &Identity, px: usize) -> Result<Vec<f32>> {
    let portrait = resized(&identity.portrait, px)?;
    let matte = resized(&identity.matte, px)?;
    let n = px * px;
    let mut planes = vec![0.0; 4 * n];
    for (i, rgb) in portrait.data().as_chunks::<3>().0.iter().enumerate() {
        for (c, &sample) in rgb.iter().enumerate() {
            planes[c * n + i] = f32::from(sample) / 127.5 - 1.0;
        }
        planes[3 * n + i] = f32::from(matte.data()[i]) / 255.0;
    }
    Ok(planes)
}

fn resized<const C: usize>(picture: &Picture<C>, px: usize) -> Result<Picture<C>> {
    let mut small = Picture::new(px, px);
    let method = if picture.width_px() > px { INTER_AREA } else { INTER_LINEAR };
    resize(&picture.as_mat()?, &mut small.as_mat_mut()?, Size::new(px as i32, px as i32), 0.0, 0.0, method)?;
    Ok(small)
}
