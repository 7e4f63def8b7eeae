//! Keeps the frames that are worth looking at: the worst, the best, and some from between.

use crate::error::Result;
use crate::frame::Rgb;

/// Frames of each kind in a report.
const N_WORST: usize = 6;
const N_MEDIAN: usize = 3;
const N_BEST: usize = 3;
/// Frames look alike within so many: one of each such stretch of a case is shown.
const STRETCH: u64 = 12;
/// Frames of one case among the worst or best, where there are several cases: one bad clip shall not hide the others.
const MAX_OF_CASE: usize = 2;
/// So many frames from between are held to find the median among.
const MAX_SAMPLE: usize = 240;

/// A frame's pictures, side by side.
#[derive(Clone, Debug)]
pub struct Row {
    /// `worst`, `median` or `best`.
    pub kind: &'static str,
    /// The case it is from.
    pub case: String,
    /// Its number in the case.
    pub frame: u64,
    /// What it was chosen by: L1 of the mouth region, in 0..1.
    pub mouth_l1: f64,
    /// PSNR of the mouth region for each generator, in dB.
    pub mouth_psnr_db: Vec<f64>,
    /// JPEG files, in the order of the titles.
    pub cells: Vec<Vec<u8>>,
}

/// Chooses rows while frames go by, in bounded memory.
pub(super) struct Reel {
    max_of_case: usize,
    worst: Vec<Row>,
    best: Vec<Row>,
    sample: Vec<Row>,
    /// Every so many frames one goes into the sample.
    stride: u64,
    n_seen: u64,
}

impl Reel {
    /// For a suite of so many cases.
    pub(super) fn new(n_cases: usize) -> Self {
        let max_of_case = if n_cases > 1 { MAX_OF_CASE } else { usize::MAX };
        Self { max_of_case, worst: Vec::new(), best: Vec::new(), sample: Vec::new(), stride: 1, n_seen: 0 }
    }

    /// Offers a frame; `cells` draws its pictures when it is kept.
    pub(super) fn offer(
        &mut self,
        (case, frame): (&str, u64),
        mouth_l1: f64,
        mouth_psnr_db: &[f64],
        cells: impl Fn() -> Result<Vec<Vec<u8>>>,
    ) -> Result<()> {
        let row = |kind| -> Result<Row> {
            let cells = cells()?;
            Ok(Row { kind, case: case.to_owned(), frame, mouth_l1, mouth_psnr_db: mouth_psnr_db.to_vec(), cells })
        };
        place(
            &mut self.worst,
            [N_WORST, self.max_of_case],
            (case, frame, -mouth_l1),
            |r| -r.mouth_l1,
            || row("worst"),
        )?;
        place(&mut self.best, [N_BEST, self.max_of_case], (case, frame, mouth_l1), |r| r.mouth_l1, || row("best"))?;
        if self.n_seen.is_multiple_of(self.stride) {
            self.sample.push(row("median")?);
        }
        self.n_seen += 1;
        if self.sample.len() > MAX_SAMPLE {
            let mut i = 0;
            self.sample.retain(|_| {
                i += 1;
                i % 2 == 1
            });
            self.stride *= 2;
        }
        Ok(())
    }

    /// The rows: worst first, then around the median, then best.
    pub(super) fn rows(mut self) -> Vec<Row> {
        self.sample.sort_by(|a, b| a.mouth_l1.total_cmp(&b.mouth_l1));
        let middle = (self.sample.len() / 2).saturating_sub(N_MEDIAN / 2);
        let median = self.sample.into_iter().skip(middle).take(N_MEDIAN);
        self.worst.into_iter().chain(median).chain(self.best.into_iter().rev()).collect()
    }
}

