//! The program as a user meets it: help, exit codes, every error text, files written, quiet terminal.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::clips;
use effigy::capture::{ClipSource, Source as _, SourceOptions};
use image::{Rgb, RgbImage, imageops};

/// Pictures in the short clip, and its rate: not the driver's, so that no test passes by chance.
const N_SHORT: usize = 14;
const SHORT_HZ: f64 = 24.0;
/// When it beeps.
const BEEP_SECS: f64 = 0.25;

/// A folder with all that the cases are given; every command runs in it.
static LAB: LazyLock<PathBuf> = LazyLock::new(make_lab);

fn demo_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(name)
}

fn make_lab() -> PathBuf {
    let lab = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
    let _ = std::fs::remove_dir_all(&lab);
    for folder in ["folder.mp4", "no-models", "torn-models", "sealed", "stills"] {
        std::fs::create_dir_all(lab.join(folder)).unwrap();
    }
    let write = |name: &str, bytes: &[u8]| std::fs::write(lab.join(name), bytes).unwrap();

    // Photos.
    let portrait = image::open(demo_file("portrait_a.png")).unwrap().into_rgb8();
    let (width, height) = portrait.dimensions();
    portrait.save(lab.join("photo.png")).unwrap();
    portrait.save(lab.join("photo.jpg")).unwrap();
    portrait.save(lab.join("stills/000001.png")).unwrap();
    let mut two = RgbImage::new(2 * width, height);
    imageops::replace(&mut two, &portrait, 0, 0);
    imageops::replace(&mut two, &imageops::flip_horizontal(&portrait), width.into(), 0);
    two.save(lab.join("two.png")).unwrap();
    imageops::resize(&portrait, 110, 110 * height / width, imageops::FilterType::Triangle)
        .save(lab.join("small.png"))
        .unwrap();
    rotated(&portrait, 60.0).save(lab.join("tilted.png")).unwrap();
    let mut dark = portrait.clone();
    dark.iter_mut().for_each(|value| *value /= 4);
    dark.save(lab.join("dark.png")).unwrap();
    RgbImage::from_pixel(300, 200, Rgb([120, 130, 140])).save(lab.join("plain.png")).unwrap();
    RgbImage::from_pixel(1, 1, Rgb([1, 2, 3])).save(lab.join("one.png")).unwrap();
    let jpeg = std::fs::read(lab.join("photo.jpg")).unwrap();
    write("torn.jpg", &jpeg[..jpeg.len() / 2]);
    write("photo.heic", include_bytes!("assets/photos/display_p3.heic"));
    let png = std::fs::read(lab.join("photo.png")).unwrap();
    write("torn.png", &png[..png.len() / 2]);
    write("bomb.png", &png_header(60_000, 60_000));
    write("giant.png", &png_header(2_000_000_000, 2_000_000_000));
    for name in ["text.txt", "text.jpg", "text.mp4", "text.effigy", "libtext.so"] {
        write(name, b"hello, this is only a text\n");
    }
    std::fs::copy(lab.join("plain.png"), lab.join("holiday.png")).unwrap();

    // Clips.
    let driver = std::fs::read(demo_file("driver.mp4")).unwrap();
    write("driver.mp4", &driver);
    write("torn.mp4", &driver[..driver.len() * 6 / 10]);
    write("empty.mp4", b"");
    shorten(&lab.join("driver.mp4"), &lab.join("short.mp4"));

    // Identities.
    for (name, who) in [("me", ["--consent", "synthetic"]), ("ann", ["--consent", "subject"])] {
        let outcome = command(&lab)
            .args(["enroll", "photo.png", "-o", &format!("{name}.effigy"), "--consent-by", "Ann Example"])
            .args(who)
            .arg("--no-rehearsal")
            .output()
            .unwrap();
        assert!(outcome.status.success(), "{}", text(&outcome.stderr));
    }
    let identity = std::fs::read(lab.join("me.effigy")).unwrap();
    write("torn.effigy", &identity[..identity.len() / 2]);
    let mut tampered = identity.clone();
    let at = tampered.len() / 2;
    tampered[at] ^= 1;
    write("tampered.effigy", &tampered);

    // Models.
    for entry in Path::new(env!("CARGO_MANIFEST_DIR")).join("models").read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "onnx") {
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(lab.join("torn-models").join(path.file_name().unwrap()), &bytes[..1000]).unwrap();
        }
    }
    lab
}

fn rotated(picture: &RgbImage, degrees: f32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (x0, y0) = (width as f32 / 2.0, height as f32 / 2.0);
    RgbImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (x as f32 - x0, y as f32 - y0);
        let (x, y) = (x0 + cos * dx + sin * dy, y0 - sin * dx + cos * dy);
        let is_inside = x >= 0.0 && y >= 0.0 && x < width as f32 && y < height as f32;
        if is_inside { *picture.get_pixel(x as u32, y as u32) } else { Rgb([0, 0, 0]) }
    })
}

/// A PNG that says how large it is and then ends.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let size = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [(b"IHDR", &size[..]), (b"IDAT", &[0; 100])] {
        let chunk = [&name[..], data].concat();
        let mut crc = u32::MAX;
        for byte in &chunk {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(chunk);
        png.extend((!crc).to_be_bytes());
    }
    png
}

/// Writes the first pictures of a clip as another one.
fn shorten(from: &Path, to: &Path) {
    let times: Vec<_> = (0..N_SHORT).map(|index| index as f64 / 30.0).collect();
    let pictures = ClipSource::pictures_at(from, &times).unwrap();
    let size_px = (pictures[0].width_px() as u32, pictures[0].height_px() as u32);
    let sound = Some(("aac", vec![BEEP_SECS], 0.7));
    let clip = clips::Clip { size_px, rate: (SHORT_HZ as i32, 1), sound, ..clips::Clip::default() };
    let numbers: Vec<_> = (0..N_SHORT as i64).collect();
    clip.write(to, &numbers, |index, x, y| pictures[index].pixel(x as usize, y as usize));
}

/// The pictures that can be decoded from a clip, and its rate.
fn played(path: &Path) -> (usize, f64) {
    let options = SourceOptions { paced: false, ..SourceOptions::default() };
    let rate_hz = ClipSource::open(path, &options).unwrap().frame_rate_hz().unwrap();
    (clips::pictures(path).len(), rate_hz)
}

/// The program, as a user without a desktop starts it.
fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_effigy"));
    command.current_dir(folder).stdin(Stdio::null()).env("XDG_CONFIG_HOME", folder.join("settings"));
    command.env("XDG_DATA_HOME", crate::data_home::data_home());
    for variable in ["DISPLAY", "WAYLAND_DISPLAY", "EFFIGY_MODELS", "EFFIGY_LOG", "XDG_RUNTIME_DIR"] {
        command.env_remove(variable);
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn words(line: &str) -> Vec<&str> {
    // An empty argument is written as ''.
    line.split_whitespace().map(|word| if word == "''" { "" } else { word }).collect()
}

/// What a line on the terminal may begin with; anything else is some library's noise.
const SPOKEN: [&str; 24] = [
    "mark: ",
    "signature: ",
    "revoked: ",
    "small ",
    "effigy: ",
    "warning: ",
    "warn: ",
    "source: ",
    "generator: ",
    "sink: ",
    "control page: ",
    "for OBS, ",
    "age of ",
    "audio delay: ",
    "median of ",
    "identity: ",
    "preview: ",
    "next: ",
    "video: ",
    "driver and result",
    "ten seconds",
    "no display here",
    "the visible AI mark was off",
    "keys: ",
];

/// Runs one command in the lab and checks its exit code, what it says, and that nothing else is on the terminal.
fn check(line: &str, environment: &[(&str, &str)], code: i32, says: &[&str]) -> Output {
    let output = command(&LAB).args(words(line)).envs(environment.iter().copied()).output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "effigy {line}\n{stderr}");
    for part in says {
        assert!(stderr.contains(part), "effigy {line}\nlacks {part:?}:\n{stderr}");
    }
    assert!(!stderr.contains("panicked") && !stderr.contains("RUST_BACKTRACE"), "effigy {line}\n{stderr}");
    let is_usage = stderr.starts_with("error: ");
    for noise in stderr.lines().filter(|line| !is_usage && !SPOKEN.iter().any(|known| line.starts_with(known))) {
        assert!(noise.contains(" pictures a second"), "effigy {line}\nnoise: {noise}");
    }
    if code != 0 && !is_usage {
        assert_eq!(stderr.lines().filter(|line| line.starts_with("effigy: ")).count(), 1, "effigy {line}\n{stderr}");
        assert!(stderr.lines().last().unwrap().starts_with("effigy: "), "effigy {line}\n{stderr}");
        assert!(!stderr.trim_end().ends_with('.'), "a message is a clause: effigy {line}\n{stderr}");
    }
    output
}

