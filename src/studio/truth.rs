//! What is known about a rendered frame.

use serde::{Deserialize, Serialize};

use super::{
    landmarks::{N_LANDMARKS, N_MESH_LANDMARKS},
    math::{M3, V3, v3},
    person::{Person, Studio},
    pose::{FaceState, Posed},
    scene::Scene,
};

/// Radius of the visible iris of an average eye of the model, cm.
pub const IRIS_RADIUS_CM: f32 = 0.60;

/// Ground truth of a frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Truth {
    /// Seed of the person.
    pub person_seed: u64,
    /// Seed of the scene.
    pub scene_seed: u64,
    /// The 52 expression coefficients, in the order of the tracker.
    pub coefficients: Vec<f32>,
    /// Rotation of the head in the camera's axes (x right, y up, z towards the camera), by rows.
    pub rotation: [[f32; 3]; 3],
    /// Head origin in the camera's axes, cm.
    pub translation_cm: [f32; 3],
    /// The same rotation as angles, in degrees.
    pub yaw_pitch_roll_degs: [f32; 3],
    /// Focal length, px.
    pub focal_px: f32,
    /// 478 points: x, y in px from the top left, z in px (smaller is nearer, 0 at the head's middle).
    pub landmarks: Vec<[f32; 3]>,
}

impl Truth {
    /// The same with landmarks to a hundredth of a pixel and coefficients to a ten-thousandth, for compact files.
    pub fn rounded(mut self) -> Self {
        self.landmarks.iter_mut().flatten().for_each(|v| *v = (*v * 100.0).round() / 100.0);
        self.coefficients.iter_mut().for_each(|v| *v = (*v * 1e4).round() / 1e4);
        self
    }
}

/// Centre and rim of an iris in head space: centre, then towards +x, up, −x, down.
fn iris_points(posed: &Posed, state: &FaceState, side: usize) -> [V3; 5] {
    let (centre, radius) = posed.globes[side];
    let [yaw, pitch] = state.gaze_rads(side);
    let gaze = M3::from_euler_rads(yaw, -pitch, 0.0);
    let angle = IRIS_RADIUS_CM / 1.43;
    let (s, c) = angle.sin_cos();
    [v3(0.0, 0.0, 1.0), v3(s, 0.0, c), v3(0.0, s, c), v3(-s, 0.0, c), v3(0.0, -s, c)]
        .map(|d| centre + gaze.apply(d) * radius)
}

/// Collects what is known about a frame.
pub fn truth(
    studio: &Studio,
    person: &Person,
    scene: &Scene,
    state: &FaceState,
    posed: &Posed,
    side_px: usize,
) -> Truth {
    let (rotation, shift) = posed.pivots.head();
    let camera = scene.camera();
    let side = side_px as f32;
    let focal_px = scene.focal_heights() * side;
    let middle = rotation.apply(v3(0.0, 0.0, 2.0)) + shift;
    let to_px = |p: V3| {
        let d = p - camera;
        let scale = focal_px / -d.z;
        [0.5 * side + d.x * scale, 0.5 * side - d.y * scale, (middle.z - p.z) * scale]
    };
    let mut landmarks: Vec<[f32; 3]> =
        studio.table.points[..N_MESH_LANDMARKS].iter().map(|p| to_px(p.at(&posed.world))).collect();
    // The tracker lists the right eye's iris first.
    for eye in [1, 0] {
        landmarks.extend(iris_points(posed, state, eye).map(|p| to_px(rotation.apply(p) + shift)));
    }
    debug_assert_eq!(landmarks.len(), N_LANDMARKS);
    let t = shift - camera;
    Truth {
        person_seed: person.seed,
        scene_seed: scene.seed,
        coefficients: state.coefficients.to_vec(),
        rotation: rotation.0.map(|r| [r.x, r.y, r.z]),
        translation_cm: [t.x, t.y, t.z],
        yaw_pitch_roll_degs: [state.yaw_rads, state.pitch_rads, state.roll_rads].map(f32::to_degrees),
        focal_px,
        landmarks,
    }
}
