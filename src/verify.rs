//! Looks for what this program leaves in its pictures and files, and reads identity files: for `effigy verify`.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::capture::clip_file::ClipFile;
use crate::capture::{self, RawFrame, Read, Source, SourceOptions, SourceSpec};
use crate::clock::MonotonicClock;
use crate::credentials::{self, ManifestFinding};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::files::{Kind, STANDARD_INPUT};
use crate::frame::Rgb;
use crate::identity::{Identity, Opener, is_sealed};
use crate::mark::{Detector, Finding, Key, NormalMap};
use crate::photo;

/// The longest table of a safetensors file that is taken for one, in bytes.
const MAX_TABLE_BYTES: u64 = 64 << 20;
/// Pictures of a second where nothing states how many.
const FALLBACK_RATE_HZ: f64 = 30.0;
/// The fastest rate that is believed.
const MAX_RATE_HZ: f64 = 240.0;
/// What is looked at when pictures are sums of more than this many seconds: beyond, later pictures add nothing.
const MAX_WHOLE_SECS: usize = 600;

/// Decoded pictures that may wait to be looked at.
const N_WAITING: usize = 2;

/// What is to be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifySpec {
    /// What is piped into the program.
    StandardInput,
    /// An address: a clip, or a stream that is watched for a while.
    Address(String),
    /// A file.
    File(PathBuf),
}

impl From<&OsStr> for VerifySpec {
    fn from(name: &OsStr) -> Self {
        match name.to_str() {
            Some(STANDARD_INPUT) => Self::StandardInput,
            Some(text) => match text.parse() {
                Ok(SourceSpec::Url(url)) => Self::Address(url),
                _ => Self::File(name.into()),
            },
            None => Self::File(name.into()),
        }
    }
}

/// How to look.
#[derive(Clone, Copy, Debug)]
pub struct VerifyOptions {
    /// Looks at each picture by itself, too, not only at whole seconds.
    pub each_picture: bool,
    /// How long a live stream is watched.
    pub stream: Duration,
    /// The key that the mark was made with.
    pub key: Key,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { each_picture: false, stream: Duration::from_secs(5), key: Key::PUBLIC }
    }
}

/// What was given.
#[derive(Debug)]
pub enum Subject {
    /// An identity file whose signature holds.
    Identity(Box<Identity>),
    /// A picture, clip or stream.
    Pictures(Evidence),
}

/// Whether there is a manifest (C2PA), and what it says.
#[derive(Clone, Debug, Default)]
pub enum ManifestLook {
    /// There is none.
    #[default]
    None,
    /// It was not looked for, and why.
    NotLooked(String),
    /// What it was found to say.
    Found(Box<ManifestFinding>),
}

/// What was found in pictures.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The signed manifest in the file or beside it.
    pub manifest: ManifestLook,
    /// How many there were.
    pub n_pictures: usize,
    /// Width and height of the first.
    pub size_px: (usize, usize),
    /// Pictures taken together for each of [`Self::seconds`].
    pub n_in_second: usize,
    /// What each second shows, its pictures taken together; what is left at the end counts as one. A single picture is one.
    pub seconds: Vec<Finding>,
    /// What each picture shows by itself, where that was asked for.
    pub pictures: Vec<Finding>,
    /// What all pictures together show.
    pub whole: Option<Finding>,
}

impl Evidence {
    /// The finding that is surest of a mark.
    pub fn best(&self) -> Option<&Finding> {
        let all = self.whole.iter().chain(&self.seconds).chain(&self.pictures);
        all.max_by(|a, b| a.score.total_cmp(&b.score))
    }

    /// Seconds that are marked.
    pub fn n_marked_seconds(&self) -> usize {
        self.seconds.iter().filter(|finding| finding.is_marked()).count()
    }

    /// How often that many looks at unmarked pictures have a score as high as the best here, at most 1.
    pub fn false_alarm_probability(&self) -> f64 {
        let n_looks = self.seconds.len() + self.pictures.len() + usize::from(self.whole.is_some());
        let one = self.best().map_or(1.0, |best| crate::mark::false_alarm_probability(best.score));
        (one * n_looks as f64).min(1.0)
    }

    /// What the mark says, if that can be read anywhere.
    pub fn message(&self) -> Option<crate::mark::Message> {
        let mut all: Vec<_> = self.whole.iter().chain(&self.seconds).chain(&self.pictures).collect();
        all.sort_by(|a, b| b.score.total_cmp(&a.score));
        all.into_iter().filter(|finding| finding.is_marked()).find_map(|finding| finding.message)
    }
}

