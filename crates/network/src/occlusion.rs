//! The network that sees what covers a face: a hand, a cup, a microphone.
//!
//! It looks at the square in which the landmark network looks for the face, and says of each of 16×16 cells how much of it
//! lies behind something. What belongs to the face covers nothing: glasses, beards, hair, a shadow.

use crate::plan::{Activation, ConvSpec, Element, Param, Plan, Recorder, Shape};
use crate::tensors::{self, Tensors};
use effigy_base::error::{ErrorKind, OrError as _, Result};
use safetensors::SafeTensors;

/// Width and height of the picture, in pixels.
pub const SIZE_PX: usize = 64;
/// Cells along each side of the answer.
pub const N_CELLS: usize = 16;

/// The file that belongs to the program.
pub const BUILT_IN: &[u8] = include_bytes!("../../../models/occlusion.safetensors");

/// Records the network: picture (3, 64, 64) in 0..1 to cells (1, 16, 16) in 0..1, 1 is covered.
pub fn plan() -> Plan {
    let mut r = Recorder::new("occlusion");
    let picture = r.input("picture", Shape::new(3, SIZE_PX, SIZE_PX), Element::Half);
    let halves = r.conv2d("occlusion.half", picture, ConvSpec::new(16).stride(2));
    let quarters = r.conv2d("occlusion.quarter", halves, ConvSpec::new(32).stride(2));
    let mut x = r.conv2d("occlusion.eighth", quarters, ConvSpec::new(64).stride(2));
    // Whether skin is the face's own is seen from the whole face.
    let small = r.conv2d("occlusion.sixteenth", x, ConvSpec::new(96).stride(2));
    let deep = r.conv2d("occlusion.deep", small, ConvSpec::new(96));
    x = r.up_conv2d("occlusion.up1", deep, ConvSpec::new(64).residual(x));
    x = r.up_conv2d("occlusion.up2", x, ConvSpec::new(32).residual(quarters));
    let cells = r.conv2d("occlusion.cells", x, ConvSpec::new(1).activation(Activation::Sigmoid));
    r.output(cells);
    r.end()
}

/// Reads weights from the bytes of a file.
///
/// # Errors
/// [`ErrorKind::Model`] when the file is torn, or of something else.
pub fn read(bytes: &[u8]) -> Result<Tensors> {
    let about = || "expected a safetensors file of the occlusion network".to_owned();
    let file = SafeTensors::deserialize(bytes).or_error(ErrorKind::Model, about)?;
    tensors::read(&file, plan().params(), "the occlusion network")
}

/// Writes weights as the bytes of a file, in f16.
///
/// # Errors
/// [`ErrorKind::Internal`] only.
pub fn write(tensors: &Tensors) -> Result<Vec<u8>> {
    let plan = plan();
    let rows = plan.params().iter().filter_map(|Param { name, .. }| {
        tensors.get(name).map(|(dims, values)| (name.as_str(), dims.as_slice(), values.as_slice()))
    });
    tensors::write(rows, &[("network", "occlusion")])
}
