//! Skin: colour, relief and gloss, painted in three dimensions and baked into the model's UV charts.

use rayon::prelude::*;

use super::{
    head_model::{HeadModel, Surface},
    landmarks::{BROW_LOWER, BROW_UPPER, LIPS_OUTER, LandmarkTable},
    math::{V3, bell, curve, lerp, segment_distance, smoothstep, v3},
    noise::{cells, fbm, noise},
    random::Rng,
    traits::{Beard, HairStyle, Traits, skin_tone},
};

/// One texel: square root of linear colour, relief (128 = level, 0.02 mm steps), roughness.
#[derive(Clone, Copy, Default)]
pub(crate) struct Texel {
    pub colour: [u8; 3],
    pub relief: u8,
    pub roughness: u8,
    pub gloss: u8,
}

/// A square picture of texels with its side.
pub(crate) struct Chart {
    pub side: usize,
    pub texels: Vec<Texel>,
}

/// Filtered values of a chart.
pub(crate) struct SkinSample {
    pub albedo: V3,
    pub roughness: f32,
    pub gloss: f32,
    /// Relief slope along u and v, in cm a UV unit.
    pub slope: [f32; 2],
}

const FACE_SIDE: usize = 1024;
const BACK_SIDE: usize = 512;
const RELIEF_STEP_CM: f32 = 0.002;
/// How far below the outline of the table brows grow, cm.
pub(super) const BROW_DROP_CM: f32 = 0.06;

/// Where each texel of the two charts lies on the average head, and the outlines drawn there.
pub(crate) struct SkinCharts {
    face: Vec<Option<V3>>,
    back: Vec<Option<V3>>,
    pub lips: Vec<V3>,
    pub brows: [[Vec<V3>; 2]; 2],
}

impl SkinCharts {
    pub(crate) fn new(model: &HeadModel, table: &LandmarkTable) -> Self {
        let at = |l: usize| table.points[l].at(&model.neutral);
        let row = |rows: [[usize; 5]; 2], side: usize| rows[side].iter().map(|l| at(*l)).collect::<Vec<_>>();
        Self {
            face: position_chart(model, Surface::Face, 0.0, FACE_SIDE),
            back: position_chart(model, Surface::BackHead, 1.0, BACK_SIDE),
            lips: LIPS_OUTER.iter().map(|l| at(*l)).collect(),
            brows: [0, 1].map(|side| [row(BROW_UPPER, side), row(BROW_LOWER, side)]),
        }
    }

    /// Paints a person's skin: face chart and back-of-head chart.
    pub(crate) fn bake(&self, traits: &Traits, seed: u64) -> [Chart; 2] {
        let painter = Painter::new(self, traits, seed);
        [(&self.face, FACE_SIDE), (&self.back, BACK_SIDE)].map(|(positions, side)| Chart {
            side,
            texels: positions.par_iter().map(|p| p.map_or_else(Texel::default, |p| painter.texel(p))).collect(),
        })
    }
}

/// Position on the neutral head for each texel; gaps within reach of a chart are filled from neighbours.
fn position_chart(model: &HeadModel, surface: Surface, u_offset: f32, side: usize) -> Vec<Option<V3>> {
    let mut chart: Vec<Option<V3>> = vec![None; side * side];
    for (t, uv) in model
        .triangles
        .iter()
        .zip(&model.triangles_uv)
        .zip(&model.surfaces)
        .filter(|(_, s)| **s == surface)
        .map(|(x, _)| x)
    {
        let p = t.map(|v| model.neutral[v as usize]);
        let q = uv.map(|i| {
            let [u, v] = model.uv[i as usize];
            [(u - u_offset) * side as f32, (1.0 - v) * side as f32]
        });
        let area = (q[1][0] - q[0][0]) * (q[2][1] - q[0][1]) - (q[1][1] - q[0][1]) * (q[2][0] - q[0][0]);
        if area.abs() < 1e-9 {
            continue;
        }
        let lo = |k: usize| (q[0][k].min(q[1][k]).min(q[2][k]) - 1.0).max(0.0) as usize;
        let hi = |k: usize| ((q[0][k].max(q[1][k]).max(q[2][k]) + 1.0).max(0.0) as usize).min(side - 1);
        for y in lo(1)..=hi(1) {
            for x in lo(0)..=hi(0) {
                let c = [x as f32 + 0.5, y as f32 + 0.5];
                let w = |a: usize, b: usize| {
                    ((q[a][0] - c[0]) * (q[b][1] - c[1]) - (q[a][1] - c[1]) * (q[b][0] - c[0])) / area
                };
                let (w0, w1, w2) = (w(1, 2), w(2, 0), w(0, 1));
                // A slack of a few texels closes the seams that filtering would show.
                if w0 > -0.02 && w1 > -0.02 && w2 > -0.02
                    || chart[y * side + x].is_none() && w0 > -0.6 && w1 > -0.6 && w2 > -0.6
                {
                    chart[y * side + x] = Some(p[0] * w0 + p[1] * w1 + p[2] * w2);
                }
            }
        }
    }
    chart
}

