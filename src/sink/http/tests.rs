//! What reads from outside, without a network: rules, and a million damaged inputs.

use std::time::{Duration, Instant};

use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _, ImageFormat, RgbImage};

use super::gate::{Bucket, Entry, Gate};
use super::*;
use crate::composite::Background;
use crate::drive::StrengthPart;
use crate::frame::Rgba;
use crate::trace::Trace;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const HOST: &str = "127.0.0.1:8080";

fn gate(address: &str) -> Gate {
    Gate::new(address.parse().unwrap(), Some(TOKEN.to_owned())).unwrap()
}

fn cookie(gate: &Gate) -> String {
    gate.set_cookie(Entry::Token).unwrap().split(';').next().unwrap().to_owned()
}

fn head(method: Method, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn the_gate_lets_in_who_knows_the_token_and_nobody_by_another_name() {
    let gate = gate(HOST);
    let cookie = cookie(&gate);
    let with_token = format!("/?token={TOKEN}");
    let bearer = format!("Bearer {TOKEN}");
    let own = format!("http://{HOST}");
    let get = |uri: &str, headers: &[(&str, &str)]| {
        gate.admit(&head(Method::GET, uri, headers)).map_err(|refusal| refusal.status.as_u16())
    };
    let post = |headers: &[(&str, &str)]| {
        gate.admit(&head(Method::POST, "/command", headers)).map_err(|refusal| refusal.status.as_u16())
    };
    let host = ("host", HOST);
    let by_cookie = ("cookie", cookie.as_str());
    assert_eq!(get(&with_token, &[host]), Ok(Entry::Token));
    assert_eq!(get(&format!("/stream?x=1&token={TOKEN}"), &[host]), Ok(Entry::Token));
    assert_eq!(get("/", &[host, ("authorization", &bearer)]), Ok(Entry::Token));
    assert_eq!(get("/", &[host, by_cookie]), Ok(Entry::Cookie));
    assert_eq!(get("/", &[host, ("cookie", &format!("a=b; {cookie}; c=d"))]), Ok(Entry::Cookie));
    assert_eq!(get(&with_token, &[("host", "localhost:8080")]), Ok(Entry::Token));
    assert_eq!(get(&with_token, &[("host", "[::1]:8080")]), Ok(Entry::Token));
    assert_eq!(post(&[host, by_cookie, ("origin", &own)]), Ok(Entry::Cookie));
    assert_eq!(post(&[host, ("authorization", &bearer)]), Ok(Entry::Token), "a program has no origin");

    assert_eq!(get("/", &[host]), Err(401));
    assert_eq!(get("/?token=", &[host, by_cookie]), Err(401), "a wrong token is not made good by a cookie");
    assert_eq!(get(&with_token[..with_token.len() - 1], &[host]), Err(401));
    assert_eq!(get(&format!("{with_token}0"), &[host]), Err(401));
    assert_eq!(get("/", &[host, ("cookie", &cookie.replace("8080", "8081"))]), Err(401));
    assert_eq!(get(&with_token, &[]), Err(421));
    for foreign in ["evil.example", "evil.example:8080", "127.0.0.1", "127.0.0.1:80", "10.0.0.1:8080", "localhost", ""]
    {
        assert_eq!(get(&with_token, &[("host", foreign)]), Err(421), "{foreign}");
    }
    assert_eq!(get(&with_token, &[host, host]), Err(400));
    assert_eq!(get(&format!("http://evil.example{with_token}"), &[host]), Err(421));
    for foreign in ["http://evil.example", "https://127.0.0.1:8080", "http://127.0.0.1:8081", "null", ""] {
        assert_eq!(get(&with_token, &[host, ("origin", foreign)]), Err(403), "{foreign}");
    }
    assert_eq!(post(&[host, by_cookie]), Err(403), "a browser sends an origin");
    assert_eq!(get("/socket", &[host, by_cookie, ("upgrade", "websocket")]), Err(403));
    for site in ["cross-site", "same-site"] {
        assert_eq!(get("/stream", &[host, by_cookie, ("sec-fetch-site", site)]), Err(403), "{site}");
    }
    assert_eq!(get("/stream", &[host, by_cookie, ("sec-fetch-site", "same-origin")]), Ok(Entry::Cookie));
}

#[test]
fn the_token_of_the_picture_opens_the_picture_and_nothing_else() {
    let gate = gate(HOST);
    let address = gate.view_url();
    let token = address.split_once("?token=").unwrap().1;
    assert!(address.starts_with(&format!("http://{HOST}/view?")) && !address.contains(TOKEN));
    assert!(token != Gate::new(HOST.parse().unwrap(), None).unwrap().view_url().split_once("?token=").unwrap().1);
    let ask = |method: Method, path: &str, headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers.iter().copied().chain([("host", HOST)]).collect();
        gate.admit(&head(method, path, &headers)).map_err(|refusal| refusal.status.as_u16())
    };
    let cookie = gate.set_cookie(Entry::ViewToken).unwrap().split(';').next().unwrap().to_owned();
    let by_cookie = ("cookie", cookie.as_str());
    for path in ["/view", "/view.js", "/style.css", "/icon.svg", "/stream", "/frame.jpg", "/frame.png"] {
        assert_eq!(ask(Method::GET, &format!("{path}?token={token}"), &[]), Ok(Entry::ViewToken), "{path}");
        assert_eq!(ask(Method::GET, path, &[by_cookie]), Ok(Entry::ViewCookie), "{path}");
        assert_eq!(ask(Method::GET, path, &[by_cookie, ("sec-fetch-site", "cross-site")]), Err(403), "{path}");
    }
    let own = format!("http://{HOST}");
    for path in ["/", "/socket", "/command", "/cameras", "/thumbnail/0", "/identity/0", "/enroll", "/view/", "/streams"]
    {
        for method in [Method::GET, Method::POST] {
            assert_eq!(ask(method.clone(), &format!("{path}?token={token}"), &[]), Err(403), "{method} {path}");
            assert_eq!(ask(method.clone(), path, &[by_cookie, ("origin", &own)]), Err(403), "{method} {path}");
        }
    }
    assert_eq!(ask(Method::POST, &format!("/stream?token={token}"), &[]), Err(403));
    // Who has both may steer, in whichever order they come.
    let page = gate.set_cookie(Entry::Token).unwrap().split(';').next().unwrap().to_owned();
    for both in [format!("{page}; {cookie}"), format!("{cookie}; {page}")] {
        assert_eq!(ask(Method::GET, "/", &[("cookie", &both)]), Ok(Entry::Cookie));
    }
}

