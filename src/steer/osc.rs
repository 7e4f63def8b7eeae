//! Steering by Open Sound Control: control pads, TouchOSC, scripts.
//!
//! A thread of its own takes datagrams, a bounded number a second, and hands changes on without waiting for them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rosc::{OscMessage, OscPacket, OscType};

use super::{CONTROLS, Takes, Value};
use crate::control::Control;
use crate::datagram::osc_packet;
use crate::error::{Error, ErrorKind, OrError as _, Result};

/// Where it listens unless told otherwise.
const DEFAULT_PORT: u16 = 9010;
/// The longest datagram that is looked at, in bytes: a fader sends 30, nested bundles of this size are harmless.
const MAX_BYTES: usize = 2048;
/// Messages in one datagram that are looked at.
const MAX_MESSAGES: usize = 64;
/// Changes that are taken a second, and at once: ten faders that are moved together.
const CHANGES_HZ: f64 = 400.0;
const BURST: f64 = 100.0;
/// How long the thread sleeps when more comes than it takes; the system drops the rest.
const CALM_DOWN: Duration = Duration::from_millis(20);
/// How soon it notices that the run has ended.
const MAX_WAIT: Duration = Duration::from_millis(100);
/// Refusals are told at most so often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(5);

/// Where to listen: a port, an address, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OscSpec(pub SocketAddr);

impl Default for OscSpec {
    fn default() -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT))
    }
}

impl FromStr for OscSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Self(default) = Self::default();
        let numeric = text.replacen("localhost", "127.0.0.1", 1);
        let whole = numeric.parse::<SocketAddr>().ok();
        let port = || numeric.parse().ok().map(|port| SocketAddr::new(default.ip(), port));
        let address = || numeric.parse().ok().map(|ip| SocketAddr::new(ip, default.port()));
        whole.or_else(port).or_else(address).map(Self).ok_or_else(|| {
            let message = format!("no address {text:?}; --osc takes a port (9010), an address (127.0.0.1) or both");
            Error::new(ErrorKind::Config, message)
        })
    }
}

