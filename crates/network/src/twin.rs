//! The executor that is right by definition: each op is its twin from `kernels/`, in f32, one after the other.
//!
//! For tests and for machines without ONNX Runtime at enrolment; far too slow for a live picture, and it allocates.

use super::plan::{Adoption, Element, Executor, Layout, Op, Plan, Role, TensorId, TensorView, TensorViewMut};
use crate::kernels::conv2d::conv2d;
use crate::kernels::finish::{FinishInputs, finish};
use crate::kernels::linear::linear;
use crate::kernels::motion::motion;
use crate::kernels::raster::raster;
use crate::kernels::upconv2d::upconv2d;
use crate::kernels::warp::warp;
use effigy_base::error::{Error, ErrorKind, Result};

/// Replays a plan on the twins.
#[derive(Debug)]
pub struct TwinExecutor {
    plan: Plan,
    layout: Layout,
    arena: Vec<f32>,
    /// Words, and constants of any kind, by tensor; the others live in the arena.
    words: Vec<Vec<u32>>,
    constants: Vec<Vec<f32>>,
    params: Vec<Vec<f32>>,
}

impl TwinExecutor {
    /// Takes memory for a plan.
    pub fn new(plan: Plan) -> Self {
        let layout = Layout::new(&plan, 4);
        let n = plan.tensors().len();
        Self {
            // What is read before it was written shows.
            arena: vec![f32::NAN; layout.total_bytes() / 4],
            words: vec![Vec::new(); n],
            constants: vec![Vec::new(); n],
            params: Vec::new(),
            layout,
            plan,
        }
    }

    /// The values of a tensor of numbers, as the last run left them, unless another took its place.
    pub fn values(&self, id: TensorId) -> &[f32] {
        let len = self.plan.tensor(id).shape.len();
        match self.layout.offset_bytes(id) {
            Some(offset) => &self.arena[offset / 4..][..len],
            None => &self.constants[id.index()],
        }
    }

    fn store(&mut self, id: TensorId, values: &[f32]) {
        let offset = self.layout.offset_bytes(id).map_or(0, |bytes| bytes / 4);
        self.arena[offset..][..values.len()].copy_from_slice(values);
    }

    fn optional(&self, id: Option<TensorId>) -> &[f32] {
        id.map_or(&[], |id| self.values(id))
    }

    fn optional_words(&self, id: Option<TensorId>) -> &[u32] {
        id.map_or(&[], |id| &self.words[id.index()])
    }

    /// What one op makes of the memory as it is; bytes for a finished picture.
    fn compute(&self, op: &Op) -> (Vec<f32>, Vec<u8>) {
        let plan = &self.plan;
        let mut y = vec![f32::NAN; plan.tensor(op.writes()).shape.len()];
        match op {
            Op::Conv2d(op) => {
                let [weight, bias] = [op.weight, op.bias].map(|id| &self.params[id.index()]);
                let residual = self.optional(op.residual);
                conv2d(&plan.conv2d_shape(op), self.values(op.x), weight, bias, residual, &mut y);
            }
            Op::UpConv2d(op) => {
                let [weight, bias] = [op.weight, op.bias].map(|id| &self.params[id.index()]);
                let residual = self.optional(op.residual);
                upconv2d(&plan.up_conv2d_shape(op), self.values(op.x), weight, bias, residual, &mut y);
            }
            Op::Linear(op) => {
                let [weight, bias] = [op.weight, op.bias].map(|id| &self.params[id.index()]);
                linear(&plan.linear_shape(op), self.values(op.x), weight, bias, &mut y);
            }
            Op::Warp(op) => {
                let [pose, map, mix] = op.flow.parts().map(|id| self.optional(id));
                warp(&plan.warp_shape(op), self.values(op.x), pose, map, mix, &mut y);
            }
            Op::Motion(op) => motion(&plan.motion_shape(op), self.values(op.x), &mut y),
            Op::Raster(op) => {
                raster(&plan.raster_shape(op), self.values(op.points), op.drawing.segments, &mut y);
            }
            Op::Finish(op) => {
                let mut bytes = vec![0; y.len() * 4];
                let inputs = FinishInputs {
                    decoded: self.values(op.decoded),
                    gates: self.values(op.gates),
                    mix: self.values(op.mix),
                    map: &self.words[op.map.index()],
                    pose: self.values(op.pose),
                    photo: &self.words[op.photo.index()],
                    background: self.optional_words(op.background),
                    badge: self.optional_words(op.badge),
                };
                finish(&plan.finish_shape(op), &inputs, &mut bytes);
                return (Vec::new(), bytes);
            }
        }
        (y, Vec::new())
    }
}

impl Executor for TwinExecutor {
    fn backend(&self) -> &str {
        "twin"
    }

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<()> {
        adoption.check(&self.plan);
        self.params = adoption.params.iter().map(|values| values.to_vec()).collect();
        let constants: Vec<_> = self.plan.of_role(Role::Constant).collect();
        for (id, values) in constants.into_iter().zip(&adoption.constants) {
            match values {
                TensorView::F32(values) => self.constants[id.index()] = values.to_vec(),
                TensorView::Words(values) => self.words[id.index()] = values.to_vec(),
            }
        }
        Ok(())
    }

    fn run(&mut self, inputs: &[TensorView], outputs: &mut [TensorViewMut]) -> Result<()> {
        if self.params.len() != self.plan.params().len() {
            return Err(Error::new(ErrorKind::Internal, "asked to run a network before anything was adopted"));
        }
        self.plan.check_run(inputs, outputs);
        let ids: Vec<_> = self.plan.of_role(Role::Input).collect();
        for (id, values) in ids.into_iter().zip(inputs) {
            match values {
                TensorView::F32(values) => self.store(id, values),
                TensorView::Words(values) => self.words[id.index()] = values.to_vec(),
            }
        }
        let results: Vec<_> = self.plan.of_role(Role::Output).collect();
        for step in 0..self.plan.steps().len() {
            let op = self.plan.steps()[step].1;
            let (y, bytes) = self.compute(&op);
            if self.plan.tensor(op.writes()).element == Element::Word {
                let place = results.iter().position(|&id| id == op.writes());
                if let Some(TensorViewMut::Bytes(out)) = place.map(|i| &mut outputs[i]) {
                    out.copy_from_slice(&bytes);
                }
            } else {
                self.store(op.writes(), &y);
            }
        }
        for (id, out) in results.into_iter().zip(outputs) {
            if let TensorViewMut::F32(out) = out {
                out.copy_from_slice(self.values(id));
            }
        }
        Ok(())
    }
}
