//! The inner loops on AVX-512 with VNNI.
#![expect(unsafe_code, reason = "two threads share the rows of the same tensors, and the loops read by address")]
#![expect(clippy::needless_range_loop, reason = "sums are indexed by vector and pixel, and stay in registers")]

use std::arch::x86_64::{
    __m128i, __m512, __m512i, _mm_cvtsi128_si32, _mm_extract_epi32, _mm_set_epi32, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_set1_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_castps512_ps256, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32,
    _mm512_cvtps_epi32, _mm512_cvtusepi32_epi8, _mm512_dpbusd_epi32, _mm512_extractf32x8_ps, _mm512_fmadd_ps,
    _mm512_load_si512, _mm512_loadu_ps, _mm512_mask_storeu_epi32, _mm512_maskz_loadu_ps, _mm512_max_epi32,
    _mm512_max_ps, _mm512_min_epi32, _mm512_mul_ps, _mm512_or_si512, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_si512, _mm512_sllv_epi32,
};

use super::tile::{Affine, BytesOut, EXACT_LANES, FloatsOut, GROUP, LANES, Planes, Row, SECOND_STEPS};

/// Pixels of a tile: with three vectors of channels their sums fill 24 of 32 registers.
const TILE_PX: usize = 8;

/// Sums of one tile.
///
/// # Safety
/// The processor runs them; the row's pixels, `S` apart, can be read under all taps for
/// [`TILE_PX`] outputs from `x` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")]
unsafe fn tile<const V: usize, const S: usize>(row: &Row, x: *const u8) -> [[__m512i; TILE_PX]; V] {
    let mut sums = [[_mm512_setzero_si512(); TILE_PX]; V];
    let mut weights = row.weights.as_ptr();
    for &tap in row.taps {
        let mut x = x.wrapping_offset(tap);
        for _ in 0..row.n_groups {
            // SAFETY: the caller's; `weights` has a line for each tap, group and vector.
            unsafe {
                let w: [__m512i; V] = std::array::from_fn(|v| _mm512_load_si512(weights.add(v).cast()));
                for p in 0..TILE_PX {
                    let pixel = _mm512_set1_epi32(x.add(p * S * GROUP).cast::<i32>().read_unaligned());
                    for v in 0..V {
                        sums[v][p] = _mm512_dpbusd_epi32(sums[v][p], pixel, w[v]);
                    }
                }
                weights = weights.add(V);
            }
            x = x.wrapping_add(row.plane);
        }
    }
    sums
}

/// Convolves a row into bytes; `S` is the input's stride.
///
/// # Safety
/// As [`tile`], for every eighth output of the row; `affine` has `V` vectors; nobody else touches what `out` says.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")]
pub(super) unsafe fn row_of_bytes<const V: usize, const S: usize>(row: &Row, affine: &Affine, out: &BytesOut) {
    let slope = _mm512_set1_ps(out.slope);
    let (per_one, zero) = (_mm512_set1_ps(out.per_one), _mm512_set1_ps(out.zero));
    let residual_step = _mm512_set1_ps(out.residual_step);
    let residual_offset = _mm512_set1_ps(-out.residual_step * out.residual_zero);
    for first in (0..row.n_px).step_by(TILE_PX) {
        // SAFETY: the caller's.
        let sums = unsafe { tile::<V, S>(row, row.x.add(first * S * GROUP)) };
        for v in 0..V {
            let n_groups = out.n_groups.saturating_sub(v * GROUP).min(GROUP);
            // SAFETY: the caller's.
            let (multiplier, offset) = unsafe { lanes_of(affine, v) };
            for p in 0..TILE_PX.min(row.n_px - first) {
                let mut value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[v][p]), multiplier, offset);
                let at = (first + p) * out.step;
                // SAFETY: these groups of this pixel are there, in the residual and in the output.
                unsafe {
                    if !out.residual.is_null() {
                        let first = out.residual.add(at + v * GROUP * out.residual_plane);
                        let bytes = gather(first, out.residual_plane, n_groups);
                        let other = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
                        value = _mm512_add_ps(_mm512_fmadd_ps(other, residual_step, residual_offset), value);
                    }
                    value = _mm512_max_ps(value, _mm512_mul_ps(value, slope));
                    let rounded = _mm512_cvtps_epi32(_mm512_fmadd_ps(value, per_one, zero));
                    let bytes = _mm512_cvtusepi32_epi8(_mm512_max_epi32(rounded, _mm512_setzero_si512()));
                    scatter(bytes, out.y.add(at + v * GROUP * out.plane), out.plane, n_groups);
                }
            }
        }
    }
}

