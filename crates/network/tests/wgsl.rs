//! The kernels in WGSL against their twins, on whatever adapter there is.
//!
//! `EFFIGY_DEVICES=cpu,wgpu` lists what must work: with `wgpu` in it, an adapter that cannot be opened is a failure.
//! Without it these tests are skipped, aloud, where no adapter opens.
#![cfg(feature = "wgpu")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "these are tests, and say what was skipped")]

#[path = "../../../tests/common/allocator.rs"]
mod allocator;

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use allocator::Noting;
use effigy_base::error::ErrorKind;
use effigy_network::choose::{automatic, named};
use effigy_network::network::{EMBEDDING, FrameOptions, Size, fold, frame, margin_px, photo_levels};
use effigy_network::plan::{
    Activation, Adoption, ConvSpec, Drawing, Element, Executor, Finish, Flow, PhotoLevels, PictureFormat, Plan,
    Recorder, Role, Shape, TensorView, TensorViewMut, UNDRAWN,
};
use effigy_network::twin::TwinExecutor;
use effigy_network::weights::Weights;
use effigy_network::wgpu::{Accept, Card, Precision, WgpuExecutor};
use half::f16;

/// How far a number may be from the twin's: absolute and relative to it.
type Tolerance = (f32, f32);

/// Tolerances of a kernel in 16 and in 32 bits, as in `kernels/README.md`.
#[derive(Clone, Copy)]
struct Tolerances {
    f16: Tolerance,
    f32: Tolerance,
    /// Of the bytes of pictures, of 255.
    steps: f32,
}

const CONV: Tolerances = Tolerances { f16: (2e-3, 4e-3), f32: (1e-4, 1e-4), steps: 0.0 };
const WARP: Tolerances = Tolerances { f16: (2e-3, 2e-3), f32: (2e-4, 1e-4), steps: 0.0 };
const MOTION: Tolerances = Tolerances { f16: (1e-3, 0.0), f32: (1e-5, 0.0), steps: 0.0 };
const RASTER: Tolerances = Tolerances { f16: (1e-3, 0.0), f32: (1e-3, 0.0), steps: 0.0 };
const FINISH: Tolerances = Tolerances { f16: (0.0, 0.0), f32: (0.0, 0.0), steps: 2.0 };
/// A dozen layers, each within its own tolerance.
const NETWORK: Tolerances = Tolerances { f16: (1e-2, 0.0), f32: (2e-4, 0.0), steps: 3.0 };

/// The adapter, if there is one.
fn card() -> Option<&'static Arc<Card>> {
    static CARD: OnceLock<Option<Arc<Card>>> = OnceLock::new();
    let card = CARD.get_or_init(|| {
        let devices = std::env::var("EFFIGY_DEVICES").unwrap_or_default();
        let is_required = devices.split(',').any(|device| device.trim() == "wgpu");
        match Card::open(Accept::Any) {
            Ok(card) => {
                eprintln!("wgpu: {}", card.describe());
                Some(Arc::new(card))
            }
            Err(error) if is_required => panic!("EFFIGY_DEVICES asks for wgpu: {error}"),
            Err(error) => {
                eprintln!("wgpu: skipped, {error}");
                None
            }
        }
    });
    card.as_ref()
}

/// Repeatable numbers, all of them exact in 16 bits, so that only what a kernel does can differ.
struct Random(u64);

impl Random {
    fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    fn in_range(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.word() >> 8) as f32 / (1 << 24) as f32;
        f16::from_f32(low + unit * (high - low)).to_f32()
    }

    fn numbers(&mut self, n: usize, low: f32, high: f32) -> Vec<f32> {
        (0..n).map(|_| self.in_range(low, high)).collect()
    }

    fn words(&mut self, n: usize) -> Vec<u32> {
        (0..n).map(|_| self.word()).collect()
    }
}

/// The values of a tensor.
#[derive(Clone)]
enum Values {
    Numbers(Vec<f32>),
    Words(Vec<u32>),
}

impl Values {
    fn view(&self) -> TensorView<'_> {
        match self {
            Self::Numbers(values) => TensorView::F32(values),
            Self::Words(words) => TensorView::Words(words),
        }
    }
}

