//! What makes one synthetic person: everything that a seed decides before geometry is made.

use super::{
    math::{V3, curve, v3},
    random::Rng,
};

/// How the hair of the head is worn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HairStyle {
    Bald,
    Buzz,
    Crop,
    SidePart,
    SlickBack,
    Fringe,
    Bob,
    Long,
    LongWavy,
    Curly,
    Bun,
}

/// Hair on the lower face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beard {
    None,
    Stubble,
    Moustache,
    Full,
}

/// What is worn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garment {
    Crew,
    VNeck,
    Turtleneck,
    Shirt,
    Hoodie,
    Blazer,
}

/// Shape of the spectacle rims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rims {
    Round,
    Square,
    Thin,
}

/// The sampled description of a person.
#[derive(Clone, Debug)]
pub struct Traits {
    pub age_years: f32,
    /// 0 masculine to 1 feminine: decides lashes, brows, beard odds and hair styles.
    pub feminine: f32,
    pub identity: Vec<f32>,
    /// 0 palest to 1 darkest.
    pub melanin: f32,
    /// 0 sallow to 1 rosy.
    pub redness: f32,
    pub freckles: f32,
    pub moles: f32,
    pub lip_tint: f32,
    pub oiliness: f32,
    pub iris: V3,
    pub iris_inner: V3,
    pub hair: HairStyle,
    pub hair_colour: V3,
    pub hair_curl: f32,
    pub hairline_recess: f32,
    pub parting_cm: f32,
    pub brow_density: f32,
    /// How far the upper lid hangs at rest, as a share of a blink.
    pub lid_rest: f32,
    pub brow_height: f32,
    pub beard: Beard,
    pub rims: Option<Rims>,
    pub rim_colour: V3,
    pub garment: Garment,
    pub cloth: V3,
    pub cloth_second: V3,
}

const N_IDENTITY: usize = 100;

fn srgb(r: u8, g: u8, b: u8) -> V3 {
    v3(f32::from(r), f32::from(g), f32::from(b)).map(|c| (c / 255.0).powf(2.2))
}

/// Linear skin colour between six measured tones.
pub(super) fn skin_tone(melanin: f32, redness: f32) -> V3 {
    let tones = [
        srgb(228, 193, 176),
        srgb(217, 177, 157),
        srgb(202, 158, 137),
        srgb(170, 124, 102),
        srgb(124, 86, 69),
        srgb(80, 56, 47),
    ];
    let at = melanin.clamp(0.0, 1.0) * 4.999;
    let i = at as usize;
    let tone = tones[i].lerp(tones[i + 1], at - i as f32);
    tone * v3(1.0, 1.03 - 0.06 * redness, 1.03 - 0.07 * redness)
}

impl Traits {
    /// Draws a person.
    pub fn sample(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 1);
        let r = &mut rng;
        let age_years = 19.0 + 52.0 * r.unit() * (0.35 + 0.65 * r.unit());
        let feminine = if r.chance(0.5) { r.range(0.75, 1.0) } else { r.range(0.0, 0.25) };
        let woman = feminine > 0.5;
        let identity = (0..N_IDENTITY).map(|k| r.normal() * if k < 4 { 0.65 } else { 0.72 }).collect();
        let melanin = r.unit();
        let fair = melanin < 0.35;
        let freckles = if melanin < 0.5 && r.chance(0.25) { r.range(0.3, 1.0) } else { 0.0 };
        let hair = pick_hair(r, woman, age_years, melanin);
        let natural = curve(&[(38.0, 0.0), (60.0, 0.55), (75.0, 0.95)], age_years + 6.0 * r.normal());
        let grey = if woman && r.chance(0.55) { 0.0 } else { natural };
        let hair_colour = pick_hair_colour(r, fair, melanin).lerp(srgb(178, 174, 168), grey);
        let beard = match r.unit() {
            _ if woman => Beard::None,
            x if x < 0.42 => Beard::None,
            x if x < 0.72 => Beard::Stubble,
            x if x < 0.82 => Beard::Moustache,
            _ => Beard::Full,
        };
        let rims = match r.unit() {
            x if x < 0.09 => Some(Rims::Round),
            x if x < 0.17 => Some(Rims::Square),
            x if x < 0.24 => Some(Rims::Thin),
            _ => None,
        };
        let garment = match r.unit() {
            x if x < 0.25 => Garment::Crew,
            x if x < 0.40 => Garment::VNeck,
            x if x < 0.52 => Garment::Turtleneck,
            x if x < 0.70 => Garment::Shirt,
            x if x < 0.84 => Garment::Hoodie,
            _ => Garment::Blazer,
        };
        let (iris, iris_inner) = pick_iris(r, melanin);
        Self {
            age_years,
            feminine,
            identity,
            melanin,
            redness: r.unit(),
            freckles,
            moles: r.unit() * 0.6,
            lip_tint: if woman { r.range(0.3, 1.0) } else { r.range(0.0, 0.4) },
            oiliness: r.range(0.2, 0.9),
            iris,
            iris_inner,
            hair,
            hair_colour,
            hair_curl: if hair == HairStyle::Curly { r.range(0.6, 1.0) } else { r.range(0.0, 0.35) + 0.3 * melanin },
            hairline_recess: if woman {
                r.range(0.0, 0.3)
            } else {
                r.unit() * curve(&[(20.0, 0.3), (70.0, 1.5)], age_years)
            },
            parting_cm: r.range(1.0, 3.4) * if r.chance(0.5) { -1.0 } else { 1.0 },
            lid_rest: r.range(0.0, 0.07),
            brow_density: r.range(0.55, 1.0) * if woman { 0.9 } else { 1.1 },
            brow_height: if woman { r.range(0.5, 0.75) } else { r.range(0.7, 1.05) },
            beard,
            rims,
            rim_colour: [srgb(20, 18, 18), srgb(72, 42, 24), srgb(150, 130, 90), srgb(40, 44, 60)][r.below(4)],
            garment,
            cloth: pick_cloth(r),
            cloth_second: [srgb(230, 230, 228), srgb(188, 204, 224), srgb(40, 42, 48)][r.below(3)],
        }
    }
}

