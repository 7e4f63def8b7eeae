//! One channel brought to another size: by areas when it shrinks, by straight lines when it grows.

/// Weights that make one sample of several.
struct Span {
    from: usize,
    weights: Vec<f32>,
}

/// Resizes pictures of one size to another.
pub(super) struct Resizer {
    across: Vec<Span>,
    down: Vec<Span>,
    pub(super) from: (usize, usize),
    pub(super) to: (usize, usize),
    row: Vec<f32>,
}

impl Resizer {
    /// Prepares for (width, height) to (width, height), none of them 0.
    pub(super) fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        Self { across: spans(from.0, to.0), down: spans(from.1, to.1), from, to, row: vec![0.0; from.0] }
    }

    /// Writes `plane`, of the size this was made for, into `out`.
    pub(super) fn resize(&mut self, plane: &[u8], out: &mut Vec<f32>) {
        let width = self.from.0;
        out.clear();
        // Down first: whole rows are what a processor adds fastest.
        for down in &self.down {
            self.row.fill(0.0);
            for (samples, &weight) in plane[down.from * width..].chunks_exact(width).zip(&down.weights) {
                for (sum, &sample) in self.row.iter_mut().zip(samples) {
                    *sum += f32::from(sample) * weight;
                }
            }
            out.extend(self.across.iter().map(|across| {
                let samples = self.row[across.from..].iter().zip(&across.weights);
                samples.map(|(sample, weight)| sample * weight).sum::<f32>()
            }));
        }
    }
}

fn spans(from: usize, to: usize) -> Vec<Span> {
    let step = from as f32 / to as f32;
    (0..to)
        .map(|i| {
            if step > 1.0 {
                let (begin, end) = (i as f32 * step, ((i + 1) as f32 * step).min(from as f32));
                let first = (begin as usize).min(from - 1);
                let last = (end.ceil() as usize).clamp(first + 1, from);
                let cover = |j: usize| (end.min((j + 1) as f32) - begin.max(j as f32)).max(0.0) / step;
                Span { from: first, weights: (first..last).map(cover).collect() }
            } else {
                let at = ((i as f32 + 0.5) * step - 0.5).clamp(0.0, (from - 1) as f32);
                let first = (at as usize).min(from.saturating_sub(2));
                let part = at - first as f32;
                Span { from: first, weights: vec![1.0 - part, part] }
            }
        })
        .collect()
}
