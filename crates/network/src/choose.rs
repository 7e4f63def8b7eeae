//! Which backend runs the network: tried in order of preference, measured, and said aloud.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::cpu::CpuExecutor;
use super::plan::{Adoption, Element, Executor, Plan, Role, TensorView, TensorViewMut};
use effigy_base::error::{Error, ErrorKind, Result};

/// Opens a backend for a plan.
pub type OpenExecutor = fn(Plan) -> Result<Box<dyn Executor>>;

/// What can run a plan.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// What `--backend` calls it.
    pub name: &'static str,
    /// Opens it when nobody asked for it: refuses what would work, but slower than the next.
    pub automatic: OpenExecutor,
    /// Opens it when it was asked for: takes what there is.
    pub named: OpenExecutor,
}

/// What this build has, in order of preference. After the last of them comes the mesh warp, which needs no network.
pub const BACKENDS: &[Backend] = &[
    #[cfg(feature = "cuda")]
    Backend { name: "cuda", automatic: open_real_cuda, named: open_cuda },
    #[cfg(feature = "wgpu")]
    Backend {
        name: "wgpu",
        automatic: |plan| Ok(Box::new(super::wgpu::open(super::wgpu::Accept::Gpu, plan)?)),
        named: |plan| Ok(Box::new(super::wgpu::open(super::wgpu::Accept::Any, plan)?)),
    },
    Backend { name: "cpu", automatic: open_on_cpu, named: open_on_cpu },
];

#[cfg(feature = "cuda")]
fn open_cuda(plan: Plan) -> Result<Box<dyn Executor>> {
    Ok(Box::new(super::cuda::CudaExecutor::new(plan)?))
}

/// The emulation is for tests of the kernels, hundreds of times slower than the processor itself.
#[cfg(feature = "cuda")]
fn open_real_cuda(plan: Plan) -> Result<Box<dyn Executor>> {
    if cfg!(feature = "cuda-emulation") {
        let message = "in this build the cards are emulated, for tests; --backend cuda uses them nevertheless";
        return Err(Error::new(ErrorKind::BackendUnavailable, message));
    }
    open_cuda(plan)
}

/// A backend that runs, and why it is the one.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The backend; `None` when none can run the network and the mesh warp must do.
    pub backend: Option<Chosen>,
    /// What was chosen and why, for the user: one clause without a full stop.
    pub sentence: String,
}

/// The backend of a [`Choice`].
#[derive(Clone, Copy, Debug)]
pub struct Chosen {
    /// Its name, as in [`BACKENDS`].
    pub name: &'static str,
    /// Opens it once more.
    pub open: OpenExecutor,
    /// What a frame took, after a first one to warm up.
    pub frame: Duration,
}

/// Takes the first of [`BACKENDS`] that opens and makes a frame of `plan`. Slow: kernels are compiled.
pub fn automatic(plan: &Plan) -> Choice {
    first_of(BACKENDS, plan)
}

/// Takes the backend of this name and no other. Slow: kernels are compiled.
///
/// # Errors
/// [`ErrorKind::Config`] when this build has none of that name; else what keeps it from running.
pub fn named(name: &str, plan: &Plan) -> Result<Choice> {
    let Some(backend) = BACKENDS.iter().find(|backend| backend.name == name) else {
        let names: Vec<_> = BACKENDS.iter().map(|backend| backend.name).collect();
        let message = format!("no backend \"{name}\" in this build, which has {}", names.join(", "));
        return Err(Error::new(ErrorKind::Config, message));
    };
    let (device, frame) = try_out(backend.named, plan)?;
    let sentence = format!("{} runs on {device}, {} a frame, as asked for", plan.name(), millis(frame));
    Ok(Choice { backend: Some(Chosen { name: backend.name, open: backend.named, frame }), sentence })
}

fn first_of(backends: &[Backend], plan: &Plan) -> Choice {
    let mut refusals = Vec::new();
    for backend in backends {
        match try_out(backend.automatic, plan) {
            Ok((device, frame)) => {
                let why = if refusals.is_empty() { "the first choice".to_owned() } else { refusals.join("; ") };
                let sentence = format!("{} runs on {device}, {} a frame ({why})", plan.name(), millis(frame));
                let chosen = Chosen { name: backend.name, open: backend.automatic, frame };
                return Choice { backend: Some(chosen), sentence };
            }
            Err(error) => refusals.push(format!("not on {}: {error}", backend.name)),
        }
    }
    let sentence = format!("the mesh warp alone, since {} runs nowhere here ({})", plan.name(), refusals.join("; "));
    Choice { backend: None, sentence }
}

/// As [`warm_up`]; a panic refuses too, since crates that bind drivers panic where a card is odd.
fn try_out(open: OpenExecutor, plan: &Plan) -> Result<(String, Duration)> {
    // Nothing of what panicked is used afterwards.
    catch_unwind(AssertUnwindSafe(|| warm_up(open, plan))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Error::new(ErrorKind::BackendUnavailable, format!("it broke down: {}", text.trim_end())))
    })
}

