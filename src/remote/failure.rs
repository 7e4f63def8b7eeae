//! Why there is no picture from the server.

/// What went wrong, by what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server cannot be reached, or is silent: it may be back soon.
    Silent(String),
    /// It usually takes longer for a picture than a live run waits.
    Slow,
    /// It answered, and what it says or makes cannot be used.
    Refused(String),
    /// It does not know the identity any more: tell it again.
    Forgotten,
}

/// What the server's runtime says of an identity that it was not told of, or has forgotten.
const FORGOTTEN: &str = "unknown identity";

impl Failure {
    /// From what a server says in words.
    pub(super) fn said(text: &str) -> Self {
        if text.contains(FORGOTTEN) { Self::Forgotten } else { Self::Refused(first_line(text)) }
    }

    /// For the user: without what would steer a terminal, and cut, since a server's names and words of up to 16 MB are in it.
    pub(super) fn text(&self) -> String {
        const LONGEST: usize = 400;
        match self {
            Self::Silent(text) | Self::Refused(text) => cut(text, LONGEST),
            Self::Slow => "it takes longer for a picture than a live run waits".to_owned(),
            Self::Forgotten => "it has forgotten the identity".to_owned(),
        }
    }
}

/// A server's words without the trace of its inner workings, and without what would steer a terminal.
pub(super) fn first_line(text: &str) -> String {
    const LONGEST: usize = 200;
    cut(text.lines().next().unwrap_or_default(), LONGEST)
}

fn cut(text: &str, longest: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(longest).collect()
}

/// That something took too long.
pub(super) fn late(what: &str, bound: std::time::Duration) -> Failure {
    Failure::Silent(format!("{what} took longer than {:.0} ms", bound.as_secs_f64() * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_are_cut_and_understood() {
        assert_eq!(Failure::said("ValueError: unknown identity 12ab"), Failure::Forgotten);
        let Failure::Refused(text) = Failure::said(&format!("bad\u{1b}[2J {}\nTraceback", "x".repeat(999))) else {
            panic!("refused")
        };
        assert!(text.starts_with("bad[2J x") && text.len() == 200, "{text}");
        let named = Failure::Refused(format!("its model takes \u{1b}[2J{}", "x".repeat(9999))).text();
        assert!(named.starts_with("its model takes [2Jx") && named.len() == 400, "{named}");
    }
}
