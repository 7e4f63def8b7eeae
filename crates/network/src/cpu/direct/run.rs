//! The rows of a part: where each is in memory, and which loop convolves it.
#![expect(unsafe_code, reason = "rows are given to the inner loops by address")]

use super::schedule::Part;
use super::tile::{Affine, BytesOut, FloatsOut, GROUP, LANES, Planes, Row};
use super::{Channels, Convolution, DirectModel, LEAKY_SLOPE, Layer, Phase, Target, per_one};
use crate::plan::Shape;

impl DirectModel {
    /// As [`crate::onnx::Session::output`].
    pub(in crate::cpu) fn output(&self, index: usize) -> &[f32] {
        // SAFETY: only `run` writes there, and it borrows the model mutably.
        unsafe { self.outputs[index].values() }
    }

    /// Does a part of a layer.
    pub(super) fn run_part(&self, part: &Part) {
        for row in part.rows.clone() {
            match &self.layers[part.layer] {
                Layer::Round { input, y, shape } => self.round(*input, *y, *shape, row),
                Layer::Convolve(layer) => self.convolve(layer, row),
            }
        }
    }

    fn round(&self, input: usize, y: Channels, shape: Shape, row: usize) {
        let (x, tensor) = (self.inputs[input].address(), &self.tensors[y.tensor]);
        let scale = (per_one(tensor.scale), f32::from(tensor.scale.zero));
        let plane = shape.h * shape.w;
        for group in 0..y.n_groups() {
            let n_channels = (y.n - group * GROUP).min(GROUP);
            // SAFETY: a model is made only where the loops can run; the channels and the row are within the input and the
            // tensor, and this part alone writes this row of these channels.
            unsafe {
                let x = Planes { x: x.add(group * GROUP * plane + row * shape.w), plane, n_channels };
                let y = tensor.bytes.address().add(tensor.offset(y.first_group + group, row, 0));
                self.loops.round_row(&x, scale, y, shape.w);
            }
        }
    }

    fn convolve(&self, layer: &Convolution, row: usize) {
        let tensor = &self.tensors[layer.x.tensor];
        // SAFETY: the pixel is within the tensor.
        let x = unsafe {
            tensor.bytes.address().add(tensor.offset(layer.x.first_group, row * layer.stride, 0)).cast_const()
        };
        let up = if layer.phases.len() == 4 { 2 } else { 1 };
        for (i, phase) in layer.phases.iter().enumerate() {
            let place = (up * row + i / 2, i % 2);
            let all = Row {
                x,
                plane: tensor.plane,
                n_groups: layer.x.n_groups(),
                taps: &phase.taps,
                weights: &phase.packed.lines,
                n_px: layer.n_columns,
            };
            match layer.target {
                Target::Bytes { y, n_vectors, residual } => {
                    self.bytes_row(layer, phase, &all, (y, n_vectors, residual), (place, up));
                }
                Target::Floats { output, n_channels, .. } => {
                    let (width, plane) = (up * layer.n_columns, up * up * layer.n_columns * layer.n_rows);
                    let affine = Affine { multipliers: &phase.packed.multipliers, offsets: &phase.packed.offsets };
                    // SAFETY: as below.
                    unsafe {
                        let y = self.outputs[output].address().add(place.0 * width + place.1);
                        let out = FloatsOut { y, plane, step: up, n_channels };
                        self.loops.row_of_floats(layer.stride, &all, &affine, &out);
                    }
                }
            }
        }
        if let Target::Floats { output, n_channels, is_sigmoid: true } = layer.target {
            // The rows of all phases lie behind each other.
            let (n, plane) = (up * up * layer.n_columns, up * up * layer.n_columns * layer.n_rows);
            for channel in 0..n_channels {
                // SAFETY: the numbers that this part has just written, which nobody else has.
                unsafe {
                    let y = self.outputs[output].address().add(channel * plane + row * n);
                    self.loops.sigmoid(std::slice::from_raw_parts_mut(y, n));
                }
            }
        }
    }

    /// Convolves a row of one phase into bytes, block by block of channels.
    fn bytes_row(
        &self,
        layer: &Convolution,
        phase: &Phase,
        row: &Row,
        (y, n_vectors, residual): (Channels, usize, Option<Channels>),
        ((at_row, at_column), up): ((usize, usize), usize),
    ) {
        let tensor = &self.tensors[y.tensor];
        let n_lines = phase.taps.len() * row.n_groups * n_vectors;
        for (block, weights) in phase.packed.lines.chunks_exact(n_lines).enumerate() {
            let first_group = block * n_vectors * LANES / GROUP;
            let lanes = block * n_vectors * LANES..(block + 1) * n_vectors * LANES;
            let affine =
                Affine { multipliers: &phase.packed.multipliers[lanes.clone()], offsets: &phase.packed.offsets[lanes] };
            let place = |channels: Channels| {
                let tensor = &self.tensors[channels.tensor];
                let offset = tensor.offset(channels.first_group + first_group, at_row, at_column);
                // SAFETY: the pixel is within the tensor.
                unsafe { tensor.bytes.address().add(offset) }
            };
            let other = residual.map(|residual| &self.tensors[residual.tensor]);
            let out = BytesOut {
                y: place(y),
                plane: tensor.plane,
                step: up * GROUP,
                n_groups: y.n_groups() - first_group,
                residual: residual.map_or(std::ptr::null(), |residual| place(residual).cast_const()),
                residual_plane: other.map_or(0, |other| other.plane),
                residual_step: other.map_or(0.0, |other| other.scale.step),
                residual_zero: other.map_or(0.0, |other| f32::from(other.scale.zero)),
                slope: LEAKY_SLOPE,
                per_one: per_one(tensor.scale),
                zero: f32::from(tensor.scale.zero),
            };
            let row = Row { weights, ..*row };
            // SAFETY: a model is made only where the loops can run. Tensors have room for whole tiles and for kernels at their
            // borders. Parts that run at the same time write rows of their own, and read what ended before.
            unsafe { self.loops.row_of_bytes((n_vectors, layer.stride), &row, &affine, &out) }
        }
    }
}
