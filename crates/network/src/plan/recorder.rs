//! Records a plan and checks every shape on the way.

use super::{
    Activation, Conv2d, Drawing, Element, Finish, Flow, Linear, Motion, Op, Param, ParamId, PhotoLevels, PictureFormat,
    Plan, Raster, Role, Shape, Tensor, TensorId, UpConv2d, Warp,
};

/// How one convolution is made.
#[derive(Clone, Copy, Debug)]
pub struct ConvSpec {
    /// Channels of the answer.
    pub c_out: usize,
    /// 1 or 3.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Applied last.
    pub activation: Activation,
    /// Added before the activation.
    pub residual: Option<TensorId>,
}

impl ConvSpec {
    /// A 3×3 convolution of stride 1 with a leaky activation.
    pub fn new(c_out: usize) -> Self {
        Self { c_out, kernel: 3, stride: 1, activation: Activation::Leaky, residual: None }
    }

    /// The same with another stride.
    #[must_use]
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The same with another kernel size.
    #[must_use]
    pub fn kernel(self, kernel: usize) -> Self {
        Self { kernel, ..self }
    }

    /// The same with another activation.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// The same with something added before the activation.
    #[must_use]
    pub fn residual(self, residual: TensorId) -> Self {
        Self { residual: Some(residual), ..self }
    }
}

/// Records a [`Plan`], op by op.
///
/// # Panics
/// All methods panic when shapes do not fit, with the layer's name, what was expected and what was found: a plan that
/// was recorded once cannot fail for its shapes again.
#[derive(Debug)]
pub struct Recorder {
    plan: Plan,
}

impl Recorder {
    /// Starts a plan.
    pub fn new(name: impl Into<String>) -> Self {
        Self { plan: Plan { name: name.into(), tensors: Vec::new(), params: Vec::new(), steps: Vec::new() } }
    }

    /// The extent of a tensor recorded so far.
    pub fn shape(&self, id: TensorId) -> Shape {
        self.plan.tensor(id).shape
    }

    /// Names a tensor that the host writes before each run.
    pub fn input(&mut self, name: &str, shape: Shape, element: Element) -> TensorId {
        self.tensor(name, shape, element, Role::Input)
    }

    /// Names a tensor that the host writes once for each identity.
    pub fn constant(&mut self, name: &str, shape: Shape, element: Element) -> TensorId {
        self.tensor(name, shape, element, Role::Constant)
    }

    /// Lets the host read a tensor after each run.
    pub fn output(&mut self, id: TensorId) {
        let tensor = &mut self.plan.tensors[id.0];
        assert!(
            tensor.role == Role::Inner && tensor.parent.is_none(),
            "{}: only what an op writes into memory of its own can be read by the host",
            tensor.name
        );
        tensor.role = Role::Output;
    }

    /// Records a convolution; its parameters are `LAYER.weight` and `LAYER.bias`.
    pub fn conv2d(&mut self, layer: &str, x: TensorId, spec: ConvSpec) -> TensorId {
        let ConvSpec { c_out, kernel, stride, activation, residual } = spec;
        let from = self.activations(layer, x);
        assert!(matches!(kernel, 1 | 3), "{layer}: a kernel of {kernel}; expected 1 or 3");
        assert!(matches!(stride, 1 | 2), "{layer}: a stride of {stride}; expected 1 or 2");
        let shape = Shape::new(c_out, from.h.div_ceil(stride), from.w.div_ceil(stride));
        self.check_residual(layer, residual, shape);
        let [weight, bias] = self.params(layer, vec![c_out, from.c, kernel, kernel], c_out);
        let y = self.tensor(layer, shape, Element::Half, Role::Inner);
        self.push(layer, Op::Conv2d(Conv2d { x, weight, bias, residual, y, kernel, stride, activation }))
    }

    /// Records an upsampling convolution in its folded form; `spec.kernel` and `spec.stride` must be 3 and 1.
    pub fn up_conv2d(&mut self, layer: &str, x: TensorId, spec: ConvSpec) -> TensorId {
        let ConvSpec { c_out, kernel, stride, activation, residual } = spec;
        let from = self.activations(layer, x);
        assert!((kernel, stride) == (3, 1), "{layer}: an upsampling convolution is 3x3 of stride 1");
        let shape = Shape::new(c_out, 2 * from.h, 2 * from.w);
        self.check_residual(layer, residual, shape);
        let [weight, bias] = self.params(layer, vec![4, c_out, from.c, 2, 2], c_out);
        let y = self.tensor(layer, shape, Element::Half, Role::Inner);
        self.push(layer, Op::UpConv2d(UpConv2d { x, weight, bias, residual, y, activation }))
    }

