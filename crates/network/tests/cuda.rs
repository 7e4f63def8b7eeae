//! The CUDA backend's host side as it is, on stand-ins of driver and compiler: what a frame costs in calls, what a
//! start compiles, what each failure says. And the emulation itself: it finds the mistakes it is made for.
//!
//! What the kernels compute is compared with the twins in `kernels.rs`, for which `EFFIGY_DEVICES=cuda` is set; with
//! the feature `cuda-emulation` on the processor, without it on a card.
#![cfg(feature = "cuda-emulation")]
#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(unsafe_code, reason = "the stand-ins are foreign functions")]

use std::ffi::{CStr, CString, c_char, c_int, c_uint};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use effigy_base::error::ErrorKind;
use effigy_network::cards::{self, Card};
use effigy_network::cuda::CudaExecutor;
use effigy_network::plan::{Adoption, ConvSpec, Element, Executor, Plan, Recorder, Shape, TensorView, TensorViewMut};

const OUT_OF_MEMORY: c_int = 2;
const LAUNCH_FAILED: c_int = 719;

/// The stand-ins' own functions. There is one driver in a process: one test at a time.
struct StandIn {
    driver: libloading::Library,
    compiler: libloading::Library,
    _turn: MutexGuard<'static, ()>,
}

impl StandIn {
    /// A whole new card that no call has reached, and an empty cache.
    fn new(name: &str) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: our own libraries, which do nothing when they are loaded; the folder is set by one test at a time.
        let this = unsafe {
            let folder = cache(name);
            let _ = std::fs::remove_dir_all(&folder);
            std::env::set_var("XDG_CACHE_HOME", folder);
            let open = |name: &str| libloading::Library::new(name).unwrap();
            Self { driver: open("libcuda.so"), compiler: open("libnvrtc.so"), _turn: turn }
        };
        this.card((8, 6), 1, 12080);
        // SAFETY: declared like this in driver.cpp.
        unsafe { this.driver.get::<unsafe extern "C" fn()>(b"standin_replace_card").unwrap()() };
        this
    }

    fn count(&self, function: &str) -> c_int {
        let function = CString::new(function).unwrap();
        // SAFETY: declared like this in driver.cpp.
        unsafe {
            self.driver.get::<unsafe extern "C" fn(*const c_char) -> c_int>(b"standin_count").unwrap()(
                function.as_ptr(),
            )
        }
    }

    /// Lets the next call of a function fail.
    fn fail(&self, function: &str, code: c_int) {
        let function = CString::new(function).unwrap();
        // SAFETY: declared like this in driver.cpp.
        unsafe {
            self.driver.get::<unsafe extern "C" fn(*const c_char, c_int)>(b"standin_fail").unwrap()(
                function.as_ptr(),
                code,
            );
        }
    }

    fn card(&self, (major, minor): (c_int, c_int), n: c_int, version: c_int) {
        // SAFETY: declared like this in driver.cpp.
        unsafe {
            self.driver.get::<unsafe extern "C" fn(c_int, c_int, c_int, c_int)>(b"standin_card").unwrap()(
                major, minor, n, version,
            );
        }
    }

    /// Whether work on the card never ends from now on.
    fn hang(&self, is_wanted: bool) {
        // SAFETY: declared like this in driver.cpp.
        unsafe {
            self.driver.get::<unsafe extern "C" fn(c_int)>(b"standin_hang").unwrap()(c_int::from(is_wanted));
        }
    }

    fn n_compiled(&self) -> c_int {
        // SAFETY: declared like this in nvrtc.cpp.
        unsafe { self.compiler.get::<unsafe extern "C" fn() -> c_int>(b"standin_n_compiled").unwrap()() }
    }

    /// Runs a kernel of broken.cu with an order of threads: what stopped it, and what it made.
    fn run(&self, kernel: &str, x: &[f32; 132], seed: c_uint) -> (String, Vec<f32>) {
        let kernel = CString::new(kernel).unwrap();
        let mut y = vec![f32::NAN; 128];
        type Run = unsafe extern "C" fn(*const c_char, *const f32, *mut f32, c_uint) -> *const c_char;
        // SAFETY: declared like this in driver.cpp; the kernels read and write 128 numbers.
        let fault = unsafe {
            CStr::from_ptr(self.driver.get::<Run>(b"standin_run").unwrap()(
                kernel.as_ptr(),
                x.as_ptr(),
                y.as_mut_ptr(),
                seed,
            ))
        };
        (fault.to_str().unwrap().to_owned(), y)
    }
}

