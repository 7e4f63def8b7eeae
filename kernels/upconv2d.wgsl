// upconv2d: y[o, 2 i + a, 2 j + b] = act(bias[o] + residual[o, 2 i + a, 2 j + b]
//     + sum over c, p, q of weight[2 a + b, o, c, p, q] * x[c, i - 1 + a + p, j - 1 + b + q]); zero outside of x
// x (c_in, h_in, w_in) half · weight [4, c_in, 2, 2, c_out padded to 4] half · bias [c_out] f32 · residual, y (c_out,
// 2 h_in, 2 w_in) half.
// conv2d's mapping over x, once for each phase 2 a + b: 64 threads make `rows` × 8 pixels of one phase and `channels`
// channels, a thread 4 neighbours in j of 8 channels. block.x, .y tile x by 8 × rows, block.z = phase, then channels.
// Sums in f32. Twin: upconv2d.rs, tolerance as conv2d. Cost: c_out * 4 h_in w_in * c_in * 4 multiplications with
// addition, 10 for each 16-byte read of workgroup memory. A phase stores every second pixel: y's lines are completed in
// the cache by the next phase.
// Constants of the variant: rows 8 | 16 | 32 (fewer channels, more rows), depth.

struct Scalars {
    c_in: u32,
    h_in: u32,
    w_in: u32,
    c_out: u32,
    activation: u32,
    has_residual: u32,
    x_at: u32,
    residual_at: u32,
    y_at: u32,
    weight_at: u32, // in fours
    bias_at: u32,
}

@group(0) @binding(0) var<uniform> s: Scalars;

const columns = 8u;
const lanes = 64u;
const quads = 2u * rows; // of 4 neighbours in j
const channels = 8u * (lanes / quads);
const x_rows = rows + 1u;
const x_fours = 3u;
const x_len = depth * x_rows * x_fours;
const w_fours = channels / 4u;
const w_len = depth * 4u * w_fours;

var<workgroup> x_tile: array<vec4<f32>, x_len>; // [depth, x_rows, x_fours]
var<workgroup> w_tile: array<vec4<f32>, w_len>; // [depth, 2, 2, w_fours]
var<private> sums: array<vec4<f32>, 8>; // [channel] of 4 pixels

fn load(c: u32, i: i32, j: i32) -> f32 {
    if c >= s.c_in || i < 0 || i >= i32(s.h_in) || j < 0 || j >= i32(s.w_in) {
        return 0.0; // guard: zero outside
    }
    return x_value(s.x_at + (c * s.h_in + u32(i)) * s.w_in + u32(j));
}

// Adds one tap: 4 pixels × 8 channels.
fn add(w_at: u32, x: vec4<f32>) {
    let w = w_tile[w_at];
    let v = w_tile[w_at + 1u];
    sums[0] += w.x * x;
    sums[1] += w.y * x;
    sums[2] += w.z * x;
    sums[3] += w.w * x;
    sums[4] += v.x * x;
    sums[5] += v.y * x;
    sums[6] += v.z * x;
    sums[7] += v.w * x;
}

// (i, j) is a pixel of x, (a, b) the phase.
fn store_pixel(o: u32, i: u32, j: u32, a: u32, b: u32, sum: f32) {
    if j >= s.w_in {
        return; // guard
    }
    let at = (o * 2u * s.h_in + 2u * i + a) * 2u * s.w_in + 2u * j + b;
    var value = sum + biases[s.bias_at + o];
    if s.has_residual == 1u {
        value += f32(halves[s.residual_at + at]);
    }
    halves[s.y_at + at] = half(activate(s.activation, value));
}

fn store(o: u32, i: u32, j: u32, a: u32, b: u32, sum: vec4<f32>) {
    if o >= s.c_out || i >= s.h_in {
        return; // guard
    }
    store_pixel(o, i, j, a, b, sum.x);
    store_pixel(o, i, j + 1u, a, b, sum.y);
    store_pixel(o, i, j + 2u, a, b, sum.z);
    store_pixel(o, i, j + 3u, a, b, sum.w);
}

@compute @workgroup_size(64)
fn upconv2d(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let quad = lane % quads;
    let row = quad / 2u;
    let column = quad % 2u;
    let eight = lane / quads;
    let n_groups = (s.c_out + channels - 1u) / channels;
    let phase = block.z / n_groups;
    let a = phase / 2u;
    let b = phase % 2u;
    let first_row = i32(block.y * rows + a) - 1;
    let first_column = i32(block.x * columns + b) - 1;
    let c_out_fours = (s.c_out + 3u) / 4u;
    let first_four = block.z % n_groups * w_fours;

    for (var c0 = 0u; c0 < s.c_in; c0 += depth) {
        for (var t = lane; t < x_len; t += lanes) {
            let c = c0 + t / (x_rows * x_fours);
            let i = first_row + i32(t / x_fours % x_rows);
            let j = first_column + i32(4u * (t % x_fours));
            x_tile[t] = vec4(load(c, i, j), load(c, i, j + 1), load(c, i, j + 2), load(c, i, j + 3));
        }
        for (var t = lane; t < w_len; t += lanes) {
            let r = 4u * c0 + t / w_fours;
            let four = first_four + t % w_fours;
            var w = vec4<f32>();
            if r < 4u * s.c_in && four < c_out_fours {
                w = vec4<f32>(weights[s.weight_at + (phase * 4u * s.c_in + r) * c_out_fours + four]);
            }
            w_tile[t] = w;
        }
        workgroupBarrier();
        for (var r = 0u; r < 2u * depth; r += 1u) {
            // Row r % 2 of the window in channel r / 2.
            let x_at = (r / 2u * x_rows + row + r % 2u) * x_fours + column;
            let w_at = r * 2u * w_fours + 2u * eight;
            let p = x_tile[x_at];
            let next = x_tile[x_at + 1u].x;
            add(w_at, p);
            add(w_at + w_fours, vec4(p.yzw, next));
        }
        workgroupBarrier();
    }

    let o = 4u * first_four + 8u * eight;
    let i = block.y * rows + row;
    let j = block.x * columns + 4u * column;
    store(o, i, j, a, b, sums[0]);
    store(o + 1u, i, j, a, b, sums[1]);
    store(o + 2u, i, j, a, b, sums[2]);
    store(o + 3u, i, j, a, b, sums[3]);
    store(o + 4u, i, j, a, b, sums[4]);
    store(o + 5u, i, j, a, b, sums[5]);
    store(o + 6u, i, j, a, b, sums[6]);
    store(o + 7u, i, j, a, b, sums[7]);
}
