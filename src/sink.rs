//! Where the picture goes: a window, a virtual camera, a browser, a file, nowhere.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::composite::OutFrame;
use crate::demand::{CameraDemand, Demand};
use crate::error::Result;

pub use crate::video::codec::Codec;
pub use camera::CameraOptions;
pub use http::{About, HttpOptions, HttpSink, MessageLog};
pub use null::NullSink;
pub use on_demand::{OnDemand, SigningMaker};
pub use open::{SinkOptions, open};
#[cfg(all(target_os = "linux", feature = "pipewire"))]
pub use pipewire::PipewireSink;
pub use recorder::{RateMode, Recorder, RecorderOptions};
pub use sequence::SequenceSink;
pub use spec::SinkSpec;
pub use switched::SwitchedCamera;
#[cfg(target_os = "linux")]
pub use vcam::{LoopbackEntry, VcamSink, loopbacks};
#[cfg(feature = "window")]
pub use window::WindowSink;
pub use window_event::{Figures, WindowEvent};

#[cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports, reason = "virtual cameras are Linux's so far"))]
mod camera;

mod contours;
pub mod http;
mod null;
mod on_demand;
mod open;
#[cfg(all(target_os = "linux", feature = "pipewire"))]
pub(crate) mod pipewire;
mod recorder;
mod sequence;
mod signed;
mod spec;
mod switched;
#[cfg(target_os = "linux")]
mod vcam;
#[cfg(feature = "window")]
mod window;
mod window_event;

/// How a sink wants its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The newest one; what it has no time for is dropped and counted.
    Latest,
    /// Every one, through a queue of this many.
    Every(usize),
}

/// Something that shows, sends or stores frames, one owner, one thread.
pub trait Sink {
    /// What it is, for the user and the report.
    fn name(&self) -> &str;

    /// How it wants its frames.
    fn delivery(&self) -> Delivery;

    /// What says whether it wants frames at the moment; without it, it wants them all the time.
    fn demand(&self) -> Option<Arc<Demand>> {
        None
    }

    /// The same for a camera that other programs get when it is asked for.
    fn camera_demand(&self) -> Option<Arc<CameraDemand>> {
        None
    }

    /// Shows one frame. [`ControlFlow::Break`] when the user closed the sink.
    ///
    /// # Errors
    /// When the sink cannot go on.
    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>>;

    /// Completes what was begun: a file's last bytes. Called once, also after an error elsewhere.
    ///
    /// # Errors
    /// When completing fails; the message says what is left.
    fn finish(&mut self) -> Result<()>;
}
