//! motion: y[0..4] = softmax(x[0..4]), y[4..6] = x[4..6] / 64, y[6] = sigmoid(x[6]), for each pixel
//!
//! x (7, n) f16 · y (7, n) f32: weights of staying, of moving with the body, with the head, with the face; residual
//! shift in picture units (1 of x is a pixel at 64²); occlusion.
//! Mapping: one thread a pixel. In f32. Tolerance 1e-3 in f16, 1e-5 in f32. Cost: nothing worth counting.

/// Scalars of [`motion`], as every device gets them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MotionShape {
    /// Pixels.
    pub n: u32,
}

/// The mixing weights.
pub fn motion(s: &MotionShape, x: &[f32], y: &mut [f32]) {
    let n = s.n as usize;
    for i in 0..n {
        let logits: [f32; 4] = std::array::from_fn(|k| x[k * n + i]);
        let highest = logits.into_iter().fold(f32::MIN, f32::max);
        let masks = logits.map(|logit| (logit - highest).exp());
        let sum: f32 = masks.iter().sum();
        for (k, mask) in masks.into_iter().enumerate() {
            y[k * n + i] = mask / sum;
        }
        for k in 4..6 {
            y[k * n + i] = x[k * n + i] / 64.0;
        }
        y[6 * n + i] = 1.0 / (1.0 + (-x[6 * n + i]).exp());
    }
}
