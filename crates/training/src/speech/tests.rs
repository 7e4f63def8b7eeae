//! Learning from a language of two sounds.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor, TensorData};

use super::teach::{CHECKPOINT, first_weights, rows, said};
use super::*;
use crate::leaves::Leaves;
use effigy_base::random::Rng;
use effigy_network::motion::weights;
use effigy_network::speech::{N_MOUTH, REACH, SpeechNetwork, compressed};

/// Somebody who says "mama": loud and even for a, low alone for m.
fn mama(part: Part) -> Utterance {
    let mut phonemes = vec![(0.0, String::new())];
    for i in 0..6 {
        phonemes.push((0.3 + 0.3 * i as f32, "m".to_owned()));
        phonemes.push((0.4 + 0.3 * i as f32, "a".to_owned()));
    }
    phonemes.push((2.1, String::new()));
    let row = |i: usize| {
        let secs = i as f32 * 0.01;
        let is_a = (0.3..2.1).contains(&secs) && (secs - 0.3) % 0.3 > 0.1;
        let is_m = (0.3..2.1).contains(&secs) && !is_a;
        std::array::from_fn(|band| match band {
            0..4 if is_m => 1e-3,
            _ if is_a => 1e-3,
            _ => 1e-9,
        })
    };
    Utterance::new(part, (0..240).map(row).collect(), &phonemes)
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("effigy-speech-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn options(output: PathBuf, n_steps: usize) -> SpeechOptions {
    SpeechOptions { output, n_steps, rate: 3e-3, seed: 5, checkpoint_every: 10, report_every: 100 }
}

fn train(output: &std::path::Path, n_steps: usize) -> (Vec<u8>, f32) {
    let lines = std::cell::RefCell::new(Vec::new());
    let report = |line: &str| lines.borrow_mut().push(line.to_owned());
    let utterances = [mama(Part::Train), mama(Part::Voices)];
    let stop = AtomicBool::new(false);
    teach(&options(output.to_owned(), n_steps), &utterances, &Device::flex(), &stop, report).unwrap();
    let lines = lines.into_inner();
    let loss = lines.last().unwrap().split("loss ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    (std::fs::read(output.join(FILE_NAME)).unwrap(), loss)
}

#[test]
fn the_loss_falls_and_a_training_that_was_stopped_goes_on_from_where_it_was() {
    let (whole, parts) = (folder("whole"), folder("parts"));
    let (_, first) = train(&folder("first"), 1);
    let (bytes, mean) = train(&whole, 20);
    assert!(mean < 0.8 * first, "{first} {mean}");
    // The rate follows the whole length: the same length, stopped after ten steps, long before the next checkpoint is due.
    let stop = AtomicBool::new(false);
    let at_ten = |line: &str| {
        if line.starts_with("step") {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let utterances = [mama(Part::Train)];
    teach(
        &SpeechOptions { report_every: 10, checkpoint_every: 1000, ..options(parts.clone(), 20) },
        &utterances,
        &Device::flex(),
        &stop,
        at_ten,
    )
    .unwrap();
    let torn = std::fs::read(parts.join(FILE_NAME)).unwrap();
    assert_ne!(torn, bytes);
    assert_eq!(train(&parts, 20).0, bytes);
    std::fs::write(parts.join(CHECKPOINT), b"torn").unwrap();
    let error = teach(&options(parts.clone(), 20), &utterances, &Device::flex(), &AtomicBool::new(false), |_| {});
    assert!(error.unwrap_err().to_string().contains("cannot go on from the checkpoint"));
    let nothing =
        teach(&options(folder("nothing"), 20), &[mama(Part::Voices)], &Device::flex(), &AtomicBool::new(false), |_| {});
    assert!(nothing.unwrap_err().to_string().contains("no utterance to learn from"));
}

#[test]
fn the_program_says_what_was_taught() {
    let device = Device::flex();
    let mut rng = Rng::new(3, 0);
    let mut weights_of = first_weights(3);
    weights_of.iter_mut().flat_map(|(_, _, values)| values).for_each(|x| *x += 0.05 * rng.normal());
    let leaves = Leaves::new(weights_of.into_iter(), &device);
    let network = SpeechNetwork::from_bytes(&weights::to_bytes(&rows(&leaves)).unwrap()).unwrap();
    let powers = mama(Part::Train).powers;
    let heard: Vec<f32> = (0..N_BANDS).flat_map(|band| powers.iter().map(move |row| compressed(row)[band])).collect();
    let taught = said(&leaves, Tensor::from_data(TensorData::new(heard, [1, N_BANDS, powers.len()]), &device));
    let n = powers.len() + 1 - REACH;
    assert_eq!(taught.dims(), [1, N_MOUTH, n]);
    let taught: Vec<f32> = taught.try_to_vec_as().unwrap();
    let mut state = network.silence();
    for (row, powers) in powers.iter().enumerate() {
        let mouth = network.hear(&compressed(powers), &mut state);
        let Some(at) = (row + 1).checked_sub(REACH) else { continue };
        for (i, x) in mouth.iter().enumerate() {
            assert!((x - taught[i * n + at]).abs() < 3e-3, "row {row}, number {i}: {x} {}", taught[i * n + at]);
        }
    }
}
