//! `effigy bench`: how old the picture is, everywhere.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use crossbeam_channel::bounded;
use effigy::bench::e2e::{self, About as AboutWay, Exit, FarEnd};
use effigy::bench::reader::{self, ReaderSpec};
use effigy::bench::record::{Recording, RunRecord};
use effigy::bench::scenario::{Engine, Length, Scenario};
use effigy::bench::watch::Watch;
use effigy::bench::way::{WayFigures, WaysRecord};
use effigy::bench::{compare, cost, degrade, lag, pattern};
use effigy::capture::{self, SourceOptions, SourceSpec};
use effigy::clock::MonotonicClock;
use effigy::drive::DriveOptions;
use effigy::error::OrError as _;
use effigy::generate::Generator;
use effigy::report::LiveFigures;
use effigy::sink::{self, About, HttpOptions, HttpSink, SinkOptions, SinkSpec};
#[cfg(target_os = "linux")]
use effigy::sink::{CameraOptions, VcamSink};
use effigy::{Error, ErrorKind, Grey, Identity, Result, Sink};

use super::{Backend, demo, parse_secs, parse_size, run, terminal};

mod scenes;

pub(crate) use scenes::ScenesArgs;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench run --out bench
  effigy bench e2e
  xvfb-run effigy bench e2e --way window
  effigy bench watch /dev/video2")]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Play fixed scenes and record the age of every frame
    Run(ScenesArgs),
    /// Compare two recordings, with significance
    Compare(CompareArgs),
    /// Measure from the source to a reader at the far end of a sink
    E2e(E2eArgs),
    /// Read the code from any program's output: its age, what was lost
    Watch(WatchArgs),
    /// Show the test pattern with its code, for other programs
    Pattern(PatternArgs),
    /// Measure how late and how strongly motion arrives
    Lag(LagArgs),
    /// Say how much a picture may suffer before its code is lost
    Code(CodeArgs),
    /// Say what measuring itself costs
    Cost(CostArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench compare before/bench.json after/bench.json
  effigy bench compare both/bench.json both/bench.json      A against B of one recording

Differences come with the 95 % interval of a moving-block bootstrap over whole seconds.")]
struct CompareArgs {
    /// A recording, as `effigy bench run` writes it
    a: PathBuf,
    /// Another one
    b: PathBuf,
}

/// Who is shown, by what, and how large.
#[derive(Args, Debug)]
struct EngineArgs {
    /// Identity files; otherwise the synthetic people that the program carries with it
    #[arg(long, value_name = "FILE[,FILE...]", value_delimiter = ',')]
    identity: Vec<PathBuf>,
    /// Size of the picture in pixels
    #[arg(long, default_value = "512", value_parser = parse_size())]
    size: usize,
    /// What makes the picture
    #[arg(long, value_enum, default_value_t)]
    backend: Backend,
}

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
struct E2eArgs {
    /// The ways to measure, one after the other; may be repeated [default: null]
    #[arg(long, value_name = "SINK[=READER]", value_parser = parse_way)]
    way: Vec<Way>,
    /// Seconds to measure each
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

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench watch /dev/video2
  effigy bench watch http://127.0.0.1:8080/stream --secs 60
  effigy bench watch pipewire
  effigy bench watch 'window:OBS'
  effigy bench watch recording.mp4

The pictures must carry the code: from `effigy run --stamp`, or from any program that is given
`effigy bench pattern`. Ages need both on one machine; a file tells what is missing, not its age.")]
struct WatchArgs {
    /// What to watch: /dev/videoN, http://HOST:PORT/PATH, pipewire[:NODE], window:TITLE, screen, or a video file
    #[arg(value_name = "DEVICE|URL|FILE")]
    what: ReaderSpec,
    /// End after this many seconds; otherwise on Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = parse_secs)]
    secs: Option<f64>,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench pattern                            in a window, for programs that capture one
  effigy bench pattern --sink file:pattern.mp4 --secs 20

Every picture carries its number and the moment at which it was due. It shows a synthetic person.")]
struct PatternArgs {
    /// Where to show it: any sink of `effigy run`
    #[arg(long, default_value = "window", value_name = "SINK")]
    sink: SinkSpec,
    /// Size of the picture in pixels
    #[arg(long, default_value = "512", value_parser = parse_size())]
    size: usize,
    /// End after this many seconds; otherwise on Ctrl-C or when the window is closed
    #[arg(long, value_name = "SECONDS", value_parser = parse_secs)]
    secs: Option<f64>,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench lag
  effigy bench lag --identity me.effigy talk.mp4
  effigy bench lag --no-filter

A second tracker looks at the output; where its signals fit the driver's best is the lag.")]
struct LagArgs {
    /// The clip; otherwise the program's own driver
    clip: Option<PathBuf>,
    /// Leave out the filter of `effigy run`, to see what it adds
    #[arg(long)]
    no_filter: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench code
  effigy bench code --pictures 1000")]
struct CodeArgs {
    /// Pictures for each degradation
    #[arg(long, default_value = "200", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pictures: u32,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench cost
  effigy bench cost --size 1024")]
struct CostArgs {
    /// Size of the picture in pixels
    #[arg(long, default_value = "512", value_parser = parse_size())]
    size: usize,
}

/// Does what was asked for.
pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    match &args.command {
        BenchCommand::Run(args) => scenes::run(args),
        BenchCommand::Compare(args) => compare_recordings(args),
        BenchCommand::E2e(args) => end_to_end(args),
        BenchCommand::Watch(args) => watch(args),
        BenchCommand::Pattern(args) => show_pattern(args),
        BenchCommand::Lag(args) => motion_lag(args),
        BenchCommand::Code(args) => {
            let table = degrade::table(args.pictures as usize)?;
            terminal::print(table.to_string().as_bytes())
        }
        BenchCommand::Cost(args) => print_cost(args),
    }
}

impl EngineArgs {
    /// Loads or enrols who is shown.
    fn identities(&self) -> Result<Vec<Arc<Identity>>> {
        if !self.identity.is_empty() {
            return self.identity.iter().map(|path| Identity::load(path).map(Arc::new)).collect();
        }
        demo::enroll_portraits()
    }

    /// Makes the generator.
    fn generator(&self) -> Result<Box<dyn Generator>> {
        run::open_generator(self.backend, None, self.size)
    }
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

fn sink_options(size_px: usize) -> SinkOptions {
    SinkOptions { size_px: (size_px, size_px), rate_hz: 30.0, every_frame: false }
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
        },
        messages: terminal::messages(),
        consent_by: "a bench".to_owned(),
    })
}

#[cfg(feature = "window")]
fn open_window(size_px: usize) -> Result<Box<dyn Sink>> {
    Ok(Box::new(sink::WindowSink::open((size_px, size_px))?))
}

/// Says that this build has no window.
#[cfg(not(feature = "window"))]
fn open_window(_: usize) -> Result<Box<dyn Sink>> {
    Err(Error::new(ErrorKind::BackendUnavailable, "this build has no window; build it with `--features window`"))
}

fn end_to_end(args: &E2eArgs) -> Result<()> {
    let default = [parse_way("null")?];
    let ways = if args.way.is_empty() { &default[..] } else { &args.way };
    // What was typed wrongly is said before anything is opened.
    let far_ends: Vec<FarEnd> = ways.iter().map(Way::far_end).collect::<Result<_>>()?;
    if let Some(path) = &args.report {
        run::check_writable(path)?;
    }
    let generator = || args.engine.generator();
    let engine = Engine { identities: args.engine.identities()?, generator: &generator, size_px: args.engine.size };
    let length = length(args.secs, args.warm_up);
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
    terminal::print(format!("\n{}\n", record.machine).as_bytes())?;
    for way in &record.ways {
        terminal::print((way.lines().join("\n") + "\n").as_bytes())?;
    }
    write_json(args.report.as_deref(), &record)
}

fn length(secs: f64, warm_up: f64) -> Length {
    Length { measured: Duration::from_secs_f64(secs), warm_up: Duration::from_secs_f64(warm_up) }
}

fn write_json(path: Option<&Path>, value: &impl serde::Serialize) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text =
        serde_json::to_string_pretty(value).or_error(ErrorKind::Internal, || "cannot write the figures".to_owned())?;
    std::fs::write(path, text + "\n").map_err(|error| run::cannot_write(path, error))
}

/// A flag that Ctrl-C sets, and the passing of `secs`.
struct Over {
    is_asked: Arc<AtomicBool>,
}

impl Over {
    fn after(secs: Option<f64>) -> Result<Self> {
        let is_asked = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&is_asked);
        terminal::on_interrupt(move || asked.store(true, Ordering::Relaxed));
        if let Some(secs) = secs {
            let asked = Arc::clone(&is_asked);
            std::thread::Builder::new()
                .name("timer".to_owned())
                .spawn(move || {
                    std::thread::sleep(Duration::from_secs_f64(secs));
                    asked.store(true, Ordering::Relaxed);
                })
                .or_error(ErrorKind::Internal, || "cannot start the timer for --secs".to_owned())?;
        }
        Ok(Self { is_asked })
    }
}

fn watch(args: &WatchArgs) -> Result<()> {
    if let Some(path) = &args.report {
        run::check_writable(path)?;
    }
    let mut reader = reader::open(&args.what)?;
    log::info!("source: {}", reader.name());
    let over = Over::after(args.secs)?;
    let clock = MonotonicClock::new();
    let (mut watch, mut picture) = (Watch::default(), Grey::default());
    let mut last_line = Instant::now();
    let mut is_lost = None;
    while !over.is_asked.load(Ordering::Relaxed) {
        match watch.look(&mut *reader, &mut picture, &clock) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                is_lost = Some(error);
                break;
            }
        }
        if last_line.elapsed() > Duration::from_secs(5) && reader.is_live() {
            last_line = Instant::now();
            if let Some(age) = watch.figures(&*reader).age_ms {
                log::info!("age of the picture so far: p50 {:.1} ms, p99 {:.1}, max {:.1}", age.p50, age.p99, age.max);
            }
        }
    }
    let figures = watch.figures(&*reader);
    if figures.frames == 0 {
        let none = || {
            let message = format!(
                "no code in {} pictures of {}; it is drawn by `effigy run --stamp` and `effigy bench pattern`",
                figures.pictures, figures.reader
            );
            Error::new(ErrorKind::Io, message)
        };
        return Err(is_lost.unwrap_or_else(none));
    }
    terminal::print((figures.lines().join("\n") + "\n").as_bytes())?;
    write_json(args.report.as_deref(), &figures)?;
    // The other side may well end first.
    if let Some(error) = is_lost {
        log::info!("warning: {error}");
    }
    Ok(())
}

