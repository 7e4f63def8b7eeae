// raster: y[c, i, j] = max over the segments of c of clamp(radius_px + 0.5 - distance_px, 0, 1), 0 without segments
// points (n_points, 2) f32 in picture units · segments [n, 3] words: from, to, channel, in order of the channels · y (c,
// h, w) half. distance_px: from the pixel's centre to the segment between two points, in pixels of y.
// One thread a pixel, a loop over channels and their segments; all threads read the same segment at the same time.
// In f32. Twin: raster.rs, within 1e-3. Cost: n_segments * h * w * 6 multiplications with addition.

struct Scalars {
    c: u32,
    h: u32,
    w: u32,
    n_segments: u32,
    radius_px: f32,
    points_at: u32,
    segments_at: u32,
    y_at: u32,
}

@group(0) @binding(0) var<uniform> s: Scalars;

fn point(i: u32) -> vec2<f32> {
    return vec2(exact(s.points_at + 2u * i) * f32(s.w), exact(s.points_at + 2u * i + 1u) * f32(s.h));
}

fn distance_px(place: vec2<f32>, start: vec2<f32>, end: vec2<f32>) -> f32 {
    let along = end - start;
    let rest = place - start;
    let t = clamp(dot(rest, along) / max(dot(along, along), 1e-12), 0.0, 1.0);
    return length(rest - t * along);
}

@compute @workgroup_size(8, 8)
fn raster(@builtin(global_invocation_id) thread: vec3<u32>) {
    let i = thread.y;
    let j = thread.x;
    if i >= s.h || j >= s.w {
        return; // guard
    }
    let place = vec2(f32(j) + 0.5, f32(i) + 0.5);
    var k = 0u;
    for (var c = 0u; c < s.c; c += 1u) {
        var value = 0.0;
        while k < s.n_segments && words[s.segments_at + 3u * k + 2u] == c {
            let at = s.segments_at + 3u * k;
            let px = distance_px(place, point(words[at]), point(words[at + 1u]));
            value = max(value, clamp(s.radius_px + 0.5 - px, 0.0, 1.0));
            k += 1u;
        }
        halves[s.y_at + (c * s.h + i) * s.w + j] = half(value);
    }
}
