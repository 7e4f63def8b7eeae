//! Light on skin, eyes, teeth, hair and cloth.

use super::{
    clothes::cloth_colour,
    eye::Eye,
    head_model::{MOUTH_SOCKET_VERTICES, Surface},
    math::{M3, V3, bell, lerp, smoothstep, v3},
    noise::noise,
    person::Person,
    pose::Posed,
    scene::{Light, Scene},
    shadow::ShadowMap,
};

/// What shading needs to know about the frame.
pub(super) struct Shader<'a> {
    pub person: &'a Person,
    pub posed: &'a Posed,
    pub scene: &'a Scene,
    pub shadow: &'a ShadowMap,
    pub eyes: [Eye; 2],
    pub head: (M3, V3),
    pub camera: V3,
    /// Middle of the lips in head space and how far they are apart, cm.
    pub lips: (V3, f32),
}

/// Weights of a triangle's corners at a sample.
#[derive(Clone, Copy)]
pub(super) struct Hit {
    pub triangle: usize,
    pub weights: [f32; 3],
}

/// Light that a smooth surface mirrors: GGX with Kelemen's visibility, times the cosine.
fn glint(n: V3, v: V3, l: V3, roughness: f32, f0: f32) -> f32 {
    let cos_in = n.dot(l);
    if cos_in <= 0.0 {
        return 0.0;
    }
    let h = (v + l).unit();
    let (nh, vh) = (n.dot(h).max(0.0), v.dot(h).max(0.05));
    let a2 = roughness.powi(4);
    let d = a2 / (std::f32::consts::PI * (nh * nh * (a2 - 1.0) + 1.0).powi(2));
    let f = f0 + (1.0 - f0) * (1.0 - vh).powi(5);
    d * f * cos_in / (4.0 * vh * vh).max(0.2)
}

/// Diffuse light wrapped around the terminator, by channel: red travels farthest in skin.
#[inline]
fn wrapped(cos: f32, wrap: f32) -> f32 {
    ((cos + wrap) / (1.0 + wrap)).max(0.0)
}

