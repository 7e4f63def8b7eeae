//! A synthetic person: all geometry and textures that stay the same from frame to frame.

use super::{
    clothes::{self, Mesh},
    fuzz::{self, Lash, RootedHair},
    hair::{self, Strand},
    head_model::{HeadModel, SCLERA_VERTICES, Surface},
    landmarks::LandmarkTable,
    math::{V3, bell, smoothstep},
    openness,
    rig::{self, Rig},
    skin::{Chart, SkinCharts},
    traits::{Garment, Traits},
};

/// The head model with the tables that all people share.
pub struct Studio {
    pub(crate) model: HeadModel,
    pub(crate) table: LandmarkTable,
    pub(crate) charts: SkinCharts,
    pub(crate) rig: Rig,
}

impl Studio {
    /// Loads the head model and prepares the shared tables.
    ///
    /// # Errors
    /// When the head model is missing or of another shape.
    pub fn load(path: &std::path::Path) -> Result<Self, crate::error::Error> {
        let model = HeadModel::load(path)?;
        let table = LandmarkTable::embedded()?;
        let charts = SkinCharts::new(&model, &table);
        let rig = Rig::new(&model);
        Ok(Self { model, table, charts, rig })
    }
}

/// A person, ready to be posed and drawn.
pub struct Person {
    pub(crate) seed: u64,
    pub(crate) traits: Traits,
    /// The head model's vertices with this identity and a neutral face.
    pub rest: Vec<V3>,
    pub(crate) skin: [Chart; 2],
    pub(crate) strands: Vec<Strand>,
    pub(crate) fuzz: Vec<RootedHair>,
    pub(crate) lashes: Vec<Lash>,
    pub(crate) garment: Mesh,
    pub(crate) glasses: Mesh,
    /// Head, garment and glasses as one list; surfaces and parts follow its order.
    pub triangles: Vec<[u32; 3]>,
    pub(crate) surfaces: Vec<Surface>,
    /// How much each vertex (head, garment, glasses) follows the head rather than the torso.
    pub weights: Vec<f32>,
    /// Vertices that must stay outside an eyeball: vertex, side, least distance from its centre (cm).
    pub lid_vertices: Vec<(u32, u8, f32)>,
    /// Sky visibility of each vertex of the head, 0..1.
    pub openness: Vec<f32>,
    /// Sky visibility of each strand's points.
    pub strand_openness: Vec<Vec<f32>>,
}

impl Person {
    /// Makes the person that `seed` stands for.
    pub fn sample(seed: u64, studio: &Studio) -> Self {
        Self::from_traits(Traits::sample(seed), seed, studio)
    }

    /// Makes a person of given traits; `seed` decides what they leave open.
    pub fn from_traits(traits: Traits, seed: u64, studio: &Studio) -> Self {
        let model = &studio.model;
        let mut rest = model.neutral.clone();
        for (mode, weight) in model.identity_modes.iter().zip(&traits.identity) {
            rest.iter_mut().zip(mode).for_each(|(p, d)| *p += *d * *weight);
        }
        // All necks end alike, so that every garment fits.
        for (p, average) in rest.iter_mut().zip(&model.neutral) {
            *p = p.lerp(*average, smoothstep(-8.0, -12.5, average.y));
        }
        soften(&mut rest, traits.feminine);
        widen_mouth(studio, &mut rest);
        flatten_corneas(&mut rest);
        rest.iter_mut().for_each(|p| *p = clothes::under_cloth(*p, traits.garment));
        let skin = studio.charts.bake(&traits, seed);
        let strands = hair::grow(model, &rest, &traits, seed);
        let fuzz = fuzz::grow(model, &studio.charts, &traits, seed);
        let lashes = fuzz::lashes(model, &traits, seed);
        let garment = clothes::sew(&traits, seed);
        let eyes = [0, 1].map(|side| HeadModel::globe(&rest, side).0);
        let glasses = clothes::glasses(&traits, eyes, studio.table.points[168].at(&rest), seed);
        let mut triangles = model.triangles.clone();
        let surfaces_of_head = &model.surfaces;
        // The garment stands for the bust's shoulders, which are left out by collapsing their triangles.
        for (t, _) in triangles.iter_mut().zip(surfaces_of_head).filter(|(_, s)| **s <= Surface::BackHead) {
            if t.iter().any(|v| is_shoulder(model.neutral[*v as usize], traits.garment)) {
                *t = [t[0]; 3];
            }
        }
        let mut surfaces = surfaces_of_head.clone();
        let mut base = rest.len() as u32;
        for (mesh, surface) in [(&garment, Surface::Cloth), (&glasses, Surface::Glasses)] {
            triangles.extend(mesh.triangles.iter().map(|t| t.map(|v| v + base)));
            surfaces.extend(mesh.triangles.iter().map(|_| surface));
            base += mesh.vertices.len() as u32;
        }
        // A collar gives way to the neck; a turtleneck clings to it.
        let cling = if traits.garment == Garment::Turtleneck { 1.0 } else { 0.6 };
        let weights = rest
            .iter()
            .map(|p| rig::neck_weight(*p))
            .chain(garment.vertices.iter().map(|p| cling * rig::neck_weight(*p)))
            .chain(glasses.vertices.iter().map(|_| 1.0))
            .collect();
        let lid_vertices = rig::lid_vertices(model, &rest);
        let mut person = Self {
            seed,
            traits,
            rest,
            skin,
            strands,
            fuzz,
            lashes,
            garment,
            glasses,
            triangles,
            surfaces,
            weights,
            lid_vertices,
            openness: Vec::new(),
            strand_openness: Vec::new(),
        };
        let vertices = person.rest_vertices();
        (person.openness, person.strand_openness) = openness::bake(&vertices, &person.triangles, &person.strands);
        person
    }

