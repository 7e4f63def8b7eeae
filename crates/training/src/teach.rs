//! The training itself: draw, compare, follow the gradient, write down.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::json;

use super::adversary::Adversary;
use super::checkpoint;
use super::curves;
use super::features::FrozenFeatures;
use super::group::Group;
use super::log::Log;
use super::loss::{Judges, LossWeights, loss, trust_prior};
use super::parameters::{Parameters, StepOptions};
use super::picture::{Plans, Tensors, make};
use super::tracker::FrozenTracker;
use super::validate::{self, Scores};
use effigy_base::error::{Error, ErrorKind, OrError as _, Result};
use effigy_network::network::Size;
use effigy_network::network::weights::Weights;

/// How a training is run.
#[derive(Clone, Debug)]
pub struct TeachOptions {
    /// Where weights, checkpoint, log and pictures go; a training that is there goes on.
    pub output: PathBuf,
    /// Size of the network.
    pub size: Size,
    /// Weights to begin with, instead of random ones; of several, their mean. A training that goes on has its own.
    pub initial: Vec<PathBuf>,
    /// How the names of the weights begin that learn; empty for all.
    pub only: Vec<String>,
    /// Portraits whose gradients are summed for one step.
    pub n_portraits: usize,
    /// Steps from the beginning, with those of earlier runs.
    pub n_steps: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Parts of the loss.
    pub loss: LossWeights,
    /// Weights of the frozen features; without them there is neither the perceptual nor the adversarial part.
    pub features: Option<PathBuf>,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// Steps between validations, each with its sheet of pictures.
    pub validate_every: usize,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

/// Steps over which the learning rate rises.
const WARM_UP: usize = 200;
/// Steps that the adversary learns before it counts.
const ADVERSARY_WARM_UP: usize = 200;
/// What a killed training goes on from.
const CHECKPOINT: &str = "checkpoint.safetensors";
/// Groups that lie ready.
const READY: usize = 4;

/// Where groups come from: a data set, or what was packed of one.
pub trait Feed: Sync {
    /// What it holds, in a few words.
    fn about(&self) -> String;

    /// The groups to validate with, the same every time.
    ///
    /// # Errors
    /// When a picture cannot be read.
    fn validation(&self) -> Result<Vec<Group>>;

