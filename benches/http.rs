//! Fifty clients of the stream, five of them stalled: age of the picture at the pipeline's end with and without them,
//! and whether memory grows.
//!
//! `cargo bench --bench http` prints a table; with `EFFIGY_RECORD=FILE.json` it also writes what it found, for
//! `benches/runs`. `EFFIGY_BENCH_SECS` sets the length of each run (120). The clients are a process of their own.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod common;

use std::error::Error;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::Outcome;
use crossbeam_channel::bounded;
use effigy::Identity;
use effigy::capture::{self, SourceOptions, SourceSpec};
use effigy::clock::MonotonicClock;
use effigy::composite::{CompositeOptions, Compositor};
use effigy::drive::DriveOptions;
use effigy::face::{FaceTracker, TrackerOptions};
use effigy::generate::warp::WarpGenerator;
use effigy::pipeline::{self, Control, Stages};
use effigy::report::{LiveFigures, Report};
use effigy::sink::{About, HttpOptions, HttpSink, NullSink};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const N_CLIENTS: usize = 50;
const N_STALLED: usize = 5;
const TOKEN: &str = "a-token-for-this-bench";
/// Tells the process that it is the clients, and where the server is.
const CLIENTS: &str = "EFFIGY_BENCH_CLIENTS";

fn main() -> Outcome<()> {
    if let Ok(address) = std::env::var(CLIENTS) {
        return clients(&address);
    }
    let duration = Duration::from_secs(common::number("EFFIGY_BENCH_SECS", 120)?);
    let load_before = common::load();
    let identity = common::identity()?;
    println!(
        "{:<8} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>10}",
        "clients", "fps", "age p50", "p90", "p99", "max", "dropped", "MB early", "MB late"
    );
    let mut runs = Vec::new();
    for with_clients in [false, true] {
        let run = run(&identity, duration, with_clients)?;
        let (age, frames) = (&run.report.age_ms, &run.report.frames);
        println!(
            "{:<8} {:>6.1} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>8} {:>10.1} {:>10.1}",
            if with_clients { N_CLIENTS } else { 0 },
            run.report.fps,
            age.p50,
            age.p90,
            age.p99,
            age.max,
            frames.dropped,
            run.early_mb,
            run.late_mb
        );
        if let Some(clients) = &run.clients {
            println!("clients: {clients}");
        }
        runs.push(run);
    }
    let [without, with] = &runs[..] else { return Err("two runs were to be made".into()) };
    let ratio = with.report.age_ms.p99 / without.report.age_ms.p99;
    println!("age p99 with clients / without: {ratio:.3}; load before {load_before:?}, after {:?}", common::load());
    let runs: Vec<_> = runs
        .iter()
        .map(|run| {
            serde_json::json!({
                "clients": run.clients, "memory_early_mb": run.early_mb, "memory_late_mb": run.late_mb,
                "report": run.report,
            })
        })
        .collect();
    common::record("http", load_before, serde_json::json!({ "age_p99_ratio": ratio, "runs": runs }))
}

struct Run {
    report: Report,
    /// Memory of this process after a quarter of the time, and at the end.
    early_mb: f64,
    late_mb: f64,
    /// What the clients say.
    clients: Option<String>,
}

fn run(identity: &Arc<Identity>, duration: Duration, with_clients: bool) -> Outcome<Run> {
    let (control_tx, control_rx) = bounded(8);
    let figures = Arc::new(LiveFigures::default());
    let server = HttpSink::open(HttpOptions {
        address: effigy::sink::http::DEFAULT_ADDRESS,
        allow_remote: false,
        token: Some(TOKEN.to_owned()),
        control: control_tx.clone(),
        figures: Arc::clone(&figures),
        identities: vec![Arc::clone(identity)],
        about: About::default(),
        messages: Arc::default(),
        consent_by: "a bench".to_owned(),
        library: None,
    })?;
    let mut watchers = None;
    if with_clients {
        let mut command = Command::new(std::env::current_exe()?);
        watchers = Some(command.env(CLIENTS, server.address().to_string()).stdout(Stdio::piped()).spawn()?);
    }
    let sampler = std::thread::Builder::new().name("timer".to_owned()).spawn(move || {
        std::thread::sleep(duration / 4);
        let early_mb = resident_mb();
        std::thread::sleep(duration / 4 * 3);
        let late_mb = resident_mb();
        let _ = control_tx.send(Control::Quit);
        (early_mb, late_mb)
    })?;
    let source = capture::open(&SourceSpec::Pattern, &SourceOptions { looped: true, ..SourceOptions::default() })?;
    let report = pipeline::run(
        Stages {
            first: 0,
            motion: Vec::new(),
            source,
            tracker: Box::new(FaceTracker::new(TrackerOptions::default())?),
            drive: DriveOptions::default(),
            generator: Box::new(WarpGenerator::new(512)),
            compositor: Compositor::new(CompositeOptions::default())?,
            identities: vec![Arc::clone(identity)],
            // The first sink is where the age is taken: the pipeline's end, whatever the server does.
            sinks: vec![Box::new(NullSink::default()), Box::new(server)],
            foreground: None,
            beside: None,
            every_frame: false,
            figures,
        },
        &MonotonicClock::new(),
        control_rx,
    )?;
    let (early_mb, late_mb) = sampler.join().map_err(|_| "the timer broke down")?;
    // The clients end by themselves when the server is gone.
    let clients = match watchers {
        Some(watchers) => Some(String::from_utf8(watchers.wait_with_output()?.stdout)?.trim().to_owned()),
        None => None,
    };
    Ok(Run { report, early_mb, late_mb, clients })
}

/// Reads streams until they end; some of them are opened and never read.
fn clients(address: &str) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let n_bytes: Arc<[AtomicU64]> = (0..N_CLIENTS).map(|_| AtomicU64::new(0)).collect();
    let since = Instant::now();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for i in 0..N_CLIENTS {
            let mut stream = TcpStream::connect(address).await?;
            stream
                .write_all(format!("GET /stream?token={TOKEN} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())
                .await?;
            let n_bytes = Arc::clone(&n_bytes);
            let task = tokio::spawn(async move {
                if i < N_STALLED {
                    // Nothing is read, and the connection stays open, as with a program that hangs.
                    std::future::pending::<()>().await;
                }
                let mut buffer = vec![0; 64 << 10];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    n_bytes[i].fetch_add(n as u64, Ordering::Relaxed);
                }
            });
            if i >= N_STALLED {
                tasks.push(task);
            }
        }
        for task in tasks {
            task.await?;
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    let mut rates: Vec<_> = n_bytes[N_STALLED..]
        .iter()
        .map(|n| n.load(Ordering::Relaxed) as f64 / 1e6 / since.elapsed().as_secs_f64())
        .collect();
    rates.sort_by(f64::total_cmp);
    let (least, most) = (rates[0], rates[rates.len() - 1]);
    println!("{} read {least:.2} to {most:.2} MB/s each, {N_STALLED} stalled", rates.len());
    Ok(())
}

/// Memory that this process holds, where the system tells.
fn resident_mb() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.map_or(f64::NAN, |pages| pages * 4096.0 / 1e6)
}
