//! Training: data, recipe, evaluation (feature `train`).

pub mod augment;
pub mod dataset;
pub mod prepare;
