//! Garments: a torso of rings around the model's bust, with necklines, collars and hoods.

use super::{
    math::{V3, curve, lerp, smoothstep, v3},
    noise::{fbm, noise},
    random::Rng,
    traits::{Garment, Rims, Traits},
};

/// A mesh in the person's rest pose, with a part number for each triangle.
#[derive(Default)]
pub(crate) struct Mesh {
    pub vertices: Vec<V3>,
    pub triangles: Vec<[u32; 3]>,
    pub parts: Vec<u8>,
}

/// Parts of a garment: body cloth, trim of the same cloth, second cloth.
pub(super) const BODY: u8 = 0;
pub(super) const TRIM: u8 = 1;
pub(super) const SECOND: u8 = 2;

impl Mesh {
    /// Adds a grid of `rows` × `columns` points; `closed` joins the last column to the first.
    fn grid(&mut self, rows: usize, columns: usize, closed: bool, part: u8, at: impl Fn(f32, f32) -> V3) {
        let base = self.vertices.len() as u32;
        let across = if closed { columns } else { columns - 1 };
        for r in 0..rows {
            for c in 0..columns {
                self.vertices.push(at(r as f32 / (rows - 1) as f32, c as f32 / across as f32));
            }
        }
        for r in 0..rows - 1 {
            for c in 0..across {
                let i = |r: usize, c: usize| base + (r * columns + c % columns) as u32;
                self.triangles.push([i(r, c), i(r + 1, c), i(r + 1, c + 1)]);
                self.triangles.push([i(r, c), i(r + 1, c + 1), i(r, c + 1)]);
                self.parts.extend([part, part]);
            }
        }
    }

    /// Adds a tube of the given radius along a path.
    fn tube(&mut self, path: &[V3], closed: bool, part: u8, radius_cm: impl Fn(f32) -> f32) {
        let n = path.len();
        let rows = if closed { n + 1 } else { n };
        self.grid(rows, 9, true, part, |r, c| {
            let i = (r * (rows - 1) as f32).round() as usize % n;
            let (before, after) = if closed {
                (path[(i + n - 1) % n], path[(i + 1) % n])
            } else {
                (path[i.saturating_sub(1)], path[(i + 1).min(n - 1)])
            };
            let along = (after - before).unit();
            let u = along.cross(v3(0.1, 1.0, 0.05)).unit();
            let v = along.cross(u);
            let (s, k) = (c * std::f32::consts::TAU).sin_cos();
            path[i] + (u * k + v * s) * radius_cm(r)
        });
    }
}

/// One ring of the torso: half width, heights at side, front and back, depths of front and back (cm).
const RINGS: [[f32; 6]; 8] = [
    [6.9, -12.3, -16.2, -10.6, 4.9, -7.2],
    [9.4, -13.7, -17.7, -12.3, 6.2, -8.9],
    [13.2, -15.3, -19.8, -14.8, 7.8, -10.2],
    [17.2, -17.2, -22.8, -18.0, 9.3, -11.0],
    [20.0, -20.2, -27.0, -22.5, 10.4, -11.6],
    [21.6, -25.5, -33.0, -28.0, 11.0, -11.8],
    [22.2, -34.0, -41.0, -36.0, 11.0, -11.8],
    [22.0, -52.0, -54.0, -52.0, 11.0, -11.8],
];

/// Torso point: `t` from the neck (0) down (1), `turn` once around from the back over +x.
fn torso(t: f32, turn: f32, front_drop_cm: f32, grow_cm: f32) -> V3 {
    let at = (t * (RINGS.len() - 1) as f32).min(RINGS.len() as f32 - 1.001);
    let (i, f) = (at as usize, at - (at as usize) as f32);
    // Catmull–Rom between rings, so that shoulders are round.
    let ring = |k: usize| {
        let p = |j: i32| RINGS[(i as i32 + j).clamp(0, RINGS.len() as i32 - 1) as usize][k];
        let (a, b, c, d) = (p(-1), p(0), p(1), p(2));
        b + 0.5 * f * (c - a + f * (2.0 * a - 5.0 * b + 4.0 * c - d + f * (3.0 * (b - c) + d - a)))
    };
    let (s, c) = (turn * std::f32::consts::TAU).sin_cos();
    let forward = -c;
    let (half, side, front, back) = (ring(0), ring(1), ring(2), ring(3));
    let mid = 0.5 * (ring(4) + ring(5));
    let depth = 0.5 * (ring(4) - ring(5));
    let end = if forward > 0.0 { front } else { back };
    let drop = front_drop_cm * forward.max(0.0).powi(6) * (1.0 - t * 1.6).max(0.0);
    v3(
        (half + grow_cm) * s,
        lerp(side, end, c * c) - drop + 0.4 * grow_cm,
        mid + (depth + grow_cm) * forward + 0.75 * drop.max(0.0),
    )
}

