//! Camera, lights and background of a clip.

use super::{
    math::{V3, lerp, smoothstep, v3},
    noise::{fbm, noise},
    random::Rng,
};

/// A distant light.
#[derive(Clone, Copy, Debug)]
pub struct Light {
    /// Towards the light.
    pub toward: V3,
    /// Its linear colour times its strength.
    pub colour: V3,
}

/// Light, camera and background; the person and the motion are seeded apart.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What it was made from.
    pub seed: u64,
    /// Distance of the camera from the head's middle, cm.
    pub distance_cm: f32,
    /// Height of the picture at the head's distance, cm.
    pub view_cm: f32,
    /// Point of the head that the camera looks at, cm.
    pub aim: V3,
    /// The main light.
    pub key: Light,
    /// Lightens the shadows of the main one.
    pub fill: Light,
    /// From behind: draws the outline.
    pub rim: Light,
    /// Ambient light by direction: constant part and its slope along x, y, z.
    pub ambient: [V3; 4],
    /// Radius of the blur of the key's shadow, cm.
    pub shadow_blur_cm: f32,
    /// What all light is multiplied by.
    pub exposure: f32,
    /// Standard deviation of the sensor's noise, 0..1.
    pub noise_sigma: f32,
    /// JPEG quality of the round trip, if any.
    pub jpeg_quality: Option<u8>,
    backdrop: Backdrop,
}

#[derive(Clone, Debug)]
struct Backdrop {
    kind: Kind,
    top: V3,
    bottom: V3,
    patches: Vec<Patch>,
    seed: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Wall,
    Studio,
    Room,
    Shelf,
    Outdoors,
    Bokeh,
}

/// A soft-edged box or disc in picture units (0..1).
#[derive(Clone, Debug)]
struct Patch {
    x: f32,
    y: f32,
    half_width: f32,
    half_height: f32,
    edge: f32,
    disc: bool,
    colour: V3,
    opacity: f32,
}

fn direction(azimuth_deg: f32, elevation_deg: f32) -> V3 {
    let (sa, ca) = azimuth_deg.to_radians().sin_cos();
    let (se, ce) = elevation_deg.to_radians().sin_cos();
    v3(sa * ce, se, ca * ce)
}

/// Colour of light of a given warmth: −1 cool, 0 neutral, 1 warm.
fn warmth(w: f32) -> V3 {
    if w > 0.0 { V3::ONE.lerp(v3(1.22, 0.97, 0.70), w) } else { V3::ONE.lerp(v3(0.82, 0.98, 1.22), -w) }
}

