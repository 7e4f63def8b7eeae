//! `vae` and `vae-gan`: an encoder to a latent, a decoder back, and for the second an adversary.
//!
//! The loss of `vae`, in nats for each sample of the picture: binary cross-entropy of the reconstruction, plus the
//! Kullback–Leibler divergence of the latent from a normal one, whose weight rises from 0. `vae-gan` has a third part: how
//! surely the discriminator finds the reconstruction out; they learn in turns, the discriminator first.

use burn::tensor::{Device, Tensor, TensorData};

use super::critic::{Critic, surprise};
use super::layers::replay;
use super::pictures::Frames;
use super::{Batch, Learner, Parts, averaged, averaging, number, psnr_db, rows, rows_of};
use crate::leaves::{AdamOptions, Leaves, StepOptions};
use effigy_base::error::Result;
use effigy_base::random::Rng;
use effigy_network::family::{self, Family, Kind, N_LATENT};
use effigy_network::plan::Plan;

/// Before the names of the discriminator's rows in a checkpoint.
const CRITIC: &str = "critic/";
/// Probabilities keep so far from 0 and 1: a logarithm must stay finite.
const MARGIN: f64 = 1e-4;
/// Logarithms of variances keep within so much: their exponential must stay finite.
const MAX_LOG_VARIANCE: f32 = 8.0;
/// The discriminator learns at this part of the autoencoder's rate: it has the easier task.
const CRITIC_RATE: f64 = 0.2;

/// What the parts of the loss weigh.
#[derive(Clone, Copy, Debug)]
pub struct VaeWeights {
    /// Of the Kullback–Leibler divergence, when it has risen; 1 is the bound that the text derives.
    pub divergence: f32,
    /// Steps over which it rises from 0.
    pub rise: usize,
    /// Of the adversarial part, in nats for each sample; of `vae-gan` alone.
    pub adversarial: f32,
}

impl Default for VaeWeights {
    fn default() -> Self {
        Self { divergence: 0.2, rise: 400, adversarial: 0.01 }
    }
}

/// A variational autoencoder that learns.
pub struct Vae {
    kind: Kind,
    size_px: usize,
    encoder: Plan,
    decoder: Plan,
    leaves: Leaves,
    critic: Option<Critic>,
    weights: VaeWeights,
}

impl Vae {
    /// Starts with random weights on a device that records gradients, for pictures of `size_px`
    /// ([`family::SIZES_PX`]).
    pub fn new(kind: Kind, size_px: usize, weights: VaeWeights, seed: u64, device: &Device) -> Self {
        let (encoder, decoder) = (family::encoder(size_px), family::decoder(size_px));
        let rows = rows(family::random(&[&encoder, &decoder], seed));
        let adam = AdamOptions { beta_1: 0.9, beta_2: 0.999, decay: 0.0 };
        let against = AdamOptions { beta_1: 0.5, ..adam };
        let critic = (kind == Kind::VaeGan).then(|| Critic::new(size_px, against, seed + 1, device));
        Self { kind, size_px, encoder, decoder, leaves: Leaves::with_optimizer(rows, adam, device), critic, weights }
    }

    /// Mean and log variance of the latents of pictures, (n, 200, 1, 1) each.
    fn encode(&self, leaves: &Leaves, pictures: Tensor<4>) -> [Tensor<4>; 2] {
        let mut outputs = replay(&self.encoder, leaves, pictures, true).into_iter();
        let mut next = || outputs.next().unwrap_or_else(|| Tensor::zeros([1, N_LATENT, 1, 1], leaves.device()));
        let (mean, log_variance) = (next(), next());
        [mean, log_variance.clamp(-MAX_LOG_VARIANCE, MAX_LOG_VARIANCE)]
    }

    fn decode(&self, leaves: &Leaves, latents: Tensor<4>) -> Tensor<4> {
        let (n, size) = (latents.dims()[0], self.size_px);
        let pictures = replay(&self.decoder, leaves, latents, true).into_iter().next();
        pictures.unwrap_or_else(|| Tensor::zeros([n, 3, size, size], leaves.device()))
    }

    /// The averaged weights, as constants.
    fn averaged(&self) -> Leaves {
        Leaves::new(rows(self.tensors()), &self.leaves.device().clone().inner())
    }

    fn tensors(&self) -> effigy_network::tensors::Tensors {
        averaged(&self.leaves, &[self.encoder.params(), self.decoder.params()].concat())
    }
}

impl Learner for Vae {
    fn name(&self) -> String {
        format!("{} {}", self.kind.name(), self.size_px)
    }

    fn size_px(&self) -> usize {
        self.size_px
    }

    fn frames(&self) -> Frames {
        Frames::InRow(1)
    }

