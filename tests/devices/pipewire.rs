//! PipeWire in a session of its own: the program's camera, consumers of two makers, a daemon that ends and comes back.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ::pipewire::spa::param::video::VideoFormat;
use effigy::composite::CardReason;
use rosc::{OscMessage, OscPacket, OscType};

use crate::common::{Running, SIZE_PX, card, effigy, faceless, is_same, shows_luma_in_the_middle, wait_until, yuyv};
use crate::folder::Folder;
use consumer::{Consumer, Frame};

mod consumer;
#[cfg(feature = "microphone")]
mod microphone;

/// Nothing here takes so long unless it is broken.
const BOUND: Duration = Duration::from_secs(20);

/// The daemon and the session manager, which connects consumers with cameras.
struct Daemons {
    _manager: Running,
    _daemon: Running,
}

impl Daemons {
    fn start(folder: &Path) -> Self {
        let socket = Path::new(&std::env::var_os("XDG_RUNTIME_DIR").unwrap()).join("pipewire-0");
        let daemon = Running::start(&mut Command::new("pipewire"), &folder.join("pipewire.log"));
        wait_until("the daemon's socket", BOUND, || socket.exists().then_some(()));
        let manager = Running::start(&mut Command::new("wireplumber"), &folder.join("wireplumber.log"));
        wait_until("the session manager", BOUND, || {
            let status = Command::new("wpctl").arg("status").stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.unwrap().success().then_some(())
        });
        Self { _manager: manager, _daemon: daemon }
    }
}

/// What PipeWire tells about the program's node: its number, once it is there.
fn node() -> Option<(u32, serde_json::Value)> {
    let dump = Command::new("pw-dump").output().unwrap();
    let objects: serde_json::Value = serde_json::from_slice(&dump.stdout).ok()?;
    objects.as_array()?.iter().find_map(|object| {
        let properties = &object["info"]["props"];
        let is_ours = object["type"] == "PipeWire:Interface:Node" && properties["node.name"] == "effigy";
        is_ours.then(|| Some((u32::try_from(object["id"].as_u64()?).ok()?, properties.clone())))?
    })
}

/// An identity of a synthetic person; its signing key stays in the session's scratch folder.
fn enrol(folder: &Path) -> PathBuf {
    let (photo, identity) = (folder.join("photo.png"), folder.join("me.effigy"));
    std::fs::write(&photo, effigy::demo::PORTRAITS[0].1).unwrap();
    let enrolled = crate::common::effigy()
        .arg("enroll")
        .args([&photo, Path::new("-o"), &identity])
        .args(["--consent", "synthetic"])
        .output()
        .unwrap();
    assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
    identity
}

/// GStreamer's consumer: so many frames of the camera as it comes, in YUYV.
fn gstreamer(node: u32, n_frames: usize, to: &Path) -> Running {
    let mut command = Command::new("gst-launch-1.0");
    command
        .args(["-q", "pipewiresrc", &format!("path={node}"), &format!("num-buffers={n_frames}"), "!"])
        .args([&format!("video/x-raw,format=YUY2,width={SIZE_PX},height={SIZE_PX}"), "!", "filesink"])
        .arg(format!("location={}", to.display()));
    Running::start(&mut command, &to.with_extension("log"))
}

