//! Files as they are named: what can be read and written under a name, and never waited for without end.
//!
//! A name is whatever the system allows: it need not be Unicode, and may begin with a dash or hold a colon. Behind a name
//! may be a file, a pipe, a device or a folder; `-` is standard input, and a file of that name is `./-`.

use std::ffi::OsStr;
use std::fs::{File, FileType, Metadata};
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of standard input.
pub const STANDARD_INPUT: &str = "-";

/// How long a named pipe is waited for whose other side nobody has opened.
const OPEN_PATIENCE: Duration = Duration::from_secs(10);
/// How long a pipe may be silent.
const READ_PATIENCE: Duration = Duration::from_secs(30);

/// What is behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A pipe, named or not.
    Pipe,
    /// A camera, a terminal, a disk, a socket.
    Device,
}

impl Kind {
    /// What the system says that it is.
    pub fn of(meta: &Metadata) -> Self {
        match meta.file_type() {
            kind if kind.is_file() => Self::File,
            kind if kind.is_dir() => Self::Folder,
            kind if is_fifo(kind) => Self::Pipe,
            _ => Self::Device,
        }
    }

    /// Why it cannot be read as a file.
    fn refusal(self) -> Option<io::Error> {
        match self {
            Self::File | Self::Pipe => None,
            Self::Folder => Some(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; name a file in it")),
            Self::Device => Some(io::Error::new(io::ErrorKind::InvalidInput, "it is a device; name a file or pipe")),
        }
    }
}

#[cfg(unix)]
fn is_fifo(kind: FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&kind)
}

#[cfg(not(unix))]
fn is_fifo(_: FileType) -> bool {
    false
}

/// What is read from. A pipe is waited for with a bound; then reading fails with [`io::ErrorKind::TimedOut`].
pub struct Input {
    inner: Inner,
    /// How long the next bytes are waited for; `None` where they are there.
    patience: Option<Duration>,
}

enum Inner {
    File(File),
    /// Where standard input cannot be held like a file.
    #[cfg_attr(unix, allow(dead_code, reason = "there it can"))]
    Standard(io::Stdin),
}

impl Input {
    /// Opens a file or a pipe; `-` is standard input.
    ///
    /// # Errors
    /// When it is missing, may not be read, or is a folder or device.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path.as_os_str() == STANDARD_INPUT {
            return Self::standard();
        }
        let kind = Kind::of(&std::fs::metadata(path)?);
        if let Some(refusal) = kind.refusal() {
            return Err(refusal);
        }
        let is_pipe = kind == Kind::Pipe;
        let file = if is_pipe { open_pipe(path)? } else { File::open(path)? };
        Ok(Self { inner: Inner::File(file), patience: is_pipe.then_some(OPEN_PATIENCE) })
    }

    /// Opens what is piped into this program.
    ///
    /// # Errors
    /// When that is a terminal, a folder, or closed.
    pub fn standard() -> io::Result<Self> {
        if io::stdin().is_terminal() {
            let message = "standard input is a terminal; pipe a file into it, as in `cat FILE | effigy …`";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        #[cfg(unix)]
        {
            let file = File::from(std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned()?);
            let kind = Kind::of(&file.metadata()?);
            if kind == Kind::Folder {
                return Err(kind.refusal().unwrap_or_else(|| io::ErrorKind::IsADirectory.into()));
            }
            let is_file = kind == Kind::File;
            Ok(Self { inner: Inner::File(file), patience: (!is_file).then_some(READ_PATIENCE) })
        }
        #[cfg(not(unix))]
        Ok(Self { inner: Inner::Standard(io::stdin()), patience: None })
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = match &mut self.inner {
            Inner::File(file) => file,
            Inner::Standard(stdin) => return stdin.read(buffer),
        };
        let Some(patience) = self.patience else { return file.read(buffer) };
        loop {
            wait_for_bytes(file, patience)?;
            match file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => {
                    self.patience = Some(READ_PATIENCE);
                    return outcome;
                }
            }
        }
    }
}

/// Opens a pipe without waiting for its writer.
#[cfg(unix)]
fn open_pipe(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open_pipe(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Waits until a pipe has bytes or has ended.
#[cfg(unix)]
fn wait_for_bytes(file: &File, patience: Duration) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) as _ };
    match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&timeout)) {
        Ok(0) => {
            let message = format!("nothing came through the pipe for {patience:?}; start what writes to it first");
            Err(io::Error::new(io::ErrorKind::TimedOut, message))
        }
        // A signal: reading says whether there is something, and waits anew if there is not.
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn wait_for_bytes(_: &File, _: Duration) -> io::Result<()> {
    Ok(())
}

/// Reads a whole file or pipe of at most `max_bytes`; `-` is standard input.
///
/// # Errors
/// As [`Input::open`], and when there is more or a pipe is silent.
pub fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Input::open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        let message = format!("it has more than {}, which is the most that is read", size(max_bytes));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..0x400 => format!("{bytes} bytes"),
        0x400..0x10_0000 => format!("{} KB", bytes >> 10),
        _ => format!("{} MB", bytes >> 20),
    }
}

