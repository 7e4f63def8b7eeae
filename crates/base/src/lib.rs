//! What all of effigy's crates share: errors, files, time, pictures, and the geometry of faces.
//!
//! Nothing here opens a device, a window or a connection.

pub mod clock;
pub mod error;
pub mod files;
pub mod frame;
pub mod geometry;
pub mod hex;
pub mod pixel;
pub mod plot;
pub mod random;
