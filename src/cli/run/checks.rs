//! What of a run is typed wrongly, said before anything is opened or written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use effigy::capture::SourceSpec;
use effigy::microphone::MicrophoneSpec;
use effigy::motion_link::MotionSinkSpec;
use effigy::sink::SinkSpec;
use effigy::steer::OscSpec;
use effigy::{Error, ErrorKind, Identity, Result};

use crate::cli::outputs::{is_numbered, is_same_file, is_same_place};
use crate::cli::settings::Origin;
use crate::cli::user;
use crate::cli::{Backend, Maker, Model, RunArgs, names};

/// The visible mark may go only where nobody can be wronged.
pub(in crate::cli) fn check_badge(no_badge: bool, identities: &[Arc<Identity>]) -> Result<()> {
    let bound = identities.iter().find(|identity| !identity.manifest.consent.basis.may_go_unmarked());
    match bound {
        Some(identity) if no_badge => Err(Error::new(
            ErrorKind::Config,
            format!(
                "--no-badge needs identities of oneself or of synthetic people; \"{}\" was enrolled with consent {}",
                identity.manifest.name,
                identity.manifest.consent.basis.name()
            ),
        )),
        _ => Ok(()),
    }
}

/// A network of others looks at the driver's picture, on this machine; and only a network has weights.
pub(super) fn check_model(args: &RunArgs) -> Result<()> {
    if args.model == Model::Own {
        // In the settings weights hold for those runs that have a network.
        if args.backend == Maker::Here(Backend::Warp) && is_typed(args, "weights") {
            let why = "--backend warp has no network, and so no weights; leave --weights or --backend out";
            return Err(Error::new(ErrorKind::Config, why));
        }
        return Ok(());
    }
    let is_driven = !matches!(args.model, Model::Family(kind) if !kind.is_driven());
    let why = if is_driven && matches!(args.source, SourceSpec::Motion(_)) {
        format!("is driven by pictures, and --source {} has none; give a camera or a clip", args.source)
    } else if matches!(args.model, Model::Pack(_)) && args.weights.is_some() {
        "has its weights in its folder; leave --weights out".to_owned()
    } else {
        return match args.backend {
            Maker::Here(backend) => args.model.provider(backend).map(drop),
            #[cfg(feature = "remote")]
            Maker::Remote(_) => Err(Error::new(
                ErrorKind::Config,
                format!("--model {} runs on this machine; leave --backend out", args.model),
            )),
        };
    };
    Err(Error::new(ErrorKind::Config, format!("--model {} {why}", args.model)))
}

/// Two faces need two identities, a picture in which they are, and effigy's own network.
pub(super) fn check_faces(args: &RunArgs, identities: &[Arc<Identity>]) -> Result<()> {
    if args.faces < 2 {
        return Ok(());
    }
    let why = if identities.len() < 2 {
        let n = identities.len();
        format!(
            "needs two identities, and there is {n}: --identity a.effigy,b.effigy (one photo of two people is enrolled \
                 twice, with --face 1 and --face 2)"
        )
    } else if let SourceSpec::Motion(motion) = &args.source {
        format!("needs a camera or a clip that shows them, and --source {motion} is one person's")
    } else if args.model != Model::Own {
        format!("needs effigy's own network; leave --model {} out", args.model)
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Config, format!("--faces 2 {why}")))
}

/// Rendering every frame makes sense from a clip to files.
pub(super) fn check_every_frame(args: &RunArgs, sinks: &[SinkSpec]) -> Result<()> {
    if !args.every_frame {
        return Ok(());
    }
    let is_clip = match &args.source {
        SourceSpec::File(_) | SourceSpec::Url(_) | SourceSpec::StandardInput => true,
        SourceSpec::Motion(motion) => !motion.is_live(),
        SourceSpec::Camera(_) | SourceSpec::Pattern => false,
    };
    let why = if !is_clip {
        "--every-frame needs a clip: --source FILE"
    } else if args.looped {
        "--every-frame with --loop would never end"
    } else if sinks.iter().any(SinkSpec::is_live_only) {
        "--every-frame needs a sink that waits for it, such as --sink file:out.mp4"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Config, why))
}

