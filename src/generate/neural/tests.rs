//! An identity whose preparation never ends holds up nobody.

use crossbeam_channel::{Sender, bounded};
use glam::{Vec2, Vec3};

use super::*;
use crate::frame::{Grey, Rgb};
use crate::generate::network::Size;
use crate::generate::twin::TwinExecutor;
use crate::geometry::{FaceShape, HeadPose, Landmarks, MESH_POINTS_CM, N_COEFFICIENTS, N_LANDMARKS, N_MESH_POINTS};
use crate::identity::{Basis, Consent, Framing, Manifest};

const SIZE_PX: usize = 512;

/// The mesh as a portrait, of which no picture is needed.
fn identity(name: &str) -> Arc<Identity> {
    let mut at_cm = [Vec3::ZERO; N_LANDMARKS];
    at_cm[..N_MESH_POINTS].copy_from_slice(&MESH_POINTS_CM);
    // The mesh has no irises: each is in the middle between the corners of its eye.
    for (first, corners) in [(N_MESH_POINTS, [33, 133]), (473, [362, 263])] {
        let [from, to] = corners.map(|corner: usize| MESH_POINTS_CM[corner]);
        for (i, off) in [Vec3::ZERO, Vec3::X, Vec3::Y, -Vec3::X, -Vec3::Y].into_iter().enumerate() {
            at_cm[first + i] = from.midpoint(to) + 0.6 * off;
        }
    }
    let landmarks_px: Landmarks =
        at_cm.map(|at_cm| at_cm * Vec3::new(12.0, -12.0, -12.0) + Vec2::splat(0.5 * SIZE_PX as f32).extend(0.0));
    let consent = Consent {
        basis: Basis::Synthetic,
        by: String::new(),
        at_unix_secs: 0,
        until_unix_secs: None,
        purpose: None,
        statement_sha256: None,
        spoken: None,
    };
    let manifest = Manifest {
        format: 1,
        name: name.to_owned(),
        consent,
        created_unix_secs: 0,
        framing: Framing::Keep,
        photo_sha256: String::new(),
        views: Vec::new(),
        models: Default::default(),
        tensors: Default::default(),
    };
    let pose = HeadPose::default();
    Arc::new(Identity {
        manifest,
        maker: None,
        portrait: Rgb::new(SIZE_PX, SIZE_PX),
        matte: Grey::new(SIZE_PX, SIZE_PX),
        background: Rgb::new(SIZE_PX, SIZE_PX),
        shape: FaceShape::new(&landmarks_px, &pose),
        landmarks_px,
        coefficients: [0.0; N_COEFFICIENTS],
        pose,
        emphasis: None,
        photo: None,
        views: Vec::new(),
    })
}

/// What does not end before the sender is dropped, and is waited for so long.
fn hanging(patience: Duration) -> (Sender<()>, Pending<Box<Ensemble>>) {
    let (release, released) = bounded::<()>(0);
    let pending = Pending::start("preparing hung on a card".to_owned(), patience, move || {
        let _ = released.recv();
        Err(Error::new(ErrorKind::Internal, "the test let it go"))
    });
    (release, pending.unwrap())
}

#[test]
fn an_identity_that_hangs_is_refused_by_name_and_others_are_prepared() {
    let open: OpenExecutor = |plan| Ok(Box::new(TwinExecutor::new(plan)));
    let mut generator = NeuralGenerator::new(Weights::random(Size::Small, 1), SIZE_PX, open).unwrap();
    let (hung, other) = (identity("hung"), identity("other"));
    let says = |error: Error| error.to_string().starts_with("preparing hung on a card was waited for");

    let (_asked, pending) = hanging(Duration::from_millis(20));
    generator.pending = Some((Arc::clone(&hung), pending));
    assert!(says(generator.adopt(Arc::clone(&hung)).unwrap_err()), "it was not waited for");
    assert!(generator.pending.is_none());

    let (_in_background, pending) = hanging(Duration::ZERO);
    generator.pending = Some((Arc::clone(&hung), pending));
    assert!(!generator.prepare(&other).unwrap());
    assert!(
        generator.pending.as_ref().is_some_and(|(whom, _)| Arc::ptr_eq(whom, &other)),
        "the other one waits for it"
    );
    assert!(says(generator.prepare(&hung).unwrap_err()), "it was not told");
}
