//! Clips as other programs make them, and what a player gets out of a file: by FFmpeg's libraries, past this program's own
//! reader and writer.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(unreachable_pub, reason = "modules of several tests take it in")]

use std::path::Path;

use ffmpeg::format::Pixel;
use ffmpeg::format::sample::{Sample, Type as Layout};
use ffmpeg::util::color::{Primaries, Range, Space, TransferCharacteristic};
use ffmpeg::{ChannelLayout, Dictionary, Packet, Rational, codec, encoder, format, frame, media};
use ffmpeg_next as ffmpeg;

/// Samples of sound a second.
const SOUND_HZ: u32 = 48_000;
/// Samples of sound in a packet.
const N_SAMPLES: usize = 1024;

/// How a clip is made.
pub struct Clip {
    /// FFmpeg's name of the encoder.
    pub encoder: &'static str,
    pub format: Pixel,
    pub size_px: (u32, u32),
    /// Ticks of `times` in a second; the rate where every picture takes one.
    pub rate: (i32, i32),
    /// Kr and Kb of the matrix that the pictures are made with.
    pub shares: (f64, f64),
    pub is_full: bool,
    /// What the file says of its colours.
    pub space: Space,
    pub range: Range,
    pub primaries: Primaries,
    pub transfer: TransferCharacteristic,
    /// Width of a pixel over its height.
    pub pixel_aspect: (i32, i32),
    pub is_interlaced: bool,
    /// Encoder of the sound and when it beeps, in seconds.
    pub sound: Option<(&'static str, Vec<f64>, f64)>,
}

impl Default for Clip {
    /// MPEG-4 of 64 x 48 at 25 a second, as files are that say nothing of their colours.
    fn default() -> Self {
        Self {
            encoder: "mpeg4",
            format: Pixel::YUV420P,
            size_px: (64, 48),
            rate: (25, 1),
            shares: (0.299, 0.114),
            is_full: false,
            space: Space::Unspecified,
            range: Range::Unspecified,
            primaries: Primaries::Unspecified,
            transfer: TransferCharacteristic::Unspecified,
            pixel_aspect: (0, 1),
            is_interlaced: false,
            sound: None,
        }
    }
}

impl Clip {
    /// Writes a picture for each of `times` (in ticks); `rgb` gives the colour of a pixel by number, column and row.
    pub fn write(&self, path: &Path, times: &[i64], rgb: impl Fn(usize, u32, u32) -> [u8; 3]) {
        ffmpeg::init().unwrap();
        let mut output = format::output(path).unwrap();
        let ticks = Rational::new(self.rate.1, self.rate.0);
        let found = encoder::find_by_name(self.encoder).unwrap();
        let mut context = codec::Context::new_with_codec(found);
        context.set_flags(codec::Flags::GLOBAL_HEADER);
        let mut video = context.encoder().video().unwrap();
        video.set_width(self.size_px.0);
        video.set_height(self.size_px.1);
        video.set_format(self.format);
        video.set_time_base(ticks);
        video.set_frame_rate(Some(ticks.invert()));
        video.set_aspect_ratio(Rational::new(self.pixel_aspect.0, self.pixel_aspect.1));
        video.set_colorspace(self.space);
        video.set_color_range(self.range);
        video.set_color_primaries(self.primaries);
        video.set_color_transfer_characteristic(self.transfer);
        let mut options = Dictionary::new();
        match self.encoder {
            "mpeg4" => ["q", "qmin", "qmax"].iter().for_each(|name| options.set(name, "2")),
            "libx264" => {
                options.set("crf", "10");
                options.set("bf", "0");
            }
            _ => {}
        }
        if self.is_interlaced {
            options.set("flags", "+ildct+global_header");
        }
        let mut video = video.open_as_with(found, options).unwrap();
        output.add_stream_with(&video.0.0.0).unwrap().set_time_base(ticks);
        let sound = self.sound.as_ref().map(|(name, beeps, secs)| {
            let found = encoder::find_by_name(name).unwrap();
            let mut audio = codec::Context::new_with_codec(found).encoder().audio().unwrap();
            audio.set_rate(SOUND_HZ as i32);
            audio.set_channel_layout(ChannelLayout::MONO);
            audio.set_format(if *name == "aac" { Sample::F32(Layout::Planar) } else { Sample::I16(Layout::Packed) });
            audio.set_time_base(Rational::new(1, SOUND_HZ as i32));
            let mut options = Dictionary::new();
            options.set("flags", "+global_header");
            let audio = audio.open_as_with(found, options).unwrap();
            output.add_stream_with(&audio.0.0.0).unwrap().set_time_base(Rational::new(1, SOUND_HZ as i32));
            (audio, beeps, *secs)
        });
        output.write_header().unwrap();
        let mut picture = frame::Video::new(self.format, self.size_px.0, self.size_px.1);
        picture.set_color_space(self.space);
        picture.set_color_range(self.range);
        let base = output.stream(0).unwrap().time_base();
        for (index, time) in times.iter().enumerate() {
            self.fill(&mut picture, |x, y| rgb(index, x, y));
            picture.set_pts(Some(*time));
            video.send_frame(&picture).unwrap();
            take(&mut output, 0, ticks, base, shown_for(times), |packet| video.receive_packet(packet));
        }
        video.send_eof().unwrap();
        take(&mut output, 0, ticks, base, shown_for(times), |packet| video.receive_packet(packet));
        if let Some((mut audio, beeps, secs)) = sound {
            let base = output.stream(1).unwrap().time_base();
            let ticks = Rational::new(1, SOUND_HZ as i32);
            for begin in (0..(secs * f64::from(SOUND_HZ)) as usize).step_by(N_SAMPLES) {
                let mut samples = frame::Audio::new(audio.format(), N_SAMPLES, ChannelLayout::MONO);
                samples.set_rate(SOUND_HZ);
                samples.set_pts(Some(begin as i64));
                for index in 0..N_SAMPLES {
                    let at = (begin + index) as f64 / f64::from(SOUND_HZ);
                    let is_on = beeps.iter().any(|beep| (0.0..0.06).contains(&(at - beep)));
                    let level = if is_on { 0.8 * (at * 1000.0 * std::f64::consts::TAU).cos() } else { 0.0 };
                    if audio.format() == Sample::F32(Layout::Planar) {
                        samples.plane_mut::<f32>(0)[index] = level as f32;
                    } else {
                        samples.plane_mut::<i16>(0)[index] = (level * 32767.0) as i16;
                    }
                }
                audio.send_frame(&samples).unwrap();
                take(&mut output, 1, ticks, base, |_| N_SAMPLES as i64, |packet| audio.receive_packet(packet));
            }
            audio.send_eof().unwrap();
            take(&mut output, 1, ticks, base, |_| N_SAMPLES as i64, |packet| audio.receive_packet(packet));
        }
        output.write_trailer().unwrap();
    }

