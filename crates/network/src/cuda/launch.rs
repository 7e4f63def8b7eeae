//! Which kernel each op is, over what grid, with what parameters.

use std::ffi::c_void;
use std::ptr::from_ref;

use super::memory::Memory;
use super::{no_linear, unsupported};
use crate::kernels::conv2d::Conv2dShape;
use crate::kernels::finish::FinishShape;
use crate::kernels::motion::MotionShape;
use crate::kernels::raster::RasterShape;
use crate::kernels::upconv2d::UpConv2dShape;
use crate::kernels::warp::WarpShape;
use crate::plan::{Element, Op, Plan, TensorId};
use effigy_base::error::Result;

/// Channels from one pixel to the next; `Pitch` in `kernels/cuda/gemm.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Pitch {
    x: u32,
    residual: u32,
    y: u32,
}

/// Channels from one pixel to the next; `WarpPitch` in `kernels/warp.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct WarpPitch {
    x: u32,
    y: u32,
}

/// One parameter of a kernel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument {
    Address(u64),
    Scalar(u32),
    Conv2d(Conv2dShape),
    UpConv2d(UpConv2dShape),
    Warp(WarpShape),
    Motion(MotionShape),
    Raster(RasterShape),
    Finish(FinishShape),
    Pitch(Pitch),
    WarpPitch(WarpPitch),
}

impl Argument {
    /// Where its value is, as a launch wants it: only read from.
    pub(super) fn as_ptr(&self) -> *mut c_void {
        let value: *const c_void = match self {
            Self::Address(value) => from_ref(value).cast(),
            Self::Scalar(value) => from_ref(value).cast(),
            Self::Conv2d(value) => from_ref(value).cast(),
            Self::UpConv2d(value) => from_ref(value).cast(),
            Self::Warp(value) => from_ref(value).cast(),
            Self::Motion(value) => from_ref(value).cast(),
            Self::Raster(value) => from_ref(value).cast(),
            Self::Finish(value) => from_ref(value).cast(),
            Self::Pitch(value) => from_ref(value).cast(),
            Self::WarpPitch(value) => from_ref(value).cast(),
        };
        value.cast_mut()
    }
}

/// One launch of a kernel.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) kernel: &'static str,
    pub(super) grid: [u32; 3],
    pub(super) arguments: Vec<Argument>,
}

/// Names of all kernels.
pub(super) const KERNELS: [&str; 17] = [
    "conv2d_k1_s1_n16",
    "conv2d_k1_s1_n32",
    "conv2d_k1_s2_n32",
    "conv2d_k3_s1_n16",
    "conv2d_k3_s1_n32",
    "conv2d_k3_s1_n64",
    "conv2d_k3_s2_n16",
    "conv2d_k3_s2_n32",
    "conv2d_simple",
    "finish",
    "motion",
    "raster",
    "upconv2d_n16",
    "upconv2d_n32",
    "upconv2d_n64",
    "upconv2d_simple",
    "warp",
];

/// A tile of 4 warps, each 1 (stride 2) or 2 rows of 16 pixels.
const TILE_W: u32 = 16;

