//! What goes wrong with a card.

use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult;

use effigy_base::error::{Error, ErrorKind};

/// An error after which another backend may serve.
pub(super) fn unavailable(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BackendUnavailable, message.into())
}

/// What went wrong on a card that was open.
pub(super) fn lost(error: DriverError) -> Error {
    let message = match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
            return unavailable("the graphics card has no memory left; close other programs that use it")
                .because(error);
        }
        CUresult::CUDA_ERROR_LAUNCH_TIMEOUT => "the graphics card took too long and its driver stopped the work",
        CUresult::CUDA_ERROR_ECC_UNCORRECTABLE => "the graphics card's memory failed; restart the machine",
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
        | CUresult::CUDA_ERROR_LAUNCH_FAILED
        | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
        | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS => "a kernel failed on the graphics card; please report it",
        _ => "the graphics card stopped answering",
    };
    Error::new(ErrorKind::DeviceLost, message).because(error)
}