impl Chart {
    /// Bilinear sample at chart coordinates 0..1 (v up).
    #[inline]
    pub(crate) fn sample(&self, u: f32, v: f32) -> SkinSample {
        let n = self.side as f32;
        let x = (u * n - 0.5).clamp(0.0, n - 1.001);
        let y = ((1.0 - v) * n - 0.5).clamp(0.0, n - 1.001);
        let (ix, iy) = (x as usize, y as usize);
        let (fx, fy) = (x - ix as f32, y - iy as f32);
        let t = &self.texels;
        let (a, b) = (&t[iy * self.side + ix], &t[iy * self.side + ix + 1]);
        let (c, d) = (&t[(iy + 1) * self.side + ix], &t[(iy + 1) * self.side + ix + 1]);
        let w = [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy];
        let mix = |f: &dyn Fn(&Texel) -> u8| {
            w[0] * f32::from(f(a)) + w[1] * f32::from(f(b)) + w[2] * f32::from(f(c)) + w[3] * f32::from(f(d))
        };
        let root = v3(mix(&|t| t.colour[0]), mix(&|t| t.colour[1]), mix(&|t| t.colour[2])) * (1.0 / 255.0);
        let relief = |t: &Texel| f32::from(t.relief) * RELIEF_STEP_CM;
        let du = lerp(relief(b) - relief(a), relief(d) - relief(c), fy) * n;
        let dv = -lerp(relief(c) - relief(a), relief(d) - relief(b), fx) * n;
        SkinSample {
            albedo: root * root,
            roughness: mix(&|t| t.roughness) * (1.0 / 255.0),
            gloss: mix(&|t| t.gloss) * (1.0 / 255.0),
            slope: [du, dv],
        }
    }
}

/// Signed distance in the frontal plane to a closed outline, negative inside, cm.
fn outline_distance(outline: &[V3], p: V3) -> f32 {
    let (mut inside, mut best) = (false, f32::MAX);
    let flat = v3(p.x, p.y, 0.0);
    for i in 0..outline.len() {
        let (a, b) = (outline[i], outline[(i + 1) % outline.len()]);
        if (a.y > p.y) != (b.y > p.y) && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x {
            inside = !inside;
        }
        best = best.min(segment_distance(flat, v3(a.x, a.y, 0.0), v3(b.x, b.y, 0.0)));
    }
    if inside { -best } else { best }
}

struct Mark {
    at: V3,
    radius_cm: f32,
    strength: f32,
}

struct Painter<'a> {
    charts: &'a SkinCharts,
    traits: &'a Traits,
    tone: V3,
    seed: u32,
    moles: Vec<Mark>,
    creases: Vec<(Vec<V3>, f32, f32)>,
}

