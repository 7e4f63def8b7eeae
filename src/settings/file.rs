//! A settings file: keys are called as the options of `effigy run`, tables `[profiles.NAME]` hold other sets of them.

use std::path::{Path, PathBuf};

use toml_edit::{Array, Document, DocumentMut, Item, Table, TableLike, Value};

use super::write_atomically;
use crate::error::{Error, ErrorKind, Result};

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The table that holds profiles.
const PROFILES: &str = "profiles";

/// One line of a settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The option's name without its dashes.
    pub key: String,
    /// Its values as they would be typed; several where the option may be repeated.
    pub values: Vec<String>,
    /// The line in the file, from 1.
    pub line: usize,
}

/// A settings file that was read and is whole.
#[derive(Debug)]
pub struct SettingsFile {
    path: PathBuf,
    document: Document<String>,
}

impl SettingsFile {
    /// Reads the file; `None` when there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it is torn: the message names the line and says what to type.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let text = match crate::files::read_text(path, MAX_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let message = format!("cannot read the settings {}; {ADVICE}", path.display());
                return Err(Error::new(ErrorKind::Config, message).because(error));
            }
        };
        let document = Document::parse(text.clone())
            .map_err(|error| refused(path, line_of(&text, error.span()), error.message()))?;
        Ok(Some(Self { path: path.to_owned(), document }))
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says outside profiles, in its order.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when a value is a table or date.
    pub fn settings(&self) -> Result<Vec<Setting>> {
        self.of_table(self.document.as_table(), true)
    }

    /// What it says in a profile.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is no such profile, or a value is a table or date.
    pub fn profile(&self, name: &str) -> Result<Vec<Setting>> {
        let profiles = self.document.get(PROFILES).and_then(Item::as_table_like);
        let Some(table) = profiles.and_then(|profiles| profiles.get(name)).and_then(Item::as_table_like) else {
            let names: Vec<_> = profiles.into_iter().flat_map(|table| table.iter()).map(|(name, _)| name).collect();
            let has = if names.is_empty() { "has none".to_owned() } else { format!("has {}", names.join(", ")) };
            let message = format!(
                "no profile {name:?}: {} {has}; add `[profiles.{name}]` with `effigy config edit`",
                self.path.display()
            );
            return Err(Error::new(ErrorKind::Config, message));
        };
        self.of_table(table, false)
    }

    /// An error about one of its lines, with what to type.
    pub fn refuse(&self, line: usize, what: &str) -> Error {
        refused(&self.path, Some(line), what)
    }

    fn of_table(&self, table: &dyn TableLike, is_top: bool) -> Result<Vec<Setting>> {
        let mut settings = Vec::new();
        for (key, item) in table.iter().filter(|(key, _)| !(is_top && *key == PROFILES)) {
            let span = table.key(key).and_then(toml_edit::Key::span).or_else(|| item.span());
            let line = line_of(self.document.raw(), span).unwrap_or(1);
            let values = match item.as_value() {
                Some(Value::Array(values)) => values.iter().map(typed).collect::<Option<Vec<_>>>(),
                Some(value) => typed(value).map(|value| vec![value]),
                None => None,
            };
            let what = || format!("`{key}` must be a text, a number, true, false, or a list of these");
            let values = values.ok_or_else(|| self.refuse(line, &what()))?;
            settings.push(Setting { key: key.to_owned(), values, line });
        }
        Ok(settings)
    }
}

/// What to do about a file that cannot be used.
const ADVICE: &str = "correct it with `effigy config edit`, or go without it once with --no-settings";

/// What is said of a profile that lines can neither be added to nor taken from.
const MISPLACED: &str = "`profiles` must hold tables such as [profiles.stream]";

fn refused(path: &Path, line: Option<usize>, what: &str) -> Error {
    let line = line.map_or(String::new(), |line| format!(", line {line}"));
    let what = what.trim().replace('\n', ", ");
    Error::new(ErrorKind::Config, format!("cannot use the settings {}{line}: {what}; {ADVICE}", path.display()))
}

