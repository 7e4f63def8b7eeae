//! From a photo to an identity: face, crop, points, matte, background.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::choose::{TurnLimits, check_face, choose};
use super::framing::{Crop, centre};
use super::manifest::{Basis, Consent, Framing, Manifest, ViewOrigin};
use super::photo_check::{MAX_FOREIGN_SHARE, Remark, RemarkKind, judge};
use super::photo_measure::{PhotoMeasures, keep_face, measure};
use super::{Identity, SideView, WholePhoto, container, plate, skin};
use crate::error::{Error, ErrorKind, Result};
use crate::face::{FaceTracker, FoundFace, Matter, TrackerOptions};
use crate::frame::{Grey, Rgb};
use crate::geometry::{FaceObservation, FaceShape};
use crate::models::Model;
use crate::photo::{self, DecodedPhoto};
use effigy_base::hex::hex;

/// From this side on, a crop is worth a portrait of 1024 pixels.
const LARGE_FROM_PX: f32 = 720.0;

/// What to enrol and on whose word.
#[derive(Clone, Debug)]
pub struct EnrollOptions {
    /// The identity's name.
    pub name: String,
    /// On what basis the face may be shown.
    pub basis: Basis,
    /// Who says so.
    pub consent_by: String,
    /// How the portrait is cut out.
    pub framing: Framing,
    /// Which face to take when there are several, counted from 1 from left to right.
    pub face: Option<usize>,
}

/// A photo and the faces in it.
#[derive(Clone, Debug)]
pub struct ExaminedPhoto {
    /// The photo, the right way up.
    pub picture: Rgb,
    /// Its faces, from left to right: the order in which [`EnrollOptions::face`] counts them.
    pub faces: Vec<FoundFace>,
    /// What was found in the file.
    remarks: Vec<Remark>,
    /// SHA-256 of its file, hexadecimal.
    sha256: String,
}

impl ExaminedPhoto {
    /// Whether somebody has to say which face is meant.
    pub fn needs_choice(&self) -> bool {
        self.faces.len() > 1 && choose(&self.faces, None).is_err()
    }

    /// The one face that is meant where nobody says which.
    ///
    /// # Errors
    /// [`ErrorKind::Photo`]: there is none, or several of a size.
    pub fn main_face(&self) -> Result<&FoundFace> {
        choose(&self.faces, None).map(|(index, _)| &self.faces[index])
    }
}

/// An identity and what its user should know of its photo.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// The identity.
    pub identity: Identity,
    /// What was found in the photo that may look bad, or is good to know.
    pub remarks: Vec<Remark>,
    /// Which of the photo's faces it is, counted from 1 from left to right.
    pub face: usize,
    /// What was measured of the photo's face.
    pub measures: PhotoMeasures,
}

/// Makes identities from photos. Opens its models once.
pub struct Enroller {
    finder: FaceTracker,
    matter: Matter,
}

impl Enroller {
    /// Opens the models that enrolment needs.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when a model or the runtime is missing or torn.
    pub fn new() -> Result<Self> {
        // Enrolment has the machine for itself: two threads are worth their while.
        Ok(Self {
            finder: FaceTracker::new(TrackerOptions { n_threads: 2, ..TrackerOptions::default() })?,
            matter: Matter::new(2)?,
        })
    }

    /// Makes an identity from the bytes of a photo's file.
    ///
    /// # Errors
    /// [`ErrorKind::Photo`] with the reason when the photo will not do: unreadable, no face, several
    /// faces, too small a face, too extreme a pose.
    pub fn enroll(&mut self, photo_file: &[u8], options: &EnrollOptions) -> Result<Identity> {
        let photo = self.examine(photo_file)?;
        Ok(self.enroll_examined(&photo, options)?.identity)
    }

