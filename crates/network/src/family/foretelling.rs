//! Families that make a clip of one photo, and are driven by nobody: `video-gan` and `md-gan`.
//!
//! Each is a row of plans, of which one reads what the one before has written.

use super::Kind;
use super::spacetime::{Folded, Folding, Spacetime};
use crate::plan::{Activation, ConvSpec, Element, Plan, Recorder, Shape, TensorId};

/// Width and height of the pictures, in pixels.
pub const SIZE_PX: usize = 64;
/// Frames in a second of what these families learn from.
pub const RATE_HZ: f64 = 25.0;

/// Random numbers that a clip of `video-gan` is made of, or that its encoder makes of a photo.
pub const N_NOISE: usize = 100;
/// Frames of `video-gan`, the first of which is the photo.
pub const N_VIDEO_GAN: usize = 32;
/// Frames of `md-gan`, all of them after the photo.
pub const N_MD_GAN: usize = 16;

/// Channels of the foreground's layers, from 4×4 pixels and 2 frames on.
const FOREGROUND: [usize; 4] = [128, 64, 32, 16];
/// Channels of the background's layers, from 4×4 pixels on.
const BACKGROUND: [usize; 4] = [128, 64, 32, 16];
/// Channels of the layers of `md-gan` on the way down.
const DOWN: [usize; 4] = [16, 32, 64, 96];

/// How many frames a family makes of a photo.
pub const fn n_frames(kind: Kind) -> usize {
    match kind {
        Kind::MdGan => N_MD_GAN,
        _ => N_VIDEO_GAN,
    }
}

/// What makes the photo into a clip, plan after plan; empty for a family that is driven.
pub(super) fn plans(kind: Kind) -> Vec<Folded> {
    match kind {
        Kind::VideoGan => {
            let mut encoder = Folding::new("video-gan encoder");
            encode(&mut encoder.recorder);
            vec![encoder.end(), two_streams()]
        }
        Kind::MdGan => vec![stage(BASE), stage(REFINE)],
        _ => Vec::new(),
    }
}

/// The clip in what the last plan has written, frame after frame, 0..1.
pub fn clip(kind: Kind, outputs: &[Vec<f32>]) -> Vec<f32> {
    match (kind, outputs) {
        (Kind::VideoGan, [background, foreground, mask]) => compose(background, foreground, mask),
        _ => outputs.first().cloned().unwrap_or_default(),
    }
}

/// m f + (1 − m) b, frame by frame.
fn compose(background: &[f32], foreground: &[f32], mask: &[f32]) -> Vec<f32> {
    let n = background.len() / 3;
    let pixel = |(i, f): (usize, &f32)| {
        let (frame, within) = (i / (3 * n), i % (3 * n));
        let m = mask[frame * n + within % n];
        m * f + (1.0 - m) * background[within]
    };
    foreground.iter().enumerate().map(pixel).collect()
}

/// `video-gan`'s encoder: photo (3, 64, 64) in 0..1 to as many numbers as there are random ones.
pub fn encoder() -> Plan {
    let mut recorder = Recorder::new("video-gan encoder");
    encode(&mut recorder);
    recorder.end()
}

fn encode(r: &mut Recorder) {
    let mut x = r.input("picture", Shape::new(3, SIZE_PX, SIZE_PX), Element::Half);
    for (i, c) in [32, 64, 96, 128].into_iter().enumerate() {
        x = r.conv2d(&format!("encoder.conv{}", i + 1), x, ConvSpec::new(c).stride(2));
    }
    let y = r.linear("encoder.linear", x, Shape::new(N_NOISE, 1, 1), Activation::None);
    r.output(y);
}

/// `video-gan`'s background: noise (100, 1, 1) to one picture (3, 64, 64).
pub fn background() -> Plan {
    let mut r = Recorder::new("video-gan background");
    let noise = r.input("noise", Shape::new(N_NOISE, 1, 1), Element::Half);
    let y = record_background(&mut r, noise);
    r.output(y);
    r.end()
}

