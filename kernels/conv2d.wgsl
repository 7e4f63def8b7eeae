// conv2d: y[o, i, j] = act(bias[o] + residual[o, i, j] + sum over c, a, b of weight[o, c, a, b] * x[c, i', j']),
// i' = i * stride + a - kernel / 2, j' = j * stride + b - kernel / 2; zero outside of x
// x (c_in, h_in, w_in) half · weight [c_in, kernel, kernel, c_out padded to 4] half · bias [c_out] f32 · residual, y
// (c_out, h_out, w_out) half; h_out = ceil(h_in / stride).
// A block of 64 threads makes `rows` × 8 pixels of `channels` channels, see tile.wgsl.
// block.x, .y tile y by 8 × rows, block.z tiles the channels. `depth` channels of x, with their border, and their
// weights go through workgroup memory at a time: 3×3 reads x once instead of nine times.
// Sums in f32; activation and residual in the last store. Twin: conv2d.rs, within 2e-3 + 4e-3 |y| in f16, 1e-4 + 1e-4
// |y| in f32. Compute-bound from 32 channels on: c_out * h_out * w_out * c_in * kernel² multiplications with addition, 12
// for each 16-byte read of workgroup memory in 3×3, 10 in 1×1.
// Constants of the variant: kernel 1 | 3, stride 1 | 2, rows (fewer channels, more rows), depth.

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

fn store_pixel(o: u32, i: u32, j: u32, sum: f32) {
    if j >= s.w_out {
        return; // guard
    }
    store_sum(o, (o * s.h_out + i) * s.w_out + j, sum);
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
    let first_four = block.z * w_fours;

    for (var c0 = 0u; c0 < s.c_in; c0 += depth) {
        fill_x(lane, c0, first_row, first_column);
        fill_w(lane, c0, first_four, s.weight_at);
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
