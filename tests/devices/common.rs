//! What both tests need: the program as a child, bounded waits, and the pictures that must be seen.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use effigy::composite::{CardReason, CompositeOptions, Compositor};
use effigy::trace::Trace;
use effigy::{OutFrame, Rgba};

/// Size of the picture that the program makes here, in pixels a side.
pub(crate) const SIZE_PX: usize = 512;
/// The largest difference of a sample by rounding, in steps.
const ROUNDING: u8 = 3;

/// A program that ends with its owner.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts the program with what it says going to the file `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let file = std::fs::File::create(log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn();
        Self { child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")), log: log.to_owned() }
    }

    /// As [`Self::start`], with its tables in the same file.
    pub(crate) fn start_saying(command: &mut Command, log: &Path) -> Self {
        let file = std::fs::File::create(log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn();
        Self { child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")), log: log.to_owned() }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The number of its run, which the invisible mark says.
    pub(crate) fn run_id(&mut self, bound: Duration) -> u16 {
        self.wait_for("pictures say that they are of run ", bound);
        let said = self.said();
        let number = said.split("of run ").nth(1).unwrap().split(';').next().unwrap();
        u16::from_str_radix(number, 16).unwrap_or_else(|error| panic!("the number of the run, {number:?}: {error}"))
    }

    /// Waits until it has said `text`.
    pub(crate) fn wait_for(&mut self, text: &str, bound: Duration) {
        wait_until(&format!("{text:?} in what it says"), bound, || {
            self.assert_alive();
            self.said().contains(text).then_some(())
        });
    }

    /// It must not have ended.
    pub(crate) fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the program ended with {status}:\n{}", self.said());
        }
    }

    /// Asks it to end, as Ctrl-C does; its exit code.
    pub(crate) fn interrupt(&mut self) -> i32 {
        let status = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        self.wait(Duration::from_secs(60))
    }

    /// Waits for its end; its exit code.
    pub(crate) fn wait(&mut self, bound: Duration) -> i32 {
        let status = wait_until("the program's end", bound, || self.child.try_wait().unwrap());
        status.code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.log.display(), self.said());
        }
    }
}

/// The program itself.
pub(crate) fn effigy() -> Command {
    Command::new(env!("CARGO_BIN_EXE_effigy"))
}

/// Asks again and again until there is an answer; fails after `bound`.
pub(crate) fn wait_until<T>(what: &str, bound: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < bound, "{what} did not come within {} s", bound.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The placeholder card of a run as the library draws it.
pub(crate) fn card(reason: CardReason, badge: bool, run_id: u16) -> Rgba {
    let options = CompositeOptions { size_px: SIZE_PX, badge, run_id, ..CompositeOptions::default() };
    let mut frame = OutFrame::blank(SIZE_PX, SIZE_PX);
    Compositor::new(options).unwrap().card(reason, Trace::default(), &mut frame);
    frame.picture().clone()
}

/// Luma and both colour differences of a pixel, by BT.601's own definition.
fn yuv([r, g, b, _]: [u8; 4]) -> [f64; 3] {
    let [r, g, b] = [r, g, b].map(|sample| f64::from(sample) / 255.0);
    let luma = 0.299 * r + 0.587 * g + 0.114 * b;
    [16.0 + 219.0 * luma, 128.0 + 224.0 * (b - luma) / 1.772, 128.0 + 224.0 * (r - luma) / 1.402]
}

/// A picture in YUYV.
pub(crate) fn yuyv(picture: &Rgba) -> Vec<u8> {
    let pairs = picture.data().chunks_exact(8).map(|pair| {
        let (left, right) = (yuv(pair[..4].try_into().unwrap()), yuv(pair[4..].try_into().unwrap()));
        [left[0], (left[1] + right[1]) / 2.0, right[0], (left[2] + right[2]) / 2.0].map(|sample| sample.round() as u8)
    });
    pairs.flatten().collect()
}

/// Whether both frames are the same but for rounding.
pub(crate) fn is_same(found: &[u8], expected: &[u8]) -> bool {
    assert_eq!(found.len(), expected.len(), "bytes of a frame");
    found.iter().zip(expected).all(|(&found, &expected)| found.abs_diff(expected) <= ROUNDING)
}

/// Whether the luma plane of a frame, `stride` bytes a row, shows `picture` in the middle of dark bars.
pub(crate) fn shows_luma_in_the_middle(plane: &[u8], width_px: usize, height_px: usize, picture: &Rgba) -> bool {
    let side = width_px.min(height_px);
    let (left, top) = ((width_px - side) / 2, (height_px - side) / 2);
    let mean = |x: usize, y: usize| f64::from(plane[y * width_px + x]);
    let dark = yuv([26, 28, 33, 255])[0];
    let are_bars_dark = (0..height_px).all(|y| {
        (0..width_px)
            .filter(|x| !(left..left + side).contains(x) || !(top..top + side).contains(&y))
            .all(|x| (mean(x, y) - dark).abs() <= f64::from(ROUNDING))
    });
    // Scaling smooths edges: the picture is compared in the mean.
    let mut difference = 0.0;
    for y in 0..side {
        for x in 0..side {
            let at = |place: usize, size: usize| (place * 2 + 1) * size / (side * 2);
            let expected = yuv(picture.pixel(at(x, picture.width_px()), at(y, picture.height_px())))[0];
            difference += (mean(left + x, top + y) - expected).abs();
        }
    }
    are_bars_dark && difference / ((side * side) as f64) < 1.5
}

/// A picture without a face, to drive with: what must be seen is then known to the pixel.
pub(crate) fn faceless(folder: &Path) -> PathBuf {
    let path = folder.join("faceless.png");
    image::RgbImage::from_pixel(320, 240, image::Rgb([70, 110, 90])).save(&path).unwrap();
    path
}
