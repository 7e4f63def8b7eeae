//! Which inner loops there are, and which a processor runs.
#![expect(unsafe_code, reason = "two threads share the rows of the same tensors, and the loops read by address")]

use super::tile::{Affine, BytesOut, FloatsOut, LANES, Planes, Row};
use super::{avx_vnni, avx512};

/// The inner loops for a kind of processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loops {
    /// AVX-512 with VNNI: sixteen sums of four products of bytes in one instruction.
    Avx512,
    /// AVX2 with VNNI: eight.
    AvxVnni,
}

impl Loops {
    /// The fastest first.
    pub(super) const ALL: [Self; 2] = [Self::Avx512, Self::AvxVnni];

    /// Whether this processor runs them.
    pub(super) fn is_available(self) -> bool {
        match self {
            Self::Avx512 => {
                is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("fma")
            }
            Self::AvxVnni => {
                is_x86_feature_detected!("avxvnni")
                    && is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
            }
        }
    }

    /// How many vectors of channels a tile makes at once, of `n_channels`: as many as leave the fewest lanes idle; of those,
    /// the most that registers hold.
    pub(super) fn n_vectors(self, n_channels: usize) -> usize {
        let n = n_channels.div_ceil(LANES);
        match self {
            Self::Avx512 => (1..=3).min_by_key(|v| (n.div_ceil(*v) * v, 3 - v)).unwrap_or(1),
            Self::AvxVnni => 1,
        }
    }

    /// Convolves a row into bytes, `n_vectors` vectors of channels; the input's pixels are `stride` apart, 1 or 2.
    ///
    /// # Safety
    /// [`Self::is_available`]. The input can be read under all taps for [`super::tile::MAX_TILE_PX`] outputs from every tile's first one on;
    /// `affine` and the row's weights are for `n_vectors`, which is [`Self::n_vectors`]; nobody else touches what `out` says.
    pub(super) unsafe fn row_of_bytes(
        self,
        (n_vectors, stride): (usize, usize),
        row: &Row,
        affine: &Affine,
        out: &BytesOut,
    ) {
        // SAFETY: the caller's.
        unsafe {
            match (self, n_vectors, stride) {
                (Self::Avx512, 1, 1) => avx512::row_of_bytes::<1, 1>(row, affine, out),
                (Self::Avx512, 2, 1) => avx512::row_of_bytes::<2, 1>(row, affine, out),
                (Self::Avx512, _, 1) => avx512::row_of_bytes::<3, 1>(row, affine, out),
                (Self::Avx512, 1, _) => avx512::row_of_bytes::<1, 2>(row, affine, out),
                (Self::Avx512, 2, _) => avx512::row_of_bytes::<2, 2>(row, affine, out),
                (Self::Avx512, _, _) => avx512::row_of_bytes::<3, 2>(row, affine, out),
                (Self::AvxVnni, _, 1) => avx_vnni::row_of_bytes::<1>(row, affine, out),
                (Self::AvxVnni, _, _) => avx_vnni::row_of_bytes::<2>(row, affine, out),
            }
        }
    }

    /// Convolves a row of two-byte weights into at most [`super::tile::EXACT_LANES`] numbers a pixel.
    ///
    /// # Safety
    /// As [`Self::row_of_bytes`], for one vector.
    pub(super) unsafe fn row_of_floats(self, stride: usize, row: &Row, affine: &Affine, out: &FloatsOut) {
        // SAFETY: the caller's.
        unsafe {
            match (self, stride) {
                (Self::Avx512, 1) => avx512::row_of_floats::<1>(row, affine, out),
                (Self::Avx512, _) => avx512::row_of_floats::<2>(row, affine, out),
                (Self::AvxVnni, 1) => avx_vnni::row_of_floats::<1>(row, affine, out),
                (Self::AvxVnni, _) => avx_vnni::row_of_floats::<2>(row, affine, out),
            }
        }
    }

    /// Rounds a row of numbers to bytes, four channels beside each other; those that are not there become 0.
    ///
    /// # Safety
    /// [`Self::is_available`]; `x` has its channels, each of at least `n_px`; nobody else touches the `n_px` pixels at `y`.
    pub(super) unsafe fn round_row(self, x: &Planes, scale: (f32, f32), y: *mut u8, n_px: usize) {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Self::Avx512 => avx512::round_row(x, scale, y, n_px),
                Self::AvxVnni => avx_vnni::round_row(x, scale, y, n_px),
            }
        }
    }

    /// `1 / (1 + exp(-x))` of each number, within 1e-6.
    ///
    /// # Safety
    /// [`Self::is_available`].
    pub(super) unsafe fn sigmoid(self, numbers: &mut [f32]) {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Self::Avx512 => avx512::sigmoid(numbers),
                Self::AvxVnni => avx_vnni::sigmoid(numbers),
            }
        }
    }
}
