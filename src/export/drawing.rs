//! Lines between landmarks.

use super::graph::{Graph, unfit};
use crate::error::Result;
use crate::generate::cpu::segment::name;
use crate::generate::plan::Raster;
use crate::onnx::writer::Attribute;

impl Graph<'_> {
    /// The distance to the nearest segment of a channel is found first: the root and the ramp are of that one alone.
    pub(super) fn raster(&mut self, op: &Raster) -> Result<()> {
        let shape = self.plan.tensor(op.y).shape;
        let size = [shape.h, shape.w];
        let key = format!("lines {} {} {size:?}", op.points.index(), op.radius_px);
        if let Some(lines) = self.drawn.get(&key).cloned() {
            self.put(op.y, &lines);
            return Ok(());
        }
        let to_px = self.number(&[2], &[shape.w as f32, shape.h as f32]);
        let points = self.times(&name(op.points), &to_px);
        let centres = |n: usize| (0..n).map(|i| i as f32 + 0.5).collect::<Vec<_>>();
        let (x, y) =
            (self.number(&[1, 1, 1, shape.w], &centres(shape.w)), self.number(&[1, 1, shape.h, 1], &centres(shape.h)));
        let mut squares = Vec::new();
        for channel in 0..op.drawing.n_channels {
            let segments: Vec<_> =
                op.drawing.segments.iter().filter(|segment| usize::from(segment[2]) == channel).collect();
            if segments.is_empty() {
                return Err(unfit("a channel without lines"));
            }
            let ends = [0, 1].map(|end| {
                let places: Vec<i64> = segments.iter().map(|segment| i64::from(segment[end])).collect();
                let places = self.model().ints(&places);
                let ends = self.model().node("Gather", &[&points, &places], &[("axis", Attribute::Int(2))]);
                [0, 1].map(|axis| {
                    let along = self.slice(&ends, 3, axis, axis + 1, 1);
                    self.reshape(&along, &[0, -1, 1, 1])
                })
            });
            squares.push(self.nearest_squared(&ends, [&x, &y]));
        }
        let squares: Vec<&str> = squares.iter().map(String::as_str).collect();
        let squares = self.stack(&squares);
        let distance = self.model().node("Sqrt", &[&squares], &[]);
        let ramp = self.scaled(&distance, -1.0, op.radius_px + 0.5);
        let lines = self.clip(&ramp, 0.0, 1.0);
        self.drawn.insert(key, lines.clone());
        self.put(op.y, &lines);
        Ok(())
    }

    /// The squared distance of each pixel from the nearest of some segments, (n, 1, h, w). Ends are (n, segments, 1, 1).
    fn nearest_squared(&mut self, [from, to]: &[[String; 2]; 2], pixel: [&str; 2]) -> String {
        let along = [0, 1].map(|axis| self.binary("Sub", &to[axis], &from[axis]));
        let squares = [0, 1].map(|axis| self.times(&along[axis], &along[axis]));
        let length2 = self.plus(&squares[0], &squares[1]);
        let least = self.number(&[], &[1e-12]);
        let length2 = self.binary("Max", &length2, &least);
        let rest = [0, 1].map(|axis| self.binary("Sub", pixel[axis], &from[axis]));
        let shares = [0, 1].map(|axis| {
            let share = self.binary("Div", &along[axis], &length2);
            self.times(&rest[axis], &share)
        });
        let t = self.plus(&shares[0], &shares[1]);
        let t = self.clip(&t, 0.0, 1.0);
        let off2 = [0, 1].map(|axis| {
            let on_line = self.times(&t, &along[axis]);
            let off = self.binary("Sub", &rest[axis], &on_line);
            self.times(&off, &off)
        });
        let distance2 = self.plus(&off2[0], &off2[1]);
        let attributes = [("axes", Attribute::Ints(&[1])), ("keepdims", Attribute::Int(1))];
        self.model().node("ReduceMin", &[&distance2], &attributes)
    }
}
