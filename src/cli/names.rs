//! Names on the command line: any that the system allows, also those that begin with a dash.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use effigy::files;

use super::{Cli, settings};

/// Files of one argument.
#[derive(Clone, Debug)]
pub(crate) struct Names(Vec<PathBuf>);

/// All files of an argument that may be repeated.
pub(crate) fn all(names: &[Names]) -> impl Iterator<Item = &PathBuf> {
    names.iter().flat_map(|names| &names.0)
}

/// Takes what can be made of a name that need not be Unicode.
pub(crate) fn parse_name<T>() -> impl TypedValueParser<Value = T>
where
    T: for<'a> TryFrom<&'a OsStr, Error = effigy::Error> + Clone + Send + Sync + 'static,
{
    OsStringValueParser::new().try_map(|name| T::try_from(&name))
}

/// Takes files with commas between them, or one file that is there and has commas in its name.
pub(crate) fn parse_names() -> impl TypedValueParser<Value = Names> {
    OsStringValueParser::new().try_map(|text: OsString| {
        if Path::new(&text).exists() {
            return Ok(Names(vec![text.into()]));
        }
        let (mut names, mut rest) = (Vec::new(), &*text);
        while let Some((name, behind)) = files::split_once(rest, b',') {
            names.push(PathBuf::from(name));
            rest = behind;
        }
        names.push(rest.into());
        let is_whole = names.iter().all(|name| !name.as_os_str().is_empty());
        is_whole.then_some(Names(names)).ok_or("expected FILE or FILE,FILE,…, found an empty name")
    })
}

impl Cli {
    /// Reads the command line; ends the program with a message where it is wrong, or where help is asked for.
    ///
    /// A value that begins with a dash is taken where nothing else can be meant: if the line is wrong otherwise, and the
    /// value is not like an option of two dashes, which is more likely a value that was forgotten.
    ///
    /// What a run leaves open is completed by the settings.
    ///
    /// # Errors
    /// [`effigy::ErrorKind::Config`] when the settings are torn or wrong.
    pub(crate) fn of_arguments() -> effigy::Result<Self> {
        Self::of_line(&std::env::args_os().collect::<Vec<_>>())
    }

    /// Reads a line, the first word of which is the program's name, as [`Self::of_arguments`] does.
    ///
    /// # Errors
    /// [`effigy::ErrorKind::Config`] when the settings are torn or wrong.
    pub(crate) fn of_line(line: &[OsString]) -> effigy::Result<Self> {
        let strict = Self::command();
        let error = match strict.clone().try_get_matches_from(line) {
            Ok(matches) => return Self::completed(&strict, line, &matches),
            Err(error) => error,
        };
        let lenient = taking_dashes(strict.clone());
        match lenient.clone().try_get_matches_from(line) {
            Ok(matches) if !takes_option(&strict, &matches) => Self::completed(&lenient, line, &matches),
            _ => error.exit(),
        }
    }

    fn completed(command: &Command, line: &[OsString], matches: &ArgMatches) -> effigy::Result<Self> {
        let is_live = |matches: &ArgMatches| match Self::of_matches(matches).command {
            Some(super::Command::Run(args)) => args.source.is_live() && !args.every_frame,
            _ => false,
        };
        let named = |matches: &ArgMatches| match Self::of_matches(matches).command {
            Some(super::Command::Run(args)) => all(&args.identity).cloned().collect(),
            _ => Vec::new(),
        };
        let (matches, held) = settings::complete(command, line, matches, is_live, named)?;
        let mut cli = Self::of_matches(&matches);
        if let Some(super::Command::Run(args)) = &mut cli.command {
            args.held = held;
        }
        Ok(cli)
    }

    fn of_matches(matches: &ArgMatches) -> Self {
        Self::from_arg_matches(matches).unwrap_or_else(|error| error.format(&mut Self::command()).exit())
    }
}

/// The same command, every value of which may begin with a dash; not of an open list of names, which would take the options
/// behind it.
fn taking_dashes(command: Command) -> Command {
    let is_list = |arg: &Arg| arg.is_positional() && matches!(arg.get_action(), ArgAction::Append);
    let takes_values = |arg: &Arg| arg.get_action().takes_values() && !is_list(arg);
    let command = command.mut_args(|arg| if takes_values(&arg) { arg.allow_hyphen_values(true) } else { arg });
    command.mut_subcommands(taking_dashes)
}

/// Whether a value is like an option, where `strict` does not allow that.
fn takes_option(strict: &Command, matches: &ArgMatches) -> bool {
    let is_typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let is_option =
        |value: &OsStr| value.as_encoded_bytes().starts_with(b"--") || ["-h", "-V"].iter().any(|known| value == *known);
    let checked =
        strict.get_arguments().filter(|arg| arg.get_action().takes_values() && !arg.is_allow_hyphen_values_set());
    let mut ids = checked.map(|arg| arg.get_id().as_str()).filter(|id| is_typed(id));
    let is_here = ids.any(|id| matches.get_raw(id).is_some_and(|mut values| values.any(is_option)));
    is_here
        || matches.subcommand().is_some_and(|(name, matches)| {
            strict.find_subcommand(name).is_some_and(|command| takes_option(command, matches))
        })
}
