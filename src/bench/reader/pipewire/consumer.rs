//! The thread that is connected to the daemon.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use pipewire::context::ContextRc;
use pipewire::keys;
use pipewire::loop_::Timeout;
use pipewire::main_loop::MainLoopRc;
use pipewire::properties::properties;
use pipewire::spa::param::ParamType;
use pipewire::spa::utils::Direction;
use pipewire::spa::utils::dict::DictRef;
use pipewire::stream::{Stream, StreamFlags, StreamListener, StreamRc, StreamState};
use pipewire::types::ObjectType;

use super::{MAX_STEP_WAIT, Outlet, Picture, formats};
use crate::bench::reader::MAX_READ_WAIT;
use crate::bench::reader::packing::Layout;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::sink::pipewire::{NO_DAEMON, pod, silent};

/// The object whose errors are those of the whole connection.
const CORE_ID: u32 = 0;

/// A camera that the daemon told of.
#[derive(Clone)]
struct Camera {
    id: u32,
    name: String,
    description: String,
}

impl Camera {
    fn of(id: u32, properties: &DictRef) -> Option<Self> {
        let text = |key: &str| properties.get(key).unwrap_or_default().to_owned();
        let is_camera = properties.get(*keys::MEDIA_CLASS) == Some("Video/Source");
        is_camera.then(|| Self { id, name: text(*keys::NODE_NAME), description: text(*keys::NODE_DESCRIPTION) })
    }
}

/// What the loop and PipeWire's calls into it share.
#[derive(Default)]
struct State {
    cameras: Vec<Camera>,
    /// Whether the daemon has told of all that were there.
    is_listed: bool,
    layout: Option<Layout>,
    /// The number of the node that is read.
    reads: Option<u32>,
    /// Why nothing more can come.
    lost: Option<String>,
}

/// Reads the camera `wanted` until the reader goes or the camera does.
pub(super) fn run(wanted: &str, mut outlet: Outlet, stopped: pipewire::channel::Receiver<()>) -> Result<()> {
    pipewire::init();
    let internal = || "PipeWire's client library does not start".to_owned();
    let main_loop = MainLoopRc::new(None).or_error(ErrorKind::Internal, internal)?;
    let is_over = Rc::new(Cell::new(false));
    let over = Rc::clone(&is_over);
    let _attached = stopped.attach(main_loop.loop_(), move |()| over.set(true));
    let context = ContextRc::new(&main_loop, None).or_error(ErrorKind::Internal, internal)?;
    let core = context.connect_rc(None).or_error(ErrorKind::NoDevice, || NO_DAEMON.to_owned())?;
    let state = Rc::new(RefCell::new(State::default()));
    let (of_done, of_error) = (Rc::clone(&state), Rc::clone(&state));
    let _core_listener = core
        .add_listener_local()
        .done(move |id, _| of_done.borrow_mut().is_listed |= id == CORE_ID)
        .error(move |id, _, _, message| {
            if id == CORE_ID {
                of_error.borrow_mut().lost.get_or_insert_with(|| message.to_owned());
            }
        })
        .register();
    let registry = core.get_registry_rc().or_error(ErrorKind::DeviceLost, || silent().to_string())?;
    let (of_global, of_removal) = (Rc::clone(&state), Rc::clone(&state));
    let _registry_listener = registry
        .add_listener_local()
        .global(move |global| {
            let properties = global.props.filter(|_| global.type_ == ObjectType::Node);
            of_global.borrow_mut().cameras.extend(properties.and_then(|properties| Camera::of(global.id, properties)));
        })
        .global_remove(move |id| {
            let mut state = of_removal.borrow_mut();
            state.cameras.retain(|camera| camera.id != id);
            if state.reads == Some(id) {
                state.lost.get_or_insert_with(|| "its node was removed".to_owned());
            }
        })
        .register();
    // What the daemon was asked before, it answers before this.
    core.sync(0).or_error(ErrorKind::DeviceLost, || silent().to_string())?;
    let turn = |until: Instant| {
        let wait = until.saturating_duration_since(Instant::now()).min(MAX_READ_WAIT);
        main_loop.loop_().iterate(Timeout::Finite(wait));
        if is_over.get() { None } else { Some(Instant::now() < until) }
    };
    let until = Instant::now() + MAX_STEP_WAIT;
    while !state.borrow().is_listed {
        match turn(until) {
            None => return Ok(()),
            Some(true) => {}
            Some(false) => return Err(silent()),
        }
    }
    let camera = find(&state.borrow().cameras, wanted)?;
    state.borrow_mut().reads = Some(camera.id);
    let gone = |why: &str| {
        let message = format!("the PipeWire camera \"{}\" is gone: {why}", camera.name);
        Error::new(ErrorKind::DeviceLost, message)
    };
    let fail = |error| Error::new(ErrorKind::DeviceLost, "PipeWire takes no reader").because(error);
    let properties = properties! {
        *keys::MEDIA_TYPE => "Video",
        *keys::MEDIA_CATEGORY => "Capture",
        *keys::MEDIA_ROLE => "Camera",
        // Another camera's pictures would be taken for this one's.
        *keys::NODE_DONT_RECONNECT => "true",
    };
    let stream = StreamRc::new(core.clone(), "effigy reader", properties).map_err(fail)?;
    let pictures = outlet.pictures.clone();
    let _stream_listener = listen(&stream, &state, pictures).map_err(fail)?;
    let wanted = formats::wanted()?;
    let flags = StreamFlags::AUTOCONNECT | StreamFlags::MAP_BUFFERS;
    let mut pods = [pod(&wanted[0])?, pod(&wanted[1])?];
    stream.connect(Direction::Input, Some(camera.id), flags, &mut pods).map_err(fail)?;
    let until = Instant::now() + MAX_STEP_WAIT;
    loop {
        let Some(is_early) = turn(if outlet.opened.is_some() { until } else { Instant::now() + MAX_STEP_WAIT }) else {
            return Ok(());
        };
        if let Some(why) = &state.borrow().lost {
            return Err(gone(why));
        }
        if outlet.opened.is_none() {
            continue;
        }
        // The first picture waits for the reader.
        if !outlet.pictures.is_empty() {
            let size = state.borrow().layout.map_or((0, 0), |layout| (layout.width_px, layout.height_px));
            let name = format!("PipeWire camera {}, {}x{}", camera.name, size.0, size.1);
            let _ = outlet.opened.take().map(|opened| opened.try_send(Ok(name)));
        } else if !is_early {
            let message = format!(
                "the PipeWire camera \"{}\" delivers no pictures; does a session manager run (`systemctl --user start \
                 wireplumber`), and the program whose camera it is?",
                camera.name
            );
            return Err(Error::new(ErrorKind::DeviceLost, message));
        }
    }
}

