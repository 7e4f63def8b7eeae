//! The in-band code: frame number and time, drawn into the picture itself and read back at the far end.
//!
//! A time stamp beside a picture ends where the program ends. A [`Stamp`] in its pixels goes through codecs, kernel
//! buffers, other programs and screens, and whoever reads it there knows how old the picture truly is: all
//! processes of a machine share the monotonic clock.
//!
//! The code is a strip at the picture's upper edge, 64 × 6 square cells as wide as the picture, black and white so
//! that chroma subsampling cannot hurt it:
//!
//! ```text
//! columns  0-1 quiet | 2-5 bar | 6-7 gap | 8 dark | 9-56 data | 57 dark | 58-59 gap | 60-61 bar | 62-63 quiet
//! rows     0 quiet | 1-4 data | 5 quiet
//! ```
//!
//! The data are 24 bytes, one in two columns: 12 of payload, a CRC-32, and 8 of a Reed-Solomon code of which three
//! damaged bytes are mended. The bars differ, so that a mirrored picture is read as well.
//! [`read_whole`] expects the strip where [`draw`] put it, at any scale; [`read`] also looks for it elsewhere.

pub(crate) use read::wrong_bits;
pub use read::{Place, read, read_at, read_whole};
pub use stamp::{Origin, Stamp, draw, strip_height_px};

mod read;
mod reed_solomon;
mod stamp;
#[cfg(test)]
mod tests;

/// Columns of cells, all of the picture's width.
pub const N_COLUMNS: usize = 64;
/// Rows of cells, the quiet ones above and below included.
pub const N_ROWS: usize = 6;
/// The narrowest picture that carries the code: cells of two pixels.
pub const LEAST_WIDTH_PX: usize = 2 * N_COLUMNS;

/// The first column of data.
const DATA_COLUMN: usize = 9;
/// The first row of data.
const DATA_ROW: usize = 1;
/// Rows of data.
const N_DATA_ROWS: usize = 4;
/// Bytes of data, one in two columns of four rows.
const N_BYTES: usize = 24;
/// Where the bars begin and end from outside to outside, in columns.
const BARS: (usize, usize) = (2, 62);
