//! Values of tensors in the form in which the card has them.

use half::f16;

use crate::plan::{Element, Tensor, TensorView, TensorViewMut};

/// Writes a tensor's values as the card wants them, `pitch` channels to a pixel.
pub(super) fn encode(tensor: &Tensor, pitch: u32, values: TensorView, to: &mut [u8]) {
    match values {
        TensorView::Words(words) => {
            for (to, word) in to.chunks_exact_mut(4).zip(words) {
                to.copy_from_slice(&word.to_le_bytes());
            }
        }
        TensorView::F32(values) if tensor.element == Element::Exact => {
            for (to, value) in to.chunks_exact_mut(4).zip(values) {
                to.copy_from_slice(&value.to_le_bytes());
            }
        }
        TensorView::F32(values) => {
            let n_pixels = tensor.shape.h * tensor.shape.w;
            for (pixel, to) in to.chunks_exact_mut(2 * pitch as usize).enumerate() {
                for (channel, to) in to.chunks_exact_mut(2).enumerate() {
                    let value = values.get(channel * n_pixels + pixel).copied().unwrap_or(0.0);
                    to.copy_from_slice(&f16::from_f32(value).to_le_bytes());
                }
            }
        }
    }
}

/// Reads a tensor's values as the card wrote them.
pub(super) fn decode(tensor: &Tensor, pitch: u32, from: &[u8], values: &mut TensorViewMut) {
    match values {
        TensorViewMut::Bytes(bytes) => bytes.copy_from_slice(from),
        TensorViewMut::F32(values) if tensor.element == Element::Exact => {
            for (from, value) in from.chunks_exact(4).zip(values.iter_mut()) {
                *value = f32::from_le_bytes([from[0], from[1], from[2], from[3]]);
            }
        }
        TensorViewMut::F32(values) => {
            let n_pixels = tensor.shape.h * tensor.shape.w;
            for (pixel, from) in from.chunks_exact(2 * pitch as usize).enumerate() {
                for (channel, from) in from.chunks_exact(2).take(tensor.shape.c).enumerate() {
                    values[channel * n_pixels + pixel] = f16::from_le_bytes([from[0], from[1]]).to_f32();
                }
            }
        }
    }
}
