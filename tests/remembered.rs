//! What is remembered between runs, and motion and steering over the network, as a user meets them: by the program itself.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::print_stderr, reason = "what was skipped")]

use crate::clips;
use crate::common;
use crate::home::Home;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use effigy::Identity;
use effigy::capture::{MotionSource, RawFrame, Read, Source as _};
use effigy::clock::MonotonicClock;
use effigy::geometry::{COEFFICIENT_NAMES, N_COEFFICIENTS};
use effigy::identity::Signer;
use effigy::motion_link::{MotionFrame, MotionSink as _, Protocol, UdpMotionSink};
use effigy::settings::Library;
use glam::{EulerRot, Quat, Vec3};
use rosc::{OscMessage, OscPacket, OscType};

/// A user with two identities.
fn home(name: &str) -> Home {
    Home::new("remembered", name, &["me", "ann"], &common::identity(512))
}

fn settings(home: &Home) -> PathBuf {
    home.0.join(".config/effigy/settings.toml")
}

/// The line about one option of `run --dry-run`.
fn row<'a>(table: &'a str, key: &str) -> Vec<&'a str> {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.into_iter().find(|row| row.first() == Some(&key)).unwrap_or_else(|| panic!("no {key} in\n{table}"))
}

#[test]
fn the_command_line_wins_over_profile_file_and_default() {
    let home = home("layers");
    assert_eq!(home.says("config path", 0).trim(), settings(&home).to_str().unwrap());
    home.says("config set mouth 1.2", 0);
    home.says("config set sink null http:0", 0);
    home.says("config set --profile stream mouth 0.5", 0);
    home.says("config set --profile stream mirror true", 0);
    let text = std::fs::read_to_string(settings(&home)).unwrap();
    std::fs::write(settings(&home), format!("# mine\n{text}")).unwrap();

    let table = home.says("run --source pattern --dry-run", 0);
    assert_eq!(row(&table, "mouth"), ["mouth", "1.2", "settings,", "line", "2"]);
    assert_eq!(row(&table, "sink"), ["sink", "null,", "http:0", "settings,", "line", "3"]);
    assert_eq!(row(&table, "source"), ["source", "pattern", "command", "line"]);
    assert_eq!(row(&table, "head"), ["head", "1", "default"]);
    let table = home.says("run --source pattern --profile stream --sink window --dry-run", 0);
    assert_eq!(row(&table, "mouth")[..4], ["mouth", "0.5", "profile", "stream,"]);
    assert_eq!(row(&table, "mirror")[1], "true");
    assert_eq!(row(&table, "sink"), ["sink", "window", "command", "line"]);
    let table = home.says("run --source pattern --profile stream --mouth 2 --mirror=false --dry-run", 0);
    assert_eq!(row(&table, "mouth"), ["mouth", "2", "command", "line"]);
    assert_eq!(row(&table, "mirror"), ["mirror", "false", "command", "line"]);
    let table = home.says("run --source pattern --no-settings --dry-run", 0);
    assert_eq!(row(&table, "mouth"), ["mouth", "1", "default"]);

    // Comments stay through a change, and nothing wrong is taken.
    home.says("config set head 0.8", 0);
    home.says("config unset mouth", 0);
    let text = std::fs::read_to_string(settings(&home)).unwrap();
    assert!(text.starts_with("# mine\n") && text.contains("head = 0.8") && text.contains("mouth = 0.5"), "{text}");
    assert!(home.says("config set mouth 7", 2).contains("expected a number from 0 to 2"));
    assert!(home.says("config set heads 1", 2).contains("there is no setting `heads`; there are identity"));
    assert!(home.says("run --profile call --dry-run", 2).contains("has stream; add `[profiles.call]`"));
    assert_eq!(text, std::fs::read_to_string(settings(&home)).unwrap());
}

