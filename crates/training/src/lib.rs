//! Training of the generator: from groups of frames to weights.
//!
//! The network is not described again here: [`replay`] runs the plans of [`effigy_network::network`] with gradients.
//! Making groups of clips needs the whole program, and is there. No camera, no window, no picture library.

pub mod adversary;
pub mod checkpoint;
pub mod compute;
pub mod curves;
pub mod dataset;
pub mod families;
pub mod features;
pub mod group;
pub mod leaves;
mod log;
pub mod loss;
pub mod motion;
pub mod occlusion;
pub mod parameters;
pub mod pick;
pub mod picture;
pub mod replay;
pub mod sheet;
pub mod speech;
pub mod teach;
pub mod tracker;
pub mod validate;
pub mod warping;

#[cfg(test)]
mod tests;
