//! HEIC and AVIF, by libheif: a library of the system, looked for when the first such photo comes.
//!
//! Decoders of these formats are large and written in C; where they are missing, everything else works.

#![expect(unsafe_code, reason = "libheif has a C interface")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{NonNull, null, null_mut};
use std::sync::OnceLock;

use image::RgbImage;
use libloading::Library;

use super::{MAX_SIDE_PX, check_size};
use effigy_base::error::{Error, ErrorKind, Result};

/// Names a libheif that is not where the system looks.
const PLACE: &str = "EFFIGY_LIBHEIF";
#[cfg(target_os = "macos")]
const NAMES: &[&str] = &["libheif.1.dylib", "/opt/homebrew/lib/libheif.1.dylib", "/usr/local/lib/libheif.1.dylib"];
#[cfg(windows)]
const NAMES: &[&str] = &["heif.dll", "libheif.dll"];
#[cfg(not(any(target_os = "macos", windows)))]
const NAMES: &[&str] = &["libheif.so.1"];

/// Versions before 1.12.0 lack a part of the interface.
const MIN_VERSION: u32 = 0x010c_0000;

// From heif.h: colours in rows of red, green, blue, 8 bits each.
const COLOURSPACE_RGB: c_int = 1;
const CHROMA_INTERLEAVED_RGB: c_int = 10;
const CHANNEL_INTERLEAVED: c_int = 10;
const SUBCODE_UNSUPPORTED_CODEC: c_int = 3000;
/// Kinds of colour profile are four letters.
const PROFILE_CODED: u32 = u32::from_be_bytes(*b"nclx");
const PROFILE_ICC: [u32; 2] = [u32::from_be_bytes(*b"prof"), u32::from_be_bytes(*b"rICC")];

/// What the file says of its colours.
pub(super) enum Colours {
    Unsaid,
    Icc(Vec<u8>),
    /// Primaries and transfer, by their numbers in ITU-T H.273.
    Coded(u8, u8),
}

/// Width and height of the photo as it is shown, in pixels; nothing is decoded.
pub(super) fn size(bytes: &[u8]) -> Result<(u32, u32)> {
    Photo::open(heif()?, bytes)?.size()
}

/// Decodes the main picture of the file, turned and cut as the file says; its colours are still the file's.
pub(super) fn decode(bytes: &[u8]) -> Result<(RgbImage, Colours)> {
    let photo = Photo::open(heif()?, bytes)?;
    let (width, height) = photo.size()?;
    check_size(width, height)?;
    Ok((photo.pixels()?, photo.colours()))
}

/// The library, loaded once.
fn heif() -> Result<&'static Heif> {
    static HEIF: OnceLock<std::result::Result<Heif, String>> = OnceLock::new();
    HEIF.get_or_init(Heif::load).as_ref().map_err(|why| {
        Error::new(
            ErrorKind::Photo,
            format!(
                "the picture is HEIC or AVIF, which is read by libheif, and {why}; install it (Debian, Ubuntu: sudo apt \
                 install libheif1; macOS: brew install libheif), or save the picture as JPEG"
            ),
        )
    })
}

/// `heif_error`
#[repr(C)]
struct Status {
    code: c_int,
    subcode: c_int,
    message: *const c_char,
}

/// The beginning of `heif_decoding_options`, up to what is set here.
#[repr(C)]
struct DecodingOptions {
    version: u8,
    ignore_transformations: u8,
    start_progress: *const c_void,
    on_progress: *const c_void,
    end_progress: *const c_void,
    progress_user_data: *mut c_void,
    convert_hdr_to_8bit: u8,
    strict_decoding: u8,
}

/// The beginning of `heif_color_profile_nclx`.
#[repr(C)]
struct CodedColours {
    version: u8,
    primaries: c_int,
    transfer: c_int,
}

/// Functions of a C library: their names and types once.
macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// libheif's functions, and the library that they live in.
        struct Heif {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            _library: Library,
        }

        impl Heif {
            fn bind(library: Library) -> std::result::Result<Self, libloading::Error> {
                // SAFETY: the types are those of heif.h, whose interface has been kept since version 1.
                unsafe {
                    $(let $name = *library.get::<unsafe extern "C" fn($($argument),*) $(-> $result)?>(
                        concat!(stringify!($name), "\0").as_bytes(),
                    )?;)*
                    Ok(Self { $($name,)* _library: library })
                }
            }
        }
    };
}