#[test]
fn a_server_for_all_machines_still_answers_to_numbers_only() {
    let gate = gate("0.0.0.0:8080");
    let uri = format!("/?token={TOKEN}");
    let ask = |host: &str| gate.admit(&head(Method::GET, &uri, &[("host", host)])).is_ok();
    assert!(ask("192.168.1.7:8080") && ask("[fd00::7]:8080") && ask("localhost:8080"));
    assert!(!ask("rebound.example:8080") && !ask("192.168.1.7:8081"));
}

#[test]
fn wrong_tokens_are_slowed_down_and_the_right_one_is_not() {
    let gate = gate(HOST);
    let ask = |token: &str| {
        let uri = format!("/?token={token}");
        gate.admit(&head(Method::GET, &uri, &[("host", HOST)])).map_err(|refusal| refusal.status)
    };
    let answers: Vec<_> = (0..100).map(|i| ask(&format!("{i:032}")).unwrap_err()).collect();
    assert_eq!(answers[0], StatusCode::UNAUTHORIZED);
    assert!(answers.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count() > 80);
    assert_eq!(ask(TOKEN), Ok(Entry::Token));
}

#[test]
fn tokens_differ_and_unfit_ones_are_refused() {
    let address = HOST.parse().unwrap();
    let made = || Gate::new(address, None).unwrap().token().to_owned();
    assert!(made().len() == 32 && made() != made());
    for unfit in ["short", "with space and more", "umlaut-äöü-and-more", &"x".repeat(200)] {
        assert!(Gate::new(address, Some(unfit.to_owned())).is_err(), "{unfit}");
    }
}

