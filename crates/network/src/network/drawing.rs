//! Which landmarks are joined by lines, in which channel.

use crate::plan::Drawing;
use effigy_base::geometry::N_LANDMARKS;

/// A row of landmarks joined by lines, its channel, and whether the last is joined to the first.
type Line = (u16, bool, &'static [u16]);

/// Channels: outline, brows, lids, irises, nose, outer lips, upper and lower inner lip.
const LINES: [Line; 16] = [
    (
        0,
        true,
        &[
            10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176,
            149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
        ],
    ),
    (1, false, &[70, 63, 105, 66, 107]),
    (1, false, &[300, 293, 334, 296, 336]),
    (2, false, &[33, 246, 161, 160, 159, 158, 157, 173, 133]),
    (2, false, &[33, 7, 163, 144, 145, 153, 154, 155, 133]),
    (2, false, &[263, 466, 388, 387, 386, 385, 384, 398, 362]),
    (2, false, &[263, 249, 390, 373, 374, 380, 381, 382, 362]),
    (3, true, &[469, 470, 471, 472]),
    (3, true, &[474, 475, 476, 477]),
    (4, false, &[168, 6, 197, 195, 5, 4]),
    (4, false, &[129, 98, 97, 2, 326, 327, 358]),
    (5, false, &[61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291]),
    (5, false, &[61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291]),
    (6, false, &[78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308]),
    (7, false, &[78, 95, 88, 178, 87, 14, 317, 402]),
    (7, false, &[402, 318, 324, 308]),
];

const N_SEGMENTS: usize = {
    let (mut n, mut i) = (0, 0);
    while i < LINES.len() {
        n += LINES[i].2.len() - if LINES[i].1 { 0 } else { 1 };
        i += 1;
    }
    n
};

static SEGMENTS: [[u16; 3]; N_SEGMENTS] = {
    let mut segments = [[0; 3]; N_SEGMENTS];
    let (mut n, mut i) = (0, 0);
    while i < LINES.len() {
        let (channel, is_closed, points) = LINES[i];
        let mut k = 0;
        while k + 1 < points.len() || (is_closed && k < points.len()) {
            segments[n] = [points[k], points[(k + 1) % points.len()], channel];
            n += 1;
            k += 1;
        }
        i += 1;
    }
    segments
};

/// The face as lines: eight channels from all landmarks.
pub static FACE: Drawing = Drawing { n_points: N_LANDMARKS, n_channels: 8, segments: &SEGMENTS };
