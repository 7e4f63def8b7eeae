//! A recording as one HTML file with its plots, which needs nothing else.

use std::fmt::Write as _;

use super::compare;
use super::record::{Recording, RunRecord};
use crate::trace::Stage;
use effigy_base::plot::{COLOURS, Plot, escaped};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:1340px;margin:2em auto;padding:0 1em;\
color:#1a1c20;background:#fff}h1{font-size:1.5em}h2{font-size:1.15em;margin:2.2em 0 .2em}table{border-collapse:collapse;\
font-size:13px}td,th{padding:.2em .7em;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{\
text-align:left}svg{width:640px;max-width:100%;font:11px system-ui,sans-serif}svg text{fill:#444}.g{stroke:#e4e4e8}\
.p{display:flex;flex-wrap:wrap;gap:10px}figure{margin:0}figcaption{font-size:13px;color:#444}.n{color:#555}";

/// Makes the page.
pub fn html(recording: &Recording) -> String {
    let machine = &recording.circumstances.machine;
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>effigy: how late is the picture</title><style>{STYLE}</style><h1>How late is the picture?</h1>\
         <p class=n>effigy {}, commit {}; {} ({} cores, {} MiB; {}), {}; load {} before, {} after; {} seconds since 1970.</p>",
        escaped(&recording.circumstances.version),
        escaped(recording.circumstances.commit.as_deref().unwrap_or("unknown")),
        escaped(&machine.cpu),
        machine.cores,
        machine.memory_mib,
        escaped(&machine.kind),
        escaped(&machine.os),
        number(recording.circumstances.load[0]),
        number(recording.circumstances.load[1]),
        recording.circumstances.unix_secs
    );
    page += "<p class=n>Age counts from when a frame was due to be taken, in milliseconds. Age on screen is that of \
             what is shown at every moment. The bound is one interval of the source and the 99th percentiles of all \
             stages' work.</p>";
    page += &table(recording);
    page += &comparison(recording);
    let mut scenarios: Vec<&str> = Vec::new();
    for run in &recording.runs {
        if !scenarios.contains(&run.scenario.as_str()) {
            scenarios.push(&run.scenario);
        }
    }
    for scenario in scenarios {
        let runs: Vec<&RunRecord> = recording.runs.iter().filter(|run| run.scenario == scenario).collect();
        let _ = write!(page, "<h2>{}</h2><div class=p>", escaped(scenario));
        for (title, plot) in [
            ("Age over time, and the bound", over_time(&runs)),
            ("How often an age occurred", histogram(&runs)),
            ("Where a frame's time goes: waiting (pale) and work, medians", waterfall(&runs)),
            ("Frames that went missing, each second", drops(&runs)),
        ] {
            let _ = write!(page, "<figure>{plot}<figcaption>{title}</figcaption></figure>");
        }
        page += "</div>";
    }
    page + "</html>\n"
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.2}"))
}

fn name(run: &RunRecord) -> String {
    format!("{} {}", run.variant, run.round)
}

fn colour(run: &RunRecord) -> &'static str {
    COLOURS[usize::from(run.variant != "A")]
}

fn table(recording: &Recording) -> String {
    let mut html = "<table><tr><th>scenario<th>run<th>settings<th>fps<th>age p50<th>p90<th>p99<th>p99.9<th>max<th>on \
                    screen p99<th>jitter p99<th>stutters<th>shown of due<th>dropped before face, generate, sink<th>\
                    bound<th>memory, MiB"
        .to_owned();
    for run in &recording.runs {
        let age = &run.age_ms;
        let _ = write!(
            html,
            "<tr><td>{}<td>{}<td>{}<td>{:.1}<td>{:.1}<td>{:.1}<td>{:.1}<td>{:.1}<td>{:.1}<td>{:.1}<td>{:.1}<td>{}<td>\
             {} of {}<td>{}, {}, {}<td>{:.1}<td>{:.0} to {:.0}",
            escaped(&run.scenario),
            name(run),
            escaped(&run.settings),
            run.fps,
            age.p50,
            age.p90,
            age.p99,
            age.p999,
            age.max,
            run.screen_age_ms.p99,
            run.jitter_ms.p99,
            run.stutters,
            run.shown,
            run.due,
            run.drops.face,
            run.drops.generate,
            run.drops.present,
            run.bound_ms,
            run.memory_mib[0],
            run.memory_mib[1]
        );
    }
    html + "</table>"
}

/// B against A, where the recording has both.
fn comparison(recording: &Recording) -> String {
    if !recording.runs.iter().any(|run| run.variant == "B") {
        return String::new();
    }
    let mut html = format!(
        "<h2>B against A</h2><p class=n>Moving-block bootstrap over whole seconds and rounds; 95 % intervals of the \
         difference in milliseconds. What differs from run to run is in no interval of fewer than {} rounds.</p><table>\
         <tr><th>scenario<th>figure<th>rounds<th>A<th>B<th>B − A<th>interval<th>",
        compare::LEAST_ROUNDS
    );
    for comparison in compare::recordings(recording, recording) {
        for (figure, d) in [("p50", comparison.p50), ("p99", comparison.p99)] {
            let _ = write!(
                html,
                "<tr><td>{}<td>{figure}<td>{}, {}<td>{:.2}<td>{:.2}<td>{:+.2}<td>{:+.2} to {:+.2}<td>{}",
                escaped(&comparison.scenario),
                comparison.n_rounds.0,
                comparison.n_rounds.1,
                d.a,
                d.b,
                d.b - d.a,
                d.low,
                d.high,
                d.verdict()
            );
        }
    }
    html + "</table>"
}

