//! How the program speaks to the terminal.

#![expect(clippy::print_stderr, reason = "this is the one place where the program reports failures")]

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use effigy::{Error, ErrorKind};
use indicatif::{ProgressBar, ProgressStyle};

/// Whether the user asked to stop.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// A panic becomes an error of the stage it happened in; its report on the terminal would only confuse.
pub(crate) fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| log::debug!("{panic}")));
}

/// Prints warnings of this program, and with `EFFIGY_LOG=debug` everything.
pub(crate) fn show_warnings() {
    struct Stderr {
        is_verbose: bool,
    }
    impl log::Log for Stderr {
        fn enabled(&self, about: &log::Metadata<'_>) -> bool {
            // Crates below report what they then also return as errors.
            self.is_verbose || (about.level() <= log::Level::Info && about.target().starts_with("effigy"))
        }
        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                match record.level() {
                    log::Level::Info => eprintln!("{}", record.args()),
                    level => eprintln!("{}: {}", level.as_str().to_lowercase(), record.args()),
                }
            }
        }
        fn flush(&self) {}
    }
    let is_verbose = std::env::var("EFFIGY_LOG").is_ok_and(|level| level == "debug");
    if log::set_boxed_logger(Box::new(Stderr { is_verbose })).is_ok() {
        log::set_max_level(if is_verbose { log::LevelFilter::Debug } else { log::LevelFilter::Info });
    }
}

/// Calls `stop` when the user presses Ctrl-C or the system asks to end; a second time ends at once.
pub(crate) fn on_interrupt(mut stop: impl FnMut() + Send + 'static) {
    let outcome = ctrlc::set_handler(move || {
        if IS_INTERRUPTED.swap(true, Ordering::Relaxed) {
            #[expect(clippy::exit, reason = "the user asks for the second time")]
            std::process::exit(130);
        }
        stop();
    });
    if let Err(error) = outcome {
        log::warn!("Ctrl-C will not end the run cleanly: {error}");
    }
}

/// The exit code of a command, with its error printed.
pub(crate) fn exit_code(outcome: Result<(), Error>) -> ExitCode {
    match outcome {
        Ok(()) if IS_INTERRUPTED.load(Ordering::Relaxed) => ExitCode::from(130),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("effigy: {error}");
            ExitCode::from(if error.kind() == ErrorKind::Config { 2 } else { 1 })
        }
    }
}

/// Shows that a long work goes on; silent where nobody watches.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}
