// warp: y[c, i, j] = weight(i, j) * bilinear(x[c], u(i, j), v(i, j)), border repeated
// flow 0 stay: (u, v) = (x, y) the pixel's own place, weight 1 · 1 body: (u, v) = pose[0..2] (2×3) applied to (x, y), weight
// 1 · 2 head: the same by pose[2..4] · 3 mesh: (u, v, weight) = map[0..3, i, j] · 4 mixed: mix interpolated at (x, y),
// (u, v) = m0 (x, y) + m1 body + m2 head + m3 map + (m4, m5), weight m6. All places in picture units.
// x (c, h_in, w_in) half · pose (4, 3), map (3, h, w), mix (7, h_mix, w_mix) f32 · y (c, h, w) half.
// One thread an output pixel of up to 8 channels (grid z), so that 32² × 96 still fills a card; the flow and the taps
// are computed once for the 8, neighbours in w read neighbours in x. The flow itself is never stored.
// Places and sums in f32. Twin: warp.rs, within 2e-3 + 2e-3 |y| in f16, 2e-4 + 1e-4 |y| in f32 (times the slope of x).
// Memory-bound: 4 reads and 1 write for each element of y.

struct Scalars {
    c: u32,
    h_in: u32,
    w_in: u32,
    h: u32,
    w: u32,
    h_mix: u32,
    w_mix: u32,
    flow: u32,
    x_at: u32,
    pose_at: u32,
    map_at: u32,
    mix_at: u32,
    y_at: u32,
}

@group(0) @binding(0) var<uniform> s: Scalars;

@compute @workgroup_size(8, 8)
fn warp(@builtin(global_invocation_id) thread: vec3<u32>) {
    let i = thread.y;
    let j = thread.x;
    if i >= s.h || j >= s.w {
        return; // guard
    }
    let plane = s.h * s.w;
    let at = i * s.w + j;
    let here = vec2((f32(j) + 0.5) / f32(s.w), (f32(i) + 0.5) / f32(s.h));
    var place = here;
    var weight = 1.0;
    switch s.flow {
        case 0u: {}
        case 1u, 2u: {
            place = with_pose(s.pose_at + 6u * (s.flow - 1u), here);
        }
        case 3u: {
            place = vec2(exact(s.map_at + at), exact(s.map_at + plane + at));
            weight = exact(s.map_at + 2u * plane + at);
        }
        default: {
            let mesh = vec2(exact(s.map_at + at), exact(s.map_at + plane + at));
            let mixed = with_mix(s.mix_at, s.h_mix, s.w_mix, s.pose_at, mesh, here);
            place = mixed.place;
            weight = mixed.occlusion;
        }
    }
    let k = corners(s.h_in, s.w_in, place.x, place.y);
    let end = min(8u * thread.z + 8u, s.c);
    for (var c = 8u * thread.z; c < end; c += 1u) {
        let value = x_bilinear(s.x_at + c * s.h_in * s.w_in, k);
        halves[s.y_at + c * plane + at] = half(weight * value);
    }
}