    /// Puts groups together until nobody takes any more; `seed` and the number of the first step say which. An error that
    /// was handed over ends it.
    fn draw(&self, seed: u64, first_step: usize, to: &Sender<Result<Group>>);
}

/// Trains until all steps are done or `stop` is set; then writes the weights, and a checkpoint once there was a step.
///
/// `report` gets a line from time to time.
///
/// # Errors
/// When the data are torn, nothing can be written, or initial weights shall only be written where a training is.
pub fn teach(
    options: &TeachOptions,
    feed: &dyn Feed,
    device: &Device,
    stop: &AtomicBool,
    report: impl Fn(&str),
) -> Result<()> {
    std::fs::create_dir_all(&options.output)
        .or_error(ErrorKind::Io, || format!("cannot make the folder {}", options.output.display()))?;
    let checkpoint_path = options.output.join(CHECKPOINT);
    let has_initial = !options.initial.is_empty();
    let first = match checkpoint_path.exists() {
        true => checkpoint::n_steps(&checkpoint_path)?,
        false => 0,
    };
    if first > 0 && has_initial && options.n_steps == 0 {
        let message = format!(
            "a training is at step {first} in {}, and the initial weights would not count; choose another folder",
            checkpoint_path.display()
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    let device = device.clone().autodiff();
    let weights = match options.initial.as_slice() {
        [] => Weights::random(options.size, options.seed),
        paths => Weights::mean_of(paths)?,
    };
    if weights.size() != options.size {
        let [found, wanted] = [weights.size(), options.size].map(Size::name);
        let message =
            format!("the initial weights are of the network `{found}`, asked for `{wanted}`; try --network {found}");
        return Err(Error::new(ErrorKind::Config, message));
    }
    let mut parameters = Parameters::new(&weights, &device);
    if !options.only.is_empty() && parameters.learn_only(&options.only) == 0 {
        let message = format!("no weight's name begins with {}; try decoder.out", options.only.join(" or "));
        return Err(Error::new(ErrorKind::Config, message));
    }
    let features = match &options.features {
        Some(path) => Some(FrozenFeatures::load(path, &device.clone().inner())?),
        None => None,
    };
    let tracker = match options.loss.points > 0.0 || options.loss.expression > 0.0 {
        true => Some(FrozenTracker::load(&device.clone().inner())?),
        false => None,
    };
    let is_opposed = features.is_some() && (options.loss.adversarial > 0.0 || options.loss.matching > 0.0);
    let mut adversary = is_opposed.then(|| Adversary::new(options.seed, &device));
    if first > 0 || (checkpoint_path.exists() && !has_initial) {
        checkpoint::load(&checkpoint_path, &mut parameters, adversary.as_mut())?;
    }
    if first > 0 && has_initial {
        report(&format!("goes on from step {first} of its checkpoint; --initial counted at the beginning only"));
    }
    let validation = feed.validation()?;
    let plans = Plans::new(options.size);
    let mut log = Log::open(&options.output)?;
    let held_out = match validation.len() {
        0 => "nobody is held out to validate with".to_owned(),
        n => format!("{n} groups to validate with"),
    };
    report(&format!("{}, {held_out}; from step {first} of {}", feed.about(), options.n_steps));

    let (to, from) = bounded(READY);
    std::thread::scope(|scope| {
        // The feed keeps the other end, which must close with it.
        let load = move || feed.draw(options.seed, first, &to);
        let loader = std::thread::Builder::new().name("load".to_owned());
        // The loader ends when the receiver does.
        loader
            .spawn_scoped(scope, load)
            .or_error(ErrorKind::Internal, || "cannot start the thread that loads pictures".to_owned())?;
        let mut training = Training {
            options,
            plans: &plans,
            features: features.as_ref(),
            tracker: tracker.as_ref(),
            adversary,
            validation: &validation,
        };
        training.run(&mut parameters, first, from, stop, &mut log, &report)
    })
}

struct Training<'a> {
    options: &'a TeachOptions,
    plans: &'a Plans,
    features: Option<&'a FrozenFeatures>,
    tracker: Option<&'a FrozenTracker>,
    adversary: Option<Adversary>,
    validation: &'a [Group],
}

impl Training<'_> {
    fn run(
        &mut self,
        parameters: &mut Parameters,
        first: usize,
        groups: Receiver<Result<Group>>,
        stop: &AtomicBool,
        log: &mut Log,
        report: &impl Fn(&str),
    ) -> Result<()> {
        let options = self.options;
        let (mut step, mut n_samples) = (first, 0);
        let begun = Instant::now();
        while step < options.n_steps && !stop.load(Ordering::Relaxed) {
            let progress = step as f32 / options.n_steps as f32;
            // Weights that were given know already what to trust.
            let prior = if options.initial.is_empty() { trust_prior(&options.loss, progress) } else { 0.0 };
            let mut total: Option<Tensor<1>> = None;
            let mut parts = Parts::default();
            let mut opposition: Option<Tensor<1>> = None;
            for _ in 0..options.n_portraits {
                let group = groups
                    .recv()
                    .or_error(ErrorKind::Internal, || "the thread that loads pictures ended".to_owned())??;
                n_samples += group.n_frames;
                let tensors = Tensors::new(&group, parameters.device());
                let made = make(self.plans, parameters, &tensors);
                let adversary = self.adversary.as_ref().filter(|_| step >= first + ADVERSARY_WARM_UP);
                let judges = Judges { features: self.features, tracker: self.tracker, adversary };
                let found = loss(&made, &tensors, &options.loss, prior, group.is_sequence, group.matte_belief, judges);
                if let (Some(adversary), Some(evidence)) = (&self.adversary, &found.evidence) {
                    let loss = adversary.loss(evidence) / options.n_portraits as f32;
                    opposition = Some(opposition.map_or_else(|| loss.clone(), |sum| sum + loss.clone()));
                }
                let mean = found.total / options.n_portraits as f32;
                total = Some(total.map_or_else(|| mean.clone(), |sum| sum + mean.clone()));
                parts.add(found.parts);
            }
            let Some(total) = total else { break };
            let gradients = total.backward();
            let rate = rate(options, step);
            let averaging = (1.0 - 1.0 / (1.0 + step as f32 / 10.0)).min(0.998);
            let norm = parameters.step(gradients, &StepOptions { rate, max_norm: 1.0, averaging });
            if let (Some(adversary), Some(loss)) = (&mut self.adversary, opposition) {
                parts.add(vec![("adversary", loss.clone())]);
                adversary.step(loss.backward());
            }
            step += 1;
            if step.is_multiple_of(20) {
                let samples_hz = n_samples as f64 / begun.elapsed().as_secs_f64();
                let line = json!({
                    "step": step, "loss": total.into_scalar::<f32>(), "parts": parts.means(), "rate": rate,
                    "gradient_norm": norm, "samples_hz": samples_hz,
                });
                log.write(&line)?;
                report(&format!("step {step}: {line}"));
            }
            if step.is_multiple_of(options.checkpoint_every) {
                self.keep(parameters, step)?;
            }
            if step.is_multiple_of(options.validate_every) {
                if !self.validation.is_empty() {
                    let scores = self.validate(parameters, step)?;
                    log.write(&scores.to_json(step))?;
                    report(&format!("step {step}: {}", scores.line()));
                }
                curves::draw(log.path(), &options.output.join("curves.svg"))?;
            }
        }
        self.keep(parameters, step)?;
        curves::draw(log.path(), &options.output.join("curves.svg"))
    }

    /// Writes what to go on from, where there is a step to go on from, and the averaged weights as the engine reads them.
    fn keep(&self, parameters: &Parameters, step: usize) -> Result<()> {
        if step > 0 {
            checkpoint::save(&self.options.output.join(CHECKPOINT), parameters, self.adversary.as_ref(), step)?;
        }
        let name = format!("generator_{}.safetensors", self.options.size.name());
        checkpoint::replace(&self.options.output.join(name), &parameters.averaged()?.to_bytes()?)
    }

    fn validate(&self, parameters: &Parameters, step: usize) -> Result<Scores> {
        let device = parameters.device().clone().inner();
        let averaged = Parameters::new(&parameters.averaged()?, &device);
        let path = self.options.output.join(format!("sheet-{step:06}.png"));
        validate::validate(self.plans, &averaged, self.validation, &path)
    }
}

/// Parts of the loss of a step, each over the portraits that have it.
#[derive(Default)]
struct Parts(Vec<(&'static str, Tensor<1>, f32)>);

impl Parts {
    /// Adds those of a portrait.
    fn add(&mut self, parts: Vec<(&'static str, Tensor<1>)>) {
        for (name, part) in parts {
            // Nothing is followed downhill here.
            let part = part.detach();
            match self.0.iter_mut().find(|(known, _, _)| *known == name) {
                Some((_, sum, n)) => {
                    *sum = sum.clone() + part;
                    *n += 1.0;
                }
                None => self.0.push((name, part, 1.0)),
            }
        }
    }

    /// The mean of each, by name.
    fn means(self) -> serde_json::Map<String, serde_json::Value> {
        let mean = |(name, sum, n): (&str, Tensor<1>, f32)| (name.to_owned(), json!(sum.into_scalar::<f32>() / n));
        self.0.into_iter().map(mean).collect()
    }
}

/// Rises over the first steps, then falls as a cosine to a hundredth.
fn rate(options: &TeachOptions, step: usize) -> f64 {
    let rise = ((step + 1) as f64 / WARM_UP as f64).min(1.0);
    let progress = step as f64 / options.n_steps as f64;
    options.rate * rise * (0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::TensorData;

    use super::*;

    /// A data set of nobody.
    struct Nobody;

    impl Feed for Nobody {
        fn about(&self) -> String {
            "nobody".to_owned()
        }

        fn validation(&self) -> Result<Vec<Group>> {
            Ok(Vec::new())
        }

        fn draw(&self, _: u64, _: usize, _: &Sender<Result<Group>>) {}
    }

    /// What is reported by a training that has no step to make.
    fn train(output: &Path, initial: &Path, n_steps: usize) -> Result<String> {
        let options = TeachOptions {
            output: output.to_owned(),
            size: Size::Small,
            initial: vec![initial.to_owned()],
            only: Vec::new(),
            n_portraits: 1,
            n_steps,
            rate: 1e-3,
            loss: LossWeights { points: 0.0, expression: 0.0, ..LossWeights::default() },
            features: None,
            checkpoint_every: 100,
            validate_every: 100,
            seed: 1,
        };
        let lines = std::cell::RefCell::new(String::new());
        let report = |line: &str| *lines.borrow_mut() += line;
        teach(&options, &Nobody, &Device::flex(), &AtomicBool::new(false), report)?;
        Ok(lines.into_inner())
    }

    #[test]
    fn initial_weights_count_at_the_beginning_only_and_that_is_said() {
        let output = std::env::temp_dir().join(format!("effigy-teach-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&output);
        std::fs::create_dir_all(&output).unwrap();
        let weights = |seed: u64| {
            let path = output.join(format!("weights-{seed}.safetensors"));
            std::fs::write(&path, Weights::random(Size::Small, seed).to_bytes().unwrap()).unwrap();
            (Weights::load(&path).unwrap(), path)
        };
        let ((given, initial), (other, _)) = (weights(2), weights(3));
        let written = || Weights::load(&output.join("generator_small.safetensors")).unwrap();
        let checkpoint_path = output.join(CHECKPOINT);
        let lines = train(&output, &initial, 0).unwrap();
        assert!(lines.contains("nobody is held out"), "{lines}");
        assert!(written() == given && !checkpoint_path.exists(), "not a step was made");

        let trained = Parameters::new(&other, &Device::flex().autodiff());
        checkpoint::save(&checkpoint_path, &trained, None, 0).unwrap();
        train(&output, &initial, 0).unwrap();
        assert!(written() == given, "a checkpoint of no step counts for nothing");

        checkpoint::save(&checkpoint_path, &trained, None, 3).unwrap();
        let error = train(&output, &initial, 0).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains(CHECKPOINT), "{error}");
        assert!(written() == given);
        let lines = train(&output, &initial, 3).unwrap();
        assert!(
            lines.contains("goes on from step 3 of its checkpoint; --initial counted at the beginning only"),
            "{lines}"
        );
        assert!(written() == other);
        std::fs::remove_dir_all(output).unwrap();
    }

    #[test]
    fn a_part_is_the_mean_over_the_portraits_that_have_it() {
        let device = Device::flex().autodiff();
        let number = |value: f32| Tensor::<1>::from_data(TensorData::new(vec![value], [1]), &device);
        let mut parts = Parts::default();
        parts.add(vec![("residual", number(1.0))]);
        parts.add(vec![("picture", number(0.5)), ("residual", number(3.0))]);
        assert_eq!(json!(parts.means()), json!({ "picture": 0.5, "residual": 2.0 }));
    }
}