    /// Reads a photo's file and finds the faces in it.
    ///
    /// # Errors
    /// [`ErrorKind::Photo`] when it cannot be read. A photo without faces is none.
    pub fn examine(&mut self, photo_file: &[u8]) -> Result<ExaminedPhoto> {
        let DecodedPhoto { picture, colour_trouble } = photo::decode_with_remarks(photo_file)?;
        let remarks = colour_trouble.map(|text| Remark::new(RemarkKind::ColourProfile, text)).into_iter().collect();
        let mut faces = self.finder.find_faces(&picture)?;
        faces.sort_by(|a, b| centre(a).x.total_cmp(&centre(b).x));
        Ok(ExaminedPhoto { picture, faces, remarks, sha256: hex(&Sha256::digest(photo_file)) })
    }

    /// Finds the faces in a frame of a clip whose file has the given SHA-256, hexadecimal.
    ///
    /// # Errors
    /// When a network or a picture operation fails. A frame without faces is no error.
    pub fn examine_frame(&mut self, picture: Rgb, sha256: &str) -> Result<ExaminedPhoto> {
        let mut faces = self.finder.find_faces(&picture)?;
        faces.sort_by(|a, b| centre(a).x.total_cmp(&centre(b).x));
        Ok(ExaminedPhoto { picture, faces, remarks: Vec::new(), sha256: sha256.to_owned() })
    }

    /// Makes an identity from a photo whose faces are known.
    ///
    /// # Errors
    /// [`ErrorKind::Photo`] with the reason when the photo will not do: no face, several faces, too small a face, too
    /// extreme a pose.
    pub fn enroll_examined(&mut self, photo: &ExaminedPhoto, options: &EnrollOptions) -> Result<Enrolled> {
        let mut remarks = photo.remarks.clone();
        let (index, others) = choose(&photo.faces, options.face)?;
        remarks.extend(others);
        let (face, photo_sha256, photo) = (&photo.faces[index], photo.sha256.clone(), &photo.picture);
        let face_px = check_face(face, TurnLimits::PORTRAIT)?;

        let (crop, portrait, face) = self.cut(photo, face, face_px, options.framing)?;
        let mut matte = self.matter.matte(&portrait)?;
        let mut measures = measure(&portrait, &matte, &face, face_px, crop, photo)?;
        measures.mirror_error = self.finder.mirror_error(&portrait, &face)?;
        remarks.extend(judge(&measures));
        if measures.foreign_share > MAX_FOREIGN_SHARE {
            keep_face(&portrait, &mut matte, &face)?;
        }
        let background = plate::fill_background(&portrait, &matte);
        let whole = WholePhoto::new(photo, crop.square(), &mut self.matter)?;
        let now = unix_secs();
        let manifest = Manifest {
            format: container::FORMAT,
            name: options.name.clone(),
            consent: Consent {
                basis: options.basis,
                by: options.consent_by.clone(),
                at_unix_secs: now,
                until_unix_secs: None,
                purpose: None,
                statement_sha256: None,
                spoken: None,
            },
            created_unix_secs: now,
            framing: options.framing,
            photo_sha256,
            views: Vec::new(),
            models: Model::hashes(),
            // Filled in when the file is written.
            tensors: Default::default(),
        };
        let identity = Identity {
            shape: FaceShape::new(&face.landmarks_px, &face.pose),
            manifest,
            maker: None,
            portrait,
            matte,
            background,
            landmarks_px: face.landmarks_px,
            coefficients: face.coefficients,
            pose: face.pose,
            emphasis: None,
            photo: Some(Arc::new(whole)),
            views: Vec::new(),
        };
        Ok(Enrolled { identity, remarks, face: index + 1, measures })
    }

