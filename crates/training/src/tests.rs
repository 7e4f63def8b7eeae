//! The network as training runs it is the network as the engine does.

use burn::tensor::{Device, Tensor, TensorData};

use super::adversary::{Adversary, Evidence};
use super::features::TAP_CHANNELS;
use super::group::{Group, level_planes};
use super::loss::{Judges, LossWeights, loss};
use super::parameters::{Parameters, StepOptions};
use super::picture::{Plans, Tensors, make};
use effigy_base::random::Rng;
use effigy_network::cpu::native;
use effigy_network::kernels::raster::RasterShape;
use effigy_network::kernels::warp::{WarpShape, warp};
use effigy_network::network::{self, FACE, FrameOptions, MOTION_PX, Size};
use effigy_network::plan::{Adoption, Executor as _, PLACES_PER_PX, Plan, Role, TensorView, TensorViewMut, UNDRAWN};
use effigy_network::twin::TwinExecutor;
use effigy_network::weights::Weights;

const SIZE_PX: usize = 256;

/// What both are given.
struct Scene {
    portrait: Vec<f32>,
    portrait64: Vec<f32>,
    landmarks: Vec<f32>,
    own_landmarks: Vec<f32>,
    pose: Vec<f32>,
    maps: [Vec<f32>; 3],
    deformations: [Vec<f32>; 3],
    map: Vec<u32>,
    photo: Vec<u32>,
    background: Vec<u32>,
}