/// What `video-gan`'s foreground grows from: noise (100, 1, 1) to two frames of 4×4.
pub fn seed() -> Plan {
    let mut r = Recorder::new("video-gan seed");
    let noise = r.input("noise", Shape::new(N_NOISE, 1, 1), Element::Half);
    let y = record_seed(&mut r, noise);
    r.output(y);
    r.end()
}

fn record_background(r: &mut Recorder, noise: TensorId) -> TensorId {
    let [first, rest @ ..] = BACKGROUND;
    let mut x = r.linear("background.linear", noise, Shape::new(first, 4, 4), Activation::Leaky);
    for (i, c) in rest.into_iter().enumerate() {
        x = r.up_conv2d(&format!("background.up{}", i + 1), x, ConvSpec::new(c));
    }
    r.up_conv2d("background.up4", x, ConvSpec::new(3).activation(Activation::Sigmoid))
}

fn record_seed(r: &mut Recorder, noise: TensorId) -> TensorId {
    r.linear("foreground.linear", noise, Shape::new(2 * FOREGROUND[0], 4, 4), Activation::Leaky)
}

/// `video-gan`'s foreground (3 channels) and mask (1 channel), 32 frames of 64×64 in 0..1, grown from its seed.
pub fn foreground<S: Spacetime>(network: &mut S, seed: &S::Clip) -> [S::Clip; 2] {
    let [_, rest @ ..] = FOREGROUND;
    let mut x = seed.clone();
    for (i, c) in rest.into_iter().enumerate() {
        x = network.up(&format!("foreground.up{}", i + 1), &x, c, Activation::Leaky);
    }
    [("foreground.out", 3), ("foreground.mask", 1)].map(|(layer, c)| network.up(layer, &x, c, Activation::Sigmoid))
}

/// Both streams of `video-gan` out of one noise vector: background, foreground, mask.
fn two_streams() -> Folded {
    let mut network = Folding::new("video-gan generator");
    let noise = network.recorder.input("noise", Shape::new(N_NOISE, 1, 1), Element::Half);
    let background = record_background(&mut network.recorder, noise);
    let seed = record_seed(&mut network.recorder, noise);
    let seed = network.frames(seed, 2);
    let [picture, mask] = foreground(&mut network, &seed);
    [background, picture.id(), mask.id()].into_iter().for_each(|id| network.recorder.output(id));
    network.end()
}

/// One stage of `md-gan`, a U-net over space and time: 16 frames of 64×64 in, as many out, 0..1. The base network has
/// connections from every size on the way down to the same one on the way up, the refining one not from the smallest.
pub fn u_net<S: Spacetime>(network: &mut S, name: &str, x: &S::Clip) -> S::Clip {
    let mut way = Vec::new();
    let mut x = x.clone();
    for (i, c) in DOWN.into_iter().enumerate() {
        x = network.down(&format!("{name}.down{}", i + 1), &x, c);
        way.push(x.clone());
    }
    way.pop();
    for (i, c) in DOWN.into_iter().enumerate().take(3).rev() {
        x = network.up(&format!("{name}.up{}", i + 1), &x, c, Activation::Leaky);
        let Some(beside) = way.pop() else { continue };
        if i < 2 || name == BASE {
            x = network.join(&format!("{name}.join{}", i + 1), &x, &beside);
        }
    }
    network.up(&format!("{name}.up0"), &x, 3, Activation::Sigmoid)
}

/// The first stage of `md-gan`.
pub const BASE: &str = "base";
/// The second.
pub const REFINE: &str = "refine";

/// A stage as a plan: the first reads the photo, the second what the first has made.
fn stage(name: &str) -> Folded {
    let mut network = Folding::new(&format!("md-gan {name}"));
    let x = if name == BASE {
        let photo = network.recorder.input("picture", Shape::new(3, SIZE_PX, SIZE_PX), Element::Half);
        network.still(photo, N_MD_GAN)
    } else {
        let clip = network.recorder.input("clip", Shape::new(3 * N_MD_GAN, SIZE_PX, SIZE_PX), Element::Half);
        network.frames(clip, N_MD_GAN)
    };
    let y = u_net(&mut network, name, &x);
    network.recorder.output(y.id());
    network.end()
}
