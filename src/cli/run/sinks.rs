//! The sinks of a run, opened so that nothing half made is left when a later one fails.

use std::path::Path;
use std::sync::Arc;

use effigy::credentials::Signing;
use effigy::demand::{CameraDemand, CameraKind, Demand};
use effigy::sink::{self, HttpOptions, HttpSink, OnDemand, SigningMaker, SinkOptions, SinkSpec, SwitchedCamera};
use effigy::{Result, Sink};

use crate::cli::browser;

/// Sinks that are open. Unless they are taken, they clear away their empty files.
pub(super) struct Opened(Vec<Box<dyn Sink + Send>>);

impl Opened {
    /// Opens every sink of pictures but the window and the server.
    pub(super) fn files(
        specs: &[SinkSpec],
        options: &SinkOptions,
        signing: impl FnOnce() -> Option<Signing>,
    ) -> Result<Self> {
        let has_files = specs.iter().any(|spec| matches!(spec, SinkSpec::Video(_) | SinkSpec::Sequence(_)));
        let signing = if has_files { signing() } else { None };
        let options = SinkOptions { signing, ..options.clone() };
        let mut opened = Self(Vec::new());
        let is_elsewhere =
            |spec: &&SinkSpec| matches!(spec, SinkSpec::Window | SinkSpec::Http(_) | SinkSpec::Motion(_));
        for spec in specs.iter().filter(|spec| !is_elsewhere(spec)) {
            opened.0.push(sink::open(spec, &options)?);
        }
        Ok(opened)
    }

    /// Opens the control page, and shows it in a browser where that is wanted.
    pub(super) fn serve(&mut self, options: HttpOptions, opens_page: bool) -> Result<()> {
        let server = HttpSink::open(options)?;
        announce(&server);
        if opens_page {
            browser::open(&server.url("/"));
        }
        self.0.push(Box::new(server));
        Ok(())
    }

    /// Adds the cameras for other programs that this build has and the run was not begun with: the page begins and ends them.
    ///
    /// Those of `asked` are begun at once.
    pub(super) fn offer_cameras(&mut self, specs: &[SinkSpec], options: &SinkOptions, asked: &[CameraKind]) {
        let is_here = |kind: &CameraKind| match kind {
            CameraKind::Vcam => {
                cfg!(target_os = "linux") && !specs.iter().any(|spec| matches!(spec, SinkSpec::Vcam { .. }))
            }
            CameraKind::Pipewire => {
                cfg!(all(target_os = "linux", feature = "pipewire"))
                    && !specs.iter().any(|spec| matches!(spec, SinkSpec::Pipewire { .. }))
            }
        };
        for kind in [CameraKind::Vcam, CameraKind::Pipewire].into_iter().filter(is_here) {
            let demand = CameraDemand::new(kind);
            demand.ask(asked.contains(&kind));
            self.0.push(Box::new(SwitchedCamera::new(options.clone(), Arc::new(demand))));
        }
    }

    /// Adds what writes recordings and pictures into a folder when they are asked for.
    pub(super) fn offer_recordings(&mut self, folder: &Path, options: SinkOptions, signing: SigningMaker) {
        self.0.push(Box::new(OnDemand::new(folder, options, signing, Arc::new(Demand::default()))));
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|sink| sink.name())
    }

    /// Hands them on to a run, which will finish them.
    pub(super) fn take(mut self) -> Vec<Box<dyn Sink + Send>> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        for sink in &mut self.0 {
            // The error that led here is the one to report.
            let _ = sink.finish();
        }
    }
}

/// Says how to reach the page, and what it means when others can.
fn announce(server: &HttpSink) {
    log::info!("control page: {}", server.url("/"));
    log::info!("for OBS, as a browser source: {}", server.view_url());
    if !server.address().ip().is_loopback() {
        log::warn!(
            "other machines can reach the control page; everyone who learns its address and token can watch, steer \
             and have recordings written, and nothing is encrypted"
        );
    }
}
