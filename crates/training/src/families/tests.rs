//! Families learn, go on where they were stopped, and are what the engine plays.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::module::conv_transpose2d;
use burn::tensor::ops::ConvTransposeOptions;
use burn::tensor::{Device, Tensor, TensorData};

use super::dcgan::{self, Dcgan};
use super::layers::replay;
use super::pictures::Pictures;
use super::vae::{Vae, VaeWeights};
use super::{FamilyOptions, Learner, train};
use crate::curves::{curve, log_lines};
use crate::leaves::Leaves;
use crate::replay::convolve_phases;
use effigy_base::error::Result;
use effigy_base::random::Rng;
use effigy_network::family::{self, Family, Kind, N_LATENT};
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

    fn batch(&self, n: usize, n_frames: usize, size_px: usize, rng: &mut Rng) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for _ in 0..n {
            let [x, y, red, blue] = [0.3, 0.3, 0.0, 0.0].map(|low| rng.range(low, 0.7));
            for frame in 0..n_frames {
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

    fn validation(&self, n: usize, n_frames: usize, size_px: usize) -> Result<Option<Vec<f32>>> {
        self.batch(n.min(2), n_frames, size_px, &mut Rng::new(9, 9)).map(Some)
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
    fn n_frames(&self) -> usize {
        self.learner.n_frames()
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
    let clips = dcgan::sample(&path, 2, 3, &device).unwrap();
    assert_eq!((clips.len(), clips[0].len(), clips[0][0].len()), (2, dcgan::N_FRAMES, 3 * 64 * 64));
    assert!(clips[0].windows(2).all(|pair| pair[0] != pair[1]) && clips[0] != clips[1]);
    assert!(clips.iter().flatten().flatten().all(|v| (0.0..=1.0).contains(v)));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    let error = dcgan::sample(&path, 1, 3, &device).unwrap_err().to_string();
    assert!(error.contains("expected a safetensors file of the family `dcgan-video`"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

fn leaves(plans: &[&Plan], device: &Device) -> Leaves {
    let rows = family::random(plans, 7).into_iter().map(|(name, (dims, values))| (name, dims, values));
    Leaves::new(rows, device)
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
            let mut twin = TwinExecutor::new(plan.clone());
            twin.adopt(&Adoption { params: family.params(plan).unwrap(), constants: Vec::new() }).unwrap();
            let mut played: Vec<Vec<f32>> = learned.iter().map(|y| vec![0.0; y.dims().iter().product()]).collect();
            let mut views: Vec<_> = played.iter_mut().map(|y| TensorViewMut::F32(y)).collect();
            twin.run(&[TensorView::F32(&given)], &mut views).unwrap();
            for (learned, played) in learned.iter().zip(&played) {
                let learned: Vec<f32> = learned.clone().try_into_vec_as().unwrap();
                let apart =
                    learned.iter().zip(played).map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0.0, f32::max);
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
        let leaves = Leaves::new(rows.iter().map(|(n, (d, v))| (n.clone(), d.clone(), v.clone())), &device);
        let y = replay(&plan, &leaves, given.clone(), true).remove(0);
        (y.square().sum(), leaves)
    };
    let (value, leaves) = loss(&rows);
    let gradients = value.backward();
    let mut n_checked = 0;
    for (name, (_, values)) in &rows {
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
