//! One of several equal parts of a long work, for several processes or machines.

use std::str::FromStr;

/// Which part: every `count`th item, from item `index` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl Shard {
    /// All of the work.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Whether item `i`, counted from 0, belongs to this part.
    pub fn has(self, i: usize) -> bool {
        i % self.count == self.index
    }

    /// Which part, from 0 on.
    pub fn index(self) -> usize {
        self.index
    }

    /// Of how many.
    pub fn count(self) -> usize {
        self.count
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            _ => Err("expected I/N with I from 0 to N - 1, such as 0/4 for the first of four parts".to_owned()),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        let parts: Vec<Shard> = (0..4).map(|i| format!("{i}/4").parse().unwrap()).collect();
        for item in 0..23 {
            assert_eq!(parts.iter().filter(|part| part.has(item)).count(), 1, "{item}");
        }
        assert!((0..9).all(|item| Shard::WHOLE.has(item)));
        for wrong in ["", "1", "4/4", "-1/2", "0/0", "a/b", "1/2/3"] {
            assert!(wrong.parse::<Shard>().unwrap_err().contains("expected I/N"), "{wrong}");
        }
    }
}
