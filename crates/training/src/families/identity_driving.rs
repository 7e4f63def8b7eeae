//! `identity-driving`: who is in the photo, doing what the driver's picture shows.
//!
//! Three networks. What says who makes a vector of each of the source photos, which are averaged. The generator makes a few
//! numbers of the driving picture and paints of them, scaled and shifted by the vector. The discriminator is two heads on
//! one trunk: each measures a distance between pictures, one of identity, one of motion. It makes small what belongs together
//! (two frames of one person; a frame and the same frame in other colours) and large what does not (another person; another
//! frame of the same one) and what the generator made. The generator makes both small: of identity between source and
//! result, of motion between driver and result.

use burn::tensor::{Device, Tensor, TensorData, activation};

use super::layers::{activate, replay, sums};
use super::pictures::Frames;
use super::{Batch, Learner, Parts, averaged, averaging, number, only, psnr_db, rows, rows_of};
use crate::leaves::{AdamOptions, Leaves, StepOptions};
use effigy_base::error::Result;
use effigy_base::random::Rng;
use effigy_network::family::identity_driving::{N_IDENTITY, N_MOTION, SIZE_PX, decoder, identity, motion, styles};
use effigy_network::family::{Family, Kind, expected, random, random_of};
use effigy_network::plan::{Activation, ConvSpec, Element, Param, Plan, Recorder, Shape};

/// Source photos of one person.
const N_SOURCES: usize = 2;
/// What the parts of the loss weigh: differences at each of three sizes, and of edges; a distance of the discriminator's;
/// how far the result's own numbers are from those that it was asked for.
const EDGES: f32 = 1.0;
const DISTANCE: f32 = 0.02;
const CONSISTENCY: f32 = 0.05;
/// Distances of what does not belong together need not be larger.
const MARGIN: f32 = 1.0;
/// The discriminator learns at this part of the others' rate.
const CRITIC_RATE: f64 = 0.4;
const CRITIC: &str = "critic/";
/// How far colours of a driving picture are changed, so that its numbers do not say them.
const TINT: f32 = 0.2;
/// Numbers of the heads.
const N_HEADS: [usize; 2] = [48, 24];

/// Identity network, generator and discriminator.
pub struct IdentityDriving {
    identity: Plan,
    motion: Plan,
    decoder: Plan,
    critic: Plan,
    params: Vec<Param>,
    leaves: Leaves,
    against: Leaves,
}

impl IdentityDriving {
    /// Starts with random weights on a device that records gradients.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Internal`] only.
    pub fn new(seed: u64, device: &Device) -> Result<Self> {
        let params = expected(Kind::IdentityDriving, SIZE_PX)?;
        let mut tensors = random_of(&params, seed);
        // A person's weights begin near everybody's.
        for (layer, _) in styles() {
            if let Some((_, values)) = tensors.get_mut(&format!("{layer}.scale")) {
                values.iter_mut().for_each(|value| *value *= 0.1);
            }
        }
        let adam = AdamOptions { beta_1: 0.5, beta_2: 0.999, decay: 0.0 };
        let critic = critic();
        Ok(Self {
            leaves: Leaves::with_optimizer(rows(tensors), adam, device),
            against: Leaves::with_optimizer(rows(random(&[&critic], seed + 1)), adam, device),
            identity: identity(),
            motion: motion(),
            decoder: decoder(),
            critic,
            params,
        })
    }

    /// Vectors of photos (n, 3, s, s): (n, 128).
    fn who(&self, leaves: &Leaves, photos: Tensor<4>, learns: bool) -> Tensor<2> {
        let n = photos.dims()[0];
        only(replay(&self.identity, leaves, photos, learns)).reshape([n, N_IDENTITY])
    }

    /// Numbers of driving pictures (n, 3, s, s): (n, 48).
    fn what(&self, leaves: &Leaves, pictures: Tensor<4>, learns: bool) -> Tensor<2> {
        let n = pictures.dims()[0];
        only(replay(&self.motion, leaves, pictures, learns)).reshape([n, N_MOTION])
    }

    /// Both of pictures.
    #[cfg(test)]
    pub(super) fn read(&self, leaves: &Leaves, pictures: Tensor<4>) -> (Tensor<2>, Tensor<2>) {
        (self.who(leaves, pictures.clone(), false), self.what(leaves, pictures, false))
    }

