//! Hair that moves with the skin: brows, beard and lashes.

use super::{
    head_model::{HeadModel, Surface},
    landmarks::{FaceSurface, SurfacePoint},
    math::{V3, lerp, v3},
    random::Rng,
    skin::{BROW_DROP_CM, SkinCharts, beard_mask},
    traits::{Beard, Traits},
};

/// A hair rooted in a triangle, its points given in the frame of that triangle.
pub(crate) struct RootedHair {
    pub root: SurfacePoint,
    /// Offsets along the triangle's first edge, its normal and their cross product, cm.
    pub offsets: Vec<V3>,
    pub width_cm: f32,
    pub shade: f32,
    pub kind: FuzzKind,
}

/// A lash: the vertices of a card from root to tip, between two columns.
pub(crate) struct Lash {
    pub columns: [Vec<u32>; 2],
    pub between: f32,
    pub width_cm: f32,
    pub length: f32,
}

/// What a rooted hair belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FuzzKind {
    Brow,
    Beard,
}

fn frame_of([a, b, c]: [V3; 3]) -> [V3; 3] {
    let x = (b - a).unit();
    let n = (b - a).cross(c - a).unit();
    [x, n, x.cross(n)]
}

impl RootedHair {
    /// Root and points of the hair on the given shape.
    pub(crate) fn points<'a>(&'a self, positions: &[V3]) -> impl Iterator<Item = V3> + 'a {
        let at = self.root.at(positions);
        let [x, n, y] = frame_of(self.root.vertices.map(|v| positions[v as usize]));
        self.offsets.iter().map(move |o| at + x * o.x + n * o.y + y * o.z)
    }
}

fn rooted(
    model: &HeadModel,
    root: SurfacePoint,
    points: &[V3],
    width_cm: f32,
    shade: f32,
    kind: FuzzKind,
) -> RootedHair {
    let [x, n, y] = frame_of(root.vertices.map(|v| model.neutral[v as usize]));
    let at = root.at(&model.neutral);
    let offsets = points.iter().map(|p| v3((*p - at).dot(x), (*p - at).dot(n), (*p - at).dot(y))).collect();
    RootedHair { root, offsets, width_cm, shade, kind }
}

/// Grows brows and beard on the average head; the roots carry them to any person.
pub(super) fn grow(model: &HeadModel, charts: &SkinCharts, traits: &Traits, seed: u64) -> Vec<RootedHair> {
    let mut hairs = Vec::new();
    let mut rng = Rng::new(seed, 4);
    brows(model, charts, traits, &mut rng, &mut hairs);
    beard(model, charts, traits, &mut rng, &mut hairs);
    hairs
}

fn brows(model: &HeadModel, charts: &SkinCharts, traits: &Traits, rng: &mut Rng, hairs: &mut Vec<RootedHair>) {
    let surface = FaceSurface::near(model, |p| p.y > 3.5 && p.y < 8.5 && p.z > 4.0);
    let arch = rng.range(-0.15, 0.2);
    for side in 0..2 {
        let outward = if side == 0 { 1.0 } else { -1.0 };
        let [upper, lower] = &charts.brows[side];
        for _ in 0..(620.0 * traits.brow_density) as usize {
            // From the outer end (0) to the inner (4); hairs are dense inside and sparse at the tail.
            let t = 4.0 * rng.unit().powf(0.8) - 0.25 * rng.unit() * rng.unit();
            let t = t.max(0.0);
            let k = (t as usize).min(3);
            let f = t - k as f32;
            let (up, low) = (upper[k].lerp(upper[k + 1], f), lower[k].lerp(lower[k + 1], f));
            let taper =
                lerp(0.35, 1.0, (t / 1.8).min(1.0)) * lerp(1.0, 0.55, ((t - 3.0) / 1.0).clamp(0.0, 1.0) * rng.unit());
            let across = 0.5 + (rng.unit() + rng.unit() - 1.0) * 1.15 * traits.brow_height * taper;
            let mut p = low.lerp(up, across);
            p.y += arch * (1.0 - (t - 1.5).abs() / 2.5) - BROW_DROP_CM;
            p.x += 0.06 * rng.normal();
            let root = surface.nearest(p, v3(0.3 * outward, 0.0, 1.0).unit());
            let at = root.at(&model.neutral);
            let [a, b, c] = root.vertices.map(|v| model.neutral[v as usize]);
            let n = (b - a).cross(c - a).unit();
            let inner = (t / 4.0).powi(3);
            let lean = if across > 0.5 { -0.55 } else { 0.35 };
            let dir = v3(
                outward * lerp(1.0, 0.30, inner),
                lerp(lean - 0.25 * (1.0 - t / 4.0), 1.0, inner) + 0.12 * rng.normal(),
                0.0,
            );
            let dir = (dir - n * dir.dot(n)).unit();
            let length = rng.range(0.45, 0.85) * lerp(0.75, 1.0, taper);
            let points: Vec<V3> = (0..4)
                .map(|i| {
                    let s = i as f32 / 3.0;
                    let droop = v3(0.0, -0.12 * s * s * length, 0.0);
                    at + dir * (s * length) + n * (0.02 + 0.11 * s * (1.0 - 0.7 * s)) + droop
                })
                .collect();
            hairs.push(rooted(model, root, &points, 0.026, rng.range(0.7, 1.15), FuzzKind::Brow));
        }
    }
}

