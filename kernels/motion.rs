//! motion: y[0..3] = softmax(x[0..3]), y[3..5] = x[3..5] / 64, y[5] = sigmoid(x[5]), for each pixel
//!
//! x (6, n) f16 · y (6, n) f32: weights of staying, of moving with the head, with the face; residual shift in picture
//! units (1 of x is a pixel at 64²); occlusion.
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
        let [a, b, c] = [x[i], x[n + i], x[2 * n + i]];
        let highest = a.max(b).max(c);
        let [a, b, c] = [a, b, c].map(|logit| (logit - highest).exp());
        let sum = a + b + c;
        y[i] = a / sum;
        y[n + i] = b / sum;
        y[2 * n + i] = c / sum;
        y[3 * n + i] = x[3 * n + i] / 64.0;
        y[4 * n + i] = x[4 * n + i] / 64.0;
        y[5 * n + i] = 1.0 / (1.0 + (-x[5 * n + i]).exp());
    }
}
