//! The picture over HTTP: a stream for OBS and players, single frames, and the page that steers.
//!
//! The server has a thread of its own. The sink's thread makes one JPEG of a frame, and only while somebody watches;
//! all who do share its bytes, and each gets the newest frame that it has time for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use crossbeam_channel::Sender;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

use super::{Delivery, Sink};
use crate::composite::OutFrame;
use crate::control::Control;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::identity::Identity;
use crate::report::LiveFigures;
use crate::settings::Library;
use connection::{Doorman, Line};
use gate::Gate;
use shared::{Shared, StageMeter};
use stream::{Encoded, Encoder};

pub use messages::{Message, MessageLog};

mod command;
mod connection;
mod gate;
mod messages;
mod page;
mod server;
mod shared;
mod stream;
#[cfg(test)]
mod tests;
mod upload;

/// Where the server listens when nothing else is said: on this machine only, at a free port.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// At the end of a run the server is given so long to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);

/// What the page tells about a run.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Where the driver's frames come from.
    pub source: String,
    /// What makes the pictures.
    pub generator: String,
    /// What that runs on.
    pub backend: String,
    /// Width and height of the generated square, in pixels.
    pub size_px: usize,
    /// (width, height) of the frames, in pixels.
    pub frame_px: (usize, usize),
    /// Whether the user has enrolled nobody yet: the page leads through everything once.
    pub is_first_use: bool,
}

/// What the server must know.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Where to listen; port 0 is any free one.
    pub address: SocketAddr,
    /// Whether other machines may reach it.
    pub allow_remote: bool,
    /// The token that opens the page, 16 to 128 letters, digits, `-` and `_`; one is made without it.
    pub token: Option<String>,
    /// Where commands go.
    pub control: Sender<Control>,
    /// The run's figures.
    pub figures: Arc<LiveFigures>,
    /// Who can be shown, as the pipeline is given them.
    pub identities: Vec<Arc<Identity>>,
    /// What the page tells about the run.
    pub about: About,
    /// The program's messages.
    pub messages: Arc<MessageLog>,
    /// Who stands for the consent when a photo is enrolled on the page, unless another name is given there.
    pub consent_by: String,
    /// Where what is enrolled on the page can be kept for later runs.
    pub library: Option<Library>,
}

/// Serves frames and the control page.
pub struct HttpSink {
    name: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    frames: Option<watch::Sender<Option<Arc<Encoded>>>>,
    encoder: Encoder,
    meter: StageMeter,
    end: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl HttpSink {
    /// Opens the port and starts the server.
    ///
    /// # Errors
    /// - [`ErrorKind::Config`]: other machines could reach the address and that was not allowed; an unfit token.
    /// - [`ErrorKind::DeviceBusy`]: another program uses the port.
    /// - [`ErrorKind::Io`], [`ErrorKind::PermissionDenied`]: the address is not this machine's or not allowed.
    pub fn open(options: HttpOptions) -> Result<Self> {
        let asked = options.address;
        if !asked.ip().is_loopback() && !options.allow_remote {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "other machines could reach the control page at {asked}; everyone on the network who learns its \
                     address and token could watch, steer and record, and nothing is encrypted. If that is wanted: \
                     --allow-remote. If not: --sink http"
                ),
            ));
        }
        let about = || "cannot start the server of the control page".to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            // One enrols, others encode single pictures.
            .max_blocking_threads(3)
            .thread_name("http work")
            .build()
            .or_error(ErrorKind::Internal, about)?;
        let listener =
            runtime.block_on(async { connection::listen(asked) }).map_err(|error| cannot_listen(asked, error))?;
        let address = listener.local_addr().or_error(ErrorKind::Internal, about)?;
        let gate = Gate::new(address, options.token.clone())?;
        let (frames, newest) = watch::channel(None);
        let shared = Arc::new(Shared::new(gate, newest, options)?);
        let (end, is_over) = oneshot::channel();
        let router = server::router(Arc::clone(&shared));
        let server = std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || serve(runtime, listener, router, is_over))
            .or_error(ErrorKind::Internal, about)?;
        Ok(Self {
            name: format!("http {address}"),
            address,
            shared,
            frames: Some(frames),
            encoder: Encoder::new()?,
            meter: StageMeter::new(),
            end: Some(end),
            server: Some(server),
        })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The token that opens the page.
    pub fn token(&self) -> &str {
        self.shared.gate.token()
    }

    /// The address of `path` with its token, as this machine reaches it.
    pub fn url(&self, path: &str) -> String {
        self.shared.gate.url(path)
    }

    /// The address of the picture alone, for OBS: its token opens nothing else.
    pub fn view_url(&self) -> String {
        self.shared.gate.view_url()
    }
}