/// What a plan is given.
struct Given {
    params: Vec<Vec<f32>>,
    constants: Vec<Values>,
    inputs: Vec<Values>,
}

impl Given {
    /// Random values; weights are scaled to keep sums near one, words and places are what `special` says, by name.
    fn random(plan: &Plan, seed: u64, special: impl Fn(&str, usize, &mut Random) -> Option<Values>) -> Self {
        let mut random = Random(seed);
        let params = plan.params().iter().map(|param| {
            let per_sum: usize = param.dims.iter().rev().take(3).product();
            let reach = if param.dims.len() == 1 { 0.5 } else { (3.0 / per_sum as f32).sqrt() };
            random.numbers(param.dims.iter().product(), -reach, reach)
        });
        let params = params.collect();
        let mut of_role = |role| -> Vec<Values> {
            let ids: Vec<_> = plan.of_role(role).collect();
            let values = ids.into_iter().map(|id| {
                let tensor = plan.tensor(id);
                let n = tensor.shape.len();
                special(&tensor.name, n, &mut random).unwrap_or_else(|| match tensor.element {
                    Element::Word => Values::Words(random.words(n)),
                    Element::Half | Element::Exact => Values::Numbers(random.numbers(n, -1.0, 1.0)),
                })
            });
            values.collect()
        };
        let constants = of_role(Role::Constant);
        let inputs = of_role(Role::Input);
        Self { params, constants, inputs }
    }

    fn adopt(&self, executor: &mut dyn Executor) {
        let params = self.params.iter().map(Vec::as_slice).collect();
        let constants = self.constants.iter().map(Values::view).collect();
        executor.adopt(&Adoption { params, constants }).unwrap();
    }

    fn run(&self, executor: &mut dyn Executor) -> Vec<Vec<f32>> {
        self.adopt(executor);
        self.run_adopted(executor)
    }

    /// Outputs in order; bytes as numbers.
    fn run_adopted(&self, executor: &mut dyn Executor) -> Vec<Vec<f32>> {
        let plan = executor.plan().clone();
        let tensors: Vec<_> = plan.of_role(Role::Output).map(|id| plan.tensor(id)).collect();
        let mut numbers: Vec<Vec<f32>> = tensors.iter().map(|tensor| vec![f32::NAN; tensor.shape.len()]).collect();
        let mut bytes: Vec<Vec<u8>> = tensors.iter().map(|tensor| vec![0xaa; 4 * tensor.shape.len()]).collect();
        let places = numbers.iter_mut().zip(&mut bytes).zip(&tensors);
        let mut outputs: Vec<_> = places
            .map(|((numbers, bytes), tensor)| match tensor.element {
                Element::Word => TensorViewMut::Bytes(bytes),
                Element::Half | Element::Exact => TensorViewMut::F32(numbers),
            })
            .collect();
        let inputs: Vec<_> = self.inputs.iter().map(Values::view).collect();
        executor.run(&inputs, &mut outputs).unwrap();
        for ((numbers, bytes), tensor) in numbers.iter_mut().zip(bytes).zip(&tensors) {
            if tensor.element == Element::Word {
                *numbers = bytes.into_iter().map(f32::from).collect();
            }
        }
        numbers
    }
}

/// Compares the answers in some precisions, as far as the card has them, with the twin's; answers what differs, ten
/// lines at most.
fn differences(
    case: &str,
    plan: &Plan,
    given: &Given,
    tolerances: Tolerances,
    precisions: &[Precision],
) -> Vec<String> {
    let Some(card) = card() else { return Vec::new() };
    let expected = given.run(&mut TwinExecutor::new(plan.clone()));
    let mut differences = Vec::new();
    for &precision in precisions {
        if precision == Precision::F16 && !card.has_f16() {
            continue;
        }
        let (absolute, relative) = match precision {
            Precision::F16 => tolerances.f16,
            Precision::F32 => tolerances.f32,
        };
        let mut executor = WgpuExecutor::with_precision(card, plan.clone(), precision).unwrap();
        let found = given.run(&mut executor);
        let names = plan.of_role(Role::Output).map(|id| plan.tensor(id));
        for ((tensor, expected), found) in names.zip(&expected).zip(found) {
            let is_picture = tensor.element == Element::Word;
            let (absolute, relative) = if is_picture { (tolerances.steps, 0.0) } else { (absolute, relative) };
            for (i, (&expected, found)) in expected.iter().zip(found).enumerate() {
                let is_near = (expected - found).abs() <= absolute + relative * expected.abs();
                if !is_near {
                    let Shape { c, h, w } = tensor.shape;
                    let name = &tensor.name;
                    differences.push(format!(
                        "{case} {precision:?}: {name} {c}x{h}x{w}, element {i}: expected {expected}, found {found}"
                    ));
                    if differences.len() == 10 {
                        return differences;
                    }
                }
            }
        }
    }
    differences
}