/// Opens a backend and makes two frames of nothing: the first pays for what is made late, the second is timed.
fn warm_up(open: OpenExecutor, plan: &Plan) -> Result<(String, Duration)> {
    let mut executor = open(plan.clone())?;
    let params: Vec<Vec<f32>> =
        plan.params().iter().map(|param| vec![0.0; param.dims.iter().product::<usize>()]).collect();
    let zeros = |role| -> Vec<(Vec<f32>, Vec<u32>)> {
        let tensors = plan.of_role(role).map(|id| plan.tensor(id));
        let zeros = tensors.map(|tensor| {
            let n = tensor.shape.len();
            if tensor.element == Element::Word { (Vec::new(), vec![0; n]) } else { (vec![0.0; n], Vec::new()) }
        });
        zeros.collect()
    };
    let (constants, inputs) = (zeros(Role::Constant), zeros(Role::Input));
    let params = params.iter().map(Vec::as_slice).collect();
    executor.adopt(&Adoption { params, constants: constants.iter().map(view).collect() })?;
    let inputs: Vec<_> = inputs.iter().map(view).collect();
    let mut outputs: Vec<(Vec<f32>, Vec<u8>)> =
        zeros(Role::Output).into_iter().map(|(numbers, words)| (numbers, vec![0; 4 * words.len()])).collect();
    let mut outputs: Vec<_> = outputs
        .iter_mut()
        .map(|(numbers, bytes)| match bytes.is_empty() {
            true => TensorViewMut::F32(numbers),
            false => TensorViewMut::Bytes(bytes),
        })
        .collect();
    executor.run(&inputs, &mut outputs)?;
    let begin = Instant::now();
    executor.run(&inputs, &mut outputs)?;
    Ok((executor.device(), begin.elapsed()))
}

fn view((numbers, words): &(Vec<f32>, Vec<u32>)) -> TensorView<'_> {
    if words.is_empty() { TensorView::F32(numbers) } else { TensorView::Words(words) }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// `EFFIGY_CPU_F32=1` keeps the processor's executor from 8 bits, for comparison.
pub const CPU_F32_VARIABLE: &str = "EFFIGY_CPU_F32";

/// Opens the processor for a plan, on at most four threads: the layers are too small for more. See [`CPU_F32_VARIABLE`].
///
/// # Errors
/// [`ErrorKind::BackendUnavailable`] when ONNX Runtime is missing.
pub fn open_on_cpu(plan: Plan) -> Result<Box<dyn Executor>> {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let executor = CpuExecutor::new(plan, n_cores.min(4))?;
    let is_f32 = std::env::var_os(CPU_F32_VARIABLE).is_some_and(|value| value == "1");
    Ok(Box::new(if is_f32 { executor.in_f32() } else { executor }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ConvSpec, Recorder, Shape};
    use crate::twin::TwinExecutor;

    fn plan() -> Plan {
        let mut r = Recorder::new("tiny");
        let x = r.input("x", Shape::new(1, 2, 2), Element::Half);
        let y = r.conv2d("y", x, ConvSpec::new(1));
        r.output(y);
        r.end()
    }

    /// Opens, and fails at the first frame.
    struct Broken(Plan);

    impl Executor for Broken {
        fn backend(&self) -> &str {
            "broken"
        }

        fn plan(&self) -> &Plan {
            &self.0
        }

        fn adopt(&mut self, _: &Adoption) -> Result<()> {
            Ok(())
        }

        fn run(&mut self, _: &[TensorView], _: &mut [TensorViewMut]) -> Result<()> {
            Err(Error::new(ErrorKind::DeviceLost, "it caught fire"))
        }
    }

    fn backend(name: &'static str, open: OpenExecutor) -> Backend {
        Backend { name, automatic: open, named: open }
    }

    #[test]
    fn the_first_that_makes_a_frame_is_chosen_and_the_others_say_why_not() {
        let absent = backend("absent", |_| Err(Error::new(ErrorKind::BackendUnavailable, "no such card")));
        let broken = backend("broken", |plan| Ok(Box::new(Broken(plan))));
        let panics = backend("panics", |plan| panic!("no symbol for {}\n", plan.name()));
        let works = backend("works", |plan| Ok(Box::new(TwinExecutor::new(plan))));

        let choice = first_of(&[absent, broken, panics, works], &plan());
        assert_eq!(choice.backend.unwrap().name, "works");
        let reasons = "(not on absent: no such card; not on broken: it caught fire; not on panics: it broke down: no \
                       symbol for tiny)";
        assert!(choice.sentence.starts_with("tiny runs on twin, "), "{}", choice.sentence);
        assert!(choice.sentence.ends_with(reasons), "{}", choice.sentence);

        let choice = first_of(&[works, absent], &plan());
        assert!(choice.sentence.ends_with("(the first choice)"), "{}", choice.sentence);

        let choice = first_of(&[absent], &plan());
        assert!(choice.backend.is_none());
        let sentence = "the mesh warp alone, since tiny runs nowhere here (not on absent: no such card)";
        assert_eq!(choice.sentence, sentence);
    }

    #[test]
    fn an_unknown_backend_is_refused_with_those_there_are() {
        let error = named("tpu", &plan()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with("no backend \"tpu\" in this build, which has "), "{error}");
    }
}
