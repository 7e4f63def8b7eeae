//! A Reed-Solomon code of 24 bytes with 16 of data, over GF(256) with the polynomial 0x11d.
//!
//! Source: Blahut, "Theory and Practice of Error Control Codes", chapter 7 (Berlekamp-Massey, Forney).

/// Bytes of a code word.
pub(super) const N_WORD: usize = super::N_BYTES;
/// Bytes that check the others.
pub(super) const N_PARITY: usize = 8;
/// Bytes of data.
pub(super) const N_DATA: usize = N_WORD - N_PARITY;
/// Bytes that are mended. Four could be; what is left over makes a false mend rarer.
const MAX_MENDED: usize = 3;

const TABLES: ([u8; 512], [u8; 256]) = tables();
const EXP: [u8; 512] = TABLES.0;
const LOG: [u8; 256] = TABLES.1;
const GENERATOR: [u8; N_PARITY + 1] = generator();

const fn tables() -> ([u8; 512], [u8; 256]) {
    let (mut exp, mut log) = ([0; 512], [0; 256]);
    let (mut x, mut i) = (1_usize, 0);
    while i < 255 {
        exp[i] = x as u8;
        exp[i + 255] = x as u8;
        log[x] = i as u8;
        x <<= 1;
        if x > 255 {
            x ^= 0x11d;
        }
        i += 1;
    }
    (exp, log)
}

const fn times(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 { 0 } else { EXP[LOG[a as usize] as usize + LOG[b as usize] as usize] }
}

/// `a` / `b`; `b` is not 0.
const fn over(a: u8, b: u8) -> u8 {
    if a == 0 { 0 } else { EXP[LOG[a as usize] as usize + 255 - LOG[b as usize] as usize] }
}

/// The product of (x - 2^i), highest power first.
const fn generator() -> [u8; N_PARITY + 1] {
    let mut polynomial = [0; N_PARITY + 1];
    polynomial[0] = 1;
    let mut i = 0;
    while i < N_PARITY {
        let mut j = i + 1;
        while j > 0 {
            polynomial[j] ^= times(polynomial[j - 1], EXP[i]);
            j -= 1;
        }
        i += 1;
    }
    polynomial
}

/// Puts the bytes that check the data behind them.
pub(super) fn encode(data: &[u8; N_DATA]) -> [u8; N_WORD] {
    let mut word = [0; N_WORD];
    word[..N_DATA].copy_from_slice(data);
    for i in 0..N_DATA {
        let lead = word[i];
        for (j, &factor) in GENERATOR.iter().enumerate().skip(1) {
            word[i + j] ^= times(factor, lead);
        }
    }
    word[..N_DATA].copy_from_slice(data);
    word
}

/// The values of the received polynomial at the code's roots: all zero for a word of the code.
fn syndromes(word: &[u8; N_WORD]) -> [u8; N_PARITY] {
    std::array::from_fn(|i| word.iter().fold(0, |sum, &byte| times(sum, EXP[i]) ^ byte))
}

/// Mends up to three bytes in place; the number of them, `None` when there is no such word of the code.
pub(super) fn mend(word: &mut [u8; N_WORD]) -> Option<usize> {
    let syndromes = syndromes(word);
    if syndromes == [0; N_PARITY] {
        return Some(0);
    }
    // Berlekamp-Massey: the shortest recurrence, lowest power first.
    let (mut locator, mut last) = ([0_u8; N_PARITY + 1], [0_u8; N_PARITY + 1]);
    (locator[0], last[0]) = (1, 1);
    let (mut n_errors, mut shift, mut last_discrepancy) = (0, 1, 1);
    for n in 0..N_PARITY {
        let discrepancy = (1..=n_errors).fold(syndromes[n], |sum, i| sum ^ times(locator[i], syndromes[n - i]));
        if discrepancy == 0 {
            shift += 1;
            continue;
        }
        let before = locator;
        let factor = over(discrepancy, last_discrepancy);
        for i in shift..=N_PARITY {
            locator[i] ^= times(factor, last[i - shift]);
        }
        if 2 * n_errors <= n {
            n_errors = n + 1 - n_errors;
            (last, last_discrepancy, shift) = (before, discrepancy, 1);
        } else {
            shift += 1;
        }
    }
    if n_errors > MAX_MENDED {
        return None;
    }
    // Forney: what the errors are, for every place that is a root.
    let evaluator: [u8; N_PARITY] =
        std::array::from_fn(|n| (0..=n).fold(0, |sum, i| sum ^ times(locator[i], syndromes[n - i])));
    let value_at = |polynomial: &[u8], x: u8| polynomial.iter().rev().fold(0, |sum, &c| times(sum, x) ^ c);
    let mut n_found = 0;
    for power in 0..N_WORD {
        let inverse = EXP[(255 - power) % 255];
        if value_at(&locator, inverse) != 0 {
            continue;
        }
        n_found += 1;
        // The derivative keeps the odd powers.
        let slope = (1..=N_PARITY)
            .step_by(2)
            .fold(0, |sum, i| sum ^ times(locator[i], (1..i).fold(1, |product, _| times(product, inverse))));
        if slope == 0 {
            return None;
        }
        word[N_WORD - 1 - power] ^= times(EXP[power], over(value_at(&evaluator, inverse), slope));
    }
    (n_found == n_errors && self::syndromes(word) == [0; N_PARITY]).then_some(n_errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_damaged_bytes_are_mended_wherever_they_are() {
        let data: [u8; N_DATA] = std::array::from_fn(|i| (i * 37 + 11) as u8);
        let word = encode(&data);
        assert_eq!(syndromes(&word), [0; N_PARITY]);
        for a in 0..N_WORD {
            for b in 0..a {
                for c in 0..b {
                    let mut damaged = word;
                    damaged[a] ^= 0x5a;
                    damaged[b] ^= 1 + c as u8;
                    damaged[c] ^= 0xff;
                    assert_eq!(mend(&mut damaged), Some(3), "{a} {b} {c}");
                    assert_eq!(damaged, word);
                }
            }
        }
    }

    #[test]
    fn more_damage_is_seen() {
        let word = encode(&[7; N_DATA]);
        for n_damaged in 4..=5 {
            for at in 0..=N_WORD - n_damaged {
                let mut damaged = word;
                damaged[at..at + n_damaged].iter_mut().for_each(|byte| *byte ^= 0x33);
                assert_eq!(mend(&mut damaged), None, "{n_damaged} from {at}");
            }
        }
    }
}