fn show_pattern(args: &PatternArgs) -> Result<()> {
    let mut sink: Box<dyn Sink> = match &args.sink {
        SinkSpec::Window => open_window(args.size)?,
        spec => sink::open(spec, &sink_options(args.size))?,
    };
    log::info!("sink: {}", sink.name());
    let over = Over::after(args.secs)?;
    let n_shown = pattern::play(&mut *sink, args.size, &MonotonicClock::new(), &over.is_asked)?;
    log::info!("source: {n_shown} pictures with number and time");
    Ok(())
}

fn motion_lag(args: &LagArgs) -> Result<()> {
    let spec = args.clip.clone().map_or(SourceSpec::Pattern, SourceSpec::File);
    let options = SourceOptions { paced: false, looped: false, ..SourceOptions::default() };
    let mut source = capture::open(&spec, &options)?;
    let generator = || args.engine.generator();
    let engine = Engine { identities: args.engine.identities()?, generator: &generator, size_px: args.engine.size };
    let drive = DriveOptions { is_filtered: !args.no_filter, ..DriveOptions::default() };
    let progress = terminal::spinner("driving and watching");
    let figures = lag::measure(&mut *source, &engine, drive);
    progress.finish_and_clear();
    terminal::print(figures?.text().as_bytes())
}