/// Cases of what goes wrong: the command, its exit code, and what it must say. Nothing may reach stdout.
fn check_failures(cases: &[(&str, i32, &[&str])]) {
    for (line, code, says) in cases {
        let output = check(line, &[], *code, says);
        assert_eq!(text(&output.stdout), "", "effigy {line}");
    }
}

/// Everything but the sink of a run that ends by itself.
const RUN: &str = "run --identity me.effigy --source pattern --duration 0.7";

#[test]
fn help_names_commands_flags_values_and_examples() {
    let table: [(&str, &[&str]); 21] = [
        (
            "",
            &[
                "demo",
                "enroll",
                "run",
                "devices",
                "verify",
                "revoke",
                "seal",
                "unseal",
                "bench",
                "completions",
                "man",
                "Examples:",
                "effigy demo",
                "Exit codes: 0 done, 1 failed while running, 2 wrong usage, 130 interrupted",
            ],
        ),
        ("demo", &["--out <DIR>", "--size", "[default: 512]", "--report <FILE.json>", "Examples:", "  effigy demo"]),
        (
            "enroll",
            &[
                "<PHOTO|CLIP>",
                "-o, --output <NAME.effigy>",
                "--views <N>",
                "[default: 8]",
                "--consent <CONSENT>",
                "self:",
                "subject:",
                "synthetic:",
                "public-domain:",
                "--consent-by <WHO>",
                "--framing",
                "[default: face]",
                "--face <N>",
                "--name",
                "--no-rehearsal",
                "--statement-audio <FILE|microphone>",
                "--seal <passphrase|age1…>",
                "Examples:",
                "  effigy enroll me.jpg -o me.effigy --consent self",
            ],
        ),
        (
            "run",
            &[
                "--identity <FILE[,FILE...]>",
                "--source <SOURCE>",
                "[default: camera]",
                "--sink <SINK>",
                "[default: window]",
                "--size",
                "[default: 512]",
                "--framing",
                "head:",
                "photo:",
                "fill:",
                "--zoom <FACTOR>",
                "--offset <X,Y>",
                "--backend",
                "[default: auto]",
                "cuda:",
                "wgpu:",
                "cpu:",
                "warp:",
                "--motion",
                "[default: relative]",
                "absolute:",
                "--background",
                "#RRGGBB",
                "--mirror",
                "--no-badge",
                "--badge-place <CORNER>",
                "[default: bottom-right]",
                "--badge-language <LANGUAGE>",
                "--passphrase-file <FILE>",
                "EFFIGY_PASSPHRASE",
                "--key <FILE>",
                "--loop",
                "--every-frame",
                "--camera-format",
                "--camera-size",
                "--strength",
                "--stamp",
                "--duration <SECONDS>",
                "--report <FILE.json>",
                "Examples:",
                "--sink window --sink file:out.mp4",
                "Keys in the window: 1-9 identity, C calibrate",
                "Q quit",
            ],
        ),
        ("devices", &["Examples:", "  effigy devices"]),
        (
            "verify",
            &["<FILE|URL>", "--statement-audio <FILE>", "--key <FILE>", "Examples:", "  effigy verify me.effigy"],
        ),
        ("seal", &["--to <passphrase|age1…>", "--new-key <FILE>", "Examples:", "  effigy seal me.effigy"]),
        ("unseal", &["--output <FILE>", "--key <FILE>", "Examples:", "  effigy unseal me.effigy"]),
        ("bench", &["run", "compare", "e2e", "watch", "pattern", "lag", "code", "cost", "Examples:"]),
        (
            "bench run",
            &[
                "--scenario <NAME>",
                "--secs <SECONDS>",
                "--warm-up <SECONDS>",
                "--rounds <N>",
                "--versus <'OPTIONS'>",
                "--versus-binary <FILE>",
                "--out <DIR>",
                "steady, bursty",
                "Examples:",
            ],
        ),
        ("bench compare", &["<A>", "<B>", "moving-block bootstrap", "Examples:"]),
        (
            "bench e2e",
            &["--way <SINK[=READER]>", "--report <FILE.json>", "\"gap\"", "--way pipewire", "--no-face", "Examples:"],
        ),
        (
            "bench watch",
            &["<DEVICE|URL|FILE>", "window:TITLE", "pipewire[:NODE]", "--secs <SECONDS>", "--report", "Examples:"],
        ),
        ("bench pattern", &["--sink <SINK>", "[default: window]", "--size", "--secs", "Examples:"]),
        ("bench predict", &["[FILE.jsonl]", "--ahead <MS>", "[default: 66]", "--rate <HZ>", "Examples:"]),
        ("bench lag", &["[CLIP]", "--no-filter", "--predict <MS>", "--identity", "--backend", "Examples:"]),
        ("bench code", &["--pictures <N>", "[default: 200]", "Examples:"]),
        (
            "bench memory",
            &["--switches <N>", "[default: 1000]", "--runs", "--clip-secs", "[default: 3600]", "Examples:"],
        ),
        ("bench cost", &["--size", "Examples:"]),
        ("completions", &["<SHELL>", "bash", "zsh", "fish", "powershell", "Examples:"]),
        ("man", &["<DIR>", "Examples:", "  effigy man"]),
    ];
    for (name, parts) in table {
        let output = check(&format!("{name} --help"), &[], 0, &[]);
        let help = text(&output.stdout);
        assert!(output.stderr.is_empty());
        for part in parts {
            assert!(help.contains(part), "help of {name:?} lacks {part:?}:\n{help}");
        }
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "help of {name:?}: {line}");
        }
        let short = check(&format!("{name} -h"), &[], 0, &[]);
        assert!(text(&short.stdout).contains("Usage: effigy"));
    }
    assert!(text(&check("--version", &[], 0, &[]).stdout).starts_with("effigy "));
}

