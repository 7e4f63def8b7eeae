//! What holds for a run, and where each value comes from: the command line over a profile over the settings file over how
//! the last run was left over what the program comes with.
//!
//! Settings are called as the options of `effigy run`, and are read by the same parsers: each is checked as if it had been
//! typed, and then added to what was.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use effigy::settings::{self, Setting, SettingsFile};
use effigy::{Error, ErrorKind, Result};

/// Options that are about settings themselves.
const ABOUT_SETTINGS: [&str; 5] = ["profile", "dry-run", "no-settings", "help", "version"];
/// Options that are said for one run: what lets others in, and what takes a clip as it is.
const FOR_ONE_RUN: [&str; 2] = ["allow-remote", "every-frame"];

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    CommandLine,
    /// A profile of the settings file, and the line there.
    Profile(String, usize),
    /// The settings file's line.
    File(usize),
    LastRun,
    #[default]
    Default,
}

/// One option of a run.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
    pub(crate) origin: Origin,
}

/// What holds for a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) rows: Vec<Row>,
    pub(crate) file: Option<PathBuf>,
    /// Whether this run is remembered.
    pub(crate) is_remembered: bool,
    /// Whether the test pattern stands in for a camera that is not there: it is not remembered until a camera drives.
    pub(crate) is_stand_in: bool,
}

impl Held {
    /// Whether anything comes from how the last run was left.
    pub(crate) fn uses_last_run(&self) -> bool {
        self.rows.iter().any(|row| row.origin == Origin::LastRun)
    }

    /// The rows as a table for the terminal.
    pub(crate) fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.key.len()).max().unwrap_or(0);
        let mut text = String::new();
        for row in &self.rows {
            let value = match &*row.key {
                _ if !row.values.is_empty() => row.values.join(", "),
                "identity" => "all of the library".to_owned(),
                "sink" => "window".to_owned(),
                "background" => "own".to_owned(),
                _ => "-".to_owned(),
            };
            let from = match &row.origin {
                Origin::CommandLine => "command line".to_owned(),
                Origin::Profile(name, line) => format!("profile {name}, line {line}"),
                Origin::File(line) => format!("settings, line {line}"),
                Origin::LastRun => "last run".to_owned(),
                Origin::Default => "default".to_owned(),
            };
            text += &format!("{:width$}  {value:<32} {from}\n", row.key);
        }
        let file = self.file.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
        text + &format!("{:width$}  {file}\n", "settings")
    }
}

/// The settings file of this user.
pub(crate) fn settings_path() -> Result<PathBuf> {
    Ok(settings::config_dir()?.join("settings.toml"))
}

/// The file of how the last run was left.
pub(crate) fn last_path() -> Result<PathBuf> {
    Ok(settings::state_dir()?.join("last.toml"))
}

/// Whether an option of `run` can be set in a file.
fn is_setting(key: &str) -> bool {
    !ABOUT_SETTINGS.contains(&key) && !FOR_ONE_RUN.contains(&key)
}

/// Checks a setting as if it had been typed.
fn check(command: &Command, setting: &Setting) -> std::result::Result<(), String> {
    let run = command.find_subcommand("run").ok_or("there is no run")?;
    let known: Vec<_> = run.get_arguments().filter_map(Arg::get_long).filter(|key| is_setting(key)).collect();
    if !known.contains(&&*setting.key) {
        return Err(format!("there is no setting `{}`; there are {}", setting.key, known.join(", ")));
    }
    let line = ["effigy".into(), "run".into()].into_iter().chain(typed(setting));
    match command.clone().try_get_matches_from(line) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Err(first.strip_prefix("error: ").unwrap_or(first).to_owned())
        }
    }
}

/// A setting as arguments.
fn typed(setting: &Setting) -> impl Iterator<Item = OsString> + '_ {
    setting.values.iter().map(|value| format!("--{}={value}", setting.key).into())
}

