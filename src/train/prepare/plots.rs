//! Draws the statistics: one SVG, a panel for each histogram and one for the people.

use std::fmt::Write as _;

use super::statistics::{Histogram, Statistics};

const PANEL_WIDTH: f32 = 320.0;
const PANEL_HEIGHT: f32 = 200.0;
const MARGIN: f32 = 36.0;
const N_COLUMNS: usize = 3;

/// The drawing as text.
pub(super) fn draw(statistics: &Statistics) -> String {
    let n_rows = (statistics.histograms.len() + 1).div_ceil(N_COLUMNS);
    let (width, height) = (PANEL_WIDTH * N_COLUMNS as f32, PANEL_HEIGHT * n_rows as f32 + MARGIN);
    let mut svg = format!(
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" "#,
            r##"font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>"##,
            r#"<text x="12" y="22" font-size="14">{clips} clips, {frames} frames, {people} people; "#,
            r##"grey: frames as they are, blue: as training draws them</text>"##
        ),
        width = width,
        height = height,
        clips = statistics.clips,
        frames = statistics.frames,
        people = statistics.people,
    );
    let place = |i: usize| ((i % N_COLUMNS) as f32 * PANEL_WIDTH, (i / N_COLUMNS) as f32 * PANEL_HEIGHT + MARGIN);
    for (i, histogram) in statistics.histograms.iter().enumerate() {
        panel(&mut svg, place(i), histogram);
    }
    people(&mut svg, place(statistics.histograms.len()), statistics);
    svg += "</svg>\n";
    svg
}

fn panel(svg: &mut String, (x, y): (f32, f32), histogram: &Histogram) {
    title(svg, (x, y), &format!("{} ({})", histogram.name, histogram.unit));
    let share = |values: Vec<f32>| {
        let sum = values.iter().sum::<f32>().max(1e-9);
        values.into_iter().map(|value| value / sum).collect::<Vec<_>>()
    };
    let plain = share(histogram.counts.iter().map(|n| *n as f32).collect());
    let weighted = share(histogram.weighted.clone());
    let most = plain.iter().chain(&weighted).copied().fold(1e-9, f32::max);
    let step = (PANEL_WIDTH - 2.0 * MARGIN) / plain.len() as f32;
    for (i, (plain, weighted)) in plain.iter().zip(&weighted).enumerate() {
        let left = x + MARGIN + i as f32 * step;
        bar(svg, (left, y), 0.9 * step, plain / most, "#bbb");
        bar(svg, (left + 0.3 * step, y), 0.3 * step, weighted / most, "#2463b4");
    }
    let n = histogram.counts.len() as f32;
    let bottom = y + PANEL_HEIGHT - MARGIN + 14.0;
    for share in [0.0, 0.5, 1.0] {
        let value = histogram.low + share * n * histogram.step;
        let at = x + MARGIN + share * n * step;
        let _ = write!(svg, r#"<text x="{at:.1}" y="{bottom:.1}" text-anchor="middle">{}</text>"#, short(value));
    }
    let _ = write!(svg, r#"<text x="{:.1}" y="{:.1}">{:.0} %</text>"#, x + 4.0, y + MARGIN + 4.0, most * 100.0);
}

/// Frames of each person, most first.
fn people(svg: &mut String, (x, y): (f32, f32), statistics: &Statistics) {
    title(svg, (x, y), "frames of each person, most first");
    let people = &statistics.frames_of_person;
    let most = people.first().map_or(1, |(_, n)| *n).max(1);
    // A bar takes a pixel or more; where there are more people than pixels, some stand for their neighbours.
    let n = people.len().clamp(1, (PANEL_WIDTH - 2.0 * MARGIN) as usize);
    let step = (PANEL_WIDTH - 2.0 * MARGIN) / n as f32;
    for i in 0..n.min(people.len()) {
        let (_, frames) = people[i * people.len() / n];
        bar(svg, (x + MARGIN + i as f32 * step, y), 0.9 * step, frames as f32 / most as f32, "#bbb");
    }
    let _ = write!(svg, r#"<text x="{:.1}" y="{:.1}">{most}</text>"#, x + 4.0, y + MARGIN + 4.0);
}

fn title(svg: &mut String, (x, y): (f32, f32), text: &str) {
    let _ = write!(svg, r#"<text x="{:.1}" y="{:.1}" font-weight="bold">{text}</text>"#, x + MARGIN, y + 22.0);
}

/// A bar of `share` of the panel's height.
fn bar(svg: &mut String, (left, y): (f32, f32), width: f32, share: f32, colour: &str) {
    let height = share * (PANEL_HEIGHT - 2.0 * MARGIN);
    let top = y + PANEL_HEIGHT - MARGIN - height;
    let _ =
        write!(svg, r#"<rect x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#);
}

fn short(value: f32) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
