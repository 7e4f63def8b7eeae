//! `effigy eval`: how good the pictures are, measured against the truth.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};
use effigy::drive::Motion;
use effigy::error::OrError as _;
use effigy::generate::Generator as _;
use effigy::generate::choose::{self, BACKENDS};
use effigy::generate::family::{Family, Kind};
use effigy::generate::founding;
use effigy::generate::network::{self, FrameOptions};
use effigy::generate::neural::NeuralGenerator;
use effigy::generate::pack::PackGenerator;
use effigy::generate::warp::WarpGenerator;
use effigy::generate::weights::Weights;
use effigy::onnx::Provider;
use effigy::shard::Shard;
use effigy::train::eval::{
    self, Contender, EvalOptions, Evaluation, Instruments, MetricFiles, Part, Progress, Suite, report,
};
use effigy::{Error, ErrorKind, Result, photo};

use super::outputs::{cannot_write, check_writable, is_same_file};
use super::terminal;

mod across;

/// The largest part accepted, in bytes: pictures of some hundred thousand frames.
const MAX_PART_BYTES: u64 = 1 << 36;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy eval talk.mp4
  effigy eval test-clips --generator warp --generator cpu:trained.safetensors --html eval.html
  effigy eval test-clips --every 5 --generator old=cpu:a.safetensors --generator new=cpu:b.safetensors
  effigy synth data --head ict_facekit.npz -o pairs --people 20 --frames 20 --first 9000 --size 512 --cross
  effigy eval --cross pairs
  effigy eval test-clips --size 64 --generator warp --generator cpu --generator vae --generator vae-gan
  effigy eval --across photos clips -o worst.png --json across.json
  effigy eval --across photos clips --pair ann:talk --pair ben:talk

A clip is its own answer: one frame of it is enrolled, the others drive it. Pairs of synthetic
people that differ in the person alone answer what one looks like doing what the other does.
Across filmed people there is no true picture: 52 coefficients of driver and result are compared.
Of two clips or more each figure has the interval in which 95 % of figures would lie, by bootstrap over
clips. A folder's manifest.json may name rectangles of clips to leave out (clips: file, ignore_rect).")]
pub(crate) struct EvalArgs {
    /// Clips, or folders of clips
    #[arg(value_name = "CLIP", required_unless_present_any = ["cross", "across"])]
    clips: Vec<PathBuf>,
    /// A folder that `effigy synth data --cross` wrote: measure cross-identity too
    #[arg(long, value_name = "DIR")]
    cross: Option<PathBuf>,
    /// Let clips drive other people's photos: how far, how truly and how late expression arrives. Each photo with two clips
    #[arg(long, num_args = 2, value_names = ["PHOTOS", "CLIPS"], conflicts_with_all = ["clips", "cross", "motion", "size", "every",
        "live", "features", "html", "strip"])]
    across: Option<Vec<PathBuf>>,
    /// With --across, this photo with this clip, named without their endings; may be repeated
    #[arg(long, value_name = "PHOTO:CLIP")]
    pair: Vec<String>,
    /// With --across, write a sheet of the worst frames to this PNG or JPEG: the photo, then driver beside result
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How motion is carried over from one person to another
    #[arg(long, value_enum, default_value_t)]
    motion: CrossMotion,
    /// What makes the pictures: warp, or [NAME=]BACKEND[:WEIGHTS] with a backend such as cpu, or a founding family (vae,
    /// vae-gan, identity-driving, video-gan, md-gan), or a pack, pack:DIR (docs/packs.md), in its place; may be repeated to compare
    /// [default: warp, and the program's own weights on the processor]
    #[arg(long, value_name = "GENERATOR")]
    generator: Vec<GeneratorSpec>,
    /// Size at which pictures are compared, in pixels a side: 256 or 512, or 64 or 128 for the founding families
    #[arg(long, default_value = "256", value_name = "PIXELS", value_parser = parse_size)]
    size: usize,
    /// Measure one of N frames, in runs of two
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    every: u64,
    /// Let motion come as it does live: without jitter, and what moves beside the face's mesh a frame late
    #[arg(long, conflicts_with = "cross")]
    live: bool,
    /// MobileNetV2's ImageNet weights of torchvision, for what is measured by features: LPIPS-like, Fréchet and FVD-like
    /// distances and the Inception-score-like figure. The FVD-like one needs every frame, and 16 or more that follow each other
    #[arg(long, value_name = "FILE.pth")]
    features: Option<PathBuf>,
    /// dlib's 128-d face recognition network, for identity similarity; with --across to the photo and to the driver
    #[arg(long, value_name = "FILE.onnx")]
    recognition: Option<PathBuf>,
    /// Write all figures to this file
    #[arg(long, value_name = "FILE.json")]
    json: Option<PathBuf>,
    /// Write a page with figures and pictures, which needs no other file
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// Write the page's pictures alone
    #[arg(long, value_name = "FILE.png")]
    strip: Option<PathBuf>,
    /// Measure one part of N only: the cases I, I + N, I + 2 N …, counted from 0, into --part. `effigy merge` joins the parts
    #[arg(long, value_name = "I/N", requires = "part", conflicts_with_all = ["across", "json", "html", "strip"])]
    shard: Option<Shard>,
    /// With --shard, write all that the whole needs to this file
    #[arg(long, value_name = "FILE.json", requires = "shard")]
    part: Option<PathBuf>,
}

