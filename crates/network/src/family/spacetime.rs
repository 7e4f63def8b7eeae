//! Networks over space and time, written down once: with gradients a clip is a tensor with frames, and where it is played
//! time is folded into channels, so that every executor knows the ops.
//!
//! A convolution of 3×3×3 over frames is one of 3×3 over pictures that hold all frames as channels; its weight is that of
//! the former, put wherever a frame reads another, and zero elsewhere. That is exact. It multiplies by those zeros, which
//! is bearable: these networks have so few frames where they have many channels that all their layers fold to some two
//! hundred.

use crate::plan::{Activation, ConvSpec, Param, Plan, Recorder, TensorId};
use crate::tensors::{Tensors, misfit};
use effigy_base::error::Result;

/// Frames that a convolution which halves a clip reads for each of its own: 2 t − 1, 2 t and 2 t + 1.
pub const DOWN_TAPS: usize = 3;
/// Frames that one which doubles a clip reads for each of its own: t − 1 and t for frame 2 t, t and t + 1 for frame 2 t + 1.
pub const UP_TAPS: usize = 2;

/// What a network over space and time is written down in.
pub trait Spacetime {
    /// A clip: frames of some channels.
    type Clip: Clone;

    /// Half as many frames of half the width and height: a convolution of 3×3×3 with stride 2, leaky.
    ///
    /// Its weight is (`c_out`, [`DOWN_TAPS`] · c, 3, 3): the channels of each frame that it reads behind each other.
    fn down(&mut self, layer: &str, x: &Self::Clip, c_out: usize) -> Self::Clip;

    /// Twice as many frames of twice the width and height: a transposed convolution of 4×4×4 with stride 2.
    ///
    /// Its weight is (8, `c_out`, [`UP_TAPS`] · c, 2, 2): the four phases of an even frame as in `UpConv2d`, then those of
    /// an odd one.
    fn up(&mut self, layer: &str, x: &Self::Clip, c_out: usize, activation: Activation) -> Self::Clip;

    /// The channels of both, frame by frame.
    fn join(&mut self, name: &str, first: &Self::Clip, second: &Self::Clip) -> Self::Clip;
}

/// Frames whose channels lie frame after frame in one tensor.
#[derive(Clone, Copy, Debug)]
struct Part {
    n_frames: usize,
    c: usize,
    /// All frames are the same one, which is there once.
    is_still: bool,
}

impl Part {
    /// Channels that it takes in the tensor.
    fn channels(self) -> usize {
        if self.is_still { self.c } else { self.n_frames * self.c }
    }
}

/// A clip in a plan.
#[derive(Clone, Debug)]
pub struct FoldedClip {
    id: TensorId,
    parts: Vec<Part>,
}

impl FoldedClip {
    /// The tensor that holds it: the channels of the first frame, then those of the next one.
    pub fn id(&self) -> TensorId {
        self.id
    }

    fn n_frames(&self) -> usize {
        self.parts.first().map_or(0, |part| part.n_frames)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Down,
    Up,
}

/// A layer whose weight must be folded.
#[derive(Clone, Debug)]
struct FoldedLayer {
    name: String,
    how: How,
    c_out: usize,
    /// Frames of its answer.
    n_frames: usize,
    parts: Vec<Part>,
}

impl FoldedLayer {
    /// Its parameters before they are folded.
    fn params(&self) -> [Param; 2] {
        let c: usize = self.parts.iter().map(|part| part.c).sum();
        let dims = match self.how {
            How::Down => vec![self.c_out, DOWN_TAPS * c, 3, 3],
            How::Up => vec![8, self.c_out, UP_TAPS * c, 2, 2],
        };
        let param = |what: &str, dims| Param { name: format!("{}.{what}", self.name), dims };
        [param("weight", dims), param("bias", vec![self.c_out])]
    }

    /// The weight of the plan's layer: (frames · `c_out`, channels, 3, 3), or the same with four phases.
    fn fold(&self, weight: &[f32]) -> (Vec<usize>, Vec<f32>) {
        let c: usize = self.parts.iter().map(|part| part.c).sum();
        let (n_phases, n_taps, kernel) = match self.how {
            How::Down => (1, DOWN_TAPS, 9),
            How::Up => (4, UP_TAPS, 4),
        };
        let channels: usize = self.parts.iter().map(|part| part.channels()).sum();
        let rows = self.n_frames * self.c_out;
        let mut folded = vec![0.0; n_phases * rows * channels * kernel];
        for phase in 0..n_phases {
            for frame in 0..self.n_frames {
                // The first frame that it reads, one further on where it is negative, and which weights it reads with.
                let (first, block) = match self.how {
                    How::Down => (2 * frame, 0),
                    How::Up => (frame / 2 + frame % 2, 4 * (frame % 2) + phase),
                };
                for o in 0..self.c_out {
                    let to = ((phase * rows) + frame * self.c_out + o) * channels;
                    let (mut behind, mut begin) = (0, 0);
                    for part in &self.parts {
                        for tap in 0..n_taps {
                            let Some(read) = (first + tap).checked_sub(1).filter(|&read| read < part.n_frames) else {
                                continue;
                            };
                            let at = begin + if part.is_still { 0 } else { read * part.c };
                            for i in 0..part.c {
                                let from = ((block * self.c_out + o) * n_taps * c + tap * c + behind + i) * kernel;
                                let to = (to + at + i) * kernel;
                                let values = weight[from..from + kernel].iter();
                                folded[to..to + kernel].iter_mut().zip(values).for_each(|(to, value)| *to += value);
                            }
                        }
                        behind += part.c;
                        begin += part.channels();
                    }
                }
            }
        }
        let dims = match self.how {
            How::Down => vec![rows, channels, 3, 3],
            How::Up => vec![4, rows, channels, 2, 2],
        };
        (dims, folded)
    }
}

/// Records a network over space and time as a plan over pictures.
#[derive(Debug)]
pub struct Folding {
    /// Where layers without time are recorded.
    pub recorder: Recorder,
    layers: Vec<FoldedLayer>,
}

impl Folding {
    /// Starts a plan.
    pub fn new(name: &str) -> Self {
        Self { recorder: Recorder::new(name), layers: Vec::new() }
    }