/// Convolves a row of two-byte weights into at most [`EXACT_LANES`] numbers a pixel.
///
/// # Safety
/// As [`row_of_bytes`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")]
pub(super) unsafe fn row_of_floats<const S: usize>(row: &Row, affine: &Affine, out: &FloatsOut) {
    // SAFETY: the caller's.
    let (multiplier, offset) =
        unsafe { (_mm256_loadu_ps(affine.multipliers.as_ptr()), _mm256_loadu_ps(affine.offsets.as_ptr())) };
    let second_step = _mm256_set1_ps(1.0 / SECOND_STEPS);
    for first in (0..row.n_px).step_by(TILE_PX) {
        // SAFETY: the caller's.
        let [sums] = unsafe { tile::<1, S>(row, row.x.add(first * S * GROUP)) };
        for (p, sums) in sums.iter().enumerate().take(row.n_px - first) {
            let sums = _mm512_cvtepi32_ps(*sums);
            let (one, two) = (_mm512_castps512_ps256(sums), _mm512_extractf32x8_ps::<1>(sums));
            let both = _mm256_fmadd_ps(two, second_step, one);
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
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")]
pub(super) unsafe fn round_row(x: &Planes, (per_one, zero): (f32, f32), y: *mut u8, n_px: usize) {
    let (per_one, zero) = (_mm512_set1_ps(per_one), _mm512_set1_ps(zero));
    for first in (0..n_px).step_by(LANES) {
        let mask = u16::MAX >> (LANES - LANES.min(n_px - first));
        let mut pixels = _mm512_setzero_si512();
        for channel in 0..x.n_channels {
            // SAFETY: the caller's; lanes beyond the row are not read.
            let numbers = unsafe { _mm512_maskz_loadu_ps(mask, x.x.add(channel * x.plane + first)) };
            let rounded = _mm512_cvtps_epi32(_mm512_fmadd_ps(numbers, per_one, zero));
            let byte = _mm512_min_epi32(_mm512_max_epi32(rounded, _mm512_setzero_si512()), _mm512_set1_epi32(255));
            pixels = _mm512_or_si512(pixels, _mm512_sllv_epi32(byte, _mm512_set1_epi32(8 * channel as i32)));
        }
        // SAFETY: the caller's; lanes beyond the row are not written.
        unsafe { _mm512_mask_storeu_epi32(y.add(first * GROUP).cast(), mask, pixels) };
    }
}

/// What a vector's numbers are multiplied by and offset by.
///
/// # Safety
/// `affine` has that vector.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn lanes_of(affine: &Affine, v: usize) -> (__m512, __m512) {
    // SAFETY: the caller's.
    unsafe {
        let multipliers = _mm512_loadu_ps(affine.multipliers.as_ptr().add(v * LANES));
        (multipliers, _mm512_loadu_ps(affine.offsets.as_ptr().add(v * LANES)))
    }
}

/// A pixel's channels from `n_groups` groups, 1 to 4; 0 for the others.
///
/// # Safety
/// They are there.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn gather(x: *const u8, plane: usize, n_groups: usize) -> __m128i {
    let group = |k: usize| {
        if k < n_groups {
            // SAFETY: the caller's.
            unsafe { x.add(k * plane).cast::<i32>().read_unaligned() }
        } else {
            0
        }
    };
    _mm_set_epi32(group(3), group(2), group(1), group(0))
}

/// Writes a pixel's channels into `n_groups` groups.
///
/// # Safety
/// They are there, and nobody else touches them.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn scatter(bytes: __m128i, y: *mut u8, plane: usize, n_groups: usize) {
    // SAFETY: the caller's.
    unsafe {
        let put = |k: usize, four: i32| {
            if k < n_groups {
                y.add(k * plane).cast::<i32>().write_unaligned(four);
            }
        };
        put(0, _mm_cvtsi128_si32(bytes));
        put(1, _mm_extract_epi32::<1>(bytes));
        put(2, _mm_extract_epi32::<2>(bytes));
        put(3, _mm_extract_epi32::<3>(bytes));
    }
}

/// As [`super::loops::Loops::sigmoid`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma")]
pub(super) fn sigmoid(numbers: &mut [f32]) {
    for number in numbers {
        *number = super::tile::sigmoid(*number);
    }
}
