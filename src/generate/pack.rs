//! Generators of others: a folder with a manifest and ONNX networks in one of the known layouts (docs/packs.md).
//!
//! Their weights are not shipped. What reads the driver's picture runs on the face thread; of its numbers only the change from
//! the driver at rest comes here ([`DrivingSignal::latent`]).

use std::path::Path;
use std::sync::Arc;

use super::canvas::{Canvas, planes_of};
use super::reader::{DriverReader, Reads};
use super::{Generator, Portrait};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::signal::{Composition, DrivingSignal, N_NUMBERS};
use effigy_network::onnx::{Provider, Session};

use layout::{Layout, Placed};
use manifest::{Manifest, network_bytes};
use wiring::Wiring;

mod layout;
mod manifest;
mod wiring;

/// What networks call pictures, and what the photo's features are called.
const PICTURE: &str = "picture";
const PHOTO: &str = "photo";
const FEATURES: &str = "features";

/// The network `motion`: from a picture to numbers.
struct MotionReader {
    layout: Layout,
    session: Session,
    size_px: usize,
    n_points: usize,
    /// The outputs in the order of the layout's roles.
    outputs: Vec<Option<usize>>,
}

impl MotionReader {
    fn open(manifest: &Manifest, bytes: &[u8], provider: Provider) -> Result<Self> {
        let session = Session::open_on(provider, "motion of the pack", bytes, 1)?;
        let mut wiring = Wiring::new("motion", &manifest.motion, &session);
        wiring.only_input(PICTURE, 3 * manifest.size_px * manifest.size_px);
        let roles = manifest.layout.motion(manifest.n_points);
        let outputs = roles.iter().map(|role| wiring.output(role)).collect();
        wiring.finish()?;
        let Manifest { layout, size_px, n_points, .. } = *manifest;
        Ok(Self { layout, session, size_px, n_points, outputs })
    }

    /// What it answered for a role of the layout; nothing where that is missing.
    fn answer(&self, role: usize) -> &[f32] {
        self.outputs[role].map_or(&[][..], |output| self.session.output(output))
    }

    fn has_jacobians(&self) -> bool {
        self.layout == Layout::FirstOrder && self.outputs[1].is_some()
    }
}

impl Reads for MotionReader {
    fn size_px(&self) -> usize {
        self.size_px
    }

    fn composition(&self) -> Composition {
        self.layout.composition(self.n_points, self.has_jacobians())
    }

    fn read(&mut self, planes: &[f32], numbers: &mut [f32; N_NUMBERS]) -> Result<()> {
        self.session.input_mut(0).copy_from_slice(planes);
        self.session.run()?;
        self.layout.numbers(|role| self.answer(role), numbers);
        Ok(())
    }
}

/// Plays a pack.
pub struct PackGenerator {
    manifest: Manifest,
    provider: Provider,
    motion_bytes: Vec<u8>,
    motion: MotionReader,
    once: Option<Session>,
    frame: Session,
    /// Inputs of `frame`: photo or features; the photo's points and Jacobians; those of the moment.
    photo_input: usize,
    inputs: Vec<Option<usize>>,
    shown: Option<Arc<Identity>>,
    own: [f32; N_NUMBERS],
    rest: Vec<f32>,
    points: Vec<f32>,
    jacobians: Vec<f32>,
    canvas: Canvas,
}

