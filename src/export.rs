//! The network for engines of others: one ONNX model from an identity's tensors and driving numbers to the finished picture.
//!
//! The plan that every backend replays is lowered as a whole, for any number of pictures at once. A *general* model takes
//! the identity's tensors as inputs; a *folded* one holds those of one identity, with weights that are folded for it. What
//! comes before (face, drive, the mesh's map) and after (background) stays with the program; docs/export.md says what the
//! inputs hold.

use crate::composite::badge_corner;
use crate::error::{Error, ErrorKind, Result};
use crate::generate::cpu::lower::{EMBEDDING_INPUT, Form};
use crate::generate::cpu::{CpuExecutor, Rung};
use crate::generate::network::weights::Weights;
use crate::generate::network::{self, EMBEDDING, FrameOptions};
use crate::generate::neural::{FrameInputs, IdentityTensors};
use crate::generate::plan::{Adoption, Executor as _, Plan, TensorView};
use crate::identity::Manifest;
use crate::onnx::writer::FLOAT;

use self::graph::{Graph, Held};

pub use self::check::{Check, check};
pub use self::layout::{Layout, Serving, files};
pub use self::sample::{IDENTITY_INPUTS, Named, driving_bytes, identity_bytes, inputs, safetensors_of};

mod check;
mod drawing;
mod finish;
mod graph;
mod layout;
mod places;
mod sample;

/// What the model's output is called.
pub const PICTURE: &str = "picture";

/// What the numbers of the convolutions are stored and computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits: weights and activations; places and the finished picture stay in 32.
    F16,
    /// 8 bits as on the processor, with scales from the identity's own typical motions.
    Int8,
}

/// What to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Width and height of the picture, 512 or 1024.
    pub size_px: usize,
    /// See [`Precision`].
    pub precision: Precision,
    /// Whether the model draws the visible "AI" mark.
    pub has_badge: bool,
}

/// What an input or output is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// Numbers in 32 bits.
    F32,
    /// Unsigned bytes.
    Bytes,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub kind: PortKind,
    /// Its extents for one picture; before them the model has the number of pictures.
    pub dims: Vec<usize>,
}

/// A model that can leave the program.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The ONNX file.
    pub onnx: Vec<u8>,
    /// Its inputs, in order.
    pub inputs: Vec<Port>,
    /// Its one output.
    pub output: Port,
}

/// One identity, as a folded model holds it.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Who it is, and on what basis the face may be shown: noted in the model.
    pub manifest: &'a Manifest,
    /// What the network is given of it.
    pub tensors: &'a IdentityTensors,
    /// Driving numbers of typical motions: scales of 8 bits come from them.
    pub frames: &'a [FrameInputs],
}

/// The plan that is exported, and the badge's pixels where there is one.
fn plan(weights: &Weights, options: &Options) -> (Plan, Option<Vec<u32>>) {
    let mut frame = FrameOptions::new(weights.size(), options.size_px);
    let badge = options.has_badge.then(|| badge_corner(options.size_px));
    frame.badge_px = badge.as_ref().map(|(rows, columns, _)| (*rows, *columns));
    (network::frame(&frame), badge.map(|(_, _, pixels)| pixels))
}

/// A model whose inputs are driving numbers and the tensors of any identity, one for each picture.
///
/// # Errors
/// [`ErrorKind::Config`] for 8 bits, whose scales depend on the identity; [`ErrorKind::Model`] when the weights lack a
/// layer.
pub fn general(weights: &Weights, options: &Options) -> Result<Exported> {
    if options.precision == Precision::Int8 {
        return Err(Error::new(
            ErrorKind::Config,
            "8 bits need scales, which are measured on one identity; add --identity FILE, or choose --precision f16",
        ));
    }
    let (plan, badge) = plan(weights, options);
    let segment = graph::whole(&plan);
    let mut constants: Vec<Option<Held>> = (0..5).map(|_| None).collect();
    constants.extend(badge.as_deref().map(|pixels| Some(Held::Pixels(pixels))));
    let is_half = options.precision == Precision::F16;
    let mut graph = Graph::new(&plan, &segment, Form::Modulated(weights), is_half, &constants);
    graph.declare_as(EMBEDDING_INPUT, PortKind::F32, FLOAT, &[EMBEDDING]);
    graph.steps()?;
    finished(graph, options)
}

/// A model that shows one identity; its inputs are driving numbers alone.
///
/// # Errors
/// [`ErrorKind::Model`] when the weights lack a layer, or ONNX Runtime is needed for the scales of 8 bits and missing.
pub fn folded(weights: &Weights, subject: &Subject, options: &Options) -> Result<Exported> {
    let (plan, badge) = plan(weights, options);
    let params = network::fold(&plan, weights, &subject.tensors.encoded.embedding)?;
    let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
    let views = constants(subject.tensors, badge.as_deref());
    let ranges = match options.precision {
        Precision::Int8 => {
            let mut executor = CpuExecutor::new(plan.clone(), 2)?.in_f32();
            executor.adopt(&Adoption { params: params.clone(), constants: views.clone() })?;
            let examples: Vec<Vec<TensorView>> = subject.frames.iter().map(|frame| frame.views().to_vec()).collect();
            // The rung that all portraits pass: others would leave the model too far off for some.
            Some(executor.ranges_of(Rung::Decoder, &params, &examples)?)
        }
        _ => None,
    };
    let form = ranges.as_ref().map_or(Form::Folded(&params), |ranges| Form::Rounded(&params, ranges));
    let held: Vec<Option<Held>> = views
        .iter()
        .map(|view| match view {
            TensorView::F32(values) => Some(Held::Numbers(values)),
            TensorView::Words(pixels) => Some(Held::Pixels(pixels)),
        })
        .collect();
    let segment = graph::whole(&plan);
    let mut graph = Graph::new(&plan, &segment, form, options.precision == Precision::F16, &held);
    graph.steps()?;
    let consent = &subject.manifest.consent;
    graph.model().note("effigy.identity", &subject.manifest.name);
    graph.model().note("effigy.consent", &format!("{} (said by {})", consent.basis.name(), consent.by));
    graph.model().note("effigy.photo_sha256", &subject.manifest.photo_sha256);
    finished(graph, options)
}

/// Values of all constants of the exported plan.
fn constants<'a>(tensors: &'a IdentityTensors, badge: Option<&'a [u32]>) -> Vec<TensorView<'a>> {
    tensors.constants().into_iter().chain(badge.map(TensorView::Words)).collect()
}

fn finished(graph: Graph, options: &Options) -> Result<Exported> {
    let Graph { lowering, inputs, plan, .. } = graph;
    let name = plan.name().to_owned();
    Ok(Exported { onnx: lowering.model.finish(&name), inputs, output: finish::picture_port(options.size_px) })
}
