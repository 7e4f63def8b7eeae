// tile: what conv2d and upconv2d share: their tiles in workgroup memory, one tap of the sums, and the last store. This
// text precedes each of the two; `s` is its `struct Scalars`, in which both have the names used here.
//
// A block of 64 threads makes `rows` × 8 pixels of `channels` channels; a thread makes 4 neighbours in j of 8 channels.
// Constants of the variant: kernel (the window's side), stride, rows 8 | 16 | 32, depth (channels of x at a time).

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

// Fills x_tile with `depth` channels of x from c0 on, whose first pixel there is (first_row, first_column).
fn fill_x(lane: u32, c0: u32, first_row: i32, first_column: i32) {
    for (var t = lane; t < x_len; t += lanes) {
        let c = c0 + t / (x_rows * x_fours);
        let i = first_row + i32(t / x_fours % x_rows);
        let j = first_column + i32(4u * (t % x_fours));
        x_tile[t] = vec4(load(c, i, j), load(c, i, j + 1), load(c, i, j + 2), load(c, i, j + 3));
    }
}

// Fills w_tile with the weights for those, from the four of channels first_four on. They begin at weight_at, in fours.
fn fill_w(lane: u32, c0: u32, first_four: u32, weight_at: u32) {
    let c_out_fours = (s.c_out + 3u) / 4u;
    for (var t = lane; t < w_len; t += lanes) {
        let r = c0 * kernel * kernel + t / w_fours;
        let four = first_four + t % w_fours;
        var w = vec4<f32>();
        if r < s.c_in * kernel * kernel && four < c_out_fours {
            w = vec4<f32>(weights[weight_at + r * c_out_fours + four]);
        }
        w_tile[t] = w;
    }
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

// 0 none, 1 relu, 2 leaky (slope 0.2), 3 sigmoid. In f32.
fn activate(activation: u32, value: f32) -> f32 {
    switch activation {
        case 1u: {
            return max(value, 0.0);
        }
        case 2u: {
            return max(value, 0.2 * value);
        }
        case 3u: {
            return 1.0 / (1.0 + exp(-value));
        }
        default: {
            return value;
        }
    }
}

// Finishes a sum and stores it: channel o of y, its element `at`.
fn store_sum(o: u32, at: u32, sum: f32) {
    var value = sum + biases[s.bias_at + o];
    if s.has_residual == 1u {
        value += f32(halves[s.residual_at + at]);
    }
    halves[s.y_at + at] = half(activate(s.activation, value));
}
