//! What a face expresses, as a function of its points that can be differentiated: the expression network, distilled.
//!
//! The 52-coefficient network takes a millisecond and gives no derivatives. A perceptron with two hidden layers and a
//! linear path answers the same within 0.004 in the mean (models/README.md, "expression_space"), in 20 microseconds, and
//! its derivative along the modes of a face's motion is a few small matrix products.

use std::sync::OnceLock;

use glam::Vec3;
use half::f16;
use safetensors::{Dtype, SafeTensors};

use super::Points;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::geometry::{EXPRESSION_POINTS, N_COEFFICIENTS, N_LANDMARKS};

/// Modes of a face's motion.
pub(crate) const N_MODES: usize = 40;
/// Numbers that the network takes: x and y of each of its points.
const N_INPUTS: usize = 2 * EXPRESSION_POINTS.len();
/// Units of either hidden layer.
const N_HIDDEN: usize = 96;
/// A logit beyond this says no more than it: 0.001 or 0.999.
const MAX_LOGIT: f32 = 7.0;

/// One row for each output, one column for each mode.
pub(in crate::drive) type Jacobian = [[f32; N_MODES]; N_COEFFICIENTS];

/// The distilled network and the modes along which it is differentiated.
#[derive(Debug)]
pub(in crate::drive) struct ExpressionSpace {
    /// (hidden, input), (hidden, hidden), (coefficient, hidden), (coefficient, input); rows one after the other.
    in_weight: Vec<f32>,
    in_bias: Vec<f32>,
    hidden_weight: Vec<f32>,
    hidden_bias: Vec<f32>,
    out_weight: Vec<f32>,
    skip_weight: Vec<f32>,
    out_bias: Vec<f32>,
    /// How each point moves along each mode, in face widths for one standard deviation.
    modes: Vec<[Vec3; N_LANDMARKS]>,
    /// (input, mode): the modes as the network's inputs move, about their mean.
    input_modes: Vec<[f32; N_MODES]>,
    /// The first layer and the linear path along each mode.
    in_modes: Vec<[f32; N_MODES]>,
    skip_modes: Vec<[f32; N_MODES]>,
}

/// What one reading needs; kept, so that a frame allocates nothing.
#[derive(Debug)]
pub(in crate::drive) struct Reading {
    inputs: [f32; N_INPUTS],
    size: f32,
    first: [f32; N_HIDDEN],
    first_linear: [f32; N_HIDDEN],
    second: [f32; N_HIDDEN],
    skip: [f32; N_COEFFICIENTS],
    first_modes: [[f32; N_MODES]; N_HIDDEN],
    second_modes: [[f32; N_MODES]; N_HIDDEN],
    /// The coefficients before the sigmoid.
    pub(in crate::drive) logits: [f32; N_COEFFICIENTS],
    /// Their derivative along the modes, after [`ExpressionSpace::differentiate`].
    pub(in crate::drive) jacobian: Jacobian,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            inputs: [0.0; N_INPUTS],
            size: 1.0,
            first: [0.0; N_HIDDEN],
            first_linear: [0.0; N_HIDDEN],
            second: [0.0; N_HIDDEN],
            skip: [0.0; N_COEFFICIENTS],
            first_modes: [[0.0; N_MODES]; N_HIDDEN],
            second_modes: [[0.0; N_MODES]; N_HIDDEN],
            logits: [0.0; N_COEFFICIENTS],
            jacobian: [[0.0; N_MODES]; N_COEFFICIENTS],
        }
    }
}

