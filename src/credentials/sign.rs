//! Signing what is complete: recordings into a copy that then takes their place, stills in memory.

use std::fs::{File, OpenOptions};
use std::io::{Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use c2pa::assertions::{DataHash, SoftBinding};
use c2pa::{BoxedSigner, Builder, Context, SigningAlg, create_signer, hash_stream_by_alg};
use serde_json::json;

use super::read::guarded;
use super::{CONSENT_LABEL, RecordingKey, SOURCE_TYPE, Statement, binding_of, embedding_format, sidecar};
use crate::error::{ErrorKind, OrError as _, Result};

/// Of a larger recording the copy in work lies in the system's folder for temporary files, not in memory, in MB.
const MAX_IN_MEMORY_MB: usize = 64;

/// Signs recordings and stills with a key of this machine.
pub struct Credentials {
    context: Arc<Context>,
    signer: BoxedSigner,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// Takes a key.
    ///
    /// # Errors
    /// [`ErrorKind::Config`]: the key cannot sign.
    pub fn new(key: &RecordingKey) -> Result<Self> {
        let about = || "cannot sign with the key of recordings; `effigy keys make --replace` makes another".to_owned();
        let signer =
            create_signer::from_keys(key.certificates().as_bytes(), key.secret().as_bytes(), SigningAlg::Es256, None);
        // What was signed is read again at once: a manifest that does not hold would be worse than none.
        // All is the signer's own word, nothing of it gathered from elsewhere.
        let settings = json!({
            "builder": {"created_assertion_labels": ["c2pa.actions", SoftBinding::LABEL, CONSENT_LABEL]},
            "core": {"backing_store_memory_threshold_in_mb": MAX_IN_MEMORY_MB},
            "verify": {"verify_after_sign": true, "verify_after_sign_hash": true, "verify_trust": false},
        });
        let context = Context::new().with_settings(settings).or_error(ErrorKind::Internal, about)?;
        Ok(Self { context: context.into_shared(), signer: signer.or_error(ErrorKind::Config, about)? })
    }

    /// Signs a complete file: in itself, or beside it where its kind has no place for a manifest.
    ///
    /// The signed copy takes the file's place when it is whole; until then, and when signing fails, the file is as it was.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]: it cannot be read, or the copy not be written; [`ErrorKind::Internal`]: it cannot be signed.
    pub fn sign_file(&self, path: &Path, statement: &Statement) -> Result<()> {
        let about = || format!("cannot sign {}", path.display());
        let target = path.canonicalize().or_error(ErrorKind::Io, about)?;
        let (destination, format) = match embedding_format(&target) {
            Some(format) => (target.clone(), Some(format)),
            None => (sidecar(&target), None),
        };
        let part = part_path(&destination);
        let write = || -> Result<()> {
            let mut source = File::open(&target).or_error(ErrorKind::Io, about)?;
            let mut options = OpenOptions::new();
            let mut copy = options
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&part)
                .or_error(ErrorKind::Io, about)?;
            match format {
                Some(format) => {
                    let meta = source.metadata().or_error(ErrorKind::Io, about)?;
                    copy.set_permissions(meta.permissions()).or_error(ErrorKind::Io, about)?;
                    self.embed(format, &mut source, &mut copy, statement)?;
                }
                None => copy.write_all(&self.beside(&mut source, statement)?).or_error(ErrorKind::Io, about)?,
            }
            copy.sync_all().or_error(ErrorKind::Io, about)?;
            std::fs::rename(&part, &destination).or_error(ErrorKind::Io, about)
        };
        write().inspect_err(|_| {
            let _ = std::fs::remove_file(&part);
        })
    }

    /// Signs a still: the bytes of a PNG become those of a signed one.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`]: it is no PNG, or cannot be signed.
    pub fn sign_png(&self, png: &[u8], statement: &Statement) -> Result<Vec<u8>> {
        let mut signed = Cursor::new(Vec::with_capacity(png.len() + (32 << 10)));
        self.embed("image/png", &mut Cursor::new(png), &mut signed, statement)?;
        Ok(signed.into_inner())
    }

    fn embed(
        &self,
        format: &str,
        source: &mut (impl Read + Seek + Send),
        copy: &mut (impl Read + Write + Seek + Send),
        statement: &Statement,
    ) -> Result<()> {
        guarded(|| {
            let mut builder = self.builder(statement)?;
            builder.sign(&*self.signer, format, source, copy).map(|_| ())
        })?
        .or_error(ErrorKind::Internal, || "the manifest cannot be made".to_owned())
    }

    /// A manifest over all bytes of a file that C2PA has no place in.
    fn beside(&self, source: &mut File, statement: &Statement) -> Result<Vec<u8>> {
        guarded(|| {
            let mut hash = DataHash::new("all bytes", "sha256");
            hash.set_hash(hash_stream_by_alg("sha256", source, None, true)?);
            let mut builder = self.builder(statement)?;
            // Makes room for the hash; what it returns is for who embeds.
            builder.data_hashed_placeholder(self.signer.reserve_size(), "application/c2pa")?;
            builder.sign_data_hashed_embeddable(&*self.signer, &hash, "application/c2pa")
        })?
        .or_error(ErrorKind::Internal, || "the manifest cannot be made".to_owned())
    }

    fn builder(&self, statement: &Statement) -> c2pa::Result<Builder> {
        let program = json!({"name": "effigy", "version": env!("CARGO_PKG_VERSION")});
        // A definition brings an identifier of its own for each file, which a claim must have.
        let definition = json!({"claim_generator_info": [program]});
        let mut builder = Builder::from_shared_context(&self.context).with_definition(definition)?;
        builder.add_action(json!({
            "action": "c2pa.created",
            "digitalSourceType": SOURCE_TYPE,
            "softwareAgent": program,
        }))?;
        if let Some(mark) = statement.mark {
            let (algorithm, value) = binding_of(mark);
            builder.add_action(json!({"action": "c2pa.watermarked.bound"}))?;
            let binding = json!({"alg": algorithm, "blocks": [{"scope": {}, "value": value}], "pad": []});
            let binding: SoftBinding = serde_json::from_value(binding).map_err(c2pa::Error::JsonError)?;
            builder.add_assertion(SoftBinding::LABEL, &binding)?;
        }
        if !statement.consents.is_empty() {
            builder.add_assertion(CONSENT_LABEL, &json!({"people": statement.consents}))?;
        }
        Ok(builder)
    }
}

/// Where a signed copy is while it is not whole: beside its place and hidden.
fn part_path(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.signing", std::process::id()));
    path.with_file_name(name)
}
