//! Draws a frame: pose, shadow map, visibility, shading, background and camera effects.

use rayon::prelude::*;

use super::{
    eye::Eye,
    fuzz::FuzzKind,
    head_model::Surface,
    landmarks::{EYE_LOWER, EYE_UPPER},
    math::{M3, V3, lerp, v3},
    openness::View,
    person::{Person, Studio},
    pose::{FaceState, Posed, pose},
    raster::{HAIR_BASE, NOTHING, Projected, Ribbon, Visibility},
    rig::hair_weight,
    scene::Scene,
    sensor,
    shade::{Hit, Shader},
    shadow::ShadowMap,
    truth::{Truth, truth},
};

/// Size and quality of pictures.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// Width and height of the picture.
    pub side_px: usize,
    /// Samples of a pixel along each axis.
    pub samples: usize,
}

/// A finished frame.
pub struct Frame {
    /// Width and height, in pixels.
    pub side_px: usize,
    /// sRGB, rows from the top.
    pub rgb: Vec<u8>,
    /// Coverage of the person, 0..255.
    pub alpha: Vec<u8>,
    /// Share of a pixel that shows an eyeball, 0..255.
    pub eye_mask: Vec<u8>,
    /// Share of a pixel that shows the inside of the mouth, 0..255.
    pub mouth_mask: Vec<u8>,
    /// Distance from the camera, cm; 0 where nothing is.
    pub depth_cm: Vec<f32>,
    /// What is true of the picture.
    pub truth: Truth,
}

const SHADOW_SIDE: usize = 400;

/// Draws frames of one person in one scene; keeps its buffers.
pub struct Renderer<'a> {
    studio: &'a Studio,
    person: &'a Person,
    scene: Scene,
    quality: Quality,
    background: Vec<V3>,
    visibility: Visibility,
    shadow: Visibility,
}

/// What the rasteriser left for shading.
struct Drawn<'a> {
    visibility: &'a Visibility,
    projected: &'a [Projected],
    /// Colours of both ends of each hair segment.
    colours: &'a [[V3; 2]],
}

struct Lock {
    points: Vec<V3>,
    outward: Vec<V3>,
    colours: Vec<V3>,
}

impl<'a> Renderer<'a> {
    /// Prepares background and buffers.
    pub fn new(studio: &'a Studio, person: &'a Person, scene: Scene, quality: Quality) -> Self {
        let n = quality.side_px * quality.samples;
        Self {
            studio,
            person,
            background: scene.background(quality.side_px),
            scene,
            quality,
            visibility: Visibility::new(n, n),
            shadow: Visibility::new(SHADOW_SIDE, SHADOW_SIDE),
        }
    }

    /// Draws the person in the given state; `frame_idx` varies the sensor's noise.
    pub fn render(&mut self, state: &FaceState, frame_idx: u64) -> Frame {
        let (studio, person) = (self.studio, self.person);
        // The buffer leaves the renderer while the shader borrows it.
        let mut visibility = std::mem::take(&mut self.visibility);
        let posed = pose(studio, person, state);
        let mut locks = self.locks(&posed);
        let shadow = self.shadow_map(&posed, &locks);
        let shader = self.shader(&posed, &shadow, state);
        self.light_locks(&shader, &mut locks);

        let side = visibility.width as f32;
        let focal = self.scene.focal_heights() * side;
        let camera = self.scene.camera();
        let project = |p: V3| {
            let d = p - camera;
            let inv_depth = 1.0 / (-d.z).max(1.0);
            Projected { x: 0.5 * side + focal * d.x * inv_depth, y: 0.5 * side - focal * d.y * inv_depth, inv_depth }
        };
        let projected: Vec<Projected> = posed.world.iter().map(|p| project(*p)).collect();
        let mut ribbons = Vec::new();
        let mut colours: Vec<[V3; 2]> = Vec::new();
        let widths = person
            .strands
            .iter()
            .map(|s| s.width_cm)
            .chain(person.fuzz.iter().map(|f| f.width_cm))
            .chain(person.lashes.iter().map(|l| l.width_cm));
        for (lock, width_cm) in locks.iter().zip(widths) {
            let points: Vec<Projected> = lock.points.iter().map(|p| project(*p)).collect();
            let n = points.len() - 1;
            for i in 0..n {
                // Hair thins to its tip.
                let taper = 1.0 - 0.6 * ((i as f32 + 0.5) / n as f32).powi(2);
                let width = (width_cm * taper * focal * points[i].inv_depth).max(0.7);
                ribbons.push(Ribbon { a: points[i], b: points[i + 1], width, id: HAIR_BASE + colours.len() as u32 });
                colours.push([lock.colours[i], lock.colours[i + 1]]);
            }
        }
        let surfaces = &person.surfaces;
        visibility.draw(&projected, &person.triangles, |t| surfaces[t] >= Surface::Cloth, &ribbons);

        let truth = truth(studio, person, &self.scene, state, &posed, self.quality.side_px);
        let drawn = Drawn { visibility: &visibility, projected: &projected, colours: &colours };
        let frame = self.resolve(&shader, &drawn, frame_idx, truth);
        self.visibility = visibility;
        frame
    }

