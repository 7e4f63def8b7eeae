//! What `--sink` and `--source` say of motion.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::Protocol;
use crate::error::{Error, ErrorKind, Result};
use crate::microphone::MicrophoneSpec;

/// Where motion goes: `vmc:[HOST:]PORT`, `ifm:[HOST:]PORT`, `motion:FILE.jsonl`, `motion:FILE.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MotionSinkSpec {
    /// To a program on this machine or another.
    Udp(Protocol, String),
    /// Into a file: JSON Lines, or CSV by its ending.
    File(PathBuf),
}

/// Where motion comes from: `vmc:[ADDRESS:]PORT`, `ifm:[ADDRESS:]PORT`, `motion:FILE.jsonl`, `audio:FILE`,
/// `audio:microphone[:NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MotionSourceSpec {
    /// From a program or phone that sends to this address.
    Udp(Protocol, SocketAddr),
    /// From a recording.
    File(PathBuf),
    /// From what is heard: the mouth speaks it.
    Sound(Heard),
}

/// What is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The sound of a file, of any kind that FFmpeg reads; a file that is called `microphone` is meant by `audio:./microphone`.
    File(PathBuf),
    /// A microphone.
    Microphone(MicrophoneSpec),
}

/// What begins a source of sound, and what stands for the microphone behind it.
const SOUND: &str = "audio:";
const MICROPHONE: &str = "microphone";

impl Heard {
    /// # Errors
    /// [`ErrorKind::Config`] with what can be typed.
    fn parse(text: &str) -> Result<Self> {
        let config = |what: &str| {
            let takes = "give `--source audio:FILE`, `--source audio:microphone` or `--source audio:microphone:NAME`";
            Err(Error::new(ErrorKind::Config, format!("{what}; {takes}")))
        };
        match text.split_once(':') {
            _ if text.is_empty() => config("`audio:` lacks a file or microphone"),
            _ if text == MICROPHONE => Ok(Self::Microphone(MicrophoneSpec::First)),
            Some((MICROPHONE, "")) => config("`audio:microphone:` lacks a part of the microphone's name"),
            Some((MICROPHONE, name)) => Ok(Self::Microphone(MicrophoneSpec::Name(name.to_owned()))),
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{SOUND}{}", path.display()),
            Self::Microphone(MicrophoneSpec::First) => write!(f, "{SOUND}{MICROPHONE}"),
            Self::Microphone(MicrophoneSpec::Name(name)) => write!(f, "{SOUND}{MICROPHONE}:{name}"),
        }
    }
}

/// What begins motion's words.
fn split(text: &str) -> Option<(Option<Protocol>, &str)> {
    let (word, rest) = text.split_once(':').unwrap_or((text, ""));
    let protocol = Protocol::ALL.into_iter().find(|protocol| protocol.word() == word);
    (protocol.is_some() || (word == "motion" && text.len() > word.len())).then_some((protocol, rest))
}

impl MotionSinkSpec {
    /// Reads what `--sink` says; `None` where no motion is meant.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with what can be typed.
    pub fn parse(text: &str) -> Option<Result<Self>> {
        let (protocol, rest) = split(text)?;
        let Some(protocol) = protocol else {
            let is_known = [".jsonl", ".csv"].iter().any(|ending| rest.to_ascii_lowercase().ends_with(ending));
            let message = format!("{rest} ends in none of .jsonl and .csv; give `--sink motion:FILE.jsonl`");
            return Some(if is_known {
                Ok(Self::File(rest.into()))
            } else {
                Err(Error::new(ErrorKind::Config, message))
            });
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, port),
            None if rest.is_empty() => ("127.0.0.1", ""),
            None if rest.bytes().all(|byte| byte.is_ascii_digit()) => ("127.0.0.1", rest),
            None => (rest, ""),
        };
        let port = if port.is_empty() { Some(protocol.port()) } else { port.parse().ok().filter(|port| *port > 0) };
        let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
        Some(match port.filter(|_| is_host) {
            Some(port) => Ok(Self::Udp(protocol, format!("{host}:{port}"))),
            None => Err(Error::new(
                ErrorKind::Config,
                format!(
                    "no address {rest:?}; `--sink {word}:` takes HOST:PORT or a port, such as {word}:127.0.0.1:{}",
                    protocol.port(),
                    word = protocol.word()
                ),
            )),
        })
    }
}

impl fmt::Display for MotionSinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(protocol, address) => write!(f, "{}:{address}", protocol.word()),
            Self::File(path) => write!(f, "motion:{}", path.display()),
        }
    }
}

