//! Addresses: clips and live streams from a server that does what servers do.

use std::time::{Duration, Instant};

use super::tests::{Folder, at_millis, index_of, millis, unpaced};
use crate::capture::{Read, SourceOptions};
use crate::clock::{Clock as _, ManualClock, MonotonicClock};
use crate::video::clips::Clip;
use crate::{Error, RawFrame, Source};

/// A server of one file: what it does with each connection, in turn, the last one for all that follow.
#[derive(Clone, Copy)]
enum Serves {
    /// The whole file, with its length.
    Whole,
    /// The file as a live stream, and after this share of it nothing more, without an end.
    Stalls(f64),
    /// The file as a live stream.
    Live,
    /// No word.
    Nothing,
    /// That there is none.
    NotFound,
}

/// Serves `content`; the address.
fn serve(content: Vec<u8>, connections: Vec<Serves>) -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move || {
        let mut kept = Vec::new();
        for (index, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let serves = connections[index.min(connections.len() - 1)];
            let (status, length, share) = match serves {
                Serves::Whole => ("200 OK", format!("Content-Length: {}\r\n", content.len()), 1.0),
                Serves::Stalls(share) => ("200 OK", String::new(), share),
                Serves::Live => ("200 OK", String::new(), 1.0),
                Serves::NotFound => ("404 Not Found", "Content-Length: 0\r\n".to_owned(), 0.0),
                Serves::Nothing => {
                    kept.push(stream);
                    continue;
                }
            };
            let head = format!("HTTP/1.1 {status}\r\n{length}Content-Type: video/mp2t\r\nConnection: close\r\n\r\n");
            let n_bytes = (content.len() as f64 * share) as usize;
            // Who has seen enough closes.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&content[..n_bytes]));
            if matches!(serves, Serves::Stalls(_)) {
                kept.push(stream);
            }
        }
    };
    std::thread::Builder::new().name("server".to_owned()).spawn(answer).unwrap();
    format!("http://ann:secret@{address}/talk?key=1")
}

fn open_url(url: &str, options: &SourceOptions) -> Result<Box<dyn Source>, Error> {
    let mut address = super::stream::Address::new(url);
    address.patience = super::stream::Patience { opening: millis(4000), silence: millis(300) };
    super::spec::open_address(address, options)
}

#[test]
fn a_stream_that_stops_is_found_again() {
    let folder = Folder::new("stream");
    let path = folder.0.join("a.ts");
    let times: Vec<_> = (0..250).collect();
    let clip = Clip { encoder: "mpeg2video", ..Clip::default() };
    clip.write(&path, &times, |index, x, _| if x < 32 { [255, 0, 0] } else { [(index % 200) as u8; 3] });
    let url = serve(std::fs::read(&path).unwrap(), vec![Serves::Stalls(0.8), Serves::NotFound, Serves::Stalls(1.0)]);
    let mut stream = open_url(&url, &SourceOptions::default()).unwrap();
    assert!(
        stream.name().starts_with("http://127.0.0.1:") && stream.name().ends_with("/talk, 64x48 25/s, live"),
        "{}",
        stream.name()
    );
    let (clock, mut frame) = (MonotonicClock::new(), RawFrame::default());
    let begin = Instant::now();
    let (mut n_fresh, mut n_idle, mut n_again) = (0, 0, 0);
    while n_again == 0 {
        match stream.read(&mut frame, &clock).unwrap() {
            Read::Fresh if n_idle >= 3 => n_again += 1,
            Read::Fresh => n_fresh += 1,
            Read::Idle => n_idle += 1,
            Read::Ended => panic!("a live stream does not end"),
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "it did not come back: {n_fresh} {n_idle}");
    }
    assert!(n_fresh > 0);
    let [r, g, b] = frame.picture().pixel(10, 24);
    assert!(r > 230 && g < 30 && b < 30, "{r} {g} {b}");
    assert!(clock.now().since(frame.captured()) < Duration::from_secs(30));
    // Ending does not wait for the network.
    let begin = Instant::now();
    drop(stream);
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_clip_behind_an_address_is_played_to_its_end() {
    let folder = Folder::new("address");
    let content = std::fs::read(folder.clip("a.mkv", 25.0, 20)).unwrap();
    let url = serve(content.clone(), vec![Serves::Whole]);
    let mut clip = open_url(&url, &unpaced()).unwrap();
    assert_eq!(clip.n_frames(), Some(20));
    let (clock, mut frame) = (ManualClock::new(), RawFrame::default());
    for index in 0..20 {
        assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Fresh);
        assert_eq!((index_of(&mut frame), frame.captured()), (index, at_millis(40 * index as u64)));
    }
    assert_eq!(clip.read(&mut frame, &clock).unwrap(), Read::Ended);
}

