//! One connection to the daemon, with the camera's node in it.

use std::cell::RefCell;
use std::rc::Rc;

use pipewire::context::ContextRc;
use pipewire::core::{CoreRc, Listener};
use pipewire::keys;
use pipewire::main_loop::MainLoopRc;
use pipewire::properties::properties;
use pipewire::spa::param::ParamType;
use pipewire::spa::param::video::VideoInfoRaw;
use pipewire::spa::pod::Pod;
use pipewire::spa::utils::Direction;
use pipewire::stream::{Stream, StreamFlags, StreamListener, StreamRc, StreamState};

use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Rgba;
use crate::sink::camera::{CameraOptions, Fitter, Packing, beside};

use super::params::{self, pod};

/// The object whose errors are those of the whole connection.
const CORE_ID: u32 = 0;

/// What the loop and PipeWire's calls into it share.
pub(super) struct Shared {
    /// The newest picture.
    pub(super) picture: Rgba,
    /// Whether the daemon has accepted the node.
    pub(super) is_ready: bool,
    /// Whether a consumer wants pictures.
    pub(super) is_streaming: bool,
    format: Option<Format>,
    /// A rate that a consumer has just asked for.
    new_rate_hz: Option<f64>,
    /// Why the connection is of no use any more.
    lost: Option<String>,
}

/// What a consumer chose.
struct Format {
    packing: Packing,
    size_px: (usize, usize),
    fitter: Fitter,
}

impl Shared {
    pub(super) fn new(options: &CameraOptions) -> Self {
        Self {
            picture: beside(options.size_px),
            is_ready: false,
            is_streaming: false,
            format: None,
            new_rate_hz: None,
            lost: None,
        }
    }

    /// Why the connection was lost and which rate was asked for, since the last call.
    pub(super) fn news(&mut self) -> (Option<String>, Option<f64>) {
        (self.lost.take(), self.new_rate_hz.take())
    }
}

/// The camera's node. What is dropped first stands first.
pub(super) struct Session {
    _stream_listener: StreamListener<()>,
    stream: StreamRc,
    _core_listener: Listener,
    _core: CoreRc,
    _context: ContextRc,
}

impl Session {
    /// Connects to this user's daemon and offers the camera.
    pub(super) fn connect(
        main_loop: &MainLoopRc,
        shared: &Rc<RefCell<Shared>>,
        options: &CameraOptions,
    ) -> Result<Self> {
        let context = ContextRc::new(main_loop, None)
            .or_error(ErrorKind::Internal, || "PipeWire's client library does not start".to_owned())?;
        let core = context
            .connect_rc(None)
            .or_error(ErrorKind::NoDevice, || format!("{}, or use `--sink vcam`", super::NO_DAEMON))?;
        let fail = |error| Error::new(ErrorKind::DeviceLost, "PipeWire takes no camera").because(error);
        {
            let mut shared = shared.borrow_mut();
            (shared.is_ready, shared.is_streaming, shared.format, shared.lost) = (false, false, None, None);
        }
        let core_listener = {
            let shared = Rc::clone(shared);
            let error = move |id, _, _, message: &str| {
                if id == CORE_ID {
                    shared.borrow_mut().lost = Some(message.to_owned());
                }
            };
            core.add_listener_local().error(error).register()
        };
        let properties = properties! {
            *keys::MEDIA_CLASS => "Video/Source",
            *keys::MEDIA_ROLE => "Camera",
            *keys::NODE_NAME => "effigy",
            *keys::NODE_DESCRIPTION => "effigy",
        };
        let stream = StreamRc::new(core.clone(), "effigy", properties).map_err(fail)?;
        let stream_listener = {
            let (of_state, of_format, of_process) = (Rc::clone(shared), Rc::clone(shared), Rc::clone(shared));
            stream
                .add_local_listener::<()>()
                .state_changed(move |_, (), _, state| of_state.borrow_mut().enter(&state))
                .param_changed(move |stream, (), id, param| {
                    if id != ParamType::Format.as_raw() {
                        return;
                    }
                    // Not borrowed while PipeWire is called, which may call back.
                    let negotiated = of_format.borrow_mut().negotiate(param);
                    if let Err(error) = negotiated.and_then(|buffers| ask_for(stream, buffers.as_deref())) {
                        log::warn!("a program asked for what the PipeWire camera cannot do: {error}");
                    }
                })
                .process(move |stream, ()| of_process.borrow_mut().fill(stream))
                .register()
                .map_err(fail)?
        };
        let formats = params::formats(options)?;
        // It drives the graph: consumers run when there is a picture, not by a clock of their own.
        let flags = StreamFlags::DRIVER | StreamFlags::MAP_BUFFERS;
        stream.connect(Direction::Output, None, flags, &mut [pod(&formats)?]).map_err(fail)?;
        Ok(Self {
            _stream_listener: stream_listener,
            stream,
            _core_listener: core_listener,
            _core: core,
            _context: context,
        })
    }

