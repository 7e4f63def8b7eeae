//! The evaluation for people: a table for the terminal, a page with pictures, a strip of pictures.

use std::fmt::Write as _;

use super::scores::{METRICS, Metric};
use super::{Evaluation, Figure, Figures, GeneratorReport, Row, SuiteReport};
use crate::base64::base64;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rgb;
use crate::photo;

/// The tables of all suites as text; an asterisk marks the best of several.
pub fn table(evaluation: &Evaluation) -> String {
    let mut text = String::new();
    for suite in &evaluation.suites {
        let _ = writeln!(text, "{}", heading(suite));
        let measured = measured(suite);
        let width = measured.iter().map(|metric| metric.title.chars().count()).max().unwrap_or(0);
        let cells: Vec<Vec<String>> = measured.iter().map(|metric| cells(suite, metric)).collect();
        let column = |i: usize| {
            let label = suite.generators[i].label.chars().count().max(9) + 1;
            cells.iter().map(|row| row[i].chars().count()).max().unwrap_or(0).max(label)
        };
        let columns: Vec<usize> = (0..suite.generators.len()).map(column).collect();
        let _ = write!(text, "  {:width$}", "");
        for (generator, column) in suite.generators.iter().zip(&columns) {
            let _ = write!(text, "  {:>column$}", format!("{} ", generator.label));
        }
        text.push('\n');
        for (metric, cells) in measured.iter().zip(&cells) {
            let _ = write!(text, "  {:width$}", metric.title);
            for (cell, column) in cells.iter().zip(&columns) {
                let _ = write!(text, "  {cell:>column$}");
            }
            text.push('\n');
        }
        for remark in remarks(suite) {
            let _ = writeln!(text, "  {remark}");
        }
        text.push('\n');
    }
    for left_out in &evaluation.left_out {
        let _ = writeln!(text, "not measured: {}: {}", left_out.metrics.join(", "), left_out.why);
    }
    if evaluation.is_cut_short {
        let _ = writeln!(text, "stopped before the end: the figures are of what was played by then");
    }
    text
}

/// A page that needs no other file: tables, figures of each case, and rows of pictures.
pub fn html(evaluation: &Evaluation) -> String {
    let mut page = String::from(HEAD);
    let options = evaluation.options;
    let _ = write!(
        page,
        "<p>Compared at {0}×{0} pixels, one of {1} frames. In every table the best of several generators is bold; \
         ↑ means that larger is better, ↓ that smaller is, → that nearer to the number is. Small: where 95 % of figures would lie \
         if other clips of the kind had been measured, by bootstrap over clips.</p>",
        options.size_px, options.every
    );
    for left_out in &evaluation.left_out {
        let _ = write!(
            page,
            "<p class=note>Not measured: {}: {}.</p>",
            left_out.metrics.join(", "),
            escaped(&left_out.why)
        );
    }
    if evaluation.is_cut_short {
        page += "<p class=note>Stopped before the end: the figures are of what was played by then.</p>";
    }
    for suite in &evaluation.suites {
        let _ = write!(page, "<h2>{}</h2>", escaped(&heading(suite)));
        for remark in remarks(suite) {
            let _ = write!(page, "<p class=note>{}</p>", escaped(&remark));
        }
        let all: Vec<&Figures> = suite.generators.iter().map(|generator| &generator.figures).collect();
        html_table(&mut page, suite, &all);
        page += "<details><summary>Each case</summary>";
        for (i, case) in suite.cases.iter().enumerate() {
            let _ = write!(page, "<h3>{}, portrait of frame {}</h3>", escaped(&case.name), case.portrait_frame);
            let of_case: Vec<&Figures> = suite.generators.iter().map(|generator| &generator.cases[i]).collect();
            html_table(&mut page, suite, &of_case);
        }
        page += "</details>";
        html_rows(&mut page, suite);
    }
    page += "</main></html>\n";
    page
}

