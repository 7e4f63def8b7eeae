//! What surrounds the face: rings of points from its outline to beyond the picture's border.
//!
//! Hair, ears and neck have no landmarks. They are carried by a sheet that begins at the face's
//! outline, so there is no seam, and curves back to the depth of the ears, so that hair turns with
//! the skull. Above the chin it moves with the head; below it comes to rest within one face height, or sooner if the picture ends there.
//! The sheet has no holes and its rim lies far outside: what it leaves uncovered is background.

use glam::{Vec2, Vec3};

use super::raster::{Canvas, Corner, Part};
use super::source::Source;
use crate::geometry::{FACE_OVAL, FaceShape, HeadPlacement, Landmarks, N_LANDMARKS};
use crate::signal::{DenseMotion, DrivingSignal};

/// Two for each point of the outline: the point, and the middle to the next one.
const N_SPOKES: usize = 2 * FACE_OVAL.len();
/// Distance of the rings from the outline, in face widths.
const RINGS: [f32; 15] = [0.0, 0.04, 0.09, 0.15, 0.22, 0.3, 0.4, 0.52, 0.66, 0.84, 1.06, 1.4, 1.9, 3.0, 9.0];
/// Depth behind the head's centre of the skull's silhouette and of the neck, in face widths.
const SKULL_DEPTH: f32 = 0.66;
/// See [`SKULL_DEPTH`].
const NECK_DEPTH: f32 = 0.42;
/// How steeply depth bends back at the outline. Steeper than the cotangent of the yaw, and hair on the far side
/// would vanish behind the face.
const SLOPE: f32 = 1.1;
/// Distance over which the outline's expression fades, in face widths. Longer than any jaw opens, or skin would fold.
const FADE: f32 = 0.45;

/// Distance from the outline from where on points go along with what moves beside the mesh: the outline is the tracker's.
const DENSE_FULL: f32 = 0.05;
/// Distances between which they cease to: one person's clothes do not tell where another's are.
const DENSE_FADE: [f32; 2] = [0.4, 1.0];
/// Distance over which a shift of the outline's source fades, in face widths.
const SOURCE_FADE: f32 = 0.2;

struct Point {
    /// Place at rest, as in the portrait: output pixels.
    rest_px: Vec3,
    source_px: Vec2,
    /// Place in head space, in face widths.
    head: Vec3,
    /// How much it goes along with what moves beside the mesh, 0..1.
    dense_share: f32,
    /// How much it moves with the head, 0..1.
    weight: f32,
    /// The points of the outline it belongs to (twice the same one, or two neighbours).
    outline: [usize; 2],
    /// How much of their expression it shares, 0..1.
    share: f32,
    /// How much of the shift of their places in the source it shares, 0..1.
    source_share: f32,
}

/// The sheet around the face of one identity.
pub(super) struct Surround {
    /// (ring, spoke).
    points: Vec<Point>,
    moved: Vec<Corner>,
    /// Which quads hold something of the person. The others need no drawing.
    is_shown: Vec<bool>,
}

impl Surround {
    /// Lays the sheet in a square picture of `size_px`. `source_from_output` turns output pixels into pixels of `source`.
    pub(super) fn new(
        shape: &FaceShape,
        rest: &HeadPlacement,
        size_px: usize,
        source: &Source,
        source_from_output: impl Fn(Vec2) -> Vec2,
    ) -> Self {
        let outline: [[usize; 2]; N_SPOKES] =
            std::array::from_fn(|i| [FACE_OVAL[i / 2], FACE_OVAL[i.div_ceil(2) % FACE_OVAL.len()]]);
        let heads = outline.map(|[a, b]| (shape.points[a] + shape.points[b]) / 2.0);
        let starts = heads.map(|head| rest.project(head));
        let middle = starts.iter().map(|p| p.truncate()).sum::<Vec2>() / N_SPOKES as f32;
        let directions = spread(&starts.map(|p| (p.truncate() - middle).to_angle()));
        // The portrait's own upright: what is below the chin depends on how the head is tilted.
        let down = (rest.rotation * Vec3::Y).truncate().normalize_or(Vec2::Y);
        let right = Vec2::new(down.y, -down.x);
        let upright = |at: Vec2| Vec2::new((at - rest.centre_px).dot(right), (at - rest.centre_px).dot(down));
        let chin = upright(rest.project(shape.points[152]).truncate()).y / rest.width_px;
        let top = upright(rest.project(shape.points[10]).truncate()).y / rest.width_px;
        let face_height = (chin - top).max(0.5);
        // What the lower border cuts off cannot be pulled into the picture, so the border rests too where it can.
        let border = (size_px as f32 - rest.project(shape.points[152]).y) / rest.width_px;
        let fall = border.clamp(0.4, face_height.max(0.4));
        let [fade, still] = DENSE_FADE;
        let mut points = Vec::with_capacity(RINGS.len() * N_SPOKES);
        for radius in RINGS {
            for spoke in 0..N_SPOKES {
                let direction = Vec2::from_angle(directions[spoke]);
                let at = starts[spoke].truncate() + direction * radius * rest.width_px;
                let neck = smoothstep(0.45, 0.85, direction.dot(down));
                let far = SKULL_DEPTH + (NECK_DEPTH - SKULL_DEPTH) * neck;
                let behind = (far - heads[spoke].z).max(0.01);
                let depth = heads[spoke].z + behind * (1.0 - (-radius * SLOPE / behind).exp());
                let place = upright(at) / rest.width_px;
                // Shoulders are wide and high: beside the jaw rest begins with the distance from the face.
                let beside = smoothstep(0.5 * chin, chin, place.y);
                let aside = 1.2 * (place.x.abs() - 0.85).max(0.0) + 0.6 * (radius - 0.2).max(0.0);
                let below = (place.y - chin) / fall + beside * aside;
                let head = if radius == 0.0 { heads[spoke] } else { rest.unproject(at, depth) };
                points.push(Point {
                    rest_px: rest.project(head),
                    source_px: source_from_output(at),
                    head,
                    dense_share: smoothstep(0.0, DENSE_FULL, radius) * (1.0 - smoothstep(fade, still, radius)),
                    weight: if radius == 0.0 { 1.0 } else { 1.0 - smoothstep(0.0, 1.0, below) },
                    outline: outline[spoke],
                    share: (-radius / FADE).exp(),
                    source_share: (-radius / SOURCE_FADE).exp(),
                });
            }
        }
        let moved = points.iter().map(|p| Corner { at_px: p.rest_px, source_px: p.source_px }).collect();
        let is_shown = quads().map(|quad| source.shows_person(&quad.map(|i| points[i].source_px))).collect();
        Self { points, moved, is_shown }
    }

