//! Compiles what some features want beside Rust; without those features it does nothing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let has = |feature: &str| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    if has("CUDA_PTX") {
        embed_ptx();
    }
    if has("CUDA_EMULATION") {
        emulate();
    }
}

fn out_dir() -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default())
}

/// Runs a compiler; its failure is ours.
fn run(command: &mut Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{command:?} failed: {status}"),
        Err(error) => panic!("{command:?} cannot be run: {error}"),
    }
}

/// PTX of all kernels, for Turing and for all later cards.
fn embed_ptx() {
    println!("cargo::rerun-if-changed=../../kernels");
    println!("cargo::rerun-if-env-changed=CLANGXX");
    let clang = env::var_os("CLANGXX").unwrap_or_else(|| "clang++".into());
    for card in ["sm_75", "sm_80"] {
        run(Command::new(&clang)
            .args(["-x", "cuda", "--cuda-device-only", &format!("--cuda-gpu-arch={card}"), "-nocudainc", "-nocudalib"])
            // ldmatrix and mma need a version of PTX that clang 14 does not choose by itself for sm_75.
            .args(["-Xclang", "-target-feature", "-Xclang", "+ptx70", "-std=c++17", "-O3", "-S", "-I", "../../kernels"])
            .arg("../../kernels/cuda/all.cu")
            .arg("-o")
            .arg(out_dir().join(format!("kernels_{card}.ptx"))));
    }
}

/// The kernels for the processor, and stand-ins of libcuda and libnvrtc under names that are looked for first. Cargo
/// puts a folder that is searched for libraries into the tests' search path too.
fn emulate() {
    println!("cargo::rerun-if-changed=../../kernels");
    println!("cargo::rerun-if-changed=tests/cuda_emulation");
    println!("cargo::rerun-if-env-changed=CXX");
    let out = out_dir();
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let build = |source: &str, library: &str, rest: &[&str]| {
        run(Command::new(&compiler)
            .args(["-std=c++20", "-O2", "-fPIC", "-shared", "-mavx2", "-mf16c", "-Wall", "-Wno-unknown-pragmas"])
            .args(["-DEFFIGY_EMULATION", "-I", "../../kernels", "-I", "tests/cuda_emulation"])
            .arg(Path::new("tests/cuda_emulation").join(source))
            .arg("-o")
            .arg(out.join(library))
            .arg("-L")
            .arg(&out)
            .args(rest));
    };
    build("kernels.cpp", "libeffigy_emulated_kernels.so", &[]);
    let driver = ["-leffigy_emulated_kernels", "-Wl,-rpath,$ORIGIN", "-lpthread", "-ldl"];
    build("driver.cpp", "libcuda.so", &driver);
    build("nvrtc.cpp", "libnvrtc.so", &[]);
    println!("cargo::rustc-link-search=native={}", out.display());
}
