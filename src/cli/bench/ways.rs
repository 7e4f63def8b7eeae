//! `effigy bench e2e`: from the source to the far end of each way.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::outputs;
use clap::Args;
use crossbeam_channel::bounded;
use effigy::bench::e2e::{self, About as AboutWay, Exit, FarEnd};
use effigy::bench::reader::ReaderSpec;
use effigy::bench::way::{WayFigures, WaysRecord};
use effigy::report::LiveFigures;
use effigy::sink::{self, About, Codec, HttpOptions, HttpSink, SinkOptions, SinkSpec};
#[cfg(target_os = "linux")]
use effigy::sink::{CameraOptions, VcamSink};
use effigy::{Error, ErrorKind, Result, Sink};

use super::{Engine, EngineArgs, length, parse_secs, terminal, write_json};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench e2e
  xvfb-run effigy bench e2e --way null --way http:0 --way window --way file:out.mp4
  effigy bench e2e --way vcam --way pipewire
  effigy bench e2e --way vcam:/dev/video9=window:Camera

A way is a sink, and behind `=` where it is watched, as in `effigy bench watch`; without it, where the
sink itself leads. \"near\" is the age by the program's own trace when the sink had shown a frame,
\"far\" the age when the reader had it, \"gap\" the difference, frame by frame. A picture is there when its
last byte is: decoding it counts for no age. Below the table stands what near and gap consist of.")]
pub(crate) struct E2eArgs {
    /// The ways to measure, one after the other; may be repeated [default: null]
    #[arg(long, value_name = "SINK[=READER]", value_parser = parse_way)]
    way: Vec<Way>,
    /// Seconds to measure each; with those before at most 3600
    #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = parse_secs)]
    secs: f64,
    /// Seconds to play before
    #[arg(long, default_value = "2", value_name = "SECONDS", value_parser = parse_secs)]
    warm_up: f64,
    /// Show the card for a blank camera of 10 frames a second: for machines so slow that only the way behind the sink
    /// can be measured
    #[arg(long)]
    no_face: bool,
    #[command(flatten)]
    engine: EngineArgs,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
}

/// A sink, and where it is watched.
#[derive(Clone, Debug)]
struct Way {
    text: String,
    sink: SinkSpec,
    reader: Option<ReaderSpec>,
}

fn parse_way(text: &str) -> Result<Way> {
    let (sink, reader) = match text.split_once('=') {
        // A `=` can also be part of an address behind the first.
        Some((sink, reader)) => (sink.parse()?, Some(reader.parse()?)),
        None => (text.parse()?, None),
    };
    Ok(Way { text: text.to_owned(), sink, reader })
}

impl Way {
    /// Where it is watched.
    fn far_end(&self) -> Result<FarEnd> {
        match (&self.reader, &self.sink) {
            (Some(reader), _) => Ok(FarEnd::Live(reader.clone())),
            (None, SinkSpec::Null) => Ok(FarEnd::Here),
            // The server knows its own address when it is open, the virtual camera its device.
            (None, SinkSpec::Http(_) | SinkSpec::Vcam { .. }) => Ok(FarEnd::Here),
            (None, SinkSpec::Pipewire { .. }) => Ok(FarEnd::Live("pipewire".parse()?)),
            (None, SinkSpec::Window) => Ok(FarEnd::Live(ReaderSpec::Window("effigy".to_owned()))),
            (None, SinkSpec::Video(path)) => Ok(FarEnd::File(path.clone())),
            (None, sink) => Err(Error::new(
                ErrorKind::Config,
                format!("say where {sink} is watched: --way '{sink}=READER'; see `effigy bench watch --help`"),
            )),
        }
    }

