//! What a PNG says of its colours beside an ICC profile.

use moxcms::ColorProfile;

use super::colour::{self, Trouble};

/// A gAMA chunk of this value comes with sRGB pictures, whose own curve it only nears (PNG specification, section 11.3.3.5).
const SRGB_GAMMA: u32 = 45_455;
/// The largest chunk that is looked into; the ones meant have 32 bytes at most.
const MAX_BYTES: usize = 64;

/// Whether the file says in four numbers (cICP) what its colours are, which counts more than a profile.
pub(super) fn coded(png: &[u8]) -> Option<Result<Option<ColorProfile>, Trouble>> {
    let chunk = chunks(png).find(|(name, _)| *name == b"cICP")?.1;
    Some(match chunk {
        [primaries, transfer, ..] => colour::from_cicp(*primaries, *transfer),
        _ => Err("its cICP chunk is too short".to_owned()),
    })
}

/// The colours by gAMA and cHRM, which count where there is neither profile nor sRGB chunk; none for sRGB's.
pub(super) fn by_primaries(png: &[u8]) -> Result<Option<ColorProfile>, Trouble> {
    let (mut gamma, mut primaries) = (None, None);
    for (name, chunk) in chunks(png) {
        let numbers: Vec<u32> = chunk.as_chunks().0.iter().map(|bytes: &[u8; 4]| u32::from_be_bytes(*bytes)).collect();
        match (name, &numbers[..]) {
            (b"sRGB", _) => return Ok(None),
            (b"gAMA", [0, ..]) => return Err("its gAMA chunk says zero".to_owned()),
            (b"gAMA", [value, ..]) if *value != SRGB_GAMMA => gamma = Some(1e5 / *value as f32),
            (b"cHRM", numbers) if numbers.len() == 8 => {
                primaries = Some(std::array::from_fn(|i| [numbers[2 * i], numbers[2 * i + 1]].map(|v| v as f32 / 1e5)));
            }
            _ => {}
        }
    }
    if gamma.is_none() && primaries.is_none() {
        return Ok(None);
    }
    colour::from_primaries(primaries, gamma).map(Some)
}

/// The small chunks before the pixels: names and contents.
fn chunks(png: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = png.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (name, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let content = after.get(..length)?;
        // A checksum follows, which the decoder looks at.
        rest = after.get(length + 4..)?;
        (name != b"IDAT").then_some((name, content))
    })
    .filter(|(_, content)| content.len() <= MAX_BYTES)
}
