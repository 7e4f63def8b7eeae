//! Measures [`DenseMotion`]: the driver's own picture, moved by the mesh, is compared with what the camera sees.
//!
//! A calm frame is the reference. For each later frame the mesh warp predicts from it what the camera should see; the
//! optical flow from what it does see back to that is what the mesh does not know, and where both then differ in brightness,
//! light and shade have changed (`shading`). No picture leaves this place.

use glam::{Vec2, Vec3};
use opencv::core::{BORDER_REPLICATE, CV_32FC2, CV_32FC3, Mat, Ptr, Scalar, Size, Vec2f, Vec3f};
use opencv::imgproc::{COLOR_RGB2GRAY, COLOR_RGBA2GRAY, INTER_AREA, cvt_color_def, gaussian_blur_def, resize};
use opencv::prelude::{
    DISOpticalFlowTrait as _, DenseOpticalFlowTrait as _, MatTrait as _, MatTraitConstManual as _, MatTraitManual as _,
};
use opencv::video::{DISOpticalFlow, DISOpticalFlow_PRESET_MEDIUM};

use crate::capture::RawFrame;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::face::{Matter, resample, unrest};
use crate::frame::{Grey, Rgb};
use crate::generate::network::margin_px;
use crate::generate::warp::WarpGenerator;
use crate::generate::{Generator as _, Portrait};
use crate::geometry::{FaceObservation, FaceShape, HeadPose, N_LANDMARKS};
use crate::signal::{DenseMotion, DrivingSignal, Motion};
use shading::Shading;
use square::{CELL_PX, PX, Square, between, sample};

mod shading;
mod square;

/// A pixel of the square in face widths.
const PX_FACE_WIDTHS: f32 = 2.0 * DenseMotion::REACH / PX as f32;
/// Pixels are averaged where the camera has more of them, up to so many each way.
const MAX_OVERSAMPLING: usize = 4;
/// The flow's search (dense inverse search): between half-size patches so far apart, in so many steps, smoothed so often.
const PATCH_STRIDE_PX: i32 = 4;
const N_DESCENTS: i32 = 12;
const N_REFINEMENTS: i32 = 2;
/// Standard deviation of the blur that takes the camera's noise out before seen and predicted picture are compared, in pixels
/// of the square.
const NOISE_PX: f64 = 0.5;
/// Grey levels by which seen and predicted picture may differ, after the flow, to be half believed.
const HALF_BELIEF: f32 = 12.0;
/// Belief, 0..1, in what is around against what is measured in a place.
const NEIGHBOURS: f32 = 0.4;
/// Belief that nothing moves, against what is around.
const STILLNESS: f32 = 0.1;
/// Standard deviations over which a measurement is shared: in pixels of the square, and in cells where there is none.
const SPREAD_PX: f64 = 2.0;
const SPREAD_CELLS: f64 = 8.0;
/// The longest shifts, in face widths: of what is around the face, where the flow finds something else beyond, and of its
/// points, which the tracker misplaces by no more.
const MAX_AROUND: f32 = 0.3;
const MAX_POINT: f32 = 0.015;
/// Points so near to the middle of an eye are shifted in full, and beyond the second distance not at all, in face widths:
/// a mouth changes too much for a flow to follow, and hands come before it.
const EYE_REACH: [f32; 2] = [0.28, 0.5];
/// Corners of the right and left eye.
const EYE_CORNERS: [[usize; 2]; 2] = [[33, 133], [263, 362]];
/// Somebody who was away for so long may be somebody else.
const AWAY_SECS: f64 = 1.0;
/// Mean belief on the person under which a reference does not fit, for so long: other light, or somebody else.
const MIN_FIT: f32 = 0.3;
const MISFIT_SECS: f64 = 1.0;
/// A reference is turned at most so far: the mesh carries little beyond it.
const MAX_TURN_RADS: f32 = 0.35;
/// How long a calmer reference is looked for, and how much calmer it must be.
const SEARCH_SECS: f64 = 4.0;
const MIN_GAIN: f32 = 0.7;

