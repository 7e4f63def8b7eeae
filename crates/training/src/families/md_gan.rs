//! `md-gan`: the frames that follow a photo, in two stages (Xiong et al. 2018).
//!
//! The base network makes a clip of the photo: absolute differences and a discriminator. The refining network makes a
//! better one of that: besides, its clip has to be nearer to the film than the base's, by the Gram matrices of what its
//! discriminator's layers answer, which know how things move and not where they are. Both learn in every step; what the
//! refining one learns does not reach the base network.

use burn::tensor::{Device, Tensor, activation};

use super::clip_critic::{ClipCritic, Verdict};
use super::critic::surprise;
use super::pictures::Frames;
use super::video_gan::{foretold_figures, shown};
use super::volumes::{Volumes, folded, unfolded};
use super::{Batch, Learner, Parts, averaged, averaging, number, rows};
use crate::leaves::{AdamOptions, Leaves, StepOptions};
use effigy_base::error::Result;
use effigy_network::family::foretelling::{BASE, N_MD_GAN, REFINE, SIZE_PX, u_net};
use effigy_network::family::{Family, Kind, expected, random_of};
use effigy_network::plan::Param;

/// The learning rate.
pub const RATE: f64 = 1e-3;

const CRITICS: [&str; 2] = ["base critic/", "refine critic/"];
const ADAM: AdamOptions = AdamOptions { beta_1: 0.5, beta_2: 0.999, decay: 0.0 };
/// What the parts of the loss weigh beside the absolute difference, which weighs 1.
const ADVERSARIAL: f32 = 0.002;
const RANKING: f32 = 0.01;
/// By what distances of Gram matrices are multiplied, so that ones that can be seen are near 1.
const SHARPNESS: f32 = 3.0;
/// The discriminators learn at this part of the networks' rate.
const CRITIC_RATE: f64 = 0.1;
/// Which layers of the discriminator the ranking compares.
const RANKED: std::ops::Range<usize> = 1..3;
/// Frames between those that are shown.
const SHOWN_EVERY: usize = 2;

/// Both networks and their discriminators.
pub struct MdGan {
    params: Vec<Param>,
    leaves: Leaves,
    critics: [ClipCritic; 2],
}

impl MdGan {
    /// Starts with random weights on a device that records gradients.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Internal`] only.
    pub fn new(seed: u64, device: &Device) -> Result<Self> {
        let params = expected(Kind::MdGan, SIZE_PX)?;
        let critic = |seed| ClipCritic::new(N_MD_GAN, SIZE_PX, ADAM, seed, device);
        Ok(Self {
            leaves: Leaves::with_optimizer(rows(random_of(&params, seed)), ADAM, device),
            critics: [critic(seed + 1), critic(seed + 2)],
            params,
        })
    }

    /// Clips of photos (n, 3, s, s): the base network's and the refined.
    fn make(&self, leaves: &Leaves, photos: Tensor<4>) -> [Tensor<5>; 2] {
        let still = unfolded(photos).repeat(&[1, N_MD_GAN, 1, 1, 1]);
        let mut volumes = Volumes::new(leaves, true);
        let base = u_net(&mut volumes, BASE, &still);
        let refined = u_net(&mut volumes, REFINE, &base.clone().detach());
        [base, refined]
    }
}

impl Learner for MdGan {
    fn name(&self) -> String {
        format!("{} {SIZE_PX}", Kind::MdGan.name())
    }

    fn size_px(&self) -> usize {
        SIZE_PX
    }

    fn frames(&self) -> Frames {
        Frames::InRow(1 + N_MD_GAN)
    }

    fn networks(&self) -> Vec<(&'static str, &Leaves)> {
        let [base, refine] = &self.critics;
        vec![("", &self.leaves), (CRITICS[0], base.leaves()), (CRITICS[1], refine.leaves())]
    }

    fn networks_mut(&mut self) -> Vec<(&'static str, &mut Leaves)> {
        let [base, refine] = &mut self.critics;
        vec![("", &mut self.leaves), (CRITICS[0], base.leaves_mut()), (CRITICS[1], refine.leaves_mut())]
    }