impl ExpressionSpace {
    /// The one that belongs to the program.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the program was built from a torn file.
    pub(in crate::drive) fn built_in() -> Result<&'static Self> {
        static SPACE: OnceLock<ExpressionSpace> = OnceLock::new();
        if let Some(space) = SPACE.get() {
            return Ok(space);
        }
        let space = Self::from_bytes(include_bytes!("../../../models/expression_space.safetensors"))?;
        Ok(SPACE.get_or_init(|| space))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes)
            .or_error(ErrorKind::Model, || "the expression space is torn; install the program anew".to_owned())?;
        let read = |name: &str, shape: [usize; 2]| read(&file, name, &shape);
        let in_weight = read("in.weight", [N_HIDDEN, N_INPUTS])?;
        let skip_weight = read("skip.weight", [N_COEFFICIENTS, N_INPUTS])?;
        let flat_modes = read("modes", [N_MODES, 3 * N_LANDMARKS])?;
        let modes: Vec<[Vec3; N_LANDMARKS]> = flat_modes
            .chunks_exact(3 * N_LANDMARKS)
            .map(|mode| std::array::from_fn(|i| Vec3::new(mode[3 * i], mode[3 * i + 1], mode[3 * i + 2])))
            .collect();
        let mut input_modes = vec![[0.0; N_MODES]; N_INPUTS];
        for (k, mode) in modes.iter().enumerate() {
            let mean = EXPRESSION_POINTS.iter().map(|&i| mode[i]).sum::<Vec3>() / EXPRESSION_POINTS.len() as f32;
            for (pair, &i) in input_modes.as_chunks_mut::<2>().0.iter_mut().zip(&EXPRESSION_POINTS) {
                (pair[0][k], pair[1][k]) = (mode[i].x - mean.x, mode[i].y - mean.y);
            }
        }
        let along = |weight: &[f32]| weight.chunks_exact(N_INPUTS).map(|row| combine(row, &input_modes)).collect();
        Ok(Self {
            in_modes: along(&in_weight),
            skip_modes: along(&skip_weight),
            in_bias: self::read(&file, "in.bias", &[N_HIDDEN])?,
            hidden_weight: read("hidden.weight", [N_HIDDEN, N_HIDDEN])?,
            hidden_bias: self::read(&file, "hidden.bias", &[N_HIDDEN])?,
            out_weight: read("out.weight", [N_COEFFICIENTS, N_HIDDEN])?,
            out_bias: self::read(&file, "out.bias", &[N_COEFFICIENTS])?,
            in_weight,
            skip_weight,
            modes,
            input_modes,
        })
    }

    /// How each point moves along each mode, in face widths for one standard deviation.
    pub(in crate::drive) fn modes(&self) -> &[[Vec3; N_LANDMARKS]] {
        &self.modes
    }

    /// Reads the logits of a face's points in head space.
    pub(in crate::drive) fn read(&self, points: &Points, reading: &mut Reading) {
        let mean = EXPRESSION_POINTS.iter().map(|&i| points[i]).sum::<Vec3>() / EXPRESSION_POINTS.len() as f32;
        let mut size = 0.0;
        for (pair, &i) in reading.inputs.as_chunks_mut::<2>().0.iter_mut().zip(&EXPRESSION_POINTS) {
            let at = (points[i] - mean).truncate();
            *pair = at.to_array();
            size += at.length();
        }
        reading.size = (size / EXPRESSION_POINTS.len() as f32).max(1e-6);
        reading.inputs.iter_mut().for_each(|value| *value /= reading.size);
        for i in 0..N_HIDDEN {
            let linear = dot(&self.in_weight[i * N_INPUTS..][..N_INPUTS], &reading.inputs);
            reading.first_linear[i] = linear;
            reading.first[i] = (linear + self.in_bias[i]).tanh();
        }
        for i in 0..N_HIDDEN {
            let row = &self.hidden_weight[i * N_HIDDEN..][..N_HIDDEN];
            reading.second[i] = (dot(row, &reading.first) + self.hidden_bias[i]).tanh();
        }
        for c in 0..N_COEFFICIENTS {
            reading.skip[c] = dot(&self.skip_weight[c * N_INPUTS..][..N_INPUTS], &reading.inputs);
            let hidden = dot(&self.out_weight[c * N_HIDDEN..][..N_HIDDEN], &reading.second);
            reading.logits[c] = (hidden + reading.skip[c] + self.out_bias[c]).clamp(-MAX_LOGIT, MAX_LOGIT);
        }
    }

    /// Differentiates what was read last along the modes.
    pub(in crate::drive) fn differentiate(&self, reading: &mut Reading) {
        // The network sees points over their mean distance from their middle, which the modes change too.
        let mut size_modes = [0.0; N_MODES];
        for (pair, modes) in reading.inputs.as_chunks::<2>().0.iter().zip(self.input_modes.as_chunks::<2>().0) {
            let length = pair[0].hypot(pair[1]).max(1e-6) * EXPRESSION_POINTS.len() as f32;
            add(&mut size_modes, &modes[0], pair[0] / length);
            add(&mut size_modes, &modes[1], pair[1] / length);
        }
        let per_size = 1.0 / reading.size;
        for i in 0..N_HIDDEN {
            let slope = (1.0 - reading.first[i] * reading.first[i]) * per_size;
            let linear = reading.first_linear[i];
            reading.first_modes[i] = std::array::from_fn(|k| slope * (self.in_modes[i][k] - linear * size_modes[k]));
        }
        for i in 0..N_HIDDEN {
            let sum = combine(&self.hidden_weight[i * N_HIDDEN..][..N_HIDDEN], &reading.first_modes);
            let slope = 1.0 - reading.second[i] * reading.second[i];
            reading.second_modes[i] = sum.map(|value| slope * value);
        }
        for c in 0..N_COEFFICIENTS {
            let mut sum = combine(&self.out_weight[c * N_HIDDEN..][..N_HIDDEN], &reading.second_modes);
            let linear = reading.skip[c];
            for k in 0..N_MODES {
                sum[k] += per_size * (self.skip_modes[c][k] - linear * size_modes[k]);
            }
            reading.jacobian[c] = sum;
        }
    }
}

/// The strength, 0..1, of a logit.
pub(in crate::drive) fn strength(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums side by side, which the processor adds at once.
    let mut sums = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

fn add(to: &mut [f32; N_MODES], values: &[f32; N_MODES], factor: f32) {
    for (to, value) in to.iter_mut().zip(values) {
        *to += value * factor;
    }
}

fn combine(weights: &[f32], rows: &[[f32; N_MODES]]) -> [f32; N_MODES] {
    let mut sum = [0.0; N_MODES];
    for (&weight, row) in weights.iter().zip(rows) {
        add(&mut sum, row, weight);
    }
    sum
}

fn read(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let misfit = |found: &str| {
        let message = format!("the expression space is another one: expected `{name}` of {shape:?}, found {found}");
        Error::new(ErrorKind::Model, message)
    };
    let tensor = file.tensor(name).map_err(|_| misfit("nothing"))?;
    if tensor.shape() != shape {
        return Err(misfit(&format!("{:?}", tensor.shape())));
    }
    let values: Vec<f32> = match tensor.dtype() {
        Dtype::F16 => tensor.data().as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::F32 => tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        other => return Err(misfit(&format!("{other:?}"))),
    };
    if values.iter().all(|value| value.is_finite()) { Ok(values) } else { Err(misfit("numbers that are not finite")) }
}
