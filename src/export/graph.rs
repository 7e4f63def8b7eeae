//! Turns a whole plan into one ONNX model: convolutions as the processor's executor lowers them, everything else in the
//! standard's words.
//!
//! All values are (n, c, h, w) with n pictures; what one identity keeps has n = 1. Places are computed by products and sums
//! of single numbers, never by a matrix product, which cards may round to 11 bits.

use std::collections::{BTreeMap, BTreeSet};

use super::{Port, PortKind};
use crate::error::{Error, ErrorKind, Result};
use crate::generate::cpu::lower::{Form, Lowering};
use crate::generate::cpu::segment::{Segment, name, parts};
use crate::generate::plan::{Element, Motion, Op, Plan, Role, TensorId};
use crate::onnx::writer::{Attribute, Extent, FLOAT, FLOAT16, ModelWriter, UINT8};

/// A constant's values, where the model holds them; see `Graph::new`.
pub(super) enum Held<'a> {
    Numbers(&'a [f32]),
    /// Pixels, red in the lowest byte.
    Pixels(&'a [u32]),
}

/// A model while it is written.
pub(super) struct Graph<'a> {
    pub(super) lowering: Lowering<'a>,
    pub(super) plan: &'a Plan,
    is_half: bool,
    /// Constants that the model holds.
    held: BTreeSet<TensorId>,
    /// Concatenations that are there by now.
    joined: BTreeSet<TensorId>,
    /// Values in f32 of tensors that are stored in 16 bits.
    widened: BTreeMap<TensorId, String>,
    /// Drawings by their points, sizes and radius; poses; mixed motions by their size.
    pub(super) drawn: BTreeMap<String, String>,
    pub(super) inputs: Vec<Port>,
}

/// Every convolution of a plan as one segment.
pub(super) fn whole(plan: &Plan) -> Segment {
    let is_convolution =
        |step: &usize| matches!(plan.steps()[*step].1, Op::Conv2d(_) | Op::UpConv2d(_) | Op::Linear(_));
    Segment { steps: (0..plan.steps().len()).filter(is_convolution).collect(), ..Segment::default() }
}

impl<'a> Graph<'a> {
    /// Begins a model. `constants` are those of the plan in its order; what is `None` becomes an input.
    pub(super) fn new(
        plan: &'a Plan,
        segment: &'a Segment,
        form: Form<'a>,
        is_half: bool,
        constants: &[Option<Held>],
    ) -> Self {
        let mut model = ModelWriter::default();
        model.set_half(is_half);
        let mut graph = Self {
            lowering: Lowering { plan, form, model, segment },
            plan,
            is_half,
            held: BTreeSet::new(),
            joined: BTreeSet::new(),
            widened: BTreeMap::new(),
            drawn: BTreeMap::new(),
            inputs: Vec::new(),
        };
        for id in plan.of_role(Role::Input) {
            graph.declare(id);
        }
        for (id, held) in plan.of_role(Role::Constant).zip(constants) {
            match held {
                Some(held) => graph.hold(id, held),
                None => graph.declare(id),
            }
        }
        graph
    }

    pub(super) fn model(&mut self) -> &mut ModelWriter {
        &mut self.lowering.model
    }

    /// Makes a tensor of the plan an input of the model, of the tensor's own name.
    fn declare(&mut self, id: TensorId) {
        let tensor = self.plan.tensor(id);
        let shape = tensor.shape;
        let (kind, element, dims) = match (tensor.element, tensor.role) {
            // Pixels of a photo, as planes.
            (Element::Word, Role::Constant) => (PortKind::Bytes, UINT8, [4, shape.h, shape.w]),
            // Packed places, byte by byte as they lie in memory.
            (Element::Word, _) => (PortKind::Bytes, UINT8, [shape.h, shape.w, 4]),
            _ => (PortKind::F32, FLOAT, [shape.c, shape.h, shape.w]),
        };
        self.declare_as(&tensor.name, kind, element, &dims);
        let given = tensor.name.clone();
        if tensor.element == Element::Word {
            self.model().node_to("Identity", &[&given], &[], &name(id));
        } else {
            self.put(id, &given);
        }
    }

