//! The command line program.

use std::process::ExitCode;

mod cli;

use cli::{Cli, Command};

fn main() -> ExitCode {
    cli::terminal::quiet_libraries();
    cli::terminal::quiet_panics();
    cli::terminal::show_warnings();
    let command = match cli::terminal::guarded(Cli::of_arguments) {
        Ok(cli) => cli.command,
        Err(error) => return cli::terminal::exit_code(Err(error)),
    };
    // Its exit codes say what was found.
    if let Some(Command::Verify(args)) = &command {
        let outcome = cli::terminal::guarded(|| Ok(cli::verify::run(args)));
        return cli::terminal::chosen_exit_code(outcome.unwrap_or_else(|broken| Err((broken, ExitCode::from(2)))));
    }
    cli::terminal::exit_code(cli::terminal::guarded(|| match command {
        None => cli::start::run(),
        Some(command) => work(command),
    }))
}

fn work(command: Command) -> effigy::Result<()> {
    match command {
        Command::Demo(args) => cli::demo::run(&args),
        Command::Enroll(args) => cli::enroll::run(&args),
        Command::Run(args) => cli::run::run(&args),
        Command::Render(args) => cli::render::run(&args),
        Command::Merge(args) => cli::merge::run(&args),
        Command::Export(args) => cli::export::run(&args),
        Command::Devices(args) => cli::devices::run(&args),
        // Answered above.
        Command::Verify(_) => Ok(()),
        Command::Revoke(args) => cli::enroll::revoke(&args),
        Command::Seal(args) => cli::seal::seal(&args),
        Command::Unseal(args) => cli::seal::unseal(&args),
        Command::Keys(args) => cli::keys::run(&args),
        Command::Doctor => cli::doctor::run(),
        Command::Config(args) => cli::config::run(&args),
        Command::Identities(args) => cli::identities::run(&args),
        Command::Bench(args) => cli::bench::run(&args),
        #[cfg(feature = "train")]
        Command::Synth(args) => cli::synth::run(&args),
        #[cfg(feature = "train")]
        Command::Prepare(args) => cli::prepare::run(&args),
        #[cfg(feature = "train")]
        Command::Train(args) => cli::train::run(&args),
        #[cfg(feature = "train")]
        Command::Eval(args) => cli::eval::run(&args),
        Command::Completions(args) => cli::manual::completions(&args),
        Command::Man(args) => cli::manual::man(&args),
    }
}
