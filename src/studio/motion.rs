//! Motion that looks alive: speech, blinks, glances, brows, smiles and head turns as functions of time.
//!
//! A seed decides lists of events once; the state at any time follows from them, so frames may be drawn in any order.

use super::{
    math::{V3, bell, lerp, smoothstep, v3},
    noise::noise,
    pose::FaceState,
    random::Rng,
    rig::coefficient,
};

/// Length of the prepared event lists; later times repeat them.
pub const LOOP_SECS: f32 = 120.0;

/// How lively a motion is.
#[derive(Clone, Copy, Debug)]
pub struct Liveliness {
    /// Share of time spent in phrases of speech.
    pub speech: f32,
    /// Largest head turn, radians: yaw, pitch, roll.
    pub head_rads: [f32; 3],
    /// Extreme faces a minute: wide mouth, pucker, wink and the like.
    pub extremes_a_minute: f32,
    /// Smiles a minute.
    pub smiles_a_minute: f32,
    /// How far the stronger of two muscles wins, 0 to 1, when lips are to be rounded and drawn wide at once: 1 is alive.
    pub antagonism: f32,
}

/// A rise to targets, a hold and a fall.
#[derive(Clone, Debug)]
struct Event {
    start_secs: f32,
    rise_secs: f32,
    hold_secs: f32,
    fall_secs: f32,
    targets: Vec<(usize, f32)>,
}

/// A speech sound around its instant.
#[derive(Clone, Debug)]
struct Sound {
    at_secs: f32,
    spread_secs: f32,
    viseme: usize,
    strength: f32,
}

/// The motion of a face over time.
#[derive(Clone, Debug)]
pub struct Motion {
    /// What it was made from.
    pub seed: u64,
    lively: Liveliness,
    sounds: Vec<Sound>,
    visemes: Vec<Vec<(usize, f32)>>,
    events: Vec<Event>,
    glances: Vec<(f32, [f32; 2])>,
    tempo: f32,
}

type Targets = &'static [(&'static str, f32)];

/// Mouth shapes of speech sounds; the first six are vowels.
const VISEMES: [Targets; 13] = [
    &[("jawOpen", 0.52), ("mouthLowerDown", 0.25), ("mouthUpperUp", 0.14)],
    &[
        ("jawOpen", 0.36),
        ("mouthStretch", 0.22),
        ("mouthSmile", 0.10),
        ("mouthLowerDown", 0.28),
        ("mouthUpperUp", 0.18),
    ],
    &[
        ("jawOpen", 0.14),
        ("mouthStretch", 0.32),
        ("mouthSmile", 0.22),
        ("mouthLowerDown", 0.30),
        ("mouthUpperUp", 0.18),
    ],
    &[("jawOpen", 0.34), ("mouthFunnel", 0.45), ("mouthPucker", 0.10)],
    &[("jawOpen", 0.04), ("mouthPucker", 0.85)],
    &[("jawOpen", 0.22), ("mouthFunnel", 0.22), ("mouthLowerDown", 0.12)],
    &[("mouthPress", 0.42), ("mouthRollLower", 0.24), ("mouthRollUpper", 0.18)],
    &[("mouthPress", 0.30), ("mouthRollLower", 0.15)],
    &[("jawOpen", 0.08), ("mouthRollLower", 0.36), ("mouthUpperUp", 0.26)],
    &[("jawOpen", 0.20), ("mouthLowerDown", 0.22), ("mouthUpperUp", 0.08)],
    &[("jawOpen", 0.08), ("mouthStretch", 0.22), ("mouthLowerDown", 0.26), ("mouthUpperUp", 0.14)],
    &[("jawOpen", 0.10), ("mouthFunnel", 0.34), ("mouthUpperUp", 0.18), ("mouthLowerDown", 0.18)],
    &[("jawOpen", 0.16), ("mouthLowerDown", 0.10)],
];

/// What brows do while one talks.
const BROWS: [Targets; 4] = [
    &[("browInnerUp", 0.9), ("browOuterUp", 0.7)],
    &[("browInnerUp", 1.0)],
    &[("browDown", 0.7), ("eyeSquint", 0.2)],
    &[("browOuterUp?", 0.8), ("browInnerUp", 0.6)],
];

