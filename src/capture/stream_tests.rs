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
