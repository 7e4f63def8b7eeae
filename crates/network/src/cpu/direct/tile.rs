//! What the inner loops are given, and which there are.
#![expect(unsafe_code, reason = "two threads share the rows of the same tensors, and the loops read by address")]

use super::{avx_vnni, avx512};

/// Lanes of a vector of sums.
pub(super) const LANES: usize = 16;
/// Channels that lie beside each other in memory.
pub(super) const GROUP: usize = 4;
/// Numbers that a vector of two-byte weights makes: the upper lanes hold what the lower ones' bytes leave.
pub(super) const EXACT_LANES: usize = LANES / 2;
/// Into how many steps of a byte's own the second byte of a weight is cut.
pub(super) const SECOND_STEPS: f32 = 254.0;
/// A tile has at most so many pixels.
pub(super) const MAX_TILE_PX: usize = 8;

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
    /// [`Self::is_available`]. The input can be read under all taps for [`MAX_TILE_PX`] outputs from every tile's first one on;
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

    /// Convolves a row of two-byte weights into at most [`EXACT_LANES`] numbers a pixel.
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

/// Numbers that come in: planes behind each other, at most [`GROUP`] of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes {
    pub(super) x: *const f32,
    pub(super) plane: usize,
    pub(super) n_channels: usize,
}

/// Sixty-four bytes of weights: four input channels for each of sixteen output channels.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Line(pub(super) [i8; 64]);

/// A row of pixels to convolve, and where their sums come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    /// The first channel group of the pixel that the first output's kernel is centred on.
    pub(super) x: *const u8,
    /// From one channel group of the input to the next, in bytes.
    pub(super) plane: usize,
    /// Channel groups of the input.
    pub(super) n_groups: usize,
    /// From that pixel to those under the kernel, in bytes.
    pub(super) taps: &'a [isize],
    /// `[tap][group][vector]`.
    pub(super) weights: &'a [Line],
    /// Outputs.
    pub(super) n_px: usize,
}

/// What the sums of a row become: numbers, `sum * multiplier + offset`, by lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine<'a> {
    pub(super) multipliers: &'a [f32],
    pub(super) offsets: &'a [f32],
}

/// Where a row goes in bytes: what `max(v, slope v)` makes of the numbers with their residual, in steps of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct BytesOut {
    /// The first channel group of the first pixel.
    pub(super) y: *mut u8,
    pub(super) plane: usize,
    /// From one pixel to the next, in bytes.
    pub(super) step: usize,
    /// How many of the groups there are.
    pub(super) n_groups: usize,
    /// As `y`; null without a residual.
    pub(super) residual: *const u8,
    pub(super) residual_plane: usize,
    pub(super) residual_step: f32,
    pub(super) residual_zero: f32,
    pub(super) slope: f32,
    /// Steps in one.
    pub(super) per_one: f32,
    pub(super) zero: f32,
}

/// Where a row goes as numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct FloatsOut {
    pub(super) y: *mut f32,
    pub(super) plane: usize,
    pub(super) step: usize,
    pub(super) n_channels: usize,
}

/// `1 / (1 + exp(-x))`, for loops on vectors.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `exp(x)` for x from -30 to 30, which others become: 2 to a whole power by a float's exponent, the rest by its series.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Added to a small number, it leaves that rounded in a float's lowest bits.
    const ROUNDER: f32 = 12_582_912.0;
    let power = x.clamp(-30.0, 30.0) * std::f32::consts::LOG2_E;
    let rounded = power + ROUNDER;
    let rest = (power - (rounded - ROUNDER)) * std::f32::consts::LN_2;
    let series = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let fraction = series.iter().fold(0.0, |sum, term| sum * rest + term);
    let whole = rounded.to_bits().wrapping_sub(ROUNDER.to_bits()).wrapping_add(127) << 23;
    fraction * f32::from_bits(whole)
}