/// All rows of pictures of all suites, one below the other, to write as a PNG; `None` when there are none.
///
/// # Errors
/// [`ErrorKind::Internal`] only.
pub fn strip(evaluation: &Evaluation) -> Result<Option<Rgb>> {
    let rows: Vec<&Row> = evaluation.suites.iter().flat_map(|suite| &suite.rows).collect();
    let side = evaluation.options.size_px;
    let n_columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    if n_columns == 0 {
        return Ok(None);
    }
    let width = n_columns * side;
    let mut strip = Rgb::new(width, rows.len() * side);
    for (i, row) in rows.iter().enumerate() {
        for (j, cell) in row.cells.iter().enumerate() {
            let cell = photo::decode(cell)?;
            if (cell.width_px(), cell.height_px()) != (side, side) {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "a picture of the report has another size than the others",
                ));
            }
            for y in 0..side {
                let at = ((i * side + y) * width + j * side) * 3;
                strip.data_mut()[at..at + side * 3].copy_from_slice(cell.row(y));
            }
        }
    }
    Ok(Some(strip))
}

fn heading(suite: &SuiteReport) -> String {
    format!("{}: {} frames of {} cases", suite.name, suite.n_frames, suite.cases.len())
}

fn remarks(suite: &SuiteReport) -> Vec<String> {
    let mut remarks = suite.notes.clone();
    if suite.n_driver_lost > 0 {
        remarks.push(format!("{} frames left out: no face found in the driver", suite.n_driver_lost));
    }
    remarks.extend(suite.skipped.iter().map(|skipped| format!("skipped {}: {}", skipped.case, skipped.reason)));
    remarks
}

/// The metrics that any generator has.
fn measured(suite: &SuiteReport) -> Vec<&'static Metric> {
    METRICS.iter().filter(|metric| suite.generators.iter().any(|g| g.figures.contains_key(metric.key))).collect()
}

fn figure(figures: &Figures, metric: &Metric) -> Option<Figure> {
    figures.get(metric.key).copied()
}

/// A metric's row: each generator's figure, its interval, and an asterisk for the best.
fn cells(suite: &SuiteReport, metric: &Metric) -> Vec<String> {
    let best = best(suite, metric);
    let cell = |(i, generator): (usize, &GeneratorReport)| {
        let mark = if best == Some(i) { "*" } else { " " };
        let Some(Figure { mean, interval_95, .. }) = figure(&generator.figures, metric) else {
            return "– ".to_owned();
        };
        let interval = interval_95.map_or_else(String::new, |ends| format!(" [{}]", interval(metric, ends)));
        shown(metric, mean) + &interval + mark
    };
    suite.generators.iter().enumerate().map(cell).collect()
}

fn interval(metric: &Metric, [low, high]: [f64; 2]) -> String {
    format!("{}, {}", shown(metric, low), shown(metric, high))
}

fn shown(metric: &Metric, value: f64) -> String {
    format!("{value:.0$}", metric.n_digits)
}

/// Which of several generators is best; none where they show the same number.
fn best(suite: &SuiteReport, metric: &Metric) -> Option<usize> {
    best_of(&suite.generators.iter().map(|g: &GeneratorReport| &g.figures).collect::<Vec<_>>(), metric)
}

fn best_of(figures: &[&Figures], metric: &Metric) -> Option<usize> {
    let values: Vec<(usize, f64)> =
        figures.iter().enumerate().filter_map(|(i, f)| Some((i, figure(f, metric)?.mean))).collect();
    let ranks: Option<Vec<f64>> = values.iter().map(|(_, value)| metric.better.rank(*value)).collect();
    let ((at, value), _) = values.iter().copied().zip(ranks?).min_by(|a, b| a.1.total_cmp(&b.1))?;
    let is_alone = values.iter().filter(|v| shown(metric, v.1) == shown(metric, value)).count() == 1;
    (values.len() > 1 && is_alone).then_some(at)
}

