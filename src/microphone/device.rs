//! The system's microphones (cpal).
//!
//! A thread of its own opens the device, and again when it was unplugged: the system's own thread then calls with what was
//! heard.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait as _, HostTrait as _, StreamTrait as _};
use cpal::{Data, Device, FromSample, InputCallbackInfo, Sample as _, SampleFormat, SizedSample, StreamConfig};
use crossbeam_channel::{Receiver, Sender, bounded};

use super::{Microphone, MicrophoneSpec, SoundInlet};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, OrError as _, Result};

/// Rate to ask for: that of recordings.
const RATE_HZ: u32 = 48_000;
/// How long a device may take to begin.
const OPENING: Duration = Duration::from_secs(10);
/// Pause before a device that has gone is looked for again.
const PAUSE: Duration = Duration::from_secs(2);
/// How often it is looked whether the thread has ended.
const LOOK: Duration = Duration::from_millis(10);
/// Sound that a driver says to be older was not heard then.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Hears until it is dropped.
#[derive(Debug)]
pub struct Listening {
    microphone: Microphone,
    /// Closed when listening shall end.
    ending: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    /// What is heard.
    pub fn microphone(&self) -> &Microphone {
        &self.microphone
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.ending.take());
        if let Some(thread) = self.thread.take() {
            // It may hang in the driver: then it is left behind.
            let given_up = Instant::now() + PAUSE;
            while !thread.is_finished() && Instant::now() < given_up {
                std::thread::sleep(LOOK);
            }
            if thread.is_finished() {
                // A panic there has been printed, and ends the listening just so.
                let _ = thread.join();
            }
        }
    }
}