/// Lifts hair that would sink into the shoulders by `height_cm` above them.
pub(super) fn shoulder_lift(p: V3, height_cm: f32) -> V3 {
    let top =
        curve(&[(6.5, -12.2), (9.4, -13.6), (13.2, -15.2), (17.2, -17.1), (20.0, -20.0), (21.6, -25.0)], p.x.abs());
    if p.y > top + height_cm || p.x.abs() > 22.5 || p.y > -11.0 {
        return p;
    }
    let front = curve(&[(-28.0, 10.6), (-22.8, 9.4), (-19.8, 8.0), (-17.7, 6.4), (-12.0, 4.4)], p.y);
    let back = curve(&[(-22.5, -11.7), (-14.8, -10.4), (-12.3, -9.2), (-10.6, -7.6)], p.y);
    // The torso is an ellipse in plan: its front recedes to the sides.
    let bow = (1.0 - (p.x / 23.0).powi(2)).max(0.05).sqrt();
    if p.z > -1.0 && p.z < front * bow + height_cm {
        v3(p.x, p.y, front * bow + height_cm)
    } else if p.z <= -1.0 && p.z > back * bow - height_cm {
        v3(p.x, p.y, back * bow - height_cm)
    } else {
        p
    }
}

/// Sinks a point of the bust under the cloth.
pub(super) fn under_cloth(p: V3, garment: Garment) -> V3 {
    let below_cm = if matches!(garment, Garment::Crew | Garment::Hoodie | Garment::Turtleneck) { 0.7 } else { 1.5 };
    let front = curve(&[(-22.8, 9.4), (-19.8, 7.8), (-17.7, 6.2), (-16.0, 4.9), (-14.0, 8.0)], p.y);
    let bow = (1.0 - (p.x / 13.0).powi(2)).max(0.02).sqrt();
    let depth = smoothstep(-14.5, -16.5, p.y);
    v3(p.x, p.y - 0.3 * depth, lerp(p.z, p.z.min(front * bow - below_cm), depth))
}

/// Sews the garment.
pub(super) fn sew(traits: &Traits, seed: u64) -> Mesh {
    let mut rng = Rng::new(seed, 6);
    let mut mesh = Mesh::default();
    let fold_seed = rng.next_u64() as u32;
    let fold = move |p: V3| {
        let n = fbm(v3(p.x * 0.10, p.y * 0.22, p.z * 0.10), 3, fold_seed);
        v3(0.0, 0.0, 1.0) * (0.55 * n * smoothstep(-15.0, -20.0, p.y) * p.z.signum())
    };
    let drop = match traits.garment {
        Garment::VNeck => 2.7,
        Garment::Shirt | Garment::Blazer => 1.6,
        Garment::Turtleneck => -1.0,
        _ => 0.4,
    };
    let edge = |turn: f32, out: f32, up: f32| torso(0.0, turn, drop, out) + v3(0.0, up, 0.0);
    mesh.grid(40, 72, true, BODY, |t, turn| {
        let p = torso(t, turn, drop, 0.0);
        p + fold(p)
    });
    let ring: Vec<V3> = (0..72).map(|i| edge(i as f32 / 72.0, 0.05, 0.05)).collect();
    match traits.garment {
        Garment::Crew | Garment::VNeck => mesh.tube(&ring, true, TRIM, |_| 0.5),
        Garment::Turtleneck => {
            let r = rng.range(0.2, 0.6);
            mesh.grid(10, 60, true, TRIM, |t, turn| {
                let up = 4.6 * (1.0 - t);
                let p = edge(turn, 0.15 + 0.5 * r * (std::f32::consts::PI * t).sin() - 0.35 * (1.0 - t), up);
                v3(p.x * lerp(0.93, 1.0, t), p.y, p.z)
            });
            let top: Vec<V3> = (0..60)
                .map(|i| {
                    let p = edge(i as f32 / 60.0, -0.2, 4.6);
                    v3(p.x * 0.93, p.y, p.z)
                })
                .collect();
            mesh.tube(&top, true, TRIM, |_| 0.42);
        }
        Garment::Hoodie => {
            mesh.tube(&ring, true, TRIM, |_| 0.6);
            let hood: Vec<V3> = (0..64)
                .map(|i| {
                    let turn = i as f32 / 64.0;
                    let behind = (turn * std::f32::consts::TAU).cos().max(-0.6);
                    edge(turn, 1.7 + 0.9 * behind, 0.9 + 0.9 * behind) + fold(v3(turn * 90.0, -20.0, 1.0)) * 0.5
                })
                .collect();
            mesh.tube(&hood, true, BODY, |r| {
                1.35 + 1.3 * (r * std::f32::consts::TAU).cos().max(-0.55) + 0.22 * noise(v3(r * 19.0, 0.0, 0.0), 3)
            });
            for side in [-1.0f32, 1.0] {
                let cord: Vec<V3> = (0..9)
                    .map(|i| {
                        let s = i as f32 / 8.0;
                        v3(side * (2.6 + 0.5 * s), -17.3 - 8.0 * s, lerp(7.6, 10.4, s))
                    })
                    .collect();
                mesh.tube(&cord, false, SECOND, |_| 0.22);
            }
        }
        Garment::Shirt | Garment::Blazer => {
            let part = if traits.garment == Garment::Blazer { SECOND } else { TRIM };
            // The collar leaf: a strip that rises from the band and folds outward, open in front.
            mesh.grid(9, 64, false, part, |t, s| {
                let reach = lerp(0.405, 0.468, smoothstep(0.0, 0.9, t));
                let turn = lerp(-reach, reach, s);
                let point = smoothstep(0.33, 0.468, turn.abs() / reach * 0.468);
                let up = lerp(2.5, 1.9, point) * (1.0 - smoothstep(0.25, 1.0, t))
                    - 1.15 * smoothstep(0.3, 1.0, t) * (1.0 + 2.0 * point);
                let out = -0.3 * (1.0 - t) + 0.6 * smoothstep(0.2, 0.45, t) + 0.8 * smoothstep(0.45, 1.0, t);
                let p = edge(turn, out, up);
                v3(p.x + 1.1 * turn.signum() * point * t, p.y, p.z + 0.3 * point * t)
            });
            mesh.grid(4, 64, false, part, |t, s| {
                let reach = lerp(0.405, 0.485, t);
                edge(lerp(-reach, reach, s), -0.35, 2.4 - 2.6 * t)
            });
        }
    }
    mesh
}

