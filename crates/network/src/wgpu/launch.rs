//! Which kernel each op is, over what grid, with what scalars.

use super::kernels::{Kernel, Precision, Tiling, Variant};
use super::memory::{Memory, Store};
use crate::plan::{Op, Plan, TensorId};
use effigy_base::error::{Error, ErrorKind, Result};

/// Scalars by name, each 32 bits; the order is that of `struct Scalars` in the kernel's text.
pub(super) type Scalars = Vec<(&'static str, u32)>;

/// One launch of a kernel.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) variant: Variant,
    pub(super) scalars: Scalars,
    /// Blocks along x, y, z.
    pub(super) grid: [u32; 3],
}

/// All launches of a plan, in order.
///
/// # Errors
/// [`ErrorKind::BackendUnavailable`] when there is no kernel for an op.
pub(super) fn launches(plan: &Plan, memory: &Memory, precision: Precision) -> Result<Vec<Launch>> {
    let steps = plan.steps().iter().enumerate();
    steps.map(|(i, (layer, op))| launch(plan, memory, precision, i, layer, op)).collect()
}

/// A layer that runs on the processor only.
pub(super) fn no_linear(layer: &str) -> Error {
    let message = format!(
        "{layer}: expected convolutions, found a linear layer, for which there is no kernel in WGSL; choose --backend cpu"
    );
    Error::new(ErrorKind::BackendUnavailable, message)
}

fn launch(plan: &Plan, memory: &Memory, precision: Precision, i: usize, layer: &str, op: &Op) -> Result<Launch> {
    let at = |id: TensorId| memory.first(id);
    // What is not there is not read.
    let at_any = |id: Option<TensorId>| id.map_or(0, at);
    let x_is_exact = |id: TensorId| memory.store(id) == Store::Words;
    let (kernel, x_is_exact, scalars, grid) = match op {
        Op::Conv2d(op) => {
            let s = plan.conv2d_shape(op);
            let tiling = Tiling::new(s.kernel, s.stride, s.c_out);
            let scalars = vec![
                ("c_in", s.c_in),
                ("h_in", s.h_in),
                ("w_in", s.w_in),
                ("c_out", s.c_out),
                ("h_out", s.h_out),
                ("w_out", s.w_out),
                ("kernel", s.kernel),
                ("stride", s.stride),
                ("activation", s.activation),
                ("has_residual", s.has_residual),
                ("x_at", at(op.x)),
                ("residual_at", at_any(op.residual)),
                ("y_at", at(op.y)),
                ("weight_at", memory.param(op.weight)),
                ("bias_at", memory.param(op.bias)),
            ];
            let grid = tiles(tiling, [s.c_out, s.h_out, s.w_out]);
            (Kernel::Conv2d(tiling), x_is_exact(op.x), scalars, grid)
        }
        Op::UpConv2d(op) => {
            let s = plan.up_conv2d_shape(op);
            let tiling = Tiling::upsampling(s.c_out);
            let scalars = vec![
                ("c_in", s.c_in),
                ("h_in", s.h_in),
                ("w_in", s.w_in),
                ("c_out", s.c_out),
                ("activation", s.activation),
                ("has_residual", s.has_residual),
                ("x_at", at(op.x)),
                ("residual_at", at_any(op.residual)),
                ("y_at", at(op.y)),
                ("weight_at", memory.param(op.weight)),
                ("bias_at", memory.param(op.bias)),
            ];
            let [columns, rows, channels] = tiles(tiling, [s.c_out, s.h_in, s.w_in]);
            (Kernel::UpConv2d(tiling), x_is_exact(op.x), scalars, [columns, rows, 4 * channels])
        }
        Op::Linear(_) => return Err(no_linear(layer)),
        Op::Warp(op) => {
            let s = plan.warp_shape(op);
            let [pose, map, mix] = op.flow.parts();
            let scalars = vec![
                ("c", s.c),
                ("h_in", s.h_in),
                ("w_in", s.w_in),
                ("h", s.h),
                ("w", s.w),
                ("h_mix", s.h_mix),
                ("w_mix", s.w_mix),
                ("flow", s.flow),
                ("x_at", at(op.x)),
                ("pose_at", at_any(pose)),
                ("map_at", at_any(map)),
                ("mix_at", at_any(mix)),
                ("y_at", at(op.y)),
            ];
            let grid = [s.w.div_ceil(8), s.h.div_ceil(8), s.c.div_ceil(8)];
            (Kernel::Warp, x_is_exact(op.x), scalars, grid)
        }
        Op::Motion(op) => {
            let s = plan.motion_shape(op);
            let scalars = vec![("n", s.n), ("x_at", at(op.x)), ("y_at", at(op.y))];
            (Kernel::Motion, x_is_exact(op.x), scalars, [s.n.div_ceil(64), 1, 1])
        }
        Op::Raster(op) => {
            let s = plan.raster_shape(op);
            let scalars = vec![
                ("c", s.c),
                ("h", s.h),
                ("w", s.w),
                ("n_segments", s.n_segments),
                ("radius_px", s.radius_px.to_bits()),
                ("points_at", at(op.points)),
                ("segments_at", (memory.drawing(i).0 / 4) as u32),
                ("y_at", at(op.y)),
            ];
            (Kernel::Raster, false, scalars, [s.w.div_ceil(8), s.h.div_ceil(8), 1])
        }
        Op::Finish(op) => {
            let s = plan.finish_shape(op);
            let scalars = vec![
                ("size", s.size),
                ("margin", s.margin),
                ("fine", s.fine),
                ("coarse", s.coarse),
                ("h", s.h),
                ("w", s.w),
                ("h_gates", s.h_gates),
                ("w_gates", s.w_gates),
                ("h_mix", s.h_mix),
                ("w_mix", s.w_mix),
                ("has_background", s.has_background),
                ("h_badge", s.h_badge),
                ("w_badge", s.w_badge),
                ("format", s.format),
                ("decoded_at", at(op.decoded)),
                ("gates_at", at(op.gates)),
                ("mix_at", at(op.mix)),
                ("map_at", at(op.map)),
                ("pose_at", at(op.pose)),
                ("photo_at", at(op.photo)),
                ("background_at", at_any(op.background)),
                ("badge_at", at_any(op.badge)),
                ("y_at", at(op.y)),
            ];
            // A thread makes 4 × 2 pixels.
            let grid = [s.size.div_ceil(32), s.size.div_ceil(16), 1];
            (Kernel::Finish, x_is_exact(op.decoded), scalars, grid)
        }
    };
    Ok(Launch { variant: Variant { kernel, precision, x_is_exact }, scalars, grid })
}

