//! Noise that is the same on every machine for the same seed.

use super::math::{V3, v3};

#[inline]
fn hash(x: i32, y: i32, z: i32, seed: u32) -> u32 {
    let mut h = seed
        ^ (x as u32).wrapping_mul(0x8da6_b343)
        ^ (y as u32).wrapping_mul(0xd816_3841)
        ^ (z as u32).wrapping_mul(0xcb1a_b31f);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2c1b_3c6d);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297a_2d39);
    h ^ (h >> 15)
}

/// A hash of an integer point, uniform in 0..1.
#[inline]
pub(super) fn hash_unit(x: i32, y: i32, z: i32, seed: u32) -> f32 {
    (hash(x, y, z, seed) >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Value noise, −1..1, one feature a unit of length.
pub(super) fn noise(p: V3, seed: u32) -> f32 {
    let (fx, fy, fz) = (p.x.floor(), p.y.floor(), p.z.floor());
    let (ix, iy, iz) = (fx as i32, fy as i32, fz as i32);
    let s = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v, w) = (s(p.x - fx), s(p.y - fy), s(p.z - fz));
    let at = |dx: i32, dy: i32, dz: i32| hash_unit(ix + dx, iy + dy, iz + dz, seed);
    let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
    let near = mix(mix(at(0, 0, 0), at(1, 0, 0), u), mix(at(0, 1, 0), at(1, 1, 0), u), v);
    let far = mix(mix(at(0, 0, 1), at(1, 0, 1), u), mix(at(0, 1, 1), at(1, 1, 1), u), v);
    mix(near, far, w) * 2.0 - 1.0
}

/// Sum of `octaves` noises, each of half the size and half the height; about −1..1.
pub(super) fn fbm(p: V3, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut height, mut scale) = (0.0, 0.55, 1.0);
    for i in 0..octaves {
        sum += height * noise(p * scale, seed.wrapping_add(i));
        height *= 0.5;
        scale *= 2.03;
    }
    sum
}

/// Distance to the nearest of jittered points, one a unit cell, and a hash of that point.
pub(super) fn cells(p: V3, seed: u32) -> (f32, f32) {
    let base = v3(p.x.floor(), p.y.floor(), p.z.floor());
    let (mut best, mut id) = (9.0f32, 0.0);
    for i in 0..27 {
        let (dx, dy, dz) = (i % 3 - 1, i / 3 % 3 - 1, i / 9 - 1);
        let (cx, cy, cz) = (base.x as i32 + dx, base.y as i32 + dy, base.z as i32 + dz);
        let h = hash(cx, cy, cz, seed);
        let jitter = v3((h & 1023) as f32, (h >> 10 & 1023) as f32, (h >> 20 & 1023) as f32) * (1.0 / 1024.0);
        let d = (v3(cx as f32, cy as f32, cz as f32) + jitter - p).length();
        if d < best {
            best = d;
            id = hash_unit(cx, cy, cz, seed ^ 0x5bd1);
        }
    }
    (best, id)
}
