//! Synthetic talking heads with ground truth.
//!
//! A [`person::Person`], a [`scene::Scene`] and a [`motion::Motion`] each come from a seed; a
//! [`render::Renderer`] draws them and says what is true of the picture ([`truth::Truth`]): expression, pose,
//! the tracker's 478 points, matte, depth, eyes and mouth. The same scene and motion with another person is the
//! answer to "what would that person look like doing this".
//!
//! The head is ICT-FaceKit (MIT), given as a file. Everything else, skin to light, is procedural.
//! The same seeds give the same pixels on one machine, whatever the number of threads.

use crate::error::{Error, ErrorKind};
pub(crate) use effigy_base::random;

pub mod check;
pub mod clip;
pub mod dataset;
pub mod demo;
pub mod head_model;
pub mod landmarks;
pub mod math;
pub mod motion;
pub mod person;
mod pose;
mod raster;
pub mod render;
pub mod scene;
mod traits;
pub mod truth;

mod clothes;
mod eye;
mod fuzz;
mod hair;
mod noise;
mod npz;
mod openness;
mod rig;
mod sensor;
mod shade;
mod shadow;
mod skin;
mod skull;

#[cfg(test)]
mod tests;
