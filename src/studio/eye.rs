//! The eyeball: sclera, iris behind a refracting cornea, tear film and the lids' shade.

use super::{
    math::{M3, V3, bell, lerp, segment_distance, smoothstep, v3},
    noise::{fbm, noise},
    traits::Traits,
};

/// An eye of the frame, in head space.
pub(super) struct Eye {
    pub centre: V3,
    pub radius_cm: f32,
    /// Rotation of the eye in the head: its +z is the optical axis.
    pub gaze: M3,
    pub upper_lid: Vec<V3>,
    pub lower_lid: Vec<V3>,
    /// Radius of the iris on the globe, cm.
    pub iris_cm: f32,
    pub pupil: f32,
    pub seed: u32,
}

/// Colour and gloss of a point of the eye.
pub(super) struct EyeSample {
    pub albedo: V3,
    /// Normal of the wet front in head space: it decides the highlight.
    pub gloss_normal: V3,
    /// Shade of the lids and lashes, 0..1.
    pub openness: f32,
    pub tear: f32,
    pub iris: f32,
}

fn nearest(line: &[V3], p: V3) -> f32 {
    line.windows(2).map(|w| segment_distance(p, w[0], w[1])).fold(f32::MAX, f32::min)
}

impl Eye {
    /// Shades a point `p` of the globe seen along `toward_camera`, both in head space.
    pub(super) fn sample(&self, traits: &Traits, p: V3, toward_camera: V3) -> EyeSample {
        let out = (p - self.centre).unit();
        let d = self.gaze.apply_transposed(out);
        let view = self.gaze.apply_transposed(toward_camera);
        let radius = self.radius_cm;
        // Angle from the optical axis, as an arc on the globe.
        let arc = radius * d.z.clamp(-1.0, 1.0).acos();
        let cornea = smoothstep(self.iris_cm * 1.18, self.iris_cm * 0.85, arc);

        // The cornea bulges: its normal is steeper than the globe's.
        let steep = v3(d.x * 2.3, d.y * 2.3, d.z).unit();
        let bulged = d.lerp(steep, cornea).unit();
        let gloss_normal = self.gaze.apply(bulged);

        // A refracted ray meets the iris plane behind the surface.
        let eta = 1.0 / 1.336;
        let cos_in = bulged.dot(view).clamp(0.05, 1.0);
        let inside =
            -view * eta + bulged * (eta * cos_in - (1.0 - eta * eta * (1.0 - cos_in * cos_in)).max(0.0).sqrt());
        let plane = (radius * radius - self.iris_cm * self.iris_cm).max(0.0).sqrt() - 0.02;
        let front = d * (radius + 0.10 * cornea);
        let t = ((plane - front.z) / inside.z.min(-0.1)).clamp(0.0, 0.5);
        let hit = front + inside * t;
        let (ix, iy) = (hit.x / self.iris_cm, hit.y / self.iris_cm);
        let r = (ix * ix + iy * iy).sqrt();

        let sclera = self.sclera(d);
        let iris = self.iris(traits, r, iy.atan2(ix));
        let blend = smoothstep(1.05, 0.90, arc / self.iris_cm);
        let upper = nearest(&self.upper_lid, p);
        let lower = nearest(&self.lower_lid, p);
        // The upper lid and its lashes throw a wide shade, the lower lid a narrow one.
        let openness = lerp(0.34, 1.0, smoothstep(-0.02, 0.55, upper)) * lerp(0.62, 1.0, smoothstep(0.0, 0.22, lower));
        EyeSample {
            albedo: sclera.lerp(iris, blend),
            gloss_normal,
            openness,
            tear: bell(lower - 0.03, 0.035),
            iris: blend,
        }
    }

    fn sclera(&self, d: V3) -> V3 {
        let away = (1.0 - d.z).clamp(0.0, 1.0);
        let corner = smoothstep(0.05, 0.45, d.x.abs());
        let vein = |scale: f32, seed: u32| {
            let w = d + v3(noise(d * 9.0, seed), noise(d * 9.0, seed ^ 1), 0.0) * 0.06;
            smoothstep(0.06, 0.0, noise(v3(w.x * scale * 0.5, w.y * scale * 2.2, w.z), seed ^ 2).abs())
        };
        let veins = (0.5 * vein(14.0, self.seed ^ 3) + 0.35 * vein(30.0, self.seed ^ 4)) * corner;
        let base = v3(0.51, 0.475, 0.45).lerp(v3(0.46, 0.36, 0.325), 0.55 * corner + 0.4 * away);
        let inner = smoothstep(0.45, 0.75, -d.x * self.centre.x.signum());
        let pink = base.lerp(v3(0.55, 0.27, 0.24), inner * 0.75);
        pink * v3(1.0 - 0.10 * veins, 1.0 - 0.34 * veins, 1.0 - 0.34 * veins)
    }

    fn iris(&self, traits: &Traits, r: f32, angle: f32) -> V3 {
        let (s, c) = angle.sin_cos();
        let fibre = fbm(v3(c * 7.0, s * 7.0, r * 1.2), 3, self.seed ^ 8);
        let coarse = noise(v3(c * 2.5, s * 2.5, r * 2.0), self.seed ^ 9);
        let collar = bell(r - 0.52 - 0.05 * coarse, 0.12);
        let mut colour = traits.iris.lerp(traits.iris_inner, smoothstep(0.85, 0.40, r) * 0.75 + 0.2 * collar);
        colour = colour * (1.0 + 0.55 * fibre + 0.25 * collar + 0.15 * coarse);
        // The limbal ring, and the pupil.
        colour = colour * lerp(1.0, 0.28, smoothstep(0.78, 1.02, r));
        colour.lerp(V3::splat(0.004), smoothstep(self.pupil + 0.035, self.pupil - 0.02, r))
    }
}
