//! Packs as a user meets them: small networks in both layouts, played; and what a pack that does not fit is told.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::Path;

use effigy::drive::{DriverLatent, LatentMotion};
use effigy::generate::pack::PackGenerator;
use effigy::onnx::Provider;
use effigy::onnx::writer::{Attribute, ModelWriter};
use effigy::{Generator, Portrait};
use serde_json::{Value, json};

use crate::common;
use crate::home::Home;

const PX: usize = 32;
const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/driver.mp4");

fn home(name: &str) -> Home {
    Home::new("packs", name, &["me"], &common::identity(512))
}

/// A network that answers with what depends on the mean colour of a picture: outputs of these names and extents.
fn motion(outputs: &[(&str, &[usize])]) -> Vec<u8> {
    let mut w = ModelWriter::default();
    w.input("picture", &[1, 3, PX, PX]);
    let mean = w.node("GlobalAveragePool", &["picture"], &[]);
    let row = w.ints(&[1, 3]);
    let mean = w.node("Reshape", &[&mean, &row], &[]);
    for (name, dims) in outputs {
        let n: usize = dims.iter().product();
        let weights = w.floats(&[3, n], &(0..3 * n).map(|i| 0.2 + 0.01 * (i % 7) as f32).collect::<Vec<_>>());
        let flat = w.node("MatMul", &[&mean, &weights], &[]);
        let extents = w.ints(&dims.iter().map(|&extent| extent as i64).collect::<Vec<_>>());
        w.node_to("Reshape", &[&flat, &extents], &[], name);
        w.output(name, dims);
    }
    w.finish("motion")
}

/// A network whose picture is the photo, brighter by how far the points have moved in the mean.
fn frame(photo: &str, photo_points: &str, points: &str, dims: &[usize], more: &[(&str, &[usize])]) -> Vec<u8> {
    let mut w = ModelWriter::default();
    w.input(photo, &[1, 3, PX, PX]);
    for (name, dims) in [(photo_points, dims), (points, dims)].iter().chain(more) {
        w.input(name, dims);
    }
    let mut moved = w.node("Sub", &[points, photo_points], &[]);
    // Whatever is given has a part in it, so that nothing is taken out of the graph.
    for (name, _) in more {
        let sum = w.node("ReduceMean", &[name], &[("keepdims", Attribute::Int(0))]);
        let nothing = w.floats(&[], &[0.0]);
        let nothing = w.node("Mul", &[&sum, &nothing], &[]);
        moved = w.node("Add", &[&moved, &nothing], &[]);
    }
    let moved = w.node("ReduceMean", &[&moved], &[("keepdims", Attribute::Int(0))]);
    w.node_to("Add", &[photo, &moved], &[], "picture");
    w.output("picture", &[1, 3, PX, PX]);
    w.finish("frame")
}

fn once() -> Vec<u8> {
    let mut w = ModelWriter::default();
    w.input("picture", &[1, 3, PX, PX]);
    w.node_to("Identity", &["picture"], &[], "features");
    w.output("features", &[1, 3, PX, PX]);
    w.finish("once")
}

fn first_order(folder: &Path) -> Value {
    let jacobians: (&str, &[usize]) = ("jacobian", &[1, 2, 2, 2]);
    std::fs::write(folder.join("motion.onnx"), motion(&[("value", &[1, 2, 2]), jacobians])).unwrap();
    let more: [(&str, &[usize]); 2] = [("photo_jacobians", &[1, 2, 2, 2]), ("jacobians", &[1, 2, 2, 2])];
    std::fs::write(folder.join("frame.onnx"), frame("photo", "photo_points", "points", &[1, 2, 2], &more)).unwrap();
    json!({
        "name": "small first order", "layout": "first-order", "licence": "none", "size_px": PX, "n_points": 2,
        "motion": { "file": "motion.onnx", "names": { "points": "value", "jacobians": "jacobian" } },
        "frame": { "file": "frame.onnx" },
    })
}

fn live_portrait(folder: &Path) -> Value {
    let answers: [(&str, &[usize]); 7] = [
        ("pitch", &[1, 66]),
        ("yaw", &[1, 66]),
        ("roll", &[1, 1]),
        ("translation", &[1, 3]),
        ("scale", &[1, 1]),
        ("displacements", &[1, 6]),
        ("points", &[1, 6]),
    ];
    std::fs::write(folder.join("motion.onnx"), motion(&answers)).unwrap();
    std::fs::write(folder.join("once.onnx"), once()).unwrap();
    std::fs::write(folder.join("frame.onnx"), frame("features", "photo_points", "points", &[1, 2, 3], &[])).unwrap();
    json!({
        "name": "small live portrait", "layout": "live-portrait", "size_px": PX, "n_points": 2,
        "motion": { "file": "motion.onnx" }, "once": { "file": "once.onnx" }, "frame": { "file": "frame.onnx" },
    })
}