    /// Opens the sink; says where it is watched.
    fn open(&self, far_end: &FarEnd, engine: &Engine<'_>) -> Result<(Exit, FarEnd)> {
        let exit = match &self.sink {
            SinkSpec::Null => Exit::Nowhere,
            SinkSpec::Window => Exit::Foreground(open_window(engine.size_px)?),
            SinkSpec::Http(address) => {
                let server = open_server(*address, engine)?;
                let stream = self.reader.clone().unwrap_or_else(|| ReaderSpec::Http(server.url("/stream")));
                return Ok((Exit::Background(Box::new(server)), FarEnd::Live(stream)));
            }
            #[cfg(target_os = "linux")]
            SinkSpec::Vcam { device, size_px } => {
                let SinkOptions { size_px: own_px, rate_hz, .. } = sink_options(engine.size_px);
                let options = CameraOptions { size_px: size_px.unwrap_or(own_px), rate_hz };
                let camera = VcamSink::open(device.as_deref(), &options)?;
                let far_end = self.reader.clone().unwrap_or_else(|| ReaderSpec::Device(camera.path().to_owned()));
                return Ok((Exit::Background(Box::new(camera)), FarEnd::Live(far_end)));
            }
            spec => Exit::Background(sink::open(spec, &sink_options(engine.size_px))?),
        };
        Ok((exit, far_end.clone()))
    }
}

/// A picture of its own size, thirty times a second.
pub(super) fn sink_options(size_px: usize) -> SinkOptions {
    SinkOptions {
        size_px: (size_px, size_px),
        rate_hz: 30.0,
        every_frame: false,
        codec: Codec::Auto,
        sound: None,
        microphone: None,
        signing: None,
    }
}

/// A server whose page steers nothing: a bench has no controls.
fn open_server(address: SocketAddr, engine: &Engine<'_>) -> Result<HttpSink> {
    let (control, _) = bounded(1);
    HttpSink::open(HttpOptions {
        address,
        allow_remote: false,
        token: None,
        control,
        figures: Arc::new(LiveFigures::default()),
        identities: engine.identities.clone(),
        about: About {
            source: "test pattern".to_owned(),
            generator: "bench".to_owned(),
            backend: "bench".to_owned(),
            size_px: engine.size_px,
            frame_px: (engine.size_px, engine.size_px),
            is_first_use: false,
        },
        messages: terminal::messages(),
        consent_by: "a bench".to_owned(),
        library: None,
    })
}

/// A window of the picture's size.
#[cfg(feature = "window")]
pub(super) fn open_window(size_px: usize) -> Result<Box<dyn Sink>> {
    Ok(Box::new(sink::WindowSink::open((size_px, size_px))?))
}

/// Says that this build has no window.
#[cfg(not(feature = "window"))]
pub(super) fn open_window(_: usize) -> Result<Box<dyn Sink>> {
    Err(Error::new(ErrorKind::BackendUnavailable, "this build has no window; build it with `--features window`"))
}

/// Measures each way in turn, then says what its figures consist of.
pub(super) fn run(args: &E2eArgs) -> Result<()> {
    let default = [parse_way("null")?];
    let ways = if args.way.is_empty() { &default[..] } else { &args.way };
    // What was typed wrongly is said before anything is opened.
    let length = length(args.secs, args.warm_up)?;
    let far_ends: Vec<FarEnd> = ways.iter().map(Way::far_end).collect::<Result<_>>()?;
    if let Some(path) = &args.report {
        outputs::check_writable(path)?;
    }
    let generator = || args.engine.generator();
    let engine = Engine { identities: args.engine.identities()?, generator: &generator, size_px: args.engine.size };
    let mut record = WaysRecord::begin(engine.size_px, !args.no_face);
    terminal::print(format!("{}\n", WayFigures::HEAD).as_bytes())?;
    for (way, far_end) in ways.iter().zip(&far_ends) {
        let (exit, far_end) = way.open(far_end, &engine)?;
        let about = AboutWay { way: &way.text, presenting: way.sink.presenting(), follows_face: !args.no_face };
        let figures = e2e::measure(about, exit, &far_end, &engine, length)?;
        terminal::print(format!("{}\n", figures.row()).as_bytes())?;
        record.ways.push(figures);
    }
    record.end();
    terminal::print(format!("\n{}\n", record.circumstances.machine).as_bytes())?;
    for way in &record.ways {
        terminal::print((way.lines().join("\n") + "\n").as_bytes())?;
    }
    write_json(args.report.as_deref(), &record)
}