#[test]
fn wrong_usage_is_told_before_anything_is_opened() {
    let run = "run --identity me.effigy --source pattern";
    // `effigy` alone opens the page; without a display it says what to type.
    let alone = command(&LAB).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").output().unwrap();
    assert_eq!(alone.status.code(), Some(2));
    assert!(
        alone.stdout.is_empty() && text(&alone.stderr).contains("`effigy run --sink http` prints the page's address")
    );
    let owned: Vec<(String, &[&str])> = vec![
        ("dance".into(), &["unrecognized subcommand 'dance'"]),
        ("run".into(), &["no identity to show", "PHOTO -o NAME.effigy --consent self", "effigy identities add"]),
        ("run --identity ''".into(), &["--identity", "expected FILE or FILE,FILE,…, found an empty name"]),
        ("run --identity me.effigy,".into(), &["found an empty name"]),
        ("enroll".into(), &["--output <NAME.effigy>", "--consent <CONSENT>", "<PHOTO|CLIP>"]),
        ("enroll photo.png -o a.effigy".into(), &["--consent"]),
        (
            "enroll photo.png -o a.effigy --consent maybe".into(),
            &["possible values: self, subject, synthetic, public-domain"],
        ),
        ("enroll photo.png -o a.effigy --consent subject".into(), &["--consent-by 'Ann Example'"]),
        ("enroll photo.png -o a.effigy --consent self --consent-by ''".into(), &["--consent-by must be a name"]),
        ("enroll photo.png -o a.effigy --consent self --name ''".into(), &["1 to 64", "--name"]),
        ("enroll photo.png -o a.effigy --consent self --face 0".into(), &["--face", "counted from 1"]),
        (
            "enroll photo.png two.png -o a.effigy --consent self --face 1".into(),
            &["--face chooses a face of one photo"],
        ),
        ("enroll photo.png -o a.effigy --consent self --views 9".into(), &["--views", "1..=8"]),
        ("enroll photo.png -o folder.mp4 --consent self".into(), &["is a folder; try -o folder.mp4/me.effigy"]),
        ("enroll photo.png -o ./photo.png --consent self".into(), &["would replace the photo"]),
        ("enroll photo.png -o a.png --consent self".into(), &["try -o a.effigy"]),
        ("completions tcsh".into(), &["possible values: bash, elvish, fish, powershell, zsh"]),
        ("man text.txt".into(), &["into a folder, found a file: text.txt"]),
        ("run --identity me.effigy --source ''".into(), &["the source is empty", "`--source` takes camera"]),
        ("run --identity me.effigy --source camera:".into(), &["`camera:` lacks", "camera:NAME, pattern"]),
        (format!("{run} --sink http:example.org"), &["no address \"example.org\"", "a port (8080)"]),
        (format!("{run} --sink http --sink http:8080"), &["one server is enough for all"]),
        (format!("{run} --sink http:0.0.0.0:8080"), &["lets other machines reach the control page", "--allow-remote"]),
        (format!("{run} --sink screen"), &["no sink \"screen\"; `--sink` takes window, http[:ADDRESS], vcam[:DEVICE]"]),
        (
            format!("{run} --sink vcam:x"),
            &["no virtual camera \":x\"", "`--sink` takes window, http[:ADDRESS], vcam[:DEVICE]"],
        ),
        (
            format!("{run} --sink vcam@63x48"),
            &["no size \"63x48\" for a camera; give WIDTHxHEIGHT with even sides from 64 to 4096"],
        ),
        (format!("{run} --sink vcam --sink vcam"), &["two sinks would be the same camera; give `--sink vcam` once"]),
        (format!("{run} --sink file:"), &["`file:` lacks a path"]),
        (format!("{run} --sink file:out.gif"), &["out.gif ends in none of .mp4, .mkv, .mov, .avi, .png and /"]),
        (format!("{run} --sink file:out"), &["out ends in none of"]),
        (format!("{run} --sink file:a.png"), &["lacks the place for the frame's number, such as %04d"]),
        (format!("{run} --sink file:a.mp4 --sink file:a.mp4"), &["two sinks would write the same file", "a.mp4"]),
        (format!("{run} --sink file:a.mp4 --sink file:./a.mp4"), &["two sinks would write the same file", "./a.mp4"]),
        (format!("{run} --sink file:stills/ --sink file:./stills/"), &["two sinks would write the same file"]),
        (format!("{run} --sink file:a.mp4 --report ./a.mp4"), &["the report would replace what the run records"]),
        (format!("{run} --sink motion:a.jsonl --report a.jsonl"), &["would replace what the run records", "a.jsonl"]),
        (format!("{run} --sink file:stills/ --report stills/000007.png"), &["would replace what the run records"]),
        (format!("{run} --sink null --first 9"), &["--first 9 is nobody's number", "the last identity is number 1"]),
        (format!("{run} --sink null --backend warp --weights photo.png"), &["--backend warp has no network"]),
        (format!("{run} --sink null --size 5000"), &["--size", "expected WIDTHxHEIGHT or one side of a square"]),
        (
            format!("{run} --sink null --zoom 2"),
            &["--zoom and --offset belong to a filled picture, and this one is head; add --framing fill"],
        ),
        (
            format!("{run} --sink file:a.mp4 --codec vhs"),
            &["no codec or encoder \"vhs\" in this FFmpeg", "takes auto, h264"],
        ),
        (format!("{run} --sink file:a.mp4 --codec prores"), &["a.mp4 cannot hold ProRes 4444", "name it .mkv"]),
        (format!("{run} --sink null --backend tpu"), &["possible values: auto, cuda, wgpu, cpu, warp"]),
        (format!("{run} --sink null --motion fast"), &["possible values: relative, absolute"]),
        (format!("{run} --sink null --background #12"), &["#RRGGBB, such as '#00b140'"]),
        (format!("{run} --sink null --background no.png"), &["own, blur, none, #RRGGBB or a picture's file", "no.png"]),
        (format!("{run} --sink null --background text.txt"), &["found another kind of file"]),
        (format!("{run} --sink null --strength 3"), &["expected a number from 0 to 2"]),
        (format!("{run} --sink null --duration 0"), &["expected a number of seconds above 0"]),
        (format!("{run} --sink null --camera-format h264"), &["choose auto, mjpeg, yuyv or nv12"]),
        (
            format!("{run} --sink motion:a.jsonl --microphone"),
            &["--microphone is recorded beside pictures, and this run shows none", "such as --sink file:"],
        ),
        (
            "run --identity me.effigy --source short.mp4 --sink file:a.mp4 --every-frame --microphone".into(),
            &["--microphone hears what is said now", "give one of both"],
        ),
        (format!("{run} --sink null --every-frame"), &["--every-frame needs a clip: --source FILE"]),
        ("run --identity me.effigy --sink null --every-frame".into(), &["--every-frame needs a clip"]),
        (
            "run --identity me.effigy --source short.mp4 --loop --sink null --every-frame".into(),
            &["--every-frame with --loop would never end"],
        ),
        (
            "run --identity me.effigy --source driver.mp4 --sink file:./driver.mp4".into(),
            &["would replace what the run reads", "./driver.mp4"],
        ),
        (
            "run --identity me.effigy --source stills/000001.png --sink file:./stills/".into(),
            &["the recording would replace what the run reads"],
        ),
        (format!("{run} --sink null --report me.effigy"), &["would replace what the run reads"]),
        (
            "run --identity ann.effigy --source pattern --sink null --no-badge".into(),
            &["--no-badge needs", "\"ann\"", "consent subject"],
        ),
        (
            "run --identity me.effigy,ann.effigy --source pattern --sink null --no-badge".into(),
            &["--no-badge needs", "\"ann\""],
        ),
    ];
    for (line, says) in &owned {
        check_failures(&[(line, 2, says)]);
    }
    if cfg!(feature = "window") {
        check_failures(&[
            (&format!("{run} --sink window --sink window"), 2, &["one window is enough"]),
            (
                "run --identity me.effigy --source short.mp4 --every-frame",
                2,
                &["needs a sink that waits for it, such as --sink file:out.mp4"],
            ),
        ]);
    }
    for made in ["a.effigy", "a.png", "a.mp4", "a.jsonl", "stills/000007.png"] {
        assert!(!LAB.join(made).exists(), "{made} was made by a command that was typed wrongly");
    }
    assert_eq!(std::fs::read(LAB.join("driver.mp4")).unwrap(), std::fs::read(demo_file("driver.mp4")).unwrap());
}

