//! The demo's cast: three portraits and one driver, each fixed by its seeds.

use super::{
    motion::{Liveliness, Motion, friendly},
    person::{Person, Studio},
    render::{Frame, Quality, Renderer},
    scene::Scene,
};

/// Seeds of the people in the portraits; a portrait's scene has the same seed.
pub const PORTRAITS: [u64; 3] = [103, 115, 113];
/// Seed of the driver and of the driver's scene.
pub const DRIVER: u64 = 118;
/// Seed of the driver's motion.
pub const DRIVER_MOTION: u64 = 6;
/// Pictures of the demo: samples along each axis of a pixel are many, since nobody waits.
pub const QUALITY: Quality = Quality { side_px: 512, samples: 4 };

/// A lively talker who keeps the face in view, and who smiles through rounded lips: more goes on in ten seconds.
pub const DRIVER_LIVELINESS: Liveliness = Liveliness {
    speech: 0.95,
    head_rads: [0.40, 0.15, 0.12],
    extremes_a_minute: 0.0,
    smiles_a_minute: 14.0,
    antagonism: 0.0,
};

/// Draws a portrait: frontal, friendly, well lit.
pub fn portrait(studio: &Studio, seed: u64) -> Frame {
    let person = Person::sample(seed, studio);
    Renderer::new(studio, &person, Scene::portrait(seed), QUALITY).render(&friendly(), 0)
}

/// Draws the driver's performance; `show` gets each frame and may stop by returning `false`.
pub fn driver(studio: &Studio, fps: f32, n_frames: u64, mut show: impl FnMut(u64, Frame) -> bool) {
    let person = Person::sample(DRIVER, studio);
    let motion = Motion::new(DRIVER_MOTION, DRIVER_LIVELINESS);
    let mut renderer = Renderer::new(studio, &person, Scene::portrait(DRIVER), Quality { samples: 3, ..QUALITY });
    for i in 0..n_frames {
        if !show(i, renderer.render(&motion.at(i as f32 / fps), i)) {
            break;
        }
    }
}