fn pick_hair(r: &mut Rng, woman: bool, age_years: f32, melanin: f32) -> HairStyle {
    use HairStyle::{Bald, Bob, Bun, Buzz, Crop, Curly, Fringe, Long, LongWavy, SidePart, SlickBack};
    if !woman && r.chance(curve(&[(28.0, 0.02), (65.0, 0.3)], age_years)) {
        return Bald;
    }
    if melanin > 0.7 && r.chance(0.45) {
        return if woman || r.chance(0.4) { Curly } else { Buzz };
    }
    if woman {
        [Bob, Bob, Long, Long, LongWavy, LongWavy, Fringe, Bun, Curly, SidePart][r.below(10)]
    } else {
        [Buzz, Crop, Crop, Crop, SidePart, SidePart, SlickBack, Fringe, Curly, Long][r.below(10)]
    }
}

fn pick_hair_colour(r: &mut Rng, fair: bool, melanin: f32) -> V3 {
    let dark = [srgb(22, 17, 15), srgb(30, 22, 18), srgb(44, 30, 22), srgb(52, 36, 26)];
    let light = [
        srgb(70, 46, 30),
        srgb(96, 66, 42),
        srgb(128, 92, 58),
        srgb(168, 132, 88),
        srgb(120, 60, 32),
        srgb(56, 38, 28),
    ];
    if fair || (melanin < 0.55 && r.chance(0.35)) { light[r.below(6)] } else { dark[r.below(4)] }
}

fn pick_iris(r: &mut Rng, melanin: f32) -> (V3, V3) {
    let brown = [
        (srgb(62, 40, 26), srgb(86, 56, 34)),
        (srgb(44, 29, 20), srgb(62, 41, 26)),
        (srgb(80, 56, 36), srgb(106, 76, 46)),
    ];
    let light = [
        (srgb(88, 112, 134), srgb(140, 150, 140)),
        (srgb(104, 122, 116), srgb(138, 120, 80)),
        (srgb(92, 104, 66), srgb(134, 106, 56)),
        (srgb(112, 124, 132), srgb(150, 152, 146)),
    ];
    if melanin < 0.4 && r.chance(0.6) { light[r.below(4)] } else { brown[r.below(3)] }
}

fn pick_cloth(r: &mut Rng) -> V3 {
    let cloths = [
        srgb(38, 44, 62),
        srgb(48, 50, 54),
        srgb(120, 124, 130),
        srgb(196, 190, 178),
        srgb(122, 40, 42),
        srgb(52, 84, 78),
        srgb(84, 104, 138),
        srgb(224, 222, 218),
        srgb(30, 30, 32),
        srgb(150, 112, 70),
        srgb(98, 74, 96),
        srgb(92, 100, 66),
        srgb(190, 150, 150),
        srgb(60, 96, 140),
    ];
    cloths[r.below(14)]
}
