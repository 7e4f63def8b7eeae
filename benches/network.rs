//! How long the network takes on the processor, folded, unfolded and in 8 bits in one run, and a whole frame.
//!
//! `cargo bench --bench network [-- small|large]`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench talks to its reader and may stop at once")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{identity, open_mouth, rest};
use effigy::generate::cpu::{CpuExecutor, Form};
use effigy::generate::network::{self, FrameOptions, Size, frame};
use effigy::generate::neural::{NeuralGenerator, encode};
use effigy::generate::plan::{Adoption, Executor, Op, Plan, Role, TensorView};
use effigy::generate::warp::WarpGenerator;
use effigy::generate::weights::Weights;
use effigy::{Generator, Portrait};
use glam::Quat;

const FRAMES: usize = 150;

fn n_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(2)
}

fn open(plan: Plan) -> effigy::Result<Box<dyn Executor>> {
    Ok(Box::new(CpuExecutor::new(plan, n_threads())?))
}

fn open_in_f32(plan: Plan) -> effigy::Result<Box<dyn Executor>> {
    Ok(Box::new(CpuExecutor::new(plan, n_threads())?.in_f32()))
}

fn main() {
    let wanted = std::env::args().find_map(|arg| Size::ALL.into_iter().find(|size| size.name() == arg));
    let peak = peak_gmacs();
    println!("{} threads; one large 3x3 convolution in ONNX Runtime: {peak:.0} GMAC/s, taken as the peak", n_threads());
    for size in wanted.map_or(vec![Size::Small], |size| vec![size]) {
        let weights = Weights::random(size, 1);
        forms(size, &weights, peak);
        frames(&weights);
    }
}

/// What ONNX Runtime makes of one convolution that suits it, on a network of one layer.
fn peak_gmacs() -> f64 {
    use effigy::generate::plan::{ConvSpec, Element, Recorder, Shape};
    let mut r = Recorder::new("peak");
    let x = r.input("x", Shape::new(64, 128, 128), Element::Half);
    let y = r.conv2d("conv", x, ConvSpec::new(64));
    r.output(y);
    let plan = r.end();
    let macs = plan.total_macs() as f64;
    let mut executor = CpuExecutor::new(plan, n_threads()).unwrap();
    let (weight, bias) = (vec![0.01; 64 * 64 * 9], vec![0.0; 64]);
    executor.adopt(&Adoption { params: vec![&weight, &bias], constants: Vec::new() }).unwrap();
    let mut times = measure(60, || executor.run_models().unwrap());
    // The least: on a busy machine everything else says how busy it was.
    macs * 1e-9 / at(&mut times, 0.0) * 1e3
}

