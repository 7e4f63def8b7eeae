//! Signed recordings and stills, from the outside: what the program signs, what it finds changed, where it cannot sign.
#![cfg(feature = "c2pa")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use effigy::credentials::{self, Credentials, ManifestState, RecordingKey, SOURCE_TYPE, Statement};
use serde_json::Value;

use crate::clips;
use crate::damage::{Random, damaged, n_runs};
use crate::folder::Folder;

/// What a run of a few frames leaves in each kind of file.
const FILES: [&str; 5] = ["a.mp4", "a.mov", "a.avi", "a.mkv", "still_3.png"];

/// The program in a home of its own.
fn effigy(home: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_effigy"));
    for name in ["CONFIG", "DATA", "STATE", "CACHE"] {
        command.env(format!("XDG_{name}_HOME"), home.join(name.to_lowercase()));
    }
    // What the program runs on is found from the real home.
    command.env("EFFIGY_ONNXRUNTIME", effigy::onnx::runtime_path().unwrap()).env_remove("EFFIGY_LOG");
    command.args(line.split_whitespace()).current_dir(home).stdin(Stdio::null()).output().unwrap()
}

fn done(home: &Path, line: &str) -> String {
    let output = effigy(home, line);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "effigy {line}\n{said}");
    said
}

/// A home with an identity and the files of a run.
struct Lab {
    home: PathBuf,
    said: String,
}

fn run_line(name: &str) -> String {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/driver.mp4");
    let files: String = FILES.map(|file| format!(" --sink file:{name}/{}", file.replace("_3", "_%d"))).concat();
    format!(
        "run --identity a.effigy --purpose tests --source {} --backend warp --every-frame --duration 0.5{files}",
        driver.display()
    )
}

static LAB: LazyLock<Lab> = LazyLock::new(|| {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("credentials");
    let _ = std::fs::remove_dir_all(&home);
    for folder in ["signed", "plain"] {
        std::fs::create_dir_all(home.join(folder)).unwrap();
    }
    std::fs::write(home.join("a.png"), effigy::demo::PORTRAITS[0].1).unwrap();
    done(&home, "enroll a.png -o a.effigy --consent synthetic --no-rehearsal --for tests --until 2099-01-01");
    let said = done(&home, &run_line("signed"));
    done(&home, &(run_line("plain") + " --unsigned"));
    Lab { home, said }
});

/// What `verify` says of a file, as JSON, and its exit code.
fn verified(home: &Path, file: &str) -> (Value, i32) {
    let output = effigy(home, &format!("verify {file} --json"));
    let said = String::from_utf8_lossy(&output.stderr);
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{file}: {said}")), output.status.code().unwrap())
}

#[test]
fn every_kind_of_file_says_what_made_it_and_with_whose_consent() {
    let home = &LAB.home;
    assert!(LAB.said.contains("signature: by \"effigy on one machine, key "), "{}", LAB.said);
    let record = effigy::Identity::load(&home.join("a.effigy")).unwrap().manifest.record_sha256();
    for file in FILES {
        let (found, code) = verified(home, &format!("signed/{file}"));
        let manifest = &found["manifest"];
        assert_eq!((code, &manifest["state"]), (0, &"intact".into()), "{file}: {manifest}");
        assert_eq!(manifest["source_type"], SOURCE_TYPE, "{file}");
        assert_eq!(manifest["generator"], concat!("effigy/", env!("CARGO_PKG_VERSION")), "{file}");
        assert_eq!((&manifest["mark"], found["run"].is_null()), (&found["run"], false), "{file}");
        assert_eq!(manifest["signer"]["is_own"], true, "{file}");
        assert_eq!(manifest["is_sidecar"], file == "a.mkv", "{file}");
        let consents = manifest["consents"].as_array().unwrap();
        assert_eq!(consents.len(), 1, "{file}: {manifest}");
        assert_eq!(consents[0]["basis"], "synthetic", "{file}");
        assert_eq!(consents[0]["for"], "tests", "{file}");
        assert_eq!(consents[0]["record_sha256"], record, "{file}");
        let (plain, _) = verified(home, &format!("plain/{file}"));
        assert_eq!(plain["manifest"], Value::Null, "{file}");
    }
    // Who reads text is told the same.
    let said = String::from_utf8(effigy(home, "verify signed/a.mp4").stdout).unwrap();
    for part in [
        "manifest     intact: nothing in the file was changed since it was signed",
        "a key of this machine",
        "as the mark in the pictures says",
        "consent      synthetic, until 2099-01-01T23:59:59Z, for \"tests\" only (record ",
    ] {
        assert!(said.contains(part), "expected {part:?} in:\n{said}");
    }
}

