//! Names as people and systems give them: with dashes, colons, commas, blanks, in any script, in none; pipes, devices,
//! folders, standard input; and words that are also files.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::folder::Folder;
use effigy::capture::{ClipSource, Read, Source as _, SourceOptions};
use effigy::clock::ManualClock;
use rustix::fs::{CWD, Mode, mkfifoat};

/// Names of clips, each with what is odd about it.
const NAMES: [&[u8]; 13] = [
    b"-dash",
    b"-hello",
    b"-output",
    b"--two",
    b"C:\\x",
    b"12:30",
    b"two words",
    "Zo\u{eb} \u{2014} \u{dc}bung \u{1f600}".as_bytes(),
    b"a,b",
    b"100%",
    b"%04d",
    b"it's \"quoted\"",
    b"caf\xe9",
];

/// Pictures in a tenth of a second of the driver.
const N_PICTURES: usize = 3;

struct Lab(Folder);

impl Lab {
    /// A folder with an identity, a photo, and a clip.
    fn new(name: &str) -> Self {
        let lab = Self(Folder::new(&format!("names-{name}")));
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
        std::fs::copy(demo.join("driver.mp4"), lab.path("talk.mp4")).unwrap();
        std::fs::copy(demo.join("portrait_a.png"), lab.path("photo.png")).unwrap();
        // What is tried on the portrait has nothing to do with names, and takes seconds.
        let enroll = ["enroll", "photo.png", "-o", "me.effigy", "--consent", "synthetic", "--no-rehearsal"];
        let output = lab.effigy(enroll, Stdio::null());
        assert!(output.status.success(), "{}", said(&output));
        lab
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.0.join(name)
    }

    fn pipe(&self, name: &str) -> PathBuf {
        mkfifoat(CWD, self.path(name), Mode::RUSR | Mode::WUSR).unwrap();
        self.path(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_effigy"));
        command
            .current_dir(&self.0.0)
            .env("XDG_CONFIG_HOME", self.path("settings"))
            .env("XDG_DATA_HOME", crate::data_home::data_home());
        for variable in ["DISPLAY", "WAYLAND_DISPLAY", "EFFIGY_MODELS", "EFFIGY_LOG", "XDG_RUNTIME_DIR"] {
            command.env_remove(variable);
        }
        command
    }

    fn effigy<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, input: impl Into<Stdio>) -> Output {
        self.command().args(args).stdin(input).output().unwrap()
    }

    /// Renders a tenth of a second of a source.
    fn render(&self, source: &OsStr, sink: &OsStr, more: &[&str], input: impl Into<Stdio>) -> Output {
        let fixed = ["run", "--backend", "warp", "--every-frame", "--duration", "0.1"].map(OsStr::new);
        let named = [OsStr::new("--source"), source, OsStr::new("--sink"), sink];
        self.effigy(fixed.into_iter().chain(named).chain(more.iter().map(OsStr::new)), input)
    }

