//! A Matroska file of JPEG pictures, each with its own time, that is playable at every moment.
//!
//! Every picture is in the file before the next one comes, and the group it stands in has no size until it is
//! complete: what a kill leaves behind is a file as live streams make it. The end adds length and index.
//! Elements and their numbers: RFC 8794 and RFC 9559.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// A size that is known later: eight bytes, all bits set.
const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
/// Pictures of so many milliseconds stand in one group; a group is what players jump to.
const MAX_CLUSTER_MS: u64 = 2000;
/// Matroska's dates count from the beginning of 2001.
const EPOCH_2001_UNIX_SECS: u64 = 978_307_200;
/// Bytes of the list of places, reserved at the beginning and written at the end.
const N_SEEK_BYTES: usize = 48;

const SEEK_HEAD: u32 = 0x114d_9b74;
const CLUSTER: u32 = 0x1f43_b675;
const CUES: u32 = 0x1c53_bb6b;
const VOID: u32 = 0xec;

/// Writes the file.
pub(super) struct MatroskaWriter {
    file: File,
    /// Bytes written whole; what is behind is torn.
    n_bytes: u64,
    /// Where the segment's content begins; places count from there.
    segment_at: u64,
    duration_at: u64,
    cluster: Option<Cluster>,
    /// Time and place of each group.
    index: Vec<(u64, u64)>,
    end_ms: u64,
    block: Vec<u8>,
}

/// The group that pictures are added to.
struct Cluster {
    begin_ms: u64,
    at: u64,
}

impl MatroskaWriter {
    /// Begins the file, replacing what is there.
    pub(super) fn create(path: &Path, (width_px, height_px): (usize, usize)) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        let head = element(
            0x1a45_dfa3,
            &[
                unsigned(0x4286, 1),
                unsigned(0x42f7, 1),
                unsigned(0x42f2, 4),
                unsigned(0x42f3, 8),
                element(0x4282, b"matroska"),
                unsigned(0x4287, 4),
                unsigned(0x4285, 2),
            ]
            .concat(),
        );
        let mut segment = [id(0x1853_8067), UNKNOWN_SIZE.to_vec()].concat();
        let segment_at = (head.len() + segment.len()) as u64;
        segment.extend(element(VOID, &[0; N_SEEK_BYTES - 2]));
        let since_2001 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as i64
            - (EPOCH_2001_UNIX_SECS * 1_000_000_000) as i64;
        let before_duration = [
            unsigned(0x002a_d7b1, 1_000_000),
            element(0x4461, &since_2001.to_be_bytes()),
            element(0x4d80, b"effigy"),
            element(0x5741, concat!("effigy ", env!("CARGO_PKG_VERSION")).as_bytes()),
        ]
        .concat();
        let info = element(0x1549_a966, &[before_duration, element(0x4489, &0_f64.to_be_bytes())].concat());
        let duration_at = (head.len() + segment.len() + info.len()) as u64 - 8;
        let video = [unsigned(0xb0, width_px as u64), unsigned(0xba, height_px as u64)].concat();
        let track = [
            unsigned(0xd7, 1),
            unsigned(0x73c5, 1),
            unsigned(0x83, 1),
            unsigned(0x9c, 0),
            element(0x86, b"V_MJPEG"),
            element(0xe0, &video),
        ]
        .concat();
        let tracks = element(0x1654_ae6b, &element(0xae, &track));
        let mut writer = Self {
            file,
            n_bytes: 0,
            segment_at,
            duration_at,
            cluster: None,
            index: Vec::new(),
            end_ms: 0,
            block: Vec::new(),
        };
        writer.append(&[head, segment, info, tracks].concat())?;
        Ok(writer)
    }

    /// Adds a picture that is shown from `time_ms` on; times rise.
    pub(super) fn write(&mut self, jpeg: &[u8], time_ms: u64) -> io::Result<()> {
        let begin_ms = match &self.cluster {
            Some(cluster) if time_ms - cluster.begin_ms < MAX_CLUSTER_MS => cluster.begin_ms,
            _ => self.begin_cluster(time_ms)?,
        };
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        // Track 1, time within the group, complete by itself.
        let [high, low] = ((time_ms - begin_ms) as i16).to_be_bytes();
        block.extend(id(0xa3));
        block.extend(size(jpeg.len() + 4));
        block.extend([0x81, high, low, 0x80]);
        block.extend_from_slice(jpeg);
        let outcome = self.append(&block);
        self.block = block;
        self.end_ms = time_ms;
        outcome
    }

    /// Adds length and index. The file plays without them.
    pub(super) fn finish(&mut self, interval_ms: u64) -> io::Result<()> {
        self.end_cluster()?;
        let cues_at = self.n_bytes - self.segment_at;
        let mut cues = Vec::new();
        for (time_ms, at) in &self.index {
            let place = [unsigned(0xf7, 1), unsigned(0xf1, *at)].concat();
            cues.extend(element(0xbb, &[unsigned(0xb3, *time_ms), element(0xb7, &place)].concat()));
        }
        self.append(&element(CUES, &cues))?;
        let seek = [element(0x53ab, &id(CUES)), unsigned(0x53ac, cues_at)].concat();
        let mut seek_head = element(SEEK_HEAD, &element(0x4dbb, &seek));
        let n_left = N_SEEK_BYTES - seek_head.len();
        seek_head.extend(element(VOID, &vec![0; n_left - 2]));
        self.patch(self.segment_at, &seek_head)?;
        self.patch(self.duration_at, &((self.end_ms + interval_ms) as f64).to_be_bytes())?;
        self.patch(self.segment_at - 8, &sized(self.n_bytes - self.segment_at))
    }

    fn begin_cluster(&mut self, time_ms: u64) -> io::Result<u64> {
        self.end_cluster()?;
        let at = self.n_bytes;
        self.append(&[id(CLUSTER), UNKNOWN_SIZE.to_vec(), unsigned(0xe7, time_ms)].concat())?;
        self.index.push((time_ms, at - self.segment_at));
        self.cluster = Some(Cluster { begin_ms: time_ms, at });
        Ok(time_ms)
    }

    fn end_cluster(&mut self) -> io::Result<()> {
        match self.cluster.take() {
            // Behind the identifier stands the size.
            Some(cluster) => self.patch(cluster.at + 4, &sized(self.n_bytes - cluster.at - 12)),
            None => Ok(()),
        }
    }

    /// Writes at the end; on failure the file is as before.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let outcome = self.file.write_all(bytes);
        match outcome {
            Ok(()) => self.n_bytes += bytes.len() as u64,
            Err(_) => {
                // A torn picture would be shown as one; the first error is the one that counts.
                let _ = self.file.set_len(self.n_bytes);
                let _ = self.file.seek(SeekFrom::Start(self.n_bytes));
            }
        }
        outcome
    }

    fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)?;
        self.file.seek(SeekFrom::Start(self.n_bytes)).map(|_| ())
    }
}