/// Reads a whole text of at most `max_bytes`; `-` is standard input.
///
/// # Errors
/// As [`read`], and when it is not UTF-8.
pub fn read_text(path: &Path, max_bytes: u64) -> io::Result<String> {
    String::from_utf8(read(path, max_bytes)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Makes sure that a path can become a file: it is one, or nothing is there.
///
/// # Errors
/// When it is a folder, a pipe or a device, which would be waited for or replaced; or `-`.
pub fn check_regular(path: &Path) -> io::Result<()> {
    let message = match std::fs::metadata(path).map(|meta| Kind::of(&meta)) {
        _ if path.as_os_str() == STANDARD_INPUT => {
            "it stands for a pipe here; name a file, or `./-` if it is called so"
        }
        Ok(Kind::Folder) => return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")),
        Ok(Kind::Pipe | Kind::Device) => "it is a pipe or device; name a file",
        Ok(Kind::File) | Err(_) => return Ok(()),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Writes a whole file, or into a pipe that somebody reads.
///
/// A file that is there is replaced when all of the new one is on the disk, and stays as it was if that fails. Where its
/// folder takes no file beside it, it is written over.
///
/// # Errors
/// When it cannot be written, or nobody reads the pipe.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    if std::fs::metadata(path).is_ok_and(|meta| Kind::of(&meta) == Kind::Pipe) {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let opened = std::fs::OpenOptions::new().write(true).custom_flags(flags).open(path);
        let mut file = opened.map_err(|error| match error.raw_os_error() {
            Some(code) if code == rustix::io::Errno::NXIO.raw_os_error() => {
                io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads this pipe; start what reads it first")
            }
            _ => error,
        })?;
        rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::empty())?;
        return file.write_all(bytes);
    }
    let target = match std::fs::metadata(path).map(|meta| Kind::of(&meta)) {
        Ok(Kind::File) => path.canonicalize().ok(),
        Ok(Kind::Folder | Kind::Pipe | Kind::Device) => None,
        Err(_) => Some(end_of_links(path)),
    };
    if let Some(target) = target
        && replace(&target, |file| file.write_all(bytes))?
    {
        return Ok(());
    }
    File::create(path)?.write_all(bytes)
}

/// Where a name leads that no file is behind yet.
fn end_of_links(path: &Path) -> PathBuf {
    let mut end = path.to_owned();
    // So many links are followed by systems too.
    for _ in 0..40 {
        let Ok(next) = end.read_link() else { break };
        end = end.parent().unwrap_or(Path::new("")).join(next);
    }
    end
}

/// Makes a file under another name beside `target`, and then of that name; answers whether its folder takes such a file.
fn replace(target: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<bool> {
    // What may not be written may not be replaced either.
    let old = match std::fs::OpenOptions::new().write(true).open(target) {
        Ok(file) => Some(file.metadata()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut part = target.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = Path::new(&part);
    // Another process of this number may have left it, when the machine stopped.
    let _ = std::fs::remove_file(part);
    let done = match std::fs::OpenOptions::new().write(true).create_new(true).open(part) {
        Ok(file) => {
            let done = fill(file, old.as_ref(), write).and_then(|()| std::fs::rename(part, target));
            if done.is_err() {
                let _ = std::fs::remove_file(part);
            }
            done
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::ResourceBusy => Ok(false),
            _ => Err(error),
        },
    }
}

/// Writes a new file, which belongs to whom the old one does and is open to the same.
fn fill(mut file: File, old: Option<&Metadata>, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    if let Some(old) = old {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, fchown};
            // Only the system's owner may give a file away, and for all others it is theirs already.
            let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
        }
        file.set_permissions(old.permissions())?;
    }
    write(&mut file)?;
    file.sync_all()
}

/// The name's parts around the first `at`, an ASCII character; `None` without one, and off Unix where it is not Unicode.
pub fn split_once(name: &OsStr, at: u8) -> Option<(&OsStr, &OsStr)> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        let bytes = name.as_bytes();
        let place = bytes.iter().position(|byte| *byte == at)?;
        Some((OsStr::from_bytes(&bytes[..place]), OsStr::from_bytes(&bytes[place + 1..])))
    }
    #[cfg(not(unix))]
    {
        let (before, after) = name.to_str()?.split_once(char::from(at))?;
        Some((before.as_ref(), after.as_ref()))
    }
}