/// One window, one server, each camera once, and files that nothing else needs.
pub(super) fn check_sinks(args: &RunArgs, sinks: &[SinkSpec]) -> Result<()> {
    let config = |message: String| Err(Error::new(ErrorKind::Config, message));
    for (i, sink) in sinks.iter().enumerate() {
        let is_repeated = sinks[..i].contains(sink);
        match sink {
            SinkSpec::Window if is_repeated => {
                return config("one window is enough; give `--sink window` once".to_owned());
            }
            SinkSpec::Http(_) if sinks[..i].iter().any(|other| matches!(other, SinkSpec::Http(_))) => {
                return config("one server is enough for all; give `--sink http` once".to_owned());
            }
            SinkSpec::Http(address) if !address.ip().is_loopback() && !args.allow_remote => {
                return config(format!(
                    "--sink http:{address} lets other machines reach the control page: everyone who learns its \
                     address and token could watch, steer and record, and nothing is encrypted. If that is wanted, add \
                     --allow-remote; if not: --sink http"
                ));
            }
            SinkSpec::Vcam { .. } | SinkSpec::Pipewire { .. } if is_repeated => {
                return config(format!("two sinks would be the same camera; give `--sink {sink}` once"));
            }
            SinkSpec::Motion(MotionSinkSpec::Udp(..)) if is_repeated => {
                return config(format!("motion would be sent there twice; give `--sink {sink}` once"));
            }
            _ => {}
        }
    }
    check_files(args, sinks)
}

/// Every file is written by one only, and never over what the run reads.
fn check_files(args: &RunArgs, sinks: &[SinkSpec]) -> Result<()> {
    let config = |message: String| Err(Error::new(ErrorKind::Config, message));
    let source = match &args.source {
        SourceSpec::File(path) => Some(path),
        SourceSpec::Motion(motion) => motion.file(),
        _ => None,
    };
    let read: Vec<&PathBuf> = names::all(&args.identity).chain(source).collect();
    for (i, sink) in sinks.iter().enumerate() {
        let Some(path) = file_of(sink) else { continue };
        if sinks[..i].iter().filter_map(file_of).any(|other| is_same_place(path, other)) {
            return config(format!("two sinks would write the same file; give each its own: {}", path.display()));
        }
        if read.iter().any(|other| other.exists() && writes(sink, other)) {
            return config(format!("the recording would replace what the run reads; name another: {}", path.display()));
        }
    }
    let Some(report) = &args.report else { return Ok(()) };
    if read.iter().any(|other| is_same_file(report, other)) {
        return config(format!("the report would replace what the run reads; name another: {}", report.display()));
    }
    if sinks.iter().any(|sink| writes(sink, report)) {
        return config(format!("the report would replace what the run records; name another: {}", report.display()));
    }
    Ok(())
}

/// The file that a sink writes, or the pattern of its files' names.
fn file_of(sink: &SinkSpec) -> Option<&PathBuf> {
    match sink {
        SinkSpec::Video(path) | SinkSpec::Sequence(path) | SinkSpec::Motion(MotionSinkSpec::File(path)) => Some(path),
        _ => None,
    }
}

/// Whether a sink would write to this file.
fn writes(sink: &SinkSpec, path: &Path) -> bool {
    match sink {
        SinkSpec::Sequence(pattern) => is_numbered(path, pattern),
        _ => file_of(sink).is_some_and(|own| is_same_place(own, path)),
    }
}

/// Others reach this machine only where that was asked for.
pub(super) fn check_remote(args: &RunArgs) -> Result<()> {
    let remote_osc =
        args.steering.osc.filter(|OscSpec(address)| !address.ip().is_loopback()).map(|spec| format!("--osc {spec}"));
    let remote_source = match &args.source {
        SourceSpec::Motion(motion) if motion.is_remote() => Some(format!("--source {motion}")),
        _ => None,
    };
    match remote_osc.or(remote_source).filter(|_| !args.allow_remote) {
        None => Ok(()),
        Some(what) => Err(Error::new(
            ErrorKind::Config,
            format!(
                "{what} lets other machines steer or drive; nobody is asked for a password. If that is wanted, add \
                 --allow-remote; if not, give a port alone"
            ),
        )),
    }
}

