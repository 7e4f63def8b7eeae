//! The kernels' twins: what each op computes, in plain loops, right by definition.
//!
//! Every backend is tested against these. See `kernels/README.md`.
#![expect(clippy::needless_range_loop, reason = "index expressions keep the twins comparable to the device code")]
#![allow(rustdoc::broken_intra_doc_links, reason = "`y[o, i, j]` is an index, not a link")]

#[path = "../../../kernels/conv2d.rs"]
pub mod conv2d;
#[path = "../../../kernels/finish.rs"]
pub mod finish;
#[path = "../../../kernels/linear.rs"]
pub mod linear;
#[path = "../../../kernels/motion.rs"]
pub mod motion;
#[path = "../../../kernels/raster.rs"]
pub mod raster;
#[path = "../../../kernels/sample.rs"]
pub mod sample;
#[path = "../../../kernels/upconv2d.rs"]
pub mod upconv2d;
#[path = "../../../kernels/warp.rs"]
pub mod warp;
