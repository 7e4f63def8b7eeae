//! `effigy bench load`: users of a picture server, measured on this machine against the model, and the model alone for cards.

use std::time::Duration;

use clap::Args;
use effigy::bench::capacity::{Cost, MOST_DROPPED, Outcome, Policy, WARM_UP_SECS, most_users, phases, play};
use effigy::bench::load::{Worker, measure_cost, serve};
use effigy::bench::record::{Circumstances, SCHEMA};
use effigy::generate::network::{self, FrameOptions, Size};
use effigy::generate::roofline::CARDS;
use effigy::{Error, ErrorKind, Result};

use super::{parse_secs, parse_size, people, terminal, write_json};
use serde::Serialize;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench load --secs 6
  effigy bench load --workers 1 --threads 2 --streams 1,2,3,4
  effigy bench load --streams '' --cards            the model alone, for graphics cards (an estimate)

Each stream asks for 30 pictures a second; the newest frame of each waits. A free worker takes what waits as a batch, at
most --max-batch, once its first frame has waited for the window. The face is found elsewhere: --beside-ms is what that,
the network and showing the picture take of the age.")]
pub(crate) struct LoadArgs {
    /// Streams that are served at once, one run each
    #[arg(long, default_value = "1,2,3,4,6,8", value_name = "N[,N...]", value_parser = parse_counts)]
    streams: Counts,
    /// Batching windows, in milliseconds, one run each
    #[arg(long, default_value = "0,2,5", value_name = "MS[,MS...]", value_parser = parse_windows)]
    window_ms: Windows,
    /// Batches that are worked on at the same time; otherwise one for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: Option<u8>,
    /// Threads of each worker
    #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// Most pictures in a batch: on a processor a batch is no faster than its pictures one by one
    #[arg(long, default_value = "2", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    max_batch: u16,
    /// What is wanted of the age at its 99th percentile, in milliseconds
    #[arg(long, default_value = "66", value_name = "MS", value_parser = parse_ms)]
    most_age_ms: f64,
    /// What of the age is spent outside the server, in milliseconds
    #[arg(long, default_value = "20", value_name = "MS", value_parser = parse_ms)]
    beside_ms: f64,
    /// Seconds that are measured of each run, in turns of four; the model is told what pictures took in as many turns between
    /// them. Ages are the medians of the turns', so that 20 seconds bear a machine that is held up
    #[arg(long, default_value = "4", value_name = "SECONDS", value_parser = parse_secs)]
    secs: f64,
    /// Size of the picture, in pixels a side: 512 or 1024
    #[arg(long, default_value = "512", value_name = "PIXELS", value_parser = parse_size())]
    size: usize,
    /// Say too how many users a graphics card should carry: by the roofline, measured on none
    #[arg(long)]
    cards: bool,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE.json")]
    report: Option<std::path::PathBuf>,
}

#[derive(Clone, Debug)]
struct Counts(Vec<usize>);

#[derive(Clone, Debug)]
struct Windows(Vec<f64>);

fn parse_counts(text: &str) -> std::result::Result<Counts, String> {
    let count = |text: &str| text.trim().parse().ok().filter(|n| (1..=64).contains(n));
    let counts = text.split(',').filter(|part| !part.trim().is_empty()).map(count).collect::<Option<_>>();
    counts.map(Counts).ok_or_else(|| "expected numbers from 1 to 64 with commas between, such as 1,2,4".to_owned())
}

fn parse_ms(text: &str) -> std::result::Result<f64, String> {
    let ms = text.parse().ok().filter(|ms| (0.0..=1e6).contains(ms));
    ms.ok_or_else(|| "expected milliseconds from 0 to 1000000, such as 20".to_owned())
}

fn parse_windows(text: &str) -> std::result::Result<Windows, String> {
    let window = |text: &str| text.trim().parse().ok().filter(|ms| (0.0..=1000.0).contains(ms));
    let windows: Option<Vec<f64>> = text.split(',').map(window).collect();
    windows
        .map(Windows)
        .ok_or_else(|| "expected milliseconds from 0 to 1000 with commas between, such as 0,2,5".to_owned())
}