fn assert_same(case: &str, plan: &Plan, given: &Given, tolerances: Tolerances) {
    let differences = differences(case, plan, given, tolerances, &[Precision::F16, Precision::F32]);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn nothing_special(_: &str, _: usize, _: &mut Random) -> Option<Values> {
    None
}

/// (c_in, h, w, c_out, kernel, stride, activation, has a residual)
type ConvCase = (usize, usize, usize, usize, usize, usize, Activation, bool);

#[test]
fn conv2d_is_its_twin() {
    use Activation::{Leaky, None, Relu, Sigmoid};
    #[rustfmt::skip]
    const CASES: &[ConvCase] = &[
        (1, 1, 1, 1, 1, 1, None, false),
        (1, 1, 1, 1, 3, 1, Leaky, true),
        (1, 1, 1, 1, 3, 2, Relu, false),
        (3, 5, 7, 2, 3, 1, Relu, true),
        (5, 33, 9, 8, 3, 1, None, false),
        (7, 17, 19, 9, 3, 1, Sigmoid, true),
        (13, 9, 33, 17, 3, 1, Leaky, false),
        (4, 8, 8, 32, 3, 1, Leaky, true),
        (4, 16, 16, 35, 3, 2, Leaky, true),
        (6, 15, 13, 16, 3, 2, None, false),
        (6, 7, 9, 5, 3, 2, Relu, true),
        (19, 5, 3, 33, 1, 1, None, true),
        (33, 21, 10, 6, 1, 1, Leaky, false),
        (20, 11, 6, 12, 1, 1, Sigmoid, false),
        (9, 9, 9, 20, 1, 2, Relu, true),
        (9, 17, 31, 3, 1, 2, None, false),
        (1, 1, 70, 4, 3, 1, None, false),
        (1, 70, 1, 4, 3, 2, None, false),
        // Layers of the networks.
        (22, 64, 64, 24, 3, 2, Leaky, false),
        (96, 32, 32, 96, 3, 1, Leaky, true),
        (32, 64, 64, 5, 3, 1, Sigmoid, false),
    ];
    for (&(c_in, h, w, c_out, kernel, stride, activation, has_residual), seed) in CASES.iter().zip(1..) {
        let mut r = Recorder::new("conv2d");
        let x = r.input("x", Shape::new(c_in, h, w), Element::Half);
        let mut spec = ConvSpec::new(c_out).kernel(kernel).stride(stride).activation(activation);
        if has_residual {
            let shape = Shape::new(c_out, h.div_ceil(stride), w.div_ceil(stride));
            spec = spec.residual(r.input("residual", shape, Element::Half));
        }
        let y = r.conv2d("y", x, spec);
        r.output(y);
        let plan = r.end();
        let case = format!("conv2d {kernel}x{kernel}/{stride} of {c_in}x{h}x{w}");
        assert_same(&case, &plan, &Given::random(&plan, seed, nothing_special), CONV);
    }
}

#[test]
fn upconv2d_is_its_twin() {
    // (c_in, h, w, c_out, has a residual)
    const CASES: &[(usize, usize, usize, usize, bool)] = &[
        (1, 1, 1, 1, false),
        (1, 1, 1, 9, true),
        (3, 5, 7, 2, true),
        (9, 33, 9, 8, false),
        (7, 17, 19, 17, true),
        (13, 9, 33, 12, false),
        (8, 8, 8, 32, true),
        (20, 3, 1, 37, false),
        // A layer of the network.
        (96, 16, 16, 48, true),
    ];
    for (&(c_in, h, w, c_out, has_residual), seed) in CASES.iter().zip(100..) {
        let mut r = Recorder::new("upconv2d");
        let x = r.input("x", Shape::new(c_in, h, w), Element::Half);
        let mut spec = ConvSpec::new(c_out);
        if has_residual {
            spec = spec.residual(r.input("residual", Shape::new(c_out, 2 * h, 2 * w), Element::Half));
        }
        let y = r.up_conv2d("y", x, spec);
        r.output(y);
        let plan = r.end();
        let case = format!("upconv2d of {c_in}x{h}x{w}");
        assert_same(&case, &plan, &Given::random(&plan, seed, nothing_special), CONV);
    }
}

/// Plausible motion: a pose and a map near the identity, masks that sum to one.
fn motions(name: &str, n: usize, random: &mut Random) -> Option<Values> {
    match name {
        "pose" => {
            let near = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0].repeat(2);
            Some(Values::Numbers(near.iter().map(|value| value + random.in_range(-0.15, 0.15)).collect()))
        }
        // A bit beyond the borders.
        "map" => Some(Values::Numbers(random.numbers(n, -0.2, 1.2))),
        "mix" => {
            let plane = n / 7;
            let mut mix = random.numbers(n, 0.0, 1.0);
            for i in 0..plane {
                let sum: f32 = (0..4).map(|k| mix[k * plane + i] + 0.01).sum();
                for k in 0..4 {
                    mix[k * plane + i] = (mix[k * plane + i] + 0.01) / sum;
                }
                for k in 4..6 {
                    mix[k * plane + i] = (mix[k * plane + i] - 0.5) / 8.0;
                }
            }
            Some(Values::Numbers(mix))
        }
        _ => None,
    }
}