/// How motion is carried over between two people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum CrossMotion {
    /// From the moment that the portrait shows, as a user would
    Relative,
    /// The driver's geometry as it is
    Absolute,
    /// One after the other
    #[default]
    Both,
}

/// Before the folder of a pack.
const PACK: &str = "pack";

/// What `--generator` names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GeneratorSpec {
    label: Option<String>,
    /// Backend or founding family, and weights, or those of the program; `None` is the mesh warp.
    network: Option<(&'static str, Option<PathBuf>)>,
}

impl FromStr for GeneratorSpec {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let families = Kind::ALL.iter().map(|kind| kind.name());
        let names: Vec<_> = BACKENDS.iter().map(|backend| backend.name).chain(families).chain([PACK]).collect();
        let expected = || {
            let names = names[..names.len() - 1].join(", ");
            format!(
                "expected warp, or [NAME=]BACKEND[:WEIGHTS] with a backend or founding family of {names}, or pack:DIR"
            )
        };
        // A name ends before the backend: a path may hold an equals sign.
        let (label, rest) = match text.split_once('=') {
            Some((label, rest)) if !label.contains(':') => (Some(label.to_owned()), rest),
            _ => (None, text),
        };
        if label.as_deref() == Some("") {
            return Err(expected());
        }
        if rest == "warp" {
            return Ok(Self { label, network: None });
        }
        let (backend, file) = rest.split_once(':').map_or((rest, None), |(backend, file)| (backend, Some(file)));
        let backend = names.iter().find(|name| **name == backend).ok_or_else(expected)?;
        if file == Some("") || (*backend == PACK && file.is_none()) {
            return Err(expected());
        }
        Ok(Self { label, network: Some((backend, file.map(PathBuf::from))) })
    }
}

fn parse_size(text: &str) -> std::result::Result<usize, String> {
    match text {
        "64" => Ok(64),
        "128" => Ok(128),
        "256" => Ok(256),
        "512" => Ok(512),
        _ => Err("expected 64, 128, 256 or 512, the pixels of each side".to_owned()),
    }
}

/// Measures, prints the table, writes the reports.
pub(crate) fn run(args: &EvalArgs) -> Result<()> {
    if let Some(folders) = &args.across {
        return across::run(args, folders);
    }
    // What was typed wrongly is said before anything is measured.
    if !args.pair.is_empty() || args.output.is_some() {
        let option = if args.pair.is_empty() { "--output" } else { "--pair" };
        let message = format!("{option} belongs to --across PHOTOS CLIPS; clips by themselves have --strip and --html");
        return Err(Error::new(ErrorKind::Config, message));
    }
    let suites = suites(args)?;
    check_outputs(args, &suites)?;
    let mut contenders = contenders(&args.generator)?;
    let files = MetricFiles { features: args.features.clone(), recognition: args.recognition.clone() };
    let mut instruments = Instruments::open(&files)?;
    for left_out in instruments.left_out() {
        log::warn!("{} will not be measured: {}", left_out.metrics.join(", "), left_out.why);
    }

    let is_stopped = stop_on_interrupt();
    let bar = terminal::bar(1, "");
    let options = EvalOptions { size_px: args.size, every: args.every, is_live: args.live };
    let mut show = |progress: &Progress| {
        bar.set_length(progress.n_frames.unwrap_or(progress.n_frames_read + 1));
        bar.set_position(progress.n_frames_read);
        if progress.n_frames_read == 0 {
            bar.set_message(format!(
                "frames of {} ({} of {}, {})",
                progress.case,
                progress.n_cases_done + 1,
                progress.n_cases,
                progress.suite
            ));
            bar.reset_eta();
        }
        !is_stopped.load(Ordering::Relaxed)
    };
    if let (Some(shard), Some(path)) = (args.shard, &args.part) {
        let part = eval::evaluate_part(&suites, &mut contenders, &mut instruments, options, shard, &mut show)?;
        bar.finish_and_clear();
        write(path, &part.to_bytes()?)?;
        log::info!(
            "next, when all {} parts are there: effigy merge PART... -o eval.json (or .html, .png)",
            shard.count()
        );
        return Ok(());
    }
    let evaluation = eval::evaluate(&suites, &mut contenders, &mut instruments, options, &mut show)?;
    bar.finish_and_clear();

    if let Some(path) = &args.json {
        write(path, &json(&evaluation)?)?;
    }
    if let Some(path) = &args.html {
        write(path, report::html(&evaluation).as_bytes())?;
    }
    if let Some(path) = &args.strip {
        match report::strip(&evaluation)? {
            Some(strip) => photo::write_png(path, &strip)?,
            None => log::warn!("no frame was measured with a mouth in it: {} is not written", path.display()),
        }
    }
    terminal::print(report::table(&evaluation).as_bytes())?;
    let n_frames: u64 = evaluation.suites.iter().map(|suite| suite.n_frames).sum();
    if n_frames == 0 && !evaluation.is_cut_short {
        return Err(Error::new(ErrorKind::Photo, "no frame could be measured; the table says why"));
    }
    Ok(())
}

