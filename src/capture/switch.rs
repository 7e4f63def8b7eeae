//! Another camera while a run goes on: what is asked for, and the source that changes over to it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::clock::Clock;
use crate::error::{ErrorKind, OrError as _, Result};

use super::{CameraFormat, CameraState, MAX_READ_WAIT, RawFrame, Read, Source, SourceOptions, SourceSpec, open};

/// What drives a live run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driving {
    /// As it is given to `--source`.
    pub source: SourceSpec,
    /// Its name and format, for the user; empty while nothing drives.
    pub name: String,
    /// What was asked of a camera; `None` for what the run began with.
    pub wanted: Option<CameraFormat>,
    /// The camera and what it offers, where it is one.
    pub camera: Option<CameraState>,
    /// Whether another one is being opened at this moment.
    pub is_changing: bool,
    /// Whether nothing was changed since the run began.
    pub is_first: bool,
}

/// What a run that can change its camera is asked, and what drives it now.
///
/// Whoever steers asks; the capture thread looks at one flag a frame, and takes the lock only when something was asked.
#[derive(Debug)]
pub struct SourceSwitch {
    is_asked: AtomicBool,
    wishes: Mutex<Wishes>,
    driving: Mutex<Driving>,
    version: AtomicU64,
}

/// What was asked for.
#[derive(Debug, Default)]
struct Wishes {
    /// What nobody has begun with yet.
    asked: Option<Wish>,
    /// What is being opened.
    pending: Option<Wish>,
}

/// A source, and what a camera is asked for.
#[derive(Clone, Debug)]
struct Wish {
    source: SourceSpec,
    format: Option<CameraFormat>,
}

impl SourceSwitch {
    /// Asks for another source.
    pub fn ask_source(&self, source: SourceSpec) {
        // What one camera was asked for says nothing about another.
        self.ask(|_| Wish { source, format: None });
    }

    /// Asks the camera for another format; `None` for what the run began with.
    pub fn ask_format(&self, format: Option<CameraFormat>) {
        self.ask(|before| Wish { format, ..before });
    }

    fn ask(&self, change: impl FnOnce(Wish) -> Wish) {
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        let before = wishes.asked.take().or_else(|| wishes.pending.clone()).unwrap_or_else(|| {
            let driving = self.driving();
            Wish { source: driving.source, format: driving.wanted }
        });
        wishes.asked = Some(change(before));
        self.is_asked.store(true, Ordering::Release);
    }

    /// What shall be opened now.
    fn take(&self) -> Option<Wish> {
        if !self.is_asked.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.pending = wishes.asked.take();
        wishes.pending.clone()
    }

    /// What drives now.
    pub fn driving(&self) -> Driving {
        self.driving.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes whenever what drives does.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn set(&self, change: impl FnOnce(&mut Driving)) {
        change(&mut self.driving.lock().unwrap_or_else(PoisonError::into_inner));
        self.version.fetch_add(1, Ordering::AcqRel);
    }
}

/// A camera or the test pattern, which gives way to another when that is asked for.
///
/// The old one is closed first: the same camera with another format cannot be opened twice, and two may be too much for one
/// cable. A thread does it, so that a driver which hangs holds up nobody; meanwhile no frame comes. When the new one cannot be
/// opened the old one is again.
pub struct SwitchedSource {
    switch: Arc<SourceSwitch>,
    options: SourceOptions,
    now: Wish,
    name: String,
    source: Option<Box<dyn Source>>,
    /// How often it was changed.
    n_changes: u32,
    opening: Option<Receiver<Opened>>,
}

/// What came of a change.
struct Opened {
    source: Option<Box<dyn Source>>,
    wish: Wish,
}

impl SwitchedSource {
    /// Opens `source`, as [`open`] does.
    ///
    /// # Errors
    /// Those of [`open`].
    pub fn open(source: &SourceSpec, options: &SourceOptions) -> Result<Self> {
        let opened = open(source, options)?;
        let now = Wish { source: source.clone(), format: None };
        let driving = Driving {
            source: source.clone(),
            name: opened.name().to_owned(),
            wanted: None,
            camera: opened.camera(),
            is_changing: false,
            is_first: true,
        };
        let switch = Arc::new(SourceSwitch {
            is_asked: AtomicBool::new(false),
            wishes: Mutex::default(),
            driving: Mutex::new(driving.clone()),
            version: AtomicU64::new(0),
        });
        Ok(Self {
            switch,
            options: options.clone(),
            now,
            name: driving.name,
            source: Some(opened),
            n_changes: 0,
            opening: None,
        })
    }

