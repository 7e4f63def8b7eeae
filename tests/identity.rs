//! Identity files: what is written is read back; what is torn, changed or foreign is refused with its reason.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use crate::common;
use crate::damage::{Random, damaged, n_runs};
use effigy::identity::{Basis, Signer};
use effigy::{ErrorKind, Identity};

fn signer(name: &str) -> Signer {
    let folder = std::env::temp_dir().join(format!("effigy-test-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let signer = Signer::open_or_create_at(&folder.join("key")).unwrap();
    assert_eq!(
        Signer::open_or_create_at(&folder.join("key")).unwrap().public_key(),
        signer.public_key(),
        "the key made on first use is the one used later"
    );
    std::fs::remove_dir_all(folder).unwrap();
    signer
}

#[test]
fn an_identity_survives_its_file() {
    let (identity, signer) = (common::identity_on(Basis::Synthetic), signer("round-trip"));
    let read = Identity::from_bytes(&identity.to_bytes(&signer).unwrap()).unwrap();
    assert_eq!(read.portrait, identity.portrait);
    assert_eq!(read.matte, identity.matte);
    assert_eq!(read.background, identity.background);
    assert_eq!(read.landmarks_px, identity.landmarks_px);
    assert_eq!(read.pose, identity.pose);
    assert_eq!(read.manifest.consent, identity.manifest.consent);
    assert_eq!(read.maker.as_deref(), Some(&*signer.public_key()));
}

#[test]
fn a_photo_survives_its_file_and_a_file_without_one_is_read() {
    let (identity, signer) = (common::identity_with_photo(), signer("photo"));
    let file = identity.to_bytes(&signer).unwrap();
    let read = Identity::from_bytes(&file).unwrap();
    let (before, after) = (identity.photo.as_ref().unwrap(), read.photo.as_ref().unwrap());
    assert_eq!((&before.picture, &before.matte, before.crop), (&after.picture, &after.matte, after.crop));
    assert_eq!(read.to_bytes(&signer).unwrap().len(), file.len(), "the photo is not compressed again");
    let without = common::identity_on(Basis::Synthetic).to_bytes(&signer).unwrap();
    assert!(Identity::from_bytes(&without).unwrap().photo.is_none());
}

#[test]
fn a_photo_that_cannot_be_right_is_refused() {
    use effigy::Grey;
    use effigy::identity::{PhotoCrop, WholePhoto};
    let crop = PhotoCrop { left_px: 0.0, top_px: 0.0, side_px: 512.0 };
    let refused = |jpeg: &[u8], crop| WholePhoto::from_jpeg(jpeg.to_vec(), Grey::new(8, 8), crop).unwrap_err();
    for jpeg in [&b"no jpeg"[..], b"", &[0xff, 0xd8, 0xff]] {
        assert!(refused(jpeg, crop).to_string().contains("no JPEG of at most 3840 pixels a side"));
    }
    let mut jpeg = Vec::new();
    let picture = image::RgbImage::new(64, 48);
    picture.write_with_encoder(image::codecs::jpeg::JpegEncoder::new(&mut jpeg)).unwrap();
    for (left_px, top_px, side_px) in
        [(64.0, 0.0, 16.0), (0.0, -16.0, 16.0), (0.0, 0.0, 1.0), (0.0, 0.0, 1e4), (f32::NAN, 0.0, 16.0)]
    {
        let error = refused(&jpeg, PhotoCrop { left_px, top_px, side_px });
        assert!(error.to_string().contains("outside the photo"), "{error}");
    }
}

#[test]
fn the_signing_key_is_for_the_user_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = std::env::temp_dir().join(format!("effigy-test-{}-mode", std::process::id()));
    let path = folder.join("deep").join("key");
    Signer::open_or_create_at(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&path, "not a key").unwrap();
    let error = Signer::open_or_create_at(&path).unwrap_err();
    assert!(error.to_string().contains("64 hexadecimal digits"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Replaces text in a file's header by text of the same length.
fn replaced(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = file.windows(from.len()).position(|w| w == from.as_bytes()).expect("the text is in the header");
    let mut file = file.to_vec();
    file[at..at + to.len()].copy_from_slice(to.as_bytes());
    file
}

#[test]
fn what_is_not_as_it_was_signed_is_refused_with_its_reason() {
    let file = common::identity_on(Basis::Subject).to_bytes(&signer("tamper")).unwrap();
    let mut last_byte = file.clone();
    *last_byte.last_mut().unwrap() ^= 1;
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("empty", vec![], "torn file"),
        ("text", b"hello, this is not an identity".to_vec(), "torn file"),
        ("torn", file[..file.len() / 2].to_vec(), "torn file"),
        ("torn in the header", file[..200].to_vec(), "torn file"),
        ("other consent", replaced(&file, r#"\"subject\""#, r#"\"synthet\""#), "signature does not hold"),
        ("a pixel", last_byte, "not the one that was signed"),
        ("other name of a tensor", replaced(&file, "\"matte\":{\"dtype", "\"mattx\":{\"dtype"), "\"matte\" is missing"),
        ("other shape", replaced(&file, "[512,512,1]", "[512,1,512]"), "\"matte\" should be U8 [512, 512, 1]"),
    ];
    for (case, bytes, reason) in cases {
        let error = Identity::from_bytes(&bytes).expect_err(case);
        assert_eq!(error.kind(), ErrorKind::Identity, "{case}: {error}");
        assert!(error.to_string().contains(reason), "{case}: {error}");
    }
}

#[test]
fn a_file_is_replaced_only_when_all_of_the_new_one_is_written() {
    let (identity, signer) = (common::identity_on(Basis::Own), signer("save"));
    let folder = std::env::temp_dir().join(format!("effigy-test-{}-save-dir", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a.effigy");
    identity.save(&path, &signer).unwrap();
    identity.save(&path, &signer).unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "no unfinished file is left");
    assert!(Identity::load(&path).is_ok());
    let error = identity.save(&folder.join("missing/a.effigy"), &signer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    std::fs::remove_dir_all(folder).unwrap();
}

/// A damaged file must be refused, without a panic and without taking memory for what it claims.
///
/// `EFFIGY_FUZZ_RUNS` sets how many; `cargo fuzz run identity` looks for more.
#[test]
fn no_damaged_file_does_harm() {
    let n_runs = n_runs("EFFIGY_FUZZ_RUNS", 1_000_000);
    let whole = common::identity_on(Basis::Synthetic).to_bytes(&signer("fuzz")).unwrap();
    let header_end = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    // The header with little behind it: nearly all of the parser, at a thousandth of the time.
    let header = &whole[..header_end + 64];
    let corpus: Vec<Vec<u8>> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/identity"))
        .unwrap()
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(corpus.len() >= 5, "the corpus is there");
    for file in &corpus {
        let _ = Identity::from_bytes(file);
    }
    let mut random = Random::new();
    for run in 0..n_runs {
        let seed: &[u8] = match run % 4 {
            0 => &corpus[run / 4 % corpus.len()],
            _ => header,
        };
        let file = damaged(seed, &mut random);
        if let Ok(identity) = Identity::from_bytes(&file) {
            assert!(seed != header, "a damaged header was accepted: {}", identity.manifest.name);
        }
    }
    for _ in 0..20 {
        let file = damaged(&whole, &mut random);
        assert!(file == whole || Identity::from_bytes(&file).is_err(), "a damaged file was accepted");
    }
}
