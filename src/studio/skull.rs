//! A person's head as a distance from its middle for each direction: what hair rests on.

use super::{
    head_model::SKIN_VERTICES,
    math::{V3, lerp, v3},
};

const N_AZIMUTH: usize = 96;
const N_POLAR: usize = 48;
const MIDDLE: V3 = v3(0.0, 4.5, 0.5);

/// Distance of the skin from the middle of the head, by direction.
pub(super) struct Skull(Vec<f32>);

impl Skull {
    pub(super) fn new(vertices: &[V3]) -> Self {
        let mut sums = vec![(0.0f32, 0.0f32); N_AZIMUTH * N_POLAR];
        for p in vertices[SKIN_VERTICES].iter().filter(|p| p.y > -9.0 && !(p.x.abs() > 7.8 && p.y < 6.0)) {
            let (a, b) = cell_of(*p);
            let at = (b as usize).min(N_POLAR - 1) * N_AZIMUTH + a as usize % N_AZIMUTH;
            sums[at].0 += (*p - MIDDLE).length();
            sums[at].1 += 1.0;
        }
        let mut radii: Vec<f32> = sums.iter().map(|(s, n)| if *n > 0.0 { s / n } else { 0.0 }).collect();
        // Directions without a vertex take the mean of filled neighbours until all are filled.
        for _ in 0..N_AZIMUTH {
            let old = radii.clone();
            for b in 0..N_POLAR {
                for a in 0..N_AZIMUTH {
                    let here = b * N_AZIMUTH + a;
                    if old[here] == 0.0 {
                        let around = [
                            b * N_AZIMUTH + (a + 1) % N_AZIMUTH,
                            b * N_AZIMUTH + (a + N_AZIMUTH - 1) % N_AZIMUTH,
                            b.saturating_sub(1) * N_AZIMUTH + a,
                            (b + 1).min(N_POLAR - 1) * N_AZIMUTH + a,
                        ];
                        let filled: Vec<f32> = around.iter().map(|i| old[*i]).filter(|r| *r > 0.0).collect();
                        if !filled.is_empty() {
                            radii[here] = filled.iter().sum::<f32>() / filled.len() as f32;
                        }
                    }
                }
            }
        }
        Self(radii)
    }

    /// Outward direction at `p` and height above the skin, cm.
    pub(super) fn height(&self, p: V3) -> (V3, f32) {
        let (a, b) = cell_of(p);
        let (a, b) = (a - 0.5, (b - 0.5).clamp(0.0, N_POLAR as f32 - 1.001));
        let (ia, ib) = (a.floor(), b.floor());
        let (fa, fb) = (a - ia, b - ib);
        let at = |da: usize, db: usize| {
            self.0[(ib as usize + db) * N_AZIMUTH + (ia as i32 + da as i32).rem_euclid(N_AZIMUTH as i32) as usize]
        };
        let radius = lerp(lerp(at(0, 0), at(1, 0), fa), lerp(at(0, 1), at(1, 1), fa), fb);
        let out = p - MIDDLE;
        (out.unit(), out.length() - radius)
    }

    /// Lifts `p` to at least `height_cm` above the skin.
    pub(super) fn lift(&self, p: V3, height_cm: f32) -> V3 {
        // Below the jaw the map would stand for the neck, which hair may touch.
        if p.y < -7.0 {
            return p;
        }
        let (out, height) = self.height(p);
        if height < height_cm { p + out * (height_cm - height) } else { p }
    }
}

fn cell_of(p: V3) -> (f32, f32) {
    let d = (p - MIDDLE).unit();
    let azimuth = d.x.atan2(d.z) / std::f32::consts::TAU + 0.5;
    let polar = d.y.clamp(-1.0, 1.0).acos() / std::f32::consts::PI;
    (azimuth * N_AZIMUTH as f32, polar * N_POLAR as f32)
}
