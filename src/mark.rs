//! The invisible mark: says in every picture that leaves that this program made it.
//!
//! A faint pattern of brightness, the same in every picture of a run: a tile of a quarter of the picture's side that repeats,
//! made of waves (`carriers`) whose directions and lengths lie on a lattice. Two thirds of them have phases that anyone knows and
//! show where, how large and how turned the pattern is; the phases of the others carry [`Message`]: the run's number and a
//! check. [`Embedder`] adds it, stronger where the picture is busy; [`Detector`] finds it in one picture or, better, in the mean of
//! many.
//!
//! Nothing here knows the rest of the program: `web/verify` compiles these files by themselves.

pub use carriers::Key;
pub use certainty::{THRESHOLD, false_alarm_probability};
pub use detect::{Detector, Finding};
pub use embed::Embedder;
pub use message::Message;
pub use normal::NormalMap;

mod carriers;
mod certainty;
mod detect;
mod embed;
mod fft;
mod message;
mod normal;
mod resize;
mod spectrum;
mod sums;
#[cfg(test)]
mod tests;
