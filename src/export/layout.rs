//! Folders as serving engines want them.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Exported, Port, PortKind};
use crate::error::{ErrorKind, OrError as _, Result};

/// MLServer has no ONNX runtime of its own; this is one.
const MLSERVER_RUNTIME: &str = include_str!("layout/effigy_onnx.py");

/// For which engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `model.onnx` and `interface.json`.
    #[default]
    Plain,
    /// A model repository of NVIDIA Triton Inference Server.
    Triton,
    /// A folder that `mlserver start` serves.
    Mlserver,
    /// A Triton repository and KServe's `InferenceService` for it.
    Kserve,
}

/// How it is to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// For which engine.
    pub layout: Layout,
    /// What clients call the model: small letters, digits and dashes.
    pub name: String,
    /// Most pictures in a batch, at least 1.
    pub max_batch: usize,
    /// How long a request may wait for others to join its batch, in microseconds.
    pub window_us: u64,
    /// Copies of the model on each card or machine.
    pub n_instances: usize,
    /// Whether it runs on graphics cards.
    pub on_card: bool,
}

/// The files of an exported model, with paths in its folder.
///
/// # Errors
/// [`ErrorKind::Internal`] only.
pub fn files(exported: &Exported, serving: &Serving) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let folder = PathBuf::from(&serving.name);
    let onnx = exported.onnx.clone();
    Ok(match serving.layout {
        Layout::Plain => {
            vec![(PathBuf::from("model.onnx"), onnx), (PathBuf::from("interface.json"), pretty(&interface(exported))?)]
        }
        Layout::Triton | Layout::Kserve => {
            let mut files = vec![
                (folder.join("1/model.onnx"), onnx),
                (folder.join("config.pbtxt"), triton_config(exported, serving).into_bytes()),
            ];
            if serving.layout == Layout::Kserve {
                files.push((PathBuf::from("inference-service.yaml"), inference_service(serving).into_bytes()));
            }
            files
        }
        Layout::Mlserver => vec![
            (folder.join("model.onnx"), onnx),
            (folder.join("effigy_onnx.py"), MLSERVER_RUNTIME.as_bytes().to_vec()),
            (folder.join("model-settings.json"), pretty(&mlserver_settings(exported, serving))?),
        ],
    })
}

fn pretty(value: &Value) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)
        .or_error(ErrorKind::Internal, || "cannot write what describes the model".to_owned())?;
    text.push(b'\n');
    Ok(text)
}

/// Names, kinds and extents as the open inference protocol (KServe v2) writes them; -1 is the number of pictures.
fn interface(exported: &Exported) -> Value {
    json!({ "inputs": exported.inputs.iter().map(described).collect::<Vec<_>>(), "outputs": [described(&exported.output)] })
}

fn described(port: &Port) -> Value {
    let datatype = match port.kind {
        PortKind::F32 => "FP32",
        PortKind::Bytes => "UINT8",
    };
    let shape: Vec<i64> = std::iter::once(-1).chain(port.dims.iter().map(|&extent| extent as i64)).collect();
    json!({ "name": port.name, "datatype": datatype, "shape": shape })
}

fn mlserver_settings(exported: &Exported, serving: &Serving) -> Value {
    let mut settings = json!({
        "name": serving.name,
        "implementation": "effigy_onnx.EffigyModel",
        "platform": "onnx",
        "max_batch_size": serving.max_batch,
        "max_batch_time": serving.window_us as f64 / 1e6,
        "parameters": { "uri": "./model.onnx", "version": "1" },
    });
    let interface = interface(exported);
    for key in ["inputs", "outputs"] {
        settings[key] = interface[key].clone();
    }
    settings
}

/// Triton's description: requests that come within the window run as one batch, and one that waited longer than two frames
/// is refused, since its picture would be too old.
fn triton_config(exported: &Exported, serving: &Serving) -> String {
    let mut text =
        format!("name: \"{}\"\nbackend: \"onnxruntime\"\nmax_batch_size: {}\n", serving.name, serving.max_batch);
    for (kind, ports) in [("input", &exported.inputs[..]), ("output", std::slice::from_ref(&exported.output))] {
        for port in ports {
            let element = match port.kind {
                PortKind::F32 => "TYPE_FP32",
                PortKind::Bytes => "TYPE_UINT8",
            };
            let dims: Vec<String> = port.dims.iter().map(usize::to_string).collect();
            let _ = writeln!(
                text,
                "{kind} {{ name: \"{}\" data_type: {element} dims: [ {} ] }}",
                port.name,
                dims.join(", ")
            );
        }
    }
    let mut preferred: Vec<usize> =
        std::iter::successors(Some(2), |n| Some(n * 2)).take_while(|&n| n < serving.max_batch).collect();
    preferred.push(serving.max_batch);
    let preferred: Vec<String> = preferred.iter().map(usize::to_string).collect();
    let _ = write!(
        text,
        "dynamic_batching {{\n  preferred_batch_size: [ {} ]\n  max_queue_delay_microseconds: {}\n  \
         default_queue_policy {{\n    timeout_action: REJECT\n    default_timeout_microseconds: 66000\n    \
         allow_timeout_override: true\n  }}\n}}\n",
        preferred.join(", "),
        serving.window_us
    );
    let kind = if serving.on_card { "KIND_GPU" } else { "KIND_CPU" };
    let _ = writeln!(text, "instance_group {{ count: {} kind: {kind} }}", serving.n_instances);
    if serving.on_card {
        text += "# CUDA graphs: read by Triton's TensorRT backend; its ONNX Runtime backend records none yet and ignores \
                 this.\n# TensorRT must not choose 16 bits by itself (precision_mode): places in the picture need 32.\n\
                 optimization { cuda { graphs: true } }\n";
    }
    text
}

fn inference_service(serving: &Serving) -> String {
    let card = if serving.on_card { "          nvidia.com/gpu: \"1\"\n" } else { "" };
    format!(
        "# The folder beside this file is the model repository: copy it into the volume that storageUri names.\n\
         apiVersion: serving.kserve.io/v1beta1\n\
         kind: InferenceService\n\
         metadata:\n  name: {name}\n\
         spec:\n  predictor:\n    model:\n      modelFormat:\n        name: onnx\n      runtime: kserve-tritonserver\n      \
         protocolVersion: v2\n      storageUri: pvc://effigy-models/repository\n      resources:\n        limits:\n          \
         cpu: \"2\"\n          memory: 4Gi\n{card}",
        name = serving.name
    )
}
