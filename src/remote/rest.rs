//! The protocol over HTTP: tensors as bytes behind the JSON (the binary tensor extension), or in it as base64 where the server
//! keeps identities and knows no extension.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderValue};
use axum::http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use prost::bytes::Bytes;
use serde_json::{Value, json};

use crate::base64::{base64, from_base64};
use crate::export::PICTURE;

use super::address::Address;
use super::described::{Described, DescribedInput, MAX_ANSWER_BYTES, Reply, Tensor};
use super::dial::Dialer;
use super::failure::Failure;
use super::payload::Payload;

/// How long the JSON is that comes before the tensors' bytes.
const JSON_LENGTH: &str = "inference-header-content-length";
/// What a server says that knows the binary extension.
const EXTENSION: &str = "binary_tensor_data";

/// A connection that HTTP goes over.
pub(super) struct Rest {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    bearer: Option<HeaderValue>,
    model: String,
    takes_bytes: bool,
}

impl Rest {
    /// Connects.
    pub(super) async fn open(address: &Address, dialer: &Dialer, token: Option<&str>) -> Result<Self, Failure> {
        let stream = dialer.dial().await.map_err(|error| Failure::Silent(error.to_string()))?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| Failure::Silent(error.to_string()))?;
        // Ends with the connection, which ends with its sender.
        tokio::spawn(connection);
        let bad = |_| Failure::Refused("the token has letters that a header cannot hold".to_owned());
        let mut bearer =
            token.map(|token| HeaderValue::try_from(format!("Bearer {token}"))).transpose().map_err(bad)?;
        if let Some(bearer) = &mut bearer {
            bearer.set_sensitive(true);
        }
        let host = HeaderValue::try_from(address.authority()).map_err(|error| Failure::Refused(error.to_string()))?;
        Ok(Self { sender, host, bearer, model: address.model.clone(), takes_bytes: false })
    }

    /// Sends a request and reads its whole answer: the length of the JSON in it, and all.
    async fn call(
        &mut self,
        path: String,
        body: Option<(Bytes, usize)>,
        is_zipped: bool,
    ) -> Result<(Option<usize>, Bytes), Failure> {
        self.sender.ready().await.map_err(|error| Failure::Silent(error.to_string()))?;
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.host.clone());
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer.clone());
        }
        if let Some((_, n_json)) = &body {
            let kind = if self.takes_bytes { "application/octet-stream" } else { "application/json" };
            request = request.header(CONTENT_TYPE, kind);
            if self.takes_bytes {
                request = request.header(JSON_LENGTH, n_json.to_string());
            }
            if is_zipped {
                request = request.header(CONTENT_ENCODING, "gzip");
            }
        }
        let body = Full::new(body.map_or_else(Bytes::new, |(bytes, _)| bytes));
        let request = request.body(body).map_err(|error| Failure::Refused(error.to_string()))?;
        let answer = self.sender.send_request(request).await.map_err(|error| Failure::Silent(error.to_string()))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| Failure::Silent(error.to_string()))?.to_bytes();
        match head.status {
            StatusCode::OK => {
                let length = head.headers.get(JSON_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
                Ok((length, body))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Failure::Refused("it lets nobody in without the right token; set EFFIGY_REMOTE_TOKEN".to_owned()))
            }
            status if status.is_server_error() && status != StatusCode::INTERNAL_SERVER_ERROR => {
                Err(Failure::Silent(format!("it says {status}")))
            }
            status => {
                let said = serde_json::from_slice::<Value>(&body).ok();
                let said = said.as_ref().and_then(|said| said.get("error").or_else(|| said.get("detail"))?.as_str());
                Err(Failure::said(said.unwrap_or(status.as_str())))
            }
        }
    }

    /// What the model takes and gives.
    pub(super) async fn describe(&mut self) -> Result<Described, Failure> {
        let (_, server) = self.call("/v2".to_owned(), None, false).await?;
        let (_, model) = self.call(format!("/v2/models/{}", self.model), None, false).await?;
        let no_json = |_| Failure::Refused("what it says of itself is no JSON".to_owned());
        let server: Value = serde_json::from_slice(&server).map_err(no_json)?;
        let model: Value = serde_json::from_slice(&model).map_err(no_json)?;
        let listed = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        self.takes_bytes = listed(&server, "extensions").iter().any(|extension| extension == EXTENSION);
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let input = |input: &Value| DescribedInput {
            name: text(input, "name"),
            datatype: text(input, "datatype"),
            shape: listed(input, "shape").iter().filter_map(Value::as_i64).collect(),
        };
        let described = Described {
            inputs: listed(&model, "inputs").iter().map(input).collect(),
            outputs: listed(&model, "outputs").iter().map(|output| text(output, "name")).collect(),
        };
        // Some know the extension without listing it; who keeps identities takes base64.
        self.takes_bytes |= !described.keeps_identities();
        Ok(described)
    }

    /// Asks for a picture.
    pub(super) async fn infer(&mut self, payload: &Payload, is_zipped: bool) -> Result<Reply, Failure> {
        let (body, n_json) = if self.takes_bytes { behind_json(payload) } else { within_json(payload) };
        let body = if is_zipped { zipped(&body)? } else { body };
        let path = format!("/v2/models/{}/infer", self.model);
        let (n_json, answer) = self.call(path, Some((Bytes::from(body), n_json)), is_zipped).await?;
        let wrong = || Failure::Refused("its answer holds no picture".to_owned());
        let n_json = n_json.unwrap_or(answer.len());
        let json: Value = serde_json::from_slice(answer.get(..n_json).ok_or_else(wrong)?).map_err(|_| wrong())?;
        let outputs = json.get("outputs").and_then(Value::as_array).ok_or_else(wrong)?;
        let output = outputs.iter().find(|output| output["name"] == PICTURE).ok_or_else(wrong)?;
        let picture = if n_json < answer.len() {
            let picture = answer.slice(n_json..);
            if output["datatype"] == "BYTES" { picture.slice(4.min(picture.len())..) } else { picture }
        } else {
            let text = output["data"].get(0).and_then(Value::as_str).ok_or_else(wrong)?;
            Bytes::from(from_base64(text).ok_or_else(wrong)?)
        };
        let worked = json["parameters"]["server_us"].as_u64().map_or(Duration::ZERO, Duration::from_micros);
        Ok(Reply { picture, worked })
    }
}