/// The oldest age to draw: outliers beyond it are drawn at the edge.
fn top(runs: &[&RunRecord]) -> f64 {
    runs.iter().map(|run| run.age_ms.max.min(3.0 * run.age_ms.p99).max(run.bound_ms)).fold(1.0, f64::max) * 1.05
}

fn over_time(runs: &[&RunRecord]) -> String {
    let secs = runs.iter().map(|run| run.secs).fold(1.0, f64::max);
    let mut plot = Plot::new((0.0, secs), (0.0, top(runs)), "seconds", "age, ms");
    for run in runs {
        let points = run.frames.at_ms.iter().zip(&run.frames.age_ms);
        plot.line(points.map(|(&at, &age)| (f64::from(at) / 1e3, f64::from(age))), colour(run));
        plot.level(run.bound_ms, colour(run));
    }
    plot.finish()
}

fn histogram(runs: &[&RunRecord]) -> String {
    const N_BINS: usize = 80;
    let top = top(runs);
    let counts: Vec<[f64; N_BINS]> = runs
        .iter()
        .map(|run| {
            let mut bins = [0.0; N_BINS];
            for &age in &run.frames.age_ms {
                bins[((f64::from(age) / top * N_BINS as f64) as usize).min(N_BINS - 1)] += 1.0;
            }
            let all = run.frames.age_ms.len().max(1) as f64;
            bins.map(|count| 100.0 * count / all)
        })
        .collect();
    let most = counts.iter().flatten().copied().fold(1.0, f64::max);
    let mut plot = Plot::new((0.0, top), (0.0, most * 1.05), "age, ms", "% of frames");
    for (run, bins) in runs.iter().zip(&counts) {
        for (i, &share) in bins.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let edge = |i: usize| i as f64 * top / N_BINS as f64;
            plot.bar((edge(i), edge(i + 1)), (0.0, share), colour(run), 0.55, &format!("{}: {share:.1} %", name(run)));
        }
    }
    plot.finish()
}

fn waterfall(runs: &[&RunRecord]) -> String {
    let total = |run: &&RunRecord| run.stages.values().map(|stage| stage.wait_p50 + stage.work_p50).sum::<f64>();
    let longest = runs.iter().map(total).fold(1.0, f64::max);
    // One line a stage, from above; the runs share it.
    let n_lines = Stage::ALL.len() as f64;
    let mut plot = Plot::new((0.0, longest * 1.2), (0.0, n_lines), "ms since the frame was taken", "");
    for (r, run) in runs.iter().enumerate() {
        let mut at = 0.0;
        for (s, stage) in Stage::ALL.into_iter().enumerate() {
            let Some(times) = run.stages.get(stage.name()) else { continue };
            let height = 0.8 / runs.len() as f64;
            let upper = n_lines - s as f64 - 0.1 - r as f64 * height;
            let line = (upper - height, upper);
            let title =
                format!("{} {}: wait {:.2}, work {:.2} ms", name(run), stage.name(), times.wait_p50, times.work_p50);
            plot.bar((at, at + times.wait_p50), line, colour(run), 0.3, &title);
            at += times.wait_p50;
            plot.bar((at, at + times.work_p50), line, colour(run), 1.0, &title);
            at += times.work_p50;
            if r == 0 {
                let text = format!("{} {:.1} + {:.1}", stage.name(), times.wait_p50, times.work_p50);
                plot.text((at, n_lines - s as f64 - 0.55), &text);
            }
        }
    }
    plot.finish()
}

fn drops(runs: &[&RunRecord]) -> String {
    let secs = runs.iter().map(|run| run.secs).fold(1.0, f64::max);
    let counts: Vec<Vec<f64>> = runs
        .iter()
        .map(|run| {
            let mut seconds = vec![0.0; secs.ceil() as usize + 1];
            for (&at, &missed) in run.frames.at_ms.iter().zip(&run.frames.missed) {
                let at = (at / 1e3) as usize;
                if let Some(count) = seconds.get_mut(at) {
                    *count += f64::from(missed);
                }
            }
            seconds
        })
        .collect();
    let most = counts.iter().flatten().copied().fold(1.0, f64::max);
    let mut plot = Plot::new((0.0, secs), (0.0, most * 1.05), "seconds", "frames");
    for (r, (run, seconds)) in runs.iter().zip(&counts).enumerate() {
        let width = 0.8 / runs.len() as f64;
        for (second, &count) in seconds.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            let left = second as f64 + 0.1 + r as f64 * width;
            plot.bar((left, left + width), (0.0, count), colour(run), 0.8, &format!("{}: {count}", name(run)));
        }
    }
    plot.finish()
}