fn write(folder: &Path, manifest: &Value) {
    std::fs::write(folder.join("pack.json"), manifest.to_string()).unwrap();
}

/// A folder with networks, and its manifest.
type Made = fn(&Path) -> Value;
const LAYOUTS: [(&str, Made); 2] = [("small first order", first_order), ("small live portrait", live_portrait)];

#[test]
fn a_driver_at_rest_leaves_the_photo_as_it_is() {
    for (name, made) in LAYOUTS {
        let Home(folder) = &home(&format!("rest of {name}"));
        write(folder, &made(folder));
        let mut generator = PackGenerator::open(folder, Provider::Cpu, 256).unwrap();
        assert_eq!((generator.name(), generator.backend()), (name, "cpu"));
        assert!(generator.reader().unwrap().is_some(), "it is driven by the driver's picture");
        let identity = common::identity(512);
        let (mut signal, mut shown) = (common::rest(), Portrait::default());
        assert!(generator.generate(&signal, &mut shown).is_err(), "nobody was adopted");
        generator.adopt(identity.clone()).unwrap();
        signal.latent = LatentMotion::between(&DriverLatent::NONE, &DriverLatent::NONE, 1.0);
        generator.generate(&signal, &mut shown).unwrap();
        assert_eq!((shown.picture.width_px(), shown.picture.height_px()), (256, 256));
        // In the middle of a portrait, which is made small and large again, the colours are the photo's in the mean.
        let mean = |of: &dyn Fn(usize, usize) -> [u8; 3], from: usize, to: usize| {
            let places = (from..to).flat_map(|y| (from..to).map(move |x| (x, y)));
            let sums = places.fold([0.0; 3], |sums: [f64; 3], (x, y)| {
                let found = of(x, y);
                std::array::from_fn(|c| sums[c] + f64::from(found[c]))
            });
            sums.map(|sum| sum / ((to - from) * (to - from)) as f64)
        };
        let shown_mean = mean(
            &|x, y| {
                let [r, g, b, _] = shown.picture.pixel(x, y);
                [r, g, b]
            },
            96,
            160,
        );
        let photo_mean = mean(&|x, y| identity.portrait.pixel(x, y), 192, 320);
        for (shown, photo) in shown_mean.iter().zip(photo_mean) {
            assert!((shown - photo).abs() < 3.0, "{name}: {shown_mean:?} {photo_mean:?}");
        }
    }
}

#[test]
fn a_clip_drives_a_pack_through_the_whole_program() {
    for (name, made) in LAYOUTS {
        let home = home(&format!("run of {name}"));
        write(&home.0, &made(&home.0));
        let run = "run --identity me.effigy --model pack:. --sink file:out.mp4 --every-frame --duration 0.8 --report run.json \
                   --no-settings --unsigned";
        let said = home.said(home.command(run).args(["--source", CLIP]), 0);
        assert!(said.contains(&format!("generator: the pack {name} on cpu")), "{said}");
        let report: Value = serde_json::from_slice(&std::fs::read(home.0.join("run.json")).unwrap()).unwrap();
        assert_eq!((&report["generator"], &report["backend"]), (&name.into(), &"cpu".into()));
        assert!(report["frames"]["presented"].as_u64().unwrap() >= 20, "{report}");
        // Marked as every picture that leaves is.
        home.says("verify out.mp4", 0);
    }
}

