//! All that a case left, to be stored in a part of an evaluation.

use serde::{Deserialize, Serialize};

use super::scores::Tally;

/// A frame that the report may show.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Offer {
    pub(super) frame: u64,
    #[serde(with = "bits")]
    pub(super) mouth_l1: f64,
    #[serde(with = "bits::row")]
    pub(super) mouth_psnr_db: Vec<f64>,
    /// JPEG files.
    pub(super) cells: Vec<Vec<u8>>,
}

/// What became of a case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Ending {
    Played { name: String, portrait_frame: u64, tallies: Vec<Tally> },
    Skipped { name: String, reason: String },
}

/// One case, as it was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PartCase {
    /// Its place in the suite.
    pub(super) index: usize,
    pub(super) ending: Ending,
    pub(super) n_driver_lost: u64,
    pub(super) offers: Vec<Offer>,
    /// What each contender ran on by then.
    pub(super) backends: Vec<String>,
}

/// Numbers as their bits: none is lost on the way through text.
mod bits {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.to_bits())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }

    /// Several of them.
    pub(super) mod row {
        use serde::{Deserialize as _, Deserializer, Serializer};

        pub(in crate::train::eval::case) fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
            to.collect_seq(values.iter().map(|value| value.to_bits()))
        }

        pub(in crate::train::eval::case) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Vec<f64>, D::Error> {
            Ok(Vec::<u64>::deserialize(from)?.into_iter().map(f64::from_bits).collect())
        }
    }
}
