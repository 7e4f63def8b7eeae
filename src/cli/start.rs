//! `effigy` alone: the control page, beside what the settings and the last run say; with the program's own people and clip
//! where there is nobody else.

use effigy::capture::{self, CameraChoice, CameraEntry, SourceSpec};
use effigy::composite::{CAMERA_FRAME_PX, FrameSize};
use effigy::sink::SinkSpec;
use effigy::{Error, ErrorKind, Result};

use super::{Cli, Command, devices, run};

/// Opens the page in a browser; without a display says what to type.
pub(crate) fn run() -> Result<()> {
    if !has_browser() {
        return Err(Error::new(
            ErrorKind::Config,
            "no display here, so no page is opened; `effigy run --sink http` prints the page's address, `effigy doctor` says \
             what is missing, `effigy --help` what there is",
        ));
    }
    let line = ["effigy", "run"].map(Into::into);
    let Some(Command::Run(mut args)) = Cli::of_line(&line)?.command else {
        return Err(Error::new(ErrorKind::Internal, "the page cannot be opened"));
    };
    if !args.sink.iter().any(|sink| matches!(sink, SinkSpec::Http(_))) {
        args.sink.push("http".parse()?);
    }
    let is_ready = |choice: &CameraChoice| {
        let fits = |camera: &CameraEntry| camera.trouble.is_none() && choice.fits(camera.index, &camera.name);
        capture::cameras().is_ok_and(|cameras| cameras.iter().any(fits))
    };
    if let SourceSpec::Camera(choice) = &args.source
        && !is_ready(choice)
    {
        log::warn!(
            "{} is not ready: the program's own clip drives until a camera is chosen; `effigy doctor` says what to do",
            args.source
        );
        args.source = SourceSpec::Pattern;
        args.looped = true;
        args.held.is_stand_in = true;
    }
    args.opens_page = true;
    // What a call shows, which the page can begin at any time.
    args.frame.size.get_or_insert(FrameSize(CAMERA_FRAME_PX.0, CAMERA_FRAME_PX.1));
    run::run(&args)
}

/// Whether a browser can be expected to open.
fn has_browser() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || is_set("WAYLAND_DISPLAY") || devices::has_display()
}
