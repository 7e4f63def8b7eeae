//! Opening what `--sink` says.

use std::path::Path;

use crate::capture::ClipSound;
use crate::credentials::Signing;
use crate::error::{Error, ErrorKind, Result};
use crate::microphone::Microphone;

use super::recorder::RATES_HZ;
use super::signed::SignedRecording;
use super::{
    CameraOptions, Codec, Delivery, NullSink, RateMode, Recorder, RecorderOptions, SequenceSink, Sink, SinkSpec,
};

/// What a sink must know before the first frame.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// The size of all frames, (width, height).
    pub size_px: (usize, usize),
    /// The rate of a video file or virtual camera, in frames a second.
    pub rate_hz: f64,
    /// Takes every frame and keeps one for one, as when a clip is rendered to a file.
    pub every_frame: bool,
    /// How a video file's pictures are coded.
    pub codec: Codec,
    /// The sound that a video file gets.
    pub sound: Option<ClipSound>,
    /// The microphone that a video file records instead.
    pub microphone: Option<Microphone>,
    /// How files are signed when they are complete; `None` leaves them unsigned.
    pub signing: Option<Signing>,
}

/// Opens any sink but the window and the server, so far that a wrong path is found here.
///
/// # Errors
/// - [`ErrorKind::Config`]: motion, which [`crate::motion_link::open_sink`] opens; the window, which is opened by `WindowSink::open` on the thread that polls its keys, and
///   the server, which [`super::HttpSink::open`] opens with the run's controls.
/// - [`ErrorKind::Io`], [`ErrorKind::PermissionDenied`]: the file cannot be written.
/// - [`ErrorKind::BackendUnavailable`]: FFmpeg has no such encoder, or the sink is not in this build.
/// - [`ErrorKind::NoDevice`], [`ErrorKind::DeviceBusy`]: there is no virtual camera that can be written to.
pub fn open(spec: &SinkSpec, options: &SinkOptions) -> Result<Box<dyn Sink + Send>> {
    Ok(match spec {
        SinkSpec::Window => {
            return Err(Error::new(ErrorKind::Config, "the window is opened by the thread that polls its keys"));
        }
        SinkSpec::Http(_) => {
            return Err(Error::new(ErrorKind::Config, "the server is opened with the run's controls"));
        }
        SinkSpec::Motion(_) => {
            return Err(Error::new(
                ErrorKind::Config,
                "motion is no picture; it is opened by `motion_link::open_sink`",
            ));
        }
        SinkSpec::Null if options.every_frame => Box::new(NullSink::new(Delivery::Every(8))),
        SinkSpec::Null => Box::new(NullSink::default()),
        SinkSpec::Video(path) => {
            let is_avi = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("avi"));
            let mode = match (options.every_frame, is_avi) {
                (true, _) => RateMode::OneForOne,
                (false, false) => RateMode::Variable,
                (false, true) => RateMode::Constant,
            };
            // A camera may promise more than any file can hold.
            let rate_hz = options.rate_hz.clamp(*RATES_HZ.start(), *RATES_HZ.end());
            let plain = RecorderOptions::new(options.size_px, rate_hz);
            let (codec, sound, microphone) = (options.codec.clone(), options.sound.clone(), options.microphone.clone());
            let recorder = Recorder::open(path, &RecorderOptions { mode, codec, sound, microphone, ..plain })?;
            match options.signing.clone() {
                Some(signing) => Box::new(SignedRecording::new(recorder, path, signing)),
                None => Box::new(recorder),
            }
        }
        SinkSpec::Sequence(pattern) => Box::new(SequenceSink::open(pattern, options.signing.clone())?),
        SinkSpec::Vcam { device, size_px } => open_vcam(device.as_deref(), &camera_options(*size_px, options))?,
        SinkSpec::Pipewire { size_px } => open_pipewire(&camera_options(*size_px, options))?,
    })
}

fn camera_options(size_px: Option<(usize, usize)>, options: &SinkOptions) -> CameraOptions {
    // Two pixels of a camera share a colour: of an odd side the last pixel is lost.
    let even = (options.size_px.0 & !1, options.size_px.1 & !1);
    // A source's rate is what its driver or file claims.
    CameraOptions { size_px: size_px.unwrap_or(even), rate_hz: options.rate_hz.clamp(1.0, 240.0) }
}

#[cfg(target_os = "linux")]
fn open_vcam(device: Option<&Path>, options: &CameraOptions) -> Result<Box<dyn Sink + Send>> {
    Ok(Box::new(super::VcamSink::open(device, options)?))
}

#[cfg(not(target_os = "linux"))]
fn open_vcam(_: Option<&Path>, _: &CameraOptions) -> Result<Box<dyn Sink + Send>> {
    super::spec::parse_vcam("").and(Err(Error::new(ErrorKind::Internal, "no virtual camera in this build")))
}

#[cfg(all(target_os = "linux", feature = "pipewire"))]
fn open_pipewire(options: &CameraOptions) -> Result<Box<dyn Sink + Send>> {
    Ok(Box::new(super::PipewireSink::open(options)?))
}

#[cfg(not(all(target_os = "linux", feature = "pipewire")))]
fn open_pipewire(_: &CameraOptions) -> Result<Box<dyn Sink + Send>> {
    super::spec::parse_pipewire("").and(Err(Error::new(ErrorKind::Internal, "no PipeWire in this build")))
}