/// Reads a key that is known and has a value of its kind.
pub(crate) fn check_setting(command: &Command, key: &str, values: &[String]) -> Result<()> {
    let setting = Setting { key: key.to_owned(), values: values.to_vec(), line: 0 };
    check(command, &setting).map_err(|what| Error::new(ErrorKind::Config, what))
}

/// Layers of settings under a command line.
struct Layers<'a> {
    command: &'a Command,
    /// Options that have a value.
    taken: HashSet<String>,
    added: Vec<(Setting, Origin)>,
}

impl Layers<'_> {
    fn add(&mut self, setting: Setting, origin: Origin) {
        if self.taken.insert(setting.key.clone()) {
            self.added.push((setting, origin));
        }
    }

    fn line(&self, typed_line: &[OsString]) -> Vec<OsString> {
        typed_line.iter().cloned().chain(self.added.iter().flat_map(|(setting, _)| typed(setting))).collect()
    }
}

/// Completes a command line of `run` by settings; gives what holds beside it. `named` are the identities that a line names.
pub(crate) fn complete(
    command: &Command,
    line: &[OsString],
    matches: &ArgMatches,
    is_live: impl Fn(&ArgMatches) -> bool,
    named: impl Fn(&ArgMatches) -> Vec<PathBuf>,
) -> Result<(ArgMatches, Held)> {
    let Some(run) = matches.subcommand_matches("run") else { return Ok((matches.clone(), Held::default())) };
    let options = command.find_subcommand("run").map(|run| run.get_arguments().collect::<Vec<_>>()).unwrap_or_default();
    let is_typed = |arg: &&&Arg| run.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let taken = options.iter().filter(is_typed).filter_map(|arg| arg.get_long()).map(str::to_owned).collect();
    let mut layers = Layers { command, taken, added: Vec::new() };
    let has_settings = !run.get_flag("no_settings");
    let profile = run.get_one::<String>("profile");
    let mut file_path = None;
    if has_settings {
        let path = settings_path()?;
        let file = SettingsFile::read(&path)?;
        if let (Some(name), None) = (profile, &file) {
            let message =
                format!("no profile {name:?}: there are no settings yet; make them with `effigy config edit`");
            return Err(Error::new(ErrorKind::Config, message));
        }
        if let Some(file) = file {
            let of_profile = profile.map_or(Ok(Vec::new()), |name| file.profile(name))?;
            let profiles = of_profile.into_iter().map(|setting| (setting, true));
            for (setting, is_profile) in profiles.chain(file.settings()?.into_iter().map(|setting| (setting, false))) {
                check(layers.command, &setting).map_err(|what| file.refuse(setting.line, &what))?;
                let line = setting.line;
                let origin = match profile {
                    Some(name) if is_profile => Origin::Profile(name.clone(), line),
                    _ => Origin::File(line),
                };
                layers.add(setting, origin);
            }
            file_path = Some(path);
        }
    } else if let Some(name) = profile {
        let message =
            format!("--profile {name} is a part of the settings, which --no-settings leaves out; give one of both");
        return Err(Error::new(ErrorKind::Config, message));
    }
    let parse = |layers: &Layers<'_>| {
        // Each was checked alone; together they can only be refused by rules about several options.
        let parsed = command.clone().try_get_matches_from(layers.line(line));
        parsed.map_err(|error| {
            let text = error.to_string();
            Error::new(ErrorKind::Config, text.lines().next().unwrap_or_default().replace("error: ", ""))
        })
    };
    let mut completed = parse(&layers)?;
    let is_remembered = has_settings && is_live(&completed);
    if is_remembered {
        // Who is first is a number in the last run's list, not in one that is typed now.
        let is_list_typed = run.value_source("identity") == Some(ValueSource::CommandLine);
        let named = named(&completed);
        let list = (!named.is_empty()).then(|| named_files(named.iter()));
        let settings = last_run(command, list);
        for setting in settings.into_iter().filter(|setting| !(is_list_typed && setting.key == "first")) {
            layers.add(setting, Origin::LastRun);
        }
        completed = parse(&layers)?;
    }
    let held = Held { rows: rows(&options, &completed, &layers), file: file_path, is_remembered, is_stand_in: false };
    Ok((completed, held))
}

