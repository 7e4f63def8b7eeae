//! sample: what warp and finish share: bilinear reading with a repeated border, and the mixed flow.
//!
//! Picture units: 0 is the left or upper border, 1 the right or lower one. All in f32.

/// Two neighbours along one axis of `n` pixels and the weight of the second, for a place in pixels whose first centre
/// is at 0; beyond the border the border's pixel is read.
pub fn taps(place_px: f32, n: usize) -> (usize, usize, f32) {
    let place = place_px.clamp(0.0, (n - 1) as f32);
    let first = (place as usize).min(n - 1);
    (first, (first + 1).min(n - 1), place - first as f32)
}

/// Reads one plane (h, w) at (u, v) in picture units.
pub fn bilinear(plane: &[f32], h: usize, w: usize, u: f32, v: f32) -> f32 {
    let (x0, x1, fx) = taps(u * w as f32 - 0.5, w);
    let (y0, y1, fy) = taps(v * h as f32 - 0.5, h);
    let upper = plane[y0 * w + x0] * (1.0 - fx) + plane[y0 * w + x1] * fx;
    let lower = plane[y1 * w + x0] * (1.0 - fx) + plane[y1 * w + x1] * fx;
    upper * (1.0 - fy) + lower * fy
}

/// Where the place (x, y) comes from along an affine motion: `pose` (2, 3).
pub fn with_pose(pose: &[f32], x: f32, y: f32) -> (f32, f32) {
    (pose[0] * x + pose[1] * y + pose[2], pose[3] * x + pose[4] * y + pose[5])
}

/// Where the place (x, y) comes from when all four motions are mixed, and the seven values of `mix` (7, h, w)
/// there. `mesh` is where it comes from when it moves with the face; `pose` (4, 3) is the body's, then the head's.
pub fn with_mix(
    mix: &[f32],
    (h, w): (usize, usize),
    mesh: (f32, f32),
    pose: &[f32],
    x: f32,
    y: f32,
) -> (f32, f32, [f32; 7]) {
    let m: [f32; 7] = std::array::from_fn(|k| bilinear(&mix[k * h * w..][..h * w], h, w, x, y));
    let (body, head) = (with_pose(&pose[..6], x, y), with_pose(&pose[6..], x, y));
    let u = m[0] * x + m[1] * body.0 + m[2] * head.0 + m[3] * mesh.0 + m[4];
    let v = m[0] * y + m[1] * body.1 + m[2] * head.1 + m[3] * mesh.1 + m[5];
    (u, v, m)
}
