//! Makes groups: a portrait and frames of the same person, as the network sees them.
//!
//! Everything here is what the engine would compute for these frames with motion `absolute`: the same mesh warp, maps,
//! drawings and background, so that training sees what playing will. What moves beside the mesh counts from the portrait's
//! own frame.

use std::sync::Arc;

use opencv::core::Size as CvSize;
use opencv::imgproc::{INTER_AREA, resize};

use super::augment::Augmentation;
use super::dataset::{Clip, SIZE_PX};
use super::group::{Group, level_planes};
use crate::drive::{Actor, N_MODES};
use crate::error::Result;
use crate::flow::DenseTracker;
use crate::frame::{Picture, Rgb, Rgba};
use crate::generate::cpu::native;
use crate::generate::network::{FACE, margin_px};
use crate::generate::neural::maps::{self, Maps};
use crate::generate::neural::planes;
use crate::generate::plan::{PLACES_PER_PX, PhotoLevels, UNDRAWN};
use crate::generate::warp::WarpGenerator;
use crate::generate::{Generator as _, Portrait};
use crate::geometry::{FaceObservation, FaceShape, HeadPlacement, Landmarks, N_LANDMARKS, N_MESH_POINTS};
use crate::identity::{Basis, Consent, Framing, Identity, Manifest, plate};
use crate::kernels::raster::RasterShape;
use crate::kernels::warp::{WarpShape, warp};
use crate::signal::{DrivingSignal, Motion};

/// Half the width of the drawings' lines at each of the features' sizes and for the encoder, in pixels; as in the
/// network's plans.
const LINE_PX: [f32; 3] = [0.5, 0.5, 0.75];
const ENCODER_LINE_PX: f32 = 1.0;
/// Points around the inner and outer lips, and around each eye.
const MOUTH: [usize; 12] = [61, 291, 0, 17, 37, 267, 84, 314, 40, 270, 91, 321];
const EYES: [[usize; 8]; 2] = [[33, 133, 159, 145, 158, 153, 160, 144], [263, 362, 386, 374, 385, 380, 387, 373]];

/// What a group shall hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupOptions {
    /// What the mesh warp alone makes of each frame.
    pub with_warp: bool,
    /// Signals that know how the driver's picture moves beside the mesh.
    pub with_dense: bool,
}

/// Makes groups; keeps its buffers.
pub struct Sampler {
    size_px: usize,
    decoded_px: usize,
    mapper: WarpGenerator,
    maps: Maps,
    plain: WarpGenerator,
    dense: DenseTracker,
}

impl Sampler {
    /// Makes one for square pictures of `size_px` and a decoder that paints `decoded_px` of them; multiples of 32.
    ///
    /// # Errors
    /// When OpenCV fails, or the network that finds persons cannot be opened.
    pub fn new(size_px: usize, decoded_px: usize) -> Result<Self> {
        Ok(Self {
            size_px,
            decoded_px,
            mapper: WarpGenerator::for_network(size_px),
            maps: Maps::new(size_px, [decoded_px / 8, decoded_px / 4, decoded_px / 2]),
            plain: WarpGenerator::new(size_px),
            dense: DenseTracker::new()?,
        })
    }

    /// Puts a portrait and frames of one clip together, all by their number in [`Clip::frames`].
    ///
    /// `portrait_change` is what is done to the portrait, `change` what is done to the frames. Where they show another
    /// part of the clip it is as if everything had moved, and only the person's picture counts.
    ///
    /// # Errors
    /// When a stored picture cannot be read.
    pub fn group(
        &mut self,
        clip: &Clip,
        portrait: usize,
        frames: &[usize],
        [portrait_change, change]: [&Augmentation; 2],
        options: GroupOptions,
    ) -> Result<Group> {
        let GroupOptions { with_warp, with_dense } = options;
        self.dense.reset();
        if with_dense {
            self.dense.refer_to_portrait(&clip.picture(portrait)?, &clip.frames[portrait].observation())?;
        }
        let (base, mut group) = self.begin(clip, portrait, frames.len(), portrait_change)?;
        group.is_sequence = frames.windows(2).all(|w| clip.frames[w[1]].index == clip.frames[w[0]].index + 1);
        if with_warp {
            self.plain.adopt(Arc::clone(&base.identity))?;
        }
        let is_background_known = change.shows_the_same_as(portrait_change);
        for &frame in frames {
            self.frame(clip, frame, change, &base, &mut group)?;
            let first = group.counts.len();
            let person = group.filmed[first..].iter().zip(&group.matte[first..]);
            group
                .counts
                .extend(person.map(|(filmed, alpha)| if is_background_known { *filmed } else { filmed * alpha }));
            if with_warp {
                let picture = self.warp_only(&base.identity, clip, frame, change)?;
                group.warp_only.extend(picture);
            }
        }
        Ok(group)
    }

