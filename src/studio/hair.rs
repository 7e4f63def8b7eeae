//! Hair of the head: guides grown along a style's flow, and strands that follow them in clumps.

use super::{
    clothes::shoulder_lift,
    head_model::{HeadModel, Surface},
    math::{V3, bell, curve, smoothstep, v3},
    noise::noise,
    random::Rng,
    skin::scalp_mask,
    skull::Skull,
    traits::{HairStyle, Traits},
};

/// One hair: points from root to tip in the person's rest pose (cm), thickness and shade.
#[derive(Clone, Debug)]
pub(crate) struct Strand {
    pub points: Vec<V3>,
    pub width_cm: f32,
    /// Factor on the hair's colour.
    pub shade: f32,
}

/// What a style asks of growth.
struct Cut {
    n_strands: usize,
    n_guides: usize,
    n_points: usize,
    /// How far strands draw together towards the tip, 0..1.
    clump: f32,
    curl_cm: f32,
    curl_turns_per_cm: f32,
    width_cm: f32,
    frizz_cm: f32,
}

struct Root {
    at: V3,
    normal: V3,
    /// The same place on the average head: styles are drawn there.
    rest: V3,
}

const CROWN: V3 = v3(0.5, 13.8, -4.0);
const BUN: V3 = v3(0.0, 10.5, -10.2);

fn cut_of(traits: &Traits) -> Cut {
    use HairStyle::{Bald, Bob, Bun, Buzz, Crop, Curly, Fringe, Long, LongWavy, SidePart, SlickBack};
    let base = Cut {
        n_strands: 17_000,
        n_guides: 900,
        n_points: 8,
        clump: 0.55,
        curl_cm: 0.10 + 0.30 * traits.hair_curl,
        curl_turns_per_cm: 0.22,
        width_cm: 0.05,
        frizz_cm: 0.10,
    };
    match traits.hair {
        Bald => Cut { n_strands: 0, ..base },
        Buzz => Cut { n_strands: 15_000, n_points: 3, clump: 0.0, curl_cm: 0.0, width_cm: 0.035, ..base },
        Crop => Cut { n_strands: 19_000, n_points: 6, ..base },
        SidePart | SlickBack | Fringe => base,
        Bob => Cut { n_strands: 11_000, n_points: 11, clump: 0.6, width_cm: 0.06, ..base },
        Long => Cut { n_strands: 9_000, n_points: 13, clump: 0.65, width_cm: 0.075, ..base },
        LongWavy => Cut {
            n_strands: 8_500,
            n_points: 20,
            clump: 0.72,
            curl_cm: 0.75,
            curl_turns_per_cm: 0.11,
            width_cm: 0.075,
            frizz_cm: 0.16,
            ..base
        },
        Curly => Cut {
            n_strands: 9_000,
            n_guides: 1100,
            n_points: 22,
            clump: 0.78,
            curl_cm: 0.45 + 0.25 * traits.hair_curl,
            curl_turns_per_cm: 0.42,
            width_cm: 0.06,
            frizz_cm: 0.2,
        },
        Bun => Cut { n_strands: 15_000, n_points: 12, clump: 0.5, ..base },
    }
}

/// Grows a person's hair on the shape `rest` (the person) over the average head in `model`.
pub(super) fn grow(model: &HeadModel, rest: &[V3], traits: &Traits, seed: u64) -> Vec<Strand> {
    let cut = cut_of(traits);
    if cut.n_strands == 0 {
        return Vec::new();
    }
    let mut rng = Rng::new(seed, 3);
    let skull = Skull::new(rest);
    let roots = scatter(model, rest, traits, cut.n_strands, &mut rng);
    let mut guides: Vec<(V3, Vec<V3>)> = Vec::new();
    for k in 0..cut.n_guides.min(roots.len()) {
        let root = &roots[k * roots.len() / cut.n_guides.max(1) % roots.len()];
        guides.push((root.at, guide(root, traits, &cut, &skull, &mut rng)));
    }
    let mut strands: Vec<Strand> = roots.iter().map(|r| follow(r, &guides, &cut, traits, &skull, &mut rng)).collect();
    if traits.hair == HairStyle::Bun {
        strands.extend((0..1800).map(|_| bun_strand(&mut rng)));
    }
    strands
}

