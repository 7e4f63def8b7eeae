//! A microphone without hardware: a virtual source of PipeWire, found through ALSA as any program finds one.

use std::f64::consts::TAU;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{BOUND, Daemons, enrol};
use crate::clips;
use crate::common::{Running, effigy, faceless, wait_until};
use crate::folder::Folder;

const RATE_HZ: u32 = 48_000;
/// The microphone hears a beep so often, in seconds.
const INTERVAL_SECS: f64 = 0.5;

/// A vowel is said so often, for half of the time, in seconds.
const VOWEL_SECS: f64 = 1.4;

/// What a microphone hears of beeps, at a moment.
fn beeping(secs: f64) -> f64 {
    if secs % INTERVAL_SECS < 0.05 { (secs * 1000.0 * TAU).sin() * 0.8 } else { 0.0 }
}

/// Of somebody who says "ah" again and again: harmonics of a voice at 120 Hz, loud where those of an "ah" are.
fn vowels(secs: f64) -> f64 {
    let part = |hz: f64| {
        let near = |formant: f64| (-((hz - formant) / 150.0).powi(2)).exp();
        (near(730.0) + 0.5 * near(1090.0) + 0.1 * near(2440.0) + 0.05) * (TAU * hz * secs).sin()
    };
    if secs % VOWEL_SECS < VOWEL_SECS / 2.0 {
        0.0
    } else {
        0.15 * (1..40).map(|i| part(120.0 * f64::from(i))).sum::<f64>()
    }
}