impl<'a> Painter<'a> {
    fn new(charts: &'a SkinCharts, traits: &'a Traits, seed: u64) -> Self {
        let mut rng = Rng::new(seed, 2);
        let n_moles = (traits.moles * 9.0) as usize;
        let moles = (0..n_moles)
            .map(|_| {
                let (x, y) = (rng.range(-6.5, 6.5), rng.range(-7.0, 8.5));
                Mark { at: v3(x, y, 0.0), radius_cm: rng.range(0.05, 0.13), strength: rng.range(0.3, 0.8) }
            })
            .collect();
        let age = smoothstep(25.0, 72.0, traits.age_years);
        let mut creases = Vec::new();
        for side in [-1.0f32, 1.0] {
            let mut line = |points: &[(f32, f32)], depth: f32, width_cm: f32| {
                creases.push((points.iter().map(|(x, y)| v3(side * x, *y, 0.0)).collect::<Vec<_>>(), depth, width_cm));
            };
            line(&[(1.75, -0.3), (2.4, -1.5), (2.95, -2.8), (3.2, -3.7)], 0.15 + 0.85 * age, 0.16);
            line(&[(2.9, -4.0), (3.1, -5.0), (2.9, -5.9)], 0.7 * (age - 0.25).max(0.0), 0.13);
            line(&[(1.9, 2.75), (2.8, 2.05), (3.8, 2.1)], 0.2 + 0.6 * age, 0.14);
            line(&[(0.62, 5.3), (0.7, 6.4)], 0.8 * (age - 0.2).max(0.0), 0.10);
            for k in 0..4 {
                let y = 3.6 - 0.55 * (k as f32 - 1.2);
                line(&[(5.0, 0.5 * (y + 3.4)), (6.1, y + 0.25 * (1.2 - k as f32))], 0.75 * (age - 0.2).max(0.0), 0.07);
            }
            for k in 0..3 {
                let y = 7.6 + 0.95 * k as f32;
                line(&[(0.0, y - 0.1), (1.8, y), (3.6, y + 0.15), (4.9, y - 0.2)], 0.75 * (age - 0.2).max(0.0), 0.09);
            }
        }
        creases.retain(|c| c.1 > 0.01);
        Self {
            charts,
            traits,
            tone: skin_tone(traits.melanin, traits.redness),
            seed: seed as u32 ^ 0x51ed,
            moles,
            creases,
        }
    }

