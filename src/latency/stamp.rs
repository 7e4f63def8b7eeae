//! What a picture says of itself, and drawing it.

use std::time::Duration;

use super::reed_solomon::{self, N_DATA};
use super::{DATA_COLUMN, DATA_ROW, LEAST_WIDTH_PX, N_BYTES, N_COLUMNS, N_DATA_ROWS, N_ROWS};
use crate::clock::Timestamp;
use crate::frame::Picture;

/// Bytes before the checksum.
const N_PAYLOAD: usize = 12;
/// Keeps an even picture from being a word of the code.
const WHITENING: [u8; N_BYTES] = [
    0xb5, 0x3a, 0x66, 0x9c, 0x47, 0xd1, 0x2e, 0x93, 0x5c, 0xe8, 0x19, 0xa6, 0x72, 0x4d, 0xcb, 0x35, 0x8e, 0x61, 0xd4,
    0x2b, 0x97, 0x5a, 0xe3, 0x1c,
];
/// Within the range of video, so that no conversion cuts anything off.
const DARK: u8 = 16;
/// See [`DARK`].
const LIGHT: u8 = 235;

/// Who drew a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The test pattern: the time is when the picture was due.
    Pattern,
    /// The compositor: number and time are those of the driver's frame behind the picture.
    Output,
}

impl Origin {
    const fn code(self) -> u8 {
        match self {
            Self::Pattern => 0xe1,
            Self::Output => 0xe2,
        }
    }
}

/// Frame number and time, as a picture carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Who drew it.
    pub origin: Origin,
    /// Counts the source's frames from 1; starts again after 2³² of them.
    pub frame_id: u32,
    /// When the driver's picture was taken, on the monotonic clock; whole microseconds are kept.
    pub time: Timestamp,
}

impl Stamp {
    /// How old the picture is at `now`.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.time)
    }

    /// The code word that is drawn.
    pub(super) fn encode(&self) -> [u8; N_BYTES] {
        let mut data = [0; N_DATA];
        data[0] = self.origin.code();
        data[1..5].copy_from_slice(&self.frame_id.to_be_bytes());
        data[5..N_PAYLOAD].copy_from_slice(&(self.time.as_nanos() / 1000).to_be_bytes()[1..]);
        let checksum = crc32(&data[..N_PAYLOAD]);
        data[N_PAYLOAD..].copy_from_slice(&checksum.to_be_bytes());
        let word = reed_solomon::encode(&data);
        std::array::from_fn(|i| word[i] ^ WHITENING[i])
    }

    /// Reads a code word; the stamp and how many bytes were mended.
    pub(super) fn decode(mut word: [u8; N_BYTES]) -> Option<(Self, usize)> {
        word.iter_mut().zip(WHITENING).for_each(|(byte, mask)| *byte ^= mask);
        let n_mended = reed_solomon::mend(&mut word)?;
        let checksum = u32::from_be_bytes([word[12], word[13], word[14], word[15]]);
        if crc32(&word[..N_PAYLOAD]) != checksum {
            return None;
        }
        let origin = [Origin::Pattern, Origin::Output].into_iter().find(|origin| origin.code() == word[0])?;
        let frame_id = u32::from_be_bytes([word[1], word[2], word[3], word[4]]);
        let micros = word[5..N_PAYLOAD].iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        let time = Timestamp::from_nanos(micros.checked_mul(1000)?);
        Some((Self { origin, frame_id, time }, n_mended))
    }
}

/// Where a column of cells begins in a picture of this width.
fn edge_px(column: usize, width_px: usize) -> usize {
    (column * width_px + N_COLUMNS / 2) / N_COLUMNS
}

/// How many rows the stamp covers in a picture of this width, in pixels.
pub fn strip_height_px(width_px: usize) -> usize {
    edge_px(N_ROWS, width_px)
}

/// Draws the stamp over the upper edge of `picture`; false when that is too small. Allocates nothing.
pub fn draw<const C: usize>(stamp: &Stamp, picture: &mut Picture<C>) -> bool {
    let (width, height) = (picture.width_px(), picture.height_px());
    let edge = |column: usize| edge_px(column, width);
    if width < LEAST_WIDTH_PX || height < strip_height_px(width) {
        return false;
    }
    let word = stamp.encode();
    let stride = width * C;
    for row in 0..N_ROWS {
        let (top, bottom) = (edge(row), edge(row + 1));
        let first = &mut picture.data_mut()[top * stride..][..stride];
        for column in 0..N_COLUMNS {
            let value = if is_dark(&word, column, row) { DARK } else { LIGHT };
            for pixel in first[edge(column) * C..edge(column + 1) * C].chunks_exact_mut(C) {
                pixel.fill(value);
                if let Some(alpha) = pixel.get_mut(3) {
                    *alpha = 255;
                }
            }
        }
        for y in top + 1..bottom {
            picture.data_mut().copy_within(top * stride..(top + 1) * stride, y * stride);
        }
    }
    true
}

/// Whether a cell of the strip is dark.
fn is_dark(word: &[u8; N_BYTES], column: usize, row: usize) -> bool {
    if !(DATA_ROW..DATA_ROW + N_DATA_ROWS).contains(&row) {
        return false;
    }
    match column {
        2..=5 | 8 | 57 | 60..=61 => true,
        9..=56 => {
            let column = column - DATA_COLUMN;
            word[column / 2] >> (column % 2 * N_DATA_ROWS + row - DATA_ROW) & 1 == 1
        }
        _ => false,
    }
}

/// The checksum of Ethernet and PNG.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let (mut value, mut bit) = (i as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, &byte| crc >> 8 ^ TABLE[((crc ^ u32::from(byte)) & 255) as usize])
}