    /// Records a layer in which each number of the answer, shaped as `shape`, reads all of `x`.
    pub fn linear(&mut self, layer: &str, x: TensorId, shape: Shape, activation: Activation) -> TensorId {
        let from = self.activations(layer, x);
        let n_out = shape.len();
        let [weight, bias] = self.params(layer, vec![n_out, from.len()], n_out);
        let y = self.tensor(layer, shape, Element::Half, Role::Inner);
        self.push(layer, Op::Linear(Linear { x, weight, bias, y, activation }))
    }

    /// Records a warp to `h` rows of `w` pixels.
    pub fn warp(&mut self, layer: &str, x: TensorId, flow: Flow, (h, w): (usize, usize)) -> TensorId {
        let from = self.activations(layer, x);
        match flow {
            Flow::Stay => {}
            Flow::Body { pose } | Flow::Head { pose } => self.check_pose(layer, pose),
            Flow::Mesh { map } => self.check(layer, map, Shape::new(3, h, w), Element::Exact),
            Flow::Mixed { mix, map, pose } => {
                self.check_mix(layer, mix);
                self.check(layer, map, Shape::new(3, h, w), Element::Exact);
                self.check_pose(layer, pose);
            }
        }
        let y = self.tensor(layer, Shape::new(from.c, h, w), Element::Half, Role::Inner);
        self.push(layer, Op::Warp(Warp { x, flow, y }))
    }

    /// Records the mixing weights of a motion network's answer.
    pub fn motion(&mut self, layer: &str, x: TensorId) -> TensorId {
        let shape = self.activations(layer, x);
        assert!(shape.c == 7, "{layer}: expected 7 channels (4 masks, 2 shifts, occlusion), found {}", shape.c);
        let y = self.tensor(layer, shape, Element::Exact, Role::Inner);
        self.push(layer, Op::Motion(Motion { x, y }))
    }

    /// Records lines drawn from landmarks, `h` rows of `w` pixels.
    pub fn raster(
        &mut self,
        layer: &str,
        points: TensorId,
        drawing: &'static Drawing,
        radius_px: f32,
        (h, w): (usize, usize),
    ) -> TensorId {
        self.check(layer, points, Shape::new(1, drawing.n_points, 2), Element::Exact);
        for &[from, to, channel] in drawing.segments {
            let are_points = [from, to].into_iter().all(|point| usize::from(point) < drawing.n_points);
            assert!(
                are_points && usize::from(channel) < drawing.n_channels,
                "{layer}: segment {from}-{to} of channel {channel} is not among {} points and {} channels",
                drawing.n_points,
                drawing.n_channels
            );
        }
        let y = self.tensor(layer, Shape::new(drawing.n_channels, h, w), Element::Half, Role::Inner);
        self.push(layer, Op::Raster(Raster { points, drawing, radius_px, y }))
    }

    /// Records the finished picture; `finish.y` is ignored and made here.
    pub fn finish(&mut self, layer: &str, finish: Finish) -> TensorId {
        let map = self.shape(finish.map);
        let size = map.h;
        self.check(layer, finish.map, Shape::new(1, size, size), Element::Word);
        assert!(size.is_multiple_of(4), "{layer}: a picture of {size} pixels; expected a multiple of 4");
        let decoded = self.activations(layer, finish.decoded);
        assert!(decoded.c == 5, "{layer}: expected colour, alpha and trust in 5 channels, found {}", decoded.c);
        let gates = self.activations(layer, finish.gates);
        assert!(gates.c == 2, "{layer}: expected gates of two bands in 2 channels, found {}", gates.c);
        self.check_mix(layer, finish.mix);
        self.check_pose(layer, finish.pose);
        let levels = PhotoLevels::new(size, finish.margin_px, decoded.h);
        self.check(layer, finish.photo, levels.shape(), Element::Word);
        if let Some(background) = finish.background {
            self.check(layer, background, map, Element::Word);
        }
        if let Some(badge) = finish.badge {
            let Shape { c, h, w } = self.shape(badge);
            assert!(c == 1 && h <= size && w <= size, "{layer}: a badge of {c}x{h}x{w} on a picture of {size}");
        }
        let shape = match finish.format {
            PictureFormat::Rgba => Shape::new(1, size, size),
            PictureFormat::Nv12 => Shape::new(1, size * 3 / 2, size / 4),
            PictureFormat::Yuyv => Shape::new(1, size, size / 2),
        };
        assert!(
            finish.format == PictureFormat::Rgba || finish.background.is_some(),
            "{layer}: only RGBA can do without a background"
        );
        let y = self.tensor(layer, shape, Element::Word, Role::Inner);
        self.push(layer, Op::Finish(Finish { y, ..finish }))
    }