#[test]
fn warp_is_its_twin() {
    // ((c, h, w) of x, (h, w) of y, (h, w) of mix)
    type Case = ((usize, usize, usize), (usize, usize), (usize, usize));
    const CASES: &[Case] = &[
        ((1, 1, 1), (1, 1), (1, 1)),
        ((3, 5, 7), (9, 11), (3, 2)),
        ((17, 16, 16), (16, 16), (8, 8)),
        ((8, 33, 9), (7, 65), (5, 5)),
        // Layers of the networks.
        ((4, 64, 64), (64, 64), (64, 64)),
        ((96, 32, 32), (32, 32), (64, 64)),
    ];
    for (&((c, h_in, w_in), (h, w), (h_mix, w_mix)), seed) in CASES.iter().zip(200..) {
        let mut r = Recorder::new("warp");
        let x = r.constant("x", Shape::new(c, h_in, w_in), Element::Half);
        let pose = r.input("pose", Shape::new(1, 4, 3), Element::Exact);
        let map = r.input("map", Shape::new(3, h, w), Element::Exact);
        let mix = r.input("mix", Shape::new(7, h_mix, w_mix), Element::Exact);
        let flows = [
            ("stay", Flow::Stay),
            ("body", Flow::Body { pose }),
            ("head", Flow::Head { pose }),
            ("mesh", Flow::Mesh { map }),
            ("mixed", Flow::Mixed { mix, map, pose }),
        ];
        for (name, flow) in flows {
            let y = r.warp(name, x, flow, (h, w));
            r.output(y);
        }
        let plan = r.end();
        let case = format!("warp of {c}x{h_in}x{w_in}");
        assert_same(&case, &plan, &Given::random(&plan, seed, motions), WARP);
    }
}

#[test]
fn motion_is_its_twin() {
    for ((h, w), seed) in [(1, 1), (3, 5), (8, 8), (13, 21), (64, 64)].into_iter().zip(300..) {
        // Numbers stored in 16 bits, and in 32.
        for element in [Element::Half, Element::Exact] {
            let mut r = Recorder::new("motion");
            let x = r.input("x", Shape::new(7, h, w), element);
            let y = r.motion("y", x);
            r.output(y);
            let plan = r.end();
            let wide = |_: &str, n: usize, random: &mut Random| Some(Values::Numbers(random.numbers(n, -9.0, 9.0)));
            assert_same("motion", &plan, &Given::random(&plan, seed, wide), MOTION);
        }
    }
}