/// What the last run notes beside its settings: the file of who was shown.
pub(crate) const FIRST_FILE: &str = "first-file";

/// How the last run was left, as far as that can be had again; `list` are the files of who can be shown, where these do not
/// come from it.
fn last_run(command: &Command, list: Option<Vec<PathBuf>>) -> Vec<Setting> {
    let read = last_path().and_then(|path| SettingsFile::read(&path)?.map_or(Ok(Vec::new()), |file| file.settings()));
    let settings = read.unwrap_or_else(|error| {
        log::warn!("how the last run was left is not known: {error}");
        Vec::new()
    });
    let first_file = settings.iter().find(|setting| setting.key == FIRST_FILE).and_then(|found| found.values.first());
    let first_file = first_file.map(PathBuf::from);
    // A number without a file holds in the list that it was noted of, as long as nobody there is missing.
    let mut is_list_known = list.is_none();
    let there = settings.into_iter().filter_map(|mut setting| {
        if ["identity", "key", "passphrase-file"].contains(&&*setting.key) {
            let (there, gone): (Vec<_>, Vec<_>) =
                setting.values.into_iter().partition(|path| Path::new(path).is_file());
            if !gone.is_empty() {
                log::warn!("--{} of the last run is not there any more: {}", setting.key, gone.join(", "));
                is_list_known &= setting.key != "identity";
            }
            setting.values = there;
        }
        (!setting.values.is_empty() && check(command, &setting).is_ok()).then_some(setting)
    });
    let mut there: Vec<_> = there.collect();
    let list = list.unwrap_or_else(|| {
        let list = there.iter().find(|setting| setting.key == "identity");
        list.map_or_else(library, |list| list.values.iter().map(PathBuf::from).collect())
    });
    // The number that who was shown has now.
    let place = |file: &PathBuf| list.iter().position(|path| path.canonicalize().is_ok_and(|path| path == *file));
    let number = first_file.as_ref().map(|file| place(file).map(|place| (1 + place).to_string()));
    there.retain_mut(|setting| match &number {
        _ if setting.key != "first" => true,
        Some(Some(number)) => {
            setting.values = vec![number.clone()];
            true
        }
        Some(None) => false,
        None => is_list_known,
    });
    there
}

/// The files of identities that were named, by path or by their names in the library.
pub(crate) fn named_files<'a>(named: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let shelves = settings::Library::of_user().ok();
    let resolve = |path: &PathBuf| {
        let shelved = || {
            let name = path.to_str().filter(|_| !path.exists())?;
            shelves.as_ref()?.list().ok()?.into_iter().find(|shelved| shelved.name == name)
        };
        shelved().map_or_else(|| path.clone(), |shelved| shelved.path)
    };
    named.map(resolve).collect()
}

/// The files of the user's library, in its order.
fn library() -> Vec<PathBuf> {
    let shelved = settings::Library::of_user().and_then(|library| library.list());
    shelved.unwrap_or_default().into_iter().map(|shelved| shelved.path).collect()
}

fn rows(options: &[&Arg], completed: &ArgMatches, layers: &Layers<'_>) -> Vec<Row> {
    let Some(run) = completed.subcommand_matches("run") else { return Vec::new() };
    let mut rows = Vec::new();
    for arg in options {
        let Some(key) = arg.get_long().filter(|key| !ABOUT_SETTINGS.contains(key)) else { continue };
        let id = arg.get_id().as_str();
        let raw = run.get_raw(id).into_iter().flatten();
        let values = raw.map(|value| value.to_string_lossy().into_owned()).collect();
        let added = layers.added.iter().find(|(setting, _)| setting.key == key).map(|(_, origin)| origin.clone());
        let origin = match (added, run.value_source(id)) {
            (Some(origin), _) => origin,
            (None, Some(ValueSource::CommandLine)) => Origin::CommandLine,
            _ => Origin::Default,
        };
        rows.push(Row { key: key.to_owned(), values, origin });
    }
    rows
}