/// Faces at the edge of what a face can do; `?` stands for a random side.
const EXTREMES: [Targets; 18] = [
    &[("mouthPucker", 0.9)],
    &[("mouthPucker", 1.0), ("browInnerUp", 0.5)],
    &[("eyeBlink", 1.0)],
    &[("eyeBlink", 1.0), ("cheekSquint", 0.8), ("eyeSquint", 0.8), ("browDown", 0.6)],
    &[("jawOpen", 1.0), ("mouthLowerDown", 0.2)],
    &[("jawOpen", 0.9), ("mouthStretch", 0.7), ("eyeWide", 0.8), ("browInnerUp", 0.9), ("browOuterUp", 0.7)],
    &[("mouthPucker", 1.0)],
    &[("mouthFunnel", 0.9), ("jawOpen", 0.25)],
    &[("eyeBlink?", 1.0), ("cheekSquint?", 0.7), ("mouthSmile?", 0.5)],
    &[("browDown", 1.0), ("noseSneer", 0.7), ("eyeSquint", 0.6)],
    &[("browInnerUp", 1.0), ("browOuterUp", 0.9), ("eyeWide", 0.6)],
    &[("cheekPuff", 0.9), ("mouthPress", 0.3)],
    &[("jawLeft", 0.8)],
    &[("mouthLeft", 0.9)],
    &[("mouthRight", 0.9)],
    &[("mouthFrown", 0.9), ("mouthShrugLower", 0.6), ("browInnerUp", 0.5)],
    &[("mouthSmile", 1.0), ("cheekSquint", 0.8), ("jawOpen", 0.25), ("mouthUpperUp", 0.4)],
    &[("mouthRollLower", 0.8), ("mouthRollUpper", 0.8), ("mouthPress", 0.5)],
];

/// What rounds the lips, and what draws them wide.
const ROUNDING: [&str; 2] = ["mouthFunnel", "mouthPucker"];
const WIDENING: [&str; 4] = ["mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight"];

/// Expands names without a side to both sides.
fn targets(list: &[(&str, f32)], one_side: &str) -> Vec<(usize, f32)> {
    let mut out = Vec::new();
    for (name, value) in list {
        let names = match name.strip_suffix('?') {
            Some(stem) => vec![format!("{stem}{one_side}")],
            None => vec![(*name).to_owned(), format!("{name}Left"), format!("{name}Right")],
        };
        // A bare name that exists stands for itself; `jawLeft` has no sides of its own.
        let found: Vec<usize> = names.iter().filter_map(|n| coefficient(n)).collect();
        out.extend(found.into_iter().map(|k| (k, *value)));
    }
    out
}

