//! A live stream that falls silent for more than ten seconds and comes back, as a user meets it: by the program itself.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use crate::{clips, common};

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use effigy::identity::Signer;
use ffmpeg_next as ffmpeg;

const BEFORE: Duration = Duration::from_secs(8);
const SILENCE: Duration = Duration::from_secs(12);
/// As much of the silence as what the program writes must show: a busy machine is late when it begins.
const SHOWN_SECS: f64 = 6.5;

/// The demo's driver as a transport stream, which can be joined anywhere, and its length.
fn transport_stream(path: &Path) -> (Vec<u8>, Duration) {
    let mut input = ffmpeg::format::input(concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/driver.mp4")).unwrap();
    let mut output = ffmpeg::format::output(path).unwrap();
    let picture = input.streams().best(ffmpeg::media::Type::Video).unwrap();
    let (index, base) = (picture.index(), picture.time_base());
    let mut to = output.add_stream(ffmpeg::encoder::find(ffmpeg::codec::Id::None)).unwrap();
    to.set_parameters(picture.parameters());
    output.write_header().unwrap();
    let to_base = output.stream(0).unwrap().time_base();
    for (stream, mut packet) in input.packets() {
        if stream.index() == index {
            packet.rescale_ts(base, to_base);
            packet.set_stream(0);
            packet.set_position(-1);
            packet.write_interleaved(&mut output).unwrap();
        }
    }
    output.write_trailer().unwrap();
    let length = Duration::from_micros(input.duration() as u64);
    (std::fs::read(path).unwrap(), length)
}

/// Sends `content` at its own pace, over and over, until the other side closes or `until`.
fn send(stream: &mut TcpStream, content: &[u8], length: Duration, until: Option<Instant>) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n")?;
    let n_chunks = (length.as_millis() / 20) as usize;
    loop {
        for chunk in content.chunks(content.len().div_ceil(n_chunks)) {
            if until.is_some_and(|until| Instant::now() > until) {
                return Ok(());
            }
            stream.write_all(chunk)?;
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A camera in the network: eight seconds, then for twelve seconds no word to anyone, then on as if nothing had been.
fn serve(content: Vec<u8>, length: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let talk = move || {
        let (mut first, _) = listener.accept().unwrap();
        let _ = first.read(&mut [0; 4096]);
        send(&mut first, &content, length, Some(Instant::now() + BEFORE)).unwrap();
        std::thread::sleep(SILENCE);
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            // Connections that were given up meanwhile.
            let _ = send(&mut stream, &content, length, None);
        }
    };
    std::thread::Builder::new().name("camera".to_owned()).spawn(talk).unwrap();
    format!("http://{address}/live")
}

#[test]
fn a_stream_that_is_silent_for_more_than_ten_seconds_is_followed_again() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stream");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let signer = Signer::open_or_create_at(&folder.join("config/effigy/signing.key")).unwrap();
    common::identity(512).save(&folder.join("me.effigy"), &signer).unwrap();
    let (content, length) = transport_stream(&folder.join("driver.ts"));
    let url = serve(content, length);

    let line = format!(
        "run --no-settings --identity me.effigy --source {url} --sink file:out.mkv --sink motion:out.jsonl --backend warp \
         --size 256 --duration 34"
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_effigy"));
    command.args(line.split_whitespace()).current_dir(&folder).stdin(Stdio::null());
    command.env("EFFIGY_ONNXRUNTIME", effigy::onnx::runtime_path().unwrap());
    for name in ["CONFIG", "STATE", "DATA", "CACHE"] {
        command.env(format!("XDG_{name}_HOME"), folder.join(name.to_lowercase()));
    }
    let output = command.output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{text}");
    for expected in ["sends nothing more", "it is looked for again", "is back"] {
        assert!(text.contains(expected), "no \"{expected}\" in\n{text}");
    }

    // The picture never stops: the portrait idles, and then follows the driver again.
    let shown = clips::pictures(&folder.join("out.mkv"));
    let (first, last) = (shown[0].secs, shown.last().unwrap().secs);
    assert!(last - first > 28.0, "{first} s to {last} s\n{text}");
    let longest = shown.windows(2).map(|pair| pair[1].secs - pair[0].secs).fold(0.0, f64::max);
    assert!(longest < 1.0, "{longest} s without a picture\n{text}");
    // The driver is followed again, as he was before, and not in between, when the portrait moves by itself.
    let motion = std::fs::read_to_string(folder.join("out.jsonl")).unwrap();
    let frames: Vec<serde_json::Value> = motion.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let secs = |frame: &serde_json::Value| frame["secs"].as_f64().unwrap();
    let seen: Vec<&serde_json::Value> = frames.iter().filter(|frame| frame["seen"] == true).collect();
    let jaws = |from_secs: f64, to_secs: f64| -> Vec<f64> {
        let within = seen.iter().filter(|frame| (from_secs..to_secs).contains(&secs(frame)));
        within.map(|frame| frame["coefficients"]["jawOpen"].as_f64().unwrap()).collect()
    };
    // How long the program takes to begin, and to find the stream again, is the machine's matter: the silence is where
    // the driver was seen least.
    let n_seen_from = |begin_secs: f64| jaws(begin_secs, begin_secs + SHOWN_SECS).len();
    let end_secs = secs(&frames[frames.len() - 1]);
    let begins = seen.iter().map(|frame| secs(frame) + 0.001).filter(|begin| begin + SHOWN_SECS < end_secs);
    let silent_secs = begins.min_by_key(|begin| n_seen_from(*begin)).unwrap();
    let range =
        |jaws: &[f64]| jaws.iter().fold(f64::MIN, |a, b| a.max(*b)) - jaws.iter().fold(f64::MAX, |a, b| a.min(*b));
    let silence_end_secs = silent_secs + SHOWN_SECS;
    let (before, silent) = (jaws(0.0, silent_secs), jaws(silent_secs, silence_end_secs));
    let again = jaws(silence_end_secs, f64::INFINITY);
    let n = [&before, &silent, &again].map(Vec::len);
    // A decoder gives its last pictures when the stream is given up.
    assert!(n[0] > 40 && n[1] <= 4 && n[2] > 40, "{n:?} frames with the driver\n{text}");
    assert!(range(&again) > 0.5 * range(&before) && range(&before) > 0.05, "{before:?}\n{again:?}\n{text}");
}