/// Joins parts into figures, a page or its pictures, by the output's ending, and prints the table.
pub(super) fn merge(parts: &[PathBuf], output: &Path) -> Result<()> {
    let read = |path: &PathBuf| {
        let about = || format!("cannot read {}", path.display());
        let bytes = effigy::files::read(path, MAX_PART_BYTES).or_error(ErrorKind::Io, about)?;
        Part::from_bytes(&bytes).map_err(|error| Error::new(error.kind(), about()).because(error))
    };
    refuse_overwriting(&[&output.to_owned()], &parts.iter().collect::<Vec<_>>())?;
    let evaluation = Part::join(parts.iter().map(read).collect::<Result<_>>()?)?;
    match output.extension().and_then(|ending| ending.to_str()) {
        Some("json") => write(output, &json(&evaluation)?)?,
        Some("html") => write(output, report::html(&evaluation).as_bytes())?,
        Some("png") => match report::strip(&evaluation)? {
            Some(strip) => photo::write_png(output, &strip)?,
            None => log::warn!("no frame was measured with a mouth in it: {} is not written", output.display()),
        },
        _ => {
            let message = format!("expected an output that ends in .json, .html or .png, found {}", output.display());
            return Err(Error::new(ErrorKind::Config, message));
        }
    }
    terminal::print(report::table(&evaluation).as_bytes())
}

fn json(evaluation: &Evaluation) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(evaluation)
        .or_error(ErrorKind::Internal, || "cannot write the figures".to_owned())?;
    text.push(b'\n');
    Ok(text)
}

fn stop_on_interrupt() -> Arc<AtomicBool> {
    let is_stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_stopped);
    terminal::on_interrupt(move || stop.store(true, Ordering::Relaxed));
    is_stopped
}

fn suites(args: &EvalArgs) -> Result<Vec<Suite>> {
    let mut suites = Vec::new();
    let cases = args.clips.iter().map(|path| eval::clips(path)).collect::<Result<Vec<_>>>()?.concat();
    if !cases.is_empty() {
        suites.push(Suite::SelfReenactment(cases));
    }
    if let Some(folder) = &args.cross {
        let pairs = eval::pairs(folder)?;
        let motions = match args.motion {
            CrossMotion::Relative => &[Motion::Relative][..],
            CrossMotion::Absolute => &[Motion::Absolute],
            CrossMotion::Both => &[Motion::Relative, Motion::Absolute],
        };
        suites.extend(motions.iter().map(|&motion| Suite::CrossIdentity(pairs.clone(), motion)));
    }
    Ok(suites)
}

/// Every report can be written, each to a file of its own, and none over what is read.
fn check_outputs(args: &EvalArgs, suites: &[Suite]) -> Result<()> {
    let outputs: Vec<&PathBuf> = [&args.json, &args.html, &args.strip, &args.part].into_iter().flatten().collect();
    let weights = args.generator.iter().filter_map(|spec| spec.network.as_ref().and_then(|(_, path)| path.as_ref()));
    let clips = suites.iter().flat_map(|suite| match suite {
        Suite::SelfReenactment(cases) => cases.iter().map(|case| &case.path).collect::<Vec<_>>(),
        Suite::CrossIdentity(..) => Vec::new(),
    });
    let read: Vec<&PathBuf> = weights.chain(clips).chain(args.features.iter()).chain(args.recognition.iter()).collect();
    refuse_overwriting(&outputs, &read)
}