impl Motion {
    /// A motion of random liveliness, from calm talk to grimaces.
    pub fn sample(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 21);
        let wide = rng.range(0.35, 1.0);
        let lively = Liveliness {
            speech: rng.range(0.3, 0.9),
            head_rads: [0.61 * wide, 0.35 * wide, 0.26 * wide],
            extremes_a_minute: rng.range(0.0, 22.0),
            smiles_a_minute: rng.range(2.0, 10.0),
            antagonism: 1.0,
        };
        Self::new(seed, lively)
    }

    /// A motion of given liveliness.
    pub fn new(seed: u64, lively: Liveliness) -> Self {
        let mut rng = Rng::new(seed, 22);
        let mut motion = Self {
            seed,
            lively,
            sounds: Vec::new(),
            visemes: VISEMES.iter().map(|v| targets(v, "Left")).collect(),
            events: Vec::new(),
            glances: Vec::new(),
            tempo: rng.range(0.8, 1.2),
        };
        motion.speak(&mut rng);
        motion.blink(&mut rng);
        motion.emote(&mut rng);
        motion.glance(&mut rng);
        motion
    }

    fn speak(&mut self, rng: &mut Rng) {
        let strength = rng.range(0.85, 1.3);
        let mut t = rng.range(0.2, 0.6);
        while t < LOOP_SECS {
            let phrase_end = t + rng.range(1.2, 4.0);
            while t < phrase_end {
                let stress = strength * rng.range(0.55, 1.1);
                self.sounds.push(Sound { at_secs: t, spread_secs: 0.045, viseme: 6 + rng.below(7), strength });
                let long = rng.range(0.10, 0.20);
                self.sounds.push(Sound {
                    at_secs: t + 0.04 + 0.5 * long,
                    spread_secs: 0.35 * long + 0.02,
                    viseme: rng.below(6),
                    strength: stress,
                });
                t += 0.07 + long;
            }
            t += rng.range(0.25, 1.0) + 3.0 * (1.0 - self.lively.speech) * rng.unit();
        }
    }

    fn blink(&mut self, rng: &mut Rng) {
        let both = targets(&[("eyeBlink", 1.0)], "Left");
        let mut t = rng.range(0.6, 2.5);
        while t < LOOP_SECS {
            self.events.push(Event {
                start_secs: t,
                rise_secs: rng.range(0.07, 0.10),
                hold_secs: rng.range(0.02, 0.05),
                fall_secs: rng.range(0.14, 0.24),
                targets: both.clone(),
            });
            t += if rng.chance(0.12) { 0.45 } else { rng.range(1.8, 5.5) };
        }
    }

    fn emote(&mut self, rng: &mut Rng) {
        let mut every = |rate_a_minute: f32, rng: &mut Rng, make: &mut dyn FnMut(&mut Rng, f32) -> Event| {
            let mut t = rng.range(0.5, 60.0 / rate_a_minute.max(0.01));
            while t < LOOP_SECS && rate_a_minute > 0.01 {
                let event = make(rng, t);
                t += event.rise_secs + event.hold_secs + event.fall_secs + rng.range(0.2, 1.6) * 60.0 / rate_a_minute;
                self.events.push(event);
            }
        };
        every(self.lively.smiles_a_minute, rng, &mut |rng, t| {
            let (size, lean) = (rng.range(0.3, 0.95), rng.range(-0.12, 0.12));
            let mut list = targets(
                &[("cheekSquint", 0.6 * size), ("eyeSquint", 0.25 * size), ("mouthDimple", 0.3 * size)],
                "Left",
            );
            for (k, side) in [("mouthSmileLeft", lean), ("mouthSmileRight", -lean)] {
                list.extend(coefficient(k).map(|k| (k, (size + side).clamp(0.0, 1.0))));
            }
            Event {
                start_secs: t,
                rise_secs: rng.range(0.3, 0.6),
                hold_secs: rng.range(0.5, 2.2),
                fall_secs: rng.range(0.5, 0.9),
                targets: list,
            }
        });
        every(16.0, rng, &mut |rng, t| {
            let size = rng.range(0.3, 1.0);
            let kind = BROWS[rng.below(4)];
            let side = if rng.chance(0.5) { "Left" } else { "Right" };
            let list = targets(kind, side).into_iter().map(|(k, v)| (k, v * size)).collect();
            Event {
                start_secs: t,
                rise_secs: rng.range(0.12, 0.3),
                hold_secs: rng.range(0.2, 0.9),
                fall_secs: rng.range(0.25, 0.6),
                targets: list,
            }
        });
        every(self.lively.extremes_a_minute, rng, &mut |rng, t| {
            let size = rng.range(0.55, 1.0);
            let side = if rng.chance(0.5) { "Left" } else { "Right" };
            let list =
                targets(EXTREMES[rng.below(EXTREMES.len())], side).into_iter().map(|(k, v)| (k, v * size)).collect();
            Event {
                start_secs: t,
                rise_secs: rng.range(0.15, 0.4),
                hold_secs: rng.range(0.2, 1.0),
                fall_secs: rng.range(0.2, 0.5),
                targets: list,
            }
        });
    }

    fn glance(&mut self, rng: &mut Rng) {
        let mut t = 0.0;
        while t < LOOP_SECS {
            let far = if rng.chance(0.25) { 0.42 } else { 0.07 };
            self.glances.push((t, [far * rng.normal() * 0.6, 0.5 * far * rng.normal()]));
            t += rng.range(0.35, 1.9);
        }
    }

    /// Expression and pose at a time.
    pub fn at(&self, t_secs: f32) -> FaceState {
        let t = t_secs.rem_euclid(LOOP_SECS);
        let mut c = [0.0f32; 52];
        // Sounds blend as their neighbourhoods overlap: each pulls in proportion to its nearness.
        let mut pull = 0.35;
        let mut mouth = [0.0f32; 52];
        for s in self.sounds.iter().filter(|s| (s.at_secs - t).abs() < 0.5) {
            let w = bell(s.at_secs - t, s.spread_secs);
            pull += w;
            for (k, v) in &self.visemes[s.viseme] {
                mouth[*k] += w * v * s.strength;
            }
        }
        c.iter_mut().zip(mouth).for_each(|(c, m)| *c = 1.2 * m / pull.max(1.0));
        for e in &self.events {
            let (dt, end) = (t - e.start_secs, e.rise_secs + e.hold_secs + e.fall_secs);
            if dt > 0.0 && dt < end {
                let w = smoothstep(0.0, e.rise_secs, dt) * smoothstep(end, end - e.fall_secs, dt);
                e.targets.iter().for_each(|(k, v)| c[*k] = c[*k].max(v * w));
            }
        }
        settle_lips(&mut c, self.lively.antagonism);
        let wave = |hz: f32, channel: f32| noise(v3(t * hz * self.tempo, channel * 7.3, 0.0), self.seed as u32);
        let swing = |channel: f32| (1.15 * wave(0.22, channel) + 0.45 * wave(0.7, channel + 20.0)).clamp(-1.0, 1.0);
        let talk = (pull - 0.35).min(1.0);
        let [yaw_most, pitch_most, roll_most] = self.lively.head_rads;
        let yaw_rads = yaw_most * swing(1.0);
        let pitch_rads = (pitch_most * (swing(2.0) + 0.22 * talk * wave(2.2, 5.0))).clamp(-pitch_most, pitch_most);
        let roll_rads = roll_most * swing(3.0);
        self.look(t, yaw_rads, pitch_rads, &mut c);
        c.iter_mut().for_each(|c| *c = c.clamp(0.0, 1.0));
        let shift_cm = v3(1.2 * wave(0.2, 11.0), 0.5 * wave(0.25, 12.0), 1.5 * wave(0.15, 13.0)) * (yaw_most / 0.61);
        FaceState { coefficients: c, yaw_rads, pitch_rads, roll_rads, shift_cm }
    }

    /// Turns the eyes to the glance of the moment, holding the camera while the head turns.
    fn look(&self, t: f32, yaw_rads: f32, pitch_rads: f32, c: &mut [f32; 52]) {
        let i = self.glances.partition_point(|g| g.0 <= t).saturating_sub(1);
        let (start, now) = self.glances[i];
        let before = self.glances[i.saturating_sub(1)].1;
        let w = smoothstep(0.0, 0.045, t - start);
        let yaw = lerp(before[0], now[0], w) - 0.75 * yaw_rads;
        let pitch = lerp(before[1], now[1], w) + 0.6 * pitch_rads;
        let (x, y) = ((yaw / 0.52).clamp(-0.95, 0.95), (pitch / 0.42).clamp(-0.8, 0.8));
        // Down 11, 12; in 13, 14; out 15, 16; up 17, 18: left then right.
        c[15] = x.max(0.0);
        c[14] = x.max(0.0);
        c[13] = (-x).max(0.0);
        c[16] = (-x).max(0.0);
        c[11] = (-y).max(0.0);
        c[12] = c[11];
        c[17] = y.max(0.0);
        c[18] = c[17];
    }
}