/// An identifier, which carries its own length.
fn id(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    bytes[number.leading_zeros() as usize / 8..].to_vec()
}

/// A length in as many bytes as it needs.
fn size(length: usize) -> Vec<u8> {
    // The first bit set says how many bytes there are; all bits set would mean that the size is unknown.
    let n_bytes = (1..8).find(|n| (length as u64) < (1 << (7 * n)) - 1).unwrap_or(8);
    ((length as u64) | 1 << (7 * n_bytes)).to_be_bytes()[8 - n_bytes..].to_vec()
}

/// A length in eight bytes.
fn sized(length: u64) -> [u8; 8] {
    (length | 1 << 56).to_be_bytes()
}

fn element(number: u32, content: &[u8]) -> Vec<u8> {
    [&id(number)[..], &size(content.len()), content].concat()
}

fn unsigned(number: u32, value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    element(number, &bytes[(value.leading_zeros() as usize / 8).min(7)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_bytes_that_they_need() {
        assert_eq!(id(0xa3), [0xa3]);
        assert_eq!(id(0x1549_a966), [0x15, 0x49, 0xa9, 0x66]);
        assert_eq!(size(1), [0x81]);
        assert_eq!(size(126), [0xfe]);
        assert_eq!(size(127), [0x40, 127], "127 in one byte would mean that the size is unknown");
        assert_eq!(size(500), [0x41, 0xf4]);
        assert_eq!(sized(5), [1, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(unsigned(0xd7, 0), [0xd7, 0x81, 0]);
        assert_eq!(unsigned(0xd7, 256), [0xd7, 0x82, 1, 0]);
    }
}
