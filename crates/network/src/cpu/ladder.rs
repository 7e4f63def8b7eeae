//! How much of a network runs in 8 bits: rungs, tried from the quickest on.
//!
//! What the motion network answers are places: rounded, they move the photo's edges. Nearly all of the error of 8 bits is
//! from there, though it is a tenth of the work (`docs/decisions/eight-bits.md`).

use effigy_base::error::Result;

/// How much runs in 8 bits. The last layers of each part are in f32 on any rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// All other layers.
    All,
    /// Not the motion network's layers at 32² pixels and below.
    FineMotion,
    /// Not the motion network.
    Decoder,
}

/// The motion network's layers at 32² pixels and below.
const COARSE_MOTION: [&str; 4] = ["motion.down32", "motion.down16", "motion.deep", "motion.up32"];

impl Rung {
    /// From the quickest to the one that is closest to f32.
    pub const LADDER: [Self; 3] = [Self::All, Self::FineMotion, Self::Decoder];

    /// Whether a layer stays in f32.
    pub fn keeps(self, layer: &str) -> bool {
        match self {
            Self::All => false,
            Self::FineMotion => COARSE_MOTION.contains(&layer),
            Self::Decoder => layer.starts_with("motion."),
        }
    }

    /// What stays in f32, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::FineMotion => "coarse motion in f32",
            Self::Decoder => "motion in f32",
        }
    }
}

/// The first rung whose pictures are at least `least_db` close, if there is one, and how close the last one was that was
/// tried.
///
/// # Errors
/// As `psnr_db`, which tries a rung.
pub(super) fn climb(least_db: f64, mut psnr_db: impl FnMut(Rung) -> Result<f64>) -> Result<(Option<Rung>, f64)> {
    let mut last_db = f64::NEG_INFINITY;
    for rung in Rung::LADDER {
        last_db = psnr_db(rung)?;
        if last_db >= least_db {
            return Ok((Some(rung), last_db));
        }
    }
    Ok((None, last_db))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{FrameOptions, Size, frame};
    use effigy_base::error::{Error, ErrorKind};

    #[test]
    fn the_first_rung_that_is_close_enough_is_taken() {
        let climbed = |answers: [f64; 3]| {
            let mut tried = Vec::new();
            let found = climb(41.5, |rung| {
                tried.push(rung);
                Ok(answers[tried.len() - 1])
            });
            (found.unwrap(), tried)
        };
        assert_eq!(climbed([41.5, 50.0, 50.0]), ((Some(Rung::All), 41.5), vec![Rung::All]));
        assert_eq!(climbed([41.4, 45.0, 50.0]), ((Some(Rung::FineMotion), 45.0), vec![Rung::All, Rung::FineMotion]));
        assert_eq!(climbed([30.0, 41.4, 47.0]), ((Some(Rung::Decoder), 47.0), Rung::LADDER.to_vec()));
        assert_eq!(climbed([30.0, 31.0, 32.0]), ((None, 32.0), Rung::LADDER.to_vec()));
        // What is no number is not close.
        assert_eq!(climbed([f64::NAN, 31.0, 44.0]).0, (Some(Rung::Decoder), 44.0));
        let failed = climb(41.5, |_| Err(Error::new(ErrorKind::Internal, "no room")));
        assert!(failed.is_err());
    }

    #[test]
    fn each_rung_keeps_more_in_f32() {
        for size in Size::ALL {
            let plan = frame(&FrameOptions::new(size, 512));
            let kept = |rung: Rung| plan.steps().iter().filter(|(layer, _)| rung.keeps(layer)).count();
            let n_coarse = plan.steps().iter().filter(|(layer, _)| COARSE_MOTION.contains(&layer.as_str())).count();
            assert_eq!(n_coarse, COARSE_MOTION.len(), "a layer was renamed");
            assert_eq!((kept(Rung::All), kept(Rung::FineMotion)), (0, n_coarse));
            assert!(kept(Rung::Decoder) > n_coarse);
            assert!(
                plan.steps().iter().all(|(layer, _)| !layer.starts_with("decoder.") || !Rung::Decoder.keeps(layer))
            );
        }
    }
}
