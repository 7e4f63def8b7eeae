//! Things before a face, painted: hands, what hands hold, cloth.
//!
//! Lengths are in widths of the picture. What is painted need not be true to life but in what tells it from a face: an edge
//! that cuts the face's features off, fingers and their shading, a shadow on what lies behind.

use glam::Vec2;

use effigy_base::random::Rng;

/// A colour, red, green, blue, 0..1.
pub(super) type Colour = [f32; 3];

/// Where something is.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// What is nearer to the line between two points than a radius, which changes along it.
    Capsule { ends: [Vec2; 2], radii: [f32; 2] },
    /// A block with round corners, half as wide and high as `half`.
    Block { centre: Vec2, half: Vec2, along: Vec2, corner: f32 },
    /// An ellipse.
    Ellipse { centre: Vec2, half: Vec2, along: Vec2 },
    /// What is beyond a wavy line.
    Beyond { from: Vec2, along: Vec2, wave: [f32; 2] },
}

/// What something looks like.
#[derive(Clone, Copy, Debug)]
enum Surface {
    /// Round, of one colour.
    Round(Colour),
    /// Flat, from one colour to another along a direction.
    Flat([Colour; 2], Vec2),
    /// A part of another picture, by this shift and scale.
    Patterned(Vec2, f32),
}

/// One part of what is before the face.
#[derive(Clone, Copy, Debug)]
struct Part {
    form: Form,
    surface: Surface,
}

/// How far inside a point is, and what the surface's slope is there.
struct Inside {
    /// Negative inside.
    distance: f32,
    slope: Vec2,
}

impl Form {
    fn at(&self, p: Vec2) -> Inside {
        match *self {
            Self::Capsule { ends: [a, b], radii } => {
                let line = b - a;
                let t = ((p - a).dot(line) / line.length_squared().max(1e-9)).clamp(0.0, 1.0);
                let radius = radii[0] + (radii[1] - radii[0]) * t;
                let from_axis = p - (a + line * t);
                Inside { distance: from_axis.length() - radius, slope: from_axis / radius }
            }
            Self::Block { centre, half, along, corner } => {
                let local = Vec2::new((p - centre).dot(along), (p - centre).dot(along.perp()));
                let beyond = local.abs() - (half - corner);
                let distance = beyond.max(Vec2::ZERO).length() + beyond.max_element().min(0.0) - corner;
                // Rounded at its rim alone, as a palm is.
                let rim = (local / half).powf(3.0);
                Inside { distance, slope: (along * rim.x + along.perp() * rim.y) * 0.8 }
            }
            Self::Ellipse { centre, half, along } => {
                let local = Vec2::new((p - centre).dot(along), (p - centre).dot(along.perp())) / half;
                let r = local.length();
                Inside { distance: (r - 1.0) * half.min_element(), slope: along * local.x + along.perp() * local.y }
            }
            Self::Beyond { from, along, wave: [size, length] } => {
                let local = Vec2::new((p - from).dot(along), (p - from).dot(along.perp()));
                let fold = (local.x / length).sin();
                Inside { distance: -local.y + size * fold, slope: along * 0.5 * fold }
            }
        }
    }
}

/// What is before a face, and how it looks there.
pub(super) struct Occluder {
    parts: Vec<Part>,
    /// Where its light comes from, towards the light, of length 1.
    light: [f32; 3],
    /// How much of a shadow it casts, and how far.
    shadow: f32,
    reach: f32,
    /// Width of its edges: they are blurred where it moves.
    edge: f32,
}

/// What an occluder is painted for: a face in the same picture.
pub(super) struct Before {
    /// Where it may cover the face.
    pub(super) target: Vec2,
    /// The colour of the face's skin.
    pub(super) skin: Colour,
    /// Height of the face.
    pub(super) face: f32,
}