#[test]
fn a_size_or_number_that_is_refused_says_what_is_allowed() {
    let refused = |option: &str, values: &[&str], says: &str| {
        for value in values {
            // A negative number may look like an option.
            let line = format!("{option}={value}");
            let name = option.split(' ').next_back().unwrap();
            check_failures(&[(&line, 2, &[name, says])]);
        }
    };
    let sides = ["700", "0", "abc", "-512", "512.0", "512x512", "4096", "99999999999999999999999"];
    let run = "run --identity me.effigy --source pattern --sink null";
    let frames =
        ["0", "0x0", "63", "4097", "63x64", "100000x100000", "1280x", "x720", "1280*720", "abc", "-512", "512.0"];
    refused(
        &format!("{run} --size"),
        &frames,
        "expected WIDTHxHEIGHT or one side of a square, each from 64 to 4096 pixels, such as 1280x720 or 512",
    );
    refused(
        &format!("{run} --framing fill --zoom"),
        &["0", "0.4", "4.1", "abc", "nan"],
        "expected a number from 0.5 to 4",
    );
    refused(
        &format!("{run} --framing fill --offset"),
        &["0", "2,0", "0,-1.1", "a,b", "nan,0"],
        "expected X,Y with numbers from -1 to 1",
    );
    refused(&format!("{run} --framing"), &["whole", ""], "head, photo, fill");
    for command in ["demo", "bench run", "bench e2e", "bench pattern", "bench lag", "bench memory", "bench cost"] {
        refused(&format!("{command} --size"), &sides, "expected 512 or 1024, the pixels of each side");
    }
    let cameras = ["700", "0x0", "abc", "63x64", "7681x64", "640x480x2", "640*480", "-64x64"];
    refused(&format!("{run} --camera-size"), &cameras, "expected WIDTHxHEIGHT with sides from 64 to 7680 pixels");
    let secs = ["0", "-1", "abc", "nan", "inf", "1e9"];
    refused(&format!("{run} --duration"), &secs, "expected a number of seconds above 0 and below 1e9");
    refused(&format!("{run} --strength"), &["-1", "2.1", "abc", "nan"], "expected a number from 0 to 2");
    refused("enroll photo.png -o a.effigy --consent self --face", &["0", "-1", "abc", "1.5"], "counted from 1");
    refused("bench run --rounds", &["0", "1001"], "is not in 1..=1000");
    refused("bench code --pictures", &["0", "1000001"], "is not in 1..=1000000");
    refused("bench memory --runs", &["1000001"], "is not in 0..=1000000");
    if cfg!(feature = "train") {
        refused("eval clip.mp4 --size", &sides, "expected 64, 128, 256 or 512, the pixels of each side");
        let clip = "synth clip --head head.npz -o out.mp4";
        refused(
            &format!("{clip} --size"),
            &["700.5", "0", "abc", "63", "65", "2050"],
            "an even number of pixels from 64 to 2048",
        );
        refused(&format!("{clip} --rate"), &["0", "241", "nan", "abc"], "expected a number from 1 to 240");
        refused(&format!("{clip} --secs"), &["0", "-1", "inf", "nan"], "expected a number from 0.01 to 86400");
        refused(
            "synth data --head head.npz -o out --frames",
            &["0", "-1", "abc"],
            "expected a number from 1 to 1000000",
        );
        refused("train data -o out --picture", &["0", "100", "1024"], "expected a multiple of 32 from 64 to 512");
        refused("train data -o out --rate", &["0", "-1", "2", "nan"], "expected a number from 0.000000001 to 1");
        refused("prepare clips -o out --min-face", &["0", "-1", "nan", "abc"], "expected a number from 1 to 10000");
        refused("prepare clips -o out --jobs", &["0", "-1", "abc"], "expected a number from 1 to 1024");
    }
}

#[test]
fn a_microphone_that_is_not_there_is_told_and_no_file_is_left() {
    let line = "run --identity me.effigy --source short.mp4 --sink file:voice.mp4 --microphone no-such-thing";
    check_failures(&[(line, 1, &["microphone", if cfg!(feature = "microphone") { "there" } else { "--features" }])]);
    assert!(!LAB.join("voice.mp4").exists());
}

#[test]
fn what_cannot_be_measured_is_told() {
    check_failures(&[
        ("bench run --scenario dance", 2, &["no scenario \"dance\"; there are steady, bursty"]),
        ("bench run --secs 0", 2, &["expected a number of seconds above 0"]),
        ("bench run --secs 7200", 2, &["are 7202 seconds together; the frames of 3600 are kept"]),
        ("bench e2e --secs 3600 --warm-up 1", 2, &["are 3601 seconds together; the frames of 3600 are kept"]),
        (
            "bench run --scenario switches --identity me.effigy",
            2,
            &["switches needs two identities; give --identity a,b, or leave it out"],
        ),
        (
            "bench watch ''",
            2,
            &["nothing to watch", "/dev/videoN, http://HOST:PORT/PATH, pipewire[:NODE], window:TITLE"],
        ),
        ("bench watch https://a.example/x", 2, &["only plain http://"]),
        ("bench e2e --way file:frames/", 2, &["say where file:frames/", "--way 'file:frames/%06d.png=READER'"]),
        ("bench code --pictures 0", 2, &["--pictures"]),
        ("bench memory --switches 0 --runs 0 --clip-secs 0", 2, &["nothing to measure", "--switches", "above 0"]),
        ("bench compare text.txt text.txt", 2, &["text.txt is no recording", "effigy bench run --out DIR"]),
        ("bench compare missing missing", 1, &["cannot read missing"]),
        ("bench watch text.txt", 1, &["text.txt is no video"]),
        ("bench watch short.mp4", 1, &["no code in 14 pictures of short.mp4", "effigy bench pattern"]),
        ("bench watch http://127.0.0.1:1/x?token=abc", 1, &["cannot connect to http://127.0.0.1:1/x; is the program"]),
        ("bench predict missing.jsonl", 1, &["cannot play the motion file missing.jsonl", "--sink motion:FILE.jsonl"]),
        ("bench predict --ahead 121", 2, &["milliseconds from 0 to 120"]),
        ("bench predict --rate 5", 2, &["frames a second from 10 to 240"]),
        ("bench lag short.mp4", 2, &["give a clip with more than 60"]),
    ]);
    if cfg!(target_os = "linux") {
        check_failures(&[("bench watch /dev/video77", 1, &["cannot open /dev/video77", "ls /dev/video*"])]);
    }
    if cfg!(all(target_os = "linux", feature = "window")) {
        check_failures(&[
            ("bench watch window:x", 1, &["no X display to look at"]),
            ("bench pattern --secs 1", 1, &["no display to open a window on"]),
        ]);
    }
    let ways = ["bench watch pipewire", "bench watch pipewire:Cam", "bench e2e --way pipewire"];
    let is_there = cfg!(all(target_os = "linux", feature = "pipewire"));
    let (code, says): (i32, &[&str]) = match is_there {
        true => (1, &["PipeWire does not run for this user; start it with `systemctl --user start"]),
        false => (2, &["not in this build"]),
    };
    for way in ways {
        let started = std::time::Instant::now();
        let output = check(way, &[("PIPEWIRE_RUNTIME_DIR", "/nonexistent")], code, says);
        assert!(is_there || text(&output.stderr).contains("`--features pipewire`") || !cfg!(target_os = "linux"));
        assert!(started.elapsed() < std::time::Duration::from_secs(60), "{way} took {:?}", started.elapsed());
    }
}

#[test]
fn numbers_and_times_survive_the_way_through_files() {
    check("bench pattern --sink file:pattern.mp4 --secs 1.5", &[], 0, &["sink: pattern.mp4", "with number and time"]);
    // Long enough for some pictures on a machine that does other work beside.
    let run = "run --identity me.effigy --source pattern --duration 2.5";
    check(&format!("{run} --backend warp --stamp --sink file:stamped.mp4"), &[], 0, &["audio delay: "]);
    for file in ["pattern.mp4", "stamped.mp4"] {
        let output = check(&format!("bench watch {file} --report watch.json"), &[], 0, &[]);
        assert!(text(&output.stdout).starts_with(file), "{}", text(&output.stdout));
        let figures: serde_json::Value =
            serde_json::from_slice(&std::fs::read(LAB.join("watch.json")).unwrap()).unwrap();
        assert!(figures["frames"].as_u64().unwrap() > 3, "{figures}");
        assert_eq!((figures["unread"].as_u64(), figures["backward"].as_u64()), (Some(0), Some(0)), "{figures}");
        assert!(figures["age_ms"].is_null(), "a file has no age");
    }
}

#[test]
fn a_bench_is_recorded_reported_and_compared() {
    let scenes = "bench run --backend warp --scenario steady --scenario replug --secs 3.2 --warm-up 0.3 --out scenes";
    let output = check(scenes, &[], 0, &["next: open scenes/report.html"]);
    let table = text(&output.stdout);
    assert!(table.contains("steady") && table.contains("replug"), "{table}");
    let html = std::fs::read_to_string(LAB.join("scenes/report.html")).unwrap();
    assert_eq!(html.matches("<svg").count(), 8, "four plots a scene");
    assert!(!html.contains("http") && !html.contains("src="), "a report needs nothing but itself");
    assert_eq!(std::fs::read_to_string(LAB.join("scenes/runs.jsonl")).unwrap().lines().count(), 2);
    let output = check("bench compare scenes/bench.json scenes/bench.json", &[], 0, &[]);
    let table = text(&output.stdout);
    assert_eq!(table.matches("too few rounds to tell").count(), 4, "of one run each nothing is said: {table}");
    assert!(table.contains("--rounds 3 or more tells") && !table.contains("A and B differ"), "{table}");

    let output = check("bench e2e --backend warp --secs 1.5 --warm-up 0.3 --report e2e.json", &[], 0, &[]);
    assert!(text(&output.stdout).contains("null"));
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(LAB.join("e2e.json")).unwrap()).unwrap();
    assert!(record["machine"]["cores"].as_u64().unwrap() > 0 && record["machine"]["kind"].is_string(), "{record}");
    let ways = &record["ways"];
    assert_eq!(ways[0]["lost_behind_sink"], 0, "{ways}");
    let (near, far) = (&ways[0]["near_ms"]["p50"], &ways[0]["far"]["age_ms"]["p50"]);
    assert!((near.as_f64().unwrap() - far.as_f64().unwrap()).abs() < 2.0, "{ways}");
    let output = check("bench cost", &[], 0, &[]);
    assert!(text(&output.stdout).contains("in every run"));
}

