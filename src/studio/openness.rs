//! Ambient occlusion of the rest pose: how much of the sky each point sees, from many orthographic depth maps.

use super::{
    hair::Strand,
    math::{V3, normals, smoothstep, v3},
    raster::{Projected, Ribbon, Visibility},
};

const N_DIRECTIONS: usize = 40;
const SIDE: usize = 192;
const HALF_CM: f32 = 26.0;

/// An orthographic view of the scene along a direction.
pub(super) struct View {
    right: V3,
    up: V3,
    /// Towards the light.
    pub toward: V3,
    pub centre: V3,
    pub scale: f32,
    pub side: usize,
}

/// Added to heights along a view so that depths stay positive.
pub(super) const VIEW_OFFSET_CM: f32 = 64.0;

impl View {
    pub(super) fn new(toward: V3, centre: V3, half_cm: f32, side: usize) -> Self {
        let toward = toward.unit();
        let helper = if toward.y.abs() < 0.9 { v3(0.0, 1.0, 0.0) } else { v3(1.0, 0.0, 0.0) };
        let right = helper.cross(toward).unit();
        Self { right, up: toward.cross(right), toward, centre, scale: side as f32 * 0.5 / half_cm, side }
    }

    #[inline]
    pub(super) fn project(&self, p: V3) -> Projected {
        let d = p - self.centre;
        let half = self.side as f32 * 0.5;
        Projected {
            x: half + d.dot(self.right) * self.scale,
            y: half - d.dot(self.up) * self.scale,
            inv_depth: d.dot(self.toward) + VIEW_OFFSET_CM,
        }
    }
}

/// The sky visibility, 0..1, of each vertex and of each strand's points.
pub(super) fn bake(vertices: &[V3], triangles: &[[u32; 3]], strands: &[Strand]) -> (Vec<f32>, Vec<Vec<f32>>) {
    let normals = normals(vertices, triangles);
    let mut open = vec![(0.0f32, 0.0f32); vertices.len()];
    let mut strand_open: Vec<Vec<f32>> = strands.iter().map(|s| vec![0.0; s.points.len()]).collect();
    let mut strand_weight = 0.0;
    let mut map = Visibility::new(SIDE, SIDE);
    let mut projected = Vec::new();
    let mut ribbons = Vec::new();
    for k in 0..N_DIRECTIONS {
        // Fibonacci points on the upper three quarters of the sphere: little light comes from below.
        let y = 1.0 - 1.6 * (k as f32 + 0.5) / N_DIRECTIONS as f32;
        let (s, c) = (k as f32 * 2.399_963).sin_cos();
        let ring = (1.0 - y * y).sqrt();
        let view = View::new(v3(s * ring, y, c * ring), v3(0.0, 0.0, 0.0), HALF_CM, SIDE);
        projected.clear();
        projected.extend(vertices.iter().map(|p| view.project(*p)));
        ribbons.clear();
        for strand in strands.iter().step_by(3) {
            let points: Vec<Projected> = strand.points.iter().map(|p| view.project(*p)).collect();
            ribbons.extend(points.windows(2).map(|w| Ribbon { a: w[0], b: w[1], width: 1.0, id: 0 }));
        }
        map.draw(&projected, triangles, |_| true, &ribbons);
        let seen = |p: V3, soft_cm: f32| {
            let q = view.project(p);
            let (x, y) = (q.x as i32, q.y as i32);
            if x < 0 || y < 0 || x >= SIDE as i32 || y >= SIDE as i32 {
                return 1.0;
            }
            let above = map.inv_depth[y as usize * SIDE + x as usize] - q.inv_depth;
            smoothstep(soft_cm, 0.15, above)
        };
        let sky = 0.6 + 0.4 * view.toward.y;
        for (o, (p, n)) in open.iter_mut().zip(vertices.iter().zip(&normals)) {
            let weight = n.dot(view.toward).max(0.0) * sky;
            if weight > 0.0 {
                o.0 += weight * seen(*p + *n * 0.3, 0.7);
                o.1 += weight;
            }
        }
        strand_weight += sky;
        for (strand, open) in strands.iter().zip(&mut strand_open) {
            for (p, o) in strand.points.iter().zip(open) {
                *o += sky * seen(*p, 2.2);
            }
        }
    }
    let open = open.iter().map(|(s, w)| if *w > 0.0 { s / w } else { 0.5 }).collect();
    strand_open.iter_mut().flatten().for_each(|o| *o /= strand_weight);
    (open, strand_open)
}