fn cache(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cuda-cache").join(name)
}

/// Two convolutions with a residual, so that something depends on everything.
fn plan() -> Plan {
    let mut r = Recorder::new("two");
    let x = r.input("x", Shape::new(8, 12, 20), Element::Half);
    let y = r.conv2d("first", x, ConvSpec::new(8));
    let z = r.conv2d("second", y, ConvSpec::new(8).residual(x));
    r.output(z);
    r.end()
}

fn run(executor: &mut CudaExecutor, x: f32) -> effigy_base::error::Result<Vec<f32>> {
    let mut y = vec![f32::NAN; 8 * 12 * 20];
    executor.run(&[TensorView::F32(&vec![x; 8 * 12 * 20])], &mut [TensorViewMut::F32(&mut y)])?;
    Ok(y)
}

/// Weights that leave nothing but the residual and the bias.
fn adopt(executor: &mut CudaExecutor, bias: f32) -> effigy_base::error::Result<()> {
    let (weight, bias) = (vec![0.0; 8 * 8 * 9], vec![bias; 8]);
    executor.adopt(&Adoption { params: vec![&weight, &bias, &weight, &bias], constants: Vec::new() })
}

#[test]
fn a_frame_is_one_launch_and_one_wait() {
    let stand_in = StandIn::new("frame");
    let mut executor = CudaExecutor::new(plan()).unwrap();
    assert_eq!(run(&mut executor, 1.0).unwrap_err().kind(), ErrorKind::Internal, "nothing was adopted");
    adopt(&mut executor, 0.5).unwrap();
    let calls = [
        "cuGraphLaunch",
        "cuStreamQuery",
        "cuStreamSynchronize",
        "cuLaunchKernel",
        "cuMemAlloc_v2",
        "cuMemHostAlloc",
        "cuMemcpyHtoDAsync_v2",
        "cuMemcpyDtoHAsync_v2",
    ];
    let before = calls.map(|call| stand_in.count(call));
    for frame in 0..3 {
        let x = frame as f32;
        let y = run(&mut executor, x).unwrap();
        assert!(y.iter().all(|&y| y == x + 0.5), "frame {frame}: {:?}", &y[..8]);
    }
    let found: Vec<_> = calls.iter().zip(before).map(|(call, before)| stand_in.count(call) - before).collect();
    // A wait is two questions: the stand-in says once that a frame is under way.
    assert_eq!(found, [3, 6, 0, 0, 0, 0, 0, 0], "calls of {calls:?} in three frames");
    // Another identity is another copy, not another graph.
    adopt(&mut executor, 0.25).unwrap();
    assert!(run(&mut executor, 1.0).unwrap().iter().all(|&y| y == 1.25));
    assert_eq!(stand_in.count("cuGraphInstantiateWithFlags"), 1);
    let taken = stand_in.count("cuMemAlloc_v2");
    let freed = stand_in.count("cuMemFree_v2");
    drop(executor);
    assert_eq!(stand_in.count("cuMemFree_v2") - freed, taken, "memory left behind on the card");
    let [loaded, unloaded] = ["cuModuleLoadData", "cuModuleUnload"].map(|call| stand_in.count(call));
    assert!(loaded > 0 && loaded == unloaded, "{loaded} modules loaded, {unloaded} unloaded");
}

