//! The tracker's 478 landmarks on the head model's surface.
//!
//! A table says for each of the 468 mesh points which triangle it lies in and where; the ten iris points follow from the eyeballs.
//! [`register`] computes the table from the canonical mesh once; it is committed and read by [`LandmarkTable::embedded`].

pub use crate::face::{N_LANDMARKS, N_MESH_POINTS as N_MESH_LANDMARKS};

use serde::{Deserialize, Serialize};

use super::{
    Error, ErrorKind,
    head_model::{HeadModel, Surface},
    math::{V3, v3},
};

/// Outline of the lips, then of the mouth opening, as landmark indices.
pub const LIPS_OUTER: [usize; 20] =
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185];
/// The lips' inner edge, as a closed line.
pub const LIPS_INNER: [usize; 20] =
    [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191];
/// Eye outlines: upper lid from the outer corner to the inner, then lower lid back; left, right.
pub const EYE_UPPER: [[usize; 9]; 2] =
    [[263, 466, 388, 387, 386, 385, 384, 398, 362], [33, 246, 161, 160, 159, 158, 157, 173, 133]];
/// Edges of the lower lids, corner to corner.
pub const EYE_LOWER: [[usize; 9]; 2] =
    [[263, 249, 390, 373, 374, 380, 381, 382, 362], [33, 7, 163, 144, 145, 153, 154, 155, 133]];
/// Brows from the outer end to the inner: upper edge and lower edge; left, right.
pub const BROW_UPPER: [[usize; 5]; 2] = [[300, 293, 334, 296, 336], [70, 63, 105, 66, 107]];
/// Lower edges of the brows.
pub const BROW_LOWER: [[usize; 5]; 2] = [[276, 283, 282, 295, 285], [46, 53, 52, 65, 55]];

/// Vertices of the head model at the 68 classic landmarks, from number 17 on, with the tracker's index of the same point.
const KNOWN: [(u32, usize); 51] = [
    (268, 70),
    (493, 63),
    (1914, 105),
    (2044, 66),
    (1401, 107),
    (3615, 336),
    (4240, 296),
    (4114, 334),
    (2734, 293),
    (2509, 300),
    (978, 168),
    (4527, 197),
    (4942, 5),
    (4857, 4),
    (1140, 75),
    (2075, 97),
    (1147, 2),
    (4269, 326),
    (3360, 305),
    (1507, 33),
    (1542, 160),
    (1537, 158),
    (1528, 133),
    (1518, 153),
    (1511, 144),
    (3742, 362),
    (3751, 385),
    (3756, 387),
    (3721, 263),
    (3725, 373),
    (3732, 380),
    (5708, 61),
    (5695, 39),
    (2081, 37),
    (0, 0),
    (4275, 267),
    (6200, 269),
    (6213, 291),
    (6346, 405),
    (6461, 314),
    (5518, 17),
    (5957, 84),
    (5841, 181),
    (5702, 78),
    (5711, 82),
    (5533, 13),
    (6216, 312),
    (6207, 308),
    (6470, 317),
    (5517, 14),
    (5966, 87),
];
/// The tip of the chin.
const CHIN: (u32, usize) = (966, 152);

/// A point on the surface: three vertices and their weights.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SurfacePoint {
    /// Corners of the triangle.
    pub vertices: [u32; 3],
    /// Weights of the corners; they add up to 1.
    pub weights: [f32; 3],
}

impl SurfacePoint {
    /// The point, with the vertices where `positions` says.
    pub fn at(&self, positions: &[V3]) -> V3 {
        let [a, b, c] = self.vertices.map(|v| positions[v as usize]);
        a * self.weights[0] + b * self.weights[1] + c * self.weights[2]
    }
}

/// Where the 468 mesh landmarks lie on the head model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LandmarkTable {
    /// The 468 points of the mesh, in order.
    pub points: Vec<SurfacePoint>,
}

impl LandmarkTable {
    /// The committed table.
    ///
    /// # Errors
    /// When the embedded file is damaged.
    pub fn embedded() -> Result<Self, Error> {
        Self::from_json(include_str!("../../models/studio/landmarks.json"))
    }

    /// Reads a table.
    ///
    /// # Errors
    /// When the text is no table of 468 points.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let table: Self =
            serde_json::from_str(text).map_err(|e| Error::new(ErrorKind::Model, format!("landmark table: {e}")))?;
        if table.points.len() == N_MESH_LANDMARKS {
            return Ok(table);
        }
        Err(Error::new(ErrorKind::Model, format!("landmark table has {} points, expected 468", table.points.len())))
    }
}

