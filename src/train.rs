//! Training: from clips to the weights of the generator, and how good they are (feature `train`).
//!
//! The network is not described again here: [`replay`] runs the plans of [`crate::generate::network`] with gradients.

pub mod adversary;
pub mod augment;
pub mod checkpoint;
pub mod dataset;
pub mod eval;
pub mod features;
pub mod feed;
pub mod group;
pub mod leaves;
pub mod loss;
pub mod parameters;
pub mod pick;
pub mod picture;
pub mod prepare;
pub mod replay;
pub mod sample;
pub mod sheet;
pub mod teach;
pub mod tracker;
pub mod validate;
pub mod warping;

#[cfg(test)]
mod tests;