/// The names of all microphones, each once.
///
/// # Errors
/// [`ErrorKind::BackendUnavailable`]: the system has no sound.
pub fn microphones() -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for device in quietly(inputs)? {
        let name = name_of(&device);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether two mean the same device, as far as the system tells: also one by its name and one by its identifier.
pub fn is_same(a: &MicrophoneSpec, b: &MicrophoneSpec) -> bool {
    let id = |spec: &MicrophoneSpec| quietly(|| find(spec)).ok()?.id().ok();
    a == b || id(a).is_some_and(|a| id(b).is_some_and(|b| a.id() == b.id()))
}

/// Begins to listen; each block gets its time by `clock`.
///
/// # Errors
/// - [`ErrorKind::NoDevice`]: no such microphone; the message lists what there is.
/// - [`ErrorKind::DeviceBusy`], [`ErrorKind::PermissionDenied`]: it may not be used now, or by this user.
/// - [`ErrorKind::Io`]: it does not work.
pub fn listen(spec: &MicrophoneSpec, clock: impl Clock + 'static) -> Result<Listening> {
    let (ending, ends) = bounded(0);
    let (opened_tx, opened_rx) = bounded(1);
    let (spec, clock) = (spec.clone(), std::sync::Arc::new(clock));
    let thread = std::thread::Builder::new()
        .name("microphone".to_owned())
        .spawn(move || follow(&spec, &clock, &opened_tx, &ends))
        .or_error(ErrorKind::Internal, || "no thread for the microphone".to_owned())?;
    match opened_rx.recv_timeout(OPENING) {
        Ok(Ok(microphone)) => Ok(Listening { microphone, ending: Some(ending), thread: Some(thread) }),
        Ok(Err(error)) => Err(error),
        // The thread is left behind: it hangs in the driver.
        Err(_) => Err(Error::new(ErrorKind::DeviceLost, "the microphone does not answer; give another by its name")),
    }
}

/// Opens the device, says so, and opens it again whenever it has gone, until it is told to end.
fn follow<C: Clock + 'static>(
    spec: &MicrophoneSpec,
    clock: &std::sync::Arc<C>,
    opened: &Sender<Result<Microphone>>,
    ends: &Receiver<()>,
) {
    let (gone_tx, gone_rx) = bounded(8);
    let open = || {
        let device = quietly(|| find(spec))?;
        let (microphone, inlet) = Microphone::new(name_of(&device));
        let (config, stream) = start(&device, inlet, clock, &gone_tx)?;
        Ok((microphone, config, stream))
    };
    let (microphone, mut stream) = match open() {
        Ok((microphone, config, stream)) => {
            log::info!("microphone: {} is on, {} Hz", microphone.name(), config.sample_rate);
            if opened.send(Ok(microphone.clone())).is_err() {
                return;
            }
            (microphone, Some(stream))
        }
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    loop {
        let wait = if stream.is_some() { Duration::from_secs(3600) } else { PAUSE };
        crossbeam_channel::select! {
            // Nothing is sent there: it is closed.
            recv(ends) -> _ => return,
            recv(gone_rx) -> why => if let (Ok(why), true) = (why, stream.is_some()) {
                log::warn!("{} is not heard any more ({why}); it is looked for again", microphone.name());
                microphone.set_heard(false);
                stream = None;
            },
            default(wait) => if stream.is_none() {
                // What it says while it is away is no news.
                // Another microphone is not recorded under this one's name.
                let is_same = |device: &Device| name_of(device) == microphone.name();
                let found = quietly(|| find(spec)).ok().filter(is_same);
                // The system may prefer another by now.
                let found = found.or_else(|| quietly(inputs).ok()?.into_iter().find(is_same));
                let inlet = SoundInlet { microphone: microphone.clone(), level: 0.0 };
                // What the former stream said last; what a new one says counts.
                gone_rx.try_iter().for_each(drop);
                stream = found.and_then(|device| Some(start(&device, inlet, clock, &gone_tx).ok()?.1));
                if stream.is_some() {
                    microphone.set_heard(true);
                    log::warn!("{} is heard again", microphone.name());
                }
            },
        }
    }
}

/// ALSA's way to JACK, which prints on the terminal and waits where no such server runs.
const JACK: &str = "jack";

/// What can be heard with.
fn inputs() -> Result<Vec<Device>> {
    let devices = cpal::default_host().input_devices().map_err(|error| explain("the system's sound", &error))?;
    Ok(devices.filter(|device| !device.id().is_ok_and(|id| id.id() == JACK)).filter(can_hear).collect())
}

fn can_hear(device: &Device) -> bool {
    device.supported_input_configs().is_ok_and(|mut all| all.next().is_some())
}

fn find(spec: &MicrophoneSpec) -> Result<Device> {
    // Asking all devices takes long, and opens each for a moment.
    if *spec == MicrophoneSpec::First
        && let Some(preferred) = cpal::default_host().default_input_device().filter(can_hear)
    {
        return Ok(preferred);
    }
    let inputs = inputs()?;
    let holds = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
    let found = match spec {
        MicrophoneSpec::First => inputs.first().cloned(),
        MicrophoneSpec::Name(name) => {
            let is_it =
                |device: &&Device| holds(&name_of(device), name) || device.id().is_ok_and(|id| holds(id.id(), name));
            let exact = inputs.iter().find(|device| device.id().is_ok_and(|id| id.id() == name));
            exact.or_else(|| inputs.iter().find(is_it)).cloned()
        }
    };
    found.ok_or_else(|| {
        let mut names: Vec<_> = inputs.iter().map(name_of).collect();
        names.dedup();
        let message = match (names.is_empty(), spec) {
            (true, _) => {
                "there is no microphone; plug one in, or run without --microphone and audio:microphone".to_owned()
            }
            (false, spec) => format!("no microphone is called {:?}; there are: {}", spec.to_string(), names.join(", ")),
        };
        Error::new(ErrorKind::NoDevice, message)
    })
}

fn name_of(device: &Device) -> String {
    device.to_string()
}

/// Opens the device with what suits recordings best, and lets it hear.
fn start<C: Clock + 'static>(
    device: &Device,
    mut inlet: SoundInlet,
    clock: &std::sync::Arc<C>,
    gone: &Sender<String>,
) -> Result<(StreamConfig, cpal::Stream)> {
    let name = name_of(device);
    let (config, format) = quietly(|| choose(device, &name))?;
    let (clock, gone) = (std::sync::Arc::clone(clock), gone.clone());
    let heard = move |data: &Data, info: &InputCallbackInfo| {
        let times = info.timestamp();
        let age = times.callback.saturating_duration_since(times.capture).min(MAX_AGE);
        let heard = clock.now().as_nanos().saturating_sub(age.as_nanos() as u64);
        take(data, config, Timestamp::from_nanos(heard), &mut inlet);
    };
    let failed = move |error: cpal::Error| match error.kind() {
        // It goes on; what was lost has its place kept free.
        cpal::ErrorKind::Xrun | cpal::ErrorKind::DeviceChanged | cpal::ErrorKind::RealtimeDenied => {
            log::debug!("microphone: {error}");
        }
        // A full queue says the same already.
        _ => drop(gone.try_send(error.to_string())),
    };
    let stream = device.build_input_stream_raw(config, format, heard, failed, Some(OPENING));
    let stream = stream.map_err(|error| explain(&name, &error))?;
    stream.play().map_err(|error| explain(&name, &error))?;
    Ok((config, stream))
}