    /// All vertices in the rest pose: head, garment, glasses.
    pub fn rest_vertices(&self) -> Vec<V3> {
        self.rest.iter().chain(&self.garment.vertices).chain(&self.glasses.vertices).copied().collect()
    }

    /// Part number of a triangle of the garment or glasses.
    pub fn part_of(&self, triangle: usize) -> u8 {
        let from_garment = triangle - (self.triangles.len() - self.garment.parts.len() - self.glasses.parts.len());
        self.garment.parts.get(from_garment).copied().unwrap_or(clothes::BODY)
    }
}

/// Whether a point of the average bust lies under every garment.
fn is_shoulder(p: V3, garment: Garment) -> bool {
    p.x.abs() > 6.6 && p.y < -10.7 || p.z < -5.5 && p.y < -12.5 || garment == Garment::Turtleneck && p.y < -12.5
}

/// Keeps the mouth at a natural width: random modes also make mouths so narrow that they look pursed.
fn widen_mouth(studio: &Studio, rest: &mut [V3]) {
    let at = |l: usize, p: &[V3]| studio.table.points[l].at(p).x;
    let share = |p: &[V3]| (at(291, p) - at(61, p)) / (at(263, p) - at(33, p) + 0.35 * (at(454, p) - at(234, p)));
    let ratio = share(rest) / share(&studio.model.neutral);
    let stretch = ratio.clamp(1.04, 1.14) / ratio - 1.0;
    let middle = studio.table.points[61].at(rest).lerp(studio.table.points[291].at(rest), 0.5);
    for p in rest {
        let near = bell(p.y - middle.y, 1.7) * smoothstep(2.0, 6.5, p.z);
        p.x = middle.x + (p.x - middle.x) * (1.0 + stretch * near * smoothstep(7.5, 3.5, p.x.abs()));
    }
}

/// Takes the bulge off the eyeballs: it is shaded, and a closing lid would cut it.
fn flatten_corneas(rest: &mut [V3]) {
    for side in 0..2 {
        let (centre, radius) = HeadModel::globe(rest, side);
        for p in &mut rest[SCLERA_VERTICES[side].clone()] {
            let out = *p - centre;
            *p = centre + out * ((radius + 0.06) / out.length()).min(1.0);
        }
    }
}

/// A narrower jaw and neck for feminine people, a slightly broader one for others: identity modes hardly tell them apart.
fn soften(rest: &mut [V3], feminine: f32) {
    let by = feminine - 0.35;
    for p in rest {
        let neck = smoothstep(-6.5, -10.0, p.y) * smoothstep(-16.5, -13.0, p.y);
        let jaw = smoothstep(0.5, -6.0, p.y) * smoothstep(-12.0, -8.0, p.y);
        let narrow = 1.0 - by * (0.13 * neck + 0.075 * jaw);
        p.x *= narrow;
        p.z = (p.z + 1.0) * (1.0 - by * 0.10 * neck) - 1.0;
    }
}