    /// Declares an input.
    pub(super) fn declare_as(&mut self, called: &str, kind: PortKind, element: u64, dims: &[usize]) {
        let extents: Vec<Extent> =
            [Extent::Batch].into_iter().chain(dims.iter().map(|&extent| Extent::Fixed(extent))).collect();
        self.model().input_of(called, element, &extents);
        self.inputs.push(Port { name: called.to_owned(), kind, dims: dims.to_vec() });
    }

    /// Makes a constant of the plan a constant of the model.
    fn hold(&mut self, id: TensorId, held: &Held) {
        let shape = self.plan.tensor(id).shape;
        let constant = match held {
            Held::Numbers(values) => self.model().floats(&[1, shape.c, shape.h, shape.w], values),
            Held::Pixels(pixels) => self.model().bytes(&[1, 4, shape.h, shape.w], planes(pixels)),
        };
        self.model().node_to("Identity", &[&constant], &[], &name(id));
        self.held.insert(id);
    }

    /// Writes all steps; returns what the plan's picture is called.
    pub(super) fn steps(&mut self) -> Result<()> {
        let plan = self.plan;
        for (layer, op) in plan.steps() {
            for id in op.reads() {
                self.join(id);
            }
            match op {
                Op::Conv2d(op) => self.lowering.conv2d(layer, op)?,
                Op::UpConv2d(op) => self.lowering.up_conv2d(layer, op)?,
                Op::Linear(op) => self.lowering.linear(layer, op)?,
                Op::Warp(op) => self.warp(op)?,
                Op::Raster(op) => self.raster(op)?,
                Op::Motion(op) => self.motion(op),
                Op::Finish(op) => self.finish(op)?,
            }
        }
        Ok(())
    }