#[test]
fn builds_play_in_turn_and_are_compared() {
    // The program against a copy of itself, named by a path that holds a blank.
    std::fs::create_dir_all(LAB.join("other build")).unwrap();
    let other = LAB.join("other build/effigy");
    std::fs::copy(env!("CARGO_BIN_EXE_effigy"), &other).unwrap();
    let play = |secs: &str, other: &str| {
        let scene = "bench run --scenario steady --size 512 --backend warp --identity me.effigy --out builds --secs";
        let mut command = command(&LAB);
        command.args(words(scene)).args([secs, "--warm-up", "0.2", "--versus-binary", other]);
        command.output().unwrap()
    };
    let output = play("6", "other build/effigy");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(table.contains("steady             A 1") && table.contains("steady             B 1"), "{table}");
    assert!(table.contains("B − A"), "{table}");
    let recording: serde_json::Value =
        serde_json::from_slice(&std::fs::read(LAB.join("builds/bench.json")).unwrap()).unwrap();
    let runs = recording["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0]["settings"], "--size 512 --backend warp");
    assert_eq!(runs[1]["settings"], "--size 512 --backend warp (other build/effigy)");
    assert_ne!(runs[0]["frames"], runs[1]["frames"], "one run stands for both");
    let html = std::fs::read_to_string(LAB.join("builds/report.html")).unwrap();
    assert!(html.contains("B against A"));

    // What is no such program is said, and never taken for one that recorded what A did.
    let output = play("6", "missing/effigy");
    assert!(text(&output.stderr).contains("there is no program missing/effigy"), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 1, "nothing has played before that");
    #[cfg(unix)]
    {
        let output = play("5", "/bin/true");
        assert!(text(&output.stderr).contains("failed: it recorded nothing"), "{}", text(&output.stderr));
        let kept: serde_json::Value =
            serde_json::from_slice(&std::fs::read(LAB.join("builds/bench.json")).unwrap()).unwrap();
        let runs = kept["runs"].as_array().unwrap();
        assert_eq!((runs.len(), &runs[0]["variant"]), (1, &"A".into()), "what was made before is kept");
    }
}

#[test]
fn photos_are_refused_with_a_reason() {
    let cases: [(&str, &[&str]); 16] = [
        ("missing.png", &["cannot read the picture missing.png"]),
        ("folder.mp4", &["folder.mp4"]),
        ("text.txt", &["expected a photo: JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF, found another kind of file"]),
        ("text.jpg", &["expected a photo: JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF, found another kind of file"]),
        ("empty.mp4", &["found another kind of file"]),
        ("torn.jpg", &["the picture is torn: its end is missing"]),
        ("torn.png", &["the picture is torn"]),
        ("bomb.png", &["the picture is too large; at most 16384 pixels a side are read"]),
        ("giant.png", &["the picture is too large"]),
        ("one.png", &["no face found"]),
        ("plain.png", &["no face found; take a photo from the front"]),
        (
            "two.png",
            &[
                "2 faces found; choose one with --face N, counted from the left, 1 to 2",
                "(1: ",
                " pixels high around x ",
                "; 2: ",
            ],
        ),
        ("two.png --face 3", &["--face 3 asked for, but the photo has 2"]),
        ("photo.png --face 2", &["--face 2 asked for, but the photo has 1"]),
        ("small.png", &["the face is", "at least 96 are needed; use a larger photo"]),
        ("tilted.png", &["the head is tilted by", "at most 35 will do"]),
    ];
    for (photo, says) in cases {
        let says = [says, &[photo.split(' ').next().unwrap()]].concat();
        check_failures(&[(&format!("enroll {photo} -o refused.effigy --consent self"), 1, &says)]);
    }
    // HEIC is read where libheif is, and where it is not the message says what to do.
    let line = "enroll photo.heic -o refused.effigy --consent self";
    check(line, &[], 1, &["no face found"]);
    check(
        line,
        &[("EFFIGY_LIBHEIF", "libtext.so")],
        1,
        &["libheif", "libtext.so cannot be loaded", "apt install libheif1"],
    );
    let names = LAB.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = names.filter(|name| name.starts_with("refused.")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_photo_becomes_an_identity_that_tells_its_origin() {
    let output = check(
        "enroll two.png -o right.effigy --face 2 --consent subject --consent-by Ann --name Right",
        &[],
        0,
        &[
            "preview: right.png",
            "identity: right.effigy (",
            "consent: subject",
            "next: effigy run --identity right.effigy",
        ],
    );
    assert!(output.stdout.is_empty());
    let (width, height) = image::image_dimensions(LAB.join("right.png")).unwrap();
    assert_eq!(width, 3 * height);
    let output = check("verify right.effigy", &[], 0, &[]);
    let told = text(&output.stdout);
    assert!(output.stderr.is_empty());
    for part in ["identity     Right\n", "signature    holds", "key ", "subject (said by Ann, 20", "Z)", "SHA-256 "] {
        assert!(told.contains(part), "{part:?} is not in\n{told}");
    }

    // A second time replaces identity and preview, but a preview never replaces another picture.
    let again = "enroll photo.png --consent self --no-rehearsal -o";
    check(&format!("{again} right.effigy"), &[], 0, &["preview: right.png"]);
    check(&format!("{again} holiday.effigy"), &[], 0, &["no preview written", "holiday.png"]);
    let holiday = std::fs::read(LAB.join("holiday.png")).unwrap();
    assert_eq!(holiday, std::fs::read(LAB.join("plain.png")).unwrap());
}

#[test]
fn a_photo_that_may_look_bad_is_warned_of_and_refused_by_strict() {
    let json = |line: &str, code, says: &[&str]| -> serde_json::Value {
        serde_json::from_slice(&check(line, &[], code, says).stdout).unwrap()
    };
    let dark = ["the face is dark; take the photo in more light"];
    let told = json("enroll dark.png -o dark.effigy --consent synthetic --json --no-rehearsal", 0, &dark);
    let all = [
        "face",
        "faces",
        "identity",
        "left_out",
        "measures",
        "photo",
        "preview",
        "recording",
        "remarks",
        "size_px",
        "views",
    ];
    assert_eq!(keys(&told), all);
    assert_eq!((told["views"].as_array().unwrap().len(), &told["left_out"]), (1, &serde_json::json!([])));
    assert_eq!(told["remarks"][0]["kind"], "dark");
    assert_eq!(told["remarks"][0]["warning"], true);
    assert_eq!((&told["identity"], &told["face"]), (&"dark.effigy".into(), &1.into()));
    assert!(told["measures"]["brightness"].as_f64().unwrap() < 95.0);

    std::fs::remove_file(LAB.join("dark.effigy")).unwrap();
    let says = ["dark.png", "the photo may look bad, which --strict refuses: the face is dark"];
    let told = json("enroll dark.png -o dark.effigy --consent synthetic --json --strict", 1, &says);
    assert_eq!((&told["identity"], &told["preview"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    assert!(!LAB.join("dark.effigy").exists());

    let line = "enroll photo.png -o strict.effigy --consent synthetic --json --strict --no-rehearsal";
    let told = json(line, 0, &[]);
    assert_eq!(told["remarks"], serde_json::json!([]));
}

#[test]
fn identities_are_refused_with_a_reason() {
    let cases: [(&str, &[&str]); 5] = [
        ("missing.effigy", &["cannot read the identity missing.effigy; make one with `effigy enroll"]),
        ("text.effigy", &["cannot use text.effigy: expected an identity file made by `effigy enroll`"]),
        ("torn.effigy", &["torn.effigy", "torn file"]),
        ("tampered.effigy", &["tampered.effigy", "is not the one that was signed: expected", "found"]),
        ("photo.png", &["photo.png", "found something else"]),
    ];
    for &(file, says) in &cases[..4] {
        check_failures(&[(&format!("verify {file}"), 2, says)]);
    }
    // A picture without a mark is no identity, but it can be looked at.
    let output = command(&LAB).args(words("verify photo.png")).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), String::new()));
    assert!(text(&output.stdout).contains("none found: the best score is "), "{}", text(&output.stdout));
    for (file, says) in cases {
        check_failures(&[
            (&format!("run --identity {file} --source pattern --sink null"), 1, says),
            (&format!("run --identity me.effigy,{file} --source pattern --sink null"), 1, says),
        ]);
    }
}

#[test]
fn a_consent_that_ended_was_given_for_something_else_or_was_revoked_does_not_run() {
    check("enroll photo.png -o ended.effigy --consent synthetic --until 2001-02-03", &[], 0, &[]);
    check("enroll photo.png -o play.effigy --consent synthetic --until 2999-01-01 --for theatre", &[], 0, &[]);
    check("enroll photo.png -o taken.effigy --consent synthetic --statement yes", &[], 0, &[]);
    let run = "--source pattern --sink null --backend warp --duration 0.2";
    check_failures(&[
        (
            &format!("run --identity ended.effigy {run}"),
            1,
            &["ended may not be shown: the consent ended at 2001-02-03T23:59:59Z"],
        ),
        (&format!("run --identity play.effigy {run}"), 1, &["the consent is for \"theatre\" only"]),
        (&format!("run --identity play.effigy --purpose cinema {run}"), 1, &["for \"theatre\" only"]),
        ("enroll photo.png -o no.effigy --consent self --until 2027-02-30", 2, &["expected a day as YYYY-MM-DD"]),
    ]);
    check(&format!("run --identity play.effigy --purpose theatre {run}"), &[], 0, &[]);
    check("revoke taken.effigy", &[], 0, &["revoked: taken does not run on this machine any more"]);
    check_failures(&[(
        &format!("run --identity taken.effigy {run}"),
        1,
        &["the consent was revoked on this machine at"],
    )]);
}

#[test]
fn sources_are_refused_with_a_reason() {
    let run = |source: &str| format!("run --identity me.effigy --sink null --every-frame --source {source}");
    check_failures(&[
        (&run("missing.mp4"), 1, &["cannot read missing.mp4", "`--source` takes camera, camera:N"]),
        (&run("folder.mp4"), 1, &["folder.mp4 is a folder, not a clip or picture"]),
        (&run("empty.mp4"), 1, &["empty.mp4 is no video that can be played: it is empty"]),
        (&run("torn.mp4"), 1, &["torn.mp4", "torn"]),
        (&run("text.mp4"), 1, &["text.mp4 is no video that can be played", "give an MP4, MKV, WebM, AVI or MOV"]),
        (&run("text.txt"), 1, &["text.txt is no video that can be played"]),
        (
            &run("text.jpg"),
            1,
            &["cannot use the picture text.jpg: expected a photo: JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF"],
        ),
        (&run("torn.png"), 1, &["torn.png"]),
        (&run("bomb.png"), 1, &["bomb.png"]),
    ]);
    // A camera that is plugged in here is left alone.
    if cfg!(not(target_os = "linux")) || Path::new("/dev/video0").exists() {
        return;
    }
    let says: &[&str] = if cfg!(feature = "webcam") {
        &["no camera found", "`--source pattern`"]
    } else {
        &["this build has no cameras"]
    };
    for source in ["camera", "camera:7", "camera:Logitech"] {
        check_failures(&[(&format!("run --identity me.effigy --sink null --source {source}"), 1, says)]);
    }
    // Without `--source` it is the camera that is asked for.
    check_failures(&[("run --identity me.effigy --sink null", 1, says)]);
}

#[test]
fn outputs_that_cannot_be_written_are_told_with_what_to_do() {
    check_failures(&[
        (
            &format!("{RUN} --sink file:no/out.mp4"),
            1,
            &["cannot write no/out.mp4; make its folder first with `mkdir -p no`"],
        ),
        (&format!("{RUN} --sink file:first.mp4 --sink file:no/out.mp4"), 1, &["cannot write no/out.mp4"]),
        (&format!("{RUN} --sink file:folder.mp4"), 1, &["cannot write folder.mp4; it is a folder: name a file in it"]),
        (&format!("{RUN} --sink file:text.txt/frames/"), 1, &["cannot write text.txt/frames"]),
        (&format!("{RUN} --sink null --report no/run.json"), 1, &["cannot write no/run.json", "`mkdir -p no`"]),
        (&format!("{RUN} --sink null --report folder.mp4"), 1, &["cannot write folder.mp4; it is a folder"]),
        ("enroll photo.png -o no/me.effigy --consent self", 1, &["cannot write no/me.effigy", "`mkdir -p no`"]),
        ("demo --out text.txt", 1, &["cannot make the folder text.txt"]),
        ("demo --out demo-refused --report no/run.json", 1, &["cannot write no/run.json"]),
        ("man text.txt/pages", 1, &["cannot write manual pages to text.txt/pages"]),
    ]);
    assert!(!LAB.join("first.mp4").exists(), "a recording without pictures was left behind");
    if cfg!(feature = "window") && cfg!(target_os = "linux") {
        let says: &[&str] = &["no display to open a window on; write a file instead: `--sink file:out.mp4`"];
        check_failures(&[
            (&format!("{RUN} --sink window"), 1, says),
            (RUN, 1, says),
            (&format!("{RUN} --report early.json --sink file:early.mp4 --sink window"), 1, says),
        ]);
        assert!(!LAB.join("early.mp4").exists(), "a recording without pictures was left behind");
        assert!(!LAB.join("early.json").exists(), "a run that never began left an empty report");
    }
    let sealed = LAB.join("sealed");
    let mut permissions = std::fs::metadata(&sealed).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&sealed, permissions).unwrap();
    // Whoever may do everything is not kept out.
    if std::fs::write(sealed.join("probe"), b"").is_err() {
        check_failures(&[
            (
                &format!("{RUN} --sink file:sealed/out.mp4"),
                1,
                &["cannot write sealed/out.mp4", "allow writing to sealed"],
            ),
            (&format!("{RUN} --sink null --report sealed/r.json"), 1, &["cannot write sealed/r.json"]),
            ("enroll photo.png -o sealed/me.effigy --consent self", 1, &["cannot write sealed/me.effigy"]),
        ]);
    }
}

#[test]
fn what_this_machine_or_build_lacks_is_told_with_what_to_do() {
    let foreign = format!("{RUN} --sink null --weights photo.png");
    check_failures(&[(&foreign, 1, &["cannot read the weights photo.png", "expected a safetensors file"])]);
    let enroll = "enroll photo.png -o lacking.effigy --consent self --no-rehearsal";
    let cases: [(&str, &str, &[&str]); 5] = [
        ("EFFIGY_MODELS", "no-models", &["cannot read the model no-models/", "unset EFFIGY_MODELS"]),
        (
            "EFFIGY_MODELS",
            "torn-models",
            &["is torn or another one: expected SHA-256 ", ", found ", "over 1000 bytes", "or unset EFFIGY_MODELS"],
        ),
        (
            "EFFIGY_ONNXRUNTIME",
            "missing.so",
            &["EFFIGY_ONNXRUNTIME says missing.so, where there is no ONNX Runtime library", "or unset it"],
        ),
        ("EFFIGY_ONNXRUNTIME", "no-models", &["EFFIGY_ONNXRUNTIME says no-models", "or unset it"]),
        (
            "EFFIGY_ONNXRUNTIME",
            "libtext.so",
            &["EFFIGY_ONNXRUNTIME names no ONNX Runtime library", "libtext.so", "or unset it"],
        ),
    ];
    for (variable, value, says) in cases {
        for line in [enroll, &format!("{RUN} --sink file:lacking.mp4")] {
            let output = check(line, &[(variable, value)], 1, says);
            assert!(output.stdout.is_empty());
        }
        check("devices", &[(variable, value)], 0, &[]);
    }
    assert!(!LAB.join("lacking.effigy").exists() && !LAB.join("lacking.png").exists());
    assert!(!LAB.join("lacking.mp4").exists(), "a recording without pictures was left behind");
    // Set to nothing is not set.
    check(enroll, &[("EFFIGY_MODELS", ""), ("EFFIGY_ONNXRUNTIME", "")], 0, &[]);
}

#[test]
fn a_signing_key_that_cannot_be_used_is_told_with_what_to_do() {
    let enroll = "enroll photo.png -o unsigned.effigy --consent self";
    std::fs::create_dir_all(LAB.join("torn-settings/effigy")).unwrap();
    std::fs::write(LAB.join("torn-settings/effigy/signing.key"), "not a key").unwrap();
    type Case<'a> = (&'a [(&'a str, &'a str)], i32, &'a [&'a str]);
    let cases: [Case<'_>; 3] = [
        (
            &[("XDG_CONFIG_HOME", "torn-settings")],
            2,
            &["expected a signing key of 64 hexadecimal digits; move the file away", "effigy/signing.key"],
        ),
        (&[("XDG_CONFIG_HOME", "text.txt")], 1, &["cannot read the signing key text.txt/effigy/signing.key"]),
        (&[("XDG_CONFIG_HOME", ""), ("APPDATA", ""), ("HOME", "")], 2, &["no folder for settings: set HOME"]),
    ];
    for (environment, code, says) in cases {
        // Without a home ONNX Runtime may be out of reach too; that has its own words.
        if environment.len() > 1 && std::env::var_os("EFFIGY_ONNXRUNTIME").is_none() {
            let output = command(&LAB).args(words(enroll)).envs(environment.iter().copied()).output().unwrap();
            if text(&output.stderr).contains("ONNX Runtime") {
                continue;
            }
        }
        check(enroll, environment, code, says);
    }
    assert!(!LAB.join("unsigned.effigy").exists() && !LAB.join(".config").exists());
}

