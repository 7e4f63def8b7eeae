//! Remembers how a live run is left: written while it runs, so that a kill loses a second at most.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use effigy::capture::{CameraFormat, SourceSpec, SourceSwitch};
use effigy::composite::Shown;
use effigy::demand::CameraKind;
use effigy::error::OrError as _;
use effigy::report::LiveFigures;
use effigy::settings::write_atomically;
use effigy::sink::SinkSpec;
use effigy::steer::{CONTROLS, OscSpec};
use effigy::{ErrorKind, Result};

use super::settings::{self, Origin};
use super::{RunArgs, names};

/// How often it is looked whether something has changed.
const INTERVAL: Duration = Duration::from_millis(500);

/// Writes what holds until it is dropped.
pub(crate) struct Memory {
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Memory {
    /// Begins to remember a run with these arguments and files of identities; `numbers` are those, from 1, of who can be shown.
    ///
    /// # Errors
    /// When there is no folder for it, or no thread.
    pub(crate) fn begin(
        args: &RunArgs,
        identities: &[PathBuf],
        numbers: Vec<usize>,
        figures: Arc<LiveFigures>,
    ) -> Result<Self> {
        let files = identities.to_vec();
        let (fixed, source, camera) = (fixed(args, identities), kept(args, &["source"]), kept(args, CAMERA));
        let (sinks, is_stand_in) = (sinks(args), args.held.is_stand_in);
        let path = settings::last_path()?;
        let is_ending = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&is_ending);
        let work = move || {
            let mut written = None;
            loop {
                let is_last = ending.load(Ordering::Relaxed);
                let driving = figures.switch().map(SourceSwitch::driving);
                let cameras = figures.cameras().filter(|camera| camera.is_asked()).map(|camera| camera.kind().name());
                let sinks = sinks.iter().cloned().chain(cameras.map(str::to_owned)).collect::<Vec<_>>();
                let now = figures.shown().map(|shown| (shown, driving, sinks));
                if let Some((shown, driving, sinks)) = now.filter(|now| written.as_ref() != Some(now)) {
                    let changed = driving.as_ref().filter(|now| !now.is_first);
                    // What stands in for a camera that is not there is not what shall come back, but that camera.
                    let chosen = changed.filter(|now| !(is_stand_in && now.source == SourceSpec::Pattern));
                    let source =
                        chosen.map_or_else(|| source.clone(), |now| setting("source", [now.source.to_string()]));
                    let camera = changed.and_then(|now| now.wanted).map_or_else(|| camera.clone(), wanted);
                    let sink = setting("sink", sinks.iter().cloned());
                    let text = format!("{HEAD}{fixed}{sink}{source}{camera}{}", steered(&shown, &numbers, &files));
                    if let Err(error) = write_atomically(&path, text.as_bytes()) {
                        return log::warn!("this run is not remembered: {error}");
                    }
                    written = Some((shown, driving, sinks));
                }
                if is_last {
                    return;
                }
                std::thread::park_timeout(INTERVAL);
            }
        };
        let thread = std::thread::Builder::new()
            .name("memory".to_owned())
            .spawn(work)
            .or_error(ErrorKind::Internal, || "cannot start to remember the run".to_owned())?;
        Ok(Self { is_ending, thread: Some(thread) })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A thread that panicked has nothing more to write.
            let _ = thread.join();
        }
    }
}

const HEAD: &str = "# How the last live run was left; written by effigy. Settings of your own: `effigy config edit`.\n";

/// What a run does not change while it goes on.
fn fixed(args: &RunArgs, identities: &[PathBuf]) -> String {
    let mut text = String::new();
    let mut list = |key: &str, values: Vec<String>| text += &setting(key, values);
    // All of the library stays all of it, also when it grows.
    if !args.identity.is_empty() {
        list("identity", identities.iter().filter_map(|path| absolute(path)).collect());
    }
    list("key", args.keys.key.iter().filter_map(|path| absolute(path)).collect());
    list("passphrase-file", args.keys.passphrase_file.iter().filter_map(|path| absolute(path)).collect());
    text + &kept(args, &["osc", "obs", "obs-scene"])
}

