//! How the head model is moved: which shapes, which vertices, how much of each.

use super::{
    head_model::{HeadModel, Surface},
    math::{V3, smoothstep},
};

pub(super) use crate::geometry::COEFFICIENT_NAMES as COEFFICIENTS;

/// Index of a coefficient by name.
pub(super) fn coefficient(name: &str) -> Option<usize> {
    COEFFICIENTS.iter().position(|c| *c == name)
}

/// Factors on the model's shapes, and exponents on the coefficients, that bring the tracker's reading of a render near the coefficient that was set.
const GAINS: [(&str, f32); 4] = [("browInnerUp", 2.2), ("browOuterUp", 1.4), ("browDown", 1.6), ("eyeLookDown", 0.6)];

/// Which shapes of the head model make each of the 52 coefficients.
pub(crate) struct Rig {
    /// By coefficient: numbers of the model's shapes and their factors.
    pub(super) shapes: Vec<Vec<(usize, f32)>>,
}

impl Rig {
    pub(crate) fn new(model: &HeadModel) -> Self {
        let shapes = COEFFICIENTS
            .iter()
            .map(|name| {
                let own = match *name {
                    "browInnerUp" => vec!["browInnerUp_L".to_owned(), "browInnerUp_R".to_owned()],
                    "cheekPuff" => vec!["cheekPuff_L".to_owned(), "cheekPuff_R".to_owned()],
                    "jawLeft" | "jawRight" | "mouthLeft" | "mouthRight" => vec![(*name).to_owned()],
                    _ => match (name.strip_suffix("Left"), name.strip_suffix("Right")) {
                        (Some(stem), _) => vec![format!("{stem}_L")],
                        (_, Some(stem)) => vec![format!("{stem}_R")],
                        _ => vec![(*name).to_owned()],
                    },
                };
                let gain = GAINS.iter().find(|g| name.starts_with(g.0)).map_or(1.0, |g| g.1);
                let mut shapes: Vec<(usize, f32)> =
                    own.iter().filter_map(|n| model.shape_index(n)).map(|i| (i, gain)).collect();
                if *name == "mouthFunnel" {
                    // The model's funnel only protrudes; lips that round also part.
                    let parting = [
                        ("mouthUpperUp_L", 0.35),
                        ("mouthUpperUp_R", 0.35),
                        ("mouthLowerDown_L", 0.5),
                        ("mouthLowerDown_R", 0.5),
                    ];
                    shapes.iter_mut().for_each(|s| s.1 = 0.62);
                    shapes.extend(parting.iter().filter_map(|(n, g)| Some((model.shape_index(n)?, *g))));
                }
                shapes
            })
            .collect();
        Self { shapes }
    }
}

/// How much a point of the rest pose follows the head: the neck bends between torso and jaw.
#[inline]
pub(super) fn neck_weight(p: V3) -> f32 {
    smoothstep(-14.8, -6.5, p.y + 0.45 * (p.z - 2.0).clamp(0.0, 8.0))
}

/// How much hair follows the head: its tips rest on the shoulders.
#[inline]
pub(super) fn hair_weight(p: V3) -> f32 {
    smoothstep(-20.0, -5.0, p.y)
}

/// Vertices around the eyes with the least distance from the globe's centre that they keep, cm.
pub(super) fn lid_vertices(model: &HeadModel, rest: &[V3]) -> Vec<(u32, u8, f32)> {
    let mut out = Vec::new();
    let mut is_skin = vec![false; rest.len()];
    for (t, _) in model.triangles.iter().zip(&model.surfaces).filter(|(_, s)| **s == Surface::Face) {
        t.iter().for_each(|v| is_skin[*v as usize] = true);
    }
    model.lash_uv.iter().for_each(|(v, _)| is_skin[*v as usize] = true);
    for side in 0..2 {
        let (centre, radius) = HeadModel::globe(rest, side);
        for (v, p) in rest.iter().enumerate().filter(|(v, _)| is_skin[*v]) {
            let d = (*p - centre).length();
            if d < radius + 1.3 && p.z > centre.z {
                out.push((v as u32, side as u8, d.min(radius + 0.16)));
            }
        }
    }
    out
}