#[test]
fn devices_lists_what_there_is_on_stdout_alone() {
    let output = check("devices", &[], 0, &[]);
    let list = text(&output.stdout);
    assert_eq!(text(&output.stderr), "");
    for part in [
        "Cameras\n",
        "\nSinks\n",
        "  http         ready",
        "  file ",
        "  null ",
        "\nGraphics cards\n",
        "\nBackends\n",
        "  warp         ready",
    ] {
        assert!(list.contains(part), "{part:?} is not in\n{list}");
    }
    if cfg!(feature = "window") && cfg!(target_os = "linux") {
        assert!(list.contains("DISPLAY is not set"), "{list}");
    }
}

#[test]
fn completions_and_manual_pages_come_from_the_same_flags() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = check(&format!("completions {shell}"), &[], 0, &[]);
        let script = text(&output.stdout);
        assert!(output.stderr.is_empty());
        for part in ["effigy", "enroll", "devices", "every-frame", "consent-by", "camera-format"] {
            assert!(script.contains(part), "completions for {shell} lack {part}");
        }
    }
    let output = check("man pages/man1", &[], 0, &[]);
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    for (page, part) in [
        ("effigy", "Exit codes"),
        ("effigy-demo", "contact\\-sheet.png"),
        ("effigy-enroll", "consent"),
        ("effigy-run", "every\\-frame"),
        ("effigy-devices", "effigy devices"),
        ("effigy-verify", "effigy verify"),
        ("effigy-completions", "shell"),
        ("effigy-man", "folder"),
    ] {
        let page_text = std::fs::read_to_string(LAB.join(format!("pages/man1/{page}.1"))).unwrap();
        assert!(page_text.contains(".TH") && page_text.contains(part), "{page}.1 lacks {part}:\n{page_text}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for line in ["devices", "verify me.effigy", "completions bash", "run --help", "--version"] {
        let mut child = command(&LAB).args(words(line)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "effigy {line}");
    }
}

