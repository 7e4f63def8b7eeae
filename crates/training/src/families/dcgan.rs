//! `dcgan-video`: 100 random numbers become a clip of 16 frames, and a discriminator looks at each frame.
//!
//! The text's losses are linear in the scores, which its own min–max formula is not; here it is the formula:
//! the discriminator makes `−ln D(x) − ln(1 − D(G(z)))` small, where D of a clip is the probability that the mean of
//! its frames' scores stands for. (The mean of their probabilities would be content with one good frame: the others get no
//! gradient.)
//! The generator makes `−ln D(G(z))` small instead of `ln(1 − D(G(z)))`: the same fixed point, with a gradient from the
//! start (Goodfellow et al. 2014). The text's stack (256·4·4, 128, 64, 3) ends at 32 pixels and its reshape makes one
//! picture 16 times: one more transposed convolution leads to 64 pixels, and the last one has three channels for each of 16
//! frames, which are therefore different. Its tanh is here a sigmoid, which is the same curve on 0..1.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData, activation};
use safetensors::SafeTensors;

use super::critic::surprise;
use super::layers::replay;
use super::pictures::Frames;
use super::{Batch, Learner, Parts, averaged, averaging, number, rows, rows_of};
use crate::leaves::{AdamOptions, Leaves, StepOptions};
use effigy_base::error::{Error, ErrorKind, OrError as _, Result};
use effigy_base::random::Rng;
use effigy_network::family;
use effigy_network::plan::{Activation, ConvSpec, Element, Plan, Recorder, Shape};
use effigy_network::tensors;

/// What its files and the command line call it.
pub const NAME: &str = "dcgan-video";
/// Random numbers that a clip is made of.
pub const N_NOISE: usize = 100;
/// Frames of a clip.
pub const N_FRAMES: usize = 16;
/// Width and height of its pictures, in pixels.
pub const SIZE_PX: usize = 64;
/// The text's learning rate.
pub const RATE: f64 = 2e-4;

const CRITIC: &str = "critic/";
const ADAM: AdamOptions = AdamOptions { beta_1: 0.5, beta_2: 0.999, decay: 0.0 };
/// The largest file accepted, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 28;
/// Clips that are made to look at.
const N_SAMPLES: usize = 6;

/// Generator and discriminator.
pub struct Dcgan {
    generator: Plan,
    critic: Plan,
    leaves: Leaves,
    against: Leaves,
}

impl Dcgan {
    /// Starts with random weights on a device that records gradients.
    pub fn new(seed: u64, device: &Device) -> Self {
        let (generator, critic) = (generator(), critic());
        let leaves = |plan: &Plan, seed| Leaves::with_optimizer(rows(family::random(&[plan], seed)), ADAM, device);
        Self { leaves: leaves(&generator, seed), against: leaves(&critic, seed + 1), generator, critic }
    }

    /// Clips of noise (n, 100, 1, 1): (n, 48, 64, 64), 0..1.
    fn make(&self, leaves: &Leaves, noise: Tensor<4>) -> Tensor<4> {
        let n = noise.dims()[0];
        let clips = replay(&self.generator, leaves, noise, true).into_iter().next();
        clips.unwrap_or_else(|| Tensor::zeros([n, 3 * N_FRAMES, SIZE_PX, SIZE_PX], leaves.device()))
    }

    /// How surely clips are filmed, (n, 1): the mean over their frames. Above 0 is filmed, below is made.
    fn scores(&self, clips: Tensor<4>, learns: bool) -> Tensor<2> {
        let n = clips.dims()[0];
        let frames = clips.reshape([n * N_FRAMES, 3, SIZE_PX, SIZE_PX]) * 2.0 - 1.0;
        let scores = replay(&self.critic, &self.against, frames, learns).into_iter().next();
        let scores = scores.unwrap_or_else(|| Tensor::zeros([n * N_FRAMES, 1, 1, 1], self.against.device()));
        let scores: Tensor<2> = scores.reshape([n, N_FRAMES]);
        scores.mean_dim(1)
    }
}

impl Learner for Dcgan {
    fn name(&self) -> String {
        format!("{NAME} {SIZE_PX}")
    }

    fn size_px(&self) -> usize {
        SIZE_PX
    }

    fn frames(&self) -> Frames {
        Frames::InRow(N_FRAMES)
    }

    fn networks(&self) -> Vec<(&'static str, &Leaves)> {
        vec![("", &self.leaves), (CRITIC, &self.against)]
    }

    fn networks_mut(&mut self) -> Vec<(&'static str, &mut Leaves)> {
        vec![("", &mut self.leaves), (CRITIC, &mut self.against)]
    }

    fn step(&mut self, batch: Batch) -> Parts {
        let Batch { pictures, step, rate, mut rng } = batch;
        let made = self.make(&self.leaves, noise(pictures.dims()[0], &mut rng, self.leaves.device()));
        let (filmed, found) = (self.scores(pictures, true), self.scores(made.clone().detach(), true));
        let beliefs = (belief(filmed.clone()), belief(found.clone()));
        let opposition = surprise(filmed) + surprise(-found);
        let discriminator = number(opposition.clone());
        let options = StepOptions { rate, max_norm: 5.0, averaging: 0.0 };
        self.against.step(opposition.backward(), &options);
        let loss = surprise(self.scores(made, false));
        let generator = number(loss.clone());
        self.leaves.step(loss.backward(), &StepOptions { averaging: averaging(step), ..options });
        vec![
            ("discriminator", discriminator),
            ("generator", generator),
            ("belief_filmed", beliefs.0),
            ("belief_made", beliefs.1),
        ]
    }

