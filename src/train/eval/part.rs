//! One of several parts of an evaluation, with all that the whole needs: from it the report of a single process follows,
//! number by number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::case::{Ending, PartCase};
use super::play::Stage;
use super::record::{Played, Record};
use super::reel::Reel;
use super::scores::metric_of;
use super::{CaseReport, Contender, EvalOptions, Evaluation, Instruments, LeftOut, Progress, Skipped, Suite};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::shard::Shard;
use crate::signal::Motion;

/// Number of the format; other numbers are refused.
const FORMAT: u32 = 2;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PartSuite {
    /// The motion between two people, if there are two.
    cross: Option<String>,
    n_cases: usize,
    contenders: Vec<Played>,
    cases: Vec<PartCase>,
}

/// A part of an evaluation, to be stored and joined with the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Number of the format.
    eval_part: u32,
    index: usize,
    count: usize,
    options: EvalOptions,
    left_out: Vec<(Vec<String>, String)>,
    suites: Vec<PartSuite>,
}

/// As [`super::evaluate`], for one part of the cases, counted through all suites.
///
/// # Errors
/// As there; [`ErrorKind::Io`] when it was stopped, since a part is whole or nothing.
pub fn evaluate_part(
    suites: &[Suite],
    contenders: &mut [Contender],
    instruments: &mut Instruments,
    options: EvalOptions,
    shard: Shard,
    progress: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Part> {
    let left_out = instruments.left_out().iter();
    let left_out = left_out.map(|l| (l.metrics.iter().map(|m| (*m).to_owned()).collect(), l.why.clone())).collect();
    let mut part =
        Part { eval_part: FORMAT, index: shard.index(), count: shard.count(), options, left_out, suites: Vec::new() };
    let n_all: usize = suites.iter().map(Suite::n_cases).sum();
    let n_cases = (0..n_all).filter(|&i| shard.has(i)).count();
    let (mut n_before, mut n_cases_done) = (0, 0);
    for suite in suites {
        let played = contenders.iter().map(|contender| Played {
            label: contender.label.clone(),
            generator: contender.generator.name().to_owned(),
            backend: contender.generator.backend().to_owned(),
        });
        let played = played.collect();
        let mut stage = Stage::new(contenders, instruments, options, suite)?.of_part();
        let mut cases = Vec::new();
        for i in (0..suite.n_cases()).filter(|i| shard.has(n_before + i)) {
            let mut report = |case: &str, n_frames_read, n_frames| {
                let case = case.to_owned();
                progress(&Progress { suite: suite.name(), case, n_cases_done, n_cases, n_frames_read, n_frames })
            };
            if stage.play(suite, i, &mut report)?.is_break() {
                return Err(Error::new(ErrorKind::Io, "stopped before the part was whole; nothing was written"));
            }
            cases.push(stage.take_case(i));
            n_cases_done += 1;
        }
        n_before += suite.n_cases();
        let cross = match suite {
            Suite::SelfReenactment(_) => None,
            Suite::CrossIdentity(_, Motion::Relative) => Some("relative".to_owned()),
            Suite::CrossIdentity(_, Motion::Absolute) => Some("absolute".to_owned()),
        };
        part.suites.push(PartSuite { cross, n_cases: suite.n_cases(), contenders: played, cases });
    }
    Ok(part)
}

impl Part {
    /// The bytes of a file.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] only.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes =
            serde_json::to_vec(self).or_error(ErrorKind::Internal, || "cannot write the part".to_owned())?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when they are not of such a file, or of another format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let about = || "expected a part that `effigy eval --shard` wrote".to_owned();
        let part: Self = serde_json::from_slice(bytes).or_error(ErrorKind::Config, about)?;
        if part.eval_part != FORMAT {
            return Err(Error::new(ErrorKind::Config, format!("{}, of format {FORMAT}", about())));
        }
        Ok(part)
    }

    /// Joins all parts of one evaluation: what [`super::evaluate`] gives, but for the time that each frame took.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when a part is missing, or they are not of one evaluation.
    pub fn join(mut parts: Vec<Self>) -> Result<Evaluation> {
        let config = |message: String| Error::new(ErrorKind::Config, message);
        parts.sort_by_key(|part| part.index);
        let first = parts.first().ok_or_else(|| config("expected at least one part".to_owned()))?.clone();
        let found: Vec<usize> = parts.iter().map(|part| part.index).collect();
        if found != (0..first.count).collect::<Vec<_>>() || parts.iter().any(|part| part.count != first.count) {
            return Err(config(format!("expected each part of {} once, found {found:?}", first.count)));
        }
        if let Some(other) = parts.iter().find(|part| !part.is_of(&first)) {
            let message = "was measured on other cases, with other generators, options or metrics than part 0";
            return Err(config(format!("part {} {message}", other.index)));
        }
        let mut suites = Vec::new();
        for i in 0..first.suites.len() {
            let cases = parts.iter_mut().flat_map(|part| std::mem::take(&mut part.suites[i].cases)).collect();
            suites.push(PartSuite { cases, ..first.suites[i].clone() }.report(first.options)?);
        }
        let left_out = first.left_out.into_iter().map(|(metrics, why)| {
            let metrics = metrics.iter().filter_map(|key| metric_of(key)).map(|metric| metric.key).collect();
            LeftOut { metrics, why }
        });
        Ok(Evaluation {
            schema: super::SCHEMA,
            options: first.options,
            left_out: left_out.collect(),
            is_cut_short: false,
            suites,
        })
    }

    /// Whether it belongs to the same evaluation as another.
    fn is_of(&self, other: &Self) -> bool {
        let heads = |part: &Self| {
            let head = |suite: &PartSuite| {
                let contenders = suite.contenders.iter().map(|c| (c.label.clone(), c.generator.clone()));
                (suite.cross.clone(), suite.n_cases, contenders.collect::<Vec<_>>())
            };
            part.suites.iter().map(head).collect::<Vec<_>>()
        };
        self.options == other.options && self.left_out == other.left_out && heads(self) == heads(other)
    }
}

