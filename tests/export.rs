//! `effigy export`: the files, what they hold, and that their pictures are the twins'.
#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::print_stdout, reason = "how close models are is worth reading")]

use crate::common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use effigy::ErrorKind;
use effigy::export::{self, Exported, Options, PortKind, Precision, Subject};
use effigy::generate::cpu::CpuExecutor;
use effigy::generate::network::Size;
use effigy::generate::neural::{self, FrameInputs, IdentityTensors};
use effigy::generate::plan::{Executor, Plan};
use effigy::generate::twin::TwinExecutor;
use effigy::generate::weights::Weights;
use effigy::onnx::BatchSession;
use safetensors::SafeTensors;
use serde_json::Value;

const OPTIONS: Options = Options { size_px: 512, precision: Precision::F32, has_badge: true };

struct Subjects {
    identity: std::sync::Arc<effigy::Identity>,
    tensors: IdentityTensors,
    frames: Vec<FrameInputs>,
}

impl Subjects {
    /// The drawn identity, at rest with an open mouth, and turned.
    fn new(weights: &Weights) -> Self {
        let identity = common::identity(512);
        let (tensors, frames) = neural::typical(weights, &identity, 512).unwrap();
        Self { identity, tensors, frames: [1, 11].map(|i| frames[i].clone()).to_vec() }
    }

    fn subject(&self) -> Subject<'_> {
        Subject { manifest: &self.identity.manifest, tensors: &self.tensors, frames: &self.frames }
    }
}

fn twin(plan: Plan) -> effigy::Result<Box<dyn Executor>> {
    Ok(Box::new(TwinExecutor::new(plan)))
}

fn processor(plan: Plan) -> effigy::Result<Box<dyn Executor>> {
    Ok(Box::new(CpuExecutor::new(plan, 2)?.in_f32()))
}

#[test]
fn general_and_folded_models_make_the_twins_pictures() {
    let weights = Weights::built_in().unwrap();
    let subjects = Subjects::new(&weights);
    let subject = subjects.subject();
    assert!(subjects.tensors.encoded.embedding.iter().any(|e| e.abs() > 0.01), "an embedding that changes nothing");
    let general = export::general(&weights, &OPTIONS).unwrap();
    let names: Vec<&str> = general.inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(names.len(), 9 + 6, "{names:?}");
    let of_general = export::check(&general, &weights, &subject, &OPTIONS, twin).unwrap();
    let folded = export::folded(&weights, &subject, &OPTIONS).unwrap();
    assert_eq!(folded.inputs.len(), 9);
    let of_folded = export::check(&folded, &weights, &subject, &OPTIONS, twin).unwrap();
    println!("f32: general {:.1} dB, folded {:.1} dB", of_general.worst_psnr_db, of_folded.worst_psnr_db);
    assert_eq!(of_general.expected, of_folded.expected);

    // Picture by picture: where the badge is, and that pictures of a batch are not mixed up.
    let picture = &of_folded.expected[..512 * 512 * 4];
    let opaque = |x: usize, y: usize| picture[(y * 512 + x) * 4 + 3];
    assert!(opaque(470, 490) > 150, "the badge is in the lower right corner");
    assert!(picture != &of_folded.expected[512 * 512 * 4..]);
}

