//! Runs an exported model as a server would and compares its pictures with the program's own.

use super::{Exported, Options, Precision, Subject, constants, inputs, plan};
use crate::error::{Error, ErrorKind, Result};
use crate::generate::cpu::settle::{LEAST_PSNR_DB, psnr_db};
use crate::generate::network;
use crate::generate::network::weights::Weights;
use crate::generate::plan::{Adoption, Executor, Plan, TensorViewMut};
use crate::onnx::BatchSession;

/// How close an exported model came.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Pictures that were compared.
    pub n_pictures: usize,
    /// PSNR of the picture that is least close to the program's own.
    pub worst_psnr_db: f64,
    /// The pictures of the program's own executor, one after the other.
    pub expected: Vec<u8>,
}

impl Precision {
    /// How close a model has to be to the network in f32, in dB PSNR at the least close picture: in f32 what rounding to
    /// bytes leaves; in f16 twice that; in 8 bits what the processor's own 8 bits have to reach.
    pub fn least_psnr_db(self) -> f64 {
        match self {
            Self::F32 => 50.0,
            Self::F16 => 46.0,
            Self::Int8 => LEAST_PSNR_DB,
        }
    }
}

/// Compares a model, as one batch and as single pictures, with the executor that `open` makes, over the subject's frames.
///
/// # Errors
/// [`ErrorKind::Model`] when the model does not run, or is less close than [`Precision::least_psnr_db`].
pub fn check(
    exported: &Exported,
    weights: &Weights,
    subject: &Subject,
    options: &Options,
    open: impl FnOnce(Plan) -> Result<Box<dyn Executor>>,
) -> Result<Check> {
    let (plan, badge) = plan(weights, options);
    let params = network::fold(&plan, weights, &subject.tensors.encoded.embedding)?;
    let params = params.iter().map(Vec::as_slice).collect();
    let mut executor = open(plan)?;
    executor.adopt(&Adoption { params, constants: constants(subject.tensors, badge.as_deref()) })?;
    let n_bytes = 4 * options.size_px * options.size_px;
    let mut expected = vec![0; n_bytes * subject.frames.len()];
    for (frame, picture) in subject.frames.iter().zip(expected.chunks_exact_mut(n_bytes)) {
        executor.run(&frame.views(), &mut [TensorViewMut::Bytes(picture)])?;
    }
    let mut session = BatchSession::open("exported", &exported.onnx, 2)?;
    let together = session.run(inputs(exported, subject.tensors, subject.frames)?)?;
    if together.len() != expected.len() {
        let message = format!("the exported model made {} bytes, expected {}", together.len(), expected.len());
        return Err(Error::new(ErrorKind::Model, message));
    }
    let mut worst_psnr_db = f64::INFINITY;
    for (made, expected) in together.chunks_exact(n_bytes).zip(expected.chunks_exact(n_bytes)) {
        worst_psnr_db = worst_psnr_db.min(psnr_db(made, expected));
    }
    if let [first, ..] = subject.frames {
        let alone = session.run(inputs(exported, subject.tensors, std::slice::from_ref(first))?)?;
        worst_psnr_db = worst_psnr_db.min(psnr_db(&alone, &expected[..n_bytes]));
    }
    let least = options.precision.least_psnr_db();
    if worst_psnr_db < least {
        let message = format!(
            "the exported model's pictures are {worst_psnr_db:.1} dB close to the program's own, expected {least}; choose \
             another --precision"
        );
        return Err(Error::new(ErrorKind::Model, message));
    }
    Ok(Check { n_pictures: subject.frames.len(), worst_psnr_db, expected })
}
