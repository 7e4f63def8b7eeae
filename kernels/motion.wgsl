// motion: y[0..3] = softmax(x[0..3]), y[3..5] = x[3..5] / 64, y[5] = sigmoid(x[5]), for each pixel
// x (6, n) half · y (6, n) f32: weights of staying, of moving with the head, with the face; residual shift in picture
// units (1 of x is a pixel at 64²); occlusion.
// One thread a pixel. In f32. Twin: motion.rs, within 1e-3 in f16, 1e-5 in f32. Cost: nothing worth counting.

struct Scalars {
    n: u32,
    x_at: u32,
    y_at: u32,
}

@group(0) @binding(0) var<uniform> s: Scalars;

fn store(k: u32, i: u32, value: f32) {
    words[s.y_at + k * s.n + i] = bitcast<u32>(value);
}

@compute @workgroup_size(64)
fn motion(@builtin(global_invocation_id) thread: vec3<u32>) {
    let i = thread.x;
    let n = s.n;
    if i >= n {
        return; // guard
    }
    let logits = vec3(x_value(s.x_at + i), x_value(s.x_at + n + i), x_value(s.x_at + 2u * n + i));
    let masks = exp(logits - max(logits.x, max(logits.y, logits.z)));
    let sum = masks.x + masks.y + masks.z;
    store(0u, i, masks.x / sum);
    store(1u, i, masks.y / sum);
    store(2u, i, masks.z / sum);
    store(3u, i, x_value(s.x_at + 3u * n + i) / 64.0);
    store(4u, i, x_value(s.x_at + 4u * n + i) / 64.0);
    store(5u, i, 1.0 / (1.0 + exp(-x_value(s.x_at + 5u * n + i))));
}
