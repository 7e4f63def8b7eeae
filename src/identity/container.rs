//! The identity file: safetensors with a signed manifest in its header.
//!
//! The header's metadata hold three strings: `effigy` (the [`Manifest`] as JSON), `public_key` and
//! `signature` (Ed25519 over the manifest's bytes, hexadecimal). The manifest holds a hash of
//! every tensor, so that the signature covers all of the file.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use glam::{Mat3, Vec3};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest as _, Sha256};

use super::signing::{self, Signer};
use super::{Consent, Identity, Manifest, PhotoCrop, SideView, WholePhoto};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Picture;
use crate::geometry::{FaceShape, HeadPose, Landmarks, N_COEFFICIENTS, N_LANDMARKS};
use effigy_base::hex::hex;

/// Version of the file format that this program writes and reads.
pub(super) const FORMAT: u32 = 1;
/// The largest identity file accepted, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 64 << 20;
/// Names of people are shown in titles and lists.
const MAX_NAME_CHARS: usize = 64;
/// The longest other text, in characters.
const MAX_TEXT_CHARS: usize = 400;

fn refused(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Identity, reason.into())
}

/// Writes `identity` as a file's bytes; fills in the manifest's tensor hashes and signs it.
pub(super) fn to_bytes(identity: &Identity, signer: &Signer) -> Result<Vec<u8>> {
    let size = identity.size_px();
    let [landmarks, coefficients, pose] = face_bytes(identity);
    let floats = |values: &mut dyn Iterator<Item = f32>| values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    let emphasis = identity.emphasis.as_ref().map(|emphasis| floats(&mut emphasis.iter().copied()));
    let crop = identity.photo.as_ref().map(|photo| floats(&mut photo.crop.to_array().into_iter()));
    let mut tensors: BTreeMap<&str, (Dtype, Vec<usize>, &[u8])> = BTreeMap::from([
        ("portrait", (Dtype::U8, vec![size, size, 3], identity.portrait.data())),
        ("matte", (Dtype::U8, vec![size, size, 1], identity.matte.data())),
        ("background", (Dtype::U8, vec![size, size, 3], identity.background.data())),
        ("landmarks_px", (Dtype::F32, vec![N_LANDMARKS, 3], &landmarks)),
        ("coefficients", (Dtype::F32, vec![N_COEFFICIENTS], &coefficients)),
        ("pose", (Dtype::F32, vec![4, 3], &pose)),
    ]);
    if let Some(emphasis) = &emphasis {
        tensors.insert("emphasis", (Dtype::F32, vec![N_COEFFICIENTS], emphasis));
    }
    if let (Some(photo), Some(crop)) = (&identity.photo, &crop) {
        let matte = &photo.matte;
        tensors.insert("photo", (Dtype::U8, vec![photo.jpeg().len()], photo.jpeg()));
        tensors.insert("photo_matte", (Dtype::U8, vec![matte.height_px(), matte.width_px(), 1], matte.data()));
        tensors.insert("photo_crop", (Dtype::F32, vec![3], crop));
    }
    let views: Vec<_> = identity.views.iter().map(|view| (view, face_bytes(view.identity()))).collect();
    let names: Vec<_> = (1..=views.len()).map(view_names).collect();
    for ((view, [landmarks, coefficients, pose]), [portrait, matte, points, strengths, place]) in
        views.iter().zip(&names)
    {
        let small = view.matte();
        tensors.insert(portrait, (Dtype::U8, vec![view.jpeg().len()], view.jpeg()));
        tensors.insert(matte, (Dtype::U8, vec![SideView::MATTE_PX, SideView::MATTE_PX, 1], small.data()));
        tensors.insert(points, (Dtype::F32, vec![N_LANDMARKS, 3], landmarks));
        tensors.insert(strengths, (Dtype::F32, vec![N_COEFFICIENTS], coefficients));
        tensors.insert(place, (Dtype::F32, vec![4, 3], pose));
    }
    let mut manifest = identity.manifest.clone();
    manifest.format = FORMAT;
    manifest.tensors = tensors
        .iter()
        .map(|(name, (dtype, shape, data))| ((*name).to_owned(), tensor_hash(*dtype, shape, data)))
        .collect();
    let manifest =
        serde_json::to_string(&manifest).or_error(ErrorKind::Internal, || "cannot write a manifest".into())?;
    let metadata = HashMap::from([
        ("signature".to_owned(), signer.sign(manifest.as_bytes())),
        ("public_key".to_owned(), signer.public_key()),
        ("effigy".to_owned(), manifest),
    ]);
    let views = tensors
        .into_iter()
        .map(|(name, (dtype, shape, data))| Ok((name, TensorView::new(dtype, shape, data)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .or_error(ErrorKind::Internal, || "cannot lay out an identity".into())?;
    safetensors::serialize(views, Some(metadata)).or_error(ErrorKind::Internal, || "cannot write an identity".into())
}

/// A face's points, expression and pose, as a file keeps them.
fn face_bytes(identity: &Identity) -> [Vec<u8>; 3] {
    let floats = |values: &mut dyn Iterator<Item = f32>| values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    let pose = &identity.pose;
    [
        floats(&mut identity.landmarks_px.iter().flat_map(|p| p.to_array())),
        floats(&mut identity.coefficients.iter().copied()),
        floats(&mut pose.camera_from_head.to_cols_array().into_iter().chain(pose.translation_cm.to_array())),
    ]
}

/// What the tensors of a further view are called: portrait, matte, points, expression, pose.
fn view_names(view: usize) -> [String; 5] {
    ["portrait", "matte", "landmarks_px", "coefficients", "pose"].map(|what| format!("view{view}_{what}"))
}

/// Refuses texts that could play tricks where they are printed: they are whoever's who made the file.
fn check_texts(consent: &Consent) -> Result<()> {
    let is_turn = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_plain =
        |text: &str| text.chars().count() <= MAX_TEXT_CHARS && !text.contains(|c| char::is_control(c) || is_turn(c));
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hashes = [consent.statement_sha256.as_deref(), consent.spoken.as_ref().map(|spoken| &*spoken.sha256)];
    if !is_plain(&consent.by) || !consent.purpose.as_deref().is_none_or(is_plain) {
        return Err(refused(format!("who agreed and for what must be at most {MAX_TEXT_CHARS} printable characters")));
    }
    if !hashes.into_iter().flatten().all(is_hash) {
        return Err(refused("the hash of a statement must be 64 hexadecimal digits"));
    }
    Ok(())
}

/// Reads an identity from a file's bytes and checks all of it.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Identity> {
    let torn = || "expected an identity file made by `effigy enroll`, found something else or a torn file".to_owned();
    let (_, header) = SafeTensors::read_metadata(bytes).or_error(ErrorKind::Identity, torn)?;
    let metadata = header.metadata().as_ref().ok_or_else(|| refused("a safetensors file, but not an identity"))?;
    let text = |key: &str| {
        metadata.get(key).ok_or_else(|| refused(format!("a safetensors file without \"{key}\": not an identity")))
    };
    let signed = text("effigy")?;
    let maker = text("public_key")?;
    signing::verify(signed.as_bytes(), maker, text("signature")?)?;
    let manifest: Manifest = match serde_json::from_str::<FormatOnly>(signed) {
        Ok(FormatOnly { format: FORMAT }) => {
            serde_json::from_str(signed).or_error(ErrorKind::Identity, || "the manifest is not as expected".into())?
        }
        Ok(FormatOnly { format }) => {
            return Err(refused(format!(
                "identity format {format} found, this version reads {FORMAT}; enroll the photo again"
            )));
        }
        Err(error) => return Err(refused("the manifest does not say its format").because(error)),
    };
    if manifest.name.is_empty()
        || manifest.name.chars().count() > MAX_NAME_CHARS
        || manifest.name.contains(char::is_control)
    {
        return Err(refused(format!("the name must have 1 to {MAX_NAME_CHARS} printable characters")));
    }

    check_texts(&manifest.consent)?;

    let tensors = SafeTensors::deserialize(bytes).or_error(ErrorKind::Identity, torn)?;
    if tensors.len() != manifest.tensors.len() {
        return Err(refused(format!("{} tensors expected, {} found", manifest.tensors.len(), tensors.len())));
    }
    // As many, and each that was signed: none is there that was not.
    if let Some(name) = manifest.tensors.keys().find(|name| tensors.tensor(name).is_err()) {
        return Err(refused(format!("the tensor \"{name}\" is missing")));
    }
    let tensor = |name: &str, dtype: Dtype, shape: &[usize]| -> Result<&[u8]> {
        let view =
            tensors.tensor(name).or_error(ErrorKind::Identity, || format!("the tensor \"{name}\" is missing"))?;
        if view.dtype() != dtype || view.shape() != shape {
            return Err(refused(format!(
                "the tensor \"{name}\" should be {dtype:?} {shape:?}, it is {:?} {:?}",
                view.dtype(),
                view.shape()
            )));
        }
        let found = tensor_hash(dtype, shape, view.data());
        match manifest.tensors.get(name) {
            Some(expected) if *expected == found => Ok(view.data()),
            expected => Err(refused(format!(
                "the tensor \"{name}\" is not the one that was signed: expected {}, found {found}",
                expected.map_or("none", |hash| hash)
            ))),
        }
    };
    let floats = |name: &str, shape: &[usize], limit: f32| -> Result<Vec<f32>> {
        let data = tensor(name, Dtype::F32, shape)?;
        let values: Vec<f32> = data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        // Also refuses what is not a number.
        if values.iter().all(|v| v.abs() <= limit) {
            Ok(values)
        } else {
            Err(refused(format!("the tensor \"{name}\" holds a number beyond {limit}")))
        }
    };

    let size = match tensors.tensor("portrait").ok().map(|view| view.shape().to_vec()).as_deref() {
        Some([height, _, _]) if Identity::SIZES_PX.contains(height) => *height,
        found => {
            return Err(refused(format!("a portrait of {:?} pixels expected, found {found:?}", Identity::SIZES_PX)));
        }
    };
    let landmarks = |name: &str, size: usize| -> Result<Landmarks> {
        let values = floats(name, &[N_LANDMARKS, 3], 4.0 * size as f32)?;
        Ok(std::array::from_fn(|i| Vec3::new(values[3 * i], values[3 * i + 1], values[3 * i + 2])))
    };
    let coefficients = |name: &str| -> Result<[f32; N_COEFFICIENTS]> {
        let values = floats(name, &[N_COEFFICIENTS], 1.001)?;
        Ok(std::array::from_fn(|i| values[i]))
    };
    let pose = |name: &str| -> Result<HeadPose> {
        let values = floats(name, &[4, 3], 1e4)?;
        let pose = HeadPose {
            camera_from_head: Mat3::from_cols_slice(&values[..9]),
            translation_cm: Vec3::new(values[9], values[10], values[11]),
        };
        let distortion = pose.camera_from_head.transpose() * pose.camera_from_head - Mat3::IDENTITY;
        if distortion.to_cols_array().iter().any(|v| v.abs() > 1e-2) || pose.camera_from_head.determinant() < 0.0 {
            return Err(refused("the head's pose is not a rotation"));
        }
        Ok(pose)
    };
    let landmarks_px = landmarks("landmarks_px", size)?;
    let own_coefficients = coefficients("coefficients")?;
    let emphasis = if manifest.tensors.contains_key("emphasis") {
        let values = floats("emphasis", &[N_COEFFICIENTS], Identity::EMPHASIS[1])?;
        if values.iter().any(|value| *value < Identity::EMPHASIS[0]) {
            return Err(refused(format!("the emphasis is below {}", Identity::EMPHASIS[0])));
        }
        Some(Box::new(std::array::from_fn(|i| values[i])))
    } else {
        None
    };
    let own_pose = pose("pose")?;
    // Files of earlier versions have none.
    let photo = match tensors.tensor("photo").ok() {
        None => None,
        Some(view) => {
            let jpeg = tensor("photo", Dtype::U8, &[view.shape().iter().product()])?;
            let matte_shape = tensors.tensor("photo_matte").ok().map(|view| view.shape().to_vec());
            let (height, width) = match matte_shape.as_deref() {
                Some(&[height, width, 1]) if WholePhoto::is_matte_size(width, height) => (height, width),
                found => return Err(refused(format!("a small matte of the photo expected, found {found:?}"))),
            };
            let matte = tensor("photo_matte", Dtype::U8, &[height, width, 1])?;
            let crop = floats("photo_crop", &[3], 1e5)?;
            let crop = PhotoCrop { left_px: crop[0], top_px: crop[1], side_px: crop[2] };
            let matte = Picture::from_data(width, height, matte.to_vec())?;
            Some(Arc::new(
                WholePhoto::from_jpeg(jpeg.to_vec(), matte, crop).map_err(|error| refused(error.to_string()))?,
            ))
        }
    };
    let n_views = 1 + manifest.views.len();
    if n_views > Identity::MAX_VIEWS {
        return Err(refused(format!("at most {} views expected, {n_views} found", Identity::MAX_VIEWS)));
    }
    let read_view = |view: usize| -> Result<SideView> {
        let [portrait, matte, points, strengths, place] = view_names(view);
        let length = tensors.tensor(&portrait).map_or(0, |view| view.shape().iter().product());
        let jpeg = tensor(&portrait, Dtype::U8, &[length])?;
        let matte = tensor(&matte, Dtype::U8, &[SideView::MATTE_PX, SideView::MATTE_PX, 1])?;
        let (pose, coefficients) = (pose(&place)?, coefficients(&strengths)?);
        let matte = picture(matte, SideView::MATTE_PX)?;
        SideView::from_jpeg(jpeg.to_vec(), matte, (pose, coefficients), |size| landmarks(&points, size), &manifest)
    };
    let views = (1..n_views).map(read_view).collect::<Result<Vec<_>>>()?;
    Ok(Identity {
        photo,
        views,
        portrait: picture(tensor("portrait", Dtype::U8, &[size, size, 3])?, size)?,
        matte: picture(tensor("matte", Dtype::U8, &[size, size, 1])?, size)?,
        background: picture(tensor("background", Dtype::U8, &[size, size, 3])?, size)?,
        shape: FaceShape::new(&landmarks_px, &own_pose),
        landmarks_px,
        coefficients: own_coefficients,
        pose: own_pose,
        emphasis,
        manifest,
        maker: Some(maker.clone()),
    })
}

/// The manifest's version, readable whatever else it holds.
#[derive(serde::Deserialize)]
struct FormatOnly {
    format: u32,
}

fn picture<const C: usize>(data: &[u8], size: usize) -> Result<Picture<C>> {
    Picture::from_data(size, size, data.to_vec())
}

/// SHA-256 over type, shape and data, hexadecimal.
fn tensor_hash(dtype: Dtype, shape: &[usize], data: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{dtype:?} {shape:?} "));
    hash.update(data);
    hex(&hash.finalize())
}
