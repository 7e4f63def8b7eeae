//! Linux's own drivers: vivid as the webcam, v4l2loopback as the virtual camera.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use effigy::ErrorKind;
use effigy::composite::CardReason;
use effigy::sink::{self, Codec, SinkOptions};
use v4l::buffer::Type;
use v4l::capability::Flags;
use v4l::io::mmap::Stream;
use v4l::io::traits::CaptureStream as _;
use v4l::video::{Capture, Output};
use v4l::{Device, Format, FourCC};

use crate::common::{Running, SIZE_PX, card, effigy, faceless, is_same, shows_luma_in_the_middle, wait_until, yuyv};
use crate::folder::Folder;

/// The webcam, loaded so by the machine's first process.
const WEBCAM: &str = "/dev/video0";
/// The loopback with exclusive_caps=1, as the README says to load it.
const LOOPBACK: &str = "/dev/video10";
/// The loopback that is camera and output at once.
const BOTH: &str = "/dev/video11";
/// An emulated processor is slow; nothing here takes so long unless it is broken.
const BOUND: Duration = Duration::from_secs(180);

fn say(what: &str, since: Instant) {
    println!("{:6.1} s: {what}", since.elapsed().as_secs_f64());
}

fn capabilities(path: &str) -> Flags {
    Device::with_path(path).unwrap().query_caps().unwrap().capabilities
}

/// Reads frames until one is as expected; how many others came before.
fn read_until(what: &str, stream: &mut Stream<'_>, mut is_expected: impl FnMut(&[u8]) -> bool) -> usize {
    let begin = Instant::now();
    let mut n_others = 0;
    loop {
        let (bytes, meta) = stream.next().unwrap_or_else(|error| panic!("{what}: no frame: {error}"));
        if is_expected(&bytes[..meta.bytesused as usize]) {
            return n_others;
        }
        n_others += 1;
        if begin.elapsed() > BOUND {
            std::fs::write("/out/unexpected.raw", bytes).unwrap();
            panic!("{what}: {n_others} frames came and none was it; the last is unexpected.raw");
        }
    }
}

fn open_reader(device: &Device) -> Stream<'_> {
    let mut stream = Stream::with_buffers(device, Type::VideoCapture, 2).unwrap();
    stream.set_timeout(BOUND);
    stream
}

fn run(arguments: &str, log: &Path) -> Running {
    let mut command = effigy();
    command.args("run --identity /out/me.effigy --backend warp --size 512".split(' ')).args(arguments.split(' '));
    Running::start(&mut command, log)
}