impl PackGenerator {
    /// Opens the pack in a folder, to make square pictures of `size_px` pixels.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the manifest or a network is missing, torn or does not fit the layout;
    /// [`ErrorKind::BackendUnavailable`] when ONNX Runtime is missing or has no such provider.
    pub fn open(folder: &Path, provider: Provider, size_px: usize) -> Result<Self> {
        let manifest = Manifest::read(folder)?;
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        let motion_bytes = network_bytes(folder, &manifest.motion)?;
        let motion = MotionReader::open(&manifest, &motion_bytes, provider)?;
        let n_picture = 3 * manifest.size_px * manifest.size_px;

        let mut n_features = n_picture;
        let mut once = None;
        if let Some(network) = &manifest.once {
            let session = Session::open_on(provider, "once of the pack", &network_bytes(folder, network)?, n_threads)?;
            let mut wiring = Wiring::new("once", network, &session);
            wiring.only_input(PICTURE, n_picture);
            n_features = wiring.only_output(FEATURES);
            wiring.finish()?;
            once = Some(session);
        }

        let bytes = network_bytes(folder, &manifest.frame)?;
        let frame = Session::open_on(provider, "frame of the pack", &bytes, n_threads)?;
        let mut wiring = Wiring::new("frame", &manifest.frame, &frame);
        let photo_input = wiring.input(if once.is_some() { FEATURES } else { PHOTO }, Some(n_features), false);
        let inputs: Vec<_> = manifest
            .layout
            .frame(manifest.n_points)
            .iter()
            .map(|role| wiring.input(role.name, role.len, role.is_optional))
            .collect();
        let made_px = wiring.picture_output(PICTURE);
        wiring.all_inputs_are_known();
        wiring.finish()?;
        let takes_jacobians = |role: usize| inputs[role].is_some();
        if manifest.layout == Layout::FirstOrder && [1, 3].map(takes_jacobians) != [motion.has_jacobians(); 2] {
            let message = "one of the pack's networks motion and frame has Jacobians and the other has none: they do not belong \
                           together";
            return Err(Error::new(ErrorKind::Model, message));
        }

        let n_point_numbers = if manifest.layout == Layout::FirstOrder { 2 } else { 3 } * manifest.n_points;
        let n_jacobian_numbers = if motion.has_jacobians() { 4 * manifest.n_points } else { 0 };
        Ok(Self {
            provider,
            motion_bytes,
            motion,
            once,
            frame,
            photo_input: photo_input.unwrap_or_default(),
            inputs,
            shown: None,
            own: [0.0; N_NUMBERS],
            rest: Vec::new(),
            points: vec![0.0; n_point_numbers],
            jacobians: vec![0.0; n_jacobian_numbers],
            canvas: Canvas::new(made_px, size_px),
            manifest,
        })
    }

    /// Places the photo's points, moved by `change`, into the inputs of `frame` from the one numbered `at` on.
    fn place(&mut self, change: &[f32; N_NUMBERS], at: usize) {
        let to = Placed { points: &mut self.points, jacobians: &mut self.jacobians };
        self.manifest.layout.points(&self.own, change, &self.rest, to);
        for (input, values) in self.inputs[at..].iter().zip([&self.points, &self.jacobians]) {
            if let Some(input) = input.filter(|_| !values.is_empty()) {
                self.frame.input_mut(input).copy_from_slice(values);
            }
        }
    }
}

impl Generator for PackGenerator {
    fn name(&self) -> &str {
        &self.manifest.name
    }

    fn backend(&self) -> &str {
        match self.provider {
            Provider::Cpu => "cpu",
            Provider::Cuda => "cuda",
        }
    }

    fn reader(&self) -> Result<Option<DriverReader>> {
        Ok(Some(DriverReader::new(MotionReader::open(&self.manifest, &self.motion_bytes, self.provider)?)))
    }

    fn adopt(&mut self, identity: Arc<Identity>) -> Result<()> {
        if self.shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, &identity)) {
            return Ok(());
        }
        // Until all of it is there, nobody is.
        self.shown = None;
        let planes = planes_of(&identity.portrait, self.manifest.size_px)?;
        self.motion.read(&planes, &mut self.own)?;
        self.rest = self.motion.answer(self.motion.outputs.len() - 1).to_vec();
        if self.own.iter().chain(&self.rest).any(|value| !value.is_finite()) {
            let message = format!("the motion that the pack {} sees in the photo is not finite", self.manifest.name);
            return Err(Error::new(ErrorKind::Model, message));
        }
        if let Some(once) = &mut self.once {
            once.input_mut(0).copy_from_slice(&planes);
            once.run()?;
            self.frame.input_mut(self.photo_input).copy_from_slice(once.output(0));
        } else {
            self.frame.input_mut(self.photo_input).copy_from_slice(&planes);
        }
        self.place(&[0.0; N_NUMBERS], 0);
        self.canvas.adopt(&identity)?;
        self.shown = Some(identity);
        Ok(())
    }

    fn generate(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        if self.shown.is_none() {
            return Err(Error::new(ErrorKind::Internal, "asked for a picture before an identity was adopted"));
        }
        self.place(signal.latent.values(), self.inputs.len() / 2);
        self.frame.run()?;
        self.canvas.paint(self.frame.output(0), portrait)
    }
}