impl Scene {
    /// Draws a scene.
    pub fn sample(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 11);
        let r = &mut rng;
        let kinds = [Kind::Wall, Kind::Studio, Kind::Room, Kind::Room, Kind::Shelf, Kind::Outdoors, Kind::Bokeh];
        let kind = kinds[r.below(7)];
        let side = if r.chance(0.5) { 1.0 } else { -1.0 };
        let key_warm = r.range(-0.35, 0.6);
        let contrast = r.range(0.25, 1.0);
        let backdrop = Backdrop::sample(kind, r);
        let room = backdrop.top.lerp(backdrop.bottom, 0.5);
        let room = room / room.mean().max(1e-3);
        let ambient_level = lerp(0.50, 0.20, contrast);
        let tint = V3::ONE.lerp(room, 0.35);
        let ambient = [
            tint * ambient_level,
            v3(1.0, 1.0, 1.0) * (ambient_level * 0.22 * r.normal()),
            warmth(r.range(-0.5, 0.3)) * (ambient_level * r.range(0.15, 0.5)),
            tint * (ambient_level * r.range(0.0, 0.3)),
        ];
        Self {
            seed,
            distance_cm: r.range(55.0, 150.0),
            view_cm: r.range(36.0, 50.0),
            aim: v3(r.range(-2.5, 2.5), r.range(-3.5, 1.0), 2.0),
            key: Light {
                toward: direction(side * r.range(12.0, 68.0), r.range(12.0, 52.0)),
                colour: warmth(key_warm) * lerp(0.8, 1.6, contrast),
            },
            fill: Light {
                toward: direction(-side * r.range(20.0, 70.0), r.range(-5.0, 30.0)),
                colour: warmth(-0.5 * key_warm) * lerp(0.45, 0.12, contrast),
            },
            rim: Light {
                toward: direction(-side * r.range(115.0, 160.0), r.range(15.0, 50.0)),
                colour: warmth(r.range(-0.5, 0.6)) * if r.chance(0.65) { r.range(0.4, 1.8) } else { 0.0 },
            },
            ambient,
            shadow_blur_cm: r.range(0.35, 1.3),
            exposure: r.range(0.8, 1.12),
            noise_sigma: r.range(0.0, 0.012),
            jpeg_quality: r.chance(0.6).then(|| r.range(72.0, 96.0) as u8),
            backdrop,
        }
    }

    /// A calm, flattering set: for portraits one looks at.
    pub fn portrait(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 12);
        let r = &mut rng;
        let mut scene = Self::sample(seed);
        let side = if r.chance(0.5) { 1.0 } else { -1.0 };
        scene.distance_cm = 140.0;
        scene.view_cm = 41.0;
        scene.aim = v3(0.0, -2.2, 2.0);
        scene.key = Light { toward: direction(side * 36.0, 34.0), colour: warmth(0.18) * 1.14 };
        scene.fill = Light { toward: direction(-side * 42.0, 12.0), colour: warmth(-0.12) * 0.32 };
        scene.rim = Light { toward: direction(-side * 140.0, 34.0), colour: warmth(0.1) * 0.7 };
        scene.ambient = [v3(0.98, 1.0, 1.03) * 0.34, V3::ZERO, v3(0.95, 1.0, 1.08) * 0.12, V3::splat(0.06)];
        scene.shadow_blur_cm = 0.9;
        scene.exposure = 0.95;
        scene.noise_sigma = 0.003;
        scene.jpeg_quality = None;
        scene
    }

    /// Light from all around that falls on a surface of normal `n`.
    #[inline]
    pub fn ambient(&self, n: V3) -> V3 {
        let a = self.ambient[0] + self.ambient[1] * n.x + self.ambient[2] * n.y + self.ambient[3] * n.z;
        a.map(|c| c.max(0.02))
    }

    /// Where the camera stands, cm.
    pub fn camera(&self) -> V3 {
        self.aim + v3(0.0, 0.0, self.distance_cm)
    }

    /// Focal length in picture heights.
    pub fn focal_heights(&self) -> f32 {
        self.distance_cm / self.view_cm
    }

    /// The background as linear colours, `side` × `side`.
    pub fn background(&self, side: usize) -> Vec<V3> {
        let b = &self.backdrop;
        let mut out = Vec::with_capacity(side * side);
        for y in 0..side {
            for x in 0..side {
                let (u, v) = ((x as f32 + 0.5) / side as f32, (y as f32 + 0.5) / side as f32);
                out.push(b.at(u, v));
            }
        }
        out
    }
}