fn html_table(page: &mut String, suite: &SuiteReport, figures: &[&Figures]) {
    *page += "<table><tr><th></th>";
    for generator in &suite.generators {
        let about = format!("{} on {}", generator.generator, generator.backend);
        let _ = write!(page, "<th title=\"{}\">{}</th>", escaped(&about), escaped(&generator.label));
    }
    *page += "</tr>";
    for metric in METRICS.iter().filter(|metric| figures.iter().any(|f| f.contains_key(metric.key))) {
        let arrow = metric.better.sign();
        let _ = write!(page, "<tr><th>{} {arrow}</th>", escaped(metric.title));
        let best = best_of(figures, metric);
        for (i, figures) in figures.iter().enumerate() {
            let class = if best == Some(i) { " class=best" } else { "" };
            match figure(figures, metric) {
                Some(Figure { mean, n, interval_95 }) => {
                    let unit = if metric.key == "fvd_like" { "windows" } else { "frames" };
                    let ends = interval_95
                        .map_or_else(String::new, |ends| format!(" <small>{}</small>", interval(metric, ends)));
                    let _ = write!(page, "<td{class} title=\"{n} {unit}\">{}{ends}</td>", shown(metric, mean));
                }
                None => *page += "<td>–</td>",
            }
        }
        *page += "</tr>";
    }
    *page += "</table>";
}

