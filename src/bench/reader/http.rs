//! A stream of JPEG pictures over HTTP (`multipart/x-mixed-replace`), as browsers and OBS read it.
//!
//! The socket is emptied by a thread of its own, so that a picture's moment does not wait until the one before has been
//! decoded.

use std::io::{ErrorKind as IoKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};

use super::{Arrival, Legs, Look, MAX_READ_WAIT, Reader, on_clock};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Grey;
use crate::jpeg::decode_grey;

/// The longest the other side may take to take the call, and again to answer.
const MAX_CONNECT_WAIT: Duration = Duration::from_secs(5);
/// What is read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// A picture or a head of more bytes than this is none.
const MAX_PART_BYTES: usize = 32 << 20;
/// Pictures that may wait to be decoded; beyond them the other side has to wait.
const MAX_WAITING: usize = 8;

/// A client of such a stream.
///
/// A picture's moment is when its last byte was there, before it is decoded.
#[derive(Debug)]
pub struct HttpReader {
    name: String,
    parts: Receiver<Result<Part>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A picture as it came.
#[derive(Debug)]
struct Part {
    jpeg: Vec<u8>,
    /// When its first byte was there.
    since: Instant,
    /// When its last byte was there.
    at: Instant,
}

/// The receiving end of the connection.
#[derive(Debug)]
struct Inlet {
    name: String,
    stream: TcpStream,
    /// What has come and was not used yet.
    pending: Vec<u8>,
    chunk: Vec<u8>,
    /// When something came last.
    last: Instant,
    /// When the first byte of the picture at hand came.
    since: Option<Instant>,
}

impl HttpReader {
    /// Connects to `http://HOST[:PORT]/PATH`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when that is no such address; [`ErrorKind::Io`] when nobody answers, or the answer is
    /// not 200.
    pub fn open(url: &str) -> Result<Self> {
        let mut inlet = Inlet::connect(url, MAX_CONNECT_WAIT)?;
        let (name, is_over) = (inlet.name.clone(), Arc::new(AtomicBool::new(false)));
        let (parts_tx, parts) = bounded(MAX_WAITING);
        let over = Arc::clone(&is_over);
        let thread = std::thread::Builder::new()
            .name("http reader".to_owned())
            .spawn(move || inlet.run(&parts_tx, &over))
            .or_error(ErrorKind::Internal, || "cannot start the thread that reads the stream".to_owned())?;
        Ok(Self { name, parts, is_over, thread: Some(thread) })
    }
}

impl Drop for HttpReader {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // It looks at that at least every MAX_READ_WAIT; how it ended is nobody's business any more.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Reader for HttpReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, picture: &mut Grey, clock: &dyn Clock) -> Result<Look> {
        let part = match self.parts.recv_timeout(MAX_READ_WAIT) {
            Ok(part) => part?,
            Err(RecvTimeoutError::Timeout) => return Ok(Look::Idle),
            Err(RecvTimeoutError::Disconnected) => return Ok(Look::Ended),
        };
        let arrival = Arrival { since: Some(on_clock(part.since, clock)), at: on_clock(part.at, clock) };
        // A torn picture is one without a code.
        if !decode_grey(&part.jpeg, picture) {
            picture.reshape(0, 0);
        }
        Ok(Look::At(arrival))
    }

    fn legs(&self) -> Option<Legs> {
        Some(Legs {
            first: "until its first byte had come through the socket: the server's thread wakes up and sends",
            last: "from its first byte to its last",
        })
    }
}

