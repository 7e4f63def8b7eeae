//! Sums over all windows of one length.

/// Room for [`Windows::sums`].
#[derive(Default)]
pub(super) struct Windows {
    doubled: Vec<f32>,
    next: Vec<f32>,
}

impl Windows {
    /// Sums of `n` values each, `stride` apart from one another; `out` is shorter than `line` by `(n - 1) * stride`.
    ///
    /// Sums of two, four, eight are made of each other: faster than a running sum, which waits for itself, and what is large
    /// leaves no rounding behind where it is no longer in the window.
    pub(super) fn sums(&mut self, line: &[f32], n: usize, stride: usize, out: &mut Vec<f32>) {
        out.clear();
        out.resize(line.len().saturating_sub((n - 1) * stride), 0.0);
        self.doubled.clear();
        self.doubled.extend_from_slice(line);
        let (mut length, mut from) = (1, 0);
        loop {
            if n & length != 0 {
                let part = self.doubled.get(from * stride..).unwrap_or_default();
                out.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
                from += length;
            }
            if from == n {
                return;
            }
            self.next.clear();
            let later = self.doubled.get(length * stride..).unwrap_or_default();
            self.next.extend(self.doubled.iter().zip(later).map(|(a, b)| a + b));
            std::mem::swap(&mut self.doubled, &mut self.next);
            length *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_windows() {
        let line: Vec<f32> = (0..60).map(|i| (i * 7 % 13) as f32).collect();
        let (mut windows, mut out) = (Windows::default(), Vec::new());
        for n in [1, 2, 9, 17, 25] {
            for stride in [1, 2] {
                windows.sums(&line, n, stride, &mut out);
                assert_eq!(out.len(), line.len() - (n - 1) * stride);
                for (i, &sum) in out.iter().enumerate() {
                    assert_eq!(sum, (0..n).map(|k| line[i + k * stride]).sum::<f32>(), "{n} {stride} {i}");
                }
            }
        }
        windows.sums(&line[..5], 9, 1, &mut out);
        assert!(out.is_empty(), "there is no whole window");
    }
}