/// Computes the table from the canonical mesh's 468 points (any scale, same axes).
///
/// A similarity brings the mesh to the head; a smooth warp through the known points follows; each point then goes to the nearest surface that faces the same way, and the warp is renewed with all of them, ever less smooth.
pub fn register(model: &HeadModel, canonical: &[V3]) -> LandmarkTable {
    let known: Vec<(V3, usize)> = KNOWN.iter().chain([&CHIN]).map(|&(v, l)| (model.neutral[v as usize], l)).collect();
    let n = known.len() as f32;
    let to = known.iter().fold(V3::ZERO, |s, k| s + k.0) / n;
    let from = known.iter().fold(V3::ZERO, |s, k| s + canonical[k.1]) / n;
    let spread = |p: V3| p.dot(p);
    let scale = (known.iter().map(|k| spread(k.0 - to)).sum::<f32>()
        / known.iter().map(|k| spread(canonical[k.1] - from)).sum::<f32>())
    .sqrt();
    let mut points: Vec<V3> = canonical.iter().map(|p| (*p - from) * scale + to).collect();
    let anchors: Vec<(V3, V3)> = known.iter().map(|&(target, l)| (points[l], target)).collect();
    points = warp(&anchors, 0.05, &points);
    let surface = FaceSurface::new(model);
    for smoothing in [3.0, 1.0, 0.3] {
        let anchors: Vec<(V3, V3)> = points
            .iter()
            .enumerate()
            .map(|(l, p)| match known.iter().find(|k| k.1 == l) {
                Some(k) => (*p, k.0),
                None => (*p, surface.nearest(*p, surface.outward(*p)).at(&model.neutral)),
            })
            .collect();
        points = warp(&anchors, smoothing, &points);
    }
    let lips = Lips::new(model);
    LandmarkTable {
        points: points.iter().enumerate().map(|(l, p)| lips.surface_of(l).nearest(*p, surface.outward(*p))).collect(),
    }
}

/// Moves each point by an offset (cm) and back to the surface: how a measured bias of the tracker enters the table.
pub fn shift(model: &HeadModel, table: &mut LandmarkTable, offsets_cm: &[[f32; 3]]) {
    let lips = Lips::new(model);
    for (l, (point, [x, y, z])) in table.points.iter_mut().zip(offsets_cm).enumerate() {
        let p = point.at(&model.neutral) + v3(*x, *y, *z);
        *point = lips.surface_of(l).nearest(p, lips.all.outward(p));
    }
}

/// The face, and its parts above and below the mouth: closed lips touch, and the nearest point may be on the wrong one.
struct Lips<'a> {
    all: FaceSurface<'a>,
    upper: FaceSurface<'a>,
    lower: FaceSurface<'a>,
}

/// Landmarks of the red of the lips between the corners.
const UPPER_LIP: [usize; 21] =
    [40, 39, 37, 0, 267, 269, 270, 74, 73, 72, 11, 302, 303, 304, 80, 81, 82, 13, 312, 311, 310];
const LOWER_LIP: [usize; 21] =
    [91, 181, 84, 17, 314, 405, 321, 90, 180, 85, 16, 315, 404, 320, 88, 178, 87, 14, 317, 402, 318];

impl<'a> Lips<'a> {
    fn new(model: &'a HeadModel) -> Self {
        // What an open jaw takes along belongs to the lower lip.
        let mut falls = vec![false; model.neutral.len()];
        for shape in model.shapes.iter().filter(|s| s.name == "jawOpen") {
            shape.moved.iter().for_each(|(v, d)| falls[*v as usize] = d.y < -0.8);
        }
        let part = |lower: bool| {
            let mut surface = FaceSurface::new(model);
            surface.triangles.retain(|t| model.triangles[*t].iter().all(|v| falls[*v as usize] == lower));
            surface
        };
        Self { all: FaceSurface::new(model), upper: part(false), lower: part(true) }
    }

    fn surface_of(&self, landmark: usize) -> &FaceSurface<'a> {
        if UPPER_LIP.contains(&landmark) {
            &self.upper
        } else if LOWER_LIP.contains(&landmark) {
            &self.lower
        } else {
            &self.all
        }
    }
}

/// The skin in front of the ears as a searchable set of triangles.
pub struct FaceSurface<'a> {
    model: &'a HeadModel,
    triangles: Vec<usize>,
}

impl<'a> FaceSurface<'a> {
    /// The whole skin.
    pub fn new(model: &'a HeadModel) -> Self {
        let triangles = (0..model.triangles.len()).filter(|t| model.surfaces[*t] == Surface::Face).collect();
        Self { model, triangles }
    }

    /// The part of the face whose vertices satisfy `keep`: a smaller set to search.
    pub fn near(model: &'a HeadModel, keep: impl Fn(V3) -> bool) -> Self {
        let mut all = Self::new(model);
        all.triangles.retain(|t| model.triangles[*t].iter().any(|v| keep(model.neutral[*v as usize])));
        all
    }

    /// Rough outward direction of the face at `p`.
    fn outward(&self, p: V3) -> V3 {
        v3(p.x, 0.4 * (p.y - 2.0), p.z).unit()
    }