#[test]
fn what_does_not_fit_is_told_what_was_expected_and_what_to_type() {
    let home = home("wrong");
    let changed = |name: &str, change: &dyn Fn(&mut Value, &Path)| {
        let folder = home.0.join(name);
        std::fs::create_dir(&folder).unwrap();
        let mut manifest = first_order(&folder);
        change(&mut manifest, &folder);
        write(&folder, &manifest);
    };
    changed("good", &|_, _| {});
    changed("other-names", &|manifest, _| manifest["motion"]["names"] = json!({}));
    changed("other-size", &|manifest, _| manifest["size_px"] = 64.into());
    changed("huge", &|manifest, _| manifest["size_px"] = 4096.into());
    changed("more-points", &|manifest, _| manifest["n_points"] = 3.into());
    changed("no-such-layout", &|manifest, _| manifest["layout"] = "x2face".into());
    changed("a-word-too-many", &|manifest, _| manifest["sise_px"] = 1.into());
    changed("outside", &|manifest, _| manifest["frame"]["file"] = "../good/frame.onnx".into());
    changed("no-network", &|_, folder| std::fs::remove_file(folder.join("frame.onnx")).unwrap());
    changed("once-too-many", &|manifest, _| manifest["once"] = json!({ "file": "frame.onnx" }));
    changed("torn", &|_, folder| {
        let bytes = std::fs::read(folder.join("frame.onnx")).unwrap();
        std::fs::write(folder.join("frame.onnx"), &bytes[..bytes.len() / 2]).unwrap();
    });
    changed("no-jacobians", &|_, folder| {
        std::fs::write(folder.join("motion.onnx"), motion(&[("value", &[1, 2, 2])])).unwrap();
    });
    changed("half-the-jacobians", &|_, folder| {
        let more: [(&str, &[usize]); 1] = [("photo_jacobians", &[1, 2, 2, 2])];
        std::fs::write(folder.join("frame.onnx"), frame("photo", "photo_points", "points", &[1, 2, 2], &more)).unwrap();
    });
    changed("one-input-more", &|_, folder| {
        let more: [(&str, &[usize]); 3] =
            [("photo_jacobians", &[1, 2, 2, 2]), ("jacobians", &[1, 2, 2, 2]), ("mood", &[1, 1])];
        std::fs::write(folder.join("frame.onnx"), frame("photo", "photo_points", "points", &[1, 2, 2], &more)).unwrap();
    });
    std::fs::create_dir(home.0.join("empty")).unwrap();
    let cases: &[(&str, &[&str], &str)] = &[
        ("empty", &[], "a pack is a folder with that file and ONNX networks"),
        ("nowhere", &[], "cannot read nowhere/pack.json"),
        ("other-names", &[], "has no output `points`, but value, jacobian; say in \"names\" of pack.json"),
        ("other-size", &[], "has 3072 numbers in its input `picture`: expected 12288"),
        ("huge", &[], "expected size_px from 32 to 256, found 4096"),
        ("more-points", &[], "has 4 numbers in its output `value`: expected 6"),
        ("no-such-layout", &[], "unknown variant `x2face`"),
        ("a-word-too-many", &[], "unknown field `sise_px`"),
        ("outside", &[], "expected the name of a file in the pack, found \"../good/frame.onnx\""),
        ("no-network", &[], "cannot read the pack's network"),
        ("once-too-many", &[], "the layout first-order has no network `once`"),
        ("torn", &[], "ONNX Runtime refuses the model frame of the pack"),
        ("no-jacobians", &[], "has Jacobians and the other has none"),
        ("half-the-jacobians", &[], "has Jacobians and the other has none"),
        ("one-input-more", &[], "has an input `mood` that nothing in this layout fills"),
        ("good", &["--backend", "wgpu"], "runs on the processor or an NVIDIA card, and --backend wgpu was asked for"),
        ("good", &["--backend", "cuda"], "name the libonnxruntime.so of an onnxruntime-gpu in EFFIGY_ONNXRUNTIME"),
        ("good", &["--weights", "me.effigy"], "has its weights in its folder; leave --weights out"),
        ("good", &["--source", "vmc:39540"], "is driven by pictures, and --source vmc:127.0.0.1:39540 has none"),
    ];
    for (folder, more, expected) in cases {
        let mut command = home.command("run --identity me.effigy --sink null --no-settings");
        command.args(["--model", &format!("pack:{folder}")]).args(*more);
        if !more.contains(&"--source") {
            command.args(["--source", CLIP]);
        }
        let code = if more.is_empty() || more.contains(&"cuda") { 1 } else { 2 };
        let said = home.said(&mut command, code);
        assert!(said.contains(expected), "{folder} {more:?}: {said}");
    }
    let line = json!({
        "identity": "me.effigy", "clip": CLIP, "output": "out.mp4", "model": "pack:good", "duration": 0.2, "unsigned": true,
    });
    std::fs::write(home.0.join("jobs.jsonl"), format!("{line}\n")).unwrap();
    home.says("render jobs.jsonl", 0);
}