#[test]
fn a_torn_or_wrong_settings_file_is_named_with_its_line_and_left_alone() {
    let home = home("torn");
    std::fs::create_dir_all(settings(&home).parent().unwrap()).unwrap();
    let cases = [
        ("head = 1\ngaze = [1,\n", "line 2"),
        ("head = 1\n\nmouth = 3\n", "line 3: invalid value '3'"),
        ("# a\nhaed = 1\n", "line 2: there is no setting `haed`"),
        ("mirror = { on = true }\n", "line 1: `mirror` must be"),
        ("\nsink = [\"window\", \"screen\"]\n", "line 2: invalid value 'screen'"),
        ("dry-run = true\n", "line 1: there is no setting `dry-run`"),
    ];
    for (text, says) in cases {
        std::fs::write(settings(&home), text).unwrap();
        let told = home.says("run --dry-run", 2);
        assert!(told.contains(says) && told.contains("`effigy config edit`"), "{text:?}\n{told}");
        assert!(told.contains(settings(&home).to_str().unwrap()), "{told}");
        home.says("run --dry-run --no-settings", 0);
        // Commands that need no settings do not mind.
        home.says("verify me.effigy", 0);
        assert_eq!(std::fs::read_to_string(settings(&home)).unwrap(), text);
    }
    let told = home.says("config edit", 2);
    assert!(told.contains("no editor is chosen") && told.contains("EDITOR=nano effigy config edit"), "{told}");
}

