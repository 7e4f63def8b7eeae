//! Which face of a photo is meant, and whether it can carry a portrait.

use super::framing::centre;
use super::photo_check::{Remark, RemarkKind};
use crate::error::{Error, ErrorKind, Result};
use crate::face::FoundFace;

/// A face that is lower than this share of the largest one's height is somebody behind, a poster or a print: it is left
/// aside unless it is asked for.
const MIN_SHARE_OF_LARGEST: f32 = 0.5;
/// So many faces are described; a crowd would fill the screen.
const MAX_DESCRIBED: usize = 9;
/// The smallest face that is enrolled, in pixels from forehead to chin.
const MIN_FACE_PX: f32 = 96.0;

/// How far the head may be turned on a photo, in radians.
#[derive(Clone, Copy, Debug)]
pub(super) struct TurnLimits {
    yaw_rads: f32,
    pitch_rads: f32,
    roll_rads: f32,
}

impl TurnLimits {
    /// Of the portrait that everything starts from: beyond, half of the face is unseen.
    pub(super) const PORTRAIT: Self = Self { yaw_rads: 0.61, pitch_rads: 0.52, roll_rads: 0.61 };
    /// Of a further view, which is there for what the portrait does not show: beyond, the tracker guesses half of the points.
    pub(super) const SIDE_VIEW: Self = Self { yaw_rads: 0.96, pitch_rads: 0.7, roll_rads: 0.61 };
}

/// Chooses among the faces of a photo, which are in order from left to right: the index of the chosen one, and what its
/// user should know of the others.
///
/// `wanted` counts all faces from 1. Without it, one face must be much larger than the others.
///
/// # Errors
/// [`ErrorKind::Photo`]: no face, no such face, or several of a size; then the message says where they are.
pub(super) fn choose(faces: &[FoundFace], wanted: Option<usize>) -> Result<(usize, Option<Remark>)> {
    let n_faces = faces.len();
    if let Some(n) = wanted
        && n_faces > 0
        && !(1..=n_faces).contains(&n)
    {
        let message =
            format!("--face {n} asked for, but the photo has {n_faces}, counted from the left from 1{}", places(faces));
        return Err(Error::new(ErrorKind::Photo, message));
    }
    let Some(largest) = (0..n_faces).max_by(|&a, &b| height_px(&faces[a]).total_cmp(&height_px(&faces[b]))) else {
        return Err(Error::new(
            ErrorKind::Photo,
            "no face found; take a photo from the front, in even light, with the whole face in view",
        ));
    };
    if let Some(n) = wanted {
        return Ok((n - 1, None));
    }
    let is_rival = |face: &FoundFace| height_px(face) >= MIN_SHARE_OF_LARGEST * height_px(&faces[largest]);
    if faces.iter().filter(|face| is_rival(face)).count() > 1 {
        let message = format!(
            "{n_faces} faces found; choose one with --face N, counted from the left, 1 to {n_faces}{}",
            places(faces)
        );
        return Err(Error::new(ErrorKind::Photo, message));
    }
    let remark = (n_faces > 1).then(|| {
        let others: Vec<_> =
            (0..n_faces).filter(|&i| i != largest).take(MAX_DESCRIBED).map(|i| place(i, &faces[i])).collect();
        let text = format!(
            "smaller faces are left aside: {}; the largest is taken, --face N takes another, counted from the left",
            others.join("; ")
        );
        Remark::new(RemarkKind::OtherFaces, text)
    });
    Ok((largest, remark))
}

/// Where the faces are, to be put behind a message.
fn places(faces: &[FoundFace]) -> String {
    let mut places: Vec<_> = faces.iter().take(MAX_DESCRIBED).enumerate().map(|(i, face)| place(i, face)).collect();
    if faces.len() > MAX_DESCRIBED {
        places.push("...".to_owned());
    }
    format!(" ({})", places.join("; "))
}

/// One face in words.
fn place(index: usize, face: &FoundFace) -> String {
    let middle = centre(face);
    format!("{}: {:.0} pixels high around x {:.0}, y {:.0}", index + 1, height_px(face), middle.x, middle.y)
}

fn height_px(face: &FoundFace) -> f32 {
    face.box_px[3] - face.box_px[1]
}

/// Refuses a face that cannot carry a portrait; gives its height in pixels.
pub(super) fn check_face(face: &FoundFace, limits: TurnLimits) -> Result<f32> {
    let [left, top, right, bottom] = face.box_px;
    let face_px = (right - left).max(bottom - top);
    if face_px < MIN_FACE_PX {
        return Err(Error::new(
            ErrorKind::Photo,
            format!(
                "the face is {face_px:.0} pixels high, at least {MIN_FACE_PX:.0} are needed; use a larger photo or one taken closer"
            ),
        ));
    }
    let angles = face.observation.pose.yaw_pitch_roll_rads();
    for (angle, limit, what) in [
        (angles[0], limits.yaw_rads, "turned to the side"),
        (angles[1], limits.pitch_rads, "nodding"),
        (angles[2], limits.roll_rads, "tilted"),
    ] {
        if angle.abs() > limit {
            return Err(Error::new(
                ErrorKind::Photo,
                format!(
                    "the head is {what} by {:.0} degrees, at most {:.0} will do; use a photo that looks into the camera",
                    angle.abs().to_degrees(),
                    limit.to_degrees()
                ),
            ));
        }
    }
    Ok(face_px)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::FaceObservation;

    /// Faces from left to right, by left edge, top edge and height.
    fn faces<const N: usize>(places: [[f32; 3]; N]) -> Vec<FoundFace> {
        let face = |[left, top, height]: [f32; 3]| FoundFace {
            observation: FaceObservation::default(),
            score: 0.9,
            box_px: [left, top, left + 0.8 * height, top + height],
        };
        places.map(face).to_vec()
    }

    #[test]
    fn one_face_is_chosen_without_a_word() {
        assert_eq!(choose(&faces([[10.0, 10.0, 200.0]]), None).unwrap(), (0, None));
        assert_eq!(choose(&faces([[10.0, 10.0, 200.0]]), Some(1)).unwrap(), (0, None));
    }

    #[test]
    fn a_much_smaller_face_is_named_and_left_aside() {
        let group = faces([[10.0, 300.0, 60.0], [200.0, 100.0, 200.0]]);
        let (index, remark) = choose(&group, None).unwrap();
        let remark = remark.unwrap();
        assert_eq!((index, remark.kind), (1, RemarkKind::OtherFaces));
        assert!(remark.text.contains("1: 60 pixels high around x 34, y 330"), "{}", remark.text);
        assert!(!remark.kind.is_warning());
        assert_eq!(choose(&group, Some(1)).unwrap(), (0, None));
    }

    #[test]
    fn two_faces_of_a_size_are_refused_with_their_places() {
        let group = faces([[10.0, 100.0, 110.0], [400.0, 100.0, 200.0], [900.0, 0.0, 20.0]]);
        let error = choose(&group, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Photo);
        let text = error.to_string();
        assert!(text.contains("3 faces found; choose one with --face N, counted from the left, 1 to 3"), "{text}");
        assert!(text.contains("1: 110 pixels high around x 54, y 155; 2: 200 pixels high"), "{text}");
        assert!(choose(&group, Some(4)).unwrap_err().to_string().contains("the photo has 3"));
        assert!(choose(&[], Some(4)).unwrap_err().to_string().contains("no face found"));
    }
}