impl PartSuite {
    fn report(self, options: EvalOptions) -> Result<super::SuiteReport> {
        let suite = match self.cross.as_deref() {
            None => Suite::SelfReenactment(Vec::new()),
            Some("relative") => Suite::CrossIdentity(Vec::new(), Motion::Relative),
            Some(_) => Suite::CrossIdentity(Vec::new(), Motion::Absolute),
        };
        let by_index: BTreeMap<usize, PartCase> = self.cases.into_iter().map(|case| (case.index, case)).collect();
        let mut record = Record {
            contenders: self.contenders,
            by_case: Vec::new(),
            cases: Vec::new(),
            skipped: Vec::new(),
            n_driver_lost: 0,
            reel: Reel::new(self.n_cases),
        };
        for case in by_index.into_values() {
            record.n_driver_lost += case.n_driver_lost;
            let (Ending::Played { name, .. } | Ending::Skipped { name, .. }) = &case.ending;
            for offer in case.offers {
                record
                    .reel
                    .offer((name, offer.frame), offer.mouth_l1, &offer.mouth_psnr_db, || Ok(offer.cells.clone()))?;
            }
            match case.ending {
                Ending::Played { name, portrait_frame, tallies } => {
                    // What it ran on at the end is what the last portrait got.
                    for (contender, backend) in record.contenders.iter_mut().zip(case.backends) {
                        contender.backend = backend;
                    }
                    record.cases.push(CaseReport { name, portrait_frame });
                    record.by_case.push(tallies);
                }
                Ending::Skipped { name, reason } => record.skipped.push(Skipped { case: name, reason }),
            }
        }
        Ok(record.report(&suite, options))
    }
}
