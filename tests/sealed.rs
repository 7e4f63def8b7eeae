//! Sealed identities and spoken statements, as a user meets them: by the program itself. Who steals a file cannot show it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common;
use crate::home::Home;
use rosc::{OscMessage, OscPacket, OscType};
use serde_json::Value;

const RUN: &str = "--source pattern --sink null --backend warp --duration 0.3 --no-settings";

/// What tests of sealed files ask of a home.
trait Files {
    fn write(&self, name: &str, bytes: &[u8]);
    fn read(&self, name: &str) -> Vec<u8>;
    /// All files below the home that hold these bytes.
    fn holding(&self, bytes: &[u8]) -> Vec<PathBuf>;
}

/// A user with three identities.
fn home(name: &str) -> Home {
    Home::new("sealed", name, &["me", "ann", "ben"], &common::identity_with_photo())
}

impl Files for Home {
    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap()
    }

    fn holding(&self, bytes: &[u8]) -> Vec<PathBuf> {
        let (mut folders, mut found) = (vec![self.0.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if std::fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes) {
                    found.push(path);
                }
            }
        }
        found
    }
}

#[test]
fn a_stolen_file_cannot_be_shown_by_any_command() {
    let home = home("stolen");
    let told = home.says("seal me.effigy --new-key me.key", 0);
    assert!(told.contains("sealed: me.effigy opens with the key only"), "{told}");
    let other = "seal ann.effigy --new-key other.key";
    home.says(other, 0);
    assert!(home.says("seal ben.effigy --new-key other.key", 2).contains("name a file that is not there"));
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&home.0.join("me.key").metadata().unwrap().permissions()) & 0o777,
        0o600
    );

    home.write(
        "jobs.jsonl",
        br#"{"identity": "me.effigy", "clip": "c.mp4", "output": "o.mp4", "backend": "warp", "duration": 0.2}"#,
    );
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/driver.mp4"), home.0.join("c.mp4")).unwrap();
    let run = format!("run --identity me.effigy {RUN}");
    // Every command that reads an identity, without the key, with a wrong one, with the right one.
    let commands = [
        (run.as_str(), 2),
        ("export --format tensors -o tensors --identity me.effigy", 2),
        ("verify me.effigy", 2),
        ("identities add me.effigy", 2),
        ("revoke me.effigy", 2),
        ("unseal me.effigy", 2),
        ("render jobs.jsonl", 2),
    ];
    for (line, code) in commands {
        let told = home.says(line, code);
        let results = home.0.join("jobs.results.jsonl");
        let told = if line.starts_with("render") {
            told + &std::fs::read_to_string(&results).unwrap_or_default()
        } else {
            told
        };
        assert!(
            told.contains("it is sealed to a key: give the file of the secret key with --key FILE"),
            "{line}: {told}"
        );
        let told = home.says(&format!("{line} --key other.key"), if line.starts_with("verify") { 2 } else { 1 });
        let told = if line.starts_with("render") {
            told + &std::fs::read_to_string(&results).unwrap_or_default()
        } else {
            told
        };
        assert!(told.contains("the key does not open it: it is sealed to another one"), "{line}: {told}");
    }
    assert!(!home.0.join("o.mp4").exists() && !home.0.join("tensors/identity.safetensors").exists());
    for (line, _) in &commands[..4] {
        home.says(&format!("{line} --key me.key"), 0);
    }
    home.says("render jobs.jsonl --key me.key", 0);
    assert!(home.0.join("o.mp4").exists());
    // In the library it stays sealed, and no thumbnail shows the face.
    assert!(home.says("identities list", 0).contains("sealed; --passphrase-file or --key shows more"));
    assert!(home.says("identities list --key me.key", 0).contains("synthetic"));
    assert!(!home.0.join(".cache/effigy/thumbnails/me.png").exists());
    assert_eq!(home.read(".local/share/effigy/identities/me.effigy"), home.read("me.effigy"));
    home.says("identities rename me Me2", 0);
    assert_eq!(home.read(".local/share/effigy/identities/Me2.effigy"), home.read("me.effigy"));
    // Of a whole library what cannot be opened is left out, and it is said what to do.
    home.says("identities add ben.effigy", 0);
    let told = home.says(&format!("run {RUN}"), 0);
    assert!(told.contains("it is left out, and cannot be opened while the program runs"), "{told}");
    home.says("revoke me.effigy --key me.key", 0);
    assert!(home.says(&format!("{run} --key me.key"), 1).contains("the consent was revoked"));
    assert!(home.says("seal me.effigy --new-key new.key", 2).contains("is sealed already"));
    home.says("unseal me.effigy --key me.key", 0);
    assert!(home.says("verify me.effigy", 0).contains("identity     me\n"));
    assert!(home.says("unseal me.effigy", 2).contains("is not sealed"));
}