#[test]
fn the_library_lists_renames_orders_and_removes() {
    let home = home("library");
    assert!(home.says("identities list", 0).contains("`effigy identities add FILE.effigy`"));
    assert!(home.says("run --source pattern --sink null", 2).contains("no identity to show"));
    for name in ["me", "ann"] {
        home.says(&format!("identities add {name}.effigy"), 0);
    }
    assert!(home.says("identities add me.effigy", 2).contains("has a \"me\" already"));
    assert!(home.says("identities add me.effigy --name ../x", 2).contains("cannot be a name"));
    let names = || -> Vec<String> {
        let list = home.says("identities list", 0);
        list.lines().map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(names(), ["me", "ann"], "in the order in which they were added");
    home.says("identities move ann 1", 0);
    home.says("identities rename me Me2", 0);
    assert_eq!(names(), ["ann", "Me2"]);
    assert!(home.says("verify .local/share/effigy/identities/Me2.effigy", 0).contains("identity     Me2\n"));
    let list = home.says("identities list", 0);
    let thumbnail = list.lines().next().unwrap().split_whitespace().last().unwrap();
    assert_eq!(image::image_dimensions(thumbnail).unwrap(), (128, 128));
    // By name, and all of it without any.
    for line in ["--identity Me2", ""] {
        home.says(&format!("run {line} --backend warp --source pattern --sink null --duration 0.3"), 0);
    }
    // What was revoked under one name is revoked under another; the rest of the library is still shown.
    home.says("revoke .local/share/effigy/identities/Me2.effigy", 0);
    home.says("identities rename Me2 Me3", 0);
    let run = "--backend warp --source pattern --sink null --duration 0.3";
    assert!(home.says(&format!("run --identity Me3 {run}"), 1).contains("the consent was revoked on this machine at"));
    assert!(home.says(&format!("run {run}"), 0).contains("revoked on this machine"), "it is said who is left out");
    let pictures = || home.0.join(".cache/effigy/thumbnails").read_dir().unwrap().count();
    assert_eq!(names(), ["ann", "Me3"]);
    assert_eq!(pictures(), 2, "one for each, none for a name that is gone");
    home.says("identities remove 2", 0);
    assert_eq!(pictures(), 1, "a face that was removed is shown nowhere");
    assert_eq!(names(), ["ann"]);
    assert!(home.says("identities remove me", 2).contains("no identity \"me\" in the library: it has ann"));
    // Enrolled on the page: under a name that no file can have, and again.
    let library = Library::at(home.0.join(".local/share/effigy/identities"));
    let signer = Signer::open_or_create_at(&home.0.join(".config/effigy/signing.key")).unwrap();
    let mut identity = Identity::clone(&common::identity(512));
    for (name, expected) in [("../A: b", "_A_ b"), ("../A: b", "_A_ b 2"), (" - ", "identity"), (". .x", "x")] {
        name.clone_into(&mut identity.manifest.name);
        assert_eq!(library.keep(&identity, &signer).unwrap().name, expected);
    }
    assert_eq!(library.list().unwrap().len(), 5);
    // A full library takes none that nobody would see.
    let folder = library.folder();
    for i in 5..64 {
        std::fs::copy(folder.join("ann.effigy"), folder.join(format!("more {i}.effigy"))).unwrap();
    }
    assert!(home.says("identities add me.effigy --name another", 2).contains("the library is full: it holds 64"));
    assert!(!folder.join("another.effigy").exists());
    (5..64).for_each(|i| std::fs::remove_file(folder.join(format!("more {i}.effigy"))).unwrap());
    home.says("verify .local/share/effigy/identities/identity.effigy", 0);
}

#[test]
fn the_program_alone_and_its_doctor_say_what_to_type() {
    let home = home("doctor");
    assert!(home.says("", 2).contains("`effigy run --sink http`"));
    let told = home.command("doctor").output().unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    for check in ["runtime", "camera", "window", "page", "virtual camera", "PipeWire", "settings", "folders", "disk"] {
        assert!(text.lines().any(|line| line[4..].starts_with(check)), "{check} is not in\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with("ok")) {
        assert!(line.len() > 25, "it says what is missing but not what to type: {line}");
    }
}

/// A run in the background, with the addresses that it told.
struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(home: &Home, line: &str) -> Self {
        let mut child = home.command(line).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self { child, lines }
    }

    /// Waits for a line that begins so, and reads the address in it.
    fn address(&mut self, begin: &str) -> SocketAddr {
        let line = self.line(begin);
        let words = line.split([' ', ';']);
        words.filter_map(|word| word.parse().ok()).next().unwrap()
    }

    /// Waits for a line that begins so; gives the rest of it.
    fn line(&mut self, begin: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "{begin:?} never came:\n{all}");
            all += &line;
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.trim_end().to_owned();
            }
        }
    }

    /// Interrupts it as a user would; gives what else was said.
    fn interrupt(mut self) -> String {
        assert!(Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap().success());
        let mut text = String::new();
        self.lines.read_to_string(&mut text).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(130), "{text}");
        text
    }

    /// Waits for the end; gives what else was said.
    fn end(mut self) -> String {
        let mut text = String::new();
        self.lines.read_to_string(&mut text).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{text}");
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn osc(address: &str, value: OscType) -> Vec<u8> {
    let message = OscMessage { addr: address.to_owned(), args: vec![value] };
    rosc::encoder::encode(&OscPacket::Message(message)).unwrap()
}

/// A face that moves.
fn moving(step: usize) -> MotionFrame {
    let t = step as f32 / 30.0;
    let mut coefficients: [f32; N_COEFFICIENTS] = std::array::from_fn(|c| 0.2 + 0.2 * (3.0 * t + c as f32).sin());
    coefficients[0] = 0.0;
    MotionFrame {
        secs: f64::from(t),
        is_seen: true,
        coefficients,
        head_rotation: Quat::from_euler(EulerRot::YXZ, 0.4 * t.sin(), 0.2 * (1.3 * t).cos(), 0.1),
        head_cm: Vec3::new(3.0 * t.cos(), -2.0, 60.0 + 3.0 * t.sin()),
    }
}

/// How far two frames are apart, as the largest share of a number's range.
fn apart(a: &MotionFrame, b: &MotionFrame) -> f32 {
    let pairs = a.coefficients.iter().zip(&b.coefficients);
    let coefficient = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let turn = a.head_rotation.angle_between(b.head_rotation) / std::f32::consts::PI;
    coefficient.max(turn).max(a.head_cm.distance(b.head_cm) / a.head_cm.length())
}

/// Sends motion into a run, with noise from elsewhere beside it, and reads each frame at the run's own exit before the next
/// is sent, so that nothing counts on the machine's speed.
fn round_trip(protocol: Protocol, home: &Home) {
    /// So long a frame may take, and so long until it is sent again: where a machine stands still, a word that nobody is seen
    /// takes its place.
    const PATIENCE: Duration = Duration::from_secs(20);
    const AGAIN: Duration = Duration::from_millis(500);
    let mut far_end = MotionSource::open(protocol, ([127, 0, 0, 1], 0).into()).unwrap();
    let (word, exit) = (protocol.word(), far_end.address().unwrap());
    let mut run = Running::start(
        home,
        &format!(
            "run --identity me.effigy --no-settings --backend warp --source {word}:0 --sink {word}:{exit} --duration 600"
        ),
    );
    let entry = run.address("source: ");
    let mut sender = UdpMotionSink::open(protocol, &entry.to_string()).unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (clock, mut raw) = (MonotonicClock::new(), RawFrame::default());
    let mut junk = osc("/VMC/Ext/Blend/Val", OscType::Float(f32::NAN));
    for step in 0..90 {
        let sent = moving(step);
        sender.send(&sent).unwrap();
        // Another sender, noise, and far too much of it.
        for n in 0..50_u8 {
            junk.rotate_left(3);
            let _ = stranger.send_to(&junk, entry);
            let _ = stranger.send_to(&[n; 300], entry);
        }
        let (began, mut last) = (Instant::now(), Instant::now());
        let mut nearest = f32::INFINITY;
        // A frame and the next are further apart.
        while nearest >= 0.01 {
            assert!(began.elapsed() < PATIENCE, "{protocol:?}: of frame {step} came what is {nearest} from it");
            if last.elapsed() > AGAIN {
                sender.send(&sent).unwrap();
                last = Instant::now();
            }
            if far_end.read(&mut raw, &clock).unwrap() == Read::Fresh
                && let Some(motion) = raw.motion().filter(|motion| motion.is_seen)
            {
                nearest = nearest.min(apart(&sent, motion));
            }
        }
    }
    // Nothing queues: of many at once the newest comes, in order, and not each before it.
    let burst: Vec<_> = (90..100).map(moving).collect();
    burst.iter().for_each(|frame| sender.send(frame).unwrap());
    let (began, mut last, mut steps) = (Instant::now(), Instant::now(), Vec::new());
    while steps.last() != Some(&(burst.len() - 1)) {
        assert!(began.elapsed() < PATIENCE, "{protocol:?}: of {} at once came {steps:?}", burst.len());
        if last.elapsed() > AGAIN {
            sender.send(&burst[burst.len() - 1]).unwrap();
            last = Instant::now();
        }
        if far_end.read(&mut raw, &clock).unwrap() == Read::Fresh
            && let Some(motion) = raw.motion().filter(|motion| motion.is_seen)
        {
            steps.extend(burst.iter().position(|frame| apart(frame, motion) < 0.01));
        }
    }
    assert!(steps.is_sorted() && steps.len() < burst.len(), "{protocol:?}: {steps:?}");
    let told = run.interrupt();
    assert!(told.contains("motion comes from") || protocol == Protocol::Vmc, "another sender is told of once: {told}");
}

#[test]
fn motion_goes_in_and_out_with_less_than_a_hundredth_lost_beside_noise() {
    let home = home("motion");
    for protocol in [Protocol::Vmc, Protocol::Ifacialmocap] {
        round_trip(protocol, &home);
    }
}

#[test]
fn a_recorded_motion_plays_again_the_same() {
    let home = home("recorded");
    home.says(
        "run --identity me.effigy --backend warp --source pattern --duration 6 --sink null --sink motion:a.jsonl",
        0,
    );
    let run = "run --identity me.effigy --backend warp --every-frame";
    // Only offline does each sink get every picture.
    home.says(&format!("{run} --source motion:a.jsonl --sink motion:b.jsonl --sink motion:b.csv --sink file:b.mkv"), 0);
    let lines = |name: &str| -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(home.0.join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (a, b) = (lines("a.jsonl"), lines("b.jsonl"));
    assert_eq!(a.len(), b.len());
    let seen: Vec<_> = a.iter().zip(&b).filter(|(a, _)| a["seen"] == true).collect();
    assert!(seen.len() > 10, "{} of {}", seen.len(), a.len());
    for (a, b) in seen {
        for name in &COEFFICIENT_NAMES[1..] {
            let at = |frame: &serde_json::Value| frame["coefficients"][*name].as_f64().unwrap();
            assert!((at(a) - at(b)).abs() < 1e-4, "{name}: {} became {}", at(a), at(b));
        }
    }
    let columns: Vec<_> =
        std::fs::read_to_string(home.0.join("b.csv")).unwrap().lines().map(|l| l.split(',').count()).collect();
    assert!(columns.iter().all(|n| *n == 60) && columns.len() == b.len() + 1, "{columns:?}");
    assert!(
        home.says(&format!("{run} --source motion:b.csv --sink null"), 1).contains("b.csv, line 1: expected a frame")
    );
}

#[test]
fn what_osc_steers_is_there_again_at_the_next_start() {
    let home = home("steered");
    let mut run = Running::start(
        &home,
        "run --identity me.effigy,ann.effigy --backend warp --source vmc:0 --osc 0 --sink null --sink vmc:127.0.0.1:9 --duration 4",
    );
    let entry = run.address("source: ");
    let steer = run.address("OSC: ");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sender = UdpMotionSink::open(Protocol::Vmc, &entry.to_string()).unwrap();
    for step in 0..60 {
        sender.send(&moving(step)).unwrap();
        for (address, value) in [
            ("/effigy/strength/mouth", OscType::Float(0.5)),
            ("/effigy/keep-expression", OscType::Float(0.25)),
            ("/effigy/eye-contact", OscType::Float(0.75)),
            ("/effigy/predict", OscType::Float(50.0)),
            ("/effigy/mirror", OscType::Int(1)),
            ("/effigy/background", OscType::String("#010203".to_owned())),
            ("/effigy/identity", OscType::Int(2)),
        ] {
            socket.send_to(&osc(address, value), steer).unwrap();
            let _ = socket.send_to(&[b'/'; 4000], steer);
            let _ = socket.send_to(b"#bundle\0\0\0\0\0\0\0\0\x01\xff\xff\xff\xff", steer);
        }
        std::thread::sleep(Duration::from_millis(33));
    }
    let told = run.end();
    assert_eq!(told.lines().filter(|line| line.starts_with("warn: OSC: ")).count(), 1, "once in a while\n{told}");

    let table = home.says("run --dry-run --source vmc:0", 0);
    for (key, value) in [
        ("mouth", "0.5"),
        ("keep-expression", "0.25"),
        ("eye-contact", "0.75"),
        ("predict", "50"),
        ("mirror", "true"),
        ("background", "#010203"),
        ("first", "2"),
        ("sink", "vmc:127.0.0.1:9"),
    ] {
        assert_eq!(row(&table, key)[1..], [value, "last", "run"], "{key}");
    }
    assert!(row(&table, "identity")[1].ends_with("me.effigy,"), "{table}");
    // What the user wrote holds against what was left; a clip is played as the command says.
    home.says("config set mouth 1.5", 0);
    assert_eq!(row(&home.says("run --dry-run --source vmc:0", 0), "mouth")[1..4], ["1.5", "settings,", "line"]);
    let table = home.says("run --dry-run --source pattern", 0);
    assert_eq!(row(&table, "keep-expression")[1..], ["0", "default"]);
    // A last run that is damaged is no reason not to start.
    std::fs::write(home.0.join(".local/state/effigy/last.toml"), "mirror = [\n").unwrap();
    let told = home.says("run --dry-run --source vmc:0", 0);
    assert!(told.contains("how the last run was left is not known"), "{told}");
}

#[test]
fn what_is_gone_of_the_last_run_is_named_and_the_rest_comes_back() {
    let home = home("gone");
    let last = home.0.join(".local/state/effigy/last.toml");
    std::fs::create_dir_all(last.parent().unwrap()).unwrap();
    let [me, ann] = ["me", "ann"].map(|name| home.0.join(format!("{name}.effigy")));
    let text = format!(
        "identity = [{me:?}, {ann:?}]\npassphrase-file = [{:?}]\nsink = [\"null\"]\nmouth = 0.5\nfirst = 2\n",
        home.0.join("stick/pass")
    );
    std::fs::write(&last, &text).unwrap();
    let run = "run --dry-run --source vmc:0";
    let table = home.says(run, 0);
    assert_eq!(row(&table, "first")[1..], ["2", "last", "run"]);
    assert!(table.contains("--passphrase-file of the last run is not there any more: "), "{table}");
    assert_eq!(row(&table, "passphrase-file")[1..], ["-", "default"]);
    // In a list that is typed now the second is another one.
    assert_eq!(row(&home.says(&format!("{run} --identity ann.effigy,me.effigy"), 0), "first")[1..], ["1", "default"]);
    // In a list of the settings a number says nothing, and a file its place there.
    let first = |values: &str| {
        home.says(&format!("config set --profile stream identity {values}"), 0);
        let table = home.says(&format!("{run} --profile stream"), 0);
        row(&table, "first")[1..].iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(first("ann.effigy me.effigy"), ["1", "default"]);
    std::fs::write(&last, format!("first-file = [{:?}]\n{text}", ann.canonicalize().unwrap())).unwrap();
    assert_eq!(first("ann.effigy me.effigy"), ["1", "last", "run"]);
    assert_eq!(first("me.effigy ann.effigy"), ["2", "last", "run"]);
    assert_eq!(first("me.effigy"), ["1", "default"]);
    home.says("identities add ann.effigy --name anna", 0);
    assert_eq!(first("me.effigy anna"), ["1", "default"], "a copy is another file");
    let kept = home.0.join(".local/share/effigy/identities/anna.effigy");
    std::fs::write(&last, format!("first-file = [{:?}]\n{text}", kept.canonicalize().unwrap())).unwrap();
    assert_eq!(first("me.effigy anna"), ["2", "last", "run"], "named as in the library");
    std::fs::write(&last, &text).unwrap();
    std::fs::remove_file(&me).unwrap();
    let table = home.says(run, 0);
    let told = table.lines().find(|line| line.contains("--identity of the last run")).unwrap();
    assert!(told.contains("me.effigy") && !told.contains("ann.effigy"), "{told}");
    assert!(row(&table, "identity")[1].ends_with("ann.effigy"), "{table}");
    assert_eq!(row(&table, "first")[1..], ["1", "default"], "who is first now is another one");
    assert_eq!(row(&table, "mouth")[1..], ["0.5", "last", "run"]);
}

#[test]
fn what_the_settings_say_for_other_runs_stops_none() {
    let home = home("other-runs");
    for setting in ["obs 127.0.0.1:4455", "first 9", "weights missing.safetensors"] {
        home.says(&format!("config set {setting}"), 0);
    }
    let run = "run --identity me.effigy,ann.effigy --backend warp --source pattern --sink null --duration 0.3";
    let told = home.says(run, 0);
    assert!(told.contains("there is no identity 9; ann is shown first"), "{told}");
    for (typed, says) in [
        ("--obs 127.0.0.1:4455", "--obs alone changes nothing"),
        ("--first 3", "--first 3 is nobody's number; the last identity is number 2"),
        ("--weights me.effigy", "--backend warp has no network"),
    ] {
        let told = home.says(&format!("{run} {typed}"), 2);
        assert!(told.contains(says), "{typed}: {told}");
    }
    // Switches are set as anything else, but those that are said for one run.
    for key in ["hold-covered", "stamp"] {
        home.says(&format!("config set {key} true"), 0);
        assert_eq!(row(&home.says(&format!("{run} --dry-run"), 0), key)[..2], [key, "true"]);
        let table = home.says(&format!("{run} --dry-run --{key}=false"), 0);
        assert_eq!(row(&table, key)[1..], ["false", "command", "line"]);
    }
    for key in ["allow-remote", "every-frame"] {
        let told = home.says(&format!("config set {key} true"), 2);
        let (refused, known) = told.split_once("; there are ").unwrap();
        assert!(refused.ends_with(&format!("there is no setting `{key}`")), "{told}");
        assert!(known.contains("hold-covered") && !known.contains(key), "{told}");
    }
}

#[test]
fn a_run_that_cannot_start_leaves_what_was_recorded_before() {
    let home = home("before");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let before = "recorded before";
    let sinks = ["a.mp4", "b.avi", "c_%d.png", "d.jsonl"].map(|name| {
        std::fs::write(home.0.join(name.replace("%d", "1")), before).unwrap();
        match name {
            "d.jsonl" => format!("--sink motion:{name}"),
            _ => format!("--sink file:{name}"),
        }
    });
    let run = "run --no-settings --identity me.effigy --backend warp --source pattern --sink file:new.mp4";
    let port = port.local_addr().unwrap().port();
    home.says(&format!("{run} {} --sink http:{port}", sinks.join(" ")), 1);
    for name in ["a.mp4", "b.avi", "c_1.png", "d.jsonl"] {
        assert_eq!(std::fs::read_to_string(home.0.join(name)).unwrap(), before, "{name}");
    }
    assert!(!home.0.join("new.mp4").exists(), "an empty file is left");
}

#[test]
fn who_is_left_out_of_the_library_moves_nobody_to_another_number() {
    let home = home("numbers");
    for name in ["me", "ann"] {
        home.says(&format!("identities add {name}.effigy"), 0);
    }
    home.says("revoke me.effigy", 0);
    let run = |line: &str| home.says(&format!("run {line} --backend warp --source vmc:0 --sink null --duration 2"), 0);
    let told = run("--first 2");
    assert!(told.contains("it is left out") && !told.contains("is shown first"), "{told}");
    let told = run("--first 1");
    assert!(told.contains("number 1 is left out; ann is shown first"), "{told}");
    // The second is still the second at the next start, and the first when the other one has gone.
    let first = || row(&home.says("run --dry-run --source vmc:0", 0), "first")[1].to_owned();
    assert_eq!(first(), "2");
    home.says("identities move ann 1", 0);
    assert_eq!(first(), "1");
    home.says("identities remove ann", 0);
    assert_eq!(first(), "1", "nobody is remembered");
}

#[test]
fn a_consent_that_is_taken_back_ends_the_run() {
    let home = home("taken");
    let run = "run --no-settings --identity me.effigy --backend warp --source pattern --sink null --duration 60";
    let mut program = Running::start(&home, run);
    program.line("mark: ");
    home.says("revoke me.effigy", 0);
    let mut told = String::new();
    program.lines.read_to_string(&mut told).unwrap();
    assert_eq!(program.child.wait().unwrap().code(), Some(1), "{told}");
    assert!(told.contains("me may not be shown: the consent was revoked on this machine at"), "{told}");
}

#[test]
fn recordings_begin_and_end_while_the_run_goes_on() {
    let home = home("on-demand");
    let run = "run --no-settings --identity me.effigy --backend warp --source pattern";
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut program = Running::start(&home, &format!("{run} --osc 0 --sink null --record-to clips/talk --duration 14"));
    let steer = program.address("OSC: ");
    let ask = |address: &str, value: i32| {
        socket.send_to(&osc(address, OscType::Int(value)), steer).unwrap();
    };
    program.line("mark: ");
    assert!(!home.0.join("clips").exists(), "nothing is written that nobody asked for");
    ask("/effigy/record", 1);
    let first = program.line("recording: ");
    std::thread::sleep(Duration::from_millis(1500));
    ask("/effigy/take-picture", 1);
    let picture = home.0.join(program.line("picture: "));
    ask("/effigy/record", 0);
    let first_path = home.0.join(program.line("recorded: "));
    assert!(first.starts_with(first_path.strip_prefix(&home.0).unwrap().to_str().unwrap()), "{first}");
    // While a run goes on its recording is whole already.
    let shown = clips::pictures(&first_path);
    assert!(shown.len() > 10, "{} pictures", shown.len());
    // Another one, which the end of the run ends.
    ask("/effigy/record/toggle", 1);
    program.line("recording: ");
    let told = program.end();
    // On a machine that stands still for a moment some pictures are missing, and the same line says so as a warning.
    let recorded = |line: &'_ str| line.trim_start_matches("warn: ").strip_prefix("recorded: ").map(str::to_owned);
    let last = told.lines().find_map(recorded).unwrap_or_else(|| panic!("{told}"));
    let last = last.split(';').next().unwrap_or_default();
    assert!(home.0.join(last).exists(), "{told}");
    let files: Vec<_> =
        std::fs::read_dir(home.0.join("clips/talk")).unwrap().map(|file| file.unwrap().path()).collect();
    let n_clips = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "mp4")).count();
    assert_eq!((files.len(), n_clips), (3, 2), "{files:?}");
    // What leaves is marked, whenever it was asked for.
    for path in [&first_path, &picture] {
        home.says(&format!("verify {}", path.display()), 0);
    }

    // A folder that cannot be: said, and the run goes on.
    std::fs::write(home.0.join("file"), "x").unwrap();
    let mut program = Running::start(&home, &format!("{run} --osc 0 --sink null --record-to file/talk --duration 60"));
    let steer = program.address("OSC: ");
    program.line("mark: ");
    for address in ["/effigy/take-picture", "/effigy/record"] {
        socket.send_to(&osc(address, OscType::Int(1)), steer).unwrap();
    }
    for told in [program.line("warn: no picture is taken: "), program.line("warn: nothing is recorded: ")] {
        assert!(told.ends_with("give another folder with `--record-to FOLDER`"), "{told}");
    }
    assert!(program.child.try_wait().unwrap().is_none(), "the run goes on");
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/driver.mp4");
    let offline = format!("run --identity me.effigy --source {clip} --every-frame --record-to clips --sink null");
    let told = home.says(&offline, 2);
    assert!(told.contains("--sink file:out.mp4"), "{told}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_recording_that_fills_the_disk_stays_whole_and_the_run_goes_on() {
    let home = home("full-disk");
    std::fs::create_dir_all(home.0.join("clips")).unwrap();
    // What a recording leaves free, and a second or so of pictures that cannot be compressed much. Only this program sees it.
    let script = "mount -t tmpfs -o size=36m small clips && echo mounted >&2 && exec \"$@\"";
    let run = "run --no-settings --identity me.effigy --backend warp --source pattern --codec ffv1 --osc 0 --sink null";
    let own = home.command(&format!("{run} --record-to clips --duration 600"));
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(own.get_program()).args(own.get_args());
    command.current_dir(&home.0).stdin(Stdio::null()).stderr(Stdio::piped());
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let Ok(mut child) = command.spawn() else { return eprintln!("SKIPPED: a full disk: no unshare") };
    let lines = BufReader::new(child.stderr.take().unwrap());
    let mut program = Running { child, lines };
    let mut first = String::new();
    program.lines.read_line(&mut first).unwrap();
    if first.trim() != "mounted" {
        return eprintln!("SKIPPED: a full disk: this user may not mount one: {first}");
    }
    let (steer, socket) = (program.address("OSC: "), UdpSocket::bind("127.0.0.1:0").unwrap());
    let record = || socket.send_to(&osc("/effigy/record", OscType::Int(1)), steer).unwrap();
    program.line("mark: ");
    record();
    program.line("recording: ");
    let told = program.line("warn: the recording ends; ");
    assert!(told.contains("holds the first") && told.contains("make space"), "{told}");
    let disk = PathBuf::from(format!("/proc/{}/root", program.child.id())).join(home.0.strip_prefix("/").unwrap());
    let recordings = || -> Vec<PathBuf> {
        let files = std::fs::read_dir(disk.join("clips")).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|kind| kind == "mkv")).collect()
    };
    let [recorded] = &recordings()[..] else { panic!("{:?}", recordings()) };
    assert!(clips::pictures(recorded).len() > 3, "what was recorded plays");
    // Asked again, it is refused before anything is written.
    record();
    let told = program.line("warn: nothing is recorded: ");
    assert!(told.contains("make space") && told.ends_with("`--record-to FOLDER`"), "{told}");
    assert_eq!(recordings().len(), 1);
    let told = program.interrupt();
    assert!(told.contains("pictures a second"), "the run went on to its end: {told}");
}