#[test]
fn signing_changes_no_picture_and_leaves_nothing_beside() {
    let home = &LAB.home;
    for file in &FILES[..4] {
        let pictures = |folder: &str| clips::pictures(&home.join(folder).join(file));
        let (signed, plain) = (pictures("signed"), pictures("plain"));
        assert!(signed.len() > 10 && signed.len() == plain.len(), "{file}: {} of {}", signed.len(), plain.len());
        let is_same = |(a, b): (&clips::Shown, &clips::Shown)| a.secs == b.secs && a.luma == b.luma;
        assert!(signed.iter().zip(&plain).all(is_same), "{file}");
    }
    let mut names: Vec<_> = home
        .join("signed")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| !name.starts_with("still_"));
    names.sort();
    assert_eq!(names, ["a.avi", "a.c2pa", "a.mkv", "a.mov", "a.mp4"]);
}

#[test]
fn a_changed_byte_is_found() {
    let home = &LAB.home;
    let folder = Folder::new("credentials-changed");
    std::fs::copy(home.join("signed/a.c2pa"), folder.0.join("a.c2pa")).unwrap();
    for file in FILES {
        let whole = std::fs::read(home.join("signed").join(file)).unwrap();
        let changed = folder.0.join(file);
        // In the pictures: of an AVI the manifest is the end, of the others the beginning.
        let mut bytes = whole.clone();
        let at = if file.ends_with(".avi") { bytes.len() / 2 } else { bytes.len() * 7 / 8 };
        bytes[at] ^= 1;
        std::fs::write(&changed, &bytes).unwrap();
        let found = credentials::read(&changed, true).unwrap().unwrap();
        let ManifestState::Broken(reasons) = &found.state else { panic!("{file}: {:?}", found.state) };
        assert!(
            reasons.iter().any(|reason| reason == "the file was changed after it was signed"),
            "{file}: {reasons:?}"
        );
        // One more at the end.
        std::fs::write(&changed, [&whole[..], b"0"].concat()).unwrap();
        assert!(!credentials::read(&changed, true).unwrap().is_some_and(|found| found.is_intact()), "{file}, longer");
    }
    // Another file's manifest.
    std::fs::write(folder.0.join("a.mkv"), std::fs::read(home.join("plain/still_1.png")).unwrap()).unwrap();
    let found = credentials::read(&folder.0.join("a.mkv"), true).unwrap().unwrap();
    assert!(found.is_sidecar && !found.is_intact(), "{found:?}");
    std::fs::remove_file(folder.0.join("a.c2pa")).unwrap();
    assert_eq!(credentials::read(&folder.0.join("a.mkv"), true).unwrap(), None);
    let text = effigy(home, &format!("verify {}", folder.0.join("still_3.png").display()));
    assert!(String::from_utf8(text.stdout).unwrap().contains("manifest     DOES NOT HOLD"));
}

