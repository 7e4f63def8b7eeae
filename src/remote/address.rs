//! Where the server is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// How an address looks.
const EXPECTED: &str = "expected grpc://HOST:PORT, grpcs://, http:// or https:// (with s: encrypted), and /MODEL behind it where \
                        the model is not called effigy, such as remote:grpc://127.0.0.1:8001";

/// What is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// HTTP 1.1 with binary tensors.
    Http,
}

/// A server's address: `grpc://HOST:PORT[/MODEL]`, or `grpcs`, `http`, `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What is spoken.
    pub protocol: Protocol,
    /// Whether the connection is encrypted, and the server proves its name.
    pub is_encrypted: bool,
    /// The host's name or number; of an IPv6 number without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What the server calls the model.
    pub model: String,
}

impl Address {
    /// Whether it is on this machine.
    pub fn is_here(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Host and port, as they are written in a header.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::new(ErrorKind::Config, format!("no server {text:?}; {EXPECTED}"));
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (protocol, is_encrypted) = match scheme {
            "grpc" => (Protocol::Grpc, false),
            "grpcs" => (Protocol::Grpc, true),
            "http" => (Protocol::Http, false),
            "https" => (Protocol::Http, true),
            _ => return Err(wrong()),
        };
        let (place, model) = rest.split_once('/').unwrap_or((rest, "effigy"));
        let (host, port) = place.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_host = match bare {
            Some(number) => number.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(is_name),
        };
        if !is_host || model.is_empty() || !model.chars().all(is_name) {
            return Err(wrong());
        }
        let host = bare.unwrap_or(host).to_owned();
        Ok(Self { protocol, is_encrypted, host, port, model: model.to_owned() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.protocol, self.is_encrypted) {
            (Protocol::Grpc, false) => "grpc",
            (Protocol::Grpc, true) => "grpcs",
            (Protocol::Http, false) => "http",
            (Protocol::Http, true) => "https",
        };
        write!(f, "{scheme}://{}", self.authority())?;
        if self.model == "effigy" { Ok(()) } else { write!(f, "/{}", self.model) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_text_and_written_back() {
        for text in ["grpc://127.0.0.1:8001", "grpcs://gpu.example:443", "http://[::1]:8000", "https://a-b.c:1/small-2"]
        {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        let address: Address = "grpc://[::1]:8001/effigy".parse().unwrap();
        assert_eq!((address.host.as_str(), address.port, address.is_here()), ("::1", 8001, true));
        assert_eq!(address.to_string(), "grpc://[::1]:8001");
        assert!(!"grpc://10.0.0.1:1".parse::<Address>().unwrap().is_here());
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_one_looks_like() {
        for wrong in
            ["", "gpu:8001", "grpc://", "grpc://gpu", "grpc://gpu:0", "grpc://gpu:99999", "ftp://gpu:1", "grpc://a b:1"]
        {
            let error = wrong.parse::<Address>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("expected grpc://HOST:PORT"), "{error}");
        }
        for wrong in ["grpc://gpu:1/", "grpc://gpu:1/a/b", "grpc://[gpu]:1", "grpc://user@gpu:1", "http://:80"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