/// Puts a frame into a list ordered by `rank`, where it belongs there and none like it ranks before it.
fn place(
    list: &mut Vec<Row>,
    [n_max, max_of_case]: [usize; 2],
    (case, frame, rank): (&str, u64, f64),
    rank_of: impl Fn(&Row) -> f64,
    row: impl FnOnce() -> Result<Row>,
) -> Result<()> {
    if list.len() == n_max && list.last().is_some_and(|last| rank_of(last) <= rank) {
        return Ok(());
    }
    let is_alike = |r: &Row| r.case == case && r.frame / STRETCH == frame / STRETCH;
    let n_of_case = list.iter().filter(|r| r.case == case).count();
    // The last of its case makes room where the case has its share.
    let last_of_case = || list.iter().rposition(|r| r.case == case).filter(|_| n_of_case >= max_of_case);
    if let Some(at) = list.iter().position(is_alike).or_else(last_of_case) {
        if rank_of(&list[at]) <= rank {
            return Ok(());
        }
        list.remove(at);
    }
    let at = list.partition_point(|r| rank_of(r) <= rank);
    list.insert(at, row()?);
    list.truncate(n_max);
    Ok(())
}

/// What is wrong where: four times the largest difference of the channels, as grey.
pub(super) fn error_picture(truth: &Rgb, made: &Rgb) -> Result<Rgb> {
    let pixels = truth.data().as_chunks::<3>().0.iter().zip(made.data().as_chunks::<3>().0);
    let error = |(a, b): (&[u8; 3], &[u8; 3])| {
        let largest = (0..3).map(|c| a[c].abs_diff(b[c])).max().unwrap_or(0);
        [largest.saturating_mul(4); 3]
    };
    Rgb::from_data(truth.width_px(), truth.height_px(), pixels.flat_map(error).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reel_keeps_the_worst_and_best_without_neighbours_and_the_middle() {
        let mut reel = Reel::new(1);
        for i in 0..2000_u64 {
            // One bad stretch in an even slope.
            let error = if (600..605).contains(&i) { 10.0 + i as f64 } else { i as f64 / 2000.0 };
            reel.offer(("a", i), error, &[1.0], || Ok(vec![vec![i as u8]])).unwrap();
        }
        assert!(reel.sample.len() <= MAX_SAMPLE);
        let rows = reel.rows();
        let frames = |kind| rows.iter().filter(|r| r.kind == kind).map(|r| r.frame).collect::<Vec<_>>();
        let worst = frames("worst");
        assert_eq!((worst.len(), worst[0], worst[1]), (N_WORST, 604, 1999));
        let mut stretches: Vec<u64> = worst.iter().map(|frame| frame / STRETCH).collect();
        stretches.sort();
        stretches.dedup();
        assert_eq!(stretches.len(), N_WORST, "{worst:?}");
        assert_eq!(frames("best").last(), Some(&0));
        assert!(frames("median").iter().all(|f| (950..1050).contains(f)), "{:?}", frames("median"));
        assert_eq!(rows.last().unwrap().cells, [[0]]);
    }

    #[test]
    fn one_bad_case_leaves_room_for_the_others() {
        let mut reel = Reel::new(2);
        for i in 0..200_u64 {
            reel.offer(("bad", i), 5.0 + i as f64, &[], || Ok(Vec::new())).unwrap();
            reel.offer(("good", i), i as f64 / 200.0, &[], || Ok(Vec::new())).unwrap();
        }
        let rows = reel.rows();
        let worst: Vec<_> = rows.iter().filter(|r| r.kind == "worst").map(|r| (r.case.as_str(), r.frame)).collect();
        assert_eq!(worst, [("bad", 199), ("bad", 191), ("good", 199), ("good", 191)]);
    }

    #[test]
    fn the_error_picture_shows_the_largest_channel_fourfold() {
        let (a, b) = (Rgb::from_data(1, 1, vec![10, 20, 30]).unwrap(), Rgb::from_data(1, 1, vec![12, 13, 30]).unwrap());
        assert_eq!(error_picture(&a, &b).unwrap().data(), [28, 28, 28]);
        assert!(crate::photo::jpeg(&a).unwrap().starts_with(&[0xff, 0xd8]));
    }
}
