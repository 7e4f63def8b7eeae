//! What travels to the server.
//!
//! A [`Payload`] is made of an identity's tensors and of a frame's driving numbers, and there is no other way to make
//! one: a picture of the driver has no way in.

use prost::bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::export::{self, Named, PortKind};
use crate::generate::neural::{FrameInputs, IdentityTensors};
use effigy_base::hex::hex;

use super::described::{Described, IDENTITY, Tensor};
use super::failure::Failure;

/// One request's tensors.
#[derive(Clone, Debug)]
pub(super) struct Payload(Vec<Tensor>);

impl Payload {
    /// What is sent.
    pub(super) fn tensors(&self) -> &[Tensor] {
        &self.0
    }

    /// Its size without the protocol's own words.
    pub(super) fn n_bytes(&self) -> usize {
        self.0.iter().map(|tensor| tensor.bytes.len()).sum()
    }
}

/// An identity's tensors, ready to be sent.
pub(super) struct Portrait {
    tensors: Vec<(&'static str, PortKind, Bytes)>,
    hash: String,
}

impl Portrait {
    /// Makes the tensors ready. Slow.
    pub(super) fn new(tensors: &IdentityTensors) -> Self {
        let mut named = export::identity_bytes(tensors);
        named.sort_by_key(|(name, ..)| *name);
        let mut hash = Sha256::new();
        named.iter().for_each(|(_, _, bytes)| hash.update(bytes));
        let tensors = named.into_iter().map(|(name, kind, bytes)| (name, kind, Bytes::from(bytes))).collect();
        Self { tensors, hash: hex(&hash.finalize()) }
    }

    /// A frame's request: driving numbers, and the identity as far as the server needs it.
    ///
    /// # Errors
    /// When the server's model wants something else.
    pub(super) fn ask(&self, frame: &FrameInputs, server: &Described, is_known: bool) -> Result<Payload, Failure> {
        let driving =
            export::driving_bytes(frame).into_iter().map(|(name, kind, bytes)| (name, kind, Bytes::from(bytes)));
        let keeps = server.keeps_identities();
        let mut tensors = Vec::with_capacity(driving.len() + self.tensors.len() + 1);
        for (name, kind, bytes) in driving {
            tensors.push(server.tensor(name, kind, bytes)?);
        }
        if !(keeps && is_known) {
            for (name, kind, bytes) in &self.tensors {
                tensors.push(server.tensor(name, *kind, bytes.clone())?);
            }
        }
        if keeps {
            let bytes = Bytes::from(self.hash.clone());
            tensors.push(Tensor { name: IDENTITY.to_owned(), datatype: "BYTES", shape: vec![1], bytes });
        }
        Ok(Payload(tensors))
    }
}

/// Names of everything that a general model takes.
pub(super) fn names(frame: &FrameInputs) -> Vec<&'static str> {
    let driving: Vec<Named> = export::driving_bytes(frame);
    driving.into_iter().map(|(name, ..)| name).chain(export::IDENTITY_INPUTS).collect()
}
