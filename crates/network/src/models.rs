//! The networks: found, checked by hash, opened in ONNX Runtime.
//!
//! The files are part of the program. `EFFIGY_MODELS=DIR` reads them from a folder instead; they must be the
//! same files either way, since every number downstream was tuned to them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::onnx::Session;
use effigy_base::error::{Error, ErrorKind, OrError, Result};
use effigy_base::files;
use effigy_base::hex::hex;

/// Names the folder to read the models from, instead of those inside the program.
pub const MODELS_VARIABLE: &str = "EFFIGY_MODELS";

/// No model's file is larger.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// A network that belongs to the program. Shapes are fixed, values are `f32`, pictures are RGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// 1×128×128×3 in −1..1 → 1×896×16 boxes and points, 1×896×1 scores before the sigmoid.
    FaceDetector,
    /// 1×256×256×3 in 0..1 → 478 × (x, y, z) in pixels of the crop, presence before the sigmoid.
    FaceLandmarks,
    /// 1×146×2 points in pixels of the frame → 52 coefficients in 0..1.
    FaceExpression,
    /// 1×256×256×3 in 0..1 → 1×256×256×1 in 0..1, 1 is person.
    PersonMatte,
}

impl Model {
    /// All models.
    pub const ALL: [Self; 4] = [Self::FaceDetector, Self::FaceLandmarks, Self::FaceExpression, Self::PersonMatte];

    /// The name of its file.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::FaceDetector => "face_detector.onnx",
            Self::FaceLandmarks => "face_landmarks_detector.onnx",
            Self::FaceExpression => "face_blendshapes.onnx",
            Self::PersonMatte => "selfie_segmentation.onnx",
        }
    }

    /// SHA-256 of its file, in lower-case hexadecimal digits.
    pub const fn sha256(self) -> &'static str {
        match self {
            Self::FaceDetector => "83b086c8170ab45a5c714228963e8a863bccf4ee6bb8a698be66859b8b027efb",
            Self::FaceLandmarks => "185fe3203bb2fcdd5ddea7272faa74c9414cb984a94f774f7d63379ec7e9f8cb",
            Self::FaceExpression => "63a53e622f42b7fd315c3b8a675d127b5330ad70395ce5eb13f3a89c980c2238",
            Self::PersonMatte => "475114c70a33e2c2de404df9baf0d9418529f8a0850b6947db2049e70832f6ba",
        }
    }

    /// The hashes of all models, by file name, as an identity's manifest records them.
    pub fn hashes() -> BTreeMap<String, String> {
        Self::ALL.into_iter().map(|model| (model.file_name().to_owned(), model.sha256().to_owned())).collect()
    }

    fn embedded(self) -> &'static [u8] {
        match self {
            Self::FaceDetector => include_bytes!("../../../models/face_detector.onnx"),
            Self::FaceLandmarks => include_bytes!("../../../models/face_landmarks_detector.onnx"),
            Self::FaceExpression => include_bytes!("../../../models/face_blendshapes.onnx"),
            Self::PersonMatte => include_bytes!("../../../models/selfie_segmentation.onnx"),
        }
    }

    /// Reads the model from where `EFFIGY_MODELS` says, else from inside the program, and checks its hash.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the file cannot be read or is not the one expected.
    pub fn read(self) -> Result<Cow<'static, [u8]>> {
        match std::env::var_os(MODELS_VARIABLE).filter(|folder| !folder.is_empty()) {
            Some(folder) => self.read_from(Path::new(&folder)).map(Cow::Owned),
            None => {
                let bytes = self.embedded();
                self.check(bytes, "inside the program", "build it again from a clean checkout")?;
                Ok(Cow::Borrowed(bytes))
            }
        }
    }

    /// Reads the model from a folder and checks its hash.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the file cannot be read or is not the one expected.
    pub fn read_from(self, folder: &Path) -> Result<Vec<u8>> {
        let path = folder.join(self.file_name());
        let bytes = files::read(&path, MAX_FILE_BYTES).or_error(ErrorKind::Model, || {
            format!(
                "cannot read the model {}; put it there (it is in models/ of the project) or unset {MODELS_VARIABLE}",
                path.display()
            )
        })?;
        let advice = format!("copy it again from models/ of the project, or unset {MODELS_VARIABLE}");
        self.check(&bytes, &path.display().to_string(), &advice)?;
        Ok(bytes)
    }

    fn check(self, bytes: &[u8], place: &str, advice: &str) -> Result<()> {
        let found = hex(&Sha256::digest(bytes));
        if found == self.sha256() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Model,
            format!(
                "the model {} ({place}) is torn or another one: expected SHA-256 {}, found {found} over {} bytes; {advice}",
                self.file_name(),
                self.sha256(),
                bytes.len()
            ),
        ))
    }

    /// Reads, checks and opens the model, to run on `n_threads` threads (the caller's is one of them).
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the file is not the one expected or ONNX Runtime is missing or refuses it.
    pub fn open(self, n_threads: usize) -> Result<Session> {
        Session::open(self.file_name(), &self.read()?, n_threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_in_the_program_is_the_one_expected() {
        for model in Model::ALL {
            model.check(model.embedded(), "inside the program", "").unwrap();
        }
    }

    #[test]
    fn a_torn_or_missing_file_is_refused_with_expected_and_found() {
        let folder = std::env::temp_dir().join(format!("effigy_models_test_{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let model = Model::FaceDetector;
        let missing = model.read_from(&folder).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Model);
        assert!(missing.to_string().contains("cannot read the model"), "{missing}");

        std::fs::write(folder.join(model.file_name()), &model.embedded()[..1000]).unwrap();
        let torn = model.read_from(&folder).unwrap_err().to_string();
        assert!(torn.contains(&format!("expected SHA-256 {}", model.sha256())), "{torn}");
        assert!(torn.contains("over 1000 bytes"), "{torn}");

        let vast = std::fs::File::create(folder.join(model.file_name())).unwrap();
        vast.set_len(MAX_FILE_BYTES + 1).unwrap();
        let vast = model.read_from(&folder).unwrap_err();
        assert_eq!(vast.kind(), ErrorKind::Model);
        assert!(vast.to_string().contains("it has more than 64 MB"), "{vast}");

        std::fs::write(folder.join(model.file_name()), model.embedded()).unwrap();
        assert_eq!(model.read_from(&folder).unwrap(), model.embedded());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