#[cfg(unix)]
#[test]
fn a_run_whose_messages_nobody_reads_any_more_ends_as_any_other() {
    use std::io::{BufRead as _, BufReader};
    let line =
        "run --identity me.effigy --backend warp --source pattern --sink null --duration 1 --report unheard.json";
    let mut child = command(&LAB).args(words(line)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    assert!(said.read_line(&mut first).unwrap() > 0);
    drop(said);
    assert_eq!(child.wait().unwrap().code(), Some(0), "it said {first}");
    assert!(report("unheard.json")["frames"]["presented"].as_u64().unwrap() > 0);
}

/// What is shown to be typed can be typed: an enrolment says on what basis the face may be shown.
#[test]
fn every_enrolment_that_is_shown_has_a_consent() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut open, mut n_found) = (vec![project.join("src"), project.join("README.md")], 0);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
            let text = std::fs::read_to_string(&path).unwrap();
            for rest in text.lines().flat_map(|line| line.split("effigy enroll ").skip(1)) {
                // It ends with the quotation, or where another command begins.
                let command = rest.split(['`', '&']).next().unwrap();
                if command.contains(" -o ") {
                    assert!(command.contains(" --consent "), "{}: effigy enroll {command}", path.display());
                    n_found += 1;
                }
            }
        }
    }
    assert!(n_found > 10, "{n_found} were found");
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_printed_is_a_failure() {
    for line in ["devices", "verify me.effigy", "completions bash"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command(&LAB).args(words(line)).stdout(full).output().unwrap();
        // For `verify` 1 says that there is no mark.
        let code = if line.starts_with("verify") { 2 } else { 1 };
        assert_eq!(output.status.code(), Some(code), "effigy {line}");
        assert!(text(&output.stderr).starts_with("effigy: cannot print the answer: "), "{}", text(&output.stderr));
    }
}

/// The names of an object's members.
fn keys(value: &serde_json::Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn report(name: &str) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(LAB.join(name)).unwrap()).unwrap()
}

#[test]
fn a_run_feeds_several_sinks_and_reports_its_figures() {
    let line = "run --identity me.effigy --source driver.mp4 --loop --duration 6 --sink file:several.mp4 \
                --sink null --sink file:frames/ --sink file:several.avi --report run.json --no-badge --background #00b140";
    let output = check(
        line,
        &[],
        0,
        &[
            "source: driver.mp4, ",
            "generator: small 512 runs on cpu",
            "sink: several.mp4, ",
            "age of the picture: p50 ",
            "AI mark was off",
        ],
    );
    assert!(output.stdout.is_empty());
    let report = report("run.json");
    for key in ["schema", "fps", "frames", "age_ms", "stages", "backend", "generator", "identity", "machine"] {
        assert!(!report[key].is_null(), "the report lacks {key}");
    }
    assert_eq!(report["schema"], 1);
    assert_eq!(keys(&report["frames"]), ["captured", "dropped", "no_face", "presented"]);
    assert_eq!(keys(&report["age_ms"]), ["max", "p50", "p90", "p99", "p999"]);
    assert_eq!(keys(&report["stages"]), ["capture", "composite", "drive", "face", "generate", "present"]);
    for (stage, figures) in report["stages"].as_object().unwrap() {
        assert_eq!(keys(figures), ["p50_ms", "p99_ms"], "{stage}");
        assert!(figures["p50_ms"].as_f64().unwrap() <= figures["p99_ms"].as_f64().unwrap(), "{stage}");
    }
    assert_eq!(report["generator"], "small");
    // In 8 bits where the processor has instructions for it.
    assert!(["cpu", "cpu int8"].contains(&report["backend"].as_str().unwrap()), "{}", report["backend"]);
    assert_eq!((&report["identity"], &report["badge"]), (&"me".into(), &false.into()));
    let frames = |key: &str| report["frames"][key].as_u64().unwrap();
    assert!(frames("presented") > 3 && frames("captured") >= frames("presented"), "{report}");
    assert!(report["fps"].as_f64().unwrap() > 1.0);

    // An .avi has the driver's rate; in an .mp4 each picture has its own time.
    let (n_avi, rate_hz) = played(&LAB.join("several.avi"));
    let driver_hz = played(&LAB.join("driver.mp4")).1;
    assert!(n_avi > 3 && (rate_hz - driver_hz).abs() < 0.01, "{n_avi} pictures at {rate_hz}");
    let times: Vec<_> = clips::pictures(&LAB.join("several.mp4")).iter().map(|picture| picture.secs).collect();
    assert!(times.len() > 3 && times.is_sorted_by(|a, b| a < b), "{times:?}");
    // Before the clip's first picture, and 0.2 s after a slow machine's last one, the portrait moves by itself: only then has a
    // picture the clock's time.
    let is_whole = |a: f64, b: f64| {
        let gap = (b - a) * driver_hz;
        (gap - gap.round()).abs() < 0.01
    };
    let of_clip = |time: f64| times.iter().filter(move |other| is_whole(time, **other));
    let phase = times.iter().copied().max_by_key(|time| of_clip(*time).count()).unwrap();
    assert!(of_clip(phase).count() > 3, "{times:?}");
    let mut last = f64::NEG_INFINITY;
    for time in times.iter().copied() {
        let (on_grid, stood_still) = (is_whole(phase, time), time - last > 0.2);
        assert!(on_grid || stood_still, "pictures of a paced clip lie whole intervals apart: {times:?}");
        last = if on_grid { time } else { last };
    }
    let n_png = LAB.join("frames").read_dir().unwrap().count();
    assert!(n_png > 3, "{n_png} pictures");
    assert_eq!(image::image_dimensions(LAB.join("frames/000001.png")).unwrap(), (512, 512));
}

