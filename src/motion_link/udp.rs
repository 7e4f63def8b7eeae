//! Motion over UDP, sent without waiting.

use std::net::{SocketAddr, ToSocketAddrs as _, UdpSocket};

use super::{MotionFrame, MotionSink, Protocol};
use crate::error::{Error, ErrorKind, OrError as _, Result};

/// Sends frames as datagrams.
pub struct UdpMotionSink {
    name: String,
    protocol: Protocol,
    socket: UdpSocket,
    datagrams: Vec<Vec<u8>>,
}

impl UdpMotionSink {
    /// Opens the way to `address` (`HOST:PORT`).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when no such host is known, [`ErrorKind::Io`] when there is no way to it.
    pub fn open(protocol: Protocol, address: &str) -> Result<Self> {
        let about =
            || format!("cannot send motion to {address}; give HOST:PORT, such as 127.0.0.1:{}", protocol.port());
        let found: Vec<_> = address.to_socket_addrs().or_error(ErrorKind::Config, about)?.collect();
        // Receivers of this scene listen at IPv4, also where a name such as localhost means IPv6 first.
        let to = found.iter().find(|address| address.is_ipv4()).or(found.first());
        let to = *to.ok_or_else(|| Error::new(ErrorKind::Config, about()))?;
        let any: SocketAddr = if to.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).or_error(ErrorKind::Io, about)?;
        socket.connect(to).or_error(ErrorKind::Io, about)?;
        socket.set_nonblocking(true).or_error(ErrorKind::Io, about)?;
        Ok(Self { name: format!("{} to {to}", protocol.title()), protocol, socket, datagrams: Vec::new() })
    }
}

impl MotionSink for UdpMotionSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&mut self, frame: &MotionFrame) -> Result<()> {
        self.protocol.write(frame, &mut self.datagrams);
        for datagram in &self.datagrams {
            // Nobody listens yet, or a network is away for a while: the next frame is another try.
            let _ = self.socket.send(datagram);
        }
        Ok(())
    }
}