/// What motion is measured from.
struct Reference {
    number: u32,
    /// How far the face was from a calm one.
    unrest: f32,
    /// In the square.
    shape: FaceShape,
    /// The person in the square.
    matte: Grey,
}

/// Follows how a driver's picture moves beside the mesh. Keeps the picture of one frame to itself.
pub struct DenseTracker {
    matter: Matter,
    /// The driver's picture, moved by the mesh.
    double: WarpGenerator,
    reference: Option<Box<Reference>>,
    n_references: u32,
    /// When this driver was seen first and last.
    presence: Option<(Timestamp, Timestamp)>,
    /// How well the reference fits what was seen last: mean belief on the person, 0..1.
    fit: f32,
    /// When it ceased to fit.
    misfit: Option<Timestamp>,
    signal: Box<DrivingSignal>,
    made: Portrait,
    large: Rgb,
    crop: Rgb,
    seen: Grey,
    predicted: Grey,
    blurred: Grey,
    frame_from_square: Mat,
    flow_finder: Ptr<DISOpticalFlow>,
    flow: Mat,
    /// (PX, PX, 3): flow times belief, and belief; the same shared; by cells; and shared widely.
    weighted: Mat,
    spread: Mat,
    cells: Mat,
    wide: Mat,
    shading: Shading,
}

impl DenseTracker {
    /// Starts without a reference.
    ///
    /// # Errors
    /// When OpenCV fails, or the network that finds persons cannot be opened.
    pub fn new() -> Result<Self> {
        let mut flow_finder = DISOpticalFlow::create(DISOpticalFlow_PRESET_MEDIUM)?;
        flow_finder.set_patch_stride(PATCH_STRIDE_PX)?;
        flow_finder.set_gradient_descent_iterations(N_DESCENTS)?;
        flow_finder.set_variational_refinement_iterations(N_REFINEMENTS)?;
        let square = |kind: i32| Mat::new_rows_cols_with_default(PX as i32, PX as i32, kind, Scalar::default());
        let cells = DenseMotion::N as i32;
        let nobody = FaceShape::new(&[Vec3::ZERO; N_LANDMARKS], &HeadPose::default());
        Ok(Self {
            matter: Matter::new(1)?,
            double: WarpGenerator::new(PX),
            reference: None,
            n_references: 0,
            presence: None,
            fit: 1.0,
            misfit: None,
            signal: Box::new(DrivingSignal::rest(&nobody, PX, Motion::Absolute)),
            made: Portrait::default(),
            large: Rgb::new(MAX_OVERSAMPLING * PX, MAX_OVERSAMPLING * PX),
            crop: Rgb::new(PX, PX),
            seen: Grey::new(PX, PX),
            predicted: Grey::new(PX, PX),
            blurred: Grey::new(PX, PX),
            frame_from_square: Mat::from_slice_2d(&[[0.0_f64; 3]; 2])?,
            flow_finder,
            flow: square(CV_32FC2)?,
            weighted: square(CV_32FC3)?,
            spread: Mat::default(),
            cells: Mat::new_rows_cols_with_default(cells, cells, CV_32FC3, Scalar::default())?,
            wide: Mat::default(),
            shading: Shading::new(),
        })
    }

