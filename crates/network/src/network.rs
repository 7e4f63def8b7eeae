//! The network, as the paper's figure would draw it.
//!
//! ```text
//!            portrait 64² ──warp stay──┐
//! pose ─────────────────────warp body──┤
//! pose ─────────────────────warp head──┤                 ┌ masks (stay, body, head, mesh)
//! mesh map 64² ─────────────warp mesh──┼──▶ motion 64² ──┤ residual flow                   = mix
//! landmarks ────────────────drawing────┘                 └ occlusion
//!
//! features 32² ──warp by mix──┬ drawing, deformation 32² ──▶ blocks ──up──┐
//! features 64² ──warp by mix───────────────────────────────────────────(+)┴ the same 64² ──▶ conv ──up──┐
//! features 128² ─warp by mix─────────────────────────────────────────────────────────────────────────(+)┴ 128² ──▶ conv
//!                                                                                                                   │ up
//! photo S² ──warp by mix and the full mesh map──▶ finish ◀── colour, alpha, trust at 256², gates at 128² ◀──────────┘
//! ```
//!
//! Features and an embedding of who it is come from the [`encoder`], once for each portrait. The
//! embedding modulates every convolution of the decoder and is folded into its weights ([`fold`]),
//! so the frame path runs plain convolutions. The four candidate motions are computed from
//! landmarks and never learned; what is learned is where to follow which, and what none can show. What the decoder paints
//! is softer than a photo: its gates say where the photo's two finest bands (Burt and Adelson 1983) lie on top of it.
//!
//! Sources: masks and residual over explicit motions as in FOMM (Siarohin et al. 2019) and MobilePortrait (2024); modulation
//! as in StyleGAN2 (Karras et al. 2020), but relative to the layer's own norm, so that a zero embedding changes nothing.

use super::plan::{
    Activation, ConvSpec, Element, Finish, Flow, PhotoLevels, PictureFormat, Plan, Recorder, Shape, TensorId,
};

pub use self::drawing::FACE;
pub use self::encoder::{ENCODER_PX, Encoded, encoder};
pub use self::fold::{fold, fold_upsampling, modulate, pooled_embedding};
pub use self::stored::stored;

mod drawing;
mod encoder;
mod fold;
mod stored;
pub mod weights;

/// Numbers that say who it is.
pub const EMBEDDING: usize = 64;
/// Widths and heights of the warped features, in pixels.
pub const FEATURES_PX: [usize; 3] = [32, 64, 128];
/// Width and height of the motion network's pictures, in pixels.
pub const MOTION_PX: usize = 64;
/// Width and height of what the decoder paints, in pixels.
pub const DECODED_PX: usize = 2 * FEATURES_PX[2];
/// Half the width of drawn lines at each of [`FEATURES_PX`], in pixels.
const LINE_PX: [f32; 3] = [0.5, 0.5, 0.75];

/// How large the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// At most 1.0 GMAC a frame: two CPU cores, beside face tracking.
    Small,
    /// At most 6 GMAC a frame: a graphics card.
    Large,
}

impl Size {
    /// All sizes.
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];

    /// What the command line and the report call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }

    /// How wide its layers are.
    pub fn widths(self) -> Widths {
        match self {
            Self::Small => Widths { motion: [24, 40, 64], decoder: [96, 48, 32], n_blocks: 1 },
            Self::Large => Widths { motion: [48, 80, 128], decoder: [256, 128, 64], n_blocks: 2 },
        }
    }
}

/// Channels of the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Widths {
    /// Of the motion network at 64², 32², 16².
    pub motion: [usize; 3],
    /// Of the decoder and the features at each of [`FEATURES_PX`].
    pub decoder: [usize; 3],
    /// Residual blocks at 32².
    pub n_blocks: usize,
}

/// What a frame is made from.
#[derive(Clone, Copy, Debug)]
pub struct FrameOptions {
    /// Size of the network.
    pub size: Size,
    /// Width and height of the picture, 512 or 1024.
    pub output_px: usize,
    /// How the picture is stored.
    pub format: PictureFormat,
    /// Whether the picture has a background; without one its alpha says where the person is.
    pub has_background: bool,
    /// Rows and columns of a visible mark in the lower right corner.
    pub badge_px: Option<(usize, usize)>,
}

impl FrameOptions {
    /// RGBA without background and badge: the compositor adds them.
    pub fn new(size: Size, output_px: usize) -> Self {
        Self { size, output_px, format: PictureFormat::Rgba, has_background: false, badge_px: None }
    }
}

/// Width of the photo's margin for a picture of `output_px`: what lies beyond the portrait's border can be read there.
pub const fn margin_px(output_px: usize) -> usize {
    output_px / 8
}

/// How a picture of `output_px` reads the photo. The levels keep their ratio to the decoder's pixels at any size.
pub const fn photo_levels(output_px: usize) -> PhotoLevels {
    PhotoLevels::new(output_px, margin_px(output_px), DECODED_PX)
}

