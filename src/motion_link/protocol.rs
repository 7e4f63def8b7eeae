//! How motion is said over a network.

use super::{MotionFrame, Reader, ifacialmocap, vmc};

/// How motion is said over a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The VMC protocol.
    Vmc,
    /// iFacialMocap's text.
    Ifacialmocap,
}

impl Protocol {
    pub(super) const ALL: [Self; 2] = [Self::Vmc, Self::Ifacialmocap];

    /// Its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Vmc => "vmc",
            Self::Ifacialmocap => "ifm",
        }
    }

    /// Its name in sentences.
    pub fn title(self) -> &'static str {
        match self {
            Self::Vmc => "VMC",
            Self::Ifacialmocap => "iFacialMocap",
        }
    }

    /// Where its receivers listen unless told otherwise.
    pub fn port(self) -> u16 {
        match self {
            Self::Vmc => 39539,
            Self::Ifacialmocap => 49983,
        }
    }

    /// What takes its datagrams apart, and the longest datagram that is looked at, in bytes.
    pub(crate) fn reader(self) -> (Box<dyn Reader>, usize) {
        match self {
            Self::Vmc => (Box::<vmc::VmcReader>::default(), vmc::MAX_READ_BYTES),
            Self::Ifacialmocap => (Box::<ifacialmocap::IfacialmocapReader>::default(), ifacialmocap::MAX_READ_BYTES),
        }
    }

    /// Puts a frame into datagrams.
    pub(super) fn write(self, frame: &MotionFrame, datagrams: &mut Vec<Vec<u8>>) {
        match self {
            Self::Vmc => vmc::write(frame, datagrams),
            Self::Ifacialmocap => ifacialmocap::write(frame, datagrams),
        }
    }
}