/// Roots spread evenly over the scalp in proportion to its mask.
fn scatter(model: &HeadModel, rest: &[V3], traits: &Traits, n: usize, rng: &mut Rng) -> Vec<Root> {
    let mut sum = 0.0;
    let mut areas = Vec::new();
    for (t, surface) in model.triangles.iter().zip(&model.surfaces) {
        if !matches!(surface, Surface::Face | Surface::BackHead) {
            continue;
        }
        let [a, b, c] = t.map(|v| model.neutral[v as usize]);
        let mask = scalp_mask((a + b + c) / 3.0, traits);
        if mask > 0.02 {
            sum += (b - a).cross(c - a).length() * mask.sqrt();
            areas.push((sum, *t));
        }
    }
    (0..n)
        .filter_map(|_| {
            let at = rng.unit() * sum;
            let t = areas[areas.partition_point(|a| a.0 < at).min(areas.len() - 1)].1;
            let (mut u, mut v) = (rng.unit(), rng.unit());
            if u + v > 1.0 {
                (u, v) = (1.0 - u, 1.0 - v);
            }
            let mix = |p: &[V3]| {
                let [a, b, c] = t.map(|i| p[i as usize]);
                (a + (b - a) * u + (c - a) * v, (b - a).cross(c - a).unit())
            };
            let (rest_at, _) = mix(&model.neutral);
            let (at, normal) = mix(rest);
            // The hairline thins out instead of ending.
            (scalp_mask(rest_at, traits) > 0.55 * rng.unit()).then_some(Root { at, normal, rest: rest_at })
        })
        .collect()
}

fn guide(root: &Root, traits: &Traits, cut: &Cut, skull: &Skull, rng: &mut Rng) -> Vec<V3> {
    let length_cm = length_at(root.rest, traits) * rng.range(0.82, 1.1);
    let layer_cm = layer_at(traits) * rng.unit();
    let n = cut.n_points;
    let step = length_cm / (n - 1) as f32;
    let mut points = vec![root.at];
    let mut p = root.at;
    let lift = match traits.hair {
        HairStyle::Curly => 1.2,
        HairStyle::Buzz => 1.0,
        HairStyle::Crop => 0.6,
        _ => 0.35,
    };
    let mut dir = (root.normal * lift + flow(root, p, 0.0, traits)).unit();
    for i in 1..n {
        let t = i as f32 / (n - 1) as f32;
        dir = dir.lerp(flow(root, p, t, traits), if traits.hair == HairStyle::Curly { 0.12 } else { 0.42 }).unit();
        let mut next = skull.lift(p + dir * step, 0.12 + layer_cm * (4.0 * t).min(1.0));
        next = shoulder_lift(keep_off_face(next, root, traits), 0.5 + layer_cm);
        if !matches!(traits.hair, HairStyle::Curly | HairStyle::Crop | HairStyle::Buzz) && next.y > 1.0 {
            // Hair has weight: what stands off the head settles back towards its coat.
            let (out, height) = skull.height(next);
            next = next - out * (0.45 * (height - 0.4 - layer_cm).max(0.0));
        }
        if traits.hair == HairStyle::Bun && (next - BUN).length() < 3.0 {
            next = BUN + (next - BUN).unit() * 3.0;
        }
        dir = (next - p).unit();
        p = next;
        points.push(p);
    }
    points
}

/// Full length of hair grown at a place of the average head, cm.
fn length_at(p: V3, traits: &Traits) -> f32 {
    use HairStyle::{Bald, Bob, Bun, Buzz, Crop, Curly, Fringe, Long, LongWavy, SidePart, SlickBack};
    let top = smoothstep(5.5, 10.5, p.y);
    let sides_short = |long: f32, short: f32| short + (long - short) * top;
    match traits.hair {
        Bald => 0.0,
        Buzz => 0.45,
        Crop => sides_short(3.0, 1.1),
        SidePart => {
            if traits.feminine > 0.5 {
                12.0
            } else {
                sides_short(7.5, 1.6)
            }
        }
        SlickBack => sides_short(9.0, 3.0),
        Fringe if traits.feminine > 0.5 => {
            if is_fringe(p) {
                5.9
            } else {
                20.0
            }
        }
        Fringe => sides_short(5.8, 1.8),
        Bob => 19.0 - 0.35 * (p.y - 6.0),
        Long => 37.0,
        LongWavy => 40.0,
        Curly => {
            if traits.feminine > 0.5 {
                9.5
            } else {
                sides_short(6.0, 2.2)
            }
        }
        Bun => ((p - BUN).length() * 1.15).max(3.0),
    }
}