impl Sink for HttpSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn delivery(&self) -> Delivery {
        Delivery::Latest
    }

    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        let stages_ms = self.meter.record(&frame.trace);
        {
            let mut live = self.shared.live();
            live.shown = frame.shown;
            live.n_frames += 1;
            if let Some(stages_ms) = stages_ms {
                live.stages_ms = stages_ms;
            }
            if self.shared.has_pages() {
                shared::write_face(frame, &mut live.face);
            }
        }
        self.shared.answer_pictures(frame.picture());
        if self.shared.is_watched()
            && let Some(frames) = &self.frames
        {
            frames.send_replace(Some(Arc::new(self.encoder.encode(frame)?)));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        // Streams and pages end when there will be no more frames.
        self.frames = None;
        if let Some(end) = self.end.take() {
            // It has ended already when nobody hears this.
            let _ = end.send(());
        }
        if let Some(server) = self.server.take() {
            let since = Instant::now();
            while !server.is_finished() && since.elapsed() < 4 * GOODBYE {
                std::thread::sleep(Duration::from_millis(5));
            }
            if server.is_finished() && server.join().is_err() {
                let message = "the server of the control page broke down, which is a defect of this program";
                return Err(Error::new(ErrorKind::Internal, message));
            }
        }
        Ok(())
    }
}

/// Serves until the run is over.
fn serve(runtime: Runtime, listener: TcpListener, router: Router, is_over: oneshot::Receiver<()>) {
    step_back();
    runtime.block_on(async {
        let service = router.into_make_service_with_connect_info::<Line>();
        let (begin_goodbye, is_goodbye) = oneshot::channel::<()>();
        let goodbye = async {
            // Dropping the sink without finishing it ends the server as well.
            let _ = is_over.await;
            drop(begin_goodbye);
        };
        let shut_down = async {
            let _ = is_goodbye.await;
        };
        let served = axum::serve(Doorman::new(listener), service).with_graceful_shutdown(shut_down);
        let bounded = async {
            goodbye.await;
            tokio::time::sleep(GOODBYE).await;
        };
        tokio::select! {
            // It never fails: what a connection does wrong ends that connection.
            _ = served => {}
            () = bounded => {}
        }
    });
    // Enrolling cannot be interrupted; the program does not wait for it.
    runtime.shutdown_background();
}

/// Lets the pipeline's threads go first where processors are scarce: fifty clients cost more than one frame.
fn step_back() {
    // On Linux this is the calling thread's alone, elsewhere the whole program's.
    #[cfg(target_os = "linux")]
    {
        const NICE: i32 = 5;
        // A courtesy: without it the server works as well.
        let _ = rustix::process::setpriority_process(None, NICE);
    }
}

/// A port that cannot be opened, with what to do about it.
fn cannot_listen(address: SocketAddr, error: std::io::Error) -> Error {
    let (kind, advice) = match error.kind() {
        std::io::ErrorKind::AddrInUse => (ErrorKind::DeviceBusy, "another program uses it; give a free one, or none"),
        std::io::ErrorKind::PermissionDenied => {
            (ErrorKind::PermissionDenied, "ports below 1024 belong to the system; give a larger one")
        }
        std::io::ErrorKind::AddrNotAvailable => {
            (ErrorKind::Io, "it is no address of this machine; use 127.0.0.1, or 0.0.0.0 for all")
        }
        _ => (ErrorKind::Io, "give another one: --sink http:127.0.0.1:8080"),
    };
    Error::new(kind, format!("cannot listen at {address}; {advice}")).because(error)
}