impl Inlet {
    /// Connects and reads the answer's head, each within `bound`.
    fn connect(url: &str, bound: Duration) -> Result<Self> {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() {
            return Err(Error::new(ErrorKind::Config, format!("{url} is no address; give http://HOST:PORT/PATH")));
        }
        let address = if host.rsplit(']').next().is_some_and(|end| end.contains(':')) {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        // The query may hold a token, which is nobody else's business.
        let shown = format!("http://{host}/{}", path.split('?').next().unwrap_or_default());
        let context = || format!("cannot connect to {shown}; is the program that serves it running?");
        let addresses: Vec<SocketAddr> = address.to_socket_addrs().or_error(ErrorKind::Io, context)?.collect();
        let mut stream = connect_any(&addresses, bound).or_error(ErrorKind::Io, context)?;
        stream.set_read_timeout(Some(MAX_READ_WAIT)).or_error(ErrorKind::Io, context)?;
        // Version 1.0, so that the answer comes without chunks between the bytes of a picture.
        let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\nAccept: multipart/x-mixed-replace\r\n\r\n");
        stream.write_all(request.as_bytes()).or_error(ErrorKind::Io, context)?;
        let (name, chunk, last) = (shown.clone(), vec![0; CHUNK_BYTES], Instant::now());
        let mut inlet = Self { name, stream, pending: Vec::new(), chunk, last, since: None };
        let until = Instant::now() + bound;
        let head_end = loop {
            if let Some(at) = find(&inlet.pending, b"\r\n\r\n") {
                break at;
            }
            // A peer that sends a byte now and then has not answered either.
            if Instant::now() >= until {
                let message = format!("{shown} does not answer within {} s", bound.as_secs_f64());
                return Err(Error::new(ErrorKind::Io, message));
            }
            inlet.fill()?;
        };
        let head = String::from_utf8_lossy(&inlet.pending[..head_end]).into_owned();
        let status = head.lines().next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(Error::new(ErrorKind::Io, format!("{shown} answers \"{status}\" instead of a stream")));
        }
        inlet.pending.drain(..head_end + 4);
        Ok(inlet)
    }

    /// Hands pictures on until nobody wants them or the stream ends.
    fn run(&mut self, parts: &Sender<Result<Part>>, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let mut waiting = match self.take() {
                Some(part) => Ok(part),
                None => match self.fill() {
                    Ok(_) => continue,
                    Err(error) => Err(error),
                },
            };
            let is_end = waiting.is_err();
            while let Err(SendTimeoutError::Timeout(unsent)) = parts.send_timeout(waiting, MAX_READ_WAIT) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                waiting = unsent;
            }
            if is_end {
                return;
            }
        }
    }

    /// Reads what there is; false when nothing came in time.
    fn fill(&mut self) -> Result<bool> {
        match self.stream.read(&mut self.chunk) {
            Ok(0) => Err(Error::new(ErrorKind::DeviceLost, format!("{} has closed the stream", self.name))),
            Ok(n) if self.pending.len() + n > MAX_PART_BYTES => {
                Err(Error::new(ErrorKind::Io, format!("{} sends no JPEG pictures", self.name)))
            }
            Ok(n) => {
                self.last = Instant::now();
                self.pending.extend_from_slice(&self.chunk[..n]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), IoKind::WouldBlock | IoKind::TimedOut | IoKind::Interrupted) => {
                Ok(false)
            }
            Err(error) => {
                Err(Error::new(ErrorKind::DeviceLost, format!("the stream {} broke off", self.name)).because(error))
            }
        }
    }

    /// Takes a whole picture out of what has come.
    fn take(&mut self) -> Option<Part> {
        let start = find(&self.pending, &[0xff, 0xd8, 0xff])?;
        let since = *self.since.get_or_insert(self.last);
        // A stated length ends the picture with its last byte; else its end is looked for.
        let head = &self.pending[..start];
        let stated = String::from_utf8_lossy(&head[head.len().saturating_sub(512)..])
            .lines()
            .rev()
            .find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.trim().eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            })
            .filter(|&length| length <= MAX_PART_BYTES);
        let end = match stated {
            Some(length) => start + length,
            None => start + find(&self.pending[start..], &[0xff, 0xd9])? + 2,
        };
        let jpeg = self.pending.get(start..end)?.to_vec();
        self.pending.drain(..end);
        self.since = None;
        Some(Part { jpeg, since, at: self.last })
    }
}

