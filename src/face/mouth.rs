//! What a driver's open mouth shows: teeth, tongue or the dark, from the upper lip to the lower.

use glam::Vec2;

use super::Landmarks;
use crate::frame::Rgb;
use crate::geometry::{MouthContents, N_MOUTH_LINES};

/// The middle of the lips' inner edges, from the picture's left to its right.
const UPPER: [usize; 7] = [80, 81, 82, 13, 312, 311, 310];
const LOWER: [usize; 7] = [88, 178, 87, 14, 317, 402, 318];
/// Skin in the face's light: cheeks and forehead.
const SKIN: [usize; 5] = [50, 280, 205, 425, 151];
/// Inner and outer edges of the lips: what is between them is lip.
const LIPS: [[usize; 2]; 6] = [[13, 0], [82, 37], [312, 267], [14, 17], [87, 84], [317, 314]];
/// Outer corners of the eyes: their distance is the face's width.
const WIDTH: [usize; 2] = [33, 263];

/// An eye: its corners, the middles of its lids, its iris.
struct Eye {
    corners: [usize; 2],
    lids: [usize; 2],
    iris: usize,
}

const EYES: [Eye; 2] =
    [Eye { corners: [33, 133], lids: [159, 145], iris: 468 }, Eye { corners: [263, 362], lids: [386, 374], iris: 473 }];

/// Below and above so many pixels of opening nothing and all is known.
const GAPS_PX: [f32; 2] = [2.5, 7.0];
/// Likewise in shares of the face's width.
const GAPS: [f32; 2] = [0.02, 0.05];

/// Reads what is between the lips of a face in a picture.
pub(crate) fn read_mouth(picture: &Rgb, points_px: &Landmarks) -> MouthContents {
    let at = |i: usize| points_px[i].truncate();
    let gap_px = at(13).distance(at(14));
    let width_px = at(WIDTH[0]).distance(at(WIDTH[1])).max(1.0);
    let certainty = ramp(GAPS_PX, gap_px) * ramp(GAPS, gap_px / width_px);
    if certainty <= 0.0 {
        return MouthContents { whites: whites(picture, points_px), ..MouthContents::UNKNOWN };
    }
    let mean = |places: &mut dyn Iterator<Item = Vec2>| {
        let (sum, n) = places.fold(([0.0; 3], 0.0), |(sum, n), place| (add(sum, picture.between(place)), n + 1.0));
        sum.map(|value| value / n)
    };
    let skin = mean(&mut SKIN.iter().map(|&i| at(i)));
    let lips = mean(&mut LIPS.iter().map(|&[a, b]| (at(a) + at(b)) / 2.0));
    let (lips_paleness, lips_light) = (paleness(lips) / paleness(skin), luma(lips) / luma(skin));
    // Lips as pale as the skin: a picture without colour, or a moustache. Brightness has to tell.
    let colourful = ramp([0.04, 0.10], 1.0 - lips_paleness);
    let mut skin_like = 0.0;
    let mut contents = MouthContents { certainty, ..MouthContents::UNKNOWN };
    for line in 0..N_MOUTH_LINES {
        let t = (line as f32 + 0.5) / N_MOUTH_LINES as f32;
        let (mut light, mut pale, mut teeth) = (0.0, 0.0, 0.0);
        for (&upper, &lower) in UPPER.iter().zip(&LOWER) {
            let seen = picture.between(at(upper).lerp(at(lower), t));
            let (brightness, pallor) = (luma(seen) / luma(skin), paleness(seen) / paleness(skin));
            light += brightness;
            pale += pallor;
            // Paler than the lips and not dark; or brighter than any lip.
            let paler = ramp([lips_paleness + 0.06, lips_paleness + 0.18], pallor) * ramp([0.38, 0.55], brightness);
            let brighter = ramp([1.0, 1.15], brightness / lips_light);
            teeth += (paler * colourful + brighter * (1.0 - colourful)).max(ramp([1.0, 1.18], brightness));
        }
        let n = UPPER.len() as f32;
        skin_like += f32::from((light / n - 1.0).abs() < 0.12 && (pale / n - 1.0).abs() < 0.04) / N_MOUTH_LINES as f32;
        contents.light[line] = (light / n).clamp(0.0, 2.0);
        contents.paleness[line] = (pale / n).clamp(0.2, 2.0);
        contents.teeth[line] = teeth / n;
    }
    contents.whites = whites(picture, points_px);
    // A hand before the mouth.
    contents.certainty *= 1.0 - ramp([0.5, 0.75], skin_like);
    contents
}

/// How bright the whites of the eyes are, 1 is the skin's: the second brightest of up to four places, as glances hide some and
/// a glint is no white. 0 where no eye is open wide enough to tell.
pub(crate) fn whites(picture: &Rgb, points_px: &Landmarks) -> f32 {
    /// Lids so far apart, in widths of the eye, show white that is neither lash nor shadow.
    const OPEN: f32 = 0.24;
    let at = |i: usize| points_px[i].truncate();
    let skin = SKIN.iter().map(|&i| luma(picture.between(at(i)))).sum::<f32>() / SKIN.len() as f32;
    let open = EYES.iter().filter(|eye| {
        at(eye.lids[0]).distance(at(eye.lids[1])) > OPEN * at(eye.corners[0]).distance(at(eye.corners[1]))
    });
    let places = open.flat_map(|eye| eye.corners.map(|corner| at(eye.iris).lerp(at(corner), 0.62)));
    let [_, second] =
        places.map(|place| luma(picture.between(place))).fold([0.0, 0.0], |[first, second], value: f32| {
            if value > first { [value, first] } else { [first, value.max(second)] }
        });
    (second / skin).min(3.0)
}

fn add(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    std::array::from_fn(|c| a[c] + b[c])
}

fn luma([r, g, b]: [f32; 3]) -> f32 {
    (0.299 * r + 0.587 * g + 0.114 * b).max(4.0)
}

/// Green over red; what is nearly black has no colour.
fn paleness([r, g, _]: [f32; 3]) -> f32 {
    (g + 8.0) / (r + 8.0)
}

/// 0 below, 1 above, straight between.
fn ramp([from, to]: [f32; 2], x: f32) -> f32 {
    ((x - from) / (to - from)).clamp(0.0, 1.0)
}
