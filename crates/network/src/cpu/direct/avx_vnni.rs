//! The inner loops on AVX2 with VNNI: processors without AVX-512, most laptops of 2022 and later.
#![expect(unsafe_code, reason = "two threads share the rows of the same tensors, and the loops read by address")]
#![expect(clippy::needless_range_loop, reason = "sums are indexed by vector and pixel, and stay in registers")]

use std::arch::x86_64::{
    __m256, __m256i, _mm_cvtsi128_si32, _mm_set_epi32, _mm256_add_ps, _mm256_castsi256_si128, _mm256_cvtepi32_ps,
    _mm256_cvtepu8_epi32, _mm256_cvtps_epi32, _mm256_dpbusd_avx_epi32, _mm256_extracti128_si256, _mm256_fmadd_ps,
    _mm256_load_si256, _mm256_loadu_ps, _mm256_max_epi32, _mm256_max_ps, _mm256_min_epi32, _mm256_mul_ps,
    _mm256_packus_epi16, _mm256_packus_epi32, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_si256,
    _mm256_storeu_ps,
};

use super::tile::{Affine, BytesOut, EXACT_LANES, FloatsOut, GROUP, LANES, Planes, Row, SECOND_STEPS};

/// Pixels of a tile: the sums of sixteen channels fill 12 of 16 registers.
const TILE_PX: usize = 6;
/// Vectors of eight channels.
const N_HALVES: usize = 2;
/// Lanes of one.
const HALF: usize = LANES / N_HALVES;

/// Sums of one tile, sixteen channels.
///
/// # Safety
/// The processor runs them; the row's pixels, `S` apart, can be read under all taps for [`TILE_PX`] outputs from `x` on.
#[inline]
#[target_feature(enable = "avx2,fma,avxvnni")]
unsafe fn tile<const S: usize>(row: &Row, x: *const u8) -> [[__m256i; TILE_PX]; N_HALVES] {
    let mut sums = [[_mm256_setzero_si256(); TILE_PX]; N_HALVES];
    let mut weights = row.weights.as_ptr().cast::<__m256i>();
    for &tap in row.taps {
        let mut x = x.wrapping_offset(tap);
        for _ in 0..row.n_groups {
            // SAFETY: the caller's; `weights` has a line for each tap and group.
            unsafe {
                let w: [__m256i; N_HALVES] = std::array::from_fn(|half| _mm256_load_si256(weights.add(half)));
                for p in 0..TILE_PX {
                    let pixel = _mm256_set1_epi32(x.add(p * S * GROUP).cast::<i32>().read_unaligned());
                    for half in 0..N_HALVES {
                        sums[half][p] = _mm256_dpbusd_avx_epi32(sums[half][p], pixel, w[half]);
                    }
                }
                weights = weights.add(N_HALVES);
            }
            x = x.wrapping_add(row.plane);
        }
    }
    sums
}

/// As [`super::loops::Loops::row_of_bytes`], for one vector; `S` is the input's stride.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2,fma,avxvnni")]
pub(super) unsafe fn row_of_bytes<const S: usize>(row: &Row, affine: &Affine, out: &BytesOut) {
    let slope = _mm256_set1_ps(out.slope);
    let (per_one, zero) = (_mm256_set1_ps(out.per_one), _mm256_set1_ps(out.zero));
    let residual_step = _mm256_set1_ps(out.residual_step);
    let residual_offset = _mm256_set1_ps(-out.residual_step * out.residual_zero);
    for first in (0..row.n_px).step_by(TILE_PX) {
        // SAFETY: the caller's.
        let sums = unsafe { tile::<S>(row, row.x.add(first * S * GROUP)) };
        for (half, sums) in sums.iter().enumerate() {
            let n_groups = out.n_groups.saturating_sub(half * HALF / GROUP).min(HALF / GROUP);
            if n_groups == 0 {
                break;
            }
            // SAFETY: the caller's.
            let (multiplier, offset) = unsafe { lanes_of(affine, half) };
            for (p, sums) in sums.iter().enumerate().take(row.n_px - first) {
                let mut value = _mm256_fmadd_ps(_mm256_cvtepi32_ps(*sums), multiplier, offset);
                let at = (first + p) * out.step;
                // SAFETY: these groups of this pixel are there, in the residual and in the output.
                unsafe {
                    if !out.residual.is_null() {
                        let x = out.residual.add(at + half * HALF / GROUP * out.residual_plane);
                        let group = |k: usize| x.add(k * out.residual_plane).cast::<i32>().read_unaligned();
                        let bytes = _mm_set_epi32(0, 0, if n_groups > 1 { group(1) } else { 0 }, group(0));
                        let other = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
                        value = _mm256_add_ps(_mm256_fmadd_ps(other, residual_step, residual_offset), value);
                    }
                    value = _mm256_max_ps(value, _mm256_mul_ps(value, slope));
                    let bytes = rounded(_mm256_fmadd_ps(value, per_one, zero));
                    let y = out.y.add(at + half * HALF / GROUP * out.plane);
                    // The four channels of a group are each at the beginning of their half.
                    let fours = _mm256_packus_epi16(_mm256_packus_epi32(bytes, bytes), bytes);
                    y.cast::<i32>().write_unaligned(_mm_cvtsi128_si32(_mm256_castsi256_si128(fours)));
                    if n_groups > 1 {
                        let four = _mm_cvtsi128_si32(_mm256_extracti128_si256::<1>(fours));
                        y.add(out.plane).cast::<i32>().write_unaligned(four);
                    }
                }
            }
        }
    }
}

