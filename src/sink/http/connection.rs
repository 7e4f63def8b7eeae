//! Connections with bounds: how many, how long one may hold its place, how much of a picture waits in it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// Connections at one time; more wait in the system's own queue.
const MAX_CONNECTIONS: usize = 160;
/// A connection that was sent nothing for so long, and whose request nobody works on, is closed: unused, or asking without end.
const IDLE: Duration = Duration::from_secs(60);
/// One that has not been answered yet must be done asking sooner.
const FIRST: Duration = Duration::from_secs(20);
/// A client that takes nothing of what is sent for so long is let go.
const STALL: Duration = Duration::from_secs(20);
/// What the system keeps for a client that is slow, in bytes: about three pictures, so that what it shows is not old.
const SEND_BUFFER_BYTES: u32 = 128 << 10;

/// Opens the port.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A port that a run used a moment ago can be used again; on Windows this would allow two at once.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(128)
}

/// Accepts as many connections as there are places.
pub(super) struct Doorman {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Doorman {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }
}

impl Listener for Doorman {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            // Never closed, so this waits for a place and nothing else.
            let place = Arc::clone(&self.places).acquire_owned().await.ok();
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // A frame goes out at once; without it, it would go out a little later.
                    let _ = stream.set_nodelay(true);
                    return (Connection::new(stream, place), address);
                }
                // Out of files or memory, or the client is gone already: others may have more luck.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Whether a connection's client keeps up, told to whoever makes the next picture for it, and whether it waits for an answer.
#[derive(Debug, Default)]
pub(super) struct Outflow {
    is_blocked: AtomicBool,
    freed: Notify,
    n_answering: AtomicU32,
}

/// A request that is worked on, until this is dropped.
pub(super) struct Answering(Arc<Outflow>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.n_answering.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Outflow {
    /// Begins to work on a request.
    pub(super) fn answering(self: &Arc<Self>) -> Answering {
        self.n_answering.fetch_add(1, Ordering::AcqRel);
        Answering(Arc::clone(self))
    }

    /// Waits until the system has taken all that was sent so far.
    pub(super) async fn is_free(&self) {
        while self.is_blocked.load(Ordering::Acquire) {
            self.freed.notified().await;
        }
    }

    fn set_blocked(&self, is_blocked: bool) {
        if self.is_blocked.swap(is_blocked, Ordering::AcqRel) && !is_blocked {
            self.freed.notify_one();
        }
    }
}

/// What a handler knows of its connection.
#[derive(Clone)]
pub(super) struct Line(pub(super) Arc<Outflow>);

impl Connected<IncomingStream<'_, Doorman>> for Line {
    fn connect_info(stream: IncomingStream<'_, Doorman>) -> Self {
        Self(Arc::clone(&stream.io().outflow))
    }
}

/// A client's connection.
pub(super) struct Connection {
    stream: TcpStream,
    outflow: Arc<Outflow>,
    idle: Pin<Box<Sleep>>,
    /// Runs while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn new(stream: TcpStream, place: Option<OwnedSemaphorePermit>) -> Self {
        let idle = Box::pin(tokio::time::sleep(FIRST));
        Self { stream, outflow: Arc::default(), idle, stall: None, _place: place }
    }

    /// Notes what came of a write, and gives up on a client that takes nothing.
    fn written(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.outflow.set_blocked(outcome.is_pending());
        if outcome.is_ready() {
            self.stall = None;
            self.idle.as_mut().reset(Instant::now() + IDLE);
            return outcome;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        stall.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Counts from the last answer, not from the last byte: a head that trickles in holds its place no longer.
        if self.outflow.n_answering.load(Ordering::Acquire) > 0 {
            self.idle.as_mut().reset(Instant::now() + IDLE);
        }
        if self.idle.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn who_waits_for_an_answer_is_not_idle() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let mut connection = Connection::new(listener.accept().await.unwrap().0, None);
            let answering = connection.outflow.answering();
            connection.idle.as_mut().reset(Instant::now());
            let mut byte = [0];
            let mut read = async |connection: &mut Connection, patience_ms| {
                let read = poll_fn(|cx| Pin::new(&mut *connection).poll_read(cx, &mut ReadBuf::new(&mut byte)));
                timeout(Duration::from_millis(patience_ms), read).await
            };
            assert!(read(&mut connection, 50).await.is_err(), "nothing comes, and no end either");
            drop(answering);
            connection.idle.as_mut().reset(Instant::now());
            let ended = read(&mut connection, 60_000).await.unwrap();
            assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        });
    }
}
