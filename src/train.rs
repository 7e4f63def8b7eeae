//! Training: from clips to the weights of the generator, and how good they are (feature `train`).
//!
//! What learns from a data set is a crate of its own; here are the parts that need the program: making a data set of clips,
//! groups of a data set, and measuring what was learned.

pub use effigy_training::{
    adversary, checkpoint, compute, curves, dataset, families, features, group, leaves, loss, occlusion, parameters,
    pick, picture, replay, sheet, teach, tracker, validate, warping,
};

pub mod augment;
pub mod eval;
pub mod feed;
pub mod motion;
pub mod prepare;
pub mod sample;
pub mod speech;