fn compare_recordings(args: &CompareArgs) -> Result<()> {
    let (a, b) = (Recording::load(&args.a)?, Recording::load(&args.b)?);
    let comparisons = compare::recordings(&a, &b);
    if comparisons.is_empty() {
        let message = format!("{} and {} have no scenario in common", args.a.display(), args.b.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    terminal::print(comparison_text(&comparisons).as_bytes())
}

/// The comparison as a table.
fn comparison_text(comparisons: &[compare::Comparison]) -> String {
    let mut text =
        "scenario                age       A       B    B − A  95 % interval, moving-block bootstrap, ms\n".to_owned();
    for comparison in comparisons {
        for (name, difference) in [("p50", comparison.p50), ("p99", comparison.p99)] {
            text += &format!("{:<22} {name:>4} {difference}\n", comparison.scenario);
        }
    }
    text
}

fn print_cost(args: &CostArgs) -> Result<()> {
    let costs = cost::measure(args.size);
    let mut text = "what                                       a frame   share of 33 ms   of 17 ms\n".to_owned();
    let mut line = |name: &str, time: Duration| {
        let secs = time.as_secs_f64();
        let row = format!("{name:<40} {:>6.2} µs {:>14.3} % {:>8.3} %\n", secs * 1e6, secs * 3e3, secs * 6e3);
        text += &row;
    };
    for cost in &costs {
        line(cost.name, cost.time);
    }
    line("in every run", costs.iter().filter(|cost| cost.is_always).map(|cost| cost.time).sum());
    line("with --stamp", costs.iter().map(|cost| cost.time).sum());
    terminal::print(text.as_bytes())
}