    /// Starts a round of the graph, in which PipeWire asks for the picture.
    pub(super) fn deliver(&self) {
        // Fails only while a consumer comes or goes; the next picture is near.
        if let Err(error) = self.stream.trigger_process() {
            log::debug!("PipeWire takes no picture now: {error}");
        }
    }
}

impl Shared {
    fn enter(&mut self, state: &StreamState) {
        log::debug!("PipeWire camera: {state:?}");
        match state {
            StreamState::Error(why) => self.lost = Some(why.clone()),
            // Without a connection it is the core that says why.
            StreamState::Unconnected => self.is_streaming = false,
            StreamState::Connecting => {}
            StreamState::Paused => (self.is_ready, self.is_streaming) = (true, false),
            StreamState::Streaming => (self.is_ready, self.is_streaming) = (true, true),
        }
    }

    /// Takes the format that a consumer chose; answers with the buffers it needs.
    fn negotiate(&mut self, param: Option<&Pod>) -> Result<Option<Vec<u8>>> {
        self.format = None;
        let Some(param) = param else { return Ok(None) };
        let mut info = VideoInfoRaw::new();
        let unknown = |what: String| Error::new(ErrorKind::Config, what);
        info.parse(param).map_err(|error| unknown(format!("no video format: {error:?}")))?;
        let Some(packing) = params::packing(info.format()) else {
            return Err(unknown(format!("the format {:?}", info.format())));
        };
        let size_px = (info.size().width as usize, info.size().height as usize);
        let buffers = params::buffers(packing, size_px)?;
        let rate = info.framerate();
        // Who takes any rate is not bound by what the one before asked for.
        self.new_rate_hz = Some(f64::INFINITY);
        if rate.num > 0 && rate.denom > 0 {
            self.new_rate_hz = Some(f64::from(rate.num) / f64::from(rate.denom));
        }
        log::debug!("PipeWire camera: {} {size_px:?} {rate:?}", packing.name());
        self.format = Some(Format { packing, size_px, fitter: Fitter::new(size_px) });
        Ok(Some(buffers))
    }

    /// Writes the newest picture into the next free buffer.
    fn fill(&mut self, stream: &Stream) {
        // All are with consumers that are slow: they miss this picture.
        let Some(mut buffer) = stream.dequeue_buffer() else { return };
        let Some(data) = buffer.datas_mut().first_mut() else { return };
        let mut n_written = 0;
        let mut stride = 0;
        if let (Some(format), Some(memory)) = (&mut self.format, data.data()) {
            let n_bytes = format.packing.n_bytes(format.size_px);
            if let (Some(memory), Ok(fitted)) = (memory.get_mut(..n_bytes), format.fitter.fit(&self.picture)) {
                format.packing.pack(fitted, memory);
                n_written = n_bytes;
                stride = format.packing.stride(format.size_px.0);
            }
        }
        let chunk = data.chunk_mut();
        *chunk.offset_mut() = 0;
        *chunk.stride_mut() = stride as i32;
        *chunk.size_mut() = n_written as u32;
    }
}

fn ask_for(stream: &Stream, buffers: Option<&[u8]>) -> Result<()> {
    let Some(buffers) = buffers else { return Ok(()) };
    stream
        .update_params(&mut [pod(buffers)?])
        .or_error(ErrorKind::DeviceLost, || "PipeWire takes no description of buffers".to_owned())
}