#[test]
fn a_torn_or_odd_manifest_is_told_and_never_intact() {
    let folder = Folder::new("credentials-torn");
    let still = std::fs::read(LAB.home.join("signed/still_3.png")).unwrap();
    let begin = still.windows(4).position(|word| word == b"caBX").unwrap();
    let n_bytes = u32::from_be_bytes(still[begin - 4..begin].try_into().unwrap()) as usize;
    assert!((4000..40_000).contains(&n_bytes), "{n_bytes}");
    let path = folder.0.join("a.png");
    let look = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).unwrap();
        let found = credentials::read(&path, true).unwrap();
        assert!(!found.as_ref().is_some_and(credentials::ManifestFinding::is_intact), "{what}: {found:?}");
        found
    };
    // The signature is followed by padding under a name, to which nothing is bound.
    let name = still[..begin + n_bytes].windows(4).rposition(|word| word == b"\x63pad").unwrap();
    let end = name + 7 + still[name + 7..].iter().position(|byte| *byte != 0).unwrap();
    // A bit here and there, and all of one sort. The first eight bytes only say how long the box is, and of what kind.
    for at in (begin + 12..begin + 4 + n_bytes).step_by(37).filter(|at| !(name - 64..end).contains(at)) {
        let mut bytes = still.clone();
        bytes[at] ^= 1 << (at % 8);
        look(&bytes, &format!("bit of byte {}", at - begin));
        bytes[at..(at + 64).min(begin + n_bytes)].fill(0xff);
        look(&bytes, &format!("ones from byte {}", at - begin));
    }
    // Torn off inside.
    for n in (begin..begin + n_bytes).step_by(501) {
        look(&still[..n], &format!("{n} bytes"));
    }
    // A manifest of nothing but its own name; boxes in boxes, far too deep.
    let store = b"\0\0\0\x1ejumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0";
    let deep: Vec<u8> = (0..100_000_u32).flat_map(|n| [(800_000 - 8 * n).to_be_bytes(), *b"jumb"].concat()).collect();
    for inside in [&store[..], &deep] {
        let mut bytes = still[..begin - 4].to_vec();
        bytes.extend((inside.len() as u32 + 8).to_be_bytes());
        bytes.extend(b"caBX");
        bytes.extend((inside.len() as u32 + 8).to_be_bytes());
        bytes.extend(b"jumb");
        bytes.extend(inside);
        bytes.extend(&still[begin + n_bytes + 4..]);
        look(&bytes, "odd boxes");
    }
    std::fs::write(folder.0.join("b.c2pa"), "no manifest").unwrap();
    std::fs::write(folder.0.join("b.mkv"), "no clip").unwrap();
    let found = credentials::read(&folder.0.join("b.mkv"), true).unwrap().unwrap();
    assert!(matches!(found.state, ManifestState::Unreadable(_)) && found.is_sidecar, "{found:?}");
}

/// Whatever is damaged in a signed still: it is told or refused, and what counts as intact shows the picture that was signed.
///
/// `EFFIGY_FUZZ_MANIFESTS` sets how many are tried, `EFFIGY_FUZZ_SEED` which.
#[test]
fn no_damaged_manifest_does_harm() {
    let folder = Folder::new("credentials-damaged");
    let still = std::fs::read(LAB.home.join("signed/still_3.png")).unwrap();
    let picture = |bytes: &[u8]| effigy::photo::decode(bytes);
    let signed = picture(&still).unwrap();
    // Mostly the manifest itself: it stands before the pictures.
    let begin = still.windows(4).position(|word| word == b"caBX").unwrap();
    let end = begin + u32::from_be_bytes(still[begin - 4..begin].try_into().unwrap()) as usize;
    let (path, mut random, mut n_told) = (folder.0.join("a.png"), Random::new(), 0);
    for run in 0..n_runs("EFFIGY_FUZZ_MANIFESTS", 300) {
        let bytes = match run % 4 {
            0 => damaged(&still, &mut random),
            _ => [&still[..begin], &damaged(&still[begin..end], &mut random), &still[end..]].concat(),
        };
        std::fs::write(&path, &bytes).unwrap();
        match credentials::read(&path, true).unwrap() {
            Some(found) if found.is_intact() => {
                assert!(picture(&bytes).is_ok_and(|shown| shown == signed), "run {run}: intact, and another picture");
            }
            found => n_told += usize::from(found.is_some()),
        }
    }
    assert!(n_told > 50, "{n_told} were told");
}

#[test]
fn where_no_key_can_be_kept_the_recording_is_whole_and_a_warning_says_why() {
    let folder = Folder::new("credentials-no-key");
    std::fs::copy(LAB.home.join("a.effigy"), folder.0.join("a.effigy")).unwrap();
    // Where the folder of data should be there is a file: not even root can make the key.
    std::fs::write(folder.0.join("data"), "").unwrap();
    std::fs::create_dir(folder.0.join("out")).unwrap();
    let said = done(&folder.0, &run_line("out"));
    assert!(said.contains("files will not be signed: cannot read the key of recordings"), "{said}");
    assert_eq!(
        clips::pictures(&folder.0.join("out/a.mp4")).len(),
        clips::pictures(&LAB.home.join("plain/a.mp4")).len()
    );
    assert_eq!(credentials::read(&folder.0.join("out/a.mp4"), true).unwrap(), None);
    let output = effigy(&folder.0, "keys make");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    // A key that is none is told, kept, and not signed with.
    std::fs::remove_file(folder.0.join("data")).unwrap();
    std::fs::create_dir_all(folder.0.join("data/effigy/keys")).unwrap();
    let key = folder.0.join("data/effigy/keys/recordings.pem");
    std::fs::write(&key, "no key").unwrap();
    let said = done(&folder.0, &run_line("out"));
    assert!(
        said.contains("files will not be signed") && said.contains("is no key of recordings; move the file away"),
        "{said}"
    );
    assert_eq!(std::fs::read(&key).unwrap(), b"no key");
}