/// One or two channels and the recording's own rate, where the device has them.
fn choose(device: &Device, name: &str) -> Result<(StreamConfig, SampleFormat)> {
    let configs = device.supported_input_configs().map_err(|error| explain(name, &error))?;
    let suits = configs.filter(|config| rank(config.sample_format()).is_some()).min_by_key(|config| {
        let rate = RATE_HZ.clamp(config.min_sample_rate(), config.max_sample_rate());
        let is_many = config.channels() > 2;
        (rate < RATE_HZ, rate.abs_diff(RATE_HZ), is_many, rank(config.sample_format()), config.channels())
    });
    let config = suits.ok_or_else(|| {
        Error::new(ErrorKind::BackendUnavailable, format!("{name} gives no samples that can be read; give another"))
    })?;
    let rate = RATE_HZ.clamp(config.min_sample_rate(), config.max_sample_rate());
    let (channels, buffer_size) = (config.channels(), cpal::BufferSize::Default);
    Ok((StreamConfig { channels, sample_rate: rate, buffer_size }, config.sample_format()))
}

/// Which formats are read, the best first.
fn rank(format: SampleFormat) -> Option<usize> {
    use SampleFormat::{F32, F64, I8, I16, I24, I32, U8, U16};
    [F32, I32, I24, F64, I16, U16, I8, U8].iter().position(|known| *known == format)
}

/// Hands on what the device gives.
fn take(data: &Data, config: StreamConfig, heard: Timestamp, inlet: &mut SoundInlet) {
    match data.sample_format() {
        SampleFormat::F32 => take_as::<f32>(data, config, heard, inlet),
        SampleFormat::F64 => take_as::<f64>(data, config, heard, inlet),
        SampleFormat::I8 => take_as::<i8>(data, config, heard, inlet),
        SampleFormat::I16 => take_as::<i16>(data, config, heard, inlet),
        SampleFormat::I24 => take_as::<cpal::I24>(data, config, heard, inlet),
        SampleFormat::I32 => take_as::<i32>(data, config, heard, inlet),
        SampleFormat::U8 => take_as::<u8>(data, config, heard, inlet),
        SampleFormat::U16 => take_as::<u16>(data, config, heard, inlet),
        // Not asked for.
        _ => {}
    }
}

fn take_as<T: SizedSample>(data: &Data, config: StreamConfig, heard: Timestamp, inlet: &mut SoundInlet)
where
    f32: FromSample<T>,
{
    let n_channels = usize::from(config.channels.max(1));
    let frames = data.as_slice::<T>().unwrap_or_default().chunks_exact(n_channels);
    // Of many channels the first two; one is heard in both.
    let frames = frames.map(|frame| [frame[0], frame[1.min(n_channels - 1)]].map(f32::from_sample));
    inlet.push(heard, config.sample_rate, frames);
}

fn explain(name: &str, error: &cpal::Error) -> Error {
    use cpal::ErrorKind as Kind;
    let (kind, what) = match error.kind() {
        Kind::DeviceBusy => (ErrorKind::DeviceBusy, "is in use by another program; close that, or give another"),
        Kind::PermissionDenied => (
            ErrorKind::PermissionDenied,
            "may not be used; allow it in the system's settings, on Linux by the group `audio`",
        ),
        Kind::DeviceNotAvailable => (ErrorKind::NoDevice, "is not there any more"),
        Kind::HostUnavailable => (ErrorKind::BackendUnavailable, "is not there; start the system's sound server"),
        _ => (ErrorKind::Io, "cannot be heard; give another microphone by its name, as `effigy devices` lists them"),
    };
    Error::new(kind, format!("{name} {what}")).because(error.clone())
}

/// Does what looks for devices without ALSA's printing of all that it does not find.
#[cfg(target_os = "linux")]
fn quietly<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // Without it the work is done all the same.
    let _printed = alsa::Output::local_error_handler();
    work()
}

#[cfg(not(target_os = "linux"))]
fn quietly<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    work()
}
