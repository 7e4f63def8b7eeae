//! Measures a frame: what every contender made against the truth.

use super::{Cast, Course, Stage, Truth};
use crate::composite::marked;
use crate::error::Result;
use crate::frame::Rgb;
use crate::geometry::FaceObservation;
use crate::photo;
use crate::train::eval::case::Offer;
use crate::train::eval::footage::Moment;
use crate::train::eval::metrics::{self, Difference, Step};
use crate::train::eval::perceptual::{Seen, scaled};
use crate::train::eval::recognition::{Descriptor, similarity_of};
use crate::train::eval::regions::{Labels, Region};
use crate::train::eval::scores::FrameScores;
use crate::train::eval::windows::Windows;
use crate::train::eval::{reel, vif::vif};

/// What is measured of two pictures and what counts in them.
type Measure = fn(&Rgb, &Rgb, &Labels) -> Option<f64>;

/// Metrics over windows of pixels.
const BY_WINDOWS: [(&str, Measure); 3] = [("ssim", metrics::ssim), ("vif", vif), ("fine_detail", metrics::fine_detail)];

impl Stage<'_> {
    /// Measures what every contender made of a moment.
    pub(super) fn measure(
        &mut self,
        case: &str,
        moment: &Moment,
        cast: &Cast,
        truth: &Truth,
        made: &[Rgb],
        course: &mut Course,
    ) -> Result<()> {
        let Course { before, tallies, windows } = course;
        let before = before.as_ref().filter(|_| moment.follows);
        let pictures: Vec<&Rgb> = std::iter::once(&truth.picture).chain(made).collect();
        let seen = self.instruments.perceptual.as_ref().map(|network| network.look(&pictures)).transpose()?;
        let mut mouths = Vec::with_capacity(made.len());
        for (i, picture) in made.iter().enumerate() {
            let mut scores = FrameScores::new();
            let differences = metrics::differences(&truth.picture, picture, &truth.labels);
            mouths.push(differences[Region::Mouth as usize]);
            add_differences(&differences, &mut scores);
            for (key, measure) in BY_WINDOWS {
                scores.extend(measure(&truth.picture, picture, &truth.labels).map(|value| (key, value)));
            }
            if let Some((truth_before, made_before)) = before {
                let step = Step { truth: [truth_before, &truth.picture], made: [&made_before[i], picture] };
                scores.extend(metrics::flicker(step, &truth.labels).map(|flicker| ("flicker", flicker)));
            }
            if let Some(true_face) = &truth.face {
                self.compare_faces(true_face, truth.descriptor.as_ref(), picture, &mut scores)?;
            }
            if let Some([truth_seen, made_seen @ ..]) = seen.as_deref() {
                scores.push(("mobilenet_distance", truth_seen.distance(&made_seen[i], &truth.labels)));
                let features = [truth_seen, &made_seen[i]].map(|seen: &Seen| seen.pooled(&truth.labels));
                tallies[i].add_features(&features[0], &features[1]);
                tallies[i].add_classes(&truth_seen.classes, &made_seen[i].classes);
            }
            tallies[i].add(&scores);
        }
        if let Some(seen) = seen {
            windows.resize_with(seen.len(), Windows::default);
            let rows = windows.iter_mut().zip(seen);
            let ended: Vec<_> = rows.map(|(row, seen)| row.see(seen, before.is_some(), &truth.labels)).collect();
            if let Some((Some(of_truth), of_made)) = ended.split_first() {
                tallies
                    .iter_mut()
                    .zip(of_made.iter().flatten())
                    .for_each(|(tally, made)| tally.add_window(of_truth, made));
            }
        }
        let (Some(mouth_l1), size_px) = (mouths.last().and_then(Difference::l1), self.options.size_px) else {
            return Ok(());
        };
        let psnr: Vec<f64> = mouths.iter().filter_map(Difference::psnr_db).collect();
        let (driver, is_cross) = (moment.driver.picture(), self.is_cross);
        let cells = || {
            let errors = made.iter().map(|made| reel::error_picture(&truth.picture, made));
            let mut cells = vec![cast.picture.clone()];
            if is_cross {
                cells.push(scaled(driver, size_px)?);
            }
            cells.push(truth.picture.clone());
            cells.extend(made.iter().map(marked));
            cells.extend(errors.collect::<Result<Vec<_>>>()?);
            cells.iter().map(photo::jpeg).collect::<Result<Vec<_>>>()
        };
        match &mut self.offers {
            Some(offers) => {
                offers.push(Offer { frame: moment.index, mouth_l1, mouth_psnr_db: psnr, cells: cells()? });
                Ok(())
            }
            None => self.reel.offer((case, moment.index), mouth_l1, &psnr, cells),
        }
    }

    fn compare_faces(
        &mut self,
        true_face: &FaceObservation,
        descriptor: Option<&Descriptor>,
        picture: &Rgb,
        scores: &mut FrameScores,
    ) -> Result<()> {
        let smile = metrics::smile(true_face);
        scores.push(("smile_truth", smile));
        let face = self.instruments.find_face(picture)?;
        scores.push(("face_lost", f64::from(u8::from(face.is_none()))));
        let Some(face) = face else { return Ok(()) };
        scores.push(("akd_px", metrics::landmark_distance_px(true_face, &face)));
        scores.push(("expression", metrics::expression_distance(true_face, &face)));
        scores.push(("smile", metrics::smile(&face) - smile));
        scores.push(("pose_degs", metrics::pose_error_degs(true_face, &face)));
        scores.push(("gaze_degs", metrics::gaze_error_degs(true_face, &face)));
        if let (Some(recognizer), Some(descriptor)) = (&mut self.instruments.recognizer, descriptor) {
            scores.push(("identity", similarity_of(descriptor, &recognizer.describe(picture, &face)?)));
        }
        Ok(())
    }
}

fn add_differences(differences: &[Difference; Region::ALL.len()], scores: &mut FrameScores) {
    const KEYS: [[&str; 2]; Region::ALL.len()] = [
        ["mouth_l1", "mouth_psnr_db"],
        ["eyes_l1", "eyes_psnr_db"],
        ["hair_l1", "hair_psnr_db"],
        ["rest_l1", "rest_psnr_db"],
    ];
    let whole = differences.iter().fold(Difference::default(), |sum, difference| sum.plus(difference));
    for ([l1_key, psnr_key], difference) in KEYS.iter().zip(differences).chain([(&["l1", "psnr_db"], &whole)]) {
        if let (Some(l1), Some(psnr_db)) = (difference.l1(), difference.psnr_db()) {
            scores.extend([(*l1_key, l1), (*psnr_key, psnr_db)]);
        }
    }
}