    fn texel(&self, p: V3) -> Texel {
        let t = self.traits;
        let s = self.seed;
        let mirrored = v3(p.x.abs(), p.y, p.z);
        let front = smoothstep(3.0, 6.5, p.z);
        let near = |x: f32, y: f32, r: f32| bell(((mirrored.x - x).powi(2) + (p.y - y).powi(2)).sqrt(), r) * front;

        // Blood shows on cheeks, nose, ears and chin; pigment gathers around the eyes.
        let flush = 0.75 * near(4.5, 0.3, 2.0)
            + 0.8 * near(0.0, 0.6, 1.0)
            + 0.35 * near(0.0, -6.6, 1.1)
            + 0.6 * smoothstep(6.6, 7.6, mirrored.x) * smoothstep(4.5, 3.0, p.z) * smoothstep(-3.0, -1.5, p.y);
        let shade = 0.55 * near(2.9, 2.3, 0.75) + 0.35 * near(3.2, 4.6, 0.8) + 0.25 * near(1.3, 3.8, 0.55);
        let broad = fbm(p * 0.35, 3, s);
        let fine = fbm(p * 2.3, 3, s ^ 77);
        let speckle = noise(p * 7.0, s ^ 5) * 0.6 + noise(p * 15.0, s ^ 6) * 0.6;
        let light_skin = 1.0 - t.melanin;
        let red = (flush * (0.16 + 0.30 * t.redness) * (1.0 + 0.6 * broad + 0.3 * fine)
            + 0.24 * fine
            + 0.16 * broad
            + 0.10 * speckle)
            * (0.35 + 0.65 * light_skin);
        let dark = 0.13 * broad + 0.10 * fine + 0.09 * speckle + shade * (0.55 + 0.4 * t.melanin);
        let mut albedo = self.tone * (1.0 - 0.32 * dark) * v3(1.0 - 0.03 * red, 1.0 - 0.30 * red, 1.0 - 0.27 * red);
        let forehead = smoothstep(5.0, 9.0, p.y) * front;
        albedo = albedo * v3(1.0, 1.0 + 0.025 * forehead, 1.0 - 0.02 * forehead);

        let mut relief = 0.22 * fbm(p * 4.0, 2, s ^ 9);
        let (pore, _) = cells(p * 9.0, s ^ 3);
        let pore_zone = 0.35 + near(2.6, 0.6, 1.4) + near(0.0, 1.0, 1.2) + 0.4 * forehead;
        relief -= 0.30 * pore_zone * smoothstep(0.38, 0.1, pore);
        albedo = albedo * (1.0 - 0.07 * pore_zone * smoothstep(0.35, 0.1, pore));

        if t.freckles > 0.0 {
            let zone = t.freckles * (near(3.4, 1.2, 2.3) + near(0.0, 1.8, 1.4) + 0.4 * forehead).min(1.0);
            for (scale, limit) in [(4.2, 0.26), (7.0, 0.22)] {
                let (d, id) = cells(p * scale, s ^ 21);
                let spot = smoothstep(limit, limit * 0.4, d) * smoothstep(0.35, 0.8, id) * zone;
                albedo = albedo * v3(1.0 - 0.32 * spot, 1.0 - 0.48 * spot, 1.0 - 0.58 * spot);
            }
        }
        for m in &self.moles {
            let d = ((p.x - m.at.x).powi(2) + (p.y - m.at.y).powi(2)).sqrt();
            let spot = smoothstep(m.radius_cm, m.radius_cm * 0.5, d) * front * m.strength;
            albedo = albedo.lerp(self.tone * v3(0.3, 0.2, 0.16), spot);
            relief += spot * 6.0;
        }
        let age = smoothstep(40.0, 75.0, t.age_years);
        let blotch = smoothstep(0.35, 0.6, fbm(p * 1.1, 3, s ^ 41)) * age;
        albedo = albedo * v3(1.0 - 0.12 * blotch, 1.0 - 0.17 * blotch, 1.0 - 0.2 * blotch);

        let wobble = v3(p.x + 0.22 * noise(p * 0.9, s ^ 15), p.y + 0.16 * noise(p * 0.9, s ^ 14), 0.0);
        for (line, depth, width_cm) in &self.creases {
            let d = line.windows(2).map(|w| segment_distance(wobble, w[0], w[1])).fold(f32::MAX, f32::min);
            if d < 4.0 * width_cm {
                let fold = bell(d, *width_cm) * depth * front;
                relief -= 18.0 * fold * (width_cm / 0.1);
                albedo = albedo * v3(1.0 - 0.08 * fold, 1.0 - 0.13 * fold, 1.0 - 0.14 * fold);
            }
        }

        let mut roughness = 0.55 - 0.10 * t.oiliness * (near(0.0, 1.0, 1.6) + forehead * bell(p.x, 3.0)).min(1.0);
        let mut gloss = 0.50 + 0.35 * t.oiliness;
        if p.z > 8.0 && p.y < -1.0 && p.y > -7.0 {
            let edge = outline_distance(&self.charts.lips, p) + 0.05 * noise(p * 6.0, s ^ 31);
            let lip = smoothstep(0.14, -0.20, edge);
            let furrow = noise(v3(p.x * 9.0, p.y * 0.9, p.z), s ^ 33);
            let tint =
                self.tone.lerp(v3(0.42, 0.10, 0.09).lerp(v3(0.13, 0.035, 0.035), t.melanin), 0.30 + 0.38 * t.lip_tint)
                    * v3(0.98, 0.72, 0.74);
            albedo = albedo.lerp(tint * (1.0 - 0.10 * furrow.abs() - 0.06 * fine), lip * 0.92);
            relief += lip * 2.6 * furrow;
            roughness = lerp(roughness, 0.30, lip);
            gloss = lerp(gloss, 1.0, lip);
            // A pale rim borders the red of the lip.
            albedo = albedo * (1.0 + 0.03 * bell(edge - 0.12, 0.09));
        }
        albedo = self.hair_shadow(p, albedo, front);
        let root = |c: f32| (c.clamp(0.0, 1.0).sqrt() * 255.0 + 0.5) as u8;
        Texel {
            colour: [root(albedo.x), root(albedo.y), root(albedo.z)],
            relief: (128.0 + relief * 1.6).clamp(0.0, 255.0) as u8,
            roughness: (roughness * 255.0) as u8,
            gloss: (gloss * 200.0).min(255.0) as u8,
        }
    }