#[test]
fn a_bucket_gives_what_it_saved_and_then_its_rate() {
    let (start, mut bucket) = (Instant::now(), Bucket::new(10.0, 3.0));
    let n_at =
        |bucket: &mut Bucket, ms: u64| (0..50).filter(|_| bucket.take(start + Duration::from_millis(ms))).count();
    assert_eq!(n_at(&mut bucket, 0), 3);
    assert_eq!(n_at(&mut bucket, 250), 2);
    assert_eq!(n_at(&mut bucket, 10_000), 3, "no more is saved than fits");
}

#[test]
fn commands_are_read_and_everything_else_is_refused_with_a_reason() {
    let read = |text: &str| command::parse(text);
    assert!(matches!(read(r#"{"do":"identity","index":2}"#), Ok(Control::Identity(2))));
    assert!(matches!(read(r#"{"do":"calibrate"}"#), Ok(Control::Calibrate)));
    assert!(matches!(read(r#"{"do":"card","on":true}"#), Ok(Control::Card(true))));
    assert!(matches!(read(r#"{"do":"mirror","on":false}"#), Ok(Control::Mirror(false))));
    assert!(matches!(read(r#"{"do":"strength","value":1.5}"#), Ok(Control::Strength(StrengthPart::Whole, _))));
    let mouth = read(r#"{"do":"strength","part":"mouth","value":0.5}"#);
    assert!(matches!(mouth, Ok(Control::Strength(StrengthPart::Mouth, strength)) if strength == 0.5));
    let kept = read(r#"{"do":"keep-expression","value":0.4}"#);
    assert!(matches!(kept, Ok(Control::KeepExpression(share)) if share == 0.4));
    let contact = read(r#"{"do":"eye-contact","value":0.7}"#);
    assert!(matches!(contact, Ok(Control::EyeContact(share)) if share == 0.7));
    let ahead = read(r#"{"do":"predict","value":66}"#);
    assert!(matches!(ahead, Ok(Control::Predict(ahead_ms)) if ahead_ms == 66.0));
    let green = read(r##"{"do":"background","to":"#00b140"}"##);
    assert!(matches!(green, Ok(Control::Background(Background::Colour([0, 0xb1, 0x40])))));
    for wrong in [
        "",
        "{}",
        "[]",
        r#"{"do":"quit"}"#,
        r#"{"do":"identity","index":-1}"#,
        r#"{"do":"identity","index":1,"path":"/etc/passwd"}"#,
        r#"{"do":"background","to":"/etc/passwd"}"#,
        r##"{"do":"background","to":"#+0b140"}"##,
        r#"{"do":"strength","value":2.01}"#,
        r#"{"do":"strength","part":"nose","value":1}"#,
        r#"{"do":"keep-expression","value":1.5}"#,
        r#"{"do":"eye-contact","value":-0.1}"#,
        r#"{"do":"predict","value":121}"#,
        r#"{"do":"strength","value":1e999}"#,
        r#"{"do":"strength","value":null}"#,
        &"[".repeat(5000),
    ] {
        assert!(!read(wrong).unwrap_err().is_empty(), "{wrong}");
    }
}

/// A PNG that claims a size and holds next to nothing.
fn png_of(width: u32, height: u32) -> Vec<u8> {
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(&[0; 3], 1, 1, ExtendedColorType::Rgb8).unwrap();
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let mut crc = !0_u32;
    for byte in &png[12..29] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
        }
    }
    png[29..33].copy_from_slice(&(!crc).to_be_bytes());
    png
}

#[test]
fn pictures_are_judged_by_their_head() {
    assert_eq!(upload::check(&png_of(640, 480)).unwrap(), (640, 480));
    for (bytes, reason) in [
        (png_of(60_000, 60_000), "at most 50 million"),
        (png_of(12_001, 1), "at most 50 million"),
        (png_of(2_000_000_000, 2_000_000_000), "too large"),
        (b"GIF89a".to_vec(), "found a torn GIF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), "expected a photo: JPEG, PNG"),
        (Vec::new(), "expected a photo: JPEG, PNG"),
    ] {
        let error = upload::check(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Photo);
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn faces_to_choose_from_come_in_shares_of_the_photo() {
    let portrait = image::load_from_memory(crate::demo::PORTRAITS[0].1).unwrap().into_rgb8();
    let mut two = image::RgbImage::new(2 * portrait.width(), portrait.height());
    for i in 0..2 {
        image::imageops::replace(&mut two, &portrait, i64::from(i * portrait.width()), 0);
    }
    let mut file = std::io::Cursor::new(Vec::new());
    two.write_to(&mut file, ImageFormat::Png).unwrap();
    let photo = crate::identity::Enroller::new().unwrap().examine(file.get_ref()).unwrap();
    assert!(photo.needs_choice());
    let choice = upload::Choice::new(&photo).unwrap();
    let [a, b] = choice.faces[..] else { panic!("{:?}", choice.faces) };
    assert!((b[0] - a[0] - 0.5).abs() < 0.02 && (a[1] - b[1]).abs() < 0.02, "{a:?} and {b:?}");
    assert!(a[0] > 0.0 && a[0] + a[2] < 0.5 && a[1] + a[3] < 1.0);
    assert!(choice.photo.starts_with("/9j/"), "it is no JPEG");
}

#[test]
fn a_photo_comes_with_a_name_and_a_basis() {
    let form =
        |query: &str| axum::extract::Query::try_from_uri(&format!("/?{query}").parse::<Uri>().unwrap()).unwrap().0;
    let check = |query: &str, is_badged| upload::check_form(form(query), "the user", is_badged);
    assert_eq!(check("name=Ann&basis=self", true).unwrap().consent_by, "the user");
    assert_eq!(check("name=Ann&basis=subject&by=Ann%20Example", true).unwrap().consent_by, "Ann Example");
    assert!(check("name=Ann&basis=synthetic", false).is_ok());
    for (query, is_badged) in [
        ("", true),
        ("name=Ann", true),
        ("basis=self", true),
        ("name=%20&basis=self", true),
        ("name=a%00b&basis=self", true),
        (&format!("name={}&basis=self", "x".repeat(65)), true),
        ("name=Ann&basis=subject", true),
        ("name=Ann&basis=subject&by=", true),
        ("name=Ann&basis=subject&by=Ann", false),
        ("name=Ann&basis=public-domain", false),
    ] {
        assert_eq!(check(query, is_badged).unwrap_err().kind(), ErrorKind::Config, "{query}");
    }
}

#[test]
fn the_message_log_forgets_the_oldest() {
    let log = MessageLog::default();
    for i in 1..=250 {
        log.push(i % 2 == 0, &format!("{i}"));
    }
    let kept = log.after(0);
    assert_eq!((kept.len(), kept[0].number, kept[99].text.as_str()), (100, 151, "250"));
    assert_eq!(log.after(249).len(), 1);
    log.push(true, &"ä".repeat(10_000));
    assert_eq!(log.after(250)[0].text.chars().count(), 400);
}

#[test]
fn a_frame_becomes_a_jpeg_over_black_with_its_boundary_behind() {
    let mut picture = Rgba::new(64, 64);
    for (i, pixel) in picture.data_mut().as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *pixel = if i % 64 < 32 { [250, 120, 10, 255] } else { [250, 120, 10, 0] };
    }
    let encoded = Encoder::new().unwrap().encode(&OutFrame::from_picture_for_test(picture, Trace::default())).unwrap();
    let jpeg = image::load_from_memory_with_format(&encoded.jpeg(), ImageFormat::Jpeg).unwrap().into_rgb8();
    let near = |p: &image::Rgb<u8>, to: [u8; 3]| p.0.iter().zip(to).all(|(a, b)| a.abs_diff(b) < 12);
    assert!(near(jpeg.get_pixel(10, 10), [250, 120, 10]) && near(jpeg.get_pixel(54, 10), [0, 0, 0]));
}

#[test]
fn colour_bars_come_back_from_the_stream_within_two_levels() {
    let bars =
        [[235, 235, 235], [191, 191, 20], [20, 191, 191], [20, 191, 20], [191, 20, 191], [191, 20, 20], [20, 20, 191]];
    let mut picture = Rgba::new(7 * 32, 64);
    for (index, pixel) in picture.data_mut().as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let [r, g, b] = bars[index % (7 * 32) / 32];
        *pixel = [r, g, b, 255];
    }
    let encoded = Encoder::new().unwrap().encode(&OutFrame::from_picture_for_test(picture, Trace::default())).unwrap();
    let jpeg = image::load_from_memory_with_format(&encoded.jpeg(), ImageFormat::Jpeg).unwrap().into_rgb8();
    for (index, bar) in bars.iter().enumerate() {
        let found = jpeg.get_pixel(index as u32 * 32 + 16, 32).0;
        assert!(found.iter().zip(bar).all(|(a, b)| a.abs_diff(*b) <= 2), "{found:?} for {bar:?}");
    }
}

/// A small source of chance, the same on every run (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    /// A few changes to something that was whole.
    fn damage(&mut self, whole: &[u8], bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(whole);
        for _ in 0..=self.next(3) {
            let at = self.next(bytes.len() + 1);
            match self.next(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.next(256) as u8),
                2 if at < bytes.len() => bytes[at] ^= 1 << self.next(8),
                3 if at < bytes.len() => bytes[at] = [0, 0xff, b'"', b'%', b':', b'\r'][self.next(6)],
                4 => {
                    let piece: Vec<u8> = bytes[at..(at + self.next(8)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => drop(bytes.drain(at..(at + self.next(12)).min(bytes.len()))),
            }
        }
    }
}

/// Memory that this process holds, in bytes, where the system tells.
fn resident_bytes() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

#[test]
fn a_million_damaged_inputs_do_no_harm() {
    const N_HEADS: usize = 500_000;
    const N_COMMANDS: usize = 300_000;
    const N_PICTURES: usize = 200_000;
    let before = resident_bytes();
    let (mut chance, mut bytes) = (Chance(0x9e37_79b9_7f4a_7c15), Vec::new());

    let gate = gate(HOST);
    let cookie = cookie(&gate);
    let secrets = [TOKEN.to_owned(), cookie.split_once('=').unwrap().1.to_owned()];
    let uri = format!("/stream?a=b&token={TOKEN}");
    let bearer = format!("Bearer {TOKEN}");
    let own = format!("http://{HOST}");
    let heads = [
        ("host", HOST),
        ("origin", own.as_str()),
        ("cookie", cookie.as_str()),
        ("authorization", bearer.as_str()),
        ("sec-fetch-site", "same-origin"),
    ];
    let (mut n_in, mut n_read) = (0, 0);
    for _ in 0..N_HEADS {
        let mut request = Request::new(());
        *request.method_mut() = [Method::GET, Method::POST, Method::HEAD][chance.next(3)].clone();
        bytes.clear();
        bytes.extend_from_slice(if chance.next(2) == 0 { b"/" } else { uri.as_bytes() });
        if chance.next(3) == 0 {
            let whole = bytes.clone();
            chance.damage(&whole, &mut bytes);
        }
        let Ok(uri) = Uri::try_from(bytes.as_slice()) else { continue };
        *request.uri_mut() = uri;
        let damaged = chance.next(heads.len() + 1);
        for (i, (name, value)) in heads.iter().enumerate() {
            if chance.next(4) == 0 {
                continue;
            }
            bytes.clear();
            bytes.extend_from_slice(value.as_bytes());
            if i == damaged {
                chance.damage(value.as_bytes(), &mut bytes);
            }
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                request.headers_mut().append(HeaderName::from_static(name), value);
            }
        }
        n_read += 1;
        let (parts, ()) = request.into_parts();
        if gate.admit(&parts).is_ok() {
            n_in += 1;
            let text = format!("{} {:?}", parts.uri, parts.headers);
            assert!(secrets.iter().any(|secret| text.contains(secret)), "let in without a secret: {text}");
            let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap();
            let name = host.strip_suffix(":8080").unwrap_or_else(|| panic!("let in by the name {host}"));
            let ip = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
            assert!(name == "localhost" || ip.unwrap().is_loopback(), "let in by the name {host}");
        }
    }
    assert!(n_in > N_HEADS / 20 && n_read - n_in > N_HEADS / 20, "{n_in} of {n_read} came in: a poor mix");

    let commands = [
        r#"{"do":"identity","index":2}"#,
        r#"{"do":"strength","value":0.75}"#,
        r##"{"do":"background","to":"#00b140"}"##,
        r#"{"do":"card","on":true}"#,
        r#"{"do":"calibrate"}"#,
    ];
    let mut n_obeyed = 0;
    for i in 0..N_COMMANDS {
        chance.damage(commands[i % commands.len()].as_bytes(), &mut bytes);
        match command::parse(&String::from_utf8_lossy(&bytes)) {
            Ok(Control::Strength(_, strength)) => assert!((0.0..=2.0).contains(&strength)),
            Ok(_) => n_obeyed += 1,
            Err(why) => assert!(!why.is_empty() && why.len() < 3 * command::MAX_BYTES),
        }
    }
    assert!(n_obeyed > 100 && n_obeyed < N_COMMANDS / 2, "{n_obeyed} of {N_COMMANDS} were obeyed: a poor mix");

    let photo = RgbImage::from_fn(24, 16, |x, y| image::Rgb([x as u8 * 9, y as u8 * 13, 40]));
    let pictures =
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Tiff, ImageFormat::Bmp, ImageFormat::Gif]
            .map(|format| {
                let mut file = std::io::Cursor::new(Vec::new());
                photo.write_to(&mut file, format).unwrap();
                file.into_inner()
            });
    let mut n_decoded = 0;
    for i in 0..N_PICTURES {
        chance.damage(&pictures[i % pictures.len()], &mut bytes);
        // Sizes are where harm would come from: some are made huge on purpose.
        if i % 5 == 0 && bytes.len() > 40 {
            let at = 16 + chance.next(20);
            bytes[at] = chance.next(256) as u8;
        }
        if let Ok((width, height)) = upload::check(&bytes) {
            assert!(u64::from(width) * u64::from(height) <= 50_000_000);
            // Only what is small is decoded here: a large one costs time, not safety.
            if width * height < 10_000 {
                n_decoded += usize::from(crate::photo::decode(&bytes).is_ok());
            }
        }
    }
    assert!(n_decoded > N_PICTURES / 100, "{n_decoded} pictures were whole: a poor mix");
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        assert!(after < before + (96 << 20), "memory grew from {} to {} MiB", before >> 20, after >> 20);
    }
}

#[test]
fn every_text_stands_in_every_language_with_all_its_values() {
    let mut rows = server::WORDS.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    assert_eq!(rows.next().unwrap(), ["key", "en", "de", "es", "zh", "ja", "ru"]);
    let rows: Vec<_> = rows.collect();
    let mut keys = std::collections::BTreeSet::new();
    for row in &rows {
        let n_values = |text: &&str| text.matches("{}").count();
        assert!(row.len() == 7 && row.iter().all(|text| !text.trim().is_empty()), "{row:?}");
        assert!(row[1..].iter().all(|text| n_values(text) == n_values(&row[1])), "{row:?}");
        assert!(keys.insert(row[0]), "{} stands there twice", row[0]);
    }
    let advice = crate::conditions::Trouble::ALL.map(crate::conditions::Trouble::advice);
    let cards = crate::composite::CardReason::ALL.map(crate::composite::CardReason::text);
    let stages = shared::STAGES.map(crate::trace::Stage::name);
    let figures = crate::report::LiveFigures::default();
    let parts = figures.age_parts_ms().map(|(name, _)| name);
    for text in advice.iter().chain(&cards).chain(&stages).chain(&parts) {
        assert!(keys.contains(text), "no translation of {text:?}");
    }
}