    /// Begins to change over.
    fn begin(&mut self, wish: Wish) -> Result<()> {
        let (old, before, options) = (self.source.take(), self.now.clone(), self.options.clone());
        let (opened, opening) = bounded(1);
        std::thread::Builder::new()
            .name("change".into())
            // Whoever waited may have gone; what was opened is closed then.
            .spawn(move || drop(opened.try_send(change(old, before, wish, &options))))
            .or_error(ErrorKind::Internal, || "cannot start the thread that opens a camera".into())?;
        self.opening = Some(opening);
        self.switch.set(|driving| driving.is_changing = true);
        Ok(())
    }

    fn end(&mut self, opened: Opened) {
        self.opening = None;
        self.n_changes = self.n_changes.wrapping_add(1);
        (self.source, self.now) = (opened.source, opened.wish);
        self.tell();
        self.switch.wishes.lock().unwrap_or_else(PoisonError::into_inner).pending = None;
    }

    /// Tells whoever looks what drives.
    fn tell(&mut self) {
        self.name.clear();
        self.name.push_str(self.source.as_ref().map_or("", |source| source.name()));
        let camera = self.source.as_ref().and_then(|source| source.camera());
        let (now, name) = (self.now.clone(), self.name.clone());
        self.switch.set(|driving| {
            let is_first = driving.is_first && now.source == driving.source && now.format == driving.wanted;
            *driving = Driving { source: now.source, name, wanted: now.format, camera, is_changing: false, is_first };
        });
    }
}

/// Closes the old source and opens the one that is wished, or the old one again.
fn change(old: Option<Box<dyn Source>>, before: Wish, wish: Wish, options: &SourceOptions) -> Opened {
    drop(old);
    let open = |wish: &Wish| open(&wish.source, &options.with_format(wish.format));
    match open(&wish) {
        Ok(source) => {
            log::info!("source: {}", source.name());
            Opened { source: Some(source), wish }
        }
        Err(error) => {
            log::warn!("{error}");
            match open(&before) {
                Ok(source) => {
                    log::info!("source: {} as before", source.name());
                    Opened { source: Some(source), wish: before }
                }
                Err(error) => {
                    log::warn!("nothing drives any more, choose a camera: {error}");
                    Opened { source: None, wish: before }
                }
            }
        }
    }
}

impl Source for SwitchedSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        if let Some(opening) = &self.opening {
            match opening.recv_timeout(MAX_READ_WAIT) {
                Ok(opened) => self.end(opened),
                Err(RecvTimeoutError::Timeout) => {}
                // The driver's code broke down.
                Err(RecvTimeoutError::Disconnected) => {
                    log::warn!("the camera cannot be opened, its driver fails; choose another");
                    let wish = self.now.clone();
                    self.end(Opened { source: None, wish });
                }
            }
            return Ok(Read::Idle);
        }
        if let Some(wish) = self.switch.take() {
            self.begin(wish)?;
            return Ok(Read::Idle);
        }
        let Some(source) = &mut self.source else {
            std::thread::sleep(MAX_READ_WAIT);
            return Ok(Read::Idle);
        };
        let read = source.read(frame, clock)?;
        // A camera that was lost may come back as another one, or in another format.
        if source.name() != self.name {
            self.n_changes = self.n_changes.wrapping_add(1);
            self.tell();
        }
        frame.set_camera(self.n_changes);
        Ok(read)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        self.source.as_ref()?.frame_rate_hz()
    }

    fn measured_rate_hz(&self) -> Option<f64> {
        self.source.as_ref()?.measured_rate_hz()
    }

    fn camera(&self) -> Option<CameraState> {
        self.source.as_ref()?.camera()
    }

    fn switch(&self) -> Option<Arc<SourceSwitch>> {
        Some(Arc::clone(&self.switch))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::clock::MonotonicClock;

    /// Reads until a frame comes; its size.
    fn next_size(source: &mut SwitchedSource, frame: &mut RawFrame) -> (usize, usize) {
        let begin = Instant::now();
        while begin.elapsed().as_secs() < 60 {
            let called = Instant::now();
            let read = source.read(frame, &MonotonicClock::new()).unwrap();
            // Nothing of the change is waited for in here.
            assert!(read == Read::Fresh || called.elapsed() < MAX_READ_WAIT * 30, "{:?}", called.elapsed());
            if read == Read::Fresh && !source.switch.driving().is_changing {
                return (frame.picture().width_px(), frame.picture().height_px());
            }
        }
        panic!("no frame came");
    }

    /// A picture in a file that goes with it.
    struct Still(std::path::PathBuf);

    impl Still {
        fn new(name: &str, width: u32, height: u32) -> Self {
            let path = std::env::temp_dir().join(format!("effigy-switch-{}-{name}.png", std::process::id()));
            image::RgbImage::from_pixel(width, height, image::Rgb([9, 9, 9])).save(&path).unwrap();
            Self(path)
        }

        fn spec(&self) -> SourceSpec {
            SourceSpec::File(self.0.clone())
        }
    }

    impl Drop for Still {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn it_changes_over_and_stays_with_the_old_where_the_new_cannot_be_opened() {
        let files = (Still::new("small", 64, 48), Still::new("large", 320, 200));
        let (small, large) = (files.0.spec(), files.1.spec());
        let mut source = SwitchedSource::open(&small, &SourceOptions::default()).unwrap();
        let switch = source.switch().unwrap();
        let mut frame = RawFrame::default();
        assert_eq!(next_size(&mut source, &mut frame), (64, 48));

        switch.ask_source(large.clone());
        // One frame of the old one may come before the change is noticed, and none after it.
        let sizes = [0; 2].map(|_| next_size(&mut source, &mut frame));
        assert_eq!(sizes[1], (320, 200));
        assert_eq!(frame.camera(), 1, "another camera, as everybody who measures must know");
        assert_eq!(switch.driving().source, large);
        assert!(switch.driving().name.contains("large") && source.name() == switch.driving().name);

        let version = switch.version();
        switch.ask_source(SourceSpec::File("not-there.png".into()));
        let begin = Instant::now();
        while switch.version() < version + 2 {
            assert!(begin.elapsed().as_secs() < 60, "nothing comes of the wish");
            let _ = source.read(&mut frame, &MonotonicClock::new()).unwrap();
        }
        assert_eq!(switch.driving().source, large);
        assert_eq!(next_size(&mut source, &mut frame), (320, 200));
    }

    #[test]
    fn of_two_wishes_the_later_one_counts_and_a_format_belongs_to_its_camera() {
        let file = Still::new("one", 64, 48);
        let small = file.spec();
        let mut source = SwitchedSource::open(&small, &SourceOptions::default()).unwrap();
        let format = "1280x720 MJPEG 30/s".parse().unwrap();
        source.switch.ask_format(Some(format));
        let wish = source.switch.take().unwrap();
        assert_eq!((wish.source, wish.format), (small.clone(), Some(format)));
        assert!(source.switch.take().is_none());

        // While one is being opened, a format is asked of that one and not of the one that was before.
        source.switch.ask_source(SourceSpec::Pattern);
        assert_eq!(source.switch.take().unwrap().source, SourceSpec::Pattern);
        source.switch.ask_format(Some(format));
        let wish = source.switch.take().unwrap();
        assert_eq!((wish.source, wish.format), (SourceSpec::Pattern, Some(format)));

        source.switch.ask_source(SourceSpec::Pattern);
        source.switch.ask_format(Some(format));
        source.switch.ask_source(small.clone());
        let wish = source.switch.take().unwrap();
        assert_eq!((wish.source.clone(), wish.format), (small, None));
        source.begin(wish).unwrap();
        assert_eq!(next_size(&mut source, &mut RawFrame::default()), (64, 48));
    }
}
