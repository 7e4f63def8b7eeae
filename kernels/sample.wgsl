// sample: what warp and finish share: bilinear reading with a repeated border, and the mixed flow. Twin: sample.rs.
//
// Picture units: 0 is the left or upper border, 1 the right or lower one. All in f32.

// Two neighbours along one axis and the weight of the second.
struct Taps {
    first: u32,
    second: u32,
    weight: f32,
}

// For a place in pixels whose first centre is at 0, among n; beyond the border the border's pixel is read.
fn taps(place_px: f32, n: u32) -> Taps {
    let place = clamp(place_px, 0.0, f32(n - 1u));
    let first = min(u32(place), n - 1u);
    return Taps(first, min(first + 1u, n - 1u), place - f32(first));
}

// The four pixels around a place, as elements of a plane, and the weights of the right and the lower ones.
struct Corners {
    upper_left: u32,
    upper_right: u32,
    lower_left: u32,
    lower_right: u32,
    right: f32,
    lower: f32,
}

// For (u, v) in pixels of a plane (h, w).
fn corners_px(h: u32, w: u32, u_px: f32, v_px: f32) -> Corners {
    let x = taps(u_px - 0.5, w);
    let y = taps(v_px - 0.5, h);
    let upper = y.first * w;
    let lower = y.second * w;
    return Corners(upper + x.first, upper + x.second, lower + x.first, lower + x.second, x.weight, y.weight);
}

// For (u, v) in picture units.
fn corners(h: u32, w: u32, u: f32, v: f32) -> Corners {
    return corners_px(h, w, u * f32(w), v * f32(h));
}

fn blend(k: Corners, upper_left: f32, upper_right: f32, lower_left: f32, lower_right: f32) -> f32 {
    let upper = upper_left * (1.0 - k.right) + upper_right * k.right;
    let lower = lower_left * (1.0 - k.right) + lower_right * k.right;
    return upper * (1.0 - k.lower) + lower * k.lower;
}

// Reads the plane of x that begins at `at`.
fn x_bilinear(at: u32, k: Corners) -> f32 {
    return blend(
        k,
        x_value(at + k.upper_left),
        x_value(at + k.upper_right),
        x_value(at + k.lower_left),
        x_value(at + k.lower_right),
    );
}

// Reads the plane of exact numbers that begins at `at`.
fn exact_bilinear(at: u32, k: Corners) -> f32 {
    return blend(
        k,
        exact(at + k.upper_left),
        exact(at + k.upper_right),
        exact(at + k.lower_left),
        exact(at + k.lower_right),
    );
}

// Where a place comes from along an affine motion; pose (2, 3) begins at `at`.
fn with_pose(at: u32, place: vec2<f32>) -> vec2<f32> {
    return vec2(
        exact(at) * place.x + exact(at + 1u) * place.y + exact(at + 2u),
        exact(at + 3u) * place.x + exact(at + 4u) * place.y + exact(at + 5u),
    );
}

// Where a place comes from when all four motions are mixed.
struct Mixed {
    place: vec2<f32>,
    mesh: f32, // weight of moving with the face
    occlusion: f32,
}

// mix (7, h, w) begins at `at`; `mesh` is where the place comes from when it moves with the face; pose (4, 3) is the
// body's, then the head's.
fn with_mix(at: u32, h: u32, w: u32, pose_at: u32, mesh: vec2<f32>, place: vec2<f32>) -> Mixed {
    let k = corners(h, w, place.x, place.y);
    let plane = h * w;
    let masks = vec4(
        exact_bilinear(at, k),
        exact_bilinear(at + plane, k),
        exact_bilinear(at + 2u * plane, k),
        exact_bilinear(at + 3u * plane, k),
    );
    let shift = vec2(exact_bilinear(at + 4u * plane, k), exact_bilinear(at + 5u * plane, k));
    let body = with_pose(pose_at, place);
    let head = with_pose(pose_at + 6u, place);
    let moved = masks.x * place + masks.y * body + masks.z * head + masks.w * mesh + shift;
    return Mixed(moved, masks.w, exact_bilinear(at + 6u * plane, k));
}
