//! Every backend against the twins: op by op over odd shapes, then the whole network.
//!
//! `EFFIGY_DEVICES=cpu,cuda` lists the backends that must work here; default `cpu`.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use effigy_network::cpu::CpuExecutor;
#[cfg(feature = "cuda")]
use effigy_network::cuda::CudaExecutor;
use effigy_network::network::{self, FACE, FrameOptions, Size, frame};
use effigy_network::plan::{
    Activation, Adoption, ConvSpec, Element, Executor, Finish, Flow, Op, PhotoLevels, PictureFormat, Plan, Recorder,
    Role, Shape, TensorId, TensorView, TensorViewMut,
};
use effigy_network::twin::TwinExecutor;
use effigy_network::weights::Weights;

type Open = fn(Plan) -> Box<dyn Executor>;

/// The backends to test, each with how it is opened and its tolerance: absolute, relative, steps of 255 in a picture.
fn backends() -> Vec<(&'static str, Open, [f32; 3])> {
    let wanted = std::env::var("EFFIGY_DEVICES").unwrap_or_else(|_| "cpu".to_owned());
    wanted
        .split(',')
        .filter_map(|name| match name {
            "cpu" => {
                let open: Open = |plan| Box::new(CpuExecutor::new(plan, 2).unwrap());
                Some(("cpu", open, [2e-4, 2e-4, 3.0]))
            }
            #[cfg(feature = "cuda")]
            "cuda" => {
                let open: Open = |plan| Box::new(CudaExecutor::new(plan).unwrap());
                Some(("cuda", open, [2e-3, 4e-3, 2.0]))
            }
            // Compared with its twins in `crates/network/tests/wgsl.rs`.
            "wgpu" => None,
            other => panic!("EFFIGY_DEVICES: no backend \"{other}\" in this test"),
        })
        .collect()
}

/// Numbers from -1 to 1 that look random.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn numbers(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// Values that a tensor of this name can have.
fn values(plan: &Plan, role: Role, noise: &mut Noise) -> (Vec<Vec<f32>>, Vec<Vec<u32>>) {
    let (mut floats, mut words) = (Vec::new(), Vec::new());
    for id in plan.of_role(role) {
        let tensor = plan.tensor(id);
        let Shape { c, h, w } = tensor.shape;
        let n = tensor.shape.len();
        let mut float = Vec::new();
        let mut word = Vec::new();
        match tensor.name.as_str() {
            "pose" => float = vec![0.9, 0.1, 0.03, -0.12, 1.1, -0.02, 1.1, -0.2, 0.05, 0.15, 0.95, -0.04],
            "landmarks" => float = noise.numbers(n).iter().map(|v| 0.5 + 0.6 * v).collect(),
            "map" if tensor.element == Element::Word => {
                // A smooth map with holes, sometimes beyond the border.
                word = (0..n)
                    .map(|i| {
                        let (x, y) = ((i % w) as f32, (i / w) as f32);
                        let wave = 20.0 * (y * 0.05).sin() + 3.0 * noise.next();
                        let place = |at: f32| ((at + wave).max(0.0) * 32.0) as u32;
                        if (i / 37) % 11 == 0 { u32::MAX } else { place(x * 1.1) | place(y * 1.2) << 16 }
                    })
                    .collect();
            }
            "pressed" => {
                // Steps from half a pixel to five, growing to the right and down; a few holes.
                let place = |at: usize, n: usize| {
                    let t = at as f32 / n as f32;
                    (n as f32 * (0.5 * t + 0.1 * t * t) * 32.0 * (1.0 + 3.0 * t)) as u32
                };
                word = (0..n).map(|i| place(i % w, w) | place(i / w, h) << 16).collect();
                word.iter_mut().step_by(97).for_each(|word| *word = u32::MAX);
            }
            "grain" => {
                // As fine as a pixel can be, on an opaque person.
                let mut grain = || (128.0 + 60.0 * noise.next()) as u8;
                word = (0..n).map(|_| u32::from_le_bytes([grain(), grain(), grain(), 255])).collect();
            }
            name if name.starts_with("map") => {
                assert_eq!(c, 3);
                for k in 0..n {
                    let (x, y) = ((k % w) as f32 / w as f32, (k / w % h) as f32 / h as f32);
                    let shift = 0.1 * noise.next();
                    float.push([x * 1.2 - 0.1 + shift, y * 1.1 + shift, shift * 5.0 + 0.5][k / (h * w)]);
                }
            }
            "with_mesh" => float = (0..n).map(|i| if i / (h * w) == 3 { 1.0 } else { 0.0 }).collect(),
            "decoded" | "gates" => float = noise.numbers(n).iter().map(|v| 0.5 + 0.5 * v).collect(),
            _ if tensor.element == Element::Word => {
                word = (0..n).map(|i| smooth_pixel(i % w, i / w, noise)).collect();
            }
            _ => float = noise.numbers(n),
        }
        floats.push(float);
        words.push(word);
    }
    (floats, words)
}

