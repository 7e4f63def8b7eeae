//! What a server does for us, whatever is spoken.

use super::described::{Described, Reply};
use super::failure::Failure;
use super::grpc::Grpc;
use super::payload::Payload;
use super::rest::Rest;

/// A connection to a server.
pub(super) enum Service {
    Grpc(Box<Grpc>),
    Rest(Rest),
}

impl Service {
    /// What the model takes and gives.
    pub(super) async fn describe(&mut self) -> Result<Described, Failure> {
        match self {
            Self::Grpc(grpc) => grpc.describe().await,
            Self::Rest(rest) => rest.describe().await,
        }
    }

    /// Asks for a picture.
    pub(super) async fn infer(&mut self, payload: &Payload, is_zipped: bool) -> Result<Reply, Failure> {
        match self {
            Self::Grpc(grpc) => grpc.infer(payload, is_zipped).await,
            Self::Rest(rest) => rest.infer(payload, is_zipped).await,
        }
    }
}
