//! How good the network is on people it never saw, beside the mesh warp alone.

use std::path::Path;

use serde_json::json;

use super::group::Group;
use super::parameters::Parameters;
use super::picture::{Plans, Tensors, make};
use super::sheet;
use effigy_base::error::Result;

/// Squared errors of the network and of the warp, by region.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scores {
    /// (network, warp, pixels) of the whole picture, mouth, eyes.
    regions: [(f64, f64, f64); 3],
}

const REGIONS: [&str; 3] = ["whole", "mouth", "eyes"];

impl Scores {
    /// Peak signal to noise in dB of network and warp, in the order whole, mouth, eyes.
    pub fn psnr_db(&self) -> [(f64, f64); 3] {
        let db = |sum: f64, n: f64| -10.0 * (sum / n.max(1.0)).max(1e-12).log10();
        self.regions.map(|(network, warp, n)| (db(network, n), db(warp, n)))
    }

    /// For the log.
    pub fn to_json(&self, step: usize) -> serde_json::Value {
        let regions: serde_json::Map<_, _> = REGIONS
            .iter()
            .zip(self.psnr_db())
            .map(|(name, (network, warp))| ((*name).to_owned(), json!({ "network_db": network, "warp_db": warp })))
            .collect();
        json!({ "step": step, "validation": regions })
    }

    /// For people.
    pub fn line(&self) -> String {
        let parts = REGIONS
            .iter()
            .zip(self.psnr_db())
            .map(|(name, (network, warp))| format!("{name} {network:.2} dB ({:+.2} to warp)", network - warp));
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// Runs the network on all groups, and draws the first frames of each into a picture.
///
/// # Errors
/// When the picture cannot be written.
pub fn validate(plans: &Plans, parameters: &Parameters, groups: &[Group], path: &Path) -> Result<Scores> {
    let mut scores = Scores::default();
    let mut rows = Vec::new();
    for group in groups {
        let tensors = Tensors::new(group, parameters.device());
        let made = make(plans, parameters, &tensors);
        let read = |x: burn::tensor::Tensor<4>| x.try_into_vec_as::<f32>().unwrap_or_default();
        let picture = read(made.picture);
        let n = group.size_px * group.size_px;
        for frame in 0..group.n_frames {
            for i in 0..n {
                let at = |values: &[f32], c: usize| f64::from(values[(3 * frame + c) * n + i]);
                let (mut network, mut warp) = (0.0, 0.0);
                for c in 0..3 {
                    let truth = at(&group.target, c);
                    network += (at(&picture, c) - truth).powi(2) / 3.0;
                    warp += (at(&group.warp_only, c) - truth).powi(2) / 3.0;
                }
                let is_counted = group.counts[frame * n + i] > 0.5;
                let within = [true, group.mouth[frame * n + i] > 0.99, group.eyes[frame * n + i] > 0.99];
                for (region, is_in) in scores.regions.iter_mut().zip(within) {
                    if is_in && is_counted {
                        *region = (region.0 + network, region.1 + warp, region.2 + 1.0);
                    }
                }
            }
        }
        let trust = read(made.trust.repeat_dim(1, 3));
        let first = |values: &[f32]| values[..3 * n].to_vec();
        rows.push(vec![
            first(&group.target),
            first(&picture),
            first(&group.warp_only),
            first(&read(made.warped)),
            first(&read(made.decoded)),
            first(&trust),
        ]);
    }
    if let Some(group) = groups.first() {
        sheet::write(path, &rows, group.size_px)?;
    }
    Ok(scores)
}