fn html_rows(page: &mut String, suite: &SuiteReport) {
    let Some(last) = suite.generators.last() else { return };
    let mut kind = "";
    for row in &suite.rows {
        if row.kind != kind {
            kind = row.kind;
            let _ = write!(page, "<h3>{} by the mouth's error of {}</h3>", capital(kind), escaped(&last.label));
        }
        let psnr: Vec<String> = suite
            .generators
            .iter()
            .zip(&row.mouth_psnr_db)
            .map(|(generator, db)| format!("{} {db:.1} dB", generator.label))
            .collect();
        let _ = write!(
            page,
            "<p>{}, frame {}; mouth: {}</p><div class=row>",
            escaped(&row.case),
            row.frame,
            escaped(&psnr.join(", "))
        );
        for (title, cell) in suite.cell_titles.iter().zip(&row.cells) {
            let _ = write!(
                page,
                "<figure><img alt=\"{0}\" src=\"data:image/jpeg;base64,{1}\"><figcaption>{0}</figcaption></figure>",
                escaped(title),
                base64(cell)
            );
        }
        *page += "</div>";
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
<meta name=viewport content=\"width=device-width\"><title>effigy eval</title><style>\
body{font:15px/1.45 system-ui,sans-serif;margin:0;color:#1c2024;background:#fff}main{max-width:1500px;margin:auto;padding:1.5em}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.7em 0}th,td{padding:.2em .9em;border-bottom:1px solid #dde1e6}\
th{text-align:left;font-weight:500}td{text-align:right}tr:first-child th{text-align:right}.best{font-weight:700;color:#0a6b3d}\
.note{color:#6b4b00;background:#fff7e0;padding:.4em .8em;max-width:60em}.row{display:flex;gap:4px;overflow-x:auto}\
figure{margin:0}img{display:block;height:256px}figcaption{font-size:12px;color:#5b6470}summary{cursor:pointer}\
@media(prefers-color-scheme:dark){body{background:#14171a;color:#e4e7ea}th,td{border-color:#30363c}.best{color:#5fd39a}\
.note{background:#3a2f12;color:#f3dca4}}</style><main><h1>How good are the pictures?</h1>";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::eval::{CaseReport, EvalOptions, LeftOut, Skipped};

    fn evaluation() -> Evaluation {
        let figure = |mean: f64| Figure { mean, n: 9, interval_95: None };
        let generator = |label: &str, psnr: f64, l1: f64| {
            let figures: Figures = [("psnr_db", figure(psnr)), ("l1", figure(l1))].into_iter().collect();
            GeneratorReport {
                label: label.to_owned(),
                generator: "warp".to_owned(),
                backend: "cpu".to_owned(),
                cases: vec![figures.clone()],
                figures,
            }
        };
        let white = Rgb::from_data(8, 8, vec![250; 192]).unwrap();
        let row = Row {
            kind: "worst",
            case: "clip <1>".to_owned(),
            frame: 7,
            mouth_l1: 0.1,
            mouth_psnr_db: vec![20.0, 21.5],
            cells: vec![photo::jpeg(&white).unwrap(); 2],
        };
        let suite = SuiteReport {
            name: "self-reenactment",
            notes: vec!["a note".to_owned()],
            cases: vec![CaseReport { name: "clip <1>".to_owned(), portrait_frame: 3 }],
            skipped: vec![Skipped { case: "b".to_owned(), reason: "no face".to_owned() }],
            n_frames: 9,
            n_driver_lost: 2,
            generators: vec![generator("warp", 22.5, 0.04), generator("new", 23.75, 0.04)],
            cell_titles: vec!["truth".to_owned(), "warp".to_owned()],
            rows: vec![row],
        };
        Evaluation {
            schema: 1,
            options: EvalOptions { size_px: 8, every: 5, is_live: false },
            left_out: vec![LeftOut { metrics: vec!["identity"], why: "needs a file".to_owned() }],
            is_cut_short: false,
            suites: vec![suite],
        }
    }

    #[test]
    fn the_table_marks_the_best_and_says_what_is_missing() {
        let text = table(&evaluation());
        let expected = "\
self-reenactment: 9 frames of 1 cases
                  warp         new
  L1 (0..1)     0.0400      0.0400
  PSNR (dB)      22.50       23.75*
  a note
  2 frames left out: no face found in the driver
  skipped b: no face

not measured: identity: needs a file
";
        assert_eq!(text.replace(" \n", "\n"), expected);
    }

    #[test]
    fn intervals_stand_beside_their_figures_and_nearer_to_the_aim_is_better() {
        let mut evaluation = evaluation();
        let mut set = |i: usize, key: &'static str, mean: f64, interval_95| {
            evaluation.suites[0].generators[i].figures.insert(key, Figure { mean, n: 9, interval_95 });
        };
        set(0, "psnr_db", 22.5, Some([20.125, 25.0]));
        // 0.9 is nearer to 1 than 1.2; what the truth is has no best.
        for (i, detail, smile) in [(0, 1.2, 0.1), (1, 0.9, 0.2)] {
            set(i, "fine_detail", detail, None);
            set(i, "smile_truth", smile, None);
        }
        let text = table(&evaluation);
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for line in [
            "PSNR (dB) 22.50 [20.12, 25.00] 23.75*",
            "fine detail (share of the truth's) 1.200 0.900*",
            "smile of the truth (0..1) 0.100 0.200",
        ] {
            assert!(lines.iter().any(|found| found == line), "{text}");
        }
        // Figures stand below each other.
        let end = |line: &str| text.lines().find(|found| found.contains(line)).map(|found| found.chars().count());
        assert_eq!(end("PSNR"), end("fine detail"), "{text}");
        assert!(html(&evaluation).contains("22.50 <small>20.12, 25.00</small></td>"));
    }

    #[test]
    fn the_page_is_whole_by_itself_and_escapes_what_it_is_told() {
        let page = html(&evaluation());
        assert!(page.contains("<td class=best title=\"9 frames\">23.75</td>"), "{page}");
        assert!(page.contains("clip &lt;1&gt;, frame 7; mouth: warp 20.0 dB, new 21.5 dB"));
        assert_eq!(page.matches("src=\"data:image/jpeg;base64,/9j/").count(), 2);
        assert!(!page.contains("http") && !page.contains("clip <1>"));
    }

    #[test]
    fn the_strip_has_a_row_for_each_frame() {
        let strip = strip(&evaluation()).unwrap().unwrap();
        assert_eq!((strip.width_px(), strip.height_px()), (16, 8));
        assert!(strip.data().iter().all(|v| *v > 240));
    }
}
