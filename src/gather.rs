//! Views of one person, gathered from photos and clips: looked at, compared, and the few kept that add something.
//!
//! The first file that can carry a portrait is the main one, and is enrolled as if it were alone. Of the others at most
//! seven become further views ([`crate::identity::SideView`]): those without which most of what was seen would be farthest from
//! any view (`pick`). The same files in the same order give the same views.

use std::path::{Path, PathBuf};

use glam::Quat;

use crate::error::{Error, ErrorKind, Result};
use crate::face::{FaceTracker, TrackerOptions};
use crate::frame::Rgb;
use crate::generate::views::Wish;
use crate::geometry::FaceShape;
use crate::identity::{EnrollOptions, Enrolled, Enroller, ExaminedPhoto, Identity};
use crate::photo;

use self::clip::{Ahead, Survey};
use self::person::{Person, Sight};
use self::pick::Picker;

pub use self::kind::is_clip;

mod clip;
mod kind;
mod person;
mod pick;
mod texture;

/// So many candidates are looked at closely: of a clip in which hands are before the face, more are refused than taken.
const MAX_TRIES: usize = 24;

/// A view that an identity got.
#[derive(Clone, Debug)]
pub struct GatheredView {
    /// The photo or clip that it is from.
    pub file: PathBuf,
    /// When in the clip; `None` for a photo.
    pub at_secs: Option<f64>,
    /// How far the head is turned to the picture's right, looks up, and is tilted, in degrees.
    pub yaw_pitch_roll_degrees: [f32; 3],
    /// The gap between the lips, in face widths.
    pub mouth: f32,
    /// How far both eyes are open, 1 as in the main portrait.
    pub eyes: f32,
}

/// A file that gave no view, and why: a lower-case clause without a full stop.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// The photo or clip.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

/// What came of the files.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The identity with its views, and what its user should know of the main portrait.
    pub enrolled: Enrolled,
    /// The main portrait's photo.
    pub photo: ExaminedPhoto,
    /// The views, the main portrait first.
    pub views: Vec<GatheredView>,
    /// Files that gave none.
    pub left_out: Vec<LeftOut>,
}

/// Makes identities of several photos and clips. Opens its models once.
pub struct Gatherer {
    enroller: Enroller,
    tracker: FaceTracker,
}

/// Something that may become a view.
struct Candidate {
    /// Which of the files.
    file: usize,
    /// When, and which picture of the clip.
    frame: Option<(u64, f64)>,
    wish: Wish,
    /// How crisp the face is, in any unit: candidates of one clip are compared.
    crispness: f32,
}

/// A file that was looked at.
enum Looked {
    Photo(Box<HeldPhoto>),
    Clip(Survey),
    Unusable,
}

/// A photo whose faces are known. Its file is held in place of its picture: eight photos' pictures take a gigabyte.
struct HeldPhoto {
    file: Vec<u8>,
    /// Its picture is empty.
    examined: ExaminedPhoto,
    /// What is compared of its main face, or why it has none.
    sight: std::result::Result<Sight, String>,
}

impl HeldPhoto {
    /// Takes a photo's file and what was found in it.
    fn new(file: Vec<u8>, mut examined: ExaminedPhoto) -> Result<Self> {
        let sight = match examined.main_face() {
            Ok(face) => Ok(Sight::new(&examined.picture, &face.observation)?),
            Err(error) => Err(error.to_string()),
        };
        examined.picture = Rgb::default();
        Ok(Self { file, examined, sight })
    }

    /// The photo with its picture, decoded again.
    fn decoded(&self) -> Result<ExaminedPhoto> {
        let mut photo = self.examined.clone();
        photo.picture = photo::decode_with_remarks(&self.file)?.picture;
        Ok(photo)
    }
}

impl Gatherer {
    /// Opens the models that enrolment needs.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when a model or the runtime is missing or torn.
    pub fn new() -> Result<Self> {
        Ok(Self {
            enroller: Enroller::new()?,
            tracker: FaceTracker::new(TrackerOptions { n_threads: 2, ..TrackerOptions::default() })?,
        })
    }