    /// Darkens skin where hair grows out of it: scalp, brows, beard.
    fn hair_shadow(&self, p: V3, albedo: V3, front: f32) -> V3 {
        let t = self.traits;
        let grain = 0.75 + 0.5 * noise(p * 16.0, self.seed ^ 61);
        let follicle = (t.hair_colour.lerp(v3(0.02, 0.016, 0.014), 0.4)).map(|c| c.min(0.06));
        let cover = match t.hair {
            HairStyle::Bald => 0.16 * smoothstep(6.0, 3.0, p.z),
            HairStyle::Buzz => 0.72,
            _ => 0.93,
        };
        let mut out = albedo.lerp(follicle, (cover * scalp_mask(p, t) * grain).clamp(0.0, 0.95));
        let beard = beard_mask(p, self.charts)
            * match t.beard {
                Beard::None if t.feminine > 0.5 => 0.0,
                Beard::None => 0.10,
                Beard::Stubble => 0.42,
                Beard::Moustache => 0.16,
                Beard::Full => 0.6,
            };
        out = out.lerp(follicle.lerp(v3(0.10, 0.10, 0.11), 0.3), (beard * grain).min(0.9));
        if front > 0.0 && p.y > 3.5 && p.y < 8.5 {
            let brow = brow_mask(p, self.charts, t.brow_height);
            out = out.lerp(follicle, (0.34 * brow * t.brow_density * grain).min(0.8));
        }
        out
    }
}

/// How far inside the hairline a point of the average head is, 0..1.
pub(super) fn scalp_mask(p: V3, traits: &Traits) -> f32 {
    // Angle from the front around the vertical axis, degrees; the line's height at each.
    let azimuth = p.x.abs().atan2(p.z - 1.0).to_degrees();
    let recess = traits.hairline_recess;
    let line = curve(
        &[
            (0.0, 9.9 + 0.5 * recess),
            (16.0, 10.0 + 0.9 * recess),
            (34.0, 9.7 + 2.0 * recess),
            (48.0, 8.4 + 1.6 * recess),
            (58.0, 6.3 + 0.6 * recess),
            (66.0, 4.2),
            (73.0, 1.6),
            (79.0, 0.6),
            (84.0, 2.8),
            (90.0, 6.2),
            (112.0, 5.6),
            (120.0, 0.0),
            (135.0, -4.0),
            (180.0, -5.6),
        ],
        azimuth,
    );
    let ear = p.x.abs() > 7.75 && p.y < 5.6 && p.z > -4.0;
    if ear { 0.0 } else { smoothstep(-0.15, 0.75, p.y - line) }
}

/// Strength of beard growth on the average head, 0..1.
pub(super) fn beard_mask(p: V3, charts: &SkinCharts) -> f32 {
    let x = p.x.abs();
    let upper = curve(&[(0.0, -1.35), (1.2, -1.5), (2.6, -2.6), (4.2, -3.2), (5.6, -1.8), (6.6, 0.6), (7.4, 2.0)], x);
    let mut mask =
        smoothstep(upper + 0.15, upper - 0.75, p.y) * smoothstep(-11.5, -9.0, p.y) * smoothstep(0.8, 2.6, p.z);
    if p.z > 8.0 && p.y > -7.0 {
        mask *= smoothstep(-0.02, 0.16, outline_distance(&charts.lips, p));
    }
    // Growth is thin beside the lower lip and in the groove under the nose.
    mask * (1.0 - 0.6 * bell(x - 1.5, 0.5) * bell(p.y + 5.2, 0.5))
        * (1.0 - 0.4 * bell(x, 0.25) * smoothstep(-2.6, -2.0, p.y))
}

/// Strength of brow growth on the average head, 0..1.
fn brow_mask(p: V3, charts: &SkinCharts, height: f32) -> f32 {
    let [upper, lower] = &charts.brows[usize::from(p.x < 0.0)];
    let p = v3(p.x, p.y + BROW_DROP_CM, p.z);
    let d = (0..4)
        .map(|i| {
            let mid = |k: usize| {
                let m = upper[k].lerp(lower[k], 0.5);
                v3(m.x, m.y, 0.0)
            };
            segment_distance(v3(p.x, p.y, 0.0), mid(i), mid(i + 1))
        })
        .fold(f32::MAX, f32::min);
    smoothstep(0.62 * height, 0.12, d)
}
