//! What training wants to be small.

use burn::tensor::Tensor;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;

use super::adversary::{Adversary, Evidence};
use super::features::FrozenFeatures;
use super::picture::{Made, Tensors};
use super::tracker::FrozenTracker;
use super::warping::resized;

/// How much each part counts.
#[derive(Clone, Copy, Debug)]
pub struct LossWeights {
    /// How much more a pixel of the mouth counts than any other.
    pub mouth: f32,
    /// How much more a pixel of the eyes counts than any other.
    pub eyes: f32,
    /// Squared difference beside the absolute one: large errors are what is seen.
    pub square: f32,
    /// Logarithm of the squared error of each frame, so that what is nearly right gets better too.
    pub log_mse: f32,
    /// The same of the mouth.
    pub log_mse_mouth: f32,
    /// The same of the eyes.
    pub log_mse_eyes: f32,
    /// Trust where neither mouth nor eyes are: the warped photo is sharper than what the decoder paints.
    pub stray_trust: f32,
    /// Flow beside the candidates: what a few people's hair taught is wrong for the next.
    pub residual: f32,
    /// The decoder's own picture: without a loss of its own its trust falls to nothing, and it never learns.
    pub decoder: f32,
    /// The warped photo alone, so that masks and residual learn where the decoder is trusted too.
    pub warped: f32,
    /// Alpha against the matte.
    pub alpha: f32,
    /// Flow at the face's points.
    pub flow: f32,
    /// Change from frame to frame against the true change.
    pub temporal: f32,
    /// How much fine detail there is, whatever it shows, against how much there was: what is not quite in its place is
    /// painted away by every other part.
    pub detail: f32,
    /// Where the tracker sees the face's points, against where they are or were asked for, in sides of its crop.
    pub points: f32,
    /// What the tracker reads as the expression, 52 coefficients, against what is or was asked for.
    pub expression: f32,
    /// Distance of frozen features (MobileNetV2).
    pub features: f32,
    /// How surely the adversary finds the network's pictures out.
    pub adversarial: f32,
    /// Distance of what the adversary sees inside.
    pub matching: f32,
    /// Trust against "mouth and eyes, and nothing else"; fades out, see [`trust_prior`].
    pub trust: f32,
}

impl Default for LossWeights {
    fn default() -> Self {
        Self {
            mouth: 8.0,
            eyes: 16.0,
            square: 8.0,
            log_mse: 0.03,
            log_mse_mouth: 0.006,
            log_mse_eyes: 0.03,
            stray_trust: 0.03,
            residual: 0.05,
            decoder: 0.4,
            warped: 0.3,
            alpha: 0.1,
            flow: 0.5,
            temporal: 0.3,
            detail: 0.5,
            points: 4.0,
            expression: 1.0,
            features: 0.3,
            adversarial: 0.01,
            matching: 0.1,
            trust: 0.2,
        }
    }
}

/// The weight of the trust's first guess at a part of the training, 0..1: gone after a tenth of it.
pub fn trust_prior(weights: &LossWeights, progress: f32) -> f32 {
    weights.trust * (1.0 - 10.0 * progress).max(0.0)
}

/// What judges pictures by more than their pixels.
#[derive(Clone, Copy, Default)]
pub struct Judges<'a> {
    /// Frozen features; without them neither of the two.
    pub features: Option<&'a FrozenFeatures>,
    /// The face tracker; without it the picture may read as anything.
    pub tracker: Option<&'a FrozenTracker>,
    /// The adversary, once it has learned a little.
    pub adversary: Option<&'a Adversary>,
}