#[test]
fn fewer_bits_stay_close_and_any_number_of_pictures_fits() {
    let weights = Weights::built_in().unwrap();
    let subjects = Subjects::new(&weights);
    let subject = subjects.subject();
    for precision in [Precision::F16, Precision::Int8] {
        let options = Options { precision, has_badge: false, ..OPTIONS };
        let folded = export::folded(&weights, &subject, &options).unwrap();
        let check = export::check(&folded, &weights, &subject, &options, processor).unwrap();
        println!("{precision:?}: folded {:.1} dB, {} bytes", check.worst_psnr_db, folded.onnx.len());
    }
    let options = Options { precision: Precision::F16, ..OPTIONS };
    let general = export::general(&weights, &options).unwrap();
    let check = export::check(&general, &weights, &subject, &options, processor).unwrap();
    println!("F16: general {:.1} dB, {} bytes", check.worst_psnr_db, general.onnx.len());

    // Three pictures, the first and the last alike.
    let frames = [0, 1, 0].map(|i| subjects.frames[i].clone());
    let mut session = BatchSession::open("three", &general.onnx, 2).unwrap();
    let made = session.run(export::inputs(&general, &subjects.tensors, &frames).unwrap()).unwrap();
    let pictures: Vec<&[u8]> = made.chunks_exact(512 * 512 * 4).collect();
    assert!(pictures.len() == 3 && pictures[0] == pictures[2] && pictures[0] != pictures[1]);
}

#[test]
fn a_model_of_the_large_network_is_as_close() {
    let weights = Weights::random(Size::Large, 5);
    let subjects = Subjects::new(&weights);
    let subject = Subject { frames: &subjects.frames[..1], ..subjects.subject() };
    let folded = export::folded(&weights, &subject, &OPTIONS).unwrap();
    let check = export::check(&folded, &weights, &subject, &OPTIONS, processor).unwrap();
    println!("large: {:.1} dB", check.worst_psnr_db);
    let general: Exported = export::general(&weights, &OPTIONS).unwrap();
    export::check(&general, &weights, &subject, &OPTIONS, processor).unwrap();
}

#[test]
fn eight_bits_without_an_identity_and_a_model_that_is_off_are_refused() {
    let weights = Weights::built_in().unwrap();
    let options = Options { precision: Precision::Int8, ..OPTIONS };
    let error = export::general(&weights, &options).unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("--identity FILE"), "{error}");
    // Weights of another network: the check sees it.
    let subjects = Subjects::new(&weights);
    let other = Weights::random(Size::Small, 1);
    let folded = export::folded(&other, &subjects.subject(), &OPTIONS).unwrap();
    let error = export::check(&folded, &weights, &subjects.subject(), &OPTIONS, processor).unwrap_err();
    assert!(error.to_string().contains("dB close to the program's own, expected 50"), "{error}");
}

fn lab(name: &str) -> PathBuf {
    let lab = Path::new(env!("CARGO_TARGET_TMPDIR")).join("export").join(name);
    let _ = std::fs::remove_dir_all(&lab);
    std::fs::create_dir_all(&lab).unwrap();
    lab
}

fn effigy(lab: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_effigy")).args(arguments).current_dir(lab).output().unwrap()
}

