//! What the reader takes of a camera, in PipeWire's own notation.

use pipewire::spa::param::ParamType;
use pipewire::spa::param::format::{FormatProperties, MediaSubtype, MediaType};
use pipewire::spa::param::format_utils::parse_format;
use pipewire::spa::param::video::{VideoFormat, VideoInfoRaw};
use pipewire::spa::pod::deserialize::PodDeserializer;
use pipewire::spa::pod::{ChoiceValue, Object, Pod, Property, Value};
use pipewire::spa::utils::{Id, Rectangle, SpaTypes};

use crate::bench::reader::packing::{Layout, Packing};
use crate::error::Result;
use crate::sink::pipewire::{one_of, serialize};

/// The formats that are read, and how brightness lies in them.
const FORMATS: [(VideoFormat, Packing); 16] = [
    (VideoFormat::YUY2, Packing::Samples { first: 0, step: 2 }),
    (VideoFormat::YVYU, Packing::Samples { first: 0, step: 2 }),
    (VideoFormat::UYVY, Packing::Samples { first: 1, step: 2 }),
    (VideoFormat::VYUY, Packing::Samples { first: 1, step: 2 }),
    (VideoFormat::NV12, Packing::Samples { first: 0, step: 1 }),
    (VideoFormat::NV21, Packing::Samples { first: 0, step: 1 }),
    (VideoFormat::I420, Packing::Samples { first: 0, step: 1 }),
    (VideoFormat::YV12, Packing::Samples { first: 0, step: 1 }),
    (VideoFormat::Y42B, Packing::Samples { first: 0, step: 1 }),
    (VideoFormat::GRAY8, Packing::Samples { first: 0, step: 1 }),
    (VideoFormat::RGBA, Packing::Colours { step: 4, is_red_first: true }),
    (VideoFormat::RGBx, Packing::Colours { step: 4, is_red_first: true }),
    (VideoFormat::BGRA, Packing::Colours { step: 4, is_red_first: false }),
    (VideoFormat::BGRx, Packing::Colours { step: 4, is_red_first: false }),
    (VideoFormat::RGB, Packing::Colours { step: 3, is_red_first: true }),
    (VideoFormat::BGR, Packing::Colours { step: 3, is_red_first: false }),
];

/// All that is taken: plain pictures and JPEG, of any size and rate, which leaves both to the camera.
pub(super) fn wanted() -> Result<[Vec<u8>; 2]> {
    let formats = FORMATS.iter().map(|(format, _)| Id(format.as_raw())).collect();
    let plain = one_of(FormatProperties::VideoFormat, ChoiceValue::Id, formats);
    Ok([format(MediaSubtype::Raw, Some(plain))?, format(MediaSubtype::Mjpg, None)?])
}

fn format(subtype: MediaSubtype, more: Option<Property>) -> Result<Vec<u8>> {
    let id = |key: FormatProperties, value: u32| Property::new(key.as_raw(), Value::Id(Id(value)));
    let mut properties = vec![
        id(FormatProperties::MediaType, MediaType::Video.as_raw()),
        id(FormatProperties::MediaSubtype, subtype.as_raw()),
    ];
    properties.extend(more);
    serialize(Object { type_: SpaTypes::ObjectParamFormat.as_raw(), id: ParamType::EnumFormat.as_raw(), properties })
}

/// How the pictures of the format lie that was agreed on; `None` where it is none of those above.
pub(super) fn layout(param: &Pod) -> Option<Layout> {
    let (media, subtype) = parse_format(param).ok()?;
    if media != MediaType::Video {
        return None;
    }
    if subtype == MediaSubtype::Mjpg {
        let size = size(param)?;
        let (width_px, height_px) = (size.width as usize, size.height as usize);
        return Some(Layout { packing: Packing::Jpeg, width_px, height_px, stride: 0 });
    }
    let mut info = VideoInfoRaw::new();
    info.parse(param).ok()?;
    let (_, packing) = FORMATS.iter().find(|(format, _)| *format == info.format())?;
    let (width_px, height_px) = (info.size().width as usize, info.size().height as usize);
    Some(Layout { packing: *packing, width_px, height_px, stride: 0 })
}

/// The size that a format states.
fn size(param: &Pod) -> Option<Rectangle> {
    let (_, value) = PodDeserializer::deserialize_any_from(param.as_bytes()).ok()?;
    let Value::Object(object) = value else { return None };
    object.properties.into_iter().find_map(|property| match property.value {
        Value::Rectangle(size) if property.key == FormatProperties::VideoSize.as_raw() => Some(size),
        _ => None,
    })
}