fn beard(model: &HeadModel, charts: &SkinCharts, traits: &Traits, rng: &mut Rng, hairs: &mut Vec<RootedHair>) {
    let (density, length_cm) = match traits.beard {
        Beard::None => return,
        Beard::Stubble => (26.0, 0.14),
        Beard::Moustache => (60.0, 0.8),
        Beard::Full => (34.0, rng.range(0.6, 1.7)),
    };
    for (t, _) in model.triangles.iter().zip(&model.surfaces).filter(|(_, s)| **s == Surface::Face) {
        let [a, b, c] = t.map(|v| model.neutral[v as usize]);
        let middle = (a + b + c) / 3.0;
        let mut mask = beard_mask(middle, charts);
        if traits.beard == Beard::Moustache && !(middle.y > -3.9 && middle.x.abs() < 3.1) {
            mask = 0.0;
        }
        let normal = (b - a).cross(c - a);
        let expected = 0.5 * normal.length() * density * mask;
        let n = (expected + rng.unit()) as usize;
        let normal = normal.unit();
        for _ in 0..if mask > 0.05 { n } else { 0 } {
            let (mut u, mut v) = (rng.unit(), rng.unit());
            if u + v > 1.0 {
                (u, v) = (1.0 - u, 1.0 - v);
            }
            let root = SurfacePoint { vertices: *t, weights: [1.0 - u - v, u, v] };
            let at = root.at(&model.neutral);
            let side = at.x.signum();
            let over_lip = at.y > -3.6 && at.x.abs() < 3.0;
            let grain = if over_lip { v3(0.8 * side, -0.9, 0.2) } else { v3(0.15 * side, -1.0, 0.25) };
            let grain = grain + v3(rng.normal(), rng.normal(), rng.normal()) * 0.22;
            let dir = (grain - normal * grain.dot(normal)).unit();
            let length = length_cm * rng.range(0.6, 1.1) * (0.4 + 0.6 * mask) * if over_lip { 0.55 } else { 1.0 };
            let points: Vec<V3> = (0..4)
                .map(|i| {
                    let s = i as f32 / 3.0;
                    at + dir * (s * length) + normal * (0.01 + 0.35 * length * s) + v3(0.0, -0.25 * length * s * s, 0.0)
                })
                .collect();
            hairs.push(rooted(model, root, &points, 0.035, rng.range(0.65, 1.2), FuzzKind::Beard));
        }
    }
}

/// Lashes along the columns of the model's lash cards.
pub(super) fn lashes(model: &HeadModel, traits: &Traits, seed: u64) -> Vec<Lash> {
    let mut rng = Rng::new(seed, 5);
    // A card's columns share u; its rows run from the tip to the root as v rises.
    let mut points: Vec<(usize, i32, f32, u32)> = model
        .lash_uv
        .iter()
        .map(|(vertex, [u, v])| {
            let strip = [0.16, 0.33, 0.495, 0.66, 0.84].iter().filter(|limit| *v > **limit).count();
            (strip + if *u > 6.5 { 6 } else { 0 }, (u * 1000.0).round() as i32, *v, *vertex)
        })
        .collect();
    points.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(b.2.total_cmp(&a.2)));
    let mut columns: Vec<(usize, Vec<u32>)> = Vec::new();
    let mut last = (usize::MAX, i32::MIN);
    for (strip, u, _, vertex) in points {
        if strip != last.0 || u - last.1 > 8 {
            columns.push((strip, Vec::new()));
            last = (strip, u);
        }
        if let Some(column) = columns.last_mut() {
            column.1.push(vertex);
        }
    }
    let mut lashes = Vec::new();
    for pair in columns.windows(2) {
        let upper = pair[0].0 % 6 >= 3;
        if pair[0].0 != pair[1].0 || pair[0].1.len() != pair[1].1.len() {
            continue;
        }
        let n = if upper { 5 } else { 1 };
        for _ in 0..n {
            lashes.push(Lash {
                columns: [pair[0].1.clone(), pair[1].1.clone()],
                between: rng.unit(),
                width_cm: if upper { 0.026 } else { 0.012 } * (0.8 + 0.5 * traits.feminine),
                length: (if upper { 0.56 } else { 0.38 }) * (0.75 + 0.4 * traits.feminine) * rng.range(0.75, 1.1),
            });
        }
    }
    lashes
}

impl Lash {
    /// Points from root to tip on the given shape.
    pub(crate) fn points(&self, positions: &[V3]) -> Vec<V3> {
        let at = |i: usize| {
            positions[self.columns[0][i] as usize].lerp(positions[self.columns[1][i] as usize], self.between)
        };
        let n = self.columns[0].len();
        let last = (n - 1) as f32 * self.length;
        (0..4)
            .map(|k| {
                let x = last * k as f32 / 3.0;
                let i = (x as usize).min(n - 2);
                at(i).lerp(at(i + 1), x - i as f32)
            })
            .collect()
    }
}
