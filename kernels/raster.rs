//! raster: y[c, i, j] = max over the segments of c of clamp(radius_px + 0.5 - distance_px, 0, 1), 0 without segments
//!
//! distance_px: from the pixel's centre to the segment between two points, in pixels of y.
//! points (n_points, 2) f32 in picture units · segments [n, 3] u32: from, to, channel, in order of the channels · y (c,
//! h, w) f16.
//! Mapping: one thread a pixel, a loop over the segments, which lie in constant memory; a channel is written when the
//! next one begins. The CPU draws each segment into its own box instead.
//! In f32. Tolerance 1e-3. Cost: n_segments * h * w * 6.

/// Scalars of [`raster`], as every device gets them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RasterShape {
    /// Channels.
    pub c: u32,
    /// Rows.
    pub h: u32,
    /// Columns.
    pub w: u32,
    /// Segments.
    pub n_segments: u32,
    /// Half the width of a line, in pixels of `y`.
    pub radius_px: f32,
}

/// Distance of a place from the segment between two points.
pub fn distance(at: [f32; 2], from: [f32; 2], to: [f32; 2]) -> f32 {
    let along = [to[0] - from[0], to[1] - from[1]];
    let rest = [at[0] - from[0], at[1] - from[1]];
    let length2 = along[0] * along[0] + along[1] * along[1];
    let t = ((rest[0] * along[0] + rest[1] * along[1]) / length2.max(1e-12)).clamp(0.0, 1.0);
    let off = [rest[0] - t * along[0], rest[1] - t * along[1]];
    (off[0] * off[0] + off[1] * off[1]).sqrt()
}

/// The drawing.
pub fn raster(s: &RasterShape, points: &[f32], segments: &[[u16; 3]], y: &mut [f32]) {
    let [c, h, w] = [s.c, s.h, s.w].map(|n| n as usize);
    let point = |i: u16| {
        let i = usize::from(i);
        [points[2 * i] * w as f32, points[2 * i + 1] * h as f32]
    };
    y[..c * h * w].fill(0.0);
    for &[from, to, channel] in segments {
        let (from, to) = (point(from), point(to));
        for i in 0..h {
            for j in 0..w {
                let at = [j as f32 + 0.5, i as f32 + 0.5];
                let value = (s.radius_px + 0.5 - distance(at, from, to)).clamp(0.0, 1.0);
                let y = &mut y[(usize::from(channel) * h + i) * w + j];
                *y = y.max(value);
            }
        }
    }
}