impl Scene {
    fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 0);
        let mut numbers =
            |n: usize, low: f32, high: f32| -> Vec<f32> { (0..n).map(|_| rng.range(low, high)).collect() };
        let maps = [32, 64, 128].map(|px: usize| numbers(3 * px * px, 0.0, 1.0));
        let deformations = [32, 64, 128].map(|px: usize| numbers(2 * px * px, -1.0, 1.0));
        let margin_px = network::margin_px(SIZE_PX);
        let side = SIZE_PX + 2 * margin_px;
        let levels = network::photo_levels(SIZE_PX);
        // Here pressed together, there drawn apart, never quite even.
        let jitter = numbers(SIZE_PX * SIZE_PX, 0.0, 0.5);
        let map = jitter.iter().zip(jitter.iter().rev()).enumerate().map(|(i, (jitter_x, jitter_y))| {
            let (x, y) = ((i % SIZE_PX) as f32, (i / SIZE_PX) as f32);
            let place = |at: f32, across: f32, jitter: f32| {
                margin_px as f32 + at + 4.0 * (at / 4.0 + across / 9.0).sin() + jitter
            };
            let steps = |v: f32| (v.clamp(0.0, (side - 1) as f32) * PLACES_PER_PX) as u32;
            if i % 7 == 0 { UNDRAWN } else { steps(place(x, y, *jitter_x)) | steps(place(y, x, *jitter_y)) << 16 }
        });
        let map = map.collect();
        let mut words = |n: usize| -> Vec<u32> { numbers(n, 0.0, 1.0).iter().map(|v| (v * 4.0e9) as u32).collect() };
        Self {
            photo: words(levels.shape().len()),
            background: words(SIZE_PX * SIZE_PX),
            portrait: numbers(4 * SIZE_PX * SIZE_PX, -1.0, 1.0),
            portrait64: numbers(4 * MOTION_PX * MOTION_PX, -1.0, 1.0),
            landmarks: numbers(2 * FACE.n_points, 0.2, 0.8),
            own_landmarks: numbers(2 * FACE.n_points, 0.2, 0.8),
            pose: vec![0.9, 0.1, 0.03, -0.08, 1.05, -0.02, 1.1, -0.1, 0.02, 0.07, 0.95, 0.03],
            maps,
            deformations,
            map,
        }
    }

    /// The scene as training has it.
    fn group(&self) -> Group {
        let drawn = |points: &[f32], px: usize, radius_px: f32| {
            let n = px as u32;
            let n_segments = FACE.segments.len() as u32;
            let mut y = vec![0.0; FACE.n_channels * px * px];
            native::raster(&RasterShape { c: 8, h: n, w: n, n_segments, radius_px }, points, FACE.segments, &mut y);
            y
        };
        let candidate = |flow: u32| {
            let n = MOTION_PX as u32;
            let mut y = vec![0.0; 4 * MOTION_PX * MOTION_PX];
            let shape = WarpShape { c: 4, h_in: n, w_in: n, h: n, w: n, h_mix: 0, w_mix: 0, flow };
            warp(&shape, &self.portrait64, &self.pose, &self.maps[1], &[], &mut y);
            y
        };
        let n = SIZE_PX * SIZE_PX;
        let margin_px = network::margin_px(SIZE_PX) as f32;
        let mut full_map = vec![0.0; 3 * n];
        for (i, &packed) in self.map.iter().enumerate() {
            let place = |steps: u32| (steps as f32 / PLACES_PER_PX - margin_px) / SIZE_PX as f32;
            let own = |at: usize| (at as f32 + 0.5) / SIZE_PX as f32;
            let (u, v, drawn) = if packed == UNDRAWN {
                (own(i % SIZE_PX), own(i / SIZE_PX), 0.0)
            } else {
                (place(packed & 0xffff), place(packed >> 16), 1.0)
            };
            (full_map[i], full_map[n + i], full_map[2 * n + i]) = (u, v, drawn);
        }
        let bytes = |words: &[u32], n_channels: usize| -> Vec<f32> {
            let channel = |c: usize| words.iter().map(move |word| f32::from(word.to_le_bytes()[c]) / 255.0);
            (0..n_channels).flat_map(channel).collect()
        };
        Group {
            size_px: SIZE_PX,
            decoded_px: SIZE_PX,
            n_frames: 1,
            portrait: self.portrait.clone(),
            portrait_lines: drawn(&self.own_landmarks, SIZE_PX, 1.0),
            photo: level_planes(&network::photo_levels(SIZE_PX), &self.photo),
            background: bytes(&self.background, 3),
            candidates: [0, 1, 2, 3].map(candidate),
            lines: [(32, 0.5), (64, 0.5), (128, 0.75)].map(|(px, radius_px)| drawn(&self.landmarks, px, radius_px)),
            maps: self.maps.clone(),
            deformations: self.deformations.clone(),
            full_map,
            pose: self.pose.clone(),
            points: self.landmarks.clone(),
            target: vec![0.5; 3 * n],
            matte: vec![0.5; n],
            mouth: vec![0.0; n],
            eyes: vec![0.0; n],
            filmed: vec![1.0; n],
            counts: vec![1.0; n],
            point_flow: vec![0.0; 3 * MOTION_PX * MOTION_PX],
            ..Group::default()
        }
    }

    /// The picture as the engine makes it, by the twins: (3, s, s), 0..1.
    fn twin_picture(&self, weights: &Weights) -> Vec<f32> {
        let plan = network::encoder(weights.size());
        let params = network::fold(&plan, weights, &[]).unwrap();
        let inputs = [TensorView::F32(&self.portrait), TensorView::F32(&self.own_landmarks)];
        let encoded = run(plan, &params, Vec::new(), &inputs);
        let deepest = weights.size().widths().decoder[0];
        let embedding = network::pooled_embedding(weights, &encoded[3], deepest).unwrap();

        let options = FrameOptions { has_background: true, ..FrameOptions::new(weights.size(), SIZE_PX) };
        let plan = network::frame(&options);
        let params = network::fold(&plan, weights, &embedding).unwrap();
        let constants = vec![
            TensorView::F32(&self.portrait64),
            TensorView::F32(&encoded[2]),
            TensorView::F32(&encoded[1]),
            TensorView::F32(&encoded[0]),
            TensorView::Words(&self.photo),
            TensorView::Words(&self.background),
        ];
        let mut inputs = vec![TensorView::F32(&self.landmarks), TensorView::F32(&self.pose)];
        inputs.extend(self.maps.iter().chain(&self.deformations).map(|values| TensorView::F32(values)));
        inputs.push(TensorView::Words(&self.map));
        let mut executor = TwinExecutor::new(plan);
        let params = params.iter().map(Vec::as_slice).collect();
        executor.adopt(&Adoption { params, constants }).unwrap();
        let mut rgba = vec![0; 4 * SIZE_PX * SIZE_PX];
        executor.run(&inputs, &mut [TensorViewMut::Bytes(&mut rgba)]).unwrap();
        (0..3).flat_map(|c| rgba.iter().skip(c).step_by(4).map(|&v| f32::from(v) / 255.0)).collect()
    }
}

fn run(plan: Plan, params: &[Vec<f32>], constants: Vec<TensorView>, inputs: &[TensorView]) -> Vec<Vec<f32>> {
    let mut outputs: Vec<Vec<f32>> =
        plan.of_role(Role::Output).map(|id| vec![0.0; plan.tensor(id).shape.len()]).collect();
    let mut executor = TwinExecutor::new(plan);
    executor.adopt(&Adoption { params: params.iter().map(Vec::as_slice).collect(), constants }).unwrap();
    let mut views: Vec<_> = outputs.iter_mut().map(|values| TensorViewMut::F32(values)).collect();
    executor.run(inputs, &mut views).unwrap();
    outputs
}