    /// A picture as a clip that stands still for `n_frames`.
    pub fn still(&self, id: TensorId, n_frames: usize) -> FoldedClip {
        FoldedClip { id, parts: vec![Part { n_frames, c: self.recorder.shape(id).c, is_still: true }] }
    }

    /// A tensor that holds `n_frames` frames as channels.
    pub fn frames(&self, id: TensorId, n_frames: usize) -> FoldedClip {
        let c = self.recorder.shape(id).c / n_frames;
        FoldedClip { id, parts: vec![Part { n_frames, c, is_still: false }] }
    }

    /// Ends the recording.
    pub fn end(self) -> Folded {
        Folded { plan: self.recorder.end(), layers: self.layers }
    }

    fn layer(&mut self, name: &str, how: How, x: &FoldedClip, c_out: usize, n_frames: usize) -> usize {
        let name = name.to_owned();
        self.layers.push(FoldedLayer { name, how, c_out, n_frames, parts: x.parts.clone() });
        n_frames * c_out
    }
}

impl Spacetime for Folding {
    type Clip = FoldedClip;

    fn down(&mut self, layer: &str, x: &FoldedClip, c_out: usize) -> FoldedClip {
        let n_frames = x.n_frames() / 2;
        let channels = self.layer(layer, How::Down, x, c_out, n_frames);
        let id = self.recorder.conv2d(layer, x.id, ConvSpec::new(channels).stride(2));
        self.frames(id, n_frames)
    }

    fn up(&mut self, layer: &str, x: &FoldedClip, c_out: usize, activation: Activation) -> FoldedClip {
        let n_frames = 2 * x.n_frames();
        let channels = self.layer(layer, How::Up, x, c_out, n_frames);
        let id = self.recorder.up_conv2d(layer, x.id, ConvSpec::new(channels).activation(activation));
        self.frames(id, n_frames)
    }

    fn join(&mut self, name: &str, first: &FoldedClip, second: &FoldedClip) -> FoldedClip {
        let id = self.recorder.concat(name, &[first.id, second.id]);
        FoldedClip { id, parts: first.parts.iter().chain(&second.parts).copied().collect() }
    }
}

/// A network over space and time as a plan over pictures.
#[derive(Clone, Debug)]
pub struct Folded {
    /// What executors run.
    pub plan: Plan,
    layers: Vec<FoldedLayer>,
}

impl Folded {
    /// The parameters as they learn and as files hold them: those of layers over time are not folded.
    pub fn params(&self) -> Vec<Param> {
        let folded = self.layers.iter().flat_map(FoldedLayer::params);
        let is_folded = |param: &Param| self.layer_of(&param.name).is_some();
        self.plan.params().iter().filter(|param| !is_folded(param)).cloned().chain(folded).collect()
    }

    /// The weights of the plan, made of those of [`Self::params`].
    ///
    /// # Errors
    /// [`effigy_base::error::ErrorKind::Model`] when one is missing or of other extents.
    pub fn fold(&self, tensors: &Tensors) -> Result<Tensors> {
        let mut folded = Tensors::new();
        for Param { name, dims } in self.params() {
            let values = match tensors.get(&name) {
                Some((found, values)) if *found == dims => values,
                Some((found, _)) => return Err(misfit(&name, &dims, &format!("{found:?}"))),
                None => return Err(misfit(&name, &dims, "nothing")),
            };
            let row = match self.layer_of(&name) {
                Some(layer) if name.ends_with(".bias") => {
                    (vec![layer.n_frames * dims[0]], values.repeat(layer.n_frames))
                }
                Some(layer) => layer.fold(values),
                None => (dims, values.clone()),
            };
            folded.insert(name, row);
        }
        Ok(folded)
    }

    fn layer_of(&self, param: &str) -> Option<&FoldedLayer> {
        let (layer, _) = param.rsplit_once('.')?;
        self.layers.iter().find(|folded| folded.name == layer)
    }
}