#[test]
fn a_frame_that_does_not_end_is_given_up_and_what_the_card_may_use_is_left_behind() {
    let stand_in = StandIn::new("hung");
    let mut executor = CudaExecutor::new(plan()).unwrap();
    adopt(&mut executor, 0.5).unwrap();
    executor.set_patience(Duration::from_millis(20));
    stand_in.hang(true);
    let expect = |error: effigy_base::error::Error| {
        assert_eq!(error.kind(), ErrorKind::DeviceLost, "{error}");
        assert!(error.to_string().contains("a frame does not end"), "{error}");
    };
    expect(run(&mut executor, 1.0).unwrap_err());
    let calls = ["cuGraphLaunch", "cuStreamQuery", "cuMemFree_v2", "cuModuleUnload", "cuStreamSynchronize"];
    let before = calls.map(|call| stand_in.count(call));
    expect(run(&mut executor, 1.0).unwrap_err());
    expect(adopt(&mut executor, 0.25).unwrap_err());
    drop(executor);
    assert_eq!(calls.map(|call| stand_in.count(call)), before, "{calls:?}: a card that hangs was touched again");
}

#[test]
fn without_a_graph_the_same_kernels_make_the_same_frame() {
    let stand_in = StandIn::new("launches");
    let mut executor = CudaExecutor::without_graph(plan()).unwrap();
    adopt(&mut executor, 0.5).unwrap();
    let before = stand_in.count("cuLaunchKernel");
    assert!(run(&mut executor, 2.0).unwrap().iter().all(|&y| y == 2.5));
    assert_eq!(stand_in.count("cuLaunchKernel") - before, 2);
    assert_eq!(stand_in.count("cuGraphLaunch"), 0);
    let frames_ms = executor.frames_on_card_ms(3).unwrap();
    assert!(frames_ms.len() == 3 && frames_ms.iter().all(|&ms| ms > 0.0), "{frames_ms:?}");
}

