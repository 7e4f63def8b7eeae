//! `--backend remote:…` and peers that are none: silent, gone, babbling, of another model. Real servers: `scripts/remote_test.sh`.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use crate::common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use effigy::export::{self, Options, PortKind, Precision};
use effigy::frame::Rgba;
use effigy::generate::neural::{self, Elsewhere as _, Introduction};
use effigy::generate::weights::Weights;
use effigy::remote::{self, Remote};
use effigy::{ErrorKind, Result};
use serde_json::{Value, json};

const SIZE_PX: usize = 512;

/// What a peer does with a request.
enum Act {
    Say(Vec<u8>),
    /// Holds the line and says nothing.
    Hold,
    Close,
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).unwrap();
}

/// A peer that listens until the test's process ends.
fn peer(act: impl Fn(&str) -> Act + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let act = Arc::new(act);
    spawn("peer", move || {
        for stream in listener.incoming().map_while(std::result::Result::ok) {
            let act = Arc::clone(&act);
            spawn("peer's answer", move || {
                let _ = answer(stream, &*act);
            });
        }
    });
    port
}

/// Reads requests of HTTP 1.1 one after another.
fn answer(stream: TcpStream, act: &(impl Fn(&str) -> Act + ?Sized)) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        reader.read_exact(&mut vec![0; length.unwrap_or(0)]).ok()?;
        match act(head.split(' ').nth(1)?) {
            Act::Say(bytes) => stream.write_all(&bytes).ok()?,
            Act::Hold => std::thread::sleep(Duration::from_secs(3600)),
            Act::Close => return None,
        }
    }
}

fn http(status: &str, head: &str, body: &[u8]) -> Act {
    let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{head}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    Act::Say(bytes)
}

fn say_json(value: &Value) -> Act {
    http("200 OK", "", value.to_string().as_bytes())
}

fn picture_answer(picture: &[u8]) -> Act {
    let json = json!({ "outputs": [{ "name": "picture", "datatype": "UINT8", "shape": [1, SIZE_PX, SIZE_PX, 4] }] })
        .to_string();
    let body = [json.as_bytes(), picture].concat();
    http("200 OK", &format!("inference-header-content-length: {}\r\n", json.len()), &body)
}

/// What the general model's server says of it.
fn metadata(size_px: usize) -> Value {
    let options = Options { size_px, precision: Precision::F32, has_badge: false };
    let general = export::general(&Weights::built_in().unwrap(), &options).unwrap();
    let inputs: Vec<Value> = general
        .inputs
        .iter()
        .map(|port| {
            let shape: Vec<i64> = std::iter::once(-1).chain(port.dims.iter().map(|&extent| extent as i64)).collect();
            let datatype = if port.kind == PortKind::F32 { "FP32" } else { "UINT8" };
            json!({ "name": port.name, "datatype": datatype, "shape": shape })
        })
        .collect();
    json!({ "name": "effigy", "inputs": inputs, "outputs": [{ "name": "picture", "datatype": "UINT8", "shape": [-1, 512, 512, 4] }] })
}

/// Someone to show, with a picture that a peer can send back.
fn someone() -> Arc<Introduction> {
    let (tensors, mut frames) =
        neural::typical(&Weights::built_in().unwrap(), &common::identity(SIZE_PX), SIZE_PX).unwrap();
    let mut picture = Rgba::new(SIZE_PX, SIZE_PX);
    for (i, pixel) in picture.data_mut().chunks_exact_mut(4).enumerate() {
        pixel.copy_from_slice(&[(i % 251) as u8, (i / 512 % 256) as u8, 90, 255]);
    }
    Arc::new(Introduction { tensors, example: frames.swap_remove(0), picture })
}

fn ask(scheme: &str, port: u16) -> Remote {
    let options = remote::Options { substitute: "cpu".to_owned(), ..remote::Options::default() };
    Remote::open(&format!("{scheme}://127.0.0.1:{port}").parse().unwrap(), options).unwrap()
}

/// What is said of a peer whom everybody is asked to trust.
fn refusal(port: u16, whom: &Arc<Introduction>) -> Result<()> {
    ask("http", port).introduce(whom)
}

/// A server that answers everything, the pictures by `picture`.
fn server(described: Value, picture: impl Fn() -> Act + Send + Sync + 'static) -> u16 {
    peer(move |path| match path {
        "/v2" => say_json(&json!({ "name": "peer", "extensions": ["binary_tensor_data"] })),
        "/v2/models/effigy" => say_json(&described),
        _ => picture(),
    })
}

#[test]
fn peers_that_are_no_servers_are_not_waited_for_and_are_no_error() {
    let whom = someone();
    let garbage = || Act::Say((0..4000_u32).map(|i| ((i * 7919) >> 3) as u8).collect());
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = [peer(|_| Act::Close), peer(move |_| garbage()), gone];
    for port in refused {
        for scheme in ["http", "grpc"] {
            let mut remote = ask(scheme, port);
            remote.introduce(&whom).unwrap();
            let mut picture = Rgba::new(SIZE_PX, SIZE_PX);
            assert_eq!(remote.picture(&whom, &whom.example, &mut picture), None, "{scheme}");
            assert!(picture.data().iter().all(|&byte| byte == 0), "what is shown stays as it is");
        }
    }
    // One that takes the request and holds it: the wait is bounded, and the frame path does not wait at all.
    let mut remote = ask("http", peer(|_| Act::Hold));
    remote.introduce(&whom).unwrap();
    assert_eq!(remote.picture(&whom, &whom.example, &mut Rgba::new(SIZE_PX, SIZE_PX)), None);
}