fn listen(
    stream: &StreamRc,
    state: &Rc<RefCell<State>>,
    pictures: crossbeam_channel::Sender<Picture>,
) -> std::result::Result<StreamListener<()>, pipewire::Error> {
    let (of_state, of_format, of_process) = (Rc::clone(state), Rc::clone(state), Rc::clone(state));
    stream
        .add_local_listener::<()>()
        .state_changed(move |_, (), _, now| {
            log::debug!("PipeWire reader: {now:?}");
            if let StreamState::Error(why) = now {
                of_state.borrow_mut().lost.get_or_insert(why);
            }
        })
        .param_changed(move |_, (), id, param| {
            if id == ParamType::Format.as_raw() {
                let layout = param.and_then(formats::layout);
                log::debug!("PipeWire reader: {layout:?}");
                of_format.borrow_mut().layout = layout;
            }
        })
        .process(move |stream, ()| {
            let at = Instant::now();
            let layout = of_process.borrow().layout;
            while let Some(picture) = take(stream, layout, at) {
                // Without a place it is missed, and counts as lost.
                let _ = pictures.try_send(picture);
            }
        })
        .register()
}

/// The next picture that is there.
fn take(stream: &Stream, layout: Option<Layout>, at: Instant) -> Option<Picture> {
    let mut buffer = stream.dequeue_buffer()?;
    let data = buffer.datas_mut().first_mut()?;
    let (offset, n_bytes) = (data.chunk().offset() as usize, data.chunk().size() as usize);
    let stride = usize::try_from(data.chunk().stride()).unwrap_or(0);
    let layout = Layout { stride, ..layout? };
    // A camera that had nothing to fill it with hands it on empty.
    let bytes = data.data()?.get(offset..offset + n_bytes).filter(|bytes| !bytes.is_empty())?.to_vec();
    let round = stream.time().ok().and_then(|time| u64::try_from(time.now()).ok()).filter(|nanos| *nanos > 0);
    Some(Picture { layout, bytes, round: round.map(Timestamp::from_nanos), at })
}

/// The camera of that name, or else of that description.
fn find(cameras: &[Camera], wanted: &str) -> Result<Camera> {
    let named = cameras.iter().find(|camera| camera.name == wanted);
    let found = named.or_else(|| cameras.iter().find(|camera| camera.description == wanted));
    found.cloned().ok_or_else(|| {
        let there: Vec<_> = cameras.iter().map(|camera| format!("{:?}", camera.name)).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        let advice = "start what makes it first: `effigy run --stamp --sink pipewire`";
        Error::new(ErrorKind::NoDevice, format!("no PipeWire camera {wanted:?}; there are: {there}; {advice}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_is_found_by_name_before_description() {
        let camera = |id: u32, name: &str, description: &str| {
            let (name, description) = (name.to_owned(), description.to_owned());
            Camera { id, name, description }
        };
        let cameras = [camera(3, "v4l2_input.usb", "effigy"), camera(7, "effigy", "other"), camera(9, "effigy", "x")];
        assert_eq!(find(&cameras, "effigy").unwrap().id, 7);
        assert_eq!(find(&cameras, "other").unwrap().id, 7);
        let error = find(&cameras, "Effigy").err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NoDevice);
        assert!(error.to_string().contains("there are: \"v4l2_input.usb\", \"effigy\""), "{error}");
        assert!(find(&[], "effigy").err().unwrap().to_string().contains("there are: none"));
    }
}