    /// Puts tensors behind each other by channels. Costs nothing: each is written straight into its place.
    pub fn concat(&mut self, name: &str, parts: &[TensorId]) -> TensorId {
        let first = self.plan.tensor(parts[0]).clone();
        let mut shape = Shape { c: 0, ..first.shape };
        let id = TensorId(self.plan.tensors.len());
        for &part in parts {
            let tensor = &mut self.plan.tensors[part.0];
            let found = tensor.shape;
            assert!(
                (found.h, found.w, tensor.element) == (shape.h, shape.w, first.element),
                "{name}: {} is {}x{}, {} is {}x{}",
                first.name,
                shape.h,
                shape.w,
                tensor.name,
                found.h,
                found.w
            );
            assert!(
                tensor.parent.is_none() && tensor.role == Role::Inner,
                "{name}: {} cannot be part of a concatenation: it is one's part already, or the host's",
                tensor.name
            );
            tensor.parent = Some((id, shape.c));
            shape.c += found.c;
        }
        let nested = parts.iter().any(|part| self.plan.tensors.iter().any(|t| t.parent.is_some_and(|p| p.0 == *part)));
        assert!(!nested, "{name}: a concatenation cannot be part of another");
        self.tensor(name, shape, first.element, Role::Inner)
    }

    /// Ends the recording.
    pub fn end(self) -> Plan {
        let plan = self.plan;
        for (i, tensor) in plan.tensors.iter().enumerate() {
            let is_twin = |other: &Tensor| other.name == tensor.name;
            assert!(!plan.tensors[..i].iter().any(is_twin), "{}: two tensors of that name", tensor.name);
        }
        assert!(plan.of_role(Role::Output).next().is_some(), "{}: nothing is read by the host", plan.name);
        plan
    }

    fn tensor(&mut self, name: &str, shape: Shape, element: Element, role: Role) -> TensorId {
        assert!(!shape.is_empty(), "{name}: {}x{}x{} has no elements", shape.c, shape.h, shape.w);
        self.plan.tensors.push(Tensor { name: name.to_owned(), shape, element, role, parent: None });
        TensorId(self.plan.tensors.len() - 1)
    }

    fn params(&mut self, layer: &str, weight: Vec<usize>, c_out: usize) -> [ParamId; 2] {
        let at = self.plan.params.len();
        self.plan.params.push(Param { name: format!("{layer}.weight"), dims: weight });
        self.plan.params.push(Param { name: format!("{layer}.bias"), dims: vec![c_out] });
        [ParamId(at), ParamId(at + 1)]
    }

    fn push(&mut self, layer: &str, op: Op) -> TensorId {
        self.plan.steps.push((layer.to_owned(), op));
        op.writes()
    }

    fn activations(&self, layer: &str, id: TensorId) -> Shape {
        let tensor = self.plan.tensor(id);
        assert!(tensor.element != Element::Word, "{layer}: {} holds no numbers", tensor.name);
        tensor.shape
    }

    fn check(&self, layer: &str, id: TensorId, shape: Shape, element: Element) {
        let tensor = self.plan.tensor(id);
        assert!(
            tensor.shape == shape && tensor.element == element,
            "{layer}: expected {} as {element:?} {}x{}x{}, found {:?} {}x{}x{}",
            tensor.name,
            shape.c,
            shape.h,
            shape.w,
            tensor.element,
            tensor.shape.c,
            tensor.shape.h,
            tensor.shape.w
        );
    }

    fn check_pose(&self, layer: &str, pose: TensorId) {
        self.check(layer, pose, Shape::new(1, 4, 3), Element::Exact);
    }

    fn check_mix(&self, layer: &str, mix: TensorId) {
        self.check(layer, mix, Shape { c: 7, ..self.shape(mix) }, Element::Exact);
    }

    fn check_residual(&self, layer: &str, residual: Option<TensorId>, shape: Shape) {
        if let Some(residual) = residual {
            self.check(layer, residual, shape, Element::Half);
        }
    }
}