/// Whether hair rooted here falls over the forehead.
fn is_fringe(rest: V3) -> bool {
    rest.z > 3.0 && rest.y > 8.0 && rest.x.abs() < 5.6
}

/// Depth of the coat of hair over the scalp, cm.
fn layer_at(traits: &Traits) -> f32 {
    use HairStyle::{Bob, Buzz, Crop, Curly, Fringe, Long, LongWavy, SidePart, SlickBack};
    match traits.hair {
        Buzz => 0.1,
        Crop => 0.8,
        SidePart => 1.7,
        SlickBack => 1.1,
        Fringe => 1.2,
        Bob | Long => 1.7,
        LongWavy => 2.0,
        Curly => 2.2,
        _ => 0.5,
    }
}

/// Where hair wants to go from `p`, a unit vector.
fn flow(root: &Root, p: V3, t: f32, traits: &Traits) -> V3 {
    use HairStyle::{Bob, Bun, Buzz, Crop, Curly, Fringe, Long, LongWavy, SidePart, SlickBack};
    let down = v3(0.0, -1.0, 0.0);
    let tangent = |d: V3| (d - root.normal * d.dot(root.normal)).unit();
    let from_crown = tangent(root.rest - CROWN);
    let wander = v3(noise(root.rest * 0.5, 7), noise(root.rest * 0.5, 8), noise(root.rest * 0.5, 9)) * 0.35;
    let side = (root.rest.x - traits.parting_cm).signum();
    let part = |back: f32| {
        let fall = smoothstep(0.10, 0.35, t).max(smoothstep(9.5, 6.0, root.rest.y));
        (tangent(v3(side, 0.1, -back)) * (1.0 - fall) + down * fall + v3(-0.07 * side, 0.0, -0.25 * back) * fall).unit()
    };
    let d = match traits.hair {
        Crop | Buzz => from_crown * 0.75 + root.normal * (0.75 * (1.0 - t)) + wander,
        SidePart if traits.feminine > 0.5 => part(0.7) + wander * 0.5,
        SidePart => {
            let top = smoothstep(7.0, 10.0, root.rest.y);
            (tangent(v3(side, 0.0, -0.35)) + root.normal * (0.6 - 1.2 * t)) * top
                + (tangent(down + v3(0.0, 0.0, -0.5)) + root.normal * 0.15) * (1.0 - top)
                + wander * 0.6
        }
        SlickBack => {
            let fall = smoothstep(0.5, 1.0, t) * 0.6;
            tangent(v3(0.0, -0.25, -1.0)) + root.normal * (0.30 - 0.75 * t) + down * fall + wander * 0.3
        }
        Fringe if is_fringe(root.rest) => {
            tangent(v3(0.25 * root.rest.x.signum() * root.rest.x.abs().min(2.0), 0.0, 1.0)) * (1.0 - t)
                + down * (0.25 + 1.6 * t)
                + wander * 0.4
        }
        Fringe if traits.feminine > 0.5 => part(0.5),
        Fringe => from_crown + root.normal * (0.3 * (1.0 - t)) + wander,
        Bob => part(0.35) + v3(-0.25 * p.x.signum(), 0.0, 0.15) * smoothstep(0.75, 1.0, t),
        Long | LongWavy => part(0.5) + wander * 0.3,
        Curly => root.normal * (1.0 - 0.5 * t) + down * (0.25 + 0.75 * t) + wander,
        Bun => (BUN - p).unit() + root.normal * (0.2 * (1.0 - t)),
        HairStyle::Bald => down,
    };
    d.unit()
}