#[test]
fn raster_is_its_twin() {
    /// Not in order of the channels; channel 1 has nothing; dots and lines.
    static MIXED: Drawing = Drawing {
        n_points: 9,
        n_channels: 4,
        segments: &[[0, 1, 2], [3, 3, 0], [1, 4, 2], [5, 6, 3], [7, 8, 0], [8, 0, 2]],
    };
    static NOTHING: Drawing = Drawing { n_points: 1, n_channels: 1, segments: &[] };
    for (((h, w), radius_px), seed) in
        [(1, 1), (5, 9), (16, 16), (33, 21), (64, 64)].into_iter().zip([0.5, 0.0, 0.75, 2.0, 1.0]).zip(400..)
    {
        for drawing in [&MIXED, &NOTHING] {
            let mut r = Recorder::new("raster");
            let points = r.input("points", Shape::new(1, drawing.n_points, 2), Element::Exact);
            let y = r.raster("y", points, drawing, radius_px, (h, w));
            r.output(y);
            let plan = r.end();
            let around = |_: &str, n: usize, random: &mut Random| Some(Values::Numbers(random.numbers(n, -0.1, 1.1)));
            assert_same("raster", &plan, &Given::random(&plan, seed, around), RASTER);
        }
    }
}

#[test]
fn finish_is_its_twin() {
    // (size, margin, (h, w) of decoded, (h, w) of mix, background, badge, format)
    type Case = (usize, usize, (usize, usize), (usize, usize), bool, Option<(usize, usize)>, PictureFormat);
    use PictureFormat::{Nv12, Rgba, Yuyv};
    #[rustfmt::skip]
    const CASES: &[Case] = &[
        (4, 0, (1, 1), (1, 1), false, None, Rgba),
        (4, 1, (3, 5), (2, 7), true, Some((1, 1)), Nv12),
        (12, 3, (6, 6), (3, 3), false, Some((3, 5)), Rgba),
        (20, 2, (9, 11), (4, 4), true, None, Yuyv),
        (36, 5, (18, 18), (8, 8), true, Some((7, 13)), Nv12),
        (44, 5, (18, 18), (8, 8), true, Some((8, 12)), Rgba),
        (64, 8, (32, 32), (16, 16), true, Some((9, 30)), Yuyv),
        (128, 16, (64, 64), (64, 64), false, Some((20, 40)), Rgba),
    ];
    for (&(size, margin_px, decoded, mix, has_background, badge, format), seed) in CASES.iter().zip(500..) {
        let mut r = Recorder::new("finish");
        let picture = Shape::new(1, size, size);
        let levels = PhotoLevels::new(size, margin_px, decoded.0);
        let gates = (decoded.0.div_ceil(2), decoded.1);
        let decoded = r.input("decoded", Shape::new(5, decoded.0, decoded.1), Element::Half);
        let gates = r.input("gates", Shape::new(2, gates.0, gates.1), Element::Half);
        let mix = r.input("mix", Shape::new(7, mix.0, mix.1), Element::Exact);
        let map = r.input("places", picture, Element::Word);
        let pose = r.input("pose", Shape::new(1, 4, 3), Element::Exact);
        let side = size + 2 * margin_px;
        let photo = r.constant("photo", levels.shape(), Element::Word);
        let background = has_background.then(|| r.constant("background", picture, Element::Word));
        let badge = badge.map(|(h, w)| r.constant("badge", Shape::new(1, h, w), Element::Word));
        let finish = Finish { decoded, gates, mix, map, pose, photo, margin_px, background, badge, format, y: decoded };
        let y = r.finish("y", finish);
        r.output(y);
        let plan = r.end();
        let special = |name: &str, n: usize, random: &mut Random| match name {
            "decoded" | "gates" => Some(Values::Numbers(random.numbers(n, 0.0, 1.0))),
            // A photo whose pixels lie the closer the further to the right and down.
            "places" if size >= 44 => {
                let place = |at: usize| {
                    let t = at as f32 / size as f32;
                    ((size as f32 * t * (0.5 + 1.2 * t) * 32.0) as u32).min(0xfffe)
                };
                Some(Values::Words((0..n).map(|i| place(i % size) | place(i / size) << 16).collect()))
            }
            "places" => {
                let mut place = || (random.in_range(0.0, 32.0 * side as f32) as u32).min(0xfffe);
                let places = (0..n).map(|i| if i % 3 == 0 { UNDRAWN } else { place() | place() << 16 });
                Some(Values::Words(places.collect()))
            }
            _ => motions(name, n, random),
        };
        let case = format!("finish {format:?} {size}");
        assert_same(&case, &plan, &Given::random(&plan, seed, special), FINISH);
    }
}

