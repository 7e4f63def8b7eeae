//! How the program speaks to the terminal.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use effigy::sink::MessageLog;
use effigy::{Error, ErrorKind};
use indicatif::{ProgressBar, ProgressStyle};

/// Whether the user asked to stop.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// What was printed, for the control page.
static MESSAGES: LazyLock<Arc<MessageLog>> = LazyLock::new(Arc::default);

/// Keeps libraries below from printing what the program says in its own words; `EFFIGY_LOG=debug` lets them.
///
/// To be called first of all, before any thread starts.
pub(crate) fn quiet_libraries() {
    if is_verbose() {
        return;
    }
    // Silence is a nicety: where it cannot be had the program works as well.
    let _ = opencv::core::set_log_level(opencv::core::LogLevel::LOG_LEVEL_SILENT);
    let has_desktop = std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|folder| !folder.is_empty());
    let settings = [
        // SVT-AV1 introduces itself.
        ("SVT_LOG", "1", true),
        // Mesa asks the desktop session which card it prefers, and complains where there is none.
        ("NODEVICE_SELECT", "1", !has_desktop),
    ];
    for (name, value, is_needed) in settings {
        if is_needed && std::env::var_os(name).is_none() {
            #[expect(unsafe_code, reason = "these libraries can be told by the environment only")]
            // SAFETY: no other thread runs yet that could read the environment at the same time.
            unsafe {
                std::env::set_var(name, value);
            };
        }
    }
}

fn is_verbose() -> bool {
    std::env::var("EFFIGY_LOG").is_ok_and(|level| level == "debug")
}

/// Does a command's work; a panic in it becomes an error.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // Nothing of what panicked is used afterwards.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let message = format!("the program broke down, which is a defect of it; please report this: {text}");
        Err(Error::new(ErrorKind::Internal, message))
    })
}

/// A panic becomes an error of the stage it happened in; its report on the terminal would only confuse.
pub(crate) fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| log::debug!("{panic}")));
}

/// Says a line on standard error. Whoever reads it may be gone, with a pipe or a terminal: no work ends for that.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
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
                // An address with its token is for this terminal alone: the page may be on a shared screen.
                let text = record.args().to_string();
                if record.target().starts_with("effigy")
                    && record.level() <= log::Level::Info
                    && !text.contains("?token=")
                {
                    MESSAGES.push(record.level() <= log::Level::Warn, &text);
                }
                match record.level() {
                    log::Level::Info => say(format_args!("{text}")),
                    level => say(format_args!("{}: {text}", level.as_str().to_lowercase())),
                }
            }
        }
        fn flush(&self) {}
    }
    let is_verbose = is_verbose();
    if log::set_boxed_logger(Box::new(Stderr { is_verbose })).is_ok() {
        log::set_max_level(if is_verbose { log::LevelFilter::Debug } else { log::LevelFilter::Info });
    }
}

/// What the program has printed so far, and goes on to print.
pub(crate) fn messages() -> Arc<MessageLog> {
    Arc::clone(&MESSAGES)
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
            say(format_args!("effigy: {error}"));
            ExitCode::from(if error.kind() == ErrorKind::Config { 2 } else { 1 })
        }
    }
}

/// The exit code of a command that chooses its own, with its error printed.
pub(crate) fn chosen_exit_code(outcome: Result<ExitCode, (Error, ExitCode)>) -> ExitCode {
    match outcome {
        Ok(_) if IS_INTERRUPTED.load(Ordering::Relaxed) => ExitCode::from(130),
        Ok(code) => code,
        Err((error, code)) => {
            say(format_args!("effigy: {error}"));
            code
        }
    }
}

/// Prints a command's answer. Whoever reads it may have seen enough: `effigy devices | head -1` is no failure.
pub(crate) fn print(answer: &[u8]) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(answer).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::Io, "cannot print the answer").because(error))
        }
        _ => Ok(()),
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

/// A bar for work of a known length; silent where nobody watches.
pub(crate) fn bar(length: u64, unit: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length).with_message(unit);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar
}