    /// Pictures (n, 3, s, s) of `who` doing `what`.
    pub(super) fn paint(&self, leaves: &Leaves, who: &Tensor<2>, what: Tensor<2>) -> Tensor<4> {
        let n = what.dims()[0];
        let mut x: Tensor<4> = what.reshape([n, N_MOTION, 1, 1]);
        let styles: Vec<_> = styles().collect();
        for (i, (layer, op)) in self.decoder.steps().iter().enumerate() {
            let (bare, unit) = sums(&self.decoder, layer, op, leaves, x, true);
            x = match styles.get(i) {
                None => activate(bare, unit),
                Some((_, n_numbers)) => {
                    let [_, c, h, w] = bare.dims();
                    let by = |what: &str| -> Tensor<2> {
                        who.clone().matmul(leaves.get::<2>(&format!("{layer}.{what}")).transpose())
                    };
                    let whole = *n_numbers == c * h * w;
                    let place = |numbers: Tensor<2>| -> Tensor<4> {
                        if whole { numbers.reshape([n, c, h, w]) } else { numbers.reshape([n, c, 1, 1]) }
                    };
                    let scaled = if i == 0 { bare } else { bare * (place(by("scale")) + 1.0) };
                    activate(scaled + place(by("shift")), unit)
                }
            };
        }
        x
    }

    /// What both heads make of pictures: identity and motion.
    fn heads(&self, pictures: Tensor<4>, learns: bool) -> [Tensor<2>; 2] {
        let n = pictures.dims()[0];
        let mut outputs = replay(&self.critic, &self.against, pictures * 2.0 - 1.0, learns).into_iter();
        N_HEADS.map(|numbers| {
            let output = outputs.next().unwrap_or_else(|| Tensor::zeros([n, numbers, 1, 1], self.against.device()));
            output.reshape([n, numbers])
        })
    }
}

impl Learner for IdentityDriving {
    fn name(&self) -> String {
        format!("{} {SIZE_PX}", Kind::IdentityDriving.name())
    }

    fn size_px(&self) -> usize {
        SIZE_PX
    }

    fn frames(&self) -> Frames {
        Frames::OfOne(N_SOURCES + 1)
    }

    fn networks(&self) -> Vec<(&'static str, &Leaves)> {
        vec![("", &self.leaves), (CRITIC, &self.against)]
    }

    fn networks_mut(&mut self) -> Vec<(&'static str, &mut Leaves)> {
        vec![("", &mut self.leaves), (CRITIC, &mut self.against)]
    }

    fn step(&mut self, batch: Batch) -> Parts {
        let Batch { pictures, step, rate, mut rng } = batch;
        let n = pictures.dims()[0];
        let frame = |i: usize| pictures.clone().narrow(1, 3 * i, 3);
        let (source, driver) = (frame(0), frame(N_SOURCES));
        let tinted = tint(driver.clone(), &mut rng);
        let vectors = (0..N_SOURCES).map(|i| self.who(&self.leaves, frame(i), true)).reduce(|a, b| a + b);
        let Some(who) = vectors.map(|sum| sum / N_SOURCES as f32) else { return Vec::new() };
        let what = self.what(&self.leaves, tinted.clone(), true);
        // Each person doing what it did, and what the next one did.
        let others = rolled(what.clone());
        let both_who = Tensor::cat(vec![who.clone(), who.clone()], 0);
        let both_what = Tensor::cat(vec![what.clone(), others.clone()], 0);
        let made = self.paint(&self.leaves, &both_who, both_what);
        let (same, across) = (made.clone().narrow(0, 0, n), made.clone().narrow(0, n, n));
        let (other_driver, sources) = (rolled(driver.clone()), Tensor::cat(vec![source.clone(), source.clone()], 0));
        let drivers = Tensor::cat(vec![driver.clone(), other_driver], 0);

        let [of_source, of_driver, of_tinted, of_made] =
            [source, driver.clone(), tinted, made.clone().detach()].map(|pictures| self.heads(pictures, true));
        let made_across = of_made.clone().map(|numbers| numbers.narrow(0, n, n));
        let opposition = distance(&of_source[0], &of_driver[0]).mean()
            + short(distance(&of_source[0], &rolled(of_driver[0].clone())))
            + short(distance(&of_source[0], &made_across[0]))
            + distance(&of_tinted[1], &of_driver[1]).mean()
            + short(distance(&of_source[1], &of_driver[1]))
            + short(distance(&rolled(of_driver[1].clone()), &made_across[1]));
        let discriminator = number(opposition.clone());
        self.against
            .step(opposition.backward(), &StepOptions { rate: rate * CRITIC_RATE, max_norm: 5.0, averaging: 0.0 });

        let apart = differences(&same, &driver);
        let [made_who, made_what] = self.heads(made, false);
        let [true_who, _] = self.heads(sources, false);
        let [_, true_what] = self.heads(drivers, false);
        let of_identity = distance(&made_who, &true_who).mean();
        let of_motion = distance(&made_what, &true_what).mean();
        // What it reads of its own pictures is what they were asked for.
        let read_who = (self.who(&self.leaves, across.clone(), false) - who.clone().detach()).abs().mean();
        let read_what = (self.what(&self.leaves, across, false) - others.detach()).abs().mean();
        let loss = apart.clone()
            + (of_identity.clone() + of_motion.clone()) * DISTANCE
            + (read_who.clone() + read_what.clone()) * CONSISTENCY;
        let parts = vec![
            ("loss", number(loss.clone())),
            ("difference", number(apart)),
            ("identity", number(of_identity)),
            ("motion", number(of_motion)),
            ("read_identity", number(read_who)),
            ("read_motion", number(read_what)),
            ("discriminator", discriminator),
        ];
        self.leaves.step(loss.backward(), &StepOptions { rate, max_norm: 1.0, averaging: averaging(step) });
        parts
    }

