//! The kernels, compiled for the card that is there.
//!
//! At first start NVRTC compiles them to the card's own code, which takes some ten seconds; the result is kept in
//! `effigy/kernels` of the user's cache folder (`$XDG_CACHE_HOME`, else `~/.cache`; `%LOCALAPPDATA%` on Windows) under
//! a hash of source, options, compiler and card. A torn file does not match the hash at its head and is made again.
//! With the feature `cuda-ptx` they were compiled at build time, and the driver does the rest.

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaModule};
use cudarc::nvrtc::Ptx;

use super::fault::unavailable;
use effigy_base::error::Result;

/// The kernels on the card.
pub(super) fn load(context: &Arc<CudaContext>, card: &str, capability: (i32, i32)) -> Result<Arc<CudaModule>> {
    #[cfg(feature = "cuda-ptx")]
    let image = {
        let _ = card;
        // What is written for 8.0 runs on all later cards; 7.5 has no asynchronous copies.
        let ptx = if capability < (8, 0) { embedded::SM_75 } else { embedded::SM_80 };
        Ptx::from_src(ptx)
    };
    #[cfg(not(feature = "cuda-ptx"))]
    let image = Ptx::from_binary(nvrtc::compiled(card, capability)?);
    context
        .load_module(image)
        .map_err(|error| unavailable("the driver refuses the kernels; update it, or see README.md").because(error))
}

#[cfg(feature = "cuda-ptx")]
mod embedded {
    pub(super) const SM_75: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels_sm_75.ptx"));
    pub(super) const SM_80: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels_sm_80.ptx"));
}

#[cfg(not(feature = "cuda-ptx"))]
mod nvrtc {
    use std::ffi::{CStr, CString, c_char};
    use std::path::{Path, PathBuf};
    use std::{env, fs, process};

    use cudarc::nvrtc::{result, sys};
    use sha2::{Digest as _, Sha256};

    use super::unavailable;
    use effigy_base::error::Result;
    use effigy_base::hex::hex;

    /// Headers first; each file's own includes of them are left out.
    const SOURCES: [&str; 9] = [
        include_str!("../../../../kernels/cuda/device.h"),
        include_str!("../../../../kernels/cuda/gemm.h"),
        include_str!("../../../../kernels/cuda/sample.h"),
        include_str!("../../../../kernels/conv2d.cu"),
        include_str!("../../../../kernels/upconv2d.cu"),
        include_str!("../../../../kernels/warp.cu"),
        include_str!("../../../../kernels/motion.cu"),
        include_str!("../../../../kernels/raster.cu"),
        include_str!("../../../../kernels/finish.cu"),
    ];

    /// All kernels as one text, which needs no file beside it.
    fn source() -> String {
        let is_kept = |line: &&str| !line.starts_with("#include") && !line.starts_with("#pragma once");
        SOURCES.iter().flat_map(|file| file.lines().filter(is_kept)).flat_map(|line| [line, "\n"]).collect()
    }

    /// The card's own code, or with a compiler older than the card PTX that its driver translates.
    pub(super) fn compiled(card: &str, (major, minor): (i32, i32)) -> Result<Vec<u8>> {
        #[expect(unsafe_code, reason = "the compiler library is loaded at run time")]
        // SAFETY: loads NVRTC if it is there, which may be done at any time. Asked first because calling it without
        // panics.
        let is_present = unsafe { sys::is_culib_present() };
        if !is_present {
            return Err(unavailable(
                "no NVRTC found (libnvrtc), which compiles the kernels at first start; install the CUDA toolkit, or \
                 `pip install nvidia-cuda-nvrtc-cu12` and put its lib folder into LD_LIBRARY_PATH, or build with the \
                 feature `cuda-ptx`",
            ));
        }
        let source = source();
        let own = format!("--gpu-architecture=sm_{major}{minor}");
        let key = key(&source, &own, card);
        let path = folder().map(|folder| folder.join(format!("{key}.bin")));
        if let Some(image) = path.as_deref().and_then(read) {
            return Ok(image);
        }
        log::info!("compiling the kernels for {card}; this happens once");
        let image = match compile(&source, &own) {
            Err(Refused::Option) => compile(&source, "--gpu-architecture=compute_80"),
            other => other,
        }
        .map_err(|refused| match refused {
            Refused::Option => unavailable("NVRTC knows no architecture for this card; install a newer CUDA toolkit"),
            Refused::Source(log) => unavailable(format!("NVRTC refuses the kernels; please report this: {log}")),
        })?;
        if let Some(path) = &path {
            // Without the file the next start compiles again: slow, not wrong.
            if let Err(error) = write(path, &image) {
                log::warn!("cannot keep the compiled kernels in {}: {error}", path.display());
            }
        }
        Ok(image)
    }