/// The parts of the loss, for the log.
pub struct Loss {
    /// What is to be followed downhill.
    pub total: Tensor<1>,
    /// Names and values of the parts before weighting; of what nobody saw without those that compare with a picture.
    pub parts: Vec<(&'static str, Tensor<1>)>,
    /// What the adversary learns from, where there are frozen features.
    pub evidence: Option<Evidence>,
}

/// Parts that compare with what was seen. Where nobody was seen they are 0 or nothing but their floor, whatever was made.
const OF_WHAT_WAS_SEEN: [&str; 8] =
    ["picture", "decoder", "warped", "log_mse", "log_mse_mouth", "log_mse_eyes", "detail", "trust"];

/// The loss of one group. `trust_prior` is the weight of [`trust_prior`] at the moment.
pub fn loss(
    made: &Made,
    group: &Tensors,
    weights: &LossWeights,
    trust_prior: f32,
    is_sequence: bool,
    matte_belief: f32,
    judges: Judges,
) -> Loss {
    let regions = group.mouth.clone().max_pair(group.eyes.clone());
    let extra = group.mouth.clone() * weights.mouth + group.eyes.clone() * weights.eyes;
    let counts = (extra.clone() + 1.0) * group.counts.clone();
    let picture = pyramid(&made.picture, &group.target, &counts, weights.square);
    // Where the decoder is needed it counts in full, elsewhere a little: it has to be ready where the warp fails.
    let decoder_counts = (extra + 0.5) * group.counts.clone();
    let decoder = pyramid(&made.decoded, &group.target, &decoder_counts, weights.square);
    let warped = pyramid(&made.warped, &group.target, &group.counts, weights.square);
    let alpha = mean((made.alpha.clone() - group.matte.clone()).abs(), &group.filmed);
    let known = group.point_flow.clone().narrow(1, 2, 1);
    let places = group.point_flow.clone().narrow(1, 0, 2);
    let flow = mean((made.flow.clone() - places).abs().sum_dim(1), &known);
    let mut parts =
        vec![("picture", picture), ("decoder", decoder), ("warped", warped), ("alpha", alpha), ("flow", flow)];
    let mut scales = vec![1.0, weights.decoder, weights.warped, weights.alpha * matte_belief, weights.flow];
    if !group.is_asked {
        let square = (made.picture.clone() - group.target.clone()).square().mean_dim(1);
        parts.extend([
            ("log_mse", log_mse(&square, &group.counts)),
            ("log_mse_mouth", log_mse(&square, &(group.mouth.clone() * group.counts.clone()))),
            ("log_mse_eyes", log_mse(&square, &(group.eyes.clone() * group.counts.clone()))),
        ]);
        scales.extend([weights.log_mse, weights.log_mse_mouth, weights.log_mse_eyes]);
    }
    parts.extend([
        (
            "stray_trust",
            mean(
                made.trust.clone() * (regions.clone() * -1.0 + 1.0),
                if group.is_asked { &group.filmed } else { &group.counts },
            ),
        ),
        ("residual", made.residual.clone().abs().mean()),
    ]);
    scales.extend([weights.stray_trust, weights.residual]);
    parts.push(("detail", detail(&made.picture, &group.target, &group.counts)));
    scales.push(weights.detail);
    if trust_prior > 0.0 {
        parts.push(("trust", mean((made.trust.clone() - regions * 0.9).square(), &group.counts)));
        scales.push(trust_prior);
    }
    let [n, _, _, _] = group.target.dims();
    if is_sequence && n > 1 && weights.temporal > 0.0 {
        let step = |x: &Tensor<4>| x.clone().narrow(0, 1, n - 1) - x.clone().narrow(0, 0, n - 1);
        let difference = (step(&made.picture) - step(&group.target)).abs();
        parts.push(("temporal", mean(difference, &counts.clone().narrow(0, 1, n - 1))));
        scales.push(weights.temporal);
    }
    if let Some(tracker) = judges.tracker {
        let seen = tracker.read(&made.picture, &group.crops);
        let wanted =
            if group.is_asked { tracker.asked(&group.crops) } else { tracker.read(&group.target, &group.crops) };
        parts.extend([
            ("points", (seen.points - wanted.points).abs().mean()),
            ("expression", (seen.coefficients - wanted.coefficients).abs().mean()),
        ]);
        scales.extend([weights.points, weights.expression]);
    }
    // Of what nobody saw there is nothing to compare.
    let evidence = judges.features.filter(|_| !group.is_asked).map(|features| {
        let of = |x: &Tensor<4>| features.features(x.clone() * 2.0 - 1.0);
        // What does not count must not be seen either: features reach far.
        let uncounted = made.picture.clone().detach() * (group.counts.clone() * -1.0 + 1.0);
        let seen = group.target.clone() * group.counts.clone() + uncounted;
        Evidence { made: of(&made.picture), seen: of(&seen), counts }
    });
    if let Some(evidence) = &evidence {
        let pairs = evidence.made.iter().zip(&evidence.seen);
        let distances = pairs.map(|(a, b)| (a.clone() - b.clone()).abs().mean());
        if let Some(distance) = distances.reduce(|a, b| a + b) {
            parts.push(("features", distance));
            scales.push(weights.features);
        }
        if let Some(adversary) = judges.adversary {
            let (found_out, apart) = adversary.judge(evidence);
            parts.extend([("adversarial", found_out), ("matching", apart)]);
            scales.extend([weights.adversarial, weights.matching]);
        }
    }
    let weighted = parts.iter().zip(scales).map(|((_, part), scale)| part.clone() * scale);
    let total = weighted.reduce(|a, b| a + b);
    if group.is_asked {
        parts.retain(|(name, _)| !OF_WHAT_WAS_SEEN.contains(name));
    }
    Loss { total: total.unwrap_or_else(|| made.picture.clone().sum() * 0.0), parts, evidence }
}

/// Absolute and squared differences at full, half and quarter size.
fn pyramid(a: &Tensor<4>, b: &Tensor<4>, counts: &Tensor<4>, square: f32) -> Tensor<1> {
    let (mut difference, mut counts) = (a.clone() - b.clone(), counts.clone());
    let mut total = None;
    for level in 0..3 {
        if level > 0 {
            let half = |x: Tensor<4>| avg_pool2d(x, AvgPoolOptions::new([2, 2]));
            (difference, counts) = (half(difference), half(counts));
        }
        let error = difference.clone().abs() + difference.clone().square() * square;
        let part = mean(error, &counts) / 3.0;
        total = Some(total.map_or_else(|| part.clone(), |sum: Tensor<1>| sum + part.clone()));
    }
    total.unwrap_or_else(|| a.clone().sum() * 0.0)
}

/// How far the strength of fine detail is from the truth's, in windows of 16 pixels: the
/// difference of root mean squares of what halving and quartering the picture loses.
fn detail(a: &Tensor<4>, b: &Tensor<4>, counts: &Tensor<4>) -> Tensor<1> {
    const WINDOW_PX: usize = 16;
    /// Half a step of 255: what is flat has no detail to compare.
    const FLOOR: f32 = 4e-6;
    let pooled = |x: Tensor<4>, px: usize| avg_pool2d(x, AvgPoolOptions::new([px, px]));
    let [_, _, h, w] = a.dims();
    let strength = |x: &Tensor<4>, factor: usize| {
        let lost = x.clone() - resized(pooled(x.clone(), factor), h, w);
        (pooled(lost.square().mean_dim(1), WINDOW_PX) + FLOOR).sqrt()
    };
    let counted = pooled(counts.clone(), WINDOW_PX);
    let parts = [2, 4].map(|factor| mean((strength(a, factor) - strength(b, factor)).abs(), &counted));
    let [finest, finer] = parts;
    finest + finer
}

/// The mean over frames of the logarithm of the mean squared error (n, 1, h, w), counted by (n, 1, h, w).
fn log_mse(square: &Tensor<4>, counts: &Tensor<4>) -> Tensor<1> {
    /// 50 dB: nobody sees what is nearer.
    const FLOOR: f32 = 1e-5;
    let errors = (square.clone() * counts.clone()).sum_dims(&[1, 2, 3]);
    let errors = errors / (counts.clone().sum_dims(&[1, 2, 3]) + 1.0);
    (errors + FLOOR).log().mean()
}

/// The mean of (n, c, h, w), counted by (n, 1, h, w).
fn mean(x: Tensor<4>, counts: &Tensor<4>) -> Tensor<1> {
    let [_, c, _, _] = x.dims();
    (x * counts.clone()).sum() / (counts.clone().sum() * c as f32 + 1e-6)
}
