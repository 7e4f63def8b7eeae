#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::schedule::{Part, Progress, parts};
use super::*;
use crate::cpu::segments::cut;
use crate::plan::{Adoption, ConvSpec, Element, Executor, Recorder, Role, TensorView, TensorViewMut};
use crate::twin::TwinExecutor;

/// What the layer in bytes is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain { kernel: usize, stride: usize },
    Up,
}

/// Numbers from -1 to 1, the same in every run.
fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| (((i * 7919 + seed * 104_729) % 255) as f32 - 127.0) / 127.0).collect()
}

/// A layer in bytes over a concatenation of `c_in` channels, with a residual or without, and one of `n_last` numbers behind it.
struct Case {
    c_in: usize,
    c_out: usize,
    n_last: usize,
    size: (usize, usize),
    kind: Kind,
    has_residual: bool,
    is_last_up: bool,
}

impl Case {
    /// The plan; its middle layer is read by the host when `is_shown`.
    fn plan(&self, is_shown: bool) -> (Plan, TensorId) {
        let (h, w) = self.size;
        let mut r = Recorder::new("case");
        // Loops write the parts of a concatenation: what stays in its place is a copy.
        let n_first = self.c_in.min(8);
        let mut copy = |name: &str, c: usize, (h, w)| {
            let x = r.input(name, Shape::new(c, h, w), Element::Half);
            r.warp(&format!("{name} copied"), x, crate::plan::Flow::Stay, (h, w))
        };
        let mut inputs = vec![copy("a", n_first, (h, w))];
        if self.c_in > n_first {
            inputs.push(copy("b", self.c_in - n_first, (h, w)));
        }
        let extents = match self.kind {
            Kind::Plain { stride, .. } => (h.div_ceil(stride), w.div_ceil(stride)),
            Kind::Up => (2 * h, 2 * w),
        };
        let residual = self.has_residual.then(|| copy("residual", self.c_out, extents));
        let x = r.concat("joined", &inputs);
        let mut spec = ConvSpec::new(self.c_out);
        spec.residual = residual;
        let y = match self.kind {
            Kind::Plain { kernel, stride } => r.conv2d("middle", x, spec.kernel(kernel).stride(stride)),
            Kind::Up => r.up_conv2d("middle", x, spec),
        };
        let last = ConvSpec::new(self.n_last).activation(Activation::None);
        let last = if self.is_last_up { r.up_conv2d("last", y, last) } else { r.conv2d("last", y, last) };
        r.output(if is_shown { y } else { last });
        (r.end(), y)
    }

    fn params(plan: &Plan) -> Vec<Vec<f32>> {
        let number = |(i, param): (usize, &crate::plan::Param)| numbers(param.dims.iter().product(), i + 5);
        plan.params().iter().enumerate().map(number).collect()
    }

    /// What a plain executor makes of it.
    fn twin(&self, is_shown: bool) -> Vec<f32> {
        let (plan, _) = self.plan(is_shown);
        let params = Self::params(&plan);
        let output = plan.of_role(Role::Output).next().unwrap();
        let mut y = vec![0.0; plan.tensor(output).shape.len()];
        let inputs = self.inputs(&plan);
        let inputs: Vec<TensorView> = inputs.iter().map(|values| TensorView::F32(values)).collect();
        let mut twin = TwinExecutor::new(plan);
        twin.adopt(&Adoption { params: params.iter().map(Vec::as_slice).collect(), constants: Vec::new() }).unwrap();
        twin.run(&inputs, &mut [TensorViewMut::F32(&mut y)]).unwrap();
        y
    }

    fn inputs(&self, plan: &Plan) -> Vec<Vec<f32>> {
        let input = |(i, id)| numbers(plan.tensor(id).shape.len(), i);
        plan.of_role(Role::Input).enumerate().map(input).collect()
    }

    /// The segment's model, with ranges of bytes in which inputs and weights are exact; and the step of the middle layer.
    fn model(&self, loops: Loops) -> (Option<DirectModel>, f32) {
        let (plan, middle) = self.plan(false);
        let params = Self::params(&plan);
        let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
        let (_, segments) = cut(&plan);
        assert_eq!(segments.len(), 1);
        let mut ranges = Ranges::new(&plan);
        let shown = self.twin(true);
        let least = shown.iter().copied().fold(0.0, f32::min);
        let most = shown.iter().copied().fold(0.0, f32::max);
        for id in (0..plan.tensors().len()).map(TensorId::at) {
            ranges.set(id, (-1.0, 1.0 + 1.0 / 127.0));
        }
        ranges.set(middle, (least, most));
        (DirectModel::with_loops(loops, &plan, &segments[0], &params, &ranges), (most - least) / 255.0)
    }
}

#[test]
fn layers_are_those_of_the_twin_but_for_half_a_step() {
    for loops in available() {
        layers_are_those_of_the_twin(loops);
    }
}

/// The loops that this processor runs; without any there is nothing to test, and ONNX Runtime is tested elsewhere.
fn available() -> impl Iterator<Item = Loops> {
    Loops::ALL.into_iter().filter(|loops| loops.is_available())
}