    fn refuses<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, code: i32, parts: &[&str]) {
        refused(&self.effigy(args, Stdio::null()), code, parts);
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn refused(output: &Output, code: i32, parts: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn n_pictures(path: &Path) -> usize {
    let options = SourceOptions { paced: false, ..SourceOptions::default() };
    let mut clip = ClipSource::open(path, &options).unwrap();
    let (clock, mut frame) = (ManualClock::new(), effigy::RawFrame::default());
    std::iter::from_fn(|| (clip.read(&mut frame, &clock).unwrap() == Read::Fresh).then_some(())).count()
}

/// `before`, `name` and `after` as one word.
fn joined(before: &str, name: &[u8], after: &str) -> OsString {
    OsStr::from_bytes(&[before.as_bytes(), name, after.as_bytes()].concat()).to_owned()
}

const ME: [&str; 2] = ["--identity", "me.effigy"];

#[test]
fn a_clip_may_have_any_name_and_so_may_what_comes_of_it() {
    let lab = Lab::new("clips");
    for name in NAMES {
        let source = joined("", name, ".mp4");
        std::fs::copy(lab.path("talk.mp4"), lab.path(&source)).unwrap();
        let typed = if name.starts_with(b"--") { joined("./", name, ".mp4") } else { source.clone() };
        for out in [joined("", name, "-out.mp4"), joined("", name, "-frames/")] {
            let output = lab.render(&typed, &joined("file:", out.as_bytes(), ""), &ME, Stdio::null());
            assert!(output.status.success(), "{source:?}: {}", said(&output));
        }
        assert_eq!(n_pictures(&lab.path(joined("", name, "-out.mp4"))), N_PICTURES, "{source:?}");
        assert_eq!(lab.path(joined("", name, "-frames")).read_dir().unwrap().count(), N_PICTURES, "{source:?}");
    }
}

#[test]
fn photos_identities_and_reports_may_have_any_name() {
    let lab = Lab::new("photos");
    for name in NAMES {
        let is_like_option = name.starts_with(b"--") || name.starts_with(b"-h") || name.starts_with(b"-o");
        let typed = |after: &str| joined(if is_like_option { "./" } else { "" }, name, after);
        std::fs::copy(lab.path("photo.png"), lab.path(joined("", name, "-photo.png"))).unwrap();
        let enroll = [OsStr::new("enroll"), &typed("-photo.png"), OsStr::new("-o"), &typed(".effigy")];
        let basis = ["--consent", "synthetic", "--no-rehearsal"].map(OsStr::new);
        let output = lab.effigy(enroll.into_iter().chain(basis), Stdio::null());
        assert!(output.status.success(), "{name:?}: {}", said(&output));
        // What is to be typed next can be typed: by a shell too, except where it cannot be shown.
        let next =
            said(&output).lines().find_map(|line| line.strip_prefix("next: effigy ").map(str::to_owned)).unwrap();
        if str::from_utf8(name).is_ok() {
            let line = format!("\"$0\" {next} --source pattern --sink null --backend warp --duration 0.2");
            let mut shell = Command::new("sh");
            let shell = shell.args(["-c", &line]).arg(env!("CARGO_BIN_EXE_effigy")).current_dir(&lab.0.0);
            let output = shell.stdin(Stdio::null()).output().unwrap();
            assert!(output.status.success(), "{next}: {}", said(&output));
        }
        let output = lab.effigy([OsStr::new("verify"), &typed(".effigy")], Stdio::null());
        assert!(output.status.success(), "{name:?}: {}", said(&output));
        let figures = ["--report".into(), typed(".json")];
        let fixed =
            ["run", "--source", "talk.mp4", "--sink", "null", "--backend", "warp", "--every-frame", "--duration"];
        let args = fixed.map(OsString::from).into_iter().chain(["0.1".into(), "--identity".into(), typed(".effigy")]);
        let output = lab.effigy(args.chain(figures), Stdio::null());
        assert!(output.status.success(), "{name:?}: {}", said(&output));
        assert!(lab.path(joined("", name, ".json")).is_file());
    }
    // Two of them in one argument, and an argument for each.
    for identities in
        [&["--identity", "me.effigy,-dash.effigy"][..], &["--identity", "a,b.effigy", "--identity", "me.effigy"]]
    {
        let output = lab.render("talk.mp4".as_ref(), "null".as_ref(), identities, Stdio::null());
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn a_value_that_was_forgotten_and_an_option_typed_wrongly_are_told_as_such() {
    let lab = Lab::new("forgotten");
    lab.refuses(["run", "--identity", "me.effigy", "--source", "--loop"], 2, &["a value is required for '--source"]);
    lab.refuses(["run", "--identity", "--source", "talk.mp4"], 2, &["a value is required for '--identity"]);
    lab.refuses(["enroll", "photo.png", "-o", "--consent", "self"], 2, &["a value is required for '--output"]);
    lab.refuses(
        ["enroll", "photo.png", "-o", "a.effigy", "--consnet", "self"],
        2,
        &["'--consnet'", "a similar argument exists: '--consent'"],
    );
    lab.refuses(["run", "--identity", "me.effigy", "-x"], 2, &["unexpected argument '-x'"]);
    lab.refuses(["run", "--identity", "me.effigy", "--source", "-h"], 2, &["a value is required for '--source"]);
}

#[test]
fn words_win_over_files_of_that_name_and_say_so() {
    let lab = Lab::new("words");
    for word in ["camera", "camera:1", "pattern", "-", "own", "#00b140", "screen"] {
        let from = if word == "own" || word.starts_with('#') { "photo.png" } else { "talk.mp4" };
        std::fs::copy(lab.path(from), lab.path(word)).unwrap();
    }
    let file = OsStr::new("file:out.mp4");
    for word in ["camera", "camera:1", "pattern", "-"] {
        let output = lab.render(format!("./{word}").as_ref(), file, &ME, Stdio::null());
        assert!(output.status.success() && !said(&output).contains("warn"), "{word}: {}", said(&output));
        assert_eq!(n_pictures(&lab.path("out.mp4")), N_PICTURES, "{word}");
    }
    let run =
        ["run", "--identity", "me.effigy", "--backend", "warp", "--sink", "null", "--duration", "0.3", "--source"];
    let output = lab.effigy(run.into_iter().chain(["pattern"]), Stdio::null());
    assert!(output.status.success() && said(&output).contains("is meant by ./pattern"), "{}", said(&output));
    refused(
        &lab.effigy(run.into_iter().chain(["-"]), Stdio::null()),
        1,
        &["is meant by ./-", "standard input", "empty"],
    );
    if !Path::new("/dev/video0").exists() {
        lab.refuses(
            run.into_iter().chain(["camera"]),
            1,
            &["warn: `camera` is no file's name", "is meant by ./camera"],
        );
        lab.refuses(run.into_iter().chain(["camera:1"]), 1, &["is meant by ./camera:1"]);
    }
    for (background, hint) in [("own", true), ("./own", false), ("#00b140", true), ("./#00b140", false)] {
        let more = [ME[0], ME[1], "--background", background];
        let output = lab.render("talk.mp4".as_ref(), file, &more, Stdio::null());
        assert!(output.status.success(), "{background}: {}", said(&output));
        assert_eq!(said(&output).contains(&format!("is meant by ./{background}")), hint, "{}", said(&output));
    }
    lab.refuses(["bench", "watch", "./screen"], 1, &["no code in", "./screen"]);
}

#[test]
fn a_clip_a_picture_and_a_photo_come_through_standard_input() {
    let lab = Lab::new("stdin");
    let out = OsStr::new("file:out.mp4");
    // As a file and through a pipe; the clip's index is at its end.
    let output = lab.render("-".as_ref(), out, &ME, File::open(lab.path("talk.mp4")).unwrap());
    assert!(output.status.success() && said(&output).contains("source: standard input, "), "{}", said(&output));
    assert_eq!(n_pictures(&lab.path("out.mp4")), N_PICTURES);
    for (name, n_expected) in [("talk.mp4", N_PICTURES), ("photo.png", 1)] {
        for source in ["-", "/dev/stdin"] {
            let mut cat = Command::new("cat").arg(lab.path(name)).stdout(Stdio::piped()).spawn().unwrap();
            let output = lab.render(source.as_ref(), out, &ME, cat.stdout.take().unwrap());
            assert!(output.status.success(), "{name}: {}", said(&output));
            assert_eq!(n_pictures(&lab.path("out.mp4")), n_expected, "{name} through {source}");
            cat.wait().unwrap();
        }
    }
    let enroll = ["enroll", "-", "-o", "piped.effigy", "--consent", "synthetic", "--no-rehearsal"];
    let output = lab.effigy(enroll, File::open(lab.path("photo.png")).unwrap());
    assert!(output.status.success(), "{}", said(&output));
    assert!(lab.effigy(["verify", "-"], File::open(lab.path("piped.effigy")).unwrap()).status.success());

    let text = lab.path("text");
    std::fs::write(&text, "this is only a text\n".repeat(99)).unwrap();
    refused(
        &lab.render("-".as_ref(), out, &ME, File::open(&text).unwrap()),
        1,
        &["standard input is no video that can be played", "give an MP4"],
    );
    refused(&lab.render("-".as_ref(), out, &ME, Stdio::null()), 1, &["standard input is no video", "it is empty"]);
    refused(&lab.effigy(enroll, Stdio::null()), 1, &["cannot enroll -", "another kind of file"]);
    refused(&lab.render("-".as_ref(), out, &ME, File::open(&lab.0.0).unwrap()), 1, &["standard input", "is a folder"]);
}

#[test]
fn a_named_pipe_is_a_file_that_comes_later_and_one_that_is_silent_is_not_waited_for_without_end() {
    let lab = Lab::new("pipes");
    let (clip, photo, silent) = (lab.pipe("clip.mp4"), lab.pipe("photo.jpg"), lab.pipe("silent.mp4"));
    let write = |from: &str, to: &Path| {
        let line = "exec cat \"$0\" > \"$1\"";
        Command::new("sh").args(["-c", line]).arg(lab.path(from)).arg(to).spawn().unwrap()
    };
    let mut writer = write("talk.mp4", &clip);
    let output = lab.render("clip.mp4".as_ref(), "file:out.mp4".as_ref(), &ME, Stdio::null());
    assert!(output.status.success() && said(&output).contains("source: clip.mp4, "), "{}", said(&output));
    assert_eq!(n_pictures(&lab.path("out.mp4")), N_PICTURES);
    writer.wait().unwrap();
    let mut writer = write("photo.png", &photo);
    let enroll = ["enroll", "photo.jpg", "-o", "a.effigy", "--consent", "synthetic", "--no-rehearsal"];
    let output = lab.effigy(enroll, Stdio::null());
    assert!(output.status.success(), "{}", said(&output));
    writer.wait().unwrap();

    let begin = Instant::now();
    let says = ["nothing came through the pipe for 10s; start what writes to it first"];
    let run = [OsStr::new("run"), ME[0].as_ref(), ME[1].as_ref(), "--source".as_ref(), silent.as_ref()];
    let children: Vec<_> = [
        run.to_vec(),
        ["enroll".as_ref(), silent.as_ref(), "-o".as_ref(), "b.effigy".as_ref(), "--consent".as_ref(), "self".as_ref()]
            .to_vec(),
        ["verify".as_ref(), silent.as_ref()].to_vec(),
        ["bench".as_ref(), "watch".as_ref(), silent.as_ref()].to_vec(),
        ["bench".as_ref(), "compare".as_ref(), silent.as_ref(), silent.as_ref()].to_vec(),
    ]
    .into_iter()
    .map(|args: Vec<&OsStr>| lab.command().args(args).stdin(Stdio::null()).stderr(Stdio::piped()).spawn())
    .collect();
    for (i, child) in children.into_iter().enumerate() {
        // `verify` says by its code that a thing cannot be read.
        let code = if i == 2 { 2 } else { 1 };
        refused(&child.unwrap().wait_with_output().unwrap(), code, &says);
    }
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn folders_devices_and_addresses_are_refused_with_what_to_name_instead() {
    let lab = Lab::new("refused");
    std::fs::create_dir(lab.path("folder")).unwrap();
    let run = |source: &str, says: &[&str]| {
        let says = [&[source][..], says].concat();
        refused(&lab.render(source.as_ref(), "null".as_ref(), &ME, Stdio::null()), 1, &says);
    };
    run("folder", &["is a folder, not a clip or picture; name a file in it"]);
    run("/dev/null", &["is a device, not a clip or picture; name a file or pipe"]);
    run("missing", &["cannot read missing: there is no such file; `--source` takes camera"]);
    run("-missing.mp4", &["cannot read -missing.mp4: there is no such file"]);
    run("http://127.0.0.1:1/talk.mp4", &["check the address, or pipe what is there"]);
    run("nonsense://a/talk.mp4", &["this FFmpeg does not know such addresses"]);
    run("C:\\missing.mp4", &["there is no such file"]);
    for (args, says) in [
        (["verify", "folder"], "it is a folder; name a file in it"),
        (["verify", "/dev/zero"], "it is a device; name a file or pipe"),
    ] {
        lab.refuses(args, 2, &[args[1], says]);
    }
    let enroll = |photo: &str, output: &str, code: i32, says: &str| {
        lab.refuses(["enroll", photo, "-o", output, "--consent", "self"], code, &[says]);
    };
    enroll("folder", "a.effigy", 1, "it is a folder; name a file in it");
    enroll("/dev/zero", "a.effigy", 1, "it is a device; name a file or pipe");
    enroll("photo.png", "folder", 2, "is a folder; try -o folder/me.effigy");
    enroll("photo.png", "-", 2, "name a file, or `./-` if it is called so");
    enroll("photo.png", "/dev/null", 2, "it is a pipe or device; name a file");
    assert!(!Path::new("/dev/null").is_file(), "a device was replaced");

    // Pipes that nobody reads: nothing waits for a reader.
    for name in ["out.mp4", "out.mkv", "out.json", "out.effigy"] {
        lab.pipe(name);
    }
    enroll("photo.png", "out.effigy", 2, "it is a pipe or device; name a file");
    for sink in ["file:out.mp4", "file:out.mkv"] {
        let output = lab.render("talk.mp4".as_ref(), sink.as_ref(), &ME, Stdio::null());
        refused(&output, 1, &["cannot write out.m", "it is a pipe or device; name a file"]);
    }
    let more = |report: &'static str| [ME[0], ME[1], "--report", report];
    let output = lab.render("talk.mp4".as_ref(), "null".as_ref(), &more("out.json"), Stdio::null());
    refused(&output, 1, &["cannot write out.json", "nobody reads this pipe; start what reads it first"]);
    let output = lab.render("talk.mp4".as_ref(), "null".as_ref(), &more("-"), Stdio::null());
    refused(&output, 1, &["cannot write -", "`./-`"]);
    // One that is read.
    let reader = Command::new("cat").arg(lab.path("out.json")).stdout(Stdio::piped()).spawn().unwrap();
    let output = lab.render("talk.mp4".as_ref(), "null".as_ref(), &more("out.json"), Stdio::null());
    assert!(output.status.success(), "{}", said(&output));
    let read = reader.wait_with_output().unwrap().stdout;
    assert!(String::from_utf8_lossy(&read).contains("\"schema\": 1"));
}
