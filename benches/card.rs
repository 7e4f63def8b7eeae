//! How long the networks take on an NVIDIA card: each size, each height, as a graph and as single launches.
//!
//! `cargo bench -p effigy-network --features cuda --bench card [-- FRAMES]` prints a table, and a JSON object a line
//! behind `json:` for whoever compares. Weights and inputs are random: what a frame costs does not depend on them.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench talks to its reader and may stop at once")]

use std::time::Instant;

use effigy_network::cuda::CudaExecutor;
use effigy_network::network::{EMBEDDING, FrameOptions, Size, fold, frame};
use effigy_network::plan::{Adoption, Element, Executor as _, Plan, Role, TensorView, TensorViewMut};
use effigy_network::roofline::CARDS;
use effigy_network::weights::Weights;

/// Heights of pictures that people stream.
const HEIGHTS_PX: [usize; 4] = [256, 512, 720, 1080];
/// Runs before the clock counts: the card's own clock rises.
const WARM_UP: usize = 50;

fn main() {
    let n_frames = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(500);
    println!("network      height  how       on the card p50    p99    whole call p50    p99   estimated");
    for size in Size::ALL {
        let weights = Weights::random(size, 1);
        for height_px in HEIGHTS_PX {
            let plan = frame(&FrameOptions::new(size, height_px));
            for is_graph in [true, false] {
                let open = if is_graph { CudaExecutor::new } else { CudaExecutor::without_graph };
                let mut executor = open(plan.clone()).unwrap();
                measure(&mut executor, (size, height_px, is_graph), &plan, &weights, n_frames);
            }
        }
    }
}

fn measure(
    executor: &mut CudaExecutor,
    (size, height_px, is_graph): (Size, usize, bool),
    plan: &Plan,
    weights: &Weights,
    n_frames: usize,
) {
    let embedding: Vec<f32> = (0..EMBEDDING).map(|i| (i as f32 * 0.7).sin()).collect();
    let params = fold(plan, weights, &embedding).unwrap();
    let constants = Values::of(plan, Role::Constant);
    let params = params.iter().map(Vec::as_slice).collect();
    executor.adopt(&Adoption { params, constants: constants.views() }).unwrap();
    let inputs = Values::of(plan, Role::Input);
    let views = inputs.views();
    let mut picture = vec![0; 4 * height_px * height_px];
    let mut run = || {
        let begun = Instant::now();
        executor.run(&views, &mut [TensorViewMut::Bytes(&mut picture)]).unwrap();
        begun.elapsed().as_secs_f64() * 1e3
    };
    for _ in 0..WARM_UP.min(n_frames) {
        run();
    }
    let mut calls_ms: Vec<f64> = (0..n_frames).map(|_| run()).collect();
    let mut card_ms: Vec<f64> = executor.frames_on_card_ms(n_frames).unwrap().into_iter().map(f64::from).collect();
    let card = executor.card().to_owned();
    let model = CARDS.iter().find(|model| card.contains(model.name));
    let estimated_ms = model.map(|model| model.estimate(plan).total_secs() * 1e3);
    let (how, shown) =
        (if is_graph { "graph" } else { "launches" }, estimated_ms.map_or("-".to_owned(), |ms| format!("{ms:.3}")));
    let [p50, p99, call_p50, call_p99] =
        [at(&mut card_ms, 0.5), at(&mut card_ms, 0.99), at(&mut calls_ms, 0.5), at(&mut calls_ms, 0.99)];
    println!(
        "{:12} {height_px:6}  {how:8}  {p50:11.3} ms {p99:6.3} {call_p50:14.3} ms {call_p99:6.3} {shown:>11}",
        size.name()
    );
    let gmac = plan.total_macs() as f64 * 1e-9;
    println!(
        "json:{{\"card\":\"{card}\",\"network\":\"{}\",\"height_px\":{height_px},\"how\":\"{how}\",\"n\":{n_frames},\
         \"card_ms\":[{p50},{p99}],\"call_ms\":[{call_p50},{call_p99}],\"gmac\":{gmac:.4},\"estimated_ms\":{}}}",
        size.name(),
        estimated_ms.map_or("null".to_owned(), |ms| ms.to_string())
    );
}

/// Numbers for all tensors of a role.
struct Values(Vec<(Vec<f32>, Vec<u32>)>);

impl Values {
    fn of(plan: &Plan, role: Role) -> Self {
        let values = |id| {
            let tensor = plan.tensor(id);
            let n = tensor.shape.len();
            match tensor.element {
                Element::Word => (Vec::new(), (0..n as u32).map(|i| i.wrapping_mul(2_654_435_761)).collect()),
                _ => ((0..n).map(|i| 0.5 + 0.4 * (i as f32 * 0.3).sin()).collect(), Vec::new()),
            }
        };
        Self(plan.of_role(role).map(values).collect())
    }

    fn views(&self) -> Vec<TensorView<'_>> {
        self.0
            .iter()
            .map(|(numbers, words)| match words.is_empty() {
                true => TensorView::F32(numbers),
                false => TensorView::Words(words),
            })
            .collect()
    }
}

fn at(times: &mut [f64], part: f64) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * part) as usize]
}