#[test]
#[ignore = "needs the devices of scripts/vm_test.sh"]
fn a_webcam_drives_the_virtual_camera() {
    assert!(std::env::var_os("EFFIGY_VM").is_some(), "this is a part of scripts/vm_test.sh");
    let begin = Instant::now();
    let folder = Folder::new("devices-vm");

    let listed = effigy().arg("devices").stderr(Stdio::inherit()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for part in ["vivid", "/dev/video10 \"effigy\"", "/dev/video11 \"second\"", "exclusive_caps=1"] {
        assert!(listed.contains(part), "{part} is not in:\n{listed}");
    }
    say("devices are listed", begin);

    assert_eq!(capabilities(LOOPBACK) & (Flags::VIDEO_CAPTURE | Flags::VIDEO_OUTPUT), Flags::VIDEO_OUTPUT);
    let report = folder.0.join("report.json");
    let mut program =
        run(&format!("--source camera --sink vcam --report {}", report.display()), &folder.0.join("first.log"));
    let run_id = program.run_id(BOUND);
    let [looking, unbadged] = [true, false].map(|badge| yuyv(&card(CardReason::LookingForFace, badge, run_id)));
    let silent = yuyv(&card(CardReason::NoSignal, true, run_id));
    wait_until("the loopback as a camera", BOUND, || {
        program.assert_alive();
        capabilities(LOOPBACK).contains(Flags::VIDEO_CAPTURE).then_some(())
    });
    assert!(!capabilities(LOOPBACK).contains(Flags::VIDEO_OUTPUT), "with exclusive_caps it is a camera only");
    program.wait_for(&format!("sink: virtual camera {LOOPBACK} \"effigy\", YUYV 512x512"), BOUND);
    say("the loopback is a camera", begin);

    {
        let device = Device::with_path(LOOPBACK).unwrap();
        let format = Capture::format(&device).unwrap();
        assert_eq!((format.width, format.height, format.fourcc), (512, 512, FourCC::new(b"YUYV")));
        let mut reader = open_reader(&device);
        // Nothing that vivid shows is a face.
        let n_others = read_until("the card", &mut reader, |frame| is_same(frame, &looking));
        say(&format!("the card is read, after {n_others} other frames"), begin);
        assert!(!is_same(&looking, &unbadged), "the badge makes a difference");
    }

    // A reader of other makers, which comes while the first has gone.
    let raw = folder.0.join("frames.yuyv");
    let status = Command::new("v4l2-ctl")
        .args(["-d", LOOPBACK, "--stream-mmap=3", "--stream-count=3", "--stream-to"])
        .arg(&raw)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "v4l2-ctl: {status}");
    let bytes = std::fs::read(&raw).unwrap();
    assert_eq!(bytes.len(), 3 * SIZE_PX * SIZE_PX * 2);
    // The emulated webcam stumbles at times; then the card says so.
    let is_card = |frame: &[u8]| is_same(frame, &looking) || is_same(frame, &silent);
    assert!(bytes.chunks_exact(SIZE_PX * SIZE_PX * 2).all(is_card));
    say("v4l2-ctl reads the same", begin);

    {
        let device = Device::with_path(LOOPBACK).unwrap();
        let mut reader = open_reader(&device);
        unplug_and_plug(&mut program, &mut reader, |frame| is_same(frame, &silent), |frame| is_same(frame, &looking));
        say("the webcam went and came back", begin);

        // A second writer must be told who holds the device.
        let options = SinkOptions {
            size_px: (SIZE_PX, SIZE_PX),
            rate_hz: 25.0,
            every_frame: false,
            codec: Codec::Auto,
            sound: None,
            microphone: None,
            signing: None,
        };
        let refused = sink::open(&"vcam:10".parse().unwrap(), &options).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::DeviceBusy);
        assert!(refused.to_string().contains("another program writes to /dev/video10"), "{refused}");
        read_until("the first writer's card", &mut reader, is_card);
        say("a second writer is refused", begin);
    }

    // The node goes, as when the module is unloaded, and comes back.
    std::fs::rename(LOOPBACK, "/dev/hidden").unwrap();
    program.wait_for("it is looked for again while the rest goes on", BOUND);
    std::fs::rename("/dev/hidden", LOOPBACK).unwrap();
    program.wait_for(&format!("{LOOPBACK} \"effigy\", YUYV 512x512 25/s is back"), BOUND);
    {
        let device = Device::with_path(LOOPBACK).unwrap();
        read_until("the card after the loss", &mut open_reader(&device), is_card);
    }
    say("the loopback went and came back", begin);

    // Eight seconds of pictures after all that, so that the count below speaks of more than what was waited for above.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(program.interrupt(), 130);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    println!("{}", report["sinks"]);
    assert!(report["sinks"][0]["presented"].as_u64().unwrap() > 20);
    assert!(report["source"].as_str().unwrap().contains("vivid"));
    assert!(capabilities(LOOPBACK).contains(Flags::VIDEO_OUTPUT), "an output again, for the next program");
    say("the first run has ended", begin);
}

