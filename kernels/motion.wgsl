// motion: y[0..4] = softmax(x[0..4]), y[4..6] = x[4..6] / 64, y[6] = sigmoid(x[6]), for each pixel
// x (7, n) half · y (7, n) f32: weights of staying, of moving with the body, with the head, with the face; residual
// shift in picture units (1 of x is a pixel at 64²); occlusion.
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
    let x = s.x_at + i;
    let logits = vec4(x_value(x), x_value(x + n), x_value(x + 2u * n), x_value(x + 3u * n));
    let masks = exp(logits - max(max(logits.x, logits.y), max(logits.z, logits.w)));
    let sum = dot(masks, vec4(1.0));
    store(0u, i, masks.x / sum);
    store(1u, i, masks.y / sum);
    store(2u, i, masks.z / sum);
    store(3u, i, masks.w / sum);
    store(4u, i, x_value(x + 4u * n) / 64.0);
    store(5u, i, x_value(x + 5u * n) / 64.0);
    store(6u, i, 1.0 / (1.0 + exp(-x_value(x + 6u * n))));
}