    /// Looks at a frame in which `face` was found, or none: takes the first one from the front as the reference, or a calmer
    /// one within four seconds, measures others against it, and forgets it when for a second nobody was there or it did not
    /// fit.
    ///
    /// Slow, and takes memory, for the frame that becomes the reference; takes none for the others.
    ///
    /// # Errors
    /// When a picture operation fails.
    pub fn observe(
        &mut self,
        frame: &RawFrame,
        face: Option<&FaceObservation>,
        motion: &mut DenseMotion,
    ) -> Result<()> {
        let now = frame.captured();
        self.forget_who_left(now, motion);
        let Some(face) = face else { return Ok(()) };
        let first = self.presence.map_or(now, |(first, _)| first);
        self.presence = Some((first, now));
        let is_turned = face.pose.yaw_pitch_roll_rads().iter().any(|angle| angle.abs() > MAX_TURN_RADS);
        let is_better = match &self.reference {
            None => true,
            Some(reference) => {
                now.since(first).as_secs_f64() < SEARCH_SECS && unrest(face) < MIN_GAIN * reference.unrest
            }
        };
        if is_better && !is_turned {
            self.n_references = self.n_references % (DenseMotion::PORTRAIT - 1) + 1;
            self.refer(self.n_references, frame.picture(), face)?;
        }
        self.follow(frame.picture(), face, motion)?;
        let is_misfit = self.fit < MIN_FIT && !is_turned;
        self.misfit = is_misfit.then(|| self.misfit.unwrap_or(now));
        if self.misfit.is_some_and(|since| now.since(since).as_secs_f64() > MISFIT_SECS) {
            self.reset();
        }
        Ok(())
    }

    /// Takes note that the driver is there at `now`, in a frame that is not measured: who is there keeps the reference.
    pub fn skip(&mut self, now: Timestamp) {
        if let Some((_, last)) = &mut self.presence {
            *last = now;
        }
    }

    /// Forgets the reference and `motion` when nobody was there for a second: it may be somebody else now.
    pub fn forget_who_left(&mut self, now: Timestamp, motion: &mut DenseMotion) {
        if self.presence.is_some_and(|(_, last)| now.since(last).as_secs_f64() > AWAY_SECS) {
            self.reset();
            motion.clone_from(&DenseMotion::NONE);
        }
    }

    /// Forgets the reference and whom it was of.
    pub(crate) fn reset(&mut self) {
        self.reference = None;
        self.presence = None;
        self.fit = 1.0;
        self.misfit = None;
    }

    /// Takes the driver's frame that the portrait shows as the one that motion is measured from. Slow.
    ///
    /// # Errors
    /// When a picture operation fails.
    #[cfg(feature = "train")]
    pub(crate) fn refer_to_portrait(&mut self, picture: &Rgb, seen: &FaceObservation) -> Result<()> {
        self.refer(DenseMotion::PORTRAIT, picture, seen)
    }

    /// Takes a frame as the one that motion is measured from. Slow.
    fn refer(&mut self, number: u32, picture: &Rgb, seen: &FaceObservation) -> Result<()> {
        let shape = FaceShape::new(&seen.landmarks_px, &seen.pose);
        let square = Square::around(&shape);
        self.cut(picture, &square)?;
        let shape = square.shape(&shape);
        // The background is to be predicted too: a person before black would have false edges.
        let all = Grey::from_data(PX, PX, vec![255; PX * PX])?;
        self.double.take(&shape, &self.crop, &all)?;
        let mut matte = self.matter.matte(&self.crop)?;
        // Beyond the frame nobody was seen, whatever its border looks like when it goes on.
        let rows = square.within(picture.height_px(), |v| v.y);
        let columns = square.within(picture.width_px(), |v| v.x);
        for (i, level) in matte.data_mut().iter_mut().enumerate() {
            if !rows.contains(&(i / PX)) || !columns.contains(&(i % PX)) {
                *level = 0;
            }
        }
        self.reference = Some(Box::new(Reference { number, unrest: unrest(seen), shape, matte }));
        Ok(())
    }

    /// Measures a frame against the reference; no motion without one.
    ///
    /// # Errors
    /// When a picture operation fails.
    pub(crate) fn follow(&mut self, picture: &Rgb, seen: &FaceObservation, motion: &mut DenseMotion) -> Result<()> {
        let Some(reference) = self.reference.take() else {
            motion.clone_from(&DenseMotion::NONE);
            return Ok(());
        };
        let outcome = self.compare(&reference, picture, seen, motion);
        self.reference = Some(reference);
        outcome
    }