/// Records what is run for every frame.
///
/// # Shapes
/// Inputs in order: `landmarks` (1, 478, 2), where the face's points shall be; `pose` (1, 4, 3), from the picture to the
/// portrait along the body's motion and along the head's; `map32`, `map64`, `map128` (3, n, n), the mesh's motion and coverage;
/// `deformation32`, `deformation64`, `deformation128` (2, n, n), how far the mesh's motion is from the head's, in sixteenths
/// of the picture's width, 0 where there is no mesh; `map` (1, s, s) the mesh's motion in full resolution, packed as
/// [`super::plan::Finish`] says. All else in picture units.
/// Constants in order: `portrait64` (4, 64, 64), colour -1..1 and matte 0..1; `features32`, `features64`, `features128`
/// from the [`encoder`]; `photo` as [`photo_levels`] lays it out; then background and badge where asked for.
/// Output: the picture, in bytes.
pub fn frame(options: &FrameOptions) -> Plan {
    let widths = options.size.widths();
    let output = options.output_px;
    let mut r = Recorder::new(format!("{} {output}", options.size.name()));
    let landmarks = r.input("landmarks", Shape::new(1, FACE.n_points, 2), Element::Exact);
    let pose = r.input("pose", Shape::new(1, 4, 3), Element::Exact);
    let maps = FEATURES_PX.map(|px| r.input(&format!("map{px}"), Shape::new(3, px, px), Element::Exact));
    let deformations = FEATURES_PX.map(|px| r.input(&format!("deformation{px}"), Shape::new(2, px, px), Element::Half));
    let map = r.input("map", Shape::new(1, output, output), Element::Word);
    let portrait = r.constant("portrait64", Shape::new(4, MOTION_PX, MOTION_PX), Element::Half);
    let features = [0, 1, 2].map(|i| {
        let px = FEATURES_PX[i];
        r.constant(&format!("features{px}"), Shape::new(widths.decoder[i], px, px), Element::Half)
    });
    let margin_px = margin_px(output);
    let photo = r.constant("photo", photo_levels(output).shape(), Element::Word);
    let background =
        options.has_background.then(|| r.constant("background", Shape::new(1, output, output), Element::Word));
    let badge = options.badge_px.map(|(h, w)| r.constant("badge", Shape::new(1, h, w), Element::Word));

    let mix = motion(&mut r, &widths, portrait, landmarks, pose, maps[1]);
    let warped = [0, 1, 2].map(|i| {
        let px = FEATURES_PX[i];
        let flow = Flow::Mixed { mix, map: maps[i], pose };
        r.warp(&format!("warped{px}"), features[i], flow, (px, px))
    });
    let [decoded, gates] = decoder(&mut r, &widths, warped, landmarks, deformations);
    let format = options.format;
    let finish = Finish { decoded, gates, mix, map, pose, photo, margin_px, background, badge, format, y: decoded };
    let picture = r.finish("finish", finish);
    r.output(picture);
    r.end()
}

/// Where to follow which motion: an hourglass at 64².
fn motion(
    r: &mut Recorder,
    widths: &Widths,
    portrait: TensorId,
    landmarks: TensorId,
    pose: TensorId,
    map: TensorId,
) -> TensorId {
    let [wide, half, quarter] = widths.motion;
    let px = (MOTION_PX, MOTION_PX);
    let stay = r.warp("motion.stay", portrait, Flow::Stay, px);
    let body = r.warp("motion.body", portrait, Flow::Body { pose }, px);
    let head = r.warp("motion.head", portrait, Flow::Head { pose }, px);
    let mesh = r.warp("motion.mesh", portrait, Flow::Mesh { map }, px);
    let lines = r.raster("motion.lines", landmarks, &FACE, LINE_PX[1], px);
    let seen = r.concat("motion.seen", &[stay, body, head, mesh, lines]);
    let full = r.conv2d("motion.in", seen, ConvSpec::new(wide));
    let down = r.conv2d("motion.down32", full, ConvSpec::new(half).stride(2));
    let deep = r.conv2d("motion.down16", down, ConvSpec::new(quarter).stride(2));
    let deep = r.conv2d("motion.deep", deep, ConvSpec::new(quarter).residual(deep));
    let up = r.up_conv2d("motion.up32", deep, ConvSpec::new(half).residual(down));
    let up = r.up_conv2d("motion.up64", up, ConvSpec::new(wide).residual(full));
    let answer = r.conv2d("motion.out", up, ConvSpec::new(7).activation(Activation::None));
    r.motion("mix", answer)
}

/// What no motion can show: colour, alpha and trust at 256²; and at 128² where the photo's fine detail lies on top.
///
/// How far the face is deformed says where the warped photo is good as it is.
fn decoder(
    r: &mut Recorder,
    widths: &Widths,
    warped: [TensorId; 3],
    landmarks: TensorId,
    deformations: [TensorId; 3],
) -> [TensorId; 2] {
    let seen = |r: &mut Recorder, i: usize, x: TensorId| {
        let px = FEATURES_PX[i];
        let lines = r.raster(&format!("decoder.lines{px}"), landmarks, &FACE, LINE_PX[i], (px, px));
        // A concatenation is of what layers wrote: staying where it is copies what the host gave.
        let deformed = r.warp(&format!("decoder.deformed{px}"), deformations[i], Flow::Stay, (px, px));
        r.concat(&format!("decoder.seen{px}"), &[x, lines, deformed])
    };
    let [deep, mid, fine] = widths.decoder;
    let x = seen(r, 0, warped[0]);
    let mut x = r.conv2d("decoder.in", x, ConvSpec::new(deep));
    for i in 1..=widths.n_blocks {
        let inner = r.conv2d(&format!("decoder.block{i}.a"), x, ConvSpec::new(deep));
        x = r.conv2d(&format!("decoder.block{i}.b"), inner, ConvSpec::new(deep).residual(x));
    }
    for (i, c_out) in [(1, mid), (2, fine)] {
        let px = FEATURES_PX[i];
        let up = r.up_conv2d(&format!("decoder.up{px}"), x, ConvSpec::new(c_out).residual(warped[i]));
        let seen = seen(r, i, up);
        x = r.conv2d(&format!("decoder.conv{px}"), seen, ConvSpec::new(c_out));
    }
    let gates = r.conv2d("decoder.gates", x, ConvSpec::new(2).kernel(1).activation(Activation::Sigmoid));
    [r.up_conv2d("decoder.out", x, ConvSpec::new(5).activation(Activation::Sigmoid)), gates]
}