impl Occluder {
    /// Draws one.
    pub(super) fn draw(before: &Before, rng: &mut Rng) -> Self {
        let mut parts = Vec::new();
        match rng.unit() {
            kind if kind < 0.55 => hand(before, before.target, rng, &mut parts),
            kind if kind < 0.88 => thing(before, rng, &mut parts),
            _ => cloth(before, rng, &mut parts),
        }
        let light = [rng.range(-0.7, 0.7), rng.range(-0.9, 0.3), rng.range(0.4, 1.0)];
        let length = light.iter().map(|x| x * x).sum::<f32>().sqrt();
        Self {
            parts,
            light: light.map(|x| x / length),
            shadow: if rng.chance(0.7) { rng.range(0.05, 0.5) } else { 0.0 },
            reach: rng.range(0.02, 0.12),
            edge: if rng.chance(0.25) { rng.range(0.01, 0.04) } else { 0.01 },
        }
    }

    /// Paints it over a picture, (3, n, n); `pattern` is another one, whose parts are patterns. Gives how much of each pixel it
    /// covers.
    pub(super) fn paint(&self, picture: &mut [f32], n: usize, pattern: &[f32]) -> Vec<f32> {
        let area = n * n;
        let mut covered = vec![0.0_f32; area];
        let place = |i: usize| Vec2::new((i % n) as f32 + 0.5, (i / n) as f32 + 0.5) / n as f32;
        for i in 0..area {
            let p = place(i);
            let nearest = self.parts.iter().map(|part| part.form.at(p).distance).fold(f32::MAX, f32::min);
            let dark = 1.0 - self.shadow * (1.0 - nearest / self.reach).clamp(0.0, 1.0).powi(2);
            (0..3).for_each(|c| picture[c * area + i] *= dark);
            if nearest > self.edge {
                continue;
            }
            for part in &self.parts {
                let inside = part.form.at(p);
                let alpha = (0.5 - inside.distance / self.edge).clamp(0.0, 1.0);
                if alpha > 0.0 {
                    let colour = self.colour(part, &inside, p, pattern, n);
                    for (c, value) in colour.into_iter().enumerate() {
                        let to = &mut picture[c * area + i];
                        *to += (value.clamp(0.0, 1.0) - *to) * alpha;
                    }
                    covered[i] = covered[i].max(alpha);
                }
            }
        }
        covered
    }

    fn colour(&self, part: &Part, inside: &Inside, p: Vec2, pattern: &[f32], n: usize) -> Colour {
        let facing = (1.0 - inside.slope.length_squared()).max(0.0).sqrt();
        let [x, y, z] = self.light;
        let lit = (inside.slope.x * x + inside.slope.y * y + facing * z).max(0.0);
        match part.surface {
            // Towards its rim a round thing is in the shadow of its neighbour.
            Surface::Round(colour) => colour.map(|value| value * (0.45 + 0.6 * lit) * (0.75 + 0.25 * facing)),
            Surface::Flat([from, to], along) => {
                let t = (0.5 + 2.0 * (p - 0.5).dot(along)).clamp(0.0, 1.0);
                std::array::from_fn(|c| (from[c] + (to[c] - from[c]) * t) * (0.7 + 0.35 * lit))
            }
            Surface::Patterned(shift, scale) => {
                let at = (p * scale + shift).fract_gl() * n as f32;
                let i = (at.y as usize).min(n - 1) * n + (at.x as usize).min(n - 1);
                std::array::from_fn(|c| pattern[c * n * n + i])
            }
        }
    }
}

/// Some colour of anything.
fn any_colour(rng: &mut Rng) -> Colour {
    // Things are more often dark or pale than bright in colour.
    let (grey, tint) = (rng.unit(), rng.unit() * rng.unit());
    std::array::from_fn(|_| (grey + tint * rng.range(-0.6, 0.6)).clamp(0.02, 0.98))
}

