//! From expression coefficients and a head pose to the vertices of a frame.

use super::{
    head_model::HeadModel,
    math::{M3, V3, lerp, normals, v3},
    person::{Person, Studio},
};

/// Expression and pose at an instant.
#[derive(Clone, Debug)]
pub struct FaceState {
    /// 0..1 each, in the order of [`crate::geometry::COEFFICIENT_NAMES`].
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