#[test]
fn addresses_that_cannot_be_read_say_why_and_keep_their_secrets() {
    let folder = Folder::new("addresses");
    let ts = folder.0.join("a.ts");
    Clip { encoder: "mpeg2video", ..Clip::default() }.write(&ts, &(0..100).collect::<Vec<_>>(), |_, _, _| [90; 3]);
    let live = serve(std::fs::read(&ts).unwrap(), vec![Serves::Live]);
    let table = [
        (serve(b"This is no video at all. ".repeat(999), vec![Serves::Whole]), "what it sends is no video"),
        (serve(Vec::new(), vec![Serves::NotFound]), "404"),
        (serve(Vec::new(), vec![Serves::Nothing]), "it does not answer"),
        ("http://127.0.0.1:1/talk".to_owned(), "Connection refused"),
        ("nonsense://127.0.0.1/talk".to_owned(), "this FFmpeg does not know such addresses"),
        (live, "is live, with no end that could be waited for; leave out --every-frame"),
    ];
    for (url, why) in table {
        let error = open_url(&url, &unpaced()).err().unwrap_or_else(|| panic!("{url} is read"));
        let text = format!("{error}");
        assert!(text.contains(why), "{url}: {text}");
        assert!(!text.contains("secret") && !text.contains("key=1"), "{text}");
        assert!(text.contains("--every-frame") || text.contains("check the address, or pipe what is there"), "{text}");
    }
}

/// A camera that speaks RTSP: each connection gets a clip's transport stream in RTP over the same connection (RFC 2326, 3551),
/// at its own pace. The first one says nothing more after `n_before` packets, without closing.
fn serve_rtsp(content: Vec<u8>, n_before: usize) -> String {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpStream;
    /// So many packets of 188 bytes fit into one of RTP.
    const PAYLOAD: usize = 7 * 188;
    fn talk(stream: TcpStream, content: &[u8], n_most: usize) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let mut out = stream;
        loop {
            let Some(request) = lines.next().transpose()? else { return Ok(()) };
            let (mut number, mut transport) = (String::new(), String::new());
            for line in lines.by_ref() {
                let line = line?;
                if let Some(value) = line.strip_prefix("CSeq:") {
                    value.trim().clone_into(&mut number);
                }
                if let Some(value) = line.strip_prefix("Transport:") {
                    value.trim().clone_into(&mut transport);
                }
                if line.is_empty() {
                    break;
                }
            }
            let method = request.split(' ').next().unwrap_or_default();
            let (header, body) = match method {
                "OPTIONS" => ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n".to_owned(), ""),
                "DESCRIBE" => (
                    "Content-Type: application/sdp\r\n".to_owned(),
                    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n",
                ),
                "SETUP" => (format!("Transport: {transport}\r\nSession: 7\r\n"), ""),
                _ => ("Session: 7\r\n".to_owned(), ""),
            };
            let length = body.len();
            write!(out, "RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{header}Content-Length: {length}\r\n\r\n{body}")?;
            if method != "PLAY" {
                continue;
            }
            let begin = Instant::now();
            for (index, payload) in content.chunks(PAYLOAD).enumerate() {
                if index == n_most {
                    // Still there, and silent.
                    std::thread::sleep(Duration::from_secs(60));
                }
                let time = (begin.elapsed().as_secs_f64() * 90_000.0) as u32;
                let mut packet = vec![b'$', 0, 0, 0, 0x80, 33];
                packet[2..4].copy_from_slice(&((12 + payload.len()) as u16).to_be_bytes());
                packet.extend((index as u16).to_be_bytes());
                packet.extend(time.to_be_bytes());
                packet.extend(7_u32.to_be_bytes());
                packet.extend(payload);
                out.write_all(&packet)?;
                std::thread::sleep(Duration::from_millis(2));
            }
            return Ok(());
        }
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move || {
        for (index, stream) in listener.incoming().flatten().enumerate() {
            let content = content.clone();
            // Who has seen enough closes.
            let answer = move || talk(stream, &content, if index == 0 { n_before } else { usize::MAX });
            std::thread::Builder::new().name("connection".to_owned()).spawn(answer).unwrap();
        }
    };
    std::thread::Builder::new().name("camera".to_owned()).spawn(answer).unwrap();
    format!("rtsp://ann:secret@{address}/live?key=1")
}