#[test]
fn kernels_are_compiled_once_and_again_when_the_file_is_torn_or_the_card_is_another() {
    let stand_in = StandIn::new("compile");
    let open = |expected: c_int, why: &str| {
        let before = stand_in.n_compiled();
        CudaExecutor::new(plan()).unwrap();
        assert_eq!(stand_in.n_compiled() - before, expected, "{why}");
    };
    open(1, "first start");
    open(0, "second start");
    let files = || -> Vec<PathBuf> {
        let folder = cache("compile").join("effigy/kernels");
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    assert_eq!(files().len(), 1, "one file, and none left aside");
    let whole = std::fs::read(&files()[0]).unwrap();
    for torn in [&whole[..whole.len() - 1], &whole[..10], &[]] {
        std::fs::write(&files()[0], torn).unwrap();
        open(1, "torn file");
        assert_eq!(std::fs::read(&files()[0]).unwrap(), whole, "made again");
    }
    stand_in.card((9, 0), 1, 12080);
    open(1, "another card");
    assert_eq!(files().len(), 2);
    stand_in.card((12, 0), 1, 12080);
    open(2, "a card newer than the compiler: its own code is refused, PTX is not");
}

#[test]
fn what_is_missing_is_said_and_the_next_backend_may_serve() {
    let stand_in = StandIn::new("missing");
    let expect = |kind: ErrorKind, text: &str| {
        let error = CudaExecutor::new(plan()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "expected \"{text}\", found \"{error}\"");
    };
    stand_in.card((8, 6), 1, 11040);
    expect(ErrorKind::BackendUnavailable, "the NVIDIA driver knows CUDA 11.4, and 12.0 is needed");
    stand_in.card((7, 0), 1, 12080);
    expect(ErrorKind::BackendUnavailable, "compute capability 7.0, and 7.5 (Turing) is needed");
    stand_in.card((8, 6), 0, 12080);
    expect(ErrorKind::BackendUnavailable, "no card answers");
    stand_in.card((8, 6), 1, 12080);
    stand_in.fail("cuInit", 803);
    expect(ErrorKind::BackendUnavailable, "updated while it ran");
    stand_in.fail("cuInit", 803);
    let listed = cards::nvidia();
    let says_why = |card: &Card| matches!(card, Card::Missing(text) if text.contains("updated while it ran"));
    assert!(listed.len() == 1 && says_why(&listed[0]), "{listed:?}");
    stand_in.fail("cuMemAlloc_v2", OUT_OF_MEMORY);
    expect(ErrorKind::BackendUnavailable, "MiB of memory are needed on CPU emulation, and 3072 are free");
    stand_in.fail("cuMemHostAlloc", OUT_OF_MEMORY);
    expect(ErrorKind::BackendUnavailable, "cannot lock 1 MiB of this machine's memory");
    stand_in.fail("cuModuleLoadData", 222);
    expect(ErrorKind::BackendUnavailable, "the driver refuses the kernels");
    stand_in.fail("cuLaunchKernel", 701);
    expect(ErrorKind::DeviceLost, "stopped answering");
    // After all that the card still serves, and nothing was left behind.
    CudaExecutor::new(plan()).unwrap();
    assert_eq!(stand_in.count("cuMemAlloc_v2") - 1, stand_in.count("cuMemFree_v2"), "one refused, all others freed");
}

/// Set in a child process of these tests: the text that opening must fail with.
const EXPECTED: &str = "EFFIGY_TEST_EXPECTED";

#[test]
fn a_missing_driver_or_compiler_is_no_panic() {
    let expected = std::env::var(EXPECTED);
    if let Ok(expected) = expected {
        let error = CudaExecutor::new(plan()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendUnavailable, "{error}");
        assert!(error.to_string().contains(&expected), "expected \"{expected}\", found \"{error}\"");
        return;
    }
    let libraries = std::env::var_os("LD_LIBRARY_PATH").unwrap();
    let stand_ins = std::env::split_paths(&libraries).find(|folder| folder.join("libnvrtc.so").exists()).unwrap();
    for (name, present, expected) in [
        ("no-driver", &[][..], "no NVIDIA driver found (libcuda)"),
        ("no-compiler", &["libcuda.so", "libeffigy_emulated_kernels.so"], "no NVRTC found (libnvrtc)"),
    ] {
        let folder = cache(name);
        std::fs::create_dir_all(&folder).unwrap();
        for library in present {
            std::fs::copy(stand_ins.join(library), folder.join(library)).unwrap();
        }
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_missing_driver_or_compiler_is_no_panic"])
            .env(EXPECTED, expected)
            .env("XDG_CACHE_HOME", &folder)
            .env("LD_LIBRARY_PATH", &folder)
            .output()
            .unwrap();
        assert!(child.status.success(), "{name}: {}", String::from_utf8_lossy(&child.stdout));
    }
}

#[test]
fn a_lost_card_is_an_error_of_the_frame() {
    let stand_in = StandIn::new("lost");
    let mut executor = CudaExecutor::new(plan()).unwrap();
    adopt(&mut executor, 0.0).unwrap();
    run(&mut executor, 1.0).unwrap();
    for (call, code, text) in [
        ("cuStreamQuery", LAUNCH_FAILED, "a kernel failed on the graphics card"),
        ("cuGraphLaunch", 214, "the graphics card's memory failed"),
        ("cuStreamQuery", 702, "took too long"),
        ("cuGraphLaunch", 999, "stopped answering"),
    ] {
        stand_in.fail(call, code);
        let error = run(&mut executor, 1.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeviceLost, "{error}");
        assert!(error.to_string().contains(text), "expected \"{text}\", found \"{error}\"");
    }
}

#[test]
fn the_emulation_finds_what_it_is_made_for() {
    let stand_in = StandIn::new("emulation");
    /// As device memory is.
    #[repr(align(16))]
    struct Aligned([f32; 132]);
    let Aligned(x) = &Aligned(std::array::from_fn(|i| i as f32));
    let expected: Vec<f32> = x[..128].iter().rev().copied().collect();
    let seeds = 0..20;
    for seed in seeds.clone() {
        assert_eq!(stand_in.run("right", x, seed), (String::new(), expected.clone()), "seed {seed}");
        let (fault, y) = stand_in.run("no_wait", x, seed);
        assert!(fault.is_empty() && y.iter().any(|y| y.is_nan()), "a copy without a wait, seed {seed}");
        for (kernel, text) in
            [("divergent", "different barriers"), ("half_a_warp", ""), ("misaligned", "no multiple of 16")]
        {
            let (fault, _) = stand_in.run(kernel, x, seed);
            assert!(!fault.is_empty() && fault.contains(text), "{kernel}, seed {seed}: \"{fault}\"");
        }
    }
    // A missing barrier is only seen in some orders: that is why they are shuffled.
    let n_seen = seeds.filter(|&seed| stand_in.run("no_barrier", x, seed).1.iter().any(|y| y.is_nan())).count();
    assert!(n_seen >= 10, "a missing barrier was seen in {n_seen} of 20 orders");
}

/// The shapes are among those that `kernels.rs` compares with the twins.
#[test]
fn each_kernel_is_chosen_for_some_shape() {
    let stand_in = StandIn::new("chosen");
    for [c_in, h, w, c_out] in [[20, 64, 64, 24], [64, 16, 16, 64], [24, 64, 64, 64]] {
        for (kernel, stride) in [(3, 1), (3, 2), (1, 1), (1, 2)] {
            let mut r = Recorder::new("conv");
            let x = r.input("x", Shape::new(c_in, h, w), Element::Half);
            let y = r.conv2d("conv", x, ConvSpec::new(c_out).kernel(kernel).stride(stride));
            r.output(y);
            CudaExecutor::new(r.end()).unwrap();
        }
    }
    for [c_in, h, w, c_out] in [[64, 16, 16, 40], [8, 64, 64, 24], [12, 32, 64, 64]] {
        let mut r = Recorder::new("up");
        let x = r.input("x", Shape::new(c_in, h, w), Element::Half);
        let y = r.up_conv2d("up", x, ConvSpec::new(c_out));
        r.output(y);
        CudaExecutor::new(r.end()).unwrap();
    }
    for tiled in [
        "conv2d_k1_s1_n16",
        "conv2d_k1_s1_n32",
        "conv2d_k1_s2_n32",
        "conv2d_k3_s1_n16",
        "conv2d_k3_s1_n32",
        "conv2d_k3_s1_n64",
        "conv2d_k3_s2_n16",
        "conv2d_k3_s2_n32",
        "upconv2d_n16",
        "upconv2d_n32",
        "upconv2d_n64",
    ] {
        assert!(stand_in.count(&format!("kernel {tiled}")) > 0, "{tiled} was never chosen");
    }
}

#[test]
fn a_linear_layer_is_refused_with_what_to_type() {
    let _stand_in = StandIn::new("linear");
    let mut r = Recorder::new("family");
    let x = r.input("x", Shape::new(4, 2, 2), Element::Half);
    let y = r.linear("heart", x, Shape::new(5, 1, 1), effigy_network::plan::Activation::None);
    r.output(y);
    let error = CudaExecutor::new(r.end()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendUnavailable, "{error}");
    assert!(error.to_string().contains("heart: expected convolutions, found a linear layer"), "{error}");
}

#[test]
fn structs_of_parameters_are_the_same_in_rust_and_in_cuda() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../kernels");
    let read = |name: String| std::fs::read_to_string(folder.join(name)).unwrap();
    for (stem, name) in [
        ("conv2d", "Conv2dShape"),
        ("upconv2d", "UpConv2dShape"),
        ("warp", "WarpShape"),
        ("motion", "MotionShape"),
        ("raster", "RasterShape"),
        ("finish", "FinishShape"),
    ] {
        let (rust, cuda) = (read(format!("{stem}.rs")), read(format!("{stem}.cu")));
        let body = |text: &str, head: &str| {
            let begin = text.find(head).unwrap_or_else(|| panic!("{stem}: no \"{head}\"")) + head.len();
            text[begin..][..text[begin..].find('}').unwrap()].to_owned()
        };
        let in_rust: Vec<String> = body(&rust, &format!("pub struct {name} {{"))
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub ")?.strip_suffix(',').map(str::to_owned))
            .collect();
        let in_cuda: Vec<String> = body(&cuda, &format!("struct {name} {{"))
            .split(';')
            .map(str::trim)
            .filter(|fields| !fields.is_empty())
            .flat_map(|fields| {
                let (kind, names) = fields.split_once(' ').unwrap();
                let kind = if kind == "float" { "f32" } else { "u32" };
                names.split(',').map(move |name| format!("{}: {kind}", name.trim())).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(in_rust, in_cuda, "{stem}");
    }
}
