//! From RGBA to the packings that programs expect of a camera.
//!
//! Colours become BT.601 in limited range (Y 16..=235, U and V 16..=240), which is what programs take an
//! unmarked camera's picture for. Transparent parts are put over black where a packing has no alpha.

use crate::frame::Rgba;

/// How a camera's pixels lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink) enum Packing {
    /// Y0 U Y1 V: two pixels in four bytes.
    Yuyv,
    /// A plane of Y, then a plane of U V pairs for each 2×2 pixels.
    Nv12,
    /// R G B A, alpha not multiplied in.
    #[cfg_attr(not(feature = "pipewire"), allow(dead_code, reason = "v4l2loopback's readers want YUV"))]
    Rgba,
    /// B G R and one byte without meaning.
    #[cfg_attr(not(feature = "pipewire"), allow(dead_code, reason = "v4l2loopback's readers want YUV"))]
    Bgrx,
}

impl Packing {
    /// The name that users know.
    pub(in crate::sink) const fn name(self) -> &'static str {
        match self {
            Self::Yuyv => "YUYV",
            Self::Nv12 => "NV12",
            Self::Rgba => "RGBA",
            Self::Bgrx => "BGRx",
        }
    }

    /// Bytes of a row of the first plane.
    pub(in crate::sink) const fn stride(self, width_px: usize) -> usize {
        match self {
            Self::Yuyv => width_px * 2,
            Self::Nv12 => width_px,
            Self::Rgba | Self::Bgrx => width_px * 4,
        }
    }

    /// Bytes of a picture; both sides are even.
    pub(in crate::sink) const fn n_bytes(self, (width_px, height_px): (usize, usize)) -> usize {
        match self {
            Self::Nv12 => width_px * height_px * 3 / 2,
            _ => self.stride(width_px) * height_px,
        }
    }

    /// Writes `picture`, whose sides are even, into `out`, [`Self::n_bytes`] long.
    pub(in crate::sink) fn pack(self, picture: &Rgba, out: &mut [u8]) {
        debug_assert_eq!(out.len(), self.n_bytes((picture.width_px(), picture.height_px())));
        match self {
            Self::Yuyv => yuyv(picture, out),
            Self::Nv12 => nv12(picture, out),
            Self::Rgba => out.copy_from_slice(picture.data()),
            Self::Bgrx => {
                for (bgrx, rgba) in out.as_chunks_mut::<4>().0.iter_mut().zip(picture.data().as_chunks::<4>().0) {
                    let [r, g, b] = over_black(*rgba);
                    *bgrx = [b, g, r, 255].map(|sample| sample as u8);
                }
            }
        }
    }
}

fn over_black([r, g, b, alpha]: [u8; 4]) -> [i32; 3] {
    let alpha = i32::from(alpha);
    // Exact for both ends, within one step between.
    [r, g, b].map(|sample| (i32::from(sample) * alpha + 127) / 255)
}

/// BT.601 in 16 fractional bits.
fn luma([r, g, b]: [i32; 3]) -> u8 {
    (((16_829 * r + 33_039 * g + 6_416 * b + (1 << 15)) >> 16) + 16) as u8
}

/// U and V of the sum of `1 << n_bits` pixels.
fn chroma([r, g, b]: [i32; 3], n_bits: u32) -> [u8; 2] {
    let scaled = |sum: i32| ((sum + (1 << (15 + n_bits))) >> (16 + n_bits)) + 128;
    [scaled(-9_714 * r - 19_070 * g + 28_784 * b) as u8, scaled(28_784 * r - 24_103 * g - 4_681 * b) as u8]
}

fn sum(a: [i32; 3], b: [i32; 3]) -> [i32; 3] {
    std::array::from_fn(|c| a[c] + b[c])
}

fn yuyv(picture: &Rgba, out: &mut [u8]) {
    for (yuyv, pair) in out.as_chunks_mut::<4>().0.iter_mut().zip(picture.data().as_chunks::<8>().0) {
        let [r0, g0, b0, a0, r1, g1, b1, a1] = *pair;
        let (left, right) = (over_black([r0, g0, b0, a0]), over_black([r1, g1, b1, a1]));
        let [u, v] = chroma(sum(left, right), 1);
        *yuyv = [luma(left), u, luma(right), v];
    }
}

