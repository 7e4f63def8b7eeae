//! The kinds of op: what each computes, and from what.
//!
//! [`super::Recorder`] checks the shapes; the twins in `kernels/` say the same in plain loops.

use super::{ParamId, TensorId};

/// What is applied to each sum of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Activation {
    /// Nothing.
    None = 0,
    /// `max(x, 0)`.
    Relu = 1,
    /// `max(x, 0.2 x)`.
    Leaky = 2,
    /// `1 / (1 + exp(-x))`.
    Sigmoid = 3,
}

/// `y = activation(conv(x, weight) + bias + residual)`, zero padding of `kernel / 2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// (c_in, h, w).
    pub x: TensorId,
    /// `[c_out, c_in, kernel, kernel]`.
    pub weight: ParamId,
    /// `[c_out]`.
    pub bias: ParamId,
    /// Shaped as `y`; added before the activation.
    pub residual: Option<TensorId>,
    /// (c_out, ceil(h / stride), ceil(w / stride)).
    pub y: TensorId,
    /// 1 or 3.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Applied last.
    pub activation: Activation,
}

/// `y = activation(conv3x3(nearest2x(x)) + bias + residual)` in its folded form, or any transposed convolution of kernel 4,
/// stride 2 and padding 1, whose taps are those of the phases: one 2×2 convolution of `x` for each
/// phase of `y`. Phase `2 a + b` makes the pixels (2 i + a, 2 j + b) from rows `i - 1 + a, i + a` and columns
/// `j - 1 + b, j + b` of `x`; zero outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpConv2d {
    /// (c_in, h, w).
    pub x: TensorId,
    /// `[4, c_out, c_in, 2, 2]`.
    pub weight: ParamId,
    /// `[c_out]`.
    pub bias: ParamId,
    /// Shaped as `y`; added before the activation.
    pub residual: Option<TensorId>,
    /// (c_out, 2 h, 2 w).
    pub y: TensorId,
    /// Applied last.
    pub activation: Activation,
}

/// `y = activation(weight x + bias)`: each number of `y` reads all of `x`. On the processor only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// (c, h, w), read in a row.
    pub x: TensorId,
    /// `[n_out, n_in]`: how many numbers `y` and `x` have.
    pub weight: ParamId,
    /// `[n_out]`.
    pub bias: ParamId,
    /// Of any extent.
    pub y: TensorId,
    /// Applied last.
    pub activation: Activation,
}

/// From which place of the portrait a place of the output comes, both in picture units, and with what weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// From the same place; weight 1.
    Stay,
    /// With the body: `(u, v) = (p0 x + p1 y + p2, p3 x + p4 y + p5)`, `pose` (1, 4, 3) exact; weight 1.
    Body {
        /// The body's six numbers, then the head's.
        pose: TensorId,
    },
    /// With the head: as with the body, but of the later six numbers.
    Head {
        /// As in [`Flow::Body`].
        pose: TensorId,
    },
    /// With the face: `map` (3, h, w) exact holds u, v and how much of the pixel the mesh covers, 0..1, the weight.
    Mesh {
        /// Of the size of the output.
        map: TensorId,
    },
    /// All four mixed: `mix` (7, hm, wm) from [`Motion`], interpolated bilinearly (border repeated) at (x, y):
    /// `(u, v) = mix0 * stay + mix1 * body + mix2 * head + mix3 * mesh + (mix4, mix5)`; the weight is `mix6`.
    Mixed {
        /// Of any size.
        mix: TensorId,
        /// As in [`Flow::Mesh`]; its coverage is not used.
        map: TensorId,
        /// As in [`Flow::Body`].
        pose: TensorId,
    },
}

impl Flow {
    /// Its pose, map and mix, as far as it has them.
    pub fn parts(self) -> [Option<TensorId>; 3] {
        match self {
            Self::Stay => [None; 3],
            Self::Body { pose } | Self::Head { pose } => [Some(pose), None, None],
            Self::Mesh { map } => [None, Some(map), None],
            Self::Mixed { mix, map, pose } => [Some(pose), Some(map), Some(mix)],
        }
    }
}

/// `y[c, i, j] = weight * bilinear(x[c], u * w_x - 0.5, v * h_x - 0.5)`; beyond the border the border's pixel is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warp {
    /// (c, h_x, w_x).
    pub x: TensorId,
    /// Where each pixel comes from.
    pub flow: Flow,
    /// (c, h, w).
    pub y: TensorId,
}

/// Turns the motion network's answer into weights and shifts: `y[0..4] = softmax(x[0..4])`, `y[4..6] = x[4..6] / 64`
/// (so that 1 is a pixel at 64²), `y[5] = sigmoid(x[5])`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Motion {
    /// (7, h, w).
    pub x: TensorId,
    /// (7, h, w) exact: stay, body, head, mesh, residual u and v in picture units, occlusion.
    pub y: TensorId,
}

/// Lines between landmarks, in groups of one channel each.
#[derive(Debug, PartialEq, Eq)]
pub struct Drawing {
    /// Landmarks it is drawn from.
    pub n_points: usize,
    /// Channels.
    pub n_channels: usize,
    /// (from, to, channel); `from == to` draws a dot.
    pub segments: &'static [[u16; 3]],
}

/// `y[c, i, j] = max over the segments of c of clamp(radius_px + 0.5 - distance_px, 0, 1)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Raster {
    /// (1, n_points, 2) exact: x, y in picture units.
    pub points: TensorId,
    /// What to draw.
    pub drawing: &'static Drawing,
    /// Half the width of a line, in pixels of `y`.
    pub radius_px: f32,
    /// (n_channels, h, w).
    pub y: TensorId,
}