#[test]
fn keys_are_made_shown_and_replaced() {
    let folder = Folder::new("credentials-keys");
    let keys = folder.0.join("data/effigy/keys");
    let shown = |line: &str| String::from_utf8(effigy(&folder.0, line).stdout).unwrap();
    assert!(shown("keys").contains("recordings   none yet"), "{}", shown("keys"));
    let output = effigy(&folder.0, "keys certificate");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("type `effigy keys make`"));
    done(&folder.0, "keys make --name Ann");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(keys.join("recordings.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "a secret is its owner's alone");
    }
    let text = shown("keys show");
    assert!(text.contains("recordings   \"Ann\", until "), "{text}");
    assert_eq!(shown("keys path").trim(), keys.join("recordings.pem").display().to_string());
    let certificates = shown("keys certificate");
    assert_eq!(certificates.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(!certificates.contains("PRIVATE"));
    let output = effigy(&folder.0, "keys make");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--replace makes another and keeps this one beside it"));
    for wrong in ["", &"n".repeat(65)] {
        let output = effigy(&folder.0, &format!("keys make --replace --name={wrong}"));
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("expected a name of 1 to 64 characters"));
    }
    // Another machine's recording is not one's own; one's own is also after the key was replaced.
    let copy = folder.0.join("a.png");
    std::fs::copy(LAB.home.join("signed/still_3.png"), &copy).unwrap();
    let (found, _) = verified(&folder.0, "a.png");
    assert_eq!(
        (&found["manifest"]["state"], &found["manifest"]["signer"]["is_own"]),
        (&"intact".into(), &false.into())
    );
    std::fs::copy(LAB.home.join("plain/still_3.png"), &copy).unwrap();
    std::fs::copy(LAB.home.join("a.effigy"), folder.0.join("a.effigy")).unwrap();
    std::fs::create_dir(folder.0.join("out")).unwrap();
    done(&folder.0, &run_line("out"));
    done(&folder.0, "keys make --replace");
    assert_eq!(keys.read_dir().unwrap().count(), 2, "the old one is kept");
    let (found, _) = verified(&folder.0, "out/a.mp4");
    assert_eq!(
        (&found["manifest"]["signer"]["name"], &found["manifest"]["signer"]["is_own"]),
        (&"Ann".into(), &true.into())
    );
}

#[test]
fn a_rendered_clip_is_signed_and_takes_its_manifest_along() {
    let home = &LAB.home;
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/driver.mp4");
    let line = |output: &str| {
        serde_json::json!({
            "identity": "a.effigy", "purpose": "tests", "clip": driver.display().to_string(), "backend": "warp",
            "duration": 0.3, "output": output,
        })
    };
    std::fs::write(home.join("jobs.jsonl"), format!("{}\n{}\n", line("done/a.mp4"), line("done/b.mkv"))).unwrap();
    done(home, "render jobs.jsonl");
    let mut names: Vec<_> = home.join("done").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.mp4", "b.c2pa", "b.mkv"]);
    for file in ["done/a.mp4", "done/b.mkv"] {
        let (found, code) = verified(home, file);
        assert_eq!(
            (code, &found["manifest"]["state"], &found["manifest"]["mark"]),
            (0, &"intact".into(), &found["run"])
        );
    }
}

#[test]
fn what_cannot_be_signed_stays_as_it_is() {
    let folder = Folder::new("credentials-unsignable");
    let Ok(Some(key)) = RecordingKey::open_at(&LAB.home.join("data/effigy/keys/recordings.pem")) else {
        panic!("no key")
    };
    let credentials = Credentials::new(&key).unwrap();
    for (name, bytes) in
        [("a.mp4", &b"no clip at all"[..]), ("b.png", b"\x89PNG\r\n\x1a\nand no more"), ("c.avi", b"RIFF")]
    {
        let path = folder.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = credentials.sign_file(&path, &Statement::default()).unwrap_err();
        assert!(!error.to_string().is_empty());
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
        assert_eq!(folder.0.read_dir().unwrap().count(), 1, "{name}: {error}");
        std::fs::remove_file(&path).unwrap();
    }
    let error = credentials.sign_file(&folder.0.join("none.mp4"), &Statement::default()).unwrap_err();
    assert!(error.to_string().contains("cannot sign") && error.to_string().contains("none.mp4"), "{error}");
}