fn line_of(text: &str, span: Option<std::ops::Range<usize>>) -> Option<usize> {
    let before = text.as_bytes().get(..span?.start.min(text.len()))?;
    Some(1 + before.iter().filter(|byte| **byte == b'\n').count())
}

/// A value as it would be typed; `~/` is the user's home.
fn typed(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(text) => match (text.value().strip_prefix("~/"), std::env::var("HOME")) {
            (Some(rest), Ok(home)) => format!("{}/{rest}", home.trim_end_matches('/')),
            _ => text.value().clone(),
        },
        Value::Integer(number) => number.value().to_string(),
        Value::Float(number) => number.value().to_string(),
        Value::Boolean(is) => is.value().to_string(),
        Value::Datetime(_) | Value::Array(_) | Value::InlineTable(_) => return None,
    })
}

/// Sets a key of a file, or of one of its profiles, and keeps all else in it: comments, order, blanks.
///
/// # Errors
/// [`ErrorKind::Config`] when the file is torn, [`ErrorKind::Io`] when it cannot be written; it is then as it was.
pub fn set(path: &Path, profile: Option<&str>, key: &str, values: &[String]) -> Result<()> {
    change(path, profile, |table| {
        let value = match values {
            [value] => guess(value),
            _ => Value::Array(values.iter().map(|value| guess(value)).collect::<Array>()),
        };
        match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(held) => {
                // The comment behind the old value stays.
                let decor = held.decor().clone();
                *held = value;
                *held.decor_mut() = decor;
            }
            None => {
                table.insert(key, Item::Value(value));
            }
        }
    })
}

/// Removes a key of a file, or of one of its profiles, with its line; the lines around it stay as they are.
///
/// # Errors
/// As [`set`].
pub fn unset(path: &Path, profile: Option<&str>, key: &str) -> Result<()> {
    let Some(file) = SettingsFile::read(path)? else { return Ok(()) };
    let root = file.document.as_table();
    let in_profiles = |name| root.get(PROFILES)?.as_table_like()?.get(name);
    let table = match profile {
        None => root,
        Some(name) => match in_profiles(name).map(Item::as_table) {
            None => return Ok(()),
            Some(table) => table.ok_or_else(|| refused(path, None, MISPLACED))?,
        },
    };
    let begin = table.key(key).and_then(toml_edit::Key::span);
    let end = table.get(key).and_then(Item::span);
    let (Some(begin), Some(end)) = (begin, end) else { return Ok(()) };
    let text = file.document.raw();
    let begin = text[..begin.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[end.end..].find('\n').map_or(text.len(), |at| end.end + at + 1);
    let rest = format!("{}{}", &text[..begin], &text[end..]);
    // One line that holds more than the key, as an inline table does, is not cut.
    rest.parse::<DocumentMut>().map_err(|error| refused(path, None, error.message()))?;
    write_atomically(path, rest.as_bytes())
}

fn change(path: &Path, profile: Option<&str>, work: impl FnOnce(&mut Table)) -> Result<()> {
    let text = SettingsFile::read(path)?.map_or(String::new(), |file| file.document.raw().to_owned());
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| refused(path, line_of(&text, error.span()), error.message()))?;
    let misplaced = || refused(path, None, MISPLACED);
    let table = match profile {
        None => document.as_table_mut(),
        Some(name) => {
            let profiles = document.entry(PROFILES).or_insert_with(|| {
                let mut table = Table::new();
                table.set_implicit(true);
                Item::Table(table)
            });
            let profiles = profiles.as_table_mut().ok_or_else(misplaced)?;
            let table = profiles.entry(name).or_insert_with(|| Item::Table(Table::new()));
            table.as_table_mut().ok_or_else(misplaced)?
        }
    };
    work(table);
    write_atomically(path, document.to_string().as_bytes())
}

