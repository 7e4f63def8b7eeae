//! `effigy render` and `effigy merge`: clips side by side, in parts, after a kill.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

fn lab(name: &str) -> PathBuf {
    let lab = Path::new(env!("CARGO_TARGET_TMPDIR")).join("batch").join(name);
    let _ = std::fs::remove_dir_all(&lab);
    std::fs::create_dir_all(&lab).unwrap();
    lab
}

fn command(lab: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_effigy"));
    command.args(arguments).current_dir(lab).env("XDG_DATA_HOME", crate::data_home::data_home());
    command
}

fn effigy(lab: &Path, arguments: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = command(lab, arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

fn demo(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(name).display().to_string()
}

/// A line that enrols one of the demo's portraits, which takes seconds, and renders the first frames of its driver.
fn photo_line(portrait: &str, output: &str, secs: f64) -> Value {
    json!({
        "photo": demo(portrait), "consent": "synthetic", "clip": demo("driver.mp4"), "output": output,
        "backend": "warp", "duration": secs, "unsigned": true,
    })
}

/// The same with an identity that is there already: the portrait's letter.
fn line(letter: &str, output: &str, secs: f64) -> Value {
    json!({
        "identity": IDENTITIES.join(letter).with_extension("effigy").display().to_string(),
        "clip": demo("driver.mp4"), "output": output, "backend": "warp", "duration": secs,
        // A signature is another one each time, and here files are compared byte for byte.
        "unsigned": true,
    })
}

static IDENTITIES: LazyLock<PathBuf> = LazyLock::new(|| {
    let lab = lab("identities");
    for letter in ["a", "b"] {
        let (photo, file) = (demo(&format!("portrait_{letter}.png")), format!("{letter}.effigy"));
        let (code, said) = effigy(&lab, &["enroll", &photo, "-o", &file, "--consent", "synthetic", "--no-rehearsal"]);
        assert_eq!(code, 0, "{said}");
    }
    lab
});

fn write_jobs(lab: &Path, lines: &[Value]) {
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(lab.join("jobs.jsonl"), text.join("\n") + "\n").unwrap();
}

fn results(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What is in the folder of outputs, hidden files too.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn each_clip_has_a_line_and_what_is_whole_is_not_rendered_again() {
    let lab = lab("again");
    std::fs::write(lab.join("torn.mp4"), "no video").unwrap();
    let mut torn = line("a", "out/torn.mp4", 0.3);
    torn["clip"] = "torn.mp4".into();
    write_jobs(&lab, &[photo_line("portrait_a.png", "out/a.mp4", 0.3), torn, line("b", "out/b.mkv", 0.2)]);
    let (code, said) = effigy(&lab, &["render", "jobs.jsonl", "--jobs", "2"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("1 of 3 clips failed; jobs.results.jsonl says why"), "{said}");
    assert_eq!(names(&lab.join("out")), ["a.mp4", "b.mkv"], "nothing half done is left");
    let mut first = results(&lab.join("jobs.results.jsonl"));
    first.sort_by_key(|result| result["line"].as_u64());
    assert_eq!(first.iter().map(|r| r["frames"].as_u64()).collect::<Vec<_>>(), [Some(9), None, Some(6)]);
    assert!(first[1]["error"].as_str().unwrap().contains("torn.mp4"), "{first:?}");
    assert_eq!((&first[0]["generator"], &first[0]["badge"]), (&"warp".into(), &true.into()));

    // Again: what is whole stays; what failed is tried; what was damaged or taken away is made again, the same.
    let untouched = std::fs::metadata(lab.join("out/a.mp4")).unwrap().modified().unwrap();
    std::fs::write(lab.join("out/b.mkv"), "damaged").unwrap();
    // A kill may tear the last line.
    let mut torn = std::fs::read(lab.join("jobs.results.jsonl")).unwrap();
    torn.extend(b"{\"line\": 1, \"jo");
    std::fs::write(lab.join("jobs.results.jsonl"), torn).unwrap();
    let (code, said) = effigy(&lab, &["render", "jobs.jsonl"]);
    assert!(
        code == 1 && said.contains("1 of 3 clips are there already") && said.contains("1 of 2 clips failed"),
        "{said}"
    );
    assert_eq!(std::fs::metadata(lab.join("out/a.mp4")).unwrap().modified().unwrap(), untouched);
    let all = results(&lab.join("jobs.results.jsonl"));
    let again = all.iter().rfind(|result| result["line"] == 3).unwrap();
    assert_eq!((all.len(), &again["sha256"]), (5, &first[2]["sha256"]));

    // A file that is none of results stays as it is, whether its last line is whole or not.
    for text in ["{}", "a\nb", "[1]\n"] {
        std::fs::write(lab.join("notes.txt"), text).unwrap();
        for command in
            [&["render", "jobs.jsonl", "--results", "notes.txt"][..], &["merge", "notes.txt", "-o", "all.jsonl"]]
        {
            let (code, said) = effigy(&lab, command);
            assert!(code == 2 && said.contains("notes.txt, line ") && said.contains("name another file"), "{said}");
        }
        assert_eq!(std::fs::read_to_string(lab.join("notes.txt")).unwrap(), text);
    }

    // A line that says something else is another job.
    write_jobs(&lab, &[line("b", "out/a.mp4", 0.3)]);
    let (code, said) = effigy(&lab, &["render", "jobs.jsonl"]);
    assert!(code == 0 && said.contains("out/a.mp4, 9 frames in "), "{said}");
    let all = results(&lab.join("jobs.results.jsonl"));
    assert_ne!(all.last().unwrap()["sha256"], first[0]["sha256"]);
}

#[test]
fn parts_make_what_one_process_makes_and_their_results_are_joined() {
    let lab = lab("parts");
    let lines = |folder: &str| -> Vec<Value> {
        (0..5).map(|i| line("b", &format!("{folder}/{i}.mp4"), 0.1 + 0.1 * f64::from(i))).collect()
    };
    write_jobs(&lab, &lines("whole"));
    let (code, said) = effigy(&lab, &["render", "jobs.jsonl", "--results", "whole.jsonl"]);
    assert_eq!(code, 0, "{said}");
    write_jobs(&lab, &lines("parts"));
    for shard in ["0/2", "1/2"] {
        let (code, said) = effigy(&lab, &["render", "jobs.jsonl", "--shard", shard]);
        assert_eq!(code, 0, "{said}");
    }
    let of_first = results(&lab.join("jobs.results-0-of-2.jsonl"));
    assert_eq!(of_first.iter().map(|r| r["line"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 3, 5]);
    let parts = ["jobs.results-1-of-2.jsonl", "jobs.results-0-of-2.jsonl"];
    let (code, said) = effigy(&lab, &["merge", parts[0], parts[1], "-o", "joined.jsonl"]);
    assert!(code == 0 && said.contains("results of 5 clips"), "{said}");
    let joined = results(&lab.join("joined.jsonl"));
    assert_eq!(joined.iter().map(|r| r["line"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    for i in 0..5 {
        let read = |folder: &str| std::fs::read(lab.join(folder).join(format!("{i}.mp4"))).unwrap();
        assert!(read("whole") == read("parts"), "{i} differs");
    }
}

#[test]
fn a_killed_process_leaves_nothing_under_the_name_and_the_next_one_goes_on() {
    let lab = lab("killed");
    write_jobs(&lab, &[line("a", "out/short.mp4", 0.2), line("a", "out/long.mp4", 4.0)]);
    let mut child = command(&lab, &["render", "jobs.jsonl", "--jobs", "1"]).stderr(Stdio::null()).spawn().unwrap();
    let part = lab.join("out/.long.part-0-of-1.mp4");
    let deadline = Instant::now() + Duration::from_secs(120);
    while !part.exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "the long clip was never begun");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(names(&lab.join("out")), [".long.part-0-of-1.mp4", "short.mp4"]);
    let (code, said) = effigy(&lab, &["render", "jobs.jsonl"]);
    assert!(code == 0 && said.contains("1 of 2 clips are there already"), "{said}");
    assert_eq!(names(&lab.join("out")), ["long.mp4", "short.mp4"]);
    let all = results(&lab.join("jobs.results.jsonl"));
    assert_eq!(all.iter().map(|r| r["frames"].as_u64().unwrap()).collect::<Vec<_>>(), [6, 120]);
}

#[cfg(unix)]
#[test]
fn a_part_that_is_stopped_is_not_done_though_one_of_its_clips_failed() {
    let lab = lab("stopped");
    std::fs::write(lab.join("torn.mp4"), "no video").unwrap();
    let mut torn = line("a", "out/torn.mp4", 0.2);
    torn["clip"] = "torn.mp4".into();
    write_jobs(&lab, &[torn, line("a", "out/long.mp4", 4.0)]);
    let mut child = command(&lab, &["render", "jobs.jsonl", "--jobs", "1"]).stderr(Stdio::piped()).spawn().unwrap();
    let part = lab.join("out/.long.part-0-of-1.mp4");
    let deadline = Instant::now() + Duration::from_secs(120);
    while !part.exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "the long clip was never begun");
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("stopped: 1 clips are left, 1 failed; the same command goes on"), "{said}");
    let all = results(&lab.join("jobs.results.jsonl"));
    assert_eq!(all.iter().map(|r| r["line"].as_u64().unwrap()).collect::<Vec<_>>(), [1], "only what failed has a line");
}

#[test]
fn wrong_lines_are_said_before_anything_is_rendered() {
    let lab = lab("wrong");
    std::fs::write(lab.join("empty.jsonl"), "\n\n").unwrap();
    std::fs::write(lab.join("results.jsonl"), "{}\n").unwrap();
    let good = photo_line("portrait_a.png", "out/good.mp4", 0.1);
    let with = |key: &str, value: Value| {
        let mut line = photo_line("portrait_a.png", "out/a.mp4", 0.1);
        line[key] = value;
        line
    };
    for (bad, says) in [
        (json!(7), "line 2: invalid type"),
        (with("sise", 512.into()), "unknown field `sise`"),
        (with("size", 500.into()), "expected size 512 or 1024, found 500"),
        (with("output", "out/a.gif".into()), "expected an output that ends in .mp4, .mkv"),
        (with("output", "out/good.mp4".into()), "the output is that of line 1"),
        (with("output", demo("driver.mp4").into()), "would replace what is read"),
        (with("identity", "a.effigy".into()), "expected either identity or photo"),
        (with("consent", Value::Null), "a photo needs consent"),
        (with("consent", "subject".into()), "needs the name of who agreed"),
        (with("backend", "tpu".into()), "expected backend of auto, cuda, wgpu, cpu, warp, found tpu"),
        (with("mouth", 3.into()), "expected mouth from 0 to 2, found 3"),
        (with("duration", 0.into()), "expected duration in seconds above 0"),
        (with("face", 0.into()), "counted from 1"),
    ] {
        write_jobs(&lab, &[good.clone(), bad]);
        let (code, said) = effigy(&lab, &["render", "jobs.jsonl"]);
        assert!(code == 2 && said.contains("line 2") && said.contains(says), "{says}: {said}");
    }
    write_jobs(&lab, &[good]);
    for (arguments, code, says) in [
        (&["render", "no.jsonl"][..], 1, "cannot read the jobs no.jsonl"),
        (&["render", "empty.jsonl"], 2, "has no line"),
        (&["render", "jobs.jsonl", "--shard", "2/2"], 2, "expected I/N with I from 0 to N - 1"),
        (&["render", "jobs.jsonl", "--jobs", "0"], 2, "1..=1024"),
        (&["render", "jobs.jsonl", "--results", "jobs.jsonl"], 2, "would be added to what is read"),
        (&["render", "jobs.jsonl", "--results", "results.jsonl"], 2, "expected a result of `effigy render`"),
        (&["merge", "no.jsonl", "-o", "all.jsonl"], 2, "no.jsonl does not exist"),
        (&["merge", ".", "jobs.jsonl", "-o", "all"], 2, "found both"),
    ] {
        let (found, said) = effigy(&lab, arguments);
        assert!(found == code && said.contains(says), "{arguments:?}: {found} {said}");
    }
    assert!(!lab.join("out").exists(), "something was rendered");
}