fn smooth_pixel(x: usize, y: usize, noise: &mut Noise) -> u32 {
    let wave = |a: f32, b: f32| {
        (127.5 + 120.0 * (x as f32 * a + y as f32 * b).sin() + 3.0 * noise.0 as u8 as f32 / 255.0) as u8
    };
    let pixel = [wave(0.02, 0.03), wave(0.05, -0.02), wave(-0.01, 0.06), wave(0.03, 0.01)];
    noise.next();
    u32::from_le_bytes(pixel)
}

fn views<'a>(plan: &Plan, role: Role, values: &'a (Vec<Vec<f32>>, Vec<Vec<u32>>)) -> Vec<TensorView<'a>> {
    let view = |(i, id): (usize, TensorId)| match plan.tensor(id).element {
        Element::Word => TensorView::Words(values.1[i].as_slice()),
        _ => TensorView::F32(values.0[i].as_slice()),
    };
    plan.of_role(role).enumerate().map(view).collect()
}

type Outputs = Vec<(Vec<f32>, Vec<u8>)>;

/// What an executor makes of some weights and inputs that depend on `seed` only; run three times, to find leftovers.
fn run(executor: &mut dyn Executor, params: &[Vec<f32>], seed: u64) -> Outputs {
    let plan = executor.plan().clone();
    let mut noise = Noise(seed * 7919 + 1);
    let constants = values(&plan, Role::Constant, &mut noise);
    let adoption = Adoption {
        params: params.iter().map(Vec::as_slice).collect(),
        constants: views(&plan, Role::Constant, &constants),
    };
    executor.adopt(&adoption).unwrap();
    let mut outputs: Outputs = plan
        .of_role(Role::Output)
        .map(|id| {
            let tensor = plan.tensor(id);
            let n = tensor.shape.len();
            if tensor.element == Element::Word { (Vec::new(), vec![0; 4 * n]) } else { (vec![f32::NAN; n], Vec::new()) }
        })
        .collect();
    let inputs = [values(&plan, Role::Input, &mut Noise(99)), values(&plan, Role::Input, &mut noise)];
    for given in [&inputs[1], &inputs[0], &inputs[1]] {
        let mut views_mut: Vec<TensorViewMut> = outputs
            .iter_mut()
            .map(|(f, b)| if b.is_empty() { TensorViewMut::F32(f) } else { TensorViewMut::Bytes(b) })
            .collect();
        executor.run(&views(&plan, Role::Input, given), &mut views_mut).unwrap();
    }
    outputs
}

fn random_params(plan: &Plan, seed: u64) -> Vec<Vec<f32>> {
    let mut noise = Noise(seed + 12345);
    plan.params()
        .iter()
        .map(|param| {
            let n: usize = param.dims.iter().product();
            let fan_in = n / if param.dims.len() == 5 { param.dims[1] * 4 } else { param.dims[0] };
            noise.numbers(n).iter().map(|v| v * (3.0 / fan_in.max(1) as f32).sqrt()).collect()
        })
        .collect()
}