    fn key(source: &str, options: &str, card: &str) -> String {
        let (mut major, mut minor) = (0, 0);
        #[expect(unsafe_code, reason = "cudarc has no safe form of it")]
        // SAFETY: the library is there, both pointers are valid.
        unsafe {
            let _ = sys::nvrtcVersion(&raw mut major, &raw mut minor);
        }
        let all = format!("{source}\n{options}\n{major}.{minor}\n{card}");
        hex(&Sha256::digest(all))
    }

    fn folder() -> Option<PathBuf> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(|| {
            if cfg!(windows) { set("LOCALAPPDATA") } else { set("HOME").map(|home| home.join(".cache")) }
        })?;
        Some(cache.join("effigy").join("kernels"))
    }

    /// A file is the hash of what follows, and what follows.
    fn read(path: &Path) -> Option<Vec<u8>> {
        let file = fs::read(path).ok()?;
        let (hash, image) = file.split_at_checked(32)?;
        (Sha256::digest(image).as_slice() == hash).then(|| image.to_vec())
    }

    /// Written aside and renamed, so that two programs starting at once find a whole file or none.
    fn write(path: &Path, image: &[u8]) -> std::io::Result<()> {
        let Some(folder) = path.parent() else { return Ok(()) };
        fs::create_dir_all(folder)?;
        let aside = path.with_extension(process::id().to_string());
        fs::write(&aside, [Sha256::digest(image).as_slice(), image].concat())?;
        fs::rename(aside, path)
    }

    enum Refused {
        /// The compiler does not know this card.
        Option,
        /// Its words about the source.
        Source(String),
    }

    #[expect(unsafe_code, reason = "cudarc asks NVRTC for PTX only, whose version may be newer than the driver's")]
    fn compile(source: &str, architecture: &str) -> std::result::Result<Vec<u8>, Refused> {
        let refused = |error: result::NvrtcError| Refused::Source(error.to_string());
        let text = CString::new(source).map_err(|error| Refused::Source(error.to_string()))?;
        let program = result::create_program(&text, Some(c"effigy.cu")).map_err(refused)?;
        // SAFETY: `program` was just created, and `text` outlives it.
        let done = unsafe { result::compile_program(program, &[architecture, "--std=c++17"]) };
        let is_own = architecture.contains("=sm_");
        let answer = match done {
            Ok(()) => {
                let mut n_bytes = 0;
                // SAFETY: `program` is compiled; the pointer is valid.
                let sized = unsafe {
                    if is_own {
                        sys::nvrtcGetCUBINSize(program, &raw mut n_bytes)
                    } else {
                        sys::nvrtcGetPTXSize(program, &raw mut n_bytes)
                    }
                };
                let mut image = vec![0_u8; n_bytes];
                let to = image.as_mut_ptr().cast::<c_char>();
                // SAFETY: `to` is as many bytes as NVRTC asked for.
                let copied =
                    unsafe { if is_own { sys::nvrtcGetCUBIN(program, to) } else { sys::nvrtcGetPTX(program, to) } };
                sized.result().and_then(|()| copied.result()).map(|()| image).map_err(refused)
            }
            Err(error) if error.0 == sys::nvrtcResult::NVRTC_ERROR_INVALID_OPTION => Err(Refused::Option),
            Err(error) => {
                // SAFETY: `program` is valid; the log ends with a zero.
                let log = unsafe { result::get_program_log(program) }.unwrap_or_default();
                let bytes: Vec<u8> = log.iter().map(|&c| c as u8).collect();
                let log = CStr::from_bytes_until_nul(&bytes).unwrap_or_default().to_string_lossy();
                Err(Refused::Source(format!("{error}: {log}")))
            }
        };
        // SAFETY: created above, destroyed once.
        let _ = unsafe { result::destroy_program(program) };
        answer
    }
}