    /// Draws the sheet for the head at `placement`, whose points are at `target` and read from
    /// `source_shifts` beside their place in the source.
    pub(super) fn draw(
        &mut self,
        placement: &HeadPlacement,
        signal: &DrivingSignal,
        dense: &DenseMotion,
        target: &Landmarks,
        source_shifts: &[Vec2; N_LANDMARKS],
        canvas: &mut Canvas,
    ) {
        for (corner, point) in self.moved.iter_mut().zip(&self.points) {
            let [a, b] = point.outline.map(|i| source_shifts[i]);
            corner.source_px = point.source_px + (a + b) * (0.5 * point.source_share);
        }
        for (corner, point) in self.moved.iter_mut().zip(&self.points).skip(N_SPOKES) {
            let [a, b] = point.outline.map(|i| signal.displacement[i]);
            let driven = placement.project(point.head + (a + b) * (0.5 * point.share));
            let at_px = point.rest_px.lerp(driven, point.weight);
            let moved = dense.moved(at_px.truncate(), placement).extend(at_px.z);
            corner.at_px = at_px.lerp(moved, point.dense_share);
        }
        for (corner, point) in self.moved.iter_mut().zip(&self.points).take(N_SPOKES) {
            // From the very points the face is drawn from, so that the two meet exactly.
            let [a, b] = point.outline.map(|i| target[i]);
            corner.at_px = (a + b) * 0.5;
        }
        for (quad, _) in quads().zip(&self.is_shown).filter(|&(_, &is_shown)| is_shown) {
            let [a, b, c, d] = quad.map(|i| self.moved[i]);
            canvas.draw([a, b, c], 0.0, Part::Surface);
            canvas.draw([b, d, c], 0.0, Part::Surface);
        }
    }
}

/// The sheet's quads: two neighbours on a ring, and the two outside of them.
fn quads() -> impl Iterator<Item = [usize; 4]> {
    (0..(RINGS.len() - 1) * N_SPOKES).map(|i| {
        let next = i / N_SPOKES * N_SPOKES + (i + 1) % N_SPOKES;
        [i, next, i + N_SPOKES, next + N_SPOKES]
    })
}

/// Makes a closed row of angles run strictly one way round, so that no two spokes cross.
fn spread(angles: &[f32; N_SPOKES]) -> [f32; N_SPOKES] {
    use std::f32::consts::{PI, TAU};
    const LEAST: f32 = 0.35 * TAU / N_SPOKES as f32;
    let mut steps: [f32; N_SPOKES] = std::array::from_fn(|i| {
        let step = angles[(i + 1) % N_SPOKES] - angles[i];
        let step = step - TAU * ((step + PI) / TAU).floor();
        step.max(LEAST)
    });
    let total: f32 = steps.iter().sum();
    for step in &mut steps {
        *step *= TAU / total;
    }
    let mut at = angles[0];
    steps.map(|step| {
        let here = at;
        at += step;
        here
    })
}

/// 0 below `from`, 1 above `to`, smooth between.
pub(in crate::generate) fn smoothstep(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
