//! The network: convolutions over time that look back two thirds of a second, row by row.

use std::sync::OnceLock;

use super::{Mouth, N_BANDS, N_MOUTH};
use crate::motion::weights;
use effigy_base::error::Result;

/// The file that belongs to the program.
pub const BUILT_IN: &[u8] = include_bytes!("../../../../models/speech.safetensors");

/// Units of a hidden layer.
pub const N_UNITS: usize = 40;
/// Taps of the first layer, in rows.
pub const N_FIRST_TAPS: usize = 5;
/// Taps of the layers after it.
pub const N_TAPS: usize = 3;
/// Rows between the taps of the layers after the first; each adds to what it was given.
pub const DILATIONS: [usize; 5] = [1, 2, 4, 8, 16];
/// Rows behind one answer.
pub const REACH: usize = N_FIRST_TAPS + (N_TAPS - 1) * (1 + 2 + 4 + 8 + 16);
/// What the mouth does is said so many rows after it: lips shut before a p is heard.
pub const LOOK_AHEAD: usize = 8;
/// Slope of the hidden layers below zero.
pub const LEAK: f32 = 0.1;

/// Names and extents of the weights, as they stand in the file: outputs, inputs, taps.
pub fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut shapes = vec![
        ("first.weight".to_owned(), vec![N_UNITS, N_BANDS, N_FIRST_TAPS]),
        ("first.bias".to_owned(), vec![N_UNITS]),
        ("out.weight".to_owned(), vec![N_MOUTH, N_UNITS, 1]),
        ("out.bias".to_owned(), vec![N_MOUTH]),
    ];
    for layer in 0..DILATIONS.len() {
        shapes.push((format!("{layer}.weight"), vec![N_UNITS, N_UNITS, N_TAPS]));
        shapes.push((format!("{layer}.bias"), vec![N_UNITS]));
    }
    shapes
}

/// A layer's weights, (tap, input, output): a row's outputs lie side by side.
#[derive(Clone, Debug)]
struct Layer {
    weights: Vec<f32>,
    biases: Vec<f32>,
    n_inputs: usize,
    dilation: usize,
}

impl Layer {
    /// From (output, input, tap) as they stand in the file.
    fn new(stored: &[f32], biases: Vec<f32>, n_taps: usize, dilation: usize) -> Self {
        let n_outputs = biases.len();
        let n_inputs = stored.len() / (n_outputs * n_taps);
        let at = |place: usize| {
            let (tap, input, output) =
                (place / (n_inputs * n_outputs), place / n_outputs % n_inputs, place % n_outputs);
            stored[(output * n_inputs + input) * n_taps + tap]
        };
        Self { weights: (0..stored.len()).map(at).collect(), biases, n_inputs, dilation }
    }

    fn n_taps(&self) -> usize {
        self.weights.len() / (self.n_inputs * self.biases.len())
    }

    /// The newest row's outputs; `past` holds the rows before it.
    fn run(&self, past: &Past, output: &mut [f32]) {
        output.copy_from_slice(&self.biases);
        let n_taps = self.n_taps();
        for (tap, weights) in self.weights.chunks_exact(self.n_inputs * self.biases.len()).enumerate() {
            let row = past.back((n_taps - 1 - tap) * self.dilation);
            for (x, weights) in row.iter().zip(weights.chunks_exact(self.biases.len())) {
                output.iter_mut().zip(weights).for_each(|(to, weight)| *to += x * weight);
            }
        }
    }
}

/// The last rows of a layer's inputs, in a ring.
#[derive(Clone, Debug)]
struct Past {
    rows: Vec<f32>,
    width: usize,
    newest: usize,
}

impl Past {
    fn new(width: usize, n_rows: usize) -> Self {
        Self { rows: vec![0.0; width * n_rows], width, newest: 0 }
    }

    fn push(&mut self, row: &[f32]) {
        self.newest = (self.newest + 1) % (self.rows.len() / self.width);
        self.rows[self.newest * self.width..][..self.width].copy_from_slice(row);
    }

    /// The row `n` before the newest.
    fn back(&self, n: usize) -> &[f32] {
        let n_rows = self.rows.len() / self.width;
        &self.rows[(self.newest + n_rows - n) % n_rows * self.width..][..self.width]
    }
}

/// Says what a mouth does, by what is heard.
#[derive(Clone, Debug)]
pub struct SpeechNetwork {
    first: Layer,
    /// Each adds to what it was given.
    hidden: Vec<Layer>,
    out: Layer,
}

/// What was heard lately, as each layer was given it.
#[derive(Clone, Debug)]
pub struct SpeechState {
    first: Past,
    hidden: Vec<Past>,
    out: Past,
}

impl SpeechNetwork {
    /// The one that belongs to the program.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Model`] when the program was built from a torn file.
    pub fn built_in() -> Result<&'static Self> {
        static MODEL: OnceLock<SpeechNetwork> = OnceLock::new();
        if let Some(model) = MODEL.get() {
            return Ok(model);
        }
        let read = Self::from_bytes(BUILT_IN)?;
        Ok(MODEL.get_or_init(|| read))
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Model`] when they are torn or another model's.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let file = weights::open(bytes)?;
        let layer = |name: &str, dilation: usize| {
            let shapes = shapes();
            let shape = |what: &str| {
                let name = format!("{name}.{what}");
                shapes.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, shape)| shape)
            };
            let stored = weights::read(&file, &format!("speech.{name}.weight"), shape("weight"))?;
            let biases = weights::read(&file, &format!("speech.{name}.bias"), shape("bias"))?;
            Ok(Layer::new(&stored, biases, shape("weight")[2], dilation))
        };
        let hidden = DILATIONS.iter().enumerate().map(|(i, &dilation)| layer(&i.to_string(), dilation));
        Ok(Self { first: layer("first", 1)?, hidden: hidden.collect::<Result<_>>()?, out: layer("out", 1)? })
    }

    /// Nothing but silence was heard.
    pub fn silence(&self) -> SpeechState {
        let past = |layer: &Layer| Past::new(layer.n_inputs, (layer.n_taps() - 1) * layer.dilation + 1);
        let mut state = SpeechState {
            first: past(&self.first),
            hidden: self.hidden.iter().map(past).collect(),
            out: past(&self.out),
        };
        let row = super::compressed(&[0.0; N_BANDS]);
        for _ in 0..REACH {
            self.hear(&row, &mut state);
        }
        state
    }

    /// Takes the next row, compressed, and says what the mouth did [`LOOK_AHEAD`] rows before. Allocates nothing.
    pub fn hear(&self, row: &[f32; N_BANDS], state: &mut SpeechState) -> Mouth {
        let mut units = [0.0; N_UNITS];
        state.first.push(row);
        self.first.run(&state.first, &mut units);
        units.iter_mut().for_each(leak);
        for (layer, past) in self.hidden.iter().zip(&mut state.hidden) {
            past.push(&units);
            let mut added = [0.0; N_UNITS];
            layer.run(past, &mut added);
            added.iter_mut().for_each(leak);
            units.iter_mut().zip(added).for_each(|(unit, added)| *unit += added);
        }
        state.out.push(&units);
        let mut mouth = Mouth::default();
        self.out.run(&state.out, &mut mouth);
        mouth.map(|x| 1.0 / (1.0 + (-x).exp()))
    }
}

fn leak(x: &mut f32) {
    *x = if *x < 0.0 { LEAK * *x } else { *x };
}
