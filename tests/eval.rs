//! `effigy eval` as a user meets it: a table, the files, and what it says to wrong input.
#![cfg(feature = "train")]
#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::print_stderr, reason = "a test that could not look says so")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use effigy::generate::network::Size;
use effigy::generate::weights::Weights;
use serde_json::Value;

fn lab(name: &str) -> PathBuf {
    let lab = Path::new(env!("CARGO_TARGET_TMPDIR")).join("eval").join(name);
    let _ = std::fs::remove_dir_all(&lab);
    std::fs::create_dir_all(&lab).unwrap();
    lab
}

fn eval(lab: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_effigy")).arg("eval").args(arguments).current_dir(lab).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn driver() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/driver.mp4").display().to_string()
}

#[test]
fn two_generators_are_compared_in_a_table_json_a_page_and_a_strip() {
    let lab = lab("compare");
    std::fs::write(lab.join("random.safetensors"), Weights::random(Size::Small, 3).to_bytes().unwrap()).unwrap();
    let driver = driver();
    let arguments = ["--every", "30", "--generator", "warp", "--generator", "new=cpu:random.safetensors"];
    let reports = ["--json", "out.json", "--html", "out.html", "--strip", "out.png"];
    let output = eval(&lab, &[&[driver.as_str()], &arguments[..], &reports].concat());
    let (table, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(table.starts_with("self-reenactment: "), "{table}");
    let psnr = table.lines().find(|line| line.contains(" mouth PSNR (dB)")).unwrap();
    assert!(psnr.split_whitespace().nth(3).unwrap().ends_with('*'), "the warp beats random weights: {psnr}");
    for file in ["mobilenet_v2-b0353104.pth", "--recognition FILE"] {
        assert!(said.contains(file) && table.contains(file), "{said}\n{table}");
    }

    let json: Value = serde_json::from_slice(&std::fs::read(lab.join("out.json")).unwrap()).unwrap();
    assert_eq!((json["schema"].as_u64(), json["options"]["every"].as_u64()), (Some(1), Some(30)));
    let suite = &json["suites"][0];
    assert_eq!(suite["cases"][0]["name"], "driver");
    let n_frames = suite["n_frames"].as_u64().unwrap();
    assert!((9..=10).contains(&n_frames), "{n_frames}");
    let [warp, new] = [0, 1].map(|i| &suite["generators"][i]);
    assert_eq!((&warp["label"], &new["label"]), (&"warp".into(), &"new".into()));
    assert!(["cpu", "cpu int8"].contains(&new["backend"].as_str().unwrap()), "{}", new["backend"]);
    let mean = |of: &Value, key: &str| of["figures"][key]["mean"].as_f64().unwrap();
    // What the demo's driver gives, with room for other processors' rounding and no more.
    assert!(mean(warp, "psnr_db") > 22.0 && mean(warp, "akd_px") < 2.5, "{warp:#}");
    assert!(mean(warp, "psnr_db") > mean(new, "psnr_db"));
    assert!(warp["figures"]["flicker"]["n"].as_u64().unwrap() >= 4, "frames are measured in runs of two");

    for key in ["vif", "fine_detail"] {
        let share = mean(warp, key);
        assert!((0.2..1.2).contains(&share), "{key} {share}");
    }
    assert!(table.contains("no intervals: one clip says nothing of others"), "{table}");
    assert!(warp["figures"]["vif"].get("interval_95").is_none(), "{warp:#}");

    let page = std::fs::read_to_string(lab.join("out.html")).unwrap();
    assert!(page.contains("data:image/jpeg;base64,") && !page.contains("src=\"http"));
    let strip = image::open(lab.join("out.png")).unwrap();
    // Portrait, truth, two generators, two errors.
    assert_eq!(strip.width(), 6 * 256);
    assert!(strip.height() >= 3 * 256);
}

#[test]
fn figures_by_features_say_how_many_frames_they_need() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("EFFIGY_SHARED").map_or_else(beside, std::path::PathBuf::from);
    let weights = shared.join("data/models/mobilenet_v2-b0353104.pth");
    if !weights.exists() {
        eprintln!("no {}: figures by features are not tested", weights.display());
        return;
    }
    let lab = lab("features");
    let weights = weights.display().to_string();
    let driver = driver();
    let arguments = [driver.as_str(), "--every", "60", "--generator", "warp", "--size", "64", "--features", &weights];
    let output = eval(&lab, &[&arguments[..], &["--json", "out.json"]].concat());
    let table = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(table.contains("LPIPS-like distance (MobileNetV2, unlearned)"), "{table}");
    assert!(
        table.contains("needs two windows or more of 16 neighbouring frames, found 0: longer clips, and --every 1")
    );
    assert!(!table.contains("  FVD-like distance"), "{table}");
    let json: Value = serde_json::from_slice(&std::fs::read(lab.join("out.json")).unwrap()).unwrap();
    let figures = &json["suites"][0]["generators"][0]["figures"];
    // One face is one class or few.
    assert!((1.0..2.0).contains(&figures["class_score"]["mean"].as_f64().unwrap()), "{figures:#}");
    assert!(figures.get("fvd_like").is_none(), "{figures:#}");
}

