//! Files damaged by chance, the same in every run.

/// Random numbers: xorshift64*, Vigna 2016.
pub(crate) struct Random(u64);

impl Random {
    /// The usual series, or that of `EFFIGY_FUZZ_SEED`, so that many files can be tried in pieces.
    pub(crate) fn new() -> Self {
        let seed = n_runs("EFFIGY_FUZZ_SEED", 0) as u64;
        Self(0x9e37_79b9_7f4a_7c15_u64.wrapping_add(seed << 1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// How many damaged files a test tries: what `variable` says, or `usual`.
pub(crate) fn n_runs(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |n| n.parse().expect("a number"))
}

/// Damages a copy of `file` in one to four places: bits, bytes, numbers, cuts, repetitions.
pub(crate) fn damaged(file: &[u8], random: &mut Random) -> Vec<u8> {
    let mut file = file.to_vec();
    for _ in 0..=random.below(4) {
        if file.is_empty() {
            break;
        }
        let at = random.below(file.len());
        match random.below(6) {
            0 => file[at] ^= 1 << random.below(8),
            1 => file[at] = random.next() as u8,
            2 => file.truncate(at),
            3 => file[at] = b"{}[]\",:0123456789-e"[random.below(19)],
            4 => {
                let end = (at + random.below(64)).min(file.len());
                let part = file[at..end].to_vec();
                file.splice(at..at, part);
            }
            _ => {
                let end = (at + random.below(64)).min(file.len());
                file.drain(at..end);
            }
        }
    }
    file
}
