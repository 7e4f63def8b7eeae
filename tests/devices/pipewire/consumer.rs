//! A program that looks at a PipeWire camera.

use std::cell::RefCell;
use std::io::Cursor;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use pipewire::context::ContextRc;
use pipewire::keys;
use pipewire::main_loop::MainLoopRc;
use pipewire::properties::properties;
use pipewire::spa::param::ParamType;
use pipewire::spa::param::format::{FormatProperties, MediaSubtype, MediaType};
use pipewire::spa::param::video::{VideoFormat, VideoInfoRaw};
use pipewire::spa::pod::serialize::PodSerializer;
use pipewire::spa::pod::{Pod, Value, object, property};
use pipewire::spa::utils::{Direction, Fraction, Rectangle, SpaTypes};
use pipewire::stream::{StreamFlags, StreamRc};

use super::BOUND;

/// What the camera delivered.
pub(super) struct Frame {
    pub(super) size_px: (u32, u32),
    pub(super) bytes: Vec<u8>,
}

/// Reads until it is dropped.
pub(super) struct Consumer {
    frames: Receiver<Frame>,
    n_frames: Arc<AtomicUsize>,
    stop: Option<pipewire::channel::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Consumer {
    /// Asks the camera `node` for one format and size at any rate.
    pub(super) fn start(node: u32, format: VideoFormat, size_px: (u32, u32)) -> Self {
        let (frames_tx, frames) = bounded(1);
        let (stop, stopped) = pipewire::channel::channel();
        let n_frames = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&n_frames);
        let thread = std::thread::Builder::new()
            .name("consumer".to_owned())
            .spawn(move || consume(node, format, size_px, &frames_tx, &count, stopped))
            .unwrap();
        Self { frames, n_frames, stop: Some(stop), thread: Some(thread) }
    }

    /// Frames that came so far.
    pub(super) fn n_frames(&self) -> usize {
        self.n_frames.load(Ordering::Relaxed)
    }

    /// Waits for a frame that is as expected.
    pub(super) fn read_until(&self, what: &str, is_expected: impl Fn(&Frame) -> bool) -> Frame {
        let begin = Instant::now();
        let (mut n_others, mut last) = (0, Vec::new());
        while begin.elapsed() < BOUND {
            let frame = self.frames.recv_timeout(BOUND).unwrap_or_else(|error| panic!("{what}: no frame: {error}"));
            if is_expected(&frame) {
                return frame;
            }
            n_others += 1;
            last = frame.bytes;
        }
        let path = std::env::temp_dir().join("effigy-unexpected.raw");
        std::fs::write(&path, last).unwrap();
        panic!("{what}: {n_others} frames came and none was it; the last is {}", path.display());
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn consume(
    node: u32,
    format: VideoFormat,
    (width, height): (u32, u32),
    frames: &Sender<Frame>,
    count: &Arc<AtomicUsize>,
    stopped: pipewire::channel::Receiver<()>,
) {
    pipewire::init();
    let main_loop = MainLoopRc::new(None).unwrap();
    let quitter = main_loop.clone();
    let _stop = stopped.attach(main_loop.loop_(), move |()| quitter.quit());
    let context = ContextRc::new(&main_loop, None).unwrap();
    let core = context.connect_rc(None).unwrap();
    let properties = properties! {
        *keys::MEDIA_TYPE => "Video",
        *keys::MEDIA_CATEGORY => "Capture",
        *keys::MEDIA_ROLE => "Camera",
    };
    let stream = StreamRc::new(core, "consumer", properties).unwrap();
    let negotiated = Rc::new(RefCell::new(VideoInfoRaw::new()));
    let (info, frames, count) = (Rc::clone(&negotiated), frames.clone(), Arc::clone(count));
    let _listener = stream
        .add_local_listener::<()>()
        .param_changed(move |_, (), id, param| {
            if let Some(param) = param.filter(|_| id == ParamType::Format.as_raw()) {
                info.borrow_mut().parse(param).unwrap();
            }
        })
        .process(move |stream, ()| {
            let Some(mut buffer) = stream.dequeue_buffer() else { return };
            let size = negotiated.borrow().size();
            let data = &mut buffer.datas_mut()[0];
            let n_bytes = data.chunk().size() as usize;
            if n_bytes == 0 {
                return;
            }
            count.fetch_add(1, Ordering::Relaxed);
            let bytes = data.data().unwrap()[..n_bytes].to_vec();
            // Whoever looks at frames is slower than the camera.
            let _ = frames.try_send(Frame { size_px: (size.width, size.height), bytes });
        })
        .register()
        .unwrap();
    let offer = object!(
        SpaTypes::ObjectParamFormat,
        ParamType::EnumFormat,
        property!(FormatProperties::MediaType, Id, MediaType::Video),
        property!(FormatProperties::MediaSubtype, Id, MediaSubtype::Raw),
        property!(FormatProperties::VideoFormat, Id, format),
        property!(FormatProperties::VideoSize, Rectangle, Rectangle { width, height }),
        property!(
            FormatProperties::VideoFramerate,
            Choice,
            Range,
            Fraction,
            Fraction { num: 30, denom: 1 },
            Fraction { num: 0, denom: 1 },
            Fraction { num: 240, denom: 1 }
        ),
    );
    let bytes = PodSerializer::serialize(Cursor::new(Vec::new()), &Value::Object(offer)).unwrap().0.into_inner();
    let flags = StreamFlags::AUTOCONNECT | StreamFlags::MAP_BUFFERS;
    stream.connect(Direction::Input, Some(node), flags, &mut [Pod::from_bytes(&bytes).unwrap()]).unwrap();
    main_loop.run();
}