/// Colour of the cloth at a point of the rest pose.
pub(super) fn cloth_colour(traits: &Traits, p: V3, part: u8) -> V3 {
    let mut colour = if part == SECOND { traits.cloth_second } else { traits.cloth };
    if traits.garment == Garment::Blazer && part == BODY {
        // The jacket opens in a V over the shirt; its lapel is outlined by a shadow.
        let edge = p.x.abs() - 0.36 * (p.y + 33.0).max(0.0) - 0.3;
        if p.z > 0.0 && edge < 0.0 {
            colour = traits.cloth_second * (1.0 - 0.4 * smoothstep(-0.7, 0.0, edge));
        } else if p.z > 0.0 {
            colour = colour * (1.0 - 0.35 * smoothstep(0.35, 0.0, (edge - 3.6 + 0.10 * (p.y + 33.0).max(0.0)).abs()));
        }
    }
    if traits.garment == Garment::Shirt && part == BODY && p.z > 0.0 {
        let placket = (p.x.abs() - 1.3).abs();
        colour = colour * (1.0 - 0.25 * smoothstep(0.12, 0.02, placket));
        let button = v3(p.x, (p.y + 21.0).rem_euclid(6.5) - 3.2, 0.0).length();
        colour = colour.lerp(V3::splat(0.55), smoothstep(0.42, 0.34, button));
    }
    let weave = 0.05 * noise(p * 9.0, 11) + 0.05 * noise(p * 3.0, 12);
    colour * (1.0 + weave)
}

/// Spectacles fitted to the eyes of the shape `rest`.
pub(super) fn glasses(traits: &Traits, eyes: [V3; 2], bridge: V3, seed: u64) -> Mesh {
    let mut mesh = Mesh::default();
    let Some(rims) = traits.rims else { return mesh };
    let mut rng = Rng::new(seed, 8);
    let (half_width, half_height, power, radius) = match rims {
        Rims::Round => (2.35, 2.2, 2.2, 0.16),
        Rims::Square => (2.75, 1.95, 4.0, 0.24),
        Rims::Thin => (2.6, 1.7, 3.0, 0.09),
    };
    let scale = rng.range(0.95, 1.1);
    let z = bridge.z + 0.75;
    let y = eyes[0].y - 0.35;
    let mut inner = [V3::ZERO; 2];
    for (side, eye) in eyes.iter().enumerate() {
        let out = if side == 0 { 1.0 } else { -1.0 };
        let centre_x = eye.x + 0.12 * out;
        let path: Vec<V3> = (0..40)
            .map(|i| {
                let (s, c) = (i as f32 / 40.0 * std::f32::consts::TAU).sin_cos();
                let round = |w: f32| w.signum() * w.abs().powf(2.0 / power);
                let dx = half_width * scale * round(c);
                let wrap = -0.05 * (dx * out + 2.0).max(0.0).powi(2);
                v3(centre_x + dx, y + half_height * scale * round(s), z + wrap)
            })
            .collect();
        mesh.tube(&path, true, BODY, |_| radius);
        inner[side] = v3(centre_x - out * half_width * scale, y + 0.55, z);
        let hinge = v3(centre_x + out * half_width * scale, y + 0.7, z - 0.05 * (half_width + 2.0f32).powi(2));
        let ear = v3(out * 8.3, y + 0.4, -1.0);
        let temple: Vec<V3> =
            (0..12).map(|i| hinge.lerp(ear, i as f32 / 11.0)).map(|p| v3(p.x + out * 0.25, p.y, p.z)).collect();
        mesh.tube(&temple, false, BODY, |_| radius * 0.85);
    }
    let bow: Vec<V3> = (0..9)
        .map(|i| {
            let s = i as f32 / 8.0;
            inner[0].lerp(inner[1], s) + v3(0.0, 0.25, 0.15) * (s * std::f32::consts::PI).sin()
        })
        .collect();
    mesh.tube(&bow, false, BODY, |_| radius);
    mesh
}