/// Reads what was given to its end and says what it is and shows; `opener` opens a sealed identity.
///
/// # Errors
/// [`ErrorKind::Io`], [`ErrorKind::PermissionDenied`], [`ErrorKind::Photo`], [`ErrorKind::Identity`]: it cannot be read, is torn,
/// or is neither picture nor clip nor identity.
pub fn examine(spec: &VerifySpec, options: &VerifyOptions, opener: &Opener) -> Result<Subject> {
    match spec {
        VerifySpec::Address(url) => examine_address(url, options).map(Subject::Pictures),
        VerifySpec::StandardInput => examine_file(ClipFile::standard_input()?, options, opener),
        VerifySpec::File(path) => {
            // What is named as an identity, or can be none of the others, is told off as an identity.
            let kind = std::fs::metadata(path).ok().map(|meta| Kind::of(&meta));
            let is_readable = matches!(kind, Some(Kind::File | Kind::Pipe));
            if !is_readable || path.extension().is_some_and(|extension| extension == "effigy") {
                return Ok(Subject::Identity(Box::new(opener.identity(path)?)));
            }
            examine_file(ClipFile::open(path)?, options, opener)
        }
    }
}

fn examine_file(file: ClipFile, options: &VerifyOptions, opener: &Opener) -> Result<Subject> {
    let head = head(file.path())?;
    // A safetensors file: the length of its table, then the table as JSON. A GIF may have that letter there, behind no length.
    let n_table_bytes = head.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    if (head.get(8) == Some(&b'{') && n_table_bytes <= MAX_TABLE_BYTES) || is_sealed(&head) {
        return Ok(Subject::Identity(Box::new(opener.identity(file.path())?)));
    }
    let mut looker = Looker::new(options);
    if is_photo(&head) {
        let about = || format!("cannot use the picture {}", file.shown().display());
        let picture = photo::read_bytes(file.path()).and_then(|bytes| photo::decode(&bytes));
        looker.picture(&picture.map_err(|error| Error::new(error.kind(), about()).because(error))?);
        return Ok(Subject::Pictures(Evidence { manifest: manifest_of(&file), ..looker.finish() }));
    }
    let manifest = manifest_of(&file);
    let mut source = capture::open_file(file, &unpaced())?;
    let evidence = read(&mut *source, looker, None)?;
    Ok(Subject::Pictures(Evidence { manifest, ..evidence }))
}

fn manifest_of(file: &ClipFile) -> ManifestLook {
    match credentials::read(file.path(), file.is_users()) {
        Ok(None) => ManifestLook::None,
        Ok(Some(finding)) => ManifestLook::Found(Box::new(finding)),
        Err(error) => ManifestLook::NotLooked(error.to_string()),
    }
}

/// As fast as pictures can be looked at.
fn unpaced() -> SourceOptions {
    SourceOptions { paced: false, ..SourceOptions::default() }
}

/// A clip is read to its end, a live stream for a while.
fn examine_address(url: &str, options: &VerifyOptions) -> Result<Evidence> {
    let spec = SourceSpec::Url(url.to_owned());
    let (mut source, limit) = match capture::open(&spec, &unpaced()) {
        // Without pacing, what has no end is refused.
        Err(error) if error.kind() == ErrorKind::Config => {
            (capture::open(&spec, &SourceOptions::default())?, Some(options.stream))
        }
        source => (source?, None),
    };
    let evidence = read(&mut *source, Looker::new(options), limit)?;
    if evidence.n_pictures == 0 {
        return Err(Error::new(
            ErrorKind::Io,
            format!("no picture came from {} in {:?}", source.name(), options.stream),
        ));
    }
    let manifest = ManifestLook::NotLooked("what comes over an address is not kept; verify the saved file".to_owned());
    Ok(Evidence { manifest, ..evidence })
}

/// Looks at every picture of a source, to its end or for as long as `limit`: one thread decodes, another looks.
fn read(source: &mut dyn Source, mut looker: Looker, limit: Option<Duration>) -> Result<Evidence> {
    looker.set_rate(source.frame_rate_hz());
    let (full, pictures) = bounded::<RawFrame>(N_WAITING);
    // One more in either thread's hand.
    let (done, empty) = bounded(N_WAITING + 2);
    for _ in 0..N_WAITING + 2 {
        let _ = done.send(RawFrame::default());
    }
    thread::scope(|scope| {
        let look = move || {
            for frame in pictures {
                looker.picture(frame.picture());
                // When the decoding thread is at its end, the picture is needed no more.
                let _ = done.send(frame);
            }
            looker.finish()
        };
        let looking = thread::Builder::new().name("verify".to_owned()).spawn_scoped(scope, look);
        let about = || "cannot start the thread that looks at pictures; close other programs".to_owned();
        let looking = looking.or_error(ErrorKind::Internal, about)?;
        let decoded = decode(source, &full, &empty, limit);
        drop(full);
        let evidence = looking.join().map_err(|_| {
            Error::new(ErrorKind::Internal, "looking at pictures ended early; please report this, with the file")
        })?;
        decoded.map(|()| evidence)
    })
}