    /// The nearest point whose surface does not face away from `outward`.
    pub fn nearest(&self, p: V3, outward: V3) -> SurfacePoint {
        let mut best = (f32::MAX, SurfacePoint { vertices: [0; 3], weights: [1.0, 0.0, 0.0] });
        for &t in &self.triangles {
            let vertices = self.model.triangles[t];
            let [a, b, c] = vertices.map(|v| self.model.neutral[v as usize]);
            if (a - p).length() > best.0 + 2.0 {
                continue;
            }
            if (b - a).cross(c - a).unit().dot(outward) < 0.1 {
                continue;
            }
            let weights = nearest_in_triangle(p, a, b, c);
            let d = (a * weights[0] + b * weights[1] + c * weights[2] - p).length();
            if d < best.0 {
                best = (d, SurfacePoint { vertices, weights });
            }
        }
        best.1
    }
}

/// Weights of the point of a triangle that is nearest to `p` (Ericson, Real-Time Collision Detection, 5.1.5).
pub fn nearest_in_triangle(p: V3, a: V3, b: V3, c: V3) -> [f32; 3] {
    let (ab, ac, ap) = (b - a, c - a, p - a);
    let (d1, d2) = (ab.dot(ap), ac.dot(ap));
    if d1 <= 0.0 && d2 <= 0.0 {
        return [1.0, 0.0, 0.0];
    }
    let bp = p - b;
    let (d3, d4) = (ab.dot(bp), ac.dot(bp));
    if d3 >= 0.0 && d4 <= d3 {
        return [0.0, 1.0, 0.0];
    }
    let vc = d1 * d4 - d3 * d2;
    if vc <= 0.0 && d1 >= 0.0 && d3 <= 0.0 {
        let v = d1 / (d1 - d3);
        return [1.0 - v, v, 0.0];
    }
    let cp = p - c;
    let (d5, d6) = (ab.dot(cp), ac.dot(cp));
    if d6 >= 0.0 && d5 <= d6 {
        return [0.0, 0.0, 1.0];
    }
    let vb = d5 * d2 - d1 * d6;
    if vb <= 0.0 && d2 >= 0.0 && d6 <= 0.0 {
        let w = d2 / (d2 - d6);
        return [1.0 - w, 0.0, w];
    }
    let va = d3 * d6 - d5 * d4;
    if va <= 0.0 && d4 - d3 >= 0.0 && d5 - d6 >= 0.0 {
        let w = (d4 - d3) / (d4 - d3 + d5 - d6);
        return [0.0, 1.0 - w, w];
    }
    let inv = 1.0 / (va + vb + vc);
    [1.0 - (vb + vc) * inv, vb * inv, vc * inv]
}

/// Moves `points` by the smoothest field (radial basis r, plus an affine part) that takes each anchor's first point to its second.
fn warp(anchors: &[(V3, V3)], smoothing: f32, points: &[V3]) -> Vec<V3> {
    let n = anchors.len();
    let size = n + 4;
    let row_of = |p: V3| [1.0, f64::from(p.x), f64::from(p.y), f64::from(p.z)];
    // Columns: the system, then the three right-hand sides.
    let mut rows = vec![vec![0.0f64; size + 3]; size];
    for i in 0..n {
        for j in 0..n {
            rows[i][j] = f64::from((anchors[i].0 - anchors[j].0).length());
        }
        rows[i][i] -= f64::from(smoothing);
        for (k, value) in row_of(anchors[i].0).into_iter().enumerate() {
            rows[i][n + k] = value;
            rows[n + k][i] = value;
        }
        let d = anchors[i].1 - anchors[i].0;
        rows[i][size..].copy_from_slice(&[f64::from(d.x), f64::from(d.y), f64::from(d.z)]);
    }
    solve(&mut rows);
    points
        .iter()
        .map(|p| {
            let mut d = [0.0f64; 3];
            let mut add = |weight: f64, row: &[f64]| (0..3).for_each(|k| d[k] += weight * row[size + k]);
            for (i, anchor) in anchors.iter().enumerate() {
                add(f64::from((*p - anchor.0).length()), &rows[i]);
            }
            for (k, value) in row_of(*p).into_iter().enumerate() {
                add(value, &rows[n + k]);
            }
            *p + v3(d[0] as f32, d[1] as f32, d[2] as f32)
        })
        .collect()
}

/// Gauss–Jordan elimination with row pivots; leaves the solutions in the last columns.
fn solve(rows: &mut [Vec<f64>]) {
    let n = rows.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|a, b| rows[*a][k].abs().total_cmp(&rows[*b][k].abs())).unwrap_or(k);
        rows.swap(k, pivot);
        let head = rows[k][k];
        rows[k][k..].iter_mut().for_each(|x| *x /= head);
        let row = rows[k].clone();
        for (i, other) in rows.iter_mut().enumerate() {
            let factor = other[k];
            if i != k && factor != 0.0 {
                other[k..].iter_mut().zip(&row[k..]).for_each(|(x, r)| *x -= factor * r);
            }
        }
    }
}

/// Reads the vertices of a Wavefront file.
pub fn read_obj_vertices(text: &str) -> Vec<V3> {
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.strip_prefix("v ")?.split_whitespace().filter_map(|s| s.parse::<f32>().ok());
            Some(v3(numbers.next()?, numbers.next()?, numbers.next()?))
        })
        .collect()
}
