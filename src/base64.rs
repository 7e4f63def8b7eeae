//! Bytes in a text.

/// RFC 4648, section 4, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let letter = char::from(LETTERS[(word >> (18 - 6 * i)) as usize & 63]);
            text.push(if i <= three.len() { letter } else { '=' });
        }
    }
    text
}

/// The bytes of a text with padding and without line breaks; `None` when it is no such text.
#[cfg(feature = "remote")]
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let letters = text.as_bytes();
    if !letters.len().is_multiple_of(4) {
        return None;
    }
    let n_padding = letters.iter().rev().take_while(|&&letter| letter == b'=').count();
    let mut bytes = Vec::with_capacity(letters.len() / 4 * 3);
    for (i, four) in letters.chunks_exact(4).enumerate() {
        let is_last = 4 * (i + 1) == letters.len();
        let mut word = 0;
        for (k, &letter) in four.iter().enumerate() {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' if is_last && k >= 4 - n_padding.min(2) => 0,
                _ => return None,
            };
            word = word << 6 | u32::from(value);
        }
        bytes.extend_from_slice(&word.to_be_bytes()[1..]);
    }
    bytes.truncate(bytes.len() - n_padding);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
    #[cfg(feature = "remote")]
    #[test]
    fn base64_is_read_back_and_what_is_none_is_refused() {
        for length in 0..40_usize {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 37 + length) as u8).collect();
            assert_eq!(from_base64(&base64(&bytes)).unwrap(), bytes);
        }
        for wrong in ["Zg=", "Z===", "====", "Zg==Zg==", "Zm9-", "Zm 9", "Zm9\u{e9}", "=Zg="] {
            assert_eq!(from_base64(wrong), None, "{wrong}");
        }
    }
}
