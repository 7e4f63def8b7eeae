//! What must touch touches: lids that shut, lips that meet.

use super::{Points, SHUT_MOUTH, features};

/// Columns of a lid: (upper, lower) rim, (upper, lower) fold; right eye, then left, as the person
/// has them.
pub(in crate::drive) const LIDS: [[[usize; 4]; 7]; 2] = [
    [
        [246, 7, 247, 25],
        [161, 163, 30, 110],
        [160, 144, 29, 24],
        [159, 145, 27, 23],
        [158, 153, 28, 22],
        [157, 154, 56, 26],
        [173, 155, 190, 112],
    ],
    [
        [466, 249, 467, 255],
        [388, 390, 260, 339],
        [387, 373, 259, 254],
        [386, 374, 257, 253],
        [385, 380, 258, 252],
        [384, 381, 286, 256],
        [398, 382, 414, 341],
    ],
];

/// Columns of the lips between the corners, from the inner rim outwards: upper lip, lower lip.
pub(in crate::drive) const LIPS: [[[usize; 4]; 2]; 9] = [
    [[191, 183, 184, 185], [95, 96, 77, 146]],
    [[80, 42, 74, 40], [88, 89, 90, 91]],
    [[81, 41, 73, 39], [178, 179, 180, 181]],
    [[82, 38, 72, 37], [87, 86, 85, 84]],
    [[13, 12, 11, 0], [14, 15, 16, 17]],
    [[312, 268, 302, 267], [317, 316, 315, 314]],
    [[311, 271, 303, 269], [402, 403, 404, 405]],
    [[310, 272, 304, 270], [318, 319, 320, 321]],
    [[415, 407, 408, 409], [324, 325, 307, 375]],
];

/// Below the first opening lids go exactly as far as is asked, beyond the second as the expression has them.
const LIDS_FROM: [f32; 2] = [0.3, 0.8];
/// The same for lips, in face widths of the driver's.
const LIPS_FROM: [f32; 2] = [0.01, 0.06];

/// Moves lids so far that they are open as asked where they nearly shut, and never cross.
pub(super) fn close_lids(base: &Points, openness: [f32; 2], points: &mut Points) {
    for (lids, openness) in LIDS.iter().zip(openness) {
        let share = 1.0 - smoothstep(LIDS_FROM, openness);
        for &[up, low, up_fold, low_fold] in lids {
            let own = (base[low].y - base[up].y).max(0.0);
            let is = points[low].y - points[up].y;
            let wanted = own * openness;
            let missing = if is < 0.0 { (wanted * share).max(0.0) - is } else { (wanted - is) * share };
            // The upper lid does most of the way.
            points[up].y -= 0.85 * missing;
            points[low].y += 0.15 * missing;
            points[up_fold].y -= 0.35 * missing;
            points[low_fold].y += 0.05 * missing;
        }
    }
}

/// Moves lips so that they touch where the driver's do, and never cross.
pub(super) fn close_lips(base: &Points, resting: &Points, driver: &Points, strength: f32, points: &mut Points) {
    let ratio = (features::mouth_width(base) / features::mouth_width(resting)).clamp(0.5, 2.0);
    for [up, low] in LIPS {
        let gap = (driver[low[0]].y - driver[up[0]].y - SHUT_MOUTH).max(0.0);
        let share = (1.0 - smoothstep(LIPS_FROM, gap)) * strength.min(1.0);
        let is = points[low[0]].y - points[up[0]].y;
        let wanted = gap * ratio;
        let missing = if is < 0.0 { (wanted * share).max(0.0) - is } else { (wanted - is) * share };
        // A lip moves whole, so that it keeps its thickness; the lower one follows the jaw.
        for i in up {
            points[i].y -= 0.3 * missing;
        }
        for i in low {
            points[i].y += 0.7 * missing;
        }
    }
}

/// 0 below the first edge, 1 beyond the second, smooth between.
fn smoothstep(edges: [f32; 2], x: f32) -> f32 {
    let t = ((x - edges[0]) / (edges[1] - edges[0])).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