    fn validate(&self, pictures: Tensor<4>) -> (Parts, Vec<Vec<Vec<f32>>>) {
        let device = self.leaves.device().clone().inner();
        let leaves = Leaves::new(rows(averaged(&self.leaves, &self.params)), &device);
        let pictures: Tensor<4> = Tensor::from_data(pictures.into_data(), &device);
        let frame = |i: usize| pictures.clone().narrow(1, 3 * i, 3);
        let (source, driver) = (frame(0), frame(N_SOURCES));
        let who = self.who(&leaves, source.clone(), false);
        let what = self.what(&leaves, driver.clone(), false);
        let made = self.paint(&leaves, &who, what.clone());
        let across = self.paint(&leaves, &who, rolled(what));
        let figures = vec![
            ("psnr_db", psnr_db(made.clone(), driver.clone())),
            ("psnr_still_db", psnr_db(source.clone(), driver.clone())),
        ];
        let shown = [source, driver.clone(), made, rolled(driver), across].map(|pictures| rows_of(&pictures));
        let sheet = (0..shown[0].len()).map(|i| shown.iter().map(|column| column[i].clone()).collect());
        (figures, sheet.collect())
    }

    fn weights(&self) -> Result<(String, Vec<u8>)> {
        let family = Family::new(Kind::IdentityDriving, SIZE_PX, averaged(&self.leaves, &self.params))?;
        Ok((format!("{}.safetensors", Kind::IdentityDriving.name()), family.to_bytes()?))
    }

    fn plots(&self) -> Vec<(&'static str, &'static [&'static str])> {
        vec![
            ("absolute difference", &["difference"]),
            ("distance of the heads", &["identity", "motion"]),
            ("its own reading", &["read_identity", "read_motion"]),
        ]
    }
}

/// Absolute differences at three sizes, and those of neighbouring pixels.
fn differences(made: &Tensor<4>, truth: &Tensor<4>) -> Tensor<1> {
    let apart = made.clone() - truth.clone();
    let [_, _, h, w] = apart.dims();
    let step =
        |dim: usize, n: usize| (apart.clone().narrow(dim, 1, n - 1) - apart.clone().narrow(dim, 0, n - 1)).abs().mean();
    let edges = step(2, h) + step(3, w);
    let smaller = |by: usize| {
        let [n, c, h, w] = apart.dims();
        let blocks: Tensor<6> = apart.clone().reshape([n, c, h / by, by, w / by, by]);
        blocks.mean_dim(3).mean_dim(5).abs().mean()
    };
    apart.clone().abs().mean() + smaller(4) + smaller(16) + edges * EDGES
}

/// Square distances of rows.
fn distance(a: &Tensor<2>, b: &Tensor<2>) -> Tensor<2> {
    (a.clone() - b.clone()).square().mean_dim(1)
}

/// By how much distances are shorter than they shall be, meaned.
fn short(distances: Tensor<2>) -> Tensor<1> {
    activation::relu(-distances + MARGIN).mean()
}

/// The next one's.
fn rolled<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let n = x.dims()[0];
    if n < 2 {
        return x;
    }
    Tensor::cat(vec![x.clone().narrow(0, 1, n - 1), x.narrow(0, 0, 1)], 0)
}

/// The same pictures in other light.
fn tint(pictures: Tensor<4>, rng: &mut Rng) -> Tensor<4> {
    let [n, c, _, _] = pictures.dims();
    let device = pictures.device();
    let mut draw = |low: f32, high: f32| -> Tensor<4> {
        let values: Vec<f32> = (0..n * c).map(|_| rng.range(low, high)).collect();
        Tensor::from_data(TensorData::new(values, [n, c, 1, 1]), &device)
    };
    let (gain, shift) = (draw(1.0 - TINT, 1.0 + TINT), draw(-0.25 * TINT, 0.25 * TINT));
    (pictures * gain + shift).clamp(0.0, 1.0)
}

/// The discriminator: a trunk of four convolutions and two heads.
fn critic() -> Plan {
    let mut r = Recorder::new("identity-driving critic");
    let mut x = r.input("picture", Shape::new(3, SIZE_PX, SIZE_PX), Element::Half);
    for (i, c) in [24, 48, 64, 64].into_iter().enumerate() {
        x = r.conv2d(&format!("critic.conv{}", i + 1), x, ConvSpec::new(c).stride(2));
    }
    for (head, n) in ["critic.identity", "critic.motion"].into_iter().zip(N_HEADS) {
        let y = r.linear(head, x, Shape::new(n, 1, 1), Activation::None);
        r.output(y);
    }
    r.end()
}
