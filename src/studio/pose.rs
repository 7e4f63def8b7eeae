//! From expression coefficients and a head pose to the vertices of a frame.

use super::{
    head_model::{HeadModel, Surface},
    math::{M3, V3, lerp, smoothstep, v3},
    person::{Person, Studio},
};

pub(super) use crate::face::COEFFICIENT_NAMES as COEFFICIENTS;

/// Index of a coefficient by name.
pub(super) fn coefficient(name: &str) -> Option<usize> {
    COEFFICIENTS.iter().position(|c| *c == name)
}

/// Expression and pose at an instant.
#[derive(Clone, Debug)]
pub struct FaceState {
    /// 0..1 each, in the order of [`COEFFICIENTS`].
    pub coefficients: [f32; 52],
    pub yaw_rads: f32,
    pub pitch_rads: f32,
    pub roll_rads: f32,
    /// Displacement of the whole body, cm.
    pub shift_cm: V3,
}

impl Default for FaceState {
    fn default() -> Self {
        Self { coefficients: [0.0; 52], yaw_rads: 0.0, pitch_rads: 0.0, roll_rads: 0.0, shift_cm: V3::ZERO }
    }
}

const BLINK_LEFT: usize = 9;
const BLINK_RIGHT: usize = 10;
const JAW_OPEN: usize = 25;
const MOUTH_CLOSE: usize = 27;
const MOUTH_PUCKER: usize = 38;

/// Full turn of an eye for a coefficient of 1, sideways and up or down.
const GAZE_YAW_RADS: f32 = 0.52;
const GAZE_PITCH_RADS: f32 = 0.42;

impl FaceState {
    /// Gaze of an eye (0 left, 1 right) relative to the head: yaw towards +x and pitch upwards, radians.
    pub fn gaze_rads(&self, side: usize) -> [f32; 2] {
        let c = |k: usize| self.coefficients[k + side];
        let outward = c(15) - c(13);
        [GAZE_YAW_RADS * if side == 0 { outward } else { -outward }, GAZE_PITCH_RADS * (c(17) - c(11))]
    }
}

/// Factors on the model's shapes, and exponents on the coefficients, that bring the tracker's reading of a render near the coefficient that was set.
const GAINS: [(&str, f32); 4] = [("browInnerUp", 2.2), ("browOuterUp", 1.4), ("browDown", 1.6), ("eyeLookDown", 0.6)];

/// Which shapes of the head model make each of the 52 coefficients.
pub(crate) struct Rig {
    shapes: Vec<Vec<(usize, f32)>>,
}

impl Rig {
    pub(crate) fn new(model: &HeadModel) -> Self {
        let shapes = COEFFICIENTS
            .iter()
            .map(|name| {
                let own = match *name {
                    "browInnerUp" => vec!["browInnerUp_L".to_owned(), "browInnerUp_R".to_owned()],
                    "cheekPuff" => vec!["cheekPuff_L".to_owned(), "cheekPuff_R".to_owned()],
                    "jawLeft" | "jawRight" | "mouthLeft" | "mouthRight" => vec![(*name).to_owned()],
                    _ => match (name.strip_suffix("Left"), name.strip_suffix("Right")) {
                        (Some(stem), _) => vec![format!("{stem}_L")],
                        (_, Some(stem)) => vec![format!("{stem}_R")],
                        _ => vec![(*name).to_owned()],
                    },
                };
                let gain = GAINS.iter().find(|g| name.starts_with(g.0)).map_or(1.0, |g| g.1);
                let mut shapes: Vec<(usize, f32)> =
                    own.iter().filter_map(|n| model.shape_index(n)).map(|i| (i, gain)).collect();
                if *name == "mouthFunnel" {
                    // The model's funnel only protrudes; lips that round also part.
                    let parting = [
                        ("mouthUpperUp_L", 0.35),
                        ("mouthUpperUp_R", 0.35),
                        ("mouthLowerDown_L", 0.5),
                        ("mouthLowerDown_R", 0.5),
                    ];
                    shapes.iter_mut().for_each(|s| s.1 = 0.62);
                    shapes.extend(parting.iter().filter_map(|(n, g)| Some((model.shape_index(n)?, *g))));
                }
                shapes
            })
            .collect();
        Self { shapes }
    }
}

/// The vertices of a frame.
#[derive(Default)]
pub struct Posed {
    /// Head, garment, glasses with the expression but without the pose (head space), cm.
    pub local: Vec<V3>,
    /// The same in the world, where the camera looks along −z.
    pub world: Vec<V3>,
    pub normals: Vec<V3>,
    pub pivots: Pivots,
    pub globes: [(V3, f32); 2],
}

/// Rotations about the neck for weights 0 (torso) to 1 (head).
#[derive(Clone)]
pub struct Pivots {
    rotations: Vec<M3>,
    shift_cm: V3,
}

const NECK: V3 = v3(0.0, -5.5, -1.0);
const N_STEPS: usize = 32;

impl Default for Pivots {
    fn default() -> Self {
        Self::new(&FaceState::default())
    }
}

