//! Warps: where each pixel comes from, and reading there.

use super::graph::{Graph, unfit};
use crate::error::Result;
use crate::generate::cpu::segment::name;
use crate::generate::plan::{Flow, TensorId, Warp};
use crate::onnx::writer::Attribute;

impl Graph<'_> {
    pub(super) fn warp(&mut self, op: &Warp) -> Result<()> {
        let (x, y) = (self.plan.tensor(op.x).shape, self.plan.tensor(op.y).shape);
        let size = [y.h, y.w];
        let values = self.read(op.x);
        let (uv, weight) = match op.flow {
            Flow::Stay if [x.h, x.w] == size => {
                let values = if self.is_held(op.x) { self.for_each(&values, [x.c, x.h, x.w]) } else { values };
                self.put(op.y, &values);
                return Ok(());
            }
            Flow::Stay => return Err(unfit("a picture that stays and changes its size")),
            Flow::Body { pose } => (self.posed(pose, 0, size), None),
            Flow::Head { pose } => (self.posed(pose, 2, size), None),
            Flow::Mesh { map } => {
                let map = name(map);
                (self.slice(&map, 1, 0, 2, 1), Some(self.channel(&map, 2)))
            }
            Flow::Mixed { mix, map, pose } => {
                let mesh = self.slice(&name(map), 1, 0, 2, 1);
                let mixed = self.mixed(mix, pose, size);
                (self.mixed_places(&mixed, &mesh, size), Some(self.channel(&mixed, 7)))
            }
        };
        let grid = self.grid(&uv, 1.0, 0.0);
        let mut sampled = self.sample(&values, self.is_held(op.x), &grid, x.c, size);
        if let Some(weight) = weight {
            sampled = self.times(&sampled, &weight);
        }
        self.put(op.y, &sampled);
        Ok(())
    }

    /// Centres of the columns (1, 1, 1, w) and of the rows (1, 1, h, 1), in picture units.
    pub(super) fn centres(&mut self, [h, w]: [usize; 2]) -> [String; 2] {
        let centres = |n: usize| (0..n).map(|i| (i as f32 + 0.5) / n as f32).collect::<Vec<_>>();
        [self.number(&[1, 1, 1, w], &centres(w)), self.number(&[1, 1, h, 1], &centres(h))]
    }

    /// A constant (1, c, h, w) once for each picture of the batch, whose number every input has.
    fn for_each(&mut self, constant: &str, extents: [usize; 3]) -> String {
        let first = self.inputs.first().map(|input| input.name.clone()).unwrap_or_default();
        let only_first = [("start", Attribute::Int(0)), ("end", Attribute::Int(1))];
        let n_pictures = self.model().node("Shape", &[&first], &only_first);
        let others = self.model().ints(&extents.map(|extent| extent as i64));
        let extents = self.model().node("Concat", &[&n_pictures, &others], &[("axis", Attribute::Int(0))]);
        self.model().node("Expand", &[constant, &extents], &[])
    }

    /// What x, y and 1 are multiplied with for (u, v): (n, 2, 1, 1) each; from two rows of a pose.
    fn pose_factors(&mut self, pose: TensorId, row: i64) -> [String; 3] {
        let rows = self.slice(&name(pose), 2, row, row + 2, 1);
        [0, 1, 2].map(|k| {
            let column = self.slice(&rows, 3, k, k + 1, 1);
            self.reshape(&column, &[0, 2, 1, 1])
        })
    }

    fn posed(&mut self, pose: TensorId, row: i64, size: [usize; 2]) -> String {
        let [x, y] = self.centres(size);
        let [with_x, with_y, shift] = self.pose_factors(pose, row);
        let along = self.times(&with_x, &x);
        let down = self.times(&with_y, &y);
        let down = self.plus(&down, &shift);
        self.plus(&along, &down)
    }

    /// The four motions mixed, as planes of `size` (n, 8, h, w): what x is multiplied with for u and v, what y is, what is
    /// added, the mesh's share, and the occlusion.
    ///
    /// All are sums of `mix`, so that interpolating them is interpolating `mix`.
    pub(super) fn mixed(&mut self, mix: TensorId, pose: TensorId, size: [usize; 2]) -> String {
        let key = format!("mixed {} {} {size:?}", mix.index(), pose.index());
        if let Some(mixed) = self.drawn.get(&key) {
            return mixed.clone();
        }
        let (shape, from) = (self.plan.tensor(mix).shape, name(mix));
        let [stay, body, head, mesh, seen] = [0, 1, 2, 3, 6].map(|k| self.channel(&from, k));
        let (of_body, of_head) = (self.pose_factors(pose, 0), self.pose_factors(pose, 2));
        let own = [self.number(&[1, 2, 1, 1], &[1.0, 0.0]), self.number(&[1, 2, 1, 1], &[0.0, 1.0])];
        let mut factors = Vec::new();
        for k in 0..3 {
            let with_body = self.times(&body, &of_body[k]);
            let with_head = self.times(&head, &of_head[k]);
            let with_both = self.plus(&with_body, &with_head);
            let rest = match own.get(k) {
                Some(own) => self.times(&stay, own),
                None => self.slice(&from, 1, 4, 6, 1),
            };
            factors.push(self.plus(&with_both, &rest));
        }
        let all = self.stack(&[&factors[0], &factors[1], &factors[2], &mesh, &seen]);
        let mixed = self.resized(&all, [shape.h, shape.w], size);
        self.drawn.insert(key, mixed.clone());
        mixed
    }

    /// Places (n, 2, h, w) from what [`Self::mixed`] made and the mesh's own (n, 2, h, w).
    pub(super) fn mixed_places(&mut self, mixed: &str, mesh: &str, size: [usize; 2]) -> String {
        let [x, y] = self.centres(size);
        let [with_x, with_y, shift] = [0, 2, 4].map(|k| self.slice(mixed, 1, k, k + 2, 1));
        let share = self.channel(mixed, 6);
        let terms = [self.times(&with_x, &x), self.times(&with_y, &y), self.times(&share, mesh)];
        let sum = self.plus(&terms[0], &terms[1]);
        let sum = self.plus(&sum, &terms[2]);
        self.plus(&sum, &shift)
    }

    /// Places `scale * uv + offset` in parts of a picture as `GridSample` wants them: (n, h, w, 2), -1 to 1.
    pub(super) fn grid(&mut self, uv: &str, scale: f32, offset: f32) -> String {
        let places = self.scaled(uv, 2.0 * scale, 2.0 * offset - 1.0);
        self.model().node("Transpose", &[&places], &[("perm", Attribute::Ints(&[0, 2, 3, 1]))])
    }

    /// Reads `x` at each place of a grid, bilinearly, the border repeated. A picture that all share is not copied for each.
    pub(super) fn sample(&mut self, x: &str, is_shared: bool, grid: &str, c: usize, [h, w]: [usize; 2]) -> String {
        let attributes = [
            ("mode", Attribute::Text("bilinear")),
            ("padding_mode", Attribute::Text("border")),
            ("align_corners", Attribute::Int(0)),
        ];
        if !is_shared {
            return self.model().node("GridSample", &[x, grid], &attributes);
        }
        let below_each_other = self.reshape(grid, &[1, -1, w as i64, 2]);
        let sampled = self.model().node("GridSample", &[x, &below_each_other], &attributes);
        let sampled = self.reshape(&sampled, &[c as i64, -1, h as i64, w as i64]);
        self.model().node("Transpose", &[&sampled], &[("perm", Attribute::Ints(&[1, 0, 2, 3]))])
    }
}
