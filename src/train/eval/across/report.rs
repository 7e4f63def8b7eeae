//! The figures across people for people: tables for the terminal, and a sheet of pictures.

use std::fmt::Write as _;

use super::{AcrossFigures, AcrossReport, CELL_PX, Events};
use crate::frame::Rgb;

/// The figures as text: each pair, all of them, and the coefficients that count.
pub fn table(report: &AcrossReport) -> String {
    let mut text = format!("across people: {} pairs, {} on {}\n", report.pairs.len(), report.generator, report.backend);
    let width = report.pairs.iter().map(|pair| pair.name.chars().count()).max().unwrap_or(0).max(9);
    let _ = writeln!(
        text,
        "  {:width$}  frames   gain  least   corr  least   error      lag  jitter  asked   lips meet    blinks      smile       like",
        ""
    );
    for pair in &report.pairs {
        let _ = writeln!(text, "  {:width$}  {:6}  {}", pair.name, pair.n_frames, row(&pair.figures));
    }
    if let Some(all) = &report.all {
        let n_frames: usize = report.pairs.iter().map(|pair| pair.n_frames).sum();
        let _ = writeln!(text, "  {:width$}  {n_frames:6}  {}", "all", row(all));
        let _ = writeln!(text, "  lips and blinks: the driver's that came / that did not / the result's own");
        let _ = writeln!(
            text,
            "  smile: the driver's / the result's; like: the photo / the driver (1 is the same person)\n"
        );
        let _ = writeln!(text, "  the most moved first    gain   corr  jitter  asked");
        for arrival in &all.coefficients {
            let _ = writeln!(
                text,
                "  {:22}  {:5.2}  {:5.2}  {:>6}  {:>5}",
                arrival.name,
                arrival.gain,
                arrival.correlation,
                optional(arrival.jitter, 2),
                optional(arrival.jitter_asked, 2)
            );
        }
    }
    for pair in report.pairs.iter().filter(|pair| pair.n_lost != [0, 0]) {
        let [driver, result] = pair.n_lost;
        let _ = writeln!(text, "  {}: no face in {driver} frames of the driver, {result} of the result", pair.name);
    }
    for skipped in &report.skipped {
        let _ = writeln!(text, "  skipped {}: {}", skipped.case, skipped.reason);
    }
    if report.is_cut_short {
        text += "stopped before the end: the figures are of the pairs that were played by then\n";
    }
    text
}

fn row(figures: &AcrossFigures) -> String {
    let both = |both: Option<[f64; 2]>| both.map_or("–".to_owned(), |[a, b]| format!("{a:.2}/{b:.2}"));
    let events = |events: Events| format!("{}/{}/{}", events.hits, events.misses, events.extra);
    format!(
        "{:5.3}  {:5.2}  {:5.3}  {:5.2}  {:6.4}  {:>4} ms  {:>6}  {:>5}  {:>10}  {:>8}  {:>9}  {:>9}",
        figures.gain,
        figures.gain_min,
        figures.correlation,
        figures.correlation_min,
        figures.error,
        optional(figures.lag_ms, 0),
        optional(figures.jitter, 2),
        optional(figures.jitter_asked, 2),
        events(figures.lip_contacts),
        events(figures.blinks),
        both(figures.smile),
        both(figures.likeness),
    )
}

fn optional(value: Option<f64>, n_digits: usize) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.n_digits$}"))
}

/// A row for each pair: the portrait, then driver and result of its worst frames. `None` without pairs.
pub fn sheet(report: &AcrossReport) -> Option<Rgb> {
    let n_columns = report.pairs.iter().map(|pair| pair.cells.len()).max().filter(|n| *n > 0)?;
    let width = n_columns * CELL_PX;
    let mut sheet = Rgb::new(width, report.pairs.len() * CELL_PX);
    for (i, pair) in report.pairs.iter().enumerate() {
        for (j, cell) in pair.cells.iter().enumerate() {
            for y in 0..CELL_PX {
                let at = ((i * CELL_PX + y) * width + j * CELL_PX) * 3;
                sheet.data_mut()[at..at + CELL_PX * 3].copy_from_slice(cell.row(y));
            }
        }
    }
    Some(sheet)
}
