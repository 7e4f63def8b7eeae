//! `effigy bench`: how old the picture is, everywhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use effigy::bench::reader::{self, ReaderSpec};
use effigy::bench::record::{Recording, RunRecord};
use effigy::bench::samples::MAX_SECS;
use effigy::bench::scenario::{Engine, Length, Scenario};
use effigy::bench::watch::Watch;
use effigy::bench::{compare, cost, degrade, lag, pattern, predict};
use effigy::capture::{self, SourceOptions, SourceSpec};
use effigy::clock::MonotonicClock;
use effigy::drive::DriveOptions;
use effigy::error::OrError as _;
use effigy::files;
use effigy::generate::Generator;
use effigy::sink::{self, SinkSpec};
use effigy::{Error, ErrorKind, Grey, Identity, Result, Sink};

use super::names::{self, Names, parse_name, parse_names};
use super::{Maker, MakerParser, outputs, parse_secs, parse_size, people, run, terminal};

mod load;
mod memory;
mod scenes;
mod ways;

pub(crate) use load::LoadArgs;
pub(crate) use memory::MemoryArgs;
pub(crate) use scenes::ScenesArgs;
pub(crate) use ways::E2eArgs;
use ways::{open_window, sink_options};

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
    /// Compare ways of looking ahead: what each takes away of the lag, and what it costs
    Predict(PredictArgs),
    /// Measure how late and how strongly motion arrives
    Lag(LagArgs),
    /// Say how much a picture may suffer before its code is lost
    Code(CodeArgs),
    /// Measure how many streams this machine makes pictures for, against a model that says how many any machine would
    Load(LoadArgs),
    /// Say whether memory stays where it was: switching identities, run after run, a long run
    Memory(MemoryArgs),
    /// Say what measuring itself costs
    Cost(CostArgs),
    /// Say what the invisible mark costs and how far it changes pictures
    Mark(MarkArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench compare before/bench.json after/bench.json
  effigy bench compare both/bench.json both/bench.json      A against B of one recording

Differences come with the 95 % interval of a moving-block bootstrap over whole seconds and rounds. How much one run
differs from the next is known from rounds only: with fewer than three of each (--rounds 3) there is no verdict.")]
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
    #[arg(long, value_name = "FILE[,FILE...]", value_parser = parse_names())]
    identity: Vec<Names>,
    #[command(flatten)]
    keys: super::opener::KeyArgs,
    /// Size of the picture, in pixels a side: 512 or 1024
    #[arg(long, default_value = "512", value_name = "PIXELS", value_parser = parse_size())]
    size: usize,
    /// What makes the picture; or remote:grpc://HOST:PORT[/MODEL], as for `effigy run`
    #[arg(long, default_value = "auto", value_name = "BACKEND", value_parser = MakerParser)]
    backend: Maker,
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
    /// (- for standard input)
    #[arg(value_name = "DEVICE|URL|FILE", value_parser = parse_name::<ReaderSpec>())]
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
    #[arg(long, default_value = "window", value_name = "SINK", value_parser = parse_name::<SinkSpec>())]
    sink: SinkSpec,
    /// Size of the picture, in pixels a side: 512 or 1024
    #[arg(long, default_value = "512", value_name = "PIXELS", value_parser = parse_size())]
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
  effigy bench lag --predict 66 talk.mp4

A second tracker looks at the output; where its signals fit the driver's best is the lag.")]
struct LagArgs {
    /// The clip, - for standard input; otherwise the program's own driver
    clip: Option<PathBuf>,
    /// Leave out the filter of `effigy run`, to see what it adds
    #[arg(long)]
    no_filter: bool,
    /// Show the portrait so many milliseconds ahead, as `effigy run --predict`
    #[arg(long, value_name = "MS", default_value_t = 0.0, value_parser = super::parse_predict)]
    predict: f32,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench predict
  effigy bench predict --ahead 40 --rate 60
  effigy bench predict talk.jsonl

`effigy run --source talk.mp4 --every-frame --sink motion:talk.jsonl` makes a recording.")]
struct PredictArgs {
    /// Recordings of motion (.jsonl): what was said of each is compared with what came
    #[arg(value_name = "FILE.jsonl")]
    recordings: Vec<PathBuf>,
    /// How far to look ahead, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 66.0, value_parser = super::parse_predict)]
    ahead: f32,
    /// Frames a second of the turns
    #[arg(long, value_name = "HZ", default_value_t = 30.0, value_parser = parse_rate)]
    rate: f64,
}

fn parse_rate(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(rate) if (10.0..=240.0).contains(&rate) => Ok(rate),
        _ => Err("expected frames a second from 10 to 240".to_owned()),
    }
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
    /// Size of the picture, in pixels a side: 512 or 1024
    #[arg(long, default_value = "512", value_name = "PIXELS", value_parser = parse_size())]
    size: usize,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench mark clips/
  effigy bench mark clips/ photos/ --report mark.json

The folders hold footage without a mark. `scripts/mark_bench.py` measures how often chance makes a mark's score, and what
the mark survives.")]
struct MarkArgs {
    /// Folders with clips and pictures that carry no mark
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
}

/// Does what was asked for.
pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    match &args.command {
        BenchCommand::Run(args) => scenes::run(args),
        BenchCommand::Compare(args) => compare_recordings(args),
        BenchCommand::E2e(args) => ways::run(args),
        BenchCommand::Watch(args) => watch(args),
        BenchCommand::Pattern(args) => show_pattern(args),
        BenchCommand::Lag(args) => motion_lag(args),
        BenchCommand::Predict(args) => look_ahead(args),
        BenchCommand::Code(args) => {
            let table = degrade::table(args.pictures as usize)?;
            terminal::print(table.to_string().as_bytes())
        }
        BenchCommand::Load(args) => load::run(args),
        BenchCommand::Memory(args) => memory::run(args),
        BenchCommand::Cost(args) => print_cost(args),
        BenchCommand::Mark(args) => measure_mark(args),
    }
}

impl EngineArgs {
    /// Loads or enrols who is shown.
    fn identities(&self) -> Result<Vec<Arc<Identity>>> {
        if !self.identity.is_empty() {
            let opener = self.keys.opener()?;
            let load = |path: &PathBuf| {
                let identity = opener.identity(path)?;
                identity.check_consent(None, effigy::identity::now_unix_secs())?;
                Ok(Arc::new(identity))
            };
            return names::all(&self.identity).map(load).collect();
        }
        people::enroll()
    }

    /// Makes the generator.
    fn generator(&self) -> Result<Box<dyn Generator>> {
        run::open_generator(&self.backend, None, self.size, false)
    }
}

/// How long to play: no longer than all frames are kept.
fn length(secs: f64, warm_up: f64) -> Result<Length> {
    let all = secs + warm_up;
    if all > f64::from(MAX_SECS) {
        let message = format!("--secs and --warm-up are {all} seconds together; the frames of {MAX_SECS} are kept");
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(Length { measured: Duration::from_secs_f64(secs), warm_up: Duration::from_secs_f64(warm_up) })
}

fn write_json(path: Option<&Path>, value: &impl serde::Serialize) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text =
        serde_json::to_string_pretty(value).or_error(ErrorKind::Internal, || "cannot write the figures".to_owned())?;
    files::write(path, (text + "\n").as_bytes()).map_err(|error| outputs::cannot_write(path, error))
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
        outputs::check_writable(path)?;
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
            if let Some(age) = watch.ages_so_far() {
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
    let spec = match &args.clip {
        None => SourceSpec::Pattern,
        Some(path) if path.as_os_str() == files::STANDARD_INPUT => SourceSpec::StandardInput,
        Some(path) => SourceSpec::File(path.clone()),
    };
    let options = SourceOptions { paced: false, looped: false, ..SourceOptions::default() };
    let mut source = capture::open(&spec, &options)?;
    let generator = || args.engine.generator();
    let engine = Engine { identities: args.engine.identities()?, generator: &generator, size_px: args.engine.size };
    let drive = DriveOptions { is_filtered: !args.no_filter, predict_ms: args.predict, ..DriveOptions::default() };
    let progress = terminal::spinner("driving and watching");
    let figures = lag::measure(&mut *source, &engine, drive);
    progress.finish_and_clear();
    terminal::print(figures?.text().as_bytes())
}

fn look_ahead(args: &PredictArgs) -> Result<()> {
    let mut text = predict::turns_text(args.ahead, args.rate, &predict::turns(args.ahead, args.rate)?);
    let mut recordings = Vec::new();
    for path in &args.recordings {
        recordings.extend(capture::recorded(path)?);
    }
    if !recordings.is_empty() {
        text += "\n";
        text += &predict::recordings_text(args.ahead, &predict::recordings(&recordings, args.ahead)?);
    }
    terminal::print(text.as_bytes())
}

fn compare_recordings(args: &CompareArgs) -> Result<()> {
    let (a, b) = (Recording::load(&args.a)?, Recording::load(&args.b)?);
    let comparisons = compare::recordings(&a, &b);
    if comparisons.is_empty() {
        let message = format!("{} and {} have no scenario in common", args.a.display(), args.b.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    terminal::print(comparison_text(&comparisons, &compare::unlike(&a, &b)).as_bytes())
}

/// The comparison as a table, and what stands against taking its differences for the programs' own.
fn comparison_text(comparisons: &[compare::Comparison], unlike: &[String]) -> String {
    let mut text =
        "scenario                age  rounds       A       B    B − A  95 % interval, moving-block bootstrap, ms\n"
            .to_owned();
    for comparison in comparisons {
        let rounds = format!("{}, {}", comparison.n_rounds.0, comparison.n_rounds.1);
        for (name, difference) in [("p50", comparison.p50), ("p99", comparison.p99)] {
            text += &format!("{:<22} {name:>4} {rounds:>7} {difference}\n", comparison.scenario);
        }
    }
    if comparisons.iter().any(|comparison| !comparison.p50.has_rounds) {
        text += &format!(
            "what differs from run to run is in no interval of fewer than {0} rounds; --rounds {0} or more tells\n",
            compare::LEAST_ROUNDS
        );
    }
    unlike.iter().for_each(|line| text += &format!("A and B differ in {line}\n"));
    text
}

fn measure_mark(args: &MarkArgs) -> Result<()> {
    if let Some(path) = &args.report {
        outputs::check_writable(path)?;
    }
    let files = effigy::bench::mark::files_in(&args.folders)?;
    let price = effigy::bench::mark::price(&files)?;
    terminal::print(price.to_string().as_bytes())?;
    write_json(args.report.as_deref(), &price)
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
