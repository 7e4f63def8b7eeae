//! How much brighter a driver's face is than the mesh would have it: light and shade that come and go with its expression.
//!
//! The ratio of two pictures of one face, brought into the same place, is light alone: it can be put on another face (Liu,
//! Shan and Zhang 2001, "Expressive Expression Mapping with Ratio Images"). Here it is known at the face's points only, and
//! smooth.

use glam::{Vec2, Vec3};

use super::square::{PX, between};
use crate::geometry::{FACE_OVAL, FINE_MESH, FaceShape, MESH_POINTS_CM, N_FINE_POINTS};

/// Levels that are added to both pictures: the ratio of two dark places is noise.
const DARK: f32 = 6.0;
/// A logarithm of a ratio so large is half believed: it is more likely a hand, or a shift that the flow did not find.
const HALF_BELIEF: f32 = 0.35;
/// With less belief than this in a point it counts less by itself, whatever is around it.
const SURE: f32 = 0.4;
/// Belief that nothing changed, against what is measured.
const STILLNESS: f32 = 0.1;
/// The lips' inner edges. What is seen between them is for others to show.
const INNER_LIPS: [usize; 20] =
    [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 95, 88, 178, 87, 14, 317, 402, 318, 324];
/// How far from them, in the average face, points begin to count, and count in full.
const REACH_CM: [f32; 2] = [0.6, 1.6];

/// A place is doubted with what is around it: a hand differs little from a cheek, but its edges do.
const AROUND_CM: f32 = 1.8;
/// Mean doubt around a place, and in the whole face, from which on it counts less, and not at all.
const DOUBT_AROUND: [f32; 2] = [0.2, 0.32];
const DOUBT_OF_FACE: [f32; 2] = [0.07, 0.12];

/// Compares brightness in the square around a head.
pub(super) struct Shading {
    /// (PX, PX): the logarithm of the ratio times belief, and belief.
    ratios: Vec<Vec2>,
    /// How much each point counts, 0..1.
    share: [f32; N_FINE_POINTS],
    /// The points around each point that count, and where those of the next begin.
    around: Vec<u16>,
    around_ends: [usize; N_FINE_POINTS],
    sorted: [f32; N_FINE_POINTS],
    /// How far each point is believed, and how unlikely it is that light alone made the difference to it: 0..1.
    belief: [f32; N_FINE_POINTS],
    doubt: [f32; N_FINE_POINTS],
}

impl Shading {
    pub(super) fn new() -> Self {
        let points_cm: [Vec3; N_FINE_POINTS] = std::array::from_fn(|i| FINE_MESH.between(i, &MESH_POINTS_CM));
        let share: [f32; N_FINE_POINTS] = std::array::from_fn(|i| {
            let far_cm =
                INNER_LIPS.iter().map(|&at| MESH_POINTS_CM[at].distance(points_cm[i])).fold(f32::MAX, f32::min);
            let [none, full] = REACH_CM;
            // At the outline, what is behind the face is seen as often as the face.
            if FINE_MESH.is_of(i, &FACE_OVAL) { 0.0 } else { ((far_cm - none) / (full - none)).clamp(0.0, 1.0) }
        });
        let mut around = Vec::new();
        let around_ends = points_cm.map(|point| {
            let near = (0..N_FINE_POINTS).filter(|&i| share[i] > 0.0 && points_cm[i].distance(point) < AROUND_CM);
            around.extend(near.map(|i| i as u16));
            around.len()
        });
        let none = [0.0; N_FINE_POINTS];
        Self { ratios: vec![Vec2::ZERO; PX * PX], share, around, around_ends, sorted: none, belief: none, doubt: none }
    }

    /// A row of the square, to be filled with what [`belief`] gives.
    pub(super) fn row(&mut self, y: usize) -> &mut [Vec2] {
        &mut self.ratios[y * PX..][..PX]
    }

    /// Writes the logarithm of the ratio at each point of the face, as the square shows it, beside what all of the face has in
    /// common: that is the camera's exposure.
    pub(super) fn measure(&mut self, shape: &FaceShape, light: &mut [f32; N_FINE_POINTS]) {
        for (i, light) in light.iter_mut().enumerate() {
            let point = FINE_MESH.between(i, &shape.points);
            let at = shape.centre_px + (shape.rotation * point).truncate() * shape.width_px - 0.5;
            let [sum, belief] = between(at, |i| self.ratios[i]).unwrap_or_default().to_array();
            // As it was measured, until the doubt is known.
            (*light, self.belief[i]) = (sum / belief.max(1e-3), belief);
        }
        self.sorted.copy_from_slice(light);
        let (_, &mut common, _) = self.sorted.select_nth_unstable_by(N_FINE_POINTS / 2, f32::total_cmp);
        for (light, doubt) in light.iter_mut().zip(&mut self.doubt) {
            *light -= common;
            *doubt = 1.0 - likelihood(*light);
        }
        let mean = |points: &mut dyn Iterator<Item = usize>| {
            let (sum, n) = points.fold((0.0, 0.0_f32), |(sum, n), i| (sum + self.doubt[i], n + 1.0));
            sum / n.max(1.0)
        };
        let of_face = mean(&mut (0..N_FINE_POINTS).filter(|&i| self.share[i] > 0.0));
        let mut first = 0;
        let points = light.iter_mut().zip(&self.share).zip(&self.belief).zip(&self.around_ends);
        for (((light, share), belief), &end) in points {
            let around = mean(&mut self.around[first..end].iter().map(|&i| usize::from(i)));
            first = end;
            let is_light = less(around, DOUBT_AROUND) * less(of_face, DOUBT_OF_FACE);
            *light *= share * is_light * (belief / SURE).min(1.0) * belief / (belief + STILLNESS);
        }
    }
}

/// The logarithm of `seen` over `predicted` grey levels, times how far it is believed, and that.
pub(super) fn belief(seen: f32, predicted: f32) -> Vec2 {
    let ratio = ((seen + DARK) / (predicted + DARK)).ln();
    Vec2::new(ratio, 1.0) * likelihood(ratio)
}

/// How likely it is that light made a difference, 0..1.
fn likelihood(ratio: f32) -> f32 {
    let apart = ratio / HALF_BELIEF;
    1.0 / (1.0 + apart * apart)
}

/// 1 up to the first value, 0 from the second on.
fn less(value: f32, [full, none]: [f32; 2]) -> f32 {
    ((none - value) / (none - full)).clamp(0.0, 1.0)
}
