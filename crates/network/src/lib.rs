//! The generator's network, and what runs it: on a processor, on an NVIDIA card, on any other graphics card.
//!
//! [`network`] describes it as a [`plan`], which is data: ops with checked shapes. An executor replays a plan: [`twin`] in
//! plain loops that are right by definition, [`cpu`] through ONNX Runtime and loops of our own, `cuda` and `wgpu` by kernels of our own.
//! [`motion`] is the motion of a face as numbers, and a network that says how it goes on; [`speech`] a mouth that moves as it is heard.
//! No camera, no window, no server, no picture library.

pub mod cards;
pub mod choose;
pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod family;
pub mod kernels;
pub mod models;
pub mod motion;
pub mod network;
pub mod occlusion;
pub mod onnx;
pub mod plan;
pub mod roofline;
pub mod speech;
pub mod tensors;
pub mod twin;
#[cfg(feature = "wgpu")]
pub mod wgpu;

pub use network::weights;