    /// Sees to it that a concatenation is there.
    fn join(&mut self, id: TensorId) {
        let parts = parts(self.plan, id);
        if parts.is_empty() || !self.joined.insert(id) {
            return;
        }
        let names: Vec<String> = parts.iter().map(|&part| name(part)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.model().node_to("Concat", &names, &[("axis", Attribute::Int(1))], &name(id));
    }

    /// Whether all pictures share a tensor, which has n = 1 then.
    pub(super) fn is_held(&self, id: TensorId) -> bool {
        self.held.contains(&id)
    }

    /// The values of a tensor of numbers in f32.
    pub(super) fn read(&mut self, id: TensorId) -> String {
        if !self.is_half || (self.plan.tensor(id).element != Element::Half) {
            return name(id);
        }
        if let Some(wide) = self.widened.get(&id) {
            return wide.clone();
        }
        let wide = self.cast(&name(id), FLOAT);
        self.widened.insert(id, wide.clone());
        wide
    }

    /// Stores values in f32 as a tensor of numbers.
    pub(super) fn put(&mut self, id: TensorId, values: &str) {
        let y = name(id);
        if self.is_half && self.plan.tensor(id).element == Element::Half {
            self.model().node_to("Cast", &[values], &[("to", Attribute::Int(FLOAT16 as i64))], &y);
        } else {
            self.model().node_to("Identity", &[values], &[], &y);
        }
    }

    pub(super) fn cast(&mut self, value: &str, to: u64) -> String {
        self.model().node("Cast", &[value], &[("to", Attribute::Int(to as i64))])
    }

    /// A constant in f32, whatever the convolutions are in.
    pub(super) fn number(&mut self, dims: &[usize], values: &[f32]) -> String {
        let is_half = self.model().set_half(false);
        let constant = self.model().floats(dims, values);
        self.model().set_half(is_half);
        constant
    }

    pub(super) fn binary(&mut self, kind: &str, a: &str, b: &str) -> String {
        self.model().node(kind, &[a, b], &[])
    }

    /// `a * b`.
    pub(super) fn times(&mut self, a: &str, b: &str) -> String {
        self.binary("Mul", a, b)
    }

    /// `a + b`.
    pub(super) fn plus(&mut self, a: &str, b: &str) -> String {
        self.binary("Add", a, b)
    }

    /// `a * scale + offset`.
    pub(super) fn scaled(&mut self, a: &str, scale: f32, offset: f32) -> String {
        let (scale, offset) = (self.number(&[], &[scale]), self.number(&[], &[offset]));
        let product = self.times(a, &scale);
        self.plus(&product, &offset)
    }

    /// `1 - a`.
    pub(super) fn rest_of(&mut self, a: &str) -> String {
        let one = self.number(&[], &[1.0]);
        self.binary("Sub", &one, a)
    }

    /// `min(max(a, low), high)`.
    pub(super) fn clip(&mut self, a: &str, low: f32, high: f32) -> String {
        let (low, high) = (self.number(&[], &[low]), self.number(&[], &[high]));
        self.model().node("Clip", &[a, &low, &high], &[])
    }

    /// The values from `first` to before `end` along `axis`, one of `step`.
    pub(super) fn slice(&mut self, a: &str, axis: i64, first: i64, end: i64, step: i64) -> String {
        let m = self.model();
        let (first, end, axis, step) = (m.ints(&[first]), m.ints(&[end]), m.ints(&[axis]), m.ints(&[step]));
        m.node("Slice", &[a, &first, &end, &axis, &step], &[])
    }

    /// One channel.
    pub(super) fn channel(&mut self, a: &str, channel: i64) -> String {
        self.slice(a, 1, channel, channel + 1, 1)
    }

    pub(super) fn reshape(&mut self, a: &str, dims: &[i64]) -> String {
        let dims = self.model().ints(dims);
        self.model().node("Reshape", &[a, &dims], &[])
    }

    pub(super) fn stack(&mut self, parts: &[&str]) -> String {
        self.model().node("Concat", parts, &[("axis", Attribute::Int(1))])
    }

    /// Enlarges or shrinks (n, c, from) to `to` rows and columns, bilinearly, the border repeated.
    pub(super) fn resized(&mut self, a: &str, from: [usize; 2], to: [usize; 2]) -> String {
        if from == to {
            return a.to_owned();
        }
        let scales = [1.0, 1.0, to[0] as f32 / from[0] as f32, to[1] as f32 / from[1] as f32];
        let scales = self.number(&[4], &scales);
        let attributes =
            [("mode", Attribute::Text("linear")), ("coordinate_transformation_mode", Attribute::Text("half_pixel"))];
        self.model().node("Resize", &[a, "", &scales], &attributes)
    }

    /// Each value of (n, c, h, w) four times: (n, c, 2 h, 2 w).
    pub(super) fn doubled(&mut self, a: &str) -> String {
        let scales = self.number(&[4], &[1.0, 1.0, 2.0, 2.0]);
        let attributes = [
            ("mode", Attribute::Text("nearest")),
            ("coordinate_transformation_mode", Attribute::Text("asymmetric")),
            ("nearest_mode", Attribute::Text("floor")),
        ];
        self.model().node("Resize", &[a, "", &scales], &attributes)
    }

    fn motion(&mut self, op: &Motion) {
        let x = self.read(op.x);
        let logits = self.slice(&x, 1, 0, 4, 1);
        let masks = self.model().node("Softmax", &[&logits], &[("axis", Attribute::Int(1))]);
        let shift = self.slice(&x, 1, 4, 6, 1);
        let scale = self.number(&[], &[1.0 / 64.0]);
        let shift = self.times(&shift, &scale);
        let seen = self.channel(&x, 6);
        let seen = self.model().node("Sigmoid", &[&seen], &[]);
        let mix = self.stack(&[&masks, &shift, &seen]);
        self.put(op.y, &mix);
    }
}

/// Pixels as four planes.
pub(super) fn planes(pixels: &[u32]) -> Vec<u8> {
    (0..4).flat_map(|c| pixels.iter().map(move |pixel| pixel.to_le_bytes()[c])).collect()
}

/// What a plan has that no export is made for.
pub(super) fn unfit(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("a plan with {what} cannot be exported"))
}
