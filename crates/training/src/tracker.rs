//! The face tracker with gradients: what it reads from a picture, and how that changes with the picture's pixels.
//!
//! A picture can be right by its pixels and still express something else: lips that are two pixels apart where they should
//! touch cost next to nothing. [`FrozenTracker`] runs the program's own landmark network and the distilled expression
//! network (`models/expression_space.safetensors`), so that training can ask that the picture reads as it shall.

use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use glam::Vec2;
use safetensors::SafeTensors;

use super::group::Group;
use super::warping::gather;
use effigy_base::error::{Error, ErrorKind, Result};
use effigy_base::geometry::{EXPRESSION_POINTS, N_LANDMARKS};
use effigy_network::models::Model;

use self::graph::{Array, Network, Node};

mod graph;

/// Width and height of what the landmark network takes, in pixels.
const CROP_PX: usize = 256;
/// The outer corners of the eyes.
const EYE_CORNERS: [usize; 2] = [33, 263];
/// Side of the crop over the face's larger extent, as the tracker has it.
const CROP_PER_FACE: f32 = 1.5;

/// The tracker's networks. Nothing here learns.
pub struct FrozenTracker {
    landmarks: Vec<Step>,
    n_values: usize,
    /// Where the network's answer is.
    answer: usize,
    /// Columns of x and y among the answer's x, y, z.
    columns: Tensor<1, Int>,
    expression: Expression,
}

/// What the tracker reads from pictures.
pub struct Reading {
    /// (n, 2 · 478): x and y of each point, in sides of the crop.
    pub points: Tensor<2>,
    /// (n, 52): coefficients, 0..1.
    pub coefficients: Tensor<2>,
}

/// Where the pixels of the tracker's crops are in their pictures, in pixels: 0 is the first pixel's centre.
#[derive(Clone)]
pub struct Crops {
    /// (n, 1, 256, 256).
    u_px: Tensor<4>,
    /// (n, 1, 256, 256).
    v_px: Tensor<4>,
    /// (n, 2 · 478): the points that the frames were asked for, in sides of the crop.
    asked: Tensor<2>,
}

impl Crops {
    /// The crops around the points of a group's frames.
    pub fn new(group: &Group, device: &Device) -> Self {
        let (n, size) = (group.n_frames, group.size_px as f32);
        let (mut u, mut v, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        for points in group.points.chunks_exact(2 * N_LANDMARKS) {
            let at = |i: usize| Vec2::new(points[2 * i], points[2 * i + 1]) * size;
            let all = || (0..N_LANDMARKS).map(at);
            let (low, high) = (all().fold(Vec2::MAX, Vec2::min), all().fold(Vec2::MIN, Vec2::max));
            let side_px = (CROP_PER_FACE * (high - low).max_element()).max(1.0);
            let across = (at(EYE_CORNERS[1]) - at(EYE_CORNERS[0])).normalize_or(Vec2::X);
            let (centre, down) = (0.5 * (low + high), across.perp());
            for y in 0..CROP_PX {
                for x in 0..CROP_PX {
                    let [x, y] = [x, y].map(|i| ((i as f32 + 0.5) / CROP_PX as f32 - 0.5) * side_px);
                    let place = centre + across * x + down * y - 0.5;
                    u.push(place.x);
                    v.push(place.y);
                }
            }
            asked.extend(all().flat_map(|point| {
                let from_centre = (point - centre) / side_px;
                [from_centre.dot(across) + 0.5, from_centre.dot(down) + 0.5]
            }));
        }
        let places = |values| Tensor::from_data(TensorData::new::<f32, _>(values, [n, 1, CROP_PX, CROP_PX]), device);
        let asked = Tensor::from_data(TensorData::new::<f32, _>(asked, [n, 2 * N_LANDMARKS]), device);
        Self { u_px: places(u), v_px: places(v), asked }
    }

    /// Cuts them out of pictures (n, 3, s, s).
    fn cut(&self, pictures: &Tensor<4>) -> Tensor<4> {
        let [n, _, _, _] = pictures.dims();
        let one = |i| {
            let place = |x: &Tensor<4>| x.clone().narrow(0, i, 1);
            gather(place(pictures), place(&self.u_px), place(&self.v_px))
        };
        Tensor::cat((0..n).map(one).collect(), 0)
    }
}

impl FrozenTracker {
    /// Puts the networks on a device. Autodiff of the device does not matter: the weights are constants.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when a file is torn or another one.
    pub fn load(device: &Device) -> Result<Self> {
        let device = &device.clone().without_autodiff();
        let model = Model::FaceLandmarks;
        let network = graph::read(&model.read()?)
            .map_err(|error| Error::new(ErrorKind::Model, format!("{}: {error}", model.file_name())))?;
        let (landmarks, n_values, answer) = steps(&network, device)
            .map_err(|error| Error::new(ErrorKind::Model, format!("{}: {error}", model.file_name())))?;
        let columns: Vec<i32> = (0..N_LANDMARKS as i32).flat_map(|i| [3 * i, 3 * i + 1]).collect();
        Ok(Self {
            landmarks,
            n_values,
            answer,
            columns: Tensor::from_ints(columns.as_slice(), device),
            expression: Expression::load(device)?,
        })
    }