#[test]
fn the_command_writes_what_engines_read() {
    let lab = lab("layouts");
    let portrait = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/portrait_a.png").display().to_string();
    let enroll = |file: &str, basis: &[&str]| {
        effigy(&lab, &[&["enroll", &portrait, "-o", file, "--no-rehearsal", "--consent"], basis].concat())
    };
    let enrolled = enroll("ada.effigy", &["synthetic"]);
    assert!(enrolled.status.success(), "{enrolled:?}");
    let export = |arguments: &[&str]| {
        let output = effigy(&lab, &[&["export", "--format"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = export(&["onnx", "-o", "plain", "--identity", "ada.effigy", "--example"]);
    assert!(said.contains("checked: 4 pictures, at least "), "{said}");
    let interface: Value = serde_json::from_slice(&std::fs::read(lab.join("plain/interface.json")).unwrap()).unwrap();
    assert_eq!(
        interface["inputs"][0],
        serde_json::json!({ "name": "landmarks", "datatype": "FP32", "shape": [-1, 1, 478, 2] })
    );
    assert_eq!(interface["outputs"][0]["shape"], serde_json::json!([-1, 512, 512, 4]));
    let example = std::fs::read(lab.join("plain/example.safetensors")).unwrap();
    let example = SafeTensors::deserialize(&example).unwrap();
    assert_eq!((example.tensor("picture").unwrap().shape(), example.len()), (&[2, 512, 512, 4][..], 10));

    // The tensors of an identity are the inputs that a general model has beyond a folded one.
    export(&["tensors", "-o", "tensors", "--identity", "ada.effigy"]);
    let tensors = std::fs::read(lab.join("tensors/identity.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&tensors).unwrap();
    let general = export::general(&Weights::built_in().unwrap(), &OPTIONS).unwrap();
    for input in general.inputs.iter().filter(|input| export::IDENTITY_INPUTS.contains(&input.name.as_str())) {
        let tensor = tensors.tensor(&input.name).unwrap();
        assert_eq!(tensor.shape()[1..], input.dims, "{}", input.name);
        assert_eq!(tensor.dtype() == safetensors::Dtype::U8, input.kind == PortKind::Bytes, "{}", input.name);
    }

    let folded = ["--identity", "ada.effigy", "--max-batch", "6", "--window-ms", "5", "--instances", "2"];
    export(
        &[&["onnx", "-o", "triton", "--layout", "triton", "--name", "ada", "--precision", "f16"], &folded[..]].concat(),
    );
    let config = std::fs::read_to_string(lab.join("triton/ada/config.pbtxt")).unwrap();
    for line in [
        "name: \"ada\"",
        "backend: \"onnxruntime\"",
        "max_batch_size: 6",
        "input { name: \"map\" data_type: TYPE_UINT8 dims: [ 512, 512, 4 ] }",
        "output { name: \"picture\" data_type: TYPE_UINT8 dims: [ 512, 512, 4 ] }",
        "preferred_batch_size: [ 2, 4, 6 ]",
        "max_queue_delay_microseconds: 5000",
        "instance_group { count: 2 kind: KIND_GPU }",
        "cuda { graphs: true }",
    ] {
        assert!(config.contains(line), "{line} in\n{config}");
    }
    assert!(lab.join("triton/ada/1/model.onnx").is_file());
    export(&[
        "onnx",
        "-o",
        "ml",
        "--layout",
        "mlserver",
        "--identity",
        "ada.effigy",
        "--precision",
        "int8",
        "--no-badge",
    ]);
    let settings = std::fs::read(lab.join("ml/effigy/model-settings.json")).unwrap();
    let settings: Value = serde_json::from_slice(&settings).unwrap();
    assert_eq!(
        (&settings["implementation"], &settings["max_batch_size"]),
        (&"effigy_onnx.EffigyModel".into(), &8.into())
    );
    assert!(lab.join("ml/effigy/effigy_onnx.py").is_file());
    export(&["onnx", "-o", "kserve", "--layout", "kserve", "--identity", "ada.effigy", "--device", "cpu"]);
    let service = std::fs::read_to_string(lab.join("kserve/inference-service.yaml")).unwrap();
    assert!(service.contains("kind: InferenceService") && !service.contains("nvidia.com/gpu"), "{service}");

    let refused = enroll("ben.effigy", &["subject", "--consent-by", "Ben"]);
    assert!(refused.status.success());
    for (arguments, code, says) in [
        (&["onnx", "-o", "x", "--precision", "int8"][..], 2, "add --identity FILE"),
        (&["tensors", "-o", "x"], 2, "--identity"),
        (&["onnx", "-o", "x", "--no-badge"], 2, "--identity"),
        (&["onnx", "-o", "x", "--identity", "ben.effigy", "--no-badge"], 2, "was enrolled with consent subject"),
        (&["onnx", "-o", "x", "--identity", "no.effigy"], 1, "no.effigy"),
        (&["onnx", "-o", "x", "--name", "Ada 1"], 2, "small letters, digits"),
        (&["onnx", "-o", "x", "--window-ms", "2000"], 2, "from 0 to 1000"),
    ] {
        let output = effigy(&lab, &[&["export", "--format"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
        assert!(!lab.join("x").exists(), "{arguments:?} wrote something");
    }
}
