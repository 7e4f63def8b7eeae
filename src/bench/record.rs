//! What a bench writes down: one entry a run, with every frame of it, the machine and the circumstances.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::samples::Sample;
use super::watch::Ages;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::report::{Machine, Report, Times};
use crate::trace::Stage;

/// Version of the keys. It rises when a key changes its meaning or goes.
pub const SCHEMA: u32 = 1;
/// The largest recording accepted.
const MAX_BYTES: u64 = 1 << 30;
/// Steps in which the age on screen is sampled.
const SCREEN_STEP: Duration = Duration::from_millis(1);

/// All runs of one bench.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recording {
    /// Where and when.
    #[serde(flatten)]
    pub circumstances: Circumstances,
    /// The runs, in the order in which they were made.
    pub runs: Vec<RunRecord>,
}

/// Where and when a bench ran.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Circumstances {
    /// Version of the keys of the record that this is part of.
    pub schema: u32,
    /// Version of the program.
    pub version: String,
    /// When the bench began, in seconds since 1970.
    pub unix_secs: u64,
    /// The commit, where the bench ran in the program's repository.
    pub commit: Option<String>,
    /// The machine.
    pub machine: MachineRecord,
    /// The system's load over the last minute, before and after.
    pub load: [Option<f64>; 2],
}

impl Circumstances {
    /// Those of a bench that begins now.
    pub fn begin(schema: u32) -> Self {
        let git = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
        let commit = git.ok().filter(|output| output.status.success());
        Self {
            schema,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            unix_secs: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            commit: commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            machine: MachineRecord::describe(),
            load: [load(), None],
        }
    }

    /// Notes what is known only at the end.
    pub fn end(&mut self) {
        self.load[1] = load();
    }
}

/// A machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MachineRecord {
    /// The processor's name.
    pub cpu: String,
    /// Processors that the program may use.
    pub cores: usize,
    /// Memory, in MiB; 0 where the system does not tell.
    pub memory_mib: u64,
    /// The operating system and its kernel.
    pub os: String,
    /// Whether it is a machine at all: one whose processor is emulated says nothing about any other.
    #[serde(default)]
    pub kind: String,
}

impl MachineRecord {
    /// Describes this machine.
    pub fn describe() -> Self {
        let machine = Machine::describe();
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
        Self {
            cpu: machine.cpu,
            cores: machine.cores,
            memory_mib: kib.unwrap_or(0) / 1024,
            os: format!("{} {} {}", machine.os, kernel.trim(), machine.arch),
            kind: kind_of(&cpuinfo).to_owned(),
        }
    }
}

impl fmt::Display for MachineRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_mib, os, kind } = self;
        write!(f, "{cpu}, {cores} cores, {memory_mib} MiB, {os}; {kind}")
    }
}

/// What /proc/cpuinfo tells about the kind of a machine.
fn kind_of(cpuinfo: &str) -> &'static str {
    let mut lines = cpuinfo.lines();
    if lines.clone().any(|line| line.starts_with("model name") && line.contains("QEMU TCG")) {
        "virtual machine under TCG emulation: its times are no hardware's"
    } else if lines.any(|line| line.starts_with("flags") && line.split(' ').any(|flag| flag == "hypervisor")) {
        "virtual machine"
    } else {
        "no virtual machine that could be told"
    }
}

/// The median and the 99th percentile of a stage's work and of the waiting for it, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct StageRecord {
    /// Median of the waiting.
    pub wait_p50: f64,
    /// 99th percentile of the waiting.
    pub wait_p99: f64,
    /// Median of the work.
    pub work_p50: f64,
    /// 99th percentile of the work.
    pub work_p99: f64,
}

/// Frames lost, by the place where newer ones replaced them. They count the whole run, warm-up included.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct DropRecord {
    /// Before the face stage.
    pub face: u64,
    /// Before the generator.
    pub generate: u64,
    /// Before the sink.
    pub present: u64,
}

/// Every frame that was shown, in columns.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FrameColumns {
    /// When it was shown, in milliseconds since the warm-up's end.
    pub at_ms: Vec<f32>,
    /// Its age then, in milliseconds, from when it was due to be taken.
    pub age_ms: Vec<f32>,
    /// Frames that went missing right before it.
    pub missed: Vec<u32>,
    /// How much of its age another machine's network had, in milliseconds; negative where the picture was made here.
    /// Empty where all were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_ms: Vec<f32>,
}