    /// Adds one more view of the person to an identity: cut out as its portrait was, its light brought to the portrait's by
    /// the skin that both show. `at_millis` is when in the clip it is from. Whether it is the same person is the caller's
    /// to check.
    ///
    /// # Errors
    /// [`ErrorKind::Photo`] with the reason when the photo will not do; [`ErrorKind::Config`] when the identity has
    /// [`Identity::MAX_VIEWS`] already.
    pub fn add_view(&mut self, identity: &mut Identity, photo: &ExaminedPhoto, at_millis: Option<u64>) -> Result<()> {
        if identity.n_views() >= Identity::MAX_VIEWS {
            let message = format!("an identity has at most {} views", Identity::MAX_VIEWS);
            return Err(Error::new(ErrorKind::Config, message));
        }
        let (index, _) = choose(&photo.faces, None)?;
        let face_px = check_face(&photo.faces[index], TurnLimits::SIDE_VIEW)?;
        let framing = identity.manifest.framing;
        let (_, mut portrait, face) = self.cut(&photo.picture, &photo.faces[index], face_px, framing)?;
        let matte = self.matter.matte(&portrait)?;
        let shape = FaceShape::new(&face.landmarks_px, &face.pose);
        let own =
            skin::Face { picture: &identity.portrait, landmarks_px: &identity.landmarks_px, shape: &identity.shape };
        let other = skin::Face { picture: &portrait, landmarks_px: &face.landmarks_px, shape: &shape };
        let gains = skin::gains(&own, &other);
        skin::apply(&mut portrait, gains);
        let read = (face.pose, face.coefficients);
        identity.views.push(SideView::new(&portrait, &matte, read, face.landmarks_px, &identity.manifest)?);
        identity.manifest.views.push(ViewOrigin { file_sha256: photo.sha256.clone(), at_millis });
        Ok(())
    }

    /// Cuts the portrait's square out of a photo and looks at the face there again: its points are then exact where they are
    /// used, and its pose belongs to a camera that took this square.
    fn cut(
        &mut self,
        photo: &Rgb,
        face: &FoundFace,
        face_px: f32,
        framing: Framing,
    ) -> Result<(Crop, Rgb, FaceObservation)> {
        let crop = match framing {
            Framing::Face => Crop::around_face(face, face_px, photo),
            Framing::Keep => Crop::whole(photo),
        };
        let size = Identity::SIZES_PX[usize::from(crop.side_px >= LARGE_FROM_PX)];
        let portrait = crop.cut(photo, size)?;
        let expected = crop.to_portrait(centre(face), size);
        let mut face = self
            .finder
            .find_faces(&portrait)?
            .into_iter()
            .min_by(|a, b| centre(a).distance(expected).total_cmp(&centre(b).distance(expected)))
            .ok_or_else(|| {
                Error::new(ErrorKind::Photo, "the face is lost in its own crop; try --framing keep, or another photo")
            })?
            .observation;
        self.finder.settle(&portrait, &mut face)?;
        Ok((crop, portrait, face))
    }
}

/// Seconds since 1970-01-01 UTC.
fn unix_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

impl Identity {
    /// Draws what enrolment found: portrait with the face's points, the person cut out, the background.
    ///
    /// # Shapes
    /// (s, 3 s, 3) with s the identity's size.
    pub fn preview(&self) -> Rgb {
        let size = self.size_px();
        let mut preview = Rgb::new(3 * size, size);
        for y in 0..size {
            for x in 0..size {
                let seen = self.portrait.pixel(x, y);
                let alpha = u32::from(Grey::pixel(&self.matte, x, y)[0]);
                const GREEN: [u32; 3] = [0, 177, 64];
                let cut: [u8; 3] =
                    std::array::from_fn(|c| ((u32::from(seen[c]) * alpha + GREEN[c] * (255 - alpha)) / 255) as u8);
                for (third, pixel) in [seen, cut, self.background.pixel(x, y)].into_iter().enumerate() {
                    preview.data_mut()[(y * 3 * size + third * size + x) * 3..][..3].copy_from_slice(&pixel);
                }
            }
        }
        let reach = size / 512;
        for p in &self.landmarks_px {
            let (x, y) = (p.x.round() as i64, p.y.round() as i64);
            for dy in 0..=reach as i64 {
                for dx in 0..=reach as i64 {
                    if (0..size as i64).contains(&(x + dx)) && (0..size as i64).contains(&(y + dy)) {
                        let at = ((y + dy) as usize * 3 * size + (x + dx) as usize) * 3;
                        preview.data_mut()[at..at + 3].copy_from_slice(&[0, 255, 160]);
                    }
                }
            }
        }
        preview
    }
}