/// A sender that waits for a caller (SRT), sends a clip at its own pace and goes; and then again after a pause.
fn serve_srt(path: std::path::PathBuf, pause: Duration) -> String {
    use ffmpeg_next as ffmpeg;
    // A port that is free now.
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let send = move || {
        loop {
            let mut input = ffmpeg::format::input(&path).unwrap();
            let listen = format!("srt://127.0.0.1:{port}?mode=listener&listen_timeout=20000000");
            let Ok(mut output) = ffmpeg::format::output_as(&listen, "mpegts") else {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            };
            let parameters = input.stream(0).unwrap().parameters();
            output.add_stream(ffmpeg::encoder::find(ffmpeg::codec::Id::None)).unwrap().set_parameters(parameters);
            if output.write_header().is_err() {
                continue;
            }
            let bases = (input.stream(0).unwrap().time_base(), output.stream(0).unwrap().time_base());
            for (_, mut packet) in input.packets() {
                packet.rescale_ts(bases.0, bases.1);
                packet.set_position(-1);
                // Who has seen enough closes.
                if packet.write_interleaved(&mut output).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = output.write_trailer();
            drop(output);
            std::thread::sleep(pause);
        }
    };
    crate::video::init();
    std::thread::Builder::new().name("sender".to_owned()).spawn(send).unwrap();
    format!("srt://127.0.0.1:{port}")
}

/// Follows a stream until it has been silent and is back: how many pictures came before.
fn follow_over_a_gap(mut stream: Box<dyn Source>) -> u32 {
    let (clock, mut frame) = (MonotonicClock::new(), RawFrame::default());
    let begin = Instant::now();
    let (mut n_fresh, mut n_idle) = (0, 0);
    loop {
        assert!(begin.elapsed() < Duration::from_secs(60), "it did not come back: {n_fresh} {n_idle}");
        match stream.read(&mut frame, &clock).unwrap() {
            Read::Fresh if n_idle >= 3 => return n_fresh,
            Read::Fresh => (n_fresh, n_idle) = (n_fresh + 1, 0),
            // Before its first picture it is not missed.
            Read::Idle => n_idle += u32::from(n_fresh > 0),
            Read::Ended => panic!("a live stream does not end"),
        }
    }
}

#[test]
fn a_camera_that_falls_silent_is_found_again() {
    let folder = Folder::new("rtsp");
    let path = folder.0.join("a.ts");
    let times: Vec<_> = (0..250).collect();
    let clip = Clip { encoder: "mpeg2video", ..Clip::default() };
    clip.write(&path, &times, |index, x, y| [(index as u32 * 7 + x * y) as u8, (x * 31) as u8, (y * 57) as u8]);
    let content = std::fs::read(&path).unwrap();
    let n_packets = content.len() / (7 * 188);
    let stream = open_url(&serve_rtsp(content, n_packets * 2 / 3), &SourceOptions::default()).unwrap();
    assert!(
        stream.name().starts_with("rtsp://127.0.0.1:") && stream.name().contains("/live, 64x48"),
        "{}",
        stream.name()
    );
    let n_before = follow_over_a_gap(stream);
    assert!(n_before > 10, "{n_before}");
}

#[test]
fn a_sender_that_goes_and_comes_back_is_found_again() {
    let folder = Folder::new("srt");
    let path = folder.0.join("a.ts");
    let clip = Clip { encoder: "mpeg2video", ..Clip::default() };
    clip.write(&path, &(0..150).collect::<Vec<_>>(), |index, x, _| [(index as u32 * 3 + x) as u8; 3]);
    let url = serve_srt(path, Duration::from_millis(1500));
    let stream = open_url(&url, &SourceOptions::default()).unwrap();
    let n_before = follow_over_a_gap(stream);
    assert!(n_before > 10, "{n_before}");
}