/// Connects to the first of the addresses at which somebody listens: a name may stand for several, as `localhost` does.
fn connect_any(addresses: &[SocketAddr], bound: Duration) -> std::io::Result<TcpStream> {
    let mut outcome = Err(std::io::Error::new(IoKind::NotFound, "the name stands for no address"));
    for address in addresses {
        outcome = TcpStream::connect_timeout(address, bound);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::clock::{MonotonicClock, Timestamp};
    use crate::frame::Rgb;
    use crate::jpeg::Encoder;
    use crate::latency::{Origin, Stamp, draw, read_whole};

    fn stamp(frame_id: u32) -> Stamp {
        Stamp { origin: Origin::Output, frame_id, time: Timestamp::from_nanos(5_000_000) }
    }

    fn jpeg(frame_id: u32) -> Vec<u8> {
        let mut picture = Grey::from_data(320, 240, vec![90; 320 * 240]).unwrap();
        draw(&stamp(frame_id), &mut picture);
        let rgb = picture.data().iter().flat_map(|&level| [level; 3]).collect();
        let picture = Rgb::from_data(320, 240, rgb).unwrap();
        Encoder::new(95).unwrap().encode(&picture).unwrap().to_vec()
    }

    /// Serves one client: what it must have asked for, then these bytes, in pieces.
    fn serve(answer: Vec<u8>) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/stream?token=secret", listener.local_addr().unwrap());
        let server = std::thread::Builder::new().spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let n = client.read(&mut request).unwrap();
            for piece in answer.chunks(1000) {
                client.write_all(piece).unwrap();
            }
            String::from_utf8_lossy(&request[..n]).into_owned()
        });
        (url, server.unwrap())
    }

    fn numbers(answer: Vec<u8>) -> (Vec<u32>, String, String) {
        let (url, server) = serve(answer);
        let mut reader = HttpReader::open(&url).unwrap();
        let (clock, mut picture, mut numbers) = (MonotonicClock::new(), Grey::default(), Vec::new());
        let end = loop {
            match reader.read(&mut picture, &clock) {
                Ok(Look::At(_)) => numbers.extend(read_whole(&picture).map(|stamp| stamp.frame_id)),
                Ok(_) => {}
                Err(error) => break error.to_string(),
            }
        };
        (numbers, end, server.join().unwrap())
    }

    #[test]
    fn pictures_come_out_of_a_stream_with_and_without_stated_lengths() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n";
        let (mut stated, mut bare) = (head.to_vec(), head.to_vec());
        for frame_id in 1..=3 {
            let jpeg = jpeg(frame_id);
            let part = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-length: {}\r\n\r\n", jpeg.len());
            stated.extend([part.as_bytes(), &jpeg, b"\r\n"].concat());
            bare.extend([&b"--frame\r\n\r\n"[..], &jpeg, b"\r\n"].concat());
        }
        for answer in [stated, bare] {
            let (numbers, end, request) = numbers(answer);
            assert_eq!(numbers, [1, 2, 3]);
            assert!(end.contains("has closed the stream") && !end.contains("secret"), "{end}");
            assert!(request.starts_with("GET /stream?token=secret HTTP/1.0\r\nHost: 127.0.0.1:"), "{request}");
        }
    }

    #[test]
    fn what_is_no_stream_is_refused_with_the_answer() {
        let (url, server) = serve(b"HTTP/1.1 403 Forbidden\r\n\r\nno".to_vec());
        let error = HttpReader::open(&url).unwrap_err();
        assert!(error.to_string().contains("403 Forbidden") && !error.to_string().contains("secret"), "{error}");
        server.join().unwrap();
        assert_eq!(HttpReader::open("http:///x").unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn every_address_of_a_name_is_tried() {
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let stream = connect_any(&[dead, live], MAX_CONNECT_WAIT).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live);
        assert_eq!(connect_any(&[dead], MAX_CONNECT_WAIT).unwrap_err().kind(), IoKind::ConnectionRefused);
        assert_eq!(connect_any(&[], MAX_CONNECT_WAIT).unwrap_err().kind(), IoKind::NotFound);
    }

    #[test]
    fn a_peer_that_sends_a_byte_now_and_then_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/stream", listener.local_addr().unwrap());
        let server = std::thread::Builder::new().spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            // Without a bound it would be listened to until it closes.
            for _ in 0..1000 {
                if client.write_all(b"x").is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let error = Inlet::connect(&url, Duration::from_millis(200)).unwrap_err();
        assert!(error.to_string().ends_with("does not answer within 0.2 s"), "{error}");
        server.unwrap().join().unwrap();
    }
}