    /// Reads pictures (n, 3, s, s), 0..1, in their crops.
    pub fn read(&self, pictures: &Tensor<4>, crops: &Crops) -> Reading {
        let [n, _, _, _] = pictures.dims();
        let mut values: Vec<Option<Tensor<4>>> = vec![None; self.n_values];
        values[0] = Some(crops.cut(pictures));
        for step in &self.landmarks {
            step.run(&mut values);
        }
        let Some(answer) = values.swap_remove(self.answer) else { unreachable!("the last step writes the answer") };
        let points = answer.reshape([n, 3 * N_LANDMARKS]).select(1, self.columns.clone()) / CROP_PX as f32;
        Reading { coefficients: self.expression.of(&points), points }
    }

    /// What it would read from a picture that shows what was asked for.
    pub fn asked(&self, crops: &Crops) -> Reading {
        Reading { points: crops.asked.clone(), coefficients: self.expression.of(&crops.asked) }
    }
}

/// A step of the landmark network: what it does, from which values, to which.
struct Step {
    kind: Kind,
    from: [usize; 2],
    to: usize,
}

enum Kind {
    Convolution(Box<Convolution>),
    /// A depthwise convolution of one pixel.
    Scale(Box<Tensor<4>>),
    Relu,
    Add,
    MaxPool,
    /// Channels of zeros behind those that are there.
    Widen(usize),
}

struct Convolution {
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
}

impl Step {
    fn run(&self, values: &mut [Option<Tensor<4>>]) {
        let value = |i: usize| match &values[self.from[i]] {
            Some(value) => value.clone(),
            None => unreachable!("steps are in order"),
        };
        let x = value(0);
        let y = match &self.kind {
            Kind::Convolution(of) => conv2d(x, of.weight.clone(), of.bias.clone(), of.options.clone()),
            Kind::Scale(factors) => x * factors.as_ref().clone(),
            Kind::Relu => activation::relu(x),
            Kind::Add => x + value(1),
            Kind::MaxPool => max_pool2d(x, MaxPoolOptions::new([2, 2])),
            Kind::Widen(by) => {
                let [n, _, h, w] = x.dims();
                let zeros = Tensor::zeros([n, *by, h, w], &x.device());
                Tensor::cat(vec![x, zeros], 1)
            }
        };
        values[self.to] = Some(y);
    }
}

/// The network's steps up to its points, how many values they have, and which is the answer; value 0 is the picture
/// (n, 3, h, w).
fn steps(network: &Network, device: &Device) -> std::result::Result<(Vec<Step>, usize, usize), String> {
    use std::collections::BTreeMap;
    let mut constants = network.constants.clone();
    let mut values = BTreeMap::<&str, usize>::new();
    let (mut steps, mut n_values) = (Vec::new(), 1);
    for node in &network.nodes {
        let input = |i: usize| node.inputs.get(i).map(String::as_str).unwrap_or_default();
        let [output] = node.outputs.as_slice() else { return Err(format!("{}: expected one output", node.op)) };
        let known =
            |i: usize| values.get(input(i)).copied().ok_or_else(|| format!("{}: no value {}", node.op, input(i)));
        let kind = match node.op.as_str() {
            // Weights are stored in half precision.
            "Cast" => {
                let array = constants.get(input(0)).ok_or("expected casts of constants only")?.clone();
                constants.insert(output.clone(), array);
                continue;
            }
            // The picture comes as channels already, and the answer is one pixel.
            "Transpose" | "Identity" => {
                let at = values.get(input(0)).copied().unwrap_or(0);
                if output == "Identity" {
                    return Ok((steps, n_values, at));
                }
                values.insert(output, at);
                continue;
            }
            "Conv" => convolution(node, &constants, device)?,
            "Relu" => Kind::Relu,
            "Add" => Kind::Add,
            "MaxPool" => Kind::MaxPool,
            "Pad" => {
                let pads = constants.get(input(1)).ok_or("Pad: expected constant pads")?;
                match pads.values.as_slice() {
                    [0.0, 0.0, 0.0, 0.0, 0.0, by, 0.0, 0.0] => Kind::Widen(*by as usize),
                    other => return Err(format!("Pad: expected channels behind the others, found {other:?}")),
                }
            }
            // Of the other two answers.
            "Sigmoid" | "Reshape" => continue,
            other => return Err(format!("expected no {other}")),
        };
        let from = [known(0)?, if matches!(kind, Kind::Add) { known(1)? } else { 0 }];
        steps.push(Step { kind, from, to: n_values });
        values.insert(output, n_values);
        n_values += 1;
    }
    Err("expected an answer called Identity".to_owned())
}

fn convolution(
    node: &Node,
    constants: &std::collections::BTreeMap<String, Array>,
    device: &Device,
) -> std::result::Result<Kind, String> {
    let constant = |i: usize| node.inputs.get(i).and_then(|name| constants.get(name));
    let number = |name: &str, otherwise: usize| {
        node.numbers.get(name).and_then(|values| values.first()).map_or(otherwise, |value| *value as usize)
    };
    let weight = constant(1).ok_or("Conv: expected constant weights")?;
    let &[n_out, n_in, h, w] = weight.dims.as_slice() else {
        return Err(format!("Conv: expected weights of 4 extents, found {:?}", weight.dims));
    };
    let groups = number("group", 1);
    let values = weight.values.clone();
    if groups == n_out && (n_in, h, w) == (1, 1, 1) && constant(2).is_none() {
        let factors = Tensor::from_data(TensorData::new(values, [1, n_out, 1, 1]), device);
        return Ok(Kind::Scale(Box::new(factors)));
    }
    let pads = node.numbers.get("pads").map_or(Ok([0; 4]), |pads| match pads.as_slice() {
        [a, b, c, d] => Ok([*a, *b, *c, *d].map(|pad| pad as usize)),
        other => Err(format!("Conv: expected 4 pads, found {other:?}")),
    })?;
    let [top, left, bottom, right] = pads;
    let stride = number("strides", 1);
    Ok(Kind::Convolution(Box::new(Convolution {
        weight: Tensor::from_data(TensorData::new(values, [n_out, n_in, h, w]), device),
        bias: constant(2).map(|bias| Tensor::from_data(TensorData::new(bias.values.clone(), [n_out]), device)),
        options: ConvOptions::new_with_padding([stride; 2], [(top, bottom), (left, right)], [1, 1], groups),
    })))
}

/// The distilled expression network: a perceptron with two hidden layers and a linear path.
struct Expression {
    columns: Tensor<1, Int>,
    hidden: [(Tensor<2>, Tensor<2>); 2],
    skip: Tensor<2>,
    out: (Tensor<2>, Tensor<2>),
}

impl Expression {
    fn load(device: &Device) -> Result<Self> {
        let torn = |what: &str| {
            Error::new(ErrorKind::Model, format!("the expression space has no {what}; build from a clean checkout"))
        };
        let bytes = include_bytes!("../../../models/expression_space.safetensors");
        let file = SafeTensors::deserialize(bytes).map_err(|_| torn("header"))?;
        // (out, in) in the file, (in, out) here; a bias as one row.
        let matrix = |name: &str| -> Result<Tensor<2>> {
            let tensor = file.tensor(name).map_err(|_| torn(name))?;
            let values: Vec<f32> = match tensor.dtype() {
                safetensors::Dtype::F32 => {
                    tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
                }
                safetensors::Dtype::F16 => {
                    tensor.data().as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect()
                }
                _ => return Err(torn(name)),
            };
            match *tensor.shape() {
                [n_out, n_in] => Ok(Tensor::<2>::from_data(TensorData::new(values, [n_out, n_in]), device).transpose()),
                [n] => Ok(Tensor::from_data(TensorData::new(values, [1, n]), device)),
                _ => Err(torn(name)),
            }
        };
        let layer = |name: &str| -> Result<(Tensor<2>, Tensor<2>)> {
            Ok((matrix(&format!("{name}.weight"))?, matrix(&format!("{name}.bias"))?))
        };
        let columns: Vec<i32> = EXPRESSION_POINTS.iter().flat_map(|&i| [2 * i as i32, 2 * i as i32 + 1]).collect();
        Ok(Self {
            columns: Tensor::from_ints(columns.as_slice(), device),
            hidden: [layer("in")?, layer("hidden")?],
            skip: matrix("skip.weight")?,
            out: layer("out")?,
        })
    }

    /// (n, 2 · 478) points of a picture, in any unit, to (n, 52).
    fn of(&self, points: &Tensor<2>) -> Tensor<2> {
        let n_points = EXPRESSION_POINTS.len();
        let [n, _] = points.dims();
        let places: Tensor<3> = points.clone().select(1, self.columns.clone()).reshape([n, n_points, 2]);
        let from_middle = places.clone() - places.mean_dim(1);
        let distances = (from_middle.clone().square().sum_dim(2) + 1e-12).sqrt();
        let inputs: Tensor<2> = (from_middle / (distances.mean_dim(1) + 1e-6)).reshape([n, 2 * n_points]);
        let layer = |x: Tensor<2>, (weight, bias): &(Tensor<2>, Tensor<2>)| x.matmul(weight.clone()) + bias.clone();
        let hidden = self.hidden.iter().fold(inputs.clone(), |x, weights| layer(x, weights).tanh());
        activation::sigmoid(layer(hidden, &self.out) + inputs.matmul(self.skip.clone()))
    }
}

#[cfg(test)]
mod tests;