/// Convolutions only: folded against the graph as trained, taken in turns.
fn forms(size: Size, weights: &Weights, peak: f64) {
    let plan = frame(&FrameOptions::new(size, 512));
    let is_convolution = |op: &Op| matches!(op, Op::Conv2d(_) | Op::UpConv2d(_));
    let macs: u64 = plan.steps().iter().filter(|(_, op)| is_convolution(op)).map(|(_, op)| plan.macs(op)).sum();
    let embedding: Vec<f32> = (0..network::EMBEDDING).map(|i| (i as f32 * 0.7).sin()).collect();
    let params = network::fold(&plan, weights, &embedding).unwrap();
    let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
    let shapes: Vec<_> = plan.of_role(Role::Constant).map(|id| plan.tensor(id).clone()).collect();
    let numbers: Vec<Vec<f32>> = shapes.iter().map(|t| vec![0.1; t.shape.len()]).collect();
    let words: Vec<Vec<u32>> = shapes.iter().map(|t| vec![0xff80_8080; t.shape.len()]).collect();
    let constants: Vec<TensorView> = (0..shapes.len())
        .map(|i| if shapes[i].name == "photo" { TensorView::Words(&words[i]) } else { TensorView::F32(&numbers[i]) })
        .collect();
    let mut folded = CpuExecutor::new(plan.clone(), n_threads()).unwrap();
    folded.adopt_form(Form::Folded(&params), &embedding, &constants).unwrap();
    let mut unfolded = CpuExecutor::new(plan, n_threads()).unwrap();
    unfolded.adopt_form(Form::Unfolded(weights), &embedding, &constants).unwrap();
    let mut bytes = CpuExecutor::new(folded.plan().clone(), n_threads()).unwrap();
    let adoption = Adoption { params: params.clone(), constants: constants.clone() };
    bytes.adopt(&adoption).unwrap();
    let inputs: Vec<_> = folded.plan().of_role(Role::Input).map(|id| folded.plan().tensor(id).clone()).collect();
    let numbers: Vec<Vec<f32>> =
        inputs.iter().map(|t| (0..t.shape.len()).map(|i| 0.5 + 0.4 * (i as f32 * 0.3).sin()).collect()).collect();
    let words: Vec<Vec<u32>> = inputs.iter().map(|t| vec![u32::MAX; t.shape.len()]).collect();
    let example = (0..inputs.len())
        .map(|i| if inputs[i].name == "map" { TensorView::Words(&words[i]) } else { TensorView::F32(&numbers[i]) });
    let example = [example.collect()];
    bytes.settle(&adoption, &example).unwrap();
    let mut in_onnx = CpuExecutor::new(folded.plan().clone(), n_threads()).unwrap().in_onnx();
    in_onnx.adopt(&adoption).unwrap();
    in_onnx.settle(&adoption, &example).unwrap();
    let (mut a, mut b, mut c, mut d) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..FRAMES {
        a.extend(measure(1, || folded.run_models().unwrap()));
        b.extend(measure(1, || unfolded.run_models().unwrap()));
        c.extend(measure(1, || bytes.run_models().unwrap()));
        d.extend(measure(1, || in_onnx.run_models().unwrap()));
    }
    let (fast, slow) = (at(&mut a, 0.5), at(&mut b, 0.5));
    let rate = macs as f64 * 1e-6 / at(&mut a, 0.0);
    println!("{}: convolutions, {:.3} GMAC folded", size.name(), macs as f64 * 1e-9);
    print("folded", &mut a);
    print("unfolded", &mut b);
    print(bytes.backend(), &mut c);
    println!(
        "    {} of {} parts in loops of our own; all in ONNX Runtime:",
        bytes.n_models().1,
        bytes.n_models().0 + bytes.n_models().1
    );
    print(in_onnx.backend(), &mut d);
    println!("  {}: {:.2} times as fast as folded in f32", bytes.backend(), fast / at(&mut c, 0.5));
    println!("  folding: {:.2} times; at best {rate:.0} GMAC/s, {:.0} % of the peak", slow / fast, rate / peak * 100.0);
}

/// A whole frame, everything included, beside the warp alone.
fn frames(weights: &Weights) {
    for output_px in [512, 1024] {
        let identity = identity(output_px);
        let begin = Instant::now();
        drop(encode(weights, &identity).unwrap());
        let encoding = begin.elapsed();
        let mut neural = NeuralGenerator::new(weights.clone(), output_px, open).unwrap();
        let begin = Instant::now();
        neural.adopt(Arc::clone(&identity)).unwrap();
        let adopting = begin.elapsed();
        let mut f32 = NeuralGenerator::new(weights.clone(), output_px, open_in_f32).unwrap();
        f32.adopt(Arc::clone(&identity)).unwrap();
        let mut warp = WarpGenerator::new(output_px);
        warp.adopt(Arc::clone(&identity)).unwrap();
        let mut portrait = Portrait::default();
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        for i in 0..FRAMES {
            let t = i as f32 * 0.05;
            let mut signal = rest();
            signal.rotation = Quat::from_rotation_y(0.6 * t.sin()) * Quat::from_rotation_z(0.3 * (t * 0.7).sin());
            open_mouth(&mut signal, &identity, 0.1 + 0.1 * (t * 3.0).sin());
            times[0].extend(measure(1, || neural.generate(&signal, &mut portrait).unwrap()));
            times[1].extend(measure(1, || f32.generate(&signal, &mut portrait).unwrap()));
            times[2].extend(measure(1, || warp.generate(&signal, &mut portrait).unwrap()));
        }
        println!("{} at {output_px}: encoding {encoding:.0?}, all of adopting {adopting:.0?}", weights.size().name());
        let [chosen, exact, warp] = &mut times;
        print(neural.backend(), chosen);
        print("f32", exact);
        println!("  {}: {:.2} times as fast as f32", neural.backend(), at(exact, 0.5) / at(chosen, 0.5));
        print("warp", warp);
    }
}

fn measure(n: usize, mut run: impl FnMut()) -> Vec<Duration> {
    (0..n)
        .map(|_| {
            let begin = Instant::now();
            run();
            begin.elapsed()
        })
        .collect()
}

fn at(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3
}

fn print(what: &str, times: &mut [Duration]) {
    println!(
        "  {what:9} median {:6.2} ms  p99 {:6.2} ms  least {:6.2} ms",
        at(times, 0.5),
        at(times, 0.99),
        at(times, 0.0)
    );
}