/// Takes the webcam from its driver while the program runs, and gives it back.
fn unplug_and_plug(
    program: &mut Running,
    reader: &mut Stream<'_>,
    is_silent: impl FnMut(&[u8]) -> bool,
    is_looking: impl FnMut(&[u8]) -> bool,
) {
    let driver = |what: &str| {
        std::fs::write(format!("/sys/bus/platform/drivers/vivid/{what}"), "vivid.0")
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    };
    driver("unbind");
    read_until("the card that says there is no signal", reader, is_silent);
    program.wait_for("is lost", BOUND);
    assert!(!Path::new(WEBCAM).exists());
    driver("bind");
    wait_until("the webcam's node", BOUND, || Path::new(WEBCAM).exists().then_some(()));
    program.wait_for("is back", BOUND);
    read_until("the card that says a face is looked for", reader, is_looking);
}

/// Asks the program's server; the body of what it answers.
fn ask(page: &str, method: &str, path: &str, body: &str) -> String {
    let (host, token) = page.strip_prefix("http://").unwrap().split_once("/?token=").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
#[ignore = "needs the devices of scripts/vm_test.sh"]
fn another_webcam_and_another_format_are_chosen_while_the_run_goes_on() {
    assert!(std::env::var_os("EFFIGY_VM").is_some(), "this is a part of scripts/vm_test.sh");
    let begin = Instant::now();
    let folder = Folder::new("devices-vm-switch");
    let mut program = run("--source camera:0 --sink vcam --sink http", &folder.0.join("switch.log"));
    let run_id = program.run_id(BOUND);
    let cards = [CardReason::LookingForFace, CardReason::NoSignal].map(|reason| yuyv(&card(reason, true, run_id)));
    let is_card = |frame: &[u8]| cards.iter().any(|card| is_same(frame, card));
    program.wait_for("control page: http://", BOUND);
    let said = program.said();
    let page = said.split("control page: ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap().to_owned();
    program.wait_for(&format!("sink: virtual camera {LOOPBACK}"), BOUND);
    let device = Device::with_path(LOOPBACK).unwrap();
    let mut reader = open_reader(&device);
    read_until("the card", &mut reader, |frame| is_same(frame, &cards[0]));
    say("the first webcam drives", begin);

    let listed: serde_json::Value = serde_json::from_str(&ask(&page, "GET", "/cameras", "")).unwrap();
    let cameras = listed["cameras"].as_array().unwrap();
    assert_eq!(cameras.len(), 2, "{listed:#}");
    for (i, camera) in cameras.iter().enumerate() {
        // The one in use too says what it offers.
        assert_eq!(camera["source"], format!("camera:vivid-00{i}-vid-cap"), "{listed:#}");
        assert!(camera["trouble"].is_null() && camera["formats"].as_array().unwrap().len() > 3, "{listed:#}");
    }
    let format = cameras[1]["formats"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
    say("both are listed", begin);

    let command = |text: String| ask(&page, "POST", "/command", &text);
    let _ = command(r#"{"do":"source","to":"camera:vivid-001-vid-cap"}"#.to_owned());
    program.wait_for("source: camera 1 \"vivid-001-vid-cap\", 640x480", BOUND);
    read_until("the card, with the second webcam", &mut reader, |frame| {
        assert!(is_card(frame), "what left in between is no card");
        is_same(frame, &cards[0])
    });
    say("the second webcam drives", begin);

    let _ = command(format!(r#"{{"do":"camera-format","to":"{format}"}}"#));
    program.wait_for(&format!("source: camera 1 \"vivid-001-vid-cap\", {format}"), BOUND);
    read_until("the card, with another format", &mut reader, |frame| {
        assert!(is_card(frame), "what left in between is no card");
        is_same(frame, &cards[0])
    });
    say(&format!("it delivers {format}"), begin);

    let _ = command(r#"{"do":"source","to":"camera:7"}"#.to_owned());
    program.wait_for("no camera 7; there is 0 \"vivid-000-vid-cap\", 1 \"vivid-001-vid-cap\"", BOUND);
    program.wait_for(&format!("source: camera 1 \"vivid-001-vid-cap\", {format} as before"), BOUND);
    read_until("the card, as before", &mut reader, |frame| is_same(frame, &cards[0]));
    assert_eq!(program.interrupt(), 130);
    say("one that is not there is refused, and the second drives on", begin);
}

#[test]
#[ignore = "needs the devices of scripts/vm_test.sh"]
fn another_size_and_packing_are_negotiated() {
    assert!(std::env::var_os("EFFIGY_VM").is_some(), "this is a part of scripts/vm_test.sh");
    let begin = Instant::now();
    let folder = Folder::new("devices-vm-format");
    // The device keeps the format of whoever wrote to it last; the picture is fitted into that.
    let status = Command::new("v4l2-ctl").args(["-d", BOTH, "--set-ctrl=keep_format=1"]).status().unwrap();
    assert!(status.success(), "v4l2-ctl: {status}");
    {
        let mut device = Device::with_path(BOTH).unwrap();
        Output::set_format(&device, &Format::new(640, 480, FourCC::new(b"NV12"))).unwrap();
        device.write_all(&[128; 640 * 480 * 3 / 2]).unwrap();
    }
    let mut program = {
        let source = faceless(&folder.0);
        run(&format!("--source {} --sink vcam:11", source.display()), &folder.0.join("second.log"))
    };
    let looking = card(CardReason::LookingForFace, true, program.run_id(BOUND));
    program.wait_for("\"second\", NV12 640x480 30/s", BOUND);
    assert!(program.said().contains("keeps its size of 640x480"), "{}", program.said());
    program.wait_for("says that it is camera and output at once, which browsers do not show", BOUND);
    let device = Device::with_path(BOTH).unwrap();
    let format = Capture::format(&device).unwrap();
    assert_eq!((format.width, format.height, format.fourcc), (640, 480, FourCC::new(b"NV12")));
    let mut reader = open_reader(&device);
    read_until("the card in the middle", &mut reader, |frame| {
        assert_eq!(frame.len(), 640 * 480 * 3 / 2);
        shows_luma_in_the_middle(&frame[..640 * 480], 640, 480, &looking)
    });
    assert_eq!(program.interrupt(), 130);
    say("NV12 of another size is read", begin);
}

#[test]
#[ignore = "needs the devices of scripts/vm_test.sh"]
fn the_virtual_camera_is_read_back_with_its_age() {
    assert!(std::env::var_os("EFFIGY_VM").is_some(), "this is a part of scripts/vm_test.sh");
    let begin = Instant::now();
    let folder = Folder::new("devices-vm-age");
    let report = Path::new("/out/e2e-vm.json");
    let mut command = effigy();
    command.args("bench e2e --way vcam --no-face --backend warp --secs 8 --warm-up 1".split(' '));
    command.args(["--identity", "/out/me.effigy", "--report"]).arg(report);
    let mut measured = Running::start_saying(&mut command, &folder.0.join("e2e.log"));
    assert_eq!(measured.wait(BOUND), 0, "{}", measured.said());
    println!("{}", measured.said());
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert!(record["machine"]["kind"].as_str().unwrap().contains("TCG emulation"), "{record:#}");
    let way = &record["ways"][0];
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or_else(|| panic!("a figure lacks in {way:#}"));
    assert_eq!(record["follows_face"], false);
    assert!(number(&way["far"]["frames"]) >= 20.0, "{way:#}");
    assert_eq!(way["far"]["backward"], 0, "{way:#}");
    assert!(number(&way["lost_behind_sink"]) <= 0.2 * number(&way["shown"]), "{way:#}");
    let (near_ms, far_ms) = (number(&way["near_ms"]["p50"]), number(&way["far"]["age_ms"]["p50"]));
    assert!(near_ms > 0.0 && far_ms > 0.0 && number(&way["gap_ms"]["p50"]) > 0.0, "{way:#}");
    assert_eq!(way["legs"].as_array().map(Vec::len), Some(2), "{way:#}");
    say("the virtual camera is read back", begin);
}