/// The colour of a hand: mostly of the one whose face it is.
fn hand_colour(skin: Colour, rng: &mut Rng) -> Colour {
    let tone = match rng.unit() {
        kind if kind < 0.72 => skin,
        kind if kind < 0.94 => {
            let t = rng.unit();
            let (dark, pale) = ([0.26, 0.17, 0.12], [0.93, 0.76, 0.66]);
            std::array::from_fn(|c| dark[c] + (pale[c] - dark[c]) * t)
        }
        // A glove.
        _ => any_colour(rng),
    };
    let gain = rng.range(0.75, 1.35);
    tone.map(|value| (value * gain * rng.range(0.95, 1.05)).min(1.0))
}

fn unit(angle_rads: f32) -> Vec2 {
    Vec2::from_angle(angle_rads)
}

/// A hand whose palm or fingers lie at `target`.
fn hand(before: &Before, target: Vec2, rng: &mut Rng, parts: &mut Vec<Part>) {
    use std::f32::consts::{FRAC_PI_2, PI};
    let skin = hand_colour(before.skin, rng);
    let surface = Surface::Round(skin);
    // A palm is about four tenths of a face's height wide.
    let w = before.face * rng.range(0.28, 0.5);
    // Where fingers point: mostly up, as an arm comes from below; sometimes across, seldom down.
    let turn = match rng.unit() {
        kind if kind < 0.6 => rng.range(-0.9, 0.9),
        kind if kind < 0.92 => rng.range(0.9, 2.0) * if rng.chance(0.5) { 1.0 } else { -1.0 },
        _ => rng.range(-PI, PI),
    };
    let up = unit(-FRAC_PI_2 + turn);
    let side = up.perp() * if rng.chance(0.5) { 1.0 } else { -1.0 };
    // Between palm and fingertips.
    let origin = target - up * w * rng.range(-0.2, 1.5);
    let at = |x: f32, y: f32| origin + side * (x * w) + up * (y * w);
    let capsule = |a: Vec2, b: Vec2, ra: f32, rb: f32| Form::Capsule { ends: [a, b], radii: [ra * w, rb * w] };

    let sway = rng.range(-0.5, 0.5);
    let wrist = at(0.0, -0.55);
    let elbow = wrist - (up + side * sway) * (3.0 * w);
    parts.push(Part { form: capsule(wrist, elbow, 0.34, 0.45), surface });
    if rng.chance(0.5) {
        let from = wrist.lerp(elbow, rng.range(0.1, 0.5));
        let cloth = [any_colour(rng), any_colour(rng)];
        let surface = if rng.chance(0.5) { Surface::Round(cloth[0]) } else { Surface::Flat(cloth, side) };
        parts.push(Part { form: capsule(from, elbow, 0.5, 0.6), surface });
    }
    let palm = Form::Block { centre: origin, half: Vec2::new(0.5, 0.55) * w, along: side, corner: 0.25 * w };
    parts.push(Part { form: palm, surface });
    let thumb = rng.range(0.2, 1.3);
    let (base, direction) = (at(-0.38, -0.2), up * thumb.cos() - side * thumb.sin());
    let knuckle = base + direction * (0.42 * w);
    let bent = (direction + up * rng.range(-0.3, 0.6)).normalize_or(direction);
    parts.push(Part { form: capsule(base, knuckle, 0.2, 0.16), surface });
    parts.push(Part { form: capsule(knuckle, knuckle + bent * (0.36 * w), 0.16, 0.13), surface });

    let (stretched, spread) = (rng.range(0.25, 1.0), rng.range(-0.05, 0.22));
    let shows_nails = rng.chance(0.5);
    for (i, length) in [0.95, 1.05, 0.98, 0.76].into_iter().enumerate() {
        let own = if rng.chance(0.12) { 0.2 } else { (stretched + rng.range(-0.12, 0.12)).clamp(0.2, 1.05) };
        let from_middle = i as f32 - 1.5;
        let base = at(0.245 * from_middle, 0.42);
        let angle = spread * from_middle + rng.range(-0.06, 0.06);
        let direction = up * angle.cos() + side * angle.sin();
        let bent = (direction + side * rng.range(-0.2, 0.2)).normalize_or(direction);
        let joint = base + direction * (0.52 * length * own * w);
        let tip = joint + bent * (0.48 * length * own * w);
        parts.push(Part { form: capsule(base, joint, 0.135, 0.125), surface });
        parts.push(Part { form: capsule(joint, tip, 0.125, 0.105), surface });
        if shows_nails && own > 0.5 {
            let nail = Form::Ellipse { centre: tip, half: Vec2::new(0.09, 0.065) * w, along: bent };
            let pale = skin.map(|value| (value * 1.12 + 0.04).min(1.0));
            parts.push(Part { form: nail, surface: Surface::Round(pale) });
        }
    }
}

