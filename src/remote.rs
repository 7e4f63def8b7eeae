//! The generator behind the open inference protocol (KServe v2): a server with a graphics card makes the pictures.
//!
//! ```text
//! generate thread ──▶ slot: driving numbers ──▶ link thread ──▶ server (Triton, MLServer, KServe …)
//!        ▲                                          │
//!        └────────────── slot: picture ◀────────────┘
//! ```
//!
//! What travels is an identity's tensors, once where the server keeps them, and driving numbers: `Payload` is made of
//! those alone. One request is on its way at a time, and the newest frame is the next. When the server does not answer in
//! time, the picture is made here, and so are the next ones until the server is back: see [`Remote`].

pub use self::address::{Address, Protocol};
pub use self::asking::Remote;
pub use self::seam::Options;

mod address;
mod asking;
mod described;
mod dial;
mod failure;
mod greeting;
mod grpc;
mod link;
mod messages;
mod pace;
mod payload;
mod rest;
mod seam;
mod service;