/// A path as it is typed in a shell: quoted where it must be, and never like an option.
pub fn typed(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = if text.starts_with('-') { format!("./{text}") } else { text.into_owned() };
    let is_plain = |c: char| c.is_alphanumeric() || "_./:=@%+-,".contains(c) || (cfg!(windows) && c == '\\');
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for each test, removed at the end.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("effigy-files-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn names_are_typed_so_that_a_shell_takes_them_as_they_are() {
        let table = [
            ("me.effigy", "me.effigy"),
            ("a b.effigy", "'a b.effigy'"),
            ("-x.effigy", "./-x.effigy"),
            ("it's.png", "'it'\\''s.png'"),
            ("Zoë/ö.png", "Zoë/ö.png"),
            ("", "''"),
            #[cfg(unix)]
            ("C:\\x", "'C:\\x'"),
        ];
        for (path, expected) in table {
            assert_eq!(typed(Path::new(path)), expected);
        }
    }

    #[test]
    fn names_are_split_at_the_first_place() {
        let split = |name: &'static str| split_once(OsStr::new(name), b':');
        assert_eq!(split("file:C:\\x.mp4"), Some((OsStr::new("file"), OsStr::new("C:\\x.mp4"))));
        assert_eq!(split("plain"), None);
    }

    #[test]
    fn files_are_read_up_to_a_bound_and_folders_refused() {
        let folder = Folder::new("files");
        let path = folder.0.join("a");
        std::fs::write(&path, b"twelve bytes").unwrap();
        assert_eq!(read(&path, 12).unwrap(), b"twelve bytes");
        let error = read(&path, 11).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().starts_with("it has more than 11 bytes, "), "{error}");
        for (bytes, said) in [(1_023, "1023 bytes"), (1 << 10, "1 KB"), (100 << 10, "100 KB"), (64 << 20, "64 MB")] {
            assert_eq!(size(bytes), said);
        }
        assert!(read(&folder.0, 12).unwrap_err().to_string().contains("name a file in it"));
        assert_eq!(read(&folder.0.join("b"), 12).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(check_regular(&folder.0).is_err() && check_regular(&path).is_ok());
        assert!(check_regular(Path::new("-")).unwrap_err().to_string().contains("`./-`"));
    }

    /// What is in a folder, sorted.
    fn names_in(folder: &Path) -> Vec<std::ffi::OsString> {
        let mut names: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_as_it_was_when_a_new_one_cannot_be_written() {
        let folder = Folder::new("replaced");
        let path = folder.0.join("a");
        write(&path, b"old").unwrap();
        let full = replace(&path, |file| {
            file.write_all(b"ne")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(read(&path, 9).unwrap(), b"old");
        assert_eq!(names_in(&folder.0), ["a"], "nothing half written is left");

        let part = folder.0.join(format!("a.{}.part", std::process::id()));
        std::fs::create_dir(&part).unwrap();
        write(&path, b"new").unwrap_err();
        assert_eq!(read(&path, 9).unwrap(), b"old");
        std::fs::remove_dir(&part).unwrap();
        std::fs::write(&part, b"left behind").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(read(&path, 9).unwrap(), b"new");
        assert_eq!(names_in(&folder.0), ["a"]);
        assert_eq!(write(&folder.0.join("none/a"), b"").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_replaced_stays_behind_its_links_and_open_to_the_same() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = Folder::new("links");
        let at = |name: &str| folder.0.join(name);
        symlink("b", at("a")).unwrap();
        symlink(at("c"), at("b")).unwrap();
        for text in [b"one", b"two"] {
            write(&at("a"), text).unwrap();
            assert_eq!(read(&at("c"), 9).unwrap(), text);
            std::fs::set_permissions(at("c"), std::fs::Permissions::from_mode(0o640)).unwrap();
        }
        write(&at("a"), b"three").unwrap();
        assert_eq!(at("c").metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(names_in(&folder.0), ["a", "b", "c"]);
        assert!(at("a").is_symlink() && at("b").is_symlink());
        // No other name beside this one is short enough.
        let long = at(&"n".repeat(250));
        for text in [b"one", b"two"] {
            write(&long, text).unwrap();
            assert_eq!(read(&long, 9).unwrap(), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_to_its_end_and_not_waited_for_without_end() {
        let folder = Folder::new("pipes");
        let path = folder.0.join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        assert!(check_regular(&path).unwrap_err().to_string().contains("pipe"));
        let mut silent = Input::open(&path).unwrap();
        silent.patience = Some(Duration::from_millis(30));
        let error = silent.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("start what writes to it first"), "{error}");
        drop(silent);
        assert!(write(&path, b"x").unwrap_err().to_string().contains("nobody reads this pipe"));
        let writer = {
            let path = path.clone();
            std::thread::Builder::new().spawn(move || {
                let mut pipe = std::fs::OpenOptions::new().write(true).open(path).unwrap();
                for _ in 0..100 {
                    pipe.write_all(&[7; 1000]).unwrap();
                }
            })
        };
        assert_eq!(read(&path, 1 << 20).unwrap(), [7; 100_000]);
        writer.unwrap().join().unwrap();
    }
}
