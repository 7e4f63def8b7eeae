//! How long each op of the network takes on the processor, alone, and what part of the machine's peak that is.
//!
//! Convolutions are compared with the fastest of them, the others with the speed of copying memory.
//! `cargo bench --bench kernels [-- small|large]`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench talks to its reader and may stop at once")]

use std::time::{Duration, Instant};

use effigy_network::cpu::CpuExecutor;
use effigy_network::motion::{Forecast, Forecaster, History, MotionSample};
use effigy_network::network::{FrameOptions, Size, frame};
use effigy_network::plan::Element;
use effigy_network::plan::{
    Adoption, ConvSpec, Executor, Finish, Flow, Op, Plan, Recorder, Role, TensorId, TensorView, TensorViewMut,
};

const RUNS: usize = 40;

fn main() {
    let size = std::env::args().find_map(|arg| Size::ALL.into_iter().find(|size| size.name() == arg));
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(2);
    for output_px in [512, 1024] {
        let plan = frame(&FrameOptions::new(size.unwrap_or(Size::Small), output_px));
        println!("{} on {n_threads} threads (loops of our own on one)", plan.name());
        let mut rows = Vec::new();
        for (layer, op) in plan.steps() {
            let is_new = output_px == 512 || matches!(op, Op::Finish(_));
            if is_new {
                let alone = alone(&plan, layer, op);
                rows.push((
                    layer.clone(),
                    plan.macs(op),
                    plan.bytes(op) * 2,
                    is_convolution(op),
                    time(alone, n_threads),
                ));
            }
        }
        let best = rows.iter().filter(|row| row.3).map(|row| row.1 as f64 / row.4[0]).fold(1.0, f64::max);
        let copy = copy_bytes_per_ms();
        for (layer, macs, bytes, is_convolution, [median, max]) in rows {
            let share = if is_convolution { macs as f64 / median / best } else { bytes as f64 / median / copy };
            let rate = if is_convolution { macs as f64 * 1e-6 / median } else { bytes as f64 * 1e-6 / median };
            let unit = if is_convolution { "GMAC/s" } else { "GB/s" };
            println!(
                "  {layer:18} median {median:7.3} ms  max {max:7.3} ms  {rate:7.1} {unit:6} {:3.0} % of the peak",
                share * 100.0
            );
        }
    }
    look_ahead();
}

/// What looking ahead adds to a frame.
fn look_ahead() {
    let mut history = History::default();
    for i in 0..60_u8 {
        history.push(&MotionSample { secs: f64::from(i) / 60.0, ..MotionSample::default() });
    }
    let (model, mut forecast) = (Forecaster::built_in().unwrap(), Forecast::default());
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            assert!(model.look_ahead(&history, 0.066, &mut forecast));
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    let [median, max] = [times[RUNS / 2], times[RUNS - 1]].map(|time| time.as_secs_f64() * 1e3);
    println!("looking 66 ms ahead  median {median:7.3} ms  max {max:7.3} ms");
}

fn is_convolution(op: &Op) -> bool {
    matches!(op, Op::Conv2d(_) | Op::UpConv2d(_))
}

/// A plan of this op only: what it reads is the host's.
fn alone(plan: &Plan, layer: &str, op: &Op) -> Plan {
    let mut r = Recorder::new(layer);
    let mut known: Vec<(TensorId, TensorId)> = Vec::new();
    for id in op.reads() {
        if known.iter().all(|(old, _)| *old != id) {
            let tensor = plan.tensor(id);
            let new = match tensor.role {
                Role::Constant => r.constant(&tensor.name, tensor.shape, tensor.element),
                _ => r.input(&tensor.name, tensor.shape, tensor.element),
            };
            known.push((id, new));
        }
    }
    let to = |id: TensorId| known.iter().find(|(old, _)| *old == id).unwrap().1;
    let out = plan.tensor(op.writes()).shape;
    let y = match *op {
        Op::Conv2d(op) => {
            let mut spec = ConvSpec::new(out.c).kernel(op.kernel).stride(op.stride).activation(op.activation);
            spec.residual = op.residual.map(to);
            r.conv2d("y", to(op.x), spec)
        }
        Op::UpConv2d(op) => {
            let mut spec = ConvSpec::new(out.c).activation(op.activation);
            spec.residual = op.residual.map(to);
            r.up_conv2d("y", to(op.x), spec)
        }
        Op::Linear(op) => r.linear("y", to(op.x), out, op.activation),
        Op::Warp(op) => {
            let flow = match op.flow {
                Flow::Stay => Flow::Stay,
                Flow::Body { pose } => Flow::Body { pose: to(pose) },
                Flow::Head { pose } => Flow::Head { pose: to(pose) },
                Flow::Mesh { map } => Flow::Mesh { map: to(map) },
                Flow::Mixed { mix, map, pose } => Flow::Mixed { mix: to(mix), map: to(map), pose: to(pose) },
            };
            r.warp("y", to(op.x), flow, (out.h, out.w))
        }
        Op::Motion(op) => r.motion("y", to(op.x)),
        Op::Raster(op) => r.raster("y", to(op.points), op.drawing, op.radius_px, (out.h, out.w)),
        Op::Finish(op) => {
            let [decoded, gates, mix, map, pose, photo] =
                [op.decoded, op.gates, op.mix, op.map, op.pose, op.photo].map(to);
            r.finish("y", Finish { decoded, gates, mix, map, pose, photo, ..op })
        }
    };
    r.output(y);
    r.end()
}

