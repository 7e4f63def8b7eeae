//! The protocol over gRPC.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::uri::{PathAndQuery, Uri};
use hyper_util::rt::TokioIo;
use prost::Message;
use prost::bytes::{BufMut as _, Bytes, BytesMut};
use tonic::codec::CompressionEncoding;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::export::PICTURE;

use super::address::Address;
use super::described::{Described, DescribedInput, MAX_ANSWER_BYTES, Reply, Tensor};
use super::dial::Dialer;
use super::failure::{Failure, first_line};
use super::messages::{
    InferInputTensor, InferRequestedOutputTensor, ModelInferRequest, ModelInferResponse, ModelMetadataRequest,
    ModelMetadataResponse, Parameter,
};
use super::payload::Payload;

/// The window in which answers come: a picture is sent without waiting for leave. That of requests is the server's to choose.
const WINDOW_BYTES: u32 = 1 << 24;

/// A connection that gRPC goes over.
pub(super) struct Grpc {
    plain: tonic::client::Grpc<Channel>,
    zipped: tonic::client::Grpc<Channel>,
    bearer: Option<MetadataValue<Ascii>>,
    model: String,
}

impl Grpc {
    /// Connects.
    pub(super) async fn open(address: &Address, dialer: &Dialer, token: Option<&str>) -> Result<Self, Failure> {
        let scheme = if address.is_encrypted { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", address.authority()))
            .map_err(|error| Failure::Refused(error.to_string()))?
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        let dialer = dialer.clone();
        // A channel would dial again by itself when the connection breaks, and ask whoever is there then, without the greeting
        // that compares pictures.
        let is_used = Arc::new(AtomicBool::new(false));
        let connector = tower::service_fn(move |_: Uri| {
            let (dialer, is_used) = (dialer.clone(), Arc::clone(&is_used));
            async move {
                if is_used.swap(true, Ordering::Relaxed) {
                    return Err(io::Error::other("the connection was closed"));
                }
                dialer.dial().await.map(TokioIo::new)
            }
        });
        let channel =
            endpoint.connect_with_connector(connector).await.map_err(|error| Failure::Silent(deepest(&error)))?;
        let plain = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
        let zipped = plain.clone().send_compressed(CompressionEncoding::Gzip);
        let bearer = token.map(|token| format!("Bearer {token}").parse());
        let mut bearer: Option<MetadataValue<Ascii>> = bearer
            .transpose()
            .map_err(|_| Failure::Refused("the token has letters that a header cannot hold".to_owned()))?;
        if let Some(bearer) = &mut bearer {
            bearer.set_sensitive(true);
        }
        Ok(Self { plain, zipped, bearer, model: address.model.clone() })
    }

    async fn call<Q, A>(&mut self, method: &'static str, message: Q, is_zipped: bool) -> Result<A, Failure>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let client = if is_zipped { &mut self.zipped } else { &mut self.plain };
        client.ready().await.map_err(|error| Failure::Silent(deepest(&error)))?;
        let mut request = Request::new(message);
        if let Some(bearer) = &self.bearer {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        let codec: ProstCodec<Q, A> = ProstCodec::default();
        let answer = client.unary(request, PathAndQuery::from_static(method), codec).await;
        answer.map(tonic::Response::into_inner).map_err(|status| failure(&status))
    }

    /// What the model takes and gives.
    pub(super) async fn describe(&mut self) -> Result<Described, Failure> {
        let request = ModelMetadataRequest { name: self.model.clone(), version: String::new() };
        let answer: ModelMetadataResponse =
            self.call("/inference.GRPCInferenceService/ModelMetadata", request, false).await?;
        let input = |input: super::messages::TensorMetadata| DescribedInput {
            name: input.name,
            datatype: input.datatype,
            shape: input.shape,
        };
        Ok(Described {
            inputs: answer.inputs.into_iter().map(input).collect(),
            outputs: answer.outputs.into_iter().map(|output| output.name).collect(),
        })
    }

    /// Asks for a picture.
    pub(super) async fn infer(&mut self, payload: &Payload, is_zipped: bool) -> Result<Reply, Failure> {
        let input = |tensor: &Tensor| InferInputTensor {
            name: tensor.name.clone(),
            datatype: tensor.datatype.to_owned(),
            shape: tensor.shape.clone(),
        };
        let request = ModelInferRequest {
            model_name: self.model.clone(),
            inputs: payload.tensors().iter().map(input).collect(),
            outputs: vec![InferRequestedOutputTensor { name: PICTURE.to_owned() }],
            raw_input_contents: payload.tensors().iter().map(raw).collect(),
        };
        let answer: ModelInferResponse =
            self.call("/inference.GRPCInferenceService/ModelInfer", request, is_zipped).await?;
        let at = answer.outputs.iter().position(|output| output.name == PICTURE);
        let found = at.and_then(|at| Some((&answer.outputs[at], answer.raw_output_contents.get(at)?)));
        let Some((output, raw)) = found else {
            return Err(Failure::Refused("its answer holds no picture as raw bytes".to_owned()));
        };
        // Of `BYTES` each element begins with its length.
        let picture = if output.datatype == "BYTES" { raw.slice(4.min(raw.len())..) } else { raw.clone() };
        let worked = match answer.parameters.get("server_us").and_then(|parameter| parameter.parameter.as_ref()) {
            Some(Parameter::Int64(micros)) => Duration::from_micros(u64::try_from(*micros).unwrap_or(0)),
            _ => Duration::ZERO,
        };
        Ok(Reply { picture, worked })
    }
}

/// A tensor's values as the protocol packs them.
fn raw(tensor: &Tensor) -> Bytes {
    if tensor.datatype != "BYTES" {
        return tensor.bytes.clone();
    }
    let mut raw = BytesMut::with_capacity(4 + tensor.bytes.len());
    raw.put_u32_le(tensor.bytes.len() as u32);
    raw.extend_from_slice(&tensor.bytes);
    raw.freeze()
}

/// What an answer that is none means. What went wrong below gRPC comes with its cause; what the server says does not.
fn failure(status: &Status) -> Failure {
    let is_transport = std::error::Error::source(status).is_some();
    // Cut before words of ours follow it, which would be cut away instead.
    let said = first_line(status.message());
    match status.code() {
        _ if is_transport => Failure::Silent(deepest(status)),
        Code::ResourceExhausted if status.message().contains("larger than max") => {
            Failure::Refused(format!("it takes no message of this size ({said}); let it take 16 MB"))
        }
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted | Code::ResourceExhausted => {
            Failure::Silent(format!("it says {}: {said}", status.code()))
        }
        Code::Unauthenticated | Code::PermissionDenied => {
            Failure::Refused(format!("it lets nobody in without the right token ({said}); set EFFIGY_REMOTE_TOKEN"))
        }
        _ => Failure::said(status.message()),
    }
}

/// The cause of all causes.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}