/// Lets the stronger pull win between rounding and widening the lips; sounds and smiles are planned without knowing of
/// each other, and added up they would be a mouth that no muscles make.
fn settle_lips(c: &mut [f32; 52], antagonism: f32) {
    let strongest =
        |names: &[&str]| names.iter().filter_map(|name| coefficient(name)).map(|k| c[k]).fold(0.0, f32::max);
    let (round, wide) = (strongest(&ROUNDING).powi(2), strongest(&WIDENING).powi(2));
    if round.min(wide) <= 0.0 {
        return;
    }
    let round_share = round / (round + wide);
    for (names, share) in [(&ROUNDING[..], round_share), (&WIDENING[..], 1.0 - round_share)] {
        for k in names.iter().filter_map(|name| coefficient(name)) {
            c[k] *= lerp(1.0, share, antagonism);
        }
    }
}

/// A calm, friendly face: what a portrait shows.
pub fn friendly() -> FaceState {
    let mut state = FaceState::default();
    let smile = [
        ("mouthSmileLeft", 0.34),
        ("mouthSmileRight", 0.32),
        ("cheekSquintLeft", 0.2),
        ("cheekSquintRight", 0.2),
        ("browInnerUp", 0.08),
        ("mouthDimpleLeft", 0.12),
        ("mouthDimpleRight", 0.12),
    ];
    for (name, value) in smile {
        if let Some(k) = coefficient(name) {
            state.coefficients[k] = value;
        }
    }
    state.shift_cm = V3::ZERO;
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lips_are_round_or_wide_and_never_fully_both() {
        let most = |state: &FaceState, names: &[&str]| {
            names.iter().filter_map(|name| coefficient(name)).map(|k| state.coefficients[k]).fold(0.0, f32::max)
        };
        let mut strongest = [0.0_f32; 2];
        for seed in 0..20 {
            let motion = Motion::sample(seed);
            for i in 0..600 {
                let state = motion.at(0.2 * i as f32);
                let (round, wide) = (most(&state, &ROUNDING), most(&state, &WIDENING));
                assert!(round.min(wide) <= 0.51, "seed {seed}, {i}: {round} round and {wide} wide");
                strongest = [strongest[0].max(round), strongest[1].max(wide)];
            }
        }
        assert!(strongest.iter().all(|most| *most > 0.9), "each alone reaches its end: {strongest:?}");
    }
}
