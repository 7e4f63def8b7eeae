//! What a Rust file says of other modules: its submodules, its imports, the paths it names.
//!
//! A reader of text as rustfmt leaves it, not of Rust: words and signs, without comments and tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One file: one module.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Names of its submodules, with the files they stand in.
    pub(crate) children: Vec<(String, PathBuf)>,
    /// What each imported name stands for, as segments of a path.
    pub(crate) imports: BTreeMap<String, Vec<String>>,
    /// Every path that the file names, imports included.
    pub(crate) paths: Vec<Vec<String>>,
}

impl Source {
    /// Reads the module in `file`, whose submodules stand in `folder`.
    pub(crate) fn read(file: &Path, folder: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let tokens = tokens(&text);
        let mut source = Self::default();
        let mut at = 0;
        let mut file_of_next = None;
        while at < tokens.len() {
            match tokens[at].as_str() {
                "mod" if is_name(&tokens[at + 1]) && tokens[at + 2] == ";" => {
                    let name = tokens[at + 1].clone();
                    let found = file_of_next.take().unwrap_or_else(|| folder.join(format!("{name}.rs")));
                    if found.exists() && name != "tests" {
                        source.children.push((name, found));
                    }
                    at += 3;
                }
                // Elsewhere than in an import, `use` is followed by `<`.
                "use" if tokens[at + 1] != "<" => {
                    at += 1;
                    source.tree(&tokens, &mut at, &[]);
                }
                "path" if tokens[at + 1] == "=" => {
                    file_of_next = Some(file.parent().unwrap().join(tokens[at + 2].trim_matches('"')));
                    at += 3;
                }
                word if is_name(word) => {
                    let mut path = vec![word.to_owned()];
                    while tokens.get(at + 1).is_some_and(|t| t == "::")
                        && tokens.get(at + 2).is_some_and(|t| is_name(t))
                    {
                        path.push(tokens[at + 2].clone());
                        at += 2;
                    }
                    if path.len() > 1 {
                        source.paths.push(path);
                    }
                    at += 1;
                }
                _ => at += 1,
            }
        }
        source
    }

    /// A tree of imports: `a::{b, c as d, self}`; `at` stands at its first name.
    fn tree(&mut self, tokens: &[String], at: &mut usize, before: &[String]) {
        let mut path = before.to_vec();
        loop {
            match tokens[*at].as_str() {
                "::" => *at += 1,
                "{" => {
                    *at += 1;
                    while tokens[*at] != "}" {
                        self.tree(tokens, at, &path);
                        if tokens[*at] == "," {
                            *at += 1;
                        }
                    }
                    *at += 1;
                    return;
                }
                "*" => {
                    *at += 1;
                    self.paths.push(path);
                    return;
                }
                "as" => {
                    self.import(tokens[*at + 1].clone(), path);
                    *at += 2;
                    return;
                }
                name if is_name(name) => {
                    if name != "self" || path.is_empty() {
                        path.push(name.to_owned());
                    }
                    *at += 1;
                }
                _ => {
                    let name = path.last().cloned().unwrap_or_default();
                    self.import(name, path);
                    return;
                }
            }
        }
    }

    fn import(&mut self, name: String, path: Vec<String>) {
        self.paths.push(path.clone());
        if name != "_" {
            self.imports.insert(name, path);
        }
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::`, strings and single signs; without comments and without what is compiled for tests only.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, counts) = if first.is_alphanumeric() || first == '_' {
            (rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()), true)
        } else if rest.starts_with("::") {
            (2, true)
        } else if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if first == '"' {
            (string_length(rest), true)
        } else if rest.starts_with("'\\") {
            (rest[3..].find('\'').map_or(rest.len(), |end| end + 4), false)
        } else if first == '\'' && rest.chars().nth(2) == Some('\'') {
            (2 + rest.chars().nth(1).map_or(0, char::len_utf8), false)
        } else if rest.starts_with("#[cfg(test)]") {
            let indent = at - text[..at].rfind('\n').map_or(0, |line| line + 1);
            (item_length(rest, indent), false)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        if counts {
            tokens.push(rest[..length].to_owned());
        }
        at += length;
    }
    // What looks ahead finds an end.
    tokens.extend(["", "", ""].map(str::to_owned));
    tokens
}

/// Length of a string with its quotes; `text` begins with one.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, sign) in text.char_indices().skip(1) {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of the item that stands `indent` from the margin: to its semicolon, or to the brace that rustfmt puts under
/// its first letter.
fn item_length(text: &str, indent: usize) -> usize {
    let body = text.find('{').unwrap_or(text.len());
    match text.find(';') {
        Some(end) if end < body => end + 1,
        _ => {
            let closing = format!("\n{}}}", " ".repeat(indent));
            text.find(&closing).map_or(text.len(), |start| start + closing.len())
        }
    }
}