/// As [`super::loops::Loops::row_of_floats`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2,fma,avxvnni")]
pub(super) unsafe fn row_of_floats<const S: usize>(row: &Row, affine: &Affine, out: &FloatsOut) {
    // SAFETY: the caller's.
    let (multiplier, offset) = unsafe { lanes_of(affine, 0) };
    let second_step = _mm256_set1_ps(1.0 / SECOND_STEPS);
    for first in (0..row.n_px).step_by(TILE_PX) {
        // SAFETY: the caller's.
        let [one, two] = unsafe { tile::<S>(row, row.x.add(first * S * GROUP)) };
        for (p, (one, two)) in one.iter().zip(&two).enumerate().take(row.n_px - first) {
            let both = _mm256_fmadd_ps(_mm256_cvtepi32_ps(*two), second_step, _mm256_cvtepi32_ps(*one));
            let values = _mm256_fmadd_ps(both, multiplier, offset);
            let mut numbers = [0.0_f32; EXACT_LANES];
            // SAFETY: the array holds a vector; these channels of this pixel are there.
            unsafe {
                _mm256_storeu_ps(numbers.as_mut_ptr(), values);
                let y = out.y.add((first + p) * out.step);
                for (channel, number) in numbers.iter().enumerate().take(out.n_channels) {
                    y.add(channel * out.plane).write(*number);
                }
            }
        }
    }
}

/// As [`super::loops::Loops::round_row`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2,fma,avxvnni")]
pub(super) unsafe fn round_row(x: &Planes, (per_one, zero): (f32, f32), y: *mut u8, n_px: usize) {
    for at in 0..n_px {
        for channel in 0..GROUP {
            // SAFETY: the caller's.
            unsafe {
                let byte = if channel < x.n_channels {
                    // A cast keeps to a byte's range; half a step is added to what it cuts off.
                    (x.x.add(channel * x.plane + at).read() * per_one + (zero + 0.5)) as u8
                } else {
                    0
                };
                y.add(at * GROUP + channel).write(byte);
            }
        }
    }
}

/// As [`super::loops::Loops::sigmoid`].
#[target_feature(enable = "avx2,fma")]
pub(super) fn sigmoid(numbers: &mut [f32]) {
    for number in numbers {
        *number = super::tile::sigmoid(*number);
    }
}

/// What half a vector's numbers are multiplied by and offset by.
///
/// # Safety
/// `affine` has a vector.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn lanes_of(affine: &Affine, half: usize) -> (__m256, __m256) {
    // SAFETY: the caller's.
    unsafe {
        let multipliers = _mm256_loadu_ps(affine.multipliers.as_ptr().add(half * HALF));
        (multipliers, _mm256_loadu_ps(affine.offsets.as_ptr().add(half * HALF)))
    }
}

/// Whole numbers from 0 to 255.
#[inline]
#[target_feature(enable = "avx2")]
fn rounded(values: __m256) -> __m256i {
    let whole = _mm256_max_epi32(_mm256_cvtps_epi32(values), _mm256_setzero_si256());
    _mm256_min_epi32(whole, _mm256_set1_epi32(255))
}