impl Pivots {
    pub fn new(state: &FaceState) -> Self {
        let rotations = (0..=N_STEPS)
            .map(|i| {
                let w = i as f32 / N_STEPS as f32;
                M3::from_euler_rads(state.yaw_rads * w, state.pitch_rads * w, state.roll_rads * w)
            })
            .collect();
        Self { rotations, shift_cm: state.shift_cm }
    }
    /// The head's rotation and translation: world = rotation · head + translation.
    pub fn head(&self) -> (M3, V3) {
        let r = self.rotations[N_STEPS];
        (r, NECK - r.apply(NECK) + self.shift_cm)
    }
    /// Moves a point that follows the head with `weight`.
    #[inline]
    pub fn apply(&self, p: V3, weight: f32) -> V3 {
        let at = weight.clamp(0.0, 1.0) * N_STEPS as f32;
        let i = (at as usize).min(N_STEPS - 1);
        let d = p - NECK;
        let (a, b) = (self.rotations[i].apply(d), self.rotations[i + 1].apply(d));
        a.lerp(b, at - i as f32) + NECK + self.shift_cm
    }
}

/// How much a point of the rest pose follows the head: the neck bends between torso and jaw.
#[inline]
pub(super) fn neck_weight(p: V3) -> f32 {
    smoothstep(-14.8, -6.5, p.y + 0.45 * (p.z - 2.0).clamp(0.0, 8.0))
}

/// How much hair follows the head: its tips rest on the shoulders.
#[inline]
pub(super) fn hair_weight(p: V3) -> f32 {
    smoothstep(-20.0, -5.0, p.y)
}

/// Area-weighted vertex normals.
pub(super) fn normals(vertices: &[V3], triangles: &[[u32; 3]]) -> Vec<V3> {
    let mut out = vec![V3::ZERO; vertices.len()];
    for t in triangles {
        let [a, b, c] = t.map(|v| vertices[v as usize]);
        let n = (b - a).cross(c - a);
        t.iter().for_each(|v| out[*v as usize] += n);
    }
    out.iter_mut().for_each(|n| *n = n.unit());
    out
}

/// Poses a person.
pub(super) fn pose(studio: &Studio, person: &Person, state: &FaceState) -> Posed {
    let mut local = person.rest.clone();
    for (k, weight) in state.coefficients.iter().enumerate() {
        // At rest the upper lid covers the top of the iris; the model's neutral face stares.
        let weight = match k {
            BLINK_LEFT | BLINK_RIGHT => lerp(person.traits.lid_rest, 1.0, *weight),
            // Closing undoes the parting of an open jaw and can do no more.
            MOUTH_CLOSE => weight.min(state.coefficients[JAW_OPEN]),
            MOUTH_PUCKER => 1.1 * weight.max(0.0).powf(0.66),
            _ => *weight,
        };
        if weight.abs() < 1e-4 {
            continue;
        }
        for (shape, gain) in &studio.rig.shapes[k] {
            for (v, d) in &studio.model.shapes[*shape].moved {
                local[*v as usize] += *d * (weight * gain);
            }
        }
    }
    let globes = [0, 1].map(|side| HeadModel::globe(&person.rest, side));
    keep_lids_out(person, &globes, &mut local);
    local.extend(person.garment.vertices.iter().chain(&person.glasses.vertices));
    let pivots = Pivots::new(state);
    let weights = &person.weights;
    let world: Vec<V3> = local.iter().enumerate().map(|(i, p)| pivots.apply(*p, weights[i])).collect();
    let normals = normals(&world, &person.triangles);
    Posed { local, world, normals, pivots, globes }
}

/// Vertices around the eyes with the least distance from the globe's centre that they keep, cm.
pub(super) fn lid_vertices(studio: &Studio, rest: &[V3]) -> Vec<(u32, u8, f32)> {
    let mut out = Vec::new();
    let mut is_skin = vec![false; rest.len()];
    for (t, _) in studio.model.triangles.iter().zip(&studio.model.surfaces).filter(|(_, s)| **s == Surface::Face) {
        t.iter().for_each(|v| is_skin[*v as usize] = true);
    }
    studio.model.lash_uv.iter().for_each(|(v, _)| is_skin[*v as usize] = true);
    for side in 0..2 {
        let (centre, radius) = HeadModel::globe(rest, side);
        for (v, p) in rest.iter().enumerate().filter(|(v, _)| is_skin[*v]) {
            let d = (*p - centre).length();
            if d < radius + 1.3 && p.z > centre.z {
                out.push((v as u32, side as u8, d.min(radius + 0.16)));
            }
        }
    }
    out
}

/// A lid's shapes move along straight lines, which would cut through the globe; this puts it back on the surface.
fn keep_lids_out(person: &Person, globes: &[(V3, f32); 2], local: &mut [V3]) {
    for (v, side, least) in &person.lid_vertices {
        let centre = globes[*side as usize].0;
        let p = &mut local[*v as usize];
        let out = *p - centre;
        let d = out.length();
        if d < *least {
            *p = centre + out * (*least / d);
        }
    }
}
