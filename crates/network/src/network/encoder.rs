//! The appearance encoder: a portrait once, features and an embedding for all its frames.

use super::drawing::FACE;
use super::{FEATURES_PX, Size};
use crate::plan::{Activation, ConvSpec, Element, Plan, Recorder, Shape};

/// Width and height of the encoder's picture, in pixels.
pub const ENCODER_PX: usize = 256;

/// What the encoder makes of a portrait.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// Features at each of [`FEATURES_PX`], (c, n, n) with the decoder's channels.
    pub features: [Vec<f32>; 3],
    /// Who it is: [`super::EMBEDDING`] numbers.
    pub embedding: Vec<f32>,
}

/// Records the encoder.
///
/// # Shapes
/// Inputs in order: `portrait` (4, 256, 256), colour -1..1 and matte 0..1; `landmarks` (1, 478, 2) in picture units.
/// Outputs in order: features at 128², 64², 32², then (c, 16, 16), whose mean over the pixels makes the embedding
/// ([`super::pooled_embedding`]).
pub fn encoder(size: Size) -> Plan {
    let [deep, mid, fine] = size.widths().decoder;
    let px = (ENCODER_PX, ENCODER_PX);
    let mut r = Recorder::new(format!("{} encoder", size.name()));
    let portrait = r.input("portrait", Shape::new(4, ENCODER_PX, ENCODER_PX), Element::Half);
    let landmarks = r.input("landmarks", Shape::new(1, FACE.n_points, 2), Element::Exact);
    let seen = r.warp("encoder.portrait", portrait, crate::plan::Flow::Stay, px);
    let lines = r.raster("encoder.lines", landmarks, &FACE, 1.0, px);
    let mut x = r.concat("encoder.seen", &[seen, lines]);
    for (i, c) in [(2, fine), (1, mid), (0, deep)] {
        let px = FEATURES_PX[i];
        x = r.conv2d(&format!("encoder.down{px}"), x, ConvSpec::new(c).stride(2));
        x = r.conv2d(&format!("encoder.conv{px}"), x, ConvSpec::new(c));
        // Linear, since the decoder adds them before its own activation.
        let linear = ConvSpec::new(c).kernel(1).activation(Activation::None);
        let features = r.conv2d(&format!("encoder.features{px}"), x, linear);
        r.output(features);
    }
    let last = r.conv2d("encoder.down16", x, ConvSpec::new(deep).stride(2));
    r.output(last);
    r.end()
}
