//! What the camera offers and needs, in PipeWire's own notation.

use std::io::Cursor;

use pipewire::spa::param::ParamType;
use pipewire::spa::param::format::{FormatProperties, MediaSubtype, MediaType};
use pipewire::spa::param::video::VideoFormat;
use pipewire::spa::pod::serialize::PodSerializer;
use pipewire::spa::pod::{CanonicalFixedSizedPod, ChoiceValue, Object, Pod, Property, Value};
use pipewire::spa::sys;
use pipewire::spa::utils::{Choice, ChoiceEnum, ChoiceFlags, Fraction, Id, Rectangle, SpaTypes};

use crate::error::{Error, ErrorKind, Result};
use crate::sink::camera::{CameraOptions, Packing};

/// Sizes that programs ask cameras for, beside the one that is wanted.
const USUAL_PX: [(u32, u32); 6] = [(640, 480), (1280, 720), (1920, 1080), (960, 540), (320, 240), (720, 1280)];
/// The packings, the one most programs read first.
const PACKINGS: [(Packing, VideoFormat); 4] = [
    (Packing::Yuyv, VideoFormat::YUY2),
    (Packing::Nv12, VideoFormat::NV12),
    (Packing::Rgba, VideoFormat::RGBA),
    (Packing::Bgrx, VideoFormat::BGRx),
];
/// The fastest rate that a consumer may ask for; pictures come at the driver's, at most.
const MAX_RATE_HZ: u32 = 240;

/// The packing of a format that was chosen.
pub(super) fn packing(format: VideoFormat) -> Option<Packing> {
    PACKINGS.iter().find(|(_, offered)| *offered == format).map(|(packing, _)| *packing)
}

/// All formats that the camera can deliver.
pub(super) fn formats(options: &CameraOptions) -> Result<Vec<u8>> {
    let rectangle = |(width, height): (u32, u32)| Rectangle { width, height };
    let size = rectangle((options.size_px.0 as u32, options.size_px.1 as u32));
    let mut sizes = vec![size];
    sizes.extend(USUAL_PX.map(rectangle).into_iter().filter(|usual| *usual != size));
    let rate = Fraction { num: (options.rate_hz * 1000.0).round() as u32, denom: 1000 };
    let id = |key: FormatProperties, value: u32| Property::new(key.as_raw(), Value::Id(Id(value)));
    serialize(Object {
        type_: SpaTypes::ObjectParamFormat.as_raw(),
        id: ParamType::EnumFormat.as_raw(),
        properties: vec![
            id(FormatProperties::MediaType, MediaType::Video.as_raw()),
            id(FormatProperties::MediaSubtype, MediaSubtype::Raw.as_raw()),
            one_of(
                FormatProperties::VideoFormat,
                ChoiceValue::Id,
                PACKINGS.iter().map(|(_, format)| Id(format.as_raw())).collect(),
            ),
            one_of(FormatProperties::VideoSize, ChoiceValue::Rectangle, sizes),
            Property::new(
                FormatProperties::VideoFramerate.as_raw(),
                Value::Choice(ChoiceValue::Fraction(Choice(
                    ChoiceFlags::empty(),
                    ChoiceEnum::Range {
                        default: rate,
                        min: Fraction { num: 0, denom: 1 },
                        max: Fraction { num: MAX_RATE_HZ, denom: 1 },
                    },
                ))),
            ),
        ],
    })
}

/// The buffers for a format that was chosen. Consumers settle on a number of them: a fixed one finds none.
pub(super) fn buffers(packing: Packing, size_px: (usize, usize)) -> Result<Vec<u8>> {
    let int = |key: u32, value: usize| Property::new(key, Value::Int(value as i32));
    let range = ChoiceEnum::Range { default: 8, min: 2, max: 64 };
    serialize(Object {
        type_: SpaTypes::ObjectParamBuffers.as_raw(),
        id: ParamType::Buffers.as_raw(),
        properties: vec![
            Property::new(
                sys::SPA_PARAM_BUFFERS_buffers,
                Value::Choice(ChoiceValue::Int(Choice(ChoiceFlags::empty(), range))),
            ),
            int(sys::SPA_PARAM_BUFFERS_blocks, 1),
            int(sys::SPA_PARAM_BUFFERS_size, packing.n_bytes(size_px)),
            int(sys::SPA_PARAM_BUFFERS_stride, packing.stride(size_px.0)),
        ],
    })
}

/// A property with alternatives, the first of which is the default.
pub(crate) fn one_of<T>(key: FormatProperties, kind: fn(Choice<T>) -> ChoiceValue, values: Vec<T>) -> Property
where
    T: CanonicalFixedSizedPod + Copy,
{
    let default = values[0];
    let choice = Choice(ChoiceFlags::empty(), ChoiceEnum::Enum { default, alternatives: values });
    Property::new(key.as_raw(), Value::Choice(kind(choice)))
}

/// A description as PipeWire reads it.
pub(crate) fn serialize(object: Object) -> Result<Vec<u8>> {
    match PodSerializer::serialize(Cursor::new(Vec::new()), &Value::Object(object)) {
        Ok((bytes, _)) => Ok(bytes.into_inner()),
        Err(error) => Err(Error::new(ErrorKind::Internal, format!("cannot describe a camera to PipeWire: {error:?}"))),
    }
}

/// A description that was serialized.
pub(crate) fn pod(bytes: &[u8]) -> Result<&Pod> {
    Pod::from_bytes(bytes).ok_or_else(|| Error::new(ErrorKind::Internal, "a camera's description is torn"))
}
