//! Training: data, recipe, evaluation (feature `train`).

pub mod augment;
pub mod dataset;
pub mod eval;
pub mod features;
pub mod prepare;
