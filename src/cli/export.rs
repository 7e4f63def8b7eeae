//! `effigy export`: the network for engines of others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use effigy::export::{self, Layout, Options, PortKind, Precision, Serving, Subject};
use effigy::generate::cpu::CpuExecutor;
use effigy::generate::neural;
use effigy::generate::weights::Weights;
use effigy::{Error, ErrorKind, Result};

use super::outputs::cannot_write;
use super::run::check_badge;
use super::{parse_size, people, terminal};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy export --format onnx -o model
  effigy export --format onnx -o model --identity me.effigy --precision f16
  effigy export --format onnx -o repository --layout triton
  effigy export --format onnx -o served --layout mlserver --device cpu --for-remote
  effigy export --format tensors -o tensors --identity me.effigy

The model goes from an identity's tensors and driving numbers to the finished picture with alpha, for any number of
pictures at once. With --identity it holds those tensors, and its weights are folded for them; without, they are inputs.
Every model is run here before it is written, and its pictures are compared with the program's own.
docs/export.md says what the inputs hold and what comes before and after.")]
pub(crate) struct ExportArgs {
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    /// The folder to write to
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Show this identity alone; otherwise its tensors are inputs
    #[arg(long, value_name = "FILE.effigy", required_if_eq("format", "tensors"))]
    identity: Option<PathBuf>,
    #[command(flatten)]
    keys: super::opener::KeyArgs,
    /// What the convolutions are computed in; int8 needs --identity
    #[arg(long, value_enum, default_value_t)]
    precision: PrecisionArg,
    /// Size of the picture, in pixels a side: 512 or 1024
    #[arg(long, default_value = "512", value_name = "PIXELS", value_parser = parse_size())]
    size: usize,
    /// The network's weights, of `effigy train`; otherwise those inside the program
    #[arg(long, value_name = "FILE.safetensors")]
    weights: Option<PathBuf>,
    /// For which engine
    #[arg(long, value_enum, default_value_t)]
    layout: LayoutArg,
    /// What clients call the model
    #[arg(long, default_value = "effigy", value_name = "NAME", value_parser = parse_model_name)]
    name: String,
    /// Most pictures in a batch
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    max_batch: u16,
    /// How long a request may wait for others to join its batch, in milliseconds
    #[arg(long, default_value_t = 2.0, value_name = "MS", value_parser = parse_window)]
    window_ms: f64,
    /// Copies of the model on each card or machine
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    instances: u16,
    /// What the engine runs it on
    #[arg(long, value_enum, default_value_t)]
    device: Device,
    /// Write example.safetensors too: two pictures' inputs and what the program makes of them
    #[arg(long)]
    example: bool,
    /// Leave out the visible AI mark; with an identity of oneself or of a synthetic person only
    #[arg(long, requires = "identity")]
    no_badge: bool,
    /// For servers that `effigy run --backend remote:…` asks: leave out the visible AI mark, which that program draws itself
    #[arg(long, conflicts_with = "identity")]
    for_remote: bool,
    /// What the face is shown for, where the identity's consent is limited to something
    #[arg(long, value_name = "PURPOSE", requires = "identity")]
    purpose: Option<String>,
}

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The network
    Onnx,
    /// An identity's tensors, as the inputs of a model without --identity
    Tensors,
}

/// See [`Precision`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum PrecisionArg {
    /// 32 bits
    #[default]
    F32,
    /// 16 bits, for graphics cards
    F16,
    /// 8 bits, for processors
    Int8,
}

/// See [`Layout`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LayoutArg {
    /// model.onnx, and interface.json with names and extents
    #[default]
    Plain,
    /// A model repository of NVIDIA Triton
    Triton,
    /// A folder for `mlserver start`
    Mlserver,
    /// A Triton repository and KServe's InferenceService
    Kserve,
}

/// What the engine runs it on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Device {
    /// A graphics card
    #[default]
    Gpu,
    /// The processor
    Cpu,
}

fn parse_model_name(text: &str) -> std::result::Result<String, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = (1..=63).contains(&text.len()) && text.chars().all(is_inner);
    let is_framed = !text.starts_with('-') && !text.ends_with('-');
    (is_name && is_framed)
        .then(|| text.to_owned())
        .ok_or_else(|| "expected 1 to 63 small letters, digits and inner dashes, such as effigy-small".to_owned())
}

fn parse_window(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(ms) if (0.0..=1000.0).contains(&ms) => Ok(ms),
        _ => Err("expected milliseconds from 0 to 1000".to_owned()),
    }
}

/// Pictures of the check: rest, an open mouth, a turned head, and both together.
const CHECKED: [usize; 4] = [0, 1, 5, 11];

