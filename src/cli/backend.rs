//! What `--backend` says.

use std::ffi::OsStr;
use std::fmt;

use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, ValueEnum};

/// What makes the picture on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// The best that works here; says which and why
    #[default]
    Auto,
    /// The network on an NVIDIA card
    Cuda,
    /// The network on any other graphics card
    Wgpu,
    /// The network on the processor
    Cpu,
    /// The mesh warp on the processor, without a network
    Warp,
}

/// What makes the picture, on this machine or another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// On this one.
    Here(Backend),
    /// A server, as long as it answers; the best of this machine otherwise.
    #[cfg(feature = "remote")]
    Remote(effigy::remote::Address),
}

impl Maker {
    /// What makes it on this machine.
    pub(crate) fn here(&self) -> Backend {
        match self {
            Self::Here(backend) => *backend,
            #[cfg(feature = "remote")]
            Self::Remote(_) => Backend::Auto,
        }
    }
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(backend) => {
                let value = backend.to_possible_value();
                f.write_str(value.as_ref().map_or("auto", PossibleValue::get_name))
            }
            #[cfg(feature = "remote")]
            Self::Remote(address) => write!(f, "remote:{address}"),
        }
    }
}

/// Takes the names of [`Backend`], and `remote:` with an address.
#[derive(Clone)]
pub(super) struct MakerParser;

impl TypedValueParser for MakerParser {
    type Value = Maker;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Maker, clap::Error> {
        let Some(address) = value.to_str().and_then(|value| value.strip_prefix("remote:")) else {
            return EnumValueParser::<Backend>::new().parse_ref(command, arg, value).map(Maker::Here);
        };
        remote(address).map_err(|message| {
            let mut error = clap::Error::new(ErrorKind::ValueValidation).with_cmd(command);
            if let Some(arg) = arg {
                error.insert(ContextKind::InvalidArg, ContextValue::String(arg.to_string()));
            }
            error.insert(ContextKind::InvalidValue, ContextValue::String(format!("remote:{address} ({message})")));
            error
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        EnumValueParser::<Backend>::new()
            .possible_values()
            .map(|values| Box::new(values.collect::<Vec<_>>().into_iter()) as _)
    }
}

#[cfg(feature = "remote")]
fn remote(address: &str) -> Result<Maker, String> {
    address.parse().map(Maker::Remote).map_err(|error: effigy::Error| error.to_string())
}

#[cfg(not(feature = "remote"))]
fn remote(_: &str) -> Result<Maker, String> {
    Err("this build asks no other machine; build it with `--features remote`".to_owned())
}