#[test]
fn another_camera_is_asked_for_while_the_run_goes_on_and_the_old_one_stays_where_there_is_none() {
    let home = home("camera");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let line = "run --no-settings --identity me.effigy --backend warp --source pattern --sink null --osc 0";
    let mut program = Running::start(&home, &format!("{line} --duration 20 --report report.json"));
    let steer = program.address("OSC: ");
    let ask = |address: &str, text: &str| {
        socket.send_to(&osc(address, OscType::String(text.to_owned())), steer).unwrap();
    };
    program.line("mark: ");
    ask("/effigy/source", "camera:4000000");
    let told = program.line("warn: no camera");
    assert!(told.contains("use `--source pattern`"), "{told}");
    assert!(program.line("source: ").ends_with("as before"));
    ask("/effigy/source", "pattern");
    assert!(program.line("source: ").starts_with("test pattern"));
    // No file of this machine is played because somebody in the network says so.
    ask("/effigy/source", concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/driver.mp4"));
    program.line("warn: OSC: what drives is camera, camera:N, camera:NAME or pattern");
    program.end();
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(home.0.join("report.json")).unwrap()).unwrap();
    assert!(report["frames"]["captured"].as_u64().unwrap() > 30, "{report:#}");
}

#[test]
fn other_machines_are_let_in_only_when_that_is_said() {
    let home = home("remote");
    for line in ["--source vmc:0.0.0.0:0", "--source ifm:0.0.0.0", "--source vmc:0 --osc 0.0.0.0:0"] {
        let told = home.says(&format!("run --identity me.effigy --sink null {line}"), 2);
        assert!(told.contains("--allow-remote"), "{told}");
    }
    // Nor does a run that let them in make the next one do so, or fail.
    let line = "--source vmc:0.0.0.0:0 --osc 0.0.0.0:0 --sink http:0.0.0.0:0 --sink vmc:127.0.0.1:9 --mouth 0.5";
    let mut run =
        Running::start(&home, &format!("run --identity me.effigy --backend warp --allow-remote --duration 3 {line}"));
    let entry = SocketAddr::from(([127, 0, 0, 1], run.address("source: ").port()));
    let mut sender = UdpMotionSink::open(Protocol::Vmc, &entry.to_string()).unwrap();
    for step in 0..45 {
        sender.send(&moving(step)).unwrap();
        std::thread::sleep(Duration::from_millis(33));
    }
    run.end();
    let table = home.says("run --dry-run", 0);
    assert_eq!(row(&table, "mouth")[1..], ["0.5", "last", "run"], "{table}");
    assert_eq!(row(&table, "sink")[1..], ["vmc:127.0.0.1:9", "last", "run"], "{table}");
    assert_eq!(row(&table, "source")[1..], ["camera", "default"], "{table}");
    assert_eq!(row(&table, "osc")[1..], ["-", "default"], "{table}");
}
