//! The server as a client meets it: a real pipeline with scripted stages, real sockets, and what an attacker would send.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{BufReader, ErrorKind, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::common;
use crossbeam_channel::{Sender, bounded};
use effigy::capture::{self, Source};
use effigy::clock::{Clock, MonotonicClock};
use effigy::composite::{CompositeOptions, Compositor};
use effigy::drive::DriveOptions;
use effigy::face::Tracker;
use effigy::generate::warp::WarpGenerator;
use effigy::identity::Basis;
use effigy::pipeline::{Control, Stages, run};
use effigy::report::{LiveFigures, Report};
use effigy::sink::{About, HttpOptions, HttpSink, MessageLog, NullSink};
use effigy::{FaceObservation, RawFrame, Result};
use image::{ImageFormat, RgbImage};
use serde_json::Value;

const TOKEN: &str = "a-token-that-the-tests-know";
const PATIENCE: Duration = Duration::from_secs(20);

/// A camera with a telling colour, a hundred frames a second, until the run ends.
struct Camera;

impl Source for Camera {
    fn name(&self) -> &str {
        "camera"
    }
    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<capture::Read> {
        std::thread::sleep(Duration::from_millis(10));
        frame.set_picture(&common::camera_picture());
        frame.set_captured(clock.now());
        Ok(capture::Read::Fresh)
    }
    fn frame_rate_hz(&self) -> Option<f64> {
        None
    }
}

struct Eyes;

impl Tracker for Eyes {
    fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool> {
        *face = common::observation(frame.captured());
        Ok(true)
    }
}

/// A run with a server, ended when it is dropped.
struct Show {
    address: SocketAddr,
    control: Sender<Control>,
    messages: Arc<MessageLog>,
    pipeline: Option<JoinHandle<Result<Report>>>,
}

impl Show {
    fn start() -> Self {
        Self::start_with(true)
    }

