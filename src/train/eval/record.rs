//! All that was measured in a suite, and its report.

use super::reel::Reel;
use super::scores::Tally;
use super::summary::{self, Summary};
use super::windows::N_FRAMES;
use super::{CaseReport, EvalOptions, GeneratorReport, Skipped, Suite, SuiteReport};
use crate::signal::Motion;

/// What one contender was.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Played {
    pub(super) label: String,
    pub(super) generator: String,
    pub(super) backend: String,
}

/// All that was measured in a suite.
pub(super) struct Record {
    pub(super) contenders: Vec<Played>,
    pub(super) by_case: Vec<Vec<Tally>>,
    pub(super) cases: Vec<CaseReport>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) n_driver_lost: u64,
    pub(super) reel: Reel,
}

impl Record {
    /// The suite's report.
    pub(super) fn report(self, suite: &Suite, options: EvalOptions) -> SuiteReport {
        let by_contender: Vec<Vec<Summary>> = (0..self.contenders.len())
            .map(|i| self.by_case.iter().map(|tallies| Summary::of(&tallies[i])).collect())
            .collect();
        let first = by_contender.first().map(|cases| Summary::of_all(cases)).unwrap_or_default();
        let labels: Vec<&str> = self.contenders.iter().map(|contender| contender.label.as_str()).collect();
        let is_cross = matches!(suite, Suite::CrossIdentity(..));
        let fixed = if is_cross { &["portrait", "driver", "truth"][..] } else { &["portrait", "truth"] };
        let titles = fixed.iter().map(|title| (*title).to_owned());
        let titles = titles.chain(labels.iter().map(|label| (*label).to_owned()));
        let titles = titles.chain(labels.iter().map(|label| format!("error of {label}, 4×")));
        let generators = self.contenders.iter().zip(&by_contender).map(|(contender, cases)| GeneratorReport {
            label: contender.label.clone(),
            generator: contender.generator.clone(),
            backend: contender.backend.clone(),
            figures: summary::figures(cases),
            cases: cases.iter().map(Summary::means).collect(),
        });
        SuiteReport {
            name: suite.name(),
            notes: notes(suite, options, &first, by_contender.first().map_or(0, Vec::len)),
            generators: generators.collect(),
            cell_titles: titles.collect(),
            cases: self.cases,
            skipped: self.skipped,
            n_frames: first.n_of("l1"),
            n_driver_lost: self.n_driver_lost,
            rows: self.reel.rows(),
        }
    }
}

/// What to know when reading a suite's figures.
fn notes(suite: &Suite, options: EvalOptions, total: &Summary, n_cases: usize) -> Vec<String> {
    let mut notes = match suite {
        Suite::SelfReenactment(_) => vec![],
        Suite::CrossIdentity(_, Motion::Relative) => {
            vec!["motion counts from the driver's frame of the moment that the portrait shows".to_owned()]
        }
        Suite::CrossIdentity(_, Motion::Absolute) => {
            vec!["absolute motion takes over the driver's face shape too: the answer is out of its reach".to_owned()]
        }
    };
    if options.is_live {
        notes.push("motion as it comes live: filtered, and what moves beside the mesh a frame late".to_owned());
    }
    let [(n_pictures, n_features), (n_windows, _)] = total.set_sizes();
    if n_pictures > 0.0 && (n_pictures as usize) < n_features + 1 {
        notes.push(format!(
            "the Fréchet distance is over {n_pictures} frames for {n_features} features: too few for the number to mean \
             anything beyond this run"
        ));
    }
    if n_pictures > 0.0 && n_windows < 2.0 {
        notes.push(format!(
            "the FVD-like distance needs two windows or more of {N_FRAMES} neighbouring frames, found {n_windows}: longer \
             clips, and --every 1"
        ));
    }
    notes.push(match n_cases {
        0 | 1 => "no intervals: one clip says nothing of others".to_owned(),
        n => format!(
            "in brackets: 95 % of figures would lie there, by bootstrap over {n} clips{}",
            if n < 10 { "; so few make it too narrow" } else { "" }
        ),
    });
    notes
}
