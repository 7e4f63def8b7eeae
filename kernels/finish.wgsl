// finish: out[i, j] = store(badge over (blend(photo at flow(i, j), decoded(i, j)) over background))
// (x, y) = ((j + 0.5) / size, (i + 0.5) / size); mesh = (map - margin) / size, or (x, y) where map is all ones;
// (u, v), m = warp's mixed flow; at (u, v) * size + margin, within the photo's outermost centres: w, f, c = whole, fine and
// coarse photo, rgb and alpha / 255; p_a = w_a, where map is all ones times 1 - m3;
// s = how closely the photo's pixels lie here, 1 as at rest: the longer of the steps that this place makes from the upper
// left of each 2 × 2 pixels to the right and down; bands b0 = clamp(2 - s / 1.5, 0, 1) (w - f) and
// b1 = clamp(2 - s / 1.5 fine / side, 0, 1) (f - c); p = c + b1 + b0;
// e = decoded at (x, y), t = e4, g = gates at (x, y); d = e + g0 b0 + g1 b1: the decoder's colour with the photo's two bands;
// alpha = (1 - t) p_a + t e3; rgb = ((1 - t) p_a p + t e3 d) / max(alpha, 1/512);
// over background: rgb = background + alpha (rgb - background), alpha = 1; badge the same, with its own alpha.
// decoded (5, h, w), gates (2, h_gates, w_gates) half · mix (7, h_mix, w_mix), pose (4, 3) f32 · map (size, size) words: x + y << 16 in 1/32 px ·
// photo (2 side + fine, 2 side), side = size + 2 margin: the whole photo, below it on the left fine² and to the right of
// that coarse² · background (size, size), badge (h_badge, w_badge) words: red in the lowest byte · out words.
// Formats: 0 RGBA 8 bits, alpha not multiplied in · 1 NV12 · 2 YUYV; both BT.601 limited range, chroma of the mean.
// One thread makes 4 × 2 pixels, so that every format is written in whole words; neighbours in j.
// In f32. Twin: finish.rs, within 2 of 255. Memory-bound: at 512² 1 MB of map, 7 MB of photo, 0.9 MB of decoded, 1 MB
// of output.

struct Scalars {
    size: u32,
    margin: u32,
    fine: u32,
    coarse: u32,
    h: u32,
    w: u32,
    h_gates: u32,
    w_gates: u32,
    h_mix: u32,
    w_mix: u32,
    has_background: u32,
    h_badge: u32,
    w_badge: u32,
    format: u32,
    decoded_at: u32,
    gates_at: u32,
    mix_at: u32,
    map_at: u32,
    pose_at: u32,
    photo_at: u32,
    background_at: u32,
    badge_at: u32,
    y_at: u32,
}

@group(0) @binding(0) var<uniform> s: Scalars;

const undrawn = 0xffffffffu;

fn photo(at: u32) -> vec4<f32> {
    return unpack4x8unorm(words[s.photo_at + at]);
}

// Reads the photo's square of `px` pixels that begins at `first`, at a place in parts of its width.
fn level(first: u32, stride: u32, px: u32, place: vec2<f32>) -> vec4<f32> {
    let x = taps(place.x * f32(px) - 0.5, px);
    let y = taps(place.y * f32(px) - 0.5, px);
    let above = first + y.first * stride;
    let below = first + y.second * stride;
    let upper = photo(above + x.first) * (1.0 - x.weight) + photo(above + x.second) * x.weight;
    let lower = photo(below + x.first) * (1.0 - x.weight) + photo(below + x.second) * x.weight;
    return upper * (1.0 - y.weight) + lower * y.weight;
}

// Where a pixel is in the photo: in the picture's pixels, counted from the margin's border.
struct Place {
    at_px: vec2<f32>,
    mesh: f32, // weight of moving with the face
    is_drawn: bool,
}

fn centre(i: u32, j: u32) -> vec2<f32> {
    return vec2((f32(j) + 0.5) / f32(s.size), (f32(i) + 0.5) / f32(s.size));
}

fn place_of(i: u32, j: u32) -> Place {
    let size = f32(s.size);
    let margin = f32(s.margin);
    let here = centre(i, j);
    let drawn = words[s.map_at + i * s.size + j];
    var mesh = here;
    if drawn != undrawn {
        mesh = (vec2(f32(drawn & 0xffffu), f32(drawn >> 16u)) / 32.0 - margin) / size;
    }
    let mixed = with_mix(s.mix_at, s.h_mix, s.w_mix, s.pose_at, mesh, here);
    // The centre of the whole photo's first pixel; it is twice as fine as the picture.
    let outermost = vec2(0.25);
    let at_px = clamp(mixed.place * size + margin, outermost, vec2(size + 2.0 * margin) - outermost);
    return Place(at_px, mixed.mesh, drawn != undrawn);
}

// How much of the finest and of the finer band shows in 2 × 2 pixels.
fn shown_bands(first: Place, right: Place, lower: Place) -> vec2<f32> {
    let pressed = max(length(right.at_px - first.at_px), length(lower.at_px - first.at_px));
    let finer = f32(s.fine) / f32(s.size + 2u * s.margin);
    return clamp(2.0 - vec2(pressed, pressed * finer) / 1.5, vec2(0.0), vec2(1.0));
}

