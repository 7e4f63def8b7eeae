//! All that was measured in a suite, and its report.

use super::reel::Reel;
use super::scores::Tally;
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
        let mut totals = vec![Tally::default(); self.contenders.len()];
        for tallies in &self.by_case {
            for (total, tally) in totals.iter_mut().zip(tallies) {
                total.merge(tally);
            }
        }
        let n_frames = totals.first().map_or(0, |total| total.n_of("l1"));
        let labels: Vec<&str> = self.contenders.iter().map(|contender| contender.label.as_str()).collect();
        let is_cross = matches!(suite, Suite::CrossIdentity(..));
        let fixed = if is_cross { &["portrait", "driver", "truth"][..] } else { &["portrait", "truth"] };
        let titles = fixed.iter().map(|title| (*title).to_owned());
        let titles = titles.chain(labels.iter().map(|label| (*label).to_owned()));
        let titles = titles.chain(labels.iter().map(|label| format!("error of {label}, 4×")));
        let generators =
            self.contenders.iter().zip(&totals).enumerate().map(|(i, (contender, total))| GeneratorReport {
                label: contender.label.clone(),
                generator: contender.generator.clone(),
                backend: contender.backend.clone(),
                figures: total.figures(true),
                cases: self.by_case.iter().map(|tallies| tallies[i].figures(false)).collect(),
            });
        SuiteReport {
            name: suite.name(),
            notes: notes(suite, options, totals.first()),
            generators: generators.collect(),
            cell_titles: titles.collect(),
            cases: self.cases,
            skipped: self.skipped,
            n_frames,
            n_driver_lost: self.n_driver_lost,
            rows: self.reel.rows(),
        }
    }
}

/// What to know when reading a suite's figures.
fn notes(suite: &Suite, options: EvalOptions, total: Option<&Tally>) -> Vec<String> {
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
    let (n_vectors, n_features) = total.map_or((0, 0), Tally::feature_counts);
    if (1..n_features + 1).contains(&n_vectors) {
        notes.push(format!(
            "the Fréchet distance is over {n_vectors} frames for {n_features} features: too few for the number to mean \
             anything beyond this run"
        ));
    }
    notes
}