/// A network in small: every kind of op, a concatenation whose parts begin at odd elements, memory that is shared.
fn small_network() -> Plan {
    static DRAWING: Drawing = Drawing { n_points: 4, n_channels: 1, segments: &[[0, 1, 0], [1, 2, 0], [3, 3, 0]] };
    let mut r = Recorder::new("small network");
    let portrait = r.constant("portrait", Shape::new(3, 17, 17), Element::Half);
    let photo = r.constant("photo", PhotoLevels::new(68, 4, 34).shape(), Element::Word);
    let pose = r.input("pose", Shape::new(1, 4, 3), Element::Exact);
    let map = r.input("map", Shape::new(3, 17, 17), Element::Exact);
    let places = r.input("places", Shape::new(1, 68, 68), Element::Word);
    let points = r.input("points", Shape::new(1, 4, 2), Element::Exact);
    let stay = r.warp("by_stay", portrait, Flow::Stay, (17, 17));
    let drawn = r.raster("drawn", points, &DRAWING, 0.5, (17, 17));
    let body = r.warp("by_body", portrait, Flow::Body { pose }, (17, 17));
    let head = r.warp("by_head", portrait, Flow::Head { pose }, (17, 17));
    let mesh = r.warp("by_mesh", portrait, Flow::Mesh { map }, (17, 17));
    let all = r.concat("all", &[drawn, stay, body, head, mesh]);
    let down = r.conv2d("down", all, ConvSpec::new(12).stride(2));
    let mid = r.conv2d("mid", down, ConvSpec::new(12).residual(down));
    let up = r.up_conv2d("up", mid, ConvSpec::new(9));
    let answer = r.conv2d("answer", up, ConvSpec::new(7).kernel(1).activation(Activation::None));
    let mix = r.motion("mix", answer);
    let moved = r.warp("moved", portrait, Flow::Mixed { mix, map, pose }, (17, 17));
    let wide = r.up_conv2d("wide", moved, ConvSpec::new(20));
    let decoded = r.conv2d("decoded", wide, ConvSpec::new(5).activation(Activation::Sigmoid));
    let gates = r.conv2d("gates", wide, ConvSpec::new(2).kernel(1).activation(Activation::Sigmoid));
    let format = PictureFormat::Rgba;
    let finish = Finish {
        decoded,
        gates,
        mix,
        map: places,
        pose,
        photo,
        margin_px: 4,
        background: None,
        badge: None,
        format,
        y: mix,
    };
    let picture = r.finish("picture", finish);
    r.output(mix);
    r.output(picture);
    r.end()
}

fn for_small_network(name: &str, n: usize, random: &mut Random) -> Option<Values> {
    match name {
        // A smooth photo: a place that is off by a little reads almost the same.
        "photo" => Some(Values::Words(
            (0..n).map(|i| 0xff00_0000 + (i % 152 * 3 / 2 + i / 152 * 4 / 3 * 256) as u32).collect(),
        )),
        "places" => {
            Some(Values::Words((0..n).map(|i| (32 * (i % 68 + 4) + 32 * (i / 68 + 4) * 65_536) as u32).collect()))
        }
        _ => motions(name, n, random),
    }
}

#[test]
fn a_network_is_its_twin() {
    let plan = small_network();
    let given = Given::random(&plan, 7, for_small_network);
    assert_same("network", &plan, &given, NETWORK);
}

#[test]
fn the_networks_of_the_product_are_their_twins() {
    check_network(Size::Small, &[Precision::F16, Precision::F32]);
    // Its kernels are those of the small one; once is enough for drivers that compute on the processor.
    let has_f16 = card().is_some_and(|card| card.has_f16());
    check_network(Size::Large, &[if has_f16 { Precision::F16 } else { Precision::F32 }]);
}

