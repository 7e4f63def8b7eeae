//! Families learn, go on where they were stopped, and are what the engine plays.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::module::{conv_transpose2d, conv_transpose3d, conv3d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Tensor, TensorData};

use super::dcgan::{self, Dcgan};
use super::identity_driving::IdentityDriving;
use super::layers::replay;
use super::md_gan::MdGan;
use super::pictures::{Frames, Pictures};
use super::vae::{Vae, VaeWeights};
use super::video_gan::{self, VideoGan};
use super::volumes::{Volumes, folded, unfolded};
use super::{FamilyOptions, Learner, rows, train};
use crate::curves::{curve, log_lines};
use crate::leaves::Leaves;
use crate::replay::convolve_phases;
use effigy_base::error::Result;
use effigy_base::random::Rng;
use effigy_network::family::foretelling::{self, BASE, N_MD_GAN, u_net};
use effigy_network::family::spacetime::Spacetime as _;
use effigy_network::family::{self, Family, Kind, N_LATENT, values_of};
use effigy_network::plan::{
    Activation, Adoption, Element, Executor as _, Plan, Recorder, Shape, TensorView, TensorViewMut,
};
use effigy_network::twin::TwinExecutor;

/// A disc that wanders over a ground, in colours of its own: enough to learn from.
struct Discs;

impl Pictures for Discs {
    fn about(&self) -> String {
        "discs".to_owned()
    }

    fn batch(&self, n: usize, frames: Frames, size_px: usize, rng: &mut Rng) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for _ in 0..n {
            let [x, y, red, blue] = [0.3, 0.3, 0.0, 0.0].map(|low| rng.range(low, 0.7));
            for frame in 0..frames.n() {
                for c in 0..3 {
                    for i in 0..size_px * size_px {
                        let at = [i % size_px, i / size_px].map(|v| v as f32 / size_px as f32);
                        let off = (at[0] - x - 0.01 * frame as f32).hypot(at[1] - y);
                        values.push(if off < 0.25 { [red, 0.9, blue][c] } else { 0.2 });
                    }
                }
            }
        }
        Ok(values)
    }

    fn validation(&self, n: usize, frames: Frames, size_px: usize) -> Result<Option<Vec<f32>>> {
        self.batch(n.min(2), frames, size_px, &mut Rng::new(9, 9)).map(Some)
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("effigy-family-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn options(output: &Path, n_batch: usize, n_steps: usize) -> FamilyOptions {
    let every = 1000;
    let output = output.to_owned();
    FamilyOptions { output, n_batch, n_steps, rate: 1e-3, checkpoint_every: every, validate_every: every, seed: 5 }
}

/// Trains 20 steps at once, and 20 with a stop at the eighth; both must end with the same numbers. Gives the log's folder.
fn trained_twice(name: &str, n_batch: usize, new: &dyn Fn() -> Box<dyn Learner>) -> PathBuf {
    let (whole, halves) = (folder(name), folder(&format!("{name}-halves")));
    let mut learner = new();
    let nobody = AtomicBool::new(false);
    train(&mut *learner, &options(&whole, n_batch, 20), &Discs, &nobody, &|_| ()).unwrap();
    let stop = AtomicBool::new(false);
    let mut first = Stopping { learner: new(), after: 8, stop: &stop };
    train(&mut first, &options(&halves, n_batch, 20), &Discs, &stop, &|_| ()).unwrap();
    let mut second = new();
    train(&mut *second, &options(&halves, n_batch, 20), &Discs, &nobody, &|_| ()).unwrap();
    for ((_, a), (_, b)) in learner.networks().into_iter().zip(second.networks()) {
        assert!(a.state() == b.state(), "{name}: a training that goes on has the same numbers");
    }
    assert!(learner.weights().unwrap() == second.weights().unwrap(), "{name}: the files differ");
    for file in ["curves.svg", "sheet-000020.png", "checkpoint.safetensors"] {
        assert!(whole.join(file).is_file(), "{name}: {file}");
    }
    std::fs::remove_dir_all(halves).unwrap();
    whole
}

/// A learner that asks to be stopped after some steps.
struct Stopping<'a> {
    learner: Box<dyn Learner>,
    after: usize,
    stop: &'a AtomicBool,
}