// (red, green, blue, alpha), not clamped.
fn pixel(i: u32, j: u32, place: Place, shown: vec2<f32>) -> vec4<f32> {
    let here = centre(i, j);
    let side = s.size + 2u * s.margin;
    let at = place.at_px / f32(side);
    let below = 4u * side * side;
    let whole = level(0u, 2u * side, 2u * side, at);
    let fine = level(below, 2u * side, s.fine, at).xyz;
    let coarse = level(below + s.fine, 2u * side, s.coarse, at).xyz;
    let finest_band = shown.x * (whole.xyz - fine);
    let finer_band = shown.y * (fine - coarse);
    let p = vec4(coarse + finer_band + finest_band, whole.w);

    let d = corners(s.h, s.w, here.x, here.y);
    let plane = s.h * s.w;
    var decoded = vec4(
        x_bilinear(s.decoded_at, d),
        x_bilinear(s.decoded_at + plane, d),
        x_bilinear(s.decoded_at + 2u * plane, d),
        x_bilinear(s.decoded_at + 3u * plane, d),
    );
    let trust = x_bilinear(s.decoded_at + 4u * plane, d);
    let g = corners(s.h_gates, s.w_gates, here.x, here.y);
    let finest = x_bilinear(s.gates_at, g) * finest_band;
    let finer = x_bilinear(s.gates_at + s.h_gates * s.w_gates, g) * finer_band;
    decoded = vec4(decoded.xyz + finest + finer, decoded.w);
    let of_photo = (1.0 - trust) * p.w * select(1.0 - place.mesh, 1.0, place.is_drawn);
    let of_decoder = trust * decoded.w;
    var alpha = of_photo + of_decoder;
    var rgb = (of_photo * p.xyz + of_decoder * decoded.xyz) / max(alpha, 1.0 / 512.0);
    if s.has_background == 1u {
        let background = unpack4x8unorm(words[s.background_at + i * s.size + j]).xyz;
        rgb = background + alpha * (rgb - background);
        alpha = 1.0;
    }
    let above = s.size - s.h_badge;
    let before = s.size - s.w_badge;
    if i >= above && j >= before {
        let badge = unpack4x8unorm(words[s.badge_at + (i - above) * s.w_badge + j - before]);
        rgb += badge.w * (badge.xyz - rgb);
        alpha += badge.w * (1.0 - alpha);
    }
    return vec4(rgb, alpha);
}

fn luma(rgb: vec3<f32>) -> u32 {
    return u32(16.0 + dot(vec3(65.481, 128.553, 24.966), clamp(rgb, vec3(0.0), vec3(1.0))) + 0.5);
}

fn lumas(row: array<vec4<f32>, 4>) -> u32 {
    return luma(row[0].xyz) | luma(row[1].xyz) << 8u | luma(row[2].xyz) << 16u | luma(row[3].xyz) << 24u;
}

fn clamped(pixel: vec4<f32>) -> vec3<f32> {
    return clamp(pixel.xyz, vec3(0.0), vec3(1.0));
}

// Cb and Cr of a mean colour.
fn chroma(mean: vec3<f32>) -> vec2<u32> {
    let cb = 128.0 + dot(vec3(-37.797, -74.203, 112.0), mean);
    let cr = 128.0 + dot(vec3(112.0, -93.786, -18.214), mean);
    return vec2(u32(cb + 0.5), u32(cr + 0.5));
}

fn store_row(i: u32, j: u32, row: array<vec4<f32>, 4>) {
    switch s.format {
        case 0u: {
            let at = s.y_at + i * s.size + j;
            words[at] = pack4x8unorm(row[0]);
            words[at + 1u] = pack4x8unorm(row[1]);
            words[at + 2u] = pack4x8unorm(row[2]);
            words[at + 3u] = pack4x8unorm(row[3]);
        }
        case 1u: {
            words[s.y_at + (i * s.size + j) / 4u] = lumas(row);
        }
        default: {
            let at = s.y_at + (i * s.size + j) / 2u;
            let left = chroma((clamped(row[0]) + clamped(row[1])) / 2.0);
            let right = chroma((clamped(row[2]) + clamped(row[3])) / 2.0);
            words[at] = luma(row[0].xyz) | left.x << 8u | luma(row[1].xyz) << 16u | left.y << 24u;
            words[at + 1u] = luma(row[2].xyz) | right.x << 8u | luma(row[3].xyz) << 16u | right.y << 24u;
        }
    }
}

@compute @workgroup_size(8, 8)
fn finish(@builtin(global_invocation_id) thread: vec3<u32>) {
    let i = 2u * thread.y;
    let j = 4u * thread.x;
    if i >= s.size || j >= s.size {
        return; // guard
    }
    let a = array(place_of(i, j), place_of(i, j + 1u), place_of(i, j + 2u), place_of(i, j + 3u));
    let k = i + 1u;
    let b = array(place_of(k, j), place_of(k, j + 1u), place_of(k, j + 2u), place_of(k, j + 3u));
    let left_shown = shown_bands(a[0], a[1], b[0]);
    let right_shown = shown_bands(a[2], a[3], b[2]);
    let upper = array(
        pixel(i, j, a[0], left_shown),
        pixel(i, j + 1u, a[1], left_shown),
        pixel(i, j + 2u, a[2], right_shown),
        pixel(i, j + 3u, a[3], right_shown),
    );
    let lower = array(
        pixel(k, j, b[0], left_shown),
        pixel(k, j + 1u, b[1], left_shown),
        pixel(k, j + 2u, b[2], right_shown),
        pixel(k, j + 3u, b[3], right_shown),
    );
    store_row(i, j, upper);
    store_row(i + 1u, j, lower);
    if s.format == 1u {
        let left = chroma((clamped(upper[0]) + clamped(upper[1]) + clamped(lower[0]) + clamped(lower[1])) / 4.0);
        let right = chroma((clamped(upper[2]) + clamped(upper[3]) + clamped(lower[2]) + clamped(lower[3])) / 4.0);
        // i is even: row i / 2 of the chroma.
        let at = s.y_at + (s.size * s.size + i / 2u * s.size + j) / 4u;
        words[at] = left.x | left.y << 8u | right.x << 16u | right.y << 24u;
    }
}