    /// All hair of the frame in the world, unlit: strands of the head, brows and beard, lashes.
    fn locks(&self, posed: &Posed) -> Vec<Lock> {
        let person = self.person;
        let pivots = &posed.pivots;
        let (rotation, shift) = pivots.head();
        let centre = rotation.apply(v3(0.0, 3.0, 0.0)) + shift;
        let neck_of = |p: V3| rotation.apply(p) + shift;
        let head: Vec<Lock> = person
            .strands
            .par_iter()
            .with_min_len(256)
            .map(|s| {
                let points: Vec<V3> = s
                    .points
                    .iter()
                    .map(|p| match hair_weight(*p) {
                        w if w >= 1.0 => neck_of(*p),
                        w => pivots.apply(*p, w),
                    })
                    .collect();
                let outward = points
                    .iter()
                    .map(|p| v3(p.x - centre.x, (p.y - centre.y).max(-1.0), p.z - centre.z).unit())
                    .collect();
                Lock { points, outward, colours: Vec::new() }
            })
            .collect();
        let skin_normal = |v: [u32; 3]| posed.normals[v[0] as usize];
        let fuzz = person.fuzz.iter().map(|h| {
            let points: Vec<V3> = h.points(&posed.world).collect();
            let outward = vec![skin_normal(h.root.vertices); points.len()];
            Lock { points, outward, colours: Vec::new() }
        });
        let ahead = rotation.apply(v3(0.0, 0.3, 1.0)).unit();
        let lashes = person.lashes.iter().map(|l| {
            let points = l.points(&posed.world);
            let outward = vec![ahead; points.len()];
            Lock { points, outward, colours: Vec::new() }
        });
        head.into_iter().chain(fuzz).chain(lashes).collect()
    }

    fn light_locks(&self, shader: &Shader<'_>, locks: &mut [Lock]) {
        let person = self.person;
        let n_strands = person.strands.len();
        let n_fuzz = person.fuzz.len();
        let colour = person.traits.hair_colour;
        locks.par_iter_mut().with_min_len(64).enumerate().for_each(|(i, lock)| {
            let n = lock.points.len();
            let along = |k: usize| (lock.points[(k + 1).min(n - 1)] - lock.points[k.saturating_sub(1)]).unit();
            lock.colours = (0..n)
                .map(|k| {
                    let t = k as f32 / (n - 1) as f32;
                    let p = lock.points[k];
                    if i < n_strands {
                        let s = &person.strands[i];
                        let tone = colour * (s.shade * lerp(0.8, 1.15, t));
                        let open = person.strand_openness[i][k];
                        shader.hair(p, along(k), lock.outward[k], tone, lerp(0.10, 1.0, open * open), 1.0)
                    } else if i < n_strands + n_fuzz {
                        let f = &person.fuzz[i - n_strands];
                        let dark = if f.kind == FuzzKind::Brow { 0.62 } else { 0.85 };
                        let base = colour * (0.13 / colour.x.max(0.13));
                        shader.hair(p, along(k), lock.outward[k], base * (dark * f.shade), lerp(0.55, 1.0, t), 0.5)
                    } else {
                        let dark = colour.lerp(v3(0.012, 0.010, 0.009), 0.75);
                        shader.hair(p, along(k), lock.outward[k], dark * 0.5, 0.6, 0.15)
                    }
                })
                .collect();
        });
    }

    fn shadow_map(&mut self, posed: &Posed, locks: &[Lock]) -> ShadowMap {
        let view = View::new(self.scene.key.toward, v3(0.0, -2.0, 0.0), 25.0, SHADOW_SIDE);
        let projected: Vec<Projected> = posed.world.iter().map(|p| view.project(*p)).collect();
        let mut ribbons = Vec::new();
        for lock in locks[..self.person.strands.len()].iter().step_by(3) {
            let points: Vec<Projected> = lock.points.iter().map(|p| view.project(*p)).collect();
            ribbons.extend(points.windows(2).map(|w| Ribbon { a: w[0], b: w[1], width: 1.5, id: 0 }));
        }
        self.shadow.draw(&projected, &self.person.triangles, |_| true, &ribbons);
        ShadowMap::new(view, &self.shadow, self.scene.shadow_blur_cm)
    }

