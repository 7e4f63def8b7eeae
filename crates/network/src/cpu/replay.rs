//! What the executor does in a frame: its models and its loops, each on the memory of the others.

use super::native;
use super::{CpuExecutor, Place};
use crate::plan::{Op, Plan, Role, TensorId, TensorView, TensorViewMut};
use effigy_base::error::Result;

impl CpuExecutor {
    /// Runs a model: what it reads goes in, what it writes comes out.
    pub(super) fn run_model(&mut self, model: usize, inputs: &[TensorView]) -> Result<()> {
        let segment = &self.segments[model];
        let runs = &mut self.models[model];
        for (i, &id) in segment.inputs.iter().enumerate() {
            let tensor = self.plan.tensor(id);
            match (tensor.role, self.places[id.index()]) {
                (Role::Constant, _) | (_, Place::Input(..)) => {}
                (Role::Input, Place::Own) => {
                    runs.input_mut(i).copy_from_slice(number(&inputs[self.ordinals[id.index()]]));
                }
                (Role::Inner | Role::Output, Place::Own) => {
                    let (home, first) = self.plan.home(id);
                    let values = &self.values[home.index()][first..][..tensor.shape.len()];
                    runs.input_mut(i).copy_from_slice(values);
                }
            }
        }
        runs.run(&self.second)?;
        for (i, &id) in segment.outputs.iter().enumerate() {
            let (home, first) = self.plan.home(id);
            let from = runs.output(i);
            let shape = self.plan.tensor(id).shape;
            let to = &mut self.values[home.index()][first..][..shape.len()];
            if from.len() == to.len() {
                to.copy_from_slice(from);
            } else {
                native::interleave(from, (shape.h / 2, shape.w / 2), to);
            }
        }
        Ok(())
    }

    /// Runs a step of the plan in a loop of our own.
    pub(super) fn run_native(&mut self, step: usize, inputs: &[TensorView], outputs: &mut [TensorViewMut]) {
        let Self { plan, models, places, values, constants, constant_words, ordinals, .. } = self;
        let op = &plan.steps()[step].1;
        if let Op::Finish(op) = op {
            let read = |id: TensorId| read(plan, values, constants, ordinals, inputs, id);
            let words = |id: TensorId| match plan.tensor(id).role {
                Role::Input => word(&inputs[ordinals[id.index()]]),
                _ => &constant_words[ordinals[id.index()]],
            };
            if let TensorViewMut::Bytes(out) = &mut outputs[ordinals[op.y.index()]] {
                let given = native::given(op, read, words);
                self.finish_loop.run(&self.second, &plan.finish_shape(op), &given, out);
            }
            return;
        }
        let (home, first) = plan.home(op.writes());
        let len = plan.tensor(op.writes()).shape.len();
        // The op's own memory is set aside while the rest is read.
        let mut own = std::mem::take(&mut values[home.index()]);
        let read = |id: TensorId| read(plan, values, constants, ordinals, inputs, id);
        let part = places[op.writes().index()];
        let y = match (part, places[home.index()]) {
            (Place::Input(model, input), _) => models[model].input_mut(input),
            (_, Place::Input(model, input)) => &mut models[model].input_mut(input)[first..][..len],
            _ => &mut own[first..][..len],
        };
        match op {
            Op::Warp(op) => {
                let shape = plan.warp_shape(op);
                let [pose, map, mix] = op.flow.parts().map(|id| id.map_or(&[][..], read));
                self.warp_loop.run(&self.second, &shape, [read(op.x), pose, map, mix], y);
            }
            Op::Motion(op) => crate::kernels::motion::motion(&plan.motion_shape(op), read(op.x), y),
            Op::Raster(op) => native::raster(&plan.raster_shape(op), read(op.points), op.drawing.segments, y),
            Op::Conv2d(_) | Op::UpConv2d(_) | Op::Linear(_) | Op::Finish(_) => {}
        }
        values[home.index()] = own;
    }
}

/// The values of a tensor of numbers that is not a model's input only.
fn read<'a>(
    plan: &Plan,
    values: &'a [Vec<f32>],
    constants: &'a [Vec<f32>],
    ordinals: &[usize],
    inputs: &[TensorView<'a>],
    id: TensorId,
) -> &'a [f32] {
    match plan.tensor(id).role {
        Role::Input => number(&inputs[ordinals[id.index()]]),
        Role::Constant => &constants[ordinals[id.index()]],
        Role::Inner | Role::Output => {
            let (home, first) = plan.home(id);
            &values[home.index()][first..][..plan.tensor(id).shape.len()]
        }
    }
}

fn number<'a>(view: &TensorView<'a>) -> &'a [f32] {
    match view {
        TensorView::F32(values) => values,
        TensorView::Words(_) => &[],
    }
}

fn word<'a>(view: &TensorView<'a>) -> &'a [u32] {
    match view {
        TensorView::Words(values) => values,
        TensorView::F32(_) => &[],
    }
}
