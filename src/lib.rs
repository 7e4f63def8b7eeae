//! Effigy: a portrait is enrolled once, a camera drives it live, the newest frame wins.
//!
//! The modules are the stages, in the order in which a frame meets them:
//!
//! 1. [`capture`]: a [`Source`] fills a [`RawFrame`] with what the camera saw. It never leaves.
//! 2. [`face`]: a [`face::Tracker`] finds the face in it: a [`FaceObservation`] of 478 points, 52
//!    expression coefficients and the head's pose.
//! 3. [`drive`]: a [`drive::Driver`] turns that into a [`DrivingSignal`] in the identity's own proportions:
//!    what moves, not who moves.
//! 4. [`identity`]: an [`Identity`] is who is shown: a photo, enrolled once, with consent record and signature.
//! 5. [`generate`]: a [`Generator`] draws the identity doing what the signal says: a [`Portrait`].
//! 6. [`composite`]: a [`composite::Compositor`] puts it over a background, marks it ([`mark`]), and makes an [`OutFrame`],
//!    the only thing that may leave.
//! 7. [`sink`]: a [`Sink`] shows, sends or stores it.
//!
//! [`pipeline::run`] gives each stage its thread and answers with a [`report::Report`]: how old the picture was
//! when it was shown, what was dropped, how long each stage took.
//!
//! # Enrol a portrait, make a driving signal, render one frame
//!
//! ```
//! use std::sync::Arc;
//!
//! use effigy::composite::{CompositeOptions, Compositor};
//! use effigy::drive::Motion;
//! use effigy::generate::warp::WarpGenerator;
//! use effigy::glam::Quat;
//! use effigy::identity::{Basis, EnrollOptions, Enroller, Framing};
//! use effigy::trace::Trace;
//! use effigy::{DrivingSignal, Generator, OutFrame, Portrait};
//!
//! # fn main() -> effigy::Result<()> {
//! let (name, photo) = effigy::demo::PORTRAITS[0];
//! let identity = Arc::new(Enroller::new()?.enroll(
//!     photo,
//!     &EnrollOptions {
//!         name: name.to_owned(),
//!         basis: Basis::Synthetic,
//!         consent_by: "an example".to_owned(),
//!         framing: Framing::Face,
//!         face: None,
//!     },
//! )?);
//!
//! let mut signal = DrivingSignal::rest(&identity.shape, identity.size_px(), Motion::Relative);
//! signal.rotation = Quat::from_rotation_y(0.2);
//!
//! let mut generator = WarpGenerator::new(512);
//! generator.adopt(Arc::clone(&identity))?;
//! let mut portrait = Portrait::default();
//! generator.generate(&signal, &mut portrait)?;
//!
//! let mut compositor = Compositor::new(CompositeOptions::default())?;
//! compositor.adopt(&identity)?;
//! let mut frame = OutFrame::blank(512, 512);
//! compositor.compose(&portrait, Trace::default(), &mut frame)?;
//! assert_eq!((frame.picture().width_px(), frame.picture().height_px()), (512, 512));
//! # Ok(())
//! # }
//! ```

// What tests of the program's inside share with those of its outside calls it by its name.
#[cfg(test)]
extern crate self as effigy;

mod base64;
pub mod bench;
pub mod capture;
pub mod composite;
pub mod conditions;
pub mod control;
pub mod credentials;
mod datagram;
pub mod demand;
pub mod demo;
pub mod drive;
pub mod export;
pub mod face;
pub mod flow;
pub mod gather;
pub mod generate;
pub mod identity;
mod jpeg;
pub mod latency;
pub mod latents;
pub mod latest;
pub mod mark;
pub mod microphone;
pub mod motion_link;
pub mod pipeline;
pub mod rehearse;
#[cfg(feature = "remote")]
pub mod remote;
pub mod report;
pub mod settings;
pub mod shard;
pub mod signal;
pub mod sink;
pub mod statement;
pub mod steer;
#[cfg(feature = "train")]
pub mod studio;
pub mod trace;
#[cfg(feature = "train")]
pub mod train;
pub mod verify;
mod video;

pub use effigy_base::{clock, error, files, frame, geometry};
pub use effigy_network::{kernels, models, motion, onnx, speech};
pub use effigy_photo as photo;

pub use capture::{RawFrame, Source};
pub use composite::OutFrame;
pub use error::{Error, ErrorKind, Result};
pub use frame::{Grey, Rgb, Rgba};
pub use generate::{Generator, Portrait};
pub use geometry::FaceObservation;
/// Vectors, matrices and quaternions in public types.
pub use glam;
pub use identity::Identity;
pub use signal::DrivingSignal;
pub use sink::Sink;