    /// Enrols what `files` show of one person, with at most `max_views` views; `progress` is told what is done.
    ///
    /// # Errors
    /// [`ErrorKind::Photo`]: no file can carry a portrait, or one shows somebody else. [`ErrorKind::Io`]: a file cannot be
    /// read.
    pub fn gather(
        &mut self,
        files: &[PathBuf],
        options: &EnrollOptions,
        max_views: usize,
        mut progress: impl FnMut(&str),
    ) -> Result<Gathered> {
        let mut left_out = Vec::new();
        let mut looked = Vec::new();
        for file in files {
            progress(&format!("looking at {}", file.display()));
            looked.push(self.look(file)?);
        }
        progress("enrolling");
        let (main, mut enrolled, photo, main_frame) = self.main(files, &looked, options)?;
        let main_shape = enrolled.identity.shape.clone();
        let own = &enrolled.identity;
        let person = Person::new(&own.portrait, &own.landmarks_px, &main_shape)?;
        let mut candidates = Vec::new();
        for (at, looked) in looked.iter().enumerate() {
            match looked {
                Looked::Photo(_) if at == main => {}
                Looked::Photo(photo) => match &photo.sight {
                    Ok(sight) => {
                        person.check(sight, (&files[at], &files[main]))?;
                        let wish = Wish::of_view(&sight.shape, &main_shape);
                        candidates.push(Candidate { file: at, frame: None, wish, crispness: 1.0 });
                    }
                    Err(reason) => left_out.push(LeftOut { file: files[at].clone(), reason: reason.clone() }),
                },
                Looked::Clip(survey) => {
                    if at != main {
                        self.check_clip(&person, survey, (&files[at], &files[main]))?;
                    }
                    let frames = survey.seen.iter().filter(|seen| at != main || Some(seen.index) != main_frame);
                    candidates.extend(frames.map(|seen| Candidate {
                        file: at,
                        frame: Some((seen.index, seen.at_secs)),
                        wish: Wish::of_view(&seen.shape, &main_shape),
                        crispness: seen.crispness,
                    }));
                }
                Looked::Unusable => {}
            }
        }
        let main_view = Wish::of_view(&main_shape, &main_shape);
        let mut picker = Picker::new(main_view, &candidates);
        let at_secs = at_secs(&looked[main], main_frame);
        let mut views = vec![GatheredView::new(&files[main], at_secs, &enrolled.identity, &main_shape)];
        let mut taken = vec![main];
        let most = max_views.clamp(1, Identity::MAX_VIEWS);
        let (mut tries, mut ahead) = (MAX_TRIES, Ahead::default());
        while views.len() < most && tries > 0 {
            let Some(index) = picker.best() else { break };
            tries -= 1;
            progress(&format!("adding view {}", views.len() + 1));
            let candidate = &candidates[index];
            let seen = match (&looked[candidate.file], candidate.frame) {
                (Looked::Photo(photo), _) => photo.decoded()?,
                (Looked::Clip(survey), Some((frame, _))) => {
                    let soon = || {
                        let next = picker.outlook(Ahead::MAX_PICTURES.min(most - views.len()));
                        let next = next.into_iter().map(|next| &candidates[next]);
                        next.filter_map(|next| Some((next.file, next.frame?.0))).collect::<Vec<_>>()
                    };
                    let picture = ahead.take(&files[candidate.file], (candidate.file, frame), soon)?;
                    self.enroller.examine_frame(picture, &survey.sha256)?
                }
                // A candidate is of no other kind.
                _ => break,
            };
            match self.add(&mut enrolled.identity, candidate, &seen, &person)? {
                None => {
                    picker.accept(index);
                    taken.push(candidate.file);
                    if let Some(view) = enrolled.identity.views.last() {
                        let at_secs = candidate.frame.map(|(_, at_secs)| at_secs);
                        views.push(GatheredView::new(&files[candidate.file], at_secs, view.identity(), &main_shape));
                    }
                }
                Some(reason) => {
                    picker.reject(index);
                    if candidate.frame.is_none() {
                        left_out.push(LeftOut { file: files[candidate.file].clone(), reason });
                    }
                }
            }
        }
        let nearest = picker.nearest();
        for (at, file) in files.iter().enumerate() {
            if taken.contains(&at) || left_out.iter().any(|left| left.file == *file) {
                continue;
            }
            let own = candidates.iter().zip(nearest).find(|(candidate, _)| candidate.file == at);
            let reason = match (&looked[at], own) {
                (Looked::Unusable, _) => "no face was found in it".to_owned(),
                (Looked::Clip(survey), _) if survey.seen.is_empty() => "no face was found in it".to_owned(),
                (_, Some((_, nearest))) if *nearest < pick::LEAST_NEWS => {
                    "it shows nothing that another view does not show".to_owned()
                }
                _ => format!("{} views are enough, and the others add more", views.len()),
            };
            left_out.push(LeftOut { file: file.clone(), reason });
        }
        Ok(Gathered { enrolled, photo, views, left_out })
    }

