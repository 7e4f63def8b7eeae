//! What a server says of its model, and tensors as it wants them.

use std::time::Duration;

use prost::bytes::Bytes;

use crate::export::{PICTURE, PortKind};

use super::failure::Failure;

/// The input by which a server says that it keeps identities: SHA-256 of an identity's tensors, in hex.
pub(super) const IDENTITY: &str = "identity";
/// The largest answer accepted, in bytes: four pictures of 1024 pixels a side.
pub(super) const MAX_ANSWER_BYTES: usize = 1 << 24;

/// A tensor on its way.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// Its name.
    pub(super) name: String,
    /// Its kind, as the protocol calls it; `BYTES` has one element a picture.
    pub(super) datatype: &'static str,
    /// Its extents.
    pub(super) shape: Vec<i64>,
    /// Its values, the lowest byte first.
    pub(super) bytes: Bytes,
}

/// An input of a model, as its server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DescribedInput {
    pub(super) name: String,
    pub(super) datatype: String,
    pub(super) shape: Vec<i64>,
}

/// A model, as its server describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) inputs: Vec<DescribedInput>,
    pub(super) outputs: Vec<String>,
}

/// A picture from the server.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// (size, size, 4) bytes, if all is well.
    pub(super) picture: Bytes,
    /// What the server says that it worked.
    pub(super) worked: Duration,
}

impl Described {
    /// Whether the server keeps identities and is asked for them by hash. Such a one takes every tensor as `BYTES`, one
    /// element a picture, which spares it a list of numbers.
    pub(super) fn keeps_identities(&self) -> bool {
        self.inputs.iter().any(|input| input.name == IDENTITY)
    }

    /// Checks that the model is one that shows whom it is told to.
    pub(super) fn check(&self, names: &[&str]) -> Result<(), Failure> {
        let has = |name: &str| self.inputs.iter().any(|input| input.name == name);
        let missing: Vec<&str> = names.iter().copied().filter(|name| !has(name)).collect();
        if let Some(first) = missing.first() {
            let is_folded = crate::export::IDENTITY_INPUTS.iter().all(|name| !has(name)) && has(names[0]);
            return Err(Failure::Refused(if is_folded {
                "its model shows one person, whoever is asked for; export one without --identity".to_owned()
            } else {
                format!("its model takes no {first:?}; expected one of this version's `effigy export`")
            }));
        }
        let extra = self.inputs.iter().find(|input| input.name != IDENTITY && !names.contains(&input.name.as_str()));
        if let Some(extra) = extra {
            return Err(Failure::Refused(format!("its model asks for {:?}, which nothing is known of", extra.name)));
        }
        if !self.outputs.iter().any(|name| name == PICTURE) {
            return Err(Failure::Refused(format!("its model has no output {PICTURE:?}")));
        }
        Ok(())
    }

    /// A tensor as the model wants it.
    pub(super) fn tensor(&self, name: &str, kind: PortKind, bytes: Bytes) -> Result<Tensor, Failure> {
        if self.keeps_identities() {
            return Ok(Tensor { name: name.to_owned(), datatype: "BYTES", shape: vec![1], bytes });
        }
        let (datatype, n_bytes) = match kind {
            PortKind::F32 => ("FP32", 4),
            PortKind::Bytes => ("UINT8", 1),
        };
        let input = self.inputs.iter().find(|input| input.name == name);
        let dims = input.and_then(|input| (input.datatype == datatype).then_some(input.shape.get(1..)?));
        let n_values = dims.map(|dims| dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?)));
        if n_values.flatten() != Some(bytes.len() / n_bytes) {
            let found =
                input.map_or_else(|| "nothing".to_owned(), |input| format!("{} {:?}", input.datatype, input.shape));
            let message = format!(
                "its model takes {name} as {found}, and {} values of {datatype} are to be sent; export it for this --size, \
                 with the weights that are used here",
                bytes.len() / n_bytes
            );
            return Err(Failure::Refused(message));
        }
        let shape = std::iter::once(1).chain(dims.unwrap_or_default().iter().copied()).collect();
        Ok(Tensor { name: name.to_owned(), datatype, shape, bytes })
    }
}