/// Draws long hair aside so that it frames the face instead of covering it.
fn keep_off_face(p: V3, root: &Root, traits: &Traits) -> V3 {
    let fringe = traits.hair == HairStyle::Fringe && is_fringe(root.rest);
    if fringe || p.z < 1.0 || p.y > 9.0 {
        return p;
    }
    let keep = curve(&[(-8.0, 7.2), (0.0, 7.6), (5.0, 7.4), (9.0, 4.4)], p.y) * smoothstep(1.0, 4.0, p.z);
    let side = if p.x.abs() < 1.0 { (root.rest.x - traits.parting_cm).signum() } else { p.x.signum() };
    if p.x * side < keep { v3(side * keep, p.y, p.z.min(6.0)) } else { v3(p.x, p.y, p.z.min(7.0)) }
}

/// A strand that starts at its own root and joins one of the nearest guides.
fn follow(root: &Root, guides: &[(V3, Vec<V3>)], cut: &Cut, traits: &Traits, skull: &Skull, rng: &mut Rng) -> Strand {
    let mut near = [(f32::MAX, 0usize); 3];
    for (i, g) in guides.iter().enumerate() {
        let d = (g.0 - root.at).dot(g.0 - root.at);
        if d < near[2].0 {
            near[2] = (d, i);
            near.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
    }
    let pick = near[[0, 0, 0, 1, 1, 2][rng.below(6)]].1;
    let (from, path) = &guides[pick];
    let offset = root.at - *from;
    let length = path.windows(2).map(|w| (w[1] - w[0]).length()).sum::<f32>();
    let keep = rng.range(0.75, 1.0);
    let phase = pick as f32 * 2.4 + rng.range(-0.5, 0.5);
    let drift = |t: f32| {
        v3(
            1.3 * noise(v3(pick as f32 * 3.1, t * 2.2, 0.0), 51),
            0.3 * noise(v3(pick as f32 * 3.1, t * 2.2, 5.0), 52),
            noise(v3(pick as f32 * 3.1, t * 2.2, 9.0), 53),
        ) * (0.045 * length * t)
    };
    let stray = v3(rng.normal(), rng.normal(), rng.normal()) * cut.frizz_cm * if rng.chance(0.06) { 3.0 } else { 1.0 };
    let n = path.len();
    let points = (0..n)
        .map(|i| {
            let t = i as f32 / (n - 1) as f32;
            let at = t * keep * (n - 1) as f32;
            let k = (at as usize).min(n - 2);
            let mut p = path[k].lerp(path[k + 1], at - k as f32) + offset * (1.0 - cut.clump * smoothstep(0.0, 0.9, t));
            let along = (path[k + 1] - path[k]).unit();
            let u = along.cross(v3(0.3, 0.2, 1.0)).unit();
            let v = along.cross(u);
            let turn = phase + t * keep * length * cut.curl_turns_per_cm * std::f32::consts::TAU;
            let swing = cut.curl_cm * (4.0 * t).min(1.0);
            p = p + u * (swing * turn.cos()) + v * (swing * turn.sin()) + stray * t + drift(t);
            if i == 0 { root.at } else { skull.lift(p, 0.06 + 0.05 * t) }
        })
        .collect();
    let streak = 0.16 * noise(root.rest * 1.3, 91) + 0.12 * rng.normal();
    let lifted = 1.0 + 0.35 * bell(rng.normal() - 1.8, 0.5) * (1.0 - traits.melanin);
    Strand { points, width_cm: cut.width_cm * rng.range(0.8, 1.25), shade: ((1.0 + streak) * lifted).clamp(0.5, 1.7) }
}

fn bun_strand(rng: &mut Rng) -> Strand {
    let radius = 2.7 + 0.35 * rng.unit();
    let (tilt, start) = (rng.range(-0.9, 0.9), rng.range(0.0, std::f32::consts::TAU));
    let points = (0..12)
        .map(|i| {
            let a = start + i as f32 * 0.28;
            let ring = (1.0 - 0.35 * tilt * tilt).sqrt() * radius;
            BUN + v3(a.cos() * ring, a.sin() * ring, tilt * radius * 0.7 - 0.6)
        })
        .collect();
    Strand { points, width_cm: 0.07, shade: rng.range(0.75, 1.2) }
}
