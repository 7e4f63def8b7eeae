//! The program on real devices, without hardware: Linux's own webcam and loopback drivers in a virtual machine, and
//! PipeWire in a session of its own. `scripts/vm_test.sh` and `scripts/pipewire_test.sh` bring these about and run
//! what is ignored elsewhere.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "how far a long test got, and what was skipped")]

#[cfg(all(feature = "pipewire", feature = "microphone"))]
#[path = "../common/clips.rs"]
mod clips;
mod common;
#[path = "../common/folder.rs"]
mod folder;
#[cfg(feature = "pipewire")]
mod pipewire;
mod vm;