/// Median and longest time in milliseconds.
fn time(plan: Plan, n_threads: usize) -> [f64; 2] {
    let params: Vec<Vec<f32>> = plan.params().iter().map(|p| vec![0.01; p.dims.iter().product()]).collect();
    let values = |role| -> (Vec<Vec<f32>>, Vec<Vec<u32>>) {
        plan.of_role(role).map(|id| (numbers(&plan, id), words(&plan, id))).unzip()
    };
    let (constants, inputs) = (values(Role::Constant), values(Role::Input));
    let views = |role, values: &'_ (Vec<Vec<f32>>, Vec<Vec<u32>>)| -> Vec<TensorView<'static>> {
        let view = |(i, id): (usize, TensorId)| match plan.tensor(id).element {
            Element::Word => TensorView::Words(values.1[i].clone().leak()),
            _ => TensorView::F32(values.0[i].clone().leak()),
        };
        plan.of_role(role).enumerate().map(view).collect()
    };
    let (constants, inputs) = (views(Role::Constant, &constants), views(Role::Input, &inputs));
    let mut executor = CpuExecutor::new(plan.clone(), n_threads).unwrap();
    executor.adopt(&Adoption { params: params.iter().map(Vec::as_slice).collect(), constants }).unwrap();
    let id = plan.of_role(Role::Output).next().unwrap();
    let n = plan.tensor(id).shape.len();
    let (mut floats, mut bytes) = (vec![0.0; n], vec![0; 4 * n]);
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let out = match plan.tensor(id).element {
                Element::Word => TensorViewMut::Bytes(&mut bytes),
                _ => TensorViewMut::F32(&mut floats),
            };
            let begin = Instant::now();
            executor.run(&inputs, &mut [out]).unwrap();
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    [times[RUNS / 2], times[RUNS - 1]].map(|time| time.as_secs_f64() * 1e3)
}

/// Plausible values: places near their own, everything else small.
fn numbers(plan: &Plan, id: TensorId) -> Vec<f32> {
    let tensor = plan.tensor(id);
    let (h, w) = (tensor.shape.h, tensor.shape.w);
    let value = |k: usize| match tensor.name.as_str() {
        "pose" => [0.98, 0.02, 0.01, -0.02, 0.98, 0.01][k % 6],
        "landmarks" => 0.5 + 0.3 * ((k / 2) as f32 * 0.013 + (k % 2) as f32 * 1.6).sin(),
        "map32" | "map64" | "map128" => {
            [(k % w) as f32 / w as f32 + 0.01, (k / w % h) as f32 / h as f32 - 0.01, 1.0][k / (h * w)]
        }
        "mix" => [0.05, 0.05, 0.05, 0.85, 0.002, -0.001, 0.8][k / (h * w)],
        _ => 0.3 + 0.1 * (k as f32 * 0.37).sin(),
    };
    if tensor.element == Element::Word { Vec::new() } else { (0..tensor.shape.len()).map(value).collect() }
}

fn words(plan: &Plan, id: TensorId) -> Vec<u32> {
    let tensor = plan.tensor(id);
    let w = tensor.shape.w;
    let value = |k: usize| match tensor.name.as_str() {
        "map" => ((k % w + w / 8) * 32 + 7) as u32 | (((k / w + w / 8) * 32 + 9) as u32) << 16,
        _ => 0xff00_0000 | (k as u32).wrapping_mul(2_654_435_761) >> 8,
    };
    if tensor.element == Element::Word { (0..tensor.shape.len()).map(value).collect() } else { Vec::new() }
}

/// Bytes read and written in a millisecond by copying what fits no cache.
fn copy_bytes_per_ms() -> f64 {
    let from = vec![1_u8; 64 << 20];
    let mut to = vec![0_u8; 64 << 20];
    let best = (0..5)
        .map(|_| {
            let begin = Instant::now();
            to.copy_from_slice(std::hint::black_box(&from));
            std::hint::black_box(&mut to);
            begin.elapsed().as_secs_f64() * 1e3
        })
        .fold(f64::MAX, f64::min);
    (2 * to.len()) as f64 / best
}