#[test]
fn servers_whose_pictures_cannot_be_used_are_refused_with_the_reason() {
    let whom = someone();
    let right = metadata(SIZE_PX);
    let mut folded = right.clone();
    folded["inputs"]
        .as_array_mut()
        .unwrap()
        .retain(|input| !export::IDENTITY_INPUTS.contains(&input["name"].as_str().unwrap()));
    let mut other = right.clone();
    other["inputs"][0]["name"] = "image".into();
    let mut asks_more = right.clone();
    asks_more["inputs"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "camera", "datatype": "UINT8", "shape": [-1, 480, 640, 3] }));
    let mut mute = right.clone();
    mute["outputs"] = json!([]);
    let noise = || picture_answer(&(0..SIZE_PX * SIZE_PX * 4).map(|i| ((i * 7919) >> 5) as u8).collect::<Vec<_>>());
    let table: Vec<(u16, &str)> = vec![
        (server(folded, || Act::Close), "shows one person, whoever is asked for"),
        (server(other, || Act::Close), "takes no \"landmarks\""),
        (server(asks_more, || Act::Close), "asks for \"camera\", which nothing is known of"),
        (server(mute, || Act::Close), "has no output \"picture\""),
        (server(metadata(1024), || Act::Close), "export it for this --size"),
        (server(right.clone(), || picture_answer(&[1, 2, 3])), "has 3 bytes, expected 1048576"),
        (server(right.clone(), noise), "dB close to the one made here, expected 32"),
        (server(right.clone(), || say_json(&json!({ "outputs": [] }))), "holds no picture"),
        (
            server(right.clone(), || http("200 OK", "inference-header-content-length: 99999999\r\n", b"{}")),
            "holds no picture",
        ),
        (server(right, || http("400 Bad Request", "", b"{\"error\": \"no \\u001b[2Jmemory\"}")), "no [2Jmemory"),
        (peer(|_| http("401 Unauthorized", "", b"")), "EFFIGY_REMOTE_TOKEN"),
        (peer(|_| http("404 Not Found", "", b"{\"error\": \"Model effigy not found\"}")), "Model effigy not found"),
        (peer(|_| http("200 OK", "", b"<html>")), "is no JSON"),
    ];
    for (port, words) in table {
        let error = refusal(port, &whom).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendUnavailable);
        assert!(error.to_string().contains(words), "{error}, expected {words}");
    }
}

#[test]
fn a_server_that_goes_is_done_without_and_one_that_is_back_is_asked_again() {
    let whom = someone();
    let mode = Arc::new(Mutex::new("well"));
    let (kept, shown) = (Arc::clone(&mode), whom.picture.data().to_vec());
    let port = server(metadata(SIZE_PX), move || match *kept.lock().unwrap() {
        "well" => picture_answer(&shown),
        "closes" => Act::Close,
        "shrinks" => picture_answer(&[0; 16]),
        "half" => Act::Say(b"HTTP/1.1 200 OK\r\ncontent-length: 1048900\r\n\r\n{".to_vec()),
        _ => Act::Hold,
    });
    let mut remote = ask("http", port);
    remote.introduce(&whom).unwrap();
    let mut picture = Rgba::new(SIZE_PX, SIZE_PX);
    let mut is_made = || {
        picture.data_mut().fill(0);
        let is_made = remote.picture(&whom, &whom.example, &mut picture).is_some();
        let expected = if is_made { whom.picture.data() } else { &[0; SIZE_PX * SIZE_PX * 4][..] };
        assert!(picture.data() == expected, "a picture is whole or not there");
        is_made
    };
    // A busy machine may be late now and then, but not for ever.
    let mut comes = |expected: bool| {
        let begin = Instant::now();
        while is_made() != expected {
            assert!(begin.elapsed() < Duration::from_secs(120), "it never became {expected}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    for broken in ["closes", "holds", "half", "shrinks"] {
        comes(true);
        *mode.lock().unwrap() = broken;
        comes(false);
        *mode.lock().unwrap() = "well";
    }
    comes(true);
    // While it is gone no picture is taken for one of its own.
    *mode.lock().unwrap() = "closes";
    comes(false);
    (0..1000).for_each(|_| assert!(!is_made()));
}

#[test]
fn another_identity_is_not_shown_before_it_was_told_of() {
    let (one, other) = (someone(), someone());
    let shown = one.picture.data().to_vec();
    let mut remote = ask("http", server(metadata(SIZE_PX), move || picture_answer(&shown)));
    remote.introduce(&one).unwrap();
    assert_eq!(remote.picture(&other, &other.example, &mut Rgba::new(SIZE_PX, SIZE_PX)), None);
}

#[test]
fn a_token_does_not_travel_readable() {
    let options = remote::Options { token: Some("secret".to_owned()), ..remote::Options::default() };
    assert!(!format!("{options:?}").contains("secret"));
    let error = Remote::open(&"grpc://192.0.2.1:8001".parse().unwrap(), options).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("readable for everyone on the way; use grpcs://"), "{error}");
    let options = remote::Options { authority: Some("missing.pem".into()), ..remote::Options::default() };
    let error = Remote::open(&"grpcs://192.0.2.1:8001".parse().unwrap(), options).err().unwrap();
    assert!(error.to_string().contains("cannot read the certificates missing.pem"), "{error}");
    let options = remote::Options { authority: Some("Cargo.toml".into()), ..remote::Options::default() };
    let error = Remote::open(&"grpcs://192.0.2.1:8001".parse().unwrap(), options).err().unwrap();
    assert!(error.to_string().contains("no certificates in Cargo.toml; expected PEM"), "{error}");
}
