//! `identity-driving`: a photo becomes a vector that says who, the driver's picture a few numbers that say what, and a
//! decoder paints the first doing the second.
//!
//! The vector scales and shifts what each of the decoder's layers answers: the part of adaptive normalisation that carries
//! the embedding (Zakharov et al. 2019). The statistics of a picture, which it divides by beside, are left out: without
//! them scale and shift fold into the weights once for each person, and the decoder costs nothing more.

use crate::plan::{Activation, ConvSpec, Element, Param, Plan, Recorder, Shape};
use crate::tensors::{Tensors, misfit};
use effigy_base::error::Result;

/// Width and height of the pictures, in pixels.
pub const SIZE_PX: usize = 128;
/// Numbers of the vector that says who.
pub const N_IDENTITY: usize = 128;
/// Numbers that say what the face does: too few to hold who it is.
pub const N_MOTION: usize = 48;

/// The decoder's layers from 8×8 pixels on, and their channels.
const LAYERS: [(&str, usize); 5] =
    [("decoder.linear", 96), ("decoder.up1", 64), ("decoder.up2", 48), ("decoder.up3", 32), ("decoder.up4", 16)];
const START_PX: usize = 8;

/// Records what says who: photo (3, 128, 128) in 0..1 to a vector.
pub fn identity() -> Plan {
    reader("identity", &[24, 48, 64, 96, 96], N_IDENTITY)
}

/// Records what says what the face does: picture (3, 128, 128) in 0..1 to a few numbers.
pub fn motion() -> Plan {
    reader("motion", &[16, 32, 48, 64, 64], N_MOTION)
}

fn reader(name: &str, widths: &[usize], n: usize) -> Plan {
    let mut r = Recorder::new(format!("identity-driving {name}"));
    let mut x = r.input("picture", Shape::new(3, SIZE_PX, SIZE_PX), Element::Half);
    for (i, &c) in widths.iter().enumerate() {
        x = r.conv2d(&format!("{name}.conv{}", i + 1), x, ConvSpec::new(c).stride(2));
    }
    let y = r.linear(&format!("{name}.linear"), x, Shape::new(n, 1, 1), Activation::None);
    r.output(y);
    r.end()
}

/// Records what paints: numbers of motion to a picture (3, 128, 128) in 0..1. Its weights are one person's.
pub fn decoder() -> Plan {
    let mut r = Recorder::new("identity-driving decoder");
    let mut x = r.input("motion", Shape::new(N_MOTION, 1, 1), Element::Half);
    for (i, (layer, c)) in LAYERS.into_iter().enumerate() {
        x = match i {
            0 => r.linear(layer, x, Shape::new(c, START_PX, START_PX), Activation::Leaky),
            _ => r.up_conv2d(layer, x, ConvSpec::new(c)),
        };
    }
    let y = r.conv2d("decoder.out", x, ConvSpec::new(3).activation(Activation::Sigmoid));
    r.output(y);
    r.end()
}

/// What the vector does to the decoder's layers. Of each: how many numbers are scaled and shifted.
pub fn styles() -> impl Iterator<Item = (&'static str, usize)> {
    LAYERS.into_iter().enumerate().map(|(i, (layer, c))| (layer, if i == 0 { c * START_PX * START_PX } else { c }))
}

/// The parameters of [`styles`]: for each layer a matrix of (numbers, vector), for scales and for shifts. The first layer,
/// each of whose places has numbers of its own, is shifted only.
pub fn style_params() -> Vec<Param> {
    let rows = styles().enumerate().flat_map(|(i, (layer, n))| {
        let param = move |what: &str| Param { name: format!("{layer}.{what}"), dims: vec![n, N_IDENTITY] };
        [(i > 0).then(|| param("scale")), Some(param("shift"))]
    });
    rows.flatten().collect()
}

/// The decoder's weights for one person: y (1 + scale · v) + shift · v, folded into weight and bias.
///
/// # Errors
/// [`effigy_base::error::ErrorKind::Model`] when a tensor is missing.
pub(super) fn fold(tensors: &Tensors, vector: &[f32]) -> Result<Tensors> {
    let get = |name: String| match tensors.get(&name) {
        Some(row) => Ok(row.clone()),
        None => Err(misfit(&name, &[], "nothing")),
    };
    let by_vector = |name: String| -> Result<Vec<f32>> {
        let (_, matrix) = get(name)?;
        Ok(matrix.chunks(N_IDENTITY).map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect())
    };
    let mut folded = Tensors::new();
    for (i, (layer, n)) in styles().enumerate() {
        let shifts = by_vector(format!("{layer}.shift"))?;
        let scales = if i > 0 { by_vector(format!("{layer}.scale"))? } else { vec![0.0; n] };
        let (dims, mut weight) = get(format!("{layer}.weight"))?;
        // Of the phases of a transposed convolution each has all rows.
        let rows = if dims.len() == 5 { dims[0] * dims[1] } else { dims[0] };
        let each = weight.len() / rows.max(1);
        for (row, values) in weight.chunks_mut(each).enumerate() {
            values.iter_mut().for_each(|value| *value *= 1.0 + scales[row % n]);
        }
        let (of_bias, mut bias) = get(format!("{layer}.bias"))?;
        for ((value, scale), shift) in bias.iter_mut().zip(&scales).zip(&shifts) {
            *value = *value * (1.0 + scale) + shift;
        }
        folded.insert(format!("{layer}.weight"), (dims, weight));
        folded.insert(format!("{layer}.bias"), (of_bias, bias));
    }
    for name in ["decoder.out.weight", "decoder.out.bias"] {
        folded.insert(name.to_owned(), get(name.to_owned())?);
    }
    Ok(folded)
}

/// All that its file holds.
pub(super) fn params() -> Vec<Param> {
    [identity(), motion(), decoder()].iter().flat_map(|plan| plan.params().to_vec()).chain(style_params()).collect()
}
