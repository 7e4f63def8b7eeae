//! `video-gan`: one noise vector becomes a clip of 32 frames in two streams, a background that stands and a foreground that
//! moves before it; with an encoder before it, one photo does.
//!
//! The discriminator looks at whole clips. The generator makes `−ln D(G(z))` small for clips of noise and for clips of
//! photos, a small price of the mask keeps to the background what stands, and a clip of a photo begins with the photo and
//! goes on as the film did: without that last part, which the text has not, so few steps teach the encoder nothing of what
//! comes. Both variants are one network here, so that one training and one file have both.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use super::clip_critic::ClipCritic;
use super::critic::surprise;
use super::layers::replay;
use super::pictures::Frames;
use super::volumes::{Volumes, clips, folded, unfolded};
use super::{Batch, Learner, Parts, averaged, averaging, number, only, psnr_db, rows, rows_of};
use crate::leaves::{AdamOptions, Leaves, StepOptions};
use effigy_base::error::Result;
use effigy_base::random::Rng;
use effigy_network::family::foretelling::{N_NOISE, N_VIDEO_GAN, SIZE_PX, background, encoder, foreground, seed};
use effigy_network::family::{Family, Kind, expected, random_of};
use effigy_network::plan::{Param, Plan};

/// The learning rate.
pub const RATE: f64 = 1e-3;

const CRITIC: &str = "critic/";
const ADAM: AdamOptions = AdamOptions { beta_1: 0.5, beta_2: 0.999, decay: 0.0 };
/// What the parts of the loss weigh: the verdict, the mask, the photo in the first frame, the film in the others, and how
/// far the mean square of the numbers that the encoder makes of a photo is from the noise's.
const ADVERSARIAL: f32 = 0.03;
const MASK: f32 = 0.02;
const FIRST: f32 = 2.0;
const FOLLOWING: f32 = 1.0;
const SIZE: f32 = 0.05;
/// Steps over which the verdict's weight rises: at first it says only that nothing is a clip yet.
const RISE: usize = 600;
/// The discriminator learns at this part of the generator's rate: it has the easier task.
const CRITIC_RATE: f64 = 0.1;
/// Frames between those that are shown.
const SHOWN_EVERY: usize = 4;
/// Clips that are made of noise to look at.
const N_SAMPLES: usize = 4;

/// Generator, encoder and discriminator.
pub struct VideoGan {
    encoder: Plan,
    background: Plan,
    seed: Plan,
    params: Vec<Param>,
    leaves: Leaves,
    critic: ClipCritic,
}

/// Clips with the mask that made them.
struct Made {
    clips: Tensor<5>,
    mask: Tensor<5>,
}

impl VideoGan {
    /// Starts with random weights on a device that records gradients.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Internal`] only.
    pub fn new(random_seed: u64, device: &Device) -> Result<Self> {
        let params = expected(Kind::VideoGan, SIZE_PX)?;
        Ok(Self {
            leaves: Leaves::with_optimizer(rows(random_of(&params, random_seed)), ADAM, device),
            critic: ClipCritic::new(N_VIDEO_GAN, SIZE_PX, ADAM, random_seed + 1, device),
            encoder: encoder(),
            background: background(),
            seed: seed(),
            params,
        })
    }

    /// Clips of noise (n, 100, 1, 1): m f + (1 − m) b.
    fn make(&self, leaves: &Leaves, noise: Tensor<4>) -> Made {
        let n = noise.dims()[0];
        let background = clips(only(replay(&self.background, leaves, noise.clone(), true)), n);
        let seed = only(replay(&self.seed, leaves, noise, true));
        let [_, channels, h, w] = seed.dims();
        let seed = seed.reshape([n, 2, channels / 2, h, w]);
        let [picture, mask] = foreground(&mut Volumes::new(leaves, true), &seed);
        let clips = mask.clone() * picture + (-mask.clone() + 1.0) * background;
        Made { clips, mask }
    }

    /// What the encoder makes of photos (n, 3, s, s).
    fn encode(&self, leaves: &Leaves, photos: Tensor<4>) -> Tensor<4> {
        only(replay(&self.encoder, leaves, photos, true))
    }
}

impl Learner for VideoGan {
    fn name(&self) -> String {
        format!("{} {SIZE_PX}", Kind::VideoGan.name())
    }

    fn size_px(&self) -> usize {
        SIZE_PX
    }

    fn frames(&self) -> Frames {
        Frames::InRow(N_VIDEO_GAN)
    }

    fn networks(&self) -> Vec<(&'static str, &Leaves)> {
        vec![("", &self.leaves), (CRITIC, self.critic.leaves())]
    }

    fn networks_mut(&mut self) -> Vec<(&'static str, &mut Leaves)> {
        vec![("", &mut self.leaves), (CRITIC, self.critic.leaves_mut())]
    }