/// A minute of sound, as WAV: 16 bits, two channels.
fn wav(sound: fn(f64) -> f64) -> Vec<u8> {
    let n = 60 * RATE_HZ;
    let mut wav = Vec::new();
    let n_bytes = n * 4;
    wav.extend(b"RIFF");
    wav.extend((36 + n_bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend([1_u16, 2].map(u16::to_le_bytes).concat());
    wav.extend([RATE_HZ, RATE_HZ * 4].map(u32::to_le_bytes).concat());
    wav.extend([4_u16, 16].map(u16::to_le_bytes).concat());
    wav.extend(b"data");
    wav.extend(n_bytes.to_le_bytes());
    for i in 0..n {
        let level = sound(f64::from(i) / f64::from(RATE_HZ)).clamp(-1.0, 1.0);
        wav.extend([((level * 32767.0) as i16).to_le_bytes(); 2].concat());
    }
    wav
}

fn carried_out(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().unwrap().status.success()
}

#[test]
#[ignore = "needs the session of scripts/pipewire_test.sh"]
fn a_microphone_is_recorded_when_asked_for() {
    assert!(std::env::var_os("EFFIGY_PIPEWIRE").is_some(), "this is a part of scripts/pipewire_test.sh");
    let begin = Instant::now();
    let say = |what: &str| println!("{:5.1} s: {what}", begin.elapsed().as_secs_f64());
    let folder = Folder::new("devices-pipewire-microphone");
    let path = |name: &str| folder.0.join(name);
    let identity = enrol(&folder.0);
    let source = faceless(&folder.0);
    std::fs::write(path("beeps.wav"), wav(beeping)).unwrap();
    std::fs::write(path("vowels.wav"), wav(vowels)).unwrap();
    // ALSA's default is what PipeWire's is, as on a desktop.
    std::fs::write(
        path("alsa.conf"),
        "</usr/share/alsa/alsa.conf>\npcm.!default { type pipewire hint { show on description \"PipeWire\" } }\n\
         ctl.!default { type pipewire }\n",
    )
    .unwrap();
    let run_from = |source: &Path, arguments: &[&str], sink: &Path, log: &str| {
        let mut command = effigy();
        command.args(["run", "--no-settings", "--backend", "warp", "--size", "512", "--source"]).arg(source);
        command.arg("--identity").arg(&identity).arg("--sink").arg(format!("file:{}", sink.display()));
        command.args(arguments).env("ALSA_CONFIG_PATH", path("alsa.conf"));
        Running::start(&mut command, &path(log))
    };
    let run = |arguments: &[&str], sink: &Path, log: &str| run_from(&source, arguments, sink, log);

    let _daemons = Daemons::start(&folder.0);
    let virtual_source = "{ factory.name=support.null-audio-sink node.name=beeping media.class=Audio/Source/Virtual \
                          audio.position=[FL FR] object.linger=1 }";
    assert!(carried_out("pw-cli", &["create-node", "adapter", virtual_source]));
    let play = |name: &str| {
        let mut command = Command::new("pw-cat");
        command.args(["--playback", "--target", "0"]).arg(path(name));
        let mut player = Running::start(&mut command, &path("pw-cat.log"));
        for side in ["FL", "FR"] {
            wait_until("the sound's way into the microphone", BOUND, || {
                player.assert_alive();
                let (from, to) = (format!("pw-cat:output_{side}"), format!("beeping:input_{side}"));
                carried_out("pw-link", &[&from, &to]).then_some(())
            });
        }
        player
    };
    let player = play("beeps.wav");
    let listed = effigy().arg("devices").env("ALSA_CONFIG_PATH", path("alsa.conf")).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("PipeWire"), "the microphone is not in:\n{listed}");
    say("there is a microphone");

    let heard = path("heard.mp4");
    let mut program = run(&["--microphone"], &heard, "heard.log");
    program.wait_for("microphone: ", BOUND);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(program.interrupt(), 130, "{}", program.said());
    let beeps = clips::beeps(&heard);
    assert!(beeps.len() >= 6, "{beeps:?}\n{}", program.said());
    // The first may be cut by the beginning.
    for pair in beeps[1..].windows(2) {
        // A busy machine may lose one; those that are there have their place.
        let n_intervals = (pair[1] - pair[0]) / INTERVAL_SECS;
        assert!((n_intervals - n_intervals.round()).abs() * INTERVAL_SECS < 0.02, "{beeps:?}");
    }
    say(&format!("{} beeps are recorded", beeps.len()));

    // Without being asked nothing listens.
    let silent = path("silent.mp4");
    let mut program = run(&[], &silent, "silent.log");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(program.interrupt(), 130, "{}", program.said());
    assert!(!program.said().contains("microphone: "), "{}", program.said());
    assert_eq!(clips::beeps(&silent), [0.0; 0]);
    assert!(!clips::pictures(&silent).is_empty());
    say("without --microphone there is no sound");

    // A voice moves the mouth, and is recorded from the same device.
    drop(player);
    let _player = play("vowels.wav");
    let (talk, motion) = (path("talk.mp4"), path("talk.jsonl"));
    let motion_sink = format!("motion:{}", motion.display());
    let report = path("talk.json");
    let asked = ["--microphone", "--sink", &motion_sink, "--report", report.to_str().unwrap()];
    let mut program = run_from(Path::new("audio:microphone"), &asked, &talk, "talk.log");
    program.wait_for("it is heard in what is recorded", BOUND);
    std::thread::sleep(Duration::from_secs(9));
    assert_eq!(program.interrupt(), 130, "{}", program.said());
    assert_eq!(program.said().matches(" is on, ").count(), 1, "the device is opened once:\n{}", program.said());
    let vowels = clips::beeps(&talk);
    assert!(vowels.len() >= 4, "{vowels:?}\n{}", program.said());
    let lines = std::fs::read_to_string(motion).unwrap();
    let jaws: Vec<(f64, f64)> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|frame| (frame["secs"].as_f64().unwrap(), frame["coefficients"]["jawOpen"].as_f64().unwrap()))
        .collect();
    // Both begin with the first picture. The first vowel may be cut, the last not be seen to its end.
    let widest = |from_secs: f64, to_secs: f64| {
        let within = jaws.iter().filter(|(at, _)| (from_secs..to_secs).contains(at));
        within.map(|(_, jaw)| *jaw).fold(0.0, f64::max)
    };
    for begin_secs in &vowels[1..vowels.len() - 1] {
        let (shut, open) = (widest(begin_secs - 0.4, begin_secs - 0.15), widest(begin_secs + 0.1, begin_secs + 0.6));
        assert!(open > 0.12 && shut < 0.5 * open, "{shut} before {begin_secs} s, {open} after, of {vowels:?}");
    }
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let age_ms = |share: &str| report["age_ms"][share].as_f64().unwrap();
    say(&format!(
        "a voice moves the mouth and is recorded, {} vowels; the picture is {:.0} ms behind it (p99 {:.0}), {:.1} a second",
        vowels.len(),
        age_ms("p50"),
        age_ms("p99"),
        report["fps"].as_f64().unwrap()
    ));
}
