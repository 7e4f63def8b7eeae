//! The mesh warp: the portrait itself, moved by the face mesh, without a network.
//!
//! One sheet covers the whole picture: the 898 triangles of the face mesh, and rings around it that
//! carry hair, neck and background (`surround`). Both are drawn nearest first into a map from
//! output to portrait; lids, irises and teeth correct the map; one bilinear gather reads colour and
//! alpha; the mouth's cavity is painted last.

use std::sync::Arc;

use glam::{Vec2, Vec3};

use self::edges::Edges;
use self::eyes::Eyes;
use self::mesh::Triangle;
pub(super) use self::mesh::{LOWER_LIP, UPPER_LIP};
use self::mouth::Mouth;
pub(crate) use self::raster::Canvas;
use self::raster::{Corner, Part};
use self::source::Source;
use self::surround::Surround;
pub(super) use self::surround::smoothstep;

use super::views::{Mix, Views, mix, portraits};
use super::{Generator, Portrait};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::{Grey, Rgb, Rgba};
use crate::geometry::{FaceShape, HeadPlacement, Landmarks, N_LANDMARKS};
use crate::identity::Identity;
use crate::signal::{DenseMotion, DrivingSignal};

mod edges;
mod eyes;
mod mesh;
mod mouth;
mod raster;
mod source;
mod surround;

/// What turns away is drawn behind everything else, in multiples of the face width: it only fills gaps.
const TURNED_AWAY: f32 = 20.0;

/// The generator without a network; runs on one CPU core.
pub struct WarpGenerator {
    is_source_of_output_size: bool,
    /// Whether it goes along with what moves beside the mesh.
    is_dense: bool,
    triangles: Vec<Triangle>,
    canvas: Canvas,
    edges: Edges,
    target: Landmarks,
    adopted: Option<Adopted>,
    /// Where the identity has more than one view: all but the adopted one.
    others: Option<Others>,
}

/// The views of an identity beside the one that is adopted.
struct Others {
    views: Views,
    /// By view; `None` for the one that is adopted.
    resting: Vec<Option<Adopted>>,
    /// The one that is adopted.
    taken: usize,
    back: Portrait,
}

/// What is known of an identity before any frame.
struct Adopted {
    shape: FaceShape,
    source: Source,
    /// The head at rest, in output pixels.
    rest: HeadPlacement,
    /// The head at rest, in source pixels.
    source_rest: HeadPlacement,
    /// The portrait's points, in source pixels.
    source_points: [Vec2; N_LANDMARKS],
    surround: Surround,
    eyes: Eyes,
    mouth: Mouth,
}

impl WarpGenerator {
    /// Makes a generator of square pictures of `size_px` pixels.
    pub fn new(size_px: usize) -> Self {
        Self::over(Canvas::new(size_px, false))
    }

    fn over(canvas: Canvas) -> Self {
        let size_px = canvas.size_px();
        Self {
            is_source_of_output_size: false,
            is_dense: false,
            triangles: mesh::triangles(),
            canvas,
            edges: Edges::new(size_px),
            target: [Vec3::ZERO; N_LANDMARKS],
            adopted: None,
            others: None,
        }
    }

    /// Makes one whose map a network follows: the source is as large as the output, whatever the portrait is, and what
    /// moves beside the mesh is in the map; a network can refuse it, the bare warp cannot. A second thread shares the drawing.
    pub(crate) fn for_network(size_px: usize) -> Self {
        let is_shared = std::thread::available_parallelism().is_ok_and(|n| n.get() > 1);
        Self { is_source_of_output_size: true, is_dense: true, ..Self::over(Canvas::new(size_px, is_shared)) }
    }

    /// Where the face's points are in the last generated picture: pixels, z away from the camera.
    pub fn landmarks_px(&self) -> &Landmarks {
        &self.target
    }

    /// Where each pixel comes from, in pixels of [`Self::source_pixels`], after [`Self::follow`].
    pub(crate) fn canvas(&self) -> &Canvas {
        &self.canvas
    }

    /// The adopted portrait as it is read: RGBA with a margin of an eighth of its size on each side; empty without one.
    pub(crate) fn source_pixels(&self) -> &[u32] {
        self.adopted.as_ref().map_or(&[], |adopted| adopted.source.pixels())
    }

