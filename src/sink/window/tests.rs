//! The window on a virtual screen whose pixels can be read.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use glam::Vec2;

use super::*;
use crate::geometry::N_LANDMARKS;
use crate::trace::Trace;

/// Set for the part of the test that runs with the virtual screen as its display.
const INNER: &str = "EFFIGY_TEST_SCREEN";

/// An X server without a screen, ended and cleaned up when dropped.
struct VirtualScreen {
    server: Child,
    display: String,
    folder: PathBuf,
}

impl VirtualScreen {
    /// `None` when there is no Xvfb.
    fn start() -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("effigy-screen-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp", "-fbdir"])
            .arg(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Some(Self { server, display: format!(":{}", number.trim()), folder })
    }
}

impl Drop for VirtualScreen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The screen's pixels as RGB, read from the server's XWD file.
fn screenshot(folder: &Path) -> image::RgbImage {
    let bytes = std::fs::read(folder.join("Xvfb_screen0")).unwrap();
    let word = |index: usize| u32::from_be_bytes(bytes[index * 4..][..4].try_into().unwrap()) as usize;
    let (width, height, row_bytes) = (word(4), word(5), word(12));
    let pixels = &bytes[word(0) + word(19) * 12..];
    image::RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let bgr = &pixels[y as usize * row_bytes + x as usize * 4..][..3];
        image::Rgb([bgr[2], bgr[1], bgr[0]])
    })
}

#[test]
fn without_a_display_the_window_says_what_to_do_instead() {
    if std::env::var_os("DISPLAY").is_some() || !cfg!(target_os = "linux") {
        return;
    }
    let error = WindowSink::open((320, 240)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::BackendUnavailable);
    let text = error.to_string();
    assert!(text.starts_with("no display to open a window on; write a file instead: `--sink file:out.mp4`"), "{text}");
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn the_picture_and_the_overlay_reach_the_screen() {
    let Some(screen) = VirtualScreen::start() else {
        eprintln!("skipped: Xvfb is not installed");
        return;
    };
    // A process of its own, since the display cannot be changed in one that has threads.
    let inner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sink::window::tests::inner", "--nocapture"])
        .env("DISPLAY", &screen.display)
        .env(INNER, &screen.folder)
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&inner.stdout), String::from_utf8_lossy(&inner.stderr));
    assert!(inner.status.success() && said.contains("1 passed"), "{said}");
}

/// Runs only with the virtual screen.
#[test]
fn inner() {
    let Some(folder) = std::env::var_os(INNER).map(PathBuf::from) else { return };
    let mut window = WindowSink::open((320, 240)).unwrap();
    window.set_identity("Ada");
    let mut frame = OutFrame::from_picture_for_test(
        Rgba::from_data(160, 160, [200, 40, 90, 255].repeat(160 * 160)).unwrap(),
        Trace::default(),
    );
    frame.driver_landmarks = Some(std::array::from_fn::<_, N_LANDMARKS, _>(|index| {
        let angle = index as f32 * 0.1;
        Vec2::new(0.5 + 0.3 * angle.cos(), 0.5 + 0.4 * angle.sin())
    }));
    let before = frame.picture().clone();
    let show = |window: &mut WindowSink| {
        let begin = Instant::now();
        for _ in 0..20 {
            assert!(window.present(&frame).unwrap().is_continue());
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(begin.elapsed() < Duration::from_secs(2), "presenting waits");
        assert_eq!(frame.picture(), &before, "the frame itself was drawn into");
        screenshot(&folder)
    };
    let n_of = |shot: &image::RgbImage, rgb: [u8; 3]| shot.pixels().filter(|pixel| pixel.0 == rgb).count();
    let plain = show(&mut window);
    // Scaled to 240 x 240 in the middle of 320 x 240.
    assert_eq!(n_of(&plain, [200, 40, 90]), 240 * 240);
    assert_eq!(n_of(&plain, [0x12, 0x12, 0x12]), 80 * 240);
    window.show_figures(true);
    window.show_landmarks(true);
    let figures = Figures { age_millis: 33.0, rate_hz: 30.0, n_dropped: 2, backend: "warp", ..Figures::default() };
    window.set_figures(&figures);
    let drawn = show(&mut window);
    if let Some(path) = std::env::var_os("EFFIGY_KEEP_SCREENSHOT") {
        drawn.save(path).unwrap();
    }
    // Smoothed strokes this thin are not wholly white.
    let n_bright = drawn.pixels().filter(|pixel| pixel.0.iter().all(|sample| *sample > 170)).count();
    assert!(n_bright > 100, "the figures are missing");
    assert!(n_of(&drawn, [24, 24, 24]) > 2000, "the driver's frame is missing");
    assert_eq!(window.poll_events().count(), 0);
}