#[test]
fn training_makes_the_picture_that_the_engine_makes() {
    let weights = Weights::random(Size::Small, 3);
    let scene = Scene::random(5);
    let expected = scene.twin_picture(&weights);
    let parameters = Parameters::new(&weights, &Device::flex());
    let made = make(&Plans::new(Size::Small), &parameters, &Tensors::new(&scene.group(), parameters.device()));
    let found: Vec<f32> = made.picture.try_into_vec_as().unwrap();
    // Bytes end where training goes on: a band may take a colour below black.
    let worst = expected.iter().zip(&found).map(|(a, b)| (a - b.clamp(0.0, 1.0)).abs()).enumerate();
    let (at, worst) = worst.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    // Half a step of the stored bytes, and 1e-4 of rounding.
    let tolerance = 0.5 / 255.0 + 1e-4;
    assert!(worst <= tolerance, "element {at}: expected {}, found {}", expected[at], found[at]);
}

#[test]
fn every_weight_learns_and_the_loss_falls() {
    let device = Device::flex().autodiff();
    let weights = Weights::random(Size::Small, 3);
    let mut parameters = Parameters::new(&weights, &device);
    let plans = Plans::new(Size::Small);
    let group = Tensors::new(&Scene::random(6).group(), &device);
    let mut losses = Vec::new();
    for _ in 0..3 {
        let made = make(&plans, &parameters, &group);
        let loss = (made.picture - group.target.clone()).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        parameters.step(loss.backward(), &StepOptions { rate: 1e-4, max_norm: 1.0, averaging: 0.5 });
    }
    assert!(losses[2] < losses[0], "{losses:?}");
    let learned = parameters.weights().unwrap();
    for ((name, _, before), (_, _, after)) in weights.iter().zip(learned.iter()) {
        assert!(before != after, "{name} never changed");
    }
}

/// Half the difference is 6 dB nearer, in an easy frame as in a hard one; what does not count does not help.
#[test]
fn log_mse_counts_by_ratio_and_only_where_it_should() {
    let device = Device::flex();
    let mut rng = Rng::new(2, 0);
    let mut group = Tensors::new(&Scene::random(6).group(), &device);
    let parameters = Parameters::new(&Weights::random(Size::Small, 3), &device);
    let mut made = make(&Plans::new(Size::Small), &parameters, &group);
    (group.mouth, group.eyes) = (group.mouth + 1.0, group.eyes + 1.0);
    let dims = group.target.dims();
    let noise: Vec<f32> = (0..dims.iter().product()).map(|_| rng.range(-1.0, 1.0)).collect();
    let noise: Tensor<4> = Tensor::from_data(TensorData::new(noise, dims), &device);
    let mut parts = |off: f32, counts: f32| {
        group.counts = group.counts.clone() * 0.0 + counts;
        made.picture = group.target.clone() + noise.clone() * off;
        let found = loss(&made, &group, &LossWeights::default(), 0.0, false, 1.0, Judges::default());
        let part = |name: &str| found.parts.iter().find(|(other, _)| *other == name).unwrap().1.clone();
        ["log_mse", "log_mse_mouth", "log_mse_eyes"].map(|name| part(name).into_scalar::<f32>())
    };
    for off in [0.4, 0.1] {
        for (far, near) in parts(off, 1.0).into_iter().zip(parts(off / 2.0, 1.0)) {
            assert!((far - near - 4.0_f32.ln()).abs() < 0.02, "{far} {near}");
        }
    }
    assert_eq!(parts(0.4, 0.0), parts(0.1, 0.0));
    // An expression that nobody was seen to have is compared with no picture.
    group.is_asked = true;
    let asked = loss(&made, &group, &LossWeights::default(), 0.1, false, 0.0, Judges::default());
    let names: Vec<&str> = asked.parts.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["alpha", "flow", "stray_trust", "residual"]);
}

/// Features of pictures that were made and seen, told apart by their mean alone.
fn evidence(seed: u64, device: &Device) -> Evidence {
    let mut rng = Rng::new(seed, 0);
    let mut features = |mean: f32| -> Vec<Tensor<4>> {
        let taps = TAP_CHANNELS.iter().zip([16, 16, 8, 4, 2]);
        taps.map(|(&c, px)| {
            let values: Vec<f32> = (0..2 * c * px * px).map(|_| mean + rng.range(-1.0, 1.0)).collect();
            Tensor::from_data(TensorData::new(values, [2, c, px, px]), device)
        })
        .collect()
    };
    Evidence { made: features(-0.3), seen: features(0.3), counts: Tensor::ones([2, 1, 32, 32], device) }
}