/// A surface of anything.
fn any_surface(rng: &mut Rng) -> Surface {
    match rng.unit() {
        kind if kind < 0.3 => Surface::Round(any_colour(rng)),
        kind if kind < 0.65 => {
            let colours = [any_colour(rng), any_colour(rng)];
            Surface::Flat(colours, unit(rng.range(-3.0, 3.0)))
        }
        _ => Surface::Patterned(Vec2::new(rng.unit(), rng.unit()), rng.range(0.4, 2.0)),
    }
}

/// A cup, a phone, a microphone, food; often in a hand.
fn thing(before: &Before, rng: &mut Rng, parts: &mut Vec<Part>) {
    let size = before.face * rng.range(0.12, 0.42);
    let half = Vec2::new(size * rng.range(0.35, 1.0), size * rng.range(0.5, 1.0));
    let along = unit(rng.range(-0.6, 0.6));
    let centre = before.target;
    let surface = any_surface(rng);
    let form = match rng.below(3) {
        0 => Form::Block { centre, half, along, corner: half.min_element() * rng.range(0.05, 0.6) },
        1 => Form::Ellipse { centre, half, along },
        _ => {
            let line = along.perp() * half.y;
            Form::Capsule { ends: [centre - line, centre + line], radii: [half.x * 0.8, half.x * rng.range(0.5, 1.0)] }
        }
    };
    let held = rng.unit();
    // On a stand, or in the hand behind it.
    if held < 0.2 {
        let stand =
            Form::Capsule { ends: [centre, centre + along.perp().lerp(Vec2::Y, 0.5) * 1.5], radii: [half.x * 0.25; 2] };
        parts.push(Part { form: stand, surface: Surface::Round(any_colour(rng)) });
    } else if held < 0.4 {
        hand(before, centre + Vec2::new(0.0, 0.6 * half.y), rng, parts);
    }
    parts.push(Part { form, surface });
    if rng.chance(0.4) {
        let rim = Form::Ellipse {
            centre: centre - along.perp() * (half.y * 0.8),
            half: Vec2::new(half.x * 0.9, half.y * 0.15),
            along,
        };
        parts.push(Part { form: rim, surface: any_surface(rng) });
    }
    if held > 0.6 {
        let reach = Vec2::new(rng.range(-0.6, 0.6) * half.x, rng.range(0.2, 0.8) * half.y);
        hand(before, centre + reach, rng, parts);
    }
}

/// A mask, a scarf, a sheet of paper: all that is beyond a line across the face.
fn cloth(before: &Before, rng: &mut Rng, parts: &mut Vec<Part>) {
    // Mostly from below.
    let turn = if rng.chance(0.75) { rng.range(-0.5, 0.5) } else { rng.range(-3.1, 3.1) };
    let wave = [rng.range(0.0, 0.015), rng.range(0.02, 0.1)];
    let form = Form::Beyond { from: before.target, along: unit(turn), wave };
    parts.push(Part { form, surface: any_surface(rng) });
}
