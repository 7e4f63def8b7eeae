//! The library: identities kept in one folder, in an order of the user's own, which number keys follow.

use std::path::{Path, PathBuf};

use super::{cache_dir, data_dir, write_atomically};
use crate::control::MAX_IDENTITIES;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::identity::{Identity, Opener, Signer};

/// What an identity's file ends in.
const EXTENSION: &str = "effigy";
/// The file that holds the order: one file name a line.
const ORDER: &str = "order.txt";
/// The longest name of an identity, in characters.
const MAX_NAME_CHARS: usize = 64;
/// Sides of a thumbnail, in pixels.
const THUMBNAIL_PX: u32 = 128;

/// A folder of identities.
#[derive(Clone, Debug)]
pub struct Library {
    folder: PathBuf,
}

/// One identity in the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelved {
    /// Its file's name without the ending: what it is called on the command line.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
}

impl Library {
    /// The user's own; its folder need not be there.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the environment names no folder.
    pub fn of_user() -> Result<Self> {
        Ok(Self::at(data_dir()?.join("identities")))
    }

    /// The library in a folder.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All identities in their order: as the user ordered them, then by name.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Shelved>> {
        let about = || format!("cannot read the library {}", self.folder.display());
        let entries = match self.folder.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::new(ErrorKind::Io, about()).because(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.or_error(ErrorKind::Io, about)?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
            if let Some(name) = stem.filter(|_| path.extension().is_some_and(|extension| extension == EXTENSION)) {
                found.push(Shelved { name, path });
            }
        }
        let order = self.order();
        let place = |name: &str| order.iter().position(|known| known == name).unwrap_or(usize::MAX);
        found.sort_by(|a, b| place(&a.name).cmp(&place(&b.name)).then_with(|| a.name.cmp(&b.name)));
        found.truncate(MAX_IDENTITIES);
        Ok(found)
    }

    /// Finds an identity by name or by its number in the order, from 1.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is none; the message lists what there is.
    pub fn find(&self, which: &str) -> Result<Shelved> {
        let all = self.list()?;
        let by_name = all.iter().find(|shelved| shelved.name == which);
        let by_number = || which.parse::<usize>().ok().and_then(|number| all.get(number.checked_sub(1)?));
        if let Some(found) = by_name.or_else(by_number) {
            return Ok(found.clone());
        }
        let names: Vec<_> = all.iter().map(|shelved| &*shelved.name).collect();
        let has = if names.is_empty() {
            "it is empty; `effigy identities add FILE.effigy` puts one there".to_owned()
        } else {
            format!("it has {}", names.join(", "))
        };
        Err(Error::new(ErrorKind::Config, format!("no identity {which:?} in the library: {has}")))
    }

    /// Where an identity of this name is or would be kept.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it cannot be a file's name.
    pub fn place(&self, name: &str) -> Result<PathBuf> {
        let is_fit = !name.trim().is_empty()
            && name.chars().count() <= MAX_NAME_CHARS
            && !name.starts_with(['.', '-'])
            && !name.contains(is_unfit);
        if !is_fit {
            let message = format!(
                "{name:?} cannot be a name in the library; it has 1 to {MAX_NAME_CHARS} characters, none of / \\ : * ? \" < > |, \
                 and begins with neither a dot nor a dash"
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(self.folder.join(format!("{name}.{EXTENSION}")))
    }

    /// Puts a copy of an identity's file at the end of the library, after all of it was checked.
    ///
    /// # Errors
    /// When the file is no identity, the name is taken, or nothing can be written.
    pub fn add(&self, file: &Path, name: &str, opener: &Opener) -> Result<Shelved> {
        let path = self.free_place(name)?;
        let mut order = self.names_with_room()?;
        // Read once: a pipe gives it once only, and what was checked is what is kept.
        let bytes = Opener::read(file)?;
        opener.identity_of(file, bytes.clone())?;
        // A sealed one is kept sealed.
        write_atomically(&path, &bytes)?;
        order.push(name.to_owned());
        self.write_order(&order)?;
        Ok(Shelved { name: name.to_owned(), path })
    }

    /// Keeps a new identity at the end of the library: under its own name, as far as that can be a file's, and with a number
    /// where that is taken.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn keep(&self, identity: &Identity, signer: &Signer) -> Result<Shelved> {
        let is_lead = |c: char| matches!(c, '.' | '-') || c.is_whitespace();
        let fit = |c: char| if is_unfit(c) { '_' } else { c };
        let stem: String = identity.manifest.name.trim_start_matches(is_lead).chars().map(fit).collect();
        // Room for a number.
        let stem: String = stem.chars().take(MAX_NAME_CHARS - 4).collect();
        let stem = if stem.trim().is_empty() { "identity" } else { stem.trim() };
        let mut order = self.names_with_room()?;
        let (mut name, mut number) = (stem.to_owned(), 1);
        let path = loop {
            let path = self.place(&name)?;
            if !path.exists() {
                break path;
            }
            number += 1;
            name = format!("{stem} {number}");
        };
        write_atomically(&path, &identity.to_bytes(signer)?)?;
        order.push(name.clone());
        // Whoever is told that it failed will try again: nothing of it stays.
        self.write_order(&order).inspect_err(|_| drop(std::fs::remove_file(&path)))?;
        Ok(Shelved { name, path })
    }

    /// Gives an identity another name, in its file too where this user signed it and it is not sealed.
    ///
    /// # Errors
    /// When there is no such identity, the name is taken, or nothing can be written.
    pub fn rename(&self, which: &str, name: &str) -> Result<Shelved> {
        let old = self.find(which)?;
        let path = self.free_place(name)?;
        let mut order = self.names()?;
        let signer = Signer::open_or_create()?;
        // The name inside is part of what its maker signed, and what is sealed stays as it is.
        let own = match Identity::load(&old.path) {
            Ok(identity) if identity.maker.as_deref() == Some(&*signer.public_key()) => Some(identity),
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::Config => None,
            Err(error) => return Err(error),
        };
        match own {
            Some(mut identity) => {
                name.clone_into(&mut identity.manifest.name);
                identity.save(&path, &signer)?;
                std::fs::remove_file(&old.path)
            }
            None => std::fs::rename(&old.path, &path),
        }
        .or_error(ErrorKind::Io, || format!("cannot rename {}", old.path.display()))?;
        forget_thumbnail(&old.name)?;
        for known in order.iter_mut().filter(|known| **known == old.name) {
            name.clone_into(known);
        }
        self.write_order(&order)?;
        Ok(Shelved { name: name.to_owned(), path })
    }

    /// Removes an identity's file and its thumbnail, so that nothing shows the face any more.
    ///
    /// # Errors
    /// When there is no such identity, or one of both cannot be removed.
    pub fn remove(&self, which: &str) -> Result<Shelved> {
        let old = self.find(which)?;
        std::fs::remove_file(&old.path).or_error(ErrorKind::Io, || format!("cannot remove {}", old.path.display()))?;
        forget_thumbnail(&old.name)?;
        self.write_order(&self.names()?)?;
        Ok(old)
    }

    /// Moves an identity to a number in the order, from 1.
    ///
    /// # Errors
    /// When there is no such identity, or the order cannot be written.
    pub fn reorder(&self, which: &str, number: usize) -> Result<()> {
        let moved = self.find(which)?;
        let mut order = self.names()?;
        order.retain(|name| *name != moved.name);
        order.insert(number.saturating_sub(1).min(order.len()), moved.name);
        self.write_order(&order)
    }

    /// The identity's thumbnail as a PNG file, made where it is missing or older than the identity; of a sealed one none is
    /// kept, for it would show the face.
    ///
    /// # Errors
    /// When the thumbnail cannot be written, or one of before not removed.
    pub fn thumbnail(&self, shelved: &Shelved, identity: &Identity, is_sealed: bool) -> Result<Option<PathBuf>> {
        if is_sealed {
            return forget_thumbnail(&shelved.name).map(|()| None);
        }
        let path = thumbnail_path(&shelved.name)?;
        let made = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
        if made(&path) > made(&shelved.path) {
            return Ok(Some(path));
        }
        let side = identity.size_px() as u32;
        let picture = image::RgbImage::from_raw(side, side, identity.portrait.data().to_vec()).unwrap_or_default();
        let filter = image::imageops::FilterType::Triangle;
        let small = image::imageops::resize(&picture, THUMBNAIL_PX, THUMBNAIL_PX, filter);
        let mut png = std::io::Cursor::new(Vec::new());
        small
            .write_to(&mut png, image::ImageFormat::Png)
            .or_error(ErrorKind::Internal, || "a thumbnail cannot be made".to_owned())?;
        write_atomically(&path, png.get_ref())?;
        Ok(Some(path))
    }

    /// Removes an identity's thumbnail.
    ///
    /// # Errors
    /// When there is one and it cannot be removed.
    pub fn forget_thumbnail(&self, shelved: &Shelved) -> Result<()> {
        forget_thumbnail(&shelved.name)
    }

    fn free_place(&self, name: &str) -> Result<PathBuf> {
        let path = self.place(name)?;
        if path.exists() {
            let message = format!("the library has a {name:?} already; name another, or `effigy identities remove` it");
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(path)
    }

    fn names(&self) -> Result<Vec<String>> {
        Ok(self.list()?.into_iter().map(|shelved| shelved.name).collect())
    }

    /// All names, where one more can be added.
    fn names_with_room(&self) -> Result<Vec<String>> {
        let names = self.names()?;
        if names.len() < MAX_IDENTITIES {
            return Ok(names);
        }
        let message = format!(
            "the library is full: it holds {MAX_IDENTITIES} identities; `effigy identities remove NAME` makes room"
        );
        Err(Error::new(ErrorKind::Config, message))
    }

    fn order(&self) -> Vec<String> {
        // Without its order a library is sorted by name.
        let text = crate::files::read_text(&self.folder.join(ORDER), 1 << 20).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn write_order(&self, names: &[String]) -> Result<()> {
        write_atomically(&self.folder.join(ORDER), (names.join("\n") + "\n").as_bytes())
    }
}

/// Whether a file's name cannot hold it, on some system.
fn is_unfit(c: char) -> bool {
    c.is_control() || "/\\:*?\"<>|".contains(c)
}

fn thumbnail_path(name: &str) -> Result<PathBuf> {
    Ok(cache_dir()?.join("thumbnails").join(format!("{name}.png")))
}

fn forget_thumbnail(name: &str) -> Result<()> {
    let path = thumbnail_path(name)?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::new(ErrorKind::Io, format!("cannot remove {}", path.display())).because(error))
        }
        _ => Ok(()),
    }
}
