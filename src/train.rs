//! Training: data, recipe, evaluation (feature `train`).

pub mod dataset;
pub mod prepare;