/// Compares a backend with the twins; names plan, output, index and both values, at most ten.
fn check(plan: &Plan, params: &[Vec<f32>]) {
    let expected = run(&mut TwinExecutor::new(plan.clone()), params, 3);
    for (backend, open, [absolute, relative, steps]) in backends() {
        let found = run(&mut *open(plan.clone()), params, 3);
        let mut faults = Vec::new();
        for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
            for (i, (a, b)) in found.0.iter().zip(&expected.0).enumerate() {
                if (a - b).abs() > absolute + relative * b.abs() || a.is_nan() || b.is_nan() {
                    faults.push(format!("output {k} at {i}: {backend} {a}, twin {b}"));
                }
            }
            let is_rgba =
                plan.steps().iter().any(|(_, op)| matches!(op, Op::Finish(f) if f.format == PictureFormat::Rgba));
            for (i, (a, b)) in found.1.iter().zip(&expected.1).enumerate() {
                // Colour counts by its opacity: what is nearly transparent was divided by nearly nothing.
                let weight = if is_rgba && i % 4 < 3 { f32::from(expected.1[i / 4 * 4 + 3]) / 255.0 } else { 1.0 };
                if f32::from(a.abs_diff(*b)) * weight > steps {
                    faults.push(format!("byte {i}: {backend} {a}, twin {b}"));
                }
            }
        }
        let n = faults.len();
        faults.truncate(10);
        assert!(n == 0, "{}: {n} values differ\n{}", plan.name(), faults.join("\n"));
    }
}

#[test]
fn convolutions() {
    let activations = [Activation::None, Activation::Relu, Activation::Leaky, Activation::Sigmoid];
    let shapes = [
        [1, 1, 1, 1],
        [3, 5, 7, 2],
        [17, 9, 4, 33],
        [20, 64, 64, 24],
        [64, 16, 16, 64],
        [8, 33, 65, 6],
        [24, 64, 64, 64],
    ];
    for (i, [c_in, h, w, c_out]) in shapes.into_iter().enumerate() {
        for (kernel, stride) in [(3, 1), (3, 2), (1, 1), (1, 2)] {
            for has_residual in [false, true] {
                let activation = activations[(i + kernel + stride) % 4];
                let name = format!("conv{kernel} stride {stride} {c_in}x{h}x{w} to {c_out} {activation:?}");
                let mut r = Recorder::new(name);
                let x = r.input("x", Shape::new(c_in, h, w), Element::Half);
                let mut spec = ConvSpec::new(c_out).kernel(kernel).stride(stride).activation(activation);
                if has_residual {
                    let shape = Shape::new(c_out, h.div_ceil(stride), w.div_ceil(stride));
                    spec = spec.residual(r.input("residual", shape, Element::Half));
                }
                let y = r.conv2d("conv", x, spec);
                r.output(y);
                let plan = r.end();
                check(&plan, &random_params(&plan, i as u64));
            }
        }
    }
}

#[test]
fn upsampling_convolutions() {
    for (i, [c_in, h, w, c_out]) in [
        [1, 1, 1, 1],
        [3, 5, 7, 2],
        [17, 9, 4, 33],
        [24, 64, 64, 5],
        [64, 16, 16, 40],
        [8, 64, 64, 24],
        [12, 32, 64, 64],
    ]
    .into_iter()
    .enumerate()
    {
        for has_residual in [false, true] {
            let mut r = Recorder::new(format!("upconv {c_in}x{h}x{w} to {c_out}"));
            let x = r.input("x", Shape::new(c_in, h, w), Element::Half);
            let mut spec = ConvSpec::new(c_out);
            if has_residual {
                spec = spec.residual(r.input("residual", Shape::new(c_out, 2 * h, 2 * w), Element::Half));
            }
            let y = r.up_conv2d("up", x, spec);
            r.output(y);
            let plan = r.end();
            check(&plan, &random_params(&plan, i as u64));
        }
    }
}

