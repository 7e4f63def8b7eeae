//! Weights in the order in which the kernels read them.

use half::f16;

use super::kernels::Precision;

/// How a parameter is laid out on the device.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packing {
    /// `[groups, c_out, taps]` as `[groups, taps, c_out padded to 4]` halves, from this multiple of four on.
    Weight { first_four: usize, groups: usize, c_out: usize, taps: usize },
    /// As it is, from this element on.
    Bias { first: usize },
}

impl Packing {
    /// Where it begins: weights in fours, biases in elements.
    pub(super) fn first(self) -> usize {
        match self {
            Self::Weight { first_four, .. } => first_four,
            Self::Bias { first } => first,
        }
    }

    /// Appends a parameter in the device's form.
    pub(super) fn encode(self, values: &[f32], precision: Precision, bytes: &mut Vec<u8>) {
        let Self::Weight { groups, c_out, taps, .. } = self else {
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            return;
        };
        for group in 0..groups {
            let values = &values[group * c_out * taps..][..c_out * taps];
            for tap in 0..taps {
                for o in 0..c_out.next_multiple_of(4) {
                    let value = if o < c_out { values[o * taps + tap] } else { 0.0 };
                    match precision {
                        Precision::F16 => bytes.extend(f16::from_f32(value).to_le_bytes()),
                        Precision::F32 => bytes.extend(value.to_le_bytes()),
                    }
                }
            }
        }
    }
}