    fn compare(
        &mut self,
        reference: &Reference,
        picture: &Rgb,
        seen: &FaceObservation,
        motion: &mut DenseMotion,
    ) -> Result<()> {
        let shape = FaceShape::new(&seen.landmarks_px, &seen.pose);
        let square = Square::around(&shape);
        let shape = square.shape(&shape);
        *self.signal = DrivingSignal::absolute(&reference.shape, &shape, (PX, PX), &seen.coefficients);
        self.double.generate(&self.signal, &mut self.made)?;
        self.cut(picture, &square)?;
        cvt_color_def(&self.crop.as_mat()?, &mut self.seen.as_mat_mut()?, COLOR_RGB2GRAY)?;
        cvt_color_def(&self.made.picture.as_mat()?, &mut self.predicted.as_mat_mut()?, COLOR_RGBA2GRAY)?;
        // What is in it would be tried too, and a measurement would depend on those before.
        self.flow.set_scalar(Scalar::default())?;
        self.flow_finder.calc(&self.seen.as_mat()?, &self.predicted.as_mat()?, &mut self.flow)?;
        for grey in [&mut self.seen, &mut self.predicted] {
            gaussian_blur_def(&grey.as_mat()?, &mut self.blurred.as_mat_mut()?, Size::default(), NOISE_PX)?;
            std::mem::swap(grey, &mut self.blurred);
        }
        self.believe(reference, (picture.width_px(), picture.height_px()), &square)?;
        gaussian_blur_def(&self.weighted, &mut self.spread, Size::default(), SPREAD_PX)?;
        motion.reference = reference.number;
        self.shift_around(motion)?;
        self.shift_points(&shape, motion)?;
        self.shading.measure(&shape, &mut motion.light);
        Ok(())
    }

    /// Cuts the square out of a frame; beyond the frame its border goes on.
    fn cut(&mut self, picture: &Rgb, square: &Square) -> Result<()> {
        let times = ((1.0 / square.scale).ceil() as usize).clamp(1, MAX_OVERSAMPLING);
        self.large.reshape(times * PX, times * PX);
        // From the middle of a sample to a place in the frame, whose pixels have their middles half a pixel inside.
        let step = 1.0 / (square.scale * times as f32);
        let first = square.origin_px + (0.5 * step - 0.5);
        let rows = [[step, 0.0, first.x], [0.0, step, first.y]];
        resample(picture, rows, &mut self.frame_from_square, BORDER_REPLICATE, &mut self.large)?;
        let side = Size::new(PX as i32, PX as i32);
        resize(&self.large.as_mat()?, &mut self.crop.as_mat_mut()?, side, 0.0, 0.0, INTER_AREA)?;
        Ok(())
    }

    /// Writes the flow times how far it is believed, and that: little where the pictures differ in spite of it, as where
    /// a hand covers the face, and not at all off the person or beyond the frame.
    fn believe(&mut self, reference: &Reference, (width_px, height_px): (usize, usize), square: &Square) -> Result<()> {
        let last = Vec2::splat((PX - 1) as f32);
        let is_person = |place: Vec2| {
            let at = (place - margin_px(PX) as f32).clamp(Vec2::ZERO, last);
            reference.matte.data()[at.y as usize * PX + at.x as usize] > 127
        };
        let (rows, columns) = (square.within(height_px, |v| v.y), square.within(width_px, |v| v.x));
        let flow = self.flow.data_typed::<Vec2f>()?.chunks_exact(PX);
        let weighted = self.weighted.data_typed_mut::<Vec3f>()?.chunks_exact_mut(PX);
        let (mut sum, mut n) = (0.0, 0.0);
        for (y, (row, flow)) in weighted.zip(flow).enumerate() {
            let light = self.shading.row(y);
            row.fill(Vec3f::default());
            light.fill(Vec2::ZERO);
            if !rows.contains(&y) {
                continue;
            }
            for (x, ((to, flow), place)) in row.iter_mut().zip(flow).zip(self.double.canvas().row(y)).enumerate() {
                if !columns.contains(&x) || !place.is_some_and(is_person) {
                    continue;
                }
                let Some(level) = sample(&self.predicted, Vec2::new(x as f32 + flow[0], y as f32 + flow[1])) else {
                    continue;
                };
                let seen = f32::from(self.seen.data()[y * PX + x]);
                light[x] = shading::belief(seen, level);
                let apart = (seen - level) / HALF_BELIEF;
                let belief = 1.0 / (1.0 + apart * apart);
                (sum, n) = (sum + belief, n + 1.0);
                *to = Vec3f::from([flow[0] * belief, flow[1] * belief, belief]);
            }
        }
        self.fit = if n > 0.0 { sum / n } else { 1.0 };
        Ok(())
    }

