//! The C library's heap, told to give back what sessions leave.
//!
//! glibc keeps large blocks in its own heaps once it has seen some come and go, and has eight heaps for each processor. A
//! session takes megabytes on one thread, and its workers on theirs; what it gives back stays behind small blocks that are
//! still in use, in the heap of whichever thread it was: each new identity, and each run, took the gaps of another one.
#![cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    expect(unsafe_code, reason = "these settings have no safe call, and the runtime's memory is not Rust's")
)]

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    unsafe extern "C" {
        pub(super) fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }

    /// From malloc.h.
    pub(super) const M_MMAP_THRESHOLD: c_int = -3;
    pub(super) const M_ARENA_MAX: c_int = -8;
    /// Blocks of this size and more are mapped one by one, and unmapped when they are given back.
    pub(super) const MAPPED_BYTES: c_int = 256 << 10;
    /// Heaps for all threads: no frame takes memory while it passes, so that nobody waits for one.
    pub(super) const N_HEAPS: c_int = 2;
}

/// Sets it up, before the first session. Elsewhere than on glibc it does nothing.
pub(super) fn give_back_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes two numbers and holds the heap's own lock while it stores the second. It says 0 for a setting
    // that it does not know, which leaves all as it was.
    unsafe {
        glibc::mallopt(glibc::M_MMAP_THRESHOLD, glibc::MAPPED_BYTES);
        glibc::mallopt(glibc::M_ARENA_MAX, glibc::N_HEAPS);
    }
}