    /// Takes a face as the one to move: its shape in pixels of a square picture, the picture, and its matte.
    ///
    /// # Errors
    /// When a picture operation fails.
    pub(crate) fn take(&mut self, shape: &FaceShape, portrait: &Rgb, matte: &Grey) -> Result<()> {
        let size = self.canvas.size_px();
        // A source larger than the output would have to be filtered in each frame; once is enough.
        let source_px = if self.is_source_of_output_size { size } else { portrait.width_px().min(size) };
        let source = Source::new(portrait, matte, source_px)?;
        let rest = HeadPlacement::at_rest(shape, size as f32 / portrait.width_px() as f32);
        let scale = source.per_output(size);
        let margin = Vec2::splat(source.margin_px());
        let source_from_output = |at: Vec2| at * scale + margin;
        let source_rest = HeadPlacement {
            centre_px: source_from_output(rest.centre_px),
            width_px: rest.width_px * scale,
            rotation: rest.rotation,
        };
        let source_points = std::array::from_fn(|i| source_rest.project(shape.points[i]).truncate());
        self.adopted = Some(Adopted {
            surround: Surround::new(shape, &rest, size, &source, source_from_output),
            eyes: Eyes::new(&source_points),
            mouth: Mouth::new(shape, &source_points, &source, size),
            shape: shape.clone(),
            source,
            rest,
            source_rest,
            source_points,
        });
        Ok(())
    }

    /// Finds where each pixel comes from for `signal`.
    ///
    /// # Errors
    /// When no identity was adopted.
    pub(crate) fn follow(&mut self, signal: &DrivingSignal) -> Result<()> {
        let adopted = self
            .adopted
            .as_mut()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "asked for a picture before an identity was adopted"))?;
        let size = self.canvas.size_px();
        let placement = signal.placement(&adopted.rest, size);
        signal.landmarks_px(&adopted.shape, &placement, &mut self.target);
        let dense = if self.is_dense { &signal.dense } else { &DenseMotion::NONE };
        for (point, shift) in self.target.iter_mut().zip(&dense.points) {
            *point += (*shift * placement.width_px).extend(0.0);
        }
        adopted.eyes.follow(signal, dense, &adopted.source_rest);

        let mut shifts = source_shifts(adopted, &placement);
        for (i, shift) in adopted.mouth.lip_shifts(signal, &adopted.source_rest) {
            shifts[i] += shift;
        }
        self.canvas.clear();
        draw_face(&self.triangles, adopted, &placement, &shifts, &self.target, &mut self.canvas);
        adopted.surround.draw(&placement, signal, dense, &self.target, &shifts, &mut self.canvas);
        self.canvas.finish();
        adopted.eyes.look(&self.target, &mut self.canvas);
        adopted.mouth.open(&placement, &self.target, &mut self.canvas);
        Ok(())
    }
}

impl Generator for WarpGenerator {
    fn name(&self) -> &str {
        "warp"
    }

    fn backend(&self) -> &str {
        "cpu"
    }

    fn adopt(&mut self, identity: Arc<Identity>) -> Result<()> {
        self.others = None;
        let mut resting = Vec::new();
        for view in portraits(&identity) {
            self.take(&view.shape, &view.portrait, &view.matte)?;
            resting.push(self.adopted.take());
        }
        self.adopted = resting[0].take();
        // What a network follows is one view.
        if resting.len() > 1 {
            let size_px = self.canvas.size_px();
            let views = Views::new(&identity, size_px);
            let back = Portrait { picture: Rgba::new(size_px, size_px) };
            self.others = Some(Others { views, resting, taken: 0, back });
        }
        Ok(())
    }

    fn set_time(&mut self, now: Timestamp) {
        if let Some(others) = &mut self.others {
            others.views.set_time(now);
        }
    }

    fn generate(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        let Some(mut others) = self.others.take() else { return self.draw(signal, portrait) };
        let drawn = self.draw_nearest(&mut others, signal, portrait);
        self.others = Some(others);
        drawn
    }
}