/// The JSON, its length, and the tensors' bytes behind it.
fn behind_json(payload: &Payload) -> (Vec<u8>, usize) {
    let prefix = |datatype: &str| if datatype == "BYTES" { 4 } else { 0 };
    let inputs: Vec<Value> = payload
        .tensors()
        .iter()
        .map(|tensor| {
            let n_bytes = prefix(tensor.datatype) + tensor.bytes.len();
            json!({ "name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape,
                    "parameters": { "binary_data_size": n_bytes } })
        })
        .collect();
    let outputs = [json!({ "name": PICTURE, "parameters": { "binary_data": true } })];
    let mut body = json!({ "inputs": inputs, "outputs": outputs }).to_string().into_bytes();
    let n_json = body.len();
    body.reserve(payload.n_bytes() + 4 * payload.tensors().len());
    for tensor in payload.tensors() {
        if tensor.datatype == "BYTES" {
            body.extend_from_slice(&(tensor.bytes.len() as u32).to_le_bytes());
        }
        body.extend_from_slice(&tensor.bytes);
    }
    (body, n_json)
}

/// The JSON with the tensors in it.
fn within_json(payload: &Payload) -> (Vec<u8>, usize) {
    let input = |tensor: &Tensor| json!({ "name": tensor.name, "datatype": "BYTES", "shape": [1], "data": [base64(&tensor.bytes)] });
    let inputs: Vec<Value> = payload.tensors().iter().map(input).collect();
    let body = json!({ "inputs": inputs, "outputs": [{ "name": PICTURE }] }).to_string().into_bytes();
    let n_json = body.len();
    (body, n_json)
}

fn zipped(body: &[u8]) -> Result<Vec<u8>, Failure> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.map_err(|error| Failure::Refused(error.to_string()))
}