    fn shader<'f>(&'f self, posed: &'f Posed, shadow: &'f ShadowMap, state: &FaceState) -> Shader<'f> {
        let at = |l: usize| self.studio.table.points[l].at(&posed.local);
        let eyes = [0, 1].map(|side| {
            let (centre, radius_cm) = posed.globes[side];
            let [yaw, pitch] = state.gaze_rads(side);
            Eye {
                centre,
                radius_cm,
                gaze: M3::from_euler_rads(yaw, -pitch, 0.0),
                upper_lid: EYE_UPPER[side].iter().map(|l| at(*l)).collect(),
                lower_lid: EYE_LOWER[side].iter().map(|l| at(*l)).collect(),
                iris_cm: super::truth::IRIS_RADIUS_CM * radius_cm / 1.43,
                pupil: 0.36,
                seed: self.person.seed as u32,
            }
        });
        let (upper, lower) = (at(13), at(14));
        Shader {
            person: self.person,
            posed,
            scene: &self.scene,
            shadow,
            eyes,
            head: posed.pivots.head(),
            camera: self.scene.camera(),
            lips: (upper.lerp(lower, 0.5), (upper - lower).length()),
        }
    }

    fn resolve(&self, shader: &Shader<'_>, drawn: &Drawn<'_>, frame_idx: u64, truth: Truth) -> Frame {
        let n = self.quality.side_px;
        let mut linear = vec![V3::ZERO; n * n];
        let mut planes: Vec<[u8; 3]> = vec![[0; 3]; n * n];
        let mut depth_cm = vec![0.0f32; n * n];
        let rows = linear.par_chunks_mut(n).zip(planes.par_chunks_mut(n)).zip(depth_cm.par_chunks_mut(n)).enumerate();
        rows.with_min_len(4).for_each(|(y, ((linear, planes), depth))| {
            for x in 0..n {
                let (colour, cover, distance) = self.pixel(shader, drawn, x, y);
                linear[x] = colour;
                planes[x] = cover.map(|c| (c * 255.0 + 0.5) as u8);
                depth[x] = distance;
            }
        });
        let rgb = sensor::expose(&linear, n, &self.scene, frame_idx);
        Frame {
            side_px: n,
            rgb,
            alpha: planes.iter().map(|p| p[0]).collect(),
            eye_mask: planes.iter().map(|p| p[1]).collect(),
            mouth_mask: planes.iter().map(|p| p[2]).collect(),
            depth_cm,
            truth,
        }
    }

    /// Colour, shares (person, eye, mouth) and mean distance of a pixel.
    fn pixel(&self, shader: &Shader<'_>, drawn: &Drawn<'_>, x: usize, y: usize) -> (V3, [f32; 3], f32) {
        let s = self.quality.samples;
        let vis = drawn.visibility;
        let background = self.background[y * self.quality.side_px + x];
        let share = 1.0 / (s * s) as f32;
        let mut sum = V3::ZERO;
        let mut cover = [0.0f32; 3];
        let mut distance = 0.0;
        // Neighbouring samples of one smooth surface share a shading: `last` keeps it.
        let mut last: Option<(Surface, f32, V3)> = None;
        for k in 0..s * s {
            let (sx, sy) = (x * s + k % s, y * s + k / s);
            let at = sy * vis.width + sx;
            let (id, inv_depth) = (vis.id[at], vis.inv_depth[at]);
            if id == NOTHING {
                sum += background;
                continue;
            }
            cover[0] += share;
            distance += 1.0 / inv_depth;
            if id >= HAIR_BASE {
                let [a, b] = drawn.colours[(id - HAIR_BASE) as usize];
                sum += a.lerp(b, 0.5);
                continue;
            }
            let surface = self.person.surfaces[id as usize];
            match surface {
                Surface::Eye => cover[1] += share,
                Surface::Mouth | Surface::Teeth => cover[2] += share,
                _ => {}
            }
            if let Some((of, depth, colour)) = last
                && of == surface
                && (depth / inv_depth - 1.0).abs() < 0.004
                && surface != Surface::Eye
            {
                sum += colour;
                continue;
            }
            let hit = hit_at(self.person, drawn.projected, id as usize, sx as f32 + 0.5, sy as f32 + 0.5);
            let colour = shader.mesh(hit, &self.studio.model.uv, &self.studio.model.triangles_uv);
            // A single glint must not outweigh its neighbours.
            let colour = colour.map(|c| c.min(3.0));
            last = Some((surface, inv_depth, colour));
            sum += colour;
        }
        let n_covered = cover[0] / share;
        (sum * share, cover, if n_covered > 0.0 { distance / n_covered } else { 0.0 })
    }
}

/// Perspective-correct corner weights of a triangle at a sample.
fn hit_at(person: &Person, projected: &[Projected], triangle: usize, x: f32, y: f32) -> Hit {
    let [a, b, c] = person.triangles[triangle].map(|v| projected[v as usize]);
    let area = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
    let u = ((b.x - x) * (c.y - y) - (b.y - y) * (c.x - x)) / area;
    let v = ((c.x - x) * (a.y - y) - (c.y - y) * (a.x - x)) / area;
    let w = [u * a.inv_depth, v * b.inv_depth, (1.0 - u - v) * c.inv_depth].map(|k| k.max(0.0));
    let inv = 1.0 / (w[0] + w[1] + w[2]).max(1e-12);
    Hit { triangle, weights: w.map(|k| k * inv) }
}