impl MotionSourceSpec {
    /// Reads what `--source` says; `None` where no motion is meant.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with what can be typed.
    pub fn parse(text: &str) -> Option<Result<Self>> {
        if let Some(heard) = text.strip_prefix(SOUND) {
            return Some(Heard::parse(heard).map(Self::Sound));
        }
        let (protocol, rest) = split(text)?;
        let Some(protocol) = protocol else {
            let message = "`motion:` lacks a file; give `--source motion:FILE.jsonl`";
            let is_named = !rest.is_empty();
            return Some(if is_named {
                Ok(Self::File(rest.into()))
            } else {
                Err(Error::new(ErrorKind::Config, message))
            });
        };
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let numeric = rest.replacen("localhost", "127.0.0.1", 1);
        let port = || numeric.parse::<u16>().ok().map(|port| SocketAddr::new(local, port));
        let alone = || numeric.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, protocol.port()));
        let none = || rest.is_empty().then(|| SocketAddr::new(local, protocol.port()));
        let address = numeric.parse().ok().or_else(port).or_else(alone).or_else(none);
        Some(address.map(|address| Self::Udp(protocol, address)).ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                format!(
                    "no address {rest:?}; `--source {word}:` takes a port ({}), an address of this machine or both; a file \
                     that is called so is meant by ./{word}:…",
                    protocol.port(),
                    word = protocol.word()
                ),
            )
        }))
    }

    /// Whether other machines can send to it.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Udp(_, address) if !address.ip().is_loopback())
    }

    /// Whether it comes as it happens.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Udp(..) | Self::Sound(Heard::Microphone(_)))
    }

    /// The file that it is read from.
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) | Self::Sound(Heard::File(path)) => Some(path),
            Self::Udp(..) | Self::Sound(Heard::Microphone(_)) => None,
        }
    }
}

impl fmt::Display for MotionSourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(protocol, address) => write!(f, "{}:{address}", protocol.word()),
            Self::File(path) => write!(f, "motion:{}", path.display()),
            Self::Sound(heard) => heard.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_and_sources_are_read_from_text_and_written_back() {
        for (text, written) in [
            ("vmc", "vmc:127.0.0.1:39539"),
            ("vmc:39540", "vmc:127.0.0.1:39540"),
            ("vmc:studio.local", "vmc:studio.local:39539"),
            ("ifm:10.0.0.2:50000", "ifm:10.0.0.2:50000"),
            ("ifm:[::1]:5", "ifm:[::1]:5"),
            ("motion:a b.jsonl", "motion:a b.jsonl"),
            ("motion:x.CSV", "motion:x.CSV"),
        ] {
            assert_eq!(MotionSinkSpec::parse(text).unwrap().unwrap().to_string(), written);
        }
        for wrong in ["vmc:99999", "vmc::", "vmc:a b:1", "ifm:host:0", "motion:", "motion:x.mp4"] {
            assert!(MotionSinkSpec::parse(wrong).unwrap().is_err(), "{wrong}");
        }
        for (text, written) in [
            ("vmc", "vmc:127.0.0.1:39539"),
            ("vmc:1", "vmc:127.0.0.1:1"),
            ("ifm:0.0.0.0", "ifm:0.0.0.0:49983"),
            ("motion:a.jsonl", "motion:a.jsonl"),
            ("audio:a b.wav", "audio:a b.wav"),
            ("audio:microphone", "audio:microphone"),
            ("audio:microphone:USB: 2", "audio:microphone:USB: 2"),
            ("audio:./microphone", "audio:./microphone"),
        ] {
            assert_eq!(MotionSourceSpec::parse(text).unwrap().unwrap().to_string(), written);
        }
        for wrong in ["vmc:x", "ifm:example.org:1", "motion:", "audio:", "audio:microphone:"] {
            assert!(MotionSourceSpec::parse(wrong).unwrap().is_err(), "{wrong}");
        }
        for (live, text) in
            [(true, "audio:microphone"), (false, "audio:a.wav"), (true, "vmc"), (false, "motion:a.jsonl")]
        {
            assert_eq!(MotionSourceSpec::parse(text).unwrap().unwrap().is_live(), live, "{text}");
        }
        for other in ["camera", "vmcs", "motion", "me.mp4", "file:vmc", "audio", "Audio:a.wav"] {
            assert!(MotionSinkSpec::parse(other).is_none() && MotionSourceSpec::parse(other).is_none(), "{other}");
        }
        assert!(MotionSourceSpec::parse("vmc:0.0.0.0:1").unwrap().unwrap().is_remote());
    }
}
