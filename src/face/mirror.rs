//! How much the landmark network contradicts itself about a face: what it sees in the mirror should be the same face.

use std::sync::OnceLock;

use glam::{Vec2, Vec3};

use super::crop::bounds;
use super::{FaceObservation, FaceTracker, Landmarks, MESH_POINTS_CM, N_MESH_POINTS};
use crate::error::Result;
use crate::frame::Rgb;

impl FaceTracker {
    /// Looks at a face in the mirror and gives the mean distance of its points from where they were, in shares of the
    /// face's height; 1 where no face is seen there. The face that is followed is not touched.
    ///
    /// A face that is seen whole and sharp is the same face in the mirror; where a hand or hair covers a part, the network
    /// guesses, and guesses otherwise.
    ///
    /// # Errors
    /// When a network or a picture operation fails.
    pub(crate) fn mirror_error(&mut self, picture: &Rgb, face: &FaceObservation) -> Result<f32> {
        let (width_px, height_px) = (picture.width_px(), picture.height_px());
        let mut mirrored = Rgb::new(width_px, height_px);
        for y in 0..height_px {
            let row = &mut mirrored.data_mut()[3 * y * width_px..][..3 * width_px];
            for (out, pixel) in
                row.as_chunks_mut::<3>().0.iter_mut().zip(picture.row(y).as_chunks::<3>().0.iter().rev())
            {
                *out = *pixel;
            }
        }
        let partner = partners();
        let in_mirror = |p: Vec3| Vec3::new(width_px as f32 - p.x, p.y, p.z);
        let mut seen = face.clone();
        for (point, other) in seen.landmarks_px.iter_mut().zip(partner) {
            *point = in_mirror(face.landmarks_px[*other]);
        }
        // The irises have no partners; they only must lie somewhere in the face.
        for point in &mut seen.landmarks_px[N_MESH_POINTS..] {
            *point = in_mirror(*point);
        }
        self.settle(&mirrored, &mut seen)?;
        let crop = super::crop::Crop::around_landmarks(&seen.landmarks_px);
        if !self.look(&mirrored, &crop, &mut seen)? {
            return Ok(1.0);
        }
        Ok(mean_distance(&face.landmarks_px, &seen.landmarks_px, width_px as f32))
    }
}

/// The mean distance of a face's points from those seen in the mirror, in shares of its height.
fn mean_distance(points_px: &Landmarks, in_mirror_px: &Landmarks, width_px: f32) -> f32 {
    let (min, max) = bounds(points_px);
    let partner = partners();
    let sum: f32 = (0..N_MESH_POINTS)
        .map(|i| {
            let other = in_mirror_px[partner[i]];
            points_px[i].truncate().distance(Vec2::new(width_px - other.x, other.y))
        })
        .sum();
    sum / N_MESH_POINTS as f32 / (max.y - min.y).max(1.0)
}

/// For each point of the mesh the one on the other side.
fn partners() -> &'static [usize; N_MESH_POINTS] {
    static PARTNERS: OnceLock<[usize; N_MESH_POINTS]> = OnceLock::new();
    PARTNERS.get_or_init(|| {
        std::array::from_fn(|i| {
            let wanted = MESH_POINTS_CM[i] * Vec3::new(-1.0, 1.0, 1.0);
            let distance = |k: &usize| MESH_POINTS_CM[*k].distance_squared(wanted);
            (0..N_MESH_POINTS).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(i)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_are_each_others() {
        let partner = partners();
        for i in 0..N_MESH_POINTS {
            assert_eq!(partner[partner[i]], i);
        }
        assert_eq!((partner[33], partner[61], partner[4], partner[152]), (263, 291, 4, 152));
    }

    #[test]
    fn a_face_is_the_same_in_the_mirror() {
        let portrait = crate::photo::decode(crate::demo::PORTRAITS[0].1).unwrap();
        let mut tracker = FaceTracker::new(Default::default()).unwrap();
        let mut face = tracker.find_faces(&portrait).unwrap().remove(0).observation;
        tracker.settle(&portrait, &mut face).unwrap();
        let error = tracker.mirror_error(&portrait, &face).unwrap();
        assert!(error < 0.015, "{error}");
    }
}