    fn fill(&self, picture: &mut frame::Video, rgb: impl Fn(u32, u32) -> [u8; 3]) {
        let descriptor = self.format.descriptor().unwrap();
        let (log2_w, log2_h) = (descriptor.log2_chroma_w(), descriptor.log2_chroma_h());
        let bits = if descriptor.name().contains("10le") { 10 } else { 8 };
        for plane in 0..3 {
            let (shift_x, shift_y) = if plane == 0 { (0, 0) } else { (log2_w, log2_h) };
            let stride = picture.stride(plane);
            for y in 0..self.size_px.1.div_ceil(1 << shift_y) {
                for x in 0..self.size_px.0.div_ceil(1 << shift_x) {
                    let at = ((x << shift_x).min(self.size_px.0 - 1), (y << shift_y).min(self.size_px.1 - 1));
                    let sample = self.coded(rgb(at.0, at.1), bits)[plane];
                    let row = &mut picture.data_mut(plane)[y as usize * stride..];
                    if bits == 8 {
                        row[x as usize] = sample as u8;
                    } else {
                        row[x as usize * 2..][..2].copy_from_slice(&sample.to_le_bytes());
                    }
                }
            }
        }
    }

    /// Luma and chroma by the definition (BT.601, 709, 2020).
    fn coded(&self, rgb: [u8; 3], bits: u32) -> [u16; 3] {
        let [r, g, b] = rgb.map(|x| f64::from(x) / 255.0);
        let (red, blue) = self.shares;
        let y = red * r + (1.0 - red - blue) * g + blue * b;
        let (cb, cr) = ((b - y) / (2.0 * (1.0 - blue)), (r - y) / (2.0 * (1.0 - red)));
        let step = f64::from(1_u32 << (bits - 8));
        let (black, luma, chroma) = if self.is_full { (0.0, 255.0, 255.0) } else { (16.0, 219.0, 224.0) };
        let most = f64::from((1_u32 << bits) - 1);
        [black + luma * y, 128.0 + chroma * cb, 128.0 + chroma * cr].map(|x| (x * step).round().clamp(0.0, most) as u16)
    }
}

/// How long a picture is shown: until the next, the last one as long as the one before.
fn shown_for(times: &[i64]) -> impl Fn(i64) -> i64 {
    move |pts| {
        let next = times.partition_point(|time| *time <= pts).clamp(1, times.len().max(2) - 1);
        times.get(next).map_or(1, |time| time - times[next - 1])
    }
}

/// Writes what an encoder has ready.
fn take(
    output: &mut format::context::Output,
    stream: usize,
    from: Rational,
    to: Rational,
    ticks: impl Fn(i64) -> i64,
    mut next: impl FnMut(&mut Packet) -> Result<(), ffmpeg::Error>,
) {
    loop {
        let mut packet = Packet::empty();
        if next(&mut packet).is_err() {
            return;
        }
        packet.set_stream(stream);
        packet.set_duration(ticks(packet.pts().unwrap()));
        packet.rescale_ts(from, to);
        packet.write_interleaved(output).unwrap();
    }
}

/// A picture as a player shows it.
pub struct Shown {
    pub secs: f64,
    /// Mean of the luma.
    pub luma: f64,
    pub space: Space,
    pub range: Range,
    pub primaries: Primaries,
    pub transfer: TransferCharacteristic,
    pub format: Pixel,
}

/// All pictures of a file, as far as it plays.
pub fn pictures(path: &Path) -> Vec<Shown> {
    decoded(path, media::Type::Video, |context, packets, secs_per_tick| {
        let mut decoder = context.decoder().video().unwrap();
        let (mut shown, mut picture) = (Vec::new(), frame::Video::empty());
        for packet in packets.iter().map(Some).chain([None]) {
            // What is torn is passed over.
            let _ = match packet {
                Some(packet) => decoder.send_packet(packet),
                None => decoder.send_eof(),
            };
            while decoder.receive_frame(&mut picture).is_ok() {
                let (width, stride) = (picture.width() as usize, picture.stride(0));
                let n_bytes = if picture.format().descriptor().unwrap().name().contains("10le") { 2 } else { 1 };
                let rows = picture.data(0).chunks(stride).map(|row| &row[..width * n_bytes]);
                let sum: f64 = rows.flatten().map(|x| f64::from(*x)).sum();
                shown.push(Shown {
                    secs: picture.timestamp().unwrap() as f64 * secs_per_tick,
                    luma: sum / (width * picture.height() as usize) as f64,
                    space: picture.color_space(),
                    range: picture.color_range(),
                    primaries: picture.color_primaries(),
                    transfer: picture.color_transfer_characteristic(),
                    format: picture.format(),
                });
            }
        }
        shown
    })
}

/// When the beeps of a file begin, in seconds of the file.
pub fn beeps(path: &Path) -> Vec<f64> {
    decoded(path, media::Type::Audio, |context, packets, secs_per_tick| {
        let mut decoder = context.decoder().audio().unwrap();
        let (mut begins, mut samples, mut loud) = (Vec::new(), frame::Audio::empty(), f64::NEG_INFINITY);
        for packet in packets.iter().map(Some).chain([None]) {
            let _ = match packet {
                Some(packet) => decoder.send_packet(packet),
                None => decoder.send_eof(),
            };
            while decoder.receive_frame(&mut samples).is_ok() {
                let begin = samples.timestamp().unwrap() as f64 * secs_per_tick;
                for index in 0..samples.samples() {
                    let level = match samples.format() {
                        Sample::F32(_) => samples.plane::<f32>(0)[index],
                        _ => f32::from(samples.plane::<i16>(0)[index]) / 32768.0,
                    };
                    let at = begin + index as f64 / f64::from(samples.rate());
                    if level.abs() > 0.4 {
                        if at - loud > 0.02 {
                            begins.push(at);
                        }
                        loud = at;
                    }
                }
            }
        }
        begins
    })
}

fn decoded<T>(path: &Path, kind: media::Type, play: impl FnOnce(codec::Context, &[Packet], f64) -> Vec<T>) -> Vec<T> {
    ffmpeg::init().unwrap();
    ffmpeg::log::set_level(ffmpeg::log::Level::Quiet);
    let mut input = format::input(path).unwrap_or_else(|error| panic!("{} does not open: {error}", path.display()));
    let Some(stream) = input.streams().best(kind) else { return Vec::new() };
    let (index, base) = (stream.index(), stream.time_base());
    let context = codec::Context::from_parameters(stream.parameters()).unwrap();
    let packets: Vec<_> = input.packets().filter(|(stream, _)| stream.index() == index).map(|(_, p)| p).collect();
    play(context, &packets, f64::from(base))
}
