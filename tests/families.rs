//! The founding families as a user meets them: trained, played, measured, and what wrong input is told.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, LazyLock};

use effigy::clock::Timestamp;
use effigy::drive::{DriverLatent, LatentMotion};
use effigy::generate::family::{Family, Kind, expected, foretelling, random_of};
use effigy::generate::founding;
use effigy::generate::network::Size;
use effigy::generate::weights::Weights;
use effigy::{Identity, Portrait};
use serde_json::Value;

use crate::common;

fn lab(name: &str) -> PathBuf {
    let lab = Path::new(env!("CARGO_TARGET_TMPDIR")).join("families").join(name);
    let _ = std::fs::remove_dir_all(&lab);
    std::fs::create_dir_all(&lab).unwrap();
    lab
}

fn effigy(lab: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_effigy"));
    command.args(arguments).current_dir(lab).env("XDG_DATA_HOME", crate::data_home::data_home());
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

fn demo(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(name).display().to_string()
}

static IDENTITY: LazyLock<String> = LazyLock::new(|| {
    let lab = lab("identity");
    let arguments = ["enroll", &demo("portrait_a.png"), "-o", "a.effigy", "--consent", "synthetic", "--no-rehearsal"];
    let (code, said) = effigy(&lab, &arguments);
    assert_eq!(code, 0, "{said}");
    lab.join("a.effigy").display().to_string()
});

fn random_family(kind: Kind, size_px: usize) -> Family {
    Family::new(kind, size_px, random_of(&expected(kind, size_px).unwrap(), 5)).unwrap()
}

#[test]
fn a_driver_at_rest_shows_the_photos_own_picture_and_no_motion_can_be_had_from_one_latent() {
    for (kind, size_px) in [(Kind::Vae, 64), (Kind::Vae, 128), (Kind::IdentityDriving, 128)] {
        let mut generator = founding::open(random_family(kind, size_px), 512).unwrap();
        let identity = common::identity(512);
        let mut signal = common::rest();
        let mut shown = Portrait::default();
        assert!(generator.generate(&signal, &mut shown).is_err(), "nobody was adopted");
        generator.adopt(identity.clone()).unwrap();
        generator.generate(&signal, &mut shown).unwrap();
        let resting = shown.picture.clone();
        assert_eq!((resting.width_px(), resting.height_px()), (512, 512));
        // What is certainly background stays so.
        let corner = resting.pixel(2, 2);
        assert_eq!((corner[3], identity.matte.pixel(2, 2)), (0, [0]));
        signal.latent = LatentMotion::between(&DriverLatent::NONE, &DriverLatent::NONE, 1.0);
        generator.generate(&signal, &mut shown).unwrap();
        assert_eq!(shown.picture.data(), resting.data());
        assert_eq!(generator.name(), kind.name());
        assert!(generator.reader().unwrap().is_some(), "it is driven by the driver's picture");
    }
}

#[test]
fn a_clip_of_the_photo_plays_there_and_back_whatever_the_driver_does() {
    for kind in [Kind::VideoGan, Kind::MdGan] {
        let mut generator = founding::open(random_family(kind, 64), 512).unwrap();
        let mut shown = Portrait::default();
        assert!(generator.generate(&common::rest(), &mut shown).is_err(), "nobody was adopted");
        let identity = common::identity(512);
        generator.adopt(identity.clone()).unwrap();
        assert!(generator.reader().unwrap().is_none(), "it looks at nobody");
        let last = foretelling::n_frames(kind) as u64 - 1;
        let motions = common::motions(&identity);
        let mut at = |frame: u64| {
            generator.set_time(Timestamp::from_nanos(7_000_000_000 + frame * 40_000_000));
            generator.generate(&motions[frame as usize % motions.len()], &mut shown).unwrap();
            shown.picture.data().to_vec()
        };
        let frames: Vec<_> = (0..2 * last + 3).map(&mut at).collect();
        assert!(frames[..=last as usize].windows(2).all(|pair| pair[0] != pair[1]), "{}: it moves", kind.name());
        for ahead in 1..=last as usize {
            let last = last as usize;
            assert!(frames[last - ahead] == frames[last + ahead], "{}: and comes back", kind.name());
        }
        assert!(frames[1] == frames[2 * last as usize + 1], "{}: and begins again", kind.name());
    }
}

#[test]
fn a_clip_drives_a_family_through_the_whole_program() {
    let lab = lab("run");
    let clip = demo("driver.mp4");
    for (model, how) in [
        ("vae", "64 pixels on cpu, driven by latent differences"),
        ("vae-gan", "64 pixels on cpu, driven by latent differences"),
        ("identity-driving", "128 pixels on cpu, driven by latent differences"),
        ("video-gan", "64 pixels on cpu, a clip of the photo, driven by nobody"),
        ("md-gan", "64 pixels on cpu, a clip of the photo, driven by nobody"),
    ] {
        let (file, report) = (format!("{model}.mp4"), format!("{model}.json"));
        let sink = format!("file:{file}");
        let run = ["run", "--identity", &IDENTITY, "--source", &clip, "--model", model, "--sink", &sink];
        let more = ["--every-frame", "--duration", "0.8", "--report", &report, "--no-settings", "--unsigned"];
        let (code, said) = effigy(&lab, &[&run[..], &more].concat());
        assert_eq!(code, 0, "{said}");
        assert!(said.contains(&format!("generator: {model} of {how}")), "{said}");
        let report: Value = serde_json::from_slice(&std::fs::read(lab.join(&report)).unwrap()).unwrap();
        assert_eq!((&report["generator"], &report["backend"]), (&model.into(), &"cpu".into()));
        assert!(report["frames"]["presented"].as_u64().unwrap() >= 20, "{report}");
        // Marked as every picture that leaves is.
        let (code, said) = effigy(&lab, &["verify", &file]);
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn all_views_of_a_person_say_who_it_is() {
    let lab = lab("views");
    let enroll = ["enroll", &demo("driver.mp4"), "-o", "d.effigy", "--consent", "synthetic", "--no-rehearsal"];
    let (code, said) = effigy(&lab, &enroll);
    assert_eq!(code, 0, "{said}");
    let many = Identity::load(&lab.join("d.effigy")).unwrap();
    assert!(many.n_views() > 2);
    let mut one = many.clone();
    one.views.clear();
    let mut generator = founding::open(random_family(Kind::IdentityDriving, 128), 512).unwrap();
    let [of_many, of_one] = [many, one].map(|identity| {
        let mut shown = Portrait::default();
        generator.adopt(Arc::new(identity)).unwrap();
        generator.generate(&common::rest(), &mut shown).unwrap();
        shown.picture
    });
    let apart = of_many.data().iter().zip(of_one.data()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
    assert!(apart > 0.0, "the other views say nothing");
}

/// The mean difference between the faces of two square pictures, 0..255, after both were made small. What is around the
/// face says nothing: the ground is the photo's whatever the network paints.
fn difference(a: &Path, b: &Path) -> f32 {
    let [a, b] = [a, b].map(|path| {
        let mut picture = image::open(path).unwrap().into_rgb8();
        let part = |share: f32| (share * picture.width() as f32) as u32;
        let [x, y, width, height] = [0.38, 0.3, 0.24, 0.26].map(part);
        let face = image::imageops::crop(&mut picture, x, y, width, height).to_image();
        image::imageops::resize(&face, 12, 12, image::imageops::FilterType::Triangle)
    });
    a.iter().zip(b.iter()).map(|(a, b)| f32::from(a.abs_diff(*b))).sum::<f32>() / a.len() as f32
}

#[test]
fn the_face_that_a_driven_family_paints_has_the_photos_colours_and_not_the_drivers() {
    let lab = lab("unmasked");
    // The driver is somebody of other colours before another ground.
    let driver = demo("portrait_b.png");
    // The others never see the driver: their clips are the same whatever it does, as another test holds.
    for model in Kind::ALL.into_iter().filter(|kind| kind.is_driven()).map(Kind::name) {
        let sink = format!("file:{model}/");
        let run = ["run", "--identity", &IDENTITY, "--source", &driver, "--model", model, "--sink", &sink];
        let more = ["--duration", "0.6", "--no-badge", "--no-settings", "--unsigned", "--framing", "head"];
        let (code, said) = effigy(&lab, &[&run[..], &more].concat());
        assert_eq!(code, 0, "{said}");
        let mut n_pictures = 0;
        for entry in std::fs::read_dir(lab.join(model)).unwrap() {
            let picture = entry.unwrap().path();
            let to_photo = difference(&picture, Path::new(&demo("portrait_a.png")));
            let to_driver = difference(&picture, Path::new(&driver));
            assert!(to_photo < 0.7 * to_driver, "{}: {to_photo} and {to_driver}", picture.display());
            n_pictures += 1;
        }
        assert!(n_pictures > 0, "{model}: no picture");
    }
}

#[test]
fn a_family_in_a_list_of_clips() {
    let lab = lab("render");
    let line = serde_json::json!({
        "identity": *IDENTITY, "clip": demo("driver.mp4"), "output": "out.mp4", "model": "vae", "duration": 0.3,
        "unsigned": true,
    });
    let mut wrong = line.clone();
    wrong["backend"] = "wgpu".into();
    std::fs::write(lab.join("jobs.jsonl"), format!("{line}\n")).unwrap();
    std::fs::write(lab.join("wrong.jsonl"), format!("{wrong}\n")).unwrap();
    let (code, said) = effigy(&lab, &["render", "jobs.jsonl"]);
    assert_eq!(code, 0, "{said}");
    let results = std::fs::read_to_string(lab.join("jobs.results.jsonl")).unwrap();
    let result: Value = serde_json::from_str(results.lines().next().unwrap()).unwrap();
    assert_eq!(result["generator"], "vae");
    let (code, said) = effigy(&lab, &["render", "wrong.jsonl"]);
    assert!(
        code != 0 && said.contains("--model vae runs on the processor, and --backend wgpu was asked for"),
        "{said}"
    );
}

#[test]
fn wrong_input_is_told_what_was_expected_and_what_to_type() {
    let lab = lab("wrong");
    let gan = random_family(Kind::VaeGan, 64).to_bytes().unwrap();
    std::fs::write(lab.join("gan.safetensors"), &gan).unwrap();
    std::fs::write(lab.join("torn.safetensors"), &gan[..gan.len() / 3]).unwrap();
    let own = Weights::random(Size::Small, 1).to_bytes().unwrap();
    std::fs::write(lab.join("own.safetensors"), own).unwrap();
    let clip = demo("driver.mp4");
    let cases: &[(&[&str], &str)] = &[
        (&["--weights", "gan.safetensors"], "expected the family `vae`, found `vae-gan`; give --model vae-gan"),
        (&["--weights", "torn.safetensors"], "expected a safetensors file of a family"),
        (&["--weights", "own.safetensors"], "found the generator's network `small`, which plays without --model"),
        (&["--weights", "none.safetensors"], "cannot read the weights none.safetensors"),
        (&["--backend", "cuda"], "--model vae runs on the processor, and --backend cuda was asked for"),
        (&["--source", "vmc:39540"], "--model vae is driven by pictures, and --source vmc:127.0.0.1:39540 has none"),
    ];
    for (more, expected) in cases {
        let source = if more.contains(&"--source") { vec![] } else { vec!["--source", clip.as_str()] };
        let run = ["run", "--identity", &IDENTITY, "--model", "vae", "--sink", "null", "--no-settings"];
        let (code, said) = effigy(&lab, &[&run[..], &source, more].concat());
        assert!(code != 0 && said.contains(expected), "{more:?}: {said}");
    }
    // A family's weights are none of the generator's.
    let run = ["run", "--identity", &IDENTITY, "--source", &clip, "--sink", "null", "--weights", "gan.safetensors"];
    let (code, said) = effigy(&lab, &run);
    assert!(code != 0 && said.contains("expected `size` small or large in the file's header"), "{said}");
}

#[cfg(feature = "train")]
#[test]
fn a_family_is_trained_from_a_data_set_and_measured_beside_the_warp() {
    let lab = lab("train");
    let (code, said) = effigy(&lab, &["prepare", &demo("driver.mp4"), &demo("portrait_b.png"), "-o", "data"]);
    assert_eq!(code, 0, "{said}");
    let train =
        |more: &[&str]| effigy(&lab, &[&["train", "data", "-o", "out", "--steps", "2", "--batch", "2"], more].concat());
    let (code, said) = train(&["--family", "vae"]);
    assert_eq!(code, 0, "{said}");
    assert!(lab.join("out/vae.safetensors").is_file() && lab.join("out/curves.svg").is_file());
    let (code, said) = train(&["--family", "vae-gan"]);
    assert!(code != 0 && said.contains("expected a network `vae-gan 64`, found \"vae 64\""), "{said}");
    let (code, said) = train(&["--family", "dcgan-video", "--size", "128"]);
    assert!(code != 0 && said.contains("--size is of vae and vae-gan; dcgan-video has one size only"), "{said}");
    let clips = ["train", "data", "-o", "clips", "--steps", "1", "--batch", "1", "--family", "dcgan-video"];
    let (code, said) = effigy(&lab, &clips);
    assert_eq!(code, 0, "{said}");
    let sample = ["train", "--family", "dcgan-video", "--sample", "clips.png", "--weights"];
    let (code, said) = effigy(&lab, &[&sample[..], &["clips/dcgan-video.safetensors"]].concat());
    assert_eq!(code, 0, "{said}");
    assert_eq!(image::open(lab.join("clips.png")).unwrap().width(), 16 * 64);
    let (code, said) = effigy(&lab, &[&sample[..], &["out/vae.safetensors"]].concat());
    assert!(code != 0 && said.contains("expected a safetensors file of the family `dcgan-video`, found vae"), "{said}");
    for family in ["identity-driving", "md-gan", "video-gan"] {
        let out = format!("out-{family}");
        let train = ["train", "data", "-o", &out, "--steps", "1", "--batch", "1", "--family", family];
        let (code, said) = effigy(&lab, &train);
        assert_eq!(code, 0, "{said}");
        assert!(lab.join(&out).join(format!("{family}.safetensors")).is_file());
    }
    let sample = ["train", "--family", "video-gan", "--sample", "noise.png", "--weights"];
    let (code, said) = effigy(&lab, &[&sample[..], &["out-video-gan/video-gan.safetensors"]].concat());
    assert_eq!(code, 0, "{said}");
    assert_eq!(image::open(lab.join("noise.png")).unwrap().width(), 16 * 64);
    for family in ["dcgan-video", "video-gan"] {
        let (code, said) = effigy(&lab, &["train", "--family", family, "--sample", "own.png"]);
        assert_eq!(code, 0, "{said}");
        assert_eq!(image::open(lab.join("own.png")).unwrap().width(), 16 * 64);
    }
    let (code, said) = effigy(&lab, &["train", "--family", "md-gan", "--sample", "own.png"]);
    assert!(code != 0 && said.contains("give --family dcgan-video or video-gan"), "{said}");
    let (code, said) = effigy(&lab, &[&sample[..], &["out/vae.safetensors"]].concat());
    assert!(code != 0 && said.contains("expected the family `video-gan`, found `vae`; give --model vae"), "{said}");

    let (code, said) = effigy(
        &lab,
        &[
            "eval",
            &demo("driver.mp4"),
            "--every",
            "60",
            "--size",
            "64",
            "--generator",
            "warp",
            "--generator",
            "new=vae:out/vae.safetensors",
            "--generator",
            "md-gan:out-md-gan/md-gan.safetensors",
            "--json",
            "out.json",
        ],
    );
    assert_eq!(code, 0, "{said}");
    let json: Value = serde_json::from_slice(&std::fs::read(lab.join("out.json")).unwrap()).unwrap();
    let generators = &json["suites"][0]["generators"];
    assert_eq!((&generators[1]["label"], &generators[1]["backend"]), (&"new".into(), &"cpu".into()));
    let psnr = |i: usize| generators[i]["figures"]["psnr_db"]["mean"].as_f64().unwrap();
    assert!(psnr(0) > psnr(1), "two steps teach nothing: {} against {}", psnr(0), psnr(1));
}
