//! The autoencoder of `vae` and `vae-gan`.
//!
//! Seven convolutions and three linear layers, counted over both networks: three convolutions of stride 2 that halve the
//! picture, two linear layers for mean and log variance; one linear layer back, three transposed convolutions that mirror
//! the others, and one convolution for the colours. `vae-gan` is the same network, taught with an adversary beside.

use crate::plan::{Activation, ConvSpec, Element, Plan, Recorder, Shape};

/// Numbers of a latent.
pub const N_LATENT: usize = 200;

/// Widths and heights of the pictures, in pixels.
pub const SIZES_PX: [usize; 2] = [64, 128];

/// Records the encoder of pictures of `size_px`: picture (3, s, s) in 0..1 to mean and log variance, (200, 1, 1) each.
pub fn encoder(size_px: usize) -> Plan {
    let mut r = Recorder::new(format!("family encoder {size_px}"));
    let mut x = r.input("picture", Shape::new(3, size_px, size_px), Element::Half);
    for (i, c) in widths(size_px).into_iter().enumerate() {
        x = r.conv2d(&format!("encoder.conv{}", i + 1), x, ConvSpec::new(c).stride(2));
    }
    for head in ["encoder.mean", "encoder.log_variance"] {
        let y = r.linear(head, x, Shape::new(N_LATENT, 1, 1), Activation::None);
        r.output(y);
    }
    r.end()
}

/// Records the decoder of pictures of `size_px`: latent (200, 1, 1) to picture (3, s, s) in 0..1.
pub fn decoder(size_px: usize) -> Plan {
    let mut r = Recorder::new(format!("family decoder {size_px}"));
    let latent = r.input("latent", Shape::new(N_LATENT, 1, 1), Element::Half);
    let [first, second, deepest] = widths(size_px);
    let side = size_px / 8;
    let mut x = r.linear("decoder.linear", latent, Shape::new(deepest, side, side), Activation::Leaky);
    for (i, c) in [second, first, first / 2].into_iter().enumerate() {
        x = r.up_conv2d(&format!("decoder.up{}", i + 1), x, ConvSpec::new(c));
    }
    let y = r.conv2d("decoder.out", x, ConvSpec::new(3).activation(Activation::Sigmoid));
    r.output(y);
    r.end()
}

/// Channels after each of the encoder's convolutions. The linear layers hold most weights, so a larger picture has fewer
/// channels before them.
fn widths(size_px: usize) -> [usize; 3] {
    [32, 64, if size_px > 64 { 32 } else { 64 }]
}
