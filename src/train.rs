//! Training and evaluation of the generator (feature `train`).

pub mod eval;
pub mod features;