#[test]
fn parts_are_joined_to_what_one_process_measures() {
    let lab = lab("parts");
    std::fs::create_dir(lab.join("clips")).unwrap();
    for name in ["a", "b", "c"] {
        std::fs::copy(driver(), lab.join(format!("clips/{name}.mp4"))).unwrap();
    }
    std::fs::write(lab.join("clips/torn.mp4"), "no video").unwrap();
    let arguments = ["clips", "--every", "40", "--generator", "warp"];
    let whole = eval(&lab, &[&arguments[..], &["--json", "whole.json", "--strip", "whole.png"]].concat());
    assert!(whole.status.success(), "{whole:?}");
    for (shard, part) in [("0/2", "0.json"), ("1/2", "1.json")] {
        let output = eval(&lab, &[&arguments[..], &["--shard", shard, "--part", part]].concat());
        assert!(output.status.success(), "{output:?}");
    }
    let merge = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_effigy")).arg("merge").args(arguments).current_dir(&lab).output().unwrap()
    };
    for output in ["joined.json", "joined.png", "joined.html"] {
        let output = merge(&["1.json", "0.json", "-o", output]);
        assert!(output.status.success(), "{output:?}");
    }
    // All but the time that each frame took is the same, digit by digit.
    let read = |name: &str| {
        let text = std::fs::read_to_string(lab.join(name)).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let times: Vec<usize> = (0..lines.len()).filter(|&i| lines[i].contains("\"frame_ms\"")).collect();
        assert_eq!(times.len(), 4, "of all cases and of each");
        for at in times {
            lines[at + 1..].iter_mut().take_while(|line| !line.contains('}')).for_each(String::clear);
        }
        lines.join("\n")
    };
    assert_eq!(read("joined.json"), read("whole.json"));
    assert!(read("joined.json").contains("\"case\": \"torn\""));
    // Three clips that are the same one: whichever are drawn, the figure is the same.
    let table = text(&whole.stdout);
    assert!(table.contains("by bootstrap over 3 clips; so few make it too narrow"), "{table}");
    let json: Value = serde_json::from_slice(&std::fs::read(lab.join("whole.json")).unwrap()).unwrap();
    let vif = &json["suites"][0]["generators"][0]["figures"]["vif"];
    let near = |end: &Value| (end.as_f64().unwrap() - vif["mean"].as_f64().unwrap()).abs() < 1e-9;
    assert!(vif["interval_95"].as_array().unwrap().iter().all(near) && table.contains("VIF (pixel domain)"), "{vif:#}");
    assert!(std::fs::read(lab.join("joined.png")).unwrap() == std::fs::read(lab.join("whole.png")).unwrap());

    let missing = merge(&["0.json", "-o", "x.json"]);
    let said = text(&missing.stderr);
    assert!(missing.status.code() == Some(2) && said.contains("each part of 2 once, found [0]"), "{said}");
    let other = eval(&lab, &["clips", "--every", "50", "--generator", "warp", "--shard", "1/4", "--part", "of4.json"]);
    assert!(other.status.success(), "{other:?}");
    let said = text(&merge(&["0.json", "of4.json", "-o", "x.json"]).stderr);
    assert!(said.contains("expected each part of 2 once"), "{said}");
    let said = text(&eval(&lab, &["clips", "--shard", "0/2"]).stderr);
    assert!(said.contains("--part"), "{said}");
}