/// Fills pictures and hands them on, until the source or the other thread is at its end.
fn decode(
    source: &mut dyn Source,
    full: &Sender<RawFrame>,
    empty: &Receiver<RawFrame>,
    limit: Option<Duration>,
) -> Result<()> {
    let (clock, begin) = (MonotonicClock::new(), Instant::now());
    while let Ok(mut frame) = empty.recv() {
        loop {
            if limit.is_some_and(|limit| begin.elapsed() >= limit) {
                return Ok(());
            }
            match source.read(&mut frame, &clock)? {
                Read::Fresh => break,
                Read::Idle => {}
                Read::Ended => return Ok(()),
            }
        }
        if full.send(frame).is_err() {
            break;
        }
    }
    Ok(())
}

/// Takes pictures in and looks for the mark.
pub(crate) struct Looker {
    detector: Detector,
    each_picture: bool,
    map: NormalMap,
    second: NormalMap,
    n_in_second: usize,
    whole: NormalMap,
    luma: Vec<u8>,
    /// The picture before.
    seen: Vec<u8>,
    seen_size_px: (usize, usize),
    evidence: Evidence,
}

impl Looker {
    pub(crate) fn new(options: &VerifyOptions) -> Self {
        let mut looker = Self {
            detector: Detector::new(options.key),
            each_picture: options.each_picture,
            map: NormalMap::default(),
            second: NormalMap::default(),
            n_in_second: 0,
            whole: NormalMap::default(),
            luma: Vec::new(),
            seen: Vec::new(),
            seen_size_px: (0, 0),
            evidence: Evidence::default(),
        };
        looker.set_rate(None);
        looker
    }

    pub(crate) fn set_rate(&mut self, rate_hz: Option<f64>) {
        let rate_hz = rate_hz.filter(|rate| (1.0..=MAX_RATE_HZ).contains(rate)).unwrap_or(FALLBACK_RATE_HZ);
        self.evidence.n_in_second = rate_hz.round() as usize;
    }

    fn picture(&mut self, picture: &Rgb) {
        luma_of(picture, &mut self.luma);
        let size_px = (picture.width_px(), picture.height_px());
        // Clips of a screen, or with a rate made higher, show many pictures twice: the map of the last one still stands.
        let is_again = !self.seen.is_empty() && size_px == self.seen_size_px && self.luma == self.seen;
        if !is_again {
            if !self.detector.map(&self.luma, size_px, &mut self.map) {
                return;
            }
            std::mem::swap(&mut self.luma, &mut self.seen);
            self.seen_size_px = size_px;
        }
        let evidence = &mut self.evidence;
        if evidence.n_pictures == 0 {
            evidence.size_px = size_px;
        }
        evidence.n_pictures += 1;
        if self.each_picture {
            let before = evidence.pictures.last().filter(|_| is_again).copied();
            evidence.pictures.push(before.unwrap_or_else(|| self.detector.look(&self.map)));
        }
        self.second.add(&self.map);
        if evidence.n_pictures <= evidence.n_in_second * MAX_WHOLE_SECS {
            self.whole.add(&self.map);
        }
        self.n_in_second += 1;
        if self.n_in_second == self.evidence.n_in_second {
            self.end_second();
        }
    }

    fn end_second(&mut self) {
        if self.n_in_second > 0 {
            self.evidence.seconds.push(self.detector.look(&self.second));
            self.second.clear();
            self.n_in_second = 0;
        }
    }

    pub(crate) fn finish(mut self) -> Evidence {
        self.end_second();
        if self.evidence.seconds.len() > 1 {
            self.evidence.whole = Some(self.detector.look(&self.whole));
        }
        self.evidence
    }
}

/// Brightness as ITU-R BT.601 weighs colours.
pub(crate) fn luma_of(picture: &Rgb, luma: &mut Vec<u8>) {
    let weigh = |p: &[u8; 3]| ((77 * u32::from(p[0]) + 150 * u32::from(p[1]) + 29 * u32::from(p[2])) >> 8) as u8;
    luma.clear();
    luma.extend(picture.data().as_chunks::<3>().0.iter().map(weigh));
}

fn head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(16).read_to_end(&mut head))
        .or_error(ErrorKind::Io, || format!("cannot read {}", path.display()))?;
    Ok(head)
}

/// Whether a file that begins so is a picture and no clip.
fn is_photo(head: &[u8]) -> bool {
    let kinds: [&[u8]; 6] = [b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*"];
    let is_webp = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    let brands: [&[u8]; 5] = [b"heic", b"heix", b"mif1", b"msf1", b"avif"];
    let is_heif = head.get(4..8) == Some(b"ftyp") && head.get(8..12).is_some_and(|brand| brands.contains(&brand));
    is_webp || is_heif || kinds.iter().any(|kind| head.starts_with(kind))
}
