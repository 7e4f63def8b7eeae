//! Cuts a plan into models and loops, and finds a place for each tensor.

use super::segment::{Segment, is_left_in_phases};
use super::{Place, Stage};
use crate::plan::{Op, Plan, Role, TensorId};

/// Cuts a plan: convolutions that can follow each other become one model; a loop runs as early as it can, so that
/// few models are enough.
pub(super) fn cut(plan: &Plan) -> (Vec<Stage>, Vec<Segment>) {
    let mut stages = Vec::new();
    let mut segments: Vec<Segment> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let close = |open: &mut Vec<usize>, stages: &mut Vec<Stage>, segments: &mut Vec<Segment>| {
        if !open.is_empty() {
            stages.push(Stage::Model(segments.len()));
            segments.push(Segment { steps: std::mem::take(open), ..Segment::default() });
        }
    };
    for (step, (_, op)) in plan.steps().iter().enumerate() {
        if matches!(op, Op::Conv2d(_) | Op::UpConv2d(_) | Op::Linear(_)) {
            open.push(step);
            continue;
        }
        let waits = op.reads().any(|id| writers(plan, id).iter().any(|writer| open.contains(writer)));
        if waits {
            close(&mut open, &mut stages, &mut segments);
        }
        stages.push(Stage::Native(step));
    }
    close(&mut open, &mut stages, &mut segments);
    let all = segments.clone();
    for (i, segment) in segments.iter_mut().enumerate() {
        connect(plan, segment, |id| {
            let elsewhere = |step: usize| !all[i].steps.contains(&step);
            plan.steps().iter().enumerate().any(|(step, (_, op))| {
                elsewhere(step)
                    && op.reads().any(|read| read == id || plan.tensor(id).parent.is_some_and(|(p, _)| p == read))
            })
        });
    }
    (stages, segments)
}

/// The steps that write a tensor: several for a concatenation.
fn writers(plan: &Plan, id: TensorId) -> Vec<usize> {
    let writes_it = |op: &Op| op.writes() == id || plan.tensor(op.writes()).parent.is_some_and(|(p, _)| p == id);
    (0..plan.steps().len()).filter(|&step| writes_it(&plan.steps()[step].1)).collect()
}

/// Finds what goes into and out of a segment; `is_read_elsewhere` says whether others need a tensor.
fn connect(plan: &Plan, segment: &mut Segment, is_read_elsewhere: impl Fn(TensorId) -> bool) {
    let steps = segment.steps.clone();
    for &step in &steps {
        let op = &plan.steps()[step].1;
        for id in op.reads() {
            let writers = writers(plan, id);
            let n_here = writers.iter().filter(|writer| steps.contains(writer)).count();
            if n_here > 0 {
                // Made here; of a concatenation, the parts that are not come in one by one.
                for writer in writers.into_iter().filter(|writer| !steps.contains(writer)) {
                    push(&mut segment.inputs, plan.steps()[writer].1.writes());
                }
            } else {
                push(&mut segment.inputs, id);
            }
        }
        let y = op.writes();
        if plan.tensor(y).role == Role::Output || is_read_elsewhere(y) {
            push(&mut segment.outputs, y);
        }
    }
    segment.in_phases = segment.outputs.iter().map(|&y| is_left_in_phases(plan, &steps, y)).collect();
}

fn push(ids: &mut Vec<TensorId>, id: TensorId) {
    if !ids.contains(&id) {
        ids.push(id);
    }
}

/// Where each tensor's values are: in a model's input if loops write it and only that model reads it.
pub(super) fn places(plan: &Plan, stages: &[Stage], segments: &[Segment]) -> Vec<Place> {
    let is_native = |step: usize| stages.iter().any(|stage| matches!(stage, Stage::Native(s) if *s == step));
    let ids = plan.steps().iter().map(|(_, op)| op.writes());
    let mut places = vec![Place::Own; plan.tensors().len()];
    let homes = plan.steps().iter().flat_map(|(_, op)| op.reads());
    for id in ids.chain(homes) {
        let readers: Vec<(usize, usize)> = segments
            .iter()
            .enumerate()
            .filter_map(|(model, s)| Some((model, s.inputs.iter().position(|&input| input == id)?)))
            .collect();
        let family = |read: TensorId| read == id || plan.home(read).0 == id || plan.home(id).0 == read;
        let is_read_by_loop =
            plan.steps().iter().enumerate().any(|(step, (_, op))| is_native(step) && op.reads().any(family));
        let writers = writers(plan, id);
        let is_written_by_loops = !writers.is_empty() && writers.iter().all(|&step| is_native(step));
        // A part and its whole cannot both be inputs of their own.
        let other_readers =
            segments.iter().flat_map(|s| &s.inputs).filter(|&&input| input != id && family(input)).count();
        if let [reader] = readers[..]
            && !is_read_by_loop
            && is_written_by_loops
            && other_readers == 0
            && plan.tensor(id).role == Role::Inner
        {
            places[id.index()] = Place::Input(reader.0, reader.1);
        }
    }
    places
}
