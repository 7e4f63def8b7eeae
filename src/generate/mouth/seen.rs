//! What the driver's mouth shows, as places and colours of the portrait's.

use super::arch::Arch;
use super::lips::Lips;
use crate::geometry::{MouthContents, N_MOUTH_LINES};

/// From here on a line counts as teeth.
const TEETH: f32 = 0.4;
/// With so much of a line, all of it does.
const SURE: f32 = 0.7;
/// Lines beside a lip's edge that may still be lip: points are a little off.
const EDGE_LINES: usize = 4;

/// What is known of the driver's mouth.
pub(super) struct Seen {
    contents: MouthContents,
    pub(super) certainty: f32,
    /// Where the upper teeth end and the lower ones begin, 0 at the upper lip and 1 at the lower, and how sure that is, 0..1.
    edges: [Option<(f32, f32)>; 2],
}

/// One height of the mouth.
#[derive(Clone, Copy)]
pub(super) struct Line {
    /// Brightness, 1 is the skin's.
    pub(super) light: f32,
    /// Green over red, 1 is the skin's.
    pub(super) paleness: f32,
    /// How much of it is teeth, 0..1.
    pub(super) teeth: f32,
}

impl Seen {
    /// What `contents` are for a portrait whose whites of the eyes are so bright, 1 is its skin's.
    pub(super) fn of(contents: &MouthContents, whites: f32) -> Self {
        let mut contents = *contents;
        let gain = gain(contents.whites, whites);
        for light in &mut contents.light {
            *light *= gain;
        }
        let runs = runs(&contents.teeth);
        let mut edges = [None; 2];
        for Run { from, to, most } in runs.into_iter().flatten() {
            // A row that comes up slowly does not jump into its place.
            let sure = ((most - TEETH) / (SURE - TEETH)).clamp(0.0, 1.0);
            let is_upper = from < EDGE_LINES as f32 / N_MOUTH_LINES as f32;
            let is_lower = to > 1.0 - EDGE_LINES as f32 / N_MOUTH_LINES as f32;
            match (is_upper, is_lower) {
                // Both rows, one upon the other: where they part is the anatomy's to say.
                (true, true) => edges = [None; 2],
                (true, false) => edges[0] = Some((to, sure)),
                (false, _) => edges[1] = Some((from, sure)),
            }
        }
        Self { contents, certainty: contents.certainty, edges }
    }

    /// The height at `t`, 0 at the upper lip and 1 at the lower; `None` where nothing is known.
    #[inline]
    pub(super) fn line(&self, t: f32) -> Option<Line> {
        (self.certainty > 0.0).then(|| Line {
            light: MouthContents::at(&self.contents.light, t),
            paleness: MouthContents::at(&self.contents.paleness, t),
            teeth: MouthContents::at(&self.contents.teeth, t),
        })
    }

    /// Moves the teeth to where they are seen.
    pub(super) fn settle(&self, lips: &Lips, upper: &mut Arch, lower: &mut Arch) {
        let [top, bottom] = lips.middle();
        let base = upper.edge.y;
        for (arch, edge) in [upper, lower].into_iter().zip(self.edges) {
            if let Some((t, sure)) = edge {
                let seen = base + top + (bottom - top) * t;
                arch.edge.y += (seen - arch.edge.y) * self.certainty * sure;
            }
        }
    }
}

/// What brings brightness relative to a driver's skin to that relative to a portrait's, by the whites of their eyes. These are a
/// few pixels: only what is beyond two fifths counts.
fn gain(driver: f32, portrait: f32) -> f32 {
    const NOISE: f32 = 1.4;
    if driver <= 0.0 || portrait <= 0.0 {
        return 1.0;
    }
    let ratio = (portrait / driver).clamp(0.3, 3.0);
    if ratio > 1.0 { (ratio / NOISE).max(1.0) } else { (ratio * NOISE).min(1.0) }
}

/// Lines that follow each other and are teeth.
#[derive(Clone, Copy)]
struct Run {
    /// From where to where, 0 at the upper lip and 1 at the lower.
    from: f32,
    to: f32,
    /// The most teeth that one of them has.
    most: f32,
}

/// The first and the last run of lines that are teeth.
fn runs(teeth: &[f32; N_MOUTH_LINES]) -> [Option<Run>; 2] {
    let middle = |line: usize| (line as f32 + 0.5) / N_MOUTH_LINES as f32;
    // Where the value passes the bound between two lines.
    let crossing = |line: usize| {
        let (a, b) = (teeth[line], teeth[line + 1]);
        middle(line) + (TEETH - a) / (b - a) / N_MOUTH_LINES as f32
    };
    let mut found: [Option<Run>; 2] = [None; 2];
    let mut run: Option<Run> = None;
    for (line, &share) in teeth.iter().enumerate() {
        let is_last = line + 1 == N_MOUTH_LINES;
        if share > TEETH {
            let from = if line == 0 { 0.0 } else { crossing(line - 1) };
            let open = run.get_or_insert(Run { from, to: 1.0, most: share });
            open.most = open.most.max(share);
            if !is_last && teeth[line + 1] > TEETH {
                continue;
            }
            open.to = if is_last { 1.0 } else { crossing(line) };
        }
        if let Some(ended) = run.take() {
            found[usize::from(found[0].is_some())] = Some(ended);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(teeth: [f32; N_MOUTH_LINES]) -> Seen {
        Seen::of(&MouthContents { certainty: 1.0, teeth, ..MouthContents::UNKNOWN }, 1.0)
    }

    #[test]
    fn rows_of_teeth_are_told_by_the_lip_they_are_at() {
        let mut teeth = [0.0; N_MOUTH_LINES];
        assert_eq!(seen(teeth).edges, [None; 2]);
        teeth[1..5].fill(0.8);
        let [upper, lower] = seen(teeth).edges;
        assert!(lower.is_none() && (upper.unwrap().0 - 5.0 / 12.0).abs() < 0.01, "{upper:?}");
        teeth[8..].fill(0.8);
        let [upper, lower] = seen(teeth).edges;
        assert!(upper.is_some() && (lower.unwrap().0 - 8.0 / 12.0).abs() < 0.01, "{lower:?}");
        teeth[6] = 0.9;
        assert!(
            (seen(teeth).edges[1].unwrap().0 - 8.0 / 12.0).abs() < 0.01,
            "a shine between two rows is none of them"
        );
        teeth[6] = 0.0;
        teeth[1..].fill(1.0);
        assert_eq!(seen(teeth).edges, [None; 2], "teeth upon teeth");
        teeth[..6].fill(0.0);
        assert!(seen(teeth).edges[1].is_some());
    }
}
