//! Whole evaluations: of the truth itself, of the warp, of a network.

#![allow(clippy::print_stderr, reason = "a test that could not look says so")]
