//! Packed pixels: red in the lowest byte, alpha in the highest.

/// Mixes two pixels, all four channels at once: `part` of 256 of the second.
#[inline(always)]
pub fn mix(a: u32, b: u32, part: u32) -> u32 {
    const EVEN: u32 = 0x00ff_00ff;
    const HALF: u32 = 0x0080_0080;
    let rest = 256 - part;
    let even = (((a & EVEN) * rest + (b & EVEN) * part + HALF) >> 8) & EVEN;
    let odd = (((a >> 8) & EVEN) * rest + ((b >> 8) & EVEN) * part + HALF) & !EVEN;
    even | odd
}