    /// Writes the grid: what was measured in a cell, and where there is little, what was measured around it.
    fn shift_around(&mut self, motion: &mut DenseMotion) -> Result<()> {
        let spread = self.spread.data_typed::<Vec3f>()?;
        for (i, cell) in self.cells.data_typed_mut::<Vec3f>()?.iter_mut().enumerate() {
            let first = (i / DenseMotion::N * PX + i % DenseMotion::N) * CELL_PX;
            let pixels = (0..CELL_PX).flat_map(|y| &spread[first + y * PX..][..CELL_PX]);
            let sum = pixels.fold([0.0; 3], |sum: [f32; 3], pixel| std::array::from_fn(|c| sum[c] + pixel[c]));
            *cell = Vec3f::from(sum.map(|v| v / (CELL_PX * CELL_PX) as f32));
        }
        gaussian_blur_def(&self.cells, &mut self.wide, Size::default(), SPREAD_CELLS)?;
        let cells = self.cells.data_typed::<Vec3f>()?.iter().zip(self.wide.data_typed::<Vec3f>()?);
        for (to, (cell, wide)) in motion.around.iter_mut().zip(cells) {
            let around = Vec2::new(wide[0], wide[1]) / (wide[2] + STILLNESS);
            *to = shift((cell[0], cell[1], cell[2]), around, MAX_AROUND);
        }
        Ok(())
    }

    /// Writes the shifts of the points: of those around the eyes, by no more than the tracker may err.
    fn shift_points(&self, shape: &FaceShape, motion: &mut DenseMotion) -> Result<()> {
        let spread = self.spread.data_typed::<Vec3f>()?;
        let eyes = EYE_CORNERS.map(|[a, b]| (shape.points[a] + shape.points[b]) * 0.5);
        let [full, none] = EYE_REACH;
        for (to, &point) in motion.points.iter_mut().zip(&shape.points) {
            let far = eyes.iter().map(|eye| eye.distance(point)).fold(f32::MAX, f32::min);
            let share = ((none - far) / (none - full)).clamp(0.0, 1.0);
            let at = shape.centre_px + (shape.rotation * point).truncate() * shape.width_px - 0.5;
            let measured = between(at, |i| Vec3::from_array(spread[i].0)).filter(|_| share > 0.0);
            *to = measured.map_or(Vec2::ZERO, |v| shift((v.x, v.y, v.z), Vec2::ZERO, MAX_POINT) * share);
        }
        Ok(())
    }
}

/// The shift in face widths for a flow in pixels of the square times belief, that belief, and the flow around.
fn shift((x, y, belief): (f32, f32, f32), around: Vec2, longest: f32) -> Vec2 {
    let back = (Vec2::new(x, y) + around * NEIGHBOURS) / (belief + NEIGHBOURS) * PX_FACE_WIDTHS;
    // The flow leads from what is seen back to where the mesh has it.
    if back.is_finite() { -back.clamp_length_max(longest) } else { Vec2::ZERO }
}