fn layers_are_those_of_the_twin(loops: Loops) {
    let plain = |kernel, stride| Kind::Plain { kernel, stride };
    let cases = [
        (4, 4, 1, (5, 7), plain(3, 1), false, false),
        (10, 8, 2, (6, 9), plain(3, 2), true, true),
        (24, 24, 7, (16, 16), plain(3, 1), true, false),
        (24, 40, 7, (16, 16), plain(3, 2), false, false),
        (42, 32, 5, (12, 20), plain(3, 1), false, true),
        (58, 48, 3, (8, 33), plain(1, 1), true, false),
        (106, 96, 8, (9, 8), plain(3, 1), true, false),
        (64, 40, 7, (4, 8), Kind::Up, true, false),
        (40, 64, 5, (3, 11), Kind::Up, true, true),
    ];
    let second = SecondThread::new(true);
    for (c_in, c_out, n_last, size, kind, has_residual, is_last_up) in cases {
        let case = Case { c_in, c_out, n_last, size, kind, has_residual, is_last_up };
        let (model, step) = case.model(loops);
        let mut model = model.unwrap();
        let (plan, _) = case.plan(false);
        // The inputs stand in the order of the plan's, whose copies the segment reads; of a concatenation, all at once.
        let mut inputs = case.inputs(&plan);
        let residual = has_residual.then(|| inputs.pop().unwrap());
        let joined = inputs.concat();
        model.input_mut(0).copy_from_slice(&joined);
        if let Some(residual) = residual {
            model.input_mut(1).copy_from_slice(&residual);
        }
        model.run(&second);
        let (found, expected) = (model.output(0), case.twin(false));
        assert_eq!(found.len(), expected.len());
        // Each number of the middle layer is at most half a step off, and each weight of the last one at most 1.
        let n_taps = if is_last_up { 4 } else { 9 };
        let bound = (n_taps * c_out) as f32 * step * 0.5;
        let typical = ((n_taps * c_out) as f32).sqrt() * step;
        let errors: Vec<f32> = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).collect();
        let (worst, mean) =
            (errors.iter().copied().fold(0.0, f32::max), errors.iter().sum::<f32>() / errors.len() as f32);
        assert!(
            worst <= bound && mean <= typical,
            "{loops:?}, {kind:?} of {c_in}: {worst} of {bound}, {mean} of {typical}"
        );
        let size = expected.iter().map(|value| value.abs()).sum::<f32>() / expected.len() as f32;
        assert!(mean < size * 0.05, "{loops:?}, {kind:?} of {c_in}: the error is {mean}, the numbers {size}");
        // The same whoever does it.
        let found = found.to_vec();
        model.run(&SecondThread::new(false));
        assert_eq!(model.output(0), found);
    }
}

#[test]
fn what_it_cannot_run_is_left_to_onnx_runtime() {
    let case = |c_out, n_last| Case {
        c_in: 8,
        c_out,
        n_last,
        size: (8, 8),
        kind: Kind::Plain { kernel: 3, stride: 1 },
        has_residual: false,
        is_last_up: false,
    };
    for loops in Loops::ALL {
        assert!(case(6, 4).model(loops).0.is_none(), "channels that fill no group");
        assert!(case(8, 9).model(loops).0.is_none(), "more numbers than two-byte weights are for");
        assert!(case(8, 8).model(loops).0.is_some());
    }
}

#[test]
fn few_lanes_are_idle() {
    let found = [8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 144].map(|n| Loops::Avx512.n_vectors(n));
    assert_eq!(found, [1, 1, 2, 2, 3, 3, 2, 1, 3, 2, 3]);
}

#[test]
fn sigmoids_are_close() {
    let numbers: Vec<f32> = (-4000..=4000).map(|i| i as f32 / 100.0).chain([f32::MIN, f32::MAX, 0.0]).collect();
    let found = numbers.iter().map(|&x| tile::sigmoid(x));
    for (x, found) in numbers.iter().zip(found) {
        let expected = 1.0 / (1.0 + (-f64::from(*x)).exp());
        assert!((f64::from(found) - expected).abs() < 1e-6, "{x}: {found}, expected {expected}");
    }
}

#[test]
fn parts_cover_all_rows_and_wait_for_the_layers_before() {
    let parts = parts(&[(16, 0), (3, 0), (20, 2), (1, 3)]);
    for (layer, n_rows) in [16, 3, 20, 1].into_iter().enumerate() {
        let rows: Vec<usize> = parts.iter().filter(|part| part.layer == layer).flat_map(|p| p.rows.clone()).collect();
        assert_eq!(rows, (0..n_rows).collect::<Vec<_>>());
    }
    for part in &parts {
        let n_before = parts.iter().filter(|other| other.layer < part.layer && (part.layer, other.layer) != (1, 0));
        assert_eq!(part.after, if part.layer == 1 { 0 } else { n_before.count() }, "{part:?}");
    }
}

/// Whoever takes part, and whenever they come, a layer begins only when those before it have ended.
#[test]
fn layers_follow_each_other_on_any_number_of_threads() {
    let parts = parts(&[(8, 0), (8, 1), (8, 2), (8, 3)]);
    for n_threads in 1..=3 {
        let (progress, n_ended, order) = (Progress::default(), AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..n_threads {
                scope.spawn(|| {
                    progress.work(&parts, |part: &Part| {
                        assert!(n_ended.load(Ordering::SeqCst) >= part.after, "{part:?}");
                        order.lock().unwrap().push(part.layer);
                        std::thread::yield_now();
                        n_ended.fetch_add(1, Ordering::SeqCst);
                    });
                });
            }
        });
        let order = order.into_inner().unwrap();
        assert!(order.is_sorted() && order.len() == parts.len(), "{order:?}");
    }
}

#[test]
fn a_thread_that_panics_keeps_nobody_waiting() {
    let parts = parts(&[(8, 0), (8, 1)]);
    let progress = Progress::default();
    let outcomes = std::thread::scope(|scope| {
        let work = || {
            progress.work(&parts, |part| assert!(part.rows.start != 3 || part.layer != 0, "torn"));
        };
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.map(|thread| thread.join().is_err())
    });
    assert_eq!(outcomes.iter().filter(|has_panicked| **has_panicked).count(), 1, "{outcomes:?}");
}