    /// Puts a portrait together with expressions that it is asked for, as a driver with those would ask: `expressions` are
    /// how far a face goes along each mode of the expression space. No picture says how they look: nothing counts but
    /// where the points shall be.
    ///
    /// # Errors
    /// When a stored picture cannot be read.
    pub fn asked(
        &mut self,
        clip: &Clip,
        portrait: usize,
        expressions: &[[f32; N_MODES]],
        change: &Augmentation,
    ) -> Result<Group> {
        let (base, mut group) = self.begin(clip, portrait, expressions.len(), change)?;
        let mut actor = Actor::new(&base.identity)?;
        let n = self.size_px * self.size_px;
        let mut signal = DrivingSignal::rest(&base.identity.shape, self.size_px, Motion::Relative);
        for expression in expressions {
            actor.show(expression, &mut signal)?;
            self.moved(&signal, &base, &mut group)?;
            let landmarks_px = Box::new(*self.mapper.landmarks_px());
            add_regions(&landmarks_px, self.size_px, &mut group);
        }
        let n_all = expressions.len() * n;
        group.is_asked = true;
        group.matte_belief = 0.0;
        group.target = rgb_planes(&base.identity.portrait).repeat(expressions.len());
        group.matte = vec![0.0; n_all];
        group.filmed = vec![1.0; n_all];
        group.counts = vec![0.0; n_all];
        Ok(group)
    }

    /// What all frames of a group share.
    fn begin(&mut self, clip: &Clip, portrait: usize, n_frames: usize, change: &Augmentation) -> Result<(Base, Group)> {
        let (size, decoded) = (self.size_px, self.decoded_px);
        let levels = PhotoLevels::new(size, margin_px(size), decoded);
        let identity = Arc::new(identity(clip, portrait, &clip.picture(portrait)?, size, change)?);
        self.mapper.adopt(Arc::clone(&identity))?;
        let group = Group {
            size_px: size,
            decoded_px: decoded,
            n_frames,
            matte_belief: if clip.frames[portrait].truth.is_some() { 1.0 } else { 0.2 },
            portrait: planes(&identity, decoded)?,
            portrait_lines: drawn(&units(&identity.landmarks_px, size), decoded, ENCODER_LINE_PX),
            photo: level_planes(&levels, &levels.lay_out(self.mapper.source_pixels())),
            background: rgb_planes(&identity.background),
            ..Group::default()
        };
        let rest = HeadPlacement::at_rest(&identity.shape, 1.0);
        Ok((Base { rest, small: planes(&identity, decoded / 4)?, identity }, group))
    }

    fn frame(
        &mut self,
        clip: &Clip,
        frame: usize,
        change: &Augmentation,
        base: &Base,
        group: &mut Group,
    ) -> Result<()> {
        let size = self.size_px;
        let (mut signal, landmarks_px) = signal(clip, frame, change, &base.identity);
        let picture = clip.picture(frame)?;
        self.dense.follow(&picture, &clip.frames[frame].observation(), &mut signal.dense)?;
        if change.is_flipped() {
            signal.dense = signal.dense.mirrored();
        }
        self.moved(&signal, base, group)?;
        let target = resized(&change.picture(&picture)?, size)?;
        group.target.extend(rgb_planes(&target));
        group
            .matte
            .extend(resized(&change.moved(&clip.matte(frame)?)?, size)?.data().iter().map(|&v| f32::from(v) / 255.0));
        add_regions(&landmarks_px, size, group);
        group.filmed.extend(filmed(clip, change, size));
        Ok(())
    }

    /// What a signal alone says of a frame: maps, drawings, candidates, points.
    fn moved(&mut self, signal: &DrivingSignal, base: &Base, group: &mut Group) -> Result<()> {
        let size = self.size_px;
        self.mapper.follow(signal)?;
        let pose = maps::pose(&base.rest, &signal.placement(&base.rest, size), size);
        self.maps.take(&self.mapper, &pose);
        let points = units(self.mapper.landmarks_px(), size);
        for (level, radius_px) in LINE_PX.into_iter().enumerate() {
            group.lines[level].extend(drawn(&points, self.decoded_px >> (3 - level), radius_px));
            group.maps[level].extend(&self.maps.coarse[level]);
            group.deformations[level].extend(&self.maps.deformation[level]);
        }
        let m = self.decoded_px / 4;
        for (flow, to) in group.candidates.iter_mut().enumerate() {
            let n = m as u32;
            let shape = WarpShape { c: 4, h_in: n, w_in: n, h: n, w: n, h_mix: 0, w_mix: 0, flow: flow as u32 };
            let mut y = vec![0.0; 4 * m * m];
            warp(&shape, &base.small, &pose, &self.maps.coarse[1], &[], &mut y);
            to.extend(y);
        }
        group.pose.extend(pose);
        group.full_map.extend(unpacked(&self.maps.full, size));
        group.point_flow.extend(point_flow(&points, &units(&base.identity.landmarks_px, size), signal, m));
        group.points.extend(points);
        Ok(())
    }