#[test]
fn the_adversary_learns_what_was_made_and_says_where_to_go() {
    let device = Device::flex().autodiff();
    let mut adversary = Adversary::new(1, &device);
    let before = adversary.loss(&evidence(0, &device)).into_scalar::<f32>();
    for step in 1..=40 {
        let loss = adversary.loss(&evidence(step, &device));
        adversary.step(loss.backward());
    }
    // New features: what it says of those it learned from would prove nothing.
    let mut unseen = evidence(1000, &device);
    let after = adversary.loss(&unseen).into_scalar::<f32>();
    assert!(after < 0.5 * before, "hinge loss {before} before, {after} after");

    let start = unseen.made[2].clone().inner();
    let made: Tensor<4> = Tensor::from_inner(start.clone()).require_grad();
    unseen.made[2] = made.clone();
    let (found_out, _) = adversary.judge(&unseen);
    let gradients = found_out.clone().backward();
    let downhill = made.grad(&gradients).unwrap();
    unseen.made[2] = Tensor::from_inner(start - downhill * 1e3);
    let later = adversary.judge(&unseen).0.into_scalar::<f32>();
    assert!(later < found_out.into_scalar::<f32>(), "following the gradient does not help to pass");
    let learned = adversary.loss(&unseen).backward();
    let untouched: Vec<_> = adversary.leaves().values().map(|(_, values)| values).collect();
    adversary.step(learned);
    let stepped: Vec<_> = adversary.leaves().values().map(|(_, values)| values).collect();
    assert!(untouched.iter().zip(&stepped).all(|(a, b)| a != b), "a weight of the adversary never learns");
}

#[test]
fn the_mean_of_weights_lies_between_them_and_other_networks_are_refused() {
    let path = |name: &str| std::env::temp_dir().join(format!("effigy-mean-{name}-{}.safetensors", std::process::id()));
    let sizes = [("a", Size::Small, 1), ("b", Size::Small, 2), ("large", Size::Large, 1)];
    for (name, size, seed) in sizes {
        std::fs::write(path(name), Weights::random(size, seed).to_bytes().unwrap()).unwrap();
    }
    let [a, b] = ["a", "b"].map(|name| Weights::load(&path(name)).unwrap());
    let mean = Weights::mean_of(&[path("a"), path("b")]).unwrap();
    assert!(mean != a && mean != b);
    for ((_, _, mean), ((_, _, a), (_, _, b))) in mean.iter().zip(a.iter().zip(b.iter())) {
        assert!(mean.iter().zip(a.iter().zip(b)).all(|(mean, (a, b))| (mean - (a + b) / 2.0).abs() < 1e-6));
    }
    assert_eq!(Weights::mean_of(&[path("a")]).unwrap(), a);
    let error = Weights::mean_of(&[path("a"), path("large")]).unwrap_err().to_string();
    assert!(error.contains("`large`, expected `small`"), "{error}");
    for (name, ..) in sizes {
        std::fs::remove_file(path(name)).unwrap();
    }
}

#[test]
fn a_checkpoint_goes_on_where_it_was_written() {
    let device = Device::flex().autodiff();
    let mut parameters = Parameters::new(&Weights::random(Size::Small, 3), &device);
    let plans = Plans::new(Size::Small);
    let group = Tensors::new(&Scene::random(6).group(), &device);
    let step = |parameters: &mut Parameters| {
        let made = make(&plans, parameters, &group);
        let loss = (made.picture - group.target.clone()).square().mean();
        parameters.step(loss.backward(), &StepOptions { rate: 1e-3, max_norm: 1.0, averaging: 0.5 });
    };
    step(&mut parameters);
    let mut adversary = Adversary::new(1, &device);
    let loss = adversary.loss(&evidence(0, &device));
    adversary.step(loss.backward());
    let path = std::env::temp_dir().join(format!("effigy-checkpoint-{}.safetensors", std::process::id()));
    super::checkpoint::save(&path, &parameters, Some(&adversary), 1).unwrap();
    let mut restored = Parameters::new(&Weights::random(Size::Small, 4), &device);
    let mut restored_adversary = Adversary::new(2, &device);
    assert_eq!(super::checkpoint::load(&path, &mut restored, Some(&mut restored_adversary)).unwrap(), 1);
    assert_eq!(adversary.leaves().state(), restored_adversary.leaves().state());
    step(&mut parameters);
    step(&mut restored);
    assert_eq!(parameters.weights().unwrap(), restored.weights().unwrap());
    assert_eq!(parameters.averaged().unwrap(), restored.averaged().unwrap());

    let torn = std::fs::read(&path).unwrap();
    std::fs::write(&path, &torn[..torn.len() / 2]).unwrap();
    assert!(super::checkpoint::load(&path, &mut restored, None).is_err());
    std::fs::remove_file(&path).unwrap();
}
