//! A camera for other programs, begun and ended while a run goes on.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::composite::OutFrame;
use crate::demand::{CameraDemand, CameraKind};
use crate::error::Result;

use super::{Delivery, Sink, SinkOptions, SinkSpec, open};

/// Opens a virtual camera while one is asked for, and closes it when it is not.
///
/// One that cannot be opened, or fails, is told and asked for no longer; the run goes on.
pub struct SwitchedCamera {
    name: String,
    options: SinkOptions,
    demand: Arc<CameraDemand>,
    camera: Option<Box<dyn Sink + Send>>,
}

impl SwitchedCamera {
    /// Opens nothing yet.
    pub fn new(options: SinkOptions, demand: Arc<CameraDemand>) -> Self {
        let name = format!("a camera for other programs ({}), when asked for", demand.kind().name());
        Self { name, options, demand, camera: None }
    }

    fn spec(&self) -> SinkSpec {
        match self.demand.kind() {
            CameraKind::Vcam => SinkSpec::Vcam { device: None, size_px: None },
            CameraKind::Pipewire => SinkSpec::Pipewire { size_px: None },
        }
    }

    /// Opens it, or presents; what fails is closed.
    fn show(&mut self, frame: &OutFrame) -> Result<()> {
        let Some(camera) = &mut self.camera else {
            let camera = open(&self.spec(), &self.options)?;
            log::info!("camera for other programs: {}", camera.name());
            self.camera = Some(camera);
            self.demand.set_open(true);
            return Ok(());
        };
        camera.present(frame).map(drop)
    }

    fn close(&mut self) {
        let Some(mut camera) = self.camera.take() else { return };
        self.demand.set_open(false);
        match camera.finish() {
            Ok(()) => log::info!("camera for other programs: {} is off", camera.name()),
            Err(error) => log::warn!("{error}"),
        }
    }
}

impl Sink for SwitchedCamera {
    fn name(&self) -> &str {
        &self.name
    }

    fn delivery(&self) -> Delivery {
        Delivery::Latest
    }

    fn camera_demand(&self) -> Option<Arc<CameraDemand>> {
        Some(Arc::clone(&self.demand))
    }

    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        if !self.demand.is_asked() {
            self.close();
        } else if let Err(error) = self.show(frame) {
            self.demand.ask(false);
            self.close();
            log::warn!("no camera for other programs: {error}");
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        self.close();
        Ok(())
    }
}
