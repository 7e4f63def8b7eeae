//! A plan as text: what `effigy devices --model` prints and the snapshot test compares.

use std::fmt;

use super::{Element, Flow, Layout, Op, Plan, Role, Shape, TensorId};

impl Plan {
    /// Multiplications with addition of one step, everything included.
    pub fn macs(&self, op: &Op) -> u64 {
        let c_in = |x: TensorId| self.tensor(x).shape.c;
        let y = self.tensor(op.writes()).shape;
        let macs = match op {
            Op::Conv2d(op) => y.len() * c_in(op.x) * op.kernel * op.kernel,
            Op::UpConv2d(op) => y.len() * c_in(op.x) * 4,
            Op::Linear(op) => y.len() * self.tensor(op.x).shape.len(),
            Op::Warp(op) => {
                let flow = match op.flow {
                    Flow::Stay => 0,
                    Flow::Body { .. } | Flow::Head { .. } => 4,
                    Flow::Mesh { .. } => 1,
                    Flow::Mixed { .. } => 8 + 7 * 4 + 8,
                };
                (y.c * 4 + flow) * y.h * y.w
            }
            Op::Motion(_) => y.len() * 4,
            // A line's own box is about a sixteenth of the picture.
            Op::Raster(op) => op.drawing.segments.len() * y.h * y.w * 6 / 16,
            // Body, head, mix and flow; four channels of the photo, three of two of its levels, five of the decoder, two
            // gates, the bands, the blend.
            Op::Finish(op) => {
                (8 + 6 * 4 + 8 + 4 * 4 + 2 * 3 * 4 + 5 * 4 + 2 * 4 + 6 + 12) * self.tensor(op.map).shape.len()
            }
        };
        macs as u64
    }

    /// Multiplications with addition of all steps.
    pub fn total_macs(&self) -> u64 {
        self.steps().iter().map(|(_, op)| self.macs(op)).sum()
    }

    /// Bytes that one step reads and writes when nothing stays in a cache, with halves of two bytes.
    pub fn bytes(&self, op: &Op) -> u64 {
        let bytes = |id: TensorId| {
            let tensor = self.tensor(id);
            tensor.shape.len() * if tensor.element == Element::Half { 2 } else { 4 }
        };
        let params: usize =
            op.params().into_iter().flatten().map(|id| 2 * self.params()[id.0].dims.iter().product::<usize>()).sum();
        (op.reads().map(bytes).sum::<usize>() + bytes(op.writes()) + params) as u64
    }

    /// How many numbers all weights and biases have.
    pub fn n_params(&self) -> usize {
        self.params().iter().map(|param| param.dims.iter().product::<usize>()).sum()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name())?;
        for (what, role) in [("input", Role::Input), ("constant", Role::Constant)] {
            for id in self.of_role(role) {
                let tensor = self.tensor(id);
                writeln!(f, "  {:<22} {what} {} {:?}", tensor.name, dims(tensor.shape), tensor.element)?;
            }
        }
        writeln!(f, "  {:<22} {:<26} {:>12} -> {:<12} {:>8} {:>9}", "layer", "op", "in", "out", "MMAC", "KiB")?;
        for (layer, op) in self.steps() {
            let x = op.reads().next().map_or_else(String::new, |x| dims(self.tensor(x).shape));
            let y = dims(self.tensor(op.writes()).shape);
            let (macs, kib) = (self.macs(op) as f64 * 1e-6, self.bytes(op) as f64 / 1024.0);
            writeln!(f, "  {layer:<22} {:<26} {x:>12} -> {y:<12} {macs:>8.2} {kib:>9.1}", kind(op))?;
        }
        let layout = Layout::new(self, 2);
        let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        writeln!(
            f,
            "  total {:.3} GMAC, {} parameters ({:.2} MiB in 16 bits), peak memory {:.2} MiB ({:.2} without reuse)",
            self.total_macs() as f64 * 1e-9,
            self.n_params(),
            mib(2 * self.n_params()),
            mib(layout.total_bytes()),
            mib(layout.unshared_bytes())
        )
    }
}

fn dims(shape: Shape) -> String {
    format!("{}x{}x{}", shape.c, shape.h, shape.w)
}

fn kind(op: &Op) -> String {
    let plus = |is_there: bool| if is_there { " +res" } else { "" };
    match op {
        Op::Conv2d(op) => {
            let residual = plus(op.residual.is_some());
            format!("conv{}{} {:?}{residual}", op.kernel, if op.stride == 2 { " /2" } else { "" }, op.activation)
        }
        Op::UpConv2d(op) => format!("upconv {:?}{}", op.activation, plus(op.residual.is_some())),
        Op::Linear(op) => format!("linear {:?}", op.activation),
        Op::Warp(op) => match op.flow {
            Flow::Stay => "warp stay".to_owned(),
            Flow::Body { .. } => "warp body".to_owned(),
            Flow::Head { .. } => "warp head".to_owned(),
            Flow::Mesh { .. } => "warp mesh".to_owned(),
            Flow::Mixed { .. } => "warp mixed".to_owned(),
        },
        Op::Motion(_) => "motion".to_owned(),
        Op::Raster(op) => format!("raster {} lines", op.drawing.segments.len()),
        Op::Finish(op) => format!("finish {:?}", op.format),
    }
}