fn nv12(picture: &Rgba, out: &mut [u8]) {
    let width_px = picture.width_px();
    let (luma_plane, chroma_plane) = out.split_at_mut(width_px * picture.height_px());
    let (rows, _) = luma_plane.as_chunks_mut::<1>();
    for (y, rgba) in rows.iter_mut().zip(picture.data().as_chunks::<4>().0) {
        y[0] = luma(over_black(*rgba));
    }
    for (row, uv_row) in chroma_plane.chunks_exact_mut(width_px).enumerate() {
        let above = picture.row(row * 2).as_chunks::<8>().0;
        let below = picture.row(row * 2 + 1).as_chunks::<8>().0;
        for (uv, (above, below)) in uv_row.as_chunks_mut::<2>().0.iter_mut().zip(above.iter().zip(below)) {
            let two = |[r0, g0, b0, a0, r1, g1, b1, a1]: [u8; 8]| {
                sum(over_black([r0, g0, b0, a0]), over_black([r1, g1, b1, a1]))
            };
            *uv = chroma(sum(two(*above), two(*below)), 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(rgba: [u8; 4], width_px: usize, height_px: usize) -> Rgba {
        Rgba::from_data(width_px, height_px, rgba.repeat(width_px * height_px)).unwrap()
    }

    fn packed(packing: Packing, picture: &Rgba) -> Vec<u8> {
        let mut out = vec![0; packing.n_bytes((picture.width_px(), picture.height_px()))];
        packing.pack(picture, &mut out);
        out
    }

    #[test]
    fn known_colours_have_their_known_values() {
        // BT.601's colour bars at full amplitude.
        let table = [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([255, 0, 0], [82, 90, 240]),
            ([0, 255, 0], [144, 54, 34]),
            ([0, 0, 255], [41, 240, 110]),
            ([255, 255, 0], [210, 16, 146]),
        ];
        for ([r, g, b], [y, u, v]) in table {
            let picture = filled([r, g, b, 255], 2, 2);
            for (found, expected) in [
                (packed(Packing::Yuyv, &picture), [y, u, y, v].repeat(2)),
                (packed(Packing::Nv12, &picture), vec![y, y, y, y, u, v]),
            ] {
                for (found, expected) in found.iter().zip(expected) {
                    assert!(found.abs_diff(expected) <= 1, "{r} {g} {b}: {found} for {expected}");
                }
            }
        }
    }

    #[test]
    fn every_colour_is_within_a_step_of_the_exact_conversion() {
        for r in (0..=255).step_by(5) {
            for g in (0..=255).step_by(5) {
                for b in (0..=255).step_by(5) {
                    let [rf, gf, bf] = [r, g, b].map(f64::from);
                    let y = 16.0 + (65.481 * rf + 128.553 * gf + 24.966 * bf) / 255.0;
                    let u = 128.0 + (-37.797 * rf - 74.203 * gf + 112.0 * bf) / 255.0;
                    let v = 128.0 + (112.0 * rf - 93.786 * gf - 18.214 * bf) / 255.0;
                    let [uf, vf] = chroma([r, g, b], 0).map(f64::from);
                    for (found, exact) in [(f64::from(luma([r, g, b])), y), (uf, u), (vf, v)] {
                        assert!((found - exact).abs() < 0.51, "{r} {g} {b}: {found} for {exact}");
                    }
                }
            }
        }
    }

    #[test]
    fn colour_bars_come_back_within_two_levels() {
        for rgb in
            [[235, 235, 235], [191, 191, 20], [20, 191, 191], [191, 20, 191], [191, 20, 20], [20, 20, 191], [0, 255, 0]]
        {
            let picture = filled([rgb[0], rgb[1], rgb[2], 255], 4, 2);
            let (yuyv, nv12) = (packed(Packing::Yuyv, &picture), packed(Packing::Nv12, &picture));
            for [y, u, v] in [[yuyv[0], yuyv[1], yuyv[3]], [nv12[0], nv12[8], nv12[9]]].map(|yuv| yuv.map(f64::from)) {
                // BT.601 by its definition.
                let (y, u, v) = ((y - 16.0) / 219.0, (u - 128.0) / 224.0, (v - 128.0) / 224.0);
                let seen = [y + 1.402 * v, y - 0.344_136 * u - 0.714_136 * v, y + 1.772 * u];
                for (seen, meant) in seen.map(|x| (255.0 * x).round()).into_iter().zip(rgb) {
                    assert!((seen - f64::from(meant)).abs() <= 2.0, "{seen} for {meant} of {rgb:?}");
                }
            }
            assert_eq!(packed(Packing::Rgba, &picture)[..3], rgb);
            assert_eq!(packed(Packing::Bgrx, &picture)[..3], [rgb[2], rgb[1], rgb[0]]);
        }
    }

    #[test]
    fn neighbours_share_their_mean_colour_and_keep_their_own_light() {
        let (black, white, red) = ([0, 0, 0, 255], [255, 255, 255, 255], [255, 0, 0, 255]);
        let data: Vec<u8> = [black, white, red, red, white, black, red, red].concat();
        let picture = Rgba::from_data(4, 2, data).unwrap();
        let nv12 = packed(Packing::Nv12, &picture);
        assert_eq!(nv12[..8], [16, 235, 81, 81, 235, 16, 81, 81]);
        assert_eq!((nv12[8], nv12[9]), (128, 128), "grey is the mean of black and white");
        let yuyv = packed(Packing::Yuyv, &picture);
        assert_eq!(yuyv[..4], [16, 128, 235, 128]);
        assert_eq!(yuyv[4..8], [81, nv12[10], 81, nv12[11]], "one colour is its own mean");
    }

    #[test]
    fn transparent_parts_are_put_over_black_where_there_is_no_alpha() {
        let clear = filled([255, 255, 255, 0], 2, 2);
        assert_eq!(packed(Packing::Yuyv, &clear), [16, 128, 16, 128].repeat(2));
        assert_eq!(packed(Packing::Bgrx, &clear), [0, 0, 0, 255].repeat(4));
        assert_eq!(packed(Packing::Rgba, &clear), [255, 255, 255, 0].repeat(4));
        assert_eq!(packed(Packing::Bgrx, &filled([1, 2, 3, 255], 2, 2)), [3, 2, 1, 255].repeat(4));
    }
}