functions! {
    heif_get_version_number: fn() -> u32;
    heif_context_alloc: fn() -> *mut c_void;
    heif_context_free: fn(*mut c_void);
    heif_context_set_maximum_image_size_limit: fn(*mut c_void, c_int);
    heif_context_read_from_memory_without_copy: fn(*mut c_void, *const c_void, usize, *const c_void) -> Status;
    heif_context_get_primary_image_handle: fn(*mut c_void, *mut *mut c_void) -> Status;
    heif_image_handle_release: fn(*const c_void);
    heif_image_handle_get_width: fn(*const c_void) -> c_int;
    heif_image_handle_get_height: fn(*const c_void) -> c_int;
    heif_image_handle_get_color_profile_type: fn(*const c_void) -> u32;
    heif_image_handle_get_raw_color_profile_size: fn(*const c_void) -> usize;
    heif_image_handle_get_raw_color_profile: fn(*const c_void, *mut c_void) -> Status;
    heif_image_handle_get_nclx_color_profile: fn(*const c_void, *mut *mut CodedColours) -> Status;
    heif_nclx_color_profile_free: fn(*mut CodedColours);
    heif_decoding_options_alloc: fn() -> *mut DecodingOptions;
    heif_decoding_options_free: fn(*mut DecodingOptions);
    heif_decode_image: fn(*const c_void, *mut *mut c_void, c_int, c_int, *const DecodingOptions) -> Status;
    heif_image_get_width: fn(*const c_void, c_int) -> c_int;
    heif_image_get_height: fn(*const c_void, c_int) -> c_int;
    heif_image_get_plane_readonly: fn(*const c_void, c_int, *mut c_int) -> *const u8;
    heif_image_release: fn(*const c_void);
}

impl Heif {
    fn load() -> std::result::Result<Self, String> {
        let given = std::env::var(PLACE).ok().filter(|place| !place.is_empty());
        let names: Vec<&str> = given.as_deref().map_or_else(|| NAMES.to_vec(), |place| vec![place]);
        let mut why = String::new();
        for name in &names {
            // SAFETY: libheif runs nothing when it is loaded but the constructors of its own tables.
            match unsafe { Library::new(*name) }.and_then(Self::bind) {
                Ok(heif) => {
                    // SAFETY: takes nothing and gives a number.
                    let version = unsafe { (heif.heif_get_version_number)() };
                    if version < MIN_VERSION {
                        let part = |shift: u32| version >> shift & 0xff;
                        return Err(format!("version {}.{}.{} is too old", part(24), part(16), part(8)));
                    }
                    return Ok(heif);
                }
                Err(error) => why = format!("{name} cannot be loaded ({error})"),
            }
        }
        Err(why)
    }

    /// An error of the library as one of ours.
    fn check(&self, status: &Status) -> Result<()> {
        if status.code == 0 {
            return Ok(());
        }
        let text = NonNull::new(status.message.cast_mut()).map_or_else(String::new, |text| {
            // SAFETY: "always defined" says heif.h: a text that ends in a zero and lives as long as its object.
            unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned()
        });
        Err(match status.subcode {
            SUBCODE_UNSUPPORTED_CODEC => Error::new(
                ErrorKind::Photo,
                "libheif is there but lacks the decoder of this picture; install its plugins (Debian, Ubuntu: sudo apt \
                 install libheif-plugin-libde265 libheif-plugin-dav1d), or save the picture as JPEG",
            ),
            _ => Error::new(
                ErrorKind::Photo,
                format!("the picture is torn or of an unknown kind of HEIC or AVIF: {text}"),
            ),
        })
    }
}

/// An open file and the handle of its main picture.
struct Photo<'a> {
    heif: &'static Heif,
    context: NonNull<c_void>,
    handle: *mut c_void,
    /// The context reads from these bytes until it is freed.
    _bytes: &'a [u8],
}

impl<'a> Photo<'a> {
    fn open(heif: &'static Heif, bytes: &'a [u8]) -> Result<Self> {
        let no_memory = || Error::new(ErrorKind::Photo, "libheif has no memory for the picture");
        // SAFETY: takes nothing; what it gives is freed once, on drop.
        let context = NonNull::new(unsafe { (heif.heif_context_alloc)() }).ok_or_else(no_memory)?;
        let mut photo = Self { heif, context, handle: null_mut(), _bytes: bytes };
        // SAFETY: the context is valid and the bytes outlive it.
        let read = unsafe {
            (heif.heif_context_set_maximum_image_size_limit)(context.as_ptr(), MAX_SIDE_PX as c_int);
            (heif.heif_context_read_from_memory_without_copy)(
                context.as_ptr(),
                bytes.as_ptr().cast(),
                bytes.len(),
                null(),
            )
        };
        heif.check(&read)?;
        // SAFETY: the context is valid; the handle is released on drop.
        let got = unsafe { (heif.heif_context_get_primary_image_handle)(context.as_ptr(), &raw mut photo.handle) };
        heif.check(&got)?;
        if photo.handle.is_null() { Err(no_memory()) } else { Ok(photo) }
    }