/// Cards have no kernel for them: that they refuse one stands in `cuda.rs` and `wgsl.rs`.
#[test]
fn linear_layers_between_convolutions_on_the_processor() {
    for (i, [c_in, h, w, c_out]) in [[1, 1, 1, 1], [3, 6, 10, 2], [8, 16, 16, 24]].into_iter().enumerate() {
        let mut r = Recorder::new(format!("linear {c_in}x{h}x{w} to {c_out}"));
        let x = r.input("x", Shape::new(c_in, h, w), Element::Half);
        let x = r.conv2d("down", x, ConvSpec::new(c_out).stride(2));
        let [a, b] = [Activation::None, Activation::Sigmoid]
            .map(|activation| r.linear(&format!("{activation:?}"), x, Shape::new(7, 1, 1), activation));
        let y = r.linear("back", b, Shape::new(c_out, 3, 5), Activation::Relu);
        let y = r.up_conv2d("up", y, ConvSpec::new(3));
        r.output(a);
        r.output(y);
        let plan = r.end();
        let params = random_params(&plan, i as u64);
        let expected = run(&mut TwinExecutor::new(plan.clone()), &params, 3);
        let found = run(&mut CpuExecutor::new(plan.clone(), 2).unwrap(), &params, 3);
        for ((found, _), (expected, _)) in found.iter().zip(&expected) {
            assert!(expected.iter().any(|v| *v != 0.0), "{}", plan.name());
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 2e-4 + 2e-4 * b.abs(), "{}: {a}, twin {b}", plan.name());
            }
        }
    }
}

#[test]
fn parts_of_a_concatenation_are_written_and_read_in_place() {
    for [first, second, c_out] in [[8, 16, 16], [3, 5, 6], [1, 1, 1], [12, 20, 9]] {
        let mut r = Recorder::new(format!("parts of {first} and {second} channels to {c_out}"));
        let x = r.input("x", Shape::new(4, 9, 19), Element::Half);
        let a = r.conv2d("a", x, ConvSpec::new(first).kernel(1));
        let b = r.conv2d("b", x, ConvSpec::new(second));
        let both = r.concat("both", &[a, b]);
        let of_second = r.conv2d("of_second", b, ConvSpec::new(c_out));
        let twice = r.conv2d("twice", b, ConvSpec::new(second).kernel(1).residual(b));
        let up = r.up_conv2d("up", b, ConvSpec::new(c_out));
        let moved = r.warp("moved", b, Flow::Stay, (5, 11));
        let all = r.conv2d("all", both, ConvSpec::new(c_out).stride(2));
        for y in [of_second, twice, up, moved, all] {
            r.output(y);
        }
        let plan = r.end();
        check(&plan, &random_params(&plan, 5));
    }
}

#[test]
fn warps_and_mixing_weights() {
    for (c, [h_in, w_in], [h, w], mix_px) in [
        (1, [1, 1], [1, 1], 1),
        (3, [2, 9], [7, 5], 3),
        (5, [64, 64], [32, 32], 64),
        (32, [128, 128], [128, 128], 64),
        (4, [64, 64], [48, 80], 8),
    ] {
        let mut r = Recorder::new(format!("warp {c}x{h_in}x{w_in} to {h}x{w}, mix {mix_px}"));
        let x = r.input("x", Shape::new(c, h_in, w_in), Element::Half);
        let pose = r.input("pose", Shape::new(1, 4, 3), Element::Exact);
        let map = r.input("map1", Shape::new(3, h, w), Element::Exact);
        let answer = r.input("answer", Shape::new(7, mix_px, mix_px), Element::Half);
        let mix = r.motion("mix", answer);
        for (layer, flow) in [
            ("stay", Flow::Stay),
            ("body", Flow::Body { pose }),
            ("head", Flow::Head { pose }),
            ("mesh", Flow::Mesh { map }),
            ("mixed", Flow::Mixed { mix, map, pose }),
        ] {
            let y = r.warp(layer, x, flow, (h, w));
            r.output(y);
        }
        r.output(mix);
        check(&r.end(), &[]);
    }
}

