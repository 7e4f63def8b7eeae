//! Eyes: lids that cover the eyeball instead of squeezing it, and an iris that looks around.

use glam::Vec2;

use super::mesh::{EYES, Eye};
use super::raster::Canvas;
use super::surround::smoothstep;
use crate::geometry::HeadPlacement;
use crate::geometry::Landmarks;
use crate::signal::{DenseMotion, DrivingSignal};

/// The irises and lids of the portrait, in source pixels.
pub(super) struct Eyes {
    eyes: [RestingEye; 2],
}

struct RestingEye {
    upper: [Vec2; 9],
    lower: [Vec2; 9],
    iris: Vec2,
    iris_radius: f32,
    /// From the outer to the inner corner.
    along: Vec2,
    /// Where the lids' edges read when they close over the eyeball.
    upper_now: [Vec2; 9],
    lower_now: [Vec2; 9],
    gaze_shift: Vec2,
}

impl Eyes {
    /// Takes the eyes' places from the portrait's points in source pixels.
    pub(super) fn new(source_points: &[Vec2]) -> Self {
        let eyes = [0, 1].map(|i| {
            let Eye { upper, lower, iris, .. } = &EYES[i];
            let upper = upper.map(|p| source_points[p]);
            let lower = lower.map(|p| source_points[p]);
            let rim = &source_points[iris + 1..iris + 5];
            let centre = source_points[*iris];
            RestingEye {
                along: (upper[8] - upper[0]).normalize_or(Vec2::X),
                iris: centre,
                iris_radius: rim.iter().map(|p| p.distance(centre)).sum::<f32>() / 4.0,
                upper_now: upper,
                lower_now: lower,
                upper,
                lower,
                gaze_shift: Vec2::ZERO,
            }
        });
        Self { eyes }
    }

    /// Finds where lids and irises are for `signal` and what moves beside the mesh. `source_rest` is the head at rest in
    /// source pixels.
    pub(super) fn follow(&mut self, signal: &DrivingSignal, dense: &DenseMotion, source_rest: &HeadPlacement) {
        for (rest, eye) in self.eyes.iter_mut().zip(&EYES) {
            let moved = |i: usize| {
                ((source_rest.rotation * signal.displacement[i]).truncate() + dense.points[i]) * source_rest.width_px
            };
            let carried = (moved(eye.upper[0]) + moved(eye.upper[8])) * 0.5;
            let in_source = |i: usize| moved(i) - carried;
            for i in 1..8 {
                let gap = rest.lower[i] - rest.upper[i];
                let least = gap.length_squared().max(1e-6);
                // How far the lid slid over what the portrait shows of the eyeball; a lid that
                // opens wider than there has nothing new to show and stretches what there is.
                let down = in_source(eye.upper[i]).dot(gap) / least;
                let up = -in_source(eye.lower[i]).dot(gap) / least;
                rest.upper_now[i] = rest.upper[i] + gap * down.clamp(0.0, 1.0);
                rest.lower_now[i] = rest.lower[i] - gap * up.clamp(0.0, 1.0);
            }
            let half = rest.upper[8].distance(rest.upper[0]) / 2.0;
            let iris = (eye.iris..eye.iris + 5).map(in_source).sum::<Vec2>() / 5.0;
            rest.gaze_shift = iris.clamp_length_max(0.55 * half);
        }
    }

    /// Where the lids' edges read from, by landmark number: (landmark, source pixels).
    pub(super) fn lid_sources(&self) -> impl Iterator<Item = (usize, Vec2)> {
        self.eyes.iter().zip(&EYES).flat_map(|(rest, eye)| {
            let upper = eye.upper.iter().copied().zip(rest.upper_now);
            upper.chain(eye.lower.iter().copied().zip(rest.lower_now))
        })
    }

    /// Moves the irises: changes the map between the lids.
    pub(super) fn look(&self, target: &Landmarks, canvas: &mut Canvas) {
        let size = canvas.size_px();
        for (rest, eye) in self.eyes.iter().zip(&EYES) {
            if rest.gaze_shift.length_squared() < 0.01 || rest.iris_radius < 1.0 {
                continue;
            }
            let lids = eye.upper.iter().chain(&eye.lower).map(|&i| target[i].truncate());
            let (low, high) = lids.fold((Vec2::MAX, Vec2::MIN), |(low, high), p| (low.min(p), high.max(p)));
            let clip = |v: f32| v.clamp(0.0, size as f32) as usize;
            for y in clip(low.y)..clip(high.y + 1.0) {
                for i in y * size + clip(low.x)..y * size + clip(high.x + 1.0) {
                    if canvas.part[i] == eye.part {
                        canvas.source_from_output[i] = rest.look_from(canvas.source_from_output[i]);
                    }
                }
            }
        }
    }
}

impl RestingEye {
    /// Where a place on the eyeball reads from when the iris is shifted.
    fn look_from(&self, at: Vec2) -> Vec2 {
        let reach = at.distance(self.iris + self.gaze_shift) / self.iris_radius;
        let shifted = at - self.gaze_shift * (1.0 - smoothstep(1.1, 2.6, reach));
        // Between the portrait's lids, and not on their lashes.
        let across = Vec2::new(-self.along.y, self.along.x);
        let s = (shifted - self.upper[0]).dot(self.along);
        let height = |edge: &[Vec2; 9]| {
            let mut value = (edge[0] - self.upper[0]).dot(across);
            for pair in edge.windows(2) {
                let [a, b] = [pair[0], pair[1]].map(|p| p - self.upper[0]);
                let (sa, sb) = (a.dot(self.along), b.dot(self.along));
                if s >= sa {
                    let t = ((s - sa) / (sb - sa).max(1e-3)).min(1.0);
                    value = a.dot(across) + (b - a).dot(across) * t;
                }
            }
            value
        };
        let (one, other) = (height(&self.upper), height(&self.lower));
        let (low, high) = (one.min(other), one.max(other));
        let inset = (0.12 * self.iris_radius).min((high - low) / 2.0);
        let t = (shifted - self.upper[0]).dot(across);
        let inside = t.clamp(low + inset, (high - inset).max(low + inset));
        // Where the portrait itself was shown beyond that, stay there.
        let own = (at - self.upper[0]).dot(across);
        let kept = if shifted == at { own } else { inside };
        self.upper[0] + self.along * s + across * kept
    }
}
