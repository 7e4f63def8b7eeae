// upconv2d: y[o, 2 i + a, 2 j + b] = act(bias[o] + residual[o, 2 i + a, 2 j + b]
//     + sum over c, p, q of weight[2 a + b, o, c, p, q] * x[c, i - 1 + a + p, j - 1 + b + q]); zero outside of x
// x (c_in, h_in, w_in) half · weight [4, c_in, 2, 2, c_out padded to 4] half · bias [c_out] f32 · residual, y (c_out,
// 2 h_in, 2 w_in) half.
// conv2d's mapping over x, once for each phase 2 a + b: 64 threads make `rows` × 8 pixels of one phase and `channels`
// channels, a thread 4 neighbours in j of 8 channels. block.x, .y tile x by 8 × rows, block.z = phase, then channels.
// Sums in f32. Twin: upconv2d.rs, tolerance as conv2d. Cost: c_out * 4 h_in w_in * c_in * 4 multiplications with
// addition, 10 for each 16-byte read of workgroup memory. A phase stores every second pixel: y's lines are completed in
// the cache by the next phase.
// Constants of the variant: kernel 2, stride 1, rows (fewer channels, more rows), depth.

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

// (i, j) is a pixel of x, (a, b) the phase.
fn store_pixel(o: u32, i: u32, j: u32, a: u32, b: u32, sum: f32) {
    if j >= s.w_in {
        return; // guard
    }
    store_sum(o, (o * 2u * s.h_in + 2u * i + a) * 2u * s.w_in + 2u * j + b, sum);
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
    let first_four = block.z % n_groups * w_fours;
    let weight_at = s.weight_at + phase * 4u * s.c_in * ((s.c_out + 3u) / 4u);

    for (var c0 = 0u; c0 < s.c_in; c0 += depth) {
        fill_x(lane, c0, first_row, first_column);
        fill_w(lane, c0, first_four, weight_at);
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
