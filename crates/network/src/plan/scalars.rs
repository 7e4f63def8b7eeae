//! The scalars that a kernel gets, made from a plan's op.

use super::{Conv2d, Finish, Flow, Linear, Motion, PhotoLevels, Plan, Raster, Shape, TensorId, UpConv2d, Warp};
use crate::kernels::conv2d::Conv2dShape;
use crate::kernels::finish::FinishShape;
use crate::kernels::linear::LinearShape;
use crate::kernels::motion::MotionShape;
use crate::kernels::raster::RasterShape;
use crate::kernels::upconv2d::UpConv2dShape;
use crate::kernels::warp::WarpShape;

impl Plan {
    /// Scalars of a convolution.
    pub fn conv2d_shape(&self, op: &Conv2d) -> Conv2dShape {
        let (x, y) = (self.extent(op.x), self.extent(op.y));
        Conv2dShape {
            c_in: x[0],
            h_in: x[1],
            w_in: x[2],
            c_out: y[0],
            h_out: y[1],
            w_out: y[2],
            kernel: op.kernel as u32,
            stride: op.stride as u32,
            activation: op.activation as u32,
            has_residual: u32::from(op.residual.is_some()),
        }
    }

    /// Scalars of an upsampling convolution.
    pub fn up_conv2d_shape(&self, op: &UpConv2d) -> UpConv2dShape {
        let [c_in, h_in, w_in] = self.extent(op.x);
        UpConv2dShape {
            c_in,
            h_in,
            w_in,
            c_out: self.extent(op.y)[0],
            activation: op.activation as u32,
            has_residual: u32::from(op.residual.is_some()),
        }
    }

    /// Scalars of a linear layer.
    pub fn linear_shape(&self, op: &Linear) -> LinearShape {
        let n = |id: TensorId| self.tensor(id).shape.len() as u32;
        LinearShape { n_in: n(op.x), n_out: n(op.y), activation: op.activation as u32 }
    }

    /// Scalars of a warp.
    pub fn warp_shape(&self, op: &Warp) -> WarpShape {
        let (x, y) = (self.extent(op.x), self.extent(op.y));
        let (flow, mix) = match op.flow {
            Flow::Stay => (0, [0; 3]),
            Flow::Body { .. } => (1, [0; 3]),
            Flow::Head { .. } => (2, [0; 3]),
            Flow::Mesh { .. } => (3, [0; 3]),
            Flow::Mixed { mix, .. } => (4, self.extent(mix)),
        };
        WarpShape { c: y[0], h_in: x[1], w_in: x[2], h: y[1], w: y[2], h_mix: mix[1], w_mix: mix[2], flow }
    }

    /// Scalars of the mixing weights.
    pub fn motion_shape(&self, op: &Motion) -> MotionShape {
        let [_, h, w] = self.extent(op.y);
        MotionShape { n: h * w }
    }

    /// Scalars of a drawing.
    pub fn raster_shape(&self, op: &Raster) -> RasterShape {
        let [c, h, w] = self.extent(op.y);
        RasterShape { c, h, w, n_segments: op.drawing.segments.len() as u32, radius_px: op.radius_px }
    }

    /// Scalars of a finished picture.
    pub fn finish_shape(&self, op: &Finish) -> FinishShape {
        let [decoded, gates, mix] = [op.decoded, op.gates, op.mix].map(|id| self.extent(id));
        let badge = op.badge.map_or([0; 3], |badge| self.extent(badge));
        let size = self.extent(op.map)[1];
        let levels = PhotoLevels::new(size as usize, op.margin_px, decoded[1] as usize);
        FinishShape {
            size,
            margin: op.margin_px as u32,
            fine: levels.fine_px as u32,
            coarse: levels.coarse_px as u32,
            h: decoded[1],
            w: decoded[2],
            h_gates: gates[1],
            w_gates: gates[2],
            h_mix: mix[1],
            w_mix: mix[2],
            has_background: u32::from(op.background.is_some()),
            h_badge: badge[1],
            w_badge: badge[2],
            format: op.format as u32,
        }
    }

    fn extent(&self, id: TensorId) -> [u32; 3] {
        let Shape { c, h, w } = self.tensor(id).shape;
        [c as u32, h as u32, w as u32]
    }
}
