// conv2d: y[o, i, j] = act(bias[o] + residual[o, i, j] + sum over c, a, b of weight[o, c, a, b] * x[c, i', j']),
// i' = i * stride + a - kernel / 2, j' = j * stride + b - kernel / 2; zero outside of x
// x (c_in, h_in, w_in) half · weight [c_in, kernel, kernel, c_out padded to 4] half · bias [c_out] f32 · residual, y
// (c_out, h_out, w_out) half; h_out = ceil(h_in / stride).
// A block of 64 threads makes `rows` × 8 pixels of `channels` channels; a thread makes 4 neighbours in j of 8 channels.
// block.x, .y tile y by 8 × rows, block.z tiles the channels. `depth` channels of x, with their border, and their
// weights go through workgroup memory at a time: 3×3 reads x once instead of nine times.
// Sums in f32; activation and residual in the last store. Twin: conv2d.rs, within 2e-3 + 4e-3 |y| in f16, 1e-4 + 1e-4
// |y| in f32. Compute-bound from 32 channels on: c_out * h_out * w_out * c_in * kernel² multiplications with addition, 12
// for each 16-byte read of workgroup memory in 3×3, 10 in 1×1.
// Constants of the variant: kernel 1 | 3, stride 1 | 2, rows 8 | 16 | 32 (fewer channels, more rows), depth.

struct Scalars {
    c_in: u32,
    h_in: u32,
    w_in: u32,
    c_out: u32,
    h_out: u32,
    w_out: u32,
    kernel: u32,
    stride: u32,
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
const x_rows = (rows - 1u) * stride + kernel;
const x_fours = ((columns - 1u) * stride + kernel + 3u) / 4u;
const x_len = depth * x_rows * x_fours;
const w_fours = channels / 4u;
const w_len = depth * kernel * kernel * w_fours;

var<workgroup> x_tile: array<vec4<f32>, x_len>; // [depth, x_rows, x_fours]
var<workgroup> w_tile: array<vec4<f32>, w_len>; // [depth, kernel, kernel, w_fours]
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

fn store_pixel(o: u32, i: u32, j: u32, sum: f32) {
    if j >= s.w_out {
        return; // guard
    }
    let at = (o * s.h_out + i) * s.w_out + j;
    var value = sum + biases[s.bias_at + o];
    if s.has_residual == 1u {
        value += f32(halves[s.residual_at + at]);
    }
    halves[s.y_at + at] = half(activate(s.activation, value));
}

fn store(o: u32, i: u32, j: u32, sum: vec4<f32>) {
    if o >= s.c_out || i >= s.h_out {
        return; // guard
    }
    store_pixel(o, i, j, sum.x);
    store_pixel(o, i, j + 1u, sum.y);
    store_pixel(o, i, j + 2u, sum.z);
    store_pixel(o, i, j + 3u, sum.w);
}

@compute @workgroup_size(64)
fn conv2d(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let quad = lane % quads;
    let row = quad / 2u;
    let column = quad % 2u;
    let eight = lane / quads;
    let first_row = i32(block.y * rows * stride) - i32(kernel / 2u);
    let first_column = i32(block.x * columns * stride) - i32(kernel / 2u);
    let c_out_fours = (s.c_out + 3u) / 4u;
    let first_four = block.z * w_fours;

    for (var c0 = 0u; c0 < s.c_in; c0 += depth) {
        for (var t = lane; t < x_len; t += lanes) {
            let c = c0 + t / (x_rows * x_fours);
            let i = first_row + i32(t / x_fours % x_rows);
            let j = first_column + i32(4u * (t % x_fours));
            x_tile[t] = vec4(load(c, i, j), load(c, i, j + 1), load(c, i, j + 2), load(c, i, j + 3));
        }
        for (var t = lane; t < w_len; t += lanes) {
            let r = c0 * kernel * kernel + t / w_fours;
            let four = first_four + t % w_fours;
            var w = vec4<f32>();
            if r < s.c_in * kernel * kernel && four < c_out_fours {
                w = vec4<f32>(weights[s.weight_at + r * c_out_fours + four]);
            }
            w_tile[t] = w;
        }
        workgroupBarrier();
        for (var r = 0u; r < depth * kernel; r += 1u) {
            // Row r % kernel of the window in channel r / kernel.
            let x_at = (r / kernel * x_rows + row * stride + r % kernel) * x_fours + column * stride;
            let w_at = r * kernel * w_fours + 2u * eight;
            let p = x_tile[x_at];
            if kernel == 1u && stride == 1u {
                add(w_at, p);
            } else if kernel == 1u {
                let q = x_tile[x_at + 1u];
                add(w_at, vec4(p.xz, q.xz));
            } else if stride == 1u {
                let q = x_tile[x_at + 1u];
                add(w_at, p);
                add(w_at + w_fours, vec4(p.yzw, q.x));
                add(w_at + 2u * w_fours, vec4(p.zw, q.xy));
            } else {
                let q = x_tile[x_at + 1u];
                let next = x_tile[x_at + 2u].x;
                add(w_at, vec4(p.xz, q.xz));
                add(w_at + w_fours, vec4(p.yw, q.yw));
                add(w_at + 2u * w_fours, vec4(p.z, q.xz, next));
            }
        }
        workgroupBarrier();
    }

    let o = 4u * first_four + 8u * eight;
    let i = block.y * rows + row;
    let j = block.x * columns + 4u * column;
    store(o, i, j, sums[0]);
    store(o + 1u, i, j, sums[1]);
    store(o + 2u, i, j, sums[2]);
    store(o + 3u, i, j, sums[3]);
    store(o + 4u, i, j, sums[4]);
    store(o + 5u, i, j, sums[5]);
    store(o + 6u, i, j, sums[6]);
    store(o + 7u, i, j, sums[7]);
}