/// The widest tile of channels that still gives every multiprocessor a block; the narrowest when none does.
fn widest<const N: usize>(
    tiles: [(&'static str, u32); N],
    c_out: u32,
    n_tiles: u32,
    wanted: u32,
) -> (&'static str, u32) {
    let fits = |width: u32| width <= c_out.next_multiple_of(16) && n_tiles * c_out.div_ceil(width) >= wanted;
    tiles.into_iter().find(|&(_, width)| fits(width)).unwrap_or(tiles[N - 1])
}

/// All launches of a plan, in order.
///
/// # Errors
/// When an op reads numbers in a form that the kernels do not know.
pub(super) fn launches(
    plan: &Plan,
    memory: &Memory,
    arena: u64,
    adopted: u64,
    n_multiprocessors: u32,
) -> Result<Vec<Launch>> {
    let at = |id: TensorId| Argument::Address(memory.address(plan, id, arena, adopted));
    let maybe = |id: Option<TensorId>| id.map_or(Argument::Address(0), at);
    let param = |id| Argument::Address(memory.param(id, adopted));
    let pitch = |id: TensorId| memory.pitch(plan, id);
    let convolution = |x, residual: Option<TensorId>, y| {
        Argument::Pitch(Pitch { x: pitch(x), residual: residual.map_or(0, pitch), y: pitch(y) })
    };
    let mut launches = Vec::new();
    for (step, (layer, op)) in plan.steps().iter().enumerate() {
        let halves = match op {
            Op::Conv2d(op) => vec![op.x],
            Op::UpConv2d(op) => vec![op.x],
            Op::Warp(op) => vec![op.x],
            Op::Motion(op) => vec![op.x],
            Op::Linear(_) => return Err(no_linear(layer)),
            Op::Finish(op) => vec![op.decoded, op.gates],
            Op::Raster(_) => Vec::new(),
        };
        if halves.iter().any(|&id| plan.tensor(id).element != Element::Half) {
            return Err(unsupported(layer, "halves, found f32"));
        }
        launches.push(match op {
            Op::Conv2d(op) => {
                let s = plan.conv2d_shape(op);
                let rows = if s.stride == 1 { 8 } else { 4 };
                let (x, y) = (s.w_out.div_ceil(TILE_W), s.h_out.div_ceil(rows));
                let (kernel, width) = match (s.kernel, s.stride) {
                    _ if !memory.is_whole(plan, op.x) => ("conv2d_simple", 0),
                    (3, 1) => widest(CONV_K3_S1, s.c_out, x * y, n_multiprocessors),
                    (3, _) => widest(CONV_K3_S2, s.c_out, x * y, n_multiprocessors),
                    (_, 1) => widest(CONV_K1_S1, s.c_out, x * y, n_multiprocessors),
                    _ => ("conv2d_k1_s2_n32", 32),
                };
                let simple = [(s.h_out * s.w_out * s.c_out).div_ceil(super::THREADS), 1, 1];
                let grid = if width == 0 { simple } else { [x, y, s.c_out.div_ceil(width)] };
                let views = [at(op.x), param(op.weight), param(op.bias), maybe(op.residual), at(op.y)];
                let scalars = [Argument::Conv2d(s), convolution(op.x, op.residual, op.y)];
                Launch { kernel, grid, arguments: [&views[..], &scalars].concat() }
            }
            Op::UpConv2d(op) => {
                let s = plan.up_conv2d_shape(op);
                let (x, y) = (s.w_in.div_ceil(TILE_W), s.h_in.div_ceil(8));
                let (kernel, width) = if memory.is_whole(plan, op.x) {
                    widest(UP_CONV, s.c_out, 4 * x * y, n_multiprocessors)
                } else {
                    ("upconv2d_simple", 0)
                };
                let simple = [(4 * s.h_in * s.w_in * s.c_out).div_ceil(super::THREADS), 1, 1];
                let grid = if width == 0 { simple } else { [x, y, 4 * s.c_out.div_ceil(width)] };
                let views = [at(op.x), param(op.weight), param(op.bias), maybe(op.residual), at(op.y)];
                let scalars = [Argument::UpConv2d(s), convolution(op.x, op.residual, op.y)];
                Launch { kernel, grid, arguments: [&views[..], &scalars].concat() }
            }
            Op::Warp(op) => {
                let s = plan.warp_shape(op);
                let [pose, map, mix] = op.flow.parts();
                let pitches = Argument::WarpPitch(WarpPitch { x: pitch(op.x), y: pitch(op.y) });
                let arguments =
                    vec![at(op.x), maybe(pose), maybe(map), maybe(mix), at(op.y), Argument::Warp(s), pitches];
                Launch { kernel: "warp", grid: [(s.h * s.w).div_ceil(64), 1, 1], arguments }
            }
            Op::Linear(_) => return Err(no_linear(layer)),
            Op::Motion(op) => {
                let s = plan.motion_shape(op);
                let arguments = vec![at(op.x), at(op.y), Argument::Motion(s), Argument::Scalar(pitch(op.x))];
                Launch { kernel: "motion", grid: [s.n.div_ceil(super::THREADS), 1, 1], arguments }
            }
            Op::Raster(op) => {
                let s = plan.raster_shape(op);
                let segments = Argument::Address(memory.segments(step, adopted));
                let scalars = [Argument::Raster(s), Argument::Scalar(pitch(op.y))];
                let arguments = [&[at(op.points), segments, at(op.y)][..], &scalars].concat();
                Launch { kernel: "raster", grid: [(s.h * s.w).div_ceil(super::THREADS), 1, 1], arguments }
            }
            Op::Finish(op) => {
                let s = plan.finish_shape(op);
                let inputs = [at(op.decoded), at(op.gates), at(op.mix), at(op.map), at(op.pose), at(op.photo)];
                let others = [maybe(op.background), maybe(op.badge), at(op.y)];
                let scalars =
                    [Argument::Finish(s), Argument::Scalar(pitch(op.decoded)), Argument::Scalar(pitch(op.gates))];
                let grid = [(s.size / 2 * (s.size / 2)).div_ceil(super::THREADS), 1, 1];
                Launch { kernel: "finish", grid, arguments: [&inputs[..], &others, &scalars].concat() }
            }
        });
    }
    Ok(launches)
}

const CONV_K3_S1: [(&str, u32); 3] = [("conv2d_k3_s1_n64", 64), ("conv2d_k3_s1_n32", 32), ("conv2d_k3_s1_n16", 16)];
const CONV_K3_S2: [(&str, u32); 2] = [("conv2d_k3_s2_n32", 32), ("conv2d_k3_s2_n16", 16)];
const CONV_K1_S1: [(&str, u32); 2] = [("conv2d_k1_s1_n32", 32), ("conv2d_k1_s1_n16", 16)];
const UP_CONV: [(&str, u32); 3] = [("upconv2d_n64", 64), ("upconv2d_n32", 32), ("upconv2d_n16", 16)];