    /// What the generator without a network makes of a frame, over the portrait's background.
    fn warp_only(&mut self, identity: &Identity, clip: &Clip, frame: usize, change: &Augmentation) -> Result<Vec<f32>> {
        let (signal, _) = signal(clip, frame, change, identity);
        let mut portrait = Portrait { picture: Rgba::new(self.size_px, self.size_px) };
        self.plain.generate(&signal, &mut portrait)?;
        let n = self.size_px * self.size_px;
        let mut planes = vec![0.0; 3 * n];
        for (i, rgba) in portrait.picture.data().as_chunks::<4>().0.iter().enumerate() {
            let alpha = f32::from(rgba[3]) / 255.0;
            for c in 0..3 {
                let behind = f32::from(identity.background.data()[3 * i + c]);
                planes[c * n + i] = (behind + alpha * (f32::from(rgba[c]) - behind)) / 255.0;
            }
        }
        Ok(planes)
    }
}

/// A group's portrait.
struct Base {
    identity: Arc<Identity>,
    rest: HeadPlacement,
    /// (4, m, m), as a candidate.
    small: Vec<f32>,
}

/// The portrait as enrolment would make it, from what is stored of a frame and its picture.
fn identity(clip: &Clip, frame: usize, picture: &Rgb, size_px: usize, change: &Augmentation) -> Result<Identity> {
    let seen = change.observation(&clip.frames[frame].observation());
    let portrait = resized(&change.degraded(&change.picture(picture)?, frame as u64)?, size_px)?;
    let matte = resized(&change.moved(&clip.matte(frame)?)?, size_px)?;
    let landmarks_px = scaled(&seen.landmarks_px, size_px);
    let manifest = Manifest {
        format: 0,
        name: clip.name.clone(),
        consent: Consent {
            basis: Basis::Synthetic,
            by: String::new(),
            at_unix_secs: 0,
            until_unix_secs: None,
            purpose: None,
            statement_sha256: None,
            spoken: None,
        },
        created_unix_secs: 0,
        framing: Framing::Keep,
        photo_sha256: String::new(),
        views: Vec::new(),
        models: Default::default(),
        tensors: Default::default(),
    };
    Ok(Identity {
        manifest,
        maker: None,
        background: plate::fill_background(&portrait, &matte),
        portrait,
        matte,
        shape: FaceShape::new(&landmarks_px, &seen.pose),
        landmarks_px,
        coefficients: seen.coefficients,
        pose: seen.pose,
        emphasis: None,
        photo: None,
        views: Vec::new(),
    })
}

/// What drives a frame, and its points in pixels of the group's pictures.
fn signal(clip: &Clip, frame: usize, change: &Augmentation, identity: &Identity) -> (DrivingSignal, Landmarks) {
    let seen = change.observation(&clip.frames[frame].observation());
    let size_px = identity.size_px();
    let landmarks_px = scaled(&seen.landmarks_px, size_px);
    let observation = FaceObservation { frame_size_px: (size_px, size_px), landmarks_px, ..seen };
    let shape = FaceShape::new(&observation.landmarks_px, &observation.pose);
    (
        DrivingSignal::absolute(&identity.shape, &shape, observation.frame_size_px, &observation.coefficients),
        observation.landmarks_px,
    )
}

/// Points of the stored pictures in pictures of `to_px`.
fn scaled(landmarks_px: &Landmarks, to_px: usize) -> Landmarks {
    landmarks_px.map(|point| point * (to_px as f32 / SIZE_PX as f32))
}

fn resized<const C: usize>(picture: &Picture<C>, px: usize) -> Result<Picture<C>> {
    if picture.width_px() == px && picture.height_px() == px {
        return Ok(picture.clone());
    }
    let mut small = Picture::new(px, px);
    resize(&picture.as_mat()?, &mut small.as_mat_mut()?, CvSize::new(px as i32, px as i32), 0.0, 0.0, INTER_AREA)?;
    Ok(small)
}

/// (3, h, w), 0..1.
fn rgb_planes(picture: &Rgb) -> Vec<f32> {
    let (pixels, _) = picture.data().as_chunks::<3>();
    (0..3).flat_map(|c| pixels.iter().map(move |rgb| f32::from(rgb[c]) / 255.0)).collect()
}

/// (478, 2) in picture units.
fn units(landmarks_px: &Landmarks, size_px: usize) -> Vec<f32> {
    landmarks_px.iter().flat_map(|point| [point.x / size_px as f32, point.y / size_px as f32]).collect()
}