fn check_network(network: Size, precisions: &[Precision]) {
    let size = 512;
    let plan = frame(&FrameOptions::new(network, size));
    let Shape { h: rows, w: stride, .. } = photo_levels(size).shape();
    let special = |name: &str, n: usize, random: &mut Random| match name {
        "landmarks" => Some(Values::Numbers(random.numbers(n, 0.1, 0.9))),
        "photo" => {
            let pixel = |i: usize| 0xff00_0000 + (i % stride * 255 / stride + i / stride * 255 / rows * 256) as u32;
            Some(Values::Words((0..n).map(pixel).collect()))
        }
        "map" => {
            let place = |at: usize| (32 * (at + margin_px(size)) + 9) as u32;
            let places = (0..n).map(|i| if i % 7 == 0 { UNDRAWN } else { place(i % size) | place(i / size) << 16 });
            Some(Values::Words(places.collect()))
        }
        "map32" | "map64" | "map128" => {
            let plane = n / 3;
            let w = plane.isqrt();
            let mut map = random.numbers(n, 0.0, 1.0);
            for i in 0..plane {
                map[i] = (i % w) as f32 / w as f32 + map[i] * 0.03;
                map[plane + i] = (i / w) as f32 / w as f32 + map[plane + i] * 0.03;
            }
            Some(Values::Numbers(map))
        }
        _ => motions(name, n, random),
    };
    let mut given = Given::random(&plan, 5, special);
    let embedding = Random(6).numbers(EMBEDDING, -1.0, 1.0);
    given.params = fold(&plan, &Weights::random(network, 1), &embedding).unwrap();
    let begin = std::time::Instant::now();
    let differences = differences(network.name(), &plan, &given, NETWORK, precisions);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    eprintln!("{}, twin and {precisions:?}: {:.1} s", network.name(), begin.elapsed().as_secs_f32());
}

#[test]
fn frames_repeat_and_identities_replace_each_other() {
    let Some(card) = card() else { return };
    let plan = small_network();
    let [one, other] = [11, 12].map(|seed| Given::random(&plan, seed, for_small_network));
    let mut executor = WgpuExecutor::new(card, plan).unwrap();
    let first = one.run(&mut executor);
    assert_eq!(first, one.run_adopted(&mut executor), "the same frame again");
    let switched = other.run(&mut executor);
    assert_ne!(first, switched, "another identity");
    assert_eq!(first, one.run(&mut executor), "the first identity again");
}

#[test]
fn steps_are_timed_by_name() {
    let Some(card) = card().filter(|card| card.has_timestamps()) else { return };
    let plan = small_network();
    let layers: Vec<_> = plan.steps().iter().map(|(layer, _)| layer.clone()).collect();
    let given = Given::random(&plan, 7, for_small_network);
    let mut executor = WgpuExecutor::new(card, plan).unwrap();
    let untimed = given.run(&mut executor);
    assert_eq!(executor.step_times().count(), 0);
    executor.time_steps(true).unwrap();
    assert_eq!(untimed, given.run_adopted(&mut executor), "timing changes nothing");
    let times: Vec<_> = executor.step_times().collect();
    assert_eq!(times.iter().map(|(layer, _)| *layer).collect::<Vec<_>>(), layers);
    let total: std::time::Duration = times.iter().map(|(_, time)| *time).sum();
    assert!(!total.is_zero() && total.as_secs() < 10, "{times:?}");
    executor.time_steps(false).unwrap();
    assert_eq!(untimed, given.run_adopted(&mut executor));
}

/// One pixel through one convolution.
fn one_layer() -> Plan {
    let mut r = Recorder::new("one layer");
    let x = r.input("x", Shape::new(1, 1, 1), Element::Half);
    let y = r.conv2d("y", x, ConvSpec::new(1));
    r.output(y);
    r.end()
}

