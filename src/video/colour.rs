//! What a file says of its colours, and the numbers that follow from it.

use ffmpeg_next::frame;
use ffmpeg_next::util::color::{Primaries, Range, Space, TransferCharacteristic};

/// From here on a file that does not say its matrix has that of HD.
const HD_LINES: u32 = 720;
/// Fraction bits of the coefficients.
pub(super) const SHIFT: u32 = 16;

/// How luma and chroma were made from red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matrix {
    /// Of SD.
    Bt601,
    /// Of HD.
    Bt709,
    /// Of UHD.
    Bt2020,
    /// Of the first HD.
    Smpte240,
    /// Of the first colour television.
    Fcc,
}

impl Matrix {
    /// The shares of red and blue in luma.
    pub(crate) fn shares(self) -> (f64, f64) {
        match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
            Self::Bt2020 => (0.2627, 0.0593),
            Self::Smpte240 => (0.212, 0.087),
            Self::Fcc => (0.3, 0.11),
        }
    }
}

/// How light became numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// As screens of the standard range show it.
    Standard,
    /// SMPTE ST 2084, "PQ": absolute brightness.
    Pq,
    /// ARIB STD-B67, "HLG".
    Hlg,
}

/// All that must be known to show a picture in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour {
    pub(crate) matrix: Matrix,
    /// Whether black and white are the ends of the numbers' range (PC) instead of 16 and 235 (video).
    pub(crate) is_full: bool,
    pub(crate) transfer: Transfer,
    /// Whether red, green and blue are those of BT.2020.
    pub(crate) is_wide: bool,
}

impl Colour {
    /// What the picture says, and what is customary where it says nothing. `is_full_format` for formats that imply it.
    pub(crate) fn of(frame: &frame::Video, is_full_format: bool) -> Self {
        let matrix = match frame.color_space() {
            Space::BT709 => Matrix::Bt709,
            Space::BT2020NCL | Space::BT2020CL => Matrix::Bt2020,
            Space::SMPTE170M | Space::BT470BG => Matrix::Bt601,
            Space::SMPTE240M => Matrix::Smpte240,
            Space::FCC => Matrix::Fcc,
            _ if frame.width().min(frame.height()) < HD_LINES => Matrix::Bt601,
            _ => Matrix::Bt709,
        };
        let is_full = match frame.color_range() {
            Range::JPEG => true,
            Range::MPEG => false,
            Range::Unspecified => is_full_format,
        };
        let transfer = match frame.color_transfer_characteristic() {
            TransferCharacteristic::SMPTE2084 => Transfer::Pq,
            TransferCharacteristic::ARIB_STD_B67 => Transfer::Hlg,
            _ => Transfer::Standard,
        };
        Self { matrix, is_full, transfer, is_wide: frame.color_primaries() == Primaries::BT2020 }
    }
}

/// From luma and chroma of `bits` bits to red, green and blue of 0 to 255, with [`SHIFT`] bits of fraction.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToRgb {
    pub(super) y_black: i32,
    pub(super) c_middle: i32,
    pub(super) y_gain: i32,
    pub(super) r_from_cr: i32,
    pub(super) g_from_cb: i32,
    pub(super) g_from_cr: i32,
    pub(super) b_from_cb: i32,
}

impl ToRgb {
    pub(super) fn new(colour: &Colour, bits: u32) -> Self {
        let (red, blue) = colour.matrix.shares();
        let green = 1.0 - red - blue;
        let step = f64::from(1_u32 << (bits - 8));
        let most = f64::from((1_u32 << bits) - 1);
        let (y_range, c_range) = if colour.is_full { (most, most) } else { (219.0 * step, 224.0 * step) };
        let fixed = |gain: f64, range: f64| (gain * 255.0 / range * f64::from(1 << SHIFT)).round() as i32;
        Self {
            y_black: if colour.is_full { 0 } else { 16 << (bits - 8) },
            c_middle: 128 << (bits - 8),
            y_gain: fixed(1.0, y_range),
            r_from_cr: fixed(2.0 * (1.0 - red), c_range),
            g_from_cb: fixed(-2.0 * blue * (1.0 - blue) / green, c_range),
            g_from_cr: fixed(-2.0 * red * (1.0 - red) / green, c_range),
            b_from_cb: fixed(2.0 * (1.0 - blue), c_range),
        }
    }
}
