//! A stream of JPEG pictures over HTTP (`multipart/x-mixed-replace`), as browsers and OBS read it.

use std::io::{ErrorKind as IoKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::{Look, MAX_READ_WAIT, Reader};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Grey;

/// The longest the other side may take to answer.
const MAX_CONNECT_WAIT: Duration = Duration::from_secs(5);
/// What is read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// A picture or a head of more bytes than this is none.
const MAX_PART_BYTES: usize = 32 << 20;

/// A client of such a stream.
///
/// A picture's moment is when its last byte was there, before it is decoded.
#[derive(Debug)]
pub struct HttpReader {
    name: String,
    stream: TcpStream,
    /// What has come and was not used yet.
    pending: Vec<u8>,
    chunk: Vec<u8>,
    jpeg: Vec<u8>,
}

impl HttpReader {
    /// Connects to `http://HOST[:PORT]/PATH`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when that is no such address; [`ErrorKind::Io`] when nobody answers, or the answer is
    /// not 200.
    pub fn open(url: &str) -> Result<Self> {
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
        let mut addresses = address.to_socket_addrs().or_error(ErrorKind::Io, context)?;
        let address = addresses.next().ok_or_else(|| Error::new(ErrorKind::Io, context()))?;
        let mut stream = TcpStream::connect_timeout(&address, MAX_CONNECT_WAIT).or_error(ErrorKind::Io, context)?;
        stream.set_read_timeout(Some(MAX_CONNECT_WAIT)).or_error(ErrorKind::Io, context)?;
        // Version 1.0, so that the answer comes without chunks between the bytes of a picture.
        let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\nAccept: multipart/x-mixed-replace\r\n\r\n");
        stream.write_all(request.as_bytes()).or_error(ErrorKind::Io, context)?;
        let mut reader =
            Self { name: shown.clone(), stream, pending: Vec::new(), chunk: vec![0; CHUNK_BYTES], jpeg: Vec::new() };
        let head_end = loop {
            if let Some(at) = find(&reader.pending, b"\r\n\r\n") {
                break at;
            }
            if !reader.fill()? {
                return Err(Error::new(ErrorKind::Io, format!("{shown} does not answer within 5 s")));
            }
        };
        let head = String::from_utf8_lossy(&reader.pending[..head_end]).into_owned();
        let status = head.lines().next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(Error::new(ErrorKind::Io, format!("{shown} answers \"{status}\" instead of a stream")));
        }
        reader.pending.drain(..head_end + 4);
        reader.stream.set_read_timeout(Some(MAX_READ_WAIT)).or_error(ErrorKind::Io, context)?;
        Ok(reader)
    }

    /// Reads what there is; false when nothing came in time.
    fn fill(&mut self) -> Result<bool> {
        match self.stream.read(&mut self.chunk) {
            Ok(0) => Err(Error::new(ErrorKind::DeviceLost, format!("{} has closed the stream", self.name))),
            Ok(n) if self.pending.len() + n > MAX_PART_BYTES => {
                Err(Error::new(ErrorKind::Io, format!("{} sends no JPEG pictures", self.name)))
            }
            Ok(n) => {
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
    fn take(&mut self) -> bool {
        let Some(start) = find(&self.pending, &[0xff, 0xd8, 0xff]) else { return false };
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
            Some(length) if self.pending.len() >= start + length => start + length,
            Some(_) => return false,
            None => match find(&self.pending[start..], &[0xff, 0xd9]) {
                Some(at) => start + at + 2,
                None => return false,
            },
        };
        self.jpeg.clear();
        self.jpeg.extend_from_slice(&self.pending[start..end]);
        self.pending.drain(..end);
        true
    }
}

impl Reader for HttpReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, picture: &mut Grey, clock: &dyn Clock) -> Result<Look> {
        while !self.take() {
            if !self.fill()? {
                return Ok(Look::Idle);
            }
        }
        let at = clock.now();
        // A torn picture is one without a code.
        if !super::decode_jpeg(&self.jpeg, picture)? {
            picture.reshape(0, 0);
        }
        Ok(Look::At(at))
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use opencv::core::Vector;
    use opencv::imgcodecs;

    use super::*;
    use crate::clock::{MonotonicClock, Timestamp};
    use crate::latency::{Origin, Stamp, draw, read_whole};

    fn stamp(frame_id: u32) -> Stamp {
        Stamp { origin: Origin::Output, frame_id, time: Timestamp::from_nanos(5_000_000) }
    }

    fn jpeg(frame_id: u32) -> Vec<u8> {
        let mut picture = Grey::from_data(320, 240, vec![90; 320 * 240]).unwrap();
        draw(&stamp(frame_id), &mut picture);
        let mut bytes = Vector::<u8>::new();
        imgcodecs::imencode_def(".jpg", &picture.as_mat().unwrap(), &mut bytes).unwrap();
        bytes.as_slice().to_vec()
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
}
