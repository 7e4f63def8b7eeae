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
    /// Peak signal to noise in dB of network and warp, in the order whole, mouth, eyes; `None` of a region that no picture
    /// showed.
    pub fn psnr_db(&self) -> [Option<(f64, f64)>; 3] {
        let db = |sum: f64, n: f64| -10.0 * (sum / n).max(1e-12).log10();
        self.regions.map(|(network, warp, n)| (n > 0.0).then(|| (db(network, n), db(warp, n))))
    }

    /// For the log.
    pub fn to_json(&self, step: usize) -> serde_json::Value {
        let regions: serde_json::Map<_, _> = REGIONS
            .iter()
            .zip(self.psnr_db())
            .map(|(name, found)| {
                let of = |(network, warp): (f64, f64)| json!({ "network_db": network, "warp_db": warp });
                ((*name).to_owned(), found.map_or(serde_json::Value::Null, of))
            })
            .collect();
        json!({ "step": step, "validation": regions })
    }

    /// For people.
    pub fn line(&self) -> String {
        let parts = REGIONS.iter().zip(self.psnr_db()).filter_map(|(name, found)| {
            let (network, warp) = found?;
            Some(format!("{name} {network:.2} dB ({:+.2} to warp)", network - warp))
        });
        let parts: Vec<String> = parts.collect();
        if parts.is_empty() { "nothing of the validation counts".to_owned() } else { parts.join(", ") }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_has_no_figure() {
        let scores = Scores { regions: [(0.5, 5.0, 50.0), (0.0, 0.0, 0.0), (0.2, 0.2, 2.0)] };
        assert_eq!(scores.psnr_db()[0].map(|(network, warp)| (network.round(), warp.round())), Some((20.0, 10.0)));
        let json = scores.to_json(7);
        let of = |pointer: &str| json.pointer(pointer).cloned().unwrap_or_default();
        assert!(of("/validation/mouth").is_null() && of("/validation/eyes/network_db").is_number(), "{json}");
        assert_eq!(scores.line(), "whole 20.00 dB (+10.00 to warp), eyes 10.00 dB (+0.00 to warp)");
        assert_eq!(Scores::default().psnr_db(), [None; 3]);
        assert!(!Scores::default().line().contains("dB"));
    }
}
