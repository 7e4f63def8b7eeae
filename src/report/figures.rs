//! What a run leaves: counts, percentiles, the machine.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{SinkMeter, Times};
use crate::trace::Stage;

/// Version of the report's keys. It rises when a key changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// Counts of frames.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct FrameCounts {
    /// Frames that the source delivered.
    pub captured: u64,
    /// Pictures that the first sink showed.
    pub presented: u64,
    /// Frames replaced by newer ones before the first sink had shown them.
    pub dropped: u64,
    /// Frames shown in which no face was found.
    pub no_face: u64,
}

/// Where frames were dropped.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct DropCounts {
    /// Before the face stage.
    pub face: u64,
    /// Before the generator.
    pub generate: u64,
    /// Before the first sink.
    pub present: u64,
}

/// Percentiles of the picture's age when it was shown, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct AgeFigures {
    /// Median.
    pub p50: f64,
    /// 9 of 10 are younger.
    pub p90: f64,
    /// 99 of 100 are younger.
    pub p99: f64,
    /// 999 of 1000 are younger.
    pub p999: f64,
    /// The oldest.
    pub max: f64,
}

impl From<&Times> for AgeFigures {
    fn from(times: &Times) -> Self {
        Self {
            p50: times.quantile_ms(0.5),
            p90: times.quantile_ms(0.9),
            p99: times.quantile_ms(0.99),
            p999: times.quantile_ms(0.999),
            max: times.max_ms(),
        }
    }
}

/// Percentiles of a stage's work on one frame, or of a frame's waiting for it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct StageFigures {
    /// Median, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 are faster, in milliseconds.
    pub p99_ms: f64,
}

/// Pictures that another machine made.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RemoteFigures {
    /// How many of those shown it made; the others were made here.
    pub pictures: u64,
    /// From request to picture, less the other machine's own work where it says that.
    pub network: StageFigures,
    /// The other machine's own work; 0 where it does not say.
    pub work: StageFigures,
}

impl From<&Times> for StageFigures {
    fn from(times: &Times) -> Self {
        Self { p50_ms: times.quantile_ms(0.5), p99_ms: times.quantile_ms(0.99) }
    }
}

/// What one sink showed.
#[derive(Clone, Debug, Serialize)]
pub struct SinkFigures {
    /// The sink's name.
    pub name: String,
    /// Pictures shown.
    pub presented: u64,
    /// Frames a second.
    pub fps: f64,
    /// Age of the picture when it was shown, in milliseconds.
    pub age_ms: AgeFigures,
}

/// The machine a run was made on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Processors that this program may use.
    pub cores: usize,
    /// The operating system.
    pub os: &'static str,
    /// The processor's architecture.
    pub arch: &'static str,
}

impl Machine {
    /// Describes this machine.
    pub fn describe() -> Self {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            line.split(':').nth(1).map(|name| name.trim().to_owned())
        });
        Self {
            cpu: cpu.unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
        }
    }
}

/// The figures of a run. The keys are stable; [`SCHEMA`] is their version.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of the keys.
    pub schema: u32,
    /// Version of the program.
    pub version: &'static str,
    /// Pictures a second at the first sink.
    pub fps: f64,
    /// Counts of frames.
    pub frames: FrameCounts,
    /// Where frames were dropped.
    pub drops: DropCounts,
    /// Age of the picture when the first sink had shown it, in milliseconds.
    pub age_ms: AgeFigures,
    /// How much the age differs from one picture to the next (RFC 3550, section 6.4.1: D), in milliseconds.
    pub jitter_ms: AgeFigures,
    /// Pictures that came later than 1.5 of the source's intervals after the one before.
    pub stutters: u64,
    /// Frames that were shown twice.
    pub duplicates: u64,
    /// Time of every stage's own work, by name.
    pub stages: BTreeMap<&'static str, StageFigures>,
    /// Time that frames waited for each stage, by name.
    pub waits: BTreeMap<&'static str, StageFigures>,
    /// What another machine had of it, where one made pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteFigures>,
    /// All sinks.
    pub sinks: Vec<SinkFigures>,
    /// What the generator ran on.
    pub backend: String,
    /// The generator.
    pub generator: String,
    /// The identity shown last.
    pub identity: String,
    /// Where the driver's frames came from.
    pub source: String,
    /// Frames a second that it delivered.
    pub source_fps: f64,
    /// Whether the visible mark was on all the time.
    pub badge: bool,
    /// The machine.
    pub machine: Machine,
}

/// What the pipeline knows of itself, for the report.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunFacts {
    pub(crate) captured: u64,
    pub(crate) drops: DropCounts,
    pub(crate) backend: String,
    pub(crate) generator: String,
    pub(crate) identity: String,
    pub(crate) source: String,
    pub(crate) source_rate_hz: f64,
    pub(crate) badge: bool,
}

fn by_stage(times: &[Times]) -> BTreeMap<&'static str, StageFigures> {
    Stage::ALL.into_iter().zip(times).map(|(stage, times)| (stage.name(), times.into())).collect()
}

impl Report {
    pub(crate) fn new(facts: RunFacts, sinks: &[SinkMeter]) -> Self {
        let nothing = SinkMeter::new("none");
        let first = sinks.first().unwrap_or(&nothing);
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            fps: first.rate_hz(),
            frames: FrameCounts {
                captured: facts.captured,
                presented: first.presented,
                dropped: facts.drops.face + facts.drops.generate + facts.drops.present,
                no_face: first.no_face,
            },
            drops: facts.drops,
            age_ms: AgeFigures::from(&first.age),
            jitter_ms: AgeFigures::from(&first.jitter),
            stutters: first.n_stutters,
            duplicates: first.n_duplicates,
            stages: by_stage(&first.stages),
            waits: by_stage(&first.waits),
            remote: (first.network.count() > 0).then(|| RemoteFigures {
                pictures: first.network.count(),
                network: (&first.network).into(),
                work: (&first.remote_work).into(),
            }),
            sinks: sinks
                .iter()
                .map(|sink| SinkFigures {
                    name: sink.name.clone(),
                    presented: sink.presented,
                    fps: sink.rate_hz(),
                    age_ms: AgeFigures::from(&sink.age),
                })
                .collect(),
            backend: facts.backend,
            generator: facts.generator,
            identity: facts.identity,
            source: facts.source,
            source_fps: facts.source_rate_hz,
            badge: facts.badge,
            machine: Machine::describe(),
        }
    }
}