#[test]
fn a_lost_card_says_so() {
    if card().is_none() {
        return;
    }
    let card = Arc::new(Card::open(Accept::Any).unwrap());
    let mut executor = WgpuExecutor::new(&card, one_layer()).unwrap();
    Given::random(&one_layer(), 7, nothing_special).run(&mut executor);
    card.destroy();
    let error = executor.run(&[TensorView::F32(&[0.0])], &mut [TensorViewMut::F32(&mut [0.0])]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeviceLost, "{error}");
    assert!(error.to_string().contains("must be opened again"), "{error}");
    let error = WgpuExecutor::new(&card, one_layer()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeviceLost, "{error}");
}

#[test]
fn a_linear_layer_is_refused_with_what_to_type() {
    let Some(card) = card() else { return };
    let mut r = Recorder::new("family");
    let x = r.input("x", Shape::new(4, 2, 2), Element::Half);
    let y = r.linear("heart", x, Shape::new(5, 1, 1), Activation::None);
    r.output(y);
    let error = WgpuExecutor::new(card, r.end()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendUnavailable, "{error}");
    assert!(error.to_string().contains("heart: expected convolutions, found a linear layer"), "{error}");
    assert!(error.to_string().contains("choose --backend cpu"), "{error}");
}

#[test]
fn a_network_too_large_for_the_card_is_refused() {
    let Some(card) = card() else { return };
    let mut r = Recorder::new("huge");
    let x = r.input("x", Shape::new(1 << 14, 1 << 10, 1 << 10), Element::Half);
    let y = r.conv2d("y", x, ConvSpec::new(1).kernel(1));
    r.output(y);
    let error = WgpuExecutor::new(card, r.end()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendUnavailable, "{error}");
    assert!(error.to_string().contains("the memory of huge"), "{error}");
    // The card still works.
    let plan = small_network();
    Given::random(&plan, 7, for_small_network).run(&mut WgpuExecutor::new(card, plan).unwrap());
}

#[test]
fn a_backend_is_chosen_aloud_and_a_processor_in_disguise_is_not() {
    let Some(card) = card() else { return };
    let plan = small_network();
    let asked_for = named("wgpu", &plan).unwrap();
    assert_eq!(asked_for.backend.unwrap().name, "wgpu");
    assert!(asked_for.sentence.starts_with("small network runs on wgpu ("), "{}", asked_for.sentence);
    assert!(asked_for.sentence.ends_with(" a frame, as asked for"), "{}", asked_for.sentence);
    let choice = automatic(&plan);
    eprintln!("auto: {}", choice.sentence);
    let is_wgpu = choice.backend.is_some_and(|chosen| chosen.name == "wgpu");
    assert!(is_wgpu != card.is_cpu(), "{}", choice.sentence);
}

#[test]
fn nothing_runs_before_something_is_adopted() {
    let Some(card) = card() else { return };
    let mut executor = WgpuExecutor::new(card, one_layer()).unwrap();
    let error = executor.run(&[TensorView::F32(&[0.0])], &mut [TensorViewMut::F32(&mut [0.0])]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Noting = Noting(|n_bytes| {
    if n_bytes > 0 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    }
});

#[test]
fn a_frame_allocates_little_and_ever_the_same() {
    if card().is_none() {
        return;
    }
    // A card of its own: wgpu cleans up after all executors of a card on whichever thread waits for one.
    let card = Arc::new(Card::open(Accept::Any).unwrap());
    let plan = small_network();
    let n_steps = plan.steps().len();
    let given = Given::random(&plan, 7, for_small_network);
    let mut executor = WgpuExecutor::new(&card, plan).unwrap();
    given.run(&mut executor);
    let inputs: Vec<_> = given.inputs.iter().map(Values::view).collect();
    let mut mix = vec![0.0; 7 * 18 * 18];
    let mut picture = vec![0; 4 * 68 * 68];
    let mut frame = || {
        let mut outputs = [TensorViewMut::F32(&mut mix), TensorViewMut::Bytes(&mut picture)];
        let before = ALLOCATIONS.get();
        executor.run(&inputs, &mut outputs).unwrap();
        ALLOCATIONS.get() - before
    };
    let counts: Vec<_> = (0..10).map(|_| frame()).collect();
    eprintln!("allocations of a frame of {n_steps} steps: {counts:?}");
    assert!(counts[2..].iter().all(|&count| count < 100 + 4 * n_steps), "{counts:?}");
}