#[test]
fn every_frame_writes_as_many_as_the_clip_has() {
    let line = "run --identity me.effigy --source short.mp4 --sink file:every.mp4 --sink file:every/%03d.png \
                --every-frame --motion absolute --size 1024 --report every.json";
    assert!(check(line, &[], 0, &[]).stdout.is_empty());
    assert_eq!(played(&LAB.join("short.mp4")), (N_SHORT, SHORT_HZ));
    assert_eq!(played(&LAB.join("every.mp4")), (N_SHORT, SHORT_HZ));
    let beeps = clips::beeps(&LAB.join("every.mp4"));
    assert!(beeps.len() == 1 && (beeps[0] - BEEP_SECS).abs() < 1.0 / SHORT_HZ, "{beeps:?}");
    assert_eq!(LAB.join("every").read_dir().unwrap().count(), N_SHORT);
    assert_eq!(image::image_dimensions(LAB.join(format!("every/{N_SHORT:03}.png"))).unwrap(), (1024, 1024));
    let report = report("every.json");
    assert_eq!(report["frames"]["captured"], N_SHORT);
    assert_eq!(report["frames"]["presented"], N_SHORT);
    assert_eq!(report["frames"]["dropped"], 0);
}

#[test]
fn frames_have_the_size_and_shape_that_was_asked_for() {
    let size = |folder: &str| image::image_dimensions(LAB.join(folder).join("000001.png")).unwrap();
    let photo_px = image::image_dimensions(LAB.join("photo.png")).unwrap();
    let sizes = [
        ("", (512, 512)),
        ("--size 300", (300, 300)),
        ("--size 1280x720", (1280, 720)),
        ("--size 1080x1920", (1080, 1920)),
        ("--size 641x479 --framing head", (641, 479)),
        ("--framing fill --zoom 1.5 --offset 0.1,-0.1", (1280, 720)),
        ("--framing photo", photo_px),
        ("--framing photo --size 640x360 --mirror --background blur", (640, 360)),
    ];
    for (i, (arguments, expected)) in sizes.into_iter().enumerate() {
        let folder = format!("frame{i}");
        let line = format!(
            "run --identity me.effigy --source short.mp4 --every-frame --duration 0.1 --backend warp {arguments} \
             --sink file:{folder}/"
        );
        check(&line, &[], 0, &[]);
        assert_eq!(size(&folder), expected, "{arguments}");
        // From edge to edge there is a picture, but where the square was asked for.
        let picture = image::open(LAB.join(&folder).join("000001.png")).unwrap().into_rgb8();
        let (width, height) = picture.dimensions();
        // The mark is in the lower right corner.
        let differ = |a: image::Rgb<u8>, b: image::Rgb<u8>| [0, 1, 2].map(|c| i16::from(a.0[c]) - i16::from(b.0[c]));
        // But for the invisible mark, which adds the same to all three colours: on an even ground at most 3 levels.
        let is_flat = |x: u32| {
            (0..height * 3 / 4).all(|y| {
                let [red, green, blue] = differ(*picture.get_pixel(x, y), *picture.get_pixel(x, 0));
                red == green && red == blue && red.abs() <= 6
            })
        };
        let n_flat = (0..width).filter(|&x| is_flat(x)).count();
        if arguments.contains("head") {
            assert_eq!(n_flat, 641 - 479, "the square is as large as fits");
        } else {
            assert_eq!(n_flat, 0, "{arguments}: empty columns");
        }
    }
    // A video of odd sides, read back by FFmpeg.
    let line = "run --identity me.effigy --source short.mp4 --every-frame --duration 0.1 --backend warp \
                --size 641x479 --sink file:odd.mp4";
    check(line, &[], 0, &[]);
    let pictures = clips::pictures(&LAB.join("odd.mp4"));
    assert!(!pictures.is_empty());
}

#[test]
fn every_frame_for_so_long_is_so_much_of_the_clip() {
    let line = "run --identity me.effigy --source short.mp4 --sink file:begin/ --every-frame --duration 0.25";
    check(line, &[], 0, &[]);
    // A quarter of a second of 24 pictures each, however long it took to make them.
    assert_eq!(LAB.join("begin").read_dir().unwrap().count(), 6);
}

#[test]
fn a_loop_begins_again_until_its_time_is_over() {
    let begin = Instant::now();
    check(
        "run --identity me.effigy --source short.mp4 --loop --duration 2 --sink file:loop.mp4 --report loop.json",
        &[],
        0,
        &[],
    );
    assert!(begin.elapsed() >= Duration::from_secs(2));
    let captured = report("loop.json")["frames"]["captured"].as_u64().unwrap() as usize;
    // A busy machine leaves frames out, and each that is there has its own time.
    let last_secs = clips::pictures(&LAB.join("loop.mp4")).last().unwrap().secs;
    assert!(captured > N_SHORT && last_secs > N_SHORT as f64 / SHORT_HZ, "{captured} captured, {last_secs} s long");
    // Without it the clip ends the run.
    check("run --identity me.effigy --source short.mp4 --duration 60 --sink null --report once.json", &[], 0, &[]);
    assert!(report("once.json")["frames"]["captured"].as_u64().unwrap() <= N_SHORT as u64);
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_completes_its_files_and_says_130() {
    for signal in ["INT", "TERM"] {
        let (video, folder, json) = (format!("{signal}.mp4"), LAB.join(signal), format!("{signal}.json"));
        let mut child = command(&LAB)
            .args(["run", "--identity", "me.effigy", "--source", "pattern", "--report", &json])
            .args(["--sink", &format!("file:{video}"), "--sink", &format!("file:{signal}/")])
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while !folder.join("000008.png").exists() {
            if begin.elapsed() > Duration::from_secs(30) || child.try_wait().unwrap().is_some() {
                let _ = child.kill();
                panic!("no pictures: {}", text(&child.wait_with_output().unwrap().stderr));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().unwrap();
        assert!(kill.success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty());
        assert!(played(&LAB.join(video)).0 >= 7);
        assert!(report(&json)["frames"]["presented"].as_u64().unwrap() >= 7);
    }
}

#[test]
fn the_demo_writes_its_files_where_there_is_no_display() {
    let line = "demo --out demo-files --report demo-files/demo.json";
    std::fs::create_dir_all(LAB.join("demo-files")).unwrap();
    let output = check(line, &[], 0, &["video: demo-files/demo.mp4", "side by side: demo-files/contact-sheet.png"]);
    assert!(output.stdout.is_empty());
    let (n_pictures, rate_hz) = played(&LAB.join("demo-files/demo.mp4"));
    let secs = n_pictures as f64 / rate_hz;
    assert!((7.0..11.0).contains(&secs), "{secs} s");
    assert_eq!(image::image_dimensions(LAB.join("demo-files/contact-sheet.png")).unwrap(), (1024, 1024));
    assert_eq!(report("demo-files/demo.json")["badge"], true);
}

#[test]
fn the_server_prints_its_address_once_and_ends_with_the_run() {
    let output = check(&format!("{RUN} --sink http"), &[], 0, &[]);
    let said = text(&output.stderr);
    assert!(said.contains("control page: http://127.0.0.1:") && said.contains("/view?token="), "{said}");
    assert!(!said.contains("warning"), "{said}");
    let short = [("EFFIGY_HTTP_TOKEN", "short")];
    check(&format!("{RUN} --sink http"), &short, 2, &["16 to 128 letters", "EFFIGY_HTTP_TOKEN"]);
}