/// A number or truth where it is one and would be typed so, else a text: a folder called 2024.10 is none.
fn guess(text: &str) -> Value {
    match (text.parse::<bool>(), text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(is), ..) => is.into(),
        (_, Ok(number), _) if number.to_string() == text => number.into(),
        (_, Err(_), Ok(number)) if number.is_finite() && number.to_string() == text => number.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> PathBuf {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("effigy-settings-{}-{number}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn keys_profiles_and_their_lines_are_read() {
        let path = file(
            "# mine\nhead = 1.5\nmirror = true\n\nsink = [\"http\", \"window\"]\n[profiles.stream]\nsize = 1024\n",
        );
        let settings = SettingsFile::read(&path).unwrap().unwrap();
        let row = |key: &str, values: &[&str], line| Setting {
            key: key.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            line,
        };
        let top = [row("head", &["1.5"], 2), row("mirror", &["true"], 3), row("sink", &["http", "window"], 5)];
        assert_eq!(settings.settings().unwrap(), top);
        assert_eq!(settings.profile("stream").unwrap(), [row("size", &["1024"], 7)]);
        let error = settings.profile("call").unwrap_err().to_string();
        assert!(error.contains("has stream; add `[profiles.call]`"), "{error}");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_torn_file_names_its_line_and_is_left_alone() {
        for (text, line) in [("head = 1\ngaze = [1,\n", 2), ("head = 1\n\nhead = 2\n", 3), ("a = 1\nb = {c = 1}\n", 2)]
        {
            let path = file(text);
            let error = SettingsFile::read(&path).and_then(|file| file.unwrap().settings()).unwrap_err();
            assert!(error.to_string().contains(&format!("line {line}: ")), "{text:?}: {error}");
            assert!(error.to_string().contains("`effigy config edit`"), "{error}");
            if SettingsFile::read(&path).is_err() {
                assert!(set(&path, None, "head", &["2".to_owned()]).is_err());
                assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            }
            std::fs::remove_file(path).unwrap();
        }
        assert!(SettingsFile::read(Path::new("/nonexistent/effigy.toml")).unwrap().is_none());
    }

    #[test]
    fn setting_a_key_keeps_comments_and_order() {
        let path = file("# how I like it\nhead = 1.5 # strong\n\n# the rest\nmirror = false\n");
        set(&path, None, "head", &["1.2".to_owned()]).unwrap();
        set(&path, None, "sink", &["http".to_owned(), "null".to_owned()]).unwrap();
        set(&path, Some("stream"), "size", &["1024".to_owned()]).unwrap();
        unset(&path, None, "mirror").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let kept = "# how I like it\nhead = 1.2 # strong\n";
        assert!(text.starts_with(kept), "{text}");
        assert!(
            text.contains("sink = [\"http\", \"null\"]") && text.contains("[profiles.stream]\nsize = 1024"),
            "{text}"
        );
        assert!(!text.contains("mirror"), "{text}");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_only_looks_like_a_number_stays_as_it_was_typed() {
        let path = file("");
        let typed = ["007", "2024.10", "1e3", "+5", "1.5", "-3", "true", "inf", "0.30"];
        for value in typed {
            set(&path, None, "identity", &[value.to_owned()]).unwrap();
            let settings = SettingsFile::read(&path).unwrap().unwrap().settings().unwrap();
            assert_eq!(settings[0].values, [value]);
        }
        set(&path, None, "identity", &["1.5".to_owned()]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "identity = 1.5\n");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn an_inline_profile_is_read_and_its_lines_are_not_guessed() {
        let text = "profiles = { stream = { size = 1024 } }\n";
        let path = file(text);
        let read = SettingsFile::read(&path).unwrap().unwrap().profile("stream").unwrap();
        assert_eq!((&*read[0].key, &*read[0].values[0]), ("size", "1024"));
        for outcome in [unset(&path, Some("stream"), "size"), set(&path, Some("stream"), "size", &["512".to_owned()])] {
            assert!(outcome.unwrap_err().to_string().contains("[profiles.stream]"));
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        unset(&path, Some("call"), "size").unwrap();
        std::fs::remove_file(path).unwrap();
    }
}