/// Every output can be written, each is another file, and none is what is read.
fn refuse_overwriting(outputs: &[&PathBuf], read: &[&PathBuf]) -> Result<()> {
    for (i, path) in outputs.iter().enumerate() {
        if outputs[..i].contains(path) {
            let message = format!("two reports would be written to one file; name another: {}", path.display());
            return Err(Error::new(ErrorKind::Config, message));
        }
        if read.iter().any(|other| is_same_file(path, other)) {
            let message = format!("the report would replace what is measured; name another: {}", path.display());
            return Err(Error::new(ErrorKind::Config, message));
        }
        check_writable(path)?;
    }
    Ok(())
}

fn contenders(specs: &[GeneratorSpec]) -> Result<Vec<Contender>> {
    let default = [None, Some(("cpu", None))].map(|network| GeneratorSpec { label: None, network });
    let specs = if specs.is_empty() { &default } else { specs };
    let mut contenders: Vec<Contender> = Vec::new();
    for spec in specs {
        let contender = open(spec)?;
        if contenders.iter().any(|other| other.label == contender.label) {
            let message = format!(
                "two generators are called \"{}\"; name them: --generator NAME=BACKEND[:WEIGHTS]",
                contender.label
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        contenders.push(contender);
    }
    Ok(contenders)
}

fn open(spec: &GeneratorSpec) -> Result<Contender> {
    let Some((backend, path)) = &spec.network else {
        let generator = Box::new(WarpGenerator::new(eval::OUTPUT_PX));
        return Ok(Contender { label: spec.label.clone().unwrap_or_else(|| "warp".to_owned()), generator });
    };
    if let (&PACK, Some(folder)) = (backend, path) {
        let generator = Box::new(PackGenerator::open(folder, Provider::Cpu, eval::OUTPUT_PX)?);
        let label = spec.label.clone().unwrap_or_else(|| generator.name().to_owned());
        return Ok(Contender { label, generator });
    }
    if let Some(kind) = Kind::named(backend) {
        let family = path.as_deref().map_or_else(|| Family::built_in(kind), |path| Family::load(path, kind))?;
        let label = spec.label.clone().unwrap_or_else(|| kind.name().to_owned());
        let generator = founding::open(family, eval::OUTPUT_PX)?;
        return Ok(Contender { label, generator });
    }
    let weights = path.as_deref().map_or_else(Weights::built_in, Weights::load)?;
    let choice = choose::named(backend, &network::frame(&FrameOptions::new(weights.size(), eval::OUTPUT_PX)))?;
    let file_label = || path.as_ref().map(|path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    let label = spec.label.clone().or_else(file_label).unwrap_or_else(|| weights.size().name().to_owned());
    log::info!("{label}: {}", choice.sentence);
    let chosen = choice.backend.ok_or_else(|| {
        Error::new(ErrorKind::BackendUnavailable, format!("the network does not run on {backend}: {}", choice.sentence))
    })?;
    let generator = Box::new(NeuralGenerator::new(weights, eval::OUTPUT_PX, chosen.open)?);
    Ok(Contender { label, generator })
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    effigy::files::write(path, bytes).map_err(|error| cannot_write(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generators_are_named_by_backend_and_weights() {
        let spec = |text: &str| text.parse::<GeneratorSpec>();
        let network = |label: Option<&str>, file: &str| GeneratorSpec {
            label: label.map(str::to_owned),
            network: Some(("cpu", Some(PathBuf::from(file)))),
        };
        assert_eq!(spec("cpu").unwrap(), GeneratorSpec { label: None, network: Some(("cpu", None)) });
        assert_eq!(spec("warp").unwrap(), GeneratorSpec { label: None, network: None });
        assert_eq!(spec("w=warp").unwrap(), GeneratorSpec { label: Some("w".to_owned()), network: None });
        assert_eq!(spec("cpu:a/b.safetensors").unwrap(), network(None, "a/b.safetensors"));
        assert_eq!(spec("new=cpu:b.safetensors").unwrap(), network(Some("new"), "b.safetensors"));
        assert_eq!(spec("cpu:steps=9.safetensors").unwrap(), network(None, "steps=9.safetensors"));
        let pack =
            GeneratorSpec { label: Some("fomm".to_owned()), network: Some(("pack", Some(PathBuf::from("a/b")))) };
        assert_eq!(spec("fomm=pack:a/b").unwrap(), pack);
        for wrong in ["", "cpu:", "tpu:a", "=warp", "a.safetensors", "pack", "pack:"] {
            assert!(spec(wrong).unwrap_err().contains("expected warp, or [NAME=]BACKEND[:WEIGHTS]"), "{wrong}");
        }
    }
}
