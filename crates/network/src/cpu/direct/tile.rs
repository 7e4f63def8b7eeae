//! What the inner loops are given.

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