    fn step(&mut self, batch: Batch) -> Parts {
        let Batch { pictures, step, rate, .. } = batch;
        let n = pictures.dims()[0];
        let photos = pictures.clone().narrow(1, 0, 3);
        let filmed = unfolded(pictures.narrow(1, 3, 3 * N_MD_GAN));
        let made = self.make(&self.leaves, photos);
        let mut discriminators = [0.0; 2];
        for ((critic, clips), told) in self.critics.iter_mut().zip(&made).zip(&mut discriminators) {
            let scores = critic.look(Tensor::cat(vec![filmed.clone(), clips.clone().detach()], 0), true).scores;
            let opposition = surprise(scores.clone().narrow(0, 0, n)) + surprise(-scores.narrow(0, n, n));
            *told = number(opposition.clone());
            critic.step(opposition.backward(), rate * CRITIC_RATE);
        }
        let [base, refined] = made;
        let [of_base, of_refined] = [&base, &refined].map(|clips| (clips.clone() - filmed.clone()).abs().mean());
        let by_base = surprise(self.critics[0].look(base.clone(), false).scores);
        let Verdict { scores, features } = self.critics[1].look(refined, false);
        let by_refined = surprise(scores);
        let [true_grams, base_grams] =
            [filmed, base.detach()].map(|clips| grams(&self.critics[1].look(clips, false).features));
        let apart = |grams: &[Tensor<3>]| -> Tensor<1> {
            let each = grams.iter().zip(&true_grams).map(|(a, b)| (a.clone() - b.clone()).abs().mean() * SHARPNESS);
            each.reduce(|a, b| a + b).unwrap_or_else(|| Tensor::zeros([1], self.leaves.device()))
        };
        let [near, far] = [grams(&features), base_grams].map(|grams| apart(&grams));
        // −ln of the share of the refined clip where each has e to the minus its distance.
        let ranking = activation::softplus(near.clone() - far.clone(), 1.0);
        let loss = of_base.clone()
            + of_refined.clone()
            + (by_base.clone() + by_refined.clone()) * ADVERSARIAL
            + ranking.clone() * RANKING;
        let parts = vec![
            ("loss", number(loss.clone())),
            ("base", number(of_base)),
            ("refined", number(of_refined)),
            ("adversarial_base", number(by_base)),
            ("adversarial", number(by_refined)),
            ("ranking", number(ranking)),
            ("gram_base", number(far)),
            ("gram", number(near)),
            ("discriminator_base", discriminators[0]),
            ("discriminator", discriminators[1]),
        ];
        self.leaves.step(loss.backward(), &StepOptions { rate, max_norm: 1.0, averaging: averaging(step) });
        parts
    }

    fn validate(&self, pictures: Tensor<4>) -> (Parts, Vec<Vec<Vec<f32>>>) {
        let device = self.leaves.device().clone().inner();
        let leaves = Leaves::new(rows(averaged(&self.leaves, &self.params)), &device);
        let pictures: Tensor<4> = Tensor::from_data(pictures.into_data(), &device);
        let [base, refined] = self.make(&leaves, pictures.clone().narrow(1, 0, 3)).map(folded);
        let mut figures = foretold_figures(&pictures, &refined, 3);
        figures.push(("psnr_base_db", foretold_figures(&pictures, &base, 3)[0].1));
        let filmed = pictures.narrow(1, 3, 3 * N_MD_GAN);
        (figures, shown(&filmed, &refined, SHOWN_EVERY))
    }

    fn weights(&self) -> Result<(String, Vec<u8>)> {
        let family = Family::new(Kind::MdGan, SIZE_PX, averaged(&self.leaves, &self.params))?;
        Ok((format!("{}.safetensors", Kind::MdGan.name()), family.to_bytes()?))
    }

    fn plots(&self) -> Vec<(&'static str, &'static [&'static str])> {
        vec![
            ("absolute difference", &["base", "refined"]),
            ("nats a clip", &["discriminator", "adversarial", "ranking"]),
            ("distance of Gram matrices", &["gram_base", "gram"]),
        ]
    }
}

/// How the channels of each compared layer go together, over all places and frames: (n, c, c).
fn grams(features: &[Tensor<5>]) -> Vec<Tensor<3>> {
    let of_layer = |x: &Tensor<5>| {
        let [n, n_frames, c, h, w] = x.dims();
        let channels: Tensor<3> = x.clone().swap_dims(1, 2).reshape([n, c, n_frames * h * w]);
        channels.clone().matmul(channels.transpose()) / (n_frames * h * w) as f32
    };
    features.get(RANKED).unwrap_or_default().iter().map(of_layer).collect()
}