/// The microphone to listen to, if any: it is heard in recordings of a live run. Where it is only a setting it is left alone
/// unless a file is written from the start.
pub(super) fn microphone_asked<'a>(args: &'a RunArgs, sinks: &[SinkSpec]) -> Result<Option<&'a MicrophoneSpec>> {
    let Some(spec) = &args.microphone else { return Ok(None) };
    let is_typed = is_typed(args, "microphone");
    let why = if args.every_frame {
        "--microphone hears what is said now, and --every-frame renders a clip in its own time; give one of both"
    } else if !is_typed && !sinks.iter().any(|sink| matches!(sink, SinkSpec::Video(_))) {
        return Ok(None);
    } else if !shows_pictures(sinks) {
        "--microphone is recorded beside pictures, and this run shows none; add a sink, such as --sink file:out.mp4"
    } else {
        return Ok(Some(spec));
    };
    // In the settings it holds for those runs that record.
    if is_typed { Err(Error::new(ErrorKind::Config, why)) } else { Ok(None) }
}

/// Where recordings go that are begun while the run goes on: a live run makes some, of pictures that it shows.
pub(super) fn record_to(args: &RunArgs, sinks: &[SinkSpec]) -> Result<Option<PathBuf>> {
    if !args.every_frame && shows_pictures(sinks) {
        return Ok(Some(args.record_to.clone().unwrap_or_else(user::recordings)));
    }
    // In the settings it holds for other runs.
    if is_typed(args, "record-to") {
        let why = "--record-to is for recordings that are begun while a live run shows pictures; to write all of a clip, give \
                   --sink file:out.mp4";
        return Err(Error::new(ErrorKind::Config, why));
    }
    Ok(None)
}

/// Whether any of the sinks takes pictures.
pub(super) fn shows_pictures(sinks: &[SinkSpec]) -> bool {
    !sinks.iter().all(|sink| matches!(sink, SinkSpec::Motion(_)))
}

/// Whether an option stands on the command line, not in the settings.
pub(super) fn is_typed(args: &RunArgs, key: &str) -> bool {
    args.held.rows.iter().any(|row| row.key == key && row.origin == Origin::CommandLine)
}

/// Holds consents: one that was named and does not hold is refused; of the library it is left out.
pub(super) fn keep_permitted(
    args: &RunArgs,
    identities: Vec<(usize, Arc<Identity>)>,
) -> Result<Vec<(usize, Arc<Identity>)>> {
    let now = effigy::identity::now_unix_secs();
    let mut permitted = Vec::with_capacity(identities.len());
    for (number, identity) in identities {
        match identity.check_consent(args.purpose.as_deref(), now) {
            Ok(()) => permitted.push((number, identity)),
            Err(error) if args.identity.is_empty() => log::warn!("{error}; it is left out"),
            Err(error) => return Err(error),
        }
    }
    Ok(permitted)
}

/// The place of who is shown first among those that are there; `numbers` are theirs among `n_files` in the library, or as they
/// were named.
pub(super) fn first_of(
    args: &RunArgs,
    n_files: usize,
    numbers: &[usize],
    identities: &[Arc<Identity>],
) -> Result<usize> {
    if let Some(place) = numbers.iter().position(|number| *number == args.first) {
        return Ok(place);
    }
    let place = numbers.iter().position(|number| *number > args.first).unwrap_or(numbers.len().saturating_sub(1));
    let name = identities.get(place).map_or("nobody", |identity| &*identity.manifest.name);
    let last = numbers.last().map_or(n_files, |last| n_files.max(*last));
    if args.first <= last {
        log::warn!("number {} is left out; {name} is shown first", args.first);
    } else if is_typed(args, "first") {
        let message = format!("--first {} is nobody's number; the last identity is number {last}", args.first);
        return Err(Error::new(ErrorKind::Config, message));
    } else {
        log::warn!("there is no identity {}; {name} is shown first", args.first);
    }
    Ok(place)
}
