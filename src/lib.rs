//! Effigy: a portrait is enrolled once, a camera drives it live, the newest frame wins.

pub mod capture;
pub mod clock;
pub mod composite;
pub mod demo;
pub mod drive;
pub mod error;
pub mod face;
pub mod frame;
pub mod generate;
pub mod identity;
pub mod kernels;
pub mod latest;
pub mod models;
pub mod photo;
pub mod pipeline;
pub mod report;
pub mod sink;
pub mod trace;

pub use capture::{RawFrame, Source};
pub use composite::OutFrame;
pub use drive::DrivingSignal;
pub use error::{Error, ErrorKind, Result};
pub use face::FaceObservation;
pub use frame::{Grey, Rgb, Rgba};
pub use generate::{Generator, Portrait};
pub use identity::Identity;
pub use sink::Sink;