/// How a finished picture is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum PictureFormat {
    /// Four bytes a pixel, alpha not multiplied in: (1, s, s) words.
    Rgba = 0,
    /// All luma, then Cb and Cr of each 2×2 pixels in turn, BT.601 limited range: (1, 3 s / 2, s / 4) words.
    Nv12 = 1,
    /// Y0 Cb Y1 Cr for two pixels, BT.601 limited range: (1, s, s / 2) words.
    Yuyv = 2,
}

/// The full-resolution picture: the photo warped by the mixed flow, and the decoder's picture where it is trusted.
///
/// For each pixel: `w` = photo at the flow of [`Flow::Mixed`] with the mesh's place from `map`; where `map` is
/// [`UNDRAWN`] the mesh stays, and alpha counts `1 - mix3`; `f` and `c` = the photo without its finest band and without
/// both, at the same place ([`super::PhotoLevels`]); `e` = decoder's colour and alpha, `t` = trust, `g` = gates, all bilinear
/// with the border repeated;
/// `b_0` and `b_1` = `w - f` and `f - c`, less of each where the photo's pixels lie closer than the picture's (as the
/// kernel's head says), and `p = c + b_1 + b_0`;
/// `d = e + g_0 b_0 + g_1 b_1`: fine detail is the photo's where the decoder asks for it;
/// `alpha = (1 - t) p_a + t e_a`, `rgb = ((1 - t) p_a p + t e_a d) / max(alpha, 1/512)`.
/// Then over `background` where there is one, then under `badge`, then into `format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finish {
    /// (5, h, w): red, green, blue, alpha, trust; 0..1.
    pub decoded: TensorId,
    /// (2, hg, wg): how much of the photo's finest band lies on it, and of the next; 0..1. Stored as `decoded` is.
    pub gates: TensorId,
    /// (7, hm, wm) exact, as [`Motion`] makes it. Its occlusion is not used.
    pub mix: TensorId,
    /// (1, s, s) words: place in the photo with its margin in 1/[`PLACES_PER_PX`] of the picture's pixels, x in the lower
    /// half, y in the upper; or [`UNDRAWN`].
    pub map: TensorId,
    /// (1, 4, 3) exact, as in [`Flow::Body`].
    pub pose: TensorId,
    /// Words, RGBA, as [`super::PhotoLevels`] lays them out.
    pub photo: TensorId,
    /// Width of the photo's margin, in the picture's pixels.
    pub margin_px: usize,
    /// (1, s, s) words, RGB; opaque.
    pub background: Option<TensorId>,
    /// (1, h, w) words, RGBA; its lower right corner is the picture's.
    pub badge: Option<TensorId>,
    /// How `y` is stored. All but RGBA need a background.
    pub format: PictureFormat,
    /// Words; see [`PictureFormat`].
    pub y: TensorId,
}

/// Steps of a packed place in a pixel of the picture.
pub const PLACES_PER_PX: f32 = 32.0;
/// The packed place of a pixel that nothing was drawn into.
pub const UNDRAWN: u32 = u32::MAX;

/// One step of a plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// See [`Conv2d`].
    Conv2d(Conv2d),
    /// See [`UpConv2d`].
    UpConv2d(UpConv2d),
    /// See [`Linear`].
    Linear(Linear),
    /// See [`Warp`].
    Warp(Warp),
    /// See [`Motion`].
    Motion(Motion),
    /// See [`Raster`].
    Raster(Raster),
    /// See [`Finish`].
    Finish(Finish),
}

impl Op {
    /// The tensors it reads.
    pub fn reads(&self) -> impl Iterator<Item = TensorId> + use<> {
        let mut reads = [None; 8];
        match *self {
            Self::Conv2d(op) => reads[..2].copy_from_slice(&[Some(op.x), op.residual]),
            Self::UpConv2d(op) => reads[..2].copy_from_slice(&[Some(op.x), op.residual]),
            Self::Linear(op) => reads[0] = Some(op.x),
            Self::Warp(op) => {
                reads[0] = Some(op.x);
                let [pose, map, mix] = op.flow.parts();
                reads[1..4].copy_from_slice(&[mix, map, pose]);
            }
            Self::Motion(op) => reads[0] = Some(op.x),
            Self::Raster(op) => reads[0] = Some(op.points),
            Self::Finish(op) => {
                let always = [op.decoded, op.gates, op.mix, op.map, op.pose, op.photo].map(Some);
                reads[..6].copy_from_slice(&always);
                reads[6..].copy_from_slice(&[op.background, op.badge]);
            }
        }
        reads.into_iter().flatten()
    }

    /// The tensor it writes.
    pub fn writes(&self) -> TensorId {
        match self {
            Self::Conv2d(op) => op.y,
            Self::UpConv2d(op) => op.y,
            Self::Linear(op) => op.y,
            Self::Warp(op) => op.y,
            Self::Motion(op) => op.y,
            Self::Raster(op) => op.y,
            Self::Finish(op) => op.y,
        }
    }

    /// Its weight and bias.
    pub fn params(&self) -> Option<[ParamId; 2]> {
        match self {
            Self::Conv2d(op) => Some([op.weight, op.bias]),
            Self::UpConv2d(op) => Some([op.weight, op.bias]),
            Self::Linear(op) => Some([op.weight, op.bias]),
            _ => None,
        }
    }
}
