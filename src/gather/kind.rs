//! Clip or photo, by what the file begins with.

use std::io::Read as _;
use std::path::Path;

/// What files are called whose beginning says nothing.
const CLIP_EXTENSIONS: [&str; 5] = ["mpg", "mpeg", "ts", "m2ts", "vob"];
/// Brands of files that begin as MP4 does and hold pictures.
const STILL_BRANDS: [&[u8]; 8] = [b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1"];

/// Whether a file is a clip. One that cannot be read is none: reading it as a photo says why.
pub fn is_clip(path: &Path) -> bool {
    let mut head = Vec::new();
    let is_file = std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
    if !is_file || std::fs::File::open(path).and_then(|file| file.take(12).read_to_end(&mut head)).is_err() {
        return false;
    }
    let is_mp4 = head.get(4..8) == Some(b"ftyp") && !STILL_BRANDS.iter().any(|brand| head.get(8..12) == Some(*brand));
    let is_avi = head.starts_with(b"RIFF") && head.ends_with(b"AVI ");
    let is_quicktime = matches!(head.get(4..8), Some(b"moov" | b"mdat" | b"wide" | b"free"));
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    is_mp4
        || is_avi
        || is_quicktime
        || head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3])
        || head.starts_with(b"FLV")
        || CLIP_EXTENSIONS.contains(&&*extension)
}
