//! How close pictures in 8 bits come to those in f32 on each rung, for every identity file of a folder, and what a rung costs.
//!
//! `cargo bench --bench bytes -- FOLDER`
//!
//! `effigy enroll --no-rehearsal` makes such files quickly: the examples do not depend on the rehearsal. A rung's cost is
//! measured on the first identity, all forms in turns.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench talks to its reader and may stop at once")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use effigy::generate::cpu::{CpuExecutor, Rung};
use effigy::generate::network::{self, FrameOptions};
use effigy::generate::neural::{FrameInputs, IdentityTensors, typical};
use effigy::generate::plan::{Adoption, Executor, TensorView, TensorViewMut};
use effigy::generate::weights::Weights;
use effigy::identity::Identity;

const SIZE_PX: usize = 512;
const ROUNDS: usize = 300;

/// An identity, ready for executors.
struct Subject {
    tensors: IdentityTensors,
    frames: Vec<FrameInputs>,
    params: Vec<Vec<f32>>,
    weights: Weights,
}

impl Subject {
    fn load(weights: &Weights, file: &Path) -> Self {
        let identity = Arc::new(Identity::load(file).unwrap());
        let (tensors, frames) = typical(weights, &identity, SIZE_PX).unwrap();
        let plan = network::frame(&FrameOptions::new(weights.size(), SIZE_PX));
        let params = network::fold(&plan, weights, &tensors.encoded.embedding).unwrap();
        Self { tensors, frames, params, weights: weights.clone() }
    }

    fn adoption(&self) -> Adoption<'_> {
        Adoption { params: self.params.iter().map(Vec::as_slice).collect(), constants: self.tensors.constants() }
    }

    fn examples(&self) -> Vec<Vec<TensorView<'_>>> {
        self.frames.iter().map(|frame| frame.views().to_vec()).collect()
    }

    /// An executor in f32.
    fn executor(&self) -> CpuExecutor {
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(2);
        let plan = network::frame(&FrameOptions::new(self.weights.size(), SIZE_PX));
        let mut executor = CpuExecutor::new(plan, n_threads).unwrap();
        executor.adopt(&self.adoption()).unwrap();
        executor
    }

    /// An executor on a rung, and how close it is at the least close example.
    fn on(&self, rung: Rung) -> (CpuExecutor, f64) {
        let mut executor = self.executor();
        let psnr_db = executor.settle_at(rung, &self.adoption().params, &self.examples()).unwrap();
        (executor, psnr_db)
    }
}

fn main() {
    let Some(folder) = std::env::args().skip(1).find(|arg| !arg.starts_with("--")) else {
        println!("which identities? cargo bench --bench bytes -- FOLDER");
        return;
    };
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "effigy")).collect();
    files.sort();
    let weights = Weights::built_in().unwrap();
    if let Some(first) = files.first() {
        cost(&Subject::load(&weights, first));
    }
    closeness(&weights, &files);
}

/// How close each rung comes, and which one is chosen.
fn closeness(weights: &Weights, files: &[PathBuf]) {
    println!(
        "PSNR to f32 of the least close of the typical motions, in dB; seconds of settling, before (one rung) and now"
    );
    let mut chosen = [0; Rung::LADDER.len() + 1];
    let mut least_db = [const { Vec::new() }; Rung::LADDER.len()];
    for file in files {
        let subject = Subject::load(weights, file);
        for (rung, all) in Rung::LADDER.into_iter().zip(&mut least_db) {
            all.push(subject.on(rung).1);
        }
        let mut before = subject.executor();
        let begin = Instant::now();
        before.settle_at(Rung::All, &subject.adoption().params, &subject.examples()).unwrap();
        let before_secs = begin.elapsed().as_secs_f64();
        let mut executor = subject.executor();
        let begin = Instant::now();
        executor.settle(&subject.adoption(), &subject.examples()).unwrap();
        let now_secs = begin.elapsed().as_secs_f64();
        let at = Rung::LADDER.iter().position(|rung| Some(*rung) == executor.rung());
        chosen[at.unwrap_or(Rung::LADDER.len())] += 1;
        let found: Vec<String> = least_db.iter().map(|all| format!("{:5.1}", all[all.len() - 1])).collect();
        let name = executor.rung().map_or("all in f32", Rung::name);
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        println!("  {}  {before_secs:.2} {now_secs:.2} s  {stem}: {name}", found.join(" "));
    }
    for (rung, all) in Rung::LADDER.iter().zip(&mut least_db) {
        all.sort_by(f64::total_cmp);
        if let (Some(least), Some(median)) = (all.first(), all.get(all.len() / 2)) {
            println!("{}: at worst {least:.1} dB, median {median:.1}", rung.name());
        }
    }
    let names = Rung::LADDER.map(Rung::name).into_iter().chain(["all in f32"]);
    let counts: Vec<String> = names.zip(chosen).map(|(name, n)| format!("{name} {n}")).collect();
    println!("of {}: {}", files.len(), counts.join(", "));
}

/// What a frame of driving numbers costs on each rung and in f32, in turns.
fn cost(subject: &Subject) {
    let mut forms = vec![("all in f32", subject.executor())];
    forms.extend(Rung::LADDER.map(|rung| (rung.name(), subject.on(rung).0)));
    let mut times_ms = vec![Vec::new(); forms.len()];
    let mut picture = vec![0; 4 * SIZE_PX * SIZE_PX];
    for round in 0..ROUNDS {
        let views = subject.frames[round % subject.frames.len()].views();
        for ((_, executor), times) in forms.iter_mut().zip(&mut times_ms) {
            let begin = Instant::now();
            executor.run(&views, &mut [TensorViewMut::Bytes(&mut picture)]).unwrap();
            times.push(begin.elapsed().as_secs_f64() * 1e3);
        }
    }
    println!("a picture of {SIZE_PX} pixels from driving numbers, in ms; {ROUNDS} of each form, in turns");
    for ((name, _), times) in forms.iter().zip(&mut times_ms) {
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        println!("  {name:20} median {:5.2}  p10 {:5.2}  least {:5.2}", at(0.5), at(0.1), at(0.0));
    }
}