fn tiles(tiling: Tiling, [c, h, w]: [u32; 3]) -> [u32; 3] {
    [w.div_ceil(Tiling::COLUMNS), h.div_ceil(tiling.rows()), c.div_ceil(tiling.channels())]
}

#[cfg(test)]
mod tests {
    use super::super::kernels::tests::scalars_in_text;
    use super::*;
    use crate::plan::{ConvSpec, Drawing, Element, Finish, Flow, PhotoLevels, PictureFormat, Recorder, Shape};

    /// Every kind of op once.
    fn plan() -> Plan {
        static DRAWING: Drawing = Drawing { n_points: 2, n_channels: 1, segments: &[[0, 1, 0]] };
        let mut r = Recorder::new("every kind");
        let pose = r.input("pose", Shape::new(1, 4, 3), Element::Exact);
        let points = r.input("points", Shape::new(1, 2, 2), Element::Exact);
        let map = r.input("map", Shape::new(1, 8, 8), Element::Word);
        let photo = r.constant("photo", PhotoLevels::new(8, 1, 8).shape(), Element::Word);
        let drawn = r.raster("drawn", points, &DRAWING, 1.0, (8, 8));
        let up = r.up_conv2d("up", drawn, ConvSpec::new(7));
        let mix = r.motion("mix", up);
        let gates = r.conv2d("gates", up, ConvSpec::new(2));
        let decoded = r.conv2d("decoded", up, ConvSpec::new(5));
        let decoded = r.warp("moved", decoded, Flow::Body { pose }, (8, 8));
        let (background, badge, format) = (None, None, PictureFormat::Rgba);
        let finish =
            Finish { decoded, gates, mix, map, pose, photo, margin_px: 1, background, badge, format, y: decoded };
        let picture = r.finish("picture", finish);
        r.output(picture);
        r.end()
    }

    #[test]
    fn scalars_lie_where_the_kernels_text_has_them() {
        let plan = plan();
        for precision in [Precision::F16, Precision::F32] {
            let memory = Memory::new(&plan, precision);
            let launches = launches(&plan, &memory, precision).unwrap();
            assert_eq!(launches.len(), 7);
            for launch in launches {
                let ours: Vec<_> =
                    launch.scalars.iter().zip(0..).map(|((name, _), i)| (name.to_string(), 4 * i)).collect();
                let (theirs, size) = scalars_in_text(launch.variant);
                assert_eq!(ours, theirs, "{:?}", launch.variant);
                assert_eq!(4 * ours.len() as u32, size, "{:?}", launch.variant);
            }
        }
    }
}