#[test]
#[ignore = "needs the session of scripts/pipewire_test.sh"]
fn a_camera_for_several_consumers_survives_the_daemon() {
    assert!(std::env::var_os("EFFIGY_PIPEWIRE").is_some(), "this is a part of scripts/pipewire_test.sh");
    let begin = Instant::now();
    let say = |what: &str| println!("{:5.1} s: {what}", begin.elapsed().as_secs_f64());
    let folder = Folder::new("devices-pipewire");
    let identity = enrol(&folder.0);
    let source = faceless(&folder.0);
    let run = |log: &str| {
        let mut command = effigy();
        command.args(["run", "--backend", "warp", "--size", "512", "--sink", "pipewire", "--source"]).arg(&source);
        Running::start(command.arg("--identity").arg(&identity), &folder.0.join(log))
    };
    let run_plain = |log: &str| {
        let mut command = effigy();
        command.args(["run", "--backend", "warp", "--sink", "pipewire", "--source"]).arg(&source);
        Running::start(command.arg("--identity").arg(&identity), &folder.0.join(log))
    };

    // Without a daemon the error says what to do.
    let mut refused = run("refused.log");
    assert_eq!(refused.wait(BOUND), 1);
    assert!(refused.said().contains("systemctl --user start pipewire wireplumber"), "{}", refused.said());
    let listed = effigy().arg("devices").output().unwrap().stdout;
    assert!(String::from_utf8(listed).unwrap().contains("pipewire     none: PipeWire does not run for this user"));
    say("without a daemon the error says what to do");

    let daemons = Daemons::start(&folder.0);
    let listed = effigy().arg("devices").output().unwrap().stdout;
    assert!(String::from_utf8(listed).unwrap().contains("pipewire     ready"));
    let mut program = run("program.log");
    let looking = card(CardReason::LookingForFace, true, program.run_id(BOUND));
    let expected = yuyv(&looking);
    let is_card = |frame: &Frame| is_same(&frame.bytes, &expected);
    program.wait_for("sink: PipeWire camera effigy, 512x512 30/s", BOUND);
    let (id, properties) = wait_until("the node", BOUND, node);
    for (key, value) in [("media.class", "Video/Source"), ("media.role", "Camera"), ("node.description", "effigy")] {
        assert_eq!(properties[key], value, "{properties:#}");
    }
    say("the node is there");

    // The first consumer chooses a format; what does not fill it is in the middle.
    {
        let consumer = Consumer::start(id, VideoFormat::NV12, (640, 480));
        let frame = consumer.read_until("the card in the middle", |frame| {
            shows_luma_in_the_middle(&frame.bytes[..640 * 480], 640, 480, &looking)
        });
        assert_eq!((frame.size_px, frame.bytes.len()), ((640, 480), 640 * 480 * 3 / 2));
        say("a consumer reads NV12 640x480");
    }

    // Two at a time, one of which comes later and goes earlier.
    let consumer = Consumer::start(id, VideoFormat::YUY2, (SIZE_PX as u32, SIZE_PX as u32));
    consumer.read_until("the card", is_card);
    let raw = folder.0.join("frames.yuyv");
    let mut other = gstreamer(id, 20, &raw);
    let n_before = consumer.n_frames();
    assert_eq!(other.wait(BOUND), 0, "{}", other.said());
    let n_meanwhile = consumer.n_frames() - n_before;
    assert!(n_meanwhile >= 10, "the first consumer got {n_meanwhile} frames while the second one got 20");
    let bytes = std::fs::read(&raw).unwrap();
    assert_eq!(bytes.len(), 20 * SIZE_PX * SIZE_PX * 2);
    assert!(bytes.chunks_exact(SIZE_PX * SIZE_PX * 2).all(|frame| is_same(frame, &expected)));
    let n_before = consumer.n_frames();
    wait_until("more frames after the other has gone", BOUND, || (consumer.n_frames() > n_before + 30).then_some(()));
    say("two consumers of different makers read the same");

    // The rate is the source's, as long as nobody asks for less. An emulated clock would be needed for more.
    let (n_before, since) = (consumer.n_frames(), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let rate_hz = (consumer.n_frames() - n_before) as f64 / since.elapsed().as_secs_f64();
    assert!(rate_hz < 36.0, "{rate_hz:.1} frames a second from a source of 30");
    say(&format!("{rate_hz:.1} frames a second"));
    drop(consumer);

    drop(daemons);
    program.wait_for("PipeWire is lost", BOUND);
    std::thread::sleep(Duration::from_secs(1));
    program.assert_alive();
    say("the daemon has ended, the run has not");
    let _daemons = Daemons::start(&folder.0);
    program.wait_for("PipeWire is back", BOUND);
    let (id, _) = wait_until("the node after the restart", BOUND, node);
    let consumer = Consumer::start(id, VideoFormat::YUY2, (SIZE_PX as u32, SIZE_PX as u32));
    consumer.read_until("the card after the restart", is_card);
    say("a restarted daemon has the camera again");

    drop(consumer);
    assert_eq!(program.interrupt(), 130);
    wait_until("the node's end", BOUND, || node().is_none().then_some(()));
    say("the camera goes with the run");

    let mut plain = run_plain("plain.log");
    plain.wait_for("sink: PipeWire camera effigy, 1280x720 30/s", BOUND);
    let (id, _) = wait_until("the node of a plain run", BOUND, node);
    let consumer = Consumer::start(id, VideoFormat::YUY2, (1280, 720));
    // The placeholder's ground reaches from edge to edge: nowhere is the dark that is put beside a square.
    consumer.read_until("a frame without bars", |frame: &Frame| {
        frame.size_px == (1280, 720) && [0, 1278].iter().all(|x| frame.bytes[20 * 1280 * 2 + x * 2] > 50)
    });
    drop(consumer);
    assert_eq!(plain.interrupt(), 130);
    say("a plain run is 1280x720 from edge to edge");
}

#[test]
#[ignore = "needs the session of scripts/pipewire_test.sh"]
fn the_camera_is_read_back_with_its_age() {
    assert!(std::env::var_os("EFFIGY_PIPEWIRE").is_some(), "this is a part of scripts/pipewire_test.sh");
    let begin = Instant::now();
    let say = |what: &str| println!("{:5.1} s: {what}", begin.elapsed().as_secs_f64());
    let folder = Folder::new("devices-pipewire-age");
    let identity = enrol(&folder.0);
    let bench = |arguments: &str, log: &str| {
        let mut command = effigy();
        command.arg("bench").args(arguments.split(' '));
        if arguments.starts_with("e2e") {
            command.args(["--backend", "warp", "--size", "512", "--identity"]).arg(&identity);
        }
        Running::start_saying(&mut command, &folder.0.join(log))
    };

    let mut refused = bench("watch pipewire", "no-daemon.log");
    assert_eq!(refused.wait(BOUND), 1);
    assert!(refused.said().contains("PipeWire does not run for this user"), "{}", refused.said());
    let _daemons = Daemons::start(&folder.0);
    let mut refused = bench("watch pipewire:nobody", "no-camera.log");
    assert_eq!(refused.wait(BOUND), 1);
    assert!(refused.said().contains("no PipeWire camera \"nobody\"; there are:"), "{}", refused.said());
    say("without daemon or camera the error says so");

    // From the source through the camera to a consumer.
    let report = folder.0.join("e2e.json");
    let way = format!("e2e --way pipewire --secs 16 --warm-up 1 --report {}", report.display());
    let mut measured = bench(&way, "e2e.log");
    assert_eq!(measured.wait(3 * BOUND), 0, "{}", measured.said());
    println!("{}", measured.said());
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let way = &record["ways"][0];
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or_else(|| panic!("a figure lacks in {way:#}"));
    let (shown, arrived) = (number(&way["shown"]), number(&way["far"]["frames"]));
    assert!(arrived > 60.0, "{way:#}");
    assert_eq!(way["far"]["unread"], 0, "{way:#}");
    assert_eq!(way["far"]["backward"], 0, "{way:#}");
    // On a machine that is busy two pictures come at once, and the newer one wins.
    assert!(number(&way["lost_behind_sink"]) <= 0.15 * shown, "{way:#}");
    let (near_ms, far_ms) = (number(&way["near_ms"]["p50"]), number(&way["far"]["age_ms"]["p50"]));
    assert!(near_ms > 0.0 && far_ms > near_ms && far_ms < near_ms + 50.0, "{way:#}");
    assert!(number(&way["gap_ms"]["p50"]) > 0.0, "{way:#}");
    // This camera drives the graph and tells no time of its round: one leg.
    assert_eq!(way["legs"].as_array().map(Vec::len), Some(1), "{way:#}");
    say("the camera is read back");

    // Another program's camera, by name, at its own size; the watching ends when the camera goes.
    let mut program = {
        let mut command = effigy();
        command.args("run --stamp --backend warp --source pattern --sink pipewire@640x480 --identity".split(' '));
        Running::start(command.arg(&identity), &folder.0.join("run.log"))
    };
    wait_until("the node", BOUND, node);
    let mut watching = bench("watch pipewire:effigy", "watch.log");
    watching.wait_for("source: PipeWire camera effigy, 640x480", BOUND);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(program.interrupt(), 130);
    assert_eq!(watching.wait(BOUND), 0, "{}", watching.said());
    for part in ["age on arrival: p50", " is gone"] {
        assert!(watching.said().contains(part), "{part} is not in:\n{}", watching.said());
    }
    say("a camera is watched until it goes");
}

#[test]
#[ignore = "needs the session of scripts/pipewire_test.sh"]
fn a_camera_begins_and_ends_while_the_run_goes_on() {
    assert!(std::env::var_os("EFFIGY_PIPEWIRE").is_some(), "this is a part of scripts/pipewire_test.sh");
    let folder = Folder::new("devices-pipewire-switched");
    let identity = enrol(&folder.0);
    let daemons = Daemons::start(&folder.0);
    let mut command = effigy();
    command.args("run --no-settings --backend warp --size 512 --sink http --osc 0 --source".split(' '));
    command.arg(faceless(&folder.0)).arg("--identity").arg(&identity);
    let mut program = Running::start(&mut command, &folder.0.join("program.log"));
    let looking = yuyv(&card(CardReason::LookingForFace, true, program.run_id(BOUND)));
    let said = program.said();
    let steer: SocketAddr =
        said.split("OSC: listening at ").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ask = |on: i32| {
        let message = OscMessage { addr: "/effigy/pipewire".to_owned(), args: vec![OscType::Int(on)] };
        socket.send_to(&rosc::encoder::encode(&OscPacket::Message(message)).unwrap(), steer).unwrap();
    };
    assert!(node().is_none(), "there is a camera that nobody asked for");
    for _ in 0..2 {
        ask(1);
        let (id, _) = wait_until("the node", BOUND, node);
        let consumer = Consumer::start(id, VideoFormat::YUY2, (SIZE_PX as u32, SIZE_PX as u32));
        consumer.read_until("the card", |frame| is_same(&frame.bytes, &looking));
        drop(consumer);
        ask(0);
        wait_until("the node's end", BOUND, || node().is_none().then_some(()));
        program.assert_alive();
    }
    // Where there is no PipeWire it is told, and the run goes on.
    drop(daemons);
    ask(1);
    program.wait_for("no camera for other programs: ", BOUND);
    program.assert_alive();
    assert_eq!(program.interrupt(), 130);
}