    /// Adds a candidate, with its picture, to the identity's views, or says why it is none.
    fn add(
        &mut self,
        identity: &mut Identity,
        candidate: &Candidate,
        photo: &ExaminedPhoto,
        person: &Person,
    ) -> Result<Option<String>> {
        if candidate.frame.is_some() {
            let is_bare = match photo.main_face() {
                Ok(face) => person.looks_like(&Sight::new(&photo.picture, &face.observation)?),
                Err(_) => false,
            };
            if !is_bare {
                return Ok(Some("something seems to cover the face".to_owned()));
            }
        }
        let at_millis = candidate.frame.map(|(_, at_secs)| (at_secs * 1e3).round() as u64);
        match self.enroller.add_view(identity, photo, at_millis) {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Photo => Ok(Some(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Refuses a clip of somebody else, by its calmest picture.
    fn check_clip(&mut self, person: &Person, survey: &Survey, names: (&Path, &Path)) -> Result<()> {
        let photo = self.enroller.examine_frame(clip::picture(names.0, survey.calmest())?, &survey.sha256)?;
        // A picture whose face is found while it is followed, and not by itself, tells nothing.
        let Ok(face) = photo.main_face() else { return Ok(()) };
        person.check(&Sight::new(&photo.picture, &face.observation)?, names)
    }

    /// Finds the faces of a photo, or looks through a clip.
    fn look(&mut self, file: &Path) -> Result<Looked> {
        let about = |error: Error| Error::new(error.kind(), format!("cannot enroll {}", file.display())).because(error);
        if is_clip(file) {
            let survey = clip::survey(file, &mut self.tracker).map_err(about)?;
            return Ok(if survey.seen.is_empty() { Looked::Unusable } else { Looked::Clip(survey) });
        }
        let bytes = photo::read_bytes(file)?;
        let photo = self.enroller.examine(&bytes).map_err(about)?;
        if photo.faces.is_empty() {
            return Ok(Looked::Unusable);
        }
        Ok(Looked::Photo(Box::new(HeldPhoto::new(bytes, photo)?)))
    }

    /// Enrols the first file that can carry a portrait: its index, what came of it, its photo, and which frame of a clip it is.
    fn main(
        &mut self,
        files: &[PathBuf],
        looked: &[Looked],
        options: &EnrollOptions,
    ) -> Result<(usize, Enrolled, ExaminedPhoto, Option<u64>)> {
        let mut first_error = None;
        for (at, file) in files.iter().enumerate() {
            let (photo, frame) = match &looked[at] {
                Looked::Photo(photo) => (photo.decoded()?, None),
                Looked::Clip(survey) => {
                    let frame = survey.calmest();
                    let picture = clip::picture(file, frame)?;
                    (self.enroller.examine_frame(picture, &survey.sha256)?, Some(frame))
                }
                Looked::Unusable => {
                    first_error.get_or_insert_with(|| no_face(file));
                    continue;
                }
            };
            match self.enroller.enroll_examined(&photo, options) {
                Ok(enrolled) => return Ok((at, enrolled, photo, frame)),
                Err(error) if error.kind() == ErrorKind::Photo => {
                    let about = format!("cannot enroll {}", file.display());
                    first_error.get_or_insert_with(|| Error::new(ErrorKind::Photo, about).because(error));
                }
                Err(error) => return Err(error),
            }
        }
        Err(first_error.unwrap_or_else(|| Error::new(ErrorKind::Config, "expected at least one photo or clip")))
    }
}

fn no_face(file: &Path) -> Error {
    let reason = if is_clip(file) {
        "no face found in the clip; film it from the front, in even light, with the whole face in view"
    } else {
        "no face found; take a photo from the front, in even light, with the whole face in view"
    };
    Error::new(ErrorKind::Photo, format!("cannot enroll {}", file.display()))
        .because(Error::new(ErrorKind::Photo, reason))
}

fn at_secs(looked: &Looked, frame: Option<u64>) -> Option<f64> {
    match looked {
        Looked::Clip(survey) => survey.seen.iter().find(|seen| Some(seen.index) == frame).map(|seen| seen.at_secs),
        Looked::Photo(_) | Looked::Unusable => None,
    }
}

impl GatheredView {
    /// The main portrait of an identity as its only view.
    pub fn main(file: &Path, identity: &Identity) -> Self {
        Self::new(file, None, identity, &identity.shape)
    }

    fn new(file: &Path, at_secs: Option<f64>, view: &Identity, main: &FaceShape) -> Self {
        let wish = Wish::of_view(&view.shape, main);
        Self {
            file: file.to_owned(),
            at_secs,
            yaw_pitch_roll_degrees: view.pose.yaw_pitch_roll_rads().map(f32::to_degrees),
            mouth: wish.mouth,
            eyes: wish.eyes,
        }
    }
}

/// How far a head looks away from the camera, in radians.
fn turned_rads(rotation: Quat) -> f32 {
    crate::generate::views::turn_rads(rotation, Quat::IDENTITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_is_held_as_its_file_and_decodes_to_what_was_examined() {
        let file = crate::demo::PORTRAITS[0].1;
        let examined = Enroller::new().unwrap().examine(file).unwrap();
        let held = HeldPhoto::new(file.to_vec(), examined.clone()).unwrap();
        assert!(held.examined.picture.data().is_empty(), "the picture is held");
        assert!(held.sight.is_ok(), "its face cannot be compared");
        let decoded = held.decoded().unwrap();
        assert!(decoded.picture == examined.picture && decoded.faces.len() == examined.faces.len());
        let mut nobody = examined;
        nobody.faces.clear();
        assert!(HeldPhoto::new(file.to_vec(), nobody).unwrap().sight.is_err());
    }
}