impl fmt::Display for OscSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A running listener; it ends when this is dropped.
pub struct OscServer {
    address: SocketAddr,
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl OscServer {
    /// Listens and steers.
    ///
    /// # Errors
    /// [`ErrorKind::DeviceBusy`] when the port cannot be had.
    pub fn open(spec: OscSpec, control: Sender<Control>) -> Result<Self> {
        let socket = UdpSocket::bind(spec.0).or_error(ErrorKind::DeviceBusy, || {
            format!("cannot listen for OSC at {spec}; give another port, such as --osc {}", DEFAULT_PORT + 1)
        })?;
        let about = || "cannot listen for OSC".to_owned();
        socket.set_read_timeout(Some(MAX_WAIT)).or_error(ErrorKind::Io, about)?;
        let address = socket.local_addr().or_error(ErrorKind::Io, about)?;
        let is_ending = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&is_ending);
        let thread = std::thread::Builder::new()
            .name("osc".to_owned())
            .spawn(move || listen(&socket, &control, &ending))
            .or_error(ErrorKind::Internal, about)?;
        Ok(Self { address, is_ending, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for OscServer {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Relaxed);
        // A thread that panicked has told its own error.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn listen(socket: &UdpSocket, control: &Sender<Control>, is_ending: &AtomicBool) {
    let mut buffer = [0; MAX_BYTES + 1];
    let mut budget = Budget::new(Instant::now());
    let mut complained: Option<Instant> = None;
    while !is_ending.load(Ordering::Relaxed) {
        // Also wakes for errors of earlier answers, which are nobody's business here.
        let Ok((n_bytes, _)) = socket.recv_from(&mut buffer) else { continue };
        let outcome = take(&buffer[..n_bytes], &mut budget, control, Instant::now());
        if let Err(why) = outcome
            && complained.is_none_or(|at| at.elapsed() > COMPLAIN_EVERY)
        {
            complained = Some(Instant::now());
            log::warn!("OSC: {why}");
        }
        if budget.is_spent() {
            std::thread::sleep(CALM_DOWN);
        }
    }
}

/// Carries a datagram out; the error is that of its first message that is wrong.
fn take(
    datagram: &[u8],
    budget: &mut Budget,
    control: &Sender<Control>,
    now: Instant,
) -> std::result::Result<(), String> {
    if datagram.len() > MAX_BYTES {
        return Err(format!("a datagram has at most {MAX_BYTES} bytes"));
    }
    let mut waiting = vec![osc_packet(datagram)?];
    let (mut n_messages, mut outcome) = (0, Ok(()));
    while let Some(packet) = waiting.pop() {
        match packet {
            // Time tags are for instruments: what is asked for holds now.
            OscPacket::Bundle(bundle) => waiting.extend(bundle.content.into_iter().rev()),
            OscPacket::Message(message) => {
                n_messages += 1;
                if n_messages > MAX_MESSAGES {
                    return Err(format!("a datagram has at most {MAX_MESSAGES} messages"));
                }
                if !budget.take(now) {
                    return Err("more comes than is taken; some changes are lost".to_owned());
                }
                match understand(&message) {
                    // A full channel means that the pipeline is busy: the change is lost, as a key's is.
                    Ok(Some(change)) => drop(control.try_send(change)),
                    Ok(None) => {}
                    Err(why) => outcome = outcome.and(Err(why)),
                }
            }
        }
    }
    outcome
}

/// What a message asks for; `None` for a button that was let go.
fn understand(message: &OscMessage) -> std::result::Result<Option<Control>, String> {
    let shown: String = message.addr.chars().take(64).collect();
    let entry = CONTROLS
        .iter()
        .find(|entry| entry.osc == message.addr)
        .ok_or_else(|| format!("no control {shown:?}; README.md lists the addresses"))?;
    let number = message.args.first().and_then(number_of);
    let about = |what: &str| format!("{shown} takes {what}");
    let value = match (entry.takes, number, message.args.first()) {
        (Takes::Nothing, None, None) => Value::Nothing,
        (Takes::Nothing, Some(number), _) if number > 0.5 => Value::Nothing,
        (Takes::Nothing, Some(_), _) => return Ok(None),
        (Takes::Nothing, ..) => return Err(about("nothing, or 1 when a button is pressed")),
        (Takes::Switch, Some(number), _) if !number.is_nan() => Value::Switch(number > 0.5),
        (Takes::Switch, ..) => return Err(about("1 or 0")),
        (Takes::Number(..), Some(number), _) => Value::Number(number),
        (Takes::Number(least, most), ..) => return Err(about(&format!("a number from {least} to {most}"))),
        // Counted from 1, as the keys are.
        (Takes::Place, Some(number), _) if (1.0..1000.0).contains(&number) => Value::Place(number as usize - 1),
        (Takes::Place, ..) => return Err(about("an identity's number, from 1")),
        (Takes::Background, _, Some(OscType::String(text))) => Value::Text(text),
        (Takes::Background, ..) => return Err(about("own, blur, none or #RRGGBB")),
        (Takes::Word(_), _, Some(OscType::String(text))) => Value::Text(text),
        (Takes::Word(words), ..) => return Err(about(&super::one_of(words))),
        (Takes::Source | Takes::CameraFormat, _, Some(OscType::String(text))) => Value::Text(text),
        (Takes::Source, ..) => return Err(about("camera, camera:N, camera:NAME or pattern")),
        (Takes::CameraFormat, ..) => return Err(about("auto, or such as 1280x720 MJPEG 30/s")),
        (Takes::Pair(least, most), Some(right), _) => match message.args.get(1).and_then(number_of) {
            Some(down) => Value::Pair(right, down),
            None => return Err(about(&format!("two numbers from {least} to {most}"))),
        },
        (Takes::Pair(least, most), ..) => return Err(about(&format!("two numbers from {least} to {most}"))),
    };
    entry.control(value).map(Some)
}

fn number_of(arg: &OscType) -> Option<f32> {
    match arg {
        OscType::Int(number) => Some(*number as f32),
        OscType::Long(number) => Some(*number as f32),
        OscType::Float(number) => Some(*number),
        OscType::Double(number) => Some(*number as f32),
        OscType::Bool(is) => Some(f32::from(u8::from(*is))),
        _ => None,
    }
}

/// How many changes may still be taken.
struct Budget {
    left: f64,
    at: Instant,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self { left: BURST, at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let elapsed_secs = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + elapsed_secs * CHANGES_HZ).min(BURST);
        self.at = now;
        let is_left = self.left >= 1.0;
        self.left -= f64::from(u8::from(is_left));
        is_left
    }

    fn is_spent(&self) -> bool {
        self.left < 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;
    use rosc::{OscBundle, OscTime};

    fn message(address: &str, args: Vec<OscType>) -> OscPacket {
        OscPacket::Message(OscMessage { addr: address.to_owned(), args })
    }

    fn send(packet: &OscPacket) -> (std::result::Result<(), String>, Vec<String>) {
        let (tx, rx) = bounded(64);
        let now = Instant::now();
        let bytes = rosc::encoder::encode(packet).unwrap();
        let outcome = take(&bytes, &mut Budget::new(now), &tx, now);
        (outcome, rx.try_iter().map(|control| format!("{control:?}")).collect())
    }

    #[test]
    fn every_address_steers_with_the_types_that_pads_send() {
        let text = |text: &str| OscType::String(text.to_owned());
        let table = [
            ("/effigy/identity", OscType::Int(2), "Identity(1)"),
            ("/effigy/identity", OscType::Float(1.0), "Identity(0)"),
            ("/effigy/card", OscType::Bool(true), "Card(true)"),
            ("/effigy/card", OscType::Float(0.0), "Card(false)"),
            ("/effigy/card/toggle", OscType::Float(1.0), "ToggleCard"),
            ("/effigy/calibrate", OscType::Int(1), "Calibrate"),
            ("/effigy/mirror", OscType::Int(1), "Mirror(true)"),
            ("/effigy/background", text("blur"), "Background(Blur)"),
            ("/effigy/background", text("#010203"), "Background(Colour([1, 2, 3]))"),
            ("/effigy/strength", OscType::Double(1.5), "Strength(Whole, 1.5)"),
            ("/effigy/strength/mouth", OscType::Float(0.5), "Strength(Mouth, 0.5)"),
            ("/effigy/keep-expression", OscType::Float(0.25), "KeepExpression(0.25)"),
            ("/effigy/eye-contact", OscType::Float(0.75), "EyeContact(0.75)"),
            ("/effigy/predict", OscType::Int(60), "Predict(60.0)"),
            ("/effigy/framing", text("fill"), "Framing(Fill)"),
            ("/effigy/zoom", OscType::Float(1.5), "Zoom(1.5)"),
            ("/effigy/badge/place", text("top-left"), "BadgePlace(TopLeft)"),
            ("/effigy/badge/language", text("ja"), "BadgeLanguage(Ja)"),
            ("/effigy/source", text("camera:2"), "Source(Camera(Index(2)))"),
            ("/effigy/camera-format", text("auto"), "CameraFormat(None)"),
            ("/effigy/vcam", OscType::Int(1), "Camera(Vcam, true)"),
            ("/effigy/pipewire", OscType::Bool(false), "Camera(Pipewire, false)"),
        ];
        for (address, value, expected) in table {
            assert_eq!(send(&message(address, vec![value])), (Ok(()), vec![expected.to_owned()]), "{address}");
        }
        let offset = vec![OscType::Float(0.25), OscType::Float(-0.25)];
        assert_eq!(send(&message("/effigy/offset", offset)), (Ok(()), vec!["Offset(0.25, -0.25)".to_owned()]));
        assert_eq!(send(&message("/effigy/mirror/toggle", vec![])), (Ok(()), vec!["ToggleMirror".to_owned()]));
        assert_eq!(send(&message("/effigy/calibrate", vec![OscType::Float(0.0)])), (Ok(()), vec![]), "a button let go");
    }

    #[test]
    fn what_is_wrong_is_said_and_does_nothing() {
        let text = OscType::String("x".to_owned());
        let cases = [
            ("/effigy/nothing", OscType::Int(1), "no control \"/effigy/nothing\""),
            ("/effigy/source", OscType::Int(1), "takes camera, camera:N, camera:NAME or pattern"),
            ("/effigy/source", text.clone(), "what drives is camera, camera:N, camera:NAME or pattern"),
            ("/effigy/camera-format", text.clone(), "auto, or such as 1280x720 MJPEG 30/s"),
            ("/effigy/strength", OscType::Float(2.5), "goes from 0 to 2"),
            ("/effigy/strength", OscType::Float(f32::NAN), "goes from 0 to 2"),
            ("/effigy/strength", text.clone(), "takes a number from 0 to 2"),
            ("/effigy/identity", OscType::Int(0), "number, from 1"),
            ("/effigy/identity", OscType::Float(f32::NAN), "number, from 1"),
            ("/effigy/background", text, "own, blur, none"),
            ("/effigy/background", OscType::String("/etc/passwd".to_owned()), "own, blur, none"),
            ("/effigy/mirror", OscType::Nil, "1 or 0"),
            ("/effigy/offset", OscType::Float(0.1), "two numbers"),
            ("/effigy/framing", OscType::String("wide".to_owned()), "head, photo or fill"),
            ("/effigy/badge/place", OscType::String("middle".to_owned()), "top-right, bottom-left or bottom-right"),
            ("/effigy/badge/language", OscType::Int(1), "en, de, es, zh, ja or ru"),
        ];
        for (address, value, says) in cases {
            let (outcome, changes) = send(&message(address, vec![value]));
            assert!(outcome.unwrap_err().contains(says), "{address}");
            assert!(changes.is_empty());
        }
    }

    #[test]
    fn bundles_are_carried_out_in_order_and_bounded() {
        let bundle = |content| OscPacket::Bundle(OscBundle { timetag: OscTime { seconds: 0, fractional: 1 }, content });
        let number = |n| message("/effigy/identity", vec![OscType::Int(n)]);
        let (outcome, changes) = send(&bundle(vec![number(1), bundle(vec![number(2), number(3)]), number(4)]));
        assert_eq!((outcome, changes), (Ok(()), (0..4).map(|n| format!("Identity({n})")).collect()));
        let (outcome, changes) = send(&bundle((0..70).map(|_| message("/effigy/calibrate", vec![])).collect()));
        assert!(outcome.is_err() && changes.len() <= MAX_MESSAGES);
    }

    #[test]
    fn noise_and_torn_messages_do_no_harm() {
        let (tx, rx) = bounded(4);
        let whole = rosc::encoder::encode(&message("/effigy/strength", vec![OscType::Float(1.0)])).unwrap();
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let now = Instant::now();
        for round in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..=round % 4 {
                let at = usize::from(noise()) % bytes.len();
                bytes[at] = noise();
            }
            bytes.truncate(1 + usize::from(noise()) % whole.len());
            let _ = take(&bytes, &mut Budget::new(now), &tx, now);
        }
        let nested: Vec<u8> = (0..100).flat_map(|_| *b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\x07\xd0").collect();
        let n_before = rx.len();
        let _ = take(&nested, &mut Budget::new(now), &tx, now);
        assert_eq!(rx.len(), n_before, "bundles without end hold nothing");
        let brackets = [&b"/effigy/strength\0\0\0\0,"[..], &[b'['; 1900], b"\0\0\0\0"].concat();
        let _ = take(&brackets, &mut Budget::new(now), &tx, now);
        assert!(take(&[b'/'; MAX_BYTES + 1], &mut Budget::new(now), &tx, now).unwrap_err().contains("at most"));
        assert!(rx.len() <= 4);
    }

    #[test]
    fn a_flood_is_thinned_out() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let taken = (0..100_000).filter(|i| budget.take(start + Duration::from_micros(10 * i))).count();
        assert!((taken as f64) < BURST + CHANGES_HZ + 1.0, "{taken} in a second");
    }

    #[test]
    fn addresses_are_read_from_text() {
        let local = |port| OscSpec(([127, 0, 0, 1], port).into());
        for (text, spec) in [("9001", local(9001)), ("localhost:7000", local(7000)), ("127.0.0.1", local(9010))] {
            assert_eq!(text.parse::<OscSpec>().unwrap(), spec, "{text}");
        }
        assert!("here".parse::<OscSpec>().unwrap_err().to_string().contains("takes a port"));
    }
}