    fn validate(&self, pictures: Tensor<4>) -> (Parts, Vec<Vec<Vec<f32>>>) {
        let device = self.leaves.device().clone().inner();
        let averaged = Leaves::new(rows(averaged(&self.leaves, self.generator.params())), &device);
        let made = self.make(&averaged, noise(N_SAMPLES, &mut Rng::new(1, 0), &device));
        let told =
            |clips: Tensor<4>| belief(self.scores(Tensor::from_data(clips.into_data(), self.against.device()), false));
        let figures = vec![("belief_filmed", told(pictures)), ("belief_made", told(made.clone()))];
        (figures, frames_of(&made))
    }

    fn weights(&self) -> Result<(String, Vec<u8>)> {
        let tensors = averaged(&self.leaves, self.generator.params());
        let views = tensors.iter().map(|(name, (dims, values))| (name.as_str(), dims.as_slice(), values.as_slice()));
        Ok((format!("{NAME}.safetensors"), tensors::write(views, &[("family", NAME)])?))
    }

    fn plots(&self) -> Vec<(&'static str, &'static [&'static str])> {
        vec![("nats a clip", &["discriminator", "generator"]), ("probability", &["belief_filmed", "belief_made"])]
    }
}

/// Clips of the weights in a file, or of the program's own, as many as asked for: rows of 16 pictures (3, 64, 64), 0..1.
///
/// # Errors
/// [`ErrorKind::Model`] when the file is torn or of something else.
pub fn sample(weights: Option<&Path>, n: usize, seed: u64, device: &Device) -> Result<Vec<Vec<Vec<f32>>>> {
    let whose = weights.map_or_else(|| "of the program".to_owned(), |path| path.display().to_string());
    let about = || format!("cannot read the weights {whose}");
    let bytes = match weights {
        Some(path) => effigy_base::files::read(path, MAX_FILE_BYTES).or_error(ErrorKind::Model, about)?,
        None => include_bytes!("../../../../models/families/dcgan-video.safetensors").to_vec(),
    };
    let expected = || format!("{}: expected a safetensors file of the family `{NAME}`", about());
    let (_, header) = SafeTensors::read_metadata(&bytes).or_error(ErrorKind::Model, expected)?;
    let found = header.metadata().as_ref().and_then(|m| m.get("family")).map_or("nothing", String::as_str);
    if found != NAME {
        return Err(Error::new(ErrorKind::Model, format!("{}, found {found} in its header", expected())));
    }
    let file = SafeTensors::deserialize(&bytes).or_error(ErrorKind::Model, expected)?;
    let plan = generator();
    let leaves = Leaves::new(rows(tensors::read(&file, plan.params(), &format!("the family `{NAME}`"))?), device);
    let clips = replay(&plan, &leaves, noise(n, &mut Rng::new(seed, 0), device), true).into_iter().next();
    Ok(clips.map(|clips| frames_of(&clips)).unwrap_or_default())
}

/// Clips (n, 48, 64, 64) as rows of 16 pictures.
fn frames_of(clips: &Tensor<4>) -> Vec<Vec<Vec<f32>>> {
    let each = 3 * SIZE_PX * SIZE_PX;
    rows_of(clips).into_iter().map(|clip| clip.chunks(each).map(<[f32]>::to_vec).collect()).collect()
}

/// The probability that scores stand for, meaned.
fn belief(scores: Tensor<2>) -> f32 {
    number(activation::sigmoid(scores).mean())
}

fn noise(n: usize, rng: &mut Rng, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (0..n * N_NOISE).map(|_| rng.normal()).collect();
    Tensor::from_data(TensorData::new(values, [n, N_NOISE, 1, 1]), device)
}

fn generator() -> Plan {
    let mut r = Recorder::new("dcgan-video generator");
    let noise = r.input("noise", Shape::new(N_NOISE, 1, 1), Element::Half);
    let mut x = r.linear("generator.linear", noise, Shape::new(256, 4, 4), Activation::Relu);
    for (i, c) in [128, 64, 48].into_iter().enumerate() {
        x = r.up_conv2d(&format!("generator.up{}", i + 1), x, ConvSpec::new(c).activation(Activation::Relu));
    }
    let y = r.up_conv2d("generator.up4", x, ConvSpec::new(3 * N_FRAMES).activation(Activation::Sigmoid));
    r.output(y);
    r.end()
}

fn critic() -> Plan {
    let mut r = Recorder::new("dcgan-video critic");
    let mut x = r.input("picture", Shape::new(3, SIZE_PX, SIZE_PX), Element::Half);
    for (i, c) in [24, 48, 96, 96].into_iter().enumerate() {
        x = r.conv2d(&format!("critic.conv{}", i + 1), x, ConvSpec::new(c).stride(2));
    }
    let y = r.linear("critic.linear", x, Shape::new(1, 1, 1), Activation::None);
    r.output(y);
    r.end()
}
