//! The user's browser.

use std::process::{Command, Stdio};

/// Asks the desktop to show an address; whether that works is the desktop's business.
pub(super) fn open(url: &str) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let mut command = Command::new(opener);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if start(&mut command).is_err() {
        log::warn!("no browser could be opened by {opener}; open the address above in one");
    }
}

/// Starts a program that lives on its own, and waits for its end on a thread.
fn start(command: &mut Command) -> std::io::Result<()> {
    // Ctrl-C goes to all of the terminal's group: it ends the run, and the browser stays.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn()?;
    // What has ended stays in the system's list until somebody has waited for it; without a thread as long as the run goes on.
    let _ = std::thread::Builder::new().name("browser".to_owned()).spawn(move || child.wait());
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_is_started_has_a_group_of_its_own_and_is_waited_for() {
        let told = std::env::temp_dir().join(format!("effigy-browser-{}", std::process::id()));
        // Its number, and that of its group.
        let script = "cut -d' ' -f1,5 /proc/$$/stat > \"$0.part\" && mv \"$0.part\" \"$0\"";
        start(Command::new("sh").args(["-c", script]).arg(&told)).unwrap();
        let begin = Instant::now();
        let wait = |is_done: &dyn Fn() -> bool, what: &str| {
            while !is_done() {
                assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        wait(&|| told.exists(), "it says nothing");
        let text = std::fs::read_to_string(&told).unwrap();
        std::fs::remove_file(told).unwrap();
        let (process, group) = text.trim().split_once(' ').unwrap();
        assert_eq!(process, group);
        let entry = Path::new("/proc").join(process);
        wait(&|| !entry.exists(), "nobody waits for its end");
    }
}
