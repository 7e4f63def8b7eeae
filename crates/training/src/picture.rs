//! The finished picture with gradients: [`effigy_network::plan::Finish`] over the portrait's own background.

use burn::tensor::{Device, Tensor, TensorData};

use super::group::Group;
use super::parameters::Parameters;
use super::replay::{Replay, pooled_embedding};
use super::tracker::Crops;
use super::warping::{gather, mixed_flow, resized};
use effigy_network::kernels::finish::FADES_FROM;
use effigy_network::network::{self, FrameOptions, Size, margin_px};
use effigy_network::plan::Plan;

/// The plans of a network's encoder and frame.
pub struct Plans {
    encoder: Plan,
    frame: Plan,
}

impl Plans {
    /// Records them.
    pub fn new(size: Size) -> Self {
        Self { encoder: network::encoder(size), frame: network::frame(&FrameOptions::new(size, 512)) }
    }
}

/// A group as tensors on a device, without gradients.
pub struct Tensors {
    /// (1, 3, s, s).
    pub background: Tensor<4>,
    /// (n, 3, s, s).
    pub target: Tensor<4>,
    /// (n, 1, s, s).
    pub matte: Tensor<4>,
    /// (n, 1, s, s).
    pub mouth: Tensor<4>,
    /// (n, 1, s, s).
    pub eyes: Tensor<4>,
    /// (n, 1, s, s).
    pub filmed: Tensor<4>,
    /// (n, 1, s, s).
    pub counts: Tensor<4>,
    /// (n, 3, m, m).
    pub point_flow: Tensor<4>,
    /// Where the tracker looks for the faces.
    pub crops: Crops,
    /// As [`Group::is_asked`].
    pub is_asked: bool,
    portrait: Tensor<4>,
    portrait_lines: Tensor<4>,
    /// (1, 4, p, p) each.
    photo: [Tensor<4>; 3],
    candidates: [Tensor<4>; 4],
    lines: [Tensor<4>; 3],
    maps: [Tensor<4>; 3],
    deformations: [Tensor<4>; 3],
    full_map: Tensor<4>,
    pose: Tensor<2>,
}

impl Tensors {
    /// Copies a group to a device.
    pub fn new(group: &Group, device: &Device) -> Self {
        let device = &device.clone().inner();
        let n = group.n_frames;
        let side = |c: usize, n: usize, values: &[f32]| ((values.len() / (c * n)) as f64).sqrt() as usize;
        let many = |n: usize, c: usize, values: &[f32]| -> Tensor<4> {
            let px = side(c, n, values);
            Tensor::from_data(TensorData::new(values.to_vec(), [n, c, px, px]), device)
        };
        Self {
            background: many(1, 3, &group.background),
            target: many(n, 3, &group.target),
            matte: many(n, 1, &group.matte),
            mouth: many(n, 1, &group.mouth),
            eyes: many(n, 1, &group.eyes),
            filmed: many(n, 1, &group.filmed),
            counts: many(n, 1, &group.counts),
            point_flow: many(n, 3, &group.point_flow),
            crops: Crops::new(group, device),
            is_asked: group.is_asked,
            portrait: many(1, 4, &group.portrait),
            portrait_lines: many(1, 8, &group.portrait_lines),
            photo: [0, 1, 2].map(|i| many(1, 4, &group.photo[i])),
            candidates: [0, 1, 2, 3].map(|i| many(n, 4, &group.candidates[i])),
            lines: [0, 1, 2].map(|i| many(n, 8, &group.lines[i])),
            maps: [0, 1, 2].map(|i| many(n, 3, &group.maps[i])),
            deformations: [0, 1, 2].map(|i| many(n, 2, &group.deformations[i])),
            full_map: many(n, 3, &group.full_map),
            pose: Tensor::from_data(TensorData::new(group.pose.clone(), [n, 12]), device),
        }
    }
}

/// What the network makes of a group, with gradients.
pub struct Made {
    /// (n, 3, s, s), 0..1: the finished picture.
    pub picture: Tensor<4>,
    /// (n, 1, s, s): how much of the person covers the background.
    pub alpha: Tensor<4>,
    /// (n, 3, s, s): the warped photo alone over the background.
    pub warped: Tensor<4>,
    /// (n, 3, s, s): the decoder alone, with the photo's bands, over the background.
    pub decoded: Tensor<4>,
    /// (n, 1, s, s): how far the decoder is trusted.
    pub trust: Tensor<4>,
    /// (n, 2, m, m): where each cell comes from, in picture units.
    pub flow: Tensor<4>,
    /// (n, 2, m, m): how far that is from the mixed candidates, in cells.
    pub residual: Tensor<4>,
}

