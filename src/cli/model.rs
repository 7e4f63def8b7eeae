//! What `--model` says.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::{Arg, Command, ValueEnum};
use effigy::Result;
use effigy::files;
use effigy::generate::family::Kind;
use effigy::onnx::Provider;
use effigy::{Error, ErrorKind};

use super::{Backend, Maker};

/// Which network makes the picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Model {
    /// Effigy's own.
    #[default]
    Own,
    /// A founding family.
    Family(Kind),
    /// Somebody else's networks, in a folder.
    Pack(PathBuf),
}

/// Those that have a name.
#[derive(Clone, Copy, ValueEnum)]
enum Named {
    /// Effigy's own
    Own,
    /// A founding family of 64 or 128 pixels, driven by latent differences: a variational autoencoder (docs/families.md)
    Vae,
    /// The same, taught with a discriminator
    VaeGan,
    /// A founding family of 128 pixels: a vector of who, a few numbers of what
    IdentityDriving,
    /// A founding family of 64 pixels that makes a clip of the photo and is driven by nobody: a foreground over a background
    VideoGan,
    /// The same in two stages
    MdGan,
}

impl From<Named> for Model {
    fn from(named: Named) -> Self {
        match named {
            Named::Own => Self::Own,
            Named::Vae => Self::Family(Kind::Vae),
            Named::VaeGan => Self::Family(Kind::VaeGan),
            Named::IdentityDriving => Self::Family(Kind::IdentityDriving),
            Named::VideoGan => Self::Family(Kind::VideoGan),
            Named::MdGan => Self::Family(Kind::MdGan),
        }
    }
}

impl Model {
    /// Reads `own`, the name of a family, or `pack:DIR`.
    ///
    /// # Errors
    /// A sentence that says what there is.
    pub(crate) fn named(text: &str) -> std::result::Result<Self, String> {
        match text.strip_prefix(PACK).and_then(|rest| rest.strip_prefix(':')) {
            Some(folder) if !folder.is_empty() => Ok(Self::Pack(folder.into())),
            _ => Named::from_str(text, false).map(Into::into).map_err(|_| {
                format!("expected model of own, {}, pack:DIR, found {text}", Kind::ALL.map(Kind::name).join(", "))
            }),
        }
    }

    /// What of ONNX Runtime runs it, for one that is not effigy's own.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it does not run on `backend`.
    pub(crate) fn provider(&self, backend: Backend) -> Result<Provider> {
        let (places, instead) = match (self, backend) {
            (_, Backend::Auto | Backend::Cpu) => return Ok(Provider::Cpu),
            (Self::Pack(_), Backend::Cuda) => return Ok(Provider::Cuda),
            (Self::Pack(_), _) => ("the processor or an NVIDIA card", "cpu or cuda"),
            _ => ("the processor", "cpu"),
        };
        let backend = Maker::Here(backend);
        let message =
            format!("--model {self} runs on {places}, and --backend {backend} was asked for; give --backend {instead}");
        Err(Error::new(ErrorKind::Config, message))
    }
}

const PACK: &str = "pack";

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Family(kind) => f.write_str(kind.name()),
            Self::Pack(folder) => write!(f, "{PACK}:{}", folder.display()),
        }
    }
}

/// Takes the names of [`Model`], and `pack:` with a folder of any name.
#[derive(Clone)]
pub(super) struct ModelParser;

impl TypedValueParser for ModelParser {
    type Value = Model;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> std::result::Result<Model, clap::Error> {
        match files::split_once(value, b':') {
            Some((word, folder)) if word == PACK && !folder.is_empty() => Ok(Model::Pack(folder.into())),
            _ => EnumValueParser::<Named>::new().parse_ref(command, arg, value).map(Into::into),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        EnumValueParser::<Named>::new()
            .possible_values()
            .map(|values| Box::new(values.collect::<Vec<_>>().into_iter()) as _)
    }
}