/// Writes the model or the tensors.
pub(crate) fn run(args: &ExportArgs) -> Result<()> {
    let weights = args.weights.as_deref().map_or_else(Weights::built_in, Weights::load)?;
    let opener = args.keys.opener()?;
    let identity = args.identity.as_deref().map(|path| opener.identity(path)).transpose()?.map(Arc::new);
    if let Some(identity) = &identity {
        identity.check_consent(args.purpose.as_deref(), effigy::identity::now_unix_secs())?;
    }
    if args.no_badge {
        check_badge(true, identity.as_slice())?;
    }
    let precision = match args.precision {
        PrecisionArg::F32 => Precision::F32,
        PrecisionArg::F16 => Precision::F16,
        PrecisionArg::Int8 => Precision::Int8,
    };
    let options = Options { size_px: args.size, precision, has_badge: !args.no_badge && !args.for_remote };
    // A general model is made first: it is refused before anyone is enrolled for the check.
    let general = match &identity {
        None => Some(export::general(&weights, &options)?),
        Some(_) => None,
    };
    // Without one of their own, the check shows a person that the program carries.
    let whom = match &identity {
        Some(identity) => Arc::clone(identity),
        None => people::enroll()?
            .into_iter()
            .next()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the program carries no portrait"))?,
    };
    let progress = terminal::spinner("making the model");
    let (tensors, frames) = neural::typical(&weights, &whom, args.size)?;
    if args.format == Format::Tensors {
        progress.finish_and_clear();
        return write_tensors(args, &weights, &options, &tensors, &frames[..1]);
    }
    let subject = Subject { manifest: &whom.manifest, tensors: &tensors, frames: &frames };
    let exported = match general {
        Some(general) => general,
        None => export::folded(&weights, &subject, &options)?,
    };
    let checked: Vec<_> = CHECKED.iter().filter_map(|&i| frames.get(i).cloned()).collect();
    let shown = Subject { frames: &checked, ..subject };
    let open = |plan| Ok(Box::new(CpuExecutor::new(plan, 2)?.in_f32()) as Box<_>);
    let check = export::check(&exported, &weights, &shown, &options, open)?;
    progress.finish_and_clear();

    let serving = Serving {
        layout: match args.layout {
            LayoutArg::Plain => Layout::Plain,
            LayoutArg::Triton => Layout::Triton,
            LayoutArg::Mlserver => Layout::Mlserver,
            LayoutArg::Kserve => Layout::Kserve,
        },
        name: args.name.clone(),
        max_batch: args.max_batch.into(),
        window_us: (args.window_ms * 1000.0).round() as u64,
        n_instances: args.instances.into(),
        on_card: args.device == Device::Gpu,
    };
    for (path, bytes) in export::files(&exported, &serving)? {
        write(&args.output.join(path), &bytes)?;
    }
    if args.example {
        let mut values = export::inputs(&exported, &tensors, &checked[..2])?;
        let n_bytes = 2 * check.expected.len() / checked.len();
        values.push(effigy::onnx::Input {
            name: export::PICTURE.to_owned(),
            dims: vec![2, args.size, args.size, 4],
            values: effigy::onnx::Values::Bytes(check.expected[..n_bytes].to_vec()),
        });
        write(&args.output.join("example.safetensors"), &export::safetensors_of(&values)?)?;
    }
    let form = if identity.is_some() { "of one identity" } else { "with identities as inputs" };
    log::info!(
        "{} {form}, {:.1} MB: {}",
        weights.size().name(),
        exported.onnx.len() as f64 / 1e6,
        args.output.display()
    );
    let given: usize = exported.inputs.iter().map(n_bytes).sum();
    log::info!(
        "a picture's inputs are {:.2} MB, the picture {:.2} MB",
        given as f64 / 1e6,
        n_bytes(&exported.output) as f64 / 1e6
    );
    log::info!(
        "checked: {} pictures, at least {:.1} dB close to the program's own (asked for {})",
        check.n_pictures,
        check.worst_psnr_db,
        precision.least_psnr_db()
    );
    Ok(())
}

fn n_bytes(port: &export::Port) -> usize {
    let size = if port.kind == PortKind::F32 { 4 } else { 1 };
    size * port.dims.iter().product::<usize>()
}

fn write_tensors(
    args: &ExportArgs,
    weights: &Weights,
    options: &Options,
    tensors: &neural::IdentityTensors,
    one: &[neural::FrameInputs],
) -> Result<()> {
    let exported = export::general(weights, &Options { precision: Precision::F32, ..*options })?;
    let mut values = export::inputs(&exported, tensors, one)?;
    values.retain(|input| export::IDENTITY_INPUTS.contains(&input.name.as_str()));
    let path = args.output.join("identity.safetensors");
    write(&path, &export::safetensors_of(&values)?)?;
    log::info!(
        "tensors of one identity, {}: {}",
        values.iter().map(|v| v.name.as_str()).collect::<Vec<_>>().join(", "),
        path.display()
    );
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, error))?;
    }
    effigy::files::write(path, bytes).map_err(|error| cannot_write(path, error))
}