    fn networks(&self) -> Vec<(&'static str, &Leaves)> {
        let critic = self.critic.iter().map(|critic| (CRITIC, critic.leaves()));
        [("", &self.leaves)].into_iter().chain(critic).collect()
    }

    fn networks_mut(&mut self) -> Vec<(&'static str, &mut Leaves)> {
        let critic = self.critic.iter_mut().map(|critic| (CRITIC, critic.leaves_mut()));
        [("", &mut self.leaves)].into_iter().chain(critic).collect()
    }

    fn step(&mut self, batch: Batch) -> Parts {
        let Batch { pictures, step, rate, mut rng } = batch;
        let n_samples = (3 * self.size_px * self.size_px) as f32;
        let [mean, log_variance] = self.encode(&self.leaves, pictures.clone());
        let latents = mean.clone() + (log_variance.clone() * 0.5).exp() * noise(&mean, &mut rng);
        let made = self.decode(&self.leaves, latents);
        let reconstruction = cross_entropy(&made, &pictures);
        let divergence = divergence(mean, log_variance) / n_samples;
        let rising = ((step + 1) as f32 / self.weights.rise.max(1) as f32).min(1.0);
        let mut loss = reconstruction.clone() + divergence.clone() * (self.weights.divergence * rising);
        let mut parts = vec![("reconstruction", number(reconstruction)), ("divergence", number(divergence))];
        if let Some(critic) = &mut self.critic {
            let against = critic.scores(made.clone().detach(), true);
            let opposition = surprise(critic.scores(pictures, true)) + surprise(-against);
            parts.push(("discriminator", number(opposition.clone())));
            critic.step(opposition.backward(), rate * CRITIC_RATE);
            // The discriminator's own rate rises as the other's; before that its verdict says nothing.
            let verdict = surprise(critic.scores(made, false));
            parts.push(("adversarial", number(verdict.clone())));
            loss = loss + verdict * (self.weights.adversarial * rising);
        }
        parts.insert(0, ("loss", number(loss.clone())));
        let options = StepOptions { rate, max_norm: 1.0, averaging: averaging(step) };
        self.leaves.step(loss.backward(), &options);
        parts
    }

    fn validate(&self, pictures: Tensor<4>) -> (Parts, Vec<Vec<Vec<f32>>>) {
        let leaves = self.averaged();
        let pictures = Tensor::from_data(pictures.into_data(), leaves.device());
        let [mean, log_variance] = self.encode(&leaves, pictures.clone());
        let made = self.decode(&leaves, mean.clone());
        let n_samples = (3 * self.size_px * self.size_px) as f32;
        let figures = vec![
            ("reconstruction", number(cross_entropy(&made, &pictures))),
            ("divergence", number(divergence(mean, log_variance) / n_samples)),
            ("psnr_db", psnr_db(made.clone(), pictures.clone())),
        ];
        let pairs = rows_of(&pictures).into_iter().zip(rows_of(&made)).map(|(seen, made)| vec![seen, made]);
        (figures, pairs.collect())
    }

    fn weights(&self) -> Result<(String, Vec<u8>)> {
        let family = Family::new(self.kind, self.size_px, self.tensors())?;
        let size = if self.size_px == 64 { String::new() } else { format!("-{}", self.size_px) };
        Ok((format!("{}{size}.safetensors", self.kind.name()), family.to_bytes()?))
    }

    fn plots(&self) -> Vec<(&'static str, &'static [&'static str])> {
        let mut plots: Vec<(&str, &[&str])> =
            vec![("nats a sample", &["loss", "reconstruction"]), ("KL divergence, nats a sample", &["divergence"])];
        if self.critic.is_some() {
            plots.push(("nats a picture", &["discriminator", "adversarial"]));
        }
        plots
    }
}

/// The mean over samples of the binary cross-entropy between made and true pictures in 0..1.
fn cross_entropy(made: &Tensor<4>, seen: &Tensor<4>) -> Tensor<1> {
    let p = made.clone() * (1.0 - 2.0 * MARGIN) + MARGIN;
    let q = seen.clone();
    let log = q.clone() * p.clone().log() + (-q + 1.0) * (-p + 1.0).log();
    -log.mean()
}

/// How far latents are from normal ones, in nats a picture: the mean over pictures.
fn divergence(mean: Tensor<4>, log_variance: Tensor<4>) -> Tensor<1> {
    let n = mean.dims()[0] as f32;
    (mean.square() + log_variance.clone().exp() - log_variance - 1.0).sum() * (0.5 / n)
}

fn noise(like: &Tensor<4>, rng: &mut Rng) -> Tensor<4> {
    let dims = like.dims();
    let values: Vec<f32> = (0..dims.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_data(TensorData::new(values, dims), &like.device())
}