/// Runs encoder, motion network and decoder, and finishes the picture.
pub fn make(plans: &Plans, parameters: &Parameters, group: &Tensors) -> Made {
    let encoder = Replay::new(&plans.encoder, parameters)
        .give("encoder.portrait", group.portrait.clone())
        .give("encoder.lines", group.portrait_lines.clone())
        .run();
    let outputs = encoder.outputs();
    let embedding = pooled_embedding(parameters, outputs[3].clone());
    let frame = Replay::new(&plans.frame, parameters)
        .embedding(embedding)
        .pose(group.pose.clone())
        .give("map32", group.maps[0].clone())
        .give("map64", group.maps[1].clone())
        .give("map128", group.maps[2].clone())
        .give("features128", outputs[0].clone())
        .give("features64", outputs[1].clone())
        .give("features32", outputs[2].clone())
        .give("motion.stay", group.candidates[0].clone())
        .give("motion.body", group.candidates[1].clone())
        .give("motion.head", group.candidates[2].clone())
        .give("motion.mesh", group.candidates[3].clone())
        .give("motion.lines", group.lines[1].clone())
        .give("decoder.lines32", group.lines[0].clone())
        .give("decoder.lines64", group.lines[1].clone())
        .give("decoder.lines128", group.lines[2].clone())
        .give("decoder.deformed32", group.deformations[0].clone())
        .give("decoder.deformed64", group.deformations[1].clone())
        .give("decoder.deformed128", group.deformations[2].clone())
        .run();
    finish(group, frame.named("decoder.out"), frame.named("decoder.gates"), frame.named("mix"))
}

fn finish(group: &Tensors, decoded: Tensor<4>, gates: Tensor<4>, mix: Tensor<4>) -> Made {
    let at_mix = mixed_flow(mix.clone(), &group.maps[1], &group.pose);
    let [_, _, m, _] = mix.dims();
    let residual = mix.clone().narrow(1, 4, 2) * m as f32;
    let flow = mixed_flow(mix, &group.full_map, &group.pose);
    let [_, _, size, _] = group.target.dims();
    let (decoded, gates) = (resized(decoded, size, size), resized(gates, size, size));
    let margin = margin_px(size) as f32;
    let side = size as f32 + 2.0 * margin;
    let [x, y] = [flow.u, flow.v].map(|at| (at * size as f32 + margin) / side);
    let shown = shown_bands(&x, &y, [side, group.photo[1].dims()[3] as f32]);
    let [photo, fine, coarse] = [0, 1, 2].map(|i| {
        let level = group.photo[i].clone();
        let [_, _, _, px] = level.dims();
        gather(level, x.clone() * px as f32 - 0.5, y.clone() * px as f32 - 0.5)
    });
    let colour = |x: &Tensor<4>| x.clone().narrow(1, 0, 3);
    let [finest_shown, finer_shown] = shown;
    let finest = finest_shown * (colour(&photo) - colour(&fine));
    let finer = finer_shown * (colour(&fine) - colour(&coarse));
    let photo_colour = colour(&coarse) + finer.clone() + finest.clone();
    let drawn = group.full_map.clone().narrow(1, 2, 1);
    let photo_alpha: Tensor<4> =
        photo.clone().narrow(1, 3, 1) * (drawn.clone() + (1.0 - drawn) * (1.0 - flow.mix.narrow(1, 3, 1)));
    let over =
        |colour: Tensor<4>, alpha: Tensor<4>| group.background.clone() + alpha * (colour - group.background.clone());
    let warped = over(photo_colour, photo_alpha.clone());
    let decoder_alpha = decoded.clone().narrow(1, 3, 1);
    let trust = decoded.clone().narrow(1, 4, 1);
    let painted = colour(&decoded) + gates.clone().narrow(1, 0, 1) * finest + gates.narrow(1, 1, 1) * finer;
    let decoded = over(painted, decoder_alpha.clone());
    Made {
        picture: warped.clone() + trust.clone() * (decoded.clone() - warped.clone()),
        alpha: photo_alpha.clone() + trust.clone() * (decoder_alpha - photo_alpha),
        warped,
        decoded,
        trust,
        flow: Tensor::cat(vec![at_mix.u, at_mix.v], 1),
        residual,
    }
}

/// How much of the finest and of the finer band shows, (n, 1, s, s) each, without gradients: as the kernel of
/// [`effigy_network::plan::Finish`] says. x and y (n, 1, s, s) are places in parts of the photo, `levels_px` how wide the
/// photo and its finer level are.
fn shown_bands(x: &Tensor<4>, y: &Tensor<4>, levels_px: [f32; 2]) -> [Tensor<4>; 2] {
    let [n, _, h, w] = x.dims();
    let outermost = 0.25 / levels_px[0];
    let four = |at: &Tensor<4>| {
        let at = at.clone().detach().clamp(outermost, 1.0 - outermost).reshape([n, h / 2, 2, w / 2, 2]);
        let one = |row: usize, column: usize| at.clone().narrow(2, row, 1).narrow(4, column, 1);
        (one(0, 1) - one(0, 0), one(1, 0) - one(0, 0))
    };
    let ((across_x, down_x), (across_y, down_y)) = (four(x), four(y));
    let across = across_x.powi_scalar(2) + across_y.powi_scalar(2);
    let down = down_x.powi_scalar(2) + down_y.powi_scalar(2);
    let longest = across.max_pair(down).sqrt();
    levels_px.map(|px| {
        let shown: Tensor<5> = (longest.clone() * (-px / FADES_FROM) + 2.0).clamp(0.0, 1.0);
        shown.expand([n, h / 2, 2, w / 2, 2]).reshape([n, 1, h, w])
    })
}