fn drawn(points: &[f32], px: usize, radius_px: f32) -> Vec<f32> {
    let n = px as u32;
    let shape =
        RasterShape { c: FACE.n_channels as u32, h: n, w: n, n_segments: FACE.segments.len() as u32, radius_px };
    let mut y = vec![0.0; FACE.n_channels * px * px];
    native::raster(&shape, points, FACE.segments, &mut y);
    y
}

/// (3, s, s) from packed places.
fn unpacked(map: &[u32], size_px: usize) -> Vec<f32> {
    let n = size_px * size_px;
    let margin_px = (size_px / 8) as f32;
    let mut planes = vec![0.0; 3 * n];
    for (i, &packed) in map.iter().enumerate() {
        let is_drawn = packed != UNDRAWN;
        let place = |steps: u32| (steps as f32 / PLACES_PER_PX - margin_px) / size_px as f32;
        let own = |at: usize| (at as f32 + 0.5) / size_px as f32;
        let (u, v) =
            if is_drawn { (place(packed & 0xffff), place(packed >> 16)) } else { (own(i % size_px), own(i / size_px)) };
        (planes[i], planes[n + i], planes[2 * n + i]) = (u, v, f32::from(is_drawn));
    }
    planes
}

/// Where mouth and eyes of a frame are.
fn add_regions(landmarks_px: &Landmarks, size_px: usize, group: &mut Group) {
    group.mouth.extend(around(&MOUTH, landmarks_px, size_px, 0.35));
    let [right, left] = EYES.map(|eye| around(&eye, landmarks_px, size_px, 0.45));
    group.eyes.extend(right.iter().zip(left).map(|(a, b)| a.max(b)));
}

/// 1 inside the box around some points, grown by a share of its width, fading out over as much again.
fn around(points: &[usize], landmarks_px: &Landmarks, size_px: usize, grow: f32) -> Vec<f32> {
    let places = points.iter().map(|&i| landmarks_px[i].truncate());
    let low = places.clone().fold(glam::Vec2::MAX, glam::Vec2::min);
    let high = places.fold(glam::Vec2::MIN, glam::Vec2::max);
    let reach = (high.x - low.x).max(2.0) * grow;
    let inside = |at: f32, low: f32, high: f32| {
        let beyond = (low - at).max(at - high).max(0.0);
        (2.0 - beyond / reach).clamp(0.0, 1.0)
    };
    let mut mask = Vec::with_capacity(size_px * size_px);
    for y in 0..size_px {
        let row = inside(y as f32 + 0.5, low.y, high.y);
        mask.extend((0..size_px).map(|x| row * inside(x as f32 + 0.5, low.x, high.x)));
    }
    mask
}

/// 0 in the part of the clip that is not the camera's picture.
fn filmed(clip: &Clip, change: &Augmentation, size_px: usize) -> Vec<f32> {
    let mut filmed = vec![1.0; size_px * size_px];
    if let Some(rect) = clip.ignore_px.and_then(|rect| change.rect(rect)) {
        let scale = size_px as f32 / SIZE_PX as f32;
        let [left, top, width, height] = rect.map(|v| v as f32 * scale);
        for (i, value) in filmed.iter_mut().enumerate() {
            let (x, y) = ((i % size_px) as f32, (i / size_px) as f32);
            if x + 1.0 > left && x < left + width && y + 1.0 > top && y < top + height {
                *value = 0.0;
            }
        }
    }
    filmed
}

/// (3, m, m): the place in the portrait of the face's point nearest to each cell that has one.
fn point_flow(points: &[f32], own: &[f32], signal: &DrivingSignal, m: usize) -> Vec<f32> {
    /// Beyond this turn of the head, sine of the angle, one half of the face hides points of the other.
    const TURNED: f32 = 0.45;
    let n = m * m;
    let mut planes = vec![0.0; 3 * n];
    if (signal.rotation * glam::Vec3::Z).x.abs() > TURNED {
        return planes;
    }
    for i in 0..N_LANDMARKS.min(N_MESH_POINTS) {
        let (x, y) = (points[2 * i] * m as f32, points[2 * i + 1] * m as f32);
        if x >= 0.0 && y >= 0.0 && (x as usize) < m && (y as usize) < m {
            let at = y as usize * m + x as usize;
            // The cell's centre reads beside the point as far as it lies beside it.
            let off = [(x.floor() + 0.5 - x) / m as f32, (y.floor() + 0.5 - y) / m as f32];
            (planes[at], planes[n + at], planes[2 * n + at]) = (own[2 * i] + off[0], own[2 * i + 1] + off[1], 1.0);
        }
    }
    planes
}