/// One run of one scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// The scenario's name.
    pub scenario: String,
    /// What is compared: `A` or `B`.
    pub variant: String,
    /// What makes the variant: options and program.
    pub settings: String,
    /// Counts the rounds of a variant from 1.
    pub round: u32,
    /// Size of the picture, in pixels a side.
    pub size_px: usize,
    /// The generator and what it runs on.
    pub generator: String,
    /// The source.
    pub source: String,
    /// Frames a second that the source owes.
    pub source_fps: f64,
    /// How long was measured, after the warm-up.
    pub secs: f64,
    /// Frames that were due in that time.
    pub due: u64,
    /// Frames shown in that time.
    pub shown: u64,
    /// Frames a second.
    pub fps: f64,
    /// Where frames were dropped.
    pub drops: DropRecord,
    /// Age of each frame when it was shown.
    pub age_ms: Ages,
    /// Age of what is on the screen at every millisecond: a picture that stays there grows old.
    pub screen_age_ms: Ages,
    /// How much the age differs from one frame to the next (RFC 3550: D).
    pub jitter_ms: Ages,
    /// Frames that came later than 1.5 of the source's intervals after the one before.
    pub stutters: u64,
    /// Stages by name.
    pub stages: BTreeMap<String, StageRecord>,
    /// One interval of the source and the 99th percentiles of all stages' work: what the age should stay under,
    /// whatever is slow.
    pub bound_ms: f64,
    /// Memory in use after the warm-up and at the end, in MiB; 0 where the system does not tell.
    pub memory_mib: [f64; 2],
    /// Every frame.
    pub frames: FrameColumns,
}

/// What a run is called.
#[derive(Clone, Debug)]
pub struct Label {
    /// The scenario's name.
    pub scenario: String,
    /// `A` or `B`.
    pub variant: String,
    /// What makes the variant.
    pub settings: String,
    /// Counts from 1.
    pub round: u32,
}

/// The stages of frames, by name.
pub(super) fn stage_records<'a>(samples: impl Iterator<Item = &'a Sample> + Clone) -> BTreeMap<String, StageRecord> {
    let record = |stage: Stage| {
        let (mut wait, mut work) = (Times::default(), Times::default());
        for sample in samples.clone() {
            wait.record(sample.trace.wait(stage));
            work.record(sample.trace.span(stage).duration());
        }
        let [wait_p50, wait_p99, work_p50, work_p99] =
            [(&wait, 0.5), (&wait, 0.99), (&work, 0.5), (&work, 0.99)].map(|(times, q)| times.quantile_ms(q));
        (stage.name().to_owned(), StageRecord { wait_p50, wait_p99, work_p50, work_p99 })
    };
    Stage::ALL.into_iter().map(record).collect()
}

impl RunRecord {
    /// Makes a record from what a run left: those of its samples that were taken after the warm-up.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when nothing was shown after the warm-up.
    pub fn new(
        label: Label,
        report: &Report,
        samples: &[Sample],
        size_px: usize,
        rate_hz: f64,
        warm_up: Duration,
    ) -> Result<Self> {
        let fresh: Vec<&Sample> = samples.iter().filter(|sample| sample.trace.frame_id != 0).collect();
        let begin = fresh.first().map(|sample| sample.trace.captured + warm_up);
        let measured: Vec<&Sample> =
            fresh.into_iter().filter(|sample| begin.is_some_and(|begin| sample.trace.captured >= begin)).collect();
        let (Some(begin), [first, .., last]) = (begin, &measured[..]) else {
            let message = format!("nothing was shown after the warm-up of {} s; measure longer", warm_up.as_secs_f64());
            return Err(Error::new(ErrorKind::Config, message));
        };
        let interval = Duration::from_secs_f64(1.0 / rate_hz);
        let (mut age, mut screen, mut jitter) = (Times::default(), Times::default(), Times::default());
        let (mut frames, mut stutters) = (FrameColumns::default(), 0);
        for (i, sample) in measured.iter().enumerate() {
            let old = sample.trace.age(sample.shown);
            age.record(old);
            frames.at_ms.push(sample.shown.since(begin).as_secs_f32() * 1e3);
            frames.age_ms.push(old.as_secs_f32() * 1e3);
            let before = i.checked_sub(1).map(|before| measured[before]);
            let missed = before.map_or(0, |b| sample.trace.frame_id.saturating_sub(b.trace.frame_id + 1));
            frames.missed.push(missed.min(u64::from(u32::MAX)) as u32);
            if let Some(before) = before {
                jitter.record(old.abs_diff(before.trace.age(before.shown)));
                stutters += u64::from(sample.shown.since(before.shown) > interval * 3 / 2);
                let mut moment = before.shown;
                while moment < sample.shown {
                    screen.record(before.trace.age(moment));
                    moment = moment + SCREEN_STEP;
                }
            }
        }
        if measured.iter().any(|sample| sample.trace.away.is_some()) {
            let network = |sample: &&Sample| sample.trace.away.map_or(-1.0, |away| away.network().as_secs_f32() * 1e3);
            frames.network_ms = measured.iter().map(network).collect();
        }
        let stages = stage_records(measured.iter().copied());
        let bound_ms = interval.as_secs_f64() * 1e3 + stages.values().map(|stage| stage.work_p99).sum::<f64>();
        let secs = last.shown.since(first.shown).as_secs_f64();
        let due_secs = last.trace.captured.since(first.trace.captured).as_secs_f64();
        Ok(Self {
            scenario: label.scenario,
            variant: label.variant,
            settings: label.settings,
            round: label.round,
            size_px,
            generator: format!("{} on {}", report.generator, report.backend),
            source: report.source.clone(),
            source_fps: rate_hz,
            secs,
            due: (due_secs * rate_hz).round() as u64 + 1,
            shown: measured.len() as u64,
            fps: if secs > 0.0 { (measured.len() - 1) as f64 / secs } else { 0.0 },
            drops: DropRecord {
                face: report.drops.face,
                generate: report.drops.generate,
                present: report.drops.present,
            },
            age_ms: Ages::of(&age),
            screen_age_ms: Ages::of(&screen),
            jitter_ms: Ages::of(&jitter),
            stutters,
            stages,
            bound_ms,
            memory_mib: [0.0; 2],
            frames,
        })
    }

