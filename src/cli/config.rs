//! `effigy config`: where the settings are, what they say, and changing them.

use std::process::Command as Process;

use clap::{Args, CommandFactory as _, Subcommand};
use effigy::error::OrError as _;
use effigy::settings::{self, SettingsFile, write_atomically};
use effigy::{Error, ErrorKind, Result, files};

use super::settings::{check_setting, last_path, settings_path};
use super::{Cli, terminal};

/// What a new settings file says.
const TEMPLATE: &str = "\
# Settings of effigy. They are called as the options of `effigy run` (`effigy run --help`), without the dashes.
# The command line wins over a profile, a profile over the rest of this file, this file over how the last run was left.
#
# identity = [\"~/faces/me.effigy\"]
# source = \"camera\"
# sink = [\"window\", \"http:8080\"]
# background = \"blur\"
# mouth = 1.2
#
# `effigy run --profile stream` takes these first:
# [profiles.stream]
# sink = [\"vcam\"]
# size = 1024
";

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy config edit                           in $EDITOR
  effigy config set mouth 1.2
  effigy config set sink window http:8080
  effigy config set --profile stream size 1024
  effigy run --dry-run                         what holds for a run, and where from")]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print where the settings file is
    Path,
    /// Print the settings file, and how the last run was left
    Show,
    /// Open the settings file in $VISUAL or $EDITOR; it is made where there is none
    Edit,
    /// Set one setting; comments stay
    Set {
        /// The option's name without its dashes
        key: String,
        /// Its value; several where it may be repeated
        #[arg(required = true)]
        values: Vec<String>,
        /// In this profile
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
    },
    /// Remove one setting
    Unset {
        /// The option's name without its dashes
        key: String,
        /// In this profile
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
    },
}

pub(crate) fn run(args: &ConfigArgs) -> Result<()> {
    let path = settings_path()?;
    match &args.what {
        What::Path => terminal::print(format!("{}\n", path.display()).as_bytes()),
        What::Show => {
            let show = |title: &str, path: &std::path::Path| {
                let text = files::read_text(path, 1 << 20).unwrap_or_else(|_| "# none yet\n".to_owned());
                format!("# {title}: {}\n{text}", path.display())
            };
            let text = show("settings", &path) + "\n" + &show("last run", &last_path()?);
            terminal::print(text.as_bytes())?;
            // A torn file is shown as it is, and said to be torn.
            SettingsFile::read(&path).map(|_| ())
        }
        What::Edit => {
            if !path.exists() {
                write_atomically(&path, TEMPLATE.as_bytes())?;
            }
            edit(&path)?;
            SettingsFile::read(&path).map(|_| ())
        }
        What::Set { key, values, profile } => {
            check_setting(&Cli::command(), key, values)?;
            settings::set(&path, profile.as_deref(), key, values)
        }
        What::Unset { key, profile } => settings::unset(&path, profile.as_deref(), key),
    }
}

fn edit(path: &std::path::Path) -> Result<()> {
    let given = |name: &str| std::env::var(name).ok().filter(|editor| !editor.trim().is_empty());
    let editor = given("VISUAL").or_else(|| given("EDITOR"));
    let shown = files::typed(path);
    let Some(editor) = editor else {
        let message =
            format!("no editor is chosen; open {shown} in one, or set EDITOR, as in `EDITOR=nano effigy config edit`");
        return Err(Error::new(ErrorKind::Config, message));
    };
    // An editor may be given with options.
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or_default();
    let about = || format!("cannot start the editor {editor:?}; open {shown} in another");
    let status = Process::new(program).args(words).arg(path).status().or_error(ErrorKind::Io, about)?;
    status.success().then_some(()).ok_or_else(|| Error::new(ErrorKind::Io, format!("the editor {editor:?} failed")))
}
