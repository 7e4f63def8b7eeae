//! What the mark says: 32 bits, spread over 128 by a code that mends errors.

use super::carriers::N_DATA;

/// Bits of the message: 4 of version, 16 of the run's number, 12 of check.
const N_BITS: usize = 32;
/// Bits sent for each of them.
const RATE: usize = 4;
/// A convolutional code of constraint length 7, free distance 20, in octal as textbooks write it.
const GENERATORS: [u8; RATE] = [0o135, 0o135, 0o147, 0o163];
const N_STATES: usize = 64;
/// Rounds of the decoder: the code bites its own tail, so that the first state is known only after going round.
const ROUNDS: usize = 3;
/// The generator of the check, x^12 + x^11 + x^3 + x^2 + x + 1.
const CHECK: u32 = 0x80f;

const _: () = assert!(N_BITS * RATE == 2 * N_DATA, "each wave carries two bits");

/// What the mark says. It names a run, no person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Version of the mark, 0..16.
    pub version: u8,
    /// The run's number: drawn at random, or 0 where it is not told.
    pub id: u16,
}

impl Message {
    /// The version that this program writes.
    pub const VERSION: u8 = 1;

    /// The message of the run `id`.
    pub fn of_run(id: u16) -> Self {
        Self { version: Self::VERSION, id }
    }

    fn to_bits(self) -> u32 {
        let body = u32::from(self.version & 15) << 16 | u32::from(self.id);
        body << 12 | check(body)
    }

    fn from_bits(bits: u32) -> Option<Self> {
        let body = bits >> 12;
        (check(body) == bits & 0xfff).then_some(Self { version: (body >> 16) as u8, id: body as u16 })
    }

    /// The bits as they are sent, as signs.
    pub(super) fn encode(self) -> [f32; 2 * N_DATA] {
        let bits = self.to_bits();
        let bit = |i: usize| (bits >> (N_BITS - 1 - i) & 1) as usize;
        // The register holds the last six bits before the first, too.
        let mut state = (N_BITS - 6..N_BITS).fold(0, |state, i| state >> 1 | bit(i) << 5);
        let mut signs = [0.0; 2 * N_DATA];
        for (i, sent) in signs.chunks_exact_mut(RATE).enumerate() {
            let register = bit(i) << 6 | state;
            for (sign, parity) in sent.iter_mut().zip(outputs(register)) {
                *sign = parity;
            }
            state = register >> 1;
        }
        signs
    }

    /// The message nearest to what was received, if its check holds.
    pub(super) fn decode(received: &[f32; 2 * N_DATA]) -> Option<Self> {
        let mut metrics = [0.0_f32; N_STATES];
        // For each step and state, the bit that fell out of the register on the way there.
        let mut fallen = [[0_u8; N_STATES]; N_BITS * ROUNDS];
        for (step, fallen) in fallen.iter_mut().enumerate() {
            let at = step % N_BITS * RATE;
            let soft = &received[at..at + RATE];
            let mut next = [f32::MIN; N_STATES];
            for (state, &metric) in metrics.iter().enumerate() {
                for bit in 0..2 {
                    let register = bit << 6 | state;
                    let gain: f32 = outputs(register).iter().zip(soft).map(|(sign, soft)| sign * soft).sum();
                    let to = register >> 1;
                    if metric + gain > next[to] {
                        next[to] = metric + gain;
                        fallen[to] = (state & 1) as u8;
                    }
                }
            }
            metrics = next;
        }
        let mut state = (0..N_STATES).max_by(|&a, &b| metrics[a].total_cmp(&metrics[b])).unwrap_or(0);
        let mut bits = 0;
        // The middle round: both its ends are certain.
        for step in (N_BITS..N_BITS * ROUNDS).rev() {
            if step < 2 * N_BITS {
                bits |= ((state >> 5) as u32) << (N_BITS - 1 - step % N_BITS);
            }
            state = state << 1 & (N_STATES - 1) | usize::from(fallen[step][state]);
        }
        Self::from_bits(bits)
    }
}

/// What is sent for a register of seven bits, the newest highest.
fn outputs(register: usize) -> [f32; RATE] {
    GENERATORS.map(|taps| if (register & usize::from(taps)).count_ones() % 2 == 1 { 1.0 } else { -1.0 })
}

/// The check over 20 bits.
fn check(body: u32) -> u32 {
    let mut rest = body << 12;
    for i in (12..32).rev() {
        if rest >> i & 1 == 1 {
            rest ^= (1 << 12 | CHECK) << (i - 12);
        }
    }
    rest & 0xfff
}
