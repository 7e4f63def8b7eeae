//! A portrait's own face, played through expressions as a driver's would be.

use std::sync::Arc;

use half::f16;
use safetensors::SafeTensors;

use super::expression::{EyeContact, N_MODES, Points, RestingDriver, RestingPortrait, Retargeter, pose};
use super::{Motion, Strengths, retarget};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::geometry::{FaceShape, N_COEFFICIENTS};
use crate::identity::Identity;
use crate::signal::DrivingSignal;

/// Plays expressions on a portrait whose driver is its own face at rest, moved.
pub(crate) struct Actor {
    identity: Arc<Identity>,
    portrait: RestingPortrait,
    driver: RestingDriver,
    retargeter: Retargeter,
    expressions: Vec<[f32; N_MODES]>,
    now_millis: u64,
}

impl Actor {
    /// Takes the portrait, and the expressions that belong to the program.
    pub(crate) fn new(identity: &Arc<Identity>) -> Result<Self> {
        let portrait = RestingPortrait::new(&identity.shape.points, None, 0.0)?;
        let mut driver = RestingDriver::new()?;
        driver.calibrate();
        driver.update(&shape(identity, portrait.base()), false, Timestamp::from_nanos(0));
        Ok(Self {
            portrait,
            driver,
            retargeter: Retargeter::new()?,
            expressions: rehearsed()?,
            now_millis: 0,
            identity: Arc::clone(identity),
        })
    }

    /// How many expressions there are.
    pub(crate) fn n_expressions(&self) -> usize {
        self.expressions.len()
    }

    /// Asks so much more of each expression from now on.
    pub(crate) fn set_emphasis(&mut self, emphasis: &[f32; N_COEFFICIENTS]) {
        self.portrait.set_emphasis(emphasis);
    }

    /// Writes the signal for an expression, or for rest, and gives how far each coefficient shall be from rest.
    pub(crate) fn act(
        &mut self,
        expression: Option<usize>,
        signal: &mut DrivingSignal,
    ) -> Result<[f32; N_COEFFICIENTS]> {
        let weights = expression.map_or([0.0; N_MODES], |at| self.expressions[at]);
        self.show(&weights, signal)?;
        Ok(std::array::from_fn(|c| self.driver.expressed()[c] - self.driver.rest()[c]))
    }

    /// Writes the signal for a face that goes so far along each mode.
    pub(crate) fn show(&mut self, weights: &[f32; N_MODES], signal: &mut DrivingSignal) -> Result<()> {
        let mut points: Box<Points> = Box::new(*self.portrait.base());
        pose(weights, &mut points)?;
        // A millisecond apart: what is known of the rest stays as it is.
        self.now_millis += 1;
        let now = Timestamp::from_nanos(self.now_millis * 1_000_000);
        self.driver.update(&shape(&self.identity, &points), false, now);
        self.retargeter.reset();
        let contact = EyeContact { share: 0.0, head: self.identity.shape.rotation };
        let driven = self.retargeter.drive(&self.portrait, &self.driver, &Strengths::default(), &points, contact);
        *signal = DrivingSignal::rest(&self.identity.shape, self.identity.size_px(), Motion::Relative);
        retarget::express(&self.identity.shape, driven, signal);
        signal.coefficients = *self.driver.expressed();
        Ok(())
    }
}

/// The portrait's face where it is, with other points.
fn shape(identity: &Identity, points: &Points) -> FaceShape {
    FaceShape { points: *points, ..identity.shape.clone() }
}

/// How far a face goes along each mode in each of the program's expressions.
pub(crate) fn rehearsed() -> Result<Vec<[f32; N_MODES]>> {
    let torn = || Error::new(ErrorKind::Model, "the expressions to rehearse are torn; install the program anew");
    let file = SafeTensors::deserialize(include_bytes!("../../models/rehearsal.safetensors"))
        .or_error(ErrorKind::Model, || torn().to_string())?;
    let tensor = file.tensor("expressions").map_err(|_| torn())?;
    if tensor.shape().len() != 2 || tensor.shape()[1] != N_MODES || tensor.dtype() != safetensors::Dtype::F16 {
        return Err(torn());
    }
    let values: Vec<f32> = tensor.data().as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect();
    Ok(values.as_chunks::<N_MODES>().0.to_vec())
}