#[test]
fn nothing_of_a_sealed_identity_is_on_the_disk_in_the_plain() {
    let home = home("plain");
    let portrait = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/portrait_a.png");
    std::fs::copy(portrait, home.0.join("photo.png")).unwrap();
    home.says("seal ben.effigy --new-key ben.key", 0);
    let public = String::from_utf8(home.read("ben.key")).unwrap();
    let public = public.lines().next().unwrap().rsplit(' ').next().unwrap();
    let line = format!("enroll photo.png -o who.effigy --consent synthetic --no-rehearsal --seal {public}");
    let told = home.says(&line, 0);
    assert!(told.contains("no preview: it would show the face") && told.contains("; sealed)"), "{told}");
    assert!(!home.0.join("who.png").exists());
    // What every plain identity begins with, its name in it.
    assert_eq!(home.holding(br#"\"name\":\"who\""#), Vec::<PathBuf>::new());
    assert_eq!(home.holding(br#"\"name\":\"ann\""#).len(), 1, "the search finds what there is");
    assert_eq!(home.holding(br#"\"name\":\"ben\""#), Vec::<PathBuf>::new(), "sealed in its place");
    assert!(home.says("verify who.effigy --key ben.key", 0).contains("identity     who\n"));
    home.says(&format!("run --identity who.effigy --key ben.key {RUN}"), 0);
    assert_eq!(home.holding(br#"\"name\":\"who\""#), Vec::<PathBuf>::new(), "nor after it was opened");
    for (line, says) in [
        ("--seal passphrase,age1xyz", "either to a passphrase or to keys"),
        ("--seal age1xyz", "expected a public key of age"),
        ("--seal passphrase", "no terminal to ask for a passphrase"),
        ("--seal passphrase --passphrase-file missing.txt", "cannot read the passphrase missing.txt"),
    ] {
        let line = format!("enroll photo.png -o no.effigy --consent synthetic {line}");
        let told = home.said(&mut home.command(&line), if line.ends_with("missing.txt") { 1 } else { 2 });
        assert!(told.contains(says), "{line}: {told}");
        assert!(!home.0.join("no.effigy").exists());
    }
}

#[test]
fn a_passphrase_comes_from_a_file_the_environment_or_the_terminal() {
    let home = home("passphrase");
    home.write("secret.txt", "correct horse battery\n".as_bytes());
    home.write("wrong.txt", b"correct horse\n");
    home.write("empty.txt", b"\n");
    home.says("seal me.effigy --passphrase-file secret.txt", 0);
    let told = home.says("verify me.effigy", 2);
    assert!(told.contains("sealed to a passphrase, and there is no terminal to ask for it"), "{told}");
    assert!(told.contains("--passphrase-file FILE, or set EFFIGY_PASSPHRASE"), "{told}");
    let told = home.says("verify me.effigy --passphrase-file wrong.txt", 2);
    assert!(told.contains("the passphrase does not open it"), "{told}");
    assert!(home.says("verify me.effigy --passphrase-file empty.txt", 2).contains("holds no passphrase"));
    assert!(home.says("verify me.effigy --passphrase-file secret.txt", 0).contains("identity     me\n"));
    let told = home.said(home.command("verify me.effigy").env("EFFIGY_PASSPHRASE", "correct horse battery"), 0);
    assert!(told.contains("identity     me\n"));
    // A file that was torn on the way, and one that somebody changed.
    let sealed = home.read("me.effigy");
    home.write("torn.effigy", &sealed[..sealed.len() / 2]);
    let mut changed = sealed.clone();
    changed[sealed.len() / 2] ^= 1;
    home.write("changed.effigy", &changed);
    home.write("header.effigy", &sealed[..100]);
    for name in ["torn", "changed", "header"] {
        let told = home.says(&format!("run --identity {name}.effigy --passphrase-file secret.txt {RUN}"), 1);
        assert!(told.contains("the sealed file is torn, or"), "{name}: {told}");
    }
    // One that asks for all the memory of the machine.
    let text = String::from_utf8_lossy(&sealed[..200]).into_owned();
    let at = text.find(" 18\n").unwrap();
    home.write("greedy.effigy", &[&sealed[..at], b" 30\n", &sealed[at + 4..]].concat());
    let told = home.says("verify greedy.effigy --passphrase-file secret.txt", 2);
    assert!(told.contains("work factor 30, which takes 1024 GiB of memory; at most 20 is accepted"), "{told}");
    // Typed at a terminal, wrongly first: it is asked again, and shown nowhere.
    if Command::new("script").arg("--version").output().is_err() {
        return;
    }
    let mut script = home.command("");
    let program = env!("CARGO_BIN_EXE_effigy");
    let mut typed = Command::new("script");
    typed.args(["-qec", &format!("{program} verify me.effigy"), "/dev/null"]).current_dir(&home.0);
    typed.envs(script.env("TERM", "dumb").get_envs().filter_map(|(name, value)| Some((name, value?))));
    typed.env_remove("EFFIGY_PASSPHRASE").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = typed.spawn().unwrap();
    let mut keys = child.stdin.take().unwrap();
    let mut screen = BufReader::new(child.stdout.take().unwrap());
    let mut shown = Vec::new();
    for line in ["not this one\n", "correct horse battery\n"] {
        // A question ends with a colon and a space.
        let begin = shown.len();
        while !shown[begin..].ends_with(b": ") {
            let mut byte = [0];
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
        // The terminal must have stopped showing what is typed.
        std::thread::sleep(std::time::Duration::from_millis(300));
        std::io::Write::write_all(&mut keys, line.as_bytes()).unwrap();
    }
    screen.read_to_end(&mut shown).unwrap();
    assert!(child.wait().unwrap().success());
    let shown = String::from_utf8_lossy(&shown);
    assert!(
        shown.contains("That does not open it. Passphrase of me.effigy: ") && shown.contains("identity     me"),
        "{shown}"
    );
    assert!(!shown.contains("correct horse"), "what is typed is shown: {shown}");
}

#[test]
fn a_running_program_switches_to_sealed_identities_that_it_opened_and_opens_them_again_next_time() {
    let home = home("live");
    home.says("seal ann.effigy --new-key ann.key", 0);
    let line = "run --identity me.effigy,ann.effigy --key ann.key --source vmc:0 --sink null --backend warp \
                --osc 127.0.0.1:0 --duration 4 --report report.json";
    let mut child = home.command(line).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let (mut all, mut address) = (String::new(), None::<SocketAddr>);
    while address.is_none() {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "no address:\n{all}");
        all += &line;
        address = line.strip_prefix("OSC: listening at ").and_then(|rest| rest.split(';').next()?.parse().ok());
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |address_: &str, value: OscType| {
        let message = OscMessage { addr: address_.to_owned(), args: vec![value] };
        socket.send_to(&rosc::encoder::encode(&OscPacket::Message(message)).unwrap(), address.unwrap()).unwrap();
    };
    std::thread::sleep(std::time::Duration::from_millis(500));
    send("/effigy/identity", OscType::Int(2));
    send("/effigy/badge/place", OscType::String("top-left".to_owned()));
    send("/effigy/badge/language", OscType::String("ja".to_owned()));
    lines.read_to_string(&mut all).unwrap();
    assert!(child.wait().unwrap().success(), "{all}");
    let report: Value = serde_json::from_slice(&home.read("report.json")).unwrap();
    assert_eq!(report["identity"], "ann", "{report:#}");
    // The next run finds identity and key again, and where the badge was left.
    let table = home.says("run --dry-run --source vmc:0", 0);
    let row = |key: &str| {
        let line = table.lines().find(|line| line.split_whitespace().next() == Some(key));
        line.unwrap_or_else(|| panic!("no {key} in\n{table}")).to_owned()
    };
    assert!(row("key").contains("ann.key") && row("key").ends_with("last run"), "{table}");
    assert!(row("badge-place").contains("top-left") && row("badge-language").contains("ja"), "{table}");
    home.says("run --source vmc:0 --sink null --backend warp --duration 0.3", 0);
    // Without its key the last run's identity is not shown, and it is said where the name comes from.
    std::fs::remove_file(home.0.join("ann.key")).unwrap();
    let told = home.says("run --source vmc:0 --sink null --backend warp --duration 0.3", 2);
    assert!(
        told.contains("--key of the last run is not there any more") && told.contains("ann.effigy: it is sealed"),
        "{told}"
    );
    assert!(told.contains("some of this is from the last run"), "{told}");
}

/// A voice, or what passes for one: a WAV file of one channel.
fn wav(secs: f64, pitch_hz: f64) -> Vec<u8> {
    let rate = 8000_u32;
    let samples = (0..(secs * f64::from(rate)) as u32).flat_map(|i| {
        ((((f64::from(i) / f64::from(rate)) * pitch_hz * std::f64::consts::TAU).sin() * 9000.0) as i16).to_le_bytes()
    });
    let samples: Vec<u8> = samples.collect();
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + samples.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend([16, 0, 0, 0, 1, 0, 1, 0]);
    file.extend(rate.to_le_bytes());
    file.extend((2 * rate).to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend((samples.len() as u32).to_le_bytes());
    file.extend(samples);
    file
}

#[test]
fn a_spoken_statement_is_kept_beside_the_identity_and_checked_by_its_hash() {
    let home = home("spoken");
    let portrait = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/portrait_a.png");
    std::fs::copy(portrait, home.0.join("photo.png")).unwrap();
    home.write("voice.wav", &wav(2.5, 180.0));
    home.write("other.wav", &wav(2.5, 260.0));
    home.write("word.wav", &wav(0.3, 180.0));
    home.write("text.wav", b"this is no sound");
    let enroll = "enroll photo.png --consent subject --consent-by Ann --no-rehearsal";
    for (audio, code, says) in [
        ("missing.wav", 1, "cannot read the recording missing.wav"),
        ("text.wav", 2, "found no sound in it"),
        ("word.wav", 2, "a sentence takes from 1 to 600 s"),
    ] {
        let told = home.says(&format!("{enroll} -o no.effigy --statement-audio {audio}"), code);
        assert!(told.contains(says), "{audio}: {told}");
        assert!(!home.0.join("no.effigy").exists());
    }
    let told = home.says(&format!("{enroll} -o ann2.effigy --statement-audio voice.wav"), 0);
    assert!(told.contains("what should be heard in voice.wav: My name is Ann. On 20"), "{told}");
    assert!(told.contains("I agree that my face is shown with movements that are not mine."), "{told}");
    assert!(told.contains("recording: ann2.statement.wav"), "{told}");
    assert_eq!(home.read("ann2.statement.wav"), home.read("voice.wav"));
    let told = home.says("verify ann2.effigy --statement-audio ann2.statement.wav", 0);
    let n_bytes = home.read("voice.wav").len();
    assert!(told.contains(&format!("spoken       2.5 s, {n_bytes} bytes, SHA-256 ")), "{told}");
    assert!(told.contains("recording    yes: this is the recording whose hash was signed"), "{told}");
    assert!(home.says("verify ann2.effigy", 0).contains("statement    SHA-256 "));
    assert!(home.says("verify ann2.effigy --statement-audio other.wav", 1).contains("no: this is another recording"));
    assert!(home.says("verify me.effigy --statement-audio voice.wav", 1).contains("speaks of no recording"));
    assert!(home.says("verify photo.png --statement-audio voice.wav", 2).contains("belongs to an identity"));
    let told = home.says("verify ann2.effigy --statement-audio voice.wav --json", 0);
    let json: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&json["recording_matches"], &json["manifest"]["consent"]["spoken"]["duration_millis"]),
        (&true.into(), &2500.into())
    );
    // A recording that is evidence is not written over.
    let told = home.says(&format!("{enroll} -o ann2.effigy --statement-audio other.wav"), 2);
    assert!(told.contains("another recording is where this one would be kept"), "{told}");
    assert_eq!(home.read("ann2.statement.wav"), home.read("voice.wav"));
    // Sealed, it is sealed too, and opens with the same key.
    home.says("seal me.effigy --new-key me.key", 0);
    let public = String::from_utf8(home.read("me.key")).unwrap();
    let public = public.lines().next().unwrap().rsplit(' ').next().unwrap();
    home.says(&format!("{enroll} -o shut.effigy --statement yes --statement-audio voice.wav --seal {public}"), 0);
    assert!(home.read("shut.statement.wav.age").starts_with(b"age-encryption.org/v1\n"));
    let told = home.says("verify shut.effigy --key me.key --statement-audio shut.statement.wav.age", 0);
    assert!(told.contains("recording    yes"), "{told}");
    let yes = effigy::identity::sha256(b"yes");
    assert!(told.contains(&format!("statement    SHA-256 {yes}")), "the sentence that was typed: {told}");
    // Where no microphone is to be had, it is said before anything is written.
    let told =
        home.said(&mut home.command(&format!("{enroll} -o live.effigy --statement-audio microphone:no-such-one")), 1);
    assert!(!home.0.join("live.effigy").exists() && told.contains("icrophone"), "{told}");
}
