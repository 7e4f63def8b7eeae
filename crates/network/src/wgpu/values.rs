//! Values of tensors in the form in which the device has them.

use half::f16;

use crate::plan::{TensorView, TensorViewMut};

/// Writes a tensor's values with `write(offset, bytes)`, a few at a time; allocates nothing. What is missing of the last
/// word is zero.
pub(super) fn encode(values: TensorView, element_bytes: usize, write: impl FnMut(usize, &[u8])) {
    match (values, element_bytes) {
        (TensorView::Words(words), _) => encode_each(words, u32::to_le_bytes, write),
        (TensorView::F32(values), 4) => encode_each(values, f32::to_le_bytes, write),
        (TensorView::F32(values), _) => encode_each(values, |value| f16::from_f32(value).to_le_bytes(), write),
    }
}

/// Reads a tensor's values.
pub(super) fn decode(bytes: &[u8], element_bytes: usize, values: &mut TensorViewMut) {
    match (values, element_bytes) {
        (TensorViewMut::Bytes(values), _) => values.copy_from_slice(bytes),
        (TensorViewMut::F32(values), 4) => decode_each(bytes, f32::from_le_bytes, values),
        (TensorViewMut::F32(values), _) => decode_each(bytes, |two| f16::from_le_bytes(two).to_f32(), values),
    }
}

fn encode_each<T: Copy, const N: usize>(
    values: &[T],
    each: impl Fn(T) -> [u8; N],
    mut write: impl FnMut(usize, &[u8]),
) {
    let mut block = [0_u8; 2048];
    let per_block = block.len() / N;
    for (i, values) in values.chunks(per_block).enumerate() {
        for (bytes, &value) in block.chunks_exact_mut(N).zip(values) {
            bytes.copy_from_slice(&each(value));
        }
        let filled = values.len() * N;
        let end = filled.next_multiple_of(4);
        block[filled..end].fill(0);
        write(i * per_block * N, &block[..end]);
    }
}

fn decode_each<const N: usize>(bytes: &[u8], each: impl Fn([u8; N]) -> f32, values: &mut [f32]) {
    let (chunks, _) = bytes.as_chunks::<N>();
    for (value, bytes) in values.iter_mut().zip(chunks) {
        *value = each(*bytes);
    }
}
