//! The finished picture.

use super::graph::{Graph, unfit};
use super::{PICTURE, Port, PortKind};
use crate::error::Result;
use crate::generate::cpu::segment::name;
use crate::generate::plan::{Finish, PLACES_PER_PX, PhotoLevels, PictureFormat, TensorId};
use crate::onnx::writer::{Attribute, Extent, FLOAT, UINT8};
use effigy_network::kernels::finish::FADES_FROM;

impl Graph<'_> {
    pub(super) fn finish(&mut self, op: &Finish) -> Result<()> {
        if op.format != PictureFormat::Rgba || op.background.is_some() {
            return Err(unfit("another format than RGBA, or with a background,"));
        }
        let shape = self.plan.finish_shape(op);
        let size = shape.size as usize;
        let square = [size, size];
        let (is_drawn, mesh) = self.unpacked_places(op.map, size, op.margin_px);
        let mixed = self.mixed(op.mix, op.pose, square);
        let uv = self.mixed_places(&mixed, &mesh, square);
        let levels = PhotoLevels::new(size, op.margin_px, shape.h as usize);
        let at = self.within_photo(&uv, size, &levels);
        let [photo, fine, coarse] = self.levels(op.photo, &at, size, &levels);
        let shown = self.shown_bands(&at, size, &levels);

        let decoded = self.read(op.decoded);
        let decoded = self.resized(&decoded, [shape.h as usize, shape.w as usize], square);
        let gates = self.read(op.gates);
        let gates = self.resized(&gates, [shape.h_gates as usize, shape.w_gates as usize], square);
        let rgb = |graph: &mut Self, of: &str| graph.slice(of, 1, 0, 3, 1);
        let (whole, fine, coarse) = (rgb(self, &photo), rgb(self, &fine), rgb(self, &coarse));
        let (mut painted, mut photo_rgb) = (rgb(self, &decoded), coarse.clone());
        for (k, (finer, coarser)) in [(&whole, &fine), (&fine, &coarse)].into_iter().enumerate() {
            let band = self.binary("Sub", finer, coarser);
            let band = self.times(&shown[k], &band);
            photo_rgb = self.plus(&photo_rgb, &band);
            let gate = self.channel(&gates, k as i64);
            let band = self.times(&gate, &band);
            painted = self.plus(&painted, &band);
        }

        let with_mesh = self.channel(&mixed, 6);
        let unmeshed = self.rest_of(&with_mesh);
        let one = self.number(&[], &[1.0]);
        let seen = self.model().node("Where", &[&is_drawn, &one, &unmeshed], &[]);
        let trust = self.channel(&decoded, 4);
        let distrust = self.rest_of(&trust);
        let photo_alpha = self.channel(&photo, 3);
        let of_photo = self.times(&distrust, &photo_alpha);
        let of_photo = self.times(&of_photo, &seen);
        let decoded_alpha = self.channel(&decoded, 3);
        let of_decoder = self.times(&trust, &decoded_alpha);
        let alpha = self.plus(&of_photo, &of_decoder);
        let from_photo = self.times(&of_photo, &photo_rgb);
        let from_decoder = self.times(&of_decoder, &painted);
        let sum = self.plus(&from_photo, &from_decoder);
        let least = self.number(&[], &[1.0 / 512.0]);
        let divisor = self.binary("Max", &alpha, &least);
        let colour = self.binary("Div", &sum, &divisor);
        let (colour, alpha) = match op.badge {
            Some(badge) => self.badged(badge, &colour, &alpha, size),
            None => (colour, alpha),
        };
        let picture = self.stack(&[&colour, &alpha]);
        let picture = self.clip(&picture, 0.0, 1.0);
        let picture = self.scaled(&picture, 255.0, 0.5);
        let picture = self.model().node("Transpose", &[&picture], &[("perm", Attribute::Ints(&[0, 2, 3, 1]))]);
        self.model().node_to("Cast", &[&picture], &[("to", Attribute::Int(UINT8 as i64))], PICTURE);
        let extents = [Extent::Batch, Extent::Fixed(size), Extent::Fixed(size), Extent::Fixed(4)];
        self.model().output_of(PICTURE, UINT8, &extents);
        Ok(())
    }

    /// Which pixels the mesh was drawn into (n, 1, s, s), and the mesh's places (n, 2, s, s), a pixel's own where it was
    /// not.
    fn unpacked_places(&mut self, map: TensorId, size: usize, margin_px: usize) -> (String, String) {
        let bytes = self.cast(&name(map), FLOAT);
        let bytes = self.model().node("Transpose", &[&bytes], &[("perm", Attribute::Ints(&[0, 3, 1, 2]))]);
        let (low, high) = (self.slice(&bytes, 1, 0, 4, 2), self.slice(&bytes, 1, 1, 4, 2));
        let byte = self.number(&[], &[256.0]);
        let high = self.times(&high, &byte);
        let steps = self.plus(&low, &high);
        let across = self.channel(&steps, 0);
        let undrawn = self.number(&[], &[65_535.0]);
        let is_drawn = self.binary("Less", &across, &undrawn);
        let size_px = size as f32;
        let places = self.scaled(&steps, 1.0 / (PLACES_PER_PX * size_px), -(margin_px as f32) / size_px);
        let own = self.centres([size, size]);
        let axes = [0, 1].map(|axis| {
            let place = self.channel(&places, axis);
            self.model().node("Where", &[&is_drawn, &place, &own[axis as usize]], &[])
        });
        let mesh = self.stack(&[&axes[0], &axes[1]]);
        (is_drawn, mesh)
    }

    /// Places (n, 2, s, s) in parts of the photo with its margin, within its outermost centres.
    fn within_photo(&mut self, uv: &str, size: usize, levels: &PhotoLevels) -> String {
        let side = levels.side_px as f32;
        let margin = (levels.side_px - size) as f32 / 2.0;
        let at = self.scaled(uv, size as f32 / side, margin / side);
        let [(_, whole_px), ..] = levels.squares();
        let outermost = 0.5 / whole_px as f32;
        self.clip(&at, outermost, 1.0 - outermost)
    }

    /// How much of the finest and of the finer band shows, (n, 1, s, s) each, the same in each 2 × 2 pixels.
    fn shown_bands(&mut self, at: &str, size: usize, levels: &PhotoLevels) -> [String; 2] {
        let end = size as i64;
        let one_of_four = |graph: &mut Self, row: i64, column: i64| {
            let rows = graph.slice(at, 2, row, end, 2);
            graph.slice(&rows, 3, column, end, 2)
        };
        let first = one_of_four(self, 0, 0);
        let steps = [(0, 1), (1, 0)].map(|(row, column)| {
            let next = one_of_four(self, row, column);
            let step = self.binary("Sub", &next, &first);
            let squares = self.times(&step, &step);
            let (across, down) = (self.channel(&squares, 0), self.channel(&squares, 1));
            self.plus(&across, &down)
        });
        let longest = self.binary("Max", &steps[0], &steps[1]);
        let longest = self.model().node("Sqrt", &[&longest], &[]);
        [levels.side_px, levels.fine_px].map(|level_px| {
            let shown = self.scaled(&longest, -(level_px as f32) / FADES_FROM, 2.0);
            let shown = self.clip(&shown, 0.0, 1.0);
            self.doubled(&shown)
        })
    }

    /// The photo's levels at each of places that [`Self::within_photo`] made, (n, 4, s, s) each, 0..1.
    fn levels(&mut self, photo: TensorId, at: &str, size: usize, levels: &PhotoLevels) -> [String; 3] {
        let stride = levels.shape().w;
        let grid = self.grid(at, 1.0, 0.0);
        let is_shared = self.is_held(photo);
        let photo = self.cast(&name(photo), FLOAT);
        let unit = self.number(&[], &[1.0 / 255.0]);
        levels.squares().map(|(first, px)| {
            let (row, column, px) = ((first / stride) as i64, (first % stride) as i64, px as i64);
            let rows = self.slice(&photo, 2, row, row + px, 1);
            let level = self.slice(&rows, 3, column, column + px, 1);
            let level = self.times(&level, &unit);
            self.sample(&level, is_shared, &grid, 4, [size, size])
        })
    }

    /// Colour and alpha under the badge in the lower right corner.
    fn badged(&mut self, badge: TensorId, colour: &str, alpha: &str, size: usize) -> (String, String) {
        let shape = self.plan.tensor(badge).shape;
        let badge = self.cast(&name(badge), FLOAT);
        let unit = self.number(&[], &[1.0 / 255.0]);
        let badge = self.times(&badge, &unit);
        let before = [0, 0, (size - shape.h) as i64, (size - shape.w) as i64, 0, 0, 0, 0];
        let before = self.model().ints(&before);
        let badge = self.model().node("Pad", &[&badge, &before], &[]);
        let (ink, over) = (self.slice(&badge, 1, 0, 3, 1), self.channel(&badge, 3));
        let change = self.binary("Sub", &ink, colour);
        let change = self.times(&over, &change);
        let colour = self.plus(colour, &change);
        let under = self.rest_of(alpha);
        let more = self.times(&over, &under);
        (colour, self.plus(alpha, &more))
    }
}

/// What the picture is as an output of the model.
pub(super) fn picture_port(size_px: usize) -> Port {
    Port { name: PICTURE.to_owned(), kind: PortKind::Bytes, dims: vec![size_px, size_px, 4] }
}