/// Where the picture goes, and the cameras for other programs that only the page of the last run began: of those none keeps a run
/// from starting, and the page can end them.
pub(crate) fn begun(args: &RunArgs) -> (Vec<SinkSpec>, Vec<CameraKind>) {
    let is_of_last_run = args.held.rows.iter().any(|row| row.key == "sink" && row.origin == Origin::LastRun);
    let has_page = args.sink.iter().any(|sink| matches!(sink, SinkSpec::Http(_)));
    let kind = |sink: &SinkSpec| match sink {
        SinkSpec::Vcam { device: None, size_px: None } => Some(CameraKind::Vcam),
        SinkSpec::Pipewire { size_px: None } => Some(CameraKind::Pipewire),
        _ => None,
    };
    let on_demand = |sink: &SinkSpec| kind(sink).filter(|_| is_of_last_run && has_page);
    let cameras = args.sink.iter().filter_map(on_demand).collect();
    let sinks: Vec<_> = args.sink.iter().filter(|sink| on_demand(sink).is_none()).cloned().collect();
    (if sinks.is_empty() { vec![SinkSpec::Window] } else { sinks }, cameras)
}

/// Where the picture goes, as the run began.
fn sinks(args: &RunArgs) -> Vec<String> {
    // What writes files, lets other machines in, or listens to keyboards is not begun again by itself.
    let is_open = |sink: &SinkSpec| matches!(sink, SinkSpec::Http(address) if !address.ip().is_loopback());
    let is_kept = |sink: &&SinkSpec| sink.is_live_only() && !is_open(sink);
    let (begun, _) = begun(args);
    begun.iter().filter(|_| !args.sink.is_empty()).filter(is_kept).map(ToString::to_string).collect()
}

/// What a camera is asked for.
const CAMERA: &[&str] = &["camera-format", "camera-size", "camera-rate"];

/// What holds of these options.
fn kept(args: &RunArgs, keys: &[&str]) -> String {
    let is_osc_open = args.steering.osc.is_some_and(|OscSpec(address)| !address.ip().is_loopback());
    let is_source_open = matches!(&args.source, SourceSpec::Motion(motion) if motion.is_remote());
    let left_out = [("osc", is_osc_open), ("source", is_source_open)];
    let is_kept = |key: &&&str| !left_out.contains(&(**key, true));
    let values = |key: &str| args.held.rows.iter().find(|row| row.key == key).map(|row| row.values.clone());
    let line = |key: &&str| setting(key, values(key).unwrap_or_default());
    keys.iter().filter(is_kept).map(line).collect()
}

/// What a camera was asked for on the page, as settings.
fn wanted(CameraFormat { width_px, height_px, pixels, rate_hz }: CameraFormat) -> String {
    setting("camera-format", [pixels.to_string().to_lowercase()])
        + &setting("camera-size", [format!("{width_px}x{height_px}")])
        + &setting("camera-rate", [rate_hz.to_string()])
}

/// One setting as a line; empty without values.
fn setting(key: &str, values: impl IntoIterator<Item = String>) -> String {
    let value: toml_edit::Array = values.into_iter().collect();
    if value.is_empty() { String::new() } else { format!("{key} = {value}\n") }
}

/// A file by a name that holds everywhere; one that is no Unicode cannot stand in a file of settings.
fn absolute(path: &Path) -> Option<String> {
    path.canonicalize().ok()?.to_str().map(str::to_owned)
}

/// What was steered. Who is shown is told by number and by file: files may come and go between runs.
fn steered(shown: &Shown, numbers: &[usize], files: &[PathBuf]) -> String {
    // Who was enrolled during the run stands behind all others.
    let behind = || files.len() + 1 + shown.identity - numbers.len();
    let number = numbers.get(shown.identity).copied().unwrap_or_else(behind);
    let file = files.get(number - 1).and_then(|path| absolute(path));
    let shown = &Shown { identity: number - 1, ..*shown };
    let kept = CONTROLS.iter().filter(|entry| !entry.setting.is_empty());
    let line = |(key, value): (&str, String)| format!("{key} = {}\n", toml_edit::Value::from(value));
    let rest: String = kept.filter_map(|entry| Some((entry.setting, entry.typed(shown)?))).map(line).collect();
    setting(settings::FIRST_FILE, file) + &rest
}

/// The files of all identities of a run: those that were named, by path or by their names in the library; all of the library
/// where none was.
pub(crate) fn identity_files(args: &RunArgs) -> Result<Vec<PathBuf>> {
    if args.identity.is_empty() {
        let all = effigy::settings::Library::of_user().and_then(|library| library.list());
        // Without a home there is no library.
        return Ok(all.unwrap_or_default().into_iter().map(|shelved| shelved.path).collect());
    }
    Ok(settings::named_files(names::all(&args.identity)))
}