/// One run, measured and by the model.
#[derive(Debug, Serialize)]
struct Row {
    streams: usize,
    window_ms: f64,
    /// Ages in the server.
    p50_ms: f64,
    p99_ms: f64,
    dropped: f64,
    model_p50_ms: f64,
    model_p99_ms: f64,
    model_dropped: f64,
}

#[derive(Debug, Serialize)]
struct Load {
    #[serde(flatten)]
    circumstances: Circumstances,
    workers: usize,
    threads: usize,
    max_batch: usize,
    size_px: usize,
    /// A picture with all workers busy.
    cost_p50_ms: f64,
    cost_p99_ms: f64,
    rows: Vec<Row>,
}

/// The seed of the streams' phases, the same for the run and for the model.
const SEED: u64 = 25;

/// A run is made of turns of about so many seconds. Its ages are the medians of its turns': a machine that is held up once, for
/// a tenth of a second, is so either in a turn that is measured or in one that the model is told of.
const TURN_SECS: f64 = 4.0;

/// Measures, and prints as it goes.
pub(super) fn run(args: &LoadArgs) -> Result<()> {
    let budget_secs = (args.most_age_ms - args.beside_ms) / 1e3;
    if budget_secs <= 0.0 {
        let message = format!(
            "of {} ms nothing is left for the server when {} are spent beside it",
            args.most_age_ms, args.beside_ms
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    // As much again as is not counted: of a run that is hardly longer no frame may be counted.
    let least_secs = 2.0 * WARM_UP_SECS;
    if args.secs < least_secs {
        let message =
            format!("--secs {} is all warm-up; expected at least {least_secs} seconds, such as --secs 4", args.secs);
        return Err(Error::new(ErrorKind::Config, message));
    }
    if !args.streams.0.is_empty() {
        measure(args, budget_secs)?;
    }
    if args.cards {
        terminal::print(cards(args, budget_secs).as_bytes())?;
    }
    Ok(())
}

fn measure(args: &LoadArgs, budget_secs: f64) -> Result<()> {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (n_workers, n_threads) = (args.workers.map_or(n_cores, usize::from), usize::from(args.threads));
    let progress = terminal::spinner("making workers");
    let identities = people::enroll()?;
    let mut workers: Vec<Worker> =
        (0..n_workers).map(|_| Worker::new(&identities, args.size, n_threads)).collect::<Result<_>>()?;
    progress.finish_and_clear();
    let mut load = Load {
        circumstances: Circumstances::begin(SCHEMA),
        workers: n_workers,
        threads: n_threads,
        max_batch: args.max_batch.into(),
        size_px: args.size,
        cost_p50_ms: 0.0,
        cost_p99_ms: 0.0,
        rows: Vec::new(),
    };
    let busy = measure_cost(&mut workers, Duration::from_secs_f64(args.secs))?;
    let mut sorted: Vec<f64> = busy.pictures().collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get((sorted.len() as f64 * share) as usize).map_or(0.0, |secs| secs * 1e3);
    (load.cost_p50_ms, load.cost_p99_ms) = (at(0.5), at(0.99));
    let head = format!(
        "{n_workers} workers of {n_threads} threads, batches of at most {}: a picture takes {:.1} ms (p99 {:.1}) with all busy\n\
         \x20                    measured               by the model\n\
         streams  window    p50    p99  dropped    p50    p99  dropped   p50 off  p99 off\n",
        args.max_batch, load.cost_p50_ms, load.cost_p99_ms
    );
    terminal::print(head.as_bytes())?;
    let cost = Cost::Measured(busy);
    for &window_ms in &args.window_ms.0 {
        let policy = Policy { n_workers, max_batch: args.max_batch.into(), window_secs: window_ms / 1e3 };
        for &streams in &args.streams.0 {
            let phases = phases(streams, SEED);
            // What a picture takes changes with the load and from minute to minute: between turns that are measured, others
            // tell the model.
            let (mut measured, mut model) = (Vec::new(), Vec::new());
            let n_turns = (args.secs / TURN_SECS).round().max(1.0);
            let turn_secs = args.secs / n_turns;
            for _ in 0..n_turns as usize {
                let (_, made) = serve(&mut workers, &policy, &phases, turn_secs)?;
                model.push(play(&phases, &policy, &Cost::Measured(made), turn_secs));
                measured.push(serve(&mut workers, &policy, &phases, turn_secs)?.0);
            }
            let row = row(streams, window_ms, &measured, &model);
            terminal::print(row.text().as_bytes())?;
            load.rows.push(row);
        }
        let most = most_users(&policy, &cost, budget_secs);
        let line = format!(
            "by the model, window {window_ms} ms: {most} users at p99 < {} ms, {} of them outside, and at most {:.0} % lost\n",
            args.most_age_ms,
            args.beside_ms,
            MOST_DROPPED * 100.0
        );
        terminal::print(line.as_bytes())?;
    }
    load.circumstances.end();
    write_json(args.report.as_deref(), &load)
}

fn row(streams: usize, window_ms: f64, measured: &[Outcome], model: &[Outcome]) -> Row {
    let age_ms = |turns: &[Outcome], share: f64| median(turns.iter().map(|turn| turn.age.quantile_ms(share)).collect());
    let dropped = |turns: &[Outcome]| {
        let n_dropped: u64 = turns.iter().map(|turn| turn.n_dropped).sum();
        n_dropped as f64 / turns.iter().map(|turn| turn.n_offered).sum::<u64>().max(1) as f64
    };
    Row {
        streams,
        window_ms,
        p50_ms: age_ms(measured, 0.5),
        p99_ms: age_ms(measured, 0.99),
        dropped: dropped(measured),
        model_p50_ms: age_ms(model, 0.5),
        model_p99_ms: age_ms(model, 0.99),
        model_dropped: dropped(model),
    }
}

/// The middle one, or the mean of the two in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    let at = |i: usize| values.get(i).copied().unwrap_or_default();
    if n % 2 == 1 { at(n / 2) } else { (at((n / 2).saturating_sub(1)) + at(n / 2)) / 2.0 }
}

impl Row {
    fn text(&self) -> String {
        format!(
            "{:>7} {:>4} ms {:>6.1} {:>6.1} {:>6.1} %  {:>6.1} {:>6.1} {:>6.1} %  {:>+6.1} % {:>+6.1} %\n",
            self.streams,
            self.window_ms,
            self.p50_ms,
            self.p99_ms,
            self.dropped * 100.0,
            self.model_p50_ms,
            self.model_p99_ms,
            self.model_dropped * 100.0,
            (self.model_p50_ms / self.p50_ms - 1.0) * 100.0,
            (self.model_p99_ms / self.p99_ms - 1.0) * 100.0
        )
    }
}

/// Users of each card, by the roofline.
fn cards(args: &LoadArgs, budget_secs: f64) -> String {
    let mut text =
        "users of a graphics card by the roofline, measured on none of these; a frame's time may be 3 times off\n"
            .to_owned();
    text += &format!("{:<26}{:>8}{:>11}", "card", "network", "ms a frame");
    args.window_ms.0.iter().for_each(|window_ms| text += &format!("{:>12}", format!("{window_ms} ms")));
    text += "   if 3 times as slow\n";
    for size in Size::ALL {
        let plan = network::frame(&FrameOptions::new(size, args.size));
        for card in CARDS {
            let estimate = card.estimate(&plan);
            let total_secs = estimate.total_secs();
            let cost = |factor: f64| Cost::Linear {
                batch_secs: factor * estimate.launch_secs,
                picture_secs: factor * (total_secs - estimate.launch_secs),
            };
            text += &format!("{:<26}{:>8}{:>11.2}", card.name, size.name(), total_secs * 1e3);
            for &window_ms in &args.window_ms.0 {
                let policy = Policy { n_workers: 1, max_batch: 16, window_secs: window_ms / 1e3 };
                text += &format!("{:>12}", most_users(&policy, &cost(1.0), budget_secs));
            }
            let policy = Policy { n_workers: 1, max_batch: 16, window_secs: 0.002 };
            text += &format!("{:>21}\n", most_users(&policy, &cost(3.0), budget_secs));
        }
    }
    text
}