impl Shader<'_> {
    fn mix(&self, values: &[V3], hit: Hit) -> V3 {
        let [a, b, c] = self.person.triangles[hit.triangle].map(|v| values[v as usize]);
        a * hit.weights[0] + b * hit.weights[1] + c * hit.weights[2]
    }

    /// Linear colour of a sample of the meshes.
    pub(super) fn mesh(&self, hit: Hit, uv: &[[f32; 2]], triangles_uv: &[[u32; 3]]) -> V3 {
        let p = self.mix(&self.posed.world, hit);
        let normal = self.mix(&self.posed.normals, hit).unit();
        let view = (self.camera - p).unit();
        let corners = self.person.triangles[hit.triangle];
        let open = {
            let o = &self.person.openness;
            corners.iter().zip(hit.weights).map(|(v, w)| o[*v as usize] * w).sum::<f32>()
        };
        match self.person.surfaces[hit.triangle] {
            surface @ (Surface::Face | Surface::BackHead) => {
                if corners.iter().all(|v| MOUTH_SOCKET_VERTICES.contains(&(*v as usize))) {
                    return self.mouth(hit, p, normal, view, v3(0.30, 0.085, 0.075), 0.3);
                }
                let uv = triangles_uv[hit.triangle].map(|i| uv[i as usize]);
                self.skin(hit, surface, p, normal, view, open, uv)
            }
            Surface::Mouth => self.mouth(hit, p, normal, view, v3(0.42, 0.13, 0.12), 0.25),
            Surface::Teeth => self.mouth(hit, p, normal, view, v3(0.60, 0.56, 0.49), 0.22),
            Surface::Eye => self.eye(hit, p, normal, view),
            Surface::Cloth => self.cloth(hit, p, normal, view, open),
            Surface::Glasses | Surface::Lashes => self.plastic(p, normal, view, open),
        }
    }

    fn lights(&self, lit: f32) -> [(Light, f32); 3] {
        [(self.scene.key, lit), (self.scene.fill, 1.0), (self.scene.rim, 1.0)]
    }

    #[expect(clippy::too_many_arguments, reason = "one call site; the parts of a surface sample")]
    fn skin(&self, hit: Hit, surface: Surface, p: V3, normal: V3, view: V3, open: f32, uv: [[f32; 2]; 3]) -> V3 {
        let w = hit.weights;
        let (chart, u0) =
            if surface == Surface::Face { (&self.person.skin[0], 0.0) } else { (&self.person.skin[1], 1.0) };
        let at = |k: usize| uv[0][k] * w[0] + uv[1][k] * w[1] + uv[2][k] * w[2];
        let s = chart.sample(at(0) - u0, at(1));
        let bumped = self.bump(hit, normal, s.slope, uv);
        let normal = if normal.dot(view) < 0.0 { (normal - view * normal.dot(view)).unit() } else { normal };
        let lit = self.shadow.light_at(p + normal * 0.22);
        let soft = normal.lerp(bumped, 0.35).unit();
        let mut diffuse = V3::ZERO;
        let mut gloss = V3::ZERO;
        for (k, (light, lit)) in self.lights(lit).into_iter().enumerate() {
            let (broad, tight) = (soft.dot(light.toward), bumped.dot(light.toward));
            // A shadow's edge reddens, as light leaks through skin beside it.
            let shade = if k == 0 { v3(lit.powf(0.62), lit.powf(0.92), lit) } else { V3::splat(0.35 + 0.65 * open) };
            let lambert = v3(wrapped(broad, 0.30), wrapped(lerp(broad, tight, 0.5), 0.14), wrapped(tight, 0.08));
            diffuse += light.colour * lambert * shade;
            let two_lobes = 0.62 * glint(bumped, view, light.toward, s.roughness, 0.028)
                + 0.38 * glint(bumped, view, light.toward, s.roughness * 0.58, 0.028);
            gloss += light.colour * (two_lobes * shade.z * s.gloss * 1.15);
        }
        // Light bounces between folds of skin and takes its colour: occlusion is redder than black.
        let closed = 1.0 - open;
        let bounce = s.albedo.map(|a| open / (1.0 - closed * (0.25 + 0.75 * a)).max(0.2));
        diffuse += self.scene.ambient(soft) * bounce;
        let mirror = bumped * (2.0 * bumped.dot(view)) - view;
        let fresnel = 0.034 + 0.16 * (1.0 - bumped.dot(view).clamp(0.0, 1.0)).powi(5);
        gloss += self.scene.ambient(mirror) * (fresnel * open * s.gloss);
        s.albedo * diffuse + gloss
    }

    /// Tilts the normal by the relief's slope along the chart's axes.
    fn bump(&self, hit: Hit, normal: V3, slope: [f32; 2], uv: [[f32; 2]; 3]) -> V3 {
        let [a, b, c] = self.person.triangles[hit.triangle].map(|v| self.posed.world[v as usize]);
        let (e1, e2) = (b - a, c - a);
        let (u1, v1) = (uv[1][0] - uv[0][0], uv[1][1] - uv[0][1]);
        let (u2, v2) = (uv[2][0] - uv[0][0], uv[2][1] - uv[0][1]);
        let det = u1 * v2 - u2 * v1;
        if det.abs() < 1e-12 {
            return normal;
        }
        let du = (e1 * v2 - e2 * v1) / det;
        let dv = (e2 * u1 - e1 * u2) / det;
        let gradient = du * (slope[0] / du.dot(du).max(1e-6)) + dv * (slope[1] / dv.dot(dv).max(1e-6));
        let length = gradient.length();
        let gradient = if length > 0.6 { gradient * (0.6 / length) } else { gradient };
        (normal - (gradient - normal * gradient.dot(normal))).unit()
    }

    /// Teeth, gums and the lining of the mouth: wet, and darker the deeper and the less open.
    fn mouth(&self, hit: Hit, p: V3, normal: V3, view: V3, albedo: V3, roughness: f32) -> V3 {
        let local = self.mix(&self.posed.local, hit);
        let (lips, gap) = self.lips;
        let depth =
            smoothstep(-6.0, -0.2, local.z - lips.z) * lerp(1.0, 0.45, smoothstep(1.6, 2.9, (local.x - lips.x).abs()));
        let upper = lerp(1.0, 0.75, smoothstep(0.4, 1.4, local.y - lips.y));
        let open = depth.powf(1.7) * upper * (0.42 + 0.58 * smoothstep(0.05, 1.2, gap));
        let mut light = self.scene.ambient(normal);
        let mut gloss = V3::ZERO;
        // Teeth are lit through the lips' opening: what falls just in front of them decides.
        let lit = 0.25 + 0.6 * self.shadow.light_at(p + view * 2.5);
        for (light_, lit) in self.lights(lit) {
            light += light_.colour * (wrapped(normal.dot(light_.toward), 0.35) * lit * 0.8);
            gloss += light_.colour * (glint(normal, view, light_.toward, roughness, 0.04) * lit);
        }
        (albedo * light * 0.85 + gloss * 0.5) * open
    }

    fn eye(&self, hit: Hit, p: V3, normal: V3, view: V3) -> V3 {
        let local = self.mix(&self.posed.local, hit);
        let (rotation, _) = self.head;
        let side = usize::from(local.x < 0.0);
        let s = self.eyes[side].sample(&self.person.traits, local, rotation.apply_transposed(view));
        let glossy = rotation.apply(s.gloss_normal);
        let lit = lerp(0.45, 1.0, self.shadow.light_at(p + normal * 0.35)) * s.openness;
        let mut light = self.scene.ambient(normal) * s.openness;
        let mut gloss = self.scene.ambient(glossy * (2.0 * glossy.dot(view)) - view) * (0.035 * s.openness);
        for (k, (l, share)) in self.lights(lit).into_iter().enumerate() {
            let share = if k == 0 { share } else { share * s.openness };
            light += l.colour * (wrapped(normal.dot(l.toward), 0.25) * share);
            // A broad lamp mirrors as a patch with a definite edge.
            let mirror = glossy * (2.0 * glossy.dot(view)) - view;
            let size = if k == 0 { 0.955 } else { 0.985 };
            gloss +=
                l.colour * (smoothstep(size - 0.008, size + 0.008, mirror.dot(l.toward)) * 0.5 * s.openness.sqrt());
        }
        let tear = s.tear * (0.10 + 0.25 * noise(local * 6.0, 3).max(0.0));
        s.albedo * light * lerp(0.86, 1.05, s.iris) + gloss + self.scene.key.colour * (tear * 0.30 * lit)
    }

    fn cloth(&self, hit: Hit, p: V3, normal: V3, view: V3, open: f32) -> V3 {
        let local = self.mix(&self.posed.local, hit);
        let albedo = cloth_colour(&self.person.traits, local, self.person.part_of(hit.triangle));
        let thread = v3(noise(local * 7.0, 1), noise(local * 7.0, 2), noise(local * 7.0, 3)) * 0.10;
        let n = if normal.dot(view) < 0.0 { -normal } else { normal };
        let n = (n + thread).unit();
        let lit = self.shadow.light_at(p + n * 0.5);
        let mut light = self.scene.ambient(n) * open;
        for (l, share) in self.lights(lit) {
            light += l.colour * (wrapped(n.dot(l.toward), 0.12) * share * (0.4 + 0.6 * open));
        }
        let sheen = (1.0 - n.dot(view).clamp(0.0, 1.0)).powi(4) * 0.10;
        (albedo + V3::splat(sheen * 0.5) * albedo.map(f32::sqrt)) * light
    }

    fn plastic(&self, p: V3, normal: V3, view: V3, open: f32) -> V3 {
        let n = if normal.dot(view) < 0.0 { -normal } else { normal };
        let lit = self.shadow.light_at(p + n * 0.4);
        let mut colour = self.person.traits.rim_colour * self.scene.ambient(n) * open;
        for (l, share) in self.lights(lit) {
            colour += self.person.traits.rim_colour * l.colour * (wrapped(n.dot(l.toward), 0.1) * share);
            colour += l.colour * (glint(n, view, l.toward, 0.3, 0.05) * share);
        }
        colour
    }

    /// Light on hair of direction `along` at `p`, whose coat faces `outward` (Kajiya and Kay's model with two highlights).
    pub(super) fn hair(&self, p: V3, along: V3, outward: V3, colour: V3, open: f32, shine: f32) -> V3 {
        let view = (self.camera - p).unit();
        let lit = self.shadow.light_at(p + outward * 0.35);
        let mut out = colour * self.scene.ambient(outward) * (open * 1.1);
        for (k, (l, share)) in self.lights(lit).into_iter().enumerate() {
            let share = if k == 0 { share * (0.35 + 0.65 * open) } else { share * open };
            let cos = along.dot(l.toward);
            let sin = (1.0 - cos * cos).max(0.0).sqrt();
            let facing = wrapped(outward.dot(l.toward), 0.45);
            let h = (l.toward + view).unit();
            let lobe = |shift: f32, width: f32| {
                let th = along.dot(h) + shift;
                bell(th, width)
            };
            let diffuse = colour * (sin * 0.85 * facing);
            let gloss = V3::splat(0.045 * lobe(0.08, 0.09))
                + (colour.map(f32::sqrt) * colour * 1.2 + V3::splat(0.010)) * lobe(-0.10, 0.17);
            out += l.colour * (diffuse + gloss * (shine * facing)) * share;
        }
        out
    }
}
