//! What several tests need: an identity that no photo is behind, frames, a face that follows a script.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use effigy::clock::Timestamp;
use effigy::face::{FaceShape, HeadPose, Landmarks, MESH_POINTS_CM};
use effigy::identity::{Basis, Consent, Framing, Manifest};
use effigy::{FaceObservation, Grey, Identity, Rgb};
use glam::Vec3;

/// A colour that a camera frame has here and nothing that may leave has.
pub(crate) const CAMERA_COLOUR: [u8; 3] = [255, 0, 255];

/// The canonical face, frontal, in the middle of a square picture.
pub(crate) fn landmarks_px(size: usize) -> Landmarks {
    let size = size as f32;
    let place = |p: Vec3| Vec3::new(size * (0.5 + 0.02 * p.x), size * (0.5 - 0.02 * p.y), -size * 0.02 * p.z);
    std::array::from_fn(|i| {
        place(match MESH_POINTS_CM.get(i) {
            Some(p) => Vec3::from(*p),
            // Irises: in the middle of the eyes' corners.
            None => {
                let [a, b] = if i < 473 { [33, 133] } else { [362, 263] };
                (Vec3::from(MESH_POINTS_CM[a]) + Vec3::from(MESH_POINTS_CM[b])) / 2.0
            }
        })
    })
}

/// An identity made of gradients: a grey-green oval before a blue wall.
pub(crate) fn identity(basis: Basis) -> Arc<Identity> {
    let size = 512;
    let (mut portrait, mut background, mut matte) = (Rgb::new(size, size), Rgb::new(size, size), Grey::new(size, size));
    for y in 0..size {
        for x in 0..size {
            let (u, v) = (x as f32 / size as f32 - 0.5, y as f32 / size as f32 - 0.5);
            let is_person = (u / 0.25).powi(2) + (v / 0.35).powi(2) < 1.0;
            let wall = [30, 60, 100 + (y / 8) as u8];
            let person = [90 + (x / 16) as u8, 140, 80 + (y / 16) as u8];
            let at = (y * size + x) * 3;
            portrait.data_mut()[at..at + 3].copy_from_slice(if is_person { &person } else { &wall });
            background.data_mut()[at..at + 3].copy_from_slice(&wall);
            matte.data_mut()[y * size + x] = if is_person { 255 } else { 0 };
        }
    }
    let (landmarks_px, pose) = (landmarks_px(size), HeadPose::default());
    let manifest = Manifest {
        format: 1,
        name: "test".to_owned(),
        consent: Consent { basis, by: "a test".to_owned(), at_unix_secs: 1 },
        created_unix_secs: 1,
        framing: Framing::Face,
        photo_sha256: String::new(),
        models: BTreeMap::new(),
        tensors: BTreeMap::new(),
    };
    Arc::new(Identity {
        manifest,
        maker: None,
        portrait,
        matte,
        background,
        shape: FaceShape::new(&landmarks_px, &pose),
        landmarks_px,
        coefficients: [0.0; 52],
        pose,
    })
}

/// What the face stage would say of a frontal face in a square frame.
pub(crate) fn observation(captured: Timestamp) -> FaceObservation {
    FaceObservation {
        captured,
        frame_size_px: (64, 64),
        landmarks_px: landmarks_px(64),
        presence: 1.0,
        ..FaceObservation::default()
    }
}

/// A camera's picture in a colour of its own.
pub(crate) fn camera_picture() -> Rgb {
    Rgb::from_data(64, 64, CAMERA_COLOUR.repeat(64 * 64)).unwrap()
}