impl Learner for Stopping<'_> {
    fn name(&self) -> String {
        self.learner.name()
    }
    fn size_px(&self) -> usize {
        self.learner.size_px()
    }
    fn frames(&self) -> Frames {
        self.learner.frames()
    }
    fn networks(&self) -> Vec<(&'static str, &Leaves)> {
        self.learner.networks()
    }
    fn networks_mut(&mut self) -> Vec<(&'static str, &mut Leaves)> {
        self.learner.networks_mut()
    }
    fn step(&mut self, batch: super::Batch) -> super::Parts {
        self.stop.store(batch.step + 1 >= self.after, Ordering::Relaxed);
        self.learner.step(batch)
    }
    fn validate(&self, pictures: Tensor<4>) -> (super::Parts, Vec<Vec<Vec<f32>>>) {
        self.learner.validate(pictures)
    }
    fn weights(&self) -> Result<(String, Vec<u8>)> {
        self.learner.weights()
    }
    fn plots(&self) -> Vec<(&'static str, &'static [&'static str])> {
        self.learner.plots()
    }
}

fn vae(kind: Kind) -> Box<dyn Learner> {
    let weights = VaeWeights { rise: 10, ..VaeWeights::default() };
    Box::new(Vae::new(kind, 64, weights, 1, &Device::flex().autodiff()))
}

/// First and last value of a part in a log.
fn ends(folder: &Path, part: &str) -> (f64, f64) {
    let curve = curve(&log_lines(&folder.join("log.jsonl")).unwrap(), &[&format!("/parts/{part}")], |v| v[0]);
    (curve[0].1, curve[curve.len() - 1].1)
}