    fn step(&mut self, batch: Batch) -> Parts {
        let Batch { pictures, step, rate, mut rng } = batch;
        let n = pictures.dims()[0];
        let photos = pictures.clone().narrow(1, 0, 3);
        let filmed = unfolded(pictures);
        // One pass for both: half of the clips are of noise, half of photos.
        let of_photos = self.encode(&self.leaves, photos);
        let size = of_photos.clone().square().mean();
        let unlike = (size.clone() - 1.0).square();
        let latents = Tensor::cat(vec![noise(n, &mut rng, self.leaves.device()), of_photos], 0);
        let Made { clips, mask } = self.make(&self.leaves, latents);

        let told = self.critic.look(Tensor::cat(vec![filmed.clone(), clips.clone().detach()], 0), true).scores;
        let opposition = surprise(told.clone().narrow(0, 0, n)) + surprise(-told.narrow(0, n, 2 * n));
        let discriminator = number(opposition.clone());
        self.critic.step(opposition.backward(), rate * CRITIC_RATE);

        let verdict = surprise(self.critic.look(clips.clone(), false).scores);
        let apart = (clips.narrow(0, n, n) - filmed).abs();
        let first = apart.clone().narrow(1, 0, 1).mean();
        let following = apart.narrow(1, 1, N_VIDEO_GAN - 1).mean();
        let parts = [verdict.clone(), first.clone(), following.clone(), mask.clone().mean()].map(number);
        let rising = ((step + 1) as f32 / RISE as f32).min(1.0);
        let loss = verdict * (ADVERSARIAL * rising)
            + first * FIRST
            + following * FOLLOWING
            + mask.mean() * MASK
            + unlike * SIZE;
        let parts = vec![
            ("loss", number(loss.clone())),
            ("discriminator", discriminator),
            ("adversarial", parts[0]),
            ("first", parts[1]),
            ("following", parts[2]),
            ("mask", parts[3]),
            ("size", number(size)),
        ];
        self.leaves.step(loss.backward(), &StepOptions { rate, max_norm: 5.0, averaging: averaging(step) });
        parts
    }

    fn validate(&self, pictures: Tensor<4>) -> (Parts, Vec<Vec<Vec<f32>>>) {
        let device = self.leaves.device().clone().inner();
        let leaves = Leaves::new(rows(averaged(&self.leaves, &self.params)), &device);
        let pictures: Tensor<4> = Tensor::from_data(pictures.into_data(), &device);
        let made = self.make(&leaves, self.encode(&leaves, pictures.clone().narrow(1, 0, 3)));
        let sampled = self.make(&leaves, noise(N_SAMPLES, &mut Rng::new(1, 0), &device));
        let figures = foretold_figures(&pictures, &folded(made.clips.clone()), 3);
        let mut shown = shown(&pictures, &folded(made.clips), SHOWN_EVERY);
        shown.extend(frames_of(&folded(sampled.clips), SHOWN_EVERY));
        (figures.into_iter().chain([("mask", number(made.mask.mean()))]).collect(), shown)
    }

    fn weights(&self) -> Result<(String, Vec<u8>)> {
        let family = Family::new(Kind::VideoGan, SIZE_PX, averaged(&self.leaves, &self.params))?;
        Ok((format!("{}.safetensors", Kind::VideoGan.name()), family.to_bytes()?))
    }

    fn plots(&self) -> Vec<(&'static str, &'static [&'static str])> {
        vec![("nats a clip", &["discriminator", "adversarial"]), ("0..1", &["first", "following", "mask"])]
    }
}

/// Clips of noise by the weights in a file, or by the program's own, as many as asked for: rows of every other picture
/// (3, 64, 64), 0..1.
///
/// # Errors
/// [`effigy_base::error::ErrorKind::Model`] when the file is torn or of something else.
pub fn sample(weights: Option<&Path>, n: usize, random_seed: u64, device: &Device) -> Result<Vec<Vec<Vec<f32>>>> {
    let built_in = || Family::built_in(Kind::VideoGan);
    let family = weights.map_or_else(built_in, |path| Family::load(path, Kind::VideoGan))?;
    let leaves = Leaves::new(rows(family.tensors().clone()), device);
    let network = VideoGan::new(random_seed, device)?;
    let made = network.make(&leaves, noise(n, &mut Rng::new(random_seed, 0), device));
    Ok(frames_of(&folded(made.clips), 2))
}

/// What a clip that was made of a photo is worth, beside the photo standing still, over the frames from channel `from` on.
pub(super) fn foretold_figures(truth: &Tensor<4>, made: &Tensor<4>, from: usize) -> Parts {
    let [n, channels, h, w] = truth.dims();
    let [behind, n_channels] = [made.dims()[1] + from - channels, channels - from];
    let following = truth.clone().narrow(1, from, n_channels);
    let still = truth.clone().narrow(1, 0, 3).repeat(&[1, n_channels / 3, 1, 1]).reshape([n, n_channels, h, w]);
    let made = made.clone().narrow(1, behind, n_channels);
    let moved = |clips: &Tensor<4>| {
        let n_pairs = clips.dims()[1] - 3;
        number((clips.clone().narrow(1, 3, n_pairs) - clips.clone().narrow(1, 0, n_pairs)).abs().mean())
    };
    vec![
        ("psnr_db", psnr_db(made.clone(), following.clone())),
        ("psnr_still_db", psnr_db(still, following.clone())),
        ("motion", moved(&made)),
        ("motion_filmed", moved(&following)),
    ]
}

/// Rows of every so manieth frame: the truth, and below it what was made.
pub(super) fn shown(truth: &Tensor<4>, made: &Tensor<4>, every: usize) -> Vec<Vec<Vec<f32>>> {
    let pairs = frames_of(truth, every).into_iter().zip(frames_of(made, every));
    pairs.flat_map(|(truth, made)| [truth, made]).collect()
}

/// Clips (n, 3 frames, s, s) as rows of every so manieth picture.
pub(super) fn frames_of(clips: &Tensor<4>, every: usize) -> Vec<Vec<Vec<f32>>> {
    let [_, _, h, w] = clips.dims();
    let frames = |clip: Vec<f32>| clip.chunks(3 * h * w).step_by(every).map(<[f32]>::to_vec).collect();
    rows_of(clips).into_iter().map(frames).collect()
}

fn noise(n: usize, rng: &mut Rng, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (0..n * N_NOISE).map(|_| rng.normal()).collect();
    Tensor::from_data(TensorData::new(values, [n, N_NOISE, 1, 1]), device)
}
