//! Bilinear reading with gradients, both for what is read and for where.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// From where each pixel of n pictures is read, in picture units, and the mixing weights there.
#[derive(Clone)]
pub struct MixedFlow {
    /// (n, 1, h, w).
    pub u: Tensor<4>,
    /// (n, 1, h, w).
    pub v: Tensor<4>,
    /// (n, 7, h, w), as [`effigy_network::plan::Motion`] makes them, at this size.
    pub mix: Tensor<4>,
}

/// The flow of [`effigy_network::plan::Flow::Mixed`] at the map's size.
///
/// # Shapes
/// mix (n, 7, hm, wm), map (n, 2 or more, h, w) with u and v first, pose (n, 12).
pub fn mixed_flow(mix: Tensor<4>, map: &Tensor<4>, pose: &Tensor<2>) -> MixedFlow {
    let [n, _, h, w] = map.dims();
    let mix = resized(mix, h, w);
    let device = map.device();
    let x: Tensor<4> = row(centres(w), &device).reshape([1, 1, 1, w]).expand([n, 1, h, w]);
    let y: Tensor<4> = row(centres(h), &device).reshape([1, 1, h, 1]).expand([n, 1, h, w]);
    let number = |i: usize| pose.clone().narrow(1, i, 1).reshape([n, 1, 1, 1]);
    let weight = |i: usize| mix.clone().narrow(1, i, 1);
    let place = |own: &Tensor<4>, plane: usize| {
        let posed = |first: usize| x.clone() * number(first) + y.clone() * number(first + 1) + number(first + 2);
        let (body, head) = (posed(3 * plane), posed(6 + 3 * plane));
        let affine = own.clone() * weight(0) + body * weight(1) + head * weight(2);
        affine + map.clone().narrow(1, plane, 1) * weight(3) + weight(4 + plane)
    };
    MixedFlow { u: place(&x, 0), v: place(&y, 1), mix: mix.clone() }
}

/// Reads one picture at places in its pixels, 0 being the first pixel's centre; beyond the border the border's pixel.
///
/// # Shapes
/// x (1, c, h, w), places (n, 1, h_out, w_out); answers (n, c, h_out, w_out).
pub fn gather(x: Tensor<4>, u_px: Tensor<4>, v_px: Tensor<4>) -> Tensor<4> {
    let [_, c, h, w] = x.dims();
    let [n, _, h_out, w_out] = u_px.dims();
    let count = n * h_out * w_out;
    let table = x.reshape([c, h * w]).transpose();
    let axis = |at: Tensor<4>, len: usize| {
        let at = at.reshape([count, 1]).clamp(0.0, (len - 1) as f32);
        let first = at.clone().detach().floor().clamp(0.0, (len - 2) as f32);
        (at - first.clone(), first)
    };
    let ((fx, x0), (fy, y0)) = (axis(u_px, w), axis(v_px, h));
    let first: Tensor<1, Int> = (y0 * w as f32 + x0).reshape([count]).int();
    let read = |offset: usize| table.clone().select(0, first.clone() + offset as i32);
    let mix = |a: Tensor<2>, b: Tensor<2>, part: &Tensor<2>| a.clone() + (b - a) * part.clone();
    let upper = mix(read(0), read(1), &fx);
    let lower = mix(read(w), read(w + 1), &fx);
    mix(upper, lower, &fy).reshape([n, h_out, w_out, c]).permute([0, 3, 1, 2])
}

/// Reads one picture along a flow. (1, c, h, w) to (n, c, h_out, w_out).
pub fn warped(x: Tensor<4>, flow: &MixedFlow) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    gather(x, flow.u.clone() * w as f32 - 0.5, flow.v.clone() * h as f32 - 0.5)
}

/// Pictures at another size, bilinear between pixel centres, the border repeated. (n, c, h, w).
pub fn resized(x: Tensor<4>, h: usize, w: usize) -> Tensor<4> {
    let [n, c, h_in, w_in] = x.dims();
    if (h_in, w_in) == (h, w) {
        return x;
    }
    let device = x.device();
    let down = matrix(h_in, h, &device).reshape([1, 1, h, h_in]).expand([n, c, h, h_in]);
    let across = matrix(w_in, w, &device).transpose().reshape([1, 1, w_in, w]).expand([n, c, w_in, w]);
    down.matmul(x).matmul(across)
}

/// Places of pixel centres in picture units.
fn centres(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32 + 0.5) / n as f32).collect()
}

fn row(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), &device.clone().inner())
}

/// (to, from): how much of each pixel goes into each.
fn matrix(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let mut values = vec![0.0_f32; to * from];
    for (place, row) in centres(to).into_iter().zip(values.chunks_exact_mut(from)) {
        let at = (place * from as f32 - 0.5).clamp(0.0, (from - 1) as f32);
        let first = (at as usize).min(from.saturating_sub(2));
        row[first] += 1.0 - (at - first as f32);
        if first + 1 < from {
            row[first + 1] += at - first as f32;
        }
    }
    self::row(values, device).reshape([to, from])
}