impl WarpGenerator {
    /// Draws the view that shows most nearly what `signal` asks for, mixed with the one that gives way to it.
    fn draw_nearest(&mut self, others: &mut Others, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        let Mix { front, back } = others.views.choose(signal);
        if let Some((back, share)) = back {
            self.exchange(others, back);
            let mut picture = std::mem::take(&mut others.back);
            self.draw(others.views.signal_of(back, signal), &mut picture)?;
            others.back = picture;
            self.exchange(others, front);
            self.draw(others.views.signal_of(front, signal), portrait)?;
            mix(&mut portrait.picture, &others.back.picture, share);
            return Ok(());
        }
        self.exchange(others, front);
        self.draw(others.views.signal_of(front, signal), portrait)
    }

    /// Adopts another view; no more than a swap.
    fn exchange(&mut self, others: &mut Others, view: usize) {
        if others.taken != view {
            others.resting[others.taken] = std::mem::replace(&mut self.adopted, others.resting[view].take());
            others.taken = view;
        }
    }

    /// Draws the adopted view.
    fn draw(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        self.follow(signal)?;
        let Some(adopted) = &self.adopted else { return Ok(()) };
        let size = self.canvas.size_px();
        portrait.picture.reshape(size, size);
        let rows = portrait.picture.data_mut().chunks_exact_mut(size * 4);
        for (y, row) in rows.enumerate() {
            for (pixel, at) in row.as_chunks_mut::<4>().0.iter_mut().zip(self.canvas.row(y)) {
                *pixel = at.map_or([0; 4], |at| adopted.source.sample(at));
            }
        }
        self.edges.smooth(&self.canvas, adopted.source.per_output(size), &mut portrait.picture);
        adopted.mouth.paint(&self.target, &mut portrait.picture);
        Ok(())
    }
}

/// How far from their place the points read, in source pixels: what turns towards us reads further inside the face.
///
/// The portrait shows the sides of the face edge-on, mixed with hair and ears. Stretched wide they
/// would smear; skin from further inside is the better guess. Nothing changes at the portrait's own pose.
fn source_shifts(adopted: &Adopted, placement: &HeadPlacement) -> [Vec2; N_LANDMARKS] {
    /// Distance from the middle of the face, in face widths, from where on its sides begin.
    const SIDE: f32 = 0.5;
    let aside = (adopted.source_rest.rotation * Vec3::X).truncate() * adopted.source_rest.width_px;
    let points = &adopted.shape.points;
    std::array::from_fn(|i| {
        let point = points[i];
        let beyond = (point.x.abs() - SIDE).max(0.0);
        // The face's sides look outwards, and a little to the front.
        let normal = Vec3::new(point.x, 0.0, -0.3).normalize_or(Vec3::NEG_Z);
        let turned = (adopted.rest.rotation * normal).z - (placement.rotation * normal).z;
        let reach = smoothstep(0.04, 0.36, turned) * beyond * beyond * 0.5;
        aside * (-reach * point.x.signum())
    })
}

fn draw_face(
    triangles: &[Triangle],
    adopted: &Adopted,
    placement: &HeadPlacement,
    source_shifts: &[Vec2; N_LANDMARKS],
    target: &Landmarks,
    canvas: &mut Canvas,
) {
    // Between the lids the edges read elsewhere than on the lids themselves.
    let skin_sources: [Vec2; N_LANDMARKS] = std::array::from_fn(|i| adopted.source_points[i] + source_shifts[i]);
    let mut eye_sources = skin_sources;
    for (i, source_px) in adopted.eyes.lid_sources() {
        eye_sources[i] = source_px;
    }
    for triangle in triangles {
        let sources = match triangle.part {
            Part::RightEye | Part::LeftEye => &eye_sources,
            Part::Surface | Part::Mouth => &skin_sources,
        };
        let corners = triangle.points.map(|i| Corner { at_px: target[i], source_px: sources[i] });
        let [a, b, c] = corners.map(|corner| corner.at_px.truncate());
        let faces_us = (b - a).perp_dot(c - a) < 0.0;
        canvas.draw(corners, if faces_us { 0.0 } else { TURNED_AWAY * placement.width_px }, triangle.part);
    }
}