#[test]
fn a_vae_learns_and_goes_on_where_it_was_stopped() {
    let folder = trained_twice("vae", 4, &|| vae(Kind::Vae));
    let (first, last) = ends(&folder, "reconstruction");
    assert!(last < first - 0.01, "{first} to {last}");
    // Where another family was trained nothing is overwritten.
    let mut other = vae(Kind::VaeGan);
    let stop = AtomicBool::new(false);
    let error = train(&mut *other, &options(&folder, 4, 20), &Discs, &stop, &|_| ()).unwrap_err().to_string();
    assert!(error.contains("expected a network `vae-gan 64`, found \"vae 64\""), "{error}");
    let family = Family::load(&folder.join("vae.safetensors"), Kind::Vae).unwrap();
    assert_eq!(family.size_px(), 64);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_vae_with_an_adversary_learns_in_turns() {
    let folder = trained_twice("vae-gan", 3, &|| vae(Kind::VaeGan));
    let (first, last) = ends(&folder, "reconstruction");
    assert!(last < first - 0.01, "{first} to {last}");
    // Who guesses has twice the logarithm of 2. What it looks at learns too, so that it need not fall from step to step.
    let (_, told) = ends(&folder, "discriminator");
    assert!(told < 2.0 * std::f64::consts::LN_2 - 0.1, "the discriminator learns too: {told}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn clips_from_noise_have_sixteen_different_frames() {
    let device = Device::flex();
    let folder = trained_twice("dcgan", 2, &|| Box::new(Dcgan::new(1, &device.clone().autodiff())));
    let (first, last) = ends(&folder, "discriminator");
    assert!(last < first, "{first} to {last}");
    let path = folder.join("dcgan-video.safetensors");
    let clips = dcgan::sample(Some(&path), 2, 3, &device).unwrap();
    assert_eq!((clips.len(), clips[0].len(), clips[0][0].len()), (2, dcgan::N_FRAMES, 3 * 64 * 64));
    assert!(clips[0].windows(2).all(|pair| pair[0] != pair[1]) && clips[0] != clips[1]);
    assert!(clips.iter().flatten().flatten().all(|v| (0.0..=1.0).contains(v)));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    let error = dcgan::sample(Some(&path), 1, 3, &device).unwrap_err().to_string();
    assert!(error.contains("expected a safetensors file of the family `dcgan-video`"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

fn leaves(plans: &[&Plan], device: &Device) -> Leaves {
    Leaves::new(rows(family::random(plans, 7)), device)
}

#[test]
fn clips_of_noise_and_of_photos_come_from_one_network() {
    let device = Device::flex();
    let new = || Box::new(VideoGan::new(1, &device.clone().autodiff()).unwrap()) as Box<dyn Learner>;
    let folder = trained_twice("video-gan", 1, &new);
    for part in ["first", "following"] {
        let (begin, end) = ends(&folder, part);
        assert!(end < begin, "{part}: {begin} to {end}");
    }
    let path = folder.join("video-gan.safetensors");
    let clips = video_gan::sample(Some(&path), 2, 3, &device).unwrap();
    assert_eq!((clips.len(), clips[0].len(), clips[0][0].len()), (2, foretelling::N_VIDEO_GAN / 2, 3 * 64 * 64));
    assert!(clips[0].windows(2).all(|pair| pair[0] != pair[1]) && clips[0] != clips[1]);
    let error = Family::load(&path, Kind::MdGan).unwrap_err().to_string();
    assert!(error.contains("expected the family `md-gan`, found `video-gan`; give --model video-gan"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_follows_a_photo_is_learned_in_two_stages() {
    let new = || Box::new(MdGan::new(1, &Device::flex().autodiff()).unwrap()) as Box<dyn Learner>;
    let folder = trained_twice("md-gan", 1, &new);
    for part in ["base", "refined"] {
        let (begin, end) = ends(&folder, part);
        assert!(end < begin - 0.01, "{part}: {begin} to {end}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn identity_and_motion_are_learned_apart() {
    let new = || Box::new(IdentityDriving::new(1, &Device::flex().autodiff()).unwrap()) as Box<dyn Learner>;
    let folder = trained_twice("identity-driving", 2, &new);
    let (begin, end) = ends(&folder, "difference");
    assert!(end < begin - 0.05, "{begin} to {end}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// What a plan makes of one input, by its twins.
fn played(plan: &Plan, tensors: &effigy_network::tensors::Tensors, given: &[f32]) -> Vec<Vec<f32>> {
    let mut twin = TwinExecutor::new(plan.clone());
    twin.adopt(&Adoption { params: values_of(tensors, plan).unwrap(), constants: Vec::new() }).unwrap();
    let outputs = plan.of_role(effigy_network::plan::Role::Output);
    let mut played: Vec<Vec<f32>> = outputs.map(|id| vec![0.0; plan.tensor(id).shape.len()]).collect();
    let mut views: Vec<_> = played.iter_mut().map(|y| TensorViewMut::F32(y)).collect();
    twin.run(&[TensorView::F32(given)], &mut views).unwrap();
    played
}

/// The largest difference, against 1 more than the values.
fn apart(learned: Tensor<4>, played: &[f32]) -> f32 {
    let learned: Vec<f32> = learned.try_into_vec_as().unwrap();
    assert_eq!(learned.len(), played.len());
    learned.iter().zip(played).map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0.0, f32::max)
}

fn random_weights(kind: Kind) -> Family {
    let size_px = kind.sizes_px()[0];
    let mut tensors = family::random_of(&family::expected(kind, size_px).unwrap(), 7);
    // Biases begin as zeros, which would hide where they are put.
    let mut rng = Rng::new(8, 0);
    for (_, values) in tensors.values_mut().filter(|(dims, _)| dims.len() == 1) {
        values.iter_mut().for_each(|value| *value = rng.range(-0.1, 0.1));
    }
    Family::new(kind, size_px, tensors).unwrap()
}

fn noise_picture(size_px: usize) -> Vec<f32> {
    let mut rng = Rng::new(2, 0);
    (0..3 * size_px * size_px).map(|_| rng.unit()).collect()
}

#[test]
fn clips_with_time_folded_into_channels_are_those_that_learn() {
    let device = Device::flex();
    let photo = noise_picture(foretelling::SIZE_PX);
    let tensor = |values: &[f32], dims: [usize; 4]| -> Tensor<4> {
        Tensor::from_data(TensorData::new(values.to_vec(), dims), &device)
    };
    // Both stages of one family, both streams of the other.
    let md_gan = random_weights(Kind::MdGan);
    let leaves = Leaves::new(rows(md_gan.tensors().clone()), &device);
    let still = unfolded(tensor(&photo, [1, 3, 64, 64])).repeat(&[1, N_MD_GAN, 1, 1, 1]);
    let base = u_net(&mut Volumes::new(&leaves, true), BASE, &still);
    let refined = u_net(&mut Volumes::new(&leaves, true), foretelling::REFINE, &base);
    let mut given = photo.clone();
    for ((plan, tensors), learned) in md_gan.stages().unwrap().into_iter().zip([base, refined]) {
        given = played(&plan, &tensors, &given).remove(0);
        let apart = apart(folded(learned), &given);
        assert!(apart < 1e-4, "{}: {apart}", plan.name());
    }

    let video_gan = random_weights(Kind::VideoGan);
    let leaves = Leaves::new(rows(video_gan.tensors().clone()), &device);
    let latent = replay(&foretelling::encoder(), &leaves, tensor(&photo, [1, 3, 64, 64]), true).remove(0);
    let stages = video_gan.stages().unwrap();
    let of_photo = played(&stages[0].0, &stages[0].1, &photo).remove(0);
    assert!(apart(latent.clone(), &of_photo) < 1e-4);
    let background = replay(&foretelling::background(), &leaves, latent.clone(), true).remove(0);
    let seed = replay(&foretelling::seed(), &leaves, latent, true).remove(0);
    let seed = seed.reshape([1, 2, 128, 4, 4]);
    let [picture, mask] = foretelling::foreground(&mut Volumes::new(&leaves, true), &seed);
    let outputs = played(&stages[1].0, &stages[1].1, &of_photo);
    for (learned, played) in
        [background.clone(), folded(picture.clone()), folded(mask.clone())].into_iter().zip(&outputs)
    {
        assert!(apart(learned, played) < 1e-4);
    }
    let background = super::volumes::clips(background, 1);
    let clip = mask.clone() * picture + (-mask + 1.0) * background;
    assert!(apart(folded(clip), &foretelling::clip(Kind::VideoGan, &outputs)) < 1e-4);
}

#[test]
fn convolutions_over_space_and_time_are_those_of_the_books() {
    let device = Device::flex();
    let (n, n_frames, c_in, c_out, side) = (2, 4, 3, 5, 6);
    let mut rng = Rng::new(4, 0);
    let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.range(-1.0, 1.0)).collect() };
    let x = numbers(n * n_frames * c_in * side * side);
    let (down, up, bias) = (numbers(c_out * c_in * 27), numbers(c_in * c_out * 64), numbers(c_out));
    // (c_out, c_in, t, y, x) to (c_out, t · c_in, y, x).
    let mut down_rows = vec![0.0; down.len()];
    for (i, value) in down.iter().enumerate() {
        let (o, c, t, within) = (i / (c_in * 27), i / 27 % c_in, i / 9 % 3, i % 9);
        down_rows[((o * 3 + t) * c_in + c) * 9 + within] = *value;
    }
    // Tap (k, i, j) of a kernel of 4 belongs to the phase whose frames, rows and columns it reads.
    let mut up_rows = vec![0.0; 8 * c_out * 2 * c_in * 4];
    let tap = |parity: usize, at: usize| [[3, 1], [2, 0]][parity][at];
    for (o, c) in (0..c_out).flat_map(|o| (0..c_in).map(move |c| (o, c))) {
        for (phase, at) in (0..8).flat_map(|phase| (0..8).map(move |at| (phase, at))) {
            let [k, i, j] = [tap(phase / 4, at / 4), tap(phase / 2 % 2, at / 2 % 2), tap(phase % 2, at % 2)];
            let from = (((c * c_out + o) * 4 + k) * 4 + i) * 4 + j;
            up_rows[((phase * c_out + o) * 2 * c_in + at / 4 * c_in + c) * 4 + at % 4] = up[from];
        }
    }
    let named = [
        ("down.weight", vec![c_out, 3 * c_in, 3, 3], down_rows),
        ("down.bias", vec![c_out], bias.clone()),
        ("up.weight", vec![8, c_out, 2 * c_in, 2, 2], up_rows),
        ("up.bias", vec![c_out], bias.clone()),
    ];
    let leaves = Leaves::new(named.into_iter().map(|(name, dims, values)| (name.to_owned(), dims, values)), &device);
    let tensor = |values: &[f32], dims: [usize; 5]| -> Tensor<5> {
        Tensor::from_data(TensorData::new(values.to_vec(), dims), &device)
    };
    let x = tensor(&x, [n, n_frames, c_in, side, side]);
    let bias = Tensor::<1>::from_data(TensorData::new(bias, [c_out]), &device);
    let channels_first = x.clone().swap_dims(1, 2);
    let mut volumes = Volumes::new(&leaves, true);
    let ours = volumes.down("down", &x, c_out);
    let options = ConvOptions::new([2; 3], [1; 3], [1; 3], 1);
    let theirs = conv3d(channels_first.clone(), tensor(&down, [c_out, c_in, 3, 3, 3]), Some(bias.clone()), options);
    let theirs = burn::tensor::activation::leaky_relu(theirs, 0.2).swap_dims(1, 2);
    assert_eq!(ours.dims(), theirs.dims());
    assert!((ours - theirs).abs().max().into_scalar::<f32>() < 1e-4);
    let ours = volumes.up("up", &x, c_out, Activation::None);
    let options = ConvTransposeOptions::new([2; 3], [1; 3], [0; 3], [1; 3], 1);
    let theirs = conv_transpose3d(channels_first, tensor(&up, [c_in, c_out, 4, 4, 4]), Some(bias), options);
    let theirs = theirs.swap_dims(1, 2);
    assert_eq!(ours.dims(), theirs.dims());
    assert!((ours - theirs).abs().max().into_scalar::<f32>() < 1e-4);
}

#[test]
fn weights_of_one_person_paint_what_scales_and_shifts_paint() {
    let device = Device::flex();
    let family = random_weights(Kind::IdentityDriving);
    let network = IdentityDriving::new(1, &device).unwrap();
    let leaves = Leaves::new(rows(family.tensors().clone()), &device);
    let photo = noise_picture(128);
    let photos: Tensor<4> = Tensor::from_data(TensorData::new(photo.clone(), [1, 3, 128, 128]), &device);
    let (who, what) = network.read(&leaves, photos);
    let vector = played(&family.identity().unwrap(), family.tensors(), &photo).remove(0);
    let numbers = played(&family.reader(), family.tensors(), &photo).remove(0);
    assert!(apart(who.clone().reshape([1, 128, 1, 1]), &vector) < 1e-4);
    assert!(apart(what.clone().reshape([1, 48, 1, 1]), &numbers) < 1e-4);
    let painted = network.paint(&leaves, &who, what);
    let own = family.painter_of(&vector).unwrap().unwrap();
    let far = apart(painted, &played(&family.painter(), &own, &numbers)[0]);
    assert!(far < 1e-4, "{far}");
}

#[test]
fn what_learns_is_what_the_twins_play() {
    let device = Device::flex();
    for size_px in family::SIZES_PX {
        let plans = [family::encoder(size_px), family::decoder(size_px)];
        let leaves = leaves(&[&plans[0], &plans[1]], &device);
        let family = Family::new(Kind::Vae, size_px, family::random(&[&plans[0], &plans[1]], 7)).unwrap();
        let mut rng = Rng::new(2, 0);
        for (plan, shape) in plans.iter().zip([[1, 3, size_px, size_px], [1, N_LATENT, 1, 1]]) {
            let given: Vec<f32> = (0..shape.iter().product()).map(|_| rng.unit()).collect();
            let learned =
                replay(plan, &leaves, Tensor::from_data(TensorData::new(given.clone(), shape), &device), true);
            let played = played(plan, family.tensors(), &given);
            for (learned, played) in learned.into_iter().zip(&played) {
                let apart = apart(learned, played);
                assert!(apart < 1e-4, "{}: {apart}", plan.name());
            }
        }
    }
}

#[test]
fn a_transposed_convolution_in_phases_is_the_one_of_the_books() {
    let device = Device::flex();
    let (c_in, c_out) = (3, 5);
    let mut rng = Rng::new(4, 0);
    let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.range(-1.0, 1.0)).collect() };
    let (x, books, bias) = (numbers(2 * c_in * 6 * 7), numbers(c_in * c_out * 16), numbers(c_out));
    // Tap (i, j) of a kernel of 4 belongs to the phase whose rows and columns it reads.
    let mut phases = vec![0.0; 4 * c_out * c_in * 4];
    for o in 0..c_out {
        for c in 0..c_in {
            for (phase, (p, q)) in (0..4).flat_map(|phase| [(0, 0), (0, 1), (1, 0), (1, 1)].map(|at| (phase, at))) {
                let tap = |a: usize, p: usize| [[3, 1], [2, 0]][a][p];
                let (i, j) = (tap(phase / 2, p), tap(phase % 2, q));
                phases[(((phase * c_out + o) * c_in + c) * 2 + p) * 2 + q] = books[((c * c_out + o) * 4 + i) * 4 + j];
            }
        }
    }
    let tensor =
        |values: &[f32], dims: [usize; 4]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), dims), &device);
    let bias = Tensor::<1>::from_data(TensorData::new(bias, [c_out]), &device);
    let x = tensor(&x, [2, c_in, 6, 7]);
    let weight = Tensor::<5>::from_data(TensorData::new(phases, [4, c_out, c_in, 2, 2]), &device);
    let ours = convolve_phases(x.clone(), weight, bias.clone());
    let options = ConvTransposeOptions::new([2; 2], [1; 2], [0; 2], [1; 2], 1);
    let theirs = conv_transpose2d(x, tensor(&books, [c_in, c_out, 4, 4]), Some(bias), options);
    assert_eq!(ours.dims(), theirs.dims());
    let apart = (ours - theirs).abs().max().into_scalar::<f32>();
    assert!(apart < 1e-5, "{apart}");
}

#[test]
fn gradients_over_space_and_time_are_those_of_finite_differences() {
    let device = Device::flex().autodiff();
    let mut rng = Rng::new(6, 0);
    let mut named = std::collections::BTreeMap::new();
    for (name, dims) in [
        ("down.weight", vec![3, 6, 3, 3]),
        ("down.bias", vec![3]),
        ("up.weight", vec![8, 2, 10, 2, 2]),
        ("up.bias", vec![2]),
    ] {
        let values: Vec<f32> = (0..dims.iter().product()).map(|_| rng.range(-0.5, 0.5)).collect();
        named.insert(name.to_owned(), (dims, values));
    }
    let given: Vec<f32> = (0..4 * 2 * 16).map(|_| rng.range(-1.0, 1.0)).collect();
    let given = Tensor::<5>::from_data(TensorData::new(given, [1, 4, 2, 4, 4]), &device);
    let loss = |named: &effigy_network::tensors::Tensors| {
        let leaves = Leaves::new(rows(named.clone()), &device);
        let mut volumes = Volumes::new(&leaves, true);
        let halved = volumes.down("down", &given, 3);
        let first = given.clone().narrow(1, 0, 2).narrow(3, 0, 2).narrow(4, 0, 2);
        let joined = volumes.join("join", &halved, &first);
        (volumes.up("up", &joined, 2, Activation::Sigmoid).square().sum(), leaves)
    };
    check_gradients(&named, loss);
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let device = Device::flex().autodiff();
    let mut r = Recorder::new("small");
    let x = r.input("x", Shape::new(2, 4, 4), Element::Half);
    let x = r.linear("a", x, Shape::new(3, 2, 2), Activation::Sigmoid);
    let x = r.up_conv2d("b", x, effigy_network::plan::ConvSpec::new(2).activation(Activation::Sigmoid));
    r.output(x);
    let plan = r.end();
    let rows = family::random(&[&plan], 7);
    let mut rng = Rng::new(6, 0);
    let given: Vec<f32> = (0..2 * 32).map(|_| rng.range(-1.0, 1.0)).collect();
    let given = Tensor::<4>::from_data(TensorData::new(given, [2, 2, 4, 4]), &device);
    let loss = |rows: &effigy_network::tensors::Tensors| {
        let leaves = Leaves::new(super::rows(rows.clone()), &device);
        let y = replay(&plan, &leaves, given.clone(), true).remove(0);
        (y.square().sum(), leaves)
    };
    check_gradients(&rows, loss);
}

/// Compares the gradients of a loss with what it does when a weight is moved a little.
fn check_gradients(
    rows: &effigy_network::tensors::Tensors,
    loss: impl Fn(&effigy_network::tensors::Tensors) -> (Tensor<1>, Leaves),
) {
    let (value, leaves) = loss(rows);
    let gradients = value.backward();
    let mut n_checked = 0;
    for (name, (_, values)) in rows {
        let n = values.len();
        let leaf: Tensor<1> = leaves.whole(name);
        let gradient: Vec<f32> = leaf.grad(&gradients).unwrap().try_into_vec_as().unwrap();
        for at in [0, n / 3, n / 2, n - 1] {
            let moved = |by: f32| {
                let mut rows = rows.clone();
                rows.get_mut(name).unwrap().1[at] += by;
                f64::from(loss(&rows).0.into_scalar::<f32>())
            };
            let step = 2e-2;
            let expected = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
            let found = f64::from(gradient[at]);
            assert!((found - expected).abs() < 2e-3 + 1e-2 * expected.abs(), "{name}[{at}]: {found}, not {expected}");
            n_checked += usize::from(expected.abs() > 1e-3);
        }
    }
    assert!(n_checked > 8, "gradients that are not 0: {n_checked}");
}
