//! What one step learns from, as numbers: a portrait and frames of the same person, as the network sees them.

use effigy_network::plan::PhotoLevels;

/// A portrait and some frames of the same person, square pictures of one size; numbers in rows, as tensors want them.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Width and height of the pictures.
    pub size_px: usize,
    /// Width and height of what the decoder paints, as many or fewer.
    pub decoded_px: usize,
    /// How many frames.
    pub n_frames: usize,
    /// Whether the frames follow each other without gaps.
    pub is_sequence: bool,
    /// Whether nobody was seen doing this: an expression was asked for, and no picture says how it looks.
    pub is_asked: bool,
    /// How far the mattes are to be believed, 0..1: those of rendered people are true.
    pub matte_belief: f32,
    /// (4, d, d) with d = `decoded_px`: colour -1..1, matte 0..1.
    pub portrait: Vec<f32>,
    /// (8, d, d): the portrait's drawing.
    pub portrait_lines: Vec<f32>,
    /// (4, p, p): the levels of the photo with its margin, 0..1, as [`PhotoLevels::squares`] has them.
    pub photo: [Vec<f32>; 3],
    /// (3, s, s), 0..1.
    pub background: Vec<f32>,
    /// Of each frame (4, m, m) with m = d / 4: the portrait where it is, moved with the body, with the head
    /// and with the mesh.
    pub candidates: [Vec<f32>; 4],
    /// Of each frame (8, n, n) with n = d / 8, d / 4, d / 2.
    pub lines: [Vec<f32>; 3],
    /// Of each frame (3, n, n), sizes as of `lines`.
    pub maps: [Vec<f32>; 3],
    /// Of each frame (2, n, n), sizes as of `lines`.
    pub deformations: [Vec<f32>; 3],
    /// Of each frame (3, s, s): u and v in picture units, and 1 where the mesh or its surround was drawn.
    pub full_map: Vec<f32>,
    /// Of each frame (478, 2): where the face's points shall be, in picture units.
    pub points: Vec<f32>,
    /// Of each frame twelve numbers.
    pub pose: Vec<f32>,
    /// Of each frame (3, s, s), 0..1: what was seen.
    pub target: Vec<f32>,
    /// Of each frame (1, s, s), 0..1.
    pub matte: Vec<f32>,
    /// Of each frame (1, s, s): 1 around the mouth, soft.
    pub mouth: Vec<f32>,
    /// Of each frame (1, s, s): 1 around the eyes, soft.
    pub eyes: Vec<f32>,
    /// Of each frame (1, s, s): 0 where the clip shows something else than the camera's picture.
    pub filmed: Vec<f32>,
    /// Of each frame (1, s, s), 0..1: how much the target counts; the background does not where it cannot be known.
    pub counts: Vec<f32>,
    /// Of each frame (3, m, m): where a point of the face is in the portrait, and 1 where one is.
    pub point_flow: Vec<f32>,
    /// Of each frame (3, s, s), 0..1: what the mesh warp alone makes of it; only where asked for.
    pub warp_only: Vec<f32>,
}

/// (4, p, p) of each level, 0..1, from packed pixels.
pub fn level_planes(levels: &PhotoLevels, words: &[u32]) -> [Vec<f32>; 3] {
    let stride = levels.shape().w;
    levels.squares().map(|(first, px)| {
        let rows = || words[first..].chunks(stride).take(px).flat_map(|row| &row[..px]);
        (0..4).flat_map(|c| rows().map(move |word| f32::from(word.to_le_bytes()[c]) / 255.0)).collect()
    })
}
