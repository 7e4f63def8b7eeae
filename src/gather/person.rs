//! Whether two files show one person, as far as the shape of the face tells.

use std::path::Path;

use super::turned_rads;
use crate::drive::PersonShape;
use crate::error::{Error, ErrorKind, Result};
use crate::geometry::FaceShape;

/// Faces whose shapes at rest are farther apart, in face widths, are two people's.
const OTHER_PERSON: f32 = 0.05;
/// A head that is turned by a radian may be so much farther from itself: the tracker guesses the side that it does not see.
const PER_TURN: f32 = 0.05;

/// Refuses a photo of somebody else.
pub(super) fn check_photo(person: &PersonShape, shape: &FaceShape, file: &Path, main: &Path) -> Result<()> {
    let apart = person.distance(shape)? - PER_TURN * turned_rads(shape.rotation);
    judge(apart, file, main)
}

/// Refuses a clip of somebody else: by the median of its pictures.
pub(super) fn check_clip(person: &PersonShape, shapes: &[&FaceShape], file: &Path, main: &Path) -> Result<()> {
    let mut apart = Vec::new();
    for shape in shapes {
        apart.push(person.distance(shape)? - PER_TURN * turned_rads(shape.rotation));
    }
    apart.sort_by(f32::total_cmp);
    apart.get(apart.len() / 2).map_or(Ok(()), |&apart| judge(apart, file, main))
}

fn judge(apart: f32, file: &Path, main: &Path) -> Result<()> {
    if apart <= OTHER_PERSON {
        return Ok(());
    }
    let message = format!(
        "{} and {} seem to show two people: their faces at rest are {:.1} % of the eyes' distance apart, at most {:.1} is one \
         person; leave one of them out, or enroll each by itself",
        main.display(),
        file.display(),
        100.0 * apart,
        100.0 * OTHER_PERSON
    );
    Err(Error::new(ErrorKind::Photo, message))
}