impl Backdrop {
    fn sample(kind: Kind, r: &mut Rng) -> Self {
        let hue = |r: &mut Rng, level: f32, spread: f32| {
            v3(r.range(-1.0, 1.0), r.range(-0.5, 0.5), r.range(-1.0, 1.0)).map(|c| level * (1.0 + spread * c))
        };
        let mut patches = Vec::new();
        let patch = |x: f32, y: f32, half_width: f32, half_height: f32, edge: f32, colour: V3| Patch {
            x,
            y,
            half_width,
            half_height,
            edge,
            disc: false,
            colour,
            opacity: 1.0,
        };
        let (top, bottom) = match kind {
            Kind::Wall => {
                let level = r.range(0.12, 0.6);
                let c = hue(r, level, 0.22);
                (c, c * r.range(0.6, 0.95))
            }
            Kind::Studio => {
                let level = r.range(0.05, 0.4);
                let c = hue(r, level, 0.3);
                (c * 0.7, c * 0.5)
            }
            Kind::Room => {
                let level = r.range(0.2, 0.55);
                let wall = hue(r, level, 0.15);
                let (wx, ww) = (r.range(0.0, 1.0), r.range(0.10, 0.22));
                let light = v3(1.0, 1.02, 1.06) * r.range(0.9, 1.8);
                for pane in [-1.0f32, 1.0] {
                    patches.push(patch(wx + pane * ww * 0.52, 0.26, ww * 0.47, 0.22, 0.03, light));
                }
                let (fx, fy) = (r.range(0.0, 1.0), r.range(0.12, 0.4));
                patches.push(patch(fx, fy, 0.09, 0.11, 0.018, hue(r, 0.06, 0.2)));
                patches.push(patch(fx, fy, 0.075, 0.095, 0.02, hue(r, 0.4, 0.5)));
                patches.push(patch(r.range(0.0, 1.0), 0.92, 0.3, 0.22, 0.035, hue(r, 0.12, 0.35)));
                (wall, wall * 0.7)
            }
            Kind::Shelf => {
                let wood = v3(0.16, 0.10, 0.06) * r.range(0.6, 1.8);
                for row in 0..4 {
                    let floor = 0.20 + 0.27 * row as f32;
                    let mut x = -0.02;
                    while x < 1.02 {
                        let w = r.range(0.012, 0.035);
                        let h = r.range(0.13, 0.21);
                        if r.chance(0.85) {
                            let level = r.range(0.05, 0.45);
                            patches.push(patch(x + w, floor - 0.5 * h, w, 0.5 * h, 0.014, hue(r, level, 0.5)));
                        }
                        x += 2.0 * w;
                    }
                    patches.push(patch(0.5, floor + 0.012, 0.6, 0.014, 0.012, wood * 1.4));
                }
                (wood * 0.35, wood * 0.25)
            }
            Kind::Outdoors => {
                let sky = v3(0.55, 0.72, 0.95) * r.range(0.7, 1.3);
                let leaf = v3(0.10, 0.17, 0.05) * r.range(0.6, 1.6);
                for _ in 0..70 {
                    let y = r.range(0.25, 1.05);
                    let size = r.range(0.02, 0.09);
                    patches.push(Patch {
                        x: r.unit(),
                        y,
                        half_width: size,
                        half_height: size,
                        edge: 0.012,
                        disc: true,
                        colour: leaf * r.range(0.3, 2.4) * v3(r.range(0.8, 1.5), 1.0, 1.0),
                        opacity: 0.5,
                    });
                }
                (sky, leaf)
            }
            Kind::Bokeh => {
                let level = r.range(0.02, 0.1);
                let base = hue(r, level, 0.5);
                for _ in 0..34 {
                    let size = r.range(0.012, 0.05);
                    patches.push(Patch {
                        x: r.unit(),
                        y: r.range(0.0, 0.95),
                        half_width: size,
                        half_height: size,
                        edge: 0.006,
                        disc: true,
                        colour: [v3(1.2, 0.75, 0.35), v3(1.0, 0.95, 0.8), v3(0.4, 0.6, 1.1), v3(1.1, 0.4, 0.3)]
                            [r.below(4)]
                            * r.range(0.15, 0.8),
                        opacity: r.range(0.25, 0.6),
                    });
                }
                (base, base * 0.6)
            }
        };
        Self { kind, top, bottom, patches, seed: r.next_u64() as u32 }
    }

    fn at(&self, u: f32, v: f32) -> V3 {
        let blend = if self.kind == Kind::Outdoors {
            smoothstep(0.3, 0.55, v + 0.1 * noise(v3(u * 5.0, 0.0, 0.0), self.seed))
        } else {
            v
        };
        let mut c = self.top.lerp(self.bottom, blend);
        if self.kind == Kind::Studio {
            let d = ((u - 0.5).powi(2) + (v - 0.42).powi(2)).sqrt();
            c = c * (0.55 + 1.35 * smoothstep(0.75, 0.0, d));
        }
        c = c * (1.0 + 0.12 * fbm(v3(u * 3.0, v * 3.0, 0.0), 3, self.seed));
        for p in &self.patches {
            let (dx, dy) = ((u - p.x).abs(), (v - p.y).abs());
            if dx > p.half_width + p.edge || dy > p.half_height + p.edge {
                continue;
            }
            let cover = if p.disc {
                smoothstep(p.half_width + p.edge, p.half_width - p.edge, (dx * dx + dy * dy).sqrt())
            } else {
                smoothstep(p.edge, -p.edge, dx - p.half_width) * smoothstep(p.edge, -p.edge, dy - p.half_height)
            };
            c = c.lerp(p.colour, cover * p.opacity);
        }
        let d2 = (u - 0.5).powi(2) + (v - 0.5).powi(2);
        c * (1.0 - 0.35 * d2)
    }
}
