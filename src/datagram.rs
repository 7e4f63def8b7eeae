//! OSC packets of datagrams, read with a bound on how deep bundles lie in each other.
//!
//! The decoder calls itself for a bundle in a bundle, which takes 20 bytes of a datagram and a few kilobytes of the stack: one
//! datagram of such bundles would end the program.

use rosc::OscPacket;

/// So many bundles are in a datagram at most. Senders use one, or one for each message.
const MAX_BUNDLES: usize = 64;
const BUNDLE: &[u8; 8] = b"#bundle\0";

/// The packet of a datagram; else why it is none, as a lower-case clause without a full stop.
pub(crate) fn osc_packet(datagram: &[u8]) -> Result<OscPacket, String> {
    // What OSC writes begins at a multiple of four bytes.
    let n_bundles = datagram.chunks(4).zip(datagram.chunks(4).skip(1)).filter(|(a, b)| is_bundle(a, b)).count();
    if n_bundles > MAX_BUNDLES {
        return Err(format!("a datagram has at most {MAX_BUNDLES} bundles, here are {n_bundles}"));
    }
    let (_, packet) = rosc::decoder::decode_udp(datagram).map_err(|error| format!("no OSC message: {error}"))?;
    Ok(packet)
}

fn is_bundle(first: &[u8], second: &[u8]) -> bool {
    first == &BUNDLE[..4] && second == &BUNDLE[4..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bundles in each other, in the largest datagram there is.
    fn nested(n_bundles: usize) -> Vec<u8> {
        let mut datagram = Vec::new();
        for at in (1..=n_bundles).rev() {
            datagram.extend_from_slice(BUNDLE);
            datagram.extend_from_slice(&[0; 8]);
            if at > 1 {
                let size = u32::try_from(20 * (at - 1) - 4).unwrap();
                datagram.extend_from_slice(&size.to_be_bytes());
            }
        }
        datagram
    }

    #[test]
    fn bundles_in_bundles_are_read_so_far_and_no_further() {
        // The smallest stack that a thread of the program has is 2 MiB.
        let mut depth = 0;
        let mut packet = &osc_packet(&nested(MAX_BUNDLES)).unwrap();
        while let OscPacket::Bundle(bundle) = packet {
            depth += 1;
            let Some(inner) = bundle.content.first() else { break };
            packet = inner;
        }
        assert_eq!(depth, MAX_BUNDLES);
        for n_bundles in [MAX_BUNDLES + 1, 800, 3000] {
            assert!(osc_packet(&nested(n_bundles)).unwrap_err().contains("at most 64 bundles"));
        }
    }
}