    fn size(&self) -> Result<(u32, u32)> {
        // SAFETY: the handle is valid.
        let sides = unsafe {
            [
                (self.heif.heif_image_handle_get_width)(self.handle),
                (self.heif.heif_image_handle_get_height)(self.handle),
            ]
        };
        match sides.map(u32::try_from) {
            [Ok(width), Ok(height)] if width > 0 && height > 0 => Ok((width, height)),
            _ => Err(Error::new(ErrorKind::Photo, "the picture is torn: it has no size")),
        }
    }

    fn colours(&self) -> Colours {
        // SAFETY: the handle is valid.
        let kind = unsafe { (self.heif.heif_image_handle_get_color_profile_type)(self.handle) };
        if PROFILE_ICC.contains(&kind) {
            // SAFETY: the handle is valid, and the buffer has the size that was asked for.
            let icc = unsafe {
                let mut icc = vec![0; (self.heif.heif_image_handle_get_raw_color_profile_size)(self.handle)];
                let got = (self.heif.heif_image_handle_get_raw_color_profile)(self.handle, icc.as_mut_ptr().cast());
                (got.code == 0).then_some(icc)
            };
            // What cannot be read is a broken profile.
            return Colours::Icc(icc.unwrap_or_default());
        }
        let mut coded = null_mut();
        // SAFETY: the handle is valid; what is given is read while it is valid and then freed.
        unsafe {
            if kind != PROFILE_CODED
                || (self.heif.heif_image_handle_get_nclx_color_profile)(self.handle, &raw mut coded).code != 0
                || coded.is_null()
            {
                return Colours::Unsaid;
            }
            let number = |value: c_int| u8::try_from(value).unwrap_or(0);
            let colours = Colours::Coded(number((*coded).primaries), number((*coded).transfer));
            (self.heif.heif_nclx_color_profile_free)(coded);
            colours
        }
    }

    fn pixels(&self) -> Result<RgbImage> {
        let torn = || Error::new(ErrorKind::Photo, "the picture is torn: it has other pixels than it says");
        let mut image = null_mut();
        // SAFETY: the handle is valid; options are freed once they were used; the interface is that of heif.h.
        let decoded = unsafe {
            let options = (self.heif.heif_decoding_options_alloc)();
            if let Some(options) = options.as_mut()
                && options.version >= 3
            {
                options.convert_hdr_to_8bit = 1;
                // A part that is missing would be painted over without a word.
                options.strict_decoding = 1;
            }
            let decoded = (self.heif.heif_decode_image)(
                self.handle,
                &raw mut image,
                COLOURSPACE_RGB,
                CHROMA_INTERLEAVED_RGB,
                options,
            );
            (self.heif.heif_decoding_options_free)(options);
            decoded
        };
        self.heif.check(&decoded)?;
        let image = Decoded { heif: self.heif, image: NonNull::new(image).ok_or_else(torn)? };
        let (mut stride, image) = (0, image.image.as_ptr());
        // SAFETY: the picture is valid until this function ends.
        let (width, height, plane) = unsafe {
            (
                (self.heif.heif_image_get_width)(image, CHANNEL_INTERLEAVED),
                (self.heif.heif_image_get_height)(image, CHANNEL_INTERLEAVED),
                (self.heif.heif_image_get_plane_readonly)(image, CHANNEL_INTERLEAVED, &raw mut stride),
            )
        };
        let sides = [width, height, stride].map(|side| usize::try_from(side).unwrap_or(0));
        let [width, height, stride] = sides;
        if plane.is_null() || width == 0 || height == 0 || stride < 3 * width {
            return Err(torn());
        }
        check_size(width as u32, height as u32)?;
        let mut rgb = Vec::with_capacity(3 * width * height);
        for y in 0..height {
            // SAFETY: the plane has `height` rows that are `stride` bytes apart, each with `width` pixels of 3 bytes.
            rgb.extend_from_slice(unsafe { std::slice::from_raw_parts(plane.add(y * stride), 3 * width) });
        }
        RgbImage::from_raw(width as u32, height as u32, rgb).ok_or_else(torn)
    }
}

impl Drop for Photo<'_> {
    fn drop(&mut self) {
        // SAFETY: both are freed once, the handle before the context that it belongs to.
        unsafe {
            if !self.handle.is_null() {
                (self.heif.heif_image_handle_release)(self.handle);
            }
            (self.heif.heif_context_free)(self.context.as_ptr());
        }
    }
}

/// A decoded picture, freed on drop.
struct Decoded {
    heif: &'static Heif,
    image: NonNull<c_void>,
}

impl Drop for Decoded {
    fn drop(&mut self) {
        // SAFETY: freed once.
        unsafe { (self.heif.heif_image_release)(self.image.as_ptr()) };
    }
}
