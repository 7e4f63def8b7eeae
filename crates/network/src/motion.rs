//! A face's motion as numbers over time: where it will be in a moment, by what it did in the last half second.
//!
//! [`History`] keeps the last samples with their own times, [`Differences`] looks at them on one grid of times whatever the
//! camera's rate, and [`Forecaster`] says how each part of the face goes on. [`living`] moves a face that nobody drives.

use effigy_base::geometry::{COEFFICIENT_NAMES, N_COEFFICIENTS};
use glam::{Quat, Vec3};

pub use differences::{Differences, N_INPUTS, N_STEPS};
pub use forecast::{Forecast, Forecaster, MAX_AHEAD_SECS, N_HIDDEN};
pub use history::History;

mod differences;
mod forecast;
mod history;
pub mod living;
pub mod weights;

/// What a face does at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MotionSample {
    /// When, in seconds from any origin.
    pub secs: f64,
    /// Rotation of the head, in camera space.
    pub turn: Quat,
    /// Where the head is: right and down in face widths, and the natural logarithm of its size. Only changes count.
    pub place: Vec3,
    /// Strength of each expression, 0..1.
    pub coefficients: [f32; N_COEFFICIENTS],
}

impl MotionSample {
    /// Whether every number of it is one.
    pub fn is_finite(&self) -> bool {
        self.secs.is_finite()
            && self.turn.is_finite()
            && self.place.is_finite()
            && self.coefficients.iter().all(|value| value.is_finite())
    }
}

impl Default for MotionSample {
    fn default() -> Self {
        Self { secs: 0.0, turn: Quat::IDENTITY, place: Vec3::ZERO, coefficients: [0.0; N_COEFFICIENTS] }
    }
}

/// What moves as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Rotation of the head.
    Turn,
    /// Place and size of the head.
    Place,
    /// Brows.
    Brows,
    /// Lids, and what moves with them.
    Lids,
    /// Where the eyes look.
    Gaze,
    /// Mouth, jaw and cheeks.
    Mouth,
}

impl Part {
    /// How many there are.
    pub const N: usize = Self::ALL.len();
    /// All of them, in the order of the network's inputs.
    pub const ALL: [Self; 6] = [Self::Turn, Self::Place, Self::Brows, Self::Lids, Self::Gaze, Self::Mouth];

    /// Its place among [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// What reports call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Place => "place",
            Self::Brows => "brows",
            Self::Lids => "lids",
            Self::Gaze => "gaze",
            Self::Mouth => "mouth",
        }
    }

    /// The part of the coefficient at this place among the names.
    pub fn of_coefficient(index: usize) -> Self {
        let name = COEFFICIENT_NAMES[index];
        if name.starts_with("brow") {
            Self::Brows
        } else if name.starts_with("eyeLook") {
            Self::Gaze
        } else if name.starts_with("eye") || name.starts_with("cheekSquint") {
            Self::Lids
        } else {
            Self::Mouth
        }
    }
}

/// The part of each coefficient.
pub(crate) fn parts_of_coefficients() -> [Part; N_COEFFICIENTS] {
    std::array::from_fn(Part::of_coefficient)
}