    /// The head of [`RunRecord::row`].
    pub const HEAD: &str = "scenario          variant   fps   p50    p90    p99   p99.9   max  screen p99  jitter p99  stutters  shown/due     bound p99  memory MiB";

    /// The run as a line of a table.
    pub fn row(&self) -> String {
        let age = &self.age_ms;
        format!(
            "{:<18} {} {:<4} {:>5.1} {:>6.1} {:>6.1} {:>6.1} {:>6.1} {:>6.1} {:>9.1} {:>10.1} {:>9} {:>6}/{:<6} {:>8.1}  {:.0} to {:.0}",
            self.scenario,
            self.variant,
            self.round,
            self.fps,
            age.p50,
            age.p90,
            age.p99,
            age.p999,
            age.max,
            self.screen_age_ms.p99,
            self.jitter_ms.p99,
            self.stutters,
            self.shown,
            self.due,
            self.bound_ms,
            self.memory_mib[0],
            self.memory_mib[1]
        )
    }
}

impl Recording {
    /// Starts a recording: the machine, the time, the commit, the load.
    pub fn begin() -> Self {
        Self { circumstances: Circumstances::begin(SCHEMA), runs: Vec::new() }
    }

    /// Notes what is known only at the end.
    pub fn end(&mut self) {
        self.circumstances.end();
    }

    /// Reads a recording.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the file cannot be read; [`ErrorKind::Config`] when it is no recording of this version.
    pub fn load(path: &Path) -> Result<Self> {
        let text = crate::files::read_text(path, MAX_BYTES)
            .or_error(ErrorKind::Io, || format!("cannot read {}", path.display()))?;
        let advice = || format!("{} is no recording; make one with `effigy bench run --out DIR`", path.display());
        let recording: Self = serde_json::from_str(&text).or_error(ErrorKind::Config, advice)?;
        let schema = recording.circumstances.schema;
        if schema != SCHEMA {
            let message = format!("{} has keys of version {schema}, expected {SCHEMA}", path.display());
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(recording)
    }

    /// The recording as JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when a figure cannot be written.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).or_error(ErrorKind::Internal, || "cannot write the recording".to_owned())
    }

    /// Every run as JSON, a line each.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when a figure cannot be written.
    pub fn to_json_lines(&self) -> Result<String> {
        let mut lines = String::new();
        for run in &self.runs {
            lines += &serde_json::to_string(run).or_error(ErrorKind::Internal, || "cannot write a run".to_owned())?;
            lines.push('\n');
        }
        Ok(lines)
    }
}

/// The system's load over the last minute, where it tells.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// Memory that this process has in use, in MiB; 0 where the system does not tell.
pub(super) fn memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulated_processor_is_told_from_others() {
        let table = [
            ("model name\t: QEMU TCG CPU version 2.5+\nflags\t\t: fpu hypervisor\n", "TCG emulation"),
            ("model name\t: AMD EPYC\nflags\t\t: fpu hypervisor sse\n", "virtual machine"),
            ("model name\t: AMD EPYC\nflags\t\t: fpu sse\n", "no virtual machine"),
            ("", "no virtual machine"),
        ];
        for (cpuinfo, part) in table {
            assert!(kind_of(cpuinfo).contains(part), "{cpuinfo}");
        }
        assert_eq!(kind_of(table[1].0), "virtual machine");
    }
}