    fn start_with(badge: bool) -> Self {
        let (control, control_rx) = bounded(64);
        let figures = Arc::new(LiveFigures::default());
        let messages = Arc::new(MessageLog::default());
        let identities = vec![common::identity_on(Basis::Synthetic), common::identity_on(Basis::Own)];
        let server = HttpSink::open(HttpOptions {
            address: effigy::sink::http::DEFAULT_ADDRESS,
            allow_remote: false,
            token: Some(TOKEN.to_owned()),
            control: control.clone(),
            figures: Arc::clone(&figures),
            identities: identities.clone(),
            about: About { source: "camera".to_owned(), size_px: 512, ..About::default() },
            messages: Arc::clone(&messages),
            consent_by: "tests".to_owned(),
            library: None,
        })
        .unwrap();
        let address = server.address();
        let pipeline = std::thread::Builder::new().name("pipeline".to_owned()).spawn(move || {
            let stages = Stages {
                first: 0,
                motion: Vec::new(),
                source: Box::new(Camera),
                tracker: Box::new(Eyes),
                drive: DriveOptions::default(),
                generator: Box::new(WarpGenerator::new(512)),
                compositor: Compositor::new(CompositeOptions { badge, ..CompositeOptions::default() })?,
                identities,
                sinks: vec![Box::new(NullSink::default()), Box::new(server)],
                foreground: None,
                beside: None,
                every_frame: false,
                figures,
            };
            run(stages, &MonotonicClock::new(), control_rx)
        });
        let show = Self { address, control, messages, pipeline: Some(pipeline.unwrap()) };
        until("the first frame is through", || show.get("/frame.jpg").status == 200);
        show
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request as it is; the answer, when the server closes or has said all.
    fn raw(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses by the head alone may close before the body is through.
        let _ = stream.write_all(body);
        Answer::read(&mut BufReader::new(stream)).unwrap()
    }

    fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}{length}\r\n", self.address);
        self.raw(&head, body)
    }

    fn get(&self, path: &str) -> Answer {
        let mark = if path.contains('?') { '&' } else { '?' };
        self.request("GET", &format!("{path}{mark}token={TOKEN}"), "", b"")
    }

    fn post(&self, path: &str, kind: &str, body: &[u8]) -> Answer {
        let mark = if path.contains('?') { '&' } else { '?' };
        self.request("POST", &format!("{path}{mark}token={TOKEN}"), &format!("Content-Type: {kind}\r\n"), body)
    }

    /// Opens the stream. HTTP/1.0, so that its bytes come as they are.
    fn stream(&self) -> BufReader<TcpStream> {
        let mut stream = self.connect();
        write!(stream, "GET /stream?token={TOKEN} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address).unwrap();
        let mut stream = BufReader::with_capacity(1 << 20, stream);
        let head = read_head(&mut stream).unwrap();
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        assert!(head.contains("multipart/x-mixed-replace; boundary=frame"), "{head}");
        assert_eq!(read_line(&mut stream), "--frame");
        stream
    }

    fn picture(&self) -> RgbImage {
        let answer = self.get("/frame.png");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/png")));
        image::load_from_memory_with_format(&answer.body, ImageFormat::Png).unwrap().into_rgb8()
    }

    fn quit(&mut self) -> Option<Result<Report>> {
        let _ = self.control.send(Control::Quit);
        self.pipeline.take().map(|pipeline| pipeline.join().unwrap())
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        let _ = self.quit();
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn read(stream: &mut impl BufReadAll) -> std::io::Result<Self> {
        let head = read_head(stream)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let mut answer = Self { status, head, body: Vec::new() };
        match answer.header("content-length").map(|length| length.parse().unwrap()) {
            Some(length) => {
                answer.body.resize(length, 0);
                stream.read_exact(&mut answer.body)?;
            }
            None => drop(stream.read_to_end(&mut answer.body)),
        }
        Ok(answer)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

trait BufReadAll: std::io::BufRead {}
impl<T: std::io::BufRead> BufReadAll for T {}

fn read_line(stream: &mut impl BufReadAll) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn read_head(stream: &mut impl BufReadAll) -> std::io::Result<String> {
    let mut head = String::new();
    while stream.read_line(&mut head)? > 2 {}
    Ok(head)
}

/// The next part of a stream: its JPEG, with the boundary behind it.
fn read_part(stream: &mut impl BufReadAll) -> Option<Vec<u8>> {
    let head = read_head(stream).ok().filter(|head| !head.is_empty())?;
    assert!(head.starts_with("Content-Type: image/jpeg\r\nContent-Length: "), "{head}");
    let length = head.lines().nth(1)?.rsplit(' ').next()?.parse().ok()?;
    let mut jpeg = vec![0; length];
    stream.read_exact(&mut jpeg).ok()?;
    let mut boundary = [0; 11];
    stream.read_exact(&mut boundary).ok()?;
    assert_eq!(&boundary, b"\r\n--frame\r\n");
    Some(jpeg)
}

fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    let sum: u64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.as_raw().len() as f64
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it did not happen: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_stream_is_framed_and_ends_with_the_run() {
    let mut show = Show::start();
    let mut stream = show.stream();
    for _ in 0..10 {
        let jpeg = read_part(&mut stream).unwrap();
        let picture = image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).unwrap();
        assert_eq!((picture.width(), picture.height()), (512, 512));
    }
    show.quit().unwrap().unwrap();
    let mut n_left = 0;
    while read_part(&mut stream).is_some() {
        n_left += 1;
    }
    assert!(n_left < 100, "the stream goes on without a pipeline");
    assert_eq!(TcpStream::connect(show.address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_client_that_is_slow_slows_nobody_and_gets_the_newest() {
    let show = Show::start();
    let mut slow = show.stream();
    let mut fast = show.stream();
    read_part(&mut slow).unwrap();
    let n_fast = 150;
    for _ in 0..n_fast {
        read_part(&mut fast).unwrap();
    }
    // What waited for it on the way are buffers of the system and of the server, a small part of what was made.
    let (mut n_seen, since) = (0, Instant::now());
    while since.elapsed() < Duration::from_millis(300) {
        read_part(&mut slow).unwrap();
        n_seen += 1;
    }
    let n_made_since = since.elapsed().as_millis() / 10 + 1;
    assert!(n_seen < n_fast / 2 + n_made_since, "{n_seen} frames were kept for a client that was slow");
}

#[test]
fn single_frames_are_fresh_and_the_cameras_colour_is_in_none() {
    let show = Show::start();
    let jpeg = show.get("/frame.jpg");
    assert_eq!(jpeg.header("content-type"), Some("image/jpeg"));
    let jpeg = image::load_from_memory_with_format(&jpeg.body, ImageFormat::Jpeg).unwrap().into_rgb8();
    let png = show.picture();
    assert!(difference(&jpeg, &png) < 4.0);
    for picture in [&jpeg, &png] {
        assert!(picture.pixels().all(|p| !(p.0[0] > 180 && p.0[1] < 60 && p.0[2] > 180)), "a camera's pixel left");
    }
    // Transparent where that is asked for.
    assert_eq!(show.post("/command", "application/json", br#"{"do":"background","to":"none"}"#).status, 204);
    until("the background is gone", || {
        let png = image::load_from_memory(&show.get("/frame.png").body).unwrap().into_rgba8();
        png.get_pixel(2, 2).0[3] == 0
    });
}

#[test]
fn without_token_or_under_another_name_nothing_is_answered() {
    let show = Show::start();
    let host = show.address;
    let ask = |method: &str, path: &str, headers: &str| {
        show.raw(&format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n"), b"").status
    };
    let own = format!("Host: {host}\r\n");
    let token = format!("?token={TOKEN}");
    let paths =
        ["/", "/app.js", "/style.css", "/stream", "/frame.jpg", "/frame.png", "/thumbnail/0", "/socket", "/view"];
    for path in paths.into_iter().chain(["/identity/0", "/no-such-thing"]) {
        assert_eq!(ask("GET", path, &own), 401, "{path}");
        assert_eq!(ask("GET", &format!("{path}{token}"), "Host: evil.example\r\n"), 421, "{path}");
        assert_eq!(
            ask("GET", &format!("{path}{token}"), &format!("{own}Origin: http://evil.example\r\n")),
            403,
            "{path}"
        );
    }
    for path in ["/command", "/enroll", "/background"] {
        assert_eq!(ask("POST", path, &format!("{own}Content-Length: 0\r\n")), 401, "{path}");
    }
    let page = show.get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'; script-src 'self'"));
    let cookie = page.header("set-cookie").unwrap().to_owned();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict") && !cookie.contains(TOKEN), "{cookie}");
    let by_cookie = format!("{own}Cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(ask("GET", "/frame.jpg", &by_cookie), 200);
    assert_eq!(ask("POST", "/command", &format!("{by_cookie}Content-Length: 0\r\n")), 403, "no origin");
    assert_eq!(ask("POST", "/command", &format!("{by_cookie}Origin: http://{host}\r\nContent-Length: 0\r\n")), 400);
    assert_eq!(show.get("/..%2f..%2fetc%2fpasswd").status, 404);
    assert_eq!(show.get("/thumbnail/../../etc/passwd").status, 404);
    assert_eq!(show.get("/identity/0").status, 404, "only what was enrolled on a page is given out");
    for (kind, body, status) in [
        ("application/json", &b"{\"passphrase\":\"four green words\"}"[..], 404),
        ("text/plain", b"{\"passphrase\":\"four green words\"}", 400),
        ("application/json", b"{\"passphrase\":\"\"}", 400),
        ("application/json", b"four green words", 400),
    ] {
        assert_eq!(show.post("/identity/0", kind, body).status, status, "{kind} {}", String::from_utf8_lossy(body));
    }
}

#[test]
fn panic_hides_the_portrait_however_often_it_is_asked() {
    let show = Show::start();
    let lively = show.picture();
    let command = |text: &str| show.post("/command", "application/json", text.as_bytes()).status;
    for _ in 0..2 {
        assert_eq!(command(r#"{"do":"card","on":true}"#), 204);
        until("the card is up", || difference(&lively, &show.picture()) > 20.0);
    }
    assert_eq!(command(r#"{"do":"card","on":false}"#), 204);
    until("the portrait is back", || difference(&lively, &show.picture()) < 20.0);
    assert_eq!(command(r#"{"do":"nothing"}"#), 400);
    assert_eq!(command(&"x".repeat(10_000)), 400);
}

#[test]
fn uploads_are_refused_by_kind_size_and_pixels_and_a_good_one_is_enrolled() {
    let show = Show::start();
    let enroll = "/enroll?name=Ann&basis=synthetic";
    let png = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/portrait_a.png")).unwrap();
    assert_eq!(show.post(enroll, "text/plain", &png).status, 415);
    assert_eq!(show.post(enroll, "multipart/form-data; boundary=x", &png).status, 415);
    assert_eq!(show.post("/enroll?name=Ann", "image/png", &png).status, 400, "no basis");
    assert_eq!(show.post("/enroll?name=Ann&basis=whatever", "image/png", &png).status, 400);
    assert_eq!(show.post(enroll, "image/png", b"hello").status, 422);
    assert_eq!(show.post(enroll, "image/png", &png[..png.len() / 2]).status, 422);
    let mut bomb = png.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    assert_eq!(show.post(enroll, "image/png", &bomb).status, 422);
    let head = format!("POST {enroll}&token={TOKEN} HTTP/1.1\r\nHost: {}\r\nContent-Type: image/png\r\n", show.address);
    assert_eq!(show.raw(&format!("{head}Content-Length: 999999999\r\n\r\n"), b"").status, 413);
    // Without a length, and more than is taken.
    let mut stream = show.connect();
    stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let chunk = [format!("{:x}\r\n", 1 << 20).as_bytes(), &vec![7; 1 << 20], b"\r\n"].concat();
    let n_sent = (0..64).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(n_sent < 64, "64 MB were taken");

    until("the last upload is over", || {
        let answer = show.post(enroll, "image/png", &png);
        assert!(matches!(answer.status, 201 | 429), "{}", answer.text());
        answer.status == 201 && answer.text() == r#"{"index":2,"remarks":[]}"#
    });
    // Who wants to be asked about a photo that may look bad is asked, and nothing is taken.
    let mut dark = image::load_from_memory(&png).unwrap().into_rgb8();
    dark.iter_mut().for_each(|value| *value /= 4);
    let mut file = std::io::Cursor::new(Vec::new());
    dark.write_to(&mut file, image::ImageFormat::Png).unwrap();
    let answer = show.post(&format!("{enroll}&ask=true"), "image/png", file.get_ref());
    assert_eq!(answer.status, 200);
    // In any order: which one it has depends on the features of crates below.
    let told: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!((told.as_object().unwrap().len(), told["ask"].as_array().unwrap().len()), (1, 1), "{told}");
    let asked = &told["ask"][0];
    assert!(asked["kind"] == "dark" && asked["warning"] == true, "{told}");
    assert!(asked["text"].as_str().unwrap().starts_with("the face is dark;"), "{told}");
    assert_eq!(show.get("/thumbnail/3").status, 404);
    assert_eq!(show.get("/thumbnail/2").header("content-type"), Some("image/jpeg"));
    let before = show.picture();
    assert_eq!(show.post("/command", "application/json", br#"{"do":"identity","index":2}"#).status, 204);
    until("the new identity is shown", || difference(&before, &show.picture()) > 15.0);
}

#[test]
fn who_goes_away_while_a_photo_is_enrolled_finds_it_enrolled() {
    let show = Show::start();
    let png = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/portrait_a.png")).unwrap();
    let mut stream = show.connect();
    let head = format!(
        "POST /enroll?name=Ann&basis=synthetic&token={TOKEN} HTTP/1.1\r\nHost: {}\r\nContent-Type: image/png\r\n\
         Content-Length: {}\r\n\r\n",
        show.address,
        png.len()
    );
    stream.write_all(&[head.as_bytes(), &png].concat()).unwrap();
    let enroll = "/enroll?name=Ben&basis=synthetic";
    until("it is worked on", || show.post(enroll, "image/png", b"hello").status == 429);
    drop(stream);
    // Nothing else begins beside it, and it comes to its end.
    assert_eq!(show.post(enroll, "image/png", b"hello").status, 429);
    until("it is enrolled", || show.get("/thumbnail/2").status == 200);
    until("the next can be", || show.post(enroll, "image/png", b"hello").status == 422);
    assert_eq!(show.get("/thumbnail/3").status, 404);
}

#[test]
fn without_the_mark_no_other_person_is_enrolled() {
    let show = Show::start_with(false);
    let png = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/portrait_b.png")).unwrap();
    let answer = show.post("/enroll?name=Ann&basis=subject&by=Ann", "image/png", &png);
    assert!(answer.status == 400 && answer.text().contains("without the visible mark"), "{}", answer.text());
}

/// A page's socket, as far as tests need it.
struct Socket(BufReader<TcpStream>);

impl Socket {
    fn open(show: &Show) -> Self {
        let mut stream = show.connect();
        let key = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        write!(stream, "GET /socket?token={TOKEN} HTTP/1.1\r\nHost: {}\r\n{key}\r\n\r\n", show.address).unwrap();
        let mut stream = BufReader::new(stream);
        let head = read_head(&mut stream).unwrap();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self(stream)
    }

    /// Sends a frame of this kind (1 is text), masked as clients must.
    fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            n @ 0..126 => frame.push(0x80 | n as u8),
            n => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(n as u16).to_be_bytes());
            }
        }
        let mask = [0x12, 0x34, 0x56, 0x78];
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]));
        let _ = self.0.get_mut().write_all(&frame);
    }

    /// The next frame: its kind and what is in it. `None` when the server has closed.
    fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).ok()?;
        let length = match head[1] {
            126 => {
                let mut long = [0; 2];
                self.0.read_exact(&mut long).ok()?;
                usize::from(u16::from_be_bytes(long))
            }
            n => usize::from(n),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).ok()?;
        Some((head[0] & 15, payload))
    }

    /// Waits for a message of a kind for which something holds.
    fn wait(&mut self, kind: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let (opcode, payload) = self.receive().expect("the server has closed");
            if opcode == 1 {
                let message: Value = serde_json::from_slice(&payload).unwrap();
                if message["type"] == kind && holds(&message) {
                    return message;
                }
            }
        }
        panic!("no such message: {kind}");
    }
}

#[test]
fn pages_are_told_everything_and_stay_in_step() {
    let show = Show::start();
    show.messages.push(true, "the camera is slow");
    let (mut one, mut other) = (Socket::open(&show), Socket::open(&show));
    let hello = one.wait("hello", |_| true);
    assert_eq!((hello["source"].as_str(), hello["size_px"].as_u64()), (Some("camera"), Some(512)));
    let state = one.wait("state", |_| true);
    assert_eq!(state["identities"].as_array().unwrap().len(), 2);
    let message = one.wait("message", |_| true);
    assert_eq!((message["warning"].as_bool(), message["text"].as_str()), (Some(true), Some("the camera is slow")));
    one.wait("figures", |figures| {
        assert!(figures["audio_delay_ms"].is_number(), "{figures}");
        figures["stages_ms"].as_array().is_some_and(|stages| stages.len() == 5)
    });

    // Lines, with as many points as hello says.
    let n_points: u64 = hello["lines"].as_array().unwrap().iter().map(|line| line[0].as_u64().unwrap()).sum();
    let face = std::iter::from_fn(|| one.receive()).find(|(opcode, _)| *opcode == 2).unwrap().1;
    assert_eq!((face[0], face.len() as u64), (1, 3 + 4 * n_points));

    one.send(1, br#"{"do":"identity","index":1}"#);
    other.wait("state", |state| state["identity"] == 1);
    other.send(1, br#"{"do":"mirror","on":true}"#);
    one.wait("state", |state| state["mirror"] == true && state["identity"] == 1);
    one.send(1, br#"{"do":"strength","value":0.5}"#);
    other.wait("state", |state| state["strengths"]["whole"] == 0.5);
    one.send(1, br#"{"do":"card","on":true}"#);
    other.wait("state", |state| state["panic"] == true && state["card"] == "Paused");
    // The window's keys show on the page as well.
    show.control.send(Control::ToggleCard).unwrap();
    one.wait("state", |state| state["panic"] == false);
    one.send(1, b"{}");
    one.wait("refused", |refused| refused["why"].as_str().is_some_and(|why| why.starts_with("no such command")));
    // Too large, and not text: the page is let go, the other stays.
    one.send(1, &[b'x'; 5000]);
    assert!((0..500).any(|_| one.receive().is_none()));
    other.send(1, br#"{"do":"calibrate"}"#);
    other.wait("figures", |_| true);
}

#[test]
fn thousands_of_damaged_requests_leave_the_server_as_it_was() {
    const N_REQUESTS: usize = 3000;
    let show = Show::start();
    let mut watcher = show.stream();
    let host = show.address;
    let whole = [
        format!("GET /frame.jpg?token={TOKEN} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        format!("POST /command?token={TOKEN} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 11\r\n\r\n{{\"do\":\"x\"}} "),
        format!(
            "GET /socket?token={TOKEN} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\u{1}\u{2}\u{3}"
        ),
        format!(
            "POST /enroll?name=a&basis=self&token={TOKEN} HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        ),
    ];
    let mut chance = 0x1234_5678_9abc_def1_u64;
    let mut next = |below: usize| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        (chance % below as u64) as usize
    };
    let mut n_answered = 0;
    for i in 0..N_REQUESTS {
        let mut bytes = whole[i % whole.len()].clone().into_bytes();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] = next(256) as u8,
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, b"\r\n:%\0 \xff"[next(7)]),
                _ => drop(bytes.drain(at..(at + next(20)).min(bytes.len() - 1).max(at))),
            }
        }
        let mut stream = show.connect();
        let _ = stream.write_all(&bytes);
        if i % 8 == 0 {
            let _ = stream.shutdown(std::net::Shutdown::Write);
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let mut answer = [0; 64];
            n_answered += usize::from(stream.read(&mut answer).is_ok_and(|n| n > 0));
        }
    }
    assert!(n_answered > N_REQUESTS / 40, "{n_answered} answers");
    // Who watched all the time still does, and the next request is answered.
    for _ in 0..20 {
        read_part(&mut watcher).unwrap();
    }
    until("there is a place again", || {
        let mut stream = show.connect();
        let head = format!("GET /frame.jpg?token={TOKEN} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).is_ok()
            && Answer::read(&mut BufReader::new(stream)).is_ok_and(|answer| answer.status == 200)
    });
}

#[test]
fn an_address_that_others_could_reach_must_be_allowed_and_a_busy_port_is_named() {
    let (control, _keep) = bounded(1);
    let options = HttpOptions {
        address: "0.0.0.0:0".parse().unwrap(),
        allow_remote: false,
        token: None,
        control,
        figures: Arc::default(),
        identities: Vec::new(),
        about: About::default(),
        messages: Arc::default(),
        consent_by: String::new(),
        library: None,
    };
    let error = HttpSink::open(options.clone()).err().unwrap();
    assert_eq!(error.kind(), effigy::ErrorKind::Config);
    assert!(error.to_string().contains("--allow-remote"), "{error}");
    let open = HttpSink::open(HttpOptions { allow_remote: true, ..options.clone() }).unwrap();
    assert!(open.url("/").starts_with("http://127.0.0.1:"), "{}", open.url("/"));
    let local =
        HttpSink::open(HttpOptions { address: effigy::sink::http::DEFAULT_ADDRESS, ..options.clone() }).unwrap();
    let error = HttpSink::open(HttpOptions { address: local.address(), ..options }).err().unwrap();
    assert_eq!(error.kind(), effigy::ErrorKind::DeviceBusy, "{error}");
}