#[test]
fn expression_across_people_is_measured_as_a_table_json_and_a_sheet() {
    let lab = lab("across");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    std::fs::create_dir(lab.join("photos")).unwrap();
    for name in ["a", "b"] {
        std::fs::copy(demo.join(format!("portrait_{name}.png")), lab.join(format!("photos/{name}.png"))).unwrap();
    }
    // The second photo is driven by a clip that shows nothing, and is skipped.
    std::fs::create_dir(lab.join("clips")).unwrap();
    std::fs::copy(demo.join("driver.mp4"), lab.join("clips/talk.mp4")).unwrap();
    std::fs::write(lab.join("clips/torn.mp4"), "no video").unwrap();
    let pairs = ["--pair", "a:talk", "--pair", "b:torn"];
    let reports = ["--json", "out.json", "-o", "sheet.png", "--generator", "warp"];
    let output = eval(&lab, &[&["--across", "photos", "clips"], &pairs[..], &reports].concat());
    let table = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(table.starts_with("across people: 1 pairs, warp on cpu") && table.contains("skipped b<-torn: "), "{table}");

    let json: Value = serde_json::from_slice(&std::fs::read(lab.join("out.json")).unwrap()).unwrap();
    let (all, pair) = (&json["all"], &json["pairs"][0]);
    assert_eq!((&pair["name"], all["coefficients"].as_array().unwrap().len()), (&"a<-talk".into(), 20));
    let figure = |key: &str| all[key].as_f64().unwrap();
    // What the demo's driver gives, with room for other processors' rounding and for better pictures.
    assert!((0.4..1.3).contains(&figure("gain")) && figure("correlation") > 0.6, "{table}");
    assert!((0.005..0.08).contains(&figure("error")) && figure("lag_frames").abs() < 1.0, "{table}");
    assert!(figure("jitter") < 1.6, "{table}");
    let smile = all["smile"].as_array().unwrap();
    assert!(smile.iter().all(|smile| (0.0..1.0).contains(&smile.as_f64().unwrap())), "{table}");
    assert!(all["likeness"].is_null() && table.contains("like: the photo / the driver"), "{table}");
    let n_of = |what: &str| {
        let events = &all[what];
        ["hits", "misses"].map(|key| events[key].as_u64().unwrap()).iter().sum::<u64>()
    };
    assert!(n_of("blinks") > 0 && n_of("lip_contacts") > 0, "the demo's driver speaks and blinks: {table}");
    let sheet = image::open(lab.join("sheet.png")).unwrap();
    // The photo, and three frames of driver and result.
    assert_eq!((sheet.width(), sheet.height()), (7 * 256, 256));
}

#[test]
fn wrong_input_is_refused_with_what_to_do() {
    let lab = lab("wrong");
    std::fs::create_dir(lab.join("empty")).unwrap();
    std::fs::write(lab.join("text.mp4"), "no video").unwrap();
    std::fs::write(lab.join("torn.safetensors"), "no weights").unwrap();
    let driver = driver();
    let driver = driver.as_str();
    for (arguments, code, says) in [
        (&[][..], 2, "<CLIP"),
        (&["no.mp4"], 1, "cannot read no.mp4; give clips, or a folder of clips"),
        (&["empty"], 1, "no clips in empty"),
        (&["text.mp4"], 1, "no frame could be measured"),
        (&["--cross", "empty"], 1, "effigy synth data --cross -o DIR"),
        (&["--across", "empty", "empty"], 1, "no photos in empty"),
        (&["--across", driver], 2, "2 values required"),
        (&["--across", driver, driver, "--pair", "a"], 2, "expected PHOTO:CLIP"),
        (&["--across", driver, driver, "--pair", "a:b"], 2, "no photo called a"),
        (&["--across", driver, driver, "--live"], 2, "cannot be used with"),
        (&[driver, "--pair", "a:b"], 2, "--across"),
        (&[driver, "--size", "300"], 2, "expected 64, 128, 256 or 512"),
        (&[driver, "--every", "0"], 2, "1..=10000"),
        (&[driver, "--generator", "small"], 2, "expected warp, or [NAME=]BACKEND[:WEIGHTS]"),
        (&[driver, "--generator", "cpu:torn.safetensors"], 1, "cannot read the weights torn.safetensors"),
        (&[driver, "--generator", "warp", "--generator", "warp"], 2, "two generators are called \"warp\""),
        (&[driver, "--features", "text.mp4"], 1, "torchvision's mobilenet_v2-b0353104.pth"),
        (&[driver, "--recognition", "text.mp4"], 1, "cannot use the recognition network text.mp4; give dlib's"),
        (&[driver, "--json", "a", "--html", "a"], 2, "two reports would be written to one file"),
        (&["text.mp4", "--json", "text.mp4"], 2, "would replace what is measured"),
        (&[driver, "--json", "no/where.json"], 1, "mkdir -p no"),
    ] {
        let output = eval(&lab, arguments);
        let said = text(&output.stderr);
        assert!(said.contains(says), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    }
    let output = eval(&lab, &["text.mp4"]);
    assert!(text(&output.stdout).contains("skipped text: text.mp4 is no video that can be played"), "{output:?}");
    assert_eq!(std::fs::read_to_string(lab.join("text.mp4")).unwrap(), "no video");
}
