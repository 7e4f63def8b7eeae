//! A microphone without hardware: a virtual source of PipeWire, found through ALSA as any program finds one.

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

/// A minute of beeps, as WAV: 16 bits, two channels.
fn beeping() -> Vec<u8> {
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
        let secs = f64::from(i) / f64::from(RATE_HZ);
        let is_loud = secs % INTERVAL_SECS < 0.05;
        let level = if is_loud { (secs * 1000.0 * std::f64::consts::TAU).sin() * 0.8 } else { 0.0 };
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
    std::fs::write(path("beeps.wav"), beeping()).unwrap();
    // ALSA's default is what PipeWire's is, as on a desktop.
    std::fs::write(
        path("alsa.conf"),
        "</usr/share/alsa/alsa.conf>\npcm.!default { type pipewire hint { show on description \"PipeWire\" } }\n\
         ctl.!default { type pipewire }\n",
    )
    .unwrap();
    let run = |arguments: &[&str], sink: &Path, log: &str| {
        let mut command = effigy();
        command.args(["run", "--no-settings", "--backend", "warp", "--size", "512", "--source"]).arg(&source);
        command.arg("--identity").arg(&identity).arg("--sink").arg(format!("file:{}", sink.display()));
        command.args(arguments).env("ALSA_CONFIG_PATH", path("alsa.conf"));
        Running::start(&mut command, &path(log))
    };

    let _daemons = Daemons::start(&folder.0);
    let virtual_source = "{ factory.name=support.null-audio-sink node.name=beeping media.class=Audio/Source/Virtual \
                          audio.position=[FL FR] object.linger=1 }";
    assert!(carried_out("pw-cli", &["create-node", "adapter", virtual_source]));
    let mut player = {
        let mut command = Command::new("pw-cat");
        command.args(["--playback", "--target", "0"]).arg(path("beeps.wav"));
        Running::start(&mut command, &path("pw-cat.log"))
    };
    for side in ["FL", "FR"] {
        wait_until("the beeps' way into the microphone", BOUND, || {
            player.assert_alive();
            let (from, to) = (format!("pw-cat:output_{side}"), format!("beeping:input_{side}"));
            carried_out("pw-link", &[&from, &to]).then_some(())
        });
    }
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
}