#[test]
fn drawings() {
    for (h, w, radius_px) in [(1, 1, 0.5), (7, 13, 0.5), (64, 64, 0.5), (128, 128, 0.75)] {
        let mut r = Recorder::new(format!("raster {h}x{w}"));
        let points = r.input("landmarks", Shape::new(1, FACE.n_points, 2), Element::Exact);
        let y = r.raster("lines", points, &FACE, radius_px, (h, w));
        r.output(y);
        check(&r.end(), &[]);
    }
}

#[test]
fn finished_pictures_in_every_format() {
    for (size, decoded_px, mix_px) in [(8, 4, 2), (36, 5, 7), (128, 64, 16), (512, 256, 64)] {
        for format in [PictureFormat::Rgba, PictureFormat::Nv12, PictureFormat::Yuyv] {
            for is_dressed in [false, true] {
                if !is_dressed && format != PictureFormat::Rgba || is_dressed && size == 512 {
                    continue;
                }
                let mut r = Recorder::new(format!("finish {size} {format:?}, background and badge: {is_dressed}"));
                let decoded = r.input("decoded", Shape::new(5, decoded_px, decoded_px), Element::Half);
                let gates_px = decoded_px.div_ceil(2);
                let gates = r.input("gates", Shape::new(2, gates_px, gates_px), Element::Half);
                let answer = r.input("answer", Shape::new(7, mix_px, mix_px), Element::Half);
                let mix = r.motion("mix", answer);
                let map = r.input("map", Shape::new(1, size, size), Element::Word);
                let pose = r.input("pose", Shape::new(1, 4, 3), Element::Exact);
                let margin_px = size / 8;
                let levels = PhotoLevels::new(size, margin_px, decoded_px);
                let photo = r.constant("photo", levels.shape(), Element::Word);
                let background = is_dressed.then(|| r.constant("background", Shape::new(1, size, size), Element::Word));
                let badge = is_dressed.then(|| r.constant("badge", Shape::new(1, 3, size / 2), Element::Word));
                let finish =
                    Finish { decoded, gates, mix, map, pose, photo, margin_px, background, badge, format, y: decoded };
                let y = r.finish("finish", finish);
                r.output(y);
                check(&r.end(), &[]);
            }
        }
    }
}

#[test]
fn a_photo_that_is_pressed_together_until_its_pixels_are_too_fine() {
    for (size, decoded_px) in [(64, 32), (128, 32), (256, 128)] {
        let mut r = Recorder::new(format!("finish {size}, pressed together"));
        let decoded = r.input("decoded", Shape::new(5, decoded_px, decoded_px), Element::Half);
        let gates = r.input("gates", Shape::new(2, decoded_px / 2, decoded_px / 2), Element::Half);
        // All of the motion is the mesh's.
        let mix = r.input("with_mesh", Shape::new(7, 4, 4), Element::Exact);
        let map = r.input("pressed", Shape::new(1, size, size), Element::Word);
        let pose = r.input("pose", Shape::new(1, 4, 3), Element::Exact);
        let margin_px = size / 8;
        let levels = PhotoLevels::new(size, margin_px, decoded_px);
        let photo = r.constant("grain", levels.shape(), Element::Word);
        let format = PictureFormat::Rgba;
        let (background, badge) = (None, None);
        let finish = Finish { decoded, gates, mix, map, pose, photo, margin_px, background, badge, format, y: decoded };
        let y = r.finish("finish", finish);
        r.output(y);
        check(&r.end(), &[]);
    }
}

#[test]
fn the_whole_network() {
    let weights = Weights::random(Size::Small, 1);
    let plan = frame(&FrameOptions::new(Size::Small, 512));
    let embedding = Noise(4).numbers(network::EMBEDDING);
    check(&plan, &network::fold(&plan, &weights, &embedding).unwrap());
    let encoder = network::encoder(Size::Small);
    check(&encoder, &network::fold(&encoder, &weights, &[]).unwrap());
}
